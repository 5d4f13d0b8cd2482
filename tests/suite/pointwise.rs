//! Functions that are computed on the host, one element after the other.

use crate::common::refused;
use polyarray::prelude::*;
use polyarray::{Error, bf16, f16};
use proptest::prelude::*;

#[test]
fn divisors_and_multiples_at_the_ends() {
    let of = |x: i64, y: i64| (Array::from([x]).gcd(&Array::from([y])), Array::from([x]).lcm(&Array::from([y])));
    let item = |x: Result<Array<i64>>| x.unwrap().item().unwrap();
    for (x, y, divisor, multiple) in [
        (0, 0, 0, 0),
        (0, -5, 5, 0),
        (-4, 6, 2, 12),
        (i64::MIN, 0, i64::MIN, 0),
        (i64::MIN, 6, 2, (3i128 << 63) as i64),
        (i64::MAX, i64::MAX, i64::MAX, i64::MAX),
    ] {
        let (gcd, lcm) = of(x, y);
        assert_eq!((item(gcd), item(lcm)), (divisor, multiple), "{x} {y}");
    }
    let large = Array::from([u64::MAX]).lcm(&Array::from([u64::MAX - 1])).unwrap();
    assert_eq!(large.item().unwrap(), u64::MAX.wrapping_mul(u64::MAX - 1));
    let column = Array::from([[4u8], [6]]);
    assert_eq!(column.lcm(&Array::from([3u8, 200])).unwrap(), Array::from([[12u8, 200], [6, (600 % 256) as u8]]));
    let undefined = |e: &Error| matches!(e, Error::DTypeUndefined { .. });
    refused(Array::from([1.0f32]).gcd(&Array::from([1.0])), undefined, &["gcd", "f32", "integers"]);
    refused(Array::from([true]).lcm(&Array::from([true])), undefined, &["lcm", "bool"]);
    refused(column.gcd(&Array::from([1u8, 2, 3]).slice(s![..0]).unwrap().reshape([0, 5]).unwrap()), |_| true, &[]);
}

#[test]
fn mantissas_and_exponents_of_every_float() {
    fn check<T: Float>(x: &[f64]) {
        let x = Array::from_vec(x.iter().map(|&x| T::from_f64(x)).collect(), x.len()).unwrap();
        let (mantissas, exponents) = x.frexp().unwrap();
        let back = mantissas.ldexp(&exponents).unwrap();
        let wide = |x: &Array<T>| x.cast::<f64>().eval().unwrap().to_vec().unwrap();
        assert!(wide(&back).iter().zip(wide(&x)).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()));
        assert!(wide(&mantissas).iter().all(|m| *m == 0.0 || !m.is_finite() || (0.5..1.0).contains(&m.abs())));
    }
    let x = [0.0, -0.0, 1.0, -0.75, 6e-8, 65504.0, f64::INFINITY, f64::NAN];
    check::<f16>(&x);
    check::<bf16>(&x);
    check::<f32>(&[&x[..], &[1e-45, 3e38]].concat());
    check::<f64>(&[&x[..], &[5e-324, -1.7e308]].concat());
    let scaled = |x: f32, e: i32| Array::from([x]).ldexp(&Array::from([e])).unwrap().item().unwrap();
    assert_eq!((scaled(1.5, 200), scaled(1.5, -200), scaled(1.0, i32::MIN)), (f32::INFINITY, 0.0, 0.0));
    // Rounded once: halfway between two subnormal numbers, to even.
    assert_eq!(scaled(3.0, -150), f32::from_bits(2));
    refused(Array::from([1]).frexp().map(|f| f.0), |e| matches!(e, Error::DTypeUndefined { .. }), &["frexp", "i32"]);
}

proptest! {
    #[test]
    fn the_next_number_is_that_of_the_standard_library(x in any::<f32>(), y in any::<f32>()) {
        let next = |x: f32, y: f32| Array::from([x]).nextafter(&Array::from([y])).unwrap().item().unwrap();
        let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        let want = if x < y { x.next_up() } else if x > y { x.next_down() } else if x == y { y } else { f32::NAN };
        prop_assert!(same(next(x, y), want), "{x} {y}: {}", next(x, y));
        prop_assert!(same(next(x, f32::NAN), f32::NAN));
        for end in [f32::INFINITY, f32::NEG_INFINITY] {
            let want = if x.is_nan() || x == end { x } else { f32::MAX.copysign(end) };
            prop_assert!(same(next(end, x), want));
        }
    }
}

#[test]
fn halves_have_neighbours_too() {
    let next = |x: f16, y: f64| {
        Array::from([x]).nextafter(&Array::from([f16::from_f64(y)])).unwrap().item().unwrap().to_bits()
    };
    for bits in (0..=0x7c00).chain(0x8000..=0xfc00) {
        let x = f16::from_bits(bits);
        if x < f16::INFINITY {
            let up = if bits & 0x7fff == 0 {
                1
            } else if bits < 0x8000 {
                bits + 1
            } else {
                bits - 1
            };
            assert_eq!(next(x, f64::INFINITY), up, "{bits:x}");
        }
        if x > f16::NEG_INFINITY {
            let down = if bits & 0x7fff == 0 {
                0x8001
            } else if bits < 0x8000 {
                bits - 1
            } else {
                bits + 1
            };
            assert_eq!(next(x, f64::NEG_INFINITY), down, "{bits:x}");
        }
    }
}
