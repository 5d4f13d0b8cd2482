//! The methods of quantiles: which elements a quantile falls between.

/// The value of a quantile that falls between two elements: NumPy's thirteen methods. The first nine are the
/// definitions 1 to 9 of Hyndman and Fan, "Sample quantiles in statistical packages", 1996.
///
/// With the n elements in ascending order and ranks from 0, a quantile q has a position among the ranks. Positions
/// below 0 are the smallest element, and those above n - 1 the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quantile {
    /// The element of rank `ceil(n q) - 1`: the inverse of the distribution function.
    InvertedCdf,
    /// As [`InvertedCdf`](Self::InvertedCdf), with the mean of two elements where the function is constant.
    AveragedInvertedCdf,
    /// The element whose rank is nearest to `n q - 1`; in a tie, that of odd rank.
    ClosestObservation,
    /// Linear interpolation at `n q - 1`.
    InterpolatedInvertedCdf,
    /// Linear interpolation at `n q - 1/2`.
    Hazen,
    /// Linear interpolation at `(n + 1) q - 1`.
    Weibull,
    /// Linear interpolation at `(n - 1) q`.
    #[default]
    Linear,
    /// Linear interpolation at `(n + 1/3) q - 2/3`: about median-unbiased for any distribution.
    MedianUnbiased,
    /// Linear interpolation at `(n + 1/4) q - 5/8`: about unbiased for normal distributions.
    NormalUnbiased,
    /// The element of rank `floor((n - 1) q)`.
    Lower,
    /// The element of rank `ceil((n - 1) q)`.
    Higher,
    /// The mean of [`Lower`](Self::Lower) and [`Higher`](Self::Higher).
    Midpoint,
    /// The element whose rank is nearest to `(n - 1) q`; in a tie, that of even rank.
    Nearest,
}

/// The position of a quantile among sorted elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The rank of the element at or below the position.
    pub low: usize,
    /// The rank of the element above; equal to `low` if the quantile is an element.
    pub high: usize,
    /// The weight of the element above, from 0 to less than 1.
    pub weight: f64,
}

impl Quantile {
    /// All methods, in NumPy's order.
    pub const ALL: [Quantile; 13] = [
        Quantile::InvertedCdf,
        Quantile::AveragedInvertedCdf,
        Quantile::ClosestObservation,
        Quantile::InterpolatedInvertedCdf,
        Quantile::Hazen,
        Quantile::Weibull,
        Quantile::Linear,
        Quantile::MedianUnbiased,
        Quantile::NormalUnbiased,
        Quantile::Lower,
        Quantile::Higher,
        Quantile::Midpoint,
        Quantile::Nearest,
    ];

    /// Returns the position of quantile `q` among `n` elements, at least one. Each step is rounded as in NumPy.
    pub(super) fn position(self, q: f64, n: usize) -> Position {
        let (last, count) = (n - 1, n as f64);
        // A negative rank becomes 0.
        let element = |rank: f64| {
            let rank = (rank as usize).min(last);
            Position { low: rank, high: rank, weight: 0.0 }
        };
        let between = |index: f64, weight: fn(f64) -> f64| {
            if !(0.0..last as f64).contains(&index) {
                return element(index);
            }
            let low = index.floor();
            match weight(index - low) {
                0.0 => element(low),
                1.0 => element(low + 1.0),
                weight => Position { low: low as usize, high: low as usize + 1, weight },
            }
        };
        let fraction = |index: f64| between(index, |weight| weight);
        let spread = last as f64 * q;
        let parameters = |alpha: f64, beta: f64| fraction(count * q + (alpha + q * (1.0 - alpha - beta)) - 1.0);
        match self {
            Quantile::InvertedCdf => element((count * q - 1.0).ceil()),
            Quantile::AveragedInvertedCdf => between(count * q - 1.0, |weight| if weight == 0.0 { 0.5 } else { 1.0 }),
            Quantile::ClosestObservation => {
                let index = count * q - 1.0 - 0.5;
                let odd = index.floor().rem_euclid(2.0) == 1.0;
                element(if index == index.floor() && odd { index } else { index.floor() + 1.0 })
            }
            Quantile::InterpolatedInvertedCdf => parameters(0.0, 1.0),
            Quantile::Hazen => parameters(0.5, 0.5),
            Quantile::Weibull => parameters(0.0, 0.0),
            Quantile::Linear => fraction(spread),
            Quantile::MedianUnbiased => parameters(1.0 / 3.0, 1.0 / 3.0),
            Quantile::NormalUnbiased => parameters(3.0 / 8.0, 3.0 / 8.0),
            Quantile::Lower => element(spread.floor()),
            Quantile::Higher => element(spread.ceil()),
            Quantile::Midpoint => fraction(0.5 * (spread.floor() + spread.ceil())),
            Quantile::Nearest => element(spread.round_ties_even()),
        }
    }
}
