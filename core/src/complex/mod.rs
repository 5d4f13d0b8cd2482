//! Functions of complex numbers, for backends: one value at a time, in f64. Numbers of f32 are computed in f64 and
//! rounded.
//!
//! [`function`] returns the function of a ufunc; [`less`] and the functions after it define the order. The functions
//! are principal values. Their branch cuts and their results for infinities, NaN and signed zeros are those of C99
//! (annex G), as in NumPy: on a cut, the sign of a zero part selects the side. Where C99 has no such function
//! (`exp2`, `log10`, ..), the rules follow from its definition by those of `exp` and `log`.
//!
//! The error of each result is at most 4 eps of its magnitude, except for powers, see [`pow`]. The bound is relative to
//! the magnitude: a part that is much smaller than the magnitude may have a larger relative error.

mod inverse;
#[cfg(test)]
mod tests;

pub use inverse::{arccos, arccosh, arcsin, arcsinh, arctan, arctanh};

use crate::{Complex, Unary};
use std::f64::consts::{LN_2, LOG2_E, LOG10_E};

type Z = Complex<f64>;

/// Returns the function of a ufunc, or `None` for a ufunc that is not an elementary function or whose results are
/// exactly defined.
pub const fn function(op: Unary) -> Option<fn(Z) -> Z> {
    Some(match op {
        Unary::Sign => sign,
        Unary::Sqrt => sqrt,
        Unary::Exp => exp,
        Unary::Exp2 => exp2,
        Unary::Expm1 => expm1,
        Unary::Log => log,
        Unary::Log2 => log2,
        Unary::Log10 => log10,
        Unary::Log1p => log1p,
        Unary::Sin => sin,
        Unary::Cos => cos,
        Unary::Tan => tan,
        Unary::Arcsin => arcsin,
        Unary::Arccos => arccos,
        Unary::Arctan => arctan,
        Unary::Sinh => sinh,
        Unary::Cosh => cosh,
        Unary::Tanh => tanh,
        Unary::Arcsinh => arcsinh,
        Unary::Arccosh => arccosh,
        Unary::Arctanh => arctanh,
        _ => return None,
    })
}

/// An unevaluated sum of two numbers that do not overlap: about 106 bits (T. Dekker, "A floating-point technique for
/// extending the available precision", Numer. Math. 18, 1971).
#[derive(Clone, Copy)]
struct Double(f64, f64);

impl Double {
    /// Returns `a + b` exactly.
    fn sum(a: f64, b: f64) -> Double {
        let s = a + b;
        let from_b = s - a;
        Double(s, (a - (s - from_b)) + (b - from_b))
    }

    /// Returns `a * b` exactly.
    fn product(a: f64, b: f64) -> Double {
        let p = a * b;
        Double(p, a.mul_add(b, -p))
    }

    fn plus(self, o: Double) -> Double {
        let Double(s, e) = Double::sum(self.0, o.0);
        Double::sum(s, e + (self.1 + o.1))
    }

    fn times(self, o: Double) -> Double {
        let Double(p, e) = Double::product(self.0, o.0);
        Double::sum(p, e + (self.0 * o.1 + self.1 * o.0))
    }

    fn minus(self) -> Double {
        Double(-self.0, -self.1)
    }
}

/// Returns whether a part of `z` is NaN.
#[inline]
fn is_nan<F: PartialOrd + Copy>(z: Complex<F>) -> bool {
    let nan = |x: F| x.partial_cmp(&x).is_none();
    nan(z.re) || nan(z.im)
}

/// Returns whether x is below y in the lexicographic order: by the real parts, and by the imaginary parts where those
/// are equal. False if a part is NaN.
#[inline]
pub fn less<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> bool {
    !is_nan(x) && !is_nan(y) && (x.re < y.re || x.re == y.re && x.im < y.im)
}

/// Returns whether x is not above y in the order of [`less`]. False if a part is NaN.
#[inline]
pub fn less_equal<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> bool {
    !is_nan(x) && !is_nan(y) && (x.re < y.re || x.re == y.re && x.im <= y.im)
}

/// The smaller number in the order of [`less`]: one with NaN if there is one, y if they are equal.
#[inline]
pub fn minimum<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    if less(x, y) || is_nan(x) { x } else { y }
}

/// The larger number in the order of [`less`]: one with NaN if there is one, y if they are equal.
#[inline]
pub fn maximum<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    if less(y, x) || is_nan(x) { x } else { y }
}

