//! The devices `scalar` and `blas` of polyarray.
//!
//! `scalar` is plain code that takes every operation and every dtype: what the other devices are checked against, and the last resort of `auto`.
//! `blas` (feature `blas`) multiplies matrices, and measures distances by that, with a CBLAS library.
//!
//! Linking this crate is enough: both announce themselves to `polyarray-core`.

#[cfg(feature = "blas")]
mod blas;
mod scalar;
mod strided;
