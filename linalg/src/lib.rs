//! Linear algebra for polyarray: systems of equations, decompositions, eigenvalues, norms.
//!
//! The functions have NumPy's names, and work on the matrices along the last two axes: leading axes are a stack. They
//! are defined for the dtypes of [`Field`]: f32, f64 and the complex numbers of both. They are computed by the crate
//! [`faer`](https://docs.rs/faer) on the host, whatever device is selected, with the number of threads of
//! [`with_threads`](polyarray_core::with_threads). Arrays on another device are copied to the host, and results to the
//! device of the operand if its memory can store them. Matrices with any strides are operands; results are new arrays,
//! and matrices among them are in Fortran order.
//!
//! The algorithms are backward stable: a result is exact for a matrix that differs by some n eps of the norm (LU
//! decompositions: except for rare matrices, as in LAPACK). Matrices with NaN or infinity, and singular matrices where
//! an inverse is needed, are errors with their position in the stack: [`Error::Matrix`](polyarray_core::Error::Matrix).

mod decompose;
mod eigen;
mod factors;
mod field;
mod lu;
mod norm;
mod products;
mod stack;
mod svd;

pub use eigen::{Spectra, eig, eigh, eigvals, eigvalsh};
pub use factors::{Factors, cholesky, qr};
pub use field::Field;
pub use lu::{det, inv, slogdet, solve};
pub use norm::{Order, cond, norm};
pub use products::{kron, matrix_power, multi_dot};
pub use svd::{LeastSquares, Svd, lstsq, matrix_rank, pinv, svd, svdvals};
