//! Sums of exponentials without intermediate overflow: `logsumexp`, `softmax` and `log_softmax`.

use super::{float, is_half, kept, methods, over, total};
use crate::array::{Array, Axes};
use crate::expr::{Expr, IntoExpr, select};
use crate::op::Reduction;
use crate::{Element, Error, Kind, Result};

/// Fails for complex numbers, of which there is no largest one.
fn real<T: Element>(op: &'static str) -> Result<()> {
    match T::DTYPE.kind() {
        Kind::Complex => Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: "bool, integers, floats".into() }),
        Kind::Bool | Kind::Int | Kind::Uint | Kind::Float => Ok(()),
    }
}

/// Computes the logarithms of the sums of the exponentials of floats. The largest term of each sum is 1.
fn log_sum<F: Element>(x: &Expr<F>, axes: Option<&Axes>) -> Result<Array<F>> {
    const NAME: &str = "logsumexp";
    if is_half(F::DTYPE) {
        return log_sum::<f32>(&x.clone().cast(), axes)?.cast().eval();
    }
    let shape = x.shape()?;
    let axes = axes.cloned().unwrap_or(Axes { keep: false, ..kept(None, shape.len()) });
    let reduced = axes.resolve(NAME, shape.len())?;
    let shown = axes.shown(&shape, &reduced);
    if reduced.iter().any(|&a| shape[a] == 0) {
        return Array::full(shown, float(f64::NEG_INFINITY));
    }
    let axes = axes.keepdims();
    let largest: Array<F> = over(x, &total::<F>(NAME, Reduction::Max), axes.clone())?;
    // Infinities are not subtracted from themselves.
    let shift = select(largest.is_finite(), &largest, float::<F>(0.0)).eval()?;
    let sum: Array<F> = over(&(x - &shift).exp(), &total::<F>(NAME, Reduction::Sum), axes)?;
    (sum.into_expr().log() + shift).eval()?.reshape(shown)
}

/// Computes the exponentials of floats divided by their sum, or the logarithms of these quotients.
fn normalised<F: Element>(name: &'static str, log: bool, x: &Expr<F>, axes: Axes) -> Result<Array<F>> {
    if is_half(F::DTYPE) {
        return normalised::<f32>(name, log, &x.clone().cast(), axes)?.cast().eval();
    }
    let shape = x.shape()?;
    axes.resolve(name, shape.len())?;
    if shape.contains(&0) {
        return Array::zeros(shape);
    }
    let axes = axes.keepdims();
    let largest: Array<F> = over(x, &total::<F>(name, Reduction::Max), axes.clone())?;
    let (below, sum) = (x - &largest, total::<F>(name, Reduction::Sum));
    if log {
        let total: Array<F> = over(&below.clone().exp(), &sum, axes)?;
        return (below - total.log()).eval();
    }
    let powers = below.exp().eval()?;
    let total: Array<F> = over(&(&powers).into_expr(), &sum, axes)?;
    (powers / total).eval()
}

methods! {
    /// The logarithm of the sum of the exponentials of all elements, `log(sum(exp(x)))`, without intermediate overflow;
    /// -infinity for no elements. Integers and bool give f64; half floats are computed in f32 and rounded once. The
    /// elements are read twice. The error is a few eps of the larger of the result and the largest element.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for complex numbers; the errors of the expression.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1000.0f64, 1000.0], [2])?;
    /// assert_eq!(x.logsumexp()?, 1000.0 + 2f64.ln());
    /// assert_eq!(x.softmax(0)?.to_vec()?, [0.5, 0.5]);
    /// assert_eq!(x.log_softmax(0)?.to_vec()?, [-2f64.ln(); 2]);
    /// # Ok::<(), Error>(())
    /// ```
    fn logsumexp() -> T::Mean = |x| {
        real::<T>("logsumexp")?;
        log_sum::<T::Mean>(&x.clone().cast(), None)?.item()
    };

    /// The [`logsumexp`](Self::logsumexp) over some axes.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and as [`logsumexp`](Self::logsumexp).
    fn logsumexp_axis(axes: impl Into<Axes>) -> Array<T::Mean> = |x| {
        real::<T>("logsumexp")?;
        log_sum(&x.clone().cast(), Some(&axes.into()))
    };

    /// The exponentials divided by their sum over some axes, `exp(x) / sum(exp(x))`, without intermediate overflow: the
    /// results are not negative and add up to 1. They are NaN in lines with NaN or +infinity, and in lines of
    /// -infinity. Integers and bool give f64; half floats are computed in f32 and rounded once. The result has the
    /// shape of the operand.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`]; [`Error::DTypeUndefined`] for complex numbers; the errors of the
    /// expression.
    fn softmax(axes: impl Into<Axes>) -> Array<T::Mean> = |x| {
        real::<T>("softmax")?;
        normalised("softmax", false, &x.clone().cast(), axes.into())
    };

    /// The logarithm of the [`softmax`](Self::softmax), `x - log(sum(exp(x)))`, also where the softmax underflows.
    ///
    /// # Errors
    /// As [`softmax`](Self::softmax).
    fn log_softmax(axes: impl Into<Axes>) -> Array<T::Mean> = |x| {
        real::<T>("log_softmax")?;
        normalised("log_softmax", true, &x.clone().cast(), axes.into())
    };
}
