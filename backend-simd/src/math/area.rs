//! The inverse hyperbolic functions, as logarithms of sums of two.

use super::{Function, all, aside, fast_two_sum, poly, residual};
use crate::lanes::{Bits, Exponents, Float, Isa, Mask, Numbers, Real};

/// The constants of the logarithm for a float type. Computed with mpmath.
pub(crate) trait Logs: Real {
    /// `-1/c` in 64ths, for c near 1, 17/16, .. 31/16. Its product with a number near c differs from -1 by a value that
    /// a float holds exactly.
    const RECIPROCALS: &'static [Self; 16];
    /// `log(c) - b log 2` as sums of two, where b is the exponent bias. The first part is so short that its sums with
    /// multiples of `LN2.0` are exact.
    const LOGS: [&'static [Self; 16]; 2];
    /// log 2 in two parts, so short that products with biased exponents are exact.
    const LN2: (f64, f64);
    const MANTISSA: u32;
    /// From here on the logarithms treat x^2 + 1 and x^2 - 1 as x^2.
    const LARGE: f64;
    /// Below this magnitude the functions that approximate x near 0 return x.
    const LITTLE: f64;

    /// Computes `(log(1 + f) - f) / f^2` for |f| <= 1/30. Fitted by weighted least squares at Chebyshev nodes: the
    /// coefficients were rounded and refitted one by one. The error of the logarithm is 2^-61 (f32: 2^-31).
    fn series<I: Isa>(isa: I, f: Self::V<I>) -> Self::V<I>;
}

static RECIPROCALS_F64: [f64; 16] = [
    -1.0, -0.937_5, -0.890_625, -0.843_75, -0.796_875, -0.765_625, -0.734_375, -0.703_125, -0.671_875, -0.640_625,
    -0.609_375, -0.593_75, -0.578_125, -0.546_875, -0.531_25, -0.515_625,
];
static LOGS_F64: [[f64; 16]; 2] = [
    [
        -709.089_565_712_767_8,
        -709.025_027_191_630_2,
        -708.973_733_897_242_7,
        -708.919_666_675_972_4,
        -708.862_508_262_132_5,
        -708.822_502_927_518_8,
        -708.780_830_231_118_2,
        -708.737_345_119_178_4,
        -708.691_882_745_101_8,
        -708.644_254_696_112_5,
        -708.594_244_275_537_7,
        -708.568_268_789_134_4,
        -708.541_600_542_052_3,
        -708.486_030_690_897_5,
        -708.457_043_154_024_4,
        -708.427_190_190_874_6,
    ],
    [
        -5.624_375_248_138_798e-11,
        -5.626_497_808_943_279e-11,
        -5.622_018_365_920_594e-11,
        -5.626_012_875_780_208e-11,
        -5.625_453_984_888_669_4e-11,
        -5.618_003_300_868_982e-11,
        -5.622_223_035_389_633_5e-11,
        -5.632_790_166_332_287e-11,
        -5.614_883_908_735_701_6e-11,
        -5.617_574_345_402_758_5e-11,
        -5.635_010_147_787_33e-11,
        -5.632_965_453_057_200_6e-11,
        -5.633_896_691_327_584_6e-11,
        -5.634_258_922_444_977_7e-11,
        -5.613_663_704_480_953_4e-11,
        -5.623_407_139_377_881e-11,
    ],
];
static RECIPROCALS_F32: [f32; 16] = [
    -1.0, -0.937_5, -0.890_625, -0.843_75, -0.796_875, -0.765_625, -0.734_375, -0.703_125, -0.671_875, -0.640_625,
    -0.609_375, -0.593_75, -0.578_125, -0.546_875, -0.531_25, -0.515_625,
];
static LOGS_F32: [[f32; 16]; 2] = [
    [
        -88.029_51,
        -87.964_966,
        -87.913_68,
        -87.859_604,
        -87.802_46,
        -87.762_45,
        -87.720_78,
        -87.677_29,
        -87.631_82,
        -87.584_2,
        -87.534_195,
        -87.508_21,
        -87.481_55,
        -87.425_98,
        -87.396_99,
        -87.367_14,
    ],
    [
        -0.000_181_434_7,
        -0.000_187_591_3,
        -0.000_179_086_96,
        -0.000_189_014_11,
        -0.000_174_765_32,
        -0.000_177_975_63,
        -0.000_177_032_15,
        -0.000_179_469_05,
        -0.000_188_286_37,
        -0.000_182_918_05,
        -0.000_175_549_23,
        -0.000_185_780_6,
        -0.000_174_638_01,
        -0.000_177_296_62,
        -0.000_181_458_96,
        -0.000_174_687_23,
    ],
];

impl Logs for f64 {
    const RECIPROCALS: &'static [f64; 16] = &RECIPROCALS_F64;
    const LOGS: [&'static [f64; 16]; 2] = [&LOGS_F64[0], &LOGS_F64[1]];
    const LN2: (f64, f64) = (0.693_147_180_559_890_3, 5.497_923_018_708_502_4e-14);
    const MANTISSA: u32 = 52;
    const LARGE: f64 = 1_073_741_824.0;
    const LITTLE: f64 = 1.0 / 1_073_741_824.0;

    #[inline(always)]
    fn series<I: Isa>(isa: I, f: I::F64) -> I::F64 {
        poly::<f64, I, 9>(
            isa,
            f,
            [
                -0.5,
                0.333_333_333_333_323_6,
                -0.249_999_999_999_986_1,
                0.200_000_000_084_565_56,
                -0.166_666_666_767_387_7,
                0.142_856_913_337_917_42,
                -0.124_999_756_941_485_32,
                0.111_357_111_108_479_11,
                -0.100_239_832_962_614_72,
            ],
        )
    }
}

impl Logs for f32 {
    const RECIPROCALS: &'static [f32; 16] = &RECIPROCALS_F32;
    const LOGS: [&'static [f32; 16]; 2] = [&LOGS_F32[0], &LOGS_F32[1]];
    const LN2: (f64, f64) = (0.693_145_751_953_125, 1.428_619_725_629_687_3e-6);
    const MANTISSA: u32 = 23;
    const LARGE: f64 = 16_384.0;
    const LITTLE: f64 = 1.0 / 16_384.0;

    #[inline(always)]
    fn series<I: Isa>(isa: I, f: I::F32) -> I::F32 {
        poly::<f32, I, 4>(isa, f, [-0.499_999_94, 0.333_333_25, -0.250_226_05, 0.200_224_41])
    }
}

/// Computes `log((high + low) 2^more)` for positive normal `high` above 2^-1000 (f32: 2^-100) and |low| within some
/// units in the last place of `high`. The relative error is small even near 1, where `high - 1 + low` determines the
/// result.
///
/// high = m 2^e, and c is the table entry nearest to m. Then f = m / c - 1 is exact, and the logarithm is e log 2 + log
/// c + log(1 + f). Near 1, c is 1 and e is 0.
#[inline(always)]
pub(super) fn log_of_sum<T: Logs, I: Isa>(isa: I, high: T::V<I>, low: T::V<I>, more: Option<T::V<I>>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    // Half a sixteenth, as a difference of bits. It rounds: the bit fields of the sum select the nearest c.
    let half = c(1.0 + 1.0 / 32.0).int_sub(c(1.0));
    let near = high.int_add(half);
    let sixteenth = near.shr(T::MANTISSA - 4);
    // The biased exponent. `LOGS` compensates for the bias.
    let e = near.shr_mantissa().int_to_float();
    let e = more.map_or(e, |more| e.add(more));
    // The unbiased exponent, in the bit position of the exponent.
    let down = near.bit_and(c(f64::INFINITY)).int_sub(c(1.0));
    let minus_reciprocal = sixteenth.lookup(T::RECIPROCALS);
    let f = residual(isa, c(-1.0), high.int_sub(down), minus_reciprocal);
    let base = e.mul_add(c(T::LN2.0), sixteenth.lookup(T::LOGS[0]));
    let rest = e.mul_add(c(T::LN2.1), sixteenth.lookup(T::LOGS[1]));
    // Adds low / high. 1 / m is approximately (1 - f) / c.
    let low = low.mul(minus_reciprocal.int_sub(down));
    let rest = low.mul_add(f.sub(c(1.0)), rest);
    let (sum, error) = fast_two_sum(base, f);
    sum.add(f.mul(f).mul_add(T::series(isa, f), rest.add(error)))
}

/// Computes `log(2 x)` for x beyond `Logs::LARGE`.
#[inline(always)]
fn log_of_double<T: Logs, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    // The reciprocal of a quarter of the largest number is still normal.
    log_of_sum::<T, I>(isa, x.mul(all::<T, I>(isa, 0.25)), all::<T, I>(isa, 0.0), Some(all::<T, I>(isa, 3.0)))
}

/// The inverse hyperbolic sine: log(a + sqrt(a^2 + 1)) with the sign of x, where a is |x|. The argument of the
/// logarithm is a sum of two. 0.6 ULP (f32: 0.65).
pub(crate) struct Arcsinh;

impl<T: Logs> Function<T> for Arcsinh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let a = x.abs();
        let ordinary = all::<T, I>(isa, T::LITTLE).lt(a).and(a.lt(all::<T, I>(isa, T::LARGE)));
        if ordinary.all() { arcsinh::<T, I>(isa, a).copysign(x) } else { aside::<T, AnyArcsinh, I>(isa, x) }
    }
}

