//! Elementary functions over vectors of floats, one file a family.
//!
//! Each gives the largest error in ULP. A path taken for the sake of some lanes alone leaves the others their bits, so that a result never depends on its neighbours.

#![allow(clippy::excessive_precision, reason = "coefficients stand as their sources print them")]

#[cfg(test)]
mod circular_tests;
mod exp;
#[allow(dead_code, reason = "the ufuncs follow")]
mod inverse;
mod log;
mod pow;
#[allow(dead_code, reason = "the ufunc of tan follows")]
mod trig;

pub(crate) use exp::{Exp, Tanh};
#[allow(unused_imports, reason = "their ufuncs follow")]
pub(crate) use inverse::{Arccos, Arcsin, Arctan, Arctan2};
pub(crate) use log::Log;
pub(crate) use pow::Pow;
#[allow(unused_imports, reason = "its ufunc follows")]
pub(crate) use trig::Tan;
pub(crate) use trig::{Cos, Sin};

use crate::lanes::{Float, Isa, Lanes, Real, Work};
use std::marker::PhantomData;

/// A function of one float.
pub(crate) trait Function<T: Real> {
    /// Its values.
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I>;
}

/// A function of two floats.
#[allow(dead_code, reason = "the functions of two floats follow")]
pub(crate) trait Function2<T: Real> {
    /// Its values.
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I>;
}

/// `c[0] + c[1] x + c[2] x^2 ..`, by Horner's rule.
#[inline(always)]
pub(crate) fn poly<T: Real, I: Isa, const N: usize>(isa: I, x: T::V<I>, c: [f64; N]) -> T::V<I> {
    let mut sum = T::V::<I>::splat(isa, T::from_f64(c[N - 1]));
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, T::V::<I>::splat(isa, T::from_f64(c[i])));
    }
    sum
}

/// A constant in every lane.
#[inline(always)]
pub(crate) fn all<T: Real, I: Isa>(isa: I, x: f64) -> T::V<I> {
    T::V::<I>::splat(isa, T::from_f64(x))
}

#[inline(always)]
pub(crate) fn abs<V: Float>(x: V, minus_zero: V) -> V {
    // x & ~sign, without a complement: x ^ (x & sign)
    x.bit_xor(x.bit_and(minus_zero))
}

/// `F` of one vector, out of line and through memory: for paths that are rarely taken, so that the loop around the usual one stays short.
#[inline(always)]
pub(crate) fn aside<T: Real, F: Function<T>, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    struct OneVector<'a, T, F>(&'a mut [T; 16], PhantomData<F>);
    impl<T: Real, F: Function<T>> Work for OneVector<'_, T, F> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            // SAFETY: a vector has at most 16 lanes.
            unsafe { F::vector(isa, T::V::<I>::load(isa, self.0.as_ptr())).store(self.0.as_mut_ptr()) };
        }
    }
    #[cold]
    #[inline(never)]
    fn enter<T: Real, F: Function<T>, I: Isa>(isa: I, lanes: &mut [T; 16]) {
        isa.enter(OneVector::<T, F>(lanes, PhantomData));
    }
    let mut lanes = [T::ONE; 16];
    // SAFETY: a vector has at most 16 lanes.
    unsafe { x.store(lanes.as_mut_ptr()) };
    enter::<T, F, I>(isa, &mut lanes);
    // SAFETY: as above.
    unsafe { T::V::<I>::load(isa, lanes.as_ptr()) }
}

/// `a + b` and its rounding error (D. Knuth, TAOCP 2, 4.2.2).
#[inline(always)]
pub(crate) fn two_sum<V: Float>(a: V, b: V) -> (V, V) {
    let sum = a.add(b);
    let part = sum.sub(a);
    (sum, a.sub(sum.sub(part)).add(b.sub(part)))
}

/// `a + b` and its rounding error, where `|a| >= |b|` or a is 0.
#[inline(always)]
pub(crate) fn fast_two_sum<V: Float>(a: V, b: V) -> (V, V) {
    let sum = a.add(b);
    (sum, b.sub(sum.sub(a)))
}

