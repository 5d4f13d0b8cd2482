//! Distances and neighbours: values of SciPy 1.17 and scikit-learn 1.7, a model in f64, accuracy, and bad input.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::{Bound, Vectors};
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// Runs `f` with each device and metric that it supports, so that a device that lacks one metric is tested with the
/// others.
pub fn on_every_device_and_metric(f: impl Fn(Metric<'static>) -> Result<()>) {
    Metric::ALL.into_iter().for_each(|metric| on_every_device(|_| f(metric)));
}

#[test]
fn values_of_scipy() {
    let x = Array::from([[1.5, -2.0, 0.25, 3.0], [0.5, 1.0, -1.0, 2.0], [1.5, -2.0, 0.25, 3.0]]);
    let y = Array::from([[1.5, -2.0, 0.25, 3.0], [2.0, 0.0, 1.0, -0.5]]);
    let (variances, inverse) = (
        Array::from([1.0, 0.5, 2.0, 4.0]),
        Array::from([[2.0, 0.5, 0.0, 0.0], [0.5, 1.0, 0.0, 0.25], [0.0, 0.0, 3.0, 0.0], [0.0, 0.25, 0.0, 1.5]]),
    );
    let reals: &[(Metric, [f64; 4])] = &[
        (Metric::Euclidean, [0.0, 4.130677910464576, 3.5443617196894563, 3.6742346141747673]),
        (Metric::SquaredEuclidean, [0.0, 17.0625, 12.5625, 13.5]),
        (Metric::SqEuclidean, [0.0, 17.0625, 12.5625, 13.5]),
        (Metric::Cosine, [0.0, 0.8048199854102933, 0.5400088732000433, 1.174574312188794]),
        (Metric::Correlation, [0.0, 0.9955580116799353, 0.6493589218352385, 1.6163497429623197]),
        (Metric::Cityblock, [0.0, 6.75, 6.25, 7.0]),
        (Metric::Chebyshev, [0.0, 3.5, 3.0, 2.5]),
        (Metric::Canberra, [0.0, 2.742857142857143, 2.7, 3.6]),
        (Metric::Dot, [15.3125, 1.75, 4.5, -1.0]),
        (Metric::Minkowski(3.0), [0.0, 3.718627152686887, 3.1397964964735388, 3.0365889718756622]),
        (Metric::Minkowski(1.5), [0.0, 4.758259966138394, 4.1955279721177146, 4.522740121748315]),
        (Metric::Minkowski(1.0), [0.0, 6.75, 6.25, 7.0]),
        (Metric::Minkowski(2.0), [0.0, 4.130677910464576, 3.5443617196894563, 3.6742346141747673]),
        (Metric::Minkowski(INF), [0.0, 3.5, 3.0, 2.5]),
        (Metric::SEuclidean(&variances), [0.0, 3.404959617969059, 4.475628447492039, 2.7950849718747373]),
        (Metric::Mahalanobis(&inverse), [0.0, 4.697073557013984, 3.5619517121937516, 5.1599418601375735]),
    ];
    let check = |x: &Array<f64>, y: &Array<f64>, metric: Metric, want: &[f64]| {
        on_every_device(|_| {
            for (x, y) in layouts(x)?.iter().zip(layouts(y)?.iter().rev()) {
                nearly(&distance::cdist(x, y, metric)?, want);
                nearly(&distance::cdist(&x.cast::<f32>().eval()?, &y.cast::<f32>().eval()?, metric)?, want);
            }
            Ok(())
        })
    };
    for (metric, [a, b, c, d]) in reals {
        check(&x, &y, *metric, &[*a, *b, *c, *d, *a, *b]);
    }
    let (x, y) = (x.abs().eval().unwrap(), y.abs().eval().unwrap());
    check(&x, &y, Metric::BrayCurtis, &[0.0, 0.5609756097560976, 1.0 / 3.0, 0.5, 0.0, 0.5609756097560976]);
    let want = [0.0, 0.4872669558759877, 0.2208678257473517, 0.4522932982579927, 0.0, 0.4872669558759877];
    check(&x, &y, Metric::JensenShannon, &want);
    let x = Array::from([[1.0, 0.0, 2.0, 0.0], [0.0; 4], [1.0, 1.0, 2.0, 3.0]]);
    let y = Array::from([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 2.0, 0.0]]);
    check(&x, &y, Metric::Hamming, &[0.0, 0.5, 0.5, 0.5, 0.5, 0.5]);
    check(&x, &y, Metric::Jaccard, &[0.0, 2.0 / 3.0, 1.0, 1.0, 0.5, 0.5]);
    let x = Array::from([[0.5, 1.0], [-1.2, 3.0], [0.0, 0.0]]);
    let y = Array::from([[0.5, 1.0], [1.2, 0.1]]);
    let want = [0.0, 0.8704080702369315, 2.188515769566144, 3.0542346526727866, 1.0767867445664645, 1.2019415469192891];
    check(&x, &y, Metric::Haversine, &want);
}

