//! Reductions that ignore NaN: reductions of expressions in which NaN is replaced. Integers and bool have no NaN, so
//! these are the ordinary reductions of them.

use super::{Finish, Of, Request, Spread, float, is_half, kept, methods, over, over_some, total, truth, whole};
use crate::array::{Array, Axes};
use crate::expr::{Expr, IntoExpr, select};
use crate::op::Reduction;
use crate::{DType, Element, Error, Kind, Result};

/// Returns whether elements of `T` may be NaN.
pub(crate) fn has_nan<T: Element>() -> bool {
    matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex)
}

/// Returns the elements, and `by` in place of NaN.
fn replaced<T: Element>(x: &Expr<T>, by: f64) -> Expr<T> {
    if has_nan::<T>() { select(x.clone().is_nan(), float::<T>(by), x) } else { x.clone() }
}

/// Returns the number of elements that are not NaN, as a float.
fn count<F: Element>(name: &'static str, x: &Expr<F>, axes: Option<&Axes>) -> Result<Array<F::Real>> {
    let ones = select(x.clone().is_nan(), float::<F::Real>(0.0), float::<F::Real>(1.0));
    over_some(&ones, &total::<F::Real>(name, Reduction::Sum), axes)
}

/// Computes the mean of the numbers among floats or complex numbers. Half floats are computed in f32.
fn mean<F: Element>(name: &'static str, x: &Expr<F>, axes: Option<&Axes>) -> Result<Array<F>> {
    if is_half(F::DTYPE) {
        return mean::<f32>(name, &x.clone().cast(), axes)?.cast().eval();
    }
    let sum: Array<F> = over_some(&replaced(x, 0.0), &total::<F>(name, Reduction::Sum), axes)?;
    (sum / count(name, x, axes)?.cast()).eval()
}

/// Computes the variance, or its `root`, of the numbers among floats or complex numbers: NaN is replaced by the mean,
/// which adds nothing to the sum of the squared deviations, and the divisor is corrected.
fn spread<F: Element>(root: bool, x: &Expr<F>, axes: Option<&Axes>, ddof: usize) -> Result<Array<F::Real>> {
    if is_half(F::DTYPE) {
        return spread::<f32>(root, &x.clone().cast(), axes, ddof)?.cast().eval();
    }
    let (name, finish) = if root { ("nanstd", Finish::RootMean(0)) } else { ("nanvar", Finish::Mean(0)) };
    let shape = x.shape()?;
    let len = match axes {
        Some(axes) => axes.resolve(name, shape.len())?.iter().map(|&a| shape[a]).product(),
        None => shape.size(),
    };
    let mean = mean(name, x, Some(&kept(axes, shape.len())))?;
    let filled = select(x.clone().is_nan(), &mean, x);
    let to = F::Real::DTYPE;
    let request = Request { name, of: Of::Deviations, kind: Reduction::Deviations, finish, to };
    let spread: Array<F::Real> = over_some(&filled, &request, axes)?;
    let left = count(name, x, axes)? - float::<F::Real>(ddof as f64);
    let quotient = float::<F::Real>(len as f64).into_expr() / &left;
    let scale = select(left.greater(float::<F::Real>(0.0)), quotient, float::<F::Real>(f64::NAN));
    (spread * if root { scale.sqrt() } else { scale }).eval()
}

/// Returns the end of the range of floats that no number is beyond, for a minimum or a maximum.
fn end(kind: Reduction) -> f64 {
    if matches!(kind, Reduction::Min | Reduction::ArgMin) { f64::INFINITY } else { f64::NEG_INFINITY }
}

/// Returns for each line whether all its elements are NaN.
fn all_nan<T: Element>(name: &'static str, x: &Expr<T>, axes: Option<&Axes>) -> Result<Array<bool>> {
    over_some(&x.clone().is_nan(), &truth(name, Reduction::Min, DType::Bool), axes)
}

/// Computes a minimum or maximum.
fn extremum<T: Element>(name: &'static str, kind: Reduction, x: &Expr<T>, axes: Option<&Axes>) -> Result<Array<T>> {
    let request = total::<T>(name, kind);
    if T::DTYPE.kind() != Kind::Float {
        return over_some(x, &request, axes);
    }
    let end = float::<T>(end(kind));
    let found: Array<T> = over_some(&replaced(x, end.to_wide().real()), &request, axes)?;
    // Only a line whose result is the end of the range may be a line of NaNs.
    if !found.equal(end).any()? {
        return Ok(found);
    }
    select(all_nan(name, x, axes)?, float::<T>(f64::NAN), found).eval()
}

