//! Devices: the backends this process has, by name, and which one is in force.

use crate::backend::{Backend, DeviceInfo};
use crate::config::config;
use crate::fork::forks;
use crate::{Error, MemoryId, Result};
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, RwLock};
use std::thread::{self, ThreadId};

/// Finds a device.
pub type Open = fn() -> Result<Arc<dyn Backend>>;

/// How a backend crate announces itself: [`announce!`](crate::announce). Linking the crate is enough.
pub struct BackendEntry {
    /// The name users give.
    pub name: &'static str,
    /// Where it stands among [`Device::all`].
    pub order: u8,
    /// Whether opening it takes so long (a driver to load) that `auto` waits until an operation is large enough to be worth it.
    pub slow_to_open: bool,
    /// Whether there may be hardware for it, found out without loading anything. Without, it is opened only where it is asked for by name.
    pub present: fn() -> bool,
    /// Finds the device. It may ask for other devices; its own name is an `Err` until it has returned.
    pub open: Open,
}

inventory::collect!(BackendEntry);

/// Announces a backend: `announce!(my_backend_is_linked, BackendEntry { .. });` at the top of a module makes it one of
/// [`Device::all`](crate::Device::all) in every program that links the crate (`extern crate my_backend as _;`).
///
/// The entry is submitted by a constructor, which runs before `main`. On WebAssembly the linker takes a part of a library
/// only if something refers to it, and nothing refers to a constructor: there `name` becomes an exported function, whose
/// part of the library, and with it the constructor, is always linked. It must be unique in a program.
#[macro_export]
macro_rules! announce {
    ($name:ident, $entry:expr) => {
        $crate::inventory::submit! { $entry }

        #[cfg(target_family = "wasm")]
        #[unsafe(no_mangle)]
        extern "C" fn $name() {}
    };
}

/// Devices that a build may lack, and how to get them.
const OPTIONAL: [(&str, &str); 3] = [
    ("simd", "this build of polyarray has the feature `simd` off; turn it on in Cargo.toml"),
    ("blas", "this build of polyarray has the feature `blas` off; turn it on in Cargo.toml"),
    ("gpu", "this build of polyarray has the feature `gpu` off; turn it on in Cargo.toml"),
];

/// A backend that is known, opened when first needed.
pub(crate) struct Slot {
    name: String,
    pub(crate) slow_to_open: bool,
    present: fn() -> bool,
    open: Option<Open>,
    /// Whether a program registered it, rather than a linked crate: core then fills its outputs beforehand and checks bools afterwards, so that a
    /// backend which breaks its contract by leaving elements unwritten gives wrong numbers and not uninitialised memory.
    pub(crate) registered: bool,
    backend: OnceLock<Result<Arc<dyn Backend>>>,
    /// Whether `open` is running; changed only by the thread that opens backends.
    opening: AtomicBool,
    /// The number of [`forks`] when it was opened.
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

    /// The backend, if it has been opened and is there.
    #[inline]
    pub(crate) fn opened(&self) -> Option<&Arc<dyn Backend>> {
        self.backend.get().and_then(|b| b.as_ref().ok())
    }

    /// The backend; opens it. No lock is held while `open` runs, so that it may ask for other devices.
    pub(crate) fn backend(&self) -> Result<&Arc<dyn Backend>> {
        if self.backend.get().is_none() {
            in_turn(|| self.open())?;
        }
        let absent = || Err(Error::Absent { name: self.name.clone(), why: "it was never opened".into() });
        self.backend.get().map_or_else(absent, |b| b.as_ref().map_err(Clone::clone))
    }

    /// Opens the backend, unless that has been done meanwhile.
    ///
    /// # Errors
    /// If this is called by what opens it.
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
                why: "it is being opened, and what opens it asked for it".into(),
            });
        }
        let _done = Done(&self.opening);
        let opened = open();
        self.forks.store(forks(), Ordering::Relaxed);
        // Only the thread whose turn it is sets it, and it was not set before.
        let _ = self.backend.set(opened);
        Ok(())
    }

    /// The backend, unless there is no hardware for it and nobody asked for it by name; opens it.
    pub(crate) fn backend_if_present(&self) -> Result<&Arc<dyn Backend>> {
        if self.backend.get().is_some() || (self.present)() || config().device.as_ref() == Some(&self.name) {
            return self.backend();
        }
        let name = &self.name;
        Err(Error::Absent {
            name: name.clone(),
            why: format!(
                "no hardware for it was found; what emulates it is opened only where the name {name:?} is asked for"
            ),
        })
    }

    /// Whether it was opened by an ancestor of this process: its driver's threads are missing here.
    pub(crate) fn is_inherited(&self) -> bool {
        self.forks.load(Ordering::Relaxed) != forks()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Runs `f`, which opens a backend, when no other thread opens one. What opens a backend may open another.
fn in_turn<R>(f: impl FnOnce() -> R) -> R {
    /// The thread whose turn it is, and the number of forks of its process.
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
    // A thread that stayed behind in the parent of this process is not waited for.
    while turn.is_some_and(|(thread, forks)| thread != me.0 && forks == me.1) {
        turn = ENDED.wait(turn).unwrap_or_else(|e| e.into_inner());
    }
    let outermost = turn.replace(me) != Some(me);
    drop(turn);
    // Made only where the turn ends with this call: `then_some` would make, and drop, one for an inner call, too.
    let _end = outermost.then(|| End);
    f()
}

/// Every backend known, in order. Taken by value so that nothing is locked while one of them works.
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

/// Changes whenever a backend is added.
pub(crate) fn generation() -> usize {
    GENERATION.load(Ordering::Acquire)
}

/// Adds a backend under its own name, and gives the device that it is. A name that is taken is taken over.
///
/// Outputs in host memory are filled with zeros before the backend runs an operation, which costs one more pass over them.
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
    // A backend whose name was taken over may end here, and ask for devices while it does: nothing is locked.
    drop(replaced);
    Device(Some(slot))
}

