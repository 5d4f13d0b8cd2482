//! [`Order::Lanes`](polyarray_core::order::Order::Lanes): each output along runs of its elements.

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

/// Results that are held until they are written.
const HELD: usize = 64;

/// Partial results are made in this many pieces for each thread, so that none waits long for another.
pub(super) const PIECES: usize = 4;

/// Reduces every output; the first `outer` axes of the source are those of outputs.
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
    /// The length of a run.
    fn len(&self) -> usize {
        self.source.geometry.lens[self.source.stepped]
    }

    /// Lengths of the axes whose indices are runs of an output.
    fn runs(&self) -> &[usize] {
        &self.source.geometry.lens[self.outer..self.source.stepped]
    }

    /// Blocks `blocks` of run `number`, which starts at `offsets`.
    fn blocks(&self, room: &mut Room, offsets: &[isize], number: usize, blocks: Range<usize>) -> S {
        let (len, size) = (self.len(), self.kernels.block());
        let mut run = Run::new();
        for start in blocks.map(|b| b * size) {
            let n = size.min(len - start);
            // SAFETY: the elements of a block are inside the operands (invariants of `Reduce`), and read before the next block is made.
            unsafe {
                let src = self.source.values(room, offsets, start, n, 0);
                (self.kernels.push)(self.kernels.isa, &mut run, src, n, number * len + start);
            }
        }
        self.kernels.end(run)
    }

    /// Runs `runs` of the output at `offsets`.
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

    /// Outputs of one block each, along one axis, whose elements are read where they lie.
    fn short_outputs(&self, outputs: usize, threads: usize, emit: &Emit<I>) -> Result<()> {
        let (len, step) = (self.len(), self.source.geometry.strides[0][0]);
        split(threads, outputs, 1, |range| {
            let mut strips = emit.strips()?;
            let mut results: Vec<S> = room(HELD)?;
            let mut room = self.source.room(0)?;
            for first in range.clone().step_by(HELD) {
                let count = HELD.min(range.end - first);
                // SAFETY: the elements of these outputs are inside the operand (invariants of `Reduce`); there is room for as many results, which `short` writes.
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

    /// Each output on one thread.
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

    /// A few outputs: full subtrees of their blocks (or of their runs, if they have several) are made apart.
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
                tree.push_level(state.expect("made above"), pieces.level_of(i), self.kernels.merge);
            }
            let result = tree.finish(self.kernels.merge).expect("an output has a piece").give();
            // SAFETY: one output; the threads are done.
            unsafe { emit.write(&mut strips, number, (&raw const result).cast(), 1) };
        }
        Ok(())
    }

    fn zeros(&self) -> SmallVec<[isize; 8]> {
        SmallVec::from_elem(0, self.source.geometry.bases.len())
    }

    /// Where each output starts.
    fn starts(&self, outputs: usize) -> Result<Vec<SmallVec<[isize; 8]>>> {
        let mut starts = room(outputs)?;
        walk_many(&self.source.geometry.lens[..self.outer], &self.source.strides(), &self.zeros(), 0..outputs, |at| {
            starts.push(at.into())
        });
        Ok(starts)
    }
}

/// Writes the values of `results`, which are those of the outputs from `first` on.
pub(super) fn give<I: Isa, S: State>(emit: &Emit<I>, strips: &mut Option<Strips>, first: usize, results: &[S]) {
    if let Some(values) = S::as_given(results) {
        // SAFETY: results that are there, of outputs that no other thread has.
        return unsafe { emit.write(strips, first, values.as_ptr().cast(), values.len()) };
    }
    let mut values: SmallVec<[S::Gives; HELD]> = SmallVec::new();
    for (i, some) in results.chunks(HELD).enumerate() {
        values.clear();
        values.extend(some.iter().map(|&s| s.give()));
        // SAFETY: as above.
        unsafe { emit.write(strips, first + i * HELD, values.as_ptr().cast(), values.len()) };
    }
}

/// Leaves of a tree, cut into full subtrees.
pub(super) struct Pieces {
    leaves: usize,
    level: u32,
    /// How many pieces.
    pub count: usize,
}

impl Pieces {
    /// Several for each thread; a power of two, so that a piece is a subtree.
    pub fn new(leaves: usize, threads: usize) -> Pieces {
        let level = (leaves / (threads * PIECES)).max(1).ilog2();
        Pieces { leaves, level, count: leaves.div_ceil(1 << level) }
    }

    /// All in one piece.
    pub fn whole(leaves: usize) -> Pieces {
        Pieces { leaves, level: leaves.next_power_of_two().ilog2(), count: 1 }
    }

    pub fn range(&self, piece: usize) -> Range<usize> {
        piece << self.level..((piece + 1) << self.level).min(self.leaves)
    }

    /// The last piece may be a smaller subtree; nothing follows it, so its level does not matter.
    pub fn level_of(&self, piece: usize) -> u32 {
        if (piece + 1) << self.level <= self.leaves { self.level } else { 0 }
    }
}