/// Computes the index of a minimum (`kind` is [`Reduction::ArgMin`]) or maximum.
fn index<T: Element>(name: &'static str, kind: Reduction, x: &Expr<T>, axes: Option<&Axes>) -> Result<Array<i64>> {
    let request = total::<i64>(name, kind);
    if T::DTYPE.kind() != Kind::Float {
        return over_some(x, &request, axes);
    }
    let (end, best) = (end(kind), if kind == Reduction::ArgMin { Reduction::Min } else { Reduction::Max });
    let numbers = replaced(x, end);
    let found: Array<i64> = over_some(&numbers, &request, axes)?;
    let best: Array<T> = over_some(&numbers, &total::<T>(name, best), axes)?;
    let at_end = best.equal(float::<T>(end)).eval()?;
    if !at_end.any()? {
        return Ok(found);
    }
    if all_nan(name, x, axes)?.any()? {
        let why = "a line without a number has neither a smallest nor a largest one".into();
        return Err(Error::Argument { op: name, name: "elements", value: "all NaN".into(), why });
    }
    // All numbers of such a line are the same infinity, which also stands for NaN.
    let nan = select(x.clone().is_nan(), 1i32, 0i32);
    let first: Array<i64> = over_some(&nan, &total::<i64>(name, Reduction::ArgMin), axes)?;
    select(at_end, first, found).eval()
}

