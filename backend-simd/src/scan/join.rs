//! How a scan combines elements: blocks of a line, and rows of lines that are side by side.

use super::{AT_ONCE, GROUP};
use crate::scratch::{filled, room};
use polyarray_core::order::{Multiply, Product, SCAN_BLOCK};
use polyarray_core::{Complex, Element, Result, Wide};
use std::ops::Range;

/// The state that is carried from one block of a line to the next.
#[derive(Clone, Copy)]
pub(super) enum Carry<S> {
    /// There is no previous block.
    Nothing,
    /// The combination of all previous blocks.
    Offset(S),
    /// The previous element. An element was not finite, so from there on each element is combined with the previous
    /// one, without blocks.
    Last(S),
}

impl<S> Carry<S> {
    pub fn value(self) -> Option<S> {
        match self {
            Carry::Nothing => None,
            Carry::Offset(x) | Carry::Last(x) => Some(x),
        }
    }

    pub fn map<R>(self, f: impl Fn(S) -> R) -> Carry<R> {
        match self {
            Carry::Nothing => Carry::Nothing,
            Carry::Offset(x) => Carry::Offset(f(x)),
            Carry::Last(x) => Carry::Last(f(x)),
        }
    }
}

/// An operation that combines elements.
pub(super) trait Join<T: Element>: Send + Sync + 'static {
    /// The accumulated value of several elements.
    type State: Copy + Send + Sync + 'static;
    /// The state of lines that are side by side.
    type Lines: 'static;

    fn join(a: Self::State, b: Self::State) -> Self::State;

    /// Scans consecutive blocks. Returns the carry for the next block, which is meaningful only if all blocks are
    /// whole. Called inside [`Isa::enter`].
    ///
    /// # Safety
    /// - `src` is valid for reads and `to` for writes of `n` elements; they do not overlap.
    unsafe fn blocks(src: *const T, to: *mut T, n: usize, carry: Carry<Self::State>) -> Carry<Self::State>;

    /// Returns the results of up to [`AT_ONCE`] whole blocks. Called inside [`Isa::enter`].
    ///
    /// # Safety
    /// - `src` is valid for reads of `count` whole blocks, at least one.
    unsafe fn totals(src: *const T, count: usize) -> [Self::State; AT_ONCE];

    /// Creates the state for `n` lines.
    fn lines(n: usize) -> Result<Self::Lines>;

    /// Scans element `index` of each line. Called inside [`Isa::enter`].
    ///
    /// # Safety
    /// - `src` is valid for reads and `to` for writes of one element per line of `lines`; they do not overlap.
    unsafe fn row(lines: &mut Self::Lines, src: *const T, to: *mut T, index: usize);
}

/// An operation that combines two elements into one, without a separate exponent.
trait Plain<T: Element>: Send + Sync + 'static {
    /// Whether elements that are not finite end the blocks.
    const SEQUENCE: bool;
    fn join(a: T, b: T) -> T;
    /// Returns whether an element is finite. Always true if [`SEQUENCE`](Self::SEQUENCE) is false.
    fn is_finite(x: T) -> bool;
}

pub(super) struct Plus;
pub(super) struct Times;
pub(super) struct Smallest;
pub(super) struct Largest;

