//! The dtypes of transforms.

use crate::plans::Plans;
use polyarray_core::{Complex, Element, Float, Number};
use rustfft::FftNum;
use std::sync::{LazyLock, Mutex};

/// The dtypes of the parts of complex numbers: f32 and f64. Real transforms are defined for them.
#[diagnostic::on_unimplemented(
    message = "real Fourier transforms are not defined for `{Self}`",
    label = "expected f32 or f64",
    note = "cast first: `x.cast::<f64>().eval()?`"
)]
pub trait Part: Float + FftNum + Signal<Part = Self> {
    /// The plans of transforms in this precision.
    #[doc(hidden)]
    fn plans() -> &'static Mutex<Plans<Self>>;

    /// Returns the same numbers.
    #[doc(hidden)]
    fn numbers(numbers: &mut [Self::Spectrum]) -> &mut [Complex<Self>];
}

/// The dtypes of elements that have a Fourier transform: f32, f64, `Complex<f32>` and `Complex<f64>`.
#[diagnostic::on_unimplemented(
    message = "Fourier transforms are not defined for `{Self}`",
    label = "expected f32, f64, Complex<f32> or Complex<f64>",
    note = "cast first: `x.cast::<f64>().eval()?`"
)]
pub trait Signal: Number + Element {
    /// The type of the parts of the transform: f32 or f64.
    type Part: Part<Spectrum = Self::Spectrum>;
    /// The type of the transform: `Complex<f32>` or `Complex<f64>`.
    type Spectrum: Signal<Part = Self::Part, Spectrum = Self::Spectrum>;
}

macro_rules! signals {
    ($($part:ty),*) => { $(
        impl Part for $part {
            fn plans() -> &'static Mutex<Plans<$part>> {
                static PLANS: LazyLock<Mutex<Plans<$part>>> = LazyLock::new(Mutex::default);
                &PLANS
            }
            fn numbers(numbers: &mut [Complex<$part>]) -> &mut [Complex<$part>] {
                numbers
            }
        }
        impl Signal for $part {
            type Part = $part;
            type Spectrum = Complex<$part>;
        }
        impl Signal for Complex<$part> {
            type Part = $part;
            type Spectrum = Complex<$part>;
        }
    )* };
}
signals!(f32, f64);
