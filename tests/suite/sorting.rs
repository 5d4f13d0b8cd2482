//! Sorting, order statistics and counting on every device, with results known from NumPy 2.

use crate::common::{count, on_every_device};
use polyarray::prelude::*;
use polyarray::{Kind, with_dtype, with_threads};
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

/// The bits of the elements, so that NaNs are equal, and zeros of different signs are not.
fn bits(x: Array<f64>) -> Vec<u64> {
    x.to_vec().unwrap().iter().map(|x| if x.is_nan() { NAN.to_bits() } else { x.to_bits() }).collect()
}

#[test]
fn sort_puts_nan_last_and_negative_zero_first() {
    on_every_device(|_| {
        let x = array(&[0.0, NAN, -INF, 3.5, -0.0, INF, -1.0, -NAN, 0.0, 5e-324]);
        assert_eq!(bits(x.sort(0)?), bits(array(&[-INF, -1.0, -0.0, 0.0, 0.0, 5e-324, 3.5, INF, NAN, NAN])));
        assert_eq!(x.argsort(-1)?.to_vec()?, [2, 6, 0, 4, 8, 9, 3, 5, 1, 7], "zeros are equal, and so are NaNs");
        Ok(())
    });
}

#[test]
fn every_real_dtype_sorts_and_complex_is_an_error() {
    on_every_device(|device| {
        for dtype in DType::ALL {
            with_dtype!(dtype, T => {
                let x = (&count([3, 50]).cast::<f64>().eval()? * 37.0 - 2000.0).cast::<T>().eval()?;
                if dtype.kind() == Kind::Complex {
                    for error in [
                        x.sort(0).err(),
                        x.argsort(0).err(),
                        x.topk(1, 0).err(),
                        x.median().err(),
                        x.quantile(0.5).err(),
                        x.unique().err(),
                    ] {
                        assert!(matches!(error, Some(Error::DTypeUndefined { .. })), "{dtype}: {error:?}");
                    }
                    continue;
                }
                if let Err(e @ (Error::Refused { .. } | Error::Storage { .. })) = x.sort(1) {
                    assert_ne!(device.name(), "scalar");
                    return Err(e);
                }
                let (sorted, at) = (x.sort(1)?.to_vec()?, x.argsort(1)?.to_vec()?);
                let rows = x.to_vec()?;
                for (row, i) in (0..3).zip((0..150).step_by(50)) {
                    let mut want: Vec<T> = rows[i..i + 50].to_vec();
                    want.sort_by(|x, y| x.to_wide().real().total_cmp(&y.to_wide().real()));
                    assert_eq!(sorted[i..i + 50], want, "{dtype} row {row}");
                    let gathered: Vec<T> = at[i..i + 50].iter().map(|&a| rows[i + a as usize]).collect();
                    assert_eq!(gathered, want, "{dtype} row {row}");
                }
            });
        }
        Ok(())
    });
}

