//! Distances between vectors.

mod best;
mod metric;
mod neighbours;
mod sparse;

pub use best::{Best, Candidate};
pub use metric::{Bound, Coordinates, Metric, MetricInfo, Vectors};
pub use neighbours::{Neighbors, Ragged, argmin, nearest, within};
pub(crate) use neighbours::{grow, on_host};
pub use sparse::nearest_sparse;

use crate::array::{Array, axis};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, Lead, Placeholder, RawArray, select};
use crate::layout::Layout;
use crate::op::{Distance, Measure, Op, Params};
use crate::plan::execute;
use crate::slice::SliceItem;
use crate::{DType, Dims, Element, Error, Float, Program, Real, Result, Wide, canon};
use std::ops::Range;
use std::sync::Arc;

/// Computes the distances between all rows of X `[n, d]` and all rows of Y `[m, d]`, as `[n, m]`.
///
/// Vectors are floats, whose distances have their dtype; for some metrics bytes (i8, u8), or words of packed bits
/// (unsigned integers), whose distances are f32. [`Metric`] states these dtypes, formulas, special values and error
/// bounds. They hold for data far from the origin, too: the
/// coordinates are subtracted before they are squared, or the difference is computed again where it cancels. On a GPU,
/// squares that leave the range of the dtype give infinity or 0, and cosine distances have an error of up to
/// `(d + 3) eps`.
///
/// # Errors
/// [`Error::Shapes`] unless both have two axes and the same number of columns, and the parameters of the metric match
/// it; [`Error::Argument`] for an order below 1 and for negative variances; [`Error::DTypeUndefined`] for other dtypes.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([[0.0f64, 0.0], [3.0, 4.0]]);
/// assert_eq!(distance::cdist(&x, &x, Metric::Euclidean)?.to_vec()?, [0.0, 5.0, 5.0, 0.0]);
/// assert_eq!(distance::cdist(&x, &x, Metric::SEuclidean(&Array::from([9.0, 1.0])))?.get([0, 1])?, 17f64.sqrt());
///
/// let bytes = Array::from([[-128i8, 127], [127, -128]]);
/// assert_eq!(distance::cdist(&bytes, &bytes, Metric::SquaredEuclidean)?.get([0, 1])?, 130_050f32);
/// let codes = Array::from([[0u64, 7], [u64::MAX, 5]]);
/// assert_eq!(distance::cdist(&codes, &codes, Metric::BitHamming)?.get([0, 1])?, 65f32);
/// # Ok::<(), Error>(())
/// ```
pub fn cdist<T: Element>(x: &Array<T>, y: &Array<T>, metric: Metric) -> Result<Array<T::Distance>> {
    Pairs::new("cdist", x, y, metric)?.distances()
}

/// Computes `f` of the distances between all rows of X `[n, d]` and all rows of Y `[m, d]`, as `[n, m]`, before they
/// are written: a kernel matrix takes one pass.
///
/// The closure is called once. Its argument is a placeholder for the distances, as in [`Matmul::map`]; the expression
/// that it returns has their shape, and may read other arrays.
///
/// [`Matmul::map`]: crate::Matmul::map
///
/// # Errors
/// As [`cdist`]; [`Error::Shapes`] if the expression has another shape, and its errors.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([[0.0, 0.0], [1.0, 1.0]]);
/// let kernel = distance::cdist_map(&x, &x, Metric::SquaredEuclidean, |d| (d * -0.5).exp())?;
/// assert!(kernel.allclose(&Array::from([[1.0, (-1f64).exp()], [(-1f64).exp(), 1.0]]), 1e-15, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn cdist_map<T: Element<Distance: Float>>(
    x: &Array<T>,
    y: &Array<T>,
    metric: Metric,
    f: impl FnOnce(Expr<T::Distance>) -> Expr<T::Distance>,
) -> Result<Array<T::Distance>> {
    Pairs::new("cdist_map", x, y, metric)?.map(f)
}

