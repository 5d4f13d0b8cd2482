//! Reductions of the device `scalar`, compared bit for bit with a literal implementation of `polyarray_core::order`,
//! and with plain sums.

use crate::common::Random;
use polyarray_core::order::{ROWS, SHORT, lanes};
use polyarray_core::{Array, Complex, Device, Element, Error, Result, axis, f16, s, with_device};
use polyarray_cpu as _;

fn scalar<R>(f: impl FnOnce() -> Result<R>) -> R {
    with_device(&Device::scalar(), f).unwrap()
}

/// Combines the leaves as a tree, split at the largest power of two below their number.
fn tree<T: Copy>(leaves: &[T], op: fn(T, T) -> T) -> T {
    if leaves.len() == 1 {
        return leaves[0];
    }
    let mut half = 1;
    while half * 2 < leaves.len() {
        half *= 2;
    }
    op(tree(&leaves[..half], op), tree(&leaves[half..], op))
}

/// Combines a block over its lanes. A short block of a sum, which starts from zero, is combined without lanes.
fn block<T: Element>(elements: &[T], lanes: usize, identity: T, op: fn(T, T) -> T) -> T {
    if elements.len() <= SHORT && identity == T::default() {
        return elements.iter().fold(identity, |acc, &x| op(acc, x));
    }
    let mut acc: Vec<T> =
        (0..lanes).map(|lane| elements.iter().skip(lane).step_by(lanes).fold(identity, |acc, &x| op(acc, x))).collect();
    while acc.len() > 1 {
        let upper = acc.split_off(acc.len() / 2);
        acc = acc.iter().zip(upper).map(|(&a, b)| op(a, b)).collect();
    }
    acc[0]
}

/// Reduces in `Order::Lanes`, over runs of equal length.
fn along<T: Element>(runs: &[Vec<T>], identity: T, op: fn(T, T) -> T) -> T {
    let lanes = lanes(T::DTYPE);
    let run =
        |run: &Vec<T>| tree(&run.chunks(lanes * ROWS).map(|b| block(b, lanes, identity, op)).collect::<Vec<_>>(), op);
    tree(&runs.iter().map(run).collect::<Vec<_>>(), op)
}

/// Reduces in `Order::Rows`.
fn across<T: Copy>(elements: &[T], identity: T, op: fn(T, T) -> T) -> T {
    tree(&elements.chunks(ROWS).map(|b| b.iter().fold(identity, |acc, &x| op(acc, x))).collect::<Vec<_>>(), op)
}

fn wild(n: usize, seed: u64) -> Vec<f64> {
    let mut random = Random::new(seed);
    (0..n).map(|_| random.wild()).collect()
}

#[test]
fn sums_along_the_innermost_axis() {
    for n in [1, 2, 31, 32, 33, 63, 64, 65, 255, 256, 257, 2047, 2048, 2049, 4096, 4097, 9000, 20_000] {
        let double = wild(n, n as u64);
        let single: Vec<f32> = double.iter().map(|&x| x as f32).collect();
        let complex: Vec<Complex<f64>> =
            double.iter().zip(double.iter().rev()).map(|(&a, &b)| Complex::new(a, b)).collect();
        let sum = scalar(|| Array::from_slice(&double, [n])?.sum());
        assert_eq!(sum.to_bits(), along(std::slice::from_ref(&double), -0.0, |a, b| a + b).to_bits(), "f64, {n}");
        let sum = scalar(|| Array::from_slice(&single, [n])?.sum());
        assert_eq!(sum.to_bits(), along(&[single], -0.0, |a, b| a + b).to_bits(), "f32, {n}");
        let sum = scalar(|| Array::from_slice(&complex, [n])?.sum());
        assert_eq!(sum, along(&[complex], Complex::new(-0.0, -0.0), |a, b| a + b), "c64, {n}");
    }
}

