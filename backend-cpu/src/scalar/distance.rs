//! Distances by definition: [`Measure::distance`] of each pair, in f64.

use super::matmul::Scratch;
use super::strips::{STRIP, Strips};
use crate::strided::{Source, Target};
use polyarray_core::op::Distance;
#[cfg(feature = "blas")]
use polyarray_core::op::Measure;
use polyarray_core::{Buffer, DType, Element, Error, Result, Wide, bf16, f16};

/// Runs a distance operation and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for two vectors and the weights.
pub fn run(op: &Distance, out: &Buffer) -> Result<()> {
    match op.dtype {
        DType::F16 => typed::<f16>(op, out),
        DType::BF16 => typed::<bf16>(op, out),
        DType::F32 => typed::<f32>(op, out),
        DType::F64 => typed::<f64>(op, out),
        other => unreachable!("core refuses distances of {other}"),
    }
}

fn typed<T: Element>(op: &Distance, out: &Buffer) -> Result<()> {
    let (x, y) = (Source::new(&op.x), Source::new(&op.y));
    let target = Target::whole(out, op.after.output());
    let mut after = Strips::new(&op.after, &op.after_params, op.m)?;
    let mut strip = Scratch::new(op.d)?;
    let (mut from, mut to) = (reserve(op.d)?, reserve(op.d)?);
    let mut weights = Vec::new();
    if let Some(operand) = &op.weights {
        let rows = if operand.strides.len() == 2 { op.d } else { 1 };
        weights = reserve(rows * op.d)?;
        for i in 0..rows {
            read_row::<T>(
                &Source::new(operand),
                i,
                &[rows, op.d][2 - operand.strides.len()..],
                &mut strip,
                &mut weights,
            );
        }
    }
    for i in 0..op.n {
        from.clear();
        read_row::<T>(&x, i, &[op.n, op.d], &mut strip, &mut from);
        for start in (0..op.m).step_by(after.len()) {
            let count = after.len().min(op.m - start);
            for j in 0..count {
                to.clear();
                read_row::<T>(&y, start + j, &[op.m, op.d], &mut strip, &mut to);
                let pairs = from.iter().copied().zip(to.iter().copied());
                after.input::<T>(0)[j] = T::from_wide(Wide::Float(op.metric.distance(op.power, &weights, pairs)));
            }
            after.run(count);
            target.scatter(&[op.n * op.m], i * op.m + start..i * op.m + start + count, after.result_bytes());
        }
    }
    Ok(())
}

/// Returns an empty vector with room for `len` numbers.
fn reserve(len: usize) -> Result<Vec<f64>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes: len.saturating_mul(8),
        why: e.to_string(),
    })?;
    Ok(vec)
}

/// Appends row `i` of an operand of these lengths, whose last axis is that of the columns, to `to`.
fn read_row<T: Element>(source: &Source, i: usize, lens: &[usize], strip: &mut Scratch, to: &mut Vec<f64>) {
    let columns = lens[lens.len() - 1];
    for start in (0..columns).step_by(STRIP) {
        let count = STRIP.min(columns - start);
        source.gather(lens, i * columns + start..i * columns + start + count, strip.bytes());
        to.extend(strip.elements::<T>()[..count].iter().map(|x| x.to_wide().real()));
    }
}

/// Returns the distance between two vectors as `scalar` defines it.
#[cfg(feature = "blas")]
pub fn direct<T: Element>(metric: Measure, x: &[T], y: &[T]) -> f64 {
    metric.distance(1.0, &[], x.iter().zip(y).map(|(x, y)| (x.to_wide().real(), y.to_wide().real())))
}
