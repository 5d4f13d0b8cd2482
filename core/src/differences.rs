//! Differences of neighbouring elements, and integrals by the trapezoidal rule.

use crate::array::Array;
use crate::expr::{Expr, IntoExpr};
use crate::layout::resolve_axis;
use crate::reduce::{float, is_half};
use crate::{DType, Element, Error, Result};

/// Returns the elements from the first to the last but one along `axis`, and those from the second to the last. The
/// axis is not empty.
fn neighbours<T: Element>(x: &Array<T>, axis: usize) -> [Array<T>; 2] {
    [0, 1].map(|start| {
        let mut layout = x.layout().clone();
        layout.cut(axis, start, 1, x.shape()[axis] - 1);
        x.with_layout(layout)
    })
}

/// Returns the sum of `width * (low + high) / 2` over the neighbours along an axis. Half floats are computed in f32.
fn trapezoid<F: Element>(x: &Array<F>, width: Expr<F>, axis: usize) -> Result<Array<F>> {
    if is_half(F::DTYPE) {
        return trapezoid::<f32>(&x.cast().eval()?, width.cast(), axis)?.cast().eval();
    }
    let [low, high] = neighbours(x, axis);
    let areas = width * (high + low) / float::<F>(2.0);
    Array::from_raw(areas.sum_axis(axis)?.into_raw())
}

impl<T: Element> Array<T> {
    /// The `n`-th differences along `axis`: `x[i + 1] - x[i]`, n times, so that the axis becomes shorter by n, but not
    /// below 0. Integers wrap; of bool, whether neighbours differ.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 4, 9], [4])?;
    /// assert_eq!(x.diff(1, 0)?.to_vec()?, [1, 2, 5]);
    /// assert_eq!(x.diff(2, 0)?.to_vec()?, [1, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn diff(&self, n: usize, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("diff", axis, self.ndim())?;
        let mut x = self.clone();
        for _ in 0..n {
            if x.shape()[axis] == 0 {
                break;
            }
            let [low, high] = neighbours(&x, axis);
            let differences = if T::DTYPE == DType::Bool { high.not_equal(low).cast() } else { high - low };
            x = differences.eval()?;
        }
        Ok(x)
    }

    /// The differences of consecutive elements, in C order: `[len - 1]`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 4, 9], [2, 2])?;
    /// assert_eq!(x.ediff1d()?.to_vec()?, [1, 2, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ediff1d(&self) -> Result<Array<T>> {
        self.ravel()?.diff(1, 0)
    }

    /// The integral along `axis` by the trapezoidal rule, for elements that are `dx` apart:
    /// `sum(dx * (x[i] + x[i + 1]) / 2)`. Integers and bool give f64; half floats are computed in f32 and rounded once.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let y = Array::from_vec(vec![1.0f64, 2.0, 4.0], [3])?;
    /// assert_eq!(y.trapezoid(0.5, 0)?.item()?, 2.25);
    /// let x = Array::from_vec(vec![0.0, 1.0, 3.0], [3])?;
    /// assert_eq!(y.trapezoid_at(&x, 0)?.item()?, 7.5);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "trapz")]
    pub fn trapezoid(&self, dx: f64, axis: isize) -> Result<Array<T::Mean>> {
        let axis = resolve_axis("trapezoid", axis, self.ndim())?;
        let y = self.cast::<T::Mean>().eval()?;
        if y.shape()[axis] == 0 {
            return Array::from_raw(y.sum_axis(axis)?.into_raw());
        }
        if is_half(T::Mean::DTYPE) {
            // A half float of `dx` would lose most of its digits.
            let sums = trapezoid(&y.cast::<f32>().eval()?, float::<f32>(dx).into_expr(), axis)?;
            return sums.cast::<T::Mean>().eval();
        }
        trapezoid(&y, float::<T::Mean>(dx).into_expr(), axis)
    }

    /// The integral along `axis` by the trapezoidal rule, for elements at positions `x`: an array with one axis as long
    /// as `axis`, or an array of the shape of this one. Otherwise as [`trapezoid`](Self::trapezoid).
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::Shapes`] for other shapes of `x`, [`Error::OutOfMemory`].
    pub fn trapezoid_at(&self, x: &Array<T::Mean>, axis: isize) -> Result<Array<T::Mean>> {
        let axis = resolve_axis("trapezoid_at", axis, self.ndim())?;
        let y = self.cast::<T::Mean>().eval()?;
        let len = y.shape()[axis];
        let x = if x.shape() == y.shape() {
            x.clone()
        } else if x.shape() == [len] {
            let shape: crate::Dims = (0..y.ndim()).map(|a| if a == axis { len } else { 1 }).collect();
            x.reshape(shape)?
        } else {
            let why = format!("positions must have the shape of the array, or one axis of length {len}");
            return Err(Error::Shapes { op: "trapezoid_at", left: y.shape().into(), right: x.shape().into(), why });
        };
        if len == 0 {
            return Array::from_raw(y.sum_axis(axis)?.into_raw());
        }
        let [low, high] = neighbours(&x, axis);
        trapezoid(&y, high - low, axis)
    }
}
