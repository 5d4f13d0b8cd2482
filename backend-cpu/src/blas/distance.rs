//! Distances from products of matrices: `|x - y|^2 = |x|^2 + |y|^2 - 2 x.y`, where this does not cancel.
//!
//! Both sets are first translated by the mean of Y, so that a cloud far from the origin loses no accuracy. The
//! remaining error of the sum is about `eps * sqrt(d) / 2 * (|x|^2 + |y|^2)`. Pairs whose squared distance is below a
//! quarter of `|x|^2 + |y|^2` are recomputed from differences, as are pairs with anything that is not finite. If both
//! sets are the same, each pair is used for both of its places, because the library may sum them in different orders.

/// The numbers that are added up one after another before their sum is added to those of earlier ones.
const SEGMENT: usize = 128;

use super::library::{Factor, Library, Multiply};
use super::scratch;
use crate::scalar::distance::direct;
use crate::strided::{Source, Target};
use polyarray_core::op::{Distance, Measure, Operand};
use polyarray_core::{DType, Result, RunContext, Wide};
use std::ops::Range;
use std::sync::Mutex;

/// Bytes of all four tiles together (those of X and Y, each plain and prepared).
const SCRATCH: usize = 16 << 20;
/// Pairs with a squared distance below this share of `|x|^2 + |y|^2` are recomputed.
const CANCELS: f64 = 0.25;
/// Pairs with a cosine distance below this are recomputed, so that no distance is negative, and that of equal vectors
/// is 0.
const NEAR: f64 = 1e-3;
/// The smallest length of a vector whose squares do not underflow in f64.
const SHORTEST: f64 = 1e-140;
/// The smallest number of pairs per thread in the step after the product.
const PAIRS_PER_THREAD: usize = 1 << 16;

/// A float type of distances.
trait Real:
    Multiply + PartialOrd + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> + std::ops::Mul<Output = Self>
{
    const EPSILON: f64;
    const SMALLEST_NORMAL: f64;
    const INFINITY: Self;
    fn sqrt(self) -> Self;
    fn to_f64(self) -> f64;
    fn of(x: f64) -> Self;
}

macro_rules! real {
    ($($T:ident),*) => { $(
        impl Real for $T {
            const EPSILON: f64 = $T::EPSILON as f64;
            const SMALLEST_NORMAL: f64 = $T::MIN_POSITIVE as f64;
            const INFINITY: $T = $T::INFINITY;
            fn sqrt(self) -> $T {
                $T::sqrt(self)
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn of(x: f64) -> $T {
                x as $T
            }
        }
    )* };
}
real!(f32, f64);

/// Runs a distance operation.
///
/// # Errors
/// Fails if there is no memory for the tiles.
pub fn run(library: &Library, op: &Distance, cx: &RunContext) -> Result<()> {
    match op.dtype {
        DType::F32 => typed::<f32>(library, op, cx),
        DType::F64 => typed::<f64>(library, op, cx),
        other => unreachable!("estimate refuses {other}"),
    }
}

fn typed<T: Real>(library: &Library, op: &Distance, cx: &RunContext) -> Result<()> {
    let rows = (SCRATCH / 4 / (op.d * size_of::<T>())).max(1);
    let mut x = Tile::<T>::new(&op.x, op.n, op.d, rows)?;
    let mut y = Tile::<T>::new(&op.y, op.m, op.d, rows)?;
    let origin = if op.metric == Measure::Cosine { Vec::new() } else { y.mean()? };
    let mut target = Target::whole(cx.output(), op.dtype);
    for first_y in (0..op.m).step_by(y.rows) {
        y.load(first_y..op.m.min(first_y + y.rows), op.metric, &origin);
        for first_x in (0..op.n).step_by(x.rows) {
            x.load(first_x..op.n.min(first_x + x.rows), op.metric, &origin);
            let at = first_x * op.m + first_y;
            let c = target.window::<T>(at, (x.count() - 1) * op.m + y.count());
            // SAFETY: the tiles hold `count` prepared rows of d elements. `window` verified that C lies in the output
            // of this operation, so nothing else accesses it. `estimate` refuses dimensions that do not fit the
            // library's integers.
            library.with_threads(cx.threads, || unsafe {
                T::gemm(library, [x.count(), y.count(), op.d], &x.factor(false), &y.factor(true), c, op.m, false)
            });
            // SAFETY: `gemm` has just written these elements, and nothing else uses the output of this operation.
            let rows = unsafe { target.rows::<T>(at, op.m, x.count(), y.count()) };
            finish(op.metric, rows, x.rows(), y.rows(), cx.threads);
        }
    }
    if op.n == op.m && is_same(&op.x, &op.y) {
        // SAFETY: all elements of the output have been written, and nothing else uses it.
        let mut rows = unsafe { target.rows::<T>(0, op.m, op.n, op.m) };
        for i in 0..op.n {
            let (above, below) = rows.split_at_mut(i);
            above.iter().zip(&mut *below[0]).for_each(|(above, to)| *to = above[i]);
        }
    }
    Ok(())
}

/// Returns whether two operands of the same shape are the same elements.
fn is_same(x: &Operand, y: &Operand) -> bool {
    x.buffer.same(&y.buffer) && x.offset == y.offset && x.strides == y.strides
}

/// A tile: some rows of a set of vectors.
struct Tile<'a, T> {
    source: Source<'a>,
    /// The rows and columns of the whole set.
    lens: [usize; 2],
    /// The number of rows that the tile has room for.
    rows: usize,
    /// The rows that the tile holds now.
    held: Range<usize>,
    /// The unchanged rows.
    plain: Vec<T>,
    /// The rows translated by the origin; for cosine, divided by their length.
    prepared: Vec<T>,
    /// The squared lengths of the prepared rows (0 for cosine).
    squares: Vec<T>,
}

