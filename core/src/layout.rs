//! Shapes and layouts: the positions of an array's elements in a buffer.

use crate::signed::AxisIndex;
use crate::{DType, Error, Result};
use smallvec::SmallVec;
use std::fmt;
use std::ops::Deref;

/// The lengths of the axes, outermost first. Up to four are stored without a heap allocation.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Dims(SmallVec<[usize; 4]>);

// Implemented by hand: copying the slice is several times faster than SmallVec's `clone`, which copies element by
// element.
impl Clone for Dims {
    #[inline]
    fn clone(&self) -> Dims {
        Dims(SmallVec::from_slice(&self.0))
    }
}

/// The distance between neighbouring elements along each axis, in elements.
pub type Strides = SmallVec<[isize; 4]>;

/// Axes that one axis of a view steps along together; at least one.
pub(crate) type AxisGroup = SmallVec<[usize; 2]>;

/// The largest number of axes of an array.
pub const MAX_NDIM: usize = 16;

impl Dims {
    /// Returns a shape without axes: the shape of a single element.
    pub fn new() -> Dims {
        Dims::default()
    }

    /// Returns the number of elements, or `None` on overflow.
    pub fn checked_len(&self) -> Option<usize> {
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// Returns the number of elements. Cannot overflow for the shape of an array, because [`check`](Self::check)
    /// accepted it.
    #[inline]
    pub fn size(&self) -> usize {
        self.iter().product()
    }

    /// Returns the strides of C order (the last axis is contiguous).
    #[inline]
    pub fn c_strides(&self) -> Strides {
        let mut strides: Strides = SmallVec::from_elem(1, self.len());
        for i in (1..self.len()).rev() {
            strides[i - 1] = strides[i] * self[i].max(1) as isize;
        }
        strides
    }

    /// Appends an axis of length `n`.
    pub fn push(&mut self, n: usize) {
        self.0.push(n);
    }

    /// Mutable access to the lengths of the axes.
    pub(crate) fn axes_mut(&mut self) -> &mut SmallVec<[usize; 4]> {
        &mut self.0
    }

    /// Returns the shape that `self` and `other` broadcast to. Axes are aligned at the end, and axes of length 1 are
    /// stretched.
    ///
    /// # Errors
    /// [`Error::Broadcast`] where two lengths differ and neither is 1.
    pub fn broadcast(&self, other: &Dims) -> Result<Dims> {
        if self == other {
            return Ok(self.clone());
        }
        let ndim = self.len().max(other.len());
        let at = |d: &Dims, i: usize| if i + d.len() < ndim { 1 } else { d[i + d.len() - ndim] };
        let mut out = Dims::new();
        for axis in 0..ndim {
            out.push(match (at(self, axis), at(other, axis)) {
                (l, r) if l == r => l,
                (1, r) => r,
                (l, 1) => l,
                (l, r) => return Err(Error::Broadcast { left: self.clone(), right: other.clone(), axis, l, r }),
            });
        }
        out.check(DType::Bool)?;
        Ok(out)
    }

    /// Returns the number of bytes of an array of this shape.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the product of `dtype`'s size and all lengths, with zeros counted as ones, exceeds
    /// `isize::MAX`; [`Error::Shapes`] for more than [`MAX_NDIM`] axes.
    pub fn check(&self, dtype: DType) -> Result<usize> {
        if self.len() > MAX_NDIM {
            return Err(Error::Shapes {
                op: "shape",
                left: self.clone(),
                right: Dims::new(),
                why: format!("the shape has {} axes; the maximum is {MAX_NDIM}", self.len()),
            });
        }
        // Counts zero lengths as ones: strides are products over axes without zeros, and they must not overflow either.
        let bound =
            self.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d.max(1))).filter(|&b| isize::try_from(b).is_ok());
        bound.ok_or_else(|| Error::TooLarge { shape: self.clone(), dtype })?;
        Ok(self.size() * dtype.size())
    }
}

