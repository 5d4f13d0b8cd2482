//! Waiting for a device: always for a limited time, and never with a lock held.

use crate::device::Gpu;
use polyarray_core::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a wait gives its time slice away between looks, before it sleeps: small work is done by then.
const SPIN: Duration = Duration::from_micros(200);
/// Submissions that may be under way before a thread that submits more must wait.
const UNDER_WAY: u64 = 64;

/// How one learns what a device has finished. Tests put slow or dead drivers in its place.
///
/// It is only ever looked at. `PollType::Wait` is not used: with a limit, and with several threads, wgpu can find its
/// queue empty before the submission that it waited for, which it takes for a bug of its own; it panics, and callbacks
/// of other threads are lost.
pub(crate) trait Driver: Send + Sync {
    /// Runs the callbacks of what is finished.
    fn poll(&self, device: &wgpu::Device);
}

/// The driver that there is.
pub(crate) struct Real;

impl Driver for Real {
    fn poll(&self, device: &wgpu::Device) {
        // Whether the queue is empty does not matter; and looking without waiting cannot end in a timeout, the only
        // other answer.
        let _ = device.poll(wgpu::PollType::Poll);
    }
}

/// Names a submission: the number that it has among all of the device.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

/// The submissions that are under way. Part of what the stream's lock guards.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// How many there have been.
    given: u64,
    /// The highest number of a finished submission. Callbacks of wgpu set it, on whichever thread polls.
    done: Arc<AtomicU64>,
}

impl UnderWay {
    /// Takes note of what was just submitted.
    pub fn add(&mut self, queue: &wgpu::Queue) -> Ticket {
        self.given += 1;
        let (done, number) = (self.done.clone(), self.given);
        queue.on_submitted_work_done(move || {
            done.fetch_max(number, Ordering::AcqRel);
        });
        Ticket(number)
    }

    /// The last submission.
    pub fn last(&self) -> Ticket {
        Ticket(self.given)
    }

    /// The submission that a thread must wait for before it submits more, if there are too many under way.
    pub fn excess(&self) -> Option<Ticket> {
        let oldest = self.given.checked_sub(UNDER_WAY)?;
        (oldest > self.done.load(Ordering::Acquire)).then_some(Ticket(oldest))
    }

    pub fn done(&self) -> Arc<AtomicU64> {
        self.done.clone()
    }
}

impl Gpu {
    /// Waits until `ticket` is done.
    ///
    /// # Errors
    /// As [`Gpu::wait_until`].
    pub fn wait_for(&self, ticket: Ticket, what: impl Fn() -> String) -> Result<()> {
        self.wait_until(ticket, what, || self.done.load(Ordering::Acquire) >= ticket.0)
    }

    /// Polls until `finished` says so, which must follow when `ticket` is done. `finished` must look at something that
    /// belongs to the caller, as the callbacks of one thread's work run on any thread that polls, before or after that
    /// thread's own poll returns.
    ///
    /// # Errors
    /// That the device is lost; or that nothing was finished on it for as long as
    /// [`Limits::wait`](crate::device::Limits::wait) allows, with `what` was waited for.
    pub fn wait_until(
        &self,
        ticket: Ticket,
        what: impl Fn() -> String,
        mut finished: impl FnMut() -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        let mut progress = (self.done.load(Ordering::Acquire), start);
        loop {
            if finished() {
                return Ok(());
            }
            self.poll();
            if finished() {
                return Ok(());
            }
            self.alive()?;
            let done = self.done.load(Ordering::Acquire);
            // What is finished after the ticket says nothing about whoever waits for it: then the limit counts from
            // when that was done.
            if done != progress.0 && progress.0 < ticket.0 {
                progress = (done, Instant::now());
            }
            if progress.1.elapsed() >= self.limits.wait {
                let (all, idle) = (start.elapsed().as_secs_f64(), progress.1.elapsed().as_secs_f64());
                return Err(self.error(format!(
                    "{} took longer than {all:.1} s, and nothing else was finished for {idle:.1} s",
                    what()
                )));
            }
            let waited = start.elapsed();
            if waited < SPIN {
                std::thread::yield_now();
            } else {
                // What is noticed late by so much is noticed late by little of what it took.
                std::thread::sleep((waited / 32).min(Duration::from_millis(1)));
            }
        }
    }

    /// Lets wgpu run callbacks and free what is no longer used. Does not block.
    pub fn poll(&self) {
        // wgpu panics where a driver reports the loss of a device that is polled.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.driver.poll(&self.device))) {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            self.faults.lose(format!("the device was lost while it was polled: {said}"));
        }
    }
}
