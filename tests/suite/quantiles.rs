//! Quantiles by all methods, several at once, and of numbers among NaN, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use proptest::prelude::*;

const NAN: f64 = f64::NAN;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

const QS: [f64; 8] = [0.0, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.625, 0.77, 1.0];

/// The quantiles [`QS`] of eight numbers by each method, in the order of [`Quantile::ALL`].
const EIGHT: [[f64; 8]; 13] = [
    [-4.0, -4.0, -1.5, 0.0, 0.3, 2.25, 7.0, 9.5],
    [-4.0, -4.0, -0.75, 0.0, 1.275, 2.375, 7.0, 9.5],
    [-4.0, -4.0, -1.5, 0.0, 0.3, 2.25, 2.5, 9.5],
    [-4.0, -4.0, -1.5, -0.5000000000000002, 0.3, 2.25, 3.2200000000000006, 9.5],
    [-4.0, -3.25, -0.75, 0.049999999999999954, 1.275, 2.375, 5.470000000000001, 9.5],
    [-4.0, -4.0, -1.125, 0.0, 1.275, 2.40625, 6.684999999999999, 9.5],
    [-4.0, -2.25, -0.375, 0.09999999999999991, 1.275, 2.34375, 4.255000000000003, 9.5],
    [-4.0, -3.583333333333333, -0.8750000000000002, 0.033333333333333215, 1.275, 2.385416666666667, 5.875, 9.5],
    [-4.0, -3.4999999999999996, -0.84375, 0.0375, 1.275, 2.3828125, 5.77375, 9.5],
    [-4.0, -4.0, -1.5, 0.0, 0.3, 2.25, 2.5, 9.5],
    [-4.0, -1.5, 0.0, 0.3, 2.25, 2.5, 7.0, 9.5],
    [-4.0, -2.75, -0.75, 0.15, 1.275, 2.375, 4.75, 9.5],
    [-4.0, -1.5, 0.0, 0.0, 2.25, 2.25, 2.5, 9.5],
];

/// The quantiles 0, 1/6, 0.5, 0.75 and 0.9 of three numbers.
const THREE: [[f64; 5]; 13] = [
    [1.0, 1.0, 2.0, 3.0, 3.0],
    [1.0, 1.0, 2.0, 3.0, 3.0],
    [1.0, 1.0, 2.0, 2.0, 3.0],
    [1.0, 1.0, 1.5, 2.25, 2.7],
    [1.0, 1.0, 2.0, 2.75, 3.0],
    [1.0, 1.0, 2.0, 3.0, 3.0],
    [1.0, 1.3333333333333333, 2.0, 2.5, 2.8],
    [1.0, 1.0, 2.0, 2.8333333333333335, 3.0],
    [1.0, 1.0, 2.0, 2.8125, 3.0],
    [1.0, 1.0, 2.0, 2.0, 2.0],
    [1.0, 2.0, 2.0, 3.0, 3.0],
    [1.0, 1.5, 2.0, 2.5, 2.5],
    [1.0, 1.0, 2.0, 3.0, 3.0],
];

#[test]
fn all_methods_are_those_of_numpy() {
    on_every_device(|_| {
        let (x, y) = (array(&[0.3f64, -1.5, 2.25, 7.0, 2.5, 0.0, -4.0, 9.5]), array(&[3.0f64, 1.0, 2.0]));
        for (method, (eight, three)) in Quantile::ALL.into_iter().zip(EIGHT.iter().zip(&THREE)) {
            nearly(&x.quantiles_axis_with(&QS, 0, method)?, eight);
            for (q, want) in QS.into_iter().zip(eight) {
                nearly(&array(&[x.quantile_with(q, method)?]), &[*want]);
            }
            nearly(&y.quantiles_axis_with(&[0.0, 1.0 / 6.0, 0.5, 0.75, 0.9], 0, method)?, three);
            // One element, and a number of elements for which n q is not exact.
            assert_eq!(array(&[7.0f64]).quantile_with(0.3, method)?, 7.0, "{method:?}");
            let hundred = Array::<f64>::arange(0.0, 100.0, 1.0)?;
            assert!((hundred.quantile_with(0.29, method)? - 28.5).abs() <= 1.0, "{method:?}");
        }
        Ok(())
    });
}

