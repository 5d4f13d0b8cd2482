#![cfg_attr(all(feature = "simd", feature = "blas", feature = "gpu"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "simd", feature = "blas", feature = "gpu")),
    doc = "NumPy-shaped arrays that run on whatever the machine has."
)]

// Linking a backend crate registers it: each crate submits an entry to core's list of devices.
extern crate polyarray_cpu as _;
#[cfg(feature = "gpu")]
extern crate polyarray_gpu as _;
#[cfg(feature = "simd")]
extern crate polyarray_simd as _;

pub use polyarray_core::*;
#[cfg(feature = "fft")]
pub use polyarray_fft as fft;
#[cfg(feature = "linalg")]
pub use polyarray_linalg as linalg;

/// The names that most programs need in scope: `use polyarray::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "fft")]
    pub use crate::fft;
    #[cfg(feature = "linalg")]
    pub use crate::linalg;
    pub use polyarray_core::{
        Array, Combine, Complex, Csr, DType, Device, Element, Error, Expr, Float, Fused, Indexing, IntoExpr, Matmul,
        Metric, NewAxis, Number, Overlap, Pad, Precision, Quantile, Real, Result, Side, ViewMut, axis, bf16, distance,
        einsum, einsum_path, f16, fuse, io, random, register, s, select, stream, trace, with_device,
    };
}
