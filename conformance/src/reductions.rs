//! Reductions, over everything and over axes: sums, products, extrema and their indices, means, variances, norms, truth.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, moderate, specials, widened};
use polyarray_core::{Array, Axes, DType, Element, Expr, IntoExpr, Kind, Result, Wide, axis, with_dtype};

/// A reduction, by the name of its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Prod,
    Min,
    Max,
    Mean,
    ArgMin,
    ArgMax,
    Any,
    All,
    CountNonzero,
    Var,
    Std,
    Norm,
}

impl Fold {
    pub const ALL: [Fold; 13] = [
        Fold::Sum,
        Fold::Prod,
        Fold::Min,
        Fold::Max,
        Fold::Mean,
        Fold::ArgMin,
        Fold::ArgMax,
        Fold::Any,
        Fold::All,
        Fold::CountNonzero,
        Fold::Var,
        Fold::Std,
        Fold::Norm,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fold::Sum => "sum",
            Fold::Prod => "prod",
            Fold::Min => "min",
            Fold::Max => "max",
            Fold::Mean => "mean",
            Fold::ArgMin => "argmin",
            Fold::ArgMax => "argmax",
            Fold::Any => "any",
            Fold::All => "all",
            Fold::CountNonzero => "count_nonzero",
            Fold::Var => "var",
            Fold::Std => "std",
            Fold::Norm => "norm",
        }
    }

    pub fn accepts(self, dtype: DType) -> bool {
        dtype.kind() != Kind::Complex || !matches!(self, Fold::Min | Fold::Max | Fold::ArgMin | Fold::ArgMax)
    }

    /// Whether it goes along one axis, or over everything.
    fn takes_one_axis(self) -> bool {
        matches!(self, Fold::ArgMin | Fold::ArgMax)
    }

    /// Whether squares are summed, and then divided or rooted.
    fn of_squares(self) -> bool {
        matches!(self, Fold::Var | Fold::Std | Fold::Norm)
    }

    /// Over these axes, or everything.
    pub fn apply<T: Element>(self, e: &Expr<T>, over: Option<&Over>) -> Result<Values> {
        let Some(over) = over else {
            return match self {
                Fold::Sum => e.sum().map(Values::one),
                Fold::Prod => e.prod().map(Values::one),
                Fold::Min => e.min().map(Values::one),
                Fold::Max => e.max().map(Values::one),
                Fold::Mean => e.mean().map(Values::one),
                Fold::ArgMin => e.argmin().map(|i| Values::one(i as u64)),
                Fold::ArgMax => e.argmax().map(|i| Values::one(i as u64)),
                Fold::Any => e.any().map(Values::one),
                Fold::All => e.all().map(Values::one),
                Fold::CountNonzero => e.count_nonzero().map(|n| Values::one(n as u64)),
                Fold::Var => e.var(0).map(Values::one),
                Fold::Std => e.std(1).map(Values::one),
                Fold::Norm => e.norm().map(Values::one),
            };
        };
        match self {
            Fold::Sum => Values::of(&e.sum_axis(over.axes())?),
            Fold::Prod => Values::of(&e.prod_axis(over.axes())?),
            Fold::Min => Values::of(&e.min_axis(over.axes())?),
            Fold::Max => Values::of(&e.max_axis(over.axes())?),
            Fold::Mean => Values::of(&e.mean_axis(over.axes())?),
            Fold::ArgMin => Values::of(&e.argmin_axis(over.axes())?),
            Fold::ArgMax => Values::of(&e.argmax_axis(over.axes())?),
            Fold::Any => Values::of(&e.any_axis(over.axes())?),
            Fold::All => Values::of(&e.all_axis(over.axes())?),
            Fold::CountNonzero => Values::of(&e.count_nonzero_axis(over.axes())?),
            Fold::Var => Values::of(&e.var_axis(over.axes(), 1)?),
            Fold::Std => Values::of(&e.std_axis(over.axes(), 0)?),
            Fold::Norm => Values::of(&e.norm_axis(over.axes())?),
        }
    }
}

/// Axes to reduce.
#[derive(Clone, Debug)]
pub(crate) struct Over(pub Vec<isize>, pub bool);

impl Over {
    fn axes(&self) -> Axes {
        if self.1 { axis(&self.0[..]).keepdims() } else { axis(&self.0[..]) }
    }

