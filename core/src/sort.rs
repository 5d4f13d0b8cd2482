//! Sorting along an axis: from arrays to [`op::Sort`].

use crate::array::Array;
use crate::bytes;
use crate::canon;
use crate::choose::execute;
use crate::device::Device;
use crate::expr::{Expr, RawArray, Tape};
use crate::layout::{Layout, resolve_axis};
use crate::op::{Give, Op, Sort};
use crate::{DType, Dims, Element, Error, Kind, Result, Scalar, Wide, walk};
use smallvec::SmallVec;
use std::ops::Range;

/// What is asked of the elements along an axis.
pub(crate) struct Request {
    pub give: Give,
    pub descending: bool,
    /// The ranks; they exist.
    pub take: Range<usize>,
}

/// That elements of `dtype` have an order.
///
/// # Errors
/// [`Error::DTypeUndefined`] for complex numbers.
pub(crate) fn ordered(op: &'static str, dtype: DType) -> Result<()> {
    match dtype.kind() {
        Kind::Complex => Err(Error::DTypeUndefined { op, dtype, defined: "bool, integers, floats".into() }),
        Kind::Bool | Kind::Int | Kind::Uint | Kind::Float => Ok(()),
    }
}

/// An empty vector with room for `n` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn reserve<T>(n: usize) -> Result<Vec<T>> {
    let (bytes, mut out) = (n.saturating_mul(size_of::<T>()), Vec::new());
    out.try_reserve_exact(n).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    Ok(out)
}

/// The elements (or their indices) of the requested ranks along `axis`, which they replace.
pub(crate) fn along(array: &RawArray, axis: usize, request: Request) -> Result<RawArray> {
    let device = Device::current()?;
    let shape = array.layout.shape();
    let rest = || (0..shape.len()).filter(|&a| a != axis);
    let last: SmallVec<[isize; 4]> = rest().chain([axis]).map(|a| a as isize).collect();
    let moved = array.layout.permute(&last)?;
    let lines: Dims = rest().map(|a| shape[a]).collect();
    let result: Dims = lines.iter().copied().chain([request.take.len()]).collect();
    let op = Sort {
        dtype: array.dtype,
        n: shape[axis],
        input: canon::operand(&array.buffer, array.dtype, &moved),
        lines,
        give: request.give,
        descending: request.descending,
        take: request.take,
    };
    let dtype = op.output();
    result.check(dtype)?;
    let out = if result.contains(&0) {
        Tape::filled(Scalar::from_wide(dtype, Wide::Int(0)), result)?.eval(&device)?
    } else {
        RawArray { buffer: execute(&mut Op::Sort(op), &device, None)?, dtype, layout: Layout::contiguous(result) }
    };
    // Back to where the axis was: the axes before it, the last, those after it.
    let end = shape.len() - 1;
    let back: SmallVec<[isize; 4]> = (0..axis).chain([end]).chain(axis..end).map(|a| a as isize).collect();
    Ok(RawArray { layout: out.layout.permute(&back)?, ..out })
}

