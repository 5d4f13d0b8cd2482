//! Nearest neighbours among sparse vectors.
//!
//! The points are stored transposed, in blocks: for each column, the points of the block that have a number in it (the
//! inverted index of text retrieval). For a query, the columns of its numbers are added into an array of sums, one for
//! each point of the block, as a row of a sparse product is (Gustavson, *Two fast algorithms for sparse matrices*, ACM
//! TOMS 4, 1978). A block has so many points that their sums stay in the first-level cache. The work is therefore
//! proportional to the pairs of numbers that are in one column, and nothing of the size of the product is stored.

use super::best::{Best, CHUNK, Candidate, is_nan};
use super::neighbours::{ROWS, blocks, in_parts};
use super::{Metric, Neighbors};
use crate::array::{Array, repeated, reserve, room};
use crate::op::Measure;
use crate::{Csr, DType, Dims, Element, Error, Float, Result};
use std::iter::Peekable;
use std::ops::Range;

/// The bytes of the sums of a block: two thirds of the first-level cache of current CPUs. Larger blocks leave this
/// cache, and smaller ones divide the columns into more parts, each of which has to be found.
const SUMS: usize = 32 << 10;
/// The number of different 16-bit numbers of points. An array of this length needs no check of these as indices.
const LIMIT: usize = 1 << 16;
/// The terms that are added one after another before their sum is added to those of earlier ones, so that rounding
/// errors do not grow with the number of terms.
const SEGMENT: usize = 128;

/// Finds the `k` points (rows of `[m, d]`) that are nearest to each query (row of `[n, d]`), nearest first, by the
/// metric `Cosine`, `Dot` or `Jaccard`. For f32 and f64.
///
/// The result is that of [`nearest`](super::nearest) for the same vectors as dense arrays, with the same special values
/// and order of ties, and with the error bounds of [`Metric`]. Numbers that are 0 do not count as stored. Different
/// rounding may exchange points at distances that differ by less than the bounds, and `d(x, y)` may differ from
/// `d(y, x)` within them. Equal vectors have a cosine distance of exactly 0.
///
/// The work is proportional to the pairs of stored numbers of a query and a point that are in the same column, plus the
/// number of pairs. Numbers that are infinite or so large that products of them might overflow make `Dot` slower: their
/// rows are compared one pair after another. Besides the operands and the result, the function needs memory for a
/// second copy of the result, for the points in another order (at most 24 bytes for each stored number), some numbers
/// for each row, and for the neighbours of 64 queries per thread.
///
/// # Errors
/// [`Error::Shapes`] if the numbers of columns differ; [`Error::Argument`] for other metrics, and if `k` is 0 or
/// exceeds the number of points; [`Error::DTypeUndefined`] for half floats; [`Error::OutOfMemory`].
///
/// ```
/// # use polyarray_core::*;
/// let points = Csr::from_triplets([3, 1000], [(0, 7, 1.0), (1, 7, 2.0), (1, 900, 2.0), (2, 900, 4.0)])?;
/// let found = distance::nearest_sparse(&points.rows(0..1)?, &points, 2, Metric::Cosine)?;
/// assert_eq!(found.indices, Array::from([[0, 1]]));
/// assert_eq!(found.distances.get([0, 0])?, 0.0);
/// assert!((found.distances.get([0, 1])? - (1.0 - 0.5f64.sqrt())).abs() < 1e-15);
/// # extern crate polyarray_cpu as _;
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("kneighbors", "knn", "recommender"))]
pub fn nearest_sparse<T: Float>(queries: &Csr<T>, points: &Csr<T>, k: usize, metric: Metric) -> Result<Neighbors<T>> {
    const OP: &str = "nearest_sparse";
    let ([n, d], [m, e]) = (queries.shape(), points.shape());
    let argument = |name, value: String, why: String| Err(Error::Argument { op: OP, name, value, why });
    if !matches!(T::DTYPE, DType::F32 | DType::F64) {
        return Err(Error::DTypeUndefined { op: OP, dtype: T::DTYPE, defined: "f32 and f64".into() });
    }
    if d != e {
        let why = format!("the vectors have {d} and {e} coordinates; both need the same number");
        return Err(Error::Shapes { op: OP, left: [n, d].into(), right: [m, e].into(), why });
    }
    let Some(kind) = Kind::of(metric) else {
        let why = "sparse vectors have the metrics cosine, dot and jaccard; for others, use nearest on dense arrays \
                   (to_dense)";
        return argument("metric", metric.name().into(), why.into());
    };
    if k == 0 || k > m {
        let why = if k == 0 { "at least one point must be selected".into() } else { format!("there are {m} points") };
        return argument("k", k.to_string(), why);
    }
    let points = Points::new(points, kind)?;
    // The closures: whether a point may be nearer than the farthest selected one, from its sum, its side and the two
    // numbers of the limit; and these two numbers, from the key of the farthest one and the size of the query.
    // Rounding errors of these are less than the margin. A point that passes is compared by its distance.
    let margin = 8.0 * T::EPSILON.to_f64();
    let (indices, keys) = match kind {
        // 1 - sum / (|x| |y|) < key
        Kind::Cosine => points.select(
            queries,
            k,
            |sum, side, [least, _]| sum * side > least,
            |key, size| {
                let least = (1.0 - key) * size.sqrt();
                [least - least.abs() * margin, 0.0]
            },
        ),
        // -sum < key
        Kind::Dot => points.select(queries, k, |sum, _, [least, _]| sum > least, |key, _| [-key, 0.0]),
        // 1 - sum / (|x| + |y| - sum) < key
        Kind::Jaccard => points.select(
            queries,
            k,
            |sum, side, [share, size]| sum > share * (side + size),
            |key, size| [(1.0 - key) / (2.0 - key) * (1.0 - margin), size],
        ),
    }?;
    let distances = if kind == Kind::Dot { keys.into_iter().map(|key| -key).collect() } else { keys };
    Ok(Neighbors { indices: Array::from_vec(indices, [n, k])?, distances: Array::from_vec(distances, [n, k])? })
}