methods! {
    /// The sum of all elements that are not NaN, as [`sum`](Self::sum); 0 if there are none. The elements are read
    /// once.
    ///
    /// # Errors
    /// As [`sum`](Self::sum).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0, f64::NAN, 3.0, 4.0], [2, 2])?;
    /// assert_eq!((x.nansum()?, x.nanmean()?, x.nanmax()?), (8.0, 8.0 / 3.0, 4.0));
    /// assert_eq!(x.nansum_axis(1)?.to_vec()?, [1.0, 7.0]);
    /// assert_eq!(x.nanargmin_axis(1)?.to_vec()?, [0, 0]);
    /// assert_eq!(x.nanvar_axis(1, 0)?.to_vec()?, [0.0, 0.25]);
    /// # Ok::<(), Error>(())
    /// ```
    fn nansum() -> T::Sum = |x| whole(&replaced(x, 0.0), &total::<T::Sum>("nansum", Reduction::Sum));

    /// The [`nansum`](Self::nansum) over some axes.
    ///
    /// # Errors
    /// As [`sum_axis`](Self::sum_axis).
    fn nansum_axis(axes: impl Into<Axes>) -> Array<T::Sum> =
        |x| over(&replaced(x, 0.0), &total::<T::Sum>("nansum", Reduction::Sum), axes);

    /// The product of all elements that are not NaN, as [`prod`](Self::prod); 1 if there are none. The elements are
    /// read once.
    ///
    /// # Errors
    /// As [`prod`](Self::prod).
    fn nanprod() -> T::Sum = |x| whole(&replaced(x, 1.0), &total::<T::Sum>("nanprod", Reduction::Prod));

    /// The [`nanprod`](Self::nanprod) over some axes.
    ///
    /// # Errors
    /// As [`prod_axis`](Self::prod_axis).
    fn nanprod_axis(axes: impl Into<Axes>) -> Array<T::Sum> =
        |x| over(&replaced(x, 1.0), &total::<T::Sum>("nanprod", Reduction::Prod), axes);

    /// The smallest element that is not NaN; NaN if all elements are NaN.
    ///
    /// # Errors
    /// As [`min`](Self::min).
    fn nanmin() -> T = |x| extremum("nanmin", Reduction::Min, x, None)?.item();

    /// The [`nanmin`](Self::nanmin) over some axes.
    ///
    /// # Errors
    /// As [`min_axis`](Self::min_axis).
    fn nanmin_axis(axes: impl Into<Axes>) -> Array<T> = |x| extremum("nanmin", Reduction::Min, x, Some(&axes.into()));

    /// The largest element that is not NaN; NaN if all elements are NaN.
    ///
    /// # Errors
    /// As [`max`](Self::max).
    fn nanmax() -> T = |x| extremum("nanmax", Reduction::Max, x, None)?.item();

    /// The [`nanmax`](Self::nanmax) over some axes.
    ///
    /// # Errors
    /// As [`max_axis`](Self::max_axis).
    fn nanmax_axis(axes: impl Into<Axes>) -> Array<T> = |x| extremum("nanmax", Reduction::Max, x, Some(&axes.into()));

    /// The index (of the elements in C order) of the smallest element that is not NaN, the first of equal ones.
    ///
    /// # Errors
    /// [`Error::Argument`] if all elements are NaN, and as [`argmin`](Self::argmin).
    fn nanargmin() -> usize = |x| index("nanargmin", Reduction::ArgMin, x, None)?.item().map(|i| i as usize);

    /// The [`nanargmin`](Self::nanargmin) along one axis.
    ///
    /// # Errors
    /// [`Error::Argument`] if all elements of a line are NaN, and as [`argmin_axis`](Self::argmin_axis).
    fn nanargmin_axis(axes: impl Into<Axes>) -> Array<i64> =
        |x| index("nanargmin", Reduction::ArgMin, x, Some(&axes.into()));

    /// The index (of the elements in C order) of the largest element that is not NaN, the first of equal ones.
    ///
    /// # Errors
    /// [`Error::Argument`] if all elements are NaN, and as [`argmax`](Self::argmax).
    fn nanargmax() -> usize = |x| index("nanargmax", Reduction::ArgMax, x, None)?.item().map(|i| i as usize);

    /// The [`nanargmax`](Self::nanargmax) along one axis.
    ///
    /// # Errors
    /// [`Error::Argument`] if all elements of a line are NaN, and as [`argmax_axis`](Self::argmax_axis).
    fn nanargmax_axis(axes: impl Into<Axes>) -> Array<i64> =
        |x| index("nanargmax", Reduction::ArgMax, x, Some(&axes.into()));

    /// The arithmetic mean of all elements that are not NaN; NaN if there are none. The elements are read twice, for
    /// the sum and the number of its terms.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    fn nanmean() -> T::Mean = |x| match has_nan::<T>() {
        true => mean::<T::Mean>("nanmean", &x.clone().cast(), None)?.item(),
        false => x.mean(),
    };

    /// The [`nanmean`](Self::nanmean) over some axes.
    ///
    /// # Errors
    /// As [`mean_axis`](Self::mean_axis).
    fn nanmean_axis(axes: impl Into<Axes>) -> Array<T::Mean> = |x| match has_nan::<T>() {
        true => mean("nanmean", &x.clone().cast(), Some(&axes.into())),
        false => x.mean_axis(axes),
    };

    /// The variance of the n elements that are not NaN, `sum(|x - mean|^2) / (n - ddof)`, as [`var`](Self::var); NaN if
    /// n is not more than `ddof`. The elements are read several times.
    ///
    /// # Errors
    /// As [`var`](Self::var).
    fn nanvar(ddof: usize) -> Spread<T> = |x| match has_nan::<T>() {
        true => spread::<T::Mean>(false, &x.clone().cast(), None, ddof)?.item(),
        false => x.var(ddof),
    };

    /// The [`nanvar`](Self::nanvar) over some axes.
    ///
    /// # Errors
    /// As [`var_axis`](Self::var_axis).
    fn nanvar_axis(axes: impl Into<Axes>, ddof: usize) -> Array<Spread<T>> = |x| match has_nan::<T>() {
        true => spread::<T::Mean>(false, &x.clone().cast(), Some(&axes.into()), ddof),
        false => x.var_axis(axes, ddof),
    };

    /// The standard deviation of the elements that are not NaN: the square root of the [`nanvar`](Self::nanvar).
    ///
    /// # Errors
    /// As [`std`](Self::std).
    fn nanstd(ddof: usize) -> Spread<T> = |x| match has_nan::<T>() {
        true => spread::<T::Mean>(true, &x.clone().cast(), None, ddof)?.item(),
        false => x.std(ddof),
    };

    /// The [`nanstd`](Self::nanstd) over some axes.
    ///
    /// # Errors
    /// As [`std_axis`](Self::std_axis).
    fn nanstd_axis(axes: impl Into<Axes>, ddof: usize) -> Array<Spread<T>> = |x| match has_nan::<T>() {
        true => spread::<T::Mean>(true, &x.clone().cast(), Some(&axes.into()), ddof),
        false => x.std_axis(axes, ddof),
    };
}
