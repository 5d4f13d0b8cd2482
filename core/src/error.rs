//! The one error type. Messages carry the figures and the way out.

use crate::{DType, Dims};
use std::path::PathBuf;

/// What every fallible call of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message shows")]
pub enum Error {
    /// Shapes that do not broadcast together.
    #[error("cannot broadcast {left:?} with {right:?}: axis {axis} is {l} against {r}")]
    Broadcast { left: Dims, right: Dims, axis: usize, l: usize, r: usize },
    /// A shape that cannot be broadcast to a given one.
    #[error("cannot broadcast {from:?} to {to:?}: {why}")]
    BroadcastTo { from: Dims, to: Dims, why: String },
    /// A number of elements that does not fit a shape.
    #[error("{op}: shape {shape:?} holds {expected} elements, not {found}")]
    Count { op: &'static str, shape: Dims, expected: usize, found: usize },
    /// Shapes that an operation cannot combine.
    #[error("{op}: shapes {left:?} and {right:?} do not fit: {why}")]
    Shapes { op: &'static str, left: Dims, right: Dims, why: String },
    /// Subscripts that make no sense, or not for these operands.
    #[error("einsum {subscripts:?} of shapes {shapes:?}: {why}")]
    Einsum { subscripts: String, shapes: Vec<Dims>, why: String },
    /// A shape whose size in bytes overflows.
    #[error("shape {shape:?} of {dtype} has more bytes than an address can count")]
    TooLarge { shape: Dims, dtype: DType },
    /// An axis that the array does not have.
    #[error("{op}: axis {axis} is out of range for {ndim} axes (allowed: {} to {})", -(*ndim as isize), *ndim as isize - 1)]
    Axis { op: &'static str, axis: isize, ndim: usize },
    /// More or fewer axes than the one that an operation goes along.
    #[error("{op} goes along one axis, {given} were named")]
    OneAxis { op: &'static str, given: usize },
    /// An axis named twice.
    #[error("{op}: axis {axis} is named more than once")]
    RepeatedAxis { op: &'static str, axis: usize },
    /// An index or a slice that reaches outside.
    #[error("{what} is out of range for axis {axis} of length {len}")]
    Index { what: String, axis: usize, len: usize },
    /// More or fewer indices than axes.
    #[error("{given} indices were given for {ndim} axes (shape {shape:?})")]
    IndexCount { given: usize, ndim: usize, shape: Dims },
    /// A ufunc or operation that has no meaning for a dtype.
    #[error("{op} is not defined for {dtype} (it is for {defined}); cast first: x.cast::<..>()")]
    DTypeUndefined { op: &'static str, dtype: DType, defined: String },
    /// Operands whose dtypes differ where they must not.
    #[error("{op}: dtypes {left} and {right} differ; cast one of them: x.cast::<..>()")]
    DTypeMismatch { op: &'static str, left: DType, right: DType },
    /// An operation without the elements it needs.
    #[error("{op} of no elements (shape {shape:?}) has no value")]
    Empty { op: &'static str, shape: Dims },
    /// An argument that an operation cannot take.
    #[error("{op}: {name} = {value}: {why}")]
    Argument { op: &'static str, name: &'static str, value: String, why: String },
    /// An expression that reads a result which the operation around it has not computed yet.
    #[error(
        "{op}: the product has no elements yet: in the closure given to map it can only be part of the expression that the closure returns"
    )]
    NotComputed { op: &'static str },
    /// A program that breaks a rule of the representation.
    #[error("not a valid program: {0}")]
    Program(String),
    /// A device that this process does not have.
    #[error("there is no device {name:?} here: {why}")]
    Absent { name: String, why: String },
    /// No device that was asked takes the operation; each one's reason is listed.
    #[error("{op} is refused: {}", list(reasons))]
    Refused { op: String, reasons: Vec<(String, String)> },
    /// Memory that there is not.
    #[error("out of memory on {memory}: {bytes} bytes were asked for, {why}")]
    OutOfMemory { memory: String, bytes: usize, why: String },
    /// Arrays that live in different memories, neither of which is the host's.
    #[error("{op}: the operands lie on different devices ({left}, {right}); move one with to_device")]
    Memories { op: &'static str, left: String, right: String },
    /// A dtype that a memory cannot hold.
    #[error("{dtype} cannot be stored on {memory}: {why}")]
    Storage { dtype: DType, memory: String, why: String },
    /// A view that may not be written.
    #[error("this view cannot be written: {why}")]
    NotWritable { why: String },
    /// A file that is not what it should be.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    /// Something a device reported.
    #[error("device {device}: {why}")]
    Device { device: String, why: String },
    /// A setting that makes no sense.
    #[error("{name}={value:?}: {why}")]
    Setting { name: &'static str, value: String, why: String },
}

fn list(reasons: &[(String, String)]) -> String {
    reasons.iter().map(|(device, why)| format!("{device}: {why}")).collect::<Vec<_>>().join("; ")
}

/// Why a device cannot take an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(
    /// The reason, as it is shown to users.
    pub std::borrow::Cow<'static, str>,
);

impl Unsupported {
    /// With this reason.
    pub fn new(why: impl Into<std::borrow::Cow<'static, str>>) -> Unsupported {
        Unsupported(why.into())
    }
}
