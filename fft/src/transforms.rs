//! The transforms.

use crate::lines::{elements, lines, scratch, split};
use crate::{Norm, Over, Part, Signal, over, plans};
use polyarray_core::{Array, Complex, Device, Error, Number, Result, with_device};
use rustfft::FftDirection;

/// Runs operations of arrays on any device of the host, with a copy of `x` in host memory, and moves the result beside
/// `x`.
fn on_host<T: Signal, U: Signal>(x: &Array<T>, f: impl FnOnce(&Array<T>) -> Result<Array<U>>) -> Result<Array<U>> {
    with_device(&Device::auto(), || f(&x.to_device(&Device::auto())?))?.beside(x)
}

/// Transforms the lines of `n` elements along the last axis.
fn transform<P: Part>(x: &mut Array<P::Spectrum>, n: usize, direction: FftDirection, factor: f64) -> Result<()> {
    if x.is_empty() {
        return Ok(());
    }
    let (plan, factor) = (plans::complex::<P>(n, direction), <P as Number>::from_f64(factor));
    let mut view = x.view_mut()?;
    let numbers = P::numbers(elements(&mut view));
    let nothing = &mut vec![(); numbers.len() / n];
    split((numbers, n), (nothing, 1), |lines, _| {
        let mut scratch = scratch(Complex::new(P::ZERO, P::ZERO), plan.get_inplace_scratch_len())?;
        plan.process_with_scratch(lines, &mut scratch);
        if factor != P::ONE {
            lines.iter_mut().for_each(|y| *y = Complex::new(y.re * factor, y.im * factor));
        }
        Ok(())
    })
}

/// Transforms complex lines along several axes, the last one first.
fn complex<T: Signal>(x: &Array<T>, axes: &[(usize, usize)], norm: Norm, inverse: bool) -> Result<Array<T::Spectrum>> {
    let direction = if inverse { FftDirection::Inverse } else { FftDirection::Forward };
    let mut done: Option<Array<T::Spectrum>> = None;
    for &(axis, n) in axes.iter().rev() {
        let mut y = match &done {
            Some(y) => lines(y, axis, n)?,
            None => lines(x, axis, n)?,
        };
        transform::<T::Part>(&mut y, n, direction, norm.factor(inverse, n))?;
        done = Some(y.moveaxis(-1, axis)?);
    }
    done.map_or_else(|| x.cast().eval(), Ok)
}

/// Transforms real lines along an axis to the first half of their spectrum.
fn real_to_complex<P: Part>(x: &Array<P>, (axis, n): (usize, usize), factor: f64) -> Result<Array<P::Spectrum>> {
    let mut x = lines::<P, P>(x, axis, n)?;
    let m = n / 2 + 1;
    let mut shape = x.shape().to_vec();
    *shape.last_mut().expect("the array has the axis") = m;
    let mut y = Array::<P::Spectrum>::zeros(shape)?;
    if !y.is_empty() {
        let (plan, factor) = (plans::forward::<P>(n), <P as Number>::from_f64(factor));
        let (mut from, mut to) = (x.view_mut()?, y.view_mut()?);
        split((elements(&mut from), n), (P::numbers(elements(&mut to)), m), |x, y| {
            let mut scratch = scratch(Complex::new(P::ZERO, P::ZERO), plan.get_scratch_len())?;
            for (x, y) in x.chunks_exact_mut(n).zip(y.chunks_exact_mut(m)) {
                plan.process_with_scratch(x, y, &mut scratch).expect("lines of the lengths of the plan");
            }
            if factor != P::ONE {
                y.iter_mut().for_each(|y| *y = Complex::new(y.re * factor, y.im * factor));
            }
            Ok(())
        })?;
    }
    y.moveaxis(-1, axis)
}

