//! The device `blas` compared with `scalar`. Without a CBLAS library these tests print a note and pass, unless
//! `POLYARRAY_REQUIRE` requires the device.

use crate::common::Random;
use polyarray_core::distance::cdist;
use polyarray_core::{
    Array, Complex, Device, Element, Error, Matmul, Metric, Result, Wide, s, with_device, with_threads,
};
use polyarray_cpu as _;

/// Returns the device, if there is one. Panics if there is none and the environment requires it.
fn blas() -> Option<Device> {
    let device = Device::blas();
    let required =
        std::env::var("POLYARRAY_REQUIRE").is_ok_and(|names| names.split(',').any(|name| name.trim() == "blas"));
    match device {
        Ok(device) => Some(device),
        Err(why) if required => panic!("POLYARRAY_REQUIRE requires the device blas: {why}"),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// Returns the results of `f` on `blas` and on `scalar`.
fn both<T: Element>(device: &Device, f: impl Fn() -> Result<Array<T>>) -> (Vec<T>, Vec<T>) {
    let on = |device: &Device| with_device(device, || f()?.to_vec()).unwrap();
    (on(device), on(&Device::scalar()))
}

fn random<T: Element>(shape: &[usize], seed: u64) -> Array<T> {
    let mut random = Random::new(seed);
    Array::from_fn(shape, |_| T::from_wide(Wide::Complex(random.uniform(), random.uniform()))).unwrap()
}

fn parts<T: Element>(x: T) -> [f64; 2] {
    match x.to_wide() {
        Wide::Complex(re, im) => [re, im],
        other => [other.real(), 0.0],
    }
}

fn assert_close<T: Element>((got, want): (Vec<T>, Vec<T>), tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (&g, &w)) in got.iter().zip(&want).enumerate() {
        let (g, w) = (parts(g), parts(w));
        assert!((g[0] - w[0]).hypot(g[1] - w[1]) <= tolerance, "{what}: element {i} is {g:?}, not {w:?}");
    }
}

fn products<T: Element>(device: &Device, eps: f64) {
    for [m, k, n] in [[1, 1, 1], [1, 7, 5], [6, 1, 3], [4, 9, 1], [33, 65, 17], [130, 70, 129]] {
        let (a, b) = (random::<T>(&[m, k], 1), random::<T>(&[k, n], 2));
        let wide = random::<T>(&[m, 2 * k], 3);
        let row = random::<T>(&[k], 4);
        let cases: [(&str, Array<T>, Array<T>); 7] = [
            ("as they are", a.clone(), b.clone()),
            ("left transposed", a.to_f_order().unwrap(), b.clone()),
            ("both transposed", a.to_f_order().unwrap(), b.to_f_order().unwrap()),
            ("part of a wider one", wide.slice(s![.., ..k]).unwrap(), b.clone()),
            ("every other column", wide.slice(s![.., ..;2]).unwrap(), b.clone()),
            ("backwards", a.slice(s![..;-1, ..;-1]).unwrap(), b.slice(s![.., ..;-1]).unwrap()),
            ("one row for all", row.broadcast_to([m, k]).unwrap(), b.clone()),
        ];
        for (what, a, b) in cases {
            assert_close(
                both(device, || a.matmul(&b)),
                k as f64 * 4.0 * eps,
                &format!("{} [{m}, {k}, {n}] {what}", T::DTYPE),
            );
        }
    }
}

#[test]
fn products_of_every_layout() {
    let Some(device) = blas() else { return };
    products::<f32>(&device, f64::from(f32::EPSILON));
    products::<f64>(&device, f64::EPSILON);
    products::<Complex<f32>>(&device, f64::from(f32::EPSILON));
    products::<Complex<f64>>(&device, f64::EPSILON);
}

#[test]
fn products_of_batches() {
    let Some(device) = blas() else { return };
    let a = random::<f64>(&[3, 1, 4, 5], 5);
    let b = random::<f64>(&[2, 5, 6], 6);
    assert_close(both(&device, || a.matmul(&b)), 1e-14, "broadcast batches");
    let strided = random::<f64>(&[2, 5, 12], 7);
    assert_close(
        both(&device, || a.matmul(&strided.slice(s![.., .., ..;2])?)),
        1e-14,
        "broadcast batches that are copied",
    );
    assert_close(
        both(&device, || a.permute(&[1, 0, 3, 2])?.matmul(&random::<f64>(&[3, 4, 2], 8))),
        1e-14,
        "permuted batches",
    );
}

#[test]
fn any_number_of_threads_gives_the_product() {
    let Some(device) = blas() else { return };
    let (a, b) = (random::<f64>(&[300, 300], 9), random::<f64>(&[300, 300], 10));
    for threads in [1, 2, 3] {
        assert_close(with_threads(threads, || both(&device, || a.matmul(&b))), 1e-12, "threads");
    }
    std::thread::scope(|scope| {
        for threads in 1..5 {
            let (a, b, device) = (&a, &b, &device);
            scope.spawn(move || {
                with_threads(threads, || assert_close(both(device, || a.matmul(b)), 1e-12, "threads at once"))
            });
        }
    });
}

#[test]
fn what_follows_is_left_to_others_and_what_is_not_blas_is_refused() {
    let Some(device) = blas() else { return };
    let a = random::<f32>(&[8, 8], 11);
    let refused = |e: Result<Array<f32>>, why: &str| {
        let e = e.unwrap_err();
        assert!(matches!(e, Error::Refused { .. }) && e.to_string().contains(why), "{e}");
    };
    refused(with_device(&device, || (&a + 1.0).eval()), "no elementwise operations");
    refused(with_device(&device, || a.sum_axis(0)), "no reductions");
    refused(with_device(&device, || cdist(&a, &a, Metric::Cityblock)), "cityblock");
    refused(with_device(&device, || Matmul::new(&a, &a).map(|e| e.exp()).run()), "no epilogue");
    let integers = Array::<i32>::from_fn([2, 2], |_| 1).unwrap();
    let e = with_device(&device, || integers.matmul(&integers)).unwrap_err();
    assert!(e.to_string().contains("not i32"), "{e}");
}

fn distances<T: Element>(device: &Device, relative: f64) {
    for [n, m, d] in [[1, 1, 1], [3, 5, 2], [70, 130, 64], [40, 9, 300]] {
        let (x, y) = (random::<T>(&[n, d], 12), random::<T>(&[m, d], 13));
        for metric in [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cosine] {
            let what = format!("{} {metric:?} [{n}, {m}, {d}]", T::DTYPE);
            for (x, y) in [(x.clone(), y.clone()), (x.to_f_order().unwrap(), y.slice(s![..;-1, ..;-1]).unwrap())] {
                let (got, want) = both(device, || cdist(&x, &y, metric));
                for (g, w) in got.iter().zip(&want).map(|(&g, &w)| (parts(g)[0], parts(w)[0])) {
                    let tolerance = if metric == Metric::Cosine {
                        (d as f64 + 3.0) * relative
                    } else {
                        8.0 * (d as f64).sqrt() * relative * w
                    };
                    assert!((g - w).abs() <= tolerance, "{what}: {g}, not {w}");
                }
            }
        }
    }
}

#[test]
fn distances_agree() {
    let Some(device) = blas() else { return };
    distances::<f32>(&device, f64::from(f32::EPSILON));
    distances::<f64>(&device, f64::EPSILON);
}

#[test]
fn near_duplicates_far_from_the_origin_keep_their_distance() {
    let Some(device) = blas() else { return };
    let mut random = Random::new(14);
    let (n, d) = (200, 3);
    // First set: pairs whose coordinates differ by 2^-3, at 2^20 from the origin. Second set: pairs whose coordinates
    // differ by 1e-4, in a cloud of radius 100.
    let far: Vec<f32> =
        (0..n * d).map(|i| 1_048_576.0 + if i / d % 2 == 0 { 0.0 } else { 0.125 } + (i / d / 2) as f32).collect();
    let cloud: Vec<f32> =
        (0..n / 2).flat_map(|_| [random.uniform() as f32, random.uniform() as f32, random.uniform() as f32]).collect();
    let twins: Vec<f32> = cloud.iter().map(|x| x * 100.0).chain(cloud.iter().map(|x| x * 100.0 + 1e-4)).collect();
    for data in [far, twins] {
        let x = Array::from_vec(data, [n, d]).unwrap();
        for metric in [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cosine] {
            let (got, want) = both(&device, || cdist(&x, &x, metric));
            for (i, (&g, &w)) in got.iter().zip(&want).enumerate() {
                let tolerance = if metric == Metric::Cosine { 6.0 * f32::EPSILON } else { 14.0 * f32::EPSILON * w };
                assert!((g - w).abs() <= tolerance, "{metric:?} {i}: {g}, not {w}");
                assert!(g.is_sign_positive() || metric == Metric::Cosine, "no distance is below 0");
            }
            assert!((0..n).all(|i| got[i * n + i] == want[i * n + i]), "a point and itself");
        }
    }
}

/// Asserts that NaN are in the same places, and that all other values agree to within 1e-3 of the value.
fn assert_alike((got, want): (Vec<f32>, Vec<f32>), what: &str) {
    for (i, (&g, &w)) in got.iter().zip(&want).enumerate() {
        let alike = g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= 1e-3 * w.abs() + 1e-6;
        assert!(alike, "{what} {i}: {g}, not {w}");
    }
}

#[test]
fn what_is_not_finite_or_hardly_fits_comes_out_as_by_definition() {
    let Some(device) = blas() else { return };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let odd = vec![
        0.0, 0.0, 1.0, 2.0, inf, 1.0, -inf, 1.0, inf, inf, nan, 1.0, 3e38, 3e38, -3e38, 1.0, 1e-40, 2e-40, 1e-30,
        3e-30, 1e25, 1.0, 1e-20, 1e20,
    ];
    let x = Array::from_vec(odd, [12, 2]).unwrap();
    let tiny = Array::from_fn([5, 2], |ix| (ix[0] * 2 + ix[1]) as f32 * 1e-30).unwrap();
    let finite = Array::from_fn([4, 2], |ix| ix[0] as f32 - ix[1] as f32 * 0.5).unwrap();
    for metric in [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cosine] {
        assert_alike(both(&device, || cdist(&x, &x, metric)), &format!("{metric:?} odd with odd"));
        assert_alike(both(&device, || cdist(&x, &finite, metric)), &format!("{metric:?} odd with finite"));
        assert_alike(both(&device, || cdist(&finite, &x, metric)), &format!("{metric:?} finite with odd"));
    }
    let (got, want) = both(&device, || cdist(&tiny, &tiny, Metric::Euclidean));
    assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1e-3 * w), "{got:?} is not {want:?}");
}

#[test]
fn sets_larger_than_a_tile_are_measured_in_parts() {
    let Some(device) = blas() else { return };
    // A tile holds 4 MiB of rows, so three rows of 1.2 MiB. Both sets need several tiles, and the last ones are not
    // full.
    let d = 300_000;
    let (x, y) = (random::<f32>(&[5, d], 15), random::<f32>(&[4, d], 16));
    for metric in [Metric::Euclidean, Metric::Cosine] {
        let (got, want) = both(&device, || cdist(&x, &y, metric));
        assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1e-4 * w), "{metric:?}: {got:?} is not {want:?}");
    }
    // Enough pairs for several threads.
    let (x, y) = (random::<f64>(&[700, 3], 17), random::<f64>(&[600, 3], 18));
    let (got, want) = with_threads(3, || both(&device, || cdist(&x, &y, Metric::SquaredEuclidean)));
    assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1e-10 * w));
}

#[test]
fn the_device_says_what_it_is() {
    let Some(device) = blas() else { return };
    assert_eq!(device.info().name, "blas");
    assert!(!device.info().description.is_empty() && device.info().hardware);
}