/// The smaller number in the order of [`less`]: one without NaN if there is one, y if they are equal.
#[inline]
pub fn fmin<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    if less(x, y) || is_nan(y) { x } else { y }
}

/// The larger number in the order of [`less`]: one without NaN if there is one, y if they are equal.
#[inline]
pub fn fmax<F: PartialOrd + Copy>(x: Complex<F>, y: Complex<F>) -> Complex<F> {
    if less(y, x) || is_nan(y) { x } else { y }
}

/// Returns a power of 2 by which the parts of a finite number are scaled, so that their squares are normal numbers or
/// do not matter, and its inverse. Both are powers of 4.
fn scale(z: Z) -> (f64, f64) {
    let most = z.re.abs().max(z.im.abs());
    if most > 2f64.powi(1000) {
        (2f64.powi(-4), 2f64.powi(4))
    } else if most < 2f64.powi(-900) {
        (2f64.powi(200), 2f64.powi(-200))
    } else {
        (1.0, 1.0)
    }
}

/// Returns `z / |z|`, 0 for 0, and NaN for NaN. An infinite part gives 1 or -1 in its place; two give NaN.
pub fn sign(z: Z) -> Z {
    let unit = |x: f64| if x.is_infinite() { 1f64.copysign(x) } else { 0.0 };
    match (z.re.is_infinite(), z.im.is_infinite()) {
        (true, true) => return Z::new(f64::NAN, f64::NAN),
        (true, false) | (false, true) => return Z::new(unit(z.re), unit(z.im)),
        (false, false) => {}
    }
    if z.re == 0.0 && z.im == 0.0 {
        return Z::new(0.0, 0.0);
    }
    let (by, _) = scale(z);
    let (re, im) = (z.re * by, z.im * by);
    let size = re.hypot(im);
    Z::new(re / size, im / size)
}

/// Returns the square root with a non-negative real part; the branch cut is the negative real axis. With
/// `t = sqrt((|re| + |z|) / 2)` it is `t + i im / (2t)`, or `|im| / (2t) ± i t` where re is negative.
pub fn sqrt(z: Z) -> Z {
    let (a, b) = (z.re.abs(), z.im.abs());
    if b.is_infinite() {
        return Z::new(b, z.im);
    }
    if a == 0.0 && b == 0.0 {
        return Z::new(0.0, z.im);
    }
    let (by, back) = scale(z);
    let back = back.sqrt();
    let t = (0.5 * (a * by + (a * by).hypot(b * by))).sqrt();
    let other = (if a.is_infinite() { b * 0.0 } else { b * by / (2.0 * t) }) * back;
    let t = t * back;
    if z.re.is_sign_negative() && t != 0.0 { Z::new(other, t.copysign(z.im)) } else { Z::new(t, other.copysign(z.im)) }
}

/// Returns `last * power(re) * turn`, also where it is in range although `power(re)` is not.
fn scaled(power: fn(f64) -> f64, re: f64, turn: Z, last: f64) -> Z {
    // Multiplies by several factors, each of which is in range. Four are enough: the smallest sine brings an
    // exponential of up to 10^632 back into range.
    let factors = if re.abs() < 700.0 || re.is_infinite() { 1 } else { 4 };
    let e = power(re / f64::from(factors));
    let most = (1..factors).fold(turn, |y, _| Z::new(y.re * e, y.im * e));
    Z::new(most.re * (last * e), most.im * (last * e))
}

/// Returns the exponential, to any base above 1, of an infinite real part and an imaginary part without a direction.
fn undirected(z: Z) -> Option<Z> {
    let side = if z.im.is_nan() { 0.0 } else { z.im };
    let limit = if z.re > 0.0 { Z::new(z.re, f64::NAN) } else { Z::new(0.0, 0f64.copysign(side)) };
    (z.re.is_infinite() && !z.im.is_finite()).then_some(limit)
}

/// Returns `exp(re) (cos im + i sin im)`, also where it is in range although `exp(re)` is not.
pub fn exp(z: Z) -> Z {
    if z.im == 0.0 {
        return Z::new(z.re.exp(), z.im);
    }
    undirected(z).unwrap_or_else(|| scaled(f64::exp, z.re, Z::new(z.im.cos(), z.im.sin()), 1.0))
}

