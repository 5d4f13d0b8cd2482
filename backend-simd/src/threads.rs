//! Work on several threads: those of the rayon pool that the caller runs in, else of rayon's global pool.

use polyarray_core::{Result, forks};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

/// How many threads work can be cut among now. It is 1 where the system refused to start the global pool, and in a child process of the one whose pool it is: a
/// fork copies a pool without its threads, and what it is given would be waited for for ever.
pub(crate) fn available() -> usize {
    if rayon::current_thread_index().is_some() {
        // A pool of the caller's, or the global one; either may have been made before a fork.
        return if forks() == 0 { rayon::current_num_threads() } else { 1 };
    }
    match global() {
        Some(pool) if pool.forks == forks() => pool.threads,
        _ => 1,
    }
}

/// The global pool.
struct Pool {
    threads: usize,
    /// The number of [`forks`] of its process.
    forks: u32,
}

/// The global pool, started if nobody has; `None` as long as one that somebody else started has not been seen to work.
fn global() -> Option<&'static Pool> {
    static POOL: OnceLock<Pool> = OnceLock::new();
    /// Receives a word from a pool that was started before; and the number of forks when it was asked for.
    static ASKED: Mutex<Option<(mpsc::Receiver<()>, u32)>> = Mutex::new(None);
    if let Some(pool) = POOL.get() {
        return Some(pool);
    }
    // Another thread is starting it, or was when this process was forked: this operation does without.
    let Ok(mut asked) = ASKED.try_lock() else { return None };
    let mut forks = forks();
    let threads = match &*asked {
        Some((told, then)) => {
            forks = *then;
            told.try_recv().ok().map(|()| rayon::current_num_threads())
        }
        None => match rayon::ThreadPoolBuilder::new().build_global() {
            Ok(()) => Some(rayon::current_num_threads()),
            // The system's reason is the source of the error, where it refused.
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

/// How long a pool that somebody else started is waited for. Its threads may be busy, or have stayed in the process that this one was forked from.
const PATIENCE: Duration = Duration::from_millis(100);

/// Has a thread of the global pool, which somebody else started, say a word.
fn ask() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    // A pool that could not be started panics; the word is then lost.
    let _ = std::panic::catch_unwind(|| rayon::spawn(move || tell.send(()).unwrap_or_default()));
    told
}

/// Runs both, perhaps at the same time. The threads are those that [`available`] counts.
pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if available() > 1 {
        rayon::join(a, b);
    } else {
        a();
        b();
    }
}

/// Calls `work` for each part of `0..total`, cut into at most `threads` parts of about equal size whose bounds are multiples of `unit`; for all of it, if no other
/// thread is [`available`].
///
/// # Errors
/// The first error of any part.
pub(crate) fn split(
    threads: usize,
    total: usize,
    unit: usize,
    work: impl Fn(Range<usize>) -> Result<()> + Sync,
) -> Result<()> {
    split_among(threads, total, unit, &work)
}

/// [`split`], compiled once: there are hundreds of kinds of work.
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

/// A pointer that threads may share because each writes a part of its own.
#[derive(Clone, Copy)]
pub(crate) struct Shared<T>(pub *mut T);

// SAFETY: a pointer is a number; whoever writes through it states why the parts are disjoint.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The pointer.
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}
