//! arcsin, arccos, arctan and arctan2.

use super::{Function, Function2, all, fast_two_sum, poly};
use crate::lanes::{Bits, Float, Isa, Lanes, Mask, Numbers, Real};
use std::f64::consts::{FRAC_PI_2, PI};

/// The constants and polynomials of each float type. The coefficients are Remez coefficients for the relative error of
/// the whole function, computed in extended precision. The leading ones were rounded one by one, with the others
/// refitted.
trait Inverse: Real {
    /// The centres of the 14 half octaves from 1/8 to 16, eight bits long. The index of a float is its bits shifted
    /// right by `INDEX`, modulo 16. Index 7 is for floats below 1/8, with centre 0. Index 6 is for floats from 16 on,
    /// which have no centre.
    const CENTRES: [Self; 16];
    /// The arctangents of the centres, in two parts.
    const ANGLES: [[Self; 16]; 2];
    const INDEX: u32;
    /// pi minus the float nearest to it.
    const PI_LOW: f64;
    /// Subtracting the bits of x from the bits of `INVERSE` gives 1 / x to 12 %; from `HALF_INVERSE` it gives 1 / (2
    /// x).
    const INVERSE: Self;
    const HALF_INVERSE: Self;
    /// Pairs above the first value are multiplied by the third before they are combined. Pairs below the second value
    /// are multiplied by the fourth.
    const SCALES: [f64; 4];

    /// Computes (arctan(t) - t) / t^3 as a function of z = t^2 <= 0.0225.
    fn arctan<I: Isa>(isa: I, z: Self::V<I>) -> Self::V<I>;
    /// Computes (arcsin(s) - s) / s^3 as a function of z = s^2 <= 1/4.
    fn arcsin<I: Isa>(isa: I, z: Self::V<I>) -> Self::V<I>;
}

#[rustfmt::skip]
impl Inverse for f32 {
    const CENTRES: [f32; 16] = [
        2.421875, 3.4375, 4.8125, 6.875,
        9.625, 13.6875, 0.0, 0.0,
        0.15625, 0.21875, 0.310546875, 0.435546875,
        0.6171875, 0.8671875, 1.21875, 1.7265625,
    ];
    const ANGLES: [[f32; 16]; 2] = [[
        1.1792161464691162, 1.2877005338668823, 1.365919589996338, 1.4263547658920288,
        1.4672716856002808, 1.4978665113449097, 1.5707963705062866, 0.0,
        0.15499673783779144, 0.215357705950737, 0.30110451579093933, 0.41076990962028503,
        0.5529615879058838, 0.7143880724906921, 0.8836721181869507, 1.045822262763977,
    ], [
        5.8764609178751925e-08, 7.628519149704971e-09, 1.976145114213068e-08, -1.7471776914135262e-08,
        -3.331592779431958e-08, 2.8921201433718124e-08, -4.371138828673793e-08, 0.0,
        4.0861496408695075e-09, -6.252999007472226e-09, 5.071484565633e-09, 1.2583440955893366e-08,
        1.4088144872914654e-08, -2.033392298983472e-08, -1.5334932212951458e-09, -5.611025244434131e-08,
    ]];
    const INDEX: u32 = 22;
    const PI_LOW: f64 = -8.742_277_657_347_586e-8;
    const INVERSE: f32 = f32::from_bits(0x7EF3_11C3);
    const HALF_INVERSE: f32 = f32::from_bits(0x7E73_11C3);
    // 2^100, 2^-100, 2^-40, 2^40
    const SCALES: [f64; 4] =
        [1.267_650_600_228_229_4e30, 7.888_609_052_210_118e-31, 9.094_947_017_729_282e-13, 1_099_511_627_776.0];

    /// Error 2^-32.
    #[inline(always)]
    fn arctan<I: Isa>(isa: I, z: I::F32) -> I::F32 {
        poly::<f32, I, 3>(isa, z, [-0.333_333_104_848_861_7, 0.199_938_550_591_468_8, -0.138_140_261_173_248_3])
    }

    /// Error 2^-31.
    #[inline(always)]
    fn arcsin<I: Isa>(isa: I, z: I::F32) -> I::F32 {
        poly::<f32, I, 6>(
            isa,
            z,
            [
                0.166_666_597_127_914_43, 0.075_005_218_386_650_09, 0.044_513_382_017_612_46, 0.031_838_800_758_123_4,
                0.014_317_426_830_530_167,
                0.037_690_125_405_788_42,
            ],
        )
    }
}

