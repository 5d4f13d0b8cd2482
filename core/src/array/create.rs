//! Making arrays.

use super::Array;
use crate::device::Device;
use crate::expr::{RawArray, Tape};
use crate::layout::Layout;
use crate::{Buffer, Dims, Element, Error, Result, Scalar, Wide};

impl<T: Element> Array<T> {
    /// The elements of `data`, in C order, without copying them.
    ///
    /// # Errors
    /// [`Error::Count`] if they do not fill `shape`.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// assert_eq!(a.get([1, 0])?, 4);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_vec(data: Vec<T>, shape: impl Into<Dims>) -> Result<Array<T>> {
        let shape = shape.into();
        shape.check(T::DTYPE)?;
        if shape.size() != data.len() {
            return Err(Error::Count { op: "from_vec", expected: shape.size(), found: data.len(), shape });
        }
        Array::from_raw(RawArray { buffer: Buffer::adopt(data), dtype: T::DTYPE, layout: Layout::contiguous(shape) })
    }

    /// A copy of the elements of `data`, in C order.
    ///
    /// # Errors
    /// [`Error::Count`] if they do not fill `shape`; out of memory.
    pub fn from_slice(data: &[T], shape: impl Into<Dims>) -> Result<Array<T>> {
        let shape = shape.into();
        shape.check(T::DTYPE)?;
        if shape.size() != data.len() {
            return Err(Error::Count { op: "from_slice", expected: shape.size(), found: data.len(), shape });
        }
        let buffer = Buffer::host(size_of_val(data))?;
        // SAFETY: the buffer was just allocated, so no array shows it; `data` holds elements of `T`.
        unsafe { crate::memory::upload_elements(T::DTYPE, bytemuck::cast_slice(data), &buffer, 0) }?;
        Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(shape) })
    }

    /// The value of `f` at each index, in C order.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    pub fn from_fn(shape: impl Into<Dims>, mut f: impl FnMut(&[usize]) -> T) -> Result<Array<T>> {
        let shape = shape.into();
        let mut data = reserve(&shape)?;
        let mut index = vec![0; shape.len()];
        for n in 0..shape.size() {
            let mut rest = n;
            for axis in (0..shape.len()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            data.push(f(&index));
        }
        Array::from_vec(data, shape)
    }

    /// `value` everywhere.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    pub fn full(shape: impl Into<Dims>, value: T) -> Result<Array<T>> {
        Array::from_raw(Tape::filled(Scalar::new(value), shape.into())?.eval(&Device::current()?)?)
    }

    /// Zero (false) everywhere.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn zeros(shape: impl Into<Dims>) -> Result<Array<T>> {
        Array::full(shape, T::from_wide(Wide::Int(0)))
    }

    /// One (true) everywhere.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn ones(shape: impl Into<Dims>) -> Result<Array<T>> {
        Array::full(shape, T::from_wide(Wide::Int(1)))
    }

    /// The identity matrix `[n, n]`.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn eye(n: usize) -> Result<Array<T>> {
        let one = T::from_wide(Wide::Int(1));
        Array::from_fn([n, n], |ix| if ix[0] == ix[1] { one } else { T::default() })
    }

    /// `start`, `start + step` .. up to but without `stop`: `ceil((stop - start) / step)` elements, each `start + i * step` rounded once from f64.
    ///
    /// # Errors
    /// [`Error::Setting`] for a step of zero or bounds that are not finite.
    pub fn arange(start: T, stop: T, step: T) -> Result<Array<T>> {
        let (a, b, s) = (start.to_wide().real(), stop.to_wide().real(), step.to_wide().real());
        let count = ((b - a) / s).ceil();
        if !count.is_finite() {
            return Err(Error::Setting { name: "arange", value: format!("{start}, {stop}, {step}"), why: "the step is zero or a bound is not finite".into() });
        }
        let count = count.max(0.0) as usize;
        match (start.to_wide(), step.to_wide()) {
            (Wide::Int(a), Wide::Int(s)) => Array::from_fn(count, |ix| T::from_wide(Wide::Int(a + ix[0] as i128 * s))),
            _ => Array::from_fn(count, |ix| T::from_wide(Wide::Float(a + ix[0] as f64 * s))),
        }
    }

    /// `n` values from `a` to `b`, both included, evenly spaced.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn linspace(a: T, b: T, n: usize) -> Result<Array<T>> {
        let (first, last) = (a.to_wide().real(), b.to_wide().real());
        let step = (last - first) / (n.max(2) - 1) as f64;
        Array::from_fn(n, |ix| if ix[0] + 1 == n && n > 1 { b } else { T::from_wide(Wide::Float(first + ix[0] as f64 * step)) })
    }
}

/// An empty vector with room for an array of `shape`, or the error that there is none.
pub(super) fn reserve<T: Element>(shape: &Dims) -> Result<Vec<T>> {
    let bytes = shape.check(T::DTYPE)?;
    let mut data = Vec::new();
    // The pool's check against the machine's memory is made first: a system that overcommits would grant any size.
    if bytes > 1 << 30 {
        drop(Buffer::host(bytes)?);
    }
    data.try_reserve_exact(shape.size()).map_err(|e| Error::OutOfMemory { memory: "the host".into(), bytes, why: e.to_string() })?;
    Ok(data)
}
