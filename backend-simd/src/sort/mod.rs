//! Sorting of lines. Elements are converted to unsigned integers in the same order (`keys`). The integers are sorted,
//! or the integers of some ranks are selected (`select`), and they are converted back to elements.
//!
//! On AVX-512 a vectorized quicksort sorts the integers (`quick`, `avx512`); on other tiers the standard library does.
//! Indices are sorted as integers, too: the index is in the low bits of an integer, and as many bits of its key as fit
//! are above it. Where these bits do not distinguish keys, a second sort of such keys does (`indices`). The indices of
//! the first few ranks are found in one pass (`leaders`).

#[cfg(target_arch = "x86_64")]
mod avx512;
mod indices;
mod keys;
mod leaders;
#[cfg(target_arch = "x86_64")]
mod quick;
mod select;
mod short;
#[cfg(test)]
mod tests;

use crate::lanes::portable::Portable;
use crate::lanes::{Body, Isa};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};
use crate::scratch::Scratch;
use crate::strided::base;
use crate::threads::{Shared, split};
pub(crate) use keys::{Key, Sortable, Word};
use polyarray_core::op::{Give, Sort};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Result, SmallSort, bf16, f16};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;

/// A tier that sorts integers.
pub(crate) trait Sorter: Isa {
    /// Whether the functions need scratch memory as long as the keys.
    const SPARE: bool;
    /// Returns whether [`sort16`](Self::sort16) is faster than sorting the keys as 32-bit ones.
    fn has16(self) -> bool;
    /// Sorts on at most `threads` threads. The initial contents of `spare` are arbitrary.
    fn sort16(self, keys: &mut [u16], spare: &mut [u16], threads: usize);
    /// As [`sort16`](Self::sort16).
    fn sort32(self, keys: &mut [u32], spare: &mut [u32], threads: usize);
    /// As [`sort16`](Self::sort16).
    fn sort64(self, keys: &mut [u64], spare: &mut [u64], threads: usize);
    /// Sorts each line of `n` keys, at most [`short::SHORT`].
    fn lines16(self, keys: &mut [u16], n: usize);
    /// As [`lines16`](Self::lines16).
    fn lines32(self, keys: &mut [u32], n: usize);
    /// As [`lines16`](Self::lines16).
    fn lines64(self, keys: &mut [u64], n: usize);
}

