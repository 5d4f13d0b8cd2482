//! Reductions and scans at the ends of the range of exponents, where numbers overflow, underflow or are infinite: on
//! `scalar` and every tier of `simd`, in part on every device.
#![cfg(feature = "simd")]

mod common;

use common::on_every_device;
use polyarray::prelude::*;
use polyarray::{Backend, Cost, DeviceInfo, MemoryId, Op, RunContext, Unsupported, Wide, register, with_threads};
use std::sync::{Arc, OnceLock};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// A tier of `simd` that runs every operation with as many threads as are allowed.
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
                info: DeviceInfo { name: format!("exponents-{name}"), description: String::new(), hardware: true },
                inner,
            })
        };
        ["portable", "avx2", "avx512"].map(tier).to_vec()
    })
}

/// An element as bits. All NaNs have the same bits.
trait Bits: Element {
    fn bits(self) -> [u64; 2];
}

macro_rules! bits {
    ($($T:ty)*) => { $(
        impl Bits for $T {
            fn bits(self) -> [u64; 2] {
                let of = |x: f64| if x.is_nan() { u64::MAX } else { x.to_bits() };
                match self.to_wide() {
                    Wide::Complex(re, im) => [of(re), of(im)],
                    wide => [of(wide.real()), 0],
                }
            }
        }
    )* };
}
bits! { f32 f64 f16 bf16 Complex<f32> Complex<f64> i64 }

/// Returns the result of `scalar`, and asserts that every tier gives the same bits on 1, 2 and 5 threads.
fn everywhere<T: Bits>(what: &str, run: impl Fn() -> Result<Array<T>>) -> Vec<T> {
    let bits = |a: Array<T>| a.to_vec().expect("a host array").into_iter().map(Bits::bits).collect::<Vec<_>>();
    let oracle = with_device(&Device::scalar(), &run).unwrap_or_else(|e| panic!("{what}: {e}"));
    for device in tiers() {
        for threads in [1, 2, 5] {
            IN_USE.set(true);
            let got = with_threads(threads, || with_device(device, &run)).unwrap_or_else(|e| panic!("{what}: {e}"));
            IN_USE.set(false);
            let (got, wanted) = (bits(got), bits(oracle.clone()));
            if let Some(i) = (0..wanted.len()).find(|&i| got[i] != wanted[i]) {
                panic!(
                    "{what} on {} with {threads} threads: element {i} is {:x?}, not {:x?}",
                    device.name(),
                    got[i],
                    wanted[i]
                );
            }
        }
    }
    oracle.to_vec().expect("a host array")
}

/// A number `m * 2^e` whose exponent may exceed that of any float: the exact value for comparisons. The absolute value
/// of m is in [1, 2), or m is 0, infinite or NaN.
#[derive(Clone, Copy)]
struct Far(f64, i64);

impl Far {
    fn of(x: f64) -> Far {
        if x == 0.0 || !x.is_finite() {
            return Far(x, 0);
        }
        let raised = if x.abs() < f64::MIN_POSITIVE { x * 2f64.powi(100) } else { x };
        let e = (raised.to_bits() >> 52 & 0x7ff) as i64 - 1023;
        Far(f64::from_bits(raised.to_bits() & !(0x7ff << 52) | 1.0f64.to_bits()), e - if raised == x { 0 } else { 100 })
    }

    fn times(self, o: Far) -> Far {
        let Far(m, e) = Far::of(self.0 * o.0);
        Far(m, e + self.1 + o.1)
    }

    /// Returns whether `got` equals this number, up to a relative error of `eps` and one subnormal number of the dtype.
    /// `most` and `least` are the dtype's largest number and smallest positive number.
    fn is(self, got: f64, eps: f64, most: f64, least: f64) -> bool {
        let Far(m, e) = self;
        if m == 0.0 || !m.is_finite() {
            return m.is_nan() && got.is_nan() || m.to_bits() == got.to_bits();
        }
        if !(-1200..=1100).contains(&e) {
            let beyond = if e > 0 { INF } else { 0.0 };
            return got.to_bits() == beyond.copysign(m).to_bits();
        }
        let half = 2f64.powi((e / 2) as i32);
        let exact = m * half * 2f64.powi((e - e / 2) as i32);
        if exact.abs() > most * (1.0 - eps) {
            return got.is_sign_negative() == m.is_sign_negative()
                && (got.is_infinite() || got.abs() >= most * (1.0 - 2.0 * eps));
        }
        (got - exact).abs() <= eps * exact.abs() + least && got.is_sign_negative() == m.is_sign_negative()
    }
}