#[test]
fn special_values_of_scipy() {
    // Zero and zero, zero and one, opposite vectors, NaN in one coordinate.
    let x = Array::from([[0.0, 0.0], [0.0, 0.0], [-1.0, 1.0], [NAN, 1.0]]);
    let y = Array::from([[0.0, 0.0], [1.0, 2.0], [1.0, -1.0], [0.0, 5.0]]);
    let cases: &[(Metric, [f64; 4])] = &[
        (Metric::Euclidean, [0.0, 5f64.sqrt(), 8f64.sqrt(), NAN]),
        (Metric::SquaredEuclidean, [0.0, 5.0, 8.0, NAN]),
        (Metric::Cosine, [NAN, NAN, 2.0, NAN]),
        (Metric::Correlation, [NAN, NAN, 2.0, NAN]),
        (Metric::Cityblock, [0.0, 3.0, 4.0, NAN]),
        (Metric::Chebyshev, [0.0, 2.0, 2.0, NAN]),
        (Metric::Minkowski(3.0), [0.0, 9f64.cbrt(), 16f64.cbrt(), NAN]),
        (Metric::Canberra, [0.0, 2.0, 2.0, NAN]),
        (Metric::BrayCurtis, [NAN, 1.0, INF, NAN]),
        (Metric::Hamming, [0.0, 1.0, 1.0, 1.0]),
        (Metric::Jaccard, [0.0, 1.0, 0.0, 0.5]),
        (Metric::JensenShannon, [INF, INF, INF, NAN]),
    ];
    for (metric, want) in cases {
        on_every_device(|_| {
            let got = distance::cdist(&x, &y, *metric)?.diagonal(0, 1)?;
            println!("{metric:?}");
            nearly(&got, want);
            nearly(
                &distance::cdist(&x.cast::<f32>().eval()?, &y.cast::<f32>().eval()?, *metric)?.diagonal(0, 1)?,
                want,
            );
            Ok(())
        });
    }
    on_every_device_and_metric(|metric| {
        if metric.info().vectors != Vectors::Angles {
            let none = Array::<f64>::zeros([2, 0])?;
            nearly(&distance::cdist(&none, &none, metric)?, &[metric.info().empty; 4]);
        }
        let (points, none) = (Array::<f32>::ones([3, 2])?, Array::<f32>::zeros([0, 2])?);
        assert_eq!(distance::cdist(&points, &none, metric)?.shape(), [3, 0]);
        Ok(())
    });
    on_every_device(|_| {
        // A variance of 0.
        let (x, y, v) = (Array::from([[1.0, 2.0]]), Array::from([[3.0, 2.0], [1.0, 3.0]]), Array::from([0.0, 1.0]));
        nearly(&distance::cdist(&x, &y, Metric::SEuclidean(&v))?, &[INF, NAN]);
        // A weighted sum that is negative.
        let v = Array::from([[-1.0, 0.0], [0.0, 1.0]]);
        nearly(&distance::cdist(&x, &y, Metric::Mahalanobis(&v))?, &[NAN, 1.0]);
        Ok(())
    });
}

