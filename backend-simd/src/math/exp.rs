//! exp, exp2, expm1, and their parts that the hyperbolic functions, the sigmoid and pow use.
//!
//! x = n ln 2 + r, where n is a multiple of 1/N. Then e^x = 2^floor(n) * T * e^r with T = 2^(n mod 1) from a table of N
//! entries in registers (P. Tang, ACM Trans. Math. Softw. 15, 1989). A second table holds the rounding errors of the
//! first, so that they do not add to the error of the result.

use super::{Function, all, fast_two_sum, large_product_error, poly, two_sum};
use crate::lanes::{Bits, Exponents, Float, Isa, Numbers, Real};

/// The constants and polynomials of each float type. N is 16 for f32 and 8 for f64.
pub(super) trait Exponential: Real {
    /// 1.5 * 2^mantissa / N. Adding it to a number rounds the number to a multiple of 1/N; the low bits of the sum hold
    /// N times that multiple.
    const MAGIC: f64;
    /// ln 2 in two parts. The first is so short that its products with n are exact.
    const LN2: [f64; 2];
    /// The arguments at which e^x overflows and underflows to zero, rounded away from zero.
    const RANGE: [f64; 2];
    /// The same for 2^x.
    const RANGE2: [f64; 2];
    /// Below this magnitude expm1(x) and sinh(x) round to x.
    const TINY: f64;
    /// Returns T and its relative error: T times (1 + the second value) is exact. The low bits of `t` are the index.
    fn power<I: Isa>(t: Self::V<I>) -> (Self::V<I>, Self::V<I>);
    /// Computes (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2N; u is r^2.
    fn exp_rest<I: Isa>(isa: I, r: Self::V<I>, u: Self::V<I>) -> Self::V<I>;
    /// Computes the same as `exp_rest`, with the error relative to r.
    fn expm1_rest<I: Isa>(isa: I, r: Self::V<I>, u: Self::V<I>) -> Self::V<I>;
    /// Computes (2^r - 1) / r for |r| <= 1 / 2N.
    fn exp2_rest<I: Isa>(isa: I, r: Self::V<I>) -> Self::V<I>;
    /// Computes (cosh r - 1) / r^2 and (sinh r - r) / r^3 from u = r^2, for |r| <= ln(2) / 2N.
    fn hyperbolic_rest<I: Isa>(isa: I, u: Self::V<I>) -> (Self::V<I>, Self::V<I>);
}

// The tables are rounded from 50 digits. The coefficients are rounded minimax coefficients (Remez exchange, in 50
// digits, with errors relative to e^r).
const POWERS_F32: [f32; 16] = [
    1.0, 1.0442737, 1.0905077, 1.1387886, 1.1892071, 1.2418578, 1.2968396, 1.3542556, 1.4142135, 1.4768262, 1.5422108,
    1.6104903, 1.6817929, 1.7562522, 1.8340081, 1.9152066,
];
const LOW_F32: [f32; 16] = [
    0.0,
    4.628547e-08,
    -1.19921575e-08,
    4.7297824e-08,
    3.193418e-08,
    3.6210572e-08,
    -3.099072e-08,
    -7.475213e-09,
    1.7114271e-08,
    -3.0476834e-08,
    5.233334e-09,
    6.1075918e-09,
    -1.4719605e-08,
    -5.258795e-09,
    -6.1282597e-09,
    5.1406093e-09,
];
/// Error 2^-29.2.
const EXP_F32: [f64; 2] = [0.5000162, 0.16667058];
const POWERS_F64: [f64; 8] = [
    1.0,
    1.0905077326652577,
    1.189207115002721,
    1.2968395546510096,
    1.4142135623730951,
    1.5422108254079407,
    1.681792830507429,
    1.8340080864093424,
];
const LOW_F64: [f64; 8] = [
    0.0,
    -2.7939114859515733e-17,
    3.3484623336251524e-17,
    1.9572585293112036e-17,
    -6.835808657661922e-17,
    5.1548301170786783e-17,
    4.875160526227062e-17,
    1.790126907604513e-17,
];
/// Error 2^-58.3.
const EXP_F64: [f64; 6] = [
    0.5000000000000301,
    0.16666666666667404,
    0.04166666656944535,
    0.008333333316549014,
    0.001388978287005599,
    0.00019842472267438382,
];
/// The coefficients for 2^r: ln 2, then the k-th coefficient of `EXP_F64` times ln(2)^(k + 2).
const EXP2_F64: [f64; 7] = [
    0.6931471805599453,
    0.24022650695911515,
    0.055504108664824206,
    0.00961812908518817,
    0.0013333558118485828,
    0.00015404521846709265,
    1.5253675109295808e-05,
];

/// Error 2^-61.4 relative to r.
const EXPM1_F64: [f64; 7] = [
    0.5,
    0.16666666666667002,
    0.041666666666668226,
    0.008333333322526367,
    0.001388888886413596,
    0.00019842263323418326,
    2.4803016842915622e-05,
];

