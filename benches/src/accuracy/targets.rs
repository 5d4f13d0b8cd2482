//! The devices to measure: devices of this machine by name, and each tier of `simd` (instruction set) that the CPU
//! supports.

use polyarray::{Device, MemoryId};

#[cfg(feature = "simd")]
mod tiers {
    use polyarray::{Backend, Cost, Device, DeviceInfo, MemoryId, Op, Result, RunContext, Unsupported, register};
    use std::sync::Arc;

    pub use polyarray_simd::TIERS as NAMES;

    /// A device under its own name. Every tier has the name `simd`, and registering a name again would replace the
    /// device.
    struct Named {
        info: DeviceInfo,
        backend: Arc<dyn Backend>,
    }

    // SAFETY: every operation is forwarded to `backend`, which keeps the contract of `Backend`.
    unsafe impl Backend for Named {
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

        unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
            // SAFETY: the caller guarantees the conditions of `Backend::run`, and the same call is forwarded.
            unsafe { self.backend.run(op, cx) }
        }

        fn synchronize(&self) -> Result<()> {
            self.backend.synchronize()
        }
    }

    /// Returns the tiers of `simd` that this CPU supports, from the lowest, each under its own name.
    pub fn all() -> Result<Vec<Device>> {
        let mut out: Vec<Device> = Vec::new();
        for name in NAMES {
            let backend = polyarray_simd::backend(Some(name))?;
            // A tier that the CPU lacks falls back to the best one below it, which is in `out` already.
            let description = backend.info().description.clone();
            if out.iter().all(|d| d.info().description != description) {
                out.push(register(Named {
                    info: DeviceInfo { name: name.into(), description, hardware: true },
                    backend,
                }));
            }
        }
        Ok(out)
    }
}

#[cfg(not(feature = "simd"))]
mod tiers {
    use polyarray::{Device, Result};

    pub const NAMES: [&str; 0] = [];

    /// Returns the error that explains how to get `simd`, because the feature is not compiled.
    pub fn all() -> Result<Vec<Device>> {
        Device::simd().map(|simd| vec![simd])
    }
}

/// Returns the devices of these names. `simd`, or an empty list, stands for all tiers.
///
/// # Errors
/// If no device has a name, the CPU lacks a tier, or a device is `auto` or does not use host memory.
pub fn targets(names: &[String]) -> Result<Vec<Device>, String> {
    let simd = ["simd".to_string()];
    let mut out: Vec<Device> = Vec::new();
    for name in if names.is_empty() { &simd[..] } else { names } {
        let all = || tiers::all().map_err(|e| e.to_string());
        let found = match &**name {
            "simd" => all()?,
            name if tiers::NAMES.contains(&name) => {
                let tier = all()?.into_iter().find(|d| d.name() == name);
                vec![tier.ok_or_else(|| {
                    format!("this CPU does not support the tier {name}; --devices simd measures every supported tier")
                })?]
            }
            name => vec![Device::named(name).map_err(|e| e.to_string())?],
        };
        for device in found {
            if device.memory() != MemoryId::HOST || device == Device::auto() {
                return Err(format!(
                    "{device} is not a CPU device, and only CPU devices have the ULP bounds that `accuracy` checks; \
                     choose scalar, simd or a tier of simd"
                ));
            }
            if out.iter().all(|known| known.name() != device.name()) {
                out.push(device);
            }
        }
    }
    Ok(out)
}
