//! The cube root and the hypotenuse.

use super::{Function, Function2, all, aside, fast_two_sum, poly, residual};
use crate::lanes::{Bits, Exponents, Float, Isa, Lanes, Mask, Numbers, Real};

/// The constants of the cube root for a float type. Computed with mpmath.
pub(crate) trait CubeRoots: Real {
    /// Cube roots of approximately the midpoints of the sixteenths of [1, 2). They are so short that they and their
    /// products with `THIRDS[0]` are exact.
    const ROOTS: &'static [Self; 16];
    /// The exact cubes of `ROOTS`.
    const CUBES: &'static [Self; 16];
    /// `1 / CUBES`, rounded.
    const INVERSES: &'static [Self; 16];
    /// The cube roots of 2^(j - r) as sums of two, for j from -1 to 1, at index j mod 8. r is the exponent bias
    /// modulo 3.
    const THIRDS: [&'static [Self; 8]; 2];
    /// The number of bits of the mantissa.
    const MANTISSA: u32;
    /// 1.5 * 2^MANTISSA. An integer that is added to it appears in the low bits of the sum.
    const MAGIC: f64;
    /// A third of the exponent bias, rounded down.
    const BIAS: f64;
    /// The largest subnormal number.
    const BELOW_NORMAL: Self;
    /// The factor for subnormal numbers, and its exponent, a multiple of three.
    const RAISE: (f64, f64);

    /// Computes `(cbrt(1 + u) - 1) / u` for |u| <= 0.0305 (f32: 0.038) with the best polynomial in weighted least
    /// squares. The coefficients were rounded and refitted one by one. 1 plus u times this result has an error of 2^-59
    /// (f32: 2^-32).
    fn series<I: Isa>(isa: I, u: Self::V<I>) -> Self::V<I>;
}

static ROOTS_F64: [f64; 16] = [
    1.010_253_906_25,
    1.030_273_437_5,
    1.049_804_687_5,
    1.068_359_375,
    1.085_937_5,
    1.103_515_625,
    1.120_117_187_5,
    1.136_718_75,
    1.152_832_031_25,
    1.167_968_75,
    1.183_105_468_75,
    1.197_753_906_25,
    1.212_402_343_75,
    1.226_074_218_75,
    1.239_746_093_75,
    1.253_417_968_75,
];
static CUBES_F64: [f64; 16] = [
    1.031_078_224_652_446_8,
    1.093_597_500_585_019_6,
    1.156_979_124_061_763_3,
    1.219_416_581_094_265,
    1.280_602_931_976_318_4,
    1.343_802_548_944_95,
    1.405_369_046_144_187_5,
    1.468_787_848_949_432_4,
    1.532_138_777_081_854_6,
    1.593_285_739_421_844_5,
    1.656_038_333_545_439,
    1.718_315_025_442_279_9,
    1.782_133_777_975_104_7,
    1.843_105_865_526_013,
    1.905_453_021_056_018_8,
    1.969_190_577_859_990_3,
];
static INVERSES_F64: [f64; 16] = [
    0.969_858_519_063_456_5,
    0.914_413_209_124_061_1,
    0.864_319_830_153_319_8,
    0.820_064_295_913_241,
    0.780_882_172_787_726,
    0.744_156_945_367_548_7,
    0.711_556_870_235_352,
    0.680_833_519_092_128_7,
    0.652_682_390_758_768,
    0.627_633_810_594_997_2,
    0.603_850_756_195_410_1,
    0.581_965_463_371_658_8,
    0.561_125_103_153_714_8,
    0.542_562_431_547_905_2,
    0.524_809_580_162_617_3,
    0.507_822_864_502_401_8,
];
static THIRDS_F64: [[f64; 8]; 2] = [
    [1.0, 1.259_921_049_894_728_6, 1.0, 1.0, 1.0, 1.0, 1.0, 0.793_700_525_984_149_9],
    [0.0, 1.445_251_384_724_423_8e-13, 0.0, 0.0, 0.0, 0.0, 0.0, -5.012_540_345_156_555e-14],
];

static ROOTS_F32: [f32; 16] = [
    1.007_812_5,
    1.031_25,
    1.046_875,
    1.070_312_5,
    1.085_937_5,
    1.101_562_5,
    1.117_187_5,
    1.140_625,
    1.156_25,
    1.171_875,
    1.179_687_5,
    1.195_312_5,
    1.210_937_5,
    1.226_562_5,
    1.242_187_5,
    1.25,
];
static CUBES_F32: [f32; 16] = [
    1.023_621_1,
    1.096_710_2,
    1.147_319_8,
    1.226_116_7,
    1.280_602_9,
    1.336_679_9,
    1.394_370_6,
    1.483_982_1,
    1.545_806_9,
    1.609_325_4,
    1.641_727,
    1.707_829,
    1.775_682,
    1.845_308_8,
    1.916_732_3,
    1.953_125,
];
static INVERSES_F32: [f32; 16] = [
    0.976_924,
    0.911_817_9,
    0.871_596_6,
    0.815_583_1,
    0.780_882_2,
    0.748_122_3,
    0.717_169_46,
    0.673_862_6,
    0.646_911_3,
    0.621_378_36,
    0.609_114_7,
    0.585_538_74,
    0.563_163_94,
    0.541_914_7,
    0.521_721_24,
    0.512,
];
static THIRDS_F32: [[f32; 8]; 2] = [
    [0.793_701_2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.629_959_1],
    [-6.458_909e-7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.418_502_2e-6],
];

impl CubeRoots for f64 {
    const ROOTS: &'static [f64; 16] = &ROOTS_F64;
    const CUBES: &'static [f64; 16] = &CUBES_F64;
    const INVERSES: &'static [f64; 16] = &INVERSES_F64;
    const THIRDS: [&'static [f64; 8]; 2] = [&THIRDS_F64[0], &THIRDS_F64[1]];
    const MANTISSA: u32 = 52;
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    const BIAS: f64 = 341.0;
    const BELOW_NORMAL: f64 = f64::from_bits(f64::MIN_POSITIVE.to_bits() - 1);
    const RAISE: (f64, f64) = (18_014_398_509_481_984.0, 54.0);

    #[inline(always)]
    fn series<I: Isa>(isa: I, u: I::F64) -> I::F64 {
        poly::<f64, I, 8>(
            isa,
            u,
            [
                0.333_333_333_333_333,
                -0.111_111_111_111_110_48,
                0.061_728_395_066_798_745,
                -0.041_152_263_380_980_59,
                0.030_178_306_801_057_85,
                -0.023_472_010_782_436_01,
                0.019_029_401_889_251_44,
                -0.015_860_932_623_578_655,
            ],
        )
    }
}

impl CubeRoots for f32 {
    const ROOTS: &'static [f32; 16] = &ROOTS_F32;
    const CUBES: &'static [f32; 16] = &CUBES_F32;
    const INVERSES: &'static [f32; 16] = &INVERSES_F32;
    const THIRDS: [&'static [f32; 8]; 2] = [&THIRDS_F32[0], &THIRDS_F32[1]];
    const MANTISSA: u32 = 23;
    const MAGIC: f64 = 12_582_912.0;
    const BIAS: f64 = 42.0;
    const BELOW_NORMAL: f32 = f32::from_bits(f32::MIN_POSITIVE.to_bits() - 1);
    const RAISE: (f64, f64) = (16_777_216.0, 24.0);

    #[inline(always)]
    fn series<I: Isa>(isa: I, u: I::F32) -> I::F32 {
        poly::<f32, I, 4>(isa, u, [0.333_333_3, -0.111_111_09, 0.061_783_068, -0.041_199_83])
    }
}

/// The cube root. x = m 2^(3k + j) with m in [1, 2). The table gives t near cbrt(m) with an exact cube. With u = m /
/// t^3 - 1 and a polynomial for cbrt(1 + u), cbrt(x) is t cbrt(1 + u) cbrt(2^j) 2^k. The product of the first and the
/// third factor is exact. 0.52 ULP (f32: 0.55).
pub(crate) struct Cbrt;

impl<T: CubeRoots> Function<T> for Cbrt {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let a = x.abs();
        if ordinary::<T, I>(isa, a).all() {
            root::<T, I>(isa, a, 0.0).copysign(x)
        } else {
            aside::<T, AnyCbrt, I>(isa, x)
        }
    }
}

/// Returns the mask of positive, normal and finite lanes.
#[inline(always)]
fn ordinary<T: CubeRoots, I: Isa>(isa: I, a: T::V<I>) -> <T::V<I> as Bits>::Mask {
    let c = |v: f64| all::<T, I>(isa, v);
    let below_normal = T::V::<I>::splat(isa, T::BELOW_NORMAL);
    below_normal.lt(a).and(a.lt(c(f64::INFINITY)))
}

/// [`Cbrt`] for all arguments.
struct AnyCbrt;

impl<T: CubeRoots> Function<T> for AnyCbrt {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let a = x.abs();
        let raised = root::<T, I>(isa, a.mul(c(T::RAISE.0)), T::RAISE.1);
        let y = Bits::select(ordinary::<T, I>(isa, a), root::<T, I>(isa, a, 0.0), raised).copysign(x);
        Bits::select(c(0.0).lt(a).and(a.lt(c(f64::INFINITY))), y, x)
    }
}

/// Computes the cube root of `a / 2^down` for positive normal a.
#[inline(always)]
fn root<T: CubeRoots, I: Isa>(isa: I, a: T::V<I>, down: f64) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let e = a.shr_mantissa().int_to_float();
    // The biased exponent e is 3k + j with j from -1 to 1. Sums of the size of MAGIC round to integers, which appear in
    // their low bits.
    let k = e.mul_add(c(1.0 / 3.0), c(T::MAGIC));
    let j = k.sub(c(T::MAGIC)).neg_mul_add(c(3.0), e).add(c(T::MAGIC));
    let (third, third_low) = (j.lookup(T::THIRDS[0]), j.lookup(T::THIRDS[1]));
    let m = a.bit_xor(a.bit_and(c(f64::INFINITY))).bit_or(c(1.0));
    let sixteenth = a.shr(T::MANTISSA - 4);
    let u = m.sub(sixteenth.lookup(T::CUBES)).mul(sixteenth.lookup(T::INVERSES));
    let root = sixteenth.lookup(T::ROOTS);
    let (high, low) = (third.mul(root), third_low.mul(root));
    let y = high.add(high.add(low).mul_add(u.mul(T::series(isa, u)), low));
    // Adds k, without a third of the bias and of `down`, to the exponent.
    y.int_add(k.sub(c(T::BIAS + down / 3.0)).shl_mantissa())
}

