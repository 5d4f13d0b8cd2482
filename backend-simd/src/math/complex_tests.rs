//! Tests of the functions of complex numbers on every tier: values computed by MPC with 200 bits, special values, the
//! bits of quotients, and independence of the results from the position of an element.

use super::complex::{
    ComplexDiv, ComplexExp, ComplexFunction, ComplexFunction2, ComplexLog, ComplexSqrt, apply_complex,
    apply_complex_abs, apply_complex2,
};
use crate::lanes::{Isa, Real, Work};
use crate::tier::Token;
use std::marker::PhantomData;

/// `name dtype re im re im`, as bits. Operands have the dtype, values are f64.
const VALUES: &str = include_str!("complex_values.txt");

const TIERS: [&str; 3] = ["portable", "avx2", "avx512"];

fn on_tier<W: Work<Out = ()>>(name: &str, work: W) {
    match Token::best(Some(name)).unwrap() {
        Token::Portable(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx2(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx512(isa) => isa.enter(work),
    }
}

struct Unary<'a, T, F>(&'a [[T; 2]], &'a mut [[T; 2]], PhantomData<F>);

impl<T: Real, F: ComplexFunction<T>> Work for Unary<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.0.len(), self.1.len());
        // SAFETY: both are slices of pairs of this length.
        unsafe { apply_complex::<T, F, I>(isa, self.0.as_ptr().cast(), self.1.as_mut_ptr().cast(), self.1.len()) }
    }
}

struct Magnitude<'a, T>(&'a [[T; 2]], &'a mut [T]);

impl<T: Real> Work for Magnitude<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.0.len(), self.1.len());
        // SAFETY: both slices have this length, and the first is a slice of pairs.
        unsafe { apply_complex_abs::<T, I>(isa, self.0.as_ptr().cast(), self.1.as_mut_ptr(), self.1.len()) }
    }
}

struct Binary<'a, T, F, const FORM: usize>(&'a [[T; 2]], &'a [[T; 2]], &'a mut [[T; 2]], PhantomData<F>);

impl<T: Real, F: ComplexFunction2<T>, const FORM: usize> Work for Binary<'_, T, F, FORM> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let n = self.2.len();
        assert!(
            n > 0 && self.0.len() == (if FORM == 2 { 1 } else { n }) && self.1.len() == (if FORM == 1 { 1 } else { n })
        );
        // SAFETY: these are slices of pairs with the lengths that the assertion above checks.
        unsafe {
            apply_complex2::<T, F, I, FORM>(
                isa,
                self.0.as_ptr().cast(),
                self.1.as_ptr().cast(),
                self.2.as_mut_ptr().cast(),
                n,
            )
        }
    }
}

type Call<T> = fn(&str, &[[T; 2]]) -> Vec<[T; 2]>;

fn unary<T: Real, F: ComplexFunction<T>>(tier: &str, x: &[[T; 2]]) -> Vec<[T; 2]> {
    let mut out = vec![[T::ONE; 2]; x.len()];
    on_tier(tier, Unary::<T, F>(x, &mut out, PhantomData));
    out
}

fn same<T: Real>(a: T, b: T) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

