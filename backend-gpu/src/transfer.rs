//! Transfers between the host and a device, through staging buffers of this crate.
//!
//! `Queue::write_buffer` is not used. If memory runs out, its own staging buffers make wgpu lose the device, whereas
//! [`Gpu::create`] returns an error.

use crate::device::{Gpu, lock};
use crate::ledger::Block;
use crate::memory::Handle;
use crate::wait::Ticket;
use polyarray_core::{Error, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// The largest number of bytes that one step of a transfer moves.
const LARGEST: u64 = 8 << 20;
/// Bytes of the smallest staging buffer.
const SMALLEST: u64 = 4096;
/// The largest number of steps of one transfer under way at a time.
const DEPTH: usize = 3;
/// The largest number of staging buffers of more than [`SMALL`] bytes that are kept for each direction.
const KEPT: usize = DEPTH + 1;
/// Staging buffers up to this size are always kept. They hold parameters, one buffer for each submission under way.
const SMALL: u64 = 64 << 10;

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const FAILED: u8 = 2;

/// A staging buffer.
///
/// Invariant: `state` is [`MAPPED`] only while the buffer is mapped. The callback that sets it may run on any thread.
pub(crate) struct Slot {
    block: Block,
    state: Arc<AtomicU8>,
}

impl Slot {
    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    /// Requests a mapping of the first `bytes` bytes. `state` changes when the mapping is done.
    fn map(&self, mode: wgpu::MapMode, bytes: u64) {
        self.state.store(PENDING, Ordering::Release);
        let state = self.state.clone();
        self.block.slice(..bytes).map_async(mode, move |mapped| {
            state.store(if mapped.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
        });
    }
}

/// The staging buffers of one device.
#[derive(Default)]
pub(crate) struct Staging {
    /// Buffers for uploads: mapped, or being mapped.
    uploads: Mutex<Vec<Slot>>,
    /// Buffers for downloads: not mapped.
    downloads: Mutex<Vec<Block>>,
}

impl Staging {
    /// Frees all buffers that are not in use.
    pub fn trim(&self) {
        let uploads = std::mem::take(&mut *lock(&self.uploads));
        let downloads = std::mem::take(&mut *lock(&self.downloads));
        drop((uploads, downloads));
    }
}

/// Removes and returns the smallest of the large buffers if there are more than [`KEPT`].
fn limit<T>(all: &mut Vec<T>, size: impl Fn(&T) -> u64) -> Option<T> {
    let large = all.iter().filter(|t| size(t) > SMALL).count();
    let smallest = (0..all.len()).filter(|&i| size(&all[i]) > SMALL).min_by_key(|&i| size(&all[i]))?;
    (large > KEPT).then(|| all.swap_remove(smallest))
}

/// A mapping of a buffer. Dropping it unmaps the buffer, also after a failed read.
struct Mapping<'a> {
    gpu: &'a Gpu,
    slot: &'a Slot,
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        // Unmapping a buffer that was never mapped is an error. It is ignored, because the read returns the reason for
        // the missing mapping.
        let _ = self.gpu.caught(|| self.slot.block.unmap());
    }
}

impl Gpu {
    /// Returns the bytes of one step of a transfer, so that transfers use only a part of a small budget.
    fn step(&self) -> u64 {
        LARGEST.min((self.ledger.budget() / 32).next_power_of_two()).max(SMALLEST)
    }

    fn staging_size(bytes: usize) -> u64 {
        (bytes as u64).next_power_of_two().max(SMALLEST)
    }

    fn no_staging(&self, bytes: usize, why: String) -> Error {
        Error::OutOfMemory { memory: self.name.clone(), bytes, why: format!("for a staging buffer; {why}") }
    }

