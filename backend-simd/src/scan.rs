//! Running sums and products, in the order that [`polyarray_core::order`] fixes.
//!
//! Where the scanned axis is the innermost one of the output, several blocks of a line are scanned at once, so that additions need not wait for each other. Where another axis is, lines are side
//! by side, and vectors hold an element of each.

use crate::lanes::{Isa, Work};
use crate::reduce::emit::Emit;
use crate::reduce::source::{Room, Source};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::op::{Running, Scan};
use polyarray_core::order::SCAN_BLOCK;
use polyarray_core::walk::walk_many;
use polyarray_core::{Buffer, Complex, DType, Element, Result};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::Range;

/// Blocks that are scanned at once.
const AT_ONCE: usize = 8;
/// Elements of as many blocks.
const GROUP: usize = AT_ONCE * SCAN_BLOCK;
/// Lines side by side that are worked on together, in bytes.
const ACROSS_BYTES: usize = 4 << 10;

/// How two become one.
trait Join<T: Copy>: Send + Sync + 'static {
    fn join(a: T, b: T) -> T;
}

struct Plus;
struct Times;

macro_rules! joins {
    ($($T:ty, |$a:ident, $b:ident| $plus:expr, $times:expr;)*) => { $(
        impl Join<$T> for Plus {
            #[inline(always)]
            fn join($a: $T, $b: $T) -> $T { $plus }
        }
        impl Join<$T> for Times {
            #[inline(always)]
            fn join($a: $T, $b: $T) -> $T { $times }
        }
    )* };
}
joins! {
    i64, |a, b| a.wrapping_add(b), a.wrapping_mul(b);
    f32, |a, b| a + b, a * b;
    f64, |a, b| a + b, a * b;
    Complex<f32>, |a, b| Complex::new(a.re + b.re, a.im + b.im), Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
    Complex<f64>, |a, b| Complex::new(a.re + b.re, a.im + b.im), Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
}

/// Whether [`run`] accumulates in this dtype.
pub(crate) fn has_kernel(dtype: DType) -> bool {
    matches!(dtype, DType::I64 | DType::U64 | DType::F32 | DType::F64 | DType::C32 | DType::C64)
}

/// Runs a scan that [`has_kernel`] accepts.
pub(crate) fn run<I: Isa>(isa: I, op: &Scan, threads: usize, output: &Buffer) -> Result<()> {
    macro_rules! by_type {
        ($J:ident) => {
            match op.before.output() {
                // The low 64 bits are the same with and without a sign.
                DType::I64 | DType::U64 => typed::<I, i64, $J>(isa, op, threads, output),
                DType::F32 => typed::<I, f32, $J>(isa, op, threads, output),
                DType::F64 => typed::<I, f64, $J>(isa, op, threads, output),
                DType::C32 => typed::<I, Complex<f32>, $J>(isa, op, threads, output),
                DType::C64 => typed::<I, Complex<f64>, $J>(isa, op, threads, output),
                other => unreachable!("estimate refused {other}"),
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
    /// The scanned axis: the last.
    axis: usize,
    join: PhantomData<fn() -> (T, J)>,
}

type Offsets = SmallVec<[isize; 8]>;

impl<I: Isa, T: Element, J: Join<T>> Scanned<'_, I, T, J> {
    fn len(&self) -> usize {
        self.source.geometry.lens[self.axis]
    }

    /// Where the operands are at line `line`.
    fn start_of(&self, line: usize) -> Offsets {
        let g = &self.source.geometry;
        let zeros: Offsets = SmallVec::from_elem(0, g.bases.len());
        let mut start = zeros.clone();
        walk_many(&g.lens[..self.axis], &self.source.strides(), &zeros, line..line + 1, |at| start = at.into());
        start
    }

    /// Every line on one thread.
    fn lines(&self, threads: usize) -> Result<()> {
        let g = &self.source.geometry;
        let lines: usize = g.lens[..self.axis].iter().product();
        split(threads, lines, 1, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for line in range {
                let (start, at) = (self.start_of(line), self.emit.offset_of(self.axis, line));
                let mut offset = None;
                for from in (0..self.len()).step_by(GROUP) {
                    worker.group(self, at, &start, from..self.len().min(from + GROUP), &mut offset);
                }
            }
            Ok(())
        })
    }

    /// One line on several threads: the results of blocks first, then their offsets, then every element.
    fn line_on_threads(&self, line: usize, threads: usize) -> Result<()> {
        let (len, start, at) = (self.len(), self.start_of(line), self.emit.offset_of(self.axis, line));
        let blocks = len.div_ceil(SCAN_BLOCK);
        let mut offsets: Vec<Option<T>> = vec![None; blocks];
        let out = Shared(offsets.as_mut_ptr());
        // Nothing follows the last block: its result is not needed.
        split(threads, blocks - 1, AT_ONCE, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for first in range.clone().step_by(AT_ONCE) {
                let count = AT_ONCE.min(range.end - first);
                let totals = worker.totals(self, &start, first, count);
                for (i, total) in totals[..count].iter().enumerate() {
                    // SAFETY: threads have disjoint ranges of blocks.
                    unsafe { *out.get().add(first + i + 1) = Some(*total) };
                }
            }
            Ok(())
        })?;
        for b in 2..blocks {
            offsets[b] = Some(J::join(offsets[b - 1].expect("a result"), offsets[b].expect("a result")));
        }
        split(threads, blocks, AT_ONCE, |range| {
            let mut worker = Worker::new(self, GROUP)?;
            for first in range.clone().step_by(AT_ONCE) {
                let mut offset = offsets[first];
                worker.group(self, at, &start, first * SCAN_BLOCK..len.min((first + AT_ONCE) * SCAN_BLOCK), &mut offset);
            }
            Ok(())
        })
    }

    /// Lines side by side, in parts of the innermost one of the other axes.
    fn across(&self, threads: usize) -> Result<()> {
        let g = &self.source.geometry;
        let stepped = self.source.stepped;
        let (width, groups) = (g.lens[stepped], g.lens[..stepped].iter().product::<usize>());
        let most = ACROSS_BYTES / size_of::<T>();
        // Whole cache lines, and as many parts as threads where there is enough for each.
        let columns = width.div_ceil(width.div_ceil(most).max((threads / groups).min(width / 64)).max(1)).next_multiple_of(16).min(width);
        let parts = width.div_ceil(columns);
        let along: SmallVec<[isize; 8]> = g.strides.iter().map(|s| s[self.axis]).collect();
        split(threads, groups * parts, 1, |range| {
            let mut worker = Worker::new(self, columns)?;
            let mut sums = vec![T::default(); 2 * columns];
            for part in range {
                let (group, first) = (part / parts, part % parts * columns);
                let n = columns.min(width - first);
                let (mut at, mut to) = (self.start_of(group * width), self.emit.offset_of(self.axis, group * width) + first);
                let (offsets, sums) = sums.split_at_mut(columns);
                for i in 0..self.len() {
                    worker.row(self, &at, first, to, i, &mut offsets[..n], &mut sums[..n]);
                    to += self.emit.stride(self.axis);
                    at.iter_mut().zip(&along).for_each(|(a, s)| *a += s);
                }
            }
            Ok(())
        })
    }
}

