//! Indexing with an array of indices for each of several axes, against loops; and numbers of elements.

use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::{Kind, with_dtype, with_threads};
use proptest::prelude::*;

/// Returns views of `[4, 5, 3]` with different layouts, of the numbers from 0 on.
fn views<T: Element>() -> Result<Vec<Array<T>>> {
    let x = count([4, 5, 3]).cast::<T>().eval()?;
    Ok(vec![
        x.clone(),
        x.permute(&[2, 0, 1])?,
        x.t(),
        x.slice(s![..;-1, .., ..;-1])?,
        x.slice(s![1..3, ..;2, 1..])?,
        x.slice(s![.., 2, ..])?.expand_dims(1)?.broadcast_to([4, 6, 3])?,
    ])
}

/// Returns the index, from the front, of the element that point `p` of the first axes of `shape` denotes.
fn at(points: &[Vec<i64>], p: usize, shape: &[usize]) -> Vec<usize> {
    points.iter().zip(shape).map(|(ix, &n)| (ix[p] + if ix[p] < 0 { n as i64 } else { 0 }) as usize).collect()
}

/// Three points: their indices along each axis, of which each axis has at least two elements.
fn three_points() -> [Vec<i64>; 3] {
    [vec![0, -1, 1], vec![1, 0, -2], vec![-1, 1, 0]]
}

#[test]
fn reads_of_every_dtype_layout_and_number_of_axes() {
    on_every_device(|device| {
        let points = three_points();
        for dtype in DType::ALL {
            with_dtype!(dtype, T => for x in views::<T>()? {
                for given in 1..=3 {
                    let arrays: Vec<_> = points[..given].iter().map(|ix| Array::from(ix.clone())).collect();
                    let got = x.take_at(&arrays.iter().collect::<Vec<_>>())?;
                    assert_eq!(got.shape(), [&[3], &x.shape()[given..]].concat(), "{device} {dtype}");
                    for p in 0..3 {
                        let mut want = x.clone();
                        for i in at(&points[..given], p, x.shape()) {
                            want = want.slice(s![i])?;
                        }
                        assert_eq!(got.slice(s![p])?, want, "{device} {dtype} {given} of {:?}", x.shape());
                    }
                }
            });
        }
        Ok(())
    });
}

#[test]
fn writes_of_every_dtype_layout_and_number_of_axes() {
    on_every_device(|device| {
        let points = three_points();
        for dtype in DType::ALL {
            // Layouts whose elements are distinct.
            with_dtype!(dtype, T => for x in &views::<T>()?[..5] {
                for given in 1..=3 {
                    let arrays: Vec<_> = points[..given].iter().map(|ix| Array::from(ix.clone())).collect();
                    let arrays: Vec<_> = arrays.iter().collect();
                    let values = x.take_at(&arrays)?.slice(s![..;-1])?.copy()?;
                    let mut want = x.copy()?;
                    for p in 0..3 {
                        let items: Vec<_> =
                            at(&points[..given], p, x.shape()).into_iter().map(polyarray::SliceItem::from).collect();
                        want.slice_mut(items)?.assign(&values.slice(s![p])?)?;
                    }
                    let mut got = x.clone();
                    got.put_at(&arrays, &values)?;
                    assert_eq!(got, want, "{device} {dtype} {given} of {:?} {:?}", x.shape(), x.strides());
                    assert!(!got.shares_memory(x));
                    // Through a view, in place: the elements around it stay.
                    let mut around = x.copy()?;
                    around.slice_mut(s![.., ..;-1])?.put_at(&arrays, &values)?;
                    let mut turned = x.slice(s![.., ..;-1])?;
                    turned.put_at(&arrays, &values)?;
                    assert_eq!(around, turned.slice(s![.., ..;-1])?, "{device} {dtype} {given}");
                }
            });
        }
        Ok(())
    });
}

