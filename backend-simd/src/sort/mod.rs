//! Sorting lines: elements become unsigned integers in the same order (`keys`), which are sorted, or of which some ranks are selected (`select`), and become elements again.
//!
//! On AVX-512 integers are sorted by a quicksort in vectors (`quick`, `avx512`); elsewhere by the standard library's. Indices are sorted as integers, too: an index stands in the
//! low bits of an integer, as much of its key as there is room for above it; where that does not tell keys apart, a second sort of those does (`indices`).

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
    /// Whether [`sort32`](Self::sort32) and [`sort64`](Self::sort64) want spare memory as long as what they sort.
    const SPARE: bool;
    /// Sorts on at most `threads` threads; `spare` holds anything.
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

/// The standard library's sort, on parts that a selection has made.
fn standard<K: Key>(keys: &mut [K], threads: usize) {
    if threads < 2 || keys.len() < SHARED {
        return keys.sort_unstable();
    }
    let middle = keys.len() * (threads / 2) / threads;
    keys.select_nth_unstable(middle);
    let (low, high) = keys.split_at_mut(middle);
    crate::threads::join(|| standard(low, threads / 2), || standard(high, threads - threads / 2));
}

/// Lines of fewer elements are not shared out among threads.
const SHARED: usize = 1 << 14;
/// Elements that a thread has at least where a pass over a line is shared out.
const PASS: usize = 1 << 14;

/// Integers in scratch memory.
pub(crate) fn integers<K: Word>(scratch: &mut Scratch, n: usize) -> &mut [K] {
    assert!(n <= scratch.bytes() / size_of::<K>(), "more than was asked for");
    // SAFETY: the length was checked; the block is aligned to 64 bytes and has been written, and every bit pattern is an integer; it is exclusively borrowed.
    unsafe { std::slice::from_raw_parts_mut(scratch.ptr().cast::<K>(), n) }
}

/// Sorts keys, with spare memory from the scratch where the tier wants it.
///
/// # Errors
/// Out of memory.
pub(crate) fn sort_keys<I: Sorter, K: Key>(isa: I, keys: &mut [K], threads: usize) -> Result<()> {
    let n = if I::SPARE { keys.len() } else { 0 };
    let mut scratch = Scratch::new(n * size_of::<K>())?;
    K::sort(isa, keys, integers(&mut scratch, n), threads);
    Ok(())
}

/// Runs a sort whose result goes to `out`.
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
        DType::C32 | DType::C64 => unreachable!("core refuses to order complex numbers"),
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
                // SAFETY: the line lies in the operand; line `number` of the output, of which every thread has others, has room for what is taken.
                done = unsafe { one(isa, &line, op, to.get().wrapping_add(number * taken * size), threads) };
            }
            number += 1;
        });
        done
    };
    if lines >= threads {
        // Enough for a thread to be worth waking.
        let unit = (4096 / op.n).max(1);
        return split(threads, lines, unit, |range| some_lines(range, 1));
    }
    some_lines(0..lines, threads)
}

/// Sorts one line.
///
/// # Safety
/// - the line's elements may be read, and `to` written for all that is taken of one line.
unsafe fn one<I: Sorter, T: Sortable>(isa: I, line: &Line<T>, op: &Sort, to: *mut u8, threads: usize) -> Result<()> {
    let whole = op.take.len() == op.n;
    match op.give {
        Give::Values if whole => {
            let words = to.cast::<T::Word>();
            // SAFETY: the output has room for n elements, which `read` writes; nobody else has them.
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
                // SAFETY: the output has room for what is taken.
                unsafe { to.cast::<T::Word>().add(i).write(T::decode(turned(word, line.flip))) };
            }
            Ok(())
        }
        // SAFETY: the caller's.
        Give::Indices => unsafe { indices::run(isa, line, op.take.clone(), to.cast::<u64>(), threads) },
    }
}

/// The integer that vectors sort for elements of `T`.
type Wide<T> = <<T as Sortable>::Word as Word>::Wide;

/// The elements of a line.
///
/// Invariant: `from` is valid for reads of `n` elements, `step` apart.
struct Line<T: Sortable> {
    from: *const T::Word,
    step: isize,
    n: usize,
    /// Descending: keys are turned round.
    flip: bool,
}

// SAFETY: a line is only read.
unsafe impl<T: Sortable> Sync for Line<T> {}

/// What is made of an element's bits.
trait Made<T: Sortable>: Copy + Send + Sync {
    type Out: Copy + Send;
    fn make(bits: T::Word, flip: bool) -> Self::Out;
}

#[inline(always)]
fn turned<W: Word>(word: W, flip: bool) -> W {
    if flip { word.not() } else { word }
}

/// Its key.
#[derive(Clone, Copy)]
struct Encoded;
/// Its key, as wide as vectors sort.
#[derive(Clone, Copy)]
struct Widened;
/// Its rank: equal for equal elements, as u64.
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
    /// Writes what `M` makes of each element to `to`.
    ///
    /// # Safety
    /// - `to` is valid for writes of `n` of them, and nobody else uses them.
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
        debug_assert!(done.is_ok(), "nothing here fails");
    }

    /// The rank of one element.
    fn rank(&self, i: usize) -> u64 {
        debug_assert!(i < self.n);
        // SAFETY: an element of the line.
        <Ranked as Made<T>>::make(unsafe { self.from.wrapping_offset(i as isize * self.step).read() }, self.flip)
    }

    /// Makes keys the elements' bits again.
    fn decode<I: Isa>(&self, isa: I, words: &mut [T::Word], threads: usize) {
        let (all, flip) = (Shared(words.as_mut_ptr()), self.flip);
        let done = split(threads, words.len(), PASS, |range| {
            // SAFETY: a part of the slice, which is exclusively borrowed; parts do not overlap.
            let words = unsafe { std::slice::from_raw_parts_mut(all.get().add(range.start), range.len()) };
            isa.enter(Decode::<T> { words, flip });
            Ok(())
        });
        debug_assert!(done.is_ok(), "nothing here fails");
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
        // SAFETY: of `Line` and `Line::read`. Memory is aligned: buffers are, to their elements.
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

/// The rank of an element: what compares as elements do where both zeros are equal, and all NaNs.
#[inline(always)]
pub(crate) fn rank_of<T: Sortable>(bits: T::Word) -> u64 {
    T::rank(bits).widen().to_u64()
}

/// Adds up what parts of a pass count.
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
    debug_assert!(done.is_ok(), "nothing here fails");
    total.into_inner().unwrap_or_else(|p| p.into_inner())
}
