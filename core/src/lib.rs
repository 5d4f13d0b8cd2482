//! The core of polyarray: arrays, and the operations that devices run.
//!
//! ```text
//! Array, Expr  -->  Op: Map | Reduce | Scan | Matmul | Distance    -->  Backend, Memory
//!                       | Sort | Search | Count | Random
//!                       | Gather | Scatter
//! user's API        operation, with the layouts of its operands         execution on a device
//! ```
//!
//! Users link `polyarray`, which includes the devices. Authors of a backend link this crate and implement [`Backend`]
//! and [`Memory`]; [`op`] documents the invariants of operations.

mod array;
mod backend;
mod bytes;
mod canon;
mod composed;
mod config;
mod convolve;
mod cost;
mod device;
mod differences;
mod dtype;
mod dynamic;
mod einsum;
mod elementwise;
mod error;
mod expr;
mod fast;
mod fork;
mod index;
mod join;
mod layout;
mod matmul;
mod memory;
mod number;
mod parts;
mod plan;
mod pointwise;
mod probe;
mod program;
mod reduce;
mod scan;
mod signed;
mod slice;
mod small;
mod sort;
mod sparse;
mod statistics;
mod ufunc;

pub mod complex;
pub mod distance;
pub mod interchange;
pub mod io;
pub mod op;
pub mod order;
pub mod random;
pub mod stream;
pub mod trace;
pub mod walk;

pub use array::{Array, Axes, Blocks, Elements, Indexing, ViewMut, Views, axis};
pub use backend::{Backend, DeviceInfo, RunContext};
pub use composed::Composed;
pub use config::{Config, config, current_threads, with_memory_limit, with_threads};
pub use convolve::Overlap;
pub use cost::{Class, Cost, Profile};
pub use device::{BackendEntry, Device, Open, register, with_device};
pub use distance::{Bound, Coordinates, Metric, MetricInfo, Vectors};
pub use dtype::{DType, Element, Kind, Scalar, Wide, f32_rounded_to_odd};
pub use dynamic::{DynArray, DynExpr, Reducer};
pub use einsum::{Contraction, EinsumPath, EinsumStep, einsum, einsum_path};
pub use error::{Error, MatrixFault, Result, Unsupported};
pub use expr::{Arguments, Expr, Fused, Fusible, IntoExpr, Traced, fuse, select};
pub use fork::forks;
pub use index::Index;
pub use join::Pad;
pub use layout::{Dims, Layout, MAX_NDIM, Strides, resolve_axes, resolve_axis};
pub use matmul::Matmul;
pub use memory::{Buffer, HostMemory, Memory, MemoryId, MemoryInfo, memory, register_memory, trim};
pub use number::{Float, Number, Real};
pub use op::{Combine, Op, Precision, Side};
pub use program::{Instr, MAX_INPUTS, MAX_INSTRS, Operands, Program, Ref};
pub use signed::{AxisIndex, NewShape};
pub use slice::{NewAxis, SliceItem};
pub use small::{Prepared, PreparedWork, Small, SmallMap, SmallProduct, SmallReduce, SmallScan, SmallSort};
pub use sparse::Csr;
pub use statistics::{Quantile, Unique};
pub use ufunc::{Binary, Gives, Kinds, UfuncInfo, Unary};

pub use half::{bf16, f16};
pub use inventory;
pub use num_complex::Complex;