/// Computes the sum over all rows of Y `[m, d]` of `f` of the distances from each row of X `[n, d]`, as `[n]`. Stores
/// only a block of the distances at a time.
///
/// The closure is called for each block, with a placeholder for the distances. It may read single values, but no arrays
/// of the shape of the distances.
///
/// # Errors
/// As [`cdist_map`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([[0.0], [1.0], [3.0]]);
/// assert_eq!(distance::cdist_sum(&x, &x, Metric::Cityblock, |d| d * 2.0)?, Array::from([8.0, 6.0, 10.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn cdist_sum<T: Element<Distance: Float>>(
    x: &Array<T>,
    y: &Array<T>,
    metric: Metric,
    f: impl Fn(Expr<T::Distance>) -> Expr<T::Distance> + Sync,
) -> Result<Array<T::Distance>> {
    let pairs = Pairs::new("cdist_sum", x, y, metric)?;
    let [n, m] = pairs.shape();
    if n == 0 || m == 0 {
        pairs.map(&f)?;
        return Array::zeros([n])?.beside(x);
    }
    let rows = |rows: Range<usize>| {
        let mut sums = neighbours::reserve(rows.len())?;
        for block in neighbours::blocks(rows, neighbours::ROWS) {
            // The width of blocks does not depend on the rows, and totals are in f64, so that the sum of a row depends
            // only on its distances.
            let mut totals = vec![0f64; block.len()];
            for columns in neighbours::blocks(0..m, neighbours::BLOCK / neighbours::ROWS) {
                let some = pairs.part(&block, &columns)?.map(&f)?.sum_axis(1)?.to_vec()?;
                totals.iter_mut().zip(some).for_each(|(total, sum)| *total += sum.to_wide().real());
            }
            sums.extend(totals.into_iter().map(|total| T::Distance::from_wide(Wide::Float(total))));
        }
        Ok(sums)
    };
    let sums = neighbours::over_rows(&pairs, &rows)?.concat();
    Array::from_vec(sums, [n])?.beside(x)
}

/// Computes the distances between all pairs of different rows of X `[n, d]`, as `[n (n - 1) / 2]`: those of row 0 to
/// rows 1, 2, .., then those of row 1 to rows 2, 3, .., and so on. [`squareform`] makes a matrix of them.
///
/// # Errors
/// As [`cdist`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([[0.0], [1.0], [3.0]]);
/// assert_eq!(distance::pdist(&x, Metric::Cityblock)?, Array::from([1.0, 3.0, 2.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn pdist<T: Element<Distance: Float>>(x: &Array<T>, metric: Metric) -> Result<Array<T::Distance>> {
    let pairs = Pairs::new("pdist", x, x, metric)?;
    let [n, _] = pairs.shape();
    let count = n.checked_mul(n.saturating_sub(1)).map_or(usize::MAX, |twice| twice / 2);
    let mut condensed = crate::array::reserve(&Dims::from([count]))?;
    let height = (neighbours::BLOCK / n.max(1)).max(1);
    for rows in neighbours::blocks(0..n.saturating_sub(1), height) {
        // The block also has the pairs below the diagonal of its first columns, which are skipped.
        let columns = rows.start + 1..n;
        let block = pairs.part(&rows, &columns)?.distances()?;
        neighbours::on_host(&block, |values| {
            let each = values.chunks_exact(columns.len()).enumerate();
            each.for_each(|(i, row)| condensed.extend_from_slice(&row[i..]));
            Ok(())
        })?;
    }
    Array::from_vec(condensed, [count])?.beside(x)
}

