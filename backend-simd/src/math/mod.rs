//! Elementary functions over vectors of floats, one file a family.
//!
//! Each gives the largest error in ULP. A path taken for the sake of some lanes alone leaves the others their bits, so that a result never depends on its neighbours.

#![allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "coefficients and tables stand as they were computed, those that are near a known constant too"
)]

mod area;
#[cfg(test)]
mod circular_tests;
mod complex;
#[cfg(test)]
mod complex_tests;
mod division;
mod erf;
mod exp;
mod hyperbolic;
mod inverse;
mod log;
mod pow;
mod roots;
#[cfg(test)]
mod roots_tests;
mod trig;

pub(crate) use area::{Arccosh, Arcsinh, Arctanh};
pub(crate) use complex::{
    ComplexDiv, ComplexExp, ComplexFunction, ComplexFunction2, ComplexLog, ComplexSqrt, apply_complex, apply_complex_abs, apply_complex2,
};
pub(crate) use division::{FloorDiv, Rem};
pub(crate) use erf::Erf;
pub(crate) use exp::{Exp, Exp2, Expm1};
pub(crate) use hyperbolic::{Cosh, Sigmoid, Sinh, Tanh};
pub(crate) use inverse::{Arccos, Arcsin, Arctan, Arctan2};
pub(crate) use log::{Log, Log1p, Log2, Log10};
pub(crate) use pow::Pow;
pub(crate) use roots::{Cbrt, Hypot};
pub(crate) use trig::{Cos, Sin, Tan};

use crate::lanes::{Float, Isa, Lanes, Real, Work};
use std::marker::PhantomData;

/// A function of one float.
pub(crate) trait Function<T: Real> {
    /// Its values.
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I>;

    /// Those of four vectors, which may share a test for rare arguments.
    #[inline(always)]
    fn four<I: Isa>(isa: I, [a, b, c, d]: [T::V<I>; 4]) -> [T::V<I>; 4] {
        [Self::vector(isa, a), Self::vector(isa, b), Self::vector(isa, c), Self::vector(isa, d)]
    }
}

/// A function of two floats.
pub(crate) trait Function2<T: Real> {
    /// Its values.
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I>;

    /// Those of four vectors, as in [`Function::four`].
    #[inline(always)]
    fn four<I: Isa>(isa: I, [a, b, c, d]: [T::V<I>; 4], [e, f, g, h]: [T::V<I>; 4]) -> [T::V<I>; 4] {
        [Self::vector(isa, a, e), Self::vector(isa, b, f), Self::vector(isa, c, g), Self::vector(isa, d, h)]
    }
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

/// `c - a * b` rounded once, where `c - (a * b rounded)` is exact: because the two are close, or because both are multiples of the units of a short number.
#[inline(always)]
pub(crate) fn residual<I: Isa, V: Float<Isa = I>>(_: I, c: V, a: V, b: V) -> V {
    if I::FUSED {
        a.neg_mul_add(b, c)
    } else {
        let product = a.mul(b);
        c.sub(product).sub(a.product_error(b, product))
    }
}

/// The rounding error of `product` = a b, also where [`Float::product_error`] without a fused instruction would overflow. |a| is at least 2^-3 or the error not needed.
#[inline(always)]
pub(crate) fn large_product_error<T: Real, I: Isa>(isa: I, a: T::V<I>, b: T::V<I>, product: T::V<I>) -> T::V<I> {
    if I::FUSED {
        return a.product_error(b, product);
    }
    let [down, up] = if size_of::<T>() == 4 { [2f64.powi(-30), 2f64.powi(30)] } else { [2f64.powi(-100), 2f64.powi(100)] };
    a.mul(all::<T, I>(isa, down)).product_error(b, product.mul(all::<T, I>(isa, down))).mul(all::<T, I>(isa, up))
}

/// `f` of `n` elements. The tail goes through the same arithmetic as the body, in a buffer of one vector.
///
/// # Safety
/// - `src` is valid for reads and `dst` for writes of `n` elements; they may be the same.
#[inline(always)]
pub(crate) unsafe fn apply<T: Real, F: Function<T>, I: Isa>(isa: I, src: *const T, dst: *mut T, n: usize) {
    let width = <T::V<I> as Lanes>::N;
    let mut i = 0;
    while i + 4 * width <= n {
        // SAFETY: i + 4 width <= n, and the pointers are the caller's.
        unsafe {
            let load = |k| T::V::<I>::load(isa, src.add(i + k * width));
            let [a, b, c, d] = F::four(isa, [load(0), load(1), load(2), load(3)]);
            a.store(dst.add(i));
            b.store(dst.add(i + width));
            c.store(dst.add(i + 2 * width));
            d.store(dst.add(i + 3 * width));
        }
        i += 4 * width;
    }
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
pub(crate) unsafe fn apply2<T: Real, F: Function2<T>, I: Isa, const FORM: usize>(isa: I, x: *const T, y: *const T, out: *mut T, n: usize) {
    let width = <T::V<I> as Lanes>::N;
    // SAFETY: the caller's.
    let (x1, y1) = unsafe { (T::V::<I>::splat(isa, *x), T::V::<I>::splat(isa, *y)) };
    let mut i = 0;
    // SAFETY: callers give an element from which a vector can be read.
    let first = |at: usize| unsafe { if FORM == 2 { x1 } else { T::V::<I>::load(isa, x.add(at)) } };
    // SAFETY: the same.
    let second = |at: usize| unsafe { if FORM == 1 { y1 } else { T::V::<I>::load(isa, y.add(at)) } };
    while i + 4 * width <= n {
        let at = [i, i + width, i + 2 * width, i + 3 * width];
        let (xs, ys) = ([first(at[0]), first(at[1]), first(at[2]), first(at[3])], [second(at[0]), second(at[1]), second(at[2]), second(at[3])]);
        let [a, b, c, d] = F::four(isa, xs, ys);
        // SAFETY: i + 4 width <= n, and the pointers are the caller's.
        unsafe {
            a.store(out.add(at[0]));
            b.store(out.add(at[1]));
            c.store(out.add(at[2]));
            d.store(out.add(at[3]));
        }
        i += 4 * width;
    }
    while i + width <= n {
        // SAFETY: i + width <= n, and the pointers are the caller's.
        unsafe { F::vector(isa, first(i), second(i)).store(out.add(i)) };
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
