//! Distances by definition: [`Measure::distance`] of each pair, in f64, and [`Measure::of_words`] of packed bits.

use super::matmul::Scratch;
use super::strips::{STRIP, Strips};
use crate::strided::{Source, Target};
use polyarray_core::op::{Distance, Measure};
use polyarray_core::{Buffer, DType, Element, Error, Result, Wide, bf16, f16};

/// Runs a distance operation and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for two vectors and the weights.
pub fn run(op: &Distance, out: &Buffer) -> Result<()> {
    let is_packed = matches!(op.metric, Measure::BitHamming | Measure::BitJaccard);
    match op.dtype {
        DType::F16 => numbers::<f16>(op, out),
        DType::BF16 => numbers::<bf16>(op, out),
        DType::F32 => numbers::<f32>(op, out),
        DType::F64 => numbers::<f64>(op, out),
        // Sums of products of bytes are exact in f64.
        DType::I8 => numbers::<i8>(op, out),
        DType::U8 if !is_packed => numbers::<u8>(op, out),
        DType::U8 => words::<u8>(op, out),
        DType::U16 => words::<u16>(op, out),
        DType::U32 => words::<u32>(op, out),
        DType::U64 => words::<u64>(op, out),
        other => unreachable!("core refuses distances of {other}"),
    }
}

/// Computes distances of vectors of numbers.
fn numbers<T: Element>(op: &Distance, out: &Buffer) -> Result<()> {
    let mut weights = Vec::new();
    if let Some(operand) = &op.weights {
        let (source, rows) = (Source::new(operand), if operand.strides.len() == 2 { op.d } else { 1 });
        let (mut strip, lens) = (Scratch::new(op.d)?, &[rows, op.d][2 - operand.strides.len()..]);
        weights = reserve(rows * op.d)?;
        (0..rows).for_each(|i| read_row::<T, f64>(&source, i, lens, &mut strip, &mut weights, number));
    }
    each::<T, f64>(op, out, number, |x, y| {
        op.metric.distance(op.power, &weights, x.iter().copied().zip(y.iter().copied()))
    })
}

fn number<T: Element>(x: T) -> f64 {
    x.to_wide().real()
}

/// Computes distances of vectors of packed bits.
fn words<T: Element + Into<u64>>(op: &Distance, out: &Buffer) -> Result<()> {
    each::<T, u64>(op, out, T::into, |x, y| op.metric.of_words(x.iter().copied().zip(y.iter().copied())))
}

/// Computes `distance` of the converted coordinates of each pair of vectors, then the epilogue.
fn each<T: Element, W: Copy>(
    op: &Distance,
    out: &Buffer,
    convert: impl Fn(T) -> W + Copy,
    distance: impl Fn(&[W], &[W]) -> f64,
) -> Result<()> {
    let (x, y) = (Source::new(&op.x), Source::new(&op.y));
    let target = Target::whole(out, op.after.output());
    let mut after = Strips::new(&op.after, &op.after_params, op.m)?;
    let mut strip = Scratch::new(op.d)?;
    let (mut from, mut to) = (reserve(op.d)?, reserve(op.d)?);
    for i in 0..op.n {
        from.clear();
        read_row(&x, i, &[op.n, op.d], &mut strip, &mut from, convert);
        for start in (0..op.m).step_by(after.len()) {
            let count = after.len().min(op.m - start);
            for j in 0..count {
                to.clear();
                read_row(&y, start + j, &[op.m, op.d], &mut strip, &mut to, convert);
                after.input::<T::Distance>(0)[j] = T::Distance::from_wide(Wide::Float(distance(&from, &to)));
            }
            after.run(count);
            target.scatter(&[op.n * op.m], i * op.m + start..i * op.m + start + count, after.result_bytes());
        }
    }
    Ok(())
}

/// Returns an empty vector with room for `len` numbers.
fn reserve<W>(len: usize) -> Result<Vec<W>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes: len.saturating_mul(size_of::<W>()),
        why: e.to_string(),
    })?;
    Ok(vec)
}

/// Appends row `i` of an operand of these lengths, whose last axis is that of the columns, to `to`, converted.
fn read_row<T: Element, W>(
    source: &Source,
    i: usize,
    lens: &[usize],
    strip: &mut Scratch,
    to: &mut Vec<W>,
    convert: impl Fn(T) -> W,
) {
    let columns = lens[lens.len() - 1];
    for start in (0..columns).step_by(STRIP) {
        let count = STRIP.min(columns - start);
        source.gather(lens, i * columns + start..i * columns + start + count, strip.bytes());
        to.extend(strip.elements::<T>()[..count].iter().map(|&x| convert(x)));
    }
}

/// Returns the distance between two vectors as `scalar` defines it.
#[cfg(feature = "blas")]
pub fn direct<T: Element>(metric: Measure, x: &[T], y: &[T]) -> f64 {
    metric.distance(1.0, &[], x.iter().zip(y).map(|(&x, &y)| (number(x), number(y))))
}
