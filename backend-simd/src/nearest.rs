//! The nearest vectors of a set, found in three steps:
//!
//! 1. All pairs are screened by short numbers. The vectors are translated by the mean of a sample, scaled, and rounded
//!    to f32 (to bf16 where an engine multiplies them): x' and y'. A product of matrices gives `s = |y'|^2 - 2 x'.y'`,
//!    which differs from the squared distance less `|x|^2` by at most a bound E. E follows from the lengths of the
//!    vectors and of their rounding errors ([`Bounds`]).
//! 2. Each row keeps the points whose `s - E` is at most the k-th smallest `s + E` so far ([`Rows`]): every point that
//!    the exact distances can select is among them.
//! 3. The exact distances of these points are computed as those of all points would be, and select.
//!
//! A row whose bound excludes too few points, or whose numbers are not finite or too large, is computed from its exact
//! distances to all points.

#![expect(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use crate::distance::euclidean;
use crate::gemm::{Direct, Engines, Kernel, Matrix, SLACK, Side, Tile};
use crate::lanes::{Isa, Real, Work};
use crate::scratch::{Scratch, filled, room};
use crate::threads::{Shared, split};
use polyarray_core::distance::{Best, Candidate};
use polyarray_core::op::{Measure, Nearest, Operand};
use polyarray_core::{Buffer, Result};
use std::ops::Range;

/// The most rows of X that are screened together: a block of Y is prepared again for each group of them.
const GROUP: usize = 1024;
/// The least rows of X for each thread with which threads divide X. With fewer, they divide Y.
const TALL: usize = 128;
/// The most columns of a block of the screened product, and the most elements of a block of Y.
const COLUMNS: usize = 256;
const BLOCK: usize = 1 << 17;
/// The largest number of coordinates for which errors of sums in f32 are small beside those of bf16.
const DEEPEST: usize = 4096;
/// The points in the sample that determines the mean and the scale.
const SAMPLE: usize = 256;
/// Scaled numbers below `SMALLEST` in magnitude are rounded to zero; vectors with numbers above `LARGEST` are not
/// screened. Products of the others are normal numbers of f32.
const SMALLEST: f32 = 1.0 / (1u64 << 40) as f32;
const LARGEST: f32 = 1024.0;
/// The rows of X and of Y whose exact distances are computed at once where a row is not screened.
const DIRECT: [usize; 2] = [64, 1024];

/// Runs a selection. `tier` of the token `isa` has the engines.
///
/// # Errors
/// Fails if there is no memory for the candidates and the blocks.
///
/// # Safety
/// - the operands are valid for reads, the output for writes (invariants of `Nearest` and `Operand`).
pub(crate) unsafe fn run<I: Isa, T: Real>(
    isa: I,
    engines: Engines,
    op: &Nearest,
    threads: usize,
    output: &Buffer,
) -> Result<()> {
    let matrix = |o: &Operand| Matrix {
        at: o
            .buffer
            .host_ptr()
            .expect("core moves operands to host memory")
            .as_ptr()
            .cast::<T>()
            .wrapping_add(o.offset),
        row: o.strides[0],
        column: o.strides[1],
    };
    let at = output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<i64>();
    let work = Selection {
        isa,
        root: op.metric == Measure::Euclidean,
        lens: [op.n, op.m, op.d],
        k: op.k,
        x: matrix(&op.x),
        y: matrix(&op.y),
        out: Shared(at),
    };
    // SAFETY: X is [n, d] and Y [m, d] inside their buffers, and the output [2, n, k] is not accessed by anything else
    // (invariants of `Nearest` and `Operand`).
    unsafe { work.run(engines, threads) }
}

