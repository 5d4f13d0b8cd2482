//! Adjacent outputs: reduces across rows ([`Order::Rows`](polyarray_core::order::Order::Rows)), across rows so narrow
//! that each lane of the other order is a row, and short lines that alternate between outputs.

use super::along::{PIECES, Pieces, give};
use super::emit::Emit;
use super::kind::{Kept, Kernels, Levels};
use super::source::{Room, Source};
use crate::threads::{Shared, split};
use polyarray_core::order::{Order, ROWS};
use polyarray_core::walk::walk_many;
use polyarray_core::{Result, SmallReduce};
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The largest number of bytes of a row that a program produces at once: [`ROWS`] such rows stay in the second-level
/// cache.
const MADE_BYTES: usize = 4 << 10;

type Offsets = SmallVec<[isize; 8]>;

/// The working memory of one thread.
struct Work<'a> {
    room: Room<'a>,
    kept: Kept,
    levels: Levels<'a>,
}

/// The common data of both methods. Outputs form lines of `width` in C order, and the leaves of a line are combined as
/// a tree.
struct Across<'a> {
    kernels: &'a Kernels,
    source: &'a Source,
    /// The number of output axes.
    outer: usize,
    /// The number of outputs of a line.
    width: usize,
}

/// Reduces across rows. The source steps along the last of the `outer` axes.
pub(super) fn rows(kernels: &Kernels, source: &Source, outer: usize, threads: usize, emit: &Emit) -> Result<()> {
    let across = Across { kernels, source, outer, width: source.geometry.lens[source.stepped] };
    let most = if source.is_direct() { kernels.row_bytes } else { kernels.row_bytes.min(MADE_BYTES) } / kernels.size;
    let parts = across.width.div_ceil(most);
    // Full cache lines, unless there is only one part.
    let columns = if parts == 1 { across.width } else { across.width.div_ceil(parts).next_multiple_of(64) };
    let reduced: usize = source.geometry.lens[outer..].iter().product();
    let leaf = |work: &mut Work, offsets: &[isize], columns: Range<usize>, blocks: Range<usize>| {
        blocks
            .for_each(|b| across.block_of_rows(work, offsets, columns.clone(), b * ROWS..reduced.min((b + 1) * ROWS)));
    };
    across.run(reduced.div_ceil(ROWS), columns, ROWS * columns, threads, emit, &leaf)
}

/// Reduces narrow contiguous rows.
pub(super) fn narrow(kernels: &Kernels, source: &Source, outer: usize, threads: usize, emit: &Emit) -> Result<()> {
    let across = Across { kernels, source, outer, width: source.geometry.lens[source.stepped] };
    let width = across.width;
    let (len, runs) = source.geometry.lens[outer..]
        .split_last()
        .map(|(len, runs)| (*len, runs.iter().product::<usize>()))
        .expect("a reduction has an inner axis");
    let blocks = len.div_ceil(kernels.block());
    let leaf = |work: &mut Work, offsets: &[isize], _: Range<usize>, leaves: Range<usize>| {
        if runs == 1 {
            return leaves.for_each(|b| across.narrow_block(work, offsets, b, len));
        }
        let inner: SmallVec<[&[isize]; 8]> = source.geometry.strides.iter().map(|s| &s[outer..]).collect();
        let last = source.geometry.lens.len() - 1;
        walk_many(&source.geometry.lens[outer..last], &inner, offsets, leaves, |at| {
            let run = work.levels.empty();
            let above = std::mem::replace(&mut work.levels, run);
            (0..blocks).for_each(|b| across.narrow_block(work, at, b, len));
            let mut run = std::mem::replace(&mut work.levels, above);
            let results = run.finish();
            // SAFETY: `results` holds the results of a line, and `to` has room for a line.
            unsafe { work.levels.push(0, |to| std::ptr::copy_nonoverlapping(results, to, width * kernels.state)) };
        });
    };
    across.run(if runs == 1 { blocks } else { runs }, width, kernels.block() * width, threads, emit, &leaf)
}

