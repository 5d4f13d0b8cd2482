//! The value of each element, for backends.
//!
//! A stream is a sequence of 2^64 words of 32 bits: the blocks of [`philox`] for the counters `[i, i >> 32, 0, 0]` (32
//! bits each) with i = 0, 1, 2, .. An element has a position in it. Two kinds of distribution determine its value:
//!
//! - a [`Sampler`] reads one or two words from the position on. Most words determine the value by a few instructions
//!   without branches ([`Sampler::fast`]); for the others, [`Sampler::slow`] reads the stream of the element;
//! - [`Gamma`], [`Beta`], [`Poisson`] and [`Binomial`] read only the stream of the element ([`ElementStream`]): the
//!   blocks of `[position, position >> 32, j, 1]` with j = 0, 1, 2, ..
//!
//! A value thus depends on the key and the position alone. The operations have a fixed order, are never contracted, and
//! use no function of the system's library, so the bits are the same on every device.

pub use super::counts::{Binomial, Poisson};
pub use super::gamma::{Beta, Gamma};
pub use super::philox::{ElementStream, Word, block, element_block, philox};
pub use super::ziggurat::{Exponential, Normal};

use super::philox::scaled;
use crate::DType;
use crate::dtype::below;

/// A distribution whose elements take a fixed number of words.
pub trait Sampler: Copy + Send + Sync {
    /// The words of an element.
    type Word: Word;
    /// The type of the results. Narrower types are converted from it.
    type Out: Copy;
    /// Whether `fast` rejects any word.
    const REJECTS: bool;

    /// Returns the value for a word, and whether the word is rejected, as 0 or 1. If it is, the value has no meaning.
    fn fast(&self, word: Self::Word) -> (Self::Out, Self::Word);

    /// Returns the value for a word that `fast` rejects. `stream` is the stream of the element.
    fn slow(&self, word: Self::Word, stream: &mut ElementStream) -> Self::Out;

    /// Returns the value at a position of a stream.
    fn at(&self, key: [u32; 2], position: u64) -> Self::Out {
        let word = Self::Word::at(key, position);
        match self.fast(word) {
            (value, rejected) if rejected == Self::Word::default() => value,
            _ => self.slow(word, &mut ElementStream::new(key, position)),
        }
    }
}

/// `low + (high - low) * u`, limited to the largest number below `high`. u is a multiple of 2^-d from 0 to less than 1,
/// where d is the number of digits of the dtype: 53, 24, 11 (f16) or 8 (bf16).
#[derive(Clone, Copy)]
pub struct Uniform<F> {
    low: F,
    span: F,
    /// The largest number of the dtype below `high`.
    last: F,
    /// The number of bits of a word that are dropped.
    shift: u32,
    /// The value of the last remaining bit.
    unit: F,
}

/// Returns the number of significant bits of a float dtype.
fn digits(dtype: DType) -> u32 {
    match dtype {
        DType::F16 => crate::f16::MANTISSA_DIGITS,
        DType::BF16 => crate::bf16::MANTISSA_DIGITS,
        DType::F32 => f32::MANTISSA_DIGITS,
        _ => f64::MANTISSA_DIGITS,
    }
}

macro_rules! uniform {
    ($F:ident $W:ident, $signed:ident) => {
        impl Uniform<$F> {
            /// Makes a sampler for `dtype`. Both bounds are numbers of `dtype`, and `low < high`.
            pub fn new(dtype: DType, low: f64, high: f64) -> Self {
                Uniform {
                    low: low as $F,
                    span: high as $F - low as $F,
                    last: below(dtype, high) as $F,
                    shift: $W::BITS - digits(dtype),
                    unit: 1.0 / (1u64 << digits(dtype)) as $F,
                }
            }
        }

        impl Sampler for Uniform<$F> {
            type Word = $W;
            type Out = $F;
            const REJECTS: bool = false;

            #[inline(always)]
            fn fast(&self, word: $W) -> ($F, $W) {
                let x = self.low + self.span * ((word >> self.shift) as $signed as $F * self.unit);
                (if x < self.last { x } else { self.last }, 0)
            }

            fn slow(&self, _: $W, _: &mut ElementStream) -> $F {
                unreachable!("no word is rejected")
            }
        }
    };
}
// The numbers of 24 bits are converted as signed ones, for which more instruction sets have vectors.
uniform!(f32 u32, i32);
uniform!(f64 u64, u64);

/// `low` plus a number below `count`, from one word. `count` is at most 2^32, and 2^32 modulo `count` is small, so
/// that few words are rejected.
#[derive(Clone, Copy)]
pub struct Narrow {
    low: u64,
    count: u64,
    /// The number of rejected words for each value.
    excess: u64,
}

impl Narrow {
    /// Makes a sampler of `count` values, in two's complement.
    pub fn new(low: u64, count: u64) -> Narrow {
        Narrow { low, count, excess: (1 << 32) % count }
    }
}

impl Sampler for Narrow {
    type Word = u32;
    type Out = u64;
    const REJECTS: bool = true;

    #[inline(always)]
    fn fast(&self, word: u32) -> (u64, u32) {
        let product = u64::from(word) * self.count;
        (self.low.wrapping_add(product >> 32), u32::from((product as u32) < self.excess as u32))
    }

    #[cold]
    fn slow(&self, _: u32, stream: &mut ElementStream) -> u64 {
        self.low.wrapping_add(stream.below(self.count))
    }
}

