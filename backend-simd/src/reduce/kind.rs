//! What a kind of reduction is: partial results of blocks, of rows, of narrow rows, and how they are merged.

use crate::lanes::{Isa, Work};
use polyarray_core::order::{ROWS, Tree};
use polyarray_core::{Complex, Element};
use smallvec::SmallVec;

/// Lanes of a block of `T`: what [`polyarray_core::order::lanes`] says.
pub(super) const fn lanes_of<T>() -> usize {
    256 / size_of::<T>()
}

/// Elements to read.
#[derive(Clone, Copy)]
pub(super) struct Values<T> {
    pub src: *const T,
    pub n: usize,
}

/// A partial result.
pub(super) trait State: Copy + Send + Sync + 'static {
    /// What follows the reduction is given this.
    type Gives: Element;
    /// The value of a result.
    fn give(self) -> Self::Gives;
    /// The values of results, if they are the results themselves.
    fn as_given(_: &[Self]) -> Option<&[Self::Gives]> {
        None
    }
}

macro_rules! values {
    ($($T:ty),*) => { $(
        impl State for $T {
            type Gives = $T;
            #[inline(always)]
            fn give(self) -> $T {
                self
            }
            fn as_given(results: &[$T]) -> Option<&[$T]> {
                Some(results)
            }
        }
    )* };
}
values!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, Complex<f32>, Complex<f64>);

/// The blocks of a run so far: a tree, or, where the order does not matter, one result.
pub(super) struct Run<S> {
    pub tree: Tree<S>,
    pub one: Option<S>,
}

/// Memory that kernels keep from one call to the next.
#[derive(Default)]
pub(super) struct Kept(Vec<[u64; 2]>);

impl Kept {
    /// `n` elements that were written before: zeros at first.
    pub fn elements<T: Element>(&mut self, n: usize) -> &mut [T] {
        let words = (n * size_of::<T>()).div_ceil(16);
        if self.0.len() < words {
            self.0.resize(words, [0; 2]);
        }
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        // SAFETY: that many bytes, aligned; each is zero or part of a number that a kernel of this type wrote, and zeros are a value of every element type.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), n) }
    }
}

/// A kind of reduction of elements of type `T`.
pub(super) trait Kind<T: Element>: Send + Sync + 'static {
    /// A partial result.
    type State: State;
    /// The most bytes of a row that are worked on at once, so that what is kept of a block stays in a cache.
    const ROW_BYTES: usize;

    /// Takes the next block of a run: `n` elements, the first of which has the number `first` among those that are reduced.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements.
    unsafe fn push<I: Isa>(isa: I, run: &mut Run<Self::State>, src: *const T, n: usize, first: usize);

    /// The results of `count` outputs of one block each: the `i`-th has `n` elements from `src + i * step` on.
    ///
    /// # Safety
    /// - those elements are valid for reads, `out` for writes of `count` results.
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut Self::State) {
        for i in 0..count {
            let mut run = Run::new();
            // SAFETY: the caller's.
            unsafe {
                Self::push(isa, &mut run, src.wrapping_offset(i as isize * step), n, 0);
                out.add(i).write(run.end(Self::merge));
            }
        }
    }

    /// The partial results of `n` columns over a block of rows, the first of which has the number `first`.
    ///
    /// # Safety
    /// - each row is valid for reads of `n` elements, `out` for writes of `n` results; they do not overlap.
    unsafe fn rows<I: Isa>(isa: I, kept: &mut Kept, rows: &[*const T], n: usize, first: usize, out: *mut Self::State);

    /// The partial results of `width` columns over a block of rows without gaps, in [`Order::Lanes`](polyarray_core::order::Order::Lanes): `n` elements in all.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements, a multiple of `width`, and `out` for writes of `width` results.
    unsafe fn narrow<I: Isa>(isa: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut Self::State);

    /// Adds what comes later.
    fn merge(left: &mut Self::State, right: Self::State);

    /// Adds what comes later to results of several outputs.
    #[inline(always)]
    fn merge_all(left: &mut [Self::State], right: &[Self::State]) {
        left.iter_mut().zip(right).for_each(|(l, r)| Self::merge(l, *r));
    }
}

