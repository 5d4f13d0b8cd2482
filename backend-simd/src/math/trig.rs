//! sin, cos, tan, and the reduction of their arguments.

use super::{Function, all, aside, fast_two_sum, poly, two_sum};
use crate::lanes::{Bits, Float, Isa, Mask, Numbers, Real};
use std::f64::consts::{FRAC_1_PI, PI};

/// f64 arguments beyond this are reduced by [`turns`].
const LARGE: f64 = 1_048_576.0;

/// The bits of 1/pi from weight 2^52 down, after multiplication by 2^(20 + 32 i), truncated to four pieces of 53 bits
/// each. Computed from 1400 bits of 1/pi.
#[rustfmt::skip]
const INV_PI_PARTS: [[f64; 32]; 4] = [
    [
        333772.0, 1433540284805664.0, 5192034185896250.0, 4469767072098726.0,
        4408659073751828.0, 1929731705004572.0, 2781886859440779.0, 4488803957798366.0,
        8714583855184163.0, 3862736581825134.0, 5086815769866825.0, 55291115753100.0,
        4589965260878063.0, 2235235616262477.0, 1558339661546513.0, 6548767216596442.0,
        2662854560271587.0, 2054864846037755.0, 6090177492143246.0, 2758188030761625.0,
        3406947636536354.0, 1376738820878281.0, 8426421996814276.0, 7036619940884524.0,
        8708324300126584.0, 8859282935828563.0, 7547406056647091.0, 7716046026391128.0,
        7105423399877169.0, 7452704481014527.0, 5896677930805565.0, 3282307796393775.0,
    ],
    [
        0.10721505448719837, 0.6613751190585037, 0.7443796188872754, 0.929792110965344,
        0.6749554938888307, 0.5080558385501452, 0.11473023103740487, 0.16817814936968767,
        0.4446116943354361, 0.5898467473373908, 0.46606913501537384, 0.5660391411155584,
        0.3472524465123259, 0.2264292281321667, 0.6861795098849629, 0.14122467569651187,
        0.5047246804333901, 0.9454620216727537, 0.6945206285014538, 0.811109789411027,
        0.9858083597517612, 0.2572173934313431, 0.7499837979562453, 0.7519451064402844,
        0.5482607082021623, 0.4100862564432405, 0.9627875295243288, 0.3036266681694604,
        0.9812766908011513, 0.3180490280121807, 0.8369044772224253, 0.5462937489644315,
    ],
    [
        1.7062327008019994e-17, 2.2927069970777567e-17, 4.2754155006569136e-17, 2.9301000419303614e-17,
        3.529700025269019e-17, 8.143270010940694e-17, 1.5799244057909637e-17, 3.375066322054402e-17,
        3.17381792036366e-17, 9.088682709761073e-17, 1.2975040554047246e-17, 1.8064240924936396e-17,
        5.646992094363711e-17, 8.121439852417421e-17, 6.784420706871995e-17, 4.1413566479217e-17,
        6.324663669461777e-17, 3.60936925849332e-17, 5.740773570274804e-17, 1.0805469027101847e-16,
        1.0781035264821278e-16, 2.4260078053677246e-18, 2.0412722115273533e-17, 4.521669836321943e-18,
        2.3633590068117322e-17, 8.805367604048564e-17, 3.046506605421719e-17, 4.159639478717547e-17,
        1.722997311651361e-17, 9.972200440351425e-17, 3.1339659233910274e-18, 3.581071615149694e-17,
    ],
    [
        1.3203760130770594e-33, 1.903444230497925e-33, 3.0713643030849664e-33, 5.962760240966509e-33,
        2.6429916211927995e-33, 3.480540589168771e-33, 3.783171659942614e-35, 3.1405816754749447e-33,
        7.692386093754362e-33, 7.229235086991099e-33, 1.0643824183287837e-32, 7.984974848420458e-33,
        7.568971404630833e-33, 1.0330044360713909e-32, 1.887228833899099e-33, 2.331128169488993e-33,
        7.104978749516251e-33, 5.765591896430031e-33, 4.81465074081976e-33, 1.2121453101633818e-32,
        1.2224743191665923e-32, 5.164144783601265e-33, 1.1442508755360197e-32, 1.1024703799883635e-32,
        1.1262323158129164e-32, 1.019764658817972e-32, 8.408821952179765e-33, 1.2204968432168841e-32,
        4.989532154811314e-33, 1.1617706279898001e-32, 3.731380505727172e-33, 1.730641856633151e-33,
    ],
];

