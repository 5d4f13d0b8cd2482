//! Adjacent outputs: reduces across rows ([`Order::Rows`](polyarray_core::order::Order::Rows)), and across rows so
//! narrow that each lane of the other order is a row.

use super::along::{PIECES, Pieces, give};
use super::emit::Emit;
use super::kind::{Kept, Kernels, Levels, State};
use super::source::{Room, Source};
use crate::lanes::Isa;
use crate::threads::{Shared, split};
use polyarray_core::Result;
use polyarray_core::order::ROWS;
use polyarray_core::walk::walk_many;
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The largest number of bytes of a row that a program produces at once: [`ROWS`] such rows stay in the second-level
/// cache.
const MADE_BYTES: usize = 4 << 10;

type Offsets = SmallVec<[isize; 8]>;

/// The working memory of one thread.
struct Work<'a, S> {
    room: Room<'a>,
    kept: Kept,
    levels: Levels<S>,
}

/// The common data of both methods. Outputs form lines of `width` in C order, and the leaves of a line are combined as
/// a tree.
struct Across<'a, I, S> {
    kernels: &'a Kernels<I, S>,
    source: &'a Source<I>,
    /// The number of output axes.
    outer: usize,
    /// The number of outputs of a line.
    width: usize,
}

/// Reduces across rows. The source steps along the last of the `outer` axes.
pub(super) fn rows<I: Isa, S: State>(
    kernels: &Kernels<I, S>,
    source: &Source<I>,
    outer: usize,
    threads: usize,
    emit: &Emit<I>,
) -> Result<()> {
    let across = Across { kernels, source, outer, width: source.geometry.lens[source.stepped] };
    let most = if source.is_direct() { kernels.row_bytes } else { kernels.row_bytes.min(MADE_BYTES) } / kernels.size;
    let parts = across.width.div_ceil(most);
    // Full cache lines, unless there is only one part.
    let columns = if parts == 1 { across.width } else { across.width.div_ceil(parts).next_multiple_of(64) };
    let reduced: usize = source.geometry.lens[outer..].iter().product();
    let leaf = |work: &mut Work<S>, offsets: &[isize], columns: Range<usize>, blocks: Range<usize>| {
        blocks
            .for_each(|b| across.block_of_rows(work, offsets, columns.clone(), b * ROWS..reduced.min((b + 1) * ROWS)));
    };
    across.run(reduced.div_ceil(ROWS), columns, ROWS * columns, threads, emit, leaf)
}

/// Reduces narrow contiguous rows.
pub(super) fn narrow<I: Isa, S: State>(
    kernels: &Kernels<I, S>,
    source: &Source<I>,
    outer: usize,
    threads: usize,
    emit: &Emit<I>,
) -> Result<()> {
    let across = Across { kernels, source, outer, width: source.geometry.lens[source.stepped] };
    let width = across.width;
    let (len, runs) = source.geometry.lens[outer..]
        .split_last()
        .map(|(len, runs)| (*len, runs.iter().product::<usize>()))
        .expect("a reduction has an inner axis");
    let blocks = len.div_ceil(kernels.block());
    let leaf = |work: &mut Work<S>, offsets: &[isize], _: Range<usize>, leaves: Range<usize>| {
        if runs == 1 {
            return leaves.for_each(|b| across.narrow_block(work, offsets, b, len));
        }
        let inner: SmallVec<[&[isize]; 8]> = source.geometry.strides.iter().map(|s| &s[outer..]).collect();
        let last = source.geometry.lens.len() - 1;
        walk_many(&source.geometry.lens[outer..last], &inner, offsets, leaves, |at| {
            let above = std::mem::replace(&mut work.levels, Levels::new(width));
            (0..blocks).for_each(|b| across.narrow_block(work, at, b, len));
            let mut run = std::mem::replace(&mut work.levels, above);
            let results = run.finish(kernels);
            // SAFETY: `results` holds the results of a line, and `to` has room for a line.
            unsafe { work.levels.push(kernels, 0, |to| std::ptr::copy_nonoverlapping(results.as_ptr(), to, width)) };
        });
    };
    across.run(if runs == 1 { blocks } else { runs }, width, kernels.block() * width, threads, emit, leaf)
}

