//! Sorting of lines. Elements are converted to unsigned integers in the same order (`keys`). The integers are sorted,
//! or the integers of some ranks are selected (`select`), and they are converted back to elements.
//!
//! On AVX-512 a vectorized quicksort sorts the integers (`quick`, `avx512`); on other tiers the standard library does.
//! Indices are sorted as integers, too: the index is in the low bits of an integer, and as many bits of its key as fit
//! are above it. Where these bits do not distinguish keys, a second sort of such keys does (`indices`).

#[cfg(target_arch = "x86_64")]
mod avx512;
mod indices;
mod keys;
#[cfg(target_arch = "x86_64")]
mod quick;
mod select;
#[cfg(test)]
mod tests;

use crate::lanes::portable::Portable;
use crate::lanes::{Isa, Work};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};
use crate::scratch::Scratch;
use crate::strided::base;
use crate::threads::{Shared, split};
pub(crate) use keys::{Key, Sortable, Word};
use polyarray_core::op::{Give, Sort};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Result, bf16, f16};
use std::sync::Mutex;

/// A tier that sorts integers.
pub(crate) trait Sorter: Isa {
    /// Whether [`sort32`](Self::sort32) and [`sort64`](Self::sort64) need scratch memory as long as the keys.
    const SPARE: bool;
    /// Sorts on at most `threads` threads. The initial contents of `spare` are arbitrary.
    fn sort32(self, keys: &mut [u32], spare: &mut [u32], threads: usize);
    /// As [`sort32`](Self::sort32).
    fn sort64(self, keys: &mut [u64], spare: &mut [u64], threads: usize);
}

macro_rules! standard {
    ($($Isa:ident),*) => { $(
        impl Sorter for $Isa {
            const SPARE: bool = false;
            fn sort32(self, keys: &mut [u32], _: &mut [u32], threads: usize) {
                standard(keys, threads);
            }
            fn sort64(self, keys: &mut [u64], _: &mut [u64], threads: usize) {
                standard(keys, threads);
            }
        }
    )* };
}
standard!(Portable);
#[cfg(target_arch = "x86_64")]
standard!(Avx2);

#[cfg(target_arch = "x86_64")]
impl Sorter for Avx512 {
    const SPARE: bool = true;
    fn sort32(self, keys: &mut [u32], spare: &mut [u32], threads: usize) {
        quick::sort(self, keys, spare, threads);
    }
    fn sort64(self, keys: &mut [u64], spare: &mut [u64], threads: usize) {
        quick::sort(self, keys, spare, threads);
    }
}

/// Sorts with the standard library. With several threads, a selection first splits the keys into parts.
fn standard<K: Key>(keys: &mut [K], threads: usize) {
    if threads < 2 || keys.len() < SHARED {
        return keys.sort_unstable();
    }
    let middle = keys.len() * (threads / 2) / threads;
    keys.select_nth_unstable(middle);
    let (low, high) = keys.split_at_mut(middle);
    crate::threads::join(|| standard(low, threads / 2), || standard(high, threads - threads / 2));
}

/// Lines with fewer elements are not divided among threads.
const SHARED: usize = 1 << 14;
/// The least number of elements per thread where a pass over a line is divided among threads.
const PASS: usize = 1 << 14;

/// Returns the scratch memory as `n` integers.
///
/// # Panics
/// If the scratch has room for fewer than `n` integers.
pub(crate) fn integers<K: Word>(scratch: &mut Scratch, n: usize) -> &mut [K] {
    assert!(n <= scratch.bytes() / size_of::<K>(), "internal error: the scratch memory has fewer than n integers");
    // SAFETY: the block is long enough, as checked above. It is initialized, aligned to 64 bytes and exclusively
    // borrowed, and every bit pattern is an integer.
    unsafe { std::slice::from_raw_parts_mut(scratch.ptr().cast::<K>(), n) }
}

/// Sorts keys, with scratch memory if the tier needs it.
///
/// # Errors
/// Out of memory.
pub(crate) fn sort_keys<I: Sorter, K: Key>(isa: I, keys: &mut [K], threads: usize) -> Result<()> {
    let n = if I::SPARE { keys.len() } else { 0 };
    let mut scratch = Scratch::new(n * size_of::<K>())?;
    K::sort(isa, keys, integers(&mut scratch, n), threads);
    Ok(())
}

