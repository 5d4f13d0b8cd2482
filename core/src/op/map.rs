//! Elementwise computations.

use super::{Operand, Operation, OutSpec, Output, Params};
use crate::{Class, DType, Dims, Program};
use smallvec::{SmallVec, smallvec};

/// An elementwise computation: one output element for each index, computed from the inputs' elements at the same index.
///
/// Invariants:
/// 1. `shape` has at least one axis, no axis of 0, no axis of 1 (except for the shape `[1]`), and no two neighbouring
///    axes that could be merged for all operands;
/// 2. axes are sorted from the largest output stride to the smallest, and output strides are positive;
/// 3. inputs are in the program's order, and their strides are per axis of `shape`; `params` are in the program's
///    order, too;
/// 4. an input in the output's buffer has the dtype, the offset and the strides of the output, so that each element is
///    read before it is overwritten.
///
/// A program without inputs fills the output.
#[derive(Clone, Debug)]
pub struct Map {
    /// The program to apply.
    pub program: Program,
    /// The parameters of the program.
    pub params: Params,
    /// The index space.
    pub shape: Dims,
    /// The operands of the program.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The position of the results.
    pub output: Output,
}

impl Operation for Map {
    fn describe(&self) -> String {
        format!("map {} {} {:?}", self.program.describe(), self.output.dtype, self.shape)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        self.inputs.iter().for_each(|i| f(i, &self.shape));
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        self.inputs.iter_mut().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::of(&self.output, self.shape.clone())]
    }

    fn output_mut(&mut self) -> Option<&mut Output> {
        Some(&mut self.output)
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.program]
    }

    fn work(&self) -> f64 {
        self.shape.size() as f64 * self.program.weight().max(1.0)
    }

    /// The widest dtype determines how many elements fit into a vector.
    fn class(&self) -> (Class, DType) {
        (Class::Map, self.program.all_dtypes().max_by_key(|d| d.size()).unwrap_or(self.output.dtype))
    }
}
