//! The device `simd` of polyarray: explicit SIMD on all cores.
//!
//! An operation passes through these modules: `Simd` estimates its cost; `map`, `reduce`, `scan`, `matmul`, `distance`
//! (`bytes` and `bits` for integers), `nearest`, `sort`, `search`, `count`, `random` and `index` split it into strips,
//! blocks and threads; `exec` runs a program on strips, `flat` on strips across short axes; `kernels` has one kernel
//! per instruction; `math` and `lanes` have functions and vectors that are generic over the tier; `tier` has a table of
//! kernels for each tier, and chooses the best that this CPU supports.

mod bits;
mod bytes;
mod count;
mod distance;
mod dots;
mod exec;
mod flat;
mod gemm;
mod index;
mod kernels;
mod lanes;
mod lower;
mod map;
mod math;
mod matmul;
mod matvec;
mod nearest;
mod pairwise;
mod partial;
mod random;
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
use polyarray_core::{
    Backend, Class, Cost, DType, DeviceInfo, Error, Kind, MemoryId, Op, Prepared, Profile, Program, Result, RunContext,
    Small, Unsupported, config,
};
use std::sync::{Arc, OnceLock};
use tier::{Tier, Token};

/// Announces the device to core. Unit tests call functions that are generic over the tier; without this module, their
/// program does not reach the tables of kernels, and the compiler omits them.
#[cfg(not(test))]
mod announced {
    use polyarray_core::{Backend, BackendEntry, Result};
    use std::sync::Arc;

    polyarray_core::announce!(
        polyarray_simd_is_linked,
        BackendEntry { name: "simd", order: 20, slow_to_open: false, present: || true, open }
    );

    fn open() -> Result<Arc<dyn Backend>> {
        crate::backend(std::env::var("POLYARRAY_SIMD").ok().as_deref())
    }
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
    let token = Token::best(cap).map_err(|why| Error::Setting {
        name: "POLYARRAY_SIMD",
        value: cap.unwrap_or_default().into(),
        why,
    })?;
    let (tier, engines) = (token.tier(), token.engines(cap));
    let description = format!("{}{}, {} threads", tier.name, engines.describe(), config().threads);
    let profile = profile(tier, &engines);
    let info = DeviceInfo { name: "simd".into(), description, hardware: true };
    Ok(Arc::new(Simd { tier, engines, info, profile, products: OnceLock::new() }))
}

struct Simd {
    tier: &'static Tier,
    engines: Engines,
    info: DeviceInfo,
    profile: Profile,
    /// The same with measured rates of floating-point products, from the first estimate of a product on.
    products: OnceLock<Profile>,
}

/// Returns the speed of a tier.
fn profile(tier: &Tier, engines: &Engines) -> Profile {
    use Class::{
        ArgReduce, ArgSort, Cosine, Count, Distance, Index, Map, MatVec, Product, Random, Reduce, Search, Sort,
    };
    /// Vector instructions per second and thread.
    const RATE: f64 = 2.0e9;
    let vectors = |dtype: DType| RATE * (tier.vector_bytes / dtype.size().max(4)) as f64;
    // Elements along the axis of a scan depend on each other, so vectors do not help.
    let mut profile = Profile::new(START_UP, 1.2e10, RATE).with_rate(&[Search, Count], &DType::ALL, 0.5e9).with_rate(
        &[Index],
        &DType::ALL,
        1e9,
    );
    (profile.wake, profile.cache) = (8e-6, (1 << 20) as f64);
    for dtype in DType::ALL {
        // A complex product is four real ones; an integer one is a multiplication and an addition, of which the 64-bit
        // multiplication is slow.
        let product = match dtype.kind() {
            Kind::Complex => vectors(dtype) / 2.0,
            Kind::Int | Kind::Uint if dtype.size() == 8 => vectors(dtype) / 3.0,
            Kind::Int | Kind::Uint => vectors(dtype) / 2.0,
            Kind::Bool | Kind::Float => vectors(dtype),
        };
        // Comparisons, measured on sorts of a million elements on Zen 4. Indices are sorted as 64-bit integers.
        let sort = |wide: bool| match tier.vector_bytes {
            64 if wide => 2.6e9,
            64 => 5e9,
            _ => 1.3e9,
        };
        // Distances of bytes are computed from products; packed bits take half an instruction for 64 of them.
        let [distance, cosine] = match dtype.kind() {
            Kind::Int | Kind::Uint if dtype.size() == 1 => [engines.gain(dtype) * product; 2],
            Kind::Uint => [RATE * tier.vector_bytes as f64 / dtype.size() as f64; 2],
            // Measured on [400, 50] against [400, 50] on Sapphire Rapids: differences take two instructions a cycle.
            _ => [2.2 * vectors(dtype), 1.3 * vectors(dtype)],
        };
        profile = profile
            .with_rate(&[Map, Reduce, ArgReduce], &[dtype], vectors(dtype))
            .with_rate(&[Distance], &[dtype], distance)
            .with_rate(&[Cosine], &[dtype], cosine)
            .with_rate(&[MatVec], &[dtype], product)
            .with_rate(&[Product], &[dtype], engines.gain(dtype) * product)
            .with_rate(&[Sort], &[dtype], sort(dtype.size() == 8))
            .with_rate(&[ArgSort], &[dtype], sort(true))
            // The generator computes in lanes of 64 bits for every dtype.
            .with_rate(&[Random], &[dtype], vectors(DType::F64));
    }
    profile
}

