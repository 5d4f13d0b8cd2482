//! sinh, cosh, tanh and the sigmoid.

use super::exp::{Exponential, clamp, reduce};
use super::{Function, all, fast_two_sum, large_product_error, poly};
use crate::lanes::{Bits, Exponents, Float, Isa, Numbers, Real};

/// The hyperbolic sine. At most 0.6 ULP.
pub(crate) struct Sinh;

/// The hyperbolic cosine. At most 0.6 ULP.
pub(crate) struct Cosh;

/// The hyperbolic tangent. At most 0.8 ULP.
pub(crate) struct Tanh;

/// 1 / (1 + exp(-x)). At most 0.7 ULP; subnormal results 1.0.
pub(crate) struct Sigmoid;

/// Computes sinh(a) / 2 if `SINH`, otherwise cosh(a) / 2, for a >= 0. Applies the addition theorems to sinh and cosh of
/// n ln 2, in two parts, and of r. The halves avoid overflow of the functions of n ln 2 where the result does not
/// overflow.
#[inline(always)]
fn half<T: Exponential, I: Isa, const SINH: bool>(isa: I, a: T::V<I>) -> T::V<I> {
    let c = |v: f64| all::<T, I>(isa, v);
    let reduced = reduce::<T, I>(isa, a);
    let r = reduced.high.add(reduced.low);
    let u = r.mul(r);
    let two = c(2.0);
    let (up, up_low) = T::power::<I>(reduced.t);
    let (down, down_low) = T::power::<I>(c(T::MAGIC).sub(reduced.n));
    let (up, down) = (up.scale(isa, reduced.n.sub(two)), down.scale(isa, reduced.n.neg().sub(two)));
    let (up_low, down_low) = (up.mul(up_low), down.mul(down_low));
    let (sum, sum_low) = fast_two_sum(up, down);
    let (difference, difference_low) = fast_two_sum(up, down.neg());
    let (sum_low, difference_low) = (sum_low.add(up_low.add(down_low)), difference_low.add(up_low.sub(down_low)));
    let (cosh, sinh) = T::hyperbolic_rest(isa, u);
    let (cosh, sinh) = (u.mul(cosh), u.mul(r).mul_add(sinh, reduced.low));
    if SINH {
        // difference cosh(r) + sum sinh(r)
        let product = sum.mul(reduced.high);
        let error = large_product_error::<T, I>(isa, sum, reduced.high, product);
        let (high, low) = fast_two_sum(difference, product);
        let low = low.add(error).add(difference_low);
        high.add(sum_low.mul_add(r, sum.mul_add(sinh, difference.mul_add(cosh, low))))
    } else {
        sum.add(difference.mul_add(reduced.high.add(sinh), sum.mul_add(cosh, sum_low)))
    }
}

/// 2^(i/8), rounded to 50 bits, so that adding or subtracting 1 is exact for their products with powers of 2 up to
/// 2^49.
const SHORT_POWERS: [f64; 8] = [
    1.0,
    1.090507732665257,
    1.1892071150027217,
    1.2968395546510099,
    1.4142135623730958,
    1.54221082540794,
    1.6817928305074297,
    1.8340080864093427,
];
/// Half the logarithms of the exact powers divided by `SHORT_POWERS`.
const SHORT_LOW: [f64; 8] = [
    0.0,
    2.914541433022986e-16,
    -2.6333245679370333e-16,
    -7.582360571314714e-17,
    -2.696929120908758e-16,
    2.417413205081212e-16,
    -1.7366696538747627e-16,
    -5.158470512881463e-17,
];
/// ln(2) / 2 in two parts. The first is so short that its products with n below 2^6 are exact.
const HALF_LN2: [f64; 2] = [0.34657359027994517, 2.7489615093541856e-14];

