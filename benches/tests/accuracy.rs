//! The errors of ufuncs are within their bounds on every tier of `simd`, and larger errors are detected.

use polyarray::{
    Backend, Cost, DType, Device, DeviceInfo, MemoryId, Op, Result, RunContext, Unsupported, memory, register,
};
#[cfg(feature = "simd")]
use polyarray_bench::accuracy::Effort;
use polyarray_bench::accuracy::{Options, Outcome, Row, accuracy};
use std::io;
use std::process::{Command, Output};
use std::sync::Arc;

fn measure(options: &Options) -> Outcome {
    accuracy(options, &mut io::sink()).expect("a measurement")
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|s| s.to_string()).collect()
}

#[cfg(feature = "simd")]
#[test]
fn every_ufunc_keeps_its_bound_on_every_tier() {
    let outcome = measure(&Options { effort: Effort::Quick, points: Some(50_000), ..Options::default() });
    let failures: Vec<String> = outcome.failures().map(Row::to_string).collect();
    assert_eq!(failures, [""; 0]);
    for (op, dtype) in [("exp", "f32"), ("sqrt", "f64"), ("add", "bf16"), ("floor", "f16")] {
        let row =
            outcome.rows.iter().find(|r| (&*r.op, &*r.dtype, &*r.device) == (op, dtype, "portable")).expect("a row");
        assert!(row.refused.is_none() && row.points >= 50_000, "{row}");
    }
}

/// Exact ufuncs of `scalar` match IEEE arithmetic. (Its other f64 functions are the system's, which may exceed the
/// bounds that `simd` must keep.)
#[test]
fn exact_ufuncs_of_scalar_are_exact() {
    let ops = strings(&[
        "neg",
        "sign",
        "sqrt",
        "reciprocal",
        "round",
        "add",
        "div",
        "floor_div",
        "rem",
        "minimum",
        "fmax",
        "copysign",
    ]);
    let outcome = measure(&Options { ops, devices: strings(&["scalar"]), points: Some(3000), ..Options::default() });
    let failures: Vec<String> = outcome.failures().map(Row::to_string).collect();
    assert_eq!(failures, [""; 0]);
    assert_eq!(outcome.rows.len(), 12 * 4);
    assert!(outcome.rows.iter().all(|r| r.max_ulp == Some(0.0)));
}

/// The fault of a device.
#[derive(Clone, Copy)]
enum Fault {
    /// One element in the middle is this many bit patterns further from zero.
    Steps(u64),
    /// Results that overflow are the largest number instead.
    Saturates,
    /// Zeros are always positive.
    Unsigned,
    /// The device refuses every operation.
    Refuses,
    /// `run` returns an error although `estimate` accepted the operation.
    Fails,
}

/// A backend for f32 that forwards to `scalar` and adds a fault.
struct Liar {
    info: DeviceInfo,
    fault: Fault,
    scalar: Arc<dyn Backend>,
}

// SAFETY: `run` writes what `scalar` writes, and then replaces it by valid f32 elements. `scalar` keeps the rest of the
// contract.
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
        if matches!(self.fault, Fault::Fails) {
            return Err(polyarray::Error::Device { device: "fails".into(), why: "it was unplugged".into() });
        }
        // SAFETY: the caller guarantees the conditions of `Backend::run`, and the same call is forwarded.
        unsafe { self.scalar.run(op, cx) }?;
        let host = memory(MemoryId::HOST);
        let mut bytes = vec![0u8; op.output().len() * size_of::<f32>()];
        // SAFETY: `scalar` returned `Ok`, so it has written the output. No other thread writes it during this call
        // (condition 3 of `run`).
        unsafe { host.download(cx.output(), 0, &mut bytes) }?;
        let mut values: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().expect("four bytes"))).collect();
        // In the middle of the range, where the next bit pattern is an adjacent finite number.
        let middle = (values.len() / 2..values.len()).find(|&i| (1e-30..1e30).contains(&values[i].abs()));
        for (i, x) in values.iter_mut().enumerate() {
            *x = match self.fault {
                Fault::Steps(n) if Some(i) == middle => f32::from_bits(x.to_bits() + n as u32),
                Fault::Saturates => x.clamp(f32::MIN, f32::MAX),
                Fault::Unsigned if *x == 0.0 => 0.0,
                _ => *x,
            };
        }
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_ne_bytes()).collect();
        // SAFETY: nothing else accesses the output during this call (condition 3 of `run`), and any bits are a valid
        // f32.
        unsafe { host.upload(&bytes, cx.output(), 0) }
    }
}

