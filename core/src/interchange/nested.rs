//! Conversions from and to vectors, slices and nested arrays.

use crate::array::reserve;
use crate::{Array, Dims, Element, Error, Result};

/// Fails at compile time, where it is called from a constant, if the size in bytes of an array of this shape overflows.
/// Counts zero lengths as ones, as [`Dims::check`] does.
const fn assert_fits<T>(shape: &[usize]) {
    let (mut bytes, mut axis) = (size_of::<T>(), 0);
    while axis < shape.len() {
        let len = if shape[axis] == 0 { 1 } else { shape[axis] };
        bytes = match bytes.checked_mul(len) {
            Some(bytes) if bytes <= isize::MAX as usize => bytes,
            _ => panic!("the size in bytes of this array overflows"),
        };
        axis += 1;
    }
}

/// Implements conversions from and to arrays of one number of axes: the type, its lengths, and for each axis but the
/// last a step that joins the rows.
macro_rules! nested {
    ($($ty:ty: $($n:ident)*, $($flatten:ident)*, $($flattened:ident)*;)*) => { $(
        /// Moves the elements into an array of the same nesting.
        ///
        /// ```
        /// # use polyarray_core::*;
        /// let a = Array::from([[1, 2, 3], [4, 5, 6]]);
        /// assert_eq!((a.shape(), a.get([1, 0])?), (&[2, 3][..], 4));
        /// # Ok::<(), Error>(())
        /// ```
        impl<T: Element, $(const $n: usize),*> From<$ty> for Array<T> {
            fn from(elements: $ty) -> Array<T> {
                const { assert_fits::<T>(&[$($n),*]) };
                let elements = Vec::from(elements)$(.$flatten())*;
                Array::from_vec(elements, [$($n),*]).expect("the size was checked when this was compiled")
            }
        }

        /// Copies the elements. The shape must be that of the nested array.
        ///
        /// ```
        /// # use polyarray_core::*;
        /// let rows: [[f32; 2]; 2] = (&Array::from([[1.0f32, 2.0], [3.0, 4.0]])).try_into()?;
        /// assert_eq!(rows[1], [3.0, 4.0]);
        /// # Ok::<(), Error>(())
        /// ```
        impl<T: Element, $(const $n: usize),*> TryFrom<&Array<T>> for $ty {
            type Error = Error;
            fn try_from(array: &Array<T>) -> Result<$ty> {
                check_shape(array, &[$($n),*])?;
                let mut elements: $ty = nested!(@zeros $($n)*);
                elements.as_mut_slice()$(.$flattened())*.copy_from_slice(&array.to_vec()?);
                Ok(elements)
            }
        }
    )* };
    (@zeros) => { T::default() };
    (@zeros $first:ident $($n:ident)*) => { [nested!(@zeros $($n)*); $first] };
}
nested! {
    [T; A]: A, , ;
    [[T; B]; A]: A B, into_flattened, as_flattened_mut;
    [[[T; C]; B]; A]: A B C, into_flattened into_flattened, as_flattened_mut as_flattened_mut;
    [[[[T; D]; C]; B]; A]: A B C D, into_flattened into_flattened into_flattened,
        as_flattened_mut as_flattened_mut as_flattened_mut;
}

fn check_shape<T: Element>(array: &Array<T>, wanted: &[usize]) -> Result<()> {
    if array.shape() == wanted {
        return Ok(());
    }
    let why = "the shape of a nested array is part of its type".into();
    Err(Error::Shapes { op: "try_into", left: array.shape().into(), right: wanted.into(), why })
}

/// Makes an array of one axis of the elements, without copying them.
///
/// ```
/// # use polyarray_core::*;
/// let a = Array::from(vec![1.5, 2.5]);
/// assert_eq!(a.shape(), [2]);
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> From<Vec<T>> for Array<T> {
    fn from(elements: Vec<T>) -> Array<T> {
        let len = elements.len();
        Array::from_vec(elements, len).expect("the size of a vector does not overflow")
    }
}

