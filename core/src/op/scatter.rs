//! Writes at indices.

use super::{Mode, Operand, Operation, OutSpec, Output};
use crate::{Binary, Class, DType, Dims, Kinds};
use smallvec::{SmallVec, smallvec};

/// The way in which a scatter combines a value with the element at its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// It replaces the element. Of several values for one element, the last one remains.
    Set,
    /// It adds the value to the element; integers wrap.
    Add,
    /// It keeps the smaller one; NaN wins.
    Min,
    /// It keeps the larger one; NaN wins.
    Max,
}

impl Combine {
    /// Every way.
    pub const ALL: [Combine; 4] = [Combine::Set, Combine::Add, Combine::Min, Combine::Max];

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Combine::Set => "scatter",
            Combine::Add => "scatter_add",
            Combine::Min => "scatter_min",
            Combine::Max => "scatter_max",
        }
    }

    /// Returns the ufunc of the element and the value whose result is written; `None` if the value itself is written.
    pub fn ufunc(self) -> Option<Binary> {
        match self {
            Combine::Set => None,
            Combine::Add => Some(Binary::Add),
            Combine::Min => Some(Binary::Minimum),
            Combine::Max => Some(Binary::Maximum),
        }
    }

    /// Returns the dtypes that it is defined for. Minima and maxima, as in reductions, are those of real numbers.
    pub fn kinds(self) -> Kinds {
        match self {
            Combine::Set => Kinds::ANY,
            Combine::Add => Binary::Add.info().kinds,
            Combine::Min | Combine::Max => Kinds::BOOL.or(Kinds::INT).or(Kinds::FLOAT),
        }
    }
}

/// A scatter: for each index p of `shape`, in C order, `how` combines `values[p]` with the element of the output whose
/// position along the scattered axis is `indices[p]`, and whose position along the other axes follows from p. A
/// negative index counts from the end of the axis. All other elements of the output keep their values.
///
/// Invariants:
/// 1. `shape` has at least one axis, no axis of 0, axes of 1 only as `[1]`, and no mergeable neighbours; `len`, the
///    length of the scattered axis, is at least 1;
/// 2. `indices` has dtype i64 and strides for `shape`; every index is at least `-len` and less than `len`;
/// 3. `values` has dtype `dtype` and strides for `shape`;
/// 4. `output` has dtype `dtype` and strides for `shape` followed by the scattered axis. They are 0 along the axes of
///    `shape` in which only the index moves, and 1 at least along the other ones; the last one is not 0, and may be
///    negative. Different positions are different elements;
/// 5. `how` is defined for `dtype`;
/// 6. the elements of the output have been written, and no operand lies in its buffer.
#[derive(Clone, Debug)]
pub struct Scatter {
    /// The way in which an element and a value are combined.
    pub how: Combine,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The index space.
    pub shape: Dims,
    /// The positions along the scattered axis.
    pub indices: Operand,
    /// The values.
    pub values: Operand,
    /// The length of the scattered axis.
    pub len: usize,
    /// The position of the elements.
    pub output: Output,
}

impl Scatter {
    /// Returns the stride of the scattered axis.
    pub fn step(&self) -> isize {
        *self.output.strides.last().expect("the scattered axis")
    }
}

impl Operation for Scatter {
    fn describe(&self) -> String {
        format!("{} {} {:?} along an axis of {}", self.how.name(), self.dtype, self.shape, self.len)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.indices, &self.shape);
        f(&self.values, &self.shape);
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.indices, &mut self.values].into_iter().for_each(f);
    }

    /// The elements that indices can reach.
    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        let step = self.step();
        let first = self.output.offset as isize + (self.len as isize - 1) * step.min(0);
        let others = || self.shape.iter().zip(&self.output.strides).filter(|(_, s)| **s != 0);
        let lens = others().map(|(&n, _)| n).chain([self.len]).collect();
        let strides = others().map(|(_, &s)| s).chain([step.abs()]).collect();
        smallvec![OutSpec { dtype: self.dtype, lens, offset: first as usize, strides, mode: Mode::Update }]
    }

    /// The elements that are written, not all that indices can reach.
    fn bytes(&self) -> f64 {
        let (element, index) = (self.dtype.size(), DType::I64.size());
        self.shape.size() as f64 * (3 * element + index) as f64
    }

    fn work(&self) -> f64 {
        2.0 * self.shape.size() as f64
    }

    fn class(&self) -> (Class, DType) {
        (Class::Index, self.dtype)
    }
}
