//! Settings of the process, read once from the environment.

use std::sync::OnceLock;

/// What the environment asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The most threads an operation may use: `POLYARRAY_THREADS`, else the number of cores.
    pub threads: usize,
    /// The device in force where the program names none: `POLYARRAY_DEVICE`; `None` is `auto`.
    pub device: Option<String>,
}

/// The settings in force.
pub fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = std::env::var("POLYARRAY_THREADS").ok().and_then(|v| v.trim().parse().ok()).filter(|&n| n > 0);
        let device = std::env::var("POLYARRAY_DEVICE").ok().map(|v| v.trim().to_string()).filter(|v| !v.is_empty() && v != "auto");
        Config { threads: threads.unwrap_or(cores), device }
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
