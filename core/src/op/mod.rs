//! Operations: the canonicalised work items of backends, together with their operands.
//!
//! Each operation has a file of its own: a struct with numbered invariants, and its [`Operation`], which describes it
//! to core and to the backends. [`Op`] is the list of all operations, on which backends match.
//!
//! Core validates and canonicalises an operation once. A backend may rely on every invariant stated here and treats a
//! violation as `unreachable!`.

mod count;
mod distance;
mod gather;
mod map;
mod matmul;
mod nearest;
mod random;
mod reduce;
mod scan;
mod scatter;
mod search;
mod sort;

pub use count::{Bins, Count};
pub use distance::{Distance, Measure, SHARES, SMALL_SHARE};
pub use gather::Gather;
pub use map::Map;
pub use matmul::{Matmul, Precision};
pub use nearest::Nearest;
pub use random::{Distribution, Random};
pub use reduce::{Reduce, Reduction};
pub use scan::{Running, Scan};
pub use scatter::{Combine, Scatter};
pub use search::{Search, Side};
pub use sort::{Give, Sort};

use crate::layout::Strides;
use crate::{Buffer, Class, DType, Dims, Layout, Program, Scalar};
use smallvec::SmallVec;

/// The parameters of a program, in the program's order.
pub type Params = SmallVec<[Scalar; 4]>;

/// An array to read: elements of `buffer` from `offset` on. Each operation defines the axes that the strides belong to.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The buffer that holds the elements.
    pub buffer: Buffer,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The position in the buffer of the element at index zero.
    pub offset: usize,
    /// The distance in elements between neighbouring indices of each axis; may be 0 or negative.
    pub strides: Strides,
}

impl Operand {
    /// Returns the first and one past the last position of the elements at all indices of axes of these (nonzero)
    /// lengths.
    pub fn span(&self, lens: &[usize]) -> (usize, usize) {
        crate::Layout::from_parts(lens.into(), self.strides.clone(), self.offset).span()
    }
}

/// The position of the results in the output buffer of the [`RunContext`](crate::RunContext). Strides are never 0 along
/// an axis of more than one element.
#[derive(Clone, Debug)]
pub struct Output {
    /// The dtype of the results.
    pub dtype: DType,
    /// The position in the buffer of the element at index zero.
    pub offset: usize,
    /// The distance in elements between neighbouring indices of each axis.
    pub strides: Strides,
}

/// An output of an operation. The operation writes the elements at all indices of axes of the lengths `lens`, and
/// nothing else.
#[derive(Clone, Debug)]
pub struct OutSpec {
    /// The dtype of the results.
    pub dtype: DType,
    /// The lengths of the axes.
    pub lens: Dims,
    /// The position in the output's buffer of the element at index zero.
    pub offset: usize,
    /// The distance in elements between neighbouring indices of each axis. Positive along axes of more than one
    /// element.
    pub strides: Strides,
    /// The treatment of the elements that the buffer holds before.
    pub mode: Mode,
}

/// The treatment of the elements that an output's buffer holds before the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It overwrites them. They may be uninitialised.
    Write,
    /// It adds the results to them.
    Add,
    /// It changes some of them, and keeps the others.
    Update,
}

impl Output {
    /// Returns the position of results of `dtype` and shape `lens` in C order from the start of a buffer.
    fn packed(dtype: DType, lens: &Dims) -> Output {
        Output { dtype, offset: 0, strides: lens.c_strides() }
    }
}

impl OutSpec {
    /// Describes an output at the position that the operation states.
    fn of(output: &Output, lens: Dims) -> OutSpec {
        let Output { dtype, offset, ref strides } = *output;
        OutSpec { dtype, lens, offset, strides: strides.clone(), mode: Mode::Write }
    }

    /// Describes an output in C order from the start of its buffer.
    fn packed(dtype: DType, lens: Dims) -> OutSpec {
        OutSpec { dtype, offset: 0, strides: lens.c_strides(), lens, mode: Mode::Write }
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.lens.size()
    }

    /// Returns whether there are no elements. No operation that reaches a backend has such an output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of elements from the start of the buffer up to the last element; `usize::MAX` if that
    /// overflows.
    pub fn end(&self) -> usize {
        self.lens
            .iter()
            .zip(&self.strides)
            .fold(self.offset.saturating_add(1), |end, (&n, &s)| end.saturating_add((n - 1).saturating_mul(s as usize)))
    }
}

/// The description of an operation.
pub trait Operation {
    /// Describes the operation for messages and traces: `map add f32 [1000, 1000]`.
    fn describe(&self) -> String;
    /// Calls `f` with each operand that is read and the lengths of the axes of its strides.
    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize]));
    /// Calls `f` with mutable access to each operand that is read, in the same order, so that `f` can replace it.
    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand));
    /// Returns the outputs, in the order of the buffers of a [`RunContext`](crate::RunContext).
    fn outputs(&self) -> SmallVec<[OutSpec; 1]>;
    /// Returns the position of the output, if the operation can write its results at any position. The output of other
    /// operations is in C order from the start of its buffer, or is changed where it lies.
    fn output_mut(&mut self) -> Option<&mut Output> {
        None
    }
    /// Returns all programs of the operation.
    fn programs(&self) -> SmallVec<[&Program; 2]> {
        SmallVec::new()
    }
    /// Returns the number of bytes read and written if each operand element is read once from memory and each result is
    /// written once.
    fn bytes(&self) -> f64 {
        let mut bytes: f64 = self.outputs().iter().map(|o| o.len() as f64 * o.dtype.size() as f64).sum();
        self.for_each_input(&mut |operand, lens| {
            let touched: f64 =
                lens.iter().zip(&operand.strides).map(|(&n, &s)| if s == 0 { 1.0 } else { n as f64 }).product();
            bytes += touched * operand.dtype.size() as f64;
        });
        bytes
    }
    /// Estimates the number of simple instructions on single elements (a multiply-add counts as one).
    fn work(&self) -> f64;
    /// Returns the kind of work and the dtype that determine the rate.
    fn class(&self) -> (Class, DType);
    /// Returns whether the epilogue can run as an operation of its own.
    fn splits(&self) -> Splits {
        Splits::Never
    }
    /// Splits the operation into one without its epilogue, and the epilogue.
    ///
    /// # Panics
    /// If [`splits`](Operation::splits) returns [`Splits::Never`].
    fn split(&self) -> (Op, Epilogue) {
        unreachable!("internal error: {} has no epilogue to split off", self.describe())
    }
}

