//! Counts of truth values: sums of bytes of 0 or 1 as 64-bit integers.

use super::kind::{Kept, Kind};
use crate::lanes::Isa;

/// The sum of truth values. Their order does not matter.
pub(super) struct Truths;

/// The number of bytes that are added at once.
const WIDTH: usize = 64;

/// Adds up to 255 rows of [`WIDTH`] bytes, `step` bytes apart.
///
/// # Safety
/// - The bytes are valid for reads.
#[inline(always)]
unsafe fn columns(src: *const u8, step: usize, rows: usize) -> [u8; WIDTH] {
    let mut sums = [0u8; WIDTH];
    for row in 0..rows {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller guarantees the bytes. A sum of at most 255 truth values fits into a byte.
            *sum = sum.wrapping_add(unsafe { *src.add(row * step + i) });
        }
    }
    sums
}

impl Kind<u8> for Truths {
    type State = i64;
    const ROW_BYTES: usize = 4 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(_: I, src: *const u8, n: usize, _: usize, _: Option<i64>) -> i64 {
        let (mut total, mut at) = (0, 0);
        while n - at >= WIDTH {
            let rows = ((n - at) / WIDTH).min(255);
            // SAFETY: the rows lie within the `n` bytes, which the caller guarantees.
            let sums = unsafe { columns(src.add(at), WIDTH, rows) };
            total += sums.iter().map(|&sum| i64::from(sum)).sum::<i64>();
            at += rows * WIDTH;
        }
        // SAFETY: all indices are below n.
        total + (at..n).map(|i| i64::from(unsafe { *src.add(i) })).sum::<i64>()
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(_: I, _: &mut Kept, rows: &[*const u8], n: usize, _: usize, out: *mut i64) {
        for i in 0..n {
            // SAFETY: i < n, so the caller guarantees an element of each row, and room for the result.
            unsafe { out.add(i).write(0) };
        }
        for row in rows {
            for i in 0..n {
                // SAFETY: i < n, so the caller guarantees an element of the row; the result was written above.
                unsafe { *out.add(i) += i64::from(*row.add(i)) };
            }
        }
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(_: I, _: &mut Kept, src: *const u8, n: usize, width: usize, out: *mut i64) {
        for i in 0..width {
            // SAFETY: the caller guarantees `width` results, and `n` elements, a multiple of `width`.
            unsafe { out.add(i).write((i..n).step_by(width).map(|at| i64::from(*src.add(at))).sum()) };
        }
    }

    #[inline(always)]
    fn merge(left: &mut i64, right: i64) {
        *left += right;
    }
}
