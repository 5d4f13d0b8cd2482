//! The device `gpu` of polyarray: WGSL compute shaders through wgpu, on Vulkan, Metal or Direct3D 12.
//!
//! The device supports f32, i32, u32 and bool. `+ - *` round as IEEE 754 requires, except that a GPU may flush
//! subnormal numbers. Functions are implemented in software; the table of ufuncs and `shaders/` list their errors in
//! ULP. Linking this crate registers the device. It is opened when it is first needed.
//!
//! `POLYARRAY_GPU` selects an adapter by its number or by a part of its name. Without it, the first adapter is used;
//! hardware comes before software.

#[cfg(not(target_family = "wasm"))]
mod adapter;
#[cfg(not(target_family = "wasm"))]
mod backend;
#[cfg(not(target_family = "wasm"))]
mod device;
#[cfg(not(target_family = "wasm"))]
mod distance;
#[cfg(not(target_family = "wasm"))]
mod faults;
#[cfg(all(test, not(target_family = "wasm")))]
mod golden;
#[cfg(not(target_family = "wasm"))]
mod kernel;
#[cfg(not(target_family = "wasm"))]
mod ledger;
#[cfg(not(target_family = "wasm"))]
mod map;
#[cfg(not(target_family = "wasm"))]
mod matmul;
#[cfg(not(target_family = "wasm"))]
mod memory;
#[cfg(not(target_family = "wasm"))]
mod pipeline;
#[cfg(not(target_family = "wasm"))]
mod reduce;
#[cfg(not(target_family = "wasm"))]
mod render;
#[cfg(not(target_family = "wasm"))]
mod split;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;
#[cfg(not(target_family = "wasm"))]
mod tile;
#[cfg(not(target_family = "wasm"))]
mod transfer;
#[cfg(not(target_family = "wasm"))]
mod wait;

#[cfg(not(target_family = "wasm"))]
pub use backend::GpuBackend;

use polyarray_core::{Backend, BackendEntry, Result};
use std::sync::Arc;
use std::time::Duration;

/// The options for opening a device. `Device::gpu()` uses [`Options::default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The name of the device.
    pub name: String,
    /// The adapter, by its number or by a part of its name.
    pub adapter: Option<String>,
    /// The largest binding in bytes, if the adapter allows more. Larger arrays are processed in pieces.
    pub max_binding: Option<u64>,
    /// The smallest number of tiles of 128 x 128 results for which a matrix product uses such tiles instead of tiles of
    /// 64 x 64. The default is 96 on hardware; software never uses them by default.
    pub large_tiles_from: Option<usize>,
    /// The largest number of bytes of all buffers on the device: those of arrays, those kept for reuse, and staging
    /// buffers. By default only the driver limits it.
    pub max_memory: Option<u64>,
    /// The largest estimated time of one launch, by default a quarter of a second. Work is cut accordingly, because
    /// drivers reset a device that spends seconds on one launch.
    pub max_launch: Option<Duration>,
    /// The time after which a wait fails if nothing finishes on the device, by default one minute.
    pub max_wait: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "gpu".into(),
            adapter: std::env::var("POLYARRAY_GPU").ok(),
            max_binding: None,
            large_tiles_from: None,
            max_memory: None,
            max_launch: None,
            max_wait: None,
        }
    }
}

/// Opens a device.
///
/// # Errors
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason, and either what to install or the available
/// adapters.
#[cfg(not(target_family = "wasm"))]
pub fn open(options: &Options) -> Result<GpuBackend> {
    Ok(GpuBackend::new(Arc::new(adapter::gpu(options)?)))
}

/// Opens a device. On WebAssembly there is none.
///
/// # Errors
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason.
#[cfg(target_family = "wasm")]
pub fn open(options: &Options) -> Result<GpuBackend> {
    let why = "on WebAssembly, wgpu devices belong to one thread, but polyarray shares devices between threads".into();
    Err(polyarray_core::Error::Absent { name: options.name.clone(), why })
}

/// The device `gpu`. On WebAssembly [`open`] never returns one.
#[cfg(target_family = "wasm")]
pub enum GpuBackend {}

#[cfg(not(target_family = "wasm"))]
fn open_default() -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(open(&Options::default())?))
}

#[cfg(target_family = "wasm")]
fn open_default() -> Result<Arc<dyn Backend>> {
    match open(&Options::default())? {}
}

/// Returns whether there may be a GPU, without loading a driver. On Linux it looks for device files; elsewhere it
/// always returns true. It also returns true if the environment names a driver or an adapter, which may be a software
/// one.
fn present() -> bool {
    const DEVICES: [&str; 7] = ["nvidia", "dxg", "kgsl", "mali", "nvhost", "nvgpu", "pvr"];
    let any = |folder: &str, names: &[&str]| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.into_iter().any(|f| names.iter().any(|name| f.file_name().to_string_lossy().starts_with(name)))
    };
    let named = ["POLYARRAY_GPU", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    named || !cfg!(target_os = "linux") || any("/dev/dri", &["renderD"]) || any("/dev", &DEVICES)
}

polyarray_core::announce!(
    polyarray_gpu_is_linked,
    BackendEntry { name: "gpu", order: 40, slow_to_open: true, present, open: open_default }
);
