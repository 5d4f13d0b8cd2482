//! The conformance suite on the GPU.

use crate::common::gpu;
use polyarray_conformance::{Filter, check};

#[test]
fn the_gpu_conforms() {
    let Some(device) = gpu() else { return };
    check(&device, &Filter::quick()).assert_ok();
}
