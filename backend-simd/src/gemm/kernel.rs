//! The micro-kernel: a small tile of C held in registers, of floats in vectors.

#![expect(clippy::needless_range_loop, reason = "bounds are constants: registers, not slices, are gone through")]

use super::blocks::caches;
use super::{Kernel, Matrix, Product, Tile, pack};
use crate::lanes::{Float, Isa, Lanes, Real, Work};
use crate::scratch::Scratch;
use polyarray_core::Result;
use std::marker::PhantomData;

/// What is added to an accumulator for an element of A and one of B.
pub(crate) trait Step: Send + Sync + 'static {
    /// `sum` with the term of a and b.
    fn step<V: Float>(sum: V, a: V, b: V, minus_zero: V) -> V;
}

/// `a * b`: products of matrices.
pub(crate) struct Dot;
/// `(a - b)^2`: squared Euclidean distances.
pub(crate) struct SquareDiff;
/// `|a - b|`: city-block distances.
pub(crate) struct AbsDiff;

impl Step for Dot {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, _: V) -> V {
        a.mul_add(b, sum)
    }
}

impl Step for SquareDiff {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, _: V) -> V {
        let d = a.sub(b);
        d.mul_add(d, sum)
    }
}

impl Step for AbsDiff {
    #[inline(always)]
    fn step<V: Float>(sum: V, a: V, b: V, minus_zero: V) -> V {
        sum.add(crate::math::abs(a.sub(b), minus_zero))
    }
}

/// A tile with where to read: element (r, p) of A lies at `a + r * a_row + p * a_step`, row p of B at `b + p * b_step`.
#[derive(Clone, Copy)]
struct Run<T> {
    depth: usize,
    a: *const T,
    a_row: isize,
    a_step: isize,
    b: *const T,
    b_step: isize,
    c: *mut T,
    ldc: usize,
    /// Whether C holds numbers to add to.
    add: bool,
    /// Whether C may be far away: to be asked for before it is needed.
    fetch: bool,
    /// Columns that are there of the last vector.
    last: usize,
}

/// A tile of exactly `ROWS` rows and `VECTORS` vectors. Of panels, `PANEL` rows wide, the distances are known; bare matrices (`PANEL` 0) must not be read beyond their columns.
struct Fixed<T, S, const ROWS: usize, const VECTORS: usize, const PANEL: usize>(Run<T>, PhantomData<S>);

impl<T: Real, S: Step, const ROWS: usize, const VECTORS: usize, const PANEL: usize> Work
    for Fixed<T, S, ROWS, VECTORS, PANEL>
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Run { depth, mut a, b_step, mut b, c, ldc, add, fetch, last, .. } = self.0;
        let (a_row, a_step) = if PANEL > 0 { (1, PANEL as isize) } else { (self.0.a_row, self.0.a_step) };
        let width = <T::V<I> as Lanes>::N;
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        let minus_zero = T::V::<I>::splat(isa, T::NEG_ZERO);
        let mut sums = [[zero; VECTORS]; ROWS];
        // Sums of the segments before: in memory, as registers are full.
        let mut held = std::mem::MaybeUninit::<[[T::V<I>; VECTORS]; ROWS]>::uninit();
        macro_rules! steps {
            ($count:expr) => {
                for _ in 0..$count {
                    let mut y = [zero; VECTORS];
                    for v in 0..VECTORS {
                        let from = b.add(v * width);
                        y[v] = if PANEL > 0 || v + 1 < VECTORS {
                            T::V::<I>::load(isa, from)
                        } else {
                            T::V::<I>::load_first(isa, from, last)
                        };
                    }
                    for r in 0..ROWS {
                        let x = T::V::<I>::splat(isa, *a.offset(r as isize * a_row));
                        for v in 0..VECTORS {
                            sums[r][v] = S::step(sums[r][v], x, y[v], minus_zero);
                        }
                    }
                    a = a.wrapping_offset(a_step);
                    b = b.wrapping_offset(b_step);
                }
            };
        }
        // SAFETY: the contract of `Direct`'s tiles: elements of A and B below `depth`, C's `ROWS` rows of all vectors but the last, of which `last` elements.
        unsafe {
            let mut left = depth;
            let held = held.as_mut_ptr().cast::<T::V<I>>();
            if depth > SEGMENT {
                for i in 0..ROWS * VECTORS {
                    held.add(i).write(zero);
                }
            }
            while left > SEGMENT {
                steps!(SEGMENT);
                left -= SEGMENT;
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let held = held.add(r * VECTORS + v);
                        held.write(held.read().add(sums[r][v]));
                        sums[r][v] = zero;
                    }
                }
            }
            if fetch {
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        isa.prefetch(c.add(r * ldc + v * width).cast());
                    }
                }
            }
            steps!(left);
            if depth > SEGMENT {
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[r][v] = sums[r][v].add(held.add(r * VECTORS + v).read());
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    let (to, sum) = (c.add(r * ldc + v * width), sums[r][v]);
                    if v + 1 < VECTORS || last == width {
                        (if add { T::V::<I>::load(isa, to).add(sum) } else { sum }).store(to);
                    } else {
                        (if add { T::V::<I>::load_first(isa, to, last).add(sum) } else { sum }).store_first(to, last);
                    }
                }
            }
        }
    }
}

