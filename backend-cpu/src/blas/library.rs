//! A CBLAS library: finding it, binding the functions in use, and calling them.

use num_complex::Complex;
use polyarray_core::{Element, Error, Result, forks};
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, RwLock, mpsc};
use std::time::Duration;

/// The environment variable that names the library.
const SETTING: &str = "POLYARRAY_BLAS";

/// The names under which the system's loader knows the libraries, in order of preference.
#[cfg(not(feature = "blas-static"))]
const USUAL: &[&str] = if cfg!(target_os = "macos") {
    &[
        "libopenblas.0.dylib",
        "libopenblas.dylib",
        "libmkl_rt.2.dylib",
        "libblis.4.dylib",
        "/System/Library/Frameworks/Accelerate.framework/Accelerate",
    ]
} else if cfg!(windows) {
    &["openblas.dll", "libopenblas.dll", "mkl_rt.2.dll", "libblis.4.dll"]
} else {
    &[
        "libopenblas.so.0",
        "libopenblas.so",
        "libmkl_rt.so.2",
        "libmkl_rt.so",
        "libblis.so.4",
        "libblis.so",
        "libcblas.so.3",
    ]
};

/// How to install a library, for error messages.
#[cfg(not(feature = "blas-static"))]
const REMEDY: &str = "install one (Debian, Ubuntu: apt-get install libopenblas0-pthread; Fedora: dnf install openblas; \
                      macOS: brew install openblas) or set POLYARRAY_BLAS to the path of one";

/// The type of `cblas_?gemm` with integers `I`, factors of type `S`, and elements `T`.
type Gemm<I, S, T> = unsafe extern "C" fn(c_int, c_int, c_int, I, I, I, S, *const T, I, *const T, I, S, *mut T, I);

const ROW_MAJOR: c_int = 101;
const NO_TRANS: c_int = 111;
const TRANS: c_int = 112;

/// The functions of a library with integers `I`.
struct Functions<I> {
    s: Gemm<I, f32, f32>,
    d: Gemm<I, f64, f64>,
    c: Gemm<I, *const Complex<f32>, Complex<f32>>,
    z: Gemm<I, *const Complex<f64>, Complex<f64>>,
}

/// The integer type that the library was built with.
enum Interface {
    Lp64(Functions<i32>),
    Ilp64(Functions<i64>),
}

/// A function that sets the number of threads that the library uses.
enum SetThreads {
    Int(unsafe extern "C" fn(c_int)),
    Wide(unsafe extern "C" fn(i64)),
}

/// A CBLAS library. It is never unloaded: some libraries run threads of their own, which must not outlive it.
pub struct Library {
    /// The library's description of itself.
    pub description: String,
    interface: Interface,
    set_threads: Option<SetThreads>,
    /// Held for reading by every call, so that no call runs while the number of threads changes.
    threads: RwLock<Threads>,
    callers: Mutex<Callers>,
    /// Notified when a call ends.
    ended: Condvar,
    /// The number of [`forks`] when the library was opened.
    forks: u32,
}

/// The number of threads that the library uses.
struct Threads {
    /// The number that was set last.
    now: usize,
    /// The largest number for which there was memory.
    most: usize,
}

/// The running calls of the library. Each call uses a buffer, which the library keeps for later calls.
struct Callers {
    running: usize,
    /// The number of buffers.
    buffers: usize,
}

impl Library {
    /// Opens the library that `POLYARRAY_BLAS` names, else the linked one, else the first one found. Refuses a library
    /// that does not multiply two matrices within [`PATIENCE`].
    ///
    /// # Errors
    /// [`Error::Absent`] with what was tried and how to install a library.
    pub fn open() -> Result<Arc<Library>> {
        let buffers = threads_started() + 1;
        if !has_room(buffers) {
            let bytes = buffers * BUFFER;
            return Err(absent(format!(
                "the system refuses the {bytes} bytes of address space that OpenBLAS needs for {buffers} threads; set \
                 OPENBLAS_NUM_THREADS to a smaller number"
            )));
        }
        let library = match std::env::var_os(SETTING).filter(|path| !path.is_empty()) {
            Some(path) => Library::load(Path::new(&path))
                .map_err(|why| absent(format!("{SETTING} names {}: {why}", Path::new(&path).display()))),
            None => Library::usual(),
        };
        let library = Arc::new(library?);
        library.clone().try_out(PATIENCE).map_err(|why| absent(format!("{}: {why}", library.description)))?;
        Ok(library)
    }

