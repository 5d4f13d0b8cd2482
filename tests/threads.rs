//! The number of threads of an operation: the environment and the caller's thread pool limit it.
#![cfg(feature = "simd")]

use polyarray::prelude::*;
use std::process::Command;

/// Returns the number of threads in the plan of `simd` for a large sum.
fn threads_of_a_large_sum() -> Result<usize> {
    let x = Array::<f64>::ones([1 << 22])?;
    let (_, trace) = polyarray::trace::record(|| with_device(&Device::simd()?, || x.sum()));
    let plan = trace.events.iter().find_map(|e| e.plan.as_ref()).expect("a sum is an operation");
    Ok(plan.candidates[0].estimate.as_ref().expect("simd supports sums").2)
}

/// Runs an ignored test of this file in its own process, with this value of `POLYARRAY_THREADS`.
fn child(test: &str, threads: &str) {
    let program = std::env::current_exe().unwrap();
    let out = Command::new(program)
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("POLYARRAY_THREADS", threads)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "with {threads:?}: {text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn the_environment_limits_them() {
    child("three_are_used", "3");
    child("one_is_used", "1");
}

#[test]
#[ignore = "run in a process of its own"]
fn three_are_used() {
    assert_eq!(polyarray::config().threads, 3);
    // A pool that is large enough, on any machine.
    rayon::ThreadPoolBuilder::new().num_threads(4).build_global().unwrap();
    assert_eq!(threads_of_a_large_sum().unwrap(), 3);
}

#[test]
#[ignore = "run in a process of its own"]
fn one_is_used() {
    assert_eq!(threads_of_a_large_sum().unwrap(), 1);
}

#[test]
fn a_number_that_is_none_is_an_error() {
    for value in ["abc", "0", "-1", "1.5"] {
        child("every_operation_fails", value);
    }
}

#[test]
#[ignore = "run in a process of its own"]
fn every_operation_fails() {
    let x = Array::from_vec(vec![1.0f32, 2.0, 3.0], [3]).unwrap();
    for error in
        [(&x + &x).eval().map(drop), x.sum().map(drop), with_device(&Device::scalar(), || (&x + 1.0).eval().map(drop))]
    {
        let message = error.unwrap_err().to_string();
        assert!(message.contains("POLYARRAY_THREADS") && message.contains("at least 1"), "{message}");
    }
}

#[test]
fn a_pool_of_the_callers_is_what_there_is() {
    let pool = |n: usize| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    assert_eq!(pool(1).install(threads_of_a_large_sum).unwrap(), 1);
    let two = polyarray::config().threads.min(2);
    assert_eq!(pool(2).install(threads_of_a_large_sum).unwrap(), two);
}
