//! Small arrays take the fast path (`Backend::run_small`). It must give the same bits as the general path, which
//! recording a trace forces.

extern crate polyarray_cpu as _;
extern crate polyarray_simd as _;

use polyarray_core::{
    Array, Binary, DType, Device, Element, Expr, Gives, IntoExpr, Kind, Unary, Wide, trace, with_device, with_dtype,
};

/// Evaluates an expression on both paths, into a new and into an existing array, and compares the bits. It uses
/// `simd` and, if all devices agree to the bit, also `auto`, which may choose another device for the general path.
fn both_ways<U: Element>(what: &str, exact: bool, expr: impl Fn() -> Expr<U>) {
    let devices = [Device::simd().expect("the crate polyarray-simd is linked"), Device::auto()];
    for device in devices.into_iter().take(if exact { 2 } else { 1 }) {
        with_device(&device, || {
            let (long, _) = trace::record(|| expr().eval());
            let Ok(long) = long else {
                assert!(expr().eval().is_err(), "{what} on {}", device.name());
                return;
            };
            let short = expr().eval().expect("the general path computed it without an error");
            let mut given = Array::<U>::zeros(long.shape()).expect("memory for the array");
            expr()
                .eval_into(&mut given.view_mut().expect("no other array shares the buffer"))
                .expect("the general path computed it without an error");
            for got in [&short, &given] {
                assert_eq!(bytes(got), bytes(&long), "{what} {:?} on {}", long.shape(), device.name());
            }
        });
    }
}

/// Returns the elements as text, with one form for all NaNs.
fn bytes<U: Element>(x: &Array<U>) -> Vec<String> {
    x.to_vec().expect("the array is in host memory").iter().map(|x| format!("{x:?}")).collect()
}

fn values<T: Element>(n: usize, step: i128) -> Array<T> {
    let one = |i: usize| match (i as i128 * step) % 11 - 5 {
        v if i % 7 == 3 => T::from_wide(Wide::Float(v as f64 / 3.0)),
        5 => T::from_wide(Wide::Float(f64::NAN)),
        v => T::from_wide(Wide::Int(v)),
    };
    Array::from_vec((0..n).map(one).collect(), [n]).expect("the vector has as many elements as the shape")
}

fn cases<T: Element>() {
    for n in [1, 2, 33, 1000] {
        let (x, y) = (values::<T>(n, 3), values::<T>(n, 7));
        let value = y.get([n / 2]).expect("the index is inside the array");
        for &op in Unary::ALL.iter().filter(|op| op.info().kinds.contains(T::DTYPE)) {
            let name = format!("{} of {}", op.info().name, T::DTYPE);
            let exact = op.info().ulp_cpu == 0.0 && T::DTYPE.kind() != Kind::Complex;
            match op.info().gives {
                Gives::Same => both_ways::<T>(&name, exact, || (&x).into_expr().unary(op)),
                Gives::Truth => both_ways::<bool>(&name, exact, || (&x).into_expr().unary(op)),
                Gives::Magnitude => both_ways::<T::Real>(&name, exact, || (&x).into_expr().unary(op)),
            }
        }
        for &op in Binary::ALL.iter().filter(|op| op.info().kinds.contains(T::DTYPE)) {
            let name = format!("{} of {}", op.info().name, T::DTYPE);
            let exact = op.info().ulp_cpu == 0.0 && T::DTYPE.kind() != Kind::Complex;
            if op.info().gives == Gives::Truth {
                both_ways::<bool>(&name, exact, || (&x).into_expr().binary(op, &y));
                both_ways::<bool>(&name, exact, || (&x).into_expr().binary(op, value));
                both_ways::<bool>(&name, exact, || value.into_expr().binary(op, &x));
            } else {
                both_ways::<T>(&name, exact, || (&x).into_expr().binary(op, &y));
                both_ways::<T>(&name, exact, || (&x).into_expr().binary(op, value));
                both_ways::<T>(&name, exact, || value.into_expr().binary(op, &x));
            }
        }
    }
}

#[test]
fn every_ufunc_and_dtype_gives_the_same_either_way() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => cases::<T>());
    }
}

#[test]
fn what_is_no_strip_still_works() {
    with_device(&Device::simd().expect("the crate polyarray-simd is linked"), || {
        let x = Array::from_vec((0..12).map(f64::from).collect(), [3, 4]).unwrap();
        let transposed = x.t();
        assert_eq!((&transposed + &transposed).eval().unwrap().get([1, 2]).unwrap(), 18.0);
        let row = x.slice([polyarray_core::SliceItem::from(1isize)]).unwrap();
        assert_eq!((&x * &row).eval().unwrap().get([2, 3]).unwrap(), 77.0);
        assert_eq!((&row + 1.0).eval().unwrap().to_vec().unwrap(), [5.0, 6.0, 7.0, 8.0]);
        assert!((&x + &values::<f64>(5, 1)).eval().is_err());
        assert_eq!((&Array::<f64>::zeros([0]).unwrap() + 1.0).eval().unwrap().len(), 0);
        // Donation: the result reuses the memory of an operand that nothing else refers to.
        let own = Array::from_vec(vec![1.0f64; 40], [40]).unwrap();
        let place = own.as_slice().unwrap().as_ptr();
        let sum = (own + 1.0).eval().unwrap();
        assert_eq!(sum.as_slice().unwrap().as_ptr(), place);
        assert_eq!(sum.to_vec().unwrap(), [2.0; 40]);
    });
}

#[test]
fn an_array_is_not_changed_through_its_clones() {
    let a = Array::from_vec(vec![1i32, 2, 3], [3]).unwrap();
    let mut b = a.clone();
    b += 1;
    b.set([0], 9).unwrap();
    assert_eq!((a.to_vec().unwrap(), b.to_vec().unwrap()), (vec![1, 2, 3], vec![9, 3, 4]));
    let view = a.slice([polyarray_core::SliceItem::from(0isize)]).unwrap();
    let mut c = a.clone();
    drop(a);
    c.view_mut().unwrap().fill(7).unwrap();
    assert_eq!(view.item().unwrap(), 1);
}