/// Runs a sort and writes the result to `out`.
///
/// # Errors
/// Out of memory.
pub(crate) fn run<I: Sorter>(isa: I, op: &Sort, threads: usize, out: &Buffer) -> Result<()> {
    match op.dtype {
        DType::Bool => typed::<I, bool>(isa, op, threads, out),
        DType::I8 => typed::<I, i8>(isa, op, threads, out),
        DType::I16 => typed::<I, i16>(isa, op, threads, out),
        DType::I32 => typed::<I, i32>(isa, op, threads, out),
        DType::I64 => typed::<I, i64>(isa, op, threads, out),
        DType::U8 => typed::<I, u8>(isa, op, threads, out),
        DType::U16 => typed::<I, u16>(isa, op, threads, out),
        DType::U32 => typed::<I, u32>(isa, op, threads, out),
        DType::U64 => typed::<I, u64>(isa, op, threads, out),
        DType::F16 => typed::<I, f16>(isa, op, threads, out),
        DType::BF16 => typed::<I, bf16>(isa, op, threads, out),
        DType::F32 => typed::<I, f32>(isa, op, threads, out),
        DType::F64 => typed::<I, f64>(isa, op, threads, out),
        DType::C32 | DType::C64 => {
            unreachable!("internal error: complex numbers have no order, so core should have rejected them")
        }
    }
}

fn typed<I: Sorter, T: Sortable>(isa: I, op: &Sort, threads: usize, out: &Buffer) -> Result<()> {
    let (lines, taken) = (op.lines.size(), op.take.len());
    let (outer, step) = (&op.input.strides[..op.lines.len()], op.input.strides[op.lines.len()]);
    let from = Shared(base(&op.input.buffer, op.dtype, op.input.offset).cast::<T::Word>());
    let to = Shared(base(out, op.output(), 0));
    let size = op.output().size();
    let some_lines = |range: std::ops::Range<usize>, threads: usize| {
        let (mut number, mut done) = (range.start, Ok(()));
        walk(&op.lines, [outer], [0], range, |[at]| {
            if done.is_ok() {
                let line = Line::<T> { from: from.get().wrapping_offset(at), step, n: op.n, flip: op.descending };
                // SAFETY: the line lies within the operand. Line `number` of the output has room for the taken
                // elements, and no other thread writes to it.
                done = unsafe { one(isa, &line, op, to.get().wrapping_add(number * taken * size), threads) };
            }
            number += 1;
        });
        done
    };
    if lines >= threads {
        // Enough lines to be worth waking a thread.
        let unit = (4096 / op.n).max(1);
        return split(threads, lines, unit, |range| some_lines(range, 1));
    }
    some_lines(0..lines, threads)
}

/// Sorts one line.
///
/// # Safety
/// - The line's elements are readable.
/// - `to` is valid for writes of all elements or indices that are taken of a line, and nothing else accesses them
///   meanwhile.
unsafe fn one<I: Sorter, T: Sortable>(isa: I, line: &Line<T>, op: &Sort, to: *mut u8, threads: usize) -> Result<()> {
    let whole = op.take.len() == op.n;
    match op.give {
        Give::Values if whole => {
            let words = to.cast::<T::Word>();
            // SAFETY: the output has room for n elements, which the caller guarantees. `read` initializes them, and
            // nothing else accesses them.
            let words = unsafe {
                line.read(isa, words, Encoded, threads);
                std::slice::from_raw_parts_mut(words, line.n)
            };
            T::Word::sort_words(isa, words, threads)?;
            line.decode(isa, words, threads);
            Ok(())
        }
        Give::Values => {
            let n = line.n;
            let mut scratch = Scratch::new(n * size_of::<Wide<T>>())?;
            let keys = integers::<Wide<T>>(&mut scratch, n);
            // SAFETY: the scratch has room for n keys.
            unsafe { line.read(isa, keys.as_mut_ptr(), Widened, threads) };
            let mut found = Scratch::new(op.take.len() * size_of::<Wide<T>>())?;
            let ranks = integers::<Wide<T>>(&mut found, op.take.len());
            select::ranks(isa, keys, op.take.clone(), ranks, threads)?;
            for (i, key) in ranks.iter().enumerate() {
                let word = T::Word::narrow(*key);
                // SAFETY: the output has room for the taken elements, which the caller guarantees.
                unsafe { to.cast::<T::Word>().add(i).write(T::decode(turned(word, line.flip))) };
            }
            Ok(())
        }
        // SAFETY: the output has room for the taken indices, which the caller guarantees.
        Give::Indices => unsafe { indices::run(isa, line, op.take.clone(), to.cast::<u64>(), threads) },
    }
}

/// The integer type in which vectors sort elements of `T`.
type Wide<T> = <<T as Sortable>::Word as Word>::Wide;

/// The elements of a line.
///
/// Invariant: `from` is valid for reads of `n` elements with a distance of `step`.
struct Line<T: Sortable> {
    from: *const T::Word,
    step: isize,
    n: usize,
    /// Whether the order is descending. The keys are then complemented.
    flip: bool,
}

// SAFETY: a line is only read.
unsafe impl<T: Sortable> Sync for Line<T> {}

