//! Running sums, products, minima and maxima along an axis.

use super::{Operand, Operation, OutSpec, Output, Params};
use crate::{Class, DType, Dims, Program};
use smallvec::{SmallVec, smallvec};

/// The function by which a scan combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Running {
    /// `a + b`.
    Sum,
    /// `a * b`.
    Prod,
    /// [`Binary::Minimum`](crate::Binary::Minimum): propagates NaN.
    Min,
    /// [`Binary::Maximum`](crate::Binary::Maximum): propagates NaN.
    Max,
}

impl Running {
    /// Every scan.
    pub const ALL: [Running; 4] = [Running::Sum, Running::Prod, Running::Min, Running::Max];

    /// NumPy's name of the scan.
    pub fn name(self) -> &'static str {
        match self {
            Running::Sum => "cumsum",
            Running::Prod => "cumprod",
            Running::Min => "cummin",
            Running::Max => "cummax",
        }
    }

    /// Returns whether results are elements: minima and maxima, which complex numbers do not have.
    pub fn selects(self) -> bool {
        matches!(self, Running::Min | Running::Max)
    }
}

/// A scan: for each index of `outer` and each `i` below `len`, `kind` combines the elements 0 to i (inclusive) that
/// `before` computes along the scanned axis, then `after` is applied.
///
/// Invariants:
/// 1. `outer` has at least one axis, no axis of 0, axes of 1 only as `[1]`, no mergeable neighbours, and is sorted from
///    the largest output stride to the smallest; `len` is at least 1;
/// 2. strides of inputs and of the output are for the axes of `outer` followed by the scanned axis; the output's
///    strides are positive, and 1 along the scanned axis or along the last axis of `outer` (unless `outer` is `[1]`);
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64 (not complex for
///    minima and maxima);
/// 4. `after` has one input of that dtype, and its result has the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// [`order`](crate::order#scans) fixes the order in which elements are combined.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The function that combines two elements.
    pub kind: Running,
    /// The program that computes the elements from the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// The other axes.
    pub outer: Dims,
    /// The length of the scanned axis.
    pub len: usize,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The program that is applied to each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// The position of the results.
    pub output: Output,
}

impl Scan {
    /// Returns the lengths of all axes, the scanned axis last.
    pub fn shape(&self) -> Dims {
        self.outer.iter().copied().chain([self.len]).collect()
    }
}

impl Operation for Scan {
    fn describe(&self) -> String {
        format!("{} {} along {} for each of {:?}", self.kind.name(), self.before.output(), self.len, self.outer)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        let lens = self.shape();
        self.inputs.iter().for_each(|i| f(i, &lens));
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        self.inputs.iter_mut().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::of(&self.output, self.shape())]
    }

    fn output_mut(&mut self) -> Option<&mut Output> {
        Some(&mut self.output)
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.before, &self.after]
    }

    fn work(&self) -> f64 {
        (self.outer.size() * self.len) as f64 * (4.0 + self.before.weight() + self.after.weight())
    }

    fn class(&self) -> (Class, DType) {
        (Class::Scan, self.before.output())
    }
}