/// pi minus the float nearest to it.
const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;

/// pi in four parts: three of 33 bits, whose products with integers below 2^20 are exact, and the rest.
const PI_33: [f64; 4] =
    [3.141_592_653_468_251_2, 1.215_420_101_260_793_2e-10, 4.044_532_497_422_333e-21, 1.695_685_532_073_78e-31];

/// An argument minus a multiple of pi: `high - minus_low`. The lowest bit of `multiple` is set if the multiple is odd.
#[derive(Clone, Copy)]
struct Reduced<V> {
    high: V,
    minus_low: V,
    multiple: V,
}

/// The constants of sin and cos for a float type.
///
/// sin(r) = r g(r^2), and g(z) = g(c) + (z - c) s(z) on |r| <= pi/2. The centre c was searched such that g(c) and s(c)
/// are almost exactly floats, because their rounding errors would add to the result's. The coefficients of s, in z - c,
/// are Remez coefficients for the relative error of the sine. They were rounded and refitted one by one.
trait Circle: Real {
    /// 1.5 times the power of two from which on all floats are integers.
    const MAGIC: f64;
    /// Larger arguments need another reduction. Beyond this, rounding errors of the multiple can leave more than half a
    /// turn.
    const LARGE: f64;
    /// pi in three parts. Signed zeros require the first two to be positive. An argument minus a multiple of the first
    /// part is exact with FMA.
    const PI: [f64; 3];
    /// Whether the second part is so short that its products with the multiple's factor are exact.
    const SHORT: bool;
    const CENTRE: f64;
    const VALUE: f64;
    /// Computes s at c + y.
    fn slope<I: Isa>(isa: I, y: Self::V<I>) -> Self::V<I>;
}

impl Circle for f32 {
    const MAGIC: f64 = 12_582_912.0;
    const LARGE: f64 = 65_536.0;
    const PI: [f64; 3] = [3.141592502593994, 1.5099580252808664e-07, -3.4302490200117637e-15];
    const SHORT: bool = false;
    const CENTRE: f64 = 1.557_922_363_281_25;
    const VALUE: f64 = 0.759_838_044_643_402_1;

    /// Error 2^-31 of the sine.
    #[inline(always)]
    fn slope<I: Isa>(isa: I, y: I::F32) -> I::F32 {
        poly::<f32, I, 5>(
            isa,
            y,
            [
                -0.142_105_057_835_578_92,
                0.007_445_197_552_442_551,
                -0.000_181_835_785_042_494_54,
                2.565_292_788_858_642e-6,
                -2.423_005_085_461_227_3e-8,
            ],
        )
    }
}

impl Circle for f64 {
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const LARGE: f64 = LARGE;
    const PI: [f64; 3] = [PI, 1.224646799076922e-16, 7.0431197303664e-27];
    const SHORT: bool = true;
    const CENTRE: f64 = 1.672_947_692_871_093_8;
    const VALUE: f64 = 0.743_590_593_508_816_1;

    /// Error 2^-60 of the sine.
    #[inline(always)]
    fn slope<I: Isa>(isa: I, y: I::F64) -> I::F64 {
        poly::<f64, I, 8>(
            isa,
            y,
            [
                -0.140_399_487_557_071_82,
                0.007_382_652_507_207_536,
                -0.000_180_658_233_218_839_68,
                2.552_795_594_212_617_4e-6,
                -2.348_436_816_524_444e-8,
                1.518_522_057_191_17e-10,
                -7.279_052_078_860_252e-13,
                2.713_292_955_233_927e-15,
            ],
        )
    }
}

