//! Packed matrix products, after GotoBLAS and BLIS (K. Goto, R. van de Geijn, ACM TOMS 34, 2008; F. Van Zee, R. van
//! de Geijn, ACM TOMS 41, 2015). Panels of A and B are copied so that the micro-kernel reads them in order; the block
//! sizes follow from the cache sizes. This module has the loops, the threads and the epilogue of all products; a
//! [`Kernel`] defines the format of a packed panel and computes a tile. Distances use the same loops with another
//! inner step.

mod blocks;
mod complex;
mod half;
mod integer;
mod kernel;
mod pack;
mod slim;
#[cfg(test)]
mod tests;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there are engines only for x86-64"))]
mod tiles;

pub(crate) use blocks::{Blocks, caches, packing_bound};
pub(crate) use complex::Interleaved;
pub(crate) use half::{Half, Halves};
pub(crate) use integer::{Integer, Integers};
pub(crate) use kernel::{AbsDiff, BARE_DEPTH, Direct, SEGMENT, SquareDiff};
pub(crate) use pack::{Panels, SLACK, Widen};
pub(crate) use tiles::{Byte, Engines, Tiled, with_bytes};

use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;
use std::ops::Range;

/// Products of at most this many multiply-adds stay on one thread.
const ALONE: usize = 48 * 48 * 48;
/// The number of columns of C that are finished at once, while they are in the second-level cache.
const FINISHED: usize = 256;

/// A matrix that is read: its first element and the strides, in elements, from row to row and from column to column.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<T> {
    pub at: *const T,
    pub row: isize,
    pub column: isize,
}

// SAFETY: the pointer is only read.
unsafe impl<T> Send for Matrix<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Matrix<T> {}

impl<T> Matrix<T> {
    /// Returns the part that starts at row `i` and column `j`.
    pub(crate) fn from(self, i: usize, j: usize) -> Matrix<T> {
        Matrix { at: self.at.wrapping_offset(i as isize * self.row + j as isize * self.column), ..self }
    }

    pub(crate) fn transposed(self) -> Matrix<T> {
        Matrix { row: self.column, column: self.row, ..self }
    }
}

/// The rows of A or the columns of B for one tile.
#[derive(Clone, Copy)]
pub(crate) struct Side<T> {
    /// Where they are in the matrix.
    pub matrix: Matrix<T>,
    /// Their panel, if they were packed.
    pub packed: Option<*const u8>,
}

impl<T> Side<T> {
    /// Returns the panel, for kernels that always pack.
    fn panel(self) -> *const u8 {
        self.packed.expect("this kernel reads only packed panels")
    }

    /// Returns the same side with elements of another type.
    fn cast<U>(self) -> Side<U> {
        Side {
            matrix: Matrix { at: self.matrix.at.cast(), row: self.matrix.row, column: self.matrix.column },
            packed: Some(self.panel()),
        }
    }
}

/// A tile of C to be computed.
pub(crate) struct Tile<T, C> {
    /// The columns of A, and rows of B.
    pub depth: usize,
    pub a: Side<T>,
    pub b: Side<T>,
    pub c: *mut C,
    /// The elements from one row of C to the next.
    pub ldc: usize,
    /// The row and the column of the tile in the whole C.
    pub at: [usize; 2],
    /// Whether to add to the values in C.
    pub add: bool,
    /// Whether this is the last part of the depth.
    pub last: bool,
    /// The valid rows and columns of the tile, at most the kernel's.
    pub rows: usize,
    pub columns: usize,
    /// The current pass ([`Kernel::planes`]); passes run in order.
    pub plane: usize,
    /// The scratch memory of [`Kernel::room`] bytes, which is the tile's own from its first pass to its last.
    pub room: *mut u8,
}

