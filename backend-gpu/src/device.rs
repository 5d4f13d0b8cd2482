//! One GPU: its queue, what it has not been given yet, and what went wrong on it.

use crate::memory::Pool;
use crate::pipeline::{Cache, Pipeline};
use polyarray_core::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Launches that are collected before the queue gets them.
const LAUNCHES_PER_SUBMIT: usize = 32;
/// Bytes of parameters that one submission can have.
const ARENA: usize = 64 << 10;
/// WGSL wants at most this many workgroups along one dimension of a grid.
const GRID: u32 = 65_535;

/// What drivers reported outside any error scope.
#[derive(Default)]
pub(crate) struct Faults {
    /// The first report since it was last asked for.
    report: Mutex<Option<String>>,
    /// Why the device is gone, once it is.
    lost: Mutex<Option<String>>,
}

/// What limits launches; tests make them small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes that one binding can have.
    pub binding: u64,
    /// What offsets of bindings are multiples of.
    pub alignment: u64,
    /// Storage buffers that one kernel can bind.
    pub buffers: usize,
    /// Bytes that one buffer can have.
    pub buffer: u64,
    /// Bytes of workgroup memory.
    pub workgroup: usize,
    /// From how many tiles of 128 x 128 on a matrix product uses them.
    pub large_tiles_from: usize,
}

impl Limits {
    /// Elements of four bytes that surely fit one binding, wherever they start.
    pub fn room(&self) -> usize {
        (self.binding.saturating_sub(self.alignment + 16) / 4) as usize
    }
}

/// A device, its queue and everything made for it.
///
/// Everything that touches a buffer goes through [`Stream`] in the order it was asked for, so a buffer may be reused as soon as its last owner is gone.
pub(crate) struct Gpu {
    pub name: String,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub limits: Limits,
    pub pool: Mutex<Pool>,
    pub pipelines: Mutex<Cache>,
    stream: Mutex<Stream>,
    faults: Arc<Faults>,
    uniform_alignment: usize,
}

