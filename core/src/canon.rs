//! Canonicalisation: finds the simplest equivalent index space and strides.

use crate::layout::{Layout, Strides};
use crate::order::{NARROW, Order};
use crate::{Dims, op};
use smallvec::SmallVec;
use std::borrow::Borrow;

/// An axis of an index space, by its number. If it is flipped, it is walked from its last index to its first.
#[derive(Clone, Copy)]
struct Axis {
    number: usize,
    flipped: bool,
}

impl Axis {
    /// Returns the stride of an operand, whose strides are given, along this axis.
    fn stride(self, strides: &[isize]) -> isize {
        if self.flipped { -strides[self.number] } else { strides[self.number] }
    }
}

/// Some axes of an index space, in the order in which they are walked.
type Walk = SmallVec<[Axis; 4]>;

/// A canonical index space, as [`op::Map`] and [`op::Reduce`] require it.
struct Space {
    lens: Dims,
    /// The strides of each operand.
    strides: SmallVec<[Strides; 3]>,
}

/// Returns the given axes except those of length 1, in order.
fn in_order(axes: impl IntoIterator<Item = usize>, lens: &[usize]) -> Walk {
    axes.into_iter().filter(|&a| lens[a] != 1).map(|number| Axis { number, flipped: false }).collect()
}

/// Returns the given axes except those of length 1, by descending stride of the first operand, then of the next ones.
fn sorted(axes: impl IntoIterator<Item = usize>, lens: &[usize], operands: &[&[isize]]) -> Walk {
    let mut walk = in_order(axes, lens);
    walk.sort_by(|x, y| {
        let strides = |axis: usize| operands.iter().map(move |s| s[axis].unsigned_abs());
        strides(y.number).cmp(strides(x.number))
    });
    walk
}

/// Flips the axes along which the first operand has a negative stride. `offsets` are those of the operands' elements at
/// index zero.
fn flip(walk: &mut Walk, lens: &[usize], operands: &[&[isize]], offsets: &mut [isize]) {
    for axis in walk.iter_mut().filter(|axis| operands[0][axis.number] < 0) {
        axis.flipped = true;
        for (strides, offset) in operands.iter().zip(&mut *offsets) {
            *offset += (lens[axis.number] as isize - 1) * strides[axis.number];
        }
    }
}

/// Merges neighbouring axes that every operand can traverse as one axis.
fn merge(walk: &Walk, lens: &[usize], operands: &[&[isize]]) -> Space {
    // The last one of the axes that were merged, and the product of their lengths.
    let mut merged: SmallVec<[(Axis, usize); 4]> = SmallVec::new();
    for &axis in walk {
        let len = lens[axis.number];
        match merged.last_mut() {
            Some((last, all)) if operands.iter().all(|s| last.stride(s) == axis.stride(s) * len as isize) => {
                *last = axis;
                *all *= len;
            }
            _ => merged.push((axis, len)),
        }
    }
    if merged.is_empty() {
        let one = || Strides::from_slice(&[1]);
        return Space { lens: Dims::from(1), strides: operands.iter().map(|_| one()).collect() };
    }
    Space {
        lens: merged.iter().map(|(_, len)| *len).collect(),
        strides: operands.iter().map(|s| merged.iter().map(|(axis, _)| axis.stride(s)).collect()).collect(),
    }
}

/// The offset and the strides of an operand in a canonical space.
pub(crate) type Place = (usize, Strides);

/// Returns the canonical index space of a map, and the offsets and strides of the output and the inputs in it.
pub(crate) fn map<L: Borrow<Layout>>(output: &Layout, inputs: &[L]) -> (Dims, Place, SmallVec<[Place; 2]>) {
    let shape = output.shape();
    if output.is_c_contiguous()
        && inputs.iter().map(L::borrow).all(|l| l.is_c_contiguous() || l.strides().iter().all(|&s| s == 0))
    {
        let flat = |l: &Layout| (l.offset(), Strides::from_slice(&[if l.is_c_contiguous() { 1 } else { 0 }]));
        return (Dims::from(shape.size()), flat(output), inputs.iter().map(|l| flat(l.borrow())).collect());
    }
    let layouts = || std::iter::once(output).chain(inputs.iter().map(L::borrow));
    let mut offsets: SmallVec<[isize; 8]> = layouts().map(|l| l.offset() as isize).collect();
    let strides: SmallVec<[&[isize]; 8]> = layouts().map(Layout::strides).collect();
    let mut walk = sorted(0..shape.len(), shape, &strides);
    flip(&mut walk, shape, &strides, &mut offsets);
    let space = merge(&walk, shape, &strides);
    let mut operands = offsets.iter().map(|&o| o as usize).zip(space.strides);
    let first = operands.next().expect("the output");
    (space.lens, first, operands.collect())
}

