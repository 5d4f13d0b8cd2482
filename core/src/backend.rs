//! The interface that a device backend implements.

use crate::cost::{Cost, Profile};
use crate::small::{Prepared, Small};
use crate::{Buffer, MemoryId, Op, Program, Result, Unsupported};

/// The description of a device.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// The name that users give: `scalar`, `simd`, `blas`, `gpu`, or a registered backend's own.
    pub name: String,
    /// The hardware or library behind it: `AVX-512, 2 threads`, `OpenBLAS 0.3.21`, an adapter's name.
    pub description: String,
    /// Whether the device is real hardware of its kind. False for a GPU emulated by the CPU, which `auto` never prefers
    /// to a CPU device.
    pub hardware: bool,
}

/// The arguments of a [`Backend::run`] besides the operation.
pub struct RunContext<'a> {
    /// The number of threads to use. Core passes the number of the estimate; a backend must accept any.
    pub threads: usize,
    /// The buffers of the operation's outputs, in the order of [`Op::outputs`]. They lie in the backend's memory and
    /// are large enough for the outputs, all of which `run` writes.
    pub outputs: &'a [Buffer],
}

impl<'a> RunContext<'a> {
    /// Returns the buffer of the first output, which is the only one of most operations.
    pub fn output(&self) -> &'a Buffer {
        &self.outputs[0]
    }
}

/// A device: scalar, simd, blas, gpu, or one that a program registers.
///
/// # Safety
/// Core exposes what a backend wrote as initialised elements. An implementation guarantees that:
/// 1. [`memory`](Backend::memory) always returns the same memory;
/// 2. [`run`](Backend::run), if it returns `Ok`, has written every element of the operation's output with a valid
///    element of its dtype (a bool is 0 or 1 in host memory), for every operation that [`estimate`](Backend::estimate)
///    accepted;
/// 3. `run` reads only the elements that the operands' offsets and strides reach, and writes only the output;
/// 4. [`run_small`](Backend::run_small) and [`Prepared::run`] of what [`prepare`](Backend::prepare) returned, if they
///    return `true`, have written all of `out` with valid elements, and nothing else;
/// 5. asynchronous work (a queue) does not access a buffer after its last clone is dropped.
///
/// Returning an error, refusing and panicking are always allowed, even after a part of the output has been written.
pub unsafe trait Backend: Send + Sync {
    /// Returns the description of the device.
    fn info(&self) -> &DeviceInfo;
    /// Returns the memory in which its operands and results lie.
    fn memory(&self) -> MemoryId;
    /// Estimates the cost of `op` on at most `threads` threads; usually [`Profile::cost`]. The buffers of `op` may lie
    /// in another memory, so only shapes, dtypes and programs matter.
    ///
    /// # Errors
    /// The reason, as shown to users, if the device cannot run `op`.
    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported>;
    /// Returns the measured or assumed speed of the device, from which it computes its estimates, if it has a profile.
    fn profile(&self) -> Option<&Profile> {
        None
    }
    /// Returns a lower bound in seconds for every operation. Core skips the estimate of a device whose bound reaches
    /// the best estimate so far.
    fn start_up(&self) -> f64 {
        0.0
    }
    /// Runs `op`, whose buffers lie in the backend's memory. It must support every operation that `estimate` accepts.
    ///
    /// # Errors
    /// Only errors that cannot be known in advance, such as out of memory or a lost device.
    ///
    /// # Safety
    /// 1. `op` keeps every invariant that [`op`](crate::op) states, and `estimate` accepted it.
    /// 2. All buffers lie in this backend's memory. Every element that an operand's offset and strides reach lies
    ///    inside its buffer and has been written with a valid element of its dtype. Every element of the output lies
    ///    inside its buffer of `cx.outputs`.
    /// 3. During the call, nothing else reads or writes the output, except for operands that `op`'s invariants allow to
    ///    lie in it, and nothing writes operands.
    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()>;
    /// Fast path: runs small work immediately, on this thread. Returns `false`, with nothing written (except as
    /// [`SmallSort`](crate::SmallSort) states), to receive it as an [`Op`] instead. Only called for backends of linked
    /// crates ([`BackendEntry`](crate::BackendEntry)); registered ones always receive operations.
    ///
    /// # Safety
    /// `work` keeps the invariants that the variants of [`Small`] state.
    unsafe fn run_small(&self, _work: &Small) -> bool {
        false
    }
    /// Fast path of [compiled functions](crate::Fused): prepares an elementwise program, so that running it on small
    /// contiguous operands repeats no decision. Returns `None` to receive it as [`Small`] or an [`Op`] instead. Called
    /// once for each plan of a function (see `Fused`), and only for backends of linked crates.
    fn prepare(&self, _program: &Program) -> Option<Box<dyn Prepared>> {
        None
    }
    /// Waits until all submitted work is complete. Returns errors of queued work.
    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
