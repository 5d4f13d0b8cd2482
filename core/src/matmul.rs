//! Products of matrices.

use crate::array::Array;
use crate::choose::{execute, plan};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, Tape};
use crate::layout::Layout;
use crate::op::{self, Op, Params};
use crate::trace::Plan;
use crate::{Dims, Element, Error, Kind, Program, Result, Scalar, Wide, canon};
use smallvec::SmallVec;
use std::marker::PhantomData;

/// What is applied to a product.
type After<T> = Box<dyn FnOnce(Expr<T>) -> Expr<T>>;

/// A product of matrices about to be computed: `after(A @ B)`, with A `[.., m, k]`, B `[.., k, n]`, the result `[.., m, n]`; batch axes broadcast.
///
/// ```no_run
/// # use polyarray_core::*;
/// # let (a, b) = (Array::<f32>::ones([4, 8])?, Array::<f32>::ones([8, 3])?);
/// # let c = Array::<f32>::ones([3])?;
/// let y = Matmul::new(&a, &b).bias(&c).map(|e| e.maximum(0.0)).run()?;
/// # Ok::<(), Error>(())
/// ```
pub struct Matmul<T: Element> {
    a: RawArray,
    b: RawArray,
    after: Option<After<T>>,
    device: Option<Device>,
    element: PhantomData<T>,
}

impl<T: Element> Matmul<T> {
    /// `a @ b`. Vectors are not promoted here; see [`Array::matmul`].
    pub fn new(a: &Array<T>, b: &Array<T>) -> Matmul<T> {
        Matmul { a: a.raw().clone(), b: b.raw().clone(), after: None, device: None, element: PhantomData }
    }

    /// Adds `c`, which broadcasts over the product.
    pub fn bias(self, c: &Array<T>) -> Matmul<T> {
        let c = c.clone();
        self.map(move |e| e + c)
    }

    /// Applies an elementwise computation to the product before it is written. Several are applied in turn.
    pub fn map(mut self, f: impl FnOnce(Expr<T>) -> Expr<T> + 'static) -> Matmul<T> {
        let before = self.after.take();
        self.after = Some(Box::new(move |e| f(before.map_or_else(|| e.clone(), |b| b(e.clone())))));
        self
    }

    /// On this device rather than the one in force.
    pub fn on(mut self, device: &Device) -> Matmul<T> {
        self.device = Some(device.clone());
        self
    }

    /// Does the work. The result is in C order.
    ///
    /// # Errors
    /// [`Error::Shapes`] where inner dimensions differ or there are fewer than two axes, [`Error::Broadcast`] where batch axes do not fit,
    /// [`Error::DTypeUndefined`] for bool, [`Error::Refused`] where the device cannot.
    pub fn run(self) -> Result<Array<T>> {
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        match self.lower()? {
            Lowered::Op(mut op, shape) => {
                Array::from_raw(RawArray { buffer: execute(&mut op, &device, None)?, dtype: T::DTYPE, layout: Layout::contiguous(shape) })
            }
            Lowered::Elementwise(e) => e.eval_on(&device),
        }
    }

