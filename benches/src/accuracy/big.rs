//! Real numbers with 128 bits and an exponent that neither overflows nor underflows: the reference for results of f64.
//!
//! The result of every operation is accurate to a few units of 2^-127, relative to itself. The functions built on the
//! operations ([`super::functions`]) therefore keep well over 100 bits, and their errors are far below a thousandth of
//! an ULP of f64. Sums and differences of f64 are exact if the operands' bits span at most 128 places.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `(-1)^negative * fraction * 2^(exponent - 127)`.
///
/// Invariants: 1. `fraction` has its highest bit set, so that `2^exponent <= |x| < 2^(exponent + 1)`, or is 0; 2. zero
/// is not negative and has exponent 0. [`Big::new`] establishes both; functions that build a `Big` without it keep
/// them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Big {
    negative: bool,
    exponent: i32,
    fraction: u128,
}

/// Returns the upper and the lower 128 bits of a 256-bit product.
fn multiply(a: u128, b: u128) -> (u128, u128) {
    const LOW: u128 = u64::MAX as u128;
    let (a1, a0, b1, b0) = (a >> 64, a & LOW, b >> 64, b & LOW);
    let (low, cross, other, high) = (a0 * b0, a1 * b0, a0 * b1, a1 * b1);
    let middle = (low >> 64) + (cross & LOW) + (other & LOW);
    (high + (cross >> 64) + (other >> 64) + (middle >> 64), (middle << 64) | (low & LOW))
}

impl Big {
    /// Zero.
    pub const ZERO: Big = Big { negative: false, exponent: 0, fraction: 0 };
    /// One.
    pub const ONE: Big = Big { negative: false, exponent: 0, fraction: 1 << 127 };

    /// Returns `fraction * 2^(exponent - 127)` with the sign, normalised. The highest bit of `fraction` need not be
    /// set.
    pub const fn new(negative: bool, exponent: i32, fraction: u128) -> Big {
        if fraction == 0 {
            return Big::ZERO;
        }
        let shift = fraction.leading_zeros();
        Big { negative, exponent: exponent - shift as i32, fraction: fraction << shift }
    }

    /// Converts a finite `x` exactly.
    pub fn from_f64(x: f64) -> Big {
        debug_assert!(x.is_finite(), "x must be finite");
        let bits = x.to_bits();
        let (biased, mantissa) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let (exponent, mantissa) = if biased == 0 { (-1022, mantissa) } else { (biased - 1023, mantissa | 1 << 52) };
        Big::new(x.is_sign_negative(), exponent, u128::from(mantissa) << 75)
    }

    /// Converts `n` exactly.
    pub const fn from_int(n: i64) -> Big {
        Big::new(n < 0, 127, n.unsigned_abs() as u128)
    }

    /// Returns `(x, e)` such that the number is `x * 2^e`, rounded to 53 bits, and `1 <= |x| <= 2`. Returns zero for
    /// zero.
    pub fn split(self) -> (f64, i32) {
        let x = (self.fraction >> 64) as u64 as f64 / (1u64 << 63) as f64;
        (if self.negative { -x } else { x }, self.exponent)
    }

    /// Converts to f64 with 53 bits; to zero or infinity outside of the range of f64.
    pub fn to_f64(self) -> f64 {
        let (x, e) = self.split();
        // Multiplies by two powers, because a single power may leave the range of f64 even if the product does not.
        let half = e.clamp(-2200, 2200) / 2;
        x * 2f64.powi(half) * 2f64.powi(e.clamp(-2200, 2200) - half)
    }

    /// Returns whether the number is zero.
    pub fn is_zero(self) -> bool {
        self.fraction == 0
    }

    /// Returns whether the number is less than zero.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    /// Returns the floor of the base-2 logarithm of the magnitude. For zero: a number less than every exponent.
    pub fn exponent(self) -> i32 {
        if self.is_zero() { i32::MIN / 4 } else { self.exponent }
    }

    /// Returns the factor of `2^(exponent - 127)` in the magnitude. Its highest bit is set unless the number is zero.
    pub fn fraction(self) -> u128 {
        self.fraction
    }

    /// Returns the magnitude.
    pub fn abs(self) -> Big {
        Big { negative: false, ..self }
    }

    /// Returns `self * 2^n`.
    pub fn scale(self, n: i32) -> Big {
        if self.is_zero() { self } else { Big { exponent: self.exponent + n, ..self } }
    }

    /// Returns `self * self`.
    pub fn square(self) -> Big {
        self * self
    }

    /// Rounds toward zero to an integer.
    pub fn trunc(self) -> Big {
        match self.exponent {
            e if e < 0 => Big::ZERO,
            e if e >= 127 => self,
            e => Big { fraction: self.fraction >> (127 - e) << (127 - e), ..self },
        }
    }

    /// Computes the square root of a number that is not negative, by Newton's method from the f64 root.
    pub fn sqrt(self) -> Big {
        if self.is_zero() {
            return self;
        }
        assert!(!self.negative, "the square root of a negative number");
        let even = self.exponent & !1;
        let x = self.scale(-even);
        let start = x.to_f64().sqrt();
        // 53 bits are right, then 106, then all. Each step divides the remainder by twice the root, for which 53 bits
        // suffice.
        let half_inverse = Big::from_f64(0.5 / start);
        let once = Big::from_f64(start);
        let twice = once + (x - once.square()) * half_inverse;
        (twice + (x - twice.square()) * half_inverse).scale(even / 2)
    }

