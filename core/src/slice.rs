//! Basic slicing: ranges with steps, single indices, new axes.

use crate::layout::Layout;
use crate::signed::AxisIndex;
use crate::{Error, Result};

/// A slice item that inserts an axis of length 1.
#[derive(Clone, Copy, Debug)]
pub struct NewAxis;

/// The effect of a slice on one axis. Created by [`s!`](crate::s).
#[derive(Clone, Copy, Debug)]
pub enum SliceItem {
    /// A single index. The axis is removed. Negative indices count from the end.
    Index(isize),
    /// The elements from `start` to before `end`, each counted from the end if negative, and of these every `step`-th.
    /// A negative step walks the range backwards. As in NumPy, bounds outside the axis select up to its end, and a
    /// range whose start is not before its end is empty.
    Range {
        /// The first element of the range.
        start: isize,
        /// One past the last element; `None` is the end of the axis.
        end: Option<isize>,
        /// The distance between selected elements; not zero.
        step: isize,
    },
    /// A new axis of length 1.
    NewAxis,
}

impl SliceItem {
    /// Returns the same range with another step. An index or a new axis has no step and is returned unchanged.
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

/// Converts an index to `isize`. An index that does not fit becomes the nearest `isize`, which lies outside every axis,
/// too.
fn index<I: TryInto<isize> + PartialOrd + Default + Copy>(i: I) -> isize {
    i.try_into().unwrap_or(if i < I::default() { isize::MIN } else { isize::MAX })
}

macro_rules! slice_from {
    ($($int:ty),*) => { $(
        impl From<$int> for SliceItem { fn from(i: $int) -> SliceItem { SliceItem::Index(index(i)) } }
        impl From<std::ops::Range<$int>> for SliceItem {
            fn from(r: std::ops::Range<$int>) -> SliceItem {
                SliceItem::Range { start: index(r.start), end: Some(index(r.end)), step: 1 }
            }
        }
        impl From<std::ops::RangeInclusive<$int>> for SliceItem {
            fn from(r: std::ops::RangeInclusive<$int>) -> SliceItem {
                // `..=-1` includes the last element: its end is the end of the axis (`None`), not index 0.
                let end = Some(index(*r.end()).saturating_add(1)).filter(|&e| e != 0);
                SliceItem::Range { start: index(*r.start()), end, step: 1 }
            }
        }
        impl From<std::ops::RangeToInclusive<$int>> for SliceItem {
            fn from(r: std::ops::RangeToInclusive<$int>) -> SliceItem { SliceItem::from(0..=r.end) }
        }
        impl From<std::ops::RangeFrom<$int>> for SliceItem {
            fn from(r: std::ops::RangeFrom<$int>) -> SliceItem {
                SliceItem::Range { start: index(r.start), end: None, step: 1 }
            }
        }
        impl From<std::ops::RangeTo<$int>> for SliceItem {
            fn from(r: std::ops::RangeTo<$int>) -> SliceItem {
                SliceItem::Range { start: 0, end: Some(index(r.end)), step: 1 }
            }
        }
    )* };
}
slice_from!(isize, i32, i64, usize);

/// Describes a slice: `s![1..3, .., NewAxis, ..;-1, -1]`.
///
/// Each item is a range (`a..b`, `a..`, `..b`, `..`, optionally followed by `;step`), one index, or
/// [`NewAxis`](crate::NewAxis). Negative numbers count from the end. The range is selected first, then the step walks
/// it, so `..;-1` reverses an axis. Bounds outside the axis select up to its end. Axes without an item are kept whole.
#[macro_export]
macro_rules! s {
    // Clippy reports `1..-1` as an empty loop. Here it means all but the first and the last element.
    (@one $e:expr) => {{
        #[allow(clippy::reversed_empty_ranges)]
        let item = $crate::SliceItem::from($e);
        item
    }};
    (@item [$($done:tt)*]) => { [$($done)*] };
    (@item [$($done:tt)*] $e:expr ; $step:expr) => { [$($done)* $crate::s!(@one $e).step($step)] };
    (@item [$($done:tt)*] $e:expr) => { [$($done)* $crate::s!(@one $e)] };
    (@item [$($done:tt)*] $e:expr ; $step:expr, $($rest:tt)*) => {
        $crate::s!(@item [$($done)* $crate::s!(@one $e).step($step),] $($rest)*)
    };
    (@item [$($done:tt)*] $e:expr, $($rest:tt)*) => { $crate::s!(@item [$($done)* $crate::s!(@one $e),] $($rest)*) };
    ($($items:tt)*) => { $crate::s!(@item [] $($items)*) };
}

impl Layout {
    /// Returns the view that `items` describe.
    ///
    /// # Errors
    /// [`Error::Index`] for an index outside its axis or a step of zero; [`Error::IndexCount`] for more items
    /// than axes.
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
                    let at = i.position(len).ok_or_else(|| Error::Index {
                        what: format!("index {i}"),
                        axis: source,
                        len,
                    })?;
                    out.cut(axis, at, 1, 1);
                    out.remove_axis(axis);
                    source += 1;
                }
                SliceItem::Range { start, end, step } => {
                    let len = out.shape()[axis];
                    if step == 0 {
                        return Err(Error::Index { what: show_range(start, end, step), axis: source, len });
                    }
                    let (lo, hi) = (clamped(start, len), end.map_or(len, |e| clamped(e, len)));
                    let count = hi.saturating_sub(lo).div_ceil(step.unsigned_abs());
                    out.cut(axis, if step > 0 { lo } else { hi.saturating_sub(1) }, step, count);
                    axis += 1;
                    source += 1;
                }
            }
        }
        Ok(out)
    }
}

/// Returns the bound `i`, counted from the front and limited to `0..=len`.
fn clamped(i: isize, len: usize) -> usize {
    if i < 0 { len.saturating_sub(i.unsigned_abs()) } else { i.unsigned_abs().min(len) }
}

fn show_range(start: isize, end: Option<isize>, step: isize) -> String {
    let end = end.map(|e| e.to_string()).unwrap_or_default();
    let step = if step == 1 { String::new() } else { format!(";{step}") };
    format!("range {start}..{end}{step}")
}
