//! Scans, in the order that `polyarray_core::order` fixes.

use super::strips::Strips;
use super::ufuncs::Ufuncs;
use crate::strided::{Source, Target};
use polyarray_core::op::{Reduction, Running, Scan};
use polyarray_core::order::SCAN_BLOCK;
use polyarray_core::{Buffer, with_dtype};
use smallvec::SmallVec;

/// Runs a scan whose results go to `out`.
pub fn run(op: &Scan, out: &Buffer) {
    with_dtype!(op.before.output(), T => typed::<T>(op, out));
}

fn typed<T: Ufuncs>(op: &Scan, out: &Buffer) {
    let lens = op.shape();
    let sources: SmallVec<[Source; 2]> = op.inputs.iter().map(Source::new).collect();
    let target = Target::new(out, &op.output);
    let mut before = Strips::new(&op.before, &op.params, op.len);
    let mut after = Strips::new(&op.after, &op.after_params, op.len);
    let combine = T::combine(match op.kind {
        Running::Sum => Reduction::Sum,
        Running::Prod => Reduction::Prod,
    });
    for line in 0..op.outer.size() {
        // Of whole blocks; of this block.
        let (mut offset, mut prefix): (Option<T>, Option<T>) = (None, None);
        for from in (0..op.len).step_by(before.len()) {
            let count = before.len().min(op.len - from);
            let range = line * op.len + from..line * op.len + from + count;
            for (i, source) in sources.iter().enumerate() {
                source.gather(&lens, range.clone(), before.input_bytes(i));
            }
            before.run(count);
            for (i, &x) in before.result::<T>()[..count].iter().enumerate() {
                if (from + i).is_multiple_of(SCAN_BLOCK) {
                    offset = prefix.take().map(|whole| offset.map_or(whole, |o| combine(o, whole)));
                }
                let sum = prefix.map_or(x, |p| combine(p, x));
                prefix = Some(sum);
                after.input(0)[i] = offset.map_or(sum, |o| combine(o, sum));
            }
            after.run(count);
            target.scatter(&lens, range, after.result_bytes());
        }
    }
}
