//! `auto` opens a device that is slow to open only if an operation would gain by moving its operands there.

mod common;

use polyarray::prelude::*;
use polyarray::{
    Backend, BackendEntry, Buffer, Cost, DeviceInfo, Memory, MemoryId, MemoryInfo, Op, RunContext, Unsupported,
    inventory, memory, register_memory,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A memory with the properties of host memory, under its own id.
struct Elsewhere(MemoryInfo, MemoryId);

// SAFETY: no bytes are stored. Every download fills `dst` with zeros, which are valid elements of every dtype.
unsafe impl Memory for Elsewhere {
    fn info(&self) -> &MemoryInfo {
        &self.0
    }
    fn alloc(&self, bytes: usize) -> Result<Buffer> {
        Buffer::foreign(self.1, bytes, ())
    }
    unsafe fn upload(&self, _: &[u8], _: &Buffer, _: usize) -> Result<()> {
        Ok(())
    }
    unsafe fn download(&self, _: &Buffer, _: usize, dst: &mut [u8]) -> Result<()> {
        dst.fill(0);
        Ok(())
    }
}

/// A device that estimates `seconds` for every map and reduction: the accelerator, or a replacement for a device of the
/// host.
struct Timed {
    info: DeviceInfo,
    memory: MemoryId,
    seconds: f64,
}

// SAFETY: `run` writes nothing. Downloads from the accelerator's memory give zeros, and core fills the outputs of
// registered backends in host memory with zeros beforehand.
unsafe impl Backend for Timed {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }
    fn memory(&self) -> MemoryId {
        self.memory
    }
    fn estimate(&self, op: &Op, _: usize) -> Result<Cost, Unsupported> {
        match op {
            Op::Map(_) | Op::Reduce(_) => Ok(Cost { seconds: self.seconds, threads: 1 }),
            _ => Err(Unsupported::new("this device supports only maps and reductions")),
        }
    }
    unsafe fn run(&self, _: &Op, _: &RunContext) -> Result<()> {
        Ok(())
    }
}

static OPENED: AtomicUsize = AtomicUsize::new(0);

fn open() -> Result<Arc<dyn Backend>> {
    OPENED.fetch_add(1, Ordering::SeqCst);
    let mut id = MemoryId::HOST;
    let info = MemoryInfo { name: "elsewhere".into(), ..memory(MemoryId::HOST).info().clone() };
    register_memory(|given| {
        id = given;
        Arc::new(Elsewhere(info, given))
    });
    let info = DeviceInfo { name: "accelerator".into(), description: "takes no time".into(), hardware: true };
    Ok(Arc::new(Timed { info, memory: id, seconds: 0.0 }))
}

inventory::submit! { BackendEntry { name: "accelerator", order: 60, slow_to_open: true, present: || true, open } }
inventory::submit! {
    BackendEntry {
        name: "emulated",
        order: 61,
        slow_to_open: true,
        present: || false,
        open: || unreachable!("the device was not requested by name"),
    }
}

/// Replaces each device of the host by one that estimates `seconds`, and lets `auto` choose a device for a map of
/// `elements` elements. Returns how often the accelerator has been opened so far.
fn opened(seconds: f64, elements: usize) -> usize {
    for name in ["scalar", "simd", "blas"] {
        let info = DeviceInfo { name: name.into(), description: "estimates a fixed time".into(), hardware: true };
        register(Timed { info, memory: MemoryId::HOST, seconds });
    }
    let x = common::count([1]).broadcast_to([elements]).unwrap();
    (&x + 1.0).sqrt().explain().unwrap();
    OPENED.load(Ordering::SeqCst)
}

#[test]
fn a_device_is_opened_where_moving_operands_takes_clearly_less_than_the_work_here() {
    assert_eq!(opened(0.01, 1 << 18), 0, "10 ms are shorter than the time to open a driver");
    assert_eq!(opened(0.2, 1 << 30), 0, "downloading 4 GiB of results takes at least 170 ms");
    assert_eq!(opened(0.2, 1 << 18), 1, "transferring 1 MiB takes little time");
    assert_eq!(opened(0.2, 1 << 18), 1, "the device is opened only once");
    // If every device refuses an operation, the error gives the reason of each device, including devices that are not
    // open.
    let x = common::count([2, 2]);
    let e = x.matmul(&x).unwrap_err().to_string();
    assert!(
        e.contains("accelerator: this device supports only maps and reductions")
            && e.contains("emulated")
            && e.contains("no hardware"),
        "{e}"
    );
}