macro_rules! plain {
    ($($J:ident $T:ty, sequence $sequence:literal, |$a:ident, $b:ident| $join:expr, |$x:ident| $finite:expr;)*) => { $(
        impl Plain<$T> for $J {
            const SEQUENCE: bool = $sequence;
            #[inline(always)]
            fn join($a: $T, $b: $T) -> $T { $join }
            #[inline(always)]
            fn is_finite($x: $T) -> bool { $finite }
        }
        impl Join<$T> for $J {
            type State = $T;
            type Lines = PlainLines<$T>;
            #[inline(always)]
            fn join(a: $T, b: $T) -> $T { <Self as Plain<$T>>::join(a, b) }
            #[inline(always)]
            unsafe fn blocks(src: *const $T, to: *mut $T, n: usize, carry: Carry<$T>) -> Carry<$T> {
                // SAFETY: the contract of `Join::blocks`, which the caller guarantees.
                unsafe { plain_blocks::<$T, $J>(src, to, n, carry) }
            }
            #[inline(always)]
            unsafe fn totals(src: *const $T, count: usize) -> [$T; AT_ONCE] {
                // SAFETY: the contract of `Join::totals`, which the caller guarantees.
                unsafe { totals(src, count, |x| x, <Self as Plain<$T>>::join) }
            }
            fn lines(n: usize) -> Result<PlainLines<$T>> {
                PlainLines::new(n)
            }
            #[inline(always)]
            unsafe fn row(lines: &mut PlainLines<$T>, src: *const $T, to: *mut $T, index: usize) {
                // SAFETY: the contract of `Join::row`, which the caller guarantees.
                unsafe { lines.row::<$J>(src, to, index) }
            }
        }
    )* };
}
plain! {
    Plus i64, sequence false, |a, b| a.wrapping_add(b), |_x| true;
    Plus f32, sequence true, |a, b| a + b, |x| x.is_finite();
    Plus f64, sequence true, |a, b| a + b, |x| x.is_finite();
    Plus Complex<f32>, sequence true, |a, b| Complex::new(a.re + b.re, a.im + b.im),
        |x| x.re.is_finite() & x.im.is_finite();
    Plus Complex<f64>, sequence true, |a, b| Complex::new(a.re + b.re, a.im + b.im),
        |x| x.re.is_finite() & x.im.is_finite();
    Times i64, sequence false, |a, b| a.wrapping_mul(b), |_x| true;
    // Of equal elements the later one, and NaN if there is one, as on every device. Blocks do not affect the result.
    Smallest i64, sequence false, |a, b| if a < b { a } else { b }, |_x| true;
    Smallest u64, sequence false, |a, b| if a < b { a } else { b }, |_x| true;
    Smallest f32, sequence false, |a, b| if a < b || a.is_nan() { a } else { b }, |_x| true;
    Smallest f64, sequence false, |a, b| if a < b || a.is_nan() { a } else { b }, |_x| true;
    Largest i64, sequence false, |a, b| if a > b { a } else { b }, |_x| true;
    Largest u64, sequence false, |a, b| if a > b { a } else { b }, |_x| true;
    Largest f32, sequence false, |a, b| if a > b || a.is_nan() { a } else { b }, |_x| true;
    Largest f64, sequence false, |a, b| if a > b || a.is_nan() { a } else { b }, |_x| true;
}

/// A number whose products [`Times`] computes with separate exponents ([`Product`]).
pub(super) trait Factor: Multiply + Send + Sync {
    /// Returns whether a product with this value has the same bits as one computed with separate exponents: the value
    /// is finite, and large enough that the product loses no digits.
    fn is_plain(x: Self) -> bool;
}

macro_rules! factors {
    ($($T:ident)*) => { $(
        impl Factor for $T {
            #[inline(always)]
            fn is_plain(x: $T) -> bool {
                // The smallest normal number is excluded, because a smaller number may have been rounded up to it.
                (x.abs() > $T::MIN_POSITIVE) & (x.abs() <= $T::MAX)
            }
        }
        impl Factor for Complex<$T> {
            // Never plain: a normal result may be the sum of terms that were not normal.
            #[inline(always)]
            fn is_plain(_: Self) -> bool {
                false
            }
        }
        kept! { $T, Complex<$T> }
    )* };
}
macro_rules! kept {
    ($($T:ty),*) => { $(
        impl Join<$T> for Times {
            type State = Product<$T>;
            type Lines = KeptLines<$T>;
            #[inline(always)]
            fn join(a: Product<$T>, b: Product<$T>) -> Product<$T> {
                Multiply::join(a, b)
            }
            #[inline(always)]
            unsafe fn blocks(src: *const $T, to: *mut $T, n: usize, carry: Carry<Product<$T>>) -> Carry<Product<$T>> {
                // SAFETY: the contract of `Join::blocks`, which the caller guarantees.
                unsafe { kept_blocks(src, to, n, carry) }
            }
            #[inline(always)]
            unsafe fn totals(src: *const $T, count: usize) -> [Product<$T>; AT_ONCE] {
                // SAFETY: the contract of `Join::totals`, which the caller guarantees.
                unsafe { totals(src, count, Multiply::factor, Multiply::join) }
            }
            fn lines(n: usize) -> Result<KeptLines<$T>> {
                KeptLines::new(n)
            }
            #[inline(always)]
            unsafe fn row(lines: &mut KeptLines<$T>, src: *const $T, to: *mut $T, index: usize) {
                // SAFETY: the contract of `Join::row`, which the caller guarantees.
                unsafe { lines.row(src, to, index) }
            }
        }
    )* };
}
factors! { f32 f64 }

