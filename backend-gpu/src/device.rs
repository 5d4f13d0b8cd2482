//! One GPU: its queue, the work that is not submitted yet, and the limits of all work on it.

use crate::faults::{Fate, Faults};
use crate::ledger::Ledger;
use crate::memory::{Handle, Pool};
use crate::pipeline::{Cache, Pipeline};
use crate::transfer::{Slot, Staging};
use crate::wait::{Driver, Real, UnderWay};
use polyarray_core::{Error, Result};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// The largest number of launches in one submission.
const LAUNCHES_PER_SUBMIT: usize = 32;
/// The largest number of bytes of parameters in one submission.
const ARENA: usize = 64 << 10;
/// The largest number of workgroups that WGSL allows along one dimension of a grid.
const GRID: u32 = 65_535;

/// The limits of launches. Tests make them small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one binding.
    pub binding: u64,
    /// Offsets of bindings are multiples of this.
    pub alignment: u64,
    /// Storage buffers that one kernel can bind.
    pub buffers: usize,
    /// Bytes of one buffer.
    pub buffer: u64,
    /// Bytes of workgroup memory.
    pub workgroup: usize,
    /// The smallest number of tiles of 128 x 128 for which a matrix product uses them.
    pub large_tiles_from: usize,
    /// The largest estimated seconds of one launch, and of all launches of one submission.
    pub launch: f64,
    /// The largest estimated seconds of a launch that cannot be cut. Longer ones are refused.
    pub longest: f64,
    /// The time after which a wait fails if nothing finishes.
    pub wait: Duration,
    /// The assumed speed of the device.
    pub speed: Speed,
}

/// The assumed speed of an adapter; nothing is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Seconds until one launch is complete.
    pub start_up: f64,
    /// Bytes per second.
    pub bandwidth: f64,
    /// Simple instructions on one element (a multiply-add counts as one) per second.
    pub rate: f64,
    /// The number of workgroups that run at a time. Fewer leave a part of the device idle.
    pub groups: f64,
}

impl Speed {
    /// Returns low estimates, based on cards some years old. The software figures are those of lavapipe on two cores.
    pub fn of(kind: wgpu::DeviceType) -> Speed {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Speed { start_up: 20e-6, bandwidth: 300e9, rate: 2.5e12, groups: 128.0 },
            wgpu::DeviceType::Cpu => Speed { start_up: 80e-6, bandwidth: 4e9, rate: 1.5e9, groups: 2.0 },
            _ => Speed { start_up: 30e-6, bandwidth: 40e9, rate: 0.4e12, groups: 16.0 },
        }
    }

    /// Returns the seconds for `work` instructions and `bytes` bytes if the device is busy.
    pub fn seconds(&self, work: f64, bytes: f64) -> f64 {
        (work / self.rate).max(bytes / self.bandwidth)
    }
}

impl Limits {
    /// Returns the number of four-byte elements that fit one binding at any start.
    pub fn room(&self) -> usize {
        (self.binding.saturating_sub(self.alignment + 16) / 4) as usize
    }
}

/// A device, its queue and everything created for it.
///
/// All accesses to buffers go through [`Stream`] in the order of the requests, so a buffer may be reused as soon as its
/// last owner is dropped. Nothing waits while the stream is locked.
pub(crate) struct Gpu {
    pub name: String,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub info: wgpu::AdapterInfo,
    pub limits: Limits,
    pub pool: Mutex<Pool>,
    pub pipelines: Mutex<Cache>,
    pub faults: Arc<Faults>,
    pub staging: Staging,
    pub ledger: Arc<Ledger>,
    /// Reports finished work.
    pub driver: Box<dyn Driver>,
    /// The highest number of a finished submission.
    pub done: Arc<AtomicU64>,
    stream: Mutex<Stream>,
    uniform_alignment: usize,
}

/// Work that is encoded but not submitted.
pub(crate) struct Stream {
    open: Option<Open>,
    arena: wgpu::Buffer,
    pub under_way: UnderWay,
}

/// Launches that will be submitted together.
///
/// Invariant: `params` holds the parameters of all launches, each at a multiple of the alignment, and has at most
/// [`ARENA`] bytes.
struct Open {
    /// The staging buffer of the parameters. It is allocated in advance, so that submitting needs no memory.
    slot: Slot,
    encoder: wgpu::CommandEncoder,
    pass: wgpu::ComputePass<'static>,
    params: Vec<u8>,
    launches: usize,
    /// The estimated seconds of all launches.
    seconds: f64,
    /// The threads that requested the launches.
    owners: Vec<ThreadId>,
    /// The fates of the buffers that the launches write.
    fates: Vec<Arc<Fate>>,
}

/// A submission that failed. Its outputs are marked, and the reason is recorded for the other threads whose work it
/// contained.
pub(crate) struct Failed {
    why: String,
    own: bool,
}

impl Failed {
    /// Returns the error if the submission contained work of the calling thread, and `Ok` if all of it was work of
    /// others.
    pub fn of_others(self, gpu: &Gpu) -> Result<()> {
        if self.own { Err(gpu.error(self.why)) } else { Ok(()) }
    }
}

