//! A device with its own memory, simulated in host memory. The test controls which dtypes it stores, how much it holds
//! and when it fails.
#![allow(dead_code, reason = "every suite uses a part of it")]

use polyarray::prelude::*;
use polyarray::{
    Backend, Buffer, Cost, DeviceInfo, Memory, MemoryId, MemoryInfo, Op, RunContext, Unsupported, memory, register,
    register_memory,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The settings that a test changes and the counters that it reads.
#[derive(Default)]
pub struct Controls {
    /// The capacity in bytes; 0 for no limit.
    pub budget: AtomicUsize,
    pub used: AtomicUsize,
    /// Whether every run fails, as on a lost device.
    pub lost: AtomicBool,
    /// The number of calls of `run`.
    pub runs: AtomicUsize,
}

struct FakeMemory {
    id: MemoryId,
    info: MemoryInfo,
    controls: Arc<Controls>,
}

/// A block of the fake memory: a vector in host memory.
struct Block {
    bytes: Mutex<Vec<u8>>,
    controls: Arc<Controls>,
    len: usize,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.controls.used.fetch_sub(self.len, Ordering::Relaxed);
    }
}

// SAFETY: each block is its own vector. `upload` and `download` index the vectors with bounds checks, and panic for a
// buffer of another memory.
unsafe impl Memory for FakeMemory {
    fn info(&self) -> &MemoryInfo {
        &self.info
    }

    fn alloc(&self, bytes: usize) -> Result<Buffer> {
        let (used, budget) =
            (self.controls.used.fetch_add(bytes, Ordering::Relaxed), self.controls.budget.load(Ordering::Relaxed));
        let block = Block { bytes: Mutex::new(vec![0; bytes]), controls: self.controls.clone(), len: bytes };
        if budget > 0 && used + bytes > budget {
            return Err(Error::OutOfMemory {
                memory: self.info.name.clone(),
                bytes,
                why: format!("its budget is {budget}"),
            });
        }
        Buffer::foreign(self.id, bytes, block)
    }

    unsafe fn upload(&self, src: &[u8], dst: &Buffer, at: usize) -> Result<()> {
        block(dst).bytes.lock().unwrap()[at..at + src.len()].copy_from_slice(src);
        Ok(())
    }

    unsafe fn download(&self, src: &Buffer, at: usize, dst: &mut [u8]) -> Result<()> {
        dst.copy_from_slice(&block(src).bytes.lock().unwrap()[at..at + dst.len()]);
        Ok(())
    }
}

fn block(buffer: &Buffer) -> &Block {
    buffer.handle::<Block>().expect("a block of the fake memory")
}

struct FakeBackend {
    info: DeviceInfo,
    memory: MemoryId,
    controls: Arc<Controls>,
    /// The only thread on which the device accepts operations, so that it does not affect tests that run in parallel.
    thread: std::thread::ThreadId,
}

// SAFETY: `scalar` runs each operation on copies of the blocks in host memory, and the whole output is copied back.
unsafe impl Backend for FakeBackend {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.memory
    }

    fn estimate(&self, op: &Op, threads: usize) -> std::result::Result<Cost, Unsupported> {
        if std::thread::current().id() != self.thread {
            return Err(Unsupported::new("this device accepts operations only on the thread of its test"));
        }
        let stored = &memory(self.memory).info().clone();
        if stored.stored_size(op.output().dtype).is_none() {
            return Err(Unsupported::new(format!("{} cannot be stored there", op.output().dtype)));
        }
        Device::scalar()
            .backend()
            .expect("a backend")
            .estimate(op, threads)
            .map(|c| Cost { seconds: c.seconds * 1e-3, threads: 1 })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        self.controls.runs.fetch_add(1, Ordering::Relaxed);
        if self.controls.lost.load(Ordering::Relaxed) {
            return Err(Error::Device { device: self.info.name.clone(), why: "the device is lost".into() });
        }
        let host = |buffer: &Buffer| Buffer::adopt(block(buffer).bytes.lock().unwrap().clone());
        let output = host(cx.output());
        let mut op = op.clone();
        op.for_each_input_mut(|operand| {
            operand.buffer = if operand.buffer.same(cx.output()) { output.clone() } else { host(&operand.buffer) };
        });
        // SAFETY: the caller keeps the contract of `Backend::run`, which holds for the copies too: their layouts and
        // elements are the same, and no other thread accesses them. Bytes that no operation has written are zeros.
        unsafe {
            Device::scalar()
                .backend()
                .expect("a backend")
                .run(&op, &RunContext { threads: 1, outputs: std::slice::from_ref(&output) })
        }?;
        let mut bytes = vec![0; cx.output().bytes()];
        // SAFETY: every byte of `output` is initialised, since it was made from a vector, and no other thread accesses
        // it.
        unsafe { memory(MemoryId::HOST).download(&output, 0, &mut bytes) }?;
        *block(cx.output()).bytes.lock().unwrap() = bytes;
        Ok(())
    }
}

/// Registers a device of this name whose memory stores only `dtypes`, with the element sizes of the host. It accepts
/// operations only on the calling thread.
pub fn fake(name: &str, dtypes: &[DType]) -> (Device, Arc<Controls>) {
    let controls = Arc::new(Controls::default());
    let stored_sizes = DType::ALL.map(|d| if dtypes.contains(&d) { d.size() as u8 } else { 0 });
    let info = MemoryInfo {
        name: name.into(),
        max_allocation: 1 << 30,
        max_elements: 1 << 30,
        stored_sizes,
        upload_bandwidth: 1e12,
        download_bandwidth: 1e12,
        transfer_latency: 0.0,
    };
    let memory = register_memory(|id| Arc::new(FakeMemory { id, info, controls: controls.clone() }));
    let backend = FakeBackend {
        info: DeviceInfo { name: name.into(), description: "scalar, in a memory of its own".into(), hardware: true },
        memory: memory.id,
        controls: controls.clone(),
        thread: std::thread::current().id(),
    };
    (register(backend), controls)
}