/// Where work is done: one backend, or `auto`, which chooses one for each operation by estimated cost.
#[derive(Clone)]
pub struct Device(pub(crate) Option<Arc<Slot>>);

impl Device {
    /// The device that chooses.
    pub fn auto() -> Device {
        Device(None)
    }

    /// The device of this name: `auto`, `scalar`, `simd`, `blas`, `gpu`, or a registered backend's.
    ///
    /// # Errors
    /// [`Error::Absent`] with the reason, and how to get it.
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
                "the devices here are auto, {}",
                slots().iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(", ")
            )
        };
        Err(Error::Absent { name: name.into(), why: why.unwrap_or_else(known) })
    }

    /// Plain scalar code: every operation, every dtype; what the others are checked against.
    ///
    /// # Panics
    /// If no backend crate is linked (`polyarray` always links it).
    #[track_caller]
    pub fn scalar() -> Device {
        Device::named("scalar").expect("the scalar backend is always linked")
    }

    /// Explicit SIMD on all cores.
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `simd` is off.
    pub fn simd() -> Result<Device> {
        Device::named("simd")
    }

    /// A CBLAS library.
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `blas` is off or no library is found.
    pub fn blas() -> Result<Device> {
        Device::named("blas")
    }

    /// A GPU, or a software implementation of one: this opens the driver of either.
    ///
    /// Some drivers write to the standard error stream while they are opened: Mesa's says `error: XDG_RUNTIME_DIR is invalid or not set in the environment` where that
    /// variable is missing. It does no harm; setting the variable before the program starts avoids it. (A library cannot set it: other threads may be reading the
    /// environment.)
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `gpu` is off or no adapter is found.
    pub fn gpu() -> Result<Device> {
        Device::named("gpu")
    }

    /// Every device that is here (`auto` is not one of them). Opens them, but for a GPU of which no hardware is found: a GPU emulated by the CPU is among them once
    /// it was asked for, by [`named`](Self::named) or by `POLYARRAY_DEVICE`, `POLYARRAY_GPU` or a variable that names a Vulkan driver (`VK_DRIVER_FILES`).
    pub fn all() -> Vec<Device> {
        slots().iter().filter(|s| s.backend_if_present().is_ok()).map(|s| Device(Some(s.clone()))).collect()
    }

    /// Every device that could be here and is not, with the reason. Opens them, as [`all`](Self::all) does.
    pub fn absent() -> Vec<(String, Error)> {
        let known = slots();
        let mut out: Vec<(String, Error)> =
            known.iter().filter_map(|s| s.backend_if_present().err().map(|e| (s.name.clone(), e))).collect();
        for (name, _) in OPTIONAL.iter().filter(|(n, _)| !known.iter().any(|s| s.name == *n)) {
            out.extend(Device::named(name).err().map(|e| ((*name).to_string(), e)));
        }
        out
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.as_ref().map_or("auto", |s| &s.name)
    }

    /// What it is.
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

    /// Its backend; `None` for `auto`.
    pub fn backend(&self) -> Option<&Arc<dyn Backend>> {
        self.0.as_ref().and_then(|s| s.opened())
    }

    /// The memory that arrays put on it live in.
    pub fn memory(&self) -> MemoryId {
        self.backend().map_or(MemoryId::HOST, |b| b.memory())
    }

    /// Waits for everything that was given to it.
    ///
    /// # Errors
    /// What its queue still owed.
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

    /// The device in force on this thread: of the innermost [`with_device`], else of `POLYARRAY_DEVICE`, else `auto`.
    ///
    /// # Errors
    /// [`Error::Absent`] if `POLYARRAY_DEVICE` names one that is not here.
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
    /// What the innermost [`with_device`] on this thread was given, or null. A plain pointer has no destructor, so that other thread-locals' destructors can still
    /// do array work.
    static CURRENT: Cell<*const Device> = const { Cell::new(std::ptr::null()) };
}

/// Calls `f` with the device that [`with_device`] put in force on this thread, if it did.
#[inline]
fn with_innermost<R>(f: impl FnOnce(Option<&Device>) -> R) -> R {
    // SAFETY: the pointer is null, or the reference given to the innermost `with_device` on this thread. That has not returned: before it does, also by a panic,
    // its guard puts the outer pointer back. The reference outlives the call that was given it, and `f` returns before that call does.
    f(unsafe { CURRENT.get().as_ref() })
}

/// Calls `f` with the backend that [`with_device`] put in force on this thread; with none where that is `auto`, or nothing was.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Arc<Slot>>) -> R) -> R {
    with_innermost(|device| f(device.and_then(|d| d.0.as_ref())))
}

/// Runs `f` with `device` in force on this thread: every operation in it goes there, or is refused with the reason.
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
