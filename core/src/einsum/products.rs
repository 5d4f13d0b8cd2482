//! Special cases of einsum as methods: `tensordot`, `inner`, `outer`, `trace`.

use super::parse::{Label, Labels};
use super::{Value, contract, numeric};
use crate::array::{Array, Axes};
use crate::layout::resolve_axes;
use crate::{Dims, Element, Error, MAX_NDIM, Result};
use smallvec::SmallVec;

/// The axes that [`Array::tensordot`] sums over. Made from a number n (the last n axes of the left array with the first
/// n of the right), or from a pair of axes or lists of axes of the left and the right array: `2`, `(1, 0)`,
/// `([0, 1], [1, 0])`. Negative axes count from the end.
#[derive(Clone, Debug)]
pub struct Contraction(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Neighbours(isize),
    Pairs(Axes, Axes),
}

macro_rules! contraction_from {
    ($($int:ty),*) => { $(
        impl From<$int> for Contraction {
            fn from(n: $int) -> Contraction { Contraction(Kind::Neighbours(n as isize)) }
        }
    )* };
}
contraction_from!(isize, i32, usize);

impl<A: Into<Axes>, B: Into<Axes>> From<(A, B)> for Contraction {
    fn from((left, right): (A, B)) -> Contraction {
        Contraction(Kind::Pairs(left.into(), right.into()))
    }
}

/// Axes, counted from the front.
type Resolved = SmallVec<[usize; 4]>;

impl Contraction {
    /// Resolves the axes for two shapes. Both lists have the same length.
    fn resolve(&self, left: &Dims, right: &Dims) -> Result<(Resolved, Resolved)> {
        let fail = |why: String| Error::Shapes { op: "tensordot", left: left.clone(), right: right.clone(), why };
        match &self.0 {
            Kind::Neighbours(n) => {
                let n = usize::try_from(*n).ok().filter(|&n| n <= left.len().min(right.len()));
                let n = n.ok_or_else(|| {
                    fail(format!(
                        "cannot sum over {} axes: the arrays have {} and {}",
                        self.count(),
                        left.len(),
                        right.len()
                    ))
                })?;
                Ok(((left.len() - n..left.len()).collect(), (0..n).collect()))
            }
            Kind::Pairs(l, r) if l.axes.len() != r.axes.len() => Err(fail(format!(
                "{} axes of the left are paired with {} axes of the right; both lists need the same length",
                l.axes.len(),
                r.axes.len()
            ))),
            Kind::Pairs(l, r) => {
                Ok((resolve_axes("tensordot", &l.axes, left.len())?, resolve_axes("tensordot", &r.axes, right.len())?))
            }
        }
    }

    fn count(&self) -> isize {
        match &self.0 {
            Kind::Neighbours(n) => *n,
            Kind::Pairs(l, _) => l.axes.len() as isize,
        }
    }
}

/// Computes the products of `left` and `right`, summed over `axes`.
fn tensordot<T: Element>(op: &'static str, left: &Array<T>, right: &Array<T>, axes: &Contraction) -> Result<Array<T>> {
    numeric(op, T::DTYPE)?;
    let (l, r) = (Dims::from(left.shape()), Dims::from(right.shape()));
    let fail = |why: String| Error::Shapes { op, left: l.clone(), right: r.clone(), why };
    let (on_left, on_right) = axes.resolve(&l, &r)?;
    for (&i, &j) in on_left.iter().zip(&on_right) {
        if l[i] != r[j] {
            return Err(fail(format!("axis {i} of the left is {}, axis {j} of the right is {}", l[i], r[j])));
        }
    }
    // Each axis of the left array is labelled with its number. Summed axes of the right array have the labels of their
    // partners; the others follow the labels of the left.
    let left_labels: Labels = (0..l.len() as Label).collect();
    let partner =
        |j: usize| on_right.iter().position(|&p| p == j).map_or((l.len() + j) as Label, |p| on_left[p] as Label);
    let right_labels: Labels = (0..r.len()).map(partner).collect();
    let kept = |own: &Labels, other: &Labels| own.iter().copied().filter(|a| !other.contains(a)).collect::<Labels>();
    let labels: Labels = [kept(&left_labels, &right_labels), kept(&right_labels, &left_labels)].concat().into();
    if labels.len() > MAX_NDIM {
        return Err(fail(format!("the result would have {} axes; the maximum is {MAX_NDIM}", labels.len())));
    }
    contract(
        Value { array: left.clone(), labels: left_labels },
        Value { array: right.clone(), labels: right_labels },
        &labels,
    )
}

