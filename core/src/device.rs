//! Devices: the backends of this process, by name, and the selection of the current one.

use crate::backend::{Backend, DeviceInfo};
use crate::config::config;
use crate::fork::forks;
use crate::{Error, MemoryId, Result};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::thread::{self, ThreadId};

/// A function that opens a device.
pub type Open = fn() -> Result<Arc<dyn Backend>>;

/// The registration of a backend by its crate, made by [`announce!`](crate::announce). Linking the crate is enough.
pub struct BackendEntry {
    /// The name that users give.
    pub name: &'static str,
    /// The position among [`Device::all`].
    pub order: u8,
    /// Whether opening takes so long (a driver to load) that `auto` defers it until an operation is large enough.
    pub slow_to_open: bool,
    /// Returns whether hardware may be present, without loading anything. If not, the device is opened only if it is
    /// requested by name.
    pub present: fn() -> bool,
    /// Opens the device. It may use other devices; a use of its own name fails until it has returned.
    pub open: Open,
}

inventory::collect!(BackendEntry);

/// Announces a backend: `announce!(my_backend_is_linked, BackendEntry { .. });` at the top of a module makes it one of
/// [`Device::all`](crate::Device::all) in every program that links the crate (`extern crate my_backend as _;`).
///
/// A constructor, which runs before `main`, submits the entry. On WebAssembly the linker includes an object of a
/// library only if something refers to it, and nothing refers to a constructor. There `name` becomes an exported
/// function, so that its object, with the constructor, is always linked. It must be unique in a program.
#[macro_export]
macro_rules! announce {
    ($name:ident, $entry:expr) => {
        $crate::inventory::submit! { $entry }

        #[cfg(target_family = "wasm")]
        #[unsafe(no_mangle)]
        extern "C" fn $name() {}
    };
}

/// Devices that a build may lack, and how to enable them.
const OPTIONAL: [(&str, &str); 3] = [
    ("simd", "this build of polyarray has the feature `simd` off; turn it on in Cargo.toml"),
    ("blas", "this build of polyarray has the feature `blas` off; turn it on in Cargo.toml"),
    ("gpu", "this build of polyarray has the feature `gpu` off; turn it on in Cargo.toml"),
];

/// A known backend, opened on first use.
pub(crate) struct Slot {
    name: String,
    pub(crate) slow_to_open: bool,
    present: fn() -> bool,
    open: Option<Open>,
    /// Whether a program registered it, instead of a linked crate. Core then zeroes its outputs before a run and
    /// normalises bools afterwards, so that a backend that leaves elements unwritten gives wrong numbers instead of
    /// uninitialised memory.
    pub(crate) registered: bool,
    backend: OnceLock<Result<Arc<dyn Backend>>>,
    /// Whether `open` is running. Only the thread that currently opens backends changes it.
    opening: AtomicBool,
    /// The value of [`forks`] when the backend was opened.
    forks: AtomicU32,
}

impl Slot {
    fn new(
        name: String,
        slow_to_open: bool,
        present: fn() -> bool,
        open: Option<Open>,
        backend: OnceLock<Result<Arc<dyn Backend>>>,
    ) -> Slot {
        Slot {
            name,
            slow_to_open,
            present,
            open,
            registered: false,
            backend,
            opening: AtomicBool::new(false),
            forks: AtomicU32::new(forks()),
        }
    }

    /// Returns the backend if it has been opened successfully.
    #[inline]
    pub(crate) fn opened(&self) -> Option<&Arc<dyn Backend>> {
        self.backend.get().and_then(|b| b.as_ref().ok())
    }

    /// Opens the backend if necessary and returns it. No lock is held while `open` runs, so `open` may use other
    /// devices.
    pub(crate) fn backend(&self) -> Result<&Arc<dyn Backend>> {
        if self.backend.get().is_none() {
            in_turn(|| self.open())?;
        }
        let absent = || Err(Error::Absent { name: self.name.clone(), why: "it was never opened".into() });
        self.backend.get().map_or_else(absent, |b| b.as_ref().map_err(Clone::clone))
    }