/// Implements [`Join::totals`] for states that start from one element.
///
/// # Safety
/// - as [`Join::totals`].
#[inline(always)]
unsafe fn totals<T: Copy, S: Copy>(
    src: *const T,
    count: usize,
    first: impl Fn(T) -> S,
    join: impl Fn(S, S) -> S,
) -> [S; AT_ONCE] {
    // SAFETY: `src` has `count` whole blocks. If that is fewer than `AT_ONCE`, the first block is read in place of
    // the missing ones.
    unsafe {
        let starts: [*const T; AT_ONCE] = std::array::from_fn(|b| src.add(if b < count { b * SCAN_BLOCK } else { 0 }));
        let mut sums: [S; AT_ONCE] = std::array::from_fn(|b| first(*starts[b]));
        for i in 1..SCAN_BLOCK {
            for (b, sum) in sums.iter_mut().enumerate() {
                *sum = join(*sum, first(*starts[b].add(i)));
            }
        }
        sums
    }
}

/// Computes the prefixes (running results) of [`AT_ONCE`] blocks, all blocks at once. Returns the last prefix of each
/// block.
///
/// # Safety
/// - `src` is valid for reads and `to` for writes of [`AT_ONCE`] whole blocks; they do not overlap.
#[inline(always)]
unsafe fn prefixes<T: Copy>(src: *const T, to: *mut T, join: impl Fn(T, T) -> T) -> [T; AT_ONCE] {
    // SAFETY: the indices are inside these blocks.
    unsafe {
        let mut sums: [T; AT_ONCE] = std::array::from_fn(|b| *src.add(b * SCAN_BLOCK));
        for (b, sum) in sums.iter().enumerate() {
            to.add(b * SCAN_BLOCK).write(*sum);
        }
        for i in 1..SCAN_BLOCK {
            for (b, sum) in sums.iter_mut().enumerate() {
                *sum = join(*sum, *src.add(b * SCAN_BLOCK + i));
                to.add(b * SCAN_BLOCK + i).write(*sum);
            }
        }
        sums
    }
}

/// Implements [`Join::blocks`] for elements without separate exponents.
///
/// # Safety
/// - as [`Join::blocks`].
#[inline(always)]
unsafe fn plain_blocks<T: Element, J: Plain<T>>(src: *const T, to: *mut T, n: usize, carry: Carry<T>) -> Carry<T> {
    if let (true, Carry::Last(last)) = (J::SEQUENCE, carry) {
        // SAFETY: the contract of `Join::blocks`, which the caller guarantees.
        return Carry::Last(unsafe { one_by_one::<T, J>(src, to, 0..n, Some(last)) });
    }
    let mut offset = carry.value();
    let (mut done, mut finite) = (0, true);
    // SAFETY: the indices are below n, for which the caller guarantees valid reads and writes.
    unsafe {
        if n == GROUP {
            // First the prefixes of all blocks at once; then, when the results of all blocks are known, the offsets,
            // while the blocks are in the cache.
            let sums = prefixes(src, to, J::join);
            for (b, sum) in sums.into_iter().enumerate() {
                if let Some(offset) = offset {
                    let block = to.add(b * SCAN_BLOCK);
                    for i in 0..SCAN_BLOCK {
                        let y = J::join(offset, *block.add(i));
                        finite &= J::is_finite(y);
                        *block.add(i) = y;
                    }
                }
                // Covers a block without an offset: once a prefix is not finite, it stays so, and `sum` is the last
                // one.
                finite &= J::is_finite(sum);
                offset = Some(offset.map_or(sum, |o| J::join(o, sum)));
            }
            done = n;
        }
        while done < n {
            let end = n.min(done + SCAN_BLOCK);
            let mut sum = *src.add(done);
            for i in done..end {
                if i > done {
                    sum = J::join(sum, *src.add(i));
                }
                to.add(i).write(offset.map_or(sum, |o| J::join(o, sum)));
            }
            // A loop of its own, which the compiler vectorises.
            for i in done..end {
                finite &= J::is_finite(*to.add(i));
            }
            offset = Some(offset.map_or(sum, |o| J::join(o, sum)));
            done = end;
        }
        if J::SEQUENCE && !finite {
            let from = (0..n).find(|&i| !J::is_finite(*to.add(i))).unwrap_or(n);
            let last = if from == 0 { carry.value() } else { Some(*to.add(from - 1)) };
            return Carry::Last(one_by_one::<T, J>(src, to, from..n, last));
        }
    }
    offset.map_or(Carry::Nothing, Carry::Offset)
}

