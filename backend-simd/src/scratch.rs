//! Scratch memory of a thread, kept from one operation to the next.

use polyarray_core::{Error, Result};
use std::cell::RefCell;

/// One cache line, one AVX-512 register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// The largest block, in bytes, that a thread keeps after use. Larger ones are freed.
const KEPT: usize = 8 << 20;

/// A block of initialised bytes (zeros or old data), aligned to 64 bytes. It returns to its thread's free list when
/// dropped.
pub(crate) struct Scratch(Vec<Line>);

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

impl Scratch {
    /// Allocates at least `bytes` bytes with unspecified values.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(bytes: usize) -> Result<Scratch> {
        let lines = bytes.div_ceil(64).max(1);
        // While a thread ends, its free list no longer exists; then a new block is allocated.
        let mut block = FREE.try_with(|free| free.borrow_mut().pop()).ok().flatten().unwrap_or_default();
        if block.len() < lines {
            let more = lines - block.len();
            block.try_reserve_exact(more).map_err(|e| Error::OutOfMemory {
                memory: "the host".into(),
                bytes,
                why: e.to_string(),
            })?;
            block.resize(lines, Line([0; 64]));
        }
        Ok(Scratch(block))
    }

    /// Returns the size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.0[..])
    }

    pub(crate) fn ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}

/// Returns an empty vector with room for `n` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn room<T>(n: usize) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    let bytes = n.saturating_mul(size_of::<T>());
    vec.try_reserve_exact(n).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    Ok(vec)
}

/// Returns a vector of `n` copies of `value`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn filled<T: Clone>(n: usize, value: T) -> Result<Vec<T>> {
    let mut vec = room(n)?;
    vec.resize(n, value);
    Ok(vec)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.0);
        if block.len() * 64 <= KEPT {
            let _ = FREE.try_with(|free| {
                let mut free = free.borrow_mut();
                if free.len() < 8 {
                    free.push(block);
                }
            });
        }
    }
}
