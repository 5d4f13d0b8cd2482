//! Events in a process that affect a library: forks, lack of memory, threads that end.
#![cfg(target_os = "linux")]

mod common;

use polyarray::prelude::*;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The time limit of a child process. It takes seconds, and minutes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs an ignored test of this file in its own process, with these environment variables, and returns its output.
/// Panics unless the test passes within [`PATIENCE`].
fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).envs(variables.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > PATIENCE {
            child.kill().unwrap();
            let out = child.wait_with_output().unwrap();
            panic!(
                "{test} with {variables:?} does not end within {PATIENCE:?}: {}{}",
                String::from_utf8_lossy(&out.stdout),
                String::from_utf8_lossy(&out.stderr)
            );
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{test} with {variables:?}: {}: {text}", out.status);
    text
}

/// Runs operations of several kinds on `device`, each large enough for several threads.
fn large_work(device: &Device) -> Result<()> {
    let x = Array::<f64>::ones([1 << 20])?;
    let down = Array::arange(299_999i32, -1, -1)?;
    let a = Array::<f32>::ones([300, 300])?;
    with_device(device, || {
        // `blas` supports only matrix products and distances.
        if device.name() != "blas" {
            assert_eq!(x.sum()?, (1 << 20) as f64);
            assert_eq!((&x + &x).eval()?.max()?, 2.0);
            assert_eq!(down.sort(0)?.get([7])?, 7);
            assert_eq!(down.argsort(0)?.get([7])?, 299_992);
        }
        assert_eq!(a.matmul(&a)?.get([17, 3])?, 300.0);
        assert_eq!(distance::cdist(&a, &a, Metric::Euclidean)?.get([5, 5])?, 0.0);
        Ok(())
    })
}

/// The devices of the host, none of which has a driver, and `auto`.
fn host_devices() -> Vec<Device> {
    ["scalar", "simd", "blas"].into_iter().filter_map(|name| Device::named(name).ok()).chain([Device::auto()]).collect()
}

/// Forks and runs `work` in the child. Panics if the child fails, or does not end within half of [`PATIENCE`].
fn fork(work: impl Fn() -> Result<()>) {
    // SAFETY: the child only uses this library and then calls `_exit`. Other threads may have held locks of the library
    // at the fork; this is what the test checks.
    match unsafe { libc::fork() } {
        -1 => panic!("fork failed"),
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work().unwrap())).is_ok();
            // SAFETY: `_exit` has no preconditions. It ends the child without the exit handlers that the parent
            // registered.
            unsafe { libc::_exit(if done { 0 } else { 1 }) };
        }
        pid => {
            let (mut status, since) = (0, Instant::now());
            // SAFETY: `pid` is the child just forked, and `status` is valid for writes during the call.
            while unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } == 0 {
                if since.elapsed() > PATIENCE / 2 {
                    // SAFETY: `pid` is the child just forked, which has not been reaped.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                    panic!("the child does not end");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(
                libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
                "the child ended with status {status:x}"
            );
        }
    }
}

#[test]
fn children_of_a_fork_compute() {
    for when in ["before_anything", "after_work", "while_others_allocate"] {
        child("forks", &[("WHEN", when), ("POLYARRAY_THREADS", "4")]);
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn forks() {
    let all = || host_devices().iter().try_for_each(large_work);
    match std::env::var("WHEN").unwrap().as_str() {
        "before_anything" => fork(all),
        "after_work" => {
            all().unwrap();
            fork(all);
            // A child of a child, and then the parent again.
            fork(|| {
                fork(all);
                all()
            });
            all().unwrap();
        }
        "while_others_allocate" => {
            all().unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let stop = stop.clone();
                    std::thread::spawn(move || {
                        while !stop.load(Ordering::Relaxed) {
                            // Large enough for the pool of freed blocks, and small enough for one thread.
                            drop(Array::<u8>::zeros([150_000]).unwrap());
                        }
                    })
                })
                .collect();
            let simd = Device::simd().unwrap_or_else(|_| Device::scalar());
            for _ in 0..40 {
                fork(|| {
                    for _ in 0..20 {
                        drop(Array::<u8>::ones([200_000])?);
                    }
                    with_device(&simd, || Array::<f64>::ones([1 << 18])?.sum()).map(drop)
                });
            }
            stop.store(true, Ordering::Relaxed);
            others.into_iter().for_each(|t| t.join().unwrap());
        }
        other => panic!("{other}"),
    }
}

#[test]
#[cfg(feature = "simd")]
fn children_of_a_process_that_started_a_pool_of_its_own_compute() {
    child("forks_beside_a_pool", &[("POLYARRAY_THREADS", "4")]);
}

#[test]
#[cfg(feature = "simd")]
#[ignore = "run in a process of its own"]
fn forks_beside_a_pool() {
    // The caller owns the pool, and no code of this library has run before the fork.
    rayon::ThreadPoolBuilder::new().num_threads(4).build_global().unwrap();
    let simd = || large_work(&Device::simd()?);
    fork(simd);
    simd().unwrap();
    // The same from a thread of a pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    pool.install(|| {
        simd().unwrap();
        fork(simd);
    });
}

/// The size of the address space of this process, in bytes.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    // SAFETY: `sysconf` takes an integer and returns an integer.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

