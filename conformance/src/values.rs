//! Test data: random numbers, special values, and poison for memory that no operation may read.

use polyarray_core::{DType, Element, Kind, Wide};

/// The random number generator SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014). It is small, seedable and good enough for tests.
pub(crate) struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..n`; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Returns true with probability `part / of`.
    pub fn chance(&mut self, part: usize, of: usize) -> bool {
        self.below(of) < part
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }

    /// Returns a number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn within(&mut self, (lo, hi): (f64, f64)) -> f64 {
        lo + (hi - lo) * self.unit()
    }

    /// Returns a number in `domain`: uniform, and half of the time scaled by a random factor from 1e-6 to 1.
    fn spread(&mut self, domain: (f64, f64)) -> f64 {
        let x = self.within(domain);
        if self.next() & 1 == 0 { x } else { x * 10f64.powf(self.within((-6.0, 0.0))) }.clamp(domain.0, domain.1)
    }
}

/// The parameters of a binary floating-point format.
#[derive(Clone, Copy)]
pub(crate) struct FloatSpec {
    /// The bits of the significand, including the hidden bit.
    pub precision: i32,
    /// The exponent of the smallest normal number.
    pub min_exp: i32,
    /// The exponent of the largest number.
    pub max_exp: i32,
}

impl FloatSpec {
    /// Returns the format of a real float, or of the parts of a complex number.
    pub fn of(dtype: DType) -> FloatSpec {
        match dtype.real() {
            DType::F16 => FloatSpec { precision: 11, min_exp: -14, max_exp: 15 },
            DType::BF16 => FloatSpec { precision: 8, min_exp: -126, max_exp: 127 },
            DType::F32 => FloatSpec { precision: 24, min_exp: -126, max_exp: 127 },
            DType::F64 => FloatSpec { precision: 53, min_exp: -1022, max_exp: 1023 },
            other => unreachable!("{other} is not a float"),
        }
    }

    /// Returns the distance from 1 to the next number.
    pub fn eps(self) -> f64 {
        2f64.powi(1 - self.precision)
    }

    pub fn min_normal(self) -> f64 {
        2f64.powi(self.min_exp)
    }

    pub fn min_subnormal(self) -> f64 {
        // In two steps: on some platforms `powi` alone does not reach 2^-1074.
        self.min_normal() * 2f64.powi(1 - self.precision)
    }

    pub fn max(self) -> f64 {
        (2.0 - self.eps()) * 2f64.powi(self.max_exp)
    }

    /// Returns one unit in the last place at `x`. For an infinity, returns that of the largest finite number.
    pub fn ulp(self, x: f64) -> f64 {
        let x = x.abs().clamp(self.min_normal(), self.max());
        let exponent = ((x.to_bits() >> 52) as i32 - 1023).max(self.min_exp);
        // In two steps as well, for the subnormals of f64.
        2f64.powi(exponent) * 2f64.powi(1 - self.precision)
    }
}

/// Returns `n` random elements: floats in `domain`, integers from -10 to 10 or (half of them) of any bit pattern.
pub(crate) fn random<T: Element>(rng: &mut Rng, domain: (f64, f64), n: usize) -> Vec<T> {
    let one = |rng: &mut Rng| match T::DTYPE.kind() {
        Kind::Bool => Wide::Int(i128::from(rng.next() & 1)),
        Kind::Int | Kind::Uint if rng.next() & 1 == 0 => Wide::Int(i128::from(rng.next() % 21) - 10),
        Kind::Int | Kind::Uint => Wide::Int(i128::from(rng.next())),
        Kind::Float => Wide::Float(rng.spread(domain)),
        Kind::Complex => Wide::Complex(rng.spread(domain), rng.spread(domain)),
    };
    (0..n).map(|_| T::from_wide(one(rng))).collect()
}

/// Returns `n` random elements of moderate size: floats within `domain`, integers of magnitude at most 9.
pub(crate) fn moderate<T: Element>(rng: &mut Rng, domain: (f64, f64), n: usize) -> Vec<T> {
    let one = |rng: &mut Rng| match T::DTYPE.kind() {
        Kind::Bool => Wide::Int(i128::from(rng.next() & 1)),
        Kind::Int => Wide::Int(i128::from(rng.next() % 19) - 9),
        Kind::Uint => Wide::Int(i128::from(rng.next() % 10)),
        Kind::Float => Wide::Float(rng.within(domain)),
        Kind::Complex => Wide::Complex(rng.within(domain), rng.within(domain)),
    };
    (0..n).map(|_| T::from_wide(one(rng))).collect()
}

/// Returns special values. For complex numbers, `exact` selects a shorter list, for operations that must give the same
/// bits.
pub(crate) fn specials<T: Element>(exact: bool) -> Vec<T> {
    let wides: Vec<Wide> = match T::DTYPE.kind() {
        Kind::Bool => vec![Wide::Int(0), Wide::Int(1)],
        Kind::Int | Kind::Uint => {
            let bits = 8 * T::DTYPE.size() as u32;
            let signed = T::DTYPE.kind() == Kind::Int;
            let (min, max) =
                if signed { (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1) } else { (0, (1i128 << bits) - 1) };
            [0, 1, 2, 3, 7, 63, 64, -1, -2, -3, min, min + 1, max - 1, max, max / 2 + 1]
                .into_iter()
                .map(Wide::Int)
                .collect()
        }
        Kind::Float => special_floats(T::DTYPE).into_iter().map(Wide::Float).collect(),
        Kind::Complex => {
            let f = FloatSpec::of(T::DTYPE);
            let common = [0.0, -0.0, 1.0, -0.5, f64::INFINITY, f64::NAN];
            // Inexact functions only: products of parts at the ends of the range overflow in intermediate steps, so
            // that their result depends on the formula.
            let ends = [
                -f64::INFINITY,
                2.0,
                f.max(),
                -f.max() / 2.0,
                f.max().sqrt(),
                f.min_normal(),
                -f.min_normal().sqrt(),
                3.0 * f.min_subnormal(),
                1e-10,
            ];
            let parts: Vec<f64> = if exact { common.to_vec() } else { common.into_iter().chain(ends).collect() };
            parts.iter().flat_map(|&re| parts.iter().map(move |&im| Wide::Complex(re, im))).collect()
        }
    };
    wides.into_iter().map(T::from_wide).collect()
}

fn special_floats(dtype: DType) -> Vec<f64> {
    let f = FloatSpec::of(dtype);
    let (normal, tiny, max) = (f.min_normal(), f.min_subnormal(), f.max());
    let magnitudes = [
        0.0,
        tiny,
        normal - tiny,
        normal,
        normal + tiny,
        max,
        max * (1.0 - f.eps()),
        f64::INFINITY,
        1.0,
        1.0 + f.eps(),
        1.0 - f.eps() / 2.0,
        0.5,
        2.0,
        3.0,
        0.1,
        std::f64::consts::FRAC_PI_2,
        std::f64::consts::PI,
        // Arguments where exp overflows and underflows in f16, f32 and f64, and where its results become subnormal.
        11.09,
        88.722_84,
        87.336_55,
        103.98,
        709.782_712_893_384,
        708.396_418_532_264,
        745.14,
        // Arguments whose range reduction in sin and cos needs more bits of pi than a float holds.
        1e4,
        1e6,
        1e22,
        max.sqrt(),
        normal.sqrt(),
    ];
    magnitudes.into_iter().filter(|m| !(m.is_finite() && *m > max)).flat_map(|m| [m, -m]).chain([f64::NAN]).collect()
}

/// Returns the value around the elements of an operand. An out-of-range read makes it visible in the result.
pub(crate) fn poison<T: Element>() -> T {
    T::from_wide(match T::DTYPE.kind() {
        Kind::Bool => Wide::Int(1),
        Kind::Int | Kind::Uint => Wide::Int(0x5b5b_5b5b_5b5b_5b5b),
        Kind::Float => Wide::Float(f64::NAN),
        Kind::Complex => Wide::Complex(f64::NAN, f64::NAN),
    })
}

/// Returns the values with subnormals flushed to zero, as a GPU may read them; `None` if the dtype has no subnormals.
pub(crate) fn flushed<T: Element>(values: &[T]) -> Option<Vec<T>> {
    if !matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex) {
        return None;
    }
    let limit = FloatSpec::of(T::DTYPE).min_normal();
    let flush = |x: f64| if x.abs() < limit { 0f64.copysign(x) } else { x };
    let out: Vec<T> = values
        .iter()
        .map(|v| match v.to_wide() {
            Wide::Float(x) if x != 0.0 && x.abs() < limit => T::from_wide(Wide::Float(flush(x))),
            Wide::Complex(re, im) => T::from_wide(Wide::Complex(flush(re), flush(im))),
            _ => *v,
        })
        .collect();
    Some(out)
}

/// Returns the real parts of the values as f64. This is exact, except for integers beyond 2^53.
pub(crate) fn widened<T: Element>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.to_wide().real()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_a_float_is_that_of_the_type() {
        let f = FloatSpec::of(DType::F32);
        assert_eq!(
            (f.eps(), f.min_normal(), f.max()),
            (f64::from(f32::EPSILON), f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX))
        );
        assert_eq!(f.min_subnormal(), f64::from(f32::from_bits(1)));
        assert_eq!(f.ulp(1.5), f64::from(f32::EPSILON));
        assert_eq!(f.ulp(1e-45), f64::from(f32::from_bits(1)));
        assert_eq!(f.ulp(f64::INFINITY), f64::from(f32::MAX) - f64::from(f32::MAX.next_down()));
        let d = FloatSpec::of(DType::F64);
        assert_eq!(
            (d.eps(), d.min_normal(), d.max(), d.min_subnormal()),
            (f64::EPSILON, f64::MIN_POSITIVE, f64::MAX, f64::from_bits(1))
        );
        assert_eq!(FloatSpec::of(DType::F16).max(), 65504.0);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!([rng.next(), rng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
