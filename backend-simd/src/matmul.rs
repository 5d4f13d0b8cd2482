//! Matrix products as operations: batches, matrix-vector products, and the epilogue of a product.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::gemm::{
    BARE_DEPTH, Direct, Engines, Finish, Half, Halves, Integer, Integers, Interleaved, Kernel, Matrix, Product, Tiled,
    Widen, Written, product,
};
use crate::lanes::{Isa, Real};
use crate::scratch::Scratch;
use crate::strided::Geometry;
use crate::threads::{Shared, split};
use crate::tier::Tier;
use crate::{dots, matvec};
use polyarray_core::op::{Matmul, Operand};
use polyarray_core::walk::copy_strided;
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Program, Result, SmallProduct, bf16, f16};
use smallvec::SmallVec;

/// If a batch has at least one product per thread and each has fewer multiply-adds than this, threads share the batch
/// product by product. Otherwise they share each product.
const SMALL: usize = 512 * 512 * 512;
/// The most multiply-adds of a product that is computed without packing and without blocks. At least `SMALL` of core's
/// `matmul.rs`, the limit of the fast path, whose products are not packed.
const BARE: usize = 96 * 96 * 96;

/// The most bytes of B that such a product copies if the rows of B are not contiguous.
const COPIED: usize = 256 << 10;

/// Runs a product that `estimate` accepted. `tier` is the tier of the token `isa`.
pub(crate) fn run<I: Isa>(
    isa: I,
    tier: &'static Tier,
    engines: Engines,
    op: &Matmul,
    threads: usize,
    output: &Buffer,
) -> Result<()> {
    let batch = Batch { tier, engines, op, threads, output };
    let wide = op.product() != op.dtype;
    match op.dtype {
        DType::F32 => batch.floats::<I, f32>(isa),
        DType::F64 => batch.floats::<I, f64>(isa),
        DType::F16 if wide => batch.wide(&Halves::<I, f16>::new(isa)),
        DType::F16 => batch.narrowed(&Halves::<I, f16>::new(isa), |x, y| x + y, f16::narrow),
        DType::BF16 if wide => batch.wide(&Halves::<I, bf16>::new(isa)),
        DType::BF16 => batch.narrowed(&Halves::<I, bf16>::new(isa), |x, y| x + y, bf16::narrow),
        DType::I8 if wide => batch.wide(&Integers::<I, i8, i32>::new(isa)),
        DType::I8 => batch.narrowed(&Integers::<I, i8, i32>::new(isa), i32::wrapping_add, i8::narrow),
        DType::U8 if wide => batch.wide(&Integers::<I, u8, u32>::new(isa)),
        DType::U8 => batch.narrowed(&Integers::<I, u8, u32>::new(isa), u32::wrapping_add, u8::narrow),
        DType::I16 => batch.packed(&Integers::<I, i16>::new(isa)),
        DType::I32 => batch.packed(&Integers::<I, i32>::new(isa)),
        DType::I64 => batch.packed(&Integers::<I, i64>::new(isa)),
        DType::U16 => batch.packed(&Integers::<I, u16>::new(isa)),
        DType::U32 => batch.packed(&Integers::<I, u32>::new(isa)),
        DType::U64 => batch.packed(&Integers::<I, u64>::new(isa)),
        DType::C32 => batch.packed(&Interleaved::<I, f32>::new(isa)),
        DType::C64 => batch.packed(&Interleaved::<I, f64>::new(isa)),
        DType::Bool => unreachable!("core rejects matrix products of bool"),
    }
}

/// A function that computes one product of a batch on a number of threads.
type One<'a, T, C> = &'a (dyn Fn(Product<T, C>, usize, Option<Finish<C>>) -> Result<()> + Sync);

/// The most elements of C that are kept in a wider type at once.
const WIDE: usize = 1 << 20;
/// The most columns of these elements.
const WIDE_COLUMNS: usize = 4096;

