//! The epilogue of an operation as an operation of its own.

use super::place::home;
use crate::op::{Map, Op, Operand, Output, Splits};
use crate::{Buffer, Layout, Result, canon};
use smallvec::SmallVec;

/// Splits `op` into the operation without its epilogue and a map that computes the epilogue. The first input of the map
/// is the result of the operation: a [promised](Buffer::promised) buffer in the memory where the result will lie.
/// Returns `None` if the operation does not split.
pub(super) fn split(op: &Op) -> Result<Option<(Op, Op)>> {
    if op.splits() == Splits::Never {
        return Ok(None);
    }
    let (plain, epilogue) = op.split();
    let shape = epilogue.output.shape();
    let layouts: SmallVec<[Layout; 2]> = std::iter::once(Layout::contiguous(shape.clone()))
        .chain(epilogue.extras.iter().map(|e| Layout::from_parts(shape.clone(), e.strides.clone(), e.offset)))
        .collect();
    let (shape, (offset, strides), spaces) = canon::map(&epilogue.output, &layouts);
    let result = (Buffer::promised(home(&plain)?), plain.output().dtype);
    let inputs = std::iter::once(result)
        .chain(epilogue.extras.into_iter().map(|e| (e.buffer, e.dtype)))
        .zip(spaces)
        .map(|((buffer, dtype), (offset, strides))| Operand { buffer, dtype, offset, strides })
        .collect();
    let output = Output { dtype: epilogue.program.output(), offset, strides };
    let map = Map { program: epilogue.program, params: epilogue.params, shape, inputs, output };
    Ok(Some((plain, Op::from(map))))
}
