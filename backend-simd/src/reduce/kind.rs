//! The interface of a kind of reduction: partial results of blocks, of rows and of narrow rows, and their merging.

use crate::lanes::{Isa, Work};
use polyarray_core::order::{ROWS, Tree};
use polyarray_core::{Complex, Element};
use smallvec::SmallVec;

/// The number of lanes of a block of `T`, as in [`polyarray_core::order::lanes`].
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
    /// The element type that the program after the reduction receives.
    type Gives: Element;
    /// Returns the value of a result.
    fn give(self) -> Self::Gives;
    /// Returns the values of results without conversion, if results and values are the same.
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

/// The blocks of a run so far: a tree, or one result if the order does not matter.
pub(super) struct Run<S> {
    pub tree: Tree<S>,
    pub one: Option<S>,
}

/// Memory that kernels keep from one call to the next.
#[derive(Default)]
pub(super) struct Kept(Vec<[u64; 2]>);

impl Kept {
    /// Returns `n` initialized elements with arbitrary values, initially zeros.
    pub fn elements<T: Element>(&mut self, n: usize) -> &mut [T] {
        let words = (n * size_of::<T>()).div_ceil(16);
        if self.0.len() < words {
            self.0.resize(words, [0; 2]);
        }
        const { assert!(align_of::<T>() <= align_of::<u64>()) };
        // SAFETY: the vector holds this number of bytes, and it is aligned. Its bytes are zero or part of elements that
        // a kernel of this type wrote, and zeros are a valid value of every element type.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), n) }
    }
}

/// A kind of reduction of elements of type `T`.
pub(super) trait Kind<T: Element>: Send + Sync + 'static {
    /// A partial result.
    type State: State;
    /// The largest number of bytes of a row that are processed at once, so that the intermediate data of a block stay
    /// in a cache.
    const ROW_BYTES: usize;

    /// Adds the next block of a run: `n` elements. The first has index `first` among the reduced elements.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements.
    unsafe fn push<I: Isa>(isa: I, run: &mut Run<Self::State>, src: *const T, n: usize, first: usize);

    /// Computes the results of `count` outputs of one block each. The `i`-th block has `n` elements from
    /// `src + i * step` on.
    ///
    /// # Safety
    /// - The elements of all blocks are valid for reads, and `out` is valid for writes of `count` results.
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut Self::State) {
        for i in 0..count {
            let mut run = Run::new();
            // SAFETY: i < count, so the caller guarantees the elements of block i and room for its result.
            unsafe {
                Self::push(isa, &mut run, src.wrapping_offset(i as isize * step), n, 0);
                out.add(i).write(run.end(Self::merge));
            }
        }
    }

    /// Computes the partial results of `n` columns over a block of rows. The first row has index `first`.
    ///
    /// # Safety
    /// - Each row is valid for reads of `n` elements, and `out` for writes of `n` results. They do not overlap.
    unsafe fn rows<I: Isa>(isa: I, kept: &mut Kept, rows: &[*const T], n: usize, first: usize, out: *mut Self::State);

    /// Computes the partial results of `width` columns over a block of contiguous rows, in
    /// [`Order::Lanes`](polyarray_core::order::Order::Lanes). The block has `n` elements.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements, a multiple of `width`, and `out` for writes of `width` results.
    unsafe fn narrow<I: Isa>(isa: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut Self::State);

    /// Merges a later result into an earlier one.
    fn merge(left: &mut Self::State, right: Self::State);

    /// Merges later results into earlier ones, for several outputs.
    #[inline(always)]
    fn merge_all(left: &mut [Self::State], right: &[Self::State]) {
        left.iter_mut().zip(right).for_each(|(l, r)| Self::merge(l, *r));
    }
}

