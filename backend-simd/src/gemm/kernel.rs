//! The micro-kernel for floats: a small tile of C in vector registers.

#![expect(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use super::blocks::caches;
use super::{Kernel, Matrix, Product, Tile, pack};
use crate::lanes::{Body, Float, Isa, Lanes, Numbers, Real};
use crate::scratch::Scratch;
use polyarray_core::Result;
use std::marker::PhantomData;

/// The operation that adds the term of an element of A and one of B to an accumulator.
pub(crate) trait Step: Send + Sync + 'static {
    /// Returns `sum` plus the term of a and b.
    fn step<V: Float>(sum: V, a: V, b: V, minus_zero: V) -> V;
}

/// `a * b`: matrix products.
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

/// A tile and the addresses of its operands: element (r, p) of A is at `a + r * a_row + p * a_step`, row p of B at
/// `b + p * b_step`.
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
    /// Whether to add to the values in C.
    add: bool,
    /// Whether to prefetch C, which may be outside the caches.
    fetch: bool,
    /// The valid columns of the last vector.
    last: usize,
}

/// A tile of exactly `ROWS` rows and `VECTORS` vectors. For packed panels, `PANEL` is the width of A's panels, which
/// makes its strides constant. `PANEL` 0 stands for matrices in place, which must not be read beyond their columns.
struct Fixed<T, S, const ROWS: usize, const VECTORS: usize, const PANEL: usize>(PhantomData<(T, S)>);

impl<T: Real, S: Step, const ROWS: usize, const VECTORS: usize, const PANEL: usize> Body
    for Fixed<T, S, ROWS, VECTORS, PANEL>
{
    type Args = Run<T>;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Run<T>) {
        let Run { depth, mut a, a_row, a_step, b_step, mut b, c, ldc, add, fetch, last } = *args;
        let (a_row, a_step) = if PANEL > 0 { (1, PANEL as isize) } else { (a_row, a_step) };
        let width = <T::V<I> as Lanes>::N;
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        let minus_zero = T::V::<I>::splat(isa, T::NEG_ZERO);
        let mut sums = [[zero; VECTORS]; ROWS];
        // The sums of the previous segments. They are in memory, because the registers are full.
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
        // SAFETY: the caller guarantees that A and B are valid below `depth`, and C for `ROWS` rows of all vectors but
        // the last, of which `last` elements are valid.
        unsafe {
            let mut left = depth;
            let held = held.as_mut_ptr().cast::<T::V<I>>();
            if depth > SEGMENT {
                for i in 0..ROWS * VECTORS {
                    held.add(i).write(zero);
                }
            }
            loop {
                let count = left.min(SEGMENT);
                left -= count;
                if fetch && left == 0 {
                    for r in 0..ROWS {
                        for v in 0..VECTORS {
                            isa.prefetch(c.add(r * ldc + v * width).cast());
                        }
                    }
                }
                steps!(count);
                if left == 0 {
                    break;
                }
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let held = held.add(r * VECTORS + v);
                        held.write(held.read().add(sums[r][v]));
                        sums[r][v] = zero;
                    }
                }
            }
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

/// The terms that are added up one after another before their sum is added to those of earlier terms: rounding errors
/// grow with this number, not with the depth. C is prefetched when the last segment begins.
pub(crate) const SEGMENT: usize = 128;

/// The most rows of B that are read in place if A has more than a few rows. Larger depths are split into blocks,
/// which are copied.
pub(crate) const BARE_DEPTH: usize = 512;

/// [`Fixed`], compiled for a tier.
///
/// # Safety
/// - the elements of A and B whose addresses [`Run`] defines are valid for reads, those of C for writes (and for
///   reads if `add`); packed panels of A have the width `PANEL`;
/// - the CPU has the features of the tier.
type Enter<T> = unsafe fn(&Run<T>);

/// The kernels for a number of rows: for one vector of columns, and for two (which is the same kernel if a tile has
/// one vector).
type Kernels<T> = (usize, [Enter<T>; 2]);

struct Table<I, T, S, const PANEL: usize>(PhantomData<(I, T, S)>);

macro_rules! kernels {
    ($vectors:literal: $($rows:literal)*) => {
        &[$((
            $rows,
            [I::kernel::<Fixed<T, S, $rows, 1, PANEL>>, I::kernel::<Fixed<T, S, $rows, $vectors, PANEL>>],
        )),*]
    };
}

