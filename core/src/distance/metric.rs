//! The table of metrics. No other place lists them.
//!
//! The enum, its documentation and the conformance cases are generated from these rows. To add a metric, add a row; the
//! compiler then reports every `match` that lacks it. A metric that is not another one on changed vectors is also a
//! [`Measure`], which backends compute.

use crate::op::{Measure, SHARES, SMALL_SHARE};
use crate::{Array, DType, Kind};

/// The meaning of the error bound of a metric, which is `8 eps sqrt(d)` for vectors of d coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Relative to the distance.
    Relative,
    /// Absolute.
    Absolute,
    /// Relative to the sum of the magnitudes of the terms, which may cancel.
    Terms,
}

/// The vectors that a metric is tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// Any numbers.
    Real,
    /// Numbers of which many are equal or zero.
    Discrete,
    /// Numbers that are not negative.
    Weights,
    /// Two coordinates, latitude and longitude in radians.
    Angles,
}

/// The dtypes of the vectors that a metric is defined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// Floats.
    Floats,
    /// Floats, and bytes: i8 and u8.
    FloatsAndBytes,
    /// Unsigned integers, whose bits are the coordinates.
    Words,
}

impl Coordinates {
    /// Returns whether vectors may have this dtype.
    pub fn accept(self, dtype: DType) -> bool {
        match self {
            Coordinates::Floats => dtype.kind() == Kind::Float,
            Coordinates::FloatsAndBytes => dtype.kind() == Kind::Float || matches!(dtype, DType::I8 | DType::U8),
            Coordinates::Words => dtype.kind() == Kind::Uint,
        }
    }

    /// Returns the dtypes, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Coordinates::Floats => "floats",
            Coordinates::FloatsAndBytes => "floats, i8 and u8",
            Coordinates::Words => "u8, u16, u32 and u64, as words of packed bits",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricInfo {
    /// SciPy's name of the metric (scikit-learn's for haversine).
    pub name: &'static str,
    /// The formula for two vectors x and y.
    pub formula: &'static str,
    /// The distance of vectors without coordinates, as in SciPy.
    pub empty: f64,
    /// The meaning of the error bound.
    pub bound: Bound,
    /// The vectors for which the bound holds and that tests use.
    pub vectors: Vectors,
    /// The dtypes of vectors that the metric is defined for.
    pub coordinates: Coordinates,
}

macro_rules! metrics {
    ($(
        $Name:ident $(($P:ty))? $name:literal $(= $example:expr)?, $formula:literal, d0 $empty:expr, $bound:ident,
        $vectors:ident, $coordinates:ident, $notes:literal;
    )*) => {
        /// A measure of the distance between two vectors x and y of d numbers: the rows of a table, which has the
        /// formula, special values and the error bound of each. They are those of SciPy, and of scikit-learn for
        /// `Haversine`, except where a row says otherwise.
        ///
        /// All metrics but the last two are of floats, and the distances have their dtype. `Euclidean`,
        /// `SquaredEuclidean`, `Cosine` and `Dot` are also of bytes (i8 and u8). The sums of bytes are exact integers,
        /// which are converted to f32 at the end: products and squared distances below 2^24 are exact, others are
        /// rounded once; the error of Euclidean distances is at most `eps`, and that of cosine distances at most `eps`
        /// absolutely. `BitHamming` and `BitJaccard` are of packed bits: the bits of unsigned integers, in any order.
        ///
        /// Unless a row says otherwise, a NaN in a vector gives NaN, and the error is at most `8 eps sqrt(d)` relative
        /// to the distance. The distance of a vector of finite numbers to itself is exactly 0, and `d(x, y)` has the
        /// same bits as `d(y, x)` (on `blas` only if both are rows of one operand). The squares of large and small
        /// numbers do not overflow or underflow where the distance does not.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Metric<'a> {
            $(
                #[doc = concat!("`", $formula, "`. ", $notes)]
                $Name $(($P))?,
            )*
        }

        impl<'a> Metric<'a> {
            const LISTED: &'static [Metric<'static>] = &[$($($example,)?)*];

            /// Returns the row of this metric.
            pub const fn info(self) -> &'static MetricInfo {
                match self { $(
                    metrics!(@pattern $Name $(($P))?) => &MetricInfo {
                        name: $name, formula: $formula, empty: $empty, bound: Bound::$bound, vectors: Vectors::$vectors,
                        coordinates: Coordinates::$coordinates,
                    },
                )* }
            }
        }
    };
    (@pattern $Name:ident) => { Metric::$Name };
    (@pattern $Name:ident ($P:ty)) => { Metric::$Name(_) };
}

const NAN: f64 = f64::NAN;

