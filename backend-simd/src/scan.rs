//! Running sums, products, minima and maxima, in the order that [`polyarray_core::order`] fixes.
//!
//! If the scanned axis is the innermost one of the output, several blocks of a line are scanned at once, so that
//! additions do not wait for each other. If another axis is innermost, lines are side by side, and a vector holds one
//! element of each of several lines.

mod join;

use crate::flat::Flat;
use crate::lanes::{Isa, Work, enter};
use crate::partial::Partial;
use crate::reduce::emit::Emit;
use crate::reduce::source::{Room, Source};
use crate::scratch::{Scratch, filled};
use crate::threads::{Shared, split};
use crate::tier::Tier;
use join::{Carry, Join, Largest, Plus, Smallest, Times};
use polyarray_core::op::{Running, Scan};
use polyarray_core::order::SCAN_BLOCK;
use polyarray_core::walk::walk_many;
use polyarray_core::{Buffer, Complex, DType, Element, Result, SmallScan};
use smallvec::SmallVec;
use std::any::Any;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// The number of blocks that are scanned at once.
const AT_ONCE: usize = 8;
/// The elements of [`AT_ONCE`] blocks.
const GROUP: usize = AT_ONCE * SCAN_BLOCK;
/// The bytes of a row of lines that are side by side and scanned together.
const ACROSS_BYTES: usize = 4 << 10;
/// The least number of lines that are side by side and scanned together.
const NARROW: usize = 16;

/// The functions of a [`Join`] for a tier. The code that divides the work is compiled once for all of them: it knows
/// the size of elements, but neither their type nor that of accumulated values.
///
/// The functions have the contracts of those of [`Join`], for elements, accumulated values and lines of the table's
/// types; and the CPU must have the features of the tier.
#[derive(Clone, Copy)]
struct Kernels {
    /// The number of bytes of an element.
    size: usize,
    join: unsafe fn(Partial, Partial) -> Partial,
    blocks: unsafe fn(src: *const u8, to: *mut u8, n: usize, carry: Carry<Partial>) -> Carry<Partial>,
    totals: unsafe fn(src: *const u8, count: usize, to: &mut [Partial; AT_ONCE]),
    lines: fn(n: usize) -> Result<Lines>,
    row: unsafe fn(lines: &mut Lines, src: *const u8, to: *mut u8, index: usize),
}

/// The state of lines that are side by side: [`Join::Lines`].
type Lines = Box<dyn Any>;

impl Kernels {
    const fn of<I: Isa, T: Element, J: Join<T>>() -> Kernels {
        // SAFETY: each function has the contract of its counterpart in `Join`, and the CPU has the features of the
        // tier.
        unsafe {
            Kernels {
                size: size_of::<T>(),
                join: |a, b| Partial::of(J::join(a.get(), b.get())),
                blocks: |src, to, n, carry| {
                    let carry = carry.map(|c| c.get::<J::State>());
                    enter::<I, _>(Blocks::<T, J> { src: src.cast(), to: to.cast(), n, carry }).map(Partial::of)
                },
                totals: |src, count, to| {
                    *to = enter::<I, _>(Totals::<T, J>(src.cast(), count, PhantomData)).map(Partial::of);
                },
                lines: lines::<T, J>,
                row: |lines, src, to, index| {
                    let lines = lines.downcast_mut().expect("internal error: the lines are of another operation");
                    enter::<I, _>(Row::<T, J> { src: src.cast(), to: to.cast(), index, lines });
                },
            }
        }
    }
}

fn lines<T: Element, J: Join<T>>(n: usize) -> Result<Lines> {
    Ok(Box::new(J::lines(n)?))
}

/// The scans of a tier.
pub(crate) struct Table([[Option<Kernels>; DType::ALL.len()]; Running::ALL.len()]);

impl Table {
    /// Returns the scans of tier `I`.
    pub(crate) const fn of<I: Isa>() -> Table {
        let mut table = [[None; DType::ALL.len()]; Running::ALL.len()];
        let mut d = 0;
        while d < DType::ALL.len() {
            let dtype = DType::ALL[d];
            let mut k = 0;
            while k < Running::ALL.len() {
                let kind = Running::ALL[k];
                table[kind as usize][dtype as usize] = kernels::<I>(kind, dtype);
                k += 1;
            }
            d += 1;
        }
        Table(table)
    }

    fn get(&self, kind: Running, dtype: DType) -> Option<&Kernels> {
        self.0[kind as usize][dtype as usize].as_ref()
    }
}

