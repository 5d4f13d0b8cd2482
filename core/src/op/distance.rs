//! Distances between all pairs of two sets of vectors.

use super::{Epilogue, Op, Operand, Operation, OutSpec, Params, Splits, then};
use crate::{Class, DType, Dims, Layout, Program};
use smallvec::{SmallVec, smallvec};

/// A metric that backends compute. Every [`Metric`](crate::Metric) is one of these, on vectors that core may have
/// changed before, or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `sqrt(sum((x - y)^2))`
    Euclidean,
    /// `sum((x - y)^2)`
    SquaredEuclidean,
    /// `1 - x.y / (|x| |y|)`
    Cosine,
    /// `x.y`
    Dot,
    /// `sum(|x - y|)`
    Cityblock,
    /// `max(|x - y|)`
    Chebyshev,
    /// `sum(|x - y|^p)^(1/p)`
    Minkowski,
    /// `sum(|x - y| / (|x| + |y|))`
    Canberra,
    /// `sum(|x - y|) / sum(|x + y|)`
    BrayCurtis,
    /// `count(x != y) / d`
    Hamming,
    /// `count((x != 0) != (y != 0)) / count(x != 0 or y != 0)`
    Jaccard,
    /// `sqrt(sum(x log(x / m) + y log(y / m)) / 2)` with `m = (x + y) / 2`, of vectors whose sums are 1
    JensenShannon,
    /// `sqrt(sum(((x - y) w)^2))` with the weights w `[d]`
    SEuclidean,
    /// `sqrt(sum((x - y)_i w_ij (x - y)_j))` with the weights w `[d, d]`
    Mahalanobis,
    /// `count(x xor y)` of the bits of words
    BitHamming,
    /// `count(x xor y) / count(x or y)` of the bits of words
    BitJaccard,
}

impl Measure {
    /// Returns the name for messages: that of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Euclidean => "euclidean",
            Measure::SquaredEuclidean => "sqeuclidean",
            Measure::Cosine => "cosine",
            Measure::Dot => "dot",
            Measure::Cityblock => "cityblock",
            Measure::Chebyshev => "chebyshev",
            Measure::Minkowski => "minkowski",
            Measure::Canberra => "canberra",
            Measure::BrayCurtis => "braycurtis",
            Measure::Hamming => "hamming",
            Measure::Jaccard => "jaccard",
            Measure::JensenShannon => "jensenshannon",
            Measure::SEuclidean => "seuclidean",
            Measure::Mahalanobis => "mahalanobis",
            Measure::BitHamming => "bithamming",
            Measure::BitJaccard => "bitjaccard",
        }
    }

    /// Returns the simple instructions for each coordinate of a pair.
    fn weight(self, d: usize) -> f64 {
        match self {
            Measure::Minkowski | Measure::JensenShannon => 60.0,
            Measure::Canberra => 12.0,
            Measure::BrayCurtis | Measure::Hamming | Measure::Jaccard | Measure::SEuclidean => 5.0,
            Measure::Mahalanobis => 2.0 + 2.0 * d as f64,
            _ => 2.0,
        }
    }
}

/// The magnitude of `(p - q) / (p + q)` below which the terms of a Jensen-Shannon distance are computed by [`SHARES`].
pub const SMALL_SHARE: f64 = 0.3;

/// The coefficients of `((1 + t) log(1 + t) + (1 - t) log(1 - t)) / t^2` as a series in t^2: 1 / (k (2k - 1)) for k
/// from 1 on. The rest of the series is below 2^-53 for magnitudes of t up to [`SMALL_SHARE`].
pub const SHARES: [f64; 15] = {
    let mut shares = [0.0; 15];
    let mut k = 0;
    while k < 15 {
        shares[k] = 1.0 / ((k + 1) * (2 * k + 1)) as f64;
        k += 1;
    }
    shares
};

/// All pairwise distances: `after(distance(x[i], y[j]))` as `[n, m]` in C order from the start of its buffer. X is
/// `[n, d]`, Y is `[m, d]`.
///
/// Invariants: 1. n, m and d are at least 1; 2. `dtype` is an unsigned integer if the metric is `BitHamming` or
/// `BitJaccard`, otherwise a real float, or i8 or u8 if the metric is `Euclidean`, `SquaredEuclidean`, `Cosine` or
/// `Dot`; 3. `after` has one input, of dtype `dtype.distance()`; 4. no operand lies in the output's buffer; 5. there
/// are weights if and only if the metric is `SEuclidean` or `Mahalanobis`.
#[derive(Clone, Debug)]
pub struct Distance {
    /// The metric.
    pub metric: Measure,
    /// The order of `Minkowski` distances, at least 1 and maybe infinite; 1 for other metrics.
    pub power: f64,
    /// The weights of dtype `dtype`; their strides are for d, or for d, d.
    pub weights: Option<Operand>,
    /// The dtype of X and Y. That of the distances is [`dtype.distance()`](DType::distance).
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
        if let Some(weights) = &self.weights {
            f(weights, &[self.d, self.d][..weights.strides.len()]);
        }
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.x, &mut self.y].into_iter().chain(&mut self.weights).for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(self.after.output(), Dims::from([self.n, self.m]))]
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.after]
    }

    fn work(&self) -> f64 {
        (self.n * self.m) as f64 * (self.d as f64 * self.metric.weight(self.d) + self.after.weight() + 6.0)
    }

    fn class(&self) -> (Class, DType) {
        (if self.metric == Measure::Cosine { Class::Cosine } else { Class::Distance }, self.dtype)
    }

    fn splits(&self) -> Splits {
        if self.after.is_identity() { Splits::Never } else { Splits::IfCheaper }
    }

    fn split(&self) -> (Op, Epilogue) {
        let mut plain = self.clone();
        let epilogue = Epilogue {
            program: std::mem::replace(&mut plain.after, Program::identity(self.dtype.distance())),
            params: std::mem::take(&mut plain.after_params),
            extras: SmallVec::new(),
            output: Layout::contiguous(Dims::from([self.n, self.m])),
        };
        (Op::from(plain), epilogue)
    }
}
