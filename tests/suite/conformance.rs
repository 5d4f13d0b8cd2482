//! The operations that every device found takes. The conformance suite itself runs in the tests of each backend.

use crate::common::required_devices;
use polyarray_conformance::support;

#[test]
fn every_operation_has_a_device_that_takes_it() {
    let table = support(&required_devices()).unwrap();
    assert!(table.len() > 400, "{} rows of operation by dtype", table.len());
    for row in &table {
        let scalar = row.answers.iter().find(|(name, _)| name == "scalar").expect("scalar is always present");
        assert!(scalar.1.is_ok(), "{row}");
    }
}
