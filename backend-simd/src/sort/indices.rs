//! Indices in the order of the elements, with ties by index. Integers that hold both are sorted.

use super::{Line, PASS, SHARED, Table, integers, leaders, select, sort_keys, totals};
use crate::lanes::{Isa, Work, enter};
use crate::scratch::{Scratch, room};
use crate::threads::{Shared, split};
use polyarray_core::Result;
use std::ops::Range;
use std::sync::Mutex;

/// Writes the indices of the ranks `take` of a line to `to`.
///
/// # Safety
/// - `to` is valid for writes of `take.len()` integers, and nothing else accesses them meanwhile.
///
/// # Errors
/// Out of memory.
pub(crate) unsafe fn run(line: &Line, take: Range<usize>, to: *mut u64, threads: usize) -> Result<()> {
    let (table, n) = (line.table, line.n);
    let ranked = (line.conversions.ranked, size_of::<u64>());
    if take.len() == n {
        // SAFETY: the output has room for n integers, which the caller guarantees, and `read` initializes them.
        let out = unsafe {
            line.read(ranked, to.cast(), threads);
            std::slice::from_raw_parts_mut(to, n)
        };
        return whole(table, &|i| line.rank(i), out, threads);
    }
    // SAFETY: the output has room for the taken indices, which the caller guarantees.
    let give = |i: usize, index: u64| unsafe { to.add(i).write(index) };
    if leaders::are_few(take.end, n) {
        let found = leaders::indices(line, take.end, threads)?;
        found[take].iter().enumerate().for_each(|(i, &index)| give(i, index));
        return Ok(());
    }
    let mut scratch = Scratch::new(n * size_of::<u64>())?;
    let keys = integers::<u64>(&mut scratch, n);
    // SAFETY: the scratch has room for n integers.
    unsafe { line.read(ranked, keys.as_mut_ptr().cast(), threads) };
    if take.len() > n / 8 {
        whole(table, &|i| line.rank(i), keys, threads)?;
        // SAFETY: the output has room for the taken indices, which the caller guarantees.
        unsafe { std::ptr::copy_nonoverlapping(keys[take.clone()].as_ptr(), to, take.len()) };
        return Ok(());
    }
    some(table, keys, take, threads)?.into_iter().enumerate().for_each(|(i, index)| give(i, index));
    Ok(())
}

/// Returns the indices of the ranks `take`. The keys of the first and the last rank bound the others. Keys equal to a
/// bound are ordered by index.
fn some(table: &Table, keys: &[u64], take: Range<usize>, threads: usize) -> Result<Vec<u64>> {
    let mut scratch = Scratch::new(take.len() * size_of::<u64>())?;
    let ranks = integers::<u64>(&mut scratch, take.len());
    select::ranks(table, keys, take.clone(), ranks, threads)?;
    let (low, high) = (ranks[0], ranks[ranks.len() - 1]);
    let [less_low, less_high] = totals(threads, keys.len(), |range| {
        let part = &keys[range];
        [part.iter().filter(|&&k| k < low).count(), part.iter().filter(|&&k| k < high).count()]
    });
    // Of the keys equal to a bound, counts those to skip and those to take, in the order of indices.
    let (mut skip, mut left) = (take.start - less_low, take.end - less_high);
    let mut pairs = room(take.len())?;
    for (i, &key) in keys.iter().enumerate().filter(|&(_, &key)| low <= key && key <= high) {
        if key == high {
            if low == high && skip > 0 {
                (skip, left) = (skip - 1, left - 1);
            } else if left > 0 {
                left -= 1;
                pairs.push((key, i as u64));
            }
        } else if key == low && skip > 0 {
            skip -= 1;
        } else {
            pairs.push((key, i as u64));
        }
    }
    debug_assert_eq!(pairs.len(), take.len());
    pairs.sort_unstable();
    Ok(pairs.into_iter().map(|(_, i)| i).collect())
}