/// Returns the kernels of a scan that accumulates in this dtype, if there are any.
const fn kernels<I: Isa>(kind: Running, dtype: DType) -> Option<Kernels> {
    macro_rules! by_type {
        ($J:ident) => {
            match dtype {
                // The low 64 bits are the same for signed and unsigned integers.
                DType::I64 | DType::U64 => Kernels::of::<I, i64, $J>(),
                DType::F32 => Kernels::of::<I, f32, $J>(),
                DType::F64 => Kernels::of::<I, f64, $J>(),
                DType::C32 => Kernels::of::<I, Complex<f32>, $J>(),
                DType::C64 => Kernels::of::<I, Complex<f64>, $J>(),
                _ => return None,
            }
        };
    }
    macro_rules! by_order {
        ($J:ident) => {
            match dtype {
                DType::I64 => Kernels::of::<I, i64, $J>(),
                DType::U64 => Kernels::of::<I, u64, $J>(),
                DType::F32 => Kernels::of::<I, f32, $J>(),
                DType::F64 => Kernels::of::<I, f64, $J>(),
                _ => return None,
            }
        };
    }
    Some(match kind {
        Running::Sum => by_type!(Plus),
        Running::Prod => by_type!(Times),
        Running::Min => by_order!(Smallest),
        Running::Max => by_order!(Largest),
    })
}

/// Returns whether [`run`] supports this scan in this dtype.
pub(crate) fn has_kernel(tier: &Tier, kind: Running, dtype: DType) -> bool {
    tier.scans.get(kind, dtype).is_some()
}

/// Runs a scan that [`has_kernel`] accepts.
pub(crate) fn run(tier: &'static Tier, op: &Scan, threads: usize, output: &Buffer) -> Result<()> {
    let kernels = tier
        .scans
        .get(op.kind, op.before.output())
        .unwrap_or_else(|| unreachable!("`estimate` rejects scans that have no kernel"));
    let lens = op.shape();
    let (last_outer, axis) = (op.outer.len() - 1, op.outer.len());
    // Rows of lines that are side by side are too short for vectors if there are only a few lines.
    let along = op.output.strides[axis] == 1 || op.outer[last_outer] < NARROW;
    let emit = Emit::new(tier, &op.after, &op.after_params, &lens, &op.output, output);
    let source = Source::new(tier, &op.before, &op.params, &lens, &op.inputs, if along { axis } else { last_outer });
    let scan = Scanned { kernels, source: &source, emit: &emit, axis };
    let lines: usize = op.outer.iter().product();
    let flat = (along && lines > 1)
        .then(|| Flat::for_lines(tier, &op.before, &op.params, &source.geometry, op.inputs.len()))
        .flatten();
    match flat {
        _ if !along => scan.across(threads),
        Some(flat) => scan.short_lines(&flat, threads),
        None if threads == 1 || lines >= 4 * threads || op.len < 2 * GROUP => scan.lines(threads),
        None => (0..lines).try_for_each(|line| scan.line_on_threads(line, threads)),
    }
}

/// Scans a line. Returns `false`, with nothing written, if there is no kernel for it.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallScan`].
pub(crate) unsafe fn small(tier: &'static Tier, work: &SmallScan) -> bool {
    let Some(kernels) = tier.scans.get(work.kind, work.dtype) else { return false };
    let mut carry = Carry::Nothing;
    for start in (0..work.len).step_by(GROUP) {
        let (n, at) = (GROUP.min(work.len - start), start * kernels.size);
        // SAFETY: `values` has elements `start..start + n` of the type of the kernels, and `out` a place for each (the
        // caller guarantees the invariants of `SmallScan`). `start` is at a block, and the carry is of these kernels.
        carry = unsafe { (kernels.blocks)(work.values.add(at), work.out.add(at), n, carry) };
    }
    true
}

struct Scanned<'a> {
    kernels: &'a Kernels,
    source: &'a Source,
    emit: &'a Emit<'a>,
    /// The scanned axis: the last one.
    axis: usize,
}

type Offsets = SmallVec<[isize; 8]>;

impl Scanned<'_> {
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

    /// Returns the distance of a line's elements in the output.
    fn step(&self) -> usize {
        self.emit.stride(self.axis)
    }

    /// Returns the address for writing results of a line directly from element `offset` of the output on, if no program
    /// follows and they are contiguous.
    fn place_of_line(&self, offset: usize) -> Option<*mut u8> {
        self.emit.place(offset).filter(|_| self.step() == 1)
    }

    /// Scans short lines: the elements of several lines are computed together.
    fn short_lines(&self, flat: &Flat, threads: usize) -> Result<()> {
        let (g, len, size) = (&self.source.geometry, self.len(), self.kernels.size);
        let lines: usize = g.lens[..self.axis].iter().product();
        let together = flat.strip() / len;
        split(threads, lines, 1, |range| {
            let (mut room, mut strips) = (flat.room(g)?, self.emit.strips()?);
            let [mut values, mut results] =
                [Scratch::new(together * len * size)?, Scratch::new(together * len * size)?];
            for first in range.clone().step_by(together) {
                let (count, to) = (together.min(range.end - first), results.ptr());
                // SAFETY: the lines are inside the operands (invariants of `Scan`), and a strip has room for them, as
                // `values` and `results` have. Each line begins without a carry. Threads have disjoint ranges of lines.
                unsafe {
                    let src = flat.elements(g, &mut room, first * len, count * len, values.ptr());
                    for at in (0..count).map(|line| line * len * size) {
                        (self.kernels.blocks)(src.add(at), to.add(at), len, Carry::Nothing);
                    }
                    self.emit.write(&mut strips, first * len, to, count * len);
                }
            }
            Ok(())
        })
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
        let mut offsets: Vec<Option<Partial>> = filled(blocks, None)?;
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
            let [before, here] =
                [offsets[b - 1], offsets[b]].map(|o| o.expect("every block but the first has a result"));
            // SAFETY: both are accumulated values of these kernels.
            offsets[b] = Some(unsafe { (self.kernels.join)(before, here) });
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
        let most = ACROSS_BYTES / self.kernels.size;
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
                let mut lines = (self.kernels.lines)(n)?;
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
struct Worker<'a> {
    room: Room<'a>,
    strips: Option<crate::exec::Strips<'a>>,
    /// The results before the epilogue, or before they are written some elements apart.
    results: Scratch,
}

