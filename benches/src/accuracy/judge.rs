//! Expected results, and the error of a result in ULP.

use super::big::Big;
use polyarray::{DType, Element, Wide, bf16, f16};

/// The parameters of a binary float format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    /// The bits of the significand, including the hidden one.
    pub precision: i32,
    /// The exponent of the smallest normal number.
    pub min_exponent: i32,
    /// The exponent of the largest number.
    pub max_exponent: i32,
}

/// The real float types.
pub trait Float: Element + Copy {
    /// The format.
    const FORMAT: Format;
    /// Whether functions of f64 serve as reference. Their errors are far below an ULP of a narrow type.
    const NARROW: bool;
    /// Returns the number with this bit pattern. Ignores bits above those of the type.
    fn of_bits(bits: u64) -> Self;
    /// Returns the bit pattern.
    fn bits(self) -> u64;
    /// Converts to f64 exactly.
    fn wide(self) -> f64;
    /// Returns the nearest number of the type.
    fn nearest(x: f64) -> Self {
        Self::from_wide(Wide::Float(x))
    }
}

macro_rules! floats {
    ($($T:ty, $Bits:ty, $narrow:literal, $precision:literal, $min:literal, $max:literal;)*) => { $(
        impl Float for $T {
            const FORMAT: Format = Format { precision: $precision, min_exponent: $min, max_exponent: $max };
            const NARROW: bool = $narrow;
            fn of_bits(bits: u64) -> $T {
                <$T>::from_bits(bits as $Bits)
            }
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
        }
    )* };
}
floats! {
    f16, u16, true, 11, -14, 15;
    bf16, u16, true, 8, -126, 127;
    f32, u32, true, 24, -126, 127;
    f64, u64, false, 53, -1022, 1023;
}

/// Returns `2^n`, also where it is subnormal.
pub fn power_of_two(n: i32) -> f64 {
    match n {
        -1022..=1023 => f64::from_bits(((n + 1023) as u64) << 52),
        -1074..=-1023 => f64::from_bits(1 << (n + 1074)),
        _ if n < 0 => 0.0,
        _ => f64::INFINITY,
    }
}

impl Format {
    /// Returns the format of this dtype.
    pub fn of(dtype: DType) -> Format {
        match dtype {
            DType::F16 => f16::FORMAT,
            DType::BF16 => bf16::FORMAT,
            DType::F32 => f32::FORMAT,
            DType::F64 => f64::FORMAT,
            other => unreachable!("{other} is not a real float dtype"),
        }
    }

    /// Returns the exponent of one ULP of numbers in `2^exponent .. 2^(exponent + 1)`. Below the normal numbers it is
    /// that of the smallest subnormal.
    fn unit(self, exponent: i32) -> i32 {
        exponent.max(self.min_exponent) + 1 - self.precision
    }

    /// Returns one ULP at a finite `x`.
    pub fn ulp(self, x: f64) -> f64 {
        let exponent = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(-1022);
        power_of_two(self.unit(exponent.min(self.max_exponent)))
    }
}

/// An expected result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Any NaN.
    Nan,
    /// Infinity, negative if `true`: at a pole of the function, and if the value is the first number too large for the
    /// type or more.
    Infinite(bool),
    /// Zero, negative if `true`: if the value is zero, or less than 2^-128 of the smallest subnormal.
    Zero(bool),
    /// Either of two neighbours, with their distance: for an integer that the type cannot represent.
    Either(f64, f64, f64),
    /// `(value + rest * ulp) / scale`, up to the bound. An infinite result counts as the first number too large for the
    /// type.
    Value {
        /// The value without `rest`, exact as f64; scaled.
        value: f64,
        /// The difference between the exact value and `value`, in ULP.
        rest: f64,
        /// One ULP at the value; scaled. Just below a power of two, that of the numbers below.
        ulp: f64,
        /// 1, or 1/4 if the first number too large for the type would be infinite as f64.
        scale: f64,
        /// The first number too large for the type; scaled.
        limit: f64,
    },
}

impl Expected {
    /// Returns the expectation for a value that is known as f64, exactly or closely enough.
    pub fn known(format: Format, x: f64) -> Expected {
        let limit = power_of_two(format.max_exponent + 1);
        let negative = x.is_sign_negative();
        match x.abs() {
            m if m.is_nan() => Expected::Nan,
            m if m >= limit => Expected::Infinite(negative),
            0.0 => Expected::Zero(negative),
            _ => Expected::Value { value: x, rest: 0.0, ulp: format.ulp(x), scale: 1.0, limit },
        }
    }

