//! Nearest neighbours: selections from the distances of each row.
//!
//! The distances are computed in blocks that fit into the second-level cache: some rows of X with some of Y. After each
//! block, the selections of its rows are updated. Therefore the memory in use, besides operands and results, does not
//! depend on the number of pairs. Row blocks are divided among threads.

use super::best::{Best, is_nan};
use super::{How, Metric, Pairs};
use crate::array::{self, Array};
use crate::config::threads;
use crate::device::Device;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::op::{Measure, Nearest, Op};
use crate::plan::{execute, is_possible};
use crate::{DType, Dims, Element, Error, Float, Kind, MemoryId, Number, Result, Wide, canon, parts, trace};
use std::ops::Range;

/// The most rows of a block.
pub(super) const ROWS: usize = 64;
/// The most distances of a block.
pub(super) const BLOCK: usize = 1 << 16;
/// The multiplications and additions below which one thread is used.
const ALONE: f64 = 4e6;

/// The points that [`nearest`] selects for each query.
#[derive(Clone, Debug)]
pub struct Neighbors<T: Element> {
    /// The row numbers of the points `[n, k]`, nearest first.
    pub indices: Array<i64>,
    /// Their distances `[n, k]`.
    pub distances: Array<T>,
}

/// The points that [`within`] selects for each query: those of query i are the elements `offsets[i]..offsets[i + 1]` of
/// `indices` and `distances`.
#[derive(Clone, Debug)]
pub struct Ragged<T: Element> {
    /// The starts of the queries' elements, and their total number, `[n + 1]`.
    pub offsets: Array<i64>,
    /// The row numbers of the points, in ascending order for each query.
    pub indices: Array<i64>,
    /// Their distances.
    pub distances: Array<T>,
}

/// Finds the `k` points (rows of `[m, d]`) that are nearest to each query (row of `[n, d]`), nearest first. Points at
/// equal distances are ordered by index, and distances that are NaN are last.
///
/// Besides the operands and the result, it needs memory for a second copy of the result, for a block of distances and
/// the neighbours of 64 queries per thread, and for a changed copy of the operands for the metrics `Correlation` and
/// `JensenShannon`. Distances are as those of [`cdist`](super::cdist). For (squared) Euclidean distances to many
/// points, `simd` excludes most points by approximate distances; the result is the same. Each thread then needs
/// `48 k + 768` bytes for each of up to 1024 queries, 4 KiB for each coordinate, and 2 MiB.
///
/// # Errors
/// [`Error::Argument`] if `k` is 0 or exceeds the number of points; as [`cdist`](super::cdist).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let points = Array::from([[0.0], [10.0], [2.0], [10.0]]);
/// let found = distance::nearest(&Array::from([[9.0], [1.0]]), &points, 2, Metric::Euclidean)?;
/// assert_eq!(found.indices, Array::from([[1, 3], [0, 2]]));
/// assert_eq!(found.distances, Array::from([[1.0, 1.0], [1.0, 1.0]]));
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("kneighbors", "knn", "topk"))]
pub fn nearest<T: Element<Distance: Float>>(
    queries: &Array<T>,
    points: &Array<T>,
    k: usize,
    metric: Metric,
) -> Result<Neighbors<T::Distance>> {
    let pairs = Pairs::new("nearest", queries, points, metric)?;
    let [n, m] = pairs.shape();
    if k == 0 || k > m {
        let why = if k == 0 { "at least one point must be selected".into() } else { format!("there are {m} points") };
        return Err(Error::Argument { op: "nearest", name: "k", value: k.to_string(), why });
    }
    let (indices, distances) = select(&pairs, k)?;
    Ok(Neighbors {
        indices: Array::from_vec(indices, [n, k])?.beside(queries)?,
        distances: Array::from_vec(distances, [n, k])?.beside(queries)?,
    })
}

/// Finds the point (row of `[m, d]`) nearest to each query (row of `[n, d]`): its index and its distance, both `[n]`.
/// The lowest index wins among equal distances, and NaN is farthest.
///
/// # Errors
/// [`Error::Empty`] if there are no points; as [`nearest`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let centres = Array::from([[0.0, 0.0], [4.0, 4.0]]);
/// let (indices, squares) =
///     distance::argmin(&Array::from([[1.0, 0.0], [3.0, 3.0]]), &centres, Metric::SquaredEuclidean)?;
/// assert_eq!((indices, squares), (Array::from([0, 1]), Array::from([1.0, 2.0])));
/// # Ok::<(), Error>(())
/// ```
pub fn argmin<T: Element<Distance: Float>>(
    queries: &Array<T>,
    points: &Array<T>,
    metric: Metric,
) -> Result<(Array<i64>, Array<T::Distance>)> {
    let pairs = Pairs::new("argmin", queries, points, metric)?;
    let [n, m] = pairs.shape();
    if m == 0 {
        return Err(Error::Empty { op: "argmin", shape: points.shape().into() });
    }
    let (indices, distances) = select(&pairs, 1)?;
    Ok((Array::from_vec(indices, [n])?.beside(queries)?, Array::from_vec(distances, [n])?.beside(queries)?))
}