macro_rules! tests {
    ($module:ident, $T:ident, $dtype:literal) => {
        mod $module {
            use super::*;

            const FUNCTIONS: [(&str, Call<$T>, f64); 3] = [
                ("sqrt", unary::<$T, ComplexSqrt>, 3.0),
                ("exp", unary::<$T, ComplexExp>, 3.0),
                ("log", unary::<$T, ComplexLog>, 2.0),
            ];

            #[test]
            fn values() {
                let bits = |text: &str| u64::from_str_radix(text, 16).unwrap();
                for (name, call, eps) in FUNCTIONS {
                    let lines: Vec<Vec<&str>> = VALUES
                        .lines()
                        .map(|l| l.split(' ').collect())
                        .filter(|l: &Vec<&str>| l[0] == name && l[1] == $dtype)
                        .collect();
                    assert!(lines.len() > 20);
                    let x: Vec<[$T; 2]> =
                        lines.iter().map(|l| [2, 3].map(|i| $T::from_bits(bits(l[i]) as _))).collect();
                    for tier in TIERS {
                        for ((l, x), got) in lines.iter().zip(&x).zip(call(tier, &x)) {
                            let value = [4, 5].map(|i| f64::from_bits(bits(l[i])));
                            let apart = (f64::from(got[0]) - value[0]).hypot(f64::from(got[1]) - value[1]);
                            let allowed = eps
                                * f64::from($T::EPSILON)
                                * value[0].hypot(value[1]).max(f64::from($T::MIN_POSITIVE));
                            assert!(apart <= allowed, "{tier} {name}({x:?}) is {got:?}, not {value:?}");
                        }
                    }
                }
            }

            #[test]
            fn special_values() {
                const INF: $T = $T::INFINITY;
                const NAN: $T = $T::NAN;
                let pi = std::f64::consts::PI as $T;
                #[rustfmt::skip]
                let cases: [(usize, &[([$T; 2], [$T; 2])]); 3] = [
                    (0, &[([0.0, 0.0], [0.0, 0.0]), ([-0.0, -0.0], [0.0, -0.0]), ([4.0, -0.0], [2.0, -0.0]),
                        ([-4.0, 0.0], [0.0, 2.0]), ([-4.0, -0.0], [0.0, -2.0]), ([0.0, 2.0], [1.0, 1.0]),
                        ([1.0, INF], [INF, INF]), ([NAN, -INF], [INF, -INF]), ([INF, INF], [INF, INF]),
                        ([INF, -1.0], [INF, -0.0]), ([-INF, 1.0], [0.0, INF]), ([-INF, -1.0], [0.0, -INF]),
                        ([INF, NAN], [INF, NAN]), ([NAN, 1.0], [NAN, NAN]), ([1.0, NAN], [NAN, NAN])]),
                    (1, &[([0.0, 0.0], [1.0, 0.0]), ([0.0, -0.0], [1.0, -0.0]), ([1.0, INF], [NAN, NAN]),
                        ([INF, 0.0], [INF, 0.0]), ([INF, -0.0], [INF, -0.0]), ([INF, 2.0], [-INF, INF]),
                        ([-INF, 2.0], [-0.0, 0.0]),
                        ([-INF, INF], [0.0, 0.0]), ([-INF, NAN], [0.0, 0.0]), ([INF, INF], [INF, NAN]),
                        ([INF, NAN], [INF, NAN]), ([NAN, 0.0], [NAN, 0.0]), ([NAN, 1.0], [NAN, NAN]),
                        ([1.0, NAN], [NAN, NAN])]),
                    (2, &[([0.0, 0.0], [-INF, 0.0]), ([-0.0, 0.0], [-INF, pi]), ([-0.0, -0.0], [-INF, -pi]),
                        ([1.0, 0.0], [0.0, 0.0]), ([1.0, -0.0], [0.0, -0.0]), ([-1.0, 0.0], [0.0, pi]),
                        ([-1.0, -0.0], [0.0, -pi]),
                        ([INF, 1.0], [INF, 0.0]), ([-INF, -1.0], [INF, -pi]), ([1.0, INF], [INF, pi / 2.0]),
                        ([INF, INF], [INF, pi / 4.0]), ([NAN, INF], [INF, NAN]), ([-INF, NAN], [INF, NAN]),
                        ([1.0, NAN], [NAN, NAN])]),
                ];
                for tier in TIERS {
                    for (function, cases) in cases {
                        let (name, call, _) = FUNCTIONS[function];
                        let x: Vec<[$T; 2]> = cases.iter().map(|c| c.0).collect();
                        for ((x, want), got) in cases.iter().zip(call(tier, &x)) {
                            assert!(
                                same(got[0], want[0]) && same(got[1], want[1]),
                                "{tier} {name}({x:?}) is {got:?}, not {want:?}"
                            );
                        }
                    }
                }
            }

            fn operands(n: usize) -> Vec<[$T; 2]> {
                let special = [0.0, -0.0, 1.0, -2.5, $T::MAX, $T::MIN_POSITIVE / 8.0, $T::INFINITY, $T::NAN];
                let mut state = 5u64;
                let mut part = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let high = state >> 33;
                    if high % 5 == 0 {
                        special[(high / 5 % 8) as usize]
                    } else {
                        (high as f64 / (1u64 << 28) as f64 - 4.0) as $T
                    }
                };
                (0..n).map(|_| [part(), part()]).collect()
            }

            #[test]
            fn products_and_quotients_have_their_definitions_bits() {
                // Sums and products of parts stay in range, because numbers are scaled by powers of two.
                let (large, little, by) = if size_of::<$T>() == 4 { (125, -70, 60) } else { (1021, -900, 200) };
                let power = |n: i32| 2.0f64.powi(n) as $T;
                let scale = |z: [$T; 2]| {
                    let most = if z[0].abs() < z[1].abs() { z[1].abs() } else { z[0].abs() };
                    if most > power(large) {
                        0.0625
                    } else if most < power(little) {
                        power(by)
                    } else {
                        1.0
                    }
                };
                let div = |x: [$T; 2], y: [$T; 2]| {
                    let (by_x, by_y) = (scale(x), scale(y));
                    let back = by_y / by_x;
                    let (given, x, y) = ((x, y), x.map(|part| part * by_x), y.map(|part| part * by_y));
                    if y == [0.0, 0.0] {
                        let (x, y) = given;
                        [x[0] / y[0].abs(), x[1] / y[0].abs()]
                    } else if y[0].abs() >= y[1].abs() {
                        let ratio = y[1] / y[0];
                        let scale = y[0] + y[1] * ratio;
                        [(x[0] + x[1] * ratio) / scale, (x[1] - x[0] * ratio) / scale].map(|part| part * back)
                    } else {
                        let ratio = y[0] / y[1];
                        let scale = y[0] * ratio + y[1];
                        [(x[0] * ratio + x[1]) / scale, (x[1] * ratio - x[0]) / scale].map(|part| part * back)
                    }
                };
                let x = operands(2000);
                let y: Vec<[$T; 2]> = x.iter().rev().copied().collect();
                let mut out = vec![[0.0; 2]; x.len()];
                let check = |what: &str, out: &[[$T; 2]], want: &dyn Fn(usize) -> [$T; 2]| {
                    for (i, got) in out.iter().enumerate() {
                        let want = want(i);
                        assert!(same(got[0], want[0]) && same(got[1], want[1]), "{what} {i}: {got:?}, not {want:?}");
                    }
                };
                for tier in TIERS {
                    on_tier(tier, Binary::<$T, ComplexDiv, 0>(&x, &y, &mut out, PhantomData));
                    check(tier, &out, &|i| div(x[i], y[i]));
                    on_tier(tier, Binary::<$T, ComplexDiv, 1>(&x, &y[7..8], &mut out, PhantomData));
                    check(tier, &out, &|i| div(x[i], y[7]));
                    on_tier(tier, Binary::<$T, ComplexDiv, 2>(&x[7..8], &y, &mut out, PhantomData));
                    check(tier, &out, &|i| div(x[7], y[i]));
                }
            }

            #[test]
            fn results_do_not_depend_on_their_place() {
                let x = operands(150);
                for tier in TIERS {
                    for (name, call, _) in FUNCTIONS {
                        let whole = call(tier, &x);
                        for n in 0..=130 {
                            let at = n % 17;
                            let part = call(tier, &x[at..at + n]);
                            assert!(
                                part.iter().zip(&whole[at..]).all(|(a, b)| same(a[0], b[0]) && same(a[1], b[1])),
                                "{tier} {name}: {n} from {at}"
                            );
                        }
                    }
                    let mut whole = vec![0.0; x.len()];
                    on_tier(tier, Magnitude(&x, &mut whole));
                    for n in 0..=130 {
                        let mut part = vec![0.0; n];
                        on_tier(tier, Magnitude(&x[3..3 + n], &mut part));
                        assert!(part.iter().zip(&whole[3..]).all(|(a, b)| same(*a, *b)), "{tier} abs: {n}");
                    }
                    for (z, got) in x.iter().zip(&whole) {
                        let want = z[0].hypot(z[1]);
                        assert!(
                            same(*got, want) || (*got - want).abs() <= want * $T::EPSILON,
                            "{tier} |{z:?}| is {got:?}, not {want:?}"
                        );
                    }
                }
            }
        }
    };
}
tests!(single, f32, "f32");
tests!(double, f64, "f64");