/// `low` plus a number below `count`, from two words. `count` is at most 2^32.
#[derive(Clone, Copy)]
pub struct Middle {
    low: u64,
    count: u64,
    excess: u64,
}

impl Middle {
    /// Makes a sampler of `count` values, in two's complement.
    pub fn new(low: u64, count: u64) -> Middle {
        Middle { low, count, excess: count.wrapping_neg() % count }
    }
}

impl Sampler for Middle {
    type Word = u64;
    type Out = u64;
    const REJECTS: bool = true;

    /// The product has 96 bits. Vectors compute it by two products of 32 bits.
    #[inline(always)]
    fn fast(&self, word: u64) -> (u64, u64) {
        const LOW: u64 = u32::MAX as u64;
        let lower = (word & LOW) * self.count;
        let upper = (word >> 32) * self.count + (lower >> 32);
        let rest = upper << 32 | lower & LOW;
        (self.low.wrapping_add(upper >> 32), u64::from(rest < self.excess))
    }

    #[cold]
    fn slow(&self, _: u64, stream: &mut ElementStream) -> u64 {
        self.low.wrapping_add(stream.below(self.count))
    }
}

/// `low` plus a number below `count` (0 stands for 2^64), from two words.
#[derive(Clone, Copy)]
pub struct Broad {
    low: u64,
    count: u64,
}

impl Broad {
    /// Makes a sampler of `count` values, in two's complement.
    pub fn new(low: u64, count: u64) -> Broad {
        Broad { low, count }
    }
}

impl Sampler for Broad {
    type Word = u64;
    type Out = u64;
    const REJECTS: bool = true;

    #[inline(always)]
    fn fast(&self, word: u64) -> (u64, u64) {
        let number = scaled(word, self.count);
        (self.low.wrapping_add(number.unwrap_or_default()), u64::from(number.is_none()))
    }

    #[cold]
    fn slow(&self, _: u64, stream: &mut ElementStream) -> u64 {
        self.low.wrapping_add(stream.below(self.count))
    }
}

/// Whether the upper 53 bits of two words, as a number from 0 to less than 1, are less than `p`.
#[derive(Clone, Copy)]
pub struct Bernoulli {
    /// The number of values below `p`.
    count: u64,
}

impl Bernoulli {
    /// Makes a sampler whose results are true with the probability `p`.
    pub fn new(p: f64) -> Bernoulli {
        Bernoulli { count: (p * (1u64 << 53) as f64).ceil() as u64 }
    }
}

impl Sampler for Bernoulli {
    type Word = u64;
    type Out = bool;
    const REJECTS: bool = false;

    #[inline(always)]
    fn fast(&self, word: u64) -> (bool, u64) {
        (word >> 11 < self.count, 0)
    }

    fn slow(&self, _: u64, _: &mut ElementStream) -> bool {
        unreachable!("no word is rejected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_each_sampler_are_the_upper_part_of_the_product() {
        let words = [0, 1, 2, u64::MAX, u64::MAX - 1, 1 << 32, 0x9e37_79b9_7f4a_7c15, 0x0123_4567_89ab_cdef];
        for count in [1, 2, 3, 10, 1000, 65_535, 65_536, 1 << 31, (1 << 32) - 1, 1 << 32] {
            for word in words {
                let (value, rejected) = Middle::new(5, count).fast(word);
                let expected = scaled(word, count);
                assert_eq!(rejected == 1, expected.is_none());
                if let Some(number) = expected {
                    assert_eq!(value, 5 + number);
                }
                assert_eq!(Broad::new(5, count).fast(word).1, rejected);
                let word = word as u32;
                let product = u64::from(word) * count;
                let (value, rejected) = Narrow::new(5, count).fast(word);
                assert_eq!(value, 5 + (product >> 32));
                assert_eq!(rejected == 1, product % (1 << 32) < (1 << 32) % count);
            }
        }
        assert_eq!(Broad::new(u64::MAX, 0).fast(7), (6, 0), "every value of 64 bits");
    }

    #[test]
    fn the_largest_uniform_number_is_below_the_upper_bound() {
        for dtype in [DType::F16, DType::BF16, DType::F32] {
            for (low, high) in [(0.0, 1.0), (-1.0, 0.0), (1.0, 2.0), (-2.0, -1.0), (-65_504.0, 2.0)] {
                let sampler = Uniform::<f32>::new(dtype, low, high);
                let largest = f64::from(sampler.fast(u32::MAX).0);
                assert!(largest < high && largest >= below(dtype, high) - (high - low) * 0.01, "{dtype} {low} {high}");
                assert_eq!(f64::from(sampler.fast(0).0), low);
            }
        }
        let next = 1f64.next_up();
        assert_eq!(Uniform::<f64>::new(DType::F64, 1.0, next).fast(u64::MAX).0, 1.0);
        assert_eq!(below(DType::F16, 0.0), -crate::f16::from_bits(1).to_f64());
        assert_eq!(below(DType::BF16, 1.0), 1.0 - 1.0 / 256.0);
    }

    #[test]
    fn certain_and_impossible_events() {
        let extremes = [0, u64::MAX];
        assert_eq!(extremes.map(|word| Bernoulli::new(0.0).fast(word).0), [false; 2]);
        assert_eq!(extremes.map(|word| Bernoulli::new(1.0).fast(word).0), [true; 2]);
        assert_eq!(extremes.map(|word| Bernoulli::new(5e-324).fast(word).0), [true, false]);
    }
}