/// The working memory of a thread.
struct Worker<'a, T> {
    room: Room<'a>,
    strips: Option<crate::exec::Strips<'a>>,
    /// Where results are made that something follows.
    results: Scratch,
    element: PhantomData<T>,
}

impl<'a, T: Element> Worker<'a, T> {
    /// For at most `most` elements at once.
    fn new<I: Isa, J: Join<T>>(scan: &'a Scanned<'_, I, T, J>, most: usize) -> Result<Worker<'a, T>> {
        let most = most.min(scan.source.geometry.lens[scan.source.stepped]);
        let results = Scratch::new(if scan.emit.place(0).is_some() { 0 } else { most * size_of::<T>() })?;
        Ok(Worker { room: scan.source.room(most)?, strips: scan.emit.strips()?, results, element: PhantomData })
    }

    /// Elements `range` of a line that starts at element `at` of the output; they start a block. `offset` is that of the first block, and then of what follows.
    fn group<I: Isa, J: Join<T>>(&mut self, scan: &Scanned<I, T, J>, at: usize, start: &[isize], range: Range<usize>, offset: &mut Option<T>) {
        let (n, at) = (range.len(), at + range.start);
        let place = scan.emit.place(at);
        // SAFETY: elements of the line, read before the next are asked for; the output, or the room, has a place for each.
        unsafe {
            let src = scan.source.values(&mut self.room, start, range.start, n, 0).cast::<T>();
            let to = place.unwrap_or(self.results.ptr());
            *offset = scan.isa.enter(Blocks::<T, J> { src, to: to.cast(), n, offset: *offset, join: PhantomData });
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, at, to, n);
            }
        }
    }

    /// The results of `count` whole blocks from block `first` on.
    fn totals<I: Isa, J: Join<T>>(&mut self, scan: &Scanned<I, T, J>, start: &[isize], first: usize, count: usize) -> [T; AT_ONCE] {
        // SAFETY: as in `group`; blocks before the last are whole.
        unsafe {
            let src = scan.source.values(&mut self.room, start, first * SCAN_BLOCK, count * SCAN_BLOCK, 0).cast::<T>();
            scan.isa.enter(Totals::<T, J>(src, count, PhantomData))
        }
    }

    /// Element `index` of lines side by side from `first` on, whose operands are at `at`; results go to element `to` of the output and on.
    #[expect(clippy::too_many_arguments, reason = "where it is, and what is carried along")]
    fn row<I: Isa, J: Join<T>>(&mut self, scan: &Scanned<I, T, J>, at: &[isize], first: usize, to: usize, index: usize, offsets: &mut [T], sums: &mut [T]) {
        let n = sums.len();
        let place = scan.emit.place(to);
        // SAFETY: as in `group`.
        unsafe {
            let src = scan.source.values(&mut self.room, at, first, n, 0).cast::<T>();
            let out = place.unwrap_or(self.results.ptr());
            scan.isa.enter(Row::<T, J> { src, to: out.cast(), index, offsets, sums, join: PhantomData });
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, to, out, n);
            }
        }
    }
}

