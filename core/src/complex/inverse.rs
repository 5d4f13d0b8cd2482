//! The inverse circular and hyperbolic functions of complex numbers.

use super::{Z, log};
use std::f64::consts::{FRAC_PI_2, LN_2};

const EPS: f64 = f64::EPSILON;
/// Numbers from here on differ from their sum with 1 by less than an eps.
const LARGE: f64 = 1.0 / EPS;
/// pi / 2 minus `FRAC_PI_2`.
const FRAC_PI_2_LOW: f64 = 6.123_233_995_736_766e-17;

/// Returns `(|(a, b)| - b) / 2`, where `size` is the magnitude `|(a, b)|`, without cancellation.
fn half_excess(a: f64, b: f64, size: f64) -> f64 {
    if b < 0.0 {
        (size - b) / 2.0
    } else if b == 0.0 {
        a / 2.0
    } else {
        a * a / (size + b) / 2.0
    }
}

/// The parts of [`arcsinh`]`(x + iy)` and [`arccos`]`(y + ix)`, for finite non-negative x and y up to [`LARGE`].
struct Area {
    /// The real part of the former, and the magnitude of the imaginary part of the latter.
    area: f64,
    /// The other part is the arcsine or the arccosine of this quotient, or else the angle of `legs`.
    ratio: Option<f64>,
    /// The side opposite of the arcsine, and the adjacent one, with a common scale.
    legs: (f64, f64),
}

impl Area {
    /// Computes the parts as T. Hull, T. Fairgrieve and P. Tang do in "Implementing the complex arcsine and arccosine
    /// functions using exception handling", ACM Trans. Math. Softw. 23, 1997. A is half the sum of the distances from
    /// the branch points: the area is `log(A + sqrt(A^2 - 1))`, and the ratio `y / A`.
    fn new(x: f64, y: f64) -> Area {
        let (r, s) = (x.hypot(y + 1.0), x.hypot(y - 1.0));
        let a = ((r + s) / 2.0).max(1.0);
        // Whether x matters beside the distance of y from 1.
        let off_axis = x >= EPS * (y - 1.0).abs();
        let area = if a >= 10.0 {
            (a + (a * a - 1.0).sqrt()).ln()
        } else if y == 1.0 && x < EPS * EPS / 128.0 {
            x.sqrt()
        } else if off_axis {
            let less_one = half_excess(x, 1.0 + y, r) + half_excess(x, 1.0 - y, s);
            (less_one + (less_one * (a + 1.0)).sqrt()).ln_1p()
        } else if y < 1.0 {
            x / ((1.0 - y) * (1.0 + y)).sqrt()
        } else {
            ((y - 1.0) + ((y - 1.0) * (y + 1.0)).sqrt()).ln_1p()
        };
        if y < 2f64.powi(-509) {
            // The quotient could be subnormal.
            return Area { area, ratio: None, legs: (y * (2.0 / EPS), a * (2.0 / EPS)) };
        }
        let ratio = y / a;
        if ratio <= 0.6417 {
            return Area { area, ratio: Some(ratio), legs: (y, a) };
        }
        // The arcsine would lose digits. The other leg is `sqrt(A^2 - y^2)`.
        let legs = if y == 1.0 && x < EPS / 128.0 {
            (y, x.sqrt() * ((a + y) / 2.0).sqrt())
        } else if off_axis {
            (y, ((half_excess(x, y + 1.0, r) + half_excess(x, y - 1.0, s)) * (a + y)).sqrt())
        } else if y > 1.0 {
            let up = 4.0 / EPS / EPS;
            (y * up, x * up * y / ((y + 1.0) * (y - 1.0)).sqrt())
        } else {
            (y, ((1.0 - y) * (1.0 + y)).sqrt())
        };
        Area { area, ratio: None, legs }
    }
}

/// Returns the inverse hyperbolic sine; the branch cuts are the imaginary axis beyond -i and i.
pub fn arcsinh(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    if x.is_nan() || y.is_nan() {
        return match (x, y) {
            _ if x.is_infinite() => Z::new(x, f64::NAN),
            _ if y.is_infinite() => Z::new(y, f64::NAN),
            _ => Z::new(f64::NAN, if y == 0.0 { y } else { f64::NAN }),
        };
    }
    let (a, b) = (x.abs(), y.abs());
    let (re, im) = if a.max(b) > LARGE {
        let w = log(Z::new(a, b));
        (w.re + LN_2, w.im)
    } else if a.max(b) < EPS / 4.0 {
        return z;
    } else {
        let Area { area, ratio, legs } = Area::new(a, b);
        (area, ratio.map_or_else(|| legs.0.atan2(legs.1), f64::asin))
    };
    Z::new(re.copysign(x), im.copysign(y))
}

