//! The command `devices`: lists available devices, absent devices, and how to get the absent ones.

use polyarray::{Device, memory};
use std::io::{self, Write};

/// Writes a paragraph for each device.
///
/// # Errors
/// Those of the output.
pub fn devices(out: &mut dyn Write) -> io::Result<()> {
    for device in Device::all() {
        let (info, memory) = (device.info(), memory(device.memory()));
        writeln!(out, "{:8} {}", info.name, info.description)?;
        writeln!(
            out,
            "         memory: {}, arrays of up to {}",
            memory.info().name,
            bytes(memory.info().max_allocation)
        )?;
        writeln!(
            out,
            "         {}",
            if info.hardware { "hardware" } else { "emulated in software: used only if it is selected by name" }
        )?;
    }
    for (name, why) in Device::absent() {
        writeln!(out, "{name:8} not available: {why}")?;
    }
    Ok(())
}

/// Formats a number of bytes, for example `2.0 GiB`.
fn bytes(n: usize) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let step = (n.max(1).ilog2() / 10) as usize;
    if step == 0 {
        format!("{n} bytes")
    } else {
        format!("{:.1} {}", n as f64 / (1u64 << (10 * step)) as f64, units[step])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_device_is_listed() {
        let mut out = Vec::new();
        devices(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for name in ["scalar", "simd", "blas", "gpu"] {
            assert_eq!(text.lines().filter(|l| l.starts_with(&format!("{name:8} "))).count(), 1, "{text}");
        }
        assert_eq!([5, 1024, 3 << 30, isize::MAX as usize].map(bytes), ["5 bytes", "1.0 KiB", "3.0 GiB", "8.0 EiB"]);
    }
}