#[test]
fn several_quantiles_are_the_first_axis() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![3.0, 1.0, 2.0, 9.0, 7.0, 8.0], [2, 3])?;
        for x in layouts(&x)? {
            assert_eq!(x.quantiles(&[0.0, 0.5, 1.0])?.to_vec()?, [1.0, 5.0, 9.0]);
            let rows = x.quantiles_axis(&[0.5, 0.0], 1)?;
            assert_eq!((rows.shape(), rows.to_vec()?), (&[2, 2][..], vec![2.0, 8.0, 1.0, 7.0]));
            assert_eq!(x.quantiles_axis(&[0.5, 0.0, 1.0], axis([0, 1]).keepdims())?.shape(), [3, 1, 1]);
            assert_eq!(x.quantiles(&[])?.shape(), [0]);
        }
        let ints = array(&[5u8, 1, 9]);
        assert_eq!(ints.quantiles_axis_with(&[0.1, 0.9], 0, Quantile::Higher)?.to_vec()?, [5.0, 9.0]);
        nearly(&array(&[1.0, NAN]).quantiles(&[0.0, 1.0])?, &[NAN, NAN]);
        nearly(&array::<f64>(&[]).quantiles(&[0.0, 1.0])?, &[NAN, NAN]);
        assert_eq!(Array::<f64>::zeros([0, 3])?.quantiles_axis(&[0.5], 1)?.shape(), [1, 0]);
        Ok(())
    });
    let x = array(&[1.0, 2.0]);
    refused(x.quantiles(&[0.5, 1.5]), |e| matches!(e, Error::Argument { .. }), &["q = 1.5"]);
    refused(x.quantiles_axis(&[0.5], 1), |e| matches!(e, Error::Axis { .. }), &["quantiles"]);
    let z = array(&[Complex::new(1.0, 0.0)]);
    refused(z.quantiles(&[0.5]), |e| matches!(e, Error::DTypeUndefined { .. }), &["quantiles"]);
}

/// The quantiles 0.3 of the rows of a matrix with NaN, and of the whole matrix.
const AMONG_NAN: [([f64; 4], f64); 13] = [
    ([1.0, 7.0, NAN, -2.5], 3.0),
    ([1.0, 7.0, NAN, -2.5], 3.0),
    ([1.0, 7.0, NAN, -2.5], 1.0),
    ([1.0, 7.0, NAN, -2.5], 1.2000000000000002),
    ([1.7999999999999998, 7.0, NAN, 0.09999999999999964], 2.2),
    ([1.4, 7.0, NAN, -1.2000000000000002], 1.7999999999999998),
    ([2.2, 7.0, NAN, 1.4], 2.5999999999999996),
    ([1.6666666666666665, 7.0, NAN, -0.3333333333333339], 2.0666666666666664),
    ([1.6999999999999997, 7.0, NAN, -0.22500000000000098], 2.1000000000000005),
    ([1.0, 7.0, NAN, -2.5], 1.0),
    ([3.0, 7.0, NAN, 4.0], 3.0),
    ([2.0, 7.0, NAN, 0.75], 2.0),
    ([3.0, 7.0, NAN, 4.0], 3.0),
];