impl<'a> Worker<'a> {
    /// Allocates scratch memory for at most `most` elements at once.
    fn new(scan: &'a Scanned, most: usize) -> Result<Worker<'a>> {
        let most = most.min(scan.source.geometry.lens[scan.source.stepped]);
        let results = Scratch::new(most * scan.kernels.size)?;
        Ok(Worker { room: scan.source.room(most)?, strips: scan.emit.strips()?, results })
    }

    /// Scans a whole line that starts at element `at` of the output.
    fn line(&mut self, scan: &Scanned, at: usize, start: &[isize]) {
        let mut carry = Carry::Nothing;
        for from in (0..scan.len()).step_by(GROUP) {
            carry = self.group(scan, at, start, from..scan.len().min(from + GROUP), carry);
        }
    }

    /// Scans elements `range` of a line that starts at element `at` of the output; `range` starts at a block. Returns
    /// the carry.
    fn group(
        &mut self,
        scan: &Scanned,
        at: usize,
        start: &[isize],
        range: Range<usize>,
        carry: Carry<Partial>,
    ) -> Carry<Partial> {
        let (n, at) = (range.len(), at + range.start * scan.step());
        let place = scan.place_of_line(at);
        // SAFETY: `range` is inside the line, and its elements are used before the room is filled again. The output,
        // or `results`, has a place for each of the n elements. The carry is of these kernels.
        unsafe {
            let src = scan.source.values(&mut self.room, start, range.start, n, 0);
            let to = place.unwrap_or(self.results.ptr());
            let carry = (scan.kernels.blocks)(src, to, n, carry);
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, (at, scan.step()), to, n);
            }
            carry
        }
    }

    /// Returns the results of `count` whole blocks, from block `first` on.
    fn totals(&mut self, scan: &Scanned, start: &[isize], first: usize, count: usize) -> [Partial; AT_ONCE] {
        let mut totals = [Partial::room(); AT_ONCE];
        // SAFETY: as in `group`; all blocks before the last are whole, and callers leave out the last one.
        unsafe {
            let src = scan.source.values(&mut self.room, start, first * SCAN_BLOCK, count * SCAN_BLOCK, 0);
            (scan.kernels.totals)(src, count, &mut totals);
        }
        totals
    }

    /// Scans element `index` of `n` lines that are side by side, from line `first` on. `at` has the offsets of the
    /// operands; results go to the output from element `to` on.
    #[expect(clippy::too_many_arguments, reason = "the position of the row and the state of the lines")]
    fn row(
        &mut self,
        scan: &Scanned,
        at: &[isize],
        first: usize,
        to: usize,
        index: usize,
        n: usize,
        lines: &mut Lines,
    ) {
        let place = scan.emit.place(to);
        // SAFETY: as in `group`; `lines` was made for n lines.
        unsafe {
            let src = scan.source.values(&mut self.room, at, first, n, 0);
            let out = place.unwrap_or(self.results.ptr());
            (scan.kernels.row)(lines, src, out, index);
            if place.is_none() {
                scan.emit.write_run(&mut self.strips, (to, 1), out, n);
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
        // SAFETY: `src` has n elements of a line, and `to` a place for each (the contract of `Kernels::blocks`).
        unsafe { J::blocks(self.src, self.to, self.n, self.carry) }
    }
}

/// Runs [`Join::totals`].
struct Totals<T, J>(*const T, usize, PhantomData<J>);

impl<T: Element, J: Join<T>> Work for Totals<T, J> {
    type Out = [J::State; AT_ONCE];
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> [J::State; AT_ONCE] {
        // SAFETY: `src` has `count` whole blocks (the contract of `Kernels::totals`).
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
        // SAFETY: `src` has an element for each line, and `to` a place (the contract of `Kernels::row`).
        unsafe { J::row(self.lines, self.src, self.to, self.index) }
    }
}
