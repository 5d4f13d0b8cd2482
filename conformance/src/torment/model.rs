//! The plain model that results are checked against: a shape and a list of elements in C order, with one loop for each
//! operation. Elements of every dtype are widened to [`Wide`], so that this code is compiled once.

use crate::compare::{Tolerance, agree};
use crate::values::FloatSpec;
use polyarray_core::{Array, Binary, DType, Element, Kind, Scalar, Unary, Wide};

/// The contents of an array: its shape, and its elements in C order as numbers of its dtype.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub data: Vec<Wide>,
}

pub(super) fn cast(dtype: DType, x: Wide) -> Wide {
    Scalar::from_wide(dtype, x).to_wide()
}

/// Returns the model of an array with these elements.
pub(super) fn widened<T: Element>(shape: &[usize], data: &[T]) -> Model {
    Model { dtype: T::DTYPE, shape: shape.to_vec(), data: data.iter().map(|x| x.to_wide()).collect() }
}

/// Returns the position of an index in C order.
fn position(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |at, (&n, &i)| at * n + i)
}

/// Calls `f` with every index of `shape`, in C order.
pub(super) fn for_each_index(shape: &[usize], f: &mut dyn FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        f(&index);
        let Some(axis) = (0..shape.len()).rev().find(|&a| index[a] + 1 < shape[a]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// Returns the shape that two shapes broadcast to, if any.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ndim = a.len().max(b.len());
    let length = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(ndim).map_or(1, |i| s[i]);
    let joined = |axis| match (length(a, axis), length(b, axis)) {
        (l, r) if l == r || r == 1 => Some(l),
        (1, r) => Some(r),
        _ => None,
    };
    (0..ndim).map(joined).collect()
}

impl Model {
    /// Returns the elements as `T`, the type of the model's dtype.
    pub fn elements<T: Element>(&self) -> Vec<T> {
        self.data.iter().map(|&x| T::from_wide(x)).collect()
    }

    pub fn at(&self, index: &[usize]) -> Wide {
        self.data[position(&self.shape, index)]
    }

    pub fn set(&mut self, index: &[usize], value: Wide) {
        let at = position(&self.shape, index);
        self.data[at] = value;
    }

    /// Returns a model of this shape. Its element at an index is the element of `self` at `source(index)`.
    pub fn gather(&self, shape: Vec<usize>, source: &mut dyn FnMut(&[usize]) -> Vec<usize>) -> Model {
        let mut data = Vec::with_capacity(shape.iter().product());
        for_each_index(&shape, &mut |index| data.push(self.at(&source(index))));
        Model { dtype: self.dtype, shape, data }
    }

    pub fn reshaped(&self, shape: Vec<usize>) -> Model {
        Model { dtype: self.dtype, shape, data: self.data.clone() }
    }

    pub fn broadcast_to(&self, shape: &[usize]) -> Model {
        if shape == self.shape {
            return self.clone();
        }
        let skip = shape.len() - self.shape.len();
        self.gather(shape.to_vec(), &mut |index| {
            self.shape.iter().zip(&index[skip..]).map(|(&n, &i)| if n == 1 { 0 } else { i }).collect()
        })
    }

    /// Returns the elements along `axes` (in C order of these axes), for each index of the other axes.
    pub fn lines(&self, axes: &[usize]) -> Vec<Vec<Wide>> {
        let ndim = self.shape.len();
        let kept: Vec<usize> = (0..ndim).filter(|a| !axes.contains(a)).collect();
        let lengths = |axes: &[usize]| axes.iter().map(|&a| self.shape[a]).collect::<Vec<_>>();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        let mut out = Vec::new();
        let mut index = vec![0; ndim];
        for_each_index(&lengths(&kept), &mut |outer| {
            kept.iter().zip(outer).for_each(|(&a, &i)| index[a] = i);
            let mut line = Vec::new();
            for_each_index(&lengths(&sorted), &mut |inner| {
                sorted.iter().zip(inner).for_each(|(&a, &i)| index[a] = i);
                line.push(self.at(&index));
            });
            out.push(line);
        });
        out
    }

    /// Returns a model of `dtype` with these lines along `axis`, in the order of [`lines`](Self::lines).
    pub fn with_lines(&self, dtype: DType, axis: usize, length: usize, lines: &[Vec<Wide>]) -> Model {
        let mut shape = self.shape.clone();
        shape[axis] = length;
        let mut data = Vec::with_capacity(shape.iter().product());
        let outer: Vec<usize> = shape.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &n)| n).collect();
        for_each_index(&shape, &mut |index| {
            let other: Vec<usize> = index.iter().enumerate().filter(|(a, _)| *a != axis).map(|(_, &i)| i).collect();
            data.push(lines[position(&outer, &other)][index[axis]]);
        });
        Model { dtype, shape, data }
    }

    /// Returns `f` of each element, as a model of `dtype`.
    pub fn map(&self, dtype: DType, f: &dyn Fn(Wide) -> Wide) -> Model {
        Model { dtype, shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    /// Returns `f` of the elements of two models, which broadcast, as a model of the dtype of `self`.
    pub fn zip(&self, other: &Model, f: &dyn Fn(Wide, Wide) -> Wide) -> Model {
        let shape = broadcast(&self.shape, &other.shape).expect("operands are chosen so that they broadcast");
        let (a, b) = (self.broadcast_to(&shape), other.broadcast_to(&shape));
        Model { dtype: self.dtype, data: a.data.iter().zip(&b.data).map(|(&x, &y)| f(x, y)).collect(), shape }
    }
}

/// The condition on an element of a result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// These bits; any NaN is accepted for a NaN.
    Bits(DType, Wide),
    /// This f64 within a number of ULP of the result's dtype.
    Ulp(f64, f64),
    /// This number within an absolute error.
    Near(f64, f64),
    /// A complex number with these parts, each within an absolute error.
    NearComplex(f64, f64, f64),
    /// Any value: rounding decides between a number and infinity, or between infinity and NaN.
    Any,
}

