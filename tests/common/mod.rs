//! Helpers for the suites that run on several devices.
#![allow(dead_code, reason = "every suite uses a part of it")]

use polyarray::prelude::*;

/// Runs `f` with each device as the current one. Skips a device that refuses an operation of `f`.
///
/// Panics if `scalar` refuses, or if a device is absent that `POLYARRAY_REQUIRE` lists and this build supports.
pub fn on_every_device(f: impl Fn(&Device) -> Result<()>) {
    let mut ran = Vec::new();
    for device in required_devices() {
        match with_device(&device, || f(&device)) {
            Ok(()) => ran.push(device.name().to_string()),
            Err(e @ (Error::Refused { .. } | Error::Storage { .. })) if device.name() != "scalar" => {
                println!("skipped: {device}: {e}")
            }
            Err(e) => panic!("{device}: {e}"),
        }
    }
    assert!(ran.iter().any(|name| name == "scalar"), "ran on {ran:?}");
}

/// Returns every device found.
///
/// Panics if a device is absent that `POLYARRAY_REQUIRE` lists and this build supports.
pub fn required_devices() -> Vec<Device> {
    let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
    for name in required.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let features =
            [("blas", cfg!(feature = "blas")), ("gpu", cfg!(feature = "gpu")), ("simd", cfg!(feature = "simd"))];
        let compiled = features.iter().all(|(feature, on)| *feature != name || *on);
        if compiled {
            Device::named(name).unwrap_or_else(|e| panic!("POLYARRAY_REQUIRE lists {name}: {e}"));
        }
    }
    Device::all()
}

/// Returns an array of the numbers 0, 1, 2, .. in C order.
pub fn count(shape: impl Into<polyarray::Dims>) -> Array<f32> {
    let shape = shape.into();
    Array::from_vec((0..shape.size()).map(|i| i as f32).collect(), shape)
        .expect("the vector has as many elements as the shape")
}

/// Asserts that `result` is the expected error, and that its message contains all of `figures`.
#[track_caller]
pub fn refused<T>(result: Result<T>, is: impl Fn(&Error) -> bool, figures: &[&str]) {
    let Err(e) = result else { panic!("an error was expected") };
    assert!(is(&e), "another error was expected: {e:?}");
    let message = e.to_string();
    for figure in figures {
        assert!(message.contains(figure), "{figure:?} is missing in {message:?}");
    }
}
