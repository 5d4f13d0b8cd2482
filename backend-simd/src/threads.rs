//! Work on several threads.

use polyarray_core::Result;
use std::ops::Range;
use std::sync::Mutex;

/// Calls `work` for each part of `0..total`, cut into at most `threads` parts of about equal size whose bounds are multiples of `unit`.
/// The threads are those of the rayon pool that the caller runs in.
///
/// # Errors
/// The first error of any part.
pub(crate) fn split(threads: usize, total: usize, unit: usize, work: impl Fn(Range<usize>) -> Result<()> + Sync) -> Result<()> {
    split_among(threads, total, unit, &work)
}

/// [`split`], compiled once: there are hundreds of kinds of work.
fn split_among(threads: usize, total: usize, unit: usize, work: &(dyn Fn(Range<usize>) -> Result<()> + Sync)) -> Result<()> {
    let units = total.div_ceil(unit);
    let parts = threads.min(units).max(1);
    let bounds = |i: usize| (units * i / parts * unit).min(total);
    if parts == 1 {
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
