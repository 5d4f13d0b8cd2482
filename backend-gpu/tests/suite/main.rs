//! The tests of the GPU, in one program: every further one would link wgpu again.

extern crate polyarray_cpu as _;

#[path = "../common/mod.rs"]
mod common;

mod conformance;
mod device;
mod map;
mod products;
mod reduce;
mod split;
