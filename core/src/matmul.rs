//! Products of matrices.

use crate::array::{Array, ViewMut};
use crate::choose::{self, execute, plan};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, Tape};
use crate::layout::Layout;
use crate::op::{self, Op, Params, Precision};
use crate::short::{self, Key, Work};
use crate::trace::Plan;
use crate::{Buffer, DType, Dims, Element, Error, Kind, MemoryId, Program, Result, Scalar, SmallProduct, Wide, bytes, canon};
use smallvec::SmallVec;

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
pub struct Matmul<T: Element, U: Element = T> {
    a: Array<T>,
    b: Array<T>,
    after: Option<After<U>>,
    device: Option<Device>,
    precision: Precision,
}

impl<T: Element> Matmul<T> {
    /// `a @ b`. Vectors are not promoted here; see [`Array::matmul`].
    pub fn new(a: &Array<T>, b: &Array<T>) -> Matmul<T> {
        Matmul::of(a, b)
    }

    /// `a @ b`, given as what it is added up in: i8 as i32, u8 as u32 (exact for fewer than 2^17 columns of `a`, and for up to 2^16; wrapping beyond), f16 and bf16 as f32. Other dtypes
    /// stay what they are.
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![100i8, 100], [1, 2])?;
    /// assert_eq!(Matmul::wide(&a, &a.t()).run()?.to_vec()?, [20_000i32]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn wide(a: &Array<T>, b: &Array<T>) -> Matmul<T, T::Product> {
        Matmul::of(a, b)
    }
}

impl<T: Element, U: Element> Matmul<T, U> {
    fn of(a: &Array<T>, b: &Array<T>) -> Matmul<T, U> {
        Matmul { a: a.clone(), b: b.clone(), after: None, device: None, precision: Precision::Full }
    }

    /// Gives up some precision for speed, or not: see [`Precision`] for the bounds.
    pub fn precision(mut self, precision: Precision) -> Matmul<T, U> {
        self.precision = precision;
        self
    }

    /// Adds `c`, which broadcasts over the product.
    pub fn bias(self, c: &Array<U>) -> Matmul<T, U> {
        let c = c.clone();
        self.map(move |e| e + c)
    }

    /// Applies an elementwise computation to the product before it is written. Several are applied in turn.
    pub fn map(mut self, f: impl FnOnce(Expr<U>) -> Expr<U> + 'static) -> Matmul<T, U> {
        let before = self.after.take();
        self.after = Some(Box::new(move |e| f(before.map_or_else(|| e.clone(), |b| b(e.clone())))));
        self
    }

    /// On this device rather than the one in force.
    pub fn on(mut self, device: &Device) -> Matmul<T, U> {
        self.device = Some(device.clone());
        self
    }

    /// Does the work. The result is in C order.
    ///
    /// # Errors
    /// [`Error::Shapes`] where inner dimensions differ or there are fewer than two axes, [`Error::Broadcast`] where batch axes do not fit,
    /// [`Error::DTypeUndefined`] for bool, [`Error::Refused`] where the device cannot.
    pub fn run(self) -> Result<Array<U>> {
        if self.is_plain()
            && let Some(done) = small(self.a.raw(), self.b.raw(), T::DTYPE)?
        {
            return Array::from_raw(done);
        }
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        match self.lower()? {
            Lowered::Op(mut op, shape) => {
                Array::from_raw(RawArray { buffer: execute(&mut op, &device, None)?, dtype: U::DTYPE, layout: Layout::contiguous(shape) })
            }
            Lowered::Elementwise(e) => e.eval_on(&device),
        }
    }

    /// Whether nothing was asked for but the product.
    fn is_plain(&self) -> bool {
        self.after.is_none() && self.device.is_none() && T::DTYPE == U::DTYPE
    }