/// Finds the points (rows of `[m, d]`) whose distance from each query (row of `[n, d]`) is at most `radius`.
///
/// # Errors
/// [`Error::Argument`] if the radius is NaN, or negative for a metric other than `Dot`; as [`cdist`](super::cdist).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let points = Array::from([[0.0], [10.0], [2.0]]);
/// let found = distance::within(&Array::from([[1.0], [5.0]]), &points, 1.0, Metric::Euclidean)?;
/// assert_eq!(found.offsets, Array::from([0, 2, 2]));
/// assert_eq!((found.indices, found.distances), (Array::from([0, 2]), Array::from([1.0, 1.0])));
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("radius_neighbors", "query_ball_point"))]
pub fn within<T: Element<Distance: Float>>(
    queries: &Array<T>,
    points: &Array<T>,
    radius: T::Distance,
    metric: Metric,
) -> Result<Ragged<T::Distance>> {
    let pairs = Pairs::new("within", queries, points, metric)?;
    if is_nan(radius) || radius < T::Distance::ZERO && !pairs.descending {
        let why = "the radius must be a number that is not negative".into();
        return Err(Error::Argument { op: "within", name: "radius", value: radius.to_string(), why });
    }
    let [_, m] = pairs.shape();
    let near = |value: T::Distance| if pairs.descending { value >= radius } else { value <= radius };
    let rows = |rows: Range<usize>| {
        let (mut counts, mut found) = (reserve(rows.len())?, Vec::new());
        for block in blocks(rows, ROWS) {
            // The points of each row of the block, from all blocks of columns.
            let mut lists: Vec<Vec<(i64, T::Distance)>> = vec![Vec::new(); block.len()];
            for columns in blocks(0..m, BLOCK / block.len()) {
                on_host(&pairs.part(&block, &columns)?.distances()?, |values| {
                    for (row, list) in values.chunks_exact(columns.len()).zip(&mut lists) {
                        for (&value, index) in row.iter().zip(columns.start as i64..).filter(|(value, _)| near(**value))
                        {
                            grow(list, 1)?;
                            list.push((index, value));
                        }
                    }
                    Ok(())
                })?;
            }
            for list in lists {
                counts.push(list.len() as i64);
                grow(&mut found, list.len())?;
                found.extend(list);
            }
        }
        Ok((counts, found))
    };
    let parts = over_rows(&pairs, &rows)?;
    let (n, total) = (pairs.shape()[0], parts.iter().map(|(_, found)| found.len()).sum());
    let (mut offsets, mut indices, mut distances) = (reserve(n + 1)?, reserve(total)?, reserve(total)?);
    offsets.push(0);
    for (counts, found) in parts {
        for count in counts {
            offsets.push(offsets.last().expect("the first offset") + count);
        }
        indices.extend(found.iter().map(|f| f.0));
        distances.extend(found.iter().map(|f| f.1));
    }
    Ok(Ragged {
        offsets: Array::from_vec(offsets, [n + 1])?.beside(queries)?,
        indices: Array::from_vec(indices, [total])?.beside(queries)?,
        distances: Array::from_vec(distances, [total])?.beside(queries)?,
    })
}

/// The indices of selected points, and their distances.
type Selected<T> = (Vec<i64>, Vec<<T as Element>::Distance>);

/// Returns the indices and distances of the `k` nearest points of each row, for `k` from 1 to the number of points.
fn select<T: Element<Distance: Float>>(pairs: &Pairs<T>, k: usize) -> Result<Selected<T>> {
    let [n, m] = pairs.shape();
    if let Some(selected) = select_at_once(pairs, k)? {
        return Ok(selected);
    }
    let rows = |rows: Range<usize>| {
        let shape = Dims::from([rows.len(), k]);
        let (mut indices, mut distances) = (array::reserve(&shape)?, array::reserve(&shape)?);
        for block in blocks(rows, ROWS) {
            let mut best = reserve(block.len())?;
            for _ in block.clone() {
                best.push(Best::new(k)?);
            }
            for columns in blocks(0..m, BLOCK / block.len()) {
                on_host(&pairs.part(&block, &columns)?.distances()?, |values| {
                    for (row, best) in values.chunks_exact(columns.len()).zip(&mut best) {
                        if pairs.descending {
                            best.offer(row, columns.start, |x| -x);
                        } else {
                            best.offer(row, columns.start, |x| x);
                        }
                    }
                    Ok(())
                })?;
            }
            for candidate in best.into_iter().flat_map(Best::sorted) {
                indices.push(candidate.index as i64);
                distances.push(if pairs.descending { -candidate.key } else { candidate.key });
            }
        }
        Ok((indices, distances))
    };
    let shape = Dims::from([n, k]);
    let (mut indices, mut distances) = (array::reserve(&shape)?, array::reserve(&shape)?);
    for (i, d) in over_rows(pairs, &rows)? {
        indices.extend(i);
        distances.extend(d);
    }
    Ok((indices, distances))
}