    /// Computes the cube root, by one step of Halley's method from the f64 root. A step triples the number of right
    /// bits.
    pub fn cbrt(self) -> Big {
        if self.is_zero() {
            return self;
        }
        let third = self.exponent.div_euclid(3);
        let x = self.scale(-3 * third);
        let start = Big::from_f64(x.to_f64().cbrt());
        let cube = start.square() * start;
        (start + start * (x - cube) / (cube.scale(1) + x)).scale(third)
    }
}

impl Neg for Big {
    type Output = Big;
    fn neg(self) -> Big {
        Big { negative: !self.negative && !self.is_zero(), ..self }
    }
}

impl Add for Big {
    type Output = Big;
    fn add(self, other: Big) -> Big {
        if self.is_zero() || other.is_zero() {
            return if self.is_zero() { other } else { self };
        }
        let (a, b) = if (self.exponent, self.fraction) >= (other.exponent, other.fraction) {
            (self, other)
        } else {
            (other, self)
        };
        let distance = a.exponent.abs_diff(b.exponent);
        if distance >= 128 {
            return a;
        }
        let aligned = b.fraction >> distance;
        if a.negative != b.negative {
            return Big::new(a.negative, a.exponent, a.fraction - aligned);
        }
        match a.fraction.checked_add(aligned) {
            Some(sum) => Big::new(a.negative, a.exponent, sum),
            None => Big::new(a.negative, a.exponent + 1, a.fraction.wrapping_add(aligned) >> 1 | 1 << 127),
        }
    }
}

impl Sub for Big {
    type Output = Big;
    fn sub(self, other: Big) -> Big {
        self + -other
    }
}

impl Mul for Big {
    type Output = Big;
    fn mul(self, other: Big) -> Big {
        if self.is_zero() || other.is_zero() {
            return Big::ZERO;
        }
        let (high, low) = multiply(self.fraction, other.fraction);
        let (fraction, carry) = if high >> 127 == 1 { (high, 1) } else { (high << 1 | low >> 127, 0) };
        Big::new(self.negative != other.negative, self.exponent + other.exponent + carry, fraction)
    }
}

impl Div for Big {
    type Output = Big;
    fn div(self, other: Big) -> Big {
        assert!(!other.is_zero(), "division by zero");
        let d = other.scale(-other.exponent);
        let start = Big::from_f64(1.0 / d.to_f64());
        // 106 bits of the inverse. The remainder of the quotient adds the others.
        let inverse = start + start * (Big::ONE - d * start);
        let quotient = self * inverse;
        (quotient + (self - quotient * d) * inverse).scale(-other.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big(x: f64) -> Big {
        Big::from_f64(x)
    }

    /// Returns the number of leading bits in which two numbers agree.
    fn agree(a: Big, b: Big) -> i32 {
        if a == b { 128 } else { a.exponent() - (a - b).exponent() - 1 }
    }

    #[test]
    fn every_f64_goes_in_and_out_unchanged() {
        for x in [
            0.0,
            1.0,
            -1.5,
            0.1,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            -f64::from_bits(0xf_ffff_ffff_ffff),
            1e-300,
        ] {
            assert_eq!(big(x).to_f64(), x);
        }
        assert_eq!(Big::from_int(-12_345), big(-12_345.0));
        assert_eq!(Big::from_int(i64::MIN), big(-(2f64.powi(63))));
        assert_eq!(big(f64::MAX).square().to_f64(), f64::INFINITY);
        assert_eq!(big(1e-200).square().to_f64(), 0.0);
    }

    #[test]
    fn arithmetic_of_integers_is_exact() {
        let n = |x: i64| Big::from_int(x);
        assert_eq!(n(123_456_789_012) * n(-987_654_321_098), Big::new(true, 127, 123_456_789_012 * 987_654_321_098));
        assert_eq!(n(1 << 62) + n(-1), n((1 << 62) - 1));
        assert_eq!(n(7) - n(7), Big::ZERO);
        assert_eq!(n(i64::MAX) + n(i64::MAX), Big::new(false, 127, 2 * i64::MAX as u128));
        assert_eq!(big(1.0) + big(2f64.powi(-100)) - big(1.0), big(2f64.powi(-100)));
        assert_eq!([2.75, -2.75, 0.5, 1e30].map(|x| big(x).trunc().to_f64()), [2.0, -2.0, 0.0, 1e30]);
        assert_eq!(-Big::ZERO, Big::ZERO);
        // Fractions of all ones cause a carry out of the middle words.
        let ones = Big::new(false, 127, u128::MAX);
        assert_eq!((ones * ones).fraction(), u128::MAX - 1);
    }

    #[test]
    fn division_and_roots_are_good_to_the_last_bits() {
        for (x, y) in [(1.0, 3.0), (-2.0, 7e-300), (1e308, 1.0 + f64::EPSILON), (0.1, 0.3), (5.0, 2f64.powi(-1074))] {
            let q = big(x) / big(y);
            assert!(agree(q * big(y), big(x)) >= 124, "{x} / {y}");
        }
        assert!(agree(big(6.0) / big(3.0), big(2.0)) >= 125);
        for x in [2.0, 3.0, 0.5, 1e-310, 1e300, 1.0 + f64::EPSILON, 1.0 - f64::EPSILON / 2.0] {
            assert!(agree(big(x).sqrt().square(), big(x)) >= 124, "sqrt {x}");
            let root = big(-x).cbrt();
            assert!(agree(root.square() * root, big(-x)) >= 123, "cbrt {x}");
        }
        assert_eq!(big(9.0).sqrt().to_f64(), 3.0);
    }
}
