//! Sorting by the standard library's unstable sort in a total order, and searching in sorted elements by its binary
//! search.

use crate::strided::{Source, Target};
use polyarray_core::op::{Give, Search, Side, Sort};
use polyarray_core::{Buffer, DType, Element, Error, Kind, Result, Wide, with_dtype};
use std::cmp::Ordering;

/// Runs a sort and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for one line.
pub fn run(op: &Sort, out: &Buffer) -> Result<()> {
    with_dtype!(op.dtype, T => typed::<T>(op, out))
}

fn typed<T: Element>(op: &Sort, out: &Buffer) -> Result<()> {
    let lens: Vec<usize> = op.lines.iter().copied().chain([op.n]).collect();
    let (source, target) = (Source::new(&op.input), Target::whole(out, op.output()));
    let mut line = Line::new(op.dtype, op.n)?;
    let mut indices = Line::new(DType::I64, if op.give == Give::Indices { op.n } else { 0 })?;
    let run = |a: Ordering| if op.descending { a.reverse() } else { a };
    let (lines, taken) = (op.lines.size(), op.take.len());
    for i in 0..lines {
        source.gather(&lens, i * op.n..(i + 1) * op.n, line.bytes());
        let line = line.elements::<T>();
        let result: &[u8] = match op.give {
            Give::Values => {
                line.sort_unstable_by(|&x, &y| run(order(x, y).then(zeros(x, y))));
                bytemuck::cast_slice(&line[op.take.clone()])
            }
            Give::Indices => {
                let indices = indices.elements::<i64>();
                indices.iter_mut().enumerate().for_each(|(i, at)| *at = i as i64);
                // Orders ties by index. A stable sort would allocate memory without a way to report a failure.
                indices.sort_unstable_by(|&i, &j| run(order(line[i as usize], line[j as usize])).then(i.cmp(&j)));
                bytemuck::cast_slice(&indices[op.take.clone()])
            }
        };
        target.scatter(&[lines * taken], i * taken..(i + 1) * taken, result);
    }
    Ok(())
}

/// Runs a search and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for the sorted elements.
pub fn search(op: &Search, out: &Buffer) -> Result<()> {
    with_dtype!(op.dtype, T => typed_search::<T>(op, out))
}

fn typed_search<T: Element>(op: &Search, out: &Buffer) -> Result<()> {
    let (mut sorted, mut value) = (Line::new(op.dtype, op.n)?, Line::new(op.dtype, 1)?);
    Source::new(&op.sorted).gather(&[op.n], 0..op.n, sorted.bytes());
    let sorted = sorted.elements::<T>();
    let (values, target) = (Source::new(&op.values), Target::whole(out, DType::I64));
    let count = op.shape.size();
    for i in 0..count {
        values.gather(&op.shape, i..i + 1, value.bytes());
        let value = value.elements::<T>()[0];
        let at = sorted.partition_point(|&x| match op.side {
            Side::Left => order(x, value).is_lt(),
            Side::Right => order(x, value).is_le(),
        });
        target.scatter(&[count], i..i + 1, &(at as i64).to_ne_bytes());
    }
    Ok(())
}

/// Compares two elements. NaN is larger than every number and equal to NaN.
pub fn order<T: Element>(x: T, y: T) -> Ordering {
    match (x.to_wide(), y.to_wide()) {
        (Wide::Int(x), Wide::Int(y)) => x.cmp(&y),
        (x, y) => {
            debug_assert!(T::DTYPE.kind() == Kind::Float, "core refuses to order {}", T::DTYPE);
            let (x, y) = (x.real(), y.real());
            x.partial_cmp(&y).unwrap_or_else(|| x.is_nan().cmp(&y.is_nan()))
        }
    }
}

/// Orders -0 before +0 among elements that [`order`] considers equal.
fn zeros<T: Element>(x: T, y: T) -> Ordering {
    match (x.to_wide(), y.to_wide()) {
        (Wide::Float(x), Wide::Float(y)) if x == 0.0 && y == 0.0 => y.is_sign_negative().cmp(&x.is_sign_negative()),
        _ => Ordering::Equal,
    }
}

/// Memory for `n` elements of one dtype, aligned for every dtype.
///
/// Invariant: there are at least `n * size` bytes. They hold elements of the dtype that was gathered last, or zeros,
/// which are valid elements of every dtype.
pub struct Line {
    words: Vec<u128>,
    n: usize,
}

impl Line {
    /// Allocates zeros for `n` elements of `dtype`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(dtype: DType, n: usize) -> Result<Line> {
        let count = n.saturating_mul(dtype.size()).div_ceil(size_of::<u128>());
        let bytes = count.saturating_mul(size_of::<u128>());
        let mut words = Vec::new();
        words.try_reserve_exact(count).map_err(|e| Error::OutOfMemory {
            memory: "the host".into(),
            bytes,
            why: e.to_string(),
        })?;
        words.resize(count, 0);
        Ok(Line { words, n })
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words)
    }

    pub fn elements<T: Element>(&mut self) -> &mut [T] {
        &mut bytemuck::checked::cast_slice_mut(&mut self.words)[..self.n]
    }
}
