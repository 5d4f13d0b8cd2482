//! Distances of packed bits: the number of bits that differ, and its share of the bits of either vector.
//!
//! Rows are copied as words of 64 bits, those of Y into panels of [`LANES`] rows whose words alternate, so that each
//! element of a vector has a word of another row. A group of panels that fits into the second-level cache is used for
//! all rows of X, some of which share each vector that is loaded. The bits of either vector follow from the bits of
//! both and those that differ: |x or y| = (|x| + |y| + |x xor y|) / 2.

use crate::distance::Epilogue;
use crate::gemm::{Written, caches};
use crate::lanes::{Isa, Work};
use crate::map::STREAM_BYTES;
use crate::scratch::{Scratch, filled};
use crate::threads::{Shared, split};
use crate::tier::Tier;
use polyarray_core::op::{Distance, Measure, Operand};
use polyarray_core::{Buffer, Result};
use std::ops::Range;

/// The rows of a panel of Y: their distances from a row of X fill a cache line.
const LANES: usize = 16;
/// The rows of X whose distances from a panel are computed at once.
const GROUP: usize = 4;
/// The rows of X that are used for all panels of a group, one after another.
const HEIGHT: usize = 64;
/// The most words of a row that is copied as a whole: 64 KB.
const LONGEST: usize = 1 << 13;
/// Distances of at most this many words are computed on one thread.
const ALONE: usize = 1 << 16;

/// Returns whether this module computes a measure.
pub(crate) fn has(metric: Measure) -> bool {
    matches!(metric, Measure::BitHamming | Measure::BitJaccard)
}

/// Runs distances that `estimate` accepted. `tier` is the tier of the token `isa`.
pub(crate) fn run<I: Isa>(isa: I, tier: &'static Tier, op: &Distance, threads: usize, output: &Buffer) -> Result<()> {
    let (x, y) = (Rows::new(&op.x, op), Rows::new(&op.y, op));
    let out = Shared(output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<f32>());
    let (epilogue, words) = (Epilogue::new(tier, op), x.words());
    let stream = epilogue.is_empty() && op.n * op.m * size_of::<f32>() >= STREAM_BYTES;
    let counts = has_counts(tier);
    let panel_bytes = words * LANES * 8;
    let most = (caches().second / 2 / panel_bytes).max(1) * LANES;
    let part = |rows: Range<usize>, columns: Range<usize>| -> Result<()> {
        if words > LONGEST {
            return long(isa, op, [x, y], [rows, columns], out, &epilogue);
        }
        let width = most.min(columns.len().next_multiple_of(LANES));
        let (mut panels, mut lines) = (Scratch::new(width * words * 8)?, Scratch::new(HEIGHT * words * 8)?);
        let (mut of_x, mut of_y) = ([0; HEIGHT], filled(width, 0)?);
        for first in columns.clone().step_by(most) {
            let count = most.min(columns.end - first);
            // SAFETY: words of 64 bits, all zeros or old data, which are valid; the scratch is exclusive.
            let panels = unsafe { std::slice::from_raw_parts_mut(panels.ptr().cast::<u64>(), width * words) };
            for (panel, j) in panels.chunks_exact_mut(words * LANES).zip((0..count).step_by(LANES)) {
                // SAFETY: rows of Y, which is [m, d] inside its buffer (invariants of `Distance` and `Operand`).
                unsafe { y.pack(first + j, LANES.min(count - j), 0, LANES, panel, &mut of_y[j..][..LANES]) };
            }
            for top in rows.clone().step_by(HEIGHT) {
                let height = HEIGHT.min(rows.end - top);
                // SAFETY: as for the panels.
                let lines = unsafe { std::slice::from_raw_parts_mut(lines.ptr().cast::<u64>(), HEIGHT * words) };
                for (r, line) in lines.chunks_exact_mut(words).enumerate().take(height) {
                    // SAFETY: a row of X, which is [n, d] inside its buffer (invariants of `Distance` and `Operand`).
                    unsafe { x.pack(top + r, 1, 0, 1, line, &mut of_x[r..][..1]) };
                }
                let at = out.get().wrapping_add(top * op.m + first);
                for (number, panel) in panels.chunks_exact(words * LANES).enumerate().take(count.div_ceil(LANES)) {
                    let j = number * LANES;
                    let block = Block {
                        metric: op.metric,
                        words,
                        x: &lines[..height * words],
                        of_x: &of_x,
                        y: panel,
                        of_y: of_y[j..].first_chunk().expect("a multiple of the lanes"),
                        out: at.wrapping_add(j),
                        out_row: op.m,
                        last: LANES.min(count - j),
                        stream,
                    };
                    // SAFETY: the block of the output is inside it, and no other thread writes there; `has_counts` has
                    // found the features.
                    unsafe {
                        match counts {
                            true => with_counts(isa, block),
                            false => isa.enter(block),
                        }
                    }
                }
                // SAFETY: the block has been written, and no other thread accesses it.
                epilogue.apply(unsafe { Written::new([top, first], at, op.m, [height, count]) })?;
            }
        }
        if stream {
            isa.fence();
        }
        Ok(())
    };
    let threads = if op.n.saturating_mul(op.m).saturating_mul(words) <= ALONE { 1 } else { threads };
    if op.n >= GROUP * threads {
        split(threads, op.n, GROUP, |rows| part(rows, 0..op.m))
    } else {
        split(threads, op.m, LANES, |columns| part(0..op.n, columns))
    }
}

