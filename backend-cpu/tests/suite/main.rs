//! The tests of `scalar` and `blas`, in one program.

mod common;

#[cfg(feature = "blas")]
mod blas;
mod conformance;
mod order;
mod scalar;
