//! Sparse matrices.

use crate::array::{self, Array, repeated, room};
use crate::distance::{grow, on_host};
use crate::{Dims, Error, Number, Result, Wide};
use std::fmt;
use std::ops::Range;

/// A sparse matrix `[n, d]` as compressed sparse rows: the elements of each row that are stored, with their columns.
/// All other elements are 0.
///
/// The stored elements of row i are `data[indptr[i]..indptr[i + 1]]`, and their columns the same part of `indices`, as
/// in SciPy's `csr_matrix`. Every constructor brings them into one form (SciPy's *canonical format*): the columns of a
/// row are in ascending order, and elements with the same row and column are added, in the order in which they were
/// given. Zeros that are given are stored.
///
/// Invariants: 1. `indptr` has n + 1 numbers, which ascend from 0 to the lengths of `indices` and `data`; 2. the
/// columns of a row ascend strictly and are less than d, which is at most 2^32. All constructors establish them.
///
/// ```
/// # use polyarray_core::*;
/// let ratings = Csr::from_triplets([3, 4], [(0, 3, 5.0), (2, 0, 1.0), (0, 1, 2.0), (2, 0, 0.5)])?;
/// assert_eq!((ratings.shape(), ratings.nnz()), ([3, 4], 3));
/// assert_eq!(ratings.row(0)?, (&[1, 3][..], &[2.0, 5.0][..]));
/// assert_eq!(ratings.to_dense()?.get([2, 0])?, 1.5);
/// # Ok::<(), Error>(())
/// ```
#[doc(alias("csr_matrix", "csr_array", "sparse"))]
#[derive(Clone, PartialEq)]
pub struct Csr<T: Number> {
    shape: [usize; 2],
    indptr: Vec<usize>,
    indices: Vec<u32>,
    data: Vec<T>,
}

impl<T: Number> Csr<T> {
    /// Makes a matrix of triplets (row, column, value) in any order. Values of the same row and column are added.
    ///
    /// Needs memory for a second copy of the triplets.
    ///
    /// # Errors
    /// [`Error::Index`] for a row or column outside of the shape; [`Error::Argument`] for more than 2^32 columns;
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let (rows, columns, values) = ([1, 0, 1], [2, 2, 0], [1.0f32, 2.0, 3.0]);
    /// let triplets = rows.into_iter().zip(columns).zip(values).map(|((i, j), value)| (i, j, value));
    /// let matrix = Csr::from_triplets([2, 3], triplets)?;
    /// # extern crate polyarray_cpu as _;
    /// assert_eq!(matrix.to_dense()?, Array::from([[0.0, 0.0, 2.0], [3.0, 0.0, 1.0]]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("coo_matrix", "coo_array"))]
    pub fn from_triplets(shape: [usize; 2], triplets: impl IntoIterator<Item = (usize, usize, T)>) -> Result<Csr<T>> {
        let [n, d] = shape;
        check_width("Csr::from_triplets", d)?;
        let mut given: Vec<(usize, u32, T)> = Vec::new();
        for (i, j, value) in triplets {
            for (axis, index, len) in [(0, i, n), (1, j, d)] {
                if index >= len {
                    return Err(Error::Index { what: format!("index {index} of a triplet"), axis, len });
                }
            }
            grow(&mut given, 1)?;
            given.push((i, j as u32, value));
        }
        let mut indptr = starts(n)?;
        given.iter().for_each(|(i, ..)| indptr[i + 1] += 1);
        accumulate(&mut indptr);
        // A counting sort by row, which keeps the order of each row.
        let (mut indices, mut data) = (repeated(given.len(), 0u32)?, repeated(given.len(), T::ZERO)?);
        let mut next = room(n)?;
        next.extend_from_slice(&indptr[..n]);
        for (i, j, value) in given {
            (indices[next[i]], data[next[i]]) = (j, value);
            next[i] += 1;
        }
        Csr { shape, indptr, indices, data }.canonical()
    }