impl<T: Element> Array<T> {
    /// The elements in ascending order along `axis`, which keeps its length. NaNs come last, -0 before +0: the result depends on the values alone, so there is no
    /// stable form. All real dtypes; false is less than true. A negative axis counts from the end.
    ///
    /// Where `axis` is not the last, the result's strides are those of an array whose sorted axis is innermost.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis that is not there, [`Error::DTypeUndefined`] for complex numbers; out of memory.
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0, f64::NAN, 1.0, 2.0], [2, 2])?;
    /// assert_eq!(x.sort(0)?.to_vec()?[..3], [1.0, 2.0, 3.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sort(&self, axis: isize) -> Result<Array<T>> {
        self.sort_whole("sort", axis, Give::Values)
    }

    /// Where the elements of the sorted array lie: `x` at `argsort` along `axis` ascends, NaNs last. Of the shape of the array, dtype i64, for all real dtypes.
    ///
    /// The order is stable: equal elements (both zeros are equal, and so are all NaNs) keep their order, so that every device gives the same indices.
    /// See [`argsort_stable`](Self::argsort_stable), which is the same.
    ///
    /// # Errors
    /// As [`sort`](Self::sort).
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![2, 1, 2, 0], [4])?;
    /// assert_eq!(x.argsort(0)?.to_vec()?, [3, 1, 0, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn argsort(&self, axis: isize) -> Result<Array<i64>> {
        self.sort_whole("argsort", axis, Give::Indices)
    }

    /// [`argsort`](Self::argsort) under the name that says what is relied on. Breaking ties by index costs less than a scan, so there is no form without.
    ///
    /// # Errors
    /// As [`sort`](Self::sort).
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0.0, -0.0, f64::NAN, 0.0], [4])?;
    /// assert_eq!(x.argsort_stable(0)?.to_vec()?, [0, 1, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn argsort_stable(&self, axis: isize) -> Result<Array<i64>> {
        self.sort_whole("argsort_stable", axis, Give::Indices)
    }

    fn sort_whole<U: Element>(&self, op: &'static str, axis: isize, give: Give) -> Result<Array<U>> {
        ordered(op, T::DTYPE)?;
        let axis = resolve_axis(op, axis, self.ndim())?;
        Array::from_raw(along(self.raw(), axis, Request { give, descending: false, take: 0..self.shape()[axis] })?)
    }

    /// The `k` largest elements along `axis`, and where they were. Both results have the array's shape but for `axis`, which has `k`.
    ///
    /// Largest first. NaN counts as the largest; of equal elements, those of lower indices come first. All real dtypes.
    ///
    /// # Errors
    /// [`Error::Argument`] for more than there are, and as [`sort`](Self::sort).
    ///
    /// ```no_run
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0f32, 7.0, 3.0, 7.0], [4])?;
    /// let (values, indices) = x.topk(3, 0)?;
    /// assert_eq!(values.to_vec()?, [7.0, 7.0, 3.0]);
    /// assert_eq!(indices.to_vec()?, [1, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn topk(&self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        ordered("topk", T::DTYPE)?;
        let axis = resolve_axis("topk", axis, self.ndim())?;
        let n = self.shape()[axis];
        if k > n {
            let why = format!("axis {axis} of shape {:?} has {n} elements", self.shape());
            return Err(Error::Argument { op: "topk", name: "k", value: k.to_string(), why });
        }
        let indices =
            Array::from_raw(along(self.raw(), axis, Request { give: Give::Indices, descending: true, take: 0..k })?)?;
        Ok((self.pick(&indices, axis)?, indices))
    }

    /// The elements at `indices` along `axis`; they have as many lines as this array.
    fn pick(&self, indices: &Array<i64>, axis: usize) -> Result<Array<T>> {
        if indices.is_empty() {
            return Array::from_vec(Vec::new(), indices.shape())?.beside(self);
        }
        let (here, at) = (self.on_host()?, indices.to_vec()?);
        let (lo, hi) = here.layout().span();
        let elements = bytes::elements::<T>(&here.raw().buffer, lo, hi);
        let mut lines: SmallVec<[isize; 4]> = here.strides().into();
        let step = std::mem::replace(&mut lines[axis], 0);
        let (mut out, mut next) = (reserve(at.len())?, at.iter());
        let start = here.layout().offset() as isize - lo as isize;
        walk::walk(indices.shape(), [&lines], [start], 0..at.len(), |[line]| {
            let index = *next.next().expect("one index for each step");
            out.push(elements[(line + index as isize * step) as usize]);
        });
        Array::from_vec(out, indices.shape())?.beside(self)
    }
}

impl<T: Element> Expr<T> {
    /// Evaluates the expression and sorts the result: [`Array::sort`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::sort`].
    pub fn sort(self, axis: isize) -> Result<Array<T>> {
        self.eval()?.sort(axis)
    }

    /// Evaluates the expression and sorts indices of the result: [`Array::argsort`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::argsort`].
    pub fn argsort(self, axis: isize) -> Result<Array<i64>> {
        self.eval()?.argsort(axis)
    }

    /// Evaluates the expression and finds the `k` largest elements of the result: [`Array::topk`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::topk`].
    pub fn topk(self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        self.eval()?.topk(k, axis)
    }
}
