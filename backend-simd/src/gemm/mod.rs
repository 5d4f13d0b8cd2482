//! Packed products of matrices, in the manner of GotoBLAS and BLIS (K. Goto, R. van de Geijn, ACM TOMS 34, 2008; F. Van Zee, R. van de Geijn, ACM TOMS 41, 2015):
//! panels of A and B are copied so that the micro-kernel reads them in order; the blocks' sizes follow from the caches. The loops, the threads and what follows a
//! product are written here once; a [`Kernel`] says what a packed panel is and how a tile is computed. Distances go the same way with another inner step.

mod blocks;
mod complex;
mod half;
mod integer;
mod kernel;
mod pack;
#[cfg(test)]
mod tests;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no engine is known elsewhere"))]
mod tiles;

pub(crate) use blocks::packing_bound;
pub(crate) use complex::Interleaved;
pub(crate) use half::{Half, Halves};
pub(crate) use integer::{Integer, Integers};
pub(crate) use kernel::{AbsDiff, BARE_DEPTH, Direct, SEGMENT, SquareDiff};
pub(crate) use pack::Widen;
pub(crate) use tiles::{Engines, Tiled};

use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use blocks::{Blocks, caches};
use pack::SLACK;
use polyarray_core::Result;
use std::ops::Range;

/// Products smaller than this many multiply-adds stay on one thread.
const ALONE: usize = 48 * 48 * 48;
/// Columns of C that are finished at once: while they are in the second cache.
const FINISHED: usize = 256;

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

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Matrix<T> {
        Matrix { row: self.column, column: self.row, ..self }
    }
}

/// A tile's rows of A or columns of B.
#[derive(Clone, Copy)]
pub(crate) struct Side<T> {
    /// Where they lie.
    pub matrix: Matrix<T>,
    /// Their panel, if they were packed.
    pub packed: Option<*const u8>,
}

impl<T> Side<T> {
    /// The panel; for kernels that have everything packed.
    fn panel(self) -> *const u8 {
        self.packed.expect("nothing is bare here")
    }

    /// The panel as one of elements of another type.
    fn cast<U>(self) -> Side<U> {
        Side {
            matrix: Matrix { at: self.matrix.at.cast(), row: self.matrix.row, column: self.matrix.column },
            packed: Some(self.panel()),
        }
    }
}

/// A tile of C to be computed.
pub(crate) struct Tile<T, C> {
    /// Columns of A, rows of B.
    pub depth: usize,
    pub a: Side<T>,
    pub b: Side<T>,
    pub c: *mut C,
    /// Elements from one row of C to the next.
    pub ldc: usize,
    /// Whether C holds numbers to add to.
    pub add: bool,
    /// Rows and columns that are there, at most the kernel's.
    pub rows: usize,
    pub columns: usize,
    /// Which of the kernel's planes, in order.
    pub plane: usize,
    /// What [`Kernel::room`] asked for, the tile's own from its first plane to its last.
    pub room: *mut u8,
}

/// What panels are and how a tile is computed: what a tier, a dtype or an instruction set of its own brings to a product.
pub(crate) trait Kernel: Sync {
    /// Elements of A and B.
    type Element: Copy;
    /// Elements of C.
    type Sum: Copy;
    /// Rows of a tile.
    fn rows(&self) -> usize;
    /// Columns of a tile.
    fn columns(&self) -> usize;
    /// Bytes of a panel of A, and of one of B.
    fn panel_bytes(&self, depth: usize) -> [usize; 2];
    /// How a product `[m, n, k]` is cut on one of `threads` threads.
    fn blocks(&self, shape: [usize; 3], threads: usize) -> Blocks {
        let [a, b] = self.panel_bytes(BARE_DEPTH);
        let (rows, columns) = (self.rows(), self.columns());
        Blocks::new(caches(), [rows, columns], [a / (BARE_DEPTH * rows), b / (BARE_DEPTH * columns)], shape, threads)
    }
    /// Packs `[rows, depth]` into panels, one after the other; what is missing of the last as zeros.
    ///
    /// # Safety
    /// - `from` is valid for reads of that shape, `to` for writes of the panels and [`pack::SLACK`].
    unsafe fn pack_a(&self, from: Matrix<Self::Element>, rows: usize, depth: usize, to: *mut u8);
    /// Packs `[depth, columns]`.
    ///
    /// # Safety
    /// - as [`Kernel::pack_a`].
    unsafe fn pack_b(&self, from: Matrix<Self::Element>, depth: usize, columns: usize, to: *mut u8);
    /// How often all tiles of a block are gone through: for kernels that put a tile together from several products.
    fn planes(&self, _depth: usize) -> usize {
        1
    }
    /// Bytes that a tile needs from its first plane to its last.
    fn room(&self) -> usize {
        0
    }
    /// Does a thread's part of a product, between what the kernel does before and after it.
    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        work()
    }
    /// Whether A may stay in its matrix, and B, in blocks of `[m, n, k]`: where that is faster than copying it.
    fn bare(&self, _a: Matrix<Self::Element>, _b: Matrix<Self::Element>, _block: [usize; 3]) -> [bool; 2] {
        [false, false]
    }
    /// Computes a tile.
    ///
    /// # Safety
    /// - panels were packed by this kernel, of that depth; what is bare is so because `bare` allowed it, and valid for reads of `[rows, depth]` or `[depth, columns]`;
    ///   C is valid for writes of `[rows, columns]`, and for reads if `add`.
    unsafe fn tile(&self, tile: Tile<Self::Element, Self::Sum>) -> Result<()>;
}

