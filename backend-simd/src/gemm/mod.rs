//! Packed products of matrices, in the manner of GotoBLAS and BLIS (K. Goto, R. van de Geijn, ACM TOMS 34, 2008; F. Van Zee, R. van de Geijn, ACM TOMS 41, 2015):
//! panels of A and B are copied so that the micro-kernel reads them in order, blocks are sized so that a block of A stays in L2
//! and a panel of B in L1. Distances go the same way with another inner step.

mod kernel;
mod pack;

pub(crate) use kernel::{AbsDiff, Dot, MicroKernel, SquareDiff, Step};

use crate::lanes::{Isa, Real};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;
use std::ops::Range;

/// Columns of a packed block of B.
const NC: usize = 4096;
/// Bytes of a packed block of A: half of a small L2.
const A_BYTES: usize = 256 << 10;
/// Products smaller than this many multiply-adds stay on one thread.
const ALONE: usize = 32 * 32 * 32;

/// A matrix to read: its first element and the distances (in elements) between rows and between columns.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<T> {
    pub at: *const T,
    pub row: isize,
    pub column: isize,
}

// SAFETY: a matrix is only read.
unsafe impl<T> Send for Matrix<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Matrix<T> {}

impl<T> Matrix<T> {
    /// The part that starts at row `i` and column `j`.
    pub(crate) fn from(self, i: usize, j: usize) -> Matrix<T> {
        Matrix { at: self.at.wrapping_offset(i as isize * self.row + j as isize * self.column), ..self }
    }
}

/// Called with the row, first column and elements of each finished piece of a row of C.
pub(crate) type Finish<'a, T> = &'a (dyn Fn(usize, usize, &mut [T]) -> Result<()> + Sync);

/// What is multiplied: C = A B, `[m, k]` by `[k, n]`, C in rows of `ldc` elements.
#[derive(Clone, Copy)]
pub(crate) struct Product<T> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Matrix<T>,
    pub b: Matrix<T>,
    pub c: Shared<T>,
    pub ldc: usize,
}

/// Computes a product with `S` as the inner step, on at most `threads` threads, and finishes each piece of C while it is in cache.
///
/// # Safety
/// - `a` and `b` are valid for reads of `[m, k]` and `[k, n]`, `c` for writes of m rows of n elements `ldc` apart; `c` overlaps neither.
pub(crate) unsafe fn product<I: Isa, T: Real, S: Step>(isa: I, p: Product<T>, threads: usize, finish: Option<Finish<T>>) -> Result<()> {
    let kernel = MicroKernel::<I, T>::for_tier::<S>();
    let threads = if p.m * p.n * p.k <= ALONE { 1 } else { threads };
    let whole = |rows: Range<usize>, columns: Range<usize>| {
        let part = Product {
            m: rows.len(),
            n: columns.len(),
            a: p.a.from(rows.start, 0),
            b: p.b.from(0, columns.start),
            c: Shared(p.c.get().wrapping_add(rows.start * p.ldc + columns.start)),
            ..p
        };
        // SAFETY: a part of the caller's; parts of C are disjoint.
        unsafe { alone(isa, &kernel, part, rows.start, columns.start, finish) }
    };
    if p.n >= p.m {
        split(threads, p.n, kernel.columns, |columns| whole(0..p.m, columns))
    } else {
        split(threads, p.m, kernel.rows, |rows| whole(rows, 0..p.n))
    }
}

/// The three outer loops, on one thread. `row` and `column` say where this part of C lies in the whole.
///
/// # Safety
/// - as [`product`].
unsafe fn alone<I: Isa, T: Real>(isa: I, kernel: &MicroKernel<I, T>, p: Product<T>, row: usize, column: usize, finish: Option<Finish<T>>) -> Result<()> {
    let (mr, nr) = (kernel.rows, kernel.columns);
    let kc_max = if size_of::<T>() == 4 { 384 } else { 256 };
    let kc = p.k.min(kc_max);
    let mc = (A_BYTES / (kc * size_of::<T>()) / mr).clamp(1, p.m.div_ceil(mr)) * mr;
    let nc = NC.min(p.n.div_ceil(nr) * nr) / nr * nr;
    let (mut a_block, mut b_block) = (Scratch::new(mc * kc * size_of::<T>())?, Scratch::new(nc * kc * size_of::<T>())?);
    let (a_packed, b_packed) = (a_block.ptr().cast::<T>(), b_block.ptr().cast::<T>());
    for j in (0..p.n).step_by(nc) {
        let columns = nc.min(p.n - j);
        for q in (0..p.k).step_by(kc) {
            let depth = kc.min(p.k - q);
            // SAFETY: the block of B is inside it, its packed form has room for whole panels.
            unsafe { pack::panels(p.b.from(q, j), depth, columns, nr, b_packed) };
            for i in (0..p.m).step_by(mc) {
                let rows = mc.min(p.m - i);
                let a = p.a.from(i, q);
                // SAFETY: the block of A is inside it; seen as its transpose it has `rows` columns to make panels of.
                unsafe { pack::panels(Matrix { row: a.column, column: a.row, ..a }, depth, rows, mr, a_packed) };
                for y in (0..columns).step_by(nr) {
                    for x in (0..rows).step_by(mr) {
                        let c = p.c.get().wrapping_add((i + x) * p.ldc + j + y);
                        let valid = (mr.min(rows - x), nr.min(columns - y));
                        // SAFETY: panels x and y were packed; the tile of C, cut to what is valid, is inside it.
                        unsafe { kernel.tile(isa, depth, a_packed.add(x * depth), b_packed.add(y * depth), c, p.ldc, q > 0, valid) };
                    }
                }
                if let Some(finish) = finish.filter(|_| q + depth == p.k) {
                    for x in 0..rows {
                        // SAFETY: a piece of a row of C that no other thread touches, and that has been written.
                        let piece = unsafe { std::slice::from_raw_parts_mut(p.c.get().add((i + x) * p.ldc + j), columns) };
                        finish(row + i + x, column + j, piece)?;
                    }
                }
            }
        }
    }
    Ok(())
}
