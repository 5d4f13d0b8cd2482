//! Distances between vectors.

mod metric;

pub use metric::{Bound, Metric, MetricInfo, Vectors};

use crate::array::{Array, axis};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, select};
use crate::layout::Layout;
use crate::op::{Distance, Measure, Op, Params};
use crate::plan::execute;
use crate::slice::SliceItem;
use crate::{DType, Dims, Element, Error, Kind, Program, Result, Wide, canon};

/// Computes the distances between all rows of X `[n, d]` and all rows of Y `[m, d]`, as `[n, m]`. Floats only.
///
/// [`Metric`] states formulas, special values and error bounds. They hold for data far from the origin, too: the
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
/// let x = Array::from([[0.0, 0.0], [3.0, 4.0]]);
/// assert_eq!(distance::cdist(&x, &x, Metric::Euclidean)?.to_vec()?, [0.0, 5.0, 5.0, 0.0]);
/// assert_eq!(distance::cdist(&x, &x, Metric::SEuclidean(&Array::from([9.0, 1.0])))?.get([0, 1])?, 17f64.sqrt());
/// # Ok::<(), Error>(())
/// ```
pub fn cdist<T: Element>(x: &Array<T>, y: &Array<T>, metric: Metric) -> Result<Array<T>> {
    Pairs::new("cdist", x, y, metric)?.distances()
}

/// Two sets of vectors, and how their distances are computed.
struct Pairs<T: Element> {
    x: Array<T>,
    y: Array<T>,
    how: How<T>,
    /// The distance of vectors without coordinates.
    empty: f64,
}

enum How<T: Element> {
    /// As an operation of a backend, with the order and the weights.
    Measure(Measure, f64, Option<Array<T>>),
    /// As an expression of the coordinates.
    Haversine,
}

impl<T: Element> Pairs<T> {
    /// Checks the operands, and changes the vectors where the metric is another one on changed vectors.
    fn new(op: &'static str, x: &Array<T>, y: &Array<T>, metric: Metric) -> Result<Pairs<T>> {
        let shapes = |why: &str| Error::Shapes { op, left: x.shape().into(), right: y.shape().into(), why: why.into() };
        if T::DTYPE.kind() != Kind::Float {
            return Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: "floats".into() });
        }
        let (&[n, d], &[m, e]) = (x.shape(), y.shape()) else {
            return Err(shapes("both need two axes, [points, coordinates]"));
        };
        if d != e {
            return Err(shapes(&format!("the vectors have {d} and {e} coordinates; both need the same number")));
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
        Ok(Pairs { x: changed, y, how, empty: metric.info().empty })
    }

    fn shape(&self) -> [usize; 2] {
        [self.x.shape()[0], self.y.shape()[0]]
    }

    /// Computes the distances.
    fn distances(&self) -> Result<Array<T>> {
        Dims::from(self.shape()).check(T::DTYPE)?;
        match self.op(Program::identity(T::DTYPE), Params::new())? {
            Some(op) => self.run(op),
            None => self.expression()?.eval(),
        }
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

    fn run(&self, op: Op) -> Result<Array<T>> {
        let buffer = execute(op, &Device::current()?, None)?;
        let layout = Layout::contiguous(Dims::from(self.shape()));
        Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout })
    }

    /// Returns the distances that are not an operation: haversine distances, and those of no vectors or coordinates.
    fn expression(&self) -> Result<Expr<T>> {
        let [n, m] = self.shape();
        if n == 0 || m == 0 || self.x.shape()[1] == 0 {
            return Ok(Array::full([n, m], T::from_wide(Wide::Float(self.empty)))?.beside(&self.x)?.into_expr());
        }
        let c = |x: f64| T::from_wide(Wide::Float(x));
        let column = |of: &Array<T>, i: isize| of.slice([SliceItem::from(..), SliceItem::from(i..i + 1)]);
        let ([x0, x1], [y0, y1]) =
            ([column(&self.x, 0)?, column(&self.x, 1)?], [column(&self.y, 0)?.t(), column(&self.y, 1)?.t()]);
        let cosines = x0.cos().eval()? * y0.cos().eval()?;
        let half = (&x1 - &y1) * c(0.5);
        // The squares of the sine and the cosine of half the angle. Neither is a difference, so the angle is accurate
        // for points that are close and for points on opposite sides.
        let sine = ((&x0 - &y0) * c(0.5)).sin().square() + cosines.clone() * half.clone().sin().square();
        let cosine = ((&x0 + &y0) * c(0.5)).sin().square() + cosines * half.cos().square();
        Ok(sine.sqrt().arctan2(cosine.sqrt()) * c(2.0))
    }
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
    let sums = rows.sum_axis(axis(1).keepdims())?.into_expr().reinterpret::<T>();
    select(sums.clone().equal(c(0.0)), c(-1.0), rows / sums).eval()
}