/// A block of C that has been written, and that nobody else touches.
pub(crate) struct Written<T> {
    /// Where it lies in the whole.
    pub row: usize,
    pub column: usize,
    at: *mut T,
    ldc: usize,
    rows: usize,
    columns: usize,
}

impl<T> Written<T> {
    /// `[rows, columns]` from `at` on, whose rows are `ldc` elements apart.
    ///
    /// # Safety
    /// - these are valid for reads and writes, by nobody else, while it lives; rows do not overlap.
    pub(crate) unsafe fn new(
        [row, column]: [usize; 2],
        at: *mut T,
        ldc: usize,
        [rows, columns]: [usize; 2],
    ) -> Written<T> {
        Written { row, column, at, ldc, rows, columns }
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The pieces of rows, each with its row in the whole.
    pub(crate) fn pieces(&mut self) -> impl Iterator<Item = (usize, &mut [T])> {
        // SAFETY: rows inside the block, each given once for as long as the block is borrowed.
        (0..self.rows)
            .map(|r| (self.row + r, unsafe { std::slice::from_raw_parts_mut(self.at.add(r * self.ldc), self.columns) }))
    }

    /// The elements of a block of one column, if they lie next to each other.
    pub(crate) fn one_column(&mut self) -> Option<&mut [T]> {
        // SAFETY: the elements of the block, one behind the other.
        (self.columns == 1 && self.ldc == 1).then(|| unsafe { std::slice::from_raw_parts_mut(self.at, self.rows) })
    }
}

/// Called with each block of C when it is done, while it is in cache.
pub(crate) type Finish<'a, T> = &'a (dyn Fn(Written<T>) -> Result<()> + Sync);

/// What is multiplied: C = A B, or C + A B, `[m, k]` by `[k, n]`, C in rows of `ldc` elements.
#[derive(Clone, Copy)]
pub(crate) struct Product<T, C> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Matrix<T>,
    pub b: Matrix<T>,
    pub c: Shared<C>,
    pub ldc: usize,
    /// Whether C holds numbers to add to.
    pub add: bool,
    /// How many products are under way at a time, this among them: they share the last cache.
    pub beside: usize,
}

impl<T, C> Product<T, C> {
    /// The part that gives these rows and columns of C.
    fn part(self, rows: &Range<usize>, columns: &Range<usize>) -> Product<T, C> {
        Product {
            m: rows.len(),
            n: columns.len(),
            a: self.a.from(rows.start, 0),
            b: self.b.from(0, columns.start),
            c: Shared(self.c.get().wrapping_add(rows.start * self.ldc + columns.start)),
            ..self
        }
    }
}

/// How many parts rows and columns are cut into: the cut whose largest part takes least, packing counted as it is dearer than a product's step.
fn grid(kernel: [usize; 2], [m, n]: [usize; 2], threads: usize) -> [usize; 2] {
    let largest = |total: usize, parts: usize, unit: usize| (total.div_ceil(unit).div_ceil(parts) * unit).min(total);
    let cost = |parts: &[usize; 2]| {
        let (rows, columns) = (largest(m, parts[0], kernel[0]), largest(n, parts[1], kernel[1]));
        // Of each step of the depth; C is in memory, so this is no more than can be counted.
        rows * columns + 16 * (rows + columns)
    };
    (1..=threads).map(|down| [down, threads / down]).min_by_key(cost).expect("there is at least one thread")
}

/// Computes a product on at most `threads` threads, and finishes each piece of C while it is in cache.
///
/// # Safety
/// - `a` and `b` are valid for reads of `[m, k]` and `[k, n]`, `c` for writes of m rows of n elements `ldc` apart (for reads too, if `add`); `c` overlaps neither.
pub(crate) unsafe fn product<K: Kernel>(
    kernel: &K,
    p: Product<K::Element, K::Sum>,
    threads: usize,
    finish: Option<Finish<K::Sum>>,
) -> Result<()> {
    let (mr, nr) = (kernel.rows(), kernel.columns());
    let threads = if p.m.saturating_mul(p.n).saturating_mul(p.k) <= ALONE { 1 } else { threads };
    let [down, across] = grid([mr, nr], [p.m, p.n], threads);
    let cut = |total: usize, parts: usize, unit: usize, i: usize| {
        let units = total.div_ceil(unit);
        (units * i / parts * unit).min(total)..(units * (i + 1) / parts * unit).min(total)
    };
    split(threads, down * across, 1, |parts| {
        parts.into_iter().try_for_each(|part| {
            let (rows, columns) = (cut(p.m, down, mr, part / across), cut(p.n, across, nr, part % across));
            if rows.is_empty() || columns.is_empty() {
                return Ok(());
            }
            // SAFETY: a part of the caller's; parts of C are disjoint.
            kernel.within(&mut || unsafe {
                alone(kernel, p.part(&rows, &columns), threads, [rows.start, columns.start], finish)
            })
        })
    })
}

