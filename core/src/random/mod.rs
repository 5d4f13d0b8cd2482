//! Random numbers: arrays of independent numbers from a distribution, permutations and samples.
//!
//! ```
//! # extern crate polyarray_cpu as _;
//! # use polyarray_core::*;
//! use polyarray_core::random::{Generator, Replacement};
//! let mut rng = Generator::new(2024);
//! let x = rng.normal::<f32>([1000, 10], 0.0, 1.0)?;
//! let dice = rng.integers([100], 1..=6u8)?;
//! let order = rng.permutation(10)?;
//! let three = rng.choice(&x, 3, Replacement::Without)?;
//! assert_eq!((x.shape(), three.shape()), (&[1000, 10][..], &[3, 10][..]));
//! assert!(dice.to_vec()?.iter().all(|n| (1..=6).contains(n)) && order.sum()? == 45);
//! # Ok::<(), Error>(())
//! ```
//!
//! # Reproducibility
//! A [`Generator`] is a key and a position in the stream of this key: 2^64 words of 32 bits that the generator
//! Philox 4x32-10 computes from the key and the number of each word, in any order. An element depends on the key and on
//! its own position alone, so the same calls give the same bits on every device, with any number of threads and on
//! every CPU. The numbers for a seed are part of this interface: a change of them is a change of the major version. The
//! logarithms and exponentials of distributions other than the uniform ones are those of the crate `libm` 0.2.
//!
//! A call for n elements advances the position by n times the number of words of its distribution, which the table
//! lists. Therefore a call for n elements followed by a call for m elements of the same distribution gives the elements
//! of one call for n + m. A call that fails leaves the generator as it was.
//!
//! | method | words of an element |
//! |---|---|
//! | `random`, `uniform`, `normal`, `exponential` | 2 for f64, 1 for other dtypes |
//! | `integers` | 1 for at most 2^16 values, or for a power of two up to 2^32; otherwise 2 |
//! | `bernoulli` | 2 |
//! | `gamma`, `beta`, `poisson`, `binomial` | 1 |
//! | `permutation` | 2 |
//! | `shuffle` | 2 for each row |
//! | `choice` with replacement | those of `integers` among the rows |
//! | `choice` without replacement | 2 |
//! | `choice_weighted` with replacement | 2 |
//! | `choice_weighted` without replacement | 2 for each weight |
//! | `split` | 1 for each generator |
//!
//! The distributions that need varying numbers of random bits take further ones from a stream of the element, whose
//! counters no other element and no position of the generator's stream has. [`elements`] defines all of this exactly.
//!
//! # Independent streams
//! [`Generator::stream`] returns the generator of a number (a worker, a time step), and [`Generator::split`] makes
//! several new generators. Both encrypt the number or the position with the generator's key to obtain a new key. Keys
//! have 64 bits: among a million of them, two are equal with a probability of 3e-8.
//!
//! # Devices
//! Random numbers are computed in host memory; GPUs refuse the operation. The generator is not suited for cryptography.

mod choose;
mod counts;
pub mod elements;
mod gamma;
mod philox;
mod ziggurat;

pub use choose::Replacement;

use crate::array::Array;
use crate::device::Device;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::op::{Distribution, Op, Random};
use crate::plan::execute;
use crate::sort::reserve;
use crate::{Buffer, DType, Dims, Element, Error, Kind, Result, Wide};
use philox::Use;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

/// The source of random numbers: a key and a position in the stream of the key. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    key: u64,
    position: u64,
}

/// The largest mean of a Poisson distribution whose numbers fit i64, with ten standard deviations to spare.
const LARGEST_MEAN: f64 = i64::MAX as f64 - 3.1e10;

/// Returns the error for an invalid parameter of a distribution.
fn invalid<R>(op: &'static str, name: &'static str, value: impl Display, why: impl Into<String>) -> Result<R> {
    Err(Error::Argument { op, name, value: value.to_string(), why: why.into() })
}

/// Returns `value` if it is finite and `holds`.
fn checked(op: &'static str, name: &'static str, value: f64, holds: bool, rule: &str) -> Result<f64> {
    if value.is_finite() && holds { Ok(value) } else { invalid(op, name, value, format!("it must be {rule}")) }
}

/// Returns `value` rounded to the float type `T`. Fails if that is not finite, or if it is negative and `positive`.
fn rounded<T: Element>(op: &'static str, name: &'static str, value: f64, positive: bool) -> Result<f64> {
    let rule = if positive { "a finite number that is not negative" } else { "a finite number" };
    let value = checked(op, name, value, !positive || value >= 0.0, rule)?;
    let narrow = T::from_wide(Wide::Float(value)).to_wide().real();
    checked(op, name, narrow, true, &format!("finite as {}; it is {value}", T::DTYPE))
}

