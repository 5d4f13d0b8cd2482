//! Conversions from and to arrays of the crate `ndarray`.

use crate::array::reserve;
use crate::expr::RawArray;
use crate::layout::{Layout, Strides};
use crate::{Array, Buffer, Dims, Element, Error, MemoryId, Result, ViewMut, bytes};
use ::ndarray::{ArrayBase, ArrayView, ArrayViewMut, Data, Dimension, OwnedRepr, ShapeBuilder, StrideShape};

/// Takes over the elements and their order in memory, without copying them.
///
/// Fails with [`Error::Shapes`] for more than 16 axes.
///
/// ```
/// # use polyarray_core::*;
/// let theirs = ndarray::array![[1.0f32, 2.0], [3.0, 4.0]].reversed_axes();
/// let ours = Array::try_from(theirs)?;
/// assert_eq!((ours.strides(), &ours), (&[1, 2][..], &Array::from([[1.0, 3.0], [2.0, 4.0]])));
/// # Ok::<(), Error>(())
/// ```
impl<T: Element, D: Dimension> TryFrom<ArrayBase<OwnedRepr<T>, D>> for Array<T> {
    type Error = Error;
    fn try_from(array: ArrayBase<OwnedRepr<T>, D>) -> Result<Array<T>> {
        let shape = Dims::from(array.shape());
        shape.check(T::DTYPE)?;
        if shape.contains(&0) {
            return Array::from_vec(Vec::new(), shape);
        }
        let strides = Strides::from_slice(array.strides());
        let (elements, offset) = array.into_raw_vec_and_offset();
        let layout = Layout::from_parts(shape, strides, offset.unwrap_or(0));
        let (lo, hi) = layout.span();
        // An invariant of `ndarray`, which the safety of this library must not depend on.
        assert!(lo < hi && hi <= elements.len(), "an ndarray lies inside its vector");
        Array::from_raw(RawArray { buffer: Buffer::adopt(elements), dtype: T::DTYPE, layout })
    }
}

/// Copies the elements, of an array or a view, in C order.
///
/// ```
/// # use polyarray_core::*;
/// let theirs = ndarray::array![[1, 2, 3], [4, 5, 6]];
/// assert_eq!(Array::try_from(&theirs.row(1))?, Array::from([4, 5, 6]));
/// # Ok::<(), Error>(())
/// ```
impl<T: Element, S: Data<Elem = T>, D: Dimension> TryFrom<&ArrayBase<S, D>> for Array<T> {
    type Error = Error;
    fn try_from(array: &ArrayBase<S, D>) -> Result<Array<T>> {
        let shape = Dims::from(array.shape());
        let mut elements = reserve(&shape)?;
        elements.extend(array.iter().copied());
        Array::from_vec(elements, shape)
    }
}

/// Copies the elements in C order. Fails with [`Error::Shapes`] if `D` has another number of axes.
///
/// ```
/// # use polyarray_core::*;
/// let ours = Array::from([[1, 2], [3, 4]]);
/// let theirs: ndarray::Array2<i32> = (&ours).try_into()?;
/// assert_eq!(theirs, ndarray::array![[1, 2], [3, 4]]);
/// assert!(ndarray::Array1::try_from(&ours).is_err());
/// # Ok::<(), Error>(())
/// ```
impl<T: Element, D: Dimension> TryFrom<&Array<T>> for ArrayBase<OwnedRepr<T>, D> {
    type Error = Error;
    fn try_from(array: &Array<T>) -> Result<ArrayBase<OwnedRepr<T>, D>> {
        let shape = dimension::<D>(array.shape(), array.shape())?;
        ArrayBase::from_shape_vec(shape, array.to_vec()?).map_err(|e| refused(array.shape(), e))
    }
}