#[test]
fn points_broadcast_repeat_and_combine() {
    on_every_device(|_| {
        let x = count([3, 4]);
        let grid = x.take_at(&[&Array::from([[2i8], [0]]), &Array::from([1i8, 3, -4])])?;
        assert_eq!(grid, Array::from([[9.0, 11.0, 8.0], [1.0, 3.0, 0.0]]));
        let one = Array::from([2u64]).reshape(())?;
        assert_eq!((x.take_at(&[&one, &one])?.shape(), x.take_at(&[&one, &one])?.item()?), (&[][..], 10.0));
        assert_eq!(x.take_at(&[&Array::from([-1])])?, x.slice(s![2..])?);
        let none = Array::<i64>::zeros([0])?;
        assert_eq!(x.take_at(&[&none, &none])?.shape(), [0]);
        assert_eq!(count([3, 0]).take_at(&[&Array::from([1, 2])])?.shape(), [2, 0]);
        assert_eq!(count([0, 3]).take_at(&[&none])?.shape(), [0, 3]);
        let mut y = Array::<i32>::zeros([2, 2])?;
        let (i, j) = (Array::from([0, 0, 1, 0]), Array::from([1, 1, 0, -1]));
        y.scatter_at(Combine::Add, &[&i, &j], Array::from([1, 2, 4, 8]))?;
        assert_eq!(y, Array::from([[0, 11], [4, 0]]));
        y.put_at(&[&i, &j], Array::from([1, 2, 4, 8]))?;
        assert_eq!(y, Array::from([[0, 8], [4, 0]]), "the last value remains");
        y.scatter_at(Combine::Max, &[&i, &j], 5)?;
        y.scatter_at(Combine::Min, &[&j.slice(s![2..3])?, &j.slice(s![2..3])?], -1)?;
        assert_eq!(y, Array::from([[-1, 8], [5, 0]]));
        y.put_at(&[&none, &none], 7)?;
        assert_eq!(y.get([0, 0])?, -1);
        // The expression may read the array itself.
        let old = y.clone();
        y.put_at(&[&i, &j], &old.take_at(&[&j, &i])? + 1)?;
        assert_eq!(y, Array::from([[-1, 6], [9, 0]]));
        Ok(())
    });
}

#[test]
fn wrong_points_are_errors_and_write_nothing() {
    let mut x = count([3, 4]);
    let (i, j) = (Array::from([0, 3, 1]), Array::from([0, 1, 2]));
    let index = |e: &Error| matches!(e, Error::Index { .. });
    refused(x.take_at(&[&i, &j]), index, &["index 3", "axis 0", "length 3"]);
    refused(x.take_at(&[&j, &(&j - 5).eval().unwrap()]), index, &["index -5", "axis 1", "length 4"]);
    refused(x.put_at(&[&i, &j], 1.0), index, &["index 3"]);
    refused(x.take_at(&[&Array::from([u64::MAX]), &Array::from([0u64])]), index, &["18446744073709551615"]);
    let number = |e: &Error| matches!(e, Error::IndexCount { .. });
    refused(x.take_at::<i64>(&[]), number, &["0 indices", "[3, 4]"]);
    refused(x.take_at(&[&j, &j, &j]), number, &["3 indices"]);
    refused(x.put_at::<i64>(&[], 1.0), number, &["0 indices"]);
    let shapes = |e: &Error| matches!(e, Error::Broadcast { .. });
    refused(x.take_at(&[&j, &Array::from([0, 1])]), shapes, &["3", "2"]);
    let to = |e: &Error| matches!(e, Error::BroadcastTo { .. });
    refused(x.put_at(&[&j, &j], Array::from([1.0, 2.0])), to, &["[2]", "[3]"]);
    let mut truths = Array::from([[true, false]]);
    let first = Array::from([0]);
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(truths.scatter_at(Combine::Add, &[&first, &first], true), undefined, &["scatter_add", "bool"]);
    refused(x.broadcast_to([2, 3, 4]).unwrap().put_at(&[&first], 1.0), |e| matches!(e, Error::NotWritable { .. }), &[]);
    assert_eq!(x, count([3, 4]));
}

