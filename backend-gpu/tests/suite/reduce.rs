//! Reductions: full and by axes, of views and programs, with NaN and signed zeros.

use crate::common::{Random, View, gpu, put};
use polyarray_core::*;

fn close(got: f32, x: impl Iterator<Item = f64> + Clone, n: usize) -> bool {
    let (sum, magnitude): (f64, f64) = (x.clone().sum(), x.map(f64::abs).sum());
    (f64::from(got) - sum).abs() <= (64.0 + (n as f64).log2()) * f64::from(f32::EPSILON) * magnitude
}

#[test]
fn full_sums_of_any_length() {
    let Some(device) = gpu() else { return };
    let mut random = Random(7);
    for n in [1, 2, 15, 16, 17, 255, 256, 257, 1000, 2048, 2049, 16_384, 100_003, 1 << 20] {
        let x = random.floats(n, -1.0, 3.0);
        let a = put(&device, &x, [n]);
        assert!(close(a.sum().unwrap(), x.iter().map(|&x| f64::from(x)), n), "sum of {n}");
        assert!(
            (f64::from(a.mean().unwrap()) * n as f64 - x.iter().map(|&x| f64::from(x)).sum::<f64>()).abs()
                < 1e-4 * n as f64,
            "mean of {n}"
        );
        assert_eq!(a.min().unwrap(), x.iter().copied().fold(f32::INFINITY, f32::min));
        assert_eq!(a.max().unwrap(), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let ints: Vec<i32> = x.iter().map(|x| (x * 1e8) as i32).collect();
        let b = put(&device, &ints, [n]);
        assert_eq!((b.min().unwrap(), b.max().unwrap()), (*ints.iter().min().unwrap(), *ints.iter().max().unwrap()));
        let words: Vec<u32> = ints.iter().map(|&x| x as u32).collect();
        let c = put(&device, &words, [n]);
        assert_eq!((c.min().unwrap(), c.max().unwrap()), (*words.iter().min().unwrap(), *words.iter().max().unwrap()));
    }
    let x: Vec<f32> = random.floats(500, 0.9, 1.1);
    let product: f64 = x.iter().map(|&x| f64::from(x)).product();
    let got = put(&device, &x, [500]).prod().unwrap();
    assert!((f64::from(got) / product - 1.0).abs() < 500.0 * f64::from(f32::EPSILON));
}

#[test]
fn sums_do_not_drift() {
    let Some(device) = gpu() else { return };
    // A sequential sum in f32 would stop at 2^24.
    let n = (1 << 24) + (1 << 20);
    let ones = with_device(&device, || Array::full([n], 1.0f32)).unwrap().to_device(&device).unwrap();
    assert_eq!(ones.sum().unwrap(), n as f32);
}

#[test]
fn axes_of_any_view() {
    let Some(device) = gpu() else { return };
    let mut random = Random(8);
    for shape in [[3usize, 4, 5], [1, 300, 7], [70, 3, 65], [2, 2, 1100], [5, 1500, 2]] {
        let n = shape.iter().product::<usize>();
        let data = random.floats(n, -2.0, 2.0);
        let there = put(&device, &data, shape);
        let host = Array::from_slice(&data, shape).unwrap();
        let views: [View; 4] =
            [|a| a.clone(), |a| a.t(), |a| a.permute(&[1, 0, 2]).unwrap(), |a| a.slice(s![..;-1, .., ..;-1]).unwrap()];
        for (v, view) in views.iter().enumerate() {
            let (h, d) = (view(&host), view(&there));
            for axes in [&[0isize][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 2], &[0, 1, 2]] {
                let what = format!("{shape:?} view {v} axes {axes:?}");
                let sum = d.sum_axis(axes).unwrap();
                let max = d.max_axis(axes).unwrap().to_vec().unwrap();
                let got = sum.to_vec().unwrap();
                let dims = h.shape().to_vec();
                let kept: Vec<usize> = (0..3).filter(|a| !axes.contains(&(*a as isize))).collect();
                let mut expected: Vec<Vec<f64>> = vec![Vec::new(); got.len()];
                let values = h.to_vec().unwrap();
                for (i, &x) in values.iter().enumerate() {
                    let index = [i / (dims[1] * dims[2]), i / dims[2] % dims[1], i % dims[2]];
                    let o = kept.iter().fold(0, |o, &a| o * dims[a] + index[a]);
                    expected[o].push(f64::from(x));
                }
                for (o, xs) in expected.iter().enumerate() {
                    assert!(close(got[o], xs.iter().copied(), xs.len()), "{what}: {} at {o}", got[o]);
                    assert_eq!(
                        f64::from(max[o]),
                        xs.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                        "{what} at {o}"
                    );
                }
            }
        }
    }
}

#[test]
fn programs_before_and_after_are_part_of_it() {
    let Some(device) = gpu() else { return };
    let x: Vec<f32> = (0..5000).map(|i| (i % 17) as f32 - 8.0).collect();
    let y: Vec<f32> = (0..5000).map(|i| (i % 5) as f32).collect();
    let (a, b) = (put(&device, &x, [50, 100]), put(&device, &y, [50, 100]));
    let (both, trace) = trace::record(|| (&a * &b + 1.0).sum().unwrap());
    assert_eq!(both, x.iter().zip(&y).map(|(x, y)| x * y + 1.0).sum::<f32>());
    assert_eq!(trace.events.len(), 1, "one operation:\n{trace}");
    let mean = a.square().mean_axis(1).unwrap().to_vec().unwrap();
    for (row, &m) in mean.iter().enumerate() {
        let want: f32 = x[row * 100..][..100].iter().map(|x| x * x).sum::<f32>() / 100.0;
        assert!((m - want).abs() <= 1e-5 * want);
    }
    let largest = select(a.less(&b), &a, 0.0f32).max_axis(0).unwrap().to_vec().unwrap();
    for (column, &m) in largest.iter().enumerate() {
        let want = (0..50)
            .map(|r| r * 100 + column)
            .map(|i| if x[i] < y[i] { x[i] } else { 0.0 })
            .fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(m, want);
    }
}

#[test]
fn nan_wins_and_negative_zeros_sum_to_negative_zero() {
    let Some(device) = gpu() else { return };
    for n in [1, 3, 300, 40_000] {
        let zeros = put(&device, &vec![-0.0f32; n], [n]);
        assert_eq!(zeros.sum().unwrap().to_bits(), (-0.0f32).to_bits(), "{n} negative zeros");
        for at in [0, n / 2, n - 1] {
            let mut x = vec![1.0f32; n];
            x[at] = f32::NAN;
            let a = put(&device, &x, [n]);
            assert!(
                a.min().unwrap().is_nan() && a.max().unwrap().is_nan() && a.sum().unwrap().is_nan(),
                "NaN at {at} of {n}"
            );
            x[at] = f32::NEG_INFINITY;
            let a = put(&device, &x, [n]);
            assert_eq!((a.min().unwrap(), a.sum().unwrap()), (f32::NEG_INFINITY, f32::NEG_INFINITY));
        }
    }
}

#[test]
fn sums_of_integers_are_refused_with_the_reason() {
    let Some(device) = gpu() else { return };
    let a = put(&device, &[1i32, 2, 3], [3]);
    let refused = with_device(&device, || a.sum()).unwrap_err().to_string();
    assert!(refused.contains("64-bit") && refused.contains("cast"), "{refused}");
    let b = put(&device, &[true, false], [2]);
    assert!(matches!(with_device(&device, || b.sum()), Err(Error::Refused { .. })));
    assert_eq!(a.cast::<f32>().sum().unwrap(), 6.0);
}
