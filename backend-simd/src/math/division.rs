//! The remainder of division, and division rounded down. Both are exact.

use super::{Function2, all, residual};
use crate::lanes::{Bits, Exponents, Float, Isa, Mask, Numbers, Real};

/// Splits `x = m 2^e` with m in [1, 2). Returns m and e, for positive and finite x, also for subnormal ones.
#[inline(always)]
fn parts<T: Real, I: Isa>(isa: I, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let (tiny, raise, by, bias) = if size_of::<T>() == 4 {
        (f64::from(f32::MIN_POSITIVE), 16_777_216.0, 24.0, 127.0)
    } else {
        (f64::MIN_POSITIVE, 18_014_398_509_481_984.0, 54.0, 1023.0)
    };
    let subnormal = x.lt(c(tiny));
    let x = Bits::select(subnormal, x.mul(c(raise)), x);
    let e = x.shr_mantissa().int_to_float().sub(Bits::select(subnormal, c(bias + by), c(bias)));
    (x.bit_xor(x.bit_and(c(f64::INFINITY))).bit_or(c(1.0)), e)
}

/// The number of quotient bits that one [`step`] can process.
#[inline(always)]
fn step_bits<T: Real, I: Isa>() -> i32 {
    match (size_of::<T>(), I::FUSED) {
        (4, true) => 23,
        (4, false) => 11,
        (_, true) => 52,
        (_, false) => 25,
    }
}

/// Computes `a mod d` for finite a >= 0 and d > 0 with a quotient below 2^step_bits. The result is exact: the rounded
/// and truncated quotient is right or one too large. The remainder is a multiple of the unit in the last place of d (or
/// a), and it is less than d in magnitude.
#[inline(always)]
fn step<T: Real, I: Isa>(isa: I, a: T::V<I>, d: T::V<I>) -> T::V<I> {
    let n = a.div(d).trunc();
    let left = if I::FUSED {
        n.neg_mul_add(d, a)
    } else {
        // d is split into two halves of its bits. Their products with such a short quotient are exact. The first
        // difference is also exact: for n >= 2 both operands are multiples of twice the unit in the last place of d.
        let d_high = d.shr(if size_of::<T>() == 4 { 12 } else { 26 }).shl(if size_of::<T>() == 4 { 12 } else { 26 });
        a.sub(n.mul(d_high)).sub(n.mul(d.sub(d_high)))
    };
    Bits::select(left.lt(all::<T, I>(isa, 0.0)), left.add(d), left)
}

/// The remainder of truncated division: x - y trunc(x / y), exact, with the sign of x (C's fmod, Rust's `%`). NaN where
/// x is infinite or y is zero.
pub(crate) struct Rem;

impl<T: Real> Function2<T> for Rem {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let (a, b) = (x.abs(), y.abs());
        let valid = c(0.0).lt(b).and(a.lt(c(f64::INFINITY)));
        let limit = b.mul(c(2.0f64.powi(step_bits::<T, I>())));
        let mut r = a;
        // For large quotients, multiples of b 2^j are subtracted first, which processes the highest bits of the
        // quotient. Lanes with small quotients keep r; j is bounded for them.
        while limit.lt(r).and(valid).any() {
            let ((_, e_r), (m, e_b)) = (parts::<T, I>(isa, r), parts::<T, I>(isa, b));
            let j = e_r.sub(e_b).sub(c(f64::from(step_bits::<T, I>() - 1))).max(c(0.0));
            let d = m.scale(isa, e_b.add(j));
            r = Bits::select(limit.lt(r), step::<T, I>(isa, r, d), r);
        }
        let r = step::<T, I>(isa, r, b);
        // Where y is infinite, `step` multiplies it by zero, which gives NaN. The remainder is a.
        let r = Bits::select(a.lt(b), a, r);
        Bits::select(valid, r.copysign(x), c(f64::NAN))
    }
}

/// Division rounded down: floor(x / y), exact where it is below 2^53 (f32: 2^24) in magnitude, otherwise x / y rounded.
/// Zero has the sign of the quotient. Where y is zero, the result is x / y, also for infinite x. For other y, infinite
/// x gives NaN.
pub(crate) struct FloorDiv;

impl<T: Real> Function2<T> for FloorDiv {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let limit = c(if size_of::<T>() == 4 { 16_777_216.0 } else { 9_007_199_254_740_992.0 });
        let q = x.div(y);
        let f = q.floor();
        let left = if I::FUSED {
            residual(isa, x, f, y)
        } else {
            // Without a fused instruction, intermediate products of large numbers overflow. Scaling both operands keeps
            // the sign of the remainder.
            let (large, down) = if size_of::<T>() == 4 { (100, -30) } else { (900, -200) };
            let down = Bits::select(c(2.0f64.powi(large)).lt(y.abs()), c(2.0f64.powi(down)), c(1.0));
            residual(isa, x.mul(down), f, y.mul(down))
        };
        // Where the quotient is zero by underflow or because y is infinite, the remainder is x.
        let left = Bits::select(q.eq(c(0.0)), x, left);
        // Only a quotient that was rounded up to an integer can be too large.
        let below = left.bit_xor(y.bit_and(c(-0.0))).lt(c(0.0));
        let too_large = below.and(q.eq(f)).and(q.abs().lt(limit));
        let f = Bits::select(too_large, f.sub(c(1.0)), f);
        Bits::select(x.abs().eq(c(f64::INFINITY)).and(y.eq(c(0.0)).not()), c(f64::NAN), f)
    }
}