/// Returns whether the CPU counts the bits of the elements of vectors (AVX-512 VPOPCNTDQ), and the tier may use it.
fn has_counts(tier: &Tier) -> bool {
    #[cfg(target_arch = "x86_64")]
    if tier.vector_bytes == 64 {
        return is_x86_feature_detected!("avx512vpopcntdq");
    }
    let _ = tier;
    false
}

/// An operand in bytes: its first byte, the strides from row to row and from element to element, the bytes of a row,
/// and those of an element.
#[derive(Clone, Copy)]
struct Rows {
    at: *const u8,
    row: isize,
    element: isize,
    length: usize,
    size: usize,
}

// SAFETY: the pointer is only read.
unsafe impl Send for Rows {}
// SAFETY: as above.
unsafe impl Sync for Rows {}

impl Rows {
    fn new(operand: &Operand, op: &Distance) -> Rows {
        let size = op.dtype.size();
        let buffer = operand.buffer.host_ptr().expect("core moves operands to host memory").as_ptr();
        let [row, element] = [0, 1].map(|axis| operand.strides[axis] * size as isize);
        Rows { at: buffer.cast::<u8>().wrapping_add(operand.offset * size), row, element, length: op.d * size, size }
    }

    /// Returns the words of 64 bits that a row fills.
    fn words(&self) -> usize {
        self.length.div_ceil(8)
    }

    /// Copies words of `count` rows from number `first` on to `to`: word `start + k` of row r to `to[k * lanes + r]`,
    /// for all k that fit. The rest becomes zero. Writes the number of set bits of each row to `bits`.
    ///
    /// # Safety
    /// - the rows exist, and are valid for reads;
    /// - `to` has no words beyond the last one of a row.
    unsafe fn pack(self, first: usize, count: usize, start: usize, lanes: usize, to: &mut [u64], bits: &mut [u64]) {
        to.fill(0);
        bits.fill(0);
        let Rows { at, row, element, length, size } = self;
        for (r, bits) in bits[..count].iter_mut().enumerate() {
            let from = at.wrapping_offset((first + r) as isize * row);
            for (k, to) in to.iter_mut().skip(r).step_by(lanes).enumerate() {
                let (mut eight, byte) = ([0; 8], (start + k) * 8);
                let used = 8.min(length - byte);
                if element == size as isize {
                    // SAFETY: bytes below `length` of a row of contiguous elements, which the caller guarantees to be
                    // valid.
                    unsafe { std::ptr::copy_nonoverlapping(from.add(byte), eight.as_mut_ptr(), used) };
                } else {
                    for (i, part) in eight[..used].chunks_exact_mut(size).enumerate() {
                        let from = from.wrapping_offset((byte / size + i) as isize * element);
                        // SAFETY: the bytes of an element of the row, which the caller guarantees to be valid.
                        unsafe { std::ptr::copy_nonoverlapping(from, part.as_mut_ptr(), size) };
                    }
                }
                *to = u64::from_ne_bytes(eight);
                *bits += u64::from(to.count_ones());
            }
        }
    }
}

