//! An evaluation allocates its output and strips, whatever the expression is, and a search for neighbours no matrix of
//! distances. The file has only one test, because the counters cover the whole process.
#![cfg(feature = "simd")]

use polyarray::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

/// The bytes that were allocated so far, those that are not freed, and the most of these at any time.
static BYTES: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the size of `layout` is not 0, which the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `System` allocated `ptr` with `layout`, which the caller guarantees.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the result of `f` and the number of bytes that any thread allocated meanwhile.
fn allocated<R>(f: impl FnOnce() -> R) -> (R, usize) {
    let before = BYTES.load(Ordering::Relaxed);
    let result = f();
    (result, BYTES.load(Ordering::Relaxed) - before)
}

/// Returns the result of `f` and the most bytes that it held at a time.
fn held<R>(f: impl FnOnce() -> Result<R>) -> Result<(R, usize)> {
    polyarray::trim();
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = f()?;
    Ok((result, PEAK.load(Ordering::Relaxed) - before))
}

/// The bytes of the strips of one thread and of the description of an operation.
const STRIPS: usize = 48 << 10;

/// Searches for neighbours hold a second copy of their results, some blocks of distances for each thread, and for
/// sparse vectors the points in another order; nothing is in proportion to the number of pairs.
fn neighbours() -> Result<()> {
    let (n, d, k, threads) = (6000, 4, 10, 2);
    let results = 2 * n * k * (size_of::<i64>() + size_of::<f32>());
    // The blocks of distances of a thread, the panels of a product, and its neighbours.
    let bound = results + threads * (3 << 20);
    assert!(bound < n * n * size_of::<f32>() / 10, "a matrix of distances is far larger");
    let mut rng = polyarray::random::Generator::new(1);
    let x = rng.uniform::<f32>([n, d], 0.0, 1.0)?;
    polyarray::with_threads(threads, || -> Result<()> {
        // A first run allocates what is kept.
        distance::argmin(&x, &x, Metric::Euclidean)?;
        for metric in [Metric::Euclidean, Metric::Cosine, Metric::Cityblock] {
            let (_, bytes) = held(|| distance::nearest(&x, &x, k, metric))?;
            assert!(bytes <= bound, "nearest, {metric:?}: {bytes} bytes, at most {bound} are allowed");
            let (_, bytes) = held(|| distance::argmin(&x, &x, metric))?;
            assert!(bytes <= bound, "argmin, {metric:?}: {bytes} bytes, at most {bound} are allowed");
        }
        let (found, bytes) = held(|| distance::within(&x, &x, 0.05, Metric::Euclidean))?;
        // The pairs of all threads, of a block and of the result, in vectors that grow by doubling.
        let bound = 6 * 16 * found.indices.len() + threads * (3 << 20);
        assert!(bytes <= bound, "within: {bytes} bytes, at most {bound} are allowed");
        let (columns, each) = (1000, 20);
        let chosen = rng.integers::<i64>([n, each], 0..columns as i64)?.to_vec()?;
        let triplets = chosen.iter().enumerate().map(|(at, &column)| (at / each, column as usize, 1.0f32));
        let points = Csr::from_triplets([n, columns], triplets)?;
        // As the documentation of nearest_sparse states; rows have some 40 bytes, and a thread two arrays of sums.
        let bound = results + 24 * points.nnz() + 64 * n + threads * (1 << 20);
        for metric in [Metric::Cosine, Metric::Dot, Metric::Jaccard] {
            let (_, bytes) = held(|| distance::nearest_sparse(&points, &points, k, metric))?;
            assert!(bytes <= bound, "nearest_sparse, {metric:?}: {bytes} bytes, at most {bound} are allowed");
        }
        Ok(())
    })
}

#[test]
fn an_evaluation_allocates_its_output_and_strips() -> Result<()> {
    neighbours()?;
    let n = 1 << 20;
    let bound = STRIPS * polyarray::config().threads.max(2);
    let x = Array::<f64>::full([n], 0.5)?;
    let y = Array::<f32>::full([1024, 1024], 2.0)?;
    let mut out = Array::<f64>::zeros([n])?;
    let device = Device::simd()?;
    with_device(&device, || -> Result<()> {
        // 59 steps: one program holds 64.
        let long =
            |x: &Array<f64>| (1..20).fold(x.into_expr(), |e, i| (e * f64::from(i)).minimum(3.0) + x.square().sqrt());
        let mixed = |y: &Array<f32>| (y.t().cast::<f64>() * 2.0 + y.cast::<f64>()).greater(1.0);
        // A first run starts the threads and allocates their scratch.
        long(&x).eval()?;
        mixed(&y).eval()?;
        polyarray::trim();
        let (_, bytes) = allocated(|| long(&x).eval().map(drop));
        assert!(bytes <= 8 * n + bound, "a long expression allocated {bytes} for an output of {}", 8 * n);
        polyarray::trim();
        let (_, bytes) = allocated(|| mixed(&y).eval().map(drop));
        assert!(bytes <= n + bound, "mixed dtypes and layouts allocated {bytes} for an output of {n}");
        let (done, bytes) = allocated(|| long(&x).eval_into(&mut out.view_mut()?));
        done?;
        assert!(bytes <= bound, "into an existing output: {bytes} bytes, at most {bound} are allowed");
        let own = long(&x).eval()?;
        let (_, bytes) = allocated(|| (own * 2.0 + &x).eval().map(drop));
        assert!(bytes <= bound, "a donated operand: {bytes} bytes, at most {bound} are allowed");
        let (sum, bytes) = allocated(|| (&x * &x + 1.0).sum());
        assert_eq!(sum?, 1.25 * n as f64);
        assert!(bytes <= bound, "a sum of an expression: {bytes} bytes, at most {bound} are allowed");
        // A compiled function, once it is prepared, allocates nothing.
        let f = fuse(|x: Expr<f64>, a: Expr<f64>| (x * a + 1.0).square() - 0.5)?;
        let small = Array::<f64>::ones([1000])?;
        let mut own = small.to_contiguous()?;
        let mut view = own.view_mut()?;
        f.eval_into((&small, 1.0), &mut view)?;
        let (done, bytes) = allocated(|| (0..100).try_for_each(|k| f.eval_into((&small, f64::from(k)), &mut view)));
        done?;
        assert_eq!(bytes, 0, "calls of a compiled function allocate nothing");
        Ok(())
    })
}
