//! Reads at indices.

use super::{Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};

/// A gather: the result at each index p of `shape` is the element of `input` whose position along the gathered axis is
/// `indices[p]`, and whose position along the other axes follows from p. A negative index counts from the end of the
/// axis. `take` and `take_along_axis` differ only in strides:
///
/// - `take` along an axis: `indices` has stride 0 along the axes that the input keeps, and `input` along those of the
///   indices;
/// - `take_along_axis`: `indices` has a stride along every axis, and `input` has stride 0 along the gathered axis.
///
/// Invariants:
/// 1. `shape` has at least one axis, no axis of 0, axes of 1 only as `[1]`, and no mergeable neighbours; `len`, the
///    length of the gathered axis, is at least 1;
/// 2. `indices` has dtype i64 and strides for `shape`; every index is at least `-len` and less than `len`;
/// 3. `input` has dtype `dtype` and strides for `shape` followed by the gathered axis; all strides may be 0 or
///    negative;
/// 4. the result is `shape` in C order from the start of its buffer, and no operand lies in that buffer.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The dtype of the elements.
    pub dtype: DType,
    /// The index space, which is the shape of the result.
    pub shape: Dims,
    /// The elements to read.
    pub input: Operand,
    /// The length of the gathered axis.
    pub len: usize,
    /// The positions along the gathered axis.
    pub indices: Operand,
}

impl Gather {
    /// Returns the lengths of the axes that the strides of `input` are for.
    fn lens(&self) -> Dims {
        self.shape.iter().copied().chain([self.len]).collect()
    }
}

impl Operation for Gather {
    fn describe(&self) -> String {
        format!("gather {} {:?} along an axis of {}", self.dtype, self.shape, self.len)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.input, &self.lens());
        f(&self.indices, &self.shape);
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.input, &mut self.indices].into_iter().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(self.dtype, self.shape.clone())]
    }

    /// The elements that are read, not all that indices can reach.
    fn bytes(&self) -> f64 {
        let (element, index) = (self.dtype.size(), DType::I64.size());
        self.shape.size() as f64 * (2 * element + index) as f64
    }

    fn work(&self) -> f64 {
        2.0 * self.shape.size() as f64
    }

    fn class(&self) -> (Class, DType) {
        (Class::Index, self.dtype)
    }
}
