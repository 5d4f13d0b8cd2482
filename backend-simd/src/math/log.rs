//! log, log2, log10, log1p, and their parts that pow uses.
//!
//! x = m 2^e with m in [0.703, 1.406). m lies in one of 16 cells of equal width in its bits. Tables in registers give
//! c, near 1/m, and -log(c) for each cell. Then log(x) = e log(2) - log(c) + log(1 + r) with r = m c - 1, |r| < 1/32,
//! and log(1 + r) is a polynomial. In the cell around 1, c is 1 and r is exact, so that the relative error stays small.
//! In the adjacent cells c is 33/32 or 15/16, so short that r is exact where it makes up half of the result. In the
//! other cells c is chosen such that -log(c) is nearly a multiple of 2^-42 (f32: 2^-16), as is the first part of
//! log(2). Then e log(2) - log(c) is exact (S. Gal and B. Bachelis, ACM Trans. Math. Softw. 17, 1991). Tables and
//! minimax coefficients (Remez exchange, with errors relative to r) were computed in 50 digits.

use super::exp::cubic;
use super::{Function, all, fast_two_sum, poly, two_sum};
use crate::lanes::{Bits, Exponents, Float, Isa, Lanes, Mask, Numbers, Real};

/// The logarithms to one base: of 2 and of 1/c, in two parts. The first part is a multiple of 2^-42 (f32: 2^-16).
pub(super) struct Base<T: 'static> {
    pub two: [f64; 2],
    pub log: &'static [T; 16],
    pub low: &'static [T; 16],
}