/// Converts the condensed distances `[n (n - 1) / 2]` that [`pdist`] returns to a symmetric matrix `[n, n]` with a
/// diagonal of zeros, or such a matrix to condensed distances.
///
/// # Errors
/// [`Error::Shapes`] if the length is not that of a condensed matrix, or the matrix is not square; [`Error::Argument`]
/// if it is not symmetric, or its diagonal is not zero.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let square = distance::squareform(&Array::from([1.0, 3.0, 2.0]))?;
/// assert_eq!(square, Array::from([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]));
/// assert_eq!(distance::squareform(&square)?, Array::from([1.0, 3.0, 2.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn squareform<T: Real>(distances: &Array<T>) -> Result<Array<T>> {
    let wrong = |why: &str| Error::Shapes {
        op: "squareform",
        left: distances.shape().into(),
        right: Dims::new(),
        why: why.into(),
    };
    match *distances.shape() {
        [count] => {
            // The root is at most one too small for lengths above 2^52.
            let near = (2.0 * count as f64).sqrt() as usize;
            let fits = |n: &usize| n.checked_mul(n.saturating_sub(1)).is_some_and(|twice| twice / 2 == count);
            let n = (near.max(1)..near.saturating_add(3)).find(fits).ok_or_else(|| {
                wrong("a condensed matrix has n (n - 1) / 2 elements, which is no such number for any n")
            })?;
            let shape = Dims::from([n, n]);
            let mut square = crate::array::reserve(&shape)?;
            square.resize(n * n, T::ZERO);
            let mut values = distances.to_vec()?.into_iter();
            for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
                let value = values.next().expect("there are n (n - 1) / 2 values");
                (square[i * n + j], square[j * n + i]) = (value, value);
            }
            Array::from_vec(square, shape)?.beside(distances)
        }
        [n, m] if n == m => {
            let square = distances.to_vec()?;
            let fault = |i: usize, j: usize, why: &str| Error::Argument {
                op: "squareform",
                name: "the matrix",
                value: format!("{} at [{i}, {j}] and {} at [{j}, {i}]", square[i * n + j], square[j * n + i]),
                why: why.into(),
            };
            let mut condensed = crate::array::reserve(&Dims::from([n * n.saturating_sub(1) / 2]))?;
            for i in 0..n {
                if square[i * n + i] != T::ZERO {
                    return Err(fault(i, i, "the diagonal must be zero"));
                }
                for j in i + 1..n {
                    let (upper, lower) = (square[i * n + j], square[j * n + i]);
                    let both_nan = [upper, lower].iter().all(|x| x.partial_cmp(x).is_none());
                    if upper != lower && !both_nan {
                        return Err(fault(i, j, "the matrix must be symmetric"));
                    }
                    condensed.push(upper);
                }
            }
            let count = condensed.len();
            Array::from_vec(condensed, [count])?.beside(distances)
        }
        _ => Err(wrong("it takes condensed distances, of one axis, or a square matrix")),
    }
}

/// Two sets of vectors, and how their distances are computed.
struct Pairs<T: Element> {
    op: &'static str,
    x: Array<T>,
    y: Array<T>,
    how: How<T>,
    /// The distance of vectors without coordinates.
    empty: f64,
    /// Whether vectors are nearer if their value is larger.
    descending: bool,
}

#[derive(Clone)]
enum How<T: Element> {
    /// As an operation of a backend, with the order and the weights.
    Measure(Measure, f64, Option<Array<T>>),
    /// As an expression of the coordinates.
    Haversine,
    /// As those of the vectors in f32, rounded once: metrics of half floats that need more than one operation, whose
    /// results would each be rounded, or parameters, which may be out of the range of the dtype.
    Single(Arc<Pairs<f32>>),
}

