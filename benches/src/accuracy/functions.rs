//! The table's functions, computed with [`Big`] numbers to more than 110 bits. Tests compare them with values from
//! mpmath.
//!
//! Where bits would cancel, the code uses a form that keeps them (`expm1`, `log1p`, `(1 - x) * (1 + x)`), so that
//! errors stay relative to the result. Logarithms and angles start from f64 values and are corrected once by means of
//! the inverse function. The correction multiplies the number of right bits by three or four, so the accuracy of the
//! f64 functions does not matter.

use super::big::Big;
use std::sync::LazyLock;

/// Constants in the form that [`Big::new`] accepts, `2^exponent * fraction / 2^127`, all rounded from values of mpmath.
const PI: Big = Big::new(false, 1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1);
const LN_2: Big = Big::new(false, -1, 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af);
const LN_10: Big = Big::new(false, 1, 0x935d_8ddd_aaa8_ac16_ea56_d62b_82d3_0a29);
const TWO_OVER_SQRT_PI: Big = Big::new(false, 0, 0x906e_ba82_14db_688d_71d4_8a7f_6bfe_c344);

/// The first 1344 bits of 2/pi: enough to reduce the largest f64 and keep 128 bits of the remainder (M. H. Payne and R.
/// N. Hanek, "Radian reduction for trigonometric functions", ACM SIGNUM Newsletter 18, 1983).
const TWO_OVER_PI: [u64; 21] = [
    0xa2f9_836e_4e44_1529,
    0xfc27_57d1_f534_ddc0,
    0xdb62_9599_3c43_9041,
    0xfe51_63ab_debb_c561,
    0xb724_6e3a_424d_d2e0,
    0x0649_2eea_09d1_921c,
    0xfe1d_eb1c_b129_a73e,
    0xe882_35f5_2ebb_4484,
    0xe99c_7026_b45f_7e41,
    0x3991_d639_8353_39f4,
    0x9c84_5f8b_bdf9_283b,
    0x1ff8_97ff_de05_980f,
    0xef2f_118b_5a0a_6d1f,
    0x6d36_7ecf_27cb_09b7,
    0x4f46_3f66_9e5f_ea2d,
    0x7527_bac7_ebe5_f17b,
    0x3d07_39f7_8a52_92ea,
    0x6bfb_5fb1_1f8d_5d08,
    0x5603_3046_fc7b_6bab,
    0xf0cf_bc20_9af4_361d,
    0xa9e3_9161_5ee6_1b08,
];

/// `1 / n!`.
static INVERSE_FACTORIALS: LazyLock<[Big; 40]> = LazyLock::new(|| {
    let mut out = [Big::ONE; 40];
    for n in 1..40 {
        out[n] = out[n - 1] / Big::from_int(n as i64);
    }
    out
});

/// `1 / (2n + 1)`.
static INVERSE_ODDS: LazyLock<Vec<Big>> =
    LazyLock::new(|| (0..400).map(|n| Big::ONE / Big::from_int(2 * n + 1)).collect());

/// Replaces x of magnitude 2^20 and more by 10^6 with the sign of x. Exponentials of such numbers are far outside the
/// range of every dtype; the limit keeps their exponents within the range of [`Big`].
fn bounded(x: Big) -> Big {
    let limit = Big::from_f64(1e6);
    if x.exponent() < 20 {
        x
    } else if x.is_negative() {
        -limit
    } else {
        limit
    }
}

/// Computes `exp(r) - 1` for `|r| < 0.36`: a series for `r / 2^8`, then `exp(2r) - 1 = (exp(r) - 1) * (exp(r) + 1)`
/// eight times.
fn expm1_reduced(r: Big) -> Big {
    let small = r.scale(-8);
    let inverse = &*INVERSE_FACTORIALS;
    let sum = (1..12).rev().fold(inverse[12], |sum, n| sum * small + inverse[n]);
    (0..8).fold(sum * small, |e, _| e * (e + Big::from_int(2)))
}

/// Returns `(k, exp(r) - 1)` with `x = k * ln 2 + r`.
fn exp_parts(x: Big) -> (i32, Big) {
    let k = (x.to_f64() / std::f64::consts::LN_2).round_ties_even();
    let r = if k == 0.0 { x } else { x - Big::from_f64(k) * LN_2 };
    (k as i32, expm1_reduced(r))
}

/// Computes `e^x`. Limits the magnitude of x as `bounded` does.
pub fn exp(x: Big) -> Big {
    let (k, e) = exp_parts(bounded(x));
    (e + Big::ONE).scale(k)
}

/// Computes `2^x`. Limits the magnitude of x as `bounded` does.
pub fn exp2(x: Big) -> Big {
    let x = bounded(x);
    let k = x.to_f64().round_ties_even();
    (expm1_reduced((x - Big::from_f64(k)) * LN_2) + Big::ONE).scale(k as i32)
}

