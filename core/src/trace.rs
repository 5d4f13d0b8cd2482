//! What happened and why: plans, and records of what ran.

use crate::Unsupported;
use crate::choose::Estimate;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Instant;

/// What a device answered when it was asked for an estimate.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub device: String,
    /// Estimated seconds on it and for transfers, and the number of threads; or why it cannot.
    pub estimate: Result<(f64, f64, usize), Unsupported>,
}

impl Candidate {
    pub(crate) fn new(device: &str, answer: &Result<Estimate, Unsupported>) -> Candidate {
        let estimate = answer.as_ref().map(|e| (e.cost.seconds, e.transfers, e.cost.threads)).map_err(Clone::clone);
        Candidate { device: device.into(), estimate }
    }
}

/// Where an operation would run, and what every device that was asked answered.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operation.
    pub op: String,
    /// The device that takes it (two, if it is done in two steps).
    pub chosen: String,
    /// Every answer.
    pub candidates: Vec<Candidate>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} -> {}", self.op, self.chosen)?;
        for c in &self.candidates {
            match &c.estimate {
                Ok((run, transfers, threads)) if *transfers > 0.0 => writeln!(
                    f,
                    "  {:8} {} + {} of transfers ({threads} threads)",
                    c.device,
                    show_seconds(*run),
                    show_seconds(*transfers)
                )?,
                Ok((run, _, threads)) => writeln!(f, "  {:8} {} ({threads} threads)", c.device, show_seconds(*run))?,
                Err(why) => writeln!(f, "  {:8} no: {why}", c.device)?,
            }
        }
        Ok(())
    }
}

/// `1.2 ms` and the like.
pub(crate) fn show_seconds(s: f64) -> String {
    match s {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// One operation that ran.
#[derive(Clone, Debug)]
pub struct Event {
    /// The operation.
    pub op: String,
    /// The device it ran on.
    pub device: String,
    /// Why there.
    pub plan: Option<Plan>,
    /// Seconds it was estimated to take, transfers included.
    pub predicted: f64,
    /// Seconds it took, transfers included.
    pub seconds: f64,
    /// Seconds from the start of the recording to its start.
    pub start: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

/// What happened on this thread during [`record`].
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Operations, in order.
    pub events: Vec<Event>,
    /// Copies made behind the scenes: how many bytes, and why (`copy on write`, `transfer`, `reshape`).
    pub copies: Vec<(usize, &'static str)>,
    /// Work that could not be done, or kept, where it was planned, and went elsewhere: from where, to where, and why.
    pub fallbacks: Vec<(String, String, String)>,
    /// Host blocks asked for.
    pub allocations: usize,
    /// Bytes of them.
    pub allocated: usize,
    /// How many of them came from the pool of freed blocks.
    pub reused: usize,
}

impl Trace {
    /// The number of copies made for `reason`.
    pub fn copies_for(&self, reason: &str) -> usize {
        self.copies.iter().filter(|(_, r)| *r == reason).count()
    }

    /// The events in Chrome's trace format (chrome://tracing, Perfetto).
    pub fn to_chrome_json(&self) -> String {
        let event = |e: &Event| {
            format!(
                "{{\"name\":{:?},\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3},\"dur\":{:.3},\"args\":{{\"device\":{:?},\"predicted_us\":{:.3},\"bytes\":{}}}}}",
                e.op,
                e.start * 1e6,
                e.seconds * 1e6,
                e.device,
                e.predicted * 1e6,
                e.bytes
            )
        };
        format!("{{\"traceEvents\":[{}]}}", self.events.iter().map(event).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for e in &self.events {
            writeln!(
                f,
                "{:>10} {:8} {} (predicted {})",
                show_seconds(e.seconds),
                e.device,
                e.op,
                show_seconds(e.predicted)
            )?;
        }
        for (bytes, why) in &self.copies {
            writeln!(f, "copied {bytes} bytes: {why}")?;
        }
        for (from, to, why) in &self.fallbacks {
            writeln!(f, "went from {from} to {to}: {why}")?;
        }
        writeln!(
            f,
            "{} allocations of {} bytes in all, {} from the pool",
            self.allocations, self.allocated, self.reused
        )
    }
}

/// A recording, on the stack of [`record`].
struct Recorder {
    since: Instant,
    trace: RefCell<Trace>,
}

thread_local! {
    /// The innermost recording on this thread, or null. A plain pointer has no destructor, so that other thread-locals' destructors can still do array work.
    static RECORDER: Cell<*const Recorder> = const { Cell::new(std::ptr::null()) };
}

/// Runs `f` and tells what its operations did on this thread; other threads' operations are not recorded. A recording inside another one takes over until it ends.
/// Where `f` panics, the recording ends, and the one around it goes on.
pub fn record<R>(f: impl FnOnce() -> R) -> (R, Trace) {
    struct Restore(*const Recorder);
    impl Drop for Restore {
        fn drop(&mut self) {
            RECORDER.set(self.0);
        }
    }
    let recorder = Recorder { since: Instant::now(), trace: RefCell::default() };
    let restore = Restore(RECORDER.replace(&recorder));
    let result = f();
    drop(restore);
    (result, recorder.trace.into_inner())
}

#[inline]
fn with(f: impl FnOnce(Instant, &mut Trace)) {
    // SAFETY: the pointer is null, or that of the innermost `record` on this thread, which has not returned: before it does, also by a panic, its guard puts the
    // outer pointer back.
    if let Some(recorder) = unsafe { RECORDER.get().as_ref() } {
        f(recorder.since, &mut recorder.trace.borrow_mut());
    }
}

pub(crate) fn is_recording() -> bool {
    !RECORDER.get().is_null()
}

pub(crate) fn ran(op: String, plan: Option<Plan>, device: &str, estimate: Estimate, started: Instant, bytes: f64) {
    let seconds = started.elapsed().as_secs_f64();
    with(|since, trace| {
        let start = started.duration_since(since).as_secs_f64();
        trace.events.push(Event {
            op,
            device: device.into(),
            plan,
            predicted: estimate.cost.seconds + estimate.transfers,
            seconds,
            start,
            bytes,
        });
    });
}

pub(crate) fn fell_back(from: &str, to: &str, why: &crate::Error) {
    with(|_, trace| trace.fallbacks.push((from.into(), to.into(), why.to_string())));
}

pub(crate) fn copied(bytes: usize, why: &'static str) {
    with(|_, trace| trace.copies.push((bytes, why)));
}

pub(crate) fn allocated(bytes: usize, reused: bool) {
    with(|_, trace| {
        trace.allocations += 1;
        trace.allocated += bytes;
        trace.reused += usize::from(reused);
    });
}
