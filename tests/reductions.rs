//! Reductions and scans through the public API: error bounds, ties, NaN, empty arrays and invalid axes. The results
//! have the same bits on `scalar`, on every tier of `simd` and with any number of threads.
#![cfg(feature = "simd")]

use polyarray::prelude::*;
use polyarray::{Backend, Cost, DeviceInfo, MemoryId, Op, RunContext, Unsupported, with_threads};
use std::sync::{Arc, OnceLock};

/// A tier of `simd` that runs every operation with as many threads as are allowed, however small the operation is.
struct Tier {
    info: DeviceInfo,
    inner: Arc<dyn Backend>,
}

// SAFETY: every operation is forwarded to the inner backend, which keeps the contract of `Backend`.
unsafe impl Backend for Tier {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.inner.memory()
    }

    fn estimate(&self, op: &Op, threads: usize) -> std::result::Result<Cost, Unsupported> {
        // Other tests of this file run under `auto`, which must not choose this device.
        if !IN_USE.get() {
            return Err(Unsupported::new("this device only accepts operations of these tests"));
        }
        self.inner.estimate(op, threads).map(|cost| Cost { threads, ..cost })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        // SAFETY: the caller keeps the contract of `Backend::run`. The inner backend has the same contract, uses the
        // same memory and accepted `op` in `estimate`.
        unsafe { self.inner.run(op, cx) }
    }
}

thread_local! {
    static IN_USE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn tiers() -> &'static [Device] {
    static TIERS: OnceLock<Vec<Device>> = OnceLock::new();
    TIERS.get_or_init(|| {
        let tier = |name: &str| {
            let inner = polyarray_simd::backend(Some(name)).expect("a tier's name");
            register(Tier {
                info: DeviceInfo { name: format!("tier-{name}"), description: String::new(), hardware: true },
                inner,
            })
        };
        ["portable", "avx2", "avx512"].map(tier).to_vec()
    })
}

/// Runs `run` on `scalar` and on every tier with 1 to 8 threads, and asserts that all results are the same by `bits`.
/// Returns the result of `scalar`.
fn everywhere<R>(what: &str, bits: impl Fn(&R) -> Vec<u64>, run: impl Fn() -> Result<R>) -> R {
    let oracle = with_device(&Device::scalar(), &run).unwrap_or_else(|e| panic!("{what}: {e}"));
    for device in tiers() {
        for threads in [1, 2, 3, 5, 8] {
            IN_USE.set(true);
            let got = with_threads(threads, || with_device(device, &run)).unwrap_or_else(|e| panic!("{what}: {e}"));
            IN_USE.set(false);
            assert_eq!(bits(&got), bits(&oracle), "{what} on {} with {threads} threads", device.name());
        }
    }
    oracle
}

fn bits_of(a: &Array<f64>) -> Vec<u64> {
    // All NaNs are equal here: the sign of a NaN has no meaning.
    a.to_vec().unwrap().iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect()
}

fn indices(a: &Array<i64>) -> Vec<u64> {
    a.to_vec().unwrap().iter().map(|&x| x as u64).collect()
}

/// Numbers of both signs over many orders of magnitude, so that their sums cancel.
fn wild(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n).map(|_| (next() as i64 as f64 / i64::MAX as f64) * 10f64.powi((next() % 13) as i32 - 6)).collect()
}

const SHAPES: [&[usize]; 9] =
    [&[1], &[3001], &[70_003], &[5, 700], &[700, 5], &[9001, 3], &[3, 9001], &[130, 131], &[7, 66, 40]];

