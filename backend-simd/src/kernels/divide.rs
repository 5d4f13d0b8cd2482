//! Quotients of integers by one value: the divisor is replaced by a reciprocal, so that no element needs a division.

use super::Args;
use super::exact::{Div, IntFloorDiv, IntRem};
use crate::lanes::{Body, Isa};
use std::marker::PhantomData;

/// An integer that can be divided by a prepared divisor.
pub(super) trait Divided: Copy {
    const ZERO: Self;
    /// The precomputed form of a divisor.
    type Divisor: Copy;
    /// Prepares a divisor, unless it is 0.
    fn divisor(y: Self) -> Option<Self::Divisor>;
    /// Returns the truncated quotient, wrapped.
    fn quotient(x: Self, y: Self::Divisor) -> Self;
}

/// Integers of up to 32 bits: the number `x`, moved by 1/2 away from 0, times the reciprocal of the divisor `y`,
/// truncated. The exact product is at least `1 / (2 y)` away from every integer, and the rounded one within `eps x / y`
/// of it. This is less for `x < 1 / (2 eps)`: below 2^22 for f32, and 2^51 for f64.
macro_rules! by_floats {
    ($($T:ident in $F:ident by $Int:ident;)*) => { $(
        impl Divided for $T {
            const ZERO: $T = 0;
            type Divisor = $F;
            #[inline(always)]
            fn divisor(y: $T) -> Option<$F> {
                (y != 0).then(|| 1.0 / <$F>::from(y))
            }
            #[inline(always)]
            fn quotient(x: $T, y: $F) -> $T {
                let x = <$F>::from(x);
                // SAFETY: the divisor is not 0, so the product is finite, and at most half a unit above 2^32.
                unsafe { ((x + (0.5 as $F).copysign(x)) * y).to_int_unchecked::<$Int>() as $T }
            }
        }
    )* };
}
by_floats! {
    i8 in f32 by i32;
    u8 in f32 by i32;
    i16 in f32 by i32;
    u16 in f32 by i32;
    i32 in f64 by i64;
    u32 in f64 by i64;
}

/// A divisor of 64 bits as a multiplier and two shifts (T. Granlund and P. Montgomery, "Division by invariant integers
/// using multiplication", PLDI 1994, figure 4.1).
#[derive(Clone, Copy)]
pub(super) struct Magic {
    multiplier: u64,
    shifts: [u32; 2],
    /// 0, or -1 if the divisor is negative.
    sign: i64,
}

impl Magic {
    #[inline(always)]
    fn new(y: u64, sign: i64) -> Option<Magic> {
        let bits = u64::BITS - y.checked_sub(1)?.leading_zeros();
        let above = (1u128 << bits) - u128::from(y);
        // Less than 2^64, because `above` is less than `y`.
        let multiplier = ((above << 64) / u128::from(y)) as u64 + 1;
        Some(Magic { multiplier, shifts: [bits.min(1), bits.max(1) - 1], sign })
    }

    #[inline(always)]
    fn quotient(self, x: u64) -> u64 {
        let high = ((u128::from(self.multiplier) * u128::from(x)) >> 64) as u64;
        (high + ((x - high) >> self.shifts[0])) >> self.shifts[1]
    }
}

impl Divided for u64 {
    const ZERO: u64 = 0;
    type Divisor = Magic;
    #[inline(always)]
    fn divisor(y: u64) -> Option<Magic> {
        Magic::new(y, 0)
    }
    #[inline(always)]
    fn quotient(x: u64, y: Magic) -> u64 {
        y.quotient(x)
    }
}

impl Divided for i64 {
    const ZERO: i64 = 0;
    type Divisor = Magic;
    #[inline(always)]
    fn divisor(y: i64) -> Option<Magic> {
        Magic::new(y.unsigned_abs(), y >> 63)
    }
    #[inline(always)]
    fn quotient(x: i64, y: Magic) -> i64 {
        let sign = (x >> 63) ^ y.sign;
        (y.quotient(x.unsigned_abs()) as i64 ^ sign).wrapping_sub(sign)
    }
}

/// A function of a number, a divisor other than 0, and their truncated quotient.
pub(super) trait OfQuotient<T> {
    fn of(x: T, y: T, quotient: T) -> T;
}