macro_rules! standard {
    ($($Isa:ident),*) => { $(
        impl Sorter for $Isa {
            const SPARE: bool = false;
            fn has16(self) -> bool {
                false
            }
            fn sort16(self, keys: &mut [u16], _: &mut [u16], threads: usize) {
                standard(keys, threads);
            }
            fn sort32(self, keys: &mut [u32], _: &mut [u32], threads: usize) {
                standard(keys, threads);
            }
            fn sort64(self, keys: &mut [u64], _: &mut [u64], threads: usize) {
                standard(keys, threads);
            }
            fn lines16(self, keys: &mut [u16], n: usize) {
                keys.chunks_exact_mut(n).for_each(<[u16]>::sort_unstable);
            }
            fn lines32(self, keys: &mut [u32], n: usize) {
                keys.chunks_exact_mut(n).for_each(<[u32]>::sort_unstable);
            }
            fn lines64(self, keys: &mut [u64], n: usize) {
                keys.chunks_exact_mut(n).for_each(<[u64]>::sort_unstable);
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
    fn has16(self) -> bool {
        avx512::Vbmi2::new(self).is_some()
    }
    fn sort16(self, keys: &mut [u16], spare: &mut [u16], threads: usize) {
        match avx512::Vbmi2::new(self) {
            Some(isa) => quick::sort(isa, keys, spare, threads),
            None => standard(keys, threads),
        }
    }
    fn sort32(self, keys: &mut [u32], spare: &mut [u32], threads: usize) {
        quick::sort(self, keys, spare, threads);
    }
    fn sort64(self, keys: &mut [u64], spare: &mut [u64], threads: usize) {
        quick::sort(self, keys, spare, threads);
    }
    fn lines16(self, keys: &mut [u16], n: usize) {
        match avx512::Vbmi2::new(self) {
            Some(isa) => avx512::sort_lines(isa, keys, n),
            None => keys.chunks_exact_mut(n).for_each(<[u16]>::sort_unstable),
        }
    }
    fn lines32(self, keys: &mut [u32], n: usize) {
        avx512::sort_lines(self, keys, n);
    }
    fn lines64(self, keys: &mut [u64], n: usize) {
        avx512::sort_lines(self, keys, n);
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
pub(crate) fn sort_keys<K: Key>(table: &Table, keys: &mut [K], threads: usize) -> Result<()> {
    let n = if table.spare { keys.len() } else { 0 };
    let mut scratch = Scratch::new(n * size_of::<K>())?;
    K::sort(table, keys, integers(&mut scratch, n), threads);
    Ok(())
}

/// The functions of a tier that sort. The code that divides the work is compiled once for all tiers, and for each size
/// of elements.
pub(crate) struct Table {
    /// Whether the functions that sort need scratch memory as long as the keys.
    spare: bool,
    has16: fn() -> bool,
    sort16: fn(&mut [u16], &mut [u16], usize),
    sort32: fn(&mut [u32], &mut [u32], usize),
    sort64: fn(&mut [u64], &mut [u64], usize),
    lines16: fn(&mut [u16], usize),
    lines32: fn(&mut [u32], usize),
    lines64: fn(&mut [u64], usize),
    conversions: [Option<Conversions>; DType::ALL.len()],
    selection16: select::Passes<u16>,
    selection32: select::Passes<u32>,
    selection64: select::Passes<u64>,
    indices: indices::Passes,
    leaders: leaders::Passes,
}

impl Table {
    /// Returns the functions of tier `I`.
    ///
    /// # Safety
    /// - The functions are called only on a CPU with the features of the tier.
    pub(crate) const unsafe fn of<I: Sorter>() -> Table {
        let mut conversions = [None; DType::ALL.len()];
        let mut d = 0;
        while d < DType::ALL.len() {
            conversions[DType::ALL[d] as usize] = Conversions::of::<I>(DType::ALL[d]);
            d += 1;
        }
        // SAFETY: the caller guarantees the features.
        unsafe {
            Table {
                spare: I::SPARE,
                has16: || I::assume().has16(),
                sort16: |keys, spare, threads| I::assume().sort16(keys, spare, threads),
                sort32: |keys, spare, threads| I::assume().sort32(keys, spare, threads),
                sort64: |keys, spare, threads| I::assume().sort64(keys, spare, threads),
                lines16: |keys, n| I::assume().lines16(keys, n),
                lines32: |keys, n| I::assume().lines32(keys, n),
                lines64: |keys, n| I::assume().lines64(keys, n),
                conversions,
                selection16: select::Passes::of::<I>(),
                selection32: select::Passes::of::<I>(),
                selection64: select::Passes::of::<I>(),
                indices: indices::Passes::of::<I>(),
                leaders: leaders::Passes::of::<I>(),
            }
        }
    }
}

/// Runs a sort and writes the result to `out`.
///
/// # Errors
/// Out of memory.
pub(crate) fn run(table: &'static Table, op: &Sort, threads: usize, out: &Buffer) -> Result<()> {
    match op.dtype.size() {
        1 => sized::<u8>(table, op, threads, out),
        2 => sized::<u16>(table, op, threads, out),
        4 => sized::<u32>(table, op, threads, out),
        _ => sized::<u64>(table, op, threads, out),
    }
}

/// Sorts a line. Returns `false`, with arbitrary elements written, if there is not enough memory.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallSort`].
pub(crate) unsafe fn small(table: &'static Table, work: &SmallSort) -> bool {
    // SAFETY: the caller guarantees the invariants of `SmallSort`.
    unsafe {
        match work.dtype.size() {
            1 => small_sized::<u8>(table, work),
            2 => small_sized::<u16>(table, work),
            4 => small_sized::<u32>(table, work),
            _ => small_sized::<u64>(table, work),
        }
    }
    .is_ok()
}

/// Sorts a line of elements of the size of `W`.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallSort`].
unsafe fn small_sized<W: Word>(table: &'static Table, work: &SmallSort) -> Result<()> {
    let conversions = conversions(table, work.dtype);
    let line = Line { table, conversions, from: work.values, size: size_of::<W>(), step: 1, n: work.len, flip: false };
    // SAFETY: the elements are readable, and `out` has room for all elements or indices (invariants of `SmallSort`).
    unsafe { one::<W>(&line, work.give, 0..work.len, work.out, 1) }
}

/// Returns the conversions of a dtype that has an order.
fn conversions(table: &'static Table, dtype: DType) -> &'static Conversions {
    table.conversions[dtype as usize].as_ref().unwrap_or_else(|| {
        unreachable!("internal error: complex numbers have no order, so core should have rejected them")
    })
}

/// Sorts elements of the size of `W`.
fn sized<W: Word>(table: &'static Table, op: &Sort, threads: usize, out: &Buffer) -> Result<()> {
    let conversions = conversions(table, op.dtype);
    let (lines, taken) = (op.lines.size(), op.take.len());
    let (outer, step) = (&op.input.strides[..op.lines.len()], op.input.strides[op.lines.len()]);
    let from = Shared(base(&op.input.buffer, op.dtype, op.input.offset).cast::<W>());
    let to = Shared(base(out, op.output(), 0));
    let size = op.output().size();
    if lines > 1 && short::Lines::<W>::are_short(op) {
        let short = short::Lines { table, conversions, op, from, to };
        return split(threads, lines, (4096 / op.n).max(1), |range| short.run(range));
    }
    let some_lines = |range: std::ops::Range<usize>, threads: usize| {
        let (mut number, mut done) = (range.start, Ok(()));
        walk(&op.lines, [outer], [0], range, |[at]| {
            if done.is_ok() {
                let from = from.get().wrapping_offset(at).cast::<u8>().cast_const();
                let line = Line { table, conversions, from, size: size_of::<W>(), step, n: op.n, flip: op.descending };
                // SAFETY: the line lies within the operand. Line `number` of the output has room for the taken
                // elements, and no other thread writes to it.
                done = unsafe {
                    one::<W>(&line, op.give, op.take.clone(), to.get().wrapping_add(number * taken * size), threads)
                };
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
/// - The line's elements are readable, and have the size of `W`.
/// - `to` is valid for writes of all elements or indices that are taken of a line, and nothing else accesses them
///   meanwhile.
unsafe fn one<W: Word>(line: &Line, give: Give, take: Range<usize>, to: *mut u8, threads: usize) -> Result<()> {
    let (table, conversions) = (line.table, line.conversions);
    let whole = take.len() == line.n;
    match give {
        Give::Values if whole => {
            let words = to.cast::<W>();
            // SAFETY: the output has room for n elements, which the caller guarantees. `read` initializes them, and
            // nothing else accesses them.
            let words = unsafe {
                line.read((conversions.encoded, size_of::<W>()), to, threads);
                std::slice::from_raw_parts_mut(words, line.n)
            };
            W::sort_words(table, words, threads)?;
            // SAFETY: the output has the keys of n elements.
            unsafe { line.decode(to, line.n, threads) };
            Ok(())
        }
        Give::Values => {
            let n = line.n;
            let mut scratch = Scratch::new(n * size_of::<W::Wide>())?;
            let keys = integers::<W::Wide>(&mut scratch, n);
            // SAFETY: the scratch has room for n keys.
            unsafe { line.read((conversions.widened, size_of::<W::Wide>()), keys.as_mut_ptr().cast(), threads) };
            let mut found = Scratch::new(take.len() * size_of::<W::Wide>())?;
            let ranks = integers::<W::Wide>(&mut found, take.len());
            select::ranks(table, keys, take, ranks, threads)?;
            // SAFETY: the output has room for the taken elements, which the caller guarantees.
            unsafe {
                for (i, key) in ranks.iter().enumerate() {
                    to.cast::<W>().add(i).write(W::narrow(*key));
                }
                line.decode(to, ranks.len(), 1);
            }
            Ok(())
        }
        // SAFETY: the output has room for the taken indices, which the caller guarantees.
        Give::Indices => unsafe { indices::run(line, take, to.cast::<u64>(), threads) },
    }
}

/// The elements of a line.
///
/// Invariant: `from` is valid for reads of `n` elements of `size` bytes with a distance of `step` elements. They have
/// the dtype of `conversions`.
struct Line {
    table: &'static Table,
    conversions: &'static Conversions,
    from: *const u8,
    size: usize,
    step: isize,
    n: usize,
    /// Whether the order is descending. The keys are then complemented.
    flip: bool,
}

// SAFETY: a line is only read.
unsafe impl Sync for Line {}

/// The integer type in which vectors sort elements of `T`.
type Wide<T> = <<T as Sortable>::Word as Word>::Wide;

/// A conversion of an element's bits.
trait Made<T: Sortable>: Copy + Send + Sync + 'static {
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

/// Elements to convert: `n` elements, `step` elements apart from `from` on, into contiguous results at `to`.
struct Converted {
    from: *const u8,
    step: isize,
    n: usize,
    flip: bool,
    to: *mut u8,
}

/// A conversion of elements.
///
/// # Safety
/// - The elements are valid for reads, and `to` for writes of the results. They are the same, or do not overlap.
/// - The CPU has the features of the tier.
type Conversion = unsafe fn(&Converted);

/// The conversions of a dtype.
#[derive(Clone, Copy)]
struct Conversions {
    encoded: Conversion,
    widened: Conversion,
    ranked: Conversion,
    /// Converts keys back to the bits of elements.
    decode: Conversion,
}

impl Conversions {
    /// Returns the conversions of a dtype that has an order.
    const fn of<I: Isa>(dtype: DType) -> Option<Conversions> {
        Some(match dtype {
            DType::Bool => Conversions::typed::<I, bool>(),
            DType::I8 => Conversions::typed::<I, i8>(),
            DType::I16 => Conversions::typed::<I, i16>(),
            DType::I32 => Conversions::typed::<I, i32>(),
            DType::I64 => Conversions::typed::<I, i64>(),
            DType::U8 => Conversions::typed::<I, u8>(),
            DType::U16 => Conversions::typed::<I, u16>(),
            DType::U32 => Conversions::typed::<I, u32>(),
            DType::U64 => Conversions::typed::<I, u64>(),
            DType::F16 => Conversions::typed::<I, f16>(),
            DType::BF16 => Conversions::typed::<I, bf16>(),
            DType::F32 => Conversions::typed::<I, f32>(),
            DType::F64 => Conversions::typed::<I, f64>(),
            DType::C32 | DType::C64 => return None,
        })
    }

    const fn typed<I: Isa, T: Sortable>() -> Conversions {
        Conversions {
            encoded: I::kernel::<Read<T, Encoded>>,
            widened: I::kernel::<Read<T, Widened>>,
            ranked: I::kernel::<Read<T, Ranked>>,
            decode: I::kernel::<Decode<T>>,
        }
    }
}

impl Line {
    /// Converts each element and writes the results, of `size` bytes, to `to`.
    ///
    /// # Safety
    /// - `conversion` is one of the line's, and its results have this size.
    /// - `to` is valid for writes of `n` results, and nothing else accesses them meanwhile.
    unsafe fn read(&self, (conversion, size): (Conversion, usize), to: *mut u8, threads: usize) {
        let to = Shared(to);
        let done = split(threads, self.n, PASS, |range| {
            let from = self.from.wrapping_offset(range.start as isize * self.step * self.size as isize);
            let to = to.get().wrapping_add(range.start * size);
            // SAFETY: the elements are readable (the invariant), and the caller guarantees room for the results. The
            // parts do not overlap. The CPU has the features of the tier whose table this is.
            unsafe { conversion(&Converted { from, step: self.step, n: range.len(), flip: self.flip, to }) };
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    }

    /// Returns the rank of one element.
    fn rank(&self, i: usize) -> u64 {
        debug_assert!(i < self.n);
        let mut rank = 0u64;
        let from = self.from.wrapping_offset(i as isize * self.step * self.size as isize);
        let to = (&raw mut rank).cast();
        // SAFETY: i < n, so this is an element of the line (the invariant), and there is room for its rank. The CPU has
        // the features of the tier whose table this is.
        unsafe { (self.conversions.ranked)(&Converted { from, step: 1, n: 1, flip: self.flip, to }) };
        rank
    }

    /// Converts `n` keys at `words` back to the bits of elements.
    ///
    /// # Safety
    /// - `words` is valid for reads and writes of `n` keys of elements of the line's dtype, and nothing else accesses
    ///   them meanwhile.
    unsafe fn decode(&self, words: *mut u8, n: usize, threads: usize) {
        let all = Shared(words);
        let done = split(threads, n, PASS, |range| {
            let to = all.get().wrapping_add(range.start * self.size);
            // SAFETY: the range is a part of the keys, which the caller guarantees, and the parts do not overlap. The
            // CPU has the features of the tier whose table this is.
            unsafe { (self.conversions.decode)(&Converted { from: to, step: 1, n: range.len(), flip: self.flip, to }) };
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    }
}

/// Converts elements of `T` by `M`.
struct Read<T, M>(PhantomData<(T, M)>);

impl<T: Sortable, M: Made<T>> Body for Read<T, M> {
    type Args = Converted;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Converted) {
        let &Converted { from, step, n, flip, to } = args;
        let (from, to) = (from.cast::<T::Word>(), to.cast::<M::Out>());
        // SAFETY: the caller guarantees the elements and room for the results. Both are aligned, because buffers are
        // aligned to their elements.
        unsafe {
            if step == 1 {
                (0..n).for_each(|i| *to.add(i) = M::make(*from.add(i), flip));
            } else {
                (0..n).for_each(|i| *to.add(i) = M::make(*from.wrapping_offset(i as isize * step), flip));
            }
        }
    }
}

/// Converts contiguous keys to elements of `T` in place.
struct Decode<T>(PhantomData<T>);

impl<T: Sortable> Body for Decode<T> {
    type Args = Converted;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Converted) {
        let words = args.to.cast::<T::Word>();
        for i in 0..args.n {
            // SAFETY: i < n, and the caller guarantees n keys.
            unsafe { *words.add(i) = T::decode(turned(*words.add(i), args.flip)) };
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
