//! Repeated elements and arrays. A view repeats them by strides of 0, and one copy makes the view an array.

use crate::array::Array;
use crate::layout::{Layout, Strides, resolve_axis};
use crate::{Dims, Element, Error, MAX_NDIM, Result};

impl<T: Element> Array<T> {
    /// Repeats every element `n` times along `axis`: `[.., len, ..]` becomes `[.., len * n, ..]`.
    ///
    /// # Errors
    /// [`Error::Axis`]; [`Error::Shapes`] if the array has [`MAX_NDIM`] axes; [`Error::TooLarge`],
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2], [2])?;
    /// assert_eq!(x.repeat(3, 0)?.to_vec()?, [1, 1, 1, 2, 2, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn repeat(&self, n: usize, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("repeat", axis, self.ndim())?;
        self.repeated("repeat", |a, len, axes| {
            axes.push((len, true));
            if a == axis {
                axes.push((n, false));
            }
        })
    }

    /// Repeats the element at index `i` of `axis` `counts[i]` times along it.
    ///
    /// # Errors
    /// [`Error::Count`] if there are not as many counts as elements; as [`repeat`](Self::repeat).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3], [3])?;
    /// assert_eq!(x.repeat_each(&[2, 0, 1], 0)?.to_vec()?, [1, 1, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "repeat")]
    pub fn repeat_each(&self, counts: &[usize], axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("repeat_each", axis, self.ndim())?;
        let len = self.shape()[axis];
        if counts.len() != len {
            let shape = self.layout().shape().clone();
            return Err(Error::Count { op: "repeat_each", shape, expected: len, found: counts.len() });
        }
        let total = counts.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)).unwrap_or(usize::MAX);
        let mut shape = self.layout().shape().clone();
        shape.axes_mut()[axis] = total;
        shape.check(T::DTYPE)?;
        Dims::from(total).check(crate::DType::I64)?;
        let mut at = crate::array::reserve::<i64>(&Dims::from(total))?;
        counts.iter().enumerate().for_each(|(i, &n)| at.extend(std::iter::repeat_n(i as i64, n)));
        self.take(&Array::from_vec(at, total)?, axis as isize)
    }

    /// Repeats the whole array: `n` times along each axis for `repeats = [.., n, ..]`. Missing leading numbers are 1,
    /// and further ones repeat along new leading axes.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the axes and those along which the array is repeated are more than [`MAX_NDIM`];
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2], [2])?;
    /// let y = x.tile(&[2, 2])?;
    /// assert_eq!((y.shape(), y.to_vec()?), (&[2, 4][..], vec![1, 2, 1, 2, 1, 2, 1, 2]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tile(&self, repeats: &[usize]) -> Result<Array<T>> {
        let more = repeats.len().saturating_sub(self.ndim());
        let missing = self.ndim().saturating_sub(repeats.len());
        let lens: Dims = std::iter::repeat_n(1, more).chain(self.shape().iter().copied()).collect();
        let wide = self.reshape(lens)?;
        wide.repeated("tile", |a, len, axes| {
            if let Some(&n) = a.checked_sub(missing).and_then(|a| repeats.get(a))
                && n != 1
            {
                axes.push((n, false));
            }
            axes.push((len, true));
        })
    }

    /// Copies a view in which each axis is replaced by the axes that `split` pushes for its number and length: each has
    /// a length, and is the axis itself (once) or a repetition. In the result, they are one axis again.
    fn repeated(&self, op: &'static str, split: impl Fn(usize, usize, &mut Vec<(usize, bool)>)) -> Result<Array<T>> {
        let (mut shape, mut lens, mut strides) = (Dims::new(), Dims::new(), Strides::new());
        for (a, (&len, &stride)) in self.shape().iter().zip(self.strides()).enumerate() {
            let mut axes = Vec::with_capacity(2);
            split(a, len, &mut axes);
            // A product that overflows is too large for every dtype.
            shape.push(axes.iter().fold(1usize, |all, &(n, _)| all.saturating_mul(n)));
            for (n, own) in axes {
                lens.push(n);
                strides.push(if own { stride } else { 0 });
            }
        }
        shape.check(T::DTYPE)?;
        if shape.contains(&0) {
            return Array::from_vec(Vec::new(), shape)?.beside(self);
        }
        if lens.len() > MAX_NDIM {
            let why = format!("the axes and the repetitions are {}; the maximum is {MAX_NDIM}", lens.len());
            return Err(Error::Shapes { op, left: self.layout().shape().clone(), right: shape, why });
        }
        let view = self.with_layout(Layout::from_parts(lens.clone(), strides, self.layout().offset()));
        Ok(view.copied(Layout::contiguous(lens))?.with_layout(Layout::contiguous(shape)))
    }
}
