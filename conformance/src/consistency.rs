//! Conditions that must not change a result: the position of an element in its buffer, the number of elements, and the
//! number of threads.
//!
//! These cases run without sentinels. Therefore only operations that passed the guarded cases are tested.

use crate::compare::{Expected, Tolerance, Values, first_difference};
use crate::elementwise::{How, Kernel, Work};
use crate::indexing::{self, Indexing};
use crate::layouts::{Lay, Place};
use crate::products::distance_name;
use crate::reductions::{Fold, Over};
use crate::report::{Failure, FailureKind};
use crate::scans;
use crate::sorting::Sorting;
use crate::suite::{Case, Suite};
use crate::values::{FloatSpec, moderate, random};
use polyarray_core::op::Running;
use polyarray_core::{
    Array, DType, Element, IntoExpr, Kind, Metric, Result, Vectors, distance, with_device, with_dtype,
};

pub(crate) fn run(suite: &mut Suite) {
    for kernel in Kernel::all() {
        let name = kernel.name();
        for dtype in DType::ALL.into_iter().filter(|&d| kernel.accepts(d)) {
            let seen_to = matches!(kernel, Kernel::Unary(_) | Kernel::Binary(_) | Kernel::MulAdd);
            if seen_to && suite.wants(&name, dtype) && !suite.troubled(&name, dtype) {
                with_dtype!(dtype, T => offsets_and_lengths::<T>(suite, kernel));
                with_dtype!(dtype, T => threads_elementwise::<T>(suite, kernel));
            }
        }
    }
    for dtype in DType::ALL.into_iter().filter(|d| *d != DType::Bool) {
        with_dtype!(dtype, T => threads_of_the_rest::<T>(suite));
    }
}

/// Compares `f(x)[i]` for slices of `x` at many offsets and lengths with `f` of the whole array.
fn offsets_and_lengths<T: Element>(suite: &mut Suite, kernel: Kernel) {
    const ALL: usize = 64 + 130;
    let whole = whole_of::<T>(suite, kernel, &[ALL]);
    let exhaustive = suite.full() && matches!(T::DTYPE, DType::F32 | DType::F64 | DType::I32);
    let offsets: Vec<usize> = if exhaustive { (0..=64).collect() } else { vec![0, 1, 3, 31, 64] };
    let lengths: Vec<usize> = if exhaustive { (1..=130).collect() } else { vec![1, 2, 5, 8, 15, 17, 33, 63, 64, 130] };
    // Without the guard, which moves outputs.
    suite.guard.set_guarding(false);
    let device = suite.device.clone();
    let name = |detail: String| Case { op: kernel.name(), dtype: T::DTYPE, detail };
    if let Some(all) = suite.attempt(&name("consistency".into()), || with_device(&device, || whole.apply(&Place::Host)))
    {
        for &offset in &offsets {
            for &n in &lengths {
                let part = Work {
                    shape: vec![n],
                    lays: vec![Lay::Offset(offset % 64); whole.lays.len()],
                    data: whole.data.iter().map(|d| d[offset..offset + n].to_vec()).collect(),
                    ..whole.clone()
                };
                let case = name(format!("offset {offset}, length {n}"));
                let wanted = all.part(offset, n);
                compare(suite, case, Some(Expected::new(wanted, Tolerance::Bits)), || {
                    with_device(&device, || part.apply(&Place::Host))
                });
            }
        }
    }
    suite.guard.set_guarding(true);
}

fn whole_of<T: Element>(suite: &mut Suite, kernel: Kernel, shape: &[usize]) -> Work<T> {
    let n = shape.iter().product();
    let domain = match kernel {
        Kernel::Unary(u) => u.info().domain,
        Kernel::Binary(b) => b.info().domain,
        _ => (-1e3, 1e3),
    };
    let data = (0..kernel.arity()).map(|_| random::<T>(&mut suite.rng, domain, n)).collect();
    Work {
        kernel,
        shape: shape.to_vec(),
        lays: vec![Lay::Contiguous; kernel.arity()],
        data,
        condition: Vec::new(),
        how: How::Eval,
    }
}