/// Returns `exp(z ln 2)`. The angle is computed in two parts.
pub fn exp2(z: Z) -> Z {
    /// ln 2 minus `LN_2`.
    const LOW: f64 = 2.319_046_813_846_299_6e-17;
    if z.im == 0.0 {
        return Z::new(z.re.exp2(), z.im);
    }
    let angle = z.im * LN_2;
    let rest = z.im.mul_add(LN_2, -angle) + z.im * LOW;
    let (cos, sin) = (angle.cos(), angle.sin());
    let turn = Z::new(cos - rest * sin, sin + rest * cos);
    undirected(z).unwrap_or_else(|| scaled(f64::exp2, z.re, turn, 1.0))
}

/// Returns `exp(z) - 1`: its real part is `expm1(re) cos im - 2 sin^2(im / 2)`.
pub fn expm1(z: Z) -> Z {
    if z.im == 0.0 {
        return Z::new(z.re.exp_m1(), z.im);
    }
    if z.re.abs() < 40.0 && z.im.is_finite() {
        let half = (0.5 * z.im).sin();
        return Z::new(z.re.exp_m1().mul_add(z.im.cos(), -2.0 * half * half), z.re.exp() * z.im.sin());
    }
    let e = exp(z);
    Z::new(e.re - 1.0, e.im)
}

/// Returns `log |z| + i arg z`; the branch cut is the negative real axis.
pub fn log(z: Z) -> Z {
    let angle = z.im.atan2(z.re);
    if z.re.is_infinite() || z.im.is_infinite() {
        return Z::new(f64::INFINITY, angle);
    }
    let (more, less) = (z.re.abs().max(z.im.abs()), z.re.abs().min(z.im.abs()));
    let size = if z.re.is_nan() || z.im.is_nan() {
        f64::NAN
    } else if more == 0.0 {
        f64::NEG_INFINITY
    } else if (0.5..2.0).contains(&more) {
        // `|z|^2 - 1` with all its digits.
        let square = Double::product(more, more).plus(Double(-1.0, 0.0)).plus(Double::product(less, less));
        if square.0 > 1.0 { 0.5 * (square.0 + 1.0).ln() } else { 0.5 * (square.0 + square.1).ln_1p() }
    } else {
        more.ln() + 0.5 * ((less / more) * (less / more)).ln_1p()
    };
    Z::new(size, angle)
}

/// Returns the logarithm to another base: that of a real number by `real`, any other by the factor `by`.
fn log_to(z: Z, real: fn(f64) -> f64, by: f64) -> Z {
    let log = log(z);
    Z::new(if z.im == 0.0 { real(z.re.abs()) } else { log.re * by }, log.im * by)
}

/// Returns `log(z) / log(2)`.
pub fn log2(z: Z) -> Z {
    log_to(z, f64::log2, LOG2_E)
}

/// Returns `log(z) / log(10)`.
pub fn log10(z: Z) -> Z {
    log_to(z, f64::log10, LOG10_E)
}

/// Returns `log(1 + z)`; the branch cut is the real axis below -1. Near zero, `|1 + z|^2 - 1` has all its digits.
pub fn log1p(z: Z) -> Z {
    if z.im == 0.0 && z.re > -1.0 {
        return Z::new(z.re.ln_1p(), z.im);
    }
    let from = Z::new(1.0 + z.re, z.im);
    if z.re.abs().max(z.im.abs()) < 4.0 {
        let squares = Double::product(z.re, z.re).plus(Double::product(z.im, z.im));
        let excess = squares.plus(Double(2.0 * z.re, 0.0));
        if excess.0 > -0.5 {
            return Z::new(0.5 * (excess.0 + excess.1).ln_1p(), from.im.atan2(from.re));
        }
    }
    log(from)
}

/// Returns `sinh re cos im + i cosh re sin im`.
pub fn sinh(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    if y == 0.0 || !y.is_finite() && x == 0.0 {
        return Z::new(x.sinh(), if y == 0.0 { y } else { f64::NAN });
    }
    if x.is_infinite() && !y.is_finite() {
        return Z::new(x, f64::NAN);
    }
    if x.abs() < 22.0 || x.is_nan() {
        return Z::new(x.sinh() * y.cos(), x.cosh() * y.sin());
    }
    // Both are exp(|x|) / 2.
    scaled(f64::exp, x.abs(), Z::new(y.cos() * 1f64.copysign(x), y.sin()), 0.5)
}

/// Returns `cosh re cos im + i sinh re sin im`.
pub fn cosh(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    if y == 0.0 || !y.is_finite() && x == 0.0 {
        let zero = 0f64.copysign(x) * 1f64.copysign(y);
        return Z::new(if y == 0.0 { x.cosh() } else { f64::NAN }, zero);
    }
    if x.is_infinite() && !y.is_finite() {
        return Z::new(x.abs(), f64::NAN);
    }
    if x.abs() < 22.0 || x.is_nan() {
        return Z::new(x.cosh() * y.cos(), x.sinh() * y.sin());
    }
    scaled(f64::exp, x.abs(), Z::new(y.cos(), y.sin() * 1f64.copysign(x)), 0.5)
}

