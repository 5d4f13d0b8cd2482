//! Reads and writes at points: an array of indices for each of the first axes.
//!
//! The positions of the points are computed first, in steps of the greatest common divisor of the strides of these
//! axes. They are indices along one axis, which takes the place of these axes.

use super::{Index, checked, every};
use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::expr::{IntoExpr, select};
use crate::layout::{Layout, Strides};
use crate::op::Combine;
use crate::{DType, Dims, Element, Error, MemoryId, Result, with_device};
use std::borrow::Cow;

/// Returns the positions of the points along the first axis of the returned layout, whose other axes are those of
/// `layout` that have no indices.
///
/// # Errors
/// [`Error::IndexCount`] for no or too many arrays of indices, [`Error::Broadcast`], [`Error::Index`].
fn points<I: Index>(layout: &Layout, indices: &[&Array<I>]) -> Result<(Array<i64>, Layout)> {
    let (lens, strides, given) = (layout.shape(), layout.strides(), indices.len());
    if given == 0 || given > lens.len() {
        return Err(Error::IndexCount { given, ndim: lens.len(), shape: lens.clone() });
    }
    let shape = indices.iter().try_fold(Dims::new(), |shape, ix| shape.broadcast(ix.layout().shape()))?;
    shape.check(DType::I64)?;
    let axes = || lens[..given].iter().zip(strides).map(|(&n, &s)| (n, if n > 1 { s } else { 0 }));
    let step = axes().fold(0, |step, (_, s)| divisor(step, s.unsigned_abs())).max(1) as isize;
    let reach = |(n, s): (usize, isize)| (n.max(1) - 1) as isize * s;
    let lowest: isize = axes().map(reach).map(|r| r.min(0)).sum();
    let len = axes().map(reach).map(isize::unsigned_abs).sum::<usize>() / step as usize + 1;
    let len = if axes().any(|(n, _)| n == 0) { 0 } else { len };

    let mut at = ((-lowest / step) as i64).into_expr();
    for ((axis, ix), (n, s)) in indices.iter().enumerate().zip(axes()) {
        let ix = checked(ix, axis, n)?;
        let from_front = select(ix.less(0), &ix + n as i64, &ix);
        at = at + from_front * (s / step) as i64;
    }
    // Positions are i64, which not every device has.
    let at = with_device(&Device::auto(), || at.eval())?;
    let shape: Dims = std::iter::once(len).chain(lens[given..].iter().copied()).collect();
    let strides: Strides = std::iter::once(step).chain(strides[given..].iter().copied()).collect();
    Ok((at, Layout::from_parts(shape, strides, (layout.offset() as isize + lowest) as usize)))
}

/// Returns the greatest common divisor; that of 0 and another number is the other number.
fn divisor(mut x: usize, mut y: usize) -> usize {
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x
}

impl<T: Element> Array<T> {
    /// The elements at points, as NumPy's `x[i, j]` with arrays of indices: `result[p] = x[i[p], j[p]]`. There is an
    /// array of indices for each of the first axes, and these arrays broadcast. Their shape replaces these axes; the
    /// other axes follow. Negative indices count from the end.
    ///
    /// The result lies in the memory of this array. For the indices of one axis, see [`take`](Self::take).
    ///
    /// # Errors
    /// [`Error::IndexCount`] for no or more arrays than axes; [`Error::Broadcast`] if they do not broadcast;
    /// [`Error::Index`] for an index out of range; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1, 2, 3], [4, 5, 6]]);
    /// let (i, j) = (Array::from([0, 1, -1]), Array::from([2, 0, -2]));
    /// assert_eq!(x.take_at(&[&i, &j])?, Array::from([3, 4, 5]));
    /// // A column of rows and a row of columns select a grid.
    /// let grid = x.take_at(&[&Array::from([[1], [0]]), &Array::from([0, 2])])?;
    /// assert_eq!(grid, Array::from([[4, 6], [1, 3]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "ix_")]
    pub fn take_at<I: Index>(&self, indices: &[&Array<I>]) -> Result<Array<T>> {
        let (at, merged) = points(self.layout(), indices)?;
        self.with_layout(merged).take_checked(&at, 0)
    }