    /// Multiplies two matrices on a thread of its own, and waits for it no longer than `patience`: a library that
    /// cannot get its buffers may retry forever, and its thread cannot be ended.
    fn try_out(self: Arc<Library>, patience: Duration) -> Result<(), String> {
        const N: usize = 128;
        let (tell, told) = mpsc::channel();
        let multiply = move || {
            let ones = vec![1.0f32; N * N];
            let mut product = vec![0.0f32; N * N];
            let factor = || Factor { start: ones.as_ptr(), transposed: false, leading: N };
            // SAFETY: the matrices are N by N, and nothing else uses the product.
            unsafe { f32::gemm(&self, [N; 3], &factor(), &factor(), product.as_mut_ptr(), N, false) };
            // The receiver is gone if the answer is late.
            let _ = tell.send(product.iter().all(|&x| x == N as f32));
        };
        std::thread::Builder::new()
            .spawn(multiply)
            .map_err(|e| format!("no thread could be started to test the library: {e}"))?;
        match told.recv_timeout(patience) {
            Ok(true) => Ok(()),
            Ok(false) => Err("it returned a wrong product of two test matrices; use another library".into()),
            Err(_) => Err(format!(
                "it did not multiply two matrices of {N} x {N} within {} seconds; it may not get enough memory",
                patience.as_secs()
            )),
        }
    }

    #[cfg(feature = "blas-static")]
    fn usual() -> Result<Library> {
        Ok(super::linked::library())
    }

    #[cfg(not(feature = "blas-static"))]
    fn usual() -> Result<Library> {
        let mut unfit = Vec::new();
        for name in USUAL {
            match Library::load(Path::new(name)) {
                Ok(library) => return Ok(library),
                Err(LoadError::NotLoaded(_)) => {}
                Err(other) => unfit.push(format!("{name}: {other}")),
            }
        }
        let found = if unfit.is_empty() { String::new() } else { format!(" ({})", unfit.join("; ")) };
        Err(absent(format!("no CBLAS library was found under the names {}{found}; {REMEDY}", USUAL.join(", "))))
    }

    /// Loads the library at `path`, or of that name from the loader's directories.
    fn load(path: &Path) -> Result<Library, LoadError> {
        // SAFETY: loading runs the library's initialisers. The user or the system names this file as a BLAS library,
        // and loading such a file is the purpose of this device.
        let loaded = unsafe { libloading::Library::new(path) }.map_err(|e| LoadError::NotLoaded(with_source(&e)))?;
        let library = Library::bind(&loaded, path)?;
        std::mem::forget(loaded);
        Ok(library)
    }

    fn new(description: String, interface: Interface, set_threads: Option<SetThreads>) -> Library {
        let callers = Mutex::new(Callers { running: 0, buffers: 1 });
        let threads = RwLock::new(Threads { now: 0, most: threads_started() });
        Library { description, interface, set_threads, threads, callers, ended: Condvar::new(), forks: forks() }
    }

    fn bind(loaded: &libloading::Library, path: &Path) -> Result<Library, LoadError> {
        let symbols = Symbols { loaded };
        let convention = CONVENTIONS.iter().find(|c| symbols.has(&c.name("cblas_sgemm"))).unwrap_or(&CONVENTIONS[0]);
        let interface = if convention.wide || symbols.says_wide() {
            Interface::Ilp64(symbols.functions(convention)?)
        } else {
            Interface::Lp64(symbols.functions(convention)?)
        };
        let description = symbols
            .version(convention)
            .map_or_else(|| path.display().to_string(), |version| format!("{version}, {}", path.display()));
        Ok(Library::new(description, interface, symbols.set_threads(convention)))
    }