/// The constants and polynomials of each float type.
pub(super) trait Logarithm: Real {
    /// The lower end of the cells.
    const START: f64;
    /// The number of bits below the cell number, and below the exponent.
    const SHIFT: [u32; 2];
    /// The smallest normal number; the largest number; 2^k that makes subnormal numbers normal; k; a power with which
    /// every number except 1 overflows or underflows; a power up to which its product with every logarithm can still be
    /// reduced by multiples of ln(2).
    const LIMITS: [f64; 6];
    /// 1 / ln(2) and 1 / ln(10), in two parts.
    const FACTORS: [[f64; 2]; 2];
    const INVERSE: &'static [Self; 16];
    const E: Base<Self>;
    const TWO: Base<Self>;
    const TEN: Base<Self>;
    fn find<I: Isa>(cell: Self::V<I>, table: &'static [Self; 16]) -> Self::V<I>;
    /// Returns the second part of -log(c): `low` of `E`, to the precision that a result needs.
    fn find_low<I: Isa>(cell: Self::V<I>) -> Self::V<I>;
    /// Computes (log(1 + r) - r) / r^2; u is r^2.
    fn log_rest<I: Isa>(isa: I, r: Self::V<I>, u: Self::V<I>) -> Self::V<I>;
    /// Computes log((1 + s) / (1 - s)) / s - 2 from z = s^2 up to 1/25.
    fn quotient_rest<I: Isa>(isa: I, z: Self::V<I>) -> Self::V<I>;
    /// Computes (log(1 + r) - r + r^2 / 2) / r^3.
    fn pow_rest<I: Isa>(isa: I, r: Self::V<I>, u: Self::V<I>) -> Self::V<I>;
}
const INVERSE_F32: [f32; 16] = [
    1.3889346, 1.33066, 1.2806208, 1.2352309, 1.1883451, 1.1475033, 1.1025164, 1.0640885, 1.03125, 1.0, 0.9375,
    0.8867353, 0.84178895, 0.8002678, 0.7610966, 0.7265316,
];
const LOG_F32: [f32; 16] = [
    -0.328537,
    -0.28567505,
    -0.24734497,
    -0.21125793,
    -0.17256165,
    -0.1375885,
    -0.097595215,
    -0.06211853,
    -0.030776978,
    0.0,
    0.06454468,
    0.12020874,
    0.17222595,
    0.22280884,
    0.272995,
    0.31947327,
];
const LOG_LOW_F32: [f32; 16] = [
    3.7127974e-11,
    -5.5331094e-11,
    -9.3969485e-11,
    2.682703e-11,
    -1.354598e-10,
    -1.3998225e-10,
    -2.1876002e-10,
    1.5669994e-10,
    5.3188724e-06,
    0.0,
    -6.156597e-06,
    -3.6767287e-11,
    8.895198e-11,
    -4.0994187e-11,
    1.3249776e-10,
    -2.5093065e-11,
];
const LOG2_F32: [f32; 16] = [
    -0.47398376,
    -0.4121399,
    -0.35684204,
    -0.30477905,
    -0.24894714,
    -0.19850159,
    -0.14079285,
    -0.08961487,
    -0.044387817,
    0.0,
    0.09310913,
    0.1734314,
    0.24847412,
    0.32144165,
    0.3938446,
    0.46090698,
];
const LOG2_LOW_F32: [f32; 16] = [
    5.0823687e-06,
    -2.0837517e-06,
    -1.3217422e-06,
    -1.72178e-06,
    -6.6868624e-06,
    3.3386698e-06,
    -7.2861053e-06,
    -3.2271826e-06,
    -6.3019756e-06,
    0.0,
    2.735321e-07,
    -6.84313e-06,
    -4.5938887e-06,
    3.5550413e-06,
    3.921342e-06,
    -4.4850353e-06,
];
const LOG10_F32: [f32; 16] = [
    -0.14268494,
    -0.124069214,
    -0.107421875,
    -0.0917511,
    -0.07493591,
    -0.059753418,
    -0.042388916,
    -0.026977539,
    -0.013366699,
    0.0,
    0.028030396,
    0.052200317,
    0.074798584,
    0.09677124,
    0.11856079,
    0.13874817,
];
const LOG10_LOW_F32: [f32; 16] = [
    3.135852e-06,
    2.1165197e-06,
    1.3190563e-06,
    2.9434023e-06,
    -6.6574053e-06,
    -5.088395e-07,
    3.8526537e-06,
    -1.9579115e-07,
    2.7376607e-06,
    0.0,
    -1.6719076e-06,
    5.6751614e-06,
    -1.8032871e-06,
    -6.591437e-06,
    -5.7099146e-07,
    -2.6921555e-06,
];
const INVERSE_F64: [f64; 16] = [
    1.3918997943401337,
    1.3281374275684357,
    1.2846960723400116,
    1.2317866384983063,
    1.1894353926181793,
    1.1459992825984955,
    1.1053385436534882,
    1.0601729452610016,
    1.03125,
    1.0,
    0.9375,
    0.8909852206707001,
    0.8425507098436356,
    0.7976308315992355,
    0.7652399688959122,
    0.7250245809555054,
];
const LOG_F64: [f64; 16] = [
    -0.3306695724963902,
    -0.28377753031486463,
    -0.2505221707922374,
    -0.2084656670763252,
    -0.17347873454696128,
    -0.13627699228754864,
    -0.10015166239372775,
    -0.05843205072210367,
    -0.03077165866670839,
    0.0,
    0.0645385211375924,
    0.11542743899940433,
    0.17132142884156565,
    0.226109405616171,
    0.2675658095131439,
    0.32154971993600157,
];
const LOG_LOW_F64: [f64; 16] = [
    -4.5298126047361053e-14,
    -4.388012327786565e-19,
    -2.1225520979372527e-14,
    -5.737074564336044e-20,
    8.206934399865734e-19,
    -1.6157883292640109e-19,
    2.186337405181886e-21,
    2.4103797465613083e-19,
    -4.529814257790929e-14,
    0.0,
    -2.1225608044809997e-14,
    1.378271371440138e-20,
    9.792827972795356e-20,
    -4.2852008405907964e-19,
    3.4547177530945803e-19,
    -1.418037905452776e-19,
];
const LOG2_F64: [f64; 16] = [
    -0.4770553524135721,
    -0.4094044357009352,
    -0.36142709343471324,
    -0.30075238408653604,
    -0.2502769100306068,
    -0.19660614096051177,
    -0.14448830667220136,
    -0.08429962980585515,
    -0.04439411935845783,
    0.0,
    0.09310940439149817,
    0.1665265938270295,
    0.24716457578779227,
    0.3262069181807874,
    0.3860158664961091,
    0.46389818635088886,
];
const LOG2_LOW_F64: [f64; 16] = [
    9.10860081248095e-14,
    -3.747751072860597e-14,
    -1.615388167602903e-14,
    -8.796237153181719e-14,
    1.2886238665941607e-14,
    1.8336630881956484e-15,
    -1.5350205234175846e-14,
    1.0381296968897371e-13,
    4.390985973169353e-15,
    0.0,
    -1.6703260328550802e-14,
    -7.554106970736938e-14,
    -5.4085378141185893e-14,
    1.3618720997035022e-14,
    -5.5344144561324617e-14,
    1.564699883365989e-14,
];
const LOG10_F64: [f64; 16] = [
    -0.1436079706684268,
    -0.12324301550393102,
    -0.10880039636958827,
    -0.09053548887754914,
    -0.07534085714132743,
    -0.05918434576074105,
    -0.04349531433103948,
    -0.025376717194831144,
    -0.013363961558070514,
    0.0,
    0.02802872360030051,
    0.0501294998175581,
    0.0744039511776009,
    0.09819806716564017,
    0.11620235461759876,
    0.1396472690257724,
];
const LOG10_LOW_F64: [f64; 16] = [
    -8.242578686140172e-14,
    5.254325438703219e-14,
    8.635382952367132e-14,
    2.0711362685468846e-14,
    2.3131289274342838e-14,
    -1.1332779777813194e-13,
    6.098999477495315e-15,
    -6.939983907394393e-14,
    8.901202535016551e-14,
    0.0,
    -5.697035970961075e-14,
    1.0740963416155874e-13,
    7.167607095479038e-14,
    -1.1296983197252838e-13,
    -6.375651969618797e-14,
    -3.087720532469215e-14,
];

/// The second parts of the logarithms of the first 8 cells, and of the other 8. The values c of cells i and i + 8 were
/// chosen such that both share one entry.
const SHARED_LOW_F64: [f64; 8] = [-4.529814257790929e-14, 0.0, -2.1225608044809997e-14, 0.0, 0.0, 0.0, 0.0, 0.0];

impl Logarithm for f32 {
    const START: f64 = 0.703_125;
    const SHIFT: [u32; 2] = [19, 23];
    const LIMITS: [f64; 6] =
        [1.1754943508222875e-38, 3.4028234663852886e38, 33_554_432.0, 25.0, 17_179_869_184.0, 1024.0];
    const FACTORS: [[f64; 2]; 2] = [[1.442695, 1.925963e-08], [0.4342945, -1.010305e-08]];
    const INVERSE: &'static [f32; 16] = &INVERSE_F32;
    const E: Base<f32> = Base { two: [0.69314575, 1.4286068e-06], log: &LOG_F32, low: &LOG_LOW_F32 };
    const TWO: Base<f32> = Base { two: [1.0, 0.0], log: &LOG2_F32, low: &LOG2_LOW_F32 };
    const TEN: Base<f32> = Base { two: [0.3010254, 4.605039e-06], log: &LOG10_F32, low: &LOG10_LOW_F32 };
    #[inline(always)]
    fn find<I: Isa>(cell: I::F32, table: &'static [f32; 16]) -> I::F32 {
        cell.lookup(table)
    }
    #[inline(always)]
    fn find_low<I: Isa>(cell: I::F32) -> I::F32 {
        cell.lookup(&LOG_LOW_F32)
    }
    #[inline(always)]
    fn log_rest<I: Isa>(isa: I, r: I::F32, u: I::F32) -> I::F32 {
        // Error 2^-30.6 of log(1 + r).
        let c = [-0.499_999_94, 0.333_332_75, -0.250_211_78, 0.200_984_27];
        cubic::<f32, I>(isa, r, u, c).mul(all::<f32, I>(isa, c[3]))
    }
    #[inline(always)]
    fn quotient_rest<I: Isa>(isa: I, z: I::F32) -> I::F32 {
        // Error 2^-28.3 of the logarithm.
        poly::<f32, I, 3>(isa, z, [0.666_669_5, 0.399_578_27, 0.303_605_65]).mul(z)
    }
    #[inline(always)]
    fn pow_rest<I: Isa>(isa: I, r: I::F32, _: I::F32) -> I::F32 {
        // Error 2^-35.8 of log(1 + r).
        poly::<f32, I, 4>(isa, r, [0.333_333_28, -0.249_999_39, 0.200_201_1, -0.167_571_87])
    }
}

impl Logarithm for f64 {
    const START: f64 = 0.703_125;
    const SHIFT: [u32; 2] = [48, 52];
    const LIMITS: [f64; 6] =
        [f64::MIN_POSITIVE, f64::MAX, 18_014_398_509_481_984.0, 54.0, 36_893_488_147_419_103_232.0, 1_073_741_824.0];
    const FACTORS: [[f64; 2]; 2] =
        [[1.4426950408889634, 2.0355273740931033e-17], [0.4342944819032518, 1.098319650216765e-17]];
    const INVERSE: &'static [f64; 16] = &INVERSE_F64;
    const E: Base<f64> = Base { two: [0.6931471805598903, 5.497923018708371e-14], log: &LOG_F64, low: &LOG_LOW_F64 };
    const TWO: Base<f64> = Base { two: [1.0, 0.0], log: &LOG2_F64, low: &LOG2_LOW_F64 };
    const TEN: Base<f64> =
        Base { two: [0.3010299956640665, -8.532344317057107e-14], log: &LOG10_F64, low: &LOG10_LOW_F64 };
    #[inline(always)]
    fn find<I: Isa>(cell: I::F64, table: &'static [f64; 16]) -> I::F64 {
        cell.lookup(table)
    }
    #[inline(always)]
    fn find_low<I: Isa>(cell: I::F64) -> I::F64 {
        cell.lookup(&SHARED_LOW_F64)
    }
    #[inline(always)]
    fn log_rest<I: Isa>(isa: I, r: I::F64, u: I::F64) -> I::F64 {
        // Error 2^-55.8 of log(1 + r). Two cubics: c7 u^2 / c3 times the second is added to the first.
        let [c0, c1, c2, c3, c4, c5, c6, c7] = [
            -0.4999999999999965,
            0.3333333333332025,
            -0.25000000004843875,
            0.2000000008959316,
            -0.16666649296675534,
            0.1428553793271077,
            -0.1252285913061759,
            0.11222375941123787,
        ];
        let c = |v: f64| all::<f64, I>(isa, v);
        let low = cubic::<f64, I>(isa, r, u, [c0, c1, c2, c3]);
        let high = cubic::<f64, I>(isa, r, u, [c4, c5, c6, c7]);
        u.mul(c(c7 / c3)).mul(u).mul_add(high, low).mul(c(c3))
    }
    #[inline(always)]
    fn quotient_rest<I: Isa>(isa: I, z: I::F64) -> I::F64 {
        // Error 2^-55.8 of the logarithm. This is c6 times the polynomial with the lower coefficients
        // 0.666666666666727, 0.3999999999616453, 0.2857142939482244, 0.22222138535731348, 0.181863548249083 and
        // 0.15250210727003016, in the form with three multiplications (D. Knuth, TAOCP 2, 4.6.4). The additions run on
        // execution units that are idle otherwise.
        let c6 = 0.15368037225874684;
        let c = |v: f64| all::<f64, I>(isa, v);
        let a = z.add(c(1.383466391697658)).mul_add(z, c(1.8211530965854368));
        let b = z.add(c(-1.3872998838066335)).mul_add(a, c(4.517698280099291));
        let whole = b.add(a.add(c(-4.254900698535067))).mul_add(b, c(5.219188846080529));
        z.mul(c(c6)).mul(whole)
    }
    #[inline(always)]
    fn pow_rest<I: Isa>(isa: I, r: I::F64, u: I::F64) -> I::F64 {
        // Error 2^-66.8 of log(1 + r).
        let [c0, c1, c2, c3, c4, c5, c6, c7, c8] = [
            0.33333333333333337,
            -0.24999999999998995,
            0.199999999999563,
            -0.1666666667454749,
            0.142857144466459,
            -0.12499979400138891,
            0.11110884164439913,
            -0.1002205267386262,
            0.09205748910543479,
        ];
        let c = |v: f64| all::<f64, I>(isa, v);
        let high = cubic::<f64, I>(isa, r, u, [c5, c6, c7, c8]);
        let high = u.mul(c(c8)).mul_add(high, r.mul_add(c(c4), c(c3)));
        let low = r.mul_add(r.mul_add(c(c2), c(c1)), c(c0));
        u.mul(r).mul_add(high, low)
    }
}

/// The parts of x = m 2^e, with its cell and the cell's c.
pub(super) struct Split<V> {
    pub cell: V,
    pub e: V,
    pub m: V,
    pub inverse: V,
}

/// Splits positive normal x.
#[inline(always)]
pub(super) fn split<T: Logarithm, I: Isa>(isa: I, x: T::V<I>) -> Split<T::V<I>> {
    let from_start = x.int_sub(all::<T, I>(isa, T::START));
    let cell = from_start.shr(T::SHIFT[0]);
    // In minus infinity exactly the bits above the mantissa are set.
    let m = x.int_sub(from_start.bit_and(all::<T, I>(isa, f64::NEG_INFINITY)));
    Split { cell, e: from_start.sar(T::SHIFT[1]).int_to_float(), m, inverse: T::find::<I>(cell, T::INVERSE) }
}

impl<V: Float> Split<V> {
    /// Returns m c - 1, with the product rounded, and the rounding error of the product.
    #[inline(always)]
    pub(super) fn r<T: Real, I: Isa>(&self, isa: I) -> (V, V)
    where
        V: Lanes<Isa = I, Elem = T>,
    {
        let product = self.m.mul(self.inverse);
        (product.sub(V::splat(isa, T::ONE)), self.m.product_error(self.inverse, product))
    }
}

/// Returns a vector whose sign bit is set where x is not positive and normal.
#[inline(always)]
pub(super) fn unusual<T: Logarithm, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    // As signed integers, x - min or max - x is negative for zero, subnormal numbers, infinity, NaN and all numbers
    // with a sign.
    x.int_sub(all::<T, I>(isa, T::LIMITS[0])).bit_or(all::<T, I>(isa, T::LIMITS[1]).int_sub(x))
}

