//! Elementary functions over vectors of floats, one file per family.
//!
//! The doc comment of each function states its largest error in ULP. A path that only some lanes need does not change
//! the bits of the other lanes. A result therefore never depends on its neighbours.

#![allow(
    clippy::excessive_precision,
    clippy::approx_constant,
    reason = "coefficients and tables keep their computed digits, even where a value is close to a known constant"
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
#[cfg(test)]
mod exp_log_tests;
mod hyperbolic;
mod inverse;
mod log;
mod pow;
mod roots;
#[cfg(test)]
mod roots_tests;
mod rounding;
mod trig;

pub(crate) use area::{Arccosh, Arcsinh, Arctanh};
pub(crate) use complex::{
    ComplexDiv, ComplexExp, ComplexFunction, ComplexFunction2, ComplexLog, ComplexReciprocal, ComplexSqrt,
    apply_complex, apply_complex_abs, apply_complex2, load_pairs, store_pairs,
};
pub(crate) use division::{FloorDiv, Rem};
pub(crate) use erf::Erf;
pub(crate) use exp::{Exp, Exp2, Expm1};
pub(crate) use hyperbolic::{Cosh, Sigmoid, Sinh, Tanh};
pub(crate) use inverse::{Arccos, Arcsin, Arctan, Arctan2};
pub(crate) use log::{Log, Log1p, Log2, Log10};
pub(crate) use pow::Pow;
pub(crate) use roots::{Cbrt, Hypot};
pub(crate) use rounding::{Ceil, Floor, Round, Trunc};
pub(crate) use trig::{Cos, Sin, Tan};

use crate::lanes::{Float, Isa, Lanes, Numbers, Real, Work};
use std::marker::PhantomData;

/// A function of one float.
pub(crate) trait Function<T: Real> {
    /// Computes the function in every lane.
    fn vector<I: Isa>(isa: I, x: T::V<I>) -> T::V<I>;
}

/// A function of two floats.
pub(crate) trait Function2<T: Real> {
    /// Computes the function in every lane.
    fn vector<I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I>;
}

/// Evaluates `c[0] + c[1] x + c[2] x^2 ..` by Horner's rule.
#[inline(always)]
pub(crate) fn poly<T: Real, I: Isa, const N: usize>(isa: I, x: T::V<I>, c: [f64; N]) -> T::V<I> {
    let mut sum = T::V::<I>::splat(isa, T::from_f64(c[N - 1]));
    for i in (0..N - 1).rev() {
        sum = sum.mul_add(x, T::V::<I>::splat(isa, T::from_f64(c[i])));
    }
    sum
}

/// Returns a vector with the constant `x` in every lane.
#[inline(always)]
pub(crate) fn all<T: Real, I: Isa>(isa: I, x: f64) -> T::V<I> {
    T::V::<I>::splat(isa, T::from_f64(x))
}

#[inline(always)]
pub(crate) fn abs<V: Float>(x: V, minus_zero: V) -> V {
    // x & ~sign without a complement: x ^ (x & sign).
    x.bit_xor(x.bit_and(minus_zero))
}

/// Applies `F` to one vector out of line and through memory. For rarely taken paths, so that the loop around the common
/// path stays short.
#[inline(always)]
pub(crate) fn aside<T: Real, F: Function<T>, I: Isa>(isa: I, x: T::V<I>) -> T::V<I> {
    struct OneVector<'a, T, F>(&'a mut [T; MOST_LANES], PhantomData<F>);
    impl<T: Real, F: Function<T>> Work for OneVector<'_, T, F> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            // SAFETY: the array has `MOST_LANES` elements, and no vector has more lanes.
            unsafe { F::vector(isa, T::V::<I>::load(isa, self.0.as_ptr())).store(self.0.as_mut_ptr()) };
        }
    }
    #[cold]
    #[inline(never)]
    fn enter<T: Real, F: Function<T>, I: Isa>(isa: I, lanes: &mut [T; MOST_LANES]) {
        isa.enter(OneVector::<T, F>(lanes, PhantomData));
    }
    let mut lanes = [T::ONE; MOST_LANES];
    // SAFETY: the array has `MOST_LANES` elements, and no vector has more lanes.
    unsafe { x.store(lanes.as_mut_ptr()) };
    enter::<T, F, I>(isa, &mut lanes);
    // SAFETY: the array has `MOST_LANES` elements, and no vector has more lanes.
    unsafe { T::V::<I>::load(isa, lanes.as_ptr()) }
}