    /// Returns the library whose functions were linked at build time; `set_threads` sets its number of threads.
    #[cfg(feature = "blas-static")]
    pub(super) fn linked(
        description: String,
        s: Gemm<c_int, f32, f32>,
        d: Gemm<c_int, f64, f64>,
        c: Gemm<c_int, *const Complex<f32>, Complex<f32>>,
        z: Gemm<c_int, *const Complex<f64>, Complex<f64>>,
        set_threads: unsafe extern "C" fn(c_int),
    ) -> Library {
        let interface = Interface::Lp64(Functions { s, d, c, z });
        Library::new(description, interface, Some(SetThreads::Int(set_threads)))
    }

    /// Returns the largest dimension that can be passed.
    pub fn max_dimension(&self) -> usize {
        match self.interface {
            Interface::Lp64(_) => i32::MAX as usize,
            Interface::Ilp64(_) => isize::MAX as usize,
        }
    }

    /// Returns whether [`with_threads`](Self::with_threads) sets the number of threads.
    pub fn sets_threads(&self) -> bool {
        self.set_threads.is_some() && self.forks == forks()
    }

    /// Runs `f` while the library uses `threads` threads. If another thread requests another number at the same time,
    /// the library uses that one; if there is no memory for their buffers, it uses fewer. `f` makes one call at a time.
    ///
    /// In a child process of the process that opened the library, the number of threads does not change: locks may be
    /// held by threads that the child does not have.
    pub fn with_threads<R>(&self, threads: usize, f: impl FnOnce() -> R) -> R {
        if self.forks != forks() {
            return f();
        }
        let _call = self.enter();
        let read = || self.threads.read().unwrap_or_else(|e| e.into_inner());
        if let Some(set) = self.set_threads.as_ref().filter(|_| read().now != threads) {
            let mut known = self.threads.write().unwrap_or_else(|e| e.into_inner());
            // More threads than ever before need more buffers.
            if threads <= known.most || has_room(threads - known.most) {
                known.most = known.most.max(threads);
            }
            let threads = threads.min(known.most);
            // SAFETY: `set` has this signature, since it was linked or found by its name. No call runs meanwhile: every
            // call holds the lock `threads` for reading, and this thread holds it for writing.
            unsafe {
                match set {
                    SetThreads::Int(set) => set(c_int::try_from(threads).unwrap_or(c_int::MAX)),
                    SetThreads::Wide(set) => set(i64::try_from(threads).unwrap_or(i64::MAX)),
                }
            }
            known.now = threads;
        }
        let _unchanged = read();
        f()
    }

    /// Waits until the library has a buffer for one more call, or until there is memory for one.
    fn enter(&self) -> Call<'_> {
        let mut callers = self.callers.lock().unwrap_or_else(|e| e.into_inner());
        while callers.running >= callers.buffers {
            if has_room(1) {
                callers.buffers += 1;
            } else {
                callers = self.ended.wait(callers).unwrap_or_else(|e| e.into_inner());
            }
        }
        callers.running += 1;
        Call(self)
    }
}

/// A running call of the library.
struct Call<'a>(&'a Library);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.callers.lock().unwrap_or_else(|e| e.into_inner()).running -= 1;
        self.0.ended.notify_one();
    }
}

/// The longest time that a newly opened library may take to multiply two small matrices.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of address space per thread and per concurrent call: those that OpenBLAS maps (`BUFFER_SIZE` of its
/// `common_x86_64.h`, the largest one), and those of a thread's stack. If the system refuses them, OpenBLAS retries
/// forever.
const BUFFER: usize = (128 << 20) + (8 << 20);

/// Returns whether the system grants address space for `buffers` buffers. Another allocation may still take it before
/// the library does.
fn has_room(buffers: usize) -> bool {
    let mut trial: Vec<Vec<u8>> = Vec::new();
    (0..buffers).all(|_| {
        let mut buffer = Vec::new();
        let given = buffer.try_reserve_exact(BUFFER).is_ok();
        trial.push(buffer);
        given
    })
}

/// Returns the largest number of threads that OpenBLAS starts when it is loaded.
fn threads_started() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let setting = |name| std::env::var(name).ok()?.trim().parse::<usize>().ok().filter(|&n| n > 0);
    ["OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"]
        .into_iter()
        .find_map(setting)
        .map_or(cores, |n| n.min(cores))
}

fn absent(why: String) -> Error {
    Error::Absent { name: "blas".into(), why }
}

