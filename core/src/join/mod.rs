//! New arrays that consist of parts of others: joined, moved, repeated and padded. The output is allocated once, and
//! every element is written once.

mod pad;
mod repeat;

pub use pad::Pad;

use crate::array::Array;
use crate::device::{Device, slots};
use crate::expr::{RawArray, Tape};
use crate::fast::{SMALL, is_open_to_core};
use crate::layout::{Layout, resolve_axis};
use crate::memory::transfer::alloc_elements;
use crate::{Element, Error, MemoryId, Result, Scalar, bytes, canon, walk};

/// A new array that is written part by part.
///
/// Invariant: the parts, which are views of the output, are disjoint, and `written` is the number of their elements.
struct Parts {
    out: RawArray,
    device: Device,
    /// Whether core may itself copy small parts.
    direct: bool,
    written: usize,
}

impl Parts {
    /// Allocates an array of this layout, which has no gaps and at least one element, in the memory of `like`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    fn new<T: Element>(layout: Layout, like: MemoryId) -> Result<Parts> {
        let buffer = alloc_elements(T::DTYPE, layout.len(), like)?;
        if slots().iter().any(|s| s.registered) {
            // The output of a registered backend is read to normalise truth values.
            // SAFETY: the buffer was just allocated, so no array shows it, and nothing else accesses it.
            unsafe { bytes::zero(&buffer) };
        }
        let out = RawArray { buffer, dtype: T::DTYPE, layout };
        Ok(Parts { out, device: Device::current()?, direct: is_open_to_core()?, written: 0 })
    }

    fn layout(&self) -> &Layout {
        &self.out.layout
    }

    /// Returns the address of the element at index zero of a small part, if core may write the part itself.
    fn small(&self, to: &Layout) -> Option<*mut u8> {
        let size = self.out.dtype.size();
        let inside = to.span().1 * size <= self.out.buffer.bytes();
        let start = self.out.buffer.host_ptr().filter(|_| self.direct && inside && to.len() * size <= SMALL)?;
        Some(start.as_ptr())
    }

    /// Copies `from` to the part `to`, which has the same shape. Operands in other memories are moved first.
    ///
    /// # Errors
    /// The errors of the device that copies.
    fn copy<T: Element>(&mut self, from: &Array<T>, to: &Layout) -> Result<()> {
        debug_assert_eq!(from.layout().shape(), to.shape());
        if to.is_empty() {
            return Ok(());
        }
        self.written += to.len();
        let size = self.out.dtype.size();
        let source = from.raw();
        let inside = source.layout.span().1 * size <= source.buffer.bytes();
        if let (Some(room), Some(start)) = (self.small(to), source.buffer.host_ptr().filter(|_| inside)) {
            let (lens, (to_at, to_strides), places) = canon::map(to, &[&source.layout]);
            let (at, strides) = &places[0];
            let (start, room) = (start.as_ptr().wrapping_add(at * size), room.wrapping_add(to_at * size));
            // SAFETY: the positions are those of elements of the array, which lie inside its buffer (checked above) and
            // have been written (invariants of arrays), and of the part, which lies inside the output (checked by
            // `small`). No array shows the new output yet, so they do not overlap.
            unsafe { walk::copy(&lens, [strides, &to_strides], start, room, size) };
            return Ok(());
        }
        let there = self.out.buffer.memory();
        Tape::array(from.in_memory(there)?.into_shared()).eval_into(&self.view(to), &self.device)
    }

    /// Writes `value` to the part `to`.
    ///
    /// # Errors
    /// The errors of the device that writes.
    fn fill<T: Element>(&mut self, value: T, to: &Layout) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        self.written += to.len();
        if let Some(room) = self.small(to) {
            let size = self.out.dtype.size();
            let (lens, (at, strides), _) = canon::map::<Layout>(to, &[]);
            let from = (&raw const value).cast::<u8>();
            // SAFETY: `value` is one element, and the positions are those of the part, as in `copy`.
            unsafe { walk::scatter(&lens, &strides, 0..lens.size(), (from, true), room.wrapping_add(at * size), size) };
            return Ok(());
        }
        Tape::filled(Scalar::new(value), to.shape().clone())?.eval_into(&self.view(to), &self.device)
    }

    fn view(&self, layout: &Layout) -> RawArray {
        RawArray { layout: layout.clone(), ..self.out.clone() }
    }

    /// Returns the array.
    fn finish<T: Element>(self) -> Result<Array<T>> {
        assert_eq!(self.written, self.out.layout.len(), "every element is written once");
        Array::from_raw(self.out)
    }
}