/// Terms that are added up one after the other, before what they make is added to the sums of those before: errors grow with this, not with the depth. C is fetched when the last segment
/// begins.
pub(crate) const SEGMENT: usize = 128;

/// Rows of B that may be read where they lie, if there are more than a few rows of A: more are cut into blocks, which are copied.
pub(crate) const BARE_DEPTH: usize = 512;

type Enter<I, T> = unsafe fn(I, Run<T>);

/// # Safety
/// - A and B are valid for reads, C for writes (if `add`, for reads too), as [`Run`] says where they lie.
unsafe fn enter<I: Isa, T: Real, S: Step, const ROWS: usize, const VECTORS: usize, const PANEL: usize>(
    isa: I,
    run: Run<T>,
) {
    isa.enter(Fixed::<T, S, ROWS, VECTORS, PANEL>(run, PhantomData));
}

/// Kernels for a number of rows: of one vector of columns, and of two (which may be the same as for one, where a tile has one).
type Kernels<I, T> = (usize, [Enter<I, T>; 2]);

struct Table<I, T, S, const PANEL: usize>(PhantomData<(I, T, S)>);

macro_rules! kernels {
    ($vectors:literal: $($rows:literal)*) => { &[$(($rows, [enter::<I, T, S, $rows, 1, PANEL>, enter::<I, T, S, $rows, $vectors, PANEL>])),*] };
}

impl<I: Isa, T: Real, S: Step, const PANEL: usize> Table<I, T, S, PANEL> {
    // The tiles that registers hold, with room for a row of B and an element of A; and smaller ones, from the largest.
    const OF_32: &'static [Kernels<I, T>] = kernels!(2: 14 12 10 8 6 4 3 2 1);
    const OF_16: &'static [Kernels<I, T>] = kernels!(2: 6 4 3 2 1);
    const OF_8: &'static [Kernels<I, T>] = kernels!(1: 4 3 2 1);
}

/// Products (or the like) of floats as they are.
pub(crate) struct Direct<I: Isa, T: Real> {
    isa: I,
    /// From panels.
    packed: &'static [Kernels<I, T>],
    /// From matrices.
    bare: &'static [Kernels<I, T>],
    /// Columns of a tile.
    columns: usize,
}

impl<I: Isa, T: Real> Direct<I, T> {
    /// Products of matrices.
    pub(crate) fn new(isa: I) -> Direct<I, T> {
        let width = <T::V<I> as Lanes>::N;
        match I::REGISTERS {
            32 => Direct {
                isa,
                packed: Table::<I, T, Dot, 14>::OF_32,
                bare: Table::<I, T, Dot, 0>::OF_32,
                columns: 2 * width,
            },
            16 => Direct {
                isa,
                packed: Table::<I, T, Dot, 6>::OF_16,
                bare: Table::<I, T, Dot, 0>::OF_16,
                columns: 2 * width,
            },
            _ => Direct { isa, packed: Table::<I, T, Dot, 4>::OF_8, bare: Table::<I, T, Dot, 0>::OF_8, columns: width },
        }
    }

    /// Another inner step, from panels only.
    pub(crate) fn with<S: Step>(isa: I) -> Direct<I, T> {
        let width = <T::V<I> as Lanes>::N;
        match I::REGISTERS {
            32 => Direct { isa, packed: Table::<I, T, S, 14>::OF_32, bare: &[], columns: 2 * width },
            16 => Direct { isa, packed: Table::<I, T, S, 6>::OF_16, bare: &[], columns: 2 * width },
            _ => Direct { isa, packed: Table::<I, T, S, 4>::OF_8, bare: &[], columns: width },
        }
    }

