//! Formatting of arrays: nested brackets, aligned columns, long axes shortened to their ends. The output is bounded for
//! every shape.

use super::{Array, ViewMut};
use crate::{DType, Element, Wide, bf16, f16};
use smallvec::SmallVec;
use std::fmt::{self, Alignment};

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
/// The maximum number of digits after the decimal point that `{}` writes, as in NumPy.
const DIGITS: usize = 8;
/// The width beyond which a row continues on the next line, as in NumPy.
const LINE: usize = 75;

/// Formats as NumPy does: the columns are aligned, at the decimal point if there is one, and rows longer than 75
/// characters continue on the next line. Of more than 1000 elements, each axis longer than six shows its first and last
/// three indices (outer axes fewer if more than 10,000 elements would be shown). An array without elements is `[]`, one
/// without axes its element.
///
/// Floats have as many digits after the decimal point as identify them among the numbers of their dtype, at most eight;
/// `{:.3}` sets the number, `{:?}` writes all. Floats of at least 1e16, and without a precision those below 1e-4, have
/// an exponent. `{:8.3}` also sets the smallest width of an element, `{:<8}` aligns to the left, and `{:+}` writes plus
/// signs. If the array cannot be read from its device, the error is shown instead.
///
/// ```
/// # use polyarray_core::*;
/// let a = Array::from([[1.0, 0.125], [-10.5, 1e20]]);
/// assert_eq!(a.to_string(), "[[  1    ,   0.125],\n [-10.5  ,   1e20 ]]");
/// assert_eq!(format!("{:8.2}", Array::from([1.0f32, 2.5])), "[    1.00,     2.50]");
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, DIGITS, f)
    }
}

/// Writes dtype, shape, strides and device, and then the elements as [`Display`](fmt::Display) does, but with all
/// digits that identify them.
impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Array<{}>({:?}, strides {:?}, {:?})", T::DTYPE, self.shape(), self.strides(), self.device())?;
        write(self, usize::MAX, f)
    }
}

/// As for [`Array`].
impl<T: Element> fmt::Debug for ViewMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ViewMut of ")?;
        Array::<T>::from_raw(self.raw()).map_err(|_| fmt::Error)?.fmt(f)
    }
}

fn write<T: Element>(array: &Array<T>, digits: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if array.is_empty() {
        return f.write_str("[]");
    }
    let host = match array.on_host() {
        Ok(host) => host,
        Err(e) => return write!(f, "[{e}]"),
    };
    let ends = ends(array.shape(), array.len() > WHOLE);
    let style = Style { precision: f.precision(), digits, plus: f.sign_plus() };
    let mut texts = Vec::new();
    collect(&host, &mut SmallVec::new(), &ends, &style, &mut texts).map_err(|_| fmt::Error)?;
    let columns = Columns::of(&texts, f.width().unwrap_or(0), f.align() == Some(Alignment::Left));
    Rows { shape: array.shape(), ends: &ends, columns, texts: texts.into_iter() }.write(0, f)
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

/// Appends the texts of the elements to show, in C order.
fn collect<T: Element>(
    host: &Array<T>,
    index: &mut SmallVec<[usize; 8]>,
    ends: &[Ends],
    style: &Style,
    texts: &mut Vec<String>,
) -> crate::Result<()> {
    let Some(&(first, last)) = ends.get(index.len()) else {
        texts.push(style.text(host.get(&index[..])?));
        return Ok(());
    };
    let len = host.shape()[index.len()];
    for i in (0..first).chain(len - last..len) {
        index.push(i);
        collect(host, index, ends, style, texts)?;
        index.pop();
    }
    Ok(())
}

/// The text form of single elements.
struct Style {
    /// The number of digits after the decimal point of every float.
    precision: Option<usize>,
    /// Without a precision, the maximum number of digits after the decimal point.
    digits: usize,
    /// Whether numbers that are not negative have a sign.
    plus: bool,
}

impl Style {
    fn text<T: Element>(&self, x: T) -> String {
        match x.to_wide() {
            Wide::Float(x) => self.signed(self.float(x, T::DTYPE)),
            Wide::Complex(re, im) => {
                let sign = if im.is_sign_negative() && !im.is_nan() { "-" } else { "+" };
                let im = self.float(im.abs(), T::DTYPE);
                format!("{}{sign}{im}i", self.signed(self.float(re, T::DTYPE)))
            }
            Wide::Int(_) if T::DTYPE == DType::Bool => x.to_string(),
            Wide::Int(_) => self.signed(x.to_string()),
        }
    }

    fn signed(&self, text: String) -> String {
        if self.plus && !text.starts_with('-') { format!("+{text}") } else { text }
    }

    fn float(&self, x: f64, dtype: DType) -> String {
        let size = x.abs();
        let exponent = size.is_finite() && (size >= LARGE || (self.precision.is_none() && size < SMALL && size > 0.0));
        match (exponent, self.precision) {
            (true, Some(p)) => format!("{x:.p$e}"),
            (false, Some(p)) => format!("{x:.p$}"),
            (true, None) => {
                let text = format!("{:e}", shortest(x, dtype));
                let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
                if fraction(mantissa) <= self.digits {
                    return text;
                }
                let text = format!("{x:.*e}", self.digits);
                let (mantissa, rounded) = text.split_once('e').unwrap_or((&text, power));
                format!("{}e{rounded}", without_zeros(mantissa))
            }
            (false, None) => {
                let text = shortest(x, dtype).to_string();
                let cut = fraction(&text) > self.digits;
                if cut { without_zeros(&format!("{x:.*}", self.digits)).into() } else { text }
            }
        }
    }
}

/// Returns the number of digits after the decimal point.
fn fraction(text: &str) -> usize {
    text.find('.').map_or(0, |at| text.len() - at - 1)
}

fn without_zeros(text: &str) -> &str {
    text.trim_end_matches('0').trim_end_matches('.')
}

/// Returns the number with the fewest decimal digits that rounds to `x` in the float type of `dtype`.
fn shortest(x: f64, dtype: DType) -> f64 {
    match dtype.real() {
        DType::F32 => (x as f32).to_string().parse().unwrap_or(x),
        DType::F16 => fewest(x, f16::from_wide),
        DType::BF16 => fewest(x, bf16::from_wide),
        _ => x,
    }
}

/// Returns the number with the fewest decimal digits that rounds to `x`, a half float.
fn fewest<T: Element>(x: f64, round: fn(Wide) -> T) -> f64 {
    let exact = round(Wide::Float(x));
    // Five significant digits identify every f16, and four every bf16.
    let candidates = (0..5).filter_map(|digits| format!("{x:.digits$e}").parse().ok());
    candidates.into_iter().find(|&short| round(Wide::Float(short)) == exact).unwrap_or(x)
}

/// The widths that all elements share.
struct Columns {
    /// The characters before the decimal point or the exponent.
    left: usize,
    /// The other characters.
    right: usize,
    width: usize,
    to_left: bool,
}

/// Returns the number of characters before the decimal point or the exponent; `None` for texts that are not aligned
/// there: truth values, complex numbers, infinities and NaN.
fn point(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'-' | b'+'));
    is_plain.then(|| text.find(['.', 'e']).unwrap_or(text.len()))
}

