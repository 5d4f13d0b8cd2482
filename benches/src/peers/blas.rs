//! A CBLAS library opened by its path and called directly, past everything of polyarray's.

use super::{Float, Shape};
use libloading::Library;
use std::collections::HashMap;
use std::ffi::c_int;
use std::marker::PhantomData;
use std::path::Path;

/// `cblas_?gemm` of a library with 32-bit integers: order, transpositions, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc.
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
/// What the names of functions may begin with; SciPy's OpenBLAS has its own.
const PREFIXES: [&str; 2] = ["cblas_", "scipy_cblas_"];

/// An open library.
pub struct Blas {
    name: String,
    /// Addresses of the gemm functions, by letter. Invariant: each is a `Function` of the letter's type, alive as long as `_library`.
    functions: HashMap<char, *const ()>,
    _library: Library,
}

impl Blas {
    /// Opens the library at `path`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(path: &Path) -> Result<Blas, String> {
        let bad = |why: String| format!("--blas-peer {}: {why}", path.display());
        // SAFETY: opening a library runs its initialisers; it is the user who names it, as one to be run.
        let library = unsafe { Library::new(path) }.map_err(|e| bad(e.to_string()))?;
        let mut functions = HashMap::new();
        for letter in ['s', 'd'] {
            let names = PREFIXES.map(|prefix| format!("{prefix}{letter}gemm"));
            let found = names.iter().find_map(|name| {
                // SAFETY: the symbol is only taken as an address here; `gemm` says what makes calling it sound.
                let symbol = unsafe { library.get::<*const ()>(name.as_bytes()) }.ok()?;
                Some(*symbol)
            });
            functions.insert(letter, found.ok_or_else(|| bad(format!("it has none of {}", names.join(", "))))?);
        }
        let file = path.file_name().map_or_else(|| path.display().to_string(), |f| f.to_string_lossy().into_owned());
        Ok(Blas { name: format!("blas:{}", stem(&file)), functions, _library: library })
    }

    /// `blas:` and the library's name, as columns bear it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The product of matrices of this type.
    pub(super) fn gemm<T: Float>(&self) -> Gemm<'_, T> {
        // SAFETY: the address is that of `cblas_?gemm` for the letter of T, whose signature CBLAS fixes; it is not null, since `get` found it.
        let function = unsafe { std::mem::transmute::<*const (), Function<T>>(self.functions[&T::LETTER]) };
        Gemm { function, library: PhantomData }
    }
}

/// `libmkl_rt.so.2` is `mkl_rt`.
fn stem(file: &str) -> &str {
    let file = file.strip_prefix("lib").unwrap_or(file);
    let end = [".so", ".dylib", ".dll"].iter().filter_map(|e| file.find(e)).min();
    &file[..end.unwrap_or(file.len())]
}

/// A gemm function of a library that is open.
pub(super) struct Gemm<'a, T> {
    function: Function<T>,
    library: PhantomData<&'a Blas>,
}

impl<T: Float> Gemm<'_, T> {
    /// `c = a @ b`, c in C order.
    pub fn multiply(&self, shape: Shape, a: &[T], b: &[T], c: &mut [T]) {
        shape.check(a, b, c);
        let Shape { m, k, n, transposed } = shape;
        let int = |x: usize| c_int::try_from(x).expect("lengths that CBLAS can count");
        let (m, k, n) = (int(m), int(k), int(n));
        let (one, zero) = (T::from_wide(polyarray::Wide::Int(1)), T::from_wide(polyarray::Wide::Int(0)));
        let (trans, lda, ldb) = if transposed { (TRANS, m, k) } else { (NO_TRANS, k, n) };
        // SAFETY: the slices have the lengths that these dimensions and leading dimensions mean, checked above; the library outlives `self`.
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
