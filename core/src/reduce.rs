//! Reductions of arrays and expressions over all elements or over some axes: sums, products, extrema and their indices,
//! means, variances, norms, `any` and `all`.

mod blocks;
mod exponentials;
mod nan;
mod small;

pub(crate) use blocks::Blocks;
pub(crate) use nan::has_nan;

use crate::array::{Array, Axes};
use crate::canon;
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, Tape};
use crate::layout::{Layout, Strides};
use crate::op::{Op, Operand, Output, Params, Reduce, Reduction};
use crate::plan::execute;
use crate::program::{Instr, Ref};
use crate::ufunc::{Binary, Unary};
use crate::{DType, Dims, Element, Error, Kind, MemoryId, Program, Result, Scalar, Wide};
use smallvec::SmallVec;

/// A reduction: the elements, the operation and the dtype of the result.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub name: &'static str,
    of: Of,
    kind: Reduction,
    finish: Finish,
    /// The dtype of the result.
    to: DType,
}

/// The numbers that a reduction combines.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// The elements.
    Elements,
    /// Whether each element is nonzero, as bool.
    Truth,
    /// The squares of the deviations of the elements from their mean, in the float dtype of [`floating`].
    Deviations,
    /// The squares of the magnitudes of the elements, in the same dtype.
    Squares,
}

/// The step that converts a total to the result.
#[derive(Clone, Copy, PartialEq)]
enum Finish {
    /// The total is the result.
    Total,
    /// The total divided by the number of elements minus this value; NaN if that difference is not positive.
    Mean(usize),
    /// The square root of [`Finish::Mean`].
    RootMean(usize),
    /// The square root of the total.
    Root,
}

/// Returns the dtype in which elements are combined.
fn accumulator(kind: Reduction, source: DType, to: DType) -> DType {
    match if kind.gives_index() { source } else { to } {
        DType::F16 | DType::BF16 => DType::F32,
        dtype => dtype,
    }
}

/// Returns whether elements of the dtype are computed in f32.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// Returns `x` as an element of `T`.
pub(crate) fn float<T: Element>(x: f64) -> T {
    T::from_wide(Wide::Float(x))
}

/// Reduces an expression to one value.
fn whole<T: Element, U: Element>(x: &Expr<T>, request: &Request) -> Result<U> {
    match small::total(x, request)? {
        Some(total) => Ok(total.get()),
        None => Array::from_raw(run(x.tape()?, request, None)?)?.item(),
    }
}

/// Reduces an expression over some axes.
fn over<T: Element, U: Element>(x: &Expr<T>, request: &Request, axes: impl Into<Axes>) -> Result<Array<U>> {
    let axes = axes.into();
    Array::from_raw(match small::over(x, request, &axes)? {
        Some(done) => done,
        None => run(x.tape()?, request, Some(&axes))?,
    })
}

/// Reduces an expression over `axes` (`None`: all axes, to an array without axes).
fn over_some<T: Element, U: Element>(x: &Expr<T>, request: &Request, axes: Option<&Axes>) -> Result<Array<U>> {
    match axes {
        Some(axes) => over(x, request, axes.clone()),
        None => Array::full((), whole(x, request)?),
    }
}

/// Returns the request for a reduction of the elements to elements of `U`, without a further step.
pub(crate) fn total<U: Element>(name: &'static str, kind: Reduction) -> Request {
    Request { name, of: Of::Elements, kind, finish: Finish::Total, to: U::DTYPE }
}

/// Returns the request for a mean of elements of `T`.
pub(crate) fn mean_of<T: Element>() -> Request {
    Request { finish: Finish::Mean(0), ..total::<T::Mean>("mean", Reduction::Sum) }
}

/// Runs a reduction of `tape` over `axes` (`None`: all axes).
pub(crate) fn run(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    match request.of {
        Of::Elements => {}
        Of::Truth => cast(&mut tape, DType::Bool)?,
        Of::Deviations => return spread(tape, request, axes),
        Of::Squares => return norm(tape, request, axes),
    }
    match axes {
        Some(a) if request.kind.gives_index() && a.axes.len() != 1 => {
            Err(Error::OneAxis { op: request.name, given: a.axes.len() })
        }
        _ => reduce(tape, request, axes),
    }
}