/// Combines each element with the previous result, starting from `last`. Returns the last result.
///
/// # Safety
/// - `src` is valid for reads and `to` for writes of the elements in `range`; `range` is not empty, or `last` is
///   given.
#[inline(always)]
unsafe fn one_by_one<T: Element, J: Plain<T>>(
    src: *const T,
    to: *mut T,
    range: Range<usize>,
    mut last: Option<T>,
) -> T {
    for i in range {
        // SAFETY: `i` is in `range`, for which the caller guarantees valid reads and writes.
        unsafe {
            let x = *src.add(i);
            let y = last.map_or(x, |y| J::join(y, x));
            to.add(i).write(y);
            last = Some(y);
        }
    }
    last.expect("the range is not empty")
}

/// Implements [`Join::blocks`] for products with separate exponents. While all products are plain
/// ([`Factor::is_plain`]), it computes them without separate exponents, with the same bits.
///
/// # Safety
/// - as [`Join::blocks`].
#[inline(always)]
unsafe fn kept_blocks<T: Factor>(src: *const T, to: *mut T, n: usize, carry: Carry<Product<T>>) -> Carry<Product<T>> {
    let mut offset = carry.value();
    let mut done = 0;
    // SAFETY: the indices are below n, for which the caller guarantees valid reads and writes.
    unsafe {
        if n == GROUP
            && let Some(sums) = plain_products(src, to, offset.map(T::value))
        {
            for sum in sums {
                offset = Some(offset.map_or(sum.factor(), |o| T::times(o, sum)));
            }
            done = n;
        }
        while done < n {
            let end = n.min(done + SCAN_BLOCK);
            let mut sum = (*src.add(done)).factor();
            for i in done..end {
                if i > done {
                    sum = T::times(sum, *src.add(i));
                }
                to.add(i).write(T::value(offset.map_or(sum, |o| T::join(o, sum))));
            }
            offset = Some(offset.map_or(sum, |o| T::join(o, sum)));
            done = end;
        }
    }
    offset.map_or(Carry::Nothing, Carry::Offset)
}

/// Computes the running products of [`AT_ONCE`] blocks without separate exponents. Returns the product of each block,
/// or `None` if a product is not plain.
///
/// # Safety
/// - as [`prefixes`].
#[inline(always)]
unsafe fn plain_products<T: Factor>(src: *const T, to: *mut T, mut offset: Option<T>) -> Option<[T; AT_ONCE]> {
    if offset.is_some_and(|o| !T::is_plain(o)) || !T::is_plain(T::from_wide(Wide::Int(1))) {
        return None;
    }
    // SAFETY: the contract of `prefixes`, which the caller guarantees.
    let sums = unsafe { prefixes(src, to, |a, b| T::plainly(a, b).0) };
    for (b, sum) in sums.into_iter().enumerate() {
        let mut good = true;
        for i in 0..SCAN_BLOCK {
            // SAFETY: an element of these blocks, written by `prefixes`.
            let y = unsafe { &mut *to.add(b * SCAN_BLOCK + i) };
            good &= T::is_plain(*y);
            if let Some(offset) = offset {
                let (product, plain) = T::plainly(offset, *y);
                good &= plain;
                *y = product;
            }
        }
        offset = Some(offset.map_or(sum, |o| T::plainly(o, sum).0));
        if !good {
            return None;
        }
    }
    Some(sums)
}

