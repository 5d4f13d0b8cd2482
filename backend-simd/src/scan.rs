//! Running sums and products, in the order that [`polyarray_core::order`] fixes.
//!
//! If the scanned axis is the innermost one of the output, several blocks of a line are scanned at once, so that
//! additions do not wait for each other. If another axis is innermost, lines are side by side, and a vector holds one
//! element of each of several lines.

use crate::lanes::{Isa, Work};
use crate::reduce::emit::Emit;
use crate::reduce::source::{Room, Source};
use crate::scratch::{Scratch, filled, room};
use crate::threads::{Shared, split};
use polyarray_core::op::{Running, Scan};
use polyarray_core::order::{Multiply, Product, SCAN_BLOCK};
use polyarray_core::walk::walk_many;
use polyarray_core::{Buffer, Complex, DType, Element, Result, Wide};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of blocks that are scanned at once.
const AT_ONCE: usize = 8;
/// The elements of [`AT_ONCE`] blocks.
const GROUP: usize = AT_ONCE * SCAN_BLOCK;
/// The bytes of a row of lines that are side by side and scanned together.
const ACROSS_BYTES: usize = 4 << 10;

/// The state that is carried from one block of a line to the next.
#[derive(Clone, Copy)]
enum Carry<S> {
    /// There is no previous block.
    Nothing,
    /// The combination of all previous blocks.
    Offset(S),
    /// The previous element. An element was not finite, so from there on each element is combined with the previous
    /// one, without blocks.
    Last(S),
}

impl<S> Carry<S> {
    fn value(self) -> Option<S> {
        match self {
            Carry::Nothing => None,
            Carry::Offset(x) | Carry::Last(x) => Some(x),
        }
    }
}

/// An operation that combines elements.
trait Join<T: Element>: Send + Sync + 'static {
    /// The accumulated value of several elements.
    type State: Copy + Send + Sync + 'static;
    /// The state of lines that are side by side.
    type Lines;

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
    /// Whether an element is finite. Always true if [`SEQUENCE`](Self::SEQUENCE) is false.
    fn is_finite(x: T) -> bool;
}

struct Plus;
struct Times;

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
}

/// A number whose products [`Times`] computes with separate exponents ([`Product`]).
trait Factor: Multiply + Send + Sync {
    /// Returns `a * b` computed without separate exponents, and whether the result is [plain](Self::is_plain).
    fn plainly(a: Self, b: Self) -> (Self, bool);
    /// Whether a product with this value has the same bits as one computed with separate exponents: it is finite, and
    /// it is so large that no digits are lost.
    fn is_plain(x: Self) -> bool;
}