impl Exponential for f32 {
    const MAGIC: f64 = 786_432.0;
    const LN2: [f64; 2] = [0.693_115_234_375, 3.194_618_3e-5];
    const RANGE: [f64; 2] = [89.0, -105.0];
    const RANGE2: [f64; 2] = [129.0, -151.0];
    const TINY: f64 = 2.98e-8;
    #[inline(always)]
    fn power<I: Isa>(t: I::F32) -> (I::F32, I::F32) {
        (t.lookup(&POWERS_F32), t.lookup(&LOW_F32))
    }
    #[inline(always)]
    fn exp_rest<I: Isa>(isa: I, r: I::F32, _: I::F32) -> I::F32 {
        poly::<f32, I, 2>(isa, r, EXP_F32)
    }
    #[inline(always)]
    fn expm1_rest<I: Isa>(isa: I, r: I::F32, _: I::F32) -> I::F32 {
        // Error 2^-31.5.
        poly::<f32, I, 3>(isa, r, [0.5, 0.1666699, 0.04166759])
    }
    #[inline(always)]
    fn exp2_rest<I: Isa>(isa: I, r: I::F32) -> I::F32 {
        poly::<f32, I, 3>(isa, r, [0.693_147_2, 0.240_234_29, 0.055_505_417])
    }
    #[inline(always)]
    fn hyperbolic_rest<I: Isa>(isa: I, u: I::F32) -> (I::F32, I::F32) {
        let _ = u;
        // Errors 2^-29.2 and 2^-31.6.
        (all::<f32, I>(isa, 0.5000162), all::<f32, I>(isa, 0.1666699))
    }
}

impl Exponential for f64 {
    const MAGIC: f64 = 844_424_930_131_968.0;
    const LN2: [f64; 2] = [0.6931471805582987, 1.6465949582897082e-12];
    const RANGE: [f64; 2] = [710.0, -746.0];
    const RANGE2: [f64; 2] = [1025.0, -1076.0];
    const TINY: f64 = 5.5e-17;
    #[inline(always)]
    fn power<I: Isa>(t: I::F64) -> (I::F64, I::F64) {
        (t.lookup(&POWERS_F64), t.lookup(&LOW_F64))
    }
    #[inline(always)]
    fn exp_rest<I: Isa>(isa: I, r: I::F64, u: I::F64) -> I::F64 {
        let [c0, c1, c2, c3, c4, c5] = EXP_F64;
        let c = |v: f64| all::<f64, I>(isa, v);
        let high = cubic::<f64, I>(isa, r, u, [c2, c3, c4, c5]);
        u.mul(c(c5)).mul_add(high, r.mul_add(c(c1), c(c0)))
    }
    #[inline(always)]
    fn expm1_rest<I: Isa>(isa: I, r: I::F64, u: I::F64) -> I::F64 {
        seven::<I>(isa, r, u, EXPM1_F64)
    }
    #[inline(always)]
    fn exp2_rest<I: Isa>(isa: I, r: I::F64) -> I::F64 {
        seven::<I>(isa, r, r.mul(r), EXP2_F64)
    }
    #[inline(always)]
    fn hyperbolic_rest<I: Isa>(isa: I, u: I::F64) -> (I::F64, I::F64) {
        // Errors 2^-58.3 and 2^-61.5.
        let cosh = poly::<f64, I, 3>(isa, u, [0.5000000000000301, 0.04166666656935758, 0.0013889783196943484]);
        (cosh, poly::<f64, I, 3>(isa, u, [0.16666666666667002, 0.008333333322521291, 0.00019842263511606422]))
    }
}

/// Evaluates a polynomial of seven coefficients; u is r^2.
#[inline(always)]
fn seven<I: Isa>(isa: I, r: I::F64, u: I::F64, [c0, c1, c2, c3, c4, c5, c6]: [f64; 7]) -> I::F64 {
    let c = |v: f64| all::<f64, I>(isa, v);
    let high = cubic::<f64, I>(isa, r, u, [c3, c4, c5, c6]);
    let low = u.mul_add(c(c2), r.mul_add(c(c1), c(c0)));
    u.mul(r).mul(c(c6)).mul_add(high, low)
}

/// Computes `(c0 + c1 r + c2 r^2 + c3 r^3) / c3` with one multiplication, as (r + a)(u + b) + d with u = r^2. The
/// additions run on execution units that are idle otherwise.
#[inline(always)]
pub(super) fn cubic<T: Real, I: Isa>(isa: I, r: T::V<I>, u: T::V<I>, [c0, c1, c2, c3]: [f64; 4]) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (a, b) = (c2 / c3, c1 / c3);
    r.add(c(a)).mul_add(u.add(c(b)), c(c0 / c3 - a * b))
}

/// A reduced argument: x = n ln 2 + high + low, where `high` is exact.
pub(super) struct Reduced<V> {
    pub n: V,
    /// Its low bits hold N n.
    pub t: V,
    pub high: V,
    pub low: V,
}