/// The numbers that are subtracted from an argument: multiples of pi for `SIN`, odd multiples of pi/2 for `COS`, and
/// multiples of pi/2 for `TAN`.
const SIN: u8 = 0;
const COS: u8 = 1;
const TAN: u8 = 2;

/// The step between these multiples, in units of pi.
const fn step(of: u8) -> f64 {
    if of == TAN { 0.5 } else { 1.0 }
}

/// Returns the number of steps to subtract, and bits as in [`Reduced`].
#[inline(always)]
fn nearest<T: Circle, I: Isa, const OF: u8>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    if OF == COS {
        let multiple = x.mul_add(c(FRAC_1_PI), c(0.5)).add(c(T::MAGIC));
        (multiple.sub(c(T::MAGIC)).sub(c(0.5)), multiple)
    } else {
        let multiple = x.mul_add(c(FRAC_1_PI / step(OF)), c(T::MAGIC));
        (multiple.sub(c(T::MAGIC)), multiple)
    }
}

/// Cody and Waite's reduction for `|x| <= T::LARGE`.
#[inline(always)]
fn reduce<T: Circle, I: Isa, const OF: u8>(isa: I, x: T::V<I>) -> Reduced<T::V<I>> {
    let c = |v: f64| all::<T, I>(isa, v);
    let part = |i: usize| c(T::PI[i] * step(OF));
    let short_part = |i: usize| c(PI_33[i] * step(OF));
    let (n, multiple) = nearest::<T, I, OF>(isa, x);
    if I::FUSED {
        // The difference is exact, because both operands are multiples of the last bit of pi and nearly equal. The
        // exception is the cosine of a small argument, whose last bits go to the low part.
        let first = n.neg_mul_add(part(0), x);
        let lost = if OF == COS { Some(n.neg_mul_add(part(0), first.neg()).add(x)) } else { None };
        let second = n.mul(part(1));
        let high = first.sub(second);
        let minus_low = second.sub(first.sub(high));
        let minus_low = if T::SHORT { minus_low } else { minus_low.sub(n.neg_mul_add(part(1), second)) };
        let minus_low = n.mul_add(part(2), minus_low);
        let minus_low = lost.map_or(minus_low, |l| minus_low.sub(l));
        if OF == TAN {
            // The tangent also needs the reciprocal, for which the low part must be small.
            let (high, low) = fast_two_sum(high, minus_low.neg());
            return Reduced { high, minus_low: low.neg(), multiple };
        }
        return Reduced { high, minus_low, multiple };
    }
    let (high, low_0) = two_sum(x, n.mul(short_part(0)).neg());
    let (high, low_1) = two_sum(high, n.mul(short_part(1)).neg());
    let (high, low_2) = two_sum(high, n.mul(short_part(2)).neg());
    let low = low_0.add(low_1).add(low_2).sub(n.mul(short_part(3)));
    let (high, low) = fast_two_sum(high, low);
    // Where n is zero, -0 stays -0.
    let high = Bits::select(n.eq(c(0.0)), x, high);
    Reduced { high, minus_low: low.neg(), multiple }
}