/// Combines the elements of `tape` over `axes` (`None`: all axes).
fn reduce(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    let device = Device::current()?;
    let shape = tape.shape().clone();
    let reduced: SmallVec<[usize; 4]> = match axes {
        Some(axes) => axes.resolve(request.name, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let kept: Dims = (0..shape.len()).filter(|a| !reduced.contains(a)).map(|a| shape[a]).collect();
    let shown = axes.map_or_else(|| kept.clone(), |a| a.shown(&shape, &reduced));
    let source = tape.dtype();
    let compares = matches!(request.kind, Reduction::Min | Reduction::Max | Reduction::ArgMin | Reduction::ArgMax);
    if compares && source.kind() == Kind::Complex {
        return Err(Error::DTypeUndefined {
            op: request.name,
            dtype: source,
            defined: "bool, integers, floats".into(),
        });
    }
    let count: usize = reduced.iter().map(|&a| shape[a]).product();
    if shape.contains(&0) {
        return empty(request, count, &shape, &kept, shown, &device);
    }
    let acc = accumulator(request.kind, source, request.to);
    cast(&mut tape, acc)?;
    tape.fit(&device)?;
    if tape.operands().is_empty() {
        // A constant expression has no operands, so it is evaluated into an array first.
        let whole = tape.eval(&device)?;
        return reduce(Box::new(Tape::array(whole)), request, axes);
    }
    let (op, kept) = lower(&tape, request, &reduced)?;
    let layout = result_layout(shown, shape.len(), &reduced, &kept);
    Ok(RawArray { buffer: execute(op, &device, None)?, dtype: request.to, layout })
}

/// Returns the layout of the result `shown` of a reduction of `ndim` axes, whose strides along those that are not
/// `reduced` are `kept`.
fn result_layout(shown: Dims, ndim: usize, reduced: &[usize], kept: &Strides) -> Layout {
    // Axes of length 1 stand for the reduced ones, if these are shown.
    let (mut kept, all) = (kept.iter(), shown.len() == ndim);
    let strides = (0..ndim).filter_map(|a| match reduced.contains(&a) {
        true => all.then_some(1),
        false => kept.next().copied(),
    });
    Layout::from_parts(shown, strides.collect(), 0)
}

/// Returns the reduction of `tape`, whose dtype is that of accumulation, over the axes `reduced`, and the strides of
/// the result along the other axes. The tape must have operands and elements and be within the limits of a program.
fn lower(tape: &Tape, request: &Request, reduced: &[usize]) -> Result<(Op, Strides)> {
    let count: usize = reduced.iter().map(|&a| tape.shape()[a]).product();
    let inputs = tape.input_layouts()?;
    let space = canon::reduce(&inputs, reduced, request.kind);
    let total = if request.kind.gives_index() { DType::I64 } else { tape.dtype() };
    let (after, after_params) = after(request, total, count)?;
    let inputs = tape
        .operands()
        .iter()
        .zip(space.inputs)
        .map(|(o, (offset, strides))| Operand { buffer: o.buffer.clone(), dtype: o.dtype, offset, strides })
        .collect();
    let op = Op::from(Reduce {
        kind: request.kind,
        before: tape.program()?,
        params: Params::from_slice(tape.params()),
        outer: space.outer,
        inner: space.inner,
        inputs,
        order: space.order,
        output: Output { dtype: request.to, offset: 0, strides: space.output },
        after,
        after_params,
    });
    Ok((op, space.kept))
}

/// Casts the result of `tape` to another dtype.
fn cast(tape: &mut Tape, to: DType) -> Result<()> {
    let on = tape.result();
    if tape.dtype() == to { Ok(()) } else { tape.push(Instr::Cast(to, on)) }
}

/// Appends a unary step to `tape`.
fn then(tape: &mut Tape, op: Unary) -> Result<()> {
    let on = tape.result();
    tape.push(Instr::Unary(op, on))
}

/// Returns the divisor of a mean of `count` elements: their number minus `less`, or NaN if that is not positive.
fn divisor(dtype: DType, count: usize, less: usize) -> Scalar {
    let divisor = if less == 0 || count > less { Wide::Int((count - less) as i128) } else { Wide::Float(f64::NAN) };
    Scalar::from_wide(dtype, divisor)
}

/// Returns the program that is applied to each total, of dtype `total`, and its parameters: the division by the count
/// for a mean, the square root, and the cast to the dtype of the result.
fn after(request: &Request, total: DType, count: usize) -> Result<(Program, Params)> {
    if request.finish == Finish::Total && total == request.to {
        return Ok((Program::identity(total), Params::new()));
    }
    let (mut instrs, mut params, mut result) = (SmallVec::<[Instr; 3]>::new(), Params::new(), Ref::Input(0));
    let mut push = |instr: fn(Ref) -> Instr, result: &mut Ref| {
        instrs.push(instr(*result));
        *result = Ref::Value(instrs.len() as u32 - 1);
    };
    if let Finish::Mean(less) | Finish::RootMean(less) = request.finish {
        push(|x| Instr::Binary(Binary::Div, x, Ref::Param(0)), &mut result);
        params.push(divisor(total, count, less));
    }
    if matches!(request.finish, Finish::RootMean(_) | Finish::Root) {
        push(|x| Instr::Unary(Unary::Sqrt, x), &mut result);
    }
    if total != request.to {
        instrs.push(Instr::Cast(request.to, result));
        result = Ref::Value(instrs.len() as u32 - 1);
    }
    let dtypes: SmallVec<[DType; 1]> = params.iter().map(Scalar::dtype).collect();
    Ok((Program::new(&[total], &dtypes, &instrs, result)?, params))
}

/// Returns the reduction of an array without elements: 0 for sums and norms, 1 for products, NaN for means and
/// variances, false for `any` and true for `all`. Other extrema and their indices are an error, unless the result has
/// no elements.
fn empty(request: &Request, count: usize, shape: &Dims, kept: &Dims, shown: Dims, device: &Device) -> Result<RawArray> {
    let nothing_to_give = kept.contains(&0);
    let value = match request.kind {
        _ if nothing_to_give => Scalar::from_wide(request.to, Wide::Int(0)),
        Reduction::Sum | Reduction::Deviations if matches!(request.finish, Finish::Mean(_) | Finish::RootMean(_)) => {
            Scalar::from_wide(request.to, Wide::Float(f64::NAN))
        }
        Reduction::Sum | Reduction::Deviations => Scalar::from_wide(request.to, Wide::Int(0)),
        Reduction::Prod => Scalar::from_wide(request.to, Wide::Int(1)),
        Reduction::Max if request.of == Of::Truth => Scalar::new(false),
        Reduction::Min if request.of == Of::Truth => Scalar::new(true),
        Reduction::Min | Reduction::Max | Reduction::ArgMin | Reduction::ArgMax => {
            return Err(Error::Empty { op: request.name, shape: shape.clone() });
        }
    };
    debug_assert!(count == 0 || nothing_to_give);
    Tape::filled(value, shown)?.eval(device)
}

pub(crate) const ANY: Request = truth("any", Reduction::Max, DType::Bool);
pub(crate) const ALL: Request = truth("all", Reduction::Min, DType::Bool);
pub(crate) const COUNT: Request = truth("count_nonzero", Reduction::Sum, DType::I64);
const ARGMIN: Request = index("argmin", Reduction::ArgMin);
const ARGMAX: Request = index("argmax", Reduction::ArgMax);

const fn truth(name: &'static str, kind: Reduction, to: DType) -> Request {
    Request { name, of: Of::Truth, kind, finish: Finish::Total, to }
}

const fn index(name: &'static str, kind: Reduction) -> Request {
    Request { name, of: Of::Elements, kind, finish: Finish::Total, to: DType::I64 }
}

/// Returns the request for a variance (`root` false) or standard deviation of elements of `T`.
pub(crate) fn spread_of<T: Element>(root: bool, ddof: usize) -> Request {
    let (name, finish) = if root { ("std", Finish::RootMean(ddof)) } else { ("var", Finish::Mean(ddof)) };
    Request { name, of: Of::Deviations, kind: Reduction::Deviations, finish, to: <Spread<T>>::DTYPE }
}

/// Returns the request for the 2-norm of elements of `T`.
fn norm_of<T: Element>() -> Request {
    Request { name: "norm", of: Of::Squares, kind: Reduction::Sum, finish: Finish::Root, to: <Spread<T>>::DTYPE }
}

/// Returns the float dtype in which variances and norms of `dtype` are computed; complex for complex dtypes.
fn floating(dtype: DType) -> DType {
    accumulator(Reduction::Sum, dtype, dtype.mean())
}

/// Returns the same axes with `keep` set; for `None` all axes of an array with `ndim` axes.
fn kept(axes: Option<&Axes>, ndim: usize) -> Axes {
    let all = || (0..ndim as isize).collect();
    Axes { axes: axes.map_or_else(all, |a| a.axes.clone()), keep: true }
}

/// Computes a mean of squared deviations or its root. If the computation over- or underflows, repeats it with elements
/// divided by a power of two.
fn spread(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    let (float, to) = (floating(tape.dtype()), request.to);
    cast(&mut tape, float)?;
    let request = Request { to: float.real(), ..*request };
    let root = matches!(request.finish, Finish::RootMean(_));
    let plain = plain_spread(tape.clone(), &request, axes)?;
    // Results in another memory are not inspected, because that would require waiting for them.
    let mut result = Tape::array(match float.real() {
        _ if plain.buffer.memory() != MemoryId::HOST => plain,
        DType::F32 => rescaled::<f32>(tape, &request, root, axes, plain, plain_spread)?,
        _ => rescaled::<f64>(tape, &request, root, axes, plain, plain_spread)?,
    });
    cast(&mut result, to)?;
    result.eval(&Device::current()?)
}

/// Computes [`spread`] without rescaling. For real numbers on devices that support [`Reduction::Deviations`] one pass
/// suffices. Otherwise two passes compute the means, then the squares of the deviations from them.
fn plain_spread(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    let float = tape.dtype();
    if float.kind() == Kind::Float {
        match reduce(tape.clone(), request, axes) {
            Err(Error::Refused { .. }) => {}
            other => return other,
        }
    }
    let ndim = tape.shape().len();
    if let Some(axes) = axes {
        axes.resolve(request.name, ndim)?;
    }
    if !tape.shape().contains(&0) {
        let means = Request { kind: Reduction::Sum, finish: Finish::Mean(0), to: float, ..*request };
        let means = reduce(tape.clone(), &means, Some(&kept(axes, ndim)))?;
        let (x, mean) = tape.join(means)?;
        tape.push(Instr::Binary(Binary::Sub, x, mean))?;
        square_of_magnitude(&mut tape)?;
    }
    reduce(tape, &Request { kind: Reduction::Sum, ..*request }, axes)
}

/// Appends `|x|^2`. For complex numbers it is `x * conj(x)`, which consists of correctly rounded steps, so that every
/// device returns the same bits.
fn square_of_magnitude(tape: &mut Tape) -> Result<()> {
    let on = tape.result();
    if tape.dtype().kind() != Kind::Complex {
        return then(tape, Unary::Square);
    }
    then(tape, Unary::Conj)?;
    let conjugate = tape.result();
    tape.push(Instr::Binary(Binary::Mul, on, conjugate))?;
    cast(tape, tape.dtype().real())
}

/// Computes the 2-norm.
fn norm(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    let (float, to) = (floating(tape.dtype()), request.to);
    cast(&mut tape, float)?;
    let request = Request { to: float.real(), ..*request };
    let plain = plain_norm(tape.clone(), &request, axes)?;
    let mut result = Tape::array(match float.real() {
        DType::F32 => rescaled::<f32>(tape, &request, true, axes, plain, plain_norm)?,
        _ => rescaled::<f64>(tape, &request, true, axes, plain, plain_norm)?,
    });
    cast(&mut result, to)?;
    result.eval(&Device::current()?)
}

/// Computes [`norm`] without rescaling.
fn plain_norm(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    square_of_magnitude(&mut tape)?;
    reduce(tape, request, axes)
}

/// The smallest normal number of a real float, and its eps.
fn limits(float: DType) -> (f64, f64) {
    match float {
        DType::F32 => (f64::from(f32::MIN_POSITIVE), f64::from(f32::EPSILON)),
        _ => (f64::MIN_POSITIVE, f64::EPSILON),
    }
}

/// Returns the range of norms and spreads (if they are a `root` of squares) of `count` elements whose squares were
/// neither too large nor too small for their dtype.
fn undamaged(float: DType, root: bool, count: usize) -> std::ops::Range<f64> {
    let (normal, eps) = limits(float);
    // Norms below this bound may have lost digits. A device that flushes subnormal squares to zero loses up to the
    // smallest normal number per element; the total loss must be less than eps of the sum.
    let tiny = if root { (count as f64 * normal / eps).sqrt() } else { 0.0 };
    tiny..f64::INFINITY
}

/// Returns `plain`, the norms or spreads of `tape`, if all values are finite and large enough. Otherwise some squares
/// may have over- or underflowed. For these values divides the elements of `tape` by a power of two near the largest
/// magnitude, runs `again`, and multiplies the result by that power: once if the result is a `root` of squares, else
/// twice. Small values are only suspect for a `root`; a mean of squares may be small.
fn rescaled<A: Element>(
    mut tape: Box<Tape>,
    request: &Request,
    root: bool,
    axes: Option<&Axes>,
    plain: RawArray,
    again: fn(Box<Tape>, &Request, Option<&Axes>) -> Result<RawArray>,
) -> Result<RawArray> {
    let plain = Array::<A>::from_raw(plain)?;
    let range = undamaged(A::DTYPE, root, tape.shape().size());
    let good = |x: &A| range.contains(&x.to_wide().real());
    if tape.shape().contains(&0) || plain.to_vec()?.iter().all(good) {
        return Ok(plain.into_raw());
    }
    let axes = kept(axes, tape.shape().len());
    let mut magnitude = tape.clone();
    then(&mut magnitude, Unary::Abs)?;
    let largest = Array::<A>::from_raw(reduce(
        magnitude,
        &Request { kind: Reduction::Max, finish: Finish::Total, ..*request },
        Some(&axes),
    )?)?;
    let scale = |plain: A, largest: A| {
        let (x, most) = (plain.to_wide().real(), largest.to_wide().real());
        let ((normal, eps), tiny) = (limits(A::DTYPE), range.start);
        let overflows = !x.is_finite() && most.is_finite();
        // If the largest magnitude is at least `tiny / eps`, deviations are zero or at least about `tiny`: no square
        // has underflowed.
        let underflows = x < tiny && most > 0.0 && most < tiny / eps;
        // Keeps the power, and its reciprocal, in the range of normal numbers.
        let power = f64::from_bits(most.to_bits() & f64::INFINITY.to_bits()).clamp(normal, 0.25 / normal);
        A::from_wide(Wide::Float(if overflows || underflows { power } else { 1.0 }))
    };
    let mut scales = plain.to_vec()?;
    scales.iter_mut().zip(largest.to_vec()?).for_each(|(x, most)| *x = scale(*x, most));
    if scales.iter().all(|x| x.to_wide().real() == 1.0) {
        return Ok(plain.into_raw());
    }
    let scale = Array::from_vec(scales, largest.shape())?.beside(&largest)?;
    let mut by = Tape::array(scale.clone().into_raw());
    cast(&mut by, tape.dtype())?;
    let (x, by) = tape.join(by.eval(&Device::current()?)?)?;
    tape.push(Instr::Binary(Binary::Div, x, by))?;
    let scaled = Array::<A>::from_raw(again(tape, request, Some(&axes))?)?;
    let product = if root { &scaled * &scale } else { &scaled * &scale * &scale };
    Ok(product.eval()?.reshape(plain.shape())?.into_raw())
}

macro_rules! reductions {
    ($(
        $name:ident $name_axis:ident $kind:ident $finish:expr => $to:ident, errors $errors:literal, $doc:literal;
    )*) => {
        impl<T: Element> Expr<T> { $(
            #[doc = $doc]
            #[doc = concat!(
                "\n\nOver all elements, to one value; nothing is materialised. See [`crate::order`] for the order.\
                \n\n# Errors\n", $errors, "; what was wrong with the expression."
            )]
            pub fn $name(&self) -> Result<reductions!(@to $to T)> {
                let to = <reductions!(@to $to T) as Element>::DTYPE;
                let (name, kind) = (stringify!($name), Reduction::$kind);
                whole(self, &Request { name, of: Of::Elements, kind, finish: $finish, to })
            }

            #[doc = $doc]
            #[doc = "\n\nOver some axes; nothing is materialised. See [`crate::order`] for the order.\n\n\
                # Errors\n[`Error::Axis`] and [`Error::RepeatedAxis`], and as without axes."]
            pub fn $name_axis(&self, axes: impl Into<Axes>) -> Result<Array<reductions!(@to $to T)>> {
                let to = <reductions!(@to $to T) as Element>::DTYPE;
                let (name, kind) = (stringify!($name), Reduction::$kind);
                over(self, &Request { name, of: Of::Elements, kind, finish: $finish, to }, axes)
            }
        )* }

        impl<T: Element> Array<T> { $(
            #[doc = $doc]
            #[doc = concat!(
                "\n\nOver all elements, to one value. See [`crate::order`] for the order.\n\n# Errors\n", $errors, "."
            )]
            pub fn $name(&self) -> Result<reductions!(@to $to T)> {
                self.into_expr().$name()
            }

            #[doc = $doc]
            #[doc = "\n\nOver some axes. See [`crate::order`] for the order.\n\n# Errors\n[`Error::Axis`] and \
                [`Error::RepeatedAxis`], and as without axes."]
            pub fn $name_axis(&self, axes: impl Into<Axes>) -> Result<Array<reductions!(@to $to T)>> {
                self.into_expr().$name_axis(axes)
            }
        )* }
    };
    (@to Same $T:ident) => { $T };
    (@to Sum $T:ident) => { <$T as Element>::Sum };
    (@to Mean $T:ident) => { <$T as Element>::Mean };
}