/// As [`aside`], with a function of two operands.
#[inline(always)]
pub(crate) fn aside2<T: Real, F: Function2<T>, I: Isa>(isa: I, x: T::V<I>, y: T::V<I>) -> T::V<I> {
    struct OneVector<'a, T, F>(&'a mut [[T; MOST_LANES]; 2], PhantomData<F>);
    impl<T: Real, F: Function2<T>> Work for OneVector<'_, T, F> {
        type Out = ();
        #[inline(always)]
        fn run<I: Isa>(self, isa: I) {
            let [x, y] = self.0;
            // SAFETY: each array has `MOST_LANES` elements, and no vector has more lanes.
            unsafe {
                let result = F::vector(isa, T::V::<I>::load(isa, x.as_ptr()), T::V::<I>::load(isa, y.as_ptr()));
                result.store(x.as_mut_ptr());
            }
        }
    }
    #[cold]
    #[inline(never)]
    fn enter<T: Real, F: Function2<T>, I: Isa>(isa: I, lanes: &mut [[T; MOST_LANES]; 2]) {
        isa.enter(OneVector::<T, F>(lanes, PhantomData));
    }
    let mut lanes = [[T::ONE; MOST_LANES]; 2];
    // SAFETY: each array has `MOST_LANES` elements, and no vector has more lanes.
    unsafe {
        x.store(lanes[0].as_mut_ptr());
        y.store(lanes[1].as_mut_ptr());
    }
    enter::<T, F, I>(isa, &mut lanes);
    // SAFETY: the array has `MOST_LANES` elements, and no vector has more lanes.
    unsafe { T::V::<I>::load(isa, lanes[0].as_ptr()) }
}

/// Returns `a + b` and its rounding error (D. Knuth, TAOCP 2, 4.2.2).
#[inline(always)]
pub(crate) fn two_sum<V: Float>(a: V, b: V) -> (V, V) {
    let sum = a.add(b);
    let part = sum.sub(a);
    (sum, a.sub(sum.sub(part)).add(b.sub(part)))
}

/// Returns `a + b` and its rounding error, for `|a| >= |b|` or a = 0.
#[inline(always)]
pub(crate) fn fast_two_sum<V: Float>(a: V, b: V) -> (V, V) {
    let sum = a.add(b);
    (sum, b.sub(sum.sub(a)))
}

/// Computes `c - a * b`, rounded once. `c - (a * b rounded)` must be exact, either because the two values are close or
/// because both are multiples of the unit in the last place of a short number.
#[inline(always)]
pub(crate) fn residual<I: Isa, V: Float<Isa = I>>(_: I, c: V, a: V, b: V) -> V {
    if I::FUSED {
        a.neg_mul_add(b, c)
    } else {
        let product = a.mul(b);
        c.sub(product).sub(a.product_error(b, product))
    }
}

/// Returns the rounding error of `product` = a b, also where [`Float::product_error`] would overflow without a fused
/// instruction. |a| is at least 2^-3, or the error is not used.
#[inline(always)]
pub(crate) fn large_product_error<T: Real, I: Isa>(isa: I, a: T::V<I>, b: T::V<I>, product: T::V<I>) -> T::V<I> {
    if I::FUSED {
        return a.product_error(b, product);
    }
    let [down, up] =
        if size_of::<T>() == 4 { [2f64.powi(-30), 2f64.powi(30)] } else { [2f64.powi(-100), 2f64.powi(100)] };
    a.mul(all::<T, I>(isa, down)).product_error(b, product.mul(all::<T, I>(isa, down))).mul(all::<T, I>(isa, up))
}

