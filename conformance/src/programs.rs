//! Programs of several instructions: typical user expressions, and programs at the limits of inputs and steps.

use crate::compare::{Expected, Tolerance, Values};
use crate::elementwise::{How, finish, sizes};
use crate::layouts::{Lay, Place, Target};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, moderate};
use polyarray_core::{Array, DType, Element, Expr, IntoExpr, Kind, Result, Unary, Wide, select, with_dtype};

/// A program over some arrays. Float operands are positive and of size about 1, so that no result is much smaller than
/// the operands of its steps.
struct Row {
    name: &'static str,
    /// The number of input arrays.
    arity: usize,
    /// The approximate number of roundings in it.
    steps: f64,
    /// The total error of its inexact functions, in ULP on CPU devices. If it is 0, CPU devices must give the same
    /// bits.
    ulp: f64,
    defined: fn(DType) -> bool,
}

const fn row(name: &'static str, arity: usize, steps: f64, ulp: f64, defined: fn(DType) -> bool) -> Row {
    Row { name, arity, steps, ulp, defined }
}

fn number(d: DType) -> bool {
    d.kind() != Kind::Bool
}

fn float(d: DType) -> bool {
    d.kind() == Kind::Float
}

fn real(d: DType) -> bool {
    matches!(d.kind(), Kind::Int | Kind::Uint | Kind::Float)
}

const ROWS: [Row; 14] = [
    row("poly", 1, 5.0, 0.0, number),
    row("poly_arrays", 4, 4.0, 0.0, number),
    row("square_affine", 1, 4.0, 0.0, number),
    row("sqrt_affine", 2, 4.0, 0.0, float),
    row("exp_plus_sin", 1, 1.0, 2.0, float),
    row("sigmoid", 1, 3.0, 2.0, float),
    row("clip_and_mask", 2, 1.0, 0.0, real),
    row("mixed_dtypes", 2, 3.0, 0.0, real),
    row("common_part", 2, 3.0, 0.0, number),
    row("seven_inputs", 7, 7.0, 0.0, number),
    row("eight_inputs", 8, 8.0, 0.0, number),
    row("steps_64", 1, 64.0, 0.0, number),
    row("steps_65", 1, 65.0, 0.0, number),
    row("steps_200", 3, 200.0, 0.0, number),
];

fn constant<T: Element>(x: f64) -> T {
    T::from_wide(if T::DTYPE.kind() == Kind::Float { Wide::Float(x) } else { Wide::Int(x.ceil() as i128) })
}

fn program<T: Element>(name: &str, xs: &[Array<T>]) -> Expr<T> {
    let x = &xs[0];
    let y = xs.get(1).unwrap_or(x);
    let c = constant::<T>;
    let sum = || xs[1..].iter().fold(x.into_expr(), |sum, x| sum + x);
    match name {
        "poly" => x * x * c(0.75) + x * c(2.5) + c(0.3),
        "poly_arrays" => &xs[1] * x * x + &xs[2] * x + &xs[3],
        "square_affine" => (x * c(0.7) + c(1.1)) * (x * c(0.7) + c(1.1)),
        "sqrt_affine" => (x * c(2.0) + c(1.0)).unary::<T>(Unary::Sqrt) - y,
        "exp_plus_sin" => x.unary_of(Unary::Exp) + x.unary_of(Unary::Sin),
        "sigmoid" => c(1.0).into_expr() / ((-x).unary::<T>(Unary::Exp) + c(1.0)),
        "clip_and_mask" => select(x.less(y), x.maximum(c(0.8)).minimum(c(1.5)), c(0.0)),
        "mixed_dtypes" => select(
            (x.cast::<i32>() * 3).greater_equal(y.cast::<i32>() * 2),
            (x.cast::<f32>() * 2.0).cast::<T>(),
            y.cast::<bool>().cast::<T>() + x,
        ),
        "common_part" => (x + y) * (x + y) + (x + y),
        "seven_inputs" | "eight_inputs" => sum(),
        "steps_64" => chain(x.into_expr(), &[], 64),
        "steps_65" => chain(x.into_expr(), &[], 65),
        "steps_200" => chain(x.into_expr(), &xs[1..], 200),
        other => unreachable!("no program is called {other}"),
    }
}

