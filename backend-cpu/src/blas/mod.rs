//! The device `blas`: a CBLAS library, loaded at run time or linked. It multiplies matrices and computes distances from
//! products. It refuses all other operations.

mod distance;
mod library;
#[cfg(feature = "blas-static")]
mod linked;
mod matmul;

use library::Library;
use polyarray_core::op::{Distance, Matmul, Measure};
use polyarray_core::{
    Backend, BackendEntry, Buffer, Class, Cost, DType, DeviceInfo, Element, Error, MemoryId, Op, Profile, Result,
    RunContext, Unsupported,
};
use std::sync::{Arc, OnceLock};

polyarray_core::announce!(
    polyarray_blas_is_linked,
    BackendEntry {
        name: "blas",
        order: 30,
        slow_to_open: false,
        present: || true,
        open: || Ok(Arc::new(Blas::open()?))
    }
);

struct Blas {
    info: DeviceInfo,
    library: Arc<Library>,
    assumed: Profile,
    /// The same with measured rates, when the library is first compared with other devices.
    profile: OnceLock<Profile>,
}

impl Blas {
    fn open() -> Result<Blas> {
        let library = Library::open()?;
        Ok(Blas {
            info: DeviceInfo { name: "blas".into(), description: library.description.clone(), hardware: true },
            library,
            assumed: profile(),
            profile: OnceLock::new(),
        })
    }

    fn profile(&self) -> &Profile {
        self.assumed.measured_once(&self.profile, |op, cx| match op {
            // The rates are those of one thread.
            Op::Matmul(o) if self.library.sets_threads() => matmul::run(&self.library, o, cx),
            Op::Matmul(_) => {
                let reason = ("blas".into(), "the number of threads of this library cannot be set".into());
                Err(Error::Refused { op: op.describe(), reasons: vec![reason] })
            }
            _ => unreachable!("only products are measured"),
        })
    }

    /// Checks that the library's integers can count all dimensions.
    ///
    /// # Errors
    /// Names the first dimension that does not fit.
    fn fits(&self, dimensions: [usize; 3]) -> Result<(), Unsupported> {
        let max = self.library.max_dimension();
        match dimensions.into_iter().find(|&n| n > max) {
            Some(n) => Err(Unsupported::new(format!(
                "this BLAS library has 32-bit integers: the dimension {n} exceeds {max}; use a library with 64-bit \
                 integers (ILP64)"
            ))),
            None => Ok(()),
        }
    }

    fn matmul(&self, op: &Op, o: &Matmul, threads: usize) -> Result<Cost, Unsupported> {
        if !has_products(o.dtype) {
            return Err(Unsupported::new(format!("BLAS supports products of f32, f64, c32 and c64, not {}", o.dtype)));
        }
        if !o.after.is_identity() || !o.extras.is_empty() {
            return Err(Unsupported::new(
                "BLAS has no epilogue for products; run the product alone, and the epilogue on another device",
            ));
        }
        self.fits([o.m, o.n, o.k])?;
        // The library is called once for each product of the batch.
        let calls = o.batch.size() as f64;
        let p = self.profile();
        let copies = matmul::copied(o, self.library.max_dimension()) as f64 * SECONDS_PER_COPY;
        let one = Cost::model(CALL, p.moving(op.bytes() / calls), p.computing(op) / calls, threads, p.wake);
        Ok(Cost { seconds: p.start_up + copies + one.seconds * calls, threads: one.threads })
    }

