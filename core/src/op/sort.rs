//! Sorts and selections.

use super::{Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};
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
    /// Returns the lengths of `lines`, followed by `last`.
    fn lens(&self, last: usize) -> Dims {
        self.lines.iter().copied().chain([last]).collect()
    }

    /// Returns the dtype of the result.
    pub fn output(&self) -> DType {
        match self.give {
            Give::Values => self.dtype,
            Give::Indices => DType::I64,
        }
    }
}

impl Operation for Sort {
    fn describe(&self) -> String {
        let what = if self.give == Give::Values { "sort" } else { "argsort" };
        let part = if self.take.len() == self.n { String::new() } else { format!(" ranks {:?}", self.take) };
        let order = if self.descending { " descending" } else { "" };
        format!("{what} {} {:?}x[{}]{part}{order}", self.dtype, self.lines, self.n)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.input, &self.lens(self.n));
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        f(&mut self.input);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(self.output(), self.lens(self.take.len()))]
    }

    /// The number of comparisons: `n log2 n` for a full sort; for a selection a few passes over the line and the sort
    /// of the selected ranks.
    fn work(&self) -> f64 {
        let sorting = |n: usize| n as f64 * (n.max(2) as f64).log2();
        let line = if self.take.len() == self.n {
            sorting(self.n)
        } else {
            (3.0 * self.n as f64 + sorting(self.take.len())).min(sorting(self.n))
        };
        self.lines.size() as f64 * line
    }

    fn class(&self) -> (Class, DType) {
        (if self.give == Give::Indices { Class::ArgSort } else { Class::Sort }, self.dtype)
    }
}
