//! The singular value decomposition, and what follows from it: least squares, pseudoinverses, ranks.

use crate::stack::{Matrices, Scratch, Used, on_host, parallelism, shapes, zeroed};
use crate::{Factors, Field};
use faer::MatRef;
use faer::dyn_stack::MemStack;
use faer::linalg::svd::ComputeSvdVectors;
use faer::traits::math_utils::{conj, real};
use polyarray_core::{Array, Device, Error, Float, Kind, MatrixFault, Number, Result, s, select};

/// A singular value decomposition: `a = u diag(s) vh`.
#[derive(Clone, Debug)]
pub struct Svd<T: Field> {
    /// The left singular vectors, as columns.
    pub u: Array<T>,
    /// The singular values, in descending order.
    pub s: Array<T::Part>,
    /// The right singular vectors, as conjugated rows.
    pub vh: Array<T>,
}

/// Decomposes matrices `[.., m, n]`. Without `factors`, only the singular values are computed, and the matrices of the
/// vectors are empty. The results lie in host memory.
fn decompose<T: Field>(op: &'static str, a: &Array<T>, factors: Option<Factors>) -> Result<Svd<T>> {
    let matrices = Matrices::new(op, a)?;
    let (m, n, par) = (matrices.rows, matrices.columns, parallelism(matrices.rows, matrices.columns)?);
    let k = m.min(n);
    let (vectors, [columns, rows]) = match factors {
        None => (ComputeSvdVectors::No, [0, 0]),
        Some(Factors::Reduced) => (ComputeSvdVectors::Thin, [k, k]),
        Some(Factors::Complete) => (ComputeSvdVectors::Full, [m, n]),
    };
    let (mut u, mut v) = (matrices.zeros::<T>(m, columns)?, matrices.zeros::<T>(n, rows)?);
    let mut values = matrices.zeros::<T::Part>(k, 1)?;
    if matrices.indices().is_empty() {
        u.fill_identity();
        v.fill_identity();
    } else {
        let mut scratch = Scratch::new(T::svd_scratch(m, n, vectors, par))?;
        let mut diagonal = zeroed::<T>(&[k])?;
        for i in matrices.indices() {
            let (matrix, unscale) = matrices.scaled(i, Used::All)?;
            let vectors = factors.map(|_| [u.matrix(i), v.matrix(i)]);
            T::svd(MatRef::try_from(&matrix)?, &mut diagonal, vectors, par, MemStack::new(&mut scratch.0))
                .map_err(|_| matrices.fault(i, MatrixFault::NotConverged))?;
            let to = &mut values.elements_mut()[i * k..][..k];
            to.iter_mut().zip(&diagonal).for_each(|(to, x)| *to = real(x) * unscale);
        }
    }
    v.elements_mut().iter_mut().for_each(|x| *x = conj(x));
    let s = values.into_transposed()?.reshape(matrices.shape(&[k]))?;
    Ok(Svd { u: u.into_array()?, s, vh: v.into_transposed()? })
}

/// The singular value decompositions of matrices `[.., m, n]`: with k = min(m, n), u `[.., m, k]`, s `[.., k]` and vh
/// `[.., k, n]` ([`Factors::Reduced`]), or u `[.., m, m]` and vh `[.., n, n]` ([`Factors::Complete`]). NumPy's default
/// is `Complete`. Signs of the vectors are not fixed.
///
/// # Errors
/// [`Error::Matrix`] for a matrix with NaN or infinity, or without convergence; [`Error::Shapes`] for less than two
/// axes; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::{self as linalg, Factors};
/// let a = Array::from([[3.0, 0.0], [0.0, -2.0], [0.0, 0.0]]);
/// let svd = linalg::svd(&a, Factors::Reduced)?;
/// assert!(svd.s.allclose(Array::from([3.0, 2.0]), 1e-12, 0.0)?);
/// assert!((&svd.u * &svd.s).eval()?.matmul(&svd.vh)?.allclose(&a, 1e-12, 1e-12)?);
/// # Ok::<(), Error>(())
/// ```
pub fn svd<T: Field>(a: &Array<T>, factors: Factors) -> Result<Svd<T>> {
    let Svd { u, s, vh } = decompose("svd", a, Some(factors))?;
    Ok(Svd { u: u.beside(a)?, s: s.beside(a)?, vh: vh.beside(a)? })
}

