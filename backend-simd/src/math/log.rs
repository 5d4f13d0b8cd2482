//! log.

use super::{Function, all, poly};
use crate::lanes::{Float, Isa, Mask, Real};

/// m and e with `x = m * 2^e`, m in [sqrt(1/2), sqrt(2)), for x positive and normal.
#[inline(always)]
pub(super) fn split_exponent<T: Real, I: Isa>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let (two_to_mantissa, bias) = if size_of::<T>() == 4 { (8_388_608.0, 127.0) } else { (4_503_599_627_370_496.0, 1023.0) };
    // The exponent field as the low bits of 2^mantissa is that number plus 2^mantissa.
    let e = x.shr_mantissa().bit_or(c(two_to_mantissa)).sub(c(two_to_mantissa + bias));
    // x without its exponent field, with that of 1: (x ^ exponent) | 1.0
    let field = c(f64::INFINITY);
    let m = x.bit_xor(x.bit_and(field)).bit_or(c(1.0));
    let large = c(std::f64::consts::SQRT_2).lt(m);
    (Float::select(large, m.mul(c(0.5)), m), Float::select(large, e.add(c(1.0)), e))
}

/// The natural logarithm: fdlibm's method (e_log.c; logf's coefficients for f32): with f = m - 1 and s = f / (2 + f), log(1 + f) = 2s + 2s^3/3 + .. . 0.9 ULP.
pub(crate) struct Log;

impl<T: Real> Function<T> for Log {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let single = size_of::<T>() == 4;
        let (tiny, scale, scaled_by) =
            if single { (f64::from(f32::MIN_POSITIVE), 33_554_432.0, 25.0) } else { (f64::MIN_POSITIVE, 18_014_398_509_481_984.0, 54.0) };
        let subnormal = x.lt(c(tiny));
        let (m, e) = split_exponent::<T, I>(isa, Float::select(subnormal, x.mul(c(scale)), x));
        let e = Float::select(subnormal, e.sub(c(scaled_by)), e);
        let f = m.sub(c(1.0));
        let s = f.div(c(2.0).add(f));
        let z = s.mul(s);
        let r = if single {
            poly::<T, I, 4>(isa, z, [0.666_666_626_93, 0.400_009_721_52, 0.284_987_866_88, 0.242_790_788_41])
        } else {
            poly::<T, I, 7>(
                isa,
                z,
                [
                    6.666_666_666_666_735_130e-1,
                    3.999_999_999_940_941_908e-1,
                    2.857_142_874_366_239_149e-1,
                    2.222_219_843_214_978_396e-1,
                    1.818_357_216_161_805_012e-1,
                    1.531_383_769_920_937_332e-1,
                    1.479_819_860_511_658_591e-1,
                ],
            )
        }
        .mul(z);
        let [ln2_hi, ln2_lo] =
            if single { [6.931_381_225_6e-1, 9.058_000_614_5e-6] } else { [6.931_471_803_691_238_164_90e-1, 1.908_214_929_270_587_700_02e-10] };
        let half_square = f.mul(f).mul(c(0.5));
        let low = s.mul_add(half_square.add(r), e.mul(c(ln2_lo)));
        let y = e.mul_add(c(ln2_hi), f.sub(half_square.sub(low)));
        let y = Float::select(x.eq(c(0.0)), c(f64::NEG_INFINITY), y);
        let y = Float::select(x.lt(c(0.0)), c(f64::NAN), y);
        Float::select(x.unordered(x).or(x.eq(c(f64::INFINITY))), x, y)
    }
}
