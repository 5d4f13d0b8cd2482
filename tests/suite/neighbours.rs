//! Forms of distances: expressions of them, condensed matrices, nearest neighbours and neighbours within a radius.

use crate::common::{layouts, nearly, on_every_device, refused};
use crate::distances::{cluster, on_every_device_and_metric};
use polyarray::prelude::*;
use polyarray::{Vectors, with_threads};

const NAN: f64 = f64::NAN;

#[test]
fn expressions_of_distances() {
    on_every_device_and_metric(|metric| {
        let d = if metric.info().vectors == Vectors::Angles { 2 } else { 5 };
        let x = Array::from_vec(cluster(70, d, 0.5, 0.5), [70, d])?;
        let y = Array::from_vec(cluster(33, d, 0.25, 0.5), [33, d])?;
        let plain = distance::cdist(&x, &y, metric)?;
        let want = (&plain * -0.5).exp().eval()?;
        let got = distance::cdist_map(&x, &y, metric, |d| (d * -0.5).exp())?;
        assert!(got.allclose(&want, 1e-6, 0.0)?, "{metric:?}");
        let weights = Array::from_vec((0..33).map(|j| j as f32).collect(), [33])?;
        let weighted = weights.clone();
        let got = distance::cdist_map(&x, &y, metric, move |d| d * weighted)?;
        assert!(got.allclose(&(&plain * &weights).eval()?, 1e-6, 0.0)?, "{metric:?}");
        let sums = distance::cdist_sum(&x, &y, metric, |d| (d * -0.5).exp())?;
        assert!(sums.allclose(&want.sum_axis(1)?, 1e-5, 0.0)?, "{metric:?}");
        Ok(())
    });
    let x = Array::<f32>::ones([2, 3]).unwrap();
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    let wide = Array::<f32>::ones([4, 2, 2]).unwrap();
    refused(distance::cdist_map(&x, &x, Metric::Dot, move |d| d + wide), shapes, &["cdist_map", "[4, 2, 2]"]);
    refused(
        distance::cdist_map(&x, &x, Metric::Dot, |d| {
            d.sum_axis(0).map_or_else(|_| 1.0f32.into_expr(), |s| s.into_expr())
        }),
        shapes,
        &["[]"],
    );
}

/// Returns the indices of the k smallest values of each row, and these.
fn smallest(all: &Array<f32>, k: usize, sign: f32) -> (Vec<i64>, Vec<f32>) {
    let (m, values) = (all.shape()[1], all.to_vec().unwrap());
    let mut found = Vec::new();
    for row in values.chunks_exact(m) {
        let mut order: Vec<usize> = (0..m).collect();
        // The sort is stable.
        order.sort_by(|&a, &b| {
            let (a, b) = (row[a] * sign, row[b] * sign);
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        });
        found.extend(order[..k].iter().map(|&j| (j as i64, row[j])));
    }
    found.into_iter().unzip()
}

#[test]
fn nearest_points_are_the_smallest_distances() {
    for (n, m, d) in [(1, 1, 1), (3, 2000, 4), (150, 1100, 2), (70, 40, 33), (1, 70_000, 2)] {
        let x = Array::from_vec(cluster(n, d, 0.0, 1.0).iter().map(|x| (x * 8.0).round()).collect(), [n, d]).unwrap();
        let y = Array::from_vec(cluster(m, d, 0.0, 1.0).iter().map(|x| (x * 8.0).round()).collect(), [m, d]).unwrap();
        for metric in [Metric::SquaredEuclidean, Metric::Dot, Metric::Cosine, Metric::Chebyshev] {
            on_every_device(|device| {
                let all = distance::cdist(&x, &y, metric)?;
                let sign = if metric == Metric::Dot { -1.0 } else { 1.0 };
                // BLAS translates the points by a mean that depends on the block, and the other distances are integers.
                if metric != Metric::Cosine && device.name() != "blas" {
                    for k in [1, 2.min(m), 10.min(m), m.min(200)] {
                        let found = distance::nearest(&x, &y, k, metric)?;
                        let (indices, values) = smallest(&all, k, sign);
                        assert_eq!(found.indices.shape(), [n, k]);
                        assert_eq!(
                            (found.indices.to_vec()?, found.distances.to_vec()?),
                            (indices, values),
                            "{device} {metric:?} [{n}, {m}, {d}] k {k}"
                        );
                    }
                    let (indices, values) = smallest(&all, 1, sign);
                    let found = distance::argmin(&x, &y, metric)?;
                    assert_eq!((found.0.to_vec()?, found.1.to_vec()?), (indices, values), "{device} {metric:?}");
                }
                let found = distance::nearest(&x, &y, 1, metric)?.distances.to_vec()?;
                let (_, values) = smallest(&all, 1, sign);
                // Twice the bound of the metric; the products of two coordinates are up to 64.
                let same = |(a, b): (&f32, &f32)| {
                    let size = if metric == Metric::Dot { 64.0 * d as f32 } else { b.abs().max(1.0) };
                    (a - b).abs() <= 16.0 * f32::EPSILON * (d as f32).sqrt() * size || a.is_nan() && b.is_nan()
                };
                assert!(found.iter().zip(&values).all(same), "{device} {metric:?} [{n}, {m}, {d}]");
                Ok(())
            });
        }
    }
}