/// Copies a row.
///
/// # Safety
/// - `from` is valid for reads of a row of d elements, `to` for writes of d; they do not overlap.
unsafe fn copy<T: Copy>(from: Matrix<T>, d: usize, to: *mut T) {
    // SAFETY: d elements, which the caller guarantees to be valid.
    unsafe {
        if from.column == 1 {
            to.copy_from_nonoverlapping(from.at, d);
        } else {
            (0..d).for_each(|j| to.add(j).write(*from.from(0, j).at));
        }
    }
}

struct Selection<I, T> {
    isa: I,
    /// Whether the distances are roots.
    root: bool,
    /// n, m and d.
    lens: [usize; 3],
    k: usize,
    x: Matrix<T>,
    y: Matrix<T>,
    out: Shared<i64>,
}

/// How vectors become short: `(x - origin) * scale`.
struct Frame<T> {
    origin: Vec<T>,
    scale: f64,
    /// Whether numbers are rounded to bf16.
    narrow: bool,
}

/// The error of [`Shorter`] vectors, scaled.
#[derive(Clone, Copy, Default)]
struct Length {
    /// The square of the length.
    square: f64,
    /// The length of what rounding changed.
    error: f64,
}

/// Bounds of a pair of vectors whose scaled lengths and rounding errors are at most these.
///
/// With x = x' + u and y = y' + v, `|x.y - x'.y'| <= |u| |y| + |x'| |v|`, and a product in f32 adds at most `d`
/// rounding errors, each of which is below 2^-23 (twice, because engines may round otherwise) relative to `|x'| |y'|`.
/// `sums` is the relative error of the exact distance itself, whose rounded value selects; it includes the root.
struct Bounds {
    depth: f64,
    sums: f64,
}

impl Bounds {
    fn of<T: Real>(d: usize) -> Bounds {
        let eps = if size_of::<T>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let d = d as f64;
        Bounds { depth: d * 2f64.powi(-22), sums: (d.min(128.0) + d / 64.0 + 16.0) * eps }
    }

    /// Returns E.
    fn error(&self, x: Length, y: Length) -> f32 {
        let (of_x, of_y) = (x.square.sqrt() + x.error, y.square.sqrt() + y.error);
        let product = x.error * of_y + of_x * y.error + self.depth * of_x * of_y;
        let both = (of_x + of_y) * (of_x + of_y);
        // The squares of Y, and `s`, are rounded to f32; `both` bounds them, and the squared distance.
        let error = 2.0 * product + (self.sums + 2f64.powi(-20)) * both + 2f64.powi(-50);
        (error * (1.0 + 1e-6)) as f32
    }
}

