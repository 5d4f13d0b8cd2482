//! Tests of the whole device, through its public interface.

extern crate polyarray_cpu as _;
extern crate polyarray_simd as _;

mod conformance;
mod direct;