// Variant(parameter) "name" = example for tests, "formula", d0 value without coordinates, bound, vectors, dtypes,
// notes;
metrics! {
    Euclidean "euclidean" = Metric::Euclidean, "sqrt(sum((x - y)^2))", d0 0.0, Relative, Real, FloatsAndBytes,
        "";
    SquaredEuclidean "sqeuclidean" = Metric::SquaredEuclidean, "sum((x - y)^2)", d0 0.0, Relative, Real, FloatsAndBytes,
        "";
    Cosine "cosine" = Metric::Cosine, "1 - x.y / (|x| |y|)", d0 NAN, Absolute, Real, FloatsAndBytes,
        "Between 0 and 2; NaN if a vector is zero. The error bound is absolute.";
    Correlation "correlation" = Metric::Correlation, "cosine of x - mean(x) and y - mean(y)", d0 NAN, Absolute, Real,
        Floats, "Between 0 and 2; NaN if all numbers of a vector are equal. The error bound is absolute.";
    Dot "dot" = Metric::Dot, "x.y", d0 0.0, Terms, Real, FloatsAndBytes,
        "The inner product, which is large where vectors are near: `nearest` and `argmin` return the largest products, \
         and `within` those of at least the radius. The error bound is relative to `sum(|x y|)`, and a vector has no \
         distance of 0 to itself.";
    Cityblock "cityblock" = Metric::Cityblock, "sum(|x - y|)", d0 0.0, Relative, Real, Floats, "";
    Chebyshev "chebyshev" = Metric::Chebyshev, "max(|x - y|)", d0 0.0, Relative, Real, Floats, "SciPy ignores NaN.";
    Minkowski(f64) "minkowski" = Metric::Minkowski(3.0), "sum(|x - y|^p)^(1/p)", d0 0.0, Relative, Real, Floats,
        "The order p is at least 1; infinity gives `Chebyshev`.";
    Canberra "canberra" = Metric::Canberra, "sum(|x - y| / (|x| + |y|))", d0 0.0, Relative, Real, Floats,
        "0 / 0 counts as 0.";
    BrayCurtis "braycurtis" = Metric::BrayCurtis, "sum(|x - y|) / sum(|x + y|)", d0 NAN, Relative, Weights, Floats,
        "NaN if both vectors are zero. If numbers have different signs, the terms of the denominator cancel, and the \
         error bound is relative to terms that are not cancelled.";
    Hamming "hamming" = Metric::Hamming, "count(x != y) / d", d0 NAN, Relative, Discrete, Floats,
        "NaN differs from NaN.";
    Jaccard "jaccard" = Metric::Jaccard, "count(x xor y) / count(x or y)", d0 0.0, Relative, Discrete, Floats,
        "Of truth values: every number but 0 is true, NaN too. 0 / 0 gives 0.";
    JensenShannon "jensenshannon" = Metric::JensenShannon, "sqrt((KL(p, m) + KL(q, m)) / 2)", d0 f64::INFINITY,
        Absolute, Weights, Floats,
        "p and q are x and y divided by their sums, m is their mean, and `KL(p, m)` is `sum(p log(p / m))`. \
         Infinity if a quotient is negative, or all numbers of a vector are zero. The error bound is absolute: the \
         division rounds, so the distance of vectors that are multiples of each other may be some eps.";
    SEuclidean(&'a Array<f64>) "seuclidean", "sqrt(sum((x - y)^2 / v))", d0 0.0, Relative, Real, Floats,
        "The variances v `[d]` are not negative. A difference divided by a variance of 0 gives infinity, or NaN for a \
         difference of 0.";
    Mahalanobis(&'a Array<f64>) "mahalanobis", "sqrt((x - y) V (x - y))", d0 0.0, Terms, Real, Floats,
        "V `[d, d]` is the inverse of a covariance matrix. NaN if the sum is negative. The error bound is relative to \
         the distance that the magnitudes of all terms would give.";
    Haversine "haversine" = Metric::Haversine,
        "2 arcsin(sqrt(sin^2((x0 - y0) / 2) + cos(x0) cos(y0) sin^2((x1 - y1) / 2)))", d0 NAN, Relative, Angles,
        Floats,
        "The angle between two points on a sphere with latitudes x0, y0 and longitudes x1, y1 in radians. Needs two \
         coordinates. Also accurate for points on opposite sides of the sphere.";
    BitHamming "bithamming" = Metric::BitHamming, "count(x xor y)", d0 0.0, Relative, Real, Words,
        "The number of different bits, as faiss counts it; SciPy's fraction is this number divided by the number of \
         bits. Exact below 2^24. Vectors are words of packed bits: u8, u16, u32 or u64.";
    BitJaccard "bitjaccard" = Metric::BitJaccard, "count(x xor y) / count(x or y)", d0 0.0, Relative, Real, Words,
        "`Jaccard` of packed bits. 0 / 0 gives 0.";
}

impl Metric<'_> {
    /// Every metric of floats whose parameters, if any, are not arrays, and `Minkowski` of order 3.
    pub const ALL: [Metric<'static>; Metric::LISTED.len() - Metric::PACKED.len()] = Metric::listed(0);

    /// The metrics of packed bits. They are the last rows of the table.
    pub const PACKED: [Metric<'static>; 2] = Metric::listed(Metric::LISTED.len() - 2);

    /// Returns the listed metrics from this row on.
    const fn listed<const N: usize>(first: usize) -> [Metric<'static>; N] {
        let mut some = [Metric::Euclidean; N];
        let mut i = 0;
        while i < N {
            some[i] = Metric::LISTED[first + i];
            i += 1;
        }
        some
    }

    /// [`SquaredEuclidean`](Metric::SquaredEuclidean) by SciPy's name.
    #[expect(non_upper_case_globals, reason = "it is used as a variant")]
    pub const SqEuclidean: Metric<'static> = Metric::SquaredEuclidean;

    /// SciPy's name of the metric.
    pub fn name(self) -> &'static str {
        self.info().name
    }
}

impl Measure {
    /// Returns the distance of two vectors, which are given as an iterator over pairs of their coordinates, in f64.
    /// This is the definition for all backends: `scalar` calls it for every pair, others for pairs whose sums leave the
    /// range of the dtype. `power` is the order of a Minkowski distance; `weights` has the numbers of the operand
    /// [`weights`](crate::op::Distance::weights).
    pub fn distance(self, power: f64, weights: &[f64], pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
        let apart = pairs.clone().map(|(x, y)| (x - y).abs());
        match self {
            Measure::Euclidean => root_of_squares(apart),
            Measure::SquaredEuclidean => {
                let (sum, scale) = scaled_squares(apart);
                sum * scale * scale
            }
            Measure::SEuclidean => root_of_squares(apart.zip(weights).map(|(apart, weight)| apart * weight)),
            Measure::Mahalanobis => mahalanobis(weights, pairs),
            Measure::Cosine => cosine(pairs),
            Measure::Dot => {
                let (x, y) = (scale(largest(pairs.clone().map(|p| p.0))), scale(largest(pairs.clone().map(|p| p.1))));
                match sum(pairs.clone().map(|(x, y)| x * y)) {
                    plain if plain.is_finite() => plain,
                    // In this order for both orders of the vectors, and without intermediate overflow.
                    _ => sum(pairs.map(|(a, b)| (a / x) * (b / y))) * x.min(y) * x.max(y),
                }
            }
            Measure::Cityblock => sum(apart),
            Measure::Chebyshev => largest(apart),
            Measure::Minkowski => {
                let most = largest(apart.clone());
                if most == 0.0 || !most.is_finite() || power.is_infinite() {
                    return most;
                }
                sum(apart.map(|apart| (apart / most).powf(power))).powf(1.0 / power) * most
            }
            Measure::Canberra => sum(pairs.map(|(x, y)| match x.abs() + y.abs() {
                0.0 => 0.0,
                f64::INFINITY => (x / 2.0 - y / 2.0).abs() / (x.abs() / 2.0 + y.abs() / 2.0),
                both => (x - y).abs() / both,
            })),
            Measure::BrayCurtis => {
                let both = |scale: f64| {
                    let scaled = pairs.clone().map(move |(x, y)| (x / scale, y / scale));
                    (sum(scaled.clone().map(|(x, y)| (x - y).abs())), sum(scaled.map(|(x, y)| (x + y).abs())))
                };
                let (apart, together) = match both(1.0) {
                    (apart, together) if apart < f64::INFINITY && together < f64::INFINITY => (apart, together),
                    // 2^64 exceeds the number of terms.
                    _ => both(1.8446744073709552e19),
                };
                apart / together
            }
            Measure::Hamming => {
                let (differ, d) = pairs.fold((0.0, 0.0), |(differ, d), (x, y)| (differ + truth(x != y), d + 1.0));
                differ / d
            }
            Measure::Jaccard => {
                let (differ, any) = pairs.fold((0.0, 0.0), |(differ, any), (x, y)| {
                    (differ + truth((x != 0.0) != (y != 0.0)), any + truth(x != 0.0 || y != 0.0))
                });
                if any == 0.0 { 0.0 } else { differ / any }
            }
            Measure::JensenShannon => (sum(pairs.map(|(p, q)| divergence(p, q))) / 2.0).sqrt(),
            Measure::BitHamming | Measure::BitJaccard => self.of_words(pairs.map(|(x, y)| (x as u64, y as u64))),
        }
    }

    /// Returns the distance of two vectors of packed bits, which are given as an iterator over pairs of their words.
    /// This is the definition of `BitHamming` and `BitJaccard` for all backends.
    pub fn of_words(self, words: impl Iterator<Item = (u64, u64)>) -> f64 {
        let (differ, any) = words.fold((0u64, 0u64), |(differ, any), (x, y)| {
            (differ + u64::from((x ^ y).count_ones()), any + u64::from((x | y).count_ones()))
        });
        match self {
            Measure::BitJaccard if any == 0 => 0.0,
            Measure::BitJaccard => differ as f64 / any as f64,
            _ => differ as f64,
        }
    }
}

/// The numbers that are added up one after another before their sum is added to those of earlier ones, so that rounding
/// errors do not grow with the number of terms.
const SEGMENT: usize = 128;

fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let (mut total, mut segment) = (0.0, 0.0);
    for (i, term) in terms.enumerate() {
        segment += term;
        if i % SEGMENT == SEGMENT - 1 {
            total += segment;
            segment = 0.0;
        }
    }
    total + segment
}

/// Returns the largest magnitude; NaN if there is a NaN, 0 if there is nothing.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, x| if x.abs() > most || x.is_nan() { x.abs() } else { most })
}