impl<I: Isa, T: Real> Selection<I, T> {
    /// # Safety
    /// - X is valid for reads of `[n, d]`, Y of `[m, d]`; the output for writes of `[2, n, k]`, and nothing else
    ///   accesses it.
    unsafe fn run(&self, engines: Engines, threads: usize) -> Result<()> {
        let [n, m, d] = self.lens;
        let engine = engines.short();
        let vectors = Direct::<I, f32>::new(self.isa);
        let narrow = engine.is_some();
        let kernel: &dyn Kernel<Element = f32, Sum = f32> = engine.as_deref().unwrap_or(&vectors);
        // SAFETY: X and Y are valid for reads, which the caller guarantees.
        let frame = if d <= DEEPEST && m <= u32::MAX as usize { unsafe { self.frame(narrow)? } } else { None };
        let Some(frame) = frame else {
            return split(threads, n, 1, |rows| {
                let rows: Vec<usize> = rows.collect();
                // SAFETY: rows of X, and of the output, which no other thread writes.
                unsafe { self.directly(&rows) }
            });
        };
        let screen = |rows: Range<usize>, columns: Range<usize>| -> Result<Rows> {
            let mut found = Rows::new(rows.len(), self.k)?;
            // SAFETY: X and Y are valid for reads, which the caller guarantees; the ranges are parts of theirs.
            kernel.within(&mut || unsafe { self.screen(kernel, &frame, rows.clone(), columns.clone(), &mut found) })?;
            Ok(found)
        };
        // Selects for some of the rows from number `first` on, whose candidates are those of all the parts.
        let finish = |first: usize, some: Range<usize>, parts: &[Rows]| -> Result<()> {
            let (mut others, mut candidates) = (Vec::new(), Vec::new());
            for row in some {
                candidates.clear();
                if parts.iter().all(|part| part.add_to(row, &mut candidates)) {
                    // SAFETY: a row of X, and of the output, which no other thread writes.
                    unsafe { self.exactly(first + row, &mut candidates)? };
                } else {
                    others.push(first + row);
                }
            }
            // SAFETY: as above.
            unsafe { self.directly(&others) }
        };
        if n >= TALL * threads {
            return split(threads, n, 1, |rows| {
                let end = rows.end;
                rows.step_by(GROUP).try_for_each(|first| {
                    let rows = first..end.min(first + GROUP);
                    finish(first, 0..rows.len(), &[screen(rows, 0..m)?])
                })
            });
        }
        for first in (0..n).step_by(GROUP) {
            let rows = first..n.min(first + GROUP);
            let parts = std::sync::Mutex::new(Vec::new());
            split(threads, m, COLUMNS, |columns| {
                let found = screen(rows.clone(), columns)?;
                parts.lock().unwrap_or_else(|e| e.into_inner()).push(found);
                Ok(())
            })?;
            let parts = parts.into_inner().unwrap_or_else(|e| e.into_inner());
            split(threads, rows.len(), 1, |some| finish(first, some, &parts))?;
        }
        Ok(())
    }

    /// Returns the mean of a sample of Y, and the power of two that brings the numbers of the samples, less the mean,
    /// near 1. Returns `None` if squares of such numbers might leave the range of the dtype.
    ///
    /// # Safety
    /// - as [`Selection::run`], for X and Y.
    unsafe fn frame(&self, narrow: bool) -> Result<Option<Frame<T>>> {
        let [n, m, d] = self.lens;
        let sample = |of: usize| (0..of).step_by(of.div_ceil(SAMPLE));
        // SAFETY: rows and columns below the lengths.
        let at = |from: Matrix<T>, i: usize, j: usize| unsafe { (*from.from(i, j).at).to_f64() };
        let mut sums = filled(d, 0.0)?;
        let mut count = 0.0;
        for i in sample(m) {
            if (0..d).all(|j| at(self.y, i, j).is_finite()) {
                sums.iter_mut().enumerate().for_each(|(j, sum)| *sum += at(self.y, i, j));
                count += 1.0;
            }
        }
        let mut origin: Vec<T> = room(d)?;
        origin.extend(sums.iter().map(|sum| {
            let mean = T::from_f64(sum / f64::max(count, 1.0));
            if mean.to_f64().is_finite() { mean } else { T::from_f64(0.0) }
        }));
        let mut most = 0f64;
        for (from, rows) in [(self.x, n), (self.y, m)] {
            for i in sample(rows) {
                for (j, o) in origin.iter().enumerate() {
                    let x = (at(from, i, j) - o.to_f64()).abs();
                    most = if x.is_finite() { most.max(x) } else { most };
                }
            }
        }
        // Numbers up to 2^10 times as large are screened: the squared distances stay below 2^(2 e + 36).
        let exponent = if most > 0.0 { most.log2().ceil() } else { 0.0 };
        let range = if size_of::<T>() == 4 { -40.0..=40.0 } else { -400.0..=400.0 };
        Ok(range.contains(&exponent).then(|| Frame { origin, scale: (-exponent).exp2(), narrow }))
    }

