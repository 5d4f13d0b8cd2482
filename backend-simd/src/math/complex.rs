//! Functions of complex numbers, with the real and the imaginary parts in one vector each, and conversion from and to
//! interleaved pairs in memory.
//!
//! The results for infinities, NaN and signed zeros follow C99 (annex G), as in NumPy.

use super::area::{Logs, log_of_sum};
use super::{Arctan2, Cos, Exp, Function, Function2, Hypot, Sin, all, fast_two_sum};
use crate::lanes::{Bits, Exponents, Float, Isa, Lanes, Mask, Numbers, Real};

/// The real and imaginary parts of as many complex numbers as a vector has lanes.
pub(crate) type Parts<T, I> = (<T as Real>::V<I>, <T as Real>::V<I>);

/// A function of one complex number.
pub(crate) trait ComplexFunction<T: Real> {
    fn vector<I: Isa>(isa: I, z: Parts<T, I>) -> Parts<T, I>;
}

/// A function of two complex numbers.
pub(crate) trait ComplexFunction2<T: Real> {
    fn vector<I: Isa>(isa: I, x: Parts<T, I>, y: Parts<T, I>) -> Parts<T, I>;
}

/// The magnitude as in [`Hypot`], with an imaginary part of zero.
pub(crate) struct ComplexAbs;

impl<T: Real> ComplexFunction<T> for ComplexAbs {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, (re, im): Parts<T, I>) -> Parts<T, I> {
        (<Hypot as Function2<T>>::vector(isa, re, im), all::<T, I>(isa, 0.0))
    }
}

/// The scaling of numbers whose squares would overflow or lose bits.
struct Scales {
    /// Magnitudes below `low` are scaled up, and magnitudes above `high` are scaled down.
    low: f64,
    high: f64,
    /// The exponent of the scale factor: 2^by to scale up and 2^-by to scale down. An even number.
    by: i32,
}

#[inline(always)]
fn scales<T: Real>() -> Scales {
    let (low, high, by) = if size_of::<T>() == 4 { (-48, 62, 100) } else { (-480, 510, 600) };
    Scales { low: 2.0f64.powi(low), high: 2.0f64.powi(high), by }
}

/// Scales z by [`scales`] where `most`, the larger magnitude of its parts, is out of range. Returns z and the exponent
/// of the scale factor.
#[inline(always)]
fn scaled<T: Real, I: Isa>(isa: I, z: Parts<T, I>, most: T::V<I>) -> (Parts<T, I>, T::V<I>) {
    let c = |v: f64| all::<T, I>(isa, v);
    let Scales { low, high, by } = scales::<T>();
    let (little, large) = (most.lt(c(low)), c(high).lt(most));
    if !little.or(large).any() {
        return (z, c(0.0));
    }
    let pick = |up: f64, down: f64, else_: f64| Bits::select(little, c(up), Bits::select(large, c(down), c(else_)));
    let factor = pick(2.0f64.powi(by), 2.0f64.powi(-by), 1.0);
    ((z.0.mul(factor), z.1.mul(factor)), pick(f64::from(by), f64::from(-by), 0.0))
}

/// The square root with a nonnegative real part. With t = sqrt((|re| + |z|) / 2) it is t + i im / (2t), or |im| / (2t)
/// ± i t where re is negative. The error is 3 eps of the magnitude.
pub(crate) struct ComplexSqrt;

impl<T: Real> ComplexFunction<T> for ComplexSqrt {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, z: Parts<T, I>) -> Parts<T, I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let (a, b) = (z.0.abs(), z.1.abs());
        let ((a, b), by) = scaled::<T, I>(isa, (a, b), a.max(b));
        let t = a.add(<Hypot as Function2<T>>::vector(isa, a, b)).mul(c(0.5)).sqrt();
        let other = b.div(t.add(t));
        // The roots are normal before and after, so this multiplication is exact.
        let by = by.mul(c(-0.5));
        let unscaled = |v: T::V<I>| if by.eq(c(0.0)).all() { v } else { v.mul(c(1.0).scale(isa, by)) };
        let (t, other) = (unscaled(t), unscaled(other));
        let zero = t.eq(c(0.0));
        let other = Bits::select(zero, b, other);
        let negative = z.0.sign_mask().and(zero.not());
        let (re, im) = (Bits::select(negative, other, t), Bits::select(negative, t, other));
        // An infinite imaginary part gives an infinite result, even if the real part is NaN.
        let infinite = b.eq(c(f64::INFINITY));
        (Bits::select(infinite, b, re), Bits::select(infinite, b, im).copysign(z.1))
    }
}

