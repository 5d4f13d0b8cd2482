//! Distinct elements and sets, with results known from NumPy 2.

use crate::common::{layouts, on_every_device, refused};
use polyarray::prelude::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NAN: f64 = f64::NAN;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

fn text<T: Element>(x: Array<T>) -> String {
    format!("{:?}", x.to_vec().unwrap())
}

#[test]
fn distinct_elements_and_where_they_are() {
    on_every_device(|_| {
        for x in layouts(&Array::from_vec(vec![3, 1, 3, 2, 1, 9], [2, 3])?)? {
            let unique = x.unique_all()?;
            assert_eq!(unique.values.to_vec()?, [1, 2, 3, 9]);
            assert_eq!(unique.indices.to_vec()?, [1, 3, 0, 5]);
            assert_eq!(unique.inverse.to_vec()?, [2, 0, 2, 1, 0, 3]);
            assert_eq!((unique.inverse.shape(), unique.counts.to_vec()?), (&[2, 3][..], vec![2, 1, 2, 1]));
        }
        let unique = array(&[NAN, 0.0, NAN, -0.0, 1.0]).unique_all()?;
        assert_eq!(text(unique.values), "[0.0, 1.0, NaN]");
        assert_eq!(unique.indices.to_vec()?, [1, 4, 0]);
        assert_eq!((unique.inverse.to_vec()?, unique.counts.to_vec()?), (vec![2, 0, 2, 0, 1], vec![2, 1, 2]));
        let empty = Array::<f32>::zeros([0, 2])?.unique_all()?;
        assert_eq!((empty.values.len(), empty.inverse.shape()), (0, &[0, 2][..]));
        let one = Array::full((), true)?.unique_all()?;
        assert_eq!((one.values.to_vec()?, one.inverse.shape(), one.inverse.item()?), (vec![true], &[][..], 0));
        Ok(())
    });
    let z = array(&[Complex::new(1.0, 0.0)]);
    refused(z.unique_all().map(|_| ()), |e| matches!(e, Error::DTypeUndefined { .. }), &["unique_all", "c64"]);
}

#[test]
fn sets_are_those_of_numpy() {
    on_every_device(|_| {
        let (x, y) = (array(&[3.0, 1.0, NAN, 2.0, 1.0, NAN, 0.0]), array(&[NAN, 2.0, -0.0, 7.0]));
        assert_eq!(text(x.union1d(&y)?), "[0.0, 1.0, 2.0, 3.0, 7.0, NaN]");
        assert_eq!(text(x.intersect1d(&y)?), "[0.0, 2.0]");
        assert_eq!(text(x.setdiff1d(&y)?), "[1.0, 3.0, NaN]");
        assert_eq!(text(x.setxor1d(&y)?), "[1.0, 3.0, 7.0, NaN, NaN]");
        let shaped = x.slice(s![..6])?.reshape([2, 3])?;
        for shaped in layouts(&shaped)? {
            let found = shaped.isin(&y)?;
            assert_eq!((found.shape(), found.to_vec()?), (&[2, 3][..], vec![false, false, false, true, false, false]));
        }
        let none = array::<f64>(&[]);
        assert_eq!((x.isin(&none)?.any()?, none.isin(&x)?.shape()), (false, &[0][..]));
        assert_eq!((text(none.union1d(&none)?), text(none.setdiff1d(&x)?)), ("[]".into(), "[]".into()));
        assert_eq!(array(&[u64::MAX, 1]).intersect1d(&array(&[u64::MAX - 1, u64::MAX]))?.to_vec()?, [u64::MAX]);
        assert_eq!(array(&[true]).union1d(&array(&[false, true]))?.to_vec()?, [false, true]);
        Ok(())
    });
    let z = array(&[Complex::new(1.0, 0.0)]);
    refused(z.isin(&z), |e| matches!(e, Error::DTypeUndefined { .. }), &["isin", "c64"]);
    refused(z.union1d(&z), |e| matches!(e, Error::DTypeUndefined { .. }), &["union1d", "c64"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sets_agree_with_the_library(
        a in prop::collection::vec(-9i16..9, 0..40),
        b in prop::collection::vec(-9i16..9, 0..40),
    ) {
        let (x, y) = (array(&a), array(&b));
        let (p, q): (BTreeSet<i16>, BTreeSet<i16>) = (a.iter().copied().collect(), b.iter().copied().collect());
        on_every_device(|_| {
            assert_eq!(x.union1d(&y)?.to_vec()?, p.union(&q).copied().collect::<Vec<_>>());
            assert_eq!(x.intersect1d(&y)?.to_vec()?, p.intersection(&q).copied().collect::<Vec<_>>());
            assert_eq!(x.setdiff1d(&y)?.to_vec()?, p.difference(&q).copied().collect::<Vec<_>>());
            assert_eq!(x.setxor1d(&y)?.to_vec()?, p.symmetric_difference(&q).copied().collect::<Vec<_>>());
            assert_eq!(x.isin(&y)?.to_vec()?, a.iter().map(|v| q.contains(v)).collect::<Vec<_>>());
            let unique = x.unique_all()?;
            let (values, inverse) = (unique.values.to_vec()?, unique.inverse.to_vec()?);
            assert!(inverse.iter().zip(&a).all(|(&i, v)| values[i as usize] == *v));
            for (i, v) in unique.indices.to_vec()?.into_iter().zip(&values) {
                assert_eq!(a.iter().position(|x| x == v), Some(i as usize));
            }
            assert_eq!(unique.counts.to_vec()?, x.unique_counts()?.1.to_vec()?);
            Ok(())
        });
    }
}
