//! Tests of what cannot be seen from outside.

use crate::device::{Gpu, lock};
use crate::memory::allocate;
use crate::{Options, open};
use polyarray_core::{Array, Error, Result, register};
use std::sync::Arc;

/// A device, or a word that there is none; where the environment requires one, a failure.
pub(crate) fn gpu() -> Option<Arc<Gpu>> {
    opened("gpu").map(|backend| backend.gpu)
}

fn opened(name: &str) -> Option<crate::GpuBackend> {
    match open(&Options { name: name.into(), ..Options::default() }) {
        Ok(backend) => Some(backend),
        Err(e) => {
            let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|r| r.trim() == "gpu"), "a GPU is required: {e}");
            eprintln!("skipped: {e}");
            None
        }
    }
}

#[test]
fn a_lost_device_gives_errors_from_then_on() {
    let Some(backend) = opened("doomed") else { return };
    let gpu = backend.gpu.clone();
    let device = register(backend);
    let x = Array::from_vec(vec![1.0f32, 2.0, 3.0], [3]).unwrap().to_device(&device).unwrap();
    assert_eq!((&x + &x).eval().unwrap().to_vec().unwrap(), [2.0, 4.0, 6.0]);
    gpu.device.destroy();
    let fails = |what: &str, result: Result<()>| match result {
        Err(Error::Device { device, why }) => {
            assert!(device.contains("doomed") && why.contains("lost"), "{what}: {device}: {why}");
        }
        other => panic!("{what} gave {other:?}"),
    };
    fails("reading", x.to_vec().map(|_| ()));
    fails("computing", (&x + &x).eval().and_then(|y| y.to_vec()).map(|_| ()));
    fails("waiting", device.synchronize());
    fails("uploading", Array::from_vec(vec![1.0f32], [1]).unwrap().to_device(&device).map(|_| ()));
}

#[test]
fn freed_buffers_are_used_again_and_given_back_when_asked() {
    let Some(gpu) = gpu() else { return };
    let first = allocate(&gpu, 100_000).unwrap();
    let same = first.buffer().clone();
    drop(first);
    let second = allocate(&gpu, 99_000).unwrap();
    assert_eq!(*second.buffer(), same, "a size of the same class");
    assert_ne!(*allocate(&gpu, 99_000).unwrap().buffer(), same, "it is taken");
    lock(&gpu.pool).trim();
    assert_ne!(*allocate(&gpu, 99_000).unwrap().buffer(), same);
}

#[test]
fn more_than_one_buffer_holds_is_out_of_memory_with_the_figures() {
    let Some(gpu) = gpu() else { return };
    let most = gpu.limits.buffer as usize;
    match allocate(&gpu, most + 1).map(|_| ()) {
        Err(Error::OutOfMemory { bytes, why, .. }) => assert!(bytes == most + 1 && why.contains(&most.to_string()), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_validation_error_is_reported_and_not_a_panic() {
    let Some(gpu) = gpu() else { return };
    let bad = wgpu::BufferDescriptor { label: None, size: 4, usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE, mapped_at_creation: false };
    let _ = gpu.device.create_buffer(&bad);
    assert!(matches!(gpu.check(), Err(Error::Device { .. })));
    gpu.check().unwrap();
}
