//! The Cholesky and QR decompositions.

use crate::Field;
use crate::stack::{Matrices, Scratch, Stack, Used, parallelism};
use faer::MatRef;
use faer::dyn_stack::MemStack;
use faer::linalg::cholesky::llt::factor::LltError;
use faer::traits::math_utils::from_real;
use polyarray_core::{Array, MatrixFault, Result};

/// The size of the factors of a decomposition of an m x n matrix, with k = min(m, n).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Factors {
    /// The k rows or columns that belong to the matrix.
    Reduced,
    /// Square factors: a reduced factor is completed to an orthonormal basis.
    Complete,
}

/// The Cholesky decompositions of Hermitian positive definite matrices `[.., n, n]`: lower triangular matrices L with
/// `a = L L^H` and a positive diagonal. Only the lower triangle of a is read.
///
/// # Errors
/// [`Error::Matrix`](polyarray_core::Error::Matrix) for a matrix that is not positive definite, or with NaN or
/// infinity; [`Error::Shapes`](polyarray_core::Error::Shapes) for other shapes;
/// [`Error::OutOfMemory`](polyarray_core::Error::OutOfMemory).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let a = Array::from([[4.0, 2.0], [2.0, 10.0]]);
/// assert_eq!(linalg::cholesky(&a)?, Array::from([[2.0, 0.0], [1.0, 3.0]]));
/// # Ok::<(), Error>(())
/// ```
pub fn cholesky<T: Field>(a: &Array<T>) -> Result<Array<T>> {
    let matrices = Matrices::square("cholesky", a)?;
    let (n, par) = (matrices.rows, parallelism(matrices.rows, matrices.rows)?);
    let mut factors = matrices.zeros::<T>(n, n)?;
    let mut scratch = Scratch::new(T::cholesky_scratch(n, par))?;
    for i in matrices.indices() {
        let (matrix, _) = matrices.finite(i, Used::LowerTriangle)?;
        let mut factor = factors.matrix(i);
        factor.copy_from_triangular_lower(MatRef::try_from(&matrix)?);
        T::cholesky(factor.as_mut(), par, MemStack::new(&mut scratch.0)).map_err(
            |LltError::NonPositivePivot { index }| {
                matrices.fault(i, MatrixFault::NotPositiveDefinite { order: index + 1 })
            },
        )?;
        // The upper triangle may hold intermediate results.
        for j in 1..n {
            factor.as_mut().col_mut(j).subrows_mut(0, j).fill(T::ZERO);
        }
    }
    factors.into_array()?.beside(a)
}

/// The QR decompositions of matrices `[.., m, n]`: Q with orthonormal columns and an upper triangular R with `a = Q R`.
/// With k = min(m, n), they have the shapes `[.., m, k]` and `[.., k, n]` ([`Factors::Reduced`]), or `[.., m, m]` and
/// `[.., m, n]` ([`Factors::Complete`]). Signs of the diagonal of R are not fixed.
///
/// # Errors
/// [`Error::Matrix`](polyarray_core::Error::Matrix) for a matrix with NaN or infinity;
/// [`Error::Shapes`](polyarray_core::Error::Shapes) for less than two axes;
/// [`Error::OutOfMemory`](polyarray_core::Error::OutOfMemory).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::{self as linalg, Factors};
/// let a = Array::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
/// let (q, r) = linalg::qr(&a, Factors::Reduced)?;
/// assert_eq!((q.shape(), r.shape()), (&[3, 2][..], &[2, 2][..]));
/// assert!(q.matmul(&r)?.allclose(&a, 1e-12, 1e-12)?);
/// # Ok::<(), Error>(())
/// ```
pub fn qr<T: Field>(a: &Array<T>, factors: Factors) -> Result<(Array<T>, Array<T>)> {
    let matrices = Matrices::new("qr", a)?;
    let (m, n, par) = (matrices.rows, matrices.columns, parallelism(matrices.rows, matrices.columns)?);
    let least = m.min(n);
    let k = if factors == Factors::Complete { m } else { least };
    let (mut q, mut r) = (matrices.zeros::<T>(m, k)?, matrices.zeros::<T>(k, n)?);
    q.fill_identity();
    if !matrices.indices().is_empty() {
        let mut scratch = Scratch::new(T::qr_scratch(m, n, k, par))?;
        let (mut work, mut coefficients) = (Stack::<T>::one(m, n)?, Stack::<T>::one(T::qr_block(m, n), least)?);
        for i in matrices.indices() {
            let (matrix, unscale) = matrices.scaled(i, Used::All)?;
            work.matrix(0).copy_from(MatRef::try_from(&matrix)?);
            T::qr(work.matrix(0), coefficients.matrix(0), par, MemStack::new(&mut scratch.0));
            let packed = work.matrix(0);
            for (j, mut column) in r.matrix(i).col_iter_mut().enumerate() {
                let used = least.min(j + 1);
                column.as_mut().subrows_mut(0, used).copy_from(packed.as_ref().col(j).subrows(0, used));
            }
            let unscale = from_real::<T>(&unscale);
            r.elements_mut()[i * k * n..][..k * n].iter_mut().for_each(|x| *x *= unscale);
            let (basis, stack) = (packed.as_ref().subcols(0, least), MemStack::new(&mut scratch.0));
            T::apply_q(basis, coefficients.matrix(0).as_ref(), q.matrix(i), par, stack);
        }
    }
    Ok((q.into_array()?.beside(a)?, r.into_array()?.beside(a)?))
}