/// A metric of sparse vectors.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Cosine,
    Dot,
    Jaccard,
}

/// What the numbers of a row become, and what its distances need besides sums of products of these.
struct Row<T> {
    /// What each number is multiplied by: a power of two, which is exact, for cosine distances.
    scale: T,
    /// The sum of the squares of the scaled numbers, or the number of numbers that are not 0 (1 if all are).
    size: f64,
    /// The part of a point in the comparison with the farthest one: `1 / sqrt(size)`, or `size`.
    side: T,
    /// Whether all distances of this row are NaN.
    nan: bool,
    /// Whether its distances are not computed from sums of products: for `Dot`, because products might overflow; for
    /// `Jaccard`, because the row has no numbers.
    apart: bool,
}

impl Kind {
    fn of(metric: Metric) -> Option<Kind> {
        match metric {
            Metric::Cosine => Some(Kind::Cosine),
            Metric::Dot => Some(Kind::Dot),
            Metric::Jaccard => Some(Kind::Jaccard),
            _ => None,
        }
    }

    fn row<T: Float>(self, values: &[T]) -> Row<T> {
        let one = T::ONE;
        // NaN is larger than all numbers, as far as it matters here.
        let larger = |most: f64, x: f64| if x > most || x.is_nan() { x } else { most };
        let largest = values.iter().map(|x| x.to_f64().abs()).fold(0.0, larger);
        match self {
            Kind::Cosine if largest == 0.0 || !largest.is_finite() => {
                Row { scale: one, size: f64::NAN, side: T::NAN, nan: true, apart: false }
            }
            Kind::Cosine => {
                // The scaled magnitudes are less than 2, so sums of their products are in range. The scale is limited
                // to the powers of two of the dtype.
                let scale = power_below(largest).recip().min(power_below(T::MAX.to_f64()));
                let scale = T::from_f64(scale);
                let mut stored = values.iter().filter(|x| **x != T::ZERO).map(|&x| x * scale).peekable();
                let mut size = T::ZERO;
                while stored.peek().is_some() {
                    size += stored.by_ref().take(SEGMENT).fold(T::ZERO, |sum, x| sum + x * x);
                }
                let size = size.to_f64();
                Row { scale, size, side: T::from_f64(1.0 / size.sqrt()), nan: false, apart: false }
            }
            Kind::Dot => {
                // Sums of up to 2^32 products of two numbers below the limit are finite.
                let limit = T::MAX.to_f64().sqrt() / f64::from(1 << 17);
                Row {
                    scale: one,
                    size: 0.0,
                    side: one,
                    nan: largest.is_nan(),
                    apart: largest >= limit || largest.is_nan(),
                }
            }
            Kind::Jaccard => {
                let size = values.iter().filter(|x| **x != T::ZERO).count().max(1) as f64;
                Row { scale: one, size, side: T::from_f64(size), nan: false, apart: largest == 0.0 }
            }
        }
    }

