//! Finding an adapter and opening a device on it.

use polyarray_core::{Error, Result};
use wgpu::{Adapter, DeviceType};

const HOW: &str = "install a Vulkan loader and a driver (Debian: libvulkan1 and your card's driver; mesa-vulkan-drivers has a software one)";

fn absent(name: &str, why: String) -> Error {
    Error::Absent { name: name.into(), why }
}

/// Hardware before software, and a card of its own before one that shares the host's memory.
fn rank(kind: DeviceType) -> u8 {
    match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

/// The adapter that `wanted` names (its number in the list, or part of its name in any case), or the best one.
///
/// # Errors
/// [`Error::Absent`], as device `name`: there is none, or none of that name.
pub(crate) fn choose(name: &str, wanted: Option<&str>) -> Result<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Where the driver says how much memory there is, the last of it is left to others: an allocation fails before the
    // driver has to evict.
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
    at.map(|at| adapters.swap_remove(at)).ok_or_else(|| absent(name, format!("POLYARRAY_GPU={wanted:?} fits no adapter; there are {known}")))
}

/// A device on `adapter` with every limit that it offers.
pub(crate) fn open(name: &str, adapter: &Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("polyarray"),
        required_features: wgpu::Features::empty(),
        required_limits: adapter.limits(),
        experimental_features: wgpu::ExperimentalFeatures::disabled(),
        memory_hints: wgpu::MemoryHints::Performance,
        trace: wgpu::Trace::Off,
    };
    pollster::block_on(adapter.request_device(&descriptor)).map_err(|e| absent(name, format!("{} cannot be opened: {e}", adapter.get_info().name)))
}
