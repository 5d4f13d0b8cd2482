//! The devices that can run an operation, with their estimates.

use super::place::{home, transfers};
use crate::cost::Cost;
use crate::device::{Device, Slot, slots};
use crate::memory::transfer::can_store;
use crate::op::{Mode, Op};
use crate::{Error, MemoryId, Result, Unsupported, config};
use std::sync::Arc;

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
    pub fn total(&self) -> f64 {
        self.cost.seconds + self.transfers
    }
}

/// The device that was chosen for an operation.
pub(crate) struct Pick {
    pub slot: Arc<Slot>,
    pub estimate: Estimate,
}

/// Returns a lower bound on the seconds for moving all operands of `op` to another memory and its result back.
fn least_transfers(op: &Op) -> f64 {
    let mut count = 0;
    let mut bytes = 0.0;
    for output in op.outputs() {
        count += 1;
        bytes += output.len() as f64 * output.dtype.size() as f64;
    }
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
    if there != MemoryId::HOST {
        let mut lacking = None;
        op.for_each_input(|operand, _| {
            if operand.buffer.memory() != there && !can_store(there, operand.dtype) {
                lacking = Some(operand.dtype);
            }
        });
        if let Some(dtype) = lacking {
            return Err(Unsupported::new(format!("its memory does not store {dtype}")));
        }
    }
    if there != home && op.outputs().iter().any(|o| o.mode != Mode::Write) {
        return Err(Unsupported::new("the output to be changed lies in another memory"));
    }
    let transfers = if there == MemoryId::HOST && home == MemoryId::HOST { 0.0 } else { transfers(op, there, home) };
    Ok(Estimate { cost, transfers })
}

/// Returns the cheapest candidate for `op`, if any device supports it.
pub(super) fn best(op: &Op, device: &Device) -> Result<Option<Pick>> {
    survey(op, device, Among::Every, false, |_, _| ())
}

/// The candidate devices of `auto`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Among {
    Every,
    /// The open devices that work in this memory.
    In(MemoryId),
}

/// Estimates `op` on every candidate device and returns the cheapest. Calls `on_estimate` for each. If `device` is not
/// `auto`, it is the only candidate. Unless `every` is set, skips devices whose start-up alone takes at least as long
/// as the best estimate so far.
pub(super) fn survey(
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
        let estimate = estimate_on(slot, op, home, threads);
        on_estimate(slot, &estimate);
        return Ok(estimate.ok().map(|estimate| Pick { slot: slot.clone(), estimate }));
    }
    let is_among = |s: &Slot| match among {
        Among::Every => true,
        Among::In(memory) => s.opened().is_some_and(|b| b.memory() == memory),
    };
    let all = slots();
    let all = || all.iter().filter(|s| is_among(s));
    let mut best: Option<Pick> = None;
    let score = |slot: &Slot, seconds: f64| {
        seconds * if slot.opened().is_some_and(|b| b.memory() == home) { CLEARLY_BETTER } else { 1.0 }
    };
    let scored = |p: &Pick| score(&p.slot, p.estimate.total());
    let mut consider = |slot: &Arc<Slot>, best: &mut Option<Pick>| {
        let cannot_win = |b: &Pick| slot.opened().is_some_and(|s| score(slot, s.start_up()) >= scored(b));
        if !every && best.as_ref().is_some_and(cannot_win) {
            return;
        }
        let estimate = estimate_on(slot, op, home, threads);
        let emulated = slot.opened().is_some_and(|b| !b.info().hardware && b.memory() != home);
        let estimate = if emulated && estimate.is_ok() {
            Err(Unsupported::new("emulated in software: used only if it is selected by name"))
        } else {
            estimate
        };
        on_estimate(slot, &estimate);
        if let Ok(estimate) = estimate {
            let pick = Pick { slot: slot.clone(), estimate };
            if best.as_ref().is_none_or(|b| scored(&pick) < scored(b)) {
                *best = Some(pick);
            }
        }
    };
    let is_deferred = |s: &Slot| s.slow_to_open && s.opened().is_none();
    all().filter(|s| !is_deferred(s)).for_each(|s| consider(s, &mut best));
    if worth_opening(op, best.as_ref()) {
        all().filter(|s| is_deferred(s)).for_each(|s| consider(s, &mut best));
    }
    Ok(best)
}

/// Returns the error that lists why each candidate refuses `op`.
pub(super) fn refusal(op: &Op, device: &Device, among: Among) -> Error {
    let mut reasons = Vec::new();
    let surveyed = survey(op, device, among, true, |slot, answer| {
        if let Err(why) = answer {
            reasons.push((slot.name().to_string(), why.to_string()));
        }
    });
    surveyed.err().unwrap_or(Error::Refused { op: op.describe(), reasons })
}
