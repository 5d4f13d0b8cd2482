//! Reads at indices along an axis.

use super::{Index, Space, aligned, aligned_shape, checked, every, offsets, three, with_step};
use crate::array::Array;
use crate::device::Device;
use crate::expr::RawArray;
use crate::layout::{Layout, resolve_axis};
use crate::op::{Gather, Op, Operand};
use crate::plan::execute;
use crate::{DType, Element, Result, canon};

impl<T: Element> Array<T> {
    /// The elements at `indices` along `axis`: `[.., n, ..]` becomes `[.., indices.shape(), ..]`. Negative indices
    /// count from the end. All dtypes and all integer dtypes of indices are supported.
    ///
    /// The result lies in the memory of this array. To take elements of all axes as one line, take those of
    /// [`ravel`](Self::ravel).
    ///
    /// # Errors
    /// [`Error::Axis`](crate::Error::Axis); [`Error::Index`](crate::Error::Index) for an index out of range;
    /// [`Error::TooLarge`](crate::Error::TooLarge), [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// let columns = x.take(&Array::from_vec(vec![2, 0, -1], [3])?, 1)?;
    /// assert_eq!(columns.to_vec()?, [3, 1, 3, 6, 4, 6]);
    /// let sorted = x.take(&Array::from_vec(vec![1i64, 0], [2])?, 0)?;
    /// assert_eq!(sorted.to_vec()?, [4, 5, 6, 1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn take<I: Index>(&self, indices: &Array<I>, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("take", axis, self.ndim())?;
        self.take_checked(&checked(indices, axis, self.shape()[axis])?, axis)
    }

    /// As [`take`](Self::take), for indices that are known to be in range.
    pub(super) fn take_checked(&self, indices: &Array<i64>, axis: usize) -> Result<Array<T>> {
        let space = every(self.layout(), T::DTYPE, axis, indices.layout())?;
        self.gather(indices, space, axis)
    }

    /// The elements at `indices` along `axis`, each for its own line: `result[.., i, ..] = x[.., indices[.., i, ..],
    /// ..]`. Both arrays have the same number of axes; those other than `axis` broadcast. Negative indices count from
    /// the end. With the result of [`argsort`](Self::argsort) it returns the sorted array.
    ///
    /// # Errors
    /// As [`take`](Self::take); [`Error::Shapes`](crate::Error::Shapes) if the numbers of axes differ,
    /// [`Error::Broadcast`](crate::Error::Broadcast).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 2, 4, 6, 5], [2, 3])?;
    /// assert_eq!(x.take_along_axis(&x.argsort(1)?, 1)?.to_vec()?, [1, 2, 3, 4, 5, 6]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn take_along_axis<I: Index>(&self, indices: &Array<I>, axis: isize) -> Result<Array<T>> {
        let op = "take_along_axis";
        let axis = resolve_axis(op, axis, self.ndim())?;
        let shape = aligned_shape(op, T::DTYPE, self.layout().shape(), axis, indices.layout().shape())?;
        let indices = checked(indices, axis, self.shape()[axis])?;
        let space = aligned(self.layout(), axis, indices.layout(), &shape)?;
        self.gather(&indices, space, axis)
    }

    /// Gathers the elements of `space`.
    fn gather(&self, indices: &Array<i64>, space: Space, axis: usize) -> Result<Array<T>> {
        let Space { shape, kept, indices: index_strides, step } = space;
        if shape.contains(&0) {
            return Array::from_vec(Vec::new(), shape)?.beside(self);
        }
        let (from, at) = (self.raw(), indices.raw());
        let mut starts = [0, from.layout.offset() as isize, at.layout.offset() as isize];
        let result = shape.c_strides();
        let (lens, strides) = canon::indexed(&shape, &[&result, &kept, &index_strides], &mut starts);
        let ([_, input, index], [_, from_offset, at_offset]) = (three(strides), offsets(starts));
        let op = Gather {
            dtype: T::DTYPE,
            shape: lens,
            input: Operand {
                buffer: from.buffer.clone(),
                dtype: T::DTYPE,
                offset: from_offset,
                strides: with_step(input, step),
            },
            len: self.shape()[axis],
            indices: Operand { buffer: at.buffer.clone(), dtype: DType::I64, offset: at_offset, strides: index },
        };
        let buffer = execute(Op::from(op), &Device::current()?, None)?;
        Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(shape) })
    }
}
