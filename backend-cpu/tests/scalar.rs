//! The device `scalar`, through the public interface.

use polyarray_core::{Array, Device, Result, s, with_device};
use polyarray_cpu as _;

fn scalar<R>(f: impl FnOnce() -> Result<R>) -> R {
    with_device(&Device::scalar(), f).unwrap()
}

#[test]
fn smoke() {
    scalar(|| {
        let x = Array::from_fn([3, 5], |ix| (ix[0] * 5 + ix[1]) as f32)?;
        let y = ((&x * 2.0 + 1.0).sqrt() - &x.slice(s![0..1])?).eval()?;
        assert_eq!(y.shape(), [3, 5]);
        assert_eq!(y.get([2, 1])?, 23f32.sqrt() - 1.0);
        assert_eq!(x.sum()?, 105.0);
        assert_eq!(x.sum_axis(0)?.to_vec()?, [15.0, 18.0, 21.0, 24.0, 27.0]);
        assert_eq!(x.matmul(&x.t())?.get([1, 0])?, 80.0);
        Ok(())
    });
}