impl Want {
    pub fn int(x: usize) -> Want {
        Want::Bits(DType::I64, Wide::Int(x as i128))
    }

    pub fn truth(x: bool) -> Want {
        Want::Bits(DType::Bool, Wide::Int(x.into()))
    }

    pub fn allows(self, got: Scalar) -> bool {
        match self {
            Want::Any => true,
            Want::Bits(dtype, want) => agree(got, Scalar::from_wide(dtype, want), &Tolerance::Bits, 0, false),
            Want::Ulp(want, ulp) => agree(got, Scalar::new(want), &Tolerance::Ulp(ulp), 0, false),
            Want::Near(want, by) => near(got.to_wide().real(), want, by),
            Want::NearComplex(re, im, by) => {
                matches!(got.to_wide(), Wide::Complex(a, b) if near(a, re, by) && near(b, im, by))
            }
        }
    }
}

fn near(got: f64, want: f64, by: f64) -> bool {
    got.is_nan() && want.is_nan() || got == want || (got - want).abs() <= by
}

/// Compares a result with the condition on each element, and returns its model.
pub(super) fn compare<T: Element>(what: &str, got: &Array<T>, shape: &[usize], want: &[Want]) -> Result<Model, String> {
    let data = got.to_vec().map_err(|e| format!("{what}: {e}"))?;
    let model = widened(got.shape(), &data);
    match difference(&model, shape, want) {
        None => Ok(model),
        Some(why) => Err(format!("{what} {} {:?} (strides {:?}): {why}", T::DTYPE, got.shape(), got.strides())),
    }
}

fn difference(got: &Model, shape: &[usize], want: &[Want]) -> Option<String> {
    if got.shape != shape {
        return Some(format!("the shape is {:?}, not {shape:?}", got.shape));
    }
    if got.data.len() != want.len() {
        return Some(format!("{} elements, not {}", got.data.len(), want.len()));
    }
    let of = |x: Wide| Scalar::from_wide(got.dtype, x);
    let i = got.data.iter().zip(want).position(|(&x, want)| !want.allows(of(x)))?;
    Some(format!("element {i} is {:?}, not {:?}", got.data[i], want[i]))
}

/// Compares a result with a model bit for bit, and returns its own model.
pub(super) fn compare_bits<T: Element>(what: &str, got: &Array<T>, model: &Model) -> Result<Model, String> {
    compare(what, got, &model.shape, &bits(model))
}