    /// Adds the points among `columns` that may be among the nearest ones of `rows`.
    ///
    /// # Safety
    /// - as [`Selection::run`], for X and Y; the ranges are inside n and m;
    /// - called inside [`Kernel::within`].
    unsafe fn screen(
        &self,
        kernel: &dyn Kernel<Element = f32, Sum = f32>,
        frame: &Frame<T>,
        rows: Range<usize>,
        columns: Range<usize>,
        found: &mut Rows,
    ) -> Result<()> {
        let d = self.lens[2];
        let (mr, nr) = (kernel.rows(), kernel.columns());
        let wide = (BLOCK / d).clamp(nr, COLUMNS) / nr * nr;
        let [a_panel, b_panel] = kernel.panel_bytes(d);
        let (tall, panels) = (rows.len().div_ceil(mr), wide / nr);
        let mut short = Scratch::new(d * wide.max(mr) * size_of::<f32>())?;
        let mut a = Scratch::new(tall * a_panel + SLACK)?;
        let mut b = Scratch::new(panels * b_panel + SLACK)?;
        let mut c = Scratch::new(mr * wide * size_of::<f32>())?;
        let mut lengths = filled(rows.len(), Length::default())?;
        let mut squares = filled(wide, 0f32)?;
        let of_short = |short: *const u8| Matrix { at: short.cast::<f32>(), row: d as isize, column: 1 };
        for (panel, first) in (0..rows.len()).step_by(mr).enumerate() {
            let count = mr.min(rows.len() - first);
            for i in 0..count {
                let from = self.x.from(rows.start + first + i, 0);
                let to = short.ptr().cast::<f32>().wrapping_add(i * d);
                let length = self.isa.enter(Shorter { from, frame, d, to });
                found.rows[first + i].directly = length.is_none();
                lengths[first + i] = length.unwrap_or_default();
            }
            let to = a.ptr().wrapping_add(panel * a_panel);
            // SAFETY: `count` vectors have been written to the scratch; A has room for the panel and the slack, which
            // the next panel overwrites.
            unsafe { kernel.pack_a(of_short(short.ptr()), count, d, to) };
        }
        let bounds = Bounds::of::<T>(d);
        for start in columns.clone().step_by(wide) {
            let count = wide.min(columns.end - start);
            let mut largest = Length::default();
            for j in 0..count {
                let to = short.ptr().cast::<f32>().wrapping_add(j * d);
                let length = self.isa.enter(Shorter { from: self.y.from(start + j, 0), frame, d, to });
                // A point without bounds is a candidate of every row.
                squares[j] = length.map_or(f32::NEG_INFINITY, |length| length.square as f32);
                let length = length.unwrap_or_default();
                largest.square = largest.square.max(length.square);
                largest.error = largest.error.max(length.error);
            }
            // SAFETY: `count` vectors have been written to the scratch; B has room for the panels and the slack.
            unsafe { kernel.pack_b(of_short(short.ptr()).transposed(), d, count, b.ptr()) };
            for (panel, first) in (0..rows.len()).step_by(mr).enumerate() {
                let height = mr.min(rows.len() - first);
                let alive = |row: &usize| !found.rows[*row].directly;
                if !(first..first + height).any(|row| alive(&row)) {
                    continue;
                }
                for (number, left) in (0..count).step_by(nr).enumerate() {
                    let side = |packed: *const u8| Side { matrix: of_short(packed), packed: Some(packed) };
                    // SAFETY: both panels were packed with this depth, and C has `mr` rows of `wide` elements. The
                    // kernel has one plane and no room of its own, and neither side is read in place.
                    unsafe {
                        kernel.tile(Tile {
                            depth: d,
                            a: side(a.ptr().wrapping_add(panel * a_panel)),
                            b: side(b.ptr().wrapping_add(number * b_panel)),
                            c: c.ptr().cast::<f32>().wrapping_add(left),
                            ldc: wide,
                            at: [first, left],
                            add: false,
                            last: true,
                            rows: height,
                            columns: nr.min(count - left),
                            plane: 0,
                            room: std::ptr::null_mut(),
                        })?;
                    }
                }
                for row in first..first + height {
                    if found.rows[row].directly {
                        continue;
                    }
                    // SAFETY: a row of the block, of which `count` elements have been written.
                    let products = unsafe {
                        std::slice::from_raw_parts(c.ptr().cast::<f32>().wrapping_add((row - first) * wide), count)
                    };
                    let error = bounds.error(lengths[row], largest);
                    let mut candidates = found.candidates(row);
                    self.isa.enter(Filter { products, squares: &squares, error, start, candidates: &mut candidates });
                }
            }
        }
        Ok(())
    }

