//! Under `auto`, the host runs operations for which the device of an array has no support or no memory, or on which it
//! fails. A named device runs an operation or refuses it.

#[path = "common/fake.rs"]
mod fake;

use fake::fake;
use polyarray::prelude::*;
use polyarray::trace;
use std::sync::atomic::Ordering;

const NARROW: [DType; 4] = [DType::F32, DType::I32, DType::U32, DType::Bool];

fn count(n: usize) -> Array<f32> {
    Array::from_vec((0..n).map(|i| i as f32).collect(), [n]).unwrap()
}

#[test]
fn results_that_a_device_cannot_store_live_on_the_host() -> Result<()> {
    let (device, controls) = fake("narrow-storage", &NARROW);
    let x = count(100).to_device(&device)?;
    let (ints, truth) = (x.cast::<i32>().eval()?, x.greater(49.5).eval()?);
    assert_eq!((x.device(), ints.device(), truth.device()), (device.clone(), device.clone(), device.clone()));
    assert!(controls.runs.load(Ordering::Relaxed) > 0, "the device runs the operations that it supports");

    assert_eq!((x.argmax()?, x.argmin()?, x.count_nonzero()?), (99, 0, 99));
    assert_eq!((ints.sum()?, ints.mean()?, ints.prod()?), (4950, 49.5, 0));
    assert_eq!((truth.sum()?, truth.mean()?, truth.any()?, truth.all()?), (50, 0.5, true, false));
    assert_eq!(x.argsort(0)?.to_vec()?, (0..100).collect::<Vec<i64>>());
    assert_eq!(x.topk(2, 0)?.1.to_vec()?, [99, 98]);
    assert_eq!(x.topk(2, 0)?.0.device(), device, "a result that the device can store is returned to it");
    assert_eq!(x.sort(0)?.device(), device);
    let wide = x.cast::<f64>().eval()?;
    assert_eq!((wide.device(), wide.sum()?), (Device::auto(), 4950.0));
    assert_eq!((x.var(0)?, ints.std(0)?, ints.var_axis(0, 0)?.item()?), (833.25, 833.25f64.sqrt(), 833.25));
    assert_eq!(ints.cumsum(0)?.to_vec()?[99], 4950);
    assert_eq!(ints.median()?, 49.5);
    assert_eq!(x.quantile(0.5)?, 49.5);
    assert_eq!(x.histogram(2, None)?.0.to_vec()?, [50, 50]);
    assert_eq!(x.searchsorted(&count(3), Side::Left)?.to_vec()?, [0, 1, 2]);
    assert_eq!(x.unique_counts()?.1.to_vec()?, [1; 100]);
    assert_eq!(ints.bincount(0)?.to_vec()?, [1; 100]);
    assert_eq!(x.matmul(&x)?.item()?, 328350.0);
    assert_eq!(Array::<f32>::zeros([0])?.to_device(&device)?.cast::<f64>().eval()?.len(), 0);
    let wide = (&wide + &x.cast::<f64>()).eval()?;
    assert_eq!(wide.to_vec()?[99], 198.0);

    let (_, record) = trace::record(|| x.argmax());
    assert_eq!(record.events.len(), 1, "{record}");
    assert_ne!(record.events[0].device, device.name(), "the host ran the operation, and the trace names it: {record}");
    assert!(record.copies_for("transfer") > 0, "{record}");

    with_device(&device, || {
        let refused = x.argmax().expect_err("the device was named");
        assert!(matches!(&refused, Error::Refused { .. } | Error::Storage { .. }), "{refused}");
    });
    Ok(())
}

#[test]
fn what_has_no_room_on_a_device_is_done_on_the_host() -> Result<()> {
    let (device, controls) = fake("small-budget", &DType::ALL);
    let x = count(1000).to_device(&device)?;
    controls.budget.store(controls.used.load(Ordering::Relaxed) + 100, Ordering::Relaxed);
    let (y, record) = trace::record(|| (&x * 2.0 + 1.0).eval());
    let y = y?;
    assert_eq!(y.to_vec()?[999], 1999.0);
    assert_eq!(record.fallbacks.len(), 2, "the operation and its result: {record}");
    assert!(record.fallbacks[0].2.contains("its budget is"), "{record}");
    assert_eq!(y.device(), Device::auto());
    assert_eq!(x.sum()?, 499500.0, "a small result still fits");
    with_device(&device, || {
        assert!(
            matches!((&x * 2.0).eval(), Err(Error::OutOfMemory { .. })),
            "a named device runs the operation or fails"
        );
    });
    controls.budget.store(0, Ordering::Relaxed);
    assert_eq!((&x * 2.0).eval()?.device(), device, "the device is used again once it has free memory");
    Ok(())
}