/// Computes x / pi minus an even number, in two parts with an error of 2^-120, for finite x from 2^20 on (M. Payne and
/// R. Hanek, SIGNUM Newsletter 18, 1983). For other x the result is meaningless but finite.
#[inline(always)]
fn turns<I: Isa>(isa: I, x: I::F64) -> (I::F64, I::F64) {
    let c = |v: f64| all::<f64, I>(isa, v);
    let bits = |v: u64| all::<f64, I>(isa, f64::from_bits(v));
    // x = m * 2^(20 + 32 i) with 1 <= |m| < 2^32
    let exponent = x.abs().shr(52).int_sub(bits(1023 + 20));
    let row = exponent.shr(5);
    let m = x.bit_and(bits(1 << 63 | ((1 << 52) - 1))).bit_or(exponent.bit_and(bits(31)).int_add(bits(1023)).shl(52));
    let even = |v: I::F64| v.sub(v.mul(c(0.5)).round().mul(c(2.0)));
    let product = |part: &[f64; 32]| {
        let t = row.gather(part);
        let p = m.mul(t);
        (p, m.product_error(t, p))
    };
    let (p0, q0) = product(&INV_PI_PARTS[0]);
    let (p1, q1) = product(&INV_PI_PARTS[1]);
    let (p2, q2) = product(&INV_PI_PARTS[2]);
    let p3 = m.mul(row.gather(&INV_PI_PARTS[3]));
    // No bits may be lost, because the sum can be as small as 2^-62. The large terms come first and cancel.
    let (s, e0) = two_sum(even(p0), even(q0));
    let (s, e1) = two_sum(s, even(p1));
    let (s, e2) = two_sum(even(s), q1);
    let (s, e3) = two_sum(s, p2);
    let (e, f0) = two_sum(e0, e1);
    let (e, f1) = two_sum(e, e2);
    let (e, f2) = two_sum(e, e3);
    let (e, f3) = two_sum(e, q2.add(p3));
    let (high, low) = two_sum(s, e);
    fast_two_sum(high, low.add(f0.add(f1).add(f2.add(f3))))
}

/// The reduction for large arguments.
#[inline(always)]
fn reduce_large<I: Isa, const OF: u8>(isa: I, x: I::F64) -> Reduced<I::F64> {
    let c = |v: f64| all::<f64, I>(isa, v);
    let (high, low) = turns::<I>(isa, x);
    let (high, low) = (high.mul(c(1.0 / step(OF))), low.mul(c(1.0 / step(OF))));
    let half = c(if OF == COS { 0.5 } else { 0.0 });
    let multiple = high.add(half).add(c(f64::MAGIC));
    let (high, rest) = two_sum(high, half.sub(multiple.sub(c(f64::MAGIC))));
    let (high, low) = two_sum(high, rest.add(low));
    let pi = c(PI * step(OF));
    let r = high.mul(pi);
    let low = high.product_error(pi, r).add(high.mul(c(PI_LOW * step(OF)))).add(low.mul(pi));
    let (high, low) = fast_two_sum(r, low);
    Reduced { high, minus_low: low.neg(), multiple }
}

/// The reduction for all arguments.
#[inline(always)]
fn reduce_any<I: Isa, const OF: u8>(isa: I, x: I::F64) -> Reduced<I::F64> {
    let large = all::<f64, I>(isa, LARGE).lt(x.abs());
    let (near, far) = (reduce::<f64, I, OF>(isa, x), reduce_large::<I, OF>(isa, x));
    Reduced {
        high: Bits::select(large, far.high, near.high),
        minus_low: Bits::select(large, far.minus_low, near.minus_low),
        multiple: Bits::select(large, far.multiple, near.multiple),
    }
}

/// The reduction for arguments converted from f32. One f64 holds the result with enough precision, without a low part.
/// Returns it with the bits of [`Reduced`].
#[inline(always)]
fn reduce_f32<I: Isa, const OF: u8>(isa: I, x: I::F64) -> (I::F64, I::F64) {
    let (n, multiple) = nearest::<f64, I, OF>(isa, x);
    let r = PI_33.iter().take(3).fold(x, |r, part| n.neg_mul_add(all::<f64, I>(isa, part * step(OF)), r));
    let large = all::<f64, I>(isa, LARGE).lt(x.abs());
    if !large.any() {
        return (r, multiple);
    }
    let far = reduce_large::<I, OF>(isa, x);
    (Bits::select(large, far.high, r), Bits::select(large, far.multiple, multiple))
}

