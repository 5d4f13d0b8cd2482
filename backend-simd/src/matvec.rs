//! Products of a matrix and a vector: every element of the matrix is read once, so they are as fast as memory.

use crate::gemm::{Finish, Matrix};
use crate::lanes::{Float, Isa, Lanes, Real, Work};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;

/// Elements of a matrix from which threads share the work.
const SHARED: usize = 1 << 16;

/// `y = matrix @ x` for a matrix `[rows, k]` whose rows or columns are contiguous, x with a step between its elements, y without gaps.
/// With `finish` goes whether y is a column of the result.
///
/// # Safety
/// - the matrix and x are valid for reads, y for writes of `rows` elements; y overlaps neither.
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
            // SAFETY: elements of x, and of a block that has room for them.
            unsafe { *to.add(i) = *x.offset(i as isize * step) };
        }
        to.cast_const()
    };
    let x = Shared(x.cast_mut());
    split(if rows * k > SHARED { threads } else { 1 }, rows, 64, |range| {
        // SAFETY: rows of the matrix, all of x, and a part of y that no other thread touches.
        let part = unsafe { std::slice::from_raw_parts_mut(y.get().add(range.start), range.len()) };
        isa.enter(MatVec { matrix: matrix.from(range.start, 0), x: x.get(), k, y: part });
        match finish {
            None => Ok(()),
            Some((finish, true)) => part.iter_mut().enumerate().try_for_each(|(i, v)| finish(range.start + i, 0, std::slice::from_mut(v))),
            Some((finish, false)) => finish(0, range.start, part),
        }
    })
}

struct MatVec<'a, T> {
    matrix: Matrix<T>,
    x: *const T,
    k: usize,
    y: &'a mut [T],
}

impl<T: Real> Work for MatVec<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: the matrix is [y.len(), k] and x has k elements (see the only caller).
        unsafe { if self.matrix.column == 1 { self.dots(isa) } else { self.columns(isa) } }
    }
}

impl<T: Real> MatVec<'_, T> {
    /// Rows are contiguous: four dot products at a time share the loads of x.
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
            // SAFETY: elements below k of rows of the matrix, and of x.
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
                for r in 0..count {
                    let mut lanes = [T::from_f64(0.0); 16];
                    sums[r][0].add(sums[r][1]).store(lanes.as_mut_ptr());
                    let mut total = lanes.iter().map(|l| l.to_f64()).sum::<f64>();
                    for j in i..self.k {
                        total += (*at[r].add(j)).to_f64() * (*self.x.add(j)).to_f64();
                    }
                    self.y[first + r] = T::from_f64(total);
                }
            }
        }
    }

    /// Columns are contiguous: each adds its multiple to a strip of y that stays in registers.
    #[inline(always)]
    unsafe fn columns<I: Isa>(self, isa: I) {
        let width = <T::V<I> as Lanes>::N;
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        let rows = self.y.len();
        let mut first = 0;
        while first < rows {
            let column = self.matrix.from(first, 0);
            // SAFETY: elements of the matrix and of x; y has the rows that are left.
            unsafe {
                if first + 8 * width <= rows {
                    let mut sums = [zero; 8];
                    for j in 0..self.k {
                        let x = T::V::<I>::splat(isa, *self.x.add(j));
                        let at = column.at.offset(j as isize * column.column);
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = T::V::<I>::load(isa, at.add(v * width)).mul_add(x, *sum);
                        }
                    }
                    for (v, sum) in sums.iter().enumerate() {
                        sum.store(self.y.as_mut_ptr().add(first + v * width));
                    }
                    first += 8 * width;
                } else {
                    let mut total = 0.0;
                    for j in 0..self.k {
                        total += (*column.at.offset(j as isize * column.column)).to_f64() * (*self.x.add(j)).to_f64();
                    }
                    self.y[first] = T::from_f64(total);
                    first += 1;
                }
            }
        }
    }
}