/// e to the power of z: exp(re) (cos im + i sin im), also where the result is in range but exp(re) is not. The error is
/// 3 eps of the magnitude.
pub(crate) struct ComplexExp;

impl<T: Real> ComplexFunction<T> for ComplexExp
where
    Exp: Function<T>,
    Sin: Function<T>,
    Cos: Function<T>,
{
    #[inline(always)]
    fn vector<I: Isa>(isa: I, (re, im): Parts<T, I>) -> Parts<T, I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let (cos, sin) = (<Cos as Function<T>>::vector(isa, im), <Sin as Function<T>>::vector(isa, im));
        // Multiplies by exp(re / 2) twice where exp(re) could overflow or underflow.
        let far = c(if size_of::<T>() == 4 { 80.0 } else { 700.0 }).lt(re.abs());
        let e = <Exp as Function<T>>::vector(isa, Bits::select(far, re.mul(c(0.5)), re));
        let (mut x, mut y) = (e.mul(cos), e.mul(sin));
        if far.any() {
            let again = Bits::select(far, e, c(1.0));
            (x, y) = (x.mul(again), y.mul(again));
            let infinity = c(f64::INFINITY);
            let directed = im.abs().lt(infinity);
            // For re = ±inf and im infinite or NaN, the result has infinite magnitude and no direction, or it is zero.
            let (plus, minus) = (re.eq(infinity).and(directed.not()), re.eq(c(f64::NEG_INFINITY)).and(directed.not()));
            x = Bits::select(plus, infinity, Bits::select(minus, c(0.0), x));
            y = Bits::select(plus, c(f64::NAN), Bits::select(minus, c(0.0), y));
        }
        (x, Bits::select(im.eq(c(0.0)), im, y))
    }
}

/// The natural logarithm: log|z| + i arg z. The square of |z| is a sum of two, so that the relative error of its
/// logarithm is small even near |z| = 1. The error of each part is 1 eps of that part.
pub(crate) struct ComplexLog;

impl<T: Logs> ComplexFunction<T> for ComplexLog
where
    Arctan2: Function2<T>,
{
    #[inline(always)]
    fn vector<I: Isa>(isa: I, (re, im): Parts<T, I>) -> Parts<T, I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let angle = <Arctan2 as Function2<T>>::vector(isa, im, re);
        let (x, y) = (re.abs(), im.abs());
        let ((a, b), by) = scaled::<T, I>(isa, (x.max(y), x.min(y)), x.max(y));
        let (aa, bb) = (a.mul(a), b.mul(b));
        let (s, rest) = fast_two_sum(aa, bb);
        let (s, rest) = fast_two_sum(s, rest.add(a.product_error(a, aa).add(b.product_error(b, bb))));
        let log = log_of_sum::<T, I>(isa, s, rest, Some(by.mul(c(-2.0)))).mul(c(0.5));
        let log = Bits::select(x.unordered(y), c(f64::NAN), log);
        let infinity = c(f64::INFINITY);
        let log = Bits::select(x.eq(infinity).or(y.eq(infinity)), infinity, log);
        (Bits::select(x.max(y).eq(c(0.0)), c(f64::NEG_INFINITY), log), angle)
    }
}

/// The quotient (R. Smith, "Algorithm 116: Complex division", CACM 5, 1962), with the same operations as in the scalar
/// backend.
pub(crate) struct ComplexDiv;

/// The quotient of 1 and z, as [`ComplexDiv`].
pub(crate) struct ComplexReciprocal;

impl<T: Real> ComplexFunction<T> for ComplexReciprocal {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, z: Parts<T, I>) -> Parts<T, I> {
        <ComplexDiv as ComplexFunction2<T>>::vector(isa, (all::<T, I>(isa, 1.0), all::<T, I>(isa, 0.0)), z)
    }
}

