//! Devices: the backends this process has, by name, and which one is in force.

use crate::backend::{Backend, DeviceInfo};
use crate::config::config;
use crate::{Error, MemoryId, Result};
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

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
    /// Finds the device.
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
    open: Option<Open>,
    backend: OnceLock<Result<Arc<dyn Backend>>>,
}

impl Slot {
    /// The backend, if it has been opened and is there.
    #[inline]
    pub(crate) fn opened(&self) -> Option<&Arc<dyn Backend>> {
        self.backend.get().and_then(|b| b.as_ref().ok())
    }

    /// The backend; opens it.
    pub(crate) fn backend(&self) -> Result<&Arc<dyn Backend>> {
        let open = || self.open.map_or_else(|| Err(Error::Absent { name: self.name.clone(), why: "it was never opened".into() }), |open| open());
        self.backend.get_or_init(open).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
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
            let slot = Slot { name: e.name.into(), slow_to_open: e.slow_to_open, open: Some(e.open), backend: OnceLock::new() };
            if !e.slow_to_open {
                // What cannot be opened stays listed, with its reason; `Device::named` reports it.
                let _ = slot.backend();
            }
            Arc::new(slot)
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
pub fn register(backend: impl Backend + 'static) -> Device {
    let backend: Arc<dyn Backend> = Arc::new(backend);
    let slot = Arc::new(Slot { name: backend.info().name.clone(), slow_to_open: false, open: None, backend: OnceLock::from(Ok(backend)) });
    let mut all = registry().write().unwrap_or_else(|e| e.into_inner());
    *all = all.iter().filter(|s| s.name != slot.name).cloned().chain([slot.clone()]).collect();
    GENERATION.fetch_add(1, Ordering::Release);
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
        let known = || format!("the devices here are auto, {}", slots().iter().map(|s| s.name.clone()).collect::<Vec<_>>().join(", "));
        Err(Error::Absent { name: name.into(), why: why.unwrap_or_else(known) })
    }

    /// Plain scalar code: every operation, every dtype; what the others are checked against.
    ///
    /// # Panics
    /// If no backend crate is linked (`polyarray` always links it).
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

    /// A GPU, or a software implementation of one.
    ///
    /// # Errors
    /// [`Error::Absent`] if the feature `gpu` is off or no adapter is found.
    pub fn gpu() -> Result<Device> {
        Device::named("gpu")
    }

    /// Every device that is here (`auto` is not one of them). Opens them.
    pub fn all() -> Vec<Device> {
        slots().iter().filter(|s| s.backend().is_ok()).map(|s| Device(Some(s.clone()))).collect()
    }

    /// Every device that could be here and is not, with the reason. Opens them.
    pub fn absent() -> Vec<(String, Error)> {
        let known = slots();
        let mut out: Vec<(String, Error)> = known.iter().filter_map(|s| s.backend().err().map(|e| (s.name.clone(), e))).collect();
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
            None => slots().iter().filter_map(|s| s.opened()).try_for_each(|b| b.synchronize()),
        }
    }

    /// The device in force on this thread: of the innermost [`with_device`], else of `POLYARRAY_DEVICE`, else `auto`.
    ///
    /// # Errors
    /// [`Error::Absent`] if `POLYARRAY_DEVICE` names one that is not here.
    pub fn current() -> Result<Device> {
        if let Some(device) = CURRENT.with_borrow(|stack| stack.last().cloned()) {
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
    static CURRENT: RefCell<Vec<Device>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the backend that [`with_device`] put in force on this thread; with none where that is `auto`, or nothing was.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Arc<Slot>>) -> R) -> R {
    CURRENT.with_borrow(|stack| f(stack.last().and_then(|d| d.0.as_ref())))
}

/// Runs `f` with `device` in force on this thread: every operation in it goes there, or is refused with the reason.
pub fn with_device<R>(device: &Device, f: impl FnOnce() -> R) -> R {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|stack| stack.pop());
        }
    }
    CURRENT.with_borrow_mut(|stack| stack.push(device.clone()));
    let _restore = Restore;
    f()
}
