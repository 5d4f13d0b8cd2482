//! The devices `scalar` and `blas` of polyarray.
//!
//! `scalar` is plain code for every operation and every dtype. It is the reference for the other devices and the last
//! fallback of `auto`. `blas` (feature `blas`) multiplies matrices with a CBLAS library and computes distances from
//! such products.
//!
//! Linking this crate is enough: both devices register themselves with `polyarray-core`.

#[cfg(feature = "blas")]
mod blas;
mod scalar;
mod strided;
