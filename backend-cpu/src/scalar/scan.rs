//! Scans in the order that `polyarray_core::order` defines.

use super::reduce::is_finite;
use super::strips::Strips;
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use polyarray_core::op::{Reduction, Running, Scan};
use polyarray_core::order::{Multiply, Product, SCAN_BLOCK};
use polyarray_core::{Buffer, Complex, DType, Result, with_dtype};
use smallvec::SmallVec;

/// Runs a scan and writes the results to `out`.
pub fn run(op: &Scan, out: &Buffer) -> Result<()> {
    match (op.kind, op.before.output()) {
        (Running::Prod, DType::F32) => typed(op, out, Products::<f32>::default()),
        (Running::Prod, DType::F64) => typed(op, out, Products::<f64>::default()),
        (Running::Prod, DType::C32) => typed(op, out, Products::<Complex<f32>>::default()),
        (Running::Prod, DType::C64) => typed(op, out, Products::<Complex<f64>>::default()),
        (kind, dtype) => with_dtype!(dtype, T => typed(op, out, Fold::<T>::new(kind))),
    }
}

/// An accumulator: receives the elements of a line and computes a result for each.
trait Take {
    type Of: Ufuncs;
    /// Resets the accumulator for a new line.
    fn start(&mut self);
    /// Computes `out` from the next `values` of the line. Both have one length, and the elements lie in one block.
    /// `starts_block` is true if the block begins with them.
    fn run(&mut self, values: &[Self::Of], starts_block: bool, out: &mut [Self::Of]);
}

fn typed<A: Take>(op: &Scan, out: &Buffer, mut take: A) -> Result<()> {
    let lens = op.shape();
    let sources: SmallVec<[Source; 2]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut before = Strips::new(&op.before, &op.params, op.len)?;
    let mut after = Strips::new(&op.after, &op.after_params, op.len)?;
    for line in 0..op.outer.size() {
        take.start();
        for from in (0..op.len).step_by(before.len()) {
            let count = before.len().min(op.len - from);
            let range = line * op.len + from..line * op.len + from + count;
            for (i, source) in sources.iter().enumerate() {
                source.gather(&lens, range.clone(), before.input_bytes(i));
            }
            before.run(count);
            let (values, out) = (before.result::<A::Of>(), after.input(0));
            let mut at = 0;
            while at < count {
                let in_block = (from + at) % SCAN_BLOCK;
                let end = count.min(at + SCAN_BLOCK - in_block);
                take.run(&values[at..end], in_block == 0, &mut out[at..end]);
                at = end;
            }
            after.run(count);
            target.scatter(&lens, range, after.result_bytes());
        }
    }
    Ok(())
}

/// The running results: `offset` combines all previous blocks, `prefix` the elements of the current block.
struct Prefix<S> {
    offset: Option<S>,
    prefix: Option<S>,
}

impl<S: Copy> Prefix<S> {
    fn new() -> Prefix<S> {
        Prefix { offset: None, prefix: None }
    }

    /// Computes `out`, the running combination of `values` as `to` gives it.
    fn run<T>(
        &mut self,
        values: impl Iterator<Item = S>,
        starts_block: bool,
        out: &mut [T],
        combine: impl Fn(S, S) -> S,
        to: impl Fn(S) -> T,
    ) {
        if starts_block {
            self.offset = self.prefix.take().map(|whole| self.offset.map_or(whole, |o| combine(o, whole)));
        }
        let (offset, mut prefix) = (self.offset, self.prefix);
        for (x, y) in values.zip(out) {
            let sum = prefix.map_or(x, |p| combine(p, x));
            prefix = Some(sum);
            *y = to(offset.map_or(sum, |o| combine(o, sum)));
        }
        self.prefix = prefix;
    }
}

/// Running sums, minima and maxima, and running products of integers.
struct Fold<T> {
    combine: fn(T, T) -> T,
    blocks: Prefix<T>,
    /// The previous result of the line.
    last: Option<T>,
    /// Whether blocks no longer apply, because a result was not finite. From then on each result combines the previous
    /// result and the element.
    one_by_one: bool,
}

impl<T: Ufuncs> Fold<T> {
    fn new(kind: Running) -> Fold<T> {
        let combine = T::combine(match kind {
            Running::Sum => Reduction::Sum,
            Running::Prod => Reduction::Prod,
            Running::Min => Reduction::Min,
            Running::Max => Reduction::Max,
        });
        Fold { combine, blocks: Prefix::new(), last: None, one_by_one: false }
    }
}

impl<T: Ufuncs> Take for Fold<T> {
    type Of = T;

    fn start(&mut self) {
        *self = Fold { combine: self.combine, blocks: Prefix::new(), last: None, one_by_one: false };
    }

    fn run(&mut self, values: &[T], starts_block: bool, out: &mut [T]) {
        let mut good = 0;
        if !self.one_by_one {
            self.blocks.run(values.iter().copied(), starts_block, out, self.combine, |y| y);
            good = out.iter().position(|y| !is_finite(*y)).unwrap_or(out.len());
        }
        self.one_by_one |= good < out.len();
        self.last = good.checked_sub(1).map(|i| out[i]).or(self.last);
        for (&x, y) in values[good..].iter().zip(&mut out[good..]) {
            *y = self.last.map_or(x, |last| (self.combine)(last, x));
            self.last = Some(*y);
        }
    }
}

/// Running products of floats and complex numbers.
struct Products<T>(Prefix<Product<T>>);

impl<T: Multiply> Default for Products<T> {
    fn default() -> Self {
        Products(Prefix::new())
    }
}

impl<T: Ufuncs + Multiply> Take for Products<T> {
    type Of = T;

    fn start(&mut self) {
        *self = Products::default();
    }

    fn run(&mut self, values: &[T], starts_block: bool, out: &mut [T]) {
        self.0.run(values.iter().map(|x| x.factor()), starts_block, out, T::join, T::value);
    }
}