/// Appends `steps` additions and multiplications to `e`. Their operands are constants and, for some additions,
/// `arrays`. The value keeps about the same size.
fn chain<T: Element>(mut e: Expr<T>, arrays: &[Array<T>], steps: usize) -> Expr<T> {
    for i in 0..steps {
        e = match (i % 4, arrays.get(i / 4 % 5)) {
            (0, Some(a)) => e + a,
            (0, None) | (2, _) => e + constant::<T>(0.25 + (i % 7) as f64 / 8.0),
            (1, _) => e * constant::<T>(0.5),
            _ => e * constant::<T>(0.625),
        };
    }
    e
}

/// Applies a unary ufunc to an array, with a result of the array's dtype.
trait UnaryOf<T: Element> {
    fn unary_of(&self, op: Unary) -> Expr<T>;
}

impl<T: Element> UnaryOf<T> for Array<T> {
    fn unary_of(&self, op: Unary) -> Expr<T> {
        self.into_expr().unary(op)
    }
}

pub(crate) fn run(suite: &mut Suite) {
    for row in &ROWS {
        for dtype in DType::ALL.into_iter().filter(|&d| (row.defined)(d)) {
            if suite.wants(row.name, dtype) {
                with_dtype!(dtype, T => row_cases::<T>(suite, row));
            }
        }
    }
}

fn row_cases<T: Element>(suite: &mut Suite, row: &Row) {
    for n in sizes(T::DTYPE, suite.full()) {
        case::<T>(suite, row, &[n], vec![Lay::Contiguous; row.arity], None);
    }
    if suite.full() {
        for n in [4095, 4097, 10007] {
            case::<T>(suite, row, &[n], vec![Lay::Contiguous; row.arity], None);
        }
    }
    for lay in Lay::ALL {
        case::<T>(suite, row, &[5, 19], vec![lay; row.arity], None);
        let mixed = [lay, Lay::Contiguous, Lay::Row, Lay::Column, Lay::Step(-1), Lay::Scalar, Lay::Transposed];
        case::<T>(suite, row, &[6, 37], mixed.into_iter().cycle().take(row.arity).collect(), None);
        case::<T>(suite, row, &[2, 3, 11], mixed.into_iter().rev().cycle().take(row.arity).collect(), None);
    }
    for target in Target::VIEWS {
        for lay in [Lay::Contiguous, Lay::Transposed, Lay::Column] {
            case::<T>(suite, row, &[4, 41], vec![lay; row.arity], Some(target));
        }
    }
}

fn case<T: Element>(suite: &mut Suite, row: &Row, shape: &[usize], lays: Vec<Lay>, target: Option<Target>) {
    let data: Vec<Vec<T>> = lays.iter().map(|l| moderate(&mut suite.rng, (0.5, 2.0), l.len(shape))).collect();
    let apply = |place: &Place| -> Result<Values> {
        let xs: Vec<Array<T>> =
            lays.iter().zip(&data).map(|(lay, d)| lay.build(d, shape, place)).collect::<Result<_>>()?;
        finish(program(row.name, &xs), target.map_or(How::Eval, How::Into), shape, place)
    };
    let gpu = suite.gpu;
    let expected = || {
        let values = on_scalar(|| apply(&Place::Host))?;
        let tolerance = tolerance(row, &values, gpu);
        Ok(Expected::new(values, tolerance))
    };
    let case = Case { op: row.name.into(), dtype: T::DTYPE, detail: format!("{shape:?} {lays:?} {target:?}") };
    suite.case(case, apply, expected);
}

/// Returns the tolerance of a program: the same bits if every step is exact and the device is a CPU, otherwise the
/// roundings and errors of all steps relative to the largest value.
fn tolerance(row: &Row, expected: &Values, gpu: bool) -> Tolerance {
    let floating = matches!(expected.dtype.kind(), Kind::Float | Kind::Complex);
    if !floating || row.ulp == 0.0 && !gpu {
        return Tolerance::Bits;
    }
    // On a GPU the error of a function is up to 4 times as large, and every step may be contracted or rounded
    // differently.
    let errors = row.steps + row.ulp * if gpu { 4.0 } else { 1.0 } + 2.0;
    let largest = expected.magnitudes().into_iter().fold(4.0, f64::max);
    let each = errors * FloatSpec::of(expected.dtype).eps() * largest;
    Tolerance::Absolute(vec![each; expected.len()])
}
