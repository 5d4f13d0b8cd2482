//! Coordinate grids, common shapes, diagonals and triangles.

use super::{Array, ViewMut};
use crate::expr::{Expr, IntoExpr, select};
use crate::{Dims, Element, Error, Result, Scalar};
use std::borrow::Cow;

/// The order of the axes of a coordinate grid: see [`Array::meshgrid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// Cartesian, NumPy's default: the first two arrays vary along axis 1 and axis 0.
    Xy,
    /// Matrix: array i varies along axis i.
    Ij,
}

impl<T: Element> Array<T> {
    /// Returns read-only views of the arrays, broadcast to one shape.
    ///
    /// # Errors
    /// [`Error::Broadcast`] if the shapes are incompatible; [`Error::TooLarge`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (row, column) = (Array::from_vec(vec![1, 2], [1, 2])?, Array::from_vec(vec![3, 4], [2, 1])?);
    /// let both = Array::broadcast_arrays(&[&row, &column])?;
    /// assert_eq!(both[1].to_vec()?, [3, 3, 4, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn broadcast_arrays(arrays: &[&Array<T>]) -> Result<Vec<Array<T>>> {
        let shape = arrays.iter().try_fold(Dims::new(), |shape, a| shape.broadcast(a.layout().shape()))?;
        arrays.iter().map(|a| a.broadcast_to(&shape)).collect()
    }

    /// Returns the coordinates of a grid as read-only views: for arrays `[n]`, `[m]`, .. of the positions along each
    /// axis, arrays of the shape `[n, m, ..]` ([`Indexing::Ij`]) or `[m, n, ..]` ([`Indexing::Xy`]). Array i of the
    /// result has the elements of array i, repeated along the other axes.
    ///
    /// # Errors
    /// [`Error::Shapes`] for arrays of more than one axis, or for too many arrays; [`Error::TooLarge`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![1, 2, 3], [3])?, Array::from_vec(vec![4, 5], [2])?);
    /// let grid = Array::meshgrid(&[&x, &y], Indexing::Xy)?;
    /// assert_eq!((grid[0].shape(), grid[0].to_vec()?), (&[2, 3][..], vec![1, 2, 3, 1, 2, 3]));
    /// assert_eq!(grid[1].to_vec()?, [4, 4, 4, 5, 5, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn meshgrid(arrays: &[&Array<T>], indexing: Indexing) -> Result<Vec<Array<T>>> {
        if let Some(other) = arrays.iter().find(|a| a.ndim() > 1) {
            let why = "the positions along an axis have at most one axis".into();
            return Err(Error::Shapes {
                op: "meshgrid",
                left: other.layout().shape().clone(),
                right: Dims::new(),
                why,
            });
        }
        // The axis along which array i varies.
        let axis = |i: usize| if indexing == Indexing::Xy && i < 2 && arrays.len() > 1 { 1 - i } else { i };
        let mut shape: Dims = arrays.iter().map(|_| 1).collect();
        arrays.iter().enumerate().for_each(|(i, a)| shape.axes_mut()[axis(i)] = a.len());
        shape.check(T::DTYPE)?;
        let one = |(i, a): (usize, &&Array<T>)| {
            let mut own: Dims = arrays.iter().map(|_| 1).collect();
            own.axes_mut()[axis(i)] = a.len();
            a.reshape(own)?.broadcast_to(&shape)
        };
        arrays.iter().enumerate().map(one).collect()
    }

    /// Of a matrix, a view of the diagonal whose column index exceeds the row index by `k`: see
    /// [`diagonal_at`](Self::diagonal_at). Of one axis, a new square matrix that has its elements on this diagonal, and
    /// zeros elsewhere.
    ///
    /// # Errors
    /// [`Error::Shapes`] for another number of axes; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2], [2])?;
    /// assert_eq!(x.diag(0)?.to_vec()?, [1, 0, 0, 2]);
    /// assert_eq!(x.diag(-1)?.diag(-1)?.to_vec()?, [1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn diag(&self, k: isize) -> Result<Array<T>> {
        match self.ndim() {
            2 => self.diagonal_at(k, 0, 1),
            1 => {
                let n = self.len().saturating_add(k.unsigned_abs());
                let mut out = Array::<T>::zeros([n, n])?.beside(self)?;
                let diagonal = out.layout().diagonal(k, 0, 1)?;
                let mut whole = out.view_mut()?;
                ViewMut::new(whole.parts_mut().0, Cow::Owned(diagonal)).assign(self)?;
                Ok(out)
            }
            _ => {
                let why = "a diagonal belongs to a matrix, or is an array of one axis".into();
                Err(Error::Shapes { op: "diag", left: self.layout().shape().clone(), right: Dims::new(), why })
            }
        }
    }

    /// The lower triangle of the matrices along the last two axes: elements whose column index exceeds the row index by
    /// more than `k` are zero.
    ///
    /// # Errors
    /// [`Error::Shapes`] for less than two axes; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.tril(0)?.to_vec()?, [1, 0, 3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tril(&self, k: isize) -> Result<Array<T>> {
        self.triangle("tril", k, true)
    }

    /// The upper triangle of the matrices along the last two axes: elements whose column index exceeds the row index by
    /// less than `k` are zero.
    ///
    /// # Errors
    /// As [`tril`](Self::tril).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(x.triu(1)?.to_vec()?, [0, 2, 0, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn triu(&self, k: isize) -> Result<Array<T>> {
        self.triangle("triu", k, false)
    }

    fn triangle(&self, op: &'static str, k: isize, lower: bool) -> Result<Array<T>> {
        let [.., n, m] = *self.shape() else {
            let why = "a triangle belongs to a matrix: an array of at least two axes".into();
            return Err(Error::Shapes { op, left: self.layout().shape().clone(), right: Dims::new(), why });
        };
        // Narrow numbers compare faster, and all GPUs have i32.
        if n.max(m) < 1 << 30 {
            let ramp = |n: usize| Array::<i32>::arange(0, n as i32, 1);
            self.select_triangle(&ramp(n)?, &ramp(m)?, k.clamp(-(1 << 30), 1 << 30) as i32, lower)
        } else {
            let ramp = |n: usize| Array::<i64>::arange(0, n as i64, 1);
            // A ramp has at most `isize::MAX / 8` numbers, so a larger `k` selects everything or nothing.
            self.select_triangle(&ramp(n)?, &ramp(m)?, k.clamp(-(isize::MAX / 4), isize::MAX / 4) as i64, lower)
        }
    }

    /// Keeps the elements for which the difference of the column (from `columns`) and the row (from `rows`) is at most
    /// `k` (`lower`) or at least `k`.
    fn select_triangle<I: Element>(&self, rows: &Array<I>, columns: &Array<I>, k: I, lower: bool) -> Result<Array<T>> {
        let rows = rows.reshape([rows.len(), 1])?;
        let limit = rows.into_expr() + Expr::of_value(Scalar::new(k));
        let inside = if lower { columns.less_equal(limit) } else { columns.greater_equal(limit) };
        select(inside, self, Expr::of_value(Scalar::new(T::default()))).eval()
    }
}
