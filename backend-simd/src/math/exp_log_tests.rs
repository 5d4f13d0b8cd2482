//! Tests of exp, log, related functions and pow on every tier: against values computed with 1300 bits, for f32 against
//! the standard library's f64 functions, at special values, and at every position of an element.

use super::*;
use crate::lanes::Work;
use crate::tier::{NAMES, Token};
use std::marker::PhantomData;

/// Each line has a function, the bits of its arguments, the bits of the nearest f64, and the difference of the exact
/// value to it in ULP (mpmath, 1300 bits).
const REFERENCE: &str = include_str!("exp_log_reference.txt");

const UNARY: [&str; 11] = ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sinh", "cosh", "tanh", "sigmoid"];

struct Map<'a, T, F>(&'a [T], &'a mut [T], PhantomData<F>);

impl<T: Real, F: Function<T>> Work for Map<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.0.len(), self.1.len());
        // SAFETY: both slices have this length.
        unsafe { apply::<T, F, I>(isa, self.0.as_ptr(), self.1.as_mut_ptr(), self.0.len()) };
    }
}

struct Map2<'a, T, const FORM: usize>(&'a [T], &'a [T], &'a mut [T]);

impl<T: Real, const FORM: usize> Work for Map2<'_, T, FORM>
where
    Pow: Function2<T>,
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let n = self.2.len();
        assert!(
            n > 0 && self.0.len() == if FORM == 2 { 1 } else { n } && self.1.len() == if FORM == 1 { 1 } else { n }
        );
        // SAFETY: the slices have n elements, or one element for the single operand of the form.
        unsafe { apply2::<T, Pow, I, FORM>(isa, self.0.as_ptr(), self.1.as_ptr(), self.2.as_mut_ptr(), n) };
    }
}

