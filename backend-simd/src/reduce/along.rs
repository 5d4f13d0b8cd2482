//! [`Order::Lanes`](polyarray_core::order::Order::Lanes): reduces each output along the runs of its elements.

use super::emit::Emit;
use super::kind::{Kernels, Run, State};
use super::source::{Room, Source};
use crate::exec::Strips;
use crate::lanes::Isa;
use crate::scratch::{filled, room};
use crate::threads::{Shared, split};
use polyarray_core::Result;
use polyarray_core::order::Tree;
use polyarray_core::walk::walk_many;
use smallvec::SmallVec;
use std::ops::Range;

/// The number of results that are buffered before they are written.
const HELD: usize = 64;

/// The number of pieces per thread into which partial results are divided, so that no thread waits long for another.
pub(super) const PIECES: usize = 4;

/// Reduces every output. The first `outer` axes of the source are the output axes.
pub(super) fn run<I: Isa, S: State>(
    kernels: &Kernels<I, S>,
    source: &Source<I>,
    outer: usize,
    threads: usize,
    emit: &Emit<I>,
) -> Result<()> {
    let along = Along { kernels, source, outer };
    let outputs: usize = source.geometry.lens[..outer].iter().product();
    if threads == 1 || outputs >= PIECES * threads {
        along.whole_outputs(outputs, threads, emit)
    } else {
        along.pieces_of_outputs(outputs, threads, emit)
    }
}

struct Along<'a, I, S> {
    kernels: &'a Kernels<I, S>,
    source: &'a Source<I>,
    outer: usize,
}

