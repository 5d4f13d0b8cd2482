//! The conformance suite on the devices of this crate.

use polyarray_conformance::{Filter, check};
use polyarray_core::Device;
use polyarray_cpu as _;

#[test]
fn scalar_refuses_nothing_and_agrees_with_itself() {
    check(&Device::scalar(), &Filter::quick()).assert_ok();
}

#[test]
#[cfg(feature = "blas")]
fn blas_agrees_with_scalar() {
    let required =
        std::env::var("POLYARRAY_REQUIRE").is_ok_and(|names| names.split(',').any(|name| name.trim() == "blas"));
    match Device::blas() {
        Ok(device) => check(&device, &Filter::quick()).assert_ok(),
        Err(why) if required => panic!("POLYARRAY_REQUIRE requires the device blas: {why}"),
        Err(why) => eprintln!("skipped: {why}"),
    }
}
