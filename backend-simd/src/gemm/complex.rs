//! Products of complex matrices as products of real ones: `[m, k] @ [k, n]` becomes `[m, 2k] @ [2k, 2n]`, with the
//! real and imaginary parts of A side by side, and each row of B followed by the same row times i. This takes only
//! the four multiplications of the definition, and the result has the layout of complex numbers.

use super::slim::{self, Summand};
use super::{Direct, Finish, Kernel, Matrix, Product, Tile, pack};
use crate::lanes::{Isa, Real, Work};
use polyarray_core::{Complex, Result};

/// The kernel of complex numbers with parts of type `T`.
pub(crate) struct Interleaved<I: Isa, T: Real> {
    isa: I,
    parts: Direct<I, T>,
}

impl<I: Isa, T: Real> Interleaved<I, T> {
    pub(crate) fn new(isa: I) -> Interleaved<I, T> {
        Interleaved { isa, parts: Direct::new(isa) }
    }
}

impl<I: Isa, T: Real> Kernel for Interleaved<I, T>
where
    Complex<T>: Summand<Complex<T>>,
{
    type Element = Complex<T>;
    type Sum = Complex<T>;

    fn rows(&self) -> usize {
        self.parts.rows()
    }

    fn columns(&self) -> usize {
        self.parts.columns() / 2
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        self.parts.panel_bytes(2 * depth)
    }

    unsafe fn pack_a(&self, from: Matrix<Complex<T>>, rows: usize, depth: usize, to: *mut u8) {
        if from.column == 1 {
            // A row of complex numbers is a row of twice as many parts.
            let parts = Matrix { at: from.at.cast::<T>(), row: 2 * from.row, column: 1 };
            return self.isa.enter(pack::Panels {
                from: parts.transposed(),
                depth: 2 * depth,
                columns: rows,
                width: self.rows(),
                to: to.cast(),
            });
        }
        self.isa.enter(Rows { from, rows, depth, width: self.rows(), to: to.cast() });
    }

    unsafe fn pack_b(&self, from: Matrix<Complex<T>>, depth: usize, columns: usize, to: *mut u8) {
        self.isa.enter(Columns { from, columns, depth, width: self.columns(), to: to.cast() });
    }

    unsafe fn slim(
        &self,
        p: Product<Complex<T>, Complex<T>>,
        threads: usize,
        finish: Option<Finish<Complex<T>>>,
    ) -> Option<Result<()>> {
        // SAFETY: the contract of `product`, which the caller guarantees.
        slim::is_slim(&p).then(|| unsafe { slim::run(self.isa, p, threads, finish) })
    }

    unsafe fn tile(&self, t: Tile<Complex<T>, Complex<T>>) -> Result<()> {
        let parts = Tile {
            depth: 2 * t.depth,
            a: t.a.cast(),
            b: t.b.cast(),
            c: t.c.cast::<T>(),
            ldc: 2 * t.ldc,
            at: [t.at[0], 2 * t.at[1]],
            add: t.add,
            last: t.last,
            rows: t.rows,
            columns: 2 * t.columns,
            plane: 0,
            room: t.room,
        };
        // SAFETY: the caller guarantees the contract of `Kernel::tile`; a complex number is two adjacent parts.
        unsafe { self.parts.tile(parts) }
    }
}

/// Panels of A: for each step the real parts of the rows, then the imaginary parts.
struct Rows<T> {
    from: Matrix<Complex<T>>,
    rows: usize,
    depth: usize,
    width: usize,
    to: *mut T,
}

impl<T: Real> Work for Rows<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Rows { from, rows, depth, width, to } = self;
        let zero = Complex::new(T::from_f64(0.0), T::from_f64(0.0));
        for first in (0..rows).step_by(width) {
            for p in 0..depth {
                let to = to.wrapping_add((first * depth + p * width) * 2);
                for r in 0..width {
                    // SAFETY: the rows and steps exist, and the places are in the panel (the contract of `pack_a`).
                    // Complex numbers have the alignment of their parts.
                    unsafe {
                        let z = if first + r < rows { *from.from(first + r, p).at } else { zero };
                        *to.add(r) = z.re;
                        *to.add(width + r) = z.im;
                    }
                }
            }
        }
    }
}

/// Panels of B: each row, then the row times i.
struct Columns<T> {
    from: Matrix<Complex<T>>,
    columns: usize,
    depth: usize,
    width: usize,
    to: *mut T,
}

impl<T: Real> Work for Columns<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Columns { from, columns, depth, width, to } = self;
        let zero = Complex::new(T::from_f64(0.0), T::from_f64(0.0));
        let nothing = T::from_f64(0.0);
        for first in (0..columns).step_by(width) {
            for p in 0..depth {
                let row = to.wrapping_add((first * depth + p * width) * 4).cast::<Complex<T>>();
                for j in 0..width {
                    // SAFETY: the columns and steps exist, and the places are in the panel (the contract of
                    // `pack_b`).
                    unsafe {
                        let z = if first + j < columns { *from.from(p, first + j).at } else { zero };
                        *row.add(j) = z;
                        *row.add(width + j) = Complex::new(nothing.minus(z.im), z.re);
                    }
                }
            }
        }
    }
}
