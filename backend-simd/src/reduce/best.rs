//! Indices of minima and maxima.

use super::fold::{Block, Combine, Max, Min};
use super::kind::{Kept, Kind, State, Values};
use crate::lanes::{Isa, Work};
use polyarray_core::Element;
use std::marker::PhantomData;

/// The comparison of two elements.
pub(super) trait Wins<T: Copy>: Combine<T> {
    /// Returns whether the later element `x` is better than `best`. Always false if they are equal or `best` is NaN.
    fn wins(x: T, best: T) -> bool;
}

/// An element type with an order, and an integer type of its size.
pub(super) trait Ordered: Element + PartialOrd {
    /// An integer for the rows of a block, of the size of an element, so that one vector holds the indices for the
    /// elements of another.
    type Count: Copy + Default + Ord + Send + Sync;
    fn count(i: usize) -> Self::Count;
    fn index(count: Self::Count) -> usize;
    /// Returns the element's bits in a u64.
    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
}

macro_rules! ordered {
    ($($T:ident $Count:ident |$x:ident| $bits:expr, |$b:ident| $of:expr;)*) => { $(
        impl Ordered for $T {
            type Count = $Count;
            #[inline(always)]
            fn count(i: usize) -> $Count {
                i as $Count
            }
            #[inline(always)]
            fn index(count: $Count) -> usize {
                count as usize
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                let $x = self;
                $bits
            }
            #[inline(always)]
            fn of_bits($b: u64) -> $T {
                $of
            }
        }
    )* };
}
ordered! {
    u8 u8 |x| x as u64, |b| b as u8;
    i8 u8 |x| x as u64, |b| b as i8;
    u16 u16 |x| x as u64, |b| b as u16;
    i16 u16 |x| x as u64, |b| b as i16;
    u32 u32 |x| x as u64, |b| b as u32;
    i32 u32 |x| x as u64, |b| b as i32;
    u64 u64 |x| x as u64, |b| b as u64;
    i64 u64 |x| x as u64, |b| b as i64;
    f32 u32 |x| u64::from(x.to_bits()), |b| f32::from_bits(b as u32);
    f64 u64 |x| x.to_bits(), |b| f64::from_bits(b);
}

// NaN replaces every other element and is never replaced, so the comparison is `!(x <= best)` rather than `x > best`.
impl<T: Ordered> Wins<T> for Max
where
    Max: Combine<T>,
{
    #[inline(always)]
    #[expect(
        clippy::neg_cmp_op_on_partial_ord,
        clippy::eq_op,
        reason = "NaN is neither above nor at most, and not equal to itself"
    )]
    fn wins(x: T, best: T) -> bool {
        !(x <= best) & (best == best)
    }
}
impl<T: Ordered> Wins<T> for Min
where
    Min: Combine<T>,
{
    #[inline(always)]
    #[expect(
        clippy::neg_cmp_op_on_partial_ord,
        clippy::eq_op,
        reason = "NaN is neither below nor at least, and not equal to itself"
    )]
    fn wins(x: T, best: T) -> bool {
        !(x >= best) & (best == best)
    }
}

/// The reduction to the index of the best element by `K`.
pub(super) struct Best<K>(PhantomData<K>);

/// An element as bits, and its index.
#[derive(Clone, Copy)]
pub(super) struct Found {
    bits: u64,
    index: i64,
}

impl State for Found {
    type Gives = i64;
    fn give(self) -> i64 {
        self.index
    }
}

/// Finds the first element of a block that equals `best`, the best element of the block, or that is NaN if `best` is
/// NaN.
struct Find<T>(Values<T>, T);

impl<T: Ordered> Work for Find<T> {
    type Out = usize;
    #[inline(always)]
    #[expect(clippy::eq_op, reason = "NaN is not equal to itself")]
    fn run<I: Isa>(self, _: I) -> usize {
        const STRIDE: usize = 64;
        let Find(Values { src, n }, best) = self;
        let nan = best != best;
        let mut start = 0;
        // SAFETY: all indices are below n, and n elements are readable by the contract of `Kind::block`.
        unsafe {
            while start + STRIDE <= n {
                let mut any = false;
                for i in start..start + STRIDE {
                    let x = *src.add(i);
                    any |= (x == best) | (nan & (x != x));
                }
                if any {
                    break;
                }
                start += STRIDE;
            }
            // The least index among the equal ones, without branches.
            let end = n.min(start + STRIDE) - start;
            let mut least = T::count(end);
            for i in 0..end {
                let x = *src.add(start + i);
                let found = (x == best) | (nan & (x != x));
                least = least.min(if found { T::count(i) } else { T::count(end) });
            }
            let least = T::index(least);
            assert!(least < end, "internal error: the best value is not an element of its block");
            start + least
        }
    }
}