/// Returns a power of two near a magnitude; 1 for 0, NaN and infinity.
fn scale(magnitude: f64) -> f64 {
    if magnitude == 0.0 || !magnitude.is_finite() {
        return 1.0;
    }
    f64::from_bits(magnitude.max(f64::MIN_POSITIVE).to_bits() & f64::INFINITY.to_bits())
}

fn truth(x: bool) -> f64 {
    f64::from(u8::from(x))
}

/// Squares of numbers in this range, and their sums and products of two, are normal numbers.
fn is_moderate(sum: f64) -> bool {
    (1e-140..1e140).contains(&sum)
}

/// Returns the sum of the squares of numbers that are not negative, divided by the square of a scale, and the scale.
fn scaled_squares(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let plain = sum(values.clone().map(|x| x * x));
    if is_moderate(plain) || plain.is_nan() {
        return (plain, 1.0);
    }
    let scale = scale(largest(values.clone()));
    (sum(values.map(|x| (x / scale) * (x / scale))), scale)
}

fn root_of_squares(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (sum, scale) = scaled_squares(values);
    sum.sqrt() * scale
}

fn cosine(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let sums = |x: f64, y: f64| {
        let scaled = pairs.clone().map(move |(a, b)| (a / x, b / y));
        let squares = [sum(scaled.clone().map(|(a, _)| a * a)), sum(scaled.clone().map(|(_, b)| b * b))];
        (sum(scaled.map(|(a, b)| a * b)), squares)
    };
    let (mut product, mut squares) = sums(1.0, 1.0);
    if !squares.iter().all(|&x| is_moderate(x)) {
        let [x, y] = [largest(pairs.clone().map(|p| p.0)), largest(pairs.clone().map(|p| p.1))];
        (product, squares) = sums(scale(x), scale(y));
    }
    // The root of a square is exact, so equal vectors give exactly 0.
    (1.0 - product / (squares[0] * squares[1]).sqrt()).clamp(0.0, 2.0)
}

