//! The errors of a device, and the threads that receive them.

use crate::device::lock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};

/// The largest number of reports that are kept until their threads request them. The oldest one is dropped first,
/// because its thread may have ended.
const KEPT: usize = 256;

/// The reason why the contents of a buffer are invalid, once they are.
///
/// Work is submitted in batches, possibly by another thread than the one that requested it. If a batch fails, every
/// buffer that it would have written stores the reason. Every later reader of such a buffer receives it, on any thread.
/// Readers of other buffers do not.
pub(crate) type Fate = OnceLock<Arc<str>>;

/// The reports of one device.
#[derive(Default)]
pub(crate) struct Faults {
    /// The reason why the device is lost. It is set once, and every estimate reads it without a lock.
    lost: OnceLock<String>,
    /// Reports, each with the thread whose call or whose work caused it.
    owed: Mutex<Vec<(ThreadId, String)>>,
    /// Whether `owed` may contain reports. Launches check this without a lock.
    any: AtomicBool,
}

impl Faults {
    pub fn lose(&self, why: String) {
        // The first reason is the cause; later ones are its consequences.
        let _ = self.lost.set(why);
    }

    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Records a report for `thread`. Keeps only the first report of a thread, because later ones are usually
    /// consequences.
    pub fn owe(&self, thread: ThreadId, why: String) {
        let mut owed = lock(&self.owed);
        if owed.iter().all(|(t, _)| *t != thread) {
            if owed.len() == KEPT {
                owed.remove(0);
            }
            owed.push((thread, why));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Removes and returns the report for the calling thread.
    pub fn take(&self) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut owed = lock(&self.owed);
        let at = owed.iter().position(|(t, _)| *t == thread::current().id())?;
        let (_, why) = owed.remove(at);
        self.any.store(!owed.is_empty(), Ordering::Release);
        Some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_is_told_of_its_own_faults_once() {
        let faults = Faults::default();
        let other = thread::scope(|s| s.spawn(|| thread::current().id()).join().unwrap());
        faults.owe(other, "not yours".into());
        assert_eq!(faults.take(), None);
        faults.owe(thread::current().id(), "first".into());
        faults.owe(thread::current().id(), "its consequence".into());
        assert_eq!(faults.take().as_deref(), Some("first"));
        assert_eq!(faults.take(), None);
        thread::scope(|s| s.spawn(|| faults.owe(thread::current().id(), "of a third thread".into())).join().unwrap());
        assert_eq!(lock(&faults.owed).len(), 2);
        for _ in 0..2 * KEPT {
            thread::scope(|s| s.spawn(|| faults.owe(thread::current().id(), "nobody asks".into())).join().unwrap());
        }
        assert_eq!(lock(&faults.owed).len(), KEPT);
    }
}
