//! Expressions: computations that have not been evaluated yet.

mod direct;
mod flatten;
mod fmt;
mod fused;
mod node;
mod ops;
mod powers;
mod tape;
mod template;

pub use fused::{Arguments, Fused, Fusible, Traced, fuse};

pub(crate) use direct::copy;
pub(crate) use flatten::Lead;
pub(crate) use node::Placeholder;
pub(crate) use ops::ufunc_methods;
pub(crate) use tape::{RawArray, SharedArray, Tape};
pub(crate) use template::Template;

use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::fast::Quick;
use crate::layout::Layout;
use crate::program::{Instr, Ref};
use crate::trace::Plan;
use crate::ufunc::{Binary, Unary};
use crate::{Buffer, DType, Dims, Element, Error, Result, Scalar};
use fused::Peek;
use node::{Leaf, Node};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// An elementwise computation on arrays that has not been evaluated yet. Operators and methods on arrays make one;
/// [`eval`](Expr::eval) evaluates it in one pass.
///
/// Operands broadcast. An expression stores a shape or dtype error, and `eval` returns it as `Err`: building an
/// expression never panics.
///
/// ```
/// # use polyarray_core::*;
/// let x = Array::from_vec(vec![1.0f32, 4.0, 9.0], [3])?;
/// let e = (&x * 2.0 + 1.0) - &x;
/// assert_eq!(*e.shape()?, [3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
#[must_use = "an expression computes nothing until it is evaluated: call `eval`, `eval_into` or a reduction"]
pub struct Expr<T: Element> {
    node: Node,
    element: PhantomData<T>,
}

/// An operand of an expression over `T`: arrays and expressions, owned or borrowed, and single values.
///
/// Operands have one dtype. A literal of another one, or an array of another one, does not compile:
///
/// ```compile_fail,E0277
/// # use polyarray_core::*;
/// let x = Array::from([1.0f32, 2.0]);
/// let y = &x * 2; // `2` is an integer: write `2.0`
/// ```
///
/// ```compile_fail,E0277
/// # use polyarray_core::*;
/// let (x, n) = (Array::from([1.0f32, 2.0]), Array::from([1i32, 2]));
/// let y = &x + &n; // write `n.cast::<f32>()`
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operand of an expression of `{T}`",
    label = "expected an array, an expression or a value of `{T}`",
    note = "operands have one dtype: write `2.0` instead of `2` for a float, and `x.cast::<{T}>()` to convert an array"
)]
pub trait IntoExpr<T: Element> {
    /// Converts to an expression.
    fn into_expr(self) -> Expr<T>;

    /// Returns the operand in the form in which calls of compiled functions read it without a conversion, if any.
    #[doc(hidden)]
    #[inline]
    fn peek(&self) -> Peek<'_> {
        Peek::OTHER
    }
}

impl<T: Element> IntoExpr<T> for T {
    fn into_expr(self) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Value(Scalar::new(self))))
    }

    #[inline]
    fn peek(&self) -> Peek<'_> {
        Peek::value(Scalar::new(*self))
    }
}

impl<T: Element> IntoExpr<T> for Array<T> {
    fn into_expr(self) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Array(self.into_shared())))
    }

    #[inline]
    fn peek(&self) -> Peek<'_> {
        Peek::owned(self.raw())
    }
}

impl<T: Element> IntoExpr<T> for &Array<T> {
    fn into_expr(self) -> Expr<T> {
        self.clone().into_expr()
    }

    #[inline]
    fn peek(&self) -> Peek<'_> {
        Peek::borrowed(self.raw())
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

    /// Returns the first error that occurred while the expression was built.
    pub(crate) fn error(&self) -> Option<Error> {
        self.node.shape_and_open().err()
    }