#[test]
fn quantiles_of_numbers_among_nan() {
    on_every_device(|_| {
        let data = [3.0, NAN, 1.0, 8.0, NAN, NAN, NAN, 7.0, NAN, NAN, NAN, NAN, 4.0, -2.5, NAN, 6.0];
        for x in layouts(&Array::from_slice(&data, [4, 4])?)? {
            for (method, (rows, whole)) in Quantile::ALL.into_iter().zip(AMONG_NAN) {
                nearly(&x.nanquantile_axis_with(0.3, 1, method)?, &rows);
                nearly(&array(&[x.nanquantile_with(0.3, method)?]), &[whole]);
            }
            assert_eq!((x.nanmedian()?, x.nanquantile(1.0)?), (4.0, 8.0));
            nearly(&x.nanmedian_axis(1)?, &[3.0, 7.0, NAN, 4.0]);
            nearly(&x.nanmedian_axis(axis(0).keepdims())?, &[3.5, -2.5, 1.0, 7.0]);
            assert_eq!(x.nanmedian_axis(axis([0, 1]).keepdims())?.shape(), [1, 1]);
            nearly(&x.t().nanquantile_axis(0.5, 0)?, &[3.0, 7.0, NAN, 4.0]);
        }
        // Extremes of the interpolation.
        let inf = f64::INFINITY;
        let rows = Array::from_vec(vec![NAN, 1e308, -1e308, NAN, inf, 1.0, inf, -inf, NAN], [3, 3])?;
        nearly(&rows.nanquantile_axis(0.25, 1)?, &[-0.5e308, inf, NAN]);
        nearly(&rows.nanmedian_axis(1)?, &[0.0, inf, NAN]);
        nearly(&rows.nanquantile_axis(0.0, 1)?, &[-1e308, 1.0, -inf]);
        let halves = array(&[1.0, NAN, 2.0].map(f16::from_f64));
        assert_eq!(halves.nanmedian()?.to_f64(), 1.5);
        assert_eq!(array(&[3i32, 1]).nanmedian()?, 2.0);
        Ok(())
    });
    let x = array(&[1.0, NAN]);
    refused(x.nanquantile(-0.5), |e| matches!(e, Error::Argument { .. }), &["nanquantile: q = -0.5"]);
    refused(x.nanmedian_axis(1), |e| matches!(e, Error::Axis { .. }), &["nanmedian"]);
    assert!(array::<f32>(&[]).nanmedian().unwrap().is_nan());
}

#[test]
fn the_smallest_elements_are_in_order() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![1.0, NAN, 7.0, 3.0, 7.0, -2.0, 0.0, -0.0, 5.0, 5.0], [2, 5])?;
        let (values, indices) = x.bottomk(3, 1)?;
        assert_eq!(indices.to_vec()?, [0, 3, 2, 0, 1, 2]);
        assert_eq!(values.to_vec()?, [1.0, 3.0, 7.0, -2.0, 0.0, -0.0]);
        assert_eq!(x.bottomk(5, 1)?.1.to_vec()?[..5], [0, 3, 2, 4, 1]);
        assert_eq!(x.bottomk(1, 0)?.1.to_vec()?, [1, 1, 1, 0, 1]);
        assert_eq!((&x * -1.0).bottomk(1, 1)?.0.to_vec()?, [-7.0, -5.0]);
        assert_eq!(x.bottomk(0, 0)?.0.shape(), [0, 5]);
        Ok(())
    });
    refused(array(&[1]).bottomk(2, 0), |e| matches!(e, Error::Argument { .. }), &["bottomk: k = 2"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Quantiles of numbers among NaN have the bits of the quantiles of the numbers.
    #[test]
    fn nan_does_not_affect_quantiles(
        data in prop::collection::vec(prop_oneof![2 => -1e3..1e3f64, 1 => Just(NAN)], 12),
        q in 0.0..=1.0f64,
        method in 0..13usize,
    ) {
        let method = Quantile::ALL[method];
        on_every_device(|_| {
            let got = Array::from_slice(&data, [3, 4])?.nanquantile_axis_with(q, 1, method)?.to_vec()?;
            for (row, got) in data.chunks_exact(4).zip(got) {
                let numbers: Vec<f64> = row.iter().copied().filter(|x| !x.is_nan()).collect();
                let want = array(&numbers).quantile_with(q, method)?;
                assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{got} not {want}");
            }
            Ok(())
        });
    }
}