/// Computes the sine of the reduced argument, with the sign of the multiple.
#[inline(always)]
fn sine<T: Circle, I: Isa>(isa: I, r: Reduced<T::V<I>>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let sign = r.multiple.shl(8 * size_of::<T>() as u32 - 1);
    let z = r.high.mul(r.high);
    let y = if I::FUSED { r.high.mul_add(r.high, c(-T::CENTRE)) } else { z.sub(c(T::CENTRE)) };
    let slope = T::slope(isa, y);
    // The cosine with an error of 0.05, which is enough for the low part. It is exact near 0, where the low part may be
    // relatively large.
    let cos = y.mul_add(c(-0.425), c(1.0 - 0.425 * T::CENTRE));
    if I::FUSED {
        let g = y.mul_add(slope, c(T::VALUE));
        let g_low = y.mul_add(slope, c(T::VALUE).sub(g));
        // This form keeps -0, because then `minus_low` is +0 and `g_low` is positive.
        let low = r.minus_low.neg_mul_add(cos, r.high.mul(g_low));
        return r.high.mul_add(g, low).bit_xor(sign);
    }
    let p = y.mul(slope);
    let (g, g_low) = fast_two_sum(c(T::VALUE), p);
    let g_low = g_low.add(y.product_error(slope, p)).add(r.high.product_error(r.high, z).mul(slope));
    let s = r.high.mul(g);
    let low = r.high.product_error(g, s).add(r.high.mul(g_low)).sub(r.minus_low.mul(cos));
    // Below 2^-27 the sine is its argument. Products of such small numbers may underflow.
    Bits::select(r.high.abs().lt(c(7.450_580_596_923_828e-9)), r.high, s.add(low)).bit_xor(sign)
}

/// Computes the sine or cosine of an argument converted from f32, with an error of 2^-35. The polynomial is a Remez
/// polynomial for the relative error.
#[inline(always)]
fn sine_of_f32<I: Isa, const OF: u8>(isa: I, x: I::F64) -> I::F64 {
    let (r, multiple) = reduce_f32::<I, OF>(isa, x);
    let z = r.mul(r);
    let g = poly::<f64, I, 6>(
        isa,
        z,
        [
            1.0,
            -0.166_666_666_261_494_54,
            0.008_333_331_108_594_919,
            -0.000_198_408_682_088_148_73,
            2.752_538_436_867_504_5e-6,
            -2.388_890_828_878_589e-8,
        ],
    );
    r.mul(g).bit_xor(multiple.shl(63))
}

/// The sine or the cosine. The argument is reduced by a multiple of pi, in two parts, and one odd polynomial is
/// evaluated. 0.9 ULP.
pub(crate) struct Wave<const OF: u8>;

/// [`Wave`] for vectors that contain large arguments or infinities.
struct LargeWave<const OF: u8>;

impl<const OF: u8> Function<f64> for Wave<OF> {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        if all::<f64, I>(isa, LARGE).lt(x.abs()).any() {
            return aside::<f64, LargeWave<OF>, I>(isa, x);
        }
        sine::<f64, I>(isa, reduce::<f64, I, OF>(isa, x))
    }
}

impl<const OF: u8> Function<f64> for LargeWave<OF> {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        let y = sine::<f64, I>(isa, reduce_any::<I, OF>(isa, x));
        // Infinities give NaN.
        Bits::select(all::<f64, I>(isa, LARGE).lt(x.abs()), y.sub(x.sub(x)), y)
    }
}

impl<const OF: u8> Function<f32> for Wave<OF> {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        if !I::FUSED {
            return <LargeWave<OF> as Function<f32>>::vector(isa, x);
        }
        if all::<f32, I>(isa, f32::LARGE).lt(x.abs()).any() {
            return aside::<f32, LargeWave<OF>, I>(isa, x);
        }
        sine::<f32, I>(isa, reduce::<f32, I, OF>(isa, x))
    }
}