    /// Selects among the candidates of a row of X, by their exact distances.
    ///
    /// # Safety
    /// - as [`Selection::run`]; no other thread accesses this row of the output.
    unsafe fn exactly(&self, row: usize, candidates: &mut Vec<Entry>) -> Result<()> {
        let [_, _, d] = self.lens;
        let limit = kth(candidates, self.k);
        candidates.retain(|entry| entry.least <= limit);
        let count = candidates.len();
        let mut near = Scratch::new(count * (d + 1) * size_of::<T>())?;
        let near = near.ptr().cast::<T>();
        let to = near.wrapping_add(count * d);
        for (i, entry) in candidates.iter().enumerate() {
            let from = self.y.from(entry.index as usize, 0);
            // SAFETY: a row of Y, and its place in the scratch.
            unsafe { copy(from, d, near.wrapping_add(i * d)) };
        }
        let y = Matrix { at: near.cast_const(), row: d as isize, column: 1 };
        // SAFETY: a row of X, the rows that have been copied, and the rest of the scratch.
        let distances = unsafe {
            euclidean(self.isa, self.root, self.x.from(row, 0), y, [1, count, d], to, 1, None)?;
            std::slice::from_raw_parts(to, count)
        };
        let mut all: Vec<Candidate<f64>> = room(count)?;
        all.extend(
            candidates
                .iter()
                .zip(distances)
                .map(|(entry, key)| Candidate { key: key.to_f64(), index: entry.index as usize }),
        );
        all.sort_unstable();
        // SAFETY: the contract of this function.
        unsafe { self.give(row, &all) };
        Ok(())
    }

    /// Selects by the exact distances of some rows of X to all points.
    ///
    /// # Safety
    /// - as [`Selection::exactly`], for these rows.
    unsafe fn directly(&self, rows: &[usize]) -> Result<()> {
        let [_, m, d] = self.lens;
        for rows in rows.chunks(DIRECT[0]) {
            let mut best = room(rows.len())?;
            rows.iter().try_for_each(|_| Best::new(self.k).map(|new| best.push(new)))?;
            let wide = DIRECT[1].min(m);
            let mut block = Scratch::new(rows.len() * (d + wide) * size_of::<T>())?;
            let mut values: Vec<f64> = room(wide)?;
            let x = block.ptr().cast::<T>();
            let to = x.wrapping_add(rows.len() * d);
            for (i, &row) in rows.iter().enumerate() {
                // SAFETY: a row of X, and its place in the scratch.
                unsafe { copy(self.x.from(row, 0), d, x.wrapping_add(i * d)) };
            }
            let x = Matrix { at: x.cast_const(), row: d as isize, column: 1 };
            for start in (0..m).step_by(wide) {
                let count = wide.min(m - start);
                // SAFETY: the rows that have been copied, rows of Y, and the rest of the scratch.
                let distances = unsafe {
                    euclidean(self.isa, self.root, x, self.y.from(start, 0), [rows.len(), count, d], to, 1, None)?;
                    std::slice::from_raw_parts(to, rows.len() * count)
                };
                for (best, distances) in best.iter_mut().zip(distances.chunks_exact(count)) {
                    values.clear();
                    values.extend(distances.iter().map(|x| x.to_f64()));
                    best.offer(&values, start, |x| x);
                }
            }
            for (best, &row) in best.into_iter().zip(rows) {
                // SAFETY: the contract of this function.
                unsafe { self.give(row, &best.sorted()) };
            }
        }
        Ok(())
    }

