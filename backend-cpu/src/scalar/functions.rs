//! Functions of f64 and of complex numbers that neither the standard library nor libm computes as accurately as the
//! table of ufuncs requires: plain formulas that compensate their rounding errors.

use polyarray_core::Complex;

type Z = Complex<f64>;

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
}

/// Returns the hyperbolic tangent, to less than one ULP: the ninth convergent of Lambert's continued fraction (M.
/// Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 4.5.70) below 0.625, where it is off by 10^-20, and
/// `1 - 2 / (exp(2 |x|) + 1)` above, with the rounding errors of the sum, the quotient and the difference compensated.
pub fn tanh(x: f64) -> f64 {
    let size = x.abs();
    if x == 0.0 {
        return x;
    }
    if size.is_nan() || size < 0.625 {
        let z = x * x;
        let numerator = ((44.0 * z + 12_870.0) * z + 810_810.0) * z + 11_486_475.0;
        let denominator = (((45.0 * z + 13_860.0) * z + 945_945.0) * z + 16_216_200.0) * z + 34_459_425.0;
        return x - x * (z * numerator / denominator);
    }
    if size > 22.0 {
        return 1f64.copysign(x);
    }
    let Double(sum, lost) = Double::sum((2.0 * size).exp(), 1.0);
    let quotient = 2.0 / sum;
    // 2 / (sum + lost) is the quotient and, as 1 / sum is half of it, this.
    let rest = ((-quotient).mul_add(sum, 2.0) - quotient * lost) * (quotient / 2.0);
    let Double(result, error) = Double::sum(1.0, -quotient);
    (result + (error - rest)).copysign(x)
}

/// Returns `1 / (1 + exp(-x))` to about one ULP: corrects the rounding errors of the sum and of the quotient.
pub fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    let (numerator, sum) = (if x < 0.0 { e } else { 1.0 }, 1.0 + e);
    let lost = e - (sum - 1.0);
    let quotient = numerator / sum;
    quotient + ((-quotient).mul_add(sum, numerator) - quotient * lost) / sum
}

/// Returns the square root with a non-negative real part. With `t = sqrt((|re| + |z|) / 2)` it is `t + i im / (2t)`, or
/// `|im| / (2t) ± i t` where re is negative. Infinities, NaN and signed zeros follow C99 (annex G).
pub fn complex_sqrt(z: Z) -> Z {
    let (a, b) = (z.re.abs(), z.im.abs());
    if b.is_infinite() {
        return Z::new(b, z.im);
    }
    if a == 0.0 && b == 0.0 {
        return Z::new(0.0, z.im);
    }
    // Scales the operand so that no sum or half leaves the range of normal numbers.
    let most = a.max(b);
    let (by, back) = if most > 2f64.powi(1000) {
        (2f64.powi(-4), 4.0)
    } else if most < 2f64.powi(-900) {
        (2f64.powi(200), 2f64.powi(-100))
    } else {
        (1.0, 1.0)
    };
    let t = (0.5 * (a * by + (a * by).hypot(b * by))).sqrt();
    let other = (if a.is_infinite() { b * 0.0 } else { b * by / (2.0 * t) }) * back;
    let t = t * back;
    if z.re.is_sign_negative() && t != 0.0 { Z::new(other, t.copysign(z.im)) } else { Z::new(t, other.copysign(z.im)) }
}

/// Returns `exp(re) (cos im + i sin im)`, also where it is in range although `exp(re)` is not. Infinities, NaN and
/// signed zeros follow C99 (annex G).
pub fn complex_exp(z: Z) -> Z {
    if z.im == 0.0 {
        return Z::new(z.re.exp(), z.im);
    }
    if z.re.is_infinite() && !z.im.is_finite() {
        return if z.re > 0.0 { Z::new(z.re, f64::NAN) } else { Z::new(0.0, 0.0) };
    }
    // Multiplies by several factors, each of which is in range. Four are enough: the smallest sine brings an
    // exponential of up to 10^632 back into range.
    let factors = if z.re.abs() < 700.0 || z.re.is_infinite() { 1 } else { 4 };
    let e = (z.re / f64::from(factors)).exp();
    let (cos, sin) = (z.im.cos(), z.im.sin());
    (0..factors).fold(Z::new(cos, sin), |y, _| Z::new(y.re * e, y.im * e))
}