    /// All of an array of `ndim` axes, each axis, some of them, and with axes kept.
    fn all(ndim: usize, fold: Fold) -> Vec<Option<Over>> {
        let mut out = vec![None];
        out.extend((0..ndim as isize).map(|a| Some(Over(vec![a], false))));
        out.push(Some(Over(vec![-1], true)));
        if fold.takes_one_axis() {
            return out;
        }
        if ndim > 1 {
            out.push(Some(Over((0..ndim as isize).rev().collect(), true)));
        }
        if ndim > 2 {
            out.extend([vec![0, 2], vec![1, 2], vec![0, 1]].map(|axes| Some(Over(axes, false))));
        }
        out
    }
}

/// What is reduced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Array,
    /// `x * x`.
    Square,
    /// `x + y * y`, y of the same layout.
    Two,
    /// `x` as f64.
    Cast,
}

pub(crate) fn run(suite: &mut Suite) {
    for fold in Fold::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| fold.accepts(d)) {
            if suite.wants(fold.name(), dtype) {
                with_dtype!(dtype, T => fold_cases::<T>(suite, fold));
            }
        }
    }
}

fn fold_cases<T: Element>(suite: &mut Suite, fold: Fold) {
    special_cases::<T>(suite, fold);
    let lengths: &[usize] = if suite.full() {
        &[1, 2, 3, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 255, 257, 1023, 1024, 1025, 2047, 2049, 4095, 4096, 4097, 10007, 40000]
    } else {
        &[1, 2, 7, 16, 33, 64, 65, 128, 257, 1025, 4097, 10007]
    };
    for &n in lengths {
        case::<T>(suite, fold, Source::Array, &[n], Lay::Contiguous, None);
    }
    // Axes as long as a block and a little more, for either order of walking.
    let mut shapes = vec![vec![3, 5], vec![70, 9], vec![9, 70], vec![2, 3, 4], vec![1, 6], vec![6, 1], vec![5, 2, 130]];
    if suite.full() {
        shapes.extend([vec![4, 1025], vec![1025, 4], vec![130, 131], vec![7, 66, 5], vec![2, 2, 2, 70], vec![1, 1, 1]]);
    }
    for shape in &shapes {
        for over in Over::all(shape.len(), fold) {
            for lay in [
                Lay::Contiguous,
                Lay::Transposed,
                Lay::Step(2),
                Lay::Step(-1),
                Lay::StepFirst(-1),
                Lay::Window,
                Lay::Rotated,
                Lay::Row,
                Lay::Column,
                Lay::Scalar,
            ] {
                case::<T>(suite, fold, Source::Array, shape, lay, over.clone());
            }
        }
    }
    let number = T::DTYPE.kind() != Kind::Bool;
    for source in [Source::Square, Source::Two, Source::Cast].into_iter().filter(|&s| number || s == Source::Cast) {
        for over in Over::all(2, fold) {
            for lay in [Lay::Contiguous, Lay::Transposed, Lay::Step(-2), Lay::Row] {
                case::<T>(suite, fold, source, &[67, 13], lay, over.clone());
            }
        }
        case::<T>(suite, fold, source, &[2051], Lay::Contiguous, None);
    }
}

/// One special value among ordinary ones, at the start, in the middle, at the end; and nothing but it.
fn special_cases<T: Element>(suite: &mut Suite, fold: Fold) {
    let mut values = specials::<T>(true);
    if suite.gpu && matches!(fold, Fold::Prod | Fold::Var | Fold::Std) && T::DTYPE.kind() == Kind::Float {
        // Whether a product comes back from beyond the largest number depends on the order, which a GPU chooses, and what is left of squares that overflow on how means are removed.
        let limit = FloatSpec::of(T::DTYPE).max().sqrt();
        values.retain(|x| !matches!(x.to_wide(), Wide::Float(x) if x.is_finite() && x.abs() > limit));
    }
    for value in values {
        for n in [1, 5, 130] {
            for at in [0, n / 2, n - 1] {
                let mut data: Vec<T> = moderate(&mut suite.rng, (0.5, 1.5), n);
                data[at] = value;
                run_case(suite, fold, Source::Array, &[n], Lay::Contiguous, None, vec![data]);
            }
            run_case(suite, fold, Source::Array, &[n], Lay::Step(2), None, vec![vec![value; n]]);
        }
        run_case(suite, fold, Source::Array, &[3, 70], Lay::Contiguous, Some(Over(vec![0], false)), vec![vec![value; 210]]);
    }
}

