//! Stacks of matrices: the operands as matrices that faer reads, and memory for the results.

use crate::Field;
use faer::dyn_stack::{MemBuffer, StackReq};
use faer::traits::math_utils::{absmax, is_finite};
use faer::{MatMut, MatRef, Par};
use polyarray_core::{
    Array, Buffer, Device, Dims, Element, Error, MatrixFault, Number, Real, Result, current_threads, forks, with_device,
};
use std::ops::Range;

/// The matrices along the last two axes of an array.
pub(crate) struct Matrices<T: Element> {
    op: &'static str,
    /// The lengths of the leading axes.
    pub batch: Dims,
    pub rows: usize,
    pub columns: usize,
    /// The same matrices in host memory: `[count, rows, columns]`.
    all: Array<T>,
}

impl<T: Field> Matrices<T> {
    /// # Errors
    /// [`Error::Shapes`] for less than two axes; errors of a transfer to the host.
    pub fn new(op: &'static str, a: &Array<T>) -> Result<Matrices<T>> {
        let [batch @ .., rows, columns] = a.shape() else {
            return Err(shapes(op, a, "a matrix has two axes, a stack of matrices more".into()));
        };
        let (batch, rows, columns) = (batch.iter().copied().collect::<Dims>(), *rows, *columns);
        let all = on_host(|| a.to_device(&Device::auto())?.reshape([batch.size(), rows, columns]))?;
        Ok(Matrices { op, batch, rows, columns, all })
    }

    /// As [`new`](Self::new), for square matrices only.
    pub fn square(op: &'static str, a: &Array<T>) -> Result<Matrices<T>> {
        let matrices = Matrices::new(op, a)?;
        if matrices.rows != matrices.columns {
            return Err(shapes(op, a, "the matrices must be square".into()));
        }
        Ok(matrices)
    }

    /// Returns the positions of the matrices in the stack; none if they have no elements.
    pub fn indices(&self) -> Range<usize> {
        0..if self.rows == 0 || self.columns == 0 { 0 } else { self.batch.size() }
    }

    /// Returns matrix `i`, with strides of which faer makes a view.
    pub fn at(&self, i: usize) -> Result<Array<T>> {
        readable(self.all.axis_iter(0)?.nth(i).expect("a position in the stack"))
    }

    /// Returns matrix `at` as [`at`](Self::at), and the largest magnitude of a real or imaginary part.
    ///
    /// # Errors
    /// [`MatrixFault::NotFinite`].
    pub fn finite(&self, at: usize, used: Used) -> Result<(Array<T>, T::Part)> {
        let matrix = self.at(at)?;
        let view = MatRef::try_from(&matrix)?;
        // Elements are read in the order of the memory, if it is that of the columns or of the rows.
        let by_rows = view.row_stride().unsigned_abs() != 1;
        let lines = if by_rows { view.transpose() } else { view };
        let mut largest = T::Part::ZERO;
        for (j, line) in lines.col_iter().enumerate() {
            for (i, x) in line.iter().enumerate() {
                let (row, column) = if by_rows { (j, i) } else { (i, j) };
                if used == Used::LowerTriangle && row < column {
                    continue;
                }
                if !is_finite(x) {
                    return Err(self.fault(at, MatrixFault::NotFinite { row, column }));
                }
                let size = absmax(x);
                largest = if size > largest { size } else { largest };
            }
        }
        Ok((matrix, largest))
    }

    /// Returns matrix `at`, multiplied by a power of two, and the factor that undoes this. Decompositions square
    /// elements, which must neither overflow nor underflow.
    pub fn scaled(&self, at: usize, used: Used) -> Result<(Array<T>, T::Part)> {
        let (matrix, largest) = self.finite(at, used)?;
        let (safe, limit) = if T::Part::DTYPE.size() == 4 { (30, 120) } else { (300, 1000) };
        let exponent = (largest.to_f64().log2() as i32).clamp(-limit, limit);
        if largest == T::Part::ZERO || exponent.abs() <= safe {
            return Ok((matrix, T::Part::ONE));
        }
        let factor = T::from_f64(2f64.powi(-exponent));
        let scaled = on_host(|| (&matrix * factor).eval())?;
        Ok((readable(scaled)?, T::Part::from_f64(2f64.powi(exponent))))
    }

    /// Makes the error for a fault of matrix `at`.
    pub fn fault(&self, at: usize, fault: MatrixFault) -> Error {
        let (mut index, mut rest) = (Vec::new(), at);
        for &len in self.batch.iter().rev() {
            index.insert(0, rest % len);
            rest /= len;
        }
        let shape = [self.rows, self.columns].into();
        Error::Matrix { op: self.op, shape, index, fault }
    }

    /// Returns the shape of the stack with other axes in the place of those of the matrices.
    pub fn shape(&self, axes: &[usize]) -> Dims {
        self.batch.iter().chain(axes).copied().collect()
    }