/// Returns the system's message, which is the source of the `libloading` error.
fn with_source(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| source.to_string())
}

/// The reason why a file cannot be used as a library.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error("it cannot be loaded: {0}")]
    NotLoaded(String),
    #[error("it has no function {0}, so it is not a CBLAS library")]
    NoSymbol(String),
}

/// The decoration of a library's function names.
struct Convention {
    prefix: &'static str,
    suffix: &'static str,
    /// Whether the decoration implies 64-bit integers.
    wide: bool,
}

const CONVENTIONS: [Convention; 5] = [
    Convention { prefix: "", suffix: "", wide: false },
    Convention { prefix: "", suffix: "64_", wide: true },
    Convention { prefix: "", suffix: "_64", wide: true },
    Convention { prefix: "scipy_", suffix: "", wide: false },
    Convention { prefix: "scipy_", suffix: "64_", wide: true },
];

impl Convention {
    fn name(&self, plain: &str) -> String {
        format!("{}{plain}{}", self.prefix, self.suffix)
    }
}

struct Symbols<'a> {
    loaded: &'a libloading::Library,
}

impl Symbols<'_> {
    /// Returns the function `name`, if the library has it.
    ///
    /// # Safety
    /// `F` is a function pointer type with the signature of the function `name`.
    unsafe fn get<F: Copy>(&self, name: &str) -> Option<F> {
        // SAFETY: `F` has the signature of the function `name`, which the caller guarantees.
        unsafe { self.loaded.get::<F>(name) }.ok().map(|symbol| *symbol)
    }

    fn has(&self, name: &str) -> bool {
        // SAFETY: the pointer is not called, so its signature does not matter.
        unsafe { self.get::<unsafe extern "C" fn()>(name) }.is_some()
    }

    /// Returns the functions of the library. `I` must be the library's integer type.
    ///
    /// # Errors
    /// [`LoadError::NoSymbol`] for the first missing function.
    fn functions<I>(&self, convention: &Convention) -> Result<Functions<I>, LoadError> {
        let name = |letter: char| convention.name(&format!("cblas_{letter}gemm"));
        let missing = |letter: char| LoadError::NoSymbol(name(letter));
        // SAFETY: CBLAS defines these signatures, except for the integer type, which `bind` has determined.
        unsafe {
            Ok(Functions {
                s: self.get(&name('s')).ok_or_else(|| missing('s'))?,
                d: self.get(&name('d')).ok_or_else(|| missing('d'))?,
                c: self.get(&name('c')).ok_or_else(|| missing('c'))?,
                z: self.get(&name('z')).ok_or_else(|| missing('z'))?,
            })
        }
    }

    /// Returns whether the library reports 64-bit integers although its function names do not.
    fn says_wide(&self) -> bool {
        // SAFETY: BLIS declares `gint_t bli_info_get_blas_int_type_size(void)`. In its 64-bit builds `gint_t` has the
        // width of a pointer; in others the high bits are clear.
        let blis = unsafe { self.get::<unsafe extern "C" fn() -> isize>("bli_info_get_blas_int_type_size") }
            .is_some_and(|bits| unsafe { bits() } == 64);
        let openblas = self.openblas_config("openblas_get_config").is_some_and(|config| config.contains("USE64BITINT"));
        let mkl = self.has("MKL_Set_Num_Threads")
            && std::env::var("MKL_INTERFACE_LAYER").is_ok_and(|layer| layer.contains("ILP64"));
        blis || openblas || mkl
    }

    /// Returns the result of `name`, a function without arguments that returns a string.
    fn openblas_config(&self, name: &str) -> Option<String> {
        // SAFETY: all callers pass names of functions that have no arguments and return a string with static lifetime
        // (or null).
        unsafe {
            let say = self.get::<unsafe extern "C" fn() -> *const c_char>(name)?;
            text(say())
        }
    }

    /// Returns the library's version, such as `OpenBLAS 0.3.21 (SkylakeX)`, `BLIS 0.9.0` or `MKL`. Returns `None` if
    /// the library does not report it.
    fn version(&self, convention: &Convention) -> Option<String> {
        if let Some(config) = self.openblas_config(&convention.name("openblas_get_config")) {
            let core = self.openblas_config(&convention.name("openblas_get_corename"));
            return Some(openblas_version(&config, core.as_deref()));
        }
        let blis = self.openblas_config("bli_info_get_version_str").map(|version| format!("BLIS {version}"));
        blis.or_else(|| self.has("MKL_Set_Num_Threads").then(|| "MKL".into()))
    }

    fn set_threads(&self, convention: &Convention) -> Option<SetThreads> {
        // SAFETY: these are the declarations of OpenBLAS and MKL (argument `int`), and of BLIS (argument `dim_t`).
        unsafe {
            let by_int =
                self.get(&convention.name("openblas_set_num_threads")).or_else(|| self.get("MKL_Set_Num_Threads"));
            by_int.map(SetThreads::Int).or_else(|| self.get("bli_thread_set_num_threads").map(SetThreads::Wide))
        }
    }
}

