//! User code that the library calls or drops may use the library itself: the library holds no lock and no borrow during
//! the call.

use polyarray::prelude::*;
use polyarray::{
    Backend, BackendEntry, Buffer, Cost, DeviceInfo, Memory, MemoryId, MemoryInfo, Op, Prepared, PreparedWork, Program,
    RunContext, Small, Unsupported, inventory, memory, register_memory, trace,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Runs `f` on its own thread. Panics if `f` panics or does not end within 60 seconds.
fn ends<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(f()));
    told.recv_timeout(Duration::from_secs(60)).expect("the closure ends within 60 seconds and does not panic")
}

/// A backend that forwards all work to `scalar` and uses the library in `estimate`, `run` and `run_small`.
struct Curious {
    info: DeviceInfo,
    /// Whether `drop` lists the devices.
    asks_at_the_end: bool,
}

impl Curious {
    fn new(name: &str) -> Curious {
        Curious {
            info: DeviceInfo {
                name: name.into(),
                description: "scalar; calls the library while it works".into(),
                hardware: true,
            },
            asks_at_the_end: false,
        }
    }
}

/// Computes on another device, as a backend does that is built on other backends.
fn ask() {
    let x = Array::from_vec(vec![1.0f32, 4.0], [2]).unwrap();
    let sum = with_device(&Device::scalar(), || (&x + &x).eval()).unwrap();
    assert_eq!(sum.to_vec().unwrap(), [2.0, 8.0]);
    assert!(!Device::all().is_empty());
    // The same kind of work on the current device.
    assert_eq!((&x + 1.0).eval().unwrap().to_vec().unwrap(), [2.0, 5.0]);
}

// SAFETY: every operation and every strip is forwarded to `scalar`, which keeps the contract of `Backend`.
unsafe impl Backend for Curious {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        with_device(&Device::scalar(), ask);
        Device::scalar()
            .backend()
            .expect("scalar is a backend")
            .estimate(op, threads)
            .map(|_| Cost { seconds: 1e3, threads: 1 })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        with_device(&Device::scalar(), ask);
        // SAFETY: the caller keeps the contract of `Backend::run`. `scalar` has the same contract, uses the same memory
        // and accepted `op` in `estimate`.
        unsafe { Device::scalar().backend().expect("scalar is a backend").run(op, cx) }
    }

    unsafe fn run_small(&self, work: &Small) -> bool {
        STRIPS.fetch_add(1, Ordering::SeqCst);
        with_device(&Device::scalar(), ask);
        // SAFETY: the caller guarantees the invariants of `work`, the only condition of `run_small`.
        unsafe { Device::scalar().backend().expect("scalar is a backend").run_small(work) }
    }

    fn prepare(&self, program: &Program) -> Option<Box<dyn Prepared>> {
        with_device(&Device::scalar(), ask);
        // The same function, while it prepares its program.
        let f = CALLED.with_borrow(Clone::clone)?;
        assert_eq!(with_device(&Device::auto(), || f.eval(1.0)).unwrap().item().unwrap(), 4.0);
        Some(Box::new(Asking(program.instrs().len())))
    }
}

thread_local! {
    static CALLED: std::cell::RefCell<Option<Fused<(f32,), f32>>> = const { std::cell::RefCell::new(None) };
}

/// A prepared program that uses the library, and refuses all work.
struct Asking(usize);

impl Prepared for Asking {
    unsafe fn run(&self, work: &PreparedWork) -> bool {
        assert_eq!((self.0, work.operands.len(), work.params.len(), work.len), (2, 1, 2, 2));
        PREPARED.fetch_add(1, Ordering::SeqCst);
        with_device(&Device::scalar(), ask);
        let f = CALLED.with_borrow(Clone::clone).expect("the test set it");
        assert_eq!(with_device(&Device::auto(), || f.eval(2.0)).unwrap().item().unwrap(), 6.0);
        false
    }
}

