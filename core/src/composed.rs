//! The table of composed ufuncs: functions whose bodies are expressions of other ufuncs.
//!
//! Backends do not implement them, so a new function is one row here. The methods on `Array` and `Expr`, the tests and
//! the benches are generated from the rows. A function that is worth kernels of its own moves to the table in
//! [`ufunc`](crate::Unary).

use crate::expr::Template;
use crate::ufunc::{FLOAT, Gives, REAL, UfuncInfo, Unary, method_doc};
use crate::{Array, DType, Element, Error, Expr, IntoExpr, Kind, Result, Scalar, Wide, select};
use std::sync::OnceLock;

macro_rules! composed {
    ($(
        $Name:ident $name:ident($kinds:ident), ulp $cpu:tt / $gpu:tt, on ($lo:expr, $hi:expr),
        eg $ex:expr $(, $ey:expr)? => $ez:expr, $doc:literal $(as $alias:literal)?,
        |$dtype:ident, $x:ident $(, $y:ident)?| $body:expr;
    )*) => {
        /// Ufuncs that are composed of others. See [`Expr::composed`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Composed { $( #[doc = $doc] $Name, )* }

        impl Composed {
            /// All rows.
            pub const ALL: &[Composed] = &[ $( Composed::$Name ),* ];

            /// Returns the row of this ufunc. The bounds on the error hold for operands of its domain. The weight is
            /// that of a function, whatever the body is.
            pub const fn info(self) -> &'static UfuncInfo {
                match self { $( Composed::$Name => &UfuncInfo {
                    name: stringify!($name), doc: $doc, kinds: $kinds, gives: Gives::Same,
                    ulp_cpu: $cpu, ulp_gpu: $gpu, domain: ($lo, $hi), weight: 40.0,
                }, )* }
            }

            /// Returns the number of operands: 1 or 2.
            pub const fn operands(self) -> usize {
                match self { $( Composed::$Name => composed!(@count $($y)?), )* }
            }

            /// Returns the expression of operands of `dtype`, for which the function is defined, and which is not a
            /// half float. A function of one operand does not use the second one.
            #[allow(unused_variables, reason = "most bodies need no numbers of the dtype, or not the second operand")]
            fn body(self, dtype: DType, x: Expr<Any>, y: Expr<Any>) -> Expr<Any> {
                match self { $( Composed::$Name => {
                    let ($dtype, $x $(, $y)?) = (dtype, x $(, composed!(@second $y y))?);
                    $body
                } )* }
            }
        }

        $( composed!(
            @methods $Name $name, method_doc!($name, $kinds, $cpu, $gpu, $doc, $ex $(, $ey)? => $ez),
            [$($alias)?] $($y)?
        ); )*
    };
    (@count) => { 1 };
    (@count $y:ident) => { 2 };
    (@second $name:ident $y:ident) => { $y };
    (@methods $Name:ident $name:ident, $doc:expr, [$($alias:literal)?]) => {
        impl<T: Element> Expr<T> {
            #[doc = $doc]
            $(#[doc(alias = $alias)])?
            pub fn $name(self) -> Expr<T> { self.composed(Composed::$Name, None) }
        }
        impl<T: Element> Array<T> {
            #[doc = $doc]
            $(#[doc(alias = $alias)])?
            pub fn $name(&self) -> Expr<T> { self.into_expr().$name() }
        }
    };
    (@methods $Name:ident $name:ident, $doc:expr, [$($alias:literal)?] $y:ident) => {
        impl<T: Element> Expr<T> {
            #[doc = $doc]
            $(#[doc(alias = $alias)])?
            pub fn $name(self, other: impl IntoExpr<T>) -> Expr<T> {
                self.composed(Composed::$Name, Some(other.into_expr()))
            }
        }
        impl<T: Element> Array<T> {
            #[doc = $doc]
            $(#[doc(alias = $alias)])?
            pub fn $name(&self, other: impl IntoExpr<T>) -> Expr<T> { self.into_expr().$name(other) }
        }
    };
}

// name(dtypes), ulp on CPU devices / on GPUs, on (domain), eg operands => result of the example, description as another
// name, |dtype, operands| body;
composed! {
    Remainder remainder(REAL), ulp 1.0 / 4.0, on (-1e3, 1e3),
        eg [5.5, -5.5], 2.0 => [1.5, 0.5],
        "The remainder `x - y * floor(x / y)` with the sign of y, as `%` in Python. Floats: computed from the exact \
         remainder [`rem`](Expr::rem) and rounded once; NaN if x is infinite or y is 0. Integers: 0 if y is 0."
        as "mod",
        |dtype, x, y| match dtype.kind() {
            Kind::Float => {
                let rest = x.rem(&y);
                let zero = rest.clone().copysign(y.clone());
                let differs = rest.clone().less(number(dtype, 0.0)).not_equal(y.clone().less(number(dtype, 0.0)));
                let floored = select(differs, &rest + &y, rest.clone());
                select(rest.equal(number(dtype, 0.0)), zero, floored)
            }
            Kind::Int => {
                let rest = &x - &y * x.clone().floor_div(&y);
                select(y.equal(number(dtype, 0.0)), number(dtype, 0.0), rest)
            }
            _ => x.rem(y),
        };
    Logaddexp logaddexp(FLOAT), ulp 4.0 / 16.0, on (0.0, 80.0),
        eg [1000.0, 0.0], -1000.0 => [1000.0, 0.0],
        "`log(exp(x) + exp(y))` without intermediate overflow: the sum of numbers that are given by their logarithms. \
         Near zero the error is relative to x and y, not to the result.",
        |dtype, x, y| {
            let rest = (-magnitude(&x - &y)).exp().log1p();
            select(x.clone().equal(&y), &x + number(dtype, std::f64::consts::LN_2), x.maximum(y) + rest)
        };
    Logaddexp2 logaddexp2(FLOAT), ulp 4.0 / 16.0, on (0.0, 120.0),
        eg [1.0, 5000.0], 1.0 => [2.0, 5000.0],
        "`log2(2^x + 2^y)` without intermediate overflow. Near zero the error is relative to x and y, not to the \
         result.",
        |dtype, x, y| {
            let rest = (-magnitude(&x - &y)).exp2().log1p() * number(dtype, std::f64::consts::LOG2_E);
            select(x.clone().equal(&y), &x + number(dtype, 1.0), x.maximum(y) + rest)
        };
    Softplus softplus(FLOAT), ulp 4.0 / 16.0, on (-80.0, 80.0),
        eg [1000.0, -1000.0] => [1000.0, 0.0],
        "`log(1 + exp(x))` without intermediate overflow.",
        |dtype, x| x.clone().maximum(number(dtype, 0.0)) + (-magnitude(x)).exp().log1p();
    LogSigmoid log_sigmoid(FLOAT), ulp 4.0 / 16.0, on (-80.0, 80.0),
        eg [1000.0, -1000.0] => [0.0, -1000.0],
        "The logarithm of the [`sigmoid`](Expr::sigmoid), `-log(1 + exp(-x))`, accurate where the sigmoid is near 1.",
        |dtype, x| x.clone().minimum(number(dtype, 0.0)) - (-magnitude(x)).exp().log1p();
    Heaviside heaviside(FLOAT), ulp 0.0 / 0.0, on (-1e3, 1e3),
        eg [-2.0, 0.0, 3.0], 0.5 => [0.0, 0.5, 1.0],
        "The step function: 0 where x (this operand) is negative, 1 where it is positive, y (the other operand) where \
         it is zero, NaN for NaN.",
        |dtype, x, y| {
            let positive = select(x.clone().greater(number(dtype, 0.0)), number(dtype, 1.0), number(dtype, 0.0));
            let step = select(x.clone().equal(number(dtype, 0.0)), y, positive);
            select(x.clone().is_nan(), x, step)
        };
    Sinc sinc(FLOAT), ulp 4.0 / 16.0, on (-0.5, 0.5),
        eg [0.0] => [1.0],
        "`sin(pi x) / (pi x)`, 1 at zero; NaN at infinity. Beyond -0.5 .. 0.5 the error is absolute: a few eps.",
        |dtype, x| {
            // The sine has period 2 in x, and the difference is exact.
            let near = &x - (&x * number(dtype, 0.5)).round() * number(dtype, 2.0);
            let pi = number(dtype, std::f64::consts::PI);
            let quotient = (near * &pi).sin() / (&x * pi);
            select(x.equal(number(dtype, 0.0)), number(dtype, 1.0), quotient)
        };
    Deg2rad deg2rad(FLOAT), ulp 2.0 / 2.0, on (-1e6, 1e6),
        eg [0.0, 180.0] => [0.0, std::f64::consts::PI],
        "Converts degrees to radians." as "radians",
        |dtype, x| x * number(dtype, std::f64::consts::PI / 180.0);
    Rad2deg rad2deg(FLOAT), ulp 2.0 / 2.0, on (-1e6, 1e6),
        eg [0.0, std::f64::consts::PI] => [0.0, 180.0],
        "Converts radians to degrees." as "degrees",
        |dtype, x| x * number(dtype, 180.0 / std::f64::consts::PI);
}

/// Stands for the element type of the operands, whatever it is, so that the bodies are compiled once.
type Any = u8;

/// Returns a value of a dtype.
fn number(dtype: DType, value: f64) -> Expr<Any> {
    Expr::of_value(Scalar::from_wide(dtype, Wide::Float(value)))
}

/// Returns the magnitude of real numbers.
fn magnitude(x: Expr<Any>) -> Expr<Any> {
    x.then_unary(Unary::Abs)
}

/// Applies a composed ufunc to operands of `dtype`: see [`Expr::composed`].
pub(crate) fn apply(op: Composed, dtype: DType, x: Expr<Any>, y: Option<Expr<Any>>) -> Expr<Any> {
    let info = op.info();
    if let Some(first) = x.error().or_else(|| y.as_ref().and_then(Expr::error)) {
        return Expr::failed(first);
    }
    if op.operands() != 1 + usize::from(y.is_some()) {
        let value = if y.is_some() { "a second operand" } else { "no second operand" };
        let why = format!("{} has {}", info.name, if op.operands() == 1 { "one operand" } else { "two operands" });
        return Expr::failed(Error::Argument { op: info.name, name: "other", value: value.into(), why });
    }
    if !info.kinds.contains(dtype) {
        return Expr::failed(Error::DTypeUndefined { op: info.name, dtype, defined: info.kinds.describe() });
    }
    let y = y.unwrap_or_else(|| x.clone());
    let body = |x: Expr<Any>, y: Expr<Any>| match dtype {
        DType::F16 | DType::BF16 => op.body(DType::F32, x.cast_to(DType::F32), y.cast_to(DType::F32)).cast_to(dtype),
        _ => op.body(dtype, x, y),
    };
    let traced = TRACED[op as usize][dtype as usize].get_or_init(|| Template::new(dtype, op.operands(), body));
    match traced {
        Ok(template) => template.call(&x, &y).unwrap_or_else(|| body(x, y)),
        Err(error) => Expr::failed(error.clone()),
    }
}

/// The bodies, traced once for each dtype: building one, step by step, takes longer than computing it for a thousand
/// elements.
static TRACED: [[OnceLock<Result<Template>>; DType::ALL.len()]; Composed::ALL.len()] =
    [const { [const { OnceLock::new() }; DType::ALL.len()] }; Composed::ALL.len()];

impl<T: Element> Expr<T> {
    /// Applies a composed ufunc; `other` is the second operand if it has two. Half floats are computed in f32 and
    /// rounded once.
    ///
    /// The expression stores [`Error::DTypeUndefined`] if the function is not defined for the dtype, and
    /// [`Error::Argument`] if the number of operands is wrong.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![5.5f64, -5.5, 4.0], [3])?;
    /// assert_eq!(x.remainder(2.0).eval()?.to_vec()?, [1.5, 0.5, 0.0]);
    /// let names: Vec<_> = Composed::ALL.iter().map(|op| op.info().name).collect();
    /// assert!(names.contains(&"logaddexp"));
    /// let by_value = x.into_expr().composed(Composed::Remainder, Some(2.0.into_expr()));
    /// assert_eq!(by_value.eval()?.to_vec()?, [1.5, 0.5, 0.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn composed(self, op: Composed, other: Option<Expr<T>>) -> Expr<T> {
        apply(op, T::DTYPE, self.reinterpret(), other.map(Expr::reinterpret)).reinterpret()
    }
}
