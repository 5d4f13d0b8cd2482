//! Tests of behaviour that the public interface does not show.

use crate::device::{Binding, Gpu, Launch, lock};
use crate::memory::{Handle, allocate};
use crate::pipeline::{self, Key};
use crate::wait::{Driver, Real};
use crate::{Options, map, open};
use polyarray_core::{Array, Device, Error, Metric, Result, distance, register, with_device};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Returns a device. Without a GPU, prints a note and returns `None`, or panics if the environment requires a GPU.
pub(crate) fn gpu() -> Option<Arc<Gpu>> {
    opened("gpu").map(|backend| backend.gpu)
}

fn opened(name: &str) -> Option<crate::GpuBackend> {
    open(&Options { name: name.into(), ..Options::default() }).map_err(missing).ok()
}

fn missing(e: Error) {
    let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r.trim() == "gpu"), "a GPU is required: {e}");
    eprintln!("skipped: {e}");
}

/// Opens a separate device with other options.
fn with(name: &str, set: impl FnOnce(&mut Options)) -> Option<crate::GpuBackend> {
    let mut options = Options { name: name.into(), ..Options::default() };
    set(&mut options);
    open(&options).map_err(missing).ok()
}

/// Returns the error of `f`, which must fail within ten seconds.
fn fails<T: std::fmt::Debug>(what: &str, f: impl FnOnce() -> Result<T>) -> Error {
    let start = Instant::now();
    let error = f().expect_err(what);
    assert!(start.elapsed() < Duration::from_secs(10), "{what} took {:?}", start.elapsed());
    error
}

#[test]
fn a_lost_device_gives_errors_from_then_on_and_is_not_chosen_again() {
    let Some(backend) = opened("doomed") else { return };
    let gpu = backend.gpu.clone();
    let device = register(backend);
    let x = Array::from_vec(vec![1.0f32, 2.0, 3.0], [3]).unwrap().to_device(&device).unwrap();
    let y = (&x + &x).eval().unwrap();
    assert_eq!(y.to_vec().unwrap(), [2.0, 4.0, 6.0]);
    // Collected, but not submitted when the device is destroyed.
    let z = (&x * &x).eval().unwrap();
    gpu.device.destroy();
    let lost = |what: &str, error: Error| match error {
        Error::Device { device, why } => {
            assert!(device.contains("doomed") && why.contains("lost"), "{what}: {device}: {why}")
        }
        other => panic!("{what} gave {other}"),
    };
    lost("reading what was under way", fails("reading", || z.to_vec()));
    lost("reading", fails("reading", || x.to_vec()));
    lost("waiting", fails("waiting", || device.synchronize()));
    lost("uploading", fails("uploading", || Array::from_vec(vec![1.0f32], [1])?.to_device(&device).map(|_| ())));
    lost("moving to the host", fails("moving", || y.to_device(&Device::auto()).and_then(|y| y.to_vec())));
    for threads in [1, 4] {
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(|| lost("reading", fails("reading", || x.to_vec())))))
        });
    }
    let refused = |what: &str, error: Error| match error {
        Error::Refused { reasons, .. } => {
            let why = reasons.iter().find(|(name, _)| name == "doomed").map(|(_, why)| why.as_str());
            assert!(why.is_some_and(|why| why.contains("lost")), "{what}: {reasons:?}");
        }
        Error::Device { why, .. } => assert!(why.contains("lost"), "{what}: {why}"),
        other => panic!("{what} gave {other}"),
    };
    refused("computing", fails("computing", || with_device(&device, || (&x + &x).eval()?.to_vec())));
    refused("a sum", fails("a sum", || with_device(&device, || x.sum())));
    assert_eq!(device.backend().unwrap().start_up(), f64::INFINITY, "`auto` must not choose a lost device");
    drop((x, y, z));
    gpu.synchronize().expect_err("it stays lost");
}

/// A driver that reports nothing until a given time. Each poll takes `delay`.
struct Stuck {
    until: Instant,
    delay: Duration,
}