    /// Opens the backend unless that has been done meanwhile.
    ///
    /// # Errors
    /// [`Error::Absent`] if `open` calls this recursively.
    fn open(&self) -> Result<()> {
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        let Some(open) = self.open.filter(|_| self.backend.get().is_none()) else { return Ok(()) };
        if self.opening.swap(true, Ordering::Relaxed) {
            return Err(Error::Absent {
                name: self.name.clone(),
                why: "it is being opened, and its open function requested it recursively".into(),
            });
        }
        let _done = Done(&self.opening);
        let opened = open();
        self.forks.store(forks(), Ordering::Relaxed);
        // Cannot fail: only the thread that is opening backends sets the cell, and it was empty.
        let _ = self.backend.set(opened);
        Ok(())
    }

    /// Opens the backend if necessary and returns it. Fails if no hardware is present and `POLYARRAY_DEVICE` does not
    /// name it.
    pub(crate) fn backend_if_present(&self) -> Result<&Arc<dyn Backend>> {
        if self.backend.get().is_some() || (self.present)() || config().device.as_ref() == Some(&self.name) {
            return self.backend();
        }
        let name = &self.name;
        Err(Error::Absent {
            name: name.clone(),
            why: format!(
                "no hardware for it was found; an emulation is opened only if the device {name:?} is selected by name"
            ),
        })
    }

    /// Returns whether an ancestor of this process opened it. The threads of its driver are missing here.
    pub(crate) fn is_inherited(&self) -> bool {
        self.forks.load(Ordering::Relaxed) != forks()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Runs `f`, which opens a backend, while no other thread opens one. `f` may open further backends.
fn in_turn<R>(f: impl FnOnce() -> R) -> R {
    /// The thread that is opening backends, and the fork count of its process.
    static TURN: Mutex<Option<(ThreadId, u32)>> = Mutex::new(None);
    static ENDED: Condvar = Condvar::new();
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            *TURN.lock().unwrap_or_else(|e| e.into_inner()) = None;
            ENDED.notify_all();
        }
    }
    let me = (thread::current().id(), forks());
    let mut turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    // Do not wait for a thread that exists only in the parent of this process.
    while turn.is_some_and(|(thread, forks)| thread != me.0 && forks == me.1) {
        turn = ENDED.wait(turn).unwrap_or_else(|e| e.into_inner());
    }
    let outermost = turn.replace(me) != Some(me);
    drop(turn);
    // Made only if the turn ends with this call. `then_some` would also make, and drop, an `End` for a nested call.
    let _end = outermost.then(|| End);
    f()
}

/// Returns all known backends, in order. They are returned by value so that no lock is held while a backend runs.
pub(crate) fn slots() -> Arc<[Arc<Slot>]> {
    registry().read().unwrap_or_else(|e| e.into_inner()).clone()
}

fn registry() -> &'static RwLock<Arc<[Arc<Slot>]>> {
    static REGISTRY: OnceLock<RwLock<Arc<[Arc<Slot>]>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut entries: Vec<&BackendEntry> = inventory::iter::<BackendEntry>.into_iter().collect();
        entries.sort_by_key(|e| e.order);
        let slot = |e: &&BackendEntry| {
            Arc::new(Slot::new(e.name.into(), e.slow_to_open, e.present, Some(e.open), OnceLock::new()))
        };
        RwLock::new(entries.iter().map(slot).collect())
    })
}

static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// Returns a number that changes whenever a backend is added.
pub(crate) fn generation() -> usize {
    GENERATION.load(Ordering::Acquire)
}