/// Reduces outputs that are nearer to each other than the lines of one output, of which each has at most one block. For
/// each index of the other reduced axes, the lines of all adjacent outputs are reduced, and merged with those before.
/// The source steps along lines, and its elements are read in place.
pub(super) fn lines(kernels: &Kernels, source: &Source, outer: usize, threads: usize, emit: &Emit) -> Result<()> {
    let (g, last) = (&source.geometry, source.stepped);
    let across = Across { kernels, source, outer, width: g.lens[outer - 1] };
    let (step, len) = (g.strides[0][outer - 1], g.lens[last]);
    let columns = across.width.min((kernels.row_bytes / kernels.state).max(1));
    let leaf = |work: &mut Work, offsets: &[isize], columns: Range<usize>, runs: Range<usize>| {
        let Work { room, levels, .. } = work;
        walk_many(&g.lens[outer..last], &[&g.strides[0][outer..last]], offsets, runs, |at| {
            // SAFETY: the lines are within the operand (invariants of `Reduce`), and there is room for their results.
            unsafe {
                let src = source.values(room, &[at[0] + columns.start as isize * step], 0, len, 0);
                levels.push(0, |to| kernels.short(src, step, len, columns.len(), to));
            }
        });
    };
    across.run(g.lens[outer..last].iter().product(), columns, 0, threads, emit, &leaf)
}

/// Reduces the columns of a small matrix. Returns `false`, with nothing written, if the partial results need much
/// memory.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallReduce`], and `kernels` are for its dtype.
pub(super) unsafe fn small(kernels: &Kernels, work: &SmallReduce) -> bool {
    let &SmallReduce { values, outputs: width, len, out, .. } = work;
    if width * kernels.state > SMALL_STATES {
        return false;
    }
    let rows_of_leaf = if work.order == Order::Lanes { kernels.block() } else { ROWS };
    let row = width * kernels.size;
    let (mut kept, mut levels) = (Kept::default(), Levels::new(kernels, width));
    let mut leaf = |first: usize, to: *mut u8| {
        let count = rows_of_leaf.min(len - first);
        // SAFETY: row i of `width` elements begins at `i * row` bytes (invariants of `SmallReduce`, which the caller
        // guarantees), and `to` has room for `width` results.
        unsafe {
            let start = values.add(first * row);
            if work.order == Order::Lanes {
                return kernels.narrow(&mut kept, start, count * width, width, to);
            }
            let mut rows = [std::ptr::null(); ROWS];
            rows[..count].iter_mut().enumerate().for_each(|(i, at)| *at = start.add(i * row));
            kernels.rows(&mut kept, &rows[..count], width, first, to);
        }
    };
    // SAFETY: `leaf` writes `width` results of this table. `out` has room for their values.
    unsafe {
        if len <= rows_of_leaf && kernels.is_value {
            leaf(0, out);
            return true;
        }
        (0..len).step_by(rows_of_leaf).for_each(|first| levels.push(0, |to| leaf(first, to)));
        kernels.give_all(levels.finish(), width, out);
    }
    true
}

/// The most bytes of partial results of a small matrix, for each level of the tree.
const SMALL_STATES: usize = 16 << 10;

/// A function that reduces some leaves of some columns of the line at these offsets.
type Leaf<'a> = &'a (dyn Fn(&mut Work, &[isize], Range<usize>, Range<usize>) + Sync);

impl<'a> Across<'a> {
    /// Reduces one leaf: the rows `rows` of some columns.
    fn block_of_rows(&self, work: &mut Work, offsets: &[isize], columns: Range<usize>, rows: Range<usize>) {
        let inner: SmallVec<[&[isize]; 8]> = self.source.geometry.strides.iter().map(|s| &s[self.outer..]).collect();
        let (mut at_rows, mut count, n) = ([std::ptr::null::<u8>(); ROWS], 0, columns.len());
        let Work { room, kept, levels } = work;
        walk_many(&self.source.geometry.lens[self.outer..], &inner, offsets, rows.clone(), |at| {
            // SAFETY: the indices are within the operands (invariants of `Reduce`), and each row has its own range of
            // the room.
            at_rows[count] = unsafe { self.source.values(room, at, columns.start, n, count * n) };
            count += 1;
        });
        // SAFETY: the rows have n elements, and there is room for n results.
        unsafe { levels.push(0, |to| self.kernels.rows(kept, &at_rows[..count], n, rows.start, to)) };
    }