impl Stuck {
    fn for_ever() -> Stuck {
        Stuck { until: Instant::now() + Duration::from_secs(10_000), delay: Duration::ZERO }
    }
}

impl Driver for Stuck {
    fn poll(&self, device: &wgpu::Device) {
        std::thread::sleep(self.delay);
        if Instant::now() > self.until {
            Real.poll(device);
        }
    }
}

fn stuck(name: &str, driver: Stuck, wait: Duration) -> Option<Arc<Gpu>> {
    let mut gpu = crate::adapter::gpu(&Options { name: name.into(), max_wait: Some(wait), ..Options::default() })
        .map_err(missing)
        .ok()?;
    gpu.driver = Box::new(driver);
    Some(Arc::new(gpu))
}

#[test]
fn waits_for_a_driver_that_hangs_end_with_an_error_that_says_for_what_and_how_long() {
    let Some(gpu) = stuck("stuck", Stuck::for_ever(), Duration::from_millis(200)) else { return };
    let x = allocate(&gpu, 64).unwrap();
    gpu.write(&x, 0, &[7; 64]).unwrap();
    let says = |what: &str, error: Error| match error {
        Error::Device { why, .. } => assert!(why.contains(what) && why.contains("0.2 s"), "{why}"),
        other => panic!("{other}"),
    };
    says("reading 64 bytes", fails("reading", || gpu.read(&x, 0, &mut [0; 64])));
    says("all submitted work", fails("waiting", || gpu.synchronize()));
    // A wait of one thread does not block others: the stream is free meanwhile.
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| gpu.read(&x, 0, &mut [0; 64]));
        std::thread::sleep(Duration::from_millis(50));
        for _ in 0..10 {
            drop(gpu.stream());
            allocate(&gpu, 64).unwrap();
        }
        assert!(!reader.is_finished());
        reader.join().unwrap().unwrap_err();
    });
    // A failed wait leaves no buffer mapped: with a working driver the same buffer can be read.
    let mut gpu = gpu;
    drop(x);
    Arc::get_mut(&mut gpu).expect("no buffer holds the device any more").driver = Box::new(Real);
    let x = allocate(&gpu, 64).unwrap();
    gpu.write(&x, 0, &[7; 64]).unwrap();
    let mut back = [0; 64];
    gpu.read(&x, 0, &mut back).unwrap();
    assert_eq!(back, [7; 64]);
}

#[test]
fn a_driver_that_is_slow_is_waited_for_while_it_makes_progress() {
    let Some(gpu) =
        stuck("slow", Stuck { until: Instant::now(), delay: Duration::from_millis(40) }, Duration::from_secs(20))
    else {
        return;
    };
    let x = allocate(&gpu, 1 << 20).unwrap();
    let data: Vec<u8> = (0..1 << 20).map(|i| (i % 251) as u8).collect();
    for _ in 0..3 {
        gpu.write(&x, 0, &data).unwrap();
        let mut back = vec![0; 1 << 20];
        gpu.read(&x, 0, &mut back).unwrap();
        assert!(back == data);
    }
    gpu.synchronize().unwrap();
}

#[test]
fn a_result_that_was_given_up_can_be_read_later() {
    let late = Stuck { until: Instant::now() + Duration::from_secs(2), delay: Duration::ZERO };
    let Some(gpu) = stuck("late", late, Duration::from_millis(100)) else { return };
    let x = allocate(&gpu, 64).unwrap();
    gpu.write(&x, 0, &[7; 64]).unwrap();
    let (start, mut back, mut given_up) = (Instant::now(), [0; 64], 0);
    while let Err(e) = gpu.read(&x, 0, &mut back) {
        assert!(e.to_string().contains("reading 64 bytes took longer than 0.1 s"), "{e}");
        assert!(start.elapsed() < Duration::from_secs(60), "{e}");
        given_up += 1;
    }
    assert!(given_up > 0 && back == [7; 64]);
}

const BUDGET: u64 = 64 << 20;

