//! The bounds of generic code: [`Number`], [`Real`] and [`Float`].

use crate::{Complex, Element, Wide, bf16, f16};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, Sub, SubAssign};

/// The dtypes that have arithmetic: all but bool.
///
/// Arrays of every [`Element`] have operators and ufuncs, and an expression for whose dtype one is not defined is an
/// `Err` when it is evaluated. This bound and the narrower ones, [`Real`] and [`Float`], state in the signature which
/// dtypes a function is for, and give it arithmetic of single values.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// /// `a x + y`.
/// fn axpy<T: Number>(a: T, x: &Array<T>, y: &Array<T>) -> Result<Array<T>> {
///     (x * a + y).eval()
/// }
/// let x = Array::from([1, 2, 3]);
/// assert_eq!(axpy(10, &x, &x)?, Array::from([11, 22, 33]));
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dtype with arithmetic",
    label = "expected an integer, a float or a complex number",
    note = "the dtypes with arithmetic are i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 Complex<f32> Complex<f64>; \
            in generic code, add the bound `Number`, `Real` or `Float`"
)]
pub trait Number:
    Element
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// Converts a constant: rounds once for floats, truncates and saturates for integers (NaN gives 0).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// fn halved<T: Float>(x: T) -> T {
    ///     x * T::from_f64(0.5)
    /// }
    /// assert_eq!(halved(3.0f32), 1.5);
    /// ```
    fn from_f64(x: f64) -> Self {
        Self::from_wide(Wide::Float(x))
    }
}

/// The dtypes that are ordered numbers: integers and floats.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// /// The difference of the largest and the smallest element.
/// fn range<T: Real>(x: &Array<T>) -> Result<T> {
///     Ok(x.max()? - x.min()?)
/// }
/// assert_eq!(range(&Array::from([3u8, 250, 7]))?, 247);
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a dtype of ordered numbers",
    label = "expected an integer or a float",
    note = "the dtypes of ordered numbers are i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64"
)]
pub trait Real: Number + PartialOrd + Rem<Output = Self> {
    /// The smallest finite value.
    const MIN: Self;
    /// The largest finite value.
    const MAX: Self;

    /// Converts to f64. Exact, except for 64-bit integers beyond 2^53, which are rounded.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Real::to_f64(7u8), 7.0);
    /// ```
    fn to_f64(self) -> f64 {
        self.to_wide().real()
    }
}

/// The float dtypes: f16, bf16, f32 and f64. Sums, means, magnitudes and distances of a float have its own type.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// /// `exp(x) / sum(exp(x))` along the last axis, without overflow.
/// fn softmax<T: Float>(x: &Array<T>) -> Result<Array<T>> {
///     let last = axis(-1).keepdims();
///     let e = (x - x.max_axis(last.clone())?).exp().eval()?;
///     let sum = e.sum_axis(last)?;
///     (e / sum).eval()
/// }
/// let x = Array::from([[1.0f32, 1.0], [0.0, 1000.0]]);
/// assert_eq!(softmax(&x)?, Array::from([[0.5, 0.5], [0.0, 1.0]]));
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a float dtype",
    label = "expected f16, bf16, f32 or f64",
    note = "cast integers first: `x.cast::<f64>()`"
)]
pub trait Float: Real + Neg<Output = Self> + Element<Sum = Self, Mean = Self, Real = Self, Distance = Self> {
    /// The distance from 1 to the next larger value.
    const EPSILON: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Negative infinity.
    const NEG_INFINITY: Self;
    /// A NaN.
    const NAN: Self;
    /// The ratio of a circle's circumference to its diameter.
    const PI: Self;
    /// Euler's number, the base of the natural logarithm.
    const E: Self;
}

macro_rules! numbers {
    ($($ty:ty: $zero:expr, $one:expr;)*) => { $(
        impl Number for $ty {
            const ZERO: $ty = $zero;
            const ONE: $ty = $one;
        }
    )* };
}
numbers! {
    i8: 0, 1;
    i16: 0, 1;
    i32: 0, 1;
    i64: 0, 1;
    u8: 0, 1;
    u16: 0, 1;
    u32: 0, 1;
    u64: 0, 1;
    f16: f16::ZERO, f16::ONE;
    bf16: bf16::ZERO, bf16::ONE;
    f32: 0.0, 1.0;
    f64: 0.0, 1.0;
    Complex<f32>: Complex::new(0.0, 0.0), Complex::new(1.0, 0.0);
    Complex<f64>: Complex::new(0.0, 0.0), Complex::new(1.0, 0.0);
}

macro_rules! reals {
    ($($ty:ty),*) => { $(
        impl Real for $ty {
            const MIN: $ty = <$ty>::MIN;
            const MAX: $ty = <$ty>::MAX;
        }
    )* };
}
reals!(i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64);

macro_rules! floats {
    ($($ty:ty: $pi:expr, $e:expr;)*) => { $(
        impl Float for $ty {
            const EPSILON: $ty = <$ty>::EPSILON;
            const INFINITY: $ty = <$ty>::INFINITY;
            const NEG_INFINITY: $ty = <$ty>::NEG_INFINITY;
            const NAN: $ty = <$ty>::NAN;
            const PI: $ty = $pi;
            const E: $ty = $e;
        }
    )* };
}
floats! {
    f16: f16::PI, f16::E;
    bf16: bf16::PI, bf16::E;
    f32: std::f32::consts::PI, std::f32::consts::E;
    f64: std::f64::consts::PI, std::f64::consts::E;
}
