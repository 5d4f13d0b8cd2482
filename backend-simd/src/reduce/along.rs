//! [`Order::Lanes`](polyarray_core::order::Order::Lanes): reduces each output along the runs of its elements.

use super::emit::Emit;
use super::kind::{HELD, Held, Kernels, Run};
use super::source::{Room, Source};
use crate::exec::Strips;
use crate::flat::{self, Flat};
use crate::partial::Partial;
use crate::scratch::{Scratch, filled, room};
use crate::strided::Geometry;
use crate::threads::{Shared, split};
use polyarray_core::walk::walk_many;
use polyarray_core::{Result, SmallReduce};
use smallvec::SmallVec;
use std::ops::Range;

/// The number of pieces per thread into which partial results are divided, so that no thread waits long for another.
pub(super) const PIECES: usize = 4;

/// Reduces every output. The first `outer` axes of the source are the output axes.
pub(super) fn run(kernels: &Kernels, source: &Source, outer: usize, threads: usize, emit: &Emit) -> Result<()> {
    let along = Along { kernels, source, outer };
    let outputs: usize = source.geometry.lens[..outer].iter().product();
    if threads == 1 || outputs >= PIECES * threads {
        along.whole_outputs(outputs, threads, emit)
    } else {
        along.pieces_of_outputs(outputs, threads, emit)
    }
}

/// Reduces the rows of a small matrix.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallReduce`], and `kernels` are for its dtype.
pub(super) unsafe fn small(kernels: &Kernels, work: &SmallReduce) {
    let &SmallReduce { values, outputs, len, out, .. } = work;
    let (block, row) = (kernels.block(), len * kernels.size);
    // SAFETY: the elements of row i are the `len` ones from `i * row` bytes on, and `out` has room for the result of
    // each (invariants of `SmallReduce`, which the caller guarantees).
    unsafe {
        if len <= block && outputs > 1 {
            let mut held = [Partial::room(); HELD];
            for first in (0..outputs).step_by(HELD) {
                let count = HELD.min(outputs - first);
                let results = held.as_mut_ptr().cast::<u8>();
                kernels.short(values.add(first * row), len as isize, len, count, results);
                kernels.give_all(results, count, out.add(first * kernels.value));
            }
            return;
        }
        for i in 0..outputs {
            let row = values.add(i * row);
            let result = if len <= block {
                kernels.whole(row, len, 0)
            } else {
                let mut run = Run::new(kernels);
                for start in (0..len).step_by(block) {
                    run.push(row.add(start * kernels.size), block.min(len - start), start);
                }
                run.end()
            };
            kernels.give_all(result.at(), 1, out.add(i * kernels.value));
        }
    }
}

/// Short lines that do not lie one after another, or whose elements a program computes: the elements of several lines
/// are computed together, in strips across the axes of `g`. The first `outer` axes are those of the outputs, and the
/// last one is that of the lines.
pub(super) struct Lines<'a> {
    pub kernels: &'a Kernels,
    pub flat: &'a Flat,
    pub g: &'a Geometry,
    pub outer: usize,
}

/// The memory of one thread.
struct LinesRoom<'a> {
    flat: flat::Room<'a>,
    values: Scratch,
}

