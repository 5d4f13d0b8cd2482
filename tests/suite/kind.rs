//! Conveniences: arrays of nested arrays, arrays like another one, iterators, equality, closures over elements, updates
//! in place, formulas, and bounds for generic code.

use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::{DynArray, trace};
use proptest::prelude::*;

#[test]
fn nested_arrays_and_vectors_convert_both_ways() {
    let cube = [[[1u8, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]];
    let a = Array::from(cube);
    assert_eq!((a.shape(), a.to_vec().unwrap()), (&[2, 3, 2][..], (1..=12).collect()));
    assert_eq!(<[[[u8; 2]; 3]; 2]>::try_from(&a).unwrap(), cube);
    assert_eq!(<[[[u8; 2]; 3]; 2]>::try_from(&a.slice(s![..;-1]).unwrap()).unwrap(), [cube[1], cube[0]]);
    refused(<[[u8; 6]; 2]>::try_from(&a), |e| matches!(e, Error::Shapes { .. }), &["[2, 3, 2]", "[2, 6]"]);
    assert_eq!(Array::from([[[[true]]]]).shape(), [1; 4]);
    assert_eq!(Array::from([1.5f32, 2.5]).to_vec().unwrap(), [1.5, 2.5]);
    assert_eq!(Vec::try_from(&a.t()).unwrap()[..3], [1, 7, 3]);
    // No elements: the lengths remain.
    assert_eq!(Array::from([[0f32; 0]; 3]).shape(), [3, 0]);
    assert_eq!(Array::from([[[0i8; 4]; 0]; 5]).shape(), [5, 0, 4]);
    assert_eq!(<[[f32; 0]; 3]>::try_from(&Array::from([[0f32; 0]; 3])).unwrap(), [[0f32; 0]; 3]);
    let n = Array::try_from(vec![[1i16, 2, 3]; 4]).unwrap();
    assert_eq!((n.shape(), n.sum().unwrap()), (&[4, 3][..], 24));
    assert_eq!(Array::try_from(&[1u64, 2][..]).unwrap(), Array::from(vec![1u64, 2]));
}

#[test]
fn sizes_that_overflow_are_errors() {
    let rows = vec![[0f64; 0]; usize::MAX];
    refused(Array::try_from(rows), |e| matches!(e, Error::TooLarge { .. }), &["[18446744073709551615, 0]"]);
}

#[test]
fn ragged_vectors_are_refused_with_the_row() {
    let is = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(Array::try_from(vec![vec![1, 2], vec![3]]), is, &["row 1 has length 1, row 0 has length 2"]);
    refused(Array::try_from(vec![vec![], vec![0.5]]), is, &["row 1 has length 1, row 0 has length 0"]);
    refused(Array::try_from(vec![vec![vec![1u8]], vec![vec![1], vec![2]]]), is, &["row 1 has length 2"]);
    refused(Array::try_from(vec![vec![vec![1u8], vec![]], vec![vec![1], vec![2]]]), is, &["row 1 has length 0"]);
    assert_eq!(Array::<f32>::try_from(Vec::<Vec<f32>>::new()).unwrap().shape(), [0, 0]);
    assert_eq!(Array::try_from(vec![Vec::<f32>::new(), vec![]]).unwrap().shape(), [2, 0]);
    let deep = Array::try_from(vec![vec![vec![1i64, 2]; 3]; 2]).unwrap();
    assert_eq!((deep.shape(), deep.sum().unwrap()), (&[2, 3, 2][..], 18));
}

#[test]
fn bytes_are_copied_and_checked() {
    let a = Array::from([1.5f32, -2.0]);
    let bytes = a.to_bytes().unwrap();
    assert_eq!(a.as_bytes(), Some(&bytes[..]));
    assert_eq!(Array::<f32>::from_bytes(&bytes, [2, 1]).unwrap().shape(), [2, 1]);
    // Not aligned for f32.
    let shifted = [&[0], &bytes[..]].concat();
    assert_eq!(Array::<f32>::from_bytes(&shifted[1..], 2).unwrap(), a);
    let is = |e: &Error| matches!(e, Error::Argument { .. });
    refused(Array::<f32>::from_bytes(&bytes[1..], 2), is, &["7 bytes", "8 bytes"]);
    refused(Array::<bool>::from_bytes(&[1, 2], 2), is, &["byte 1 is 2"]);
    assert_eq!(count([2, 3]).t().as_bytes(), None);
}

#[test]
fn arrays_like_another_one_keep_memory_and_order() {
    on_every_device(|device| {
        let x = count([2, 3, 4]).to_device(device)?.permute(&[2, 0, 1])?;
        for (like, value) in [(x.zeros_like()?, 0.0), (x.ones_like()?, 1.0), (x.full_like(2.5)?, 2.5)] {
            assert_eq!((like.shape(), like.strides(), like.device()), (x.shape(), x.strides(), x.device()), "{device}");
            assert!(like.iter()?.all(|v| v == value));
        }
        let part = x.slice(s![.., 0, ..;-1])?.zeros_like()?;
        assert_eq!((part.shape(), part.iter()?.len()), (&[4, 3][..], 12));
        assert_eq!(x.slice(s![..0])?.ones_like()?.shape(), [0, 2, 3]);
        assert_eq!(Array::full((), 3.0f32)?.to_device(device)?.ones_like()?.item()?, 1.0);
        Ok(())
    });
    let wide = Array::from([1i16]).broadcast_to([1 << 20]).unwrap().zeros_like().unwrap();
    assert_eq!((wide.strides(), wide.sum().unwrap()), (&[1][..], 0), "a broadcast array becomes a full one");
}

#[test]
fn iterators_on_every_device() {
    on_every_device(|device| {
        let a = count([2, 3]).to_device(device)?;
        assert_eq!(a.t().iter()?.collect::<Vec<_>>(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0], "{device}");
        let columns: Vec<Array<f32>> = a.axis_iter(-1)?.collect();
        assert!(columns.iter().all(|c| c.shares_memory(&a) && c.device() == a.device()));
        assert_eq!(columns[2].to_vec()?, [2.0, 5.0]);
        assert_eq!(a.rows()?.map(|row| row.sum()).collect::<Result<Vec<_>>>()?, [3.0, 12.0]);
        Ok(())
    });
    let a = count([2, 3]);
    refused(a.axis_iter(2).map(drop), |e| matches!(e, Error::Axis { .. }), &["axis_iter", "axis 2"]);
    let single = Array::full((), 7).unwrap();
    refused(single.rows().map(drop), |e| matches!(e, Error::Axis { .. }), &["rows"]);
    assert_eq!(single.iter().unwrap().collect::<Vec<_>>(), [7]);
    let none = Array::<f32>::zeros([3, 0]).unwrap();
    assert_eq!((none.iter().unwrap().len(), none.rows().unwrap().len()), (0, 3));
    assert_eq!(none.axis_iter(1).unwrap().count(), 0);
    assert!(none.axis_iter(0).unwrap().all(|row| row.shape() == [0]));
}

#[test]
fn a_write_while_an_iterator_lives_is_not_seen() {
    let mut a = Array::from([1, 2, 3]);
    let seen = a.iter().unwrap();
    a.set([1], 9).unwrap();
    assert_eq!(seen.collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(a, Array::from([1, 9, 3]));
}

/// Returns a view of the numbers 0, 1, 2, .., cut, permuted and reversed.
fn view(shape: &[usize; 3], order: &[isize; 3], steps: &[isize; 3]) -> Array<f32> {
    let a = count(*shape).permute(order).unwrap();
    a.slice(s![..;steps[0], ..;steps[1], ..;steps[2]]).unwrap()
}

fn views() -> impl Strategy<Value = Array<f32>> {
    let orders = proptest::sample::select(vec![[0, 1, 2], [2, 0, 1], [1, 0, 2], [2, 1, 0]]);
    let step = || proptest::sample::select(vec![1, 2, -1, -3]);
    (any::<[u8; 3]>(), orders, [step(), step(), step()])
        .prop_map(|(n, order, steps)| view(&n.map(|n| usize::from(n % 8)), &order, &steps))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The elements in C order from both ends, taken in any pattern, are those of `to_vec`.
    #[test]
    fn elements_are_those_of_a_vector(a in views(), pattern in proptest::collection::vec(0..4u8, 0..60)) {
        let all = a.to_vec().unwrap();
        let (mut ours, mut theirs) = (a.iter().unwrap(), all.iter().copied());
        for step in pattern {
            match step {
                0 | 1 => prop_assert_eq!(ours.next(), theirs.next()),
                2 => prop_assert_eq!(ours.next_back(), theirs.next_back()),
                _ => prop_assert_eq!(ours.nth(2), theirs.nth(2)),
            }
            prop_assert_eq!(ours.len(), theirs.len());
        }
        prop_assert!(ours.eq(theirs));
        prop_assert!(a.iter().unwrap().rev().eq(all.iter().rev().copied()));
    }

    /// Rows and views along an axis are the slices at each index.
    #[test]
    fn views_are_slices(a in views(), axis in 0..3usize) {
        for (i, part) in a.axis_iter(axis as isize).unwrap().enumerate() {
            let mut items = s![.., .., ..];
            items[axis] = polyarray::SliceItem::from(i);
            prop_assert_eq!(part, a.slice(items).unwrap());
        }
        let rows = a.rows().unwrap();
        prop_assert_eq!(rows.len(), a.shape()[0] * a.shape()[1]);
        let joined: Vec<f32> = rows.flat_map(|row| row.to_vec().unwrap()).collect();
        prop_assert_eq!(joined, a.to_vec().unwrap());
    }

    /// Equality is that of shapes and vectors.
    #[test]
    fn equality_is_that_of_vectors(a in views(), b in views(), change in any::<usize>()) {
        let same = a.shape() == b.shape() && a.to_vec().unwrap() == b.to_vec().unwrap();
        prop_assert_eq!(a == b, same);
        let copy = a.to_f_order().unwrap();
        prop_assert_eq!(&copy, &a);
        if !a.is_empty() {
            let mut other = a.clone().flatten().unwrap();
            other.set([change % a.len()], -1.0).unwrap();
            prop_assert!(other.reshape(a.shape()).unwrap() != a);
        }
    }

    /// A closure sees the elements in C order, also of operands that broadcast.
    #[test]
    fn closures_see_the_elements(a in views(), by in 0..3usize) {
        let mapped = a.map_elements(|x| x as i32 + 1).unwrap();
        prop_assert_eq!(&mapped, &(a.cast::<i32>() + 1).eval().unwrap());
        let mut shape = a.shape().to_vec();
        shape[by] = 1;
        let other = count(&shape[..]);
        let both = a.zip_elements(&other, |x, y| x - 2.0 * y).unwrap();
        prop_assert_eq!(both, (&a - &other * 2.0).eval().unwrap());
    }
}

#[test]
fn equality_of_special_values_dtypes_and_devices() {
    assert!(Array::from([0.0, -0.0]) == Array::from([-0.0, 0.0]));
    let nan = Array::from([f32::NAN]);
    assert!(nan != nan.clone());
    assert!(Array::<f32>::zeros([0, 2]).unwrap() != Array::<f32>::zeros([2, 0]).unwrap());
    assert!(Array::from([1]) != Array::from([[1]]));
    assert!(Array::from([Complex::new(0.0f32, 1.0)]) == Array::from([Complex::new(-0.0f32, 1.0)]));
    assert!(Array::from([true, false]) != Array::from([true, true]));
    let (x, y) = (DynArray::from(&Array::from([1u8])), DynArray::from(&Array::from([1i8])));
    assert!(x == x.clone() && x != y);
    on_every_device(|device| {
        let a = count([3, 4]).to_device(device)?;
        assert!(a == count([3, 4]) && a.t() != count([3, 4]), "{device}");
        assert!(a.t() == count([3, 4]).t());
        Ok(())
    });
}

#[test]
fn closures_give_results_beside_their_operands() {
    on_every_device(|device| {
        let a = count([2, 2]).to_device(device)?;
        let roots = a.map_elements(f32::sqrt)?;
        assert_eq!((roots.device(), roots.get([1, 1])?), (a.device(), 3f32.sqrt()));
        Ok(())
    });
    let a = count([2, 2]);
    refused(a.zip_elements(&count([3]), |x, y| x + y), |e| matches!(e, Error::Broadcast { .. }), &["[2, 2]", "[3]"]);
    let huge = a.slice(s![0, 0]).unwrap().broadcast_to([1 << 50]).unwrap();
    refused(huge.map_elements(|x| x), |e| matches!(e, Error::OutOfMemory { .. }), &[]);
}

/// Updates an array on every device and checks the result.
#[test]
fn updates_in_place() {
    on_every_device(|device| {
        for n in [1, 50, 300_000] {
            let mut x = count([n]).to_device(device)?;
            let before = x.clone().layout().clone();
            let (done, record) = trace::record(|| x.update(|x| (x * 0.5 + 1.0).square()));
            done?;
            assert!(record.copies.is_empty(), "{device}: {record}");
            let expected: Vec<f32> = (0..n).map(|i| (i as f32 * 0.5 + 1.0) * (i as f32 * 0.5 + 1.0)).collect();
            assert_eq!((x.layout(), x.to_vec()?), (&before, expected), "{device}, {n}");
        }
        Ok(())
    });
}

#[test]
fn an_update_reuses_the_buffer_only_if_nothing_else_shows_it() {
    let mut x = count([1000]);
    let place = x.as_slice().unwrap().as_ptr();
    x.update(|x| &x * &x - x).unwrap();
    assert_eq!(x.as_slice().unwrap().as_ptr(), place, "in place");
    let kept = x.clone();
    x.update(|x| x + 1.0).unwrap();
    assert_ne!(x.as_slice().unwrap().as_ptr(), place);
    assert_eq!(kept.get([3]).unwrap(), 6.0);
    assert_eq!(x.get([3]).unwrap(), 7.0);

    // The closure keeps the operand.
    let (mut x, mut kept) = (count([4]), None);
    x.update(|x| {
        kept = Some(x.clone());
        x * 10.0
    })
    .unwrap();
    assert_eq!(kept.unwrap().eval().unwrap(), count([4]));
    assert_eq!(x.to_vec().unwrap(), [0.0, 10.0, 20.0, 30.0]);

    // The value is another array, a single number, or the operand itself.
    x.update(|_| count([4]).into_expr()).unwrap();
    assert_eq!(x, count([4]));
    x.update(|x| x).unwrap();
    assert_eq!(x, count([4]));
    x.update(|_| 3.0.into_expr()).unwrap();
    assert_eq!(x.to_vec().unwrap(), [3.0; 4]);
}

#[test]
fn updates_of_views_and_of_what_cannot_be_written() {
    let whole = count([3, 4]);
    let mut part = whole.slice(s![1.., ..;-2]).unwrap();
    part.update(|x| -x).unwrap();
    assert_eq!(part, Array::from([[-7.0, -5.0], [-11.0, -9.0]]));
    assert_eq!(whole, count([3, 4]));
    drop(whole);
    let mut alone = count([3, 4]).slice(s![.., 1]).unwrap();
    alone.update(|x| x * 2.0).unwrap();
    assert_eq!((alone.strides(), alone.to_vec().unwrap()), (&[4][..], vec![2.0, 10.0, 18.0]));
    let mut wide = count([1, 3]).broadcast_to([2, 3]).unwrap();
    wide.update(|x| x + Array::from([[0.0], [10.0]])).unwrap();
    assert_eq!(wide, Array::from([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]), "a broadcast array becomes a full one");
    let mut none = Array::<f32>::zeros([0, 3]).unwrap();
    none.update(|x| x.exp()).unwrap();
    assert_eq!(none.shape(), [0, 3]);

    let mut x = count([3]);
    refused(x.update(|x| x + count([2, 3])), |e| matches!(e, Error::BroadcastTo { .. }), &["[2, 3]", "[3]"]);
    refused(x.update(|x| x + count([2])), |e| matches!(e, Error::Broadcast { .. }), &["[3]", "[2]"]);
    let mut n = Array::from([1i32, 2]);
    refused(n.update(|n| n.sin()), |e| matches!(e, Error::DTypeUndefined { .. }), &["sin", "i32"]);
    assert_eq!((x, n), (count([3]), Array::from([1, 2])), "unchanged");
}

#[test]
fn long_updates_are_evaluated_in_parts() {
    let others: Vec<Array<f32>> = (0..12).map(|i| count([100]) * i as f32).map(|e| e.eval().unwrap()).collect();
    let mut x = count([100]);
    x.update(|x| others.iter().fold(x, |sum, other| sum + other)).unwrap();
    assert_eq!(x.get([2]).unwrap(), 2.0 + 2.0 * 66.0);
}

#[test]
fn expressions_are_shown_as_formulas() {
    let (x, y) = (count([2, 3]), count([3]));
    let text = |e: &Expr<f32>| e.to_string();
    assert_eq!(text(&((&x * 2.0 + 1.0).sqrt() - &x)), "sqrt((x0 * 2) + 1) - x0");
    assert_eq!(text(&(&x / &y)), "x0 / x1");
    assert_eq!(text(&x.exp()), "exp(x0)");
    assert_eq!(text(&(&x).into_expr()), "x0");
    assert_eq!(text(&select(x.greater(0.5), &x, 0.0)), "select(x0 > 0.5, x0, 0)");
    assert_eq!((x.cast::<i32>() % 2).to_string(), "i32(x0) % 2");
    let d = &x - &y;
    assert_eq!(text(&(&d * &d + d.abs())), "(t0 * t0) + abs(t0) where t0 = x0 - x1");
    assert_eq!(text(&(&x + &count([2]))), "error: cannot broadcast [2, 3] with [2]: axis 1 is 3 against 2");
    assert_eq!(format!("{:?}", &x + &y), "Expr<f32>([2, 3], x0 + x1, x0: f32[2, 3], x1: f32[3])");
    let long = (0..100).fold(x.into_expr(), |e, i| e + i as f32);
    assert_eq!(text(&long), "100 steps on 1 array");
    let mut inside = String::new();
    fuse(|a: Expr<f32>, b: Expr<f32>| {
        let e = (a + &b) * b;
        inside = format!("{e}; {e:?}");
        e
    })
    .unwrap();
    assert!(inside.contains("(x0 + x1) * x1; Expr<f32>") || inside.contains("(x1 + x0) * x0; Expr<f32>"), "{inside}");
    let doubled = (0..40).fold(count([2]).into_expr(), |e, _| &e + &e);
    assert!(text(&doubled).len() < 100, "{doubled}");
    let dynamic = DynArray::from(&count([2])).expr().unary(polyarray::Unary::Exp);
    assert_eq!(dynamic.to_string(), "exp(x0)");
}

/// The mean and the variance of the standardised elements, in the arithmetic of `T`.
fn standardised<T: Float>(x: &Array<T>) -> Result<(T, T)> {
    let small = T::from_f64(1e-12);
    let z = ((x - x.mean()?) / (x.var(0)? + small).into_expr().sqrt()).eval()?;
    let n = T::from_f64(z.len() as f64);
    Ok((z.sum()? / n, z.square().sum()? / n))
}

fn total<T: Number>(x: &Array<T>, from: T) -> Result<T> {
    Ok(x.iter()?.fold(from, |mut sum, x| {
        sum += x;
        sum
    }))
}

fn largest<T: Real>(x: &Array<T>) -> Result<f64> {
    Ok(x.iter()?.fold(T::MIN, |a, b| if b > a { b } else { a }).to_f64())
}

#[test]
fn generic_code_has_bounds() {
    let (mean, variance) = standardised(&count([100])).unwrap();
    assert!(mean.abs() < 1e-4 && (variance - 1.0).abs() < 1e-4);
    let (mean, variance) = standardised(&Array::<f64>::linspace(-3.0, 50.0, 101).unwrap()).unwrap();
    assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-9);
    let (_, variance) = standardised(&Array::from([1.0, 2.0, 3.0].map(f16::from_f64))).unwrap();
    assert!((variance.to_f64() - 1.0).abs() < 0.01);
    assert_eq!(total(&Array::from([1u8, 2, 3]), 10).unwrap(), 16);
    assert_eq!(total(&Array::from([Complex::new(1.0, 2.0)]), Number::ONE).unwrap(), Complex::new(2.0, 2.0));
    assert_eq!(largest(&Array::from([-7i8, -3])).unwrap(), -3.0);
    assert_eq!(largest(&Array::from([2.5f32, 1.0])).unwrap(), 2.5);
    assert_eq!((i32::from_f64(-1.9), u8::from_f64(300.0), <f32 as Number>::from_f64(0.1)), (-1, 255, 0.1));
    assert_eq!(<bf16 as Float>::PI.to_f32(), 3.140625);
}

#[test]
fn errors_of_other_crates_pass_a_function_of_boxed_errors() {
    fn both(text: &str) -> Result<Array<f64>, Box<dyn std::error::Error>> {
        let x: f64 = text.parse()?;
        Ok(Array::full([2], x)?.reshape([x as usize])?)
    }
    assert_eq!(both("2").unwrap(), Array::from([2.0, 2.0]));
    assert!(both("two").unwrap_err().to_string().contains("float"));
    assert!(both("3").unwrap_err().to_string().contains("reshape"));
}

#[test]
fn an_update_of_windows_reads_each_element_once() {
    on_every_device(|_| {
        // The windows hold the buffer alone, and show its elements twice.
        let mut windows = count([20_000]).windows([2])?;
        windows.update(|x| x * 2.0 + 1.0)?;
        let want = (count([20_000]).windows([2])? * 2.0 + 1.0).eval()?;
        assert_eq!(windows, want);
        Ok(())
    });
}