/// Scans blocks that follow each other; gives the offset of the block after them, if they are whole.
struct Blocks<T, J> {
    src: *const T,
    to: *mut T,
    n: usize,
    offset: Option<T>,
    join: PhantomData<J>,
}

impl<T: Copy, J: Join<T>> Work for Blocks<T, J> {
    type Out = Option<T>;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Option<T> {
        let Blocks { src, to, n, mut offset, .. } = self;
        let mut done = 0;
        // SAFETY: indices below n.
        unsafe {
            if n == GROUP {
                // Prefixes first, all blocks at once; offsets when all results are known, while the blocks are in the cache.
                let mut sums: [T; AT_ONCE] = std::array::from_fn(|b| *src.add(b * SCAN_BLOCK));
                for (b, sum) in sums.iter().enumerate() {
                    to.add(b * SCAN_BLOCK).write(*sum);
                }
                for i in 1..SCAN_BLOCK {
                    for (b, sum) in sums.iter_mut().enumerate() {
                        *sum = J::join(*sum, *src.add(b * SCAN_BLOCK + i));
                        to.add(b * SCAN_BLOCK + i).write(*sum);
                    }
                }
                for (b, sum) in sums.into_iter().enumerate() {
                    if let Some(offset) = offset {
                        let block = to.add(b * SCAN_BLOCK);
                        for i in 0..SCAN_BLOCK {
                            *block.add(i) = J::join(offset, *block.add(i));
                        }
                    }
                    offset = Some(offset.map_or(sum, |o| J::join(o, sum)));
                }
                done = n;
            }
            while done < n {
                let end = n.min(done + SCAN_BLOCK);
                let mut sum = *src.add(done);
                to.add(done).write(offset.map_or(sum, |o| J::join(o, sum)));
                for i in done + 1..end {
                    sum = J::join(sum, *src.add(i));
                    to.add(i).write(offset.map_or(sum, |o| J::join(o, sum)));
                }
                offset = Some(offset.map_or(sum, |o| J::join(o, sum)));
                done = end;
            }
        }
        offset
    }
}

/// The results of up to [`AT_ONCE`] whole blocks.
struct Totals<T, J>(*const T, usize, PhantomData<J>);

impl<T: Copy, J: Join<T>> Work for Totals<T, J> {
    type Out = [T; AT_ONCE];
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> [T; AT_ONCE] {
        let Totals(src, count, _) = self;
        // SAFETY: `count` whole blocks; where there are fewer than are worked on at once, the first stands in for the others.
        unsafe {
            let starts: [*const T; AT_ONCE] = std::array::from_fn(|b| src.add(if b < count { b * SCAN_BLOCK } else { 0 }));
            let mut sums: [T; AT_ONCE] = std::array::from_fn(|b| *starts[b]);
            for i in 1..SCAN_BLOCK {
                for (b, sum) in sums.iter_mut().enumerate() {
                    *sum = J::join(*sum, *starts[b].add(i));
                }
            }
            sums
        }
    }
}

/// One element of each of some lines.
struct Row<'a, T, J> {
    src: *const T,
    to: *mut T,
    index: usize,
    offsets: &'a mut [T],
    sums: &'a mut [T],
    join: PhantomData<J>,
}

impl<T: Copy, J: Join<T>> Work for Row<'_, T, J> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Row { src, to, index, offsets, sums, .. } = self;
        let starts_block = index.is_multiple_of(SCAN_BLOCK);
        if starts_block && index > 0 {
            for (offset, sum) in offsets.iter_mut().zip(sums.iter()) {
                *offset = if index == SCAN_BLOCK { *sum } else { J::join(*offset, *sum) };
            }
        }
        // SAFETY: as many elements and places as there are sums (see the only caller).
        unsafe {
            match (starts_block, index < SCAN_BLOCK) {
                (true, true) => sums.iter_mut().enumerate().for_each(|(j, sum)| {
                    *sum = *src.add(j);
                    to.add(j).write(*sum);
                }),
                (false, true) => sums.iter_mut().enumerate().for_each(|(j, sum)| {
                    *sum = J::join(*sum, *src.add(j));
                    to.add(j).write(*sum);
                }),
                (true, false) => sums.iter_mut().zip(offsets).enumerate().for_each(|(j, (sum, offset))| {
                    *sum = *src.add(j);
                    to.add(j).write(J::join(*offset, *sum));
                }),
                (false, false) => sums.iter_mut().zip(offsets).enumerate().for_each(|(j, (sum, offset))| {
                    *sum = J::join(*sum, *src.add(j));
                    to.add(j).write(J::join(*offset, *sum));
                }),
            }
        }
    }
}
