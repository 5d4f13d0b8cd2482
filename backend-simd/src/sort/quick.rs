//! A quicksort based on vectorized partitions. The kernels are in `avx512`.
//!
//! Each partition reads the elements once, in order, and writes two runs in order: one over the elements already read,
//! the other into the scratch memory. There are no swaps and no branches that depend on elements. The two runs and the
//! remaining memory form two segments, each with as much scratch memory as elements.

use super::SHARED;
use super::avx512::{Low, Token, Vectored, leaf, partition, sort_leaf};
use super::select::below;

/// Elements to sort.
///
/// Invariants: 1. `at` and `spare` are valid for reads and writes of `n` elements, and nothing else accesses them; 2.
/// they do not overlap.
#[derive(Clone, Copy)]
struct Segment<K> {
    at: *mut K,
    spare: *mut K,
    n: usize,
    /// Whether the result goes to `at`; otherwise it goes to `spare`.
    stays: bool,
}

// SAFETY: a segment owns its memory (invariant 1), so it may move to another thread.
unsafe impl<K: Send> Send for Segment<K> {}

/// Sorts `keys` on at most `threads` threads. `spare` is at least as long; its initial contents are arbitrary.
pub(crate) fn sort<K: Vectored>(isa: Token<K>, keys: &mut [K], spare: &mut [K], threads: usize) {
    assert!(spare.len() >= keys.len());
    let segment = Segment { at: keys.as_mut_ptr(), spare: spare.as_mut_ptr(), n: keys.len(), stays: true };
    let depth = 2 * keys.len().max(2).ilog2();
    descend(isa, segment, Walk { least: None, depth, threads, random: 0x9e37_79b9_7f4a_7c15 });
}

/// The state of the recursion.
#[derive(Clone, Copy)]
struct Walk<K> {
    /// A pivot that is a lower bound of the segment.
    least: Option<K>,
    /// The number of partitions that remain before the fallback.
    depth: u32,
    threads: usize,
    random: u64,
}

fn descend<K: Vectored>(isa: Token<K>, mut segment: Segment<K>, mut walk: Walk<K>) {
    loop {
        let Segment { at, spare, n, stays } = segment;
        if n <= leaf::<K>() {
            // SAFETY: both are valid for n elements and do not overlap (invariants 1 and 2).
            unsafe { sort_leaf(isa, at, if stays { at } else { spare }, n) };
            return;
        }
        if walk.depth == 0 {
            return finish(segment);
        }
        walk.depth -= 1;
        let pivot = pivot(isa, segment, &mut walk.random);
        // If the pivot is the minimum, partition by `<=`: otherwise the lower side would be empty.
        let equals = walk.least == Some(pivot);
        let low = if equals { Low::LessEqual(pivot) } else { Low::Less(pivot) };
        // The low elements stay if the result goes to `at`, so that they are in the right memory.
        // SAFETY: both are valid for n elements and do not overlap (invariants 1 and 2).
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
    /// Returns the segment of the `count` low elements and that of the others, after a partition in which the low
    /// elements stayed if `stays`.
    fn parts(self, count: usize) -> (Segment<K>, Segment<K>) {
        let Segment { at, spare, n, stays } = self;
        let rest = n - count;
        // SAFETY: count <= n, so all offsets lie within the two memories (invariant 1). Each memory consists of one run
        // and the scratch memory of the other.
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

/// Sorts a segment with the standard library, whose worst case is not quadratic. The fallback after too many bad
/// pivots.
fn finish<K: Vectored>(segment: Segment<K>) {
    // SAFETY: both memories are valid for n elements and do not overlap (invariants 1 and 2).
    unsafe {
        let keys = std::slice::from_raw_parts_mut(segment.at, segment.n);
        keys.sort_unstable();
        if !segment.stays {
            std::ptr::copy_nonoverlapping(segment.at, segment.spare, segment.n);
        }
    }
}

/// Returns the median of a sample. The sample is evenly spaced from a random start, and larger for larger segments.
#[inline]
fn pivot<K: Vectored>(isa: Token<K>, segment: Segment<K>, random: &mut u64) -> K {
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
        // SAFETY: start < step and count * step <= n, so the index is less than n (invariant 1).
        *place = unsafe { *segment.at.add(start + i * step) };
    }
    let place = sample.as_mut_ptr();
    // SAFETY: the sample has room for 64 elements, and count <= 64.
    unsafe { sort_leaf(isa, place, place, count) };
    sample[count / 2]
}