    /// What [`run`](Self::run) would do, and what each device answered.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(self) -> Result<Plan> {
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        match self.lower()? {
            Lowered::Op(op, _) => plan(&op, &device),
            Lowered::Elementwise(e) => e.explain(),
        }
    }

    fn lower(self) -> Result<Lowered<T>> {
        let (a, b) = (self.a.layout.shape().clone(), self.b.layout.shape().clone());
        let shapes = |why: String| Error::Shapes { op: "matmul", left: a.clone(), right: b.clone(), why };
        if T::DTYPE.kind() == Kind::Bool {
            return Err(Error::DTypeUndefined { op: "matmul", dtype: T::DTYPE, defined: "integers, floats, complex".into() });
        }
        if a.len() < 2 || b.len() < 2 {
            return Err(shapes("both need at least two axes".into()));
        }
        let ([m, ka], [kb, n]) = ([a[a.len() - 2], a[a.len() - 1]], [b[b.len() - 2], b[b.len() - 1]]);
        if ka != kb {
            return Err(shapes(format!("the inner dimensions are {ka} and {kb}")));
        }
        let batch = Dims::from(&a[..a.len() - 2]).broadcast(&Dims::from(&b[..b.len() - 2]))?;
        let with = |r: usize, c: usize| batch.iter().copied().chain([r, c]).collect::<Dims>();
        let shape = with(m, n);
        shape.check(T::DTYPE)?;
        if shape.contains(&0) || ka == 0 {
            let zero = Expr::from_tape(Tape::filled(Scalar::from_wide(T::DTYPE, Wide::Int(0)), shape).map(Box::new));
            return Ok(Lowered::Elementwise(Box::new(self.after.map_or_else(|| zero.clone(), |f| f(zero.clone())))));
        }
        // The product is operand 0 of the tape of what follows; its buffer is never read, so A's stands in for it.
        let stand_in = RawArray { buffer: self.a.buffer.clone(), dtype: T::DTYPE, layout: product_layout(&shape) };
        let product = Expr::from_tape(Ok(Box::new(Tape::array(stand_in))));
        let tape = self.after.map_or_else(|| product.clone(), |f| f(product.clone())).into_tape()?;
        if tape.shape() != &shape {
            return Err(shapes(format!("what is applied to the product {shape:?} gives {:?}", tape.shape())));
        }
        let (after, after_params, extras) = epilogue(&tape)?;
        let extras = extras.iter().map(|e| Ok(canon::operand(&e.buffer, e.dtype, &e.layout.broadcast_to(&shape)?))).collect::<Result<_>>()?;
        let op = op::Matmul {
            dtype: T::DTYPE,
            m,
            n,
            k: ka,
            a: canon::operand(&self.a.buffer, T::DTYPE, &self.a.layout.broadcast_to(&with(m, ka))?),
            b: canon::operand(&self.b.buffer, T::DTYPE, &self.b.layout.broadcast_to(&with(ka, n))?),
            batch,
            after,
            after_params,
            extras,
        };
        Ok(Lowered::Op(Box::new(Op::Matmul(op)), shape))
    }
}

/// The stand-in's layout: strides that no real operand of this shape has, so that it is never taken for one.
fn product_layout(shape: &Dims) -> Layout {
    Layout::from_parts(shape.clone(), shape.c_strides(), usize::MAX / 4)
}

/// A tape whose operand 0 is the product, as a program with the product first. Its parts are never evaluated on their own.
fn epilogue(tape: &Tape) -> Result<(Program, Params, SmallVec<[RawArray; 2]>)> {
    let program = tape.program().map_err(|e| Error::Program(format!("what is applied to a product must fit one program: {e}")))?;
    Ok((program, tape.params().clone(), tape.operands()[1..].iter().cloned().collect()))
}

enum Lowered<T: Element> {
    Op(Box<Op>, Dims),
    /// There is nothing to multiply: zeros, and what follows them.
    Elementwise(Box<Expr<T>>),
}

impl<T: Element> Array<T> {
    /// The product of matrices `[.., m, k] @ [.., k, n] -> [.., m, n]`, batch axes broadcast. A vector on the left is a row, on the right a column, and that axis
    /// is gone from the result.
    ///
    /// Floats are accurate to `k * eps * |A||B|` or better on every device; integers wrap.
    ///
    /// # Errors
    /// As [`Matmul::run`].
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(a.matmul(&a)?.to_vec()?, [7.0, 10.0, 15.0, 22.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn matmul(&self, other: &Array<T>) -> Result<Array<T>> {
        let (row, column) = (self.ndim() == 1, other.ndim() == 1);
        let a = if row { self.expand_dims(0)? } else { self.clone() };
        let b = if column { other.expand_dims(1)? } else { other.clone() };
        let product = Matmul::new(&a, &b).run().map_err(|e| with_shapes(e, self, other))?;
        let mut shape: SmallVec<[usize; 4]> = product.shape().into();
        if column {
            shape.pop();
        }
        if row {
            shape.remove(shape.len() - if column { 1 } else { 2 });
        }
        product.reshape(&shape[..])
    }

    /// The dot product of two vectors, or [`matmul`](Self::matmul) of matrices.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn dot(&self, other: &Array<T>) -> Result<Array<T>> {
        self.matmul(other)
    }
}

/// An error about shapes with the shapes that the caller knows.
fn with_shapes<T: Element>(e: Error, a: &Array<T>, b: &Array<T>) -> Error {
    match e {
        Error::Shapes { op, why, .. } => Error::Shapes { op, left: a.shape().into(), right: b.shape().into(), why },
        other => other,
    }
}

impl<T: Element> IntoExpr<T> for Matmul<T> {
    fn into_expr(self) -> Expr<T> {
        Expr::from_tape(self.run().map(|product| Box::new(Tape::array(product.into_raw()))))
    }
}