macro_rules! of_quotient {
    ($($T:ident)*) => { $(
        impl OfQuotient<$T> for Div {
            #[inline(always)]
            fn of(_: $T, _: $T, quotient: $T) -> $T {
                quotient
            }
        }
        impl OfQuotient<$T> for IntRem {
            #[inline(always)]
            fn of(x: $T, y: $T, quotient: $T) -> $T {
                x.wrapping_sub(quotient.wrapping_mul(y))
            }
        }
        impl OfQuotient<$T> for IntFloorDiv {
            #[inline(always)]
            #[allow(unused_comparisons, reason = "unsigned integers are never negative")]
            fn of(x: $T, y: $T, quotient: $T) -> $T {
                let below = x != quotient.wrapping_mul(y) && (x < 0) != (y < 0);
                quotient.wrapping_sub(<$T>::from(below))
            }
        }
    )* };
}
of_quotient!(i8 i16 i32 i64 u8 u16 u32 u64);

/// `F` of a strip and a single divisor; 0 if the divisor is 0.
pub(super) struct ByValue<T, F>(PhantomData<(T, F)>);

impl<T: Divided, F: OfQuotient<T>> Body for ByValue<T, F> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let (a, dst) = (args.a.cast::<T>(), args.out.cast::<T>());
        // SAFETY: `i < n`: the caller of the kernel guarantees n elements and places, and one divisor (the contract of
        // `Kernel`).
        unsafe {
            let y = *args.b.cast::<T>();
            match T::divisor(y) {
                None => (0..args.n).for_each(|i| *dst.add(i) = T::ZERO),
                Some(divisor) => {
                    for i in 0..args.n {
                        let x = *a.add(i);
                        *dst.add(i) = F::of(x, y, T::quotient(x, divisor));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares every quotient of `xs` and `ys` with the integer division.
    macro_rules! check {
        ($T:ident, $xs:expr, $ys:expr) => {{
            let (xs, ys): (Vec<$T>, Vec<$T>) = ($xs.into_iter().collect(), $ys.into_iter().collect());
            assert!($T::divisor(0).is_none());
            for &y in ys.iter().filter(|&&y| y != 0) {
                let divisor = $T::divisor(y).expect("the divisor is not 0");
                for &x in &xs {
                    assert_eq!($T::quotient(x, divisor), x.wrapping_div(y), "{x} / {y}");
                }
            }
        }};
    }

    /// Numbers near multiples of powers of two and of each divisor, and pseudorandom ones.
    fn edges(bits: u32) -> Vec<u64> {
        let mut state = 88_172_645_463_325_252u64;
        let mut numbers = Vec::new();
        for shift in 0..bits {
            for near in -2i64..=2 {
                numbers.push((1u64 << shift).wrapping_add_signed(near));
                numbers.push((1u64 << shift).wrapping_mul(3).wrapping_add_signed(near));
                numbers.push((u64::MAX >> shift).wrapping_add_signed(near));
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            numbers.push(state);
        }
        numbers
    }

    #[test]
    fn quotients_by_reciprocals_are_those_of_divisions() {
        check!(i8, i8::MIN..=i8::MAX, i8::MIN..=i8::MAX);
        check!(u8, u8::MIN..=u8::MAX, u8::MIN..=u8::MAX);
        let odd = (0..=u16::MAX).step_by(97).chain([1, 2, 3, 255, 256, 257, 32767, 32768, 65534, 65535]);
        check!(u16, u16::MIN..=u16::MAX, odd.clone());
        check!(i16, i16::MIN..=i16::MAX, odd.map(|y| y as i16));
        // Multiples of each divisor and their neighbours are the numbers nearest to an integer quotient.
        let all = edges(32);
        let beside = |y: u64| {
            (0..9u64).flat_map(move |k| [k, (u64::MAX / y.max(1)).saturating_sub(k)].map(|k| k.wrapping_mul(y)))
        };
        let near: Vec<u64> =
            all.iter().flat_map(|&y| beside(y & 0xffff_ffff)).flat_map(|x| [x.wrapping_sub(1), x]).collect();
        let xs = || all.iter().chain(&near).copied();
        check!(u32, xs().map(|x| x as u32), all.iter().map(|&y| y as u32));
        check!(
            i32,
            xs().map(|x| x as i32).chain([i32::MIN, i32::MAX]),
            all.iter().map(|&y| y as i32).chain([-1, i32::MIN])
        );
        let all = edges(64);
        let near: Vec<u64> = all.iter().flat_map(|&y| beside(y)).flat_map(|x| [x.wrapping_sub(1), x]).collect();
        let xs = || all.iter().chain(near.iter().step_by(7)).copied();
        check!(u64, xs(), all.iter().copied());
        check!(i64, xs().map(|x| x as i64).chain([i64::MIN]), all.iter().map(|&y| y as i64).chain([-1, i64::MIN]));
    }
}
