//! The error type. Messages contain the relevant figures and a remedy.

use crate::{DType, Dims};
use std::path::PathBuf;

/// The result of every fallible call of this library.
///
/// With two parameters it is the `Result` of the standard library, so `use polyarray::prelude::*;` takes nothing away.
/// A function with errors of several crates can return a boxed error; `?` converts each error to it:
///
/// ```
/// # use polyarray_core::*;
/// fn total(text: &str) -> Result<f64, Box<dyn std::error::Error>> {
///     let numbers: Result<Vec<f64>, _> = text.split(' ').map(str::parse).collect();
///     Ok(Array::from(numbers?).iter()?.sum())
/// }
/// assert_eq!(total("1.5 2.5").unwrap(), 4.0);
/// assert!(total("1.5 two").is_err());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason for a failure.
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
    /// A number of elements that does not match a shape.
    #[error("{op}: shape {shape:?} holds {expected} elements, not {found}")]
    Count { op: &'static str, shape: Dims, expected: usize, found: usize },
    /// Shapes that an operation cannot combine.
    #[error("{op}: shapes {left:?} and {right:?} are incompatible: {why}")]
    Shapes { op: &'static str, left: Dims, right: Dims, why: String },
    /// Subscripts that are invalid or do not match the operands.
    #[error("einsum {subscripts:?} of shapes {shapes:?}: {why}")]
    Einsum { subscripts: String, shapes: Vec<Dims>, why: String },
    /// A shape whose size in bytes overflows.
    #[error("shape {shape:?} of {dtype} is too large: its size in bytes overflows")]
    TooLarge { shape: Dims, dtype: DType },
    /// An axis that the array does not have.
    #[error(
        "{op}: axis {axis} is out of range for {ndim} axes (allowed: {} to {})",
        -(*ndim as isize), *ndim as isize - 1
    )]
    Axis { op: &'static str, axis: isize, ndim: usize },
    /// A number of axes other than one for an operation along one axis.
    #[error("{op} works along one axis, but {given} were given")]
    OneAxis { op: &'static str, given: usize },
    /// An axis named twice.
    #[error("{op}: axis {axis} is given more than once")]
    RepeatedAxis { op: &'static str, axis: usize },
    /// An index or a slice out of range.
    #[error("{what} is out of range for axis {axis} of length {len}")]
    Index { what: String, axis: usize, len: usize },
    /// A number of indices that does not match the number of axes.
    #[error("{given} indices for {ndim} axes (shape {shape:?})")]
    IndexCount { given: usize, ndim: usize, shape: Dims },
    /// A ufunc or operation that is not defined for a dtype.
    #[error("{op} is not defined for {dtype} (it is defined for {defined}); cast first: x.cast::<..>()")]
    DTypeUndefined { op: &'static str, dtype: DType, defined: String },
    /// Operands whose dtypes must be equal but differ.
    #[error(
        "{op}: dtypes {left} and {right} differ; cast one of them: x.cast::<..>(), or x.cast(DType::..) if dtypes are \
         values"
    )]
    DTypeMismatch { op: &'static str, left: DType, right: DType },
    /// An operation that needs elements on an array without any.
    #[error("{op} of an empty array (shape {shape:?}) is not defined")]
    Empty { op: &'static str, shape: Dims },
    /// A matrix for which an operation of linear algebra is not defined, or whose decomposition failed. `index` is its
    /// position in a stack of matrices.
    #[error("{op}: the matrix {shape:?}{} {fault}", at_index(index))]
    Matrix { op: &'static str, shape: Dims, index: Vec<usize>, fault: MatrixFault },
    /// An invalid argument of an operation.
    #[error("{op}: {name} = {value}: {why}")]
    Argument { op: &'static str, name: &'static str, value: String, why: String },
    /// An expression that reads a result which the enclosing operation has not computed yet.
    #[error(
        "{op}: the product has not been computed yet; inside the closure of map, use it only in the expression that \
         the closure returns"
    )]
    NotComputed { op: &'static str },
    /// An expression that reads an argument of a traced closure outside of a call.
    #[error(
        "{op}: an argument of the closure has no shape and no elements while the closure runs; use it only in the \
         expression that the closure returns, and evaluate or reduce by the methods of the function: f.eval(..), \
         f.sum(..)"
    )]
    NotCalled { op: &'static str },
    /// A program that violates a rule of the representation.
    #[error("not a valid program: {0}")]
    Program(String),
    /// A device that is not available in this process.
    #[error("device {name:?} is not available: {why}")]
    Absent { name: String, why: String },
    /// No candidate device supports the operation. The reason of each is listed.
    #[error("no candidate device supports {op}: {}", list(reasons))]
    Refused { op: String, reasons: Vec<(String, String)> },
    /// Not enough memory.
    #[error("out of memory on {memory}: {bytes} bytes requested, {why}")]
    OutOfMemory { memory: String, bytes: usize, why: String },
    /// Operands in different memories, none of which is the host's.
    #[error("{op}: the operands lie on different devices ({left}, {right}); move one with to_device")]
    Memories { op: &'static str, left: String, right: String },
    /// A dtype that a memory cannot store.
    #[error("{dtype} cannot be stored on {memory}: {why}")]
    Storage { dtype: DType, memory: String, why: String },
    /// A view that cannot be written.
    #[error("this view cannot be written: {why}")]
    NotWritable { why: String },
    /// An invalid or unreadable file.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
    /// An error that a device reported.
    #[error("device {device}: {why}")]
    Device { device: String, why: String },
    /// An invalid setting.
    #[error("{name}={value:?}: {why}")]
    Setting { name: &'static str, value: String, why: String },
}

/// The property of a matrix, or of its decomposition, that keeps an operation of linear algebra from a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message shows")]
pub enum MatrixFault {
    /// The matrix has no inverse.
    #[error("is singular: pivot {pivot} is zero, subnormal or infinite; lstsq and pinv accept singular matrices")]
    Singular { pivot: usize },
    /// The matrix is not positive definite.
    #[error("is not positive definite: its leading minor of order {order} is not positive")]
    NotPositiveDefinite { order: usize },
    /// The matrix contains NaN or infinity.
    #[error("contains NaN or infinity, first at row {row} and column {column}")]
    NotFinite { row: usize, column: usize },
    /// An iterative decomposition did not converge.
    #[error("has a decomposition that did not converge")]
    NotConverged,
}

impl From<Box<Error>> for Error {
    fn from(error: Box<Error>) -> Error {
        *error
    }
}

/// Lets generic code use `x.try_into()?` for a conversion that cannot fail.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Error {
        match never {}
    }
}

fn at_index(index: &[usize]) -> String {
    if index.is_empty() { String::new() } else { format!(" at index {index:?} of the stack") }
}

fn list(reasons: &[(String, String)]) -> String {
    reasons.iter().map(|(device, why)| format!("{device}: {why}")).collect::<Vec<_>>().join("; ")
}

/// The reason why a device does not support an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(
    /// The reason, as shown to users.
    pub std::borrow::Cow<'static, str>,
);

impl Unsupported {
    /// Makes an `Unsupported` with this reason.
    pub fn new(why: impl Into<std::borrow::Cow<'static, str>>) -> Unsupported {
        Unsupported(why.into())
    }
}
