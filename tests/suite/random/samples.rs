//! Permutations, shuffles and choices.

use super::{bad, rng};
use crate::common::{count, on_every_device, refused};
use polyarray::prelude::*;
use polyarray::random::{Generator, Replacement};
use polyarray::with_dtype;
use std::collections::HashMap;

/// Asserts that the outcomes of many calls have these probabilities, by chi-squared.
fn fits<K: std::hash::Hash + Eq + std::fmt::Debug>(n: usize, mut one: impl FnMut() -> K, expected: &[(K, f64)]) {
    let mut counts: HashMap<K, f64> = HashMap::new();
    (0..n).for_each(|_| *counts.entry(one()).or_default() += 1.0);
    let mut squares = 0.0;
    for (outcome, p) in expected {
        squares += (counts.remove(outcome).unwrap_or(0.0) - n as f64 * p).powi(2) / (n as f64 * p);
    }
    assert!(counts.is_empty(), "unexpected outcomes: {counts:?}");
    let freedom = expected.len() as f64 - 1.0;
    assert!(squares < freedom + 4.0 * (2.0 * freedom).sqrt(), "chi-squared is {squares}, {} outcomes", expected.len());
}

#[test]
fn all_permutations_are_equally_probable() {
    let mut all = Vec::new();
    for a in 0..256i64 {
        let order = vec![a / 64, a / 16 % 4, a / 4 % 4, a % 4];
        if (0..4).all(|i| order.contains(&i)) {
            all.push((order, 1.0 / 24.0));
        }
    }
    let mut r = rng();
    fits(3000, || r.permutation(4).unwrap().to_vec().unwrap(), &all);
}

