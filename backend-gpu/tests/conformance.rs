//! The conformance suite on the GPU.

mod common;

extern crate polyarray_cpu as _;

use polyarray_conformance::{Filter, check};

#[test]
fn the_gpu_conforms() {
    let Some(device) = common::gpu() else { return };
    check(&device, &Filter::quick()).assert_ok();
}
