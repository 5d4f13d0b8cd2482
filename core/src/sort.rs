//! Sorting along an axis: converts array calls to [`op::Sort`](crate::op::Sort).

use crate::array::Array;
use crate::bytes;
use crate::canon;
use crate::device::Device;
use crate::expr::{Expr, RawArray, SharedArray, Tape, copy};
use crate::fast::{self, Key, Quick};
use crate::layout::{Layout, resolve_axis};
use crate::op::{Give, Op, Sort};
use crate::plan::execute;
use crate::small::{Small, SmallSort};
use crate::{Buffer, DType, Dims, Element, Error, Kind, MemoryId, Result, Scalar, Wide};
use smallvec::SmallVec;
use std::ops::Range;

/// A sort along an axis.
pub(crate) struct Request {
    pub give: Give,
    pub descending: bool,
    /// The ranks to return. The caller has checked that they exist.
    pub take: Range<usize>,
}

/// Checks that elements of `dtype` have an order.
///
/// # Errors
/// [`Error::DTypeUndefined`] for complex numbers.
pub(crate) fn ordered(op: &'static str, dtype: DType) -> Result<()> {
    match dtype.kind() {
        Kind::Complex => Err(Error::DTypeUndefined { op, dtype, defined: "bool, integers, floats".into() }),
        Kind::Bool | Kind::Int | Kind::Uint | Kind::Float => Ok(()),
    }
}

/// Returns an empty vector with capacity for `n` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn reserve<T>(n: usize) -> Result<Vec<T>> {
    let (bytes, mut out) = (n.saturating_mul(size_of::<T>()), Vec::new());
    // The pool checks large sizes against the machine's memory: a system that overcommits grants any size.
    if bytes > 1 << 30 {
        drop(Buffer::host(bytes)?);
    }
    out.try_reserve_exact(n).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    Ok(out)
}

/// Identifies sorts in the keys of cached choices.
const SORT: u64 = 4 << 48;

/// Sorts a small contiguous line on the fast path. Its dtype has an order. Returns `None` if it is left to the regular
/// path.
fn small(array: &RawArray, give: Give) -> Quick<Option<SharedArray>> {
    let values = array.small_start().filter(|_| array.layout.shape().len() == 1 && fast::is_open());
    let Some(values) = values else { return Ok(None) };
    let (dtype, len) = (array.dtype, array.layout.len());
    let request = Request { give, descending: false, take: 0..len };
    let to = if give == Give::Values { dtype } else { DType::I64 };
    let mut buffer = Buffer::elements(to, len)?;
    let Some(room) = bytes::room(&mut buffer, 0, len * to.size()) else { return Ok(None) };
    let work = Small::Sort(SmallSort { dtype, give, values, len, out: room.as_mut_ptr().cast() });
    let op = || Ok(Op::from(lower(array, 0, &request)?));
    let key = || Key::new([SORT | give as u64, dtype as u64, u64::from(len.ilog2())]);
    // SAFETY: the array is contiguous (`small_start`), and its `len` elements lie inside its buffer and are valid.
    // `room` holds `len` elements of a new buffer.
    let done = unsafe { fast::run(&work, key, op) }?;
    let layout = || Layout::contiguous(array.layout.shape().clone());
    Ok(done.then(|| SharedArray::new(RawArray { buffer, dtype: to, layout: layout() })))
}

/// Returns the sort along `axis`, which becomes the last axis of the result.
fn lower(array: &RawArray, axis: usize, request: &Request) -> Result<Sort> {
    let shape = array.layout.shape();
    let rest = || (0..shape.len()).filter(|&a| a != axis);
    let last: SmallVec<[isize; 4]> = rest().chain([axis]).map(|a| a as isize).collect();
    Ok(Sort {
        dtype: array.dtype,
        n: shape[axis],
        input: canon::operand(&array.buffer, array.dtype, &array.layout.permute(&last)?),
        lines: rest().map(|a| shape[a]).collect(),
        give: request.give,
        descending: request.descending,
        take: request.take.clone(),
    })
}

/// Sorts along `axis`. In the result, the elements (or indices) of the requested ranks replace the elements of `axis`.
pub(crate) fn along(array: &RawArray, axis: usize, request: Request) -> Result<RawArray> {
    let device = Device::current()?;
    let shape = array.layout.shape();
    let single = shape[axis] == 1 && request.take == (0..1) && array.buffer.memory() == MemoryId::HOST;
    if single && fast::is_open_to_core()? {
        // Lines of one element are sorted.
        return match request.give {
            Give::Values => {
                let to = Layout::contiguous(shape.clone());
                match copy(array, &to)? {
                    Some(copied) => Ok(copied),
                    None => Tape::array(array.clone()).eval_to(to, &device),
                }
            }
            Give::Indices => Tape::filled(Scalar::new(0i64), shape.clone())?.eval(&device),
        };
    }
    let op = lower(array, axis, &request)?;
    let result: Dims = op.lines.iter().copied().chain([request.take.len()]).collect();
    let dtype = op.output();
    result.check(dtype)?;
    let out = if result.contains(&0) {
        Tape::filled(Scalar::from_wide(dtype, Wide::Int(0)), result)?.eval(&device)?
    } else {
        RawArray { buffer: execute(Op::from(op), &device, None)?, dtype, layout: Layout::contiguous(result) }
    };
    // Moves the last axis of the result back to the position `axis`.
    let end = shape.len() - 1;
    let back: SmallVec<[isize; 4]> = (0..axis).chain([end]).chain(axis..end).map(|a| a as isize).collect();
    Ok(RawArray { layout: out.layout.permute(&back)?, ..out })
}