/// The state of lines that are side by side, without separate exponents.
pub(super) struct PlainLines<T> {
    /// For each line: the combination of the previous blocks (`offsets`), that of the current block up to the
    /// previous element (`sums`) and up to the current one (`next`).
    offsets: Vec<T>,
    sums: Vec<T>,
    next: Vec<T>,
    /// Which lines have ended their blocks; their sum is the previous element. Empty while no line has.
    ended: Vec<bool>,
}

impl<T: Element> PlainLines<T> {
    fn new(n: usize) -> Result<PlainLines<T>> {
        let new = || filled(n, T::default());
        Ok(PlainLines { offsets: new()?, sums: new()?, next: new()?, ended: room(n)? })
    }

    /// Scans element `index` of each line.
    ///
    /// # Safety
    /// - as [`Join::row`].
    #[inline(always)]
    unsafe fn row<J: Plain<T>>(&mut self, src: *const T, to: *mut T, index: usize) {
        let starts_block = index.is_multiple_of(SCAN_BLOCK);
        if starts_block && index > 0 {
            for (offset, sum) in self.offsets.iter_mut().zip(&self.sums) {
                *offset = if index == SCAN_BLOCK { *sum } else { J::join(*offset, *sum) };
            }
        }
        let mut finite = self.ended.is_empty();
        if finite {
            let lines = self.next.iter_mut().zip(&self.sums).zip(&self.offsets).enumerate();
            // SAFETY: `to` has a place for each line, which the caller guarantees.
            let mut put = |j: usize, next: &mut T, sum: T, y: T| unsafe {
                finite &= J::is_finite(y);
                *next = sum;
                to.add(j).write(y);
            };
            // SAFETY: `src` has an element for each line, which the caller guarantees.
            let x = |j: usize| unsafe { *src.add(j) };
            match (starts_block, index < SCAN_BLOCK) {
                (true, true) => lines.for_each(|(j, ((next, _), _))| put(j, next, x(j), x(j))),
                (false, true) => lines.for_each(|(j, ((next, sum), _))| {
                    let sum = J::join(*sum, x(j));
                    put(j, next, sum, sum);
                }),
                (true, false) => lines.for_each(|(j, ((next, _), offset))| put(j, next, x(j), J::join(*offset, x(j)))),
                (false, false) => lines.for_each(|(j, ((next, sum), offset))| {
                    let sum = J::join(*sum, x(j));
                    put(j, next, sum, J::join(*offset, sum));
                }),
            }
        }
        if !J::SEQUENCE || finite {
            return std::mem::swap(&mut self.sums, &mut self.next);
        }
        // SAFETY: the contract of this function, which the caller guarantees.
        unsafe { self.ending_row::<J>(src, to, index) }
    }

    /// Does the work of [`row`](Self::row) once blocks end, or have ended, in some lines.
    ///
    /// # Safety
    /// - as [`row`](Self::row).
    #[inline(never)]
    unsafe fn ending_row<J: Plain<T>>(&mut self, src: *const T, to: *mut T, index: usize) {
        self.ended.resize(self.sums.len(), false);
        let (starts_block, first_block) = (index.is_multiple_of(SCAN_BLOCK), index < SCAN_BLOCK);
        for (j, ((sum, offset), ended)) in self.sums.iter_mut().zip(&self.offsets).zip(&mut self.ended).enumerate() {
            // SAFETY: `src` has an element for each line, which the caller guarantees.
            let x = unsafe { *src.add(j) };
            let mut y = J::join(*sum, x);
            if !*ended {
                let last = match (starts_block, first_block) {
                    (true, true) => None,
                    (true, false) => Some(*offset),
                    (false, true) => Some(*sum),
                    (false, false) => Some(J::join(*offset, *sum)),
                };
                let prefix = if starts_block { x } else { y };
                y = if first_block { prefix } else { J::join(*offset, prefix) };
                *sum = prefix;
                if !J::is_finite(y) {
                    y = last.map_or(x, |last| J::join(last, x));
                    *ended = true;
                }
            }
            if *ended {
                *sum = y;
            }
            // SAFETY: `to` has a place for each line, which the caller guarantees.
            unsafe { to.add(j).write(y) };
        }
    }
}