/// Copies the elements into an array of one axis. See [`Array::from_slice`].
impl<T: Element> TryFrom<&[T]> for Array<T> {
    type Error = Error;
    fn try_from(elements: &[T]) -> Result<Array<T>> {
        Array::from_slice(elements, elements.len())
    }
}

/// Makes an array of two axes of the rows, without copying them.
///
/// ```
/// # use polyarray_core::*;
/// let points: Vec<[f32; 3]> = vec![[0.0, 0.0, 1.0], [0.5, 0.0, 0.0]];
/// assert_eq!(Array::try_from(points)?.shape(), [2, 3]);
/// # Ok::<(), Error>(())
/// ```
impl<T: Element, const N: usize> TryFrom<Vec<[T; N]>> for Array<T> {
    type Error = Error;
    fn try_from(rows: Vec<[T; N]>) -> Result<Array<T>> {
        let shape = Dims::from([rows.len(), N]);
        shape.check(T::DTYPE)?;
        Array::from_vec(rows.into_flattened(), shape)
    }
}

/// Copies the rows into an array of two axes.
///
/// Fails with [`Error::Shapes`] if the rows differ in length. No rows give the shape `[0, 0]`.
///
/// ```
/// # use polyarray_core::*;
/// assert_eq!(Array::try_from(vec![vec![1, 2], vec![3, 4]])?, Array::from([[1, 2], [3, 4]]));
/// let why = Array::try_from(vec![vec![1, 2], vec![3]]).unwrap_err().to_string();
/// assert!(why.contains("row 1 has length 1, row 0 has length 2"), "{why}");
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> TryFrom<Vec<Vec<T>>> for Array<T> {
    type Error = Error;
    fn try_from(rows: Vec<Vec<T>>) -> Result<Array<T>> {
        let shape = Dims::from([rows.len(), common_length(rows.iter())?]);
        joined(rows.iter(), shape)
    }
}

/// Copies the rows into an array of three axes. As for `Vec<Vec<T>>`.
impl<T: Element> TryFrom<Vec<Vec<Vec<T>>>> for Array<T> {
    type Error = Error;
    fn try_from(planes: Vec<Vec<Vec<T>>>) -> Result<Array<T>> {
        let rows = || planes.iter().flatten();
        let shape = Dims::from([planes.len(), common_length(planes.iter())?, common_length(rows())?]);
        joined(rows(), shape)
    }
}

/// Returns the length that all vectors have; 0 if there are none.
fn common_length<'a, A: 'a>(mut rows: impl Iterator<Item = &'a Vec<A>>) -> Result<usize> {
    let Some(first) = rows.next().map(Vec::len) else { return Ok(0) };
    match rows.zip(1..).find(|(row, _)| row.len() != first) {
        None => Ok(first),
        Some((row, i)) => Err(Error::Shapes {
            op: "array of nested vectors",
            left: first.into(),
            right: row.len().into(),
            why: format!("row {i} has length {}, row 0 has length {first}", row.len()),
        }),
    }
}

fn joined<'a, T: Element>(rows: impl Iterator<Item = &'a Vec<T>>, shape: Dims) -> Result<Array<T>> {
    let mut elements = reserve(&shape)?;
    rows.for_each(|row| elements.extend_from_slice(row));
    Array::from_vec(elements, shape)
}

/// Copies all elements, in C order. See [`Array::to_vec`].
///
/// ```
/// # use polyarray_core::*;
/// let v: Vec<i64> = (&Array::from([[1, 2], [3, 4]])).try_into()?;
/// assert_eq!(v, [1, 2, 3, 4]);
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> TryFrom<&Array<T>> for Vec<T> {
    type Error = Error;
    fn try_from(array: &Array<T>) -> Result<Vec<T>> {
        array.to_vec()
    }
}
