//! The points at which functions are evaluated: bit patterns at a stride, hard points (where implementations switch
//! formulas, overflow or lose bits), and random numbers.

use super::judge::{Float, power_of_two};
use super::reference::Op;
use polyarray::Binary;
use std::f64::consts::{FRAC_PI_2, LN_2, PI};
use std::ops::Range;

/// SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `low .. high`.
    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    fn sign(&mut self) -> f64 {
        if self.next() & 1 == 0 { 1.0 } else { -1.0 }
    }
}

/// The points of one ufunc and dtype, numbered from 0: hard points, then bit patterns, then random points.
pub struct Points<T> {
    op: Op,
    hard: Vec<(T, T)>,
    /// The number of bit patterns, and the stride between them.
    patterns: (usize, u64),
    random: usize,
}

/// The number of points of each kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// The largest number of hard points. Special values are always included, also beyond this number.
    pub hard: usize,
    /// The number of bit patterns of a unary ufunc's operand; all if it is not less than their total number.
    pub patterns: usize,
    /// The number of random points.
    pub random: usize,
}

impl<T: Float> Points<T> {
    /// Selects the points for `op`, as many as `amount` states. Binary ufuncs have no bit patterns.
    pub fn new(op: Op, amount: Amount) -> Points<T> {
        let hard = match op {
            Op::Unary(_) => {
                thinned(special::<T>(), neighbourhoods(), amount.hard).into_iter().map(|x| (x, x)).collect()
            }
            Op::Binary(_) => crossed(amount.hard),
        };
        let wanted = if matches!(op, Op::Unary(_)) { amount.patterns as u64 } else { 0 };
        let patterns = if wanted == 0 { (0, 1) } else { strided(8 * size_of::<T>() as u32, wanted) };
        Points { op, hard, patterns, random: amount.random }
    }

    /// Returns the number of points.
    pub fn len(&self) -> usize {
        self.hard.len() + self.patterns.0 + self.random
    }

    /// Returns whether there are no points. Always false, because special values are included.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the operands at these points. Random points depend on where their range starts; the points are
    /// reproducible if every range starts at a multiple of the same length. For unary ufuncs, the second operand
    /// repeats the first.
    pub fn of(&self, range: Range<usize>) -> (Vec<T>, Vec<T>) {
        let mut rng = Rng((range.start as u64).wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (size_of::<T>() as u64) << 60);
        range.map(|i| self.at(i, &mut rng)).unzip()
    }

    fn at(&self, i: usize, rng: &mut Rng) -> (T, T) {
        if let Some(pair) = self.hard.get(i) {
            return *pair;
        }
        let i = i - self.hard.len();
        if i < self.patterns.0 {
            let x = T::of_bits((i as u64).wrapping_mul(self.patterns.1));
            return (x, x);
        }
        match self.op {
            Op::Unary(op) => {
                let x = one(op.info().domain, rng);
                (x, x)
            }
            Op::Binary(op) => two(op, rng),
        }
    }
}

/// Draws an operand, in one of four ways with equal probability: any bit pattern, uniformly over the domain, uniformly
/// over the orders of magnitude in the domain, close to 0, 1 or -1.
fn one<T: Float>((low, high): (f64, f64), rng: &mut Rng) -> T {
    match rng.next() >> 62 {
        0 => T::of_bits(rng.next()),
        1 => T::nearest(rng.within(low, high)),
        2 => {
            let magnitude = low.abs().max(high.abs());
            let x = magnitude * rng.within(-40.0, 0.0).exp2();
            T::nearest(if low < 0.0 { rng.sign() * x } else { x })
        }
        _ => {
            let near = rng.sign() * (rng.within(-f64::from(T::FORMAT.precision), 0.0)).exp2();
            T::nearest([0.0, 1.0, -1.0, 1.0][(rng.next() >> 62) as usize] + near)
        }
    }
}

/// Draws two operands. With probability 1/2 they are independent; otherwise they are in a range that is critical for
/// `op`.
fn two<T: Float>(op: Binary, rng: &mut Rng) -> (T, T) {
    let domain = op.info().domain;
    if rng.next() & 1 == 0 {
        return (one(domain, rng), one(domain, rng));
    }
    let x: T = one(domain, rng);
    let wide = x.wide();
    let format = T::FORMAT;
    let y = match op {
        // The power lies anywhere between underflow and overflow, and often close to either.
        Binary::Pow => {
            let (low, high) = (f64::from(format.min_exponent - format.precision), f64::from(format.max_exponent + 1));
            let power = match rng.next() >> 62 {
                0 => low + rng.within(-2.0, 2.0),
                1 => high + rng.within(-0.5, 0.5),
                _ => rng.within(low, high),
            };
            let y = power / wide.abs().log2();
            if wide < 0.0 { y.round() } else { y }
        }
        // x is a multiple of y, or close to one.
        Binary::FloorDiv | Binary::Rem | Binary::Div => {
            let n = rng.within(0.0, f64::from(format.precision)).exp2().round();
            wide / n * (1.0 + rng.sign() * (-f64::from(format.precision) * rng.within(0.5, 1.5)).exp2())
        }
        // The operands have any magnitude, but comparable ones.
        _ => wide * rng.sign() * (f64::from(format.precision) * rng.within(-1.0, 1.0)).exp2(),
    };
    (x, T::nearest(y))
}

