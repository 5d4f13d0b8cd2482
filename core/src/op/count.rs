//! Histograms.

use super::{Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};

/// The rule that assigns elements to bins.
#[derive(Clone, Debug)]
pub enum Bins {
    /// For integers: element v belongs to bin v.
    Integers,
    /// For floats: element x belongs to bin i if `edges[i] <= x < edges[i + 1]`; the last bin includes its upper edge.
    /// NaN and elements outside all bins are not counted. The edges, one more than there are bins, have the dtype of
    /// the elements and stride 1, are finite, do not descend, and are about evenly spaced.
    Edges(Operand),
}

/// A histogram: the number of elements in each bin, as i64.
///
/// Invariants: 1. all lengths of `shape` and `bins` are at least 1; 2. strides of `input` are for `shape`, whose axes
/// may be in any order, because counts do not depend on it; 3. for [`Bins::Integers`] every element is from 0 to less
/// than `bins`; 4. the result is `[bins]` from the start of its buffer, and no operand lies in that buffer.
#[derive(Clone, Debug)]
pub struct Count {
    /// The dtype of the elements: integer or bool for [`Bins::Integers`], else a float.
    pub dtype: DType,
    /// The index space.
    pub shape: Dims,
    /// The elements to count.
    pub input: Operand,
    /// The number of bins.
    pub bins: usize,
    /// The rule that assigns elements to bins.
    pub by: Bins,
}

impl Operation for Count {
    fn describe(&self) -> String {
        format!("count {} {:?} into {} bins", self.dtype, self.shape, self.bins)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.input, &self.shape);
        if let Bins::Edges(edges) = &self.by {
            f(edges, &[self.bins + 1]);
        }
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        f(&mut self.input);
        if let Bins::Edges(edges) = &mut self.by {
            f(edges);
        }
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(DType::I64, Dims::from(self.bins))]
    }

    fn work(&self) -> f64 {
        2.0 * self.shape.size() as f64
    }

    fn class(&self) -> (Class, DType) {
        (Class::Count, self.dtype)
    }
}
