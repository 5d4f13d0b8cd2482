//! The GPU's memory: buffers, taken from a pool of freed ones where possible.

use crate::device::{Binding, Gpu, lock};
use crate::faults::Fate;
use crate::ledger::Block;
use crate::split::reach;
use polyarray_core::op::{Operand, Output};
use polyarray_core::{Buffer, DType, Error, Memory, MemoryId, MemoryInfo, Result};
use std::sync::Arc;

/// Sizes of buffers are multiples of this: room for whole vectors of four, and for any alignment of bindings.
const GRAIN: u64 = 256;
/// The largest number of bytes of freed buffers that are kept.
const POOL_LIMIT: u64 = 512 << 20;

/// Freed buffers, the most recent last.
#[derive(Default)]
pub(crate) struct Pool {
    buffers: Vec<Block>,
    bytes: u64,
}

impl Pool {
    fn take(&mut self, size: u64) -> Option<Block> {
        let at = self.buffers.iter().rposition(|b| b.size() == size)?;
        self.bytes -= size;
        Some(self.buffers.remove(at))
    }

    /// Adds a buffer. Returns the oldest buffers that exceed the limit.
    fn put(&mut self, buffer: Block, limit: u64) -> Vec<Block> {
        self.bytes += buffer.size();
        self.buffers.push(buffer);
        let mut excess = Vec::new();
        while self.bytes > limit {
            let oldest = self.buffers.remove(0);
            self.bytes -= oldest.size();
            excess.push(oldest);
        }
        excess
    }

    /// Removes and returns all buffers, so that the driver can free them.
    pub fn trim(&mut self) -> Vec<Block> {
        self.bytes = 0;
        std::mem::take(&mut self.buffers)
    }
}

/// Rounds a size up to eighths of a power of two, so that freed buffers fit later requests.
fn size_class(bytes: u64) -> u64 {
    let step = (bytes.next_power_of_two() / 16).max(GRAIN);
    bytes.max(1).next_multiple_of(step)
}

/// A buffer that returns to the pool when its last owner is dropped.
pub(crate) struct Handle {
    gpu: Arc<Gpu>,
    block: Option<Block>,
    fate: Arc<Fate>,
}

impl Handle {
    pub fn buffer(&self) -> &wgpu::Buffer {
        self.block.as_ref().expect("taken only when dropped")
    }

    /// The reason why the contents are invalid, if they are.
    pub fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// Marks the contents as invalid. Returns the reason of the first mark.
    pub fn spoil(&self, why: &str) -> String {
        self.fate.get_or_init(|| why.into()).to_string()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            let limit = POOL_LIMIT.min(self.gpu.ledger.budget() / 2);
            let excess = lock(&self.gpu.pool).put(block, limit);
            drop(excess);
        }
    }
}

/// Allocates a buffer of at least `bytes` bytes.
///
/// # Errors
/// [`Error::OutOfMemory`], after freeing the pool, draining the queue and one more attempt.
pub(crate) fn allocate(gpu: &Arc<Gpu>, bytes: usize) -> Result<Handle> {
    let out_of_memory = |why: String| Error::OutOfMemory { memory: gpu.name.clone(), bytes, why };
    let most = gpu.limits.buffer;
    if bytes as u64 > most {
        return Err(out_of_memory(format!("a buffer has at most {most} bytes on {}", gpu.info.name)));
    }
    let size = size_class(bytes as u64).min(most);
    let handle = |block| Handle { gpu: gpu.clone(), block: Some(block), fate: Arc::default() };
    gpu.alive()?;
    if let Some(block) = lock(&gpu.pool).take(size) {
        return Ok(handle(block));
    }
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    if let Ok(block) = gpu.create(size, usage, false) {
        return Ok(handle(block));
    }
    gpu.free_memory()?;
    gpu.create(size, usage, false).map(handle).map_err(out_of_memory)
}

/// The memory of one GPU.
pub(crate) struct GpuMemory {
    id: MemoryId,
    info: MemoryInfo,
    gpu: Arc<Gpu>,
}