/// Returns zeros, ends of the range, infinities, NaN, small integers and halves, of both signs.
fn special<T: Float>() -> Vec<T> {
    let f = T::FORMAT;
    let normal = power_of_two(f.min_exponent);
    let tiny = normal * power_of_two(1 - f.precision);
    let eps = power_of_two(1 - f.precision);
    let max = (2.0 - eps) * power_of_two(f.max_exponent);
    let magnitudes = [
        0.0,
        tiny,
        2.0 * tiny,
        normal - tiny,
        normal,
        normal + tiny,
        normal.sqrt(),
        eps,
        0.25,
        0.5,
        1.0 - eps / 2.0,
        1.0,
        1.0 + eps,
        1.5,
        2.0,
        2.5,
        3.0,
        4.0,
        5.0,
        0.1,
        10.0,
        1e3,
        1.0 / eps,
        1.0 / eps + 1.0,
        0.5 / eps + 0.5,
        max.sqrt(),
        max / 2.0,
        max * (1.0 - eps),
        max,
        f64::INFINITY,
    ];
    let both = magnitudes.into_iter().flat_map(|m| [m, -m]);
    both.chain([f64::NAN]).map(T::nearest).collect()
}

/// Returns every pair of special values, and pairs of a special value with one of at most 1000 hard numbers,
/// in both orders, as far as `most` allows.
fn crossed<T: Float>(most: usize) -> Vec<(T, T)> {
    let special = special::<T>();
    let among = special.iter().flat_map(|&x| special.iter().map(move |&y| (x, y)));
    let left = most.saturating_sub(special.len() * special.len()) / (2 * special.len());
    let others = neighbourhoods::<T>();
    let step = others.len().div_ceil(left.clamp(1, 1000));
    let with_others = special.iter().flat_map(|&x| others.iter().step_by(step).flat_map(move |&y| [(x, y), (y, x)]));
    among.chain(with_others.take(if left == 0 { 0 } else { usize::MAX })).collect()
}

/// Returns hard numbers: a few numbers on each side of every centre.
fn neighbourhoods<T: Float>() -> Vec<T> {
    let format = T::FORMAT;
    let mut out = Vec::new();
    let mut around = |x: f64, width: u64| {
        for x in [x, -x].map(T::nearest) {
            (0..=2 * width).for_each(|i| out.push(T::of_bits(x.bits().wrapping_add(i).wrapping_sub(width))));
        }
    };
    // Ends of domains, and points where implementations switch formulas.
    for x in [
        1.0,
        0.5,
        2.0,
        0.25,
        std::f64::consts::SQRT_2,
        std::f64::consts::FRAC_1_SQRT_2,
        std::f64::consts::E,
        10.0,
        PI,
        FRAC_PI_2,
        PI / 4.0,
        PI / 8.0,
    ] {
        around(x, 512);
    }
    // Where exponentials overflow, become subnormal, and vanish: in base 2, in base e, one factor of 2 later (sinh,
    // cosh), and at half the exponent.
    for power in [
        format.max_exponent + 1,
        format.min_exponent,
        format.min_exponent + 1 - format.precision,
        format.min_exponent - format.precision,
    ] {
        let power = f64::from(power);
        [power, power * LN_2, (power.abs() + 1.0) * LN_2, power * LN_2 / 2.0].into_iter().for_each(|x| around(x, 32));
    }
    // Where expm1, tanh, sigmoid and erf become constant.
    let bits = f64::from(format.precision);
    for shift in -3..=3 {
        let bits = bits + f64::from(shift);
        [bits * LN_2, bits * LN_2 / 2.0, (bits * LN_2).sqrt(), (bits * LN_2 - (PI * bits * LN_2).sqrt().ln()).sqrt()]
            .into_iter()
            .for_each(|x| around(x, 8));
    }
    // Powers of two, and one plus and minus powers of two.
    for e in format.min_exponent + 1 - format.precision..=format.max_exponent {
        around(power_of_two(e), 3);
    }
    for e in 1..=format.precision {
        [1.0 + power_of_two(-e), 1.0 - power_of_two(-e)].into_iter().for_each(|x| around(x, 2));
    }
    // Small and large multiples of pi/2. The double closest to one is 6381956970095103 * 2^797 (J.-M. Muller,
    // Elementary Functions, 11.3).
    for n in 1..=4000 {
        around(f64::from(n) * FRAC_PI_2, 1);
    }
    for e in 11..=format.max_exponent.min(1000) {
        [1.0, 3.0, 5.0].into_iter().for_each(|odd| around(odd * FRAC_PI_2 * power_of_two(e), 1));
    }
    around(6_381_956_970_095_103.0 * power_of_two(797), 2);
    around(16_367_173.0 * power_of_two(72), 2);
    // Odd multiples of ln(2)/2 and half-integers, where exponentials change their power of two. Multiples of ln(2) and
    // powers of ten, where exponentials and logarithms are close to powers of two and integers.
    for n in 0..=1100 {
        [f64::from(2 * n + 1) * LN_2 / 2.0, f64::from(n) * LN_2, f64::from(n) + 0.5]
            .into_iter()
            .for_each(|x| around(x, 1));
    }
    (-30..=30).for_each(|e| around(10f64.powi(e), 2));
    // Cubes of integers, where cube roots are exact.
    (1..=200).for_each(|n| around(f64::from(n).powi(3), 1));
    out
}