#[test]
fn sums_of_several_runs() {
    // Every other column, without the last one: the rows cannot be merged, so each is a run.
    for (rows, columns) in [(1, 9), (2, 300), (5, 70), (7, 5000), (67, 3)] {
        let width = columns * 2 + 1;
        let data = wild(rows * width, 5);
        let x = scalar(|| Array::from_slice(&data, [rows, width]));
        let every_other = |i: usize| data[i * width..][..columns * 2].iter().copied().step_by(2).collect::<Vec<f64>>();
        let runs: Vec<Vec<f64>> = (0..rows).map(every_other).collect();
        let view = x.slice(s![.., ..columns * 2;2]).unwrap();
        assert_eq!(scalar(|| view.sum()).to_bits(), along(&runs, -0.0, |a, b| a + b).to_bits(), "{rows}x{columns}");
        let by_row = scalar(|| view.sum_axis(1)?.to_vec());
        let expected: Vec<f64> = runs.iter().map(|r| along(std::slice::from_ref(r), -0.0, |a, b| a + b)).collect();
        assert_eq!(by_row, expected);
    }
}

/// The largest number of adjacent outputs that are reduced in the order of runs.
const NARROW: usize = 16;

#[test]
fn sums_across_rows() {
    for (rows, columns) in [(1, 4), (2, 3), (63, 5), (64, 300), (65, 2), (300, 257), (5000, 3)] {
        let data = wild(rows * columns, 6);
        let x = scalar(|| Array::from_slice(&data, [rows, columns]));
        let got = scalar(|| x.sum_axis(0)?.to_vec());
        let got_of_view = scalar(|| x.slice(s![..;-1, ..;-1])?.sum_axis(0)?.to_vec());
        for j in 0..columns {
            let column: Vec<f64> = (0..rows).map(|i| data[i * columns + j]).collect();
            // A few adjacent columns are reduced in the order of runs.
            let expected = if columns <= NARROW {
                along(std::slice::from_ref(&column), -0.0, |a, b| a + b)
            } else {
                across(&column, -0.0, |a, b| a + b)
            };
            assert_eq!(got[j].to_bits(), expected.to_bits(), "{rows}x{columns}, column {j}");
            assert!(
                (got_of_view[columns - 1 - j] - expected).abs() <= 1e-12 * column.iter().map(|x| x.abs()).sum::<f64>()
            );
        }
    }
}

#[test]
fn sums_over_the_outer_and_the_inner_axis() {
    let (a, b, c) = (5, 3, 130);
    let data = wild(a * b * c, 7);
    let x = scalar(|| Array::from_slice(&data, [a, b, c]));
    let got = scalar(|| x.sum_axis(axis([0, 2]))?.to_vec());
    for j in 0..b {
        let runs: Vec<Vec<f64>> = (0..a).map(|i| data[(i * b + j) * c..][..c].to_vec()).collect();
        assert_eq!(got[j].to_bits(), along(&runs, -0.0, |a, b| a + b).to_bits());
    }
    let got = scalar(|| x.sum_axis(axis([0, 1]))?.to_vec());
    for k in 0..c {
        let column: Vec<f64> = (0..a * b).map(|i| data[i * c + k]).collect();
        assert_eq!(got[k].to_bits(), across(&column, -0.0, |a, b| a + b).to_bits());
    }
}

#[test]
fn sums_are_close_to_the_exact_ones() {
    let n = 100_000;
    let data = wild(n, 8);
    let exact: f64 = data.iter().sum();
    let magnitude: f64 = data.iter().map(|x| x.abs()).sum();
    let single: Vec<f32> = data.iter().map(|&x| x as f32).collect();
    let sum = scalar(|| Array::from_slice(&single, [n])?.sum());
    assert!((f64::from(sum) - exact).abs() <= (ROWS + 17) as f64 * f64::from(f32::EPSILON) * magnitude);
    let narrow = scalar(|| Array::full([4096], f16::from_f32(1.0))?.sum());
    assert_eq!(narrow, f16::from_f32(4096.0), "accumulated in f32: in f16 it would stop at 2048");
}

#[test]
fn programs_before_and_after_a_reduction() {
    scalar(|| {
        let x = Array::from_fn([2, 500], |ix| (ix[0] * 500 + ix[1]) as f64)?;
        let squares: f64 = (0..1000).map(|i| f64::from(i * i)).sum();
        assert_eq!(x.square().sum()?, squares);
        assert_eq!(x.mean()?, 499.5);
        assert_eq!(x.mean_axis(1)?.to_vec()?, [249.5, 749.5]);
        assert_eq!((&x - 1.0).mean_axis(axis(0).keepdims())?.shape(), [1, 500]);
        let i = Array::from_vec(vec![i32::MAX, i32::MAX, 2], [3])?;
        assert_eq!(i.sum()?, 2 * i64::from(i32::MAX) + 2, "integers are summed in 64 bits");
        assert_eq!(i.mean()?, (2.0 * f64::from(i32::MAX) + 2.0) / 3.0);
        assert_eq!(Array::from_vec(vec![true, false, true], [3])?.sum()?, 2);
        assert_eq!(Array::from_vec(vec![u64::MAX, 2], [2])?.sum()?, 1, "and wrap");
        Ok(())
    });
}

