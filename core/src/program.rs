//! Programs: elementwise computations in SSA form.

use crate::ufunc::{Binary, Unary};
use crate::{DType, Error, Result};
use smallvec::SmallVec;

/// The largest number of instructions of a program.
pub const MAX_INSTRS: usize = 64;
/// The largest number of inputs of a program. Together with the output, this is the number of buffers that every GPU
/// can bind.
pub const MAX_INPUTS: usize = 7;

/// A value inside a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ref {
    /// An operand, by position.
    Input(u32),
    /// A parameter (one value for all elements), by position.
    Param(u32),
    /// The result of an earlier instruction, by position.
    Value(u32),
}

/// An instruction of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instr {
    /// A ufunc of one operand.
    Unary(Unary, Ref),
    /// A ufunc of two operands of one dtype.
    Binary(Binary, Ref, Ref),
    /// The second operand where the first (bool) is true, else the third. The second and the third have the same dtype.
    Select(Ref, Ref, Ref),
    /// `x * y + z` in floats, rounded once if the device supports it (all CPU devices do).
    MulAdd(Ref, Ref, Ref),
    /// A conversion to another dtype, by the rules of [`Element::from_wide`](crate::Element::from_wide).
    Cast(DType, Ref),
}

/// The values that an instruction reads: one to three, as a slice.
#[derive(Clone, Copy, Debug)]
pub struct Operands {
    refs: [Ref; 3],
    count: usize,
}

impl From<[Ref; 3]> for Operands {
    fn from(refs: [Ref; 3]) -> Operands {
        Operands { refs, count: 3 }
    }
}

impl std::ops::Deref for Operands {
    type Target = [Ref];
    #[inline]
    fn deref(&self) -> &[Ref] {
        &self.refs[..self.count]
    }
}

impl IntoIterator for Operands {
    type Item = Ref;
    type IntoIter = std::iter::Take<std::array::IntoIter<Ref, 3>>;
    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.refs.into_iter().take(self.count)
    }
}

impl Instr {
    /// Returns the values that the instruction reads.
    #[inline]
    pub fn operands(&self) -> Operands {
        match *self {
            Instr::Unary(_, a) | Instr::Cast(_, a) => Operands { refs: [a; 3], count: 1 },
            Instr::Binary(_, a, b) => Operands { refs: [a, b, b], count: 2 },
            Instr::Select(a, b, c) | Instr::MulAdd(a, b, c) => Operands { refs: [a, b, c], count: 3 },
        }
    }

    /// Returns the same instruction with each operand `r` replaced by `f(r)`.
    pub fn map_refs(&self, mut f: impl FnMut(Ref) -> Ref) -> Instr {
        match *self {
            Instr::Unary(op, a) => Instr::Unary(op, f(a)),
            Instr::Cast(to, a) => Instr::Cast(to, f(a)),
            Instr::Binary(op, a, b) => Instr::Binary(op, f(a), f(b)),
            Instr::Select(a, b, c) => Instr::Select(f(a), f(b), f(c)),
            Instr::MulAdd(a, b, c) => Instr::MulAdd(f(a), f(b), f(c)),
        }
    }

