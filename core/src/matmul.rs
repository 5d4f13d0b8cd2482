//! Matrix products.

use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, Lead, Placeholder, RawArray, SharedArray};
use crate::fast::{self, Key, Quick};
use crate::layout::Layout;
use crate::op::{self, Op, Params, Precision};
use crate::plan::{self, execute};
use crate::small::{self, SmallProduct};
use crate::trace::Plan;
use crate::{Buffer, DType, Dims, Element, Error, Kind, MemoryId, Program, Result, bytes, canon};
use smallvec::SmallVec;
use std::sync::Arc;

/// A closure that transforms a product.
type Epilogue<T> = Box<dyn FnOnce(Expr<T>) -> Expr<T>>;

/// A matrix product that has not been computed yet: `after(A @ B)`, where A is `[.., m, k]`, B is `[.., k, n]` and the
/// result is `[.., m, n]`. Batch axes broadcast.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # let (a, b) = (Array::<f32>::ones([4, 8])?, Array::<f32>::ones([8, 3])?);
/// # let c = Array::<f32>::ones([3])?;
/// let y = Matmul::new(&a, &b).bias(&c).map(|e| e.maximum(0.0)).run()?;
/// # Ok::<(), Error>(())
/// ```
pub struct Matmul<T: Element, U: Element = T> {
    a: Array<T>,
    b: Array<T>,
    epilogue: Vec<Epilogue<U>>,
    device: Option<Device>,
    precision: Precision,
}

