//! The examples, on every device found.

use polyarray::prelude::*;

#[path = "../../examples/clusters.rs"]
mod clusters;
#[path = "../../examples/custom_backend.rs"]
mod custom_backend;
#[path = "../../examples/digits.rs"]
mod digits;
#[path = "../../examples/first.rs"]
mod first;
#[path = "../../examples/neighbours_digits.rs"]
mod neighbours_digits;
#[path = "../../examples/offload.rs"]
mod offload;
#[path = "../../examples/radius_join.rs"]
mod radius_join;
#[path = "../../examples/recommender.rs"]
mod recommender;
#[path = "../../examples/streaming.rs"]
mod streaming;
#[path = "../../examples/tour/main.rs"]
mod tour;

/// Every device that `POLYARRAY_REQUIRE` names must be present if this build supports it, so that the tests below cover
/// it.
#[test]
fn required_devices_are_here() {
    let features = [("simd", cfg!(feature = "simd")), ("blas", cfg!(feature = "blas")), ("gpu", cfg!(feature = "gpu"))];
    let built = |name: &str| !features.contains(&(name, false));
    let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
    for name in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match Device::named(name) {
            Ok(device) => assert_eq!(device.name(), name),
            Err(why) => assert!(!built(name), "POLYARRAY_REQUIRE={required}: {why}"),
        }
    }
}

#[test]
fn every_device_reads_the_same_digits() {
    let (pixels, labels) = digits::load().unwrap();
    assert_eq!((pixels.shape(), labels.shape()), (&[1797, 64][..], &[1797][..]));
    for device in Device::all().into_iter().chain([Device::auto()]) {
        assert_eq!(digits::right_answers(&pixels, &labels, &device).unwrap(), 1776, "on {device}");
    }
}

#[test]
fn every_device_classifies_digits_by_votes() {
    for device in Device::all().into_iter().chain([Device::auto()]) {
        for (k, exact) in neighbours_digits::RIGHT {
            let (right, of) = neighbours_digits::run(k, &device).unwrap();
            assert!(of == 797 && neighbours_digits::is_right(k, right), "{device}: {right} for k {k}, not {exact}");
        }
    }
}

#[test]
fn digits_form_groups() {
    // An independent implementation in NumPy finds the same groups: a share of 0.7885 and a mean of 649.9.
    let (share, mean) = clusters::run(10).unwrap();
    assert!((share - 0.7885).abs() < 0.002 && (mean - 649.9).abs() < 0.5, "{share} and {mean}");
}

#[test]
fn places_are_joined_by_distance() {
    let found = with_device(&Device::scalar(), || radius_join::run(300, 2000)).unwrap();
    for device in Device::all() {
        match with_device(&device, || radius_join::run(300, 2000)) {
            Ok(pairs) => assert_eq!(pairs, found, "{device}"),
            Err(Error::Refused { .. } | Error::Storage { .. }) => println!("skipped: {device} has no f64"),
            Err(why) => panic!("{device}: {why}"),
        }
    }
}

#[test]
fn similar_listeners_are_found() {
    let found = recommender::run(2000, 2000).unwrap();
    assert!(found.same_genre > 0.4 && found.recommended > 0.8 && found.seconds > 0.0, "{found:?}");
}

/// Returns the text between two marks of the README.
fn readme(from: &str, to: &str) -> &'static str {
    let text = include_str!("../../README.md");
    let start = text.find(from).unwrap_or_else(|| panic!("the README contains {from:?}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap_or_else(|| panic!("{to:?} follows {from:?}"))]
}

#[test]
fn the_first_program_prints_what_the_readme_says() {
    assert_eq!(first::run().unwrap(), readme("It prints:\n\n```text\n", "```"));
}

#[test]
fn every_line_of_the_readmes_table_from_numpy_holds() {
    let lines = readme("| NumPy | polyarray |\n|---|---|\n", "\n\n").lines().count();
    assert_eq!(tour::readme::lines().unwrap(), lines);
}

#[test]
fn the_programs_of_the_tour_have_the_right_answers() {
    let mut tour = tour::Tour::new(100);
    for (name, _, run) in tour::THEMES {
        tour.begin(name);
        run(&mut tour).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    assert!(tour.json().lines().count() > 100);
}

#[test]
fn a_backend_from_outside_is_used() {
    assert_eq!(custom_backend::run().unwrap(), [1, 1, 1, 0]);
}

/// The mean of `sqrt(2 x + 1)` for x from 0 to 1.5 is 14/9.
#[test]
fn a_file_is_summed_in_blocks() {
    let mean = streaming::run(2).unwrap();
    assert!((mean - 14.0 / 9.0).abs() < 1e-5, "{mean}");
}

#[test]
fn a_product_goes_where_auto_says() {
    let chosen = offload::run(256).unwrap();
    assert!(Device::all().iter().any(|d| d.name() == chosen), "auto chose {chosen}");
}

/// A product so large that the transfers pay on any hardware GPU.
#[cfg(feature = "gpu")]
#[test]
fn a_large_product_goes_to_a_gpu() {
    match Device::gpu() {
        Ok(gpu) if gpu.info().hardware => assert_eq!(offload::run(4096).unwrap(), "gpu"),
        // Only an emulated GPU is present, which `auto` must not choose.
        Ok(_) => assert_ne!(offload::run(1024).unwrap(), "gpu"),
        Err(why) => eprintln!("skipped: {why}"),
    }
}