    /// All rows of a tile, by kernels of the sizes there are.
    ///
    /// # Safety
    /// - as [`enter`], for `rows` rows and `columns` columns.
    #[inline(always)]
    unsafe fn rows_of(&self, table: &[Kernels<I, T>], mut run: Run<T>, mut rows: usize, columns: usize) {
        let width = <T::V<I> as Lanes>::N;
        let two = columns > width;
        run.last = if two { columns - width } else { columns };
        for &(size, kernels) in table {
            while rows >= size {
                // SAFETY: the caller's, for the next rows.
                unsafe { kernels[usize::from(two)](self.isa, run) };
                run.a = run.a.wrapping_offset(size as isize * run.a_row);
                run.c = run.c.wrapping_add(size * run.ldc);
                rows -= size;
            }
            if rows == 0 {
                return;
            }
        }
    }

    /// A small product, of which all matrices stay in the first cache: A is read as it lies, and so is B where its rows have no gaps.
    ///
    /// # Safety
    /// - as [`super::product`].
    pub(crate) unsafe fn bare(&self, p: Product<T, T>) -> Result<()> {
        let tiles = |b: *const T, b_step: isize, b_panel: usize| {
            for (panel, j) in (0..p.n).step_by(self.columns).enumerate() {
                let (b, c) = (b.wrapping_add(panel * b_panel), p.c.get().wrapping_add(j));
                let run = Run {
                    depth: p.k,
                    a: p.a.at,
                    a_row: p.a.row,
                    a_step: p.a.column,
                    b,
                    b_step,
                    c,
                    ldc: p.ldc,
                    add: p.add,
                    fetch: false,
                    last: 0,
                };
                // SAFETY: the caller's, for these columns.
                unsafe { self.rows_of(self.bare, run, p.m, self.columns.min(p.n - j)) };
            }
        };
        if p.b.column == 1 {
            tiles(p.b.at, p.b.row, self.columns);
            return Ok(());
        }
        let mut packed = Scratch::new(p.n.next_multiple_of(self.columns) * p.k * size_of::<T>() + pack::SLACK)?;
        // SAFETY: the caller's; there is room for all panels.
        unsafe { self.pack_b(p.b, p.k, p.n, packed.ptr()) };
        tiles(packed.ptr().cast(), self.columns as isize, self.columns * p.k);
        Ok(())
    }
}

impl<I: Isa, T: Real> Kernel for Direct<I, T> {
    type Element = T;
    type Sum = T;

    fn rows(&self) -> usize {
        self.packed[0].0
    }

    fn columns(&self) -> usize {
        self.columns
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        [self.rows(), self.columns].map(|width| width * depth * size_of::<T>())
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        // SAFETY: the caller's; seen as its transpose, A has rows to make panels of.
        self.isa.enter(pack::Panels {
            from: from.transposed(),
            depth,
            columns: rows,
            width: self.rows(),
            to: to.cast(),
        });
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.isa.enter(pack::Panels { from, depth, columns, width: self.columns, to: to.cast() });
    }

    fn bare(&self, a: Matrix<T>, b: Matrix<T>, [m, _, k]: [usize; 3]) -> [bool; 2] {
        if self.bare.is_empty() {
            return [false, false];
        }
        // Lines at a distance that is a multiple of a large power of two compete for a few places of a cache: so many find room.
        let room = |bytes: usize, stride: isize| {
            let apart = stride.unsigned_abs() * size_of::<T>();
            bytes / (1 << apart.trailing_zeros().min(30)).max(64)
        };
        let caches = caches();
        // Rows of A are read side by side, in step with those of B.
        let a_bare = a.column == 1 && room(caches.first, a.row) >= self.rows();
        // Few rows of A never repay a copy of B. More find the rows of B again in the caches, if vectors of them are no more lines than they need be.
        let aligned = (b.at.addr() | (b.row.unsigned_abs() * size_of::<T>())).is_multiple_of(64);
        let b_bare = b.column == 1
            && (m <= 4 * self.rows() || aligned && k <= BARE_DEPTH && room(caches.second / 2, b.row) >= k);
        [a_bare, b_bare]
    }

    unsafe fn tile(&self, t: Tile<T, T>) -> Result<()> {
        let (a, a_row, a_step) = match t.a.packed {
            Some(a) => (a.cast(), 1, self.rows() as isize),
            None => (t.a.matrix.at, t.a.matrix.row, t.a.matrix.column),
        };
        let (b, b_step) = match t.b.packed {
            Some(b) => (b.cast(), self.columns as isize),
            None => (t.b.matrix.at, t.b.matrix.row),
        };
        let table = if t.a.packed.is_some() && t.b.packed.is_some() { self.packed } else { self.bare };
        let run =
            Run { depth: t.depth, a, a_row, a_step, b, b_step, c: t.c, ldc: t.ldc, add: t.add, fetch: true, last: 0 };
        // SAFETY: the caller's: panels are as wide as this kernel's tile.
        unsafe { self.rows_of(table, run, t.rows, t.columns) };
        Ok(())
    }
}