#[test]
fn ties_and_nan_among_neighbours() {
    on_every_device(|_| {
        let points = Array::from([[f32::NAN], [2.0], [0.0], [2.0], [f32::NAN], [f32::INFINITY]]);
        let query = Array::from([[1.0f32], [f32::NAN]]);
        let found = distance::nearest(&query, &points, 6, Metric::Euclidean)?;
        assert_eq!(found.indices.to_vec()?, [1, 2, 3, 5, 0, 4, 0, 1, 2, 3, 4, 5]);
        assert_eq!(found.distances.to_vec()?[..4], [1.0, 1.0, 1.0, f32::INFINITY]);
        assert!(found.distances.to_vec()?[4..].iter().all(|d| d.is_nan()));
        assert_eq!(distance::argmin(&query, &points, Metric::Euclidean)?.0.to_vec()?, [1, 0]);
        let found = distance::within(&query, &points, 1.0, Metric::Euclidean)?;
        assert_eq!((found.offsets.to_vec()?, found.indices.to_vec()?), (vec![0, 3, 3], vec![1, 2, 3]));
        let found = distance::within(&query, &points, f32::INFINITY, Metric::Euclidean)?;
        assert_eq!((found.offsets.to_vec()?, found.indices.to_vec()?), (vec![0, 4, 4], vec![1, 2, 3, 5]));
        let found = distance::within(&query, &points, 2.0, Metric::Dot)?;
        assert_eq!(found.indices.to_vec()?, [1, 3, 5]);
        let none = Array::<f32>::zeros([0, 1])?;
        let found = distance::within(&query, &none, 1.0, Metric::Euclidean)?;
        assert_eq!((found.offsets.to_vec()?, found.indices.shape()), (vec![0, 0, 0], &[0][..]));
        Ok(())
    });
}

#[test]
fn points_within_a_radius() {
    // Enough work for several threads.
    let (n, m, d) = (300, 4000, 4);
    let x = Array::from_vec(cluster(n, d, 0.0, 1.0), [n, d]).unwrap();
    let y = Array::from_vec(cluster(m, d, 0.0, 1.0), [m, d]).unwrap();
    on_every_device(|_| {
        let all = distance::cdist(&x, &y, Metric::Cityblock)?.to_vec()?;
        let found = distance::within(&x, &y, 0.3, Metric::Cityblock)?;
        let (mut offsets, mut pairs) = (vec![0], Vec::new());
        for row in all.chunks_exact(m) {
            pairs.extend(row.iter().enumerate().filter(|(_, d)| **d <= 0.3).map(|(j, d)| (j as i64, *d)));
            offsets.push(pairs.len() as i64);
        }
        assert!(pairs.len() > n, "the radius is large enough to find some");
        assert_eq!(found.offsets.to_vec()?, offsets);
        let (indices, distances): (Vec<i64>, Vec<f32>) = pairs.into_iter().unzip();
        assert_eq!((found.indices.to_vec()?, found.distances.to_vec()?), (indices, distances));
        Ok(())
    });
}

