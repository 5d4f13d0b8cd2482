//! Traces: plans of operations, and records of the operations that ran.

use crate::Unsupported;
use crate::plan::Estimate;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Instant;

/// A device's estimate for an operation, or its refusal.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The name of the device.
    pub device: String,
    /// The estimated seconds for the operation and for transfers, and the number of threads; or the reason for the
    /// refusal.
    pub estimate: Result<(f64, f64, usize), Unsupported>,
}

impl Candidate {
    pub(crate) fn new(device: &str, answer: &Result<Estimate, Unsupported>) -> Candidate {
        let estimate = answer.as_ref().map(|e| (e.cost.seconds, e.transfers, e.cost.threads)).map_err(Clone::clone);
        Candidate { device: device.into(), estimate }
    }
}

/// A step of a [`Plan`]: an operation on one device.
#[derive(Clone, Debug)]
pub struct Step {
    /// The operation.
    pub op: String,
    /// The name of the device.
    pub device: String,
    /// The estimated seconds for the operation.
    pub seconds: f64,
    /// The estimated seconds for moving operands to the device's memory and the result back.
    pub transfers: f64,
    /// The number of threads.
    pub threads: usize,
}

/// The devices on which an operation would run, and the estimates of all devices for the whole operation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operation.
    pub op: String,
    /// The chosen device (two devices, if the operation is split into two).
    pub chosen: String,
    /// The steps, in order: one, or two if the epilogue of the operation runs as an operation of its own. None if the
    /// result has no elements.
    pub steps: Vec<Step>,
    /// The estimates and refusals of all devices.
    pub candidates: Vec<Candidate>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} -> {}", self.op, self.chosen)?;
        if self.steps.len() > 1 {
            for (i, s) in self.steps.iter().enumerate() {
                let time = show_estimate(s.seconds, s.transfers, s.threads);
                writeln!(f, "  step {}: {} on {}: {time}", i + 1, s.op, s.device)?;
            }
        }
        for c in &self.candidates {
            match &c.estimate {
                Ok((run, transfers, threads)) => {
                    writeln!(f, "  {:8} {}", c.device, show_estimate(*run, *transfers, *threads))?
                }
                Err(why) => writeln!(f, "  {:8} refused: {why}", c.device)?,
            }
        }
        Ok(())
    }
}

/// Formats an estimate, for example `1.2 ms + 3.0 ms for transfers (2 threads)`.
fn show_estimate(run: f64, transfers: f64, threads: usize) -> String {
    let moves = if transfers > 0.0 { format!(" + {} for transfers", show_seconds(transfers)) } else { String::new() };
    format!("{}{moves} ({threads} threads)", show_seconds(run))
}

/// Formats a duration, for example `1.2 ms`.
pub(crate) fn show_seconds(s: f64) -> String {
    match s {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// A record of one operation that ran.
#[derive(Clone, Debug)]
pub struct Event {
    /// The operation.
    pub op: String,
    /// The device that ran it.
    pub device: String,
    /// The plan that led to this device.
    pub plan: Option<Plan>,
    /// The estimated duration in seconds, transfers included.
    pub predicted: f64,
    /// The measured duration in seconds, transfers included.
    pub seconds: f64,
    /// The start of the operation, in seconds after the start of the recording.
    pub start: f64,
    /// The number of bytes read and written.
    pub bytes: f64,
}

/// The record of all operations that ran on this thread during [`record`].
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The operations, in order.
    pub events: Vec<Event>,
    /// Implicit copies: the number of bytes and the reason (`copy on write`, `transfer`, `reshape`).
    pub copies: Vec<(usize, &'static str)>,
    /// Fallbacks of operations, or of the storage of results: the planned place, the actual place and the error.
    pub fallbacks: Vec<(String, String, String)>,
    /// The number of host blocks that were requested.
    pub allocations: usize,
    /// The total size of these blocks in bytes.
    pub allocated: usize,
    /// The number of these blocks that came from the pool of freed blocks.
    pub reused: usize,
}

impl Trace {
    /// Returns the number of copies that were made for `reason`.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 2.0]);
    /// let mut y = x.clone();
    /// let (done, trace) = trace::record(|| y.set([0], 5.0));
    /// done?;
    /// assert_eq!(trace.copies_for("copy on write"), 1, "{trace}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn copies_for(&self, reason: &str) -> usize {
        self.copies.iter().filter(|(_, r)| *r == reason).count()
    }

    /// Returns the events in Chrome's trace format (chrome://tracing, Perfetto).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::<f64>::ones([100, 100])?;
    /// let (_, trace) = trace::record(|| x.matmul(&x));
    /// let json = trace.to_chrome_json();
    /// assert!(json.starts_with(r#"{"traceEvents":[{"name":"matmul f64"#), "{json}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn to_chrome_json(&self) -> String {
        let event = |e: &Event| {
            format!(
                "{{\"name\":{:?},\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3},\"dur\":{:.3},\
                 \"args\":{{\"device\":{:?},\"predicted_us\":{:.3},\"bytes\":{}}}}}",
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
            writeln!(f, "fell back from {from} to {to}: {why}")?;
        }
        writeln!(
            f,
            "{} allocations, {} bytes in total, {} reused from the pool",
            self.allocations, self.allocated, self.reused
        )
    }
}

/// A recording. It lies on the stack of [`record`].
struct Recorder {
    since: Instant,
    trace: RefCell<Trace>,
}

thread_local! {
    /// The innermost recording on this thread, or null. A raw pointer has no destructor, so destructors of other
    /// thread-locals can still run array operations.
    static RECORDER: Cell<*const Recorder> = const { Cell::new(std::ptr::null()) };
}

/// Runs `f` and returns a record of all operations that `f` runs on this thread. Operations of other threads are not
/// recorded. A nested recording replaces the outer recording until it ends. If `f` panics, the recording ends and the
/// outer recording continues.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::<f64>::ones([100, 100])?;
/// let (total, trace) = trace::record(|| (&x * 2.0 + 1.0).sum());
/// assert_eq!(total?, 30_000.0);
/// // One operation: the product and the sum are part of the reduction.
/// assert_eq!(trace.events.len(), 1, "{trace}");
/// let event = &trace.events[0];
/// assert!(event.op.contains("sum") && event.device == "scalar" && event.seconds > 0.0);
/// assert_eq!(trace.copies_for("transfer"), 0);
/// # Ok::<(), Error>(())
/// ```
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
    // SAFETY: the pointer is null or points to the recorder of the innermost `record` call on this thread. That call
    // has not returned: before it returns or unwinds, its guard restores the outer pointer.
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
