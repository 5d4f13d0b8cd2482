//! Distances: sums of squares, of products and of magnitudes through the loops of matrix products (X times the
//! transpose of Y, with another inner step), and all others by the kernels of [`pairwise`].
//!
//! Coordinates are subtracted before they are squared, so nothing cancels: distances are accurate even for nearly
//! equal points far from the origin. This takes twice the arithmetic of the identity |x|^2 + |y|^2 - 2 x.y, but that
//! identity would need a correction for cancellation. Pairs whose sums leave the range of the dtype are recomputed
//! one by one, by [`Measure::distance`].

use crate::exec::{Access, Exec};
use crate::gemm::{AbsDiff, Direct, Finish, Matrix, Product, SEGMENT, SquareDiff, Written, product};
use crate::lanes::{Isa, Real, Work};
use crate::math::{Function, Function2, Log, Pow};
use crate::matmul::{in_place, prepare};
use crate::pairwise::{self, Pairs};
use crate::scratch::room;
use crate::threads::Shared;
use crate::tier::Tier;
use polyarray_core::op::{Distance, Measure, Operand};
use polyarray_core::{Buffer, Result};
use smallvec::SmallVec;

/// Runs distances that `estimate` accepted. `tier` is the tier of the token `isa`.
pub(crate) fn run<I: Isa, T: Real>(
    isa: I,
    tier: &'static Tier,
    op: &Distance,
    threads: usize,
    output: &Buffer,
) -> Result<()>
where
    Pow: Function2<T>,
    Log: Function<T>,
{
    let (x, y) = (matrix::<T>(&op.x), matrix::<T>(&op.y));
    let c = Shared(output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<T>());
    // An infinite order is the largest difference.
    let metric = if op.power == f64::INFINITY { Measure::Chebyshev } else { op.metric };
    let mut weights: Vec<T> = Vec::new();
    if let Some(operand) = &op.weights {
        let (rows, strides) = (if operand.strides.len() == 2 { op.d } else { 1 }, &operand.strides);
        let (row, column) = (if rows > 1 { strides[0] } else { 0 }, strides[strides.len() - 1]);
        weights = room(rows.saturating_mul(op.d))?;
        let from = Matrix { at: start::<T>(operand), row, column };
        // SAFETY: the weights are `[d]` or `[d, d]` inside their buffer (invariants of `Distance` and `Operand`).
        weights.extend((0..rows).flat_map(|i| (0..op.d).map(move |j| unsafe { *from.from(i, j).at })));
    }
    let mut wide: Vec<f64> = room(weights.len())?;
    wide.extend(weights.iter().map(|w| w.to_f64()));
    // SAFETY: X is [n, d] and Y [m, d] inside their buffers (invariants of `Distance` and `Operand`).
    let pairs = unsafe { Exact::new(metric, op.power, &wide, op.d, x, y) };
    let epilogue = Epilogue::new(tier, op);
    let then = |done: Written<T>| epilogue.apply(done);
    let (pairs, then) = (&pairs, &then);
    let p = Product {
        m: op.n,
        n: op.m,
        k: op.d,
        a: x,
        b: Matrix { row: y.column, column: y.row, ..y },
        c,
        ldc: op.m,
        add: false,
        beside: 1,
    };
    let low = smallest_sum::<T>(op.d);
    // SAFETY: X is [n, d] and Y [m, d] inside their buffers, the output is [n, m] in C order, and the operands do not
    // overlap the output (invariants of `Distance`). There are as many weights as the metric has.
    unsafe {
        match metric {
            Measure::SquaredEuclidean | Measure::Euclidean => {
                let then = (!epilogue.is_empty()).then_some(then as Finish<T>);
                euclidean(isa, metric == Measure::Euclidean, x, y, [op.n, op.m, op.d], c.get(), threads, then)
            }
            Measure::Cityblock => {
                product(&Direct::with::<AbsDiff>(isa), p, threads, (!epilogue.is_empty()).then_some(then))
            }
            Measure::Dot => product(
                &Direct::new(isa),
                p,
                threads,
                Some(&|mut done: Written<T>| {
                    pairs.repair(&mut done, |value| !is_finite(value));
                    then(done)
                }),
            ),
            Measure::Cosine => {
                let (nx, ny) = (norms(x, op.n, op.d)?, norms(y, op.m, op.d)?);
                let (least, most) = (low.max(1e-290), Range::<T>::LARGEST);
                // A bound on the error: a distance above it is not that of equal vectors.
                let near = 64.0 * Range::<T>::EPSILON * (op.d as f64).sqrt();
                product(
                    &Direct::new(isa),
                    p,
                    threads,
                    Some(&|mut done: Written<T>| {
                        let column = done.column;
                        for (row, piece) in done.pieces() {
                            let (x, y) = (nx[row], &ny[column..][..piece.len()]);
                            if !isa.enter(Cosines { piece, x, y, least, most, near }) {
                                continue;
                            }
                            for (j, distance) in piece.iter_mut().enumerate() {
                                let lengths = x * y[j];
                                if !(lengths >= least && lengths <= most) {
                                    *distance = pairs.distance(row, column + j);
                                } else if distance.to_f64() <= near && pairs.is_equal(row, column + j) {
                                    *distance = T::from_f64(0.0);
                                }
                            }
                        }
                        then(done)
                    }),
                )
            }
            _ => {
                let kernel = pairwise::kernel::<I, T>(metric).expect("the metrics without such a kernel are above");
                let operands = Pairs {
                    n: op.n,
                    m: op.m,
                    d: op.d,
                    x,
                    y,
                    out: c,
                    power: T::from_f64(op.power),
                    weights: &weights,
                    has_room: metric == Measure::Mahalanobis,
                };
                let (low, zero) = (T::from_f64((low * op.d as f64).sqrt()), T::from_f64(0.0));
                pairwise::run(isa, kernel, &operands, threads, &|mut done: Written<T>| {
                    match metric {
                        Measure::SEuclidean => {
                            pairs.repair(&mut done, |value| (value <= low) | is_infinite(value));
                        }
                        // The sums of the terms may be infinite with different signs.
                        Measure::Mahalanobis => pairs.repair(&mut done, |value| (value <= low) | !is_finite(value)),
                        // One of the sums may be infinite.
                        Measure::BrayCurtis => pairs.repair(&mut done, |value| (value == zero) | !is_finite(value)),
                        _ => {}
                    }
                    then(done)
                })
            }
        }
    }
}

