//! Counting the bytes of all buffers on a device, and refusing buffers beyond the budget.

use crate::device::Gpu;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of all buffers of a device: those of arrays, those kept for reuse, and staging buffers.
pub(crate) struct Ledger {
    budget: u64,
    bytes: AtomicU64,
}

impl Ledger {
    pub fn new(budget: u64) -> Ledger {
        Ledger { budget, bytes: AtomicU64::new(0) }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    pub fn budget(&self) -> u64 {
        self.budget
    }

    fn reserve(self: &Arc<Ledger>, size: u64) -> Option<Reserved> {
        let fits = |now: u64| now.checked_add(size).filter(|&then| then <= self.budget);
        self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).ok()?;
        Some(Reserved { ledger: self.clone(), size })
    }
}

/// A part of the budget, released when dropped.
struct Reserved {
    ledger: Arc<Ledger>,
    size: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.ledger.bytes.fetch_sub(self.size, Ordering::AcqRel);
    }
}

/// A buffer of the driver. Its bytes are counted until it is dropped.
pub(crate) struct Block {
    buffer: wgpu::Buffer,
    _reserved: Reserved,
}

impl std::ops::Deref for Block {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

impl Gpu {
    /// Creates a buffer, or returns the reason for the failure. The caller frees memory and tries again.
    pub fn create(&self, size: u64, usage: wgpu::BufferUsages, mapped: bool) -> Result<Block, String> {
        let Some(reserved) = self.ledger.reserve(size) else {
            let (budget, used) = (self.ledger.budget(), self.ledger.bytes());
            return Err(format!(
                "{used} of the budget of {budget} bytes are in use, so {size} more do not fit; drop arrays or raise \
                 Options::max_memory"
            ));
        };
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: mapped };
        let buffer = self
            .caught(|| self.device.create_buffer(&descriptor))
            .map_err(|e| format!("{e} ({} bytes are in use)", self.ledger.bytes()))?;
        Ok(Block { buffer, _reserved: reserved })
    }
}