    /// The name of the instruction in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Instr::Unary(op, _) => op.info().name,
            Instr::Binary(op, ..) => op.info().name,
            Instr::Select(..) => "select",
            Instr::MulAdd(..) => "mul_add",
            Instr::Cast(..) => "cast",
        }
    }

    /// Returns a number that identifies the instruction and the values that it reads, for hashes. Values from the 256th
    /// on may share it.
    #[inline]
    pub(crate) fn code(&self) -> u64 {
        let of = |r: Ref| match r {
            Ref::Input(i) => u64::from(i as u8) << 2,
            Ref::Param(i) => u64::from(i as u8) << 2 | 1,
            Ref::Value(i) => u64::from(i as u8) << 2 | 2,
        };
        let three = |a, b, c| of(a) | of(b) << 10 | of(c) << 20;
        match *self {
            Instr::Unary(op, a) => of(a) | (op as u64) << 32,
            Instr::Cast(to, a) => of(a) | (to as u64) << 32 | 1 << 40,
            Instr::Binary(op, a, b) => three(a, b, b) | (op as u64) << 32 | 2 << 40,
            Instr::Select(a, b, c) => three(a, b, c) | 3 << 40,
            Instr::MulAdd(a, b, c) => three(a, b, c) | 4 << 40,
        }
    }

    /// Estimates the number of simple instructions that the instruction needs.
    pub fn weight(&self) -> f64 {
        match self {
            Instr::Unary(op, _) => op.info().weight,
            Instr::Binary(op, ..) => op.info().weight,
            Instr::Select(..) | Instr::MulAdd(..) | Instr::Cast(..) => 1.0,
        }
    }

    /// Returns the dtype of the result. `dtype_of` returns the dtypes of operands.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] and [`Error::DTypeMismatch`] if the instruction is not defined for these dtypes.
    pub fn typed(&self, dtype_of: impl Fn(Ref) -> DType) -> Result<DType> {
        let defined = |info: &'static crate::ufunc::UfuncInfo, dtype: DType| {
            if info.kinds.contains(dtype) {
                Ok(info.gives.dtype(dtype))
            } else {
                Err(Error::DTypeUndefined { op: info.name, dtype, defined: info.kinds.describe() })
            }
        };
        let same = |op: &'static str, a: DType, b: DType| {
            if a == b { Ok(()) } else { Err(Error::DTypeMismatch { op, left: a, right: b }) }
        };
        match *self {
            Instr::Unary(op, a) => defined(op.info(), dtype_of(a)),
            Instr::Binary(op, a, b) => {
                same(op.info().name, dtype_of(a), dtype_of(b))?;
                defined(op.info(), dtype_of(a))
            }
            Instr::Select(c, a, b) => {
                same("select", DType::Bool, dtype_of(c))?;
                same("select", dtype_of(a), dtype_of(b))?;
                Ok(dtype_of(a))
            }
            Instr::MulAdd(a, b, c) => {
                same("mul_add", dtype_of(a), dtype_of(b))?;
                same("mul_add", dtype_of(a), dtype_of(c))?;
                if dtype_of(a).kind() == crate::Kind::Float {
                    Ok(dtype_of(a))
                } else {
                    Err(Error::DTypeUndefined { op: "mul_add", dtype: dtype_of(a), defined: "floats".into() })
                }
            }
            Instr::Cast(to, _) => Ok(to),
        }
    }
}

/// An elementwise computation: a pure function of some inputs and parameters, applied to every element.
///
/// The values of parameters are not part of a program. Two programs that differ only in these values are equal.
///
/// Invariants, checked by [`Program::new`] (expressions check each step as it is added):
/// 1. at most [`MAX_INPUTS`] inputs and [`MAX_INSTRS`] instructions;
/// 2. instructions read only existing inputs and parameters, and results of earlier instructions;
/// 3. every instruction is defined for the dtypes that it reads, and `dtypes` holds the dtype of each result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    inputs: SmallVec<[DType; 4]>,
    params: SmallVec<[DType; 4]>,
    instrs: SmallVec<[Instr; 4]>,
    dtypes: SmallVec<[DType; 4]>,
    result: Ref,
}

impl Program {
    /// Creates a program and verifies its invariants.
    ///
    /// # Errors
    /// [`Error::Program`] and the dtype errors, for a violation of an invariant.
    pub fn new(inputs: &[DType], params: &[DType], instrs: &[Instr], result: Ref) -> Result<Program> {
        if inputs.len() > MAX_INPUTS || instrs.len() > MAX_INSTRS {
            return Err(Error::Program(format!(
                "the program has {} inputs and {} instructions; the limits are {MAX_INPUTS} and {MAX_INSTRS}",
                inputs.len(),
                instrs.len()
            )));
        }
        let mut program = Program {
            inputs: SmallVec::from_slice(inputs),
            params: SmallVec::from_slice(params),
            instrs: SmallVec::new(),
            dtypes: SmallVec::new(),
            result,
        };
        for instr in instrs {
            for r in instr.operands() {
                program.lookup(r)?;
            }
            let dtype = instr.typed(|r| program.dtype_of(r))?;
            program.instrs.push(*instr);
            program.dtypes.push(dtype);
        }
        program.lookup(result)?;
        Ok(program)
    }

    /// Creates a program whose instructions were already verified when they were added. `dtypes` are the dtypes of
    /// their results. Verifies only the number of inputs and of instructions.
    ///
    /// # Errors
    /// [`Error::Program`] for too many inputs or instructions.
    pub(crate) fn from_checked(
        inputs: &[DType],
        params: &[DType],
        instrs: &[Instr],
        dtypes: &[DType],
        result: Ref,
    ) -> Result<Program> {
        if inputs.len() > MAX_INPUTS || instrs.len() > MAX_INSTRS {
            return Program::new(inputs, params, instrs, result);
        }
        let checked = Program {
            inputs: SmallVec::from_slice(inputs),
            params: SmallVec::from_slice(params),
            instrs: SmallVec::from_slice(instrs),
            dtypes: SmallVec::from_slice(dtypes),
            result,
        };
        debug_assert_eq!(Program::new(inputs, params, instrs, result).as_ref().ok(), Some(&checked));
        Ok(checked)
    }

