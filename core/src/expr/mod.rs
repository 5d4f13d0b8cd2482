//! Expressions: what is written before it is evaluated.

mod direct;
mod flatten;
mod node;
mod ops;
mod tape;

pub(crate) use flatten::Lead;
pub(crate) use node::Product;
pub(crate) use ops::ufunc_methods;
pub(crate) use tape::{RawArray, Tape};

use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::layout::Layout;
use crate::program::{Instr, Ref};
use crate::trace::Plan;
use crate::ufunc::{Binary, Unary};
use crate::{Buffer, Dims, Element, Error, Result, Scalar};
use node::{Leaf, Node};
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

    /// The product that the epilogue of an operation is applied to.
    pub(crate) fn product(product: &Arc<Product>) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Product(product.clone())))
    }

    /// An expression that could not be built.
    pub(crate) fn failed(error: Error) -> Expr<T> {
        Expr::from_node(Node::Failed(Box::new(error)))
    }

    /// The program of this expression and its operands, or the first error.
    pub(crate) fn tape(&self) -> Result<Box<Tape>> {
        self.node.tape()
    }

    /// As [`tape`](Self::tape), in which a product may occur.
    pub(crate) fn tape_with(&self, lead: Lead) -> Result<Box<Tape>> {
        flatten::flatten(&self.node, Some(lead))
    }

    /// One more step on this value, which it reads as `Ref::Value(0)`.
    pub(crate) fn then<U: Element>(self, step: impl FnOnce(Ref) -> Instr) -> Expr<U> {
        Expr::from_node(Node::step(step(Ref::Value(0)), [self.node]))
    }

    /// A ufunc of this value.
    #[inline]
    pub(crate) fn then_unary<U: Element>(self, op: Unary) -> Expr<U> {
        Expr::from_node(self.node.unary(op))
    }

    /// A ufunc of this value and another.
    #[inline]
    pub(crate) fn join_binary<U: Element>(self, op: Binary, other: Expr<T>) -> Expr<U> {
        Expr::from_node(self.node.binary(op, other.node))
    }

    /// The shape of the result.
    ///
    /// # Errors
    /// The first error made in building it.
    pub fn shape(&self) -> Result<Dims> {
        self.node.shape()
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
        let mut tape = self.tape()?;
        // What only the expression held, only the tape holds now.
        drop(self);
        Array::from_raw(tape.eval(&Device::current()?)?)
    }

    /// Does the work on `device`. The result lives where the operands do.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn eval_on(&self, device: &Device) -> Result<Array<T>> {
        Array::from_raw(self.tape()?.eval_fresh(device)?)
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
        self.tape()?.eval_into(&out, &Device::current()?)
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
        match self.node.dtype() {
            Some(dtype) if dtype != T::DTYPE => Expr::failed(Error::DTypeMismatch { op, left: dtype, right: T::DTYPE }),
            _ => self,
        }
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
        let (by, plus) = (by.into_expr(), plus.into_expr());
        let step = Instr::MulAdd(Ref::Value(0), Ref::Value(1), Ref::Value(2));
        Expr::from_node(Node::step(step, [self.node, by.node, plus.node]))
    }
}

/// `x` where `condition` is true, else `y`; NumPy's `where`. All three broadcast.
pub fn select<T: Element>(condition: impl IntoExpr<bool>, x: impl IntoExpr<T>, y: impl IntoExpr<T>) -> Expr<T> {
    let step = Instr::Select(Ref::Value(0), Ref::Value(1), Ref::Value(2));
    Expr::from_node(Node::step(step, [condition.into_expr().node, x.into_expr().node, y.into_expr().node]))
}