impl<I: Isa, S: State> Across<'_, I, S> {
    /// Reduces one leaf: the rows `rows` of some columns.
    fn block_of_rows(&self, work: &mut Work<S>, offsets: &[isize], columns: Range<usize>, rows: Range<usize>) {
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
        unsafe {
            levels.push(self.kernels, 0, |to| {
                (self.kernels.rows)(self.kernels.isa, kept, &at_rows[..count], n, rows.start, to)
            })
        };
    }

    /// Reduces one leaf: block `number` of a run of `len` narrow rows.
    fn narrow_block(&self, work: &mut Work<S>, offsets: &[isize], number: usize, len: usize) {
        let first = number * self.kernels.block();
        let n = (len - first).min(self.kernels.block()) * self.width;
        let Work { room, kept, levels } = work;
        // SAFETY: the indices are within the operands, because the rows are contiguous (a precondition of `narrow`).
        // There is room for a line of results.
        unsafe {
            let src = self.source.values(room, offsets, first * self.width, n, 0);
            levels.push(self.kernels, 0, |to| (self.kernels.narrow)(self.kernels.isa, kept, src, n, self.width, to));
        }
    }

    /// Reduces every output. A line has `leaves` leaves, and `columns` of its columns are processed at once. `leaf`
    /// reduces some of the leaves, from at most `most` elements at once.
    fn run(
        &self,
        leaves: usize,
        columns: usize,
        most: usize,
        threads: usize,
        emit: &Emit<I>,
        leaf: impl Fn(&mut Work<S>, &[isize], Range<usize>, Range<usize>) + Sync,
    ) -> Result<()> {
        let lens = &self.source.geometry.lens[..self.outer - 1];
        let lines: usize = lens.iter().product();
        let parts = self.width.div_ceil(columns);
        let pieces = if threads == 1 || lines * parts >= PIECES * threads {
            Pieces::whole(leaves)
        } else {
            Pieces::new(leaves, threads)
        };
        let mut partial: Vec<MaybeUninit<S>> = Vec::new();
        if pieces.count > 1 {
            partial.resize_with(lines * pieces.count * self.width, MaybeUninit::uninit);
        }
        let out = Shared(partial.as_mut_ptr());
        let zeros: Offsets = SmallVec::from_elem(0, self.source.geometry.bases.len());
        // The parts of a piece are consecutive tasks, so that a thread reads full rows.
        split(threads, lines * pieces.count * parts, 1, |range| {
            let mut strips = emit.strips()?;
            let mut offsets = zeros.clone();
            let mut work = Work { room: self.source.room(most)?, kept: Kept::default(), levels: Levels::new(columns) };
            for task in range {
                let (line, piece, part) = (task / (pieces.count * parts), task / parts % pieces.count, task % parts);
                let these = part * columns..self.width.min((part + 1) * columns);
                work.levels.reset(these.len());
                walk_many(lens, &self.source.strides(), &zeros, line..line + 1, |at| offsets = at.into());
                leaf(&mut work, &offsets, these.clone(), pieces.range(piece));
                let results = work.levels.finish(self.kernels);
                if pieces.count == 1 {
                    give(emit, &mut strips, line * self.width + these.start, results);
                } else {
                    let to = (line * pieces.count + piece) * self.width + these.start;
                    // SAFETY: threads have disjoint parts of the partial results, and each part has `results.len()`
                    // elements.
                    unsafe { std::ptr::copy_nonoverlapping(results.as_ptr(), out.get().add(to).cast(), results.len()) };
                }
            }
            Ok(())
        })?;
        if pieces.count > 1 {
            let mut strips = emit.strips()?;
            let mut levels = Levels::new(self.width);
            for (line, states) in partial.chunks(pieces.count * self.width).enumerate() {
                levels.reset(self.width);
                for (piece, from) in states.chunks(self.width).enumerate() {
                    // SAFETY: all partial results were written above, and there is room for a line of them.
                    unsafe {
                        levels.push(self.kernels, pieces.level_of(piece), |to| {
                            std::ptr::copy_nonoverlapping(from.as_ptr().cast(), to, self.width)
                        })
                    };
                }
                give(emit, &mut strips, line * self.width, levels.finish(self.kernels));
            }
        }
        Ok(())
    }
}