/// Returns the larger magnitude of the two parts. It is NaN only where the real part is NaN.
#[inline(always)]
fn larger<T: Real, I: Isa>(z: Parts<T, I>) -> T::V<I> {
    let (re, im) = (z.0.abs(), z.1.abs());
    Bits::select(re.lt(im), im, re)
}

/// Returns the scale factor for a number with the larger magnitude `most`. With it, neither sums nor products of its
/// parts and a ratio leave the range of the type or lose digits.
#[inline(always)]
fn quotient_scale<T: Real, I: Isa>(isa: I, most: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let (large, little, by) = if size_of::<T>() == 4 { (125, -70, 60) } else { (1021, -900, 200) };
    let up = Bits::select(most.lt(c(2.0f64.powi(little))), c(2.0f64.powi(by)), c(1.0));
    Bits::select(c(2.0f64.powi(large)).lt(most), c(0.0625), up)
}

impl<T: Real> ComplexFunction2<T> for ComplexDiv {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: Parts<T, I>, y: Parts<T, I>) -> Parts<T, I> {
        let c = |v: f64| all::<T, I>(isa, v);
        let (by_x, by_y) =
            (quotient_scale::<T, I>(isa, larger::<T, I>(x)), quotient_scale::<T, I>(isa, larger::<T, I>(y)));
        let z = if by_x.eq(c(1.0)).and(by_y.eq(c(1.0))).all() {
            quotient::<T, I>(x, y)
        } else {
            let (re, im) = quotient::<T, I>((x.0.mul(by_x), x.1.mul(by_x)), (y.0.mul(by_y), y.1.mul(by_y)));
            let back = by_y.div(by_x);
            (re.mul(back), im.mul(back))
        };
        let (re, im) = (y.0.abs(), y.1.abs());
        let zero = re.max(im).eq(c(0.0));
        (Bits::select(zero, x.0.div(re), z.0), Bits::select(zero, x.1.div(re), z.1))
    }
}

#[inline(always)]
fn quotient<T: Real, I: Isa>(x: Parts<T, I>, y: Parts<T, I>) -> Parts<T, I> {
    // This differs from !(re >= im) where a part is NaN, but then the quotient is NaN as well.
    let steep = y.0.abs().lt(y.1.abs());
    let swap = |(a, b): Parts<T, I>| (Bits::select(steep, b, a), Bits::select(steep, a, b));
    let ((p, q), (u, v)) = (swap(y), swap(x));
    let ratio = q.div(p);
    let scale = q.mul(ratio).add(p);
    let product = u.mul(ratio);
    let im_part = Bits::select(steep, product.sub(v), v.sub(product));
    (v.mul(ratio).add(u).div(scale), im_part.div(scale))
}

/// Loads the parts of the first `n` complex numbers, which are interleaved pairs at `from`. The other lanes are
/// 1 + 0i, whose powers stay in range.
///
/// # Safety
/// - `from` is valid for reads of `2 n` elements, and n is at most the number of lanes.
#[inline(always)]
pub(crate) unsafe fn load_pairs<T: Real, I: Isa>(isa: I, from: *const T, n: usize) -> Parts<T, I> {
    let (mut re, mut im) = ([T::ONE; 16], [T::from_f64(0.0); 16]);
    let width = <T::V<I> as Lanes>::N;
    // Two calls, so that the loop over a full vector has a constant length.
    let mut put = |i: usize| {
        // SAFETY: i < n, and `from` is valid for reads of `2 n` elements, which the caller guarantees.
        (re[i], im[i]) = unsafe { (*from.add(2 * i), *from.add(2 * i + 1)) };
    };
    if n == width {
        (0..width).for_each(&mut put);
    } else {
        (0..n).for_each(&mut put);
    }
    // SAFETY: a vector has at most 16 lanes.
    unsafe { (T::V::<I>::load(isa, re.as_ptr()), T::V::<I>::load(isa, im.as_ptr())) }
}

