//! Expressions whose dtype is a value.

use super::{DynArray, Reducer, reduce};
use crate::array::{Array, Axes};
use crate::composed;
use crate::device::Device;
use crate::expr::{Expr, IntoExpr};
use crate::trace::Plan;
use crate::ufunc::{Binary, Unary};
use crate::{Composed, DType, Dims, Element, Error, Result, Scalar, with_dtype};
use std::fmt;

/// An elementwise computation that has not been evaluated yet, whose dtype is known only at run time. See
/// [`DynArray`] and [`Expr`].
///
/// Operands of a ufunc must have the same dtype: [`cast`](DynExpr::cast) them. An error is stored, and
/// [`eval`](DynExpr::eval) returns it.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = DynArray::full([2, 3], Scalar::new(2i32))?;
/// let y = (x.expr() * Scalar::new(3i32)).cast(DType::F64).unary(Unary::Sqrt);
/// assert_eq!((y.dtype()?, y.shape()?[..].to_vec()), (DType::F64, vec![2, 3]));
/// assert!((x.expr() + Scalar::new(1.0f32)).eval().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct DynExpr {
    dtype: DType,
    // The node of an expression does not depend on its type parameter; `u8` stands for every type.
    untyped: Expr<u8>,
}

impl<T: Element> From<Expr<T>> for DynExpr {
    fn from(expr: Expr<T>) -> DynExpr {
        DynExpr { dtype: T::DTYPE, untyped: expr.reinterpret() }
    }
}

impl From<DynArray> for DynExpr {
    fn from(array: DynArray) -> DynExpr {
        let dtype = array.dtype();
        DynExpr { dtype, untyped: Expr::of_raw(array.raw) }
    }
}

impl From<&DynArray> for DynExpr {
    fn from(array: &DynArray) -> DynExpr {
        array.clone().into()
    }
}

impl<T: Element> From<&Array<T>> for DynExpr {
    fn from(array: &Array<T>) -> DynExpr {
        array.into_expr().into()
    }
}

impl From<Scalar> for DynExpr {
    fn from(value: Scalar) -> DynExpr {
        DynExpr { dtype: value.dtype(), untyped: Expr::of_value(value) }
    }
}

impl From<&DynExpr> for DynExpr {
    fn from(expr: &DynExpr) -> DynExpr {
        expr.clone()
    }
}

impl fmt::Display for DynExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.untyped, f)
    }
}

impl fmt::Debug for DynExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.untyped, f)
    }
}

impl DynExpr {
    /// Returns the dtype of the result.
    ///
    /// # Errors
    /// The first error that occurred while the expression was built.
    pub fn dtype(&self) -> Result<DType> {
        self.untyped.error().map_or(Ok(self.dtype), Err)
    }

    /// Returns the shape of the result.
    ///
    /// # Errors
    /// The first error that occurred while the expression was built.
    pub fn shape(&self) -> Result<Dims> {
        self.untyped.shape()
    }

