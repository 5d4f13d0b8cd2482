//! sin and cos.

use super::{Function, abs, all, fast_two_sum, poly, two_sum};
use crate::lanes::{Float, Isa, Mask, Real};

/// pi/2 in parts short enough that products with the quadrant's number are exact up to the limits below
/// (f64: fdlibm's e_rem_pio2.c, 33 bits each; f32: 13 bits each).
const PIO2_F64: [f64; 4] = [1.570_796_326_734_125_614_17, 6.077_100_506_303_965_976_60e-11, 2.022_266_248_711_166_455_80e-21, 8.478_427_660_368_899_569_97e-32];
const PIO2_F32: [f64; 4] = [1.570_800_781_25, -4.454_515_874_385_834e-6, 6.076_561_476_220_377e-11, 5.390_302_953_474_238e-15];

/// Beyond this magnitude the standard library's functions are called.
#[inline(always)]
fn limit<T: Real>() -> f64 {
    if size_of::<T>() == 4 { 3000.0 } else { 800_000.0 }
}

/// x minus the nearest multiple of pi/2 as a sum of two, and the multiple.
#[inline(always)]
fn reduce<T: Real, I: Isa>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let parts = if size_of::<T>() == 4 { PIO2_F32 } else { PIO2_F64 };
    let n = x.mul(c(std::f64::consts::FRAC_2_PI)).round();
    let exact = n.neg_mul_add(c(parts[0]), x);
    let (high, low_1) = two_sum(exact, n.mul(c(-parts[1])));
    let (high, low_2) = two_sum(high, n.mul(c(-parts[2])));
    let low = n.neg_mul_add(c(parts[3]), low_1.add(low_2));
    let (r, tail) = fast_two_sum(high, low);
    (r, tail, n)
}

/// sin(r + tail) and cos(r + tail) for |r| <= pi/4: fdlibm's k_sin.c and k_cos.c; Cephes' coefficients (sinf.c) for f32.
#[inline(always)]
fn kernels<T: Real, I: Isa>(isa: I, r: T::V<I>, tail: T::V<I>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let z = r.mul(r);
    let v = z.mul(r);
    let (s1, s_rest, c_poly) = if size_of::<T>() == 4 {
        (
            -1.666_665_461_1e-1,
            poly::<T, I, 2>(isa, z, [8.332_160_873_6e-3, -1.951_529_589_1e-4]),
            poly::<T, I, 3>(isa, z, [4.166_664_568_298_827e-2, -1.388_731_625_493_765e-3, 2.443_315_711_809_948e-5]),
        )
    } else {
        (
            -1.666_666_666_666_663_243_48e-1,
            poly::<T, I, 5>(
                isa,
                z,
                [
                    8.333_333_333_322_489_461_24e-3,
                    -1.984_126_982_985_794_931_34e-4,
                    2.755_731_370_707_006_767_89e-6,
                    -2.505_076_025_340_686_341_95e-8,
                    1.589_690_995_211_550_102_21e-10,
                ],
            ),
            poly::<T, I, 6>(
                isa,
                z,
                [
                    4.166_666_666_666_660_190_37e-2,
                    -1.388_888_888_887_410_957_49e-3,
                    2.480_158_728_947_672_941_78e-5,
                    -2.755_731_435_139_066_330_35e-7,
                    2.087_572_321_298_174_827_90e-9,
                    -1.135_964_755_778_819_482_65e-11,
                ],
            ),
        )
    };
    let half = c(0.5);
    let sin = r.sub(z.mul(half.mul(tail).sub(v.mul(s_rest))).sub(tail).sub(v.mul(c(s1))));
    let half_z = z.mul(half);
    let w = c(1.0).sub(half_z);
    let rest = z.mul(z).mul(c_poly).sub(r.mul(tail));
    let cos = w.add(c(1.0).sub(w).sub(half_z).add(rest));
    (sin, cos)
}

/// sin(x) if `shift` is 0, cos(x) if it is 1.
#[inline(always)]
fn quadrants<T: Real, I: Isa>(isa: I, x: T::V<I>, shift: f64) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (r, tail, n) = reduce::<T, I>(isa, x);
    let (sin, cos) = kernels::<T, I>(isa, r, tail);
    // Quadrant q = n + shift: odd ones take the other function, those with q mod 4 in {2, 3} the other sign.
    let q = n.add(c(shift));
    let half = q.mul(c(0.5));
    let odd = abs(half.sub(half.round()), c(-0.0)).eq(c(0.5));
    let pair = Float::select(odd, q.sub(c(1.0)), q).mul(c(0.25));
    let negative = abs(pair.sub(pair.round()), c(-0.0)).eq(c(0.5));
    let y = Float::select(odd, cos, sin);
    y.bit_xor(Float::select(negative, c(-0.0), c(0.0)))
}

macro_rules! trig {
    ($Name:ident, $method:ident, $shift:literal, $zero:literal, $doc:literal) => {
        #[doc = $doc]
        pub(crate) struct $Name;

        impl<T: Real> Function<T> for $Name {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
                let y = quadrants::<T, I>(isa, x, $shift);
                // sin(-0) is -0; adding tails lost its sign.
                if $zero { Float::select(x.eq(all::<T, I>(isa, 0.0)), x, y) } else { y }
            }
            #[inline(always)]
            fn any_special<I: Isa>(isa: I, x: T::V<I>) -> bool {
                let minus_zero = all::<T, I>(isa, -0.0);
                all::<T, I>(isa, limit::<T>()).lt(abs(x, minus_zero)).or(x.unordered(x)).any()
            }
            fn special(x: T) -> bool {
                x.to_f64().abs() > limit::<T>() || x.to_f64().is_nan()
            }
            fn scalar(x: T) -> T {
                T::from_f64(x.to_f64().$method())
            }
        }
    };
}
trig!(Sin, sin, 0.0, true, "The sine: reduction by pi/2 in four parts with a tail, then polynomials. 0.8 ULP; beyond 8e5 (f32: 3000) the standard library.");
trig!(Cos, cos, 1.0, false, "The cosine, as the sine.");
