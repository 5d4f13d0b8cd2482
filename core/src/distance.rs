//! Distances between vectors.

pub use crate::op::Metric;

use crate::array::Array;
use crate::device::Device;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::op::{Distance, Op, Params};
use crate::plan::execute;
use crate::{Dims, Element, Error, Kind, Program, Result, Wide, canon};

/// Computes the distances between all rows of X `[n, d]` and all rows of Y `[m, d]`, as `[n, m]`. Floats only.
///
/// Accuracy: for every metric except cosine, the error relative to the distance is at most `(d + 3) * eps` on `scalar`,
/// `simd` and `gpu`, which subtract first. `blas` computes Euclidean distances from products of centred vectors, and
/// computes them again from differences if that would cancel; its relative error is at most `1e4 * d * eps`. The
/// absolute error of cosine distances is at most `(d + 3) * eps`.
///
/// # Errors
/// [`Error::Shapes`] unless both have two axes and the same number of columns; [`Error::DTypeUndefined`] for other
/// dtypes.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from_vec(vec![0.0, 0.0, 3.0, 4.0], [2, 2])?;
/// assert_eq!(distance::cdist(&x, &x, Metric::Euclidean)?.to_vec()?, [0.0, 5.0, 5.0, 0.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn cdist<T: Element>(x: &Array<T>, y: &Array<T>, metric: Metric) -> Result<Array<T>> {
    let shapes =
        |why: &str| Error::Shapes { op: "cdist", left: x.shape().into(), right: y.shape().into(), why: why.into() };
    if T::DTYPE.kind() != Kind::Float {
        return Err(Error::DTypeUndefined { op: "cdist", dtype: T::DTYPE, defined: "floats".into() });
    }
    let (&[n, d], &[m, e]) = (x.shape(), y.shape()) else {
        return Err(shapes("both need two axes, [points, coordinates]"));
    };
    if d != e {
        return Err(shapes(&format!("the vectors have {d} and {e} coordinates; both need the same number")));
    }
    let shape = Dims::from([n, m]);
    shape.check(T::DTYPE)?;
    if n == 0 || m == 0 || d == 0 {
        let nothing = if metric == Metric::Cosine { f64::NAN } else { 0.0 };
        return Array::full(shape, T::from_wide(Wide::Float(nothing)));
    }
    let op = Op::from(Distance {
        metric,
        dtype: T::DTYPE,
        n,
        m,
        d,
        x: canon::operand(&x.raw().buffer, T::DTYPE, x.layout()),
        y: canon::operand(&y.raw().buffer, T::DTYPE, y.layout()),
        after: Program::identity(T::DTYPE),
        after_params: Params::new(),
    });
    let device = Device::current()?;
    Array::from_raw(RawArray {
        buffer: execute(op, &device, None)?,
        dtype: T::DTYPE,
        layout: Layout::contiguous(shape),
    })
}