/// Computes distances of rows of more than [`LONGEST`] words, one pair after the other, in segments of the rows.
fn long<I: Isa>(
    isa: I,
    op: &Distance,
    [x, y]: [Rows; 2],
    [rows, columns]: [Range<usize>; 2],
    out: Shared<f32>,
    epilogue: &Epilogue,
) -> Result<()> {
    let (mut from, mut to) = (filled(LONGEST, 0)?, filled(LONGEST, 0)?);
    for (i, j) in rows.flat_map(|i| columns.clone().map(move |j| (i, j))) {
        let (mut differ, mut set) = (0u64, [[0u64]; 2]);
        for start in (0..x.words()).step_by(LONGEST) {
            let count = LONGEST.min(x.words() - start);
            let (from, to, mut bits) = (&mut from[..count], &mut to[..count], [[0u64]; 2]);
            // SAFETY: rows of X and Y, which lie inside their buffers (invariants of `Distance` and `Operand`).
            unsafe {
                x.pack(i, 1, start, 1, from, &mut bits[0]);
                y.pack(j, 1, start, 1, to, &mut bits[1]);
            }
            differ += isa.enter(Differ(from, to));
            (0..2).for_each(|side| set[side][0] += bits[side][0]);
        }
        let any = (set[0][0] + set[1][0] + differ) / 2;
        let of = match op.metric {
            Measure::BitHamming => 1,
            _ => any.max(1),
        };
        let at = out.get().wrapping_add(i * op.m + j);
        // SAFETY: an element of the output, which no other thread writes.
        unsafe { at.write((differ as f64 / of as f64) as f32) };
        // SAFETY: the element has been written, and no other thread accesses it.
        epilogue.apply(unsafe { Written::new([i, j], at, op.m, [1, 1]) })?;
    }
    Ok(())
}

/// Counts the bits that differ.
struct Differ<'a>(&'a [u64], &'a [u64]);

impl Work for Differ<'_> {
    type Out = u64;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> u64 {
        self.0.iter().zip(self.1).map(|(x, y)| u64::from((x ^ y).count_ones())).sum()
    }
}

/// Some rows of X, a panel of Y, and where their distances go: that of row r to row j of the panel is at
/// `out + r * out_row + j`.
struct Block<'a> {
    metric: Measure,
    /// The words of a row.
    words: usize,
    x: &'a [u64],
    /// The bits of each row of X and of the panel that are set.
    of_x: &'a [u64; HEIGHT],
    y: &'a [u64],
    of_y: &'a [u64; LANES],
    /// Valid for writes of `last` elements of each row.
    out: *mut f32,
    out_row: usize,
    /// The rows of the panel that exist.
    last: usize,
    /// Whether the output is written past the caches.
    stream: bool,
}

impl Work for Block<'_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let groups = self.x.chunks_exact(GROUP * self.words);
        let rest = groups.remainder().chunks_exact(self.words);
        let first = groups.len() * GROUP;
        groups.enumerate().for_each(|(i, x)| self.group::<I, GROUP>(isa, x, i * GROUP));
        rest.enumerate().for_each(|(i, x)| self.group::<I, 1>(isa, x, first + i));
    }
}

impl Block<'_> {
    /// Computes the distances of rows of X from number `first` on.
    #[inline(always)]
    fn group<I: Isa, const N: usize>(&self, isa: I, x: &[u64], first: usize) {
        let mut counts = [[0u64; LANES]; N];
        for (k, y) in self.y.as_chunks::<LANES>().0.iter().enumerate() {
            for (r, counts) in counts.iter_mut().enumerate() {
                let x = x[r * self.words + k];
                for (count, y) in counts.iter_mut().zip(y) {
                    *count += u64::from((x ^ y).count_ones());
                }
            }
        }
        for (r, counts) in counts.iter().enumerate() {
            let distances = self.distances(first + r, counts);
            let (from, to) = (distances.as_ptr(), self.out.wrapping_add((first + r) * self.out_row));
            // SAFETY: `last` elements of a row of the output, which are valid for writes.
            unsafe {
                match (self.stream, self.last) {
                    (true, _) => isa.stream(from.cast(), to.cast(), self.last * size_of::<f32>()),
                    (false, LANES) => to.cast::<[f32; LANES]>().write_unaligned(distances),
                    (false, _) => std::ptr::copy_nonoverlapping(from, to, self.last),
                }
            }
        }
    }

    /// Returns the distances of a row of X, from the numbers of different bits.
    #[inline(always)]
    fn distances(&self, row: usize, counts: &[u64; LANES]) -> [f32; LANES] {
        // Rows of at most `LONGEST` words have few enough bits. Conversions of 32 bits are instructions of every tier.
        let to_float = |count: u64| count as i32 as f32;
        if self.metric == Measure::BitHamming {
            return std::array::from_fn(|j| to_float(counts[j]));
        }
        std::array::from_fn(|j| {
            let any = (self.of_x[row] + self.of_y[j] + counts[j]) / 2;
            // If no bit is set, 0 / 1.
            to_float(counts[j]) / to_float(any.max(1))
        })
    }
}

/// Computes a block with the instructions that count bits.
///
/// # Safety
/// - the CPU has the features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vpopcntdq,avx2,fma")]
unsafe fn with_counts<I: Isa>(isa: I, block: Block) {
    block.run(isa);
}

/// Computes a block. Other architectures have no such instructions.
///
/// # Safety
/// - None. The function is unsafe because that of x86-64 is.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn with_counts<I: Isa>(isa: I, block: Block) {
    isa.enter(block);
}
