//! Reductions, in the order that `polyarray_core::order` fixes.

use super::strips::Strips;
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use polyarray_core::op::{Reduce, Reduction};
use polyarray_core::order::{Deviate, Moments, Order, ROWS, Tree, lanes};
use polyarray_core::{Buffer, DType, Element, Wide, with_dtype};
use smallvec::SmallVec;
use std::ops::Range;

/// Runs a reduction whose results go to `out`.
pub fn run(op: &Reduce, out: &Buffer) {
    match op.kind {
        Reduction::Sum | Reduction::Prod | Reduction::Min | Reduction::Max => with_dtype!(op.before.output(), T => typed(op, out, Fold::<T>::new(op))),
        Reduction::ArgMin | Reduction::ArgMax => with_dtype!(op.before.output(), T => typed(op, out, Best::<T>::new(op))),
        Reduction::Deviations if op.before.output() == DType::F32 => typed(op, out, Spread::<f32>::new(op)),
        Reduction::Deviations => typed(op, out, Spread::<f64>::new(op)),
    }
}

/// What takes the elements of one output, in C order, and gives a result.
trait Take {
    type Of: Ufuncs;
    type Gives: Element;
    /// Takes the elements of inner indices `range`, which follow those before.
    fn add(&mut self, range: Range<usize>, values: &[Self::Of]);
    /// The result; the next output may follow.
    fn finish(&mut self) -> Self::Gives;
}

fn typed<A: Take>(op: &Reduce, out: &Buffer, mut take: A) {
    let (outer, inner) = (op.outer.size(), op.inner.size());
    let lens: SmallVec<[usize; 8]> = op.outer.iter().chain(op.inner.iter()).copied().collect();
    let sources: SmallVec<[Source; 2]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut before = Strips::new(&op.before, &op.params, inner);
    let mut after = Strips::new(&op.after, &op.after_params, outer);
    for start in (0..outer).step_by(after.len()) {
        let outputs = start..outer.min(start + after.len());
        for at in outputs.clone() {
            for from in (0..inner).step_by(before.len()) {
                let range = from..inner.min(from + before.len());
                for (i, source) in sources.iter().enumerate() {
                    source.gather(&lens, at * inner + range.start..at * inner + range.end, before.input_bytes(i));
                }
                before.run(range.len());
                take.add(range.clone(), &before.result()[..range.len()]);
            }
            after.input(0)[at - start] = take.finish();
        }
        after.run(outputs.len());
        target.scatter(&op.outer, outputs, after.result_bytes());
    }
}

/// Elements of a run, and lanes of a block. Both orders are the same thing with other figures: across rows there is one lane, and one run.
fn figures(op: &Reduce) -> (usize, usize) {
    match op.order {
        Order::Lanes => (*op.inner.last().expect("a reduction has an inner axis"), lanes(op.before.output())),
        Order::Rows => (op.inner.size(), 1),
    }
}

/// The index of the best element so far.
struct Best<T> {
    largest: bool,
    best: Option<(T, usize)>,
}

impl<T: Ufuncs> Best<T> {
    fn new(op: &Reduce) -> Best<T> {
        Best { largest: op.kind == Reduction::ArgMax, best: None }
    }

    /// Whether `x`, which comes later, wins over `best`.
    fn wins(&self, x: T, best: T) -> bool {
        match (x.to_wide(), best.to_wide()) {
            (Wide::Int(x), Wide::Int(best)) => {
                if self.largest {
                    x > best
                } else {
                    x < best
                }
            }
            (Wide::Float(_), Wide::Float(best)) if best.is_nan() => false,
            (Wide::Float(x), Wide::Float(best)) => x.is_nan() || if self.largest { x > best } else { x < best },
            _ => unreachable!("complex numbers have no order: core lets none pass"),
        }
    }
}

impl<T: Ufuncs> Take for Best<T> {
    type Of = T;
    type Gives = i64;

