//! Products of floats as sums of bf16 numbers.
//!
//! An f32 is the sum of three parts: the number rounded to bf16, the remainder rounded to bf16, and what then
//! remains. The six largest of the nine products of parts make up an f32 product (G. Henry, P. Tang, A. Heinecke,
//! "Leveraging the bfloat16 artificial intelligence datatype for higher-precision computations", ARITH 2019). With
//! two parts each, three products are accurate to 2^-15. An f16 is exactly the sum of two parts, and its product
//! exactly that of their four products.

use super::super::{
    Direct, Half, Halves, Kernel, Matrix, Product, Tile, Widen,
    blocks::{Blocks, caches},
    product,
};
use super::bytes::Block;
use super::{Engine, Reach, SIDE, STEP, load};
use crate::lanes::{Isa, Work};
use crate::threads::Shared;
use polyarray_core::Result;
use std::marker::PhantomData;

/// f32 as three parts.
pub(crate) const FULL: Reach = &[3, 2, 1];
/// f32 as two parts.
pub(crate) const FAST: Reach = &[2, 1];
/// f16 as two parts.
pub(crate) const EXACT: Reach = &[2, 2];
/// bf16 as one part.
pub(crate) const SINGLE: Reach = &[1];

/// The elements of the depth in a step.
const DEPTH: usize = 32;
/// The longest panels. An engine's f32 sums are added to C at least this often, which makes sums as accurate as in
/// any blocked product.
const LONGEST: usize = 256;
/// The bytes after a panel's parts that hold its [`Exponents`].
const HEADER: usize = 64;

/// A float that is multiplied as parts.
pub(crate) trait Splits: Widen<Wide = f32> {
    /// Returns the fallback kernel for numbers that parts cannot represent.
    fn spare<I: Isa>(isa: I) -> impl Kernel<Element = Self, Sum = f32>;
}

impl Widen for f32 {
    type Wide = f32;
    const ZERO: f32 = 0.0;
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

impl Splits for f32 {
    fn spare<I: Isa>(isa: I) -> impl Kernel<Element = f32, Sum = f32> {
        Direct::<I, f32>::new(isa)
    }
}

impl<T: Half> Splits for T {
    fn spare<I: Isa>(isa: I) -> impl Kernel<Element = T, Sum = f32> {
        Halves::<I, T>::new(isa)
    }
}

/// The kernel of floats as `PARTS` parts.
pub(crate) struct Parts<E, T, const PARTS: usize> {
    engine: E,
    reach: Reach,
    element: PhantomData<T>,
}

impl<E: Engine, T: Splits, const PARTS: usize> Parts<E, T, PARTS> {
    pub(crate) fn new(engine: E, reach: Reach) -> Parts<E, T, PARTS> {
        assert_eq!(reach.len(), PARTS);
        Parts { engine, reach, element: PhantomData }
    }

    /// Returns the bytes of a panel without its header.
    fn data(depth: usize) -> usize {
        depth.div_ceil(DEPTH) * PARTS * STEP
    }
}

/// The exponents of the smallest and the largest nonzero number of a panel: 2^low <= |x| < 2^(high + 1). Infinity and
/// NaN count as 128, subnormal numbers as -127. Both are 0 if all numbers are zero.
#[derive(Clone, Copy)]
struct Exponents {
    low: i32,
    high: i32,
}

impl Exponents {
    /// Whether all parts of these numbers and their products are in range. Engines treat subnormal numbers as zeros,
    /// so parts must be normal.
    fn fit(a: Exponents, b: Exponents, parts: usize, depth: usize) -> bool {
        // The last bit of an f32 is 2^23 times smaller than the first. Rounding to bf16 may double a number.
        let lowest = if parts == 1 { -126 } else { -126 + 23 };
        let alone = |e: Exponents| e.low >= lowest && e.high <= 126;
        // Terms below 2^-126 are lost. They must be negligible beside 2^-24 of every other product.
        let bits = depth.next_power_of_two().trailing_zeros() as i32;
        alone(a)
            && alone(b)
            && a.low.saturating_add(b.low) >= -126 + 28
            && a.high.saturating_add(b.high) + 2 + bits <= 127
    }
}

impl<E: Engine, T: Splits, const PARTS: usize> Kernel for Parts<E, T, PARTS> {
    type Element = T;
    type Sum = f32;

    fn rows(&self) -> usize {
        SIDE
    }

    fn columns(&self) -> usize {
        SIDE
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        [Self::data(depth) + HEADER; 2]
    }

    fn blocks(&self, shape: [usize; 3], threads: usize) -> Blocks {
        Blocks::of_depth(caches(), [SIDE; 2], [2 * PARTS; 2], shape, threads, (LONGEST, DEPTH))
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        self.engine.isa().enter(Pack::<T, PARTS> { from, vectors: rows, depth, to, of_b: false });
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.engine.isa().enter(Pack::<T, PARTS> { from, vectors: columns, depth, to, of_b: true });
    }

    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.engine.within(work)
    }

    unsafe fn tile(&self, t: Tile<T, f32>) -> Result<()> {
        let (a, b) = (t.a.panel(), t.b.panel());
        let header = Self::data(t.depth);
        // SAFETY: the contract of `Kernel::tile`: the panels have this depth and their headers; the matrices and C
        // are valid for this tile.
        unsafe {
            let [of_a, of_b] = [a, b].map(|panel| panel.add(header).cast::<Exponents>().read());
            if !Exponents::fit(of_a, of_b, PARTS, t.depth) {
                let p = Product {
                    m: t.rows,
                    n: t.columns,
                    k: t.depth,
                    a: t.a.matrix,
                    b: t.b.matrix,
                    c: Shared(t.c),
                    ldc: t.ldc,
                    add: t.add,
                    beside: 1,
                };
                return product(&T::spare(self.engine.isa()), p, 1, None);
            }
            let mut block = Block([0.0; SIDE * SIDE]);
            self.engine.bf16(self.reach, t.depth.div_ceil(DEPTH), a, b, block.0.as_mut_ptr());
            self.engine.isa().enter(Give {
                block: &block,
                c: t.c,
                ldc: t.ldc,
                add: t.add,
                rows: t.rows,
                columns: t.columns,
            });
        }
        Ok(())
    }
}

