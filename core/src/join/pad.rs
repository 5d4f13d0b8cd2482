//! Padding: the output consists of blocks, each of which is a view of the array (reversed, repeated or as it is) or
//! filled with a value.

use super::Parts;
use crate::array::{Array, reserve};
use crate::layout::Layout;
use crate::{Dims, Element, Error, Result};
use smallvec::SmallVec;

/// The elements that [`Array::pad`] adds, shown for `[1, 2, 3]` and a width of 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pad<T> {
    /// A value: `0 0 1 2 3 0 0`.
    Constant(T),
    /// The element at the edge: `1 1 1 2 3 3 3`.
    Edge,
    /// The elements mirrored at the edge, which is not repeated: `3 2 1 2 3 2 1`.
    Reflect,
    /// The elements mirrored beyond the edge: `2 1 1 2 3 3 2`.
    Symmetric,
    /// The elements from the other end: `2 3 1 2 3 1 2`.
    Wrap,
}

/// A range of the output along an axis.
struct Segment {
    /// The first index of the output, and the number of indices.
    at: usize,
    len: usize,
    /// The index of the array for the first one, and the step to the next one; `None` for the constant.
    from: Option<(usize, isize)>,
}

/// An axis with more segments than this is gathered before the blocks are copied.
const FEW: usize = 16;
/// An axis is gathered, too, if there would be more blocks than this.
const MANY: usize = 256;

impl<T> Pad<T> {
    /// Returns the number of elements after which the elements beside an axis of length `n` repeat; 0 if a single
    /// element is repeated.
    fn period(&self, n: usize) -> usize {
        match self {
            Pad::Constant(_) | Pad::Edge => 0,
            _ if n == 1 => 0,
            Pad::Reflect => 2 * n.saturating_sub(1),
            Pad::Symmetric => 2 * n,
            Pad::Wrap => n,
        }
    }

    /// Returns the index of the array for index `at` of the output, the step to the next one, and how many indices
    /// these steps hold for. The axis has length `n`, `before` elements are added in front of it, and there is a
    /// period.
    fn run(&self, n: usize, before: usize, at: usize) -> (usize, isize, usize) {
        // The array and its mirror image alternate. `phase` is the position in a period, which begins with the array.
        let period = self.period(n);
        // The sum of two numbers of up to a period may exceed the largest `usize`.
        let phase = ((at % period) as u128 + (period - before % period) as u128) % period as u128;
        let phase = phase as usize;
        match self {
            _ if phase < n => (phase, 1, n - phase),
            Pad::Symmetric => (period - 1 - phase, -1, period - phase),
            _ => (period - phase, -1, period - phase),
        }
    }

    /// Returns the segments of an axis of length `n` with `before` and `after` elements added, or `None` if there are
    /// more than [`FEW`].
    fn segments(&self, n: usize, (before, after): (usize, usize)) -> Option<Segments> {
        let (total, mut out) = (before + n + after, Segments::new());
        let mut push = |at: usize, len: usize, from| {
            if len > 0 {
                out.push(Segment { at, len, from });
            }
        };
        if self.period(n) == 0 {
            let edge = |i: usize| if matches!(self, Pad::Constant(_)) { None } else { Some((i, 0)) };
            push(0, before, edge(0));
            push(before, n, Some((0, 1)));
            push(before + n, after, edge(n.saturating_sub(1)));
            return Some(out);
        }
        let mut at = 0;
        for _ in 0..FEW {
            let (first, step, len) = self.run(n, before, at);
            let len = len.min(total - at);
            push(at, len, Some((first, step)));
            at += len;
        }
        (at == total).then_some(out)
    }
}

/// The segments of an axis.
type Segments = SmallVec<[Segment; 4]>;