/// Returns `2^e`, even if it is subnormal.
fn two(e: i32) -> f64 {
    2f64.powi(e / 2) * 2f64.powi(e - e / 2)
}

/// Returns `n` numbers all over the range of exponents, in one of ten patterns.
fn factors(pattern: usize, n: usize, most: i32, least: i32) -> Vec<f64> {
    let sign = |i: usize| if i % 3 == 1 { -1.0 } else { 1.0 };
    let fraction = |i: usize| 1.0 + (i * 37 % 101) as f64 / 128.0;
    (0..n)
        .map(|i| match pattern {
            // Products within a lane overflow or vanish.
            0 => {
                if i % 2 == 0 {
                    2f64.powi(most - 1)
                } else {
                    2f64.powi(1 - most)
                }
            }
            // The first half of the factors is too small, the second half too large.
            1 => fraction(i) * 2f64.powi(if i < n / 2 { -most / 2 } else { most / 2 }),
            // Subnormal and large numbers alternate.
            2 => sign(i) * if i % 2 == 0 { 3.0 * two(least) } else { fraction(i) * 2f64.powi(most - 1) },
            3 => i as f64,
            4 => {
                if i == n / 3 {
                    INF
                } else {
                    fraction(i) * 2f64.powi(-most / 2)
                }
            }
            5 => {
                if i == n / 3 {
                    INF
                } else if i == n / 2 {
                    0.0
                } else {
                    1.5
                }
            }
            6 => sign(i) * if i == n / 2 { -0.0 } else { fraction(i) * 2f64.powi(most - 1) },
            7 => {
                if i + 1 == n {
                    NAN
                } else {
                    0.0
                }
            }
            8 => sign(i) * fraction(i),
            // Pseudorandom exponents of either sign.
            _ => sign(i) * fraction(i) * 2f64.powi((i * i * 7919 % 199) as i32 - 99),
        })
        .collect()
}

const LENGTHS: [usize; 16] = [1, 2, 3, 5, 7, 8, 9, 31, 60, 64, 65, 129, 1000, 2049, 4100, 20_000];

fn products<T: Bits>(most: i32, least: i32, eps: f64) {
    let largest = (2.0 - eps) * 2f64.powi(most);
    let smallest = two(least);
    let check = |what: &str, got: &[T::Sum], columns: &[Vec<T>]| {
        for (got, column) in got.iter().zip(columns) {
            let exact = column.iter().map(|x| Far::of(x.to_wide().real())).fold(Far(1.0, 0), Far::times);
            let eps = 2.0 * (column.len() + 1) as f64 * eps;
            assert!(
                exact.is(got.to_wide().real(), eps, largest, smallest),
                "{what}: {got} for {} * 2^{}",
                exact.0,
                exact.1
            );
        }
    };
    for pattern in 0..10 {
        for n in LENGTHS {
            let data: Vec<T> =
                factors(pattern, n, most, least).into_iter().map(|x| T::from_wide(Wide::Float(x))).collect();
            let what = format!("{} of pattern {pattern}, {n} factors", T::DTYPE);
            let x = Array::from_slice(&data, [n]).unwrap();
            let got = product_everywhere(&what, || Array::from_vec(vec![x.prod()?], [1]));
            check(&what, &got, std::slice::from_ref(&data));
            // Narrow and wide matrices: down the columns, along contiguous runs, backwards, and with gaps.
            for width in [3, 21] {
                let rows = n.min(300);
                let wide: Vec<T> = (0..rows * width).map(|i| data[(i / width + i % width) % n]).collect();
                let columns: Vec<Vec<T>> =
                    (0..width).map(|j| wide.iter().copied().skip(j).step_by(width).collect()).collect();
                let x = Array::from_slice(&wide, [rows, width]).unwrap();
                let got = product_everywhere(&what, || x.prod_axis(0));
                check(&format!("{what}, down {width} columns"), &got, &columns);
                let t = x.t().to_contiguous().unwrap();
                let got = product_everywhere(&what, || t.prod_axis(1));
                check(&format!("{what}, along {width} rows"), &got, &columns);
                let got = product_everywhere(&what, || t.slice(s![.., ..;-1])?.prod_axis(-1));
                check(&format!("{what}, back along {width} rows"), &got, &columns);
                let got = product_everywhere(&what, || x.slice(s![.., ..;2])?.prod_axis(0));
                let every_other: Vec<Vec<T>> = columns.iter().step_by(2).cloned().collect();
                check(&format!("{what}, down every other column"), &got, &every_other);
            }
        }
    }

    fn product_everywhere<S: Element>(what: &str, run: impl Fn() -> Result<Array<S>>) -> Vec<S> {
        // Compared as f64, which represents all numbers of these dtypes exactly.
        everywhere(what, || run()?.cast::<f64>().eval());
        with_device(&Device::scalar(), || run()?.to_vec()).unwrap()
    }
}