impl Columns {
    fn of(texts: &[String], width: usize, to_left: bool) -> Columns {
        let mut columns = Columns { left: 0, right: 0, width, to_left };
        for text in texts {
            match point(text) {
                Some(at) => {
                    columns.left = columns.left.max(at);
                    columns.right = columns.right.max(text.len() - at);
                }
                None => columns.width = columns.width.max(text.len()),
            }
        }
        columns.width = columns.width.max(columns.left + columns.right);
        columns
    }

    fn write(&self, text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.width;
        let Some(at) = point(text) else {
            // Padded by hand: a format has at most 65535 characters.
            let rest = " ".repeat(width - text.len());
            return if self.to_left { write!(f, "{text}{rest}") } else { write!(f, "{rest}{text}") };
        };
        let (before, after) = (self.left - at, self.right - (text.len() - at));
        let rest = width - self.left - self.right;
        let (before, after) = if self.to_left { (before, after + rest) } else { (before + rest, after) };
        write!(f, "{}{text}{}", " ".repeat(before), " ".repeat(after))
    }
}

/// The rest of the elements to write, and how.
struct Rows<'a> {
    shape: &'a [usize],
    ends: &'a [Ends],
    columns: Columns,
    texts: std::vec::IntoIter<String>,
}

impl Rows<'_> {
    fn write(&mut self, axis: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ndim = self.shape.len();
        if axis == ndim {
            let text = self.texts.next().unwrap_or_default();
            return self.columns.write(&text, f);
        }
        let (len, (first, last)) = (self.shape[axis], self.ends[axis]);
        let is_row = axis + 1 == ndim;
        let mut at = ndim;
        f.write_str("[")?;
        // Where indices are left out, `None` stands for them.
        let left_out = (first + last < len).then_some(None);
        let items = (0..first).map(Some).chain(left_out).chain((len - last..len).map(Some));
        for (n, item) in items.enumerate() {
            let width = if item.is_some() { self.columns.width } else { "...".len() };
            match ndim - axis - 1 {
                _ if n == 0 => {}
                0 if at + ", ".len() + width < LINE => {
                    f.write_str(", ")?;
                    at += ", ".len();
                }
                0 => {
                    write!(f, ",\n{:ndim$}", "")?;
                    at = ndim;
                }
                lines => write!(f, ",{:\n<lines$}{:indent$}", "", "", indent = axis + 1)?,
            }
            if is_row {
                at += width;
            }
            match item {
                Some(_) => self.write(axis + 1, f)?,
                None => f.write_str("...")?,
            }
        }
        f.write_str("]")
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