    fn distance(&self, op: &Op, o: &Distance, threads: usize) -> Result<Cost, Unsupported> {
        if !matches!(o.metric, Measure::Euclidean | Measure::SquaredEuclidean | Measure::Cosine) {
            return Err(Unsupported::new(format!(
                "BLAS supports euclidean, sqeuclidean and cosine distances, which are computed from a matrix product, \
                 but not {}",
                o.metric.name()
            )));
        }
        if !matches!(o.dtype, DType::F32 | DType::F64) {
            return Err(Unsupported::new(format!("BLAS supports distances in f32 and f64, not in {}", o.dtype)));
        }
        if !o.after.is_identity() {
            return Err(Unsupported::new(
                "BLAS has no epilogue for distances; run the distances alone, and the epilogue on another device",
            ));
        }
        self.fits([o.n, o.m, o.d])?;
        let (n, m, d) = (o.n as f64, o.m as f64, o.d as f64);
        let p = self.profile();
        let smallest = n.min(m).min(d);
        let product = n * m * d / p.rate(Class::Product, o.dtype) * (1.0 + p.half_size / smallest);
        let work = product + n * m * SECONDS_PER_PAIR + (n + m) * d * SECONDS_PER_COORDINATE;
        Ok(Cost::model(p.start_up + CALL, p.moving(op.bytes()), work, threads, p.wake))
    }
}

/// Seconds to prepare an operation.
const START_UP: f64 = 0.7e-6;
/// Seconds to copy an element of a matrix whose layout BLAS does not support.
const SECONDS_PER_COPY: f64 = 1e-9;
/// Seconds of overhead per call of the library.
const CALL: f64 = 0.3e-6;
/// Seconds that one thread takes to convert a product to a distance: measured on [400, 50] against [400, 50] on
/// Sapphire Rapids.
const SECONDS_PER_PAIR: f64 = 3e-9;
/// Seconds that one thread takes to centre a coordinate.
const SECONDS_PER_COORDINATE: f64 = 2e-9;

/// Returns the assumed speed of the library, until its products are measured. Other kinds of work and dtypes are
/// refused.
fn profile() -> Profile {
    use Class::{MatVec, Product};
    let mut profile = Profile::new(START_UP, 1e10, f64::INFINITY)
        .with_rate(&[Product, MatVec], &[DType::F32], 8e10)
        .with_rate(&[Product, MatVec], &[DType::F64], 4e10)
        .with_rate(&[Product, MatVec], &[DType::C32], 2e10)
        .with_rate(&[Product, MatVec], &[DType::C64], 1e10);
    (profile.wake, profile.half_size) = (5e-6, 16.0);
    profile
}

/// The reason for a refusal, as a constant: `auto` estimates every operation, so refusals allocate nothing.
macro_rules! lacks {
    ($what:literal) => {
        concat!("BLAS supports only matrix products and distances; it has no ", $what)
    };
}

fn has_products(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64 | DType::C32 | DType::C64)
}

// SAFETY: products and distances write their whole output, in C order from the start of its buffer. No work is queued.
unsafe impl Backend for Blas {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn start_up(&self) -> f64 {
        START_UP
    }

    fn profile(&self) -> Option<&Profile> {
        Some(self.profile())
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        Err(Unsupported::new(match op {
            Op::Matmul(o) => return self.matmul(op, o, threads),
            Op::Distance(o) => return self.distance(op, o, threads),
            Op::Map(_) => lacks!("elementwise operations"),
            Op::Reduce(_) => lacks!("reductions"),
            Op::Scan(_) => lacks!("scans"),
            Op::Nearest(_) => "BLAS selects neighbours from blocks of distances",
            Op::Sort(_) | Op::Search(_) | Op::Count(_) => lacks!("sorting, searching or counting"),
            Op::Random(_) => lacks!("random numbers"),
            Op::Gather(_) | Op::Scatter(_) => lacks!("reads and writes at indices"),
        }))
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match op {
            Op::Matmul(o) => matmul::run(&self.library, o, cx),
            Op::Distance(o) => distance::run(&self.library, o, cx),
            _ => unreachable!("`estimate` refuses every operation except products and distances"),
        }
    }
}

/// Scratch of at least this many bytes is first requested from `Buffer::host`, which checks it against the machine's
/// memory; the system would promise more than there is.
const LARGE: usize = 64 << 20;

/// Allocates scratch filled with zeros.
///
/// # Errors
/// [`Error::OutOfMemory`].
fn scratch<T: Element>(len: usize) -> Result<Vec<T>> {
    let bytes = len.saturating_mul(size_of::<T>());
    if bytes >= LARGE {
        drop(Buffer::host(bytes)?);
    }
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    vec.resize(len, T::default());
    Ok(vec)
}
