//! Packing: panels of a few columns, stored row after row.

#![expect(clippy::needless_range_loop, reason = "bounds are constants: registers, not slices, are gone through")]

use super::Matrix;
use crate::lanes::{Isa, Lanes, Real, Work, transpose};
use std::mem::MaybeUninit;
use std::ops::Range;

/// Bytes behind packed panels that may be written: rows are stored as whole vectors, of which what is too much is overwritten by the next.
pub(crate) const SLACK: usize = 64;

/// Rows of a matrix that are packed at once: read side by side, written to one place.
const ROWS: usize = 8;

/// Bytes after which addresses have the same place in the first cache.
const PAGE: usize = 4096;
/// Vectors of a column that are copied before they are transposed: a stretch of lines which is fetched ahead.
const STRETCH: usize = 8;
/// The most columns of a panel that are.
const WIDEST: usize = 32;

/// Packs `[depth, columns]` into panels of `width` columns: panel p holds, for each row, columns `p * width ..`, those that are not there as zeros.
///
/// Whoever makes one has made sure that `from` is valid for reads of `[depth, columns]`, `to` for writes of `depth` times `columns` rounded up to `width`, and [`SLACK`].
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
        // SAFETY: panels of those above, in order.
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
    /// Columns that are there.
    valid: usize,
    width: usize,
    to: *mut T,
}

impl<T: Real> Panel<T> {
    /// Some rows, whose elements lie next to each other.
    ///
    /// # Safety
    /// - as [`Panels`].
    #[inline(always)]
    unsafe fn in_order<I: Isa>(&self, isa: I, rows: Range<usize>) {
        let n = <T::V<I> as Lanes>::N;
        for r in rows {
            let (from, to) =
                (self.from.at.wrapping_offset(r as isize * self.from.row), self.to.wrapping_add(r * self.width));
            for c in (0..self.width).step_by(n) {
                // SAFETY: columns that are there; the panel has room for all of its width. A vector that is too wide (the last of a row) is followed by nothing of
                // this group's: it would spoil the next row's, which is written later, but also the next panel's first row, which may be done.
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

    /// Columns' elements lie next to each other. Where columns are apart by whole pages, reading them side by side takes three times as long, as their lines drive each other out
    /// of the first cache: a stretch of each is copied first, one after the other.
    ///
    /// # Safety
    /// - as [`Panels`]; `N` is the number of lanes; panels are packed in order.
    #[inline(always)]
    unsafe fn transposed<I: Isa, const N: usize>(&self, isa: I) {
        let apart = self.from.column.unsigned_abs() * size_of::<T>();
        if !apart.is_multiple_of(PAGE) || self.width > WIDEST {
            // SAFETY: the caller's.
            return unsafe { self.squares::<I, N>(isa) };
        }
        let mut near = MaybeUninit::<[[[u8; 64]; STRETCH + 1]; WIDEST]>::uninit();
        let (at, column, stretch) = (near.as_mut_ptr().cast::<T>(), (STRETCH + 1) * N, STRETCH * N);
        for start in (0..self.depth).step_by(stretch) {
            let depth = stretch.min(self.depth - start);
            for c in 0..self.valid {
                let (from, to) = (self.from.from(start, c).at, at.wrapping_add(c * column));
                // SAFETY: elements that are there; each column's place in the copy holds a stretch.
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
            // SAFETY: the columns that were copied; the panel's rows from `start`, of which the next stretch is packed later.
            unsafe {
                Panel { from: near, depth, to: self.to.wrapping_add(start * self.width), ..*self }.squares::<I, N>(isa)
            };
        }
    }

    /// Squares of `N` by `N` are transposed in registers.
    ///
    /// # Safety
    /// - as [`Panel::transposed`].
    #[inline(always)]
    unsafe fn squares<I: Isa, const N: usize>(&self, isa: I) {
        let zero = T::V::<I>::splat(isa, T::from_f64(0.0));
        for row in (0..self.depth).step_by(N) {
            let rows = N.min(self.depth - row);
            // The last columns first: what their vectors have too much of goes to the first columns of the next row.
            for first in (0..self.width).step_by(N).rev() {
                let there = N.min(self.valid.saturating_sub(first));
                let from = self.from.at.wrapping_offset(first as isize * self.from.column + row as isize);
                let mut square = [zero; N];
                // SAFETY: rows below `depth`, of columns that are there; places inside the panel, or what follows it, which is written later, or the slack.
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

    /// Element by element.
    ///
    /// # Safety
    /// - as [`Panels`].
    #[inline(always)]
    unsafe fn scattered(&self) {
        for c in 0..self.width {
            for r in 0..self.depth {
                // SAFETY: the caller's.
                unsafe {
                    let x = if c < self.valid { *self.from.from(r, c).at } else { T::from_f64(0.0) };
                    *self.to.add(r * self.width + c) = x;
                }
            }
        }
    }
}

/// An element that is packed as a wider one.
pub(crate) trait Widen: Copy + Send + Sync + 'static {
    type Wide: Copy + Send + Sync;
    const ZERO: Self::Wide;
    fn widen(self) -> Self::Wide;
}

/// As [`Panels`], of elements that are widened.
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
                    // SAFETY: what is there of the matrix, and places in the panel, as whoever made this has made sure.
                    unsafe {
                        *to.add(j) = if first + j < columns { (*from.from(p, first + j).at).widen() } else { T::ZERO }
                    };
                }
            }
        }
    }
}