#[test]
fn numbers_of_elements_and_their_positions() {
    on_every_device(|_| {
        for shape in [vec![7], vec![3, 4], vec![1, 1], vec![2, 3, 4, 5]] {
            let n: usize = shape.iter().product();
            let numbers = Array::<i64>::arange(0, n as i64, 1)?;
            let along = numbers.unravel_index(&shape)?;
            let back = Array::ravel_multi_index(&along.iter().collect::<Vec<_>>(), &shape)?;
            assert_eq!(back, numbers, "{shape:?}");
            let from_end = (&numbers - n as i64).eval()?.unravel_index(&shape)?;
            assert!(from_end.iter().zip(&along).all(|(a, b)| a == b));
            let x = count(&shape[..]);
            assert_eq!(x.take_at(&along.iter().collect::<Vec<_>>())?, x.ravel()?);
        }
        assert_eq!(Array::from([[5u8, 2], [0, 1]]).unravel_index([2, 3])?[0], Array::from([[1i64, 0], [0, 0]]));
        assert_eq!(Array::<i32>::zeros([0])?.unravel_index([0, 3])?.len(), 2);
        assert_eq!(Array::ravel_multi_index(&[&Array::from([-1]), &Array::from([-1])], [2, 3])?, Array::from([5i64]));
        Ok(())
    });
    let index = |e: &Error| matches!(e, Error::Index { .. });
    refused(Array::from([6]).unravel_index([2, 3]), index, &["index 6", "length 6"]);
    refused(Array::from([0]).unravel_index([0, 3]), index, &["index 0"]);
    refused(Array::from([0]).unravel_index([usize::MAX, 3]), |e| matches!(e, Error::TooLarge { .. }), &[]);
    let one = Array::from([1]);
    refused(Array::ravel_multi_index(&[&one], [2, 3]), |e| matches!(e, Error::IndexCount { .. }), &["1 indices"]);
    refused(Array::ravel_multi_index(&[&one, &Array::from([3])], [2, 3]), index, &["index 3", "axis 1"]);
}