/// Returns the elements `from..from + len` along `axis`.
fn part(layout: &Layout, axis: usize, from: usize, len: usize) -> Layout {
    let mut part = layout.clone();
    part.cut(axis, from, 1, len);
    part
}

/// Returns the memory for a new array of parts of `arrays`: that of the first one that is not in host memory.
fn common_memory<T: Element>(arrays: &[&Array<T>]) -> MemoryId {
    arrays.iter().map(|a| a.raw().buffer.memory()).find(|&m| m != MemoryId::HOST).unwrap_or(MemoryId::HOST)
}

fn nothing_given(op: &'static str) -> Error {
    Error::Argument { op, name: "arrays", value: "[]".into(), why: "at least one array is required".into() }
}

impl<T: Element> Array<T> {
    /// Joins arrays along an axis: their lengths along it add up, and the other lengths are equal. The result is in C
    /// order (in Fortran order, if all arrays are), and lies in the memory of the first of them that is not in host
    /// memory.
    ///
    /// # Errors
    /// [`Error::Argument`] for no arrays; [`Error::Shapes`]; [`Error::Axis`]; [`Error::TooLarge`],
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// let b = Array::from_vec(vec![5, 6], [2, 1])?;
    /// let c = Array::concatenate(&[&a, &b], 1)?;
    /// assert_eq!((c.shape(), c.to_vec()?), (&[2, 3][..], vec![1, 2, 5, 3, 4, 6]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "concat")]
    pub fn concatenate(arrays: &[&Array<T>], axis: isize) -> Result<Array<T>> {
        let op = "concatenate";
        let first = arrays.first().ok_or_else(|| nothing_given(op))?;
        let axis = resolve_axis(op, axis, first.ndim())?;
        let mut shape = first.layout().shape().clone();
        for other in &arrays[1..] {
            let fits =
                other.ndim() == shape.len() && (0..shape.len()).all(|a| a == axis || other.shape()[a] == shape[a]);
            if !fits {
                let why = format!("all lengths except that of axis {axis} must be equal");
                let (left, right) = (first.layout().shape().clone(), other.layout().shape().clone());
                return Err(Error::Shapes { op, left, right, why });
            }
            shape.axes_mut()[axis] = shape[axis].saturating_add(other.shape()[axis]);
        }
        shape.check(T::DTYPE)?;
        if shape.contains(&0) {
            return Array::from_vec(Vec::new(), shape)?.beside(first);
        }
        // In Fortran order, arrays of more than one column are contiguous parts.
        let columns = |a: &&Array<T>| a.is_f_contiguous() && !a.is_c_contiguous() && a.shape()[axis] > 1;
        let layout = if arrays.iter().all(columns) {
            Layout::contiguous(shape.iter().rev().copied().collect()).t()
        } else {
            Layout::contiguous(shape)
        };
        let mut parts = Parts::new::<T>(layout, common_memory(arrays))?;
        let mut at = 0;
        for array in arrays {
            let len = array.shape()[axis];
            let to = part(parts.layout(), axis, at, len);
            parts.copy(array, &to)?;
            at += len;
        }
        parts.finish()
    }

