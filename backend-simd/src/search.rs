//! Searches in sorted arrays: binary searches without branches, several at once so that their cache misses overlap.

use crate::lanes::{Isa, Work};
use crate::sort::{Sortable, rank_of};
use crate::strided::base;
use crate::threads::{Shared, split};
use polyarray_core::op::{Search, Side};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Result, bf16, f16};

/// The number of simultaneous searches.
const TOGETHER: usize = 16;

/// Runs a search and writes its result to `out`.
///
/// # Errors
/// None: it allocates no memory.
pub(crate) fn run<I: Isa>(isa: I, op: &Search, threads: usize, out: &Buffer) -> Result<()> {
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
        DType::C32 | DType::C64 => unreachable!("core rejects searches among complex numbers"),
    }
}

fn typed<I: Isa, T: Sortable>(isa: I, op: &Search, threads: usize, out: &Buffer) -> Result<()> {
    let word = |buffer: &Buffer, offset: usize| Shared(base(buffer, op.dtype, offset).cast::<T::Word>());
    let (sorted, values) = (word(&op.sorted.buffer, op.sorted.offset), word(&op.values.buffer, op.values.offset));
    let to = Shared(base(out, DType::I64, 0).cast::<i64>());
    split(threads, op.shape.size(), 256, |range| {
        let (mut keys, mut count, mut done) = ([0u64; TOGETHER], 0, range.start);
        let mut flush = |keys: &[u64; TOGETHER], count: usize| {
            let found = isa.enter(Find::<T> {
                sorted: sorted.get(),
                step: op.sorted.strides[0],
                n: op.n,
                keys,
                or_equal: op.side == Side::Right,
            });
            for found in &found[..count] {
                // SAFETY: the output has room for one number per value, and threads have disjoint ranges.
                unsafe { to.get().add(done).write(*found as i64) };
                done += 1;
            }
        };
        walk(&op.shape, [&op.values.strides], [0], range, |[at]| {
            // SAFETY: `at` is the offset of an element of the values.
            keys[count] = rank_of::<T>(unsafe { values.get().wrapping_offset(at).read() });
            count += 1;
            if count == TOGETHER {
                flush(&keys, count);
                count = 0;
            }
        });
        flush(&keys, count);
        Ok(())
    })
}

/// Counts, for each key, the elements that are less (with `or_equal`: not greater).
struct Find<'a, T: Sortable> {
    sorted: *const T::Word,
    step: isize,
    n: usize,
    keys: &'a [u64; TOGETHER],
    or_equal: bool,
}

impl<T: Sortable> Work for Find<'_, T> {
    type Out = [usize; TOGETHER];
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> [usize; TOGETHER] {
        // SAFETY: every index passed to `at` is below `n`, even if the elements are not sorted.
        let at = |i: usize| rank_of::<T>(unsafe { self.sorted.wrapping_offset(i as isize * self.step).read() });
        let before = |i: usize, key: u64| if self.or_equal { at(i) <= key } else { at(i) < key };
        // The result of each search is in `start ..= start + left`.
        let (mut starts, mut left) = ([0; TOGETHER], self.n);
        while left > 1 {
            let half = left / 2;
            for (start, &key) in starts.iter_mut().zip(self.keys) {
                *start += if before(*start + half - 1, key) { half } else { 0 };
            }
            left -= half;
        }
        for (start, &key) in starts.iter_mut().zip(self.keys) {
            *start += usize::from(before(*start, key));
        }
        starts
    }
}
