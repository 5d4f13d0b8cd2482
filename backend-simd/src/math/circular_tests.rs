//! Tests of the trigonometric functions and their inverses.
//!
//! `circular_values.txt` holds results of mpmath for f64, computed with 1500 bits. Each line has one value: the
//! function, the bits of its arguments and of the rounded value, and the rounding error (exact minus rounded value) in
//! thousandths of an ULP. The arguments include the neighbours of multiples of pi/2, and the arguments that come
//! closest to one.

use super::*;
use crate::lanes::portable::Portable;
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2::Avx2, avx512::Avx512};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

struct Unary<'a, T, F>(&'a [T], &'a mut [T], PhantomData<F>);

impl<T: Real, F: Function<T>> Work for Unary<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.0.len(), self.1.len());
        // SAFETY: both slices have this length.
        unsafe { apply::<T, F, I>(isa, self.0.as_ptr(), self.1.as_mut_ptr(), self.0.len()) };
    }
}

struct Binary<'a, T>(&'a [T], &'a [T], &'a mut [T]);

impl<T: Real> Work for Binary<'_, T>
where
    Arctan2: Function2<T>,
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert!(self.0.len() == self.2.len() && self.1.len() == self.2.len());
        // SAFETY: all slices have this length.
        unsafe { apply2::<T, Arctan2, I, 0>(isa, self.0.as_ptr(), self.1.as_ptr(), self.2.as_mut_ptr(), self.0.len()) };
    }
}

/// Computes the values on each tier that this machine has.
fn on_tiers<T: Real, F: Function<T>>(x: &[T]) -> Vec<(&'static str, Vec<T>)> {
    let mut all = vec![("portable", vec![T::ONE; x.len()])];
    Portable.enter(Unary::<T, F>(x, &mut all[0].1, PhantomData));
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(isa) = Avx2::new() {
            let mut y = vec![T::ONE; x.len()];
            isa.enter(Unary::<T, F>(x, &mut y, PhantomData));
            all.push(("avx2", y));
        }
        if let Some(isa) = Avx512::new() {
            let mut y = vec![T::ONE; x.len()];
            isa.enter(Unary::<T, F>(x, &mut y, PhantomData));
            all.push(("avx512", y));
        }
    }
    all
}

fn angles_on_tiers<T: Real>(y: &[T], x: &[T]) -> Vec<(&'static str, Vec<T>)>
where
    Arctan2: Function2<T>,
{
    let mut all = vec![("portable", vec![T::ONE; x.len()])];
    Portable.enter(Binary::<T>(y, x, &mut all[0].1));
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(isa) = Avx2::new() {
            let mut out = vec![T::ONE; x.len()];
            isa.enter(Binary::<T>(y, x, &mut out));
            all.push(("avx2", out));
        }
        if let Some(isa) = Avx512::new() {
            let mut out = vec![T::ONE; x.len()];
            isa.enter(Binary::<T>(y, x, &mut out));
            all.push(("avx512", out));
        }
    }
    all
}

/// Runs `check` with the type and the name of each unary function and the standard library's function.
macro_rules! each_function {
    ($check:ident) => {
        $check!(Sin, "sin", f64::sin);
        $check!(Cos, "cos", f64::cos);
        $check!(Tan, "tan", f64::tan);
        $check!(Arcsin, "arcsin", f64::asin);
        $check!(Arccos, "arccos", f64::acos);
        $check!(Arctan, "arctan", f64::atan);
    };
}

/// Returns the lines of the file for `name` as numbers: arguments, value, thousandths.
fn lines(name: &str) -> Vec<(Vec<f64>, f64, f64)> {
    let mut all = vec![];
    for line in include_str!("circular_values.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] == name {
            let numbers: Vec<f64> =
                words[1..words.len() - 1].iter().map(|w| f64::from_bits(u64::from_str_radix(w, 16).unwrap())).collect();
            let (value, arguments) = numbers.split_last().unwrap();
            all.push((arguments.to_vec(), *value, words[words.len() - 1].parse().unwrap()));
        }
    }
    assert!(all.len() > 80, "{name}");
    all
}

/// Returns the error of `got` in ULP of `want`, both f64. `rounded` thousandths of an ULP are added to `want`.
fn ulps(got: f64, want: f64, rounded: f64) -> f64 {
    if got.is_infinite() || got.is_nan() || (got != 0.0 && got.is_sign_negative() != want.is_sign_negative()) {
        return f64::INFINITY;
    }
    let difference = got.abs().to_bits() as i64 - want.abs().to_bits() as i64;
    let rounded = if want < 0.0 { -rounded } else { rounded };
    (difference as f64 - rounded / 1000.0).abs()
}

