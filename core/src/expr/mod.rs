//! Expressions: what is written before it is evaluated.

mod direct;
mod ops;
mod tape;

pub(crate) use ops::ufunc_methods;
pub(crate) use tape::{RawArray, Tape};

use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::layout::Layout;
use crate::program::{Instr, Ref};
use crate::trace::Plan;
use crate::ufunc::{Binary, Unary};
use crate::{Buffer, Dims, Element, Error, Result, Scalar};
use std::marker::PhantomData;
use std::sync::Arc;

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
    node: Node,
    element: PhantomData<T>,
}

/// An operand: an array, or one value for all elements.
#[derive(Clone)]
enum Leaf {
    Array(Arc<RawArray>),
    Value(Scalar),
}

/// What has been written so far. A single step on leaves is kept as it is: it is what loops over small arrays are made of, and needs no tape.
#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    /// Of an array.
    Unary(Unary, Leaf),
    /// At least one of them is an array.
    Binary(Binary, Leaf, Leaf),
    /// Anything longer, or the first error.
    Tape(Result<Box<Tape>>),
}

impl Leaf {
    fn into_tape(self) -> Box<Tape> {
        Box::new(match self {
            Leaf::Array(array) => Tape::array(Arc::unwrap_or_clone(array)),
            Leaf::Value(value) => Tape::constant(value),
        })
    }
}

impl Node {
    fn into_tape(self) -> Result<Box<Tape>> {
        match self {
            Node::Leaf(leaf) => Ok(leaf.into_tape()),
            Node::Unary(op, x) => then(x.into_tape(), |x| Instr::Unary(op, x)),
            Node::Binary(op, x, y) => join(x.into_tape(), y.into_tape(), |x, y| Instr::Binary(op, x, y)),
            Node::Tape(tape) => tape,
        }
    }
}

fn then(mut tape: Box<Tape>, step: impl FnOnce(Ref) -> Instr) -> Result<Box<Tape>> {
    let on = tape.result();
    tape.push(step(on))?;
    Ok(tape)
}

fn join(mut tape: Box<Tape>, other: Box<Tape>, step: impl FnOnce(Ref, Ref) -> Instr) -> Result<Box<Tape>> {
    let (a, b) = tape.append(other)?;
    tape.push(step(a, b))?;
    Ok(tape)
}

/// What can be an operand of an expression over `T`: arrays and expressions, owned or borrowed, and single values.
pub trait IntoExpr<T: Element> {
    /// As an expression.
    fn into_expr(self) -> Expr<T>;
}

impl<T: Element> IntoExpr<T> for T {
    fn into_expr(self) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Value(Scalar::new(self))))
    }
}