    /// Returns a mapped buffer of at least `bytes` bytes for an upload. May free memory and wait for that, so the
    /// stream must not be locked.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn upload_buffer(&self, bytes: usize) -> Result<Slot> {
        let size = Gpu::staging_size(bytes);
        let find = || {
            let mut uploads = lock(&self.staging.uploads);
            uploads.retain(|s| s.state() != FAILED);
            let at = uploads.iter().position(|s| s.block.size() == size && s.state() == MAPPED)?;
            Some(uploads.swap_remove(at))
        };
        let again = || {
            self.poll();
            find()
        };
        if let Some(slot) = find().or_else(again) {
            return Ok(slot);
        }
        let make = || self.create(size, wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC, true);
        let block = make().or_else(|_| {
            self.free_memory()?;
            make().map_err(|why| self.no_staging(bytes, why))
        })?;
        Ok(Slot { block, state: Arc::new(AtomicU8::new(MAPPED)) })
    }

    /// Puts back a buffer that was not used for an upload.
    pub fn put_back(&self, slot: Slot) {
        lock(&self.staging.uploads).push(slot);
    }

    /// Keeps a staging buffer for later uploads. Called after the copy from it is submitted.
    fn reuse(&self, slot: Slot) {
        slot.map(wgpu::MapMode::Write, slot.block.size());
        let mut uploads = lock(&self.staging.uploads);
        uploads.push(slot);
        let excess = limit(&mut uploads, |s| s.block.size());
        drop(uploads);
        drop(excess);
    }

    /// Submits a copy of `bytes` through `slot` to `offset` of `to`, then `and`. Nothing waits, so the stream may be
    /// locked. It must be locked to preserve the order of the work.
    ///
    /// # Errors
    /// The driver's error. The staging buffer is then dropped.
    pub fn send(
        &self,
        slot: Slot,
        bytes: &[u8],
        to: &wgpu::Buffer,
        offset: u64,
        and: Option<wgpu::CommandEncoder>,
    ) -> Result<(), String> {
        let mut view = slot.block.slice(..bytes.len() as u64).get_mapped_range_mut().map_err(|e| e.to_string())?;
        view.copy_from_slice(bytes);
        drop(view);
        self.caught(|| {
            slot.block.unmap();
            let mut copy = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            copy.copy_buffer_to_buffer(&slot.block, 0, to, offset, bytes.len() as u64);
            self.queue.submit(std::iter::once(copy.finish()).chain(and.map(wgpu::CommandEncoder::finish)));
        })?;
        self.reuse(slot);
        Ok(())
    }

    /// Writes `bytes` at `offset` of `buffer`, after all earlier work.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is no memory for a staging buffer, and the errors of the device. A failed
    /// transfer marks the contents of `buffer` as invalid.
    pub fn write(&self, buffer: &Handle, offset: u64, bytes: &[u8]) -> Result<()> {
        self.check()?;
        let written = self.write_steps(buffer, offset, bytes);
        if let Err(e) = &written {
            buffer.spoil(&format!("an earlier upload to this buffer failed: {e}"));
        }
        written
    }

    fn write_steps(&self, buffer: &Handle, offset: u64, bytes: &[u8]) -> Result<()> {
        let step = self.step();
        let mut under_way: VecDeque<Ticket> = VecDeque::new();
        for (i, chunk) in bytes.chunks(step as usize).enumerate() {
            if under_way.len() == DEPTH {
                let oldest = under_way.pop_front().expect("`under_way` holds DEPTH tickets");
                self.wait_for(oldest, || format!("an upload of {} bytes", bytes.len()))?;
            }
            let slot = self.upload_buffer(chunk.len())?;
            let mut stream = self.stream();
            // A failure of the earlier work concerns only the threads that requested it, possibly this one.
            if let Err(failed) = self.submit(&mut stream).or_else(|failed| failed.of_others(self)) {
                self.put_back(slot);
                return Err(failed);
            }
            let sent = self.send(slot, chunk, buffer.buffer(), offset + i as u64 * step, None);
            sent.map_err(|why| self.alive().err().unwrap_or_else(|| self.error(why)))?;
            under_way.push_back(stream.under_way.add(&self.queue));
        }
        self.settle()?;
        self.check()
    }

    /// Reads `bytes` from `offset` of `buffer`, after all earlier work.
    pub fn read(&self, buffer: &Handle, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.check()?;
        let step = self.step();
        let all = bytes.len();
        for (i, chunk) in bytes.chunks_mut(step as usize).enumerate() {
            let block = self.download_buffer(chunk.len())?;
            let slot = Slot { block, state: Arc::new(AtomicU8::new(PENDING)) };
            self.read_step(buffer, offset + i as u64 * step, &slot, chunk, all)?;
            let mut downloads = lock(&self.staging.downloads);
            downloads.push(slot.block);
            let excess = limit(&mut downloads, |b| b.size());
            drop(downloads);
            drop(excess);
        }
        Ok(())
    }

    fn download_buffer(&self, bytes: usize) -> Result<Block> {
        let size = Gpu::staging_size(bytes);
        let mut downloads = lock(&self.staging.downloads);
        if let Some(at) = downloads.iter().position(|b| b.size() == size) {
            return Ok(downloads.swap_remove(at));
        }
        drop(downloads);
        let make = || self.create(size, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, false);
        if let Ok(block) = make() {
            return Ok(block);
        }
        self.free_memory()?;
        make().map_err(|why| self.no_staging(bytes, why))
    }

    fn read_step(&self, buffer: &Handle, offset: u64, slot: &Slot, out: &mut [u8], all: usize) -> Result<()> {
        let len = out.len() as u64;
        let mut stream = self.stream();
        let submitted = self.submit(&mut stream);
        if let Some(why) = buffer.fate().get() {
            return Err(self.alive().err().unwrap_or_else(|| self.error(why.to_string())));
        }
        // The buffer is valid, so the failed work was other work. If it was this thread's own, the error is returned
        // here.
        submitted.or_else(|failed| failed.of_others(self))?;
        let sent = self.caught(|| {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(buffer.buffer(), offset, &slot.block, 0, len);
            self.queue.submit([encoder.finish()]);
            slot.map(wgpu::MapMode::Read, len);
        });
        let mapping = Mapping { gpu: self, slot };
        sent.map_err(|e| self.error(e))?;
        let ticket = stream.under_way.add(&self.queue);
        drop(stream);
        self.wait_until(ticket, || format!("reading {all} bytes"), || slot.state() != PENDING)?;
        if slot.state() == FAILED {
            self.poll();
            return Err(self.alive().err().unwrap_or_else(|| {
                self.error(format!("the driver did not map a staging buffer for reading {all} bytes"))
            }));
        }
        let view = slot.block.slice(..len).get_mapped_range().map_err(|e| self.error(e.to_string()))?;
        out.copy_from_slice(&view);
        drop(view);
        drop(mapping);
        Ok(())
    }
}
