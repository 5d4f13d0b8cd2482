//! Views with axes reversed or in another order.

use super::{Array, Axes};
use crate::layout::{Layout, resolve_axes, resolve_axis};
use crate::{Element, Error, Result};
use smallvec::SmallVec;

impl<T: Element> Array<T> {
    /// Returns a view with one or more axes reversed.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.flip(1)?.to_vec()?, [2, 1, 4, 3]);
    /// assert_eq!(x.flip([0, 1])?.to_vec()?, [4, 3, 2, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "fliplr")]
    #[doc(alias = "flipud")]
    pub fn flip(&self, axes: impl Into<Axes>) -> Result<Array<T>> {
        let axes = axes.into().resolve("flip", self.ndim())?;
        Ok(self.with_layout(flipped(self.layout(), &axes)))
    }

    /// Returns a view in which the axes `from` have moved to the positions `to`. The others keep their order.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::RepeatedAxis`]; [`Error::Argument`] for different numbers of axes.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0; 24], [2, 3, 4])?;
    /// assert_eq!(x.moveaxis(0, -1)?.shape(), [3, 4, 2]);
    /// assert_eq!(x.moveaxis([0, 1], [-1, -2])?.shape(), [4, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn moveaxis(&self, from: impl Into<Axes>, to: impl Into<Axes>) -> Result<Array<T>> {
        let op = "moveaxis";
        let (from, to) = (from.into().resolve(op, self.ndim())?, to.into().resolve(op, self.ndim())?);
        if from.len() != to.len() {
            let why = format!("{} axes cannot move to {} positions", from.len(), to.len());
            return Err(Error::Argument { op, name: "to", value: format!("{to:?}"), why });
        }
        let mut others = (0..self.ndim()).filter(|a| !from.contains(a));
        let source = |position: usize| match to.iter().position(|&t| t == position) {
            Some(i) => from[i],
            None => others.next().expect("as many positions as axes"),
        };
        let order: SmallVec<[isize; 4]> = (0..self.ndim()).map(source).map(|a| a as isize).collect();
        self.permute(&order)
    }

    /// Returns a view with two axes exchanged.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0; 24], [2, 3, 4])?;
    /// assert_eq!(x.swapaxes(0, 2)?.shape(), [4, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn swapaxes(&self, axis1: isize, axis2: isize) -> Result<Array<T>> {
        let [a, b] = [axis1, axis2].map(|axis| resolve_axis("swapaxes", axis, self.ndim()));
        let mut order: SmallVec<[isize; 4]> = (0..self.ndim() as isize).collect();
        order.swap(a?, b?);
        self.permute(&order)
    }

    /// Returns a view that is rotated by `turns` times 90 degrees in the plane of two axes, from the first towards the
    /// second. Negative turns rotate in the other direction.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::RepeatedAxis`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.rot90(1, [0, 1])?.to_vec()?, [2, 4, 1, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn rot90(&self, turns: isize, axes: [isize; 2]) -> Result<Array<T>> {
        let plane = resolve_axes("rot90", &axes, self.ndim())?;
        let exchanged = |x: &Array<T>| x.swapaxes(plane[0] as isize, plane[1] as isize);
        match turns.rem_euclid(4) {
            0 => Ok(self.clone()),
            1 => exchanged(&self.with_layout(flipped(self.layout(), &plane[1..]))),
            2 => Ok(self.with_layout(flipped(self.layout(), &plane))),
            _ => exchanged(&self.with_layout(flipped(self.layout(), &plane[..1]))),
        }
    }
}

/// Returns the layout with the axes reversed.
fn flipped(layout: &Layout, axes: &[usize]) -> Layout {
    let mut out = layout.clone();
    for &axis in axes {
        let n = out.shape()[axis];
        out.cut(axis, n.saturating_sub(1), -1, n);
    }
    out
}
