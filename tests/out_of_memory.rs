//! Makes every allocation of data fail in turn: the operation returns its result or an error, ends, and leaves all
//! arrays unchanged.
//!
//! Allocations of data are those that grow with arrays. They have 64 KiB or more, or the alignment of buffers: a cache
//! line. The other allocations hold bookkeeping (a layout, an error's text, the steps of a program) or blocks of a
//! fixed size that a kernel works in. Rust offers no way to survive their failure.

use polyarray::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

struct Failing;

/// The smallest size in bytes of an allocation of data that does not have the alignment of buffers. Descriptions of
/// expressions and a kernel's scratch for one block are smaller.
const SMALLEST: usize = 64 << 10;

static ARMED: AtomicBool = AtomicBool::new(false);
/// The number of allocations of data that still succeed before the first failure.
static LEFT: AtomicUsize = AtomicUsize::new(0);
/// The number of allocations that fail after those.
static FAILURES: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);
static SEEN: AtomicUsize = AtomicUsize::new(0);

fn refuses(layout: Layout) -> bool {
    if !ARMED.load(Ordering::Relaxed) || layout.size() < SMALLEST && layout.align() < 64 {
        return false;
    }
    SEEN.fetch_add(1, Ordering::Relaxed);
    let take_one = |n: usize| n.checked_sub(1);
    if LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok() {
        return false;
    }
    let fails = FAILURES.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok();
    FAILED.fetch_add(usize::from(fails), Ordering::Relaxed);
    fails
}

// SAFETY: every call is forwarded to `System`, or returns null, which an allocator may do at any time.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size of `layout` is not 0, which the caller guarantees.
        if refuses(layout) { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `System` allocated `ptr` with `layout`, which the caller guarantees.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let new = Layout::from_size_align(size, layout.align()).expect("a layout");
        if size > layout.size() && refuses(new) {
            std::ptr::null_mut()
        } else {
            // SAFETY: `System` allocated `ptr` with `layout`, and `size` is a valid size for its alignment, both of
            // which the caller guarantees.
            unsafe { System.realloc(ptr, layout, size) }
        }
    }
}

#[global_allocator]
static ALLOCATOR: Failing = Failing;

/// Shows a result as text. It is called after the allocator has been disarmed, because it allocates.
trait Digest {
    fn digest(&self) -> String;
}

impl<T: Element> Digest for Array<T> {
    fn digest(&self) -> String {
        let mut text = format!("{:?} ", self.shape());
        self.to_vec()
            .expect("memory can be allocated again")
            .iter()
            .for_each(|x| write!(text, "{x:?} ").expect("a string"));
        text
    }
}

impl<T: Element> Digest for (Array<T>, Array<i64>) {
    fn digest(&self) -> String {
        self.0.digest() + &self.1.digest()
    }
}

/// A result that is a single number.
struct One<T>(T);

impl<T: Element> Digest for One<T> {
    fn digest(&self) -> String {
        format!("{:?}", self.0)
    }
}

type Operation = (String, Box<dyn Fn() -> Result<Box<dyn Digest>>>);

fn boxed<D: Digest + 'static>(x: D) -> Result<Box<dyn Digest>> {
    Ok(Box::new(x))
}

/// The operands of the operations.
#[derive(Clone)]
struct Data<T: Element> {
    a: Array<T>,
    b: Array<T>,
}

fn ramp<T: Element>(shape: [usize; 2], seed: usize) -> Array<T> {
    let n = shape[0] * shape[1];
    let value = |i: usize| ((i * 7919 + seed * 31) % 1009) as f64 / 64.0 - 5.0;
    Array::from_vec((0..n).map(|i| T::from_wide(polyarray::Wide::Float(value(i)))).collect(), shape)
        .expect("the vector has as many elements as the shape")
}

macro_rules! operations {
    ($list:ident, $what:expr, $data:ident: $( $name:literal => $body:expr; )*) => {
        $( {
            let $data = $data.clone();
            $list.push((format!("{} {}", $name, $what), Box::new(move || boxed({ let $data = &$data; $body }?)) as _));
        } )*
    };
}