/// The format of panels and the computation of a tile: the part of a product that depends on the tier, the dtype or a
/// special instruction set.
pub(crate) trait Kernel: Sync {
    /// The elements of A and B.
    type Element: Copy;
    /// The elements of C.
    type Sum: Copy;
    /// The rows of a tile.
    fn rows(&self) -> usize;
    /// The columns of a tile.
    fn columns(&self) -> usize;
    /// Returns the bytes of a panel of A and of one of B.
    fn panel_bytes(&self, depth: usize) -> [usize; 2];
    /// Returns the blocks of a product `[m, n, k]` on one of `threads` threads.
    fn blocks(&self, shape: [usize; 3], threads: usize) -> Blocks {
        let [a, b] = self.panel_bytes(BARE_DEPTH);
        let (rows, columns) = (self.rows(), self.columns());
        Blocks::new(caches(), [rows, columns], [a / (BARE_DEPTH * rows), b / (BARE_DEPTH * columns)], shape, threads)
    }
    /// Packs `[rows, depth]` into consecutive panels. Missing rows of the last panel become zeros.
    ///
    /// # Safety
    /// - `from` is valid for reads of that shape, `to` for writes of the panels and [`pack::SLACK`] bytes.
    unsafe fn pack_a(&self, from: Matrix<Self::Element>, rows: usize, depth: usize, to: *mut u8);
    /// Packs `[depth, columns]` likewise.
    ///
    /// # Safety
    /// - as [`Kernel::pack_a`].
    unsafe fn pack_b(&self, from: Matrix<Self::Element>, depth: usize, columns: usize, to: *mut u8);
    /// Returns the number of passes over the tiles of a block. It is more than 1 for kernels that put a tile together
    /// from several products.
    fn planes(&self, _depth: usize) -> usize {
        1
    }
    /// Returns the bytes of scratch memory that a tile keeps from its first pass to its last.
    fn room(&self) -> usize {
        0
    }
    /// Runs a thread's part of a product. A kernel may set up its engine before it, and release it afterwards.
    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        work()
    }
    /// Returns whether A and whether B are read in place, in blocks of `[m, n, k]`, because that is faster than
    /// packing them.
    fn bare(&self, _a: Matrix<Self::Element>, _b: Matrix<Self::Element>, _block: [usize; 3]) -> [bool; 2] {
        [false, false]
    }
    /// Computes a product without tiles, if that is faster: see [`slim`].
    ///
    /// # Safety
    /// - as [`product`].
    unsafe fn slim(
        &self,
        _p: Product<Self::Element, Self::Sum>,
        _threads: usize,
        _finish: Option<Finish<Self::Sum>>,
    ) -> Option<Result<()>> {
        None
    }
    /// Computes a tile.
    ///
    /// # Safety
    /// - the panels were packed by this kernel, with this depth; a side that is not packed was allowed by `bare`, and
    ///   is valid for reads of `[rows, depth]` or `[depth, columns]`;
    /// - C is valid for writes of `[rows, columns]`, and for reads if `add`;
    /// - `room` is valid for reads and writes of [`Kernel::room`] bytes, and earlier passes of this tile have used
    ///   the same;
    /// - the call is made inside [`Kernel::within`].
    unsafe fn tile(&self, tile: Tile<Self::Element, Self::Sum>) -> Result<()>;
}

/// A block of C that has been written and that no other thread accesses.
pub(crate) struct Written<T> {
    /// The position of the block in the whole C.
    pub row: usize,
    pub column: usize,
    at: *mut T,
    ldc: usize,
    rows: usize,
    columns: usize,
}

impl<T> Written<T> {
    /// Creates the block `[rows, columns]` at `at`, with rows `ldc` elements apart.
    ///
    /// # Safety
    /// - while the block lives, its elements are valid for reads and writes, and nothing else accesses them; its rows
    ///   do not overlap.
    pub(crate) unsafe fn new(
        [row, column]: [usize; 2],
        at: *mut T,
        ldc: usize,
        [rows, columns]: [usize; 2],
    ) -> Written<T> {
        Written { row, column, at, ldc, rows, columns }
    }

    /// Returns the numbers of rows and columns.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Returns the rows of the block, each with its row number in the whole C.
    pub(crate) fn pieces(&mut self) -> impl Iterator<Item = (usize, &mut [T])> {
        // SAFETY: the rows are inside the block and do not overlap; each is returned once while the block is
        // borrowed.
        (0..self.rows)
            .map(|r| (self.row + r, unsafe { std::slice::from_raw_parts_mut(self.at.add(r * self.ldc), self.columns) }))
    }

    /// Returns the elements of a block of one column, if they are contiguous.
    pub(crate) fn one_column(&mut self) -> Option<&mut [T]> {
        // SAFETY: `rows` contiguous elements of the block.
        (self.columns == 1 && self.ldc == 1).then(|| unsafe { std::slice::from_raw_parts_mut(self.at, self.rows) })
    }
}

/// The epilogue, called with each block of C when it is finished, while it is in the cache.
pub(crate) type Finish<'a, T> = &'a (dyn Fn(Written<T>) -> Result<()> + Sync);

/// A product: C = A B or C + A B, with A `[m, k]`, B `[k, n]`, and rows of C `ldc` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Product<T, C> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: Matrix<T>,
    pub b: Matrix<T>,
    pub c: Shared<C>,
    pub ldc: usize,
    /// Whether to add to the values in C.
    pub add: bool,
    /// The number of concurrent products, including this one. They share the last-level cache.
    pub beside: usize,
}