/// Returns all special values, and evenly spaced others, at most `most` in total unless there are more special values.
fn thinned<T>(special: Vec<T>, others: Vec<T>, most: usize) -> Vec<T> {
    let step = others.len().div_ceil(most.saturating_sub(special.len()).max(1)).max(1);
    special.into_iter().chain(others.into_iter().step_by(step)).collect()
}

/// Returns the number of bit patterns to visit, and the stride between them, to visit about `wanted` of all patterns
/// with `bits` bits.
fn strided(bits: u32, wanted: u64) -> (usize, u64) {
    let all = 1u64 << bits;
    let stride = if wanted >= all { 1 } else { prime_from(all / wanted) };
    (all.div_ceil(stride) as usize, stride)
}

/// Returns the first odd prime from `n` on.
fn prime_from(n: u64) -> u64 {
    let prime = |n: &u64| (3..).step_by(2).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (n.max(3) | 1..).step_by(2).find(prime).expect("there are infinitely many primes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyarray::{Unary, f16};
    use std::collections::HashSet;

    #[test]
    fn all_patterns_of_a_half_float_are_visited_once() {
        let points = Points::<f16>::new(Op::Unary(Unary::Exp), Amount { hard: 0, patterns: 1 << 20, random: 0 });
        let (x, _) = points.of(0..points.len());
        assert_eq!(x[points.hard.len()..].iter().map(|x| x.to_bits()).collect::<HashSet<_>>().len(), 1 << 16);
    }

    #[test]
    fn strides_are_prime_and_span_the_patterns() {
        assert_eq!([0, 3, 8, 100, 428].map(prime_from), [3, 3, 11, 101, 431]);
        let points = Points::<f32>::new(Op::Unary(Unary::Exp), Amount { hard: 10, patterns: 10_000_000, random: 5 });
        let (n, stride) = points.patterns;
        assert!(
            stride == 431
                && (9_900_000..10_000_000).contains(&n)
                && (n as u64 - 1) * stride < 1 << 32
                && n as u64 * stride >= 1 << 32
        );
        assert_eq!(points.len(), points.hard.len() + n + 5);
    }

    #[test]
    fn hard_points_contain_what_is_hard() {
        let f64s: HashSet<u64> = neighbourhoods::<f64>().into_iter().map(f64::to_bits).collect();
        let max_exp = f64::from_bits(709.782712893384f64.to_bits());
        for x in [
            max_exp,
            max_exp.next_up(),
            -745.1332191019411,
            1.0f64.next_up(),
            -1.0f64,
            5e-324,
            FRAC_PI_2,
            6_381_956_970_095_103.0 * power_of_two(797),
        ] {
            assert!(f64s.contains(&x.to_bits()), "{x:e}");
        }
        let f32s: HashSet<u32> = neighbourhoods::<f32>().into_iter().map(f32::to_bits).collect();
        for x in [88.72284f32, 88.72283, -103.97208, -87.33655, 1.0] {
            assert!(f32s.contains(&x.to_bits()), "{x}");
        }
        assert!(thinned(special::<f64>(), neighbourhoods::<f64>(), 4000).len() <= 4000);
        let pairs = crossed::<f64>(usize::MAX);
        assert!(
            pairs.len() >= 100_000 && crossed::<f32>(5000).len() <= 5000 && f64s.len() >= 100_000,
            "{} {}",
            pairs.len(),
            f64s.len()
        );
        assert!(
            pairs.iter().any(|(x, y)| x.is_nan() && *y == f64::INFINITY)
                && pairs.iter().any(|(x, y)| *x == -1.0 && *y == f64::NEG_INFINITY)
        );
    }

    #[test]
    fn blocks_are_the_same_each_time_and_differ_from_each_other() {
        let points = Points::<f64>::new(Op::Binary(Binary::Pow), Amount { hard: 0, patterns: 0, random: 10_000 });
        let first = points.hard.len();
        let bits = |r: Range<usize>| points.of(r).0.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(first..first + 100), bits(first..first + 100));
        assert_ne!(bits(first..first + 100), bits(first + 100..first + 200));
    }
}