impl<T: Element> Array<T> {
    /// The elements in ascending order along `axis`, which keeps its length. NaNs are last, and -0 precedes +0. The
    /// result depends only on the values, so there is no stable variant. All real dtypes are supported; false is less
    /// than true. A negative axis counts from the end.
    ///
    /// If `axis` is not the last axis, the strides of the result are those of an array whose sorted axis is innermost.
    ///
    /// # Errors
    /// [`Error::Axis`] for an axis out of range, [`Error::DTypeUndefined`] for complex numbers, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0, f64::NAN, 1.0, 2.0], [2, 2])?;
    /// assert_eq!(x.sort(0)?.to_vec()?[..3], [1.0, 2.0, 3.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn sort(&self, axis: isize) -> Result<Array<T>> {
        self.sort_whole("sort", axis, Give::Values)
    }

    /// The indices that sort the array: the elements of `x` at `argsort` along `axis` ascend, with NaNs last. The
    /// result has the shape of the array and dtype i64. All real dtypes are supported.
    ///
    /// The order is stable: equal elements (both zeros are equal, and all NaNs are equal) keep their order, so that
    /// every device returns the same indices.
    ///
    /// # Errors
    /// As [`sort`](Self::sort).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![2, 1, 2, 0], [4])?;
    /// assert_eq!(x.argsort(0)?.to_vec()?, [3, 1, 0, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn argsort(&self, axis: isize) -> Result<Array<i64>> {
        self.sort_whole("argsort", axis, Give::Indices)
    }

    fn sort_whole<U: Element>(&self, op: &'static str, axis: isize, give: Give) -> Result<Array<U>> {
        ordered(op, T::DTYPE)?;
        let axis = resolve_axis(op, axis, self.ndim())?;
        if let Some(done) = small(self.raw(), give)? {
            return Array::from_shared(done);
        }
        Array::from_raw(along(self.raw(), axis, Request { give, descending: false, take: 0..self.shape()[axis] })?)
    }

    /// The `k` largest elements along `axis` and their indices. Both results have the shape of the array, except that
    /// `axis` has length `k`.
    ///
    /// The largest element is first. NaN counts as the largest value. Equal elements are in the order of their indices.
    /// All real dtypes are supported.
    ///
    /// # Errors
    /// [`Error::Argument`] if `k` exceeds the length of `axis`, and as [`sort`](Self::sort).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0f32, 7.0, 3.0, 7.0], [4])?;
    /// let (values, indices) = x.topk(3, 0)?;
    /// assert_eq!(values.to_vec()?, [7.0, 7.0, 3.0]);
    /// assert_eq!(indices.to_vec()?, [1, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn topk(&self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        self.ranked("topk", k, axis, true)
    }

    /// The `k` smallest elements along `axis` and their indices, as [`topk`](Self::topk) returns the largest ones. The
    /// smallest element is first, and NaN counts as the largest value.
    ///
    /// # Errors
    /// As [`topk`](Self::topk).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![7.0f32, 1.0, 3.0, 1.0], [4])?;
    /// let (values, indices) = x.bottomk(3, 0)?;
    /// assert_eq!(values.to_vec()?, [1.0, 1.0, 3.0]);
    /// assert_eq!(indices.to_vec()?, [1, 3, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bottomk(&self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        self.ranked("bottomk", k, axis, false)
    }

    /// Returns the elements of the first `k` ranks along `axis` and their indices.
    fn ranked(&self, op: &'static str, k: usize, axis: isize, descending: bool) -> Result<(Array<T>, Array<i64>)> {
        ordered(op, T::DTYPE)?;
        let axis = resolve_axis(op, axis, self.ndim())?;
        let n = self.shape()[axis];
        if k > n {
            let why = format!("axis {axis} of shape {:?} has {n} elements", self.shape());
            return Err(Error::Argument { op, name: "k", value: k.to_string(), why });
        }
        let indices =
            Array::from_raw(along(self.raw(), axis, Request { give: Give::Indices, descending, take: 0..k })?)?;
        Ok((self.take_along_axis(&indices, axis as isize)?, indices))
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

    /// Evaluates the expression and returns the indices that sort the result: [`Array::argsort`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::argsort`].
    pub fn argsort(self, axis: isize) -> Result<Array<i64>> {
        self.eval()?.argsort(axis)
    }

    /// Evaluates the expression and returns the `k` largest elements of the result: [`Array::topk`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::topk`].
    pub fn topk(self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        self.eval()?.topk(k, axis)
    }

    /// Evaluates the expression and returns the `k` smallest elements of the result: [`Array::bottomk`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::bottomk`].
    pub fn bottomk(self, k: usize, axis: isize) -> Result<(Array<T>, Array<i64>)> {
        self.eval()?.bottomk(k, axis)
    }
}
