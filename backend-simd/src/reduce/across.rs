//! Outputs side by side: across rows ([`Order::Rows`](polyarray_core::order::Order::Rows)), and across rows so narrow that each lane of the others is a row.

use super::along::{PIECES, Pieces};
use super::emit::Emit;
use super::kind::{Kind, Levels, block_of};
use super::source::{Room, Source};
use crate::lanes::Isa;
use crate::threads::{Shared, split};
use polyarray_core::order::ROWS;
use polyarray_core::walk::walk_many;
use polyarray_core::{Element, Result};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The most bytes of a row that a program makes at once: [`ROWS`] of them stay in the second-level cache.
const MADE_BYTES: usize = 4 << 10;

type Offsets = SmallVec<[isize; 8]>;

/// Working memory of one thread.
struct Work<'a, T, S> {
    room: Room<'a>,
    elements: Vec<T>,
    levels: Levels<S>,
}

/// What both ways share: outputs come in lines of `width`, in C order; leaves of a line are combined as a tree.
struct Across<'a, I, T, K> {
    isa: I,
    source: &'a Source<I>,
    /// Axes of outputs.
    outer: usize,
    /// Outputs of a line.
    width: usize,
    kind: PhantomData<fn() -> (T, K)>,
}

/// Reduces across rows; the source steps along the last of the `outer` axes.
pub(super) fn rows<I: Isa, T: Element, K: Kind<T>>(isa: I, source: &Source<I>, outer: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
    let across = Across::<I, T, K> { isa, source, outer, width: source.geometry.lens[source.stepped], kind: PhantomData };
    let most = if source.is_direct() { K::ROW_BYTES } else { K::ROW_BYTES.min(MADE_BYTES) } / size_of::<T>();
    let parts = across.width.div_ceil(most);
    // Whole cache lines, unless there is only one part.
    let columns = if parts == 1 { across.width } else { across.width.div_ceil(parts).next_multiple_of(64) };
    let reduced: usize = source.geometry.lens[outer..].iter().product();
    let leaf = |work: &mut Work<T, K::State>, offsets: &[isize], columns: Range<usize>, blocks: Range<usize>| {
        blocks.for_each(|b| across.block_of_rows(work, offsets, columns.clone(), b * ROWS..reduced.min((b + 1) * ROWS)));
    };
    across.run(reduced.div_ceil(ROWS), columns, ROWS * columns, threads, emit, leaf)
}

/// Reduces narrow rows without gaps.
pub(super) fn narrow<I: Isa, T: Element, K: Kind<T>>(isa: I, source: &Source<I>, outer: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
    let across = Across::<I, T, K> { isa, source, outer, width: source.geometry.lens[source.stepped], kind: PhantomData };
    let width = across.width;
    let (len, runs) = source.geometry.lens[outer..].split_last().map(|(len, runs)| (*len, runs.iter().product::<usize>())).expect("a reduction has an inner axis");
    let blocks = len.div_ceil(block_of::<T>());
    let leaf = |work: &mut Work<T, K::State>, offsets: &[isize], _: Range<usize>, leaves: Range<usize>| {
        if runs == 1 {
            return leaves.for_each(|b| across.narrow_block(work, offsets, b, len));
        }
        let inner: SmallVec<[&[isize]; 8]> = source.geometry.strides.iter().map(|s| &s[outer..]).collect();
        let last = source.geometry.lens.len() - 1;
        walk_many(&source.geometry.lens[outer..last], &inner, offsets, leaves, |at| {
            let above = std::mem::replace(&mut work.levels, Levels::new(width));
            (0..blocks).for_each(|b| across.narrow_block(work, at, b, len));
            let mut run = std::mem::replace(&mut work.levels, above);
            let results = run.finish::<T, I, K>(isa);
            // SAFETY: a line's results are as many as there is room for.
            work.levels.push::<T, I, K>(isa, 0, |to| unsafe { std::ptr::copy_nonoverlapping(results.as_ptr(), to, width) });
        });
    };
    across.run(if runs == 1 { blocks } else { runs }, width, block_of::<T>() * width, threads, emit, leaf)
}