/// Measures a ufunc of f32 on a device with a fault.
fn row(name: &str, fault: Fault, op: &str, require_all: bool) -> Row {
    let info = DeviceInfo { name: name.into(), description: "wrong".into(), hardware: true };
    register(Liar { info, fault, scalar: Device::scalar().backend().expect("scalar has a backend").clone() });
    let options = Options {
        ops: strings(&[op]),
        dtypes: vec![DType::F32],
        devices: strings(&[name]),
        points: Some(3000),
        require_all,
        ..Options::default()
    };
    let outcome = measure(&options);
    assert_eq!(outcome.exit_code(), u8::from(!outcome.rows[0].ok));
    assert_eq!(outcome.rows.len(), 1);
    outcome.rows.into_iter().next().expect("one")
}

#[test]
fn two_ulp_too_much_are_found() {
    for op in ["exp", "cos", "log1p", "arctan2"] {
        let bound = row("right", Fault::Steps(0), op, false);
        assert!(bound.ok && bound.max_ulp.is_some_and(|e| e <= 0.501), "{bound}");
        let wrong = row("off by three", Fault::Steps(3), op, false);
        assert!(!wrong.ok && wrong.max_ulp.is_some_and(|e| (2.4..3.6).contains(&e)), "{wrong}");
        assert!(wrong.at.is_some() && wrong.got != wrong.expected, "{wrong}");
    }
    let two = row("off by two", Fault::Steps(2), "exp", false);
    assert!(!two.ok && two.max_ulp.is_some_and(|e| (1.4..2.6).contains(&e)), "{two}");
    let exact = row("off by one", Fault::Steps(1), "sqrt", false);
    assert!(!exact.ok && exact.max_ulp == Some(1.0), "{exact}");
}

#[test]
fn ends_of_the_range_and_signs_of_zeros_are_found() {
    for op in ["exp", "reciprocal", "pow"] {
        let saturated = row("saturates", Fault::Saturates, op, false);
        assert!(
            !saturated.ok
                && saturated.max_ulp.is_none()
                && saturated.expected.as_deref().is_some_and(|e| e.ends_with("inf")),
            "{saturated}"
        );
    }
    for op in ["sin", "trunc", "cbrt", "expm1"] {
        let unsigned = row("unsigned", Fault::Unsigned, op, false);
        assert!(!unsigned.ok && unsigned.max_ulp.is_none(), "{unsigned}");
    }
}

#[test]
fn a_refusal_is_seen_and_fails_only_where_that_is_asked_for() {
    let refused = row("refuses", Fault::Refuses, "exp", false);
    assert!(
        refused.ok && refused.refused.as_deref().is_some_and(|why| why.contains("it refuses everything")),
        "{refused}"
    );
    assert!(!row("refuses", Fault::Refuses, "exp", true).ok);
}

