//! Reads and writes at indices.

use super::sort::Line;
use super::strips::STRIP;
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use bytemuck::checked;
use polyarray_core::op::{Gather, Scatter};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Result, with_dtype};

/// Runs a gather and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for a strip.
pub fn gather(op: &Gather, out: &Buffer) -> Result<()> {
    let (size, total) = (op.dtype.size(), op.shape.size());
    let (source, indices, target) = (Source::new(&op.input), Source::new(&op.indices), Target::whole(out, op.dtype));
    let (mut index, mut line) = (Line::new(DType::I64, STRIP)?, Line::new(op.dtype, STRIP)?);
    let step = op.input.strides[op.shape.len()];
    for start in (0..total).step_by(STRIP) {
        let range = start..total.min(start + STRIP);
        indices.gather(&op.shape, range.clone(), index.bytes());
        let mut strip = index.elements::<i64>().iter().zip(line.bytes().chunks_exact_mut(size));
        walk(&op.shape, [&op.input.strides], [0], range.clone(), |[at]| {
            let (&index, to) = strip.next().expect("one index for each step");
            source.element(at + from_front(index, op.len) * step, to);
        });
        target.scatter(&[total], range, line.bytes());
    }
    Ok(())
}

/// Runs a scatter on the elements of `out`.
///
/// # Errors
/// Fails if there is no memory for a strip.
///
/// # Safety
/// - The elements of the output have been written.
pub unsafe fn scatter(op: &Scatter, out: &Buffer) -> Result<()> {
    // SAFETY: the caller guarantees the elements of the output.
    with_dtype!(op.dtype, T => unsafe { typed_scatter::<T>(op, out) })
}

/// # Safety
/// - As for [`scatter`].
unsafe fn typed_scatter<T: Ufuncs>(op: &Scatter, out: &Buffer) -> Result<()> {
    let (size, total) = (op.dtype.size(), op.shape.size());
    let (values, indices, target) = (Source::new(&op.values), Source::new(&op.indices), Target::new(out, &op.output));
    let (mut index, mut line) = (Line::new(DType::I64, STRIP)?, Line::new(op.dtype, STRIP)?);
    let (mut before, mut result) = (Line::new(op.dtype, 1)?, [0u128]);
    for start in (0..total).step_by(STRIP) {
        let range = start..total.min(start + STRIP);
        indices.gather(&op.shape, range.clone(), index.bytes());
        values.gather(&op.shape, range.clone(), line.bytes());
        let mut strip = index.elements::<i64>().iter().zip(line.elements::<T>().iter());
        walk(&op.shape, [&op.output.strides], [0], range, |[at]| {
            let (&index, value) = strip.next().expect("one index for each step");
            let at = at + from_front(index, op.len) * op.step();
            let Some(ufunc) = op.how.ufunc() else {
                return target.set_element(at, bytemuck::bytes_of(value));
            };
            // SAFETY: the caller guarantees that the element has been written.
            unsafe { target.element(at, before.bytes()) };
            T::binary(ufunc, &before.elements::<T>()[..1], &[*value], &mut result);
            target.set_element(at, &checked::cast_slice::<u128, u8>(&result)[..size]);
        });
    }
    Ok(())
}

/// Returns an index as a position from the front of an axis of length `len`.
fn from_front(index: i64, len: usize) -> isize {
    let index = isize::try_from(index).expect("core verified that every index is in range");
    if index < 0 { index + len as isize } else { index }
}