#[test]
fn every_device_of_the_host_gives_the_same_bits() {
    for (i, shape) in SHAPES.iter().enumerate() {
        let n = shape.iter().product();
        let x = Array::from_vec(wild(n, i as u64 + 1), *shape).unwrap();
        for view in [x.clone(), x.t()] {
            for axis in 0..view.ndim() as isize {
                let what = format!("{:?} (strides {:?}) over {axis}", view.shape(), view.strides());
                everywhere(&format!("sum of {what}"), bits_of, || view.sum_axis(axis));
                everywhere(&format!("min of {what}"), bits_of, || view.min_axis(axis));
                everywhere(&format!("var of {what}"), bits_of, || view.var_axis(axis, 1));
                everywhere(&format!("norm of an expression of {what}"), bits_of, || {
                    (&view * 2.0 + 1.0).norm_axis(axis)
                });
                everywhere(&format!("var of an expression of {what}"), bits_of, || {
                    (&view * 2.0 + 1.0).var_axis(axis, 0)
                });
                everywhere(&format!("argmax of {what}"), indices, || view.argmax_axis(axis));
                everywhere(&format!("argmin of an expression of {what}"), indices, || (&view * -2.0).argmin_axis(axis));
                everywhere(&format!("count of {what}"), indices, || view.greater(0.0).count_nonzero_axis(axis));
                everywhere(&format!("cumsum of {what}"), bits_of, || view.cumsum(axis));
                everywhere(&format!("cumprod of an expression of {what}"), bits_of, || {
                    (&view * 1e-7 + 1.0).cumprod(axis)
                });
            }
            let what = format!("{:?} (strides {:?})", view.shape(), view.strides());
            everywhere(&what, |x: &f64| vec![x.to_bits()], || view.std(0));
            everywhere(&what, |x: &f64| vec![x.to_bits()], || view.sum());
            everywhere(&what, |i| vec![*i as u64], || view.argmax());
            everywhere(&what, |i| vec![*i as u64], || (&view + 1.0).argmin());
        }
    }
}