static PREPARED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Curious {
    fn drop(&mut self) {
        if self.asks_at_the_end {
            assert!(Device::all().iter().any(|d| d.name() == "scalar"));
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
    }
}

static ENDED: AtomicUsize = AtomicUsize::new(0);
static STRIPS: AtomicUsize = AtomicUsize::new(0);

polyarray::inventory::submit! {
    BackendEntry {
        name: "curious",
        order: 90,
        slow_to_open: true,
        present: no_hardware,
        open: || Ok(Arc::new(Curious::new("curious"))),
    }
}

#[test]
fn a_backend_may_compute_while_it_runs() {
    ends(|| {
        // A linked device, not a registered one: only backends of linked crates run strips.
        let device = Device::named("curious").unwrap();
        let x = Array::from_vec(vec![1.0f32, 2.0], [2]).unwrap();
        for _ in 0..3 {
            // A strip, an operation, and an operation while a trace is recorded.
            assert_eq!(with_device(&device, || (&x * 3.0).eval()).unwrap().to_vec().unwrap(), [3.0, 6.0]);
            assert_eq!(with_device(&device, || x.sum()).unwrap(), 3.0);
            let (sum, trace) = trace::record(|| with_device(&device, || x.sum()));
            assert_eq!(sum.unwrap(), 3.0);
            assert!(trace.events.iter().any(|e| e.device == "curious"), "{trace}");
        }
        assert!(STRIPS.load(Ordering::SeqCst) > 0);
    });
}

#[test]
fn a_backend_may_compute_while_it_prepares_and_runs_a_function() {
    ends(|| {
        let device = Device::named("curious").unwrap();
        let x = Array::from_vec(vec![1.0f32, 2.0], [2]).unwrap();
        let f = fuse(|x: Expr<f32>| (x + 1.0) * 2.0).unwrap();
        CALLED.set(Some(f.clone()));
        for _ in 0..3 {
            assert_eq!(f.eval_on(&device, &x).unwrap().to_vec().unwrap(), [4.0, 6.0]);
        }
        assert_eq!(PREPARED.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_backend_that_is_replaced_may_ask_for_devices_while_it_is_dropped() {
    ends(|| {
        for _ in 0..3 {
            let mut backend = Curious::new("replaced");
            backend.asks_at_the_end = true;
            drop(register(backend));
        }
    });
    assert!(ENDED.load(Ordering::SeqCst) >= 2);
}

static OPENED: AtomicUsize = AtomicUsize::new(0);

/// Requests its own device, which fails while that device is being opened. Then opens another device, whose open
/// function requests this one, and lists all devices.
fn open_by_asking() -> Result<Arc<dyn Backend>> {
    OPENED.fetch_add(1, Ordering::SeqCst);
    let itself =
        Device::named("asks when opened").expect_err("a device that is being opened cannot be requested").to_string();
    assert!(itself.contains("\"asks when opened\"") && itself.contains("being opened"), "{itself}");
    Device::named("asks back when opened")?;
    assert!(Device::all().iter().any(|d| d.name() == "scalar"));
    Ok(Arc::new(Curious::new("asks when opened")))
}

fn open_by_asking_back() -> Result<Arc<dyn Backend>> {
    Device::named("asks when opened").expect_err("a device that is being opened cannot be requested");
    ask();
    Ok(Arc::new(Curious::new("asks back when opened")))
}

fn no_hardware() -> bool {
    false
}

static EMULATED: AtomicUsize = AtomicUsize::new(0);

fn open_emulated() -> Result<Arc<dyn Backend>> {
    EMULATED.fetch_add(1, Ordering::SeqCst);
    Ok(Arc::new(Curious::new("emulated")))
}

inventory::submit! {
    BackendEntry {
        name: "asks when opened",
        order: 50,
        slow_to_open: true,
        present: || true,
        open: open_by_asking,
    }
}
inventory::submit! {
    BackendEntry {
        name: "asks back when opened",
        order: 51,
        slow_to_open: true,
        present: || true,
        open: open_by_asking_back,
    }
}
inventory::submit! {
    BackendEntry {
        name: "emulated",
        order: 53,
        slow_to_open: true,
        present: no_hardware,
        open: open_emulated,
    }
}

#[test]
fn what_opens_a_device_may_ask_for_devices() {
    // Several threads request the device at once: it is opened only once.
    let threads: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| Device::named("asks when opened").map(|d| d.name().to_string())))
        .collect();
    ends(|| threads.into_iter().for_each(|t| assert_eq!(t.join().unwrap().unwrap(), "asks when opened")));
    assert_eq!(OPENED.load(Ordering::SeqCst), 1);
    assert!(Device::all().iter().any(|d| d.name() == "asks back when opened"));
}

#[test]
fn what_no_hardware_is_found_for_is_opened_by_name_alone() {
    assert!(!Device::all().iter().any(|d| d.name() == "emulated"));
    let absent = Device::absent();
    let (_, why) =
        absent.iter().find(|(name, _)| name == "emulated").expect("the device \"emulated\" is listed as absent");
    assert!(why.to_string().contains("no hardware") && why.to_string().contains("\"emulated\""), "{why}");
    assert_eq!(EMULATED.load(Ordering::SeqCst), 0, "the device is not open yet");
    assert_eq!(Device::named("emulated").unwrap().name(), "emulated");
    assert!(
        Device::all().iter().any(|d| d.name() == "emulated"),
        "the device is listed after it was requested by name"
    );
}

/// A memory that is registered but never used.
struct Nowhere(MemoryInfo);

// SAFETY: `alloc` always fails, so no buffer of this memory exists.
unsafe impl Memory for Nowhere {
    fn info(&self) -> &MemoryInfo {
        &self.0
    }
    fn alloc(&self, _: usize) -> Result<Buffer> {
        Err(Error::OutOfMemory { memory: "nowhere".into(), bytes: 0, why: "this memory has no blocks".into() })
    }
    unsafe fn upload(&self, _: &[u8], _: &Buffer, _: usize) -> Result<()> {
        Ok(())
    }
    unsafe fn download(&self, _: &Buffer, _: usize, _: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

#[test]
fn what_makes_a_memory_may_ask_for_memories() {
    ends(|| {
        let make =
            |name: &str| Arc::new(Nowhere(MemoryInfo { name: name.into(), ..memory(MemoryId::HOST).info().clone() }));
        let mut ids = Vec::new();
        let outer = register_memory(|id| {
            ids.push(id);
            assert!(catch_unwind(|| memory(id)).is_err(), "the memory is not registered yet");
            register_memory(|inner| {
                ids.push(inner);
                make("inner")
            });
            make("outer")
        });
        assert_eq!(outer.info().name, "outer");
        assert_eq!(ids.iter().map(|&id| memory(id).info().name.clone()).collect::<Vec<_>>(), ["outer", "inner"]);
        // A panic of the function that makes a memory leaves no lock held.
        assert!(
            catch_unwind(AssertUnwindSafe(|| register_memory(|_| -> Arc<Nowhere> { panic!("on purpose") }))).is_err()
        );
        assert_eq!(memory(MemoryId::HOST).info().name, "the host");
    });
}
