//! Elementwise operations.

use crate::exec::{Exec, Produced, STRIP_UNIT, Strips};
use crate::flat::Flat;
use crate::kernels::{self, Args};
use crate::strided::{Geometry, accesses, base};
use crate::threads::split;
use crate::tier::{Stream, Tier};
use polyarray_core::op::Map;
use polyarray_core::walk::{copy_strided, dense, scatter, walk_many};
use polyarray_core::{Buffer, Result};
use smallvec::SmallVec;
use std::ops::Range;

/// Outputs of at least this many bytes are written past the caches (streamed): they would be evicted before they are
/// read.
pub(crate) const STREAM_BYTES: usize = 8 << 20;
/// If the innermost axis is shorter than this, its strips would be too short to be efficient. Strips then run across
/// axes.
const SHORT_RUN: usize = 256;

/// Runs a map. Its program must have a kernel for every instruction.
pub(crate) fn run(tier: &'static Tier, op: &Map, threads: usize, output: &Buffer) -> Result<()> {
    let mut geometry = Geometry::new(&op.shape, &op.inputs);
    let size = op.output.dtype.size();
    geometry.push(base(output, op.output.dtype, op.output.offset), size, &op.output.strides);
    if op.program.is_identity() && crate::transpose::applies(&geometry) {
        return crate::transpose::run(tier, &geometry, threads, op.shape.size() * size >= STREAM_BYTES);
    }
    let inner = *op.shape.last().expect("at least one axis");
    let total = op.shape.size();
    let across = op.shape.len() > 1 && inner < SHORT_RUN;
    let out_step = *op.output.strides.last().expect("at least one axis");
    let in_runs = if across { dense(&op.shape, &op.output.strides) } else { out_step == 1 };
    let aliased = op.inputs.iter().any(|i| i.buffer.same(output));
    let stream = in_runs && !aliased && total * size >= STREAM_BYTES;
    let direct = in_runs && !aliased && !stream;
    let emit =
        Emit { size, step: out_step, stream: stream.then_some(tier.stream), fill: kernels::fill(op.output.dtype) };
    let geometry = &geometry;
    const NO_KERNEL: &str = "internal error: `estimate` rejects programs that lack a kernel";
    if across {
        let flat = Flat::new(tier, &op.program, &op.params, geometry, op.inputs.len(), direct).expect(NO_KERNEL);
        return split(threads, total, STRIP_UNIT * 4, |range| {
            part_across(&flat, geometry, range, &emit, in_runs)?;
            (tier.fence)();
            Ok(())
        });
    }
    let access = accesses(op.inputs.iter().map(|i| *i.strides.last().expect("at least one axis")));
    let exec = Exec::new(tier, &op.program, &op.params, &access, direct).expect(NO_KERNEL);
    split(threads, total, STRIP_UNIT * 4, |range| {
        let mut strips = exec.strips()?;
        part(&exec, &mut strips, geometry, range, &emit);
        (tier.fence)();
        Ok(())
    })
}

/// How results are written to the output.
struct Emit {
    size: usize,
    step: isize,
    /// How strips are copied past the caches, if they are.
    stream: Option<Stream>,
    fill: kernels::Kernel,
}

impl Emit {
    /// Writes `n` results to `to`.
    ///
    /// # Safety
    /// - `to` is valid for writes of `n` elements `step` apart, and `produced` holds as many (or a single value for
    ///   all).
    unsafe fn write(&self, produced: Produced, to: *mut u8, n: usize) {
        // SAFETY: the caller guarantees that `produced` holds `n` elements, or one, and that `to` is valid for `n`.
        // They do not overlap, and the CPU has the features of the tier whose `stream` this is. A single value is read
        // again for each element (step 0), and has at most 16 bytes.
        unsafe {
            match produced {
                Produced::Written => {}
                Produced::Strip(from) => match self.stream {
                    Some(stream) => stream(from, to, n * self.size),
                    None => copy_strided(from, 1, to, self.step, n, self.size),
                },
                Produced::Single(from) if self.step == 1 => {
                    (self.fill)(&Args { a: from, b: from, c: from, out: to, n })
                }
                Produced::Single(from) => copy_strided(from, 0, to, self.step, n, self.size),
            }
        }
    }
}

/// Computes the elements numbered `range`, run by run of the innermost axis.
fn part(exec: &Exec, strips: &mut Strips, g: &Geometry, range: Range<usize>, emit: &Emit) {
    let inputs = g.bases.len() - 1;
    let (inner, outer) = g.lens.split_last().expect("at least one axis");
    let strides: SmallVec<[&[isize]; 8]> = g.strides.iter().map(|s| &s[..]).collect();
    let steps: SmallVec<[isize; 8]> = g.strides.iter().map(|s| s[outer.len()]).collect();
    let strip = if exec.is_unbounded() && emit.stream.is_none() { usize::MAX } else { exec.strip };
    let mut number = range.start / inner;
    let mut at: SmallVec<[*const u8; 8]> = SmallVec::from_elem(std::ptr::null(), inputs);
    walk_many(outer, &strides, &[0; 8][..g.bases.len()], number..range.end.div_ceil(*inner), |offsets| {
        let first = range.start.saturating_sub(number * inner);
        let last = (range.end - number * inner).min(*inner);
        number += 1;
        let address =
            |o: usize, i: usize| g.bases[o].wrapping_offset((offsets[o] + i as isize * steps[o]) * g.sizes[o] as isize);
        let mut i = first;
        while i < last {
            let n = strip.min(last - i);
            for (o, a) in at.iter_mut().enumerate() {
                *a = address(o, i);
            }
            let out = address(inputs, i);
            // SAFETY: the addresses are those of indices inside the operands and the output (invariants of `Map`),
            // and threads have disjoint ranges; `direct` is set only if no operand lies in the output.
            unsafe {
                let produced = exec
                    .run(strips, &at, n, out, &mut |o, to| copy_strided(address(o, i), steps[o], to, 1, n, g.sizes[o]));
                emit.write(produced, out, n);
            }
            i += n;
        }
    });
}

/// Computes the elements numbered `range` in strips that run across axes. `in_runs` says that the output lies in C
/// order without gaps.
fn part_across(flat: &Flat, g: &Geometry, range: Range<usize>, emit: &Emit, in_runs: bool) -> Result<()> {
    let mut room = flat.room(g)?;
    let output = g.bases.len() - 1;
    for start in range.clone().step_by(flat.strip()) {
        let n = flat.strip().min(range.end - start);
        let out = g.bases[output].wrapping_add(start * emit.size);
        // SAFETY: the elements numbered `start .. start + n` are inside the operands and the output (invariants of
        // `Map`), and threads have disjoint ranges. `direct` is set only if no operand lies in the output; otherwise
        // operands are read before the output, which may be one of them, is written.
        unsafe {
            let from = match flat.run(g, &mut room, start, n, out) {
                produced if in_runs => {
                    emit.write(produced, out, n);
                    continue;
                }
                Produced::Written => unreachable!("the program was prepared without `direct`"),
                Produced::Strip(from) => (from, false),
                Produced::Single(from) => (from, true),
            };
            scatter(&g.lens, &g.strides[output], start..start + n, from, g.bases[output], emit.size);
        }
    }
    Ok(())
}