/// A conversion of an element's bits.
trait Made<T: Sortable>: Copy + Send + Sync {
    type Out: Copy + Send;
    fn make(bits: T::Word, flip: bool) -> Self::Out;
}

#[inline(always)]
fn turned<W: Word>(word: W, flip: bool) -> W {
    if flip { word.not() } else { word }
}

/// Conversion to the key.
#[derive(Clone, Copy)]
struct Encoded;
/// Conversion to the key, in the width that vectors sort.
#[derive(Clone, Copy)]
struct Widened;
/// Conversion to the rank as u64. Equal elements have equal ranks.
#[derive(Clone, Copy)]
struct Ranked;

impl<T: Sortable> Made<T> for Encoded {
    type Out = T::Word;
    #[inline(always)]
    fn make(bits: T::Word, flip: bool) -> T::Word {
        turned(T::encode(bits), flip)
    }
}
impl<T: Sortable> Made<T> for Widened {
    type Out = Wide<T>;
    #[inline(always)]
    fn make(bits: T::Word, flip: bool) -> Wide<T> {
        turned(T::encode(bits), flip).widen()
    }
}
impl<T: Sortable> Made<T> for Ranked {
    type Out = u64;
    #[inline(always)]
    fn make(bits: T::Word, flip: bool) -> u64 {
        turned(T::rank(bits), flip).widen().to_u64()
    }
}

impl<T: Sortable> Line<T> {
    /// Converts each element by `M` and writes the results to `to`.
    ///
    /// # Safety
    /// - `to` is valid for writes of `n` results, and nothing else accesses them meanwhile.
    unsafe fn read<I: Isa, M: Made<T>>(&self, isa: I, to: *mut M::Out, _: M, threads: usize) {
        let to = Shared(to);
        let done = split(threads, self.n, PASS, |range| {
            isa.enter(Read::<T, M> {
                from: self.from.wrapping_offset(range.start as isize * self.step),
                step: self.step,
                n: range.len(),
                flip: self.flip,
                to: to.get().wrapping_add(range.start),
            });
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    }

    /// Returns the rank of one element.
    fn rank(&self, i: usize) -> u64 {
        debug_assert!(i < self.n);
        // SAFETY: i < n, so this is an element of the line (its invariant).
        <Ranked as Made<T>>::make(unsafe { self.from.wrapping_offset(i as isize * self.step).read() }, self.flip)
    }

    /// Converts keys back to the bits of elements.
    fn decode<I: Isa>(&self, isa: I, words: &mut [T::Word], threads: usize) {
        let (all, flip) = (Shared(words.as_mut_ptr()), self.flip);
        let done = split(threads, words.len(), PASS, |range| {
            // SAFETY: the range is a part of the slice, which is exclusively borrowed. The parts do not overlap.
            let words = unsafe { std::slice::from_raw_parts_mut(all.get().add(range.start), range.len()) };
            isa.enter(Decode::<T> { words, flip });
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    }
}

struct Read<T: Sortable, M: Made<T>> {
    from: *const T::Word,
    step: isize,
    n: usize,
    flip: bool,
    to: *mut M::Out,
}

impl<T: Sortable, M: Made<T>> Work for Read<T, M> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Read { from, step, n, flip, to } = self;
        // SAFETY: the elements are readable by the invariant of `Line`, and the caller of `Line::read` guarantees room
        // for the results. Both are aligned, because buffers are aligned to their elements.
        unsafe {
            if step == 1 {
                (0..n).for_each(|i| *to.add(i) = M::make(*from.add(i), flip));
            } else {
                (0..n).for_each(|i| *to.add(i) = M::make(*from.wrapping_offset(i as isize * step), flip));
            }
        }
    }
}

struct Decode<'a, T: Sortable> {
    words: &'a mut [T::Word],
    flip: bool,
}

impl<T: Sortable> Work for Decode<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for word in self.words {
            *word = T::decode(turned(*word, self.flip));
        }
    }
}

/// Returns the rank of an element. Ranks compare as the elements do; both zeros have the same rank, and so do all NaNs.
#[inline(always)]
pub(crate) fn rank_of<T: Sortable>(bits: T::Word) -> u64 {
    T::rank(bits).widen().to_u64()
}

/// Adds up the counts of the parts of a pass.
pub(crate) fn totals<const N: usize>(
    threads: usize,
    n: usize,
    part: impl Fn(std::ops::Range<usize>) -> [usize; N] + Sync,
) -> [usize; N] {
    let total = Mutex::new([0; N]);
    let done = split(threads, n, PASS, |range| {
        let counts = part(range);
        total.lock().unwrap_or_else(|p| p.into_inner()).iter_mut().zip(counts).for_each(|(t, c)| *t += c);
        Ok(())
    });
    debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    total.into_inner().unwrap_or_else(|p| p.into_inner())
}
