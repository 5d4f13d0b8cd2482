//! Squared deviations from the mean, in one pass over memory: each block is read twice while it is in a cache, and
//! blocks are combined by their means.

use super::fold::{Combine, Sum, fold_bytes, halves, narrow};
use super::kind::{Kept, Kind, State, Values, lanes_of};
use crate::lanes::{Isa, Lanes, Numbers, Real, Work};
use polyarray_core::order::{Deviate, Moments};
use std::ops::{Mul, Sub};

/// A float type that supports deviations.
pub(super) trait Part: Real + Deviate + Sub<Output = Self> + Mul<Output = Self> {}
impl Part for f32 {}
impl Part for f64 {}

impl<T: Part> State for Moments<T> {
    type Gives = T;
    fn give(self) -> T {
        self.squares
    }
}

/// The reduction to squared deviations.
pub(super) struct Deviations;

/// Rows of elements.
pub(super) trait RowsAt<T>: Copy {
    fn count(self) -> usize;
    /// Returns the address of a row.
    ///
    /// # Safety
    /// - `row` is less than the count.
    unsafe fn at(self, row: usize) -> *const T;
}

impl<T> RowsAt<T> for &[*const T] {
    #[inline(always)]
    fn count(self) -> usize {
        self.len()
    }
    #[inline(always)]
    unsafe fn at(self, row: usize) -> *const T {
        // SAFETY: `row` is less than the length, which the caller guarantees.
        unsafe { *self.get_unchecked(row) }
    }
}

/// Contiguous rows.
pub(super) struct Packed<T> {
    pub first: *const T,
    pub width: usize,
    pub count: usize,
}

impl<T> Clone for Packed<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Packed<T> {}

impl<T> RowsAt<T> for Packed<T> {
    #[inline(always)]
    fn count(self) -> usize {
        self.count
    }
    #[inline(always)]
    unsafe fn at(self, row: usize) -> *const T {
        self.first.wrapping_add(row * self.width)
    }
}

/// Computes `d = x - near; sums += d; squares += d * d` for one row after another. Called inside [`Isa::enter`].
///
/// # Safety
/// - `near` and each row are valid for reads of `n` elements, and `sums` and `squares` for reads and writes of `n`.
/// - `sums` and `squares` do not overlap each other or the other operands.
#[inline(always)]
unsafe fn deviate_rows<T: Part, I: Isa, R: RowsAt<T>>(
    isa: I,
    near: *const T,
    sums: *mut T,
    squares: *mut T,
    rows: R,
    n: usize,
) where
    Sum: Combine<T>,
{
    let width = <T::V<I> as Lanes>::N;
    // Two vectors at once, so that their sums are independent chains of instructions.
    let pairs = n / (2 * width) * (2 * width);
    // SAFETY: all indices are below n, and the caller guarantees n elements of each operand.
    unsafe {
        for i in (0..pairs).step_by(2 * width) {
            let j = i + width;
            let (near_i, near_j) = (T::V::<I>::load(isa, near.add(i)), T::V::<I>::load(isa, near.add(j)));
            let (mut s, mut t) = (T::V::<I>::load(isa, sums.add(i)), T::V::<I>::load(isa, sums.add(j)));
            let (mut p, mut q) = (T::V::<I>::load(isa, squares.add(i)), T::V::<I>::load(isa, squares.add(j)));
            for row in 0..rows.count() {
                let x = rows.at(row);
                let d = T::V::<I>::load(isa, x.add(i)).sub(near_i);
                let e = T::V::<I>::load(isa, x.add(j)).sub(near_j);
                s = s.add(d);
                t = t.add(e);
                p = p.add(d.mul(d));
                q = q.add(e.mul(e));
            }
            s.store(sums.add(i));
            t.store(sums.add(j));
            p.store(squares.add(i));
            q.store(squares.add(j));
        }
        for i in pairs..n {
            for row in 0..rows.count() {
                let d = *rows.at(row).add(i) - *near.add(i);
                *sums.add(i) = Sum::combine(*sums.add(i), d);
                *squares.add(i) = Sum::combine(*squares.add(i), d * d);
            }
        }
    }
}

/// [`deviate_rows`] for `n` contiguous elements, in rows of `width`. The last row may be shorter. Called inside
/// [`Isa::enter`].
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
/// - `near` is valid for reads of `width` elements, and `sums` and `squares` for reads and writes of `width`.
/// - `sums` and `squares` do not overlap each other or the other operands.
#[inline(always)]
unsafe fn deviate_packed<T: Part, I: Isa>(
    isa: I,
    near: *const T,
    sums: *mut T,
    squares: *mut T,
    src: *const T,
    n: usize,
    width: usize,
) where
    Sum: Combine<T>,
{
    let count = n / width;
    let rest = n - count * width;
    // SAFETY: `count * width + rest == n`, so all rows lie within `src`, and the caller guarantees `width` elements of
    // the other operands.
    unsafe {
        deviate_rows(isa, near, sums, squares, Packed { first: src, width, count }, if count > 0 { width } else { 0 });
        deviate_rows(isa, near, sums, squares, Packed { first: src.add(n - rest), width, count: 1 }, rest);
    }
}

