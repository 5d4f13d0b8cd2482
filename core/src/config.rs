//! Settings of the process, read once from the environment.

use crate::{Error, Result};
use std::cell::Cell;
use std::sync::OnceLock;
use std::thread::LocalKey;

/// The settings from the environment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The maximum number of threads for an operation: `POLYARRAY_THREADS`, or the number of cores.
    pub threads: usize,
    /// The device that is used if the program names none: `POLYARRAY_DEVICE`, or `None` for `auto`.
    pub device: Option<String>,
    /// The largest number of bytes that [streams](crate::stream) allocate for their blocks: `POLYARRAY_MEMORY_LIMIT`,
    /// for example `1073741824` or `1 GiB`.
    pub memory_limit: Option<u64>,
    /// The raw value of `POLYARRAY_THREADS`, if it is not a valid thread count.
    wrong_threads: Option<String>,
    /// The raw value of `POLYARRAY_MEMORY_LIMIT`, if it is not a valid number of bytes.
    wrong_memory_limit: Option<String>,
}

impl Config {
    /// Fails if a setting is invalid.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(crate) fn check(&self) -> Result<()> {
        let settings = [
            ("POLYARRAY_THREADS", &self.wrong_threads, "the number of threads must be an integer of at least 1"),
            (
                MEMORY_LIMIT,
                &self.wrong_memory_limit,
                "the limit must be a positive number of bytes, KiB, MiB or GiB, such as 2000000000 or 2 GiB",
            ),
        ];
        let wrong = settings.into_iter().find_map(|(name, value, why)| Some((name, value.clone()?, why)));
        wrong.map_or(Ok(()), |(name, value, why)| Err(Error::Setting { name, value, why: why.into() }))
    }
}

/// The name of the environment variable.
pub(crate) const MEMORY_LIMIT: &str = "POLYARRAY_MEMORY_LIMIT";

/// Returns a positive number of bytes from text such as `4096` or `2 GiB`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|&n| n > 0)
}

/// Returns the settings. If one is invalid, operations fail with [`Error::Setting`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// println!("at most {} threads, device {:?}", config().threads, config().device);
/// assert!(config().threads >= 1);
/// # Ok::<(), Error>(())
/// ```
pub fn config() -> &'static Config {
    static CONFIG: OnceLock<Config> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let set = |name| std::env::var(name).ok().filter(|v: &String| !v.trim().is_empty());
        let asked = set("POLYARRAY_THREADS");
        let threads = asked.as_ref().and_then(|v| v.trim().parse().ok()).filter(|&n| n > 0);
        let wrong_threads = asked.filter(|_| threads.is_none());
        let limit = set(MEMORY_LIMIT);
        let memory_limit = limit.as_deref().and_then(bytes);
        let wrong_memory_limit = limit.filter(|_| memory_limit.is_none());
        let device = std::env::var("POLYARRAY_DEVICE")
            .ok()
            .map(|v| v.trim().to_string())
            .filter(|v| !v.is_empty() && v != "auto");
        let threads = threads.unwrap_or(cores);
        Config { threads, device, memory_limit, wrong_threads, wrong_memory_limit }
    })
}

thread_local! {
    static THREADS: Cell<Option<usize>> = const { Cell::new(None) };
    static LIMIT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `f` with another value of a setting of this thread.
fn with<V: Copy + 'static, R>(setting: &'static LocalKey<Cell<Option<V>>>, value: V, f: impl FnOnce() -> R) -> R {
    struct Restore<V: Copy + 'static>(&'static LocalKey<Cell<Option<V>>>, Option<V>);
    impl<V: Copy> Drop for Restore<V> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _restore = Restore(setting, setting.replace(Some(value)));
    f()
}

/// Runs `f` with at most `threads` threads for each operation that it starts on this thread.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::<f64>::ones([100, 100])?;
/// assert_eq!(with_threads(1, || x.matmul(&x))?.get([0, 0])?, 100.0);
/// # Ok::<(), Error>(())
/// ```
pub fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    with(&THREADS, threads.max(1), f)
}

/// Runs `f` with a limit of `bytes` bytes for the blocks of each [stream](crate::stream) that it runs on this thread,
/// instead of [`Config::memory_limit`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::<f32>::ones([1000, 1000])?;
/// assert_eq!(with_memory_limit(64 << 10, || stream::of(&x).sum())?, 1e6);
/// # Ok::<(), Error>(())
/// ```
pub fn with_memory_limit<R>(bytes: u64, f: impl FnOnce() -> R) -> R {
    with(&LIMIT, bytes, f)
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

/// The limit for the blocks of streams, if there is one.
pub(crate) fn memory_limit() -> Option<u64> {
    LIMIT.get().or_else(|| config().memory_limit)
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_of_bytes_have_units() {
        for (text, want) in [
            ("1", Some(1)),
            (" 4096 ", Some(4096)),
            ("3KiB", Some(3 << 10)),
            ("5 MiB", Some(5 << 20)),
            ("2GiB", Some(2 << 30)),
            ("17179869183 GiB", Some(u64::MAX - ((1 << 30) - 1))),
            ("17179869184 GiB", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(super::bytes(text), want, "{text}");
        }
        for text in ["", "0", "0 GiB", "-1", "+1", "1.5 GiB", "GiB", "1 GB", "1 gib", "0x10", "1 GiB 2", "1_000", "NaN"]
        {
            assert_eq!(super::bytes(text), None, "{text}");
        }
    }
}