/// Registers a backend under its own name and returns its device. Replaces a backend of the same name.
///
/// Outputs in host memory are zeroed before the backend runs an operation, which costs one more pass over them.
///
/// `examples/custom_backend.rs` of `polyarray` is a complete backend.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// /// Runs elementwise work of f32 on `scalar`, and refuses everything else.
/// struct Halves(DeviceInfo);
/// // SAFETY: `scalar` keeps the contract of `Backend`, and lies in the same memory.
/// unsafe impl Backend for Halves {
///     fn info(&self) -> &DeviceInfo {
///         &self.0
///     }
///     fn memory(&self) -> MemoryId {
///         MemoryId::HOST
///     }
///     fn estimate(&self, op: &Op, threads: usize) -> std::result::Result<Cost, Unsupported> {
///         match op {
///             Op::Map(o) if o.output.dtype == DType::F32 => Ok(Cost { seconds: 1.0, threads }),
///             _ => Err(Unsupported::new("elementwise work of f32 only")),
///         }
///     }
///     unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
///         // SAFETY: as stated above.
///         unsafe { Device::scalar().backend().expect("scalar is a backend").run(op, cx) }
///     }
/// }
/// let info = DeviceInfo { name: "halves".into(), description: "an example".into(), hardware: true };
/// let device = register(Halves(info));
/// assert_eq!(Device::named("halves")?, device);
/// let x = Array::from([1.0f32, 2.0]);
/// assert_eq!((&x * 0.5).eval_on(&device)?, Array::from([0.5f32, 1.0]));
/// assert!(x.cast::<f64>().eval_on(&device).unwrap_err().to_string().contains("f32 only"));
/// # Ok::<(), Error>(())
/// ```
pub fn register(backend: impl Backend + 'static) -> Device {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let slot = Slot::new(backend.info().name.clone(), false, || true, None, OnceLock::from(Ok(backend)));
    let slot = Arc::new(Slot { registered: true, ..slot });
    let replaced = {
        let mut all = registry().write().unwrap_or_else(|e| e.into_inner());
        let with_it = all.iter().filter(|s| s.name != slot.name).cloned().chain([slot.clone()]).collect();
        std::mem::replace(&mut *all, with_it)
    };
    GENERATION.fetch_add(1, Ordering::Release);
    // This may drop the replaced backend, whose destructor may use devices, so no lock may be held here.
    drop(replaced);
    Device(Some(slot))
}

/// A place where operations run: one backend, or `auto`, which chooses the backend with the least estimated cost for
/// each operation.
#[derive(Clone)]
pub struct Device(pub(crate) Option<Arc<Slot>>);

