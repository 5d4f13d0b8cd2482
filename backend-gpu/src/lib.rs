//! The device `gpu` of polyarray: WGSL compute shaders through wgpu, on Vulkan, Metal or Direct3D 12.
//!
//! f32, i32, u32 and bool. `+ - *` round as IEEE has it (a GPU may flush subnormal numbers, and nothing else); functions have software of their own, whose error
//! in ULP stands in the table of ufuncs and in `shaders/`. Linking this crate announces the device; it is opened when first needed.
//!
//! `POLYARRAY_GPU` picks an adapter by its number or part of its name. Without it the first is taken, hardware before software.

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

/// How to open a device. [`Options::default`] is what `Device::gpu()` does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The name of the device.
    pub name: String,
    /// An adapter, by its number or part of its name.
    pub adapter: Option<String>,
    /// Bytes that one binding may have, where less than the adapter allows. Larger arrays are worked on in pieces.
    pub max_binding: Option<u64>,
    /// From how many tiles of 128 x 128 results on a matrix product is made of such (else of 64 x 64); without it, from 96 on hardware and never in software.
    pub large_tiles_from: Option<usize>,
    /// Bytes that all buffers on the device may have together: those of arrays, those kept for reuse, and those that
    /// transfers go through. Without it, what the driver gives.
    pub max_memory: Option<u64>,
    /// How long one launch is estimated to take at most, a quarter of a second without it. Work is cut accordingly:
    /// drivers reset a device that spends seconds on one launch.
    pub max_launch: Option<Duration>,
    /// How long a wait goes on while nothing is finished on the device, a minute without it. Then it ends in an error.
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
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason and what to install, or the adapters there are.
#[cfg(not(target_family = "wasm"))]
pub fn open(options: &Options) -> Result<GpuBackend> {
    Ok(GpuBackend::new(Arc::new(adapter::gpu(options)?)))
}

/// Opens a device: on WebAssembly there is none.
///
/// # Errors
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason.
#[cfg(target_family = "wasm")]
pub fn open(options: &Options) -> Result<GpuBackend> {
    let why = "on WebAssembly, wgpu's devices belong to one thread, and polyarray's are shared between threads".into();
    Err(polyarray_core::Error::Absent { name: options.name.clone(), why })
}

/// The device `gpu`. On WebAssembly [`open`] never gives one.
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

/// Whether there may be a GPU, found out without loading a driver: on Linux from the files of devices, elsewhere always. A driver or an adapter that the environment
/// names counts, which may be one in software.
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