#[test]
fn products_of_f64_are_finite_wherever_the_exact_ones_are() {
    products::<f64>(1023, -1074, f64::EPSILON);
}

#[test]
fn products_of_f32_are_finite_wherever_the_exact_ones_are() {
    products::<f32>(127, -149, f64::from(f32::EPSILON));
}

#[test]
fn products_of_few_numbers() {
    on_every_device(|device| {
        if device.memory() != MemoryId::HOST {
            // A GPU may multiply in any order, but must not give NaN: the product is 1.
            assert_eq!(Array::from_vec(vec![1e30f32, 1e-30, 1e30, 1e-30], [4])?.prod()?, 1.0);
            return Ok(());
        }
        assert_eq!(Array::from_vec(vec![1e30f32, 1e-30, 1e30, 1e-30], [4])?.prod()?, 1.0);
        assert_eq!(Array::from_fn([60], |ix| ix[0] as f32)?.prod()?, 0.0);
        assert_eq!(Array::from_fn([60], |ix| ix[0] as f64)?.prod()?, 0.0);
        assert!(Array::from_vec(vec![INF, 2.0, 0.0], [3])?.prod()?.is_nan());
        assert_eq!(Array::from_vec(vec![INF, -1e-300, 1e-300], [3])?.prod()?, -INF);
        assert_eq!(Array::from_vec(vec![-0.0f64, 1e300, 1e300], [3])?.prod()?.to_bits(), (-0.0f64).to_bits());
        let halves = [60000.0, 60000.0, 1e-4, 1e-4].map(f16::from_f64);
        let exact: f64 = halves.iter().map(|x| x.to_f64()).product();
        assert_eq!(Array::from_vec(halves.to_vec(), [4])?.prod()?, f16::from_f64(exact));
        let narrow = [1e30, 1e30, 1e-30, 1e-30].map(bf16::from_f64);
        assert!((Array::from_vec(narrow.to_vec(), [4])?.prod()?.to_f64() - 1.0).abs() < 0.05);
        let spin = |re: f64, im: f64| Complex::new(re, im);
        let z = Array::from_vec(vec![spin(0.0, 1e200), spin(0.0, 1e200), spin(1e-200, 0.0), spin(-1e-200, 0.0)], [4])?
            .prod()?;
        assert!((z.re - 1.0).abs() < 1e-15 && z.im == 0.0, "{z}");
        let z = Array::full([1000], spin(1e100, 1e100))?.prod()?;
        assert!(!z.re.is_finite() || !z.im.is_finite());
        Ok(())
    });
}

fn complex_products<T: Bits>() {
    for n in LENGTHS {
        for pattern in 0..10 {
            let (re, im) = (factors(pattern, n, 120, -140), factors(9 - pattern, n, 120, -140));
            let data: Vec<T> = re.into_iter().zip(im).map(|(re, im)| T::from_wide(Wide::Complex(re, im))).collect();
            let what = format!("{} of pattern {pattern}, {n} factors", T::DTYPE);
            let x = Array::from_slice(&data, [n]).unwrap();
            let as_double = |x: Array<T::Sum>| x.cast::<Complex<f64>>().eval();
            everywhere(&what, || as_double(Array::from_vec(vec![x.prod()?], [1])?));
            everywhere(&what, || as_double(x.cumprod(0)?));
            if n.is_multiple_of(5) {
                let rows = x.reshape([n / 5, 5]).unwrap();
                everywhere(&what, || as_double(rows.prod_axis(0)?));
                everywhere(&what, || as_double(rows.prod_axis(1)?));
                everywhere(&what, || as_double(rows.t().cumprod(0)?));
            }
        }
        // A spiral: the powers of (1 + i) * 2^200 up to the n-th, then back.
        let there = Complex::new(2f64.powi(200), 2f64.powi(200));
        let back = Complex::new(2f64.powi(-201), -(2f64.powi(-201)));
        let data: Vec<Complex<f64>> = (0..2 * n).map(|i| if i < n { there } else { back }).collect();
        let x = Array::from_slice(&data, [2 * n]).unwrap();
        let got = everywhere("a spiral", || Array::from_vec(vec![x.prod()?], [1]));
        assert_eq!(got[0], Complex::new(1.0, 0.0), "{n}: powers of two and right angles are exact");
        assert_eq!(everywhere("a spiral", || x.cumprod(0))[2 * n - 1], Complex::new(1.0, 0.0));
    }
}

