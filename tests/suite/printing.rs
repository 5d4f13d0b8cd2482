//! The text form of arrays.

use polyarray::prelude::*;

fn shown(values: Vec<f64>) -> String {
    let n = values.len();
    Array::from_vec(values, [n]).unwrap().to_string()
}

#[test]
fn arrays_without_elements_are_brief() {
    for shape in [vec![0], vec![10_000_000, 0], vec![0, 3], vec![2, 0, 1 << 40]] {
        let x = Array::<f32>::zeros(&shape[..]).unwrap();
        assert_eq!(x.to_string(), "[]");
        let debug = format!("{x:?}");
        assert!(debug.contains(&format!("{shape:?}")) && debug.len() < 200, "{debug}");
    }
    assert_eq!(Array::<f32>::zeros(()).unwrap().to_string(), "0");
}

#[test]
fn what_is_printed_is_bounded() {
    let one = Array::<f64>::ones([1]).unwrap();
    for shape in [
        &[7; 16][..],
        &[2; 16],
        &[2, 3, 1_000_000, 1, 1, 1, 1, 1],
        &[1_000_000],
        &[1000, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    ] {
        let text = one.broadcast_to(shape).unwrap().to_string();
        assert!(text.len() < 1_000_000, "{shape:?}: {}", text.len());
        assert_eq!(text.matches('[').count(), text.matches(']').count());
    }
    let long = Array::<i32>::arange(0, 2000, 1).unwrap();
    assert_eq!(long.to_string(), "[0, 1, 2, ..., 1997, 1998, 1999]");
    assert_eq!(
        long.reshape([1000, 2]).unwrap().to_string(),
        "[[0, 1],\n [2, 3],\n [4, 5],\n ...,\n [1994, 1995],\n [1996, 1997],\n [1998, 1999]]"
    );
    assert_eq!(
        Array::<i32>::arange(0, 8, 1).unwrap().reshape([2, 2, 2]).unwrap().to_string(),
        "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]"
    );
}

#[test]
fn huge_and_tiny_floats_have_an_exponent() {
    assert_eq!(shown(vec![1e300, -1.5e-300, 0.0, -0.0]), "[1e300, -1.5e-300, 0, -0]");
    assert_eq!(
        shown(vec![9_999_999_999_999_998.0, 1e16, 0.0001, 0.000_099]),
        "[9999999999999998, 1e16, 0.0001, 9.9e-5]"
    );
    assert_eq!(shown(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN]), "[inf, -inf, NaN]");
    assert_eq!(shown(vec![f64::MAX, f64::from_bits(1)]), "[1.7976931348623157e308, 5e-324]");
    let singles = Array::from_vec(vec![1e30f32, 0.1, 1e-30], [3]).unwrap();
    assert_eq!(singles.to_string(), "[1e30, 0.1, 1e-30]");
    assert_eq!(format!("{singles:.2}"), "[1.00e30, 0.10, 0.00]");
    let complex = Array::from_vec(vec![Complex::new(1e300, -1e-300), Complex::new(1.5, -2.0)], [2]).unwrap();
    assert_eq!(complex.to_string(), "[1e300-1e-300i, 1.5-2i]");
    let halves = Array::from_vec(vec![f16::from_f32(1.5), f16::from_f32(1e-7)], [2]).unwrap();
    assert_eq!(halves.to_string(), "[1.5, 1.1920929e-7]");
    assert_eq!(format!("{:.3}", Array::from_vec(vec![true, false], [2]).unwrap()), "[true, false]");
    assert_eq!(format!("{:.3}", Array::from_vec(vec![i64::MIN], [1]).unwrap()), "[-9223372036854775808]");
}
