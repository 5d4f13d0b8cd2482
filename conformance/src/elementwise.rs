//! Every row of the table of ufuncs, select, multiply-add, casts, copies and fills.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place, Target};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, flushed, random, specials, widened};
use polyarray_core::{
    Array, Binary, DType, Element, Expr, Gives, IntoExpr, Kind, Result, Unary, Wide, select, with_dtype,
};

/// One step of a program. It is tested with every layout and every special value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    Unary(Unary),
    Binary(Binary),
    Select,
    MulAdd,
    Cast(DType),
    Copy,
}

impl Kernel {
    pub fn all() -> Vec<Kernel> {
        let unary = Unary::ALL.iter().map(|&u| Kernel::Unary(u));
        let binary = Binary::ALL.iter().map(|&b| Kernel::Binary(b));
        unary
            .chain(binary)
            .chain([Kernel::Select, Kernel::MulAdd, Kernel::Copy])
            .chain(DType::ALL.map(Kernel::Cast))
            .collect()
    }

    pub fn name(self) -> String {
        match self {
            Kernel::Unary(u) => u.info().name.into(),
            Kernel::Binary(b) => b.info().name.into(),
            Kernel::Select => "select".into(),
            Kernel::MulAdd => "mul_add".into(),
            Kernel::Cast(to) => format!("cast to {to}"),
            Kernel::Copy => "copy".into(),
        }
    }

    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Kernel::Unary(u) => u.info().kinds.contains(dtype),
            Kernel::Binary(b) => b.info().kinds.contains(dtype),
            Kernel::Select | Kernel::Copy => true,
            Kernel::MulAdd => dtype.kind() == Kind::Float,
            Kernel::Cast(to) => to != dtype,
        }
    }

    /// Returns the number of operands of the dtype. The condition of a select does not count.
    pub fn arity(self) -> usize {
        match self {
            Kernel::Unary(_) | Kernel::Cast(_) | Kernel::Copy => 1,
            Kernel::Binary(_) | Kernel::Select => 2,
            Kernel::MulAdd => 3,
        }
    }

    fn domain(self) -> (f64, f64) {
        match self {
            Kernel::Unary(u) => u.info().domain,
            Kernel::Binary(b) => b.info().domain,
            _ => (-1e3, 1e3),
        }
    }

    fn gives(self) -> Gives {
        match self {
            Kernel::Unary(u) => u.info().gives,
            Kernel::Binary(b) => b.info().gives,
            _ => Gives::Same,
        }
    }

    /// Returns whether IEEE arithmetic defines the complex kernel (the same bits on every CPU device).
    fn exact_for_complex(self) -> bool {
        match self {
            Kernel::Unary(u) => {
                u.info().ulp_cpu == 0.0 && !matches!(u, Unary::Abs | Unary::Sign | Unary::Sqrt | Unary::Reciprocal)
            }
            Kernel::Binary(b) => b.info().ulp_cpu == 0.0 && b != Binary::Div,
            _ => true,
        }
    }

    /// Returns whether results are compared with those of the same case in f64, and the tolerance.
    fn tolerance(self, dtype: DType, gpu: bool) -> (bool, Tolerance) {
        let ulp = |cpu: f64, on_gpu: f64| if gpu { on_gpu } else { cpu };
        let ulp = match self {
            Kernel::Unary(u) => ulp(u.info().ulp_cpu, u.info().ulp_gpu),
            Kernel::Binary(b) => ulp(b.info().ulp_cpu, b.info().ulp_gpu),
            // WGSL does not specify the rounding to f16.
            Kernel::Cast(DType::F16) if gpu => return (false, Tolerance::Relative(FloatSpec::of(DType::F16).eps())),
            _ => 0.0,
        };
        match dtype.kind() {
            Kind::Complex if !self.exact_for_complex() => {
                (false, Tolerance::Relative((8.0 + 2.0 * ulp) * FloatSpec::of(dtype).eps()))
            }
            Kind::Float if ulp > 0.0 && self.gives() != Gives::Truth => match dtype {
                DType::F64 => (false, Tolerance::Ulp(ulp)),
                DType::F32 => (true, Tolerance::Ulp(ulp)),
                // Computed in f32 and rounded once more.
                _ => (true, Tolerance::Ulp(if gpu { ulp.max(1.0) } else { 1.0 })),
            },
            _ => (false, Tolerance::Bits),
        }
    }

    /// Returns the largest operand for which a GPU promises more than a bounded result, if there is a limit. The range
    /// reduction of larger angles takes more bits of pi than it has.
    fn gpu_range(self) -> Option<f64> {
        matches!(self, Kernel::Unary(Unary::Sin | Unary::Cos)).then_some(1e4)
    }
}