impl Lines<'_> {
    /// Reduces every output.
    pub fn run(&self, threads: usize, emit: &Emit) -> Result<()> {
        let outputs: usize = self.g.lens[..self.outer].iter().product();
        if threads > 1 && outputs < PIECES * threads {
            let pieces = Pieces::new(self.runs(), threads);
            return in_pieces(self.kernels, outputs, pieces, threads, emit, |range, write| {
                let mut room = self.room()?;
                range.for_each(|task| {
                    let runs = pieces.range(task % pieces.count);
                    write(task, self.some_runs(&mut room, task / pieces.count, runs));
                });
                Ok(())
            });
        }
        split(threads, outputs, 1, |range| {
            let (mut room, mut strips) = (self.room()?, emit.strips()?);
            if self.runs() > 1 {
                for output in range {
                    let result = self.some_runs(&mut room, output, 0..self.runs());
                    // SAFETY: threads have disjoint ranges of outputs.
                    unsafe { give(self.kernels, emit, &mut strips, output, result.at(), 1) };
                }
                return Ok(());
            }
            let mut results = Scratch::new(HELD * self.kernels.state)?;
            for first in range.clone().step_by(self.together()) {
                let count = self.together().min(range.end - first);
                let (src, len) = (self.elements(&mut room, first, count), self.len());
                // SAFETY: `src` has the elements of `count` lines, each of one block, and the scratch has room for
                // their results. Threads have disjoint ranges of outputs.
                unsafe {
                    self.kernels.short(src, len as isize, len, count, results.ptr());
                    give(self.kernels, emit, &mut strips, first, results.ptr(), count);
                }
            }
            Ok(())
        })
    }

    fn len(&self) -> usize {
        *self.g.lens.last().expect("the axis of the lines")
    }

    /// Returns the number of lines of an output.
    fn runs(&self) -> usize {
        self.g.lens[self.outer..self.g.lens.len() - 1].iter().product()
    }

    /// Returns the number of lines whose elements are computed together.
    fn together(&self) -> usize {
        (self.flat.strip() / self.len()).min(HELD)
    }

    fn room(&self) -> Result<LinesRoom<'_>> {
        let values = Scratch::new(self.together() * self.len() * self.kernels.size)?;
        Ok(LinesRoom { flat: self.flat.room(self.g)?, values })
    }

    /// Computes the elements of `count` lines from number `first` on, at most [`together`](Self::together).
    fn elements(&self, room: &mut LinesRoom, first: usize, count: usize) -> *const u8 {
        let (n, to) = (count * self.len(), room.values.ptr());
        // SAFETY: the lines are inside the operands (invariants of `Reduce`), and a strip has room for them. `values`
        // has room for their elements, and overlaps no operand.
        unsafe { self.flat.elements(self.g, &mut room.flat, first * self.len(), n, to) }
    }

    /// Reduces the lines `runs` of an output.
    fn some_runs(&self, room: &mut LinesRoom, output: usize, runs: Range<usize>) -> Partial {
        let (mut all, len) = (Run::new(self.kernels), self.len());
        // The elements of several lines are contiguous, and may be one block if their order does not matter.
        let most = if self.kernels.in_any_order { (self.kernels.block() / len).max(1) } else { 1 };
        for first in runs.clone().step_by(self.together()) {
            let count = self.together().min(runs.end - first);
            let src = self.elements(room, output * self.runs() + first, count);
            for i in (0..count).step_by(most) {
                let n = most.min(count - i) * len;
                // SAFETY: `src` has the elements of `count` lines. Each has at most one block, and so have `most`.
                let result = unsafe { self.kernels.whole(src.add(i * len * self.kernels.size), n, (first + i) * len) };
                if self.kernels.is_decided(&result) {
                    return result;
                }
                // SAFETY: the result is of this table.
                unsafe { all.push_result(result, 0) };
            }
        }
        all.end()
    }
}

struct Along<'a> {
    kernels: &'a Kernels,
    source: &'a Source,
    outer: usize,
}

