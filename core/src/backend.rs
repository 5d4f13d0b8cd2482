//! The contract with a device.

use crate::ufunc::{Binary, Unary};
use crate::{Buffer, DType, MemoryId, Op, Result, Unsupported};
use std::mem::MaybeUninit;

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

/// A ufunc, whatever its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Of one operand.
    Unary(Unary),
    /// Of two.
    Binary(Binary),
}

/// One ufunc on elements that lie in host memory without gaps: a map that needs no preparation, for which small arrays have no time.
///
/// Invariants: 1. operands hold as many elements of `dtype` as there are results, or one that stands for all; `y` is empty for a ufunc of one operand;
/// 2. everything is aligned for its dtype; 3. the ufunc is defined for `dtype`.
pub struct Strip<'a> {
    /// What is done.
    pub step: Step,
    /// The operands' dtype.
    pub dtype: DType,
    /// The first operand's elements.
    pub x: &'a [u8],
    /// The second's.
    pub y: &'a [u8],
    /// Where results go; all of it is written by whoever takes it.
    pub out: &'a mut [MaybeUninit<u8>],
}

/// A product of two matrices in host memory that are so small that preparations would be felt: `out[m, n] = a[m, k] @ b[k, n]`.
///
/// Invariants: 1. m, n and k are at least 1; 2. operands begin with their first element and hold all others, which lie `strides` (of rows and columns) elements
/// apart; 3. everything is aligned for its dtype; 4. `out` has m n elements, in C order.
pub struct SmallProduct<'a> {
    /// Dtype of operands and result.
    pub dtype: DType,
    /// m, n and k.
    pub lens: [usize; 3],
    /// The left matrix, and its strides.
    pub a: (&'a [u8], [usize; 2]),
    /// The right matrix, and its strides.
    pub b: (&'a [u8], [usize; 2]),
    /// Where results go; all of it is written by whoever takes it.
    pub out: &'a mut [MaybeUninit<u8>],
}

/// A device: scalar, simd, blas, gpu, and yours.
///
/// # Safety
/// Core hands out what a backend wrote as initialised elements. An implementation guarantees that:
/// 1. [`memory`](Backend::memory) always returns the same memory;
/// 2. [`run`](Backend::run), where it returns `Ok`, has written every element of the operation's output with a valid element of its dtype
///    (a bool is 0 or 1 in host memory), for every operation that [`estimate`](Backend::estimate) accepted;
/// 3. `run` reads nothing but the elements that the operands' offsets and strides reach, and writes nothing but the output;
/// 4. [`run_strip`](Backend::run_strip) and [`run_product`](Backend::run_product), where they return `true`, have written all of `out` likewise;
/// 5. work that is still under way when a call returns (a queue) does not access a buffer after the last clone of it is dropped.
///
/// Returning an error, refusing and panicking are always allowed, whatever has been written by then.
pub unsafe trait Backend: Send + Sync {
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
    ///
    /// # Safety
    /// 1. `op` keeps every invariant that [`op`](crate::op) states, and `estimate` accepted it.
    /// 2. All buffers lie in this backend's memory; every element that an operand's offset and strides reach lies inside its buffer and has been
    ///    written with a valid element of its dtype; every element of the output lies inside `cx.output`.
    /// 3. Nothing else reads or writes the output during the call, but for operands that `op`'s invariants allow to lie in it; nothing writes operands.
    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()>;
    /// Fast path: runs a strip at once, on this thread. Returns `false`, with nothing written, to have it come as an [`Op::Map`] instead.
    /// Only called for backends of linked crates ([`BackendEntry`](crate::BackendEntry)); work for one that a program registered always comes as an operation.
    ///
    /// # Safety
    /// `strip` keeps the invariants that [`Strip`] states.
    unsafe fn run_strip(&self, _strip: Strip) -> bool {
        false
    }
    /// Fast path: runs a small product at once, on this thread. Returns `false`, with nothing written, to have it come as an [`Op::Matmul`] instead.
    /// Called as [`run_strip`](Backend::run_strip) is.
    ///
    /// # Safety
    /// `product` keeps the invariants that [`SmallProduct`] states.
    unsafe fn run_product(&self, _product: SmallProduct) -> bool {
        false
    }
    /// Waits for everything given to it; what a queue still owes surfaces here.
    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
