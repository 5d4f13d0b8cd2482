//! Runs the conformance suite on every tier that this CPU has.

use polyarray_conformance::{Filter, check_backend};

fn tier(name: &str) {
    let backend = polyarray_simd::backend(Some(name)).expect("the name is that of a tier");
    println!("{name}: {}", backend.info().description);
    check_backend(backend, &Filter::quick()).assert_ok();
}

#[test]
fn portable_tier_conforms() {
    tier("portable");
}

#[test]
fn avx2_tier_conforms() {
    tier("avx2");
}

#[test]
fn avx512_tier_conforms() {
    tier("avx512");
}

#[test]
fn a_tier_that_there_is_not_is_an_error() {
    let error =
        polyarray_simd::backend(Some("avx1024")).err().expect("avx1024 is no tier, so this is an error").to_string();
    assert!(error.contains("avx1024") && error.contains("avx512"), "{error}");
}
