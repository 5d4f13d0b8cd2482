//! Runs the steps of a plan.

use super::candidates::{Among, Pick};
use super::place::{allocate, bring, home, reads};
use super::{Detail, Plan, Step};
use crate::backend::RunContext;
use crate::device::Device;
use crate::memory::memory;
use crate::memory::transfer::{move_elements, storable, upload_elements};
use crate::op::{Map, Mode, Op, Operand, OutSpec, Output};
use crate::{Buffer, DType, Error, Layout, MemoryId, Program, Result, bytes, canon, trace};
use smallvec::SmallVec;
use std::time::Instant;

impl Plan {
    /// Runs the steps. Writes the result into `into`, which lies in the home memory, or into a new buffer there
    /// (elsewhere if the home memory is full).
    pub fn run(self, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
        let mut steps = self.steps.into_iter();
        let mut step = steps.next().expect("a plan has a step");
        for mut next in steps {
            let result = step.run(device, None)?;
            step = if next.takes(result) { next } else { next.planned_again(device)? };
        }
        step.run(device, into)
    }
}

impl Step {
    /// Makes the result of the previous step the first operand. Returns whether it lies where the plan expected it.
    fn takes(&mut self, result: Buffer) -> bool {
        let mut result = Some(result);
        let mut as_planned = true;
        self.op.for_each_input_mut(|operand| {
            if let Some(result) = result.take() {
                as_planned = operand.buffer.memory() == result.memory();
                operand.buffer = result;
            }
        });
        as_planned
    }

    /// Chooses a device again, after an operand came to lie in another memory.
    fn planned_again(self, device: &Device) -> Result<Step> {
        let mut steps = Plan::new(self.op, device, Among::Every, Detail::needed())?.steps;
        debug_assert_eq!(steps.len(), 1, "an epilogue is a map, which has no epilogue itself");
        Ok(steps.remove(0))
    }

    /// Runs the operation on the chosen device. Fallback of `auto`: if another memory is full or its device is lost,
    /// the host does the work.
    fn run(self, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
        let there = self.pick.slot.backend()?.memory();
        let in_place = into.as_ref().is_some_and(|out| reads(&self.op, out));
        if there == MemoryId::HOST || device.0.is_some() || in_place {
            return self.run_there(device, into);
        }
        let (again, slot) = (self.op.clone(), self.pick.slot.clone());
        match self.run_there(device, into.clone()) {
            Err(why @ (Error::OutOfMemory { .. } | Error::Device { .. })) => {
                let Ok(plan) = Plan::new(again, device, Among::In(MemoryId::HOST), Detail::needed()) else {
                    return Err(why);
                };
                trace::fell_back(slot.name(), plan.steps[0].pick.slot.name(), &why);
                plan.run(device, into)
            }
            done => done,
        }
    }

    fn run_there(mut self, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
        let backend = self.pick.slot.backend()?;
        let there = backend.memory();
        let home = into.as_ref().map_or_else(|| home(&self.op), |b| Ok(b.memory()))?;
        let recording = trace::is_recording().then(|| (self.op.describe(), self.op.bytes(), Instant::now()));

        bring(&mut self.op, there)?;
        let output = if there == home {
            let (out, fresh) = match into {
                Some(out) => (out, false),
                None => (allocate(&self.op.output(), there)?, true),
            };
            // SAFETY: core canonicalised the operation, and this backend's estimate accepted it. Its operands belong to
            // arrays and were moved to the backend's memory. `out` is a new buffer for the whole output (fresh), or a
            // written one that the caller owns exclusively, except for operands in place.
            unsafe { run_on(&self.pick, &self.op, &out, fresh) }?;
            out
        } else {
            run_away(&mut self.op, &self.pick, there, home, into, device)?
        };
        if let Some((op, bytes, start)) = recording {
            backend.synchronize()?;
            trace::ran(op, self.report, self.pick.slot.name(), self.pick.estimate, start, bytes);
        }
        Ok(output)
    }
}

