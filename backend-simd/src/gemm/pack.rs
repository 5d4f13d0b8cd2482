//! Packing: panels of a few columns, stored row after row.

#![expect(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use super::Matrix;
use crate::lanes::{Isa, Lanes, Real, Work, transpose};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Bytes behind packed panels that may be written: rows are stored as whole vectors, whose excess the next row
/// overwrites.
pub(crate) const SLACK: usize = 64;

/// The rows of a matrix that are packed at once: they are read together and written to nearby places.
const ROWS: usize = 8;

/// Addresses that differ by a multiple of this many bytes map to the same set of the first-level cache.
const PAGE: usize = 4096;
/// The vectors of a column that are copied at once before they are transposed: a run of lines that the CPU
/// prefetches.
const STRETCH: usize = 8;
/// The widest panel whose columns are copied in this way.
const WIDEST: usize = 32;

/// Packs `[depth, columns]` into panels of `width` columns: each row of panel p has the columns from `p * width` on,
/// with zeros for missing ones.
///
/// Code that creates one guarantees that `from` is valid for reads of `[depth, columns]`, and `to` for writes of
/// `depth` times `columns` rounded up to `width` elements, plus [`SLACK`] bytes.
pub(crate) struct Panels<T> {
    pub from: Matrix<T>,
    pub depth: usize,
    pub columns: usize,
    pub width: usize,
    pub to: *mut T,
}

impl<T: Real> Work for Panels<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Panels { from, depth, columns, width, to } = self;
        let panel = |number: usize| {
            let first = number * width;
            Panel {
                from: from.from(0, first),
                depth,
                valid: width.min(columns - first),
                width,
                to: to.wrapping_add(first * depth),
            }
        };
        let panels = columns.div_ceil(width);
        // SAFETY: each panel is a part of the matrix and of the output that `Panels` describes; the panels are packed
        // in order.
        unsafe {
            match (from.column, <T::V<I> as Lanes>::N) {
                (1, _) => (0..depth)
                    .step_by(ROWS)
                    .for_each(|r| (0..panels).for_each(|p| panel(p).in_order(isa, r..depth.min(r + ROWS)))),
                (_, 16) if from.row == 1 => (0..panels).for_each(|p| panel(p).transposed::<I, 16>(isa)),
                (_, 8) if from.row == 1 => (0..panels).for_each(|p| panel(p).transposed::<I, 8>(isa)),
                (_, 4) if from.row == 1 => (0..panels).for_each(|p| panel(p).transposed::<I, 4>(isa)),
                _ => (0..panels).for_each(|p| panel(p).scattered()),
            }
        }
    }
}

struct Panel<T> {
    from: Matrix<T>,
    depth: usize,
    /// The columns that exist in the matrix.
    valid: usize,
    width: usize,
    to: *mut T,
}

impl<T: Real> Panel<T> {
    /// Packs rows whose elements are contiguous.
    ///
    /// # Safety
    /// - `from` is valid for reads of `[depth, valid]` and `to` for writes of `[depth, width]`; `rows` is within
    ///   `0..depth`.
    #[inline(always)]
    unsafe fn in_order<I: Isa>(&self, isa: I, rows: Range<usize>) {
        let n = <T::V<I> as Lanes>::N;
        for r in rows {
            let (from, to) =
                (self.from.at.wrapping_offset(r as isize * self.from.row), self.to.wrapping_add(r * self.width));
            for c in (0..self.width).step_by(n) {
                // SAFETY: reads are limited to valid columns, and writes to the panel's width. A whole last vector
                // would spill into the next row; that of the panel's last row would spill into the first row of the
                // next panel, which may already be packed.
                unsafe {
                    let x = if c + n <= self.valid {
                        T::V::<I>::load(isa, from.add(c))
                    } else {
                        T::V::<I>::load_first(isa, from.wrapping_add(c), self.valid.saturating_sub(c))
                    };
                    if c + n <= self.width {
                        x.store(to.add(c));
                    } else {
                        x.store_first(to.add(c), self.width - c);
                    }
                }
            }
        }
    }

