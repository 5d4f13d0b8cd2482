//! Products of i8, exact in 32 bits (which wrap).

use super::super::{
    Kernel, Matrix, Tile,
    blocks::{Blocks, caches},
};
use super::{Engine, SIDE, STEP, load};
use crate::lanes::{Isa, Work};
use polyarray_core::Result;

/// The kernel of i8.
pub(crate) struct Bytes<E>(pub E);

/// The elements of the depth in a step.
const DEPTH: usize = 64;
/// The longest panels: one of A and one of B fit the first-level cache.
const LONGEST: usize = 512;

impl<E: Engine> Kernel for Bytes<E> {
    type Element = i8;
    type Sum = i32;

    fn rows(&self) -> usize {
        SIDE
    }

    fn columns(&self) -> usize {
        SIDE
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        [depth.div_ceil(DEPTH) * STEP; 2]
    }

    fn blocks(&self, shape: [usize; 3], threads: usize) -> Blocks {
        Blocks::of_depth(caches(), [SIDE; 2], [1; 2], shape, threads, (LONGEST, DEPTH))
    }

    unsafe fn pack_a(&self, from: Matrix<i8>, rows: usize, depth: usize, to: *mut u8) {
        self.0.isa().enter(Pack { from, vectors: rows, depth, to, of_b: false });
    }

    unsafe fn pack_b(&self, from: Matrix<i8>, depth: usize, columns: usize, to: *mut u8) {
        self.0.isa().enter(Pack { from: from.transposed(), vectors: columns, depth, to, of_b: true });
    }

    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.0.within(work)
    }

    unsafe fn tile(&self, t: Tile<i8, i32>) -> Result<()> {
        let mut product = Block([0; SIDE * SIDE]);
        // SAFETY: the contract of `Kernel::tile`: the panels have this depth, and C is valid for `rows` rows of
        // `columns` elements.
        unsafe {
            self.0.int8(t.depth.div_ceil(DEPTH), t.a.panel(), t.b.panel(), product.0.as_mut_ptr(), false);
            for r in 0..t.rows {
                let to = std::slice::from_raw_parts_mut(t.c.add(r * t.ldc), t.columns);
                for (to, x) in to.iter_mut().zip(&product.0[r * SIDE..]) {
                    *to = if t.add { to.wrapping_add(*x) } else { *x };
                }
            }
        }
        Ok(())
    }
}

/// A tile of C, aligned to a vector.
#[repr(C, align(64))]
pub(crate) struct Block<T>(pub [T; SIDE * SIDE]);

/// Packs vectors (rows of A, columns of B) of bytes into panels.
struct Pack {
    from: Matrix<i8>,
    vectors: usize,
    depth: usize,
    to: *mut u8,
    of_b: bool,
}

impl Work for Pack {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Pack { from, vectors, depth, to, of_b } = self;
        let mut block = [[0u8; DEPTH]; SIDE];
        for (number, first) in (0..vectors).step_by(SIDE).enumerate() {
            for (step, k) in (0..depth).step_by(DEPTH).enumerate() {
                let to = to.wrapping_add((number * depth.div_ceil(DEPTH) + step) * STEP);
                // SAFETY: the vectors and depths are limited to those of the matrix; `to` is a step of the panel.
                unsafe {
                    load(
                        from.from(first, k),
                        SIDE.min(vectors - first),
                        DEPTH.min(depth - k),
                        0,
                        |x| x as u8,
                        &mut block,
                    );
                    store(&block, to, of_b);
                }
            }
        }
    }
}

/// Writes a step of 32 vectors of 64 bytes.
///
/// # Safety
/// - `to` is valid for writes of [`STEP`] bytes.
#[inline(always)]
pub(super) unsafe fn store(block: &[[u8; DEPTH]; SIDE], to: *mut u8, of_b: bool) {
    if !of_b {
        // SAFETY: the caller guarantees `STEP` bytes, which are 32 rows of 64.
        return unsafe { to.cast::<[[u8; DEPTH]; SIDE]>().write_unaligned(*block) };
    }
    for (v, bytes) in block.iter().enumerate() {
        let to = to.wrapping_add(v / 16 * 1024 + v % 16 * 4);
        for (q, four) in bytes.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: four bytes of the step: `q < 16` and `v < 32` keep the offset below `STEP`.
            unsafe { to.add(q * 64).cast::<[u8; 4]>().write_unaligned(*four) };
        }
    }
}