#[test]
fn a_permutation_has_every_number_once() {
    // More than the steps whose bits are drawn at once.
    for n in [0, 1, 2, 100, 70_001] {
        let order = rng().permutation(n).unwrap();
        assert_eq!(order.sort(0).unwrap().to_vec().unwrap(), (0..n as i64).collect::<Vec<_>>());
    }
    assert_ne!(rng().permutation(100).unwrap().to_vec().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_shuffle_moves_whole_rows_of_any_layout() {
    on_every_device(|_| {
        let order = rng().permutation(5)?.to_vec()?;
        let base = count([5, 6]);
        let views = [
            base.clone(),
            count([6, 5]).t(),
            base.slice(s![..;-1, ..;-1])?,
            count([9, 6]).slice(s![2..7, 1..;2])?,
            count([5]),
            count([5, 2, 3]).permute(&[0, 2, 1])?,
            count([5, 0]),
        ];
        for view in views {
            let mut shuffled = view.clone();
            let mut r = rng();
            r.shuffle(&mut shuffled)?;
            assert_eq!(r.position(), 10);
            for (to, &from) in order.iter().enumerate() {
                let row = |x: &Array<f32>, i: usize| x.slice(s![i])?.to_vec();
                assert_eq!(row(&shuffled, to)?, row(&view, from as usize)?, "{:?}", view.strides());
            }
        }
        assert_eq!(base.to_vec()?, count([5, 6]).to_vec()?, "arrays that share memory do not change");
        Ok(())
    });
}

#[test]
fn a_shuffle_of_a_view_leaves_the_rest() {
    let mut x = count([6]);
    let mut part = x.slice(s![1..5]).unwrap();
    rng().shuffle(&mut part).unwrap();
    assert_eq!(x.to_vec().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    rng().shuffle(&mut x).unwrap();
    assert_eq!(x.sort(0).unwrap().to_vec().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for mut few in [count([0]), count([1]), count([1, 3]), count([0, 3])] {
        let before = few.to_vec().unwrap();
        rng().shuffle(&mut few).unwrap();
        assert_eq!(few.to_vec().unwrap(), before);
    }
    let mut r = rng();
    refused(r.shuffle(&mut Array::full((), 1).unwrap()), |e| matches!(e, Error::Axis { .. }), &["shuffle", "0 axes"]);
    let mut same = count([3]).broadcast_to([4, 3]).unwrap();
    refused(r.shuffle(&mut same), |e| matches!(e, Error::NotWritable { .. }), &["broadcast"]);
    assert_eq!(r, rng());
}

#[test]
fn choices_are_rows_of_every_dtype_and_layout() {
    on_every_device(|_| {
        for dtype in DType::ALL {
            with_dtype!(dtype, T => {
                let x = count([7, 4]).cast::<T>().eval()?.slice(s![..;-1, 1..])?;
                for replacement in [Replacement::With, Replacement::Without] {
                    let mut r = rng();
                    let y = r.choice(&x, [2, 3], replacement)?;
                    assert_eq!(y.shape(), [2, 3, 3]);
                    let rows = rng().choice(&Array::arange(0i64, 7, 1)?, [2, 3], replacement)?;
                    for i in 0..6 {
                        let at = rows.get([i / 3, i % 3])? as usize;
                        assert_eq!(y.slice(s![i / 3, i % 3])?.to_vec()?, x.slice(s![at])?.to_vec()?, "{dtype}");
                    }
                }
            });
        }
        Ok(())
    });
}

#[test]
fn a_sample_without_replacement_is_the_start_of_a_permutation() {
    let x = Array::arange(0i64, 5000, 1).unwrap();
    let order = rng().permutation(5000).unwrap().to_vec().unwrap();
    // Few and many of the rows, for which different methods are used.
    for n in [0, 1, 5, 300, 311, 312, 313, 2000, 5000] {
        let mut r = rng();
        let y = r.choice(&x, n, Replacement::Without).unwrap();
        assert_eq!(y.to_vec().unwrap(), order[..n], "{n}");
        assert_eq!(r.position(), 2 * n as u64);
    }
}

#[test]
fn samples_are_equally_probable() {
    let x = Array::arange(0i64, 40, 1).unwrap();
    let pairs: Vec<_> = (0..40).flat_map(|a| (0..40).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    let mut r = rng();
    let mut pair = |replacement| {
        let y = r.choice(&x, 2, replacement).unwrap().to_vec().unwrap();
        (y[0], y[1])
    };
    let without: Vec<_> = pairs.iter().map(|&pair| (pair, 1.0 / 1560.0)).collect();
    fits(8000, || pair(Replacement::Without), &without);
    let few: Vec<_> = (0..40).map(|a| (a, 1.0 / 40.0)).collect();
    fits(3000, || pair(Replacement::With).1, &few);
}

#[test]
fn weighted_samples_have_their_probabilities() {
    let x = Array::from_vec(vec![10i64, 20, 30, 40], 4).unwrap();
    let w = [0.5, 0.0, 0.3, 0.2];
    let weights = Array::from_slice(&w, 4).unwrap();
    let single: Vec<_> = [0, 2, 3].into_iter().map(|i| (10 * (i as i64 + 1), w[i])).collect();
    let mut many = rng().choice_weighted(&x, &weights, 5000, Replacement::With).unwrap().to_vec().unwrap().into_iter();
    fits(5000, || many.next().unwrap(), &single);
    let mut pairs = Vec::new();
    for a in [0, 2, 3] {
        for b in [0, 2, 3] {
            if a != b {
                pairs.push(((10 * (a as i64 + 1), 10 * (b as i64 + 1)), w[a] * w[b] / (1.0 - w[a])));
            }
        }
    }
    let mut r = rng();
    let mut pair = || {
        let y = r.choice_weighted(&x, &weights, 2, Replacement::Without).unwrap().to_vec().unwrap();
        (y[0], y[1])
    };
    fits(3000, &mut pair, &pairs);
    assert_eq!(r.position(), 3000 * 8, "two words for each weight");
    let all = rng().choice_weighted(&x, &weights, 3, Replacement::Without).unwrap();
    assert_eq!(all.sort(0).unwrap().to_vec().unwrap(), [10, 30, 40]);
    // Waiting times of such weights are infinite; those of both rows nevertheless differ.
    let tiny = Array::from_vec(vec![1.0, 5e-324, 5e-324], [3]).unwrap();
    let x = Array::arange(0i64, 3, 1).unwrap();
    let mut second = || r.choice_weighted(&x, &tiny, 2, Replacement::Without).unwrap().get([1]).unwrap();
    fits(1000, &mut second, &[(1, 0.5), (2, 0.5)]);
}

#[test]
fn golden_samples() {
    let x = Array::arange(0i64, 100, 1).unwrap();
    let weights = ((&x + 1).cast::<f64>() / 5050.0).eval().unwrap();
    let list = |x: Result<Array<i64>>| x.unwrap().to_vec().unwrap();
    let mut shuffled = Array::arange(0i64, 8, 1).unwrap();
    rng().shuffle(&mut shuffled).unwrap();
    let found = [
        list(Ok(shuffled)),
        list(rng().choice(&x, 8, Replacement::With)),
        list(rng().choice(&x, 8, Replacement::Without)),
        list(rng().choice_weighted(&x, &weights, 8, Replacement::With)),
        list(rng().choice_weighted(&x, &weights, 8, Replacement::Without)),
    ];
    let golden: [[i64; 8]; 5] = [
        [3, 1, 5, 4, 6, 7, 0, 2],
        [93, 43, 88, 8, 90, 65, 99, 39],
        [43, 9, 66, 41, 59, 76, 26, 28],
        [65, 28, 81, 62, 76, 86, 46, 48],
        [57, 87, 52, 79, 62, 13, 85, 54],
    ];
    assert_eq!(found.concat(), golden.concat());
}

#[test]
fn every_device_chooses_the_same() {
    let run = || -> Result<Vec<f32>> {
        let (x, mut r) = (count([3000, 2]), rng());
        let mut out = r.choice(&x, 1000, Replacement::Without)?.to_vec()?;
        out.extend(r.choice(&x, 1000, Replacement::With)?.to_vec()?);
        let mut shuffled = x.clone();
        r.shuffle(&mut shuffled)?;
        out.extend(shuffled.to_vec()?);
        Ok(out)
    };
    let expected = with_device(&Device::scalar(), run).unwrap();
    on_every_device(|device| {
        assert!(run()? == expected, "{device}");
        Ok(())
    });
}

#[test]
fn impossible_samples_are_errors() {
    let x = Array::arange(0i64, 5, 1).unwrap();
    let w = |w: &[f64]| Array::from_slice(w, w.len()).unwrap();
    let choose = |w: Array<f64>| {
        move |r: &mut Generator| r.choice_weighted(&Array::arange(0i64, 5, 1)?, &w, 3, Replacement::Without)
    };
    bad(|r| r.choice(&x, 6, Replacement::Without), &["choice: shape = 6 rows: there are 5 rows"]);
    bad(|r| r.choice(&x, [3, 2], Replacement::Without), &["6 rows"]);
    bad(choose(w(&[0.5, 0.5, 0.0, 0.0, 0.0])), &["3 rows: only 2 weights are positive"]);
    bad(choose(w(&[0.5, 0.7, -0.2, 0.0, 0.0])), &["weights = -0.2", "not negative"]);
    bad(choose(w(&[0.5, f64::NAN, 0.5, 0.0, 0.0])), &["weights = NaN"]);
    bad(choose(w(&[f64::INFINITY, 0.0, 0.0, 0.0, 0.0])), &["weights = inf"]);
    bad(choose(w(&[1.0, 2.0, 3.0, 4.0, 5.0])), &["the sum 15", "divide the weights by their sum"]);
    bad(choose(w(&[0.0; 5])), &["the sum 0"]);
    bad(choose(w(&[1e308; 5])), &["the sum inf"]);
    let mut r = rng();
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    refused(choose(w(&[0.5, 0.5]))(&mut r), shapes, &["[5]", "[2]", "one weight for each of the 5 rows"]);
    let square = w(&[0.2; 5]).expand_dims(0).unwrap();
    refused(choose(square)(&mut r), shapes, &["[1, 5]"]);
    let axis = |e: &Error| matches!(e, Error::Axis { .. });
    refused(r.choice(&Array::full((), 1).unwrap(), 1, Replacement::With), axis, &["choice", "0 axes"]);
    let none = count([0, 3]);
    refused(r.choice(&none, 1, Replacement::With), |e| matches!(e, Error::Empty { .. }), &["choice", "[0, 3]"]);
    assert_eq!(r, rng());
    assert_eq!(r.choice(&none, 0, Replacement::With).unwrap().shape(), [0, 3]);
    assert_eq!(r.choice(&none, [2, 0], Replacement::Without).unwrap().shape(), [2, 0, 3]);
    let no_weights = r.choice_weighted(&none, &w(&[]), 0, Replacement::Without);
    assert_eq!(no_weights.unwrap().shape(), [0, 3]);
}

#[test]
fn hostile_samples_need_memory_for_the_result_alone() {
    // A view of 2^50 rows, all of which are one element.
    let many = Array::full(1, 7u8).unwrap().broadcast_to(1usize << 50).unwrap();
    for replacement in [Replacement::With, Replacement::Without] {
        assert_eq!(rng().choice(&many, 5, replacement).unwrap().to_vec().unwrap(), [7; 5]);
        let memory = |e: &Error| matches!(e, Error::OutOfMemory { .. });
        refused(rng().choice(&many, 1usize << 49, replacement), memory, &["out of memory"]);
        let large = |e: &Error| matches!(e, Error::TooLarge { .. });
        refused(rng().choice(&count([2]), [0, usize::MAX], replacement), large, &["too large"]);
    }
}
