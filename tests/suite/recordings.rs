//! A recording ends with its closure, whether the closure returns or panics.

use crate::common::count;
use polyarray::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn recordings_end_with_their_closure_also_by_a_panic() {
    let x = count([4]);
    // On a named device, so that backends of other tests add no operations of their own.
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
            // The outer recording continues.
            x.max().unwrap();
            // Operations of other threads are not part of this recording.
            let y = x.clone();
            std::thread::spawn(move || y.sum().unwrap()).join().unwrap();
            trace::record(|| x.min().unwrap()).1
        })
    });
    assert_eq!((outer.events.len(), inner.events.len()), (2, 1), "{outer}{inner}");
    // The recording has ended with the panic: a new recording starts empty.
    let unwound = catch_unwind(AssertUnwindSafe(|| trace::record(|| panic!("on purpose"))));
    assert!(unwound.is_err());
    let (_, empty) = trace::record(|| ());
    assert!(empty.events.is_empty() && empty.copies.is_empty() && empty.allocations == 0, "{empty}");
}
