//! Forks. A child process has a copy of its parent's memory but none of its other threads. Thread pools have no workers
//! there, and a lock that another thread held stays locked forever.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

static FORKS: AtomicU32 = AtomicU32::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Returns the number of forks between the process in which this was first called and this one. A resource that was
/// made at another count, such as a thread pool, belongs to an ancestor of this process. Always 0 on systems without
/// `fork`.
#[inline]
pub fn forks() -> u32 {
    if !WATCHED.load(Ordering::Relaxed) {
        watch();
    }
    FORKS.load(Ordering::Relaxed)
}

#[cold]
fn watch() {
    #[cfg(unix)]
    if !WATCHED.swap(true, Ordering::Relaxed) {
        extern "C" fn count() {
            FORKS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the handler runs in the child of a fork, where it may do what a signal handler may; an atomic
        // addition is allowed there. If there is no memory to register it, forks are not detected.
        unsafe { libc::pthread_atfork(None, None, Some(count)) };
    }
    #[cfg(not(unix))]
    WATCHED.store(true, Ordering::Relaxed);
}

/// Locks `mutex`, which guards an optional resource. Returns `None` if this is a child process and the mutex is locked,
/// since the thread that locked it may not exist in this process.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if forks() == 0 {
        return Some(mutex.lock().unwrap_or_else(|e| e.into_inner()));
    }
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(e)) => Some(e.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
