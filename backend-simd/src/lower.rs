//! Lowers programs to the steps that this device has kernels for.
//!
//! - Half floats are stored narrow and computed in f32. A step on them becomes casts of its operands to f32 (one cast
//!   per operand, shared by all steps that read it), the step in f32, and a cast of its result back, so that every
//!   step rounds to the narrow type.
//! - Some casts have no kernel and go through a third dtype ([`kernels::cast_by_way_of`]).
//! - A product that is read only once, by a sum or difference, is computed together with it, in one pass that rounds
//!   twice, as the two steps do.

use crate::kernels::{self, Tail};
use polyarray_core::{Binary, DType, Instr, Operands, Program, Ref, Unary};
use smallvec::SmallVec;

/// The work of one kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Plain(Instr),
    /// The product of the first two operands, combined with the third by addition or subtraction.
    Product(Tail, [Ref; 3]),
}

impl Step {
    pub(crate) fn operands(&self) -> Operands {
        match self {
            Step::Plain(instr) => instr.operands(),
            Step::Product(_, operands) => Operands::from(*operands),
        }
    }

    fn map_refs(&self, f: impl Fn(Ref) -> Ref) -> Step {
        match self {
            Step::Plain(instr) => Step::Plain(instr.map_refs(f)),
            Step::Product(tail, operands) => Step::Product(*tail, operands.map(f)),
        }
    }
}

/// A lowered program, of any length. As in [`Program`], steps read inputs, parameters and earlier steps.
pub(crate) struct Lowered<'a> {
    program: &'a Program,
    pub steps: Vec<Step>,
    /// The dtype of each step's result.
    dtypes: Vec<DType>,
    pub result: Ref,
}

/// A program with casts added, so that every instruction has a kernel.
pub(crate) struct Expanded<'a> {
    /// Returns the dtype of an input or a parameter.
    outside: &'a dyn Fn(Ref) -> DType,
    pub instrs: SmallVec<[Instr; 8]>,
    /// The dtype of each instruction's result.
    pub dtypes: SmallVec<[DType; 8]>,
    pub result: Ref,
    /// Half floats that have been widened, each with its value in f32.
    widened: SmallVec<[(Ref, Ref); 4]>,
}

pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Returns the dtype in which steps on `dtype` are computed.
pub(crate) fn computed_in(dtype: DType) -> DType {
    if is_half(dtype) { DType::F32 } else { dtype }
}

impl<'a> Lowered<'a> {
    pub(crate) fn new(program: &'a Program) -> Lowered<'a> {
        let outside = |r| program.dtype_of(r);
        let gives = (0..program.instrs().len()).map(|at| program.dtype_of(Ref::Value(at as u32)));
        let Expanded { instrs, dtypes, result, .. } =
            Expanded::new(program.instrs(), gives, program.result(), &outside);
        let steps = instrs.into_iter().map(Step::Plain).collect();
        let mut lowered = Lowered { program, steps, dtypes: dtypes.into_vec(), result };
        lowered.fold_products();
        lowered
    }

    /// Merges each product into the sum or difference that reads it, if nothing else reads it.
    fn fold_products(&mut self) {
        let mut reads = vec![0; self.steps.len()];
        let mut count = |r: Ref| {
            if let Ref::Value(i) = r {
                reads[i as usize] += 1;
            }
        };
        self.steps.iter().flat_map(Step::operands).for_each(&mut count);
        count(self.result);
        let mut folded = vec![false; self.steps.len()];
        for at in 0..self.steps.len() {
            let Step::Plain(Instr::Binary(op @ (Binary::Add | Binary::Sub), x, y)) = self.steps[at] else { continue };
            let (first, second) = (self.product(x, &reads), self.product(y, &reads));
            let (product, tail, other) = match (op, first, second) {
                (Binary::Add, Some(p), _) => (p, Tail::Plus, y),
                (_, Some(p), _) => (p, Tail::Minus, y),
                (Binary::Add, None, Some(p)) => (p, Tail::Plus, x),
                (_, None, Some(p)) => (p, Tail::From, x),
                (_, None, None) => continue,
            };
            let (value, [a, b]) = product;
            self.steps[at] = Step::Product(tail, [a, b, other]);
            folded[value] = true;
        }
        self.drop_steps(&folded);
    }

    /// Returns the step number and the operands of `r`, if it is a product of floats that is read once and whose
    /// operands are not both parameters.
    fn product(&self, r: Ref, reads: &[usize]) -> Option<(usize, [Ref; 2])> {
        let Ref::Value(value) = r else { return None };
        let operands = match self.steps[value as usize] {
            Step::Plain(Instr::Binary(Binary::Mul, a, b)) => [a, b],
            Step::Plain(Instr::Unary(Unary::Square, a)) => [a, a],
            _ => return None,
        };
        let varies = operands.iter().any(|o| !matches!(o, Ref::Param(_)));
        let float = matches!(self.dtype_of(r), DType::F32 | DType::F64);
        (float && varies && reads[value as usize] == 1).then_some((value as usize, operands))
    }

    fn drop_steps(&mut self, dropped: &[bool]) {
        if !dropped.contains(&true) {
            return;
        }
        let mut kept = 0;
        // No step reads a dropped value, so its new number does not matter.
        let renamed: Vec<Ref> = dropped.iter().map(|&d| (Ref::Value(kept), kept += u32::from(!d)).0).collect();
        let mut at = 0..;
        self.steps.retain(|_| !dropped[at.next().expect("the range has no end")]);
        let mut at = 0..;
        self.dtypes.retain(|_| !dropped[at.next().expect("the range has no end")]);
        self.steps.iter_mut().for_each(|s| *s = s.map_refs(|r| rename(r, &renamed)));
        self.result = rename(self.result, &renamed);
    }

    /// Returns the dtype of a value of the lowered program.
    pub(crate) fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Value(i) => self.dtypes[i as usize],
            outside => self.program.dtype_of(outside),
        }
    }

    /// Returns every dtype in the program, with repetitions.
    pub(crate) fn all_dtypes(&self) -> impl Iterator<Item = DType> + '_ {
        self.program.inputs().iter().chain(self.program.params()).chain(&self.dtypes).copied()
    }
}