fn probability(op: &'static str, p: f64) -> Result<f64> {
    checked(op, "p", p, (0.0..=1.0).contains(&p), "a probability from 0 to 1")
}

/// Checks that `T` is a real float type.
fn float<T: Element>(op: &'static str) -> Result<()> {
    match T::DTYPE.kind() {
        Kind::Float => Ok(()),
        _ => Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: "f16, bf16, f32, f64".into() }),
    }
}

impl Generator {
    /// Makes the generator of a seed, which is its key. Every seed is equally suitable.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let (mut a, mut b) = (Generator::new(7), Generator::new(7));
    /// assert_eq!(a.random::<f64>([2, 3])?.to_vec()?, b.random::<f64>([6])?.to_vec()?);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "default_rng")]
    pub fn new(seed: u64) -> Generator {
        Generator { key: seed, position: 0 }
    }

    /// Returns the key. A new generator with this seed, [`at`](Self::at) the same position, continues this one.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Returns the position in the stream, in words.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the generator of the same key at another position.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let mut rng = Generator::new(7);
    /// rng.random::<f64>([1000])?;
    /// let mut later = Generator::new(rng.key()).at(rng.position());
    /// assert_eq!(rng.random::<f64>([2])?.to_vec()?, later.random::<f64>([2])?.to_vec()?);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "advance")]
    #[must_use]
    pub fn at(self, position: u64) -> Generator {
        Generator { position, ..self }
    }

    /// Returns the generator of stream `number` of this key. It does not depend on the position, and differs for each
    /// number, so that every thread or step of a program can have a stream of its own.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let rng = Generator::new(7);
    /// assert_eq!(rng.stream(3), rng.clone().at(1000).stream(3));
    /// assert_ne!(rng.stream(3), rng.stream(4));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "jumped")]
    #[must_use]
    pub fn stream(&self, number: u64) -> Generator {
        self.derived(Use::Streams, number)
    }

    /// Makes `count` new generators with independent streams. They depend on the position, so that the next call makes
    /// others.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let mut rng = Generator::new(7);
    /// let (first, second) = (rng.split(2)?, rng.split(2)?);
    /// assert!(first[0] != first[1] && !second.contains(&first[0]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "spawn")]
    pub fn split(&mut self, count: usize) -> Result<Vec<Generator>> {
        let bytes = count.saturating_mul(size_of::<Generator>());
        // Checked against the machine's memory: a system that overcommits grants any size.
        if bytes > 1 << 30 {
            drop(Buffer::host(bytes)?);
        }
        let mut generators = reserve(count)?;
        generators.extend((0..count as u64).map(|i| self.derived(Use::Split, self.position.wrapping_add(i))));
        self.advance(count, 1);
        Ok(generators)
    }

    fn derived(&self, of: Use, number: u64) -> Generator {
        let [low, high] = philox::derived(self.key_words(), of, number);
        Generator::new(u64::from(low) | u64::from(high) << 32)
    }

    /// Returns the words of the key.
    fn key_words(&self) -> [u32; 2] {
        [self.key as u32, (self.key >> 32) as u32]
    }

    /// Moves the position past `count` elements of `words` words.
    fn advance(&mut self, count: usize, words: u64) {
        self.position = self.position.wrapping_add((count as u64).wrapping_mul(words));
    }

    /// Makes an array of numbers of a distribution, whose parameters have been checked.
    fn draw<T: Element>(&mut self, shape: Dims, distribution: Distribution) -> Result<Array<T>> {
        shape.check(T::DTYPE)?;
        let (dtype, len) = (T::DTYPE, shape.size());
        let (key, position) = (self.key_words(), self.position);
        let buffer = match len {
            0 => Buffer::elements(dtype, 0)?,
            _ => execute(Op::from(Random { dtype, len, distribution, key, position }), &Device::current()?, None)?,
        };
        self.advance(len, distribution.words(dtype));
        Array::from_raw(RawArray { buffer, dtype, layout: Layout::contiguous(shape) })
    }

