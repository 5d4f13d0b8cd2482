//! Masks: elements where an array of truth values is true.
//!
//! The host counts the selected elements first, so that the result is allocated once and written once.

use crate::array::{Array, ViewMut};
use crate::expr::{Expr, IntoExpr, RawArray, SharedArray, select};
use crate::fast::SMALL;
use crate::layout::{Layout, resolve_axis};
use crate::sort::reserve;
use crate::ufunc::Binary;
use crate::{Buffer, DType, Dims, Element, Error, MemoryId, Result, Scalar, bytes, parts};
use std::mem::MaybeUninit;
use std::ops::Range;

impl<T: Element> Array<T> {
    /// The parts along `axis` at which `mask`, of one axis, is true: `[.., n, ..]` becomes `[.., count, ..]`. The mask
    /// may be shorter than the axis; the rest is false. The result lies in the memory of this array.
    ///
    /// # Errors
    /// [`Error::Axis`]; [`Error::Shapes`] if the mask does not have exactly one axis; [`Error::Index`] if it is true
    /// beyond the end of the axis; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3])?;
    /// let mask = Array::from_vec(vec![true, false, true], [3])?;
    /// assert_eq!(x.compress(&mask, 1)?.to_vec()?, [1, 3, 4, 6]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn compress(&self, mask: &Array<bool>, axis: isize) -> Result<Array<T>> {
        let axis = resolve_axis("compress", axis, self.ndim())?;
        if mask.ndim() != 1 {
            let why = "the mask must have one axis; Array::mask takes masks of several axes".into();
            let (left, right) = (self.layout().shape().clone(), mask.layout().shape().clone());
            return Err(Error::Shapes { op: "compress", left, right, why });
        }
        if self.ndim() == 1 && mask.len() == self.len() {
            return self.mask(mask);
        }
        let mask = on_host(mask)?;
        let at = positions(elements(&mask))?;
        if let Some(&last) = at.as_slice().and_then(|at| at.last())
            && last >= self.shape()[axis] as i64
        {
            return Err(Error::Index { what: format!("index {last} of the mask"), axis, len: self.shape()[axis] });
        }
        self.take_checked(&at, axis)
    }

    /// The elements at which `mask` is true, as NumPy's `x[mask]`. A mask of this array's shape selects elements, in C
    /// order: the result has one axis. A mask of the first axes selects parts along these: their axes are replaced by
    /// one. The result lies in the memory of this array.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the shape of the mask is not that of the first axes; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, -1, 4, -5], [2, 2])?;
    /// assert_eq!(x.mask(&x.greater(0).eval()?)?.to_vec()?, [3, 4]);
    /// let rows = Array::from_vec(vec![false, true], [2])?;
    /// let second = x.mask(&rows)?;
    /// assert_eq!((second.shape(), second.to_vec()?), (&[1, 2][..], vec![4, -5]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn mask(&self, mask: &Array<bool>) -> Result<Array<T>> {
        let (shape, first) = (self.layout().shape(), mask.layout().shape());
        if !shape.starts_with(first) {
            let why = "the shape of the mask must be that of the first axes of the array".into();
            return Err(Error::Shapes { op: "mask", left: shape.clone(), right: first.clone(), why });
        }
        let mask = on_host(mask)?;
        if mask.ndim() < shape.len() || mask.ndim() == 0 {
            let joined: Dims = [mask.len()].into_iter().chain(shape[mask.ndim()..].iter().copied()).collect();
            return self.reshape(joined)?.take_checked(&positions(elements(&mask))?, 0);
        }
        let here = on_host(self)?;
        let (from, mask) = (elements(&here), elements(&mask));
        let chunk = |at: usize| *from[at..].first_chunk().expect("as many elements as truth values");
        selected(mask, chunk, |at| from[at])?.beside(self)
    }

    /// The indices of the elements that are not zero, in C order: for each axis an array of their positions along it.
    ///
    /// # Errors
    /// [`Error::Shapes`] for an array without axes, as in NumPy; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0.0, 7.0, f64::NAN, 0.0], [2, 2])?;
    /// let at = x.nonzero()?;
    /// assert_eq!((at[0].to_vec()?, at[1].to_vec()?), (vec![0, 1], vec![1, 0]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn nonzero(&self) -> Result<Vec<Array<i64>>> {
        if self.ndim() == 0 {
            let why = "an array without axes has no positions; add an axis with expand_dims".into();
            return Err(Error::Shapes { op: "nonzero", left: Dims::new(), right: Dims::new(), why });
        }
        let mask = on_host(&self.truth()?)?;
        let at = positions(elements(&mask))?;
        let each = if self.ndim() == 1 { vec![at] } else { coordinates(&at, self.shape())? };
        each.into_iter().map(|a| a.beside(self)).collect()
    }

    /// The indices of the elements that are not zero, in C order, as an array `[count, ndim]`: the arrays of
    /// [`nonzero`](Self::nonzero) as columns.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![0, 7, 8, 0], [2, 2])?;
    /// assert_eq!(x.argwhere()?.to_vec()?, [0, 1, 1, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn argwhere(&self) -> Result<Array<i64>> {
        if self.ndim() == 0 {
            let count = usize::from(self.item()?.to_wide().truth());
            return Array::from_vec(Vec::new(), [count, 0])?.beside(self);
        }
        let each = self.nonzero()?;
        Array::stack(&each.iter().collect::<Vec<_>>(), 1)
    }

    /// Returns where the elements are not zero.
    fn truth(&self) -> Result<Array<bool>> {
        if T::DTYPE == DType::Bool {
            return Array::from_shared(self.clone().into_shared());
        }
        let zero = Expr::of_value(Scalar::new(T::default()));
        self.into_expr().join_binary::<bool>(Binary::NotEqual, zero).eval()
    }

    /// Writes `values` to the elements at which `mask` is true, as NumPy's `np.copyto(x, values, where=mask)`: both
    /// broadcast to the shape of this array. For as many values as there are selected elements, use
    /// [`put`](Self::put) with [`nonzero`](Self::nonzero).
    ///
    /// # Errors
    /// [`Error::Broadcast`] and [`Error::BroadcastTo`] for other shapes; as [`view_mut`](Self::view_mut), and
    /// the errors of the expression `values`.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut x = Array::from_vec(vec![3, -1, 4, -5], [2, 2])?;
    /// x.assign_where(&x.less(0).eval()?, 0)?;
    /// assert_eq!(x.to_vec()?, [3, 0, 4, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "copyto")]
    #[doc(alias = "putmask")]
    pub fn assign_where(&mut self, mask: &Array<bool>, values: impl IntoExpr<T>) -> Result<()> {
        self.view_mut()?.assign_where(mask, values)
    }
}