impl<T: Element> Pairs<T> {
    /// Checks the operands, and changes the vectors where the metric is another one on changed vectors.
    fn new(op: &'static str, x: &Array<T>, y: &Array<T>, metric: Metric) -> Result<Pairs<T>> {
        let shapes = |why: &str| Error::Shapes { op, left: x.shape().into(), right: y.shape().into(), why: why.into() };
        if !metric.info().coordinates.accept(T::DTYPE) {
            return Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: defined(metric, T::DTYPE) });
        }
        let (&[n, d], &[m, e]) = (x.shape(), y.shape()) else {
            return Err(shapes("both need two axes, [points, coordinates]"));
        };
        if d != e {
            return Err(shapes(&format!("the vectors have {d} and {e} coordinates; both need the same number")));
        }
        let (empty, descending) = (metric.info().empty, metric == Metric::Dot);
        let several = matches!(
            metric,
            Metric::Correlation
                | Metric::JensenShannon
                | Metric::SEuclidean(_)
                | Metric::Mahalanobis(_)
                | Metric::Haversine
        );
        if several && matches!(T::DTYPE, DType::F16 | DType::BF16) {
            let single = x.cast::<f32>().eval()?;
            let other = if x.raw().same(y.raw()) { single.clone() } else { y.cast::<f32>().eval()? };
            let how = How::Single(Arc::new(Pairs::<f32>::new(op, &single, &other, metric)?));
            return Ok(Pairs { op, x: x.clone(), y: y.clone(), how, empty, descending });
        }
        let how = |measure: Measure| Ok(How::Measure(measure, 1.0, None));
        let argument = |name: &'static str, value: f64, why: &str| Error::Argument {
            op,
            name,
            value: value.to_string(),
            why: why.into(),
        };
        let parameter = |array: &Array<f64>, shape: &[usize]| {
            let why = || format!("the parameter of {} must have the shape {shape:?}", metric.name());
            let given = || Error::Shapes { op, left: x.shape().into(), right: array.shape().into(), why: why() };
            if array.shape() == shape { array.to_vec() } else { Err(given()) }
        };
        let weights = |measure: Measure, numbers: Vec<f64>, shape: &[usize]| -> Result<How<T>> {
            let numbers = numbers.into_iter().map(|w| T::from_wide(Wide::Float(w))).collect();
            Ok(How::Measure(measure, 1.0, Some(Array::from_vec(numbers, shape)?.beside(x)?)))
        };
        let how = match metric {
            Metric::Euclidean => how(Measure::Euclidean),
            Metric::SquaredEuclidean => how(Measure::SquaredEuclidean),
            Metric::Cosine | Metric::Correlation => how(Measure::Cosine),
            Metric::Dot => how(Measure::Dot),
            Metric::Cityblock => how(Measure::Cityblock),
            Metric::Chebyshev => how(Measure::Chebyshev),
            Metric::Minkowski(p) if p >= 1.0 => Ok(How::Measure(Measure::Minkowski, p, None)),
            Metric::Minkowski(p) => Err(argument("p", p, "the order must be at least 1")),
            Metric::Canberra => how(Measure::Canberra),
            Metric::BrayCurtis => how(Measure::BrayCurtis),
            Metric::Hamming => how(Measure::Hamming),
            Metric::Jaccard => how(Measure::Jaccard),
            Metric::BitHamming => how(Measure::BitHamming),
            Metric::BitJaccard => how(Measure::BitJaccard),
            Metric::JensenShannon => how(Measure::JensenShannon),
            Metric::SEuclidean(v) => {
                let mut v = parameter(v, &[d])?;
                if let Some(&v) = v.iter().find(|v| **v < 0.0) {
                    return Err(argument("variances", v, "variances must not be negative"));
                }
                v.iter_mut().for_each(|v| *v = 1.0 / v.sqrt());
                weights(Measure::SEuclidean, v, &[d])
            }
            Metric::Mahalanobis(v) => weights(Measure::Mahalanobis, parameter(v, &[d, d])?, &[d, d]),
            Metric::Haversine if d == 2 => Ok(How::Haversine),
            Metric::Haversine => Err(shapes("haversine distances need two coordinates, latitude and longitude")),
        }?;
        let nothing = n == 0 || m == 0 || d == 0;
        let change = |rows: &Array<T>| match metric {
            Metric::Correlation if !nothing => centred(rows),
            Metric::JensenShannon if !nothing => shares(rows),
            _ => Ok(rows.clone()),
        };
        let changed = change(x)?;
        // Backends recognise two sets that are the same.
        let y = if x.raw().same(y.raw()) { changed.clone() } else { change(y)? };
        Ok(Pairs { op, x: changed, y, how, empty, descending })
    }

    fn shape(&self) -> [usize; 2] {
        [self.x.shape()[0], self.y.shape()[0]]
    }

    /// Returns the pairs of some of the rows of X and some of the rows of Y.
    fn part(&self, rows: &Range<usize>, columns: &Range<usize>) -> Result<Pairs<T>> {
        let part = |from: &Array<T>, range: &Range<usize>| {
            from.slice([SliceItem::from(range.start as isize..range.end as isize)])
        };
        let how = match &self.how {
            How::Single(single) => How::Single(Arc::new(single.part(rows, columns)?)),
            how => how.clone(),
        };
        Ok(Pairs { x: part(&self.x, rows)?, y: part(&self.y, columns)?, how, ..*self })
    }

    /// Computes the distances.
    fn distances(&self) -> Result<Array<T::Distance>> {
        let dtype = T::Distance::DTYPE;
        Dims::from(self.shape()).check(dtype)?;
        match self.op(Program::identity(dtype), Params::new())? {
            Some(op) => self.run(op),
            None => self.expression()?.eval(),
        }
    }

    /// Computes `f` of the distances.
    fn map(&self, f: impl FnOnce(Expr<T::Distance>) -> Expr<T::Distance>) -> Result<Array<T::Distance>> {
        let (shape, dtype) = (Dims::from(self.shape()), T::Distance::DTYPE);
        shape.check(dtype)?;
        let checked = |distances: Expr<T::Distance>| {
            let result = f(distances);
            match result.shape()? {
                given if given == shape => Ok(result),
                given => Err(Error::Shapes {
                    op: self.op,
                    left: self.x.shape().into(),
                    right: self.y.shape().into(),
                    why: format!("the closure changes the shape of the distances from {shape:?} to {given:?}"),
                }),
            }
        };
        if self.op(Program::identity(dtype), Params::new())?.is_none() {
            return checked(self.expression()?)?.eval();
        }
        let distances = Arc::new(Placeholder { dtype, shape: Some(shape.clone()) });
        let result = checked(Expr::placeholder(&distances))?;
        let tape = result.tape_with(Lead::Inputs(std::slice::from_ref(&distances)))?;
        if tape.operands().is_empty()
            && !tape.is_too_long()
            && let Some(op) = self.op(tape.program()?, tape.params().clone())?
        {
            return self.run(op);
        }
        let computed = self.distances()?.into_shared();
        let tape = result.tape_with(Lead::Computed(&distances, &computed))?;
        Array::from_raw(tape.eval_fresh(&Device::current()?)?)
    }

    /// Returns the operation; `None` if the distances are an expression.
    fn op(&self, after: Program, after_params: Params) -> Result<Option<Op>> {
        let ([n, m], d) = (self.shape(), self.x.shape()[1]);
        let How::Measure(metric, power, weights) = &self.how else { return Ok(None) };
        if n == 0 || m == 0 || d == 0 {
            return Ok(None);
        }
        let operand = |array: &Array<T>| canon::operand(&array.raw().buffer, T::DTYPE, array.layout());
        Ok(Some(Op::from(Distance {
            metric: *metric,
            power: *power,
            weights: weights.as_ref().map(operand),
            dtype: T::DTYPE,
            n,
            m,
            d,
            x: operand(&self.x),
            y: operand(&self.y),
            after,
            after_params,
        })))
    }

    fn run(&self, op: Op) -> Result<Array<T::Distance>> {
        let buffer = execute(op, &Device::current()?, None)?;
        let layout = Layout::contiguous(Dims::from(self.shape()));
        Array::from_raw(RawArray { buffer, dtype: T::Distance::DTYPE, layout })
    }

    /// Returns the distances that are not an operation: haversine distances, and those of no vectors or coordinates.
    fn expression(&self) -> Result<Expr<T::Distance>> {
        let [n, m] = self.shape();
        if n == 0 || m == 0 || self.x.shape()[1] == 0 {
            let empty = T::Distance::from_wide(Wide::Float(self.empty));
            return Ok(Array::full([n, m], empty)?.beside(&self.x)?.into_expr());
        }
        match &self.how {
            How::Single(single) => Ok(single.distances()?.cast()),
            // Of floats, whose distances have their own dtype.
            How::Measure(..) | How::Haversine => Ok(haversine(&self.x, &self.y)?.reinterpret()),
        }
    }
}

