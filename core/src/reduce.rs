//! Reductions of arrays and expressions: sum, prod, min, max, mean; over everything or over axes.

use crate::array::{Array, Axes};
use crate::canon;
use crate::choose::execute;
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, Tape};
use crate::layout::Layout;
use crate::op::{Op, Operand, Output, Params, Reduce, Reduction};
use crate::program::{Instr, Ref};
use crate::ufunc::Binary;
use crate::{DType, Dims, Element, Error, Kind, Program, Result, Scalar, Wide};
use smallvec::SmallVec;

/// What is reduced and how.
struct Request {
    name: &'static str,
    kind: Reduction,
    /// The result is divided by the number of elements.
    mean: bool,
    /// The dtype of the result.
    to: DType,
}

/// The dtype that partial results have.
fn accumulator(kind: Reduction, to: DType) -> DType {
    match (kind, to) {
        (_, DType::F16 | DType::BF16) => DType::F32,
        (Reduction::Sum | Reduction::Prod | Reduction::Min | Reduction::Max, to) => to,
    }
}

/// Runs a reduction of `tape` over `axes` (`None`: all of them).
fn reduce(mut tape: Box<Tape>, request: &Request, axes: Option<&Axes>) -> Result<RawArray> {
    let device = Device::current()?;
    let shape = tape.shape().clone();
    let reduced: SmallVec<[usize; 4]> = match axes {
        Some(axes) => axes.resolve(request.name, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let kept: Dims = (0..shape.len()).filter(|a| !reduced.contains(a)).map(|a| shape[a]).collect();
    let shown: Dims = match axes {
        Some(a) if a.keep => (0..shape.len()).map(|a| if reduced.contains(&a) { 1 } else { shape[a] }).collect(),
        _ => kept.clone(),
    };
    let source = tape.dtype();
    if matches!(request.kind, Reduction::Min | Reduction::Max) && matches!(source.kind(), Kind::Complex) {
        return Err(Error::DTypeUndefined { op: request.name, dtype: source, defined: "bool, integers, floats".into() });
    }
    let count: usize = reduced.iter().map(|&a| shape[a]).product();
    if shape.contains(&0) {
        return empty(request, count, &shape, &kept, shown, &device);
    }
    let acc = accumulator(request.kind, request.to);
    if source != acc {
        let on = tape.result();
        tape.push(Instr::Cast(acc, on))?;
    }
    tape.fit(&device)?;
    if tape.operands().is_empty() {
        // Nothing but a constant: it is made an array first.
        let whole = tape.eval(&device)?;
        return reduce(Box::new(Tape::array(whole)), &Request { to: request.to, ..*request }, axes);
    }
    let inputs = tape.input_layouts()?;
    let space = canon::reduce(&inputs, &reduced);
    let (after, after_params) = after(request, acc, count)?;
    let inputs =
        tape.operands().iter().zip(space.inputs).map(|(o, (offset, strides))| Operand { buffer: o.buffer.clone(), dtype: o.dtype, offset, strides }).collect();
    let mut op = Op::Reduce(Reduce {
        kind: request.kind,
        before: tape.program()?,
        params: tape.params().clone(),
        outer: space.outer,
        inner: space.inner,
        inputs,
        order: space.order,
        output: Output { dtype: request.to, offset: 0, strides: space.output },
        after,
        after_params,
    });
    Ok(RawArray { buffer: execute(&mut op, &device, None)?, dtype: request.to, layout: Layout::contiguous(shown) })
}

/// What is done with each total: division by the count for a mean, and the cast to the result's dtype.
fn after(request: &Request, acc: DType, count: usize) -> Result<(Program, Params)> {
    let (mut instrs, mut params, mut result) = (SmallVec::<[Instr; 2]>::new(), Params::new(), Ref::Input(0));
    if request.mean {
        instrs.push(Instr::Binary(Binary::Div, result, Ref::Param(0)));
        params.push(Scalar::from_wide(acc, Wide::Int(count as i128)));
        result = Ref::Value(0);
    }
    if acc != request.to {
        instrs.push(Instr::Cast(request.to, result));
        result = Ref::Value(instrs.len() as u32 - 1);
    }
    let dtypes: SmallVec<[DType; 1]> = params.iter().map(Scalar::dtype).collect();
    Ok((Program::new(&[acc], &dtypes, &instrs, result)?, params))
}

/// The reduction of an array without elements: sums are 0, products 1, means NaN, minima and maxima an error (unless there is nothing to give).
fn empty(request: &Request, count: usize, shape: &Dims, kept: &Dims, shown: Dims, device: &Device) -> Result<RawArray> {
    let nothing_to_give = kept.contains(&0);
    let value = match request.kind {
        _ if nothing_to_give => Scalar::from_wide(request.to, Wide::Int(0)),
        Reduction::Sum if request.mean => Scalar::from_wide(request.to, Wide::Float(f64::NAN)),
        Reduction::Sum => Scalar::from_wide(request.to, Wide::Int(0)),
        Reduction::Prod => Scalar::from_wide(request.to, Wide::Int(1)),
        Reduction::Min | Reduction::Max => return Err(Error::Empty { op: request.name, shape: shape.clone() }),
    };
    debug_assert!(count == 0 || nothing_to_give);
    Tape::filled(value, shown)?.eval(device)
}

macro_rules! reductions {
    ($( $name:ident $name_axis:ident $kind:ident mean $mean:literal -> $to:ident, $doc:literal; )*) => {
        impl<T: Element> Expr<T> { $(
            #[doc = $doc]
            #[doc = "\n\nOver all elements, to one value; nothing is materialised. See [`crate::order`] for the order.\n\n# Errors\nWhat was wrong with the expression; [`Error::Empty`] for a minimum or maximum of nothing."]
            pub fn $name(&self) -> Result<reductions!(@to $to T)> {
                let request = Request { name: stringify!($name), kind: Reduction::$kind, mean: $mean, to: <reductions!(@to $to T) as Element>::DTYPE };
                Array::from_raw(reduce(self.tape()?, &request, None)?)?.item()
            }

            #[doc = $doc]
            #[doc = "\n\nOver some axes; nothing is materialised. See [`crate::order`] for the order.\n\n# Errors\n[`Error::Axis`] and [`Error::RepeatedAxis`], and as without axes."]
            pub fn $name_axis(&self, axes: impl Into<Axes>) -> Result<Array<reductions!(@to $to T)>> {
                let request = Request { name: stringify!($name), kind: Reduction::$kind, mean: $mean, to: <reductions!(@to $to T) as Element>::DTYPE };
                Array::from_raw(reduce(self.tape()?, &request, Some(&axes.into()))?)
            }
        )* }

        impl<T: Element> Array<T> { $(
            #[doc = $doc]
            #[doc = "\n\nOver all elements, to one value. See [`crate::order`] for the order.\n\n# Errors\n[`Error::Empty`] for a minimum or maximum of nothing."]
            pub fn $name(&self) -> Result<reductions!(@to $to T)> {
                self.into_expr().$name()
            }

            #[doc = $doc]
            #[doc = "\n\nOver some axes. See [`crate::order`] for the order.\n\n# Errors\n[`Error::Axis`] and [`Error::RepeatedAxis`], and as without axes."]
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
    sum sum_axis Sum mean false -> Sum, "The sum. Integers and bool are summed in 64 bits and wrap there; the sum of nothing is 0.";
    prod prod_axis Prod mean false -> Sum, "The product. Integers and bool are multiplied in 64 bits and wrap there; the product of nothing is 1.";
    min min_axis Min mean false -> Same, "The minimum; NaN if there is one.";
    max max_axis Max mean false -> Same, "The maximum; NaN if there is one.";
    mean mean_axis Sum mean true -> Mean, "The arithmetic mean, in f64 for integers and bool; NaN of nothing.";
}
