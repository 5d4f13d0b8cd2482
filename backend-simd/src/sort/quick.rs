//! A quicksort out of vectorised partitions. `avx512` has the kernels.
//!
//! Each partition reads elements once, in order, and writes two runs in order, one over what it has read, one into the spare memory: nothing is swapped, no branch
//! depends on an element. The two runs and what they leave free are again two segments, each with as much spare memory as it has elements.

use super::SHARED;
use super::avx512::{Low, Vectored, leaf, partition, sort_leaf};
use super::select::below;
use crate::lanes::avx512::Avx512;

/// Elements to sort.
///
/// Invariants: 1. `at` and `spare` are valid for reads and writes of `n` elements, and nobody else uses either; 2. they do not overlap.
#[derive(Clone, Copy)]
struct Segment<K> {
    at: *mut K,
    spare: *mut K,
    n: usize,
    /// Whether the result goes to `at`, or to `spare`.
    stays: bool,
}

// SAFETY: a segment's memory is its own (invariant 1), so another thread may have it.
unsafe impl<K: Send> Send for Segment<K> {}

/// Sorts `keys` on at most `threads` threads. `spare` is as long, with anything in it.
pub(crate) fn sort<K: Vectored>(isa: Avx512, keys: &mut [K], spare: &mut [K], threads: usize) {
    assert!(spare.len() >= keys.len());
    let segment = Segment { at: keys.as_mut_ptr(), spare: spare.as_mut_ptr(), n: keys.len(), stays: true };
    let depth = 2 * keys.len().max(2).ilog2();
    descend(isa, segment, Walk { least: None, depth, threads, random: 0x9e37_79b9_7f4a_7c15 });
}

/// What is known and allowed on the way down.
#[derive(Clone, Copy)]
struct Walk<K> {
    /// A pivot that no element of the segment is less than.
    least: Option<K>,
    /// Partitions before another method takes over.
    depth: u32,
    threads: usize,
    random: u64,
}

fn descend<K: Vectored>(isa: Avx512, mut segment: Segment<K>, mut walk: Walk<K>) {
    loop {
        let Segment { at, spare, n, stays } = segment;
        if n <= leaf::<K>() {
            // SAFETY: the segment's memory.
            unsafe { sort_leaf(isa, at, if stays { at } else { spare }, n) };
            return;
        }
        if walk.depth == 0 {
            return finish(segment);
        }
        walk.depth -= 1;
        let pivot = pivot(isa, segment, &mut walk.random);
        // A pivot that is the least of all is taken out with its equals: else they would be parted from nothing.
        let equals = walk.least == Some(pivot);
        let low = if equals { Low::LessEqual(pivot) } else { Low::Less(pivot) };
        // What is low stays where the result goes: then it is in its place.
        // SAFETY: the segment's memory.
        let count = unsafe { partition(isa, at, n, spare, low, stays) };
        let (lower, upper) = segment.parts(count);
        let above = Walk { least: Some(pivot), ..walk };
        if equals {
            (segment, walk) = (upper, above);
        } else if walk.threads > 1 && n >= SHARED {
            let below = ((walk.threads as f64 * count as f64 / n as f64).round() as usize).clamp(1, walk.threads - 1);
            let (first, second) = (Walk { threads: below, ..walk }, Walk { threads: walk.threads - below, ..above });
            crate::threads::join(move || descend(isa, lower, first), move || descend(isa, upper, second));
            return;
        } else {
            descend(isa, lower, walk);
            (segment, walk) = (upper, above);
        }
    }
}

impl<K> Segment<K> {
    /// The low elements, of which there are `count`, and the others, after a partition in which the low ones stayed if the segment's result does.
    fn parts(self, count: usize) -> (Segment<K>, Segment<K>) {
        let Segment { at, spare, n, stays } = self;
        let rest = n - count;
        // SAFETY: all lie in the segment's memory: both runs, and in each memory what its run leaves.
        unsafe {
            if stays {
                (
                    Segment { at, spare: spare.add(rest), n: count, stays: true },
                    Segment { at: spare, spare: at.add(count), n: rest, stays: false },
                )
            } else {
                (
                    Segment { at: spare, spare: at.add(rest), n: count, stays: true },
                    Segment { at, spare: spare.add(count), n: rest, stays: false },
                )
            }
        }
    }
}

/// Sorts a segment whose pivots were bad by a method that has no bad ones.
fn finish<K: Vectored>(segment: Segment<K>) {
    // SAFETY: the segment's memory, which does not overlap.
    unsafe {
        let keys = std::slice::from_raw_parts_mut(segment.at, segment.n);
        keys.sort_unstable();
        if !segment.stays {
            std::ptr::copy_nonoverlapping(segment.at, segment.spare, segment.n);
        }
    }
}

/// The median of a sample, larger for larger segments: evenly spaced from a random start.
#[inline]
fn pivot<K: Vectored>(isa: Avx512, segment: Segment<K>, random: &mut u64) -> K {
    let mut sample = [K::default(); 64];
    let count = match segment.n {
        0..1024 => 8,
        1024..16384 => 16,
        16384..131_072 => 32,
        _ => 64,
    };
    let step = segment.n / count;
    let start = below(random, step);
    for (i, place) in sample[..count].iter_mut().enumerate() {
        // SAFETY: an index of the segment.
        *place = unsafe { *segment.at.add(start + i * step) };
    }
    let place = sample.as_mut_ptr();
    // SAFETY: the sample has that many.
    unsafe { sort_leaf(isa, place, place, count) };
    sample[count / 2]
}
