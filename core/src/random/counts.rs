//! The Poisson and the binomial distribution.
//!
//! For means up to 128, one uniform number is compared with a table of the sums of the probabilities, from a number
//! on that the upper bits select: H. Chen and Y. Asau, "On generating random variates from an empirical distribution",
//! AIIE Transactions 6, 1974. For larger means, transformed rejection with squeeze is used: W. Hörmann, "The
//! transformed rejection method for generating Poisson random variables", Insurance: Mathematics and Economics 12, 1993
//! (PTRS), and "The generation of binomial random variates", J. Stat. Comput. Simul. 46, 1993 (BTRS). Probabilities are
//! computed as in C. Loader, "Fast and accurate computation of binomial probabilities", 2000, which is accurate for
//! large numbers, too.

use super::philox::ElementStream;
use std::f64::consts::TAU;

/// The largest mean of a distribution that has a table, and the number of sums in a table: the probability of larger
/// numbers is less than 2^-53, the smallest difference of two uniform numbers.
const TABLE_MEAN: f64 = 128.0;
const TABLE: usize = 256;

/// The sums of the probabilities of the numbers from 0 on.
#[derive(Clone, Copy, Debug)]
struct Table {
    /// The probability of each number together with those of the smaller ones. The sum of the largest number that is
    /// drawn is infinite.
    sums: [f64; TABLE],
    /// For the numbers from i / 256 to less than (i + 1) / 256, the least number whose sum exceeds i / 256.
    starts: [u8; 256],
}

impl Table {
    /// Makes the table of the numbers from 0 to `largest`. `first` is the probability of 0, and `ratio` returns the
    /// probability of a number divided by that of the previous one.
    fn new(first: f64, largest: u64, ratio: impl Fn(f64) -> f64) -> Table {
        let (mut sums, mut probability, mut sum) = ([f64::INFINITY; TABLE], first, first);
        let last = usize::try_from(largest).unwrap_or(TABLE).min(TABLE - 1);
        for (k, place) in sums[..last].iter_mut().enumerate() {
            *place = sum;
            probability *= ratio((k + 1) as f64);
            let next = sum + probability;
            if next == sum {
                break;
            }
            sum = next;
        }
        let (mut starts, mut k) = ([0; 256], 0);
        for (i, start) in starts.iter_mut().enumerate() {
            while i as f64 / 256.0 >= sums[k] {
                k += 1;
            }
            *start = k as u8;
        }
        Table { sums, starts }
    }

    /// Returns the least number whose sum exceeds `u`, from 0 to less than 1.
    #[inline]
    fn number(&self, u: f64) -> i64 {
        let mut k = usize::from(self.starts[(u * 256.0) as usize & 255]);
        while u >= self.sums[k & (TABLE - 1)] {
            k += 1;
        }
        k as i64
    }
}

/// The region in which pairs of uniform numbers are accepted, for numbers near `centre`.
#[derive(Clone, Copy, Debug)]
struct Hat {
    a: f64,
    b: f64,
    centre: f64,
    /// The height below which pairs are accepted without a comparison with the probability.
    squeeze: f64,
    /// The factor between heights and probabilities.
    alpha: f64,
}

impl Hat {
    /// Returns the number of an accepted pair of uniform numbers. `accepts` compares a height with the probability of a
    /// number from 0 to `largest`.
    #[inline]
    fn draw(&self, stream: &mut ElementStream, largest: f64, accepts: impl Fn(f64, f64) -> bool) -> f64 {
        let Hat { a, b, centre, squeeze, alpha } = *self;
        loop {
            let u = stream.uniform() - 0.5;
            let v = stream.positive();
            let us = 0.5 - u.abs();
            let k = floor((2.0 * a / us + b) * u + centre);
            if us >= 0.07 && v <= squeeze {
                return k;
            }
            // For `us = 0` the number is infinite.
            if !(0.0..=largest).contains(&k) {
                continue;
            }
            if accepts(v * alpha / (a / (us * us) + b), k) {
                return k;
            }
        }
    }
}

/// Returns the largest integer that is not larger than `x`. Without SSE4.1, `f64::floor` is a call of a function.
#[inline]
fn floor(x: f64) -> f64 {
    // Larger numbers are integers, or infinite.
    if x.abs() >= (1u64 << 52) as f64 {
        return x;
    }
    let truncated = x as i64 as f64;
    if truncated > x { truncated - 1.0 } else { truncated }
}

