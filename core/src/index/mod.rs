//! Indexing with arrays of integers and with masks: converts array calls to [`op::Gather`](crate::op::Gather) and
//! [`op::Scatter`](crate::op::Scatter).

mod forms;
mod mask;
mod points;
mod scatter;
mod take;

use crate::array::Array;
use crate::layout::{Layout, Strides};
use crate::walk::walk;
use crate::{DType, Dims, Element, Error, Result, bytes, parts};
use smallvec::SmallVec;
use std::ops::Range;

/// An integer that can be an index: every integer dtype. Indices of other dtypes than i64 are converted to it.
pub trait Index: Element {}

macro_rules! index {
    ($($T:ty),*) => { $( impl Index for $T {} )* };
}
index!(i8, i16, i32, i64, u8, u16, u32, u64);

/// Returns the indices as i64 in host memory. Every index is at least `-len` and less than `len`.
///
/// # Errors
/// [`Error::Index`] for an index out of range of `axis`, which has length `len`.
fn checked<I: Index>(indices: &Array<I>, axis: usize, len: usize) -> Result<Array<i64>> {
    let here = indices.on_host()?;
    let wide = if I::DTYPE == DType::I64 {
        // Another program could change indices in a mapped file between this check and their use.
        let is_mapped = here.raw().buffer.map().is_some();
        let own = if is_mapped { Array::from_vec(here.to_vec()?, here.layout().shape().clone())? } else { here };
        Array::<i64>::from_shared(own.into_shared())?
    } else {
        here.cast::<i64>().eval()?
    };
    // The cast to i64 made unsigned numbers above `i64::MAX` negative.
    let low = if I::DTYPE == DType::U64 { 0 } else { -(len as i64) };
    let bad = |index: i64| index.wrapping_sub(low) as u64 >= (len as i64).wrapping_sub(low) as u64;
    let layout = wide.layout();
    let (lo, hi) = layout.span();
    let all = if layout.is_empty() { &[] } else { bytes::elements::<i64>(&wide.raw().buffer, lo, hi) };
    let mut found = None;
    if hi - lo == layout.len() && !layout.may_overlap() {
        // The elements from the first to the last are exactly the indices, so loops without branches check them.
        let any_bad = |part: Range<usize>| all[part].iter().fold(false, |any, &index| any | bad(index));
        if parts::run(parts::of(all.len()), any_bad)?.contains(&true) {
            found = all.iter().copied().find(|&index| bad(index));
        }
    } else {
        // Elements that are repeated are checked once.
        let lens: Dims =
            layout.shape().iter().zip(layout.strides()).map(|(&n, &s)| if s == 0 { 1 } else { n }).collect();
        let start = layout.offset() as isize - lo as isize;
        walk(&lens, [layout.strides()], [start], 0..lens.size(), |[at]| {
            let index = all[at as usize];
            if found.is_none() && bad(index) {
                found = Some(index);
            }
        });
    }
    let show = |index: i64| if I::DTYPE == DType::U64 { (index as u64).to_string() } else { index.to_string() };
    found.map_or(Ok(wide), |index| Err(Error::Index { what: format!("index {}", show(index)), axis, len }))
}

/// The index space of a gather or a scatter along an axis of an array.
struct Space {
    shape: Dims,
    /// The strides of the array, 0 along the axes in which only the index moves.
    kept: Strides,
    /// The strides of the indices.
    indices: Strides,
    /// The stride of the axis.
    step: isize,
}

/// Returns the space in which every index meets every position along the other axes of `array`: the axes of the
/// indices replace `axis`.
///
/// # Errors
/// [`Error::TooLarge`]; [`Error::Shapes`] for too many axes.
fn every(array: &Layout, dtype: DType, axis: usize, indices: &Layout) -> Result<Space> {
    let (before, after) = (0..axis, axis + 1..array.shape().len());
    let zeros = |n: usize| std::iter::repeat_n(0, n);
    let joined = |lens: &[usize], index: &[usize]| -> Dims {
        before.clone().map(|a| lens[a]).chain(index.iter().copied()).chain(after.clone().map(|a| lens[a])).collect()
    };
    let shape = joined(array.shape(), indices.shape());
    shape.check(dtype)?;
    let strides = array.strides();
    let (n, m, k) = (before.len(), indices.shape().len(), after.len());
    Ok(Space {
        shape,
        kept: strides[..axis].iter().copied().chain(zeros(m)).chain(strides[axis + 1..].iter().copied()).collect(),
        indices: zeros(n).chain(indices.strides().iter().copied()).chain(zeros(k)).collect(),
        step: strides[axis],
    })
}

/// Returns the space of indices that are aligned with `array`: both have the same axes, and those other than `axis`
/// have the lengths of `shape`, to which operands broadcast.
///
/// # Errors
/// [`Error::BroadcastTo`].
fn aligned(array: &Layout, axis: usize, indices: &Layout, shape: &Dims) -> Result<Space> {
    let mut whole = shape.clone();
    whole.axes_mut()[axis] = array.shape()[axis];
    let array = array.broadcast_to(&whole)?;
    let mut kept: Strides = array.strides().into();
    let step = std::mem::replace(&mut kept[axis], 0);
    Ok(Space { shape: shape.clone(), kept, indices: indices.broadcast_to(shape)?.strides().into(), step })
}

/// Returns what the shapes of an array and of indices aligned with it broadcast to, with the indices' length of `axis`.
///
/// # Errors
/// [`Error::Shapes`] for different numbers of axes, [`Error::Broadcast`].
fn aligned_shape(op: &'static str, dtype: DType, array: &Dims, axis: usize, indices: &Dims) -> Result<Dims> {
    same_ndim(op, array, indices)?;
    let mut one = array.clone();
    one.axes_mut()[axis] = 1;
    let mut others = indices.clone();
    let len = std::mem::replace(&mut others.axes_mut()[axis], 1);
    let mut shape = one.broadcast(&others)?;
    shape.axes_mut()[axis] = len;
    shape.check(dtype)?;
    Ok(shape)
}

/// Fails unless both shapes have the same number of axes.
fn same_ndim(op: &'static str, array: &Dims, indices: &Dims) -> Result<()> {
    if array.len() == indices.len() {
        return Ok(());
    }
    let why = "the indices must have as many axes as the array".into();
    Err(Error::Shapes { op, left: array.clone(), right: indices.clone(), why })
}

/// Returns positions as the offsets that an operation states.
fn offsets<const N: usize>(offsets: [isize; N]) -> [usize; N] {
    offsets.map(|o| o as usize)
}

/// Appends the stride of the indexed axis.
fn with_step(mut strides: Strides, step: isize) -> Strides {
    strides.push(step);
    strides
}

/// The strides of three operands.
type Three = SmallVec<[Strides; 3]>;

/// Takes the strides of each operand.
fn three(strides: Three) -> [Strides; 3] {
    let mut strides = strides.into_iter();
    std::array::from_fn(|_| strides.next().expect("three operands"))
}
