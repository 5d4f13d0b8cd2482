//! Reductions of all elements and over axes: sums, products, extrema and their indices, means, variances, norms, truth
//! values.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, moderate, specials};
use polyarray_core::{Array, Axes, DType, Element, Expr, IntoExpr, Kind, Result, Wide, axis, with_dtype};

/// A reduction, named after its method.
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

    /// Returns whether the reduction supports one axis or all elements only.
    fn takes_one_axis(self) -> bool {
        matches!(self, Fold::ArgMin | Fold::ArgMax)
    }

    /// Evaluates the reduction of `e` over the given axes, or of all elements.
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

/// The axes to reduce, and whether the result keeps them.
#[derive(Clone, Debug)]
pub(crate) struct Over(pub Vec<isize>, pub bool);

impl Over {
    fn axes(&self) -> Axes {
        if self.1 { axis(&self.0[..]).keepdims() } else { axis(&self.0[..]) }
    }

    /// Returns the cases for `ndim` axes: all elements, each axis, some sets of axes, and axes that are kept.
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

/// The expression that is reduced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Array,
    /// `x * x`.
    Square,
    /// `x + y * y`, where y has the same layout.
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
        &[
            1, 2, 3, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 255, 257, 1023, 1024, 1025, 2047, 2049, 4095,
            4096, 4097, 10007, 40000,
        ]
    } else {
        &[1, 2, 7, 16, 33, 64, 65, 128, 257, 1025, 4097, 10007]
    };
    for &n in lengths {
        case::<T>(suite, fold, Source::Array, &[n], Lay::Contiguous, None);
    }
    // Some axes are slightly longer than a block, for both orders of traversal.
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

/// Tests a special value among ordinary ones, at the start, in the middle and at the end, and alone.
fn special_cases<T: Element>(suite: &mut Suite, fold: Fold) {
    let mut values = specials::<T>(true);
    if suite.gpu && matches!(fold, Fold::Prod | Fold::Var | Fold::Std) && T::DTYPE.kind() == Kind::Float {
        // Whether a partial product overflows depends on the order, which a GPU chooses. The result of squares that
        // overflow depends on how the mean is subtracted.
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
        run_case(
            suite,
            fold,
            Source::Array,
            &[3, 70],
            Lay::Contiguous,
            Some(Over(vec![0], false)),
            vec![vec![value; 210]],
        );
    }
}

fn case<T: Element>(suite: &mut Suite, fold: Fold, source: Source, shape: &[usize], lay: Lay, over: Option<Over>) {
    // Float factors are close to 1, so that products neither overflow nor underflow.
    let domain = if fold == Fold::Prod { (0.97, 1.03) } else { (-1.0, 1.0) };
    let mut data: Vec<Vec<T>> = (0..2).map(|_| moderate(&mut suite.rng, domain, lay.len(shape))).collect();
    // For `any`, all elements but one are zero; for `all`, none is; for `count_nonzero`, every third one is.
    let rare = lay.len(shape) / 3;
    match fold {
        Fold::Any => data
            .iter_mut()
            .for_each(|d| d.iter_mut().enumerate().filter(|(i, _)| *i != rare).for_each(|(_, x)| *x = T::default())),
        Fold::All => data
            .iter_mut()
            .for_each(|d| d.iter_mut().filter(|x| **x == T::default()).for_each(|x| *x = T::from_wide(Wide::Int(1)))),
        Fold::CountNonzero => data.iter_mut().for_each(|d| d.iter_mut().step_by(3).for_each(|x| *x = T::default())),
        _ => {}
    }
    run_case::<T>(suite, fold, source, shape, lay, over, data);
}

fn run_case<T: Element>(
    suite: &mut Suite,
    fold: Fold,
    source: Source,
    shape: &[usize],
    lay: Lay,
    over: Option<Over>,
    data: Vec<Vec<T>>,
) {
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
            if exact {
                return Ok(Expected::new(values, Tolerance::Bits));
            }
            Reduced { fold, source, data: &data, shape, lay, over: over.as_ref(), count }.on_gpu(values)
        })
    };
    let case =
        Case { op: fold.name().into(), dtype: T::DTYPE, detail: format!("{source:?} {shape:?} {lay:?} over {over:?}") };
    suite.case(case, apply, expected);
}

/// A reduction case whose tolerance on a GPU is computed.
struct Reduced<'a, T> {
    fold: Fold,
    source: Source,
    data: &'a [Vec<T>],
    shape: &'a [usize],
    lay: Lay,
    over: Option<&'a Over>,
    count: usize,
}

/// A term of a reduction.
#[derive(Clone, Copy)]
struct Term {
    /// The value of a real number, the sum of the magnitudes of the parts of a complex one.
    value: f64,
    /// The number of subnormals among the operands and steps that produce the term. Each may be flushed to zero.
    flushes: f64,
}

