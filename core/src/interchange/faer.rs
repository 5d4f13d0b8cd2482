//! Conversions from and to matrices of the crate `faer`.

use crate::array::reserve;
use crate::{Array, Element, Error, MemoryId, Result, bytes};
use ::faer::{Mat, MatRef};

/// Copies the elements. The result is in Fortran order, as matrices of `faer` are.
///
/// ```
/// # use polyarray_core::*;
/// let theirs = faer::mat![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// assert_eq!(Array::try_from(theirs.as_ref())?, Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> TryFrom<MatRef<'_, T>> for Array<T> {
    type Error = Error;
    fn try_from(matrix: MatRef<'_, T>) -> Result<Array<T>> {
        let transposed = [matrix.ncols(), matrix.nrows()];
        let mut elements = reserve(&transposed.into())?;
        for column in 0..matrix.ncols() {
            elements.extend((0..matrix.nrows()).map(|row| matrix[(row, column)]));
        }
        Ok(Array::from_vec(elements, transposed)?.t())
    }
}

/// Copies the elements, as from a [`MatRef`].
impl<T: Element> TryFrom<&Mat<T>> for Array<T> {
    type Error = Error;
    fn try_from(matrix: &Mat<T>) -> Result<Array<T>> {
        matrix.as_ref().try_into()
    }
}

/// Copies the elements of an array of two axes. Fails with [`Error::Shapes`] for another number of axes.
///
/// ```
/// # use polyarray_core::*;
/// let theirs: faer::Mat<f64> = (&Array::from([[1.0, 2.0], [3.0, 4.0]])).try_into()?;
/// assert_eq!(theirs[(1, 0)], 3.0);
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> TryFrom<&Array<T>> for Mat<T> {
    type Error = Error;
    fn try_from(array: &Array<T>) -> Result<Mat<T>> {
        let [rows, columns] = matrix_shape(array)?;
        let elements = array.t().to_vec()?;
        Ok(Mat::from_fn(rows, columns, |i, j| elements[j * rows + i]))
    }
}

/// Makes a view of an array of two axes in host memory without copying its elements.
///
/// Fails with [`Error::Shapes`] for another number of axes, and with [`Error::Argument`] for an array on another device
/// or without an axis whose neighbouring elements are adjacent in memory (stride 1 or -1).
///
/// ```
/// # use polyarray_core::*;
/// let ours = Array::from([[1.0, 2.0], [3.0, 4.0]]);
/// let theirs = faer::MatRef::try_from(&ours)?;
/// assert_eq!(theirs * theirs, faer::mat![[7.0, 10.0], [15.0, 22.0]]);
/// # Ok::<(), Error>(())
/// ```
impl<'a, T: Element> TryFrom<&'a Array<T>> for MatRef<'a, T> {
    type Error = Error;
    fn try_from(array: &'a Array<T>) -> Result<MatRef<'a, T>> {
        let [rows, columns] = matrix_shape(array)?;
        let raw = array.raw();
        let refuse = |value: String, why: &str| {
            Err(Error::Argument { op: "faer", name: "array", value, why: format!("{why}; copy it into a Mat instead") })
        };
        if raw.buffer.memory() != MemoryId::HOST {
            return refuse("an array on another device".into(), "a view needs host memory");
        }
        if array.is_empty() {
            return Ok(MatRef::from_column_major_slice(&[], rows, columns));
        }
        let (lo, hi) = raw.layout.span();
        let elements = bytes::elements::<T>(&raw.buffer, lo, hi);
        let [down, along] = [array.strides()[0], array.strides()[1]];
        // The slice begins at the lowest address. Axes with negative strides are reversed afterwards.
        let view = if down.unsigned_abs() == 1 || rows == 1 {
            MatRef::from_column_major_slice_with_stride(elements, rows, columns, along.unsigned_abs())
        } else if along.unsigned_abs() == 1 || columns == 1 {
            MatRef::from_row_major_slice_with_stride(elements, rows, columns, down.unsigned_abs())
        } else {
            return refuse(format!("strides {:?}", array.strides()), "no axis has stride 1 or -1");
        };
        let view = if down < 0 && rows > 1 { view.reverse_rows() } else { view };
        Ok(if along < 0 && columns > 1 { view.reverse_cols() } else { view })
    }
}

fn matrix_shape<T: Element>(array: &Array<T>) -> Result<[usize; 2]> {
    array.shape().try_into().map_err(|_| Error::Shapes {
        op: "faer",
        left: array.shape().into(),
        right: [1, 1].into(),
        why: format!("a matrix has two axes, the array {}", array.ndim()),
    })
}