    /// Makes a matrix of its parts: `indptr` `[n + 1]`, and the columns and values of the stored elements. Columns in
    /// ascending order are not copied; others are sorted, and values of the same column are added.
    ///
    /// # Errors
    /// [`Error::Argument`] if the lengths do not match the shape or each other, if `indptr` does not ascend from 0 to
    /// their number, for a column outside of the shape, and for more than 2^32 columns; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let matrix = Csr::from_parts([2, 3], vec![0, 1, 3], vec![2, 2, 0], vec![2.0f32, 1.0, 3.0])?;
    /// assert_eq!(matrix.parts(), (&[0, 1, 3][..], &[2, 0, 2][..], &[2.0, 3.0, 1.0][..]));
    /// assert!(Csr::from_parts([2, 3], vec![0, 1, 3], vec![2, 3, 0], vec![2.0f32, 1.0, 3.0]).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_parts(shape: [usize; 2], indptr: Vec<usize>, indices: Vec<u32>, data: Vec<T>) -> Result<Csr<T>> {
        let op = "Csr::from_parts";
        let wrong = |name, value: usize, why: String| Err(Error::Argument { op, name, value: value.to_string(), why });
        let [n, d] = shape;
        check_width(op, d)?;
        if indptr.len().checked_sub(1) != Some(n) {
            return wrong("the length of indptr", indptr.len(), format!("{n} rows need one more"));
        }
        if indices.len() != data.len() {
            return wrong("the length of indices", indices.len(), format!("there are {} values", data.len()));
        }
        if indptr[0] != 0 || indptr[n] != data.len() {
            let (name, value, want) =
                if indptr[0] != 0 { ("indptr[0]", indptr[0], 0) } else { ("the end of indptr", indptr[n], data.len()) };
            return wrong(name, value, format!("it must be {want}, for {} values", data.len()));
        }
        if let Some(i) = indptr.windows(2).position(|pair| pair[0] > pair[1]) {
            return wrong(
                "indptr",
                indptr[i + 1],
                format!("entry {} is less than the one before it, {}", i + 1, indptr[i]),
            );
        }
        if let Some(&column) = indices.iter().find(|&&column| column as usize >= d) {
            return wrong("a column", column as usize, format!("there are {d} columns"));
        }
        Csr { shape, indptr, indices, data }.canonical()
    }

    /// Stores the elements of an array `[n, d]` that are not 0. NaN is stored, -0 is not.
    ///
    /// # Errors
    /// [`Error::Shapes`] unless it has two axes; [`Error::Argument`] for more than 2^32 columns;
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let matrix = Csr::from_dense(&Array::from([[0.0, 2.0], [0.0, 0.0]]))?;
    /// assert_eq!(matrix.parts(), (&[0, 1, 1][..], &[1][..], &[2.0][..]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn from_dense(array: &Array<T>) -> Result<Csr<T>> {
        let op = "Csr::from_dense";
        let &[n, d] = array.shape() else {
            let why = "a matrix has two axes".into();
            return Err(Error::Shapes { op, left: array.shape().into(), right: Dims::new(), why });
        };
        check_width(op, d)?;
        let (mut indptr, mut indices, mut data) = (starts(n)?, Vec::new(), Vec::new());
        on_host(array, |elements| {
            let count = elements.iter().filter(|x| **x != T::ZERO).count();
            (indices, data) = (room(count)?, room(count)?);
            for (row, end) in elements.chunks_exact(d.max(1)).zip(&mut indptr[1..]) {
                let stored = row.iter().zip(0..).filter(|(x, _)| **x != T::ZERO);
                stored.for_each(|(&x, column)| {
                    indices.push(column);
                    data.push(x);
                });
                *end = data.len();
            }
            Ok(())
        })?;
        Ok(Csr { shape: [n, d], indptr, indices, data })
    }

    /// Returns all elements as an array `[n, d]`.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::OutOfMemory`].
    #[doc(alias("toarray", "todense"))]
    pub fn to_dense(&self) -> Result<Array<T>> {
        let shape = Dims::from(self.shape);
        let mut elements = array::reserve(&shape)?;
        elements.resize(shape.size(), T::ZERO);
        for (row, elements) in (0..self.shape[0]).zip(elements.chunks_exact_mut(self.shape[1].max(1))) {
            let (columns, values) = self.stored(row);
            columns.iter().zip(values).for_each(|(&column, &value)| elements[column as usize] = value);
        }
        Array::from_vec(elements, shape)
    }

    /// Returns the matrix of the results of `f` for the stored elements: a cast, or a change of every value. Results
    /// that are 0 are stored.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # use polyarray_core::*;
    /// let counts = Csr::from_triplets([2, 9], [(0, 4, 2i64), (1, 8, 7)])?;
    /// assert_eq!(counts.map(|count| count as f32)?.row(1)?, (&[8][..], &[7.0][..]));
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("astype"))]
    pub fn map<U: Number>(&self, f: impl FnMut(T) -> U) -> Result<Csr<U>> {
        let mut data = room(self.nnz())?;
        data.extend(self.data.iter().copied().map(f));
        Ok(Csr { shape: self.shape, indptr: copied(&self.indptr)?, indices: copied(&self.indices)?, data })
    }

    /// Copies some consecutive rows.
    ///
    /// # Errors
    /// [`Error::Index`] if the range does not lie within the rows; [`Error::OutOfMemory`].
    pub fn rows(&self, rows: Range<usize>) -> Result<Csr<T>> {
        let [n, d] = self.shape;
        if rows.start > rows.end || rows.end > n {
            return Err(Error::Index { what: format!("range {}..{}", rows.start, rows.end), axis: 0, len: n });
        }
        let first = self.indptr[rows.start];
        let part = first..self.indptr[rows.end];
        let mut indptr = copied(&self.indptr[rows.start..=rows.end])?;
        indptr.iter_mut().for_each(|end| *end -= first);
        Ok(Csr {
            shape: [rows.len(), d],
            indptr,
            indices: copied(&self.indices[part.clone()])?,
            data: copied(&self.data[part])?,
        })
    }

    /// The numbers of rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// The number of stored elements.
    pub fn nnz(&self) -> usize {
        self.data.len()
    }

    /// Returns the columns, in ascending order, and the values of the stored elements of a row.
    ///
    /// # Errors
    /// [`Error::Index`] if there is no such row.
    pub fn row(&self, i: usize) -> Result<(&[u32], &[T])> {
        let len = self.shape[0];
        if i < len { Ok(self.stored(i)) } else { Err(Error::Index { what: format!("row {i}"), axis: 0, len }) }
    }

    /// Returns `indptr`, `indices` and `data`, of which [`from_parts`](Self::from_parts) makes the same matrix.
    pub fn parts(&self) -> (&[usize], &[u32], &[T]) {
        (&self.indptr, &self.indices, &self.data)
    }

    /// As [`row`](Self::row), for a row that exists.
    pub(crate) fn stored(&self, i: usize) -> (&[u32], &[T]) {
        let part = self.indptr[i]..self.indptr[i + 1];
        (&self.indices[part.clone()], &self.data[part])
    }

    /// Sorts the elements of each row by column and adds those of the same column: establishes the second invariant,
    /// except for its limits.
    fn canonical(mut self) -> Result<Csr<T>> {
        let ascending = |row: &[usize]| self.indices[row[0]..row[1]].is_sorted_by(|a, b| a < b);
        if self.indptr.windows(2).all(ascending) {
            return Ok(self);
        }
        let (mut row, mut start, mut len) = (Vec::new(), 0, 0);
        for i in 0..self.shape[0] {
            let end = self.indptr[i + 1];
            row.clear();
            grow(&mut row, end - start)?;
            row.extend(self.indices[start..end].iter().copied().zip(self.data[start..end].iter().copied()));
            // A stable sort: the values of a column are added in the order in which they were given.
            row.sort_by_key(|(column, _)| *column);
            let first = len;
            for &(column, value) in &row {
                if len > first && self.indices[len - 1] == column {
                    self.data[len - 1] = sum(self.data[len - 1], value);
                } else {
                    (self.indices[len], self.data[len]) = (column, value);
                    len += 1;
                }
            }
            (self.indptr[i + 1], start) = (len, end);
        }
        self.indices.truncate(len);
        self.data.truncate(len);
        Ok(self)
    }
}