/// Returns `log |z| + i arg z`. Infinities, NaN and signed zeros follow C99 (annex G).
pub fn complex_log(z: Z) -> Z {
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

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    fn z(re: f64, im: f64) -> Z {
        Z::new(re, im)
    }

    /// Asserts that each part is within three ULP. Zeros must have the same sign; any NaN equals any NaN.
    #[track_caller]
    fn close(got: Z, want: Z) {
        let part = |g: f64, w: f64| {
            g.to_bits() == w.to_bits()
                || g.is_nan() && w.is_nan()
                || g != 0.0 && w.is_finite() && (g - w).abs() <= 6.7e-16 * w.abs() + 5e-324
        };
        assert!(part(got.re, want.re) && part(got.im, want.im), "{got:?} for {want:?}");
    }

    #[test]
    fn tanh_is_rounded_almost_correctly() {
        // The expected values come from exponentials with 60 digits.
        for (x, y) in [
            (0.531_181_663_056_454_4, 0.486_283_841_787_338_7),
            (-0.239_736_679_588_390_65, -0.235_247_016_997_228_05),
            (1e-5, 9.999_999_999_666_668e-6),
            (1e-300, 1e-300),
            (0.5, 0.462_117_157_260_009_74),
            (19.0, 0.999_999_999_999_999_9),
        ] {
            assert!((tanh(x) - y).abs() <= f64::EPSILON / 2.0 * y.abs(), "{x}: {} for {y}", tanh(x));
        }
        assert!(tanh(NAN).is_nan() && tanh(-0.0).is_sign_negative() && tanh(INF) == 1.0 && tanh(-30.0) == -1.0);
    }

    #[test]
    fn roots_of_complex_numbers() {
        let root = |re, im| complex_sqrt(z(re, im));
        close(root(-INF, 1.0), z(0.0, INF));
        close(root(-INF, -1.0), z(0.0, -INF));
        close(root(INF, 1.0), z(INF, 0.0));
        close(root(INF, -1.0), z(INF, -0.0));
        close(root(NAN, INF), z(INF, INF));
        close(root(1.0, -INF), z(INF, -INF));
        close(root(-INF, NAN), z(NAN, INF));
        close(root(INF, NAN), z(INF, NAN));
        close(root(NAN, 1.0), z(NAN, NAN));
        close(root(1.0, NAN), z(NAN, NAN));
        close(root(-0.0, -0.0), z(0.0, -0.0));
        close(root(-4.0, 0.0), z(0.0, 2.0));
        close(root(-4.0, -0.0), z(0.0, -2.0));
        close(root(-1.0, 1e-20), z(5e-21, 1.0));
        // sqrt(x (1 + i)) = sqrt(x) (sqrt((sqrt 2 + 1) / 2) + i sqrt((sqrt 2 - 1) / 2)).
        let unit = z(1.098_684_113_467_81, 0.455_089_860_562_227_33);
        close(root(1.7e308, 1.7e308), z(1.303_840_481_040_529_7e154 * unit.re, 1.303_840_481_040_529_7e154 * unit.im));
        close(root(1e-320, 1e-320), z(1e-320f64.sqrt() * unit.re, 1e-320f64.sqrt() * unit.im));
    }

    #[test]
    fn exponentials_of_complex_numbers() {
        let exp = |re, im| complex_exp(z(re, im));
        close(exp(1000.0, -0.0), z(INF, -0.0));
        close(exp(0.0, -0.0), z(1.0, -0.0));
        close(exp(-INF, INF), z(0.0, 0.0));
        close(exp(-INF, 2.0), z(-0.0, 0.0));
        close(exp(INF, 2.0), z(-INF, INF));
        close(exp(INF, NAN), z(INF, NAN));
        close(exp(NAN, 0.0), z(NAN, 0.0));
        close(exp(NAN, 1.0), z(NAN, NAN));
        close(exp(1.0, INF), z(NAN, NAN));
        // exp(710) = 2.2e308 exceeds the range, but its product with cos(1.57) does not.
        let e = 355f64.exp();
        close(exp(710.0, 1.57), z(1.57f64.cos() * e * e, INF));
        close(exp(1400.0, 5e-324), z(INF, 5e-324 * 350f64.exp() * 350f64.exp() * 350f64.exp() * 350f64.exp()));
        close(
            exp(-740.0, 1.0),
            z(1f64.cos() * (-370f64).exp() * (-370f64).exp(), 1f64.sin() * (-370f64).exp() * (-370f64).exp()),
        );
    }

    #[test]
    fn logarithms_of_complex_numbers() {
        let log = |re, im| complex_log(z(re, im));
        let pi = std::f64::consts::PI;
        close(log(0.0, 0.0), z(-INF, 0.0));
        close(log(-0.0, -0.0), z(-INF, -pi));
        close(log(-INF, INF), z(INF, 0.75 * pi));
        close(log(NAN, -INF), z(INF, NAN));
        close(log(NAN, 1.0), z(NAN, NAN));
        close(log(1.0, 1e-10), z(5e-21, 1e-10));
        close(log(0.6, 0.8), z(2.220_446_049_250_313_2e-17, 0.8f64.atan2(0.6)));
        close(log(1e308, 1.5e308), z(709.785_536_140_337, 1.5f64.atan()));
        close(log(5e-324, 5e-324), z(-744.093_498_331_101_3, 0.25 * pi));
    }
}
