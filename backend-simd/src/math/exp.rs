//! exp and tanh.

use super::{Function, abs, all, poly};
use crate::lanes::{Float, Isa, Real};

/// ln 2 in two parts, the first short enough that its products with exponents are exact (from fdlibm's e_exp.c and e_expf.c).
const LN2_F64: [f64; 2] = [6.931_471_803_691_238_164_90e-1, 1.908_214_929_270_587_700_02e-10];
const LN2_F32: [f64; 2] = [6.931_381_225_6e-1, 9.058_000_614_5e-6];

/// (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2, interpolated at Chebyshev's nodes: exp is then good to 2^-55.8 (f32: 2^-32).
const P_F64: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_624_13,
    0.008_333_333_333_330_062,
    0.001_388_888_891_721_371_7,
    0.000_198_412_698_630_536_18,
    2.480_152_129_595_437_6e-5,
    2.755_726_845_999_706_4e-6,
    2.762_008_844_540_974_6e-7,
    2.510_038_549_551_032e-8,
];
const P_F32: [f64; 6] = [
    0.500_000_001_346_581,
    0.166_666_666_816_232_32,
    0.041_666_464_925_285_904,
    0.008_333_311_092_548_09,
    0.001_393_364_999_630_925_1,
    0.000_198_909_908_246_736_54,
];

/// `exp(x)`, or `exp(x + tail)` for `|tail|` far below an ULP of x, for x within [-746, 710] (f32: [-104, 89]) or NaN. Results that are subnormal are rounded once more.
#[inline(always)]
pub(super) fn exp_parts<T: Real, I: Isa>(isa: I, x: T::V<I>, tail: Option<T::V<I>>) -> T::V<I> {
    let [hi, lo] = if size_of::<T>() == 4 { LN2_F32 } else { LN2_F64 };
    let n = x.mul(all::<T, I>(isa, std::f64::consts::LOG2_E)).round();
    let r = n.neg_mul_add(all::<T, I>(isa, lo), n.neg_mul_add(all::<T, I>(isa, hi), x));
    let r = tail.map_or(r, |t| r.add(t));
    let p = if size_of::<T>() == 4 { poly::<T, I, 6>(isa, r, P_F32) } else { poly::<T, I, 10>(isa, r, P_F64) };
    r.mul(r).mul_add(p, r).add(all::<T, I>(isa, 1.0)).scale(isa, n)
}

/// e to the power of x: Cody and Waite's reduction, a polynomial. 0.9 ULP; subnormal results 1.0.
pub(crate) struct Exp;

impl<T: Real> Function<T> for Exp {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let (low, high) = if size_of::<T>() == 4 { (-104.0, 89.0) } else { (-746.0, 710.0) };
        // In this order: where x is NaN, `min` and `max` give it, their second operand.
        exp_parts::<T, I>(isa, all::<T, I>(isa, high).min(all::<T, I>(isa, low).max(x)), None)
    }
}

/// The hyperbolic tangent: below 0.625 Cephes' rational function (f64) or polynomial (f32), above it 1 - 2 / (exp(2x) + 1). 1.3 ULP.
pub(crate) struct Tanh;

impl<T: Real> Function<T> for Tanh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let sign = x.bit_and(c(-0.0));
        let a = abs(x, c(-0.0));
        let z = x.mul(x);
        let small = if size_of::<T>() == 4 {
            poly::<T, I, 5>(isa, z, [-3.333_328_194_22e-1, 1.333_144_220_36e-1, -5.373_971_555_31e-2, 2.063_908_879_54e-2, -5.704_988_727_45e-3])
                .mul(z)
                .mul_add(x, x)
        } else {
            let p = poly::<T, I, 3>(isa, z, [-1.614_687_684_417_084_479_52e3, -9.928_772_310_019_185_865_64e1, -9.643_991_794_250_522_386_28e-1]);
            let q = poly::<T, I, 4>(isa, z, [4.844_063_053_251_254_860_48e3, 2.235_488_390_601_004_485_83e3, 1.128_116_784_916_329_314_02e2, 1.0]);
            p.div(q).mul(z).mul_add(x, x)
        };
        // From 22 on the result is 1; the bound keeps exp in range.
        let e = exp_parts::<T, I>(isa, a.add(a).min(c(44.0)), None);
        let large = c(1.0).sub(c(2.0).div(e.add(c(1.0))));
        let y = Float::select(a.lt(c(0.625)), small, large);
        // NaN fails every comparison and went through `min`.
        Float::select(x.unordered(x), x, y.bit_or(sign))
    }
}