/// The moments of a block: the sum, then the deviations of its elements from the mean.
struct Block<T>(Values<T>);

impl<T: Part> Work for Block<T>
where
    Sum: Combine<T>,
{
    type Out = Moments<T>;
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Moments<T> {
        let Values { src, n } = self.0;
        // SAFETY: `src` is valid for reads of `n` elements, by the contract of `Kind::block`. The lanes of a block fill
        // 256 bytes, so 64 elements are enough for them.
        unsafe {
            let near = T::near(Sum::block(isa, src, n), n);
            let mut room = [[Sum::IDENTITY; 64]; 3];
            let [nears, sums, squares] = &mut room;
            nears.fill(near);
            let (sums, squares) = (sums.as_mut_ptr(), squares.as_mut_ptr());
            deviate_packed(isa, nears.as_ptr(), sums, squares, src, n, lanes_of::<T>());
            halves::<T, Sum, I>(isa, sums, 1);
            halves::<T, Sum, I>(isa, squares, 1);
            T::moments(n, near, *sums, *squares)
        }
    }
}

impl<T: Part> Kind<T> for Deviations
where
    Sum: Combine<T>,
{
    type State = Moments<T>;
    // 64 rows of this size stay in the second-level cache until they are read again.
    const ROW_BYTES: usize = 4 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize, _: usize, _: Option<Moments<T>>) -> Moments<T> {
        Block(Values { src, n }).run(isa)
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(isa: I, kept: &mut Kept, rows: &[*const T], n: usize, _: usize, out: *mut Moments<T>) {
        struct Rows<'a, T> {
            room: &'a mut [T],
            rows: &'a [*const T],
            out: *mut Moments<T>,
        }
        impl<T: Part> Work for Rows<'_, T>
        where
            Sum: Combine<T>,
        {
            type Out = ();
            #[inline(always)]
            fn run<I: Isa>(self, isa: I) {
                let n = self.room.len() / 3;
                self.room.fill(Sum::IDENTITY);
                let (near, rest) = self.room.split_at_mut(n);
                let (sums, squares) = rest.split_at_mut(n);
                let count = self.rows.len();
                // SAFETY: each row has n elements and `out` has room for n results, by the contract of `Kind::rows`.
                // `near`, `sums` and `squares` have n elements each.
                unsafe {
                    Sum::rows(isa, near.as_mut_ptr(), self.rows, n);
                    near.iter_mut().for_each(|x| *x = T::near(*x, count));
                    deviate_rows(isa, near.as_ptr(), sums.as_mut_ptr(), squares.as_mut_ptr(), self.rows, n);
                    for i in 0..n {
                        self.out.add(i).write(T::moments(count, near[i], sums[i], squares[i]));
                    }
                }
            }
        }
        Rows { room: kept.elements(3 * n), rows, out }.run(isa);
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(isa: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut Moments<T>) {
        struct Deviate3<'a, T>(&'a mut [T], *const T, usize, usize);
        impl<T: Part> Work for Deviate3<'_, T>
        where
            Sum: Combine<T>,
        {
            type Out = ();
            #[inline(always)]
            fn run<I: Isa>(self, isa: I) {
                let Deviate3(room, src, n, width) = self;
                let all = lanes_of::<T>() * width;
                let (near, rest) = room.split_at_mut(all);
                rest.fill(Sum::IDENTITY);
                let (sums, squares) = rest.split_at_mut(all);
                let (sums, squares) = (sums.as_mut_ptr(), squares.as_mut_ptr());
                // SAFETY: `src` has n elements, by the contract of `Kind::narrow`. `near`, `sums` and `squares` have a
                // row of `width` elements for each lane.
                unsafe {
                    deviate_packed(isa, near.as_ptr(), sums, squares, src, n, all);
                    halves::<T, Sum, I>(isa, sums, width);
                    halves::<T, Sum, I>(isa, squares, width);
                }
            }
        }
        let all = lanes_of::<T>() * width;
        let count = n / width;
        let room = kept.elements::<T>(3 * all);
        // SAFETY: `src` has n elements, which the caller guarantees. `room` has a row of `width` elements for each
        // lane.
        unsafe {
            narrow(fold_bytes::<T, Sum, I>, size_of::<T>(), room.as_mut_ptr().cast(), src.cast(), n, width);
        }
        for i in 0..all {
            room[i] = if i < width { T::near(room[i], count) } else { room[i - width] };
        }
        Deviate3(room, src, n, width).run(isa);
        for i in 0..width {
            // SAFETY: `out` has room for `width` results, which the caller guarantees.
            unsafe { out.add(i).write(T::moments(count, room[i], room[all + i], room[2 * all + i])) };
        }
    }

    #[inline(always)]
    fn merge(left: &mut Moments<T>, right: Moments<T>) {
        left.combine(right);
    }

    #[inline(always)]
    fn merge_all(left: &mut [Moments<T>], right: &[Moments<T>]) {
        // All columns of a block have the same number of rows.
        let weights = T::weights(left[0].count, right[0].count);
        left.iter_mut().zip(right).for_each(|(l, r)| T::merge(l, *r, weights));
    }
}