impl<T: Element> Matmul<T> {
    /// Describes `a @ b`. Does not promote vectors to matrices; [`Array::matmul`] does.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (a, b) = (Array::from([[1, 2], [3, 4]]), Array::from([[1], [10]]));
    /// assert_eq!(Matmul::new(&a, &b).run()?, Array::from([[21], [43]]));
    /// // The first two axes are batches, which broadcast.
    /// let stack = Array::<f32>::ones([5, 1, 2, 3])?;
    /// assert_eq!(Matmul::new(&stack, &Array::ones([7, 3, 4])?).run()?.shape(), [5, 7, 2, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn new(a: &Array<T>, b: &Array<T>) -> Matmul<T> {
        Matmul::of(a, b)
    }

    /// Describes `a @ b` with the result in the dtype of accumulation: i8 accumulates in i32 (exact for fewer than 2^17
    /// columns of `a`, wrapping beyond), u8 in u32 (exact for up to 2^16 columns, wrapping beyond), f16 and bf16 in
    /// f32. For other dtypes the result has the dtype of the operands.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
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
        Matmul { a: a.clone(), b: b.clone(), epilogue: Vec::new(), device: None, precision: Precision::Full }
    }

    /// Sets the precision. [`Precision`] states the error bounds.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::<f32>::ones([64, 64])?;
    /// let c = Matmul::new(&a, &a).precision(Precision::Fast).run()?;
    /// assert_eq!(c.get([0, 0])?, 64.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn precision(mut self, precision: Precision) -> Matmul<T, U> {
        self.precision = precision;
        self
    }

    /// Adds `c`, which broadcasts to the shape of the product.
    ///
    /// If it does not, [`run`](Self::run) returns [`Error::Broadcast`] or [`Error::Shapes`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let row = Array::from([10.0, 20.0]);
    /// assert_eq!(Matmul::new(&a, &a).bias(&row).run()?, Array::from([[17.0, 30.0], [25.0, 42.0]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bias(self, c: &Array<U>) -> Matmul<T, U> {
        let c = c.clone();
        self.map(move |e| e + c)
    }

    /// Applies an elementwise computation to the product before it is written. Several calls apply their closures in
    /// order.
    ///
    /// The closure is called once, when the product is about to be computed. Its argument is a placeholder for the
    /// product, which has no elements yet. Evaluating or reducing the placeholder, inside the closure or later, returns
    /// [`Error::NotComputed`]. The expression that the closure returns must have the shape of the product. It may read
    /// other arrays, which broadcast to that shape, and need not read the product.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from([[1.0, -2.0], [-3.0, 4.0]]);
    /// // [[7, -10], [-15, 22]]: the negative elements become 0 before the product is written.
    /// let relu = Matmul::new(&a, &a).map(|e| e.maximum(0.0)).run()?;
    /// assert_eq!(relu, Array::from([[7.0, 0.0], [0.0, 22.0]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn map(mut self, f: impl FnOnce(Expr<U>) -> Expr<U> + 'static) -> Matmul<T, U> {
        self.epilogue.push(Box::new(f));
        self
    }

    /// Selects the device. The default is the current device.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let (c, trace) = trace::record(|| Matmul::new(&a, &a).on(&Device::scalar()).run());
    /// assert_eq!((c?.get([0, 0])?, &trace.events[0].device[..]), (7.0, "scalar"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on(mut self, device: &Device) -> Matmul<T, U> {
        self.device = Some(device.clone());
        self
    }

    /// Computes the product. The result is in C order.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the inner dimensions differ or an operand has fewer than two axes, [`Error::Broadcast`] if
    /// the batch axes do not broadcast, [`Error::DTypeUndefined`] for bool, [`Error::Refused`] if the device does not
    /// support the operation.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::<f64>::ones([4, 8])?;
    /// assert_eq!(Matmul::new(&a, &a.t()).run()?, Array::full([4, 4], 8.0)?);
    /// assert!(matches!(Matmul::new(&a, &a).run(), Err(Error::Shapes { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run(self) -> Result<Array<U>> {
        if self.is_plain()
            && let Some(done) = small(self.a.raw(), self.b.raw(), T::DTYPE)?
        {
            return Array::from_shared(done);
        }
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        self.lower()?.run(&device)
    }

    /// Returns whether the product is one of two matrices with no epilogue, no device of its own and the dtype of its
    /// operands, so that the fast path can compute it.
    fn is_plain(&self) -> bool {
        let matrices = self.a.ndim() == 2 && self.b.ndim() == 2;
        matrices && self.epilogue.is_empty() && self.device.is_none() && T::DTYPE == U::DTYPE
    }

    /// Computes the product and writes it into a view of its shape.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Shapes`] if the view has another shape.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// # let (a, b) = (Array::<f32>::ones([4, 8])?, Array::<f32>::ones([8, 3])?);
    /// let mut c = Array::<f32>::zeros([4, 3])?;
    /// Matmul::new(&a, &b).run_into(&mut c.view_mut()?)?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn run_into(self, out: &mut ViewMut<'_, U>) -> Result<()> {
        self.write(out, false)
    }

    /// Computes the product and adds it to a view of its shape: `C += after(A @ B)`.
    ///
    /// # Errors
    /// As [`run_into`](Self::run_into).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
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
        let untouched = self.epilogue.is_empty();
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
            let why = || format!("the product has shape {shape:?}, but the output has shape {:?}", out.shape());
            if shape[..] == *out.shape() {
                Ok(())
            } else {
                Err(Error::Shapes { op: "matmul", left: a.clone(), right: b.clone(), why: why() })
            }
        };
        let lowered = self.lower()?;
        fits(&lowered.shape, out)?;
        let result = match lowered.what {
            What::Product(mut op) => {
                let (buffer, layout) = out.parts_mut();
                // A device adds to an output in its own memory only.
                let beside = !add || plan::home(&op)? == buffer.memory();
                let direct = layout.is_c_contiguous() && layout.offset() == 0 && (!add || untouched) && beside;
                let adds = |op: &mut Op, add: bool| {
                    if let Op::Matmul(o) = op {
                        o.add = add;
                    }
                };
                // If no device can accumulate into the output, the product is computed into a buffer of its own and
                // added afterwards.
                adds(&mut op, add && direct);
                let into = (direct && (!add || plan::is_possible(&op, &device)?)).then(|| buffer.clone());
                adds(&mut op, add && into.is_some());
                let made = execute(op, &device, into)?;
                if made.same(buffer) {
                    return Ok(());
                }
                Array::from_raw(RawArray { buffer: made, dtype: U::DTYPE, layout: Layout::contiguous(lowered.shape) })?
            }
            what => Lowered { what, ..lowered }.run(&device)?,
        };
        if !add {
            return out.assign(&result);
        }
        let (buffer, layout) = out.parts_mut();
        let before =
            Array::<U>::from_raw(RawArray { buffer: buffer.clone(), dtype: U::DTYPE, layout: layout.clone() })?;
        (before + result).write(buffer, &layout.clone())
    }

    /// Returns the plan of [`run`](Self::run) with the estimate or refusal of each device. Computes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::<f64>::ones([100, 100])?;
    /// let plan = Matmul::new(&a, &a).explain()?;
    /// assert!(plan.candidates.iter().any(|c| c.device == "scalar" && c.estimate.is_ok()));
    /// println!("{plan}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn explain(self) -> Result<Plan> {
        let device = self.device.clone().map_or_else(Device::current, Ok)?;
        match self.lower()?.what {
            What::Product(op) | What::Then { op, .. } => plan::explain(op, &device),
            What::Zeros(e) => e.explain(),
        }
    }

    fn lower(self) -> Result<Lowered<U>> {
        let (a, b) = (Dims::from(self.a.shape()), Dims::from(self.b.shape()));
        let shapes = |why: String| Error::Shapes { op: "matmul", left: a.clone(), right: b.clone(), why };
        if T::DTYPE.kind() == Kind::Bool {
            return Err(Error::DTypeUndefined {
                op: "matmul",
                dtype: T::DTYPE,
                defined: "integers, floats, complex".into(),
            });
        }
        if a.len() < 2 || b.len() < 2 {
            return Err(shapes("both operands need at least two axes; use Array::matmul for vectors".into()));
        }
        let ([m, ka], [kb, n]) = ([a[a.len() - 2], a[a.len() - 1]], [b[b.len() - 2], b[b.len() - 1]]);
        if ka != kb {
            return Err(shapes(format!("the inner dimensions {ka} and {kb} differ")));
        }
        let batch = Dims::from(&a[..a.len() - 2]).broadcast(&Dims::from(&b[..b.len() - 2]))?;
        let with = |r: usize, c: usize| batch.iter().copied().chain([r, c]).collect::<Dims>();
        let shape = with(m, n);
        shape.check(U::DTYPE)?;
        let epilogue = |product: Expr<U>| {
            let result = self.epilogue.into_iter().fold(product, |e, f| f(e));
            match result.shape()? {
                given if given == shape => Ok(result),
                given => Err(shapes(format!(
                    "the epilogue changes the shape of the product from {shape:?} to {given:?}; it must keep the shape"
                ))),
            }
        };
        if shape.contains(&0) || ka == 0 {
            let zeros = Array::<U>::zeros(shape.clone())?;
            return Ok(Lowered { what: What::Zeros(Box::new(epilogue(zeros.into_expr())?)), shape });
        }
        let product = Arc::new(Placeholder { dtype: U::DTYPE, shape: Some(shape.clone()) });
        let result = epilogue(Expr::placeholder(&product))?;
        let tape = result.tape_with(Lead::Inputs(std::slice::from_ref(&product)))?;
        let op = |after, after_params, extras| -> Result<Op> {
            Ok(Op::from(op::Matmul {
                dtype: T::DTYPE,
                precision: self.precision,
                m,
                n,
                k: ka,
                a: canon::operand(&self.a.raw().buffer, T::DTYPE, &self.a.layout().broadcast_to(&with(m, ka))?),
                b: canon::operand(&self.b.raw().buffer, T::DTYPE, &self.b.layout().broadcast_to(&with(ka, n))?),
                batch: batch.clone(),
                after,
                after_params,
                extras,
                add: false,
            }))
        };
        if tape.is_too_long() {
            // The epilogue is too long for one program. The product is computed first, then the expression is evaluated
            // on it.
            let op = op(Program::identity(U::DTYPE), Params::new(), SmallVec::new())?;
            return Ok(Lowered { what: What::Then { op, product, result: Box::new(result) }, shape });
        }
        let extra = |e: &SharedArray| Ok(canon::operand(&e.buffer, e.dtype, &e.layout.broadcast_to(&shape)?));
        let extras = tape.operands().iter().map(extra).collect::<Result<_>>()?;
        Ok(Lowered { what: What::Product(op(tape.program()?, tape.params().clone(), extras)?), shape })
    }
}

