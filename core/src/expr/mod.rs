//! Expressions: what is written before it is evaluated.

mod ops;
mod tape;

pub(crate) use ops::ufunc_methods;
pub(crate) use tape::{RawArray, Tape};

use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::program::{Instr, Ref};
use crate::trace::Plan;
use crate::ufunc::{Binary, Unary};
use crate::{Dims, Element, Error, Result, Scalar};
use std::marker::PhantomData;

/// An elementwise computation on arrays that has not been done yet. Operators and methods on arrays make one; [`eval`](Expr::eval) does it in one pass.
///
/// Operands broadcast. A shape or dtype error is kept and comes out of `eval` as `Err`: building an expression never panics.
///
/// ```
/// # use polyarray_core::*;
/// let x = Array::from_vec(vec![1.0f32, 4.0, 9.0], [3])?;
/// let e = (&x * 2.0 + 1.0) - &x;
/// assert_eq!(*e.shape()?, [3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Expr<T: Element> {
    pub(crate) tape: Result<Box<Tape>>,
    element: PhantomData<T>,
}

/// What can be an operand of an expression over `T`: arrays and expressions, owned or borrowed, and single values.
pub trait IntoExpr<T: Element> {
    /// As an expression.
    fn into_expr(self) -> Expr<T>;
}

impl<T: Element> IntoExpr<T> for T {
    fn into_expr(self) -> Expr<T> {
        Expr::from_tape(Ok(Box::new(Tape::constant(Scalar::new(self)))))
    }
}

impl<T: Element> IntoExpr<T> for Array<T> {
    fn into_expr(self) -> Expr<T> {
        Expr::from_tape(Ok(Box::new(Tape::array(self.into_raw()))))
    }
}

impl<T: Element> IntoExpr<T> for &Array<T> {
    fn into_expr(self) -> Expr<T> {
        self.clone().into_expr()
    }
}

impl<T: Element> IntoExpr<T> for Expr<T> {
    fn into_expr(self) -> Expr<T> {
        self
    }
}

impl<T: Element> IntoExpr<T> for &Expr<T> {
    fn into_expr(self) -> Expr<T> {
        self.clone()
    }
}

impl<T: Element> Expr<T> {
    pub(crate) fn from_tape(tape: Result<Box<Tape>>) -> Expr<T> {
        Expr { tape, element: PhantomData }
    }

    /// One more step on this value.
    pub(crate) fn then<U: Element>(self, step: impl FnOnce(Ref) -> Instr) -> Expr<U> {
        Expr::from_tape(self.tape.and_then(|mut tape| {
            let on = tape.result();
            tape.push(step(on))?;
            Ok(tape)
        }))
    }

    /// One more step on this value and another.
    pub(crate) fn join<V: Element, U: Element>(self, other: Expr<V>, step: impl FnOnce(Ref, Ref) -> Instr) -> Expr<U> {
        Expr::from_tape(self.tape.and_then(|mut tape| {
            let (a, b) = tape.append(other.tape?)?;
            tape.push(step(a, b))?;
            Ok(tape)
        }))
    }

    /// The shape of the result.
    ///
    /// # Errors
    /// The first error made in building it.
    pub fn shape(&self) -> Result<Dims> {
        self.tape.as_ref().map(|t| t.shape().clone()).map_err(Clone::clone)
    }

    /// Does the work, on the device in force, in one pass over memory. Operands that were given by value and that nobody else
    /// holds may have their buffer become the result's.
    ///
    /// # Errors
    /// What was wrong with the expression; [`Error::Refused`](crate::Error::Refused) where the device in force cannot do it; out of memory.
    pub fn eval(self) -> Result<Array<T>> {
        Array::from_raw(self.tape?.eval(&Device::current()?)?)
    }

    /// Does the work on `device`. The result lives where the operands do.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn eval_on(&self, device: &Device) -> Result<Array<T>> {
        Array::from_raw(self.tape.as_ref().map_err(Clone::clone)?.eval_fresh(device)?)
    }

    /// Does the work and writes the result into a view of the same shape (or one that this shape broadcasts to). Allocates nothing for it.
    ///
    /// # Errors
    /// As [`eval`](Self::eval), and where the shapes do not fit.
    pub fn eval_into(&self, out: &mut ViewMut<'_, T>) -> Result<()> {
        self.tape.as_ref().map_err(Clone::clone)?.eval_into(&out.raw(), &Device::current()?)
    }

    /// What [`eval`](Self::eval) would do, and what each device answered.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn explain(&self) -> Result<Plan> {
        self.tape.clone()?.explain(&Device::current()?)
    }

    /// A ufunc by its row rather than by name, for code that works through the table: the same as the method of that name.
    /// `U` must be what the row gives for `T`; another type is kept as [`Error::DTypeMismatch`](crate::Error::DTypeMismatch).
    pub fn unary<U: Element>(self, op: Unary) -> Expr<U> {
        self.then(|x| Instr::Unary(op, x)).typed(op.info().name)
    }

    /// As [`unary`](Self::unary), of two operands.
    pub fn binary<U: Element>(self, op: Binary, other: impl IntoExpr<T>) -> Expr<U> {
        self.join(other.into_expr(), |x, y| Instr::Binary(op, x, y)).typed(op.info().name)
    }

    /// The dtype of the value held against the type it was given.
    fn typed(self, op: &'static str) -> Expr<T> {
        Expr::from_tape(self.tape.and_then(|tape| match tape.dtype() {
            dtype if dtype == T::DTYPE => Ok(tape),
            dtype => Err(Error::DTypeMismatch { op, left: dtype, right: T::DTYPE }),
        }))
    }

    /// The value in another dtype: integers wrap, floats become integers by truncation that saturates (NaN gives 0),
    /// everything but zero is `true`, imaginary parts are dropped.
    pub fn cast<U: Element>(self) -> Expr<U> {
        if T::DTYPE == U::DTYPE { Expr::from_tape(self.tape) } else { self.then(|x| Instr::Cast(U::DTYPE, x)) }
    }

    /// The nearest value within `low ..= high`: `minimum(maximum(x, low), high)`, so that NaN stays NaN and `high` wins where `low` is above it.
    pub fn clip(self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<T> {
        self.maximum(low).minimum(high)
    }

    /// `self * by + plus`, rounded once where the device can (all CPU devices do). Floats only.
    pub fn mul_add(self, by: impl IntoExpr<T>, plus: impl IntoExpr<T>) -> Expr<T> {
        let plus = plus.into_expr();
        Expr::from_tape(self.tape.and_then(|mut tape| {
            let (a, b) = tape.append(by.into_expr().tape?)?;
            let (_, c) = tape.append(plus.tape?)?;
            tape.push(Instr::MulAdd(a, b, c))?;
            Ok(tape)
        }))
    }
}

/// `x` where `condition` is true, else `y`; NumPy's `where`. All three broadcast.
pub fn select<T: Element>(condition: impl IntoExpr<bool>, x: impl IntoExpr<T>, y: impl IntoExpr<T>) -> Expr<T> {
    Expr::from_tape(condition.into_expr().tape.and_then(|mut tape| {
        let (c, x) = tape.append(x.into_expr().tape?)?;
        let (_, y) = tape.append(y.into_expr().tape?)?;
        tape.push(Instr::Select(c, x, y))?;
        Ok(tape)
    }))
}