    /// Returns the expectation for a value that is known to more bits than f64 has. Zero is positive.
    pub fn precise(format: Format, x: Big) -> Expected {
        let (negative, exponent) = (x.is_negative(), x.exponent());
        let unit = format.unit(exponent);
        if exponent > format.max_exponent {
            return Expected::Infinite(negative);
        }
        // Splits the fraction in units of one ULP. The integer part fits f64; the part behind the binary point is
        // accurate enough as f64.
        let places = 127 - (exponent - unit);
        if x.is_zero() || places >= 256 {
            return Expected::Zero(negative);
        }
        let whole = if places < 128 { x.fraction() >> places } else { 0 };
        let behind = if places < 128 { x.fraction() << (128 - places) } else { x.fraction() >> (places - 128) };
        let scale = if format.max_exponent == 1023 && exponent >= 1020 { 0.25 } else { 1.0 };
        let sign = if negative { -1.0 } else { 1.0 };
        let ulp = power_of_two(unit) * scale;
        let limit = power_of_two(format.max_exponent + if scale == 1.0 { 1 } else { -1 });
        Expected::Value {
            value: sign * (whole as f64 * ulp),
            rest: sign * (behind as f64 * 2f64.powi(-128)),
            ulp,
            scale,
            limit,
        }
    }

    /// Returns the error of `got` in ULP; infinity if it differs and must not differ at all.
    pub fn error(&self, got: f64) -> f64 {
        let unless = |right: bool| if right { 0.0 } else { f64::INFINITY };
        match *self {
            Expected::Nan => unless(got.is_nan()),
            Expected::Infinite(negative) => unless(got.is_infinite() && got.is_sign_negative() == negative),
            Expected::Zero(negative) => unless(got == 0.0 && got.is_sign_negative() == negative),
            Expected::Either(low, high, _) if got == low || got == high => {
                unless(got != 0.0 || got.is_sign_negative() == low.is_sign_negative())
            }
            Expected::Either(low, high, ulp) => not_nan((got - low).abs().min((got - high).abs()) / ulp),
            Expected::Value { value, .. } if got == 0.0 && got.is_sign_negative() != value.is_sign_negative() => {
                f64::INFINITY
            }
            Expected::Value { value, rest, ulp, scale, limit } => {
                not_nan((((got * scale).clamp(-limit, limit) - value) / ulp - rest).abs())
            }
        }
    }

    /// Formats the expectation for reports.
    pub fn show(&self) -> String {
        let sign = |negative: bool| if negative { "-" } else { "" };
        match *self {
            Expected::Nan => "NaN".into(),
            Expected::Infinite(negative) => format!("{}inf", sign(negative)),
            Expected::Zero(negative) => format!("{}0", sign(negative)),
            Expected::Either(low, high, _) => format!("{low:e} or {high:e}"),
            Expected::Value { value, rest, ulp, scale, .. } => match rest {
                0.0 => format!("{:e}", value / scale),
                _ => format!("{:e} + {rest:.6} * 2^{}", value / scale, (ulp / scale).log2()),
            },
        }
    }
}