/// Work that has been encoded and not submitted.
///
/// Invariants: 1. `params` holds the parameters of all launches in `open`, each at a multiple of the alignment, at most [`ARENA`] bytes; 2. without `open` it is empty.
/// `Queue::write_buffer` acts at the start of the next submission, so nothing but parameters may be written while there is `open` work.
struct Stream {
    open: Option<(wgpu::CommandEncoder, wgpu::ComputePass<'static>)>,
    launches: usize,
    params: Vec<u8>,
    arena: wgpu::Buffer,
    /// Through which results are read.
    staging: Option<wgpu::Buffer>,
}

/// A part of a buffer for a kernel: bytes `offset .. offset + size`.
pub(crate) struct Binding<'a> {
    pub buffer: &'a wgpu::Buffer,
    pub offset: u64,
    pub size: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    pub fn new(name: &str, (device, queue): (wgpu::Device, wgpu::Queue), info: wgpu::AdapterInfo, limits: Limits) -> Gpu {
        let faults = Arc::new(Faults::default());
        let report = faults.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            lock(&report.report).get_or_insert_with(|| e.to_string());
        }));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&lost.lost).get_or_insert_with(|| format!("the device was lost ({reason:?}): {message}"));
        });
        let descriptor = |size: usize, usage| wgpu::BufferDescriptor { label: None, size: size as u64, usage, mapped_at_creation: false };
        let arena = device.create_buffer(&descriptor(ARENA, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST));
        let uniform_alignment = (device.limits().min_uniform_buffer_offset_alignment as usize).max(16);
        let stream = Stream { open: None, launches: 0, params: Vec::new(), arena, staging: None };
        Gpu {
            name: name.into(),
            queue,
            info,
            limits,
            pool: Mutex::new(Pool::default()),
            pipelines: Mutex::new(Cache::default()),
            stream: Mutex::new(stream),
            faults,
            uniform_alignment,
            device,
        }
    }

    /// An error of this device.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::Device { device: format!("{} ({})", self.name, self.info.name), why: why.into() }
    }

    /// What has gone wrong since this was last asked; a lost device stays lost.
    pub fn check(&self) -> Result<()> {
        if let Some(why) = lock(&self.faults.lost).clone() {
            return Err(self.error(why));
        }
        lock(&self.faults.report).take().map_or(Ok(()), |why| Err(self.error(why)))
    }

    /// Runs `f` and gives what it made, or what the driver had against it.
    pub fn scoped<T>(&self, filter: wgpu::ErrorFilter, f: impl FnOnce() -> T) -> std::result::Result<T, wgpu::Error> {
        let scope = self.device.push_error_scope(filter);
        let made = f();
        pollster::block_on(scope.pop()).map_or(Ok(made), Err)
    }

    /// Encodes a launch of `groups` workgroups in x, y and z. Parameters are `words` after the zero that comes first.
    pub fn launch(&self, pipeline: &Pipeline, words: &[u32], bindings: &[Binding<'_>], groups: (u32, u32, u32)) -> Result<()> {
        debug_assert_eq!(words.len() + 1, pipeline.words, "as many parameters as the kernel reads");
        let bytes = pipeline.words.next_multiple_of(4) * 4;
        let mut stream = lock(&self.stream);
        if stream.launches == LAUNCHES_PER_SUBMIT || stream.params.len() + bytes > ARENA {
            self.submit(&mut stream)?;
        }
        let at = stream.params.len();
        stream.params.extend_from_slice(&[0; 4]);
        stream.params.extend_from_slice(bytemuck::cast_slice(words));
        let end = (at + bytes).next_multiple_of(self.uniform_alignment);
        stream.params.resize(end.min(ARENA), 0);

        let uniform = wgpu::BufferBinding { buffer: &stream.arena, offset: at as u64, size: std::num::NonZero::new(bytes as u64) };
        let storage = bindings.iter().map(|b| wgpu::BufferBinding { buffer: b.buffer, offset: b.offset, size: std::num::NonZero::new(b.size) });
        let entries: Vec<_> = std::iter::once(uniform)
            .chain(storage)
            .enumerate()
            .map(|(i, b)| wgpu::BindGroupEntry { binding: i as u32, resource: wgpu::BindingResource::Buffer(b) })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries });
        let (_, pass) = stream.open.get_or_insert_with(|| {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
            (encoder, pass)
        });
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups.0, groups.1, groups.2);
        stream.launches += 1;
        Ok(())
    }

    /// Gives the queue everything encoded so far.
    fn submit(&self, stream: &mut Stream) -> Result<()> {
        if let Some((encoder, pass)) = stream.open.take() {
            drop(pass);
            self.queue.write_buffer(&stream.arena, 0, &stream.params);
            stream.params.clear();
            stream.launches = 0;
            self.queue.submit([encoder.finish()]);
        }
        self.check()
    }

    fn wait(&self) -> Result<()> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| self.check().err().unwrap_or_else(|| self.error(e.to_string())))?;
        self.check()
    }

    /// Submits, and waits until everything is done.
    pub fn synchronize(&self) -> Result<()> {
        self.submit(&mut lock(&self.stream))?;
        self.wait()
    }

    /// Writes `bytes` at `offset` of `buffer`, after everything asked for before.
    pub fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut stream = lock(&self.stream);
        self.submit(&mut stream)?;
        // In chunks: a staging copy of the whole is made otherwise.
        for (i, chunk) in bytes.chunks(TRANSFER).enumerate() {
            self.queue.write_buffer(buffer, offset + (i * TRANSFER) as u64, chunk);
            self.queue.submit([]);
        }
        self.check()
    }

    /// Reads `bytes` from `offset` of `buffer` on, after everything asked for before.
    pub fn read(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let mut stream = lock(&self.stream);
        self.submit(&mut stream)?;
        for (i, chunk) in bytes.chunks_mut(TRANSFER).enumerate() {
            let staging = self.staging(&mut stream, chunk.len())?;
            self.read_chunk(buffer, offset + (i * TRANSFER) as u64, &staging, chunk)?;
        }
        Ok(())
    }

    /// The buffer to read through, at least `bytes` long.
    fn staging(&self, stream: &mut Stream, bytes: usize) -> Result<wgpu::Buffer> {
        if let Some(buffer) = stream.staging.as_ref().filter(|b| b.size() >= bytes as u64) {
            return Ok(buffer.clone());
        }
        let size = bytes.next_power_of_two().max(4096) as u64;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let make = || self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let out_of_memory = |e: wgpu::Error| Error::OutOfMemory { memory: self.name.clone(), bytes, why: format!("no room to read results through: {e}") };
        let buffer = self.scoped(wgpu::ErrorFilter::OutOfMemory, make).map_err(out_of_memory)?;
        stream.staging = Some(buffer.clone());
        Ok(buffer)
    }

    fn read_chunk(&self, buffer: &wgpu::Buffer, offset: u64, staging: &wgpu::Buffer, out: &mut [u8]) -> Result<()> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, staging, 0, out.len() as u64);
        self.queue.submit([encoder.finish()]);
        self.check()?;
        let slice = staging.slice(..out.len() as u64);
        let (send, receive) = std::sync::mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |mapped| {
            // Nobody listens any more if polling failed; there is nothing to tell then.
            let _ = send.send(mapped);
        });
        self.wait()?;
        match receive.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(self.error(e.to_string())),
            Err(_) => return Err(self.error("reading a result did not end")),
        }
        let copied = slice.get_mapped_range().map(|view| out.copy_from_slice(&view)).map_err(|e| self.error(e.to_string()));
        staging.unmap();
        copied
    }

    /// A grid of at least `groups` workgroups in two dimensions; kernels number them by rows and ignore the excess.
    pub fn grid(groups: usize) -> (u32, u32, u32) {
        let groups = u32::try_from(groups).expect("one binding holds less than 2^30 elements");
        let rows = groups.div_ceil(GRID);
        (groups.div_ceil(rows), rows, 1)
    }

    /// The most workgroups along one dimension.
    pub const GRID: usize = GRID as usize;
}

/// Bytes that one transfer moves at a time.
const TRANSFER: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_hold_what_they_must_and_keep_to_the_limit() {
        for groups in [1, 2, 65_535, 65_536, 65_537, 1 << 22, 65_535 * 65_535] {
            let (x, y, z) = Gpu::grid(groups);
            assert!(x <= GRID && y <= GRID && z == 1);
            assert!(x as usize * y as usize >= groups);
            assert!((x as usize * y as usize) < groups + x as usize, "less than a row too many");
        }
    }
}