macro_rules! factors {
    ($($T:ident)*) => { $(
        impl Factor for $T {
            #[inline(always)]
            fn plainly(a: $T, b: $T) -> ($T, bool) {
                let product = a * b;
                (product, Self::is_plain(product))
            }
            #[inline(always)]
            fn is_plain(x: $T) -> bool {
                // The smallest normal number is excluded, because a smaller number may have been rounded up to it.
                (x.abs() > $T::MIN_POSITIVE) & (x.abs() <= $T::MAX)
            }
        }
        impl Factor for Complex<$T> {
            // Never plain: a normal result may be the sum of terms that were not normal.
            #[inline(always)]
            fn plainly(a: Self, _: Self) -> (Self, bool) {
                (a, false)
            }
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

/// Whether [`run`] accumulates in this dtype.
pub(crate) fn has_kernel(dtype: DType) -> bool {
    matches!(dtype, DType::I64 | DType::U64 | DType::F32 | DType::F64 | DType::C32 | DType::C64)
}

/// Runs a scan that [`has_kernel`] accepts.
pub(crate) fn run<I: Isa>(isa: I, op: &Scan, threads: usize, output: &Buffer) -> Result<()> {
    macro_rules! by_type {
        ($J:ident) => {
            match op.before.output() {
                // The low 64 bits are the same for signed and unsigned integers.
                DType::I64 | DType::U64 => typed::<I, i64, $J>(isa, op, threads, output),
                DType::F32 => typed::<I, f32, $J>(isa, op, threads, output),
                DType::F64 => typed::<I, f64, $J>(isa, op, threads, output),
                DType::C32 => typed::<I, Complex<f32>, $J>(isa, op, threads, output),
                DType::C64 => typed::<I, Complex<f64>, $J>(isa, op, threads, output),
                other => unreachable!("`estimate` rejects scans of {other}"),
            }
        };
    }
    match op.kind {
        Running::Sum => by_type!(Plus),
        Running::Prod => by_type!(Times),
    }
}

fn typed<I: Isa, T: Element, J: Join<T>>(isa: I, op: &Scan, threads: usize, output: &Buffer) -> Result<()> {
    let lens = op.shape();
    let (last_outer, axis) = (op.outer.len() - 1, op.outer.len());
    let along = op.output.strides[axis] == 1;
    let emit = Emit::new(isa, &op.after, &op.after_params, &lens, &op.output, output);
    let source = Source::new(isa, &op.before, &op.params, &lens, &op.inputs, if along { axis } else { last_outer });
    let scan = Scanned::<I, T, J> { isa, source: &source, emit: &emit, axis, join: PhantomData };
    let lines: usize = op.outer.iter().product();
    match () {
        () if !along => scan.across(threads),
        () if threads == 1 || lines >= 4 * threads || op.len < 2 * GROUP => scan.lines(threads),
        () => (0..lines).try_for_each(|line| scan.line_on_threads(line, threads)),
    }
}

struct Scanned<'a, I, T, J> {
    isa: I,
    source: &'a Source<I>,
    emit: &'a Emit<'a, I>,
    /// The scanned axis: the last one.
    axis: usize,
    join: PhantomData<fn() -> (T, J)>,
}

type Offsets = SmallVec<[isize; 8]>;

impl<I: Isa, T: Element, J: Join<T>> Scanned<'_, I, T, J> {
    fn len(&self) -> usize {
        self.source.geometry.lens[self.axis]
    }

    /// Returns the offsets of the operands at line `line`.
    fn start_of(&self, line: usize) -> Offsets {
        let g = &self.source.geometry;
        let zeros: Offsets = SmallVec::from_elem(0, g.bases.len());
        let mut start = zeros.clone();
        walk_many(&g.lens[..self.axis], &self.source.strides(), &zeros, line..line + 1, |at| start = at.into());
        start
    }

    /// Scans the lines, each on one thread.
    fn lines(&self, threads: usize) -> Result<()> {
        let g = &self.source.geometry;
        let lines: usize = g.lens[..self.axis].iter().product();
        split(threads, lines, 1, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for line in range {
                let (start, at) = (self.start_of(line), self.emit.offset_of(self.axis, line));
                worker.line(self, at, &start);
            }
            Ok(())
        })
    }

    /// Scans one line on several threads: computes the results of all blocks, then their offsets, then all elements.
    /// If an element that is not finite ends the blocks, scans the line again on one thread.
    fn line_on_threads(&self, line: usize, threads: usize) -> Result<()> {
        let (len, start, at) = (self.len(), self.start_of(line), self.emit.offset_of(self.axis, line));
        let blocks = len.div_ceil(SCAN_BLOCK);
        let mut offsets: Vec<Option<J::State>> = filled(blocks, None)?;
        let out = Shared(offsets.as_mut_ptr());
        // No block follows the last one, so its result is not needed.
        split(threads, blocks - 1, AT_ONCE, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for first in range.clone().step_by(AT_ONCE) {
                let count = AT_ONCE.min(range.end - first);
                let totals = worker.totals(self, &start, first, count);
                for (i, total) in totals[..count].iter().enumerate() {
                    // SAFETY: `first + i + 1 < blocks`, and threads have disjoint ranges of blocks.
                    unsafe { *out.get().add(first + i + 1) = Some(*total) };
                }
            }
            Ok(())
        })?;
        for b in 2..blocks {
            offsets[b] = Some(J::join(
                offsets[b - 1].expect("every block but the first has a result"),
                offsets[b].expect("every block but the first has a result"),
            ));
        }
        let ended = AtomicBool::new(false);
        split(threads, blocks, AT_ONCE, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for first in range.clone().step_by(AT_ONCE) {
                let carry = offsets[first].map_or(Carry::Nothing, Carry::Offset);
                if let Carry::Last(_) =
                    worker.group(self, at, &start, first * SCAN_BLOCK..len.min((first + AT_ONCE) * SCAN_BLOCK), carry)
                {
                    ended.store(true, Ordering::Relaxed);
                }
            }
            Ok(())
        })?;
        if ended.into_inner() {
            Worker::new(self, GROUP)?.line(self, at, &start);
        }
        Ok(())
    }

    /// Scans lines that are side by side, split into parts along the innermost of the other axes.
    fn across(&self, threads: usize) -> Result<()> {
        let g = &self.source.geometry;
        let stepped = self.source.stepped;
        let (width, groups) = (g.lens[stepped], g.lens[..stepped].iter().product::<usize>());
        let most = ACROSS_BYTES / size_of::<T>();
        // Parts are whole cache lines (multiples of 16 elements) of about `ACROSS_BYTES` at most. They are shorter if
        // otherwise some threads had none, but not below 64 elements.
        let columns = width
            .div_ceil(width.div_ceil(most).max((threads / groups).min(width / 64)).max(1))
            .next_multiple_of(16)
            .min(width);
        let parts = width.div_ceil(columns);
        let along: SmallVec<[isize; 8]> = g.strides.iter().map(|s| s[self.axis]).collect();
        split(threads, groups * parts, 1, |range| {
            let mut worker = Worker::new(self, columns)?;
            for part in range {
                let (group, first) = (part / parts, part % parts * columns);
                let n = columns.min(width - first);
                let (mut at, mut to) =
                    (self.start_of(group * width), self.emit.offset_of(self.axis, group * width) + first);
                let mut lines = J::lines(n)?;
                for i in 0..self.len() {
                    worker.row(self, &at, first, to, i, n, &mut lines);
                    to += self.emit.stride(self.axis);
                    at.iter_mut().zip(&along).for_each(|(a, s)| *a += s);
                }
            }
            Ok(())
        })
    }
}

