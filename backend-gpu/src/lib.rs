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
#[cfg(test)]
mod golden;
mod kernel;
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

pub use backend::GpuBackend;

use polyarray_core::{Backend, BackendEntry, Result};
use std::sync::Arc;

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
}

impl Default for Options {
    fn default() -> Options {
        Options { name: "gpu".into(), adapter: std::env::var("POLYARRAY_GPU").ok(), max_binding: None, large_tiles_from: None }
    }
}

/// Bindings beyond this are refused by Vulkan and Direct3D 12 and compute wrong numbers on Metal (gfx-rs/wgpu issues 8105 and 10305).
const LARGEST_BINDING: u64 = (2 << 30) - 256;

/// Opens a device.
///
/// # Errors
/// [`Error::Absent`](polyarray_core::Error::Absent) with the reason and what to install, or the adapters there are.
pub fn open(options: &Options) -> Result<GpuBackend> {
    let adapter = adapter::choose(&options.name, options.adapter.as_deref())?;
    let opened = adapter::open(&options.name, &adapter)?;
    let (info, has) = (adapter.get_info(), opened.0.limits());
    let hardware = info.device_type != wgpu::DeviceType::Cpu;
    let alignment = u64::from(has.min_storage_buffer_offset_alignment).max(32);
    let binding = has.max_storage_buffer_binding_size.min(LARGEST_BINDING).min(options.max_binding.unwrap_or(u64::MAX));
    let limits = device::Limits {
        // Two elements and what alignment can cost: less would leave nothing to bind.
        binding: binding.max(2 * alignment + 32),
        alignment,
        buffers: has.max_storage_buffers_per_shader_stage as usize,
        buffer: has.max_buffer_size / 256 * 256,
        workgroup: has.max_compute_workgroup_storage_size as usize,
        large_tiles_from: options.large_tiles_from.unwrap_or(if hardware { 96 } else { usize::MAX }),
    };
    Ok(GpuBackend::new(Arc::new(device::Gpu::new(&options.name, opened, info, limits))))
}

fn open_default() -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(open(&Options::default())?))
}

polyarray_core::announce!(polyarray_gpu_is_linked, BackendEntry { name: "gpu", order: 40, slow_to_open: true, open: open_default });