/// Returns the hyperbolic tangent (W. Kahan, "Branch cuts for complex elementary functions, or much ado about nothing's
/// sign bit", in The State of the Art in Numerical Analysis, 1987).
pub fn tanh(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    if y == 0.0 {
        return Z::new(x.tanh(), y);
    }
    if x.is_nan() || x == 0.0 && !y.is_finite() {
        return Z::new(x, f64::NAN);
    }
    if x.is_infinite() {
        return Z::new(1f64.copysign(x), 0f64.copysign(if y.is_finite() { y.sin() * y.cos() } else { y }));
    }
    if x.abs() >= 22.0 && y.is_finite() {
        let e = (-x.abs()).exp();
        return Z::new(1f64.copysign(x), 4.0 * y.sin() * y.cos() * e * e);
    }
    let (sinh, tan) = (x.sinh(), y.tan());
    let (beta, rho) = (tan.mul_add(tan, 1.0), sinh.mul_add(sinh, 1.0).sqrt());
    let below = (beta * sinh).mul_add(sinh, 1.0);
    Z::new(beta * rho * sinh / below, tan / below)
}

/// Returns `f(iz) / i` for an odd function.
fn turned(f: fn(Z) -> Z, z: Z) -> Z {
    let w = f(Z::new(-z.im, z.re));
    Z::new(w.im, -w.re)
}

/// Returns `sinh(iz) / i`.
pub fn sin(z: Z) -> Z {
    turned(sinh, z)
}

/// Returns `cosh(iz)`.
pub fn cos(z: Z) -> Z {
    cosh(Z::new(-z.im, z.re))
}

/// Returns `tanh(iz) / i`.
pub fn tan(z: Z) -> Z {
    turned(tanh, z)
}

/// Returns `exp(y log x)`: 1 if y is zero. A base of zero gives 0 where the real part of y is positive, and otherwise
/// NaN.
///
/// The error is at most 4 eps of the magnitude for integers from -64 to 64 as exponents, which are computed by
/// multiplications, and for positive real numbers with a real exponent; otherwise up to `4 + 2 |y log x|` eps. (Numbers
/// of f32 have an error of half an eps: they are computed in f64.)
pub fn pow(x: Z, y: Z) -> Z {
    if y.re == 0.0 && y.im == 0.0 {
        return Z::new(1.0, 0.0);
    }
    if x.re == 0.0 && x.im == 0.0 {
        return if y.re > 0.0 { Z::new(0.0, 0.0) } else { Z::new(f64::NAN, f64::NAN) };
    }
    let log = log(x);
    if y.im == 0.0 {
        if y.re.trunc() == y.re && y.re.abs() <= 64.0 && (y.re * log.re).abs() < 300.0 {
            let power = whole_power(x, y.re.abs() as u32);
            let square = power.re.mul_add(power.re, power.im * power.im);
            return if y.re > 0.0 { power } else { Z::new(power.re / square, -power.im / square) };
        }
        if x.im == 0.0 && x.re > 0.0 {
            return Z::new(x.re.powf(y.re), 0f64.copysign(x.im) * 1f64.copysign(y.re));
        }
        return exp(Z::new(y.re * log.re, y.re * log.im));
    }
    let difference = |a: Double, b: Double| a.plus(b.minus()).0;
    let re = difference(Double::product(y.re, log.re), Double::product(y.im, log.im));
    exp(Z::new(re, Double::product(y.re, log.im).plus(Double::product(y.im, log.re)).0))
}

/// Returns x to the power of n, which is not 0, by squaring, with parts of 106 bits. The powers up to the n-th are in
/// the range of normal numbers.
fn whole_power(x: Z, n: u32) -> Z {
    let times = |(a, b): (Double, Double), (c, d): (Double, Double)| {
        (a.times(c).plus(b.times(d).minus()), a.times(d).plus(b.times(c)))
    };
    let base = (Double(x.re, 0.0), Double(x.im, 0.0));
    let mut power = base;
    for bit in (0..n.ilog2()).rev() {
        power = times(power, power);
        if n >> bit & 1 == 1 {
            power = times(power, base);
        }
    }
    Z::new(power.0.0, power.1.0)
}