/// A [`Kind`] as a table, so that what cuts work up is compiled for each type of partial results rather than for each kind and type of elements.
///
/// # Safety
/// The functions have the contracts of those of [`Kind`], for elements of the type that the table was made for.
pub(super) struct Kernels<I, S> {
    pub isa: I,
    pub row_bytes: usize,
    /// Bytes of an element.
    pub size: usize,
    pub push: unsafe fn(I, &mut Run<S>, *const u8, usize, usize),
    pub short: unsafe fn(I, *const u8, isize, usize, usize, *mut S),
    pub rows: unsafe fn(I, &mut Kept, &[*const u8], usize, usize, *mut S),
    pub narrow: unsafe fn(I, &mut Kept, *const u8, usize, usize, *mut S),
    pub merge: fn(&mut S, S),
    pub merge_all: fn(I, &mut [S], &[S]),
}

impl<I: Isa, S: State> Kernels<I, S> {
    /// Those of kind `K` for elements of type `T`.
    pub fn of<T: Element, K: Kind<T, State = S>>(isa: I) -> Kernels<I, S> {
        struct Merge<'a, T, K: Kind<T>>(&'a mut [K::State], &'a [K::State])
        where
            T: Element;
        impl<T: Element, K: Kind<T>> Work for Merge<'_, T, K> {
            type Out = ();
            #[inline(always)]
            fn run<I: Isa>(self, _: I) {
                K::merge_all(self.0, self.1);
            }
        }
        // SAFETY: the contracts are those of `Kind`; a slice of pointers is one whatever they point to.
        unsafe {
            Kernels {
                isa,
                row_bytes: K::ROW_BYTES,
                size: size_of::<T>(),
                push: |isa, run, src, n, first| K::push(isa, run, src.cast(), n, first),
                short: |isa, src, step, n, count, out| K::short(isa, src.cast(), step, n, count, out),
                rows: |isa, kept, rows, n, first, out| {
                    K::rows(isa, kept, std::slice::from_raw_parts(rows.as_ptr().cast(), rows.len()), n, first, out)
                },
                narrow: |isa, kept, src, n, width, out| K::narrow(isa, kept, src.cast(), n, width, out),
                merge: K::merge,
                merge_all: |isa, left, right| isa.enter(Merge::<T, K>(left, right)),
            }
        }
    }

    /// Elements of a block.
    pub fn block(&self) -> usize {
        256 / self.size * ROWS
    }

    /// The result of a run.
    pub fn end(&self, run: Run<S>) -> S {
        run.end(self.merge)
    }
}

impl<S> Run<S> {
    fn end(self, merge: fn(&mut S, S)) -> S {
        self.one.or_else(|| self.tree.finish(merge)).expect("a run has a block")
    }

    /// Without blocks.
    pub fn new() -> Run<S> {
        Run { tree: Tree::new(), one: None }
    }
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

impl<S: State> Levels<S> {
    pub fn new(width: usize) -> Levels<S> {
        Levels { width, results: Vec::new(), levels: SmallVec::new() }
    }

    /// Adds the results of the next `2^level` leaves, which `fill` writes to where it is told.
    ///
    /// # Safety
    /// - `fill` writes as many results as the levels are wide.
    pub unsafe fn push<I: Isa>(&mut self, kernels: &Kernels<I, S>, mut level: u32, fill: impl FnOnce(*mut S)) {
        let end = (self.levels.len() + 1) * self.width;
        self.results.reserve(end - self.results.len());
        fill(self.results.as_mut_ptr().wrapping_add(end - self.width));
        // SAFETY: reserved, and written by `fill`: the caller's.
        unsafe { self.results.set_len(end) };
        while self.levels.last() == Some(&level) {
            self.levels.pop();
            self.merge(kernels);
            level += 1;
        }
        self.levels.push(level);
    }

    /// Merges the last results into those before.
    fn merge<I: Isa>(&mut self, kernels: &Kernels<I, S>) {
        let last = self.results.len() - self.width;
        let (before, right) = self.results.split_at_mut(last);
        (kernels.merge_all)(kernels.isa, &mut before[last - self.width..], right);
        self.results.truncate(last);
    }

    /// The results of all leaves.
    pub fn finish<I: Isa>(&mut self, kernels: &Kernels<I, S>) -> &[S] {
        while self.levels.len() > 1 {
            self.levels.pop();
            self.merge(kernels);
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
