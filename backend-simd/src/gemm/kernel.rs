//! The micro-kernel: a small tile of C held in registers.

use crate::lanes::{Float, Isa, Lanes, Real, Work};
use std::marker::PhantomData;

/// What is added to an accumulator for an element of A and one of B.
pub(crate) trait Step: Send + Sync + 'static {
    /// `sum` with the term of a and b.
    fn step<V: Float>(sum: V, a: V, b: V, minus_zero: V) -> V;
}

/// `a * b`: products of matrices.
pub(crate) struct Dot;
/// `(a - b)^2`: squared Euclidean distances.
pub(crate) struct SquareDiff;
/// `|a - b|`: city-block distances.
pub(crate) struct AbsDiff;

impl Step for Dot {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, _: V) -> V {
        a.mul_add(b, sum)
    }
}

impl Step for SquareDiff {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, _: V) -> V {
        let d = a.sub(b);
        d.mul_add(d, sum)
    }
}

impl Step for AbsDiff {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, minus_zero: V) -> V {
        sum.add(crate::math::abs(a.sub(b), minus_zero))
    }
}

/// One tile: `depth` steps over a panel of A (`ROWS` wide) and one of B.
struct Tile<T> {
    depth: usize,
    a: *const T,
    b: *const T,
    c: *mut T,
    ldc: usize,
    /// Whether C holds the sum of earlier steps.
    add: bool,
}

struct Run<T, S, const ROWS: usize, const VECTORS: usize>(Tile<T>, PhantomData<S>);

impl<T: Real, S: Step, const ROWS: usize, const VECTORS: usize> Work for Run<T, S, ROWS, VECTORS> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Tile { depth, mut a, mut b, c, ldc, add } = self.0;
        let width = <T::V<I> as Lanes>::N;
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        let minus_zero = T::V::<I>::splat(isa, T::NEG_ZERO);
        let mut sums = [[zero; VECTORS]; ROWS];
        // SAFETY: the contract of `MicroKernel::tile`.
        unsafe {
            for _ in 0..depth {
                let bs: [T::V<I>; VECTORS] = std::array::from_fn(|v| T::V::<I>::load(isa, b.add(v * width)));
                for (r, row) in sums.iter_mut().enumerate() {
                    let x = T::V::<I>::splat(isa, *a.add(r));
                    for (sum, y) in row.iter_mut().zip(bs) {
                        *sum = S::step(*sum, x, y, minus_zero);
                    }
                }
                a = a.add(ROWS);
                b = b.add(VECTORS * width);
            }
            for (r, row) in sums.iter().enumerate() {
                for (v, sum) in row.iter().enumerate() {
                    let to = c.add(r * ldc + v * width);
                    let sum = if add { T::V::<I>::load(isa, to).add(*sum) } else { *sum };
                    sum.store(to);
                }
            }
        }
    }
}

/// # Safety
/// - as [`MicroKernel::tile`], for a whole tile.
unsafe fn enter<I: Isa, T: Real, S: Step, const ROWS: usize, const VECTORS: usize>(isa: I, tile: Tile<T>) {
    isa.enter(Run::<T, S, ROWS, VECTORS>(tile, PhantomData));
}

/// The micro-kernel of a tier, and its tile's size.
pub(crate) struct MicroKernel<I, T> {
    /// Rows of the tile.
    pub rows: usize,
    /// Columns of the tile.
    pub columns: usize,
    run: unsafe fn(I, Tile<T>),
}

impl<I: Isa, T: Real> MicroKernel<I, T> {
    /// The tile that the tier's registers hold, with room for a row of B and an element of A.
    pub(crate) fn for_tier<S: Step>() -> MicroKernel<I, T> {
        match I::REGISTERS {
            32 => Self::new::<S, 14, 2>(),
            16 => Self::new::<S, 6, 2>(),
            _ => Self::new::<S, 4, 1>(),
        }
    }

    /// A tile of `ROWS` rows of `VECTORS` vectors.
    fn new<S: Step, const ROWS: usize, const VECTORS: usize>() -> MicroKernel<I, T> {
        const { assert!(ROWS * VECTORS <= 32) };
        MicroKernel { rows: ROWS, columns: VECTORS * <T::V<I> as Lanes>::N, run: enter::<I, T, S, ROWS, VECTORS> }
    }

    /// Computes a tile, of which the first `valid` rows and columns are written.
    ///
    /// # Safety
    /// - `a` and `b` are panels of `depth` steps, `rows` and `columns` wide; `c` is valid for `valid` rows and columns, `ldc` apart, and holds numbers if `add`.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "what a tile is")]
    pub(crate) unsafe fn tile(&self, isa: I, depth: usize, a: *const T, b: *const T, c: *mut T, ldc: usize, add: bool, valid: (usize, usize)) {
        if valid == (self.rows, self.columns) {
            // SAFETY: the caller's.
            return unsafe { (self.run)(isa, Tile { depth, a, b, c, ldc, add }) };
        }
        // A ragged tile is computed whole, beside C.
        let mut whole = [T::ONE; 1024];
        debug_assert!(self.rows * self.columns <= whole.len());
        // SAFETY: `whole` holds a tile; only valid elements of C are touched.
        unsafe {
            (self.run)(isa, Tile { depth, a, b, c: whole.as_mut_ptr(), ldc: self.columns, add: false });
            for r in 0..valid.0 {
                for j in 0..valid.1 {
                    let (to, x) = (c.add(r * ldc + j), whole[r * self.columns + j]);
                    *to = if add { T::from_f64((*to).to_f64() + x.to_f64()) } else { x };
                }
            }
        }
    }
}