#[test]
fn products_of_complex_numbers_keep_their_exponents() {
    complex_products::<Complex<f64>>();
    complex_products::<Complex<f32>>();
}

#[test]
fn sums_of_few_numbers_add_one_after_another() {
    let swings = |n: usize| (0..n).map(|i| if i % 2 == 0 { 3e38f32 } else { -3e38 }).collect::<Vec<f32>>();
    for n in [2, 4, 6, 8, 10, 60, 130, 4096, 5000] {
        let x = Array::from_vec(swings(n), [n]).unwrap();
        assert_eq!(everywhere(&format!("{n} swings"), || Array::from_vec(vec![x.sum()?], [1])), [0.0]);
        assert_eq!(everywhere(&format!("the mean of {n} swings"), || Array::from_vec(vec![x.mean()?], [1])), [0.0]);
        for width in [3, 30] {
            let wide: Vec<f32> = swings(n).into_iter().flat_map(|x| vec![x; width]).collect();
            let x = Array::from_vec(wide, [n, width]).unwrap();
            let what = format!("{n} swings in each of {width}");
            assert_eq!(everywhere(&what, || x.sum_axis(0)), vec![0.0; width]);
            let t = x.t().to_contiguous().unwrap();
            assert_eq!(everywhere(&what, || t.sum_axis(1)), vec![0.0; width]);
            assert_eq!(everywhere(&what, || t.slice(s![..;2, ..;-1])?.mean_axis(1)), vec![0.0; width.div_ceil(2)]);
        }
        let z = Array::from_vec(swings(n).into_iter().map(|x| Complex::new(x, -x)).collect(), [n]).unwrap();
        assert_eq!(
            everywhere("swings of complex numbers", || Array::from_vec(vec![z.sum()?], [1])),
            [Complex::new(0.0, 0.0)]
        );
    }
    // Sums of up to eight numbers have the same bits as in NumPy, which adds them in this order.
    let data: Vec<f64> = (0..8).map(|i| 0.1 * 3f64.powi(i * 5 - 17)).collect();
    for n in 1..=8 {
        let exact = data[..n].iter().fold(-0.0, |sum, x| sum + x);
        let x = Array::from_slice(&data[..n], [n]).unwrap();
        assert_eq!(everywhere("a short sum", || Array::from_vec(vec![x.sum()?], [1])), [exact]);
        let rows = Array::from_fn([50, n], |ix| data[ix[1]]).unwrap();
        assert_eq!(everywhere("short rows", || rows.sum_axis(1)), [exact; 50]);
        assert_eq!(
            everywhere("short columns", || rows.t().to_contiguous()?.slice(s![.., ..3])?.sum_axis(0)),
            [exact; 3]
        );
    }
    let infinite = |data: Vec<f64>| {
        let x = Array::from_slice(&data, [data.len()]).unwrap();
        everywhere("an infinite sum", || Array::from_vec(vec![x.sum()?], [1]))[0]
    };
    assert_eq!(infinite(vec![1e308, 1e308, -1e308]), INF, "as one after another");
    assert!(infinite(vec![INF; 20].into_iter().chain([-INF]).collect()).is_nan());
    assert_eq!(infinite(vec![-INF; 700].into_iter().chain([5.0]).collect()), -INF);
}

/// Returns the running sums that a loop computes.
fn sequence(data: &[f64]) -> Vec<f64> {
    data.iter()
        .scan(None, |sum: &mut Option<f64>, &x| {
            *sum = Some(sum.map_or(x, |s| s + x));
            *sum
        })
        .collect()
}