/// The square root of x^2 + y^2: the sum of the squares is a sum of two, and its root is corrected by the remainder (as
/// C. Borges, ACM TOMS 47, 2021). Operands are scaled where squares would overflow or lose bits. The result is infinite
/// where either operand is, even if the other is NaN. 0.51 ULP; subnormal results 1.0.
pub(crate) struct Hypot;

impl<T: Real> Function2<T> for Hypot {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        // Exponents of two. Squares of operands between `low` and `high` lose no bits. Other operands are scaled by
        // `scale`. `least` is far below any result.
        let (low, high, scale, least) =
            if size_of::<T>() == 4 { (-48, 62, 100, -120) } else { (-480, 510, 600, -1000) };
        let power = |n: i32| c(2.0f64.powi(n));
        let (x, y) = (x.abs(), y.abs());
        let (a, b) = (x.max(y), x.min(y));
        let (large, small) = (power(high).lt(a), a.lt(power(low)));
        let one = c(1.0);
        let down = Bits::select(small, power(scale), Bits::select(large, power(-scale), one));
        let up = Bits::select(small, power(-scale), Bits::select(large, power(scale), one));
        let (a, b) = (a.mul(down), b.mul(down));
        let (aa, bb) = (a.mul(a), b.mul(b));
        let (s, rest) = fast_two_sum(aa, bb);
        let rest = rest.add(a.product_error(a, aa).add(b.product_error(b, bb)));
        let h = s.sqrt();
        let left = residual(isa, s, h, h).add(rest);
        // The lower bound avoids 0 / 0.
        let h = h.add(left.div(h.add(h).max(power(least)))).mul(up);
        let h = Bits::select(x.unordered(y), c(f64::NAN), h);
        let infinity = c(f64::INFINITY);
        Bits::select(x.eq(infinity).or(y.eq(infinity)), infinity, h)
    }
}
