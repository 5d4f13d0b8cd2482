//! Small work on the host: what the fast path passes to a backend, without a plan, an allocation or a lock.

use crate::op::{Give, Reduction, Running};
use crate::order::Order;
use crate::program::{Instr, Ref};
use crate::{DType, Scalar};

/// An operation on small operands that lie in host memory. A backend runs it at once, on the calling thread.
pub enum Small<'a> {
    /// An elementwise program.
    Map(SmallMap<'a>),
    /// A product of two matrices.
    Product(SmallProduct),
    /// A reduction of the rows or the columns of a matrix.
    Reduce(SmallReduce),
    /// A scan of one line.
    Scan(SmallScan),
    /// A sort of one line.
    Sort(SmallSort),
}

/// An elementwise program on contiguous elements: `out[i] = program(operands[0][i], operands[1][i], ..; params)`.
///
/// Invariants:
/// 1. `len` is at least 1. `operands[j]` points to `len` valid elements of `inputs[j]`, and `out` to `len` elements of
///    the result's dtype that may be written. All pointers are aligned for their dtypes;
/// 2. an operand that overlaps `out` is `out` itself: it has the same address, and the dtype of the result;
/// 3. `inputs`, `params`, `instrs`, `dtypes` and `result` keep the invariants of [`Program`](crate::Program), but their
///    number is not limited. `dtypes[i]` is what instruction i returns.
pub struct SmallMap<'a> {
    /// The dtypes of the operands.
    pub inputs: &'a [DType],
    /// The first element of each operand.
    pub operands: &'a [*const u8],
    /// The values of the parameters.
    pub params: &'a [Scalar],
    /// The instructions, in order.
    pub instrs: &'a [Instr],
    /// The dtype of each instruction's result.
    pub dtypes: &'a [DType],
    /// The value that is written.
    pub result: Ref,
    /// The number of elements.
    pub len: usize,
    /// The output.
    pub out: *mut u8,
}

impl SmallMap<'_> {
    /// Returns the dtype of a value of the program.
    #[inline]
    pub fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Input(i) => self.inputs[i as usize],
            Ref::Param(i) => self.params[i as usize].dtype(),
            Ref::Value(i) => self.dtypes[i as usize],
        }
    }
}

/// An elementwise program that a backend has prepared for small operands: see [`Backend::prepare`].
///
/// [`Backend::prepare`]: crate::Backend::prepare
pub trait Prepared: Send + Sync {
    /// Runs the program immediately, on this thread, without an allocation. Returns `false`, with nothing written, if
    /// it does not support this work.
    ///
    /// # Safety
    /// `work` keeps the invariants of [`PreparedWork`] for the program that was prepared.
    unsafe fn run(&self, work: &PreparedWork) -> bool;
}

/// The operands, parameters and output of a prepared program, as in [`SmallMap`].
///
/// Invariants:
/// 1. `len` is at least 1. `operands[j]` points to `len` valid elements of the program's input j, `params[j]` to one
///    valid element of its parameter j, and `out` to `len` elements of the result's dtype that may be written. All
///    pointers are aligned for their dtypes;
/// 2. an operand that overlaps `out` is `out` itself: it has the same address, and the dtype of the result. No
///    parameter overlaps `out`.
pub struct PreparedWork<'a> {
    /// The first element of each operand.
    pub operands: &'a [*const u8],
    /// The value of each parameter.
    pub params: &'a [*const u8],
    /// The number of elements.
    pub len: usize,
    /// The output.
    pub out: *mut u8,
}

/// A product of two matrices: `out[m, n] = a[m, k] @ b[k, n]`.
///
/// Invariants:
/// 1. m, n and k are at least 1;
/// 2. each operand points to its first element, and all its elements, which lie `strides` (of rows and columns)
///    elements apart, are valid;
/// 3. `out` points to m n elements that may be written, in C order. It overlaps no operand;
/// 4. all pointers are aligned for `dtype`.
pub struct SmallProduct {
    /// The dtype of the operands and the result.
    pub dtype: DType,
    /// The lengths m, n and k.
    pub lens: [usize; 3],
    /// The left matrix and its strides.
    pub a: (*const u8, [usize; 2]),
    /// The right matrix and its strides.
    pub b: (*const u8, [usize; 2]),
    /// The output.
    pub out: *mut u8,
}

/// A reduction of the rows or the columns of a matrix in C order, in the order that [`order`](crate::order) defines.
///
/// Invariants:
/// 1. `outputs` and `len` are at least 1, and `values` points to `outputs * len` valid elements of `dtype`;
/// 2. `dtype` is a dtype of accumulation: it keeps invariant 3 of [`Reduce`](crate::op::Reduce). For sums it may also
///    be bool or an integer dtype of up to 32 bits, of which they add the numbers in 64 bits;
/// 3. `out` may be written with `outputs` elements: of i64 for indices; for sums of bool and integers of 64 bits; for
///    others of `dtype`. It does not overlap `values`;
/// 4. both pointers are aligned for their dtypes;
/// 5. `order` is [`Order::Lanes`] for rows. Columns in this order are at most [`NARROW`](crate::order::NARROW), and the
///    reduction gives no indices.
pub struct SmallReduce {
    /// How elements are combined.
    pub kind: Reduction,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The first element.
    pub values: *const u8,
    /// The number of results.
    pub outputs: usize,
    /// The number of elements of each result.
    pub len: usize,
    /// Whether columns are reduced: result j combines the elements `j`, `j + outputs`, `j + 2 * outputs` and so on.
    /// Otherwise rows are reduced: result j combines the `len` elements from `j * len` on.
    pub across: bool,
    /// The order of combination.
    pub order: Order,
    /// The results.
    pub out: *mut u8,
}

/// A scan of contiguous elements, in the order that [`order`](crate::order#scans) fixes.
///
/// Invariants:
/// 1. `len` is at least 1. `values` points to `len` valid elements of `dtype`, and `out` to `len` elements of `dtype`
///    that may be written. They do not overlap, and both are aligned for `dtype`;
/// 2. `dtype` is a dtype of accumulation: it keeps invariant 3 of [`Scan`](crate::op::Scan).
pub struct SmallScan {
    /// How elements are combined.
    pub kind: Running,
    /// The dtype of the elements and the results.
    pub dtype: DType,
    /// The first element.
    pub values: *const u8,
    /// The number of elements.
    pub len: usize,
    /// The output.
    pub out: *mut u8,
}

/// An ascending sort of contiguous elements, in the order of [`Sort`](crate::op::Sort). A backend that runs out of
/// memory may return `false` with a part of `out` written; core then discards `out`.
///
/// Invariants:
/// 1. `len` is at least 1. `values` points to `len` valid elements of `dtype`, which is not complex;
/// 2. `out` points to `len` elements that may be written: of `dtype` for values, of i64 for indices. It does not
///    overlap `values`;
/// 3. both pointers are aligned for their dtypes.
pub struct SmallSort {
    /// The dtype of the elements.
    pub dtype: DType,
    /// The kind of output.
    pub give: Give,
    /// The first element.
    pub values: *const u8,
    /// The number of elements.
    pub len: usize,
    /// The output.
    pub out: *mut u8,
}
