//! The memories of operands and results, and the moves between them.

use crate::memory::memory;
use crate::memory::transfer::{alloc_elements, can_store, move_elements};
use crate::op::{Op, OutSpec};
use crate::{Buffer, DType, Error, MemoryId, Result};
use smallvec::SmallVec;

/// Returns the memory for the result of `op`: that of the operands (see [`operands_home`]), or the host's if that
/// cannot store the result.
pub(crate) fn home(op: &Op) -> Result<MemoryId> {
    let home = operands_home(op)?;
    Ok(if home == MemoryId::HOST || op.outputs().iter().all(|o| can_store(home, o.dtype)) {
        home
    } else {
        MemoryId::HOST
    })
}

/// Returns the memory of the operands, or the device's memory if only some operands are on a device.
///
/// # Errors
/// [`Error::Memories`] if operands lie on different devices.
fn operands_home(op: &Op) -> Result<MemoryId> {
    let mut home = MemoryId::HOST;
    let mut clash = None;
    op.for_each_input(|operand, _| {
        let at = operand.buffer.memory();
        if at != MemoryId::HOST {
            if home != MemoryId::HOST && home != at {
                clash = Some(at);
            }
            home = at;
        }
    });
    let name = |id| memory(id).info().name.clone();
    clash.map_or(Ok(home), |other| Err(Error::Memories { op: "an operation", left: name(home), right: name(other) }))
}

/// Estimates the seconds for moving the operands of `op` into memory `there` and its result into memory `home`.
pub(super) fn transfers(op: &Op, there: MemoryId, home: MemoryId) -> f64 {
    let mut seconds = 0.0;
    let mut one = |from: MemoryId, to: MemoryId, bytes: usize| {
        if from != to {
            let (down, up) = (memory(from), memory(to));
            seconds += down.info().transfer_latency + up.info().transfer_latency;
            seconds += bytes as f64
                / if from == MemoryId::HOST { up.info().upload_bandwidth } else { down.info().download_bandwidth };
        }
    };
    op.for_each_input(|operand, lens| {
        let (lo, hi) = operand.span(lens);
        one(operand.buffer.memory(), there, (hi - lo) * operand.dtype.size());
    });
    for output in op.outputs() {
        one(there, home, output.len().saturating_mul(output.dtype.size()));
    }
    seconds
}

/// Returns whether `op` reads `buffer`.
pub(super) fn reads(op: &Op, buffer: &Buffer) -> bool {
    let mut found = false;
    op.for_each_input(|operand, _| found |= operand.buffer.same(buffer));
    found
}

/// Allocates the buffer of an output in memory `there`.
pub(super) fn allocate(output: &OutSpec, there: MemoryId) -> Result<Buffer> {
    alloc_elements(output.dtype, output.end(), there)
}

/// Elements that were moved: those of a buffer in a range of positions.
struct Moved {
    buffer: Buffer,
    dtype: DType,
    span: (usize, usize),
}

/// Moves every operand of `op` that lies in another memory to memory `there`. An operand that occurs twice is moved
/// once. Views of one buffer as several dtypes are moved separately, because the memory may store them differently.
pub(super) fn bring(op: &mut Op, there: MemoryId) -> Result<()> {
    let mut all_there = true;
    op.for_each_input(|operand, _| all_there &= operand.buffer.memory() == there);
    if all_there {
        return Ok(());
    }
    let mut spans: SmallVec<[(usize, usize); 4]> = SmallVec::new();
    op.for_each_input(|operand, lens| spans.push(operand.span(lens)));
    let mut spans = spans.into_iter();
    let mut moved: SmallVec<[(Moved, Buffer); 4]> = SmallVec::new();
    let mut failed = None;
    op.for_each_input_mut(|operand| {
        let (lo, hi) = spans.next().expect("a span for each operand");
        if operand.buffer.memory() == there || failed.is_some() {
            return;
        }
        let same = |m: &Moved| m.buffer.same(&operand.buffer) && m.dtype == operand.dtype && m.span == (lo, hi);
        let known = moved.iter().find(|(from, _)| same(from)).map(|(_, to)| to.clone());
        match known.map_or_else(|| move_elements(&operand.buffer, operand.dtype, lo, hi, there), Ok) {
            Ok(to) => {
                let buffer = std::mem::replace(&mut operand.buffer, to.clone());
                moved.push((Moved { buffer, dtype: operand.dtype, span: (lo, hi) }, to));
                operand.offset -= lo;
            }
            Err(e) => failed = Some(e),
        }
    });
    failed.map_or(Ok(()), Err)
}