#[test]
fn products_minima_and_maxima() {
    scalar(|| {
        assert_eq!(Array::arange(1i64, 21, 1)?.prod()?, 2_432_902_008_176_640_000);
        assert_eq!(
            Array::from_vec(vec![-0.0f64; 5], [5])?.sum()?.to_bits(),
            (-0.0f64).to_bits(),
            "the sum of negative zeros is -0"
        );
        let i = Complex::new(0.0f32, 1.0);
        assert_eq!(Array::full([4], i)?.prod()?, Complex::new(1.0, 0.0));
        let x = Array::from_vec(vec![3u8, 255, 0, 7], [4])?;
        assert_eq!((x.min()?, x.max()?), (0, 255));
        let y = Array::from_vec(vec![-3i16, 255, 0, 7, i16::MIN, 1], [2, 3])?;
        assert_eq!((y.min_axis(1)?.to_vec()?, y.max_axis(0)?.to_vec()?), (vec![-3, i16::MIN], vec![7, 255, 1]));
        let t = Array::from_vec(vec![true, false, true, true], [2, 2])?;
        assert_eq!((t.min_axis(1)?.to_vec()?, t.max()?), (vec![false, true], true));
        let empty = Array::<f64>::zeros([0])?;
        assert!(matches!(empty.max(), Err(Error::Empty { .. })));
        Ok(())
    });
}

#[test]
fn products_in_range_are_those_of_the_order() {
    for n in [1, 7, 8, 33, 65, 2049, 5000] {
        let data: Vec<f64> = wild(n, 12).iter().map(|x| 1.0 + x.fract() / 64.0).collect();
        let narrow: Vec<f32> = data.iter().map(|&x| x as f32).collect();
        let product = scalar(|| Array::from_slice(&data, [n])?.prod());
        let want = if n <= SHORT { data.iter().product() } else { along(&[data], 1.0, |a, b| a * b) };
        assert_eq!(product.to_bits(), want.to_bits(), "f64, {n}");
        let product = scalar(|| Array::from_slice(&narrow, [n])?.prod());
        let want: f32 = if n <= SHORT { narrow.iter().product() } else { along(&[narrow], 1.0, |a, b| a * b) };
        assert_eq!(product.to_bits(), want.to_bits(), "f32, {n}");
    }
}

#[test]
fn nan_wins_wherever_it_stands() {
    for n in [1, 64, 65, 300, 5000] {
        for at in [0, n / 2, n - 1] {
            let mut data = wild(n, 9);
            data[at] = f64::NAN;
            let x = scalar(|| Array::from_slice(&data, [n]));
            assert!(scalar(|| x.min()).is_nan() && scalar(|| x.max()).is_nan(), "{at} of {n}");
        }
        let data = wild(n, 10);
        let x = scalar(|| Array::from_slice(&data, [n]));
        assert_eq!(scalar(|| x.min()), data.iter().copied().fold(f64::INFINITY, f64::min));
        assert_eq!(scalar(|| x.max()), data.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    }
    let infinities = scalar(|| Array::from_vec(vec![f32::INFINITY; 70], [70]));
    assert_eq!(scalar(|| infinities.min()), f32::INFINITY);
}

#[test]
fn zeros_of_both_signs_combine_in_the_order() {
    let minimum = |a: f32, b: f32| if a < b || a.is_nan() { a } else { b };
    let mut random = Random::new(11);
    for n in [2, 65, 700] {
        let zeros: Vec<f32> = (0..n).map(|_| if random.bits().is_multiple_of(2) { 0.0 } else { -0.0 }).collect();
        let got = scalar(|| Array::from_slice(&zeros, [n])?.min());
        assert_eq!(got.to_bits(), along(&[zeros], f32::INFINITY, minimum).to_bits());
    }
}