/// Returns the dtypes that a metric is defined for, and the metrics that are defined for a dtype.
fn defined(metric: Metric, dtype: DType) -> String {
    let listed = Metric::ALL.iter().chain(&Metric::PACKED);
    let of_dtype: Vec<_> =
        listed.filter(|metric| metric.info().coordinates.accept(dtype)).map(|metric| metric.name()).collect();
    let dtypes = format!("{} by the metric {}", metric.info().coordinates.describe(), metric.name());
    match &of_dtype[..] {
        [] => dtypes,
        metrics => format!("{dtypes}; {dtype} by {}", metrics.join(", ")),
    }
}

/// Returns the angles between the points of `x` and those of `y`, each of at least one point.
fn haversine<T: Element>(x: &Array<T>, y: &Array<T>) -> Result<Expr<T>> {
    let c = |x: f64| T::from_wide(Wide::Float(x));
    let column = |of: &Array<T>, i: isize| of.slice([SliceItem::from(..), SliceItem::from(i..i + 1)]);
    let ([x0, x1], [y0, y1]) = ([column(x, 0)?, column(x, 1)?], [column(y, 0)?.t(), column(y, 1)?.t()]);
    let cosines = x0.cos().eval()? * y0.cos().eval()?;
    let half = (&x1 - &y1) * c(0.5);
    // The squares of the sine and the cosine of half the angle. Neither is a difference, so the angle is accurate for
    // points that are close and for points on opposite sides.
    let sine = ((&x0 - &y0) * c(0.5)).sin().square() + cosines.clone() * half.clone().sin().square();
    let cosine = ((&x0 + &y0) * c(0.5)).sin().square() + cosines * half.cos().square();
    Ok(sine.sqrt().arctan2(cosine.sqrt()) * c(2.0))
}

