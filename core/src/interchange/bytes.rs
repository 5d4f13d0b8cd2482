//! Conversions from and to bytes, in the byte order of the machine.

use crate::{Array, Dims, DynArray, Element, Result};

impl<T: Element> Array<T> {
    /// Copies elements in C order from their bytes in the byte order of the machine. The bytes need no alignment.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if there are not as many bytes as the elements of this shape have,
    /// or if a byte of a bool is neither 0 nor 1; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let bytes: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_ne_bytes()).collect();
    /// let a = Array::<f32>::from_bytes(&bytes, [2])?;
    /// assert_eq!(a, Array::from([1.5, -2.0]));
    /// assert_eq!((a.to_bytes()?, a.as_bytes()), (bytes.clone(), Some(&bytes[..])));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("frombuffer"))]
    pub fn from_bytes(bytes: &[u8], shape: impl Into<Dims>) -> Result<Array<T>> {
        DynArray::from_bytes(T::DTYPE, shape, bytes)?.typed()
    }

    /// Copies the bytes of all elements, in C order, in the byte order of the machine. See
    /// [`from_bytes`](Self::from_bytes).
    ///
    /// # Errors
    /// As [`to_vec`](Self::to_vec).
    #[doc(alias("tobytes"))]
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.clone().erase().to_bytes()
    }

    /// Returns the bytes of the elements if they lie in host memory in C order without gaps. See
    /// [`from_bytes`](Self::from_bytes).
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.as_slice().map(bytemuck::cast_slice)
    }
}