/// Runs `op` on the chosen backend into `output`.
///
/// # Safety
/// - The conditions of [`Backend::run`](crate::Backend::run) hold.
/// - If `fresh`, no array shows `output`; otherwise all of it has been written.
unsafe fn run_on(pick: &Pick, op: &Op, output: &Buffer, fresh: bool) -> Result<()> {
    let registered = pick.slot.registered;
    if registered && fresh {
        // SAFETY: no array shows the fresh output, and nothing else accesses it, which the caller guarantees.
        unsafe { bytes::zero(output) };
    }
    let cx = RunContext { threads: pick.estimate.cost.threads, outputs: std::slice::from_ref(output) };
    // SAFETY: the caller guarantees the conditions of `Backend::run`.
    unsafe { pick.slot.backend()?.run(op, &cx) }?;
    if registered && op.output().dtype == DType::Bool {
        // SAFETY: `output` was zeroed above or written before; the caller guarantees that nothing else accesses it.
        unsafe { bytes::normalise_bools(output) };
    }
    Ok(())
}

/// Runs `op`, whose operands have been moved to memory `there`, and moves its result to memory `home`.
fn run_away(
    op: &mut Op,
    pick: &Pick,
    there: MemoryId,
    home: MemoryId,
    into: Option<Buffer>,
    device: &Device,
) -> Result<Buffer> {
    let wanted = op.output();
    // Operations that change their output are planned only in its memory: a new buffer holds no elements to change.
    assert_eq!(wanted.mode, Mode::Write, "internal error: the output to be changed lies in another memory");
    if into.is_some() {
        op.pack();
    }
    let result = allocate(&op.output(), there)?;
    // SAFETY: as in `run_there`; `result` is a new buffer that is large enough for the output.
    unsafe { run_on(pick, op, &result, true) }?;
    if let Some(into) = &into
        && there == MemoryId::HOST
        && Layout::from_parts(wanted.lens.clone(), wanted.strides.clone(), wanted.offset).is_c_contiguous()
    {
        let size = wanted.len() * wanted.dtype.size();
        trace::copied(size, "transfer");
        // SAFETY: the caller owns the output exclusively, and the operands were moved to the host. The result has been
        // written.
        unsafe { upload_elements(wanted.dtype, &bytes::host_bytes(&result)[..size], into, wanted.offset) }?;
        return Ok(into.clone());
    }
    let len = result.bytes() / storable(&*memory(there), wanted.dtype)?;
    let back = match move_elements(&result, wanted.dtype, 0, len, home) {
        // If the home memory is full, a result in host memory stays there.
        Err(why @ Error::OutOfMemory { .. }) if there == MemoryId::HOST && into.is_none() => {
            trace::fell_back(&memory(home).info().name, &memory(there).info().name, &why);
            return Ok(result);
        }
        moved => moved?,
    };
    match into {
        Some(into) => copy_into(back, wanted, into, device),
        None => Ok(back),
    }
}

/// Copies a result in C order into `into`, with the strides of `wanted`. Both lie in one memory, and a device of that
/// memory copies, without a fallback: another one would need such a copy itself, to bring its result back.
fn copy_into(result: Buffer, wanted: OutSpec, into: Buffer, device: &Device) -> Result<Buffer> {
    let home = into.memory();
    let OutSpec { dtype, lens, offset, strides, .. } = wanted;
    let output = Layout::from_parts(lens.clone(), strides, offset);
    let (shape, (offset, strides), spaces) = canon::map(&output, &[Layout::contiguous(lens)]);
    let inputs = spaces
        .into_iter()
        .map(|(offset, strides)| Operand { buffer: result.clone(), dtype, offset, strides })
        .collect();
    let copy = Op::from(Map {
        program: Program::identity(dtype),
        params: SmallVec::new(),
        shape,
        inputs,
        output: Output { dtype, offset, strides },
    });
    let device = if device.memory() == home { device.clone() } else { Device::auto() };
    let mut steps = Plan::new(copy, &device, Among::In(home), Detail::needed())?.steps;
    debug_assert_eq!(steps.len(), 1, "a map has no epilogue");
    steps.remove(0).run_there(&device, Some(into))
}
