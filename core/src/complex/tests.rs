//! Tests against values of mpmath with 2600 bits and against the special values of NumPy.

use super::*;
use crate::Unary;
use std::collections::BTreeMap;

/// `name`, the parts of the operands, and the parts of the value, as bits.
const VALUES: &str = include_str!("values.txt");

/// `name`, the parts of the operand, and the parts of NumPy's result, which follows C99.
const SPECIAL_VALUES: &str = include_str!("special_values.txt");

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

fn z(re: f64, im: f64) -> Z {
    Z::new(re, im)
}

fn named(name: &str) -> fn(Z) -> Z {
    let op = Unary::ALL.iter().find(|op| op.info().name == name).expect("a ufunc");
    function(*op).expect("a function")
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
fn errors_are_within_their_bounds() {
    let mut largest = BTreeMap::<&str, (f64, &str)>::new();
    for line in VALUES.lines() {
        let (name, bits) = line.split_once(' ').unwrap();
        let parts: Vec<f64> = bits.split(' ').map(|b| f64::from_bits(u64::from_str_radix(b, 16).unwrap())).collect();
        let operand = z(parts[0], parts[1]);
        let (got, allowed) = match name {
            "pow" => {
                let exponent = z(parts[2], parts[3]);
                (pow(operand, exponent), 4.0 + 2.0 * (log(operand) * exponent).norm())
            }
            _ => (named(name)(operand), 4.0),
        };
        let want = z(parts[parts.len() - 2], parts[parts.len() - 1]);
        // Scaled, so that magnitudes neither overflow nor lose digits.
        let by = if want.re.abs().max(want.im.abs()) < 1e-290 { 2f64.powi(200) } else { 2f64.powi(-4) };
        let apart = ((got.re - want.re) * by).hypot((got.im - want.im) * by);
        // Two subnormal numbers are allowed beside the relative error.
        let floor = 1e-323 * by / f64::EPSILON;
        let error = apart / f64::EPSILON / (want.re * by).hypot(want.im * by).max(floor) / (allowed / 4.0);
        assert!(!error.is_nan(), "{line}: {got:?} for {want:?}");
        let most = largest.entry(name).or_default();
        if error >= most.0 {
            *most = (error, line);
        }
    }
    assert_eq!(largest.len(), 22);
    println!("largest errors in eps of the magnitude (of pow: in quarters of its bound): {largest:?}");
    let wrong: Vec<_> = largest.iter().filter(|(_, (error, _))| *error > 4.0).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn special_values_are_those_of_c() {
    // Beside NaN, C99 leaves the sign of a zero open.
    let same = |got: f64, want: f64, other: f64| {
        got.to_bits() == want.to_bits()
            || got.is_nan() && want.is_nan()
            || got == 0.0 && want == 0.0 && other.is_nan()
            || want != 0.0 && (got - want).abs() <= 4.0 * f64::EPSILON * want.abs()
    };
    let mut wrong = Vec::new();
    for line in SPECIAL_VALUES.lines() {
        let (name, parts) = line.split_once(' ').unwrap();
        let parts: Vec<f64> = parts.split(' ').map(|x| x.parse().unwrap()).collect();
        let got = named(name)(z(parts[0], parts[1]));
        if !(same(got.re, parts[2], parts[3]) && same(got.im, parts[3], parts[2])) {
            wrong.push(format!("{line}: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `f(conj z) = conj f(z)` for all functions, on both sides of the branch cuts, and for infinities.
#[test]
fn conjugates_give_conjugates() {
    let parts = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 30.0, -800.0, 1e300, 1e-300, INF, -INF];
    let same = |x: f64, y: f64| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
    for (op, f) in Unary::ALL.iter().filter_map(|&op| Some((op, function(op)?))) {
        for (re, im) in parts.iter().flat_map(|&re| parts.iter().map(move |&im| (re, im))) {
            let (one, other) = (f(z(re, im)), f(z(re, -im)));
            assert!(same(one.re, other.re), "{op:?} of {re} and {im}: {one:?} {other:?}");
            // The unit of a number without an imaginary part is real.
            let zero_of_zero = op == Unary::Sign && one.im == 0.0;
            assert!(same(one.im, -other.im) || zero_of_zero, "{op:?} of {re} and {im}: {one:?} {other:?}");
        }
    }
}

/// On a branch cut, the sign of the zero selects the side from which the function is continuous.
#[test]
fn zeros_select_the_side_of_a_cut() {
    let sides: [(&str, [f64; 2], usize); 12] = [
        ("sqrt", [-4.0, 0.0], 1),
        ("log", [-4.0, 0.0], 1),
        ("log2", [-4.0, 0.0], 1),
        ("log10", [-4.0, 0.0], 1),
        ("log1p", [-4.0, 0.0], 1),
        ("arcsin", [2.0, 0.0], 1),
        ("arccos", [-2.0, 0.0], 1),
        ("arctan", [0.0, 2.0], 0),
        ("arcsinh", [0.0, 2.0], 0),
        ("arccosh", [-2.0, 0.0], 1),
        ("arctanh", [2.0, 0.0], 1),
        ("arccosh", [0.5, 0.0], 1),
    ];
    for (name, at, part) in sides {
        for sign in [1.0, -1.0] {
            let (mut on, mut beside) = (at, at);
            (on[part], beside[part]) = (0f64.copysign(sign), 1e-14 * sign);
            let (on, beside) = (named(name)(z(on[0], on[1])), named(name)(z(beside[0], beside[1])));
            assert!((on - beside).norm() < 1e-12, "{name} {at:?} {sign}: {on:?} {beside:?}");
        }
    }
}

#[test]
fn identities_hold_far_from_the_origin() {
    close(sqrt(z(1.7e308, 1.7e308)), sqrt(z(1.7e300, 1.7e300)).scale(1e4));
    close(sqrt(z(-1.0, 1e-20)), z(5e-21, 1.0));
    close(log(z(1.0, 1e-10)), z(5e-21, 1e-10));
    close(log(z(0.6, 0.8)), z(2.220_446_049_250_313_2e-17, 0.8f64.atan2(0.6)));
    close(log(z(5e-324, 5e-324)), z(-744.093_498_331_101_3, std::f64::consts::FRAC_PI_4));
    close(log(z(1e308, 1.5e308)), z(709.785_536_140_337, 1.5f64.atan()));
    // exp(710) = 2.2e308 exceeds the range, but its product with cos(1.57) does not.
    let e = 355f64.exp();
    close(exp(z(710.0, 1.57)), z(1.57f64.cos() * e * e, INF));
    close(exp(z(1400.0, 5e-324)), z(INF, 5e-324 * 350f64.exp() * 350f64.exp() * 350f64.exp() * 350f64.exp()));
    assert!(sinh(z(710.2, 0.5)).norm() < INF && cosh(z(-710.2, 0.5)).norm() < INF);
    close(tanh(z(-400.0, 1.0)), z(-1.0, 4.0 * 1f64.sin() * 1f64.cos() * (-400f64).exp() * (-400f64).exp()));
    close(exp2(z(1023.0, 1e-300)), z(2f64.powi(1023), 2f64.powi(1023) * 1e-300 * LN_2));
    close(arcsinh(z(1e300, 1e300)), z(1e300f64.ln() + LN_2 + 0.5 * LN_2, std::f64::consts::FRAC_PI_4));
    close(arctanh(z(1e-290, 1e20)), z(0.0, std::f64::consts::FRAC_PI_2));
    close(sign(z(-1.7e308, 1.7e308)), z(-0.5f64.sqrt(), 0.5f64.sqrt()));
}

#[test]
fn real_numbers_give_the_functions_of_real_numbers() {
    for x in [-0.75, 0.25, 0.5] {
        close(log2(z(8.0, 0.0)), z(3.0, 0.0));
        close(log10(z(1e22, -0.0)), z(22.0, -0.0));
        close(exp2(z(x, -0.0)), z(x.exp2(), -0.0));
        close(log1p(z(x, 0.0)), z(x.ln_1p(), 0.0));
        close(expm1(z(1e-10 * x, 0.0)), z((1e-10 * x).exp_m1(), 0.0));
        close(tanh(z(x, 0.0)), z(x.tanh(), 0.0));
        close(arctanh(z(x, 0.0)), z(libm::atanh(x), 0.0));
        close(arcsin(z(x, 0.0)), z(x.asin(), 0.0));
        close(arccos(z(x, 0.0)), z(x.acos(), -0.0));
    }
}

#[test]
fn powers() {
    close(pow(z(NAN, 1.0), z(-0.0, 0.0)), z(1.0, 0.0));
    close(pow(z(0.0, -0.0), z(2.0, 1.0)), z(0.0, 0.0));
    close(pow(z(0.0, 0.0), z(-1.0, 0.0)), z(NAN, NAN));
    close(pow(z(0.0, 0.0), z(0.0, 1.0)), z(NAN, NAN));
    close(pow(z(0.0, 1.0), z(2.0, 0.0)), z(-1.0, 0.0));
    close(pow(z(3.0, 4.0), z(3.0, 0.0)), z(-117.0, 44.0));
    close(pow(z(2.0, 0.0), z(-3.0, 0.0)), z(0.125, -0.0));
    close(pow(z(2.0, 0.0), z(0.5, 0.0)), z(2f64.sqrt(), 0.0));
    close(pow(z(INF, 0.0), z(2.0, 0.0)), z(INF, 0.0));
    close(pow(z(0.0, 1.0), z(0.0, 1.0)), z((-std::f64::consts::FRAC_PI_2).exp(), 0.0));
    assert!(pow(z(1.0, 0.0), z(NAN, NAN)).is_nan());
    // Powers that leave the range.
    assert!(pow(z(1e200, 1e200), z(2.0, 0.0)).im == INF && pow(z(1e-200, 1e-200), z(2.0, 0.0)).norm() == 0.0);
}

#[test]
fn the_order_is_lexicographic() {
    assert!(less(z(1.0, 9.0), z(2.0, 0.0)) && less(z(1.0, 1.0), z(1.0, 2.0)) && !less(z(1.0, 1.0), z(1.0, 1.0)));
    assert!(less_equal(z(-0.0, 1.0), z(0.0, 1.0)) && !less_equal(z(1.0, 2.0), z(1.0, 1.0)));
    let nan = z(1.0, NAN);
    assert!(!less(nan, z(2.0, 0.0)) && !less_equal(z(0.0, 0.0), nan) && !less_equal(nan, nan));
    let x = z(0.0, 5.0);
    assert!(is_nan(minimum(x, nan)) && is_nan(maximum(nan, x)) && fmin(x, nan) == x && fmax(nan, x) == x);
    assert_eq!((minimum(x, z(0.0, 4.0)), maximum(x, z(0.0, 4.0))), (z(0.0, 4.0), x));
    assert!(maximum(z(0.0, 0.0), z(-0.0, 0.0)).re.is_sign_negative(), "the second of equal numbers");
}
