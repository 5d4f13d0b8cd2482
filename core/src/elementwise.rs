//! Elementwise functions that are composed of ufuncs and are not of the form of a row of [`composed`](crate::Composed):
//! they have parameters, three operands, several results, or a result of another dtype.

use crate::array::Array;
use crate::expr::{Expr, IntoExpr, RawArray, select};
use crate::layout::Layout;
use crate::reduce::{Spread, float, is_half};
use crate::{DType, Element, Error, Kind, Result, Wide};

/// Returns the largest finite number of a float, or of the parts of a complex number.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::C32 => f64::from(f32::MAX),
        DType::F16 => crate::f16::MAX.to_f64(),
        DType::BF16 => crate::bf16::MAX.to_f64(),
        DType::F32 => f64::from(f32::MAX),
        _ => f64::MAX,
    }
}

/// Returns an expression with the error of a function that is not defined for the dtype.
fn undefined<T: Element, U: Element>(op: &'static str, defined: &str) -> Expr<U> {
    Expr::failed(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: defined.into() })
}

/// Implements [`Expr::isclose`] for floats and complex numbers, in their own arithmetic.
fn close<F: Element>(x: Expr<F>, y: Expr<F>, rtol: f64, atol: f64) -> Expr<bool> {
    let bound = y.clone().abs() * float::<F::Real>(rtol) + float::<F::Real>(atol);
    let near = (&x - &y).abs().less_equal(bound).logical_and(y.clone().is_finite());
    near.logical_or(x.equal(y))
}

