//! Elementwise functions that are not rows of a table, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

#[test]
fn closeness_is_that_of_numpy() {
    on_every_device(|_| {
        let x = array(&[INF, INF, 1.0, -INF, 1e10, 0.0, NAN]);
        let y = array(&[INF, 1.0, INF, -INF, 1.00001e10, 1e-9, NAN]);
        let close = [true, false, false, true, true, true, false];
        assert_eq!(x.isclose(&y, 1e-5, 1e-8).eval()?.to_vec()?, close);
        assert!(x.isclose_equal_nan(&y, 1e-5, 1e-8).eval()?.get([6])?);
        assert_eq!(array(&[10, 100]).isclose(array(&[11, 101]), 0.01, 0.5).eval()?.to_vec()?, [false, true]);
        assert!(array(&[true, false]).allclose(array(&[true, false]), 0.0, 0.0)?);
        assert!(array::<f64>(&[]).allclose(1.0, 0.0, 0.0)?);
        let matrix = Array::from_vec(vec![1.0, 2.0, 1.0, 2.0 + 1e-10], [2, 2])?;
        for matrix in layouts(&matrix)? {
            assert!(
                matrix.allclose(array(&[1.0, 2.0]), 1e-9, 0.0)? && !matrix.allclose(array(&[1.0, 2.0]), 1e-11, 0.0)?
            );
        }
        let z = array(&[Complex::new(1.0, 1.0)]);
        assert!(
            z.allclose(Complex::new(1.0, 1.0 + 1e-9), 1e-5, 0.0)? && !z.allclose(Complex::new(1.0, 0.9), 1e-5, 0.0)?
        );
        let halves = array(&[60000.0].map(f16::from_f64));
        assert!(halves.allclose(f16::from_f64(-60000.0), 3.0, 0.0)?, "the difference exceeds f16");
        Ok(())
    });
    let x = array(&[1.0, 2.0]);
    refused(x.allclose(array(&[1.0; 3]), 0.0, 0.0), |e| matches!(e, Error::Broadcast { .. }), &["[2]", "[3]"]);
    let f32s = array(&[1.0f32, 2.0]);
    on_every_device(|_| {
        assert!(f32s.allclose(array(&[1.0f32, 2.000001]), 1e-5, 1e-8)?);
        Ok(())
    });
}

#[test]
fn arrays_are_equal_if_shapes_and_elements_are() {
    on_every_device(|_| {
        let x = Array::from_vec(vec![1.0, NAN, -0.0, 4.0], [2, 2])?;
        for y in layouts(&x)? {
            assert!(!x.array_equal(&y)? && x.array_equal_nan(&y)?);
        }
        assert!(array(&[0.0]).array_equal(&array(&[-0.0]))?);
        assert!(!array(&[1]).array_equal(&array(&[1, 1]))? && !array(&[1]).array_equal_nan(&array(&[1, 1]))?);
        assert!(array::<i8>(&[]).array_equal(&array(&[]))?);
        assert!(!Array::<i8>::zeros([0, 2])?.array_equal(&Array::zeros([2, 0])?)?);
        assert!(Array::full((), true)?.array_equal(&Array::full((), true)?)?);
        Ok(())
    });
}

#[test]
fn quotient_and_remainder_belong_together() {
    on_every_device(|_| {
        let (x, y) = (array(&[7i32, -7, 7, -7, 5, i32::MIN]), array(&[3, 3, -3, -3, 0, -1]));
        let (quotient, rest) = x.divmod(&y);
        assert_eq!(quotient.eval()?.to_vec()?, [2, -3, -3, 2, 0, i32::MIN]);
        assert_eq!(rest.eval()?.to_vec()?, [1, 2, -2, -1, 0, 0]);
        Ok(())
    });
    let (quotient, rest) = array(&[1.0, -0.5, 1e300]).divmod(array(&[0.0, 1.0, 3.0]));
    nearly(&quotient.eval().unwrap(), &[INF, -1.0, (1e300f64 / 3.0).floor()]);
    // The remainder is exact, however large the quotient is.
    nearly(&rest.eval().unwrap(), &[NAN, 0.5, 1e300f64.rem_euclid(3.0)]);
}

