//! The first few ranks of a long line in one pass: elements that do not precede the last of those that were found so
//! far are skipped, a group at a time.

use super::{Line, PASS};
use crate::lanes::{Isa, Work, enter};
use crate::scratch::room;
use crate::threads::split;
use polyarray_core::Result;
use std::ops::Range;
use std::sync::Mutex;

/// The most ranks that are found in this way.
const MOST: usize = 1024;
/// The least number of elements for each of them.
const PER_RANK: usize = 16;
/// The number of elements that are converted at once.
const CHUNK: usize = 1024;
/// The number of elements that are skipped or searched together.
const GROUP: usize = CHUNK / u16::BITS as usize;
/// The number of elements from which a first limit is taken, so that elements in descending order are not all kept.
const SAMPLE: usize = 4096;
/// The least number of elements for each of the sample.
const PER_SAMPLE: usize = 32;

/// A rank, and the index of its element.
type Place = (u64, u64);

/// Returns whether [`indices`] is fast for the first `ranks` ranks of a line of `n` elements.
pub(super) fn are_few(ranks: usize, n: usize) -> bool {
    ranks <= MOST && ranks.saturating_mul(PER_RANK) <= n
}

/// Returns the indices of the first `ranks` ranks of a line, in their order.
///
/// # Errors
/// Out of memory.
pub(super) fn indices(line: &Line, ranks: usize, threads: usize) -> Result<Vec<u64>> {
    if ranks == 0 {
        return Ok(Vec::new());
    }
    let limit = if line.n >= PER_SAMPLE * SAMPLE { of_sample(line, ranks) } else { u64::MAX };
    let all = Mutex::new(Vec::new());
    split(threads, line.n, PASS, |range| {
        let found = of_part(line, range, ranks, limit)?;
        let mut all = all.lock().unwrap_or_else(|p| p.into_inner());
        all.extend(found);
        Ok(())
    })?;
    let mut all = all.into_inner().unwrap_or_else(|p| p.into_inner());
    all.sort_unstable();
    Ok(all.into_iter().take(ranks).map(|(_, index)| index).collect())
}

/// Returns a number that at least `ranks` ranks of the line do not exceed.
fn of_sample(line: &Line, ranks: usize) -> u64 {
    let step = line.n / SAMPLE;
    let mut sample: [u64; SAMPLE] = std::array::from_fn(|i| line.rank(i * step));
    *sample.select_nth_unstable(ranks - 1).1
}

/// Returns the places of a part of a line that may be among the first `ranks` of the line: all of these, and perhaps
/// others. None of them exceeds `limit`.
fn of_part(line: &Line, range: Range<usize>, ranks: usize, mut limit: u64) -> Result<Vec<Place>> {
    // Twice as many as are wanted, so that each removal of the others pays for as many additions.
    let most = 2 * ranks + GROUP;
    let mut found = room(most)?;
    let mut keys = [0; CHUNK];
    for start in range.clone().step_by(CHUNK) {
        let n = CHUNK.min(range.end - start);
        let from = line.from.wrapping_offset(start as isize * line.step * line.size as isize);
        // SAFETY: these are elements of the line (its invariant), and there is room for `CHUNK` ranks.
        unsafe {
            Line { from, n, ..*line }.read((line.conversions.ranked, size_of::<u64>()), keys.as_mut_ptr().cast(), 1)
        };
        let mut groups = (line.table.leaders.groups)(&keys, limit);
        while groups != 0 {
            let group = groups.trailing_zeros() as usize;
            groups &= groups - 1;
            let these = group * GROUP..n.min((group + 1) * GROUP);
            // After a chunk of fewer elements, ranks of an earlier one remain in the array.
            for i in these.filter(|&i| keys[i] <= limit) {
                found.push((keys[i], (start + i) as u64));
            }
            if found.len() + GROUP > most {
                // The part is read in the order of indices, so later elements must precede the last of those found.
                let last = found.select_nth_unstable(ranks - 1).1.0;
                found.truncate(ranks);
                match last.checked_sub(1) {
                    Some(below) => limit = below,
                    None => return Ok(found),
                }
            }
        }
    }
    Ok(found)
}

/// The pass over ranks, compiled for a tier.
pub(super) struct Passes {
    /// Returns which groups contain a rank of at most `limit`: one bit for each.
    groups: fn(keys: &[u64; CHUNK], limit: u64) -> u16,
}

impl Passes {
    /// Returns the passes of tier `I`.
    ///
    /// # Safety
    /// - The functions are called only on a CPU with the features of the tier.
    pub(super) const unsafe fn of<I: Isa>() -> Passes {
        // SAFETY: the caller guarantees the features.
        unsafe { Passes { groups: |keys, limit| enter::<I, _>(Groups { keys, limit }) } }
    }
}

struct Groups<'a> {
    keys: &'a [u64; CHUNK],
    limit: u64,
}

impl Work for Groups<'_> {
    type Out = u16;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> u16 {
        let mut groups = 0;
        for (g, group) in self.keys.chunks_exact(GROUP).enumerate() {
            let least = group.iter().fold(u64::MAX, |least, &key| least.min(key));
            groups |= u16::from(least <= self.limit) << g;
        }
        groups
    }
}