/// Subtracts the mean of each row.
fn centred<T: Element>(rows: &Array<T>) -> Result<Array<T>> {
    let c = |x: f64| T::from_wide(Wide::Float(x));
    let along = || axis(1).keepdims();
    // If sums might overflow or differences underflow, the rows are multiplied by a power of two near the reciprocal of
    // the largest magnitude, which is exact.
    let exponents = rows.abs().reinterpret::<T>().max_axis(along())?.log2().floor().eval()?;
    let (usual, largest) = match T::DTYPE {
        DType::F64 => (500.0, 1000.0),
        DType::F16 => (10.0, 14.0),
        _ => (60.0, 120.0),
    };
    let is_usual = exponents.abs().reinterpret::<T>().less_equal(c(usual));
    let scale: Array<T> = select(is_usual, c(1.0), (-exponents.clip(c(-largest), c(largest))).exp2()).eval()?;
    let less_mean = |rows: Array<T>| -> Result<Array<T>> {
        let mean = rows.mean_axis(along())?.into_expr().reinterpret::<T>();
        (rows - mean).eval()
    };
    // The mean is rounded. Where all numbers of a row are close to each other, the differences are exact, and their own
    // mean is the rounding error.
    less_mean(less_mean((rows * scale).eval()?)?)
}

/// Divides each row by its sum. A row whose sum is 0 gets negative numbers, whose distances are infinite.
fn shares<T: Element>(rows: &Array<T>) -> Result<Array<T>> {
    let c = |x: f64| T::from_wide(Wide::Float(x));
    // A multiplication by a power of two near the reciprocal of the largest magnitude is exact, and keeps the sum in
    // range.
    let largest = if T::DTYPE == DType::F64 { 1000.0 } else { 120.0 };
    let most = rows.abs().reinterpret::<T>().max_axis(axis(1).keepdims())?;
    let exponents = most.log2().floor().clip(c(-largest), c(largest));
    let rows = &(rows * (-exponents).exp2()).eval()?;
    let sums = rows.sum_axis(axis(1).keepdims())?.into_expr().reinterpret::<T>();
    select(sums.clone().equal(c(0.0)), c(-1.0), rows / sums).eval()
}