/// Returns the distance of two vectors without care for overflow or cancellation.
fn naive(metric: Metric, x: &[f64], y: &[f64]) -> f64 {
    let d = x.len() as f64;
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(&x, &y)| f(x, y)).sum::<f64>();
    match metric {
        Metric::Euclidean => sum(&|x, y| (x - y).powi(2)).sqrt(),
        Metric::SquaredEuclidean => sum(&|x, y| (x - y).powi(2)),
        Metric::Cosine => 1.0 - sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt(),
        Metric::Correlation => {
            let (u, v) = (sum(&|x, _| x) / d, sum(&|_, y| y) / d);
            let [x, y]: [Vec<f64>; 2] = [x.iter().map(|x| x - u).collect(), y.iter().map(|y| y - v).collect()];
            naive(Metric::Cosine, &x, &y)
        }
        Metric::Dot => sum(&|x, y| x * y),
        Metric::Cityblock => sum(&|x, y| (x - y).abs()),
        Metric::Chebyshev => x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max),
        Metric::Minkowski(p) => sum(&|x, y| (x - y).abs().powf(p)).powf(1.0 / p),
        Metric::Canberra => sum(&|x, y| if x == 0.0 && y == 0.0 { 0.0 } else { (x - y).abs() / (x.abs() + y.abs()) }),
        Metric::BrayCurtis => sum(&|x, y| (x - y).abs()) / sum(&|x, y| (x + y).abs()),
        Metric::Hamming => sum(&|x, y| f64::from(u8::from(x != y))) / d,
        Metric::Jaccard => {
            let any = sum(&|x, y| f64::from(u8::from(x != 0.0 || y != 0.0)));
            if any == 0.0 { 0.0 } else { sum(&|x, y| f64::from(u8::from((x != 0.0) != (y != 0.0)))) / any }
        }
        Metric::JensenShannon => {
            let (u, v) = (sum(&|x, _| x), sum(&|_, y| y));
            let part = |p: f64, m: f64| if p == 0.0 { 0.0 } else { p * (p / m).ln() };
            let both = sum(&|x, y| {
                let (p, q) = (x / u, y / v);
                part(p, (p + q) / 2.0) + part(q, (p + q) / 2.0)
            });
            (both.max(0.0) / 2.0).sqrt()
        }
        Metric::Haversine => {
            let half = |i: usize| ((x[i] - y[i]) / 2.0).sin().powi(2);
            2.0 * (half(0) + x[0].cos() * y[0].cos() * half(1)).sqrt().min(1.0).asin()
        }
        other => unreachable!("{other:?} is not among the metrics of the table that tests use"),
    }
}

/// Asserts that f32 distances are those of the model to within the bound of the table. Returns the largest error, in
/// the terms of the bound.
fn check_f32(metric: Metric<'static>, x: &[f32], y: &[f32], d: usize) -> Result<f64> {
    let (n, m) = (x.len() / d, y.len() / d);
    let got = distance::cdist(&Array::from_slice(x, [n, d])?, &Array::from_slice(y, [m, d])?, metric)?.to_vec()?;
    let wide = |data: &[f32]| data.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let (x, y) = (wide(x), wide(y));
    let mut worst: f64 = 0.0;
    for (i, got) in got.into_iter().enumerate() {
        let (got, x, y) = (f64::from(got), &x[i / m * d..][..d], &y[i % m * d..][..d]);
        let want = naive(metric, x, y);
        let scale = match metric.info().bound {
            Bound::Absolute => 1.0,
            Bound::Relative => want,
            Bound::Terms => x.iter().zip(y).map(|(x, y)| (x * y).abs()).sum(),
        };
        let bound = 8.0 * f64::from(f32::EPSILON) * (d as f64).sqrt();
        let error = if got == want || got.is_nan() && want.is_nan() { 0.0 } else { (got - want).abs() / scale };
        assert!(error <= bound, "{metric:?} {x:?} {y:?}: {got}, not {want}");
        worst = worst.max(error);
    }
    Ok(worst)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_metric_is_that_of_the_model(
        (n, m, d) in (1usize..9, 1usize..40, 1usize..300),
        numbers in proptest::collection::vec((-4i32..=4, 0u32..1000), 64),
    ) {
        let of = |i: usize, vectors: Vectors| {
            let (whole, part) = numbers[(i * 7 + i / 64) % 64];
            let x = whole as f32 + part as f32 / 1000.0;
            match vectors {
                Vectors::Real => x,
                Vectors::Discrete => whole as f32,
                Vectors::Weights => x.abs() + 0.01,
                Vectors::Angles => x / 4.0,
            }
        };
        on_every_device_and_metric(|metric| {
            let vectors = metric.info().vectors;
            let d = if vectors == Vectors::Angles { 2 } else { d };
            let x: Vec<f32> = (0..n * d).map(|i| of(i, vectors)).collect();
            let y: Vec<f32> = (0..m * d).map(|i| of(i + 31, vectors)).collect();
            check_f32(metric, &x, &y, d).map(|_| ())
        });
    }
}

