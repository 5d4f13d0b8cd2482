//! Backends that a program registers are devices like any other. They have a program of their own, because a registered
//! device takes part in every later choice of the process.

mod common;

use common::{count, refused};
use polyarray::prelude::*;
use polyarray::{
    Backend, Cost, DeviceInfo, MemoryId, Op, Prepared, Program, RunContext, Unsupported, register, with_threads,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A device that counts its runs, records the number of threads in `estimate`, and forwards every operation to
/// `scalar`.
struct Counting {
    info: DeviceInfo,
    runs: Arc<AtomicUsize>,
    threads: Arc<AtomicUsize>,
}

// SAFETY: every operation is forwarded to `scalar`, which keeps the contract of `Backend`.
unsafe impl Backend for Counting {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        self.threads.store(threads, Ordering::Relaxed);
        // Never the cheapest device, so that it does not affect the choices in tests that run in parallel.
        Device::scalar()
            .backend()
            .expect("scalar has a backend")
            .estimate(op, threads)
            .map(|c| Cost { seconds: 1e30, ..c })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `Backend::run`. `scalar` has the same contract, uses the same memory
        // and accepted `op` in `estimate`.
        unsafe { Device::scalar().backend().expect("scalar has a backend").run(op, cx) }
    }
}

fn counting(name: &str) -> (Device, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (runs, threads) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let info = DeviceInfo { name: name.into(), description: "counts and forwards".into(), hardware: true };
    (register(Counting { info, runs: runs.clone(), threads: threads.clone() }), runs, threads)
}

#[test]
fn a_registered_backend_is_a_device_like_any_other() -> Result<()> {
    let (device, runs, threads) = counting("counting");
    assert_eq!(Device::named("counting")?, device);
    assert!(Device::all().contains(&device));
    assert_eq!((device.name(), device.info().description.as_str()), ("counting", "counts and forwards"));
    let x = count([3]);
    assert_eq!((&x + 1.0).eval_on(&device)?.to_vec()?, [1.0, 2.0, 3.0]);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    let plan = (&x + 1.0).explain()?;
    assert_ne!(plan.chosen, "counting", "{plan}");
    assert!(plan.candidates.iter().any(|c| c.device == "counting"), "{plan}");
    with_device(&device, || with_threads(3, || (&x + 1.0).eval()))?;
    assert_eq!(threads.load(Ordering::Relaxed), 3, "the number of threads is an argument");
    let (again, ..) = counting("counting");
    assert_eq!(Device::named("counting")?, again, "a backend of the same name replaces the earlier one");
    assert_ne!(again, device);
    Ok(())
}

#[test]
fn the_device_in_force_is_the_innermost() -> Result<()> {
    let ((outer, outer_runs, _), (inner, inner_runs, _)) = (counting("outer"), counting("inner"));
    let x = count([3]);
    with_device(&outer, || -> Result<()> {
        assert_eq!(Device::current()?, outer);
        (&x + 1.0).eval()?;
        with_device(&inner, || (&x + 1.0).eval())?;
        let unwound = catch_unwind(AssertUnwindSafe(|| with_device(&inner, || panic!("on purpose"))));
        assert!(unwound.is_err());
        assert_eq!(Device::current()?, outer, "a panic restores the current device");
        (&x + 1.0).eval()?;
        Matmul::new(&count([2, 2]), &count([2, 2])).on(&inner).run().map(|_| ())
    })?;
    assert_eq!((outer_runs.load(Ordering::Relaxed), inner_runs.load(Ordering::Relaxed)), (2, 2));
    std::thread::spawn(|| {
        assert_eq!(Device::current().unwrap(), Device::auto(), "the current device is a property of the thread")
    })
    .join()
    .expect("the thread's assertion holds");
    Ok(())
}

/// A device that supports only f32.
struct Narrow(DeviceInfo);

