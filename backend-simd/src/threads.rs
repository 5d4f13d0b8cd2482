//! Work on several threads: those of the caller's rayon pool, or else of rayon's global pool.

use polyarray_core::{Result, forks};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

/// Returns the number of threads that work can currently be split among. It is 1 if the system refused to start the
/// global pool, and in a forked child process: a fork copies a pool without its threads, so that work given to it
/// would never finish.
pub(crate) fn available() -> usize {
    if rayon::current_thread_index().is_some() {
        // The current thread belongs to the caller's pool or to the global one. Either may have been started before a
        // fork.
        return if forks() == 0 { rayon::current_num_threads() } else { 1 };
    }
    match global() {
        Some(pool) if pool.forks == forks() => pool.threads,
        _ => 1,
    }
}

struct Pool {
    threads: usize,
    /// The number of [`forks`] when the pool was started.
    forks: u32,
}

/// Returns the global pool, and starts it if necessary. Returns `None` while a pool that other code started has not
/// yet answered.
fn global() -> Option<&'static Pool> {
    static POOL: OnceLock<Pool> = OnceLock::new();
    /// The receiver of the message that was requested from a pool started by other code, and the number of forks at
    /// the request.
    static ASKED: Mutex<Option<(mpsc::Receiver<()>, u32)>> = Mutex::new(None);
    if let Some(pool) = POOL.get() {
        return Some(pool);
    }
    // Another thread is starting the pool, or was doing so when this process was forked; this operation does not use
    // the pool.
    let Ok(mut asked) = ASKED.try_lock() else { return None };
    let mut forks = forks();
    let threads = match &*asked {
        Some((told, then)) => {
            forks = *then;
            told.try_recv().ok().map(|()| rayon::current_num_threads())
        }
        None => match rayon::ThreadPoolBuilder::new().build_global() {
            Ok(()) => Some(rayon::current_num_threads()),
            // If the system refused to start the threads, the error has the system's reason as its source.
            Err(e) if std::error::Error::source(&e).is_some() => Some(1),
            Err(_) => {
                let told = ask();
                let answered = told.recv_timeout(PATIENCE).is_ok();
                *asked = Some((told, forks));
                answered.then(rayon::current_num_threads)
            }
        },
    };
    threads.map(|threads| POOL.get_or_init(|| Pool { threads, forks }))
}

/// The time to wait for the first message of a pool that other code started. Its threads may be busy, or may exist
/// only in the process that this one was forked from.
const PATIENCE: Duration = Duration::from_millis(100);

/// Requests a message from a thread of the global pool, which other code started. Returns the receiver.
fn ask() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    // `rayon::spawn` panics if the pool could not be started. Then no message arrives.
    let _ = std::panic::catch_unwind(|| rayon::spawn(move || tell.send(()).unwrap_or_default()));
    told
}

/// Runs both functions, possibly at the same time, on the threads that [`available`] counts.
pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if available() > 1 {
        rayon::join(a, b);
    } else {
        a();
        b();
    }
}

/// Splits `0..total` into at most `threads` parts of about equal size, whose bounds are multiples of `unit`, and
/// calls `work` for each. Calls it once for the whole range if no other thread is [`available`].
///
/// # Errors
/// One of the errors, if parts fail.
pub(crate) fn split(
    threads: usize,
    total: usize,
    unit: usize,
    work: impl Fn(Range<usize>) -> Result<()> + Sync,
) -> Result<()> {
    split_among(threads, total, unit, &work)
}

/// The body of [`split`], compiled only once: `split` is called with hundreds of types of closures.
fn split_among(
    threads: usize,
    total: usize,
    unit: usize,
    work: &(dyn Fn(Range<usize>) -> Result<()> + Sync),
) -> Result<()> {
    let units = total.div_ceil(unit);
    let parts = threads.min(units).max(1);
    let bounds = |i: usize| (units * i / parts * unit).min(total);
    if parts == 1 || available() == 1 {
        return work(0..total);
    }
    let failed = Mutex::new(Ok(()));
    rayon::scope(|scope| {
        for i in 1..parts {
            let failed = &failed;
            scope.spawn(move |_| {
                if let Err(e) = work(bounds(i)..bounds(i + 1)) {
                    *failed.lock().unwrap_or_else(|p| p.into_inner()) = Err(e);
                }
            });
        }
        if let Err(e) = work(bounds(0)..bounds(1)) {
            *failed.lock().unwrap_or_else(|p| p.into_inner()) = Err(e);
        }
    });
    failed.into_inner().unwrap_or_else(|p| p.into_inner())
}

/// A pointer that threads share, each of which writes its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub *mut T);

// SAFETY: sending a pointer accesses nothing; every block that writes through it states why the parts are disjoint.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}