impl<I: Isa, T: Real, S: Step, const PANEL: usize> Table<I, T, S, PANEL> {
    // The largest tile that the registers hold, with room for a row of B and an element of A; then smaller ones, in
    // descending order.
    const OF_32: &'static [Kernels<T>] = kernels!(2: 14 12 10 8 6 4 3 2 1);
    const OF_16: &'static [Kernels<T>] = kernels!(2: 6 4 3 2 1);
    const OF_8: &'static [Kernels<T>] = kernels!(1: 4 3 2 1);
}

/// The kernel of products (or distances) of f32 or f64.
pub(crate) struct Direct<I: Isa, T: Real> {
    isa: I,
    /// The kernels for packed panels.
    packed: &'static [Kernels<T>],
    /// The kernels for matrices in place.
    bare: &'static [Kernels<T>],
    /// The columns of a tile.
    columns: usize,
}

impl<I: Isa, T: Real> Direct<I, T> {
    /// Creates the kernel of matrix products.
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

    /// Creates a kernel with another inner step, for packed panels only.
    pub(crate) fn with<S: Step>(isa: I) -> Direct<I, T> {
        let width = <T::V<I> as Lanes>::N;
        match I::REGISTERS {
            32 => Direct { isa, packed: Table::<I, T, S, 14>::OF_32, bare: &[], columns: 2 * width },
            16 => Direct { isa, packed: Table::<I, T, S, 6>::OF_16, bare: &[], columns: 2 * width },
            _ => Direct { isa, packed: Table::<I, T, S, 4>::OF_8, bare: &[], columns: width },
        }
    }

    /// Computes all rows of a tile, with the kernels of `table`.
    ///
    /// # Safety
    /// - as [`Enter`], for `rows` rows and `columns` columns.
    #[inline(always)]
    unsafe fn rows_of(&self, table: &[Kernels<T>], mut run: Run<T>, mut rows: usize, columns: usize) {
        let width = <T::V<I> as Lanes>::N;
        let two = columns > width;
        run.last = if two { columns - width } else { columns };
        for &(size, kernels) in table {
            while rows >= size {
                // SAFETY: the next `size` rows of the tile, whose elements the caller guarantees to be valid. The token
                // proves the features.
                unsafe { kernels[usize::from(two)](&run) };
                run.a = run.a.wrapping_offset(size as isize * run.a_row);
                run.c = run.c.wrapping_add(size * run.ldc);
                rows -= size;
            }
            if rows == 0 {
                return;
            }
        }
    }

    /// Computes a small product whose matrices stay in the first-level cache. It reads A in place, and B too if its
    /// rows are contiguous.
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
                // SAFETY: columns `j` and following of B and C, which the caller guarantees to be valid. A packed
                // copy of B has whole panels.
                unsafe { self.rows_of(self.bare, run, p.m, self.columns.min(p.n - j)) };
            }
        };
        if p.b.column == 1 {
            tiles(p.b.at, p.b.row, self.columns);
            return Ok(());
        }
        let mut packed = Scratch::new(p.n.next_multiple_of(self.columns) * p.k * size_of::<T>() + pack::SLACK)?;
        // SAFETY: the caller guarantees that B is valid for reads of `[k, n]`; there is room for all panels.
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
        // SAFETY: the caller guarantees the contract of `pack_a`, which is that of `Panels`. The rows of A are the
        // columns of its transpose, and are packed as such.
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
        // Returns how many lines at this distance a cache holds. If the distance is a multiple of a large power of
        // two, the lines compete for few sets.
        let room = |bytes: usize, stride: isize| {
            let apart = stride.unsigned_abs() * size_of::<T>();
            bytes / (1 << apart.trailing_zeros().min(30)).max(64)
        };
        let caches = caches();
        // Rows of A are read side by side, in step with those of B.
        let a_bare = a.column == 1 && room(caches.first, a.row) >= self.rows();
        // With few rows of A, a copy of B never pays off. With more, the rows of B are found in the caches again, if
        // their vectors are aligned and so do not straddle cache lines.
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
        // SAFETY: the caller guarantees the contract of `Kernel::tile`; packed panels have the width of this kernel's
        // tile.
        unsafe { self.rows_of(table, run, t.rows, t.columns) };
        Ok(())
    }
}
