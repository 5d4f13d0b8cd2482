//! Matrix products as operations: batches, matrix-vector products, and what follows a product.

use crate::exec::{Access, Exec, Produced};
use crate::gemm::{Dot, Matrix, Product, product};
use crate::lanes::{Float, Isa, Lanes, Real, Work};
use crate::strided::{Geometry, copy_strided};
use crate::threads::{Shared, split};
use polyarray_core::op::{Matmul, Operand};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, Program, Result};
use smallvec::SmallVec;

/// Batches of products smaller than this many multiply-adds are split between threads by the product, larger ones inside each.
const SMALL: usize = 128 * 128 * 128;

/// Runs a product that `estimate` accepted.
pub(crate) fn run<I: Isa, T: Real>(isa: I, op: &Matmul, threads: usize, output: &Buffer) -> Result<()> {
    let (m, n, k, axes) = (op.m, op.n, op.k, op.batch.len());
    let start =
        |o: &Operand| -> *const T { o.buffer.host_ptr().expect("core brings operands to the backend's memory").as_ptr().cast::<T>().wrapping_add(o.offset) };
    let matrix = |o: &Operand, at: *const T| Matrix { at, row: o.strides[axes], column: o.strides[axes + 1] };
    let bases = (Shared(start(&op.a).cast_mut()), Shared(start(&op.b).cast_mut()));
    let c = Shared(output.host_ptr().expect("core allocates the output in the backend's memory").as_ptr().cast::<T>());
    let tail = Tail::new(isa, op);
    let count = op.batch.size();
    let (outer, within) = if count > 1 && m * n * k < SMALL { (threads, 1) } else { (1, threads) };
    split(outer, count, 1, |range| {
        let mut number = range.start;
        let mut done = Ok(());
        walk(&op.batch, [&op.a.strides, &op.b.strides], [0, 0], range, |[a, b]| {
            let (a, b) = (matrix(&op.a, bases.0.get().wrapping_offset(a)), matrix(&op.b, bases.1.get().wrapping_offset(b)));
            let p = Product { m, n, k, a, b, c: Shared(c.get().wrapping_add(number * m * n)), ldc: n };
            let finish = |row: usize, column: usize, piece: &mut [T]| tail.apply(number, row, column, piece);
            // SAFETY: the operands' matrices and the output's are inside their buffers and do not overlap (invariants of `Matmul`).
            let result = unsafe { one(isa, p, within, if tail.is_nothing() { None } else { Some(&finish) }) };
            number += 1;
            if result.is_err() {
                done = result;
            }
        });
        done
    })
}