fn enter<W: Work>(tier: &str, work: W) -> W::Out {
    match Token::best(Some(tier)).unwrap() {
        Token::Portable(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx2(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx512(isa) => isa.enter(work),
    }
}

fn map<T: Real, F: Function<T>>(tier: &str, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ONE; x.len()];
    enter(tier, Map::<T, F>(x, &mut y, PhantomData));
    y
}

fn pow<T: Real, const FORM: usize>(tier: &str, x: &[T], y: &[T]) -> Vec<T>
where
    Pow: Function2<T>,
{
    let mut out = vec![T::ONE; x.len().max(y.len())];
    enter(tier, Map2::<T, FORM>(x, y, &mut out));
    out
}

macro_rules! unary {
    ($name:ident, $T:ident) => {
        fn $name(function: &str, tier: &str, x: &[$T]) -> Vec<$T> {
            match function {
                "exp" => map::<$T, Exp>(tier, x),
                "exp2" => map::<$T, Exp2>(tier, x),
                "expm1" => map::<$T, Expm1>(tier, x),
                "log" => map::<$T, Log>(tier, x),
                "log2" => map::<$T, Log2>(tier, x),
                "log10" => map::<$T, Log10>(tier, x),
                "log1p" => map::<$T, Log1p>(tier, x),
                "sinh" => map::<$T, Sinh>(tier, x),
                "cosh" => map::<$T, Cosh>(tier, x),
                "tanh" => map::<$T, Tanh>(tier, x),
                _ => map::<$T, Sigmoid>(tier, x),
            }
        }
    };
}
unary!(unary32, f32);
unary!(unary64, f64);

/// The standard library's function in f64.
fn std64(function: &str, x: f64) -> f64 {
    match function {
        "exp" => x.exp(),
        "exp2" => x.exp2(),
        "expm1" => x.exp_m1(),
        "log" => x.ln(),
        "log2" => x.log2(),
        "log10" => x.log10(),
        "log1p" => x.ln_1p(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "tanh" => x.tanh(),
        _ if x > 0.0 => 1.0 / (1.0 + (-x).exp()),
        _ => x.exp() / (1.0 + x.exp()),
    }
}

/// Returns the difference of `got` to the precise `want` in ULP of f32.
fn error32(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if got.to_bits() == rounded.to_bits() && !rounded.is_finite() || got.is_nan() && want.is_nan() {
        return 0.0;
    }
    if got.is_nan() || want.is_nan() || want == 0.0 && got.to_bits() != rounded.to_bits() {
        return f64::INFINITY;
    }
    let bound = |x: f64| x.clamp(-2f64.powi(128), 2f64.powi(128));
    let exponent = ((want.to_bits() >> 52 & 2047) as i32 - 1023).clamp(-126, 127);
    (bound(f64::from(got)) - bound(want)).abs() / 2f64.powi(exponent - 23)
}

/// Returns the points of a function: arguments, the nearest f64, and the rest in ULP.
fn reference(function: &str) -> Vec<(Vec<f64>, f64, f64)> {
    let number = |word: &str| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    let points: Vec<_> = REFERENCE
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|words| words[0] == function)
        .map(|words| {
            let n = words.len();
            (words[1..n - 2].iter().map(|w| number(w)).collect(), number(words[n - 2]), words[n - 1].parse().unwrap())
        })
        .collect();
    assert!(points.len() > 200, "{function}");
    points
}

/// Returns the largest error of `got` in ULP, and its arguments.
fn worst(points: &[(Vec<f64>, f64, f64)], got: &[f64]) -> (f64, Vec<f64>) {
    let errors = points.iter().zip(got).map(|((x, near, rest), got)| {
        // The order of the bits is that of the magnitudes.
        let steps = (got.to_bits() as i64).wrapping_sub(near.to_bits() as i64) as f64 * near.signum();
        let comparable = !got.is_nan() && got.signum() == near.signum();
        (if comparable { (steps - rest).abs() } else { f64::INFINITY }, x.clone())
    });
    errors.fold((0.0, Vec::new()), |a, b| if b.0 > a.0 { b } else { a })
}

#[test]
fn f64_is_within_one_ulp() {
    for tier in NAMES {
        for function in UNARY {
            let points = reference(function);
            let x: Vec<f64> = points.iter().map(|p| p.0[0]).collect();
            let (error, at) = worst(&points, &unary64(function, tier, &x));
            assert!(error <= 1.0, "{function} on {tier}: {error} ULP at {at:?}");
        }
        let points = reference("pow");
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|p| (p.0[0], p.0[1])).unzip();
        let (error, at) = worst(&points, &pow::<f64, 0>(tier, &x, &y));
        assert!(error <= 2.0, "pow on {tier}: {error} ULP at {at:?}");
    }
}

#[test]
fn f32_is_within_one_ulp() {
    let x: Vec<f32> = (0..1u64 << 32).step_by(100_003).map(|i| f32::from_bits(i as u32)).collect();
    let near_one = (0..4000).map(|i| f32::from_bits(0x3f30_0000 + i * 4001));
    let x: Vec<f32> = x.into_iter().chain(near_one).collect();
    for tier in NAMES {
        for function in UNARY {
            for (x, got) in x.iter().zip(unary32(function, tier, &x)) {
                let error = error32(got, std64(function, f64::from(*x)));
                assert!(error <= 1.0, "{function}({x:e}) = {got:e} on {tier}: {error} ULP");
            }
        }
        let y: Vec<f32> = x
            .iter()
            .map(|x| {
                if x.is_normal() && *x > 0.0 {
                    (x.to_bits() % 2011) as f32 / 11.0 / x.ln() - 90.0 / x.ln()
                } else {
                    x.abs()
                }
            })
            .collect();
        for ((x, y), got) in x.iter().zip(&y).zip(pow::<f32, 0>(tier, &x, &y)) {
            let error = error32(got, f64::from(*x).powf(f64::from(*y)));
            assert!(error <= 2.0, "pow({x:e}, {y:e}) = {got:e} on {tier}: {error} ULP");
        }
    }
}