impl Deref for Dims {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Debug for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromIterator<usize> for Dims {
    fn from_iter<I: IntoIterator<Item = usize>>(iter: I) -> Dims {
        Dims(iter.into_iter().collect())
    }
}

impl From<usize> for Dims {
    fn from(n: usize) -> Dims {
        Dims(SmallVec::from_slice(&[n]))
    }
}

impl<const N: usize> From<[usize; N]> for Dims {
    fn from(dims: [usize; N]) -> Dims {
        Dims(SmallVec::from_slice(&dims))
    }
}

impl From<()> for Dims {
    fn from((): ()) -> Dims {
        Dims::new()
    }
}

macro_rules! dims_from {
    ($($ty:ty),*) => { $(
        impl From<$ty> for Dims { fn from(dims: $ty) -> Dims { Dims(SmallVec::from_slice(&dims[..])) } }
    )* };
}
dims_from!(&[usize], Vec<usize>, &Vec<usize>, &Dims);

/// The positions of an array's elements in its buffer.
///
/// Invariants:
/// 1. `shape` and `strides` have the same length, at most [`MAX_NDIM`];
/// 2. if a buffer backs the layout, the product of the lengths, with zeros counted as ones, times 16 bytes does not
///    overflow `isize`;
/// 3. for every index inside `shape`, `offset + sum(index * stride)` is a valid element of the buffer (if there are any
///    elements).
///
/// Slicing, permuting, broadcasting, reshaping, squeezing and taking diagonals preserve these invariants. They are the
/// only operations that derive one layout from another.
#[derive(PartialEq, Eq, Debug)]
pub struct Layout {
    shape: Dims,
    strides: Strides,
    offset: usize,
}

impl Clone for Layout {
    #[inline]
    fn clone(&self) -> Layout {
        Layout { shape: self.shape.clone(), strides: Strides::from_slice(&self.strides), offset: self.offset }
    }
}

impl Layout {
    /// Returns the layout in C order from the start of a buffer.
    pub fn contiguous(shape: Dims) -> Layout {
        Layout { strides: shape.c_strides(), shape, offset: 0 }
    }

    /// Creates a layout from its parts. The caller upholds the invariants.
    pub fn from_parts(shape: Dims, strides: Strides, offset: usize) -> Layout {
        debug_assert_eq!(shape.len(), strides.len());
        Layout { shape, strides, offset }
    }

    /// The lengths of the axes.
    #[inline]
    pub fn shape(&self) -> &Dims {
        &self.shape
    }

    /// The strides in elements.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The position in the buffer of the element at index zero.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.shape.size()
    }

