//! Reductions in the order that `polyarray_core::order` defines.

use super::strips::{Strips, with_room};
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use polyarray_core::op::{Reduce, Reduction};
use polyarray_core::order::{Deviate, Moments, Multiply, Order, Product, ROWS, SHORT, Tree, lanes};
use polyarray_core::{Buffer, Complex, DType, Element, Kind, Result, Wide, with_dtype};
use smallvec::SmallVec;
use std::ops::Range;

/// Runs a reduction and writes the results to `out`.
pub fn run(op: &Reduce, out: &Buffer) -> Result<()> {
    match (op.kind, op.before.output()) {
        (Reduction::Prod, DType::F32) => return typed(op, out, Products::<f32>::new(op)),
        (Reduction::Prod, DType::F64) => return typed(op, out, Products::<f64>::new(op)),
        (Reduction::Prod, DType::C32) => return typed(op, out, Products::<Complex<f32>>::new(op)),
        (Reduction::Prod, DType::C64) => return typed(op, out, Products::<Complex<f64>>::new(op)),
        _ => {}
    }
    match op.kind {
        Reduction::Sum | Reduction::Prod | Reduction::Min | Reduction::Max => {
            with_dtype!(op.before.output(), T => typed(op, out, Fold::<T>::new(op)?))
        }
        Reduction::ArgMin | Reduction::ArgMax => {
            with_dtype!(op.before.output(), T => typed(op, out, Best::<T>::new(op)))
        }
        Reduction::Deviations if op.before.output() == DType::F32 => typed(op, out, Spread::<f32>::new(op)?),
        Reduction::Deviations => typed(op, out, Spread::<f64>::new(op)?),
    }
}

/// An accumulator: receives the elements of one output in C order and returns the result.
trait Take {
    type Of: Ufuncs;
    type Gives: Element;
    /// Adds the elements with the inner indices `range`, which follow the previous ones.
    fn add(&mut self, range: Range<usize>, values: &[Self::Of]);
    /// Returns the result and resets the accumulator for the next output.
    fn finish(&mut self) -> Self::Gives;
}

fn typed<A: Take>(op: &Reduce, out: &Buffer, mut take: A) -> Result<()> {
    let (outer, inner) = (op.outer.size(), op.inner.size());
    let lens: SmallVec<[usize; 8]> = op.outer.iter().chain(op.inner.iter()).copied().collect();
    let sources: SmallVec<[Source; 2]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut before = Strips::new(&op.before, &op.params, inner)?;
    let mut after = Strips::new(&op.after, &op.after_params, outer)?;
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
    Ok(())
}

/// Returns the number of elements of a run and the number of lanes of a block. Both orders share one algorithm: across
/// rows there is one lane and one run.
fn figures(op: &Reduce) -> (usize, usize) {
    match op.order {
        Order::Lanes => (*op.inner.last().expect("a reduction has an inner axis"), lanes(op.before.output())),
        Order::Rows => (op.inner.size(), 1),
    }
}

/// The best element so far and its index.
struct Best<T> {
    largest: bool,
    best: Option<(T, usize)>,
}

impl<T: Ufuncs> Best<T> {
    fn new(op: &Reduce) -> Best<T> {
        Best { largest: op.kind == Reduction::ArgMax, best: None }
    }

    /// Returns whether `x`, the later element, replaces `best`.
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
            _ => unreachable!("complex numbers have no order: core refuses this reduction"),
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

/// The squared deviations of one output. A block is buffered until it is complete, because its elements are read
/// several times.
struct Spread<T> {
    run: usize,
    lanes: usize,
    block: Vec<T>,
    blocks: Tree<Moments<T>>,
    runs: Tree<Moments<T>>,
}

impl<T: Ufuncs + Deviate> Spread<T> {
    fn new(op: &Reduce) -> Result<Spread<T>> {
        let (run, lanes) = figures(op);
        let block = with_room(lanes * ROWS)?;
        Ok(Spread { run, lanes, block, blocks: Tree::new(), runs: Tree::new() })
    }

    /// Sums `f` of each element of the block.
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
                let run =
                    std::mem::take(&mut self.blocks).finish(|a, b| Moments::combine(a, b)).expect("a run has a block");
                self.runs.push(run, |a, b| Moments::combine(a, b));
            }
        }
    }

    fn finish(&mut self) -> T {
        std::mem::take(&mut self.runs).finish(|a, b| Moments::combine(a, b)).expect("an output has a run").squares
    }
}

/// Combines the results of the lanes by halves.
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

/// The runs and blocks of one output, and the trees of their results.
struct Blocks<S> {
    /// The number of elements of a run.
    run: usize,
    /// The number of elements of a block.
    block: usize,
    /// The tree of the blocks of the current run.
    blocks: Tree<S>,
    /// The tree of the runs of the current output.
    runs: Tree<S>,
}

impl<S: Copy> Blocks<S> {
    fn new(run: usize, lanes: usize) -> Blocks<S> {
        Blocks { run, block: lanes * ROWS, blocks: Tree::new(), runs: Tree::new() }
    }

    /// Adds the elements with the inner indices `range`, split at the ends of blocks. Calls `part` for each piece with
    /// its range, its offset in the block, and whether it ends the block. A piece that ends the block returns the
    /// block's result.
    fn add(
        &mut self,
        range: Range<usize>,
        mut part: impl FnMut(Range<usize>, usize, bool) -> Option<S>,
        combine: impl Fn(S, S) -> S,
    ) {
        let mut at = range.start;
        while at < range.end {
            let in_run = at % self.run;
            let in_block = in_run % self.block;
            let count = (range.end - at).min(self.run - in_run).min(self.block - in_block);
            let run_ends = (at + count).is_multiple_of(self.run);
            let block_ends = run_ends || in_block + count == self.block;
            let result = part(at - range.start..at - range.start + count, in_block, block_ends);
            at += count;
            if block_ends {
                self.blocks.push(result.expect("a block that ends has a result"), |a, b| *a = combine(*a, b));
            }
            if run_ends {
                let total =
                    std::mem::take(&mut self.blocks).finish(|a, b| *a = combine(*a, b)).expect("a run has a block");
                self.runs.push(total, |a, b| *a = combine(*a, b));
            }
        }
    }

