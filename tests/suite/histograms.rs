//! Histograms of given edges, bins by search, and interpolation, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

#[test]
fn edges_may_be_anywhere() {
    on_every_device(|_| {
        let (edges, weights) = (array(&[0.0, 0.5, 1.0, 5.0]), Array::<f64>::arange(0.0, 4.0, 0.5)?.reshape([2, 4])?);
        let x = Array::from_vec(vec![0.1, 0.5, 1.0, 2.0, 5.0, -1.0, NAN, 3.0], [2, 4])?;
        for x in layouts(&x)? {
            assert_eq!(x.histogram_edges(&edges)?.to_vec()?, [1, 1, 4]);
            assert_eq!(x.histogram_weighted(&edges, &weights)?.to_vec()?, [0.0, 0.5, 8.0]);
            nearly(&x.histogram_density(&edges)?, &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0]);
        }
        // Edges that are equal or infinite, and elements that are integers.
        assert_eq!(array(&[1.0, 2.0, 2.0]).histogram_edges(&array(&[1.0, 2.0, 2.0]))?.to_vec()?, [1, 2]);
        assert_eq!(x.histogram_edges(&array(&[-INF, 1.0, INF]))?.to_vec()?, [3, 4]);
        let ints = array(&[0u8, 1, 2, 3, 9]);
        assert_eq!(ints.histogram_edges(&array(&[0.0, 1.5, 3.0]))?.to_vec()?, [2, 2]);
        assert_eq!(
            ints.histogram_weighted(&array(&[0.0, 1.5, 3.0]), &array(&[1i64, 2, 3, 4, 5]))?.to_vec()?,
            [3.0, 7.0]
        );
        let (counts, same) =
            (x.histogram_edges(&x.histogram_bin_edges(4, Some((0.0, 5.0)))?)?, x.histogram(4, Some((0.0, 5.0)))?);
        assert_eq!(counts.to_vec()?, same.0.to_vec()?);
        let empty = array::<f64>(&[]);
        assert_eq!(
            (empty.histogram_edges(&edges)?.to_vec()?, empty.histogram_bin_edges(1, None)?.to_vec()?),
            (vec![0; 3], vec![0.0, 1.0])
        );
        assert_eq!(empty.histogram_weighted(&edges, &empty)?.to_vec()?, [0.0; 3]);
        nearly(&empty.histogram_density(&edges)?, &[NAN; 3]);
        Ok(())
    });
}

#[test]
fn two_axes_of_bins() {
    on_every_device(|_| {
        let x = array(&[0.1, 0.5, 1.0, 2.0, 5.0, -1.0, 2.2, 3.0]).reshape([2, 4])?;
        let y = array(&[5.0, 3.0, 1.0, 0.2, 0.1, 1.0, 2.0, 6.0]).reshape([2, 4])?;
        let (edges, others) = (array(&[0.0, 0.5, 1.0, 5.0]), array(&[0.0, 1.0, 5.0]));
        for (x, y) in layouts(&x)?.iter().zip(layouts(&y)?.iter().rev()) {
            let counts = x.histogram2d(y, &edges, &others)?;
            assert_eq!((counts.shape(), counts.to_vec()?), (&[3, 2][..], vec![0, 1, 0, 1, 2, 2]));
        }
        let empty = array::<f64>(&[]);
        assert_eq!(empty.histogram2d(&empty, &edges, &others)?.to_vec()?, [0; 6]);
        Ok(())
    });
}

#[test]
fn bins_by_search() {
    on_every_device(|_| {
        let x = array(&[0.1, 0.5, 1.0, 2.0, 5.0, -1.0, NAN, 3.0]).reshape([2, 4])?;
        let up = array(&[0.0, 0.5, 1.0, 5.0]);
        let down = up.slice(s![..;-1])?;
        for x in layouts(&x)? {
            assert_eq!(x.digitize(&up, Side::Left)?.to_vec()?, [1, 2, 3, 3, 4, 0, 4, 3]);
            assert_eq!(x.digitize(&up, Side::Right)?.to_vec()?, [1, 1, 2, 3, 3, 0, 4, 3]);
            assert_eq!(x.digitize(&down, Side::Left)?.to_vec()?, [3, 2, 1, 1, 0, 4, 0, 1]);
            assert_eq!(x.digitize(&down, Side::Right)?.to_vec()?, [3, 3, 2, 1, 1, 4, 0, 1]);
            assert_eq!(x.digitize(&up, Side::Left)?.shape(), [2, 4]);
        }
        assert_eq!(array(&[3u8, 200]).digitize(&array(&[5, 100]), Side::Left)?.to_vec()?, [0, 2]);
        assert_eq!(x.digitize(&array(&[]), Side::Left)?.to_vec()?, [0; 8]);
        Ok(())
    });
}

#[test]
fn weights_of_integers() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![1u8, 3, 1, 0], [2, 2])?;
        let weights = Array::from_vec(vec![0.5f32, 1.0, 0.25, -1.0], [2, 2])?;
        assert_eq!(x.bincount_weighted(&weights, 6)?.to_vec()?, [-1.0, 0.75, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(x.t().bincount_weighted(&weights.t(), 0)?.to_vec()?, [-1.0, 0.75, 0.0, 1.0]);
        assert_eq!(array(&[true, false]).bincount_weighted(&array(&[7i32, 8]), 0)?.to_vec()?, [8.0, 7.0]);
        assert_eq!(array::<i64>(&[]).bincount_weighted(&array::<f64>(&[]), 2)?.to_vec()?, [0.0, 0.0]);
        Ok(())
    });
}