    /// Packs columns whose elements are contiguous. If columns are whole pages apart, reading them side by side takes
    /// three times as long, because their lines evict each other from the first-level cache. Therefore a stretch of
    /// each column is copied first, one column after another.
    ///
    /// # Safety
    /// - `from` is valid for reads of `[depth, valid]`, and `to` for writes of `[depth, width]` and [`SLACK`] bytes;
    /// - `N` is the number of lanes;
    /// - what follows the panel within [`SLACK`] is packed later or unused.
    #[inline(always)]
    unsafe fn transposed<I: Isa, const N: usize>(&self, isa: I) {
        let apart = self.from.column.unsigned_abs() * size_of::<T>();
        if !apart.is_multiple_of(PAGE) || self.width > WIDEST {
            // SAFETY: the contract of this function, which the caller guarantees.
            return unsafe { self.squares::<I, N>(isa) };
        }
        let mut near = MaybeUninit::<[[[u8; 64]; STRETCH + 1]; WIDEST]>::uninit();
        let (at, column, stretch) = (near.as_mut_ptr().cast::<T>(), (STRETCH + 1) * N, STRETCH * N);
        for start in (0..self.depth).step_by(stretch) {
            let depth = stretch.min(self.depth - start);
            for c in 0..self.valid {
                let (from, to) = (self.from.from(start, c).at, at.wrapping_add(c * column));
                // SAFETY: the elements are below `depth` in columns below `valid`, which the caller guarantees to be
                // valid; each column's place in the copy has room for a stretch.
                unsafe {
                    for i in (0..depth).step_by(N) {
                        if i + N <= depth {
                            T::V::<I>::load(isa, from.add(i)).store(to.add(i));
                        } else {
                            T::V::<I>::load_first(isa, from.add(i), depth - i).store(to.add(i));
                        }
                    }
                }
            }
            let near = Matrix { at: at.cast_const(), row: 1, column: column as isize };
            // SAFETY: the copied columns, and the panel's rows from `start` on. The next stretch, packed later,
            // overwrites the excess.
            unsafe {
                Panel { from: near, depth, to: self.to.wrapping_add(start * self.width), ..*self }.squares::<I, N>(isa)
            };
        }
    }

    /// Packs squares of `N` by `N` elements, transposed in registers.
    ///
    /// # Safety
    /// - as [`Panel::transposed`].
    #[inline(always)]
    unsafe fn squares<I: Isa, const N: usize>(&self, isa: I) {
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        for row in (0..self.depth).step_by(N) {
            let rows = N.min(self.depth - row);
            // The last columns come first: the excess of their vectors falls on the first columns of the next row,
            // which are written later.
            for first in (0..self.width).step_by(N).rev() {
                let there = N.min(self.valid.saturating_sub(first));
                let from = self.from.at.wrapping_offset(first as isize * self.from.column + row as isize);
                let mut square = [zero; N];
                // SAFETY: the reads are below `depth` in columns below `valid`. The writes are inside the panel, or
                // in the memory after it that is packed later, or in the slack.
                unsafe {
                    if there == N && rows == N {
                        for c in 0..N {
                            square[c] = T::V::<I>::load(isa, from.offset(c as isize * self.from.column));
                        }
                    } else {
                        for c in 0..N {
                            let count = if c < there { rows } else { 0 };
                            square[c] =
                                T::V::<I>::load_first(isa, from.wrapping_offset(c as isize * self.from.column), count);
                        }
                    }
                    transpose(&mut square);
                    let to = self.to.add(row * self.width + first);
                    for r in 0..N {
                        if r < rows {
                            square[r].store(to.add(r * self.width));
                        }
                    }
                }
            }
        }
    }

    /// Packs element by element.
    ///
    /// # Safety
    /// - `from` is valid for reads of `[depth, valid]` and `to` for writes of `[depth, width]`.
    #[inline(always)]
    unsafe fn scattered(&self) {
        for c in 0..self.width {
            for r in 0..self.depth {
                // SAFETY: `c < valid` for the reads, and all writes are inside `[depth, width]`, which the caller
                // guarantees to be valid.
                unsafe {
                    let x = if c < self.valid { *self.from.from(r, c).at } else { T::from_f64(0.0) };
                    *self.to.add(r * self.width + c) = x;
                }
            }
        }
    }
}

/// An element that is packed as a wider type.
pub(crate) trait Widen: Copy + Send + Sync + 'static {
    type Wide: Copy + Send + Sync;
    const ZERO: Self::Wide;
    fn widen(self) -> Self::Wide;
}

/// As [`Panels`], for elements that are widened.
pub(crate) struct Widened<T: Widen> {
    pub from: Matrix<T>,
    pub depth: usize,
    pub columns: usize,
    pub width: usize,
    pub to: *mut T::Wide,
}

impl<T: Widen> Work for Widened<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Widened { from, depth, columns, width, to } = self;
        for first in (0..columns).step_by(width) {
            for p in 0..depth {
                let to = to.wrapping_add(first * depth + p * width);
                for j in 0..width {
                    // SAFETY: the element exists in the matrix, and its place is in the panel, as the code that
                    // created this guarantees.
                    unsafe {
                        *to.add(j) = if first + j < columns { (*from.from(p, first + j).at).widen() } else { T::ZERO }
                    };
                }
            }
        }
    }
}