#[test]
fn sums_keep_their_error_bound() -> Result<()> {
    // Integers: their sum is exact in i128, and they cancel to 1.
    for n in [1usize, 100, 4096, 100_001, 1_000_003] {
        let mut whole: Vec<i64> = wild(n, 5).iter().map(|x| (x * 1e4) as i64).collect();
        let middle = whole.len() / 2;
        let rest: i64 = whole.iter().sum::<i64>() - whole[middle];
        whole[middle] = 1 - rest;
        let exact: i128 = whole.iter().map(|&x| i128::from(x)).sum();
        let size: f64 = whole.iter().map(|&x| (x as f64).abs()).sum();
        let bound = |eps: f64| (64.0 + (n as f64).log2()) * eps * size;
        let data: Vec<f64> = whole.iter().map(|&x| x as f64).collect();
        let sum = Array::from_slice(&data, [n])?.sum()?;
        assert!((sum - exact as f64).abs() <= bound(f64::EPSILON), "{n}: {sum} for {exact}");
        // In f32, the elements are rounded first: the exact sum is the sum of the rounded elements.
        let single: Vec<f32> = data.iter().map(|&x| x as f32).collect();
        let exact: i128 = single.iter().map(|&x| x as i128).sum();
        let sum = Array::from_slice(&single, [n])?.sum()?;
        assert!((f64::from(sum) - exact as f64).abs() <= bound(f64::from(f32::EPSILON)), "{n}: {sum} for {exact}");
        // Sums of columns, in a narrow and in a wide matrix.
        for columns in [3, 40] {
            let rows = n / columns;
            if rows > 0 {
                let sums = Array::from_slice(&data[..rows * columns], [rows, columns])?.sum_axis(0)?.to_vec()?;
                for (j, got) in sums.into_iter().enumerate() {
                    let column = whole[..rows * columns].iter().skip(j).step_by(columns);
                    let exact: i128 = column.clone().map(|&x| i128::from(x)).sum();
                    let size: f64 = column.map(|&x| (x as f64).abs()).sum();
                    assert!((got - exact as f64).abs() <= (64.0 + (rows as f64).log2()) * f64::EPSILON * size);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn the_first_of_equals_wins_and_nan_over_all() -> Result<()> {
    let one = |data: &[f64]| {
        let x = Array::from_slice(data, [data.len()]).unwrap();
        (
            everywhere("argmin", |i| vec![*i as u64], || x.argmin()),
            everywhere("argmax", |i| vec![*i as u64], || x.argmax()),
        )
    };
    assert_eq!(one(&[3.0]), (0, 0));
    assert_eq!(one(&[1.0, 3.0, 0.0, 3.0, 0.0]), (2, 1));
    assert_eq!(one(&[-0.0, 0.0, -0.0]), (0, 0), "zeros are equal");
    assert_eq!(one(&[0.0, -0.0]), (0, 0));
    assert_eq!(one(&[1.0, f64::NAN, -5.0, f64::NAN, 9.0]), (1, 1));
    assert_eq!(one(&[f64::NEG_INFINITY, f64::INFINITY]), (0, 1));
    for n in [17usize, 2047, 2048, 2049, 10_000, 60_001] {
        for at in [0, 1, n / 3, n / 2, n - 2, n - 1] {
            let mut data = vec![0.5; n];
            data[at] = 7.0;
            data[n - 1] = 7.0;
            assert_eq!(one(&data).1, at, "{n}");
            data[at] = -7.0;
            assert_eq!(one(&data).0, at, "{n}");
            data[at] = f64::NAN;
            assert_eq!(one(&data), (at, at), "{n}");
        }
    }
    let x = Array::from_vec(vec![3i32, 9, 1, 9, 0, 1], [2, 3])?;
    assert_eq!((x.argmax()?, x.argmin()?), (1, 4));
    assert_eq!(
        x.argmax_axis(0)?.to_vec()?,
        [1, 0, 0],
        "9 is in row 0 of column 1; of the two 1s in column 2, the first one"
    );
    assert_eq!(x.argmin_axis(axis(-1).keepdims())?.shape(), [2, 1]);
    assert_eq!(x.argmin_axis(1)?.to_vec()?, [2, 1]);
    assert_eq!(x.t().argmax()?, 1, "in C order of the transposed array: 3 9 | 9 0 | 1 1");
    assert_eq!(x.slice(s![..;-1, ..;-1])?.argmax()?, 2, "1 0 9 | 1 9 3");
    assert_eq!(Array::from_vec(vec![false, true, true], [3])?.argmax()?, 1);
    assert_eq!(Array::from_vec(vec![7u64, u64::MAX, 0], [3])?.argmax()?, 1);
    assert_eq!(Array::full((), 4.0f32)?.argmax()?, 0, "no axes, one element");
    Ok(())
}

#[test]
fn truth_and_counts() -> Result<()> {
    let x = Array::from_vec(vec![0.0, 2.0, f64::NAN, 0.0, -0.0, 5.0], [2, 3])?;
    assert!(x.any()? && !x.all()?);
    assert_eq!(x.count_nonzero()?, 3, "NaN is not zero, -0 is");
    assert_eq!(x.any_axis(0)?.to_vec()?, [false, true, true]);
    assert_eq!(x.all_axis(0)?.to_vec()?, [false, false, true]);
    assert_eq!(x.count_nonzero_axis(axis(1).keepdims())?.to_vec()?, [2, 1]);
    assert!((&x + 1.0).all()? && !x.less(-1.0).any()?);
    let nothing = Array::<f64>::zeros([0, 3])?;
    assert!(!nothing.any()? && nothing.all()?);
    assert_eq!(nothing.all_axis(0)?.to_vec()?, [true; 3]);
    assert_eq!((nothing.count_nonzero()?, nothing.norm()?), (0, 0.0));
    assert!(nothing.var(0)?.is_nan() && nothing.std_axis(0, 0)?.to_vec()?.iter().all(|x| x.is_nan()));
    assert_eq!(nothing.argmin_axis(1)?.shape(), [0], "an empty output");
    assert!(
        matches!(nothing.argmin(), Err(Error::Empty { .. }))
            && matches!(nothing.argmax_axis(0), Err(Error::Empty { .. }))
    );
    assert_eq!(nothing.cumsum(0)?.shape(), [0, 3]);
    Ok(())
}

#[test]
fn variances_are_stable() -> Result<()> {
    // 1e9 + 0, 1, 2, ..: the variance of n consecutive integers is (n^2 - 1) / 12, while the mean is far larger: 1e9
    // and more.
    for n in [2usize, 10, 2048, 2049, 70_001] {
        let x = Array::from_fn([n], |ix| 1e9 + ix[0] as f64)?;
        let exact = ((n * n) as f64 - 1.0) / 12.0;
        let var = everywhere("var", |x: &f64| vec![x.to_bits()], || x.var(0));
        assert!((var / exact - 1.0).abs() < 300.0 * f64::EPSILON, "{n}: {var} for {exact}");
        let sample = x.var(1)?;
        assert!((sample / (exact * n as f64 / (n - 1) as f64) - 1.0).abs() < 300.0 * f64::EPSILON);
        assert!((x.std(0)? - exact.sqrt()).abs() <= 300.0 * f64::EPSILON * exact.sqrt());
        // The same over the columns of a matrix.
        let n = n.min(2049);
        let exact = ((n * n) as f64 - 1.0) / 12.0;
        let wide = Array::from_fn([n, 70], |ix| 1e9 * ix[1] as f64 + ix[0] as f64)?;
        for var in wide.var_axis(0, 0)?.to_vec()? {
            assert!((var / exact - 1.0).abs() < 300.0 * f64::EPSILON, "{n}: {var} for {exact}");
        }
    }
    // f32: the deviations are a few 1e-6 of the mean. A mean accumulated in f32 alone could not separate these numbers.
    let x = Array::from_fn([100_000], |ix| 1e6f32 + (ix[0] % 8) as f32)?;
    assert!((x.var(0)? - 5.25).abs() < 5.25 * 300.0 * f32::EPSILON, "{}", x.var(0)?);
    // Sorted numbers: the means of the blocks are far apart.
    let x = Array::from_fn([1_000_000], |ix| ix[0] as f32)?;
    let exact = (1e12f64 - 1.0) / 12.0;
    assert!((f64::from(x.var(0)?) / exact - 1.0).abs() < 300.0 * f64::from(f32::EPSILON));
    assert_eq!(Array::full([100_003], 0.1f64)?.var(0)?, 0.0, "equal numbers do not deviate");
    // A single outlier at the start.
    let x = Array::from_fn([100_000], |ix| if ix[0] == 0 { 1e9 } else { (ix[0] % 2) as f64 })?;
    let n = 1e5;
    let (sum, squares) = (1e9 + 50_000.0, 1e18 + 50_000.0);
    let exact = (squares - sum * sum / n) / n;
    assert!((x.var(0)? / exact - 1.0).abs() < 1e-12);
    Ok(())
}

#[test]
fn variances_of_every_dtype() -> Result<()> {
    assert_eq!(Array::from_vec(vec![1i32, 2, 3, 4], [4])?.var(0)?, 1.25);
    assert_eq!(Array::from_vec(vec![1u8, 2, 3, 4], [4])?.std(0)?, 1.25f64.sqrt());
    assert_eq!(Array::from_vec(vec![true, false], [2])?.var(0)?, 0.25);
    assert_eq!(Array::from_vec([1.0f32, 2.0, 3.0, 4.0].map(f16::from_f32).to_vec(), [4])?.var(0)?, f16::from_f32(1.25));
    let z = Array::from_vec(vec![Complex::new(1.0f64, 2.0), Complex::new(3.0, 6.0)], [2])?;
    assert_eq!(z.var(0)?, 5.0, "|(1 + 2i) - (2 + 4i)|^2");
    assert_eq!(z.norm()?, 50f64.sqrt());
    let x = Array::from_vec(vec![1.0f64, 2.0, 4.0, 8.0], [2, 2])?;
    assert_eq!(x.var_axis(axis(0).keepdims(), 0)?.to_vec()?, [2.25, 9.0]);
    assert_eq!(x.std_axis([0, 1], 1)?.shape(), [0usize; 0]);
    for ddof in [4, 5, 100] {
        assert!(x.var(ddof)?.is_nan() && x.std(ddof)?.is_nan(), "ddof is at least the number of elements");
    }
    assert!(Array::from_vec(vec![1.0, f64::NAN], [2])?.var(0)?.is_nan());
    assert!(Array::from_vec(vec![1.0, f64::INFINITY], [2])?.std(0)?.is_nan());
    Ok(())
}

#[test]
fn norms_neither_overflow_nor_vanish() -> Result<()> {
    let x = |data: Vec<f64>| Array::from_vec(data.clone(), [data.len()]);
    assert_eq!(x(vec![3.0, -4.0])?.norm()?, 5.0);
    for scale in [1e300, 1e-300, 1e200, 5e-324 * 1024.0] {
        let norm = everywhere("norm", |x: &f64| vec![x.to_bits()], || x(vec![3.0 * scale, 4.0 * scale])?.norm());
        assert!((norm / (5.0 * scale) - 1.0).abs() < 4.0 * f64::EPSILON, "{scale}: {norm}");
    }
    assert_eq!(x(vec![0.0, -0.0])?.norm()?, 0.0);
    assert_eq!(x(vec![1.0, f64::NEG_INFINITY])?.norm()?, f64::INFINITY);
    assert!(x(vec![f64::NAN, f64::INFINITY])?.norm()?.is_nan());
    let rows = Array::from_vec(vec![3e200f64, 4e200, 3.0, 4.0, 3e-200, 4e-200, 0.0, 0.0], [4, 2])?;
    let norms = rows.norm_axis(1)?.to_vec()?;
    for (got, want) in norms.iter().zip([5e200, 5.0, 5e-200]) {
        assert!((got / want - 1.0).abs() < 4.0 * f64::EPSILON, "{norms:?}");
    }
    assert_eq!(norms[3], 0.0);
    assert_eq!(rows.norm_axis(axis(0).keepdims())?.shape(), [1, 2]);
    assert_eq!(Array::from_vec(vec![1e30f32, 1e30], [2])?.norm()?, 1e30f32 * 2f32.sqrt());
    assert_eq!(Array::from_vec(vec![3i8, 4], [2])?.norm()?, 5.0f64);
    Ok(())
}

#[test]
fn scans_against_one_after_another() -> Result<()> {
    // Sums of integers are exact in any order.
    let x = Array::from_fn([7, 1300, 3], |ix| ((ix[0] * 31 + ix[1] * 17 + ix[2] * 5) % 97) as f64 - 48.0)?;
    for view in [x.clone(), x.t(), x.permute(&[1, 0, 2])?, x.slice(s![.., ..;-1, ..;2])?] {
        for axis in 0..3 {
            let got = everywhere("cumsum", bits_of, || view.cumsum(axis as isize));
            assert_eq!(got.shape(), view.shape());
            let (data, sums) = (view.to_vec()?, got.to_vec()?);
            let step: usize = view.shape()[axis + 1..].iter().product();
            for i in 0..data.len() {
                let before = if (i / step).is_multiple_of(view.shape()[axis]) { 0.0 } else { sums[i - step] };
                assert_eq!(sums[i], before + data[i]);
            }
        }
    }
    assert_eq!(Array::arange(1i32, 6, 1)?.cumprod(0)?.to_vec()?, [1i64, 2, 6, 24, 120]);
    assert_eq!(Array::from_vec(vec![true, false, true], [3])?.cumsum(-1)?.to_vec()?, [1i64, 1, 2]);
    assert_eq!(Array::from_vec(vec![u64::MAX, 2], [2])?.cumsum(0)?.to_vec()?, [u64::MAX, 1], "sums wrap");
    assert_eq!(Array::from_vec(vec![1.0, f64::NAN, 2.0], [3])?.cumsum(0)?.get([0])?, 1.0);
    assert_eq!(Array::from_vec(vec![-0.0f64, -0.0], [2])?.cumsum(0)?.get([1])?.to_bits(), (-0.0f64).to_bits());
    let ones = Array::full([4096], f16::from_f32(1.0))?.cumsum(0)?;
    assert_eq!(ones.get([4095])?, f16::from_f32(4096.0), "accumulated in f32: in f16 it would stop at 2048");
    let x = Array::from_vec(wild(300_000, 3), [300_000])?;
    let got = everywhere("cumsum", bits_of, || x.cumsum(0)).to_vec()?;
    let (mut size, mut exact, mut lost) = (0.0, 0.0f64, 0.0f64);
    for (i, &x) in x.to_vec()?.iter().enumerate() {
        // Compensated summation by Kahan and Neumaier: a reference of about twice the precision.
        let sum = exact + x;
        lost += if exact.abs() >= x.abs() { (exact - sum) + x } else { (x - sum) + exact };
        (exact, size) = (sum, size + x.abs());
        let bound = (1040.0 + i as f64 / 1040.0) * f64::EPSILON * size;
        assert!((got[i] - (exact + lost)).abs() <= bound, "element {i}");
    }
    Ok(())
}

#[test]
fn bad_axes_are_errors() -> Result<()> {
    let x = Array::<f32>::zeros([2, 3])?;
    assert!(matches!(x.argmax_axis(2), Err(Error::Axis { op: "argmax", axis: 2, ndim: 2 })));
    assert!(matches!(x.argmin_axis([0, 1]), Err(Error::OneAxis { op: "argmin", given: 2 })));
    assert!(x.argmin_axis([0, 1]).unwrap_err().to_string().contains("one axis, but 2 were given"));
    assert!(matches!(x.var_axis(-3, 0), Err(Error::Axis { op: "var", .. })));
    assert!(matches!(x.any_axis([0, -2]), Err(Error::RepeatedAxis { op: "any", axis: 0 })));
    assert!(matches!(x.norm_axis(5), Err(Error::Axis { op: "norm", .. })));
    assert!(matches!(x.cumsum(2), Err(Error::Axis { op: "cumsum", axis: 2, ndim: 2 })));
    assert!(matches!(Array::full((), 1.0)?.cumprod(0), Err(Error::Axis { op: "cumprod", .. })));
    let z = Array::from_vec(vec![Complex::new(1.0f32, 0.0)], [1])?;
    assert!(matches!(z.argmax(), Err(Error::DTypeUndefined { op: "argmax", .. })));
    assert!(matches!(z.cast::<f32>().argmax(), Ok(0)));
    let wrong = &x + &Array::<f32>::zeros([4])?;
    assert!(
        matches!(wrong.std(0), Err(Error::Broadcast { .. })) && matches!(wrong.cumsum(0), Err(Error::Broadcast { .. }))
    );
    Ok(())
}