fn case<T: Element>(suite: &mut Suite, fold: Fold, source: Source, shape: &[usize], lay: Lay, over: Option<Over>) {
    // Factors near 1, so that products neither overflow nor vanish.
    let domain = if fold == Fold::Prod { (0.97, 1.03) } else { (-1.0, 1.0) };
    let mut data: Vec<Vec<T>> = (0..2).map(|_| moderate(&mut suite.rng, domain, lay.len(shape))).collect();
    // For truth: mostly what it does not look for.
    let rare = lay.len(shape) / 3;
    match fold {
        Fold::Any => data.iter_mut().for_each(|d| d.iter_mut().enumerate().filter(|(i, _)| *i != rare).for_each(|(_, x)| *x = T::default())),
        Fold::All => data.iter_mut().for_each(|d| d.iter_mut().filter(|x| **x == T::default()).for_each(|x| *x = T::from_wide(Wide::Int(1)))),
        Fold::CountNonzero => data.iter_mut().for_each(|d| d.iter_mut().step_by(3).for_each(|x| *x = T::default())),
        _ => {}
    }
    run_case::<T>(suite, fold, source, shape, lay, over, data);
}

fn run_case<T: Element>(suite: &mut Suite, fold: Fold, source: Source, shape: &[usize], lay: Lay, over: Option<Over>, data: Vec<Vec<T>>) {
    let apply = |place: &Place| -> Result<Values> {
        let xs: Vec<Array<T>> = data.iter().map(|d| lay.build(d, shape, place)).collect::<Result<_>>()?;
        match source {
            Source::Array => fold.apply(&(&xs[0]).into_expr(), over.as_ref()),
            Source::Square => fold.apply(&(&xs[0] * &xs[0]), over.as_ref()),
            Source::Two => fold.apply(&(&xs[0] + &xs[1] * &xs[1]), over.as_ref()),
            Source::Cast => fold.apply(&xs[0].cast::<f64>(), over.as_ref()),
        }
    };
    let (gpu, count) = (suite.gpu, shape.iter().product::<usize>());
    let expected = || {
        on_scalar(|| {
            let values = apply(&Place::Host)?;
            let floating = matches!(values.dtype.kind(), Kind::Float | Kind::Complex);
            let exact = !gpu || !floating || matches!(fold, Fold::Min | Fold::Max | Fold::ArgMin | Fold::ArgMax);
            let tolerance = if exact { Tolerance::Bits } else { gpu_tolerance(fold, &values, &data, shape, lay, over.as_ref(), count)? };
            Ok(Expected::new(values, tolerance))
        })
    };
    let case = Case { op: fold.name().into(), dtype: T::DTYPE, detail: format!("{source:?} {shape:?} {lay:?} over {over:?}") };
    suite.case(case, apply, expected);
}

/// The error bound of summing in blocks: `(64 + log2 n) * eps * sum |x|`, where `|x| + y^2` bounds every source; of products, `n * eps` of the value.
fn gpu_tolerance<T: Element>(fold: Fold, values: &Values, data: &[Vec<T>], shape: &[usize], lay: Lay, over: Option<&Over>, count: usize) -> Result<Tolerance> {
    let spec = FloatSpec::of(values.dtype);
    if fold == Fold::Prod {
        let of = |m: f64| (count as f64 * spec.eps() * m).max(spec.min_normal());
        return Ok(Tolerance::Absolute(values.magnitudes().into_iter().map(of).collect()));
    }
    let modulus = |x: &T| match x.to_wide() {
        Wide::Complex(re, im) => re.abs() + im.abs(),
        wide => wide.real().abs(),
    };
    let x: Vec<f64> = data[0].iter().map(modulus).collect();
    let y: Vec<f64> = data.last().map_or_else(Vec::new, |d| widened(d)).iter().map(|y| y * y).collect();
    if fold.of_squares() {
        // Twice the bound of a sum, relative; and the error of a mean of numbers of this magnitude, squared in a variance.
        let bound = (64.0 + (count as f64).log2()) * spec.eps();
        let largest = x.iter().zip(&y).map(|(x, y)| x + y).filter(|m| m.is_finite()).fold(1.0, f64::max);
        let mean = match fold {
            Fold::Var => (largest * bound).powi(2),
            Fold::Std => largest * bound,
            _ => 0.0,
        };
        return Ok(Tolerance::Absolute(values.magnitudes().into_iter().map(|m| (2.0 * bound * m + mean).max(spec.min_normal())).collect()));
    }
    let (x, y) = (lay.build(&x, shape, &Place::Host)?, lay.build(&y, shape, &Place::Host)?);
    // For a mean, the mean: its bound is divided as it is.
    let sums = fold.apply(&(&x + &y), over)?.magnitudes();
    let factor = (64.0 + (count as f64).log2()) * spec.eps();
    Ok(Tolerance::Absolute(sums.into_iter().map(|s| (factor * s).max(spec.min_normal())).collect()))
}
