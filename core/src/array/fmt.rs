//! Showing arrays: nested brackets, long axes shortened to their ends. What is written is bounded, whatever the shape.

use super::Array;
use crate::{DType, Element, Wide};
use smallvec::SmallVec;
use std::fmt;

/// Elements shown at each end of an axis that is too long.
const EDGE: usize = 3;
/// Arrays of more elements than this are shortened.
const WHOLE: usize = 1000;
/// Elements of a shortened array that are shown at most. Arrays of many axes show fewer than [`EDGE`] at the ends of the outer ones.
const SHOWN: usize = 10_000;
/// Floats from this size on are written with an exponent, as NumPy and Python do.
const LARGE: f64 = 1e16;
/// Floats below this size are, too.
const SMALL: f64 = 1e-4;

/// As NumPy shows it: an axis of more than six shows its first and last three where there are more than a thousand elements, and an array without elements is `[]`.
/// Floats from 1e16 on and below 1e-4 are written with an exponent; `{:.3}` gives so many digits behind the point. An array that cannot be read from its device
/// shows the error in its place.
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

/// Indices that are shown of an axis: so many from its start, and so many from its end.
type Ends = (usize, usize);

/// What is shown of each axis.
fn ends(shape: &[usize], shorten: bool) -> SmallVec<[Ends; 8]> {
    let mut shown = 1;
    let mut ends: SmallVec<[Ends; 8]> = shape.iter().map(|&n| (n, 0)).collect();
    if !shorten {
        return ends;
    }
    // The inner axes first: they are read as rows and matrices.
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
        // The index is within the shape, and the elements are on the host.
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

/// A float, with as many digits as tell it from its neighbours in f64, or else in f32.
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
