//! The device `simd` of polyarray: explicit SIMD on all cores.
//!
//! An operation passes through these modules: `Simd` estimates its cost; `map`, `reduce`, `scan`, `matmul`,
//! `distance`, `sort`, `search` and `count` split it into strips, blocks and threads; `exec` runs a program on a
//! strip; `kernels` has one kernel per instruction; `math` and `lanes` have the vectors of the tier that this CPU
//! supports.

mod count;
mod distance;
mod exec;
mod gemm;
mod kernels;
mod lanes;
mod lower;
mod map;
mod math;
mod matmul;
mod matvec;
mod reduce;
mod scan;
mod scratch;
mod search;
mod small;
mod sort;
mod strided;
mod threads;
mod tier;
mod transpose;

use gemm::Engines;
use lanes::portable::Portable;
use polyarray_core::op::{Give, Sort};
use polyarray_core::{
    Backend, BackendEntry, Buffer, Cost, DType, DeviceInfo, Error, Kind, MemoryId, Op, Prepared, Program, Result,
    RunContext, Small, Unsupported, config,
};
use std::sync::Arc;
use tier::Tier;

polyarray_core::announce!(
    polyarray_simd_is_linked,
    BackendEntry { name: "simd", order: 20, slow_to_open: false, present: || true, open }
);

fn open() -> Result<Arc<dyn Backend>> {
    backend(std::env::var("POLYARRAY_SIMD").ok().as_deref())
}

/// The names of the tiers, from the lowest: the valid values of `POLYARRAY_SIMD`.
pub const TIERS: [&str; 4] = tier::NAMES;

/// Returns the most bytes that a matrix product allocates besides its operands and its output, on that many threads.
///
/// Each thread takes half of its core's second-level cache, its share of half of the last-level cache, and eight
/// times the first-level cache. A vector whose elements are not contiguous is copied in addition. Two methods take
/// more: products of `f16`, `bf16` and `i8` that give the same dtype keep up to a million elements in 32 bits (4 MiB
/// for each concurrent product), and products of `f64` and `f32` that AMX multiplies as residues take up to 22 MiB a
/// thread.
pub fn packing_bound(threads: usize) -> usize {
    gemm::packing_bound(threads)
}

/// Returns the backend with the best tier that this CPU supports and `cap`, a name of [`TIERS`], allows.
///
/// # Errors
/// [`Error::Setting`] if `cap` is not one of these names.
pub fn backend(cap: Option<&str>) -> Result<Arc<dyn Backend>> {
    let tier = Tier::best(cap).map_err(|why| Error::Setting {
        name: "POLYARRAY_SIMD",
        value: cap.unwrap_or_default().into(),
        why,
    })?;
    let engines = tier.engines(cap);
    let description = format!("{}{}, {} threads", tier.name(), engines.describe(), config().threads);
    Ok(Arc::new(Simd { tier, engines, info: DeviceInfo { name: "simd".into(), description, hardware: true } }))
}

struct Simd {
    tier: Tier,
    engines: Engines,
    info: DeviceInfo,
}

/// Seconds to prepare an operation.
const START_UP: f64 = 250e-9;
/// Seconds to wake another thread.
const WAKE: f64 = 8e-6;
/// Bytes of memory traffic per second and thread. Caches are several times faster; there the compute rate is the
/// limit.
const BANDWIDTH: f64 = 1.2e10;
/// Operands of more bytes than this are limited by memory bandwidth, smaller ones by the caches.
const CACHE: f64 = (1 << 20) as f64;
/// Vector instructions per second and thread.
const RATE: f64 = 2.0e9;

/// Scalar steps per second and thread.
const SCALAR_RATE: f64 = 0.5e9;

impl Simd {
    /// Returns the elements that one thread computes per second, at one vector instruction per vector.
    fn rate(&self, dtype: DType) -> f64 {
        RATE * (self.tier.vector_bytes() / dtype.size().max(4)) as f64
    }

    /// Returns the multiply-adds of a matrix product per second. A complex one is four real ones; an integer one is a
    /// multiplication and an addition, of which the 64-bit multiplication is slow. Engines multiply the rate by their
    /// gain.
    fn product_rate(&self, dtype: DType) -> f64 {
        let gain = self.engines.gain(dtype);
        gain * match dtype.kind() {
            Kind::Complex => self.rate(dtype) / 2.0,
            Kind::Int | Kind::Uint if dtype.size() == 8 => self.rate(dtype) / 3.0,
            Kind::Int | Kind::Uint => self.rate(dtype) / 2.0,
            Kind::Bool | Kind::Float => self.rate(dtype),
        }
    }
}

fn check(program: &Program) -> Result<(), Unsupported> {
    // All tiers have the same kernels, so checking the portable one is enough.
    exec::missing::<Portable>(program).map_or(Ok(()), |what| Err(Unsupported::new(what)))
}