#[test]
fn special_values() {
    const INF: f64 = f64::INFINITY;
    const TINY: f64 = 5e-324;
    let table: [(&str, &[(f64, f64)]); 11] = [
        (
            "exp",
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (INF, INF),
                (-INF, 0.0),
                (709.79, INF),
                (1e300, INF),
                (-745.14, 0.0),
                (-745.13, TINY),
                (TINY, 1.0),
                (-f64::MAX, 0.0),
            ],
        ),
        (
            "exp2",
            &[
                (0.0, 1.0),
                (10.0, 1024.0),
                (-1074.0, TINY),
                (-1075.0, 0.0),
                (1024.0, INF),
                (1023.0, 8.98846567431158e307),
                (INF, INF),
                (-INF, 0.0),
                (-f64::MAX, 0.0),
            ],
        ),
        (
            "expm1",
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (TINY, TINY),
                (-TINY, -TINY),
                (-50.0, -1.0),
                (-INF, -1.0),
                (INF, INF),
                (710.0, INF),
                (3e-308, 3e-308),
            ],
        ),
        (
            "log",
            &[
                (1.0, 0.0),
                (0.0, -INF),
                (-0.0, -INF),
                (INF, INF),
                (-1.0, f64::NAN),
                (-TINY, f64::NAN),
                (-INF, f64::NAN),
                (TINY, -744.4400719213812),
            ],
        ),
        (
            "log2",
            &[
                (1.0, 0.0),
                (8.0, 3.0),
                (0.125, -3.0),
                (TINY, -1074.0),
                (f64::MIN_POSITIVE, -1022.0),
                (0.0, -INF),
                (-0.0, -INF),
                (INF, INF),
                (-2.0, f64::NAN),
            ],
        ),
        ("log10", &[(1.0, 0.0), (1000.0, 3.0), (1e22, 22.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-10.0, f64::NAN)]),
        (
            "log1p",
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (TINY, TINY),
                (-TINY, -TINY),
                (-1.0, -INF),
                (-1.5, f64::NAN),
                (-INF, f64::NAN),
                (INF, INF),
            ],
        ),
        (
            "sinh",
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (TINY, TINY),
                (-TINY, -TINY),
                (INF, INF),
                (-INF, -INF),
                (711.0, INF),
                (-711.0, -INF),
            ],
        ),
        ("cosh", &[(0.0, 1.0), (-0.0, 1.0), (TINY, 1.0), (INF, INF), (-INF, INF), (711.0, INF), (-711.0, INF)]),
        (
            "tanh",
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (TINY, TINY),
                (-TINY, -TINY),
                (INF, 1.0),
                (-INF, -1.0),
                (30.0, 1.0),
                (-f64::MAX, -1.0),
            ],
        ),
        (
            "sigmoid",
            &[
                (0.0, 0.5),
                (-0.0, 0.5),
                (INF, 1.0),
                (-INF, 0.0),
                (40.0, 1.0),
                (-746.0, 0.0),
                (-f64::MAX, 0.0),
                (TINY, 0.5),
            ],
        ),
    ];
    let same = |got: f64, want: f64| got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
    for tier in NAMES {
        for (function, cases) in table {
            for (x, want) in cases.iter().copied().chain([(f64::NAN, f64::NAN), (-f64::NAN, f64::NAN)]) {
                let got = unary64(function, tier, &[x])[0];
                assert!(same(got, want), "{function}({x:e}) = {got:e}, not {want:e}, on {tier}");
                // Only for values that are exact in f32.
                if f64::from(x as f32).to_bits() == x.to_bits() && !x.is_nan() {
                    let (got, want) = (unary32(function, tier, &[x as f32])[0], std64(function, x));
                    assert!(error32(got, want) <= 1.0, "{function}({x:e}) = {got:e}, not {want:e}, on {tier} for f32");
                }
            }
        }
    }
}

