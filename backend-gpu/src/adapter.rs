//! Finding an adapter and opening a device on it.

use crate::Options;
use crate::device::{Gpu, Limits, Speed};
use polyarray_core::{Error, Result};
use std::time::Duration;
use wgpu::{Adapter, DeviceType};

/// The largest binding in bytes. Vulkan and Direct3D 12 refuse larger ones, and Metal computes wrong numbers with them
/// (gfx-rs/wgpu issues 8105 and 10305).
const LARGEST_BINDING: u64 = (2 << 30) - 256;

/// The default time limit of a launch. It is a fraction of what drivers allow before they reset the device (two seconds
/// on Windows), because estimates may be wrong.
const LAUNCH: Duration = Duration::from_millis(250);
/// The time limit of a launch that cannot be cut, in multiples of the limit of a launch.
const LONGEST: f64 = 4.0;
/// The default time limit of a wait. It is many times the limit of a launch, because shader compilers and other users
/// of the device also need time.
const WAIT: Duration = Duration::from_secs(60);

const HOW: &str = "install a Vulkan loader and a driver (Debian: libvulkan1 and your card's driver; \
                   mesa-vulkan-drivers has a software one)";

fn absent(name: &str, why: String) -> Error {
    Error::Absent { name: name.into(), why }
}

/// Ranks hardware before software, and discrete cards before those that share the host's memory.
fn rank(kind: DeviceType) -> u8 {
    match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

/// Returns the adapter that `wanted` names (by its number in the list, or by a part of its name in any case), or the
/// best one.
///
/// # Errors
/// [`Error::Absent`] for device `name` if there is no adapter, or none that `wanted` names.
fn choose(name: &str, wanted: Option<&str>) -> Result<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Where the driver reports its memory, the last 5 % of it are left to other programs: an allocation fails before
    // the driver has to evict.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(95);
    let instance = wgpu::Instance::new(descriptor);
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    adapters.sort_by_key(|a| rank(a.get_info().device_type));
    if adapters.is_empty() {
        return Err(absent(name, format!("no adapter was found; {HOW}")));
    }
    let Some(wanted) = wanted.map(str::trim).filter(|w| !w.is_empty()) else { return Ok(adapters.swap_remove(0)) };
    let describe = |(i, a): (usize, &Adapter)| format!("{i}: {}", a.get_info().name);
    let known = adapters.iter().enumerate().map(describe).collect::<Vec<_>>().join(", ");
    let at = match wanted.parse::<usize>() {
        Ok(number) => Some(number).filter(|&n| n < adapters.len()),
        Err(_) => adapters.iter().position(|a| a.get_info().name.to_lowercase().contains(&wanted.to_lowercase())),
    };
    at.map(|at| adapters.swap_remove(at)).ok_or_else(|| {
        absent(
            name,
            format!(
                "no adapter matches {wanted:?}; set POLYARRAY_GPU (or Options::adapter) to a number or a part of a \
                 name of: {known}"
            ),
        )
    })
}

/// Opens a device on `adapter` with all limits that the adapter offers.
fn open(name: &str, adapter: &Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("polyarray"),
        required_features: wgpu::Features::empty(),
        required_limits: adapter.limits(),
        experimental_features: wgpu::ExperimentalFeatures::disabled(),
        memory_hints: wgpu::MemoryHints::Performance,
        trace: wgpu::Trace::Off,
    };
    pollster::block_on(adapter.request_device(&descriptor))
        .map_err(|e| absent(name, format!("{} cannot be opened: {e}", adapter.get_info().name)))
}

/// Opens the device that `options` describes.
///
/// # Errors
/// [`Error::Absent`], as for [`choose`].
pub(crate) fn gpu(options: &Options) -> Result<Gpu> {
    let adapter = choose(&options.name, options.adapter.as_deref())?;
    let opened = open(&options.name, &adapter)?;
    let (info, has) = (adapter.get_info(), opened.0.limits());
    let hardware = info.device_type != wgpu::DeviceType::Cpu;
    let alignment = u64::from(has.min_storage_buffer_offset_alignment).max(32);
    let binding = has.max_storage_buffer_binding_size.min(LARGEST_BINDING).min(options.max_binding.unwrap_or(u64::MAX));
    let launch = options.max_launch.unwrap_or(LAUNCH).as_secs_f64();
    let limits = Limits {
        // Room for two elements plus the cost of alignment. With less, nothing could be bound.
        binding: binding.max(2 * alignment + 32),
        alignment,
        buffers: has.max_storage_buffers_per_shader_stage as usize,
        buffer: has.max_buffer_size / 256 * 256,
        workgroup: has.max_compute_workgroup_storage_size as usize,
        large_tiles_from: options.large_tiles_from.unwrap_or(if hardware { 96 } else { usize::MAX }),
        launch,
        // No driver resets a software device.
        longest: if hardware { LONGEST * launch } else { f64::INFINITY },
        wait: options.max_wait.unwrap_or(WAIT),
        speed: Speed::of(info.device_type),
    };
    let budget = options.max_memory.unwrap_or(u64::MAX);
    Ok(Gpu::new(&options.name, opened, info, limits, budget))
}