impl<T: Element> ViewMut<'_, T> {
    /// As [`Array::assign_where`].
    ///
    /// # Errors
    /// As [`Array::assign_where`].
    pub fn assign_where(&mut self, mask: &Array<bool>, values: impl IntoExpr<T>) -> Result<()> {
        let values = values.into_expr();
        if self.fill_few(mask, &values)? {
            return Ok(());
        }
        let here = Expr::<T>::of_raw(SharedArray::new(self.raw()));
        let (buffer, layout) = self.parts_mut();
        select(mask, values, here).write(buffer, layout)
    }

    /// Writes a single value to a few of many contiguous elements in host memory, and reads no other ones. Returns
    /// whether it did.
    fn fill_few(&mut self, mask: &Array<bool>, values: &Expr<T>) -> Result<bool> {
        /// If at most one element in this many is selected, each is written by itself.
        const FEW: usize = 16;
        let (len, shape) = (self.layout().len(), self.layout().shape());
        let large = len.saturating_mul(size_of::<T>()) > SMALL && mask.layout().shape() == shape;
        if !large || self.memory() != MemoryId::HOST || !crate::fast::is_open_to_core()? {
            return Ok(false);
        }
        let (Some(value), Some(mask)) = (values.single(), mask.as_slice()) else { return Ok(false) };
        if value.dtype() != T::DTYPE || count(mask)? > len / FEW {
            return Ok(false);
        }
        let Some(to) = self.as_mut_slice() else { return Ok(false) };
        let value = value.get();
        let (words, rest) = mask.as_chunks::<8>();
        let (chunks, last) = to.as_chunks_mut::<8>();
        for (word, chunk) in words.iter().zip(chunks) {
            if *word != [false; 8] {
                fill(word, chunk, value);
            }
        }
        fill(rest, last, value);
        Ok(true)
    }
}

/// Writes `value` where `mask` is true.
fn fill<T: Element>(mask: &[bool], to: &mut [T], value: T) {
    for (to, _) in to.iter_mut().zip(mask).filter(|(_, m)| **m) {
        *to = value;
    }
}

/// Returns the array in host memory in C order.
fn on_host<T: Element>(array: &Array<T>) -> Result<Array<T>> {
    array.on_host()?.to_contiguous()
}

/// Returns the elements of an array that [`on_host`] returned.
fn elements<T: Element>(array: &Array<T>) -> &[T] {
    array.as_slice().expect("contiguous elements in host memory")
}

/// Returns the number of true elements.
fn count(mask: &[bool]) -> Result<usize> {
    Ok(parts::run(parts::of(mask.len()), |part| count_part(&mask[part]))?.iter().sum())
}