/// The inverse of [`load_pairs`].
///
/// # Safety
/// - `to` is valid for writes of `2 n` elements, and n is at most the number of lanes.
#[inline(always)]
pub(crate) unsafe fn store_pairs<T: Real, I: Isa>(z: Parts<T, I>, to: *mut T, n: usize) {
    let (mut re, mut im) = ([T::ONE; 16], [T::ONE; 16]);
    // SAFETY: a vector has at most 16 lanes.
    unsafe { (z.0.store(re.as_mut_ptr()), z.1.store(im.as_mut_ptr())) };
    let width = <T::V<I> as Lanes>::N;
    // SAFETY: i < n, and `to` is valid for writes of `2 n` elements, which the caller guarantees.
    let get = |i: usize| unsafe { (*to.add(2 * i), *to.add(2 * i + 1)) = (re[i], im[i]) };
    if n == width { (0..width).for_each(get) } else { (0..n).for_each(get) }
}

/// Applies `F` to `n` complex numbers, stored as interleaved pairs.
///
/// # Safety
/// - `src` is valid for reads and `dst` for writes of `2 n` elements. They may be the same.
#[inline(always)]
pub(crate) unsafe fn apply_complex<T: Real, F: ComplexFunction<T>, I: Isa>(
    isa: I,
    src: *const T,
    dst: *mut T,
    n: usize,
) {
    let width = <T::V<I> as Lanes>::N;
    for i in (0..n).step_by(width) {
        let now = width.min(n - i);
        // SAFETY: the numbers i .. i + now are below n, and the caller guarantees `src` and `dst` for n numbers.
        unsafe {
            store_pairs::<T, I>(F::vector(isa, load_pairs::<T, I>(isa, src.add(2 * i), now)), dst.add(2 * i), now)
        };
    }
}

/// Computes the magnitudes of `n` complex numbers, stored as interleaved pairs.
///
/// # Safety
/// - `src` is valid for reads of `2 n` and `dst` for writes of `n` elements. They do not overlap.
#[inline(always)]
pub(crate) unsafe fn apply_complex_abs<T: Real, I: Isa>(isa: I, src: *const T, dst: *mut T, n: usize) {
    let width = <T::V<I> as Lanes>::N;
    for i in (0..n).step_by(width) {
        let now = width.min(n - i);
        let mut magnitudes = [T::ONE; 16];
        // SAFETY: the numbers i .. i + now are below n, and the caller guarantees `src` and `dst` for n numbers. A
        // vector has at most 16 lanes.
        unsafe {
            <ComplexAbs as ComplexFunction<T>>::vector(isa, load_pairs::<T, I>(isa, src.add(2 * i), now))
                .0
                .store(magnitudes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(magnitudes.as_ptr(), dst.add(i), now);
        }
    }
}

/// Applies `F` to `n` pairs of complex numbers. With `FORM` 1, y is a single number. With `FORM` 2, x is a single
/// number.
///
/// # Safety
/// - `x` and `y` are valid for reads of `2 n` elements (of two elements where the operand is a single number), and
///   `out` for writes of `2 n`. `out` may be equal to one of them.
/// - n is at least 1.
#[inline(always)]
pub(crate) unsafe fn apply_complex2<T: Real, F: ComplexFunction2<T>, I: Isa, const FORM: usize>(
    isa: I,
    x: *const T,
    y: *const T,
    out: *mut T,
    n: usize,
) {
    let width = <T::V<I> as Lanes>::N;
    // SAFETY: each operand holds at least one number, because n is at least 1, which the caller guarantees.
    let single = |at: *const T| unsafe { (T::V::<I>::splat(isa, *at), T::V::<I>::splat(isa, *at.add(1))) };
    let (x1, y1) = (single(x), single(y));
    for i in (0..n).step_by(width) {
        let now = width.min(n - i);
        // SAFETY: the numbers i .. i + now are below n. The caller guarantees `x`, `y` and `out` for n numbers, or one
        // number of a single operand.
        unsafe {
            let a = if FORM == 2 { x1 } else { load_pairs::<T, I>(isa, x.add(2 * i), now) };
            let b = if FORM == 1 { y1 } else { load_pairs::<T, I>(isa, y.add(2 * i), now) };
            store_pairs::<T, I>(F::vector(isa, a, b), out.add(2 * i), now);
        }
    }
}