/// Computes `e^x - 1`. Limits the magnitude of x as `bounded` does.
pub fn expm1(x: Big) -> Big {
    let (k, e) = exp_parts(bounded(x));
    if k == 0 { e } else { (e + Big::ONE).scale(k) - Big::ONE }
}

/// Computes `ln(1 + u)` for `-0.3 < u < 0.42`, as the f64 value y plus the correction `ln((1 + u) * exp(-y))`, which is
/// close to zero.
fn log1p_reduced(u: Big) -> Big {
    if u.is_zero() {
        return u;
    }
    let guess = Big::from_f64(u.to_f64().ln_1p());
    let rest = u + (u + Big::ONE) * expm1_reduced(-guess);
    guess + (rest - rest.square().scale(-1))
}

/// Returns `(k, m - 1)` with `x = m * 2^k` and m between the square roots of 1/2 and 2.
fn log_parts(x: Big) -> (i32, Big) {
    let above = x.split().0 > std::f64::consts::SQRT_2;
    let k = x.exponent() + i32::from(above);
    (k, x.scale(-k) - Big::ONE)
}

/// Computes the natural logarithm of a positive number.
pub fn log(x: Big) -> Big {
    let (k, u) = log_parts(x);
    Big::from_int(k.into()) * LN_2 + log1p_reduced(u)
}

/// Computes the logarithm to base 2.
pub fn log2(x: Big) -> Big {
    let (k, u) = log_parts(x);
    Big::from_int(k.into()) + log1p_reduced(u) / LN_2
}

/// Computes the logarithm to base 10.
pub fn log10(x: Big) -> Big {
    log(x) / LN_10
}

/// Computes `ln(1 + x)` for x above -1.
pub fn log1p(x: Big) -> Big {
    if x.abs().exponent() < -2 { log1p_reduced(x) } else { log(x + Big::ONE) }
}

/// Returns `(q, r)` with `x = q * pi/2 + r`, r in `-pi/4 ..= pi/4`, and q modulo 4.
fn reduce(x: f64) -> (u32, Big) {
    if x.abs() < std::f64::consts::FRAC_PI_4 {
        return (0, Big::from_f64(x));
    }
    // |x| = mantissa * 2^power.
    let power = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1075).max(-1074);
    let mantissa = x.to_bits() & ((1 << 52) - 1) | 1 << 52;
    // Skips the bits of 2/pi that contribute only multiples of 4. The next 320 bits reach far below the last
    // significant one.
    let skipped = (power - 2).max(0);
    let (word, shift) = (skipped as usize / 64, skipped as u32 % 64);
    let mut product = [0u64; 6];
    let mut carry = 0u128;
    for (out, at) in product.iter_mut().zip((word..word + 5).rev()) {
        let bits =
            if shift == 0 { TWO_OVER_PI[at] } else { TWO_OVER_PI[at] << shift | TWO_OVER_PI[at + 1] >> (64 - shift) };
        carry += u128::from(bits) * u128::from(mantissa);
        *out = carry as u64;
        carry >>= 64;
    }
    product[5] = carry as u64;
    // The number of bits of the product behind the binary point.
    let after_point = 320 + skipped - power;
    let bit = |i: i32| u32::from(i < 384 && product[i as usize / 64] >> (i % 64) & 1 == 1);
    let below = |i: i32| if i < 0 { 0 } else { product[i as usize] };
    // The fraction, aligned to its highest bit, in 320 bits; no more are right.
    let (words, bits) = (after_point / 64, after_point % 64);
    let mut fraction: [u64; 5] = std::array::from_fn(|i| {
        let at = words - i as i32;
        if bits == 0 {
            below(at - 1)
        } else {
            (if at < 6 { below(at) } else { 0 }) << (64 - bits) | below(at - 1) >> bits
        }
    });
    let upper = fraction[0] >> 63 == 1;
    if upper {
        fraction = fraction.map(|w| !w);
    }
    let quadrant = bit(after_point) + 2 * bit(after_point + 1) + u32::from(upper);
    let zeros = fraction.iter().take_while(|w| **w == 0).count();
    let from = |i: usize| u128::from(*fraction.get(zeros + i).unwrap_or(&0));
    let high = from(0) << 64 | from(1);
    let shift = high.leading_zeros() % 64;
    let high = high << shift | if shift == 0 { 0 } else { from(2) >> (64 - shift) };
    let turns = Big::new(upper, -1 - 64 * zeros as i32 - shift as i32, high);
    let (quadrant, r) = (quadrant % 4, turns * PI.scale(-1));
    if x < 0.0 { ((4 - quadrant) % 4, -r) } else { (quadrant, r) }
}

