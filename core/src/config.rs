//! Settings of the process, read once from the environment.

use crate::{Error, Result};
use std::sync::OnceLock;

/// What the environment asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The most threads an operation may use: `POLYARRAY_THREADS`, else the number of cores.
    pub threads: usize,
    /// The device in force where the program names none: `POLYARRAY_DEVICE`; `None` is `auto`.
    pub device: Option<String>,
    /// A number of threads that is none.
    wrong_threads: Option<String>,
}

impl Config {
    /// Fails where a setting makes no sense.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |value: &String| Error::Setting {
            name: "POLYARRAY_THREADS",
            value: value.clone(),
            why: "a number of threads is 1 or more".into(),
        };
        self.wrong_threads.as_ref().map_or(Ok(()), |value| Err(wrong(value)))
    }
}

/// The settings in force. One that makes no sense is an [`Error::Setting`] of the first operation.
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

/// Runs `f` with at most `threads` threads for each operation it starts on this thread.
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

/// The most threads an operation started on this thread may use.
pub(crate) fn threads() -> usize {
    THREADS.get().unwrap_or_else(|| config().threads)
}