fn compare(suite: &mut Suite, case: Case, wanted: Option<Expected>, run: impl FnOnce() -> Result<Values>) {
    let Some(got) = suite.attempt(&case, run) else { return };
    let Some(wanted) = wanted else { return };
    match first_difference(&got, &wanted, false) {
        None => suite.report.passed += 1,
        Some(d) => {
            let failure = suite.failure(&case, FailureKind::Inconsistent, d.index, d.got, d.expected);
            suite.report.fail(Failure { tolerance: d.tolerance, ..failure });
        }
    }
}

/// Compares the results for two and three threads with that for one thread; the bits must be the same.
fn threads_case(suite: &mut Suite, op: &str, dtype: DType, detail: &str, run: impl Fn() -> Result<Values>) {
    threads_within(suite, op, dtype, detail, |_| Tolerance::Bits, run);
}

/// Returns the tolerance between results for different numbers of threads, for products and for distances computed
/// through products. The order of additions is fixed for maps and reductions only, and a BLAS may use another one for
/// each number of threads. `apart` is in units of the eps of the computation and of the result (at least 1). Floats
/// narrower than f32 are computed in f32; the error of rounding to them is added.
fn rounding(dtype: DType, apart: f64) -> impl Fn(&Values) -> Tolerance {
    let eps = move |dtype| FloatSpec::of(dtype).eps();
    move |values| match dtype.kind() {
        Kind::Float | Kind::Complex => {
            let narrow = matches!(dtype, DType::F16 | DType::BF16);
            let (computed, stored) = if narrow { (eps(DType::F32), 2.0 * eps(dtype)) } else { (eps(dtype), 0.0) };
            Tolerance::Absolute(
                values.magnitudes().into_iter().map(|m| (apart * computed + stored) * m.max(1.0)).collect(),
            )
        }
        Kind::Bool | Kind::Int | Kind::Uint => Tolerance::Bits,
    }
}

/// Compares the results for two and three threads with that for one thread, within `tolerance`.
fn threads_within(
    suite: &mut Suite,
    op: &str,
    dtype: DType,
    detail: &str,
    tolerance: impl Fn(&Values) -> Tolerance,
    run: impl Fn() -> Result<Values>,
) {
    if !suite.wants(op, dtype) || suite.troubled(op, dtype) {
        return;
    }
    let device = suite.device.clone();
    let case = |threads: usize| Case { op: op.into(), dtype, detail: format!("{detail} with {threads} threads") };
    suite.guard.set_guarding(false);
    suite.guard.set_threads(1);
    if let Some(one) = suite.attempt(&case(1), || with_device(&device, &run)) {
        for threads in [2, 3] {
            suite.guard.set_threads(threads);
            let wanted = Expected::new(one.clone(), tolerance(&one));
            compare(suite, case(threads), Some(wanted), || with_device(&device, &run));
        }
    }
    suite.guard.set_threads(0);
    suite.guard.set_guarding(true);
}

fn threads_elementwise<T: Element>(suite: &mut Suite, kernel: Kernel) {
    if !matches!(T::DTYPE, DType::F32 | DType::F64 | DType::I64) {
        return;
    }
    let long = if suite.full() { 300_001 } else { 20_011 };
    let work = whole_of::<T>(suite, kernel, &[long]);
    threads_case(suite, &kernel.name(), T::DTYPE, &format!("[{long}]"), || work.apply(&Place::Host));
    // More rows than columns and strides that do not merge: the work is split in the other way.
    let rows = Work { lays: vec![Lay::Step(2); kernel.arity()], ..whole_of::<T>(suite, kernel, &[61, 129]) };
    threads_case(suite, &kernel.name(), T::DTYPE, "[61, 129], every other column", || rows.apply(&Place::Host));
}