    /// Writes `values` to the elements at points, as NumPy's `x[i, j] = values`: see [`take_at`](Self::take_at). The
    /// values broadcast to the shape that `take_at` would return. Of several values for one element, the last one in C
    /// order remains.
    ///
    /// # Errors
    /// As [`take_at`](Self::take_at), and as [`view_mut`](Self::view_mut); [`Error::BroadcastTo`] if the values do not
    /// fit. On an error, nothing is written.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::<i32>::zeros([2, 3])?;
    /// let (i, j) = (Array::from([0, 1, 1]), Array::from([2, 0, -2]));
    /// x.put_at(&[&i, &j], Array::from([1, 2, 3]))?;
    /// assert_eq!(x, Array::from([[0, 0, 1], [2, 3, 0]]));
    /// x.scatter_at(Combine::Add, &[&i, &j], 10)?;
    /// assert_eq!(x, Array::from([[0, 0, 11], [12, 13, 0]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn put_at<I: Index>(&mut self, indices: &[&Array<I>], values: impl IntoExpr<T>) -> Result<()> {
        self.view_mut()?.put_at(indices, values)
    }

    /// Combines `values` with the elements at points: see [`put_at`](Self::put_at), and
    /// [`scatter`](Self::scatter) for the ways to combine.
    ///
    /// # Errors
    /// As [`put_at`](Self::put_at); [`Error::DTypeUndefined`] if `how` is not defined for the dtype.
    pub fn scatter_at<I: Index>(
        &mut self,
        how: Combine,
        indices: &[&Array<I>],
        values: impl IntoExpr<T>,
    ) -> Result<()> {
        self.view_mut()?.scatter_at(how, indices, values)
    }
}

impl<T: Element> ViewMut<'_, T> {
    /// As [`Array::put_at`].
    ///
    /// # Errors
    /// As [`Array::put_at`].
    pub fn put_at<I: Index>(&mut self, indices: &[&Array<I>], values: impl IntoExpr<T>) -> Result<()> {
        self.scatter_at(Combine::Set, indices, values)
    }

    /// As [`Array::scatter_at`].
    ///
    /// # Errors
    /// As [`Array::scatter_at`].
    pub fn scatter_at<I: Index>(
        &mut self,
        how: Combine,
        indices: &[&Array<I>],
        values: impl IntoExpr<T>,
    ) -> Result<()> {
        if self.memory() != MemoryId::HOST {
            return self.on_host(|host| host.scatter_at(how, indices, values));
        }
        let (at, merged) = points(self.layout(), indices)?;
        if merged.may_overlap() {
            // An axis without indices lies between those that have some. In C order, none does.
            let here = Array::from_raw(self.raw())?;
            let mut copy = here.copied(Layout::contiguous(self.layout().shape().clone()))?;
            drop(here);
            copy.scatter_at(how, indices, values)?;
            return self.assign(copy);
        }
        let space = every(&merged, T::DTYPE, 0, at.layout())?;
        let (buffer, _) = self.parts_mut();
        ViewMut::new(buffer, Cow::Owned(merged)).write_at(how, &at, values.into_expr(), &space, 0)
    }
}

impl<I: Index> Array<I> {
    /// Splits numbers of elements in C order of an array of `shape` into their positions along each axis. Negative
    /// numbers count from the end. [`ravel_multi_index`](Self::ravel_multi_index) is the inverse.
    ///
    /// # Errors
    /// [`Error::Index`] for a number out of range; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[3.0, 1.0, 2.0], [4.0, 9.0, 5.0]]);
    /// let at = Array::from([x.argmax()? as i64]).unravel_index([2, 3])?;
    /// assert_eq!((at[0].item()?, at[1].item()?), (1, 1));
    /// assert_eq!(Array::ravel_multi_index(&[&at[0], &at[1]], [2, 3])?, Array::from([4i64]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unravel_index(&self, shape: impl Into<Dims>) -> Result<Vec<Array<i64>>> {
        let shape = shape.into();
        shape.check(DType::I64)?;
        let numbers = checked(self, 0, shape.size())?;
        let numbers = select(numbers.less(0), &numbers + shape.size() as i64, &numbers);
        let mut inner = 1;
        let along = |&n: &usize| {
            let axis = numbers.clone() / inner as i64 % n.max(1) as i64;
            inner *= n.max(1);
            with_device(&Device::auto(), || axis.eval())
        };
        let mut axes: Vec<_> = shape.iter().rev().map(along).collect::<Result<_>>()?;
        axes.reverse();
        Ok(axes)
    }

    /// The numbers in C order of the elements of an array of `shape` at the positions along each axis, which broadcast.
    /// Negative positions count from the end. [`unravel_index`](Self::unravel_index) is the inverse.
    ///
    /// # Errors
    /// [`Error::IndexCount`] unless there are as many arrays as axes; [`Error::Broadcast`], [`Error::Index`],
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    pub fn ravel_multi_index(indices: &[&Array<I>], shape: impl Into<Dims>) -> Result<Array<i64>> {
        let shape = shape.into();
        shape.check(DType::I64)?;
        if indices.len() != shape.len() {
            return Err(Error::IndexCount { given: indices.len(), ndim: shape.len(), shape });
        }
        let (at, merged) = points(&Layout::contiguous(shape), indices)?;
        if merged.strides()[0] == 1 { Ok(at) } else { (at * merged.strides()[0] as i64).eval() }
    }
}
