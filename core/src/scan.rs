//! Scans of arrays and expressions: running sums, products, minima and maxima along an axis.

use crate::array::Array;
use crate::bytes;
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, SharedArray, Tape};
use crate::fast::{self, Key, Quick};
use crate::layout::{Layout, resolve_axis};
use crate::op::{Op, Operand, Output, Params, Running, Scan};
use crate::plan::execute;
use crate::program::{Instr, Ref};
use crate::reduce::is_half;
use crate::small::{Small, SmallScan};
use crate::sort::ordered;
use crate::{Buffer, DType, Element, Kind, Program, Result, canon};

/// Identifies scans in the keys of cached choices.
const SCAN: u64 = 3 << 48;

/// Returns the dtype in which results of dtype `to` are computed.
fn accumulator(to: DType) -> DType {
    match to.kind() {
        _ if is_half(to) => DType::F32,
        Kind::Bool | Kind::Int | Kind::Uint => to.sum(),
        Kind::Float | Kind::Complex => to,
    }
}

/// Scans a small contiguous line on the fast path. Returns `None` if it is left to the regular path, which also finds
/// all errors.
fn small<T: Element>(x: &Expr<T>, kind: Running, axis: isize, to: DType) -> Quick<Option<SharedArray>> {
    let complex = kind.selects() && to.kind() == Kind::Complex;
    if [T::DTYPE, accumulator(to)] != [to; 2] || complex || !matches!(axis, -1 | 0) || !fast::is_open() {
        return Ok(None);
    }
    let Some(array) = x.small_value()?.filter(|a| a.layout.shape().len() == 1) else { return Ok(None) };
    let Some(values) = array.small_start() else { return Ok(None) };
    let len = array.layout.len();
    let mut buffer = Buffer::elements(to, len)?;
    let Some(room) = bytes::room(&mut buffer, 0, len * to.size()) else { return Ok(None) };
    let work = Small::Scan(SmallScan { kind, dtype: to, values, len, out: room.as_mut_ptr().cast() });
    let op = || lower(&Tape::array(array.clone().into_owned()), kind, 0, to).map(|(op, _)| op);
    let key = || Key::new([SCAN | kind as u64, to as u64, u64::from(len.ilog2())]);
    // SAFETY: the array is contiguous (`small_start`), and its `len` elements lie inside its buffer and are valid.
    // `room` holds `len` elements of a new buffer.
    let done = unsafe { fast::run(&work, key, op) }?;
    let layout = || Layout::contiguous(array.layout.shape().clone());
    Ok(done.then(|| SharedArray::new(RawArray { buffer, dtype: to, layout: layout() })))
}

/// Runs a scan of `tape` along `axis`.
fn scan(mut tape: Box<Tape>, kind: Running, axis: isize, to: DType) -> Result<RawArray> {
    let device = Device::current()?;
    let axis = resolve_axis(kind.name(), axis, tape.shape().len())?;
    if kind.selects() {
        ordered(kind.name(), to)?;
    }
    let acc = accumulator(to);
    if tape.dtype() != acc {
        let on = tape.result();
        tape.push(Instr::Cast(acc, on))?;
    }
    // The scan of lines of one element is the conversion to the dtype of the result, except that products of complex
    // numbers are rounded as products.
    let single = tape.shape()[axis] == 1 && !(kind == Running::Prod && acc.kind() == Kind::Complex);
    if tape.shape().contains(&0) || single {
        if acc != to {
            let on = tape.result();
            tape.push(Instr::Cast(to, on))?;
        }
        return tape.eval(&device);
    }
    tape.fit(&device)?;
    if tape.operands().is_empty() {
        // A constant expression has no operands, so it is evaluated into an array first.
        let whole = tape.eval(&device)?;
        return scan(Box::new(Tape::array(whole)), kind, axis as isize, to);
    }
    let (op, layout) = lower(&tape, kind, axis, to)?;
    Ok(RawArray { buffer: execute(op, &device, None)?, dtype: to, layout })
}

/// Returns the scan of `tape`, whose dtype is that of accumulation, and the layout of the result. The tape must have
/// operands and elements and be within the limits of a program.
fn lower(tape: &Tape, kind: Running, axis: usize, to: DType) -> Result<(Op, Layout)> {
    let acc = tape.dtype();
    let layouts = tape.input_layouts()?;
    let layout = canon::fresh_layout(tape.shape(), &layouts);
    let space = canon::scan(&layout, &layouts, axis);
    let inputs = tape
        .operands()
        .iter()
        .zip(space.inputs)
        .map(|(o, (offset, strides))| Operand { buffer: o.buffer.clone(), dtype: o.dtype, offset, strides })
        .collect();
    let after = if acc == to {
        Program::identity(acc)
    } else {
        Program::new(&[acc], &[], &[Instr::Cast(to, Ref::Input(0))], Ref::Value(0))?
    };
    let op = Op::from(Scan {
        kind,
        before: tape.program()?,
        params: tape.params().clone(),
        outer: space.outer,
        len: tape.shape()[axis],
        inputs,
        after,
        after_params: Params::new(),
        output: Output { dtype: to, offset: space.output.0, strides: space.output.1 },
    });
    Ok((op, Layout::from_parts(tape.shape().clone(), layout.strides().into(), 0)))
}

macro_rules! scans {
    (@to Same $T:ident) => { $T };
    (@to Sum $T:ident) => { <$T as Element>::Sum };
    ($( $name:ident $kind:ident => $to:ident, $doc:literal; )*) => {
        impl<T: Element> Expr<T> { $(
            #[doc = $doc]
            #[doc = "\n\nThe result has the shape of the expression, which is not materialised. See [`crate::order`] \
                for the order and the error.\n\n# Errors\n[`Error::Axis`](crate::Error::Axis) for an axis out of range \
                (so for any axis of an array without axes), and what was wrong with the expression."]
            pub fn $name(&self, axis: isize) -> Result<Array<scans!(@to $to T)>> {
                let to = <scans!(@to $to T) as Element>::DTYPE;
                if let Some(done) = small(self, Running::$kind, axis, to)? {
                    return Array::from_shared(done);
                }
                Array::from_raw(scan(self.tape()?, Running::$kind, axis, to)?)
            }
        )* }

        impl<T: Element> Array<T> { $(
            #[doc = $doc]
            #[doc = "\n\nThe result has the shape of the array. See [`crate::order`] for the order and the error.\n\n\
                # Errors\n[`Error::Axis`](crate::Error::Axis) for an axis out of range (so for any axis of an array \
                without axes)."]
            pub fn $name(&self, axis: isize) -> Result<Array<scans!(@to $to T)>> {
                self.into_expr().$name(axis)
            }
        )* }
    };
}

scans! {
    cumsum Sum => Sum,
        "The running sum along `axis` (negative: from the end): element i is the sum of elements 0 to i. Integers and \
        bool are summed in 64 bits and wrap there; f16 and bf16 are summed in f32 and rounded at each element.";
    cumprod Prod => Sum,
        "The running product along `axis` (negative: from the end): element i is the product of elements 0 to i. \
        Integers and bool are multiplied in 64 bits and wrap there; f16 and bf16 are multiplied in f32 and rounded at \
        each element.";
    cummin Min => Same,
        "The running minimum along `axis` (negative: from the end): element i is the smallest of elements 0 to i; NaN \
        from the first NaN on. Not defined for complex numbers.";
    cummax Max => Same,
        "The running maximum along `axis` (negative: from the end): element i is the largest of elements 0 to i; NaN \
        from the first NaN on. Not defined for complex numbers.";
}