impl<T, C> Product<T, C> {
    /// Returns the part that computes these rows and columns of C.
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

/// Returns into how many parts rows and columns are split: the split whose largest part is cheapest. Packing an
/// element counts as much as 16 multiply-adds.
fn grid(kernel: [usize; 2], [m, n]: [usize; 2], threads: usize) -> [usize; 2] {
    let largest = |total: usize, parts: usize, unit: usize| (total.div_ceil(unit).div_ceil(parts) * unit).min(total);
    let cost = |parts: &[usize; 2]| {
        let (rows, columns) = (largest(m, parts[0], kernel[0]), largest(n, parts[1], kernel[1]));
        // The cost per step of depth. It cannot overflow, because C fits in memory.
        rows * columns + 16 * (rows + columns)
    };
    (1..=threads).map(|down| [down, threads / down]).min_by_key(cost).expect("`threads` is at least 1")
}

/// Computes a product on at most `threads` threads, and finishes each block of C while it is in the cache. The kernel
/// is a trait object, so that the loops are compiled once for each pair of types.
///
/// # Safety
/// - `a` and `b` are valid for reads of `[m, k]` and `[k, n]`, `c` for writes of m rows of n elements `ldc` apart
///   (for reads too, if `add`); `c` overlaps neither.
pub(crate) unsafe fn product<T: Copy, C: Copy>(
    kernel: &dyn Kernel<Element = T, Sum = C>,
    p: Product<T, C>,
    threads: usize,
    finish: Option<Finish<C>>,
) -> Result<()> {
    let (mr, nr) = (kernel.rows(), kernel.columns());
    let threads = if p.m.saturating_mul(p.n).saturating_mul(p.k) <= ALONE { 1 } else { threads };
    // SAFETY: the contract of `product`, which the caller guarantees.
    if let Some(done) = unsafe { kernel.slim(p, threads, finish) } {
        return done;
    }
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
            // SAFETY: a part of the product, for which the caller guarantees valid matrices; the parts of C are
            // disjoint.
            kernel.within(&mut || unsafe {
                alone(kernel, p.part(&rows, &columns), threads, [rows.start, columns.start], finish)
            })
        })
    })
}

/// Runs the loops around the micro-kernel on one thread. `corner` is the position of this part in the whole C.
///
/// # Safety
/// - as [`product`];
/// - the call is made inside [`Kernel::within`].
unsafe fn alone<T: Copy, C: Copy>(
    kernel: &dyn Kernel<Element = T, Sum = C>,
    p: Product<T, C>,
    threads: usize,
    corner: [usize; 2],
    finish: Option<Finish<C>>,
) -> Result<()> {
    let (mr, nr) = (kernel.rows(), kernel.columns());
    let Blocks { kc, mut mc, nc } = kernel.blocks([p.m, p.n, p.k], threads * p.beside);
    if finish.is_some() {
        // With a small depth, a block of A has so many rows that their block of C would leave the second-level cache
        // before it is finished.
        let most = caches().second / 2 / (FINISHED.min(nc) * size_of::<C>().max(1));
        mc = mc.min((most / mr).max(1) * mr);
    }
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
                // SAFETY: the block is inside B, and its packed form has room for whole panels.
                unsafe { kernel.pack_b(p.b.from(q, j), depth, columns, b_block.ptr()) };
            }
            for i in (0..p.m).step_by(mc) {
                let rows = mc.min(p.m - i);
                if !a_bare {
                    // SAFETY: the block is inside A, and its packed form has room for whole panels.
                    unsafe { kernel.pack_a(p.a.from(i, q), rows, depth, a_block.ptr()) };
                }
                for first in (0..columns).step_by(FINISHED) {
                    let end = columns.min(first + FINISHED);
                    let (tall, wide) = (rows.div_ceil(mr), (end - first).div_ceil(nr));
                    // If the panels of B fit into a quarter of the second-level cache, go through the tiles row by
                    // row, so that consecutive writes to C are adjacent.
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
                                // SAFETY: panels x and y were packed, or are inside A and B. The tile is cut to the
                                // valid part of C, and `room` has space for all tiles of this group of columns.
                                unsafe {
                                    kernel.tile(Tile {
                                        depth,
                                        a,
                                        b,
                                        c,
                                        ldc: p.ldc,
                                        at: [corner[0] + i + x, corner[1] + j + y],
                                        add: p.add || q > 0,
                                        last: q + depth == p.k,
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
                        // SAFETY: the block has been written, and no other thread accesses it.
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