#[rustfmt::skip]
impl Inverse for f64 {
    const CENTRES: [f64; 16] = [
        2.421875, 3.4375, 4.8125, 6.875,
        9.625, 13.6875, 0.0, 0.0,
        0.15625, 0.21875, 0.310546875, 0.435546875,
        0.6171875, 0.8671875, 1.21875, 1.7265625,
    ];
    const ANGLES: [[f64; 16]; 2] = [[
        1.1792162052337265, 1.287700541495401, 1.3659196097577881, 1.4263547484202526,
        1.4672716522843523, 1.4978665402661109, FRAC_PI_2, 0.0,
        0.15499674192394097, 0.21535769969773805, 0.3011045208624239, 0.4107699222037262,
        0.5529616019940283, 0.714388052156769, 0.8836721166534575, 1.045822206653725,
    ], [
        -1.0262783370068585e-16, 7.675509734197807e-17, 2.52049601072102e-18, 7.919950318908248e-17,
        -3.211230498905206e-17, 1.0399284773545835e-17, 6.123233995736766e-17, 0.0,
        9.585415594114324e-18, 4.738160130078733e-19, 1.2983320318604855e-17, -7.044859415366567e-18,
        -7.85800765242264e-18, -6.065199961989827e-18, 1.9644781804160354e-17, -9.887098015331128e-18,
    ]];
    const INDEX: u32 = 51;
    const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;
    const INVERSE: f64 = f64::from_bits(0x7FDE_6238_5024_84BA);
    const HALF_INVERSE: f64 = f64::from_bits(0x7FCE_6238_5024_84BA);
    // 2^900, 2^-900, 2^-200, 2^200
    const SCALES: [f64; 4] = [
        8.452_712_498_170_644e270, 1.183_052_186_166_774_7e-271, 6.223_015_277_861_142e-61, 1.606_938_044_258_990_3e60,
    ];

    /// Error 2^-62.
    #[inline(always)]
    fn arctan<I: Isa>(isa: I, z: I::F64) -> I::F64 {
        poly::<f64, I, 7>(
            isa,
            z,
            [
                -0.333_333_333_333_332_9, 0.199_999_999_999_529_8, -0.142_857_142_674_815_2, 0.111_111_077_673_035_84,
                -0.090_905_811_617_982_21,
                0.076_745_950_256_768_28, -0.061_672_040_372_578_084,
            ],
        )
    }

    /// Error 2^-59.
    #[inline(always)]
    fn arcsin<I: Isa>(isa: I, z: I::F64) -> I::F64 {
        poly::<f64, I, 13>(
            isa,
            z,
            [
                0.166_666_666_666_667_6, 0.074_999_999_999_708_65, 0.044_642_857_174_562_95, 0.030_381_942_709_750_573,
                0.022_372_214_939_458_093, 0.017_351_612_785_430_636, 0.013_980_812_150_752_95,
                0.011_398_975_378_510_987, 0.010_779_924_260_816_781, 0.003_707_569_339_962_640_5,
                0.021_704_788_957_360_607, -0.020_995_502_132_054_956, 0.032_626_506_431_628_04,
            ],
        )
    }
}

/// The arctangent: arctan(x) = arctan(c) + arctan(t) with t = (x - c) / (1 + c x) below 0.13 and c from a table, then a
/// short odd polynomial. 0.9 ULP (f32: 1.0).
pub(crate) struct Arctan;

impl<T: Inverse> Function<T> for Arctan {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        // Beyond the limit the angle is pi/2. This order of operands keeps NaN.
        let a = c(1.152_921_504_606_847e18).min(x.abs());
        let near = c(0.1).max(c(20.0).min(a)).shr(T::INDEX);
        let centre = near.lookup(&T::CENTRES);
        let inside = a.lt(c(16.0));
        let num = Bits::select(inside, a.sub(centre), c(-1.0));
        let den = Bits::select(inside, a.mul_add(centre, c(1.0)), a);
        let t = num.div(den);
        let z = t.mul(t);
        let low = t.mul(z).mul_add(T::arctan(isa, z), near.lookup(&T::ANGLES[1]));
        near.lookup(&T::ANGLES[0]).add(t.add(low)).copysign(x)
    }
}

/// Computes `c - a b`, rounded once where the two nearly cancel.
#[inline(always)]
fn less_product<T: Real, I: Isa>(c: T::V<I>, a: T::V<I>, b: T::V<I>) -> T::V<I> {
    if I::FUSED {
        return a.neg_mul_add(b, c);
    }
    let product = a.mul(b);
    c.sub(product).sub(a.product_error(b, product))
}

/// The angle of the point (x, y): the arctangent of y / x with only one division, and with C99's special values. 1.0
/// ULP.
pub(crate) struct Arctan2;

