//! pow.

use super::exp::exp_parts;
use super::log::split_exponent;
use super::{all, fast_two_sum, poly, two_sum};
use crate::lanes::{Float, Isa, Lanes, Mask, Real};

/// Beyond this `|y log x|` the standard library's function is called, as for x that is not positive and normal, and for y that is not finite.
const LIMIT: f64 = 700.0;

/// 2/5, 2/7 ..: the series of log((1 + s) / (1 - s)) / s from s^4 on. On |s| <= 0.1716 eleven terms reach 2^-70 of the whole.
const ATANH: [f64; 11] = [2.0 / 5.0, 2.0 / 7.0, 2.0 / 9.0, 2.0 / 11.0, 2.0 / 13.0, 2.0 / 15.0, 2.0 / 17.0, 2.0 / 19.0, 2.0 / 21.0, 2.0 / 23.0, 2.0 / 25.0];

/// log(x) as a sum of two, to about 2^-65, for x positive and normal: the series of atanh with its first two terms in doubled precision.
#[inline(always)]
fn log_parts<I: Isa>(isa: I, x: I::F64) -> (I::F64, I::F64) {
    let c = |v: f64| all::<f64, I>(isa, v);
    let (m, e) = split_exponent::<f64, I>(isa, x);
    let f = m.sub(c(1.0));
    let (d, d_low) = fast_two_sum(c(2.0), f);
    let s = f.div(d);
    let product = s.mul(d);
    let left = f.sub(product).sub(s.product_error(d, product)).sub(s.mul(d_low));
    let s_low = left.div(d);
    let z = s.mul(s);
    let z_low = s.product_error(s, z).add(s.mul(s_low).mul(c(2.0)));
    // s^3 * 2/3 in two parts, the constant too.
    let cube = s.mul(z);
    let cube_low = s.product_error(z, cube).add(s.mul(z_low)).add(s_low.mul(z));
    let third = cube.mul(c(2.0 / 3.0));
    let third_low = cube.product_error(c(2.0 / 3.0), third).add(cube.mul(c(3.700_743_415_417_188e-17))).add(cube_low.mul(c(2.0 / 3.0)));
    let rest = poly::<f64, I, 11>(isa, z, ATANH).mul(z).mul(cube);
    let (high, low) = fast_two_sum(s.add(s), third);
    let low = low.add(s_low.add(s_low)).add(third_low).add(rest);
    let (high, low_2) = two_sum(e.mul(c(6.931_471_803_691_238_164_90e-1)), high);
    let low = low.add(low_2).add(e.mul(c(1.908_214_929_270_587_700_02e-10)));
    fast_two_sum(high, low)
}

/// x to the power of y: exp(y log x) with the logarithm in doubled precision. 1.0 ULP. What is out of its range is left to the standard library.
pub(crate) struct Pow;

impl Pow {
    /// One vector of each, and whether any lane is out of range.
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64, y: I::F64) -> (I::F64, bool) {
        let c = |v: f64| all::<f64, I>(isa, v);
        let (l, l_low) = log_parts::<I>(isa, x);
        let p = y.mul(l);
        let p_low = y.product_error(l, p).add(y.mul(l_low));
        // A NaN has the bits of a large number: its logarithm is one.
        let wide = c(LIMIT).lt(p).or(p.lt(c(-LIMIT))).or(p.unordered(p_low)).or(x.unordered(y));
        let bad = x.lt(c(f64::MIN_POSITIVE)).or(c(f64::MAX).lt(x)).or(wide);
        let result = exp_parts::<f64, I>(isa, p.max(c(-LIMIT)).min(c(LIMIT)), Some(p_low));
        (result, bad.any())
    }

    /// The same test for one lane.
    fn in_range<I: Isa>(isa: I, x: f64, y: f64) -> bool {
        !Self::vector::<I>(isa, I::F64::splat(isa, x), I::F64::splat(isa, y)).1
    }

    /// `n` results. With `FORM` 1 y, with 2 x is a single value.
    ///
    /// # Safety
    /// - `x` and `y` are valid for reads of `n` elements (or of the single value), `out` for writes of `n`.
    #[inline(always)]
    pub(crate) unsafe fn apply<T: Real, I: Isa, const FORM: usize>(isa: I, x: *const T, y: *const T, out: *mut T, n: usize) {
        let width = <I::F64 as Lanes>::N;
        // SAFETY: n is at least 1.
        let (mut a, mut b) = unsafe { ([(*x).to_f64(); 8], [(*y).to_f64(); 8]) };
        let mut i = 0;
        while i < n {
            let now = width.min(n - i);
            // SAFETY: elements i .. i + now are below n.
            unsafe {
                if FORM != 2 {
                    widen(x.add(i), &mut a[..width], now);
                }
                if FORM != 1 {
                    widen(y.add(i), &mut b[..width], now);
                }
            }
            let mut r = [1.0f64; 8];
            // SAFETY: a vector of f64 has at most 8 lanes.
            let any_bad = unsafe {
                let (result, any_bad) = Self::vector::<I>(isa, I::F64::load(isa, a.as_ptr()), I::F64::load(isa, b.as_ptr()));
                result.store(r.as_mut_ptr());
                any_bad
            };
            if any_bad {
                for l in 0..now {
                    if !Self::in_range::<I>(isa, a[l], b[l]) {
                        r[l] = a[l].powf(b[l]);
                    }
                }
            }
            for (l, r) in r.iter().enumerate().take(now) {
                // SAFETY: i + l < n.
                unsafe { *out.add(i + l) = T::from_f64(*r) };
            }
            i += now;
        }
    }
}

/// The first `n` elements of `from`, in f64. The rest of `to` becomes 1, which no function finds special.
///
/// # Safety
/// - `from` is valid for reads of `n` elements.
#[inline(always)]
unsafe fn widen<T: Real>(from: *const T, to: &mut [f64], n: usize) {
    if n == to.len() {
        for (l, to) in to.iter_mut().enumerate() {
            // SAFETY: the caller's.
            *to = unsafe { *from.add(l) }.to_f64();
        }
    } else {
        for (l, to) in to.iter_mut().enumerate() {
            // SAFETY: the caller's.
            *to = if l < n { unsafe { *from.add(l) }.to_f64() } else { 1.0 };
        }
    }
}