#[test]
fn products_are_added_to_outputs_in_any_memory() -> Result<()> {
    let (device, _) = fake("sums", &DType::ALL);
    let (a, b) = (count(12).reshape([3, 4])?, count(8).reshape([4, 2])?);
    let product = a.matmul(&b)?;
    let before = Array::from_fn([3, 2], |i| 100.0 * (i[0] * 2 + i[1] + 1) as f32)?;
    let sum = (&before + &product).eval()?.to_vec()?;
    let places = |x: &Array<f32>| -> Result<[Array<f32>; 2]> { Ok([x.clone(), x.to_device(&device)?]) };
    for (a, b) in places(&a)?.iter().zip(places(&b)?.iter()) {
        for mut c in places(&before)? {
            let home = c.device();
            Matmul::new(a, b).add_into(&mut c.view_mut()?)?;
            assert_eq!((c.to_vec()?, c.device()), (sum.clone(), home.clone()), "{} to {home}", a.device());
            Matmul::new(a, b).run_into(&mut c.view_mut()?)?;
            assert_eq!((c.to_vec()?, c.device()), (product.to_vec()?, home.clone()), "{} into {home}", a.device());
            // With an epilogue, and into a part.
            let mut wide = Array::from_fn([3, 4], |_| 1.0f32)?.to_device(&home)?;
            Matmul::new(a, b).map(|e| e * 2.0).add_into(&mut wide.slice_mut(s![.., 1..3])?)?;
            let twice = (&product * 2.0 + 1.0).eval()?.to_vec()?;
            assert_eq!(wide.slice(s![.., 1..3])?.to_vec()?, twice, "{} to a part on {home}", a.device());
            assert_eq!(wide.slice(s![.., ..;3])?.to_vec()?, [1.0; 6], "beside the part");
        }
    }
    Ok(())
}

#[test]
fn the_host_writes_into_the_memory_of_a_device_that_fails() -> Result<()> {
    let (device, controls) = fake("lost-into", &DType::ALL);
    let x = count(12).to_device(&device)?;
    let mut y = count(24).to_device(&device)?;
    controls.lost.store(true, Ordering::Relaxed);
    (&x + 1.0).eval_into(&mut y.slice_mut(s![6..18])?)?;
    assert_eq!(y.device(), device);
    let half = y.slice(s![6..18])?.to_vec()?;
    assert_eq!(half, (1..13).map(|i| i as f32).collect::<Vec<_>>());
    let (a, b) = (x.reshape([3, 4])?, x.reshape([4, 3])?);
    let mut square = Array::<f32>::zeros([3, 3])?.to_device(&device)?;
    Matmul::new(&a, &b).run_into(&mut square.view_mut()?)?;
    assert_eq!(square.to_vec()?, a.to_device(&Device::scalar())?.matmul(&b.to_device(&Device::scalar())?)?.to_vec()?);
    // Elements that are not adjacent there: only that device could place them.
    let error = (&x + 1.0).eval_into(&mut y.slice_mut(s![..;2])?).expect_err("the device is lost");
    assert!(matches!(error, Error::Device { .. }), "{error}");
    assert_eq!(y.to_vec()?[..6], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    Ok(())
}

#[test]
fn a_device_that_fails_is_replaced_by_the_host() -> Result<()> {
    let (device, controls) = fake("lost", &DType::ALL);
    let x = count(1000);
    let there = x.to_device(&device)?;
    controls.lost.store(true, Ordering::Relaxed);
    let (y, record) = trace::record(|| (&there + 1.0).eval());
    assert_eq!(y?.to_vec()?[999], 1000.0);
    assert!(
        record
            .fallbacks
            .iter()
            .any(|(from, to, why)| from == "lost" && to != "lost" && why.contains("the device is lost")),
        "{record}"
    );
    let mut out = Array::<f32>::zeros([1000])?;
    (&there + &x).eval_into(&mut out.view_mut()?)?;
    assert_eq!(out.to_vec()?[999], 1998.0);
    with_device(&device, || assert!(matches!((&there + 1.0).eval(), Err(Error::Device { .. }))));
    Ok(())
}