impl<'a> Expanded<'a> {
    /// Expands instructions whose results have the dtypes `gives`.
    pub(crate) fn new(
        instrs: &[Instr],
        gives: impl IntoIterator<Item = DType>,
        result: Ref,
        outside: &'a dyn Fn(Ref) -> DType,
    ) -> Expanded<'a> {
        let (instrs_of, dtypes, widened) = (SmallVec::new(), SmallVec::new(), SmallVec::new());
        let mut expanded = Expanded { outside, instrs: instrs_of, dtypes, result, widened };
        let mut renamed: SmallVec<[Ref; 8]> = SmallVec::new();
        for (instr, gives) in instrs.iter().zip(gives) {
            let step = instr.map_refs(|r| rename(r, &renamed));
            renamed.push(expanded.step(step, gives));
        }
        expanded.result = rename(result, &renamed);
        expanded
    }

    fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Value(i) => self.dtypes[i as usize],
            outside => (self.outside)(outside),
        }
    }

    fn push(&mut self, instr: Instr, gives: DType) -> Ref {
        self.instrs.push(instr);
        self.dtypes.push(gives);
        Ref::Value(self.instrs.len() as u32 - 1)
    }

    fn step(&mut self, instr: Instr, gives: DType) -> Ref {
        let halves = instr.operands().iter().any(|&r| is_half(self.dtype_of(r)));
        match instr {
            Instr::Cast(to, a) => self.cast(to, a),
            // A selection only copies bits.
            Instr::Select(..) => self.push(instr, gives),
            _ if !halves => self.push(instr, gives),
            _ => {
                let wide = instr.map_refs(|r| self.widen(r));
                let computed = self.push(wide, if is_half(gives) { DType::F32 } else { gives });
                if is_half(gives) { self.push(Instr::Cast(gives, computed), gives) } else { computed }
            }
        }
    }

    fn widen(&mut self, r: Ref) -> Ref {
        if let Some((_, wide)) = self.widened.iter().find(|(narrow, _)| *narrow == r) {
            return *wide;
        }
        let wide = self.push(Instr::Cast(DType::F32, r), DType::F32);
        self.widened.push((r, wide));
        wide
    }

    fn cast(&mut self, to: DType, from: Ref) -> Ref {
        if self.dtype_of(from) == to {
            return from;
        }
        match kernels::cast_by_way_of(self.dtype_of(from), to) {
            Some(DType::F32) if is_half(self.dtype_of(from)) => {
                let wide = self.widen(from);
                self.cast(to, wide)
            }
            Some(between) => {
                let there = self.push(Instr::Cast(between, from), between);
                self.cast(to, there)
            }
            None => self.push(Instr::Cast(to, from), to),
        }
    }
}

/// Returns `r` with the new numbers of earlier values.
pub(crate) fn rename(r: Ref, renamed: &[Ref]) -> Ref {
    if let Ref::Value(i) = r { renamed[i as usize] } else { r }
}
