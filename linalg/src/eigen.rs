//! Eigenvalues and eigenvectors.

use crate::Field;
use crate::stack::{Matrices, Scratch, Used, parallelism, zeroed};
use faer::MatRef;
use faer::dyn_stack::MemStack;
use faer::traits::math_utils::{from_real, real};
use polyarray_core::{Array, MatrixFault, Result};

/// Decomposes Hermitian matrices. Without `vectors`, their matrix is empty.
fn hermitian<T: Field>(op: &'static str, a: &Array<T>, vectors: bool) -> Result<(Array<T::Part>, Array<T>)> {
    let matrices = Matrices::square(op, a)?;
    let (n, par) = (matrices.rows, parallelism(matrices.rows, matrices.rows)?);
    let mut values = matrices.zeros::<T::Part>(n, 1)?;
    let mut basis = matrices.zeros::<T>(n, if vectors { n } else { 0 })?;
    let mut diagonal = zeroed::<T>(&[n])?;
    if !matrices.indices().is_empty() {
        let mut scratch = Scratch::new(T::eigh_scratch(n, vectors, par))?;
        for i in matrices.indices() {
            let (matrix, unscale) = matrices.scaled(i, Used::LowerTriangle)?;
            let vectors = vectors.then(|| basis.matrix(i));
            T::eigh(MatRef::try_from(&matrix)?, &mut diagonal, vectors, par, MemStack::new(&mut scratch.0))
                .map_err(|_| matrices.fault(i, MatrixFault::NotConverged))?;
            let to = &mut values.elements_mut()[i * n..][..n];
            to.iter_mut().zip(&diagonal).for_each(|(to, x)| *to = real(x) * unscale);
        }
    }
    let values = values.into_transposed()?.reshape(matrices.shape(&[n]))?;
    Ok((values.beside(a)?, basis.into_array()?.beside(a)?))
}

/// The eigenvalues `[.., n]` of Hermitian (real: symmetric) matrices `[.., n, n]` in ascending order, and orthonormal
/// eigenvectors as the columns of `[.., n, n]`. Only the lower triangle is read.
///
/// # Errors
/// [`Error::Matrix`](polyarray_core::Error::Matrix) for a matrix with NaN or infinity, or without convergence;
/// [`Error::Shapes`](polyarray_core::Error::Shapes) for other shapes;
/// [`Error::OutOfMemory`](polyarray_core::Error::OutOfMemory).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let a = Array::from([[2.0, 1.0], [1.0, 2.0]]);
/// let (values, vectors) = linalg::eigh(&a)?;
/// assert!(values.allclose(Array::from([1.0, 3.0]), 1e-12, 0.0)?);
/// assert!(a.matmul(&vectors)?.allclose(&vectors * &values, 1e-12, 1e-12)?);
/// # Ok::<(), Error>(())
/// ```
pub fn eigh<T: Field>(a: &Array<T>) -> Result<(Array<T::Part>, Array<T>)> {
    hermitian("eigh", a, true)
}

/// The eigenvalues of [`eigh`], without the eigenvectors.
///
/// # Errors
/// As [`eigh`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let values = linalg::eigvalsh(&Array::from([[2.0, 1.0], [1.0, 2.0]]))?;
/// assert!(values.allclose(Array::from([1.0, 3.0]), 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn eigvalsh<T: Field>(a: &Array<T>) -> Result<Array<T::Part>> {
    Ok(hermitian("eigvalsh", a, false)?.0)
}

/// The eigenvalues `[.., n]` and eigenvectors `[.., n, n]` of general matrices, which are complex.
pub type Spectra<T> = (Array<<T as Field>::Spectrum>, Array<<T as Field>::Spectrum>);

/// Decomposes general matrices. Without `vectors`, their matrix is empty.
fn general<T: Field>(op: &'static str, a: &Array<T>, vectors: bool) -> Result<Spectra<T>> {
    let matrices = Matrices::square(op, a)?;
    let (n, par) = (matrices.rows, parallelism(matrices.rows, matrices.rows)?);
    let mut values = matrices.zeros::<T::Spectrum>(n, 1)?;
    let mut basis = matrices.zeros::<T::Spectrum>(n, if vectors { n } else { 0 })?;
    for i in matrices.indices() {
        let (matrix, unscale) = matrices.scaled(i, Used::All)?;
        let to = &mut values.elements_mut()[i * n..][..n];
        T::eigen(MatRef::try_from(&matrix)?, to, vectors.then(|| basis.matrix(i)), par)?
            .map_err(|_| matrices.fault(i, MatrixFault::NotConverged))?;
        let unscale = from_real::<T::Spectrum>(&unscale);
        to.iter_mut().for_each(|x| *x *= unscale);
        if vectors {
            for column in basis.matrix(i).col_iter_mut() {
                let norm = from_real::<T::Spectrum>(&column.norm_l2());
                column.iter_mut().for_each(|x| *x /= norm);
            }
        }
    }
    let values = values.into_transposed()?.reshape(matrices.shape(&[n]))?;
    Ok((values.beside(a)?, basis.into_array()?.beside(a)?))
}

/// The eigenvalues `[.., n]` of square matrices `[.., n, n]`, in no particular order, and eigenvectors of norm 1 as the
/// columns of `[.., n, n]`. Both are complex. The vectors of a matrix that cannot be diagonalised are not independent.
///
/// [`eigh`] is faster and more accurate for Hermitian matrices.
///
/// # Errors
/// As [`eigh`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// // A rotation by a right angle.
/// let a = Array::from([[0.0, -1.0], [1.0, 0.0]]);
/// let (values, vectors) = linalg::eig(&a)?;
/// assert!(values.abs().allclose(Array::from([1.0, 1.0]), 1e-12, 0.0)?);
/// let a = a.cast::<Complex<f64>>().eval()?;
/// let error = (a.matmul(&vectors)? - &vectors * &values).abs().max()?;
/// assert!(error < 1e-12);
/// # Ok::<(), Error>(())
/// ```
pub fn eig<T: Field>(a: &Array<T>) -> Result<Spectra<T>> {
    general("eig", a, true)
}

/// The eigenvalues of [`eig`], without the eigenvectors.
///
/// # Errors
/// As [`eigh`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let values = linalg::eigvals(&Array::from([[1.0, 5.0], [0.0, 1.0]]))?;
/// assert_eq!(values, Array::from([Complex::new(1.0, 0.0); 2]));
/// # Ok::<(), Error>(())
/// ```
pub fn eigvals<T: Field>(a: &Array<T>) -> Result<Array<T::Spectrum>> {
    Ok(general("eigvals", a, false)?.0)
}
