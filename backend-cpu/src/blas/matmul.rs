//! Products of matrices: one `gemm` for each matrix of the batch.

use super::library::{Factor, Library, Multiply};
use super::scratch;
use crate::strided::{Source, Target};
use num_complex::Complex;
use polyarray_core::op::{Matmul, Operand};
use polyarray_core::{DType, Dims, Result, RunContext, walk};
use smallvec::SmallVec;

/// Runs a matrix product.
///
/// # Errors
/// Fails if there is no memory to copy a matrix whose layout BLAS does not support.
pub fn run(library: &Library, op: &Matmul, cx: &RunContext) -> Result<()> {
    match op.dtype {
        DType::F32 => typed::<f32>(library, op, cx),
        DType::F64 => typed::<f64>(library, op, cx),
        DType::C32 => typed::<Complex<f32>>(library, op, cx),
        DType::C64 => typed::<Complex<f64>>(library, op, cx),
        other => unreachable!("estimate refuses {other}"),
    }
}

fn typed<T: Multiply>(library: &Library, op: &Matmul, cx: &RunContext) -> Result<()> {
    let mut a = Matrices::<T>::new(&op.a, &op.batch, [op.m, op.k], library.max_dimension());
    let mut b = Matrices::<T>::new(&op.b, &op.batch, [op.k, op.n], library.max_dimension());
    let target = Target::whole(cx.output(), op.dtype);
    let starts = [op.a.offset as isize, op.b.offset as isize];
    let mut result = Ok(());
    library.with_threads(cx.threads, || {
        let mut number = 0;
        walk::walk(&op.batch, [&op.a.strides, &op.b.strides], starts, 0..op.batch.size(), |[a_at, b_at]| {
            if result.is_err() {
                return;
            }
            result = a.factor(number, a_at).and_then(|a| Ok((a, b.factor(number, b_at)?))).map(|(a, b)| {
                let c = target.window::<T>(number * op.m * op.n, op.m * op.n);
                // SAFETY: `window` verified that the factors lie in their buffers (or they are copies of the right
                // size) and that C lies in the output of this operation, so nothing else accesses it. `estimate`
                // refuses dimensions that do not fit the library's integers, and `place` refuses such leading
                // dimensions.
                unsafe { T::gemm(library, [op.m, op.n, op.k], &a, &b, c, op.n, op.add) };
            });
            number += 1;
        });
    });
    result
}

/// Returns how many elements of the matrices A and B are copied. A matrix that the whole batch uses is copied once.
pub fn copied(op: &Matmul, max: usize) -> usize {
    [(&op.a, [op.m, op.k]), (&op.b, [op.k, op.n])]
        .into_iter()
        .filter(|(operand, shape)| place(*shape, last_strides(operand), max).is_none())
        .map(|(operand, [rows, columns])| {
            let (batch, _) = operand.strides.split_at(op.batch.len());
            let copies = if batch.iter().all(|&stride| stride == 0) { 1 } else { op.batch.size() };
            // A broadcast matrix may have more elements than an integer counts.
            rows.saturating_mul(columns).saturating_mul(copies)
        })
        .fold(0, usize::saturating_add)
}

/// Returns the strides of the rows and columns of the matrices.
fn last_strides(operand: &Operand) -> [isize; 2] {
    let n = operand.strides.len();
    [operand.strides[n - 2], operand.strides[n - 1]]
}

/// The matrices of a batch, for one operand.
struct Matrices<'a, T> {
    source: Source<'a>,
    /// The lengths of the batch axes, then the rows and columns.
    lens: SmallVec<[usize; 4]>,
    /// How BLAS reads a matrix in place: whether transposed, and the leading dimension. `None` if matrices must be
    /// copied.
    place: Option<(bool, usize)>,
    copy: Vec<T>,
    /// The position of the matrix that `copy` holds.
    copied: Option<isize>,
}

impl<'a, T: Multiply> Matrices<'a, T> {
    fn new(operand: &'a Operand, batch: &Dims, shape: [usize; 2], max: usize) -> Matrices<'a, T> {
        let lens: SmallVec<[usize; 4]> = batch.iter().copied().chain(shape).collect();
        let place = place(shape, last_strides(operand), max);
        Matrices { source: Source::new(operand), lens, place, copy: Vec::new(), copied: None }
    }

    /// Returns matrix `number`, which starts at position `at`.
    fn factor(&mut self, number: usize, at: isize) -> Result<Factor<T>> {
        let (rows, columns) = (self.lens[self.lens.len() - 2], self.lens[self.lens.len() - 1]);
        if let Some((transposed, leading)) = self.place {
            let (runs, run) = if transposed { (columns, rows) } else { (rows, columns) };
            return Ok(Factor { start: self.source.window(at, (runs - 1) * leading + run), transposed, leading });
        }
        if self.copied != Some(at) {
            if self.copy.is_empty() {
                self.copy = scratch(rows * columns)?;
            }
            let range = number * rows * columns..(number + 1) * rows * columns;
            self.source.gather(&self.lens, range, bytemuck::cast_slice_mut(&mut self.copy));
            self.copied = Some(at);
        }
        Ok(Factor { start: self.copy.as_ptr(), transposed: false, leading: columns })
    }
}

/// Returns whether a matrix is stored transposed, and its leading dimension. Returns `None` unless its rows or its
/// columns are contiguous, do not overlap, and are at most `max` elements apart.
fn place([rows, columns]: [usize; 2], [down, right]: [isize; 2], max: usize) -> Option<(bool, usize)> {
    let led = |runs: usize, run: usize, between: isize, within: isize| {
        let leading = if runs == 1 { run } else { usize::try_from(between).ok()? };
        (leading >= run && leading <= max && (within == 1 || run == 1)).then_some(leading)
    };
    led(rows, columns, down, right)
        .map(|leading| (false, leading))
        .or_else(|| led(columns, rows, right, down).map(|leading| (true, leading)))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn matrices_are_taken_as_they_lie_where_blas_can() {
        let at = |shape, strides| place(shape, strides, 100);
        assert_eq!(at([3, 4], [4, 1]), Some((false, 4)), "C order");
        assert_eq!(at([3, 4], [1, 3]), Some((true, 3)), "transposed");
        assert_eq!(at([3, 4], [9, 1]), Some((false, 9)), "a part of a wider matrix");
        assert_eq!(at([3, 4], [8, 2]), None, "every other column");
        assert_eq!(at([3, 4], [-4, 1]), None, "rows backwards");
        assert_eq!(at([3, 4], [0, 1]), None, "one row for all");
        assert_eq!(at([3, 4], [3, 1]), None, "rows that overlap");
        assert_eq!(at([3, 4], [101, 1]), None, "farther apart than an integer counts");
        assert_eq!(at([1, 4], [0, 1]), Some((false, 4)), "one row");
        assert_eq!(at([1, 4], [7, 5]), Some((true, 5)), "one row with gaps is as many columns of one");
        assert_eq!(at([3, 1], [5, 0]), Some((false, 5)), "one column with gaps");
        assert_eq!(at([1, 1], [-3, 0]), Some((false, 1)), "one element");
    }
}