/// The state of products of lines that are side by side. They get separate exponents as soon as one product needs it.
pub(super) struct KeptLines<T> {
    /// As in [`PlainLines`].
    offsets: Vec<T>,
    sums: Vec<T>,
    next: Vec<T>,
    /// The offset and the product of the current block of each line, with separate exponents. Empty while all
    /// products are plain.
    kept: Vec<[Product<T>; 2]>,
}

impl<T: Factor> KeptLines<T> {
    fn new(n: usize) -> Result<KeptLines<T>> {
        let new = || filled(n, T::default());
        Ok(KeptLines { offsets: new()?, sums: new()?, next: new()?, kept: room(n)? })
    }

    /// Scans element `index` of each line.
    ///
    /// # Safety
    /// - as [`Join::row`].
    #[inline(always)]
    unsafe fn row(&mut self, src: *const T, to: *mut T, index: usize) {
        let (starts_block, first_block) = (index.is_multiple_of(SCAN_BLOCK), index < SCAN_BLOCK);
        if self.kept.is_empty() {
            // SAFETY: the contract of this function, which the caller guarantees.
            if unsafe { self.plain_row(src, to, index) } {
                return std::mem::swap(&mut self.sums, &mut self.next);
            }
            self.kept.extend(self.offsets.iter().zip(&self.sums).map(|(offset, sum)| [offset.factor(), sum.factor()]));
        } else if starts_block {
            self.kept
                .iter_mut()
                .for_each(|[offset, sum]| *offset = if index == SCAN_BLOCK { *sum } else { T::join(*offset, *sum) });
        }
        for (j, [offset, sum]) in self.kept.iter_mut().enumerate() {
            // SAFETY: `src` has an element and `to` a place for each line, which the caller guarantees.
            unsafe {
                let x = (*src.add(j)).factor();
                *sum = if starts_block { x } else { T::join(*sum, x) };
                to.add(j).write(T::value(if first_block { *sum } else { T::join(*offset, *sum) }));
            }
        }
    }

    /// Does the work of [`row`](Self::row) without separate exponents, and leaves the new products in `next`, the old
    /// ones in `sums`. Returns whether all products are plain.
    ///
    /// # Safety
    /// - as [`row`](Self::row).
    #[inline(always)]
    unsafe fn plain_row(&mut self, src: *const T, to: *mut T, index: usize) -> bool {
        let (starts_block, first_block) = (index.is_multiple_of(SCAN_BLOCK), index < SCAN_BLOCK);
        let mut good = true;
        if starts_block && !first_block {
            for (offset, sum) in self.offsets.iter_mut().zip(&self.sums) {
                // The new offset is the previous element of the line, which was plain.
                *offset = if index == SCAN_BLOCK { *sum } else { T::plainly(*offset, *sum).0 };
            }
        }
        for (j, ((next, sum), offset)) in self.next.iter_mut().zip(&self.sums).zip(&self.offsets).enumerate() {
            // SAFETY: `src` has an element and `to` a place for each line, which the caller guarantees.
            unsafe {
                let x = *src.add(j);
                let product = if starts_block { x } else { T::plainly(*sum, x).0 };
                let y = if first_block { product } else { T::plainly(*offset, product).0 };
                good &= T::is_plain(product) & T::is_plain(y);
                *next = product;
                to.add(j).write(y);
            }
        }
        good
    }
}
