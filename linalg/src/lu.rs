//! Systems of equations, inverses and determinants, by LU decompositions with partial pivoting.

use crate::Field;
use crate::stack::{Matrices, Scratch, Stack, Used, on_host, parallelism, shapes};
use faer::dyn_stack::MemStack;
use faer::perm::PermRef;
use faer::traits::math_utils::{abs, from_real, is_finite, min_positive};
use faer::{MatMut, MatRef, Par};
use polyarray_core::{Array, Dims, Error, MatrixFault, Result};

/// The LU decomposition of one square matrix, whose memory serves for the next one, too.
struct Lu<T: Field> {
    factors: Stack<T>,
    /// The order of the rows, and its inverse.
    order: [Vec<usize>; 2],
    /// Whether the order is an odd permutation.
    odd: bool,
    scratch: Scratch,
    par: Par,
}

impl<T: Field> Lu<T> {
    /// Makes room for decompositions, and for systems with `right` right-hand sides.
    fn new(n: usize, right: usize) -> Result<Lu<T>> {
        let par = parallelism(n, n)?;
        Ok(Lu {
            factors: Stack::one(n, n)?,
            order: [vec![0; n], vec![0; n]],
            odd: false,
            scratch: Scratch::new(T::lu_scratch(n, right, par))?,
            par,
        })
    }

    /// Decomposes matrix `i`.
    fn decompose(&mut self, matrices: &Matrices<T>, i: usize) -> Result<()> {
        let (matrix, _) = matrices.finite(i, Used::All)?;
        let mut factors = self.factors.matrix(0);
        factors.copy_from(MatRef::try_from(&matrix)?);
        let [order, inverse] = &mut self.order;
        self.odd = T::lu(factors, order, inverse, self.par, MemStack::new(&mut self.scratch.0));
        Ok(())
    }

    /// Decomposes matrix `i`. Fails for a singular one, and for one with a pivot whose reciprocal is not finite.
    fn decompose_regular(&mut self, matrices: &Matrices<T>, i: usize) -> Result<()> {
        self.decompose(matrices, i)?;
        let regular = |pivot: &T| is_finite(pivot) && abs(pivot) >= min_positive::<T::Part>();
        match self.pivots().iter().position(|pivot| !regular(pivot)) {
            Some(pivot) => Err(matrices.fault(i, MatrixFault::Singular { pivot })),
            None => Ok(()),
        }
    }

    /// Returns the pivots: the diagonal of U.
    fn pivots(&mut self) -> Vec<T> {
        let factors = self.factors.matrix(0);
        (0..factors.nrows()).map(|k| factors[(k, k)]).collect()
    }

    /// Replaces right-hand sides by the solutions.
    fn solve(&mut self, right: MatMut<'_, T>) {
        let factors = self.factors.matrix(0);
        let order = PermRef::new_checked(&self.order[0], &self.order[1], factors.nrows());
        T::substitute(factors.as_ref(), order, right, self.par, MemStack::new(&mut self.scratch.0));
    }
}

/// The solution x of `a x = b`, for square matrices a `[.., n, n]` and right-hand sides b: one vector `[n]`, or the
/// columns of matrices `[.., n, k]`. The result has the shape of b; leading axes broadcast.
///
/// # Errors
/// [`Error::Matrix`] for a singular matrix, or one with NaN or infinity; [`Error::Shapes`] for other shapes;
/// [`Error::Broadcast`]; [`Error::OutOfMemory`]. A NaN in b gives NaN in the solutions of its column.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let a = Array::from([[2.0, 1.0], [1.0, 3.0]]);
/// let x = linalg::solve(&a, &Array::from([5.0, 10.0]))?;
/// assert!(x.allclose(Array::from([1.0, 3.0]), 1e-12, 0.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn solve<T: Field>(a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
    const NAME: &str = "solve";
    let matrices = Matrices::square(NAME, a)?;
    let n = matrices.rows;
    let vector = b.ndim() == 1;
    let columns = if vector { b.expand_dims(1)? } else { b.clone() };
    let [batch @ .., rows, k] = columns.shape() else {
        return Err(shapes(NAME, b, "the right-hand side has at least one axis".into()));
    };
    if *rows != n {
        let (left, right) = (a.shape().into(), b.shape().into());
        let why = format!("the matrix has {n} rows, the right-hand side {rows}");
        return Err(Error::Shapes { op: NAME, left, right, why });
    }
    let batch = matrices.batch.broadcast(&batch.iter().copied().collect())?;
    let right = Matrices::new(NAME, &columns.broadcast_to(batch.iter().copied().chain([n, *k]).collect::<Dims>())?)?;
    let mut x = right.zeros(n, *k)?;
    let indices = right.indices();
    // The matrix that belongs to each right-hand side. Adjacent ones often share it.
    let owners = if indices.is_empty() {
        Vec::new()
    } else {
        let all = Array::from_vec((0..matrices.batch.size() as i64).collect(), &matrices.batch)?;
        all.broadcast_to(&batch)?.to_vec()?
    };
    let (mut lu, mut decomposed) = (Lu::new(n, *k)?, None);
    for i in indices {
        let owner = owners[i] as usize;
        if decomposed != Some(owner) {
            lu.decompose_regular(&matrices, owner)?;
            decomposed = Some(owner);
        }
        let mut to = x.matrix(i);
        to.copy_from(MatRef::try_from(&right.at(i)?)?);
        lu.solve(to);
    }
    let x = if vector { x.into_transposed()?.reshape(right.shape(&[n]))? } else { x.into_array()? };
    x.beside(a)
}

