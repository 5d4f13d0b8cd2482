//! The plan that `explain` prints is the plan that runs.

mod common;

use polyarray::prelude::*;
use polyarray::{Backend, Cost, DType, DeviceInfo, MemoryId, Op, RunContext, Unsupported};

/// Multiplies matrices of i16 without epilogues, and claims to be the fastest at it.
struct Bare(DeviceInfo);

fn is_bare(op: &Op) -> bool {
    matches!(op, Op::Matmul(o) if o.dtype == DType::I16 && o.after.is_identity())
}

// SAFETY: `scalar` runs everything, in the same memory.
unsafe impl Backend for Bare {
    fn info(&self) -> &DeviceInfo {
        &self.0
    }
    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }
    fn estimate(&self, op: &Op, _: usize) -> std::result::Result<Cost, Unsupported> {
        if is_bare(op) {
            Ok(Cost { seconds: 1e-12, threads: 1 })
        } else {
            Err(Unsupported::new("only products of i16 without an epilogue"))
        }
    }
    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        assert!(is_bare(op), "{} was refused", op.describe());
        // SAFETY: the caller's conditions are those of this call.
        unsafe { Device::scalar().backend().expect("scalar is always there").run(op, cx) }
    }
}

/// Returns the operations that run in `f`, with their devices.
fn ran<R>(f: impl FnOnce() -> Result<R>) -> Result<Vec<(String, String)>> {
    let (result, trace) = trace::record(f);
    result?;
    Ok(trace.events.into_iter().map(|e| (e.op, e.device)).collect())
}

fn planned(plan: trace::Plan) -> Vec<(String, String)> {
    assert_eq!(plan.steps.iter().map(|s| s.device.clone()).collect::<Vec<_>>().join(", then "), plan.chosen);
    plan.steps.into_iter().map(|s| (s.op, s.device)).collect()
}

#[test]
fn the_plan_that_is_explained_is_the_plan_that_runs() -> Result<()> {
    for n in [1, 7, 64, 300, 1000] {
        let x = Array::<f32>::from_fn([n, n], |i| (i[0] * 3 + i[1]) as f32 / 7.0)?;
        let y = x.cast::<f64>().eval()?;
        let e = || (&x * 2.0 + x.t()).sqrt();
        assert_eq!(planned(e().explain()?), ran(|| e().eval())?, "a map of [{n}, {n}]");
        for precision in [Precision::Full, Precision::Fast] {
            let p = || Matmul::new(&x, &x).precision(precision);
            assert_eq!(planned(p().explain()?), ran(|| p().run())?, "a product of f32 [{n}, {n}]");
        }
        let p = || Matmul::new(&y, &y).map(|e| e.maximum(0.0) * 0.5);
        assert_eq!(planned(p().explain()?), ran(|| p().run())?, "a product of f64 [{n}, {n}] with an epilogue");
    }
    Ok(())
}

#[test]
fn an_epilogue_that_is_split_off_is_a_step_of_the_plan() -> Result<()> {
    let info = DeviceInfo { name: "bare".into(), description: "no epilogues".into(), hardware: true };
    polyarray::register(Bare(info));
    let a = Array::<i16>::from_fn([5, 4], |i| (i[0] + i[1]) as i16)?;
    let bias = Array::<i16>::from_vec(vec![1, 2, 3, 4], [4])?;
    let p = || Matmul::new(&a, &a.slice(s![..4, ..]).expect("four rows")).bias(&bias).map(|e| e.maximum(9));
    let plan = p().explain()?;
    let shown = plan.to_string();
    assert_eq!(plan.steps.len(), 2, "{shown}");
    assert_eq!(plan.steps[0].device, "bare", "{shown}");
    assert!(shown.contains("step 1: matmul i16") && shown.contains("step 2: map"), "{shown}");
    assert_eq!(planned(plan), ran(|| p().run())?);
    let whole = with_device(&Device::scalar(), || p().run())?.to_vec()?;
    assert_eq!(p().run()?.to_vec()?, whole);
    // A named device runs all of it, or nothing.
    assert!(p().on(&Device::named("bare")?).run().is_err());
    Ok(())
}
