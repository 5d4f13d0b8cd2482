//! Iteration over elements and over views, and closures that are called for each element.

use super::{Array, reserve};
use crate::layout::resolve_axis;
use crate::{Element, Result, bytes, walk};
use smallvec::SmallVec;
use std::iter::FusedIterator;
use std::ops::Range;

/// The number of elements that an iterator copies at a time.
const BLOCK: usize = 32;

impl<T: Element> Array<T> {
    /// Returns an iterator over the elements in C order, whatever their order in memory.
    ///
    /// An array on another device is copied to the host first. Loops over elements run on one thread and without SIMD:
    /// expressions are many times faster.
    ///
    /// # Errors
    /// Errors that the device reports; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(a.t().iter()?.collect::<Vec<_>>(), [1, 4, 2, 5, 3, 6]);
    /// assert_eq!(a.iter()?.rev().position(|x| x < 3), Some(4));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("flat", "nditer"))]
    pub fn iter(&self) -> Result<Elements<T>> {
        Ok(Elements { host: self.on_host()?, left: 0..self.len(), first: 0, block: SmallVec::new() })
    }

    /// Returns an iterator over the views of this array at each index along `axis`, which they do not have.
    ///
    /// The views share the buffer, on every device.
    ///
    /// # Errors
    /// [`Error::Axis`](crate::Error::Axis) for an axis out of range, so always for an array without axes.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2, 3], [4, 5, 6]]);
    /// let columns: Vec<_> = a.axis_iter(1)?.collect();
    /// assert_eq!(columns, [Array::from([1, 4]), Array::from([2, 5]), Array::from([3, 6])]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("outer_iter", "unstack"))]
    pub fn axis_iter(&self, axis: isize) -> Result<Views<T>> {
        let axis = resolve_axis("axis_iter", axis, self.ndim())?;
        Ok(Views { array: self.clone(), along: SmallVec::from_slice(&[axis]), left: 0..self.shape()[axis] })
    }

    /// Returns an iterator over the rows: the views along the last axis at each index of the other axes, in C order.
    ///
    /// # Errors
    /// [`Error::Axis`](crate::Error::Axis) for an array without axes.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]);
    /// assert_eq!(a.rows()?.len(), 4);
    /// assert_eq!(a.rows()?.next_back(), Some(Array::from([7, 8])));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("lanes", "genrows"))]
    pub fn rows(&self) -> Result<Views<T>> {
        let last = resolve_axis("rows", -1, self.ndim())?;
        let count = self.shape()[..last].iter().product();
        Ok(Views { array: self.clone(), along: (0..last).collect(), left: 0..count })
    }

    /// Returns the array of `f(x)` for each element `x`. Calls `f` in C order.
    ///
    /// This is for functions that no expression can state. A closure is called once per element, on one thread of the
    /// host, and without SIMD: `(&x * 2.0 + 1.0).eval()` is many times faster than `x.map_elements(|x| x * 2.0 + 1.0)`.
    /// The result lies in the memory of this array if that memory can store its dtype.
    ///
    /// # Errors
    /// As [`iter`](Self::iter).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([12u32, 1000, 7]);
    /// assert_eq!(a.map_elements(|n| n.to_string().len() as u8)?, Array::from([2, 4, 1]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("map", "mapv", "vectorize"))]
    pub fn map_elements<U: Element>(&self, f: impl FnMut(T) -> U) -> Result<Array<U>> {
        let shape = self.layout().shape();
        let mut data = reserve(shape)?;
        data.extend(self.iter()?.map(f));
        Array::from_vec(data, shape)?.beside(self)
    }

