//! Searches for values in a sorted line.

use super::{Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};

/// The insertion position of a value relative to equal elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Before equal elements: the number of elements less than the value.
    Left,
    /// After equal elements: the number of elements less than or equal to the value.
    Right,
}

/// A search: for each value, the number of elements of `sorted` that are less than the value ([`Side::Left`]), or less
/// than or equal to it ([`Side::Right`]), as i64. NaN is larger than every number and equal to NaN.
///
/// Invariants: 1. `dtype` is not complex; 2. `n` and all lengths of `shape` are at least 1; 3. `sorted` has one stride,
/// for n; its elements ascend, NaNs last (otherwise a backend returns arbitrary numbers from 0 to n); 4. strides of
/// `values` are for `shape`; 5. the result is `shape` in C order from the start of its buffer, and no operand lies in
/// that buffer.
#[derive(Clone, Debug)]
pub struct Search {
    /// The dtype of both operands.
    pub dtype: DType,
    /// The number of elements of `sorted`.
    pub n: usize,
    /// The sorted elements.
    pub sorted: Operand,
    /// The shape of the values.
    pub shape: Dims,
    /// The values to search for.
    pub values: Operand,
    /// The insertion position relative to equal elements.
    pub side: Side,
}

impl Operation for Search {
    fn describe(&self) -> String {
        format!("search {} {:?} in [{}]", self.dtype, self.shape, self.n)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.sorted, &[self.n]);
        f(&self.values, &self.shape);
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.sorted, &mut self.values].into_iter().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(DType::I64, self.shape.clone())]
    }

    fn work(&self) -> f64 {
        self.shape.size() as f64 * (self.n.max(2) as f64).log2()
    }

    fn class(&self) -> (Class, DType) {
        (Class::Search, self.dtype)
    }
}
