//! Products of half floats, which are widened while they are packed, and added up in f32.

use super::pack::{Widen, Widened};
use super::{Direct, Kernel, Matrix, Tile};
use crate::lanes::Isa;
use polyarray_core::{Result, bf16, f16};
use std::marker::PhantomData;

/// A float that is stored narrow and computed in f32.
pub(crate) trait Half: Widen<Wide = f32> {
    fn narrow(wide: f32) -> Self;
}

macro_rules! halves {
    ($($T:ident)*) => { $(
        impl Widen for $T {
            type Wide = f32;
            const ZERO: f32 = 0.0;
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
        }
        impl Half for $T {
            #[inline(always)]
            fn narrow(wide: f32) -> $T {
                $T::from_f32(wide)
            }
        }
    )* };
}
halves!(f16 bf16);

/// The kernel of half floats. Its C has elements of f32.
pub(crate) struct Halves<I: Isa, T> {
    isa: I,
    wide: Direct<I, f32>,
    element: PhantomData<T>,
}

impl<I: Isa, T: Half> Halves<I, T> {
    pub(crate) fn new(isa: I) -> Halves<I, T> {
        Halves { isa, wide: Direct::new(isa), element: PhantomData }
    }
}

impl<I: Isa, T: Half> Kernel for Halves<I, T> {
    type Element = T;
    type Sum = f32;

    fn rows(&self) -> usize {
        self.wide.rows()
    }

    fn columns(&self) -> usize {
        self.wide.columns()
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        self.wide.panel_bytes(depth)
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        self.isa.enter(Widened { from: from.transposed(), depth, columns: rows, width: self.rows(), to: to.cast() });
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.isa.enter(Widened { from, depth, columns, width: self.columns(), to: to.cast() });
    }

    unsafe fn tile(&self, t: Tile<T, f32>) -> Result<()> {
        let Tile { depth, a, b, c, ldc, at, add, last, rows, columns, plane, room } = t;
        let (a, b) = (a.cast(), b.cast());
        // SAFETY: the caller guarantees the contract of `Kernel::tile`; the panels contain f32.
        unsafe { self.wide.tile(Tile { depth, a, b, c, ldc, at, add, last, rows, columns, plane, room }) }
    }
}
