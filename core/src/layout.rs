//! Shapes and layouts: how the elements of an array lie in a buffer.

use crate::{DType, Error, Result};
use smallvec::SmallVec;
use std::fmt;
use std::ops::Deref;

/// Lengths of axes, outermost first; up to four are held without an allocation.
#[derive(Default, PartialEq, Eq, Hash)]
pub struct Dims(SmallVec<[usize; 4]>);

// By hand, because a copy of the slice is several times faster than what SmallVec's `clone` does: element by element.
impl Clone for Dims {
    #[inline]
    fn clone(&self) -> Dims {
        Dims(SmallVec::from_slice(&self.0))
    }
}

/// Distances between neighbours along each axis, in elements.
pub type Strides = SmallVec<[isize; 4]>;

/// Axes that are stepped along at once; at least one.
pub(crate) type AxisGroup = SmallVec<[usize; 2]>;

/// The most axes an array can have.
pub const MAX_NDIM: usize = 16;

impl Dims {
    /// No axes: the shape of one element.
    pub fn new() -> Dims {
        Dims::default()
    }

    /// The number of elements; `None` if it overflows.
    pub fn checked_len(&self) -> Option<usize> {
        if self.contains(&0) {
            return Some(0);
        }
        self.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// The number of elements. Shapes of arrays are checked when they are made, so this does not overflow for them.
    #[inline]
    pub fn size(&self) -> usize {
        self.iter().product()
    }

    /// Strides of C order (the last axis is contiguous).
    #[inline]
    pub fn c_strides(&self) -> Strides {
        let mut strides: Strides = SmallVec::from_elem(1, self.len());
        for i in (1..self.len()).rev() {
            strides[i - 1] = strides[i] * self[i].max(1) as isize;
        }
        strides
    }

    /// Adds an axis after the last.
    pub fn push(&mut self, n: usize) {
        self.0.push(n);
    }

    /// The axes, to change.
    pub(crate) fn axes_mut(&mut self) -> &mut SmallVec<[usize; 4]> {
        &mut self.0
    }

    /// The shape that `self` and `other` broadcast to: axes are aligned at the end, an axis of 1 stretches.
    ///
    /// # Errors
    /// [`Error::Broadcast`] where lengths differ and neither is 1.
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

    /// The number of bytes an array of this shape has.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where that is more than `isize::MAX`; [`Error::Shapes`] for more than [`MAX_NDIM`] axes.
    pub fn check(&self, dtype: DType) -> Result<usize> {
        if self.len() > MAX_NDIM {
            return Err(Error::Shapes {
                op: "shape",
                left: self.clone(),
                right: Dims::new(),
                why: format!("{} axes, at most {MAX_NDIM} are possible", self.len()),
            });
        }
        // Strides are products over axes that may hold no zero: they must not overflow either.
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
    ($($ty:ty),*) => { $( impl From<$ty> for Dims { fn from(dims: $ty) -> Dims { Dims(SmallVec::from_slice(&dims[..])) } } )* };
}
dims_from!(&[usize], Vec<usize>, &Vec<usize>, &Dims);

/// How the elements of an array lie in its buffer.
///
/// Invariants:
/// 1. `shape` and `strides` have the same length, at most [`MAX_NDIM`];
/// 2. the product of the lengths, zeros counted as ones, times 16 bytes does not overflow `isize` where memory is behind it;
/// 3. for every index inside `shape`, `offset + sum(index * stride)` is a valid element of the buffer (if there are any elements).
///
/// Slicing, permuting, broadcasting, reshaping, squeezing and taking diagonals keep them; they are the only ways to make one layout from another.
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
    /// C order from the start of a buffer.
    pub fn contiguous(shape: Dims) -> Layout {
        Layout { strides: shape.c_strides(), shape, offset: 0 }
    }

    /// From parts. The caller upholds the invariants.
    pub fn from_parts(shape: Dims, strides: Strides, offset: usize) -> Layout {
        debug_assert_eq!(shape.len(), strides.len());
        Layout { shape, strides, offset }
    }

    /// Lengths of the axes.
    #[inline]
    pub fn shape(&self) -> &Dims {
        &self.shape
    }

    /// Strides in elements.
    #[inline]
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The element of the buffer that index zero is.
    #[inline]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.shape.size()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether the elements lie in C order without gaps. Strides of axes of one do not matter.
    pub fn is_c_contiguous(&self) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut expected = 1;
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 {
                if stride != expected {
                    return false;
                }
                expected *= n as isize;
            }
        }
        true
    }

    /// Whether the elements lie in Fortran order without gaps.
    pub fn is_f_contiguous(&self) -> bool {
        self.permute_unchecked(&(0..self.shape.len()).rev().collect::<SmallVec<[usize; 4]>>()).is_c_contiguous()
    }

    /// Whether two indices can mean the same element, seen from strides alone (a stride of 0 along more than one element).
    pub fn is_broadcast(&self) -> bool {
        self.shape.iter().zip(&self.strides).any(|(&n, &s)| n > 1 && s == 0)
    }

    /// The first and one past the last element of the buffer that is touched.
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

    /// The element of the buffer at `index`, whose length and range are checked.
    pub fn locate(&self, index: &[usize]) -> Result<usize> {
        if index.len() != self.shape.len() {
            return Err(Error::IndexCount { given: index.len(), ndim: self.shape.len(), shape: self.shape.clone() });
        }
        let mut at = self.offset as isize;
        for (axis, (&i, (&n, &s))) in index.iter().zip(self.shape.iter().zip(&self.strides)).enumerate() {
            if i >= n {
                return Err(Error::Index { what: format!("index {i}"), axis, len: n });
            }
            at += i as isize * s;
        }
        Ok(at as usize)
    }

    /// The same elements seen as `to`: axes of one, and missing ones in front, are stretched with stride 0.
    pub fn broadcast_to(&self, to: &Dims) -> Result<Layout> {
        if &self.shape == to {
            return Ok(self.clone());
        }
        let fail = |why: String| Error::BroadcastTo { from: self.shape.clone(), to: to.clone(), why };
        let extra = to
            .len()
            .checked_sub(self.shape.len())
            .ok_or_else(|| fail(format!("{} axes do not fit into {}", self.shape.len(), to.len())))?;
        to.check(DType::Bool)?;
        let mut strides: Strides = SmallVec::from_elem(0, to.len());
        for (i, (&n, &s)) in self.shape.iter().zip(&self.strides).enumerate() {
            let want = to[i + extra];
            strides[i + extra] = match n {
                _ if n == want => s,
                1 => 0,
                _ => return Err(fail(format!("axis {i} is {n} against {want}"))),
            };
        }
        Ok(Layout { shape: to.clone(), strides, offset: self.offset })
    }

    /// Axes in another order.
    ///
    /// # Errors
    /// Where `axes` is not a permutation of all axes; negative ones count from the end.
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

    /// Axes reversed.
    pub fn t(&self) -> Layout {
        self.permute_unchecked(&(0..self.shape.len()).rev().collect::<SmallVec<[usize; 4]>>())
    }

    /// A new axis of one before `axis` (`-1`: after the last).
    pub fn expand_dims(&self, axis: isize) -> Result<Layout> {
        let at = resolve_axis("expand_dims", axis, self.shape.len() + 1)?;
        let mut out = self.clone();
        out.shape.axes_mut().insert(at, 1);
        out.strides.insert(at, 0);
        out.shape.check(DType::Bool)?;
        Ok(out)
    }

    /// Without the axes of one.
    pub fn squeeze(&self) -> Layout {
        let keep: SmallVec<[usize; 4]> = (0..self.shape.len()).filter(|&i| self.shape[i] != 1).collect();
        self.permute_unchecked(&keep)
    }

    /// Elements whose indices along two axes differ by `offset` (that of `axis2` is the larger one): both axes go, their diagonal comes last.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`] where both are the same.
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

    /// A view whose axis `i` steps along all axes of `groups[i]`, which are of one length, at once. Axes in no group are of length one.
    pub(crate) fn step_together(&self, groups: &[AxisGroup]) -> Layout {
        debug_assert!(
            groups.iter().all(|g| g.iter().all(|&a| self.shape[a] == self.shape[g[0]])),
            "axes that step together have one length"
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

    /// The same elements in C order with another shape, if strides can say it without a copy.
    pub fn reshape(&self, to: &Dims) -> Option<Layout> {
        debug_assert_eq!(self.len(), to.size());
        if self.is_empty() || self.is_c_contiguous() {
            return Some(Layout { shape: to.clone(), strides: to.c_strides(), offset: self.offset });
        }
        // Runs of axes that behave as one are matched with groups of new axes of the same size.
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

    /// One axis cut to `len` elements from `start` with `step` (in elements of this view, may be negative). The caller checked the range.
    pub(crate) fn cut(&mut self, axis: usize, start: usize, step: isize, len: usize) {
        if len > 0 {
            self.offset = (self.offset as isize + start as isize * self.strides[axis]) as usize;
        }
        // A step is only taken where there are two elements; then it is shorter than the axis was, and the product cannot overflow.
        if len > 1 {
            self.strides[axis] *= step;
        }
        self.shape.axes_mut()[axis] = len;
    }

    /// Removes an axis that [`cut`](Self::cut) made one long.
    pub(crate) fn remove_axis(&mut self, axis: usize) {
        self.shape.axes_mut().remove(axis);
        self.strides.remove(axis);
    }
}

/// `axis` as an index from the front.
pub fn resolve_axis(op: &'static str, axis: isize, ndim: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + ndim as isize } else { axis };
    usize::try_from(from_front).ok().filter(|&a| a < ndim).ok_or(Error::Axis { op, axis, ndim })
}

/// Each of `axes` as an index from the front; none may repeat.
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
