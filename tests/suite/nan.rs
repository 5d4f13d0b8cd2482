//! Reductions that ignore NaN, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// Rows with one NaN, with one number, without numbers, and with a NaN between numbers.
fn rows() -> Array<f64> {
    let data = [3.0, NAN, 1.0, 8.0, NAN, NAN, NAN, 7.0, NAN, NAN, NAN, NAN, 4.0, -2.5, NAN, 6.0];
    Array::from_slice(&data, [4, 4]).unwrap()
}

#[test]
fn nan_is_ignored_in_any_layout() {
    on_every_device(|_| {
        for x in layouts(&rows())? {
            assert_eq!((x.nansum()?, x.nanprod()?), (26.5, -10080.0));
            nearly(&x.nansum_axis(1)?, &[12.0, 7.0, 0.0, 7.5]);
            nearly(&x.nanprod_axis(0)?, &[12.0, -2.5, 1.0, 336.0]);
            assert_eq!((x.nanmin()?, x.nanmax()?), (-2.5, 8.0));
            nearly(&x.nanmin_axis(1)?, &[1.0, 7.0, NAN, -2.5]);
            nearly(&x.nanmax_axis(1)?, &[8.0, 7.0, NAN, 6.0]);
            nearly(&x.nanmax_axis(0)?, &[4.0, -2.5, 1.0, 8.0]);
            assert!((x.nanmean()? - 3.7857142857142856).abs() < 1e-14 * 3.7857142857142856);
            nearly(&x.nanmean_axis(1)?, &[4.0, 7.0, NAN, 2.5]);
            nearly(&x.nanmean_axis(0)?, &[3.5, -2.5, 1.0, 7.0]);
            assert!((x.nanvar(0)? - 11.561224489795919).abs() < 1e-14 * 11.561224489795919);
            assert!((x.nanvar(1)? - 13.488095238095239).abs() < 1e-14 * 13.488095238095239);
            nearly(&x.nanvar_axis(1, 0)?, &[8.666666666666666, 0.0, NAN, 13.166666666666666]);
            nearly(&x.nanvar_axis(1, 1)?, &[13.0, NAN, NAN, 19.75]);
            nearly(&x.nanstd_axis(0, 0)?, &[0.5, 0.0, 0.0, 0.816496580927726]);
            assert!((x.nanstd(0)? - 3.400180067260544).abs() < 1e-14 * 3.400180067260544);
            assert_eq!((x.nanargmin()?, x.nanargmax()?), (13, 3));
            assert_eq!(x.slice(s![..2])?.nanargmin_axis(1)?.to_vec()?, [2, 3]);
            assert_eq!(x.slice(s![..2])?.nanargmax_axis(axis(1).keepdims())?.shape(), [2, 1]);
            assert_eq!(x.nanmean_axis(axis(0).keepdims())?.shape(), [1, 4]);
            assert_eq!(x.nanvar_axis(axis([0, 1]).keepdims(), 0)?.shape(), [1, 1]);
            nearly(&x.nanmean_axis([1, 0])?, &[3.7857142857142856]);
        }
        Ok(())
    });
}

/// On a GPU, too, which has no f64.
#[test]
fn nan_is_ignored_in_f32() {
    on_every_device(|_| {
        let x = rows().cast::<f32>().eval()?;
        nearly(&x.nansum_axis(1)?, &[12.0, 7.0, 0.0, 7.5]);
        nearly(&x.nanmin_axis(1)?, &[1.0, 7.0, NAN, -2.5]);
        nearly(&x.nanmean_axis(1)?, &[4.0, 7.0, NAN, 2.5]);
        nearly(&x.nanstd_axis(1, 0)?, &[2.943920288775949, 0.0, NAN, 3.6285901761795403]);
        Ok(())
    });
}

#[test]
fn infinities_are_not_taken_for_nan() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![NAN, INF, INF, NAN, -INF, -INF], [2, 3])?;
        nearly(&x.nanmin_axis(1)?, &[INF, -INF]);
        nearly(&x.nanmax_axis(1)?, &[INF, -INF]);
        assert_eq!(x.nanargmin_axis(1)?.to_vec()?, [1, 1]);
        assert_eq!(x.nanargmax_axis(1)?.to_vec()?, [1, 1]);
        nearly(&x.nanmean_axis(1)?, &[INF, -INF]);
        nearly(&x.nanvar_axis(1, 0)?, &[NAN, NAN]);
        assert_eq!((x.nanmin()?, x.nanmax()?, x.nanargmax()?), (-INF, INF, 1));
        assert!(x.nansum()?.is_nan(), "infinities of both signs");
        Ok(())
    });
}

