//! Counting elements into bins.

use super::sort::Line;
use super::strips::STRIP;
use crate::strided::{Source, Target};
use polyarray_core::op::{Bins, Count};
use polyarray_core::{Buffer, DType, Element, Result, Wide, with_dtype};

/// Runs a count and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for the counts and the edges.
pub fn run(op: &Count, out: &Buffer) -> Result<()> {
    with_dtype!(op.dtype, T => typed::<T>(op, out))
}

fn typed<T: Element>(op: &Count, out: &Buffer) -> Result<()> {
    let mut counts = Line::new(DType::I64, op.bins)?;
    let counts = counts.elements::<i64>();
    let mut edges = Line::new(DType::F64, if matches!(op.by, Bins::Edges(_)) { op.bins + 1 } else { 0 })?;
    let edges = edges.elements::<f64>();
    if let Bins::Edges(operand) = &op.by {
        let mut narrow = Line::new(op.dtype, op.bins + 1)?;
        Source::new(operand).gather(&[op.bins + 1], 0..op.bins + 1, narrow.bytes());
        edges.iter_mut().zip(narrow.elements::<T>()).for_each(|(edge, x)| *edge = x.to_wide().real());
    }
    let (source, total) = (Source::new(&op.input), op.shape.size());
    let mut strip = Line::new(op.dtype, STRIP)?;
    for start in (0..total).step_by(STRIP) {
        let range = start..total.min(start + STRIP);
        source.gather(&op.shape, range.clone(), strip.bytes());
        for x in &strip.elements::<T>()[..range.len()] {
            if let Some(bin) = bin(op, edges, x.to_wide()) {
                counts[bin] += 1;
            }
        }
    }
    Target::whole(out, DType::I64).scatter(&[op.bins], 0..op.bins, bytemuck::cast_slice(counts));
    Ok(())
}

/// Returns the bin of element `x`, or `None` if `x` lies outside the edges.
fn bin(op: &Count, edges: &[f64], x: Wide) -> Option<usize> {
    match (&op.by, x) {
        (Bins::Integers, Wide::Int(i)) => Some(usize::try_from(i).expect("core verified that no integer is negative")),
        (Bins::Integers, _) => unreachable!("core passes only integers to a count by integers"),
        (Bins::Edges(_), x) => {
            let (x, last) = (x.real(), edges[op.bins]);
            let after = edges.partition_point(|&e| e <= x);
            if x == last { Some(op.bins - 1) } else { after.checked_sub(1).filter(|_| x < last) }
        }
    }
}