/// The scratch memory of a thread.
struct Worker<'a, T> {
    room: Room<'a>,
    strips: Option<crate::exec::Strips<'a>>,
    /// The results before the epilogue. Empty if there is no epilogue.
    results: Scratch,
    element: PhantomData<T>,
}

impl<'a, T: Element> Worker<'a, T> {
    /// Allocates scratch memory for at most `most` elements at once.
    fn new<I: Isa, J: Join<T>>(scan: &'a Scanned<'_, I, T, J>, most: usize) -> Result<Worker<'a, T>> {
        let most = most.min(scan.source.geometry.lens[scan.source.stepped]);
        let results = Scratch::new(if scan.emit.place(0).is_some() { 0 } else { most * size_of::<T>() })?;
        Ok(Worker { room: scan.source.room(most)?, strips: scan.emit.strips()?, results, element: PhantomData })
    }

    /// Scans a whole line that starts at element `at` of the output.
    fn line<I: Isa, J: Join<T>>(&mut self, scan: &Scanned<I, T, J>, at: usize, start: &[isize]) {
        let mut carry = Carry::Nothing;
        for from in (0..scan.len()).step_by(GROUP) {
            carry = self.group(scan, at, start, from..scan.len().min(from + GROUP), carry);
        }
    }

    /// Scans elements `range` of a line that starts at element `at` of the output; `range` starts at a block. Returns
    /// the carry.
    fn group<I: Isa, J: Join<T>>(
        &mut self,
        scan: &Scanned<I, T, J>,
        at: usize,
        start: &[isize],
        range: Range<usize>,
        carry: Carry<J::State>,
    ) -> Carry<J::State> {
        let (n, at) = (range.len(), at + range.start);
        let place = scan.emit.place(at);
        // SAFETY: `range` is inside the line, and its elements are used before the room is filled again. The output,
        // or `results`, has a place for each of the n elements.
        unsafe {
            let src = scan.source.values(&mut self.room, start, range.start, n, 0).cast::<T>();
            let to = place.unwrap_or(self.results.ptr());
            let carry = scan.isa.enter(Blocks::<T, J> { src, to: to.cast(), n, carry });
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, at, to, n);
            }
            carry
        }
    }

    /// Returns the results of `count` whole blocks, from block `first` on.
    fn totals<I: Isa, J: Join<T>>(
        &mut self,
        scan: &Scanned<I, T, J>,
        start: &[isize],
        first: usize,
        count: usize,
    ) -> [J::State; AT_ONCE] {
        // SAFETY: as in `group`; all blocks before the last are whole, and callers leave out the last one.
        unsafe {
            let src = scan.source.values(&mut self.room, start, first * SCAN_BLOCK, count * SCAN_BLOCK, 0).cast::<T>();
            scan.isa.enter(Totals::<T, J>(src, count, PhantomData))
        }
    }

    /// Scans element `index` of `n` lines that are side by side, from line `first` on. `at` has the offsets of the
    /// operands; results go to the output from element `to` on.
    #[expect(clippy::too_many_arguments, reason = "the position of the row and the state of the lines")]
    fn row<I: Isa, J: Join<T>>(
        &mut self,
        scan: &Scanned<I, T, J>,
        at: &[isize],
        first: usize,
        to: usize,
        index: usize,
        n: usize,
        lines: &mut J::Lines,
    ) {
        let place = scan.emit.place(to);
        // SAFETY: as in `group`; `lines` was made for n lines.
        unsafe {
            let src = scan.source.values(&mut self.room, at, first, n, 0).cast::<T>();
            let out = place.unwrap_or(self.results.ptr());
            scan.isa.enter(Row::<T, J> { src, to: out.cast(), index, lines });
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, to, out, n);
            }
        }
    }
}