#[test]
fn a_budget_is_kept_and_what_exceeds_it_is_out_of_memory() {
    let Some(backend) = with("frugal", |o| o.max_memory = Some(BUDGET)) else { return };
    let gpu = backend.gpu.clone();
    let device = register(backend);
    let mib = 1 << 18;
    let make = |n: usize| Array::from_vec(vec![1.0f32; n * mib], [n * mib])?.to_device(&device);
    let used = || gpu.ledger.bytes();
    let mut kept = Vec::new();
    let error = loop {
        match make(6) {
            Ok(x) => kept.push(x),
            Err(e) => break e,
        }
        assert!(used() <= BUDGET && kept.len() < 11);
    };
    assert!(kept.len() >= 8, "only {} of 6 MiB fit 64 MiB", kept.len());
    let Error::OutOfMemory { memory, bytes, why } = &error else { panic!("{error}") };
    assert!(
        memory == "frugal" && *bytes == 6 << 20 && why.contains(&BUDGET.to_string()) && why.contains("in use"),
        "{error}"
    );
    // The existing arrays are intact, and can be used as far as memory permits.
    assert_eq!(kept[0].sum().unwrap(), 6.0 * mib as f32);
    assert!(matches!((&kept[0] + &kept[1]).eval(), Err(Error::OutOfMemory { .. }) | Ok(_)));
    assert!(kept.iter().all(|x| x.get([mib]).unwrap() == 1.0));
    // Freed buffers are kept for reuse, and are freed for requests that they do not fit.
    drop(kept);
    for n in [5, 17, 30, 9, 30, 17] {
        let x = make(n).unwrap();
        assert!(used() <= BUDGET);
        assert_eq!(x.sum().unwrap(), (n * mib) as f32);
    }
    let x = make(20).unwrap();
    let mut y = (&x + 1.0).eval().unwrap();
    for _ in 0..40 {
        y = (y + 1.0).eval().unwrap();
    }
    assert_eq!((y.min().unwrap(), y.max().unwrap()), (42.0, 42.0), "temporaries are freed and reused");
    assert!(used() <= BUDGET);
}

#[test]
fn a_budget_is_kept_by_several_threads() {
    let Some(backend) = with("frugal for several", |o| o.max_memory = Some(BUDGET)) else { return };
    let gpu = backend.gpu.clone();
    let device = register(backend);
    let (fine, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for t in 0..8 {
            let (device, gpu, fine, refused) = (&device, &gpu, &fine, &refused);
            scope.spawn(move || {
                for i in 0..10 {
                    let n = (1 + (t * 7 + i * 3) % 9) << 18;
                    let made = Array::from_vec(vec![t as f32; n], [n])
                        .unwrap()
                        .to_device(device)
                        .and_then(|x| (x + 1.0).eval()?.to_vec());
                    match made {
                        Ok(y) => assert!(
                            y.iter().all(|&y| y == t as f32 + 1.0) && fine.fetch_add(1, Ordering::Relaxed) < 160
                        ),
                        Err(Error::OutOfMemory { why, .. }) => {
                            assert!(why.contains("budget") && refused.fetch_add(1, Ordering::Relaxed) < 160, "{why}")
                        }
                        Err(other) => panic!("{other}"),
                    }
                    assert!(gpu.ledger.bytes() <= BUDGET);
                }
            });
        }
    });
    assert!(fine.into_inner() > 0);
    Array::from_vec(vec![1.0f32; 12 << 18], [12 << 18]).unwrap().to_device(&device).unwrap();
}

/// Launches a kernel with one binding too many, which the driver refuses.
fn bad_launch(gpu: &Arc<Gpu>) -> Result<()> {
    let pipeline = pipeline::get(gpu, Key::Map(map::Structure::fill_of_rank(1))).unwrap();
    let out = allocate(gpu, 64).unwrap();
    let binding = || Binding { handle: &out, offset: 0, size: 64 };
    gpu.launch(&Launch {
        pipeline: &pipeline,
        words: &[16, 0, 1, 7],
        bindings: &[binding(), binding()],
        groups: (1, 1, 1),
        seconds: 0.0,
    })
}

