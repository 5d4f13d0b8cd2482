//! Tests of roots, erf, inverse hyperbolic functions and divisions on every tier: values computed by MPFR with 120
//! bits, special values, and independence of the results from the position of an element.

use super::{Arccosh, Arcsinh, Arctanh, Cbrt, Erf, FloorDiv, Function, Function2, Hypot, Rem, apply, apply2};
use crate::lanes::{Isa, Real, Work};
use crate::tier::Token;
use std::marker::PhantomData;

/// `name dtype x y value rest`, as bits. Values are f64; for functions of f64 the exact value is the sum
/// `value + rest`. The points are those with the largest errors among thousands, and random ones.
const VALUES: &str = include_str!("roots_values.txt");

const TIERS: [&str; 3] = ["portable", "avx2", "avx512"];

struct Unary<'a, T, F>(&'a [T], &'a mut [T], PhantomData<F>);

impl<T: Real, F: Function<T>> Work for Unary<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.0.len(), self.1.len());
        // SAFETY: both slices have this length.
        unsafe { apply::<T, F, I>(isa, self.0.as_ptr(), self.1.as_mut_ptr(), self.1.len()) }
    }
}

struct Binary<'a, T, F>(&'a [T], &'a [T], &'a mut [T], PhantomData<F>);

impl<T: Real, F: Function2<T>> Work for Binary<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert!(self.0.len() == self.1.len() && self.0.len() == self.2.len());
        if !self.0.is_empty() {
            // SAFETY: the three slices have this length, which is not zero.
            unsafe { apply2::<T, F, I, 0>(isa, self.0.as_ptr(), self.1.as_ptr(), self.2.as_mut_ptr(), self.2.len()) }
        }
    }
}

