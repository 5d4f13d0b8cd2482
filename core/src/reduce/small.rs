//! Fast path: reduces all elements of a small contiguous host array to one number, without a plan.

use super::{Finish, Request, accumulator, divisor, lower};
use crate::expr::{Expr, RawArray, Tape};
use crate::fast::{self, Key};
use crate::op::Reduction;
use crate::small::{Small, SmallReduce};
use crate::{DType, Element, Kind, Result, Scalar};
use std::sync::Arc;

/// Identifies reductions in the keys of cached choices.
const REDUCE: u64 = 2 << 48;

/// Returns the reduction of all elements of an expression, which are cast to `through` first, if any. Returns `None` if
/// it is left to the regular path, which also finds all errors.
pub(super) fn total<T: Element>(x: &Expr<T>, through: Option<DType>, request: &Request) -> Result<Option<Scalar>> {
    // Complex numbers have no order: the regular path returns the error.
    let ordered = matches!(request.kind, Reduction::Min | Reduction::Max | Reduction::ArgMin | Reduction::ArgMax);
    let refused = ordered && through.unwrap_or(T::DTYPE).kind() == Kind::Complex;
    if refused || !fast::is_open() {
        return Ok(None);
    }
    let Some(array) = x.small_value()? else { return Ok(None) };
    let Some(array) = converted(array, through.unwrap_or(T::DTYPE))? else { return Ok(None) };
    let acc = accumulator(request.kind, array.dtype, request.to);
    let Some(array) = converted(array, acc)? else { return Ok(None) };
    reduce(&array, request)
}

/// Returns the array in another dtype, if it is small and the fast path supports the cast.
fn converted(array: Arc<RawArray>, to: DType) -> Result<Option<Arc<RawArray>>> {
    if array.dtype == to { Ok(Some(array)) } else { crate::expr::small_cast(array, to) }
}

/// Reduces an array whose dtype is that of accumulation.
fn reduce(array: &Arc<RawArray>, request: &Request) -> Result<Option<Scalar>> {
    let (dtype, len) = (array.dtype, array.layout.len());
    let total = if request.kind.gives_index() { DType::I64 } else { dtype };
    let finishes = match request.finish {
        Finish::Total => true,
        Finish::Mean(_) => matches!(total, DType::F32 | DType::F64),
        Finish::RootMean(_) | Finish::Root => false,
    };
    let Some(values) = array.small_start().filter(|_| total == request.to && finishes) else { return Ok(None) };
    // Of every dtype zero is a valid element.
    let mut result = [0u128; 1];
    let work =
        Small::Reduce(SmallReduce { kind: request.kind, dtype, values, len, out: result.as_mut_ptr().cast::<u8>() });
    let op = || {
        let tape = Tape::array(array.clone());
        let axes: smallvec::SmallVec<[usize; 4]> = (0..array.layout.shape().len()).collect();
        lower(&tape, request, &axes)
    };
    let key = || Key::new([REDUCE | request.kind as u64, dtype as u64, u64::from(len.ilog2())]);
    // SAFETY: the array is contiguous (`small_start`), and its `len` elements lie inside its buffer and are valid. 16
    // bytes with their alignment have room for a result of any dtype, and nothing else accesses them.
    if !unsafe { fast::run(&work, key, op) }? {
        return Ok(None);
    }
    let result = Scalar::from_bytes(total, &bytemuck::cast_slice(&result)[..total.size()]);
    Ok(Some(match request.finish {
        Finish::Mean(less) => quotient(result, divisor(total, len, less)),
        Finish::Total | Finish::RootMean(_) | Finish::Root => result,
    }))
}

/// Divides two numbers of f32 or f64: the last step of a mean on the regular path.
fn quotient(x: Scalar, y: Scalar) -> Scalar {
    match x.dtype() {
        DType::F32 => Scalar::new(x.get::<f32>() / y.get::<f32>()),
        _ => Scalar::new(x.get::<f64>() / y.get::<f64>()),
    }
}
