//! Products of i8 and u8, exact in 32 bits (which wrap).

use super::super::{
    Kernel, Matrix, Tile,
    blocks::{Blocks, caches},
};
use super::{Engine, SIDE, STEP, load};
use crate::lanes::{Isa, Work};
use polyarray_core::Result;
use std::marker::PhantomData;

/// The kernel of bytes of type `T`.
pub(crate) struct Bytes<E, T> {
    engine: E,
    bytes: PhantomData<T>,
}

impl<E, T> Bytes<E, T> {
    pub(crate) fn new(engine: E) -> Bytes<E, T> {
        Bytes { engine, bytes: PhantomData }
    }
}

/// i8 or u8.
pub(crate) trait Byte: Copy + Send + Sync {
    const SIGNED: bool;
    /// The integer of 32 bits in which products are added up.
    type Sum: Copy + Send + Sync;
    fn bits(self) -> u8;
    /// Returns the number with the bits of `product`, added to `to` if there is one, wrapping.
    fn sum(product: i32, to: Option<Self::Sum>) -> Self::Sum;
}

macro_rules! bytes {
    ($($T:ident in $Sum:ident, $signed:literal;)*) => { $(
        impl Byte for $T {
            const SIGNED: bool = $signed;
            type Sum = $Sum;
            #[inline(always)]
            fn bits(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn sum(product: i32, to: Option<$Sum>) -> $Sum {
                to.unwrap_or(0).wrapping_add(product as $Sum)
            }
        }
    )* };
}
bytes! {
    i8 in i32, true;
    u8 in u32, false;
}

/// The elements of the depth in a step.
const DEPTH: usize = 64;
/// The longest panels: one of A and one of B fit the first-level cache.
const LONGEST: usize = 512;

impl<E: Engine, T: Byte> Kernel for Bytes<E, T> {
    type Element = T;
    type Sum = T::Sum;

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

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        self.engine.isa().enter(Pack { from, vectors: rows, depth, to, of_b: false });
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.engine.isa().enter(Pack { from: from.transposed(), vectors: columns, depth, to, of_b: true });
    }

    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.engine.within(work)
    }

    unsafe fn tile(&self, t: Tile<T, T::Sum>) -> Result<()> {
        let steps = t.depth.div_ceil(DEPTH);
        if !t.add && [t.rows, t.columns, t.ldc] == [SIDE; 3] {
            // SAFETY: the contract of `Kernel::tile`: the panels have this depth, and C is valid for writes of 1024
            // adjacent elements of 32 bits.
            unsafe { self.engine.bytes(T::SIGNED, steps, t.a.panel(), t.b.panel(), t.c.cast(), false) };
            return Ok(());
        }
        let mut product = Block([0; SIDE * SIDE]);
        // SAFETY: the contract of `Kernel::tile`: the panels have this depth, and C is valid for `rows` rows of
        // `columns` elements.
        unsafe {
            self.engine.bytes(T::SIGNED, steps, t.a.panel(), t.b.panel(), product.0.as_mut_ptr(), false);
            for r in 0..t.rows {
                let to = std::slice::from_raw_parts_mut(t.c.add(r * t.ldc), t.columns);
                for (to, x) in to.iter_mut().zip(&product.0[r * SIDE..]) {
                    *to = T::sum(*x, t.add.then_some(*to));
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
struct Pack<T> {
    from: Matrix<T>,
    vectors: usize,
    depth: usize,
    to: *mut u8,
    of_b: bool,
}

impl<T: Byte> Work for Pack<T> {
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
                    load(from.from(first, k), SIDE.min(vectors - first), DEPTH.min(depth - k), 0, T::bits, &mut block);
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