    /// What a number of a row becomes.
    fn value<T: Float>(self, x: T, scale: T) -> T {
        if self == Kind::Jaccard { T::ONE } else { x * scale }
    }

    /// The distance of a sum of products and two sizes, or its negative for `Dot`.
    fn key<T: Float>(self, sum: T, x: f64, y: f64) -> T {
        let sum = sum.to_f64();
        T::from_f64(match self {
            // The root of a square is exact, so equal vectors give exactly 0.
            Kind::Cosine => (1.0 - sum / (x * y).sqrt()).clamp(0.0, 2.0),
            Kind::Dot => -sum,
            Kind::Jaccard => ((x - sum) + (y - sum)) / (x + (y - sum)),
        })
    }
}

/// Returns the largest power of two that is not larger than a positive finite number; at least the smallest normal one.
fn power_below(x: f64) -> f64 {
    f64::from_bits(x.max(f64::MIN_POSITIVE).to_bits() & f64::INFINITY.to_bits())
}

/// Some points, transposed.
struct Block<T> {
    points: Range<usize>,
    /// The columns that have numbers, in ascending order; all columns if there is no list.
    columns: Option<Vec<u32>>,
    /// The starts of the columns in `ids` and `values`, and their end.
    starts: Vec<usize>,
    /// The numbers of points, counted from the first one of the block.
    ids: Vec<u16>,
    values: Vec<T>,
    /// Those of the points that are apart ([`Row::apart`]).
    apart: Vec<u16>,
}

impl<T: Float> Block<T> {
    fn new(points: Range<usize>, of: &Csr<T>, rows: &[Row<T>], kind: Kind) -> Result<Block<T>> {
        let stored = |i: usize| {
            let (row, (columns, values)) = (&rows[i], of.stored(i));
            // Rows without sums have no numbers here.
            let len = if row.nan || row.apart { 0 } else { columns.len() };
            let numbers = columns[..len].iter().copied().zip(&values[..len]).filter(|(_, x)| **x != T::ZERO);
            numbers.map(move |(column, &x)| (column, kind.value(x, row.scale)))
        };
        let count = points.clone().flat_map(stored).count();
        // A list of columns, if the starts of all columns might need more memory than the numbers.
        let columns = if of.shape()[1] <= count {
            None
        } else {
            let mut columns = room(count)?;
            columns.extend(points.clone().flat_map(stored).map(|(column, _)| column));
            columns.sort_unstable();
            columns.dedup();
            columns.shrink_to_fit();
            Some(columns)
        };
        let width = columns.as_ref().map_or(of.shape()[1], Vec::len);
        let (mut starts, mut ids, mut values) =
            (repeated(width + 1, 0usize)?, repeated(count, 0u16)?, repeated(count, T::ZERO)?);
        let place = |column| find(&columns, column).expect("the columns are those of the numbers");
        points.clone().flat_map(stored).for_each(|(column, _)| starts[place(column)] += 1);
        // Ends of the columns, which become starts as the numbers are entered from the last one on.
        starts.iter_mut().fold(0, |sum, start| {
            *start += sum;
            *start
        });
        for (id, i) in (0..points.len()).rev().zip(points.clone().rev()) {
            for (column, value) in stored(i) {
                let start = &mut starts[place(column)];
                *start -= 1;
                (ids[*start], values[*start]) = (id as u16, value);
            }
        }
        let apart = (0..).zip(points.clone()).filter(|(_, i)| rows[*i].apart).map(|(id, _)| id).collect();
        Ok(Block { points, columns, starts, ids, values, apart })
    }

    /// Adds the products of some numbers of a query and those of the points.
    fn add(&self, numbers: &[(u32, T)], sums: &mut [T; LIMIT]) {
        for &(column, x) in numbers {
            let Some(i) = find(&self.columns, column) else { continue };
            let part = self.starts[i]..self.starts[i + 1];
            for (&id, &y) in self.ids[part.clone()].iter().zip(&self.values[part]) {
                sums[usize::from(id)] += x * y;
            }
        }
    }
}