impl<const OF: u8> Function<f32> for LargeWave<OF> {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        let (a, b) = isa.widen(x);
        let y = isa.narrow(sine_of_f32::<I, OF>(isa, a), sine_of_f32::<I, OF>(isa, b)).sub(x.sub(x));
        if I::FUSED {
            Bits::select(
                all::<f32, I>(isa, f32::LARGE).lt(x.abs()),
                y,
                sine::<f32, I>(isa, reduce::<f32, I, OF>(isa, x)),
            )
        } else {
            y
        }
    }
}

pub(crate) type Sin = Wave<SIN>;
pub(crate) type Cos = Wave<COS>;

/// The polynomials of tan for a float type: tan(r) = r (1 + z p(z)) / (1 + z q(z)) with z = r^2, on |r| <= pi/4. The
/// coefficients are those of a rational Remez approximation for the relative error. The leading ones were rounded one
/// by one, with the others refitted.
trait Ratio: Circle {
    fn p<I: Isa>(isa: I, z: Self::V<I>) -> Self::V<I>;
    fn q<I: Isa>(isa: I, z: Self::V<I>) -> Self::V<I>;
}

const P_F32: [f64; 2] = [-0.111_355_192_959_308_62, 0.001_074_661_384_336_650_4];
const Q_F32: [f64; 2] = [-0.444_688_528_776_168_8, 0.015_970_837_324_857_712];

/// Error 2^-31.
impl Ratio for f32 {
    #[inline(always)]
    fn p<I: Isa>(isa: I, z: I::F32) -> I::F32 {
        poly::<f32, I, 2>(isa, z, P_F32)
    }
    #[inline(always)]
    fn q<I: Isa>(isa: I, z: I::F32) -> I::F32 {
        poly::<f32, I, 2>(isa, z, Q_F32)
    }
}

/// Error 2^-62.
impl Ratio for f64 {
    #[inline(always)]
    fn p<I: Isa>(isa: I, z: I::F64) -> I::F64 {
        poly::<f64, I, 3>(isa, z, [-0.133_383_011_051_255_97, 0.003_424_828_771_084_023_4, -1.786_074_077_152_314_4e-5])
    }
    #[inline(always)]
    fn q<I: Isa>(isa: I, z: I::F64) -> I::F64 {
        poly::<f64, I, 4>(
            isa,
            z,
            [
                -0.466_716_344_384_589_3,
                0.025_663_610_232_614_025,
                -0.000_311_805_535_286_930_3,
                4.981_494_830_657_933e-7,
            ],
        )
    }
}

/// Computes `1 + a b` in two parts, for `|a b| <= 1`.
#[inline(always)]
fn one_plus<T: Real, I: Isa>(isa: I, a: T::V<I>, b: T::V<I>) -> (T::V<I>, T::V<I>) {
    let one = all::<T, I>(isa, 1.0);
    if I::FUSED {
        let sum = a.mul_add(b, one);
        return (sum, a.mul_add(b, one.sub(sum)));
    }
    let product = a.mul(b);
    let (sum, low) = fast_two_sum(one, product);
    (sum, low.add(a.product_error(b, product)))
}

