//! The random workload on `scalar`, where it must pass, and on defective backends, where it must find the defect.

extern crate polyarray_cpu as _;

use polyarray_conformance::torment::{Fault, Game, Played};
use polyarray_core::op::{Map, Op, Reduction};
use polyarray_core::{
    Backend, Cost, Device, DeviceInfo, MemoryId, Result, RunContext, Unsupported, memory, register, with_device,
};
use std::sync::Arc;

fn play(device: &Device, number: u64, steps: usize) -> Result<Played, Box<Fault>> {
    with_device(device, || Game { seed: 7, number, steps, trace: false }.play())
}

#[test]
fn games_on_scalar_pass() {
    for number in 0..8 {
        let played = play(&Device::scalar(), number, 400).unwrap_or_else(|fault| panic!("{fault}"));
        assert!(played.steps >= 400 && played.checks > 200, "{played:?}");
    }
}

#[test]
fn a_game_is_the_same_each_time_it_is_played() {
    let first = play(&Device::scalar(), 3, 600).unwrap_or_else(|fault| panic!("{fault}"));
    let again = play(&Device::scalar(), 3, 600).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(first, again);
    let other = play(&Device::scalar(), 4, 600).unwrap_or_else(|fault| panic!("{fault}"));
    assert_ne!(first, other);
}

/// The defect of a backend.
#[derive(Clone, Copy, Debug)]
enum Defect {
    /// No defect: maps are computed from the last element to the first, which is allowed. This reveals writes to
    /// elements that are still to be read; several threads reveal them only occasionally.
    Backwards,
    /// The first byte of the output is changed, for operations for which the function returns true.
    Flips(fn(&Op) -> bool),
    /// The first scan panics.
    Panics,
}

struct Wrong {
    info: DeviceInfo,
    defect: Defect,
}

fn scalar() -> Arc<dyn Backend> {
    Device::scalar().backend().expect("scalar has a backend").clone()
}

// SAFETY: `scalar` writes the whole output, at once or in parts. A flip of the lowest bit leaves a valid element (a
// bool stays 0 or 1).
unsafe impl Backend for Wrong {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        scalar().estimate(op, threads)
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        if let (Defect::Backwards, Op::Map(map)) = (self.defect, op) {
            // SAFETY: the caller guarantees the conditions of `Backend::run` for the whole map.
            return unsafe { backwards(map, cx) };
        }
        // SAFETY: the caller guarantees the conditions of `Backend::run`; `scalar` has the same memory and accepted
        // `op`.
        unsafe { scalar().run(op, cx) }?;
        match self.defect {
            Defect::Backwards => {}
            Defect::Panics => assert!(!matches!(op, Op::Scan(_)), "a defect of this test"),
            Defect::Flips(hits) if hits(op) && cx.output().bytes() > 0 => {
                let (host, mut byte) = (memory(MemoryId::HOST), [0]);
                let at = first_byte(op);
                // SAFETY: nothing else accesses the output (condition 3 of `Backend::run`), and `scalar` has written
                // it.
                unsafe {
                    host.download(cx.output(), at, &mut byte)?;
                    host.upload(&[byte[0] ^ 1], cx.output(), at)?;
                }
            }
            Defect::Flips(_) => {}
        }
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs a map in pieces along its longest axis (of one element below 512), from the last piece to the first.
///
/// # Safety
/// The conditions of [`Backend::run`] hold for the whole map.
unsafe fn backwards(map: &Map, cx: &RunContext) -> Result<()> {
    let axis = (0..map.shape.len()).max_by_key(|&a| map.shape[a]).expect("a map has an axis");
    let n = map.shape[axis];
    let piece = n / 512 + 1;
    for start in (0..n).step_by(piece).collect::<Vec<_>>().into_iter().rev() {
        let from = |offset: usize, stride: isize| (offset as isize + stride * start as isize) as usize;
        let mut part = map.clone();
        part.shape =
            map.shape.iter().enumerate().map(|(a, &n)| if a == axis { piece.min(n - start) } else { n }).collect();
        for input in &mut part.inputs {
            input.offset = from(input.offset, input.strides[axis]);
        }
        part.output.offset = from(map.output.offset, map.output.strides[axis]);
        // SAFETY: the part accesses a subset of the map's elements; the caller guarantees the conditions of
        // `Backend::run` for the map.
        unsafe { scalar().run(&Op::from(part), cx) }?;
    }
    Ok(())
}

/// Returns the byte position of the first element of the output.
fn first_byte(op: &Op) -> usize {
    match op {
        Op::Map(o) => o.output.offset * o.output.dtype.size(),
        Op::Reduce(o) => o.output.offset * o.output.dtype.size(),
        Op::Scan(o) => o.output.offset * o.output.dtype.size(),
        _ => 0,
    }
}

fn wrong(name: &str, defect: Defect) -> Device {
    register(Wrong { info: DeviceInfo { name: name.into(), description: "for tests".into(), hardware: true }, defect })
}

/// Returns the fault of the first game that fails on a backend with this defect.
fn found(name: &str, defect: Defect) -> Box<Fault> {
    let wrong = wrong(name, defect);
    (0..20).find_map(|number| play(&wrong, number, 400).err()).unwrap_or_else(|| panic!("{defect:?} was not found"))
}

#[test]
fn wrong_results_are_found_and_named() {
    for (name, hits) in [
        ("maps", (|op| matches!(op, Op::Map(o) if o.program.instrs().len() == 3)) as fn(&Op) -> bool),
        ("reductions", |op| matches!(op, Op::Reduce(o) if matches!(o.kind, Reduction::ArgMax))),
        ("sorts", |op| matches!(op, Op::Sort(_))),
        ("searches", |op| matches!(op, Op::Search(_))),
        ("products", |op| matches!(op, Op::Matmul(o) if o.dtype == polyarray_core::DType::I32)),
    ] {
        let fault = found(name, Defect::Flips(hits));
        assert!(!fault.steps.is_empty() && fault.what.contains("not "), "{fault}");
        let text = fault.to_string();
        assert!(text.contains("--seed 7 --game") && text.contains(&fault.what), "{text}");
        let again = with_device(&Device::named(name).expect("it is registered"), || fault.game.play())
            .expect_err("the same game has the same fault");
        assert_eq!((again.what, again.steps), (fault.what, fault.steps));
    }
}

#[test]
fn games_pass_on_a_backend_that_works_from_the_end() {
    let device = wrong("backwards", Defect::Backwards);
    for number in 0..8 {
        play(&device, number, 400).unwrap_or_else(|fault| panic!("{fault}"));
    }
}

#[test]
fn a_panic_is_a_fault() {
    let fault = found("panics", Defect::Panics);
    assert!(
        fault.what.contains("a panic: a defect of this test") && fault.steps.iter().any(|s| s.contains("scan ")),
        "{fault}"
    );
}
