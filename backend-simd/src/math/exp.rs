//! exp and tanh.

use super::{Function, abs, all, poly};
use crate::lanes::{Float, Isa, Real};

/// ln 2 in two parts, the first short enough that its products with exponents are exact (from fdlibm's e_exp.c and e_expf.c).
const LN2_F64: [f64; 2] = [6.931_471_803_691_238_164_90e-1, 1.908_214_929_270_587_700_02e-10];
const LN2_F32: [f64; 2] = [6.931_381_225_6e-1, 9.058_000_614_5e-6];

/// 1/2!, 1/3! ..: what is left of the series of exp after 1 + r. On |r| <= ln(2)/2 twelve terms reach 2^-57, six 2^-27.
const TAYLOR: [f64; 12] = [
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5040.0,
    1.0 / 40320.0,
    1.0 / 362880.0,
    1.0 / 3628800.0,
    1.0 / 39916800.0,
    1.0 / 479001600.0,
    1.0 / 6227020800.0,
];

/// `2^k` for integers k such that it is normal.
#[inline(always)]
fn pow2<T: Real, I: Isa>(isa: I, k: T::V<I>) -> T::V<I> {
    // The low bits of k + magic hold k + bias; shifted, they are the exponent.
    let magic = if size_of::<T>() == 4 { 12_582_912.0 + 127.0 } else { 6_755_399_441_055_744.0 + 1023.0 };
    k.add(all::<T, I>(isa, magic)).shl_mantissa()
}

/// `exp(x + tail)` for `|tail|` far below an ULP of x, and x within [-746, 710] (f32: [-104, 89]). Results that are subnormal are rounded once more.
#[inline(always)]
pub(super) fn exp_parts<T: Real, I: Isa>(isa: I, x: T::V<I>, tail: T::V<I>) -> T::V<I> {
    let [hi, lo] = if size_of::<T>() == 4 { LN2_F32 } else { LN2_F64 };
    let n = x.mul(all::<T, I>(isa, std::f64::consts::LOG2_E)).round();
    let r = n.neg_mul_add(all::<T, I>(isa, lo), n.neg_mul_add(all::<T, I>(isa, hi), x)).add(tail);
    let p = if size_of::<T>() == 4 { poly::<T, I, 6>(isa, r, TAYLOR[..6].try_into().expect("six terms")) } else { poly::<T, I, 12>(isa, r, TAYLOR) };
    let y = r.mul(r).mul_add(p, r).add(all::<T, I>(isa, 1.0));
    // In two steps, because 2^n may be out of range where the result is not.
    let half = n.mul(all::<T, I>(isa, 0.5)).round();
    y.mul(pow2::<T, I>(isa, half)).mul(pow2::<T, I>(isa, n.sub(half)))
}

/// e to the power of x: Cody and Waite's reduction, a Taylor polynomial. 0.9 ULP; subnormal results 1.0.
pub(crate) struct Exp;

impl<T: Real> Function<T> for Exp {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
        let (low, high) = if size_of::<T>() == 4 { (-104.0, 89.0) } else { (-746.0, 710.0) };
        let clamped = x.max(all::<T, I>(isa, low)).min(all::<T, I>(isa, high));
        let y = exp_parts::<T, I>(isa, clamped, all::<T, I>(isa, 0.0));
        Float::select(x.unordered(x), x, y)
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
        let e = exp_parts::<T, I>(isa, a.add(a).min(c(44.0)), c(0.0));
        let large = c(1.0).sub(c(2.0).div(e.add(c(1.0))));
        let y = Float::select(a.lt(c(0.625)), small, large);
        // NaN fails every comparison and went through `min`.
        Float::select(x.unordered(x), x, y.bit_or(sign))
    }
}
