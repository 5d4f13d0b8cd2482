//! Arrays and expressions whose dtype is a value instead of a type parameter.

mod expr;

pub use expr::DynExpr;

use crate::array::{Array, Axes};
use crate::bytes;
use crate::device::Device;
use crate::expr::{Expr, RawArray, SharedArray};
use crate::layout::Layout;
use crate::signed::{AxisIndex, NewShape};
use crate::slice::SliceItem;
use crate::ufunc::{Binary, Unary};
use crate::{Composed, DType, Dims, Element, Error, Result, Scalar, with_dtype};
use std::fmt;

/// An n-dimensional array whose dtype is known only at run time: for file formats, interpreters and bindings to other
/// languages.
///
/// It shares elements with an [`Array`] of its dtype, and both convert to each other without copying: [`Array::erase`]
/// and [`typed`](DynArray::typed). Everything else is as for [`Array`]; ufuncs are named by their rows in the ufunc
/// table, values are [`Scalar`]s, and operands must have the same dtype.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from_vec(vec![1.0f32, 4.0, 9.0], [3])?.erase();
/// let roots = x.unary(Unary::Sqrt).eval()?;
/// assert_eq!((roots.dtype(), roots.get([2])?), (DType::F32, Scalar::new(3.0f32)));
/// assert_eq!(roots.reduce(Reducer::Mean, None)?.item()?, Scalar::new(2.0f32));
/// assert!(roots.typed::<f64>().is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct DynArray {
    raw: SharedArray,
}

/// A reduction of a [`DynArray`] or [`DynExpr`]. Each is the method of [`Array`] of the same name, and has its dtypes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reducer {
    /// The sum.
    Sum,
    /// The product.
    Prod,
    /// The minimum.
    Min,
    /// The maximum.
    Max,
    /// The arithmetic mean.
    Mean,
    /// The variance, with a divisor of the number of elements less this value.
    Var(usize),
    /// The standard deviation, with a divisor of the number of elements less this value.
    Std(usize),
    /// The 2-norm.
    Norm,
    /// Whether any element is nonzero.
    Any,
    /// Whether every element is nonzero.
    All,
    /// The number of nonzero elements.
    CountNonzero,
    /// The index of the minimum.
    ArgMin,
    /// The index of the maximum.
    ArgMax,
}

impl<T: Element> Array<T> {
    /// Returns the same array with its dtype as a value. Shares the elements.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0f32, 2.0]);
    /// let any: DynArray = x.clone().erase();
    /// assert_eq!(any.dtype(), DType::F32);
    /// assert!(any.typed::<f32>()?.shares_memory(&x));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn erase(self) -> DynArray {
        DynArray { raw: self.into_shared() }
    }
}

impl<T: Element> From<Array<T>> for DynArray {
    fn from(array: Array<T>) -> DynArray {
        array.erase()
    }
}

impl<T: Element> From<&Array<T>> for DynArray {
    fn from(array: &Array<T>) -> DynArray {
        array.clone().erase()
    }
}

impl From<&DynArray> for DynArray {
    fn from(array: &DynArray) -> DynArray {
        array.clone()
    }
}

