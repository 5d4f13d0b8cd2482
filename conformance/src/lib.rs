//! One suite that every backend must pass: every operation, dtype and layout, random and special values, against `scalar`.
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
//! Cases come from core's table of ufuncs, so one that is added later is covered without a test being written. What a backend refuses is counted,
//! with its reason, and is no failure (but for `scalar`, which may refuse nothing).
//!
//! # How a case runs
//! Through the public names (`Array`, `Expr`, sums, `matmul`, `cdist`), with the backend under test wrapped in one that hands it outputs with sentinels
//! around and between the elements, looks whether one was overwritten, and runs each operation twice, over different garbage and some elements apart, to see
//! what was not written and what depends on where the output lies. Operands are surrounded by NaN or large numbers.
//!
//! # Tolerances
//! A device whose memory is the host's is held to the tolerances of CPUs, any other to those of GPUs.
//!
//! | operation | CPU | GPU |
//! |---|---|---|
//! | ufuncs with 0 ULP in the table, select, casts, copies | the same bits; any NaN for any NaN | the same, where subnormals may be flushed, in operands and (before they are rounded) in results; casts to f16 within one eps |
//! | other ufuncs, f32 | the table's ULP against `scalar` in f64 | the table's ULP; sin and cos beyond 1e4: bounded by 1 |
//! | other ufuncs, f64 | the table's ULP and 1 for the oracle's own error | the same |
//! | other ufuncs, f16 and bf16 | 1 ULP against `scalar` in f64 | at least 1 ULP |
//! | abs, sqrt, div and functions of complex numbers | (8 + 2 ULP) eps, of the magnitude | the same |
//! | programs of exact steps | the same bits | eps * (steps + ULP) * the largest value |
//! | sums, products, means | the same bits: core fixes the order | (64 + log2 n) eps sum \|x\|, and the smallest normal number for each operand and addition that may be flushed; products n eps of the value, or 0 where a part of it may be flushed |
//! | minima, maxima | the same bits | the same, subnormals flushed |
//! | indices of minima and maxima, any, all, count_nonzero | the same | the same |
//! | variances, deviations, norms | the same bits | 2 (64 + log2 n) eps of the value, and the error of a mean, or the norm of what may be flushed |
//! | running sums and products | the same bits: core fixes the order | n eps sum \|x\|; products n eps of the value |
//! | matmul of floats | k eps (\|A\|\|B\|) of each element | the same |
//! | matmul of integers | the same bits | the same bits |
//! | sorts, order statistics, searches, counts | the same bits: core fixes how ties are broken | the same bits |
//! | distances | as documented at [`polyarray_core::distance::cdist`] | the same |

mod compare;
mod consistency;
mod elementwise;
mod guard;
mod layouts;
mod products;
mod programs;
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

/// Which cases run.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only operations whose name contains this.
    pub op: Option<String>,
    /// Only operands of this dtype.
    pub dtype: Option<DType>,
    /// All sizes and combinations rather than a subset that ends within a minute in a debug build.
    pub full: bool,
    /// Where the random numbers start.
    pub seed: u64,
}

impl Filter {
    /// A subset of all sizes and combinations, over every operation and dtype.
    pub fn quick() -> Filter {
        Filter::default()
    }

    /// Everything.
    pub fn full() -> Filter {
        Filter { full: true, ..Filter::default() }
    }

    /// Only operations whose name contains `part`.
    pub fn op(self, part: &str) -> Filter {
        Filter { op: Some(part.into()), ..self }
    }

    /// Only operands of this dtype.
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
/// For the device `auto`, which has no backend of its own, and if `scalar`, the oracle, is not linked.
pub fn check(device: &Device, filter: &Filter) -> Report {
    let backend = device.backend().expect("auto has no backend: check each of Device::all()");
    check_backend(backend.clone(), filter)
}

/// Runs the suite on a backend that need not be registered.
///
/// # Panics
/// If `scalar`, the oracle, is not linked.
pub fn check_backend(backend: Arc<dyn Backend>, filter: &Filter) -> Report {
    suite::Suite::new(backend, filter).run()
}
