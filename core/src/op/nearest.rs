//! The nearest vectors of a set.

use super::{Measure, Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};

/// The `k` rows of Y `[m, d]` that are nearest to each row of X `[n, d]`, nearest first; rows at equal distances (after
/// rounding to `dtype`) are ordered by their numbers, and NaN is farthest. The result is i64 `[2, n, k]`: the row
/// numbers, then the distances, each as the bits of an f64. A backend selects by the distances that it computes for
/// [`Distance`](super::Distance), and gives these.
///
/// Invariants: 1. n and d are at least 1, and k is from 1 to m; 2. `metric` is `Euclidean` or `SquaredEuclidean`; 3.
/// `dtype` is a real float; 4. the result is in C order from the start of its buffer, and no operand lies in it.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// The metric.
    pub metric: Measure,
    /// The dtype of X, Y and the distances.
    pub dtype: DType,
    /// The number of rows of X.
    pub n: usize,
    /// The number of rows of Y.
    pub m: usize,
    /// The number of columns of X and Y.
    pub d: usize,
    /// The number of rows of Y that are selected for each row of X.
    pub k: usize,
    /// The operand X; its strides are for n, d.
    pub x: Operand,
    /// The operand Y; its strides are for m, d.
    pub y: Operand,
}

impl Operation for Nearest {
    fn describe(&self) -> String {
        format!("{} nearest by {} {} [{}, {}, {}]", self.k, self.metric.name(), self.dtype, self.n, self.m, self.d)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.x, &[self.n, self.d]);
        f(&self.y, &[self.m, self.d]);
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.x, &mut self.y].into_iter().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(DType::I64, Dims::from([2, self.n, self.k]))]
    }

    fn work(&self) -> f64 {
        self.n as f64 * self.m as f64 * (2.0 * self.d as f64 + 6.0)
    }

    fn class(&self) -> (Class, DType) {
        (Class::Distance, self.dtype)
    }
}
