//! Operations that sort elements, search for values in sorted elements, or count elements.

use super::Operand;
use crate::{DType, Dims};
use std::ops::Range;

/// The output of a sort for each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Give {
    /// The element.
    Values,
    /// The index of the element in its line, as i64.
    Indices,
}

/// A sort or a selection: the elements of the ranks `take` of each line, in the order of the sorted line. The ranks of
/// a full sort are `0..n`, those of a median the middle ones.
///
/// The order: numbers ascend (or descend), and NaN is larger than every number. Two further rules make the result
/// independent of the method:
/// - values: -0 is less than +0, and NaNs are in any order among themselves;
/// - indices: both zeros are equal, and all NaNs are equal; equal elements are in the order of their indices, whether
///   values ascend or descend.
///
/// Invariants:
/// 1. `dtype`, the dtype of the input, is not complex;
/// 2. `n` and all lengths of `lines` are at least 1; `take` is not empty and ends at `n` or before;
/// 3. strides of `input` are for `lines`, n; they may be 0 or negative;
/// 4. the result is `[.., take.len()]` in C order from the start of its buffer;
/// 5. the input does not lie in the output's buffer.
#[derive(Clone, Debug)]
pub struct Sort {
    /// The dtype of the elements.
    pub dtype: DType,
    /// The axes that are not sorted; may be empty.
    pub lines: Dims,
    /// The number of elements of a line.
    pub n: usize,
    /// The elements to sort.
    pub input: Operand,
    /// The kind of output.
    pub give: Give,
    /// Whether elements are sorted from the largest to the smallest.
    pub descending: bool,
    /// The ranks to return.
    pub take: Range<usize>,
}

impl Sort {
    /// Returns the dtype of the result.
    pub fn output(&self) -> DType {
        match self.give {
            Give::Values => self.dtype,
            Give::Indices => DType::I64,
        }
    }

    /// Estimates the number of comparisons: `n log2 n` for a full sort; for a selection a few passes over the line and
    /// the sort of the selected ranks.
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