/// The largest number of lanes of a vector in these functions: four of the widest hardware vectors.
const MOST_LANES: usize = 64;

/// Applies `F` to `n` elements, several vectors at a time: see [`Isa::chains`]. (On Zen 4, four were measured to be a
/// fifth faster than two.)
///
/// # Safety
/// - `src` is valid for reads and `dst` for writes of `n` elements. They may be the same.
#[inline(always)]
pub(crate) unsafe fn apply<T: Real, F: Function<T>, I: Isa>(isa: I, src: *const T, dst: *mut T, n: usize) {
    let isa = isa.chains();
    let width = <T::V<I::Chains> as Lanes>::N;
    // The elements after the last full vector go through the same code in a buffer. This gives the same arithmetic and
    // only one copy of the long function body.
    let mut tail = [T::ONE; MOST_LANES];
    let mut i = 0;
    while i < n {
        let left = n - i;
        // SAFETY: the caller guarantees `src` and `dst` for `n` elements, and accesses stay below n. The buffer has
        // room for a vector.
        unsafe {
            let (mut from, mut to) = (src.add(i), dst.add(i));
            if left < width {
                std::ptr::copy_nonoverlapping(from, tail.as_mut_ptr(), left);
                (from, to) = (tail.as_ptr(), tail.as_mut_ptr());
            }
            F::vector(isa, T::V::load(isa, from)).store(to);
            if left < width {
                std::ptr::copy_nonoverlapping(tail.as_ptr(), dst.add(i), left);
            }
        }
        i += width;
    }
}

/// Applies `F` to `n` pairs, several vectors at a time, since such functions are long dependency chains. With `FORM` 1,
/// y is a single value. With `FORM` 2, x is a single value.
///
/// # Safety
/// - `x` and `y` are valid for reads of `n` elements (of one element where the operand is a single value), and `out`
///   for writes of `n`. `out` may be equal to one of them.
/// - n is at least 1.
#[inline(always)]
pub(crate) unsafe fn apply2<T: Real, F: Function2<T>, I: Isa, const FORM: usize>(
    isa: I,
    x: *const T,
    y: *const T,
    out: *mut T,
    n: usize,
) {
    let isa = isa.chains();
    let width = <T::V<I::Chains> as Lanes>::N;
    // SAFETY: each operand has at least one readable element, because n is at least 1, which the caller guarantees.
    let (x1, y1) = unsafe { (T::V::splat(isa, *x), T::V::splat(isa, *y)) };
    let mut tail = ([T::ONE; MOST_LANES], [T::ONE; MOST_LANES]);
    let mut i = 0;
    while i < n {
        let left = n - i;
        // SAFETY: the caller guarantees `x`, `y` and `out` for `n` elements, or one element of a single value. Accesses
        // stay below n, and the buffers have room for a vector.
        unsafe {
            let (mut a, mut b, mut to) = (x, y, out.add(i));
            if FORM != 2 {
                a = x.add(i);
            }
            if FORM != 1 {
                b = y.add(i);
            }
            if left < width {
                if FORM != 2 {
                    std::ptr::copy_nonoverlapping(a, tail.0.as_mut_ptr(), left);
                    a = tail.0.as_ptr();
                }
                if FORM != 1 {
                    std::ptr::copy_nonoverlapping(b, tail.1.as_mut_ptr(), left);
                    b = tail.1.as_ptr();
                }
                to = tail.0.as_mut_ptr();
            }
            let a = if FORM == 2 { x1 } else { T::V::load(isa, a) };
            let b = if FORM == 1 { y1 } else { T::V::load(isa, b) };
            F::vector(isa, a, b).store(to);
            if left < width {
                std::ptr::copy_nonoverlapping(tail.0.as_ptr(), out.add(i), left);
            }
        }
        i += width;
    }
}