    /// Returns the expression with its dtype as a type.
    ///
    /// # Errors
    /// [`Error::DTypeMismatch`] if the dtype is not that of `T`; the first error that occurred while the expression was
    /// built.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::full([2], Scalar::new(2.0))?.expr();
    /// let y: Expr<f64> = x.clone().typed()?;
    /// assert_eq!((y + 1.0).eval()?, Array::from([3.0, 3.0]));
    /// assert!(x.typed::<f32>().is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn typed<T: Element>(self) -> Result<Expr<T>> {
        let dtype = self.dtype()?;
        if dtype != T::DTYPE {
            return Err(Error::DTypeMismatch { op: "typed", left: dtype, right: T::DTYPE });
        }
        Ok(self.untyped.reinterpret())
    }

    /// Applies a unary ufunc.
    pub fn unary(self, op: Unary) -> DynExpr {
        DynExpr { dtype: op.info().gives.dtype(self.dtype), untyped: self.untyped.then_unary(op) }
    }

    /// Applies a binary ufunc. `other` broadcasts, and must have the same dtype.
    pub fn binary(self, op: Binary, other: impl Into<DynExpr>) -> DynExpr {
        let other = other.into();
        if self.dtype != other.dtype && self.untyped.error().is_none() && other.untyped.error().is_none() {
            let why = Error::DTypeMismatch { op: op.info().name, left: self.dtype, right: other.dtype };
            return DynExpr { dtype: self.dtype, untyped: Expr::failed(why) };
        }
        let untyped = self.untyped.join_binary(op, other.untyped);
        DynExpr { dtype: op.info().gives.dtype(self.dtype), untyped }
    }

    /// Applies a composed ufunc. `other` is the second operand if there are two; it must have the same dtype. See
    /// [`Expr::composed`].
    pub fn composed(self, op: Composed, other: Option<DynExpr>) -> DynExpr {
        let dtype = self.dtype;
        let failed = |e: &DynExpr| e.untyped.error().is_some();
        if let Some(other) = other.as_ref().filter(|o| op.operands() == 2 && o.dtype != dtype)
            && !failed(&self)
            && !failed(other)
        {
            let why = Error::DTypeMismatch { op: op.info().name, left: dtype, right: other.dtype };
            return DynExpr { dtype, untyped: Expr::failed(why) };
        }
        DynExpr { dtype, untyped: composed::apply(op, dtype, self.untyped, other.map(|o| o.untyped)) }
    }

    /// Casts to another dtype. See [`Expr::cast`].
    pub fn cast(self, to: DType) -> DynExpr {
        if self.dtype == to { self } else { DynExpr { dtype: to, untyped: self.untyped.cast_to(to) } }
    }

    /// Selects `x` where the elements of this expression are true, else `y`. See [`select`](crate::select).
    ///
    /// The expression stores [`Error::DTypeMismatch`] if its dtype is not bool, or if those of `x` and `y` differ.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, -2.0, 3.0]).erase();
    /// let positive = x.binary(Binary::Greater, Scalar::new(0.0));
    /// assert_eq!(positive.select(&x, Scalar::new(0.0)).eval()?, Array::from([1.0, 0.0, 3.0]).erase());
    /// assert!(x.expr().select(&x, &x).eval().is_err(), "the condition is no bool");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn select(self, x: impl Into<DynExpr>, y: impl Into<DynExpr>) -> DynExpr {
        let (x, y) = (x.into(), y.into());
        let mismatch = match () {
            () if self.dtype != DType::Bool => Some((self.dtype, DType::Bool)),
            () if x.dtype != y.dtype => Some((x.dtype, y.dtype)),
            () => None,
        };
        let untyped = match mismatch {
            Some((left, right)) => Expr::failed(Error::DTypeMismatch { op: "select", left, right }),
            None => crate::select(self.untyped.reinterpret::<bool>(), x.untyped, y.untyped),
        };
        DynExpr { dtype: x.dtype, untyped }
    }

    /// Evaluates the expression on the current device. See [`Expr::eval`].
    ///
    /// # Errors
    /// As [`Expr::eval`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 4.0]).erase();
    /// let y = x.unary(Unary::Sqrt);
    /// assert_eq!(y.eval_on(&Device::scalar())?, y.clone().eval()?);
    /// assert_eq!(y.explain()?.chosen, "scalar");
    /// assert_eq!(y.reduce(Reducer::Sum, None)?.item()?, Scalar::new(3.0));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval(self) -> Result<DynArray> {
        Ok(DynArray { raw: self.untyped.eval_shared(self.dtype)? })
    }

    /// Evaluates the expression on `device`. See [`Expr::eval_on`].
    ///
    /// # Errors
    /// As [`Expr::eval_on`].
    pub fn eval_on(&self, device: &Device) -> Result<DynArray> {
        with_dtype!(self.dtype()?, T => self.clone().typed::<T>()?.eval_on(device).map(Array::erase))
    }

    /// Returns the plan of [`eval`](Self::eval). See [`Expr::explain`].
    ///
    /// # Errors
    /// As [`Expr::explain`].
    pub fn explain(&self) -> Result<Plan> {
        with_dtype!(self.dtype()?, T => self.clone().typed::<T>()?.explain())
    }

    /// Reduces the result over `axes` (`None`: all axes) without storing it. See [`DynArray::reduce`].
    ///
    /// # Errors
    /// As [`DynArray::reduce`].
    pub fn reduce(self, by: Reducer, axes: Option<Axes>) -> Result<DynArray> {
        with_dtype!(self.dtype()?, T => reduce(self.typed::<T>()?, by, axes))
    }
}

/// Implements the operators of expressions.
macro_rules! operators {
    ($($Trait:ident $method:ident;)*) => { $(
        impl<R: Into<DynExpr>> std::ops::$Trait<R> for DynExpr {
            type Output = DynExpr;
            fn $method(self, right: R) -> DynExpr {
                self.binary(Binary::$Trait, right)
            }
        }
        impl<R: Into<DynExpr>> std::ops::$Trait<R> for &DynArray {
            type Output = DynExpr;
            fn $method(self, right: R) -> DynExpr {
                self.binary(Binary::$Trait, right)
            }
        }
    )* };
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
    Div div;
    Rem rem;
}