/// Large arrays are divided among threads, with one result for any number of them.
#[test]
fn many_elements_on_any_number_of_threads() {
    let n = 1_200_003usize;
    let x = Array::<i64>::arange(0, n as i64, 1).unwrap();
    for threads in [1, 2, 3, 4] {
        with_threads(threads, || {
            let mask = (&x % 7).less(3).eval()?;
            let kept = x.mask(&mask)?;
            assert!((0..n as i64).filter(|i| i % 7 < 3).eq(kept.iter()?), "{threads} threads");
            assert_eq!(mask.nonzero()?[0], kept);
            assert_eq!(x.compress(&mask, 0)?, kept);
            assert_eq!(mask.slice(s![..;-1])?.nonzero()?[0].len(), kept.len());
            assert_eq!(x.mask(&x.less(0).eval()?)?.len(), 0);
            assert_eq!(x.mask(&x.greater_equal(0).eval()?)?, x);
            // One wrong index, wherever it is.
            for at in [0, n / 2, n - 1] {
                let mut indices = x.copy()?;
                assert_eq!(x.take(&indices, 0)?, x);
                indices.set([at], n as i64)?;
                refused(x.take(&indices, 0), |e| matches!(e, Error::Index { .. }), &["index 1200003"]);
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    }
}

#[test]
fn identities_of_every_shape_and_diagonal() {
    for rows in 0..5usize {
        for columns in 0..5usize {
            for k in [-9, -4, -2, -1, 0, 1, 2, 4, 9, isize::MIN, isize::MAX] {
                let want = |ix: &[usize]| ix[1] as i128 - ix[0] as i128 == k as i128;
                let x = Array::<i32>::eye_at(rows, columns, k).unwrap();
                assert_eq!(x, Array::from_fn([rows, columns], |ix| i32::from(want(ix))).unwrap(), "{k}");
            }
        }
    }
    for dtype in DType::ALL {
        with_dtype!(dtype, T => {
            let x = Array::<T>::eye_at(3, 2, -1).unwrap();
            let ones = [0, 0, 1, 0, 0, 1].map(|i| T::from_wide(polyarray::Wide::Int(i)));
            assert_eq!(x, Array::from_slice(&ones, [3, 2]).unwrap());
            assert_eq!(Array::<T>::eye(4).unwrap(), Array::eye_at(4, 4, 0).unwrap());
        });
    }
    refused(Array::<f64>::eye_at(usize::MAX, 2, 0), |e| matches!(e, Error::TooLarge { .. }), &[]);
    assert!(Array::<u8>::eye_at(usize::MAX, usize::MAX, isize::MIN).is_err());
}

#[test]
fn copies_have_buffers_of_their_own() {
    on_every_device(|device| {
        let x = count([3, 4]).to_device(device)?;
        for view in [x.clone(), x.t(), x.slice(s![1.., ..;-2])?, x.broadcast_to([2, 3, 4])?, x.slice(s![..0])?] {
            let mut copy = view.copy()?;
            assert_eq!((&copy, copy.device().name()), (&view, view.device().name()));
            assert!(copy.is_unique() && (view.is_empty() || !copy.shares_memory(&x)));
        }
        assert_eq!(x.t().copy()?.strides(), [1, 4]);
        Ok(())
    });
}

#[test]
fn single_axes_are_removed() {
    let x = count([1, 3, 1, 2]);
    assert_eq!(x.squeeze_axis(0).unwrap().shape(), [3, 1, 2]);
    assert_eq!(x.squeeze_axis([-2, 0]).unwrap(), x.squeeze().unwrap());
    assert!(x.squeeze_axis(2).unwrap().shares_memory(&x));
    refused(x.squeeze_axis([0, 1]), |e| matches!(e, Error::Argument { .. }), &["squeeze_axis", "3 elements"]);
    refused(x.squeeze_axis(4), |e| matches!(e, Error::Axis { .. }), &["squeeze_axis"]);
    refused(x.squeeze_axis([0, -4]), |e| matches!(e, Error::RepeatedAxis { .. }), &[]);
}

#[test]
fn decimal_places() {
    on_every_device(|_| {
        // Results of NumPy 2: np.round(x, decimals).
        let x = Array::from([1.2345, -0.125, 0.375, 2.5, -1e300, f64::NAN, f64::INFINITY, 123456.789]);
        let rounded = |decimals| x.round_to(decimals).eval()?.to_vec();
        let same = |got: Vec<f64>, want: [f64; 8]| {
            assert!(
                got.iter().zip(want).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()),
                "{got:?}"
            );
        };
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        same(rounded(2)?, [1.23, -0.12, 0.38, 2.5, -1e300, nan, inf, 123456.79]);
        same(rounded(0)?, [1.0, -0.0, 0.0, 2.0, -1e300, nan, inf, 123457.0]);
        same(rounded(-3)?, [0.0, -0.0, 0.0, 0.0, -1e300, nan, inf, 123000.0]);
        // Beyond the range of powers, nothing changes, or nothing remains.
        same(rounded(400)?, x.to_vec()?.try_into().expect("eight numbers"));
        same(rounded(i32::MIN)?, [0.0, -0.0, 0.0, 0.0, -0.0, nan, inf, 0.0]);
        assert_eq!(Array::from([0.126f32, 1e38]).round_to(2).eval()?, Array::from([0.13, 1e38]));
        let z = Array::from([Complex::new(1.26f64, -2.35), Complex::new(inf, 15.0)]);
        assert_eq!(z.round_to(1).eval()?.get([0])?, Complex::new(1.3, -2.4));
        assert_eq!(z.round_to(-1).eval()?, Array::from([Complex::new(0.0, -0.0), Complex::new(inf, 15.0)]));
        let halves = Array::from([f16::from_f64(2.346), f16::from_f64(60000.0)]).round_to(1).eval()?;
        assert_eq!(halves, Array::from([f16::from_f64(2.3), f16::from_f64(60000.0)]));
        Ok(())
    });
    for dtype in [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::I64, DType::U64] {
        with_dtype!(dtype, T => for decimals in [0, 3, -1, -2, -5, -18, -19, -20, -40, i32::MIN] {
            let value = |i: i128| T::from_wide(polyarray::Wide::Int(i));
            let (least, most) = match dtype.kind() {
                Kind::Int => (-1i128 << (8 * dtype.size() - 1), (1i128 << (8 * dtype.size() - 1)) - 1),
                _ => (0, (1i128 << (8 * dtype.size())) - 1),
            };
            let numbers: Vec<i128> = [-150, -125, -25, -15, -5, -4, 0, 5, 15, 25, 26, 49, 50, 51, 115, least, most]
                .into_iter().filter(|i| (least..=most).contains(i)).collect();
            let x = Array::from_vec(numbers.iter().map(|&i| value(i)).collect::<Vec<T>>(), numbers.len()).unwrap();
            let want: Vec<T> = numbers.iter().map(|&i| {
                let power = if decimals < 0 { 10i128.checked_pow(decimals.unsigned_abs()) } else { Some(1) };
                let Some(power) = power.filter(|&power| power <= most) else { return value(0) };
                let (low, rest) = (i.div_euclid(power), i.rem_euclid(power));
                let up = 2 * rest > power || 2 * rest == power && low % 2 != 0;
                value((low + i128::from(up)) * power)
            }).collect();
            assert_eq!(x.round_to(decimals).eval().unwrap().to_vec().unwrap(), want, "{dtype} {decimals} {numbers:?}");
        });
    }
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(Array::from([true]).round_to(1).eval(), undefined, &["round_to", "bool"]);
}

#[test]
fn expressions_and_dynamic_arrays_are_indexed_as_arrays() {
    on_every_device(|_| {
        let x = count([3, 4]);
        let double = || &x * 2.0;
        let (at, mask) = (Array::from([2, -3]), Array::from([true, false, true]));
        let whole = double().eval()?;
        assert_eq!(double().take(&at, 0)?, whole.take(&at, 0)?);
        assert_eq!(double().take_at(&[&at, &at])?, whole.take_at(&[&at, &at])?);
        assert_eq!(double().compress(&mask, 0)?, whole.compress(&mask, 0)?);
        assert_eq!(double().mask(&x.greater(4.0).eval()?)?, whole.mask(&x.greater(4.0).eval()?)?);
        let order = x.argsort(1)?;
        assert_eq!(double().take_along_axis(&order, 1)?, whole.take_along_axis(&order, 1)?);
        for dtype in DType::ALL {
            with_dtype!(dtype, T => {
                let typed = x.cast::<T>().eval()?;
                let dynamic = typed.clone().erase();
                assert_eq!(dynamic.take(&at, 0)?, typed.take(&at, 0)?.erase());
                assert_eq!(dynamic.take_at(&[&at])?, typed.take_at(&[&at])?.erase());
                assert_eq!(dynamic.mask(&mask)?, typed.mask(&mask)?.erase());
                assert_eq!(dynamic.compress(&mask, 0)?, typed.compress(&mask, 0)?.erase());
                assert_eq!(dynamic.take_along_axis(&order, 1)?, typed.take_along_axis(&order, 1)?.erase());
            });
        }
        Ok(())
    });
    refused(count([3]).erase().take(&Array::from([3]), 0), |e| matches!(e, Error::Index { .. }), &["index 3"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn points_of_random_layouts_agree_with_loops(
        lens in prop::collection::vec(1usize..6, 1..4),
        order in 0usize..6,
        steps in prop::collection::vec(prop_oneof![Just(1isize), Just(-1), Just(2), Just(-2)], 3),
        seeds in prop::collection::vec(any::<(i16, i16, i16)>(), 0..9),
        given in 1usize..4,
    ) {
        let ndim = lens.len();
        let axes: Vec<isize> = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][order]
            .into_iter().filter(|&a| (a as usize) < ndim).collect();
        let items: Vec<_> = steps[..ndim].iter().map(|&by| polyarray::SliceItem::from(..).step(by)).collect();
        let x = count(&lens[..]).permute(&axes).unwrap().slice(items).unwrap();
        let given = given.min(ndim);
        let one = |axis: usize| -> Vec<i64> {
            let n = x.shape()[axis] as i64;
            let of = |&(a, b, c): &(i16, i16, i16)| i64::from([a, b, c][axis]).rem_euclid(2 * n) - n;
            seeds.iter().map(of).collect()
        };
        let points: Vec<Vec<i64>> = (0..given).map(one).collect();
        let arrays: Vec<Array<i64>> =
            points.iter().map(|ix| Array::from_vec(ix.clone(), ix.len()).unwrap()).collect();
        let arrays: Vec<_> = arrays.iter().collect();
        let got = x.take_at(&arrays).unwrap();
        let (mut want, mut written) = (Vec::new(), x.copy().unwrap());
        for p in 0..seeds.len() {
            let items: Vec<_> = at(&points, p, x.shape()).into_iter().map(polyarray::SliceItem::from).collect();
            want.extend(x.slice(&items).unwrap().to_vec().unwrap());
            written.slice_mut(&items).unwrap().fill(-(p as f32)).unwrap();
        }
        prop_assert_eq!(got.to_vec().unwrap(), want);
        let shape: Vec<usize> = std::iter::once(seeds.len()).chain(vec![1; ndim - given]).collect();
        let values = Array::from_vec((0..seeds.len()).map(|p| -(p as f32)).collect(), shape).unwrap();
        let mut got = x.clone();
        got.put_at(&arrays, &values).unwrap();
        prop_assert_eq!(got, written);
    }
}
