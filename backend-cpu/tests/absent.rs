//! The errors of the device `blas` where `POLYARRAY_BLAS` names a file that is not a CBLAS library. A process reads the
//! variable only once, so each case runs in a process of its own.
#![cfg(feature = "blas")]

use polyarray_core::{Array, Device};
use polyarray_cpu as _;
use std::process::Command;

/// Returns the output of [`report`] where `POLYARRAY_BLAS` is `path`.
fn reported(path: &str) -> String {
    let this = std::env::current_exe().unwrap();
    let out = Command::new(this)
        .args(["--exact", "report", "--ignored", "--nocapture"])
        .env("POLYARRAY_BLAS", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

#[test]
#[ignore = "run by the others, in a process of its own"]
fn report() {
    let error = Device::blas().expect_err("no library");
    assert!(Device::absent().iter().any(|(name, why)| name == "blas" && why.to_string() == error.to_string()));
    let x = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2]).unwrap();
    assert_eq!(x.matmul(&x).unwrap().to_vec().unwrap(), [7.0, 10.0, 15.0, 22.0], "`auto` works without BLAS");
    println!("{error}");
}

#[test]
fn a_path_without_a_file_is_named() {
    let text = reported("/nonexistent/libblas.so");
    assert!(
        text.contains("device \"blas\" is not available")
            && text.contains("POLYARRAY_BLAS names /nonexistent/libblas.so"),
        "{text}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_library_without_the_functions_is_named_with_the_first_missing() {
    let text = reported("libc.so.6");
    assert!(text.contains("POLYARRAY_BLAS names libc.so.6") && text.contains("cblas_sgemm"), "{text}");
}
