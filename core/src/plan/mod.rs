//! Plans: the steps that compute an operation, each with the device that was chosen for it.
//!
//! [`Plan::new`] decides. `candidates` estimates the devices, `place` the transfers between memories, and `lower`
//! splits an epilogue from its operation. [`Plan::run`] runs exactly these steps, and [`Plan::report`] describes them
//! for `explain` and for traces.

mod candidates;
mod lower;
mod place;
mod run;

pub(crate) use candidates::Estimate;
use candidates::{Among, Pick, best, refusal, survey};
pub(crate) use place::home;

use crate::device::{Device, Slot};
use crate::op::{Op, Splits};
use crate::trace::{self, Candidate};
use crate::{Buffer, MemoryId, Result};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// An operation on the device that was chosen for it. Running it moves operands that lie in other memories to the
/// device's memory, and the result to the memory where it belongs.
struct Step {
    op: Op,
    pick: Pick,
    /// The estimates of all devices, if they were requested.
    report: Option<trace::Plan>,
}

/// The steps that compute an operation. The first input of each step but the first is the result of the previous one.
pub(crate) struct Plan {
    steps: SmallVec<[Step; 1]>,
    /// The estimates of all devices for the whole operation, if they were requested.
    report: Option<trace::Plan>,
}

/// Whether a plan keeps the estimates of all devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only the chosen devices. Devices that cannot be the best are skipped.
    Chosen,
    /// All devices.
    All,
}

impl Detail {
    /// Returns what a plan that will run must keep: everything if a trace records it.
    fn needed() -> Detail {
        if trace::is_recording() { Detail::All } else { Detail::Chosen }
    }
}

impl Plan {
    /// Decides how `op` runs on `device`: whole, or with its epilogue as a second step if that is cheaper or no device
    /// supports the whole. If `device` is `auto`, the candidates are those `among` all devices.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) with the reason of each device if no device supports `op`;
    /// [`Error::Memories`](crate::Error::Memories) if operands lie on different devices.
    fn new(op: Op, device: &Device, among: Among, detail: Detail) -> Result<Plan> {
        let (pick, candidates) = chosen(&op, device, among, detail)?;
        let apart = match op.splits() {
            Splits::Never => None,
            Splits::IfRefused if pick.is_some() => None,
            Splits::IfRefused | Splits::IfCheaper => lower::split(&op)?,
        };
        let requested = |op: &Op, steps: &[(&Op, &Pick)], candidates| {
            (detail == Detail::All).then(|| report(op, steps, candidates))
        };
        if let Some((plain, epilogue)) = apart
            && let (first, first_candidates) = chosen(&plain, device, among, detail)?
            && let (second, second_candidates) = chosen(&epilogue, device, among, detail)?
            && let (Some(first), Some(second)) = (first, second)
            && pick.as_ref().is_none_or(|p| first.estimate.total() + second.estimate.total() < p.estimate.total())
        {
            let whole = requested(&op, &[(&plain, &first), (&epilogue, &second)], candidates);
            let of_first = requested(&plain, &[(&plain, &first)], first_candidates);
            let of_second = requested(&epilogue, &[(&epilogue, &second)], second_candidates);
            let steps = smallvec![
                Step { op: plain, pick: first, report: of_first },
                Step { op: epilogue, pick: second, report: of_second }
            ];
            return Ok(Plan { steps, report: whole });
        }
        let Some(pick) = pick else { return Err(refusal(&op, device, among)) };
        let report = requested(&op, &[(&op, &pick)], candidates);
        Ok(Plan { steps: smallvec![Step { op, pick, report: report.clone() }], report })
    }

    /// Describes the plan.
    ///
    /// # Panics
    /// If the plan was made without [`Detail::All`].
    pub fn report(self) -> trace::Plan {
        self.report.expect("internal error: the plan was made without the estimates of all devices")
    }
}

/// Describes the plan of `op`.
fn report(op: &Op, steps: &[(&Op, &Pick)], candidates: Vec<Candidate>) -> trace::Plan {
    let step = |(op, pick): &(&Op, &Pick)| trace::Step {
        op: op.describe(),
        device: pick.slot.name().into(),
        seconds: pick.estimate.cost.seconds,
        transfers: pick.estimate.transfers,
        threads: pick.estimate.cost.threads,
    };
    let steps: Vec<trace::Step> = steps.iter().map(step).collect();
    let chosen = steps.iter().map(|s| s.device.clone()).collect::<Vec<_>>().join(", then ");
    trace::Plan { op: op.describe(), chosen, steps, candidates }
}

/// Returns the cheapest device for `op`, if any supports it, and the estimates or refusals of all devices, if they were
/// requested.
fn chosen(op: &Op, device: &Device, among: Among, detail: Detail) -> Result<(Option<Pick>, Vec<Candidate>)> {
    let (all, mut candidates) = (detail == Detail::All, Vec::new());
    let pick = survey(op, device, among, all, |slot, answer| {
        if all {
            candidates.push(Candidate::new(slot.name(), answer));
        }
    })?;
    Ok((pick, candidates))
}

/// Plans `op` on `device` and runs the plan. Writes the result into `into`, which lies in the home memory, or into a
/// new buffer there (elsewhere if the home memory is full).
pub(crate) fn execute(op: Op, device: &Device, into: Option<Buffer>) -> Result<Buffer> {
    Plan::new(op, device, Among::Every, Detail::needed())?.run(device, into)
}

/// Returns the plan for `op` without running it.
pub(crate) fn explain(op: Op, device: &Device) -> Result<trace::Plan> {
    Ok(Plan::new(op, device, Among::Every, Detail::All)?.report())
}

/// Estimates `op` on every candidate device. Returns the cheapest if it is a host device that would run `op`
/// single-threaded.
pub(crate) fn single_threaded(op: &Op, device: &Device) -> Result<Option<Arc<Slot>>> {
    let at_home =
        |p: &Pick| p.slot.opened().is_some_and(|b| b.memory() == MemoryId::HOST) && p.estimate.cost.threads == 1;
    Ok(best(op, device)?.filter(at_home).map(|p| p.slot))
}

/// Returns whether a device supports `op` whole.
pub(crate) fn is_possible(op: &Op, device: &Device) -> Result<bool> {
    Ok(best(op, device)?.is_some())
}
