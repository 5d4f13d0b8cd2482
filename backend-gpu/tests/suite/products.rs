//! Matrix products and distances.

use crate::common::{Random, gpu, large_tiles, put};
use polyarray_core::*;

/// Returns `A @ B` in f64, and the same product of the magnitudes.
fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<(f64, f64)> {
    let cell = |i: usize, j: usize| {
        (0..k).fold((0.0, 0.0), |(s, t), l| {
            let p = f64::from(a[i * k + l]) * f64::from(b[l * n + j]);
            (s + p, t + p.abs())
        })
    };
    (0..m * n).map(|i| cell(i / n, i % n)).collect()
}

fn check_product(got: &[f32], want: &[(f64, f64)], k: usize, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, &(w, magnitude))) in got.iter().zip(want).enumerate() {
        assert!(
            (f64::from(g) - w).abs() <= k as f64 * f64::from(f32::EPSILON) * magnitude,
            "{what}: {g} instead of {w} at {i}"
        );
    }
}

#[test]
fn products_of_every_shape_and_layout() {
    let Some(device) = gpu() else { return };
    let Some(large) = large_tiles() else { return };
    let mut random = Random(9);
    for (device, shapes) in [
        (
            &device,
            &[
                [1, 1, 1],
                [1, 37, 1],
                [1, 300, 70],
                [70, 300, 1],
                [3, 5, 4],
                [64, 16, 64],
                [65, 17, 66],
                [128, 64, 128],
                [100, 1, 100],
                [8, 1000, 8],
                [5, 2000, 130],
            ][..],
        ),
        (&large, &[[130, 33, 137], [256, 64, 132]][..]),
    ] {
        for &[m, k, n] in shapes {
            let (a, b) = (random.floats(m * k, -1.0, 1.0), random.floats(k * n, -1.0, 1.0));
            let want = product(&a, &b, [m, k, n]);
            let (x, y) = (put(device, &a, [m, k]), put(device, &b, [k, n]));
            // The same matrices with other strides: transposed storage, and every other element of a larger array.
            let x_t = x.t().to_contiguous().unwrap().t();
            let y_t = y.t().to_contiguous().unwrap().t();
            let mut wide = put(device, &vec![f32::NAN; m * k * 4 + 1], [m * k * 4 + 1])
                .slice(s![1..])
                .unwrap()
                .reshape([2 * m, 2 * k])
                .unwrap()
                .to_contiguous()
                .unwrap();
            with_device(device, || wide.slice_mut(s![..;2, ..;2]).unwrap().assign(&x)).unwrap();
            let x_s = wide.slice(s![..;2, ..;2]).unwrap();
            for (name, x, y) in
                [("plain", &x, &y), ("A^T", &x_t, &y), ("B^T", &x, &y_t), ("both", &x_t, &y_t), ("strided", &x_s, &y)]
            {
                let got = with_device(device, || x.matmul(y)).unwrap();
                assert_eq!(got.shape(), [m, n]);
                check_product(&got.to_vec().unwrap(), &want, k, &format!("{name} [{m}, {k}, {n}] on {device}"));
            }
        }
    }
}

#[test]
fn batches_broadcast_and_integers_wrap() {
    let Some(device) = gpu() else { return };
    let mut random = Random(10);
    let (m, k, n) = (9, 20, 11);
    let (a, b) = (random.floats(3 * m * k, -1.0, 1.0), random.floats(2 * k * n, -1.0, 1.0));
    let x = put(&device, &a, [1, 3, m, k]);
    let y = put(&device, &b, [2, 1, k, n]);
    let got = x.matmul(&y).unwrap();
    assert_eq!(got.shape(), [2, 3, m, n]);
    let got = got.to_vec().unwrap();
    for (i, j) in (0..2).flat_map(|i| (0..3).map(move |j| (i, j))) {
        let want = product(&a[j * m * k..][..m * k], &b[i * k * n..][..k * n], [m, k, n]);
        check_product(&got[(i * 3 + j) * m * n..][..m * n], &want, k, "batch");
    }
    for (m, k, n) in [(7, 30, 8), (1, 1000, 3)] {
        let ints: Vec<i32> = (0..m * k + k * n).map(|_| random.bits() as i32).collect();
        let (a, b) = ints.split_at(m * k);
        let got = put(&device, a, [m, k]).matmul(&put(&device, b, [k, n])).unwrap().to_vec().unwrap();
        for i in 0..m * n {
            let want = (0..k).fold(0i32, |s, l| s.wrapping_add(a[i / n * k + l].wrapping_mul(b[l * n + i % n])));
            assert_eq!(got[i], want);
        }
        let words: Vec<u32> = ints.iter().map(|&x| x as u32).collect();
        let (a, b) = words.split_at(m * k);
        let got = put(&device, a, [m, k]).matmul(&put(&device, b, [k, n])).unwrap().to_vec().unwrap();
        assert!((0..m * n).all(
            |i| got[i] == (0..k).fold(0u32, |s, l| s.wrapping_add(a[i / n * k + l].wrapping_mul(b[l * n + i % n])))
        ));
    }
}

