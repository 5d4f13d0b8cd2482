//! Waiting for a device: always with a time limit, and never with a lock held.

use crate::device::Gpu;
use polyarray_core::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The time during which a wait yields between polls, before it sleeps. Small work is done by then.
const SPIN: Duration = Duration::from_micros(200);
/// The number of submissions under way from which a thread that submits more must wait.
const UNDER_WAY: u64 = 64;

/// Reports which work a device has finished. Tests replace it with slow or dead drivers.
///
/// A device is only polled. `PollType::Wait` is not used: with a time limit and several threads, wgpu can find its
/// queue empty before the submission that it waited for. wgpu considers this a bug of its own and panics, and callbacks
/// of other threads are lost.
pub(crate) trait Driver: Send + Sync {
    /// Runs the callbacks of finished work.
    fn poll(&self, device: &wgpu::Device);
}

/// The real driver.
pub(crate) struct Real;

impl Driver for Real {
    fn poll(&self, device: &wgpu::Device) {
        // The result is ignored: whether the queue is empty does not matter, and polling without waiting cannot end in
        // a timeout, the only other result.
        let _ = device.poll(wgpu::PollType::Poll);
    }
}

/// A submission, identified by its number among all submissions of the device.
#[derive(Clone, Copy)]
pub(crate) struct Ticket(u64);

/// The submissions under way. The lock of the stream guards them.
#[derive(Default)]
pub(crate) struct UnderWay {
    /// The number of submissions so far.
    given: u64,
    /// The highest number of a finished submission. wgpu's callbacks set it, on any thread that polls.
    done: Arc<AtomicU64>,
}

impl UnderWay {
    /// Registers the latest submission.
    pub fn add(&mut self, queue: &wgpu::Queue) -> Ticket {
        self.given += 1;
        let (done, number) = (self.done.clone(), self.given);
        queue.on_submitted_work_done(move || {
            done.fetch_max(number, Ordering::AcqRel);
        });
        Ticket(number)
    }

    /// Returns the latest submission.
    pub fn last(&self) -> Ticket {
        Ticket(self.given)
    }

    /// Returns the submission that a thread must wait for before it submits more, if too many are under way.
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

    /// Polls until `finished` returns true, which must happen once `ticket` is done. `finished` must check state that
    /// belongs to the caller: callbacks of one thread's work run on any thread that polls, before or after that
    /// thread's own poll returns.
    ///
    /// # Errors
    /// Fails if the device is lost, or if nothing finishes on it during [`Limits::wait`](crate::device::Limits::wait).
    /// The error contains `what` was waited for.
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
            // Work that finishes after the ticket says nothing about this wait. From then on the limit counts from the
            // time when the ticket was done.
            if done != progress.0 && progress.0 < ticket.0 {
                progress = (done, Instant::now());
            }
            if progress.1.elapsed() >= self.limits.wait {
                let (all, idle) = (start.elapsed().as_secs_f64(), progress.1.elapsed().as_secs_f64());
                return Err(self.error(format!(
                    "{} took longer than {all:.1} s, and nothing finished on the device for {idle:.1} s; \
                     Options::max_wait sets this limit",
                    what()
                )));
            }
            let waited = start.elapsed();
            if waited < SPIN {
                std::thread::yield_now();
            } else {
                // The sleep is a small part of the time waited so far, so the delay is small in relation to the
                // duration of the work.
                std::thread::sleep((waited / 32).min(Duration::from_millis(1)));
            }
        }
    }

    /// Lets wgpu run callbacks and free what is no longer used. Does not block.
    pub fn poll(&self) {
        // wgpu panics if a driver reports the loss of a device during a poll.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.driver.poll(&self.device))) {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            self.faults.lose(format!("the device was lost during a poll: {said}"));
        }
    }
}