    /// Does the work and writes the result into a view of its shape.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Shapes`] where the view's shape is another.
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// # let (a, b) = (Array::<f32>::ones([4, 8])?, Array::<f32>::ones([8, 3])?);
    /// let mut c = Array::<f32>::zeros([4, 3])?;
    /// Matmul::new(&a, &b).run_into(&mut c.view_mut()?)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run_into(self, out: &mut ViewMut<'_, U>) -> Result<()> {
        self.write(out, false)
    }

    /// Does the work and adds the result to a view of its shape: `C += after(A @ B)`.
    ///
    /// # Errors
    /// As [`run_into`](Self::run_into).
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// # let (a, b) = (Array::<f32>::ones([4, 8])?, Array::<f32>::ones([8, 3])?);
    /// let mut c = Array::<f32>::ones([4, 3])?;
    /// Matmul::new(&a, &b).add_into(&mut c.view_mut()?)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn add_into(self, out: &mut ViewMut<'_, U>) -> Result<()> {
        self.write(out, true)
    }

    fn write(self, out: &mut ViewMut<'_, U>, add: bool) -> Result<()> {
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        let untouched = self.after.is_none();
        if self.is_plain() && !add {
            let (buffer, layout) = out.parts_mut();
            if let Some(small) = Small::of(self.a.raw(), self.b.raw(), T::DTYPE)
                && layout.is_c_contiguous()
                && layout.shape()[..] == small.lens[..2]
                && small.run(buffer, layout.offset())?
            {
                return Ok(());
            }
        }
        let (a, b) = (Dims::from(self.a.shape()), Dims::from(self.b.shape()));
        let fits = |shape: &Dims, out: &ViewMut<'_, U>| {
            let why = || format!("the product's shape is {shape:?}, the output's {:?}", out.shape());
            if shape[..] == *out.shape() { Ok(()) } else { Err(Error::Shapes { op: "matmul", left: a.clone(), right: b.clone(), why: why() }) }
        };
        let result = match self.lower()? {
            Lowered::Elementwise(e) => {
                fits(&e.shape()?, out)?;
                e.eval_on(&device)?
            }
            Lowered::Op(mut op, shape) => {
                fits(&shape, out)?;
                let (buffer, layout) = out.parts_mut();
                let direct = layout.is_c_contiguous() && layout.offset() == 0 && (!add || untouched);
                let adds = |op: &mut Op, add: bool| {
                    if let Op::Matmul(o) = op {
                        o.add = add;
                    }
                };
                // Where nobody adds to what is there, the product is added afterwards.
                adds(&mut op, add && direct);
                let into = (direct && (!add || choose::is_possible(&op, &device)?)).then(|| buffer.clone());
                adds(&mut op, add && into.is_some());
                let made = execute(&mut op, &device, into)?;
                if made.same(buffer) {
                    return Ok(());
                }
                Array::from_raw(RawArray { buffer: made, dtype: U::DTYPE, layout: Layout::contiguous(shape) })?
            }
        };
        if !add {
            return out.assign(&result);
        }
        let (buffer, layout) = out.parts_mut();
        let before = Array::<U>::from_raw(RawArray { buffer: buffer.clone(), dtype: U::DTYPE, layout: layout.clone() })?;
        (before + result).write(buffer, &layout.clone())
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

    fn lower(self) -> Result<Lowered<U>> {
        let (a, b) = (Dims::from(self.a.shape()), Dims::from(self.b.shape()));
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
        shape.check(U::DTYPE)?;
        if shape.contains(&0) || ka == 0 {
            let zero = Expr::from_tape(Tape::filled(Scalar::from_wide(U::DTYPE, Wide::Int(0)), shape).map(Box::new));
            return Ok(Lowered::Elementwise(Box::new(self.after.map_or_else(|| zero.clone(), |f| f(zero.clone())))));
        }
        // The product is operand 0 of the tape of what follows; its buffer is never read, so A's stands in for it.
        let stand_in = RawArray { buffer: self.a.raw().buffer.clone(), dtype: U::DTYPE, layout: product_layout(&shape) };
        let product = Expr::from_tape(Ok(Box::new(Tape::array(stand_in))));
        let tape = self.after.map_or_else(|| product.clone(), |f| f(product.clone())).into_tape()?;
        if tape.shape() != &shape {
            return Err(shapes(format!("what is applied to the product {shape:?} gives {:?}", tape.shape())));
        }
        let (after, after_params, extras) = epilogue(&tape)?;
        let extras = extras.iter().map(|e| Ok(canon::operand(&e.buffer, e.dtype, &e.layout.broadcast_to(&shape)?))).collect::<Result<_>>()?;
        let op = op::Matmul {
            dtype: T::DTYPE,
            precision: self.precision,
            m,
            n,
            k: ka,
            a: canon::operand(&self.a.raw().buffer, T::DTYPE, &self.a.layout().broadcast_to(&with(m, ka))?),
            b: canon::operand(&self.b.raw().buffer, T::DTYPE, &self.b.layout().broadcast_to(&with(ka, n))?),
            batch,
            after,
            after_params,
            extras,
            add: false,
        };
        Ok(Lowered::Op(Box::new(Op::Matmul(op)), shape))
    }
}

