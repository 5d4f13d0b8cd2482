//! Running sums, products, minima and maxima along every axis.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, moderate, specials};
use polyarray_core::op::Running;
use polyarray_core::{Array, DType, Element, Expr, IntoExpr, Kind, Result, with_dtype};

/// Evaluates the scan of `e` along `axis`.
pub(crate) fn apply<T: Element>(running: Running, e: &Expr<T>, axis: isize) -> Result<Values> {
    match running {
        Running::Sum => Values::of(&e.cumsum(axis)?),
        Running::Prod => Values::of(&e.cumprod(axis)?),
        Running::Min => Values::of(&e.cummin(axis)?),
        Running::Max => Values::of(&e.cummax(axis)?),
    }
}

/// Returns whether a scan is defined for a dtype.
pub(crate) fn accepts(running: Running, dtype: DType) -> bool {
    !running.selects() || dtype.kind() != Kind::Complex
}

pub(crate) fn run(suite: &mut Suite) {
    for running in Running::ALL {
        for dtype in DType::ALL {
            if accepts(running, dtype) && suite.wants(running.name(), dtype) {
                with_dtype!(dtype, T => cases::<T>(suite, running));
            }
        }
    }
}

fn cases<T: Element>(suite: &mut Suite, running: Running) {
    // Lengths around one block and around eight blocks of a scan.
    let lengths: &[usize] = if suite.full() {
        &[1, 2, 7, 64, 257, 1039, 1040, 1041, 2080, 2081, 8320, 8321, 30_011]
    } else {
        &[1, 2, 65, 1040, 1041, 9000]
    };
    for &n in lengths {
        for lay in [Lay::Contiguous, Lay::Offset(3), Lay::Step(-1)] {
            case::<T>(suite, running, &[n], lay, 0, None);
        }
    }
    let mut shapes = vec![vec![3, 5], vec![1100, 3], vec![2, 1050], vec![3, 70, 6], vec![1, 6], vec![6, 1]];
    if suite.full() {
        shapes.extend([vec![2100, 70], vec![2, 3, 4, 5], vec![1, 1, 1], vec![17, 2100]]);
    }
    for shape in &shapes {
        for axis in 0..shape.len() as isize {
            for lay in [
                Lay::Contiguous,
                Lay::Transposed,
                Lay::Step(2),
                Lay::StepFirst(-1),
                Lay::Window,
                Lay::Rotated,
                Lay::Row,
                Lay::Column,
                Lay::Scalar,
            ] {
                case::<T>(suite, running, shape, lay, axis - shape.len() as isize * (axis & 1), None);
            }
        }
    }
    for value in specials::<T>(true) {
        for at in [0, 30, 69] {
            case(suite, running, &[70], Lay::Contiguous, 0, Some((at, value)));
        }
    }
}

fn case<T: Element>(
    suite: &mut Suite,
    running: Running,
    shape: &[usize],
    lay: Lay,
    axis: isize,
    special: Option<(usize, T)>,
) {
    // Float factors are close to 1, so that products neither overflow nor underflow.
    let domain = if running == Running::Prod { (0.97, 1.03) } else { (-1.0, 1.0) };
    let mut data: Vec<T> = moderate(&mut suite.rng, domain, lay.len(shape));
    if let Some((at, value)) = special {
        data[at] = value;
    }
    let expression = shape.len() == 2 && T::DTYPE.kind() != Kind::Bool;
    let run = |place: &Place| -> Result<Values> {
        let x: Array<T> = lay.build(&data, shape, place)?;
        if expression { apply(running, &(&x * &x), axis) } else { apply(running, &(&x).into_expr(), axis) }
    };
    let gpu = suite.gpu;
    let expected = || {
        on_scalar(|| {
            let values = run(&Place::Host)?;
            let floating = matches!(values.dtype.kind(), Kind::Float | Kind::Complex);
            let tolerance = if gpu && floating {
                let n = shape.iter().product::<usize>() as f64;
                let eps = n * FloatSpec::of(values.dtype).eps();
                // Random terms are at most 1 in magnitude, so that `n` bounds the sum of their magnitudes.
                Tolerance::Absolute(values.magnitudes().into_iter().map(|m| eps * m.max(n)).collect())
            } else {
                Tolerance::Bits
            };
            Ok(Expected::new(values, tolerance))
        })
    };
    let case = Case { op: running.name().into(), dtype: T::DTYPE, detail: format!("{shape:?} {lay:?} along {axis}") };
    suite.case(case, run, expected);
}