/// Seconds to prepare an operation.
const START_UP: f64 = 250e-9;

fn check(tier: &Tier, program: &Program) -> Result<(), Unsupported> {
    exec::missing(tier, program).map_or(Ok(()), |what| Err(Unsupported::new(what)))
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
        self.supports(op)?;
        let profile = if let Op::Matmul(_) = op { self.products() } else { &self.profile };
        let cost = profile.cost(op, threads);
        if cost.threads == 1 {
            return Ok(cost);
        }
        // Fewer threads may be available. This is checked last, because the check starts the thread pool, which small
        // work must not do.
        Ok(profile.cost(op, threads.min(threads::available())))
    }

    fn profile(&self) -> Option<&Profile> {
        Some(self.products())
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        let Simd { tier, engines, .. } = *self;
        let (threads, output) = (cx.threads, cx.output());
        // SAFETY: the caller guarantees the invariants of `op`, and the CPU has the features of the tier ([`Tier`]).
        unsafe {
            match op {
                Op::Map(o) => map::run(tier, o, threads, output),
                Op::Reduce(o) => reduce::run(tier, o, threads, output),
                Op::Scan(o) => scan::run(tier, o, threads, output),
                Op::Matmul(o) => (tier.matmul)(tier, engines, o, threads, output),
                Op::Distance(o) => (tier.distance)(tier, engines, o, threads, output),
                Op::Nearest(o) => (tier.nearest)(engines, o, threads, output),
                Op::Sort(o) => sort::run(&tier.sort, o, threads, output),
                Op::Search(o) => search::run(&tier.search, o, threads, output),
                Op::Count(o) => count::run(o, threads, output),
                Op::Random(o) => random::run(&tier.random, o, threads, output),
                Op::Gather(o) => index::gather(o, threads, output),
                Op::Scatter(o) => index::scatter(o, threads, output),
            }
        }
    }

    unsafe fn run_small(&self, work: &Small) -> bool {
        // SAFETY: the caller guarantees the invariants of `work`.
        unsafe { small::run(self.tier, work) }
    }

    fn prepare(&self, program: &Program) -> Option<Box<dyn Prepared>> {
        small::prepare(self.tier, program)
    }
}

impl Simd {
    fn products(&self) -> &Profile {
        // SAFETY: `measured_once` passes valid products, with an output that it allocated for them.
        self.profile.measured_once(&self.products, |op, cx| unsafe { self.run(op, cx) })
    }

    /// Returns why this device refuses `op`, if it does.
    fn supports(&self, op: &Op) -> Result<(), Unsupported> {
        op.programs().into_iter().try_for_each(|program| check(self.tier, program))?;
        let lacks =
            |name: &str, dtype| Err(Unsupported::new(format!("simd has no {name} of {dtype}; use another device")));
        match op {
            Op::Reduce(o) if !reduce::has_kernel(self.tier, o.kind, o.before.output()) => {
                lacks(o.kind.name(), o.before.output())
            }
            Op::Scan(o) if !scan::has_kernel(self.tier, o.kind, o.before.output()) => {
                lacks(o.kind.name(), o.before.output())
            }
            Op::Matmul(o) if o.after.output() != o.product() => Err(Unsupported::new(format!(
                "the epilogue changes the dtype from {} to {}; cast the result in a separate expression",
                o.product(),
                o.after.output()
            ))),
            Op::Distance(o) => distances(o.dtype, o.after.output()),
            Op::Nearest(o) => distances(o.dtype, o.dtype),
            _ => Ok(()),
        }
    }
}

/// Returns why this device refuses distances of vectors of `dtype` as `result`, if it does.
fn distances(dtype: DType, result: DType) -> Result<(), Unsupported> {
    match dtype {
        DType::F16 | DType::BF16 => {
            Err(Unsupported::new(format!("simd computes distances of f32 and f64, not {dtype}; cast the operands")))
        }
        _ if result == dtype.distance() => Ok(()),
        _ => Err(Unsupported::new(format!(
            "the epilogue changes the dtype from {} to {result}; cast the result in a separate expression",
            dtype.distance()
        ))),
    }
}