impl DynArray {
    /// Returns the same array with its dtype as a type. Shares the elements.
    ///
    /// # Errors
    /// [`Error::DTypeMismatch`] if the dtype is not that of `T`.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let any = DynArray::zeros(DType::I32, [2])?;
    /// let x: Array<i32> = any.typed()?;
    /// assert_eq!(x, Array::from([0, 0]));
    /// assert!(any.typed::<f64>().is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn typed<T: Element>(&self) -> Result<Array<T>> {
        if self.dtype() != T::DTYPE {
            return Err(Error::DTypeMismatch { op: "typed", left: self.dtype(), right: T::DTYPE });
        }
        Array::from_shared(self.raw.clone())
    }

    /// Returns an array of `shape` with `value` for every element.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::full([2, 2], Scalar::new(7u8))?;
    /// assert_eq!((x.dtype(), x.get([1, 1])?), (DType::U8, Scalar::new(7u8)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn full(shape: impl Into<Dims>, value: Scalar) -> Result<DynArray> {
        let shape = shape.into();
        with_dtype!(value.dtype(), T => Array::full(shape, value.get::<T>()).map(Array::erase))
    }

    /// Returns an array of zeros.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::zeros(DType::BF16, [2, 3])?;
    /// assert_eq!((x.shape(), x.nbytes()), (&[2, 3][..], 12));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn zeros(dtype: DType, shape: impl Into<Dims>) -> Result<DynArray> {
        let shape = shape.into();
        with_dtype!(dtype, T => Array::<T>::zeros(shape).map(Array::erase))
    }

    /// Copies elements in C order from their bytes in host memory.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are not as many bytes as the elements of this shape have, or if a byte of a bool is
    /// neither 0 nor 1; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::from_bytes(DType::F32, [2], &[0, 0, 128, 63, 0, 0, 0, 64])?;
    /// assert_eq!(x.typed::<f32>()?, Array::from([1.0f32, 2.0]));
    /// assert_eq!(x.t().to_bytes()?.len(), 8);
    /// assert!(DynArray::from_bytes(DType::F32, [3], &[0; 8]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_bytes(dtype: DType, shape: impl Into<Dims>, bytes: &[u8]) -> Result<DynArray> {
        let shape = shape.into();
        let wanted = shape.check(dtype)?;
        if bytes.len() != wanted {
            let why = format!("an array of {dtype} with shape {shape:?} has {wanted} bytes");
            let value = format!("{} bytes", bytes.len());
            return Err(Error::Argument { op: "from_bytes", name: "bytes", value, why });
        }
        if dtype == DType::Bool
            && let Some(i) = bytes.iter().position(|b| *b > 1)
        {
            let why = format!("the bytes of bools are 0 and 1, but byte {i} is {}", bytes[i]);
            return Err(Error::Argument { op: "from_bytes", name: "bytes", value: bytes[i].to_string(), why });
        }
        with_dtype!(dtype, T => {
            let mut array = Array::<T>::zeros(shape)?;
            let mut view = array.view_mut()?;
            let room = view.as_mut_slice().expect("a new array lies in host memory in C order");
            for (to, from) in room.iter_mut().zip(bytes.chunks_exact(dtype.size())) {
                *to = bytemuck::checked::pod_read_unaligned(from);
            }
            Ok(array.erase())
        })
    }

    /// Copies the bytes of all elements, in C order.
    ///
    /// # Errors
    /// As [`Array::to_vec`].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        with_dtype!(self.dtype(), T => {
            let elements = self.typed::<T>()?.to_vec()?;
            let bytes: &[u8] = bytemuck::cast_slice(&elements);
            let mut copy = crate::array::reserve::<u8>(&bytes.len().into())?;
            copy.extend_from_slice(bytes);
            Ok(copy)
        })
    }

    /// Returns the dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.raw.dtype
    }

    /// Returns the layout of the elements in the buffer.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::zeros(DType::F64, [2, 3])?.t();
    /// assert_eq!((x.shape(), x.strides(), x.ndim(), x.len()), (&[3, 2][..], &[1, 3][..], 2, 6));
    /// assert!(!x.is_empty() && x.layout().is_f_contiguous());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn layout(&self) -> &Layout {
        &self.raw.layout
    }

    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.raw.layout.shape()
    }

    /// Returns the strides in elements, per axis.
    pub fn strides(&self) -> &[isize] {
        self.raw.layout.strides()
    }

    /// Returns the number of axes.
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.raw.layout.len()
    }

    /// Returns whether the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.raw.layout.is_empty()
    }

    /// Returns the size of all elements in bytes.
    pub fn nbytes(&self) -> usize {
        self.len() * self.dtype().size()
    }

    /// Returns the device whose memory holds the array. See [`Array::device`].
    pub fn device(&self) -> Device {
        with_dtype!(self.dtype(), T => self.typed::<T>().expect("the dtype is that of the array").device())
    }

    /// Returns the same elements in the memory of `device`. See [`Array::to_device`].
    ///
    /// # Errors
    /// As [`Array::to_device`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = DynArray::zeros(DType::F64, [2])?;
    /// assert_eq!(x.to_device(&Device::scalar())?.device().memory(), MemoryId::HOST);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn to_device(&self, device: &Device) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.to_device(device).map(Array::erase))
    }

    /// Returns the element at an index.
    ///
    /// # Errors
    /// As [`Array::get`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1, 2], [3, 4]]).erase();
    /// assert_eq!(x.get([1, -1])?, Scalar::new(4));
    /// assert_eq!(x.slice(s![0, ..1])?.item()?, Scalar::new(1));
    /// assert!(x.item().is_err() && x.get([2, 0]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get<I: AxisIndex>(&self, index: impl AsRef<[I]>) -> Result<Scalar> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.get(index).map(Scalar::new))
    }

    /// Returns the only element.
    ///
    /// # Errors
    /// As [`Array::item`].
    pub fn item(&self) -> Result<Scalar> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.item().map(Scalar::new))
    }

    /// Returns a view of a part. See [`Array::slice`].
    ///
    /// # Errors
    /// As [`Array::slice`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1, 2, 3], [4, 5, 6]]).erase();
    /// assert_eq!(x.slice(s![.., ..;-1])?, Array::from([[3, 2, 1], [6, 5, 4]]).erase());
    /// assert_eq!(x.t().shape(), [3, 2]);
    /// assert_eq!(x.permute(&[1, 0])?, x.t());
    /// assert_eq!(x.reshape([3, -1])?, Array::from([[1, 2], [3, 4], [5, 6]]).erase());
    /// let row = x.slice(s![0, ..])?;
    /// assert_eq!(row.broadcast_to([4, 3])?.strides(), [0, 1]);
    /// assert_eq!(row.expand_dims(0)?.squeeze().shape(), [3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slice(&self, items: impl AsRef<[SliceItem]>) -> Result<DynArray> {
        self.view(self.raw.layout.slice(items.as_ref()))
    }

    /// Returns a view with the axes reversed.
    pub fn t(&self) -> DynArray {
        self.with_layout(self.raw.layout.t())
    }

    /// Returns a view with the axes permuted. See [`Array::permute`].
    ///
    /// # Errors
    /// As [`Array::permute`].
    pub fn permute(&self, axes: &[isize]) -> Result<DynArray> {
        self.view(self.raw.layout.permute(axes))
    }

    /// Reshapes the elements in C order: returns a view if strides allow it, else a copy.
    ///
    /// # Errors
    /// As [`Array::reshape`].
    pub fn reshape(&self, shape: impl NewShape) -> Result<DynArray> {
        let shape = shape.resolve(self.len())?;
        with_dtype!(self.dtype(), T => self.typed::<T>()?.reshape(shape).map(Array::erase))
    }

    /// Returns a read-only view of the given shape in which axes of length 1 repeat. See [`Array::broadcast_to`].
    ///
    /// # Errors
    /// As [`Array::broadcast_to`].
    pub fn broadcast_to(&self, shape: impl Into<Dims>) -> Result<DynArray> {
        let shape = shape.into();
        with_dtype!(self.dtype(), T => self.typed::<T>()?.broadcast_to(shape).map(Array::erase))
    }

    /// Returns a view with a new axis of length 1 before `axis` (`-1`: at the end).
    ///
    /// # Errors
    /// As [`Array::expand_dims`].
    pub fn expand_dims(&self, axis: isize) -> Result<DynArray> {
        self.view(self.raw.layout.expand_dims(axis))
    }

    /// Returns a view without the axes of length 1.
    pub fn squeeze(&self) -> DynArray {
        self.with_layout(self.raw.layout.squeeze())
    }

    #[cfg(feature = "dlpack")]
    pub(crate) fn raw(&self) -> &RawArray {
        &self.raw
    }

    /// Returns the elements in host memory in C order without gaps. Copies them unless they already are.
    pub(crate) fn packed(&self) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => {
            let array = self.typed::<T>()?;
            match array.as_slice() {
                Some(_) => Ok(self.clone()),
                None => Array::from_vec(array.to_vec()?, array.shape()).map(Array::erase),
            }
        })
    }

    /// Returns the bytes of the elements of a [`packed`](Self::packed) array.
    pub(crate) fn packed_bytes(&self) -> &[u8] {
        // An empty view may lie beyond the end of its buffer, and in any memory.
        if self.is_empty() {
            return &[];
        }
        let (lo, hi) = self.raw.layout.span();
        with_dtype!(self.dtype(), T => bytemuck::cast_slice(bytes::elements::<T>(&self.raw.buffer, lo, hi)))
    }

    fn with_layout(&self, layout: Layout) -> DynArray {
        DynArray { raw: SharedArray::new(RawArray { layout, buffer: self.raw.buffer.clone(), dtype: self.raw.dtype }) }
    }

    fn view(&self, layout: Result<Layout>) -> Result<DynArray> {
        Ok(self.with_layout(layout?))
    }

    /// Returns the array as an expression.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 4.0]).erase();
    /// assert_eq!((x.expr() + Scalar::new(1.0)).eval()?, Array::from([2.0, 5.0]).erase());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn expr(&self) -> DynExpr {
        self.into()
    }

    /// Applies a unary ufunc.
    ///
    /// The expression stores [`Error::DTypeUndefined`] if the ufunc is not defined for the dtype.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 4.0]).erase();
    /// assert_eq!(x.unary(Unary::Sqrt).eval()?, Array::from([1.0, 2.0]).erase());
    /// let more = x.binary(Binary::Maximum, Scalar::new(2.0)).composed(Composed::Deg2rad, None).cast(DType::F32);
    /// assert_eq!(more.dtype()?, DType::F32);
    /// assert!(x.unary(Unary::Not).eval().is_err());
    /// assert!(x.binary(Binary::Add, Scalar::new(1)).eval().is_err(), "the dtypes differ");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unary(&self, op: Unary) -> DynExpr {
        self.expr().unary(op)
    }

    /// Applies a binary ufunc. `other` broadcasts, and must have the same dtype.
    pub fn binary(&self, op: Binary, other: impl Into<DynExpr>) -> DynExpr {
        self.expr().binary(op, other)
    }

    /// Applies a composed ufunc. See [`Expr::composed`].
    pub fn composed(&self, op: Composed, other: Option<DynExpr>) -> DynExpr {
        self.expr().composed(op, other)
    }

    /// Casts to another dtype. See [`Expr::cast`].
    pub fn cast(&self, to: DType) -> DynExpr {
        self.expr().cast(to)
    }

    /// Reduces the elements over `axes` (`None`: all axes). The result has no axes if all are reduced.
    ///
    /// # Errors
    /// Those of the method of [`Array`] that bears the name of `by`.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1.0, 2.0], [3.0, 4.0]]).erase();
    /// assert_eq!(x.reduce(Reducer::Sum, None)?.item()?, Scalar::new(10.0));
    /// assert_eq!(x.reduce(Reducer::Max, Some(0.into()))?, Array::from([3.0, 4.0]).erase());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn reduce(&self, by: Reducer, axes: Option<Axes>) -> Result<DynArray> {
        self.expr().reduce(by, axes)
    }

    /// Computes running sums along an axis. See [`Array::cumsum`].
    ///
    /// # Errors
    /// As [`Array::cumsum`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([3, 1, 2]).erase();
    /// assert_eq!(x.cumsum(0)?, Array::from([3i64, 4, 6]).erase());
    /// assert_eq!(x.cumprod(0)?, Array::from([3i64, 3, 6]).erase());
    /// assert_eq!((x.cummin(0)?, x.cummax(0)?), (Array::from([3, 1, 1]).erase(), Array::from([3, 3, 3]).erase()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn cumsum(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.cumsum(axis).map(Array::erase))
    }

    /// Computes running products along an axis. See [`Array::cumprod`].
    ///
    /// # Errors
    /// As [`Array::cumprod`].
    pub fn cumprod(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.cumprod(axis).map(Array::erase))
    }

    /// Computes running minima along an axis. See [`Array::cummin`].
    ///
    /// # Errors
    /// As [`Array::cummin`].
    pub fn cummin(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.cummin(axis).map(Array::erase))
    }

    /// Computes running maxima along an axis. See [`Array::cummax`].
    ///
    /// # Errors
    /// As [`Array::cummax`].
    pub fn cummax(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.cummax(axis).map(Array::erase))
    }

    /// Sorts the elements along an axis. See [`Array::sort`].
    ///
    /// # Errors
    /// As [`Array::sort`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([3, 1, 2]).erase();
    /// assert_eq!(x.sort(0)?, Array::from([1, 2, 3]).erase());
    /// assert_eq!(x.argsort(-1)?, Array::from([1i64, 2, 0]).erase());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sort(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.sort(axis).map(Array::erase))
    }

    /// Returns the indices that sort the elements along an axis. See [`Array::argsort`].
    ///
    /// # Errors
    /// As [`Array::argsort`].
    pub fn argsort(&self, axis: isize) -> Result<DynArray> {
        with_dtype!(self.dtype(), T => self.typed::<T>()?.argsort(axis).map(Array::erase))
    }

    /// Multiplies matrices. See [`Array::matmul`].
    ///
    /// # Errors
    /// [`Error::DTypeMismatch`] if the dtypes differ, and as [`Array::matmul`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from([[1.0, 2.0], [3.0, 4.0]]).erase();
    /// assert_eq!(a.matmul(&a)?, Array::from([[7.0, 10.0], [15.0, 22.0]]).erase());
    /// assert!(a.matmul(&DynArray::zeros(DType::F32, [2, 2])?).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn matmul(&self, other: &DynArray) -> Result<DynArray> {
        if self.dtype() != other.dtype() {
            return Err(Error::DTypeMismatch { op: "matmul", left: self.dtype(), right: other.dtype() });
        }
        with_dtype!(self.dtype(), T => self.typed::<T>()?.matmul(&other.typed()?).map(Array::erase))
    }
}

