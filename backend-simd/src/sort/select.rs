//! Selection: finds the keys of some ranks without sorting the others.
//!
//! A sample gives two keys between which the keys of these ranks almost certainly lie. One pass counts the keys below.
//! Another pass collects the few keys in between, and the selection recurses on these. R. W. Floyd and R. L. Rivest,
//! "Expected time bounds for selection" (1975).

use super::{Key, PASS, Table, integers, sort_keys, totals};
use crate::lanes::{Isa, Work, enter};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Up to this number, keys are sorted rather than sampled.
const SMALL: usize = 2048;

/// Writes the keys of the ranks `take` to `out`, in order.
///
/// # Errors
/// Out of memory.
pub(crate) fn ranks<K: Key>(
    table: &Table,
    keys: &[K],
    take: Range<usize>,
    out: &mut [K],
    threads: usize,
) -> Result<()> {
    if keys.len() <= SMALL || take.len() > keys.len() / 4 {
        return by_sorting(table, keys, take, out, threads);
    }
    let Some(bracket) = Bracket::sampled(table, keys, &take, threads)? else {
        return by_sorting(table, keys, take, out, threads);
    };
    let counts = bracket.count(table, keys, threads);
    let middle = counts.between.len();
    // The bracket of the sample misses a rank, or it contains too many keys.
    if take.start < counts.low.start || take.end > counts.high.end || middle > keys.len() / 2 {
        return by_sorting(table, keys, take, out, threads);
    }
    let part = |ranks: &Range<usize>| {
        ranks.start.clamp(take.start, take.end) - take.start..ranks.end.clamp(take.start, take.end) - take.start
    };
    out[part(&counts.low)].fill(bracket.low.unwrap_or(K::default()));
    out[part(&counts.high)].fill(bracket.high.unwrap_or(K::MAX));
    let wanted = part(&counts.between);
    if !wanted.is_empty() {
        let mut scratch = Scratch::new(middle * size_of::<K>())?;
        let inner = integers::<K>(&mut scratch, middle);
        bracket.collect(table, keys, inner, threads);
        let offset = counts.between.start;
        let inner_take = wanted.start + take.start - offset..wanted.end + take.start - offset;
        ranks(table, inner, inner_take, &mut out[wanted], threads)?;
    }
    Ok(())
}

fn by_sorting<K: Key>(table: &Table, keys: &[K], take: Range<usize>, out: &mut [K], threads: usize) -> Result<()> {
    let mut scratch = Scratch::new(size_of_val(keys))?;
    let copy = integers::<K>(&mut scratch, keys.len());
    copy.copy_from_slice(keys);
    sort_keys(table, copy, threads)?;
    out.copy_from_slice(&copy[take]);
    Ok(())
}

/// Two keys that bracket the ranks. `None` means no bound on that side.
struct Bracket<K> {
    low: Option<K>,
    high: Option<K>,
}

/// The ranks of the keys equal to a bracket's ends, and of the keys in between.
struct Counts {
    low: Range<usize>,
    between: Range<usize>,
    high: Range<usize>,
}

impl<K: Key> Bracket<K> {
    /// Returns a bracket around the ranks `take`, from a sample of about n^(2/3) of the n keys. None if the sample
    /// gives no bound.
    ///
    /// # Errors
    /// Out of memory.
    fn sampled(table: &Table, keys: &[K], take: &Range<usize>, threads: usize) -> Result<Option<Bracket<K>>> {
        let n = keys.len();
        let size = ((n as f64).powf(2.0 / 3.0) as usize).max(64);
        let mut scratch = Scratch::new(size * size_of::<K>())?;
        let sample = integers::<K>(&mut scratch, size);
        let mut random = 0x2545_f491_4f6c_dd1d;
        sample.iter_mut().for_each(|place| *place = keys[below(&mut random, n)]);
        sort_keys(table, sample, threads)?;
        // Three standard deviations of the rank. A standard deviation is at most sqrt(size) / 2.
        let margin = 1.5 * (size as f64).sqrt() + 1.0;
        let at = |rank: usize| rank as f64 * size as f64 / n as f64;
        let (low, high) = ((at(take.start) - margin).floor(), (at(take.end) + margin).ceil());
        let low = (low >= 0.0).then(|| sample[low as usize]);
        let high = sample.get(high as usize).copied();
        Ok((low.is_some() || high.is_some()).then_some(Bracket { low, high }))
    }

    /// Returns the least and the greatest possible key strictly between the ends, if there are any.
    fn inside(&self) -> Option<(u64, u64)> {
        let low = self.low.map_or(Some(0), |k| k.to_u64().checked_add(1))?;
        let high = self.high.map_or(Some(K::MAX.to_u64()), |k| k.to_u64().checked_sub(1))?;
        (low <= high).then_some((low, high))
    }

