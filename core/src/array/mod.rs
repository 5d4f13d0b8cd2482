//! Arrays: a buffer and a layout.

mod bits;
mod compare;
mod create;
mod fmt;
mod grid;
mod iter;
mod moves;
mod split;
mod update;
mod view;
mod windows;

pub(crate) use create::{repeated, reserve, room};
pub use grid::Indexing;
pub use iter::{Elements, Views};
pub use view::ViewMut;
pub use windows::Blocks;

use crate::bytes;
use crate::device::{Device, slots};
use crate::expr::{Expr, IntoExpr, RawArray, SharedArray, Tape};
use crate::layout::{Layout, resolve_axes};
use crate::memory::transfer::{alloc_elements, can_store, move_elements};
use crate::signed::{AxisIndex, NewShape};
use crate::slice::SliceItem;
use crate::trace;
use crate::ufunc::Binary;
use crate::{DType, Dims, Element, Error, MAX_NDIM, MemoryId, Result, Strides};
use std::borrow::Cow;
use std::marker::PhantomData;

/// An n-dimensional array of `T`: a reference-counted buffer and a [`Layout`] (shape, signed strides, offset).
///
/// Cloning, slicing, transposing and broadcasting share the buffer. Writing to an array whose buffer is shared copies
/// it first (copy on write), so a write never changes another array.
///
/// Invariants:
/// 1. every element that the layout reaches has been written and is a valid `T`;
/// 2. every such element lies inside the buffer.
#[derive(Clone)]
pub struct Array<T: Element> {
    // Shared, so that cloning an array, as each use in an expression does, increments a count.
    raw: SharedArray,
    element: PhantomData<T>,
}

impl<T: Element> Array<T> {
    pub(crate) fn from_raw(raw: RawArray) -> Result<Array<T>> {
        Array::from_shared(SharedArray::new(raw))
    }

    pub(crate) fn from_shared(raw: SharedArray) -> Result<Array<T>> {
        if raw.dtype == T::DTYPE {
            Ok(Array { raw, element: PhantomData })
        } else {
            Err(Error::DTypeMismatch { op: "array", left: raw.dtype, right: T::DTYPE })
        }
    }

    pub(crate) fn raw(&self) -> &RawArray {
        &self.raw
    }

    pub(crate) fn into_raw(self) -> RawArray {
        SharedArray::unwrap_or_clone(self.raw)
    }

    pub(crate) fn into_shared(self) -> SharedArray {
        self.raw
    }

    /// Returns buffer and layout if nothing else holds them and the buffer is writable.
    fn exclusive(&mut self) -> Option<&mut RawArray> {
        SharedArray::get_mut(&mut self.raw).and_then(|raw| raw.buffer.is_exclusive().then_some(raw))
    }

