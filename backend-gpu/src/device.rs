//! One GPU: its queue, what it has not been given yet, and the limits that everything on it keeps.

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

/// Launches that are collected before the queue gets them.
const LAUNCHES_PER_SUBMIT: usize = 32;
/// Bytes of parameters that one submission can have.
const ARENA: usize = 64 << 10;
/// WGSL wants at most this many workgroups along one dimension of a grid.
const GRID: u32 = 65_535;

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
    /// Seconds that one launch, and all launches of one submission, are estimated to take at most.
    pub launch: f64,
    /// Seconds that a launch may be estimated to take if it cannot be cut; what would take longer is refused.
    pub longest: f64,
    /// How long a wait goes on while nothing is finished.
    pub wait: Duration,
    /// What the device is assumed to do in a second.
    pub speed: Speed,
}

/// What an adapter is assumed to do where nothing has been measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speed {
    /// Seconds for one launch to come through.
    pub start_up: f64,
    /// Bytes a second.
    pub bandwidth: f64,
    /// Simple instructions on one element (a multiply-add is one) a second.
    pub rate: f64,
    /// Workgroups that run at a time: fewer leave a part of the device idle.
    pub groups: f64,
}

impl Speed {
    /// Taken low, from cards some years old; software is what lavapipe does on two cores.
    pub fn of(kind: wgpu::DeviceType) -> Speed {
        match kind {
            wgpu::DeviceType::DiscreteGpu => Speed { start_up: 20e-6, bandwidth: 300e9, rate: 2.5e12, groups: 128.0 },
            wgpu::DeviceType::Cpu => Speed { start_up: 80e-6, bandwidth: 4e9, rate: 1.5e9, groups: 2.0 },
            _ => Speed { start_up: 30e-6, bandwidth: 40e9, rate: 0.4e12, groups: 16.0 },
        }
    }

    /// Seconds for so many instructions and bytes, if the device is kept busy.
    pub fn seconds(&self, work: f64, bytes: f64) -> f64 {
        (work / self.rate).max(bytes / self.bandwidth)
    }
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
/// Nothing waits while the stream is locked.
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
    /// How one learns what is finished.
    pub driver: Box<dyn Driver>,
    /// The highest number of a finished submission.
    pub done: Arc<AtomicU64>,
    stream: Mutex<Stream>,
    uniform_alignment: usize,
}

/// Work that has been encoded and not submitted.
pub(crate) struct Stream {
    open: Option<Open>,
    arena: wgpu::Buffer,
    pub under_way: UnderWay,
}

/// Launches that will be submitted together.
///
/// Invariant: `params` holds the parameters of all launches, each at a multiple of the alignment, at most [`ARENA`]
/// bytes.
struct Open {
    /// Through which the parameters are sent: had beforehand, so that submitting needs no memory.
    slot: Slot,
    encoder: wgpu::CommandEncoder,
    pass: wgpu::ComputePass<'static>,
    params: Vec<u8>,
    launches: usize,
    /// Their estimated time.
    seconds: f64,
    /// The threads whose launches these are.
    owners: Vec<ThreadId>,
    /// What will be written.
    fates: Vec<Arc<Fate>>,
}

/// A submission that failed. Its outputs are marked, and threads other than the calling one whose work it was are owed
/// the reason.
pub(crate) struct Failed {
    why: String,
    own: bool,
}

impl Failed {
    /// The error if some of the work was the calling thread's own; nothing if it was that of others.
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

/// A launch, as the generators of kernels ask for it.
pub(crate) struct Launch<'a> {
    pub pipeline: &'a Pipeline,
    /// Parameters after the zero that comes first.
    pub words: &'a [u32],
    /// The first is written, the others are read.
    pub bindings: &'a [Binding<'a>],
    /// Workgroups in x, y and z.
    pub groups: (u32, u32, u32),
    /// Its estimated time.
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
        // wgpu calls this on the thread whose call was in error.
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

    /// An error of this device.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::Device { device: format!("{} ({})", self.name, self.info.name), why: why.into() }
    }

    /// That the device is not lost.
    pub fn alive(&self) -> Result<()> {
        self.faults.lost().map_or(Ok(()), |why| Err(self.error(why)))
    }

    /// What has gone wrong with work of the calling thread since this was last asked; a lost device stays lost.
    pub fn check(&self) -> Result<()> {
        self.alive()?;
        self.faults.take().map_or(Ok(()), |why| Err(self.error(why)))
    }

    /// Runs `f` and gives what it made, or what the driver had against it. Only errors of calls on this thread are
    /// caught.
    pub fn caught<T>(&self, f: impl FnOnce() -> T) -> Result<T, String> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Validation, OutOfMemory, Internal].map(|filter| self.device.push_error_scope(filter));
        let made = f();
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            // The futures are ready: popping takes effect at once, and nothing asynchronous is behind it on native
            // devices.
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
    /// What is wrong with it, with what it reads, or with earlier work of the calling thread.
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
        // A group that was refused would spoil the submission for everybody whose work is in it.
        if let Err(e) = self.check() {
            slot.into_iter().for_each(|slot| self.put_back(slot));
            return Err(e);
        }
        let open = stream.open.get_or_insert_with(|| {
            let slot = slot.expect("had where nothing is open");
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

    /// The stream, with room for a launch with so many bytes of parameters; and, if nothing is open, what is needed to
    /// open it.
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
                // Another thread opened it meanwhile.
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

    /// Gives the queue everything encoded so far. Does not wait.
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

    /// Makes a thread that submits faster than the device works wait.
    pub fn settle(&self) -> Result<()> {
        let excess = self.stream().under_way.excess();
        excess.map_or(Ok(()), |ticket| self.wait_for(ticket, || "the oldest work under way".into()))
    }

    /// Submits, and waits until everything is done. Gives what became of what was submitted now.
    fn drain(&self) -> Result<Result<(), Failed>> {
        let mut stream = self.stream();
        let submitted = self.submit(&mut stream);
        let last = stream.under_way.last();
        drop(stream);
        // A device may be gone without having said so: it says so when it is polled.
        self.poll();
        self.alive()?;
        self.wait_for(last, || "the work that was given to it".into())?;
        Ok(submitted)
    }

    /// Submits, and waits until everything is done.
    ///
    /// # Errors
    /// What went wrong with what was submitted now, whoever asked for it; and with earlier work of the calling thread.
    pub fn synchronize(&self) -> Result<()> {
        let submitted = self.drain()?;
        self.check()?;
        submitted.map_err(|failed| self.error(failed.why))
    }

    /// Gives unused buffers back to the driver, and waits until it has them.
    ///
    /// # Errors
    /// As [`Gpu::synchronize`], but for failures of other threads' work.
    pub fn free_memory(&self) -> Result<()> {
        let unused = lock(&self.pool).trim();
        drop(unused);
        self.staging.trim();
        self.drain()?.or_else(|failed| failed.of_others(self))?;
        // What is no longer used by anything under way is freed when wgpu is polled.
        self.poll();
        Ok(())
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
