//! Sums of integers of up to 32 bits as 64-bit integers. Their order does not matter.

use super::kind::{Kept, Kind};
use crate::lanes::Isa;
use polyarray_core::Element;
use polyarray_core::order::ROWS;

/// The sum of integers that are not converted before.
pub(super) struct Integers;

/// An integer of up to 32 bits.
pub(super) trait Narrow: Element + Copy {
    /// The type in which some elements are added.
    type Wide: Element + Copy + Into<i64>;
    /// The number of elements whose sum always fits into [`Wide`](Self::Wide).
    const MOST: usize;
    fn widen(self) -> Self::Wide;
    fn add(left: Self::Wide, right: Self::Wide) -> Self::Wide;
}

macro_rules! narrow {
    ($($T:ident in $Wide:ident, $most:expr;)*) => { $(
        impl Narrow for $T {
            type Wide = $Wide;
            const MOST: usize = $most;
            #[inline(always)]
            fn widen(self) -> $Wide {
                self.into()
            }
            #[inline(always)]
            fn add(left: $Wide, right: $Wide) -> $Wide {
                left.wrapping_add(right)
            }
        }
    )* };
}
narrow! {
    u8 in i32, 1 << 23;
    i8 in i32, 1 << 23;
    u16 in i32, 1 << 15;
    i16 in i32, 1 << 15;
    u32 in i64, 1 << 31;
    i32 in i64, 1 << 31;
}

/// The number of sums of a block: several vectors, which are added to in turns.
const LANES: usize = 64;

/// Adds the `n` elements from `src` on to `sums`, element i to sum `i % sums.len()`.
///
/// # Safety
/// - The elements are valid for reads.
/// - No sum gets more than [`Narrow::MOST`] elements.
#[inline(always)]
unsafe fn add_in_turns<T: Narrow>(src: *const T, n: usize, sums: &mut [T::Wide]) {
    for start in (0..n).step_by(sums.len()) {
        let count = sums.len().min(n - start);
        for (i, sum) in sums[..count].iter_mut().enumerate() {
            // SAFETY: `start + i < n`, so the caller guarantees the element.
            *sum = T::add(*sum, unsafe { *src.add(start + i) }.widen());
        }
    }
}

impl<T: Narrow> Kind<T> for Integers {
    type State = i64;
    // The sums of a row stay in the first-level cache.
    const ROW_BYTES: usize = 4 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(_: I, src: *const T, n: usize, _: usize, _: Option<i64>) -> i64 {
        if n < LANES {
            // SAFETY: i < n, so the caller guarantees the element.
            return (0..n).map(|i| unsafe { *src.add(i) }.widen().into()).sum();
        }
        let most = T::MOST.saturating_mul(LANES);
        let parts = (0..n).step_by(most).map(|start| {
            let mut sums = [T::Wide::default(); LANES];
            // SAFETY: the part lies within the `n` elements, which the caller guarantees.
            unsafe { add_in_turns(src.add(start), most.min(n - start), &mut sums) };
            sums.iter().map(|&sum| sum.into()).fold(0, i64::wrapping_add)
        });
        parts.fold(0, i64::wrapping_add)
    }

    #[inline(always)]
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut i64) {
        for i in 0..count {
            let src = src.wrapping_offset(i as isize * step);
            // SAFETY: i < count, so the caller guarantees the elements of block i and room for its result.
            unsafe { out.add(i).write(if n == 1 { (*src).widen().into() } else { Self::block(isa, src, n, 0, None) }) };
        }
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(_: I, kept: &mut Kept, rows: &[*const T], n: usize, _: usize, out: *mut i64) {
        const { assert!(ROWS <= T::MOST) };
        debug_assert!(rows.len() <= ROWS);
        let sums = kept.elements::<T::Wide>(n);
        sums.fill(T::Wide::default());
        for row in rows {
            // SAFETY: the caller guarantees `n` elements of each row, and a sum gets one of each.
            unsafe { add_in_turns(*row, n, sums) };
        }
        for (i, &sum) in sums.iter().enumerate() {
            // SAFETY: the caller guarantees room for `n` results.
            unsafe { out.add(i).write(sum.into()) };
        }
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(_: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut i64) {
        // Sums of several rows side by side fill vectors. A block is short enough that they do not overflow.
        let all = width * LANES.div_ceil(width);
        const { assert!(256 / size_of::<T>() * ROWS <= T::MOST) };
        let sums = kept.elements::<T::Wide>(all);
        sums.fill(T::Wide::default());
        // SAFETY: the caller guarantees `n` elements, of which each column has at most a block.
        unsafe { add_in_turns(src, n, sums) };
        for i in 0..width {
            let total = sums[i..].iter().step_by(width).map(|&sum| sum.into()).fold(0, i64::wrapping_add);
            // SAFETY: the caller guarantees room for `width` results.
            unsafe { out.add(i).write(total) };
        }
    }

    #[inline(always)]
    fn merge(left: &mut i64, right: i64) {
        *left = left.wrapping_add(right);
    }
}
