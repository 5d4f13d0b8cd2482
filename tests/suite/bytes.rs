//! Distances of bytes and of packed bits: known values, models in integers, extremes, layouts, and bad input.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::stream;

const NAN: f64 = f64::NAN;
const OF_BYTES: [Metric<'static>; 4] = [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cosine, Metric::Dot];

/// i8 or u8.
trait Byte: Element<Distance = f32> + Real {
    fn whole(self) -> i64;
}
impl Byte for i8 {
    fn whole(self) -> i64 {
        self.into()
    }
}
impl Byte for u8 {
    fn whole(self) -> i64 {
        self.into()
    }
}

/// Returns reproducible bytes of any value.
fn bytes<T: Byte>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        T::from_wide(polyarray::Wide::Int(i128::from(state >> 56)))
    };
    (0..n).map(|_| next()).collect()
}

/// Returns the distance of two vectors from exact integers, and the accepted error.
fn model<T: Byte>(metric: Metric, x: &[T], y: &[T]) -> (f64, f64) {
    let sum = |f: &dyn Fn(i64, i64) -> i64| x.iter().zip(y).map(|(x, y)| f(x.whole(), y.whole())).sum::<i64>();
    let (squares, dot) = (sum(&|x, y| (x - y) * (x - y)), sum(&|x, y| x * y));
    let eps = f64::from(f32::EPSILON);
    match metric {
        Metric::SquaredEuclidean => (f64::from(squares as f32), 0.0),
        Metric::Dot => (f64::from(dot as f32), 0.0),
        // The sum is rounded, and then the root: three quarters of eps.
        Metric::Euclidean => ((squares as f64).sqrt(), 0.75 * eps * (squares as f64).sqrt()),
        _ => {
            let lengths = (sum(&|x, _| x * x) as f64).sqrt() * (sum(&|_, y| y * y) as f64).sqrt();
            (1.0 - dot as f64 / lengths, eps)
        }
    }
}

/// Asserts that the distances are those of the model.
fn check<T: Byte>(metric: Metric, got: &Array<f32>, x: &[T], y: &[T], d: usize) {
    let m = y.len() / d;
    for (at, got) in got.to_vec().unwrap().into_iter().enumerate() {
        let (x, y) = (&x[at / m * d..][..d], &y[at % m * d..][..d]);
        let ((want, error), got) = (model(metric, x, y), f64::from(got));
        let is_right = got.is_nan() && want.is_nan() || (got - want).abs() <= error;
        assert!(is_right, "{} {metric:?} of {d} at {at}: {got}, not {want}", T::DTYPE);
        assert!(metric == Metric::Dot || x != y || got == 0.0 || want.is_nan(), "{metric:?} of equal vectors: {got}");
    }
}

#[test]
fn known_values_of_bytes() {
    let (x, y) = (Array::from([[3i8, 4, 0], [-128, 127, 1]]), Array::from([[0i8, 0, 0], [127, -128, 1], [6, 8, 0]]));
    on_every_device(|_| {
        let of = |metric| distance::cdist(&x, &y, metric);
        nearly(&of(Metric::SquaredEuclidean)?, &[25.0, 32_801.0, 25.0, 32_514.0, 130_050.0, 32_118.0]);
        assert_eq!(of(Metric::Euclidean)?.slice(s![0, ..])?.to_vec()?, [5.0, 32_801f32.sqrt(), 5.0]);
        assert_eq!(of(Metric::Dot)?.to_vec()?, [0.0, -131.0, 50.0, 0.0, -32_511.0, 248.0]);
        // Of a vector of zeros; of vectors that are multiples of each other.
        let cosines = of(Metric::Cosine)?.to_vec()?;
        assert!(cosines[0].is_nan() && cosines[3].is_nan() && cosines[2] == 0.0, "{cosines:?}");
        let (x, y) = (Array::from([[255u8, 0], [1, 1]]), Array::from([[0u8, 255], [2, 2]]));
        let of = |metric| distance::cdist(&x, &y, metric);
        assert_eq!(of(Metric::SquaredEuclidean)?.to_vec()?, [130_050.0, 64_013.0, 64_517.0, 2.0]);
        assert_eq!(of(Metric::Dot)?.to_vec()?, [0.0, 510.0, 255.0, 4.0]);
        nearly(&of(Metric::Cosine)?, &[1.0, 1.0 - 0.5f64.sqrt(), 1.0 - 0.5f64.sqrt(), 0.0]);
        let (x, y) = (Array::from([[100i8, -100]]), Array::from([[-50i8, 50]]));
        assert_eq!(distance::cdist(&x, &y, Metric::Cosine)?.to_vec()?, [2.0]);
        Ok(())
    });
}