impl<'s, I: Isa, T: Element, K: Kind<T>> Across<'s, I, T, K> {
    /// One leaf: rows `rows` of some columns.
    fn block_of_rows(&self, work: &mut Work<T, K::State>, offsets: &[isize], columns: Range<usize>, rows: Range<usize>) {
        let inner: SmallVec<[&[isize]; 8]> = self.source.geometry.strides.iter().map(|s| &s[self.outer..]).collect();
        let (mut at_rows, mut count, n) = ([std::ptr::null::<T>(); ROWS], 0, columns.len());
        let Work { room, elements, levels } = work;
        walk_many(&self.source.geometry.lens[self.outer..], &inner, offsets, rows.clone(), |at| {
            // SAFETY: indices inside the operands (invariants of `Reduce`); each row has a place of its own in the room.
            at_rows[count] = unsafe { self.source.values(room, at, columns.start, n, count * n) }.cast();
            count += 1;
        });
        // SAFETY: rows of n elements; there is room for n results.
        levels.push::<T, I, K>(self.isa, 0, |to| unsafe { K::rows(self.isa, elements, &at_rows[..count], n, rows.start, to) });
    }

    /// One leaf: block `number` of a run of `len` narrow rows.
    fn narrow_block(&self, work: &mut Work<T, K::State>, offsets: &[isize], number: usize, len: usize) {
        let first = number * block_of::<T>();
        let n = (len - first).min(block_of::<T>()) * self.width;
        let Work { room, elements, levels } = work;
        // SAFETY: indices inside the operands: rows follow each other without gaps (that is what `narrow` is for); there is room for a line of results.
        unsafe {
            let src = self.source.values(room, offsets, first * self.width, n, 0).cast();
            levels.push::<T, I, K>(self.isa, 0, |to| K::narrow(self.isa, elements, src, n, self.width, to));
        }
    }

    /// Every output. `leaves` are those of a line, `columns` of which are worked on at once; `leaf` makes some of them, from at most `most` elements at once.
    fn run(
        &self,
        leaves: usize,
        columns: usize,
        most: usize,
        threads: usize,
        emit: &Emit<I>,
        leaf: impl Fn(&mut Work<T, K::State>, &[isize], Range<usize>, Range<usize>) + Sync,
    ) -> Result<()> {
        let lens = &self.source.geometry.lens[..self.outer - 1];
        let lines: usize = lens.iter().product();
        let parts = self.width.div_ceil(columns);
        let pieces = if threads == 1 || lines * parts >= PIECES * threads { Pieces::whole(leaves) } else { Pieces::new(leaves, threads) };
        let mut partial: Vec<MaybeUninit<K::State>> = Vec::new();
        if pieces.count > 1 {
            partial.resize_with(lines * pieces.count * self.width, MaybeUninit::uninit);
        }
        let out = Shared(partial.as_mut_ptr());
        let zeros: Offsets = SmallVec::from_elem(0, self.source.geometry.bases.len());
        // Parts of one piece follow each other, so that a thread reads whole rows.
        split(threads, lines * pieces.count * parts, 1, |range| {
            let mut strips = emit.strips()?;
            let mut offsets = zeros.clone();
            let mut work = Work { room: self.source.room(most)?, elements: Vec::new(), levels: Levels::new(columns) };
            for task in range {
                let (line, piece, part) = (task / (pieces.count * parts), task / parts % pieces.count, task % parts);
                let these = part * columns..self.width.min((part + 1) * columns);
                work.levels.reset(these.len());
                walk_many(lens, &self.source.strides(), &zeros, line..line + 1, |at| offsets = at.into());
                leaf(&mut work, &offsets, these.clone(), pieces.range(piece));
                let results = work.levels.finish::<T, I, K>(self.isa);
                if pieces.count == 1 {
                    give::<I, T, K>(emit, &mut strips, line * self.width + these.start, results);
                } else {
                    let to = (line * pieces.count + piece) * self.width + these.start;
                    // SAFETY: threads have disjoint parts of the partial results, of which these are `results.len()`.
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
                    // SAFETY: every partial result was written above; there is room for a line of them.
                    levels.push::<T, I, K>(self.isa, pieces.level_of(piece), |to| unsafe { std::ptr::copy_nonoverlapping(from.as_ptr().cast(), to, self.width) });
                }
                give::<I, T, K>(emit, &mut strips, line * self.width, levels.finish::<T, I, K>(self.isa));
            }
        }
        Ok(())
    }
}

/// Writes the values of `results`, which are those of the outputs from `first` on.
fn give<I: Isa, T: Element, K: Kind<T>>(emit: &Emit<I>, strips: &mut Option<crate::exec::Strips>, first: usize, results: &[K::State]) {
    let mut values: SmallVec<[K::Gives; 64]> = SmallVec::new();
    for (i, some) in results.chunks(64).enumerate() {
        values.clear();
        values.extend(some.iter().map(|&s| K::give(s)));
        // SAFETY: results that are there, of outputs that no other thread has.
        unsafe { emit.write(strips, first + i * 64, values.as_ptr().cast(), values.len()) };
    }
}
