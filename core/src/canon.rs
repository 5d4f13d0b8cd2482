//! Canonicalisation: finds the simplest equivalent index space and strides.

use crate::layout::{Layout, Strides};
use crate::order::Order;
use crate::{Dims, op};
use smallvec::SmallVec;
use std::borrow::Borrow;

/// One axis of an index space: its length, and its stride in every operand (the output first, if any).
#[derive(Clone)]
struct Axis {
    len: usize,
    strides: SmallVec<[isize; 8]>,
}

/// A canonical index space, as [`op::Map`] and [`op::Reduce`] require it.
struct Space {
    lens: Dims,
    strides: SmallVec<[Strides; 8]>,
}

/// Returns the axes of `shape` except those of length 1, in order.
fn axes_in_order(shape: &[usize], operands: &[&[isize]]) -> SmallVec<[Axis; 4]> {
    (0..shape.len())
        .filter(|&i| shape[i] != 1)
        .map(|i| Axis { len: shape[i], strides: operands.iter().map(|s| s[i]).collect() })
        .collect()
}

/// Returns the axes of `shape` except those of length 1, by descending stride of the first operand, then of the next
/// ones.
fn sorted_axes(shape: &[usize], operands: &[&[isize]]) -> SmallVec<[Axis; 4]> {
    let mut axes = axes_in_order(shape, operands);
    axes.sort_by_key(|a| {
        std::cmp::Reverse(a.strides.iter().map(|s| s.unsigned_abs()).collect::<SmallVec<[usize; 8]>>())
    });
    axes
}