impl GpuMemory {
    pub fn new(id: MemoryId, gpu: Arc<Gpu>) -> GpuMemory {
        let (bandwidth, latency) = match gpu.info.device_type {
            wgpu::DeviceType::DiscreteGpu => (8e9, 40e-6),
            wgpu::DeviceType::Cpu => (2e9, 150e-6),
            _ => (6e9, 60e-6),
        };
        let info = MemoryInfo {
            name: gpu.name.clone(),
            max_allocation: usize::try_from(gpu.limits.buffer).unwrap_or(usize::MAX),
            max_elements: usize::try_from(gpu.limits.buffer / 4).unwrap_or(usize::MAX),
            stored_sizes: DType::ALL.map(|d| if crate::render::is_supported(d) { 4 } else { 0 }),
            upload_bandwidth: bandwidth,
            download_bandwidth: bandwidth,
            transfer_latency: latency,
        };
        GpuMemory { id, info, gpu }
    }

    pub fn id(&self) -> MemoryId {
        self.id
    }
}

// SAFETY: the info does not change after construction. Every block is newly allocated or comes from the pool of freed
// ones. The driver checks the ranges of copies, and `handle` checks the kind of the buffer.
unsafe impl Memory for GpuMemory {
    fn info(&self) -> &MemoryInfo {
        &self.info
    }

    fn alloc(&self, bytes: usize) -> Result<Buffer> {
        Buffer::foreign(self.id, bytes, allocate(&self.gpu, bytes)?)
    }

    unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()> {
        self.gpu.write(handle(dst), at as u64, src)
    }

    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()> {
        self.gpu.read(handle(src), at as u64, dst)
    }
}

/// Returns this crate's handle of a buffer in this memory.
pub(crate) fn handle(buffer: &Buffer) -> &Handle {
    match buffer.handle::<Handle>() {
        Some(handle) => handle,
        None => unreachable!("core moves operands to the memory of the device that runs the operation"),
    }
}

/// Elements of a buffer, with strides over the axes of an operation.
#[derive(Clone)]
pub(crate) struct View<'a> {
    pub handle: &'a Handle,
    pub dtype: DType,
    pub offset: usize,
    pub strides: Vec<isize>,
}

impl<'a> View<'a> {
    pub fn of(operand: &'a Operand) -> View<'a> {
        View {
            handle: handle(&operand.buffer),
            dtype: operand.dtype,
            offset: operand.offset,
            strides: operand.strides.to_vec(),
        }
    }

    pub fn output(buffer: &'a Buffer, output: &Output) -> View<'a> {
        View { handle: handle(buffer), dtype: output.dtype, offset: output.offset, strides: output.strides.to_vec() }
    }

    /// Returns the binding of the part that a piece of the index space touches, and the element of it at the piece's
    /// first index.
    pub fn bind(&self, gpu: &Gpu, start: &[usize], lens: &[usize]) -> (Binding<'a>, u32) {
        let at = start.iter().zip(&self.strides).fold(self.offset as isize, |at, (&i, &s)| at + i as isize * s);
        let below: isize = lens.iter().zip(&self.strides).map(|(&n, &s)| ((n - 1) as isize * s).min(0)).sum();
        let first = (at + below) as u64 * 4;
        let begin = first / gpu.limits.alignment * gpu.limits.alignment;
        let end = (first + reach(lens, &self.strides) as u64 * 4).next_multiple_of(16).min(self.handle.buffer().size());
        (Binding { handle: self.handle, offset: begin, size: end - begin }, (at as u64 - begin / 4) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_whole_grains_and_waste_little() {
        for bytes in (1..5000).chain([1 << 20, (1 << 27) + 4, 3_000_000_001]) {
            let size = size_class(bytes);
            assert!(size >= bytes && size.is_multiple_of(GRAIN));
            assert!(size <= bytes + bytes / 7 + GRAIN, "{bytes} became {size}");
            assert_eq!(size_class(size), size, "a class is its own class");
        }
    }
}