    fn finish(&mut self, combine: impl Fn(S, S) -> S) -> S {
        std::mem::take(&mut self.runs).finish(|a, b| *a = combine(*a, b)).expect("an output has a run")
    }
}

/// Combines each of `values` with its lane. The first of them is element `first` of a block.
fn combine_lanes<S: Copy, T>(lanes: &mut [S], first: usize, values: &[T], combine: impl Fn(S, &T) -> S) {
    let start = first % lanes.len();
    let (head, rest) = values.split_at(values.len().min(lanes.len() - start));
    let each =
        |lanes: &mut [S], values: &[T]| lanes.iter_mut().zip(values).for_each(|(lane, x)| *lane = combine(*lane, x));
    each(&mut lanes[start..], head);
    rest.chunks(lanes.len()).for_each(|values| each(lanes, values));
}

/// The elements of one output, combined as they arrive.
struct Fold<T> {
    combine: fn(T, T) -> T,
    identity: T,
    lanes: SmallVec<[T; 64]>,
    /// Whether short blocks, and blocks whose result is not finite, are combined again without lanes.
    floating_sum: bool,
    /// The elements of the current block, kept to be read again. Empty unless `floating_sum`.
    block: Vec<T>,
    blocks: Blocks<T>,
}

impl<T: Ufuncs> Fold<T> {
    fn new(op: &Reduce) -> Result<Fold<T>> {
        let kind: Reduction = op.kind;
        let (run, lanes) = figures(op);
        let identity = T::identity(kind);
        // Across rows there is one lane, so blocks are already combined sequentially.
        let floating_sum =
            kind == Reduction::Sum && matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex) && lanes > 1;
        let start = SmallVec::from_elem(identity, lanes);
        let block = if floating_sum { with_room(lanes * ROWS)? } else { Vec::new() };
        Ok(Fold {
            combine: T::combine(kind),
            identity,
            lanes: start,
            floating_sum,
            block,
            blocks: Blocks::new(run, lanes),
        })
    }
}

/// Returns whether a number, or each part of a complex number, is neither infinite nor NaN.
pub fn is_finite<T: Element>(x: T) -> bool {
    match x.to_wide() {
        Wide::Int(_) => true,
        Wide::Float(x) => x.is_finite(),
        Wide::Complex(re, im) => re.is_finite() && im.is_finite(),
    }
}

impl<T: Ufuncs> Take for Fold<T> {
    type Of = T;
    type Gives = T;

    fn add(&mut self, range: Range<usize>, values: &[T]) {
        let Fold { combine, identity, lanes, floating_sum, block, blocks } = self;
        let part = |part: Range<usize>, in_block: usize, ends: bool| {
            combine_lanes(lanes, in_block, &values[part.clone()], |lane, &x| combine(lane, x));
            if *floating_sum {
                block.extend_from_slice(&values[part]);
            }
            ends.then(|| {
                let mut total = halve(lanes, *combine);
                lanes.fill(*identity);
                if *floating_sum && (block.len() <= SHORT || !is_finite(total)) {
                    total = block.iter().fold(*identity, |sum, &x| combine(sum, x));
                }
                block.clear();
                total
            })
        };
        blocks.add(range, part, &*combine);
    }

    fn finish(&mut self) -> T {
        self.blocks.finish(self.combine)
    }
}

/// The elements of one output, multiplied as they arrive.
struct Products<T> {
    lanes: SmallVec<[Product<T>; 64]>,
    /// The first elements of the current block, at most [`SHORT`].
    first: SmallVec<[Product<T>; SHORT]>,
    blocks: Blocks<Product<T>>,
}

impl<T: Ufuncs + Multiply> Products<T> {
    fn new(op: &Reduce) -> Products<T> {
        let (run, lanes) = figures(op);
        Products {
            lanes: SmallVec::from_elem(T::identity(Reduction::Prod).factor(), lanes),
            first: SmallVec::new(),
            blocks: Blocks::new(run, lanes),
        }
    }
}

impl<T: Ufuncs + Multiply> Take for Products<T> {
    type Of = T;
    type Gives = T;

    fn add(&mut self, range: Range<usize>, values: &[T]) {
        let Products { lanes, first, blocks } = self;
        let part = |part: Range<usize>, in_block: usize, ends: bool| {
            let length = in_block + part.len();
            if in_block == 0 {
                first.clear();
            }
            first.extend(values[part.clone()].iter().take(SHORT - first.len()).map(|x| x.factor()));
            combine_lanes(lanes, in_block, &values[part], |lane, x| T::join(lane, x.factor()));
            ends.then(|| {
                // Short blocks are multiplied sequentially, without lanes.
                let one = T::identity(Reduction::Prod).factor();
                let total =
                    if length <= SHORT { first.iter().fold(one, |a, b| T::join(a, *b)) } else { halve(lanes, T::join) };
                lanes.fill(T::identity(Reduction::Prod).factor());
                total
            })
        };
        blocks.add(range, part, T::join);
    }

    fn finish(&mut self) -> T {
        T::value(self.blocks.finish(T::join))
    }
}