#[test]
fn operations_end_where_memory_does() {
    for megabytes in ["1", "8", "24", "64", "160", "300", "600", "2000"] {
        let mut variables = vec![("MEGABYTES", megabytes), ("POLYARRAY_THREADS", "4")];
        if cfg!(feature = "blas-static") {
            // Linked OpenBLAS starts its threads before the limit is set. A thread that has no buffer yet tries to
            // allocate one forever, and the exit waits for it.
            variables.push(("OPENBLAS_NUM_THREADS", "1"));
        }
        let text = child("works_in_little_memory", &variables);
        if megabytes == "2000" {
            assert!(text.contains("did scalar"), "{text}");
        }
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn works_in_little_memory() {
    let limit = address_space() + (std::env::var("MEGABYTES").unwrap().parse::<u64>().unwrap() << 20);
    let limits = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: `limits` is valid for reads during the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limits) }, 0);
    // No device is open yet. Each device opens or reports why it cannot, and each operation returns a result or an
    // error.
    for name in ["scalar", "simd", "blas", "auto"] {
        match Device::named(name).and_then(|device| large_work(&device)) {
            Ok(()) => println!("did {name}"),
            Err(e @ (Error::OutOfMemory { .. } | Error::Absent { .. })) => println!("{name}: {e}"),
            Err(e) => panic!("{name}: {e}"),
        }
    }
}

#[test]
#[cfg(feature = "simd")]
fn a_pool_that_cannot_be_started_is_done_without() {
    child("works_without_a_pool", &[("RUST_MIN_STACK", "70368744177664"), ("POLYARRAY_THREADS", "4")]);
}

#[test]
#[cfg(feature = "simd")]
#[ignore = "run in a process of its own"]
fn works_without_a_pool() {
    // No thread can start with the stack size that the environment sets.
    assert!(std::thread::Builder::new().spawn(|| ()).is_err());
    large_work(&Device::simd().unwrap()).unwrap();
    large_work(&Device::auto()).unwrap();
}

/// Computes when its thread ends, after the thread-locals that were registered later have been destroyed.
struct Last(&'static str);

impl Drop for Last {
    fn drop(&mut self) {
        work_of_an_ending_thread().unwrap_or_else(|e| panic!("{}: {e}", self.0));
        DONE.fetch_add(1, Ordering::SeqCst);
    }
}

static DONE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

thread_local! {
    static FIRST_MADE: Last = const { Last("the first made") };
    static LAST_MADE: Last = const { Last("the last made") };
}

fn work_of_an_ending_thread() -> Result<()> {
    let x = common::count([100]);
    for device in host_devices() {
        if device.name() == "blas" {
            continue;
        }
        with_device(&device, || -> Result<()> {
            assert_eq!((&x + 1.0).eval()?.to_vec()?[99], 100.0);
            assert_eq!(((&x + 1.0) * &x + 2.0).eval()?.get([2])?, 8.0);
            assert_eq!(x.sum()?, 4950.0);
            let a = x.reshape([10, 10])?;
            assert_eq!(a.matmul(&a)?.get([0, 0])?, (0..10).map(|i| (10 * i * i) as f32).sum::<f32>());
            assert_eq!(a.t().to_vec()?[1], 10.0);
            assert_eq!(x.sort(0)?.get([3])?, 3.0);
            let (sum, trace) = trace::record(|| x.sum());
            assert_eq!((sum?, trace.events.len()), (4950.0, 1));
            Ok(())
        })?;
    }
    host_devices().iter().try_for_each(large_work)
}

#[test]
fn threads_that_end_compute() {
    child("computes_while_threads_end", &[]);
}

#[test]
#[ignore = "run in a process of its own: a panic in a destructor ends it"]
fn computes_while_threads_end() {
    for first_of_all in [true, false] {
        let run = move || {
            // Thread-locals are destroyed in the reverse order of their registration. The library's are registered
            // between these two, or before both.
            if first_of_all {
                FIRST_MADE.with(|_| ());
            }
            work_of_an_ending_thread().unwrap();
            FIRST_MADE.with(|_| ());
            LAST_MADE.with(|_| ());
        };
        std::thread::spawn(run).join().unwrap();
    }
    assert_eq!(DONE.load(Ordering::SeqCst), 4);
}

#[test]
#[cfg(feature = "gpu")]
fn no_driver_is_loaded_without_a_gpu() {
    let files = |folder: &str| {
        std::fs::read_dir(folder)
            .map(|files| files.flatten().map(|f| f.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>())
    };
    let found = files("/dev/dri").unwrap_or_default().iter().any(|f| f.starts_with("renderD"))
        || files("/dev").unwrap_or_default().iter().any(|f| {
            ["nvidia", "dxg", "kgsl", "mali", "nvhost", "nvgpu", "pvr"].iter().any(|name| f.starts_with(name))
        });
    if found {
        println!("skipped: this machine may have a GPU");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "asks_for_all_devices", "--ignored", "--nocapture"]);
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "POLYARRAY_GPU", "POLYARRAY_DEVICE", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    assert_eq!(String::from_utf8_lossy(&out.stderr), "", "drivers write to this stream");
}

#[test]
#[cfg(feature = "gpu")]
#[ignore = "run in a process of its own"]
fn asks_for_all_devices() {
    // Operations that are estimated to take seconds on any host.
    let x = common::count([1]).broadcast_to([1 << 34]).unwrap();
    (&x + 1.0).sqrt().explain().unwrap();
    let a = common::count([1, 1]).broadcast_to([20_000, 20_000]).unwrap();
    Matmul::new(&a, &a).explain().unwrap();
    assert!(!Device::all().iter().any(|d| d.name() == "gpu"));
    let absent = Device::absent();
    let (_, why) = absent.iter().find(|(name, _)| name == "gpu").expect("gpu is absent");
    assert!(why.to_string().contains("no hardware"), "{why}");
}