impl Device {
    /// Returns the `auto` device.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 2.0]);
    /// assert_eq!((&x + &x).eval_on(&Device::auto())?, Array::from([2.0, 4.0]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn auto() -> Device {
        Device(None)
    }

    /// Returns the device of this name: `auto`, `scalar`, `simd`, `blas`, `gpu`, or a registered backend's.
    ///
    /// # Errors
    /// [`Error::Absent`] with the reason and how to enable the device.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert_eq!(Device::named("scalar")?, Device::scalar());
    /// let error = Device::named("abacus").unwrap_err();
    /// assert!(error.to_string().contains("the available devices are auto, scalar"), "{error}");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Device> {
        if name == "auto" {
            return Ok(Device::auto());
        }
        if let Some(slot) = slots().iter().find(|s| s.name == name) {
            slot.backend()?;
            return Ok(Device(Some(slot.clone())));
        }
        let why = OPTIONAL.iter().find(|(n, _)| *n == name).map(|(_, why)| (*why).to_string());
        let known = || {
            format!(
                "the available devices are auto, {}",
                slots().iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(", ")
            )
        };
        Err(Error::Absent { name: name.into(), why: why.unwrap_or_else(known) })
    }

    /// Returns the scalar device: plain code for every operation and dtype, the reference for the other devices.
    ///
    /// # Panics
    /// If no backend crate is linked (`polyarray` always links it).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([1.0, 4.0]);
    /// assert_eq!(x.sqrt().eval_on(&Device::scalar())?, Array::from([1.0, 2.0]));
    /// # Ok::<(), Error>(())
    /// ```
    #[track_caller]
    pub fn scalar() -> Device {
        Device::named("scalar").expect("the scalar backend is always linked")
    }

    /// Returns the SIMD device, which uses explicit SIMD on all cores.
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `simd` is off.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// match Device::simd() {
    ///     Ok(device) => println!("{device}: {}", device.info().description),
    ///     Err(why) => assert!(matches!(why, Error::Absent { .. })),
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn simd() -> Result<Device> {
        Device::named("simd")
    }

    /// Returns the BLAS device, which calls a CBLAS library.
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `blas` is off or no library is found.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// // The fastest device for products, if it is there.
    /// let device = Device::blas().unwrap_or(Device::auto());
    /// let a = Array::from([[1.0, 2.0], [3.0, 4.0]]);
    /// assert_eq!(Matmul::new(&a, &a).on(&device).run()?, Array::from([[7.0, 10.0], [15.0, 22.0]]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn blas() -> Result<Device> {
        Device::named("blas")
    }

    /// Returns the GPU device: a GPU or a software implementation of one. Opens the driver.
    ///
    /// Some drivers write to the standard error stream while they are opened: Mesa's writes
    /// `error: XDG_RUNTIME_DIR is invalid or not set in the environment` if that variable is missing. The message is
    /// harmless; setting the variable before the program starts avoids it. (A library cannot set it, because other
    /// threads may be reading the environment.)
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `gpu` is off or no adapter is found.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// match Device::gpu() {
    ///     Ok(device) => println!("{}", device.info().description),
    ///     Err(why) => println!("{why}"),
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn gpu() -> Result<Device> {
        Device::named("gpu")
    }

    /// Returns every available device, without `auto`. Opens them, except for a GPU without hardware: a GPU emulated by
    /// the CPU is included only after it was requested by [`named`](Self::named), `POLYARRAY_DEVICE`, `POLYARRAY_GPU`
    /// or a variable that names a Vulkan driver (`VK_DRIVER_FILES`).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// for device in Device::all() {
    ///     println!("{device}: {}", device.info().description);
    /// }
    /// assert!(Device::all().contains(&Device::scalar()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn all() -> Vec<Device> {
        slots().iter().filter(|s| s.backend_if_present().is_ok()).map(|s| Device(Some(s.clone()))).collect()
    }

    /// Returns every device that is not available, with the reason. Opens devices as [`all`](Self::all) does.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// for (name, why) in Device::absent() {
    ///     println!("{name} is absent: {why}");
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn absent() -> Vec<(String, Error)> {
        let known = slots();
        let mut out: Vec<(String, Error)> =
            known.iter().filter_map(|s| s.backend_if_present().err().map(|e| (s.name.clone(), e))).collect();
        for (name, _) in OPTIONAL.iter().filter(|(n, _)| !known.iter().any(|s| s.name == *n)) {
            out.extend(Device::named(name).err().map(|e| ((*name).to_string(), e)));
        }
        out
    }

    /// Returns its name.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert_eq!((Device::auto().name(), Device::scalar().name()), ("auto", "scalar"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn name(&self) -> &str {
        self.0.as_ref().map_or("auto", |s| &s.name)
    }

    /// Returns its description.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let info = Device::scalar().info().clone();
    /// assert!(info.name == "scalar" && info.hardware && !info.description.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn info(&self) -> &DeviceInfo {
        static AUTO: OnceLock<DeviceInfo> = OnceLock::new();
        match &self.0 {
            Some(slot) => slot.opened().expect("a Device holds an open backend").info(),
            None => AUTO.get_or_init(|| DeviceInfo {
                name: "auto".into(),
                description: "the device with the least estimated cost, for each operation".into(),
                hardware: true,
            }),
        }
    }

    /// Returns its backend; `None` for `auto`.
    ///
    /// For authors of backends that pass operations on to another one, as in the example of [`register`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert!(Device::auto().backend().is_none());
    /// let scalar = Device::scalar();
    /// assert_eq!(scalar.backend().expect("scalar is a backend").info().name, "scalar");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn backend(&self) -> Option<&Arc<dyn Backend>> {
        self.0.as_ref().and_then(|s| s.opened())
    }

    /// Returns the memory of arrays on this device.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// assert_eq!((Device::scalar().memory(), Device::auto().memory()), (MemoryId::HOST, MemoryId::HOST));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn memory(&self) -> MemoryId {
        self.backend().map_or(MemoryId::HOST, |b| b.memory())
    }

    /// Waits until all work submitted to the device is complete. For `auto`: to every open device.
    ///
    /// # Errors
    /// Errors of queued work.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::<f32>::ones([1000])?.to_device(&Device::scalar())?;
    /// let y = (&x + 1.0).eval()?;
    /// // Needed before a time is taken: a GPU may still be computing. Reading elements waits, too.
    /// Device::auto().synchronize()?;
    /// assert_eq!(y.get([0])?, 2.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn synchronize(&self) -> Result<()> {
        match &self.0 {
            Some(_) => self.backend().map_or(Ok(()), |b| b.synchronize()),
            None => slots()
                .iter()
                .filter(|s| !s.is_inherited())
                .filter_map(|s| s.opened())
                .try_for_each(|b| b.synchronize()),
        }
    }

    /// Returns the current device of this thread: that of the innermost [`with_device`], else of `POLYARRAY_DEVICE`,
    /// else `auto`.
    ///
    /// # Errors
    /// [`Error::Absent`] if `POLYARRAY_DEVICE` names a device that is not available.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// with_device(&Device::scalar(), || {
    ///     assert_eq!(Device::current()?, Device::scalar());
    ///     with_device(&Device::auto(), || assert_eq!(Device::current().ok(), Some(Device::auto())));
    ///     Ok::<(), Error>(())
    /// })?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn current() -> Result<Device> {
        if let Some(device) = with_innermost(|device| device.cloned()) {
            return Ok(device);
        }
        match &config().device {
            None => Ok(Device::auto()),
            Some(name) => Device::named(name),
        }
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Device) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