/// The functions of a [`Kind`] as a table. The code that divides the work is then compiled once per type of partial
/// results, rather than once per kind and element type.
///
/// # Safety
/// The functions have the contracts of those of [`Kind`], for elements of the type of the table.
pub(super) struct Kernels<I, S> {
    pub isa: I,
    pub row_bytes: usize,
    /// The number of bytes of an element.
    pub size: usize,
    pub push: unsafe fn(I, &mut Run<S>, *const u8, usize, usize),
    pub short: unsafe fn(I, *const u8, isize, usize, usize, *mut S),
    pub rows: unsafe fn(I, &mut Kept, &[*const u8], usize, usize, *mut S),
    pub narrow: unsafe fn(I, &mut Kept, *const u8, usize, usize, *mut S),
    pub merge: fn(&mut S, S),
    pub merge_all: fn(I, &mut [S], &[S]),
}

impl<I: Isa, S: State> Kernels<I, S> {
    /// Returns the functions of kind `K` for elements of type `T`.
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
        // SAFETY: each function has the contract of its counterpart in `Kind`. Slices of pointers have the same layout
        // for all pointee types.
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

    /// The number of elements of a block.
    pub fn block(&self) -> usize {
        256 / self.size * ROWS
    }

    /// Returns the result of a run.
    pub fn end(&self, run: Run<S>) -> S {
        run.end(self.merge)
    }
}

impl<S> Run<S> {
    fn end(self, merge: fn(&mut S, S)) -> S {
        self.one.or_else(|| self.tree.finish(merge)).expect("a run has a block")
    }

    /// Returns a run without blocks.
    pub fn new() -> Run<S> {
        Run { tree: Tree::new(), one: None }
    }
}

/// Divides `n` elements from `src` on into rows of `width` elements. Calls `f` with up to [`ROWS`] rows at a time, and
/// finally with the shorter row that remains, if any.
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
            // SAFETY: row start + i is less than n / width, so it lies within the `n` elements.
            *row = unsafe { src.add((start + i) * width) };
        }
        f(&rows[..count], width);
    }
    if whole * width < n {
        // SAFETY: `whole * width < n`.
        f(&[unsafe { src.add(whole * width) }], n - whole * width);
    }
}

/// Partial results of several outputs. They are merged as a [`Tree`](polyarray_core::order::Tree) merges those of one
/// output.
pub(super) struct Levels<S> {
    width: usize,
    results: Vec<S>,
    levels: SmallVec<[u32; 16]>,
}

impl<S: State> Levels<S> {
    pub fn new(width: usize) -> Levels<S> {
        Levels { width, results: Vec::new(), levels: SmallVec::new() }
    }

    /// Adds the results of the next `2^level` leaves, which `fill` writes to the given address.
    ///
    /// # Safety
    /// - `fill` initializes `width` results.
    pub unsafe fn push<I: Isa>(&mut self, kernels: &Kernels<I, S>, mut level: u32, fill: impl FnOnce(*mut S)) {
        let end = (self.levels.len() + 1) * self.width;
        self.results.reserve(end - self.results.len());
        fill(self.results.as_mut_ptr().wrapping_add(end - self.width));
        // SAFETY: the elements are reserved, and `fill` initializes the last `width` of them, which the caller
        // guarantees.
        unsafe { self.results.set_len(end) };
        while self.levels.last() == Some(&level) {
            self.levels.pop();
            self.merge(kernels);
            level += 1;
        }
        self.levels.push(level);
    }

    /// Merges the last results into the preceding ones.
    fn merge<I: Isa>(&mut self, kernels: &Kernels<I, S>) {
        let last = self.results.len() - self.width;
        let (before, right) = self.results.split_at_mut(last);
        (kernels.merge_all)(kernels.isa, &mut before[last - self.width..], right);
        self.results.truncate(last);
    }

    /// Returns the results of all leaves.
    pub fn finish<I: Isa>(&mut self, kernels: &Kernels<I, S>) -> &[S] {
        while self.levels.len() > 1 {
            self.levels.pop();
            self.merge(kernels);
        }
        &self.results
    }

    /// Removes all leaves and sets the number of outputs.
    pub fn reset(&mut self, width: usize) {
        self.width = width;
        self.results.clear();
        self.levels.clear();
    }
}