impl<'a, T: Real> Tile<'a, T> {
    fn new(operand: &'a Operand, n: usize, d: usize, rows: usize) -> Result<Tile<'a, T>> {
        let rows = rows.min(n);
        Ok(Tile {
            source: Source::new(operand),
            lens: [n, d],
            rows,
            held: 0..0,
            plain: scratch(rows * d)?,
            prepared: scratch(rows * d)?,
            squares: scratch(rows)?,
        })
    }

    fn count(&self) -> usize {
        self.held.len()
    }

    fn rows(&self) -> Rows<'_, T> {
        let count = self.count();
        Rows { d: self.lens[1], plain: &self.plain[..count * self.lens[1]], squares: &self.squares[..count] }
    }

    fn factor(&self, transposed: bool) -> Factor<T> {
        Factor { start: self.prepared.as_ptr(), transposed, leading: self.lens[1] }
    }

    fn read(&mut self, held: Range<usize>) {
        let d = self.lens[1];
        self.source.gather(&self.lens, held.start * d..held.end * d, bytemuck::cast_slice_mut(&mut self.plain));
        self.held = held;
    }

    /// Returns the mean of all vectors. Coordinates whose sum is not finite get 0.
    fn mean(&mut self) -> Result<Vec<f64>> {
        let [n, d] = self.lens;
        let mut mean: Vec<f64> = scratch(d)?;
        for first in (0..n).step_by(self.rows) {
            self.read(first..n.min(first + self.rows));
            for row in self.rows().plain.chunks_exact(d) {
                mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.to_f64());
            }
        }
        mean.iter_mut().for_each(|sum| *sum = if sum.is_finite() { *sum / n as f64 } else { 0.0 });
        Ok(mean)
    }

    fn load(&mut self, held: Range<usize>, metric: Measure, origin: &[f64]) {
        self.read(held);
        let d = self.lens[1];
        for ((plain, prepared), square) in self
            .plain
            .chunks_exact(d)
            .zip(self.prepared.chunks_exact_mut(d))
            .zip(&mut self.squares)
            .take(self.held.len())
        {
            let mut sum = 0.0;
            if metric == Measure::Cosine {
                // In segments, so that the rounding error does not grow with the number of terms.
                let segments =
                    plain.chunks(SEGMENT).map(|part| part.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>());
                let length = segments.sum::<f64>().sqrt();
                // A length that is not accurate or not finite makes every product NaN, so that the pairs are
                // recomputed.
                let scale = if length.is_finite() && length > SHORTEST { 1.0 / length } else { f64::NAN };
                plain.iter().zip(prepared).for_each(|(x, p)| *p = T::of(x.to_f64() * scale));
            } else {
                for ((x, p), o) in plain.iter().zip(prepared).zip(origin) {
                    *p = T::of(x.to_f64() - o);
                    sum += p.to_f64() * p.to_f64();
                }
            }
            *square = T::of(sum);
        }
    }
}