impl<T: Element> IntoExpr<T> for Array<T> {
    fn into_expr(self) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Array(self.into_shared())))
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
    fn from_node(node: Node) -> Expr<T> {
        Expr { node, element: PhantomData }
    }

    pub(crate) fn from_tape(tape: Result<Box<Tape>>) -> Expr<T> {
        Expr::from_node(Node::Tape(tape))
    }

    /// The tape, or the first error.
    pub(crate) fn into_tape(self) -> Result<Box<Tape>> {
        self.node.into_tape()
    }

    /// As [`into_tape`](Self::into_tape), of a copy.
    pub(crate) fn tape(&self) -> Result<Box<Tape>> {
        self.node.clone().into_tape()
    }

    /// One more step on this value.
    pub(crate) fn then<U: Element>(self, step: impl FnOnce(Ref) -> Instr) -> Expr<U> {
        Expr::from_tape(self.into_tape().and_then(|tape| then(tape, step)))
    }

    /// A ufunc of this value.
    #[inline]
    pub(crate) fn then_unary<U: Element>(self, op: Unary) -> Expr<U> {
        match self.node {
            Node::Leaf(x @ Leaf::Array(_)) => Expr::from_node(Node::Unary(op, x)),
            node => Expr::from_tape(node.into_tape().and_then(|tape| then(tape, |x| Instr::Unary(op, x)))),
        }
    }

    /// A ufunc of this value and another.
    #[inline]
    pub(crate) fn join_binary<U: Element>(self, op: Binary, other: Expr<T>) -> Expr<U> {
        match (self.node, other.node) {
            (Node::Leaf(x @ Leaf::Array(_)), Node::Leaf(y)) => Expr::from_node(Node::Binary(op, x, y)),
            (Node::Leaf(x), Node::Leaf(y @ Leaf::Array(_))) => Expr::from_node(Node::Binary(op, x, y)),
            (x, y) => Expr::from_tape(x.into_tape().and_then(|tape| join(tape, y.into_tape()?, |x, y| Instr::Binary(op, x, y)))),
        }
    }

    /// The shape of the result.
    ///
    /// # Errors
    /// The first error made in building it.
    pub fn shape(&self) -> Result<Dims> {
        self.tape().map(|t| t.shape().clone())
    }

    /// Does the work, on the device in force, in one pass over memory. Operands that were given by value and that nobody else
    /// holds may have their buffer become the result's.
    ///
    /// # Errors
    /// What was wrong with the expression; [`Error::Refused`](crate::Error::Refused) where the device in force cannot do it; out of memory.
    pub fn eval(mut self) -> Result<Array<T>> {
        if let Some(done) = direct::eval(&mut self.node, T::DTYPE)? {
            return Array::from_raw(done);
        }
        Array::from_raw(self.into_tape()?.eval(&Device::current()?)?)
    }

    /// Does the work on `device`. The result lives where the operands do.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn eval_on(&self, device: &Device) -> Result<Array<T>> {
        Array::from_raw(match &self.node {
            Node::Tape(tape) => tape.as_ref().map_err(Clone::clone)?.eval_fresh(device)?,
            short => short.clone().into_tape()?.eval_fresh(device)?,
        })
    }

    /// Does the work and writes the result into a view of the same shape (or one that this shape broadcasts to). Allocates nothing for it.
    ///
    /// # Errors
    /// As [`eval`](Self::eval), and where the shapes do not fit.
    pub fn eval_into(&self, out: &mut ViewMut<'_, T>) -> Result<()> {
        let (buffer, layout) = out.parts_mut();
        self.write(buffer, layout)
    }

    /// Does the work and writes it where `layout` says in `buffer`.
    pub(crate) fn write(&self, buffer: &mut Buffer, layout: &Layout) -> Result<()> {
        if direct::write(&self.node, T::DTYPE, buffer, layout)? {
            return Ok(());
        }
        let out = RawArray { buffer: buffer.clone(), dtype: T::DTYPE, layout: layout.clone() };
        match &self.node {
            Node::Tape(tape) => tape.as_ref().map_err(Clone::clone)?.eval_into(&out, &Device::current()?),
            short => short.clone().into_tape()?.eval_into(&out, &Device::current()?),
        }
    }

    /// What [`eval`](Self::eval) would do, and what each device answered.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn explain(&self) -> Result<Plan> {
        self.tape()?.explain(&Device::current()?)
    }

    /// A ufunc by its row rather than by name, for code that works through the table: the same as the method of that name.
    /// `U` must be what the row gives for `T`; another type is kept as [`Error::DTypeMismatch`](crate::Error::DTypeMismatch).
    pub fn unary<U: Element>(self, op: Unary) -> Expr<U> {
        self.then_unary(op).typed(op.info().name)
    }

    /// As [`unary`](Self::unary), of two operands.
    pub fn binary<U: Element>(self, op: Binary, other: impl IntoExpr<T>) -> Expr<U> {
        self.join_binary(op, other.into_expr()).typed(op.info().name)
    }

    /// The dtype of the value held against the type it was given.
    fn typed(self, op: &'static str) -> Expr<T> {
        if direct::gives(&self.node) == Some(T::DTYPE) {
            return self;
        }
        Expr::from_tape(self.into_tape().and_then(|tape| match tape.dtype() {
            dtype if dtype == T::DTYPE => Ok(tape),
            dtype => Err(Error::DTypeMismatch { op, left: dtype, right: T::DTYPE }),
        }))
    }

    /// The value in another dtype: integers wrap, floats become integers by truncation that saturates (NaN gives 0),
    /// everything but zero is `true`, imaginary parts are dropped.
    pub fn cast<U: Element>(self) -> Expr<U> {
        if T::DTYPE == U::DTYPE { Expr::from_node(self.node) } else { self.then(|x| Instr::Cast(U::DTYPE, x)) }
    }

    /// The nearest value within `low ..= high`: `minimum(maximum(x, low), high)`, so that NaN stays NaN and `high` wins where `low` is above it.
    pub fn clip(self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<T> {
        self.maximum(low).minimum(high)
    }

    /// `self * by + plus`, rounded once where the device can (all CPU devices do). Floats only.
    pub fn mul_add(self, by: impl IntoExpr<T>, plus: impl IntoExpr<T>) -> Expr<T> {
        let plus = plus.into_expr();
        Expr::from_tape(self.into_tape().and_then(|mut tape| {
            let (a, b) = tape.append(by.into_expr().into_tape()?)?;
            let (_, c) = tape.append(plus.into_tape()?)?;
            tape.push(Instr::MulAdd(a, b, c))?;
            Ok(tape)
        }))
    }
}

/// `x` where `condition` is true, else `y`; NumPy's `where`. All three broadcast.
pub fn select<T: Element>(condition: impl IntoExpr<bool>, x: impl IntoExpr<T>, y: impl IntoExpr<T>) -> Expr<T> {
    Expr::from_tape(condition.into_expr().into_tape().and_then(|mut tape| {
        let (c, x) = tape.append(x.into_expr().into_tape()?)?;
        let (_, y) = tape.append(y.into_expr().into_tape()?)?;
        tape.push(Instr::Select(c, x, y))?;
        Ok(tape)
    }))
}
