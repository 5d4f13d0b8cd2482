//! Results without their element type, and their comparison.

use crate::values::FloatSpec;
use polyarray_core::{Array, DType, Element, Kind, Result, Scalar, Wide, with_dtype};
use std::fmt;

/// The elements of a result in C order, and its shape.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub dtype: DType,
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Values {
    pub fn of<T: Element>(a: &Array<T>) -> Result<Values> {
        Ok(Values { dtype: T::DTYPE, shape: a.shape().to_vec(), bytes: bytemuck::cast_slice(&a.to_vec()?).to_vec() })
    }

    pub fn one<T: Element>(x: T) -> Values {
        Values { dtype: T::DTYPE, shape: Vec::new(), bytes: bytemuck::bytes_of(&x).to_vec() }
    }

    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    pub fn at(&self, i: usize) -> Scalar {
        let size = self.dtype.size();
        let bytes = &self.bytes[i * size..(i + 1) * size];
        with_dtype!(self.dtype, T => Scalar::new(bytemuck::checked::pod_read_unaligned::<T>(bytes)))
    }

    /// Returns the elements `at..at + n` as an array of one axis.
    pub fn part(&self, at: usize, n: usize) -> Values {
        let size = self.dtype.size();
        Values { dtype: self.dtype, shape: vec![n], bytes: self.bytes[at * size..(at + n) * size].to_vec() }
    }

    /// Returns the values with zeros at the positions for which `which` is true.
    pub fn with_zeros(mut self, which: impl Fn(usize) -> bool) -> Values {
        let size = self.dtype.size();
        (0..self.len()).filter(|&i| which(i)).for_each(|i| self.bytes[i * size..(i + 1) * size].fill(0));
        self
    }

    /// Returns the magnitude of every element (the modulus of a complex one).
    pub fn magnitudes(&self) -> Vec<f64> {
        (0..self.len()).map(|i| modulus(self.at(i))).collect()
    }
}

/// The accepted deviation of a result from the expected one.
#[derive(Clone, Debug)]
pub(crate) enum Tolerance {
    /// The same bits; any NaN is accepted for a NaN.
    Bits,
    /// This many ULP of the result's dtype. Expected values of a wider dtype count as exact; for f64 the oracle is
    /// allowed 1 ULP.
    Ulp(f64),
    /// `|z - w| <= r * |w|`, for complex numbers and for casts to f16 on a GPU.
    Relative(f64),
    /// `|z - w| <=` the given number for each element.
    Absolute(Vec<f64>),
    /// At most this in magnitude, for arguments where a device promises no more.
    Bounded(f64),
}

impl Tolerance {
    /// Formats the tolerance of element `i` for a report.
    pub fn show(&self, i: usize) -> String {
        match self {
            Tolerance::Bits => "the same bits".into(),
            Tolerance::Ulp(n) => format!("{n} ULP"),
            Tolerance::Relative(r) => format!("{r:.2e} of the magnitude"),
            Tolerance::Absolute(of) => format!("{:.3e} absolute", of[i]),
            Tolerance::Bounded(by) => format!("at most {by} in magnitude"),
        }
    }
}

/// The expectation of a case.
pub(crate) struct Expected {
    /// The oracle's results: one, or those for subnormal operands and for flushed ones. Each element must agree with
    /// one of them.
    pub alternatives: Vec<Values>,
    pub tolerance: Tolerance,
    /// The oracle's results in a wider dtype, if they decide whether a result may be flushed to zero. A result whose
    /// exact value is subnormal may be flushed even if it rounds to the smallest normal number.
    pub unrounded: Option<Values>,
}

impl Expected {
    pub fn new(values: Values, tolerance: Tolerance) -> Expected {
        Expected { alternatives: vec![values], tolerance, unrounded: None }
    }
}

