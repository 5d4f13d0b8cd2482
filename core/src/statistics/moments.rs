//! Ranges, weighted averages, covariances and correlations.

use crate::array::{Array, Axes, axis};
use crate::expr::{Expr, IntoExpr};
use crate::reduce::{float, is_half, methods};
use crate::{Dims, Element, Error, Kind, Result, s};
use smallvec::SmallVec;
use std::ops::Range;

methods! {
    /// The difference of the largest and the smallest element ("peak to peak"); integers wrap. NaN if there is one.
    ///
    /// # Errors
    /// As [`max`](Self::max); [`Error::DTypeUndefined`] for bool, which has no difference.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 9, 1, 4], [2, 2])?;
    /// assert_eq!(x.ptp()?, 8);
    /// assert_eq!(x.ptp_axis(1)?.to_vec()?, [6, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    fn ptp() -> T = |x| (x.max()?.into_expr() - x.min()?).eval()?.item();

    /// The [`ptp`](Self::ptp) over some axes.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and as [`ptp`](Self::ptp).
    fn ptp_axis(axes: impl Into<Axes>) -> Array<T> = |x| {
        let axes = axes.into();
        (x.max_axis(axes.clone())? - x.min_axis(axes)?).eval()
    };
}

/// Returns the sum over some axes in the dtype of the elements, which are floats or complex numbers.
fn sum<F: Element>(x: &Expr<F>, axes: Axes) -> Result<Array<F>> {
    Array::from_raw(x.sum_axis(axes)?.into_raw())
}

/// Returns `weights`, of the shape of `x` or with the lengths of `axes`, in a shape that broadcasts with `x`.
fn aligned<T: Element, F: Element>(x: &Array<T>, weights: &Array<F>, axes: &[usize]) -> Result<Array<F>> {
    if weights.shape() == x.shape() {
        return Ok(weights.clone());
    }
    if !weights.shape().iter().copied().eq(axes.iter().map(|&a| x.shape()[a])) {
        let why = format!("weights must have the shape of the array, or the lengths of the axes {axes:?}");
        return Err(Error::Shapes { op: "average", left: x.shape().into(), right: weights.shape().into(), why });
    }
    let mut order: SmallVec<[isize; 4]> = (0..axes.len() as isize).collect();
    order.sort_by_key(|&i| axes[i as usize]);
    let shape: Dims = (0..x.ndim()).map(|a| if axes.contains(&a) { x.shape()[a] } else { 1 }).collect();
    weights.permute(&order)?.reshape(shape)
}

/// Implements [`Array::average_axis`] for floats and complex numbers. Half floats are computed in f32.
fn average<F: Element>(x: &Expr<F>, weights: &Array<F>, axes: Axes) -> Result<Array<F>> {
    if is_half(F::DTYPE) {
        return average::<f32>(&x.clone().cast(), &weights.cast().eval()?, axes)?.cast().eval();
    }
    let total = sum(&weights.into_expr(), axes.clone())?;
    if total.equal(float::<F>(0.0)).any()? {
        let why = "they cannot be normalised".into();
        return Err(Error::Argument { op: "average", name: "weights", value: "weights with the sum 0".into(), why });
    }
    (sum(&(x * weights), axes)? / total).eval()
}

/// The number of bytes of a block of centred columns: a part of the second-level caches.
const BLOCK: usize = 1 << 20;
/// The least number of columns of a block, so that products of many rows take longer than adding them up.
const COLUMNS: usize = 1024;

/// Returns the covariances `[v, v]` of the v rows of `x`, which are floats or complex numbers. The products of blocks
/// of columns are added up, so that the centred rows are not stored.
fn covariances<F: Element>(x: &Array<F>, ddof: usize) -> Result<Array<F>> {
    let [rows, n] = [x.shape()[0], x.shape()[1]];
    let means: Array<F> = Array::from_raw(x.mean_axis(axis(1).keepdims())?.into_raw())?;
    let products = |columns: Range<usize>| {
        let centred = (x.slice(s![.., columns])? - &means).eval()?;
        let conjugate = if F::DTYPE.kind() == Kind::Complex { centred.conj().eval()? } else { centred.clone() };
        centred.matmul(&conjugate.t())
    };
    let step = (BLOCK / (rows.max(1) * size_of::<F>())).max(COLUMNS);
    let mut sum = products(0..n.min(step))?;
    for start in (step..n).step_by(step) {
        sum = (sum + products(start..n.min(start + step))?).eval()?;
    }
    let divisor = if n > ddof { (n - ddof) as f64 } else { f64::NAN };
    (sum / float::<F>(divisor)).eval()
}

