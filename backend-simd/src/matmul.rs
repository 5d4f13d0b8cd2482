//! Matrix products as operations: batches, matrix-vector products, and what follows a product.

use crate::exec::{Access, Exec, Produced};
use crate::gemm::{BARE_DEPTH, Direct, Finish, Half, Halves, Integers, Interleaved, Kernel, Matrix, Product, product};
use crate::lanes::{Isa, Real};
use crate::matvec;
use crate::scratch::Scratch;
use crate::strided::{Geometry, copy_strided};
use crate::threads::{Shared, split};
use polyarray_core::op::{Matmul, Operand};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Program, Result, SmallProduct, bf16, f16};
use smallvec::SmallVec;

/// Batches of products smaller than this many multiply-adds, if there is one for each thread, are split between threads by the product, others inside each.
const SMALL: usize = 512 * 512 * 512;
/// Products of up to so many multiply-adds are done without packing and without blocks.
const BARE: usize = 96 * 96 * 96;

/// Runs a product that `estimate` accepted.
pub(crate) fn run<I: Isa>(isa: I, op: &Matmul, threads: usize, output: &Buffer) -> Result<()> {
    match op.dtype {
        DType::F32 => floats::<I, f32>(isa, op, threads, output),
        DType::F64 => floats::<I, f64>(isa, op, threads, output),
        DType::F16 => halves::<I, f16>(isa, op, threads, output),
        DType::BF16 => halves::<I, bf16>(isa, op, threads, output),
        DType::C32 => packed(isa, &Interleaved::<I, f32>::new(isa), op, threads, output),
        DType::C64 => packed(isa, &Interleaved::<I, f64>::new(isa), op, threads, output),
        DType::I8 => packed(isa, &Integers::<I, i8>::new(isa), op, threads, output),
        DType::I16 => packed(isa, &Integers::<I, i16>::new(isa), op, threads, output),
        DType::I32 => packed(isa, &Integers::<I, i32>::new(isa), op, threads, output),
        DType::I64 => packed(isa, &Integers::<I, i64>::new(isa), op, threads, output),
        DType::U8 => packed(isa, &Integers::<I, u8>::new(isa), op, threads, output),
        DType::U16 => packed(isa, &Integers::<I, u16>::new(isa), op, threads, output),
        DType::U32 => packed(isa, &Integers::<I, u32>::new(isa), op, threads, output),
        DType::U64 => packed(isa, &Integers::<I, u64>::new(isa), op, threads, output),
        DType::Bool => unreachable!("core refuses products of bool"),
    }
}

/// Products of floats as they are.
fn floats<I: Isa, T: Real>(isa: I, op: &Matmul, threads: usize, output: &Buffer) -> Result<()> {
    // SAFETY: `each` gives products whose matrices are inside their buffers and do not overlap.
    each(isa, op, threads, output, |p, threads, finish| unsafe { one::<I, T>(isa, p, threads, finish) })
}

/// Products whose results are of their elements' type, by the packed way.
fn packed<I: Isa, T: Copy + Send + Sync, K: Kernel<Element = T, Sum = T>>(isa: I, kernel: &K, op: &Matmul, threads: usize, output: &Buffer) -> Result<()> {
    // SAFETY: `each` gives products whose matrices are inside their buffers and do not overlap.
    each(isa, op, threads, output, |p, threads, finish| unsafe { product(kernel, p, threads, finish) })
}

/// Elements of C that are kept in f32 at once.
const WIDE: usize = 1 << 20;

/// Products of half floats: some rows of C at a time are computed in f32, and narrowed as they are finished.
fn halves<I: Isa, T: Half>(isa: I, op: &Matmul, threads: usize, output: &Buffer) -> Result<()> {
    let kernel = Halves::<I, T>::new(isa);
    let rows = (WIDE / op.n / kernel.rows() * kernel.rows()).clamp(kernel.rows(), op.m.next_multiple_of(kernel.rows()));
    each(isa, op, threads, output, |p: Product<T, T>, threads, finish| {
        let mut wide = Scratch::new(rows.min(p.m) * p.n * size_of::<f32>())?;
        let wide = Shared(wide.ptr().cast::<f32>());
        for start in (0..p.m).step_by(rows) {
            let m = rows.min(p.m - start);
            let narrow = |row: usize, column: usize, piece: &mut [f32]| {
                let at = (start + row) * p.ldc + column;
                // SAFETY: the same piece of a row of C, which nobody else writes.
                let to = unsafe { std::slice::from_raw_parts_mut(p.c.get().add(at), piece.len()) };
                to.iter_mut().zip(piece.iter()).for_each(|(to, x)| *to = T::narrow(if p.add { to.widen() + *x } else { *x }));
                finish.map_or(Ok(()), |finish| finish(start + row, column, to))
            };
            let part = Product { m, n: p.n, k: p.k, a: p.a.from(start, 0), b: p.b, c: wide, ldc: p.n, add: false };
            // SAFETY: rows of the product that `each` gave; there is room for as many in f32.
            unsafe { product(&kernel, part, threads, Some(&narrow))? };
        }
        Ok(())
    })
}