/// Reduces x, which must be NaN or within a small multiple of the exponent range.
#[inline(always)]
pub(super) fn reduce<T: Exponential, I: Isa>(isa: I, x: T::V<I>) -> Reduced<T::V<I>> {
    let c = |v: f64| all::<T, I>(isa, v);
    let t = x.mul_add(c(std::f64::consts::LOG2_E), c(T::MAGIC));
    let n = t.sub(c(T::MAGIC));
    Reduced { n, t, high: n.neg_mul_add(c(T::LN2[0]), x), low: n.mul(c(-T::LN2[1])) }
}

/// Clamps x to [low, high] and keeps NaN.
#[inline(always)]
pub(super) fn clamp<T: Real, I: Isa>(isa: I, x: T::V<I>, [high, low]: [f64; 2]) -> T::V<I> {
    // The order matters: `min` and `max` return their second operand where x is NaN.
    all::<T, I>(isa, high).min(all::<T, I>(isa, low).max(x))
}

/// Computes 2^floor(n) T (1 + q) with q = e^r - 1.
#[inline(always)]
fn compose<T: Exponential, I: Isa>(isa: I, t: T::V<I>, n: T::V<I>, r: T::V<I>) -> T::V<I> {
    let u = r.mul(r);
    let (power, power_low) = T::power::<I>(t);
    let q = u.mul_add(T::exp_rest(isa, r, u), r.add(power_low));
    power.mul_add(q, power).scale(isa, n)
}

/// Computes `exp(x)` for x within the range or NaN. Subnormal results are rounded a second time.
#[inline(always)]
fn exp_of<T: Exponential, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    let reduced = reduce::<T, I>(isa, x);
    compose::<T, I>(isa, reduced.t, reduced.n, reduced.n.neg_mul_add(all::<T, I>(isa, T::LN2[1]), reduced.high))
}

/// Computes `exp(x + low)` for `low` up to 1/2 in magnitude.
#[inline(always)]
pub(super) fn exp_of_sum<T: Exponential, I: Isa>(isa: I, x: T::V<I>, low: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let t = x.add(low).mul_add(c(std::f64::consts::LOG2_E), c(T::MAGIC));
    let n = t.sub(c(T::MAGIC));
    let high = n.neg_mul_add(c(T::LN2[0]), x);
    compose::<T, I>(isa, t, n, high.add(n.neg_mul_add(c(T::LN2[1]), low)))
}

/// e to the power of x. At most 0.65 ULP; subnormal results 1.0.
pub(crate) struct Exp;

/// 2 to the power of x. At most 0.65 ULP; subnormal results 1.0.
pub(crate) struct Exp2;

/// e^x - 1, precise near 0. At most 0.6 ULP.
pub(crate) struct Expm1;

/// Computes (e^x - 1) / 2 as a sum of two, for x within the range of exp.
#[inline(always)]
pub(super) fn expm1_half<T: Exponential, I: Isa>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let half = all::<T, I>(isa, 0.5);
    let reduced = reduce::<T, I>(isa, x);
    let r = reduced.high.add(reduced.low);
    let u = r.mul(r);
    let (power, power_low) = T::power::<I>(reduced.t);
    // e^x / 2 = s (1 + high + rest)
    let s = power.scale(isa, reduced.n.sub(all::<T, I>(isa, 1.0)));
    let rest = u.mul_add(T::expm1_rest(isa, r, u), reduced.low.add(power_low.mul_add(r, power_low)));
    let product = s.mul(reduced.high);
    let error = large_product_error::<T, I>(isa, s, reduced.high, product);
    let (h, h_low) = two_sum(s, half.neg());
    let (sum, sum_low) = fast_two_sum(h, product);
    (sum, s.mul_add(rest, sum_low.add(error).add(h_low)))
}

macro_rules! function {
    ($T:ident) => {
        impl Function<$T> for Exp {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                exp_of::<$T, I>(isa, clamp::<$T, I>(isa, x, $T::RANGE))
            }
        }

        impl Function<$T> for Exp2 {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let x = clamp::<$T, I>(isa, x, $T::RANGE2);
                let magic = all::<$T, I>(isa, $T::MAGIC);
                let t = x.add(magic);
                let n = t.sub(magic);
                let r = x.sub(n);
                let (power, low) = $T::power::<I>(t);
                power.mul_add(r.mul_add($T::exp2_rest(isa, r), low), power).scale(isa, n)
            }
        }

        impl Function<$T> for Expm1 {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let (high, low) = expm1_half::<$T, I>(isa, clamp::<$T, I>(isa, x, $T::RANGE));
                let y = high.add(low);
                // Half of the smallest numbers is inexact, and zero keeps its sign.
                Bits::select(x.abs().lt(all::<$T, I>(isa, $T::TINY)), x, y.add(y))
            }
        }
    };
}
function!(f32);
function!(f64);