impl<I: Isa, S: State> Along<'_, I, S> {
    /// Returns the length of a run.
    fn len(&self) -> usize {
        self.source.geometry.lens[self.source.stepped]
    }

    /// Returns the lengths of the axes whose indices are the runs of an output.
    fn runs(&self) -> &[usize] {
        &self.source.geometry.lens[self.outer..self.source.stepped]
    }

    /// Reduces the blocks `blocks` of run `number`, which starts at `offsets`.
    fn blocks(&self, room: &mut Room, offsets: &[isize], number: usize, blocks: Range<usize>) -> S {
        let (len, size) = (self.len(), self.kernels.block());
        let mut run = Run::new();
        for start in blocks.map(|b| b * size) {
            let n = size.min(len - start);
            // SAFETY: the elements of a block are within the operands (invariants of `Reduce`), and they are read
            // before the next block is produced.
            unsafe {
                let src = self.source.values(room, offsets, start, n, 0);
                (self.kernels.push)(self.kernels.isa, &mut run, src, n, number * len + start);
            }
        }
        self.kernels.end(run)
    }

    /// Reduces the runs `runs` of the output at `offsets`.
    fn some_runs(&self, room: &mut Room, offsets: &[isize], runs: Range<usize>) -> S {
        let blocks = self.len().div_ceil(self.kernels.block());
        if self.runs().iter().all(|&n| n == 1) {
            return self.blocks(room, offsets, 0, 0..blocks);
        }
        let inner: SmallVec<[&[isize]; 8]> = self.source.geometry.strides.iter().map(|s| &s[self.outer..]).collect();
        let (mut tree, mut number) = (Tree::new(), runs.start);
        walk_many(self.runs(), &inner, offsets, runs, |at| {
            tree.push(self.blocks(room, at, number, 0..blocks), self.kernels.merge);
            number += 1;
        });
        tree.finish(self.kernels.merge).expect("an output has a run")
    }

    /// Reduces outputs of one block each, along one axis, with elements read in place.
    fn short_outputs(&self, outputs: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
        let (len, step) = (self.len(), self.source.geometry.strides[0][0]);
        split(threads, outputs, 1, |range| {
            let mut strips = emit.strips()?;
            let mut results: Vec<S> = room(HELD)?;
            let mut room = self.source.room(0)?;
            for first in range.clone().step_by(HELD) {
                let count = HELD.min(range.end - first);
                // SAFETY: the elements of these outputs are within the operand (invariants of `Reduce`). The vector has
                // room for `count` results, and `short` initializes them.
                unsafe {
                    let src = self.source.values(&mut room, &[first as isize * step], 0, len, 0);
                    (self.kernels.short)(self.kernels.isa, src, step, len, count, results.as_mut_ptr());
                    results.set_len(count);
                }
                give(emit, &mut strips, first, &results);
            }
            Ok(())
        })
    }

    /// Reduces each output on one thread.
    fn whole_outputs(&self, outputs: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
        if self.outer == 1 && self.source.is_direct() && self.runs().is_empty() && self.len() <= self.kernels.block() {
            return self.short_outputs(outputs, threads, emit);
        }
        let runs: usize = self.runs().iter().product();
        split(threads, outputs, 1, |range| {
            let (mut room, mut strips) = (self.source.room(self.kernels.block())?, emit.strips()?);
            let mut held: SmallVec<[S::Gives; HELD]> = SmallVec::new();
            let mut first = range.start;
            let mut write = |held: &mut SmallVec<[S::Gives; HELD]>| {
                // SAFETY: threads have disjoint ranges of outputs.
                unsafe { emit.write(&mut strips, first, held.as_ptr().cast(), held.len()) };
                first += held.len();
                held.clear();
            };
            walk_many(&self.source.geometry.lens[..self.outer], &self.source.strides(), &self.zeros(), range, |at| {
                held.push(self.some_runs(&mut room, at, 0..runs).give());
                if held.len() == HELD {
                    write(&mut held);
                }
            });
            write(&mut held);
            Ok(())
        })
    }

    /// Reduces a few outputs. Full subtrees of their blocks (or of their runs, if they have several) are separate
    /// tasks.
    fn pieces_of_outputs(&self, outputs: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
        let runs: usize = self.runs().iter().product();
        let leaves = if runs > 1 { runs } else { self.len().div_ceil(self.kernels.block()) };
        let pieces = Pieces::new(leaves, threads);
        let mut partial: Vec<Option<S>> = filled(outputs * pieces.count, None)?;
        let out = Shared(partial.as_mut_ptr());
        let starts = self.starts(outputs)?;
        split(threads, outputs * pieces.count, 1, |range| {
            let mut room = self.source.room(self.kernels.block())?;
            for task in range {
                let (offsets, leaves) = (&starts[task / pieces.count], pieces.range(task % pieces.count));
                let state = if runs > 1 {
                    self.some_runs(&mut room, offsets, leaves)
                } else {
                    self.blocks(&mut room, offsets, 0, leaves)
                };
                // SAFETY: threads have disjoint ranges of the partial results.
                unsafe { *out.get().add(task) = Some(state) };
            }
            Ok(())
        })?;
        let mut strips = emit.strips()?;
        for (number, states) in partial.chunks(pieces.count).enumerate() {
            let mut tree = Tree::new();
            for (i, state) in states.iter().enumerate() {
                tree.push_level(
                    state.expect("internal error: a partial result is missing"),
                    pieces.level_of(i),
                    self.kernels.merge,
                );
            }
            let result = tree.finish(self.kernels.merge).expect("an output has a piece").give();
            // SAFETY: this is one result for one output, and the other threads have finished.
            unsafe { emit.write(&mut strips, number, (&raw const result).cast(), 1) };
        }
        Ok(())
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

/// Writes the values of `results` to the outputs from number `first` on.
pub(super) fn give<I: Isa, S: State>(emit: &Emit<I>, strips: &mut Option<Strips>, first: usize, results: &[S]) {
    if let Some(values) = S::as_given(results) {
        // SAFETY: the slice holds the results, and no other thread writes their outputs.
        return unsafe { emit.write(strips, first, values.as_ptr().cast(), values.len()) };
    }
    let mut values: SmallVec<[S::Gives; HELD]> = SmallVec::new();
    for (i, some) in results.chunks(HELD).enumerate() {
        values.clear();
        values.extend(some.iter().map(|&s| s.give()));
        // SAFETY: the slice holds the results, and no other thread writes their outputs.
        unsafe { emit.write(strips, first + i * HELD, values.as_ptr().cast(), values.len()) };
    }
}

/// The leaves of a tree, divided into full subtrees.
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