/// Transforms the first half of spectra along an axis to real lines of `n` elements.
fn complex_to_real<P: Part>(x: &Array<P::Spectrum>, (axis, n): (usize, usize), factor: f64) -> Result<Array<P>> {
    let m = n / 2 + 1;
    let mut x = lines::<P::Spectrum, P::Spectrum>(x, axis, m)?;
    let mut shape = x.shape().to_vec();
    *shape.last_mut().expect("the array has the axis") = n;
    let mut y = Array::<P>::zeros(shape)?;
    if !y.is_empty() {
        let (plan, factor) = (plans::inverse::<P>(n), <P as Number>::from_f64(factor));
        let (mut from, mut to) = (x.view_mut()?, y.view_mut()?);
        split((P::numbers(elements(&mut from)), m), (elements(&mut to), n), |x, y| {
            let mut scratch = scratch(Complex::new(P::ZERO, P::ZERO), plan.get_scratch_len())?;
            for (x, y) in x.chunks_exact_mut(m).zip(y.chunks_exact_mut(n)) {
                // The spectrum of a real line is real here. As in NumPy, an imaginary part is ignored.
                x[0].im = P::ZERO;
                if n % 2 == 0 {
                    x[m - 1].im = P::ZERO;
                }
                plan.process_with_scratch(x, y, &mut scratch).expect("lines of the lengths of the plan");
                if factor != P::ONE {
                    y.iter_mut().for_each(|y| *y *= factor);
                }
            }
            Ok(())
        })?;
    }
    y.moveaxis(-1, axis)
}

/// The length of the real line for a half spectrum of `m` elements.
fn whole(m: usize) -> usize {
    2 * m.saturating_sub(1)
}

/// The discrete Fourier transform along one axis. Real operands are promoted to complex ones; [`rfft`] is twice as fast
/// for them.
///
/// # Errors
/// [`Error::Axis`] for an axis out of range, [`Error::OneAxis`] for several axes, [`Error::Argument`] for lines without
/// elements; [`Error::TooLarge`], [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft as fft;
/// let y = fft::fft(&Array::from([1.0, 2.0, 3.0, 4.0]), -1)?;
/// let expected = [(10.0, 0.0), (-2.0, 2.0), (-2.0, 0.0), (-2.0, -2.0)].map(|(re, im)| Complex::new(re, im));
/// assert_eq!(y, Array::from(expected));
/// assert_eq!(fft::ifft(&y, -1)?.real()?, Array::from([1.0, 2.0, 3.0, 4.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn fft<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Spectrum>> {
    let over = over.into();
    let line = over.resolve_one("fft", x.shape(), |n| n)?;
    on_host(x, |x| complex(x, &[line], over.norm, false))
}

/// The inverse of [`fft`].
///
/// # Errors
/// As [`fft`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft as fft;
/// let one = Array::from([Complex::new(1.0f32, 0.0); 4]);
/// assert_eq!(fft::ifft(&one, 0)?.real()?, Array::from([1.0, 0.0, 0.0, 0.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn ifft<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Spectrum>> {
    let over = over.into();
    let line = over.resolve_one("ifft", x.shape(), |n| n)?;
    on_host(x, |x| complex(x, &[line], over.norm, true))
}

/// The transform along several axes, of which the last one is transformed first: `fftn(&x, Over::all())`.
///
/// # Errors
/// [`Error::Axis`] for an axis out of range, [`Error::RepeatedAxis`], [`Error::Argument`] for lines without elements or
/// another number of lengths than axes; [`Error::TooLarge`], [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{Over, fftn, ifftn};
/// let x = Array::from([[1.0, 2.0], [3.0, 5.0]]);
/// let y = fftn(&x, Over::all())?;
/// assert_eq!(y.real()?, Array::from([[11.0, -3.0], [-5.0, 1.0]]));
/// assert_eq!(ifftn(&y, Over::all())?.real()?, x);
/// # Ok::<(), Error>(())
/// ```
pub fn fftn<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Spectrum>> {
    let over = over.into();
    let lines = over.resolve("fftn", x.shape(), |n| n)?;
    on_host(x, |x| complex(x, &lines, over.norm, false))
}

