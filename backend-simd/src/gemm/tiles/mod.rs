//! Products by engines that multiply whole tiles of short numbers: bf16 into f32, and bytes into 32-bit integers.
//! Longer numbers are split into short parts, whose products add up to the product of the whole.
//!
//! - [`engine`](Engine): the multiplication of tiles, by AMX or by the dot products of AVX-512.
//! - [`parts`]: floats as sums of bf16 numbers; [`bytes`]: i8 and u8; [`residues`]: floats as integers modulo many
//!   numbers up to 256.
//!
//! All of them have the same panel format. A step is 64 bytes of the depth: 32 bf16 or 64 bytes. A panel has, for each
//! step and each part, two tiles of 1 KB. A tile of A is 16 rows of 64 bytes. A tile of B has 16 columns: the first 4
//! bytes of the depth of each column in turn, then the next 4 bytes of each, and so on.

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

pub(crate) use bytes::Byte;
pub(crate) use choose::{Engines, Tiled, with_bytes};

use super::Matrix;
use crate::lanes::Isa;
use polyarray_core::Result;

/// The rows and columns of a tile of C: two by two tiles of the engines.
const SIDE: usize = 32;
/// The bytes of one part of a step of a panel.
const STEP: usize = 2048;

/// The products of parts that are computed: part i of A is multiplied by the parts of B below `REACH[i]`.
pub(crate) type Reach = &'static [usize];

/// The hardware (or plain code) that multiplies tiles.
pub(crate) trait Engine: Copy + Send + Sync + 'static {
    /// The tier of the vector code around the engine.
    type Isa: Isa;
    fn isa(self) -> Self::Isa;
    /// Runs `work` on this thread while the engine is set up.
    fn within(self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        work()
    }
    /// Sets C, 32 by 32 in rows, to the sum of the products of parts that `reach` selects, over `steps` steps of 32
    /// elements.
    ///
    /// # Safety
    /// - called inside [`Engine::within`];
    /// - `steps` is at least 1;
    /// - `a` and `b` are aligned to 4 bytes and valid for reads of panels of `steps` steps with `reach.len()` parts;
    /// - `c` is valid for writes of 1024 elements.
    unsafe fn bf16(self, reach: Reach, steps: usize, a: *const u8, b: *const u8, c: *mut f32);
    /// Sets C, 32 by 32 in rows, to the product over `steps` steps of 64 bytes, `signed` or not, wrapping. With `add`,
    /// adds the product to C.
    ///
    /// # Safety
    /// - as [`Engine::bf16`], with one part; `c` is valid for reads if `add`.
    unsafe fn bytes(self, signed: bool, steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool);
}

/// Copies `[rows, columns]` of a matrix into a block `[32, N]`, converted. The rest of the block becomes zero.
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
            // SAFETY: `r < rows`, and the row has N contiguous elements, which the caller guarantees to be valid.
            let from = unsafe { &*from.from(r, 0).at.cast::<[T; N]>() };
            for (to, x) in row.iter_mut().zip(from) {
                *to = convert(*x);
            }
        }
    } else if from.row == 1 {
        for c in 0..columns {
            let from = from.from(0, c).at;
            for (r, row) in to.iter_mut().enumerate().take(rows) {
                // SAFETY: `r < rows` and `c < columns`, an element that the caller guarantees to be valid.
                row[c] = convert(unsafe { *from.add(r) });
            }
        }
    } else {
        for (r, row) in to.iter_mut().enumerate().take(rows) {
            for (c, to) in row.iter_mut().enumerate().take(columns) {
                // SAFETY: `r < rows` and `c < columns`, an element that the caller guarantees to be valid.
                *to = convert(unsafe { *from.from(r, c).at });
            }
        }
    }
}
