//! Distances through the loops of matrix products: X times the transpose of Y, with another inner step.
//!
//! Coordinates are subtracted before they are squared, so nothing cancels: distances are accurate even for nearly
//! equal points far from the origin. This takes twice the arithmetic of the identity |x|^2 + |y|^2 - 2 x.y, but that
//! identity would need a correction for cancellation.

use crate::exec::Access;
use crate::gemm::{AbsDiff, Direct, Matrix, Product, SquareDiff, Written, product};
use crate::lanes::{Isa, Real};
use crate::matmul::{in_place, prepare};
use crate::threads::Shared;
use crate::tier::Tier;
use polyarray_core::op::{Distance, Metric, Operand};
use polyarray_core::{Buffer, Result};
use smallvec::SmallVec;

/// Runs distances that `estimate` accepted. `tier` is the tier of the token `isa`.
pub(crate) fn run<I: Isa, T: Real>(
    isa: I,
    tier: &'static Tier,
    op: &Distance,
    threads: usize,
    output: &Buffer,
) -> Result<()> {
    let start = |o: &Operand| -> *const T {
        o.buffer.host_ptr().expect("core moves operands to host memory").as_ptr().cast::<T>().wrapping_add(o.offset)
    };
    let matrix = |o: &Operand| Matrix { at: start(o), row: o.strides[0], column: o.strides[1] };
    let (x, y) = (matrix(&op.x), matrix(&op.y));
    let c = Shared(output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<T>());
    let p = Product {
        m: op.n,
        n: op.m,
        k: op.d,
        a: x,
        b: Matrix { row: y.column, column: y.row, ..y },
        c,
        ldc: op.m,
        add: false,
        beside: 1,
    };
    let after = prepare(tier, &op.after, &op.after_params, &[Access::Contiguous]);
    let then = |mut done: Written<T>| {
        let Some(exec) = &after else { return Ok(()) };
        let mut strips = exec.strips()?;
        done.pieces()
            .for_each(|(_, piece)| in_place(exec, &mut strips, piece, SmallVec::from_slice(&[std::ptr::null()]), &[]));
        Ok(())
    };
    let (squares, sums, dots) = (Direct::with::<SquareDiff>(isa), Direct::with::<AbsDiff>(isa), Direct::new(isa));
    // SAFETY: X is [n, d] and Y [m, d] inside their buffers, the output is [n, m] in C order, and the operands do not
    // overlap the output (invariants of `Distance`).
    unsafe {
        match op.metric {
            Metric::SqEuclidean => product(&squares, p, threads, after.is_some().then_some(&then)),
            Metric::Cityblock => product(&sums, p, threads, after.is_some().then_some(&then)),
            Metric::Euclidean => product(
                &squares,
                p,
                threads,
                Some(&|mut done: Written<T>| {
                    done.pieces().for_each(|(_, piece)| isa.enter(Roots(piece)));
                    then(done)
                }),
            ),
            Metric::Cosine => {
                let (nx, ny) = (norms(x, op.n, op.d), norms(y, op.m, op.d));
                product(
                    &dots,
                    p,
                    threads,
                    Some(&|mut done: Written<T>| {
                        let column = done.column;
                        for (row, piece) in done.pieces() {
                            for (dot, ny) in piece.iter_mut().zip(&ny[column..]) {
                                *dot = T::from_f64(1.0 - dot.to_f64() / (nx[row] * ny));
                            }
                        }
                        then(done)
                    }),
                )
            }
        }
    }
}

struct Roots<'a, T>(&'a mut [T]);

impl<T: Real> crate::lanes::Work for Roots<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for x in self.0 {
            *x = x.root();
        }
    }
}

/// Returns the lengths of the rows of a matrix `[rows, columns]`.
///
/// # Safety
/// - the matrix is valid for reads of that shape.
unsafe fn norms<T: Real>(matrix: Matrix<T>, rows: usize, columns: usize) -> Vec<f64> {
    let square = |i: usize, j: usize| {
        // SAFETY: `i < rows` and `j < columns`, for which the caller guarantees valid reads.
        let x = unsafe { *matrix.from(i, j).at }.to_f64();
        x * x
    };
    (0..rows).map(|i| (0..columns).map(|j| square(i, j)).sum::<f64>().sqrt()).collect()
}
