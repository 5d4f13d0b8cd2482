//! Distances between all pairs of two sets of vectors.

use super::{Epilogue, Op, Operand, Operation, OutSpec, Params, Splits, then};
use crate::{Class, DType, Dims, Layout, Program};
use smallvec::{SmallVec, smallvec};

/// A measure of the distance between two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `sqrt(sum((x - y)^2))`
    Euclidean,
    /// `sum((x - y)^2)`
    SqEuclidean,
    /// `sum(|x - y|)`
    Cityblock,
    /// `1 - x.y / (|x| |y|)`; NaN if a vector is zero.
    Cosine,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 4] = [Metric::Euclidean, Metric::SqEuclidean, Metric::Cityblock, Metric::Cosine];

    /// SciPy's name of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Euclidean => "euclidean",
            Metric::SqEuclidean => "sqeuclidean",
            Metric::Cityblock => "cityblock",
            Metric::Cosine => "cosine",
        }
    }
}

/// All pairwise distances: `after(distance(x[i], y[j]))` as `[n, m]` in C order from the start of its buffer. X is
/// `[n, d]`, Y is `[m, d]`.
///
/// Invariants: 1. n, m and d are at least 1; 2. `dtype` is a real float; 3. `after` has one input, of dtype `dtype`; 4.
/// no operand lies in the output's buffer.
#[derive(Clone, Debug)]
pub struct Distance {
    /// The metric.
    pub metric: Metric,
    /// The dtype of X, Y and the distances.
    pub dtype: DType,
    /// The number of rows of X.
    pub n: usize,
    /// The number of rows of Y.
    pub m: usize,
    /// The number of columns of X and Y.
    pub d: usize,
    /// The operand X; its strides are for n, d.
    pub x: Operand,
    /// The operand Y; its strides are for m, d.
    pub y: Operand,
    /// The program that is applied to each distance.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
}

impl Operation for Distance {
    fn describe(&self) -> String {
        let (metric, dtype, tail) = (self.metric.name(), self.dtype, then(&self.after));
        format!("{metric} distances {dtype} [{}, {}, {}]{tail}", self.n, self.m, self.d)
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.x, &[self.n, self.d]);
        f(&self.y, &[self.m, self.d]);
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.x, &mut self.y].into_iter().for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(self.after.output(), Dims::from([self.n, self.m]))]
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.after]
    }

    fn work(&self) -> f64 {
        (self.n * self.m) as f64 * (self.d as f64 * 2.0 + self.after.weight() + 6.0)
    }

    fn class(&self) -> (Class, DType) {
        (if self.metric == Metric::Cosine { Class::Cosine } else { Class::Distance }, self.dtype)
    }

    fn splits(&self) -> Splits {
        if self.after.is_identity() { Splits::Never } else { Splits::IfCheaper }
    }

    fn split(&self) -> (Op, Epilogue) {
        let mut plain = self.clone();
        let epilogue = Epilogue {
            program: std::mem::replace(&mut plain.after, Program::identity(self.dtype)),
            params: std::mem::take(&mut plain.after_params),
            extras: SmallVec::new(),
            output: Layout::contiguous(Dims::from([self.n, self.m])),
        };
        (Op::from(plain), epilogue)
    }
}