/// Whether core runs the epilogue of an operation as an operation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splits {
    /// It has no epilogue, or every backend that supports the operation runs its epilogues.
    Never,
    /// Only if no device supports the operation with its epilogue.
    IfRefused,
    /// If two operations are estimated to be faster, or no device supports the operation with its epilogue.
    IfCheaper,
}

/// An epilogue without its operation: an elementwise program whose first input is the operation's result.
#[derive(Clone, Debug)]
pub struct Epilogue {
    /// The program.
    pub program: Program,
    /// The parameters of the program.
    pub params: Params,
    /// The other operands of the program. Their strides are for the shape of `output`.
    pub extras: SmallVec<[Operand; 2]>,
    /// The layout of the output of the whole operation. The result of the operation without epilogue has the same shape
    /// in C order.
    pub output: Layout,
}

/// Defines [`Op`] from the list of operations.
macro_rules! operations {
    ($($(#[$doc:meta])* $Name:ident,)*) => {
        /// An operation that a backend executes. The description lies in a box, so that a plan that moves it copies a
        /// pointer.
        #[derive(Clone, Debug)]
        pub enum Op {
            $($(#[$doc])* $Name(Box<$Name>),)*
        }

        impl Op {
            fn operation(&self) -> &dyn Operation {
                match self {
                    $(Op::$Name(o) => &**o,)*
                }
            }

            fn operation_mut(&mut self) -> &mut dyn Operation {
                match self {
                    $(Op::$Name(o) => &mut **o,)*
                }
            }
        }

        $(impl From<$Name> for Op {
            fn from(op: $Name) -> Op {
                Op::$Name(Box::new(op))
            }
        })*
    };
}

operations! {
    /// An elementwise computation.
    Map,
    /// A reduction over some axes.
    Reduce,
    /// A scan along an axis.
    Scan,
    /// Matrix products.
    Matmul,
    /// Distances between all pairs of two sets of vectors.
    Distance,
    /// The nearest vectors of a set.
    Nearest,
    /// A sort of lines.
    Sort,
    /// A search for values in a sorted line.
    Search,
    /// Counts of elements in bins.
    Count,
    /// Random numbers.
    Random,
    /// Reads at indices along an axis.
    Gather,
    /// Writes at indices along an axis.
    Scatter,
}

impl Op {
    /// See [`Operation::describe`].
    pub fn describe(&self) -> String {
        self.operation().describe()
    }

    /// See [`Operation::for_each_input`].
    pub fn for_each_input(&self, mut f: impl FnMut(&Operand, &[usize])) {
        self.operation().for_each_input(&mut f);
    }

    /// See [`Operation::for_each_input_mut`].
    pub fn for_each_input_mut(&mut self, mut f: impl FnMut(&mut Operand)) {
        self.operation_mut().for_each_input_mut(&mut f);
    }

    /// See [`Operation::outputs`].
    pub fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        self.operation().outputs()
    }

    /// Returns the only output.
    ///
    /// # Panics
    /// If the operation has several outputs.
    #[track_caller]
    pub fn output(&self) -> OutSpec {
        let mut outputs = self.outputs();
        assert_eq!(outputs.len(), 1, "{} has several outputs", self.describe());
        outputs.remove(0)
    }

    /// See [`Operation::output_mut`].
    pub fn output_mut(&mut self) -> Option<&mut Output> {
        self.operation_mut().output_mut()
    }

    /// Moves the output to C order from the start of its buffer, if the operation can write its results at any
    /// position.
    pub(crate) fn pack(&mut self) {
        let OutSpec { dtype, lens, .. } = self.output();
        if let Some(output) = self.output_mut() {
            *output = Output::packed(dtype, &lens);
        }
    }

    /// See [`Operation::programs`].
    pub fn programs(&self) -> SmallVec<[&Program; 2]> {
        self.operation().programs()
    }

    /// See [`Operation::work`].
    pub fn work(&self) -> f64 {
        self.operation().work()
    }

    /// See [`Operation::class`].
    pub fn class(&self) -> (Class, DType) {
        self.operation().class()
    }

    /// See [`Operation::splits`].
    pub fn splits(&self) -> Splits {
        self.operation().splits()
    }

    /// See [`Operation::split`].
    ///
    /// # Panics
    /// As [`Operation::split`].
    pub fn split(&self) -> (Op, Epilogue) {
        self.operation().split()
    }

    /// See [`Operation::bytes`].
    pub fn bytes(&self) -> f64 {
        self.operation().bytes()
    }
}

/// Describes an epilogue; empty for the identity.
fn then(after: &Program) -> String {
    if after.is_identity() { String::new() } else { format!(" then {}", after.describe()) }
}