#[test]
fn interpolation_between_points() {
    on_every_device(|_| {
        let (x, y) = (array(&[0.0, 1.0, 2.0]), array(&[10.0, 20.0, -5.0]));
        let at = array(&[-1.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0, NAN]).reshape([2, 4])?;
        for at in layouts(&at)? {
            let values = at.interp(&x, &y)?;
            assert_eq!(values.shape(), [2, 4]);
            nearly(&values, &[10.0, 10.0, 12.5, 20.0, 7.5, -5.0, -5.0, NAN]);
        }
        let (twice, steps) = (array(&[0.0, 1.0, 1.0, 2.0]), array(&[0.0, 1.0, 5.0, 6.0]));
        nearly(&array(&[0.5, 1.0, 1.5]).interp(&twice, &steps)?, &[0.5, 5.0, 5.5]);
        nearly(&array(&[0.5, 1.5]).interp(&x, &array(&[INF, INF, 1.0]))?, &[INF, INF]);
        // A point is exact whatever follows it.
        for next in [INF, f64::NAN, 1.7e308] {
            assert_eq!(array(&[0.0]).interp(&array(&[0.0, 1.0]), &array(&[-1.7e308, next]))?.item()?, -1.7e308);
        }
        nearly(&array(&[1, 3]).interp(&array(&[0, 2]), &array(&[10, 20]))?, &[15.0, 20.0]);
        assert_eq!(array::<f64>(&[]).interp(&x, &y)?.shape(), [0]);
        Ok(())
    });
}

#[test]
fn bad_input_is_an_error() {
    let (x, edges) = (array(&[1.0, 2.0]), array(&[0.0, 1.0]));
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    for bad in [array(&[1.0]), array(&[2.0, 1.0]), array(&[0.0, NAN]), array(&[]), edges.expand_dims(0).unwrap()] {
        refused(x.histogram_edges(&bad), argument, &["histogram_edges", "edges"]);
        refused(x.histogram_weighted(&bad, &x), argument, &["histogram_weighted"]);
        refused(x.histogram2d(&x, &edges, &bad), argument, &["histogram2d"]);
    }
    refused(x.digitize(&array(&[1.0, 3.0, 2.0]), Side::Left), argument, &["digitize", "[3]"]);
    refused(x.digitize(&edges.expand_dims(0).unwrap(), Side::Left), argument, &["digitize"]);
    refused(x.histogram_bin_edges(0, None), argument, &["histogram_bin_edges"]);
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(x.histogram_weighted(&edges, &array(&[1.0])), shapes, &["[2]", "[1]"]);
    refused(x.histogram2d(&array(&[1.0]), &edges, &edges), shapes, &["histogram2d"]);
    refused(array(&[1]).bincount_weighted(&x, 0), shapes, &["bincount_weighted"]);
    refused(array(&[-1, 0]).bincount_weighted(&x, 0), argument, &["-1"]);
    refused(x.bincount_weighted(&x, 0), |e| matches!(e, Error::DTypeUndefined { .. }), &["f64"]);
    let z = array(&[Complex::new(1.0, 0.0); 2]);
    refused(array(&[1, 0]).bincount_weighted(&z, 0), |e| matches!(e, Error::DTypeUndefined { .. }), &["c64"]);
    assert!(
        array(&[u64::MAX, 0]).bincount_weighted(&x, 0).is_err()
            && array(&[0u8, 1]).bincount_weighted(&x, usize::MAX).is_err()
    );
    refused(x.interp(&edges, &array(&[1.0])), shapes, &["interp"]);
    refused(x.interp(&array(&[1.0, 0.0]), &edges), argument, &["interp", "ascend"]);
    refused(x.interp(&array(&[0.0, NAN]), &edges), argument, &["interp"]);
    refused(x.interp(&array(&[]), &array(&[])), |e| matches!(e, Error::Empty { .. }), &["interp"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_element_is_in_its_bin(
        data in prop::collection::vec(-50..50i32, 0..200),
        edges in prop::collection::btree_set(-60..60i32, 2..9),
    ) {
        let edges: Vec<f64> = edges.into_iter().map(f64::from).collect();
        let last = edges.len() - 2;
        let inside = |x: f64, i: usize| edges[i] <= x && (x < edges[i + 1] || i == last && x == edges[i + 1]);
        let count = |i: usize| data.iter().filter(|&&x| inside(f64::from(x), i)).count() as i64;
        let want: Vec<i64> = (0..edges.len() - 1).map(count).collect();
        on_every_device(|_| {
            assert_eq!(array(&data).histogram_edges(&array(&edges))?.to_vec()?, want);
            let ones = Array::<f32>::ones([data.len()])?;
            let sums = array(&data).histogram_weighted(&array(&edges), &ones)?.to_vec()?;
            assert!(sums.iter().zip(&want).all(|(sum, want)| *sum == *want as f32));
            Ok(())
        });
    }
}
