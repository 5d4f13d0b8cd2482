//! The device `blas`: a CBLAS library, loaded at run time or linked. It multiplies matrices and computes distances from
//! products. It refuses all other operations.

mod distance;
mod library;
#[cfg(feature = "blas-static")]
mod linked;
mod matmul;

use library::Library;
use polyarray_core::op::{Distance, Matmul, Metric};
use polyarray_core::{
    Backend, BackendEntry, Buffer, Cost, DType, DeviceInfo, Element, Error, MemoryId, Op, Result, RunContext,
    Unsupported,
};
use std::sync::Arc;

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
}

impl Blas {
    fn open() -> Result<Blas> {
        let library = Library::open()?;
        Ok(Blas {
            info: DeviceInfo { name: "blas".into(), description: library.description.clone(), hardware: true },
            library,
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

    fn matmul(&self, op: &Matmul, threads: usize) -> Result<Cost, Unsupported> {
        let rate = rate(op.dtype).ok_or_else(|| {
            Unsupported::new(format!("BLAS supports products of f32, f64, c32 and c64, not {}", op.dtype))
        })?;
        if !op.after.is_identity() || !op.extras.is_empty() {
            return Err(Unsupported::new(
                "BLAS has no epilogue for products; run the product alone, and the epilogue on another device",
            ));
        }
        self.fits([op.m, op.n, op.k])?;
        let (m, n, k) = (op.m as f64, op.n as f64, op.k as f64);
        let bytes = (m * k + k * n + m * n) * op.dtype.size() as f64;
        let one =
            Cost::model(CALL, bytes / BANDWIDTH, m * n * k / (rate * efficiency(op.m, op.n, op.k)), threads, WAKE);
        Ok(Cost { seconds: START_UP + one.seconds * op.batch.size() as f64, threads: one.threads })
    }

    fn distance(&self, op: &Distance, threads: usize) -> Result<Cost, Unsupported> {
        if op.metric == Metric::Cityblock {
            return Err(Unsupported::new(
                "BLAS does not support cityblock distances: they cannot be computed from a matrix product",
            ));
        }
        let rate = rate(op.dtype)
            .ok_or_else(|| Unsupported::new(format!("BLAS supports distances in f32 and f64, not in {}", op.dtype)))?;
        if !op.after.is_identity() {
            return Err(Unsupported::new(
                "BLAS has no epilogue for distances; run the distances alone, and the epilogue on another device",
            ));
        }
        self.fits([op.n, op.m, op.d])?;
        let (n, m, d) = (op.n as f64, op.m as f64, op.d as f64);
        let product = n * m * d / (rate * efficiency(op.n, op.m, op.d));
        let work = product + n * m * SECONDS_PER_PAIR + (n + m) * d * SECONDS_PER_COORDINATE;
        let bytes = (n * d + m * d + n * m) * op.dtype.size() as f64;
        Ok(Cost::model(START_UP + CALL, bytes / BANDWIDTH, work, threads, WAKE))
    }
}

// The following figures are first guesses, not measurements.

/// Seconds of overhead per operation.
const START_UP: f64 = 0.7e-6;
/// Seconds of overhead per call of the library.
const CALL: f64 = 0.3e-6;
/// Seconds to wake other threads.
const WAKE: f64 = 5e-6;
/// Bytes per second that one thread moves.
const BANDWIDTH: f64 = 1e10;
/// Seconds that one thread takes to convert a product to a distance.
const SECONDS_PER_PAIR: f64 = 1e-9;
/// Seconds that one thread takes to centre a coordinate.
const SECONDS_PER_COORDINATE: f64 = 2e-9;

/// Returns the multiply-adds per second of one thread on large matrices, or `None` for dtypes that BLAS does not
/// support.
fn rate(dtype: DType) -> Option<f64> {
    match dtype {
        DType::F32 => Some(8e10),
        DType::F64 => Some(4e10),
        DType::C32 => Some(2e10),
        DType::C64 => Some(1e10),
        _ => None,
    }
}

/// Returns the share of that rate that a product reaches. It is low if the smallest dimension is small: one half at 16.
fn efficiency(m: usize, n: usize, k: usize) -> f64 {
    let smallest = m.min(n).min(k) as f64;
    smallest / (smallest + 16.0)
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

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        match op {
            Op::Map(_) => Err(Unsupported::new(
                "BLAS supports only matrix products and distances; it has no elementwise operations",
            )),
            Op::Reduce(_) => {
                Err(Unsupported::new("BLAS supports only matrix products and distances; it has no reductions"))
            }
            Op::Scan(_) => Err(Unsupported::new("BLAS supports only matrix products and distances; it has no scans")),
            Op::Matmul(o) => self.matmul(o, threads),
            Op::Distance(o) => self.distance(o, threads),
            Op::Sort(_) | Op::Search(_) | Op::Count(_) => Err(Unsupported::new(
                "BLAS supports only matrix products and distances; it has no sorting, searching or counting",
            )),
        }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match op {
            Op::Matmul(o) => matmul::run(&self.library, o, cx),
            Op::Distance(o) => distance::run(&self.library, o, cx),
            Op::Map(_) | Op::Reduce(_) | Op::Scan(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => {
                unreachable!("`estimate` refuses every operation except products and distances")
            }
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