    /// Returns the array as an expression over a type that need not be that of its elements.
    pub(crate) fn of_raw(array: SharedArray) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Array(array)))
    }

    /// Returns the tape, which has no placeholders, as an expression.
    pub(crate) fn of_tape(tape: Box<Tape>) -> Expr<T> {
        if tape.instrs().is_empty()
            && let [array] = tape.operands()
        {
            return Expr::of_raw(array.clone());
        }
        Expr::from_node(Node::Short(tape))
    }

    /// Returns the value as an expression over a type that need not be its own.
    pub(crate) fn of_value(value: Scalar) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Value(value)))
    }

    /// Returns the same expression over another type parameter, which need not be that of its elements.
    pub(crate) fn reinterpret<U: Element>(self) -> Expr<U> {
        Expr::from_node(self.node)
    }

    pub(crate) fn placeholder(placeholder: &Arc<Placeholder>) -> Expr<T> {
        Expr::from_node(Node::Leaf(Leaf::Placeholder(placeholder.clone())))
    }

    pub(crate) fn failed(error: Error) -> Expr<T> {
        Expr::from_node(Node::Failed(Box::new(error)))
    }

    /// Converts the expression to a program with its operands, or returns its first error.
    pub(crate) fn tape(&self) -> Result<Box<Tape>> {
        self.node.tape()
    }

    /// As [`tape`](Self::tape), for an expression that contains the placeholders of `lead`.
    pub(crate) fn tape_with(&self, lead: Lead) -> Result<Box<Tape>> {
        flatten::flatten(&self.node, Some(lead))
    }

    /// Appends a step that reads this value as `Ref::Value(0)`.
    pub(crate) fn then<U: Element>(self, step: impl FnOnce(Ref) -> Instr) -> Expr<U> {
        Expr::from_node(Node::step(step(Ref::Value(0)), [self.node]))
    }

    #[inline]
    pub(crate) fn then_unary<U: Element>(self, op: Unary) -> Expr<U> {
        Expr::from_node(self.node.unary(op))
    }

    #[inline]
    pub(crate) fn join_binary<U: Element>(self, op: Binary, other: Expr<T>) -> Expr<U> {
        Expr::from_node(self.node.binary(op, other.node))
    }

    /// Returns the value if the expression is a single one.
    pub(crate) fn single(&self) -> Option<Scalar> {
        match &self.node {
            Node::Leaf(Leaf::Value(value)) => Some(*value),
            _ => None,
        }
    }

    /// Returns the value of the expression if it is an array already, or if the fast path can evaluate it from operands
    /// that lie in the order of the result.
    pub(crate) fn small_value(&self) -> Quick<Option<Cow<'_, SharedArray>>> {
        match &self.node {
            Node::Leaf(Leaf::Array(array)) => Ok(Some(Cow::Borrowed(array))),
            Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => Ok(None),
            node => Ok(direct::eval(&mut node.clone(), T::DTYPE, true)?.map(Cow::Owned)),
        }
    }

    /// Returns the shape of the result.
    ///
    /// # Errors
    /// The first error that occurred while the expression was built.
    pub fn shape(&self) -> Result<Dims> {
        self.node.shape()
    }

    /// Evaluates the expression on the current device, in one pass over memory (several if it is too long for one
    /// program). The result may reuse the buffer of an operand that was passed by value and has no other owner.
    ///
    /// # Errors
    /// The error of the expression; [`Error::Refused`](crate::Error::Refused) if the current device does not support
    /// it; out of memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0f32, 4.0]);
    /// assert_eq!((x.sqrt() * 10.0 - &x).eval()?, Array::from([9.0, 16.0]));
    /// assert!((&x + Array::from([1.0, 2.0, 3.0])).eval().is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval(self) -> Result<Array<T>> {
        Array::from_shared(self.eval_shared(T::DTYPE)?)
    }

    /// As [`eval`](Self::eval), for an expression whose dtype is `dtype` whatever `T` is.
    pub(crate) fn eval_shared(mut self, dtype: DType) -> Result<SharedArray> {
        if let Some(done) = direct::eval(&mut self.node, dtype, false)? {
            return Ok(done);
        }
        // The tape becomes the only owner of operands that only the expression held.
        let mut tape = self.node.into_tape()?;
        tape.eval(&Device::current()?).map(SharedArray::new)
    }

    /// Evaluates the expression on `device`. The result lies in the memory of the operands.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0f32, 4.0]);
    /// assert_eq!(x.sqrt().eval_on(&Device::scalar())?, Array::from([1.0, 2.0]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval_on(&self, device: &Device) -> Result<Array<T>> {
        Array::from_raw(self.tape()?.eval_fresh(device)?)
    }

    /// Evaluates the expression into a view of the same shape (or one that the shape of the expression broadcasts to).
    /// No buffer is allocated for the result.
    ///
    /// # Errors
    /// As [`eval`](Self::eval), and if the shapes are incompatible.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, mut out) = (Array::from([1, 2]), Array::from([[0, 0], [0, 0]]));
    /// (&x + 1).eval_into(&mut out.slice_mut(s![1])?)?;
    /// assert_eq!(out, Array::from([[0, 0], [2, 3]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval_into(&self, out: &mut ViewMut<'_, T>) -> Result<()> {
        let (buffer, layout) = out.parts_mut();
        self.write(buffer, layout)
    }

    /// Evaluates the expression into the elements of `layout` in `buffer`, which no array but operands of this
    /// expression may show.
    pub(crate) fn write(&self, buffer: &mut Buffer, layout: &Layout) -> Result<()> {
        // SAFETY: the caller owns the buffer exclusively, except for operands of this expression.
        if unsafe { self.write_directly(buffer, layout) }? {
            return Ok(());
        }
        let out = RawArray { buffer: buffer.clone(), dtype: T::DTYPE, layout: layout.clone() };
        self.tape()?.eval_into(&out, &Device::current()?)
    }

    /// Evaluates the expression on the fast path into the elements of `layout` in `buffer`, if they have the shape of
    /// the expression. Returns whether it did; otherwise nothing has been written.
    ///
    /// # Safety
    /// Nothing else accesses these elements during the call, except as operands of this expression.
    pub(crate) unsafe fn write_directly(&self, buffer: &Buffer, layout: &Layout) -> Quick<bool> {
        // SAFETY: the caller guarantees the condition of `write`.
        unsafe { direct::write(&self.node, T::DTYPE, buffer, layout) }
    }

    /// Returns the plan of [`eval`](Self::eval) with the estimates of all candidate devices.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn explain(&self) -> Result<Plan> {
        self.tape()?.explain(&Device::current()?)
    }

    /// Applies a ufunc given by its row in the ufunc table, like the method of that name. `U` must be the type that the
    /// row gives for `T`; otherwise the expression stores [`Error::DTypeMismatch`](crate::Error::DTypeMismatch).
    pub fn unary<U: Element>(self, op: Unary) -> Expr<U> {
        self.then_unary(op).typed(op.info().name)
    }

    /// As [`unary`](Self::unary), for two operands.
    pub fn binary<U: Element>(self, op: Binary, other: impl IntoExpr<T>) -> Expr<U> {
        self.join_binary(op, other.into_expr()).typed(op.info().name)
    }

    /// Checks the dtype of the value against `T`.
    fn typed(self, op: &'static str) -> Expr<T> {
        match self.node.dtype() {
            Some(dtype) if dtype != T::DTYPE => Expr::failed(Error::DTypeMismatch { op, left: dtype, right: T::DTYPE }),
            _ => self,
        }
    }

    /// Casts to another dtype: integers wrap, floats become integers by saturating truncation (NaN gives 0), every
    /// nonzero value is `true`, imaginary parts are dropped.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.9, -1.9, f64::NAN]);
    /// assert_eq!(x.cast::<i32>().eval()?, Array::from([1, -1, 0]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "astype")]
    pub fn cast<U: Element>(self) -> Expr<U> {
        if T::DTYPE == U::DTYPE { Expr::from_node(self.node) } else { self.cast_to(U::DTYPE).reinterpret() }
    }

    /// Appends a cast. The type parameter stays and is not that of the elements.
    pub(crate) fn cast_to(self, to: DType) -> Expr<T> {
        self.then(|x| Instr::Cast(to, x))
    }

    /// Limits each element to `low ..= high`: `minimum(maximum(x, low), high)`. NaN remains NaN, and the result is
    /// `high` if `low` exceeds it.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([-5, 0, 5]).clip(-1, 1).eval()?, Array::from([-1, 0, 1]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "clamp")]
    pub fn clip(self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<T> {
        self.maximum(low).minimum(high)
    }

    /// Computes `self * by + plus`, rounded once if the device supports it (all CPU devices do). Floats only.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 2.0]);
    /// assert_eq!(x.mul_add(10.0, &x).eval()?, Array::from([11.0, 22.0]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "fma")]
    pub fn mul_add(self, by: impl IntoExpr<T>, plus: impl IntoExpr<T>) -> Expr<T> {
        let (by, plus) = (by.into_expr(), plus.into_expr());
        let step = Instr::MulAdd(Ref::Value(0), Ref::Value(1), Ref::Value(2));
        Expr::from_node(Node::step(step, [self.node, by.node, plus.node]))
    }
}