    /// Writes the first k points to a row of the output.
    ///
    /// # Safety
    /// - as [`Selection::exactly`].
    unsafe fn give(&self, row: usize, nearest: &[Candidate<f64>]) {
        let [n, _, _] = self.lens;
        assert!(nearest.len() >= self.k);
        for (i, candidate) in nearest.iter().take(self.k).enumerate() {
            let at = self.out.get().wrapping_add(row * self.k + i);
            // SAFETY: element `i < k` of this row in both halves of the output.
            unsafe {
                at.write(candidate.index as i64);
                at.add(n * self.k).write(candidate.key.to_bits() as i64);
            }
        }
    }
}

/// A point that may be among the nearest ones.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// Its squared distance, less the square of the row, is from `least` to `most`.
    least: f32,
    most: f32,
    index: u32,
}

/// Returns the k-th smallest upper bound; infinity if there are fewer.
fn kth(entries: &mut [Entry], k: usize) -> f32 {
    if entries.len() < k {
        return f32::INFINITY;
    }
    entries.select_nth_unstable_by(k - 1, |a, b| a.most.total_cmp(&b.most)).1.most
}

/// The candidates of a group of rows, each with the same room.
struct Rows {
    k: usize,
    room: usize,
    entries: Vec<Entry>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy)]
struct Row {
    len: usize,
    /// At least k points have squared distances up to this, less the square of the row.
    limit: f32,
    /// Whether the row is not screened.
    directly: bool,
}

/// The candidates of a row.
struct Candidates<'a> {
    k: usize,
    entries: &'a mut [Entry],
    row: &'a mut Row,
}

impl Rows {
    fn new(rows: usize, k: usize) -> Result<Rows> {
        let room = 4 * k + 64;
        let row = Row { len: 0, limit: f32::INFINITY, directly: false };
        Ok(Rows { k, room, entries: filled(rows * room, Entry::default())?, rows: filled(rows, row)? })
    }

    fn candidates(&mut self, row: usize) -> Candidates<'_> {
        let entries = &mut self.entries[row * self.room..][..self.room];
        Candidates { k: self.k, entries, row: &mut self.rows[row] }
    }

    /// Adds the candidates of a row to `all`. Returns false if the row was not screened.
    fn add_to(&self, row: usize, all: &mut Vec<Entry>) -> bool {
        let Row { len, directly, .. } = self.rows[row];
        all.extend_from_slice(&self.entries[row * self.room..][..len]);
        !directly
    }
}

impl Candidates<'_> {
    /// Adds a candidate. A full list is reduced to the points below the limit that it implies. If most of them are,
    /// the bound is useless for the row.
    fn push(&mut self, entry: Entry) {
        if self.row.len == self.entries.len() {
            self.row.limit = self.row.limit.min(kth(self.entries, self.k));
            let mut kept = 0;
            for i in 0..self.entries.len() {
                if self.entries[i].least <= self.row.limit {
                    self.entries[kept] = self.entries[i];
                    kept += 1;
                }
            }
            self.row.len = kept;
            self.row.directly = kept > self.entries.len() / 4 * 3;
        }
        if !self.row.directly && entry.least <= self.row.limit {
            self.entries[self.row.len] = entry;
            self.row.len += 1;
        }
    }
}

/// The points whose products are compared with the limit at once.
const CHUNK: usize = 32;

/// Adds the points of a block that are below the limit of a row to its candidates.
struct Filter<'a, 'b> {
    products: &'a [f32],
    squares: &'a [f32],
    /// E.
    error: f32,
    /// The number of the first point.
    start: usize,
    candidates: &'a mut Candidates<'b>,
}