#[test]
fn bytes_are_those_of_the_model() {
    fn check_all<T: Byte>() {
        // Whole tiles and parts of tiles, one and several parts of the depth, few rows and few columns.
        for (n, m, d) in [
            (1, 1, 1),
            (1, 70, 3),
            (70, 1, 64),
            (17, 33, 63),
            (64, 64, 65),
            (33, 100, 130),
            (35, 47, 513),
            (40, 34, 1100),
        ] {
            let (x, mut y) = (bytes::<T>(n * d, 1), bytes::<T>(m * d, 2));
            y[..d].copy_from_slice(&x[..d]);
            let (a, b) = (Array::from_slice(&x, [n, d]).unwrap(), Array::from_slice(&y, [m, d]).unwrap());
            for metric in OF_BYTES {
                on_every_device(|_| {
                    for (a, b) in layouts(&a)?.iter().zip(layouts(&b)?.iter().rev()) {
                        check(metric, &distance::cdist(a, b, metric)?, &x, &y, d);
                    }
                    Ok(())
                });
            }
        }
    }
    check_all::<i8>();
    check_all::<u8>();
}

#[test]
fn sums_beyond_32_bits() {
    fn check_all<T: Byte>() {
        // 255^2 d exceeds 2^31 from 33,026 coordinates on, and 2^32 from 66,052 on.
        for d in [33_026, 65_536, 65_537, 140_000] {
            let mut x = vec![T::MIN; 17 * d];
            x[..d].copy_from_slice(&bytes(d, 5));
            let mut y = vec![T::MAX; 18 * d];
            y[..d].copy_from_slice(&bytes(d, 6));
            y[d..2 * d].copy_from_slice(&x[d..2 * d]);
            let (a, b) = (Array::from_slice(&x, [17, d]).unwrap(), Array::from_slice(&y, [18, d]).unwrap());
            for metric in OF_BYTES {
                on_every_device(|device| {
                    // `scalar` takes long for all of them.
                    let (a, b) = match device.name() {
                        "scalar" => (a.slice(s![..2, ..])?, b.slice(s![..3, ..])?),
                        _ => (a.clone(), b.clone()),
                    };
                    let got = distance::cdist(&a, &b, metric)?;
                    check(metric, &got, &x[..a.len()], &y[..b.len()], d);
                    let twice = distance::cdist_map(&a, &b, metric, |distance| distance * 2.0)?;
                    let want: Vec<f64> = got.to_vec()?.into_iter().map(|x| 2.0 * f64::from(x)).collect();
                    nearly(&twice, &want);
                    Ok(())
                });
            }
        }
    }
    check_all::<i8>();
    check_all::<u8>();
}

