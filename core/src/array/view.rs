//! Borrowed writable views of arrays.

use super::Array;
use crate::bytes;
use crate::expr::{IntoExpr, RawArray};
use crate::layout::Layout;
use crate::slice::SliceItem;
use crate::{Buffer, Element, MemoryId, Result};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A writable view of a part of an array. Writes to the view change the array.
///
/// Invariants:
/// 1. the borrowed array is the only owner of the buffer;
/// 2. different indices of the layout refer to different elements.
pub struct ViewMut<'a, T: Element> {
    buffer: &'a mut Buffer,
    layout: Cow<'a, Layout>,
    element: PhantomData<T>,
}

impl<'a, T: Element> ViewMut<'a, T> {
    pub(crate) fn new(buffer: &'a mut Buffer, layout: Cow<'a, Layout>) -> ViewMut<'a, T> {
        ViewMut { buffer, layout, element: PhantomData }
    }

    /// Returns the elements as an operand. Its clone of the buffer must be dropped before the next write, which
    /// requires exclusive ownership.
    pub(crate) fn raw(&self) -> RawArray {
        RawArray { buffer: self.buffer.clone(), dtype: T::DTYPE, layout: self.layout.as_ref().clone() }
    }

    /// Returns the buffer and the layout of the elements in it.
    pub(crate) fn parts_mut(&mut self) -> (&mut Buffer, &Layout) {
        (self.buffer, &self.layout)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn memory(&self) -> MemoryId {
        self.buffer.memory()
    }

    /// Changes a copy of the elements in host memory by `f`, and writes it back.
    pub(crate) fn on_host(&mut self, f: impl FnOnce(&mut Array<T>) -> Result<()>) -> Result<()> {
        let there = Array::from_raw(self.raw())?;
        let mut host = there.on_host()?;
        f(&mut host)?;
        let back = host.beside(&there)?;
        drop(there);
        self.assign(back)
    }

    /// Returns the lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Returns the strides in elements, per axis.
    pub fn strides(&self) -> &[isize] {
        self.layout.strides()
    }

    /// Returns a writable view of a part of this view.
    ///
    /// # Errors
    /// As [`Array::slice`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut a = Array::from([[1, 2], [3, 4]]);
    /// a.view_mut()?.slice_mut(s![1])?.fill(0)?;
    /// assert_eq!(a, Array::from([[1, 2], [0, 0]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn slice_mut(&mut self, items: impl AsRef<[SliceItem]>) -> Result<ViewMut<'_, T>> {
        Ok(ViewMut::new(&mut *self.buffer, Cow::Owned(self.layout.slice(items.as_ref())?)))
    }

    /// Writes `value` to every element.
    ///
    /// # Errors
    /// Errors that the device reports.
    pub fn fill(&mut self, value: T) -> Result<()> {
        self.assign(value)
    }

    /// Writes the value of an expression, array or number, broadcast to this shape.
    ///
    /// # Errors
    /// As [`Expr::eval_into`](crate::Expr::eval_into).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut a = Array::from([[1, 2], [3, 4]]);
    /// a.slice_mut(s![0])?.assign(Array::from([7, 8]) + 1)?;
    /// assert_eq!(a, Array::from([[8, 9], [3, 4]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn assign(&mut self, value: impl IntoExpr<T>) -> Result<()> {
        value.into_expr().write(self.buffer, &self.layout)
    }

    /// Returns the elements as a slice if they lie in host memory in C order without gaps.
    pub fn as_mut_slice(&mut self) -> Option<&mut [T]> {
        if self.layout.is_empty() {
            return Some(&mut []);
        }
        let here = self.buffer.memory() == MemoryId::HOST && self.layout.is_c_contiguous();
        here.then(|| {
            let (lo, hi) = self.layout.span();
            bytes::elements_mut(self.buffer, lo, hi)
        })
    }

    /// Copies the elements into a new array.
    ///
    /// # Errors
    /// Out of memory.
    pub fn to_owned(&self) -> Result<Array<T>> {
        Array::from_raw(self.raw())?.flatten()?.reshape(self.layout.shape())
    }
}