#[test]
fn running_sums_are_infinite_where_a_loop_is() {
    let n = 30_000;
    let put = |at: &[(usize, f64)], rest: f64| {
        let mut data: Vec<f64> = (0..n).map(|i| rest * (1.0 + (i % 7) as f64)).collect();
        at.iter().for_each(|&(i, x)| data[i] = x);
        data
    };
    let cases = [
        put(&[(5000, INF)], 1.0),
        put(&[(0, -INF)], 1.0),
        put(&[(10, INF), (20_000, -INF)], 1.0),
        put(&[(12_000, NAN)], 1.0),
        // Overflow without an infinite element, and large numbers of the other sign in later blocks.
        put(&[(3, 1.7e308), (1050, 1.7e308), (5000, -1.7e308), (5001, -1.7e308), (9000, -1.7e308)], 1.0),
        // A block that overflows on its own, but not after the preceding blocks.
        put(&[(100, 1.5e308), (2000, -1.5e308), (2001, -1.5e308), (2002, 1.5e308)], 1.0),
        put(&[(100, 1.5e308), (2000, -1.0e308), (2001, -1.0e308), (2002, INF)], 1.0),
        put(&[], 1e304),
        put(&[(8319, INF), (8320, 1.0)], -1e304),
    ];
    for (i, data) in cases.iter().enumerate() {
        let want = sequence(data);
        let first = want.iter().position(|x| !x.is_finite()).unwrap_or(n);
        // Where large numbers cancel, their rounding errors remain.
        let size = if data.iter().any(|x| x.is_finite() && x.abs() > 1e300) { 1e304 } else { 1.0 };
        let check = |what: &str, got: &[f64]| {
            for (j, (&g, &w)) in got.iter().zip(&want).enumerate() {
                let same = if j < first { (g - w).abs() <= 1e-10 * w.abs().max(size) } else { g.bits() == w.bits() };
                assert!(same, "case {i}, {what}, element {j}: {g} for {w}");
            }
        };
        let x = Array::from_slice(data, [n]).unwrap();
        check("along", &everywhere("a running sum", || x.cumsum(0)));
        check(
            "back",
            &everywhere("a running sum", || x.slice(s![..;-1])?.to_contiguous()?.slice(s![..;-1])?.cumsum(0)),
        );
        let columns = Array::from_fn([n, 5], |ix| if ix[1] == 2 { data[ix[0]] } else { 1.0 }).unwrap();
        let got = everywhere("running sums of columns", || columns.cumsum(0));
        check("down", &got.iter().copied().skip(2).step_by(5).collect::<Vec<_>>());
        assert_eq!(got[5 * n - 1], n as f64, "the other columns go on");
        let z = Array::from_slice(&data.iter().map(|&x| Complex::new(1.0, x)).collect::<Vec<_>>(), [n]).unwrap();
        let got = everywhere("running sums of complex numbers", || z.cumsum(0));
        check("imaginary", &got.iter().map(|z| z.im).collect::<Vec<_>>());
    }
}

#[test]
fn running_products_keep_their_exponents() {
    let data: Vec<f64> = (0..2000).map(|i| if i < 1000 { 1e-3 } else { 1e3 }).collect();
    let x = Array::from_slice(&data, [2000]).unwrap();
    let got = everywhere("a running product", || x.cumprod(0));
    assert!(got.iter().all(|x| x.is_finite()) && (got[1999] - 1.0).abs() < 1e-12, "{}", got[1999]);
    fn check<T: Bits<Sum = T>>(most: i32, least: i32, eps: f64) {
        let largest = (2.0 - eps) * 2f64.powi(most);
        let smallest = two(least);
        for pattern in 0..10 {
            for n in [1, 3, 70, 1040, 1041, 2500, 8320, 8321, 20_000] {
                let data: Vec<T> =
                    factors(pattern, n, most, least).into_iter().map(|x| T::from_wide(Wide::Float(x))).collect();
                let what = format!("{} of pattern {pattern}, {n} factors", T::DTYPE);
                let mut exact = Far(1.0, 0);
                let far: Vec<Far> = data
                    .iter()
                    .map(|x| {
                        exact = exact.times(Far::of(x.to_wide().real()));
                        exact
                    })
                    .collect();
                let close = |got: &[T]| {
                    for (i, (got, far)) in got.iter().zip(&far).enumerate() {
                        assert!(
                            far.is(got.to_wide().real(), 2.0 * (i + 2) as f64 * eps, largest, smallest),
                            "{what}, element {i}: {got} for {} * 2^{}",
                            far.0,
                            far.1
                        );
                    }
                };
                let x = Array::from_slice(&data, [n]).unwrap();
                close(&everywhere(&what, || x.cumprod(0)));
                let columns =
                    Array::from_fn([n, 3], |ix| if ix[1] == 1 { data[ix[0]] } else { T::from_wide(Wide::Int(1)) })
                        .unwrap();
                let got = everywhere(&what, || columns.cumprod(0));
                close(&got.iter().copied().skip(1).step_by(3).collect::<Vec<_>>());
            }
        }
    }
    check::<f64>(1023, -1074, f64::EPSILON);
    check::<f32>(127, -149, f64::from(f32::EPSILON));
    let halves = Array::from_vec([60000.0, 60000.0, 1e-6].map(f16::from_f64).to_vec(), [3]).unwrap();
    let got = everywhere("halves", || halves.cumprod(0));
    assert!(got[1].is_infinite() && got[2].is_finite());
}

