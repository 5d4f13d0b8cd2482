//! Binary search, bins by search, and interpolation between given points.

use super::{compare, host_elements, is_nan, operand};
use crate::array::Array;
use crate::device::Device;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::op::{Op, Search, Side};
use crate::plan::execute;
use crate::reduce::float;
use crate::sort::{ordered, reserve};
use crate::{DType, Dims, Element, Error, Result, s};

impl<T: Element> Array<T> {
    /// The positions at which the values would be inserted into this array so that it stays sorted. This array has one
    /// axis and ascends. The result is the number of elements less than the value ([`Side::Left`]), or less than or
    /// equal to it ([`Side::Right`]), in the shape of `values` and with dtype i64. NaN is larger than every number. If
    /// this array does not ascend, the results are arbitrary.
    ///
    /// # Errors
    /// [`Error::Shapes`] if this array does not have exactly one axis, [`Error::DTypeUndefined`] for complex numbers,
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let sorted = Array::from_vec(vec![1.0, 2.0, 2.0, 5.0], [4])?;
    /// let values = Array::from_vec(vec![2.0, 9.0], [2])?;
    /// assert_eq!(sorted.searchsorted(&values, Side::Left)?.to_vec()?, [1, 4]);
    /// assert_eq!(sorted.searchsorted(&values, Side::Right)?.to_vec()?, [3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn searchsorted(&self, values: &Array<T>, side: Side) -> Result<Array<i64>> {
        ordered("searchsorted", T::DTYPE)?;
        if self.ndim() != 1 {
            let why = "the searched array must have exactly one axis".into();
            return Err(Error::Shapes {
                op: "searchsorted",
                left: self.shape().into(),
                right: values.shape().into(),
                why,
            });
        }
        if self.is_empty() || values.is_empty() {
            return Array::zeros(values.shape());
        }
        let shape = Dims::from(values.shape());
        shape.check(DType::I64)?;
        let op = Op::from(Search {
            dtype: T::DTYPE,
            n: self.len(),
            sorted: operand(self.raw()),
            shape: shape.clone(),
            values: operand(values.raw()),
            side,
        });
        Array::from_raw(RawArray {
            buffer: execute(op, &Device::current()?, None)?,
            dtype: DType::I64,
            layout: Layout::contiguous(shape),
        })
    }

    /// The number of the bin of each element between the edges `bins`, in the shape of this array: i if the element is
    /// from `bins[i - 1]` to less than `bins[i]`, 0 if it is below the first edge, and the number of edges from the
    /// last one on. With [`Side::Right`] the upper edge belongs to a bin instead of the lower one ([`Side::Left`],
    /// NumPy's default). Edges may also descend; "below" and "above" are then exchanged. NaN is above every edge.
    ///
    /// # Errors
    /// [`Error::Argument`] if `bins` does not have exactly one axis, or is not monotonic; [`Error::DTypeUndefined`] for
    /// complex numbers; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0.5, 1.0, 7.0], [3])?;
    /// let bins = Array::from_vec(vec![0.0, 1.0, 2.0], [3])?;
    /// assert_eq!(x.digitize(&bins, Side::Left)?.to_vec()?, [1, 2, 3]);
    /// assert_eq!(x.digitize(&bins, Side::Right)?.to_vec()?, [1, 1, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn digitize(&self, bins: &Array<T>, closed: Side) -> Result<Array<i64>> {
        const OP: &str = "digitize";
        ordered(OP, T::DTYPE)?;
        let here = host_elements(bins)?;
        let side = if closed == Side::Left { Side::Right } else { Side::Left };
        if bins.ndim() == 1 && ascends(&here) {
            return bins.searchsorted(self, side);
        }
        if bins.ndim() == 1 && here.iter().rev().is_sorted_by(|&&a, &&b| compare(a, b).is_le()) {
            let below = bins.slice(s![..;-1])?.searchsorted(self, side)?;
            return (here.len() as i64 - below).eval();
        }
        let value = format!("an array of shape {:?}", bins.shape());
        let why = "bins are an array with one axis that ascends or descends".into();
        Err(Error::Argument { op: OP, name: "bins", value, why })
    }

    /// The values at the elements of this array of the function that is linear between the points `(x, y)`: `x` and `y`
    /// are arrays of one axis, and `x` ascends. Below the first point the value is the first y, above the last point
    /// the last one. NaN for NaN. Computed in f64; the result has the shape of this array. Integers and bool give f64.
    ///
    /// # Errors
    /// [`Error::Shapes`] if `x` and `y` are not of one shape with one axis; [`Error::Empty`] for no points;
    /// [`Error::Argument`] if `x` does not ascend; [`Error::DTypeUndefined`] for complex numbers;
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![0.0, 1.0, 3.0], [3])?, Array::from_vec(vec![10.0, 20.0, 0.0], [3])?);
    /// let at = Array::from_vec(vec![-1.0, 0.5, 2.0, 9.0], [4])?;
    /// assert_eq!(at.interp(&x, &y)?.to_vec()?, [10.0, 15.0, 10.0, 0.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn interp(&self, x: &Array<T>, y: &Array<T>) -> Result<Array<T::Mean>> {
        const OP: &str = "interp";
        ordered(OP, T::DTYPE)?;
        if x.ndim() != 1 || x.shape() != y.shape() {
            let why = "the points are two arrays of the same length with one axis".into();
            return Err(Error::Shapes { op: OP, left: x.shape().into(), right: y.shape().into(), why });
        }
        if x.is_empty() {
            return Err(Error::Empty { op: OP, shape: x.shape().into() });
        }
        let (xs, ys) = (host_elements(x)?, host_elements(y)?);
        if xs.last().is_some_and(|&last| is_nan(last)) || !ascends(&xs) {
            let why = "the positions of the points must ascend, and must not be NaN".into();
            return Err(Error::Argument { op: OP, name: "x", value: format!("{:?}", x.shape()), why });
        }
        let above = x.searchsorted(self, Side::Right)?;
        let (above, here) = (host_elements(&above)?, host_elements(self)?);
        let mut out = reserve(self.len())?;
        for (&j, &at) in above.iter().zip(&*here) {
            let point = |i: usize| (xs[i].to_wide().real(), ys[i].to_wide().real());
            let (j, at) = (j as usize, at.to_wide().real());
            let value = match j {
                _ if at.is_nan() => at,
                0 => point(0).1,
                _ if j == xs.len() => point(j - 1).1,
                _ => between(point(j - 1), point(j), at),
            };
            out.push(float::<T::Mean>(value));
        }
        Array::from_vec(out, self.shape())?.beside(self)
    }
}

/// Returns whether the elements do not descend, with NaN as the largest.
fn ascends<T: Element>(x: &[T]) -> bool {
    x.is_sorted_by(|&a, &b| compare(a, b).is_le())
}

/// Returns the value at `at` of the line through two points, computed from the first one; from the second one if that
/// gives NaN; or the value of both, if they have the same.
fn between((x, y): (f64, f64), (next_x, next_y): (f64, f64), at: f64) -> f64 {
    if at == x {
        return y;
    }
    let slope = (next_y - y) / (next_x - x);
    let from_first = slope * (at - x) + y;
    if !from_first.is_nan() {
        return from_first;
    }
    let from_second = slope * (at - next_x) + next_y;
    if from_second.is_nan() && y == next_y { y } else { from_second }
}
