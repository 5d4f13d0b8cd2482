//! Array constructors.

use super::Array;
use crate::device::Device;
use crate::expr::{RawArray, Tape};
use crate::fast::{self, COPIED};
use crate::layout::Layout;
use crate::{Buffer, Dims, Element, Error, Result, Scalar, Wide, bytes};
use smallvec::SmallVec;

impl<T: Element> Array<T> {
    /// Makes an array of the elements of `data`, in C order, without copying them.
    ///
    /// # Errors
    /// [`Error::Count`] if `shape` has another number of elements.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// assert_eq!(a.get([1, 0])?, 4);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("array", "from_shape_vec"))]
    pub fn from_vec(data: Vec<T>, shape: impl Into<Dims>) -> Result<Array<T>> {
        let shape = shape.into();
        shape.check(T::DTYPE)?;
        if shape.size() != data.len() {
            return Err(Error::Count { op: "from_vec", expected: shape.size(), found: data.len(), shape });
        }
        Array::from_raw(RawArray { buffer: Buffer::adopt(data), dtype: T::DTYPE, layout: Layout::contiguous(shape) })
    }

    /// Copies the elements of `data`, in C order, into a new array.
    ///
    /// # Errors
    /// [`Error::Count`] if `shape` has another number of elements; out of memory.
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_slice(&[1, 2, 3, 4], [2, 2])?;
    /// assert_eq!(a, Array::from([[1, 2], [3, 4]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_slice(data: &[T], shape: impl Into<Dims>) -> Result<Array<T>> {
        let shape = shape.into();
        shape.check(T::DTYPE)?;
        if shape.size() != data.len() {
            return Err(Error::Count { op: "from_slice", expected: shape.size(), found: data.len(), shape });
        }
        let buffer = Buffer::host(size_of_val(data))?;
        // SAFETY: the buffer was just allocated, so no array shows it; `data` holds elements of `T`.
        unsafe { crate::memory::transfer::upload_elements(T::DTYPE, bytemuck::cast_slice(data), &buffer, 0) }?;
        Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(shape) })
    }

    /// Makes an array of the values of `f` at each index. Calls `f` in C order.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let a = Array::from_fn([2, 3], |ix| (10 * ix[0] + ix[1]) as i32)?;
    /// assert_eq!(a, Array::from([[0, 1, 2], [10, 11, 12]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("fromfunction", "from_shape_fn"))]
    pub fn from_fn(shape: impl Into<Dims>, mut f: impl FnMut(&[usize]) -> T) -> Result<Array<T>> {
        let shape = shape.into();
        let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, shape.len());
        let lens = shape.clone();
        filled(shape, |_| {
            let value = f(&index);
            for (at, len) in index.iter_mut().zip(&*lens).rev() {
                *at += 1;
                if *at < *len {
                    break;
                }
                *at = 0;
            }
            value
        })
    }

    /// Makes an array filled with `value`.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert_eq!(Array::full([2, 2], 7u8)?, Array::from([[7, 7], [7, 7]]));
    /// assert_eq!(Array::<f32>::zeros([3])?.sum()? + Array::<f32>::ones([3])?.sum()?, 3.0);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("from_elem", "empty"))]
    pub fn full(shape: impl Into<Dims>, value: T) -> Result<Array<T>> {
        let shape = shape.into();
        let (bytes, len) = (shape.check(T::DTYPE)?, shape.size());
        if (1..=COPIED).contains(&bytes) && fast::is_open_to_core()? {
            let buffer = Buffer::elements(T::DTYPE, len)?;
            if let Some(start) = buffer.host_ptr() {
                let start = start.cast::<T>().as_ptr();
                // SAFETY: the buffer is new, aligned for every dtype, and has `len` elements.
                (0..len).for_each(|i| unsafe { start.add(i).write(value) });
                return Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(shape) });
            }
        }
        Array::from_raw(Tape::filled(Scalar::new(value), shape)?.eval(&Device::current()?)?)
    }

    /// Makes an array of zeros (`false` for bool).
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn zeros(shape: impl Into<Dims>) -> Result<Array<T>> {
        Array::full(shape, T::from_wide(Wide::Int(0)))
    }

    /// Makes an array of ones (`true` for bool).
    ///
    /// # Errors
    /// As [`full`](Self::full).
    pub fn ones(shape: impl Into<Dims>) -> Result<Array<T>> {
        Array::full(shape, T::from_wide(Wide::Int(1)))
    }

    /// Makes an array of the shape of this one, filled with `value`. It lies in the memory of this array, in the same
    /// order of axes.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; errors that the device reports.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.full_like(0.5)?, Array::full([2, 3], 0.5)?);
    /// assert_eq!(x.t().zeros_like()?.strides(), [1, 3]);
    /// assert_eq!(x.ones_like()?.sum()?, 6.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn full_like(&self, value: T) -> Result<Array<T>> {
        let layout = crate::canon::fresh_layout(self.layout().shape(), std::slice::from_ref(self.layout()));
        let row = Array::full(layout.len(), value)?.beside(self)?;
        Ok(row.with_layout(layout))
    }

    /// Makes an array of zeros (`false` for bool) of the shape of this one. See [`full_like`](Self::full_like).
    ///
    /// # Errors
    /// As [`full_like`](Self::full_like).
    pub fn zeros_like(&self) -> Result<Array<T>> {
        self.full_like(T::from_wide(Wide::Int(0)))
    }

    /// Makes an array of ones (`true` for bool) of the shape of this one. See [`full_like`](Self::full_like).
    ///
    /// # Errors
    /// As [`full_like`](Self::full_like).
    pub fn ones_like(&self) -> Result<Array<T>> {
        self.full_like(T::from_wide(Wide::Int(1)))
    }

    /// Makes the identity matrix `[n, n]`.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::eye(2)?, Array::from([[1.0, 0.0], [0.0, 1.0]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "identity")]
    pub fn eye(n: usize) -> Result<Array<T>> {
        Array::eye_at(n, n, 0)
    }

    /// Makes the matrix `[rows, columns]` with ones where the column index exceeds the row index by `k`, and zeros
    /// elsewhere. A diagonal outside the matrix is empty.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::eye_at(2, 3, 1)?, Array::from([[0, 1, 0], [0, 0, 1]]));
    /// assert_eq!(Array::eye_at(3, 2, -2)?, Array::from([[0, 0], [0, 0], [1, 0]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "eye")]
    pub fn eye_at(rows: usize, columns: usize, k: isize) -> Result<Array<T>> {
        let one = T::from_wide(Wide::Int(1));
        let (row, column) = if k < 0 { (k.unsigned_abs(), 0) } else { (0, k.unsigned_abs()) };
        let mut left = rows.saturating_sub(row).min(columns.saturating_sub(column));
        // Neither product overflows unless the size of the matrix does, which is an error.
        let mut next = row.saturating_mul(columns).saturating_add(column);
        filled([rows, columns].into(), |i| {
            let is_diagonal = left > 0 && i == next;
            if is_diagonal {
                left -= 1;
                next = next.saturating_add(columns + 1);
            }
            if is_diagonal { one } else { T::default() }
        })
    }

    /// Makes the array `start`, `start + step`, .. up to but excluding `stop`, of `ceil((stop - start) / step)`
    /// elements, or none if that is negative.
    ///
    /// Integers and bool: exact over the whole range of the type. Floats: the count comes from the f64 quotient (it is
    /// 1 if the quotient of different bounds underflows), and each element is `start + i * step` in f64, rounded to the
    /// dtype. Complex arguments must be real.
    ///
    /// # Errors
    /// [`Error::Setting`] for a step of zero, non-finite arguments or an imaginary part; [`Error::TooLarge`],
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::<u64>::arange((1 << 53) + 1, (1 << 53) + 4, 2)?.to_vec()?, [(1 << 53) + 1, (1 << 53) + 3]);
    /// assert_eq!(Array::arange(3i8, -4, -3)?.to_vec()?, [3, 0, -3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn arange(start: T, stop: T, step: T) -> Result<Array<T>> {
        let refuse = |why: &str| {
            Err(Error::Setting { name: "arange", value: format!("{start}, {stop}, {step}"), why: why.into() })
        };
        if let (Wide::Int(a), Wide::Int(b), Wide::Int(s)) = (start.to_wide(), stop.to_wide(), step.to_wide()) {
            if s == 0 {
                return refuse("the step is zero");
            }
            let apart = if s > 0 { b - a } else { a - b };
            let count = if apart > 0 { (apart - 1) / s.abs() + 1 } else { 0 };
            return row(usize::try_from(count).unwrap_or(usize::MAX), |i| T::from_wide(Wide::Int(a + i as i128 * s)));
        }
        if [start, stop, step].iter().any(|x| matches!(x.to_wide(), Wide::Complex(_, im) if im != 0.0)) {
            return refuse("start, stop and step must be real: an imaginary part is not zero");
        }
        let (a, b, s) = (start.to_wide().real(), stop.to_wide().real(), step.to_wide().real());
        if s == 0.0 || ![a, b, s].iter().all(|x| x.is_finite()) {
            return refuse("the step must not be zero, and start, stop and step must be finite");
        }
        // The difference of bounds of opposite signs may overflow: all values are then halved, which is exact.
        let half = if (b - a).is_finite() { 1.0 } else { 0.5 };
        let (a, b, s) = (a * half, b * half, s * half);
        let quotient = (b - a) / s;
        let count = if quotient == 0.0 && a != b && (b > a) == (s > 0.0) { 1.0 } else { quotient.ceil().max(0.0) };
        // A count beyond `usize::MAX` saturates.
        row(count as usize, |i| T::from_wide(Wide::Float((a + i as f64 * s) / half)))
    }

    /// Makes an array of `n` evenly spaced values from `a` to `b`, both included and exact; of `a` alone if n is 1.
    ///
    /// Integers and bool: the exact floor of `a + i * (b - a) / (n - 1)`. Floats: that value in f64, rounded to the
    /// dtype, finite if both ends are. Complex numbers: the same for both parts. Between an infinite and a finite end
    /// all values are infinite, between two infinities of opposite signs NaN.
    ///
    /// # Errors
    /// As [`full`](Self::full).
    ///
    /// ```
    /// # use polyarray_core::*;
    /// assert_eq!(Array::linspace(0.0f64, 1.0, 5)?.to_vec()?, [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// assert_eq!(Array::linspace(0i32, -5, 3)?.to_vec()?, [0, -3, -5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn linspace(a: T, b: T, n: usize) -> Result<Array<T>> {
        match (a.to_wide(), b.to_wide()) {
            (Wide::Int(first), Wide::Int(last)) => {
                let (apart, parts) = (last - first, n.max(2) as i128 - 1);
                row(n, |i| T::from_wide(Wide::Int(first + (i as i128 * apart).div_euclid(parts))))
            }
            (Wide::Complex(re, im), Wide::Complex(last_re, last_im)) => {
                let (re, im) = (Spaced::new(re, last_re, n), Spaced::new(im, last_im, n));
                row(n, |i| T::from_wide(Wide::Complex(re.at(i), im.at(i))))
            }
            (first, last) => {
                let spaced = Spaced::new(first.real(), last.real(), n);
                row(n, |i| T::from_wide(Wide::Float(spaced.at(i))))
            }
        }
    }
}

