//! The selection of the nearest points from their distances: for core and for backends.

use crate::{Float, Result};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The nearest points of a row so far: a heap whose greatest element is the farthest of them.
pub struct Best<T> {
    candidates: BinaryHeap<Candidate<T>>,
    k: usize,
}

/// A point. Candidates are ordered by distance, with NaN last, then by index.
pub struct Candidate<T> {
    /// The distance.
    pub key: T,
    /// The number of the point.
    pub index: usize,
}

impl<T: Float> Best<T> {
    /// Creates a selection of the `k` nearest points, of none so far. `k` is at least 1.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(k: usize) -> Result<Best<T>> {
        Ok(Best { candidates: BinaryHeap::from(super::neighbours::reserve(k)?), k })
    }

    /// Returns the selected points, nearest first.
    pub fn sorted(self) -> Vec<Candidate<T>> {
        self.candidates.into_sorted_vec()
    }

    /// Considers the distances of the points from number `first` on. The distances of earlier points have been
    /// considered before, so a point replaces the farthest one only if it is nearer.
    pub fn offer(&mut self, values: &[T], first: usize, key: impl Fn(T) -> T) {
        for (chunk, values) in values.chunks(CHUNK).enumerate() {
            if let Some(farthest) = self.farthest()
                && !is_nan(farthest)
                // Without branches, so that the compiler uses vectors.
                && !values.iter().fold(false, |any, &value| any | (key(value) < farthest))
            {
                continue;
            }
            for (i, &value) in values.iter().enumerate() {
                self.consider(Candidate { key: key(value), index: first + chunk * CHUNK + i });
            }
        }
    }

    /// Adds a point, if it is nearer than the farthest one or there are less than `k`.
    pub fn consider(&mut self, candidate: Candidate<T>) {
        if self.candidates.len() < self.k {
            self.candidates.push(candidate);
        } else if let Some(mut farthest) = self.candidates.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    /// Returns the key of the farthest candidate, if there are `k`.
    pub fn farthest(&self) -> Option<T> {
        self.candidates.peek().filter(|_| self.candidates.len() == self.k).map(|farthest| farthest.key)
    }
}

/// The distances that are compared with the farthest candidate at once.
pub(super) const CHUNK: usize = 32;

impl<T: Float> Ord for Candidate<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = self.key.partial_cmp(&other.key);
        keys.unwrap_or_else(|| is_nan(self.key).cmp(&is_nan(other.key))).then(self.index.cmp(&other.index))
    }
}

impl<T: Float> PartialOrd for Candidate<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Float> PartialEq for Candidate<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Float> Eq for Candidate<T> {}

pub(super) fn is_nan<T: Float>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}