/// Returns the rank of an element of the line by its index. A trait object rather than a type parameter, because only
/// few elements are looked up and there are many types.
type Rank<'a> = &'a dyn Fn(usize) -> u64;

/// Replaces the ranks of a line's elements, in the order of indices, by the indices in the order of ranks.
fn whole(table: &Table, rank: Rank, ranks: &mut [u64], threads: usize) -> Result<()> {
    let n = ranks.len();
    let index_bits = usize::BITS - (n - 1).leading_zeros();
    if index_bits > 32 {
        // Two sorts would not suffice for such long lines. They are sorted by comparison.
        ranks.iter_mut().zip(0..).for_each(|(place, i)| *place = i);
        ranks.sort_by_key(|&i| rank(i as usize));
        return Ok(());
    }
    let packing = Packing::of(table, ranks, index_bits, threads);
    let parts = Shared(ranks.as_mut_ptr());
    split(threads, n, PASS, |range| {
        // SAFETY: the parts of an exclusively borrowed slice do not overlap.
        let part = unsafe { std::slice::from_raw_parts_mut(parts.get().add(range.start), range.len()) };
        (table.indices.pack)(part, range.start as u64, packing);
        Ok(())
    })?;
    sort_keys(table, ranks, threads)?;
    if packing.dropped > 0 {
        resolve(table, rank, ranks, packing, threads)?;
    }
    let parts = Shared(ranks.as_mut_ptr());
    split(threads, n, PASS, |range| {
        // SAFETY: the parts of an exclusively borrowed slice do not overlap.
        let part = unsafe { std::slice::from_raw_parts_mut(parts.get().add(range.start), range.len()) };
        (table.indices.unpack)(part, packing.mask());
        Ok(())
    })
}

/// How a rank and an index are packed into an integer: `(rank - least) >> dropped` is above `index_bits` bits of index.
#[derive(Clone, Copy)]
struct Packing {
    least: u64,
    dropped: u32,
    index_bits: u32,
}