/// Returns the first words of OpenBLAS's description of itself, and the kind of core that it detected.
pub(super) fn openblas_version(config: &str, core: Option<&str>) -> String {
    let version = config.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    core.map_or_else(|| version.clone(), |core| format!("{version} ({core})"))
}

/// Copies a C string. Returns `None` for null.
///
/// # Safety
/// `text` is null or points to a string that ends with a zero byte.
pub(super) unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: `text` is not null (checked here), so it points to a string that ends with a zero byte, which the caller
    // guarantees.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// A factor of a product: its start, whether it is transposed, and the distance between its rows (its columns, if
/// transposed).
pub struct Factor<T> {
    /// The first element.
    pub start: *const T,
    /// Whether columns are contiguous instead of rows.
    pub transposed: bool,
    /// The number of elements from one row (column) to the next.
    pub leading: usize,
}

/// A dtype that BLAS multiplies.
pub trait Multiply: Element + bytemuck::Pod {
    /// Computes `C = A B`, or `C += A B` if `add`. A is `[m, k]`, B is `[k, n]`, and C is `[m, n]` with `ldc` elements
    /// from one row to the next. C need not be initialised unless `add`.
    ///
    /// # Safety
    /// - The elements of the factors are readable, those of C are writable (and initialised, if `add`), and nothing
    ///   else reads or writes C during the call;
    /// - dimensions and leading dimensions are at most [`Library::max_dimension`], and each leading dimension is at
    ///   least the length of the rows (columns) it separates.
    unsafe fn gemm(
        library: &Library,
        shape: [usize; 3],
        a: &Factor<Self>,
        b: &Factor<Self>,
        c: *mut Self,
        ldc: usize,
        add: bool,
    );
}

macro_rules! multiply {
    ($($T:ty, $field:ident, $one:expr, $zero:expr;)*) => { $(
        impl Multiply for $T {
            unsafe fn gemm(
                library: &Library, shape: [usize; 3], a: &Factor<Self>, b: &Factor<Self>, c: *mut Self, ldc: usize,
                add: bool
            ) {
                let beta = if add { $one } else { $zero };
                // SAFETY: the caller guarantees the conditions of `gemm`, and `f.$field` is the library's function for
                // these elements and integers.
                unsafe {
                    match &library.interface {
                        Interface::Lp64(f) => call(f.$field, shape, [$one, beta], a, b, c, ldc),
                        Interface::Ilp64(f) => call(f.$field, shape, [$one, beta], a, b, c, ldc),
                    }
                }
            }
        }
    )* };
}

multiply! {
    f32, s, 1.0, 0.0;
    f64, d, 1.0, 0.0;
    Complex<f32>, c, &Complex::new(1.0, 0.0), &Complex::new(0.0, 0.0);
    Complex<f64>, z, &Complex::new(1.0, 0.0), &Complex::new(0.0, 0.0);
}

