//! Equality of arrays.

use super::Array;
use crate::{Element, Result};

impl<T: Element> Array<T> {
    /// Returns whether both arrays have the same shape and equal elements. NaN differs from everything, as in NumPy
    /// and for floats in Rust, so an array with NaN differs from itself; -0 equals 0.
    ///
    /// The host compares the elements: those of an array on another device are copied to it first. `a == b` is the
    /// same, but panics on an error; `a.equal(&b)` compares element by element and gives an array of bools.
    ///
    /// # Errors
    /// Errors that a device reports while elements are copied to the host; [`Error::OutOfMemory`](crate::Error).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from([[1, 2], [3, 4]]);
    /// assert!(a.array_equal(&a.t().t())?);
    /// assert!(!a.array_equal(&a.t())?);
    /// assert!(!a.array_equal(&a.ravel()?)?, "another shape");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn array_equal(&self, other: &Array<T>) -> Result<bool> {
        self.matches(other, T::eq)
    }

    /// As [`array_equal`](Self::array_equal), with NaN equal to NaN.
    ///
    /// # Errors
    /// As [`array_equal`](Self::array_equal).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, f64::NAN]);
    /// assert!(!x.array_equal(&x)? && x.array_equal_nan(&x)?);
    /// # Ok::<(), Error>(())
    /// ```
    #[expect(clippy::eq_op, reason = "NaN differs from itself")]
    pub fn array_equal_nan(&self, other: &Array<T>) -> Result<bool> {
        self.matches(other, |a, b| a == b || a != a && b != b)
    }

    /// Returns whether both arrays have the same shape, and `same` holds for all pairs of elements.
    fn matches(&self, other: &Array<T>, same: impl Fn(&T, &T) -> bool) -> Result<bool> {
        if self.shape() != other.shape() {
            return Ok(false);
        }
        let (a, b) = (self.on_host()?, other.on_host()?);
        match (a.as_slice(), b.as_slice()) {
            (Some(a), Some(b)) => Ok(a.iter().zip(b).all(|(a, b)| same(a, b))),
            _ => Ok(a.iter()?.zip(b.iter()?).all(|(a, b)| same(&a, &b))),
        }
    }
}

/// Compares shapes and elements: see [`Array::array_equal`].
///
/// # Panics
/// If the elements of an array on another device cannot be copied to the host, because the operator cannot return an
/// error. Arrays in host memory compare without copies and never panic.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([1.0, 4.0]);
/// assert_eq!(x.sqrt().eval()?, Array::from([1.0, 2.0]));
/// assert!(Array::from([f64::NAN]) != Array::from([f64::NAN]));
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> PartialEq for Array<T> {
    #[track_caller]
    fn eq(&self, other: &Array<T>) -> bool {
        match self.array_equal(other) {
            Ok(equal) => equal,
            Err(e) => panic!("==: {e} (array_equal returns this as an error)"),
        }
    }
}

impl<T: Element + Eq> Eq for Array<T> {}