/// The rows that a tile holds.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    d: usize,
    /// The unchanged rows.
    plain: &'a [T],
    /// The squared lengths of the prepared rows.
    squares: &'a [T],
}

impl<'a, T> Rows<'a, T> {
    fn row(&self, i: usize) -> &'a [T] {
        &self.plain[i * self.d..][..self.d]
    }
}

/// Converts the products in `rows` (of the rows of `x` with those of `y`) to distances. Uses several threads if there
/// are enough pairs.
fn finish<T: Real>(metric: Measure, mut rows: Vec<&mut [T]>, x: Rows<T>, y: Rows<T>, threads: usize) {
    let threads = threads.min(x.squares.len() * y.squares.len() / PAIRS_PER_THREAD).max(1);
    let share = rows.len().div_ceil(threads);
    let work = |first: usize, rows: &mut [&mut [T]]| {
        rows.iter_mut().enumerate().for_each(|(i, row)| finish_row(metric, row, x, first + i, y))
    };
    let shares = Mutex::new(rows.chunks_mut(share).enumerate());
    let next = || shares.lock().unwrap_or_else(|e| e.into_inner()).next();
    let take = || std::iter::from_fn(next).for_each(|(i, rows)| work(i * share, rows));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // If a thread cannot be started, the others compute its part.
            let _ = std::thread::Builder::new().spawn_scoped(scope, take);
        }
        take();
    });
}

/// The number of pairs in a group, which is checked for cancellation as a whole.
const GROUP: usize = 64;

fn finish_row<T: Real>(metric: Measure, row: &mut [T], x: Rows<T>, i: usize, y: Rows<T>) {
    let (xx, floor) = (x.squares[i], T::of(y.d as f64 * T::SMALLEST_NORMAL / T::EPSILON));
    let (cancels, near, one, two) = (T::of(CANCELS), T::of(NEAR), T::of(1.0), T::of(2.0));
    for (group, (row, squares)) in row.chunks_mut(GROUP).zip(y.squares.chunks(GROUP)).enumerate() {
        // The smallest value that is accurate enough: the share below which values are recomputed, plus the possible
        // error of products that underflow.
        let mut needed = [T::of(0.0); GROUP];
        let mut all_good = true;
        for ((value, &yy), needed) in row.iter_mut().zip(squares).zip(&mut needed) {
            if metric == Measure::Cosine {
                let distance = one - *value;
                (*value, *needed) = (if distance > two { two } else { distance }, near);
            } else {
                (*value, *needed) = (xx + yy - two * *value, cancels * (xx + yy) + floor);
            }
            all_good &= is_good(*value, *needed);
        }
        if all_good {
            root(metric, row);
            continue;
        }
        let good: [bool; GROUP] = std::array::from_fn(|j| j < row.len() && is_good(row[j], needed[j]));
        root(metric, row);
        for (j, value) in row.iter_mut().enumerate().filter(|(j, _)| !good[*j]) {
            *value = T::from_wide(Wide::Float(direct(metric, x.row(i), y.row(group * GROUP + j))));
        }
    }
}

/// Returns whether `value` is at least `needed` and finite. Returns false for NaN.
fn is_good<T: Real>(value: T, needed: T) -> bool {
    value >= needed && value < T::INFINITY
}

fn root<T: Real>(metric: Measure, values: &mut [T]) {
    if metric == Measure::Euclidean {
        values.iter_mut().for_each(|v| *v = v.sqrt());
    }
}