#[test]
fn condensed_and_square_matrices() {
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    on_every_device(|_| {
        assert_eq!(distance::squareform(&Array::<f64>::zeros([0])?)?, Array::from([[0.0]]));
        assert_eq!(distance::squareform(&Array::from([7]))?, Array::from([[0, 7], [7, 0]]));
        assert_eq!(distance::squareform(&Array::<f64>::zeros([0, 0])?)?.shape(), [0]);
        assert_eq!(distance::squareform(&Array::from([[0.0]]))?.shape(), [0]);
        let square = distance::squareform(&Array::from([1.0, f64::NAN, 3.0]))?;
        nearly(&distance::squareform(&square)?, &[1.0, NAN, 3.0]);
        refused(distance::squareform(&Array::from([1.0, 2.0])), shapes, &["squareform", "[2]"]);
        refused(distance::squareform(&Array::<f64>::zeros([2, 3])?), shapes, &["[2, 3]"]);
        refused(distance::squareform(&Array::<f64>::zeros([2, 2, 2])?), shapes, &["[2, 2, 2]"]);
        refused(distance::squareform(&Array::from([[0.0, 1.0], [2.0, 0.0]])), argument, &["symmetric"]);
        refused(distance::squareform(&Array::from([[0.0, 1.0], [1.0, 3.0]])), argument, &["diagonal"]);
        Ok(())
    });
}

#[test]
fn bad_input() {
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    let (x, y) = (Array::<f64>::ones([3, 4]).unwrap(), Array::<f64>::ones([2, 5]).unwrap());
    on_every_device(|_| {
        for metric in Metric::ALL {
            refused(distance::nearest(&x, &y, 1, metric), shapes, &["nearest", "4 and 5"]);
            refused(distance::within(&x, &y, 1.0, metric), shapes, &["within", "4 and 5"]);
        }
        for k in [0, 4, usize::MAX] {
            refused(distance::nearest(&x, &x, k, Metric::Euclidean), argument, &["nearest", "k", &k.to_string()]);
        }
        let none = Array::<f64>::ones([0, 4])?;
        refused(distance::nearest(&x, &none, 1, Metric::Euclidean), argument, &["0 points"]);
        refused(distance::argmin(&x, &none, Metric::Euclidean), |e| matches!(e, Error::Empty { .. }), &["argmin"]);
        for radius in [-1.0, NAN] {
            refused(distance::within(&x, &x, radius, Metric::Euclidean), argument, &["radius", &radius.to_string()]);
        }
        refused(distance::within(&x, &x, NAN, Metric::Dot), argument, &["radius"]);
        refused(distance::pdist(&Array::<f64>::ones([3])?, Metric::Euclidean), shapes, &["pdist", "[3]"]);
        Ok(())
    });
}

#[test]
fn no_points() {
    on_every_device_and_metric(|metric| {
        let (points, none) = (Array::<f32>::ones([3, 2])?, Array::<f32>::zeros([0, 2])?);
        assert_eq!(distance::cdist_map(&none, &points, metric, |d| d.exp())?.shape(), [0, 3]);
        assert_eq!(distance::pdist(&none, metric)?.shape(), [0]);
        assert_eq!(distance::nearest(&none, &points, 2, metric)?.indices.shape(), [0, 2]);
        assert_eq!(distance::cdist_sum(&points, &none, metric, |d| d)?.to_vec()?, [0.0; 3]);
        Ok(())
    });
}

#[test]
fn distances_of_all_pairs() {
    on_every_device_and_metric(|metric| {
        let d = if metric.info().vectors == Vectors::Angles { 2 } else { 11 };
        for x in layouts(&Array::from_vec(cluster(90, d, 0.5, 0.5), [90, d])?)? {
            let condensed = distance::pdist(&x, metric)?;
            assert_eq!(condensed.len(), 90 * 89 / 2);
            if metric != Metric::Dot {
                let all = distance::cdist(&x, &x, metric)?;
                assert!(distance::squareform(&condensed)?.allclose(&all, 1e-5, 1e-6)?, "{metric:?}");
            }
        }
        Ok(())
    });
    // Several blocks of rows.
    let x = Array::from_vec(cluster(700, 1, 0.0, 1.0), [700, 1]).unwrap();
    on_every_device(|_| {
        let all = distance::cdist(&x, &x, Metric::Cityblock)?;
        assert_eq!(distance::squareform(&distance::pdist(&x, Metric::Cityblock)?)?, all);
        Ok(())
    });
}