fn of_floats<T: Element<Real = T> + std::ops::Neg<Output = T>>(shape: [usize; 2], list: &mut Vec<Operation>) {
    let d = Data { a: ramp::<T>(shape, 1), b: ramp::<T>(shape, 2) };
    let two = T::from_wide(polyarray::Wide::Int(2));
    let what = format!("{} {shape:?}", T::DTYPE);
    operations! { list, what, d:
        "add" => (&d.a + &d.b).eval();
        "by value" => (d.a.flatten()? + two).eval();
        "slices" => (d.a.slice(s![.., ..;-1])? + d.b.slice(s![..;-1, ..])?).eval();
        "transposed" => (d.a.t() + d.b.t() * two).eval();
        "mixed order" => (d.a.t().flatten()? + d.b.flatten()?).eval();
        "program" => ((&d.a * two + &d.b).abs().sqrt() - &d.a).eval();
        "exp" => d.a.exp().eval();
        "pow" => d.a.abs().pow(&d.b).eval();
        "select" => select(d.a.greater(&d.b), &d.a, two).eval();
        "cast" => d.a.cast::<i64>().eval();
        "cast to complex" => d.a.cast::<Complex<f64>>().eval();
        "sum" => d.a.sum().map(One);
        "sum 0" => d.a.sum_axis(0);
        "sum 1" => d.a.sum_axis(1);
        "mean" => d.a.mean_axis(axis(0).keepdims());
        "max" => d.a.t().max_axis(0);
        "var" => d.a.var(1).map(One);
        "std 0" => d.a.std_axis(0, 0);
        "norm" => d.a.norm().map(One);
        "argmax" => d.a.argmax_axis(1);
        "cumsum 0" => d.a.cumsum(0);
        "cumprod 1" => d.a.cumprod(1);
        "sort 0" => d.a.sort(0);
        "sort 1" => d.a.sort(1);
        "argsort" => d.a.argsort(-1);
        "topk" => d.a.topk(3, 1);
        "median" => d.a.median().map(One);
        "quantile" => d.a.quantile_axis(0.3, 0);
        "unique" => d.a.unique_counts();
        "histogram" => d.a.cast::<f64>().eval()?.histogram(40, None).map(|(counts, _)| counts);
        "searchsorted" => d.a.ravel()?.sort(0)?.searchsorted(&d.b, Side::Left);
        "matmul" => d.a.matmul(&d.b.t());
        "matmul transposed" => d.a.t().matmul(&d.b);
        "matvec" => d.a.matmul(&d.b.slice(s![0])?);
        "epilogue" => {
            let bias = d.a.slice(s![.., 0..1])?;
            Matmul::new(&d.a, &d.b.t()).map(move |e| (e + &bias).maximum(&bias)).run()
        };
        "accumulate" => {
            let mut c = Array::<T>::ones([d.a.shape()[0]; 2])?;
            Matmul::new(&d.a, &d.b.t()).add_into(&mut c.view_mut()?)?;
            Ok::<_, Error>(c)
        };
        "einsum" => einsum("ij,kj->ik", &[&d.a, &d.b]);
        "einsum of three" => einsum("ij,ik,jl->kl", &[&d.a, &d.a, &d.b.t()]);
        "outer" => d.a.slice(s![0])?.outer(&d.b.slice(s![1])?);
        "contiguous" => d.a.t().to_contiguous();
        "reshape" => d.a.t().reshape([d.a.len()]);
        "to_vec" => d.a.t().to_vec().map(|v| {
            Array::from_vec(v, d.a.len()).expect("the vector has as many elements as the shape")
        });
        "from_fn" => Array::<T>::from_fn(d.a.len(), |_| two);
        "full" => Array::<T>::full([d.a.len()], two);
        "linspace" => Array::<T>::linspace(-two, two, d.a.len());
        "in place" => {
            let mut c = d.a.clone();
            c.view_mut()?.assign(&d.a * &d.b)?;
            c.slice_mut(s![.., 0])?.fill(two)?;
            c.set([0, 1], two)?;
            Ok::<_, Error>(c)
        };
        "from itself" => {
            let mut c = d.a.flatten()?;
            let shifted = c.slice(s![1..])?;
            c.slice_mut(s![..-1])?.assign(&shifted * two)?;
            Ok::<_, Error>(c)
        };
        "compact" => {
            let mut c = d.a.slice(s![..;2, ..;2])?;
            c.compact()?;
            Ok::<_, Error>(c)
        };
        "long" => (0..80).fold(d.a.abs(), |e, i| if i % 2 == 0 { e + &d.b } else { e * two }).minimum(two).eval();
        "many arrays" => {
            let all = (0..10).map(|_| d.a.flatten()).collect::<Result<Vec<_>>>()?;
            all.iter().skip(1).fold(all[0].abs(), |e, x| e + x).eval()
        };
    }
}