/// Returns the position of a column in a list of columns, or of all columns.
fn find(columns: &Option<Vec<u32>>, column: u32) -> Option<usize> {
    columns.as_ref().map_or(Some(column as usize), |columns| columns.binary_search(&column).ok())
}

/// The points, and what the metric needs of them.
struct Points<'a, T: Float> {
    kind: Kind,
    points: &'a Csr<T>,
    rows: Vec<Row<T>>,
    sides: Vec<T>,
    blocks: Vec<Block<T>>,
}

impl<'a, T: Float> Points<'a, T> {
    fn new(points: &'a Csr<T>, kind: Kind) -> Result<Points<'a, T>> {
        let m = points.shape()[0];
        let mut rows = room(m)?;
        rows.extend((0..m).map(|i| kind.row(points.stored(i).1)));
        let mut sides = room(m)?;
        sides.extend(rows.iter().map(|row| row.side));
        let parts = blocks(0..m, SUMS / size_of::<T>()).map(|part| Block::new(part, points, &rows, kind));
        let blocks = parts.collect::<Result<_>>()?;
        Ok(Points { kind, points, rows, sides, blocks })
    }

    /// Returns the indices and keys of the `k` nearest points of each query.
    fn select(
        &self,
        queries: &Csr<T>,
        k: usize,
        passes: impl Fn(T, T, [T; 2]) -> bool + Sync,
        limit: impl Fn(f64, f64) -> [f64; 2] + Sync,
    ) -> Result<(Vec<i64>, Vec<T>)> {
        let [n, d] = queries.shape();
        let room = |n: usize| -> Result<(Vec<i64>, Vec<T>)> {
            let shape = Dims::from([n, k]);
            Ok((reserve::<i64>(&shape)?, reserve::<T>(&shape)?))
        };
        let part = |part: Range<usize>| {
            let (mut indices, mut keys) = room(part.len())?;
            let mut sums = Sums::new()?;
            for group in blocks(part, ROWS) {
                let rows: Vec<Row<T>> = group.clone().map(|i| self.kind.row(queries.stored(i).1)).collect();
                let mut best = group.clone().map(|_| Best::new(k)).collect::<Result<Vec<_>>>()?;
                for block in &self.blocks {
                    for ((i, row), best) in group.clone().zip(&rows).zip(&mut best).filter(|((_, row), _)| !row.nan) {
                        self.sums(queries, i, row, block, &mut sums);
                        let limit = |key: T| limit(key.to_f64(), row.size).map(T::from_f64);
                        self.offer(block, row, &sums.sums, best, &passes, limit);
                    }
                }
                for (row, best) in rows.iter().zip(best) {
                    if row.nan {
                        indices.extend(0..k as i64);
                        keys.extend(std::iter::repeat_n(T::NAN, k));
                    }
                    for candidate in best.sorted() {
                        indices.push(candidate.index as i64);
                        keys.push(candidate.key);
                    }
                }
            }
            Ok((indices, keys))
        };
        let pairs = queries.nnz() as f64 * self.points.nnz() as f64 / d.max(1) as f64;
        let (mut indices, mut keys) = room(n)?;
        for (i, k) in in_parts(n, pairs + n as f64 * self.rows.len() as f64, &part)? {
            indices.extend(i);
            keys.extend(k);
        }
        Ok((indices, keys))
    }

    /// Computes the sums of products of query `i` and the points of a block.
    fn sums(&self, queries: &Csr<T>, i: usize, row: &Row<T>, block: &Block<T>, to: &mut Sums<T>) {
        let Sums { numbers, sums, total } = to;
        let len = block.points.len();
        sums[..len].fill(T::ZERO);
        let (columns, values) = queries.stored(i);
        // The product that defines the metric, and its key.
        let defined = |id: u16| {
            let (others, numbers) = self.points.stored(block.points.start + usize::from(id));
            T::from_f64(Measure::Dot.distance(1.0, &[], Union::new(columns, values, others, numbers)))
        };
        match (self.kind, row.apart) {
            (Kind::Dot, true) => (0..len).for_each(|id| sums[id] = defined(id as u16)),
            // Of vectors without numbers, 0 / 0 counts as 0: as if they had one in common.
            (Kind::Jaccard, true) => block.apart.iter().for_each(|&id| sums[usize::from(id)] = T::ONE),
            _ => {
                let stored = columns.iter().zip(values).filter(|(_, x)| **x != T::ZERO);
                numbers.clear();
                numbers.extend(stored.map(|(&column, &x)| (column, self.kind.value(x, row.scale))));
                let mut segments = numbers.chunks(SEGMENT);
                let first = segments.next().unwrap_or(&[]);
                block.add(first, sums);
                if segments.len() > 0 {
                    total[..len].copy_from_slice(&sums[..len]);
                    for segment in segments {
                        sums[..len].fill(T::ZERO);
                        block.add(segment, sums);
                        total[..len].iter_mut().zip(&sums[..len]).for_each(|(total, &sum)| *total += sum);
                    }
                    sums[..len].copy_from_slice(&total[..len]);
                }
                if self.kind == Kind::Dot {
                    block.apart.iter().for_each(|&id| sums[usize::from(id)] = defined(id));
                }
            }
        }
    }

    /// Considers the points of a block, of which all earlier ones have been considered.
    fn offer(
        &self,
        block: &Block<T>,
        row: &Row<T>,
        sums: &[T; LIMIT],
        best: &mut Best<T>,
        passes: &impl Fn(T, T, [T; 2]) -> bool,
        limit: impl Fn(T) -> [T; 2],
    ) {
        let limit = |best: &Best<T>| best.farthest().filter(|key| !is_nan(*key)).map(&limit);
        let mut least = limit(best);
        let chunks = sums[..block.points.len()].chunks(CHUNK).zip(self.sides[block.points.clone()].chunks(CHUNK));
        for (first, (sums, sides)) in block.points.clone().step_by(CHUNK).zip(chunks) {
            if let Some(least) = least
                // Without branches, so that the compiler uses vectors.
                && !sums.iter().zip(sides).fold(false, |any, (&sum, &side)| any | passes(sum, side, least))
            {
                continue;
            }
            for (index, (&sum, &side)) in (first..).zip(sums.iter().zip(sides)) {
                if least.is_none_or(|least| passes(sum, side, least)) {
                    let key = self.kind.key(sum, row.size, self.rows[index].size);
                    best.consider(Candidate { key, index });
                    least = limit(best);
                }
            }
        }
    }
}

/// The memory of a thread: the numbers of a query, the sums of a block, and those of earlier segments.
struct Sums<T> {
    numbers: Vec<(u32, T)>,
    sums: Box<[T; LIMIT]>,
    total: Box<[T; LIMIT]>,
}

impl<T: Float> Sums<T> {
    fn new() -> Result<Sums<T>> {
        let zeros = || -> Result<Box<[T; LIMIT]>> {
            let zeros = repeated(LIMIT, T::ZERO)?.into_boxed_slice();
            Ok(zeros.try_into().unwrap_or_else(|_| unreachable!("the length is that of the array")))
        };
        Ok(Sums { numbers: Vec::new(), sums: zeros()?, total: zeros()? })
    }
}

/// The pairs of numbers of two sparse vectors, for the columns in which at least one of both is stored.
#[derive(Clone)]
struct Union<'a, T> {
    x: Peekable<Stored<'a, T>>,
    y: Peekable<Stored<'a, T>>,
}

type Stored<'a, T> = std::iter::Zip<std::slice::Iter<'a, u32>, std::slice::Iter<'a, T>>;

impl<'a, T: Element> Union<'a, T> {
    fn new(columns: &'a [u32], values: &'a [T], others: &'a [u32], numbers: &'a [T]) -> Union<'a, T> {
        Union { x: columns.iter().zip(values).peekable(), y: others.iter().zip(numbers).peekable() }
    }
}

impl<T: Float> Iterator for Union<'_, T> {
    type Item = (f64, f64);

    fn next(&mut self) -> Option<(f64, f64)> {
        let column = match (self.x.peek(), self.y.peek()) {
            (Some((x, _)), Some((y, _))) => **x.min(y),
            (Some((one, _)), None) | (None, Some((one, _))) => **one,
            (None, None) => return None,
        };
        let of = |numbers: &mut Peekable<Stored<T>>| {
            numbers.next_if(|(c, _)| **c == column).map_or(0.0, |(_, value)| value.to_f64())
        };
        Some((of(&mut self.x), of(&mut self.y)))
    }
}