#[test]
fn any_axis_of_any_layout_sorts() {
    on_every_device(|_| {
        let x = (&count([4, 5, 6]) * 7.0).eval()?.cast::<i64>().eval()?.to_vec()?;
        let x = Array::from_vec(x.iter().map(|x| x % 11).collect(), [4, 5, 6])?;
        for view in [
            x.clone(),
            x.t(),
            x.slice(s![.., 1..;2, ..;-1])?,
            x.slice(s![..;-1, .., 3])?,
            x.slice(s![1])?.broadcast_to([2, 5, 6])?,
        ] {
            for axis in 0..view.ndim() {
                let (sorted, at) = (view.sort(axis as isize)?, view.argsort(axis as isize - view.ndim() as isize)?);
                assert_eq!((sorted.shape(), at.shape()), (view.shape(), view.shape()));
                let rest: Vec<usize> =
                    view.shape().iter().enumerate().map(|(a, &n)| if a == axis { 1 } else { n }).collect();
                for line in 0..rest.iter().product::<usize>() {
                    let (mut index, mut left) = (vec![0; rest.len()], line);
                    for a in (0..rest.len()).rev() {
                        (index[a], left) = (left % rest[a], left / rest[a]);
                    }
                    let read = |a: &Array<i64>| -> Vec<i64> {
                        let at = |i| {
                            let mut index = index.clone();
                            index[axis] = i;
                            a.get(&index[..]).unwrap()
                        };
                        (0..view.shape()[axis]).map(at).collect()
                    };
                    let elements = read(&view);
                    let mut want: Vec<(i64, i64)> = elements.iter().copied().zip(0..).collect();
                    want.sort();
                    let (values, indices): (Vec<i64>, Vec<i64>) = want.into_iter().unzip();
                    assert_eq!((read(&sorted), read(&at)), (values, indices), "{:?} axis {axis}", view.shape());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn expressions_are_evaluated_first() {
    on_every_device(|_| {
        let x = array(&[3.0f64, 1.0, 2.0]);
        assert_eq!((&x * -1.0).sort(0)?.to_vec()?, [-3.0, -2.0, -1.0]);
        assert_eq!((&x * -1.0).argsort(0)?.to_vec()?, [0, 2, 1]);
        assert_eq!((&x * 2.0).topk(1, 0)?.0.to_vec()?, [6.0]);
        assert_eq!((&x * 2.0).median()?, 4.0);
        assert_eq!((&x * 2.0).quantile(0.25)?, 3.0);
        assert_eq!((&x * 2.0).median_axis(0)?.item()?, 4.0);
        assert_eq!((&x * 2.0).quantile_axis(0.25, 0)?.item()?, 3.0);
        Ok(())
    });
}

#[test]
fn topk_takes_the_largest_first_and_the_earlier_of_equals() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![1.0, NAN, 7.0, 3.0, 7.0, -2.0, 0.0, -0.0, 5.0, 5.0], [2, 5])?;
        let (values, indices) = x.topk(3, 1)?;
        assert_eq!(indices.to_vec()?, [1, 2, 4, 3, 4, 1]);
        assert_eq!(bits(values), bits(array(&[NAN, 7.0, 7.0, 5.0, 5.0, 0.0])));
        let (values, indices) = x.topk(1, 0)?;
        assert_eq!(indices.to_vec()?, [0, 0, 0, 1, 0]);
        assert_eq!(bits(values.ravel()?), bits(array(&[1.0, NAN, 7.0, 5.0, 7.0])));
        assert_eq!(x.topk(0, 0)?.0.shape(), [0, 5]);
        assert_eq!(x.topk(5, 1)?.1.to_vec()?, [1, 2, 4, 3, 0, 3, 4, 1, 2, 0]);
        let reversed = x.slice(s![.., ..;-1])?;
        assert_eq!(reversed.topk(2, 1)?.1.to_vec()?, [3, 0, 0, 1]);
        let message = x.topk(6, 1).unwrap_err().to_string();
        assert!(message.contains("topk: k = 6") && message.contains("axis 1 of shape [2, 5] has 5"), "{message}");
        Ok(())
    });
}

/// A few ranks of long lines, in orders in which all elements, or none after the first, are better than those before.
#[test]
fn a_few_ranks_of_long_lines() -> Result<()> {
    let n = 150_000;
    let mixed = |i: usize| ((i * 2_654_435_761) % 1_000_003) as f64;
    let orders: [&dyn Fn(usize) -> f64; 6] =
        [&mixed, &|i| i as f64, &|i| -(i as f64), &|i| (mixed(i) % 7.0).floor(), &|_| 1.0, &|i| {
            if i % 1000 == 3 { NAN } else { mixed(i) }
        }];
    fn check<T: Element>(x: &Array<T>, what: &str) -> Result<()> {
        let n = x.len();
        let ascending = x.argsort(0)?;
        for threads in [1, 2, 5] {
            for k in [1, 10, 1000, 5000] {
                let what = format!("{what} {}, {k} of {n}, {threads} threads", T::DTYPE);
                let (values, least) = with_threads(threads, || x.bottomk(k, 0))?;
                assert!(least == ascending.slice(s![..k as isize])?, "{what}");
                assert!(values.to_bytes()? == x.take(&least, 0)?.to_bytes()?, "{what}");
                // Of equal elements, the first ones come first in both directions.
                let (values, most) = with_threads(threads, || x.topk(k, 0))?;
                let wanted = x.slice(s![..;-1])?.argsort(0)?.slice(s![..;-1])?.slice(s![..k as isize])?;
                assert!(most == ((n - 1) as i64 - wanted).eval()?, "{what}");
                assert!(values.to_bytes()? == x.take(&most, 0)?.to_bytes()?, "{what}");
            }
        }
        Ok(())
    }
    for device in [Device::scalar()].into_iter().chain(Device::named("simd")) {
        with_device(&device, || -> Result<()> {
            for (o, order) in orders.iter().enumerate() {
                let x = Array::from_vec((0..n).map(order).collect(), [n])?;
                check(&x, &format!("{device} order {o}"))?;
                check(&x.slice(s![..;-1])?, &format!("{device} order {o}, backwards"))?;
                let columns = x.reshape([n / 3, 3])?;
                check(&columns.slice(s![.., 1])?, &format!("{device} order {o}, strided"))?;
                check(&x.cast::<f32>().eval()?, &format!("{device} order {o}"))?;
                check(&(&x % 251.0).cast::<u8>().eval()?, &format!("{device} order {o}"))?;
                check(&x.cast::<i32>().eval()?, &format!("{device} order {o}"))?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn quantiles_are_those_of_numpy() {
    on_every_device(|_| {
        let x = array(&[0.3f64, -1.5, 2.25, 7.0, 2.25, 0.0, -4.0, 9.5]);
        let known = [
            (0.0, -4.0, -4.0),
            (0.1, -2.25, -1.5),
            (0.25, -0.375, 0.0),
            (1.0 / 3.0, 0.099_999_999_999_999_91, 0.0),
            (0.5, 1.275, 2.25),
            (0.77, 4.102_500_000_000_003, 2.25),
            (0.9, 7.75, 7.0),
            (1.0, 9.5, 9.5),
        ];
        for (q, linear, nearest) in known {
            assert_eq!(x.quantile(q)?, linear, "{q}");
            assert_eq!(x.quantile_with(q, Quantile::Nearest)?, nearest, "{q}");
        }
        let whole = array(&[5, 1, 9, 2, 2, 7]);
        assert_eq!(
            (whole.quantile(0.2)?, whole.quantile(0.45)?, whole.quantile(0.9)?, whole.median()?),
            (2.0, 2.75, 8.0, 3.5)
        );
        let a = Array::from_vec(vec![3.0f64, 1., 2., 9., 7., 8., 4., 6., 5.], [3, 3])?;
        assert_eq!(a.median_axis(0)?.to_vec()?, [4.0, 6.0, 5.0]);
        assert_eq!(a.quantile_axis(0.3, 0)?.to_vec()?, [3.6, 4.0, 3.8]);
        assert_eq!(a.quantile_axis(0.3, -1)?.to_vec()?, [1.6, 7.6, 4.6]);
        assert_eq!(a.quantile_axis_with(0.3, 1, Quantile::Nearest)?.to_vec()?, [2.0, 8.0, 5.0]);
        assert_eq!(a.median_axis(axis([0, 1]).keepdims())?.shape(), [1, 1]);
        assert_eq!(a.slice(s![.., ..;2])?.median()?, 4.5);
        Ok(())
    });
}

#[test]
fn a_median_is_nan_where_there_is_one_and_does_not_overflow() {
    on_every_device(|_| {
        let a = Array::from_vec(vec![3.0, NAN, 2.0, 9.0, 7.0, 8.0], [2, 3])?;
        assert!(a.median()?.is_nan() && a.quantile(0.0)?.is_nan());
        assert_eq!(bits(a.median_axis(1)?), bits(array(&[NAN, 8.0])));
        assert_eq!(bits(a.quantile_axis_with(0.0, 0, Quantile::Nearest)?), bits(array(&[3.0, NAN, 2.0])));
        assert_eq!(array(&[1e308f64, 1.5e308]).median()?, 1.25e308);
        assert_eq!(array::<f64>(&[-INF, INF, INF]).median()?, INF);
        assert_eq!(array(&[5e-324f64, 5e-324]).median()?, 5e-324);
        assert_eq!(array(&[60000.0, 65000.0].map(f16::from_f64)).median()?.to_f64(), 62496.0);
        assert_eq!(array(&[i64::MAX, i64::MIN]).median()?, 0.0);
        assert_eq!(array(&[true, false]).median()?, 0.5);
        assert!(array::<i32>(&[]).median()?.is_nan() && array::<f32>(&[]).quantile(0.3)?.is_nan());
        assert_eq!(Array::<f64>::zeros([0, 3])?.median_axis(1)?.shape(), [0]);
        assert_eq!(bits(Array::<f64>::zeros([2, 0])?.median_axis(1)?), bits(array(&[NAN, NAN])));
        Ok(())
    });
}

#[test]
fn quantiles_between_infinities() {
    on_every_device(|_| {
        let of = |data: &[f64], q| array(data).quantile(q);
        assert_eq!(of(&[INF; 3], 0.3)?, INF);
        assert_eq!(of(&[-INF; 4], 0.9)?, -INF);
        assert_eq!(of(&[1.0, 2.0, INF, INF], 0.9)?, INF);
        assert_eq!(of(&[1.0, 2.0, INF, INF], 0.25)?, 1.75);
        assert_eq!(of(&[-INF, 2.0, 3.0], 0.1)?, -INF);
        assert_eq!(of(&[1.0, 2.0, INF], 0.5)?, 2.0, "an infinity without weight");
        assert_eq!([of(&[1.0, INF], 0.5)?, of(&[-INF, 1.0], 0.5)?, of(&[INF, INF], 0.5)?], [INF, -INF, INF]);
        for q in [0.3, 0.5, 0.7] {
            assert!(of(&[-INF, INF], q)?.is_nan(), "infinities of both signs");
        }
        assert!((of(&[f64::MIN, f64::MAX], 0.75)? / f64::MAX - 0.5).abs() < 1e-15);
        // A weight so small that f32 cannot represent it.
        assert_eq!(Array::from_vec(vec![1.0f32, f32::INFINITY], [2])?.quantile(1e-300)?, f32::INFINITY);
        assert_eq!(Array::from_vec(vec![f16::INFINITY; 5], [5])?.quantile(0.3)?, f16::INFINITY);
        let rows = Array::from_vec(vec![INF, INF, 1.0, 1.0, -INF, -INF], [3, 2])?;
        assert_eq!(rows.median_axis(1)?.to_vec()?, [INF, 1.0, -INF]);
        assert_eq!(rows.quantile_axis_with(0.4, 1, Quantile::Nearest)?.to_vec()?, [INF, 1.0, -INF]);
        Ok(())
    });
    let infinite = Array::from_vec(vec![1.0, INF], [2]).unwrap().histogram(2, None).unwrap_err().to_string();
    assert!(infinite.contains("not finite"), "{infinite}");
}

#[test]
fn a_quantile_is_from_zero_to_one() {
    let x = array(&[1.0, 2.0]);
    for q in [-0.1, 1.1, NAN, INF] {
        let message = x.quantile(q).unwrap_err().to_string();
        assert!(message.contains("quantile: q = ") && message.contains("from 0 to 1"), "{message}");
    }
    assert!(matches!(x.median_axis([0, 0]), Err(Error::RepeatedAxis { .. })));
    for error in [x.sort(1).err(), x.argsort(-2).err(), x.topk(1, 3).err(), x.quantile_axis(0.5, 1).err()] {
        let message = error.expect("there is one axis").to_string();
        assert!(message.contains("out of range for 1 axes"), "{message}");
    }
    assert!(matches!(Array::full((), 1.0).unwrap().sort(0), Err(Error::Axis { ndim: 0, .. })));
}

#[test]
fn unique_elements_are_sorted_and_nans_are_one() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![2.0, NAN, -1.0, 2.0, 0.0, NAN, INF, 2.0], [2, 4])?;
        let (values, counts) = x.unique_counts()?;
        assert_eq!(bits(values), bits(array(&[-1.0, 0.0, 2.0, INF, NAN])));
        assert_eq!(counts.to_vec()?, [1, 1, 3, 1, 2]);
        assert_eq!(x.t().unique()?.len(), 5);
        assert_eq!(array(&[0.0, -0.0]).unique()?.len(), 1);
        assert_eq!(array(&[true, true]).unique()?.to_vec()?, [true]);
        assert_eq!(array::<u8>(&[]).unique()?.shape(), [0]);
        assert_eq!(array::<u8>(&[]).unique_counts()?.1.shape(), [0]);
        Ok(())
    });
}

#[test]
fn searches_find_both_sides() {
    on_every_device(|_| {
        let sorted = array(&[-2.0, 0.0, 1.0, 1.0, 1.0, 4.0, INF, NAN]);
        let values = Array::from_vec(vec![1.0, -3.0, -0.0, 5.0, INF, NAN], [3, 2])?;
        assert_eq!(sorted.searchsorted(&values, Side::Left)?.to_vec()?, [2, 0, 1, 6, 6, 7]);
        assert_eq!(sorted.searchsorted(&values, Side::Right)?.to_vec()?, [5, 0, 2, 6, 7, 8]);
        assert_eq!(sorted.searchsorted(&values, Side::Left)?.shape(), [3, 2]);
        assert_eq!(sorted.searchsorted(&values.t(), Side::Left)?.to_vec()?, [2, 1, 6, 0, 6, 7]);
        let down = array(&[9u16, 5, 5, 1]);
        assert_eq!(down.slice(s![..;-1])?.searchsorted(&array(&[5, 6, 0]), Side::Right)?.to_vec()?, [3, 3, 0]);
        assert_eq!(array::<i8>(&[]).searchsorted(&array(&[1, 2]), Side::Left)?.to_vec()?, [0, 0]);
        assert!(matches!(values.searchsorted(&values, Side::Left), Err(Error::Shapes { .. })));
        Ok(())
    });
}

#[test]
fn histograms_are_those_of_numpy() {
    on_every_device(|_| {
        let tenths: Vec<f64> = (1..=10).map(|i| f64::from(i) / 10.0).collect();
        let h = array(&tenths);
        // 0.3 is less than the edge 0.30000000000000004, for example.
        assert_eq!(h.histogram(10, Some((0.0, 1.0)))?.0.to_vec()?, [0, 1, 2, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(h.histogram(7, None)?.0.to_vec()?, [2, 1, 1, 2, 1, 1, 2]);
        let narrow = h.cast::<f32>().eval()?;
        assert_eq!(narrow.histogram(10, Some((0.0, 1.0)))?.0.to_vec()?, [0, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
        assert_eq!(narrow.histogram(3, None)?.1.to_vec()?, [0.1f32, 0.399_999_98, 0.7, 1.0]);
        let (counts, edges) = array(&[1, 2, 2, 3, 10]).histogram(4, None)?;
        assert_eq!((counts.to_vec()?, edges.to_vec()?), (vec![4, 0, 0, 1], vec![1.0, 3.25, 5.5, 7.75, 10.0]));
        let (counts, edges) = array(&[5.0, 5.0, 5.0]).histogram(2, None)?;
        assert_eq!((counts.to_vec()?, edges.to_vec()?), (vec![0, 3], vec![4.5, 5.0, 5.5]));
        assert_eq!(array(&[-1.0, 0.0, 0.5, 1.0, 2.0, NAN]).histogram(2, Some((0.0, 1.0)))?.0.to_vec()?, [1, 2]);
        let hundred: Vec<f64> = (0..=100).map(|i| f64::from(i) * 0.01).collect();
        assert_eq!(array(&hundred).histogram(10, None)?.0.to_vec()?, [10, 10, 11, 9, 10, 11, 9, 10, 10, 11]);
        assert_eq!(array::<f64>(&[]).histogram(3, None)?.0.to_vec()?, [0, 0, 0]);
        assert_eq!(Array::from_vec(tenths.clone(), [2, 5])?.t().histogram(7, None)?.0.to_vec()?, [2, 1, 1, 2, 1, 1, 2]);
        Ok(())
    });
}

#[test]
fn ranges_may_be_wider_than_the_largest_number() {
    on_every_device(|_| {
        let x = array::<f64>(&[-1.7e308, 1.7e308]);
        assert!((x.quantile(0.25)? / -0.85e308 - 1.0).abs() < 1e-15);
        assert!((x.quantile(0.75)? / 0.85e308 - 1.0).abs() < 1e-15);
        let far = 2f64.powi(1023);
        let (counts, edges) = array(&[-0.9 * far, -1.0, 1.0, 0.9 * far]).histogram(4, Some((-far, far)))?;
        assert_eq!(
            (counts.to_vec()?, edges.to_vec()?),
            (vec![1, 1, 1, 1], vec![-far, -far / 2.0, 0.0, far / 2.0, far])
        );
        let (counts, edges) = array(&[-40_000.0f32, 0.0, 40_000.0].map(f16::from_f32)).histogram(2, None)?;
        assert_eq!(
            (counts.to_vec()?, edges.cast::<f32>().eval()?.to_vec()?),
            (vec![1, 2], vec![-40_000.0, 0.0, 40_000.0])
        );
        Ok(())
    });
}

#[test]
fn a_histogram_needs_as_many_numbers_as_edges() {
    let alike = Array::full([3], 1e9f32).unwrap();
    for error in
        [alike.histogram(2, None), alike.histogram(2, Some((0.0, 1e300))), alike.histogram(2, Some((1e-60, 2e-60)))]
            .map(Result::unwrap_err)
    {
        assert!(error.to_string().contains("f32 has too few distinct numbers in the range"), "{error}");
    }
}

#[test]
fn a_histogram_needs_a_range_that_ascends() {
    let x = array(&[1.0, NAN]);
    for (bins, range) in [
        (0, None),
        (3, None),
        (3, Some((1.0, 1.0))),
        (3, Some((2.0, 1.0))),
        (3, Some((0.0, INF))),
        (3, Some((NAN, 1.0))),
    ] {
        let error = x.histogram(bins, range).unwrap_err();
        assert!(matches!(error, Error::Argument { op: "histogram", .. }), "{error}");
    }
    assert_eq!(x.histogram(2, Some((0.0, 1.0))).unwrap().0.to_vec().unwrap(), [0, 1]);
}

#[test]
fn integers_are_counted() {
    on_every_device(|_| {
        assert_eq!(array(&[1u8, 3, 1, 0]).bincount(0)?.to_vec()?, [1, 2, 0, 1]);
        assert_eq!(array(&[1i64, 3, 1]).bincount(6)?.to_vec()?, [0, 2, 0, 1, 0, 0]);
        assert_eq!(array(&[true, false, true]).bincount(0)?.to_vec()?, [1, 2]);
        assert_eq!(array::<i32>(&[]).bincount(2)?.to_vec()?, [0, 0]);
        assert_eq!(Array::from_vec(vec![2u32, 0, 1, 2], [2, 2])?.t().bincount(0)?.to_vec()?, [1, 1, 2]);
        let message = array(&[3, -7]).bincount(0).unwrap_err().to_string();
        assert!(message.contains("-7") && message.contains("negative"), "{message}");
        assert!(matches!(array(&[1.0]).bincount(0), Err(Error::DTypeUndefined { .. })));
        assert!(array(&[u64::MAX]).bincount(0).is_err(), "u64::MAX + 1 counts do not fit in memory");
        Ok(())
    });
}

#[test]
fn what_is_sorted_is_traced_and_a_named_device_is_obeyed() -> Result<()> {
    let x = array(&[2.0, 1.0]);
    let (sorted, trace) = trace::record(|| with_device(&Device::scalar(), || x.sort(0)));
    sorted?;
    assert!(trace.events.iter().any(|e| e.op.contains("sort f64") && e.device == "scalar"), "{trace}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sorts_of_anything_agree_with_the_library(
        data in prop::collection::vec(
            prop_oneof![any::<f64>(), (-3i32..3).prop_map(f64::from), Just(NAN), Just(-0.0)],
            1..700,
        ),
    ) {
        let x = array(&data);
        let rank = |x: f64| (x.is_nan(), x);
        let mut want: Vec<usize> = (0..data.len()).collect();
        want.sort_by(|&i, &j|
            rank(data[i]).partial_cmp(&rank(data[j])).unwrap_or_else(|| data[i].is_nan().cmp(&data[j].is_nan()))
        );
        on_every_device(|_| {
            let at = x.argsort(0)?;
            assert_eq!(at.to_vec()?, want.iter().map(|&i| i as i64).collect::<Vec<_>>());
            let sorted = x.sort(0)?.to_vec()?;
            assert!(sorted.iter().zip(&want).all(|(s, &i)| *s == data[i] || s.is_nan() && data[i].is_nan()));
            let k = data.len().min(5);
            let (top, indices) = x.topk(k, 0)?;
            let mut down: Vec<usize> = (0..data.len()).collect();
            down.sort_by(|&i, &j|
                rank(data[j]).partial_cmp(&rank(data[i])).unwrap_or_else(|| data[j].is_nan().cmp(&data[i].is_nan()))
            );
            assert_eq!(indices.to_vec()?, down[..k].iter().map(|&i| i as i64).collect::<Vec<_>>());
            assert!(top.to_vec()?.iter().zip(&down).all(|(t, &i)| *t == data[i] || t.is_nan() && data[i].is_nan()));
            Ok(())
        });
    }

    #[test]
    fn quantiles_and_counts_of_anything_agree_with_sorting(
        data in prop::collection::vec(-50i32..50, 1..400),
        q in 0.0..=1.0f64,
    ) {
        let x = array(&data);
        let mut sorted = data.clone();
        sorted.sort_unstable();
        let rank = q * (data.len() - 1) as f64;
        let (low, high) = (f64::from(sorted[rank.floor() as usize]), f64::from(sorted[rank.ceil() as usize]));
        on_every_device(|_| {
            let got = x.quantile(q)?;
            assert!(low <= got && got <= high);
            let (values, counts) = x.unique_counts()?;
            assert!(values.to_vec()?.is_sorted_by(|a, b| a < b));
            assert_eq!(counts.sum()?, data.len() as i64);
            let shifted = (&x + 50).eval()?;
            let counts = shifted.bincount(100)?.to_vec()?;
            assert!((0..100).all(|v| counts[v] as usize == data.iter().filter(|&&x| x + 50 == v as i32).count()));
            let sorted = array(&sorted);
            let (left, right) =
                (sorted.searchsorted(&x, Side::Left)?.to_vec()?, sorted.searchsorted(&x, Side::Right)?.to_vec()?);
            assert!((0..data.len()).all(|i| right[i] - left[i] == counts[(data[i] + 50) as usize]));
            Ok(())
        });
    }
}