impl<T: Element> Array<T> {
    /// Adds elements at both ends of each axis: `widths[a]` are the numbers before and after the elements of axis `a`.
    /// A single pair holds for all axes. The widths may exceed the lengths: mirrored and repeated elements continue
    /// periodically.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of pairs; [`Error::Empty`] if an axis without elements is padded by other
    /// elements than a constant; [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1, 2, 3], [3])?;
    /// assert_eq!(x.pad(&[(1, 2)], Pad::Constant(0))?.to_vec()?, [0, 1, 2, 3, 0, 0]);
    /// assert_eq!(x.pad(&[(2, 2)], Pad::Reflect)?.to_vec()?, [3, 2, 1, 2, 3, 2, 1]);
    /// assert_eq!(x.pad(&[(2, 2)], Pad::Wrap)?.to_vec()?, [2, 3, 1, 2, 3, 1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn pad(&self, widths: &[(usize, usize)], mode: Pad<T>) -> Result<Array<T>> {
        let widths: SmallVec<[(usize, usize); 4]> = match *widths {
            [one] => std::iter::repeat_n(one, self.ndim()).collect(),
            _ if widths.len() == self.ndim() => widths.into(),
            _ => {
                let why =
                    format!("{} pairs for {} axes; give one for each, or a single one", widths.len(), self.ndim());
                return Err(Error::Argument { op: "pad", name: "widths", value: format!("{widths:?}"), why });
            }
        };
        let long = |(&n, &(before, after)): (&usize, &(usize, usize))| n.saturating_add(before).saturating_add(after);
        let shape: Dims = self.shape().iter().zip(&widths).map(long).collect();
        shape.check(T::DTYPE)?;
        let constant = matches!(mode, Pad::Constant(_));
        let lacks = |(&n, &w): (&usize, &(usize, usize))| n == 0 && w != (0, 0);
        if !constant && self.shape().iter().zip(&widths).any(lacks) {
            return Err(Error::Empty { op: "pad", shape: self.layout().shape().clone() });
        }
        if shape.contains(&0) {
            return Array::from_vec(Vec::new(), shape)?.beside(self);
        }
        // The output comes first: a size that does not fit into memory is an error before anything is computed.
        let mut parts = Parts::new::<T>(Layout::contiguous(shape.clone()), self.raw().buffer.memory())?;
        let (mut from, mut axes, mut blocks_so_far) = (self.clone(), Vec::with_capacity(shape.len()), 1);
        for (a, &w) in widths.iter().enumerate() {
            let n = from.shape()[a];
            let segments = match mode.segments(n, w).filter(|s| constant || s.len() * blocks_so_far <= MANY) {
                Some(segments) => segments,
                None => {
                    let mut at = reserve::<i64>(&shape[a].into())?;
                    at.extend((0..shape[a]).map(|i| mode.run(n, w.0, i).0 as i64));
                    from = from.take(&Array::<i64>::from_vec(at, shape[a])?, a as isize)?;
                    SmallVec::from_iter([Segment { at: 0, len: shape[a], from: Some((0, 1)) }])
                }
            };
            blocks_so_far *= segments.len();
            axes.push(segments);
        }
        let (source, out) = (from.layout().clone(), parts.layout().clone());
        blocks(&mut parts, &from, &mode, &axes, 0, source, out)?;
        parts.finish()
    }
}

/// Writes the blocks of `out`, a range of the output along the first `axis` axes, for which `source` is the view of the
/// array.
fn blocks<T: Element>(
    parts: &mut Parts,
    array: &Array<T>,
    mode: &Pad<T>,
    axes: &[Segments],
    axis: usize,
    source: Layout,
    out: Layout,
) -> Result<()> {
    let Some(segments) = axes.get(axis) else { return parts.copy(&array.with_layout(source), &out) };
    for segment in segments {
        let mut to = out.clone();
        to.cut(axis, segment.at, 1, segment.len);
        match (segment.from, mode) {
            (Some((first, step)), _) => {
                let mut from = source.clone();
                from.cut(axis, first, step, segment.len);
                blocks(parts, array, mode, axes, axis + 1, from, to)?;
            }
            (None, Pad::Constant(value)) => parts.fill(*value, &to)?,
            (None, _) => unreachable!("only a constant fills segments"),
        }
    }
    Ok(())
}
