//! Reductions over some axes.

use super::{Epilogue, Op, Operand, Operation, OutSpec, Output, Params, Splits};
use crate::{Class, DType, Dims, Layout, Program};
use smallvec::{SmallVec, smallvec};

/// The function by which a reduction combines two partial results. Each is associative and commutative except for
/// rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// `a + b`, starting in floats from -0, so that the sum of elements that are all -0 is -0.
    Sum,
    /// `a * b`, starting from 1.
    Prod,
    /// [`Binary::Minimum`](crate::Binary::Minimum): propagates NaN.
    Min,
    /// [`Binary::Maximum`](crate::Binary::Maximum): propagates NaN.
    Max,
    /// The index of the first NaN, or without NaN of the first of the smallest elements (zeros of both signs are
    /// equal).
    ArgMin,
    /// The index of the first NaN, or without NaN of the first of the largest elements (zeros of both signs are equal).
    ArgMax,
    /// The sum of the squared deviations from the mean: see [`order`](crate::order#deviations).
    Deviations,
}

impl Reduction {
    /// Every reduction.
    pub const ALL: [Reduction; 7] = [
        Reduction::Sum,
        Reduction::Prod,
        Reduction::Min,
        Reduction::Max,
        Reduction::ArgMin,
        Reduction::ArgMax,
        Reduction::Deviations,
    ];

    /// NumPy's name of the reduction.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::ArgMin => "argmin",
            Reduction::ArgMax => "argmax",
            Reduction::Deviations => "var",
        }
    }

    /// Returns whether the result is an index instead of a value.
    pub fn gives_index(self) -> bool {
        matches!(self, Reduction::ArgMin | Reduction::ArgMax)
    }
}

/// A reduction: for each index of `outer`, `kind` combines all elements that `before` computes over `inner`, then
/// `after` is applied.
///
/// Invariants:
/// 1. `outer` and `inner` have at least one axis each, no axis of 0, axes of 1 only as `[1]`, and no mergeable
///    neighbours; `outer` is sorted from the largest output stride to the smallest, `inner` from the largest stride of
///    the first input to the smallest; for reductions that give an index, `inner` instead keeps the user's order and
///    direction of axes, so that the number of an element in C order over `inner` is the index to return;
/// 2. strides of inputs are for the axes of `outer` followed by those of `inner`; strides of the output are for
///    `outer`, and positive;
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64 (deviations: f32 or f64); for
///    minima, maxima and their indices it is the dtype of the elements (f32 for f16 and bf16; not complex);
/// 4. `after` has one input, of dtype i64 for reductions that give an index, else of the dtype of accumulation; its
///    result has the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// [`order`](crate::order) fixes the order in which elements are combined, so that the bits of a sum depend neither on
/// the CPU device nor on its number of threads.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// The function that combines two partial results.
    pub kind: Reduction,
    /// The program that computes the elements from the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// The axes that remain.
    pub outer: Dims,
    /// The axes that are reduced.
    pub inner: Dims,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The order in which elements are combined.
    pub order: crate::order::Order,
    /// The program that is applied to each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// The position of the results.
    pub output: Output,
}

impl Operation for Reduce {
    fn describe(&self) -> String {
        format!("{} {} over {:?} for each of {:?}", self.kind.name(), self.before.output(), self.inner, self.outer)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        let lens: SmallVec<[usize; 8]> = self.outer.iter().chain(self.inner.iter()).copied().collect();
        self.inputs.iter().for_each(|i| f(i, &lens));
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        self.inputs.iter_mut().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::of(&self.output, self.outer.clone())]
    }

    fn output_mut(&mut self) -> Option<&mut Output> {
        Some(&mut self.output)
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.before, &self.after]
    }

    fn work(&self) -> f64 {
        let each = if self.kind == Reduction::Deviations { 5.0 } else { 1.0 };
        (self.outer.size() * self.inner.size()) as f64 * (each + self.before.weight())
    }

    fn class(&self) -> (Class, DType) {
        let class = if self.kind.gives_index() { Class::ArgReduce } else { Class::Reduce };
        (class, self.before.output())
    }

    /// The epilogue runs on few elements, so a step of its own is never cheaper.
    fn splits(&self) -> Splits {
        if self.after.is_identity() { Splits::Never } else { Splits::IfRefused }
    }

    fn split(&self) -> (Op, Epilogue) {
        let mut plain = self.clone();
        let dtype = self.after.inputs()[0];
        let (shape, output) = (self.outer.clone(), &self.output);
        plain.after = Program::identity(dtype);
        plain.after_params = Params::new();
        plain.output = Output::packed(dtype, &shape);
        let epilogue = Epilogue {
            program: self.after.clone(),
            params: self.after_params.clone(),
            extras: SmallVec::new(),
            output: Layout::from_parts(shape, output.strides.clone(), output.offset),
        };
        (Op::from(plain), epilogue)
    }
}