#[test]
fn what_follows_a_product_reads_operands_of_its_own() {
    let Some(device) = gpu() else { return };
    let Some(large) = large_tiles() else { return };
    let mut random = Random(11);
    for device in [&device, &large] {
        for (m, k, n) in [(33, 20, 70), (2, 50, 9)] {
            let (a, b, bias) =
                (random.floats(m * k, -1.0, 1.0), random.floats(k * n, -1.0, 1.0), random.floats(n, -1.0, 1.0));
            let (x, y, c) = (put(device, &a, [m, k]), put(device, &b, [k, n]), put(device, &bias, [n]));
            let (got, trace) =
                trace::record(|| Matmul::new(&x, &y).bias(&c).map(|e| e.maximum(0.0)).on(device).run().unwrap());
            let want = product(&a, &b, [m, k, n]);
            for (i, &g) in got.to_vec().unwrap().iter().enumerate() {
                let exact = (want[i].0 + f64::from(bias[i % n])).max(0.0);
                assert!(
                    (f64::from(g) - exact).abs() <= (k + 1) as f64 * f64::from(f32::EPSILON) * (want[i].1 + 1.0),
                    "{g} instead of {exact}"
                );
            }
            assert_eq!(trace.events.len(), 1, "one operation:\n{trace}");
            let scaled = Matmul::new(&x, &y).map(|e| e * 0.5).on(device).run().unwrap();
            let half: Vec<(f64, f64)> = want.iter().map(|w| (w.0 * 0.5, w.1)).collect();
            check_product(&scaled.to_vec().unwrap(), &half, k + 1, "scaled");
        }
    }
}

fn exact_distance(metric: Metric, x: &[f32], y: &[f32]) -> f64 {
    let pairs = || x.iter().zip(y).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    let squares: f64 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
    match metric {
        Metric::Euclidean => squares.sqrt(),
        Metric::SquaredEuclidean => squares,
        Metric::Cityblock => pairs().map(|(a, b)| (a - b).abs()).sum(),
        Metric::Cosine => {
            let (dot, xx, yy) = pairs().fold((0.0, 0.0, 0.0), |(d, x, y), (a, b)| (d + a * b, x + a * a, y + b * b));
            1.0 - dot / (xx.sqrt() * yy.sqrt())
        }
        other => unreachable!("GPUs have no kernel for {other:?}"),
    }
}

#[test]
fn distances_of_every_metric_and_layout() {
    let Some(device) = gpu() else { return };
    let mut random = Random(12);
    for [n, m, d] in [[1, 1, 1], [3, 4, 2], [65, 70, 17], [128, 1, 64], [10, 200, 33]] {
        for offset in [0.0, 1e4] {
            let x: Vec<f32> = random.floats(n * d, -1.0, 1.0).iter().map(|x| x + offset).collect();
            let mut y: Vec<f32> = random.floats(m * d, -1.0, 1.0).iter().map(|x| x + offset).collect();
            // One pair of nearly equal vectors, far from the origin.
            (0..d).for_each(|i| y[i] = x[i]);
            y[0] = f32::from_bits(y[0].to_bits() + 3);
            let (a, b) = (put(&device, &x, [n, d]), put(&device, &y, [m, d]));
            let a_t = a.t().to_contiguous().unwrap().t();
            let reversed = b.slice(s![..;-1, ..;-1]).unwrap().to_contiguous().unwrap().slice(s![..;-1, ..;-1]).unwrap();
            for metric in [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cityblock, Metric::Cosine] {
                for (a, b) in [(&a, &b), (&a_t, &reversed)] {
                    let got = distance::cdist(a, b, metric).unwrap();
                    assert_eq!(got.shape(), [n, m]);
                    for (i, &g) in got.to_vec().unwrap().iter().enumerate() {
                        let want = exact_distance(metric, &x[i / m * d..][..d], &y[i % m * d..][..d]);
                        let scale = if metric == Metric::Cosine { 1.0 } else { want };
                        let bound = (d + 3) as f64 * f64::from(f32::EPSILON) * scale;
                        assert!(
                            (f64::from(g) - want).abs() <= bound,
                            "{metric:?} [{n}, {m}, {d}] at {i}: {g} instead of {want}"
                        );
                    }
                }
            }
        }
    }
    let zero = put(&device, &[0.0f32, 0.0, 1.0, 2.0], [2, 2]);
    let cosine = distance::cdist(&zero, &zero, Metric::Cosine).unwrap().to_vec().unwrap();
    assert!(cosine[0].is_nan() && cosine[1].is_nan() && cosine[2].is_nan() && cosine[3].abs() < 1e-6, "{cosine:?}");
}