/// Returns whether the neighbours are the first ones of the sorted distances, with the same bits.
fn is_selection_of_distances<T: Float>(x: &Array<T>, y: &Array<T>, k: usize, metric: Metric) -> Result<bool> {
    let found = distance::nearest(x, y, k, metric)?;
    let all = distance::cdist(x, y, metric)?;
    let order = all.argsort(1)?;
    let first = order.slice(s![.., ..k as isize])?;
    let values = all.take_along_axis(&first, 1)?;
    let bits = |x: &T| Real::to_f64(*x).to_bits();
    let same = |a: &T, b: &T| bits(a) == bits(b) || Real::to_f64(*a).is_nan() && Real::to_f64(*b).is_nan();
    let values_agree = found.distances.to_vec()?.iter().zip(&values.to_vec()?).all(|(a, b)| same(a, b));
    Ok(found.indices.to_vec()? == first.to_vec()? && values_agree)
}

/// Many points, which devices may select without a matrix of distances: data for which short numbers are accurate, and
/// data for which they are not.
#[test]
fn many_points() {
    type Data = fn(usize, &mut dyn FnMut() -> f64) -> f64;
    let data: [(&str, Data); 9] = [
        ("a cloud", |_, random| random()),
        ("a cloud far from the origin", |_, random| 1e4 + random()),
        ("clusters", |i, random| (i / 64 % 7) as f64 * 100.0 + 1e-3 * random()),
        ("integers", |_, random| (3.0 * random()).round()),
        ("equal points", |_, _| 1.5),
        ("large numbers", |_, random| 1e30 * random()),
        ("small numbers", |_, random| 1e-30 * random()),
        ("outliers", |i, random| if i % 7001 == 0 { 1e6 } else { random() }),
        ("special values", |i, random| match i % 50_021 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::MAX,
            _ => random(),
        }),
    ];
    for (name, data) in data {
        for (n, m, d, k) in [(3, 2100, 64, 10), (300, 2100, 64, 1), (33, 4000, 40, 128), (5, 140_000, 1, 7)] {
            let mut state = 1u64;
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
            };
            let mut points = |rows: usize| {
                Array::from_vec((0..rows * d).map(|i| data(i, &mut random)).collect::<Vec<f64>>(), [rows, d]).unwrap()
            };
            let (x, y) = (points(n), points(m));
            let (short_x, short_y) = (x.cast::<f32>().eval().unwrap(), y.cast::<f32>().eval().unwrap());
            for threads in [1, 2] {
                for metric in [Metric::Euclidean, Metric::SquaredEuclidean] {
                    with_threads(threads, || {
                        let what = format!("{name}, [{n}, {m}, {d}], {k} nearest by {metric:?} on {threads} threads");
                        assert!(is_selection_of_distances(&x, &y, k, metric).unwrap(), "f64, {what}");
                        assert!(is_selection_of_distances(&short_x, &short_y, k, metric).unwrap(), "f32, {what}");
                    });
                }
            }
        }
    }
}

#[test]
fn many_points_in_any_layout() {
    let points = |rows: usize| cluster(rows, 66, 0.5, 2.0);
    let x = Array::from_vec(points(40), [40, 66]).unwrap();
    let y = Array::from_vec(points(4200), [4200, 66]).unwrap();
    let (wide, strided) = (y.t().to_contiguous().unwrap(), y.slice(s![..;-2, ..;3]).unwrap());
    assert!(is_selection_of_distances(&x, &wide.t(), 5, Metric::Euclidean).unwrap());
    let few = x.slice(s![..;2, ..;-3]).unwrap();
    // 2100 points of 22 coordinates are few, so they are repeated.
    let many = Array::concatenate(&[&strided, &strided, &strided], 0).unwrap();
    assert!(is_selection_of_distances(&few, &many, 5, Metric::SquaredEuclidean).unwrap());
    assert!(is_selection_of_distances(&x.slice(s![0..1, ..]).unwrap(), &y, 262, Metric::Euclidean).unwrap());
}