#[test]
fn errors_reach_the_thread_that_made_them_and_no_other() {
    let Some(backend) = opened("shared") else { return };
    let gpu = backend.gpu.clone();
    let device = register(backend);
    let stop = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for t in 0..2 {
            let (gpu, stop) = (&gpu, &stop);
            scope.spawn(move || {
                for i in 0..60 {
                    let error = match (t + i) % 2 {
                        0 => bad_launch(gpu).expect_err("a bad launch"),
                        _ => {
                            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
                            let _ = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                                label: None,
                                size: 4,
                                usage,
                                mapped_at_creation: false,
                            });
                            gpu.check().expect_err("a bad buffer")
                        }
                    };
                    assert!(matches!(error, Error::Device { .. }), "{error}");
                    gpu.check().expect("the error is reported only once");
                }
                stop.fetch_add(1, Ordering::Relaxed);
            });
        }
        for t in 0..4 {
            let (device, stop) = (&device, &stop);
            scope.spawn(move || {
                let data = vec![t as f32; 5000];
                let mut x = Array::from_slice(&data, [5000]).unwrap().to_device(device).unwrap();
                while stop.load(Ordering::Relaxed) < 2 {
                    x = (x + 1.0).eval().expect("nothing is wrong with this");
                    let first = x.get([0]).unwrap();
                    assert!(x.to_vec().unwrap().iter().all(|&x| x == first));
                    device.synchronize().expect("nothing is wrong with this");
                }
            });
        }
    });
}

/// Spoils the open submission: dispatches more workgroups than are allowed, which wgpu reports at the submission.
fn spoil_the_open_submission(gpu: &Arc<Gpu>, out: &Handle) {
    let pipeline = pipeline::get(gpu, Key::Map(map::Structure::fill_of_rank(1))).unwrap();
    let bindings = [Binding { handle: out, offset: 0, size: 64 }];
    gpu.launch(&Launch {
        pipeline: &pipeline,
        words: &[16, 0, 1, 7],
        bindings: &bindings,
        groups: (1 << 20, 1, 1),
        seconds: 0.0,
    })
    .expect("the error is reported at the submission");
}

#[test]
fn a_submission_that_fails_is_told_to_those_whose_work_it_was_and_to_readers_of_its_results() {
    let Some(gpu) = gpu() else { return };
    let [good, bad] = [0, 1].map(|_| allocate(&gpu, 64).unwrap());
    gpu.write(&good, 0, &[5; 64]).unwrap();
    std::thread::scope(|s| s.spawn(|| spoil_the_open_submission(&gpu, &bad)).join().unwrap());
    // This thread submits the work, but the failure does not concern it.
    let mut read = [0; 64];
    gpu.read(&good, 0, &mut read).unwrap();
    assert_eq!(read, [5; 64]);
    for _ in 0..2 {
        let why = gpu.read(&bad, 0, &mut read).unwrap_err().to_string();
        assert!(why.contains("a submission of 1 launches failed"), "{why}");
    }
    let pipeline = pipeline::get(&gpu, Key::Map(map::Structure::copy())).unwrap();
    let bindings = [Binding { handle: &good, offset: 0, size: 64 }, Binding { handle: &bad, offset: 0, size: 64 }];
    let copy =
        Launch { pipeline: &pipeline, words: &[16, 0, 1, 0, 1], bindings: &bindings, groups: (1, 1, 1), seconds: 0.0 };
    assert!(gpu.launch(&copy).is_err(), "a launch must not read an invalid buffer");
    // The thread that requested the failed work receives the error even if it does not read the result.
    spoil_the_open_submission(&gpu, &bad);
    std::thread::scope(|s| {
        s.spawn(|| gpu.read(&good, 0, &mut [0; 64]).expect("the failed work belongs to another thread")).join().unwrap()
    });
    assert!(gpu.synchronize().unwrap_err().to_string().contains("a submission of 1 launches failed"));
    gpu.synchronize().expect("the error is reported only once");
    spoil_the_open_submission(&gpu, &bad);
    assert!(gpu.synchronize().is_err(), "the error must also reach the thread if it submits the work itself");
    gpu.synchronize().expect("the error is reported only once");
}