fn threads_of_the_rest<T: Element>(suite: &mut Suite) {
    if suite.filter.dtype.is_some_and(|d| d != T::DTYPE) {
        return;
    }
    let long = if suite.full() { 400_003 } else { 70_001 };
    let x: Vec<T> = moderate(&mut suite.rng, (-1.0, 1.0), long);
    let array = |shape: &[usize]| Array::from_slice(&x[..shape.iter().product()], shape);
    for fold in Fold::ALL.into_iter().filter(|f| f.accepts(T::DTYPE)) {
        threads_case(suite, fold.name(), T::DTYPE, &format!("[{long}]"), || {
            fold.apply(&array(&[long])?.into_expr(), None)
        });
        for over in [Over(vec![0], false), Over(vec![1], false)] {
            for shape in [[2001, 33], [33, 2001], [20_001, 3], [3, 20_001]] {
                threads_case(suite, fold.name(), T::DTYPE, &format!("{shape:?} over {over:?}"), || {
                    fold.apply(&array(&shape)?.into_expr(), Some(&over))
                });
            }
        }
    }
    for running in Running::ALL.into_iter().filter(|&r| scans::accepts(r, T::DTYPE)) {
        for (shape, axis) in [(vec![long], 0), (vec![2001, 33], 0), (vec![2001, 33], 1), (vec![33, 2001], 1)] {
            let run = || scans::apply(running, &array(&shape)?.into_expr(), axis);
            threads_case(suite, running.name(), T::DTYPE, &format!("{shape:?} along {axis}"), run);
        }
    }
    // One dtype for each width of integer that the sorts use as keys, and lines long enough to be split among threads.
    if matches!(T::DTYPE, DType::F64 | DType::F32 | DType::I64 | DType::U8) {
        for sorting in [
            Sorting::Sort,
            Sorting::Argsort,
            Sorting::TopIndices,
            Sorting::Median,
            Sorting::SearchLeft,
            Sorting::Histogram,
        ] {
            threads_case(suite, sorting.name(), T::DTYPE, &format!("{sorting:?} [40001]"), || {
                sorting.apply(&array(&[40_001])?, 0)
            });
            threads_case(suite, sorting.name(), T::DTYPE, &format!("{sorting:?} [301, 33]"), || {
                sorting.apply(&array(&[301, 33])?, 0)
            });
        }
    }
    // One dtype for each size of elements.
    if matches!(T::DTYPE, DType::F64 | DType::F32 | DType::I16 | DType::U8 | DType::C64) {
        let at: Vec<i64> = (0..70_000).map(|_| suite.rng.next() as i64).collect();
        for indexing in Indexing::ALL.into_iter().filter(|i| i.accepts(T::DTYPE)) {
            for (shape, axis) in [([60_001, 1], 0), ([2001, 33], 0), ([2001, 33], 1), ([33, 2001], 0)] {
                let detail = format!("{indexing:?} {shape:?} along {axis}");
                threads_case(suite, indexing.name(), T::DTYPE, &detail, || {
                    indexing::long(indexing, &x, &at, shape, axis)
                });
            }
        }
    }
    // Two products of k terms, each with an error of k eps times at most k (twice that for complex terms).
    let of_terms = |k: f64| rounding(T::DTYPE, 4.0 * k * k);
    threads_within(suite, "matmul", T::DTYPE, "[70, 90] @ [90, 80]", of_terms(90.0), || {
        Values::of(&array(&[70, 90])?.matmul(&array(&[90, 80])?)?)
    });
    let batches = "[5, 20, 30] @ [5, 30, 10]";
    threads_within(suite, "matmul", T::DTYPE, batches, of_terms(30.0), || {
        Values::of(&array(&[5, 20, 30])?.matmul(&array(&[5, 30, 10])?)?)
    });
    if !matches!(T::DTYPE.kind(), Kind::Float) {
        let fits = |metric: &Metric| metric.info().coordinates.accept(T::DTYPE);
        for metric in Metric::ALL.into_iter().chain(Metric::PACKED).filter(fits) {
            threads_case(suite, &distance_name(metric), T::DTYPE, "[150, 80] to [90, 80]", || {
                Values::of(&distance::cdist(&array(&[150, 80])?, &array(&[90, 80])?, metric)?)
            });
        }
    }
    // The data has negative numbers and 16 columns.
    let fits = |metric: &Metric| T::DTYPE.kind() == Kind::Float && metric.info().vectors == Vectors::Real;
    for metric in Metric::ALL.into_iter().filter(fits) {
        let run = || Values::of(&distance::cdist(&array(&[120, 16])?, &array(&[90, 16])?, metric)?);
        // More than twice the bound that `cdist` documents, for distances up to 16.
        let apart = 2.0 * 16.0 * 8.0 * 4.0;
        threads_within(
            suite,
            &distance_name(metric),
            T::DTYPE,
            "[120, 16] to [90, 16]",
            rounding(T::DTYPE, apart),
            run,
        );
    }
}
