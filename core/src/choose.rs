//! Chooses a device for an operation and runs the operation there.

use crate::backend::{Cost, RunContext};
use crate::device::{Device, Slot, slots};
use crate::layout::Layout;
use crate::memory::{download_elements, memory, storable, upload_elements};
use crate::op::{Map, Op, Operand, Output};
use crate::trace::{self, Candidate, Plan};
use crate::{Buffer, DType, Dims, Error, MemoryId, Program, Result, Unsupported, canon, config};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Instant;

/// A backend that is slow to open is opened only for operations that would take more than this many seconds on open
/// devices.
const WORTH_OPENING: f64 = 0.05;
/// The assumed maximum bandwidth, in bytes per second, to or from a backend that is not open yet: 16 lanes of PCIe 4.0.
const FASTEST_TRANSFER: f64 = 25e9;
/// The assumed minimum duration of such a transfer, in seconds.
const SHORTEST_TRANSFER: f64 = 10e-6;
/// Work leaves the memory of its operands only if its total time drops below this fraction.
const CLEARLY_BETTER: f64 = 0.6;

/// The estimated cost of an operation on a device, with transfers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    pub cost: Cost,
    /// The seconds for moving operands there and the result back.
    pub transfers: f64,
}

impl Estimate {
    fn total(&self) -> f64 {
        self.cost.seconds + self.transfers
    }
}

struct Pick {
    slot: Arc<Slot>,
    estimate: Estimate,
}

/// Returns the memory for the result of `op`: that of the operands (see [`operands_home`]), or the host's if that
/// cannot store the result.
fn home(op: &Op) -> Result<MemoryId> {
    let home = operands_home(op)?;
    Ok(if can_store(home, op.output_dtype()) { home } else { MemoryId::HOST })
}