    /// Returns the program that returns its only input, of dtype `dtype`.
    pub fn identity(dtype: DType) -> Program {
        Program {
            inputs: SmallVec::from_slice(&[dtype]),
            params: SmallVec::new(),
            instrs: SmallVec::new(),
            dtypes: SmallVec::new(),
            result: Ref::Input(0),
        }
    }

    fn lookup(&self, r: Ref) -> Result<DType> {
        let found = match r {
            Ref::Input(i) => self.inputs.get(i as usize),
            Ref::Param(i) => self.params.get(i as usize),
            Ref::Value(i) => self.dtypes.get(i as usize),
        };
        found.copied().ok_or_else(|| Error::Program(format!("{r:?} is read but does not exist")))
    }

    /// The dtypes of the inputs.
    pub fn inputs(&self) -> &[DType] {
        &self.inputs
    }

    /// The dtypes of the parameters.
    pub fn params(&self) -> &[DType] {
        &self.params
    }

    /// The instructions, in order.
    pub fn instrs(&self) -> &[Instr] {
        &self.instrs
    }

    /// The value that the program returns.
    pub fn result(&self) -> Ref {
        self.result
    }

    /// Returns the dtype of a value of this program.
    #[inline]
    pub fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Input(i) => self.inputs[i as usize],
            Ref::Param(i) => self.params[i as usize],
            Ref::Value(i) => self.dtypes[i as usize],
        }
    }

    /// Returns the dtype of the result.
    #[inline]
    pub fn output(&self) -> DType {
        self.dtype_of(self.result)
    }

    /// Returns whether the program returns its first input unchanged.
    pub fn is_identity(&self) -> bool {
        self.instrs.is_empty() && self.result == Ref::Input(0)
    }

    /// Returns the dtypes of all values of the program.
    pub fn all_dtypes(&self) -> impl Iterator<Item = DType> + '_ {
        self.inputs.iter().chain(&self.params).chain(&self.dtypes).copied()
    }

    /// Estimates the number of simple instructions per element.
    pub fn weight(&self) -> f64 {
        self.instrs.iter().map(Instr::weight).sum()
    }

    /// Describes the program for messages: `mul+add+sqrt`, or `copy`.
    pub fn describe(&self) -> String {
        match self.instrs.len() {
            0 => "copy".into(),
            n if n > 6 => format!("{} steps", n),
            _ => self.instrs.iter().map(Instr::name).collect::<Vec<_>>().join("+"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DType::*;

    #[test]
    fn the_verifier_refuses_what_breaks_an_invariant() {
        let add = |a, b| Instr::Binary(Binary::Add, a, b);
        let (x, y) = (Ref::Input(0), Ref::Input(1));
        assert_eq!(Program::new(&[F32, F32], &[], &[add(x, y)], Ref::Value(0)).unwrap().output(), F32);
        assert!(
            matches!(Program::new(&[F32], &[], &[add(x, y)], Ref::Value(0)), Err(Error::Program(_))),
            "an input that is not there"
        );
        assert!(
            matches!(Program::new(&[F32], &[], &[add(x, Ref::Value(0))], Ref::Value(0)), Err(Error::Program(_))),
            "its own result"
        );
        assert!(matches!(
            Program::new(&[F32, F64], &[], &[add(x, y)], Ref::Value(0)),
            Err(Error::DTypeMismatch { .. })
        ));
        assert!(matches!(
            Program::new(&[Bool, Bool], &[], &[add(x, y)], Ref::Value(0)),
            Err(Error::DTypeUndefined { .. })
        ));
        assert!(matches!(
            Program::new(&[F32], &[], &[Instr::Select(x, x, x)], Ref::Value(0)),
            Err(Error::DTypeMismatch { .. })
        ));
        assert!(matches!(
            Program::new(&[I32], &[], &[Instr::MulAdd(x, x, x)], Ref::Value(0)),
            Err(Error::DTypeUndefined { .. })
        ));
        assert!(matches!(Program::new(&[F32; 8], &[], &[], x), Err(Error::Program(_))), "8 inputs");
        assert!(Program::new(&[F32; 7], &[], &[], Ref::Input(6)).is_ok(), "7 inputs");
        let many = vec![add(x, x); 65];
        assert!(Program::new(&[F32], &[], &many[..64], Ref::Value(63)).is_ok());
        assert!(matches!(Program::new(&[F32], &[], &many, Ref::Value(64)), Err(Error::Program(_))));
    }
}