/// The destination of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// A new array.
    Eval,
    /// A new array, which may reuse the buffer of an operand passed by value.
    Donate,
    /// A slice of an existing array.
    Into(Target),
    /// The left operand: `a += b`, or another operator.
    InPlace,
    /// The left operand, which is also the right one: `a += a`.
    InPlaceSelf,
}

/// A kernel with its operands and destination.
#[derive(Clone)]
pub(crate) struct Work<T> {
    pub kernel: Kernel,
    pub shape: Vec<usize>,
    pub lays: Vec<Lay>,
    pub data: Vec<Vec<T>>,
    pub condition: Vec<bool>,
    pub how: How,
}

impl<T: Element> Work<T> {
    /// Returns the same work on data converted by `f`.
    fn on<U>(&self, f: impl Fn(&[T]) -> Vec<U>) -> Work<U> {
        let data = self.data.iter().map(|d| f(d)).collect();
        Work {
            kernel: self.kernel,
            shape: self.shape.clone(),
            lays: self.lays.clone(),
            data,
            condition: self.condition.clone(),
            how: self.how,
        }
    }

    /// Runs the work on the current device.
    pub fn apply(&self, place: &Place) -> Result<Values> {
        let mut xs: Vec<Array<T>> = self
            .lays
            .iter()
            .zip(&self.data)
            .map(|(lay, data)| lay.build(data, &self.shape, place))
            .collect::<Result<_>>()?;
        if matches!(self.how, How::InPlace | How::InPlaceSelf) {
            return in_place(self.kernel, xs, self.how);
        }
        let keep = if matches!(self.how, How::Donate) { Vec::new() } else { xs.clone() };
        let x = xs.remove(0).into_expr();
        let mut rest = xs.into_iter();
        let mut next = || rest.next().expect("one array for each operand of the kernel").into_expr();
        let done = match self.kernel {
            Kernel::Unary(u) => match u.info().gives {
                Gives::Same => finish(x.unary::<T>(u), self.how, &self.shape, place),
                Gives::Truth => finish(x.unary::<bool>(u), self.how, &self.shape, place),
                Gives::Magnitude => finish(x.unary::<T::Real>(u), self.how, &self.shape, place),
            },
            Kernel::Binary(b) => match b.info().gives {
                Gives::Same => finish(x.binary::<T>(b, next()), self.how, &self.shape, place),
                Gives::Truth => finish(x.binary::<bool>(b, next()), self.how, &self.shape, place),
                Gives::Magnitude => finish(x.binary::<T::Real>(b, next()), self.how, &self.shape, place),
            },
            Kernel::Select => {
                let condition = self.lays[0].build(&self.condition, &self.shape, place)?;
                finish(select(&condition, x, next()), self.how, &self.shape, place)
            }
            Kernel::MulAdd => finish(x.mul_add(next(), next()), self.how, &self.shape, place),
            Kernel::Cast(to) => with_dtype!(to, U => finish(x.cast::<U>(), self.how, &self.shape, place)),
            // An expression that consists of one array is a copy. An addition of zero would be an instruction.
            Kernel::Copy => finish(x, self.how, &self.shape, place),
        };
        drop(keep);
        done
    }

    fn describe(&self) -> String {
        format!("{:?} {:?} {:?}", self.shape, self.lays, self.how)
    }
}

