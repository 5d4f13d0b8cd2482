//! A device with wrong results is detected. These tests have their own process, because a registered device is never
//! removed.

use polyarray::{
    Backend, Cost, DType, Device, DeviceInfo, MemoryId, Op, Result, RunContext, Unsupported, memory, register,
};
use polyarray_bench::compare::{Effort, Options, compare};
use std::io;
use std::sync::Arc;

/// The fault of a device.
#[derive(Clone, Copy)]
enum Fault {
    /// One element of the result is off by a thousandth.
    Element,
    /// `run` writes nothing.
    Nothing,
    /// `run` panics.
    Panic,
    /// `run` returns an error although `estimate` accepted the operation.
    Fails,
    /// The device refuses every operation.
    Refuses,
}

/// A backend that forwards to `scalar` and adds a fault.
struct Liar {
    info: DeviceInfo,
    fault: Fault,
    scalar: Arc<dyn Backend>,
}

// SAFETY: `run` writes what `scalar` writes, and replaces one element by a valid one. Or it leaves the output
// unchanged, which is initialised: core fills new outputs of registered backends with zeros.
unsafe impl Backend for Liar {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if matches!(self.fault, Fault::Refuses) {
            Err(Unsupported::new("it refuses everything"))
        } else {
            self.scalar.estimate(op, threads)
        }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match self.fault {
            Fault::Nothing => return Ok(()),
            Fault::Panic => panic!("it panics"),
            Fault::Fails => {
                return Err(polyarray::Error::Device { device: "fails".into(), why: "it was unplugged".into() });
            }
            // SAFETY: the caller guarantees the conditions of `Backend::run`, and the same call is forwarded.
            Fault::Element | Fault::Refuses => unsafe { self.scalar.run(op, cx) }?,
        }
        let at = op.output().len() / 2 * size_of::<f32>();
        let mut element = [0u8; 4];
        // SAFETY: `scalar` returned `Ok`, so it has written the output. No other thread writes it during this call
        // (condition 3 of `run`).
        unsafe { memory(MemoryId::HOST).download(cx.output(), at, &mut element) }?;
        let wrong = f32::from_ne_bytes(element) * 1.001 + 0.001;
        // SAFETY: nothing else accesses the output during this call (condition 3 of `run`), and any bits are a valid
        // f32.
        unsafe { memory(MemoryId::HOST).upload(&wrong.to_ne_bytes(), cx.output(), at) }
    }
}

fn failures(name: &str, fault: Fault, op: &str) -> (Vec<String>, String) {
    let info = DeviceInfo { name: name.into(), description: "wrong".into(), hardware: true };
    let device =
        register(Liar { info, fault, scalar: Device::scalar().backend().expect("scalar has a backend").clone() });
    let options = Options {
        effort: Effort::Quick,
        ops: vec![op.into()],
        dtypes: vec![DType::F32],
        sizes: vec![vec![40]],
        devices: vec!["scalar".into(), device.name().into()],
        ..Options::default()
    };
    let mut text = Vec::new();
    let outcome = compare(&options, &mut text).expect("a comparison, though one device is wrong");
    assert!(outcome.rows.iter().all(|r| r.device == "scalar"), "rows must not contain wrong results");
    assert_eq!(outcome.exit_code(), u8::from(!outcome.failures.is_empty()));
    (outcome.failures, String::from_utf8(text).expect("text"))
}

#[test]
fn wrong_results_and_errors_fail_the_comparison() {
    for op in
        ["add", "exp", "sum", "sum_axis0", "transpose_copy", "matmul", "matvec", "cdist_euclidean", "cdist_cosine"]
    {
        let (failed, text) = failures("off", Fault::Element, op);
        assert!(failed.len() == 1 && failed[0].contains("on off disagrees with scalar"), "{op}: {failed:?}");
        assert!(text.contains("WRONG"), "{text}");
    }
    let (failed, _) = failures("idle", Fault::Nothing, "sin");
    assert!(failed.len() == 1 && failed[0].contains("disagrees") && failed[0].contains("inf"), "{failed:?}");
    for (name, fault, why) in [("panics", Fault::Panic, "it panics"), ("fails", Fault::Fails, "it was unplugged")] {
        let (failed, text) = failures(name, fault, "add");
        assert!(failed.len() == 1 && failed[0].contains(why), "{failed:?}");
        assert!(text.contains("error"), "{text}");
    }
}

#[test]
fn a_refusal_is_no_failure() {
    let (failed, text) = failures("refuses", Fault::Refuses, "mul");
    assert!(failed.is_empty(), "{failed:?}");
    assert!(!text.contains("error") && !text.contains("WRONG"), "{text}");
}

#[test]
fn output_that_nobody_takes_stops_it() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let options = Options {
        effort: Effort::Quick,
        ops: vec!["add".into()],
        sizes: vec![vec![4]],
        devices: vec!["scalar".into()],
        ..Options::default()
    };
    assert!(matches!(compare(&options, &mut Closed), Err(polyarray_bench::compare::Stop::Output(_))));
}