/// The inverse of [`fftn`].
///
/// # Errors
/// As [`fftn`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{Over, ifftn};
/// let x = Array::from([[Complex::new(1.0f64, 0.0); 2]; 2]);
/// assert_eq!(ifftn(&x, [0, 1])?.real()?, Array::from([[1.0, 0.0], [0.0, 0.0]]));
/// # Ok::<(), Error>(())
/// ```
pub fn ifftn<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Spectrum>> {
    let over = over.into();
    let lines = over.resolve("ifftn", x.shape(), |n| n)?;
    on_host(x, |x| complex(x, &lines, over.norm, true))
}

/// The first half of the transform of real lines of n elements along one axis: `n / 2 + 1` elements. The others are
/// their conjugates.
///
/// # Errors
/// As [`fft`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{irfft, rfft};
/// let x = Array::from([1.0f32, 2.0, 3.0, 4.0]);
/// let y = rfft(&x, -1)?;
/// assert_eq!((y.real()?, y.imag()?), (Array::from([10.0, -2.0, -2.0]), Array::from([0.0, 2.0, 0.0])));
/// assert_eq!(irfft(&y, -1)?, x);
/// # Ok::<(), Error>(())
/// ```
pub fn rfft<P: Part>(x: &Array<P>, over: impl Into<Over>) -> Result<Array<P::Spectrum>> {
    let over = over.into();
    let line = over.resolve_one("rfft", x.shape(), |n| n)?;
    on_host(x, |x| real_to_complex(x, line, over.norm.factor(false, line.1)))
}

/// The inverse of [`rfft`]: real lines of n elements, of which `n / 2 + 1` elements of the transform are read; by
/// default `n = 2 (m - 1)` for m elements. Give an odd length: `irfft(&y, over(-1).n(5))`. The imaginary parts of the
/// first element, and for an even n of the last one, are ignored.
///
/// # Errors
/// As [`fft`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{irfft, over, rfft};
/// let x = Array::from([1.0, 2.0, 4.0]);
/// assert!(irfft(&rfft(&x, 0)?, over(0).n(3))?.allclose(&x, 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn irfft<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Part>> {
    let over = over.into();
    let line = over.resolve_one("irfft", x.shape(), whole)?;
    on_host(x, |x| complex_to_real::<T::Part>(&x.cast().eval()?, line, over.norm.factor(true, line.1)))
}

/// The transform of real numbers along several axes: [`rfft`] along the last one of them, then [`fft`] along the
/// others.
///
/// # Errors
/// As [`fftn`]; [`Error::Argument`] for no axes.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{Over, irfftn, rfftn};
/// let x = Array::<f64>::ones([4, 6])?;
/// let y = rfftn(&x, Over::all())?;
/// assert_eq!((y.shape(), y.get([0, 0])?.re), (&[4, 4][..], 24.0));
/// assert!(irfftn(&y, Over::all())?.allclose(&x, 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn rfftn<P: Part>(x: &Array<P>, over: impl Into<Over>) -> Result<Array<P::Spectrum>> {
    let over = over.into();
    let lines = over.resolve("rfftn", x.shape(), |n| n)?;
    let (&last, others) = lines.split_last().ok_or_else(|| no_axes("rfftn"))?;
    on_host(x, |x| {
        let y = real_to_complex(x, last, over.norm.factor(false, last.1))?;
        complex(&y, others, over.norm, false)
    })
}

/// The inverse of [`rfftn`]. The length along the last of the axes is that of the result, as for [`irfft`].
///
/// # Errors
/// As [`rfftn`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{irfftn, over, rfftn};
/// let x = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]);
/// let y = rfftn(&x, [0, 1])?;
/// assert!(irfftn(&y, over([0, 1]).lens(&[2, 3]))?.allclose(&x, 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn irfftn<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Part>> {
    let over = over.into();
    let lines = over.resolve("irfftn", x.shape(), whole)?;
    let (&last, others) = lines.split_last().ok_or_else(|| no_axes("irfftn"))?;
    on_host(x, |x| {
        let y = complex(x, others, over.norm, true)?;
        complex_to_real::<T::Part>(&y, last, over.norm.factor(true, last.1))
    })
}