/// An operation with everything needed to run it.
struct Batch<'a> {
    tier: &'static Tier,
    engines: Engines,
    op: &'a Matmul,
    threads: usize,
    output: &'a Buffer,
}

impl Batch<'_> {
    /// Computes products of f32 or f64.
    fn floats<I: Isa, T: Real + Tiled<T>>(&self, isa: I) -> Result<()> {
        let (engines, precision) = (self.engines, self.op.precision);
        self.each::<T, T>(&|p, threads, finish| {
            // SAFETY: `each` passes products whose matrices are inside their buffers and do not overlap.
            unsafe {
                T::by_tiles(engines, p, precision, threads, finish)
                    .unwrap_or_else(|| one::<I, T>(isa, p, threads, finish))
            }
        })
    }

    /// Computes products by the packed loops.
    fn packed<T: Copy + Send + Sync, C: Copy + Send + Sync>(
        &self,
        kernel: &dyn Kernel<Element = T, Sum = C>,
    ) -> Result<()> {
        // SAFETY: `each` passes products whose matrices are inside their buffers and do not overlap.
        self.each(&|p: Product<T, C>, threads, finish| unsafe { product(kernel, p, threads, finish) })
    }

    /// Computes products in the type of C, by an engine if one is faster, and otherwise by `kernel`.
    fn wide<T: Tiled<C> + Send + Sync, C: Copy + Send + Sync>(
        &self,
        kernel: &dyn Kernel<Element = T, Sum = C>,
    ) -> Result<()> {
        self.each(&self.tiles_or(kernel))
    }

    /// Returns a function that computes products by an engine if one is faster, and otherwise by `kernel`.
    fn tiles_or<'k, T: Tiled<C> + Send + Sync, C: Copy + Send + Sync>(
        &self,
        kernel: &'k dyn Kernel<Element = T, Sum = C>,
    ) -> impl Fn(Product<T, C>, usize, Option<Finish<C>>) -> Result<()> + Sync + use<'k, T, C> {
        let (engines, precision) = (self.engines, self.op.precision);
        move |p: Product<T, C>, threads: usize, finish: Option<Finish<C>>| {
            // SAFETY: `each`, directly or through `narrowed`, passes products whose matrices are inside their buffers
            // and do not overlap.
            unsafe {
                T::by_tiles(engines, p, precision, threads, finish)
                    .unwrap_or_else(|| product(kernel, p, threads, finish))
            }
        }
    }

    /// Computes products in a wider type than the operands': a block of C at a time, which is narrowed when it is
    /// finished.
    fn narrowed<T, C>(
        &self,
        kernel: &dyn Kernel<Element = T, Sum = C>,
        plus: impl Fn(C, C) -> C + Sync,
        narrow: impl Fn(C) -> T + Sync,
    ) -> Result<()>
    where
        T: Tiled<C> + Widen<Wide = C> + Send + Sync,
        C: Copy + Send + Sync,
    {
        let columns = self.op.n.min(WIDE_COLUMNS);
        let rows = (WIDE / columns / kernel.rows() * kernel.rows()).min(self.op.m.next_multiple_of(kernel.rows()));
        let one = self.tiles_or(kernel);
        self.each(&|p: Product<T, T>, threads, finish| {
            let mut wide = Scratch::new(rows.min(p.m) * columns * size_of::<C>())?;
            let wide = Shared(wide.ptr().cast::<C>());
            for (i, j) in (0..p.m).step_by(rows).flat_map(|i| (0..p.n).step_by(columns).map(move |j| (i, j))) {
                let narrow = |mut done: Written<C>| {
                    let corner = [i + done.row, j + done.column];
                    let at = p.c.get().wrapping_add(corner[0] * p.ldc + corner[1]);
                    // SAFETY: the block of C that corresponds to `done`. No other thread writes it: products of a
                    // batch are disjoint, and each block of a product is finished once.
                    let mut narrowed = unsafe { Written::new(corner, at, p.ldc, done.shape()) };
                    for ((_, to), (_, piece)) in narrowed.pieces().zip(done.pieces()) {
                        to.iter_mut()
                            .zip(piece)
                            .for_each(|(to, x)| *to = narrow(if p.add { plus(to.widen(), *x) } else { *x }));
                    }
                    finish.map_or(Ok(()), |finish| finish(narrowed))
                };
                // A part of the product that `each` passed. `wide` has room for its `m * n` elements.
                let (m, n) = (rows.min(p.m - i), columns.min(p.n - j));
                let part = Product {
                    m,
                    n,
                    k: p.k,
                    a: p.a.from(i, 0),
                    b: p.b.from(0, j),
                    c: wide,
                    ldc: n,
                    add: false,
                    beside: p.beside,
                };
                one(part, threads, Some(&narrow))?;
            }
            Ok(())
        })
    }

    /// Calls `one` for every product of the batch.
    fn each<T: Copy + Send + Sync, C: Copy + Send + Sync>(&self, one: One<T, C>) -> Result<()> {
        let Batch { tier, op, threads, output, .. } = *self;
        let (m, n, k, axes) = (op.m, op.n, op.k, op.batch.len());
        let start = |o: &Operand| -> *const T {
            o.buffer.host_ptr().expect("core moves operands to host memory").as_ptr().cast::<T>().wrapping_add(o.offset)
        };
        let matrix = |o: &Operand, at: *const T| Matrix { at, row: o.strides[axes], column: o.strides[axes + 1] };
        let bases = (Shared(start(&op.a).cast_mut()), Shared(start(&op.b).cast_mut()));
        let c = Shared(output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<C>());
        let tail = Tail::new(tier, op);
        let count = op.batch.size();
        let (outer, within) =
            if count >= threads && m.saturating_mul(n).saturating_mul(k) < SMALL { (threads, 1) } else { (1, threads) };
        split(outer, count, 1, |range| {
            let mut number = range.start;
            let mut done = Ok(());
            walk(&op.batch, [&op.a.strides, &op.b.strides], [0, 0], range, |[a, b]| {
                let (a, b) =
                    (matrix(&op.a, bases.0.get().wrapping_offset(a)), matrix(&op.b, bases.1.get().wrapping_offset(b)));
                let p = Product {
                    m,
                    n,
                    k,
                    a,
                    b,
                    c: Shared(c.get().wrapping_add(number * m * n)),
                    ldc: n,
                    add: op.add,
                    beside: outer,
                };
                let finish = |done: Written<C>| tail.apply(number, done);
                let result = one(p, within, if tail.is_nothing() { None } else { Some(&finish) });
                number += 1;
                if result.is_err() {
                    done = result;
                }
            });
            done
        })
    }
}

