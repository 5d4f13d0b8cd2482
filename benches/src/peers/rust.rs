//! Rust libraries that multiply matrices. `ndarray` is also measured on `add`, `mul` and `sum`.

use super::{Float, Shape, Work, product};
use crate::cases::{Kernel, Number};
use crate::problem::Problem;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Zip};

/// The libraries, by the names of their columns.
pub(super) const NAMES: &[&str] = &["ndarray", "faer", "gemm", "matrixmultiply"];

/// The type of `matrixmultiply::sgemm` and `dgemm`.
type Gemm<T> =
    unsafe fn(usize, usize, usize, T, *const T, isize, isize, *const T, isize, isize, T, *mut T, isize, isize);

/// A float type that all of these libraries support.
pub(super) trait Everywhere: Float + ndarray::LinalgScalar + faer::traits::ComplexField {
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
    match (name, problem.case.name, &problem.case.kernel) {
        (_, _, Kernel::Matmul(_)) => match name {
            "ndarray" => product(problem, operands, by_ndarray::<T>),
            "faer" => product(problem, operands, move |shape, a, b, c| by_faer(shape, a, b, c, threads)),
            "gemm" => product(problem, operands, move |shape, a, b, c| by_gemm(shape, a, b, c, threads)),
            "matrixmultiply" => product(problem, operands, by_matrixmultiply::<T>),
            _ => None,
        },
        ("ndarray", "add", _) => Some(elementwise(operands, |x, y| x + y)),
        ("ndarray", "mul", _) => Some(elementwise(operands, |x, y| x * y)),
        ("ndarray", "sum", _) => Some(Box::new(Sum { x: ArrayView1::from(operands.0), total: None })),
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

struct Elementwise<'a, T, F> {
    x: ArrayView1<'a, T>,
    y: ArrayView1<'a, T>,
    out: ndarray::Array1<T>,
    f: F,
}

fn elementwise<'a, T: Everywhere>((x, y): (&'a [T], &'a [T]), f: impl Fn(T, T) -> T + 'a) -> Box<dyn Work + 'a> {
    Box::new(Elementwise { x: ArrayView1::from(x), y: ArrayView1::from(y), out: ndarray::Array1::zeros(x.len()), f })
}

impl<T: Everywhere, F: Fn(T, T) -> T> Work for Elementwise<'_, T, F> {
    fn run(&mut self) {
        Zip::from(&mut self.out).and(&self.x).and(&self.y).for_each(|out, &x, &y| *out = (self.f)(x, y));
        std::hint::black_box(&mut self.out);
    }

    fn values(&self) -> Vec<f64> {
        self.out.iter().map(|x| x.to_wide().real()).collect()
    }
}

struct Sum<'a, T> {
    x: ArrayView1<'a, T>,
    total: Option<T>,
}

impl<T: Everywhere> Work for Sum<'_, T> {
    fn run(&mut self) {
        self.total = Some(std::hint::black_box(self.x).sum());
    }

    fn values(&self) -> Vec<f64> {
        self.total.iter().map(|x| x.to_wide().real()).collect()
    }
}
