//! The device `scalar`: every operation and every dtype, in the most readable way. It is the reference for the other
//! devices.

mod count;
pub(crate) mod distance;
mod functions;
mod index;
mod matmul;
mod random;
mod reduce;
mod scan;
mod sort;
mod strips;
mod ufuncs;

use crate::strided::{Source, Target};
use polyarray_core::op::Map;
use polyarray_core::{
    Backend, BackendEntry, Buffer, Class, Cost, DType, DeviceInfo, MemoryId, Op, Profile, Result, RunContext,
    Unsupported,
};
use smallvec::SmallVec;
use std::sync::Arc;
use strips::Strips;

polyarray_core::announce!(
    polyarray_scalar_is_linked,
    BackendEntry {
        name: "scalar",
        order: 10,
        slow_to_open: false,
        present: || true,
        open: || Ok(Arc::new(Scalar::new()))
    }
);

struct Scalar {
    info: DeviceInfo,
    profile: Profile,
}

impl Scalar {
    fn new() -> Scalar {
        Scalar {
            info: DeviceInfo { name: "scalar".into(), description: "plain code, 1 thread".into(), hardware: true },
            profile: profile(),
        }
    }
}

/// Returns the assumed speed of this device.
fn profile() -> Profile {
    use Class::{ArgReduce, ArgSort, Count, Index, MatVec, Product, Reduce, Scan, Search, Sort};
    Profile::new(20e-9, 8e9, 1e9)
        .with_rate(&[Reduce, ArgReduce, Scan], &DType::ALL, 0.7e9)
        .with_rate(&[Product, MatVec], &DType::ALL, 0.6e9)
        // Accumulation in twice the precision needs ten times the steps.
        .with_rate(&[Product, MatVec], &[DType::F64, DType::C64], 0.2e9)
        .with_rate(&[Sort, ArgSort, Search], &DType::ALL, 0.1e9)
        .with_rate(&[Count, Index], &DType::ALL, 0.3e9)
}

// SAFETY: every kind of operation writes its whole output through `Target`, which checks every position against the
// buffer. No work is queued.
unsafe impl Backend for Scalar {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if let Op::Nearest(_) = op {
            return Err(Unsupported::new("scalar selects neighbours from blocks of distances"));
        }
        Ok(self.profile.cost(op, threads))
    }

    fn profile(&self) -> Option<&Profile> {
        Some(&self.profile)
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match op {
            Op::Map(o) => map(o, cx.output()),
            Op::Reduce(o) => reduce::run(o, cx.output()),
            Op::Scan(o) => scan::run(o, cx.output()),
            Op::Matmul(o) => matmul::run(o, cx.output()),
            Op::Distance(o) => distance::run(o, cx.output()),
            Op::Nearest(_) => unreachable!("`estimate` refuses it"),
            Op::Sort(o) => sort::run(o, cx.output()),
            Op::Search(o) => sort::search(o, cx.output()),
            Op::Count(o) => count::run(o, cx.output()),
            Op::Random(o) => random::run(o, cx.output()),
            Op::Gather(o) => index::gather(o, cx.output()),
            // SAFETY: the caller guarantees that the elements of the output have been written (invariant 6 of
            // `Scatter`).
            Op::Scatter(o) => unsafe { index::scatter(o, cx.output()) },
        }
    }
}

/// Runs a map strip by strip. Each strip reads its inputs before it writes, so an input may lie where the output goes.
fn map(op: &Map, out: &Buffer) -> Result<()> {
    let total = op.shape.size();
    let sources: SmallVec<[Source; 4]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut strips = Strips::new(&op.program, &op.params, total)?;
    for start in (0..total).step_by(strips.len()) {
        let range = start..total.min(start + strips.len());
        for (i, source) in sources.iter().enumerate() {
            source.gather(&op.shape, range.clone(), strips.input_bytes(i));
        }
        strips.run(range.len());
        target.scatter(&op.shape, range, strips.result_bytes());
    }
    Ok(())
}
