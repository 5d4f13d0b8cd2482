//! Execution of programs strip by strip: every input, parameter and instruction has its own strip, and each instruction
//! fills its strip from earlier ones.

use super::ufuncs::{Ufuncs, each, filled, select};
use bytemuck::checked;
use polyarray_core::op::Params;
use polyarray_core::{Element, Error, Instr, Program, Ref, Result, with_dtype};
use smallvec::SmallVec;

/// The number of elements of a strip. A strip has at most 4 KiB, so the strips of short programs stay in the
/// first-level cache.
pub const STRIP: usize = 256;

/// The words of one or more strips. Each word has room for one element of any dtype.
pub type Words = SmallVec<[u128; 16]>;

/// Allocates `count` zeros.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn words(count: usize) -> Result<Words> {
    if count <= Words::new().inline_size() {
        return Ok(Words::from_elem(0, count));
    }
    let mut words = with_room(count)?;
    words.resize(count, 0);
    Ok(Words::from_vec(words))
}

/// Returns an empty vector with room for `n` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn with_room<T>(n: usize) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    let out_of_memory = |e: std::collections::TryReserveError| Error::OutOfMemory {
        memory: "the host".into(),
        bytes: n * size_of::<T>(),
        why: e.to_string(),
    };
    vec.try_reserve_exact(n).map_err(out_of_memory)?;
    Ok(vec)
}

/// A program and the strips to run it on `len` elements at a time.
///
/// Invariants:
/// 1. Strip `i` is `words[i * len..][..len]`. It has one word per element for every dtype (the widest has 16 bytes).
/// 2. The strips of the inputs come first, then those of the parameters, then those of the instructions. So an
///    instruction reads only strips before its own.
/// 3. A strip holds elements of only one dtype, or zeros, which are valid elements of every dtype.
pub struct Strips<'a> {
    program: &'a Program,
    len: usize,
    words: Words,
}

impl<'a> Strips<'a> {
    /// Allocates strips for `total` elements at a time, but at most [`STRIP`], and fills the strips of the parameters.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(program: &'a Program, params: &Params, total: usize) -> Result<Strips<'a>> {
        let len = total.min(STRIP);
        let count = program.inputs().len() + program.params().len() + program.instrs().len();
        let mut strips = Strips { program, len, words: words(count * len)? };
        for (i, param) in params.iter().enumerate() {
            let at = strips.index(Ref::Param(i as u32)) * len;
            with_dtype!(param.dtype(), T => filled::<T>(&mut strips.words[at..at + len], param.get()));
        }
        Ok(strips)
    }

    /// Returns the number of elements that a strip has room for.
    pub fn len(&self) -> usize {
        self.len
    }

    fn index(&self, r: Ref) -> usize {
        match r {
            Ref::Input(i) => i as usize,
            Ref::Param(i) => self.program.inputs().len() + i as usize,
            Ref::Value(i) => self.program.inputs().len() + self.program.params().len() + i as usize,
        }
    }

    /// Returns the strip of input `i`, to be filled from the front.
    pub fn input_bytes(&mut self, i: usize) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words[i * self.len..][..self.len])
    }

    /// Returns the strip of input `i`, whose dtype is that of `T`.
    pub fn input<T: Element>(&mut self, i: usize) -> &mut [T] {
        debug_assert_eq!(self.program.inputs()[i], T::DTYPE);
        &mut checked::cast_slice_mut(&mut self.words[i * self.len..][..self.len])[..self.len]
    }

    /// Returns the result, from the front.
    pub fn result_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words[self.index(self.program.result()) * self.len..][..self.len])
    }

    /// Returns the result, whose dtype is that of `T`.
    pub fn result<T: Element>(&self) -> &[T] {
        debug_assert_eq!(self.program.output(), T::DTYPE);
        &checked::cast_slice(&self.words[self.index(self.program.result()) * self.len..][..self.len])[..self.len]
    }

    /// Computes the first `count` elements of the strip of every instruction.
    pub fn run(&mut self, count: usize) {
        let first = self.program.inputs().len() + self.program.params().len();
        for (i, instr) in self.program.instrs().iter().enumerate() {
            let places: SmallVec<[usize; 3]> = instr.operands().into_iter().map(|r| self.index(r) * self.len).collect();
            let (before, out) = self.words.split_at_mut((first + i) * self.len);
            let operand = |i: usize| &before[places[i]..][..self.len];
            apply(self.program, instr, operand, count, &mut out[..self.len]);
        }
    }
}

/// Runs one instruction on `count` elements of the strips that `operand` returns.
fn apply<'s>(program: &Program, instr: &Instr, operand: impl Fn(usize) -> &'s [u128], count: usize, out: &mut [u128]) {
    let dtype = |r: Ref| program.dtype_of(r);
    match *instr {
        Instr::Unary(op, a) => with_dtype!(dtype(a), T => T::unary(op, elements(operand(0), count), out)),
        Instr::Binary(op, a, _) => {
            with_dtype!(dtype(a), T => T::binary(op, elements(operand(0), count), elements(operand(1), count), out))
        }
        Instr::Select(_, a, _) => with_dtype!(dtype(a), T => {
            select::<T>(elements(operand(0), count), elements(operand(1), count), elements(operand(2), count), out);
        }),
        Instr::MulAdd(a, ..) => with_dtype!(dtype(a), T => {
            T::fused(elements(operand(0), count), elements(operand(1), count), elements(operand(2), count), out);
        }),
        Instr::Cast(to, a) => {
            with_dtype!(dtype(a), From => with_dtype!(to, To =>
                each(elements(operand(0), count), out, |x: From| To::from_wide(x.to_wide()))));
        }
    }
}

/// Returns the first `count` elements of a strip.
fn elements<T: Element>(strip: &[u128], count: usize) -> &[T] {
    &checked::cast_slice(strip)[..count]
}