/// The singular values `[.., min(m, n)]` of matrices `[.., m, n]`, in descending order. Faster than [`svd`].
///
/// # Errors
/// As [`svd`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let s = linalg::svdvals(&Array::from([[3.0, 0.0], [0.0, -4.0]]))?;
/// assert!(s.allclose(Array::from([4.0, 3.0]), 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn svdvals<T: Field>(a: &Array<T>) -> Result<Array<T::Part>> {
    decompose("svdvals", a, None)?.s.beside(a)
}

/// Returns the singular values below which a matrix `[.., m, n]` counts as singular: `[.., 1]`. By default, these are
/// `max(m, n) * eps` times the largest one.
fn cutoff<P: Float>(op: &'static str, s: &Array<P>, [m, n]: [usize; 2], rtol: Option<P>) -> Result<Array<P>> {
    let rtol = rtol.unwrap_or(P::EPSILON * P::from_f64(m.max(n) as f64));
    if rtol.partial_cmp(&P::ZERO).is_none_or(|order| order.is_lt()) {
        let why = "a relative tolerance is not negative and not NaN".into();
        return Err(Error::Argument { op, name: "rtol", value: rtol.to_string(), why });
    }
    // Padded, so that there is a largest value of none.
    let largest = if s.shape().last() == Some(&0) { s.sum_axis(-1)? } else { s.max_axis(-1)? };
    (largest.expand_dims(-1)? * rtol).eval()
}

/// Returns the lengths of the last two axes.
fn matrix_shape<T: Field>(a: &Array<T>) -> [usize; 2] {
    match a.shape() {
        [.., m, n] => [*m, *n],
        _ => unreachable!("matrices have two axes"),
    }
}

/// The Moore-Penrose pseudoinverses `[.., n, m]` of matrices `[.., m, n]`. Singular values up to `rtol` times the
/// largest one count as zero; by default `max(m, n) * eps`.
///
/// # Errors
/// As [`svd`]; [`Error::Argument`] for a tolerance that is negative or NaN.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let x = linalg::pinv(&Array::from([[2.0, 0.0], [0.0, 0.0]]), None)?;
/// assert!(x.allclose(Array::from([[0.5, 0.0], [0.0, 0.0]]), 1e-12, 1e-12)?);
/// # Ok::<(), Error>(())
/// ```
pub fn pinv<T: Field>(a: &Array<T>, rtol: Option<T::Part>) -> Result<Array<T>> {
    let Svd { u, s, vh } = decompose("pinv", a, Some(Factors::Reduced))?;
    on_host(|| {
        let cutoff = cutoff("pinv", &s, matrix_shape(a), rtol)?;
        let inverse = select(s.greater(&cutoff), s.reciprocal(), T::Part::ZERO).cast::<T>().eval()?;
        let scaled = (adjoint(&vh)? * inverse.expand_dims(-2)?).eval()?;
        scaled.matmul(&adjoint(&u)?)
    })?
    .beside(a)
}

/// Returns the conjugated transposed matrices.
fn adjoint<T: Field>(a: &Array<T>) -> Result<Array<T>> {
    let transposed = a.swapaxes(-1, -2)?;
    if T::DTYPE.kind() == Kind::Complex { transposed.conj().eval() } else { Ok(transposed) }
}

