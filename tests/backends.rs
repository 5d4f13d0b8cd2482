//! Third-party backends that write wrong elements or none, panic, fail, or call the library. Results may be wrong, but
//! memory stays safe and other devices keep working.

mod common;

use common::count;
use polyarray::prelude::*;
use polyarray::{Backend, Cost, DeviceInfo, MemoryId, Op, RunContext, Unsupported, register};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ThreadId;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Conduct {
    /// Returns `Ok` without writing anything.
    Nothing,
    /// Fills the output with bytes 0x42, even an output of bools.
    Garbage,
    PanicsInRun,
    PanicsInEstimate,
    /// Writes half of the output, then returns an error.
    FailsHalfway,
    /// Evaluates expressions in `estimate` (on `scalar`) and in `run` (on itself and under `auto`).
    Reenters,
    /// Returns this estimate of seconds and threads, which may be NaN, negative or far too large.
    Estimates(f64, usize),
}

struct Odd {
    info: DeviceInfo,
    conduct: Conduct,
    depth: AtomicUsize,
    /// The only thread on which the device accepts operations, so that it does not affect tests that run in parallel.
    thread: ThreadId,
}

// SAFETY: the backend is registered, so core fills the output before an operation runs and normalises bools afterwards.
// Otherwise, operations are forwarded to `scalar`.
unsafe impl Backend for Odd {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if std::thread::current().id() != self.thread {
            return Err(Unsupported::new("this device accepts operations only on the thread of its test"));
        }
        match self.conduct {
            Conduct::PanicsInEstimate => panic!("in estimate"),
            Conduct::Estimates(seconds, threads) => Ok(Cost { seconds, threads }),
            Conduct::Reenters if self.depth.fetch_add(1, Ordering::Relaxed) < 3 => {
                assert_eq!(with_device(&Device::scalar(), || (count([3]) * 2.0).sum()).expect("scalar works"), 6.0);
                assert!(Device::all().len() > 1 && Device::named("scalar").is_ok());
                Ok(Cost { seconds: 1.0, threads })
            }
            _ => Device::scalar().backend().expect("a backend").estimate(op, threads),
        }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        let fill = |bytes: usize, with: u8| {
            let start = cx.output().host_ptr().expect("host memory").as_ptr();
            // SAFETY: the output is at least `bytes` bytes long, and nothing else accesses it during `run`.
            unsafe { start.write_bytes(with, bytes) };
        };
        match self.conduct {
            Conduct::Nothing => return Ok(()),
            Conduct::Garbage => {
                fill(cx.output().bytes(), 0x42);
                return Ok(());
            }
            Conduct::PanicsInRun => panic!("in run"),
            Conduct::FailsHalfway => {
                fill(cx.output().bytes() / 2, 0x42);
                return Err(Error::Device { device: "odd".into(), why: "it stopped halfway".into() });
            }
            Conduct::Reenters if self.depth.fetch_add(1, Ordering::Relaxed) < 6 => {
                assert_eq!(
                    (count([3]) + 1.0).eval().expect("the device in force works, too").to_vec()?,
                    [1.0, 2.0, 3.0]
                );
                assert_eq!(
                    with_device(&Device::auto(), || count([300, 30]).matmul(&count([30, 300])).map(|p| p.len()))?,
                    90_000
                );
            }
            _ => {}
        }
        // SAFETY: the caller keeps the contract of `Backend::run`. `scalar` has the same contract, uses the same memory
        // and supports every operation.
        unsafe { Device::scalar().backend().expect("a backend").run(op, cx) }
    }
}

fn odd(name: &str, conduct: Conduct) -> Device {
    let info = DeviceInfo { name: name.into(), description: format!("{conduct:?}"), hardware: true };
    register(Odd { info, conduct, depth: AtomicUsize::new(0), thread: std::thread::current().id() })
}

/// Runs one operation of every kind. The text of each result contains every element.
fn everything() -> Vec<(&'static str, Result<String>)> {
    let (a, b) = (count([6, 5]), count([5, 6]));
    let truth = a.greater(3.0).eval_on(&Device::scalar()).expect("scalar works");
    fn show<T: Element>(x: Result<Array<T>>) -> Result<String> {
        x.and_then(|x| x.to_vec()).map(|v| format!("{v:?}"))
    }
    vec![
        ("one element", show((&a.slice(s![0, 0]).expect("a view") + 1.0).eval())),
        ("map", show((&a * 2.0 + 1.0).eval())),
        ("comparison", show(a.less(b.t()).eval())),
        ("logic", show(truth.logical_not().eval())),
        ("any", show(truth.clone().into_expr().any_axis(0))),
        ("sum", show(a.sum_axis(0))),
        ("argmax", show(a.argmax_axis(1))),
        ("count", a.count_nonzero().map(|n| n.to_string())),
        ("std", show(a.std_axis(1, 0))),
        ("norm", a.norm().map(|n| n.to_string())),
        ("cumsum", show(a.cumsum(1))),
        ("sort", show(a.sort(0))),
        ("sorted truth", show(truth.sort(0))),
        ("matmul", show(a.matmul(&b))),
        ("epilogue", show(Matmul::new(&a, &b).map(|e| e.maximum(10.0)).run())),
        ("cdist", show(distance::cdist(&a, &a, Metric::Euclidean))),
        ("einsum", show(einsum("ij,ji->i", &[&a, &b]))),
        ("median", a.median().map(|n| n.to_string())),
        ("bincount", show(a.cast::<u8>().eval().and_then(|x| x.bincount(0)))),
        ("searchsorted", show(count([9]).searchsorted(&count([4]), Side::Left))),
        ("contiguous", show(a.t().to_contiguous())),
    ]
}

