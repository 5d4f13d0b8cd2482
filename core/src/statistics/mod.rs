//! Order statistics, counting and moments: medians and quantiles, distinct elements and sets, binary search,
//! histograms, averages and covariances.

mod histograms;
mod methods;
mod moments;
mod quantiles;
mod search;
mod sets;

pub use methods::Quantile;
pub use sets::Unique;

use crate::array::{Array, Axes};
use crate::canon;
use crate::expr::RawArray;
use crate::layout::Layout;
use crate::op::Operand;
use crate::sort::ordered;
use crate::{Dims, Element, Result, Wide};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cmp::Ordering;

/// An array whose reduced axes have been merged into one axis, the last.
struct Lines<T: Element> {
    array: Array<T>,
    /// The number of elements of a line.
    n: usize,
    /// The shape of the result, with or without axes of length 1 for the reduced axes.
    shown: Dims,
    reduced: Axes,
}

impl<T: Element> Lines<T> {
    fn new(op: &'static str, array: &Array<T>, axes: Option<&Axes>) -> Result<Lines<T>> {
        ordered(op, T::DTYPE)?;
        let (shape, strides) = (array.shape(), array.strides());
        let reduced: SmallVec<[usize; 4]> = match axes {
            Some(axes) => axes.resolve(op, shape.len())?,
            None => (0..shape.len()).collect(),
        };
        let keep = axes.is_some_and(|a| a.keep);
        let kept: SmallVec<[usize; 4]> = (0..shape.len()).filter(|a| !reduced.contains(a)).collect();
        let shown = if keep {
            (0..shape.len()).map(|a| if reduced.contains(&a) { 1 } else { shape[a] }).collect()
        } else {
            kept.iter().map(|&a| shape[a]).collect()
        };
        let lines: Dims = kept.iter().map(|&a| shape[a]).collect();
        let n = reduced.iter().map(|&a| shape[a]).product();
        let whole: Dims = lines.iter().copied().chain([n]).collect();
        let reduced_axes = Axes { axes: reduced.iter().map(|&a| a as isize).collect(), keep: false };
        // The order in which reduced axes are traversed does not affect order statistics. If the axes can be merged in
        // any order, nothing is copied.
        let inner = Layout::from_parts(
            reduced.iter().map(|&a| shape[a]).collect(),
            reduced.iter().map(|&a| strides[a]).collect(),
            array.layout().offset(),
        );
        let merged = (n > 0).then(|| canon::map::<Layout>(&inner, &[])).filter(|(lens, ..)| lens.len() == 1);
        let array = match merged {
            Some((_, (offset, step), _)) => {
                let strides = kept.iter().map(|&a| strides[a]).chain([step[0]]).collect();
                Array::from_raw(RawArray { layout: Layout::from_parts(whole, strides, offset), ..array.raw().clone() })?
            }
            None => {
                let order: SmallVec<[isize; 4]> = kept.iter().chain(&reduced).map(|&a| a as isize).collect();
                array.permute(&order)?.reshape(whole)?
            }
        };
        Ok(Lines { array, n, shown, reduced: reduced_axes })
    }
}

fn operand(array: &RawArray) -> Operand {
    canon::operand(&array.buffer, array.dtype, &array.layout)
}

/// Returns the elements in C order: those of the array if they lie in host memory in this order, else a copy.
fn host_elements<T: Element>(array: &Array<T>) -> Result<Cow<'_, [T]>> {
    match array.as_slice() {
        Some(elements) => Ok(Cow::Borrowed(elements)),
        None => array.to_vec().map(Cow::Owned),
    }
}

/// Compares two real elements. Zeros of both signs are equal. NaN is larger than every number, and equal to NaN.
fn compare<T: Element>(a: T, b: T) -> Ordering {
    match (a.to_wide(), b.to_wide()) {
        (Wide::Int(a), Wide::Int(b)) => a.cmp(&b),
        (a, b) => {
            let (a, b) = (a.real(), b.real());
            a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
        }
    }
}

/// Returns whether an element is NaN: only NaN differs from itself.
#[expect(clippy::eq_op, reason = "the comparison of a value with itself finds NaN")]
fn is_nan<T: Element>(x: T) -> bool {
    x != x
}