#[test]
fn spreads_and_norms_neither_overflow_nor_vanish() {
    type Spread = fn(&Array<f64>) -> Result<f64>;
    let of = |what: &str, data: &[f64], f: Spread| {
        let x = Array::from_slice(data, [data.len()]).unwrap();
        everywhere(what, || Array::from_vec(vec![f(&x)?], [1]))[0]
    };
    let (var, std, norm): (Spread, Spread, Spread) = (|x| x.var(0), |x| x.std(0), |x| x.norm());
    for x in [1e200, 1e308, f64::MAX, -f64::MAX, 5e-324, 1e-200] {
        for n in [2, 3, 100, 5000] {
            assert_eq!([of("var", &vec![x; n], var), of("std", &vec![x; n], std)], [0.0; 2], "{n} times {x}");
        }
    }
    let close = |got: f64, want: f64| assert!((got - want).abs() <= 1e-14 * want, "{got} for {want}");
    for scale in [1e300, 1e200, 1e-200, 1e-300, 1e-310] {
        for n in [1, 50, 3000] {
            let data: Vec<f64> = (0..2 * n).map(|i| if i % 2 == 0 { scale } else { 3.0 * scale }).collect();
            let eps = if scale < 1e-307 { 1e-10 } else { 1e-14 };
            assert!((of("std", &data, std) / scale - 1.0).abs() < eps);
            assert!((of("norm", &data, norm) / (scale * (10.0 * n as f64).sqrt()) - 1.0).abs() < eps);
        }
    }
    assert_eq!(of("var", &[1e200, -1e200], var), INF, "beyond the largest number");
    close(of("std", &[1e200, -1e200], std), 1e200);
    close(of("std", &[1.5e308, -1.5e308, 1.5e308, -1.5e308], std), 1.5e308);
    assert_eq!(of("std", &[0.1; 300], std), 0.0);
    for bad in [[INF, 1.0], [-INF, INF], [NAN, 1e308]] {
        assert!(of("var", &bad, var).is_nan() && of("std", &bad, std).is_nan());
    }
    let rows = Array::from_vec(vec![1e308, 1e308, 1.0, 3.0, 1e-200, 3e-200, INF, 1.0], [4, 2]).unwrap();
    let stds = everywhere("stds of rows", || rows.std_axis(1, 0));
    assert_eq!(stds[..2], [0.0, 1.0]);
    close(stds[2], 1e-200);
    assert!(stds[3].is_nan());
    let z = Array::from_vec(vec![Complex::new(1e200f64, 1e200), Complex::new(-1e200, -1e200)], [2]).unwrap();
    close(everywhere("std", || Array::from_vec(vec![z.std(0)?], [1]))[0], 2f64.sqrt() * 1e200);
    close(everywhere("norm", || Array::from_vec(vec![z.norm()?], [1]))[0], 2e200);
    let single = Array::from_vec(vec![3e38f32, 3e38, 3e38], [3]).unwrap();
    assert_eq!(everywhere("var", || Array::from_vec(vec![single.var(0)?, single.std(0)?], [2])), [0.0; 2]);
    let half = Array::from_vec([60000.0, -60000.0].map(f16::from_f64).to_vec(), [2]).unwrap();
    assert_eq!(everywhere("std", || Array::from_vec(vec![half.std(0)?], [1]))[0], f16::from_f64(60000.0));
}
