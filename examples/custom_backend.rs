//! A device of one's own. This one computes nothing itself: it counts what it is asked to do and passes it on to `scalar`.
//! A real one would answer `estimate` for the operations it is good at, and do them in `run`.
//!
//! `cargo run --example custom_backend`

use polyarray::prelude::*;
use polyarray::{Backend, Cost, DeviceInfo, MemoryId, Op, RunContext, Unsupported};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often each kind of operation was run.
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

// SAFETY: every operation goes to the inner backend, which keeps the contract of `Backend`.
unsafe impl Backend for Counting {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Operands and results lie where the inner backend wants them. A device with memory of its own would register it
    /// (`register_memory`), and core would move arrays there and back.
    fn memory(&self) -> MemoryId {
        self.inner.memory()
    }

    /// "Can you, and how long would it take?" Complex numbers are refused, to show how: the reason is what users will read.
    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if matches!(op.output_dtype(), DType::C32 | DType::C64) {
            return Err(Unsupported::new("this device does not count complex operations"));
        }
        self.inner.estimate(op, threads)
    }

    /// The operation has been validated and simplified by core, and `estimate` has accepted it.
    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        let count = match op {
            Op::Map(_) => &self.counts.map,
            Op::Reduce(_) => &self.counts.reduce,
            Op::Matmul(_) => &self.counts.matmul,
            _ => &self.counts.other,
        };
        count.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's conditions are those of the inner backend.
        unsafe { self.inner.run(op, cx) }
    }
}

/// Registers the device, computes with it, and returns what it counted: maps, reductions, products of matrices, others.
pub fn run() -> Result<[usize; 4]> {
    let counts = Arc::new(Counts::default());
    let inner = Device::scalar().backend().expect("scalar is a backend, not auto").clone();
    let info = DeviceInfo { name: "counting".into(), description: "scalar, counted".into(), hardware: true };
    let device = register(Counting { info, inner, counts: counts.clone() });
    assert_eq!(Device::named("counting")?, device);

    let a = Array::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
    with_device(&device, || -> Result<()> {
        // One map: an expression is one program, however long.
        let y = ((&a * 2.0 + 1.0).sqrt() - &a).eval()?;
        assert_eq!(y.shape(), [2, 2]);
        // One matmul, one reduction.
        assert_eq!(a.matmul(&a)?.to_vec()?, [7.0, 10.0, 15.0, 22.0]);
        assert_eq!(a.sum()?, 10.0);
        Ok(())
    })?;

    // A device that is named is obeyed or refuses, with its reason; nothing is silently done elsewhere.
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