/// Returns x if it is normal, otherwise x times a power of two, and the exponent of that power, which the caller
/// subtracts.
#[inline(always)]
pub(super) fn normalise<T: Logarithm, I: Isa>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let subnormal = x.lt(c(T::LIMITS[0]));
    (Bits::select(subnormal, x.mul(c(T::LIMITS[2])), x), Bits::select(subnormal, c(T::LIMITS[3]), c(0.0)))
}

/// A logarithm, for positive and for all other arguments.
trait Kind<T: Logarithm> {
    /// Computes the logarithm of positive normal x. `scaled` is subtracted from the exponent of x.
    fn log<I: Isa>(isa: I, x: T::V<I>, scaled: Option<T::V<I>>) -> T::V<I>;

    /// Computes one vector of any arguments, on the fast path if possible.
    #[inline(always)]
    fn one<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        if unusual::<T, I>(isa, x).any_sign() { Self::special::<I>(isa, x) } else { Self::log::<I>(isa, x, None) }
    }

    /// Computes one vector, valid for all arguments.
    #[inline(always)]
    fn special<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let (normal, scaled) = normalise::<T, I>(isa, x);
        x.log_or_special(isa, Self::log::<I>(isa, normal, Some(scaled)))
    }
}

/// The natural logarithm, without a table: with f = m - 1 and s = f / (2 + f), m in [3/4, 3/2), log(1 + f) = f - s (f -
/// R(s^2)) (fdlibm's e_log.c). The division costs no more than the tables and two-part sums that it replaces. At most
/// 0.9 ULP.
pub(crate) struct Log;