impl<T: Element> TryFrom<DynArray> for Array<T> {
    type Error = Error;
    fn try_from(array: DynArray) -> Result<Array<T>> {
        array.typed()
    }
}

/// Arrays are equal if dtype and shape are the same and all elements are equal. See [`Array::array_equal`].
///
/// # Panics
/// As `==` of [`Array`].
impl PartialEq for DynArray {
    #[track_caller]
    fn eq(&self, other: &DynArray) -> bool {
        with_dtype!(self.dtype(), T => self.typed::<T>().ok().zip(other.typed::<T>().ok()).is_some_and(|(a, b)| a == b))
    }
}

impl fmt::Debug for DynArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_dtype!(self.dtype(), T => fmt::Debug::fmt(&self.typed::<T>().map_err(|_| fmt::Error)?, f))
    }
}

impl fmt::Display for DynArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_dtype!(self.dtype(), T => fmt::Display::fmt(&self.typed::<T>().map_err(|_| fmt::Error)?, f))
    }
}

fn reduce<T: Element>(e: Expr<T>, by: Reducer, axes: Option<Axes>) -> Result<DynArray> {
    fn index(i: usize) -> Result<DynArray> {
        Array::from_vec(vec![i as i64], []).map(Array::erase)
    }
    let axes = match (axes, by) {
        (Some(axes), _) => axes,
        // An index counts the elements in C order, not along an axis.
        (None, Reducer::ArgMin) => return index(e.argmin()?),
        (None, Reducer::ArgMax) => return index(e.argmax()?),
        (None, _) => Axes::from(&(0..e.shape()?.len()).collect::<Vec<_>>()[..]),
    };
    Ok(match by {
        Reducer::Sum => e.sum_axis(axes)?.erase(),
        Reducer::Prod => e.prod_axis(axes)?.erase(),
        Reducer::Min => e.min_axis(axes)?.erase(),
        Reducer::Max => e.max_axis(axes)?.erase(),
        Reducer::Mean => e.mean_axis(axes)?.erase(),
        Reducer::Var(ddof) => e.var_axis(axes, ddof)?.erase(),
        Reducer::Std(ddof) => e.std_axis(axes, ddof)?.erase(),
        Reducer::Norm => e.norm_axis(axes)?.erase(),
        Reducer::Any => e.any_axis(axes)?.erase(),
        Reducer::All => e.all_axis(axes)?.erase(),
        Reducer::CountNonzero => e.count_nonzero_axis(axes)?.erase(),
        Reducer::ArgMin => e.argmin_axis(axes)?.erase(),
        Reducer::ArgMax => e.argmax_axis(axes)?.erase(),
    })
}