/// What computes one product of a batch on a number of threads.
trait One<T>: Fn(Product<T, T>, usize, Option<Finish<T>>) -> Result<()> + Sync {}
impl<T, F: Fn(Product<T, T>, usize, Option<Finish<T>>) -> Result<()> + Sync> One<T> for F {}

/// Every product of a batch.
fn each<I: Isa, T: Copy + Send + Sync>(isa: I, op: &Matmul, threads: usize, output: &Buffer, one: impl One<T>) -> Result<()> {
    let (m, n, k, axes) = (op.m, op.n, op.k, op.batch.len());
    let start =
        |o: &Operand| -> *const T { o.buffer.host_ptr().expect("core brings operands to the backend's memory").as_ptr().cast::<T>().wrapping_add(o.offset) };
    let matrix = |o: &Operand, at: *const T| Matrix { at, row: o.strides[axes], column: o.strides[axes + 1] };
    let bases = (Shared(start(&op.a).cast_mut()), Shared(start(&op.b).cast_mut()));
    let c = Shared(output.host_ptr().expect("core allocates the output in the backend's memory").as_ptr().cast::<T>());
    let tail = Tail::new(isa, op);
    let count = op.batch.size();
    let (outer, within) = if count >= threads && m.saturating_mul(n).saturating_mul(k) < SMALL { (threads, 1) } else { (1, threads) };
    split(outer, count, 1, |range| {
        let mut number = range.start;
        let mut done = Ok(());
        walk(&op.batch, [&op.a.strides, &op.b.strides], [0, 0], range, |[a, b]| {
            let (a, b) = (matrix(&op.a, bases.0.get().wrapping_offset(a)), matrix(&op.b, bases.1.get().wrapping_offset(b)));
            let p = Product { m, n, k, a, b, c: Shared(c.get().wrapping_add(number * m * n)), ldc: n, add: op.add };
            let finish = |row: usize, column: usize, piece: &mut [T]| tail.apply(number, row, column, piece);
            let result = one(p, within, if tail.is_nothing() { None } else { Some(&finish) });
            number += 1;
            if result.is_err() {
                done = result;
            }
        });
        done
    })
}

/// Does a small product, if it is of a dtype and size for which no packing is needed.
pub(crate) fn small<I: Isa>(isa: I, product: SmallProduct) -> bool {
    match product.dtype {
        DType::F32 => small_of::<I, f32>(isa, product),
        DType::F64 => small_of::<I, f64>(isa, product),
        _ => false,
    }
}

fn small_of<I: Isa, T: Real>(isa: I, SmallProduct { lens: [m, n, k], a, b, out, .. }: SmallProduct) -> bool {
    let matrix = |(bytes, [row, column]): (&[u8], [usize; 2])| Matrix { at: bytes.as_ptr().cast::<T>(), row: row as isize, column: column as isize };
    let p = Product { m, n, k, a: matrix(a), b: matrix(b), c: Shared(out.as_mut_ptr().cast::<T>()), ldc: n, add: false };
    // SAFETY: operands hold their elements, the output m n of them; slices do not overlap one that is written; all are aligned (invariants of `SmallProduct`).
    is_bare(m, n, k) && unsafe { one(isa, p, 1, None) }.is_ok()
}

/// Whether a product is done without packing.
fn is_bare(m: usize, n: usize, k: usize) -> bool {
    m.saturating_mul(n).saturating_mul(k) <= BARE && k <= BARE_DEPTH
}

/// One product, as what it is: of a matrix and a vector, small, or packed.
///
/// # Safety
/// - as [`product`].
unsafe fn one<I: Isa, T: Real>(isa: I, p: Product<T, T>, threads: usize, finish: Option<Finish<T>>) -> Result<()> {
    // y^T = x^T B is y = B^T x: both are rows of a matrix times a vector.
    let (matrix, rows) = if p.n == 1 { (p.a, p.m) } else { (p.b.transposed(), p.n) };
    if p.m.min(p.n) == 1 && !p.add && (matrix.column == 1 || matrix.row == 1) {
        let (at, step) = if p.n == 1 { (p.b.at, p.b.row) } else { (p.a.at, p.a.column) };
        // SAFETY: the caller's; y is one row or one column of C, contiguous either way (a column of C has `ldc` 1).
        return unsafe { matvec::run(isa, matrix, (at, step), p.c, [rows, p.k], threads, finish.map(|f| (f, p.n == 1))) };
    }
    let kernel = Direct::new(isa);
    if !is_bare(p.m, p.n, p.k) {
        // SAFETY: the caller's.
        return unsafe { product(&kernel, p, threads, finish) };
    }
    // SAFETY: the caller's.
    unsafe { kernel.bare(p)? };
    let Some(finish) = finish else { return Ok(()) };
    (0..p.m).try_for_each(|row| {
        // SAFETY: a row of C, which has been written.
        finish(row, 0, unsafe { std::slice::from_raw_parts_mut(p.c.get().add(row * p.ldc), p.n) })
    })
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

    fn apply<T: Copy>(&self, number: usize, row: usize, column: usize, piece: &mut [T]) -> Result<()> {
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
pub(crate) fn in_place<I: Isa, T: Copy>(
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
