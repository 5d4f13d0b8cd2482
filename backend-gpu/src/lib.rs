//! The device `gpu` of polyarray: WGSL compute shaders through wgpu, on Vulkan, Metal or Direct3D 12.
//!
//! f32, i32, u32 and bool. `+ - *` round as IEEE has it (a GPU may flush subnormal numbers, and nothing else); functions have software of their own, whose error
//! in ULP stands in the table of ufuncs and in `shaders/`. Linking this crate announces the device; it is opened when first needed.
//!
//! `POLYARRAY_GPU` picks an adapter by its number or part of its name. Without it the first is taken, hardware before software.

mod adapter;
mod backend;
mod device;
mod distance;
mod faults;
#[cfg(test)]
mod golden;
mod kernel;
mod ledger;
mod map;
mod matmul;
mod memory;
mod pipeline;
mod reduce;
mod render;
mod split;
#[cfg(test)]
mod tests;
mod tile;
mod transfer;
mod wait;

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

/// Bindings beyond this are refused by Vulkan and Direct3D 12 and compute wrong numbers on Metal (gfx-rs/wgpu issues 8105 and 10305).
const LARGEST_BINDING: u64 = (2 << 30) - 256;

/// What a launch may take: a fraction of what drivers allow before they reset the device (two seconds on Windows), as
/// estimates may be wrong.
const LAUNCH: Duration = Duration::from_millis(250);
/// What a launch that cannot be cut may take, in multiples of that.
const LONGEST: f64 = 4.0;
/// Many times what a launch takes: compilers of shaders and other users of the device take their time as well.
const WAIT: Duration = Duration::from_secs(60);

/// Opens a device.
///
/// # Errors
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason and what to install, or the adapters there are.
pub fn open(options: &Options) -> Result<GpuBackend> {
    Ok(GpuBackend::new(Arc::new(gpu(options)?)))
}

fn gpu(options: &Options) -> Result<device::Gpu> {
    let adapter = adapter::choose(&options.name, options.adapter.as_deref())?;
    let opened = adapter::open(&options.name, &adapter)?;
    let (info, has) = (adapter.get_info(), opened.0.limits());
    let hardware = info.device_type != wgpu::DeviceType::Cpu;
    let alignment = u64::from(has.min_storage_buffer_offset_alignment).max(32);
    let binding = has.max_storage_buffer_binding_size.min(LARGEST_BINDING).min(options.max_binding.unwrap_or(u64::MAX));
    let launch = options.max_launch.unwrap_or(LAUNCH).as_secs_f64();
    let limits = device::Limits {
        // Two elements and what alignment can cost: less would leave nothing to bind.
        binding: binding.max(2 * alignment + 32),
        alignment,
        buffers: has.max_storage_buffers_per_shader_stage as usize,
        buffer: has.max_buffer_size / 256 * 256,
        workgroup: has.max_compute_workgroup_storage_size as usize,
        large_tiles_from: options.large_tiles_from.unwrap_or(if hardware { 96 } else { usize::MAX }),
        launch,
        // Nothing resets a software device.
        longest: if hardware { LONGEST * launch } else { f64::INFINITY },
        wait: options.max_wait.unwrap_or(WAIT),
        speed: device::Speed::of(info.device_type),
    };
    let budget = options.max_memory.unwrap_or(u64::MAX);
    Ok(device::Gpu::new(&options.name, opened, info, limits, budget))
}

fn open_default() -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(open(&Options::default())?))
}

/// Whether there may be a GPU, found out without loading a driver: on Linux from the files of devices, elsewhere always. A driver or an adapter that the environment
/// names counts, which may be one in software.
fn present() -> bool {
    const DEVICES: [&str; 7] = ["nvidia", "dxg", "kgsl", "mali", "nvhost", "nvgpu", "pvr"];
    let any = |folder: &str, names: &[&str]| {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.into_iter().any(|f| names.iter().any(|name| f.file_name().to_string_lossy().starts_with(name)))
    };
    let named = ["POLYARRAY_GPU", "VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    named || !cfg!(target_os = "linux") || any("/dev/dri", &["renderD"]) || any("/dev", &DEVICES)
}

polyarray_core::inventory::submit! {
    BackendEntry { name: "gpu", order: 40, slow_to_open: true, present, open: open_default }
}
