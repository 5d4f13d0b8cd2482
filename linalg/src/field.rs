//! The dtypes of linear algebra.

use crate::decompose::Decompose;
use faer::traits::{ComplexField, RealField};
use polyarray_core::{Complex, Element, Float, Number};

/// The dtypes of linear algebra: f32, f64, `Complex<f32>` and `Complex<f64>`. Cast integers first: `x.cast::<f64>()`.
#[diagnostic::on_unimplemented(
    message = "linear algebra is not defined for `{Self}`",
    label = "expected f32, f64, Complex<f32> or Complex<f64>",
    note = "cast first: `x.cast::<f64>().eval()?`"
)]
pub trait Field:
    Number
    + Element<Sum = Self, Mean = Self, Real = <Self as Field>::Part>
    + ComplexField<Real = <Self as Field>::Part>
    + Decompose<Value = <Self as Field>::Spectrum>
{
    /// The type of magnitudes, such as norms and singular values: f32 or f64.
    type Part: Field<Part = <Self as Field>::Part, Spectrum = Self::Spectrum> + Float + RealField;
    /// The type of eigenvalues of general matrices: `Complex<f32>` or `Complex<f64>`.
    type Spectrum: Field<Part = <Self as Field>::Part, Spectrum = Self::Spectrum>;
}

macro_rules! fields {
    ($($part:ty),*) => { $(
        impl Field for $part {
            type Part = $part;
            type Spectrum = Complex<$part>;
        }
        impl Field for Complex<$part> {
            type Part = $part;
            type Spectrum = Complex<$part>;
        }
    )* };
}
fields!(f32, f64);