fn bits(model: &Model) -> Vec<Want> {
    model.data.iter().map(|&x| Want::Bits(model.dtype, x)).collect()
}

/// Returns the eps of the dtype that `dtype` is computed in (half floats are computed in f32): the distance from 1 to
/// the next number.
pub(super) fn working_eps(dtype: DType) -> f64 {
    match dtype.real() {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

/// Returns the error at `x` of rounding a result to a float `dtype`: 0 for dtypes that are computed in themselves.
pub(super) fn rounding(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F16 | DType::BF16 => FloatSpec::of(dtype).ulp(x),
        _ => 0.0,
    }
}

/// Rounds to the dtype that `dtype` is computed in.
fn round_to(dtype: DType, x: f64) -> f64 {
    if dtype.real() == DType::F64 { x } else { f64::from(x as f32) }
}

/// Returns the unary ufuncs that are exact for elements of this kind.
pub(super) fn unary_ops(kind: Kind) -> &'static [Unary] {
    match kind {
        Kind::Bool => &[Unary::Not],
        Kind::Int | Kind::Uint => &[Unary::Neg, Unary::Abs, Unary::Sign, Unary::Square, Unary::Not],
        Kind::Float => &[
            Unary::Neg,
            Unary::Abs,
            Unary::Sign,
            Unary::Square,
            Unary::Sqrt,
            Unary::Reciprocal,
            Unary::Floor,
            Unary::Ceil,
            Unary::Trunc,
            Unary::Round,
        ],
        Kind::Complex => &[Unary::Neg, Unary::Conj],
    }
}

/// Returns the binary ufuncs that are exact for elements of this kind and give the same dtype.
pub(super) fn binary_ops(kind: Kind) -> &'static [Binary] {
    match kind {
        Kind::Bool => &[Binary::BitAnd, Binary::BitOr, Binary::BitXor],
        Kind::Int | Kind::Uint => &[
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::FloorDiv,
            Binary::Rem,
            Binary::Minimum,
            Binary::Maximum,
            Binary::BitAnd,
            Binary::BitOr,
            Binary::BitXor,
            Binary::Shl,
            Binary::Shr,
        ],
        Kind::Float => &[
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Rem,
            Binary::Minimum,
            Binary::Maximum,
            Binary::Fmin,
            Binary::Fmax,
        ],
        Kind::Complex => &[Binary::Add, Binary::Sub, Binary::Mul],
    }
}

/// Applies a ufunc of [`unary_ops`].
pub(super) fn unary(dtype: DType, op: Unary, x: Wide) -> Wide {
    let round = |x: f64| Wide::Float(round_to(dtype, x));
    let result = match (x, op) {
        (Wide::Int(x), Unary::Not) if dtype == DType::Bool => Wide::Int(1 - x),
        (Wide::Int(x), Unary::Not) => Wide::Int(!x),
        (Wide::Int(x), Unary::Neg) => Wide::Int(-x),
        (Wide::Int(x), Unary::Abs) => Wide::Int(x.abs()),
        (Wide::Int(x), Unary::Sign) => Wide::Int(x.signum()),
        (Wide::Int(x), Unary::Square) => Wide::Int(x.wrapping_mul(x)),
        (Wide::Float(x), Unary::Neg) => Wide::Float(-x),
        (Wide::Float(x), Unary::Abs) => Wide::Float(x.abs()),
        (Wide::Float(0.0), Unary::Sign) => Wide::Float(0.0),
        (Wide::Float(x), Unary::Sign) => Wide::Float(x.signum()),
        (Wide::Float(x), Unary::Square) => round(x * x),
        (Wide::Float(x), Unary::Sqrt) => round(x.sqrt()),
        (Wide::Float(x), Unary::Reciprocal) => round(1.0 / x),
        (Wide::Float(x), Unary::Floor) => Wide::Float(x.floor()),
        (Wide::Float(x), Unary::Ceil) => Wide::Float(x.ceil()),
        (Wide::Float(x), Unary::Trunc) => Wide::Float(x.trunc()),
        (Wide::Float(x), Unary::Round) => Wide::Float(x.round_ties_even()),
        (Wide::Complex(re, im), Unary::Neg) => Wide::Complex(-re, -im),
        (Wide::Complex(re, im), Unary::Conj) => Wide::Complex(re, -im),
        (x, op) => unreachable!("{op:?} of {x:?} is not among the ufuncs of this kind"),
    };
    cast(dtype, result)
}