/// Fails if the number of columns exceeds what the indices can represent.
fn check_width(op: &'static str, d: usize) -> Result<()> {
    if d as u64 <= 1 << 32 {
        return Ok(());
    }
    let why = "a sparse matrix has at most 2^32 columns".into();
    Err(Error::Argument { op, name: "the number of columns", value: d.to_string(), why })
}

/// Returns n + 1 zeros.
fn starts(n: usize) -> Result<Vec<usize>> {
    repeated(n.saturating_add(1), 0)
}

fn copied<A: Copy>(from: &[A]) -> Result<Vec<A>> {
    let mut all = room(from.len())?;
    all.extend_from_slice(from);
    Ok(all)
}

/// Returns the sum, which wraps for integers, as in arrays.
fn sum<T: Number>(a: T, b: T) -> T {
    match (a.to_wide(), b.to_wide()) {
        (Wide::Int(a), Wide::Int(b)) => T::from_wide(Wide::Int(a + b)),
        _ => a + b,
    }
}

/// Replaces numbers by their running sums.
fn accumulate(numbers: &mut [usize]) {
    let mut sum = 0;
    numbers.iter_mut().for_each(|number| {
        sum += *number;
        *number = sum;
    });
}

/// Shows the shape and the number of stored elements.
///
/// ```
/// # use polyarray_core::*;
/// let matrix = Csr::from_triplets([2, 3], [(0, 1, 5.0f32)])?;
/// assert_eq!(format!("{matrix:?}"), "Csr<f32>([2, 3], 1 stored)");
/// assert_eq!(matrix.to_string(), "Csr<f32>([2, 3], 1 stored)\n(0, 1) 5");
/// # Ok::<(), Error>(())
/// ```
impl<T: Number> fmt::Debug for Csr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr<{}>({:?}, {} stored)", T::DTYPE, self.shape, self.nnz())
    }
}

/// Shows the stored elements as `(row, column) value`, one in a line; of more than 12 only the first and last 6.
impl<T: Number> fmt::Display for Csr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ENDS: usize = 6;
        write!(f, "{self:?}")?;
        let nnz = self.nnz();
        let tail = if nnz > 2 * ENDS { nnz - ENDS } else { ENDS.min(nnz) };
        for at in (0..ENDS.min(nnz)).chain(tail..nnz) {
            if at == tail && tail > ENDS {
                write!(f, "\n..")?;
            }
            let row = self.indptr.partition_point(|&start| start <= at) - 1;
            write!(f, "\n({row}, {}) {}", self.indices[at], self.data[at])?;
        }
        Ok(())
    }
}