/// A matrix product after validation.
struct Lowered<T: Element> {
    what: What<T>,
    /// The shape of the result.
    shape: Dims,
}

enum What<T: Element> {
    /// One operation, epilogue included.
    Product(Op),
    /// A product without epilogue, and an expression to evaluate on it.
    Then { op: Op, product: Arc<Placeholder>, result: Box<Expr<T>> },
    /// The result is empty or `k` is 0, so nothing is multiplied: the epilogue applied to zeros.
    Zeros(Box<Expr<T>>),
}

impl<T: Element> Lowered<T> {
    fn run(self, device: &Device) -> Result<Array<T>> {
        let (op, then) = match self.what {
            What::Zeros(e) => return e.eval_on(device),
            What::Product(op) => (op, None),
            What::Then { op, product, result } => (op, Some((product, result))),
        };
        let buffer = execute(op, device, None)?;
        let computed = SharedArray::new(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(self.shape) });
        match then {
            None => Array::from_raw(SharedArray::unwrap_or_clone(computed)),
            Some((product, result)) => {
                let tape = result.tape_with(Lead::Computed(&product, &computed))?;
                Array::from_raw(tape.eval_fresh(device)?)
            }
        }
    }
}

/// The largest number of multiply-adds of a product on the fast path. Up to this size one thread is the best choice,
/// and preparing an [`Op`] would cost a noticeable share of the time. It equals `BARE` of the device `simd`, so that
/// such a product also needs no packing there.
const SMALL: usize = 96 * 96 * 96;

