//! Elementwise functions that no device has kernels for: they are computed on the host, one element after the other.

use crate::array::Array;
use crate::dtype::below;
use crate::{Element, Error, Kind, Result, Wide};

/// Fails unless the dtype is of one of these kinds.
fn require<T: Element>(op: &'static str, kinds: &[Kind], defined: &str) -> Result<()> {
    if kinds.contains(&T::DTYPE.kind()) {
        return Ok(());
    }
    Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: defined.into() })
}

/// Returns the value of an element that is an integer.
fn whole<T: Element>(x: T) -> i128 {
    match x.to_wide() {
        Wide::Int(x) => x,
        Wide::Float(_) | Wide::Complex(..) => unreachable!("the dtype was checked"),
    }
}

/// Returns the value of an element that is a real float.
fn float<T: Element>(x: T) -> f64 {
    match x.to_wide() {
        Wide::Float(x) => x,
        Wide::Int(_) | Wide::Complex(..) => unreachable!("the dtype was checked"),
    }
}

/// Returns the greatest common divisor by Euclid's algorithm.
fn divisor(x: i128, y: i128) -> i128 {
    let (mut x, mut y) = (x.abs(), y.abs());
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x
}

impl<T: Element> Array<T> {
    /// The greatest common divisors of integers, which broadcast: the largest integer that divides both, 0 of two
    /// zeros. Computed on the host.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for other dtypes than integers; as [`zip_elements`](Self::zip_elements).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from([12, -18, 0]), Array::from([8, 12, 0]));
    /// assert_eq!(x.gcd(&y)?, Array::from([4, 6, 0]));
    /// assert_eq!(x.lcm(&y)?, Array::from([24, 36, 0]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn gcd(&self, other: &Array<T>) -> Result<Array<T>> {
        require::<T>("gcd", &[Kind::Int, Kind::Uint], "integers")?;
        self.zip_elements(other, |x, y| T::from_wide(Wide::Int(divisor(whole(x), whole(y)))))
    }

    /// The least common multiples of integers, which broadcast: the smallest positive integer that both divide, 0 if
    /// one is 0. Larger multiples than the dtype has wrap. Computed on the host. [`gcd`](Self::gcd) has an example.
    ///
    /// # Errors
    /// As [`gcd`](Self::gcd).
    pub fn lcm(&self, other: &Array<T>) -> Result<Array<T>> {
        require::<T>("lcm", &[Kind::Int, Kind::Uint], "integers")?;
        self.zip_elements(other, |x, y| {
            let (x, y) = (whole(x), whole(y));
            // The product of two 64-bit numbers fits into 128 bits, of which the dtype keeps the low ones.
            let multiple = if x == 0 { 0 } else { (x / divisor(x, y)).unsigned_abs() * y.unsigned_abs() };
            T::from_wide(Wide::Int(multiple as i128))
        })
    }

    /// The products `x * 2^exponent` of real floats and integers, which broadcast, rounded once. Computed on the host.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for other dtypes than real floats; as [`zip_elements`](Self::zip_elements).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from([8.0f32, -0.75, 0.0]);
    /// let (mantissas, exponents) = x.frexp()?;
    /// assert_eq!(mantissas, Array::from([0.5, -0.75, 0.0]));
    /// assert_eq!(exponents, Array::from([4, 0, 0]));
    /// assert_eq!(mantissas.ldexp(&exponents)?, x);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ldexp(&self, exponents: &Array<i32>) -> Result<Array<T>> {
        require::<T>("ldexp", &[Kind::Float], "floats")?;
        // Narrower floats are exact as f64, and so are their products in the range of f64; beyond it all are zero or
        // infinite in the dtype, too.
        self.zip_elements(exponents, |x, exponent| T::from_wide(Wide::Float(libm::scalbn(float(x), exponent))))
    }

    /// The mantissas of real floats, of at least 1/2 and less than 1 in magnitude, and the exponents of the powers of
    /// two by which they are multiplied. Zeros, infinities and NaN are their own mantissas, with the exponent 0.
    /// Computed on the host. [`ldexp`](Self::ldexp) is the inverse, and has an example.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for other dtypes than real floats; as [`map_elements`](Self::map_elements).
    pub fn frexp(&self) -> Result<(Array<T>, Array<i32>)> {
        require::<T>("frexp", &[Kind::Float], "floats")?;
        let parts = |x: T| match float(x) {
            x if x == 0.0 || !x.is_finite() => (x, 0),
            x => libm::frexp(x),
        };
        let mantissas = self.map_elements(|x| T::from_wide(Wide::Float(parts(x).0)))?;
        Ok((mantissas, self.map_elements(|x| parts(x).1)?))
    }

    /// The next number of the dtype after each real float in the direction of another one; they broadcast. That other
    /// one if both are equal; NaN if one is NaN. Computed on the host.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for other dtypes than real floats; as [`zip_elements`](Self::zip_elements).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0f32, 0.0, f32::MAX]);
    /// let up = x.nextafter(&Array::from([f32::INFINITY]))?;
    /// assert_eq!(up, Array::from([1.0 + f32::EPSILON, f32::from_bits(1), f32::INFINITY]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn nextafter(&self, towards: &Array<T>) -> Result<Array<T>> {
        require::<T>("nextafter", &[Kind::Float], "floats")?;
        self.zip_elements(towards, |x, y| {
            let (from, to) = (float(x), float(y));
            let next = match from.partial_cmp(&to) {
                None => f64::NAN,
                Some(std::cmp::Ordering::Equal) => return y,
                Some(std::cmp::Ordering::Greater) => below(T::DTYPE, from),
                Some(std::cmp::Ordering::Less) => -below(T::DTYPE, -from),
            };
            T::from_wide(Wide::Float(next))
        })
    }
}