/// Evaluates `tape` into `out`, to whose shape its shape must broadcast.
///
/// # Safety
/// Nothing but operands of the tape accesses the elements of `out` during the call.
pub(crate) unsafe fn write_tape(tape: Box<Tape>, out: &RawArray) -> Result<()> {
    if tape.instrs().is_empty() {
        return tape.eval_into(out, &Device::current()?);
    }
    let node = Node::Short(tape);
    // SAFETY: the caller guarantees the condition of `write`.
    if unsafe { direct::write(&node, out.dtype, &out.buffer, &out.layout) }? {
        return Ok(());
    }
    node.into_tape()?.eval_into(out, &Device::current()?)
}

/// Selects `x` where `condition` is true, else `y`, like NumPy's `where`. All three broadcast.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([1.0, -2.0]);
/// assert_eq!(select(x.greater(0.0), &x, 0.0).eval()?, Array::from([1.0, 0.0]));
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("where", "np.where"))]
pub fn select<T: Element>(condition: impl IntoExpr<bool>, x: impl IntoExpr<T>, y: impl IntoExpr<T>) -> Expr<T> {
    let step = Instr::Select(Ref::Value(0), Ref::Value(1), Ref::Value(2));
    Expr::from_node(Node::step(step, [condition.into_expr().node, x.into_expr().node, y.into_expr().node]))
}