/// Computes a small product if its dtype and size need no packing. Returns whether it did.
///
/// # Safety
/// - `product` keeps the invariants of [`SmallProduct`].
pub(crate) unsafe fn small<I: Isa>(isa: I, product: &SmallProduct) -> bool {
    // SAFETY: the caller guarantees the invariants of `SmallProduct`.
    unsafe {
        match product.dtype {
            DType::F32 => small_of::<I, f32>(isa, product),
            DType::F64 => small_of::<I, f64>(isa, product),
            _ => false,
        }
    }
}

/// Computes a small product of elements of `T`. Returns whether it did.
///
/// # Safety
/// - `product` keeps the invariants of [`SmallProduct`], and its dtype is that of `T`.
unsafe fn small_of<I: Isa, T: Real>(isa: I, &SmallProduct { lens: [m, n, k], a, b, out, .. }: &SmallProduct) -> bool {
    let matrix = |(at, [row, column]): (*const u8, [usize; 2])| Matrix {
        at: at.cast::<T>(),
        row: row as isize,
        column: column as isize,
    };
    let (a, b, c) = (matrix(a), matrix(b), Shared(out.cast::<T>()));
    let p = Product { m, n, k, a, b, c, ldc: n, add: false, beside: 1 };
    // SAFETY: the operands contain all their elements, the output has m n; the operands do not overlap the output; all
    // are aligned (invariants of `SmallProduct`).
    is_bare(m, n, k) && unsafe { one(isa, p, 1, None) }.is_ok()
}

