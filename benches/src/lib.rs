//! Benchmarks: one registry of cases, run on every device and on other libraries, verified and timed.
//!
//! ```text
//! cases      what is measured: a table                    problem    a row of it with inputs, bound to a device
//! verify     what results must be                         measure    the clock
//! compare    the program's main command                   plan       the cases and sizes of a run
//! summary    what a run says about this machine           devices    what is here
//! accuracy   the command that measures errors in ULP
//! sweep      the command that compares every operation on every dtype and layout
//! programs   the command that measures short computations of several operations
//! machine    the machine and its ceilings                 peers      other libraries
//! table, json, html    three ways to write a comparison
//! ```
//!
//! `criterion.rs` runs the same registry under criterion. `peers/numpy_peers.py` runs the same cases under NumPy and
//! related libraries, and with `--sweep` the cases that `sweep --list` wrote.

pub mod accuracy;
pub mod cases;
pub mod compare;
pub mod devices;
pub mod html;
pub mod json;
pub mod machine;
pub mod measure;
pub mod peers;
mod plan;
pub mod problem;
pub mod programs;
pub mod summary;
pub mod sweep;
pub mod table;
pub mod verify;