/// The inverses of square matrices `[.., n, n]`.
///
/// [`solve`] is faster and more accurate than a product with an inverse.
///
/// # Errors
/// [`Error::Matrix`] for a singular matrix, or one with NaN or infinity; [`Error::Shapes`] for other shapes;
/// [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let a = Array::from([[0.0, 2.0], [4.0, 0.0]]);
/// assert_eq!(linalg::inv(&a)?, Array::from([[0.0, 0.25], [0.5, 0.0]]));
/// println!("{}", linalg::inv(&Array::<f64>::ones([2, 2])?).unwrap_err());
/// # Ok::<(), Error>(())
/// ```
pub fn inv<T: Field>(a: &Array<T>) -> Result<Array<T>> {
    let matrices = Matrices::square("inv", a)?;
    let n = matrices.rows;
    let mut inverses = matrices.zeros(n, n)?;
    inverses.fill_identity();
    let mut lu = Lu::new(n, n)?;
    for i in matrices.indices() {
        lu.decompose_regular(&matrices, i)?;
        lu.solve(inverses.matrix(i));
    }
    inverses.into_array()?.beside(a)
}

/// Returns the pivots of square matrices, the first one of each with the sign of the permutation: `[.., n]`. The
/// pivots of singular matrices are zeros.
fn pivots<T: Field>(matrices: &Matrices<T>) -> Result<Array<T>> {
    let n = matrices.rows;
    let mut all = matrices.zeros::<T>(n, 1)?;
    let mut lu = Lu::new(n, 0)?;
    for i in matrices.indices() {
        lu.decompose(matrices, i)?;
        let mut pivots = lu.pivots();
        if pivots.contains(&T::ZERO) {
            continue;
        }
        if lu.odd {
            pivots[0] = T::ZERO - pivots[0];
        }
        all.elements_mut()[i * n..][..n].copy_from_slice(&pivots);
    }
    all.into_transposed()?.reshape(matrices.shape(&[n]))
}

/// The determinants `[..]` of square matrices `[.., n, n]`; 1 for a matrix without elements.
///
/// They are products of pivots, which over- and underflow only where the determinant does; [`slogdet`] does neither. A
/// pivot that is subnormal or infinite may give NaN.
///
/// # Errors
/// [`Error::Matrix`] for a matrix with NaN or infinity; [`Error::Shapes`] for other shapes; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let a = Array::from([[0.0, 2.0], [4.0, 0.0]]);
/// assert_eq!(linalg::det(&a)?.item()?, -8.0);
/// # Ok::<(), Error>(())
/// ```
pub fn det<T: Field>(a: &Array<T>) -> Result<Array<T>> {
    let pivots = pivots(&Matrices::square("det", a)?)?;
    on_host(|| pivots.prod_axis(-1))?.beside(a)
}

/// The signs `[..]` of the determinants of square matrices `[.., n, n]`, and the natural logarithms `[..]` of their
/// magnitudes: 0 and -infinity for singular matrices. The sign of a complex determinant is a number of magnitude 1.
///
/// # Errors
/// As [`det`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg as linalg;
/// let (sign, log) = linalg::slogdet(&(Array::<f64>::eye(500)? * 1e-3).eval()?)?;
/// assert_eq!(sign.item()?, 1.0);
/// assert!((log.item()? - 500.0 * 1e-3f64.ln()).abs() < 1e-9);
/// # Ok::<(), Error>(())
/// ```
pub fn slogdet<T: Field>(a: &Array<T>) -> Result<(Array<T>, Array<T::Part>)> {
    let pivots = pivots(&Matrices::square("slogdet", a)?)?;
    on_host(|| {
        let signs = pivots.map_elements(|x| if x == T::ZERO { x } else { x / from_real::<T>(&abs(&x)) })?;
        Ok((signs.prod_axis(-1)?, pivots.abs().log().sum_axis(-1)?))
    })
    .and_then(|(sign, log)| Ok((sign.beside(a)?, log.beside(a)?)))
}