    /// Returns whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Returns whether the elements lie in C order without gaps. Strides of axes of length 1 are ignored.
    pub fn is_c_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 {
                if stride != expected {
                    return self.is_empty();
                }
                expected *= n as isize;
            }
        }
        true
    }

    /// Returns whether the elements lie in Fortran order without gaps.
    pub fn is_f_contiguous(&self) -> bool {
        self.permute_unchecked(&(0..self.shape.len()).rev().collect::<SmallVec<[usize; 4]>>()).is_c_contiguous()
    }

    /// Returns whether an axis of more than one element has stride 0, so that several indices denote one element.
    pub fn is_broadcast(&self) -> bool {
        self.shape.iter().zip(&self.strides).any(|(&n, &s)| n > 1 && s == 0)
    }

    /// Returns whether two indices may denote the same element. Layouts whose axes are nested (the elements along an
    /// axis lie closer together than one step of the next one), as those of all views except [`broadcast_to`] and
    /// [`windows`](crate::Array::windows), do not overlap.
    ///
    /// [`broadcast_to`]: Layout::broadcast_to
    #[inline]
    pub(crate) fn may_overlap(&self) -> bool {
        !self.is_c_contiguous() && self.strides_may_overlap()
    }

    fn strides_may_overlap(&self) -> bool {
        let mut axes: SmallVec<[(usize, usize); 4]> = self
            .shape
            .iter()
            .zip(&self.strides)
            .filter(|(n, _)| **n > 1)
            .map(|(&n, s)| (s.unsigned_abs(), n))
            .collect();
        axes.sort_unstable();
        let mut reach = 0;
        !self.is_empty()
            && axes.iter().any(|&(stride, n)| {
                let overlaps = stride <= reach;
                reach += (n - 1) * stride;
                overlaps
            })
    }

    /// Returns the first and one past the last position in the buffer that the layout covers.
    pub fn span(&self) -> (usize, usize) {
        if self.is_empty() {
            return (self.offset, self.offset);
        }
        let (mut lo, mut hi) = (self.offset as isize, self.offset as isize);
        for (&n, &s) in self.shape.iter().zip(&self.strides) {
            let reach = (n as isize - 1) * s;
            lo += reach.min(0);
            hi += reach.max(0);
        }
        (lo as usize, hi as usize + 1)
    }

    /// Returns the position in the buffer of the element at `index`. Checks the length and the range of `index`.
    /// Negative indices count from the end.
    ///
    /// # Errors
    /// [`Error::IndexCount`] if `index` has not one entry for each axis, [`Error::Index`] if an entry is out of range.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let layout = Layout::contiguous([2, 3].into());
    /// assert_eq!(layout.locate(&[1, -1])?, 5);
    /// assert!(layout.locate(&[2, 0]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn locate<I: AxisIndex>(&self, index: &[I]) -> Result<usize> {
        if index.len() != self.shape.len() {
            return Err(Error::IndexCount { given: index.len(), ndim: self.shape.len(), shape: self.shape.clone() });
        }
        let mut at = self.offset as isize;
        for (axis, (&i, (&n, &s))) in index.iter().zip(self.shape.iter().zip(&self.strides)).enumerate() {
            let Some(i) = i.position(n) else {
                return Err(Error::Index { what: format!("index {i}"), axis, len: n });
            };
            at += i as isize * s;
        }
        Ok(at as usize)
    }

    /// Returns a view of shape `to`: axes of length 1 and missing leading axes are stretched with stride 0.
    ///
    /// # Errors
    /// [`Error::BroadcastTo`] if `to` has fewer axes, or if an axis has neither the length of `to` nor length 1;
    /// [`Error::TooLarge`] if the number of elements overflows, or `to` has more than [`MAX_NDIM`] axes.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let row = Layout::contiguous([3].into());
    /// let wide = row.broadcast_to(&[2, 3].into())?;
    /// assert_eq!(wide.strides(), [0, 1]);
    /// assert!(row.broadcast_to(&[2, 4].into()).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn broadcast_to(&self, to: &Dims) -> Result<Layout> {
        if &self.shape == to {
            return Ok(self.clone());
        }
        let fail = |why: String| Error::BroadcastTo { from: self.shape.clone(), to: to.clone(), why };
        let extra = to.len().checked_sub(self.shape.len()).ok_or_else(|| {
            fail(format!("an array of {} axes cannot broadcast to {} axes", self.shape.len(), to.len()))
        })?;
        to.check(DType::Bool)?;
        let mut strides: Strides = SmallVec::from_elem(0, to.len());
        for (i, (&n, &s)) in self.shape.iter().zip(&self.strides).enumerate() {
            let want = to[i + extra];
            strides[i + extra] = match n {
                _ if n == want => s,
                1 => 0,
                _ => return Err(fail(format!("axis {i} has length {n}, which cannot broadcast to {want}"))),
            };
        }
        Ok(Layout { shape: to.clone(), strides, offset: self.offset })
    }

    /// Reorders the axes.
    ///
    /// # Errors
    /// If `axes` is not a permutation of all axes. Negative axes count from the end.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let layout = Layout::contiguous([2, 3, 4].into());
    /// assert_eq!(layout.permute(&[-1, 0, 1])?.strides(), [1, 12, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn permute(&self, axes: &[isize]) -> Result<Layout> {
        let ndim = self.shape.len();
        if axes.len() != ndim {
            return Err(Error::IndexCount { given: axes.len(), ndim, shape: self.shape.clone() });
        }
        Ok(self.permute_unchecked(&resolve_axes("permute", axes, ndim)?))
    }

    fn permute_unchecked(&self, axes: &[usize]) -> Layout {
        Layout {
            shape: axes.iter().map(|&a| self.shape[a]).collect(),
            strides: axes.iter().map(|&a| self.strides[a]).collect(),
            offset: self.offset,
        }
    }

    /// Reverses the axes.
    pub fn t(&self) -> Layout {
        let mut reversed = self.clone();
        reversed.shape.0.reverse();
        reversed.strides.reverse();
        reversed
    }

    /// Inserts an axis of length 1 before `axis` (`-1`: after the last).
    ///
    /// # Errors
    /// [`Error::Axis`] if `axis` is out of range, [`Error::TooLarge`] if the result has more than [`MAX_NDIM`] axes.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let layout = Layout::contiguous([2, 3].into());
    /// assert_eq!(layout.expand_dims(-1)?.shape()[..], [2, 3, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn expand_dims(&self, axis: isize) -> Result<Layout> {
        let at = resolve_axis("expand_dims", axis, self.shape.len() + 1)?;
        let mut out = self.clone();
        out.shape.axes_mut().insert(at, 1);
        out.strides.insert(at, 0);
        out.shape.check(DType::Bool)?;
        Ok(out)
    }

    /// Removes the axes of length 1.
    pub fn squeeze(&self) -> Layout {
        let keep: SmallVec<[usize; 4]> = (0..self.shape.len()).filter(|&i| self.shape[i] != 1).collect();
        self.permute_unchecked(&keep)
    }

    /// Returns the elements whose index along `axis2` minus their index along `axis1` is `offset`. Removes both axes
    /// and appends the diagonal as the last axis.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`] if both axes are the same.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let layout = Layout::contiguous([3, 3].into());
    /// let above = layout.diagonal(1, 0, 1)?;
    /// assert_eq!((above.offset(), above.shape()[..].to_vec(), above.strides()), (1, vec![2], &[4][..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Layout> {
        let axes = resolve_axes("diagonal", &[axis1, axis2], self.shape.len())?;
        let (mut cut, skipped) = (self.clone(), offset.unsigned_abs());
        let (from, other) = if offset < 0 { (axes[0], axes[1]) } else { (axes[1], axes[0]) };
        let len = self.shape[from].saturating_sub(skipped).min(self.shape[other]);
        cut.cut(from, skipped, 1, len);
        cut.cut(other, 0, 1, len);
        let others = (0..self.shape.len()).filter(|a| !axes.contains(a)).map(|a| SmallVec::from_slice(&[a]));
        let groups: SmallVec<[AxisGroup; 4]> = others.chain([axes.iter().copied().collect()]).collect();
        Ok(cut.step_together(&groups))
    }

    /// Returns a view whose axis `i` steps along all axes of `groups[i]` together. The axes of a group have the same
    /// length. Axes in no group have length 1.
    pub(crate) fn step_together(&self, groups: &[AxisGroup]) -> Layout {
        debug_assert!(
            groups.iter().all(|g| g.iter().all(|&a| self.shape[a] == self.shape[g[0]])),
            "axes that step together must have equal lengths"
        );
        debug_assert!(
            (0..self.shape.len())
                .all(|a| self.shape[a] == 1 || groups.iter().flatten().filter(|&&b| b == a).count() == 1)
        );
        Layout {
            shape: groups.iter().map(|g| self.shape[g[0]]).collect(),
            strides: groups.iter().map(|g| g.iter().map(|&a| self.strides[a]).sum()).collect(),
            offset: self.offset,
        }
    }

    /// Returns a view of the same elements in C order with another shape, or `None` if no strides can express it
    /// without a copy.
    pub fn reshape(&self, to: &Dims) -> Option<Layout> {
        debug_assert_eq!(self.len(), to.size());
        if self.is_c_contiguous() {
            return Some(Layout { shape: to.clone(), strides: to.c_strides(), offset: self.offset });
        }
        // Merges neighbouring axes that act as one axis, then matches each merged run with new axes of the same total
        // size.
        let mut old: Vec<(usize, isize)> = Vec::new();
        for (&n, &s) in self.shape.iter().zip(&self.strides).filter(|(n, _)| **n != 1) {
            match old.last_mut() {
                Some((len, stride)) if *stride == s * n as isize => (*len, *stride) = (*len * n, s),
                _ => old.push((n, s)),
            }
        }
        let mut strides: Strides = SmallVec::from_elem(1, to.len());
        let mut runs = old.into_iter().rev();
        let (mut left, mut stride) = runs.next().unwrap_or((1, 1));
        for i in (0..to.len()).rev() {
            if to[i] == 1 {
                continue;
            }
            if left == 1 {
                (left, stride) = runs.next()?;
            }
            if left % to[i] != 0 {
                return None;
            }
            strides[i] = stride;
            stride *= to[i] as isize;
            left /= to[i];
        }
        Some(Layout { shape: to.clone(), strides, offset: self.offset })
    }

    /// Restricts an axis to `len` elements from `start` with `step` (in elements of this view, may be negative). The
    /// caller has checked the range.
    pub(crate) fn cut(&mut self, axis: usize, start: usize, step: isize, len: usize) {
        if len > 0 {
            self.offset = (self.offset as isize + start as isize * self.strides[axis]) as usize;
        }
        // Multiplies by `step` only if there are at least two elements. Then |step| is less than the old length of the
        // axis, and the product cannot overflow.
        if len > 1 {
            self.strides[axis] *= step;
        }
        self.shape.axes_mut()[axis] = len;
    }

    /// Removes an axis that [`cut`](Self::cut) reduced to length 1.
    pub(crate) fn remove_axis(&mut self, axis: usize) {
        self.shape.axes_mut().remove(axis);
        self.strides.remove(axis);
    }
}

