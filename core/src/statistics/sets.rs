//! Distinct elements, and sets that are given by arrays.

use super::{Lines, compare, host_elements, is_nan};
use crate::array::Array;
use crate::bytes;
use crate::op::{Give, Side};
use crate::reduce::has_nan;
use crate::sort::{Request, along, ordered, reserve};
use crate::{Element, Result};
use std::cmp::Ordering;

/// The distinct elements of an array and where they occur: the result of [`Array::unique_all`].
#[derive(Clone, Debug)]
pub struct Unique<T: Element> {
    /// The k distinct elements `[k]` in ascending order, NaN last.
    pub values: Array<T>,
    /// The index of the first occurrence of each of them `[k]`, of the elements in C order.
    pub indices: Array<i64>,
    /// For each element of the array, in its shape, its position in `values`.
    pub inverse: Array<i64>,
    /// The number of occurrences of each of them `[k]`.
    pub counts: Array<i64>,
}

/// Returns whether two elements count as one: equal ones do, and all NaNs.
fn same<T: Element>(a: T, b: T) -> bool {
    a == b || is_nan(a) && is_nan(b)
}

/// Merges two ascending slices without repeated elements. Keeps the elements for which `keep` is true of their order:
/// `Less` for an element of `a` only, `Greater` for one of `b` only, `Equal` for one of both. Two NaNs are one element
/// if `nan_is_one`.
fn merged<T: Element>(a: &[T], b: &[T], nan_is_one: bool, keep: impl Fn(Ordering) -> bool) -> Result<Vec<T>> {
    let mut out = reserve(a.len().saturating_add(b.len()))?;
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let order = match (a.get(i), b.get(j)) {
            (Some(&x), Some(&y)) if compare(x, y).is_eq() && is_nan(x) && !nan_is_one => Ordering::Less,
            (Some(&x), Some(&y)) => compare(x, y),
            (x, _) => {
                if x.is_some() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
        };
        if keep(order) {
            out.push(if order.is_gt() { b[j] } else { a[i] });
        }
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    Ok(out)
}

impl<T: Element> Array<T> {
    /// The distinct elements in ascending order. Both zeros count as one element (-0 if there is one). All NaNs count
    /// as one element, which is the last.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`](crate::Error::DTypeUndefined) for complex numbers;
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 3, 2], [2, 2])?;
    /// assert_eq!(x.unique()?.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unique(&self) -> Result<Array<T>> {
        Ok(self.runs("unique")?.0)
    }

    /// The [`unique`](Self::unique) elements and the number of occurrences of each.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 3, 2], [4])?;
    /// let (values, counts) = x.unique_counts()?;
    /// assert_eq!(values.to_vec()?, [1, 2, 3]);
    /// assert_eq!(counts.to_vec()?, [1, 1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unique_counts(&self) -> Result<(Array<T>, Array<i64>)> {
        let (values, starts) = self.runs("unique_counts")?;
        let ends = starts.iter().skip(1).copied().chain([self.len()]);
        let counts: Vec<i64> = starts.iter().zip(ends).map(|(start, end)| (end - start) as i64).collect();
        let shape = counts.len();
        Ok((values, Array::from_vec(counts, shape)?.beside(self)?))
    }

    /// Returns the first element of each run of equal elements of the sorted array, and the start of each run.
    fn runs(&self, op: &'static str) -> Result<(Array<T>, Vec<usize>)> {
        let lines = Lines::new(op, self, None)?;
        if lines.n == 0 {
            return Ok((Array::from_vec(Vec::new(), 0)?.beside(self)?, Vec::new()));
        }
        let sorted = Array::<T>::from_raw(along(
            lines.array.raw(),
            0,
            Request { give: Give::Values, descending: false, take: 0..lines.n },
        )?)?
        .on_host()?;
        let sorted = bytes::elements::<T>(&sorted.raw().buffer, 0, lines.n);
        let starts_run = |&i: &usize| i == 0 || !same(sorted[i], sorted[i - 1]);
        // Counts the runs first, because there may be few: this avoids reserving space for all elements.
        let mut starts = reserve((0..lines.n).filter(starts_run).count())?;
        starts.extend((0..lines.n).filter(starts_run));
        let mut values = reserve(starts.len())?;
        values.extend(starts.iter().map(|&i| sorted[i]));
        Ok((Array::from_vec(values, starts.len())?.beside(self)?, starts))
    }

    /// The distinct elements, the index of the first occurrence of each, the positions of all elements among them, and
    /// the number of occurrences. Elements count as one as in [`unique`](Self::unique); `values` holds the first
    /// occurrence of each.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 3, 2], [2, 2])?;
    /// let unique = x.unique_all()?;
    /// assert_eq!(unique.values.to_vec()?, [1, 2, 3]);
    /// assert_eq!(unique.indices.to_vec()?, [1, 3, 0]);
    /// assert_eq!(unique.counts.to_vec()?, [1, 1, 2]);
    /// assert_eq!((unique.inverse.shape(), unique.inverse.to_vec()?), (&[2, 2][..], vec![2, 0, 2, 1]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "unique_inverse")]
    pub fn unique_all(&self) -> Result<Unique<T>> {
        ordered("unique_all", T::DTYPE)?;
        let line = self.ravel()?;
        // Equal elements keep their order, so that the first of a run is the first occurrence.
        let order = line.argsort(0)?.to_vec()?;
        let x = host_elements(&line)?;
        let at = |k: usize| x[order[k] as usize];
        let starts_run = |&k: &usize| k == 0 || !same(at(k), at(k - 1));
        let distinct = (0..order.len()).filter(starts_run).count();
        let (mut values, mut indices) = (reserve(distinct)?, reserve(distinct)?);
        let (mut counts, mut inverse) = (reserve(distinct)?, reserve(order.len())?);
        inverse.resize(order.len(), 0i64);
        for k in 0..order.len() {
            if starts_run(&k) {
                values.push(at(k));
                indices.push(order[k]);
                counts.push(0i64);
            }
            inverse[order[k] as usize] = counts.len() as i64 - 1;
            *counts.last_mut().expect("the first element starts a run") += 1;
        }
        Ok(Unique {
            values: Array::from_vec(values, distinct)?.beside(self)?,
            indices: Array::from_vec(indices, distinct)?.beside(self)?,
            inverse: Array::from_vec(inverse, self.shape())?.beside(self)?,
            counts: Array::from_vec(counts, distinct)?.beside(self)?,
        })
    }

    /// Returns whether each element is one of `values`, in the shape of this array. NaN is not equal to NaN.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`](crate::Error::DTypeUndefined) for complex numbers;
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 5, 2], [4])?;
    /// let set = Array::from_vec(vec![2, 9], [2])?;
    /// assert_eq!(x.isin(&set)?.to_vec()?, [false, true, false, true]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "in1d")]
    pub fn isin(&self, values: &Array<T>) -> Result<Array<bool>> {
        ordered("isin", T::DTYPE)?;
        let sorted = values.ravel()?.sort(0)?;
        let (left, right) = (sorted.searchsorted(self, Side::Left)?, sorted.searchsorted(self, Side::Right)?);
        let found = left.less(right);
        if has_nan::<T>() { found.logical_and(self.equal(self)).eval() } else { found.eval() }
    }

    /// The distinct elements of both arrays, in ascending order.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![3, 1, 2, 1], [4])?, Array::from_vec(vec![5, 3], [2])?);
    /// assert_eq!(x.union1d(&y)?.to_vec()?, [1, 2, 3, 5]);
    /// assert_eq!(x.intersect1d(&y)?.to_vec()?, [3]);
    /// assert_eq!(x.setdiff1d(&y)?.to_vec()?, [1, 2]);
    /// assert_eq!(x.setxor1d(&y)?.to_vec()?, [1, 2, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn union1d(&self, other: &Array<T>) -> Result<Array<T>> {
        self.combined("union1d", other, true, |_| true)
    }

    /// The distinct elements that are in both arrays, in ascending order. NaN is not equal to NaN.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    pub fn intersect1d(&self, other: &Array<T>) -> Result<Array<T>> {
        self.combined("intersect1d", other, false, Ordering::is_eq)
    }

    /// The distinct elements of this array that are not in `other`, in ascending order. NaN is not equal to NaN.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    pub fn setdiff1d(&self, other: &Array<T>) -> Result<Array<T>> {
        self.combined("setdiff1d", other, false, Ordering::is_lt)
    }

    /// The distinct elements that are in exactly one of both arrays, in ascending order. NaN is not equal to NaN.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    pub fn setxor1d(&self, other: &Array<T>) -> Result<Array<T>> {
        self.combined("setxor1d", other, false, Ordering::is_ne)
    }

    /// Returns the distinct elements of both arrays that `keep` selects: see [`merged`].
    fn combined(
        &self,
        op: &'static str,
        other: &Array<T>,
        nan_is_one: bool,
        keep: impl Fn(Ordering) -> bool,
    ) -> Result<Array<T>> {
        let (a, b) = (self.runs(op)?.0, other.runs(op)?.0);
        let kept = merged(&host_elements(&a)?, &host_elements(&b)?, nan_is_one, keep)?;
        let len = kept.len();
        Array::from_vec(kept, len)?.beside(self)
    }
}