// SAFETY: the drivers write every element of the output, through strips, rows or tiles that partition it. They read
// operands only by their strides. No work is queued, so all of it is finished when `run` returns.
unsafe impl Backend for Simd {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn start_up(&self) -> f64 {
        START_UP
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        op.programs().into_iter().try_for_each(check)?;
        let bytes = op.bytes();
        let moved = if bytes > CACHE { bytes / BANDWIDTH } else { 0.0 };
        let computed = match op {
            Op::Map(o) => {
                op.work() / self.rate(o.program.all_dtypes().max_by_key(|d| d.size()).unwrap_or(o.output.dtype))
            }
            Op::Reduce(o) => {
                if !reduce::has_kernel(o.kind, o.before.output()) {
                    return Err(Unsupported::new(format!(
                        "simd has no {} of {}; use another device",
                        o.kind.name(),
                        o.before.output()
                    )));
                }
                op.work() / self.rate(o.before.output())
            }
            Op::Scan(o) => {
                if !scan::has_kernel(o.before.output()) {
                    return Err(Unsupported::new(format!(
                        "simd has no {} of {}; use another device",
                        o.kind.name(),
                        o.before.output()
                    )));
                }
                // Elements along the axis depend on each other, so that vectors do not help.
                op.work() / RATE
            }
            Op::Matmul(o) => {
                if o.after.output() != o.product() {
                    return Err(Unsupported::new(format!(
                        "the epilogue changes the dtype from {} to {}; cast the result in a separate expression",
                        o.product(),
                        o.after.output()
                    )));
                }
                op.work() / self.product_rate(o.dtype)
            }
            Op::Distance(o) => {
                real_float(o.dtype, o.after.output())?;
                op.work() / self.rate(o.dtype)
            }
            Op::Sort(o) => op.work() / sort_rate(self.tier, o),
            Op::Search(_) | Op::Count(_) => op.work() / SCALAR_RATE,
        };
        let cost = Cost::model(START_UP, moved, computed, threads, WAKE);
        if cost.threads == 1 {
            return Ok(cost);
        }
        // Fewer threads may be available. This is checked last, because the check starts the thread pool, which small
        // work must not do.
        Ok(Cost::model(START_UP, moved, computed, threads.min(threads::available()), WAKE))
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match self.tier {
            Tier::Portable(isa) => run(isa, self.engines, op, cx.threads, cx.output),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2(isa) => run(isa, self.engines, op, cx.threads, cx.output),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(isa) => run(isa, self.engines, op, cx.threads, cx.output),
        }
    }

    unsafe fn run_small(&self, work: &Small) -> bool {
        // SAFETY: the caller guarantees the invariants of `work`.
        unsafe {
            match self.tier {
                Tier::Portable(isa) => small::run(isa, work),
                #[cfg(target_arch = "x86_64")]
                Tier::Avx2(isa) => small::run(isa, work),
                #[cfg(target_arch = "x86_64")]
                Tier::Avx512(isa) => small::run(isa, work),
            }
        }
    }

    fn prepare(&self, program: &Program) -> Option<Box<dyn Prepared>> {
        match self.tier {
            Tier::Portable(isa) => small::prepare(isa, program),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2(isa) => small::prepare(isa, program),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(isa) => small::prepare(isa, program),
        }
    }
}

/// Returns the comparisons per second and thread: [`Op::work`] of sorting a million elements, divided by the seconds
/// that it took on Zen 4. Indices are sorted as 64-bit integers.
fn sort_rate(tier: Tier, op: &Sort) -> f64 {
    let wide = op.give == Give::Indices || op.dtype.size() == 8;
    match tier.vector_bytes() {
        64 if wide => 2.6e9,
        64 => 5e9,
        _ => 1.3e9,
    }
}

fn real_float(dtype: DType, result: DType) -> Result<(), Unsupported> {
    match dtype {
        DType::F32 | DType::F64 if result == dtype => Ok(()),
        DType::F32 | DType::F64 => Err(Unsupported::new(format!(
            "the epilogue changes the dtype from {dtype} to {result}; cast the result in a separate expression"
        ))),
        _ => Err(Unsupported::new(format!("simd computes distances of f32 and f64, not {dtype}; cast the operands"))),
    }
}

fn run<I: sort::Sorter>(isa: I, engines: Engines, op: &Op, threads: usize, output: &Buffer) -> Result<()> {
    match op {
        Op::Map(o) => map::run(isa, o, threads, output),
        Op::Reduce(o) => reduce::run(isa, o, threads, output),
        Op::Scan(o) => scan::run(isa, o, threads, output),
        Op::Matmul(o) => matmul::run(isa, engines, o, threads, output),
        Op::Distance(o) if o.dtype == DType::F32 => distance::run::<I, f32>(isa, o, threads, output),
        Op::Distance(o) => distance::run::<I, f64>(isa, o, threads, output),
        Op::Sort(o) => sort::run(isa, o, threads, output),
        Op::Search(o) => search::run(isa, o, threads, output),
        Op::Count(o) => count::run(o, threads, output),
    }
}