pub(crate) struct ReduceSpace {
    /// The strides of the result along the axes that are not reduced, in the order of the shape.
    pub kept: Strides,
    pub outer: Dims,
    pub inner: Dims,
    pub output: Strides,
    pub inputs: SmallVec<[Place; 2]>,
    pub order: Order,
}

/// Returns the order of a reduction of `width` columns of a matrix without gaps across its rows.
pub(crate) fn order_of_columns(kind: op::Reduction, width: usize) -> Order {
    if width <= NARROW && !kind.gives_index() { Order::Lanes } else { Order::Rows }
}

/// Returns the canonical spaces of a reduction of `inputs` (all of one shape) over the axes `reduced` into an output of
/// the other axes without gaps, in the axis order of the inputs: as a [new result](fresh_layout) has it.
pub(crate) fn reduce<L: Borrow<Layout>>(inputs: &[L], reduced: &[usize], kind: op::Reduction) -> ReduceSpace {
    let shape = inputs[0].borrow().shape();
    let kept = || (0..shape.len()).filter(|a| !reduced.contains(a));
    let mut output = Strides::from_elem(0, shape.len());
    common_order(inputs, kept(), shape).iter().rev().fold(1, |step, &a| {
        output[a] = step;
        step * shape[a] as isize
    });
    let result = kept().map(|a| output[a]).collect();
    let operands: SmallVec<[&[isize]; 8]> =
        std::iter::once(&output[..]).chain(inputs.iter().map(|l| l.borrow().strides())).collect();
    let outer = merge(&sorted(kept(), shape, &operands), shape, &operands);

    let operands = &operands[1..];
    let mut offsets: SmallVec<[isize; 8]> = inputs.iter().map(|l| l.borrow().offset() as isize).collect();
    let reduced = reduced.iter().copied();
    let walk = if kind.gives_index() {
        in_order(reduced, shape)
    } else {
        let mut walk = sorted(reduced, shape, operands);
        flip(&mut walk, shape, operands, &mut offsets);
        walk
    };
    let inner = merge(&walk, shape, operands);

    let last = |s: &Strides| s.last().copied().unwrap_or(0).unsigned_abs();
    let width = outer.lens.last().copied().unwrap_or(1);
    let rows_without_gaps =
        |i: usize| last(&outer.strides[i + 1]) == 1 && inner.strides[i].last() == Some(&(width as isize));
    let narrow = order_of_columns(kind, width) == Order::Lanes && (0..inputs.len()).all(rows_without_gaps);
    // An index does not depend on the order, and rows of a few columns are too short for vectors.
    let few = kind.gives_index() && width <= NARROW;
    let steps = |i: usize| (last(&inner.strides[i]), last(&outer.strides[i + 1]));
    let (step, across) = steps(0);
    // Windows that overlap are as near to each other as their elements. The longer of both axes fills vectors.
    let overlap = step != 0
        && (0..inputs.len()).all(|i| steps(i).0 == steps(i).1)
        && width >= inner.lens.last().copied().unwrap_or(1);
    let along = outer.lens.size() == 1 || narrow || few || inner.lens.size() > 1 && step <= across.max(1) && !overlap;
    let joined = (0..inputs.len())
        .map(|i| (offsets[i] as usize, outer.strides[i + 1].iter().chain(&inner.strides[i]).copied().collect()))
        .collect();
    ReduceSpace {
        kept: result,
        outer: outer.lens,
        inner: inner.lens,
        output: outer.strides[0].clone(),
        inputs: joined,
        order: if along { Order::Lanes } else { Order::Rows },
    }
}

