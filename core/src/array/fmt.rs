//! Showing arrays: nested brackets, long axes shortened to their ends.

use super::Array;
use crate::Element;
use std::fmt;

/// Elements shown at each end of an axis that is too long.
const EDGE: usize = 3;
/// Arrays of more elements than this are shortened.
const WHOLE: usize = 1000;

impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.on_host().map_err(|_| fmt::Error)?;
        show(&host, &mut Vec::new(), self.len() > WHOLE, f.precision(), f)
    }
}

fn show<T: Element>(a: &Array<T>, index: &mut Vec<usize>, shorten: bool, precision: Option<usize>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let axis = index.len();
    if axis == a.ndim() {
        let x = a.get(&index[..]).map_err(|_| fmt::Error)?;
        return match precision {
            Some(p) => write!(f, "{x:.p$}"),
            None => write!(f, "{x}"),
        };
    }
    let len = a.shape()[axis];
    let last = axis + 1 == a.ndim();
    let separator = if last { ", ".to_string() } else { format!(",{}{}", "\n".repeat(a.ndim() - axis - 1), " ".repeat(axis + 1)) };
    write!(f, "[")?;
    let mut i = 0;
    while i < len {
        if i > 0 {
            write!(f, "{separator}")?;
        }
        if shorten && len > 2 * EDGE && i == EDGE {
            write!(f, "...")?;
            i = len - EDGE;
            continue;
        }
        index.push(i);
        show(a, index, shorten, precision, f)?;
        index.pop();
        i += 1;
    }
    write!(f, "]")
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>({:?}, strides {:?}, {:?})", T::DTYPE, self.shape(), self.strides(), self.device())?;
        write!(f, "\n{self}")
    }
}