impl<T: Element> Array<T> {
    /// Computes the products of the elements of two arrays, summed over pairs of axes. The remaining axes of this array
    /// come first in the result, then those of `other`.
    ///
    /// `axes` is a number n (the last n axes of this array with the first n of `other`; 0 gives all products) or a pair
    /// of axes or lists of axes: `(1, 0)`, `([0, 1], [1, 0])`. The result is computed as a matrix product and is as
    /// accurate. Integers wrap.
    ///
    /// # Errors
    /// [`Error::Shapes`] if lengths differ (axes of 1 are not broadcast) or an array has too few axes, [`Error::Axis`],
    /// [`Error::RepeatedAxis`], [`Error::DTypeUndefined`] for bool.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::<f64>::ones([2, 3, 4])?;
    /// assert_eq!(a.tensordot(&Array::ones([3, 4, 5])?, 2)?.shape(), [2, 5]);
    /// assert_eq!(a.tensordot(&Array::ones([4, 2])?, ([0, 2], [1, 0]))?.to_vec()?, [8.0; 3]);
    /// assert_eq!(a.tensordot(&a, (1, 1))?.shape(), [2, 4, 2, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tensordot(&self, other: &Array<T>, axes: impl Into<Contraction>) -> Result<Array<T>> {
        tensordot("tensordot", self, other, &axes.into())
    }

    /// Computes the products, summed over the last axes of both arrays, `[.., k]` and `[.., k]`: the dot product for
    /// vectors. The other axes of this array come first in the result, then those of `other`. If an array has no axes,
    /// all products are returned.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the last axes differ, [`Error::DTypeUndefined`] for bool.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(a.inner(&Array::from_vec(vec![1, -1], [2])?)?.to_vec()?, [-1, -1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn inner(&self, other: &Array<T>) -> Result<Array<T>> {
        let axes =
            if self.ndim() == 0 || other.ndim() == 0 { Contraction::from(0) } else { Contraction::from((-1, -1)) };
        tensordot("inner", self, other, &axes)
    }

    /// Computes the products `[m, n]` of each of the m elements of this array with each of the n elements of `other`,
    /// both in C order.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::DTypeUndefined`] for bool.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2], [2])?;
    /// assert_eq!(a.outer(&Array::from_vec(vec![3, 4, 5], [3])?)?.to_vec()?, [3, 4, 5, 6, 8, 10]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn outer(&self, other: &Array<T>) -> Result<Array<T>> {
        numeric("outer", T::DTYPE)?;
        (self.ravel()?.expand_dims(1)? * other.ravel()?).eval()
    }

    /// Computes the sum of the diagonal of a matrix. Integers and bool are summed in 64 bits and wrap there. The sum of
    /// no elements is 0.
    ///
    /// # Errors
    /// [`Error::Argument`] if the array does not have two axes. [`trace_axes`](Self::trace_axes) selects two of several
    /// axes.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1.0f64, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(a.trace()?, 5.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn trace(&self) -> Result<T::Sum> {
        if self.ndim() != 2 {
            let why = "trace needs a matrix with two axes; use trace_axes to select two of several axes".into();
            return Err(Error::Argument { op: "trace", name: "axes", value: self.ndim().to_string(), why });
        }
        self.diagonal(0, 1)?.sum()
    }

    /// Computes the sums of the diagonals along two axes: of the elements whose index along `axis2` exceeds that along
    /// `axis1` by `offset`. The result lacks both axes.
    ///
    /// # Errors
    /// As [`diagonal`](Self::diagonal).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let a = Array::from_vec((0..8).collect::<Vec<i64>>(), [2, 2, 2])?;
    /// assert_eq!(a.trace_axes(0, 0, 1)?.to_vec()?, [6, 8]);
    /// assert_eq!(a.trace_axes(1, -2, -1)?.to_vec()?, [1, 5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn trace_axes(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Array<T::Sum>> {
        self.diagonal_at(offset, axis1, axis2)?.sum_axis(-1)
    }
}
