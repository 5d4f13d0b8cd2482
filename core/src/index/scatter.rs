//! Writes at indices along an axis.

use super::{Index, Space, aligned, checked, every, offsets, same_ndim, three, with_step};
use crate::array::{Array, ViewMut};
use crate::device::Device;
use crate::expr::{Expr, IntoExpr};
use crate::layout::resolve_axis;
use crate::op::{Combine, Op, Operand, Output, Scatter};
use crate::plan::execute;
use crate::{DType, Element, Error, MemoryId, Result, canon};

/// Defines the methods of arrays and views that write at indices.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($how:expr) as $of:ident;)*) => {
        impl<T: Element> Array<T> {
            $(
                $(#[$doc])*
                pub fn $name<I: Index>(
                    &mut self,
                    indices: &Array<I>,
                    values: impl IntoExpr<T>,
                    axis: isize,
                ) -> Result<()> {
                    self.view_mut()?.$of($how, indices, values, axis)
                }
            )*
        }

        impl<T: Element> ViewMut<'_, T> {
            $(
                $(#[$doc])*
                pub fn $name<I: Index>(
                    &mut self,
                    indices: &Array<I>,
                    values: impl IntoExpr<T>,
                    axis: isize,
                ) -> Result<()> {
                    self.$of($how, indices, values, axis)
                }
            )*
        }
    };
}

methods! {
    /// Writes `values` to the elements at `indices` along `axis`: `x[.., indices, ..] = values`. The values broadcast
    /// to the shape that [`take`](Array::take) would return. Negative indices count from the end. Of several values for
    /// one element, the last one in C order remains.
    ///
    /// # Errors
    /// As [`take`](Array::take), and as [`view_mut`](Array::view_mut);
    /// [`Error::BroadcastTo`](crate::Error::BroadcastTo) if the values do not fit. On an error, nothing is written.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::<i32>::zeros([2, 3])?;
    /// x.put(&Array::from_vec(vec![0, -1], [2])?, 7, 1)?;
    /// assert_eq!(x.to_vec()?, [7, 0, 7, 7, 0, 7]);
    /// # Ok::<(), Error>(())
    /// ```
    put(Combine::Set) as scatter;

    /// Writes `values` to the elements at `indices` along `axis`, each for its own line: `x[.., indices[.., i, ..], ..]
    /// = values[.., i, ..]`. The indices have as many axes as this array; those other than `axis` broadcast to its
    /// shape, and the values to that of the result of [`take_along_axis`](Array::take_along_axis).
    ///
    /// # Errors
    /// As [`put`](Array::put); [`Error::Shapes`](crate::Error::Shapes) if the numbers of axes differ.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::from_vec(vec![3, 1, 2, 4, 6, 5], [2, 3])?;
    /// let largest = x.argmax_axis(axis(1).keepdims())?;
    /// x.put_along_axis(&largest, 0, 1)?;
    /// assert_eq!(x.to_vec()?, [0, 1, 2, 4, 0, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    put_along_axis(Combine::Set) as scatter_along_axis;

    /// Adds `values` to the elements at `indices` along `axis`, as NumPy's `np.add.at(x, indices, values)`: an index
    /// that occurs several times adds several values, in C order. Otherwise as [`put`](Array::put), for numbers.
    ///
    /// # Errors
    /// As [`put`](Array::put); [`Error::DTypeUndefined`](crate::Error::DTypeUndefined) for bool.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::<f32>::zeros([3])?;
    /// let values = Array::from_vec(vec![1.0, 2.0, 4.0], [3])?;
    /// x.scatter_add(&Array::from_vec(vec![2u8, 0, 2], [3])?, &values, 0)?;
    /// assert_eq!(x.to_vec()?, [2.0, 0.0, 5.0]);
    /// # Ok::<(), Error>(())
    /// ```
    scatter_add(Combine::Add) as scatter;

    /// Replaces the elements at `indices` along `axis` by the minimum of them and `values`, as NumPy's
    /// `np.minimum.at(x, indices, values)`; NaN wins. Otherwise as [`put`](Array::put), for real numbers.
    ///
    /// # Errors
    /// As [`put`](Array::put); [`Error::DTypeUndefined`](crate::Error::DTypeUndefined) for bool and complex numbers.
    scatter_min(Combine::Min) as scatter;

    /// Replaces the elements at `indices` along `axis` by the maximum of them and `values`, as NumPy's
    /// `np.maximum.at(x, indices, values)`; NaN wins. Otherwise as [`put`](Array::put), for real numbers.
    ///
    /// # Errors
    /// As [`scatter_min`](Array::scatter_min).
    scatter_max(Combine::Max) as scatter;
}