/// Applies a ufunc of [`binary_ops`].
pub(super) fn binary(dtype: DType, op: Binary, x: Wide, y: Wide) -> Wide {
    let r = |x: f64| round_to(dtype, x);
    let result = match (x, y) {
        (Wide::Int(x), Wide::Int(y)) => Wide::Int(integers(op, x, y, 8 * dtype.size() as i128)),
        (Wide::Float(x), Wide::Float(y)) => Wide::Float(r(floats(op, x, y))),
        (Wide::Complex(a, b), Wide::Complex(c, d)) => match op {
            Binary::Add => Wide::Complex(r(a + c), r(b + d)),
            Binary::Sub => Wide::Complex(r(a - c), r(b - d)),
            Binary::Mul => Wide::Complex(r(r(a * c) - r(b * d)), r(r(a * d) + r(b * c))),
            other => unreachable!("{other:?} is not among the ufuncs of complex numbers"),
        },
        _ => unreachable!("both operands have one dtype"),
    };
    cast(dtype, result)
}

/// Applies a ufunc to integers of `bits` bits. The caller's cast wraps the result.
fn integers(op: Binary, x: i128, y: i128, bits: i128) -> i128 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x.wrapping_mul(y),
        Binary::Div => x.checked_div(y).unwrap_or(0),
        Binary::FloorDiv => x.checked_div(y).map_or(0, |q| if x % y != 0 && (x < 0) != (y < 0) { q - 1 } else { q }),
        Binary::Rem => x.checked_rem(y).unwrap_or(0),
        Binary::Minimum => x.min(y),
        Binary::Maximum => x.max(y),
        Binary::BitAnd => x & y,
        Binary::BitOr => x | y,
        Binary::BitXor => x ^ y,
        Binary::Shl if (0..bits).contains(&y) => x << y,
        Binary::Shl => 0,
        Binary::Shr if (0..bits).contains(&y) => x >> y,
        Binary::Shr => x.signum().min(0),
        other => unreachable!("{other:?} is not among the ufuncs of integers"),
    }
}

/// Applies a ufunc in f64. For f32 operands, rounding a sum, product, quotient or root of f64 once more to f32 gives
/// the same result as a single rounding.
fn floats(op: Binary, x: f64, y: f64) -> f64 {
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::Rem => x % y,
        Binary::Minimum if x < y || x.is_nan() => x,
        Binary::Maximum if x > y || x.is_nan() => x,
        Binary::Fmin if x < y || y.is_nan() => x,
        Binary::Fmax if x > y || y.is_nan() => x,
        Binary::Minimum | Binary::Maximum | Binary::Fmin | Binary::Fmax => y,
        other => unreachable!("{other:?} is not among the ufuncs of floats"),
    }
}

/// Computes `x * y + z` with one rounding in the dtype of the computation.
pub(super) fn mul_add(dtype: DType, x: Wide, y: Wide, z: Wide) -> Wide {
    let (x, y, z) = (x.real(), y.real(), z.real());
    let result = match dtype {
        DType::F64 => x.mul_add(y, z),
        _ => f64::from((x as f32).mul_add(y as f32, z as f32)),
    };
    cast(dtype, Wide::Float(result))
}

