//! The cost of an open GPU for operations of the host, which request its estimates under `auto`.

mod common;

extern crate polyarray_cpu as _;

use common::gpu;
use polyarray_core::op::{Map, Operand, Output, Reduce, Reduction};
use polyarray_core::order::Order;
use polyarray_core::{Array, Cost, Result, register};
use polyarray_core::{
    Backend, Buffer, DType, DeviceInfo, Dims, Instr, MemoryId, Op, Program, Ref, RunContext, Unary, Unsupported,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An allocator that counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all calls go unchanged to the system's allocator. Counting does not allocate, because the counter is a
// constant-initialised thread-local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller fulfils the contract of `GlobalAlloc`, which is also that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System.alloc` with this layout, because `alloc` above forwards every call.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(f: impl FnOnce() -> R) -> usize {
    let before = COUNT.get();
    std::hint::black_box(f());
    COUNT.get() - before
}

fn operand(dtype: DType, strides: &[isize]) -> Operand {
    Operand { buffer: Buffer::host(64).unwrap(), dtype, offset: 0, strides: strides.into() }
}

fn map(dtype: DType) -> Op {
    let program = Program::new(&[dtype], &[], &[Instr::Unary(Unary::Sqrt, Ref::Input(0))], Ref::Value(0)).unwrap();
    let output = Output { dtype, offset: 0, strides: vec![1].into() };
    Op::from(Map {
        program,
        params: Default::default(),
        shape: Dims::from([4]),
        inputs: [operand(dtype, &[1])].into_iter().collect(),
        output,
    })
}

fn sum(dtype: DType) -> Op {
    let program = Program::identity(dtype);
    Op::from(Reduce {
        kind: Reduction::Sum,
        before: program.clone(),
        params: Default::default(),
        outer: Dims::from([1]),
        inner: Dims::from([4]),
        inputs: [operand(dtype, &[0, 1])].into_iter().collect(),
        order: Order::Rows,
        output: Output { dtype, offset: 0, strides: vec![1].into() },
        after: program,
        after_params: Default::default(),
    })
}

#[test]
fn estimates_of_what_the_host_usually_does_allocate_nothing() {
    let Some(device) = gpu() else { return };
    let backend = device.backend().unwrap();
    for (op, taken) in [
        (map(DType::F32), true),
        (map(DType::F64), false),
        (sum(DType::F32), true),
        (sum(DType::I64), false),
        (sum(DType::F64), false),
    ] {
        assert_eq!(backend.estimate(&op, 2).is_ok(), taken, "{}", op.describe());
        assert_eq!(allocations(|| backend.estimate(&op, 2)), 0, "{}", op.describe());
    }
    assert!(allocations(|| map(DType::F64).describe()) > 0, "the counter counts");
    assert_eq!(allocations(|| backend.start_up()), 0);
}

/// The GPU under another name, with a count of the requested estimates.
struct Asked {
    inner: Arc<dyn Backend>,
    info: DeviceInfo,
    questions: Arc<AtomicUsize>,
}

// SAFETY: every operation goes to the inner backend, which fulfils the contract.
unsafe impl Backend for Asked {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.inner.memory()
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.inner.estimate(op, threads)
    }

    fn start_up(&self) -> f64 {
        self.inner.start_up()
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        // SAFETY: the caller guarantees the conditions of `run`, which are also those of the inner backend.
        unsafe { self.inner.run(op, cx) }
    }

    fn synchronize(&self) -> Result<()> {
        self.inner.synchronize()
    }
}

#[test]
fn small_work_of_the_host_does_not_ask_an_open_gpu() {
    let Some(device) = gpu() else { return };
    let questions = Arc::new(AtomicUsize::new(0));
    let info = DeviceInfo { name: "asked".into(), ..device.info().clone() };
    let asked = register(Asked { inner: device.backend().unwrap().clone(), info, questions: questions.clone() });
    let x = Array::from_vec(vec![1.0f32; 1000], [1000]).unwrap();
    for _ in 0..10 {
        (&x + &x).eval().unwrap();
        x.sum().unwrap();
        (x.sqrt() * 2.0 + 1.0).eval().unwrap();
    }
    assert_eq!(questions.load(Ordering::Relaxed), 0);
    x.sqrt().eval_on(&asked).unwrap();
    assert!(questions.load(Ordering::Relaxed) > 0, "a named device must be asked for an estimate");
}