/// Writes a tile to C, or adds it. Code that creates one guarantees that C is valid for that.
struct Give<'a> {
    block: &'a Block<f32>,
    c: *mut f32,
    ldc: usize,
    add: bool,
    rows: usize,
    columns: usize,
}

impl Work for Give<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (r, row) in self.block.0.as_chunks::<SIDE>().0.iter().enumerate().take(self.rows) {
            // SAFETY: a row of the tile in C, of `columns` elements.
            let to = unsafe { std::slice::from_raw_parts_mut(self.c.add(r * self.ldc), self.columns) };
            if let Ok(to) = <&mut [f32; SIDE]>::try_from(&mut *to) {
                put(to, row, self.add);
            } else {
                put(to, row, self.add);
            }
        }
    }
}

#[inline(always)]
fn put(to: &mut [f32], from: &[f32], add: bool) {
    for (to, x) in to.iter_mut().zip(from) {
        *to = if add { *to + x } else { *x };
    }
}

/// Splits rows of A or columns of B into parts and packs them into panels.
struct Pack<T, const PARTS: usize> {
    from: Matrix<T>,
    vectors: usize,
    depth: usize,
    to: *mut u8,
    of_b: bool,
}

impl<T: Splits, const PARTS: usize> Work for Pack<T, PARTS> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Pack { from, vectors, depth, to, of_b } = self;
        let data = depth.div_ceil(DEPTH) * PARTS * STEP;
        let mut block = [[0.0f32; DEPTH]; SIDE];
        for (number, first) in (0..vectors).step_by(SIDE).enumerate() {
            let to = to.wrapping_add(number * (data + HEADER));
            let there = SIDE.min(vectors - first);
            // Bits without the sign: the largest, and the smallest minus 1. The subtraction wraps, so that zeros
            // become the largest value and do not count as the smallest number.
            let (mut most, mut least) = ([0u32; DEPTH], [u32::MAX; DEPTH]);
            for (step, k) in (0..depth).step_by(DEPTH).enumerate() {
                let deep = DEPTH.min(depth - k);
                // SAFETY: the vectors and depths are limited to those of the matrix; `to` is a part of a step of the
                // panel.
                unsafe {
                    if of_b {
                        load(from.from(k, first), deep, there, 0.0, T::widen, &mut block);
                    } else {
                        load(from.from(first, k), there, deep, 0.0, T::widen, &mut block);
                    }
                    for row in &block {
                        for (i, x) in row.iter().enumerate() {
                            let bits = x.to_bits() & 0x7fff_ffff;
                            most[i] = most[i].max(bits);
                            least[i] = least[i].min(bits.wrapping_sub(1));
                        }
                    }
                    for part in 0..PARTS {
                        let to = to.add((step * PARTS + part) * STEP);
                        if of_b {
                            columns(&mut block, to.cast())
                        } else {
                            rows(&mut block, to.cast())
                        };
                    }
                }
            }
            let (most, least) = (most.into_iter().fold(0, u32::max), least.into_iter().fold(u32::MAX, u32::min));
            let exponent = |bits: u32| (bits >> 23) as i32 - 127;
            let header = if most == 0 {
                Exponents { low: 0, high: 0 }
            } else {
                Exponents { low: exponent(least + 1), high: exponent(most) }
            };
            // SAFETY: the header after the panel's parts; the panel has room for it.
            unsafe { to.add(data).cast::<Exponents>().write(header) };
        }
    }
}

/// Splits a number into its first part, as the upper half of an f32's bits, and the remainder.
#[inline(always)]
fn split(x: f32) -> (u32, f32) {
    let bits = x.to_bits();
    let upper = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    (upper, x - f32::from_bits(upper))
}

/// Writes a part of 32 rows of A, and leaves the remainders in `block`.
///
/// # Safety
/// - `to` is valid for writes of [`STEP`] bytes.
#[inline(always)]
unsafe fn rows(block: &mut [[f32; DEPTH]; SIDE], to: *mut [u16; DEPTH]) {
    for (r, row) in block.iter_mut().enumerate() {
        let mut part = [0; DEPTH];
        for (x, part) in row.iter_mut().zip(&mut part) {
            let (upper, left) = split(*x);
            (*x, *part) = (left, (upper >> 16) as u16);
        }
        // SAFETY: row `r < 32` of the step, which the caller guarantees to be valid.
        unsafe { to.add(r).write_unaligned(part) };
    }
}

/// Writes a part of 32 columns of B, whose rows are in `block`, and leaves the remainders in `block`.
///
/// # Safety
/// - as [`rows`].
#[inline(always)]
unsafe fn columns(block: &mut [[f32; SIDE]; DEPTH], to: *mut [u32; 16]) {
    for (q, [even, odd]) in block.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let mut pairs = [0; SIDE];
        for ((x, y), pair) in even.iter_mut().zip(odd.iter_mut()).zip(&mut pairs) {
            let ((first, left), (second, also_left)) = (split(*x), split(*y));
            (*x, *y, *pair) = (left, also_left, first >> 16 | second);
        }
        for (half, pairs) in pairs.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: 16 pairs of the step: `half < 2` and `q < 16` keep the offset below `STEP`.
            unsafe { to.add(half * 16 + q).write_unaligned(*pairs) };
        }
    }
}