/// The errors of Stirling's formula for 1 to 15, computed with 40 digits.
const STIRLING_ERRORS: [f64; 15] = [
    0.081_061_466_795_327_26,
    0.041_340_695_955_409_3,
    0.027_677_925_684_998_34,
    0.020_790_672_103_765_093,
    0.016_644_691_189_821_193,
    0.013_876_128_823_070_748,
    0.011_896_709_945_891_77,
    0.010_411_265_261_972_096,
    0.009_255_462_182_712_733,
    0.008_330_563_433_362_87,
    0.007_573_675_487_951_841,
    0.006_942_840_107_209_53,
    0.006_408_994_188_004_207,
    0.005_951_370_112_758_847_5,
    0.005_554_733_551_962_801,
];

/// Returns `ln(k!) - ((k + 1/2) ln k - k + ln(2 pi) / 2)`, the error of Stirling's formula, for integers k of at least
/// 1.
fn stirling_error(k: f64) -> f64 {
    if let Some(error) = STIRLING_ERRORS.get((k as usize).wrapping_sub(1)) {
        return *error;
    }
    let square = k * k;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0) / square) / square) / square) / k
}

/// Returns `k ln(k / m) + m - k` without cancellation.
fn deviance(k: f64, m: f64) -> f64 {
    if (k - m).abs() >= 0.1 * (k + m) {
        return k * libm::log(k / m) + m - k;
    }
    let v = (k - m) / (k + m);
    let (mut sum, mut power) = ((k - m) * v, 2.0 * k * v);
    for odd in (3u32..).step_by(2) {
        power *= v * v;
        let next = sum + power / f64::from(odd);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// The Poisson distribution.
#[derive(Clone, Copy, Debug)]
pub struct Poisson {
    mean: f64,
    /// The table, unless the mean is large.
    table: Option<Table>,
    hat: Hat,
}

impl Poisson {
    /// Makes a sampler with a mean that is not negative.
    pub fn new(mean: f64) -> Poisson {
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.024_83 * b;
        let hat =
            Hat { a, b, centre: mean + 0.43, squeeze: 0.9277 - 3.6224 / (b - 2.0), alpha: 1.1239 + 1.1328 / (b - 3.4) };
        let table = (mean <= TABLE_MEAN).then(|| Table::new(libm::exp(-mean), u64::MAX, |k| mean / k));
        Poisson { mean, table, hat }
    }

    fn log_probability(&self, k: f64) -> f64 {
        match k {
            0.0 => -self.mean,
            k => -stirling_error(k) - deviance(k, self.mean) - 0.5 * libm::log(TAU * k),
        }
    }

    /// Returns the value of an element.
    #[inline]
    pub fn draw(&self, stream: &mut ElementStream) -> i64 {
        match &self.table {
            Some(table) => table.number(stream.uniform()),
            None => self.hat.draw(stream, f64::MAX, |height, k| libm::log(height) <= self.log_probability(k)) as i64,
        }
    }
}

/// The binomial distribution.
#[derive(Clone, Copy, Debug)]
pub struct Binomial {
    n: u64,
    /// The probability of success or that of failure, whichever is smaller.
    p: f64,
    /// Whether `p` is the probability of failure.
    failures: bool,
    /// The table, unless the mean is large.
    table: Option<Table>,
    /// The logarithm of the probability of the most probable number, if the mean is large.
    log_largest: f64,
    hat: Hat,
}

impl Binomial {
    /// Makes a sampler of `n` trials with a probability of success from 0 to 1.
    pub fn new(n: u64, p: f64) -> Binomial {
        let failures = p > 0.5;
        let p = if failures { 1.0 - p } else { p };
        let (trials, mean) = (n as f64, n as f64 * p);
        let deviation = (mean * (1.0 - p)).sqrt();
        let b = 1.15 + 2.53 * deviation;
        let a = -0.0873 + 0.0248 * b + 0.01 * p;
        let hat = Hat { a, b, centre: mean + 0.5, squeeze: 0.92 - 4.2 / b, alpha: (2.83 + 5.1 / b) * deviation };
        let table = (mean <= TABLE_MEAN).then(|| {
            let (first, odds) = (libm::exp(trials * libm::log1p(-p)), p / (1.0 - p));
            Table::new(first, n, |k| (trials - k + 1.0) / k * odds)
        });
        let mut binomial = Binomial { n, p, failures, table, log_largest: 0.0, hat };
        if table.is_none() {
            binomial.log_largest = binomial.log_probability(((trials + 1.0) * p).floor());
        }
        binomial
    }

    fn log_probability(&self, k: f64) -> f64 {
        let (n, p, q) = (self.n as f64, self.p, 1.0 - self.p);
        if k == 0.0 {
            return n * libm::log1p(-p);
        }
        if k == n {
            return n * libm::log(p);
        }
        let errors = stirling_error(n) - stirling_error(k) - stirling_error(n - k);
        errors - deviance(k, n * p) - deviance(n - k, n * q) + 0.5 * libm::log(n / (TAU * k * (n - k)))
    }

    /// Returns the value of an element.
    pub fn draw(&self, stream: &mut ElementStream) -> i64 {
        let k = match &self.table {
            Some(table) => table.number(stream.uniform()) as u64,
            None => {
                let accepts = |height: f64, k: f64| libm::log(height) <= self.log_probability(k) - self.log_largest;
                // A float may be larger than the number of trials that it stands for.
                (self.hat.draw(stream, self.n as f64, accepts) as u64).min(self.n)
            }
        };
        (if self.failures { self.n - k } else { k }) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exact values: ln(k!) of numbers whose factorial is a float, and the limit of the series.
    #[test]
    fn errors_of_the_formula_of_stirling() {
        for k in 1..20u32 {
            let factorial: f64 = (1..=k).map(f64::from).product();
            let x = f64::from(k);
            let expected = factorial.ln() - (x + 0.5) * x.ln() + x - 0.5 * TAU.ln();
            assert!((stirling_error(x) - expected).abs() < 2e-14, "{k}: {} {expected}", stirling_error(x));
        }
        assert!((stirling_error(1e9) * 12e9 - 1.0).abs() < 1e-15);
    }

    /// Each sum is that of the probabilities, and each uniform number gives the least number whose sum exceeds it.
    fn check(table: &Table, largest: usize, log_probability: impl Fn(f64) -> f64) {
        let mut sum = 0.0;
        for (k, &found) in table.sums.iter().enumerate().take_while(|(_, found)| found.is_finite()) {
            sum += log_probability(k as f64).exp();
            // A few eps for each of 256 factors, and for logarithms of up to 180 in magnitude.
            assert!((found - sum).abs() <= 5e-13 * sum, "{k}: {found} {sum}");
        }
        let below = 1.0 - f64::EPSILON / 2.0;
        for u in (0..5000).map(|i| f64::from(i) / 5000.0).chain([5e-324, 1e-20, below]).chain(table.sums) {
            if u < 1.0 {
                let k = table.number(u) as usize;
                assert!(u < table.sums[k] && (k == 0 || u >= table.sums[k - 1]) && k <= largest, "{u}: {k}");
            }
        }
    }

    #[test]
    fn tables_have_the_sums_of_probabilities() {
        for mean in [1e-3, 0.5, 9.9, 10.0, 33.7, 64.0, 128.0] {
            let poisson = Poisson::new(mean);
            check(&poisson.table.unwrap(), 255, |k| poisson.log_probability(k));
        }
        let binomials =
            [(1, 0.5), (20, 0.3), (256, 0.5), (255, 0.001), (1000, 0.1), (u64::MAX, 5e-18), (1 << 40, 1e-10)];
        for (n, p) in binomials {
            let binomial = Binomial::new(n, p);
            check(&binomial.table.unwrap(), n.min(255) as usize, |k| binomial.log_probability(k));
        }
        assert!(Poisson::new(128.1).table.is_none() && Binomial::new(257, 0.5).table.is_none());
        assert_eq!(Poisson::new(0.0).table.unwrap().number(0.999), 0);
        assert_eq!(Binomial::new(0, 0.5).table.unwrap().number(0.999), 0);
    }

    #[test]
    fn integers_below_a_number() {
        let numbers = [0.0, 0.5, -0.5, -1.0, 7.9, -7.1, 1e15 + 0.5, 1e300, f64::INFINITY, f64::NEG_INFINITY];
        assert!(numbers.iter().all(|&x| floor(x) == x.floor()));
    }

    #[test]
    fn deviances_near_and_far() {
        for (k, m) in [(10.0f64, 10.0), (10.0, 10.5), (9.0, 11.0), (5.0, 20.0), (1e15, 1e15 + 1e7)] {
            // ln(1 + x) of a small x, which is exact here.
            let expected = if k > 1e10 { (k - m) * (k - m) / (2.0 * m) } else { k * (k / m).ln() + m - k };
            assert!((deviance(k, m) - expected).abs() <= 1e-7 * expected + 1e-14, "{k} {m}: {}", deviance(k, m));
        }
    }

    #[test]
    fn probabilities_have_the_sum_one() {
        for (n, p) in [(40u64, 0.3), (25, 0.5), (1000, 0.011)] {
            let binomial = Binomial::new(n, p);
            let sum: f64 = (0..=n).map(|k| binomial.log_probability(k as f64).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{n} {p}: {sum}");
        }
    }
}