    /// Returns a view of the same buffer with `layout`, which must be derived from this one's.
    pub(crate) fn with_layout(&self, layout: Layout) -> Array<T> {
        Array {
            raw: SharedArray::new(RawArray { layout, buffer: self.raw.buffer.clone(), dtype: T::DTYPE }),
            element: PhantomData,
        }
    }

    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.raw.layout.shape()
    }

    /// Returns the strides in elements, per axis: negative for reversed axes, zero for broadcast ones.
    pub fn strides(&self) -> &[isize] {
        self.raw.layout.strides()
    }

    /// Returns the layout of the elements in the buffer.
    pub fn layout(&self) -> &Layout {
        &self.raw.layout
    }

    /// Returns the number of axes.
    pub fn ndim(&self) -> usize {
        self.raw.layout.shape().len()
    }

    /// Returns the number of elements.
    #[doc(alias = "size")]
    #[allow(clippy::len_without_is_empty, reason = "is_empty is there")]
    pub fn len(&self) -> usize {
        self.raw.layout.len()
    }

    /// Returns whether the array has no elements.
    pub fn is_empty(&self) -> bool {
        self.raw.layout.is_empty()
    }

    /// Returns the size of all elements in bytes.
    pub fn nbytes(&self) -> usize {
        self.len() * size_of::<T>()
    }

    /// Returns the dtype of the elements.
    pub fn dtype(&self) -> DType {
        T::DTYPE
    }

    /// Returns whether the elements lie in C order without gaps.
    pub fn is_c_contiguous(&self) -> bool {
        self.raw.layout.is_c_contiguous()
    }

    /// Returns whether the elements lie in Fortran order without gaps.
    pub fn is_f_contiguous(&self) -> bool {
        self.raw.layout.is_f_contiguous()
    }

    /// Returns whether both arrays are views of one buffer.
    pub fn shares_memory<U: Element>(&self, other: &Array<U>) -> bool {
        self.raw.buffer.same(&other.raw.buffer)
    }

    /// Returns whether nothing else holds the buffer, so that writing copies nothing.
    pub fn is_unique(&mut self) -> bool {
        self.exclusive().is_some()
    }

    /// Returns the device whose memory holds the array; `auto` for host memory, which several share.
    pub fn device(&self) -> Device {
        let memory = self.raw.buffer.memory();
        if memory == MemoryId::HOST {
            return Device::auto();
        }
        let found = slots().iter().find(|s| s.opened().is_some_and(|b| b.memory() == memory)).cloned();
        Device(found)
    }

    /// Returns the same elements in `device`'s memory. Shares the buffer if it lies there already.
    ///
    /// # Errors
    /// [`Error::Storage`] for a dtype that the memory cannot hold, [`Error::OutOfMemory`].
    pub fn to_device(&self, device: &Device) -> Result<Array<T>> {
        self.in_memory(device.memory())
    }

    /// Returns the same elements in a memory. Shares the buffer if it lies there already.
    pub(crate) fn in_memory(&self, there: MemoryId) -> Result<Array<T>> {
        if self.raw.buffer.memory() == there {
            return Ok(self.clone());
        }
        if self.is_empty() {
            return Array::from_raw(RawArray {
                buffer: alloc_elements(T::DTYPE, 0, there)?,
                dtype: T::DTYPE,
                layout: self.raw.layout.clone(),
            });
        }
        let (lo, hi) = self.raw.layout.span();
        let buffer = move_elements(&self.raw.buffer, T::DTYPE, lo, hi, there)?;
        let layout =
            Layout::from_parts(self.raw.layout.shape().clone(), self.strides().into(), self.raw.layout.offset() - lo);
        Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout })
    }

    /// Moves the array to the memory of `other`. Returns it unchanged if that memory cannot store the dtype.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; errors that the device reports.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from([1.0, 2.0]), Array::from([3.0f32]));
    /// assert_eq!(x.beside(&y)?.device(), y.device());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn beside<U: Element>(self, other: &Array<U>) -> Result<Array<T>> {
        let there = other.raw.buffer.memory();
        if there != self.raw.buffer.memory() && can_store(there, T::DTYPE) {
            self.to_device(&other.device())
        } else {
            Ok(self)
        }
    }

    /// Returns this array in host memory. Shares the buffer if it lies there already.
    pub(crate) fn on_host(&self) -> Result<Array<T>> {
        if self.raw.buffer.memory() == MemoryId::HOST { Ok(self.clone()) } else { self.to_device(&Device::auto()) }
    }

    /// Copies all elements, in C order.
    ///
    /// # Errors
    /// Errors that the device reports; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([[1, 2], [3, 4]]).t().to_vec()?, [1, 3, 2, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("tolist", "into_raw_vec"))]
    pub fn to_vec(&self) -> Result<Vec<T>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let host = self.on_host()?;
        let mut out = create::reserve(host.raw.layout.shape())?;
        if let Some(slice) = host.as_slice() {
            out.extend_from_slice(slice);
            return Ok(out);
        }
        let (lo, hi) = host.raw.layout.span();
        let elements = bytes::elements::<T>(&host.raw.buffer, lo, hi);
        let start = host.raw.layout.offset() as isize - lo as isize;
        crate::walk::walk(host.shape(), [host.strides()], [start], 0..self.len(), |[at]| {
            out.push(elements[at as usize])
        });
        Ok(out)
    }

    /// Returns the elements as a slice if they lie in host memory in C order without gaps.
    pub fn as_slice(&self) -> Option<&[T]> {
        if self.is_empty() {
            return Some(&[]);
        }
        let here = self.raw.buffer.memory() == MemoryId::HOST && self.is_c_contiguous();
        here.then(|| {
            let (lo, hi) = self.raw.layout.span();
            bytes::elements(&self.raw.buffer, lo, hi)
        })
    }

    /// Returns the element at an index: one integer for each axis, of which negative ones count from the end.
    ///
    /// # Errors
    /// [`Error::Index`] for an index out of range, [`Error::IndexCount`] for a wrong number.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// assert_eq!((a.get([1, 0])?, a.get([-1, -1])?), (4, 6));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get<I: AxisIndex>(&self, index: impl AsRef<[I]>) -> Result<T> {
        let at = self.raw.layout.locate(index.as_ref())?;
        if self.raw.buffer.memory() == MemoryId::HOST {
            return Ok(bytes::elements::<T>(&self.raw.buffer, at, at + 1)[0]);
        }
        let one = move_elements(&self.raw.buffer, T::DTYPE, at, at + 1, MemoryId::HOST)?;
        Ok(bytes::elements::<T>(&one, 0, 1)[0])
    }

    /// Returns the only element.
    ///
    /// # Errors
    /// [`Error::Count`] if the array does not have exactly one element.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([[2.5]]).item()?, 2.5);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn item(&self) -> Result<T> {
        if self.len() != 1 {
            return Err(Error::Count {
                op: "item",
                shape: self.raw.layout.shape().clone(),
                expected: self.len(),
                found: 1,
            });
        }
        self.get(&[0usize; MAX_NDIM][..self.ndim()])
    }

    /// Returns a view of a part: `a.slice(s![1..3, .., NewAxis, ..;-1, -1])`. See [`s!`](crate::s).
    ///
    /// # Errors
    /// [`Error::Index`] for an index outside its axis or a step of zero, [`Error::IndexCount`] for too many items.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[0, 1, 2], [3, 4, 5]]);
    /// assert_eq!(a.slice(s![.., 1..])?, Array::from([[1, 2], [4, 5]]));
    /// assert_eq!(a.slice(s![-1, ..;-1])?, Array::from([5, 4, 3]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slice(&self, items: impl AsRef<[SliceItem]>) -> Result<Array<T>> {
        Ok(self.with_layout(self.raw.layout.slice(items.as_ref())?))
    }

    /// Returns a view with the axes reversed.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([[1, 2], [3, 4]]).t(), Array::from([[1, 3], [2, 4]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("transpose", "reversed_axes"))]
    pub fn t(&self) -> Array<T> {
        self.with_layout(self.raw.layout.t())
    }

    /// Returns a view with the axes permuted. Negative axes count from the end.
    ///
    /// # Errors
    /// If `axes` does not name each axis once.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::<f32>::zeros([2, 3, 4])?;
    /// assert_eq!(a.permute(&[-1, 0, 1])?.shape(), [4, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("transpose", "permuted_axes"))]
    pub fn permute(&self, axes: &[isize]) -> Result<Array<T>> {
        Ok(self.with_layout(self.raw.layout.permute(axes)?))
    }

    /// Reshapes the elements in C order: returns a view if strides allow it, else a copy. One length may be -1; it is
    /// inferred from the others.
    ///
    /// # Errors
    /// [`Error::Count`] if the number of elements differs, [`Error::Argument`] if a length cannot be inferred.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec((0..10).collect::<Vec<i64>>(), [10])?;
    /// assert_eq!(a.reshape([-1, 5])?.shape(), [2, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("to_shape", "into_shape_with_order"))]
    pub fn reshape(&self, shape: impl NewShape) -> Result<Array<T>> {
        let shape = shape.resolve(self.len())?;
        let bytes = shape.check(T::DTYPE)?;
        if bytes != self.nbytes() {
            return Err(Error::Count { op: "reshape", expected: shape.size(), found: self.len(), shape });
        }
        match self.raw.layout.reshape(&shape) {
            Some(layout) => Ok(self.with_layout(layout)),
            None => {
                trace::copied(self.nbytes(), "reshape");
                let copy = self.copied(Layout::contiguous(self.raw.layout.shape().clone()))?;
                Ok(copy.with_layout(Layout::contiguous(shape)))
            }
        }
    }

    /// Flattens to one axis, in C order: returns a view if strides allow it, else a copy.
    ///
    /// # Errors
    /// Out of memory.
    pub fn ravel(&self) -> Result<Array<T>> {
        self.reshape(self.len())
    }

    /// Flattens to one axis, in C order. Always copies.
    ///
    /// # Errors
    /// Out of memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2], [3, 4]]);
    /// assert!(a.ravel()?.shares_memory(&a) && !a.flatten()?.shares_memory(&a));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn flatten(&self) -> Result<Array<T>> {
        let copy = self.copied(Layout::contiguous(self.raw.layout.shape().clone()))?;
        copy.reshape(self.len())
    }

    /// Returns a copy of the elements in a buffer of its own, in the memory of this array and in the same order of
    /// axes. `clone` shares the buffer instead, until one of both arrays is written.
    ///
    /// # Errors
    /// Out of memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2], [3, 4]]);
    /// assert!(a.copy()? == a && !a.copy()?.shares_memory(&a));
    /// assert_eq!(a.t().copy()?.strides(), [1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("to_owned", "deepcopy"))]
    pub fn copy(&self) -> Result<Array<T>> {
        self.copied(crate::canon::fresh_layout(self.raw.layout.shape(), std::slice::from_ref(&self.raw.layout)))
    }

    /// Returns a read-only view of the given shape in which axes of length 1, and missing leading axes, repeat.
    ///
    /// # Errors
    /// [`Error::BroadcastTo`] if the shapes are incompatible; [`Error::TooLarge`] if the size in bytes overflows,
    /// although the view needs no memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([1, 2]).broadcast_to([3, 2])?, Array::from([[1, 2]; 3]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "broadcast")]
    pub fn broadcast_to(&self, shape: impl Into<Dims>) -> Result<Array<T>> {
        let shape = shape.into();
        shape.check(T::DTYPE)?;
        Ok(self.with_layout(self.raw.layout.broadcast_to(&shape)?))
    }

    /// Returns a view with a new axis of length 1 before `axis` (`-1`: at the end).
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([1, 2, 3]);
    /// assert_eq!((a.expand_dims(0)?.shape(), a.expand_dims(-1)?.shape()), (&[1, 3][..], &[3, 1][..]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("insert_axis", "unsqueeze"))]
    pub fn expand_dims(&self, axis: isize) -> Result<Array<T>> {
        Ok(self.with_layout(self.raw.layout.expand_dims(axis)?))
    }

    /// Returns a view with a new axis of length 1 before `axis`: another name of [`expand_dims`](Self::expand_dims).
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([1, 2, 3]).newaxis(1)?, Array::from([[1], [2], [3]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("insert_axis", "unsqueeze"))]
    pub fn newaxis(&self, axis: isize) -> Result<Array<T>> {
        self.expand_dims(axis)
    }

    /// Returns a view without the axes of length 1.
    ///
    /// # Errors
    /// None today; it is a `Result` like the other views.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([[[1], [2]]]).squeeze()?, Array::from([1, 2]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "remove_axis")]
    pub fn squeeze(&self) -> Result<Array<T>> {
        Ok(self.with_layout(self.raw.layout.squeeze()))
    }

    /// Returns a view without the given axes, which have length 1.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`], [`Error::Argument`] for an axis of another
    /// length.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[[1, 2]]]);
    /// assert_eq!(a.squeeze_axis(0)?, Array::from([[1, 2]]));
    /// assert_eq!(a.squeeze_axis([0, -2])?, Array::from([1, 2]));
    /// assert!(a.squeeze_axis(-1).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("squeeze", "remove_axis"))]
    pub fn squeeze_axis(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        let op = "squeeze_axis";
        let mut axes = axes.into().resolve(op, self.ndim())?;
        axes.sort_unstable();
        let mut layout = self.raw.layout.clone();
        for &axis in axes.iter().rev() {
            let n = self.shape()[axis];
            if n != 1 {
                let why = format!("the axis has {n} elements; only an axis of length 1 can be removed");
                return Err(Error::Argument { op, name: "axis", value: axis.to_string(), why });
            }
            layout.remove_axis(axis);
        }
        Ok(self.with_layout(layout))
    }

    /// Returns a view of the elements whose indices along two axes are equal. Both axes are removed; the diagonal, as
    /// long as the shorter of them, becomes the last axis.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`] if both are the same.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec((0..6).collect::<Vec<i64>>(), [2, 3])?;
    /// assert_eq!(a.diagonal(0, 1)?.to_vec()?, [0, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn diagonal(&self, axis1: isize, axis2: isize) -> Result<Array<T>> {
        self.diagonal_at(0, axis1, axis2)
    }

    /// As [`diagonal`](Self::diagonal), for elements whose index along `axis2` is larger by `offset`, which may be
    /// negative. The diagonal may be empty.
    ///
    /// # Errors
    /// As [`diagonal`](Self::diagonal).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec((0..6).collect::<Vec<i64>>(), [2, 3])?;
    /// assert_eq!(a.diagonal_at(1, 0, 1)?.to_vec()?, [1, 5]);
    /// assert_eq!(a.diagonal_at(-1, 0, 1)?.to_vec()?, [3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn diagonal_at(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Array<T>> {
        Ok(self.with_layout(self.raw.layout.diagonal(offset, axis1, axis2)?))
    }

    /// Returns this array if it is C contiguous, else a C-contiguous copy.
    ///
    /// # Errors
    /// Out of memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2], [3, 4]]).t();
    /// assert_eq!((a.strides(), a.to_contiguous()?.strides()), (&[1, 2][..], &[2, 1][..]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("ascontiguousarray", "as_standard_layout"))]
    pub fn to_contiguous(&self) -> Result<Array<T>> {
        if self.is_c_contiguous() {
            Ok(self.clone())
        } else {
            self.copied(Layout::contiguous(self.raw.layout.shape().clone()))
        }
    }

    /// Returns this array if it is Fortran contiguous, else a Fortran-contiguous copy.
    ///
    /// # Errors
    /// Out of memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::from([[1, 2], [3, 4]]).to_f_order()?.strides(), [1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "asfortranarray")]
    pub fn to_f_order(&self) -> Result<Array<T>> {
        if self.is_f_contiguous() {
            return Ok(self.clone());
        }
        let reversed: Dims = self.shape().iter().rev().copied().collect();
        self.copied(Layout::contiguous(reversed).t())
    }

    /// Returns an expression that casts to another dtype. See [`Expr::cast`].
    #[doc(alias = "astype")]
    pub fn cast<U: Element>(&self) -> Expr<U> {
        self.into_expr().cast()
    }

    /// Returns the expression `self * by + plus`, rounded once if the device supports it. See [`Expr::mul_add`].
    pub fn mul_add(&self, by: impl IntoExpr<T>, plus: impl IntoExpr<T>) -> Expr<T> {
        self.into_expr().mul_add(by, plus)
    }

    /// Returns an expression that limits each element to `low ..= high`. See [`Expr::clip`].
    pub fn clip(&self, low: impl IntoExpr<T>, high: impl IntoExpr<T>) -> Expr<T> {
        self.into_expr().clip(low, high)
    }

    /// Copies the elements into a new buffer of the same memory with the given layout.
    pub(crate) fn copied(&self, layout: Layout) -> Result<Array<T>> {
        let raw = match crate::expr::copy(self.raw(), &layout)? {
            Some(raw) => raw,
            None => Tape::array(self.raw().clone()).eval_to(layout, &Device::current()?)?,
        };
        Array::from_raw(raw)
    }

    /// Makes this array the only owner of its buffer: copies the elements if the buffer is shared or read-only. Fails
    /// for broadcast views.
    fn make_exclusive(&mut self) -> Result<()> {
        if self.raw.layout.may_overlap() {
            return Err(Error::NotWritable {
                why: format!(
                    "strides {:?} refer to one element by several indices (broadcast or sliding windows); \
                     make a copy with flatten or to_contiguous",
                    self.strides()
                ),
            });
        }
        if self.exclusive().is_none() && !self.is_empty() {
            trace::copied(self.nbytes(), "copy on write");
            *self = self.copy()?;
        }
        Ok(())
    }

    /// Returns a writable view of the whole array. Copies it first if its buffer is shared.
    ///
    /// # Errors
    /// [`Error::NotWritable`] for broadcast views; out of memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut a = Array::from([1.0, 2.0]);
    /// let b = a.clone();
    /// a.view_mut()?.assign(&b * 10.0)?;
    /// assert_eq!((a, b), (Array::from([10.0, 20.0]), Array::from([1.0, 2.0])));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn view_mut(&mut self) -> Result<ViewMut<'_, T>> {
        self.make_exclusive()?;
        let RawArray { buffer, layout, .. } = SharedArray::make_mut(&mut self.raw);
        Ok(ViewMut::new(buffer, Cow::Borrowed(layout)))
    }

    /// Returns a writable view of a part. Copies the array first if its buffer is shared.
    ///
    /// # Errors
    /// As [`slice`](Self::slice) and [`view_mut`](Self::view_mut).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut a = Array::from([[1, 2], [3, 4]]);
    /// a.slice_mut(s![.., 0])?.fill(9)?;
    /// assert_eq!(a, Array::from([[9, 2], [9, 4]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slice_mut(&mut self, items: impl AsRef<[SliceItem]>) -> Result<ViewMut<'_, T>> {
        self.raw.layout.slice(items.as_ref())?;
        self.make_exclusive()?;
        let RawArray { buffer, layout, .. } = SharedArray::make_mut(&mut self.raw);
        Ok(ViewMut::new(buffer, Cow::Owned(layout.slice(items.as_ref())?)))
    }

    /// Writes one element.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`view_mut`](Self::view_mut).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let mut a = Array::from([[1, 2], [3, 4]]);
    /// a.set([1, 0], 9)?;
    /// assert_eq!(a, Array::from([[1, 2], [9, 4]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set<I: AxisIndex>(&mut self, index: impl AsRef<[I]>, value: T) -> Result<()> {
        let at = self.raw.layout.locate(index.as_ref())?;
        if let Some(RawArray { buffer, layout, .. }) = SharedArray::get_mut(&mut self.raw)
            && !layout.may_overlap()
            && let Some(element) = bytes::exclusive_elements::<T>(buffer, at, at + 1)
        {
            element[0] = value;
            return Ok(());
        }
        self.make_exclusive()?;
        if self.raw.buffer.memory() == MemoryId::HOST {
            let RawArray { buffer, layout, .. } = SharedArray::make_mut(&mut self.raw);
            let at = layout.locate(index.as_ref())?;
            bytes::elements_mut::<T>(buffer, at, at + 1)[0] = value;
            return Ok(());
        }
        let RawArray { buffer, layout, .. } = SharedArray::make_mut(&mut self.raw);
        let at = layout.locate(index.as_ref())?;
        ViewMut::new(buffer, Cow::Owned(Layout::from_parts(Dims::new(), Strides::new(), at))).fill(value)
    }

    /// Releases the part of the buffer outside this view, by copying its elements into a buffer of their own.
    ///
    /// # Errors
    /// Out of memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut row = Array::<f64>::zeros([1000, 1000])?.slice(s![0])?;
    /// row.compact()?; // frees the other 999 rows
    /// assert_eq!(row.len(), 1000);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn compact(&mut self) -> Result<()> {
        if self.raw.buffer.bytes() > self.nbytes() {
            let layout = crate::canon::fresh_layout(self.raw.layout.shape(), std::slice::from_ref(&self.raw.layout));
            *self = self.copied(layout)?;
        }
        Ok(())
    }

    /// Evaluates `self = op(self, right)` in place.
    pub(crate) fn update_by(&mut self, right: Expr<T>, op: Binary) -> Result<()> {
        self.make_exclusive()?;
        let updated = (&*self).into_expr().join_binary::<T>(op, right);
        let here = self.raw();
        // SAFETY: `make_exclusive` made this array the only owner of its buffer.
        if unsafe { updated.write_directly(&here.buffer, &here.layout) }? {
            return Ok(());
        }
        let shape = updated.shape()?;
        if shape != *here.layout.shape() {
            let why = "an update in place cannot change the shape; assign the result to a new array".into();
            return Err(Error::BroadcastTo { from: shape, to: here.layout.shape().clone(), why });
        }
        updated.tape()?.eval_into(here, &Device::current()?)
    }
}