/// Computes the function between `Logs::LITTLE` and `Logs::LARGE`.
#[inline(always)]
fn arcsinh<T: Logs, I: Isa>(isa: I, a: T::V<I>) -> T::V<I> {
    let one = all::<T, I>(isa, 1.0);
    let s = a.mul_add(a, one);
    let root = s.sqrt();
    // The sum of a^2 + 1 - s, where 1 - s is exact, and s - root^2.
    let left = residual(isa, one.sub(s), a.neg(), a).add(residual(isa, s, root, root));
    let (high, error) = fast_two_sum(root, a);
    log_of_sum::<T, I>(isa, high, error.add(left.div(root.add(root))), None)
}

/// [`Arcsinh`] for all arguments.
struct AnyArcsinh;

impl<T: Logs> Function<T> for AnyArcsinh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let a = x.abs();
        let y = Bits::select(a.lt(c(T::LARGE)), arcsinh::<T, I>(isa, a), log_of_double::<T, I>(isa, a)).copysign(x);
        // For tiny x the sum of two is less precise by two roundings. The result is x.
        Bits::select(c(T::LITTLE).lt(a).and(a.lt(c(f64::INFINITY))), y, x)
    }
}

/// The inverse hyperbolic cosine: log(x + sqrt(x^2 - 1)), NaN below 1. The argument of the logarithm is a sum of two.
/// 0.55 ULP.
pub(crate) struct Arccosh;

