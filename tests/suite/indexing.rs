//! Indexing with arrays of integers and with masks, against a plain model of indices.

use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::{Axes, Index, Kind, SliceItem, with_dtype, with_threads};
use proptest::prelude::*;

/// Returns all indices of a shape, in C order.
fn indices_of(shape: &[usize]) -> Vec<Vec<usize>> {
    shape
        .iter()
        .fold(vec![vec![]], |all, &n| all.iter().flat_map(|ix| (0..n).map(move |i| [&ix[..], &[i]].concat())).collect())
}

/// Returns views of `[4, 5, 3]` with different layouts.
fn views<T: Element>(x: &Array<T>) -> Result<Vec<Array<T>>> {
    Ok(vec![
        x.clone(),
        x.permute(&[2, 0, 1])?,
        x.slice(s![..;-1, .., ..;-1])?,
        x.slice(s![1..3, ..;2, 1..])?,
        x.slice(s![.., 2, ..])?.expand_dims(1)?.broadcast_to([4, 6, 3])?,
    ])
}

/// Returns the array of shape `[4, 5, 3]` with the numbers from 0 on, cast to `T`.
fn numbers<T: Element>() -> Result<Array<T>> {
    count([4, 5, 3]).cast::<T>().eval()
}

/// Returns the position from the front.
fn front(i: i64, n: usize) -> usize {
    (if i < 0 { i + n as i64 } else { i }) as usize
}

/// The elements that `take` must return.
fn taken<T: Element>(x: &Array<T>, indices: &Array<i64>, axis: usize) -> Result<(Vec<usize>, Vec<T>)> {
    let (m, shape) = (indices.ndim(), x.shape());
    let shape: Vec<usize> = [&shape[..axis], indices.shape(), &shape[axis + 1..]].concat();
    let one = |ix: Vec<usize>| -> Result<T> {
        let at = front(indices.get(&ix[axis..axis + m])?, x.shape()[axis]);
        x.get([&ix[..axis], &[at], &ix[axis + m..]].concat())
    };
    let data = indices_of(&shape).into_iter().map(one).collect::<Result<_>>()?;
    Ok((shape, data))
}

#[test]
fn take_of_every_dtype_layout_and_axis() {
    on_every_device(|device| {
        let indices = Array::from_vec(vec![0i64, -1, 1, 1, -2, 0], [2, 3])?;
        for dtype in DType::ALL {
            with_dtype!(dtype, T => for x in views(&numbers::<T>()?)? {
                for axis in 0..3 {
                    for at in [indices.clone(), indices.t(), indices.slice(s![0])?, indices.slice(s![1, 2])?] {
                        let got = x.take(&at, axis as isize)?;
                        let (shape, data) = taken(&x, &at, axis)?;
                        assert_eq!((got.shape(), got.to_vec()?), (&shape[..], data), "{device} {dtype} along {axis}");
                    }
                }
            });
        }
        Ok(())
    });
}

#[test]
fn every_integer_dtype_is_an_index() {
    on_every_device(|_| {
        fn check<I: Index>(x: &Array<f32>) -> Result<()> {
            let at = Array::from_vec(vec![2i64, 0, 3], [3])?.cast::<I>().eval()?;
            assert_eq!(x.take(&at, 0)?.to_vec()?, [2.0, 0.0, 3.0], "{}", I::DTYPE);
            if I::DTYPE.kind() == Kind::Int {
                let at = Array::from_vec(vec![-1i64, -4], [2])?.cast::<I>().eval()?;
                assert_eq!(x.take(&at, 0)?.to_vec()?, [3.0, 0.0], "{}", I::DTYPE);
            }
            Ok(())
        }
        let x = count([4]);
        check::<i8>(&x)?;
        check::<i16>(&x)?;
        check::<i32>(&x)?;
        check::<i64>(&x)?;
        check::<u8>(&x)?;
        check::<u16>(&x)?;
        check::<u32>(&x)?;
        check::<u64>(&x)
    });
}