/// The loops around the micro-kernel, on one thread. `corner` is where this part of C lies in the whole.
///
/// # Safety
/// - as [`product`].
unsafe fn alone<K: Kernel>(
    kernel: &K,
    p: Product<K::Element, K::Sum>,
    threads: usize,
    corner: [usize; 2],
    finish: Option<Finish<K::Sum>>,
) -> Result<()> {
    let (mr, nr) = (kernel.rows(), kernel.columns());
    let Blocks { kc, mc, nc } = kernel.blocks([p.m, p.n, p.k], threads * p.beside);
    let [a_bare, b_bare] = kernel.bare(p.a, p.b, [p.m, p.n, kc.min(p.k)]);
    let block = |bare: bool, panels: usize, bytes: usize| Scratch::new(if bare { 0 } else { panels * bytes + SLACK });
    let [a_panel, b_panel] = kernel.panel_bytes(kc);
    let (mut a_block, mut b_block) = (block(a_bare, mc / mr, a_panel)?, block(b_bare, nc / nr, b_panel)?);
    let (a_packed, b_packed) =
        ((!a_bare).then(|| a_block.ptr().cast_const()), (!b_bare).then(|| b_block.ptr().cast_const()));
    let tile_room = kernel.room();
    let mut room = Scratch::new(tile_room * (mc / mr) * FINISHED.min(nc).div_ceil(nr))?;
    for j in (0..p.n).step_by(nc) {
        let columns = nc.min(p.n - j);
        for q in (0..p.k).step_by(kc) {
            let depth = kc.min(p.k - q);
            let [a_panel, b_panel] = kernel.panel_bytes(depth);
            if !b_bare {
                // SAFETY: the block of B is inside it, its packed form has room for whole panels.
                unsafe { kernel.pack_b(p.b.from(q, j), depth, columns, b_block.ptr()) };
            }
            for i in (0..p.m).step_by(mc) {
                let rows = mc.min(p.m - i);
                if !a_bare {
                    // SAFETY: the block of A is inside it, its packed form has room for whole panels.
                    unsafe { kernel.pack_a(p.a.from(i, q), rows, depth, a_block.ptr()) };
                }
                for first in (0..columns).step_by(FINISHED) {
                    let end = columns.min(first + FINISHED);
                    let (tall, wide) = (rows.div_ceil(mr), (end - first).div_ceil(nr));
                    // Where panels of B stay in the second cache, what is written together lies together.
                    let along_rows = wide * b_panel <= caches().second / 4;
                    let (outer, inner) = if along_rows { (tall, wide) } else { (wide, tall) };
                    for plane in 0..kernel.planes(depth) {
                        let mut room = room.ptr();
                        for outer in 0..outer {
                            for inner in 0..inner {
                                let (x, y) = if along_rows { (outer, inner) } else { (inner, outer) };
                                let panel = |packed: Option<*const u8>, number: usize, bytes: usize| {
                                    packed.map(|at| at.wrapping_add(number * bytes))
                                };
                                let (a, b) = (panel(a_packed, x, a_panel), panel(b_packed, first / nr + y, b_panel));
                                let (x, y) = (x * mr, first + y * nr);
                                let (a, b) = (
                                    Side { matrix: p.a.from(i + x, q), packed: a },
                                    Side { matrix: p.b.from(q, j + y), packed: b },
                                );
                                let c = p.c.get().wrapping_add((i + x) * p.ldc + j + y);
                                let (rows, columns) = (mr.min(rows - x), nr.min(columns - y));
                                // SAFETY: panels x and y were packed, or lie in A and B; the tile of C, cut to what is there, is inside it, and so is the tile's room.
                                unsafe {
                                    kernel.tile(Tile {
                                        depth,
                                        a,
                                        b,
                                        c,
                                        ldc: p.ldc,
                                        add: p.add || q > 0,
                                        rows,
                                        columns,
                                        plane,
                                        room,
                                    })?
                                };
                                room = room.wrapping_add(tile_room);
                            }
                        }
                    }
                    if let Some(finish) = finish.filter(|_| q + depth == p.k) {
                        let at = p.c.get().wrapping_add(i * p.ldc + j + first);
                        // SAFETY: a block of C that no other thread touches, and that has been written.
                        finish(unsafe {
                            Written::new([corner[0] + i, corner[1] + j + first], at, p.ldc, [rows, end - first])
                        })?;
                    }
                }
            }
        }
    }
    Ok(())
}
