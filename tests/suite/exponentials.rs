//! Sums of exponentials without overflow, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[test]
fn known_values_in_any_layout() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![0.5f64, -1.25, 2.0, 3.0, 3.0, 3.0], [2, 3])?;
        let third = 1.0 / 3.0;
        let softmax = [0.17682018210744427, 0.03072674032643643, 0.7924530775661193, third, third, third];
        for x in layouts(&x)? {
            nearly(&x.logsumexp_axis(1)?, &[2.2326219831020326, 4.09861228866811]);
            assert!((x.logsumexp()? - 4.2424900028701655).abs() < 1e-14);
            nearly(&x.logsumexp_axis([0, 1])?, &[4.2424900028701655]);
            nearly(&x.softmax(1)?, &softmax);
            nearly(&x.softmax(-1)?, &softmax);
            nearly(&x.log_softmax(1)?, &softmax.map(f64::ln));
            nearly(&x.softmax([0, 1])?.sum_axis([0, 1])?, &[1.0]);
            assert_eq!(x.logsumexp_axis(axis(0).keepdims())?.shape(), [1, 3]);
        }
        Ok(())
    });
}

#[test]
fn f32_runs_everywhere() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![100.0f32, 100.0, -100.0, -100.0], [2, 2])?;
        nearly(&x.softmax(1)?, &[0.5; 4]);
        nearly(&x.logsumexp_axis(1)?, &[100.0 + 2f64.ln(), -100.0 + 2f64.ln()]);
        Ok(())
    });
}

#[test]
fn large_and_infinite_elements() {
    on_every_device(|_| {
        let of = |data: &[f64]| Array::from_slice(data, [data.len()]).unwrap();
        assert_eq!(of(&[1e4, 1e4]).logsumexp()?, 1e4 + 2f64.ln());
        assert_eq!(of(&[-1e4, -1e4]).logsumexp()?, -1e4 + 2f64.ln());
        assert_eq!((of(&[INF, 1.0]).logsumexp()?, of(&[-INF, -INF]).logsumexp()?), (INF, -INF));
        assert_eq!((of(&[-INF, 2.0]).logsumexp()?, of(&[INF, -INF]).logsumexp()?), (2.0, INF));
        assert!(of(&[NAN, 1.0]).logsumexp()?.is_nan());
        nearly(&of(&[-1e4, 0.0, -INF]).softmax(0)?, &[0.0, 1.0, 0.0]);
        nearly(&of(&[-1e4, 0.0, -INF]).log_softmax(0)?, &[-1e4, 0.0, -INF]);
        nearly(&of(&[-INF, -INF]).softmax(0)?, &[NAN, NAN]);
        nearly(&of(&[1.0, INF]).softmax(0)?, &[NAN, NAN]);
        Ok(())
    });
}

#[test]
fn other_dtypes_shapes_and_errors() {
    on_every_device(|_| {
        nearly(&Array::from_vec(vec![1i32, 1], [2])?.softmax(0)?, &[0.5, 0.5]);
        // The sum of the exponentials does not fit in f16.
        let halves = Array::full([20_000], f16::from_f64(2.0))?;
        let want = f16::from_f64(2.0 + 20_000f64.ln());
        assert_eq!(halves.logsumexp()?, want);
        assert_eq!(
            (Array::full((), 2.0)?.logsumexp()?, Array::full((), 2.0)?.softmax([0isize; 0])?.item()?),
            (2.0, 1.0)
        );
        let empty = Array::<f64>::zeros([0, 3])?;
        assert_eq!((empty.logsumexp()?, empty.softmax(0)?.shape()), (-INF, &[0, 3][..]));
        assert_eq!(empty.logsumexp_axis(0)?.to_vec()?, [-INF; 3]);
        assert_eq!(empty.logsumexp_axis(1)?.shape(), [0]);
        Ok(())
    });
    let z = Array::full([2], Complex::new(1.0f64, 0.0)).unwrap();
    refused(z.softmax(0), |e| matches!(e, Error::DTypeUndefined { .. }), &["softmax", "c64"]);
    refused(z.logsumexp(), |e| matches!(e, Error::DTypeUndefined { .. }), &["logsumexp"]);
    let x = Array::<f64>::ones([2]).unwrap();
    refused(x.softmax(1), |e| matches!(e, Error::Axis { .. }), &["softmax"]);
    refused(x.log_softmax([0, 0]), |e| matches!(e, Error::RepeatedAxis { .. }), &["log_softmax"]);
}
