//! Norms and condition numbers.

use crate::stack::{Matrices, shapes};
use crate::svd::svdvals;
use crate::{Field, inv};
use polyarray_core::{Array, Axes, Dims, Error, Expr, Float, IntoExpr, MatrixFault, Number, Result, axis, select};

/// The order of a norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Of vectors: `sum(|x|^p)^(1/p)`; the number of nonzero elements for 0, and the largest and smallest magnitude for
    /// infinity and -infinity. Of matrices: the largest sum of magnitudes of a column for 1 and of a row for infinity,
    /// the largest singular value for 2; the smallest ones for -1, -infinity and -2.
    P(f64),
    /// Of matrices: the root of the sum of the squared magnitudes.
    Frobenius,
    /// Of matrices: the sum of the singular values.
    Nuclear,
}

impl From<f64> for Order {
    fn from(p: f64) -> Order {
        Order::P(p)
    }
}

impl From<i32> for Order {
    fn from(p: i32) -> Order {
        Order::P(p.into())
    }
}

impl Order {
    fn refused(self, op: &'static str, why: &str) -> Error {
        Error::Argument { op, name: "order", value: format!("{self:?}"), why: why.into() }
    }
}

/// The norms over one axis, as of vectors, or over two axes, as of matrices whose rows and columns are numbered along
/// the first and the second one: `norm(&x, 1, -1)`, `norm(&a, Order::Nuclear, axis([0, 1]).keepdims())`.
///
/// NumPy's default, the 2-norm of all elements, is `x.norm()`. Vector norms, and the Frobenius norm, propagate NaN; 2
/// and Frobenius neither over- nor underflow in between.
///
/// # Errors
/// [`Error::Argument`] for an order that is not defined for this number of axes, or another number of axes;
/// [`Error::Axis`], [`Error::RepeatedAxis`]; [`Error::Empty`] for a smallest value of no elements;
/// the errors of [`svdvals`] for norms of singular values; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::{Order, norm};
/// let a = Array::from([[3.0f64, -4.0], [0.0, 2.0]]);
/// assert_eq!(norm(&a, 2, 1)?, Array::from([5.0, 2.0]));
/// assert_eq!(norm(&a, f64::INFINITY, 0)?, Array::from([3.0, 4.0]));
/// assert_eq!(norm(&a, 1, [0, 1])?.item()?, 6.0);
/// assert_eq!(norm(&a, Order::Frobenius, [0, 1])?.item()?, 29f64.sqrt());
/// # Ok::<(), Error>(())
/// ```
pub fn norm<T: Field>(x: &Array<T>, order: impl Into<Order>, axes: impl Into<Axes>) -> Result<Array<T::Part>> {
    let (order, axes) = (order.into(), axes.into());
    match axes.resolve("norm", x.ndim())?[..] {
        [_] => vector_norm(x, order, axes),
        [rows, columns] => {
            matrix_norm(x, order, [rows as isize, columns as isize])?.reshape(axes.shown(x.shape(), &[rows, columns]))
        }
        ref axes => {
            let why = "vectors have one axis, matrices two; the 2-norm over other axes is x.norm_axis(..)".into();
            Err(Error::Argument { op: "norm", name: "axes", value: format!("{axes:?}"), why })
        }
    }
}

/// Returns the largest of numbers that are not negative; 0 of none.
fn largest<P: Float>(sizes: Expr<P>, axes: Axes) -> Result<Array<P>> {
    if sizes.shape()?.contains(&0) { sizes.sum_axis(axes) } else { sizes.max_axis(axes) }
}

fn vector_norm<T: Field>(x: &Array<T>, order: Order, axes: Axes) -> Result<Array<T::Part>> {
    let Order::P(p) = order else {
        return Err(order.refused("norm", "vectors have norms of numbers as order; this norm is one of matrices"));
    };
    let sizes = x.abs();
    match p {
        f64::INFINITY => largest(sizes, axes),
        f64::NEG_INFINITY => sizes.min_axis(axes),
        0.0 => sizes.not_equal(T::Part::ZERO).cast::<T::Part>().sum_axis(axes),
        1.0 => sizes.sum_axis(axes),
        2.0 => x.norm_axis(axes),
        _ if p.is_nan() => Err(order.refused("norm", "the order is not NaN")),
        _ => {
            let sums = sizes.pow(T::Part::from_f64(p)).sum_axis(axes)?;
            sums.pow(T::Part::from_f64(1.0 / p)).eval()
        }
    }
}

