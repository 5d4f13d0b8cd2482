//! Views of the parts of an array.

use super::Array;
use crate::layout::resolve_axis;
use crate::{Buffer, Element, Error, Result};

impl<T: Element> Array<T> {
    /// Splits an axis into `sections` equal parts, which are views.
    ///
    /// # Errors
    /// [`Error::Axis`]; [`Error::Argument`] if the length of the axis is not a multiple of `sections`, or for no
    /// sections; [`Error::OutOfMemory`] for more views than the memory holds.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [4])?;
    /// assert_eq!(x.split(2, 0)?[1].to_vec()?, [3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn split(&self, sections: usize, axis: isize) -> Result<Vec<Array<T>>> {
        let n = self.shape()[resolve_axis("split", axis, self.ndim())?];
        if sections == 0 || !n.is_multiple_of(sections) {
            let why = format!("an axis of length {n} has no so many equal parts; array_split makes unequal ones");
            return Err(Error::Argument { op: "split", name: "sections", value: sections.to_string(), why });
        }
        self.array_split(sections, axis)
    }

    /// Splits an axis into `sections` parts, which are views. Their lengths differ by at most one, the longer ones
    /// first.
    ///
    /// # Errors
    /// [`Error::Axis`]; [`Error::Argument`] for no sections; [`Error::OutOfMemory`] for more views than the
    /// memory holds.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3], [3])?;
    /// let parts = x.array_split(2, 0)?;
    /// assert_eq!((parts[0].to_vec()?, parts[1].to_vec()?), (vec![1, 2], vec![3]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn array_split(&self, sections: usize, axis: isize) -> Result<Vec<Array<T>>> {
        let op = "array_split";
        let axis = resolve_axis(op, axis, self.ndim())?;
        if sections == 0 {
            let why = "an axis has at least one part".into();
            return Err(Error::Argument { op, name: "sections", value: "0".into(), why });
        }
        let n = self.shape()[axis];
        let (each, longer) = (n / sections, n % sections);
        let mut views = room_for(sections)?;
        let start = |i: usize| i * each + i.min(longer);
        views.extend((0..sections).map(|i| self.part(axis, start(i), start(i + 1) - start(i))));
        Ok(views)
    }

    /// Splits an axis before the given indices into views. As for slices, negative indices count from the end, indices
    /// beyond the axis are its ends, and a part whose end is not after its start is empty.
    ///
    /// # Errors
    /// [`Error::Axis`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [4])?;
    /// let parts = x.split_at(&[1, 3], 0)?;
    /// assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [1, 2, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "array_split")]
    pub fn split_at(&self, indices: &[isize], axis: isize) -> Result<Vec<Array<T>>> {
        let axis = resolve_axis("split_at", axis, self.ndim())?;
        let n = self.shape()[axis];
        let bound = |&i: &isize| {
            if i < 0 { n.saturating_sub(i.unsigned_abs()) } else { i.unsigned_abs().min(n) }
        };
        let starts = std::iter::once(0).chain(indices.iter().map(bound));
        let ends = indices.iter().map(bound).chain([n]);
        Ok(starts.zip(ends).map(|(start, end)| self.part(axis, start, end.saturating_sub(start))).collect())
    }

    /// Returns a view for each index of an axis, without the axis.
    ///
    /// # Errors
    /// [`Error::Axis`]; [`Error::OutOfMemory`] for more views than the memory holds.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// let columns = x.unstack(1)?;
    /// assert_eq!((columns[0].to_vec()?, columns[1].to_vec()?), (vec![1, 3], vec![2, 4]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unstack(&self, axis: isize) -> Result<Vec<Array<T>>> {
        let axis = resolve_axis("unstack", axis, self.ndim())?;
        let n = self.shape()[axis];
        let mut views = room_for(n)?;
        views.extend((0..n).map(|i| {
            let mut layout = self.layout().clone();
            layout.cut(axis, i, 1, 1);
            layout.remove_axis(axis);
            self.with_layout(layout)
        }));
        Ok(views)
    }

    /// Returns a view of `len` elements of an axis.
    fn part(&self, axis: usize, from: usize, len: usize) -> Array<T> {
        let mut layout = self.layout().clone();
        layout.cut(axis, from, 1, len);
        self.with_layout(layout)
    }
}

/// Returns an empty vector with room for `n` views.
///
/// # Errors
/// [`Error::OutOfMemory`].
fn room_for<T: Element>(n: usize) -> Result<Vec<Array<T>>> {
    /// The bytes of a view.
    const VIEW: usize = 256;
    let bytes = n.saturating_mul(VIEW);
    // The pool checks large sizes against the machine's memory.
    if bytes > 1 << 30 {
        drop(Buffer::host(bytes)?);
    }
    crate::sort::reserve(n)
}