    fn count(&self, table: &Table, keys: &[K], threads: usize) -> Counts {
        let ends = [self.low.unwrap_or_default(), self.high.unwrap_or_default()];
        let [mut below_low, mut to_low, mut below_high, mut to_high] =
            totals(threads, keys.len(), |range| (K::selection(table).count)(&keys[range], ends));
        if self.low.is_none() {
            (below_low, to_low) = (0, 0);
        }
        if self.high.is_none() {
            (below_high, to_high) = (keys.len(), keys.len());
        }
        Counts {
            low: below_low..to_low,
            between: to_low..below_high.max(to_low),
            high: below_high.max(to_low)..to_high,
        }
    }

    /// Copies the keys in between to `to`, which has room for exactly that many. The order is arbitrary.
    fn collect(&self, table: &Table, keys: &[K], to: &mut [K], threads: usize) {
        let Some((low, high)) = self.inside() else { return };
        let (next, len, to) = (AtomicUsize::new(0), to.len(), Shared(to.as_mut_ptr()));
        let done = split(threads, keys.len(), PASS, |range| {
            // The keys are gathered in a buffer that stays in the cache. Each chunk reserves space in `to` once.
            let mut kept = [K::default(); 1024];
            for chunk in keys[range].chunks(kept.len()) {
                let count = (K::selection(table).keep)(chunk, &mut kept, low, high);
                let at = next.fetch_add(count, Ordering::Relaxed);
                assert!(at + count <= len, "internal error: more keys collected than counted");
                // SAFETY: at + count <= len, as asserted. Each part has its own range of `to`.
                unsafe { std::ptr::copy_nonoverlapping(kept.as_ptr(), to.get().add(at), count) };
            }
            Ok(())
        });
        debug_assert!(done.is_ok(), "internal error: a part of an infallible pass failed");
    }
}

/// The passes of a selection, compiled for a tier.
pub(crate) struct Passes<K> {
    /// Returns the numbers of keys that are less than each end, and of those that are less or equal.
    count: fn(keys: &[K], ends: [K; 2]) -> [usize; 4],
    /// Copies the keys from `low` to `high` to the front of `kept` and returns their number.
    keep: fn(keys: &[K], kept: &mut [K; 1024], low: u64, high: u64) -> usize,
}

impl<K: Key> Passes<K> {
    /// Returns the passes of tier `I`.
    ///
    /// # Safety
    /// - The functions are called only on a CPU with the features of the tier.
    pub(super) const unsafe fn of<I: Isa>() -> Passes<K> {
        // SAFETY: the caller guarantees the features.
        unsafe {
            Passes {
                count: |keys, ends| enter::<I, _>(Count { keys, ends }),
                keep: |keys, kept, low, high| enter::<I, _>(Keep { keys, kept, low, high }),
            }
        }
    }
}

/// Counts the keys that are less than each end, and those that are less or equal.
struct Count<'a, K> {
    keys: &'a [K],
    ends: [K; 2],
}

impl<K: Key> Work for Count<'_, K> {
    type Out = [usize; 4];
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> [usize; 4] {
        let [low, high] = self.ends;
        let mut counts = [0; 4];
        // The counters have 32 bits, so that more lanes fit a vector. A chunk is too short to overflow them.
        for chunk in self.keys.chunks(1 << 16) {
            let mut some = [0u32; 4];
            for &key in chunk {
                some[0] += u32::from(key < low);
                some[1] += u32::from(key <= low);
                some[2] += u32::from(key < high);
                some[3] += u32::from(key <= high);
            }
            counts.iter_mut().zip(some).for_each(|(c, s)| *c += s as usize);
        }
        counts
    }
}

/// Copies the keys from `low` to `high` to the front of `kept` and returns their number.
struct Keep<'a, K> {
    keys: &'a [K],
    kept: &'a mut [K; 1024],
    low: u64,
    high: u64,
}

impl<K: Key> Work for Keep<'_, K> {
    type Out = usize;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> usize {
        let (width, mut count) = (self.high - self.low, 0);
        for &key in self.keys {
            // Every key is written, and the count advances only if it is kept. This avoids mispredicted branches.
            self.kept[count] = key;
            count += usize::from(key.to_u64().wrapping_sub(self.low) <= width);
        }
        count
    }
}

/// Returns a random index below `n`: the upper half of the product with a random number of Marsaglia's xorshift
/// ("Xorshift RNGs", 2003).
pub(crate) fn below(random: &mut u64, n: usize) -> usize {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    ((u128::from(*random) * n as u128) >> 64) as usize
}
