//! Discrete Fourier transforms for polyarray.
//!
//! The functions have NumPy's names. A transform of n elements x is `y[k] = sum(x[j] exp(-2 pi i j k / n))` over j, the
//! inverse one has the opposite sign in the exponent and divides by n (see [`Norm`] for other normalisations). f32 is
//! computed in f32, f64 in f64, in time proportional to n log n for every n, also primes, and with an error that grows
//! with the logarithm of n: a few eps of the 2-norm of a line.
//!
//! The transforms are computed by the crates [`rustfft`](https://docs.rs/rustfft) and
//! [`realfft`](https://docs.rs/realfft) on the host, whatever device is selected. Different lines are distributed among
//! the threads of [`with_threads`](polyarray_core::with_threads). Arrays on another device are copied to the host, and
//! results to the device of the operand if its memory can store them. In a result, the axis that was transformed last
//! is contiguous in memory.

mod frequencies;
mod lines;
mod over;
mod plans;
mod signal;
mod transforms;

pub use frequencies::{fftfreq, fftshift, ifftshift, rfftfreq};
pub use over::{Norm, Over, over};
pub use signal::{Part, Signal};
pub use transforms::{fft, fft2, fftn, hfft, ifft, ifft2, ifftn, ihfft, irfft, irfft2, irfftn, rfft, rfft2, rfftn};
