//! Formatting of arrays: nested brackets, long axes shortened to their ends. The output is bounded for every shape.

use super::Array;
use crate::{DType, Element, Wide};
use smallvec::SmallVec;
use std::fmt;

/// The number of elements shown at each end of a shortened axis.
const EDGE: usize = 3;
/// Arrays of more elements than this are shortened.
const WHOLE: usize = 1000;
/// The maximum number of elements shown of a shortened array. If there are many axes, the outer ones show fewer than
/// [`EDGE`] elements at their ends.
const SHOWN: usize = 10_000;
/// Floats of at least this magnitude are written with an exponent, as in NumPy and Python.
const LARGE: f64 = 1e16;
/// Floats below this magnitude are written with an exponent unless a precision is given.
const SMALL: f64 = 1e-4;

/// Formats as NumPy does: of more than 1000 elements, each axis longer than six shows its first and last three indices
/// (outer axes fewer if more than 10,000 elements would be shown). An array without elements is `[]`. Floats of at
/// least 1e16, and without a precision those below 1e-4, have an exponent; `{:.3}` sets the digits after the decimal
/// point. If the array cannot be read from its device, the error is shown instead.
impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("[]");
        }
        match self.on_host() {
            Ok(host) => show(&host, &mut SmallVec::new(), &ends(self.shape(), self.len() > WHOLE), f.precision(), f),
            Err(e) => write!(f, "[{e}]"),
        }
    }
}

/// The numbers of indices shown at the start and the end of an axis.
type Ends = (usize, usize);

/// Returns the indices to show of each axis.
fn ends(shape: &[usize], shorten: bool) -> SmallVec<[Ends; 8]> {
    let mut shown = 1;
    let mut ends: SmallVec<[Ends; 8]> = shape.iter().map(|&n| (n, 0)).collect();
    if !shorten {
        return ends;
    }
    // Inner axes first, because they are read as rows and matrices.
    for end in ends.iter_mut().rev() {
        let n = end.0;
        let whole = if n > 2 * EDGE { (EDGE, EDGE) } else { (n, 0) };
        let few = if n > 2 { (1, 1) } else { (n, 0) };
        *end = [whole, few].into_iter().find(|(first, last)| shown * (first + last) <= SHOWN).unwrap_or((1, 0));
        shown *= end.0 + end.1;
    }
    ends
}

fn show<T: Element>(
    a: &Array<T>,
    index: &mut SmallVec<[usize; 8]>,
    ends: &[Ends],
    precision: Option<usize>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let axis = index.len();
    if axis == a.ndim() {
        // Does not fail: the index is within the shape, and the elements are in host memory.
        return element(a.get(&index[..]).map_err(|_| fmt::Error)?, precision, f);
    }
    let (len, (first, last)) = (a.shape()[axis], ends[axis]);
    let separator = |f: &mut fmt::Formatter<'_>| match a.ndim() - axis - 1 {
        0 => f.write_str(", "),
        lines => write!(f, ",{:\n<lines$}{:indent$}", "", "", indent = axis + 1),
    };
    f.write_str("[")?;
    for i in (0..first).chain(len - last..len) {
        if i > 0 {
            separator(f)?;
        }
        if i == len - last && first + last < len {
            f.write_str("...")?;
            separator(f)?;
        }
        index.push(i);
        show(a, index, ends, precision, f)?;
        index.pop();
    }
    if last == 0 && first < len {
        separator(f)?;
        f.write_str("...")?;
    }
    f.write_str("]")
}

fn element<T: Element>(x: T, precision: Option<usize>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_double = matches!(T::DTYPE, DType::F64 | DType::C64);
    match (x.to_wide(), precision) {
        (Wide::Float(x), _) => float(x, is_double, precision, f),
        (Wide::Complex(re, im), _) if wants_exponent(re, precision) || wants_exponent(im, precision) => {
            float(re, is_double, precision, f)?;
            f.write_str(if im.is_sign_negative() { "-" } else { "+" })?;
            float(im.abs(), is_double, precision, f)?;
            f.write_str("i")
        }
        (Wide::Complex(..), Some(p)) => write!(f, "{x:.p$}"),
        (Wide::Complex(..) | Wide::Int(_), _) => write!(f, "{x}"),
    }
}

fn wants_exponent(x: f64, precision: Option<usize>) -> bool {
    let size = x.abs();
    size.is_finite() && (size >= LARGE || (precision.is_none() && size < SMALL && size > 0.0))
}

/// Writes a float with the fewest digits that identify it in f64 or, if not `is_double`, in f32.
fn float(x: f64, is_double: bool, precision: Option<usize>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (wants_exponent(x, precision), precision) {
        (true, Some(p)) => write!(f, "{x:.p$e}"),
        (true, None) if is_double => write!(f, "{x:e}"),
        (true, None) => write!(f, "{:e}", x as f32),
        (false, Some(p)) => write!(f, "{x:.p$}"),
        (false, None) if is_double => write!(f, "{x}"),
        (false, None) => write!(f, "{}", x as f32),
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>({:?}, strides {:?}, {:?})", T::DTYPE, self.shape(), self.strides(), self.device())?;
        write!(f, "\n{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_bounded() {
        let shown = |shape: &[usize]| ends(shape, true).iter().map(|(first, last)| first + last).product::<usize>();
        for shape in [&[7; 16][..], &[6; 16], &[2; 16], &[1_000_000, 1, 7, 2], &[10_000], &[1; 16]] {
            assert!((1..=SHOWN).contains(&shown(shape)), "{shape:?}");
        }
        assert_eq!(ends(&[2000, 6, 7, 1], true)[..], [(3, 3), (6, 0), (3, 3), (1, 0)]);
        assert_eq!(ends(&[7; 3], false)[..], [(7, 0); 3]);
        assert_eq!(ends(&[7; 8], true)[..3], [(1, 0), (1, 0), (1, 0)], "the outer axes of many show one");
    }
}