impl Along<'_> {
    /// Returns the length of a run.
    fn len(&self) -> usize {
        self.source.geometry.lens[self.source.stepped]
    }

    /// Returns the lengths of the axes whose indices are the runs of an output.
    fn runs(&self) -> &[usize] {
        &self.source.geometry.lens[self.outer..self.source.stepped]
    }

    /// Reduces the blocks `blocks` of run `number`, which starts at `offsets`.
    fn blocks(&self, room: &mut Room, offsets: &[isize], number: usize, blocks: Range<usize>) -> Partial {
        let (len, size) = (self.len(), self.kernels.block());
        let range = blocks.start * size..len.min(blocks.end * size);
        let (mut run, mut start, mut piece) = (Run::new(self.kernels), range.start, self.kernels.first_piece());
        while start < range.end {
            let (n, first) = (piece.min(range.end - start), number * len + start);
            // SAFETY: the elements of a block are within the operands (invariants of `Reduce`), and they are read
            // before the next block is produced.
            unsafe {
                let src = self.source.values(room, offsets, start, n, 0);
                if n == range.len() {
                    return self.kernels.whole(src, n, first);
                }
                if self.kernels.may_be_decided() {
                    let result = self.kernels.whole(src, n, first);
                    if self.kernels.is_decided(&result) {
                        return result;
                    }
                    run.push_result(result, 0);
                } else {
                    run.push(src, n, first);
                }
            }
            start += n;
            piece = size.min(2 * piece);
        }
        run.end()
    }

    /// Reduces the runs `runs` of the output at `offsets`.
    fn some_runs(&self, room: &mut Room, offsets: &[isize], runs: Range<usize>) -> Partial {
        let blocks = self.len().div_ceil(self.kernels.block());
        if self.runs().iter().all(|&n| n == 1) {
            return self.blocks(room, offsets, 0, 0..blocks);
        }
        let inner: SmallVec<[&[isize]; 8]> = self.source.geometry.strides.iter().map(|s| &s[self.outer..]).collect();
        let (mut all, mut number) = (Run::new(self.kernels), runs.start);
        let mut decided = None;
        walk_many(self.runs(), &inner, offsets, runs, |at| {
            if decided.is_some() {
                return;
            }
            let result = self.blocks(room, at, number, 0..blocks);
            if self.kernels.is_decided(&result) {
                decided = Some(result);
                return;
            }
            // SAFETY: `blocks` returns results of this table.
            unsafe { all.push_result(result, 0) };
            number += 1;
        });
        decided.unwrap_or_else(|| all.end())
    }

    /// Reduces outputs of one block each, along one axis, with elements read in place.
    fn short_outputs(&self, outputs: usize, threads: usize, emit: &Emit) -> Result<()> {
        let (len, step) = (self.len(), self.source.geometry.strides[0][0]);
        split(threads, outputs, 1, |range| {
            let mut strips = emit.strips()?;
            let mut results = Scratch::new(HELD * self.kernels.state)?;
            let mut room = self.source.room(0)?;
            for first in range.clone().step_by(HELD) {
                let count = HELD.min(range.end - first);
                // SAFETY: the elements of these outputs are within the operand (invariants of `Reduce`). The scratch
                // has room for `count` results, and `short` initializes them. Threads have disjoint ranges of outputs.
                unsafe {
                    let src = self.source.values(&mut room, &[first as isize * step], 0, len, 0);
                    self.kernels.short(src, step, len, count, results.ptr());
                    give(self.kernels, emit, &mut strips, first, results.ptr(), count);
                }
            }
            Ok(())
        })
    }

    /// Reduces each output on one thread.
    fn whole_outputs(&self, outputs: usize, threads: usize, emit: &Emit) -> Result<()> {
        if self.outer == 1 && self.source.is_direct() && self.runs().is_empty() && self.len() <= self.kernels.block() {
            return self.short_outputs(outputs, threads, emit);
        }
        let runs: usize = self.runs().iter().product();
        split(threads, outputs, 1, |range| {
            let (mut room, mut strips) = (self.source.room(self.kernels.block())?, emit.strips()?);
            let (mut held, mut count, mut first) = (Held::new(), 0, range.start);
            let mut write = |held: &mut Held, count: &mut usize| {
                // SAFETY: `held` has this number of values. Threads have disjoint ranges of outputs.
                unsafe { emit.write(&mut strips, first, held.to(), *count) };
                first += std::mem::take(count);
            };
            walk_many(&self.source.geometry.lens[..self.outer], &self.source.strides(), &self.zeros(), range, |at| {
                let result = self.some_runs(&mut room, at, 0..runs);
                // SAFETY: `some_runs` returns a result of this table. `count` is below `HELD`, so there is room for its
                // value.
                unsafe { self.kernels.give_all(result.at(), 1, held.to().add(count * self.kernels.value)) };
                count += 1;
                if count == HELD {
                    write(&mut held, &mut count);
                }
            });
            write(&mut held, &mut count);
            Ok(())
        })
    }

    /// Reduces a few outputs. Full subtrees of their blocks (or of their runs, if they have several) are separate
    /// tasks.
    fn pieces_of_outputs(&self, outputs: usize, threads: usize, emit: &Emit) -> Result<()> {
        let runs: usize = self.runs().iter().product();
        let leaves = if runs > 1 { runs } else { self.len().div_ceil(self.kernels.block()) };
        let pieces = Pieces::new(leaves, threads);
        let starts = self.starts(outputs)?;
        in_pieces(self.kernels, outputs, pieces, threads, emit, |range, write| {
            let mut room = self.source.room(self.kernels.block())?;
            range.for_each(|task| {
                let (offsets, leaves) = (&starts[task / pieces.count], pieces.range(task % pieces.count));
                let state = if runs > 1 {
                    self.some_runs(&mut room, offsets, leaves)
                } else {
                    self.blocks(&mut room, offsets, 0, leaves)
                };
                write(task, state);
            });
            Ok(())
        })
    }

    fn zeros(&self) -> SmallVec<[isize; 8]> {
        SmallVec::from_elem(0, self.source.geometry.bases.len())
    }

    /// Returns the offsets of the first element of each output.
    fn starts(&self, outputs: usize) -> Result<Vec<SmallVec<[isize; 8]>>> {
        let mut starts = room(outputs)?;
        walk_many(&self.source.geometry.lens[..self.outer], &self.source.strides(), &self.zeros(), 0..outputs, |at| {
            starts.push(at.into())
        });
        Ok(starts)
    }
}