    /// Joins arrays of one shape along a new axis, which lies before `axis` (`-1`: at the end).
    ///
    /// # Errors
    /// As [`concatenate`](Self::concatenate).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (a, b) = (Array::from_vec(vec![1, 2], [2])?, Array::from_vec(vec![3, 4], [2])?);
    /// assert_eq!(Array::stack(&[&a, &b], 0)?.to_vec()?, [1, 2, 3, 4]);
    /// assert_eq!(Array::stack(&[&a, &b], -1)?.to_vec()?, [1, 3, 2, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn stack(arrays: &[&Array<T>], axis: isize) -> Result<Array<T>> {
        let first = arrays.first().ok_or_else(|| nothing_given("stack"))?;
        if let Some(other) = arrays.iter().find(|a| a.shape() != first.shape()) {
            let why = "all shapes must be equal".into();
            let (left, right) = (first.layout().shape().clone(), other.layout().shape().clone());
            return Err(Error::Shapes { op: "stack", left, right, why });
        }
        let wide: Vec<Array<T>> = arrays.iter().map(|a| a.expand_dims(axis)).collect::<Result<_>>()?;
        Array::concatenate(&wide.iter().collect::<Vec<_>>(), axis)
    }

    /// Joins arrays along the first axis. An array of less than two axes is a row.
    ///
    /// # Errors
    /// As [`concatenate`](Self::concatenate).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (a, b) = (Array::from_vec(vec![1, 2], [2])?, Array::from_vec(vec![3, 4, 5, 6], [2, 2])?);
    /// assert_eq!(Array::vstack(&[&a, &b])?.shape(), [3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn vstack(arrays: &[&Array<T>]) -> Result<Array<T>> {
        let row = |a: &&Array<T>| if a.ndim() < 2 { a.reshape([1, a.len()]) } else { Ok((*a).clone()) };
        let rows: Vec<Array<T>> = arrays.iter().map(row).collect::<Result<_>>()?;
        Array::concatenate(&rows.iter().collect::<Vec<_>>(), 0)
    }

    /// Joins arrays along the second axis, or along the only one. An array without axes is one element.
    ///
    /// # Errors
    /// As [`concatenate`](Self::concatenate).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (a, b) = (Array::from_vec(vec![1, 2], [2])?, Array::from_vec(vec![3], [1])?);
    /// assert_eq!(Array::hstack(&[&a, &b])?.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn hstack(arrays: &[&Array<T>]) -> Result<Array<T>> {
        let line = |a: &&Array<T>| if a.ndim() == 0 { a.reshape(1usize) } else { Ok((*a).clone()) };
        let lines: Vec<Array<T>> = arrays.iter().map(line).collect::<Result<_>>()?;
        let axis = lines.first().map_or(0, |a| isize::from(a.ndim() > 1));
        Array::concatenate(&lines.iter().collect::<Vec<_>>(), axis)
    }

    /// Moves the elements by `shift` places along `axis`. Elements that leave the array at one end enter it at the
    /// other.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [4])?;
    /// assert_eq!(x.roll(1, 0)?.to_vec()?, [4, 1, 2, 3]);
    /// assert_eq!(x.roll(-1, 0)?.to_vec()?, [2, 3, 4, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn roll(&self, shift: isize, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("roll", axis, self.ndim())?;
        let n = self.shape()[axis];
        // The length of an axis is at most `isize::MAX`.
        let by = if n == 0 { 0 } else { shift.rem_euclid(n as isize) as usize };
        if by == 0 || self.is_empty() {
            return Ok(self.clone());
        }
        let fresh = canon::fresh_layout(self.layout().shape(), &[self.layout()]);
        let mut parts = Parts::new::<T>(fresh, self.raw().buffer.memory())?;
        for (from, to, len) in [(0, by, n - by), (n - by, 0, by)] {
            let to = part(parts.layout(), axis, to, len);
            parts.copy(&self.with_layout(part(self.layout(), axis, from, len)), &to)?;
        }
        parts.finish()
    }
}