/// Returns whether a product is computed without packing.
fn is_bare(m: usize, n: usize, k: usize) -> bool {
    m.saturating_mul(n).saturating_mul(k) <= BARE && k <= BARE_DEPTH
}

/// Computes one product: by [`matvec`] if one side is a vector, by [`dots`] if both are narrow and deep, by the bare
/// kernel if it is small, and otherwise by the packed loops.
///
/// # Safety
/// - as [`product`].
unsafe fn one<I: Isa, T: Real>(isa: I, p: Product<T, T>, threads: usize, finish: Option<Finish<T>>) -> Result<()> {
    // `y^T = x^T B` is `y = B^T x`, so that both cases are a matrix times a column vector.
    let (matrix, rows) = if p.n == 1 { (p.a, p.m) } else { (p.b.transposed(), p.n) };
    if p.m.min(p.n) == 1 && !p.add && (matrix.column == 1 || matrix.row == 1) {
        let (at, step) = if p.n == 1 { (p.b.at, p.b.row) } else { (p.a.at, p.a.column) };
        // SAFETY: the caller guarantees that A and B are valid for reads, and C for writes. y is one row or one
        // column of C, contiguous either way (a column of C has `ldc` 1).
        return unsafe {
            matvec::run(isa, matrix, (at, step), p.c, [rows, p.k], threads, finish.map(|f| (f, p.n == 1)))
        };
    }
    if dots::suits(&p) {
        // SAFETY: the contract of `product`, which the caller guarantees.
        return unsafe { dots::run(isa, p, threads, finish) };
    }
    let kernel = Direct::new(isa);
    if !is_bare(p.m, p.n, p.k) || p.b.column != 1 && p.n * p.k * size_of::<T>() > COPIED {
        // SAFETY: the contract of `product`, which the caller guarantees.
        return unsafe { product(&kernel, p, threads, finish) };
    }
    // SAFETY: the contract of `product`, which the caller guarantees.
    unsafe { kernel.bare(p)? };
    let Some(finish) = finish else { return Ok(()) };
    // SAFETY: all of C, which has just been written and which no other thread accesses.
    finish(unsafe { Written::new([0, 0], p.c.get(), p.ldc, [p.m, p.n]) })
}

/// The epilogue of a product (the program `after`), applied to pieces of rows.
pub(crate) struct Tail {
    exec: Option<Exec>,
    extras: Geometry,
    batch: SmallVec<[usize; 4]>,
    /// The axis along which strips run: that of the columns, or that of the rows if C has one column.
    along: usize,
}

// SAFETY: the geometry's pointers are only read.
unsafe impl Sync for Tail {}

impl Tail {
    fn new(tier: &'static Tier, op: &Matmul) -> Tail {
        let along = op.batch.len() + usize::from(op.n > 1);
        let steps = op.extras.iter().map(|e| e.strides[along]);
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
        let (exec, extras) = (prepare(tier, &op.after, &op.after_params, &access), Geometry::new(&lens, &op.extras));
        Tail { exec, extras, batch: op.batch.iter().copied().collect(), along }
    }

    fn is_nothing(&self) -> bool {
        self.exec.is_none()
    }

