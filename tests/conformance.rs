//! Runs the conformance suite on every device found.

mod common;

use polyarray_conformance::{Filter, check, support};

#[test]
fn every_device_found_conforms() {
    let mut failed = Vec::new();
    for device in common::required_devices() {
        let report = check(&device, &Filter::quick());
        println!("{report}");
        if !report.is_ok() {
            failed.push(report.to_string());
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_operation_has_a_device_that_takes_it() {
    let table = support(&common::required_devices()).unwrap();
    assert!(table.len() > 400, "{} rows of operation by dtype", table.len());
    for row in &table {
        let scalar = row.answers.iter().find(|(name, _)| name == "scalar").expect("scalar is always present");
        assert!(scalar.1.is_ok(), "{row}");
    }
}