impl<T: Element> Expr<T> {
    /// The floored quotient and the remainder: [`floor_div`](Self::floor_div) and [`remainder`](Self::remainder), whose
    /// rules for zeros and infinities hold. Each of both expressions is evaluated on its own.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![7i32, -7], [2])?;
    /// let (quotient, rest) = x.divmod(3);
    /// assert_eq!((quotient.eval()?.to_vec()?, rest.eval()?.to_vec()?), (vec![2, -3], vec![1, 2]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn divmod(self, other: impl IntoExpr<T>) -> (Expr<T>, Expr<T>) {
        let other = other.into_expr();
        (self.clone().floor_div(&other), self.remainder(other))
    }

    /// The linear interpolation `x + (end - x) * t`, computed from the nearer end, so that it is exact at both as long
    /// as `end - x` is finite. Floats only; half floats are computed in f32 and rounded once. `t` beyond 0 to 1
    /// extrapolates.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0.0f64, 10.0], [2])?;
    /// assert_eq!(x.lerp(20.0, 0.25).eval()?.to_vec()?, [5.0, 12.5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn lerp(self, end: impl IntoExpr<T>, t: impl IntoExpr<T>) -> Expr<T> {
        let (end, t) = (end.into_expr(), t.into_expr());
        if T::DTYPE.kind() != Kind::Float {
            return undefined::<T, T>("lerp", "floats");
        }
        if is_half(T::DTYPE) {
            return self.cast::<f32>().lerp(end.cast::<f32>(), t.cast::<f32>()).cast();
        }
        let apart = &end - &self;
        let rest = float::<T>(1.0).into_expr() - &t;
        select(t.clone().less(float::<T>(0.5)), self + &apart * t, end - apart * rest)
    }

    /// The elements with 0 in place of NaN, and the largest finite number of the dtype, with its sign, in place of an
    /// infinity. Integers and bool are unchanged. Not defined for complex numbers.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![f32::NAN, f32::INFINITY, 1.0], [3])?;
    /// assert_eq!(x.nan_to_num().eval()?.to_vec()?, [0.0, f32::MAX, 1.0]);
    /// assert_eq!(x.nan_to_num_with(-1.0, 9.0, -9.0).eval()?.to_vec()?, [-1.0, 9.0, 1.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn nan_to_num(self) -> Expr<T> {
        let most = largest(T::DTYPE);
        self.nan_to_num_with(float(0.0), float(most), float(-most))
    }

    /// As [`nan_to_num`](Self::nan_to_num), with these numbers in place of NaN, infinity and -infinity.
    pub fn nan_to_num_with(self, nan: T, above: T, below: T) -> Expr<T> {
        match T::DTYPE.kind() {
            Kind::Float => {
                let infinite = |x: f64| self.clone().equal(float::<T>(x));
                let (over, under) = (infinite(f64::INFINITY), infinite(f64::NEG_INFINITY));
                select(self.clone().is_nan(), nan, select(over, above, select(under, below, self)))
            }
            Kind::Complex => undefined::<T, T>("nan_to_num", "bool, integers, floats"),
            Kind::Bool | Kind::Int | Kind::Uint => self,
        }
    }

    /// The elements rounded to this number of decimal places, ties to even: `round(x * 10^decimals) / 10^decimals`, as
    /// NumPy computes it. A negative number rounds to the left of the decimal point. Floats for which the product
    /// overflows have no such places, and are unchanged. Half floats are computed in f32.
    ///
    /// Integers are rounded exactly; results beyond the range of the dtype wrap, and all are 0 if `10^-decimals`
    /// exceeds it. Complex numbers: each part. Not defined for bool.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.2345f64, -0.125, 250.0]);
    /// assert_eq!(x.round_to(2).eval()?, Array::from([1.23, -0.12, 250.0]));
    /// assert_eq!(x.round_to(-2).eval()?, Array::from([0.0, 0.0, 200.0]));
    /// assert_eq!(Array::from([15, 25, -26]).round_to(-1).eval()?, Array::from([20, 20, -30]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("around", "round"))]
    pub fn round_to(self, decimals: i32) -> Expr<T> {
        if is_half(T::DTYPE) {
            return self.cast::<f32>().round_to(decimals).cast();
        }
        match T::DTYPE.kind() {
            Kind::Float | Kind::Complex => {
                if decimals == 0 {
                    return self.round();
                }
                // The conversion of text rounds correctly, on every platform.
                let power: f64 = format!("1e{}", decimals.unsigned_abs()).parse().expect("a number");
                let (power, wide) = (float::<T>(power), power > largest(T::DTYPE));
                let scaled = if decimals < 0 { &self / power } else { &self * power };
                let rounded = match scaled.clone().round() {
                    // The elements are smaller than half the power: zeros remain.
                    zero if decimals < 0 && wide => zero,
                    whole if decimals < 0 => whole * power,
                    whole => whole / power,
                };
                select(scaled.is_finite(), rounded, self)
            }
            Kind::Int | Kind::Uint if decimals >= 0 => self,
            Kind::Int | Kind::Uint => {
                let power = 10i128.checked_pow(decimals.unsigned_abs()).unwrap_or(i128::MAX);
                let step = T::from_wide(Wide::Int(power));
                if step.to_wide() != Wide::Int(power) {
                    return self * T::from_wide(Wide::Int(0));
                }
                let floor = self.clone().floor_div(step);
                let below = self - &floor * step;
                let above = step.into_expr() - &below;
                let is_odd = floor.clone().bitand(float::<T>(1.0)).not_equal(float::<T>(0.0));
                let is_tie = below.clone().equal(&above).logical_and(is_odd);
                let up = below.greater(above).logical_or(is_tie);
                (floor + up.cast::<T>()) * step
            }
            Kind::Bool => undefined::<T, T>("round_to", "integers, floats, complex"),
        }
    }

    /// Returns whether the sign bit is set: of negative numbers, -0 and NaN with a sign.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![-0.0f64, 0.0, -1.0], [3])?;
    /// assert_eq!(x.signbit().eval()?.to_vec()?, [true, false, true]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn signbit(self) -> Expr<bool> {
        match T::DTYPE.kind() {
            Kind::Float => float::<T>(1.0).into_expr().copysign(self).less(float::<T>(0.0)),
            Kind::Int | Kind::Uint => self.less(float::<T>(0.0)),
            Kind::Bool | Kind::Complex => undefined::<T, bool>("signbit", "integers, floats"),
        }
    }

    /// Returns whether the elements are equal within a tolerance: `|x - y| <= atol + rtol * |y|`, or `x == y` for
    /// infinities. False for NaN. NumPy's tolerances are an `rtol` of 1e-5 and an `atol` of 1e-8. Integers and bool are
    /// compared in f64, half floats in f32. The relation is not symmetric: y (the other operand) is the reference.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0, 2.0, f64::NAN], [3])?;
    /// let y = Array::from_vec(vec![1.0 + 1e-9, 2.1, f64::NAN], [3])?;
    /// assert_eq!(x.isclose(&y, 1e-5, 1e-8).eval()?.to_vec()?, [true, false, false]);
    /// assert_eq!(x.isclose_equal_nan(&y, 1e-5, 1e-8).eval()?.to_vec()?, [true, false, true]);
    /// assert!(!x.allclose(&y, 1e-5, 1e-8)?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn isclose(self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Expr<bool> {
        let other = other.into_expr();
        if is_half(T::DTYPE) {
            return close::<f32>(self.cast(), other.cast(), rtol, atol);
        }
        close::<T::Mean>(self.cast(), other.cast(), rtol, atol)
    }

    /// As [`isclose`](Self::isclose), with NaN equal to NaN.
    pub fn isclose_equal_nan(self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Expr<bool> {
        let other = other.into_expr();
        let close = self.clone().isclose(&other, rtol, atol);
        match T::DTYPE.kind() {
            Kind::Float | Kind::Complex => close.logical_or(self.is_nan().logical_and(other.is_nan())),
            Kind::Bool | Kind::Int | Kind::Uint => close,
        }
    }

    /// Returns whether all elements are [close](Self::isclose); true if there are none. The operands broadcast, and
    /// nothing is materialised.
    ///
    /// # Errors
    /// The errors of the expressions, and shapes that do not broadcast.
    pub fn allclose(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Result<bool> {
        self.clone().isclose(other, rtol, atol).all()
    }

    /// As [`allclose`](Self::allclose), with NaN equal to NaN.
    ///
    /// # Errors
    /// As [`allclose`](Self::allclose).
    pub fn allclose_equal_nan(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Result<bool> {
        self.clone().isclose_equal_nan(other, rtol, atol).all()
    }
}

impl<T: Element> Array<T> {
    /// The floored quotient and the remainder. See [`Expr::divmod`].
    pub fn divmod(&self, other: impl IntoExpr<T>) -> (Expr<T>, Expr<T>) {
        self.into_expr().divmod(other)
    }

    /// The linear interpolation from this array to `end`. See [`Expr::lerp`].
    pub fn lerp(&self, end: impl IntoExpr<T>, t: impl IntoExpr<T>) -> Expr<T> {
        self.into_expr().lerp(end, t)
    }

    /// Replaces NaN by 0, and infinities by the largest finite numbers. See [`Expr::nan_to_num`].
    pub fn nan_to_num(&self) -> Expr<T> {
        self.into_expr().nan_to_num()
    }

    /// Replaces NaN, infinity and -infinity by numbers. See [`Expr::nan_to_num_with`].
    pub fn nan_to_num_with(&self, nan: T, above: T, below: T) -> Expr<T> {
        self.into_expr().nan_to_num_with(nan, above, below)
    }

    /// Rounds to a number of decimal places. See [`Expr::round_to`].
    #[doc(alias("around", "round"))]
    pub fn round_to(&self, decimals: i32) -> Expr<T> {
        self.into_expr().round_to(decimals)
    }

    /// Returns whether the sign bit is set. See [`Expr::signbit`].
    pub fn signbit(&self) -> Expr<bool> {
        self.into_expr().signbit()
    }

    /// Returns whether the elements are equal within a tolerance. See [`Expr::isclose`].
    pub fn isclose(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Expr<bool> {
        self.into_expr().isclose(other, rtol, atol)
    }

    /// As [`isclose`](Self::isclose), with NaN equal to NaN.
    pub fn isclose_equal_nan(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Expr<bool> {
        self.into_expr().isclose_equal_nan(other, rtol, atol)
    }

    /// Returns whether all elements are equal within a tolerance. See [`Expr::allclose`].
    ///
    /// # Errors
    /// As [`Expr::allclose`].
    pub fn allclose(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Result<bool> {
        self.into_expr().allclose(other, rtol, atol)
    }

    /// As [`allclose`](Self::allclose), with NaN equal to NaN.
    ///
    /// # Errors
    /// As [`Expr::allclose`].
    pub fn allclose_equal_nan(&self, other: impl IntoExpr<T>, rtol: f64, atol: f64) -> Result<bool> {
        self.into_expr().allclose_equal_nan(other, rtol, atol)
    }

    /// The real parts of complex numbers: a view of the same buffer. Real arrays are returned as they are.
    ///
    /// # Errors
    /// Errors that the device reports.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let z = Array::from_vec(vec![Complex::new(3.0f64, 4.0), Complex::new(0.0, 2.0)], [2])?;
    /// assert_eq!((z.real()?.to_vec()?, z.imag()?.to_vec()?), (vec![3.0, 0.0], vec![4.0, 2.0]));
    /// assert_eq!(z.angle()?.get([1])?, std::f64::consts::FRAC_PI_2);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn real(&self) -> Result<Array<T::Real>> {
        if T::DTYPE.kind() == Kind::Complex { self.component(0) } else { Array::from_raw(self.raw().clone()) }
    }

    /// The imaginary parts of complex numbers: a view of the same buffer. Zeros for a real array.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; errors that the device reports.
    pub fn imag(&self) -> Result<Array<T::Real>> {
        if T::DTYPE.kind() == Kind::Complex { self.component(1) } else { Array::zeros(self.shape()) }
    }

    /// The angle in -pi .. pi of complex numbers, `arctan2(imag, real)`; 0 or pi for real ones. Integers and bool give
    /// f64.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; errors that the device reports.
    pub fn angle(&self) -> Result<Array<Spread<T>>> {
        let [real, imag] = [self.real()?, self.imag()?].map(|part| part.cast::<Spread<T>>());
        imag.arctan2(real).eval()
    }

    /// Returns the real (0) or imaginary (1) parts of complex numbers.
    fn component(&self, which: usize) -> Result<Array<T::Real>> {
        let here = self.on_host()?;
        let layout = here.layout();
        // A complex number consists of two numbers of the type of its parts, the real one first.
        let strides = layout.strides().iter().map(|s| 2 * s).collect();
        let layout = Layout::from_parts(layout.shape().clone(), strides, 2 * layout.offset() + which);
        Array::from_raw(RawArray { buffer: here.raw().buffer.clone(), dtype: T::Real::DTYPE, layout })
    }
}