#[test]
fn outputs_that_nobody_wrote_are_zeros_and_bools_are_bools() {
    let expected = with_device(&Device::scalar(), everything);
    for conduct in [Conduct::Nothing, Conduct::Garbage] {
        let device = odd(&format!("odd {conduct:?}"), conduct);
        // Freed blocks with other contents, which must not become visible.
        drop((0..64).map(|_| Array::full([6, 5], 7.7e7f32).expect("memory")).collect::<Vec<_>>());
        let got = with_device(&device, everything);
        for ((name, got), (_, right)) in got.into_iter().zip(&expected) {
            assert!(right.is_ok(), "{name}");
            let Ok(got) = got else { continue };
            assert!(!got.contains("77000000"), "{name} contains elements of a freed block: {got}");
            if name == "comparison" || name == "logic" || name == "any" {
                let only = if conduct == Conduct::Nothing { "false" } else { "true" };
                assert!(got.trim_matches(['[', ']']).split(", ").all(|x| x == only), "{name}: {got}");
            }
        }
    }
}

#[test]
fn backends_that_panic_or_fail_leave_arrays_and_other_devices_alone() -> Result<()> {
    for conduct in [Conduct::PanicsInRun, Conduct::PanicsInEstimate, Conduct::FailsHalfway] {
        let device = odd(&format!("odd {conduct:?}"), conduct);
        let (a, b) = (count([100]), count([100]));
        let attempt = catch_unwind(AssertUnwindSafe(|| with_device(&device, || (&a + &b).eval().map(drop))));
        match conduct {
            Conduct::FailsHalfway => assert!(matches!(attempt, Ok(Err(Error::Device { .. })))),
            _ => assert!(attempt.is_err()),
        }
        let donated = count([100]);
        let attempt =
            catch_unwind(AssertUnwindSafe(|| with_device(&device, || (donated + 1.0).sqrt().eval().map(drop))));
        assert!(!matches!(attempt, Ok(Ok(()))));
        assert_eq!((a.to_vec()?, b.to_vec()?), (count([100]).to_vec()?, count([100]).to_vec()?));
        assert_eq!(Device::current()?, Device::auto(), "with_device ended");
        let right = with_device(&Device::scalar(), everything);
        assert!(right.iter().all(|(_, r)| r.is_ok()));
    }
    Ok(())
}

#[test]
fn backends_may_call_the_library() {
    let expected: Vec<String> =
        with_device(&Device::scalar(), everything).into_iter().map(|(_, r)| r.expect("scalar works")).collect();
    let device = odd("odd reentrant", Conduct::Reenters);
    let got = with_device(&device, everything);
    for ((name, got), expected) in got.into_iter().zip(expected) {
        assert_eq!(got.expect("this device supports what scalar supports"), expected, "{name}");
    }
}

#[test]
fn estimates_that_make_no_sense_hurt_nobody() -> Result<()> {
    let expected: Vec<String> =
        with_device(&Device::scalar(), everything).into_iter().map(|(_, r)| r.expect("scalar works")).collect();
    for (seconds, threads) in [
        (f64::NAN, 1),
        (-1.0, 1),
        (f64::INFINITY, 0),
        (0.0, 0),
        (f64::NEG_INFINITY, usize::MAX),
        (f64::MAX, usize::MAX),
    ] {
        let device = odd(&format!("odd {seconds} {threads}"), Conduct::Estimates(seconds, threads));
        for by_name in [true, false] {
            let device = if by_name { device.clone() } else { Device::auto() };
            let got = with_device(&device, everything);
            for ((name, got), expected) in got.into_iter().zip(&expected) {
                let got = got?;
                // Devices under `auto` may sum in another order. All other results are exact, because they are short
                // sums of integers.
                assert!(
                    got == *expected || !by_name && (name == "std" || name == "norm" || name == "cdist"),
                    "{name}: {got} instead of {expected}"
                );
            }
        }
    }
    Ok(())
}