impl Eq for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({})", self.name())
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

thread_local! {
    /// The argument of the innermost [`with_device`] on this thread, or null. A raw pointer has no destructor, so
    /// destructors of other thread-locals can still run array operations.
    static CURRENT: Cell<*const Device> = const { Cell::new(std::ptr::null()) };
}

/// Calls `f` with the argument of the innermost [`with_device`] on this thread, if any.
#[inline]
fn with_innermost<R>(f: impl FnOnce(Option<&Device>) -> R) -> R {
    // SAFETY: the pointer is null or the reference passed to the innermost `with_device` on this thread. That call has
    // not returned: its guard restores the outer pointer before it returns or unwinds. The reference outlives that
    // call, and `f` returns before that call does.
    f(unsafe { CURRENT.get().as_ref() })
}

/// Calls `f` with the backend of the innermost [`with_device`] on this thread; with `None` if that is `auto` or there
/// is none.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Arc<Slot>>) -> R) -> R {
    with_innermost(|device| f(device.and_then(|d| d.0.as_ref())))
}

/// Runs `f` with `device` as the current device of this thread. Every operation in `f` runs on it or fails with the
/// reason.
///
/// The device applies to this thread, not to threads that `f` starts. When `f` returns or panics, the outer device is
/// the current one again.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([1.0, 4.0]);
/// let (roots, trace) = trace::record(|| with_device(&Device::scalar(), || x.sqrt().eval()));
/// assert_eq!(roots?, Array::from([1.0, 2.0]));
/// assert_eq!(trace.events[0].device, "scalar");
/// # Ok::<(), Error>(())
/// ```
pub fn with_device<R>(device: &Device, f: impl FnOnce() -> R) -> R {
    struct Restore(*const Device);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(device));
    f()
}