impl<T: Logs> Function<T> for Arccosh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let ordinary = x.lt(all::<T, I>(isa, T::LARGE)).and(x.lt(all::<T, I>(isa, 1.0)).not());
        if ordinary.all() { arccosh::<T, I>(isa, x) } else { aside::<T, AnyArccosh, I>(isa, x) }
    }
}

/// Computes the function between 1 and `Logs::LARGE`.
#[inline(always)]
fn arccosh<T: Logs, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    let square = x.mul(x);
    let (s, s_low) = fast_two_sum(square, all::<T, I>(isa, -1.0));
    let (s, s_low) = fast_two_sum(s, s_low.add(x.product_error(x, square)));
    let root = s.sqrt();
    let left = residual(isa, s, root, root).add(s_low);
    let (high, error) = fast_two_sum(x, root);
    // The lower bound avoids 0 / 0.
    let double = root.add(root).max(all::<T, I>(isa, f64::from(f32::MIN_POSITIVE)));
    log_of_sum::<T, I>(isa, high, error.add(left.div(double)), None)
}

/// [`Arccosh`] for all arguments.
struct AnyArccosh;

impl<T: Logs> Function<T> for AnyArccosh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let y = Bits::select(x.lt(c(T::LARGE)), arccosh::<T, I>(isa, x), log_of_double::<T, I>(isa, x));
        let y = Bits::select(x.lt(c(f64::INFINITY)), y, x);
        Bits::select(x.lt(c(1.0)), c(f64::NAN), y)
    }
}

/// The inverse hyperbolic tangent: log((1 + a) / (1 - a)) / 2 with the sign of x, where a is |x|. Infinite at 1, NaN
/// beyond. The quotient is a sum of two. 0.6 ULP.
pub(crate) struct Arctanh;

impl<T: Logs> Function<T> for Arctanh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let a = x.abs();
        let ordinary = all::<T, I>(isa, T::LITTLE).lt(a).and(a.lt(all::<T, I>(isa, 1.0)));
        if ordinary.all() { arctanh::<T, I>(isa, a).copysign(x) } else { aside::<T, AnyArctanh, I>(isa, x) }
    }
}

/// Computes the function between `Logs::LITTLE` and 1.
#[inline(always)]
fn arctanh<T: Logs, I: Isa>(isa: I, a: T::V<I>) -> T::V<I> {
    let (one, half) = (all::<T, I>(isa, 1.0), all::<T, I>(isa, 0.5));
    let (n, d) = (one.add(a), one.sub(a));
    let high = n.div(d);
    let (n_low, d_low) = (a.sub(n.sub(one)), one.sub(d).sub(a));
    let left = residual(isa, n, high, d).add(high.neg_mul_add(d_low, n_low));
    // 1 / (1 - a) is (high + 1) / 2.
    let low = left.mul(high.mul_add(half, half));
    log_of_sum::<T, I>(isa, high, low, None).mul(half)
}

/// [`Arctanh`] for all arguments.
struct AnyArctanh;

impl<T: Logs> Function<T> for AnyArctanh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let a = x.abs();
        let end = Bits::select(a.eq(c(1.0)), c(f64::INFINITY), c(f64::NAN)).copysign(x);
        let y = Bits::select(a.lt(c(1.0)), arctanh::<T, I>(isa, a).copysign(x), end);
        Bits::select(a.lt(c(T::LITTLE)).or(a.eq(c(T::LITTLE))), x, y)
    }
}