/// Returns the correlations of the rows of `x`: the covariances divided by the standard deviations of both rows.
fn correlations<F: Element>(x: &Array<F>) -> Result<Array<F>> {
    let covariances = covariances(x, 0)?;
    let deviations = covariances.diagonal(0, 1)?.cast::<F::Real>().sqrt().cast::<F>().eval()?;
    let quotient = covariances / deviations.expand_dims(1)? / &deviations;
    match F::DTYPE.kind() {
        // Rounding may lead beyond 1.
        Kind::Float => quotient.clip(float::<F>(-1.0), float::<F>(1.0)).eval(),
        _ => quotient.eval(),
    }
}

impl<T: Element> Array<T> {
    /// The average of all elements with `weights` of the same shape, `sum(weights * x) / sum(weights)`. Integers and
    /// bool give f64; half floats are computed in f32 and rounded once.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the shapes differ, [`Error::Argument`] if the sum of the weights is 0,
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1i32, 2, 3, 4], [2, 2])?;
    /// let weights = Array::from_vec(vec![1.0, 3.0], [2])?;
    /// assert_eq!(x.average_axis(&weights, 1)?.to_vec()?, [1.75, 3.75]);
    /// assert_eq!(x.average(&weights.broadcast_to([2, 2])?)?, 2.75);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn average(&self, weights: &Array<T::Mean>) -> Result<T::Mean> {
        let all: SmallVec<[isize; 4]> = (0..self.ndim() as isize).collect();
        self.average_axis(weights, Axes { axes: all, keep: false })?.item()
    }

    /// The [`average`](Self::average) over some axes. The weights have the shape of the array, or the lengths of the
    /// axes, in the order in which these are given.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and as [`average`](Self::average).
    pub fn average_axis(&self, weights: &Array<T::Mean>, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        let axes = axes.into();
        let weights = aligned(self, weights, &axes.resolve("average", self.ndim())?)?;
        average(&self.cast(), &weights, axes)
    }

    /// The covariance matrix `[v, v]` of v variables with n observations, the rows of this array `[v, n]`:
    /// `sum((x_i - mean_i) * conj(x_j - mean_j)) / (n - ddof)`. NumPy's default is a `ddof` of 1. An array with one
    /// axis is one variable, and the result, its variance, has no axes. NaN if n is not more than `ddof`. Integers and
    /// bool give f64; half floats are computed in f32 and rounded once.
    ///
    /// # Errors
    /// [`Error::Argument`] if the array has neither one axis nor two; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0, 2.0, 3.0, 6.0, 4.0, 2.0], [2, 3])?;
    /// assert_eq!(x.cov(1)?.to_vec()?, [1.0, -2.0, -2.0, 4.0]);
    /// assert!(x.corrcoef()?.allclose(&Array::from_vec(vec![1.0, -1.0, -1.0, 1.0], [2, 2])?, 1e-12, 0.0)?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cov(&self, ddof: usize) -> Result<Array<T::Mean>> {
        self.of_rows("cov", |x| covariances(x, ddof), |x| covariances(x, ddof))
    }

    /// The correlation coefficients `[v, v]` of the rows of this array: the covariances ([`cov`](Self::cov)) divided by
    /// both standard deviations. NaN for rows whose elements are all equal.
    ///
    /// # Errors
    /// As [`cov`](Self::cov).
    pub fn corrcoef(&self) -> Result<Array<T::Mean>> {
        self.of_rows("corrcoef", correlations, correlations)
    }

    /// Applies `f`, or `narrow` to half floats converted to f32, to the array as a matrix of floats or complex numbers.
    fn of_rows(
        &self,
        op: &'static str,
        f: impl Fn(&Array<T::Mean>) -> Result<Array<T::Mean>>,
        narrow: impl Fn(&Array<f32>) -> Result<Array<f32>>,
    ) -> Result<Array<T::Mean>> {
        let rows = match self.ndim() {
            1 => self.expand_dims(0)?,
            2 => self.clone(),
            ndim => {
                let why = "variables are the rows of a matrix, or one line".into();
                return Err(Error::Argument { op, name: "the number of axes", value: ndim.to_string(), why });
            }
        };
        let result = match is_half(T::DTYPE) {
            true => narrow(&rows.cast().eval()?)?.cast().eval()?,
            false => f(&rows.cast().eval()?)?,
        };
        if self.ndim() == 1 { result.reshape(()) } else { Ok(result) }
    }
}