    fn add(&mut self, range: Range<usize>, values: &[T]) {
        for (at, &x) in range.zip(values) {
            if self.best.is_none_or(|(best, _)| self.wins(x, best)) {
                self.best = Some((x, at));
            }
        }
    }

    fn finish(&mut self) -> i64 {
        self.best.take().expect("an output has an element").1 as i64
    }
}

/// The deviations of one output: blocks are kept until they are whole, and then read twice.
struct Spread<T> {
    run: usize,
    lanes: usize,
    block: Vec<T>,
    blocks: Tree<Moments<T>>,
    runs: Tree<Moments<T>>,
}

impl<T: Ufuncs + Deviate> Spread<T> {
    fn new(op: &Reduce) -> Spread<T> {
        let (run, lanes) = figures(op);
        Spread { run, lanes, block: Vec::new(), blocks: Tree::new(), runs: Tree::new() }
    }

    /// The sum of what `f` makes of each element of the block.
    fn sum(&self, f: impl Fn(T) -> T) -> T {
        let add = T::combine(Reduction::Sum);
        let mut acc: SmallVec<[T; 64]> = SmallVec::from_elem(T::identity(Reduction::Sum), self.lanes);
        for (i, &x) in self.block.iter().enumerate() {
            acc[i % self.lanes] = add(acc[i % self.lanes], f(x));
        }
        halve(&mut acc, add)
    }

    fn end_block(&mut self) {
        let (add, times) = (T::combine(Reduction::Sum), T::combine(Reduction::Prod));
        let near = T::near(self.sum(|x| x), self.block.len());
        let apart = |x: T| add(x, T::from_wide(Wide::Float(-near.to_wide().real())));
        let moments = T::moments(self.block.len(), near, self.sum(apart), self.sum(|x| times(apart(x), apart(x))));
        self.blocks.push(moments, |a, b| Moments::combine(a, b));
        self.block.clear();
    }
}

impl<T: Ufuncs + Deviate> Take for Spread<T> {
    type Of = T;
    type Gives = T;

    fn add(&mut self, range: Range<usize>, values: &[T]) {
        for (at, &x) in range.zip(values) {
            self.block.push(x);
            let run_ends = (at + 1).is_multiple_of(self.run);
            if run_ends || self.block.len() == self.lanes * ROWS {
                self.end_block();
            }
            if run_ends {
                let run = std::mem::take(&mut self.blocks).finish(|a, b| Moments::combine(a, b)).expect("a run has a block");
                self.runs.push(run, |a, b| Moments::combine(a, b));
            }
        }
    }

    fn finish(&mut self) -> T {
        std::mem::take(&mut self.runs).finish(|a, b| Moments::combine(a, b)).expect("an output has a run").squares
    }
}

/// The results of lanes, combined by halves.
fn halve<T: Copy>(lanes: &mut [T], combine: impl Fn(T, T) -> T) -> T {
    let mut half = lanes.len() / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] = combine(lanes[l], lanes[l + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The elements of one output, combined as they come.
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
        let (run, lanes) = figures(op);
        let identity = T::identity(kind);
        let start = SmallVec::from_elem(identity, lanes);
        Fold { combine: T::combine(kind), identity, run, block: lanes * ROWS, lanes: start, blocks: Tree::new(), runs: Tree::new() }
    }

    fn end_block(&mut self) {
        let combine = self.combine;
        let total = halve(&mut self.lanes, combine);
        self.blocks.push(total, |a, b| *a = combine(*a, b));
        self.lanes.fill(self.identity);
    }

    fn end_run(&mut self) {
        let combine = self.combine;
        let total = std::mem::take(&mut self.blocks).finish(|a, b| *a = combine(*a, b)).expect("a run has a block");
        self.runs.push(total, |a, b| *a = combine(*a, b));
    }
}

impl<T: Ufuncs> Take for Fold<T> {
    type Of = T;
    type Gives = T;

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

    fn finish(&mut self) -> T {
        let combine = self.combine;
        std::mem::take(&mut self.runs).finish(|a, b| *a = combine(*a, b)).expect("an output has a run")
    }
}
