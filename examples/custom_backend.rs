//! Registers a custom device. It computes nothing itself: it counts the operations and forwards them to `scalar`. A
//! real backend would return an estimate for the operations that it supports, and execute them in `run`.
//!
//! `cargo run --example custom_backend`

use polyarray::prelude::*;
use polyarray::{Backend, Cost, DeviceInfo, MemoryId, Op, RunContext, Unsupported};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of runs of each kind of operation.
#[derive(Default)]
pub struct Counts {
    map: AtomicUsize,
    reduce: AtomicUsize,
    matmul: AtomicUsize,
    other: AtomicUsize,
}

struct Counting {
    info: DeviceInfo,
    inner: Arc<dyn Backend>,
    counts: Arc<Counts>,
}

// SAFETY: every operation is forwarded to the inner backend, which upholds the contract of `Backend`.
unsafe impl Backend for Counting {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Operands and results lie in the memory of the inner backend. A device with its own memory would register it
    /// (`register_memory`), and core would transfer arrays to it and back.
    fn memory(&self) -> MemoryId {
        self.inner.memory()
    }

    /// Returns the estimated cost, or the reason why the operation is not supported. This example refuses complex
    /// numbers; users see the reason.
    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if matches!(op.output().dtype, DType::C32 | DType::C64) {
            return Err(Unsupported::new("this device does not count complex operations"));
        }
        self.inner.estimate(op, threads)
    }

    /// Core has validated and canonicalised the operation, and `estimate` has accepted it.
    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        let count = match op {
            Op::Map(_) => &self.counts.map,
            Op::Reduce(_) => &self.counts.reduce,
            Op::Matmul(_) => &self.counts.matmul,
            _ => &self.counts.other,
        };
        count.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller guarantees the conditions of `Backend::run`, and the inner backend has the same memory and
        // has accepted the operation.
        unsafe { self.inner.run(op, cx) }
    }
}

/// Registers the device, computes with it, and returns its counts: maps, reductions, matrix products, others.
pub fn run() -> Result<[usize; 4]> {
    let counts = Arc::new(Counts::default());
    let inner = Device::scalar().backend().expect("scalar is a backend, not auto").clone();
    let info = DeviceInfo { name: "counting".into(), description: "scalar, counted".into(), hardware: true };
    let device = register(Counting { info, inner, counts: counts.clone() });
    assert_eq!(Device::named("counting")?, device);

    let a = Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
    with_device(&device, || -> Result<()> {
        // One map: the whole expression is one program.
        let y = ((&a * 2.0 + 1.0).sqrt() - &a).eval()?;
        assert_eq!(y.shape(), [2, 2]);
        // One matmul, one reduction.
        assert_eq!(a.matmul(&a)?.to_vec()?, [7.0, 10.0, 15.0, 22.0]);
        assert_eq!(a.sum()?, 10.0);
        Ok(())
    })?;

    // A device that is selected by name either runs an operation or refuses it with a reason. There is no silent
    // fallback.
    let z = Array::from_vec(vec![Complex::new(0.0f32, 1.0)], [1])?;
    let refused = (&z * &z).eval_on(&device).expect_err("complex numbers are refused");
    println!("{refused}");

    let counted = [&counts.map, &counts.reduce, &counts.matmul, &counts.other].map(|c| c.load(Ordering::Relaxed));
    println!(
        "maps {}, reductions {}, products of matrices {}, others {}",
        counted[0], counted[1], counted[2], counted[3]
    );
    Ok(counted)
}

#[allow(dead_code, reason = "the tests include this file for the function above")]
fn main() -> Result<()> {
    assert_eq!(run()?, [1, 1, 1, 0]);
    Ok(())
}