/// Selects by one operation, if a device has it and there is enough work for each row. Otherwise returns `None`.
fn select_at_once<T: Element<Distance: Float>>(pairs: &Pairs<T>, k: usize) -> Result<Option<Selected<T>>> {
    let ([n, m], d) = (pairs.shape(), pairs.x.shape()[1]);
    let How::Measure(metric @ (Measure::Euclidean | Measure::SquaredEuclidean), ..) = pairs.how else {
        return Ok(None);
    };
    let enough = n > 0 && d > 0 && k <= MOST_AT_ONCE && m / SHARE >= k && m.saturating_mul(d) >= LEAST_AT_ONCE;
    let here = [&pairs.x, &pairs.y].iter().all(|array| array.raw().buffer.memory() == MemoryId::HOST);
    if !enough || !here || T::DTYPE.kind() != Kind::Float {
        return Ok(None);
    }
    let operand = |array: &Array<T>| canon::operand(&array.raw().buffer, T::DTYPE, array.layout());
    let (x, y) = (operand(&pairs.x), operand(&pairs.y));
    let op = Op::from(Nearest { metric, dtype: T::DTYPE, n, m, d, k, x, y });
    let device = Device::current()?;
    if !is_possible(&op, &device)? {
        return Ok(None);
    }
    let shape = Dims::from([2, n, k]);
    shape.check(DType::I64)?;
    let buffer = execute(op, &device, None)?;
    let found = Array::<i64>::from_raw(RawArray { buffer, dtype: DType::I64, layout: Layout::contiguous(shape) })?;
    let mut selected = (array::reserve(&Dims::from([n, k]))?, array::reserve(&Dims::from([n, k]))?);
    on_host(&found, |found| {
        let (indices, bits) = found.split_at(n * k);
        selected.0.extend_from_slice(indices);
        selected.1.extend(bits.iter().map(|&bits| T::Distance::from_wide(Wide::Float(f64::from_bits(bits as u64)))));
        Ok(())
    })?;
    Ok(Some(selected))
}

/// The most neighbours that are selected by one operation, the least points for each of them, and the least coordinates
/// of all points: with less work, the exact distances of the candidates of a row take longer than the screening saves.
const MOST_AT_ONCE: usize = 128;
const SHARE: usize = 16;
const LEAST_AT_ONCE: usize = 1 << 17;

/// Returns an empty vector with room for `len` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(super) fn reserve<T>(len: usize) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    grow(&mut vec, len)?;
    Ok(vec)
}

/// Makes room for `more` elements.
pub(crate) fn grow<T>(vec: &mut Vec<T>, more: usize) -> Result<()> {
    vec.try_reserve(more).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes: more.saturating_mul(size_of::<T>()),
        why: e.to_string(),
    })
}

/// Splits a range into blocks of at most `len` (but at least 1) elements.
pub(super) fn blocks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    let (end, len) = (range.end, len.max(1));
    range.step_by(len).map(move |start| start..end.min(start.saturating_add(len)))
}

/// Calls `f` with the elements of a contiguous array, which are copied to the host if they lie elsewhere.
pub(crate) fn on_host<T: Element>(array: &Array<T>, f: impl FnOnce(&[T]) -> Result<()>) -> Result<()> {
    match array.as_slice() {
        Some(elements) => f(elements),
        None => f(&array.to_vec()?),
    }
}

/// Calls `work` with parts of the rows of X, and returns the results in order. Uses several threads, with one thread
/// for each operation, if there are enough pairs, the operands lie in host memory, and no trace is recorded.
pub(super) fn over_rows<T: Element, S: Send>(
    pairs: &Pairs<T>,
    work: &(dyn Fn(Range<usize>) -> Result<S> + Sync),
) -> Result<Vec<S>> {
    let ([n, m], d) = (pairs.shape(), pairs.x.shape()[1]);
    let here = [&pairs.x, &pairs.y].iter().all(|array| array.raw().buffer.memory() == MemoryId::HOST);
    let several = here && !trace::is_recording();
    in_parts(n, if several { n as f64 * m as f64 * d as f64 } else { 0.0 }, work)
}

/// Calls `work` with parts of the rows `0..n`, on several threads if these need enough multiplications and additions,
/// and returns the results in order.
pub(super) fn in_parts<S: Send>(
    n: usize,
    steps: f64,
    work: &(dyn Fn(Range<usize>) -> Result<S> + Sync),
) -> Result<Vec<S>> {
    let count = if steps > ALONE { threads().min(n / ROWS).max(1) } else { 1 };
    let bound = |i: usize| n / count * i + i.min(n % count);
    parts::run((0..count).map(|i| bound(i)..bound(i + 1)), work)?.into_iter().collect()
}