/// Returns the angle whose sine is z; the branch cuts are the real axis beyond -1 and 1.
pub fn arcsin(z: Z) -> Z {
    let w = arcsinh(Z::new(z.im, z.re));
    Z::new(w.im, w.re)
}

/// Returns the angle whose cosine is z; the branch cuts are the real axis beyond -1 and 1.
pub fn arccos(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    if x.is_nan() || y.is_nan() {
        return match (x, y) {
            _ if x.is_infinite() => Z::new(f64::NAN, f64::NEG_INFINITY),
            _ if y.is_infinite() => Z::new(f64::NAN, -y),
            _ if x == 0.0 => Z::new(FRAC_PI_2, f64::NAN),
            _ => Z::new(f64::NAN, f64::NAN),
        };
    }
    let (a, b) = (x.abs(), y.abs());
    let (re, im) = if a.max(b) > LARGE {
        let w = log(Z::new(x, b));
        (w.im, w.re + LN_2)
    } else if x == 1.0 && b == 0.0 {
        (0.0, 0.0)
    } else if a.max(b) < EPS / 4.0 {
        (FRAC_PI_2 - (x - FRAC_PI_2_LOW), b)
    } else {
        let Area { area, ratio, legs } = Area::new(b, a);
        let angle = match ratio {
            Some(ratio) => ratio.copysign(x).acos(),
            None => legs.1.atan2(legs.0.copysign(x)),
        };
        (angle, area)
    };
    Z::new(re, if y.is_sign_negative() { im } else { -im })
}

/// Returns the inverse hyperbolic cosine with a non-negative real part; the branch cut is the real axis below 1.
pub fn arccosh(z: Z) -> Z {
    let w = arccos(z);
    Z::new(w.im.abs(), w.re.copysign(z.im))
}

/// Returns the inverse hyperbolic tangent; the branch cuts are the real axis beyond -1 and 1. The real part is
/// `log1p(4 |x| / ((|x| - 1)^2 + y^2)) / 4`, and the imaginary part half of the angle of
/// `(1 - |x|) (1 + |x|) - y^2 + 2iy`.
pub fn arctanh(z: Z) -> Z {
    let (x, y) = (z.re, z.im);
    let (a, b) = (x.abs(), y.abs());
    if b == 0.0 && a <= 1.0 {
        return Z::new(libm::atanh(x), y);
    }
    if a == 0.0 {
        return Z::new(x, y.atan());
    }
    if x.is_nan() || y.is_nan() {
        return match (x, y) {
            _ if x.is_infinite() => Z::new(0f64.copysign(x), f64::NAN),
            _ if y.is_infinite() => Z::new(0f64.copysign(x), FRAC_PI_2.copysign(y)),
            _ => Z::new(f64::NAN, f64::NAN),
        };
    }
    let (re, im) = if a.max(b) > LARGE {
        (reciprocal_part(a, b), FRAC_PI_2)
    } else if a.max(b) < EPS / 4.0 {
        (a, b)
    } else {
        let re = if a == 1.0 && b < EPS {
            (LN_2 - b.ln()) / 2.0
        } else {
            // The square of a small y would be subnormal.
            let square = if b < 2f64.powi(-511) { 0.0 } else { b * b };
            (4.0 * a / (a - 1.0).mul_add(a - 1.0, square)).ln_1p() / 4.0
        };
        let difference = (1.0 - a) * (1.0 + a);
        let angle = if a == 1.0 {
            2f64.atan2(-b)
        } else {
            (2.0 * b).atan2(if b < EPS { difference } else { difference - b * b })
        };
        (re, angle / 2.0)
    };
    Z::new(re.copysign(x), im.copysign(y))
}

/// Returns the real part of `1 / (x + iy)`, for non-negative numbers of which one is large: `x / (x^2 + y^2)`.
fn reciprocal_part(x: f64, y: f64) -> f64 {
    if x.is_infinite() || y.is_infinite() {
        return 0.0;
    }
    if x >= y {
        let ratio = y / x;
        1.0 / x / ratio.mul_add(ratio, 1.0)
    } else {
        // The first quotient is at most 1, and the second has the magnitude of the result.
        let ratio = x / y;
        ratio / y / ratio.mul_add(ratio, 1.0)
    }
}

/// Returns the angle whose tangent is z; the branch cuts are the imaginary axis beyond -i and i.
pub fn arctan(z: Z) -> Z {
    let w = arctanh(Z::new(z.im, z.re));
    Z::new(w.im, w.re)
}