impl Packing {
    fn of(table: &Table, ranks: &[u64], index_bits: u32, threads: usize) -> Packing {
        let ends = Mutex::new((u64::MAX, 0));
        let done = split(threads, ranks.len(), PASS, |range| {
            let (low, high) = (table.indices.ends)(&ranks[range]);
            let mut ends = ends.lock().unwrap_or_else(|p| p.into_inner());
            *ends = (ends.0.min(low), ends.1.max(high));
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
        let (least, greatest) = ends.into_inner().unwrap_or_else(|p| p.into_inner());
        Packing::within(least, greatest, index_bits)
    }

    fn within(least: u64, greatest: u64, index_bits: u32) -> Packing {
        let rank_bits = 64 - (greatest - least).leading_zeros();
        Packing { least, dropped: (rank_bits + index_bits).saturating_sub(64), index_bits }
    }

    #[inline(always)]
    fn pack(self, rank: u64, index: u64) -> u64 {
        // Both shifts are at most 32, because `dropped <= index_bits <= 32`. With a single element `index_bits` is 0.
        ((rank - self.least) >> self.dropped) << self.index_bits | index
    }

    #[inline(always)]
    fn mask(self) -> u64 {
        (1 << self.index_bits) - 1
    }
}

/// Sorts runs of packed integers that agree in all bits except the index. Their ranks may differ in the dropped bits.
/// These bits and the position within the run are packed into an integer again: at most 32 bits were dropped, and a
/// position has at most 32 bits.
fn resolve(table: &Table, rank: Rank, packed: &mut [u64], packing: Packing, threads: usize) -> Result<()> {
    let n = packed.len();
    let mut at = 0;
    while let Some(start) = (table.indices.next_run)(packed, at, packing.index_bits) {
        let prefix = packed[start] >> packing.index_bits;
        let end = start + packed[start..n].iter().position(|p| p >> packing.index_bits != prefix).unwrap_or(n - start);
        run_of_equals(table, rank, &mut packed[start..end], packing, threads)?;
        at = end;
    }
    Ok(())
}

fn run_of_equals(table: &Table, rank: Rank, run: &mut [u64], packing: Packing, threads: usize) -> Result<()> {
    let index = |p: u64| p & packing.mask();
    if run.len() <= 16 {
        run.sort_unstable_by_key(|&p| (rank(index(p) as usize), index(p)));
        return Ok(());
    }
    let low_bits = (1u64 << packing.dropped) - 1;
    let within = |p: u64| (rank(index(p) as usize) - packing.least) & low_bits;
    let place_bits = usize::BITS - (run.len() - 1).leading_zeros();
    let mut scratch = Scratch::new(2 * size_of_val(run))?;
    let (keys, old) = integers::<u64>(&mut scratch, 2 * run.len()).split_at_mut(run.len());
    old.copy_from_slice(run);
    // The run is sorted by index, so the position within the run stands for the index.
    keys.iter_mut()
        .zip(old.iter().enumerate())
        .for_each(|(key, (place, &p))| *key = within(p) << place_bits | place as u64);
    sort_keys(table, keys, if run.len() >= SHARED { threads } else { 1 })?;
    run.iter_mut().zip(keys.iter()).for_each(|(p, key)| *p = old[(key & ((1 << place_bits) - 1)) as usize]);
    Ok(())
}

/// The passes over indices, compiled for a tier.
pub(super) struct Passes {
    /// Returns the least and the greatest rank.
    ends: fn(&[u64]) -> (u64, u64),
    pack: fn(part: &mut [u64], first: u64, packing: Packing),
    unpack: fn(part: &mut [u64], mask: u64),
    next_run: fn(packed: &[u64], at: usize, index_bits: u32) -> Option<usize>,
}

impl Passes {
    /// Returns the passes of tier `I`.
    ///
    /// # Safety
    /// - The functions are called only on a CPU with the features of the tier.
    pub(super) const unsafe fn of<I: Isa>() -> Passes {
        // SAFETY: the caller guarantees the features.
        unsafe {
            Passes {
                ends: |ranks| enter::<I, _>(Ends(ranks)),
                pack: |part, first, packing| enter::<I, _>(Pack { part, first, packing }),
                unpack: |part, mask| enter::<I, _>(Unpack { part, mask }),
                next_run: |packed, at, index_bits| enter::<I, _>(NextRun { packed, at, index_bits }),
            }
        }
    }
}

struct Ends<'a>(&'a [u64]);

impl Work for Ends<'_> {
    type Out = (u64, u64);
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> (u64, u64) {
        self.0.iter().fold((u64::MAX, 0), |(low, high), &x| (low.min(x), high.max(x)))
    }
}

struct Pack<'a> {
    part: &'a mut [u64],
    first: u64,
    packing: Packing,
}

impl Work for Pack<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (i, rank) in self.part.iter_mut().enumerate() {
            *rank = self.packing.pack(*rank, self.first + i as u64);
        }
    }
}

struct Unpack<'a> {
    part: &'a mut [u64],
    mask: u64,
}

impl Work for Unpack<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        self.part.iter_mut().for_each(|p| *p &= self.mask);
    }
}

/// Finds the first two neighbours, from `at` on, that agree in all bits except the index.
struct NextRun<'a> {
    packed: &'a [u64],
    at: usize,
    index_bits: u32,
}

impl Work for NextRun<'_> {
    type Out = Option<usize>;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Option<usize> {
        let (packed, mut at) = (self.packed, self.at);
        // Tests sixteen pairs at once, because most groups contain no match.
        while at + 17 <= packed.len() {
            let (first, second) = (&packed[at..at + 16], &packed[at + 1..at + 17]);
            let any = first.iter().zip(second).fold(false, |any, (a, b)| any | ((a ^ b) >> self.index_bits == 0));
            if any {
                break;
            }
            at += 16;
        }
        (at..packed.len().saturating_sub(1)).find(|&i| (packed[i] ^ packed[i + 1]) >> self.index_bits == 0)
    }
}