/// The ranks `[..]` of matrices `[.., m, n]`: the numbers of singular values above `rtol` times the largest one; by
/// default `max(m, n) * eps`.
///
/// # Errors
/// As [`pinv`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// assert_eq!(linalg::matrix_rank(&Array::<f64>::ones([3, 4])?, None)?.item()?, 1);
/// # Ok::<(), Error>(())
/// ```
pub fn matrix_rank<T: Field>(a: &Array<T>, rtol: Option<T::Part>) -> Result<Array<i64>> {
    let s = decompose("matrix_rank", a, None)?.s;
    on_host(|| s.greater(cutoff("matrix_rank", &s, matrix_shape(a), rtol)?).count_nonzero_axis(-1))?.beside(a)
}

/// The solution of a least squares problem. Made by [`lstsq`].
#[derive(Clone, Debug)]
pub struct LeastSquares<T: Field> {
    /// The solution x, of the shape of the right-hand side with n rows.
    pub solution: Array<T>,
    /// The sums of the squared magnitudes of the columns of `a x - b`; `[1]` for a vector b. Without elements if the
    /// rank is less than n, or the system has at most as many equations as unknowns.
    pub residuals: Array<T::Part>,
    /// The rank of the matrix.
    pub rank: usize,
    /// The singular values of the matrix, in descending order.
    pub singular_values: Array<T::Part>,
}

/// The least squares solution x of `a x = b`, for a matrix a `[m, n]` and right-hand sides b: a vector `[m]`, or the
/// columns of a matrix `[m, k]`. Of several solutions, the one of least norm. Singular values up to `rtol` times the
/// largest one count as zero; by default `max(m, n) * eps`.
///
/// # Errors
/// [`Error::Matrix`] for a matrix with NaN or infinity, or without convergence; [`Error::Shapes`] for other shapes;
/// [`Error::Argument`] for a tolerance that is negative or NaN; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// // The line through (0, 1), (1, 3) and (2, 5).
/// let a = Array::from([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]);
/// let line = linalg::lstsq(&a, &Array::from([1.0, 3.0, 5.0]), None)?;
/// assert!(line.solution.allclose(Array::from([2.0, 1.0]), 1e-12, 0.0)?);
/// assert_eq!(line.rank, 2);
/// # Ok::<(), Error>(())
/// ```
pub fn lstsq<T: Field>(a: &Array<T>, b: &Array<T>, rtol: Option<T::Part>) -> Result<LeastSquares<T>> {
    const NAME: &str = "lstsq";
    let &[m, n] = a.shape() else {
        return Err(shapes(NAME, a, "the matrix has exactly two axes".into()));
    };
    if !(1..=2).contains(&b.ndim()) || b.shape()[0] != m {
        let why = format!("the right-hand side must be a vector [{m}] or a matrix [{m}, k]");
        return Err(Error::Shapes { op: NAME, left: a.shape().into(), right: b.shape().into(), why });
    }
    let Svd { u, s, vh } = decompose(NAME, a, Some(Factors::Reduced))?;
    let (solution, residuals, rank) = on_host(|| {
        let right = b.to_device(&Device::auto())?.reshape([m, if b.ndim() == 1 { 1 } else { b.shape()[1] }])?;
        let regular = s.greater(cutoff(NAME, &s, [m, n], rtol)?).eval()?;
        let rank = regular.count_nonzero()?;
        let inverse = select(&regular, s.reciprocal(), T::Part::ZERO).cast::<T>().eval()?;
        let coefficients = (adjoint(&u)?.matmul(&right)? * inverse.expand_dims(-1)?).eval()?;
        let solution = adjoint(&vh)?.matmul(&coefficients)?;
        let residuals = if rank == n && m > n {
            let host = a.to_device(&Device::auto())?;
            (host.matmul(&solution)? - &right).abs().square().sum_axis(0)?
        } else {
            Array::zeros([0])?
        };
        let solution = if b.ndim() == 1 { solution.slice(s![.., 0])? } else { solution };
        Ok((solution, residuals, rank))
    })?;
    Ok(LeastSquares {
        solution: solution.beside(a)?,
        residuals: residuals.beside(a)?,
        rank,
        singular_values: s.beside(a)?,
    })
}
