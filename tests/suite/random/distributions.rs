//! Every distribution, by the tests of Kolmogorov and Smirnov, and of chi-squared, and by moments.

use super::rng;
use polyarray::prelude::*;
use polyarray::random::Generator;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, PI};

/// A continuous distribution: how n numbers are drawn, its distribution function, its mean and standard deviation.
struct Continuous {
    name: &'static str,
    draw: fn(&mut Generator, usize) -> Result<Array<f64>>,
    below: fn(&Array<f64>) -> Expr<f64>,
    moments: (f64, f64),
}

fn continuous() -> Vec<Continuous> {
    let case = |name, draw, below, moments| Continuous { name, draw, below, moments };
    let third = (1.0f64 / 12.0).sqrt();
    vec![
        case("random f64", |r, n| r.random(n), |x| x * 1.0, (0.5, third)),
        case(
            "uniform f32",
            |r, n| r.uniform::<f32>(n, -1.0, 3.0)?.cast().eval(),
            |x| (x + 1.0) / 4.0,
            (1.0, 4.0 * third),
        ),
        case("normal f64", |r, n| r.normal(n, 0.0, 1.0), |x| (x * FRAC_1_SQRT_2).erf() * 0.5 + 0.5, (0.0, 1.0)),
        case(
            "normal f32",
            |r, n| r.normal::<f32>(n, 3.0, 2.0)?.cast().eval(),
            |x| ((x - 3.0) * (0.5 * FRAC_1_SQRT_2)).erf() * 0.5 + 0.5,
            (3.0, 2.0),
        ),
        case("exponential f64", |r, n| r.exponential(n, 2.0), |x| -(x * -0.5).expm1(), (2.0, 2.0)),
        case(
            "exponential f32",
            |r, n| r.exponential::<f32>(n, 1.0)?.cast().eval(),
            |x| -(x * -1.0).expm1(),
            (1.0, 1.0),
        ),
        case("gamma 1", |r, n| r.gamma(n, 1.0, 2.0), |x| -(x * -0.5).expm1(), (2.0, 2.0)),
        case(
            "gamma 3",
            |r, n| r.gamma(n, 3.0, 1.0),
            |x| 1.0 - (x * -1.0).exp() * (x + 1.0 + x * x * 0.5),
            (3.0, 3f64.sqrt()),
        ),
        case("gamma 1/2", |r, n| r.gamma(n, 0.5, 1.0), |x| x.sqrt().erf(), (0.5, FRAC_1_SQRT_2)),
        case(
            "gamma 5/2",
            |r, n| r.gamma(n, 2.5, 1.0),
            |x| x.sqrt().erf() - (x * -1.0).exp() * x.sqrt() * (x * (2.0 / 3.0) + 1.0) * (2.0 / PI.sqrt()),
            (2.5, 2.5f64.sqrt()),
        ),
        case("beta 1/2 1/2", |r, n| r.beta(n, 0.5, 0.5), |x| x.sqrt().arcsin() * FRAC_2_PI, (0.5, 0.125f64.sqrt())),
        case(
            "beta 1/4 1",
            |r, n| r.beta(n, 0.25, 1.0),
            |x| x.sqrt().sqrt(),
            (0.2, (0.25f64 / 1.25 / 1.25 / 2.25).sqrt()),
        ),
        case(
            "beta 1 5",
            |r, n| r.beta(n, 1.0, 5.0),
            |x| 1.0 - (1.0 - x).pow(5.0),
            (1.0 / 6.0, (5.0f64 / 36.0 / 7.0).sqrt()),
        ),
        case("beta 2 3", |r, n| r.beta(n, 2.0, 3.0), |x| x * x * (x * (x * 3.0 - 8.0) + 6.0), (0.4, 0.2)),
    ]
}

/// Draws `n` numbers of each distribution. The limits are exceeded in less than one of a thousand cases.
fn check_continuous(n: usize) -> Result<()> {
    let root = (n as f64).sqrt();
    for (i, Continuous { name, draw, below, moments: (mean, deviation) }) in continuous().into_iter().enumerate() {
        let x = draw(&mut rng().stream(i as u64), n)?;
        let z = (x.mean()? - mean) / deviation * root;
        assert!(z.abs() < 3.5, "{name}: the mean is {z} standard errors off");
        let spread = (x.std(0)? / deviation - 1.0) * root;
        assert!(spread.abs() < 8.0, "{name}: the standard deviation is {spread} / sqrt(n) off");
        let expected = below(&x.sort(0)?).eval()?.to_vec()?;
        let distance =
            |(i, f): (usize, f64)| (f - i as f64 / n as f64).abs().max((f - (i + 1) as f64 / n as f64).abs());
        let largest = expected.into_iter().enumerate().map(distance).fold(0.0, f64::max) * root;
        assert!(largest < 2.0, "{name}: the statistic of Kolmogorov and Smirnov is {largest}");
    }
    Ok(())
}

/// Asserts that the numbers of occurrences fit probabilities, which need not have the sum one.
fn fits(name: &str, counts: &[i64], weights: &[f64]) {
    assert_eq!(counts.len(), weights.len(), "{name}");
    let (n, sum) = (counts.iter().sum::<i64>() as f64, weights.iter().sum::<f64>());
    // Adds up neighbours until at least 10 occurrences are expected.
    let (mut squares, mut bins, mut found, mut expected) = (0.0, 0, 0.0, 0.0);
    let mut left = n;
    for (count, weight) in counts.iter().zip(weights) {
        found += *count as f64;
        expected += n * weight / sum;
        left -= n * weight / sum;
        if expected >= 10.0 && left >= 10.0 {
            squares += (found - expected).powi(2) / expected;
            bins += 1;
            (found, expected) = (0.0, 0.0);
        }
    }
    squares += (found - expected).powi(2) / expected;
    let freedom = f64::from(bins);
    let z = (squares - freedom) / (2.0 * freedom).sqrt();
    assert!(z < 4.0, "{name}: chi-squared is {squares} with {bins} degrees of freedom");
}

