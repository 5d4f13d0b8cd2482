//! Which devices are measured: those of the machine by name, and `simd` with each instruction set that its CPU has.

use polyarray::{Backend, Cost, Device, DeviceInfo, MemoryId, Op, Result, RunContext, Unsupported, register};
use std::sync::Arc;

/// A device under a name of its own: every tier calls itself `simd`, and a name that is taken would be taken over.
struct Named {
    info: DeviceInfo,
    backend: Arc<dyn Backend>,
}

impl Backend for Named {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.backend.memory()
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        self.backend.estimate(op, threads)
    }

    fn start_up(&self) -> f64 {
        self.backend.start_up()
    }

    fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        self.backend.run(op, cx)
    }

    fn synchronize(&self) -> Result<()> {
        self.backend.synchronize()
    }
}

/// The tiers of `simd` that this CPU has, from the lowest, each under its own name.
#[cfg(feature = "simd")]
fn tiers() -> Result<Vec<Device>> {
    let mut out: Vec<Device> = Vec::new();
    for name in polyarray_simd::TIERS {
        let backend = polyarray_simd::backend(Some(name))?;
        // What the CPU does not have falls back to the tier below it, which was there already.
        let description = backend.info().description.clone();
        if out.iter().all(|d| d.info().description != description) {
            out.push(register(Named { info: DeviceInfo { name: name.into(), description, hardware: true }, backend }));
        }
    }
    Ok(out)
}

#[cfg(not(feature = "simd"))]
fn tiers() -> Result<Vec<Device>> {
    Device::simd().map(|simd| vec![simd])
}

/// The devices of these names; `simd`, or no name, stands for its tiers.
///
/// # Errors
/// For a name that no device has, and for one whose memory is not the host's.
pub fn targets(names: &[String]) -> Result<Vec<Device>, String> {
    let simd = ["simd".to_string()];
    let names = if names.is_empty() { &simd[..] } else { names };
    let mut out: Vec<Device> = Vec::new();
    for name in names {
        let is_tier = cfg!(feature = "simd") && TIERS.contains(&&**name);
        let found = match &**name {
            "simd" => tiers().map_err(|e| e.to_string())?,
            name if is_tier => {
                let there = tiers().map_err(|e| e.to_string())?;
                vec![there.into_iter().find(|d| d.name() == name).ok_or_else(|| format!("this CPU does not have {name}"))?]
            }
            name => vec![Device::named(name).map_err(|e| e.to_string())?],
        };
        for device in found.into_iter().filter(|d| !out.iter().any(|o: &Device| o.name() == d.name())).collect::<Vec<_>>() {
            if device.memory() != MemoryId::HOST || device == Device::auto() {
                return Err(format!("{device} is no device of the CPU: the ULP bounds of those are what is checked here"));
            }
            out.push(device);
        }
    }
    Ok(out)
}

#[cfg(feature = "simd")]
use polyarray_simd::TIERS;
#[cfg(not(feature = "simd"))]
const TIERS: [&str; 0] = [];
