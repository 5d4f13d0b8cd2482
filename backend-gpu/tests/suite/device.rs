//! The device itself: its description, what it refuses, missing adapters, placement of arrays, and use by several
//! threads.

use crate::common::{gpu, put};
use polyarray_core::*;
use polyarray_gpu::{Options, open};

#[test]
fn it_says_what_it_is() {
    let Some(device) = gpu() else { return };
    assert_eq!(device.name(), "gpu");
    assert!(!device.info().description.is_empty());
    let info = memory(device.memory()).info().clone();
    assert_eq!(info.stored_size(DType::Bool), Some(4), "a word");
    assert_eq!(
        (info.stored_size(DType::F32), info.stored_size(DType::F64), info.stored_size(DType::C32)),
        (Some(4), None, None)
    );
    assert!(info.upload_bandwidth > 0.0 && info.download_bandwidth > 0.0 && info.max_allocation >= 1 << 27);
}

#[test]
fn what_it_cannot_store_or_compute_is_refused_with_the_reason() {
    let Some(device) = gpu() else { return };
    let doubles = Array::from_vec(vec![1.0f64, 2.0], [2]).unwrap();
    assert!(matches!(doubles.to_device(&device), Err(Error::Storage { dtype: DType::F64, .. })));
    let refused = doubles.sqrt().eval_on(&device).unwrap_err().to_string();
    assert!(refused.contains("f64") && refused.contains("gpu"), "{refused}");
    let there = put(&device, &[1.5f32], [1]);
    assert!(with_device(&device, || there.cast::<f64>().eval()).unwrap_err().to_string().contains("f64"));
}

#[test]
fn an_adapter_that_is_not_there_is_named_with_those_that_are() {
    if gpu().is_none() {
        return;
    }
    for wanted in ["no such adapter", "99"] {
        let mut options = Options::default();
        options.adapter = Some(wanted.into());
        let Err(Error::Absent { name, why }) = open(&options).map(|_| ()) else { panic!("{wanted:?} was found") };
        assert_eq!(name, "gpu");
        assert!(why.contains(wanted) && why.contains("0: "), "{why}");
    }
    let first = open(&Options::default()).unwrap();
    let description = first.info().description.clone();
    let mut options = Options::default();
    options.adapter = Some(description[..4].to_uppercase());
    assert!(open(&options).is_ok(), "part of the name, in another case");
}

#[test]
fn arrays_stay_where_they_are_put() {
    let Some(device) = gpu() else { return };
    let x = put(&device, &[1.0f32, 4.0, 9.0], [3]);
    let y = (x.sqrt() + 1.0).eval().unwrap();
    assert_eq!(y.device(), device);
    assert_eq!(y.to_vec().unwrap(), [2.0, 3.0, 4.0]);
    let host = Array::from_vec(vec![1.0f32, 1.0, 1.0], [3]).unwrap();
    assert_eq!(
        (&y + &host).eval().unwrap().device(),
        device,
        "the result lives on the device that holds one of the operands"
    );
    let back = host.sqrt().eval_on(&device).unwrap();
    assert!(back.as_slice().is_some(), "computed on the device, returned to the host");
    let empty = Array::<f32>::from_vec(vec![], [0, 3]).unwrap().to_device(&device).unwrap();
    assert_eq!((&empty + 1.0).eval().unwrap().shape(), [0, 3]);
    device.synchronize().unwrap();
}

#[test]
fn threads_share_it() {
    let Some(device) = gpu() else { return };
    std::thread::scope(|scope| {
        for t in 0..4 {
            let device = &device;
            scope.spawn(move || {
                let data: Vec<f32> = (0..2000).map(|i| (i + t) as f32).collect();
                let mut x = put(device, &data, [2000]);
                for _ in 0..50 {
                    x = (x + 1.0).eval().unwrap();
                }
                assert!(x.to_vec().unwrap().iter().zip(&data).all(|(x, d)| *x == d + 50.0));
            });
        }
    });
}
