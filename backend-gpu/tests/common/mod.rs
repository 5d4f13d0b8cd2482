//! Devices and numbers for the tests.

#![allow(dead_code, reason = "each suite uses what it needs")]

use polyarray_core::{Array, Device, register};
use polyarray_gpu::{Options, open};
use std::sync::OnceLock;

/// Returns the GPU. Without one, prints a note and returns `None`, or panics if the environment requires it.
pub fn gpu() -> Option<Device> {
    Device::gpu().map_err(missing).ok()
}

/// Returns the GPU as the device `name`, with bindings of at most `max_binding` bytes.
pub fn small(name: &'static str, max_binding: u64) -> Option<Device> {
    let mut options = Options::default();
    options.name = name.into();
    options.max_binding = Some(max_binding);
    open(&options).map_err(missing).ok().map(register)
}

/// Returns the GPU as a device that uses tiles of 128 x 128 in all tiled kernels.
pub fn large_tiles() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let make = || {
        let mut options = Options::default();
        options.name = "gpu with large tiles".into();
        options.large_tiles_from = Some(1);
        open(&options).map_err(missing).ok().map(register)
    };
    DEVICE.get_or_init(make).clone()
}

fn missing(e: polyarray_core::Error) {
    let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r.trim() == "gpu"), "a GPU is required: {e}");
    eprintln!("skipped: {e}");
}

/// Pseudo-random numbers from a fixed sequence (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `lo .. hi`.
    pub fn float(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * ((self.bits() >> 40) as f32 / (1u32 << 24) as f32)
    }

    pub fn floats(&mut self, n: usize, lo: f32, hi: f32) -> Vec<f32> {
        (0..n).map(|_| self.float(lo, hi)).collect()
    }
}

/// A function that returns a view of an array.
pub type View = fn(&Array<f32>) -> Array<f32>;

/// Returns an array on `device`.
pub fn put<T: polyarray_core::Element>(
    device: &Device,
    data: &[T],
    shape: impl Into<polyarray_core::Dims>,
) -> Array<T> {
    Array::from_slice(data, shape).unwrap().to_device(device).unwrap()
}

/// Returns the distance of `got` from the exact `want`, in ULP of f32.
pub fn ulps(got: f32, want: f64) -> f64 {
    let near = want as f32;
    if near.is_nan() || near.is_infinite() || near == 0.0 {
        let same = got == near && got.is_sign_negative() == near.is_sign_negative() || got.is_nan() && near.is_nan();
        return if same { 0.0 } else { f64::INFINITY };
    }
    let exponent = f64::from(near.abs()).log2().floor().max(-126.0);
    (f64::from(got) - want).abs() / (exponent - 23.0).exp2()
}

// Linking the crate registers the device.
use polyarray_gpu as _;
