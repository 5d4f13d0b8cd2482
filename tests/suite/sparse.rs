//! Sparse matrices, and nearest neighbours among their rows against those of the same vectors as dense arrays.

use crate::common::refused;
use polyarray::prelude::*;

const METRICS: [Metric<'static>; 3] = [Metric::Cosine, Metric::Dot, Metric::Jaccard];

/// Returns a matrix `[n, d]` of which about one element in `per` is stored: small integers, of which some are 0 and
/// many pairs of rows have equal distances.
fn matrix<T: Float>(seed: u64, [n, d]: [usize; 2], per: i64) -> Csr<T> {
    let mut rng = random::Generator::new(seed);
    let chosen = rng.integers::<i64>([n, d], 0..per).unwrap().to_vec().unwrap();
    let values = rng.integers::<i64>([n, d], -2..6).unwrap().to_vec().unwrap();
    let stored = (0..n * d).filter(|&at| chosen[at] == 0);
    Csr::from_triplets([n, d], stored.map(|at| (at / d, at % d, T::from_f64(values[at] as f64)))).unwrap()
}

/// Checks the neighbours of sparse vectors against the distances of the same vectors as dense arrays, on `scalar`,
/// which computes them by their definition.
#[track_caller]
fn check<T: Float>(x: &Csr<T>, y: &Csr<T>, k: usize, metric: Metric) {
    let at = format!("{metric:?} {:?} {:?} k {k}", x.shape(), y.shape());
    let ([n, d], [m, _]) = (x.shape(), y.shape());
    let found = distance::nearest_sparse(x, y, k, metric).unwrap();
    assert_eq!((found.indices.shape(), found.distances.shape()), (&[n, k][..], &[n, k][..]), "{at}");
    let (indices, distances) = (found.indices.to_vec().unwrap(), found.distances.to_vec().unwrap());
    let (x, y) = (x.to_dense().unwrap(), y.to_dense().unwrap());
    let all = with_device(&Device::scalar(), || distance::cdist(&x, &y, metric)).unwrap().to_vec().unwrap();
    let sizes =
        with_device(&Device::scalar(), || x.abs().eval()?.matmul(&y.abs().eval()?.t())).unwrap().to_vec().unwrap();
    let rows = indices.chunks_exact(k).zip(distances.chunks_exact(k)).zip(all.chunks_exact(m.max(1)));
    for (((indices, distances), all), sizes) in rows.zip(sizes.chunks_exact(m.max(1))) {
        // The bounds of the table of metrics: absolute for cosine distances, relative to the sum of the magnitudes of
        // the terms for products. Quotients of counts are exact.
        let bound = |j: usize| {
            let eps = 8.0 * T::EPSILON.to_f64() * (d as f64).sqrt();
            match metric {
                Metric::Cosine => eps,
                Metric::Dot => eps * sizes[j].to_f64(),
                _ => 0.0,
            }
        };
        let key = |distance: T| if metric == Metric::Dot { -distance.to_f64() } else { distance.to_f64() };
        let mut seen = vec![false; m];
        for (&j, &distance) in indices.iter().zip(distances) {
            let j = j as usize;
            let (got, want) = (distance.to_f64(), all[j].to_f64());
            let near = got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= bound(j);
            assert!(near, "{at}: {got}, not {want}");
            assert!(!std::mem::replace(&mut seen[j], true), "{at}: point {j} occurs twice");
        }
        // In order of distance, with NaN last, then of index.
        for (i, pair) in distances.windows(2).enumerate() {
            let (a, b) = (key(pair[0]), key(pair[1]));
            let order = a < b
                || (a == b || a.is_nan() && b.is_nan()) && indices[i] < indices[i + 1]
                || b.is_nan() && !a.is_nan();
            assert!(order, "{at}: {a} before {b}");
        }
        // No other point is nearer, or as near with a lower index, beyond the bound.
        let (last, farthest) = (indices[k - 1] as usize, key(distances[k - 1]));
        for j in (0..m).filter(|&j| !seen[j]) {
            let other = key(all[j]);
            let wrong = other < farthest - bound(j) - bound(last)
                || farthest.is_nan() && (!other.is_nan() || j < last)
                || bound(j) + bound(last) == 0.0 && other == farthest && j < last;
            assert!(!wrong, "{at}: point {j} at {other} was left out, {last} at {farthest} was not");
        }
    }
}

fn check_all<T: Float>() {
    let shapes = [([1, 1], 1, 1), ([5, 4], 3, 2), ([70, 40], 90, 4), ([3, 2000], 300, 30), ([40, 30], 9000, 10)];
    for (seed, (shape, m, per)) in (0..).zip(shapes) {
        let x = matrix::<T>(seed, shape, per);
        let y = matrix::<T>(seed + 100, [m, shape[1]], per);
        for metric in METRICS {
            for k in [1, 2.min(m), 20.min(m), m.min(300)] {
                check(&x, &y, k, metric);
            }
            check(&y.rows(0..m.min(50)).unwrap(), &y, m.min(7), metric);
        }
    }
    // Rows of more numbers than are added one after another, and columns that are few among very many.
    let (x, y) = (matrix::<T>(7, [4, 1000], 2), matrix::<T>(8, [30, 1000], 2));
    for metric in METRICS {
        check(&x, &y, 30, metric);
    }
}

#[test]
fn neighbours_are_those_of_dense_vectors_f32() {
    check_all::<f32>();
}

#[test]
fn neighbours_are_those_of_dense_vectors_f64() {
    check_all::<f64>();
}

#[test]
fn integers_give_the_result_of_dense_neighbours() {
    // Products of small integers and quotients of counts are exact on every device: all ties are resolved in the same
    // way.
    let (x, y) = (matrix::<f32>(1, [90, 50], 3), matrix::<f32>(2, [400, 50], 3));
    for metric in [Metric::Dot, Metric::Jaccard] {
        let sparse = distance::nearest_sparse(&x, &y, 25, metric).unwrap();
        let dense = with_device(&Device::scalar(), || distance::nearest(&x.to_dense()?, &y.to_dense()?, 25, metric));
        let dense = dense.unwrap();
        assert_eq!(sparse.indices, dense.indices, "{metric:?}");
        assert_eq!(sparse.distances, dense.distances, "{metric:?}");
    }
}

#[test]
fn equal_vectors_have_no_distance() {
    let x = matrix::<f32>(3, [300, 700], 2);
    let x = x.map(|v| v * 0.1 + 0.013).unwrap();
    let found = distance::nearest_sparse(&x, &x, 1, Metric::Cosine).unwrap();
    assert_eq!(found.indices.to_vec().unwrap(), (0..300).collect::<Vec<_>>());
    assert_eq!(found.distances, Array::zeros([300, 1]).unwrap());
}

#[test]
fn numbers_of_every_magnitude() {
    fn run<T: Float>(least: f64) {
        let most = T::MAX.to_f64();
        let special = [
            0.0,
            least,
            least * 3.0,
            1.0,
            most.sqrt(),
            most / 2.0,
            most,
            -most,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let mut triplets = Vec::new();
        for (i, a) in special.into_iter().enumerate() {
            for (j, b) in special.into_iter().enumerate() {
                let row = i * special.len() + j;
                triplets.extend([(row, j % 3, T::from_f64(a)), (row, 3 + i % 4, T::from_f64(b))]);
            }
        }
        let n = special.len() * special.len();
        let x = Csr::from_triplets([n + 2, 9], triplets).unwrap();
        let dense = x.to_dense().unwrap();
        for metric in METRICS {
            let all = with_device(&Device::scalar(), || distance::cdist(&dense, &dense, metric)).unwrap();
            let found = distance::nearest_sparse(&x, &x, n + 2, metric).unwrap();
            let in_order = all.take_along_axis(&found.indices, 1).unwrap();
            for (at, (got, want)) in
                found.distances.to_vec().unwrap().into_iter().zip(in_order.to_vec().unwrap()).enumerate()
            {
                let (got, want) = (got.to_f64(), want.to_f64());
                // The bound of cosine distances; two products of at most two numbers are rounded before their sum is.
                let bound = if metric == Metric::Cosine {
                    24.0 * T::EPSILON.to_f64()
                } else {
                    4.0 * T::EPSILON.to_f64() * want.abs() + 2.0 * least
                };
                let near = got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= bound;
                assert!(near, "{metric:?} query {}: {got}, not {want}", at / (n + 2));
            }
            for k in [1, 5, n] {
                let fewer = distance::nearest_sparse(&x, &x, k, metric).unwrap();
                assert_eq!(fewer.indices, found.indices.slice(s![.., ..k]).unwrap(), "{metric:?} k {k}");
            }
        }
    }
    run::<f32>(f64::from(f32::from_bits(1)));
    run::<f64>(f64::from_bits(1));
}

#[test]
fn few_numbers_in_the_largest_matrix() {
    let d = 1 << 32;
    let x = Csr::from_triplets([3, d], [(0, d - 1, 1.0f32), (1, d - 1, 2.0), (1, 5, 1.0), (2, 0, 1.0)]).unwrap();
    let found = distance::nearest_sparse(&x, &x, 3, Metric::Jaccard).unwrap();
    assert_eq!(found.indices, Array::from([[0, 1, 2], [1, 0, 2], [2, 0, 1]]));
    assert_eq!(found.distances, Array::from([[0.0, 0.5, 1.0], [0.0, 0.5, 1.0], [0.0, 1.0, 1.0]]));
}

#[test]
fn rows_without_numbers() {
    let x = Csr::from_triplets([4, 3], [(1, 0, 1.0f32), (3, 0, 0.0)]).unwrap();
    let found = |metric| distance::nearest_sparse(&x, &x, 4, metric).unwrap();
    let jaccard = found(Metric::Jaccard);
    assert_eq!(jaccard.indices.to_vec().unwrap(), [0, 2, 3, 1, 1, 0, 2, 3, 0, 2, 3, 1, 0, 2, 3, 1]);
    assert_eq!(jaccard.distances.to_vec().unwrap()[..4], [0.0, 0.0, 0.0, 1.0]);
    let cosine = found(Metric::Cosine);
    assert_eq!(cosine.indices.to_vec().unwrap()[4..8], [1, 0, 2, 3]);
    assert_eq!(cosine.distances.get([1, 0]).unwrap(), 0.0);
    assert_eq!(cosine.distances.is_nan().eval().unwrap().count_nonzero().unwrap(), 15);
    assert_eq!(found(Metric::Dot).distances.sum().unwrap(), 1.0);
    // No rows, no columns, no numbers.
    for (n, d) in [(0, 3), (2, 0), (2, 3)] {
        let (queries, points) =
            (Csr::<f64>::from_triplets([n, d], []).unwrap(), Csr::from_triplets([3, d], []).unwrap());
        for metric in METRICS {
            check(&queries, &points, 2, metric);
        }
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let (x, y) = (matrix::<f32>(5, [700, 60], 4), matrix::<f32>(6, [9000, 60], 4));
    for metric in METRICS {
        let one = polyarray::with_threads(1, || distance::nearest_sparse(&x, &y, 6, metric)).unwrap();
        for threads in [2, 3, 8] {
            let more = polyarray::with_threads(threads, || distance::nearest_sparse(&x, &y, 6, metric)).unwrap();
            assert_eq!((&more.indices, &more.distances), (&one.indices, &one.distances), "{metric:?} {threads}");
        }
    }
}

#[test]
fn neighbours_of_bad_input() {
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    let x = matrix::<f32>(1, [5, 4], 2);
    for k in [0, 6, usize::MAX] {
        refused(distance::nearest_sparse(&x, &x, k, Metric::Dot), argument, &["nearest_sparse", "k", &k.to_string()]);
    }
    let other = matrix::<f32>(1, [5, 3], 2);
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(distance::nearest_sparse(&x, &other, 1, Metric::Dot), shapes, &["nearest_sparse", "4 and 3"]);
    for metric in Metric::ALL.into_iter().filter(|metric| !METRICS.contains(metric)) {
        refused(distance::nearest_sparse(&x, &x, 1, metric), argument, &[metric.name(), "to_dense"]);
    }
    let half = x.map(f16::from_f32).unwrap();
    let dtype = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(distance::nearest_sparse(&half, &half, 1, Metric::Dot), dtype, &["f16", "f32 and f64"]);
}

#[test]
fn triplets_in_any_order() {
    let rows = [(2, 1, 1.0f32), (0, 2, 0.0), (2, 0, 4.0), (2, 1, 0.5), (0, 0, -1.0), (2, 1, -1.5)];
    let x = Csr::from_triplets([4, 3], rows).unwrap();
    assert_eq!(x.parts(), (&[0, 2, 2, 4, 4][..], &[0, 2, 0, 1][..], &[-1.0, 0.0, 4.0, 0.0][..]));
    assert_eq!(x.row(1).unwrap(), (&[][..], &[][..]));
    let dense = x.to_dense().unwrap();
    assert_eq!(dense.to_vec().unwrap(), [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(Csr::from_dense(&dense).unwrap().parts(), (&[0, 1, 1, 2, 2][..], &[0, 0][..], &[-1.0, 4.0][..]));
    for layout in crate::common::layouts(&dense).unwrap() {
        assert_eq!(Csr::from_dense(&layout).unwrap(), Csr::from_dense(&dense).unwrap());
    }
    // Integers wrap.
    let wrapped = Csr::from_triplets([1, 1], [(0, 0, 100i8), (0, 0, 100)]).unwrap();
    assert_eq!(wrapped.row(0).unwrap().1, [-56]);
    let part = x.rows(1..3).unwrap();
    assert_eq!((part.shape(), part.parts()), ([2, 3], (&[0, 0, 2][..], &[0, 1][..], &[4.0, 0.0][..])));
    assert_eq!(x.rows(4..4).unwrap().shape(), [0, 3]);
    let same = x.clone();
    assert_eq!(same, x);
    let shown = matrix::<f32>(1, [30, 30], 2).to_string();
    assert_eq!((shown.lines().count(), shown.matches("\n..\n").count()), (14, 1), "{shown}");
    assert_eq!(x.to_string().lines().count(), 5);
}

#[test]
fn bad_parts() {
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    let index = |e: &Error| matches!(e, Error::Index { .. });
    let parts = |shape, indptr: &[usize], indices: &[u32], count| {
        Csr::from_parts(shape, indptr.to_vec(), indices.to_vec(), vec![1.0f32; count])
    };
    assert_eq!(parts([2, 3], &[0, 2, 3], &[2, 0, 1], 3).unwrap().parts().1, [0, 2, 1]);
    refused(parts([2, 3], &[], &[], 0), argument, &["indptr", "2 rows"]);
    refused(parts([2, 3], &[0, 1], &[0], 1), argument, &["indptr", "2"]);
    refused(parts([2, 3], &[0, 1, 2], &[0], 1), argument, &["indptr", "2", "1"]);
    refused(parts([2, 3], &[1, 1, 2], &[0, 1], 2), argument, &["indptr[0]"]);
    refused(parts([3, 3], &[0, 2, 1, 2], &[0, 1], 2), argument, &["indptr", "entry 2"]);
    refused(parts([3, 3], &[0, usize::MAX, 1, 2], &[0, 1], 2), argument, &["indptr"]);
    refused(parts([2, 3], &[0, 1, 2], &[0, 3], 2), argument, &["column", "3"]);
    refused(parts([2, 3], &[0, 1, 2], &[0, 1], 3), argument, &["indices", "3 values"]);
    refused(parts([0, (1 << 32) + 1], &[0], &[], 0), argument, &["2^32"]);
    refused(parts([usize::MAX, 1], &[0], &[], 0), argument, &["indptr"]);
    refused(Csr::from_triplets([2, 3], [(2, 0, 1.0)]), index, &["2", "axis 0"]);
    refused(Csr::from_triplets([2, 3], [(1, 3, 1.0)]), index, &["3", "axis 1"]);
    for n in [usize::MAX, usize::MAX / 8, 1 << 50] {
        refused(Csr::<f32>::from_triplets([n, 3], []), |e| matches!(e, Error::OutOfMemory { .. }), &[]);
    }
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(Csr::from_dense(&Array::<f32>::zeros([3]).unwrap()), shapes, &["[3]"]);
    let x = parts([2, 3], &[0, 1, 2], &[0, 1], 2).unwrap();
    refused(x.row(2), index, &["row 2"]);
    refused(x.rows(1..3), index, &["1..3"]);
    refused(x.rows(std::ops::Range { start: 2, end: 1 }), index, &["2..1"]);
}

#[cfg(feature = "npz")]
mod files {
    use crate::common::refused;
    use polyarray::DynArray;
    use polyarray::prelude::*;
    use std::path::{Path, PathBuf};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
    }

    fn file(e: &Error) -> bool {
        matches!(e, Error::File { .. })
    }

    #[test]
    fn scipy_wrote_sparse_matrices() {
        for name in ["sparse_csr.npz", "sparse_csr_stored.npz"] {
            let x = io::read_npz_csr::<f32>(fixture(name)).unwrap();
            assert_eq!(x.shape(), [3, 5]);
            assert_eq!(x.parts(), (&[0, 2, 2, 4][..], &[1, 3, 0, 4][..], &[3.0, -1.0, 0.5, 2.5][..]));
        }
        refused(io::read_npz_csr::<f64>(fixture("sparse_csr.npz")), file, &["data", "holds f32"]);
        refused(io::read_npz_csr::<f32>(fixture("sparse_csc.npz")), file, &["csc", "tocsr"]);
        refused(io::read_npz_csr::<f32>(fixture("stored.npz")), file, &["no array \"format\""]);
        refused(io::read_npz_csr::<f32>("/no/such/file.npz"), file, &["cannot be read"]);
        refused(io::read_npz_csr::<bf16>(fixture("sparse_csr.npz")), file, &["bf16"]);
    }

    /// Every change of a byte gives an error or a matrix, and every part of the file an error.
    #[test]
    fn changed_files() {
        let path = std::env::temp_dir().join(format!("polyarray-sparse-{}.npz", std::process::id()));
        let bytes = std::fs::read(fixture("sparse_csr_stored.npz")).unwrap();
        for at in 0..bytes.len() {
            for to in [0, 0xff, bytes[at] ^ 1] {
                let mut bytes = bytes.clone();
                bytes[at] = to;
                std::fs::write(&path, bytes).unwrap();
                if let Ok(x) = io::read_npz_csr::<f32>(&path) {
                    assert_eq!(x.nnz(), 4);
                }
            }
        }
        for end in (0..bytes.len()).step_by(5) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(io::read_npz_csr::<f32>(&path).is_err(), "the first {end} bytes");
        }
        std::fs::remove_file(&path).ok();
    }

    /// Arrays without the text `format`, which this library cannot write, are refused; their parts are checked by
    /// `Csr::from_parts`.
    #[test]
    fn other_archives() {
        let path = std::env::temp_dir().join(format!("polyarray-parts-{}.npz", std::process::id()));
        let number: DynArray = (&Array::from([1i64])).into();
        io::write_npz(&path, [("format", number)]).unwrap();
        refused(io::read_npz_csr::<f32>(&path), file, &["format", "where a word was expected"]);
        std::fs::remove_file(&path).ok();
    }
}