fn mahalanobis(weights: &[f64], pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let d = weights.len().isqrt();
    let square = |scale: f64| {
        let apart = pairs.clone().map(move |(x, y)| (x - y) / scale);
        let row = |i: usize| sum(weights[i * d..][..d].iter().zip(apart.clone()).map(|(w, x)| w * x));
        sum(apart.clone().enumerate().map(|(i, x)| x * row(i)))
    };
    let plain = square(1.0);
    if is_moderate(plain.abs()) {
        return plain.sqrt();
    }
    match scale(largest(pairs.clone().map(|(x, y)| x - y))) {
        1.0 => plain.sqrt(),
        scale => square(scale).sqrt() * scale,
    }
}

/// Returns `p log(p / m) + q log(q / m)` for m = (p + q) / 2.
fn divergence(p: f64, q: f64) -> f64 {
    if p < 0.0 || q < 0.0 {
        return f64::INFINITY;
    }
    if p + q == 0.0 {
        return 0.0;
    }
    let (mean, t) = ((p + q) / 2.0, (p - q) / (p + q));
    if t.abs() < SMALL_SHARE {
        // The terms cancel: m ((1 + t) log(1 + t) + (1 - t) log(1 - t)) as a series.
        let square = t * t;
        return mean * square * SHARES.iter().rev().fold(0.0, |sum, c| sum * square + c);
    }
    // Without the mean, which may round to 0.
    let both = p + q;
    let part = |share: f64| if share == 0.0 { 0.0 } else { share * (2.0 * (share / both)).ln() };
    part(p) + part(q)
}
