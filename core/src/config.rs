//! Settings of the process, read once from the environment.

use crate::{Error, Result};
use std::sync::OnceLock;

/// The settings from the environment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The maximum number of threads for an operation: `POLYARRAY_THREADS`, or the number of cores.
    pub threads: usize,
    /// The device that is used if the program names none: `POLYARRAY_DEVICE`, or `None` for `auto`.
    pub device: Option<String>,
    /// The raw value of `POLYARRAY_THREADS`, if it is not a valid thread count.
    wrong_threads: Option<String>,
}

impl Config {
    /// Fails if a setting is invalid.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |value: &String| Error::Setting {
            name: "POLYARRAY_THREADS",
            value: value.clone(),
            why: "the number of threads must be an integer of at least 1".into(),
        };
        self.wrong_threads.as_ref().map_or(Ok(()), |value| Err(wrong(value)))
    }
}

/// Returns the settings. If one is invalid, operations fail with [`Error::Setting`].
pub fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let asked = std::env::var("POLYARRAY_THREADS").ok().filter(|v| !v.trim().is_empty());
        let threads = asked.as_ref().and_then(|v| v.trim().parse().ok()).filter(|&n| n > 0);
        let wrong_threads = asked.filter(|_| threads.is_none());
        let device = std::env::var("POLYARRAY_DEVICE")
            .ok()
            .map(|v| v.trim().to_string())
            .filter(|v| !v.is_empty() && v != "auto");
        Config { threads: threads.unwrap_or(cores), device, wrong_threads }
    })
}

thread_local! {
    static THREADS: std::cell::Cell<Option<usize>> = const { std::cell::Cell::new(None) };
}

/// Runs `f` with at most `threads` threads for each operation that it starts on this thread.
pub fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<usize>);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREADS.set(self.0);
        }
    }
    let _restore = Restore(THREADS.replace(Some(threads.max(1))));
    f()
}

/// Returns the maximum number of threads of an operation that starts on this thread: the limit of the innermost
/// [`with_threads`], else of [`config`].
///
/// # Errors
/// [`Error::Setting`] if `POLYARRAY_THREADS` is invalid.
///
/// ```
/// # use polyarray_core::*;
/// assert_eq!(with_threads(2, current_threads)?, 2);
/// # Ok::<(), Error>(())
/// ```
pub fn current_threads() -> Result<usize> {
    config().check()?;
    Ok(threads())
}

pub(crate) fn threads() -> usize {
    THREADS.get().unwrap_or_else(|| config().threads)
}
