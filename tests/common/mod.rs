//! Helpers for the suites that run on several devices.
#![allow(dead_code, reason = "every suite uses a part of it")]

use polyarray::prelude::*;

/// Runs `f` with each device as the current one. Skips a device that refuses an operation of `f`.
///
/// Panics if `scalar` refuses, or if a device is absent that `POLYARRAY_REQUIRE` lists and this build supports.
pub fn on_every_device(f: impl Fn(&Device) -> Result<()>) {
    let mut ran = Vec::new();
    for device in required_devices() {
        match with_device(&device, || f(&device)) {
            Ok(()) => ran.push(device.name().to_string()),
            Err(e @ (Error::Refused { .. } | Error::Storage { .. })) if device.name() != "scalar" => {
                println!("skipped: {device}: {e}")
            }
            Err(e) => panic!("{device}: {e}"),
        }
    }
    assert!(ran.iter().any(|name| name == "scalar"), "ran on {ran:?}");
}

/// Returns every device found.
///
/// Panics if a device is absent that `POLYARRAY_REQUIRE` lists and this build supports.
pub fn required_devices() -> Vec<Device> {
    let required = std::env::var("POLYARRAY_REQUIRE").unwrap_or_default();
    for name in required.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let features =
            [("blas", cfg!(feature = "blas")), ("gpu", cfg!(feature = "gpu")), ("simd", cfg!(feature = "simd"))];
        let compiled = features.iter().all(|(feature, on)| *feature != name || *on);
        if compiled {
            Device::named(name).unwrap_or_else(|e| panic!("POLYARRAY_REQUIRE lists {name}: {e}"));
        }
    }
    Device::all()
}

/// Returns an array of the numbers 0, 1, 2, .. in C order.
pub fn count(shape: impl Into<polyarray::Dims>) -> Array<f32> {
    let shape = shape.into();
    Array::from_vec((0..shape.size()).map(|i| i as f32).collect(), shape)
        .expect("the vector has as many elements as the shape")
}

/// Asserts that `result` is the expected error, and that its message contains all of `figures`.
#[track_caller]
pub fn refused<T>(result: Result<T>, is: impl Fn(&Error) -> bool, figures: &[&str]) {
    let Err(e) = result else { panic!("an error was expected") };
    assert!(is(&e), "another error was expected: {e:?}");
    let message = e.to_string();
    for figure in figures {
        assert!(message.contains(figure), "{figure:?} is missing in {message:?}");
    }
}

/// Asserts that the elements in C order are those of `want` to within a few eps of the larger of their magnitude and 1.
/// NaNs are equal.
#[track_caller]
pub fn nearly<T: Element>(got: &Array<T>, want: &[f64]) {
    let got: Vec<f64> = got.to_vec().unwrap().iter().map(|x| x.to_wide().real()).collect();
    let eps = if T::DTYPE == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let same = |(&got, &want): (&f64, &f64)| {
        got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= 16.0 * eps * want.abs().max(1.0)
    };
    assert!(got.len() == want.len() && got.iter().zip(want).all(same), "{got:?}, not {want:?}");
}

/// Returns arrays of the same elements with different layouts: in C and Fortran order, reversed along every axis, with
/// gaps and an offset.
pub fn layouts<T: Element>(x: &Array<T>) -> Result<Vec<Array<T>>> {
    let every = |item: polyarray::SliceItem| vec![item; x.ndim()];
    let reversed = every(polyarray::SliceItem::from(..).step(-1));
    let wide: polyarray::Dims = x.shape().iter().map(|n| 2 * n + 1).collect();
    let (gaps, mut wide) = (every(polyarray::SliceItem::from(1..).step(2)), Array::zeros(wide)?);
    wide.slice_mut(&gaps)?.assign(x)?;
    Ok(vec![
        x.clone(),
        x.t().to_contiguous()?.t(),
        x.slice(&reversed)?.to_contiguous()?.slice(&reversed)?,
        wide.slice(&gaps)?,
    ])
}