#[test]
fn work_is_cut_by_estimated_time() {
    let limit = Duration::from_micros(200);
    let Some(backend) = with("hasty", |o| o.max_launch = Some(limit)) else { return };
    let gpu = backend.gpu.clone();
    let (limits, limit) = (gpu.limits, limit.as_secs_f64());
    let geometry = |cut_k: bool| crate::tile::Geometry {
        lens: vec![3, 500, 300, 7000],
        strides: vec![vec![3_500_000, 7000, 0, 1], vec![0, 0, 1, 300], vec![150_000, 300, 1, 0]],
        cut_k,
    };
    let piece = geometry(true).pieces(&limits).unwrap();
    assert!(geometry(true).seconds(&piece, &limits) <= limit, "{piece:?}");
    assert!(geometry(true).seconds(&[3, 500, 300, 7000], &limits) > 100.0 * limit, "it had to be cut");
    let hardware = crate::device::Limits { longest: 1e-3, ..limits };
    assert_eq!(geometry(false).pieces(&hardware), None, "one tile takes too long, and sums may not be made in parts");
    let device = register(backend);
    // Whole numbers: every order of additions gives the same sum.
    let whole = |n: usize| (0..n).map(|i| (i * 7919 % 7) as f32 - 3.0).collect::<Vec<f32>>();
    let (m, k, n) = (70, 130, 90);
    let (a, b) = (whole(m * k), whole(k * n));
    let put = |data: &[f32], shape: [usize; 2]| Array::from_slice(data, shape).unwrap().to_device(&device).unwrap();
    let (x, y) = (put(&a, [m, k]), put(&b, [k, n]));
    let want: Vec<f32> = (0..m * n).map(|i| (0..k).map(|l| a[i / n * k + l] * b[l * n + i % n]).sum()).collect();
    assert!(x.matmul(&y).unwrap().to_vec().unwrap() == want);
    assert_eq!(x.sum().unwrap(), a.iter().sum::<f32>());
    let rows = x.sum_axis(1).unwrap().to_vec().unwrap();
    assert!((0..m).all(|i| rows[i] == a[i * k..(i + 1) * k].iter().sum::<f32>()));
    let big = put(&whole(500_000), [500, 1000]);
    assert_eq!(
        (&big * 2.0 + 1.0).eval().unwrap().to_vec().unwrap(),
        whole(500_000).iter().map(|x| x * 2.0 + 1.0).collect::<Vec<_>>()
    );
    assert_eq!(big.t().sum_axis(0).unwrap().to_vec().unwrap(), big.sum_axis(1).unwrap().to_vec().unwrap());
    assert_eq!(distance::cdist(&x, &x, Metric::Cityblock).unwrap().get([3, 3]).unwrap(), 0.0);
}

#[test]
fn freed_buffers_are_used_again_and_given_back_when_asked() {
    let Some(gpu) = gpu() else { return };
    let first = allocate(&gpu, 100_000).unwrap();
    let same = first.buffer().clone();
    drop(first);
    let second = allocate(&gpu, 99_000).unwrap();
    assert_eq!(*second.buffer(), same, "a size of the same class");
    assert_ne!(*allocate(&gpu, 99_000).unwrap().buffer(), same, "the buffer is in use");
    drop(lock(&gpu.pool).trim());
    assert_ne!(*allocate(&gpu, 99_000).unwrap().buffer(), same);
}

#[test]
fn more_than_one_buffer_holds_is_out_of_memory_with_the_figures() {
    let Some(gpu) = gpu() else { return };
    let most = gpu.limits.buffer as usize;
    match allocate(&gpu, most + 1).map(|_| ()) {
        Err(Error::OutOfMemory { bytes, why, .. }) => {
            assert!(bytes == most + 1 && why.contains(&most.to_string()), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_validation_error_is_reported_and_not_a_panic() {
    let Some(gpu) = gpu() else { return };
    let bad = wgpu::BufferDescriptor {
        label: None,
        size: 4,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let _ = gpu.device.create_buffer(&bad);
    assert!(matches!(gpu.check(), Err(Error::Device { .. })));
    gpu.check().unwrap();
}