    /// Applies the epilogue to a block of product `number` of the batch.
    fn apply<T: Copy>(&self, number: usize, mut done: Written<T>) -> Result<()> {
        let Some(exec) = &self.exec else { return Ok(()) };
        let (g, axes) = (&self.extras, self.batch.len());
        let mut strips = exec.strips()?;
        // The first element of the block in each extra operand. Entry 0 is a placeholder for the strip of C.
        let mut corners: SmallVec<[*const u8; 8]> = SmallVec::from_slice(&[std::ptr::null()]);
        for (o, strides) in g.strides.iter().enumerate() {
            walk(&self.batch, [strides], [0], number..number + 1, |[at]| {
                let element = at + done.row as isize * strides[axes] + done.column as isize * strides[axes + 1];
                corners.push(g.bases[o].wrapping_offset(element * g.sizes[o] as isize).cast_const());
            });
        }
        let steps: SmallVec<[(isize, usize); 8]> =
            g.strides.iter().zip(&g.sizes).map(|(strides, &size)| (strides[self.along], size)).collect();
        if self.along == axes {
            in_place(
                exec,
                &mut strips,
                done.one_column().expect("C has one column with contiguous elements"),
                corners,
                &steps,
            );
            return Ok(());
        }
        let rows: SmallVec<[isize; 8]> =
            g.strides.iter().zip(&g.sizes).map(|(strides, &size)| strides[axes] * size as isize).collect();
        for (_, piece) in done.pieces() {
            in_place(exec, &mut strips, piece, corners.clone(), &steps);
            corners[1..].iter_mut().zip(&rows).for_each(|(at, row)| *at = at.wrapping_offset(*row));
        }
        Ok(())
    }
}

/// Prepares a program to be applied to results. Returns `None` if it leaves them unchanged.
pub(crate) fn prepare(
    tier: &'static Tier,
    program: &Program,
    params: &[polyarray_core::Scalar],
    access: &[Access],
) -> Option<Exec> {
    (!program.is_identity()).then(|| {
        Exec::new(tier, program, params, access, false)
            .unwrap_or_else(|| unreachable!("`estimate` rejects programs that lack a kernel"))
    })
}

/// Applies a program to `piece`, its first operand. `at[1..]` are the first elements of the other operands, `at[0]` a
/// placeholder for the piece; `steps` has the distance of elements of each other operand, and their sizes.
pub(crate) fn in_place<T: Copy>(
    exec: &Exec,
    strips: &mut Strips,
    piece: &mut [T],
    at: SmallVec<[*const u8; 8]>,
    steps: &[(isize, usize)],
) {
    // SAFETY: the piece is borrowed exclusively.
    unsafe { bytes_in_place(exec, strips, (piece.as_mut_ptr().cast(), piece.len(), size_of::<T>()), at, steps) };
}

/// [`in_place`] for a piece of `n` elements of `size` bytes.
///
/// # Safety
/// - The piece is valid for reads and writes, and nothing else accesses it.
unsafe fn bytes_in_place(
    exec: &Exec,
    strips: &mut Strips,
    (piece, n, size): (*mut u8, usize, usize),
    mut at: SmallVec<[*const u8; 8]>,
    steps: &[(isize, usize)],
) {
    for first in (0..n).step_by(exec.strip) {
        let (here, n) = (piece.wrapping_add(first * size), exec.strip.min(n - first));
        at[0] = here.cast_const();
        // SAFETY: `here` has n elements of the piece, and each other operand has n elements `steps` apart from `at`
        // on, which the caller guarantees. The program was prepared without `direct`, so its result is never written
        // to the null `out`.
        unsafe {
            let produced = exec.run(strips, &at, n, std::ptr::null_mut(), &mut |o, to| {
                copy_strided(at[o], steps[o - 1].0, to, 1, n, steps[o - 1].1)
            });
            match produced {
                Produced::Strip(from) => std::ptr::copy(from, here, n * size),
                Produced::Single(from) => copy_strided(from, 0, here, 1, n, size),
                Produced::Written => unreachable!("the program was prepared without `direct`"),
            }
        }
        at[1..]
            .iter_mut()
            .zip(steps)
            .for_each(|(at, (step, size))| *at = at.wrapping_offset(n as isize * step * *size as isize));
    }
}