#[test]
fn a_failure_is_no_measurement() {
    let info = DeviceInfo { name: "fails".into(), description: "wrong".into(), hardware: true };
    register(Liar {
        info,
        fault: Fault::Fails,
        scalar: Device::scalar().backend().expect("scalar has a backend").clone(),
    });
    let options = Options { ops: strings(&["exp"]), devices: strings(&["fails"]), ..Options::default() };
    let polyarray_bench::compare::Stop::Asked(why) = accuracy(&options, &mut io::sink()).expect_err("a failure") else {
        panic!("the error must be Stop::Asked, not Stop::Output")
    };
    assert!(why.contains("exp f32") && why.contains("it was unplugged"), "{why}");
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_polyarray-bench"))
        .arg("accuracy")
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_program_writes_its_tables() {
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (json, page) = (folder.join("accuracy.json"), folder.join("accuracy.md"));
    let (json, page) = (json.to_str().expect("UTF-8"), page.to_str().expect("UTF-8"));
    let ran = run(&[
        "--ops",
        "sqrt,hypot,exp",
        "--dtypes",
        "f32,f16",
        "--devices",
        "scalar",
        "--points",
        "500",
        "--threads",
        "2",
        "--json",
        json,
        "--markdown",
        page,
    ]);
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{out}{err}");
    assert_eq!(out.lines().count(), 1 + 6, "{out}");
    let rows: Vec<Row> = std::fs::read_to_string(json)
        .expect("--json was written")
        .lines()
        .skip(1)
        .map(|l| serde_json::from_str(l).expect("a row"))
        .collect();
    assert_eq!(
        rows.iter().map(|r| (&*r.op, &*r.dtype)).collect::<Vec<_>>(),
        [("sqrt", "f32"), ("sqrt", "f16"), ("exp", "f32"), ("exp", "f16"), ("hypot", "f32"), ("hypot", "f16")]
    );
    let page = std::fs::read_to_string(page).expect("--markdown was written");
    assert!(page.contains("| exp | f32 | 1 | 0.") && page.contains("| sqrt | 0 in "), "{page}");
    // Tables of rows that were measured in several runs.
    let (first, joined) = (folder.join("first.json"), folder.join("joined.md"));
    let (first, joined) = (first.to_str().expect("UTF-8"), joined.to_str().expect("UTF-8"));
    assert_eq!(
        run(&["--ops", "floor", "--dtypes", "f16", "--devices", "scalar", "--json", first]).status.code(),
        Some(0)
    );
    let ran = run(&["--read", &format!("{first},{json}"), "--markdown", joined, "--json", first]);
    assert_eq!((ran.status.code(), text(&ran.stdout).lines().count()), (Some(0), 1 + 1 + 6), "{}", text(&ran.stderr));
    let both = std::fs::read_to_string(joined).expect("--markdown was written");
    assert!(
        both.contains("| floor | ")
            && page.lines().filter(|l| l.contains("| f32 | ") && !l.starts_with("| exact")).all(|l| both.contains(l)),
        "{both}"
    );
    assert_eq!(std::fs::read_to_string(first).expect("--json was written").lines().count(), 1 + 7);
    // Points and results do not depend on the number of threads.
    let again = run(&[
        "--ops",
        "sqrt,hypot,exp",
        "--dtypes",
        "f32,f16",
        "--devices",
        "scalar",
        "--points",
        "500",
        "--threads",
        "1",
    ]);
    assert_eq!(text(&again.stdout), out);
}

#[test]
fn what_cannot_be_measured_ends_with_a_reason() {
    for (arguments, why) in [
        (&["--ops", "nothing"][..], "the ufuncs are neg abs"),
        (&["--ops", "is_nan"], "is_nan"),
        (&["--dtypes", "i32"], "not i32"),
        (&["--devices", "toaster"], "toaster"),
        (&["--devices", "auto"], "auto is not a CPU device"),
        (&["--json", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--quick", "--exhaustive"], "cannot be used with"),
        (&["--read", "rows.json", "--quick"], "cannot be used with"),
        (&["--read", "/nonexistent/rows.json"], "/nonexistent/rows.json"),
        (&["--read", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], "Cargo.toml: line 1: "),
    ] {
        let ran = run(arguments);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}");
        assert!(text(&ran.stderr).contains(why), "{arguments:?}: {}", text(&ran.stderr));
    }
}
