//! Scratch memory of a thread, kept from one operation to the next.

use polyarray_core::{Error, Result};
use std::cell::RefCell;

/// One cache line, one AVX-512 register.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: a line is plain bytes, of which zeros are valid ones.
unsafe impl bytemuck::Zeroable for Line {}

/// The most bytes of blocks that a thread keeps after use; others are freed. The packed operands of a large product are
/// the largest ones. To allocate them again would cost a page fault for every few kilobytes.
const KEPT: usize = 64 << 20;

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
        let kept = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            let long_enough = (0..free.len()).filter(|&i| free[i].len() >= lines);
            long_enough.min_by_key(|&i| free[i].len()).map(|i| free.swap_remove(i))
        });
        if let Some(block) = kept.ok().flatten() {
            return Ok(Scratch(block));
        }
        let block = bytemuck::allocation::try_zeroed_vec(lines).map_err(|()| Error::OutOfMemory {
            memory: "the host".into(),
            bytes,
            why: "the allocator returned no memory".into(),
        })?;
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
        if size_of_val(&block[..]) > KEPT {
            return;
        }
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            // The smallest blocks make room, because they take the least time to allocate again.
            while free.len() > 7 || (free.iter().map(Vec::len).sum::<usize>() + block.len()) * size_of::<Line>() > KEPT
            {
                match (0..free.len()).min_by_key(|&i| free[i].len()).filter(|&i| free[i].len() < block.len()) {
                    Some(smallest) => drop(free.swap_remove(smallest)),
                    None => return,
                }
            }
            free.push(block);
        });
    }
}