#[test]
fn many_bytes_in_every_form() {
    // Enough distances that they are written past the caches, in rows that begin anywhere in a cache line.
    let (n, m, d) = (1100, 2003, 16);
    let (x, y) = (bytes::<i8>(n * d, 3), bytes::<i8>(m * d, 4));
    let (a, b) = (Array::from_slice(&x, [n, d]).unwrap(), Array::from_slice(&y, [m, d]).unwrap());
    let floats = (a.cast::<f32>().eval().unwrap(), b.cast::<f32>().eval().unwrap());
    let want = distance::cdist(&floats.0, &floats.1, Metric::SquaredEuclidean).unwrap();
    on_every_device(|device| {
        let (rows, want) = if device.name() == "scalar" { (20, want.slice(s![..20, ..])?) } else { (n, want.clone()) };
        let a = a.slice(s![..rows as isize, ..])?;
        let metric = Metric::SquaredEuclidean;
        assert_eq!(distance::cdist(&a, &b, metric)?, want);
        assert_eq!(distance::cdist_map(&a, &b, metric, |d| d + 1.0)?, (&want + 1.0).eval()?);
        let found = distance::nearest(&a, &b, 5, metric)?;
        assert_eq!((found.distances, found.indices), want.bottomk(5, 1)?);
        let (indices, least) = distance::argmin(&a, &b, metric)?;
        assert_eq!((indices, least.clone()), (want.argmin_axis(1)?, want.min_axis(1)?));
        let radius = least.to_vec()?[0];
        let near = distance::within(&a, &b, radius, metric)?;
        let count = want.to_vec()?.iter().filter(|&&x| x <= radius).count();
        assert_eq!(near.indices.len(), count);
        let sums = distance::cdist_sum(&a, &b, metric, |d| d)?;
        assert!(sums.allclose(&want.sum_axis(1)?, 1e-6, 0.0)?);
        let few = b.slice(s![..50, ..])?;
        let square = distance::squareform(&distance::pdist(&few, metric)?)?;
        assert_eq!(square, distance::cdist(&few, &few, metric)?);
        assert_eq!(stream::cdist(&a, &b, metric).min_axis(1)?, least);
        // The largest products.
        let products = distance::cdist(&a, &b, Metric::Dot)?;
        assert_eq!(distance::argmin(&a, &b, Metric::Dot)?.1, products.max_axis(1)?);
        Ok(())
    });
}

/// Returns the bits of rows of bytes that differ, and that either row has.
fn counts(x: &[u8], y: &[u8]) -> (u32, u32) {
    let pairs = x.iter().zip(y);
    (pairs.clone().map(|(x, y)| (x ^ y).count_ones()).sum(), pairs.map(|(x, y)| (x | y).count_ones()).sum())
}

#[test]
fn packed_bits_are_those_of_the_model() {
    fn check_words<T: Element<Distance = f32>>(x: &Array<u8>, y: &Array<u8>) -> Result<()> {
        let (x, y) = (x.view_as::<T>()?, y.view_as::<T>()?);
        let bytes = |a: &Array<T>| a.to_contiguous()?.view_as::<u8>()?.to_vec();
        let (of_x, of_y) = (bytes(&x)?, bytes(&y)?);
        let length = x.shape()[1] * size_of::<T>();
        for metric in Metric::PACKED {
            on_every_device(|_| {
                for (x, y) in layouts(&x)?.iter().zip(layouts(&y)?.iter().rev()) {
                    let got = distance::cdist(x, y, metric)?.to_vec()?;
                    let rows = of_x.chunks_exact(length).flat_map(|x| of_y.chunks_exact(length).map(move |y| (x, y)));
                    for ((x, y), got) in rows.zip(got) {
                        let (differ, any) = counts(x, y);
                        let want = match metric {
                            Metric::BitHamming => differ as f32,
                            _ if any == 0 => 0.0,
                            _ => differ as f32 / any as f32,
                        };
                        assert_eq!(got, want, "{} {metric:?} of {length} bytes", T::DTYPE);
                    }
                }
                Ok(())
            });
        }
        Ok(())
    }
    for (n, m, length) in [(1, 1, 8), (3, 17, 16), (5, 33, 24), (70, 16, 32), (9, 100, 200), (2, 3, 70_000)] {
        let (x, mut y) = (bytes::<u8>(n * length, 7), bytes::<u8>(m * length, 8));
        let mut x: Vec<u8> = x.into_iter().collect();
        // An equal pair and a pair without bits.
        y[..length].copy_from_slice(&x[..length]);
        x[(n - 1) * length..].fill(0);
        y[(m - 1) * length..].fill(0);
        let (x, y) = (Array::from_slice(&x, [n, length]).unwrap(), Array::from_slice(&y, [m, length]).unwrap());
        check_words::<u8>(&x, &y).unwrap();
        check_words::<u16>(&x, &y).unwrap();
        check_words::<u32>(&x, &y).unwrap();
        check_words::<u64>(&x, &y).unwrap();
    }
    // Rows of bytes that do not fill words of 64 bits.
    for length in [1, 3, 7, 9, 13] {
        let (x, y) = (bytes::<u8>(5 * length, 9), bytes::<u8>(19 * length, 10));
        let (x, y) = (Array::from_slice(&x, [5, length]).unwrap(), Array::from_slice(&y, [19, length]).unwrap());
        check_words::<u8>(&x, &y).unwrap();
    }
}