/// Compares in sort order: false before true, NaN last, zeros equal.
pub(super) fn order(x: Wide, y: Wide) -> std::cmp::Ordering {
    match (x, y) {
        (Wide::Int(x), Wide::Int(y)) => x.cmp(&y),
        (x, y) => {
            let (x, y) = (x.real(), y.real());
            x.is_nan().cmp(&y.is_nan()).then(x.partial_cmp(&y).unwrap_or(std::cmp::Ordering::Equal))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyarray_core::f16;

    fn ints(shape: &[usize], data: &[i64]) -> Model {
        widened(shape, data)
    }

    #[test]
    fn indices_are_those_of_c_order() {
        let m = ints(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        let lines = |axes: &[usize]| {
            m.lines(axes)
                .into_iter()
                .map(|line| line.into_iter().map(Wide::real).collect::<Vec<f64>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&[1]), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        assert_eq!(lines(&[0]), [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]);
        assert_eq!(lines(&[1, 0]), [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]);
        assert_eq!(m.gather(vec![3, 2], &mut |i| vec![i[1], i[0]]).elements::<i64>(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(m.with_lines(DType::I64, 0, 1, &[7, 8, 9].map(|x| vec![Wide::Int(x)])).elements::<i64>(), [7, 8, 9]);
        assert_eq!(
            ints(&[1, 3], &[1, 2, 3]).broadcast_to(&[2, 2, 3]).elements::<i64>(),
            [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]
        );
        let mut count = 0;
        for_each_index(&[3, 0], &mut |_| count += 1);
        for_each_index(&[], &mut |_| count += 10);
        assert_eq!(count, 10, "an array without axes has one element");
    }

    #[test]
    fn shapes_broadcast_as_in_numpy() {
        assert_eq!(broadcast(&[3, 1], &[2, 1, 4]), Some(vec![2, 3, 4]));
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }

    fn both<T: Element>(op: Binary, x: T, y: T) -> T {
        T::from_wide(binary(T::DTYPE, op, x.to_wide(), y.to_wide()))
    }

    fn one<T: Element>(op: Unary, x: T) -> T {
        T::from_wide(unary(T::DTYPE, op, x.to_wide()))
    }

    #[test]
    fn ufuncs_have_their_known_values() {
        use polyarray_core::Complex;
        assert_eq!(both(Binary::Add, 250u8, 10), 4);
        assert_eq!(both(Binary::Mul, u64::MAX, u64::MAX), 1);
        assert_eq!(both(Binary::FloorDiv, -7i32, 2), -4);
        assert_eq!(both(Binary::Div, i8::MIN, -1), i8::MIN);
        assert_eq!((both(Binary::Div, 5i64, 0), both(Binary::Rem, -5i64, 3)), (0, -2));
        assert_eq!((both(Binary::Shl, 1i8, 8), both(Binary::Shr, -3i8, 9), both(Binary::Shr, 200u8, 1)), (0, -1, 100));
        assert_eq!((one(Unary::Not, true), one(Unary::Not, 5u16), one(Unary::Abs, i16::MIN)), (false, 65530, i16::MIN));
        assert_eq!(both(Binary::Add, 1e8f32, 1.0), 1e8);
        assert_eq!(both(Binary::Add, f16::from_f32(2048.0), f16::from_f32(1.0)), f16::from_f32(2048.0));
        assert!(both(Binary::Minimum, f64::NAN, 1.0).is_nan() && both(Binary::Fmin, f64::NAN, 1.0) == 1.0);
        assert_eq!(both(Binary::Mul, Complex::new(1f32, 2.0), Complex::new(3.0, -1.0)), Complex::new(5.0, 5.0));
        let float = Wide::Float;
        let eps = f64::EPSILON;
        assert_eq!(mul_add(DType::F64, float(1.0 + eps), float(1.0 - eps), float(-1.0)), float(-eps * eps));
    }

    #[test]
    fn a_comparison_allows_what_it_says_and_no_more() {
        let a = Array::from_vec(vec![1.0f32, f32::NAN], [2]).unwrap();
        let exactly = |x: f32| Want::Bits(DType::F32, Wide::Float(x.into()));
        let exact = [exactly(1.0), exactly(f32::NAN)];
        assert!(compare("", &a, &[2], &exact).is_ok());
        assert!(compare("", &a, &[2, 1], &exact).unwrap_err().contains("the shape is [2]"));
        let off = |want: Want| compare("", &a, &[2], &[want, Want::Any]).is_ok();
        assert!(!off(exactly(1.0f32.next_up())) && !off(Want::Bits(DType::I32, Wide::Int(1))));
        assert!(off(Want::Ulp(1.0 + 5e-8, 1.0)) && !off(Want::Ulp(1.0 + 3e-7, 1.0)));
        assert!(off(Want::Near(1.5, 0.5)) && !off(Want::Near(1.5, 0.4)) && !off(Want::Near(f64::NAN, 1.0)));
        assert!(
            compare("", &a, &[2], &[exactly(1.0), Want::Near(0.0, f64::INFINITY)]).is_err(),
            "NaN is near no number"
        );
    }
}