/// As [`count`], on this thread.
fn count_part(mask: &[bool]) -> usize {
    // The sum of a chunk fits into a byte, and is computed in vectors of bytes.
    mask.chunks(192).map(|chunk| usize::from(chunk.iter().map(|&m| u8::from(m)).sum::<u8>())).sum()
}

/// Returns the positions at which `mask` is true.
fn positions(mask: &[bool]) -> Result<Array<i64>> {
    selected(mask, |at| std::array::from_fn(|i| (at + i) as i64), |at| at as i64)
}

/// Returns the values at the positions where `mask` is true. `chunk` returns the eight values from a position on, `one`
/// a single value.
///
/// # Errors
/// [`Error::OutOfMemory`].
fn selected<T: Element>(
    mask: &[bool],
    chunk: impl Fn(usize) -> [T; 8] + Sync,
    one: impl Fn(usize) -> T + Sync,
) -> Result<Array<T>> {
    let parts: Vec<Range<usize>> = parts::of(mask.len()).collect();
    let counts = parts::run(parts.iter().cloned(), |part| count_part(&mask[part]))?;
    let count = counts.iter().sum();
    if count == 0 {
        return Array::from_vec(Vec::new(), 0);
    }
    let mut buffer = Buffer::elements(T::DTYPE, count)?;
    let mut rest = bytes::room_of::<T>(&mut buffer, count).expect("a new buffer of the host");
    let mut rooms = Vec::with_capacity(parts.len());
    for (part, count) in parts.into_iter().zip(counts) {
        let (room, others) = std::mem::take(&mut rest).split_at_mut(count);
        rooms.push((part, room));
        rest = others;
    }
    parts::run(rooms, |(part, room)| write_selected(&mask[part.clone()], part.start, room, &chunk, &one))?;
    Array::from_raw(RawArray { buffer, dtype: T::DTYPE, layout: Layout::contiguous(Dims::from(count)) })
}

/// Writes the values at the positions from `first` on where `mask` is true to `room`, which they fill.
fn write_selected<T>(
    mask: &[bool],
    first: usize,
    mut room: &mut [MaybeUninit<T>],
    chunk: impl Fn(usize) -> [T; 8],
    one: impl Fn(usize) -> T,
) {
    let (words, rest) = mask.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        if *word == [false; 8] {
            continue;
        }
        let at = first + i * 8;
        let Some(to) = room.first_chunk_mut::<8>() else {
            // The last few values, whose words have no room for eight.
            room = write_each(word, at, room, &one);
            continue;
        };
        let values = chunk(at).map(MaybeUninit::new);
        let mut done = 0;
        if *word == [true; 8] {
            *to = values;
            done = 8;
        } else {
            // Without branches: each value is written, and the next one overwrites it unless it is selected. At most
            // seven values precede another one, so the index is below eight.
            for (value, &m) in values.into_iter().zip(word) {
                to[done & 7] = value;
                done += usize::from(m);
            }
        }
        room = &mut std::mem::take(&mut room)[done..];
    }
    room = write_each(rest, first + words.len() * 8, room, &one);
    assert!(room.is_empty(), "as many values are written as are true");
}

/// Writes the values at the positions from `first` on where `mask` is true, and returns the rest of the room.
fn write_each<'a, T>(
    mask: &[bool],
    first: usize,
    mut room: &'a mut [MaybeUninit<T>],
    one: impl Fn(usize) -> T,
) -> &'a mut [MaybeUninit<T>] {
    for (i, _) in mask.iter().enumerate().filter(|(_, m)| **m) {
        let (to, rest) = std::mem::take(&mut room).split_first_mut().expect("room for every selected value");
        to.write(one(first + i));
        room = rest;
    }
    room
}

/// Returns the positions along each axis of elements of an array of this shape, whose numbers in C order are given.
///
/// # Errors
/// [`Error::OutOfMemory`].
fn coordinates(at: &Array<i64>, shape: &[usize]) -> Result<Vec<Array<i64>>> {
    let numbers = elements(at);
    if numbers.is_empty() {
        return shape.iter().map(|_| Array::from_vec(Vec::new(), 0)).collect();
    }
    let mut inner = 1;
    let mut axes = Vec::new();
    for &len in shape.iter().rev() {
        let mut along = reserve(numbers.len())?;
        let (step, n) = (inner as u64, len as u64);
        // Divisions of 32-bit numbers are faster.
        if let (Ok(step), Ok(n), Some(&(..=0xffff_ffff))) = (u32::try_from(step), u32::try_from(n), numbers.last()) {
            along.extend(numbers.iter().map(|&i| i64::from(i as u32 / step % n)));
        } else {
            along.extend(numbers.iter().map(|&i| (i as u64 / step % n) as i64));
        }
        axes.push(Array::from_vec(along, numbers.len())?);
        inner *= len;
    }
    axes.reverse();
    Ok(axes)
}