/// Reduces a few outputs, each in `pieces`. `reduce` receives the numbers of tasks, `pieces.count` for each output, and
/// passes the partial result of each to its second argument.
fn in_pieces(
    kernels: &Kernels,
    outputs: usize,
    pieces: Pieces,
    threads: usize,
    emit: &Emit,
    reduce: impl Fn(Range<usize>, &mut dyn FnMut(usize, Partial)) -> Result<()> + Sync,
) -> Result<()> {
    let mut partial: Vec<Option<Partial>> = filled(outputs * pieces.count, None)?;
    let out = Shared(partial.as_mut_ptr());
    split(threads, outputs * pieces.count, 1, |range| {
        let numbers = range.clone();
        reduce(range, &mut |task, state| {
            assert!(numbers.contains(&task), "a task of another thread");
            // SAFETY: threads have disjoint ranges of the partial results.
            unsafe { *out.get().add(task) = Some(state) };
        })
    })?;
    let mut strips = emit.strips()?;
    for (number, states) in partial.chunks(pieces.count).enumerate() {
        let mut run = Run::new(kernels);
        for (i, result) in states.iter().enumerate() {
            let result = result.expect("internal error: a partial result is missing");
            // SAFETY: the partial results are of this table.
            unsafe { run.push_result(result, pieces.level_of(i)) };
        }
        let result = run.end();
        // SAFETY: this is one result for one output, and the other threads have finished.
        unsafe { give(kernels, emit, &mut strips, number, result.at(), 1) };
    }
    Ok(())
}

/// Writes the values of `n` results to the outputs from number `first` on.
///
/// # Safety
/// - `results` is valid for reads of `n` results of the table `kernels`.
/// - The outputs `first .. first + n` exist, and no other thread writes them.
pub(super) unsafe fn give(
    kernels: &Kernels,
    emit: &Emit,
    strips: &mut Option<Strips>,
    first: usize,
    results: *const u8,
    n: usize,
) {
    // SAFETY: the caller guarantees the results and their outputs.
    unsafe { kernels.values(results, n, &mut |done, values, count| emit.write(strips, first + done, values, count)) };
}

/// The leaves of a tree, divided into full subtrees.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    leaves: usize,
    level: u32,
    /// The number of pieces.
    pub count: usize,
}

impl Pieces {
    /// Divides `leaves` into several pieces per thread. Their size is a power of two, so that a piece is a subtree.
    pub fn new(leaves: usize, threads: usize) -> Pieces {
        let level = (leaves / (threads * PIECES)).max(1).ilog2();
        Pieces { leaves, level, count: leaves.div_ceil(1 << level) }
    }

    /// Puts all leaves in one piece.
    pub fn whole(leaves: usize) -> Pieces {
        Pieces { leaves, level: leaves.next_power_of_two().ilog2(), count: 1 }
    }

    pub fn range(&self, piece: usize) -> Range<usize> {
        piece << self.level..((piece + 1) << self.level).min(self.leaves)
    }

    /// Returns the level of a piece's subtree. The last piece may be a smaller subtree. Its level is irrelevant,
    /// because no piece follows.
    pub fn level_of(&self, piece: usize) -> u32 {
        if (piece + 1) << self.level <= self.leaves { self.level } else { 0 }
    }
}