/// Computes log(m 2^e).
#[inline(always)]
fn natural<T: Logarithm, I: Isa>(isa: I, m: T::V<I>, e: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let f = m.sub(c(1.0));
    let d = m.add(c(1.0));
    let s = f.div(d);
    let z = s.mul(s);
    let rest = f.sub(T::quotient_rest(isa, z));
    let e_low = e.mul(c(-T::E.two[1]));
    let low = if I::FUSED {
        f.sub(s.mul_add(rest, e_low))
    } else {
        // The product is rounded as well here. The rounding error of d is corrected with 1 / d approximated by 1/2.
        let lost = m.sub(d.sub(c(1.0))).mul(c(0.5));
        let product = s.mul(rest);
        f.sub(product.add(e_low.add(s.product_error(rest, product)).sub(product.mul(lost))))
    };
    e.mul_add(c(T::E.two[0]), low)
}

impl<T: Logarithm> Function<T> for Log {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        if I::SPLITS_SUBNORMALS {
            let (m, e) = x.split(isa);
            return x.log_or_special(isa, natural::<T, I>(isa, m, e));
        }
        if unusual::<T, I>(isa, x).any_sign() {
            let (normal, scaled) = normalise::<T, I>(isa, x);
            let (m, e) = normal.split(isa);
            return x.log_or_special(isa, natural::<T, I>(isa, m, e.sub(scaled)));
        }
        let (m, e) = x.split(isa);
        natural::<T, I>(isa, m, e)
    }
}