fn not_nan(error: f64) -> f64 {
    if error.is_nan() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(x: f64, n: i64) -> f64 {
        f64::from_bits(x.to_bits().wrapping_add_signed(n))
    }

    #[test]
    fn formats_are_those_of_the_types() {
        assert_eq!(f32::FORMAT.ulp(1.5), f64::from(f32::EPSILON));
        assert_eq!(f32::FORMAT.ulp(1e-45), f64::from(f32::from_bits(1)));
        assert_eq!(f32::FORMAT.ulp(f64::from(f32::MAX)), f64::from(f32::MAX) - f64::from(f32::MAX.next_down()));
        assert_eq!(f64::FORMAT.ulp(-1.0), f64::EPSILON);
        assert_eq!(f64::FORMAT.ulp(5e-324), 5e-324);
        assert_eq!(f64::FORMAT.ulp(1.0f64.next_down()), f64::EPSILON / 2.0);
        assert_eq!(f16::FORMAT.ulp(65504.0), 32.0);
        assert_eq!(bf16::nearest(1.0).bits(), 0x3f80);
        assert_eq!([-1074, -1022, 0, 1023].map(power_of_two), [5e-324, f64::MIN_POSITIVE, 1.0, 2f64.powi(1023)]);
    }

    #[test]
    fn numbers_known_as_f64_are_judged_in_fractions_of_an_ulp() {
        let third = Expected::known(f32::FORMAT, 1.0 / 3.0);
        let (near, next) = (1.0f32 / 3.0, (1.0f32 / 3.0).next_up());
        assert!((third.error(f64::from(near)) - 1.0 / 3.0).abs() < 1e-6);
        assert!((third.error(f64::from(next)) - 4.0 / 3.0).abs() < 1e-6);
        assert_eq!(Expected::known(f32::FORMAT, 0.5).error(0.5), 0.0);
        assert_eq!(
            Expected::known(f32::FORMAT, 1e-46).error(0.0),
            1e-46 / f64::from(f32::from_bits(1)),
            "subnormals count the smallest one"
        );
    }

    #[test]
    fn numbers_known_to_more_bits_are_judged_alike() {
        let big = |x: f64| Big::from_f64(x);
        for sign in [1.0, -1.0] {
            for x in [1.0, 1.5, 1e-310, 5e-324, 3e300, f64::MAX, 2f64.powi(1021), 0.1, f64::MIN_POSITIVE] {
                let exact = Expected::precise(f64::FORMAT, big(sign * x));
                assert_eq!(exact.error(sign * x), 0.0, "{x:e}");
                assert_eq!(exact.error(sign * steps(x, 2)).min(2.0), 2.0, "{x:e}");
                assert_eq!(exact.error(-sign * x).min(2.0), 2.0, "{x:e}");
            }
            let third = big(sign) / big(3.0);
            let got = sign / 3.0;
            let error = Expected::precise(f64::FORMAT, third).error(got);
            assert!((error - 1.0 / 3.0).abs() < 1e-12, "{error}");
            assert!((Expected::precise(f64::FORMAT, third).error(steps(got, 1)) - 2.0 / 3.0).abs() < 1e-12);
            let tiny = Expected::precise(f64::FORMAT, third.scale(-1073));
            assert!(
                (tiny.error(sign * 5e-324) - 1.0 / 3.0).abs() < 1e-12
                    && (tiny.error(sign * 0.0) - 2.0 / 3.0).abs() < 1e-12
            );
            assert_eq!(tiny.error(-sign * 0.0), f64::INFINITY, "a zero result must have the sign of the exact value");
        }
        // Just below a power of two, the ULP is that of the numbers below.
        let under = Expected::precise(f64::FORMAT, big(1.0) - big(2f64.powi(-54)));
        assert_eq!((under.error(1.0), under.error(1.0f64.next_down())), (0.5, 0.5));
        let third = f64::from(1.0f32 / 3.0);
        let (precise, known) =
            (Expected::precise(f32::FORMAT, big(1.0) / big(3.0)), Expected::known(f32::FORMAT, 1.0 / 3.0));
        assert!((precise.error(third) - known.error(third)).abs() < 1e-8, "an f64 is good to 2^-29 ULP of f32");
    }

    #[test]
    fn the_ends_of_the_range_are_exact() {
        let limit = Big::from_f64(1.0).scale(1024);
        let half_ulp = Big::from_f64(1.0).scale(970);
        let over = Expected::precise(f64::FORMAT, limit);
        assert_eq!(
            (over.error(f64::INFINITY), over.error(f64::MAX), over.error(f64::NEG_INFINITY)),
            (0.0, f64::INFINITY, f64::INFINITY)
        );
        let edge = Expected::precise(f64::FORMAT, limit - half_ulp);
        assert_eq!((edge.error(f64::INFINITY), edge.error(f64::MAX)), (0.5, 0.5));
        let max = Expected::precise(f64::FORMAT, limit - half_ulp.scale(1));
        assert_eq!((max.error(f64::INFINITY), max.error(f64::MAX)), (1.0, 0.0));
        let over = Expected::known(f32::FORMAT, 2f64.powi(128));
        assert_eq!((over.error(f64::INFINITY), over.error(f64::from(f32::MAX))), (0.0, f64::INFINITY));
        assert_eq!(Expected::known(f32::FORMAT, 1e300), Expected::Infinite(false));
        assert_eq!(Expected::known(f32::FORMAT, 3e38).error(f64::INFINITY).min(1e3), 1e3);
        assert_eq!(Expected::precise(f64::FORMAT, Big::ONE.scale(-5000)), Expected::Zero(false));
    }

    #[test]
    fn special_results_match_exactly() {
        let known = |x: f64| Expected::known(f64::FORMAT, x);
        assert_eq!(known(f64::NAN).error(f64::NAN), 0.0);
        assert_eq!(known(f64::NAN).error(1.0), f64::INFINITY);
        assert_eq!(known(1.0).error(f64::NAN), f64::INFINITY);
        assert_eq!(known(-0.0).error(0.0), f64::INFINITY);
        assert_eq!(known(-0.0).error(-0.0), 0.0);
        assert_eq!(known(0.0).error(5e-324), f64::INFINITY);
        let either = Expected::Either(4.0, 6.0, 2.0);
        assert_eq!([4.0, 6.0, 8.0, 1.0, f64::NAN].map(|x| either.error(x)), [0.0, 0.0, 1.0, 1.5, f64::INFINITY]);
    }
}