    /// Reduces one leaf: block `number` of a run of `len` narrow rows.
    fn narrow_block(&self, work: &mut Work, offsets: &[isize], number: usize, len: usize) {
        let first = number * self.kernels.block();
        let n = (len - first).min(self.kernels.block()) * self.width;
        let Work { room, kept, levels } = work;
        // SAFETY: the indices are within the operands, because the rows are contiguous (a precondition of `narrow`).
        // There is room for a line of results.
        unsafe {
            let src = self.source.values(room, offsets, first * self.width, n, 0);
            levels.push(0, |to| self.kernels.narrow(kept, src, n, self.width, to));
        }
    }

    /// Reduces every output. A line has `leaves` leaves, and `columns` of its columns are processed at once. `leaf`
    /// reduces some of the leaves, from at most `most` elements at once.
    fn run(&self, leaves: usize, columns: usize, most: usize, threads: usize, emit: &Emit, leaf: Leaf) -> Result<()> {
        let lens = &self.source.geometry.lens[..self.outer - 1];
        let lines: usize = lens.iter().product();
        let parts = self.width.div_ceil(columns);
        let pieces = if threads == 1 || lines * parts >= PIECES * threads {
            Pieces::whole(leaves)
        } else {
            Pieces::new(leaves, threads)
        };
        let bytes = self.width * self.kernels.state;
        let mut partial: Vec<MaybeUninit<u64>> = Vec::new();
        if pieces.count > 1 {
            partial.resize((lines * pieces.count * bytes).div_ceil(8), MaybeUninit::uninit());
        }
        let out = Shared(partial.as_mut_ptr().cast::<u8>());
        let zeros: Offsets = SmallVec::from_elem(0, self.source.geometry.bases.len());
        // The parts of a piece are consecutive tasks, so that a thread reads full rows.
        split(threads, lines * pieces.count * parts, 1, |range| {
            let mut strips = emit.strips()?;
            let mut offsets = zeros.clone();
            let levels = Levels::new(self.kernels, columns);
            let mut work = Work { room: self.source.room(most)?, kept: Kept::default(), levels };
            for task in range {
                let (line, piece, part) = (task / (pieces.count * parts), task / parts % pieces.count, task % parts);
                let these = part * columns..self.width.min((part + 1) * columns);
                work.levels.reset(these.len());
                walk_many(lens, &self.source.strides(), &zeros, line..line + 1, |at| offsets = at.into());
                leaf(&mut work, &offsets, these.clone(), pieces.range(piece));
                let results = work.levels.finish();
                // SAFETY: `results` holds the results of these columns. Threads have disjoint outputs and disjoint
                // parts of the partial results.
                unsafe {
                    if pieces.count == 1 {
                        let first = line * self.width + these.start;
                        give(self.kernels, emit, &mut strips, first, results, these.len());
                    } else {
                        let to = (line * pieces.count + piece) * bytes + these.start * self.kernels.state;
                        let to = out.get().add(to);
                        std::ptr::copy_nonoverlapping(results, to, these.len() * self.kernels.state);
                    }
                }
            }
            Ok(())
        })?;
        if pieces.count > 1 {
            let mut strips = emit.strips()?;
            let mut levels = Levels::new(self.kernels, self.width);
            for line in 0..lines {
                levels.reset(self.width);
                // SAFETY: all partial results were written above, and there is room for a line of them. The other
                // threads have finished.
                unsafe {
                    for piece in 0..pieces.count {
                        let from = out.get().add((line * pieces.count + piece) * bytes);
                        levels.push(pieces.level_of(piece), |to| std::ptr::copy_nonoverlapping(from, to, bytes));
                    }
                    give(self.kernels, emit, &mut strips, line * self.width, levels.finish(), self.width);
                }
            }
        }
        Ok(())
    }
}