/// The error that flushing subnormals to zero can cause in a sum of `n` terms, in units of the smallest normal number.
/// Each flush changes the sum by less than one unit.
///
/// Additions give subnormal results in two cases. If all terms have the same sign, both operands of such an addition
/// are subnormal, so there are fewer such additions than subnormal terms. If the signs differ, terms may cancel. Terms
/// of at least `normal / eps`, however, are multiples of `normal`, as are their sums, rounded or not: without a smaller
/// term there is no subnormal result.
#[derive(Clone, Copy, Debug, Default)]
struct Flushes {
    n: f64,
    of_terms: f64,
    subnormal: f64,
    below_normal_over_eps: f64,
    positive: f64,
    negative: f64,
}

impl Flushes {
    fn bound(&self) -> f64 {
        let additions = match self {
            f if f.below_normal_over_eps == 0.0 => 0.0,
            f if f.positive == 0.0 || f.negative == 0.0 => (f.subnormal - 1.0).max(0.0),
            f => f.n - 1.0,
        };
        self.of_terms + additions
    }

    fn one(term: Term, spec: FloatSpec) -> Flushes {
        let (normal, below) =
            (spec.min_normal(), |limit: f64| f64::from(term.value != 0.0 && term.value.abs() < limit));
        Flushes {
            n: 1.0,
            of_terms: term.flushes,
            subnormal: below(normal),
            below_normal_over_eps: below(normal / spec.eps()),
            positive: f64::from(term.value > 0.0),
            negative: f64::from(term.value < 0.0),
        }
    }
}

