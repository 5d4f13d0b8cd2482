//! Fast path: reduces all elements of a small contiguous host array to one number, without a plan.

use super::{Finish, Request, accumulator, lower};
use crate::expr::{Expr, RawArray, Tape};
use crate::fast::{self, Key};
use crate::op::Reduction;
use crate::small::{Small, SmallReduce};
use crate::{DType, Element, Kind, MemoryId, Result, Scalar, Wide};
use std::sync::Arc;

/// The largest size of an array in bytes. Up to this size one thread is the best choice, and preparing an operation would
/// cost a noticeable share of the time.
const SMALL: usize = 64 << 10;

/// Identifies reductions in the keys of cached choices.
const REDUCE: u64 = 2 << 48;

/// Returns the reduction of all elements of an expression, which are cast to `through` first, if any. Returns `None` if it
/// is left to the regular path, which also finds all errors.
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
    let divides = request.finish != Finish::Total;
    let supported = total == request.to && (!divides || matches!(total, DType::F32 | DType::F64));
    let bytes = len.saturating_mul(dtype.size());
    let inside = array.layout.offset() * dtype.size() + bytes <= array.buffer.bytes();
    let small = (1..=SMALL).contains(&bytes) && array.layout.is_c_contiguous() && inside;
    if !supported || !small || array.buffer.memory() != MemoryId::HOST {
        return Ok(None);
    }
    let Some(start) = array.buffer.host_ptr() else { return Ok(None) };
    let values = start.as_ptr().wrapping_add(array.layout.offset() * dtype.size());
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
    // SAFETY: the array is contiguous, and its `len` elements lie inside its buffer and are valid. 16 bytes with their
    // alignment have room for a result of any dtype, and nothing else accesses them.
    if !unsafe { fast::run(&work, key, op) }? {
        return Ok(None);
    }
    let result = Scalar::from_bytes(total, &bytemuck::cast_slice(&result)[..total.size()]);
    Ok(Some(finished(result, request.finish, len)))
}

/// Applies the last step of a reduction of floats: the operations of the regular path, which are exactly rounded.
fn finished(total: Scalar, finish: Finish, count: usize) -> Scalar {
    let divided = |x: Scalar, less: usize| {
        let divisor = if less == 0 || count > less { Wide::Int((count - less) as i128) } else { Wide::Float(f64::NAN) };
        let divisor = Scalar::from_wide(x.dtype(), divisor);
        match x.dtype() {
            DType::F32 => Scalar::new(x.get::<f32>() / divisor.get::<f32>()),
            _ => Scalar::new(x.get::<f64>() / divisor.get::<f64>()),
        }
    };
    let root = |x: Scalar| match x.dtype() {
        DType::F32 => Scalar::new(x.get::<f32>().sqrt()),
        _ => Scalar::new(x.get::<f64>().sqrt()),
    };
    match finish {
        Finish::Total => total,
        Finish::Mean(less) => divided(total, less),
        Finish::RootMean(less) => root(divided(total, less)),
        Finish::Root => root(total),
    }
}