/// Returns the first element of an operand.
fn start<T>(o: &Operand) -> *const T {
    o.buffer.host_ptr().expect("core moves operands to host memory").as_ptr().cast::<T>().wrapping_add(o.offset)
}

/// Returns an operand with two axes.
pub(crate) fn matrix<T>(o: &Operand) -> Matrix<T> {
    Matrix { at: start(o), row: o.strides[0], column: o.strides[1] }
}

/// The program that is applied to distances.
pub(crate) struct Epilogue(Option<Exec>);

impl Epilogue {
    pub(crate) fn new(tier: &'static Tier, op: &Distance) -> Epilogue {
        Epilogue(prepare(tier, &op.after, &op.after_params, &[Access::Contiguous]))
    }

    /// Returns whether the program leaves distances unchanged.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Applies the program to a block of distances.
    pub(crate) fn apply<T: Copy>(&self, mut done: Written<T>) -> Result<()> {
        let Some(exec) = &self.0 else { return Ok(()) };
        let mut strips = exec.strips()?;
        done.pieces()
            .for_each(|(_, piece)| in_place(exec, &mut strips, piece, SmallVec::from_slice(&[std::ptr::null()]), &[]));
        Ok(())
    }
}

/// Returns the smallest sum of d squares that is accurate even if some squares underflow.
fn smallest_sum<T: Real>(d: usize) -> f64 {
    d as f64 * Range::<T>::SMALLEST
}

/// Computes squared distances, or their roots, of X `[n, d]` and Y `[m, d]`, and calls `then` with each block.
///
/// # Safety
/// - X and Y are valid for reads, `c` for writes of `[n, m]` in C order; `c` overlaps neither, and nothing else
///   accesses it.
#[expect(clippy::too_many_arguments, reason = "two matrices, their lengths, and what to do with the sums")]
pub(crate) unsafe fn euclidean<I: Isa, T: Real>(
    isa: I,
    root: bool,
    x: Matrix<T>,
    y: Matrix<T>,
    [n, m, d]: [usize; 3],
    c: *mut T,
    threads: usize,
    then: Option<Finish<T>>,
) -> Result<()> {
    let metric = if root { Measure::Euclidean } else { Measure::SquaredEuclidean };
    // SAFETY: X and Y are valid for reads, which the caller guarantees.
    let pairs = unsafe { Exact::new(metric, 1.0, &[], d, x, y) };
    let low = T::from_f64(smallest_sum::<T>(d));
    let finish = |mut done: Written<T>| {
        let mut is_suspect = false;
        done.pieces().for_each(|(_, piece)| is_suspect |= isa.enter(Squares { piece, low, root }));
        if is_suspect {
            let low = if root { low.root() } else { low };
            pairs.repair(&mut done, |value| (value <= low) | is_infinite(value));
        }
        then.map_or(Ok(()), |then| then(done))
    };
    let b = Matrix { row: y.column, column: y.row, ..y };
    let p = Product { m: n, n: m, k: d, a: x, b, c: Shared(c), ldc: m, add: false, beside: 1 };
    // SAFETY: the contract of this function.
    unsafe { product(&Direct::with::<SquareDiff>(isa), p, threads, Some(&finish)) }
}

/// Distances of single pairs by [`Measure::distance`].
struct Exact<'a, T> {
    metric: Measure,
    power: f64,
    weights: &'a [f64],
    d: usize,
    x: Matrix<T>,
    y: Matrix<T>,
}