#[test]
fn sorted_elements_are_those_at_argsort() {
    on_every_device(|_| {
        let x = (count([7, 90, 2]) * 37.0).sin().eval()?;
        for x in [x.clone(), x.t(), x.slice(s![..;-1, ..;3])?] {
            for axis in -3..3 {
                let got = x.take_along_axis(&x.argsort(axis)?, axis)?;
                assert_eq!(got.to_vec()?, x.sort(axis)?.to_vec()?, "along {axis}");
            }
        }
        // Axes of length 1 broadcast, those of the array and those of the indices.
        let (row, column) = (count([1, 4]), Array::from_vec(vec![3i64, 0, -2], [3, 1])?);
        let got = row.take_along_axis(&column, 1)?;
        assert_eq!((got.shape(), got.to_vec()?), (&[3, 1][..], vec![3.0, 0.0, 2.0]));
        let got = count([3, 4]).take_along_axis(&Array::from_vec(vec![1i64, -1], [1, 2])?, 1)?;
        assert_eq!(got.to_vec()?, [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
        Ok(())
    });
}

#[test]
fn indices_out_of_range_are_errors_that_name_them() {
    let mut x = count([3, 4]);
    let index = |e: &Error| matches!(e, Error::Index { .. });
    let at = |i: i64| Array::from_vec(vec![0, i, 1], [3]).unwrap();
    refused(x.take(&at(4), 1), index, &["index 4", "axis 1", "length 4"]);
    refused(x.take(&at(-5), 1), index, &["index -5", "axis 1", "length 4"]);
    refused(x.take(&at(i64::MIN), 0), index, &["-9223372036854775808", "axis 0", "length 3"]);
    refused(x.take(&at(i64::MAX), 0), index, &["9223372036854775807"]);
    refused(x.take(&at(7).broadcast_to([2, 3]).unwrap(), 0), index, &["index 7"]);
    refused(
        x.take(&at(7).slice(s![..;-1]).unwrap().reshape([3, 1]).unwrap().broadcast_to([3, 2]).unwrap(), 0),
        index,
        &["index 7"],
    );
    assert!(x.take(&at(7).slice(s![..;-2]).unwrap(), 0).is_ok(), "an index between those of the view is not used");
    let huge = Array::from_vec(vec![u64::MAX], [1]).unwrap();
    refused(x.take(&huge, 0), index, &["index 18446744073709551615", "length 3"]);
    refused(x.take(&Array::from_vec(vec![200u8], [1]).unwrap(), 0), index, &["index 200"]);
    refused(x.take_along_axis(&at(3).reshape([3, 1]).unwrap(), 0), index, &["index 3", "axis 0"]);
    refused(x.put(&at(4), 1.0, 1), index, &["index 4"]);
    refused(x.scatter_add(&at(-4), 1.0, 0), index, &["index -4"]);
    refused(x.put_along_axis(&at(9).reshape([3, 1]).unwrap(), 1.0, 1), index, &["index 9"]);
    refused(x.slice_mut(s![1..]).unwrap().put(&at(2), 1.0, 0), index, &["index 2", "length 2"]);
    assert_eq!(x.to_vec().unwrap(), count([3, 4]).to_vec().unwrap(), "nothing was written");
    refused(count([0, 2]).take(&at(0), 0), index, &["index 0", "length 0"]);
    refused(x.take(&at(0), 2), |e| matches!(e, Error::Axis { op: "take", .. }), &["axis 2"]);
    refused(count(()).take(&at(0), 0), |e| matches!(e, Error::Axis { .. }), &["0 axes"]);
    refused(x.take_along_axis(&at(0), 0), |e| matches!(e, Error::Shapes { .. }), &["[3, 4]", "[3]"]);
    refused(x.put_along_axis(&at(0), 0.0, 0), |e| matches!(e, Error::Shapes { .. }), &["as many axes"]);
    let other = at(0).reshape([3, 1]).unwrap();
    refused(count([2, 4]).take_along_axis(&other, 1), |e| matches!(e, Error::Broadcast { .. }), &["2", "3"]);
    refused(
        x.put(&at(0), count([5]), 1),
        |e| matches!(e, Error::BroadcastTo { .. }),
        &["cannot broadcast [5] to [3, 3]"],
    );
}

#[test]
fn combining_needs_a_dtype_that_has_the_ufunc() {
    let at = Array::from_vec(vec![0i64], [1]).unwrap();
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    let mut bools = Array::from_vec(vec![true, false], [2]).unwrap();
    refused(bools.scatter_add(&at, true, 0), undefined, &["scatter_add", "bool"]);
    bools.put(&at, false, 0).unwrap();
    assert_eq!(bools.to_vec().unwrap(), [false, false]);
    let mut complex = Array::from_vec(vec![Complex::new(1.0f32, 2.0)], [1]).unwrap();
    refused(complex.scatter_max(&at, Complex::new(0.0, 0.0), 0), undefined, &["scatter_max", "c32"]);
    complex.scatter_add(&at, Complex::new(0.5, 0.5), 0).unwrap();
    assert_eq!(complex.item().unwrap(), Complex::new(1.5, 2.5));
}

#[test]
fn arrays_without_elements() {
    on_every_device(|_| {
        let none = Array::<i64>::zeros([0])?;
        assert_eq!(count([3, 4]).take(&none, 1)?.shape(), [3, 0]);
        assert_eq!(count([3, 0]).take(&Array::from_vec(vec![2i64, 0], [2])?, 0)?.shape(), [2, 0]);
        assert_eq!(count([0, 4]).take(&none, 0)?.shape(), [0, 4]);
        assert_eq!(count([0, 4]).take(&none.reshape([0, 5])?, 0)?.shape(), [0, 5, 4]);
        assert_eq!(count([3, 4]).take_along_axis(&none.reshape([3, 0])?, 1)?.shape(), [3, 0]);
        let mut x = count([3, 4]);
        x.put(&none, 7.0, 1)?;
        x.scatter_add(&none, count([0, 4]), 0)?;
        assert_eq!(x.to_vec()?, count([3, 4]).to_vec()?);
        count([3, 0]).put(&Array::from_vec(vec![2i64], [1])?, 7.0, 0)?;
        let nothing = Array::<bool>::zeros([0])?;
        assert_eq!(count([0]).mask(&nothing)?.shape(), [0]);
        assert_eq!(count([0, 3]).mask(&nothing)?.shape(), [0, 3]);
        assert_eq!(count([2, 3]).compress(&nothing, 1)?.shape(), [2, 0]);
        assert_eq!(count([0, 3]).nonzero()?.iter().map(|a| a.len()).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(count([0, 3]).argwhere()?.shape(), [0, 2]);
        count([0]).assign_where(&nothing, 1.0)?;
        Ok(())
    });
}

/// Combines values with elements as a scatter must, index by index.
fn scattered(how: Combine, x: &mut [f64], shape: &[usize], at: &[i64], values: &[f64], axis: usize) {
    let inner: usize = shape[axis + 1..].iter().product();
    let (n, k) = (shape[axis], at.len());
    for outer in 0..shape[..axis].iter().product() {
        for (i, &a) in at.iter().enumerate() {
            for j in 0..inner {
                let (to, value) = ((outer * n + front(a, n)) * inner + j, values[(outer * k + i) * inner + j]);
                x[to] = match how {
                    Combine::Set => value,
                    Combine::Add => x[to] + value,
                    Combine::Min => x[to].min(value),
                    Combine::Max => x[to].max(value),
                };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn scatters_agree_with_a_loop(
        shape in prop::collection::vec(1usize..6, 1..4),
        axis in 0usize..3,
        seeds in prop::collection::vec(any::<i64>(), 1..9),
        how in prop::sample::select(Combine::ALL.to_vec()),
        layout in 0usize..4,
    ) {
        let axis = axis % shape.len();
        let n = shape[axis];
        let at: Vec<i64> = seeds.iter().map(|s| s.rem_euclid(2 * n as i64) - n as i64).collect();
        let total: usize = shape.iter().product();
        let start: Vec<f64> = (0..total).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut value_shape = shape.clone();
        value_shape[axis] = at.len();
        let values: Vec<f64> = (0..value_shape.iter().product::<usize>()).map(|i| (i as f64 * 1.3).cos()).collect();
        let mut want = start.clone();
        scattered(how, &mut want, &shape, &at, &values, axis);
        on_every_device(|device| {
            let last = shape.len() - 1;
            let all = Axes::from(&(0..shape.len()).collect::<Vec<_>>()[..]);
            // The same elements in layouts that nothing shares: C order, reversed axes, Fortran order, every other one.
            let make = || -> Result<Array<f64>> {
                let plain = Array::from_slice(&start, &shape[..])?;
                match layout {
                    0 => Ok(plain),
                    1 => plain.flip(all.clone())?.flatten()?.reshape(&shape[..])?.flip(all.clone()),
                    2 => plain.to_f_order(),
                    _ => {
                        let mut wide = shape.clone();
                        wide[last] *= 2;
                        let steps: Vec<SliceItem> =
                            (0..=last).map(|a| SliceItem::from(..).step(if a == last { 2 } else { 1 })).collect();
                        plain.repeat(2, -1)?.reshape(wide)?.slice(steps)
                    }
                }
            };
            let values = Array::from_slice(&values, &value_shape[..])?;
            let at = Array::from_slice(&at, at.len())?;
            let mut x = make()?;
            x.scatter(how, &at, &values, axis as isize)?;
            assert_eq!(x.to_vec()?, want, "{device} {how:?} {shape:?} along {axis}");
            // The same by aligned indices, into a view of an array that is shared.
            let aligned: Vec<usize> = (0..=last).map(|a| if a == axis { at.len() } else { 1 }).collect();
            let mut y = make()?;
            let before = y.clone();
            y.view_mut()?.scatter_along_axis(how, &at.reshape(aligned)?, &values, axis as isize)?;
            assert_eq!(y.to_vec()?, want, "{device} {how:?} {shape:?} along {axis}, aligned");
            assert_eq!(before.to_vec()?, start, "a copy keeps its elements");
            Ok(())
        });
    }

    #[test]
    fn masks_select_in_order(mask in prop::collection::vec(any::<bool>(), 0..150), dense in 0u8..3) {
        let mask: Vec<bool> = mask.iter().enumerate().map(|(i, &m)| match dense {
            0 => m,
            1 => m && i % 7 == 0,
            _ => m || i % 7 != 0,
        }).collect();
        let want: Vec<usize> = (0..mask.len()).filter(|&i| mask[i]).collect();
        on_every_device(|_| {
            let m = Array::from_slice(&mask, mask.len())?;
            let at: Vec<i64> = want.iter().map(|&i| i as i64).collect();
            assert_eq!(m.nonzero()?[0].to_vec()?, at);
            for dtype in [DType::U8, DType::F16, DType::F32, DType::I64, DType::C64, DType::Bool] {
                with_dtype!(dtype, T => {
                    let x = count([mask.len()]).cast::<T>().eval()?;
                    let all = x.to_vec()?;
                    let want: Vec<T> = want.iter().map(|&i| all[i]).collect();
                    assert_eq!(x.mask(&m)?.to_vec()?, want, "{dtype}");
                    assert_eq!(x.compress(&m, 0)?.to_vec()?, want, "{dtype}");
                    assert_eq!(x.flip(0)?.mask(&m.flip(0)?)?.to_vec()?, want.iter().rev().copied().collect::<Vec<T>>());
                });
            }
            Ok(())
        });
    }
}

#[test]
fn parts_of_a_larger_array_are_written_alone() {
    on_every_device(|_| {
        let mut x = count([4, 6]);
        let kept = x.clone();
        x.slice_mut(s![1..3, ..;-2])?.put(&Array::from_vec(vec![0i64, -1], [2])?, -1.0, 1)?;
        let mut want = kept.to_vec()?;
        for at in [6 + 5, 6 + 1, 12 + 5, 12 + 1] {
            want[at] = -1.0;
        }
        assert_eq!(x.to_vec()?, want);
        // Values that are views of the array itself are those from before.
        let values = x.slice(s![..;-1])?;
        let all = Array::from_vec(vec![0i64, 1, 2, 3], [4])?;
        x.put(&all, &values, 0)?;
        assert_eq!(x.to_vec()?, values.to_vec()?);
        let expression = &values * 2.0;
        x.put(&all, expression, 0)?;
        assert_eq!(x.get([-1, 0])?, 2.0 * want[0]);
        let mut wide = count([3]).broadcast_to([2, 3])?;
        assert!(matches!(wide.put(&all, 0.0, 1), Err(Error::NotWritable { .. })));
        Ok(())
    });
}

#[test]
fn sums_at_indices_do_not_depend_on_threads() {
    on_every_device(|_| {
        let n = 50_000;
        let values = (count([n, 3]) * 0.37).sin().eval()?;
        let at = count([n]).mul(7919.0).rem(97.0).cast::<i64>().eval()?;
        let run = |threads| {
            with_threads(threads, || -> Result<Vec<f32>> {
                let mut x = Array::<f32>::zeros([97, 3])?;
                x.scatter_add(&at, &values, 0)?;
                x.to_vec()
            })
        };
        let one = run(1)?;
        assert_eq!(one, run(2)?);
        assert_eq!(one, run(3)?);
        let (at, values) = (at.to_vec()?, values.to_vec()?);
        let mut want = vec![0f32; 97 * 3];
        for (i, &a) in at.iter().enumerate() {
            (0..3).for_each(|j| want[a as usize * 3 + j] += values[i * 3 + j]);
        }
        assert_eq!(one, want);
        Ok(())
    });
}

#[test]
fn integers_wrap_and_nan_wins() {
    on_every_device(|_| {
        let at = Array::from_vec(vec![0i64, 0, 1], [3])?;
        let mut x = Array::from_vec(vec![200u8, 1], [2])?;
        x.scatter_add(&at, &Array::from_vec(vec![50, 10, 255], [3])?, 0)?;
        assert_eq!(x.to_vec()?, [4, 0]);
        let mut x = Array::from_vec(vec![f64::NAN, 2.0], [2])?;
        x.scatter_max(&at, &Array::from_vec(vec![1.0, 5.0, f64::NAN], [3])?, 0)?;
        assert!(x.get([0])?.is_nan() && x.get([1])?.is_nan());
        let mut x = Array::from_vec(vec![3.0f32, 2.0], [2])?;
        x.scatter_min(&at, &Array::from_vec(vec![1.0, 5.0, 2.5], [3])?, 0)?;
        assert_eq!(x.to_vec()?, [1.0, 2.0]);
        let mut x = Array::from_vec(vec![f16::from_f32(2048.0)], [1])?;
        x.scatter_add(&Array::from_vec(vec![0i32; 4], [4])?, f16::ONE, 0)?;
        assert_eq!(x.item()?.to_f32(), 2048.0, "every sum is rounded");
        Ok(())
    });
}

#[test]
fn masks_of_the_first_axes_select_parts() {
    on_every_device(|_| {
        let x = count([2, 3, 2]);
        for x in [x.clone(), x.permute(&[1, 0, 2])?.to_contiguous()?.permute(&[1, 0, 2])?, x.flip(2)?.flip(2)?] {
            let rows = x.mask(&Array::from_vec(vec![false, true], [2])?)?;
            assert_eq!((rows.shape(), rows.to_vec()?), (&[1, 3, 2][..], vec![6.0, 7.0, 8.0, 9.0, 10.0, 11.0]));
            let pairs = x.mask(&Array::from_vec(vec![false, true, false, true, false, true], [2, 3])?)?;
            assert_eq!((pairs.shape(), pairs.to_vec()?), (&[3, 2][..], vec![2.0, 3.0, 6.0, 7.0, 10.0, 11.0]));
            let whole = x.mask(&Array::from_vec(vec![true], ())?)?;
            assert_eq!((whole.shape(), whole.len()), (&[1, 2, 3, 2][..], 12));
            assert_eq!(x.mask(&Array::from_vec(vec![false], ())?)?.shape(), [0, 2, 3, 2]);
            let columns = x.compress(&Array::from_vec(vec![true, false], [2])?, 1)?;
            assert_eq!(columns.to_vec()?, [0.0, 1.0, 6.0, 7.0], "a short mask");
        }
        let long = Array::from_vec(vec![true, false, false, false], [4])?;
        assert_eq!(x.compress(&long, 1)?.shape(), [2, 1, 2]);
        let index = |e: &Error| matches!(e, Error::Index { .. });
        refused(x.compress(&Array::from_vec(vec![true; 4], [4])?, 1), index, &["index 3", "axis 1", "length 3"]);
        let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
        refused(x.mask(&Array::from_vec(vec![true; 3], [3])?), shapes, &["[2, 3, 2]", "[3]"]);
        refused(x.compress(&Array::from_vec(vec![true; 2], [1, 2])?, 0), shapes, &["one axis"]);
        refused(count(()).nonzero(), shapes, &["expand_dims"]);
        assert_eq!(count(()).argwhere()?.shape(), [0, 0]);
        Ok(())
    });
}

#[test]
fn positions_of_elements_that_are_not_zero() {
    on_every_device(|_| {
        let x = (count([5, 7, 3]) * 1.7).sin().greater(0.3).eval()?;
        for x in [x.clone(), x.t(), x.slice(s![..;-1, ..;2])?] {
            let want: Vec<Vec<usize>> = indices_of(x.shape()).into_iter().filter(|ix| x.get(ix).unwrap()).collect();
            let at = x.nonzero()?;
            assert_eq!(at.len(), 3);
            for (axis, at) in at.iter().enumerate() {
                assert_eq!(at.to_vec()?, want.iter().map(|ix| ix[axis] as i64).collect::<Vec<_>>(), "axis {axis}");
            }
            let rows = x.argwhere()?;
            assert_eq!(rows.shape(), [want.len(), 3]);
            assert_eq!(rows.to_vec()?, want.concat().iter().map(|&i| i as i64).collect::<Vec<_>>());
        }
        let special = Array::from_vec(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 5e-324], [5])?;
        assert_eq!(special.nonzero()?[0].to_vec()?, [2, 3, 4]);
        Ok(())
    });
}

#[test]
fn values_are_assigned_where_a_mask_is_true() {
    on_every_device(|_| {
        let mut x = count([3, 4]);
        let before = x.clone();
        x.assign_where(&before.greater(5.0).eval()?, &before * -1.0)?;
        assert_eq!(x.to_vec()?, (0..12).map(|i| if i > 5 { -i as f32 } else { i as f32 }).collect::<Vec<_>>());
        let row = Array::from_vec(vec![true, false, false, true], [4])?;
        x.assign_where(&row, &Array::from_vec(vec![7.0, 8.0, 9.0], [3, 1])?)?;
        assert_eq!((x.get([0, 0])?, x.get([2, 3])?, x.get([1, 1])?), (7.0, 9.0, 5.0));
        x.slice_mut(s![.., 1..3;-1])?.assign_where(&Array::from_vec(vec![true, false], [2])?, 0.5)?;
        assert_eq!((x.get([1, 2])?, x.get([1, 1])?), (0.5, 5.0));
        assert!(x.assign_where(&Array::from_vec(vec![true; 3], [3])?, 1.0).is_err());
        assert!(x.assign_where(&Array::from_vec(vec![true; 24], [2, 3, 4])?, 1.0).is_err());
        // Few and many of a large array.
        let n = 40_000;
        for every in [1, 2, 1000, n + 1] {
            let mask = count([n]).rem(every as f32).equal(if every > n { -1.0 } else { 0.0 }).eval()?;
            let mut x = count([n]);
            let shared = x.clone();
            x.assign_where(&mask, -1.0)?;
            let want = |i: usize| if every <= n && i.is_multiple_of(every) { -1.0 } else { i as f32 };
            assert!(x.to_vec()?.iter().enumerate().all(|(i, &x)| x == want(i)), "every {every}");
            assert_eq!(shared.get([0])?, 0.0);
        }
        Ok(())
    });
}

#[test]
fn negative_indices_and_inferred_lengths() {
    let mut x = count([3, 4]);
    assert_eq!((x.get([-1, -4]).unwrap(), x.get([2i64, 0]).unwrap(), x.get([2usize, 0]).unwrap()), (8.0, 8.0, 8.0));
    x.set([-3, -1], 9.0).unwrap();
    assert_eq!(x.get([0, 3]).unwrap(), 9.0);
    assert_eq!(x.reshape([-1, 6]).unwrap().shape(), [2, 6]);
    assert_eq!(x.reshape([2i64, -1, 3]).unwrap().shape(), [2, 2, 3]);
    assert_eq!(x.reshape(-1).unwrap().shape(), [12]);
    assert_eq!(x.reshape(vec![3isize, 2, 2]).unwrap().shape(), [3, 2, 2]);
    assert_eq!(count([0, 3]).reshape([-1, 3]).unwrap().shape(), [0, 3]);
    let argument = |e: &Error| matches!(e, Error::Argument { op: "reshape", .. });
    refused(x.reshape([-1, -1]), argument, &["only one"]);
    refused(x.reshape([-2, 6]), argument, &["-2"]);
    refused(x.reshape([-1, 5]), argument, &["12 elements", "[-1, 5]"]);
    refused(count([0]).reshape([-1, 0]), argument, &["0 elements"]);
    refused(x.reshape([-1, i64::MAX, i64::MAX]), argument, &["12 elements"]);
    refused(x.reshape([5, 2]), |e| matches!(e, Error::Count { .. }), &["[5, 2]"]);
}

#[test]
fn slices_end_with_the_axis() {
    let x = count([5]);
    let part = |items: SliceItem| x.slice([items]).unwrap().to_vec().unwrap();
    assert_eq!(part((3..9).into()), [3.0, 4.0]);
    assert_eq!(part((-9..2).into()), [0.0, 1.0]);
    let (start, end) = (4, 2);
    assert!(part((start..end).into()).is_empty());
    assert!(part((7..).into()).is_empty());
    assert!(part((..-7).into()).is_empty());
    assert_eq!(part(SliceItem::from(1..99).step(-2)), [4.0, 2.0]);
    assert_eq!((part((-2i64..i64::MAX).into()), part((..=1i64).into())), (vec![3.0, 4.0], vec![0.0, 1.0]));
    assert!(part((..i64::MIN).into()).is_empty());
    let mut y = count([5]);
    y.slice_mut(s![3..100]).unwrap().fill(-1.0).unwrap();
    assert_eq!(y.to_vec().unwrap(), [0.0, 1.0, 2.0, -1.0, -1.0]);
}

/// A memory may store the dtypes of one buffer differently (a bool is four bytes on a GPU), so its parts are moved for
/// each dtype.
#[test]
fn views_as_several_dtypes_meet_in_one_operation() {
    let truths = Array::from_vec(vec![true; 8], [8]).unwrap();
    let (words, mask) = (truths.view_as::<u32>().unwrap(), truths.slice(s![..2]).unwrap());
    on_every_device(|_| {
        assert_eq!(select(&mask, &words, 0u32).eval()?.to_vec()?, [0x0101_0101; 2]);
        Ok(())
    });
}