/// Returns the error of an f32 in ULP of f32.
fn ulps_f32(got: f32, want: f64) -> f64 {
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if want == 0.0 || want.is_infinite() || got.is_infinite() {
        return if got.to_bits() == (want as f32).to_bits() { 0.0 } else { f64::INFINITY };
    }
    let exponent = ((want.abs().to_bits() >> 52) as i32 - 1023).max(-126) - 23;
    (f64::from(got) - want).abs() / 2f64.powi(exponent)
}

#[test]
fn f64_values() {
    macro_rules! check {
        ($F:ty, $name:literal, $std:expr) => {
            let values = lines($name);
            let x: Vec<f64> = values.iter().map(|v| v.0[0]).collect();
            for (tier, y) in on_tiers::<f64, $F>(&x) {
                for (y, (x, want, rounded)) in y.iter().zip(&values) {
                    let error = ulps(*y, *want, *rounded);
                    assert!(error <= 1.0, "{} of {:e} on {tier}: {y:e} is {error} ULP from {want:e}", $name, x[0]);
                }
            }
        };
    }
    each_function!(check);
    let values = lines("arctan2");
    let (y, x): (Vec<f64>, Vec<f64>) = values.iter().map(|v| (v.0[0], v.0[1])).unzip();
    for (tier, got) in angles_on_tiers::<f64>(&y, &x) {
        for (got, (arguments, want, rounded)) in got.iter().zip(&values) {
            let error = ulps(*got, *want, *rounded);
            assert!(error <= 1.001, "arctan2 of {arguments:?} on {tier}: {got:e} is {error} ULP from {want:e}");
        }
    }
}

#[test]
fn f32_values() {
    // Every exponent and both signs.
    let x: Vec<f32> = (0..1 << 16).map(|i: u32| f32::from_bits(i.wrapping_mul(65_539))).collect();
    macro_rules! check {
        ($F:ty, $name:literal, $std:expr) => {
            for (tier, y) in on_tiers::<f32, $F>(&x) {
                for (x, y) in x.iter().zip(&y) {
                    let error = ulps_f32(*y, $std(f64::from(*x)));
                    assert!(error <= 1.0, "{} of {x:e} on {tier}: {y:e} is {error} ULP off", $name);
                }
            }
        };
    }
    each_function!(check);
    let other: Vec<f32> =
        x.iter().enumerate().map(|(i, x)| if i % 2 == 0 { x * (i % 1000) as f32 * 0.01 } else { x.sin() }).collect();
    for (tier, angle) in angles_on_tiers::<f32>(&x, &other) {
        for i in 0..x.len() {
            let error = ulps_f32(angle[i], f64::from(x[i]).atan2(f64::from(other[i])));
            assert!(
                error <= 1.001,
                "arctan2 of {:e}, {:e} on {tier}: {:e} is {error} ULP off",
                x[i],
                other[i],
                angle[i]
            );
        }
    }
}

#[test]
fn special_values() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    macro_rules! check {
        ($T:ident, $F:ty, $($x:expr => $want:expr),*) => { $(
            for (tier, y) in on_tiers::<$T, $F>(&[$x as $T]) {
                let want: $T = $want as $T;
                assert!(
                    y[0].to_bits() == want.to_bits() || y[0].is_nan() && want.is_nan(),
                    "{} of {} on {tier}: {}",
                    stringify!($F),
                    $x,
                    y[0]
                );
            }
        )* };
    }
    macro_rules! both {
        ($T:ident) => {
            let tiny = f64::from($T::MIN_POSITIVE) / 64.0;
            check!($T, Sin, 0.0 => 0.0, -0.0 => -0.0, inf => nan, -inf => nan, nan => nan, tiny => tiny,
                -tiny => -tiny);
            check!($T, Cos, 0.0 => 1.0, -0.0 => 1.0, inf => nan, -inf => nan, nan => nan, tiny => 1.0);
            check!($T, Tan, 0.0 => 0.0, -0.0 => -0.0, inf => nan, -inf => nan, nan => nan, tiny => tiny,
                -tiny => -tiny);
            check!($T, Arcsin, 0.0 => 0.0, -0.0 => -0.0, 1.0 => FRAC_PI_2, -1.0 => -FRAC_PI_2, 1.001 => nan,
                -2.0 => nan, inf => nan, nan => nan, -tiny => -tiny);
            check!($T, Arccos, 0.0 => FRAC_PI_2, -0.0 => FRAC_PI_2, 1.0 => 0.0, -1.0 => PI, 1.001 => nan,
                -2.0 => nan, -inf => nan, nan => nan);
            check!($T, Arctan, 0.0 => 0.0, -0.0 => -0.0, inf => FRAC_PI_2, -inf => -FRAC_PI_2, nan => nan,
                1.0 => FRAC_PI_4, tiny => tiny, -tiny => -tiny);
        };
    }
    both!(f32);
    both!(f64);
    // The neighbours of the largest arguments in the domain are outside.
    check!(f64, Arcsin, 1.0 + f64::EPSILON => nan);
    check!(f32, Arccos, -1.0 - f32::EPSILON => nan);
}