fn no_axes(op: &'static str) -> Error {
    let why = "a real transform has at least one axis".into();
    Error::Argument { op, name: "axes", value: "[]".into(), why }
}

macro_rules! two_axes {
    ($($(#[$attr:meta])* $name:ident = $of:ident<$Bound:ident>($Result:ident);)*) => { $(
        $(#[$attr])*
        ///
        /// # Errors
        #[doc = concat!("As [`", stringify!($of), "`].")]
        pub fn $name<T: $Bound>(x: &Array<T>) -> Result<Array<T::$Result>> {
            $of(x, over([-2, -1]))
        }
    )* };
}
two_axes! {
    /// The transform along the last two axes: `fftn(x, [-2, -1])`.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// # use polyarray_fft::{fft2, ifft2, irfft2, rfft2};
    /// let x = Array::from([[1.0, 2.0], [3.0, 5.0]]);
    /// let y = fft2(&x)?;
    /// assert_eq!(y.real()?, Array::from([[11.0, -3.0], [-5.0, 1.0]]));
    /// assert_eq!(ifft2(&y)?.real()?, x);
    /// assert_eq!((rfft2(&x)?, irfft2(&rfft2(&x)?)?), (y, x));
    /// # Ok::<(), Error>(())
    /// ```
    fft2 = fftn<Signal>(Spectrum);
    /// The inverse of [`fft2`]: `ifftn(x, [-2, -1])`.
    ifft2 = ifftn<Signal>(Spectrum);
    /// The transform of real numbers along the last two axes: `rfftn(x, [-2, -1])`.
    rfft2 = rfftn<Part>(Spectrum);
    /// The inverse of [`rfft2`]: `irfftn(x, [-2, -1])`.
    irfft2 = irfftn<Signal>(Part);
}

/// Returns the complex conjugates.
fn conjugated<T: Signal>(x: &Array<T>) -> Result<Array<T::Spectrum>> {
    x.cast::<T::Spectrum>().conj().eval()
}

/// The real transform of a line with Hermitian symmetry, `x[n - j] = conj(x[j])`, of which the first `n / 2 + 1`
/// elements are given; by default `n = 2 (m - 1)` for m elements.
///
/// # Errors
/// As [`fft`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::{hfft, ihfft};
/// let x = Array::from([1.0, 2.0, 3.0]);
/// let y = hfft(&x, -1)?;
/// assert_eq!(y, Array::from([8.0, -2.0, 0.0, -2.0]));
/// assert_eq!(ihfft(&y, -1)?.real()?, x);
/// # Ok::<(), Error>(())
/// ```
pub fn hfft<T: Signal>(x: &Array<T>, over: impl Into<Over>) -> Result<Array<T::Part>> {
    let over = over.into();
    let line = over.resolve_one("hfft", x.shape(), whole)?;
    on_host(x, |x| complex_to_real::<T::Part>(&conjugated(x)?, line, over.norm.factor(false, line.1)))
}

/// The inverse of [`hfft`].
///
/// # Errors
/// As [`fft`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_fft::ihfft;
/// assert_eq!(ihfft(&Array::from([4.0, 0.0, 0.0, 0.0]), -1)?.real()?, Array::from([1.0, 1.0, 1.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn ihfft<P: Part>(x: &Array<P>, over: impl Into<Over>) -> Result<Array<P::Spectrum>> {
    let over = over.into();
    let line = over.resolve_one("ihfft", x.shape(), |n| n)?;
    on_host(x, |x| conjugated(&real_to_complex(x, line, over.norm.factor(true, line.1))?))
}