/// Returns `n` rows of `d` numbers, a cluster of the given spread around `centre`.
pub fn cluster(n: usize, d: usize, centre: f32, spread: f32) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0
    };
    (0..n * d).map(|_| centre + spread * next()).collect()
}

/// Returns the distances of the points from each other, after it has checked that they are symmetric, and zero for
/// equal points or NaN.
fn symmetric(points: &Array<f32>, metric: Metric) -> Result<Array<f32>> {
    let all = distance::cdist(points, points, metric)?;
    let (n, values) = (all.shape()[0], all.to_vec()?);
    for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        let (a, b) = (values[i * n + j], values[j * n + i]);
        assert!(a == b || a.is_nan() && b.is_nan(), "{metric:?} is not symmetric: {a} and {b}");
        assert!(i != j || a == 0.0 || a.is_nan() || metric == Metric::Dot, "{metric:?} of a point to itself: {a}");
    }
    Ok(all)
}

#[test]
fn clusters_far_from_the_origin() {
    // The spread is one unit in the last place of the centre, where |x|^2 + |y|^2 - 2 x.y has no digit left.
    for (d, spread) in [(2, 8e-3), (3, 1e-3), (16, 1e-3), (50, 1e-3), (200, 1e-3), (200, 8e-3)] {
        let x = cluster(30, d, 1e4, spread);
        Metric::ALL.into_iter().for_each(|metric| {
            on_every_device(|device| {
                let (x, d): (Vec<f32>, usize) = match metric.info().vectors {
                    Vectors::Angles => (x.iter().map(|x| (x - 1e4) * 0.1 + 1.0).collect(), 2),
                    _ => (x.clone(), d),
                };
                let worst = check_f32(metric, &x, &x, d)?;
                println!("{device} {} d {d}, spread {spread}: {worst:.1e}", metric.name());
                let all = symmetric(&Array::from_slice(&x, [x.len() / d, d])?, metric)?;
                assert!(all.to_vec()?.iter().all(|&x| x >= 0.0 || x.is_nan()), "{metric:?}");
                Ok(())
            });
        });
    }
}

#[test]
fn distances_are_symmetric_and_those_of_equal_points_are_zero() {
    // Sizes that are no multiples of a vector or of a tile, and more rows than a block.
    let (n, d) = (131, 37);
    let data: Vec<f32> = cluster(n, d, -1.0, 2.0);
    on_every_device_and_metric(|metric| {
        let (d, data): (usize, Vec<f32>) = match metric.info().vectors {
            Vectors::Real => (d, data.clone()),
            Vectors::Discrete => (d, data.iter().map(|x| x.round()).collect()),
            Vectors::Weights => (d, data.iter().map(|x| x.abs()).collect()),
            Vectors::Angles => (2, data[..262].to_vec()),
        };
        for x in layouts(&Array::from_slice(&data, [data.len() / d, d])?)? {
            symmetric(&x, metric)?;
        }
        Ok(())
    });
}

