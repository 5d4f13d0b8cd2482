//! One suite that every backend must pass. It runs every operation, dtype and layout on random and special values, and
//! compares the results with those of `scalar`, the oracle.
//!
//! ```no_run
//! use polyarray_conformance::{Filter, check};
//! use polyarray_core::Device;
//! // `scalar`, the oracle, must be linked as well: `extern crate polyarray_cpu as _;`
//! let device = Device::named("mine")?;
//! check(&device, &Filter::quick()).assert_ok();
//! # Ok::<(), polyarray_core::Error>(())
//! ```
//!
//! The cases come from core's table of ufuncs, so that the suite covers a new ufunc without a new test. An operation
//! that a backend refuses is counted with its reason and is no failure, except for `scalar`, which must not refuse any.
//!
//! # How a case runs
//! Cases use the public API (`Array`, `Expr`, sums, `matmul`, `cdist`). A guard wraps the backend under test. It
//! provides outputs with sentinels around and between the elements, and checks whether a sentinel was overwritten. It
//! runs each operation twice, on different initial contents of the output and, where possible, at an offset some
//! elements apart. The comparison of both runs reveals elements that were not written and results that depend on the
//! position of the output. Operands are surrounded by NaN or large numbers.
//!
//! # Tolerances
//! A device whose memory is host memory must meet the CPU tolerances, any other device the GPU tolerances.
//!
//! | operation | CPU | GPU |
//! |---|---|---|
//! | ufuncs with 0 ULP in the table, select, casts, copies | the same bits (note 1) | the same bits (notes 1 and 2) |
//! | other ufuncs, f32 | the table's ULP against `scalar` in f64 | the table's ULP (note 3) |
//! | other ufuncs, f64 | the table's ULP and 1 for the oracle's own error | the same |
//! | other ufuncs, f16 and bf16 | 1 ULP against `scalar` in f64 | the table's ULP, at least 1 |
//! | abs, sqrt, div and functions of complex numbers | (8 + 2 ULP) eps, of the magnitude | the same |
//! | programs of exact steps | the same bits | eps (steps + 2) max(4, the largest value) |
//! | other programs | eps (steps + ULP + 2) max(4, the largest value) | the same with 4 ULP |
//! | sums, products, means | the same bits: core fixes the order | note 4 |
//! | minima, maxima | the same bits | the same, subnormals flushed |
//! | indices of minima and maxima, any, all, count_nonzero | the same | the same |
//! | variances, deviations, norms | the same bits | note 5 |
//! | running sums and products | the same bits: core fixes the order | n eps max(\|value\|, n) (note 6) |
//! | matmul of floats | k eps (\|A\|\|B\|) of each element | the same |
//! | matmul of integers | the same bits | the same bits |
//! | sorts, order statistics, searches, counts | the same bits: core fixes the order of ties | the same bits |
//! | random numbers | the same bits: core defines them | the same bits |
//! | reads and writes at indices | the same bits: values are combined in the order of the indices | the same bits |
//! | distances | as documented at [`polyarray_core::distance::cdist`] | the same |
//!
//! 1. Any NaN is accepted for a NaN.
//! 2. Subnormals may be flushed to zero, in operands and in results before they are rounded. Casts to f16 are accepted
//!    within one eps.
//! 3. Results of sin and cos of arguments beyond 1e4 must be at most 1 + eps in magnitude.
//! 4. Sums and means: `(64 + log2 n) eps sum |x|`, and the smallest normal number for each operand and addition that
//!    may be flushed. Products: `n eps` of the value, or 0 where a partial product may be flushed.
//! 5. `2 (64 + log2 n) eps` of the value. Variances and deviations add the error of a mean, norms the norm of the
//!    operands that may be flushed.
//! 6. Random terms are at most 1 in magnitude, so that n bounds the sum of their magnitudes.

mod compare;
mod consistency;
mod elementwise;
mod guard;
mod indexing;
mod layouts;
mod products;
mod programs;
mod random;
mod reductions;
mod report;
mod scans;
mod sorting;
mod suite;
mod support;
mod values;

pub mod torment;

pub use report::{Failure, FailureKind, Report};
pub use support::{Support, support};

use polyarray_core::{Backend, DType, Device};
use std::sync::Arc;

/// The selection of the cases that run.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A part of the names of the operations that run; `None` runs all operations.
    pub op: Option<String>,
    /// The dtype of the operands; `None` runs all dtypes.
    pub dtype: Option<DType>,
    /// Whether all sizes and combinations run, instead of a subset that ends within a minute in a debug build.
    pub full: bool,
    /// The seed of the random numbers.
    pub seed: u64,
}

impl Filter {
    /// Selects a subset of the sizes and combinations, over every operation and dtype.
    pub fn quick() -> Filter {
        Filter::default()
    }

    /// Selects all cases.
    pub fn full() -> Filter {
        Filter { full: true, ..Filter::default() }
    }

    /// Restricts the cases to operations whose name contains `part`.
    pub fn op(self, part: &str) -> Filter {
        Filter { op: Some(part.into()), ..self }
    }

    /// Restricts the cases to operands of `dtype`.
    pub fn dtype(self, dtype: DType) -> Filter {
        Filter { dtype: Some(dtype), ..self }
    }

    pub(crate) fn wants(&self, op: &str, dtype: DType) -> bool {
        self.op.as_ref().is_none_or(|part| op.contains(part.as_str())) && self.dtype.is_none_or(|d| d == dtype)
    }
}

/// Runs the suite on a device.
///
/// # Panics
/// If the device is `auto`, which has no backend of its own, or if `scalar`, the oracle, is not linked.
pub fn check(device: &Device, filter: &Filter) -> Report {
    let backend =
        device.backend().expect("`auto` has no backend of its own: call `check` for each device of `Device::all()`");
    check_backend(backend.clone(), filter)
}

/// Runs the suite on a backend, which need not be registered.
///
/// # Panics
/// If `scalar`, the oracle, is not linked.
pub fn check_backend(backend: Arc<dyn Backend>, filter: &Filter) -> Report {
    suite::Suite::new(backend, filter).run()
}
