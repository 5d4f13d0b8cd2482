//! The contract with a device.

use crate::{Buffer, MemoryId, Op, Result, Unsupported};

/// What a device is.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// The name users give: `scalar`, `simd`, `blas`, `gpu`, or a backend's own.
    pub name: String,
    /// What it is made of: `AVX-512, 2 threads`, `OpenBLAS 0.3.21`, an adapter's name.
    pub description: String,
    /// Whether it is real hardware of its kind: false for a GPU emulated by the CPU, which `auto` never prefers to a CPU device.
    pub hardware: bool,
}

/// What an operation is estimated to cost on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Seconds, without transfers between memories.
    pub seconds: f64,
    /// The number of threads that gives it.
    pub threads: usize,
}

impl Cost {
    /// The model all estimates share: `start-up + max(bytes / bandwidth, work / rate)`, of one thread or of `threads` that
    /// cost `wake` seconds to set to work, whichever is less. `speedup` is what the extra threads give to bandwidth and rate.
    pub fn model(start_up: f64, bytes_over_bandwidth: f64, work_over_rate: f64, threads: usize, wake: f64) -> Cost {
        let once = bytes_over_bandwidth.max(work_over_rate);
        let alone = Cost { seconds: start_up + once, threads: 1 };
        let all = Cost { seconds: start_up + wake + once / threads as f64, threads };
        if threads > 1 && all.seconds < alone.seconds { all } else { alone }
    }
}

/// What a backend is given to run an operation with.
pub struct RunContext<'a> {
    /// How many threads it may keep busy: under core what its estimate asked for, but any number must do.
    pub threads: usize,
    /// Where results go; of the backend's memory, long enough for the operation's output, all of which `run` writes.
    pub output: &'a Buffer,
}

/// A device: scalar, simd, blas, gpu, and yours.
pub trait Backend: Send + Sync {
    /// What it is.
    fn info(&self) -> &DeviceInfo;
    /// The memory that its operands and results lie in.
    fn memory(&self) -> MemoryId;
    /// Whether it can run `op`, and how long that takes on `threads` threads at most. Buffers of `op` may lie in another memory: only shapes, dtypes and programs count.
    ///
    /// # Errors
    /// The reason, as users will read it, if it cannot.
    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported>;
    /// Seconds that every operation takes at least: a device that is already slower than another need not be asked for its estimate.
    fn start_up(&self) -> f64 {
        0.0
    }
    /// Runs `op`, whose buffers lie in its memory. What `estimate` accepted, this does.
    ///
    /// # Errors
    /// Only for what cannot be known before: memory, a lost device.
    fn run(&self, op: &Op, cx: &RunContext) -> Result<()>;
    /// Waits for everything given to it; what a queue still owes surfaces here.
    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