/// Makes an array of one axis of the values of `f` at each index.
fn row<T: Element>(n: usize, f: impl Fn(usize) -> T) -> Result<Array<T>> {
    filled(n.into(), f)
}

/// Makes an array of the values of `f`, which is called with the number of each element in C order.
fn filled<T: Element>(shape: Dims, mut f: impl FnMut(usize) -> T) -> Result<Array<T>> {
    shape.check(T::DTYPE)?;
    let mut buffer = Buffer::elements(T::DTYPE, shape.size())?;
    let room = bytes::room_of::<T>(&mut buffer, shape.size()).expect("a new buffer of the host");
    for (i, to) in room.iter_mut().enumerate() {
        to.write(f(i));
    }
    Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(shape) })
}

/// Evenly spaced numbers from `first` to `last`.
struct Spaced {
    first: f64,
    last: f64,
    apart: f64,
    step: f64,
    parts: f64,
}

impl Spaced {
    fn new(first: f64, last: f64, n: usize) -> Spaced {
        let (apart, parts) = (last - first, n.max(2) as f64 - 1.0);
        Spaced { first, last, apart, step: apart / parts, parts }
    }

    fn at(&self, i: usize) -> f64 {
        let Spaced { first, last, apart, step, parts } = *self;
        let i = i as f64;
        if i == 0.0 {
            first
        } else if i == parts {
            last
        } else if apart.is_infinite() {
            // An end is infinite, or the difference of the ends overflows.
            first * (1.0 - i / parts) + last * (i / parts)
        } else if step.abs() < f64::MIN_POSITIVE {
            // A subnormal step has lost precision.
            first + i / parts * apart
        } else {
            first + i * step
        }
    }
}

/// Returns an empty vector with capacity for an array of `shape`, or an error if it does not fit into memory.
pub(crate) fn reserve<T: Element>(shape: &Dims) -> Result<Vec<T>> {
    shape.check(T::DTYPE)?;
    room(shape.size())
}

/// Returns an empty vector with capacity for `len` values, or an error if they do not fit into memory.
pub(crate) fn room<A>(len: usize) -> Result<Vec<A>> {
    let bytes = len.saturating_mul(size_of::<A>());
    let mut data = Vec::new();
    // The pool checks large sizes against the machine's memory: a system that overcommits grants any size.
    if bytes > 1 << 30 {
        drop(Buffer::host(bytes)?);
    }
    data.try_reserve_exact(len).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    Ok(data)
}

/// Returns a vector of `len` times `value`, or an error if it does not fit into memory.
pub(crate) fn repeated<A: Clone>(len: usize, value: A) -> Result<Vec<A>> {
    let mut all = room(len)?;
    all.resize(len, value);
    Ok(all)
}