/// Identifies products in the keys of cached choices.
const MATMUL: u64 = 1 << 48;

/// Computes the product on the fast path. Returns `None` if the product is not eligible or no backend ran it.
fn small(a: &RawArray, b: &RawArray, dtype: DType) -> Quick<Option<SharedArray>> {
    let Some(small) = Small::of(a, b, dtype) else { return Ok(None) };
    let [m, n, _] = small.lens;
    let mut buffer = Buffer::elements(dtype, m * n)?;
    let done = small.run(&mut buffer, 0)?;
    // The result has no axis for a vector.
    let (rows, columns) = (a.layout.shape().len() == 2, b.layout.shape().len() == 2);
    let shape = Dims::from(&[m, n][usize::from(!rows)..1 + usize::from(columns)]);
    Ok(done.then(|| SharedArray::new(RawArray { buffer, dtype, layout: Layout::contiguous(shape) })))
}

/// The operands of a product that is eligible for the fast path.
struct Small<'a> {
    /// m, n and k.
    lens: [usize; 3],
    dtype: DType,
    /// The left matrix: its array, its bytes from the first to the last element, and the strides of its rows and
    /// columns. A vector is a matrix of one row.
    a: (&'a RawArray, &'a [u8], [usize; 2]),
    /// The right matrix, with the same three parts. A vector is a matrix of one column.
    b: (&'a RawArray, &'a [u8], [usize; 2]),
}