fn on_tier<W: Work<Out = ()>>(name: &str, work: W) {
    match Token::best(Some(name)).unwrap() {
        Token::Portable(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx2(isa) => isa.enter(work),
        #[cfg(target_arch = "x86_64")]
        Token::Avx512(isa) => isa.enter(work),
    }
}

/// A float type in the tests.
trait Float: Real {
    const BITS: u32;
    const MANTISSA: i32;
    fn of_bits(bits: u64) -> Self;
    fn bits(self) -> u64;
    fn same(self, other: Self) -> bool {
        self.bits() == other.bits() || self.to_f64().is_nan() && other.to_f64().is_nan()
    }
}

macro_rules! float {
    ($ty:ident, $bits:literal, $mantissa:literal) => {
        impl Float for $ty {
            const BITS: u32 = $bits;
            const MANTISSA: i32 = $mantissa;
            fn of_bits(bits: u64) -> Self {
                $ty::from_bits(bits as _)
            }
            fn bits(self) -> u64 {
                self.to_bits() as u64
            }
        }
    };
}
float!(f32, 32, 23);
float!(f64, 64, 52);

/// The name of a function in the table, the function that runs it on a tier, and the largest allowed error in ULP: with
/// fused instructions and without.
type Row<T> = (&'static str, fn(&str, &[T], &[T], &mut [T]), [f64; 2]);

fn unary<T: Float, F: Function<T>>(tier: &str, x: &[T], _: &[T], out: &mut [T]) {
    on_tier(tier, Unary::<T, F>(x, out, PhantomData));
}

fn binary<T: Float, F: Function2<T>>(tier: &str, x: &[T], y: &[T], out: &mut [T]) {
    on_tier(tier, Binary::<T, F>(x, y, out, PhantomData));
}

fn rows<T: Float>() -> [Row<T>; 8]
where
    Cbrt: Function<T>,
    Arcsinh: Function<T>,
    Arccosh: Function<T>,
    Arctanh: Function<T>,
    Erf: Function<T>,
{
    [
        ("cbrt", unary::<T, Cbrt>, [0.55, 0.55]),
        ("erf", unary::<T, Erf>, [1.0, 1.3]),
        ("asinh", unary::<T, Arcsinh>, [0.65, 0.65]),
        ("acosh", unary::<T, Arccosh>, [0.65, 0.65]),
        ("atanh", unary::<T, Arctanh>, [0.65, 0.65]),
        ("hypot", binary::<T, Hypot>, [0.51, 0.51]),
        ("rem", binary::<T, Rem>, [0.0, 0.0]),
        ("floor_div", binary::<T, FloorDiv>, [0.0, 0.0]),
    ]
}

/// Returns the next number of a pseudorandom sequence (an LCG whose high bits are mixed into the low ones).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state ^ (*state >> 29)
}

fn tables<T: Float>(dtype: &str)
where
    Cbrt: Function<T>,
    Arcsinh: Function<T>,
    Arccosh: Function<T>,
    Arctanh: Function<T>,
    Erf: Function<T>,
{
    let mut checked = 0;
    for (name, call, bounds) in rows::<T>() {
        let lines: Vec<Vec<&str>> = VALUES
            .lines()
            .map(|l| l.split(' ').collect())
            .filter(|l: &Vec<&str>| l[0] == name && l[1] == dtype)
            .collect();
        let bits = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let x: Vec<T> = lines.iter().map(|l| T::of_bits(bits(l[2]))).collect();
        let y: Vec<T> = lines.iter().map(|l| if l[3] == "-" { T::ONE } else { T::of_bits(bits(l[3])) }).collect();
        let mut out = vec![T::ONE; x.len()];
        for tier in TIERS {
            call(tier, &x, &y, &mut out);
            for ((l, x), got) in lines.iter().zip(&x).zip(&out) {
                let value = f64::from_bits(bits(l[4]));
                let rest = l.get(5).map_or(0.0, |rest| f64::from_bits(bits(rest)));
                let exponent =
                    ((value.abs().to_bits() >> 52) as i32 - 1023).max(2 - (1 << (T::BITS as i32 - T::MANTISSA - 2)));
                // In two steps, because an ULP may be subnormal.
                let ulps = (got.to_f64() - value - rest) * 2.0f64.powi(-exponent) * 2.0f64.powi(T::MANTISSA);
                // Subnormal results of hypot are rounded a second time, and the rest of the value was rounded as well.
                let subnormal = value.abs() < 2.0f64.powi(2 - (1 << (T::BITS as i32 - T::MANTISSA - 2)));
                let bound = if name == "hypot" && subnormal { 1.0 } else { bounds[usize::from(tier == "portable")] };
                assert!(
                    ulps.abs() <= bound,
                    "{tier} {name}({:e}) of {dtype}: {:e} is off by {ulps} ULP",
                    x.to_f64(),
                    got.to_f64()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 900, "{checked} values");
}

#[test]
fn values_are_within_their_bounds() {
    tables::<f32>("f32");
    tables::<f64>("f64");
}

/// A function's name, and operands with results.
type Cases<'a, C> = (&'a str, &'a [C]);

fn specials<T: Float>()
where
    Cbrt: Function<T>,
    Arcsinh: Function<T>,
    Arccosh: Function<T>,
    Arctanh: Function<T>,
    Erf: Function<T>,
{
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let max = if T::BITS == 32 { f64::from(f32::MAX) } else { f64::MAX };
    let least = T::of_bits(1).to_f64();
    let one_up = T::of_bits(T::ONE.bits() + 1).to_f64();
    let one_down = T::of_bits(T::ONE.bits() - 1).to_f64();
    #[rustfmt::skip]
    let unary: [Cases<(f64, f64)>; 5] = [
        ("cbrt", &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (nan, nan), (8.0, 2.0), (-27.0, -3.0),
            (1.0, 1.0), (0.125, 0.5), (-1e-30 / 1e-30, -1.0)]),
        ("erf", &[(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (nan, nan), (7.0, 1.0), (-max, -1.0),
            (least, least)]),
        ("asinh", &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (nan, nan), (least, least), (-least, -least)]),
        ("acosh", &[(1.0, 0.0), (0.0, nan), (one_down, nan), (-1.0, nan), (-inf, nan), (inf, inf), (nan, nan)]),
        ("atanh", &[(0.0, 0.0), (-0.0, -0.0), (1.0, inf), (-1.0, -inf), (one_up, nan), (-one_up, nan), (inf, nan),
            (-inf, nan), (nan, nan), (least, least), (-least, -least)]),
    ];
    #[rustfmt::skip]
    let binary: [Cases<(f64, f64, f64)>; 3] = [
        ("hypot", &[(inf, nan, inf), (nan, -inf, inf), (-inf, 1.0, inf), (nan, 1.0, nan), (0.0, nan, nan),
            (0.0, -0.0, 0.0), (-0.0, -0.0, 0.0), (-3.0, 4.0, 5.0), (max, max, inf),
            (max, 1.0, max), (least, 0.0, least), (3.0 * least, -4.0 * least, 5.0 * least), (max, least, max)]),
        ("rem", &[(inf, 1.0, nan), (-inf, inf, nan), (1.0, 0.0, nan), (0.0, 0.0, nan), (nan, 1.0, nan), (1.0, nan, nan),
            (5.0, inf, 5.0), (-5.0, -inf, -5.0), (-0.0, 3.0, -0.0), (0.0, -3.0, 0.0),
            (-6.0, 3.0, -0.0), (6.0, -3.0, 0.0), (-7.0, 3.0, -1.0), (7.0, -3.0, 1.0), (max, least, 0.0),
            (least, max, least)]),
        ("floor_div", &[(inf, 1.0, nan), (-inf, -inf, nan), (inf, 0.0, inf), (inf, -0.0, -inf), (-inf, 0.0, -inf),
            (-inf, -0.0, inf), (1.0, nan, nan), (nan, 0.0, nan), (1.0, 0.0, inf), (1.0, -0.0, -inf), (-1.0, 0.0, -inf),
            (0.0, 0.0, nan), (0.0, 5.0, 0.0),
            (-0.0, 5.0, -0.0), (0.0, -5.0, -0.0), (1.0, inf, 0.0), (-1.0, inf, -1.0), (1.0, -inf, -1.0),
            (-1.0, -inf, 0.0), (0.0, -inf, -0.0), (-least, max, -1.0), (least, -max, -1.0), (least, max, 0.0),
            (7.0, 2.0, 3.0), (-7.0, 2.0, -4.0), (7.0, -2.0, -4.0), (-7.0, -2.0, 3.0), (-6.0, 2.0, -3.0),
            (max, max, 1.0), (-max, max, -1.0)]),
    ];
    for tier in TIERS {
        for (name, call, _) in rows::<T>() {
            let one_operand =
                unary.iter().filter(|u| u.0 == name).flat_map(|u| u.1.iter().map(|&(x, want)| (x, 1.0, want)));
            let cases: Vec<_> =
                one_operand.chain(binary.iter().filter(|b| b.0 == name).flat_map(|b| b.1.iter().copied())).collect();
            assert!(cases.len() > 5);
            let x: Vec<T> = cases.iter().map(|c| T::from_f64(c.0)).collect();
            let y: Vec<T> = cases.iter().map(|c| T::from_f64(c.1)).collect();
            let mut out = vec![T::ONE; x.len()];
            call(tier, &x, &y, &mut out);
            for (case, got) in cases.iter().zip(out) {
                assert!(
                    got.same(T::from_f64(case.2)),
                    "{tier} {name}({:e}, {:e}) is {:e}, not {:e}",
                    case.0,
                    case.1,
                    got.to_f64(),
                    case.2
                );
            }
        }
    }
}

#[test]
fn special_values() {
    specials::<f32>();
    specials::<f64>();
}

/// Returns finite and other operands of all magnitudes, many of them close to each other.
fn operands<T: Float>(n: usize) -> (Vec<T>, Vec<T>) {
    let mut state = 9;
    let mut x = Vec::new();
    let mut y = Vec::new();
    for i in 0..n {
        let (a, b) = (random(&mut state), random(&mut state));
        let near = |bits: u64, spread: i32| {
            let unit = (bits >> 11) as f64 / (1u64 << 53) as f64 + 0.5;
            T::from_f64(
                unit * 2.0f64.powi((bits % (2 * spread as u64 + 1)) as i32 - spread)
                    * if bits & 1024 == 0 { 1.0 } else { -1.0 },
            )
        };
        let p = match i % 4 {
            0 => T::of_bits(a),
            1 => near(a, 30),
            _ => near(a, 3),
        };
        let q = match i % 8 {
            0 => T::of_bits(b),
            1..4 => near(b, 30),
            4 => near(b, 3),
            // Quotients near integers.
            5 => T::from_f64(p.to_f64() / (b % 1000 + 1) as f64),
            6 => T::from_f64(p.to_f64() / (b % (1 << 30) + 1) as f64),
            _ => T::of_bits(b % 64),
        };
        x.push(p);
        y.push(q);
    }
    (x, y)
}

fn places<T: Float>()
where
    Cbrt: Function<T>,
    Arcsinh: Function<T>,
    Arccosh: Function<T>,
    Arctanh: Function<T>,
    Erf: Function<T>,
{
    let (x, y) = operands::<T>(200);
    for (name, call, _) in rows::<T>() {
        let mut by_tier = Vec::new();
        for tier in TIERS {
            let mut whole = vec![T::ONE; x.len()];
            call(tier, &x, &y, &mut whole);
            for offset in 0..64 {
                let n = (offset * 37 + 11) % 131;
                let mut part = vec![T::ONE; n];
                call(tier, &x[offset..offset + n], &y[offset..offset + n], &mut part);
                assert!(part.iter().zip(&whole[offset..]).all(|(a, b)| a.same(*b)), "{tier} {name}: {n} from {offset}");
            }
            for n in 0..=130 {
                let mut part = vec![T::ONE; n];
                call(tier, &x[3..3 + n], &y[3..3 + n], &mut part);
                assert!(part.iter().zip(&whole[3..]).all(|(a, b)| a.same(*b)), "{tier} {name}: {n}");
            }
            by_tier.push(whole);
        }
        let fused_tiers_agree = by_tier[1].iter().zip(&by_tier[2]).all(|(a, b)| a.same(*b));
        let avx2 = matches!(Token::best(Some("avx2")), Ok(Token::Portable(_)));
        assert!(fused_tiers_agree || avx2, "{name}");
    }
}

#[test]
fn results_do_not_depend_on_their_place() {
    places::<f32>();
    places::<f64>();
}

/// The definition of `floor_div`: a product with one rounding tells whether the quotient was rounded up to an integer.
macro_rules! floor_div {
    ($name:ident, $ty:ident, $limit:literal) => {
        fn $name(x: $ty, y: $ty) -> $ty {
            if x.is_infinite() && y != 0.0 {
                return $ty::NAN;
            }
            let quotient = x / y;
            let floor = quotient.floor();
            let left = if quotient == 0.0 { x } else { (-floor).mul_add(y, x) };
            let below = if y.is_sign_negative() { left > 0.0 } else { left < 0.0 };
            if below && quotient == floor && quotient.abs() < $limit { floor - 1.0 } else { floor }
        }
    };
}
floor_div!(floor_div_f32, f32, 16_777_216.0);
floor_div!(floor_div_f64, f64, 9_007_199_254_740_992.0);

fn divisions<T: Float>(rem: fn(T, T) -> T, floor_div: fn(T, T) -> T) {
    let (mut x, mut y) = operands::<T>(20_000);
    // All pairs of numbers at the ends of the range.
    let ends: Vec<T> = [0.0, 1.0, 3.0, 0.1]
        .map(T::from_f64)
        .into_iter()
        .chain((0..T::BITS).map(|bit| T::of_bits((1 << bit) - 1)))
        .collect();
    for &a in &ends {
        for &b in &ends {
            x.push(a);
            y.push(b);
        }
    }
    let mut out = vec![T::ONE; x.len()];
    for tier in TIERS {
        for (name, call, want) in [
            ("rem", binary::<T, Rem> as fn(&str, &[T], &[T], &mut [T]), rem),
            ("floor_div", binary::<T, FloorDiv>, floor_div),
        ] {
            call(tier, &x, &y, &mut out);
            for ((&x, &y), &got) in x.iter().zip(&y).zip(&out) {
                let want = want(x, y);
                assert!(
                    got.same(want),
                    "{tier} {name}({:e}, {:e}) is {:e}, not {:e}",
                    x.to_f64(),
                    y.to_f64(),
                    got.to_f64(),
                    want.to_f64()
                );
            }
        }
    }
}

#[test]
fn divisions_have_the_bits_of_their_definitions() {
    divisions::<f32>(|x, y| x % y, floor_div_f32);
    divisions::<f64>(|x, y| x % y, floor_div_f64);
}

#[test]
fn floor_div_is_the_floor_of_the_exact_quotient() {
    // The operands are integers, so that integer division gives the expected result. Products of two such f32 are exact
    // in i64.
    let mut state = 4;
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..20_000 {
        let b = (random(&mut state) >> 40) as i64 % 16_000_000 + 1;
        let a = (random(&mut state) >> 40) as i64 % 16_000_000 - 8_000_000;
        // Also exact multiples.
        let a = if random(&mut state) & 4096 == 0 { a } else { a / b * b };
        x.push(a as f32);
        y.push(b as f32);
    }
    let mut out = vec![0.0; x.len()];
    for tier in TIERS {
        binary::<f32, FloorDiv>(tier, &x, &y, &mut out);
        for ((&x, &y), &got) in x.iter().zip(&y).zip(&out) {
            assert_eq!(got as i64, (x as i64).div_euclid(y as i64), "{tier} {x} by {y}");
        }
    }
}