impl<T: Element> Array<T> {
    /// [`put`](Self::put), [`scatter_add`](Self::scatter_add), [`scatter_min`](Self::scatter_min) or
    /// [`scatter_max`](Self::scatter_max), chosen by a value.
    ///
    /// # Errors
    /// As these methods.
    pub fn scatter<I: Index>(
        &mut self,
        how: Combine,
        indices: &Array<I>,
        values: impl IntoExpr<T>,
        axis: isize,
    ) -> Result<()> {
        self.view_mut()?.scatter(how, indices, values, axis)
    }

    /// As [`scatter`](Self::scatter), with indices for each line as in [`put_along_axis`](Self::put_along_axis).
    ///
    /// # Errors
    /// As [`scatter`](Self::scatter) and [`put_along_axis`](Self::put_along_axis).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::from_vec(vec![3, 1, 2, 4, 6, 5], [2, 3])?;
    /// let first = Array::from_vec(vec![0, 1], [2, 1])?;
    /// x.scatter_along_axis(Combine::Max, &first, 5, 1)?;
    /// assert_eq!(x.to_vec()?, [5, 1, 2, 4, 6, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn scatter_along_axis<I: Index>(
        &mut self,
        how: Combine,
        indices: &Array<I>,
        values: impl IntoExpr<T>,
        axis: isize,
    ) -> Result<()> {
        self.view_mut()?.scatter_along_axis(how, indices, values, axis)
    }
}

impl<T: Element> ViewMut<'_, T> {
    /// As [`Array::scatter`].
    ///
    /// # Errors
    /// As [`Array::scatter`].
    pub fn scatter<I: Index>(
        &mut self,
        how: Combine,
        indices: &Array<I>,
        values: impl IntoExpr<T>,
        axis: isize,
    ) -> Result<()> {
        if self.memory() != MemoryId::HOST {
            return self.on_host(|host| host.scatter(how, indices, values, axis));
        }
        let axis = resolve_axis(how.name(), axis, self.shape().len())?;
        let indices = checked(indices, axis, self.shape()[axis])?;
        let space = every(self.layout(), T::DTYPE, axis, indices.layout())?;
        self.write_at(how, &indices, values.into_expr(), &space, axis)
    }

    /// As [`Array::scatter_along_axis`].
    ///
    /// # Errors
    /// As [`Array::scatter_along_axis`].
    pub fn scatter_along_axis<I: Index>(
        &mut self,
        how: Combine,
        indices: &Array<I>,
        values: impl IntoExpr<T>,
        axis: isize,
    ) -> Result<()> {
        if self.memory() != MemoryId::HOST {
            return self.on_host(|host| host.scatter_along_axis(how, indices, values, axis));
        }
        let axis = resolve_axis(how.name(), axis, self.shape().len())?;
        same_ndim(how.name(), self.layout().shape(), indices.layout().shape())?;
        let indices = checked(indices, axis, self.shape()[axis])?;
        let mut shape = self.layout().shape().clone();
        shape.axes_mut()[axis] = indices.shape()[axis];
        shape.check(T::DTYPE)?;
        let space = aligned(self.layout(), axis, indices.layout(), &shape)?;
        self.write_at(how, &indices, values.into_expr(), &space, axis)
    }

    /// Combines `values` with the elements of `space`, which lie in host memory.
    pub(super) fn write_at(
        &mut self,
        how: Combine,
        indices: &Array<i64>,
        values: Expr<T>,
        space: &Space,
        axis: usize,
    ) -> Result<()> {
        if !how.kinds().contains(T::DTYPE) {
            let defined = how.kinds().describe();
            return Err(Error::DTypeUndefined { op: how.name(), dtype: T::DTYPE, defined });
        }
        let values = match values.small_value()? {
            Some(array) => Array::from_shared(array.into_owned())?,
            None => values.eval()?,
        };
        let values = values.broadcast_to(&space.shape)?.on_host()?;
        if space.shape.contains(&0) {
            return Ok(());
        }
        let len = self.shape()[axis];
        let (buffer, layout) = self.parts_mut();
        let (at, from) = (indices.raw(), values.raw());
        let mut starts = [layout.offset(), at.layout.offset(), from.layout.offset()].map(|o| o as isize);
        let operands = [&space.kept[..], &space.indices, from.layout.strides()];
        let (lens, strides) = canon::indexed(&space.shape, &operands, &mut starts);
        let ([kept, index, value], [offset, at_offset, from_offset]) = (three(strides), offsets(starts));
        let op = Scatter {
            how,
            dtype: T::DTYPE,
            shape: lens,
            indices: Operand { buffer: at.buffer.clone(), dtype: DType::I64, offset: at_offset, strides: index },
            values: Operand { buffer: from.buffer.clone(), dtype: T::DTYPE, offset: from_offset, strides: value },
            len,
            output: Output { dtype: T::DTYPE, offset, strides: with_step(kept, space.step) },
        };
        execute(Op::from(op), &Device::current()?, Some(buffer.clone())).map(|_| ())
    }
}
