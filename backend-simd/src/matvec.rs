//! Products of a matrix and a vector. They read each element of the matrix once, so they are as fast as memory.

#![allow(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use crate::gemm::{Finish, Matrix, SEGMENT, Written};
use crate::lanes::{Float, Isa, Lanes, Numbers, Real, Work};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;

/// The most elements of a matrix that one thread multiplies alone.
const SHARED: usize = 1 << 16;
/// With fewer columns, a matrix whose rows and columns are both contiguous (windows that overlap) is read by columns.
const SHORT: usize = 256;
/// Rows are split among threads in multiples of this number.
const UNIT: usize = 64;

/// Computes `y = matrix @ x` for a matrix `[rows, k]` with contiguous rows or columns, a strided `x` (`step` is the
/// distance of its elements), and a contiguous `y`. The flag beside `finish` says whether y is a column of the result
/// (otherwise it is a row).
///
/// # Safety
/// - the matrix is valid for reads of `[rows, k]`, `x` for reads of `k` elements `step` apart, and `y` for writes of
///   `rows` elements; `y` overlaps neither operand.
pub(crate) unsafe fn run<I: Isa, T: Real>(
    isa: I,
    matrix: Matrix<T>,
    (x, step): (*const T, isize),
    y: Shared<T>,
    [rows, k]: [usize; 2],
    threads: usize,
    finish: Option<(Finish<T>, bool)>,
) -> Result<()> {
    let mut together = Scratch::new(if step == 1 { 0 } else { k * size_of::<T>() })?;
    let x = if step == 1 {
        x
    } else {
        let to = together.ptr().cast::<T>();
        for i in 0..k {
            // SAFETY: `i < k`: x has k elements `step` apart (the caller guarantees it), and the scratch block has
            // room for k elements.
            unsafe { *to.add(i) = *x.offset(i as isize * step) };
        }
        to.cast_const()
    };
    let x = Shared(x.cast_mut());
    let threads = if rows * k > SHARED { threads } else { 1 };
    let finished = |first: usize, part: &mut [T]| {
        let Some((finish, column)) = finish else { return Ok(()) };
        let (corner, ldc, shape) =
            if column { ([first, 0], 1, [part.len(), 1]) } else { ([0, first], part.len(), [1, part.len()]) };
        // SAFETY: the elements of `part`, seen as a column or a row of C; `part` is borrowed exclusively.
        finish(unsafe { Written::new(corner, part.as_mut_ptr(), ldc, shape) })
    };
    if threads == 1 || rows >= UNIT * threads || k < rows {
        return split(threads, rows, UNIT, |range| {
            // SAFETY: `range` is within `0..rows`; threads have disjoint ranges, so that no other thread touches this
            // part of y.
            let part = unsafe { std::slice::from_raw_parts_mut(y.get().add(range.start), range.len()) };
            isa.enter(MatVec { matrix: matrix.from(range.start, 0), x: x.get(), k, y: part });
            finished(range.start, part)
        });
    }
    // With few rows, as in a dot product, each thread computes a part of every row.
    let mut partial = Scratch::new(threads * rows * size_of::<T>())?;
    let sums = Shared(partial.ptr().cast::<T>());
    let cut = |part: usize| k * part / threads;
    split(threads, threads, 1, |parts| {
        for part in parts {
            // SAFETY: `part < threads`, so this part has its own `rows` elements of `sums`, which has
            // `threads * rows`.
            let y = unsafe { std::slice::from_raw_parts_mut(sums.get().add(part * rows), rows) };
            isa.enter(MatVec {
                matrix: matrix.from(0, cut(part)),
                x: x.get().wrapping_add(cut(part)),
                k: cut(part + 1) - cut(part),
                y,
            });
        }
        Ok(())
    })?;
    // SAFETY: y has `rows` elements (the caller guarantees it), and `sums` has `threads * rows`, all written above.
    let (y, sums) = unsafe {
        (std::slice::from_raw_parts_mut(y.get(), rows), std::slice::from_raw_parts(sums.get(), threads * rows))
    };
    for (i, y) in y.iter_mut().enumerate() {
        *y = T::from_f64((0..threads).map(|part| sums[part * rows + i].to_f64()).sum());
    }
    finished(0, y)
}

