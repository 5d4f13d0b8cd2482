//! Measures what matrix products allocate besides their operands. This file has only one test, because the counter
//! counts for the whole process.
#![cfg(feature = "simd")]

extern crate polyarray_cpu as _;
extern crate polyarray_simd as _;

use polyarray_core::{Array, Complex, Device, Element, Matmul, Result, Wide, with_device, with_threads};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all allocations are made by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the contract of `GlobalAlloc::alloc`, which the caller guarantees.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the contract of `GlobalAlloc::dealloc`, which the caller guarantees.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The bytes for the description of an operation and for the threads of a pool.
const DESCRIPTIONS: usize = 1 << 20;
/// The additional bytes of a thread if AMX multiplies residues.
const RESIDUES: usize = 22 << 20;

/// Multiplies a batch into an existing output. Returns by how many bytes the peak of live memory exceeds that before
/// the product.
fn multiply<T: Element>(batch: usize, [m, k, n]: [usize; 3], threads: usize, transposed: bool) -> Result<usize> {
    let value = |i: usize| T::from_wide(Wide::Int((i % 7) as i128));
    let matrices = |rows: usize, columns: usize| {
        Array::from_vec((0..batch * rows * columns).map(value).collect(), [batch, rows, columns])
    };
    let (a, b) = if transposed {
        (matrices(k, m)?.permute(&[0, 2, 1])?, matrices(n, k)?.permute(&[0, 2, 1])?)
    } else {
        (matrices(m, k)?, matrices(k, n)?)
    };
    let mut out = Array::<T>::zeros([batch, m, n])?;
    // A new thread, and a new pool, have no scratch memory from earlier products.
    std::thread::scope(|scope| {
        let run = || {
            let before = LIVE.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let product = || with_device(&Device::simd()?, || Matmul::new(&a, &b).run_into(&mut out.view_mut()?));
            let done = with_threads(threads, product);
            done.map(|()| PEAK.load(Ordering::Relaxed) - before)
        };
        scope.spawn(run).join().expect("nothing panics")
    })
}

#[test]
fn products_take_no_more_than_their_bound() -> Result<()> {
    let residues = if Device::simd()?.info().description.contains("AMX") { RESIDUES } else { 0 };
    let check = |what: &str, shape: [usize; 3], threads: usize, bytes: usize| {
        let bound = polyarray_simd::packing_bound(threads) + DESCRIPTIONS + threads * residues;
        assert!(
            bytes <= bound,
            "{what} {shape:?} on {threads} threads allocated {bytes} bytes, more than the bound of {bound}"
        );
    };
    // Starts the thread pool before the measurements.
    multiply::<f32>(1, [200, 200, 200], 2, false)?;
    let mut packed = 0;
    for threads in [1, 2] {
        let products = [[1024, 1024, 1024], [2500, 600, 64], [64, 600, 2500], [50, 5000, 50], [300, 300, 4000]]
            .map(|shape| (1, shape));
        for (batch, shape) in products.into_iter().chain([(4, [100, 1024, 1000]), (40, [2, 500, 800])]) {
            for transposed in [false, true] {
                let bytes = multiply::<f32>(batch, shape, threads, transposed)?;
                packed = packed.max(bytes);
                check("f32", shape, threads, bytes);
                check("f64", shape, threads, multiply::<f64>(batch, shape, threads, transposed)?);
                check("c32", shape, threads, multiply::<Complex<f32>>(batch, shape, threads, transposed)?);
            }
        }
    }
    assert!(packed > 1 << 18, "no product was packed, so the test measured nothing: the peak is {packed} bytes");
    Ok(())
}