/// Computes the tangent of the reduced argument, or minus its reciprocal where the multiple is odd. Numerator and
/// denominator are in two parts, with one division.
#[inline(always)]
fn tangent<T: Ratio, I: Isa>(isa: I, r: Reduced<T::V<I>>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let z = r.high.mul(r.high);
    let q = T::q(isa, z);
    let (p, p_low) = one_plus::<T, I>(isa, z, T::p(isa, z));
    let (even_den, den_low) = one_plus::<T, I>(isa, z, q);
    let den_low = r.high.product_error(r.high, z).mul_add(q, den_low);
    let even_num = r.high.mul(p);
    // The low part has the weight of the denominator times the derivative of the tangent, which 1 + 0.72 z approximates
    // to 4 %.
    let slope = z.mul_add(c(0.72), c(1.0));
    let num_low = r.minus_low.neg_mul_add(slope, r.high.mul_add(p_low, r.high.product_error(p, even_num)));
    let sign = r.multiple.shl(8 * size_of::<T>() as u32 - 1);
    let odd = sign.sign_mask();
    let (num, den) = (Bits::select(odd, even_den, even_num), Bits::select(odd, even_num, even_den));
    let (num_low, den_low) = (Bits::select(odd, den_low, num_low), Bits::select(odd, num_low, den_low));
    let inverse = c(1.0).div(den);
    let quotient = num.mul(inverse);
    let product = quotient.mul(den);
    let left = if I::FUSED {
        quotient.neg_mul_add(den, num)
    } else {
        num.sub(product).sub(quotient.product_error(den, product))
    };
    quotient.neg_mul_add(den_low, left.add(num_low)).mul_add(inverse, quotient).bit_xor(sign)
}

/// Computes the tangent of an argument converted from f32, with an error of 2^-31.
#[inline(always)]
fn tangent_of_f32<I: Isa>(isa: I, x: I::F64) -> I::F64 {
    let (r, multiple) = reduce_f32::<I, TAN>(isa, x);
    let z = r.mul(r);
    let one = all::<f64, I>(isa, 1.0);
    let num = r.mul(z.mul_add(poly::<f64, I, 2>(isa, z, P_F32), one));
    let den = z.mul_add(poly::<f64, I, 2>(isa, z, Q_F32), one);
    let odd = multiple.shl(63).sign_mask();
    Bits::select(odd, den.neg(), num).div(Bits::select(odd, num, den))
}

/// The tangent. The argument is reduced by a multiple of pi/2, in two parts, and a rational function is evaluated. 0.9
/// ULP.
pub(crate) struct Tan;

/// [`Tan`] for vectors that contain large arguments or infinities.
struct LargeTan;

impl Function<f64> for Tan {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        if all::<f64, I>(isa, LARGE).lt(x.abs()).any() {
            return aside::<f64, LargeTan, I>(isa, x);
        }
        let y = tangent::<f64, I>(isa, reduce::<f64, I, TAN>(isa, x));
        Bits::select(x.eq(all::<f64, I>(isa, 0.0)), x, y)
    }
}

impl Function<f64> for LargeTan {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        let y = tangent::<f64, I>(isa, reduce_any::<I, TAN>(isa, x));
        // Infinities give NaN.
        let y = Bits::select(all::<f64, I>(isa, LARGE).lt(x.abs()), y.sub(x.sub(x)), y);
        Bits::select(x.eq(all::<f64, I>(isa, 0.0)), x, y)
    }
}

impl Function<f32> for Tan {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        if !I::FUSED {
            return <LargeTan as Function<f32>>::vector(isa, x);
        }
        if all::<f32, I>(isa, f32::LARGE).lt(x.abs()).any() {
            return aside::<f32, LargeTan, I>(isa, x);
        }
        let y = tangent::<f32, I>(isa, reduce::<f32, I, TAN>(isa, x));
        Bits::select(x.eq(all::<f32, I>(isa, 0.0)), x, y)
    }
}

impl Function<f32> for LargeTan {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        let (a, b) = isa.widen(x);
        let y = isa.narrow(tangent_of_f32::<I>(isa, a), tangent_of_f32::<I>(isa, b)).sub(x.sub(x));
        let y = if I::FUSED {
            Bits::select(
                all::<f32, I>(isa, f32::LARGE).lt(x.abs()),
                y,
                tangent::<f32, I>(isa, reduce::<f32, I, TAN>(isa, x)),
            )
        } else {
            y
        };
        Bits::select(x.eq(all::<f32, I>(isa, 0.0)), x, y)
    }
}