    /// Returns the array of `f(x, y)` for each pair of elements of this array and `other`, which broadcast. Calls `f`
    /// in C order. See [`map_elements`](Self::map_elements), also about its speed.
    ///
    /// # Errors
    /// [`Error::Broadcast`](crate::Error::Broadcast); otherwise as [`iter`](Self::iter).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (a, b) = (Array::from([[12u64], [18]]), Array::from([8i32, 9]));
    /// let shared = a.zip_elements(&b, |x, y| x.trailing_zeros().min(y.trailing_zeros()))?;
    /// assert_eq!(shared, Array::from([[2, 0], [1, 0]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("zip", "azip", "zip_mut_with"))]
    pub fn zip_elements<U: Element, V: Element>(
        &self,
        other: &Array<U>,
        mut f: impl FnMut(T, U) -> V,
    ) -> Result<Array<V>> {
        let shape = self.layout().shape().broadcast(other.layout().shape())?;
        let mut data = reserve(&shape)?;
        let (x, y) = (self.broadcast_to(&shape)?, other.broadcast_to(&shape)?);
        data.extend(x.iter()?.zip(y.iter()?).map(|(x, y)| f(x, y)));
        Array::from_vec(data, shape)?.beside(self)
    }
}

/// An iterator over the elements of an array in C order, from both ends. Made by [`Array::iter`].
///
/// It shares the buffer of the array, so a write to the array while the iterator lives copies it first.
#[derive(Clone)]
pub struct Elements<T: Element> {
    host: Array<T>,
    /// The numbers in C order of the elements that are left.
    left: Range<usize>,
    /// The number of the first element of the block.
    first: usize,
    block: SmallVec<[T; BLOCK]>,
}

impl<T: Element> Elements<T> {
    /// Returns element `n`. Copies the elements `around`, which include it, if it is not in the block.
    fn element(&mut self, n: usize, around: Range<usize>) -> T {
        if let Some(&known) = n.checked_sub(self.first).and_then(|i| self.block.get(i)) {
            return known;
        }
        let raw = self.host.raw();
        let (lo, hi) = raw.layout.span();
        let elements = bytes::elements::<T>(&raw.buffer, lo, hi);
        let start = raw.layout.offset() as isize - lo as isize;
        let block = &mut self.block;
        block.clear();
        self.first = around.start;
        walk::walk(raw.layout.shape(), [raw.layout.strides()], [start], around, |[at]| {
            block.push(elements[at as usize]);
        });
        self.block[n - self.first]
    }
}

impl<T: Element> Iterator for Elements<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let n = self.left.next()?;
        Some(self.element(n, n..self.left.end.min(n + BLOCK)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<T> {
        let n = self.left.nth(n)?;
        Some(self.element(n, n..self.left.end.min(n + BLOCK)))
    }
}

impl<T: Element> DoubleEndedIterator for Elements<T> {
    fn next_back(&mut self) -> Option<T> {
        let n = self.left.next_back()?;
        Some(self.element(n, self.left.start.max((n + 1).saturating_sub(BLOCK))..n + 1))
    }
}

impl<T: Element> ExactSizeIterator for Elements<T> {}
impl<T: Element> FusedIterator for Elements<T> {}

/// An iterator over views of an array at each index of some axes, from both ends. Made by [`Array::axis_iter`] and
/// [`Array::rows`].
#[derive(Clone)]
pub struct Views<T: Element> {
    array: Array<T>,
    /// The axes that the views do not have, in ascending order.
    along: SmallVec<[usize; 4]>,
    /// The numbers in C order of the indices of these axes that are left.
    left: Range<usize>,
}

impl<T: Element> Views<T> {
    fn view(&self, n: usize) -> Array<T> {
        let (mut layout, mut rest) = (self.array.layout().clone(), n);
        // Backwards, so that the positions of the other axes do not change.
        for &axis in self.along.iter().rev() {
            let len = layout.shape()[axis];
            layout.cut(axis, rest % len, 1, 1);
            layout.remove_axis(axis);
            rest /= len;
        }
        self.array.with_layout(layout)
    }
}

impl<T: Element> Iterator for Views<T> {
    type Item = Array<T>;

    fn next(&mut self) -> Option<Array<T>> {
        self.left.next().map(|n| self.view(n))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.left.size_hint()
    }

    fn nth(&mut self, n: usize) -> Option<Array<T>> {
        self.left.nth(n).map(|n| self.view(n))
    }
}

impl<T: Element> DoubleEndedIterator for Views<T> {
    fn next_back(&mut self) -> Option<Array<T>> {
        self.left.next_back().map(|n| self.view(n))
    }
}

impl<T: Element> ExactSizeIterator for Views<T> {}
impl<T: Element> FusedIterator for Views<T> {}