/// Computes the norms of matrices along two axes, which remain with length 1.
fn matrix_norm<T: Field>(x: &Array<T>, order: Order, [rows, columns]: [isize; 2]) -> Result<Array<T::Part>> {
    let sums = |along: isize| x.abs().sum_axis(axis(along).keepdims());
    let singular = || svdvals(&x.moveaxis([rows, columns], [-2, -1])?);
    match order {
        Order::Frobenius => x.norm_axis([rows, columns]),
        Order::Nuclear => singular()?.sum_axis(-1),
        Order::P(1.0) => largest(sums(rows)?.into_expr(), axis(columns)),
        Order::P(-1.0) => sums(rows)?.min_axis(columns),
        Order::P(f64::INFINITY) => largest(sums(columns)?.into_expr(), axis(rows)),
        Order::P(f64::NEG_INFINITY) => sums(columns)?.min_axis(rows),
        Order::P(2.0) => largest(singular()?.into_expr(), axis(-1)),
        Order::P(-2.0) => singular()?.min_axis(-1),
        Order::P(_) => {
            Err(order.refused("norm", "norms of matrices have the orders 1, 2, infinity and their negatives"))
        }
    }
}

/// The condition numbers `[..]` of matrices `[.., m, n]`: the largest singular value divided by the smallest one for
/// order 2 and the reciprocal for order -2; for other orders, of square matrices, the norm of the matrix times that of
/// its inverse. Infinity for singular matrices (0 for order -2, except for a matrix of zeros).
///
/// # Errors
/// [`Error::Empty`] for matrices without elements; the errors of [`norm`] and [`inv`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::cond;
/// let a = Array::from([[2.0f64, 0.0], [0.0, 0.5]]);
/// assert!((cond(&a, 2)?.item()? - 4.0).abs() < 1e-12);
/// assert_eq!(cond(&a, 1)?.item()?, 4.0);
/// assert_eq!(cond(&Array::<f64>::ones([2, 2])?, 1)?.item()?, f64::INFINITY);
/// # Ok::<(), Error>(())
/// ```
pub fn cond<T: Field>(a: &Array<T>, order: impl Into<Order>) -> Result<Array<T::Part>> {
    const NAME: &str = "cond";
    let order = order.into();
    let [batch @ .., m, n] = a.shape() else {
        return Err(shapes(NAME, a, "a matrix has two axes, a stack of matrices more".into()));
    };
    if *m == 0 || *n == 0 {
        return Err(Error::Empty { op: NAME, shape: a.shape().into() });
    }
    if let Order::P(2.0 | -2.0) = order {
        let s = svdvals(a)?;
        let (largest, smallest) = (s.max_axis(-1)?, s.min_axis(-1)?);
        let quotient = if order == Order::P(2.0) { largest / smallest } else { smallest / largest };
        // The zero matrix is singular, too. As in NumPy, both orders give infinity.
        return select(quotient.clone().is_nan(), T::Part::INFINITY, quotient).eval();
    }
    let matrices = Matrices::square(NAME, a)?;
    let mut numbers = Vec::new();
    for i in matrices.indices() {
        let matrix = matrices.at(i)?;
        let size = norm(&matrix, order, [0, 1])?.item()?;
        numbers.push(match inv(&matrix) {
            Ok(inverse) => size * norm(&inverse, order, [0, 1])?.item()?,
            Err(Error::Matrix { fault: MatrixFault::Singular { .. }, .. }) => T::Part::INFINITY,
            Err(Error::Matrix { fault, .. }) => return Err(matrices.fault(i, fault)),
            Err(e) => return Err(e),
        });
    }
    Array::from_vec(numbers, batch.iter().copied().collect::<Dims>())?.beside(a)
}