impl<'a> Small<'a> {
    /// Returns the operands if they are matrices or vectors in host memory with matching shapes and non-negative
    /// strides, the product has between 1 and [`SMALL`] multiply-adds, and the fast path is on.
    fn of(a: &'a RawArray, b: &'a RawArray, dtype: DType) -> Option<Small<'a>> {
        let ([m, k], [kb, n]) = match (&a.layout.shape()[..], &b.layout.shape()[..]) {
            (&[m, k], &[kb, n]) => ([m, k], [kb, n]),
            (&[k], &[kb, n]) => ([1, k], [kb, n]),
            (&[m, k], &[kb]) => ([m, k], [kb, 1]),
            (&[k], &[kb]) => ([1, k], [kb, 1]),
            _ => return None,
        };
        let steps = [m, n, k].into_iter().try_fold(1, usize::checked_mul)?;
        if k != kb || steps == 0 || steps > SMALL || dtype == DType::Bool || !fast::is_open() {
            return None;
        }
        let operand = |x: &'a RawArray, rows: usize, columns: usize| {
            let strides = match x.layout.strides()[..] {
                [row, column] => [row, column],
                // The axis that a vector lacks has one element.
                [step] if rows == 1 => [0, step],
                [step] => [step, 0],
                _ => return None,
            };
            let strides = [usize::try_from(strides[0]).ok()?, usize::try_from(strides[1]).ok()?];
            let elements = (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1;
            let here = x.buffer.memory() == MemoryId::HOST && x.dtype == dtype;
            here.then(|| {
                (
                    x,
                    &bytes::host_bytes(&x.buffer)[x.layout.offset() * dtype.size()..][..elements * dtype.size()],
                    strides,
                )
            })
        };
        Some(Small { lens: [m, n, k], dtype, a: operand(a, m, k)?, b: operand(b, k, n)? })
    }

    /// Computes the product into the elements of `out` from `offset` on. Returns whether a backend ran it.
    fn run(&self, out: &mut Buffer, offset: usize) -> Quick<bool> {
        let (lens, dtype, size) = (self.lens, self.dtype, self.dtype.size());
        let (a, b) = ((self.a.1, self.a.2), (self.b.1, self.b.2));
        let Some(out) = bytes::room(out, offset * size, lens[0] * lens[1] * size) else { return Ok(false) };
        let pointer = |(bytes, strides): (&[u8], [usize; 2])| (bytes.as_ptr(), strides);
        let work = small::Small::Product(SmallProduct {
            dtype,
            lens,
            a: pointer(a),
            b: pointer(b),
            out: out.as_mut_ptr().cast(),
        });
        let op = || {
            let [m, n, k] = lens;
            let operand = |(x, _, strides): (&RawArray, &[u8], [usize; 2]), shape: [usize; 2]| {
                let strides = strides.iter().map(|&s| s as isize).collect();
                canon::operand(&x.buffer, dtype, &Layout::from_parts(shape.into(), strides, x.layout.offset()))
            };
            let (a, b) = (operand(self.a, [m, k]), operand(self.b, [k, n]));
            let (after, after_params, extras) = (Program::identity(dtype), Params::new(), SmallVec::new());
            Ok(Op::from(op::Matmul {
                dtype,
                precision: Precision::Full,
                m,
                n,
                k,
                a,
                b,
                batch: Dims::new(),
                after,
                after_params,
                extras,
                add: false,
            }))
        };
        // SAFETY: `Small::of` checked that all lengths are at least 1 and that both matrices lie inside their buffers
        // and have this dtype. Buffers are aligned for the dtype of their array. `out` has m n elements and is
        // exclusive.
        unsafe {
            fast::run(&work, || Key::new([MATMUL, dtype as u64, lens[0] as u64, lens[1] as u64, lens[2] as u64]), op)
        }
    }
}

impl<T: Element> Array<T> {
    /// The matrix product `[.., m, k] @ [.., k, n] -> [.., m, n]`. Batch axes broadcast. A vector is a row on the left
    /// and a column on the right; the result does not have that axis.
    ///
    /// Floats are accurate to `k * eps * |A||B|` or better on every device. Integers wrap.
    ///
    /// # Errors
    /// As [`Matmul::run`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(a.matmul(&a)?.to_vec()?, [7.0, 10.0, 15.0, 22.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn matmul(&self, other: &Array<T>) -> Result<Array<T>> {
        if let Some(done) = small(self.raw(), other.raw(), T::DTYPE)? {
            return Array::from_shared(done);
        }
        let (row, column) = (self.ndim() == 1, other.ndim() == 1);
        if !row && !column {
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

    /// The dot product of two vectors, or the [`matmul`](Self::matmul) of matrices.
    ///
    /// # Errors
    /// As [`matmul`](Self::matmul).
    pub fn dot(&self, other: &Array<T>) -> Result<Array<T>> {
        self.matmul(other)
    }
}

/// Replaces the shapes in a shape error by those of the original operands.
fn with_shapes<T: Element>(e: Error, a: &Array<T>, b: &Array<T>) -> Error {
    match e {
        Error::Shapes { op, why, .. } => Error::Shapes { op, left: a.shape().into(), right: b.shape().into(), why },
        other => other,
    }
}

impl<T: Element, U: Element> IntoExpr<U> for Matmul<T, U> {
    fn into_expr(self) -> Expr<U> {
        self.run().map_or_else(Expr::failed, IntoExpr::into_expr)
    }
}