fn distances(shape: [usize; 2], list: &mut Vec<Operation>) {
    let d = Data { a: ramp::<f32>(shape, 3), b: ramp::<f32>(shape, 4) };
    // Haversine distances need two columns.
    for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::Haversine) {
        let what = format!("{} {shape:?}", metric.name());
        operations! { list, what, d:
            "cdist" => distance::cdist(&d.a, &d.b, metric);
            "cdist transposed" => distance::cdist(&d.a.t(), &d.b.t(), metric);
        }
    }
}

fn run(operation: &Operation, succeed: usize, failures: usize) -> (Result<Box<dyn Digest>>, usize, usize) {
    for (counter, value) in [(&LEFT, succeed), (&FAILURES, failures), (&FAILED, 0), (&SEEN, 0)] {
        counter.store(value, Ordering::Relaxed);
    }
    ARMED.store(true, Ordering::SeqCst);
    let result = operation.1();
    ARMED.store(false, Ordering::SeqCst);
    (result, SEEN.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed))
}

#[test]
fn every_allocation_of_data_fails_once() -> Result<()> {
    let mut operations = Vec::new();
    for shape in [[8, 9], [40, 33], [300, 257]] {
        of_floats::<f32>(shape, &mut operations);
        of_floats::<f64>(shape, &mut operations);
        of_floats::<f16>(shape, &mut operations);
        of_floats::<bf16>(shape, &mut operations);
        distances(shape, &mut operations);
    }
    assert!(operations.len() >= 500, "{} operations", operations.len());
    let (mut errors, mut results) = (0, 0);
    for device in ["scalar", "simd", "blas", "auto"] {
        let Ok(device) = Device::named(device) else { continue };
        with_device(&device, || {
            for operation in &operations {
                let name = format!("{} on {device}", operation.0);
                // The first run starts threads and fills caches.
                let expected = match operation.1() {
                    Ok(result) => result.digest(),
                    Err(Error::Refused { .. } | Error::DTypeUndefined { .. }) => continue,
                    Err(e) => panic!("{name}: {e}"),
                };
                polyarray::trim();
                let (result, allocations, _) = run(operation, usize::MAX, 0);
                assert_eq!(result.map(|r| r.digest()).map_err(|e| e.to_string()).as_ref(), Ok(&expected), "{name}");
                for nth in 0..allocations {
                    // Either one allocation fails, after which the library trims the pool and retries; or all
                    // allocations fail until the operation ends.
                    for failures in [1, usize::MAX] {
                        polyarray::trim();
                        let (result, _, failed) = run(operation, nth, failures);
                        match result {
                            Ok(result) => {
                                assert_eq!(
                                    result.digest(),
                                    expected,
                                    "{name}, allocation {nth} of {allocations} failed"
                                );
                                results += 1;
                            }
                            Err(Error::OutOfMemory { .. }) if failed > 0 => errors += 1,
                            Err(e) => panic!("{name}, allocation {nth} of {allocations} failed: {e}"),
                        }
                    }
                }
                // The operands are unchanged: the operation returns the same result as before.
                assert_eq!(
                    operation.1().map(|r| r.digest()).map_err(|e| e.to_string()),
                    Ok(expected),
                    "{name}, afterwards"
                );
            }
        });
    }
    println!("{} operations: {results} results, {errors} errors", operations.len());
    assert!(errors > operations.len() && results > operations.len());
    Ok(())
}