    /// Makes an array of uniform floats from 0 to less than 1: multiples of 2^-53 (f64), 2^-24 (f32), 2^-11 (f16) or
    /// 2^-8 (bf16).
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for a type that is not a float, [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).random::<f32>([2, 3])?;
    /// assert!(x.to_vec()?.iter().all(|x| (0.0..1.0).contains(x)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn random<T: Element>(&mut self, shape: impl Into<Dims>) -> Result<Array<T>> {
        float::<T>("random")?;
        self.draw(shape.into(), Distribution::Uniform { low: 0.0, high: 1.0 })
    }

    /// Makes an array of uniform floats from `low` to less than `high`: `low + (high - low) * u` with the numbers u of
    /// [`random`](Self::random), in the arithmetic of the dtype (f32 for half floats). A result that rounding makes
    /// equal to `high` is replaced by the largest number below `high`.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `low < high` after both have been rounded to the dtype, and their difference is
    /// finite; and as [`random`](Self::random).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).uniform::<f64>([100], -1.0, 1.0)?;
    /// assert!(x.min()? >= -1.0 && x.max()? < 1.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn uniform<T: Element>(
        &mut self,
        shape: impl Into<Dims>,
        low: impl Into<f64>,
        high: impl Into<f64>,
    ) -> Result<Array<T>> {
        const OP: &str = "uniform";
        float::<T>(OP)?;
        let (low, high) = (rounded::<T>(OP, "low", low.into(), false)?, rounded::<T>(OP, "high", high.into(), false)?);
        if low >= high {
            return invalid(OP, "low", low, format!("it must be less than high, which is {high}"));
        }
        // The difference in the arithmetic of the dtype, which is f32 for half floats.
        if !if T::DTYPE == DType::F64 { (high - low).is_finite() } else { (high as f32 - low as f32).is_finite() } {
            return invalid(OP, "high", high, format!("the difference from low, which is {low}, overflows"));
        }
        self.draw(shape.into(), Distribution::Uniform { low, high })
    }

    /// Makes an array of normal numbers: `mean + std * z`, in the arithmetic of the dtype (f32 for half floats), with
    /// standard normal numbers z by the ziggurat method. It is exact but for the steps of z, which are the widths of
    /// the layers divided by 2^23 for f32 and half floats and by 2^52 for f64: z is exactly 0 with about this
    /// probability. A half float may overflow.
    ///
    /// # Errors
    /// [`Error::Argument`] for a mean that is not finite and a standard deviation that is negative or not finite, and
    /// as [`random`](Self::random).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).normal::<f64>([10_000], 5.0, 2.0)?;
    /// assert!((x.mean()? - 5.0).abs() < 0.1 && (x.std(0)? - 2.0).abs() < 0.1);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "standard_normal")]
    pub fn normal<T: Element>(
        &mut self,
        shape: impl Into<Dims>,
        mean: impl Into<f64>,
        std: impl Into<f64>,
    ) -> Result<Array<T>> {
        float::<T>("normal")?;
        let mean = rounded::<T>("normal", "mean", mean.into(), false)?;
        let std = rounded::<T>("normal", "std", std.into(), true)?;
        self.draw(shape.into(), Distribution::Normal { mean, std })
    }

    /// Makes an array of exponential numbers with the mean `scale` (the reciprocal of the rate), by the ziggurat
    /// method.
    ///
    /// # Errors
    /// [`Error::Argument`] for a scale that is negative or not finite, and as [`random`](Self::random).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).exponential::<f64>([10_000], 3.0)?;
    /// assert!(x.min()? >= 0.0 && (x.mean()? - 3.0).abs() < 0.2);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "standard_exponential")]
    pub fn exponential<T: Element>(&mut self, shape: impl Into<Dims>, scale: impl Into<f64>) -> Result<Array<T>> {
        float::<T>("exponential")?;
        let scale = rounded::<T>("exponential", "scale", scale.into(), true)?;
        self.draw(shape.into(), Distribution::Exponential { scale })
    }

    /// Makes an array of numbers of the gamma distribution with the shape parameter `alpha` and the given scale: its
    /// density is proportional to `x^(alpha - 1) exp(-x / scale)`, its mean is `alpha * scale`. Numbers are computed in
    /// f64 and rounded to the dtype.
    ///
    /// # Errors
    /// [`Error::Argument`] for a parameter that is negative or not finite, and as [`random`](Self::random).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).gamma::<f64>([10_000], 4.0, 0.5)?;
    /// assert!(x.min()? > 0.0 && (x.mean()? - 2.0).abs() < 0.1);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "standard_gamma")]
    #[doc(alias = "chisquare")]
    pub fn gamma<T: Element>(
        &mut self,
        shape: impl Into<Dims>,
        alpha: impl Into<f64>,
        scale: impl Into<f64>,
    ) -> Result<Array<T>> {
        const RULE: &str = "a finite number that is not negative";
        float::<T>("gamma")?;
        let (alpha, scale) = (alpha.into(), scale.into());
        let alpha = checked("gamma", "alpha", alpha, alpha >= 0.0, RULE)?;
        let scale = checked("gamma", "scale", scale, scale >= 0.0, RULE)?;
        self.draw(shape.into(), Distribution::Gamma { alpha, scale })
    }

    /// Makes an array of numbers of the beta distribution on [0, 1]: its density is proportional to
    /// `x^(a - 1) (1 - x)^(b - 1)`. Numbers are computed in f64 and rounded to the dtype.
    ///
    /// # Errors
    /// [`Error::Argument`] for a parameter that is not positive or not finite, and as [`random`](Self::random).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).beta::<f64>([10_000], 2.0, 3.0)?;
    /// assert!((x.mean()? - 0.4).abs() < 0.02);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn beta<T: Element>(
        &mut self,
        shape: impl Into<Dims>,
        a: impl Into<f64>,
        b: impl Into<f64>,
    ) -> Result<Array<T>> {
        const RULE: &str = "a finite positive number";
        float::<T>("beta")?;
        let (a, b) = (a.into(), b.into());
        let (a, b) = (checked("beta", "a", a, a > 0.0, RULE)?, checked("beta", "b", b, b > 0.0, RULE)?);
        self.draw(shape.into(), Distribution::Beta { a, b })
    }

    /// Makes an array of integers of a range, all equally probable: `rng.integers([10], 0..100)`; `0..=255u8` and `..`
    /// include the largest integer of the dtype.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for a type that is not an integer, [`Error::Argument`] for a range without elements,
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let mut rng = Generator::new(7);
    /// assert!(rng.integers([100], -3..=3)?.to_vec()?.iter().all(|x| (-3..=3).contains(x)));
    /// let words = rng.integers::<u32>([4], ..)?;
    /// assert_eq!(words.shape(), [4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn integers<T: Element>(&mut self, shape: impl Into<Dims>, range: impl RangeBounds<T>) -> Result<Array<T>> {
        const OP: &str = "integers";
        let bits = 8 * size_of::<T>() as u32;
        let (least, largest) = match T::DTYPE.kind() {
            Kind::Int => (-1 << (bits - 1), (1 << (bits - 1)) - 1),
            Kind::Uint => (0, (1 << bits) - 1),
            _ => {
                let defined = "i8, i16, i32, i64, u8, u16, u32, u64".into();
                return Err(Error::DTypeUndefined { op: OP, dtype: T::DTYPE, defined });
            }
        };
        let value = |x: &T| match x.to_wide() {
            Wide::Int(i) => i,
            _ => unreachable!("the dtype is an integer"),
        };
        let low: i128 = match range.start_bound() {
            Bound::Included(x) => value(x),
            Bound::Excluded(x) => value(x) + 1,
            Bound::Unbounded => least,
        };
        let last: i128 = match range.end_bound() {
            Bound::Included(x) => value(x),
            Bound::Excluded(x) => value(x) - 1,
            Bound::Unbounded => largest,
        };
        if low > last {
            return invalid(OP, "range", format!("{low}..={last}"), "it has no elements");
        }
        // All 2^64 values of 64-bit integers become 0, as the distribution requires.
        self.draw(shape.into(), Distribution::Integers { low: low as u64, count: (last - low + 1) as u64 })
    }

    /// Makes an array of truth values, each of which is true with the probability `p`.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `p` is from 0 to 1, [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).bernoulli([10_000], 0.25)?;
    /// assert!((2300..2700).contains(&x.sum()?));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bernoulli(&mut self, shape: impl Into<Dims>, p: impl Into<f64>) -> Result<Array<bool>> {
        let p = probability("bernoulli", p.into())?;
        self.draw(shape.into(), Distribution::Bernoulli { p })
    }

    /// Makes an array of numbers of the Poisson distribution: the number of events of which `mean` are expected.
    ///
    /// # Errors
    /// [`Error::Argument`] for a mean that is negative, not finite, or so large (above 9.223372e18) that numbers may
    /// not fit i64; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).poisson([10_000], 4.5)?;
    /// assert!(x.min()? >= 0 && (x.mean()? - 4.5).abs() < 0.1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn poisson(&mut self, shape: impl Into<Dims>, mean: impl Into<f64>) -> Result<Array<i64>> {
        let mean = mean.into();
        let holds = (0.0..=LARGEST_MEAN).contains(&mean);
        let mean = checked("poisson", "mean", mean, holds, &format!("from 0 to {LARGEST_MEAN:e}"))?;
        self.draw(shape.into(), Distribution::Poisson { mean })
    }

    /// Makes an array of numbers of the binomial distribution: the number of successes in `n` trials that succeed with
    /// the probability `p` each.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `p` is from 0 to 1 and `n` fits i64; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let x = Generator::new(7).binomial([10_000], 20, 0.3)?;
    /// assert!(x.max()? <= 20 && (x.mean()? - 6.0).abs() < 0.1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn binomial(&mut self, shape: impl Into<Dims>, n: u64, p: impl Into<f64>) -> Result<Array<i64>> {
        let p = probability("binomial", p.into())?;
        if i64::try_from(n).is_err() {
            return invalid("binomial", "n", n, format!("it must be at most {}", i64::MAX));
        }
        self.draw(shape.into(), Distribution::Binomial { n, p })
    }
}