/// Evaluates `expr` into the destination `how`. Generic over the result's dtype only: compiled 15 times, not once for
/// each pair of a cast.
pub(crate) fn finish<U: Element>(expr: Expr<U>, how: How, shape: &[usize], place: &Place) -> Result<Values> {
    let How::Into(target) = how else { return Values::of(&expr.eval()?) };
    let mut base = target.base::<U>(shape)?;
    if let Place::On(device) = place {
        base = base.to_device(device)?;
    }
    expr.eval_into(&mut base.slice_mut(target.items(shape))?)?;
    // The whole array: the elements between those written must be unchanged.
    Values::of(&base)
}

fn in_place<T: Element>(kernel: Kernel, mut xs: Vec<Array<T>>, how: How) -> Result<Values> {
    let b = if matches!(how, How::InPlaceSelf) { None } else { xs.pop() };
    let mut a = xs.swap_remove(0);
    let b = b.unwrap_or_else(|| a.clone());
    match kernel {
        Kernel::Binary(Binary::Add) => a += b,
        Kernel::Binary(Binary::Sub) => a -= b,
        Kernel::Binary(Binary::Mul) => a *= b,
        Kernel::Binary(Binary::Div) => a /= b,
        other => unreachable!("{other:?} has no in-place operator"),
    }
    Values::of(&a)
}

/// Returns lengths around the widths of vectors, strips and blocks.
pub(crate) fn sizes(dtype: DType, full: bool) -> Vec<usize> {
    let common = matches!(dtype, DType::F32 | DType::F64 | DType::I32);
    let small = 1..=17;
    match (full, common) {
        (true, _) => small
            .chain([31, 32, 33])
            .chain(63..=65)
            .chain(127..=130)
            .chain(255..=257)
            .chain(511..=513)
            .chain(1023..=1025)
            .collect(),
        (false, true) => small.chain([31, 33, 64, 65, 127, 130, 257, 513, 1025]).collect(),
        (false, false) => vec![1, 2, 3, 7, 9, 16, 17, 33, 65, 130, 257],
    }
}

pub(crate) fn run(suite: &mut Suite) {
    for kernel in Kernel::all() {
        for dtype in DType::ALL.into_iter().filter(|&d| kernel.accepts(d)) {
            if suite.wants(&kernel.name(), dtype) {
                with_dtype!(dtype, T => kernel_cases::<T>(suite, kernel));
            }
        }
    }
    for dtype in DType::ALL {
        if suite.wants("fill", dtype) {
            with_dtype!(dtype, T => fill_cases::<T>(suite));
        }
    }
}

fn kernel_cases<T: Element>(suite: &mut Suite, kernel: Kernel) {
    special_cases::<T>(suite, kernel);
    let arity = kernel.arity();
    let lengths = if matches!(kernel, Kernel::Cast(_)) && !suite.full() {
        vec![1, 7, 33, 130]
    } else {
        sizes(T::DTYPE, suite.full())
    };
    for n in lengths {
        work::<T>(suite, kernel, &[n], vec![Lay::Contiguous; arity], How::Eval);
    }
    if matches!(kernel, Kernel::Binary(Binary::Add) | Kernel::Unary(Unary::Exp)) && suite.full() {
        for n in [4095, 4096, 4097, 10007] {
            work::<T>(suite, kernel, &[n], vec![Lay::Contiguous; arity], How::Eval);
        }
    }
    for lay in Lay::ALL {
        work::<T>(suite, kernel, &[5, 19], vec![lay; arity], How::Eval);
        work::<T>(suite, kernel, &[35], vec![lay; arity], How::Eval);
        if arity > 1 {
            for mixed in [[Lay::Contiguous, lay], [lay, Lay::Contiguous], [Lay::Step(2), lay]] {
                work::<T>(suite, kernel, &[5, 19], mixed.into_iter().cycle().take(arity).collect(), How::Eval);
            }
        }
    }
    for lay in [Lay::Contiguous, Lay::Rotated, Lay::Transposed, Lay::Window, Lay::Step(-1), Lay::StepFirst(2), Lay::Row]
    {
        work::<T>(suite, kernel, &[3, 4, 9], vec![lay; arity], How::Eval);
    }
    for shape in [&[1][..], &[1, 1, 1], &[1, 40], &[40, 1]] {
        work::<T>(suite, kernel, shape, vec![Lay::Step(2); arity], How::Eval);
    }
    for lay in [Lay::Contiguous, Lay::Step(2), Lay::Transposed, Lay::Row] {
        for target in Target::VIEWS {
            work::<T>(suite, kernel, &[4, 37], vec![lay; arity], How::Into(target));
        }
        work::<T>(suite, kernel, &[4, 37], vec![lay; arity], How::Donate);
    }
    in_place_cases::<T>(suite, kernel);
}