pub(crate) fn can_store(there: MemoryId, dtype: DType) -> bool {
    there == MemoryId::HOST || memory(there).info().stored_size(dtype).is_some()
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
fn transfers(op: &Op, there: MemoryId, home: MemoryId) -> f64 {
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
    one(there, home, op.output_len().saturating_mul(op.output_dtype().size()));
    seconds
}

/// Returns a lower bound on the seconds for moving all operands of `op` to another memory and its result back.
fn least_transfers(op: &Op) -> f64 {
    let (mut count, mut bytes) = (1, op.output_len() as f64 * op.output_dtype().size() as f64);
    op.for_each_input(|operand, lens| {
        let (lo, hi) = operand.span(lens);
        count += 1;
        bytes += (hi - lo) as f64 * operand.dtype.size() as f64;
    });
    f64::from(count) * SHORTEST_TRANSFER + bytes / FASTEST_TRANSFER
}

/// Returns whether a device that is slow to open may be faster than `best`, the best open device, given the least time
/// for transfers.
fn worth_opening(op: &Op, best: Option<&Pick>) -> bool {
    best.map(|b| b.estimate.total())
        .is_none_or(|here| here > WORTH_OPENING && least_transfers(op) < CLEARLY_BETTER * here)
}

fn estimate_on(slot: &Slot, op: &Op, home: MemoryId, threads: usize) -> Result<Estimate, Unsupported> {
    let backend = match slot.opened() {
        Some(backend) => backend,
        None => slot.backend_if_present().map_err(|e| Unsupported::new(e.to_string()))?,
    };
    let cost = backend.estimate(op, threads)?;
    let there = backend.memory();
    if there != MemoryId::HOST && slot.is_inherited() {
        return Err(Unsupported::new(
            "it was opened before this process was forked; its driver works only in the parent process",
        ));
    }
    if there != home && matches!(op, Op::Matmul(o) if o.add) {
        return Err(Unsupported::new("the output to be added to lies in another memory"));
    }
    let transfers = if there == MemoryId::HOST && home == MemoryId::HOST { 0.0 } else { transfers(op, there, home) };
    Ok(Estimate { cost, transfers })
}

/// Returns the cheapest candidate for `op`, if any device supports it.
fn best(op: &Op, device: &Device) -> Result<Option<Pick>> {
    survey(op, device, Among::Every, false, |_, _| ())
}

/// The candidate devices of `auto`.
#[derive(Clone, Copy, PartialEq)]
enum Among {
    Every,
    Host,
}

/// Estimates `op` on every candidate device and returns the cheapest. Calls `on_estimate` for each. If `device` is not
/// `auto`, it is the only candidate. Unless `every` is set, skips devices whose start-up alone takes at least as long
/// as the best estimate so far.
fn survey(
    op: &Op,
    device: &Device,
    among: Among,
    every: bool,
    mut on_estimate: impl FnMut(&Slot, &Result<Estimate, Unsupported>),
) -> Result<Option<Pick>> {
    config::config().check()?;
    let home = home(op)?;
    let threads = config::threads();
    if let Some(slot) = &device.0 {
        let answer = estimate_on(slot, op, home, threads);
        on_estimate(slot, &answer);
        return Ok(answer.ok().map(|estimate| Pick { slot: slot.clone(), estimate }));
    }
    let on_host = |s: &Slot| s.opened().is_some_and(|b| b.memory() == MemoryId::HOST);
    let all = slots();
    let all = || all.iter().filter(|s| among == Among::Every || on_host(s));
    let mut best: Option<Pick> = None;
    let score = |p: &Pick| {
        p.estimate.total() * if p.slot.opened().is_some_and(|b| b.memory() == home) { CLEARLY_BETTER } else { 1.0 }
    };
    let mut ask = |slot: &Arc<Slot>, best: &mut Option<Pick>| {
        let hopeless = |b: &Pick| slot.opened().is_some_and(|s| s.start_up() >= b.estimate.total());
        if !every && best.as_ref().is_some_and(hopeless) {
            return;
        }
        let answer = estimate_on(slot, op, home, threads);
        let emulated = slot.opened().is_some_and(|b| !b.info().hardware && b.memory() != home);
        let answer = if emulated && answer.is_ok() {
            Err(Unsupported::new("emulated in software: used only if it is selected by name"))
        } else {
            answer
        };
        on_estimate(slot, &answer);
        if let Ok(estimate) = answer {
            let pick = Pick { slot: slot.clone(), estimate };
            if best.as_ref().is_none_or(|b| score(&pick) < score(b)) {
                *best = Some(pick);
            }
        }
    };
    let waits = |s: &Slot| s.slow_to_open && s.opened().is_none();
    all().filter(|s| !waits(s)).for_each(|s| ask(s, &mut best));
    if worth_opening(op, best.as_ref()) {
        all().filter(|s| waits(s)).for_each(|s| ask(s, &mut best));
    }
    Ok(best)
}

/// Estimates `op` on every candidate device. Returns the cheapest if it is a host device that would run `op`
/// single-threaded.
pub(crate) fn who(op: &Op, device: &Device) -> Result<Option<Arc<Slot>>> {
    let at_home =
        |p: &Pick| p.slot.opened().is_some_and(|b| b.memory() == MemoryId::HOST) && p.estimate.cost.threads == 1;
    Ok(best(op, device)?.filter(at_home).map(|p| p.slot))
}

pub(crate) fn is_possible(op: &Op, device: &Device) -> Result<bool> {
    Ok(best(op, device)?.is_some())
}

/// Returns the error that lists why each device refuses `op`.
fn refusal(op: &Op, device: &Device) -> Error {
    let mut reasons = Vec::new();
    let surveyed = survey(op, device, Among::Every, true, |slot, answer| {
        if let Err(why) = answer {
            reasons.push((slot.name().to_string(), why.to_string()));
        }
    });
    surveyed.err().unwrap_or(Error::Refused { op: op.describe(), reasons })
}

/// Returns the plan for `op` without running it.
pub(crate) fn plan(op: &Op, device: &Device) -> Result<Plan> {
    let mut candidates = Vec::new();
    let pick =
        survey(op, device, Among::Every, true, |slot, answer| candidates.push(Candidate::new(slot.name(), answer)))?;
    let split = split_after(op);
    let lowered = match &split {
        Some((plain, map)) => lowered_cost(plain, map, device)?,
        None => None,
    };
    let whole = pick.as_ref().map(|p| p.estimate.total());
    let use_lowered = lowered.as_ref().is_some_and(|l| whole.is_none_or(|w| l.0 < w));
    let chosen = match (&pick, &lowered) {
        (_, Some(l)) if use_lowered => format!("{}, then {}", l.1, l.2),
        (Some(p), _) => p.slot.name().to_string(),
        _ => return Err(refusal(op, device)),
    };
    Ok(Plan { op: op.describe(), chosen, candidates })
}

/// Estimates the total seconds of `plain` followed by `map`. Returns them with the names of the two devices; `None` if
/// a step has no device.
fn lowered_cost(plain: &Op, map: &Op, device: &Device) -> Result<Option<(f64, String, String)>> {
    let (Some(first), Some(second)) = (best(plain, device)?, best(map, device)?) else { return Ok(None) };
    Ok(Some((first.estimate.total() + second.estimate.total(), first.slot.name().into(), second.slot.name().into())))
}

/// Splits `op` into the operation without its epilogue and a map that computes the epilogue. The map's first input is a
/// placeholder for the operation's result. Returns `None` if there is nothing to split.
fn split_after(op: &Op) -> Option<(Op, Op)> {
    if op.after().is_none_or(Program::is_identity) {
        return None;
    }
    let mut plain = op.clone();
    let (after, params, extras, shape) = match &mut plain {
        // Every backend with scans runs their epilogues. Maps, sorting, searching and counting have none.
        Op::Map(_) | Op::Scan(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => return None,
        Op::Reduce(o) => {
            let shape: Dims = o.outer.clone();
            o.output = Output { dtype: o.after.inputs()[0], offset: 0, strides: shape.c_strides() };
            (&mut o.after, &mut o.after_params, SmallVec::new(), shape)
        }
        Op::Matmul(o) => {
            let shape = o.batch.iter().copied().chain([o.m, o.n]).collect();
            (&mut o.after, &mut o.after_params, std::mem::take(&mut o.extras), shape)
        }
        Op::Distance(o) => (&mut o.after, &mut o.after_params, SmallVec::new(), Dims::from([o.n, o.m])),
    };
    let dtype = after.inputs()[0];
    let program = std::mem::replace(after, Program::identity(dtype));
    let params = std::mem::take(params);
    // The map has the output layout of the whole operation: that of a reduction, else C order.
    let output = match op {
        Op::Reduce(o) => Layout::from_parts(shape.clone(), o.output.strides.clone(), o.output.offset),
        _ => Layout::contiguous(shape.clone()),
    };
    let result = Layout::contiguous(shape.clone());
    let layouts: SmallVec<[Layout; 2]> = std::iter::once(result)
        .chain(extras.iter().map(|e: &Operand| Layout::from_parts(shape.clone(), e.strides.clone(), e.offset)))
        .collect();
    let (shape, (offset, strides), spaces) = canon::map(&output, &layouts);
    let mut stand_in = None;
    op.for_each_input(|operand, _| stand_in = Some(operand.buffer.clone()));
    let buffers = std::iter::once((stand_in?, dtype)).chain(extras.iter().map(|e| (e.buffer.clone(), e.dtype)));
    let inputs = buffers
        .zip(spaces)
        .map(|((buffer, dtype), (offset, strides))| Operand { buffer, dtype, offset, strides })
        .collect();
    let output = Output { dtype: program.output(), offset, strides };
    Some((plain, Op::Map(Map { program, params, shape, inputs, output })))
}

/// Runs `op` on `device`, with its epilogue as a separate map if that is cheaper. Writes the result into `into`, which
/// lies in the home memory, or into a new buffer there (elsewhere if the home memory is full).
pub(crate) fn execute(op: &mut Op, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
    let pick = best(op, device)?;
    // All backends of this library run epilogues of reductions: split one only if no device accepts it whole.
    let worth_splitting = pick.is_none() || !matches!(op, Op::Reduce(_));
    if let Some((mut plain, mut map)) = worth_splitting.then(|| split_after(op)).flatten() {
        let cheaper = |l: &(f64, String, String)| pick.as_ref().is_none_or(|p| l.0 < p.estimate.total());
        if lowered_cost(&plain, &map, device)?.as_ref().is_some_and(cheaper) {
            let result = execute(&mut plain, device, None)?;
            if let Op::Map(m) = &mut map {
                m.inputs[0].buffer = result;
            }
            return execute(&mut map, device, into);
        }
    }
    let Some(pick) = pick else { return Err(refusal(op, device)) };
    let there = pick.slot.backend()?.memory();
    let in_place = into.as_ref().is_some_and(|out| reads(op, out));
    if there == MemoryId::HOST || device.0.is_some() || in_place {
        return run_on(op, pick, device, into);
    }
    // Fallback of `auto`: if the other memory is full or its device is lost, the host does the work.
    let (mut again, slot) = (op.clone(), pick.slot.clone());
    match run_on(op, pick, device, into.clone()) {
        Err(why @ (Error::OutOfMemory { .. } | Error::Device { .. })) => {
            match survey(&again, device, Among::Host, false, |_, _| ())? {
                Some(pick) => {
                    trace::fell_back(slot.name(), pick.slot.name(), &why);
                    run_on(&mut again, pick, device, into)
                }
                None => Err(why),
            }
        }
        done => done,
    }
}

fn reads(op: &Op, buffer: &Buffer) -> bool {
    let mut found = false;
    op.for_each_input(|operand, _| found |= operand.buffer.same(buffer));
    found
}

fn run_on(op: &mut Op, pick: Pick, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
    let backend = pick.slot.backend()?;
    let there = backend.memory();
    let home = into.as_ref().map_or_else(|| home(op), |b| Ok(b.memory()))?;
    let recording = trace::is_recording();
    let described = if recording { op.describe() } else { String::new() };
    let plan = if recording { Some(plan(op, device)?) } else { None };
    let bytes = if recording { op.bytes() } else { 0.0 };
    let start = recording.then(Instant::now);

    bring(op, there)?;
    let output = if there == home {
        let (out, fresh) = match into {
            Some(out) => (out, false),
            None => (allocate(op, there)?, true),
        };
        // SAFETY: core canonicalised `op`, and this backend's estimate accepted it. Its operands belong to arrays and
        // were moved to the backend's memory. `out` is a new buffer for the whole output (fresh), or a written one that
        // the caller owns exclusively, except for operands in place.
        unsafe { run_in(&pick, op, &out, fresh) }?;
        out
    } else {
        run_away(op, &pick, there, home, into, device)?
    };
    if let Some(start) = start {
        backend.synchronize()?;
        trace::ran(described, plan, pick.slot.name(), pick.estimate, start, bytes);
    }
    Ok(output)
}

/// Runs `op` on the chosen backend into `output`.
///
/// # Safety
/// - The conditions of [`Backend::run`](crate::Backend::run) hold.
/// - If `fresh`, no array shows `output`; otherwise all of it has been written.
unsafe fn run_in(pick: &Pick, op: &Op, output: &Buffer, fresh: bool) -> Result<()> {
    let registered = pick.slot.registered;
    if registered && fresh {
        // SAFETY: no array shows the fresh output, and nothing else accesses it, which the caller guarantees.
        unsafe { crate::bytes::zero(output) };
    }
    // SAFETY: the caller guarantees the conditions of `Backend::run`.
    unsafe { pick.slot.backend()?.run(op, &RunContext { threads: pick.estimate.cost.threads, output }) }?;
    if registered && op.output_dtype() == DType::Bool {
        // SAFETY: `output` was zeroed above or written before; the caller guarantees that nothing else accesses it.
        unsafe { crate::bytes::normalise_bools(output) };
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
    let wanted = match (&mut *op, &into) {
        (Op::Map(map), Some(_)) => {
            let contiguous = Output { dtype: map.output.dtype, offset: 0, strides: map.shape.c_strides() };
            Some(std::mem::replace(&mut map.output, contiguous))
        }
        _ => None,
    };
    let shape = if let Op::Map(map) = &*op { map.shape.clone() } else { Dims::from(op.output_len()) };
    let result = allocate(op, there)?;
    // SAFETY: as in `run_on`; `result` is a new buffer that is large enough for the output.
    unsafe { run_in(pick, op, &result, true) }?;
    let dtype = op.output_dtype();
    let len = result.bytes() / storable(&*memory(there), dtype)?;
    let back = match move_elements(&result, dtype, 0, len, home) {
        // If the home memory is full, a result in host memory stays there.
        Err(why @ Error::OutOfMemory { .. }) if there == MemoryId::HOST && into.is_none() => {
            trace::fell_back(&memory(home).info().name, &memory(there).info().name, &why);
            return Ok(result);
        }
        moved => moved?,
    };
    let (Some(into), Some(wanted)) = (into, wanted) else { return Ok(back) };
    // The caller's output has its own strides: a copy in the home memory applies them.
    let output = Layout::from_parts(shape.clone(), wanted.strides, wanted.offset);
    let (shape, (offset, strides), spaces) = canon::map(&output, &[Layout::contiguous(shape)]);
    let inputs =
        spaces.into_iter().map(|(offset, strides)| Operand { buffer: back.clone(), dtype, offset, strides }).collect();
    let mut copy = Op::Map(Map {
        program: Program::identity(dtype),
        params: SmallVec::new(),
        shape,
        inputs,
        output: Output { dtype, offset, strides },
    });
    let at_home = if device.memory() == home { device.clone() } else { Device::auto() };
    execute(&mut copy, &at_home, Some(into))
}

fn allocate(op: &Op, there: MemoryId) -> Result<Buffer> {
    // Output strides are positive.
    let view = |shape: &Dims, output: &Output| {
        shape.iter().zip(&output.strides).fold(output.offset.saturating_add(1), |end, (&n, &s)| {
            end.saturating_add((n - 1).saturating_mul(s as usize))
        })
    };
    let elements = match op {
        Op::Map(o) => view(&o.shape, &o.output),
        Op::Reduce(o) => view(&o.outer, &o.output),
        Op::Scan(o) => view(&o.shape(), &o.output),
        Op::Matmul(_) | Op::Distance(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => op.output_len(),
    };
    alloc_elements(op.output_dtype(), elements, there)
}

pub(crate) fn alloc_elements(dtype: DType, elements: usize, there: MemoryId) -> Result<Buffer> {
    if there == MemoryId::HOST {
        return Buffer::elements(dtype, elements);
    }
    let there = memory(there);
    let bytes = elements.saturating_mul(storable(&*there, dtype)?);
    let info = there.info();
    if bytes > info.max_allocation || elements > info.max_elements {
        return Err(Error::OutOfMemory {
            memory: info.name.clone(),
            bytes,
            why: format!(
                "one array has at most {} bytes and {} elements there",
                info.max_allocation, info.max_elements
            ),
        });
    }
    there.alloc(bytes.max(1))
}

/// Moves every operand of `op` that lies in another memory to memory `there`. An operand that occurs twice is moved
/// once.
fn bring(op: &mut Op, there: MemoryId) -> Result<()> {
    let mut all_there = true;
    op.for_each_input(|operand, _| all_there &= operand.buffer.memory() == there);
    if all_there {
        return Ok(());
    }
    let mut spans: SmallVec<[(usize, usize); 4]> = SmallVec::new();
    op.for_each_input(|operand, lens| spans.push(operand.span(lens)));
    let mut spans = spans.into_iter();
    let mut moved: SmallVec<[(Buffer, usize, usize, Buffer); 4]> = SmallVec::new();
    let mut failed = None;
    op.for_each_input_mut(|operand| {
        let (lo, hi) = spans.next().expect("a span for each operand");
        if operand.buffer.memory() == there || failed.is_some() {
            return;
        }
        let known = moved
            .iter()
            .find(|(from, l, h, _)| from.same(&operand.buffer) && (*l, *h) == (lo, hi))
            .map(|(.., to)| to.clone());
        match known.map_or_else(|| move_elements(&operand.buffer, operand.dtype, lo, hi, there), Ok) {
            Ok(to) => {
                moved.push((std::mem::replace(&mut operand.buffer, to.clone()), lo, hi, to));
                operand.offset -= lo;
            }
            Err(e) => failed = Some(e),
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Copies elements `lo..hi` of `from` to a new buffer in memory `to`.
pub(crate) fn move_elements(from: &Buffer, dtype: DType, lo: usize, hi: usize, to: MemoryId) -> Result<Buffer> {
    let host = if from.memory() == MemoryId::HOST && to != MemoryId::HOST {
        None
    } else {
        let mut host = Buffer::elements(dtype, hi - lo)?;
        let room = crate::bytes::fresh_bytes(&mut host, (hi - lo) * dtype.size());
        // SAFETY: `from` belongs to an array or an operation's result. Its elements `lo..hi` have been written, and
        // nothing writes them while it is shared.
        unsafe { download_elements(dtype, from, lo, room) }?;
        Some(host)
    };
    if from.memory() != to {
        trace::copied((hi - lo) * dtype.size(), "transfer");
    }
    if to == MemoryId::HOST {
        return Ok(host.expect("downloaded above"));
    }
    let out = alloc_elements(dtype, hi - lo, to)?;
    let (source, lo, hi) = host.as_ref().map_or((from, lo, hi), |h| (h, 0, hi - lo));
    let elements = &crate::bytes::host_bytes(source)[lo * dtype.size()..hi * dtype.size()];
    // SAFETY: `out` was just allocated, so no array shows it; `elements` are valid elements of `dtype` from an array.
    unsafe { upload_elements(dtype, elements, &out, 0) }?;
    Ok(out)
}
