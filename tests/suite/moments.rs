//! Ranges, averages, covariances and correlations, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;

const NAN: f64 = f64::NAN;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

fn rows() -> Array<f64> {
    Array::from_slice(&[1.5, 2.0, -0.25, 4.0, 3.0, 1.0, 4.0, 1.0, 2.0, 7.0, 1.0, 8.0], [3, 4]).unwrap()
}

#[test]
fn covariances_in_any_layout() {
    on_every_device(|_| {
        for x in layouts(&rows())? {
            nearly(
                &x.cov(1)?,
                &[
                    3.0572916666666665,
                    -2.270833333333333,
                    5.375,
                    -2.270833333333333,
                    2.25,
                    -5.166666666666666,
                    5.375,
                    -5.166666666666666,
                    12.333333333333332,
                ],
            );
            nearly(&x.cov(0)?.diagonal(0, 1)?, &[2.29296875, 1.6875, 9.25]);
            let (a, b, c) = (-0.8658159163963445, 0.8753259375971045, -0.9807965956109156);
            nearly(&x.corrcoef()?, &[1.0, a, b, a, 1.0, c, b, c, 1.0]);
            assert!(x.corrcoef()?.abs().max()? <= 1.0);
        }
        let f32s = rows().cast::<f32>().eval()?;
        nearly(&f32s.cov(0)?.diagonal(0, 1)?, &[2.29296875, 1.6875, 9.25]);
        let halves = rows().cast::<f16>().eval()?;
        assert_eq!(halves.cov(1)?.get([1, 1])?.to_f64(), 2.25);
        Ok(())
    });
}

#[test]
fn covariances_of_other_shapes_and_dtypes() {
    on_every_device(|_| {
        let line = array(&[1i32, 2, 3, 6]);
        assert_eq!((line.cov(0)?.shape(), line.cov(0)?.item()?, line.corrcoef()?.item()?), (&[][..], 3.5, 1.0));
        let c = Complex::new;
        let z = Array::from_vec(
            vec![c(1.0, 2.0), c(3.0, -1.0), c(0.0, 0.5), c(2.0, -2.0), c(0.0, 1.0), c(4.0, 0.0)],
            [2, 3],
        )?;
        let cov = z.cov(1)?;
        nearly(&cov.real()?, &[4.583333333333333, -5.25, -5.25, 6.333333333333333]);
        nearly(&cov.imag()?, &[0.0, 1.0 / 3.0, -1.0 / 3.0, 0.0]);
        nearly(&z.corrcoef()?.imag()?, &[0.0, 0.06186882248897462, -0.06186882248897462, 0.0]);
        nearly(&Array::<f64>::ones([2, 1])?.cov(1)?, &[NAN; 4]);
        nearly(&Array::<f64>::ones([2, 3])?.corrcoef()?, &[NAN; 4]);
        nearly(&Array::<f64>::zeros([2, 0])?.cov(0)?, &[NAN; 4]);
        assert_eq!(Array::<f64>::zeros([0, 3])?.cov(1)?.shape(), [0, 0]);
        Ok(())
    });
    let cube = Array::<f64>::zeros([1, 1, 1]).unwrap();
    refused(cube.cov(1), |e| matches!(e, Error::Argument { .. }), &["cov", "3"]);
    refused(Array::full((), 1.0).unwrap().corrcoef(), |e| matches!(e, Error::Argument { .. }), &["corrcoef", "0"]);
}

/// Blocks of columns are centred by the means of the whole rows.
#[test]
fn covariances_of_long_rows() {
    on_every_device(|_| {
        let (rows, n) = (3, 100_003);
        let number = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f64 / 1e5 + 1e6;
        let data: Vec<f64> = (0..rows * n).map(number).collect();
        let x = Array::from_slice(&data, [rows, n])?;
        let means: Vec<f64> =
            data.chunks(n).map(|row| 1e6 + row.iter().map(|x| x - 1e6).sum::<f64>() / n as f64).collect();
        let wanted: Vec<f64> = (0..rows * rows)
            .map(|at| {
                let (i, j) = (at / rows, at % rows);
                let pairs = data[i * n..][..n].iter().zip(&data[j * n..][..n]);
                pairs.map(|(x, y)| (x - means[i]) * (y - means[j])).sum::<f64>() / (n - 1) as f64
            })
            .collect();
        for x in [x.clone(), x.t().to_contiguous()?.t()] {
            let got = x.cov(1)?.to_vec()?;
            assert!(got.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?}, not {wanted:?}");
        }
        Ok(())
    });
}

#[test]
fn averages_with_weights() {
    on_every_device(|_| {
        for x in layouts(&rows())? {
            nearly(&x.average_axis(&array(&[1.0, 2.0, 0.5, 0.25]), 1)?, &[1.7, 1.9333333333333333, 4.933333333333334]);
            let weights = Array::<f64>::arange(0.0, 12.0, 1.0)?.reshape([4, 3])?;
            nearly(&x.average_axis(&weights, [1, 0])?, &[3.340909090909091]);
            nearly(&x.average_axis(&weights.t(), axis([0, 1]).keepdims())?, &[3.340909090909091]);
            assert!((x.average(&x)? - 4.885036496350365).abs() < 1e-14);
            assert_eq!(x.average_axis(&array(&[1.0; 3]), axis(0).keepdims())?.shape(), [1, 4]);
        }
        assert_eq!(array(&[1i32, 2]).average(&array(&[1.0, 3.0]))?, 1.75);
        let halves = Array::full([4], f16::from_f64(60000.0))?;
        assert_eq!(halves.average(&Array::full([4], f16::from_f64(2.0))?)?.to_f64(), 60000.0);
        Ok(())
    });
    let (x, shapes) = (rows(), |e: &Error| matches!(e, Error::Shapes { .. }));
    refused(x.average(&array(&[1.0; 4])), shapes, &["[3, 4]", "[4]"]);
    refused(x.average_axis(&array(&[1.0; 4]), 0), shapes, &["average", "[4]"]);
    refused(x.average_axis(&array(&[1.0, -1.0, 1.0, -1.0]), 1), |e| matches!(e, Error::Argument { .. }), &["sum 0"]);
    refused(x.average_axis(&array(&[1.0; 4]), 2), |e| matches!(e, Error::Axis { .. }), &["average"]);
    refused(array::<f64>(&[]).average(&array(&[])), |e| matches!(e, Error::Argument { .. }), &["sum 0"]);
}

#[test]
fn ranges() {
    on_every_device(|_| {
        for x in layouts(&rows())? {
            assert_eq!((x.ptp()?, x.ptp_axis(1)?.to_vec()?), (8.25, vec![4.25, 3.0, 7.0]));
            assert_eq!((&x * 2.0).ptp_axis(axis(0).keepdims())?.to_vec()?, [3.0, 12.0, 8.5, 14.0]);
        }
        assert_eq!(array(&[i8::MIN, i8::MAX]).ptp()?, -1);
        assert!(array(&[1.0, NAN]).ptp()?.is_nan());
        Ok(())
    });
    refused(array::<f64>(&[]).ptp(), |e| matches!(e, Error::Empty { .. }), &["max"]);
    refused(array(&[true]).ptp(), |e| matches!(e, Error::DTypeUndefined { .. }), &["bool"]);
}
