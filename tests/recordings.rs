//! Recordings end with what they record, however it ends.

mod common;

use polyarray::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn recordings_end_with_their_closure_also_by_a_panic() {
    let x = common::count([4]);
    // On a device that is named, so that no other test's backend adds operations of its own.
    let (inner, outer) = trace::record(|| {
        with_device(&Device::scalar(), || {
            x.sum().unwrap();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                trace::record(|| {
                    x.sum().unwrap();
                    panic!("on purpose")
                })
            }));
            assert!(unwound.is_err());
            // The outer recording goes on.
            x.max().unwrap();
            // Those of other threads are not of this one.
            let y = x.clone();
            std::thread::spawn(move || y.sum().unwrap()).join().unwrap();
            trace::record(|| x.min().unwrap()).1
        })
    });
    assert_eq!((outer.events.len(), inner.events.len()), (2, 1), "{outer}{inner}");
    // Nothing is recorded any more: strips, which are only taken where nothing is, leave no event, and a new recording begins empty.
    let unwound = catch_unwind(AssertUnwindSafe(|| trace::record(|| panic!("on purpose"))));
    assert!(unwound.is_err());
    let (_, empty) = trace::record(|| ());
    assert!(empty.events.is_empty() && empty.copies.is_empty() && empty.allocations == 0, "{empty}");
}