fn in_place_cases<T: Element>(suite: &mut Suite, kernel: Kernel) {
    let operator = matches!(kernel, Kernel::Binary(Binary::Add | Binary::Sub | Binary::Mul | Binary::Div));
    // The operators panic if the device refuses, so they are not tested then.
    if !operator || suite.refused(&kernel.name(), T::DTYPE) {
        return;
    }
    for left in [Lay::Contiguous, Lay::Step(2), Lay::Step(-1), Lay::Transposed, Lay::Window] {
        for right in [Lay::Contiguous, Lay::Row, Lay::Step(3), Lay::Scalar] {
            work::<T>(suite, kernel, &[4, 37], vec![left, right], How::InPlace);
        }
        work::<T>(suite, kernel, &[4, 37], vec![left, left], How::InPlaceSelf);
    }
}

/// Tests one case with random operands.
fn work<T: Element>(suite: &mut Suite, kernel: Kernel, shape: &[usize], lays: Vec<Lay>, how: How) {
    let domain = kernel.domain();
    let data: Vec<Vec<T>> = lays.iter().map(|l| random(&mut suite.rng, domain, l.len(shape))).collect();
    let condition = random(&mut suite.rng, domain, lays[0].len(shape));
    check(suite, Work { kernel, shape: shape.to_vec(), lays, data, condition, how });
}

/// Tests the special values; for several operands, every pair of them.
fn special_cases<T: Element>(suite: &mut Suite, kernel: Kernel) {
    let exact = T::DTYPE.kind() != Kind::Complex || kernel.exact_for_complex();
    let mut all = specials::<T>(exact);
    if kernel == Kernel::MulAdd && suite.gpu {
        // Two roundings may overflow where one does not, and then give NaN.
        let limit = FloatSpec::of(T::DTYPE).max().sqrt() / 2.0;
        all.retain(|x| !matches!(x.to_wide(), Wide::Float(x) if x.abs() > limit));
    }
    let n = all.len();
    let pairs = |f: &dyn Fn(usize, usize) -> usize| -> Vec<T> { (0..n * n).map(|i| all[f(i / n, i % n)]).collect() };
    let data = match kernel.arity() {
        1 => vec![all.clone()],
        2 => vec![pairs(&|i, _| i), pairs(&|_, j| j)],
        _ => vec![pairs(&|i, _| i), pairs(&|_, j| j), pairs(&|i, j| (3 * i + 5 * j) % n)],
    };
    let len = data[0].len();
    let condition = (0..len).map(|i| i % 3 == 0).collect();
    let whole =
        Work { kernel, shape: vec![len], lays: vec![Lay::Contiguous; data.len()], data, condition, how: How::Eval };
    let Some(range) = kernel.gpu_range().filter(|_| suite.gpu) else {
        let backwards = Work { lays: vec![Lay::Step(-2); kernel.arity()], ..whole.clone() };
        check(suite, whole);
        return check(suite, backwards);
    };
    let within = |x: &T| !matches!(x.to_wide(), Wide::Float(x) if x.is_finite() && x.abs() > range);
    let part = |keep: bool| -> Work<T> {
        let data: Vec<T> = whole.data[0].iter().copied().filter(|x| within(x) == keep).collect();
        Work { shape: vec![data.len()], data: vec![data], ..whole.clone() }
    };
    check(suite, part(true));
    check_within(suite, part(false), Some(Tolerance::Bounded(1.0 + FloatSpec::of(T::DTYPE).eps())));
}