#[test]
fn powers_of_and_with_special_values() {
    let special = [
        [0.0, 1.0, 2.0, 0.5, 3.0, 1.5, f64::INFINITY, 5e-324, 1e-310, f64::MIN_POSITIVE, f64::MAX],
        [
            9_007_199_254_740_991.0,
            9_007_199_254_740_992.0,
            4_503_599_627_370_497.5,
            1e300,
            1.0 - f64::EPSILON / 2.0,
            1.0 + f64::EPSILON,
            1023.0,
            1074.0,
            1075.0,
            149.0,
            8_388_607.5,
        ],
    ];
    let special: Vec<f64> = special.concat().into_iter().flat_map(|x| [x, -x]).chain([f64::NAN]).collect();
    for tier in NAMES {
        for &x in &special {
            let column = vec![x; special.len()];
            let all = pow::<f64, 0>(tier, &column, &special);
            for (&y, got) in special.iter().zip(&all) {
                let want = x.powf(y);
                // The error of the standard library is at most one ULP.
                let near =
                    got.is_finite() && want.is_finite() && (got.to_bits() as i64 - want.to_bits() as i64).abs() <= 2;
                assert!(
                    near || got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                    "pow({x:e}, {y:e}) = {got:e}, not {want:e}, on {tier}"
                );
                let (x, y) = (x as f32, y as f32);
                let (got, want) = (pow::<f32, 0>(tier, &[x], &[y])[0], f64::from(x).powf(f64::from(y)));
                assert!(error32(got, want) <= 2.0, "pow({x:e}, {y:e}) = {got:e}, not {want:e}, on {tier} for f32");
            }
            let bits = |v: Vec<f64>| v.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(all), bits(pow::<f64, 2>(tier, &[x], &special)), "{tier}");
            let row = pow::<f64, 0>(tier, &special, &column);
            assert_eq!(bits(row), bits(pow::<f64, 1>(tier, &special, &[x])), "{tier}");
        }
    }
}

#[test]
fn results_do_not_depend_on_position() {
    let x: Vec<f64> =
        (0..130)
            .map(|i| {
                if i % 17 == 3 { [-1.0, 0.0, f64::NAN, 1e-310][i / 17 % 4] } else { f64::from(i as u32) * 0.37 + 0.001 }
            })
            .collect();
    // All NaNs count as equal, because IEEE 754 does not define which one results.
    let bits = |x: f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
    let bits32 = |x: f32| if x.is_nan() { u32::MAX } else { x.to_bits() };
    let x32: Vec<f32> = x.iter().map(|x| *x as f32).collect();
    for tier in NAMES {
        for function in UNARY {
            let one: Vec<u64> = x.iter().map(|x| bits(unary64(function, tier, &[*x])[0])).collect();
            let one32: Vec<u32> = x32.iter().map(|x| bits32(unary32(function, tier, &[*x])[0])).collect();
            for (from, to) in (0..130).map(|n| (0, n)).chain((0..64).map(|at| (at, 130))) {
                let got: Vec<u64> = unary64(function, tier, &x[from..to]).into_iter().map(bits).collect();
                assert_eq!(got, one[from..to], "{function} of elements {from}..{to} on {tier}");
                let got: Vec<u32> = unary32(function, tier, &x32[from..to]).into_iter().map(bits32).collect();
                assert_eq!(got, one32[from..to], "{function} of elements {from}..{to} on {tier} for f32");
            }
        }
        let y: Vec<f64> = x.iter().rev().copied().collect();
        let one: Vec<u64> = x.iter().zip(&y).map(|(x, y)| bits(pow::<f64, 0>(tier, &[*x], &[*y])[0])).collect();
        for (from, to) in (1..130).map(|n| (0, n)).chain((0..64).map(|at| (at, 130))) {
            let got: Vec<u64> = pow::<f64, 0>(tier, &x[from..to], &y[from..to]).into_iter().map(bits).collect();
            assert_eq!(got, one[from..to], "pow of elements {from}..{to} on {tier}");
        }
    }
}
