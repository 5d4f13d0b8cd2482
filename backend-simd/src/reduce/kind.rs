//! What a kind of reduction is: partial results of blocks, of rows, of narrow rows, and how they are merged.

use crate::lanes::{Isa, Work};
use polyarray_core::Element;
use polyarray_core::order::ROWS;
use smallvec::SmallVec;

/// Lanes of a block of `T`: what [`polyarray_core::order::lanes`] says.
pub(super) const fn lanes_of<T>() -> usize {
    256 / size_of::<T>()
}

/// Elements of a block.
pub(super) const fn block_of<T>() -> usize {
    lanes_of::<T>() * ROWS
}

/// Elements to read.
#[derive(Clone, Copy)]
pub(super) struct Values<T> {
    pub src: *const T,
    pub n: usize,
}

/// A kind of reduction of elements of type `T`.
pub(super) trait Kind<T: Element>: Send + Sync + 'static {
    /// A partial result.
    type State: Copy + Send + Sync + 'static;
    /// What follows the reduction is given this.
    type Gives: Element;
    /// The blocks of a run so far.
    type Run: Default;
    /// The most bytes of a row that are worked on at once, so that what is kept of a block stays in a cache.
    const ROW_BYTES: usize;

    /// Takes the next block of a run: `n` elements, the first of which has the number `first` among those that are reduced.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements.
    unsafe fn push<I: Isa>(isa: I, run: &mut Self::Run, src: *const T, n: usize, first: usize);

    /// The result of a run.
    fn end(run: Self::Run) -> Self::State;

    /// The partial results of `n` columns over a block of rows, the first of which has the number `first`.
    ///
    /// # Safety
    /// - each row is valid for reads of `n` elements, `out` for writes of `n` results; they do not overlap.
    unsafe fn rows<I: Isa>(isa: I, room: &mut Vec<T>, rows: &[*const T], n: usize, first: usize, out: *mut Self::State);

    /// The partial results of `width` columns over a block of rows without gaps, in [`Order::Lanes`](polyarray_core::order::Order::Lanes): `n` elements in all.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements, a multiple of `width`, and `out` for writes of `width` results.
    unsafe fn narrow<I: Isa>(isa: I, room: &mut Vec<T>, src: *const T, n: usize, width: usize, out: *mut Self::State);

    /// Adds what comes later.
    fn merge(left: &mut Self::State, right: Self::State);

    /// Adds what comes later to results of several outputs.
    #[inline(always)]
    fn merge_all(left: &mut [Self::State], right: &[Self::State]) {
        left.iter_mut().zip(right).for_each(|(l, r)| Self::merge(l, *r));
    }

    /// The value of a result.
    fn give(state: Self::State) -> Self::Gives;
}

/// Calls `f` with rows of `width` elements, up to [`ROWS`] at once, that `n` elements from `src` on make up, and at last with the shorter one that is left.
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
#[inline(always)]
pub(super) unsafe fn as_rows<T>(src: *const T, n: usize, width: usize, mut f: impl FnMut(&[*const T], usize)) {
    let mut rows = [std::ptr::null(); ROWS];
    let whole = n / width;
    for start in (0..whole).step_by(ROWS) {
        let count = ROWS.min(whole - start);
        for (i, row) in rows[..count].iter_mut().enumerate() {
            // SAFETY: a whole row below n.
            *row = unsafe { src.add((start + i) * width) };
        }
        f(&rows[..count], width);
    }
    if whole * width < n {
        // SAFETY: below n.
        f(&[unsafe { src.add(whole * width) }], n - whole * width);
    }
}

/// Partial results of several outputs at once, merged as a [`Tree`](polyarray_core::order::Tree) merges those of one.
pub(super) struct Levels<S> {
    width: usize,
    results: Vec<S>,
    levels: SmallVec<[u32; 16]>,
}

impl<S: Copy> Levels<S> {
    pub fn new(width: usize) -> Levels<S> {
        Levels { width, results: Vec::new(), levels: SmallVec::new() }
    }

    /// Adds the results of the next `2^level` leaves, which `fill` writes to where it is told.
    pub fn push<T: Element, I: Isa, K: Kind<T, State = S>>(&mut self, isa: I, mut level: u32, fill: impl FnOnce(*mut S)) {
        let end = (self.levels.len() + 1) * self.width;
        self.results.reserve(end - self.results.len());
        fill(self.results.as_mut_ptr().wrapping_add(end - self.width));
        // SAFETY: reserved, and written by `fill`, as its caller promises where it makes the results.
        unsafe { self.results.set_len(end) };
        while self.levels.last() == Some(&level) {
            self.levels.pop();
            self.merge::<T, I, K>(isa);
            level += 1;
        }
        self.levels.push(level);
    }

    /// Merges the last results into those before.
    fn merge<T: Element, I: Isa, K: Kind<T, State = S>>(&mut self, isa: I) {
        struct Merge<'a, T: Element, K: Kind<T>>(&'a mut [K::State], &'a [K::State]);
        impl<T: Element, K: Kind<T>> Work for Merge<'_, T, K> {
            type Out = ();
            #[inline(always)]
            fn run<I: Isa>(self, _: I) {
                K::merge_all(self.0, self.1);
            }
        }
        let last = self.results.len() - self.width;
        let (before, right) = self.results.split_at_mut(last);
        isa.enter(Merge::<T, K>(&mut before[last - self.width..], right));
        self.results.truncate(last);
    }

    /// The results of all leaves.
    pub fn finish<T: Element, I: Isa, K: Kind<T, State = S>>(&mut self, isa: I) -> &[S] {
        while self.levels.len() > 1 {
            self.levels.pop();
            self.merge::<T, I, K>(isa);
        }
        &self.results
    }

    /// Without leaves, for another number of outputs.
    pub fn reset(&mut self, width: usize) {
        self.width = width;
        self.results.clear();
        self.levels.clear();
    }
}
