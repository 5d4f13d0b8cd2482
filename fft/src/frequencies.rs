//! The frequencies of transforms, and the order with the frequency zero in the middle.

use polyarray_core::{Array, Axes, Element, Error, Float, Result};

/// Fails for no elements, and for an invalid distance.
fn check(op: &'static str, n: usize, d: f64) -> Result<()> {
    if n == 0 {
        let why = "a transform has at least one element".into();
        return Err(Error::Argument { op, name: "n", value: "0".into(), why });
    }
    if d == 0.0 || !d.is_finite() {
        let why = "the distance of samples is finite and not zero".into();
        return Err(Error::Argument { op, name: "d", value: d.to_string(), why });
    }
    Ok(())
}

/// The frequencies `[n]` of the elements of a transform of n samples that are `d` apart:
/// `0, 1, .., (n - 1) / 2, -(n / 2), .., -1`, divided by `n d`. Each is computed in f64 and rounded once.
///
/// # Errors
/// [`Error::Argument`] for no elements, or for a distance of zero, NaN or infinity; [`Error::OutOfMemory`].
///
/// ```
/// # use polyarray_core::*;
/// # use polyarray_fft::{fftfreq, rfftfreq};
/// assert_eq!(fftfreq::<f64>(4, 0.5)?, Array::from([0.0, 0.5, -1.0, -0.5]));
/// assert_eq!(rfftfreq::<f32>(4, 0.5)?, Array::from([0.0, 0.5, 1.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn fftfreq<F: Float>(n: usize, d: f64) -> Result<Array<F>> {
    check("fftfreq", n, d)?;
    let signed = |i: usize| if i <= (n - 1) / 2 { i as f64 } else { i as f64 - n as f64 };
    Array::from_fn(n, |index| F::from_f64(signed(index[0]) / (n as f64 * d)))
}

/// The frequencies `[n / 2 + 1]` of the elements of a [`rfft`](crate::rfft) of n samples that are `d` apart:
/// `0, 1, .., n / 2`, divided by `n d`. Each is computed in f64 and rounded once.
///
/// # Errors
/// As [`fftfreq`].
///
/// ```
/// # use polyarray_core::*;
/// # use polyarray_fft::rfftfreq;
/// assert_eq!(rfftfreq::<f64>(5, 0.1)?, Array::from([0.0, 2.0, 4.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn rfftfreq<F: Float>(n: usize, d: f64) -> Result<Array<F>> {
    check("rfftfreq", n, d)?;
    Array::from_fn(n / 2 + 1, |index| F::from_f64(index[0] as f64 / (n as f64 * d)))
}

/// Moves the element of frequency zero, the first one along each of the axes, to the middle, at `n / 2`.
///
/// # Errors
/// [`Error::Axis`], [`Error::RepeatedAxis`], [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{fftfreq, fftshift, ifftshift};
/// let x = fftfreq::<f64>(5, 0.2)?;
/// assert_eq!(fftshift(&x, 0)?, Array::from([-2.0, -1.0, 0.0, 1.0, 2.0]));
/// assert_eq!(ifftshift(&fftshift(&x, 0)?, 0)?, x);
/// # Ok::<(), Error>(())
/// ```
pub fn fftshift<T: Element>(x: &Array<T>, axes: impl Into<Axes>) -> Result<Array<T>> {
    let axes = axes.into().resolve("fftshift", x.ndim())?;
    axes.into_iter().try_fold(x.clone(), |x, axis| x.roll((x.shape()[axis] / 2) as isize, axis as isize))
}

/// The inverse of [`fftshift`].
///
/// # Errors
/// As [`fftshift`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::ifftshift;
/// assert_eq!(ifftshift(&Array::from([-1, 0, 1]), 0)?, Array::from([0, 1, -1]));
/// # Ok::<(), Error>(())
/// ```
pub fn ifftshift<T: Element>(x: &Array<T>, axes: impl Into<Axes>) -> Result<Array<T>> {
    let axes = axes.into().resolve("ifftshift", x.ndim())?;
    axes.into_iter().try_fold(x.clone(), |x, axis| x.roll(-((x.shape()[axis] / 2) as isize), axis as isize))
}