/// Axes to reduce over, and whether they remain as axes of length 1. Made by [`axis()`] or from one or more numbers.
/// Negative ones count from the end.
#[derive(Clone, Debug)]
pub struct Axes {
    pub(crate) axes: smallvec::SmallVec<[isize; 4]>,
    pub(crate) keep: bool,
}

impl Axes {
    /// Returns the same axes, kept as axes of length 1.
    pub fn keepdims(mut self) -> Axes {
        self.keep = true;
        self
    }

    /// Returns the axes of an array of `ndim` axes, counted from the front. `op` is the operation's name in errors.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::RepeatedAxis`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(axis([0, -1]).resolve("norm", 3)?[..], [0, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn resolve(&self, op: &'static str, ndim: usize) -> Result<smallvec::SmallVec<[usize; 4]>> {
        resolve_axes(op, &self.axes, ndim)
    }

    /// Returns the shape of a reduction of `shape` over these axes, which [`resolve`](Axes::resolve) returned as
    /// `reduced`.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(axis(0).keepdims().shown(&[2, 3], &[0])[..], [1, 3]);
    /// ```
    pub fn shown(&self, shape: &[usize], reduced: &[usize]) -> Dims {
        let axes = (0..shape.len()).filter(|a| self.keep || !reduced.contains(a));
        axes.map(|a| if reduced.contains(&a) { 1 } else { shape[a] }).collect()
    }
}

/// Makes [`Axes`] to reduce over: `axis(0)`, `axis([0, 2]).keepdims()`.
pub fn axis(axes: impl Into<Axes>) -> Axes {
    axes.into()
}

macro_rules! axes_from {
    ($($int:ty),*) => { $(
        impl From<$int> for Axes { fn from(a: $int) -> Axes { Axes::from(&[a][..]) } }
        impl<const N: usize> From<[$int; N]> for Axes { fn from(a: [$int; N]) -> Axes { Axes::from(&a[..]) } }
        impl From<&[$int]> for Axes {
            fn from(a: &[$int]) -> Axes {
                // A number beyond `isize::MAX` is out of range, as `isize::MAX` itself is.
                Axes { axes: a.iter().map(|&a| isize::try_from(a).unwrap_or(isize::MAX)).collect(), keep: false }
            }
        }
    )* };
}
axes_from!(isize, i32, usize);
