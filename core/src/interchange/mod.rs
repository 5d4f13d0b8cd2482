//! Exchange of arrays with Rust's own types, other libraries and files.
//!
//! Nested arrays, vectors and bytes are always available. Features of the same names add the crates `ndarray`, `faer`
//! and `serde`, and the modules `safetensors` and `dlpack`. Files of NumPy are in [`io`](crate::io).

mod bytes;
mod nested;

#[cfg(feature = "dlpack")]
pub mod dlpack;
#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "safetensors")]
pub mod safetensors;
#[cfg(feature = "serde")]
mod serde;
