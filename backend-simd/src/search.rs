//! Searches in sorted arrays: binary searches without branches, several at once so that their cache misses overlap.

use crate::lanes::{Body, Isa};
use crate::sort::{Sortable, Word, rank_of};
use crate::strided::base;
use crate::threads::{Shared, split};
use polyarray_core::op::{Search, Side};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Result, bf16, f16};
use std::marker::PhantomData;

/// The number of simultaneous searches.
const TOGETHER: usize = 16;

/// Runs a search and writes its result to `out`.
///
/// # Errors
/// None: it allocates no memory.
pub(crate) fn run(table: &Table, op: &Search, threads: usize, out: &Buffer) -> Result<()> {
    match op.dtype.size() {
        1 => sized::<u8>(table, op, threads, out),
        2 => sized::<u16>(table, op, threads, out),
        4 => sized::<u32>(table, op, threads, out),
        _ => sized::<u64>(table, op, threads, out),
    }
}

/// Searches elements of the size of `W`.
fn sized<W: Word>(table: &Table, op: &Search, threads: usize, out: &Buffer) -> Result<()> {
    let kernels = table.0[op.dtype as usize]
        .as_ref()
        .unwrap_or_else(|| unreachable!("core rejects searches among complex numbers"));
    let word = |buffer: &Buffer, offset: usize| Shared(base(buffer, op.dtype, offset).cast::<W>());
    let (sorted, values) = (word(&op.sorted.buffer, op.sorted.offset), word(&op.values.buffer, op.values.offset));
    let to = Shared(base(out, DType::I64, 0).cast::<i64>());
    split(threads, op.shape.size(), 256, |range| {
        let (mut keys, mut count, mut done) = ([0u64; TOGETHER], 0, range.start);
        let mut flush = |keys: &[u64; TOGETHER], count: usize| {
            let mut found = [0; TOGETHER];
            // SAFETY: `sorted` has n elements with this step, and the pointers are to whole arrays. The CPU has the
            // features of the tier whose table this is.
            unsafe {
                (kernels.find)(&Find {
                    sorted: sorted.get().cast::<u8>().cast_const(),
                    step: op.sorted.strides[0],
                    n: op.n,
                    keys,
                    or_equal: op.side == Side::Right,
                    found: &raw mut found,
                })
            };
            for found in &found[..count] {
                // SAFETY: the output has room for one number per value, and threads have disjoint ranges.
                unsafe { to.get().add(done).write(*found as i64) };
                done += 1;
            }
        };
        walk(&op.shape, [&op.values.strides], [0], range, |[at]| {
            // SAFETY: `at` is the offset of an element of the values.
            keys[count] = unsafe { (kernels.rank)(values.get().wrapping_offset(at).cast::<u8>().cast_const()) };
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

/// The functions of a dtype.
#[derive(Clone, Copy)]
struct Kernels {
    find: unsafe fn(&Find),
    /// Returns the rank of the element at an address that is valid for reads.
    rank: unsafe fn(*const u8) -> u64,
}

/// The functions of a tier that search.
pub(crate) struct Table([Option<Kernels>; DType::ALL.len()]);

impl Table {
    /// Returns the functions of tier `I`.
    pub(crate) const fn of<I: Isa>() -> Table {
        let mut table = [None; DType::ALL.len()];
        let mut d = 0;
        while d < DType::ALL.len() {
            table[DType::ALL[d] as usize] = kernels::<I>(DType::ALL[d]);
            d += 1;
        }
        Table(table)
    }
}

/// Returns the functions of a dtype that has an order.
const fn kernels<I: Isa>(dtype: DType) -> Option<Kernels> {
    const fn typed<I: Isa, T: Sortable>() -> Kernels {
        Kernels { find: I::kernel::<Searched<T>>, rank: rank::<T> }
    }
    Some(match dtype {
        DType::Bool => typed::<I, bool>(),
        DType::I8 => typed::<I, i8>(),
        DType::I16 => typed::<I, i16>(),
        DType::I32 => typed::<I, i32>(),
        DType::I64 => typed::<I, i64>(),
        DType::U8 => typed::<I, u8>(),
        DType::U16 => typed::<I, u16>(),
        DType::U32 => typed::<I, u32>(),
        DType::U64 => typed::<I, u64>(),
        DType::F16 => typed::<I, f16>(),
        DType::BF16 => typed::<I, bf16>(),
        DType::F32 => typed::<I, f32>(),
        DType::F64 => typed::<I, f64>(),
        DType::C32 | DType::C64 => return None,
    })
}

/// # Safety
/// - `at` is valid for reads of an element of `T`.
unsafe fn rank<T: Sortable>(at: *const u8) -> u64 {
    // SAFETY: the caller guarantees the element.
    rank_of::<T>(unsafe { at.cast::<T::Word>().read() })
}

/// Counts, for each key, the elements that are less (with `or_equal`: not greater), and writes the counts to `found`.
struct Find {
    sorted: *const u8,
    step: isize,
    n: usize,
    keys: *const [u64; TOGETHER],
    or_equal: bool,
    found: *mut [usize; TOGETHER],
}

/// [`Find`] among elements of `T`.
struct Searched<T>(PhantomData<T>);

impl<T: Sortable> Body for Searched<T> {
    type Args = Find;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Find) {
        let sorted = args.sorted.cast::<T::Word>();
        // SAFETY: every index passed to `at` is below `n`, even if the elements are not sorted, and the caller
        // guarantees n elements.
        let at = |i: usize| rank_of::<T>(unsafe { sorted.wrapping_offset(i as isize * args.step).read() });
        // SAFETY: the caller guarantees that `keys` is valid for reads.
        let keys = unsafe { &*args.keys };
        let before = |i: usize, key: u64| if args.or_equal { at(i) <= key } else { at(i) < key };
        // The result of each search is in `start ..= start + left`.
        let (mut starts, mut left) = ([0; TOGETHER], args.n);
        while left > 1 {
            let half = left / 2;
            for (start, &key) in starts.iter_mut().zip(keys) {
                *start += if before(*start + half - 1, key) { half } else { 0 };
            }
            left -= half;
        }
        for (start, &key) in starts.iter_mut().zip(keys) {
            *start += usize::from(before(*start, key));
        }
        // SAFETY: the caller guarantees that `found` is valid for writes.
        unsafe { args.found.write(starts) };
    }
}
