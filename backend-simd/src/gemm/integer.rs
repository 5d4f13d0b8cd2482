//! Products of integers, which wrap: computed in 32 bits for types of at most 32 bits, in 64 bits for the others.
//! Bits above an integer's width never affect the bits below, so sums may be truncated to that width at any time.

use super::pack::{Widen, Widened};
use super::{Finish, Kernel, Matrix, Product, Tile, slim};
use crate::lanes::{Isa, Work};
use polyarray_core::Result;
use std::marker::PhantomData;

/// An integer whose products are added up in a wide type.
pub(crate) trait Integer: Widen<Wide: Wide> {
    fn narrow(wide: Self::Wide) -> Self;
}

/// The type that vectors multiply.
pub(crate) trait Wide: Copy {
    /// Returns `self + a * b`, wrapping.
    fn plus_product(self, a: Self, b: Self) -> Self;
    fn plus(self, o: Self) -> Self;
}

macro_rules! integers {
    ($($Wide:ident: $($T:ident)*;)*) => { $(
        impl Wide for $Wide {
            #[inline(always)]
            fn plus_product(self, a: Self, b: Self) -> Self {
                self.wrapping_add(a.wrapping_mul(b))
            }
            #[inline(always)]
            fn plus(self, o: Self) -> Self {
                self.wrapping_add(o)
            }
        }
        $( impl Widen for $T {
            type Wide = $Wide;
            const ZERO: $Wide = 0;
            #[inline(always)]
            fn widen(self) -> $Wide {
                self as $Wide
            }
        }
        impl Integer for $T {
            #[inline(always)]
            fn narrow(wide: $Wide) -> $T {
                wide as $T
            }
        } )*
    )* };
}
integers! {
    i32: i8 i16 i32;
    u32: u8 u16 u32;
    i64: i64 u64;
}

/// The rows of a tile.
const ROWS: usize = 6;
/// The columns of a tile: two AVX-512 vectors of 32-bit elements, or four of 64-bit ones.
const COLUMNS: usize = 32;

/// The kernel of integers whose products have type `S`.
pub(crate) struct Integers<I, T, S = T> {
    isa: I,
    types: PhantomData<(T, S)>,
}

impl<I: Isa, T: Integer, S: Integer<Wide = T::Wide>> Integers<I, T, S> {
    pub(crate) fn new(isa: I) -> Integers<I, T, S> {
        Integers { isa, types: PhantomData }
    }
}

impl<I: Isa, T: Integer, S: Integer<Wide = T::Wide>> Kernel for Integers<I, T, S> {
    type Element = T;
    type Sum = S;

    fn rows(&self) -> usize {
        ROWS
    }

    fn columns(&self) -> usize {
        COLUMNS
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        [ROWS, COLUMNS].map(|width| width * depth * size_of::<T::Wide>())
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        self.isa.enter(Widened { from: from.transposed(), depth, columns: rows, width: ROWS, to: to.cast() });
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.isa.enter(Widened { from, depth, columns, width: COLUMNS, to: to.cast() });
    }

    unsafe fn slim(&self, p: Product<T, S>, threads: usize, finish: Option<Finish<S>>) -> Option<Result<()>> {
        // SAFETY: the contract of `product`, which the caller guarantees.
        slim::is_slim(&p).then(|| unsafe { slim::run(self.isa, p, threads, finish) })
    }

    unsafe fn tile(&self, t: Tile<T, S>) -> Result<()> {
        self.isa.enter(Run(t));
        Ok(())
    }
}

struct Run<T, S>(Tile<T, S>);

impl<T: Integer, S: Integer<Wide = T::Wide>> Work for Run<T, S> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let t = self.0;
        let (a, b) = (t.a.panel().cast::<[T::Wide; ROWS]>(), t.b.panel().cast::<[T::Wide; COLUMNS]>());
        let mut sums = [[T::ZERO; COLUMNS]; ROWS];
        for p in 0..t.depth {
            // SAFETY: `p < depth`, and the panels have rows of `ROWS` and `COLUMNS` elements for each step (the
            // contract of `Kernel::tile`).
            let (x, y) = unsafe { (&*a.add(p), &*b.add(p)) };
            for r in 0..ROWS {
                for j in 0..COLUMNS {
                    sums[r][j] = sums[r][j].plus_product(x[r], y[j]);
                }
            }
        }
        for (r, row) in sums.iter().enumerate().take(t.rows) {
            for (j, sum) in row.iter().enumerate().take(t.columns) {
                // SAFETY: `r < rows` and `j < columns`, so this is an element of C (the contract of `Kernel::tile`).
                unsafe {
                    let to = t.c.add(r * t.ldc + j);
                    *to = S::narrow(if t.add { (*to).widen().plus(*sum) } else { *sum });
                }
            }
        }
    }
}