/// Multiply-adds of a product up to which one thread is right, and preparations would be felt.
const SMALL: usize = 96 * 96 * 96;

/// The product by the short way, if it is for that.
fn small(a: &RawArray, b: &RawArray, dtype: DType) -> Result<Option<RawArray>> {
    let Some(small) = Small::of(a, b, dtype) else { return Ok(None) };
    let [m, n, _] = small.lens;
    let mut buffer = Buffer::host(m * n * dtype.size())?;
    let done = small.run(&mut buffer, 0)?;
    Ok(done.then(|| RawArray { buffer, dtype, layout: Layout::contiguous([m, n].into()) }))
}

/// A product that may go the short way.
struct Small<'a> {
    /// m, n, k.
    lens: [usize; 3],
    dtype: DType,
    /// Each with the bytes from the first element to the last, and strides.
    a: (&'a RawArray, &'a [u8], [usize; 2]),
    b: (&'a RawArray, &'a [u8], [usize; 2]),
}

impl<'a> Small<'a> {
    /// For two matrices on the host whose shapes fit, with strides that are not negative.
    fn of(a: &'a RawArray, b: &'a RawArray, dtype: DType) -> Option<Small<'a>> {
        let ([m, k], [kb, n]) = (a.layout.shape()[..].try_into().ok()?, b.layout.shape()[..].try_into().ok()?);
        let steps = [m, n, k].into_iter().try_fold(1, usize::checked_mul)?;
        if k != kb || steps == 0 || steps > SMALL || !short::is_open() {
            return None;
        }
        let operand = |x: &'a RawArray, rows: usize, columns: usize| {
            let strides = [usize::try_from(x.layout.strides()[0]).ok()?, usize::try_from(x.layout.strides()[1]).ok()?];
            let elements = (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1;
            let here = x.buffer.memory() == MemoryId::HOST && x.dtype == dtype;
            here.then(|| (x, &bytes::host_bytes(&x.buffer)[x.layout.offset() * dtype.size()..][..elements * dtype.size()], strides))
        };
        Some(Small { lens: [m, n, k], dtype, a: operand(a, m, k)?, b: operand(b, k, n)? })
    }

    /// Whether a backend did it, into the elements of `out` from `offset` on.
    fn run(&self, out: &mut Buffer, offset: usize) -> Result<bool> {
        let (lens, dtype, size) = (self.lens, self.dtype, self.dtype.size());
        let (a, b) = ((self.a.1, self.a.2), (self.b.1, self.b.2));
        short::run(
            || Key::new(Work::Product, dtype, lens),
            |backend| {
                let room = bytes::room(out, offset * size, lens[0] * lens[1] * size);
                room.is_some_and(|out| backend.run_product(SmallProduct { dtype, lens, a, b, out }))
            },
            || {
                let [m, n, k] = lens;
                let operand = |x: &RawArray| canon::operand(&x.buffer, dtype, &x.layout);
                let (a, b) = (operand(self.a.0), operand(self.b.0));
                let (after, after_params, extras) = (Program::identity(dtype), Params::new(), SmallVec::new());
                Ok(Op::Matmul(op::Matmul { dtype, precision: Precision::Full, m, n, k, a, b, batch: Dims::new(), after, after_params, extras, add: false }))
            },
        )
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
        if !row && !column {
            if let Some(done) = small(self.raw(), other.raw(), T::DTYPE)? {
                return Array::from_raw(done);
            }
            return Matmul::new(self, other).run().map_err(|e| with_shapes(e, self, other));
        }
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

impl<T: Element, U: Element> IntoExpr<U> for Matmul<T, U> {
    fn into_expr(self) -> Expr<U> {
        Expr::from_tape(self.run().map(|product| Box::new(Tape::array(product.into_raw()))))
    }
}