/// Returns the first element of `got` that agrees with no alternative. The shapes must be equal. If `flush` is true,
/// subnormal results may be zeros.
pub(crate) fn first_difference(got: &Values, expected: &Expected, flush: bool) -> Option<Difference> {
    let first = &expected.alternatives[0];
    if got.shape != first.shape {
        return Some(Difference {
            index: 0,
            got: format!("shape {:?}", got.shape),
            expected: format!("shape {:?}", first.shape),
            tolerance: "equal shapes".into(),
        });
    }
    let rounds_up = |i: usize| {
        let subnormal = |exact: f64| exact != 0.0 && exact < FloatSpec::of(got.dtype).min_normal();
        flush && modulus(got.at(i)) == 0.0 && expected.unrounded.as_ref().is_some_and(|u| subnormal(modulus(u.at(i))))
    };
    let agrees = |i: usize, tolerance: &Tolerance| {
        rounds_up(i) || expected.alternatives.iter().any(|e| agree(got.at(i), e.at(i), tolerance, i, flush))
    };
    let index = (0..got.len()).find(|&i| !agrees(i, &expected.tolerance))?;
    Some(Difference {
        index,
        got: show(got.at(index)),
        expected: expected.alternatives.iter().map(|e| show(e.at(index))).collect::<Vec<_>>().join(" or "),
        tolerance: expected.tolerance.show(index),
    })
}

/// The position and the values of a difference between two results.
pub(crate) struct Difference {
    pub index: usize,
    pub got: String,
    pub expected: String,
    pub tolerance: String,
}

fn show(x: Scalar) -> String {
    let bits: String = x.bytes().iter().rev().map(|b| format!("{b:02x}")).collect();
    match x.dtype().kind() {
        Kind::Float | Kind::Complex => format!("{x:?} (0x{bits})"),
        _ => format!("{x:?}"),
    }
}

/// Returns whether `tolerance` accepts `got` for `expected`.
pub(crate) fn agree(got: Scalar, expected: Scalar, tolerance: &Tolerance, i: usize, flush: bool) -> bool {
    match (got.to_wide(), expected.to_wide()) {
        (Wide::Int(g), Wide::Int(e)) => g == e && got.dtype() == expected.dtype(),
        (Wide::Float(g), Wide::Float(e)) => reals_agree(got.dtype(), g, expected.dtype(), e, tolerance, i, flush),
        (Wide::Complex(a, b), Wide::Complex(c, d)) => match tolerance {
            Tolerance::Bits => {
                let bits = |g, e| reals_agree(got.dtype().real(), g, expected.dtype().real(), e, tolerance, i, flush);
                bits(a, c) && bits(b, d)
            }
            // A NaN in either part makes the number undefined. C and Rust differ in the part that becomes NaN.
            _ if c.is_nan() || d.is_nan() => a.is_nan() || b.is_nan(),
            _ if !(c.is_finite() && d.is_finite()) => !(a.is_finite() && b.is_finite()),
            _ => {
                let apart = (a - c).hypot(b - d);
                // Subnormals have no relative error bound. One or two roundings of each part are accepted.
                let little = 4.0 * FloatSpec::of(got.dtype()).min_subnormal();
                apart <= bound(tolerance, c.hypot(d), i).max(little)
            }
        },
        _ => false,
    }
}

/// Returns the accepted error at a value of this magnitude. It is 0 for tolerances that depend on the dtype.
fn bound(tolerance: &Tolerance, magnitude: f64, i: usize) -> f64 {
    match tolerance {
        Tolerance::Relative(r) => r * magnitude,
        Tolerance::Absolute(of) => of[i],
        Tolerance::Bits | Tolerance::Ulp(_) | Tolerance::Bounded(_) => 0.0,
    }
}

fn reals_agree(got: DType, g: f64, wanted: DType, e: f64, tolerance: &Tolerance, i: usize, flush: bool) -> bool {
    if let Tolerance::Bounded(by) = tolerance {
        return e.is_nan() && g.is_nan() || g.abs() <= *by;
    }
    if g.is_nan() || e.is_nan() {
        return g.is_nan() && e.is_nan();
    }
    let spec = FloatSpec::of(got);
    if flush && e.abs() < spec.min_normal() && e != 0.0 && g.abs() <= spec.min_normal() {
        return true;
    }
    if g == e {
        let exact_zero = g == 0.0 && !matches!(tolerance, Tolerance::Absolute(_) | Tolerance::Relative(_));
        return !exact_zero || g.is_sign_negative() == e.is_sign_negative();
    }
    match tolerance {
        Tolerance::Bits => false,
        Tolerance::Ulp(n) if got == DType::F64 => ordinal(g).abs_diff(ordinal(e)) <= (n + 1.0) as u64,
        Tolerance::Ulp(n) => {
            debug_assert!(wanted == DType::F64, "ULP of narrow floats are counted from f64");
            // Infinity counts as the next number after the largest one.
            let limit = 2f64.powi(spec.max_exp + 1);
            let (g, e) = (g.clamp(-limit, limit), e.clamp(-limit, limit));
            (g - e).abs() <= n * spec.ulp(e) * (1.0 + 1e-6)
        }
        _ if !(g.is_finite() && e.is_finite()) => false,
        // As for complex numbers, subnormals have no relative error bound.
        Tolerance::Relative(_) => (g - e).abs() <= bound(tolerance, e.abs(), i).max(spec.min_subnormal()),
        _ => (g - e).abs() <= bound(tolerance, e.abs(), i),
    }
}