/// Blocks shorter than this are searched element by element.
const SHORT: usize = 16;

impl<T: Ordered, K: Wins<T>> Kind<T> for Best<K> {
    type State = Found;
    const ROW_BYTES: usize = 8 << 10;

    const TREE: bool = false;

    #[inline(always)]
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize, first: usize, mut best: Option<Found>) -> Found {
        if n < SHORT {
            for i in 0..n {
                // SAFETY: i < n, and the caller guarantees n readable elements.
                let value = unsafe { *src.add(i) };
                if best.is_none_or(|b| K::wins(value, T::of_bits(b.bits))) {
                    best = Some(Found { bits: value.bits(), index: (first + i) as i64 });
                }
            }
            return best.expect("internal error: a block has no element");
        }
        let values = Values { src, n };
        let value = isa.enter(Block::<T, K>(values, PhantomData));
        match best {
            Some(best) if !K::wins(value, T::of_bits(best.bits)) => best,
            _ => Found { bits: value.bits(), index: (first + isa.enter(Find(values, value))) as i64 },
        }
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(isa: I, kept: &mut Kept, rows: &[*const T], n: usize, first: usize, out: *mut Found) {
        Rows::<T, K> { kept: kept.elements(2 * n), rows, first, out, kind: PhantomData }.run(isa);
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(_: I, _: &mut Kept, _: *const T, _: usize, _: usize, _: *mut Found) {
        unreachable!("internal error: index reductions do not support narrow rows; core must use Order::Rows")
    }

    #[inline(always)]
    fn merge(left: &mut Found, right: Found) {
        if K::wins(T::of_bits(right.bits), T::of_bits(left.bits)) {
            *left = right;
        }
    }
}

/// Compares `R` rows with the best elements. The first row has index `first`.
///
/// # Safety
/// - Each row has at least as many elements as `values`.
#[inline(always)]
unsafe fn some_rows<T: Ordered, K: Wins<T>, const R: usize>(
    values: &mut [T],
    counts: &mut [T::Count],
    rows: [&[T]; R],
    first: usize,
) {
    let n = values.len().min(counts.len());
    for i in 0..n {
        let (mut best, mut at) = (values[i], counts[i]);
        for (r, row) in rows.iter().enumerate() {
            // SAFETY: `i < values.len()`, and rows have at least as many elements, which the caller guarantees.
            let x = unsafe { *row.get_unchecked(i) };
            let better = K::wins(x, best);
            best = if better { x } else { best };
            at = if better { T::count(first + r) } else { at };
        }
        values[i] = best;
        counts[i] = at;
    }
}

struct Rows<'a, T, K> {
    /// The best elements so far, followed by the indices of their rows.
    kept: &'a mut [T],
    rows: &'a [*const T],
    first: usize,
    out: *mut Found,
    kind: PhantomData<K>,
}

impl<T: Ordered, K: Wins<T>> Work for Rows<'_, T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Rows { kept, rows, first, out, .. } = self;
        const { assert!(size_of::<T::Count>() == size_of::<T>() && align_of::<T::Count>() == align_of::<T>()) };
        let n = kept.len() / 2;
        let values = kept.as_mut_ptr();
        // SAFETY: each row has n readable elements and `out` has room for n results, by the contract of `Kind::rows`.
        // The first half of `kept` holds the n best elements. The second half holds the n row indices, which have the
        // size and alignment of elements; zeros are valid indices.
        unsafe {
            let counts = values.add(n).cast::<T::Count>();
            std::ptr::copy_nonoverlapping(rows[0], values, n);
            std::ptr::write_bytes(counts, 0, n);
            let (values, counts) =
                (std::slice::from_raw_parts_mut(values, n), std::slice::from_raw_parts_mut(counts, n));
            let mut r = 1;
            while r + 4 <= rows.len() {
                let row = |r: usize| std::slice::from_raw_parts(rows[r], n);
                some_rows::<T, K, 4>(values, counts, [row(r), row(r + 1), row(r + 2), row(r + 3)], r);
                r += 4;
            }
            for (r, row) in rows.iter().enumerate().skip(r) {
                some_rows::<T, K, 1>(values, counts, [std::slice::from_raw_parts(*row, n)], r);
            }
            for i in 0..n {
                out.add(i).write(Found { bits: values[i].bits(), index: (first + T::index(counts[i])) as i64 });
            }
        }
    }
}