/// A part of a buffer for a kernel: bytes `offset .. offset + size`.
pub(crate) struct Binding<'a> {
    pub handle: &'a Handle,
    pub offset: u64,
    pub size: u64,
}

/// A launch, as the kernel generators request it.
pub(crate) struct Launch<'a> {
    pub pipeline: &'a Pipeline,
    /// The parameters after the leading zero.
    pub words: &'a [u32],
    /// The first binding is written, the others are read.
    pub bindings: &'a [Binding<'a>],
    /// The number of workgroups in x, y and z.
    pub groups: (u32, u32, u32),
    /// The estimated seconds.
    pub seconds: f64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    pub fn new(
        name: &str,
        (device, queue): (wgpu::Device, wgpu::Queue),
        info: wgpu::AdapterInfo,
        limits: Limits,
        budget: u64,
    ) -> Gpu {
        let faults = Arc::new(Faults::default());
        let report = faults.clone();
        // wgpu calls this on the thread whose call caused the error.
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| report.owe(thread::current().id(), e.to_string())));
        let lost = faults.clone();
        device.set_device_lost_callback(move |reason, message| {
            lost.lose(format!("the device was lost ({reason:?}) {message}").trim_end().into())
        });
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let arena = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: ARENA as u64,
            usage,
            mapped_at_creation: false,
        });
        let uniform_alignment = (device.limits().min_uniform_buffer_offset_alignment as usize).max(16);
        let stream = Stream { open: None, arena, under_way: UnderWay::default() };
        Gpu {
            name: name.into(),
            queue,
            info,
            limits,
            pool: Mutex::new(Pool::default()),
            pipelines: Mutex::new(Cache::default()),
            faults,
            staging: Staging::default(),
            ledger: Arc::new(Ledger::new(budget)),
            driver: Box::new(Real),
            done: stream.under_way.done(),
            stream: Mutex::new(stream),
            uniform_alignment,
            device,
        }
    }

    /// Returns an error of this device.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::Device { device: format!("{} ({})", self.name, self.info.name), why: why.into() }
    }

    /// Fails if the device is lost.
    pub fn alive(&self) -> Result<()> {
        self.faults.lost().map_or(Ok(()), |why| Err(self.error(why)))
    }

    /// Fails if work of the calling thread has failed since the last call, or if the device is lost.
    pub fn check(&self) -> Result<()> {
        self.alive()?;
        self.faults.take().map_or(Ok(()), |why| Err(self.error(why)))
    }

    /// Runs `f` and returns its result or the driver's error. Catches only errors of calls on this thread.
    pub fn caught<T>(&self, f: impl FnOnce() -> T) -> Result<T, String> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Validation, OutOfMemory, Internal].map(|filter| self.device.push_error_scope(filter));
        let made = f();
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            // The futures are ready: on native devices popping a scope takes effect at once, without asynchronous work.
            error = pollster::block_on(scope.pop()).or(error);
        }
        error.map_or(Ok(made), |e| Err(e.to_string()))
    }

    pub fn stream(&self) -> MutexGuard<'_, Stream> {
        lock(&self.stream)
    }

    /// Encodes a launch.
    ///
    /// # Errors
    /// The error of the launch, of the buffers that it reads, or of earlier work of the calling thread.
    pub fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        debug_assert_eq!(launch.words.len() + 1, launch.pipeline.words, "as many parameters as the kernel reads");
        self.check()?;
        if let Some(why) = launch.bindings[1..].iter().find_map(|b| b.handle.fate().get()) {
            return Err(self.error(why.to_string()));
        }
        let bytes = launch.pipeline.words.next_multiple_of(4) * 4;
        let (mut stream, slot) = self.stream_for(bytes, launch.seconds)?;
        let at = stream.open.as_ref().map_or(0, |o| o.params.len());
        let uniform = wgpu::BufferBinding {
            buffer: &stream.arena,
            offset: at as u64,
            size: std::num::NonZero::new(bytes as u64),
        };
        let storage = launch.bindings.iter().map(|b| wgpu::BufferBinding {
            buffer: b.handle.buffer(),
            offset: b.offset,
            size: std::num::NonZero::new(b.size),
        });
        let entries: Vec<_> = std::iter::once(uniform)
            .chain(storage)
            .enumerate()
            .map(|(i, b)| wgpu::BindGroupEntry { binding: i as u32, resource: wgpu::BindingResource::Buffer(b) })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &launch.pipeline.layout,
            entries: &entries,
        });
        // A refused group would make the whole submission fail, with the work of all threads in it.
        if let Err(e) = self.check() {
            slot.into_iter().for_each(|slot| self.put_back(slot));
            return Err(e);
        }
        let open = stream.open.get_or_insert_with(|| {
            let slot = slot.expect("a slot exists if nothing is open");
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime();
            Open {
                slot,
                encoder,
                pass,
                params: Vec::new(),
                launches: 0,
                seconds: 0.0,
                owners: Vec::new(),
                fates: Vec::new(),
            }
        });
        open.params.extend_from_slice(&[0; 4]);
        open.params.extend_from_slice(bytemuck::cast_slice(launch.words));
        let end = (at + bytes).next_multiple_of(self.uniform_alignment);
        open.params.resize(end.min(ARENA), 0);
        open.pass.set_pipeline(&launch.pipeline.pipeline);
        open.pass.set_bind_group(0, &group, &[]);
        open.pass.dispatch_workgroups(launch.groups.0, launch.groups.1, launch.groups.2);
        open.launches += 1;
        open.seconds += launch.seconds;
        if open.owners.last() != Some(&thread::current().id()) {
            open.owners.push(thread::current().id());
        }
        open.fates.push(launch.bindings[0].handle.fate().clone());
        drop(stream);
        self.settle()
    }

    /// Returns the stream with room for a launch with `bytes` bytes of parameters. If nothing is open, also returns the
    /// staging buffer that opening needs.
    fn stream_for(&self, bytes: usize, seconds: f64) -> Result<(MutexGuard<'_, Stream>, Option<Slot>)> {
        let full = |o: &Open| {
            o.launches == LAUNCHES_PER_SUBMIT
                || o.params.len() + bytes > ARENA
                || o.seconds + seconds > self.limits.launch
        };
        let mut slot = None;
        loop {
            let mut stream = self.stream();
            if stream.open.as_ref().is_some_and(full)
                && let Err(e) = self.submit(&mut stream).or_else(|failed| failed.of_others(self))
            {
                slot.into_iter().for_each(|slot| self.put_back(slot));
                return Err(e);
            }
            if stream.open.is_some() {
                // Another thread has opened it in the meantime.
                slot.take().into_iter().for_each(|slot| self.put_back(slot));
                return Ok((stream, None));
            }
            if slot.is_some() {
                return Ok((stream, slot));
            }
            drop(stream);
            slot = Some(self.upload_buffer(ARENA)?);
        }
    }

    /// Submits everything encoded so far to the queue. Does not wait.
    pub fn submit(&self, stream: &mut Stream) -> Result<(), Failed> {
        let Some(Open { slot, encoder, pass, params, owners, fates, .. }) = stream.open.take() else { return Ok(()) };
        drop(pass);
        let why = match self.send(slot, &params, &stream.arena, 0, Some(encoder)) {
            Ok(()) => {
                stream.under_way.add(&self.queue);
                return Ok(());
            }
            Err(why) => self.faults.lost().map_or(why, str::to_string),
        };
        let why = format!("a submission of {} launches failed: {why}", fates.len());
        fates.iter().for_each(|fate| {
            let _ = fate.set(why.as_str().into());
        });
        let me = thread::current().id();
        owners.iter().filter(|&&t| t != me).for_each(|&t| self.faults.owe(t, why.clone()));
        Err(Failed { own: owners.contains(&me), why })
    }

    /// Waits if the calling thread submits faster than the device works.
    pub fn settle(&self) -> Result<()> {
        let excess = self.stream().under_way.excess();
        excess.map_or(Ok(()), |ticket| self.wait_for(ticket, || "the oldest pending submission".into()))
    }

    /// Submits, and waits until everything is done. Returns the result of this submission.
    fn drain(&self) -> Result<Result<(), Failed>> {
        let mut stream = self.stream();
        let submitted = self.submit(&mut stream);
        let last = stream.under_way.last();
        drop(stream);
        // A device may be lost without having reported it. Polling triggers the report.
        self.poll();
        self.alive()?;
        self.wait_for(last, || "all submitted work".into())?;
        Ok(submitted)
    }

    /// Submits, and waits until everything is done.
    ///
    /// # Errors
    /// The error of this submission, whichever thread requested its work, or of earlier work of the calling thread.
    pub fn synchronize(&self) -> Result<()> {
        let submitted = self.drain()?;
        self.check()?;
        submitted.map_err(|failed| self.error(failed.why))
    }

    /// Returns unused buffers to the driver, and waits until they are freed.
    ///
    /// # Errors
    /// As [`Gpu::synchronize`], except for failures of other threads' work.
    pub fn free_memory(&self) -> Result<()> {
        let unused = lock(&self.pool).trim();
        drop(unused);
        self.staging.trim();
        self.drain()?.or_else(|failed| failed.of_others(self))?;
        // wgpu frees the buffers that no running work uses when it is polled.
        self.poll();
        Ok(())
    }

    /// Returns a grid of at least `groups` workgroups in two dimensions. Kernels number them by rows and ignore the
    /// excess.
    pub fn grid(groups: usize) -> (u32, u32, u32) {
        let groups = u32::try_from(groups).expect("one binding holds less than 2^30 elements");
        let rows = groups.div_ceil(GRID);
        (groups.div_ceil(rows), rows, 1)
    }

    /// The largest number of workgroups along one dimension.
    pub const GRID: usize = GRID as usize;
}

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