/// Runs [`Join::blocks`].
struct Blocks<T: Element, J: Join<T>> {
    src: *const T,
    to: *mut T,
    n: usize,
    carry: Carry<J::State>,
}

impl<T: Element, J: Join<T>> Work for Blocks<T, J> {
    type Out = Carry<J::State>;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Carry<J::State> {
        // SAFETY: `src` has n elements of a line, and `to` a place for each (see `Worker::group`, the only caller).
        unsafe { J::blocks(self.src, self.to, self.n, self.carry) }
    }
}

/// Runs [`Join::totals`].
struct Totals<T, J>(*const T, usize, PhantomData<J>);

impl<T: Element, J: Join<T>> Work for Totals<T, J> {
    type Out = [J::State; AT_ONCE];
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> [J::State; AT_ONCE] {
        // SAFETY: `src` has `count` whole blocks (see `Worker::totals`, the only caller).
        unsafe { J::totals(self.0, self.1) }
    }
}

/// Runs [`Join::row`].
struct Row<'a, T: Element, J: Join<T>> {
    src: *const T,
    to: *mut T,
    index: usize,
    lines: &'a mut J::Lines,
}

impl<T: Element, J: Join<T>> Work for Row<'_, T, J> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        // SAFETY: `src` has an element for each line, and `to` a place (see `Worker::row`, the only caller).
        unsafe { J::row(self.lines, self.src, self.to, self.index) }
    }
}

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
                offset = Some(offset.map_or(sum.factor(), |o| T::join(o, sum.factor())));
            }
            done = n;
        }
        while done < n {
            let end = n.min(done + SCAN_BLOCK);
            let mut sum = (*src.add(done)).factor();
            for i in done..end {
                if i > done {
                    sum = T::join(sum, (*src.add(i)).factor());
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
struct PlainLines<T> {
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
struct KeptLines<T> {
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