fn check<T: Element>(suite: &mut Suite, work: Work<T>) {
    check_within(suite, work, None);
}

fn check_within<T: Element>(suite: &mut Suite, work: Work<T>, other: Option<Tolerance>) {
    let (wide, tolerance) = work.kernel.tolerance(T::DTYPE, suite.gpu);
    let (wide, mut tolerance) = other.map_or((wide, tolerance), |t| (false, t));
    if work.kernel == Kernel::MulAdd && suite.gpu {
        tolerance = Tolerance::Absolute(mul_add_bounds(&work));
    }
    let case = Case { op: work.kernel.name(), dtype: T::DTYPE, detail: work.describe() };
    let oracle = |work: &Work<T>| if wide { work.on(widened).apply(&Place::Host) } else { work.apply(&Place::Host) };
    let gpu = suite.gpu;
    let expected = || {
        on_scalar(|| {
            let mut alternatives = vec![oracle(&work)?];
            if gpu && work.data.iter().any(|d| flushed(d).is_some()) {
                alternatives.push(oracle(&work.on(|d| flushed(d).unwrap_or_else(|| d.to_vec())))?);
            }
            // Single steps of f32 and narrower dtypes are practically exact in f64.
            let steps =
                matches!(work.kernel, Kernel::Unary(_) | Kernel::Binary(_)) && work.kernel.gives() == Gives::Same;
            let rounds = gpu && steps && T::DTYPE.kind() == Kind::Float && matches!(tolerance, Tolerance::Bits);
            let unrounded = if rounds { Some(work.on(widened).apply(&Place::Host)?) } else { None };
            Ok(Expected { alternatives, tolerance, unrounded })
        })
    };
    suite.case(case, |place| work.apply(place), expected);
}

/// Returns the error of two roundings of `a * b + c`, which a GPU may make: `eps * (|a b| + |c|)` for each element of
/// the compared array.
fn mul_add_bounds<T: Element>(work: &Work<T>) -> Vec<f64> {
    let spec = FloatSpec::of(T::DTYPE);
    let magnitudes = work.on(|d| widened(d).into_iter().map(f64::abs).collect());
    let sizes = on_scalar(|| magnitudes.apply(&Place::Host)).expect("`scalar` supports every operation");
    sizes.magnitudes().into_iter().map(|m| (spec.eps() * m).max(spec.min_normal())).collect()
}

/// Tests programs without inputs, over layouts of the output.
fn fill_cases<T: Element>(suite: &mut Suite) {
    for value in specials::<T>(true) {
        for n in [1, 7, 16, 33, 130, 1025] {
            let case = Case { op: "fill".into(), dtype: T::DTYPE, detail: format!("{n} of {value}") };
            let wanted =
                Values::of(&Array::from_vec(vec![value; n], [n]).expect("one element for each index of the shape"))
                    .expect("a host array");
            suite.case(case, |_| Values::of(&Array::full([n], value)?), || Ok(Expected::new(wanted, Tolerance::Bits)));
        }
        for target in Target::VIEWS {
            let shape = [3, 21];
            let case =
                Case { op: "fill".into(), dtype: T::DTYPE, detail: format!("{target:?} {shape:?} with {value}") };
            let fill = |place: &Place| -> Result<Values> {
                let mut base = target.base::<T>(&shape)?;
                if let Place::On(device) = place {
                    base = base.to_device(device)?;
                }
                base.slice_mut(target.items(&shape))?.fill(value)?;
                Values::of(&base)
            };
            suite.case(case, fill, || Ok(Expected::new(on_scalar(|| fill(&Place::Host))?, Tolerance::Bits)));
        }
    }
}