/// Returns `axis` as an index from the front.
///
/// # Errors
/// [`Error::Axis`], with the name `op`, if `axis` is not in `-ndim .. ndim`.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// assert_eq!(resolve_axis("sum", -1, 3)?, 2);
/// assert!(resolve_axis("sum", 3, 3).is_err());
/// # Ok::<(), Error>(())
/// ```
pub fn resolve_axis(op: &'static str, axis: isize, ndim: usize) -> Result<usize> {
    let position = if axis < 0 { axis + ndim as isize } else { axis };
    usize::try_from(position).ok().filter(|&a| a < ndim).ok_or(Error::Axis { op, axis, ndim })
}

/// Returns each of `axes` as an index from the front. Repeated axes are an error.
///
/// # Errors
/// [`Error::Axis`] if an axis is out of range, [`Error::RepeatedAxis`] if two are the same.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// assert_eq!(resolve_axes("sum", &[0, -1], 3)?[..], [0, 2]);
/// assert!(resolve_axes("sum", &[2, -1], 3).is_err());
/// # Ok::<(), Error>(())
/// ```
pub fn resolve_axes(op: &'static str, axes: &[isize], ndim: usize) -> Result<SmallVec<[usize; 4]>> {
    let mut out: SmallVec<[usize; 4]> = SmallVec::new();
    for &axis in axes {
        let axis = resolve_axis(op, axis, ndim)?;
        if out.contains(&axis) {
            return Err(Error::RepeatedAxis { op, axis });
        }
        out.push(axis);
    }
    Ok(out)
}
