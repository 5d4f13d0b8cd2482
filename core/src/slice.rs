//! Basic slicing: ranges with steps, single indices, new axes.

use crate::layout::Layout;
use crate::{Error, Result};

/// An axis of one is put here.
#[derive(Clone, Copy, Debug)]
pub struct NewAxis;

/// What a slice does with one axis. Made by [`s!`](crate::s).
#[derive(Clone, Copy, Debug)]
pub enum SliceItem {
    /// One index; the axis disappears. Negative ones count from the end.
    Index(isize),
    /// From `start` to before `end`, each counted from the end if negative, then every `step`-th of that range;
    /// a negative step walks it backwards.
    Range {
        /// First element of the range.
        start: isize,
        /// One past the last element; `None` is the end of the axis.
        end: Option<isize>,
        /// Distance between elements taken; not zero.
        step: isize,
    },
    /// A new axis of one.
    NewAxis,
}

impl SliceItem {
    /// The same range with another step. An index has none and stays.
    pub fn step(self, by: isize) -> SliceItem {
        match self {
            SliceItem::Range { start, end, .. } => SliceItem::Range { start, end, step: by },
            other => other,
        }
    }
}

impl From<NewAxis> for SliceItem {
    fn from(_: NewAxis) -> SliceItem {
        SliceItem::NewAxis
    }
}

impl From<std::ops::RangeFull> for SliceItem {
    fn from(_: std::ops::RangeFull) -> SliceItem {
        SliceItem::Range { start: 0, end: None, step: 1 }
    }
}

/// An index as `isize`. One that is larger lies outside of every axis, as `isize::MAX` does.
fn index<I: TryInto<isize>>(i: I) -> isize {
    i.try_into().unwrap_or(isize::MAX)
}

macro_rules! slice_from {
    ($($int:ty),*) => { $(
        impl From<$int> for SliceItem { fn from(i: $int) -> SliceItem { SliceItem::Index(index(i)) } }
        impl From<std::ops::Range<$int>> for SliceItem {
            fn from(r: std::ops::Range<$int>) -> SliceItem { SliceItem::Range { start: index(r.start), end: Some(index(r.end)), step: 1 } }
        }
        impl From<std::ops::RangeInclusive<$int>> for SliceItem {
            fn from(r: std::ops::RangeInclusive<$int>) -> SliceItem {
                // `..=-1` is up to the last element: one past it is the end, not index 0.
                let end = Some(index(*r.end()).saturating_add(1)).filter(|&e| e != 0);
                SliceItem::Range { start: index(*r.start()), end, step: 1 }
            }
        }
        impl From<std::ops::RangeToInclusive<$int>> for SliceItem {
            fn from(r: std::ops::RangeToInclusive<$int>) -> SliceItem { SliceItem::from(0..=r.end) }
        }
        impl From<std::ops::RangeFrom<$int>> for SliceItem {
            fn from(r: std::ops::RangeFrom<$int>) -> SliceItem { SliceItem::Range { start: index(r.start), end: None, step: 1 } }
        }
        impl From<std::ops::RangeTo<$int>> for SliceItem {
            fn from(r: std::ops::RangeTo<$int>) -> SliceItem { SliceItem::Range { start: 0, end: Some(index(r.end)), step: 1 } }
        }
    )* };
}
slice_from!(isize, i32, usize);

/// Describes a slice: `s![1..3, .., NewAxis, ..;-1, -1]`.
///
/// Each item is a range (`a..b`, `a..`, `..b`, `..`, with `;step` after it), one index, or [`NewAxis`](crate::NewAxis). Negative numbers count from
/// the end. The range is taken first and the step walks it, so `..;-1` reverses an axis. Axes that are not named are taken whole.
#[macro_export]
macro_rules! s {
    // Clippy takes `1..-1` for an empty loop; here it is all but the first and the last.
    (@one $e:expr) => {{
        #[allow(clippy::reversed_empty_ranges)]
        let item = $crate::SliceItem::from($e);
        item
    }};
    (@item [$($done:tt)*]) => { [$($done)*] };
    (@item [$($done:tt)*] $e:expr ; $step:expr) => { [$($done)* $crate::s!(@one $e).step($step)] };
    (@item [$($done:tt)*] $e:expr) => { [$($done)* $crate::s!(@one $e)] };
    (@item [$($done:tt)*] $e:expr ; $step:expr, $($rest:tt)*) => { $crate::s!(@item [$($done)* $crate::s!(@one $e).step($step),] $($rest)*) };
    (@item [$($done:tt)*] $e:expr, $($rest:tt)*) => { $crate::s!(@item [$($done)* $crate::s!(@one $e),] $($rest)*) };
    ($($items:tt)*) => { $crate::s!(@item [] $($items)*) };
}

impl Layout {
    /// The view that `items` describe.
    ///
    /// # Errors
    /// [`Error::Index`] for an index or a bound outside its axis, a start after its end, or a step of zero;
    /// [`Error::IndexCount`] for more items than axes.
    pub fn slice(&self, items: &[SliceItem]) -> Result<Layout> {
        let taken = items.iter().filter(|i| !matches!(i, SliceItem::NewAxis)).count();
        if taken > self.shape().len() {
            return Err(Error::IndexCount { given: taken, ndim: self.shape().len(), shape: self.shape().clone() });
        }
        let mut out = self.clone();
        let (mut axis, mut source) = (0, 0);
        for item in items {
            match *item {
                SliceItem::NewAxis => {
                    out = out.expand_dims(axis as isize)?;
                    axis += 1;
                }
                SliceItem::Index(i) => {
                    let len = out.shape()[axis];
                    let at = from_end(i, len).filter(|&at| at < len);
                    let at = at.ok_or_else(|| Error::Index { what: format!("index {i}"), axis: source, len })?;
                    out.cut(axis, at, 1, 1);
                    out.remove_axis(axis);
                    source += 1;
                }
                SliceItem::Range { start, end, step } => {
                    let len = out.shape()[axis];
                    let bad = || Error::Index { what: show_range(start, end, step), axis: source, len };
                    let lo = from_end(start, len).ok_or_else(bad)?;
                    let hi = end.map_or(Some(len), |e| from_end(e, len)).ok_or_else(bad)?;
                    if lo > hi || step == 0 {
                        return Err(bad());
                    }
                    let count = (hi - lo).div_ceil(step.unsigned_abs());
                    out.cut(axis, if step > 0 { lo } else { hi.saturating_sub(1) }, step, count);
                    axis += 1;
                    source += 1;
                }
            }
        }
        Ok(out)
    }
}

/// `i` counted from the front; `None` if it lies outside `0..=len`.
fn from_end(i: isize, len: usize) -> Option<usize> {
    let at = if i < 0 { i + len as isize } else { i };
    usize::try_from(at).ok().filter(|&at| at <= len)
}

fn show_range(start: isize, end: Option<isize>, step: isize) -> String {
    let end = end.map(|e| e.to_string()).unwrap_or_default();
    let step = if step == 1 { String::new() } else { format!(";{step}") };
    format!("range {start}..{end}{step}")
}