#[test]
fn lines_without_numbers_have_no_index() {
    let nothing = Array::full([2, 2], NAN).unwrap();
    assert!(nothing.nanmin().unwrap().is_nan() && nothing.nanmean().unwrap().is_nan());
    assert_eq!((nothing.nansum().unwrap(), nothing.nanprod().unwrap()), (0.0, 1.0));
    let is = |e: &Error| matches!(e, Error::Argument { .. });
    refused(nothing.nanargmin(), is, &["nanargmin", "NaN"]);
    refused(rows().nanargmax_axis(1), is, &["nanargmax", "NaN"]);
    refused(rows().nanargmin_axis([0, 1]), |e| matches!(e, Error::OneAxis { .. }), &["nanargmin"]);
    refused(rows().nansum_axis(2), |e| matches!(e, Error::Axis { .. }), &["nansum"]);
    refused(rows().nanmean_axis([0, 0]), |e| matches!(e, Error::RepeatedAxis { .. }), &["nanmean"]);
    refused(rows().nanvar_axis(-3, 0), |e| matches!(e, Error::Axis { .. }), &["nanvar"]);
    let empty = Array::<f32>::zeros([0, 3]).unwrap();
    assert_eq!((empty.nansum().unwrap(), empty.nanprod().unwrap()), (0.0, 1.0));
    assert!(empty.nanmean().unwrap().is_nan() && empty.nanvar(0).unwrap().is_nan());
    assert_eq!(empty.nanmean_axis(1).unwrap().shape(), [0]);
    assert!(empty.nanstd_axis(0, 0).unwrap().to_vec().unwrap().iter().all(|x| x.is_nan()));
    refused(empty.nanmax(), |e| matches!(e, Error::Empty { .. }), &["nanmax"]);
    refused(empty.nanargmax(), |e| matches!(e, Error::Empty { .. }), &["nanargmax"]);
}

#[test]
fn other_dtypes() {
    on_every_device(|_| {
        let ints = Array::from_vec(vec![3i32, 1, 2, 7], [2, 2])?;
        assert_eq!((ints.nansum()?, ints.nanmin()?, ints.nanargmax()?), (13, 1, 3));
        assert_eq!((ints.nanmean()?, ints.nanvar(0)?), (ints.mean()?, ints.var(0)?));
        assert_eq!(ints.nanmean_axis(0)?.to_vec()?, [2.5, 4.0]);
        // The sum does not fit in f16.
        let halves = Array::from_vec([60000.0, NAN, 60000.0].map(f16::from_f64).to_vec(), [3])?;
        assert_eq!((halves.nanmean()?.to_f64(), halves.nanvar(0)?.to_f64()), (60000.0, 0.0));
        let c = |re, im| Complex::new(re, im);
        let z = Array::from_vec(vec![c(1.0, 1.0), c(NAN, 0.0), c(3.0, -1.0)], [3])?;
        assert_eq!((z.nansum()?, z.nanmean()?, z.nanvar(0)?), (c(4.0, 0.0), c(2.0, 0.0), 2.0));
        refused(z.nanmin(), |e| matches!(e, Error::DTypeUndefined { .. }), &["nanmin", "c64"]);
        // Expressions are not evaluated first.
        let x = Array::from_vec(vec![-1.0, 4.0, 9.0], [3])?;
        assert_eq!((x.sqrt().nansum()?, x.sqrt().nanmean()?, x.sqrt().nanargmin()?), (5.0, 2.5, 1));
        Ok(())
    });
}

#[test]
fn squares_that_overflow_do_not_affect_a_variance() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![1e200, NAN, 3e200], [3])?;
        assert!((x.nanstd(0)? / 1e200 - 1.0).abs() < 1e-14);
        Ok(())
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn they_are_the_reductions_of_the_numbers(
        data in prop::collection::vec(prop_oneof![-1e3..1e3f64, Just(NAN)], 1..300),
    ) {
        let numbers: Vec<f64> = data.iter().copied().filter(|x| !x.is_nan()).collect();
        prop_assume!(!numbers.is_empty());
        let [x, y] = [&data, &numbers].map(|data| Array::from_slice(data, [data.len()]).unwrap());
        on_every_device(|_| {
            let same = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-12 * scale || a.is_nan() && b.is_nan();
            assert!(same(x.nansum()?, y.sum()?, 3e5) && same(x.nanmean()?, y.mean()?, 1e3));
            assert!(same(x.nanvar(1)?, y.var(1)?, 1e6) && same(x.nanstd(0)?, y.std(0)?, 1e3));
            assert_eq!((x.nanmin()?, x.nanmax()?, x.nanmedian()?), (y.min()?, y.max()?, y.median()?));
            assert_eq!(data[x.nanargmin()?], y.min()?);
            assert_eq!(data[x.nanargmax()?], y.max()?);
            Ok(())
        });
    }
}