impl<T: Element> Reduced<'_, T> {
    fn terms(&self, spec: FloatSpec) -> Vec<Term> {
        let subnormal = |x: f64| f64::from(x != 0.0 && x.abs() < spec.min_normal());
        let number = |x: &T| match x.to_wide() {
            Wide::Complex(re, im) => Term { value: re.abs() + im.abs(), flushes: subnormal(re) + subnormal(im) },
            wide => Term { value: wide.real(), flushes: subnormal(wide.real()) },
        };
        let x = self.data[0].iter().map(number);
        let y = self.data.last().expect("every case has an operand").iter().map(number);
        let step = |value: f64, flushes: f64| Term { value, flushes: flushes + subnormal(value) };
        x.zip(y)
            .map(|(x, y)| match self.source {
                Source::Array | Source::Cast => x,
                Source::Square => step(x.value * x.value, x.flushes),
                Source::Two => step(x.value + y.value * y.value, x.flushes + y.flushes + subnormal(y.value * y.value)),
            })
            .collect()
    }

    /// Reduces `of(term)` of all terms by `fold` over the axes of the case, to one number for each result.
    fn each(&self, fold: Fold, terms: &[Term], of: impl Fn(Term) -> f64) -> Result<Vec<f64>> {
        let values: Vec<f64> = terms.iter().map(|&t| of(t)).collect();
        let values = self.lay.build(&values, self.shape, &Place::Host)?;
        Ok(fold.apply(&values.into_expr(), self.over)?.magnitudes())
    }

    /// Returns the expectation for a GPU, where `values` are the oracle's results. The tolerance is
    /// `(64 + log2 n) * eps * sum |x|` for sums, `n * eps` of the value for products, and twice the relative bound of a
    /// sum for norms, variances and deviations. The error of flushing subnormals, if there are any, is added.
    fn on_gpu(&self, values: Values) -> Result<Expected> {
        let spec = FloatSpec::of(values.dtype);
        let (eps, normal, subnormal) = (spec.eps(), spec.min_normal(), spec.min_subnormal());
        let terms = self.terms(spec);
        let bound = (64.0 + (self.count as f64).log2()) * eps;
        let results = values.magnitudes();
        // The last step may be flushed if its result is subnormal.
        let last = |m: f64| if m < normal { normal } else { 0.0 };
        let absolute = match self.fold {
            Fold::Prod => return self.product(values, &terms),
            Fold::Norm => {
                // The flushed parts form a vector, whose norm bounds the error.
                let flushed = self.each(Fold::Sum, &terms, |t| t.flushes * t.flushes)?;
                results.iter().zip(&flushed).map(|(m, f)| 2.0 * bound * m + f.sqrt() * normal + last(*m)).collect()
            }
            Fold::Var | Fold::Std => {
                // The error of a mean of numbers of this magnitude; squared in a variance.
                let largest = terms.iter().map(|t| t.value.abs()).filter(|m| m.is_finite()).fold(1.0, f64::max);
                let mean = if self.fold == Fold::Var { (largest * bound).powi(2) } else { largest * bound };
                results.iter().map(|m| (2.0 * bound * m + mean).max(normal)).collect()
            }
            _ => {
                let sums = self.each(Fold::Sum, &terms, |t| t.value.abs())?;
                let count = |of: fn(Flushes) -> f64| self.each(Fold::Sum, &terms, |t| of(Flushes::one(t, spec)));
                let counts = [
                    count(|f| f.n)?,
                    count(|f| f.of_terms)?,
                    count(|f| f.subnormal)?,
                    count(|f| f.below_normal_over_eps)?,
                    count(|f| f.positive)?,
                    count(|f| f.negative)?,
                ];
                (0..results.len())
                    .map(|i| {
                        let [n, of_terms, subnormal_terms, below_normal_over_eps, positive, negative] =
                            counts.each_ref().map(|c| c[i]);
                        let flushes = Flushes {
                            n,
                            of_terms,
                            subnormal: subnormal_terms,
                            below_normal_over_eps,
                            positive,
                            negative,
                        };
                        let sum = bound * sums[i] + flushes.bound() * normal;
                        // The quotient is rounded once more, possibly to a subnormal.
                        if self.fold == Fold::Mean { sum / n + subnormal + last(results[i]) } else { sum }
                    })
                    .collect()
            }
        };
        Ok(Expected::new(values, Tolerance::Absolute(absolute)))
    }

    /// Returns the expectation for a product. A product is zero if a partial product is flushed. A partial product is
    /// subnormal only if the product of all factors below 1 is. It may be rounded n times to a subnormal before it is
    /// flushed, and factors above 1 magnify the error.
    fn product(&self, values: Values, terms: &[Term]) -> Result<Expected> {
        let spec = FloatSpec::of(values.dtype);
        let least = self.each(Fold::Prod, terms, |t| t.value.abs().min(1.0))?;
        let most = self.each(Fold::Prod, terms, |t| t.value.abs().max(1.0))?;
        let flushed = |i: usize| least[i] < spec.min_normal();
        let n = self.count as f64;
        let error = |(i, m): (usize, f64)| {
            n * spec.eps() * m + if flushed(i) { n * spec.min_subnormal() * most[i] } else { 0.0 }
        };
        let tolerance = Tolerance::Absolute(values.magnitudes().into_iter().enumerate().map(error).collect());
        let alternatives = vec![values.clone(), values.with_zeros(flushed)];
        Ok(Expected { alternatives, tolerance, unrounded: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Rng;

    fn flush(x: f32) -> f32 {
        if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
    }

    /// Compares sums in random order and grouping, each step flushed, with exact sums. The bound must hold and be
    /// tight.
    #[test]
    fn the_bound_of_flushes_holds_for_any_order() {
        let mut rng = Rng::new(5);
        let (spec, normal) = (FloatSpec::of(DType::F32), f64::from(f32::MIN_POSITIVE));
        let (mut largest, mut flushed) = (0.0f64, 0);
        for round in 0..20_000 {
            let n = 1 + rng.next() as usize % 12;
            // The terms are integers times the smallest subnormal. Sums below 2^24 of these units are exact.
            let range = [1 << 23, 1 << 24, 1 << 20, 1 << 26][round % 4];
            let signed = round % 3 == 0;
            let term = |rng: &mut Rng| {
                let bits = (rng.next() % range) as f64 * spec.min_subnormal();
                (if signed && rng.next() & 1 == 0 { -bits } else { bits }) as f32
            };
            let mut parts: Vec<f32> = (0..n).map(|_| term(&mut rng)).collect();
            let exact: f64 = parts.iter().map(|&x| f64::from(x)).sum();
            let rounding: f64 = parts.iter().map(|&x| f64::from(x.abs())).sum::<f64>() * n as f64 * spec.eps();
            let mut flushes = Flushes::default();
            for &x in &parts {
                let x = f64::from(x);
                let one = Flushes::one(Term { value: x, flushes: f64::from(x != 0.0 && x.abs() < normal) }, spec);
                flushes.n += one.n;
                flushes.of_terms += one.of_terms;
                flushes.subnormal += one.subnormal;
                flushes.below_normal_over_eps += one.below_normal_over_eps;
                flushes.positive += one.positive;
                flushes.negative += one.negative;
            }
            parts.iter_mut().for_each(|x| *x = flush(*x));
            while parts.len() > 1 {
                let a = parts.swap_remove(rng.next() as usize % parts.len());
                let b = rng.next() as usize % parts.len();
                parts[b] = flush(parts[b] + a);
            }
            let lost = (f64::from(parts[0]) - exact).abs();
            assert!(lost <= flushes.bound() * normal + rounding, "{lost:e} beyond {flushes:?}");
            if lost > rounding {
                flushed += 1;
                largest = largest.max(lost / (flushes.bound() * normal));
            }
        }
        assert!(
            flushed > 1000 && largest > 0.5,
            "{flushed} sums lost more than rounding, at most {largest} of the bound (expected: more than 1000 sums, \
             more than 0.5)"
        );
    }

    #[test]
    fn ordinary_numbers_are_allowed_no_flush() {
        let spec = FloatSpec::of(DType::F32);
        for value in [1.0, -0.5, 1e-20, f64::from(f32::MAX), spec.min_normal() / spec.eps(), 0.0] {
            let one = Flushes::one(Term { value, flushes: 0.0 }, spec);
            assert_eq!(Flushes { n: 1000.0, positive: 500.0, negative: 500.0, ..one }.bound(), 0.0, "{value}");
        }
    }
}