/// Counts the values from 0 to less than `bins`.
fn counted(x: Array<i64>, bins: usize) -> Result<Vec<i64>> {
    let mut counts = vec![0; bins];
    for i in x.to_vec()? {
        counts[i as usize] += 1;
    }
    Ok(counts)
}

/// Returns numbers proportional to probabilities, from the most probable number outwards. `ratio` is the probability of
/// a number divided by that of the previous one.
fn weights(bins: usize, ratio: impl Fn(f64) -> f64) -> Vec<f64> {
    let top = (1..bins).take_while(|&k| ratio(k as f64) > 1.0).count();
    let mut all = vec![1.0; bins];
    (top + 1..bins).for_each(|k| all[k] = all[k - 1] * ratio(k as f64));
    (0..top).rev().for_each(|k| all[k] = all[k + 1] / ratio((k + 1) as f64));
    all
}

fn check_discrete(n: usize) -> Result<()> {
    let mut r = rng().stream(1000);
    let equal = |bins| vec![1.0; bins];
    fits("integers i8", &counted((r.integers(n, -3..=3i8)?.cast::<i64>() + 3).eval()?, 7)?, &equal(7));
    fits("integers u8", &counted(r.integers::<u8>(n, ..)?.cast().eval()?, 256)?, &equal(256));
    fits("integers of two words", &counted((r.integers(n, 0..70_000i64)? / 700).eval()?, 100)?, &equal(100));
    fits("integers of a wide range", &counted((r.integers(n, 0..3i64 << 61)? >> 58).eval()?, 24)?, &equal(24));
    fits("integers of a wide range, low bits", &counted((r.integers(n, 0..3i64 << 61)? & 31).eval()?, 32)?, &equal(32));
    for shift in [0, 8, 16, 24] {
        let bytes = ((r.integers::<u32>(n, ..)? >> shift) & 255).cast().eval()?;
        fits("bytes of words", &counted(bytes, 256)?, &equal(256));
    }
    let u = (r.random::<f64>([n, 2])? * 8.0).floor().eval()?;
    let pairs = (u.slice(s![.., 0])? * 8.0 + u.slice(s![.., 1])?).cast().eval()?;
    fits("pairs", &counted(pairs, 64)?, &equal(64));
    let u = (r.random::<f16>(n)?.cast::<f32>() * 2048.0).cast().eval()?;
    fits("random f16", &counted((u / 8).eval()?, 256)?, &equal(256));
    fits("bernoulli", &counted(r.bernoulli(n, 0.3)?.cast().eval()?, 2)?, &[0.7, 0.3]);
    for mean in [0.01, 0.5, 4.0, 9.99, 10.0, 37.5, 400.0] {
        let bins = (mean + 20.0 * f64::sqrt(mean) + 20.0) as usize;
        let found = counted(r.poisson(n, mean)?, bins)?;
        fits(&format!("poisson {mean}"), &found, &weights(bins, |k| mean / k));
    }
    for (trials, p) in [(1, 0.5), (20, 0.3), (10, 0.97), (25, 0.5), (40, 0.25), (1000, 0.005), (1000, 0.02), (300, 0.8)]
    {
        let bins = trials as usize + 1;
        let found = counted(r.binomial(n, trials, p)?, bins)?;
        let ratio = |k: f64| (trials as f64 - k + 1.0) / k * p / (1.0 - p);
        fits(&format!("binomial {trials} {p}"), &found, &weights(bins, ratio));
    }
    Ok(())
}

/// Numbers too large for counts: by their moments.
#[test]
fn large_means() {
    let n = 4000;
    let check = |name: &str, x: Array<i64>, mean: f64, deviation: f64| {
        let x = ((x.cast::<f64>() - mean) / deviation).eval().unwrap();
        let (z, spread) = (x.mean().unwrap() * 4000f64.sqrt(), x.std(0).unwrap());
        assert!(z.abs() < 3.5 && (0.96..1.04).contains(&spread), "{name}: {z} {spread}");
        // The distribution is close to the normal one.
        let inside = x.abs().less(1.0).eval().unwrap().mean().unwrap();
        assert!((inside - 0.6827).abs() < 0.025, "{name}: {inside}");
    };
    for mean in [1e5, 1e9, 1e15, 9e18] {
        check(&format!("poisson {mean}"), rng().poisson(n, mean).unwrap(), mean, mean.sqrt());
    }
    for (trials, p) in [(1u64 << 40, 0.3), (1 << 62, 0.5), (i64::MAX as u64, 1e-9), (1 << 50, 0.999)] {
        let mean = trials as f64 * p;
        let x = rng().binomial(n, trials, p).unwrap();
        check(&format!("binomial {trials} {p}"), x, mean, (mean * (1.0 - p)).sqrt());
    }
}

#[test]
fn continuous_distributions() {
    check_continuous(20_000).unwrap();
}

#[test]
fn discrete_distributions() {
    check_discrete(20_000).unwrap();
}

#[test]
#[ignore = "ten million numbers of each distribution: for optimised code"]
fn distributions_of_many_numbers() {
    check_continuous(10_000_000).unwrap();
    check_discrete(10_000_000).unwrap();
}