#[test]
fn interpolation_replacement_and_signs() {
    on_every_device(|_| {
        let (x, y) = (array(&[0.1, 1e16, -3.0]), array(&[0.7, 1.0, 5.0]));
        assert_eq!(x.lerp(&y, 0.0).eval()?.to_vec()?, x.to_vec()?);
        assert_eq!(x.lerp(&y, 1.0).eval()?.to_vec()?, y.to_vec()?);
        assert_eq!(x.lerp(&y, 1.5).eval()?.get([2])?, 9.0);
        let halves = array(&[60000.0].map(f16::from_f64));
        assert_eq!(halves.lerp(f16::from_f64(-60000.0), f16::from_f64(0.5)).eval()?.item()?, f16::from_f64(0.0));
        let wild = array(&[NAN, INF, -INF, -0.5]);
        assert_eq!(wild.nan_to_num().eval()?.to_vec()?, [0.0, f64::MAX, -f64::MAX, -0.5]);
        assert_eq!(wild.nan_to_num_with(1.0, 2.0, 3.0).eval()?.to_vec()?, [1.0, 2.0, 3.0, -0.5]);
        assert_eq!(array(&[f16::INFINITY]).nan_to_num().eval()?.item()?, f16::MAX);
        assert_eq!(array(&[bf16::NEG_INFINITY]).nan_to_num().eval()?.item()?, bf16::MIN);
        assert_eq!(array(&[7u8]).nan_to_num().eval()?.to_vec()?, [7]);
        assert_eq!(array(&[-0.0, 0.0, -NAN, NAN, -INF]).signbit().eval()?.to_vec()?, [true, false, true, false, true]);
        assert_eq!(array(&[-1i8, 0, 1]).signbit().eval()?.to_vec()?, [true, false, false]);
        assert_eq!(array(&[255u8]).signbit().eval()?.to_vec()?, [false]);
        Ok(())
    });
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(array(&[1]).lerp(2, 1).eval(), undefined, &["lerp", "i32"]);
    let z = array(&[Complex::new(1.0, NAN)]);
    refused(z.nan_to_num().eval(), undefined, &["nan_to_num", "c64"]);
    refused(z.signbit().eval(), undefined, &["signbit", "c64"]);
}

#[test]
fn parts_of_complex_numbers_are_views() -> Result<()> {
    let c = Complex::new;
    let z =
        Array::from_vec(vec![c(1.0, 2.0), c(3.0, -1.0), c(0.0, 0.5), c(2.0, -2.0), c(0.0, 1.0), c(4.0, 0.0)], [2, 3])?;
    for z in layouts(&z)? {
        let (real, mut imag) = (z.real()?, z.imag()?);
        assert!(real.shares_memory(&z) && imag.shares_memory(&z));
        assert_eq!(real.to_vec()?, [1.0, 3.0, 0.0, 2.0, 0.0, 4.0]);
        assert_eq!(imag.to_vec()?, [2.0, -1.0, 0.5, -2.0, 1.0, 0.0]);
        assert_eq!(imag.sum_axis(0)?.to_vec()?, [0.0, 0.0, 0.5]);
        assert_eq!(z.slice(s![1, 1..])?.imag()?.to_vec()?, [1.0, 0.0]);
        // Writing copies first, so that the complex numbers keep their parts.
        imag.set([0, 0], 9.0)?;
        assert_eq!((imag.get([0, 0])?, z.get([0, 0])?), (9.0, c(1.0, 2.0)));
    }
    // A part remains valid when the complex array is gone.
    let imag = z.imag()?;
    drop(z);
    assert_eq!((imag * 2.0).eval()?.get([0, 0])?, 4.0);
    assert_eq!(Array::<Complex<f32>>::zeros([0, 3])?.imag()?.shape(), [0, 3]);
    let quarter = std::f64::consts::FRAC_PI_4;
    let z = array(&[c(1.0, 1.0), c(-1.0, 0.0), c(0.0, 0.0), c(-1.0, -0.0)]);
    nearly(&z.angle()?, &[quarter, 4.0 * quarter, 0.0, -4.0 * quarter]);
    nearly(&array(&[1.0f32, -2.0, -0.0]).angle()?, &[0.0, 4.0 * quarter, 4.0 * quarter]);
    nearly(&array(&[1, -2]).angle()?, &[0.0, 4.0 * quarter]);
    let real = array(&[1.5, 2.5]);
    assert_eq!((real.real()?.to_vec()?, real.imag()?.to_vec()?), (vec![1.5, 2.5], vec![0.0, 0.0]));
    Ok(())
}

#[test]
fn truth_values_have_an_order() {
    on_every_device(|_| {
        let (x, y) = (array(&[false, false, true, true]), array(&[false, true, false, true]));
        let of = |e: Expr<bool>| e.eval()?.to_vec();
        assert_eq!(of(x.minimum(&y))?, [false, false, false, true]);
        assert_eq!(of(x.maximum(&y))?, [false, true, true, true]);
        assert_eq!((of(x.fmin(&y))?, of(x.fmax(&y))?), (of(x.minimum(&y))?, of(x.maximum(&y))?));
        assert_eq!(of(x.less(&y))?, [false, true, false, false]);
        assert_eq!(of(x.less_equal(&y))?, [true, true, false, true]);
        assert_eq!(of(x.greater(&y))?, [false, false, true, false]);
        assert_eq!(of(x.greater_equal(&y))?, [true, false, true, true]);
        assert_eq!(of(x.less(true))?, [true, true, false, false]);
        Ok(())
    });
}
