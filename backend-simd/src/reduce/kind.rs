//! The interface of a kind of reduction: partial results of blocks, of rows and of narrow rows, and their merging.

use crate::lanes::{Body, Isa};
use crate::partial::Partial;
use polyarray_core::order::{ROWS, Tree};
use polyarray_core::{Complex, Element};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

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

/// A partial result, of at most 32 bytes.
pub(super) trait State: Copy + Send + Sync + 'static {
    /// The element type that the program after the reduction receives.
    type Gives: Element;
    /// Whether results and values are the same.
    const IS_VALUE: bool = false;
    /// Returns the value of a result.
    fn give(self) -> Self::Gives;
}

macro_rules! values {
    ($($T:ty),*) => { $(
        impl State for $T {
            type Gives = $T;
            const IS_VALUE: bool = true;
            #[inline(always)]
            fn give(self) -> $T {
                self
            }
        }
    )* };
}
values!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, Complex<f32>, Complex<f64>);

/// The most bytes of a value.
pub(super) const VALUE_BYTES: usize = 16;

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

/// A kind of reduction of elements of type `T`. Its functions are called inside the tier ([`Isa::kernel`]) and are
/// `#[inline(always)]`.
pub(super) trait Kind<T: Element>: Send + Sync + 'static {
    /// A partial result.
    type State: State;
    /// The largest number of bytes of a row that are processed at once, so that the intermediate data of a block stay
    /// in a cache.
    const ROW_BYTES: usize;

    /// Whether the results of the blocks of a run are combined as a tree. Otherwise [`block`](Self::block) combines
    /// them.
    const TREE: bool = true;

    /// Computes the result of a block of `n` elements. The first has index `first` among the reduced elements. If not
    /// [`TREE`](Self::TREE), merges it into `best`, the result of the previous blocks.
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements.
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize, first: usize, best: Option<Self::State>) -> Self::State;

    /// Computes the results of `count` outputs of one block each. The `i`-th block has `n` elements from
    /// `src + i * step` on.
    ///
    /// # Safety
    /// - The elements of all blocks are valid for reads, and `out` is valid for writes of `count` results.
    #[inline(always)]
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut Self::State) {
        for i in 0..count {
            // SAFETY: i < count, so the caller guarantees the elements of block i and room for its result.
            unsafe { out.add(i).write(Self::block(isa, src.wrapping_offset(i as isize * step), n, 0, None)) };
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

/// The arguments of a kernel: those of a function of [`Kind`], of which each uses some.
struct Call {
    src: *const u8,
    rows: *const [*const u8],
    kept: *mut Kept,
    step: isize,
    n: usize,
    count: usize,
    first: usize,
    /// Null if there is no previous result.
    best: *const u8,
    out: *mut u8,
}

impl Call {
    /// Arguments that a kernel does not use.
    const NONE: Call = Call {
        src: std::ptr::null(),
        rows: &[],
        kept: std::ptr::null_mut(),
        step: 0,
        n: 0,
        count: 0,
        first: 0,
        best: std::ptr::null(),
        out: std::ptr::null_mut(),
    };
}

/// A function of a [`Kind`], compiled for a tier.
///
/// # Safety
/// - The contract of the function, for elements and partial results of the kind, which are aligned.
/// - The CPU has the features of the tier.
type Kernel = unsafe fn(&Call);

macro_rules! kernels {
    ($($(#[$doc:meta])* $Name:ident |$K:ident, $T:ident, $isa:ident, $call:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        struct $Name<T, K>(PhantomData<(T, K)>);
        impl<$T: Element, $K: Kind<$T>> Body for $Name<$T, $K> {
            type Args = Call;
            #[inline(always)]
            unsafe fn run<I: Isa>($isa: I, $call: &Call) {
                // SAFETY: the contract of the function of `Kind`, which the caller guarantees. Slices of pointers have
                // the same layout for all pointee types.
                unsafe { $body }
            }
        }
    )* };
}
kernels! {
    /// [`Kind::block`].
    OfBlock |K, T, isa, call| {
        let best = call.best.cast::<K::State>().as_ref().copied();
        call.out.cast::<K::State>().write(K::block(isa, call.src.cast(), call.n, call.first, best));
    };
    /// [`Kind::short`].
    OfShort |K, T, isa, call| K::short(isa, call.src.cast(), call.step, call.n, call.count, call.out.cast());
    /// [`Kind::rows`].
    OfRows |K, T, isa, call| {
        let rows = std::slice::from_raw_parts(call.rows.cast::<*const T>(), call.rows.len());
        K::rows(isa, &mut *call.kept, rows, call.n, call.first, call.out.cast());
    };
    /// [`Kind::narrow`]; `count` is the width.
    OfNarrow |K, T, isa, call| K::narrow(isa, &mut *call.kept, call.src.cast(), call.n, call.count, call.out.cast());
    /// [`Kind::merge_all`]; merges the results at `src` into those at `out`.
    OfMerge |K, T, _isa, call| {
        let (left, right) = (call.out.cast::<K::State>(), call.src.cast::<K::State>());
        K::merge_all(std::slice::from_raw_parts_mut(left, call.n), std::slice::from_raw_parts(right, call.n));
    };
}

/// The functions of a [`Kind`] for a tier. The code that divides the work is compiled once for all of them: it knows
/// the sizes of elements, partial results and values, but not their types.
///
/// Invariant: the CPU has the features of the tier, because the table is part of the tier's
/// ([`Tier`](crate::tier::Tier)).
#[derive(Clone, Copy)]
pub(super) struct Kernels {
    pub row_bytes: usize,
    /// The number of bytes of an element, of a partial result, and of the value of a result.
    pub size: usize,
    pub state: usize,
    pub value: usize,
    /// Whether partial results are values.
    pub is_value: bool,
    /// The first byte of a result that no further element changes, if there is one.
    end: Option<u8>,
    /// Whether elements may be combined in any order.
    pub in_any_order: bool,
    tree: bool,
    block: Kernel,
    short: Kernel,
    rows: Kernel,
    narrow: Kernel,
    merge_all: Kernel,
    merge: unsafe fn(left: *mut u8, right: *const u8),
    /// Writes the values of `n` results to `to`.
    give: unsafe fn(results: *const u8, n: usize, to: *mut u8),
}

impl Kernels {
    /// Returns the functions of kind `K` for elements of type `T`, compiled for tier `I`.
    pub const fn of<I: Isa, T: Element, K: Kind<T>>() -> Kernels {
        const {
            assert!(size_of::<K::State>() <= size_of::<Partial>() && align_of::<K::State>() <= align_of::<Partial>());
            assert!(size_of::<<K::State as State>::Gives>() <= VALUE_BYTES);
        }
        Kernels {
            row_bytes: K::ROW_BYTES,
            size: size_of::<T>(),
            state: size_of::<K::State>(),
            value: size_of::<<K::State as State>::Gives>(),
            is_value: K::State::IS_VALUE,
            end: None,
            // The position of the best element does not depend on the order of the comparisons.
            in_any_order: !K::TREE,
            tree: K::TREE,
            block: I::kernel::<OfBlock<T, K>>,
            short: I::kernel::<OfShort<T, K>>,
            rows: I::kernel::<OfRows<T, K>>,
            narrow: I::kernel::<OfNarrow<T, K>>,
            merge_all: I::kernel::<OfMerge<T, K>>,
            merge: merge::<T, K>,
            give: give::<K::State>,
        }
    }

    /// Returns the same functions for elements that may be combined in any order.
    pub const fn in_any_order(mut self) -> Kernels {
        self.in_any_order = true;
        self
    }

    /// Returns the same functions for bytes of which one with this value decides the result.
    pub const fn ending_at(mut self, end: Option<u8>) -> Kernels {
        self.end = end;
        self.in_any_order()
    }

    /// Returns whether further elements cannot change this result.
    pub fn is_decided(&self, result: &Partial) -> bool {
        // SAFETY: a result that one byte decides is a byte.
        self.end.is_some_and(|end| unsafe { *result.at() } == end)
    }

    /// Returns whether one element may decide a result.
    pub fn may_be_decided(&self) -> bool {
        self.end.is_some()
    }

    /// Returns how many elements of a line are combined first: a block, or fewer if these may decide the result.
    pub fn first_piece(&self) -> usize {
        if self.may_be_decided() { DECIDING } else { self.block() }
    }

    /// [`Kind::short`].
    ///
    /// # Safety
    /// - The contract of [`Kind::short`].
    pub unsafe fn short(&self, src: *const u8, step: isize, n: usize, count: usize, out: *mut u8) {
        // SAFETY: the caller guarantees the contract of `Kind::short`, and the CPU has the features (the invariant).
        unsafe { (self.short)(&Call { src, step, n, count, out, ..Call::NONE }) };
    }

    /// [`Kind::rows`].
    ///
    /// # Safety
    /// - The contract of [`Kind::rows`].
    pub unsafe fn rows(&self, kept: &mut Kept, rows: &[*const u8], n: usize, first: usize, out: *mut u8) {
        // SAFETY: the caller guarantees the contract of `Kind::rows`, and the CPU has the features (the invariant).
        unsafe { (self.rows)(&Call { kept, rows, n, first, out, ..Call::NONE }) };
    }

    /// [`Kind::narrow`].
    ///
    /// # Safety
    /// - The contract of [`Kind::narrow`].
    pub unsafe fn narrow(&self, kept: &mut Kept, src: *const u8, n: usize, width: usize, out: *mut u8) {
        // SAFETY: the caller guarantees the contract of `Kind::narrow`, and the CPU has the features (the invariant).
        unsafe { (self.narrow)(&Call { kept, src, n, count: width, out, ..Call::NONE }) };
    }

    /// The number of elements of a block.
    pub fn block(&self) -> usize {
        256 / self.size * ROWS
    }

    /// Computes the result of one block, which is a whole run.
    ///
    /// # Safety
    /// - As [`Kind::block`], for elements of the table's type.
    pub unsafe fn whole(&self, src: *const u8, n: usize, first: usize) -> Partial {
        let mut result = Partial::room();
        // SAFETY: the caller guarantees the elements. There is room for any result.
        unsafe { (self.block)(&Call { src, n, first, out: result.to(), ..Call::NONE }) };
        result
    }

    /// Calls `f` with the values of `n` results from `results` on, some at a time: with the number of preceding
    /// results, the address of the values and their number.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` results of this table.
    pub unsafe fn values(&self, results: *const u8, n: usize, f: &mut dyn FnMut(usize, *const u8, usize)) {
        if self.is_value {
            return f(0, results, n);
        }
        let mut held = Held::new();
        for first in (0..n).step_by(HELD) {
            let count = HELD.min(n - first);
            // SAFETY: `first + count <= n`, so the caller guarantees the results. There is room for `HELD` values.
            unsafe { (self.give)(results.add(first * self.state), count, held.to()) };
            f(first, held.to().cast_const(), count);
        }
    }

    /// Writes the values of `n` results to `to`.
    ///
    /// # Safety
    /// - `results` is valid for reads of `n` results of this table.
    /// - `to` is aligned to the values and valid for writes of `n` of them.
    pub unsafe fn give_all(&self, results: *const u8, n: usize, to: *mut u8) {
        // SAFETY: the caller guarantees the results and room for their values.
        unsafe { (self.give)(results, n, to) };
    }
}

/// # Safety
/// - `left` is valid for reads and writes and `right` for reads of a result of `K`.
unsafe fn merge<T: Element, K: Kind<T>>(left: *mut u8, right: *const u8) {
    // SAFETY: the caller guarantees both results.
    unsafe { K::merge(&mut *left.cast(), *right.cast()) };
}

/// # Safety
/// - `results` is valid for reads of `n` results and `to` for writes of `n` values.
unsafe fn give<S: State>(results: *const u8, n: usize, to: *mut u8) {
    for i in 0..n {
        // SAFETY: i < n, so the caller guarantees the result and room for its value.
        unsafe { to.cast::<S::Gives>().add(i).write(results.cast::<S>().add(i).read().give()) };
    }
}

/// The number of elements after which a result that one element may decide is first looked at.
const DECIDING: usize = 256;

/// The number of values that are buffered before they are written.
pub(super) const HELD: usize = 64;

/// Room for [`HELD`] values.
pub(super) struct Held([MaybeUninit<[u64; VALUE_BYTES / 8]>; HELD]);

impl Held {
    pub fn new() -> Held {
        Held([MaybeUninit::uninit(); HELD])
    }

    /// Returns the address of the first value.
    pub fn to(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }
}

/// The results so far of a series of blocks, or of other results: a tree, or one result if the order does not matter.
///
/// Invariant: they are results of `kernels`.
pub(super) struct Run<'a> {
    kernels: &'a Kernels,
    tree: Tree<Partial>,
    one: Option<Partial>,
}

impl<'a> Run<'a> {
    /// Returns a run without results.
    pub fn new(kernels: &'a Kernels) -> Run<'a> {
        Run { kernels, tree: Tree::new(), one: None }
    }

    /// Adds the next block.
    ///
    /// # Safety
    /// - As [`Kind::block`], for elements of the table's type.
    pub unsafe fn push(&mut self, src: *const u8, n: usize, first: usize) {
        let best = self.one.as_ref().map_or(std::ptr::null(), Partial::at);
        let mut result = Partial::room();
        // SAFETY: the caller guarantees the elements. There is room for any result, and `best` is of this table (the
        // invariant).
        unsafe { (self.kernels.block)(&Call { src, n, first, best, out: result.to(), ..Call::NONE }) };
        if self.kernels.tree {
            // SAFETY: the result is of this table.
            unsafe { self.push_result(result, 0) };
        } else {
            self.one = Some(result);
        }
    }

    /// Adds the result of the next `2^level` leaves of the tree.
    ///
    /// # Safety
    /// - It is a result of the table.
    pub unsafe fn push_result(&mut self, result: Partial, level: u32) {
        // SAFETY: both are results of this table (the invariant; the caller guarantees it for `result`).
        self.tree.push_level(result, level, |left, right| unsafe { (self.kernels.merge)(left.to(), right.at()) });
    }

    /// Returns the result, of the table.
    pub fn end(self) -> Partial {
        // SAFETY: both are results of this table (the invariant).
        let merge = |left: &mut Partial, right: Partial| unsafe { (self.kernels.merge)(left.to(), right.at()) };
        self.one.or_else(|| self.tree.finish(merge)).expect("internal error: a run has no block")
    }
}

/// Divides `n` elements of `size` bytes from `src` on into rows of `width` elements. Calls `f` with up to [`ROWS`] rows
/// at a time, and finally with the shorter row that remains, if any.
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
pub(super) unsafe fn as_rows(
    src: *const u8,
    size: usize,
    n: usize,
    width: usize,
    f: &mut dyn FnMut(&[*const u8], usize),
) {
    let mut rows = [std::ptr::null(); ROWS];
    let whole = n / width;
    for start in (0..whole).step_by(ROWS) {
        let count = ROWS.min(whole - start);
        for (i, row) in rows[..count].iter_mut().enumerate() {
            // SAFETY: row start + i is less than n / width, so it lies within the `n` elements.
            *row = unsafe { src.add((start + i) * width * size) };
        }
        f(&rows[..count], width);
    }
    if whole * width < n {
        // SAFETY: `whole * width < n`.
        f(&[unsafe { src.add(whole * width * size) }], n - whole * width);
    }
}

/// Partial results of several outputs. They are merged as a [`Tree`](polyarray_core::order::Tree) merges those of one
/// output.
///
/// Invariant: `results` has a line of `width` results of `kernels` for each level; a line begins at a multiple of
/// `line` words.
pub(super) struct Levels<'a> {
    kernels: &'a Kernels,
    width: usize,
    line: usize,
    results: Vec<MaybeUninit<u64>>,
    levels: SmallVec<[u32; 16]>,
}

impl<'a> Levels<'a> {
    pub fn new(kernels: &'a Kernels, width: usize) -> Levels<'a> {
        let line = (width * kernels.state).div_ceil(8);
        Levels { kernels, width, line, results: Vec::new(), levels: SmallVec::new() }
    }

    /// Returns levels of as many outputs, without leaves.
    pub fn empty(&self) -> Levels<'a> {
        Levels::new(self.kernels, self.width)
    }

    /// Returns the address of a line.
    fn at(&mut self, line: usize) -> *mut u8 {
        self.results.as_mut_ptr().wrapping_add(line * self.line).cast()
    }

    /// Adds the results of the next `2^level` leaves, which `fill` writes to the given address.
    ///
    /// # Safety
    /// - `fill` initializes `width` results.
    pub unsafe fn push(&mut self, mut level: u32, fill: impl FnOnce(*mut u8)) {
        let words = (self.levels.len() + 1) * self.line;
        if self.results.len() < words {
            self.results.resize(words, MaybeUninit::uninit());
        }
        fill(self.at(self.levels.len()));
        while self.levels.last() == Some(&level) {
            self.levels.pop();
            self.merge_into(self.levels.len());
            level += 1;
        }
        self.levels.push(level);
    }

    /// Merges the line after `line` into it.
    fn merge_into(&mut self, line: usize) {
        let (left, right) = (self.at(line), self.at(line + 1));
        // SAFETY: both lines have `width` results (the invariant, before the level of the later one was removed), and
        // do not overlap.
        unsafe { (self.kernels.merge_all)(&Call { src: right, n: self.width, out: left, ..Call::NONE }) };
    }

    /// Returns the address of the results of all leaves.
    pub fn finish(&mut self) -> *const u8 {
        while self.levels.len() > 1 {
            self.levels.pop();
            self.merge_into(self.levels.len() - 1);
        }
        self.at(0)
    }

    /// Removes all leaves and sets the number of outputs.
    pub fn reset(&mut self, width: usize) {
        self.width = width;
        self.line = (width * self.kernels.state).div_ceil(8);
        self.levels.clear();
    }
}
