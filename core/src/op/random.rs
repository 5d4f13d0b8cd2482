//! Random numbers.

use super::{Operand, Operation, OutSpec};
use crate::{Class, DType, Dims};
use smallvec::{SmallVec, smallvec};

/// The distribution of random numbers, with its parameters. [`random::elements`](crate::random::elements) defines the
/// value of each element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distribution {
    /// Floats, uniform from `low` to less than `high`.
    Uniform {
        /// The least value.
        low: f64,
        /// The upper bound, which does not occur.
        high: f64,
    },
    /// Floats of the normal distribution.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// Floats of the exponential distribution.
    Exponential {
        /// The mean.
        scale: f64,
    },
    /// Floats of the gamma distribution.
    Gamma {
        /// The shape parameter.
        alpha: f64,
        /// The factor by which the standard distribution is multiplied.
        scale: f64,
    },
    /// Floats of the beta distribution.
    Beta {
        /// The first shape parameter.
        a: f64,
        /// The second shape parameter.
        b: f64,
    },
    /// Integers: `low`, plus a number from 0 to `count - 1`, all equally probable.
    Integers {
        /// The least value, in two's complement.
        low: u64,
        /// The number of values; 0 stands for 2^64.
        count: u64,
    },
    /// Bools.
    Bernoulli {
        /// The probability of true.
        p: f64,
    },
    /// i64 of the Poisson distribution.
    Poisson {
        /// The mean.
        mean: f64,
    },
    /// i64 of the binomial distribution.
    Binomial {
        /// The number of trials.
        n: u64,
        /// The probability of success of each trial.
        p: f64,
    },
}

impl Distribution {
    /// Returns the name of the method of [`Generator`](crate::random::Generator).
    pub fn name(&self) -> &'static str {
        match self {
            Distribution::Uniform { .. } => "uniform",
            Distribution::Normal { .. } => "normal",
            Distribution::Exponential { .. } => "exponential",
            Distribution::Gamma { .. } => "gamma",
            Distribution::Beta { .. } => "beta",
            Distribution::Integers { .. } => "integers",
            Distribution::Bernoulli { .. } => "bernoulli",
            Distribution::Poisson { .. } => "poisson",
            Distribution::Binomial { .. } => "binomial",
        }
    }

    /// Returns the number of 32-bit words of the stream by which the position advances for each element of `dtype`.
    pub fn words(&self, dtype: DType) -> u64 {
        match *self {
            Distribution::Uniform { .. } | Distribution::Normal { .. } | Distribution::Exponential { .. } => {
                if dtype == DType::F64 { 2 } else { 1 }
            }
            Distribution::Integers { count, .. } => {
                let narrow = (1..=1 << 16).contains(&count) || count.is_power_of_two() && count <= 1 << 32;
                if narrow { 1 } else { 2 }
            }
            Distribution::Bernoulli { .. } => 2,
            // The element's position identifies a stream of its own.
            Distribution::Gamma { .. }
            | Distribution::Beta { .. }
            | Distribution::Poisson { .. }
            | Distribution::Binomial { .. } => 1,
        }
    }

    /// Estimates the number of simple instructions for each element, besides those for its words.
    fn weight(&self) -> f64 {
        match self {
            Distribution::Uniform { .. } | Distribution::Bernoulli { .. } => 4.0,
            Distribution::Integers { .. } => 8.0,
            Distribution::Normal { .. } | Distribution::Exponential { .. } => 16.0,
            // One number and a table for small means.
            Distribution::Poisson { mean } if *mean <= 128.0 => 60.0,
            Distribution::Binomial { n, p } if *n as f64 * p.min(1.0 - p) <= 128.0 => 60.0,
            Distribution::Gamma { alpha, .. } if *alpha >= 1.0 => 60.0,
            // No vectors compute them.
            Distribution::Gamma { .. } | Distribution::Poisson { .. } | Distribution::Binomial { .. } => 800.0,
            Distribution::Beta { .. } => 1600.0,
        }
    }
}

/// Random numbers: element `i` is the value that [`random::elements`](crate::random::elements) defines for the
/// distribution, the key and the position `position + i * distribution.words(dtype)`, modulo 2^64.
///
/// Invariants:
/// 1. `len` is at least 1;
/// 2. `dtype` is a float for `Uniform`, `Normal`, `Exponential`, `Gamma` and `Beta`, an integer for `Integers`, bool
///    for `Bernoulli`, and i64 for `Poisson` and `Binomial`;
/// 3. all float parameters are finite; `low` and `high` are numbers of `dtype`, `low < high`, and their difference is
///    finite in the arithmetic of `dtype` (f32 for half floats); `std`, `scale`, `alpha` and `mean` of `Poisson` are
///    not negative; `a` and `b` are positive; `p` is from 0 to 1; the last value of `Integers` is at most the largest
///    of `dtype`; `mean` of `Poisson` and `n` are below 2^63;
/// 4. the result is `[len]` from the start of its buffer.
#[derive(Clone, Debug)]
pub struct Random {
    /// The dtype of the results.
    pub dtype: DType,
    /// The number of elements.
    pub len: usize,
    /// The distribution.
    pub distribution: Distribution,
    /// The key of the stream.
    pub key: [u32; 2],
    /// The position in the stream of the first element, in words.
    pub position: u64,
}

impl Random {
    /// Returns the position in the stream of element `i`.
    #[inline]
    pub fn at(&self, i: usize) -> u64 {
        self.position.wrapping_add((i as u64).wrapping_mul(self.distribution.words(self.dtype)))
    }
}

impl Operation for Random {
    fn describe(&self) -> String {
        format!("random {} {} [{}]", self.distribution.name(), self.dtype, self.len)
    }

    fn for_each_input(&self, _: &mut dyn FnMut(&Operand, &[usize])) {}

    fn for_each_input_mut(&mut self, _: &mut dyn FnMut(&mut Operand)) {}

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        smallvec![OutSpec::packed(self.dtype, Dims::from(self.len))]
    }

    /// Ten rounds of about eight instructions give four words.
    fn work(&self) -> f64 {
        let words = 20.0 * self.distribution.words(self.dtype) as f64;
        self.len as f64 * (words + self.distribution.weight())
    }

    fn class(&self) -> (Class, DType) {
        (Class::Random, self.dtype)
    }
}
