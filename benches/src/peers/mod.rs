//! Other libraries, measured on the same inputs as the devices: the alternatives that users have.
//!
//! A CBLAS library given by its path can always be measured. The Rust libraries require the feature `peers`.

mod blas;
#[cfg(feature = "peers")]
mod rust;
#[cfg(feature = "peers")]
mod small;

pub use blas::Blas;

use crate::cases::{Form, Kernel, Number};
use crate::problem::Problem;

/// Returns the names of the Rust libraries that this build measures.
pub fn names() -> &'static [&'static str] {
    #[cfg(feature = "peers")]
    return rust::NAMES;
    #[cfg(not(feature = "peers"))]
    &[]
}

/// A problem bound to another library.
pub trait Work {
    /// Computes the result once.
    fn run(&mut self);
    /// Returns the last result, in C order.
    fn values(&self) -> Vec<f64>;
}

/// A float type that other libraries support.
pub(crate) trait Float: Number {
    /// The letter of CBLAS functions for this type.
    const LETTER: char;
}

impl Float for f32 {
    const LETTER: char = 's';
}

impl Float for f64 {
    const LETTER: char = 'd';
}

/// The shape of a matrix product: `[m, k] @ [k, n]`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// Whether the matrices are given as their transposes, `[k, m]` and `[n, k]`.
    pub transposed: bool,
}

impl Shape {
    /// Returns the shape of the problem if it is a matrix product without epilogue.
    fn of<T: Number>(problem: &Problem<T>) -> Option<Shape> {
        match (&problem.case.kernel, &problem.shape[..]) {
            (&Kernel::Matmul(form @ (Form::Plain | Form::Transposed)), &[.., m, k, n]) => {
                Some(Shape { m, k, n, transposed: form == Form::Transposed })
            }
            _ => None,
        }
    }

    /// Returns the distances between rows and between columns, of A and of B.
    #[cfg(feature = "peers")]
    pub fn strides(self) -> [[usize; 2]; 2] {
        let Shape { m, k, n, transposed } = self;
        if transposed { [[1, m], [1, k]] } else { [[k, 1], [n, 1]] }
    }

    /// Checks the lengths of slices that hold matrices of this shape.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn check<T>(self, a: &[T], b: &[T], c: &[T]) {
        let Shape { m, k, n, .. } = self;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "slices must have m*k, k*n and m*n elements");
    }
}

/// A matrix product, computed by a function that multiplies one matrix of the batch: `gemm(shape, a, b, c)` writes c.
struct Product<'a, T, F> {
    a: &'a [T],
    b: &'a [T],
    c: Vec<T>,
    shape: Shape,
    gemm: F,
}

impl<T: Number, F: FnMut(Shape, &[T], &[T], &mut [T])> Work for Product<'_, T, F> {
    fn run(&mut self) {
        let Shape { m, k, n, .. } = self.shape;
        for ((a, b), c) in
            self.a.chunks_exact(m * k).zip(self.b.chunks_exact(k * n)).zip(self.c.chunks_exact_mut(m * n))
        {
            (self.gemm)(self.shape, a, b, c);
        }
    }

    fn values(&self) -> Vec<f64> {
        self.c.iter().map(|x| x.to_wide().real()).collect()
    }
}

/// Returns the product of the problem's matrices, which are given as slices of their float type; `None` if the problem
/// is no plain product.
fn product<'a, T: Float + 'a, P: Number>(
    problem: &Problem<P>,
    (a, b): (&'a [T], &'a [T]),
    gemm: impl FnMut(Shape, &[T], &[T], &mut [T]) + 'a,
) -> Option<Box<dyn Work + 'a>> {
    let shape = Shape::of(problem)?;
    let len = problem.case.output_shape(&problem.shape).iter().product();
    Some(Box::new(Product { a, b, c: vec![T::default(); len], shape, gemm }))
}

/// Returns the problem bound to the library `name`, on `threads` threads; `None` if the library does not support the
/// problem.
pub fn work<'a, T: Number>(
    name: &str,
    blas: Option<&'a Blas>,
    problem: &'a Problem<T>,
    threads: usize,
) -> Option<Box<dyn Work + 'a>> {
    let last = problem.inputs.len() - 1;
    let (first, last) = (problem.slice(0), problem.slice(last));
    if let Some((a, b)) = T::as_f32(first).zip(T::as_f32(last)) {
        return float_work::<f32, T>(name, blas, problem, (a, b), threads);
    }
    T::as_f64(first)
        .zip(T::as_f64(last))
        .and_then(|operands| float_work::<f64, T>(name, blas, problem, operands, threads))
}

#[cfg(feature = "peers")]
use rust::Everywhere;
/// Any float type, where the Rust libraries are not compiled.
#[cfg(not(feature = "peers"))]
trait Everywhere: Float {}
#[cfg(not(feature = "peers"))]
impl<T: Float> Everywhere for T {}

fn float_work<'a, T: Everywhere, P: Number>(
    name: &str,
    blas: Option<&'a Blas>,
    problem: &Problem<P>,
    operands: (&'a [T], &'a [T]),
    threads: usize,
) -> Option<Box<dyn Work + 'a>> {
    if let Some(blas) = blas.filter(|b| b.name() == name) {
        let gemm = blas.gemm::<T>();
        return product(problem, operands, move |shape, a, b, c| gemm.multiply(shape, a, b, c));
    }
    #[cfg(feature = "peers")]
    return rust::work(name, problem, operands, threads);
    #[cfg(not(feature = "peers"))]
    {
        // Only the Rust libraries accept a number of threads. A BLAS reads its number from the environment when it is
        // loaded.
        let _ = threads;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Case;
    use crate::verify::Expected;

    /// Every library agrees with `scalar` on the cases that it supports, and supports matrix products.
    #[test]
    fn libraries_agree_with_scalar() {
        for name in names() {
            let products = [
                ("matmul", &[17, 33, 9][..]),
                ("matmul_transposed", &[17, 33, 9]),
                ("matmul_bias_relu", &[5, 5, 5]),
                ("matmul_batched", &[3, 8, 5, 7]),
            ];
            let small = crate::cases::SMALL.iter().flat_map(|(name, shapes)| shapes.iter().map(|s| (*name, *s)));
            let long = ["add", "mul", "sum"].map(|name| (name, &[1001][..]));
            let mut supported = 0;
            for (case, shape) in products.into_iter().chain(long).chain(small) {
                let case = Case::named(case).unwrap();
                let problem = Problem::<f64>::new(case, shape, 3).unwrap();
                let Some(mut work) = work(name, None, &problem, 1) else {
                    assert!(Shape::of(&problem).is_none(), "{name} must support matrix products");
                    continue;
                };
                supported += 1;
                work.run();
                let error = Expected::new(&problem, 1e9).unwrap().error(&work.values());
                assert!(error <= case.tolerance::<f64>(shape, false), "{name} {} {error}", case.name);
            }
            let least = match *name {
                "ndarray" => 30,
                "faer" => 15,
                _ => 5,
            };
            assert!(supported >= least, "{name} ran {supported} problems");
        }
    }
}