/// Calls `gemm` in row-major order.
///
/// # Safety
/// The conditions of [`Multiply::gemm`] hold, and `gemm` is a function of CBLAS with integers `I`.
unsafe fn call<I: TryFrom<usize>, S, T>(
    gemm: Gemm<I, S, T>,
    [m, n, k]: [usize; 3],
    [alpha, beta]: [S; 2],
    a: &Factor<T>,
    b: &Factor<T>,
    c: *mut T,
    ldc: usize,
) {
    let int =
        |n: usize| I::try_from(n).unwrap_or_else(|_| unreachable!("estimate refuses dimensions that do not fit: {n}"));
    let trans = |f: &Factor<T>| if f.transposed { TRANS } else { NO_TRANS };
    // SAFETY: the conditions of CBLAS are those of this function, which the caller guarantees.
    unsafe {
        gemm(
            ROW_MAJOR,
            trans(a),
            trans(b),
            int(m),
            int(n),
            int(k),
            alpha,
            a.start,
            int(a.leading),
            b.start,
            int(b.leading),
            beta,
            c,
            int(ldc),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_blas_is_refused_with_its_name() {
        let why = |path: &str| Library::load(Path::new(path)).err().expect("refused").to_string();
        assert!(why("/nonexistent/libblas.so").contains("cannot be loaded"));
        assert!(why("/nonexistent/libblas.so").contains("/nonexistent/libblas.so"));
        let text = std::env::temp_dir().join(format!("polyarray-not-a-library-{}.so", std::process::id()));
        std::fs::write(&text, "not a library").unwrap();
        assert!(why(text.to_str().unwrap()).contains("cannot be loaded"));
        std::fs::remove_file(&text).unwrap();
        if cfg!(target_os = "linux") {
            assert!(why("libc.so.6").contains("no function cblas_sgemm"), "{}", why("libc.so.6"));
        }
    }

    /// A `gemm` that computes nothing.
    ///
    /// # Safety
    /// There are no conditions: it accesses no memory.
    #[rustfmt::skip]
    unsafe extern "C" fn none<S, T>(
        _: c_int, _: c_int, _: c_int, _: i32, _: i32, _: i32, _: S, _: *const T, _: i32, _: *const T, _: i32, _: S,
        _: *mut T, _: i32
    ) {}

    /// Returns a library whose product of f32 is `s`, and whose other products compute nothing.
    fn with_product(s: Gemm<i32, f32, f32>) -> Arc<Library> {
        let functions = Functions {
            s,
            d: none::<f64, f64>,
            c: none::<*const Complex<f32>, Complex<f32>>,
            z: none::<*const Complex<f64>, Complex<f64>>,
        };
        Arc::new(Library::new("a library".into(), Interface::Lp64(functions), None))
    }

    #[test]
    fn a_library_that_does_not_multiply_is_refused() {
        /// A `gemm` that never returns.
        ///
        /// # Safety
        /// There are no conditions: it accesses no memory.
        #[rustfmt::skip]
        unsafe extern "C" fn spin(
            _: c_int, _: c_int, _: c_int, _: i32, _: i32, _: i32, _: f32, _: *const f32, _: i32, _: *const f32, _: i32,
            _: f32, _: *mut f32, _: i32
        ) {
            loop {
                std::thread::park();
            }
        }
        let why = |s, patience| with_product(s).try_out(patience).expect_err("it does not multiply");
        assert!(why(none, PATIENCE).contains("wrong product"), "{}", why(none, PATIENCE));
        assert!(
            why(spin, Duration::from_millis(50)).contains("did not multiply"),
            "the wait for a library that hangs must end"
        );
    }

    #[test]
    fn calls_at_once_are_counted() {
        let library = with_product(none);
        let known = || {
            let callers = library.callers.lock().unwrap();
            (callers.running, callers.buffers)
        };
        assert_eq!(library.with_threads(1, known), (1, 1));
        assert_eq!(
            library.with_threads(1, || library.with_threads(1, known)),
            (2, 2),
            "a second call at the same time has a buffer of its own"
        );
        assert_eq!(known(), (0, 2), "the second buffer is kept");
        let unwound =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| library.with_threads(1, || panic!("on purpose"))));
        assert!(unwound.is_err() && known() == (0, 2));
    }

    #[test]
    fn openblas_describes_itself_briefly() {
        let config = "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64";
        assert_eq!(openblas_version(config, Some("SkylakeX")), "OpenBLAS 0.3.21 (SkylakeX)");
        assert_eq!(openblas_version(config, None), "OpenBLAS 0.3.21");
    }
}