/// The canonical space of a scan: the other axes, and the operands' places over these followed by the scanned axis.
pub(crate) struct ScanSpace {
    pub outer: Dims,
    pub output: Place,
    pub inputs: SmallVec<[Place; 2]>,
}

/// Returns the canonical space of a scan of `inputs` along `axis` into `output`, all of one shape. The output's strides
/// are positive.
pub(crate) fn scan<L: Borrow<Layout>>(output: &Layout, inputs: &[L], axis: usize) -> ScanSpace {
    let operands: SmallVec<[&Layout; 8]> = std::iter::once(output).chain(inputs.iter().map(L::borrow)).collect();
    let shape = output.shape();
    let strides: SmallVec<[&[isize]; 8]> = operands.iter().map(|l| l.strides()).collect();
    let others = (0..shape.len()).filter(|&a| a != axis);
    let outer = merge(&sorted(others, shape, &strides), shape, &strides);
    let places = operands
        .iter()
        .zip(&outer.strides)
        .map(|(l, s)| (l.offset(), s.iter().copied().chain([l.strides()[axis]]).collect()));
    let mut places: SmallVec<[Place; 2]> = places.collect();
    ScanSpace { outer: outer.lens, output: places.remove(0), inputs: places }
}

/// Returns the canonical index space of a gather or a scatter, and the strides of each operand in it. The order of the
/// axes is kept, because values for one element are combined in C order. Axes along which the first operand has a
/// negative stride are reversed; `offsets` are those of the operands' elements at index zero.
pub(crate) fn indexed(shape: &[usize], strides: &[&[isize]], offsets: &mut [isize]) -> (Dims, SmallVec<[Strides; 3]>) {
    let mut walk = in_order(0..shape.len(), shape);
    flip(&mut walk, shape, strides, offsets);
    let space = merge(&walk, shape, strides);
    (space.lens, space.strides)
}

/// Returns `axes` by descending stride of the inputs that are not broadcast, if these agree on an order; else as they
/// are.
fn common_order<L: Borrow<Layout>>(
    inputs: &[L],
    axes: impl Iterator<Item = usize>,
    shape: &Dims,
) -> SmallVec<[usize; 4]> {
    let natural: SmallVec<[usize; 4]> = axes.collect();
    let full = || inputs.iter().map(L::borrow).filter(|l| !l.is_broadcast());
    let key = |l: &Layout, a: usize| if shape[a] == 1 { usize::MAX } else { l.strides()[a].unsigned_abs() };
    let Some(first) = full().next() else { return natural };
    let mut order = natural.clone();
    order.sort_by_key(|&a| std::cmp::Reverse(key(first, a)));
    let agree = full().all(|l| order.windows(2).all(|w| key(l, w[0]) >= key(l, w[1])));
    if agree { order } else { natural }
}

/// Returns the layout for a new result of `shape`: if the operands that are not broadcast agree on an axis order, that
/// order, so that they are walked contiguously, else C order.
pub(crate) fn fresh_layout<L: Borrow<Layout>>(shape: &Dims, inputs: &[L]) -> Layout {
    let full = || inputs.iter().map(L::borrow).filter(|l| !l.is_broadcast());
    let contiguous = Layout::contiguous(shape.clone());
    if shape.len() < 2 || full().next().is_none() || full().any(Layout::is_c_contiguous) {
        return contiguous;
    }
    let axes = common_order(inputs, 0..shape.len(), shape);
    let mut strides: Strides = SmallVec::from_elem(0, shape.len());
    let mut step = 1;
    for &a in axes.iter().rev() {
        strides[a] = step;
        step *= shape[a] as isize;
    }
    Layout::from_parts(shape.clone(), strides, 0)
}

/// Makes an operand of `buffer` and `layout`. For a matmul, `layout` has all batch axes and then the two matrix axes.
pub(crate) fn operand(buffer: &crate::Buffer, dtype: crate::DType, layout: &Layout) -> op::Operand {
    op::Operand { buffer: buffer.clone(), dtype, offset: layout.offset(), strides: layout.strides().into() }
}