impl<'a, T: Real> Exact<'a, T> {
    /// # Safety
    /// - while the value lives, X is valid for reads of `[n, d]` and Y of `[m, d]`; its methods are called with i below
    ///   n and j below m.
    unsafe fn new(
        metric: Measure,
        power: f64,
        weights: &'a [f64],
        d: usize,
        x: Matrix<T>,
        y: Matrix<T>,
    ) -> Exact<'a, T> {
        Exact { metric, power, weights, d, x, y }
    }

    fn pairs(&self, i: usize, j: usize) -> impl Iterator<Item = (f64, f64)> + Clone {
        let (x, y) = (self.x.from(i, 0), self.y.from(j, 0));
        // SAFETY: rows i and j of the matrices, whose elements are valid for reads (the contract of `new`).
        (0..self.d).map(move |k| unsafe { ((*x.from(0, k).at).to_f64(), (*y.from(0, k).at).to_f64()) })
    }

    fn distance(&self, i: usize, j: usize) -> T {
        T::from_f64(self.metric.distance(self.power, self.weights, self.pairs(i, j)))
    }

    fn is_equal(&self, i: usize, j: usize) -> bool {
        self.pairs(i, j).all(|(x, y)| x == y)
    }

    /// Computes the suspect values of a block again, except for a distance of 0 between equal vectors.
    fn repair(&self, done: &mut Written<T>, is_suspect: impl Fn(T) -> bool) {
        let column = done.column;
        for (i, piece) in done.pieces() {
            // Without branches, so that the compiler uses vectors.
            if !piece.iter().fold(false, |any, &value| any | is_suspect(value)) {
                continue;
            }
            for (j, value) in piece.iter_mut().enumerate().filter(|(_, value)| is_suspect(**value)) {
                let is_zero = value.to_f64() == 0.0 && self.metric != Measure::BrayCurtis;
                if !is_zero || !self.is_equal(i, column + j) {
                    *value = self.distance(i, column + j);
                }
            }
        }
    }
}

fn is_finite<T: Real>(x: T) -> bool {
    x.minus(x) == T::from_f64(0.0)
}

fn is_infinite<T: Real>(x: T) -> bool {
    x == T::from_f64(f64::INFINITY)
}

/// The range of a dtype.
struct Range<T>(std::marker::PhantomData<T>);

impl<T: Real> Range<T> {
    const IS_F32: bool = size_of::<T>() == 4;
    /// The smallest positive normal number.
    const SMALLEST: f64 = if Self::IS_F32 { f32::MIN_POSITIVE as f64 } else { f64::MIN_POSITIVE };
    /// A number that sums of products below it do not exceed while they are computed.
    const LARGEST: f64 = if Self::IS_F32 { f32::MAX as f64 / 4.0 } else { 1e290 };
    const EPSILON: f64 = if Self::IS_F32 { f32::EPSILON as f64 } else { f64::EPSILON };
}

/// Checks sums of squares, and takes their roots if `root` is true. Returns whether a sum is not in `low..INFINITY`.
struct Squares<'a, T> {
    piece: &'a mut [T],
    low: T,
    root: bool,
}

impl<T: Real> Work for Squares<'_, T> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> bool {
        let (low, infinity) = (self.low, T::from_f64(f64::INFINITY));
        let mut is_suspect = false;
        for x in self.piece {
            is_suspect |= !((*x >= low) & (*x < infinity));
            if self.root {
                *x = x.root();
            }
        }
        is_suspect
    }
}

/// Converts products of vectors to cosine distances: x is the length of one vector, y are those of the others. Returns
/// whether a distance is at most `near`, or the product of two lengths is not in `least..=most`.
struct Cosines<'a, T> {
    piece: &'a mut [T],
    x: f64,
    y: &'a [f64],
    least: f64,
    most: f64,
    near: f64,
}

impl<T: Real> Work for Cosines<'_, T> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> bool {
        let Cosines { piece, x, y, least, most, near } = self;
        let mut is_suspect = false;
        for (dot, y) in piece.iter_mut().zip(y) {
            let lengths = x * y;
            let distance = (1.0 - dot.to_f64() / lengths).clamp(0.0, 2.0);
            is_suspect |= !((lengths >= least) & (lengths <= most) & (distance > near));
            *dot = T::from_f64(distance);
        }
        is_suspect
    }
}

/// Returns the lengths of the rows of a matrix `[rows, columns]`; NaN where the squares may have overflowed or
/// underflowed in f64.
///
/// # Safety
/// - the matrix is valid for reads of that shape.
unsafe fn norms<T: Real>(matrix: Matrix<T>, rows: usize, columns: usize) -> Result<Vec<f64>> {
    let square = |i: usize, j: usize| {
        // SAFETY: `i < rows` and `j < columns`, for which the caller guarantees valid reads.
        let x = unsafe { *matrix.from(i, j).at }.to_f64();
        x * x
    };
    let mut norms = room(rows)?;
    // In segments, so that the rounding error does not grow with the number of terms.
    let segment = |i: usize, start: usize| (start..columns.min(start + SEGMENT)).map(|j| square(i, j)).sum::<f64>();
    let sum = |i: usize| (0..columns).step_by(SEGMENT).map(|start| segment(i, start)).sum::<f64>();
    norms.extend((0..rows).map(|i| match sum(i).sqrt() {
        length if (1e-140..1e140).contains(&length) => length,
        _ => f64::NAN,
    }));
    Ok(norms)
}