impl Function<f64> for Tanh {
    /// 2 |x| = n ln 2 + 2 d, where n is a multiple of 1/8. With S = 2^n, D = S - 1, M = S + 1 and t = tanh d, the
    /// addition theorem gives tanh |x| = (D + M t) / (M + D t). Numerator and denominator are in two parts, and the
    /// quotient is corrected by its remainder.
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F64) -> I::F64 {
        let c = |v: f64| all::<f64, I>(isa, v);
        // From 20 on the result is 1.
        let a = c(20.0).min(x.abs());
        let t = a.mul_add(c(2.0 * std::f64::consts::LOG2_E), c(f64::MAGIC));
        let n = t.sub(c(f64::MAGIC));
        let d = n.neg_mul_add(c(HALF_LN2[0]), a);
        let d_low = n.neg_mul_add(c(HALF_LN2[1]), t.lookup(&SHORT_LOW));
        // Adds the integer part of n to the exponent. In minus infinity exactly the bits above the mantissa are set.
        let s = t.lookup(&SHORT_POWERS).int_add(t.shl(49).bit_and(c(f64::NEG_INFINITY)));
        // Where S is so large that M is rounded, (M - 2) / M is still precise enough.
        let sum = s.add(c(1.0));
        let difference = sum.sub(c(2.0));
        // tanh d = d + low; its relative error is 2^-56.5.
        let u = d.mul(d);
        let rest = poly::<f64, I, 3>(isa, u, [-0.3333333333329189, 0.13333332797267064, -0.05394854527218948]);
        let low = u.mul(d).mul_add(rest, d_low);
        let product = sum.mul(d);
        let error = sum.product_error(d, product);
        let (top, top_low) = fast_two_sum(difference, product);
        let top_low = sum.mul_add(low, top_low.add(error));
        let small = d.add(low);
        let bottom = difference.mul_add(small, sum);
        let bottom_low = difference.mul_add(small, sum.sub(bottom));
        let inverse = c(1.0).div(bottom);
        let q = top.mul(inverse);
        let left = remainder::<f64, I>(q, bottom, top);
        let y = q.neg_mul_add(bottom_low, left.add(top_low)).mul_add(inverse, q);
        y.copysign(x)
    }
}

/// Computes a - q b, which is exact where q is nearly a / b.
#[inline(always)]
fn remainder<T: Real, I: Isa>(q: T::V<I>, b: T::V<I>, a: T::V<I>) -> T::V<I> {
    if I::FUSED {
        return q.neg_mul_add(b, a);
    }
    let product = q.mul(b);
    a.sub(product).sub(q.product_error(b, product))
}

/// The centres of the cells of tanh for f32. The first cell, [0, 1/4), has centre 0. Then each octave of |x| + 1 up to
/// 9 has four cells. Each centre is a point near the middle of its cell whose tanh is within 0.002 ULP of a float. From
/// 9 on the result is 1. The index is made of the exponent and mantissa bits of |x| + 1, mod 16.
const CENTRE: [f32; 16] = [
    1.2496904, 1.7496619, 2.2493403, 2.7495046, 3.499375, 4.4986053, 5.498579, 6.498959, 7.997139, 9.0, 9.0, 9.0, 0.0,
    0.3749162, 0.62483376, 0.8748261,
];
/// Minimax polynomials of tanh around the centres, with errors relative to tanh, computed in 50 digits. Their constant
/// terms are exactly the floats of the table. The error is at most 2^-26.3.
const CELLS: [[f32; 16]; 7] = [
    [
        0.8481968, 0.94133705, 0.9779974, 0.9918517, 0.9981756, 0.9997525, 0.9999665, 0.99999547, 0.99999976, 1.0, 1.0,
        1.0, 0.0, 0.35828435, 0.5544846, 0.70381784,
    ],
    [
        0.28056204,
        0.1138845,
        0.04352104,
        0.016230233,
        0.0036455067,
        0.0004949078,
        6.699672e-05,
        9.060475e-06,
        4.5273032e-07,
        0.0,
        0.0,
        0.0,
        1.0,
        0.87163234,
        0.69254684,
        0.50464046,
    ],
    [
        -0.23797199,
        -0.10720378,
        -0.042563457,
        -0.016097954,
        -0.0036387823,
        -0.00049476995,
        -6.700062e-05,
        -9.0686335e-06,
        -2.3591622e-07,
        0.0,
        0.0,
        0.0,
        -1.0963495e-06,
        -0.31229228,
        -0.3840065,
        -0.35517493,
    ],
    [
        0.108341955,
        0.062960654,
        0.027120348,
        0.010556296,
        0.0024145981,
        0.00032931266,
        4.460105e-05,
        6.0309626e-06,
        3.006595e-07,
        0.0,
        0.0,
        0.0,
        -0.33327022,
        -0.17865768,
        -0.01793045,
        0.08176218,
    ],
    [
        -0.012552921,
        -0.023525275,
        -0.012336075,
        -0.0051060054,
        -0.0011994296,
        -0.00016468715,
        -2.2224278e-05,
        -2.9270886e-06,
        -7.281893e-07,
        0.0,
        0.0,
        0.0,
        -0.0011833718,
        0.16811448,
        0.13792972,
        0.06083923,
    ],
    [
        -0.019723099,
        0.0034688492,
        0.0039791386,
        0.0019174773,
        0.00049144094,
        6.859631e-05,
        9.341641e-06,
        1.2678117e-06,
        6.634389e-08,
        0.0,
        0.0,
        0.0,
        0.14308289,
        0.019054815,
        -0.054257102,
        -0.058536038,
    ],
    [
        0.015071885,
        0.0020309987,
        -0.0007194169,
        -0.0005311077,
        -0.00015583195,
        -2.2182701e-05,
        -3.322546e-06,
        -6.5956317e-07,
        3.629958e-07,
        0.0,
        0.0,
        0.0,
        -0.036975186,
        -0.06961978,
        -0.023454338,
        0.013326587,
    ],
];