impl Work for Filter<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Filter { products, squares, error, start, candidates } = self;
        for (chunk, (products, squares)) in products.chunks(CHUNK).zip(squares.chunks(CHUNK)).enumerate() {
            let limit = candidates.row.limit + error;
            if let (Ok(products), Ok(squares)) =
                (<&[f32; CHUNK]>::try_from(products), <&[f32; CHUNK]>::try_from(squares))
            {
                // Without branches, so that the compiler uses vectors.
                let mut any = 0u32;
                for i in 0..CHUNK {
                    any |= u32::from(squares[i] - 2.0 * products[i] <= limit);
                }
                if any == 0 {
                    continue;
                }
            }
            for (i, (&product, &square)) in products.iter().zip(squares).enumerate() {
                let value = square - 2.0 * product;
                if value <= limit {
                    let index = (start + chunk * CHUNK + i) as u32;
                    // The bounds of a point that cannot be screened: it is always a candidate, and implies no limit.
                    let most = if square == f32::NEG_INFINITY { f32::INFINITY } else { value + error };
                    candidates.push(Entry { least: value - error, most, index });
                    if candidates.row.directly {
                        return;
                    }
                }
            }
        }
    }
}

/// The numbers of a vector that are made short at once.
const LANES: usize = 16;

/// Writes a vector as short numbers, and returns its length; zeros and `None` if they are not finite or too large.
///
/// Code that creates one guarantees that `from` is valid for reads of a row of d elements, `to` for writes of d.
struct Shorter<'a, T> {
    from: Matrix<T>,
    frame: &'a Frame<T>,
    d: usize,
    to: *mut f32,
}

impl<T: Real> Work for Shorter<'_, T> {
    type Out = Option<Length>;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> Option<Length> {
        let Shorter { from, frame, d, to } = self;
        // SAFETY: d elements of `to`, which the code that created this guarantees to be valid; the scratch is
        // initialised.
        let to = unsafe { std::slice::from_raw_parts_mut(to, d) };
        if from.column == 1 {
            // SAFETY: the row has d contiguous elements.
            let from = unsafe { std::slice::from_raw_parts(from.at, d) };
            for ((to, x), origin) in to.iter_mut().zip(from).zip(&frame.origin) {
                *to = (x.minus(*origin).to_f64() * frame.scale) as f32;
            }
        } else {
            for (j, (to, origin)) in to.iter_mut().zip(&frame.origin).enumerate() {
                // SAFETY: element `j < d` of the row.
                let x = unsafe { *from.from(0, j).at };
                *to = (x.minus(*origin).to_f64() * frame.scale) as f32;
            }
        }
        let (mut squares, mut errors, mut is_good) = ([0f64; LANES], [0f64; LANES], [true; LANES]);
        let mut part = |to: &mut [f32; LANES]| {
            for i in 0..LANES {
                let x = to[i];
                let kept = if x.abs() < SMALLEST { 0.0 } else { x };
                let bits = kept.to_bits();
                let rounded = f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
                let short = if frame.narrow { rounded } else { kept };
                is_good[i] &= x.abs() <= LARGEST;
                let (x, lost) = (f64::from(x), f64::from(x - short));
                squares[i] += x * x;
                errors[i] += lost * lost;
                to[i] = short;
            }
        };
        let (chunks, rest) = to.as_chunks_mut::<LANES>();
        chunks.iter_mut().for_each(&mut part);
        let mut last = [0f32; LANES];
        last[..rest.len()].copy_from_slice(rest);
        part(&mut last);
        rest.copy_from_slice(&last[..rest.len()]);
        if !is_good.into_iter().all(|good| good) {
            to.fill(0.0);
            return None;
        }
        let square = squares.into_iter().sum::<f64>();
        let error = errors.into_iter().sum::<f64>().sqrt();
        // The difference from the origin, and its conversion to f32, are rounded too, and may underflow.
        Some(Length { square, error: error + 2f64.powi(-22) * square.sqrt() + (d as f64).sqrt() * 2f64.powi(-100) })
    }
}