/// `f` of `n` elements. The tail goes through the same arithmetic as the body, in a buffer of one vector.
///
/// # Safety
/// - `src` is valid for reads and `dst` for writes of `n` elements; they may be the same.
#[inline(always)]
pub(crate) unsafe fn apply<T: Real, F: Function<T>, I: Isa>(isa: I, src: *const T, dst: *mut T, n: usize) {
    let width = <T::V<I> as Lanes>::N;
    let mut i = 0;
    while i + width <= n {
        // SAFETY: i + width <= n, and the pointers are the caller's.
        unsafe { one_vector::<T, F, I>(isa, src.add(i), dst.add(i)) };
        i += width;
    }
    if i < n {
        let mut tail = [T::ONE; 16];
        // SAFETY: n - i < width <= 16 elements, and the pointers are the caller's.
        unsafe {
            std::ptr::copy_nonoverlapping(src.add(i), tail.as_mut_ptr(), n - i);
            one_vector::<T, F, I>(isa, tail.as_ptr(), tail.as_mut_ptr());
            std::ptr::copy_nonoverlapping(tail.as_ptr(), dst.add(i), n - i);
        }
    }
}

/// # Safety
/// - `src` is valid for reads and `dst` for writes of one vector; they may be the same.
#[inline(always)]
unsafe fn one_vector<T: Real, F: Function<T>, I: Isa>(isa: I, src: *const T, dst: *mut T) {
    // SAFETY: the caller's.
    let x = unsafe { T::V::<I>::load(isa, src) };
    // SAFETY: the caller's.
    unsafe { F::vector(isa, x).store(dst) };
}

/// `f` of `n` pairs. With `FORM` 1 y, with 2 x is a single value. The tail goes through the same arithmetic as the body, in a buffer of one vector.
///
/// # Safety
/// - `x` and `y` are valid for reads of `n` elements (of one, where it is a single value), `out` for writes of `n`; `out` may be one of them;
/// - n is at least 1.
#[inline(always)]
#[allow(dead_code, reason = "the functions of two floats follow")]
pub(crate) unsafe fn apply2<T: Real, F: Function2<T>, I: Isa, const FORM: usize>(isa: I, x: *const T, y: *const T, out: *mut T, n: usize) {
    let width = <T::V<I> as Lanes>::N;
    // SAFETY: the caller's.
    let (x1, y1) = unsafe { (T::V::<I>::splat(isa, *x), T::V::<I>::splat(isa, *y)) };
    let mut i = 0;
    while i + width <= n {
        // SAFETY: i + width <= n, and the pointers are the caller's.
        unsafe {
            let a = if FORM == 2 { x1 } else { T::V::<I>::load(isa, x.add(i)) };
            let b = if FORM == 1 { y1 } else { T::V::<I>::load(isa, y.add(i)) };
            F::vector(isa, a, b).store(out.add(i));
        }
        i += width;
    }
    if i < n {
        let mut tail = ([T::ONE; 16], [T::ONE; 16]);
        // SAFETY: n - i < width <= 16 elements, and the pointers are the caller's.
        unsafe {
            if FORM != 2 {
                std::ptr::copy_nonoverlapping(x.add(i), tail.0.as_mut_ptr(), n - i);
            }
            if FORM != 1 {
                std::ptr::copy_nonoverlapping(y.add(i), tail.1.as_mut_ptr(), n - i);
            }
            let a = if FORM == 2 { x1 } else { T::V::<I>::load(isa, tail.0.as_ptr()) };
            let b = if FORM == 1 { y1 } else { T::V::<I>::load(isa, tail.1.as_ptr()) };
            F::vector(isa, a, b).store(tail.0.as_mut_ptr());
            std::ptr::copy_nonoverlapping(tail.0.as_ptr(), out.add(i), n - i);
        }
    }
}
