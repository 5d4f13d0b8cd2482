//! The decompositions of faer for each dtype. They are compiled here, and not in every crate that calls a generic
//! function of this one.

use crate::stack::{Scratch, zeroed};
use faer::diag::DiagMut;
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::cholesky::llt::factor::{self as llt, LltError};
use faer::linalg::evd::{self, ComputeEigenvectors, EvdError};
use faer::linalg::householder as reflections;
use faer::linalg::lu::partial_pivoting::{factor as lu, solve};
use faer::linalg::qr::no_pivoting::factor as qr;
use faer::linalg::svd::{self, ComputeSvdVectors, SvdError};
use faer::perm::PermRef;
use faer::{Conj, MatMut, MatRef, Par};
use polyarray_core::{Complex, Result};

/// Decompositions in memory of the caller, with the number of threads and memory for intermediate results as arguments.
#[doc(hidden)]
pub trait Decompose: Sized {
    /// The type of the eigenvalues of general matrices.
    type Value;

    /// Returns the scratch memory of [`lu`](Self::lu), and of [`substitute`](Self::substitute) for `right` columns.
    fn lu_scratch(n: usize, right: usize, par: Par) -> StackReq;

    /// Replaces a matrix by the factors of its LU decomposition. Writes the order of its rows and the inverse of the
    /// order, and returns whether it is an odd permutation.
    fn lu(a: MatMut<'_, Self>, order: &mut [usize], inverse: &mut [usize], par: Par, stack: &mut MemStack) -> bool;

    /// Replaces right-hand sides by the solutions.
    fn substitute(
        lu: MatRef<'_, Self>,
        order: PermRef<'_, usize>,
        right: MatMut<'_, Self>,
        par: Par,
        stack: &mut MemStack,
    );

    /// Returns the scratch memory of [`cholesky`](Self::cholesky).
    fn cholesky_scratch(n: usize, par: Par) -> StackReq;

    /// Replaces the lower triangle of a matrix by that of its Cholesky decomposition. The upper one may change.
    fn cholesky(a: MatMut<'_, Self>, par: Par, stack: &mut MemStack) -> Result<(), LltError>;

    /// Returns the number of rows of the coefficients of [`qr`](Self::qr).
    fn qr_block(m: usize, n: usize) -> usize;

    /// Returns the scratch memory of [`qr`](Self::qr), and of [`apply_q`](Self::apply_q) to `k` columns.
    fn qr_scratch(m: usize, n: usize, k: usize, par: Par) -> StackReq;

    /// Replaces a matrix by R above the reflections whose product is Q, and writes their coefficients.
    fn qr(a: MatMut<'_, Self>, coefficients: MatMut<'_, Self>, par: Par, stack: &mut MemStack);

    /// Replaces columns x by Q x.
    fn apply_q(
        basis: MatRef<'_, Self>,
        coefficients: MatRef<'_, Self>,
        columns: MatMut<'_, Self>,
        par: Par,
        stack: &mut MemStack,
    );

    /// Returns the scratch memory of [`svd`](Self::svd).
    fn svd_scratch(m: usize, n: usize, vectors: ComputeSvdVectors, par: Par) -> StackReq;

    /// Writes the singular values of a matrix, and both matrices of the singular vectors or none.
    fn svd(
        a: MatRef<'_, Self>,
        values: &mut [Self],
        vectors: Option<[MatMut<'_, Self>; 2]>,
        par: Par,
        stack: &mut MemStack,
    ) -> Result<(), SvdError>;

    /// Returns the scratch memory of [`eigh`](Self::eigh).
    fn eigh_scratch(n: usize, vectors: bool, par: Par) -> StackReq;

    /// Writes the eigenvalues of a Hermitian matrix, and the eigenvectors as columns, if they are wanted.
    fn eigh(
        a: MatRef<'_, Self>,
        values: &mut [Self],
        vectors: Option<MatMut<'_, Self>>,
        par: Par,
        stack: &mut MemStack,
    ) -> Result<(), EvdError>;

    /// Writes the eigenvalues of a matrix, and the eigenvectors as columns, if they are wanted.
    ///
    /// # Errors
    /// The outer error is that of an allocation.
    fn eigen(
        a: MatRef<'_, Self>,
        values: &mut [Self::Value],
        vectors: Option<MatMut<'_, Self::Value>>,
        par: Par,
    ) -> Result<Result<(), EvdError>>;
}

/// Returns whether eigenvectors are computed, as faer's argument.
fn wanted(vectors: bool) -> ComputeEigenvectors {
    if vectors { ComputeEigenvectors::Yes } else { ComputeEigenvectors::No }
}

macro_rules! decompose {
    ($T:ty, $Value:ty, $eigen:expr) => {
        impl Decompose for $T {
            type Value = $Value;

            fn lu_scratch(n: usize, right: usize, par: Par) -> StackReq {
                let decomposition = lu::lu_in_place_scratch::<usize, $T>(n, n, par, Default::default());
                decomposition.or(solve::solve_in_place_scratch::<usize, $T>(n, right, par))
            }

            fn lu(
                a: MatMut<'_, $T>,
                order: &mut [usize],
                inverse: &mut [usize],
                par: Par,
                stack: &mut MemStack,
            ) -> bool {
                let (info, _) = lu::lu_in_place(a, order, inverse, par, stack, Default::default());
                info.transposition_count % 2 == 1
            }

            fn substitute(
                lu: MatRef<'_, $T>,
                order: PermRef<'_, usize>,
                right: MatMut<'_, $T>,
                par: Par,
                stack: &mut MemStack,
            ) {
                solve::solve_in_place_with_conj(lu, lu, order, Conj::No, right, par, stack);
            }

            fn cholesky_scratch(n: usize, par: Par) -> StackReq {
                llt::cholesky_in_place_scratch::<$T>(n, par, Default::default())
            }

            fn cholesky(a: MatMut<'_, $T>, par: Par, stack: &mut MemStack) -> Result<(), LltError> {
                llt::cholesky_in_place(a, Default::default(), par, stack, Default::default()).map(drop)
            }

            fn qr_block(m: usize, n: usize) -> usize {
                qr::recommended_block_size::<$T>(m, n)
            }

            fn qr_scratch(m: usize, n: usize, k: usize, par: Par) -> StackReq {
                use reflections::apply_block_householder_sequence_on_the_left_in_place_scratch as apply_scratch;
                let block = Self::qr_block(m, n);
                qr::qr_in_place_scratch::<$T>(m, n, block, par, Default::default()).or(apply_scratch::<$T>(m, block, k))
            }

            fn qr(a: MatMut<'_, $T>, coefficients: MatMut<'_, $T>, par: Par, stack: &mut MemStack) {
                qr::qr_in_place(a, coefficients, par, stack, Default::default());
            }

            fn apply_q(
                basis: MatRef<'_, $T>,
                coefficients: MatRef<'_, $T>,
                columns: MatMut<'_, $T>,
                par: Par,
                stack: &mut MemStack,
            ) {
                use reflections::apply_block_householder_sequence_on_the_left_in_place_with_conj as apply;
                apply(basis, coefficients, Conj::No, columns, par, stack);
            }

            fn svd_scratch(m: usize, n: usize, vectors: ComputeSvdVectors, par: Par) -> StackReq {
                svd::svd_scratch::<$T>(m, n, vectors, vectors, par, Default::default())
            }

            fn svd(
                a: MatRef<'_, $T>,
                values: &mut [$T],
                vectors: Option<[MatMut<'_, $T>; 2]>,
                par: Par,
                stack: &mut MemStack,
            ) -> Result<(), SvdError> {
                let (u, v) = vectors.map_or((None, None), |[u, v]| (Some(u), Some(v)));
                svd::svd(a, DiagMut::from_slice_mut(values), u, v, par, stack, Default::default())
            }

            fn eigh_scratch(n: usize, vectors: bool, par: Par) -> StackReq {
                evd::self_adjoint_evd_scratch::<$T>(n, wanted(vectors), par, Default::default())
            }

            fn eigh(
                a: MatRef<'_, $T>,
                values: &mut [$T],
                vectors: Option<MatMut<'_, $T>>,
                par: Par,
                stack: &mut MemStack,
            ) -> Result<(), EvdError> {
                let values = DiagMut::from_slice_mut(values);
                evd::self_adjoint_evd(a, values, vectors, par, stack, Default::default())
            }

            fn eigen(
                a: MatRef<'_, $T>,
                values: &mut [$Value],
                vectors: Option<MatMut<'_, $Value>>,
                par: Par,
            ) -> Result<Result<(), EvdError>> {
                $eigen(a, values, vectors, par)
            }
        }
    };
}

macro_rules! both {
    ($part:ty, $real:ident, $complex:ident) => {
        fn $real(
            a: MatRef<'_, $part>,
            values: &mut [Complex<$part>],
            vectors: Option<MatMut<'_, Complex<$part>>>,
            par: Par,
        ) -> Result<Result<(), EvdError>> {
            let (n, right) = (a.nrows(), wanted(vectors.is_some()));
            let (mut re, mut im) = (zeroed(&[n])?, zeroed(&[n])?);
            let mut basis = zeroed::<$part>(&[n, if vectors.is_some() { n } else { 0 }])?;
            let request = evd::evd_scratch::<$part>(n, ComputeEigenvectors::No, right, par, Default::default());
            let mut scratch = Scratch::new(request)?;
            let done = evd::evd_real(
                a,
                DiagMut::from_slice_mut(&mut re),
                DiagMut::from_slice_mut(&mut im),
                None,
                vectors.is_some().then(|| MatMut::from_column_major_slice_mut(&mut basis, n, n)),
                par,
                MemStack::new(&mut scratch.0),
                Default::default(),
            );
            values.iter_mut().zip(re.iter().zip(&im)).for_each(|(x, (&re, &im))| *x = Complex::new(re, im));
            let Some(mut vectors) = vectors else { return Ok(done) };
            // The real and the imaginary parts of the vectors of a pair of conjugate eigenvalues are adjacent columns.
            let mut j = 0;
            while j < n {
                let (column, next) = basis[j * n..].split_at(n);
                let pair = im[j] != 0.0 && !next.is_empty();
                for (i, &re) in column.iter().enumerate() {
                    vectors[(i, j)] = Complex::new(re, if pair { next[i] } else { 0.0 });
                    if pair {
                        vectors[(i, j + 1)] = vectors[(i, j)].conj();
                    }
                }
                j += 1 + usize::from(pair);
            }
            Ok(done)
        }

        fn $complex(
            a: MatRef<'_, Complex<$part>>,
            values: &mut [Complex<$part>],
            vectors: Option<MatMut<'_, Complex<$part>>>,
            par: Par,
        ) -> Result<Result<(), EvdError>> {
            let (n, right) = (a.nrows(), wanted(vectors.is_some()));
            let request =
                evd::evd_scratch::<Complex<$part>>(n, ComputeEigenvectors::No, right, par, Default::default());
            let mut scratch = Scratch::new(request)?;
            let (values, stack) = (DiagMut::from_slice_mut(values), MemStack::new(&mut scratch.0));
            Ok(evd::evd_cplx(a, values, None, vectors, par, stack, Default::default()))
        }

        decompose!($part, Complex<$part>, $real);
        decompose!(Complex<$part>, Complex<$part>, $complex);
    };
}
both!(f32, eigen_f32, eigen_c32);
both!(f64, eigen_f64, eigen_c64);