/// Computes the logarithm to base 10 if `TEN`, otherwise to base 2. Products of the base's factor with r are in two
/// parts. `scaled` is subtracted from the exponent of x.
#[inline(always)]
fn other<T: Logarithm, I: Isa, const TEN: bool>(isa: I, x: T::V<I>, scaled: Option<T::V<I>>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (base, [factor, factor_low]) = if TEN { (T::TEN, T::FACTORS[1]) } else { (T::TWO, T::FACTORS[0]) };
    let s = split::<T, I>(isa, x);
    let e = scaled.map_or(s.e, |k| s.e.sub(k));
    let (r, r_low) = s.r::<T, I>(isa);
    let (r, r_low) = fast_two_sum(r, r_low);
    let u = r.mul(r);
    let rest = u.mul_add(T::log_rest(isa, r, u), r_low);
    let product = r.mul(c(factor));
    let low = r.product_error(c(factor), product);
    let low = rest.mul_add(c(factor), r.mul_add(c(factor_low), low));
    let low = low.add(e.mul_add(c(base.two[1]), T::find::<I>(s.cell, base.low)));
    let (high, left) = fast_two_sum(e.mul_add(c(base.two[0]), T::find::<I>(s.cell, base.log)), product);
    high.add(left.add(low))
}

/// The logarithm to base 2. At most 0.6 ULP.
pub(crate) struct Log2;