reductions! {
    sum sum_axis Sum Finish::Total => Sum, errors "[`Error::Refused`] by a named device; out of memory",
        "The sum. Integers and bool are summed in 64 bits and wrap there; the sum of nothing is 0.";
    prod prod_axis Prod Finish::Total => Sum, errors "[`Error::Refused`] by a named device; out of memory",
        "The product. Integers and bool are multiplied in 64 bits and wrap there; the product of nothing is 1. On \
            devices of the host it is infinite or zero only where the exact product is out of range (or a factor is): \
            exponents are added apart.";
    min min_axis Min Finish::Total => Same,
        errors "[`Error::Empty`] of nothing; [`Error::DTypeUndefined`] for complex numbers; [`Error::Refused`] by a \
            named device; out of memory",
        "The minimum; NaN if there is one.";
    max max_axis Max Finish::Total => Same,
        errors "[`Error::Empty`] of nothing; [`Error::DTypeUndefined`] for complex numbers; [`Error::Refused`] by a \
            named device; out of memory",
        "The maximum; NaN if there is one.";
    mean mean_axis Sum Finish::Mean(0) => Mean, errors "[`Error::Refused`] by a named device; out of memory",
        "The arithmetic mean, in f64 for integers and bool; NaN of nothing.";
}

/// The type of variances and norms: a real float.
pub(crate) type Spread<T> = <<T as Element>::Mean as Element>::Real;

