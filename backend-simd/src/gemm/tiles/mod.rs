//! Products by engines that multiply whole tiles of short numbers: bf16 into f32, and i8 into i32. What is longer is cut into short parts, whose products make up its own.
//!
//! - [`engine`](Engine): who multiplies: AMX, or the dot products of AVX-512.
//! - [`parts`]: floats as sums of bf16 numbers; [`bytes`]: i8; [`residues`]: floats as integers modulo many numbers below 256.
//!
//! All of them share the panels' form. A step is 64 bytes of the depth: 32 bf16 or 64 i8. A panel holds, step after step and part after part, two tiles of 1 KB. A tile of A is 16 rows of a step;
//! a tile of B is 16 columns, 4 bytes of the depth of each column next to each other, then those of the next column.

#[cfg(target_arch = "x86_64")]
mod amx;
mod bytes;
mod choose;
#[cfg(target_arch = "x86_64")]
mod dots;
mod parts;
#[cfg(test)]
mod plain;
mod residues;
#[cfg(test)]
mod tests;

pub(crate) use choose::{Engines, Tiled};

use super::Matrix;
use crate::lanes::Isa;
use polyarray_core::Result;

/// Rows and columns of a tile of C: two by two of the engines' own.
const SIDE: usize = 32;
/// Bytes of one part of a step of a panel.
const STEP: usize = 2048;

/// Which parts of A meet which of B: part i of A those of B below `REACH[i]`.
pub(crate) type Reach = &'static [usize];

/// Who multiplies tiles.
pub(crate) trait Engine: Copy + Send + Sync + 'static {
    /// The tier of the vectors beside it.
    type Isa: Isa;
    fn isa(self) -> Self::Isa;
    /// Does work on this thread with the engine ready for it.
    fn within(self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        work()
    }
    /// C, of 32 by 32 in rows, becomes the sum of the products of parts that `reach` names, over `steps` of 32.
    ///
    /// # Safety
    /// - called inside [`Engine::within`]; `a` and `b` are valid for reads of panels of `steps` with as many parts as `reach` names, `c` for writes of 1024.
    unsafe fn bf16(self, reach: Reach, steps: usize, a: *const u8, b: *const u8, c: *mut f32);
    /// C, of 32 by 32 in rows, becomes the product over `steps` of 64, wrapping; or that is added to it.
    ///
    /// # Safety
    /// - as [`Engine::bf16`], with one part; `c` is valid for reads if `add`.
    unsafe fn int8(self, steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool);
}

/// Copies `[32, N]` of a matrix, converted; what is not there of it becomes zero.
///
/// # Safety
/// - `from` is valid for reads of `[rows, columns]`, which are at most 32 and `N`.
#[inline(always)]
unsafe fn load<T: Copy, W: Copy, const N: usize>(
    from: Matrix<T>,
    rows: usize,
    columns: usize,
    zero: W,
    convert: impl Fn(T) -> W,
    to: &mut [[W; N]; SIDE],
) {
    if rows < SIDE || columns < N {
        *to = [[zero; N]; SIDE];
    }
    if from.column == 1 && columns == N {
        for (r, row) in to.iter_mut().enumerate().take(rows) {
            // SAFETY: a row of the caller's.
            let from = unsafe { &*from.from(r, 0).at.cast::<[T; N]>() };
            for (to, x) in row.iter_mut().zip(from) {
                *to = convert(*x);
            }
        }
    } else if from.row == 1 {
        for c in 0..columns {
            let from = from.from(0, c).at;
            for (r, row) in to.iter_mut().enumerate().take(rows) {
                // SAFETY: an element of the caller's.
                row[c] = convert(unsafe { *from.add(r) });
            }
        }
    } else {
        for (r, row) in to.iter_mut().enumerate().take(rows) {
            for (c, to) in row.iter_mut().enumerate().take(columns) {
                // SAFETY: an element of the caller's.
                *to = convert(unsafe { *from.from(r, c).at });
            }
        }
    }
}
