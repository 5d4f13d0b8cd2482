//! The power function.

use super::exp::{Exponential, clamp, exp_of_sum};
use super::log::{Logarithm, normalise, split, unusual};
use super::{Function2, all, aside2, fast_two_sum};
use crate::lanes::{Bits, Float, Isa, Mask, Numbers, Real};

/// x to the power of y: exp(y log x) with the logarithm in two parts. At most 1.3 ULP; subnormal results 1.5. Special
/// values follow IEEE 754 and C99. The result is 1 for y = 0 and for x = 1, whatever the other operand is. A negative x
/// with a y that is not an integer gives NaN. Zeros and infinities keep the sign of x for odd y.
pub(crate) struct Pow;

/// Returns log(x) as a sum of two, for positive normal x. `scaled` is subtracted from the exponent of x. The relative
/// error is about 2^-64 (f32: 2^-35).
#[inline(always)]
fn log_parts<T: Logarithm, I: Isa>(isa: I, x: T::V<I>, scaled: Option<T::V<I>>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let s = split::<T, I>(isa, x);
    let e = scaled.map_or(s.e, |k| s.e.sub(k));
    let (r, r_low) = s.r::<T, I>(isa);
    let u = r.mul(r);
    let u_low = r.product_error(r, u);
    // log(1 + r + r_low) = r - r^2 / 2 + r^3 rest + r_low (1 - r + r^2)
    let low = e.mul_add(c(T::E.two[1]), T::find::<I>(s.cell, T::E.low)).add(r.sub(u).neg_mul_add(r_low, r_low));
    let low = r.mul(u).mul_add(T::pow_rest(isa, r, u), u_low.neg_mul_add(c(0.5), low));
    let (high, left) = fast_two_sum(e.mul_add(c(T::E.two[0]), T::find::<I>(s.cell, T::E.log)), r);
    let (high, left_2) = fast_two_sum(high, u.mul(c(-0.5)));
    (high, low.add(left.add(left_2)))
}

/// Computes x^y for positive normal x and finite y. If not `WIDE`, the magnitude of y is at most `LIMITS[5]`.
#[inline(always)]
fn usual<T: Logarithm + Exponential, I: Isa, const WIDE: bool>(
    isa: I,
    x: T::V<I>,
    y: T::V<I>,
    scaled: Option<T::V<I>>,
) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (log, log_low) = log_parts::<T, I>(isa, x, scaled);
    // The products must not overflow for a large magnitude of y. Beyond 2^65 (f32: 2^34) the result is zero, infinity
    // or 1 in any case, so y is clamped.
    let y = if WIDE { c(T::LIMITS[4]).min(c(-T::LIMITS[4]).max(y)) } else { y };
    let p = y.mul(log);
    let low = y.mul_add(log_low, y.product_error(log, p));
    if WIDE {
        let p = clamp::<T, I>(isa, p, [T::RANGE[0] + 1.0, T::RANGE[1] - 1.0]);
        return exp_of_sum::<T, I>(isa, p, low.min(c(0.5)).max(c(-0.5)));
    }
    exp_of_sum::<T, I>(isa, p, low)
}

/// Computes x^y for all arguments.
#[inline(always)]
fn special<T: Logarithm + Exponential, I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (zero, one, infinity) = (c(0.0), c(1.0), c(f64::INFINITY));
    let (a, b) = (x.abs(), y.abs());
    let (normal, scaled) = normalise::<T, I>(isa, a);
    let z = usual::<T, I, true>(isa, normal, y, Some(scaled));
    let (up, down) = (zero.lt(y), y.lt(zero));
    let endless = b.eq(infinity);
    // The magnitude where x is zero or infinite, or y is infinite.
    let small =
        a.eq(zero).and(up).or(a.eq(infinity).and(down)).or(endless.and(a.lt(one).and(up).or(one.lt(a).and(down))));
    let large =
        a.eq(zero).and(down).or(a.eq(infinity).and(up)).or(endless.and(a.lt(one).and(down).or(one.lt(a).and(up))));
    let z = Bits::select(small, zero, Bits::select(large, infinity, z));
    // The sign. An integer y is odd if y / 2 is not an integer. Numbers too large for a fraction are even.
    let integer = y.trunc().eq(y);
    let half = y.mul(c(0.5));
    let odd = integer.and(half.trunc().eq(half).not());
    let z = z.bit_xor(Bits::select(odd, x.bit_and(c(-0.0)), zero));
    let finite = zero.lt(a).and(a.lt(infinity)).and(b.lt(infinity));
    let z = Bits::select(x.lt(zero).and(finite).and(integer.not()), c(f64::NAN), z);
    let z = Bits::select(x.unordered(y), x.add(y), z);
    Bits::select(x.eq(one).or(y.eq(zero)).or(a.eq(one).and(endless)), one, z)
}

/// Returns a vector whose sign bit is set where `usual` does not apply: x is not positive and normal, or y is beyond
/// the limit or NaN.
#[inline(always)]
fn odd<T: Logarithm, I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
    unusual::<T, I>(isa, x).bit_or(all::<T, I>(isa, T::LIMITS[5]).int_sub(y.abs()))
}

/// [`special`], for [`aside2`].
struct AnyPow;

impl<T: Logarithm + Exponential> Function2<T> for AnyPow {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
        special::<T, I>(isa, x, y)
    }
}

macro_rules! function {
    ($T:ident) => {
        impl Function2<$T> for Pow {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>, y: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                if !odd::<$T, I>(isa, x, y).any_sign() {
                    usual::<$T, I, false>(isa, x, y, None)
                } else if I::FUSED {
                    // A call in the loop would make the usual case 2 to 8 % slower.
                    special::<$T, I>(isa, x, y)
                } else {
                    aside2::<$T, AnyPow, I>(isa, x, y)
                }
            }
        }
    };
}
function!(f32);
function!(f64);
