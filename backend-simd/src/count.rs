//! Counts per bin. Each thread has its own counts. With few bins it has several sets of them, so that an element does
//! not wait for the count of the previous one.

use crate::scratch::Scratch;
use crate::scratch::room;
use crate::sort::integers;
use crate::strided::base;
use crate::threads::{Shared, split};
use polyarray_core::op::{Bins, Count};
use polyarray_core::walk::walk;
use polyarray_core::{Buffer, DType, Element, Result, bf16, f16};
use std::ops::Range;
use std::sync::Mutex;

/// The most bins for which a thread has [`SETS`] sets of counts. With more bins it has one set.
const FEW_BINS: usize = 1 << 12;
/// The number of sets of counts per thread if there are few bins.
const SETS: usize = 4;

/// Runs a count and writes its result to `out`.
///
/// # Errors
/// Out of memory.
pub(crate) fn run(op: &Count, threads: usize, out: &Buffer) -> Result<()> {
    match (&op.by, op.dtype) {
        (Bins::Integers, DType::Bool) => integers_of::<bool>(op, threads, out, usize::from),
        (Bins::Integers, DType::I8) => integers_of::<i8>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::I16) => integers_of::<i16>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::I32) => integers_of::<i32>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::I64) => integers_of::<i64>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::U8) => integers_of::<u8>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::U16) => integers_of::<u16>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::U32) => integers_of::<u32>(op, threads, out, |x| x as usize),
        (Bins::Integers, DType::U64) => integers_of::<u64>(op, threads, out, |x| x as usize),
        (Bins::Edges(_), DType::F16) => between::<f16>(op, threads, out, f64::from),
        (Bins::Edges(_), DType::BF16) => between::<bf16>(op, threads, out, f64::from),
        (Bins::Edges(_), DType::F32) => between::<f32>(op, threads, out, f64::from),
        (Bins::Edges(_), DType::F64) => between::<f64>(op, threads, out, |x| x),
        (_, dtype) => unreachable!("core counts integers by value and floats by edges, not {dtype}"),
    }
}

fn integers_of<T: Element + Copy>(
    op: &Count,
    threads: usize,
    out: &Buffer,
    value: impl Fn(T) -> usize + Sync,
) -> Result<()> {
    counted::<T>(op, threads, out, |x| Some(value(x)))
}

fn between<T: Element + Copy>(op: &Count, threads: usize, out: &Buffer, wide: impl Fn(T) -> f64 + Sync) -> Result<()> {
    let Bins::Edges(operand) = &op.by else { unreachable!("`between` is called only for bins with edges") };
    let from = base(&operand.buffer, op.dtype, operand.offset).cast::<T>();
    // Widening is exact, so comparisons in f64 give the same result as in the dtype.
    let mut edges = room(op.bins + 1)?;
    // SAFETY: `op.by` has `bins + 1` edges, each valid for reads (core's invariants).
    edges.extend((0..=op.bins).map(|i| wide(unsafe { from.add(i).read() })));
    let (low, high, last) = (edges[0], edges[op.bins], op.bins - 1);
    // Halves, because the range may be twice the largest finite number.
    let per_half = op.bins as f64 / (high * 0.5 - low * 0.5);
    counted::<T>(op, threads, out, |x| {
        let x = wide(x);
        if !(low <= x && x <= high) {
            return None;
        }
        // Estimates the bin; the comparisons with the edges correct it.
        let mut bin = (((x * 0.5 - low * 0.5) * per_half) as usize).min(last);
        while x < edges[bin] {
            bin -= 1;
        }
        while bin < last && x >= edges[bin + 1] {
            bin += 1;
        }
        Some(bin)
    })
}

fn counted<T: Element + Copy>(
    op: &Count,
    threads: usize,
    out: &Buffer,
    bin: impl Fn(T) -> Option<usize> + Sync,
) -> Result<()> {
    let (bins, total) = (op.bins, op.shape.size());
    let sets = if bins <= FEW_BINS && total >= SETS * bins { SETS } else { 1 };
    let to = base(out, DType::I64, 0).cast::<i64>();
    // SAFETY: the output has room for `bins` elements of i64, nothing else accesses it during the call, and zero
    // bytes are valid values.
    let counts = unsafe {
        std::ptr::write_bytes(to, 0, bins);
        std::slice::from_raw_parts_mut(to, bins)
    };
    let counts = Mutex::new(counts);
    let from = Shared(base(&op.input.buffer, op.dtype, op.input.offset).cast::<T>());
    // With more bins than half of the elements, one thread counts: otherwise the counts would take more memory than
    // the elements, and adding them up more time than counting.
    let threads = if bins <= total / 2 { threads } else { 1 };
    split(threads, total, 1 << 14, |range| {
        let mut scratch = Scratch::new(sets * bins * size_of::<u64>())?;
        let own = integers::<u64>(&mut scratch, sets * bins);
        own.fill(0);
        let mut count = |set: usize, x: T| {
            if let Some(bin) = bin(x) {
                assert!(bin < bins, "core guarantees that every integer is below the number of bins");
                own[set * bins + bin] += 1;
            }
        };
        for_each_run(&op.shape, &op.input.strides, range, |at, step, n| {
            // SAFETY: `at + i * step` is the offset of an element of the operand for each `i < n`.
            let element = |i: usize| unsafe { from.get().wrapping_offset(at + i as isize * step).read() };
            let whole = if sets == SETS { n / SETS * SETS } else { 0 };
            for i in (0..whole).step_by(SETS) {
                (0..SETS).for_each(|set| count(set, element(i + set)));
            }
            (whole..n).for_each(|i| count(0, element(i)));
        });
        let mut counts = counts.lock().unwrap_or_else(|p| p.into_inner());
        for own in own.chunks_exact(bins) {
            counts.iter_mut().zip(own).for_each(|(count, &more)| *count += more as i64);
        }
        Ok(())
    })
}

/// Calls `f` for each run along the last axis that is part of `range`, a range of indices in C order. The arguments
/// are the run's offset, step and length.
fn for_each_run(lens: &[usize], strides: &[isize], range: Range<usize>, mut f: impl FnMut(isize, isize, usize)) {
    let last = lens.len() - 1;
    let (inner, step) = (lens[last], strides[last]);
    let (mut first, mut left) = (range.start % inner, range.len());
    walk(&lens[..last], [&strides[..last]], [0], range.start / inner..range.end.div_ceil(inner), |[at]| {
        let n = (inner - first).min(left);
        f(at + first as isize * step, step, n);
        (first, left) = (0, left - n);
    });
}