#[test]
fn large_and_small_numbers() {
    fn check<T: Float>(large: f64, small: f64, eps: f64) {
        let c = |x: f64| T::from_f64(x);
        let near = |got: T, want: f64, what: &str| {
            let got = got.to_wide().real();
            assert!((got - want).abs() <= 8.0 * eps * want, "{what}: {got}, not {want}");
        };
        let (variances, inverse) = (Array::from([1.0, 4.0, 1.0, 1.0]), Array::eye(4).unwrap());
        for scale in [large, small] {
            let row = |values: [f64; 4]| Array::from_vec(values.map(|x| c(x * scale)).to_vec(), [1, 4]).unwrap();
            let (x, y) = (row([3.0, 0.0, 1.0, -2.0]), row([0.0, 4.0, 1.0, -2.0]));
            on_every_device(|device| {
                // GPUs have no such recomputation.
                if device.name().starts_with("gpu") {
                    return Ok(());
                }
                let of = |metric: Metric| distance::cdist(&x, &y, metric)?.item();
                near(of(Metric::Euclidean)?, 5.0 * scale, "euclidean");
                let dot = 1.0 - 5.0 / (14f64.sqrt() * 21f64.sqrt());
                near(of(Metric::Cosine)?, dot, "cosine");
                assert_eq!(distance::cdist(&x, &x, Metric::Cosine)?.item()?, c(0.0));
                Ok(())
            });
            on_every_device(|device| {
                if device.name().starts_with("gpu") {
                    return Ok(());
                }
                let of = |metric: Metric| distance::cdist(&x, &y, metric)?.item();
                near(of(Metric::Minkowski(3.0))?, 91f64.cbrt() * scale, "minkowski");
                near(of(Metric::Chebyshev)?, 4.0 * scale, "chebyshev");
                near(of(Metric::Canberra)?, 2.0, "canberra");
                near(of(Metric::BrayCurtis)?, 7.0 / 13.0, "braycurtis");
                near(of(Metric::SEuclidean(&variances))?, 13f64.sqrt() * scale, "seuclidean");
                near(of(Metric::Mahalanobis(&inverse))?, 5.0 * scale, "mahalanobis");
                // Rows less their means: [2.5, -0.5, 0.5, -2.5] and [-0.75, 3.25, 0.25, -2.75].
                near(of(Metric::Correlation)?, 1.0 - 3.5 / (13f64.sqrt() * 18.75f64.sqrt()), "correlation");
                Ok(())
            });
        }
        // Sums that overflow, of terms whose quotients do not.
        let (x, y) = (Array::full([1, 3], c(large * 12.0)).unwrap(), Array::full([1, 3], c(large * -12.0)).unwrap());
        on_every_device(|_| {
            near(distance::cdist(&x, &y, Metric::Canberra)?.item()?, 3.0, "canberra");
            Ok(())
        });
    }
    check::<f32>(2e37, 1e-37, f64::from(f32::EPSILON));
    check::<f64>(1e307, 1e-307, f64::EPSILON);
}

#[test]
fn points_on_opposite_sides_of_a_sphere() {
    on_every_device(|_| {
        let x = Array::from([[0.0, 0.0], [0.5, 1.0]]);
        let y = Array::from([[1e-9, std::f64::consts::PI], [-0.5, 1.0 - std::f64::consts::PI]]);
        let got = distance::cdist(&x, &y, Metric::Haversine)?.diagonal(0, 1)?.to_vec()?;
        assert!((got[0] - (std::f64::consts::PI - 1e-9)).abs() < 1e-15, "{got:?}");
        assert!((got[1] - std::f64::consts::PI).abs() < 1e-15, "{got:?}");
        // One metre on the earth.
        let near = distance::cdist(&x, &(&x + 1.5e-7).eval()?, Metric::Haversine)?.get([0, 0])?;
        assert!((near / (1.5e-7 * 2f64.sqrt()) - 1.0).abs() < 1e-13, "{near}");
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
            refused(distance::cdist(&x, &y, metric), shapes, &["cdist", "4 and 5"]);
        }
        refused(distance::cdist(&x, &x, Metric::Haversine), shapes, &["two coordinates"]);
        for p in [0.5, -1.0, NAN] {
            refused(distance::cdist(&x, &x, Metric::Minkowski(p)), argument, &["p", &p.to_string(), "at least 1"]);
        }
        let three = Array::<f64>::ones([3])?;
        refused(distance::cdist(&x, &x, Metric::SEuclidean(&three)), shapes, &["[4]", "[3]", "seuclidean"]);
        let negative = Array::from([1.0, -2.0, 1.0, 1.0]);
        refused(distance::cdist(&x, &x, Metric::SEuclidean(&negative)), argument, &["-2", "variances"]);
        for shape in [vec![4], vec![4, 3], vec![3, 3], vec![1, 4, 4]] {
            let v = Array::<f64>::ones(&shape[..])?;
            refused(distance::cdist(&x, &x, Metric::Mahalanobis(&v)), shapes, &["mahalanobis", "[4, 4]"]);
        }
        Ok(())
    });
}