/// `y = matrix @ x` on one thread.
///
/// Invariant: the matrix is valid for reads of `[y.len(), k]`, with contiguous rows or columns, and `x` of `k`
/// elements.
pub(crate) struct MatVec<'a, T> {
    pub matrix: Matrix<T>,
    pub x: *const T,
    pub k: usize,
    pub y: &'a mut [T],
}

impl<T: Real> Work for MatVec<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Matrix { row, column, .. } = self.matrix;
        // SAFETY: the matrix is `[y.len(), k]` with contiguous rows or columns, and x has k elements (the invariant).
        unsafe { if column == 1 && (row != 1 || self.k >= SHORT) { self.dots(isa) } else { self.columns(isa) } }
    }
}

impl<T: Real> MatVec<'_, T> {
    /// Multiplies a matrix with contiguous rows: four dot products at a time share the loads of x.
    ///
    /// # Safety
    /// - The matrix is `[y.len(), k]`, its rows are contiguous, and `x` has `k` elements.
    #[inline(always)]
    unsafe fn dots<I: Isa>(self, isa: I) {
        let width = <T::V<I> as Lanes>::N;
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        let rows = self.y.len();
        for first in (0..rows).step_by(4) {
            let count = 4.min(rows - first);
            let at: [*const T; 4] = std::array::from_fn(|r| self.matrix.from(first + r.min(count - 1), 0).at);
            let mut sums = [[zero; 2]; 4];
            let mut i = 0;
            // SAFETY: the indices are below k, within rows of the matrix and within x. At most 16 lanes fit `lanes`.
            unsafe {
                while i + 2 * width <= self.k {
                    for half in 0..2 {
                        let x = T::V::<I>::load(isa, self.x.add(i + half * width));
                        for (sum, row) in sums.iter_mut().zip(at) {
                            sum[half] = T::V::<I>::load(isa, row.add(i + half * width)).mul_add(x, sum[half]);
                        }
                    }
                    i += 2 * width;
                }
                // The rest, of less than two vectors. Lanes beyond the last element are zeros in both operands, so they
                // add nothing.
                let mut half = 0;
                while i < self.k {
                    let n = width.min(self.k - i);
                    let x = T::V::<I>::load_first(isa, self.x.add(i), n);
                    for (sum, row) in sums.iter_mut().zip(at) {
                        sum[half] = T::V::<I>::load_first(isa, row.add(i), n).mul_add(x, sum[half]);
                    }
                    (i, half) = (i + n, 1);
                }
                for r in 0..count {
                    let mut lanes = [T::from_f64(0.0); 16];
                    sums[r][0].add(sums[r][1]).store(lanes.as_mut_ptr());
                    // By halves: a chain of additions would take longer than a short row.
                    let mut totals = lanes.map(T::to_f64);
                    let mut half = width / 2;
                    while half > 0 {
                        for l in 0..half {
                            totals[l] += totals[l + half];
                        }
                        half /= 2;
                    }
                    self.y[first + r] = T::from_f64(totals[0]);
                }
            }
        }
    }

    /// Multiplies a matrix with contiguous columns. Four columns at a time add their multiples to a strip that stays
    /// in the first-level cache, so that each column is read in order. The sums of each segment of columns are then
    /// added to y.
    ///
    /// # Safety
    /// - The matrix is `[y.len(), k]`, its columns are contiguous, and `x` has `k` elements.
    #[inline(always)]
    unsafe fn columns<I: Isa>(self, isa: I) {
        let zero = T::from_f64(0.0);
        let mut sums = [zero; STRIP];
        for first in (0..self.y.len()).step_by(STRIP) {
            let n = STRIP.min(self.y.len() - first);
            let strip = &mut self.y[first..first + n];
            strip.fill(zero);
            let column = |j: usize| self.matrix.from(first, j).at;
            for start in (0..self.k).step_by(SEGMENT) {
                let (mut j, end) = (start, self.k.min(start + SEGMENT));
                let sums = &mut sums[..n];
                sums.fill(zero);
                // SAFETY: the columns are below k and have at least n elements from row `first` on; the elements of x
                // are below k.
                unsafe {
                    while j + 4 <= end {
                        add_columns::<T, I, 4>(isa, sums, std::array::from_fn(|c| (column(j + c), *self.x.add(j + c))));
                        j += 4;
                    }
                    while j < end {
                        add_columns::<T, I, 1>(isa, sums, [(column(j), *self.x.add(j))]);
                        j += 1;
                    }
                }
                strip.iter_mut().zip(sums).for_each(|(y, sum)| *y = y.plus(*sum));
            }
        }
    }
}

