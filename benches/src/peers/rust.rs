//! Rust libraries that multiply matrices. `ndarray` and `faer` are also measured on other work: see [`super::small`].

use super::{Float, Shape, Work, product, small};
use crate::cases::{Kernel, Number};
use crate::problem::Problem;
use ndarray::{ArrayView2, ArrayViewMut2};

/// The libraries, by the names of their columns.
pub(super) const NAMES: &[&str] = &["ndarray", "faer", "gemm", "matrixmultiply"];

/// The type of `matrixmultiply::sgemm` and `dgemm`.
type Gemm<T> =
    unsafe fn(usize, usize, usize, T, *const T, isize, isize, *const T, isize, isize, T, *mut T, isize, isize);

/// A float type that all of these libraries support.
pub(super) trait Everywhere: Float + ndarray::NdFloat + faer::traits::ComplexField {
    /// The function of `matrixmultiply` for this type.
    const GEMM: Gemm<Self>;
}

impl Everywhere for f32 {
    const GEMM: Gemm<f32> = matrixmultiply::sgemm;
}

impl Everywhere for f64 {
    const GEMM: Gemm<f64> = matrixmultiply::dgemm;
}

/// Returns the problem bound to the library `name`; `None` if the library does not support it.
pub(super) fn work<'a, T: Everywhere, P: Number>(
    name: &str,
    problem: &Problem<P>,
    operands: (&'a [T], &'a [T]),
    threads: usize,
) -> Option<Box<dyn Work + 'a>> {
    match (&problem.case.kernel, name) {
        (Kernel::Matmul(_), "ndarray") => product(problem, operands, by_ndarray::<T>),
        (Kernel::Matmul(_), "faer") => {
            product(problem, operands, move |shape, a, b, c| by_faer(shape, a, b, c, threads))
        }
        (Kernel::Matmul(_), "gemm") => {
            product(problem, operands, move |shape, a, b, c| by_gemm(shape, a, b, c, threads))
        }
        (Kernel::Matmul(_), "matrixmultiply") => product(problem, operands, by_matrixmultiply::<T>),
        (_, "ndarray") => small::by_ndarray(problem.case, &problem.shape, operands),
        (_, "faer") => small::by_faer(problem.case, &problem.shape, operands),
        _ => None,
    }
}

fn by_ndarray<T: Everywhere>(shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
    let Shape { m, k, n, transposed } = shape;
    let view = |rows, columns, data| {
        let lens = if transposed { (columns, rows) } else { (rows, columns) };
        let view = ArrayView2::from_shape(lens, data).expect("matrices of these lengths");
        if transposed { view.reversed_axes() } else { view }
    };
    let mut c = ArrayViewMut2::from_shape((m, n), c).expect("a matrix of these lengths");
    ndarray::linalg::general_mat_mul(T::one(), &view(m, k, a), &view(k, n, b), T::zero(), &mut c);
}

fn by_faer<T: Everywhere>(shape: Shape, a: &[T], b: &[T], c: &mut [T], threads: usize) {
    use faer::MatRef;
    let Shape { m, k, n, transposed } = shape;
    let par = if threads > 1 { faer::Par::rayon(threads) } else { faer::Par::Seq };
    let view = |data, rows, columns| {
        if transposed {
            MatRef::from_column_major_slice(data, rows, columns)
        } else {
            MatRef::from_row_major_slice(data, rows, columns)
        }
    };
    let (a, b) = (view(a, m, k), view(b, k, n));
    let c = faer::MatMut::from_row_major_slice_mut(c, m, n);
    faer::linalg::matmul::matmul(c, faer::Accum::Replace, a, b, T::one(), par);
}

fn by_gemm<T: Everywhere>(shape: Shape, a: &[T], b: &[T], c: &mut [T], threads: usize) {
    shape.check(a, b, c);
    let Shape { m, k, n, .. } = shape;
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    let (one, zero) = (T::one(), T::zero());
    let [[a_row, a_column], [b_row, b_column]] = shape.strides().map(|s| s.map(|s| s as isize));
    let (from, to) = ((a.as_ptr(), b.as_ptr()), c.as_mut_ptr());
    // SAFETY: `check` has verified that the slices have the lengths which these dimensions and strides require. c is
    // not read, and is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            to,
            1,
            n as isize,
            false,
            from.0,
            a_column,
            a_row,
            from.1,
            b_column,
            b_row,
            zero,
            one,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn by_matrixmultiply<T: Everywhere>(shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
    shape.check(a, b, c);
    let Shape { m, k, n, .. } = shape;
    let [[a_row, a_column], [b_row, b_column]] = shape.strides().map(|s| s.map(|s| s as isize));
    // SAFETY: `check` has verified that the slices have the lengths which these dimensions and strides require. c is
    // borrowed exclusively.
    unsafe {
        T::GEMM(
            m,
            k,
            n,
            T::one(),
            a.as_ptr(),
            a_row,
            a_column,
            b.as_ptr(),
            b_row,
            b_column,
            T::zero(),
            c.as_mut_ptr(),
            n as isize,
            1,
        )
    };
}