/// Makes a view of an array in host memory, with its strides: no elements are copied.
///
/// Fails with [`Error::Argument`] for an array on another device, and with [`Error::Shapes`] if `D` has another number
/// of axes.
///
/// ```
/// # use polyarray_core::*;
/// let ours = Array::from([[1, 2], [3, 4]]).slice(s![..;-1, ..])?;
/// let theirs = ndarray::ArrayView2::try_from(&ours)?;
/// assert_eq!(theirs, ndarray::array![[3, 4], [1, 2]]);
/// # Ok::<(), Error>(())
/// ```
impl<'a, T: Element, D: Dimension> TryFrom<&'a Array<T>> for ArrayView<'a, T, D> {
    type Error = Error;
    fn try_from(array: &'a Array<T>) -> Result<ArrayView<'a, T, D>> {
        let RawArray { buffer, layout, .. } = array.raw();
        let (lo, hi) = host_span(buffer, layout)?;
        let elements = if lo < hi { bytes::elements(buffer, lo, hi) } else { &[] };
        ArrayView::from_shape(strided(layout)?, elements).map_err(|e| refused(array.shape(), e))
    }
}

/// Makes a writable view, with the same strides: no elements are copied. Fails as the conversion of an [`Array`] to a
/// view.
///
/// ```
/// # use polyarray_core::*;
/// let mut ours = Array::from([[1, 2], [3, 4]]);
/// let mut view = ours.slice_mut(s![.., 1])?;
/// ndarray::ArrayViewMut1::try_from(&mut view)?.mapv_inplace(|x| -x);
/// assert_eq!(ours, Array::from([[1, -2], [3, -4]]));
/// # Ok::<(), Error>(())
/// ```
impl<'a, T: Element, D: Dimension> TryFrom<&'a mut ViewMut<'_, T>> for ArrayViewMut<'a, T, D> {
    type Error = Error;
    fn try_from(view: &'a mut ViewMut<'_, T>) -> Result<ArrayViewMut<'a, T, D>> {
        let (buffer, layout) = view.parts_mut();
        let (lo, hi) = host_span(buffer, layout)?;
        let shape = strided(layout)?;
        let elements = if lo < hi { bytes::elements_mut(buffer, lo, hi) } else { &mut [] };
        ArrayViewMut::from_shape(shape, elements).map_err(|e| refused(layout.shape(), e))
    }
}

/// Returns the range of elements in a host buffer; an empty one if there are no elements.
fn host_span(buffer: &Buffer, layout: &Layout) -> Result<(usize, usize)> {
    if buffer.memory() == MemoryId::HOST {
        return Ok(layout.span());
    }
    let why = "a view without a copy needs host memory: copy the array with to_device(&Device::auto())".into();
    Err(Error::Argument { op: "ndarray", name: "array", value: "an array on another device".into(), why })
}

/// Returns the shape and the strides. Negative strides are written as `ndarray` expects them: as wrapped `usize`.
fn strided<D: Dimension>(layout: &Layout) -> Result<StrideShape<D>> {
    let shape = dimension::<D>(layout.shape(), layout.shape())?;
    if layout.is_empty() {
        return Ok(shape.into());
    }
    let strides: Dims = layout.strides().iter().map(|&s| s as usize).collect();
    Ok(shape.strides(dimension::<D>(&strides, layout.shape())?))
}

/// Returns `numbers`, one for each axis of `shape`, as a dimension of `ndarray`.
fn dimension<D: Dimension>(numbers: &[usize], shape: &[usize]) -> Result<D> {
    if let Some(n) = D::NDIM.filter(|&n| n != numbers.len()) {
        let why = format!("the array has {} axes, the type of the other array {n}", numbers.len());
        return Err(Error::Shapes { op: "ndarray", left: shape.into(), right: Dims::from(vec![1; n]), why });
    }
    let mut dimension = D::zeros(numbers.len());
    dimension.slice_mut().copy_from_slice(numbers);
    Ok(dimension)
}

fn refused(shape: &[usize], why: ::ndarray::ShapeError) -> Error {
    Error::Shapes { op: "ndarray", left: shape.into(), right: shape.into(), why: why.to_string() }
}
