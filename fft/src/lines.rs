//! Lines: arranged along the last axis of new arrays, and distributed among threads.

use polyarray_core::{Array, Buffer, Element, Error, Result, SliceItem, ViewMut, current_threads, forks};
use rayon::prelude::*;

/// Returns the lines of `x` along an axis as the last axis of a new array in C order. They are cut to `n` elements or
/// padded with zeros.
pub(crate) fn lines<T: Element, U: Element>(x: &Array<T>, axis: usize, n: usize) -> Result<Array<U>> {
    let x = x.moveaxis(axis, -1)?;
    let [others @ .., len] = x.shape() else { unreachable!("the array has the axis") };
    let mut first: Vec<SliceItem> = vec![SliceItem::from(..); others.len()];
    first.push(SliceItem::from(0..n.min(*len)));
    let x = x.slice(&first)?;
    if n <= *len && x.is_c_contiguous() {
        return x.cast::<U>().eval()?.to_contiguous();
    }
    let mut shape: Vec<usize> = others.into();
    shape.push(n);
    let mut lines = Array::<U>::zeros(shape)?;
    lines.slice_mut(&first)?.assign(x.cast::<U>())?;
    Ok(lines)
}

/// The number of elements from which on several threads are faster than one.
const PARALLEL: usize = 1 << 15;

/// Calls `work` for parts of two arrays of the same number of lines, of `n` and `m` elements, at the same time on
/// several threads if there are enough elements. Each part has the same lines of both.
///
/// # Errors
/// One of the errors, if parts fail.
pub(crate) fn split<A: Send, B: Send>(
    (a, n): (&mut [A], usize),
    (b, m): (&mut [B], usize),
    work: impl Fn(&mut [A], &mut [B]) -> Result<()> + Sync,
) -> Result<()> {
    let count = a.len() / n;
    // A forked child process has no threads of the pool.
    let threads = if a.len() < PARALLEL || forks() > 0 { 1 } else { current_threads()?.min(count) };
    if threads <= 1 {
        return work(a, b);
    }
    let each = count.div_ceil(threads);
    a.par_chunks_mut(each * n).zip(b.par_chunks_mut(each * m)).try_for_each(|(a, b)| work(a, b))
}

/// Returns zeros for the intermediate results of a plan.
pub(crate) fn scratch<T: Clone>(zero: T, len: usize) -> Result<Vec<T>> {
    let bytes = len.saturating_mul(size_of::<T>());
    // The pool checks large sizes against the machine's memory: a system that overcommits grants any size.
    if bytes > 1 << 30 {
        drop(Buffer::host(bytes)?);
    }
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes,
        why: e.to_string(),
    })?;
    elements.resize(len, zero);
    Ok(elements)
}

/// Returns the elements of a new array in C order.
pub(crate) fn elements<'a, T: Element>(view: &'a mut ViewMut<'_, T>) -> &'a mut [T] {
    view.as_mut_slice().expect("a new array of the host in C order")
}