/// Merges neighbouring axes that every operand can traverse as one axis.
fn merge(axes: SmallVec<[Axis; 4]>, operands: usize) -> Space {
    let mut merged: SmallVec<[Axis; 4]> = SmallVec::new();
    for axis in axes {
        match merged.last_mut() {
            Some(last) if last.strides.iter().zip(&axis.strides).all(|(&l, &s)| l == s * axis.len as isize) => {
                last.len *= axis.len;
                last.strides = axis.strides;
            }
            _ => merged.push(axis),
        }
    }
    if merged.is_empty() {
        merged.push(Axis { len: 1, strides: SmallVec::from_elem(1, operands) });
    }
    Space {
        lens: merged.iter().map(|a| a.len).collect(),
        strides: (0..operands).map(|o| merged.iter().map(|a| a.strides[o]).collect()).collect(),
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
    let mut offsets: SmallVec<[isize; 8]> =
        std::iter::once(output).chain(inputs.iter().map(L::borrow)).map(|l| l.offset() as isize).collect();
    let strides: SmallVec<[&[isize]; 8]> =
        std::iter::once(output).chain(inputs.iter().map(L::borrow)).map(Layout::strides).collect();
    let mut axes = sorted_axes(shape, &strides);
    for axis in axes.iter_mut().filter(|a| a.strides[0] < 0) {
        flip(axis, &mut offsets);
    }
    let space = merge(axes, strides.len());
    let mut operands = offsets.iter().map(|&o| o as usize).zip(space.strides);
    let first = operands.next().expect("the output");
    (space.lens, first, operands.collect())
}

/// Reverses the direction of an axis.
fn flip(axis: &mut Axis, offsets: &mut [isize]) {
    for (stride, offset) in axis.strides.iter_mut().zip(offsets) {
        *offset += (axis.len as isize - 1) * *stride;
        *stride = -*stride;
    }
}

pub(crate) struct ReduceSpace {
    pub outer: Dims,
    pub inner: Dims,
    pub output: Strides,
    pub inputs: SmallVec<[Place; 2]>,
    pub order: Order,
}

/// The most outputs for which a reduction over the rows of a gapless `[rows, outputs]` matrix uses [`Order::Lanes`].
/// Its vectors then hold elements of several outputs.
const NARROW: usize = 16;

/// Returns the canonical spaces of a reduction of `inputs` (all of one shape) over the axes `reduced` into a
/// C-contiguous output of the other axes.
pub(crate) fn reduce<L: Borrow<Layout>>(inputs: &[L], reduced: &[usize], kind: op::Reduction) -> ReduceSpace {
    let inputs: SmallVec<[&Layout; 8]> = inputs.iter().map(L::borrow).collect();
    let shape = inputs[0].shape();
    let kept: SmallVec<[usize; 4]> = (0..shape.len()).filter(|a| !reduced.contains(a)).collect();
    let out_shape: Dims = kept.iter().map(|&a| shape[a]).collect();
    let out_strides = out_shape.c_strides();
    let pick = |axes: &[usize], l: &Layout| -> Strides { axes.iter().map(|&a| l.strides()[a]).collect() };
    let lens = |axes: &[usize]| -> SmallVec<[usize; 4]> { axes.iter().map(|&a| shape[a]).collect() };

    let outer_in: SmallVec<[Strides; 4]> = inputs.iter().map(|l| pick(&kept, l)).collect();
    let outer_all: SmallVec<[&[isize]; 8]> =
        std::iter::once(&out_strides[..]).chain(outer_in.iter().map(|s| &s[..])).collect();
    let outer = merge(sorted_axes(&lens(&kept), &outer_all), outer_all.len());

    let inner_in: SmallVec<[Strides; 4]> = inputs.iter().map(|l| pick(reduced, l)).collect();
    let inner_all: SmallVec<[&[isize]; 8]> = inner_in.iter().map(|s| &s[..]).collect();
    let mut offsets: SmallVec<[isize; 8]> = inputs.iter().map(|l| l.offset() as isize).collect();
    let axes = if kind.gives_index() {
        axes_in_order(&lens(reduced), &inner_all)
    } else {
        let mut axes = sorted_axes(&lens(reduced), &inner_all);
        for axis in axes.iter_mut().filter(|a| a.strides[0] < 0) {
            flip(axis, &mut offsets);
        }
        axes
    };
    let inner = merge(axes, inner_all.len());

    let last = |s: &Strides| s.last().copied().unwrap_or(0).unsigned_abs();
    let width = outer.lens.last().copied().unwrap_or(1);
    let rows_without_gaps =
        |i: usize| last(&outer.strides[i + 1]) == 1 && inner.strides[i].last() == Some(&(width as isize));
    let narrow = !kind.gives_index() && width <= NARROW && (0..inputs.len()).all(rows_without_gaps);
    let along = outer.lens.size() == 1
        || narrow
        || inner.lens.size() > 1 && last(&inner.strides[0]) <= last(&outer.strides[1]).max(1);
    let joined = (0..inputs.len())
        .map(|i| (offsets[i] as usize, outer.strides[i + 1].iter().chain(&inner.strides[i]).copied().collect()))
        .collect();
    ReduceSpace {
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
    let others: SmallVec<[usize; 4]> = (0..output.shape().len()).filter(|&a| a != axis).collect();
    let lens: SmallVec<[usize; 4]> = others.iter().map(|&a| output.shape()[a]).collect();
    let strides: SmallVec<[Strides; 8]> =
        operands.iter().map(|l| others.iter().map(|&a| l.strides()[a]).collect()).collect();
    let strides: SmallVec<[&[isize]; 8]> = strides.iter().map(|s| &s[..]).collect();
    let outer = merge(sorted_axes(&lens, &strides), operands.len());
    let places = operands
        .iter()
        .zip(&outer.strides)
        .map(|(l, s)| (l.offset(), s.iter().copied().chain([l.strides()[axis]]).collect()));
    let mut places: SmallVec<[Place; 2]> = places.collect();
    ScanSpace { outer: outer.lens, output: places.remove(0), inputs: places }
}

/// Returns the layout for a new result of `shape`: if the operands that are not broadcast agree on an axis order, that
/// order, so that they are walked contiguously, else C order.
pub(crate) fn fresh_layout<L: Borrow<Layout>>(shape: &Dims, inputs: &[L]) -> Layout {
    let full = || inputs.iter().map(L::borrow).filter(|l| !l.is_broadcast());
    let contiguous = Layout::contiguous(shape.clone());
    if shape.len() < 2 || full().next().is_none() || full().any(Layout::is_c_contiguous) {
        return contiguous;
    }
    let mut axes: SmallVec<[usize; 4]> = (0..shape.len()).collect();
    let key = |l: &Layout, a: usize| if shape[a] == 1 { usize::MAX } else { l.strides()[a].unsigned_abs() };
    let first = full().next().expect("there is an operand that is not broadcast");
    axes.sort_by_key(|&a| std::cmp::Reverse(key(first, a)));
    let agree = full().all(|l| axes.windows(2).all(|w| key(l, w[0]) >= key(l, w[1])));
    if !agree {
        return contiguous;
    }
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
