//! Random numbers of every distribution and dtype, at every alignment of the position in the stream.
//!
//! Core defines every bit of these results.

use crate::compare::{Expected, Tolerance, Values};
use crate::suite::{Case, Suite, on_scalar};
use polyarray_core::random::Generator;
use polyarray_core::{DType, Element, Kind, Result, with_dtype};

/// A distribution with its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Draw {
    Uniform(f64, f64),
    Normal(f64, f64),
    Exponential(f64),
    Gamma(f64, f64),
    Beta(f64, f64),
    /// All integers of the dtype, except the given numbers of the least and the largest ones.
    Integers(i64, i64),
    /// This many integers.
    FewIntegers(i64),
    Bernoulli(f64),
    Poisson(f64),
    Binomial(u64, f64),
}

impl Draw {
    pub const ALL: [Draw; 21] = [
        Draw::Uniform(0.0, 1.0),
        Draw::Uniform(-3.0, -2.75),
        Draw::Normal(0.0, 1.0),
        Draw::Normal(-2.0, 0.0),
        Draw::Exponential(0.5),
        Draw::Gamma(3.5, 2.0),
        Draw::Gamma(0.25, 1.0),
        Draw::Beta(0.5, 0.75),
        Draw::Beta(2.5, 0.5),
        Draw::Integers(0, 0),
        Draw::Integers(0, 1),
        Draw::Integers(50, 30),
        Draw::FewIntegers(7),
        Draw::FewIntegers(70_000),
        Draw::FewIntegers(3 << 40),
        Draw::FewIntegers(3 << 61),
        Draw::Bernoulli(0.3),
        Draw::Poisson(3.5),
        Draw::Poisson(1000.5),
        Draw::Binomial(20, 0.4),
        Draw::Binomial(1000, 0.7),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Draw::Uniform(..) => "random uniform",
            Draw::Normal(..) => "random normal",
            Draw::Exponential(_) => "random exponential",
            Draw::Gamma(..) => "random gamma",
            Draw::Beta(..) => "random beta",
            Draw::Integers(..) | Draw::FewIntegers(_) => "random integers",
            Draw::Bernoulli(_) => "random bernoulli",
            Draw::Poisson(_) => "random poisson",
            Draw::Binomial(..) => "random binomial",
        }
    }

    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Draw::Integers(..) => matches!(dtype.kind(), Kind::Int | Kind::Uint),
            Draw::FewIntegers(n) => match dtype.kind() {
                Kind::Int | Kind::Uint => n >> (8 * dtype.size() - 1) == 0,
                _ => false,
            },
            Draw::Bernoulli(_) => dtype == DType::Bool,
            Draw::Poisson(_) | Draw::Binomial(..) => dtype == DType::I64,
            _ => dtype.kind() == Kind::Float,
        }
    }

    /// Draws `n` numbers of dtype `T`, which the distribution accepts.
    pub fn apply<T: Element>(self, rng: &mut Generator, n: usize) -> Result<Values> {
        use polyarray_core::Wide::Int;
        match self {
            Draw::Uniform(low, high) => Values::of(&rng.uniform::<T>(n, low, high)?),
            Draw::Normal(mean, std) => Values::of(&rng.normal::<T>(n, mean, std)?),
            Draw::Exponential(scale) => Values::of(&rng.exponential::<T>(n, scale)?),
            Draw::Gamma(alpha, scale) => Values::of(&rng.gamma::<T>(n, alpha, scale)?),
            Draw::Beta(a, b) => Values::of(&rng.beta::<T>(n, a, b)?),
            Draw::Integers(below, above) => {
                let bits = 8 * size_of::<T>();
                let (least, largest) = match T::DTYPE.kind() {
                    Kind::Int => (-1i128 << (bits - 1), (1i128 << (bits - 1)) - 1),
                    _ => (0, (1i128 << bits) - 1),
                };
                let value = |i: i128| T::from_wide(Int(i));
                let (low, last) = (value(least + i128::from(below)), value(largest - i128::from(above)));
                Values::of(&rng.integers(n, low..=last)?)
            }
            Draw::FewIntegers(count) => {
                let (low, last) = (T::from_wide(Int(1)), T::from_wide(Int(i128::from(count))));
                Values::of(&rng.integers(n, low..=last)?)
            }
            Draw::Bernoulli(p) => Values::of(&rng.bernoulli(n, p)?),
            Draw::Poisson(mean) => Values::of(&rng.poisson(n, mean)?),
            Draw::Binomial(trials, p) => Values::of(&rng.binomial(n, trials, p)?),
        }
    }
}

pub(crate) fn run(suite: &mut Suite) {
    for draw in Draw::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| draw.accepts(d)) {
            if suite.wants(draw.name(), dtype) {
                with_dtype!(dtype, T => cases::<T>(suite, draw));
            }
        }
    }
}

fn cases<T: Element>(suite: &mut Suite, draw: Draw) {
    for n in [1, 2, 3, 5, 17, 130, 700] {
        case::<T>(suite, draw, n, n as u64);
    }
    // Every alignment to the blocks of the generator, and the end of the stream.
    for position in [0, 1, 2, 3, (1 << 34) - 3, u64::MAX - 500] {
        case::<T>(suite, draw, 1000, position);
    }
    // Enough for several threads.
    case::<T>(suite, draw, if suite.full() { 300_001 } else { 9001 }, 6);
}

fn case<T: Element>(suite: &mut Suite, draw: Draw, n: usize, position: u64) {
    let run = || draw.apply::<T>(&mut Generator::new(0x0123_4567_89ab_cdef).at(position), n);
    let detail = format!("{draw:?} [{n}] at {position}");
    let case = Case { op: draw.name().into(), dtype: T::DTYPE, detail };
    suite.case(case, |_| run(), || on_scalar(|| Ok(Expected::new(run()?, Tolerance::Bits))));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A distribution that no dtype accepts would be no case.
    #[test]
    fn every_distribution_has_cases() {
        for draw in Draw::ALL {
            assert!(DType::ALL.into_iter().any(|dtype| draw.accepts(dtype)), "{draw:?}");
        }
    }
}
