//! Tests of the whole device. They are unit tests, because the crate takes long to compile, and integration tests would
//! compile it a second time.

mod conformance;
mod direct;