/// Defines methods of expressions and the same methods of arrays.
macro_rules! methods {
    ($(
        $(#[$attr:meta])*
        fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty = |$x:ident| $body:expr;
    )*) => {
        impl<T: Element> Expr<T> { $(
            $(#[$attr])*
            pub fn $name(&self, $($arg: $ty),*) -> Result<$out> {
                let $x = self;
                $body
            }
        )* }
        impl<T: Element> Array<T> { $(
            $(#[$attr])*
            pub fn $name(&self, $($arg: $ty),*) -> Result<$out> {
                self.into_expr().$name($($arg),*)
            }
        )* }
    };
}
pub(crate) use methods;

methods! {
    /// The index (of the elements in C order) of the minimum. NaN precedes every number. Of equal elements, the first
    /// is selected; zeros of both signs are equal, and so are all NaNs.
    ///
    /// # Errors
    /// [`Error::Empty`] for no elements; [`Error::DTypeUndefined`] for complex numbers; the errors of the expression.
    fn argmin() -> usize = |x| whole(x, &ARGMIN).map(|i: i64| i as usize);

    /// The index of the minimum along one axis: `argmin_axis(0)`, `argmin_axis(axis(-1).keepdims())`. Ties and NaN as
    /// in [`argmin`](Self::argmin).
    ///
    /// # Errors
    /// [`Error::OneAxis`] for several axes or none; [`Error::Axis`]; and as [`argmin`](Self::argmin).
    fn argmin_axis(axes: impl Into<Axes>) -> Array<i64> = |x| over(x, &ARGMIN, axes);

    /// The index (of the elements in C order) of the maximum. NaN precedes every number. Of equal elements, the first
    /// is selected; zeros of both signs are equal, and so are all NaNs.
    ///
    /// # Errors
    /// [`Error::Empty`] for no elements; [`Error::DTypeUndefined`] for complex numbers; the errors of the expression.
    fn argmax() -> usize = |x| whole(x, &ARGMAX).map(|i: i64| i as usize);

    /// The index of the maximum along one axis: `argmax_axis(0)`, `argmax_axis(axis(-1).keepdims())`. Ties and NaN as
    /// in [`argmax`](Self::argmax).
    ///
    /// # Errors
    /// [`Error::OneAxis`] for several axes or none; [`Error::Axis`]; and as [`argmax`](Self::argmax).
    fn argmax_axis(axes: impl Into<Axes>) -> Array<i64> = |x| over(x, &ARGMAX, axes);

    /// Returns whether any element is nonzero (NaN is nonzero); false for no elements.
    ///
    /// # Errors
    /// The errors of the expression.
    fn any() -> bool = |x| whole(x, &ANY);

    /// Returns whether any element is nonzero (NaN is nonzero), over some axes; false for no elements.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn any_axis(axes: impl Into<Axes>) -> Array<bool> = |x| over(x, &ANY, axes);

    /// Returns whether every element is nonzero (NaN is nonzero); true for no elements.
    ///
    /// # Errors
    /// The errors of the expression.
    fn all() -> bool = |x| whole(x, &ALL);

    /// Returns whether every element is nonzero (NaN is nonzero), over some axes; true for no elements.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn all_axis(axes: impl Into<Axes>) -> Array<bool> = |x| over(x, &ALL, axes);

    /// The number of nonzero elements (NaN is nonzero).
    ///
    /// # Errors
    /// The errors of the expression.
    fn count_nonzero() -> usize = |x| whole(x, &COUNT).map(|n: i64| n as usize);

    /// The number of nonzero elements (NaN is nonzero), over some axes.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn count_nonzero_axis(axes: impl Into<Axes>) -> Array<i64> = |x| over(x, &COUNT, axes);

    /// The variance, `sum(|x - mean|^2) / (n - ddof)`: of a population with `ddof` 0, an unbiased estimate from a
    /// sample with `ddof` 1. Integers and bool are computed in f64, f16 and bf16 in f32 (rounded at the end); the
    /// variance of complex numbers is real. The result is NaN for no elements, if `ddof` is n or more, and if an
    /// element is NaN or infinite. Overflow in squares or sums does not affect the result, because then elements are
    /// divided by a power of two and read again. For a standard deviation the same holds for underflow. The exception
    /// are results in the memory of a GPU, which are not recomputed.
    ///
    /// The algorithm is stable: on devices that read the data once, the error is a few hundred eps of the result,
    /// however large the mean is compared with the spread, see [`crate::order`](crate::order#deviations). Devices that
    /// read the data twice (GPUs; all devices for complex numbers) add the square of the error of a mean.
    ///
    /// # Errors
    /// The errors of the expression.
    fn var(ddof: usize) -> Spread<T> = |x| whole(x, &spread_of::<T>(false, ddof));

    /// The variance over some axes. See [`var`](Self::var).
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn var_axis(axes: impl Into<Axes>, ddof: usize) -> Array<Spread<T>> =
        |x| over(x, &spread_of::<T>(false, ddof), axes);

    /// The standard deviation: the square root of the variance. See [`var`](Self::var).
    ///
    /// # Errors
    /// The errors of the expression.
    fn std(ddof: usize) -> Spread<T> = |x| whole(x, &spread_of::<T>(true, ddof));

    /// The standard deviation over some axes. See [`var`](Self::var).
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn std_axis(axes: impl Into<Axes>, ddof: usize) -> Array<Spread<T>> =
        |x| over(x, &spread_of::<T>(true, ddof), axes);

    /// The 2-norm, `sqrt(sum(|x|^2))`, of all elements as one vector; 0 for no elements. Integers and bool are computed
    /// in f64, f16 and bf16 in f32 (rounded at the end); the norm of complex numbers is real. Overflow and underflow in
    /// squares do not affect the result: if they are possible, elements are divided by a power of two near the largest
    /// magnitude and read again.
    ///
    /// # Errors
    /// The errors of the expression.
    fn norm() -> Spread<T> = |x| whole(x, &norm_of::<T>());

    /// The 2-norm over some axes. See [`norm`](Self::norm).
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and the errors of the expression.
    fn norm_axis(axes: impl Into<Axes>) -> Array<Spread<T>> = |x| over(x, &norm_of::<T>(), axes);
}