impl<T: Logarithm> Kind<T> for Log2 {
    #[inline(always)]
    fn log<I: Isa>(isa: I, x: T::V<I>, scaled: Option<T::V<I>>) -> T::V<I> {
        other::<T, I, false>(isa, x, scaled)
    }
}

/// The logarithm to base 10. At most 0.6 ULP.
pub(crate) struct Log10;

impl<T: Logarithm> Kind<T> for Log10 {
    #[inline(always)]
    fn log<I: Isa>(isa: I, x: T::V<I>, scaled: Option<T::V<I>>) -> T::V<I> {
        other::<T, I, true>(isa, x, scaled)
    }
}

/// log(1 + x), precise near 0. At most 0.6 ULP.
pub(crate) struct Log1p;

/// Computes log(x + 1) for x > -1, with the sum in two parts.
#[inline(always)]
fn log1p<T: Logarithm, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (sum, sum_low) = two_sum(x, c(1.0));
    let s = split::<T, I>(isa, sum);
    let (r, r_low) = s.r::<T, I>(isa);
    // The rounding error of the sum, scaled in the same way as m.
    let lost = s.inverse.mul(sum_low.scale(isa, s.e.neg())).add(r_low);
    let (r, r_low) = fast_two_sum(r, lost);
    let u = r.mul(r);
    let high = s.e.mul_add(c(T::E.two[0]), T::find::<I>(s.cell, T::E.log));
    let (high, left) = two_sum(high, r);
    let left = left.add(r_low.add(T::find_low::<I>(s.cell)));
    high.add(u.mul_add(T::log_rest(isa, r, u), s.e.mul_add(c(T::E.two[1]), left)))
}

macro_rules! function {
    ($T:ident $($Name:ident),*) => { $(
        impl Function<$T> for $Name {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                <Self as Kind<$T>>::one::<I>(isa, x)
            }
        } )*

        impl Function<$T> for Log1p {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let c = |v: f64| all::<$T, I>(isa, v);
                let y = log1p::<$T, I>(isa, x);
                let y = Bits::select(x.eq(c(-1.0)), c(f64::NEG_INFINITY), y);
                let y = Bits::select(x.lt(c(-1.0)), c(f64::NAN), y);
                // Zero keeps its sign, and the result of tiny numbers is x.
                let same = x.unordered(x)
                    .or(x.eq(c(f64::INFINITY)))
                    .or(x.abs().lt(c(if size_of::<$T>() == 4 { 2.98e-8 } else { 5.5e-17 })));
                Bits::select(same, x, y)
            }
        }
    };
}
function!(f32 Log2, Log10);
function!(f64 Log2, Log10);