impl<T: Inverse> Function2<T> for Arctan2 {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, y: T::V<I>, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let (mut a, mut b) = (y.abs(), x.abs());
        let most = a.max(b);
        let (large, little) = (c(T::SCALES[0]).lt(most), most.lt(c(T::SCALES[1])));
        if large.or(little).any() {
            // Scaling prevents overflow and gives products of subnormal operands all their bits. The bits that a small
            // operand loses are far below the last bit of the angle.
            let scale = Bits::select(large, c(T::SCALES[2]), Bits::select(little, c(T::SCALES[3]), c(1.0)));
            // If an operand is infinite, infinite operands become 1 and finite ones become 0.
            let infinity = c(f64::INFINITY);
            let limit = |v: T::V<I>| {
                Bits::select(most.eq(infinity), Bits::select(v.eq(infinity), c(1.0), c(0.0)), v.mul(scale))
            };
            (a, b) = (limit(a), limit(b));
            b = Bits::select(most.eq(c(0.0)), c(1.0), b);
        }
        // An estimate of the quotient, to 12 %, selects the centre.
        let q = a.mul(T::V::<I>::splat(isa, T::INVERSE).int_sub(b));
        let near = c(0.1).max(c(20.0).min(q)).shr(T::INDEX);
        let centre = near.lookup(&T::CENTRES);
        let inside = q.lt(c(16.0));
        let num = Bits::select(inside, less_product::<T, I>(a, centre, b), b.neg());
        let den = Bits::select(inside, centre.mul_add(a, b), a);
        let t = num.div(den);
        // The remainder of the division, multiplied by an estimate of the reciprocal.
        let left = less_product::<T, I>(num, t, den);
        // Products of such small numbers have no exact rounding errors without FMA.
        let left = if I::FUSED { left } else { Bits::select(num.abs().lt(c(T::SCALES[1])), c(0.0), left) };
        let left = left.mul(T::V::<I>::splat(isa, T::INVERSE).int_sub(den));
        let z = t.mul(t);
        let low = t.mul(z).mul_add(T::arctan(isa, z), near.lookup(&T::ANGLES[1]).add(left));
        // For negative x the angle is pi minus the angle of |x|.
        let negative = x.sign_mask();
        let flip = Bits::select(negative, c(-0.0), c(0.0));
        let base = Bits::select(negative, c(PI), c(0.0));
        let base_low = Bits::select(negative, c(T::PI_LOW), c(0.0));
        let (high, rest) = fast_two_sum(base, near.lookup(&T::ANGLES[0]).bit_xor(flip));
        let angle = high.add(t.add(low).bit_xor(flip).add(rest.add(base_low)));
        // The comparisons above may have lost a NaN.
        Bits::select(x.unordered(y), x.add(y), angle.copysign(y))
    }
}

/// arcsin and arccos: an odd polynomial up to 1/2. Beyond it, arcsin(a) = pi/2 - 2 arcsin(s), where s is the square
/// root of (1 - a) / 2, corrected by its rounding error. 0.7 ULP.
pub(crate) struct Arc<const COS: bool>;

pub(crate) type Arcsin = Arc<false>;
pub(crate) type Arccos = Arc<true>;

impl<T: Inverse, const COS: bool> Function<T> for Arc<COS> {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let a = x.abs();
        let small = a.lt(c(0.5));
        // Exact for a >= 1/2. Beyond 1 the root is NaN.
        let w = a.mul(c(-0.5)).add(c(0.5));
        let root = w.sqrt();
        let missing = less_product::<T, I>(w, root, root);
        // The rounding error of the root is small, so an estimate of the reciprocal suffices.
        let missing = missing.mul(T::V::<I>::splat(isa, T::HALF_INVERSE).int_sub(root));
        let missing = Bits::select(small, c(0.0), missing.add(missing));
        let z = Bits::select(small, x.mul(x), w);
        let p = z.mul(T::arcsin(isa, z));
        let twice = root.add(root);
        if COS {
            // pi/2 - x, or 2 s, or pi - 2 s
            let negative = x.sign_mask();
            let term = Bits::select(small, x.neg(), twice.copysign(x));
            let missing = missing.bit_xor(Bits::select(negative, c(-0.0), c(0.0)));
            let base = Bits::select(small, c(FRAC_PI_2), Bits::select(negative, c(PI), c(0.0)));
            let base_low = Bits::select(small, c(0.5 * T::PI_LOW), Bits::select(negative, c(T::PI_LOW), c(0.0)));
            let (high, low) = fast_two_sum(base, term);
            high.add(low.add(term.mul_add(p, base_low.add(missing))))
        } else {
            // a, or pi/2 - 2 s
            let term = Bits::select(small, a, twice.neg());
            let base = Bits::select(small, c(0.0), c(FRAC_PI_2));
            let base_low = Bits::select(small, c(0.0), c(0.5 * T::PI_LOW)).sub(missing);
            let (high, low) = fast_two_sum(base, term);
            high.add(low.add(term.mul_add(p, base_low))).copysign(x)
        }
    }
}