/// The number of elements of y that are computed at once.
const STRIP: usize = 2048;

/// Adds multiples of `C` columns to `y`.
///
/// # Safety
/// - each column is valid for reads of as many elements as `y` has.
#[inline(always)]
unsafe fn add_columns<T: Real, I: Isa, const C: usize>(isa: I, y: &mut [T], columns: [(*const T, T); C]) {
    let width = <T::V<I> as Lanes>::N;
    let factors: [T::V<I>; C] = std::array::from_fn(|c| T::V::<I>::splat(isa, columns[c].1));
    let whole = y.len() / width * width;
    for i in (0..y.len()).step_by(width) {
        // SAFETY: the elements are below the length of y. The last vector may be partial, and is loaded and stored as
        // such.
        unsafe {
            let to = y.as_mut_ptr().add(i);
            if i < whole {
                let mut sum = T::V::<I>::load(isa, to);
                for c in 0..C {
                    sum = T::V::<I>::load(isa, columns[c].0.add(i)).mul_add(factors[c], sum);
                }
                sum.store(to);
            } else {
                let left = y.len() - i;
                let mut sum = T::V::<I>::load_first(isa, to, left);
                for c in 0..C {
                    sum = T::V::<I>::load_first(isa, columns[c].0.add(i), left).mul_add(factors[c], sum);
                }
                sum.store_first(to, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::{NAMES, Token};

    #[test]
    fn threads_share_rows_or_columns() {
        // (rows, k): many rows; few rows, which are split along k; one row, a dot product.
        let shapes = [(300, 301), (70, 5000), (3, 40_000), (1, 100_001), (5000, 31)];
        for (tier, (rows, k)) in NAMES.into_iter().flat_map(|tier| shapes.map(|shape| (tier, shape))) {
            for contiguous_rows in [true, false] {
                let number = |i: usize| (i * 7 % 11) as f64 - 5.0;
                let (row, column) = if contiguous_rows { (k, 1) } else { (1, rows) };
                let mut a = vec![0.0; rows * k];
                (0..rows).for_each(|i| (0..k).for_each(|j| a[i * row + j * column] = number(i * 3 + j)));
                let x: Vec<f64> = (0..2 * k).map(number).collect();
                for threads in [1, 2, 5] {
                    for step in [1, 2] {
                        let mut y = vec![f64::NAN; rows];
                        let times = std::sync::atomic::AtomicUsize::new(0);
                        let finish = |mut done: Written<f64>| {
                            let column = done.one_column().expect("the block has one contiguous column");
                            times.fetch_add(column.len(), std::sync::atomic::Ordering::Relaxed);
                            column.iter_mut().for_each(|v| *v += 0.5);
                            Ok(())
                        };
                        let matrix = Matrix { at: a.as_ptr(), row: row as isize, column: column as isize };
                        let (vector, out) = ((x.as_ptr(), step as isize), Shared(y.as_mut_ptr()));
                        // SAFETY: the matrix has these strides, x has 2 k elements, and y has one element per row.
                        let done = unsafe {
                            match Token::best(Some(tier)).unwrap() {
                                Token::Portable(isa) => {
                                    run(isa, matrix, vector, out, [rows, k], threads, Some((&finish, true)))
                                }
                                #[cfg(target_arch = "x86_64")]
                                Token::Avx2(isa) => {
                                    run(isa, matrix, vector, out, [rows, k], threads, Some((&finish, true)))
                                }
                                #[cfg(target_arch = "x86_64")]
                                Token::Avx512(isa) => {
                                    run(isa, matrix, vector, out, [rows, k], threads, Some((&finish, true)))
                                }
                            }
                        };
                        done.unwrap();
                        let wanted: Vec<f64> = (0..rows)
                            .map(|i| (0..k).map(|j| number(i * 3 + j) * x[j * step]).sum::<f64>() + 0.5)
                            .collect();
                        assert_eq!(
                            y, wanted,
                            "{tier}: {rows} rows, {k}, contiguous rows {contiguous_rows}, {threads} threads, \
                             step {step}"
                        );
                        assert_eq!(times.into_inner(), rows);
                    }
                }
            }
        }
    }
}