    /// Makes a stack of as many matrices of zeros.
    pub fn zeros<U: Field>(&self, rows: usize, columns: usize) -> Result<Stack<U>> {
        let elements = zeroed(&self.shape(&[columns, rows]))?;
        Ok(Stack { elements, batch: self.batch.clone(), rows, columns })
    }
}

/// The part of a matrix that a decomposition reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Used {
    All,
    LowerTriangle,
}

/// A stack of matrices with elements of its own, each in Fortran order.
pub(crate) struct Stack<T> {
    elements: Vec<T>,
    batch: Dims,
    rows: usize,
    columns: usize,
}

impl<T: Field> Stack<T> {
    /// Makes one matrix of zeros.
    pub fn one(rows: usize, columns: usize) -> Result<Stack<T>> {
        Ok(Stack { elements: zeroed(&[columns, rows])?, batch: Dims::new(), rows, columns })
    }

    /// Returns matrix `i`.
    pub fn matrix(&mut self, i: usize) -> MatMut<'_, T> {
        let len = self.rows * self.columns;
        MatMut::from_column_major_slice_mut(&mut self.elements[i * len..][..len], self.rows, self.columns)
    }

    /// Writes the identity to each matrix of zeros.
    pub fn fill_identity(&mut self) {
        let len = self.rows * self.columns;
        if len == 0 {
            return;
        }
        for matrix in self.elements.chunks_exact_mut(len) {
            let diagonal = matrix.iter_mut().step_by(self.rows + 1).take(self.rows.min(self.columns));
            diagonal.for_each(|x| *x = T::ONE);
        }
    }

    /// Returns the matrices as an array `[.., rows, columns]`.
    pub fn into_array(self) -> Result<Array<T>> {
        self.into_transposed()?.swapaxes(-1, -2)
    }

    /// Returns the transposed matrices as an array `[.., columns, rows]` in C order.
    pub fn into_transposed(self) -> Result<Array<T>> {
        let shape: Dims = self.batch.iter().copied().chain([self.columns, self.rows]).collect();
        Array::from_vec(self.elements, shape)
    }

    /// Returns the elements, matrix after matrix.
    pub fn elements_mut(&mut self) -> &mut [T] {
        &mut self.elements
    }
}

/// Memory for the intermediate results of faer.
pub(crate) struct Scratch(pub MemBuffer);

impl Scratch {
    pub fn new(request: StackReq) -> Result<Scratch> {
        let bytes = request.size_bytes();
        let fail = |why: &str| Error::OutOfMemory { memory: "the host".into(), bytes, why: why.into() };
        check_room(bytes)?;
        MemBuffer::try_new(request).map(Scratch).map_err(|_| fail("no block of this size for intermediate results"))
    }
}

/// Fails if the machine does not have that much memory. A system that overcommits grants blocks of any size.
fn check_room(bytes: usize) -> Result<()> {
    if bytes > 1 << 30 { Buffer::host(bytes).map(drop) } else { Ok(()) }
}

/// Returns the elements of an array of zeros.
pub(crate) fn zeroed<T: Number>(shape: &[usize]) -> Result<Vec<T>> {
    let shape = Dims::from(shape);
    let bytes = shape.check(T::DTYPE)?;
    check_room(bytes)?;
    let mut elements = Vec::new();
    let fail = |why: String| Error::OutOfMemory { memory: "the host".into(), bytes, why };
    elements.try_reserve_exact(shape.size()).map_err(|e| fail(e.to_string()))?;
    elements.resize(shape.size(), T::ZERO);
    Ok(elements)
}

/// Returns the matrix if faer can make a view of it, else a contiguous copy.
fn readable<T: Field>(matrix: Array<T>) -> Result<Array<T>> {
    if MatRef::try_from(&matrix).is_ok() { Ok(matrix) } else { on_host(|| matrix.to_contiguous()) }
}

/// Runs operations of arrays in host memory, on any device of the host, whatever device is selected.
pub(crate) fn on_host<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    with_device(&Device::auto(), f)
}

/// Returns the number of threads for matrices of `rows` and `columns`, as faer's argument. A forked child process has
/// no threads of the pool that faer uses.
pub(crate) fn parallelism(rows: usize, columns: usize) -> Result<Par> {
    /// The number of elements from which on faer divides work.
    const PARALLEL: usize = 1 << 12;
    let threads = current_threads()?;
    let pays = threads > 1 && rows.saturating_mul(columns) >= PARALLEL && forks() == 0;
    Ok(if pays { Par::rayon(threads) } else { Par::Seq })
}

/// Makes the error for an operand of the wrong shape.
pub(crate) fn shapes<T: Element>(op: &'static str, a: &Array<T>, why: String) -> Error {
    Error::Shapes { op, left: a.shape().into(), right: Dims::new(), why }
}
