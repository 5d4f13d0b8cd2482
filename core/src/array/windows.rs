//! Sliding windows and blocks: views of parts of equal shape.

use super::Array;
use crate::layout::{Layout, Strides, resolve_axis};
use crate::{Dims, Element, Error, Result};
use smallvec::SmallVec;
use std::iter::FusedIterator;

impl<T: Element> Array<T> {
    /// Returns a view of all windows of the shape `window`, as NumPy's `sliding_window_view`: an array `[n, ..]` with a
    /// window `[w, ..]` becomes `[n - w + 1, .., w, ..]`. Windows share elements, so the view is read-only until it is
    /// copied.
    ///
    /// # Errors
    /// [`Error::IndexCount`] for another number of lengths than axes; [`Error::Argument`] for a window of length 0 or
    /// longer than its axis; [`Error::Shapes`] for too many axes; [`Error::TooLarge`] if the size in bytes overflows,
    /// although the view needs no memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0, 2.0, 6.0, 9.0], [4])?;
    /// let means = x.windows([2])?.mean_axis(-1)?;
    /// assert_eq!(means.to_vec()?, [1.5, 4.0, 7.5]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "sliding_window_view")]
    pub fn windows(&self, window: impl Into<Dims>) -> Result<Array<T>> {
        let window = window.into();
        let ndim = self.ndim();
        if window.len() != ndim {
            return Err(Error::IndexCount { given: window.len(), ndim, shape: self.layout().shape().clone() });
        }
        self.windows_of("windows", &window.iter().copied().enumerate().collect::<SmallVec<[_; 4]>>())
    }

    /// As [`windows`](Self::windows) along one axis: `[.., n, ..]` becomes `[.., n - len + 1, .., len]`.
    ///
    /// # Errors
    /// As [`windows`](Self::windows), and [`Error::Axis`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [4])?;
    /// assert_eq!(x.windows_along(3, 0)?.to_vec()?, [1, 2, 3, 2, 3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "sliding_window_view")]
    pub fn windows_along(&self, len: usize, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("windows_along", axis, self.ndim())?;
        self.windows_of("windows_along", &[(axis, len)])
    }

    /// Returns the view of windows of the given axes and lengths.
    fn windows_of(&self, op: &'static str, windows: &[(usize, usize)]) -> Result<Array<T>> {
        let (mut shape, mut strides) = (self.layout().shape().clone(), Strides::from_slice(self.strides()));
        for &(axis, len) in windows {
            let n = shape[axis];
            if len == 0 || len > n {
                let why = format!("axis {axis} has length {n}; a window has at least one element and at most as many");
                return Err(Error::Argument { op, name: "window", value: len.to_string(), why });
            }
            shape.axes_mut()[axis] = n - len + 1;
            shape.push(len);
            strides.push(strides[axis]);
        }
        shape.check(T::DTYPE)?;
        Ok(self.with_layout(Layout::from_parts(shape, strides, self.layout().offset())))
    }

    /// Returns an iterator over views of blocks of the shape `block`, in C order of the blocks. Blocks at the end of an
    /// axis whose length is not a multiple are smaller. An array without elements has no blocks.
    ///
    /// # Errors
    /// [`Error::IndexCount`] for another number of lengths than axes, [`Error::Argument`] for a length of 0.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec((0..6).collect::<Vec<i64>>(), [2, 3])?;
    /// let sums: Vec<i64> = x.blocks([2, 2])?.map(|block| block.sum()).collect::<Result<_>>()?;
    /// assert_eq!(sums, [0 + 1 + 3 + 4, 2 + 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn blocks(&self, block: impl Into<Dims>) -> Result<Blocks<T>> {
        let block = block.into();
        let ndim = self.ndim();
        if block.len() != ndim {
            return Err(Error::IndexCount { given: block.len(), ndim, shape: self.layout().shape().clone() });
        }
        if block.contains(&0) {
            let why = "a block has at least one element along every axis".into();
            return Err(Error::Argument { op: "blocks", name: "block", value: format!("{block:?}"), why });
        }
        let counts: Dims = self.shape().iter().zip(block.iter()).map(|(&n, &b)| n.div_ceil(b)).collect();
        let left = counts.size();
        Ok(Blocks { array: self.clone(), block, counts, next: 0, left })
    }
}

/// The blocks of an array: see [`Array::blocks`].
pub struct Blocks<T: Element> {
    array: Array<T>,
    block: Dims,
    /// The number of blocks along each axis.
    counts: Dims,
    /// The number of the next block in C order.
    next: usize,
    left: usize,
}

impl<T: Element> Iterator for Blocks<T> {
    type Item = Array<T>;

    fn next(&mut self) -> Option<Array<T>> {
        self.left = self.left.checked_sub(1)?;
        let mut layout = self.array.layout().clone();
        let mut rest = self.next;
        for axis in (0..self.counts.len()).rev() {
            let (n, block) = (layout.shape()[axis], self.block[axis]);
            let from = rest % self.counts[axis] * block;
            rest /= self.counts[axis];
            layout.cut(axis, from, 1, block.min(n - from));
        }
        self.next += 1;
        Some(self.array.with_layout(layout))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Element> ExactSizeIterator for Blocks<T> {}
impl<T: Element> FusedIterator for Blocks<T> {}
