//! The functions of the OpenBLAS that `openblas-src` links.

extern crate openblas_src;

use super::library::{Library, openblas_version, text};
use cblas_sys::{CBLAS_LAYOUT, CBLAS_TRANSPOSE};
use num_complex::Complex;
use std::ffi::{c_char, c_int};

unsafe extern "C" {
    fn openblas_set_num_threads(threads: c_int);
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
}

/// Defines functions that take transpositions as plain integers, as the functions of a library loaded at run time do.
macro_rules! plain {
    ($($name:ident, $cblas:ident, $S:ty, $T:ty, $from:expr;)*) => { $(
        /// Calls the linked function in row-major order.
        ///
        /// # Safety
        /// The conditions of CBLAS hold: the factors are readable and C is writable for these dimensions and leading
        /// dimensions.
        #[allow(clippy::too_many_arguments, reason = "they are those of CBLAS")]
        unsafe extern "C" fn $name(
            _layout: c_int, ta: c_int, tb: c_int, m: c_int, n: c_int, k: c_int,
            alpha: $S, a: *const $T, lda: c_int, b: *const $T, ldb: c_int, beta: $S, c: *mut $T, ldc: c_int,
        ) {
            let trans = |t: c_int| if t == CBLAS_TRANSPOSE::CblasTrans as c_int {
                CBLAS_TRANSPOSE::CblasTrans
            } else {
                CBLAS_TRANSPOSE::CblasNoTrans
            };
            // SAFETY: the caller guarantees the conditions of CBLAS. This crate requests only row-major order, and a
            // complex number has the layout of its two parts.
            unsafe {
                cblas_sys::$cblas(
                    CBLAS_LAYOUT::CblasRowMajor, trans(ta), trans(tb), m, n, k,
                    $from(alpha), a.cast(), lda, b.cast(), ldb, $from(beta), c.cast(), ldc,
                );
            }
        }
    )* };
}

plain! {
    sgemm, cblas_sgemm, f32, f32, std::convert::identity;
    dgemm, cblas_dgemm, f64, f64, std::convert::identity;
    cgemm, cblas_cgemm, *const Complex<f32>, Complex<f32>, <*const Complex<f32>>::cast;
    zgemm, cblas_zgemm, *const Complex<f64>, Complex<f64>, <*const Complex<f64>>::cast;
}

/// Returns the linked library.
pub fn library() -> Library {
    // SAFETY: OpenBLAS declares both functions with these signatures, and their strings have static lifetime.
    let (config, core) = unsafe { (text(openblas_get_config()), text(openblas_get_corename())) };
    let version = openblas_version(config.as_deref().unwrap_or("OpenBLAS"), core.as_deref());
    Library::linked(format!("{version}, linked"), sgemm, dgemm, cgemm, zgemm, openblas_set_num_threads)
}
