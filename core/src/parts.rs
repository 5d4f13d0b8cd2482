//! Loops of core itself over many elements, divided among threads.

use crate::device::Device;
use crate::{Result, config, trace, with_device, with_threads};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The fewest elements of a part. A simple loop over them takes longer than starting a thread.
const LEAST: usize = 1 << 18;

/// Returns equal parts of `0..len` for a loop over many elements: as many as the limit of threads of the caller allows,
/// or one while a trace is recorded. Each part but the last begins and ends at a multiple of 8.
pub(crate) fn of(len: usize) -> impl Iterator<Item = Range<usize>> {
    let most = if trace::is_recording() { 1 } else { config::threads().min(len / LEAST).max(1) };
    let step = len.div_ceil(most).next_multiple_of(8).max(1);
    (0..most).map(move |i| (i * step).min(len)..((i + 1) * step).min(len))
}

/// Calls `work` with all parts at once, with the first one on this thread, and returns the results in order. If there
/// are several parts, operations that `work` starts use one thread and the current device.
///
/// # Errors
/// As [`Device::current`].
pub(crate) fn run<P: Send, R: Send>(
    parts: impl IntoIterator<Item = P>,
    work: impl Fn(P) -> R + Sync,
) -> Result<Vec<R>> {
    // The thread that does a part takes it, so that it is not lost if a thread cannot be started.
    let mut parts: Vec<Mutex<Option<P>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    let take = |part: &Mutex<Option<P>>| {
        part.lock().unwrap_or_else(PoisonError::into_inner).take().expect("each part is taken once")
    };
    if let [only] = &mut parts[..] {
        return Ok(vec![work(take(only))]);
    }
    let Some((first, others)) = parts.split_first() else { return Ok(Vec::new()) };
    let device = Device::current()?;
    let run = |part: &Mutex<Option<P>>| with_threads(1, || with_device(&device, || work(take(part))));
    let run = &run;
    Ok(std::thread::scope(|scope| {
        let start = |part| std::thread::Builder::new().spawn_scoped(scope, move || run(part));
        let started: Vec<_> = others.iter().map(start).collect();
        let mut results = vec![run(first)];
        for (part, thread) in others.iter().zip(started) {
            results.push(match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                // The system refuses to start a thread: this one does its part.
                Err(_) => run(part),
            });
        }
        results
    }))
}
