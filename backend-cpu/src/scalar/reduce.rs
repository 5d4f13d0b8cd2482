//! Reductions, in the order that `polyarray_core::order` fixes.

use super::strips::Strips;
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use polyarray_core::op::{Reduce, Reduction};
use polyarray_core::order::{Order, ROWS, Tree, lanes};
use polyarray_core::{Buffer, with_dtype};
use smallvec::SmallVec;
use std::ops::Range;

/// Runs a reduction whose results go to `out`.
pub fn run(op: &Reduce, out: &Buffer) {
    with_dtype!(op.before.output(), T => typed::<T>(op, out));
}

fn typed<T: Ufuncs>(op: &Reduce, out: &Buffer) {
    let (outer, inner) = (op.outer.size(), op.inner.size());
    let lens: SmallVec<[usize; 8]> = op.outer.iter().chain(op.inner.iter()).copied().collect();
    let sources: SmallVec<[Source; 2]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut before = Strips::new(&op.before, &op.params, inner);
    let mut after = Strips::new(&op.after, &op.after_params, outer);
    let mut fold = Fold::<T>::new(op);
    for start in (0..outer).step_by(after.len()) {
        let outputs = start..outer.min(start + after.len());
        for at in outputs.clone() {
            for from in (0..inner).step_by(before.len()) {
                let range = from..inner.min(from + before.len());
                for (i, source) in sources.iter().enumerate() {
                    source.gather(&lens, at * inner + range.start..at * inner + range.end, before.input_bytes(i));
                }
                before.run(range.len());
                fold.add(range.clone(), &before.result::<T>()[..range.len()]);
            }
            after.input(0)[at - start] = fold.finish();
        }
        after.run(outputs.len());
        target.scatter(&op.outer, outputs, after.result_bytes());
    }
}

/// The elements of one output, combined as they come. Both orders are the same thing with other figures: across rows there is one lane, and one run.
struct Fold<T> {
    combine: fn(T, T) -> T,
    identity: T,
    /// Elements of a run.
    run: usize,
    /// Elements of a block.
    block: usize,
    lanes: SmallVec<[T; 64]>,
    /// Of the blocks of this run.
    blocks: Tree<T>,
    /// Of the runs of this output.
    runs: Tree<T>,
}

impl<T: Ufuncs> Fold<T> {
    fn new(op: &Reduce) -> Fold<T> {
        let kind: Reduction = op.kind;
        let (run, lanes) = match op.order {
            Order::Lanes => (*op.inner.last().expect("a reduction has an inner axis"), lanes(T::DTYPE)),
            Order::Rows => (op.inner.size(), 1),
        };
        let identity = T::identity(kind);
        let start = SmallVec::from_elem(identity, lanes);
        Fold { combine: T::combine(kind), identity, run, block: lanes * ROWS, lanes: start, blocks: Tree::new(), runs: Tree::new() }
    }

    /// Takes the elements of inner indices `range`, which follow those before.
    fn add(&mut self, range: Range<usize>, values: &[T]) {
        let mut at = range.start;
        while at < range.end {
            let in_run = at % self.run;
            let in_block = in_run % self.block;
            let count = (range.end - at).min(self.run - in_run).min(self.block - in_block);
            for (i, &x) in values[at - range.start..][..count].iter().enumerate() {
                let lane = (in_block + i) % self.lanes.len();
                self.lanes[lane] = (self.combine)(self.lanes[lane], x);
            }
            at += count;
            let run_ends = at.is_multiple_of(self.run);
            if run_ends || in_block + count == self.block {
                self.end_block();
            }
            if run_ends {
                self.end_run();
            }
        }
    }

    fn end_block(&mut self) {
        let mut half = self.lanes.len() / 2;
        while half > 0 {
            for l in 0..half {
                self.lanes[l] = (self.combine)(self.lanes[l], self.lanes[l + half]);
            }
            half /= 2;
        }
        let (total, combine) = (self.lanes[0], self.combine);
        self.blocks.push(total, |a, b| *a = combine(*a, b));
        self.lanes.fill(self.identity);
    }

    fn end_run(&mut self) {
        let combine = self.combine;
        let total = std::mem::take(&mut self.blocks).finish(|a, b| *a = combine(*a, b)).expect("a run has a block");
        self.runs.push(total, |a, b| *a = combine(*a, b));
    }

    /// The result; the next output may follow.
    fn finish(&mut self) -> T {
        let combine = self.combine;
        std::mem::take(&mut self.runs).finish(|a, b| *a = combine(*a, b)).expect("an output has a run")
    }
}