/// One product: a matrix-vector product where one side is a vector whose other matrix can be read in order, else the packed way.
///
/// # Safety
/// - as [`product`].
unsafe fn one<I: Isa, T: Real>(isa: I, p: Product<T>, threads: usize, finish: Option<crate::gemm::Finish<T>>) -> Result<()> {
    // y^T = x^T B is y = B^T x: both are rows of a matrix times a vector.
    let as_rows = if p.n == 1 {
        Some((p.a, p.b.at, p.b.row, p.m))
    } else if p.m == 1 {
        Some((Matrix { row: p.b.column, column: p.b.row, ..p.b }, p.a.at, p.a.column, p.n))
    } else {
        None
    };
    let contiguous = as_rows.filter(|(matrix, _, step, _)| *step == 1 && (matrix.column == 1 || matrix.row == 1));
    let Some((matrix, x, _, rows)) = contiguous else {
        // SAFETY: the caller's.
        return unsafe { product::<I, T, Dot>(isa, p, threads, finish) };
    };
    let x = Shared(x.cast_mut());
    split(if rows * p.k > 1 << 16 { threads } else { 1 }, rows, 64, |range| {
        // SAFETY: rows of the matrix, all of x, and a part of y that no other thread touches; y is one row or one column of C, contiguous either way
        // (a column of C has `ldc` 1).
        let y = unsafe { std::slice::from_raw_parts_mut(p.c.get().add(range.start), range.len()) };
        isa.enter(MatVec { matrix: matrix.from(range.start, 0), x: x.get(), k: p.k, y });
        match finish {
            None => Ok(()),
            Some(finish) if p.n == 1 => y.iter_mut().enumerate().try_for_each(|(i, v)| finish(range.start + i, 0, std::slice::from_mut(v))),
            Some(finish) => finish(0, range.start, y),
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

/// What follows a product, applied to pieces of rows.
pub(crate) struct Tail<I> {
    exec: Option<Exec<I>>,
    extras: Geometry,
    batch: SmallVec<[usize; 4]>,
}

// SAFETY: the geometry's pointers are only read.
unsafe impl<I: Isa> Sync for Tail<I> {}

impl<I: Isa> Tail<I> {
    fn new(isa: I, op: &Matmul) -> Tail<I> {
        let steps = op.extras.iter().map(|e| *e.strides.last().expect("matrices have axes"));
        let access: SmallVec<[Access; 8]> = std::iter::once(1)
            .chain(steps)
            .map(|s| {
                if s == 1 {
                    Access::Contiguous
                } else if s == 0 {
                    Access::Single
                } else {
                    Access::Gathered
                }
            })
            .collect();
        let lens: SmallVec<[usize; 8]> = op.batch.iter().copied().chain([op.m, op.n]).collect();
        Tail { exec: prepare(isa, &op.after, &op.after_params, &access), extras: Geometry::new(&lens, &op.extras), batch: op.batch.iter().copied().collect() }
    }

    fn is_nothing(&self) -> bool {
        self.exec.is_none()
    }

    fn apply<T: Real>(&self, number: usize, row: usize, column: usize, piece: &mut [T]) -> Result<()> {
        let Some(exec) = &self.exec else { return Ok(()) };
        let (g, axes) = (&self.extras, self.batch.len());
        let mut rows: SmallVec<[*const u8; 8]> = SmallVec::new();
        for (o, strides) in g.strides.iter().enumerate() {
            walk(&self.batch, [strides], [0], number..number + 1, |[at]| {
                let element = at + row as isize * strides[axes] + column as isize * strides[axes + 1];
                rows.push(g.bases[o].wrapping_offset(element * g.sizes[o] as isize).cast_const());
            });
        }
        let step = |o: usize| g.strides[o][axes + 1];
        in_place(exec, piece, |o, i| (rows[o].wrapping_offset(i as isize * step(o) * g.sizes[o] as isize), step(o), g.sizes[o]), rows.len())
    }
}

/// A program to be applied to results; `None` if it leaves them as they are.
pub(crate) fn prepare<I: Isa>(isa: I, program: &Program, params: &[polyarray_core::Scalar], access: &[Access]) -> Option<Exec<I>> {
    (!program.is_identity()).then(|| Exec::new(isa, program, params, access, false).unwrap_or_else(|| unreachable!("estimate refused this program")))
}

/// Applies a program to `piece`, its first operand; `extra(o, i)` is where the i-th element of the o-th other operand lies, its step, and its size.
pub(crate) fn in_place<I: Isa, T: Real>(
    exec: &Exec<I>,
    piece: &mut [T],
    extra: impl Fn(usize, usize) -> (*const u8, isize, usize),
    extras: usize,
) -> Result<()> {
    let mut strips = exec.strips()?;
    let size = size_of::<T>();
    for start in (0..piece.len()).step_by(exec.strip) {
        let n = exec.strip.min(piece.len() - start);
        let here = piece[start..].as_mut_ptr().cast::<u8>();
        let at: SmallVec<[*const u8; 8]> = std::iter::once(here.cast_const()).chain((0..extras).map(|o| extra(o, start).0)).collect();
        // SAFETY: n elements of the piece, and of each extra operand from there on; the result is in a temporary or in the piece itself.
        unsafe {
            let produced = exec.run(&mut strips, &at, n, std::ptr::null_mut(), |o, to| {
                let (from, step, size) = extra(o - 1, start);
                copy_strided(from, step, to, 1, n, size);
            });
            match produced {
                Produced::Strip(from) => std::ptr::copy(from, here, n * size),
                Produced::Single(from) => copy_strided(from, 0, here, 1, n, size),
                Produced::Written => unreachable!("not made to write directly"),
            }
        }
    }
    Ok(())
}