/// Returns `(sin x, cos x)`.
pub fn sin_cos(x: f64) -> (Big, Big) {
    let (quadrant, r) = reduce(x);
    let (inverse, square) = (&*INVERSE_FACTORIALS, -r.square());
    // The last terms, of r^35 and r^34, are below 2^-130 of the sums.
    let series = |first: usize| (0..17).rev().fold(inverse[first + 34], |sum, n| sum * square + inverse[first + 2 * n]);
    let (sin, cos) = (r * series(1), series(0));
    match quadrant {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Computes the tangent.
pub fn tan(x: f64) -> Big {
    let (sin, cos) = sin_cos(x);
    sin / cos
}

/// Computes the angle of the point (x, y), which is not the origin: the f64 angle, plus the angle that remains after
/// rotating the point back by it.
pub fn atan2(y: Big, x: Big) -> Big {
    let apart = y.exponent() - x.exponent();
    if apart < -100 && !x.is_negative() {
        return y / x;
    }
    if apart.abs() > 200 {
        let axis = if apart > 0 { PI.scale(-1) } else { PI };
        return if y.is_negative() { -axis } else { axis };
    }
    let scale = -x.exponent();
    let guess = y.scale(scale).to_f64().atan2(x.scale(scale).to_f64());
    let (sin, cos) = sin_cos(guess);
    let rest = (y * cos - x * sin) / (x * cos + y * sin);
    Big::from_f64(guess) + rest
}

/// Computes the arc tangent.
pub fn atan(x: Big) -> Big {
    atan2(x, Big::ONE)
}

/// Computes the other leg of a right triangle with hypotenuse 1: `sqrt(1 - x^2)`.
fn leg(x: Big) -> Big {
    ((Big::ONE - x) * (Big::ONE + x)).sqrt()
}

/// Computes the arc sine of a number within -1 and 1.
pub fn asin(x: Big) -> Big {
    atan2(x, leg(x))
}

/// Computes the arc cosine of a number within -1 and 1.
pub fn acos(x: Big) -> Big {
    atan2(leg(x), x)
}

/// Evaluates an odd function by means of `f`, which is called with the magnitude of x.
fn odd(x: Big, f: impl Fn(Big) -> Big) -> Big {
    if x.is_negative() { -f(-x) } else { f(x) }
}

/// Computes the hyperbolic sine.
pub fn sinh(x: Big) -> Big {
    odd(x, |x| {
        let e = expm1(x);
        (e + e / (e + Big::ONE)).scale(-1)
    })
}

/// Computes the hyperbolic cosine.
pub fn cosh(x: Big) -> Big {
    let e = exp(x);
    (e + Big::ONE / e).scale(-1)
}

/// Computes the hyperbolic tangent.
pub fn tanh(x: Big) -> Big {
    odd(x, |x| {
        let e = expm1(x.scale(1));
        e / (e + Big::from_int(2))
    })
}

/// Computes the inverse hyperbolic sine.
pub fn asinh(x: Big) -> Big {
    odd(x, |x| log1p(x + x.square() / (Big::ONE + (Big::ONE + x.square()).sqrt())))
}

/// Computes the inverse hyperbolic cosine of a number from 1.
pub fn acosh(x: Big) -> Big {
    let above = x - Big::ONE;
    log1p(above + (above * (x + Big::ONE)).sqrt())
}

/// Computes the inverse hyperbolic tangent of a number between -1 and 1.
pub fn atanh(x: Big) -> Big {
    odd(x, |x| log1p(x.scale(1) / (Big::ONE - x)).scale(-1))
}

/// Computes the error function: `2 / sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (1 * 3 * .. * (2n+1))`, whose terms
/// all have one sign (M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 7.1.6). From 10 on it differs
/// from 1 by less than 2^-148.
pub fn erf(x: Big) -> Big {
    odd(x, |x| {
        if x.exponent() > 3 || x.to_f64() >= 10.0 {
            return Big::ONE;
        }
        let twice_square = x.square().scale(1);
        let (mut term, mut sum) = (x, x);
        for inverse in &INVERSE_ODDS[1..] {
            term = term * twice_square * *inverse;
            sum = sum + term;
            if term.exponent() < sum.exponent() - 130 {
                break;
            }
        }
        sum * exp(-x.square()) * TWO_OVER_SQRT_PI
    })
}

/// Computes the logistic function.
pub fn sigmoid(x: Big) -> Big {
    Big::ONE / (Big::ONE + exp(-x))
}

/// Computes `x^y` for positive x.
pub fn pow(x: Big, y: Big) -> Big {
    exp(y * log(x))
}

/// Computes the hypotenuse of a right triangle with legs x and y.
pub fn hypot(x: Big, y: Big) -> Big {
    (x.square() + y.square()).sqrt()
}
