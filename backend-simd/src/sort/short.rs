//! Short lines: many of them are read, sorted and written together, because preparations for each line would take
//! longer than its sort.

use super::{Conversions, Converted, Table, Word, integers};
use crate::scratch::Scratch;
use crate::threads::Shared;
use polyarray_core::Result;
use polyarray_core::op::{Give, Sort};
use polyarray_core::walk::walk;
use std::ops::Range;

/// The largest length of a short line. Lines of this length are sorted in registers for every element size.
pub(super) const SHORT: usize = 128;
/// The number of elements that are sorted together.
const TOGETHER: usize = 2048;
/// Up to this length, indices of elements of 64 bits are sorted by insertion. Other indices are sorted as integers that
/// hold a rank of 32 bits, too.
const INSERTED: usize = 16;

/// The lines of a sort whose elements have the size of `W`.
///
/// Invariant: the elements of the operand lie at the strides of `op` from `from` on, and have the dtype of
/// `conversions`. `to` has room for the output, and nothing else accesses the lines that are sorted.
pub(super) struct Lines<'a, W> {
    pub table: &'static Table,
    pub conversions: &'static Conversions,
    pub op: &'a Sort,
    pub from: Shared<W>,
    pub to: Shared<u8>,
}

impl<W: Word> Lines<'_, W> {
    /// Returns whether [`run`](Self::run) sorts these lines.
    pub fn are_short(op: &Sort) -> bool {
        op.n <= if op.give == Give::Indices && op.dtype.size() > 4 { INSERTED } else { SHORT }
    }

    /// Sorts some lines.
    ///
    /// # Errors
    /// Out of memory.
    pub fn run(&self, lines: Range<usize>) -> Result<()> {
        let together = (TOGETHER / self.op.n).max(1);
        let mut scratch = Scratch::new(together * self.op.n * size_of::<u64>())?;
        for start in lines.clone().step_by(together) {
            let some = start..lines.end.min(start + together);
            match self.op.give {
                Give::Values => self.values(some, &mut scratch),
                Give::Indices => self.indices(some, &mut scratch),
            }
        }
        Ok(())
    }

    /// Converts the elements of some lines, and writes the results, of `K`, one line after the other.
    fn read<K>(&self, lines: Range<usize>, conversion: super::Conversion, keys: &mut [K]) {
        let (n, last) = (self.op.n, self.op.lines.len());
        assert!(keys.len() >= lines.len() * n);
        let (outer, step) = (&self.op.input.strides[..last], self.op.input.strides[last]);
        let convert = |at: isize, n: usize, to: *mut K| {
            let from = self.from.get().wrapping_offset(at).cast_const().cast::<u8>();
            // SAFETY: the elements are those of the operand (the invariant), and `keys` has room for the results, as
            // asserted. The CPU has the features of the tier whose table this is.
            unsafe { conversion(&Converted { from, step, n, flip: self.op.descending, to: to.cast() }) };
        };
        let to = keys.as_mut_ptr();
        if step == 1 && *outer == [n as isize] {
            return convert((lines.start * n) as isize, lines.len() * n, to);
        }
        let mut number = 0;
        walk(&self.op.lines, [outer], [0], lines, |[at]| {
            convert(at, n, to.wrapping_add(number * n));
            number += 1;
        });
    }

    fn values(&self, lines: Range<usize>, scratch: &mut Scratch) {
        let (n, take) = (self.op.n, &self.op.take);
        let keys = &mut integers::<W>(scratch, lines.len() * n)[..lines.len() * n];
        self.read(lines.clone(), self.conversions.encoded, keys);
        W::sort_lines(self.table, keys, n);
        let to = self.to.get().cast::<W>().wrapping_add(lines.start * take.len());
        for (i, line) in keys.chunks_exact(n).enumerate() {
            let taken = &line[take.clone()];
            // SAFETY: the output has room for the taken elements of these lines (the invariant).
            unsafe { std::ptr::copy_nonoverlapping(taken.as_ptr(), to.add(i * taken.len()), taken.len()) };
        }
        let (n, to) = (lines.len() * take.len(), to.cast());
        // SAFETY: the output has the keys of `n` elements, written above. The CPU has the features of the tier.
        unsafe { (self.conversions.decode)(&Converted { from: to, step: 1, n, flip: self.op.descending, to }) };
    }

    fn indices(&self, lines: Range<usize>, scratch: &mut Scratch) {
        let (n, take) = (self.op.n, &self.op.take);
        let keys = &mut integers::<u64>(scratch, lines.len() * n)[..lines.len() * n];
        self.read(lines.clone(), self.conversions.ranked, keys);
        let fit = self.op.dtype.size() <= 4;
        if fit {
            // Equal ranks have the order of their indices.
            keys.chunks_exact_mut(n)
                .for_each(|line| line.iter_mut().zip(0..).for_each(|(key, i)| *key = *key << 32 | i));
            u64::sort_lines(self.table, keys, n);
        }
        let to = self.to.get().cast::<u64>().wrapping_add(lines.start * take.len());
        for (i, line) in keys.chunks_exact(n).enumerate() {
            let mut order = [0u64; INSERTED];
            if !fit {
                insert(line, &mut order[..n]);
            }
            for (j, at) in take.clone().enumerate() {
                let index = if fit { line[at] & u64::from(u32::MAX) } else { order[at] };
                // SAFETY: the output has room for the taken indices of these lines (the invariant).
                unsafe { to.add(i * take.len() + j).write(index) };
            }
        }
    }
}

/// Writes the indices of `ranks` in the order of the ranks, equal ranks in the order of indices.
fn insert(ranks: &[u64], order: &mut [u64]) {
    for (i, rank) in ranks.iter().enumerate() {
        let mut at = i;
        while at > 0 && ranks[order[at - 1] as usize] > *rank {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = i as u64;
    }
}
