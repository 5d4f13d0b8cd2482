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
    assert_eq!(long.to_string(), "[   0,    1,    2, ..., 1997, 1998, 1999]");
    assert_eq!(
        long.reshape([1000, 2]).unwrap().to_string(),
        "[[   0,    1],\n [   2,    3],\n [   4,    5],\n ...,\n [1994, 1995],\n [1996, 1997],\n [1998, 1999]]"
    );
    assert_eq!(
        Array::<i32>::arange(0, 8, 1).unwrap().reshape([2, 2, 2]).unwrap().to_string(),
        "[[[0, 1],\n  [2, 3]],\n\n [[4, 5],\n  [6, 7]]]"
    );
}

#[test]
fn huge_and_tiny_floats_have_an_exponent() {
    assert_eq!(shown(vec![1e300, -1.5e-300, 0.0, -0.0]), "[ 1e300   , -1.5e-300,  0       , -0       ]");
    assert_eq!(
        shown(vec![9_999_999_999_999_998.0, 1e16, 0.0001, 0.000_099]),
        "[9999999999999998     ,                1e16  ,                0.0001,\n                9.9e-5]"
    );
    assert_eq!(shown(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN]), "[ inf, -inf,  NaN]");
    assert_eq!(shown(vec![f64::MAX, f64::from_bits(1)]), "[1.79769313e308, 5e-324        ]");
    let singles = Array::from([1e30f32, 0.1, 1e-30]);
    assert_eq!(singles.to_string(), "[1e30 , 0.1  , 1e-30]");
    assert_eq!(format!("{singles:.2}"), "[1.00e30, 0.10   , 0.00   ]");
    let complex = Array::from([Complex::new(1e300, -1e-300), Complex::new(1.5, -2.0), Complex::new(0.25, f64::NAN)]);
    assert_eq!(complex.to_string(), "[1e300-1e-300i,        1.5-2i,     0.25+NaNi]");
    assert_eq!(format!("{:.1}", Array::from([Complex::new(1.0f32, -2.25)])), "[1.0-2.2i]");
    let halves = Array::from([1.5, 1e-7, 0.1, 65504.0].map(f16::from_f64));
    assert_eq!(halves.to_string(), "[    1.5 ,     1e-7,     0.1 , 65500   ]");
    assert_eq!(Array::from([0.1, 3.0e38].map(bf16::from_f64)).to_string(), "[0.1 , 3e38]");
    assert_eq!(format!("{:.3}", Array::from([true, false])), "[ true, false]");
    assert_eq!(format!("{:.3}", Array::from([i64::MIN])), "[-9223372036854775808]");
}

#[test]
fn columns_are_aligned() {
    assert_eq!(Array::from([[1, -20], [300, 4]]).to_string(), "[[  1, -20],\n [300,   4]]");
    assert_eq!(Array::from([[1.0, 0.125], [-10.5, 2.0]]).to_string(), "[[  1    ,   0.125],\n [-10.5  ,   2    ]]");
    assert_eq!(Array::from([[f32::NAN, 1.25], [f32::INFINITY, 2.0]]).to_string(), "[[ NaN, 1.25],\n [ inf, 2   ]]");
    assert_eq!(Array::from([[true], [false]]).to_string(), "[[ true],\n [false]]");
    let thirds = Array::from([1.0 / 3.0, 0.3 - 0.1]);
    assert_eq!(thirds.to_string(), "[0.33333333, 0.2       ]");
    assert_eq!(format!("{:?}", thirds).lines().nth(1), Some("[0.3333333333333333 , 0.19999999999999998]"));
    assert_eq!(Array::from([2.0f32 / 3.0]).to_string(), "[0.6666667]");
}

#[test]
fn options_of_the_format_are_obeyed() {
    let a = Array::from([1.0, -2.5]);
    assert_eq!(format!("{a:8.3}"), "[   1.000,   -2.500]");
    assert_eq!(format!("{a:<8.1}"), "[ 1.0    , -2.5    ]");
    assert_eq!(format!("{a:+.1}"), "[+1.0, -2.5]");
    assert_eq!(format!("{:4}", Array::from([7u8, 12])), "[   7,   12]");
    assert_eq!(format!("{:+}", Array::from([7i8, -1])), "[+7, -1]");
    assert_eq!(format!("{:6}", Array::from([true])), "[  true]");
    let single = Array::full((), 2.5).unwrap();
    assert_eq!((single.to_string(), format!("{single:6.2}")), ("2.5".into(), "  2.50".into()));
}

#[test]
fn long_rows_continue_on_the_next_line() {
    let text = Array::<i32>::arange(100, 140, 1).unwrap().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("[100, 101") && lines[0].ends_with("114,"), "{text}");
    assert!(lines[1].starts_with(" 115, 116") && lines.iter().all(|line| line.len() <= 75), "{text}");
    let wide = Array::<f64>::full([2, 12], 0.123_456_78).unwrap().to_string();
    assert_eq!(wide.lines().filter(|line| line.starts_with("  0.12345678")).count(), 2, "{wide}");
    assert_eq!(wide.matches("0.12345678").count(), 24);
}

#[test]
fn debug_shows_where_the_elements_lie() {
    let mut a = Array::from([[1u8, 2], [3, 4]]);
    let text = format!("{:?}", a.t());
    assert_eq!(text, "Array<u8>([2, 2], strides [1, 2], Device(auto))\n[[1, 3],\n [2, 4]]");
    let view = a.slice_mut(s![1]).unwrap();
    assert_eq!(format!("{view:?}"), "ViewMut of Array<u8>([2], strides [1], Device(auto))\n[3, 4]");
    for device in Device::all() {
        let there = Array::from([1.0f32, 2.0]).to_device(&device).unwrap();
        assert!(format!("{there:?}").contains(&format!("{:?}", there.device())), "{device}");
        assert_eq!(there.to_string(), "[1, 2]", "{device}");
    }
}