// SAFETY: every operation is forwarded to `scalar`, which keeps the contract of `Backend`.
unsafe impl Backend for Narrow {
    fn info(&self) -> &DeviceInfo {
        &self.0
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, _: usize) -> Result<Cost, Unsupported> {
        match op.output().dtype {
            DType::F32 => Ok(Cost { seconds: f64::INFINITY, threads: 1 }),
            other => Err(Unsupported::new(format!("this device does not support {other}, only f32"))),
        }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        // SAFETY: the caller keeps the contract of `Backend::run`. `scalar` has the same contract, uses the same memory
        // and supports every operation.
        unsafe { Device::scalar().backend().expect("scalar has a backend").run(op, cx) }
    }
}

#[test]
fn a_dtype_that_a_named_device_cannot_take() {
    let narrow = register(Narrow(DeviceInfo { name: "narrow".into(), description: "f32 only".into(), hardware: true }));
    let is = |e: &Error| matches!(e, Error::Refused { .. });
    let (x, y) = (count([3]), Array::<f64>::ones([3]).unwrap());
    assert_eq!(with_device(&narrow, || (&x + 1.0).eval()).unwrap().to_vec().unwrap(), [1.0, 2.0, 3.0]);
    refused(
        with_device(&narrow, || (&y + 1.0).eval()),
        is,
        &["add", "f64", "narrow", "this device does not support f64, only f32"],
    );
    refused((&y + 1.0).eval_on(&narrow), is, &["narrow: this device does not support f64"]);
    refused(with_device(&narrow, || y.sum()), is, &["sum", "f64", "narrow"]);
    let square = y.broadcast_to([3, 3]).unwrap();
    refused(Matmul::new(&square, &square).on(&narrow).run(), is, &["matmul", "[3, 3, 3]", "narrow"]);
    refused(Matmul::new(&square, &square).map(|e| e + 1.0).on(&narrow).run(), is, &["narrow"]);
    refused(with_device(&narrow, || distance::cdist(&square, &square, Metric::Cosine)), is, &["cosine", "narrow"]);
    refused((&y + 1.0).eval_on(&narrow).map(|_| ()), is, &["f64"]);
    assert_eq!(y.sum().unwrap(), 3.0, "auto runs it on another device");
}

/// A registered backend: its programs take the regular path, which validates what it writes.
struct OneStep(DeviceInfo);

// SAFETY: every operation is forwarded to `scalar`, which keeps the contract of `Backend`.
unsafe impl Backend for OneStep {
    fn info(&self) -> &DeviceInfo {
        &self.0
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if op.programs().into_iter().any(|program| program.instrs().len() == 2) {
            return Err(Unsupported::new("this device refuses two steps"));
        }
        let scalar = Device::scalar().backend().expect("scalar is a backend").clone();
        scalar.estimate(op, threads).map(|cost| Cost { seconds: 1e3, ..cost })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        // SAFETY: the caller keeps the contract of `Backend::run`, which is that of `scalar`.
        unsafe { Device::scalar().backend().expect("scalar is a backend").run(op, cx) }
    }

    fn prepare(&self, _: &Program) -> Option<Box<dyn Prepared>> {
        panic!("registered backends receive operations")
    }
}

#[test]
fn a_compiled_function_runs_or_is_refused() {
    let x = count([5]);
    let (one, two) = (fuse(|x: Expr<f32>| x + 1.0).unwrap(), fuse(|x: Expr<f32>| (x + 1.0).sqrt()).unwrap());
    let info = DeviceInfo { name: "registered".into(), description: "scalar".into(), hardware: true };
    for _ in 0..3 {
        let device = register(OneStep(info.clone()));
        assert_eq!(one.eval_on(&device, &x).unwrap().to_vec().unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0]);
        let refused = two.eval_on(&device, &x).unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }) && refused.to_string().contains("two steps"), "{refused}");
        let mut out = Array::zeros([5]).unwrap();
        let refused = with_device(&device, || two.eval_into(&x, &mut out.view_mut().unwrap())).unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{refused}");
        assert!(with_device(&device, || two.sum(&x)).is_err());
        assert_eq!(two.eval(&x).unwrap().to_vec().unwrap()[3], 2.0, "under auto");
    }
}
