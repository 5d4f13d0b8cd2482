//! Operations that order elements, look elements up in what is ordered, or count them.

use super::Operand;
use crate::{DType, Dims};
use std::ops::Range;

/// What a sort gives of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Give {
    /// The element.
    Values,
    /// Where in its line it was, as i64.
    Indices,
}

/// Of each line, the elements of ranks `take`: those that stand there once the line is sorted, in that order. A whole sort takes `0..n`, a median the middle.
///
/// The order: numbers ascend (or descend); NaN is larger than every number. So that a result does not depend on the method:
/// - values: -0 is less than +0, and NaNs stand in any order among themselves;
/// - indices: both zeros are equal, and so are all NaNs; equal elements come in the order of their indices, whether values ascend or descend.
///
/// Invariants:
/// 1. `dtype`, that of the input, is not complex;
/// 2. `n` and all of `lines` are at least 1; `take` is not empty and ends at `n` or before;
/// 3. strides of `input` are for `lines`, n; some may be 0 or negative;
/// 4. the result is `[.., take.len()]` in C order from the start of its buffer;
/// 5. the input does not lie in the output's buffer.
#[derive(Clone, Debug)]
pub struct Sort {
    /// Dtype of the elements.
    pub dtype: DType,
    /// Axes along which nothing is sorted; may be none.
    pub lines: Dims,
    /// Elements of a line.
    pub n: usize,
    /// What is sorted.
    pub input: Operand,
    /// What is given.
    pub give: Give,
    /// From the largest to the smallest.
    pub descending: bool,
    /// The ranks that are given.
    pub take: Range<usize>,
}

impl Sort {
    /// The dtype of the result.
    pub fn output(&self) -> DType {
        match self.give {
            Give::Values => self.dtype,
            Give::Indices => DType::I64,
        }
    }

    /// About how many comparisons it takes: a full sort is `n log2 n` of them, a selection a few passes and the sort of what is taken.
    pub(crate) fn work(&self) -> f64 {
        let sorting = |n: usize| n as f64 * (n.max(2) as f64).log2();
        let line = if self.take.len() == self.n {
            sorting(self.n)
        } else {
            (3.0 * self.n as f64 + sorting(self.take.len())).min(sorting(self.n))
        };
        self.lines.size() as f64 * line
    }
}

/// Where a value would be inserted among equal ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Before them: the number of elements less than it.
    Left,
    /// After them: the number of elements less than it or equal.
    Right,
}

/// For each value, how many elements of `sorted` are less (and, on the right side, or equal), as i64. NaN is larger than every number and equal to NaN.
///
/// Invariants: 1. `dtype` is not complex; 2. `n` and all of `shape` are at least 1; 3. `sorted` has one stride, for n; its elements ascend, NaNs last (if they do not,
/// a backend gives numbers from 0 to n, whichever it likes); 4. strides of `values` are for `shape`; 5. the result is `shape` in C order from the start of its buffer, in which
/// no operand lies.
#[derive(Clone, Debug)]
pub struct Search {
    /// Dtype of both operands.
    pub dtype: DType,
    /// Elements of `sorted`.
    pub n: usize,
    /// What is searched.
    pub sorted: Operand,
    /// Shape of the values.
    pub shape: Dims,
    /// What is looked for.
    pub values: Operand,
    /// Before or after those that are equal.
    pub side: Side,
}

/// What an element counts for.
#[derive(Clone, Debug)]
pub enum Bins {
    /// Integers: element v counts for bin v.
    Integers,
    /// Floats: element x counts for bin i where `edges[i] <= x < edges[i + 1]`, or `<=` of the last; one outside of all, or NaN, for none. The edges, one more
    /// than there are bins, have the elements' dtype and stride 1, are finite, and do not descend; they are about evenly spaced.
    Edges(Operand),
}

/// How many elements count for each bin, as i64.
///
/// Invariants: 1. all of `shape` and `bins` are at least 1; 2. strides of `input` are for `shape`; as counts depend on no order, its axes may be in any; 3. under
/// [`Bins::Integers`] every element is from 0 to less than `bins`; 4. the result is `[bins]` from the start of its buffer, in which no operand lies.
#[derive(Clone, Debug)]
pub struct Count {
    /// Dtype of the elements: of integers for [`Bins::Integers`], else a float.
    pub dtype: DType,
    /// The index space.
    pub shape: Dims,
    /// What is counted.
    pub input: Operand,
    /// The number of bins.
    pub bins: usize,
    /// Which bin an element is for.
    pub by: Bins,
}