#[test]
fn special_angles() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    // C99, F.9.1.4, for nonnegative y and x. The other cases follow by symmetry.
    let cases = [
        (0.0, 0.0, 0.0, PI),
        (0.0, 2.0, 0.0, PI),
        (0.0, inf, 0.0, PI),
        (2.0, 0.0, FRAC_PI_2, FRAC_PI_2),
        (inf, 0.0, FRAC_PI_2, FRAC_PI_2),
        (2.0, inf, 0.0, PI),
        (inf, 2.0, FRAC_PI_2, FRAC_PI_2),
        (inf, inf, FRAC_PI_4, 3.0 * FRAC_PI_4),
        (3.0, 3.0, FRAC_PI_4, 3.0 * FRAC_PI_4),
        (nan, 1.0, nan, nan),
        (0.0, nan, nan, nan),
        (nan, inf, nan, nan),
        (inf, nan, nan, nan),
    ];
    macro_rules! check {
        ($T:ident) => {
            for (y, x, right, left) in cases {
                for (sign_y, sign_x) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                    let want = (sign_y * if sign_x > 0.0 { right } else { left }) as $T;
                    for (tier, got) in angles_on_tiers::<$T>(&[(sign_y * y) as $T], &[(sign_x * x) as $T]) {
                        let same = got[0].to_bits() == want.to_bits() || got[0].is_nan() && want.is_nan();
                        assert!(same, "arctan2({}, {}) on {tier}: {}", sign_y * y, sign_x * x, got[0]);
                    }
                }
            }
        };
    }
    check!(f32);
    check!(f64);
}

#[test]
fn neighbours_do_not_count() {
    // Ordinary and huge arguments, subnormal numbers and NaN side by side. Each result equals the result of the element
    // alone, at any offset and for any length.
    let x: Vec<f64> = (0..160)
        .map(|i| match i % 11 {
            3 => 1e30 * f64::from(i),
            5 => 1e-42 * f64::from(i),
            7 => f64::NAN,
            8 => f64::INFINITY,
            _ => f64::from(i - 80) / 81.0,
        })
        .collect();
    macro_rules! check {
        ($T:ident) => {
            let x: Vec<$T> = x.iter().map(|&x| x as $T).collect();
            let other: Vec<$T> = x.iter().rev().copied().collect();
            macro_rules! one {
                ($F:ty, $name:literal, $std:expr) => {
                    let alone: Vec<_> = x.iter().map(|x| on_tiers::<$T, $F>(&[*x])).collect();
                    for (offset, length) in (0..=130).map(|n| (n % 7, n)).chain((0..29).map(|o| (o, 64))) {
                        for (t, (tier, y)) in on_tiers::<$T, $F>(&x[offset..offset + length]).iter().enumerate() {
                            for (i, y) in y.iter().enumerate() {
                                let want = alone[offset + i][t].1[0];
                                assert!(
                                    y.to_bits() == want.to_bits() || y.is_nan() && want.is_nan(),
                                    "{} of {} on {tier}",
                                    $name,
                                    x[offset + i]
                                );
                            }
                        }
                    }
                };
            }
            each_function!(one);
            let alone: Vec<_> = x.iter().zip(&other).map(|(y, x)| angles_on_tiers::<$T>(&[*y], &[*x])).collect();
            for length in 0..=130 {
                for (t, (tier, got)) in
                    angles_on_tiers::<$T>(&x[3..3 + length], &other[3..3 + length]).iter().enumerate()
                {
                    for (i, got) in got.iter().enumerate() {
                        let want = alone[3 + i][t].1[0];
                        assert!(
                            got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                            "arctan2 of {} on {tier}",
                            x[3 + i]
                        );
                    }
                }
            }
        };
    }
    check!(f32);
    check!(f64);
}

#[test]
fn tiers_with_fma_agree() {
    let x: Vec<f64> = (0..20_000).map(|i| f64::from(i - 10_000) * 1.37e-3 * 1.0008f64.powi(i % 1000)).collect();
    macro_rules! check {
        ($F:ty, $name:literal, $std:expr) => {
            let tiers = on_tiers::<f64, $F>(&x);
            for two in tiers[1..].windows(2) {
                for i in 0..x.len() {
                    let (a, b) = (two[0].1[i], two[1].1[i]);
                    assert!(
                        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(),
                        "{} of {}: {} gives {a}, {} {b}",
                        $name,
                        x[i],
                        two[0].0,
                        two[1].0
                    );
                }
            }
        };
    }
    each_function!(check);
}