#[test]
fn neighbours_of_packed_bits() {
    let (x, y) = (bytes::<u8>(130 * 32, 11), bytes::<u8>(3001 * 32, 12));
    let x = Array::from_slice(&x, [130, 32]).unwrap().view_as::<u64>().unwrap();
    let y = Array::from_slice(&y, [3001, 32]).unwrap().view_as::<u64>().unwrap();
    on_every_device(|_| {
        for metric in Metric::PACKED {
            let all = distance::cdist(&x, &y, metric)?;
            let found = distance::nearest(&x, &y, 10, metric)?;
            assert_eq!((found.distances, found.indices), all.bottomk(10, 1)?);
            let share = distance::cdist_map(&x, &y, metric, |d| d / 256.0)?;
            assert_eq!(share, (&all / 256.0).eval()?);
            let near = distance::within(&x, &y, 0.5, metric)?;
            assert_eq!(near.indices.len(), all.to_vec()?.iter().filter(|&&d| d <= 0.5).count());
        }
        // Bits of one row: the words of every row of X are the same.
        let same = x.slice(s![..1, ..])?.broadcast_to([40, 4])?;
        let all = distance::cdist(&same, &y, Metric::BitHamming)?;
        assert_eq!(all, all.slice(s![..1, ..])?.broadcast_to([40, 3001])?.to_contiguous()?);
        Ok(())
    });
}

#[test]
fn nothing_to_compute() {
    on_every_device(|_| {
        let (none, some) = (Array::<u8>::zeros([0, 5])?, Array::<u8>::ones([3, 5])?);
        let empty = Array::<u8>::zeros([2, 0])?;
        for metric in OF_BYTES.into_iter().chain(Metric::PACKED) {
            assert_eq!(distance::cdist(&none, &some, metric)?.shape(), [0, 3]);
            assert_eq!(distance::cdist(&some, &none, metric)?.shape(), [3, 0]);
            nearly(&distance::cdist(&empty, &empty, metric)?, &[metric.info().empty; 4]);
            assert_eq!(distance::nearest(&none, &some, 2, metric)?.indices.shape(), [0, 2]);
        }
        Ok(())
    });
    assert_eq!(Metric::BitHamming.info().empty, 0.0);
    assert!(Metric::Cosine.info().empty.is_nan() && NAN.is_nan());
}

#[test]
fn metrics_that_a_dtype_does_not_have() {
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    on_every_device(|_| {
        let (signed, unsigned) = (Array::<i8>::ones([2, 3])?, Array::<u8>::ones([2, 3])?);
        let words = Array::<u64>::ones([2, 3])?;
        for metric in Metric::ALL.into_iter().filter(|metric| !OF_BYTES.contains(metric)) {
            let listed = "u8 by euclidean, sqeuclidean, cosine, dot, bithamming, bitjaccard";
            refused(distance::cdist(&unsigned, &unsigned, metric), undefined, &["cdist", metric.name(), listed]);
            refused(distance::nearest(&signed, &signed, 1, metric), undefined, &["nearest", "i8 by euclidean"]);
            refused(distance::pdist(&words, metric), undefined, &["pdist", "u64 by bithamming, bitjaccard"]);
        }
        for metric in Metric::PACKED {
            refused(distance::cdist(&signed, &signed, metric), undefined, &["i8", "u64", metric.name()]);
            let floats = Array::<f32>::ones([2, 3])?;
            refused(distance::cdist(&floats, &floats, metric), undefined, &["f32", "u8, u16, u32 and u64"]);
        }
        let (wide, truths) = (Array::<i32>::ones([2, 3])?, Array::<bool>::ones([2, 3])?);
        refused(distance::cdist(&wide, &wide, Metric::Euclidean), undefined, &["i32", "floats, i8 and u8"]);
        refused(distance::cdist(&truths, &truths, Metric::BitHamming), undefined, &["bool", "u64"]);
        let other = Array::<u8>::ones([2, 4])?;
        refused(
            distance::cdist(&unsigned, &other, Metric::Dot),
            |e| matches!(e, Error::Shapes { .. }),
            &["3 and 4 coordinates"],
        );
        Ok(())
    });
}
