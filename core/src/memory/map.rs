//! Mapped files as buffers: their pages are read from the file when they are first used, and need no memory of their
//! own unless a private map is written.

use crate::{Error, Result};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::{File, TryLockError};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The effect of writes to a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The map cannot be written.
    Read,
    /// Writes change copies of pages, which only this process sees.
    Private,
    /// Writes change the file.
    Write,
}

/// The first bytes of a file, mapped into the address space.
///
/// Invariants:
/// 1. the bytes are valid for reads, and unless `access` is `Read` for writes, as long as the map lives and the file
///    keeps its length;
/// 2. the file is locked as long as the map lives, where its file system has locks: see [`lock`].
pub(crate) struct Map {
    bytes: MmapRaw,
    access: Access,
    file: File,
    path: PathBuf,
}

/// Locks a file until it is closed: for one map or writer, or for any number of readers. Every function of this library
/// that maps or overwrites an array's file locks it, so that none changes or truncates a file under a map. Returns the
/// reason if the file is locked already. File systems without locks are not protected.
pub(crate) fn lock(file: &File, alone: bool) -> Result<(), String> {
    match if alone { file.try_lock() } else { file.try_lock_shared() } {
        Err(TryLockError::WouldBlock) => Err("the file is locked: it is mapped, or being written".into()),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

impl Map {
    /// Maps the first `len` bytes of a [locked](lock) file. Fails if it is shorter.
    pub fn new(file: File, path: &Path, len: usize, access: Access) -> Result<Map> {
        let mut options = MmapOptions::new();
        let bytes = match access {
            Access::Read => options.len(len).map_raw_read_only(&file),
            // SAFETY: accesses of a private map need a file that keeps its length and that nothing changes. Its lock
            // keeps this library from both; docs/safety.md states what other programs must not do.
            Access::Private => unsafe { options.len(len).no_reserve_swap().map_copy(&file) }.map(MmapRaw::from),
            Access::Write => options.len(len).map_raw(&file),
        };
        let bytes = bytes.map_err(|e| Error::File { path: path.into(), why: format!("cannot be mapped: {e}") })?;
        let map = Map { bytes, access, file, path: path.into() };
        map.check()?;
        Ok(map)
    }

    pub fn access(&self) -> Access {
        self.access
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn ptr(&self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Fails if the file has become shorter than the map. An access to a page beyond the end of the file ends the
    /// process.
    pub fn check(&self) -> Result<()> {
        let fail = |why: String| Error::File { path: self.path.clone(), why };
        let now = self.file.metadata().map_err(|e| fail(format!("cannot be read: {e}")))?.len();
        if now < self.len() as u64 {
            let mapped = self.len();
            return Err(fail(format!("was cut to {now} bytes under a map of {mapped} bytes")));
        }
        Ok(())
    }

    /// Writes all changes to the disk and waits until it has them.
    pub fn flush(&self) -> Result<()> {
        let fail = |e: std::io::Error| Error::File { path: self.path.clone(), why: format!("cannot be written: {e}") };
        self.bytes.flush().map_err(fail)
    }

    /// Advises the operating system whether the whole map is read once, from its start to its end.
    pub fn set_sequential(&self, sequential: bool) {
        #[cfg(unix)]
        {
            use memmap2::Advice;
            // Without the advice, reading is only slower.
            let _ = self.bytes.advise(if sequential { Advice::Sequential } else { Advice::Normal });
        }
        #[cfg(not(unix))]
        let _ = sequential;
    }

    /// Advises the operating system that the bytes will be read soon.
    pub fn will_need(&self, bytes: Range<usize>) {
        #[cfg(unix)]
        let _ = self.bytes.advise_range(memmap2::Advice::WillNeed, bytes.start, bytes.len());
        #[cfg(not(unix))]
        let _ = bytes;
    }

    /// Removes the pages of the bytes from the memory of this process. The next access reads them again. Does nothing
    /// for a private map, whose changes would be lost.
    pub fn release(&self, bytes: Range<usize>) {
        #[cfg(target_os = "linux")]
        if self.access != Access::Private && !bytes.is_empty() {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the pages of a shared map are those of the file: the next access finds the same bytes, and
            // changes are kept. Private maps, for which this is not so, were excluded.
            let _ = unsafe { self.bytes.unchecked_advise_range(advice, bytes.start, bytes.len()) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = bytes;
    }
}