/// Returns the position of an f64 in the order of all f64; both zeros are 0.
fn ordinal(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

fn modulus(x: Scalar) -> f64 {
    match x.to_wide() {
        Wide::Int(i) => i.unsigned_abs() as f64,
        Wide::Float(x) => x.abs(),
        Wide::Complex(re, im) => re.hypot(im),
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(g: f32, e: f64, tolerance: Tolerance, flush: bool) -> bool {
        let e = if matches!(tolerance, Tolerance::Bits) { Scalar::new(e as f32) } else { Scalar::new(e) };
        agree(Scalar::new(g), e, &tolerance, 0, flush)
    }

    #[test]
    fn each_tolerance_allows_what_it_says_and_no_more() {
        let up = |x: f32, n: u32| f32::from_bits(x.to_bits() + n);
        assert!(close(up(1.0, 1), 1.0, Tolerance::Ulp(1.0), false));
        assert!(!close(up(1.0, 2), 1.0, Tolerance::Ulp(1.0), false));
        assert!(!close(up(1.0, 1), 1.0 - 1e-8, Tolerance::Ulp(1.0), false), "fractions of an ULP count");
        assert!(close(f32::INFINITY, 1e300, Tolerance::Ulp(0.0), false));
        assert!(
            close(f32::MAX, 1e300, Tolerance::Ulp(1.0), false)
                && !close(f32::MAX.next_down(), 1e300, Tolerance::Ulp(1.0), false)
        );
        assert!(!close(-0.0, 0.0, Tolerance::Ulp(4.0), false), "the sign of an exact zero");
        assert!(!close(-0.0, 0.0, Tolerance::Bits, false) && close(f32::NAN, f64::NAN, Tolerance::Bits, false));
        assert!(!close(f32::NAN, 1.0, Tolerance::Absolute(vec![f64::INFINITY]), false));
        assert!(!close(f32::NAN, 1.0, Tolerance::Bounded(1.0), false));
        assert!(close(0.0, 1e-40, Tolerance::Bits, true) && !close(0.0, 1e-40, Tolerance::Bits, false));
        assert!(!close(0.0, 1e-37, Tolerance::Bits, true), "only subnormals are flushed");
        let f64s = |g: f64, e: f64, n: f64| agree(Scalar::new(g), Scalar::new(e), &Tolerance::Ulp(n), 0, false);
        assert!(f64s(1.0f64.next_up().next_up(), 1.0, 1.0) && !f64s(1.0 + 3.0 * f64::EPSILON, 1.0, 1.0));
        assert!(f64s(5e-324, 0.0, 1.0), "from zero to the first subnormal is one step");
    }

    #[test]
    fn what_rounds_up_to_the_smallest_normal_number_may_be_flushed() {
        let one = |x: f32| Values::one(x);
        let expected = |unrounded: f64| Expected {
            alternatives: vec![one(f32::MIN_POSITIVE)],
            tolerance: Tolerance::Bits,
            unrounded: Some(Values::one(unrounded)),
        };
        let (normal, below) = (f64::from(f32::MIN_POSITIVE), f64::from(f32::MIN_POSITIVE).next_down());
        assert!(first_difference(&one(0.0), &expected(below), true).is_none());
        assert!(first_difference(&one(0.0), &expected(below), false).is_some(), "not by a CPU");
        assert!(first_difference(&one(0.0), &expected(normal), true).is_some(), "it is not subnormal");
        assert!(
            first_difference(&one(f32::MIN_POSITIVE.next_up()), &expected(below), true).is_some(),
            "that is no zero"
        );
    }

    #[test]
    fn shapes_must_be_equal() {
        let row = Values::of(&Array::from_vec(vec![1i32, 2], [1, 2]).unwrap()).unwrap();
        let column = Values::of(&Array::from_vec(vec![1i32, 2], [2, 1]).unwrap()).unwrap();
        assert!(first_difference(&row, &Expected::new(column, Tolerance::Bits), false).is_some());
        assert!(first_difference(&row, &Expected::new(row.clone(), Tolerance::Bits), false).is_none());
    }
}
