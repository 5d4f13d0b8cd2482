//! A CBLAS library that is opened by its path and called directly, without polyarray.

use super::{Float, Shape};
use libloading::Library;
use std::collections::HashMap;
use std::ffi::c_int;
use std::marker::PhantomData;
use std::path::Path;

/// `cblas_?gemm` of a library with 32-bit integers: order, transpositions, m, n, k, alpha, a, lda, b, ldb, beta, c,
/// ldc.
type Function<T> = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    T,
    *const T,
    c_int,
    *const T,
    c_int,
    T,
    *mut T,
    c_int,
);

const ROW_MAJOR: c_int = 101;
const NO_TRANS: c_int = 111;
const TRANS: c_int = 112;
/// The possible prefixes of function names. SciPy's OpenBLAS has its own.
const PREFIXES: [&str; 2] = ["cblas_", "scipy_cblas_"];

/// An open library.
pub struct Blas {
    name: String,
    /// The addresses of the gemm functions, by letter. Invariant: each is a `Function` of the letter's type, and valid
    /// as long as `_library` is open.
    functions: HashMap<char, *const ()>,
    _library: Library,
}

impl Blas {
    /// Opens the library at `path`.
    ///
    /// # Errors
    /// The reason why the library cannot be used.
    pub fn open(path: &Path) -> Result<Blas, String> {
        let bad = |why: String| format!("--blas-peer {}: {why}", path.display());
        // SAFETY: opening a library runs its initialisers. The user names the library on the command line, and so
        // accepts that they run.
        let library = unsafe { Library::new(path) }.map_err(|e| {
            // The source names the reason, if the system gives one.
            let reason = std::error::Error::source(&e).map(|source| format!(": {source}"));
            bad(format!("{e}{}", reason.unwrap_or_default()))
        })?;
        let mut functions = HashMap::new();
        for letter in ['s', 'd'] {
            let names = PREFIXES.map(|prefix| format!("{prefix}{letter}gemm"));
            let found = names.iter().find_map(|name| {
                // SAFETY: this only copies the symbol's address. `gemm` states why calling it is sound.
                let symbol = unsafe { library.get::<*const ()>(name.as_bytes()) }.ok()?;
                Some(*symbol)
            });
            functions.insert(
                letter,
                found.ok_or_else(|| bad(format!("the library defines none of the functions {}", names.join(", "))))?,
            );
        }
        let file = path.file_name().map_or_else(|| path.display().to_string(), |f| f.to_string_lossy().into_owned());
        Ok(Blas { name: format!("blas:{}", stem(&file)), functions, _library: library })
    }

    /// Returns the name of the library's column: `blas:` and the name of the library.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the matrix product function for this type.
    pub(super) fn gemm<T: Float>(&self) -> Gemm<'_, T> {
        // SAFETY: the address is that of `cblas_?gemm` for the letter of T (invariant of `functions`), whose signature
        // CBLAS fixes. It is not null, because `get` found the symbol.
        let function = unsafe { std::mem::transmute::<*const (), Function<T>>(self.functions[&T::LETTER]) };
        Gemm { function, library: PhantomData }
    }
}

/// Returns the name of a library without prefix and extension: `mkl_rt` for `libmkl_rt.so.2`.
fn stem(file: &str) -> &str {
    let file = file.strip_prefix("lib").unwrap_or(file);
    let end = [".so", ".dylib", ".dll"].iter().filter_map(|e| file.find(e)).min();
    &file[..end.unwrap_or(file.len())]
}

/// The gemm function of an open library.
pub(super) struct Gemm<'a, T> {
    function: Function<T>,
    library: PhantomData<&'a Blas>,
}

impl<T: Float> Gemm<'_, T> {
    /// Computes `c = a @ b`, with c in C order.
    pub fn multiply(&self, shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
        shape.check(a, b, c);
        let Shape { m, k, n, transposed } = shape;
        let int = |x: usize| c_int::try_from(x).expect("lengths that fit a C int");
        let (m, k, n) = (int(m), int(k), int(n));
        let (one, zero) = (T::from_wide(polyarray::Wide::Int(1)), T::from_wide(polyarray::Wide::Int(0)));
        let (trans, lda, ldb) = if transposed { (TRANS, m, k) } else { (NO_TRANS, k, n) };
        // SAFETY: `check` has verified that the slices have the lengths which these dimensions and leading dimensions
        // require. The library is open as long as the borrow in `self.library` lives.
        unsafe {
            (self.function)(
                ROW_MAJOR,
                trans,
                trans,
                m,
                n,
                k,
                one,
                a.as_ptr(),
                lda,
                b.as_ptr(),
                ldb,
                zero,
                c.as_mut_ptr(),
                n,
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_by_their_files() {
        assert_eq!(
            ["libmkl_rt.so.2", "libopenblas.dylib", "mkl_rt.2.dll", "x"].map(stem),
            ["mkl_rt", "openblas", "mkl_rt.2", "x"]
        );
        assert!(Blas::open(Path::new("/nonexistent/libx.so")).err().unwrap().contains("libx.so"));
    }
}
