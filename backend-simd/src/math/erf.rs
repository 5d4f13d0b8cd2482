//! The error function.

use super::{Exp, Function, all, poly};
use crate::lanes::{Bits, Float, Isa, Mask, Numbers, Real};

/// The coefficients of (erf(x) / x - 1) in powers of x^2 for |x| <= 1. Computed with mpmath by weighted least squares
/// at Chebyshev nodes: the coefficients were rounded and refitted one by one. The error is 2^-56 (f32: 2^-29) of
/// erf(x) / x.
const SMALL_F64: [f64; 13] = [
    0.128_379_167_095_512_6,
    -0.376_126_389_031_838_76,
    0.112_837_916_709_587_83,
    -0.026_866_170_645_631_897,
    0.005_223_977_629_245_65,
    -0.000_854_832_719_935_827_2,
    0.000_120_553_381_614_006_56,
    -1.492_574_818_020_635_4e-5,
    1.646_324_730_713_026_8e-6,
    -1.637_237_189_169_822_5e-7,
    1.479_835_723_436_991_1e-8,
    -1.187_655_559_183_910_5e-9,
    6.762_801_638_832_501e-11,
];
const SMALL_F32: [f64; 7] =
    [0.128_379_17, -0.376_126_3, 0.112_836_18, -0.026_855_124, 0.005_190_726, -0.000_803_065_4, 7.919_902e-5];

/// The coefficients of -log(1 - erf(x)) for x in [1, 6] (f32: [1, 4]). The first field stands for the constant term c
/// and holds `1 - exp(-c)`. Computed in the same way, with weights of 1 - erf(x). The absolute error of 1 - erf(x) is
/// 2^-59 (f32: 2^-35).
const LARGE_F64: (f64, [f64; 18]) = (
    1.879_843_594_280_938_4e-7,
    [
        1.128_377_246_712_498_4,
        0.636_628_868_587_817_2,
        0.102_746_171_194_394_03,
        -0.019_076_020_647_421_928,
        -0.000_283_592_904_123_751_93,
        0.001_772_444_134_358_680_6,
        -0.000_644_151_908_753_492_1,
        4.686_017_322_644_893_4e-5,
        6.925_667_315_298_203e-5,
        -4.455_478_467_036_141_6e-5,
        1.634_687_915_736_688_4e-5,
        -4.281_343_903_168_031_5e-6,
        8.408_311_406_523_962e-7,
        -1.241_215_285_700_940_6e-7,
        1.343_742_850_407_531_3e-8,
        -1.010_029_660_025_578_7e-9,
        4.715_836_443_522_778e-11,
        -1.030_526_776_222_482_9e-12,
    ],
);
const LARGE_F32: (f64, [f64; 8]) = (
    -0.000_211_187_847_014,
    [
        1.129_696_8,
        0.632_959_1,
        0.108_740_87,
        -0.025_452_66,
        0.004_320_94,
        -0.000_475_301_58,
        2.723_941e-5,
        -3.891_430_5e-7,
    ],
);

/// The error function: a polynomial for |x| < 1, and 1 - exp(-p(x)) with a polynomial p from 1 on (after N. Juffa's
/// erff). 1.0 ULP; without fused instructions 1.3.
pub(crate) struct Erf;

impl<T: Real> Function<T> for Erf
where
    Exp: Function<T>,
{
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let single = size_of::<T>() == 4;
        let a = x.abs();
        let small = a.lt(c(1.0));
        let mut y = x;
        if small.any() {
            let z = x.mul(x);
            let u = if single { poly::<T, I, 7>(isa, z, SMALL_F32) } else { poly::<T, I, 13>(isa, z, SMALL_F64) };
            y = x.mul_add(u, x);
        }
        if !small.all() {
            // From 6 (f32: 4) on the result is 1. This order of operands keeps NaN.
            let a = c(if single { 4.0 } else { 6.0 }).min(a);
            let (constant, rest) = if single {
                (LARGE_F32.0, poly::<T, I, 8>(isa, a, LARGE_F32.1))
            } else {
                (LARGE_F64.0, poly::<T, I, 18>(isa, a, LARGE_F64.1))
            };
            // p is a sum of two floats, because its rounding would be the largest error.
            let p = a.mul(rest);
            let low = a.product_error(rest, p).add(c(constant));
            let e = <Exp as Function<T>>::vector(isa, p.neg());
            let large = c(1.0).sub(e.neg_mul_add(low, e)).copysign(x);
            y = Bits::select(small, y, large);
        }
        y
    }
}