impl Function<f32> for Tanh {
    #[inline(always)]
    fn vector<I: Isa>(isa: I, x: I::F32) -> I::F32 {
        let c = |v: f64| all::<f32, I>(isa, v);
        let a = c(10.0).min(x.abs());
        let cell = a.add(c(1.0)).shr(21);
        let d = a.sub(cell.lookup(&CENTRE));
        let mut rest = cell.lookup(&CELLS[6]);
        for coefficients in CELLS[2..6].iter().rev() {
            rest = rest.mul_add(d, cell.lookup(coefficients));
        }
        // The terms from the square on are summed first, so that the operand rounded in the last but one operation is
        // small or, around 0, the result.
        let (first, rest) = (cell.lookup(&CELLS[1]), d.mul(d).mul(rest));
        let rest = if I::FUSED {
            d.mul_add(first, rest)
        } else {
            let product = d.mul(first);
            product.add(rest.add(d.product_error(first, product)))
        };
        cell.lookup(&CELLS[0]).add(rest).copysign(x)
    }
}

macro_rules! function {
    ($T:ident) => {
        impl Function<$T> for Sinh {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let c = |v: f64| all::<$T, I>(isa, v);
                // An infinite argument is replaced by one that overflows. NaN is kept.
                let a = c($T::RANGE[0] + 1.0).min(x.abs());
                let y = half::<$T, I, true>(isa, a);
                Bits::select(x.abs().lt(c($T::TINY)), x, y.add(y).copysign(x))
            }
        }

        impl Function<$T> for Cosh {
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let y = half::<$T, I, false>(isa, all::<$T, I>(isa, $T::RANGE[0] + 1.0).min(x.abs()));
                y.add(y)
            }
        }

        impl Function<$T> for Sigmoid {
            /// With e = exp(-|x|), computes 1 / (1 + e), or e / (1 + e) for negative x. The quotient is corrected by
            /// its remainder.
            #[inline(always)]
            fn vector<I: Isa>(isa: I, x: <$T as Real>::V<I>) -> <$T as Real>::V<I> {
                let c = |v: f64| all::<$T, I>(isa, v);
                let a = clamp::<$T, I>(isa, x.abs().neg(), $T::RANGE);
                let reduced = reduce::<$T, I>(isa, a);
                let r = reduced.high.add(reduced.low);
                let u = r.mul(r);
                let (power, power_low) = $T::power::<I>(reduced.t);
                let q = u.mul_add($T::exp_rest(isa, r, u), r.add(power_low));
                let product = power.mul(q);
                // e = (m + m_low) 2^floor(n)
                let (m, m_low) = fast_two_sum(power, product);
                let (d, d_low) = fast_two_sum(c(1.0), m.scale(isa, reduced.n));
                let d_low = d_low.add(m_low.scale(isa, reduced.n));
                let inverse = c(1.0).div(d);
                let negative = x.sign_mask();
                let (top, top_low) = (Bits::select(negative, m, c(1.0)), Bits::select(negative, m_low, c(0.0)));
                let y = top.mul(inverse);
                let left = remainder::<$T, I>(y, d, top);
                let y = y.neg_mul_add(d_low, left.add(top_low)).mul_add(inverse, y);
                y.scale(isa, Bits::select(negative, reduced.n, c(0.0)))
            }
        }
    };
}
function!(f32);
function!(f64);
