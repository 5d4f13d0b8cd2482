//! Values of the ufuncs in special cases, on every device. The expected values come from NumPy, C and IEEE 754.

use crate::common::on_every_device;
use polyarray::prelude::*;
use polyarray::{Complex, DType, Wide, bf16, f16};

fn array<T: Element>(values: &[T]) -> Array<T> {
    Array::from_slice(values, [values.len()]).expect("the vector has as many elements as the shape")
}

/// The bits of the elements, with the same bits for every NaN.
fn bits(x: Array<f32>) -> Result<Vec<u32>> {
    Ok(x.to_vec()?.into_iter().map(|x| if x.is_nan() { f32::NAN } else { x }.to_bits()).collect())
}

fn same(got: Expr<f32>, wanted: &[f32]) -> Result<()> {
    assert_eq!(bits(got.eval()?)?, bits(array(wanted))?, "wanted {wanted:?}");
    Ok(())
}

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

#[test]
fn rounding_and_signs() {
    on_every_device(|_| {
        let x = array(&[-2.5f32, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 1e30, INF, NAN]);
        same(x.round(), &[-2.0, -2.0, -0.0, -0.0, 0.0, 0.0, 2.0, 2.0, 1e30, INF, NAN])?;
        same(x.floor(), &[-3.0, -2.0, -1.0, -0.0, 0.0, 0.0, 1.0, 2.0, 1e30, INF, NAN])?;
        same(x.ceil(), &[-2.0, -1.0, -0.0, -0.0, 0.0, 1.0, 2.0, 3.0, 1e30, INF, NAN])?;
        same(x.trunc(), &[-2.0, -1.0, -0.0, -0.0, 0.0, 0.0, 1.0, 2.0, 1e30, INF, NAN])?;
        same(x.sign(), &[-1.0, -1.0, -1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, NAN])?;
        same(
            x.copysign(-1.0),
            &[-2.5, -1.5, -0.5, -0.0, -0.0, -0.5, -1.5, -2.5, -1e30, -INF, NAN]
                .map(|v: f32| if v.is_nan() { NAN } else { v }),
        )?;
        same(array(&[4.0f32, -0.5, 0.0, -0.0, INF]).reciprocal(), &[0.25, -2.0, INF, -INF, 0.0])
    });
    on_every_device(|_| {
        assert_eq!(array(&[-7i32, 0, i32::MIN, 9]).sign().eval()?.to_vec()?, [-1, 0, -1, 1]);
        assert_eq!(array(&[0u8, 200]).sign().eval()?.to_vec()?, [0, 1]);
        Ok(())
    });
}

#[test]
fn minima_maxima_and_clip() {
    on_every_device(|_| {
        let (x, y) = (array(&[1.0f32, NAN, 3.0, NAN, -0.0, 0.0]), array(&[2.0f32, 2.0, NAN, NAN, 0.0, -0.0]));
        same(x.minimum(&y), &[1.0, NAN, NAN, NAN, 0.0, -0.0])?;
        same(x.maximum(&y), &[2.0, NAN, NAN, NAN, 0.0, -0.0])?;
        same(x.fmin(&y), &[1.0, 2.0, 3.0, NAN, 0.0, -0.0])?;
        same(x.fmax(&y), &[2.0, 2.0, 3.0, NAN, 0.0, -0.0])?;
        same(array(&[-5.0f32, 0.5, 5.0, NAN]).clip(-1.0, 1.0), &[-1.0, 0.5, 1.0, NAN])?;
        same(array(&[0.0f32]).clip(3.0, 2.0), &[2.0])?;
        assert_eq!(array(&[1i64, 5, 9]).clip(2, array(&[8, 3, 8])).eval()?.to_vec()?, [2, 3, 8]);
        Ok(())
    });
}

#[test]
fn quotients_and_remainders() {
    on_every_device(|_| {
        let (x, y) = (array(&[7i32, -7, 7, -7, 5, i32::MIN]), array(&[3i32, 3, -3, -3, 0, -1]));
        assert_eq!((&x / &y).eval()?.to_vec()?, [2, -2, -2, 2, 0, i32::MIN]);
        assert_eq!((&x % &y).eval()?.to_vec()?, [1, -1, 1, -1, 0, 0]);
        assert_eq!(x.floor_div(&y).eval()?.to_vec()?, [2, -3, -3, 2, 0, i32::MIN]);
        Ok(())
    });
    on_every_device(|_| {
        assert_eq!((array(&[250u8, 7]) % array(&[100u8, 0])).eval()?.to_vec()?, [50, 0]);
        Ok(())
    });
    on_every_device(|_| {
        let (x, y) = (
            array(&[7.5f32, -7.5, 7.5, 1.0, 1.0, INF, -1.0, 0.0, 1e30]),
            array(&[2.0f32, 2.0, -2.0, 0.0, INF, 2.0, INF, -3.0, 7.0]),
        );
        same(&x % &y, &[1.5, -1.5, 1.5, NAN, 1.0, NAN, -1.0, 0.0, (1e30f32) % 7.0])?;
        same(x.floor_div(&y), &[3.0, -4.0, -4.0, INF, 0.0, NAN, -1.0, -0.0, 1.4285715e29])?;
        // The rounded quotient is 10, but the exact quotient is below 10.
        assert_eq!(array(&[1.0f64]).floor_div(0.1).eval()?.to_vec()?, [9.0]);
        assert_eq!((array(&[5.5f64, 1e300]) % array(&[2.0, 3e-300])).eval()?.to_vec()?, [1.5, 1e300 % 3e-300]);
        Ok(())
    });
}

#[test]
fn quotients_rounded_down_follow_one_rule() {
    fn check<T: Element>() {
        let values: Vec<f64> =
            vec![0.0, 1.0, 2.5, f64::INFINITY].into_iter().flat_map(|x| [x, -x]).chain([f64::NAN]).collect();
        let pairs = || values.iter().flat_map(|&x| values.iter().map(move |&y| (x, y)));
        let column =
            |part: fn((f64, f64)) -> f64| -> Vec<T> { pairs().map(|p| T::from_wide(Wide::Float(part(p)))).collect() };
        let (x, y) = (column(|p| p.0), column(|p| p.1));
        on_every_device(|device| {
            let (x, y) = (Array::from_slice(&x, [x.len()])?, Array::from_slice(&y, [y.len()])?);
            let quotients = x.floor_div(&y).eval()?.to_vec()?;
            let rests = (&x % &y).eval()?.to_vec()?;
            for (((x, y), quotient), rest) in pairs().zip(quotients).zip(rests) {
                let want = match x / y {
                    ratio if y == 0.0 => ratio,
                    _ if x.is_infinite() => f64::NAN,
                    // A finite number over an infinity of the other sign: the exact quotient is negative, however
                    // small, so its floor is -1.
                    _ if y.is_infinite() && x != 0.0 && !x.is_nan() && x.is_sign_negative() != y.is_sign_negative() => {
                        -1.0
                    }
                    ratio => ratio.floor(),
                };
                let same = |got: T, want: f64| {
                    got.to_wide().real().to_bits() == want.to_bits() || got.to_wide().real().is_nan() && want.is_nan()
                };
                assert!(
                    same(quotient, want),
                    "{x} floor_div {y} of {} is {quotient} on {device}, not {want}",
                    T::DTYPE
                );
                assert!(same(rest, x % y), "{x} rem {y} of {} is {rest} on {device}", T::DTYPE);
            }
            Ok(())
        });
    }
    check::<f64>();
    check::<f32>();
    check::<f16>();
    check::<bf16>();
    fn integers<T: Element>(min: i128, max: i128) {
        let t = |x: i128| T::from_wide(Wide::Int(x));
        let least =
            [(min, -1), (min, 1), (max, min), (min, max), (7, 0), (min, 0), (-7, 2), (7, -2), (-7, -2), (min, min)];
        let pairs: Vec<(i128, i128)> =
            least.into_iter().filter(|&(x, y)| (min..=max).contains(&x) && (min..=max).contains(&y)).collect();
        on_every_device(|device| {
            let x = Array::from_vec(pairs.iter().map(|p| t(p.0)).collect(), [pairs.len()])?;
            let y = Array::from_vec(pairs.iter().map(|p| t(p.1)).collect(), [pairs.len()])?;
            let (quotients, rests) = (x.floor_div(&y).eval()?.to_vec()?, (&x % &y).eval()?.to_vec()?);
            for (((x, y), quotient), rest) in pairs.iter().zip(quotients).zip(rests) {
                let floor = if *y == 0 { 0 } else { x.div_euclid(*y) - i128::from(*y < 0 && x.rem_euclid(*y) != 0) };
                let (floor, left) = (t(floor), t(if *y == 0 { 0 } else { x % y }));
                assert!(
                    quotient == floor && rest == left,
                    "{x} and {y} of {} on {device}: {quotient} and {rest}, not {floor} and {left}",
                    T::DTYPE
                );
            }
            Ok(())
        });
    }
    integers::<i8>(i8::MIN.into(), i8::MAX.into());
    integers::<i16>(i16::MIN.into(), i16::MAX.into());
    integers::<i32>(i32::MIN.into(), i32::MAX.into());
    integers::<i64>(i64::MIN.into(), i64::MAX.into());
    integers::<u8>(0, u8::MAX.into());
    integers::<u16>(0, u16::MAX.into());
    integers::<u32>(0, u32::MAX.into());
    integers::<u64>(0, u64::MAX.into());
}

#[test]
fn bits_and_shifts() {
    on_every_device(|_| {
        let (x, y) = (array(&[0b1100i32, -1, 5]), array(&[0b1010i32, 7, 0]));
        assert_eq!((&x & &y).eval()?.to_vec()?, [0b1000, 7, 0]);
        assert_eq!((&x | &y).eval()?.to_vec()?, [0b1110, -1, 5]);
        assert_eq!((&x ^ &y).eval()?.to_vec()?, [0b0110, -8, 5]);
        assert_eq!((!&x).eval()?.to_vec()?, [-13, 0, -6]);
        let count = array(&[0i32, 1, 31, 32, 1000, -1]);
        assert_eq!(
            (1 << &count).eval()?.to_vec()?,
            [1, 2, i32::MIN, 0, 0, 0],
            "a count of the width or more, or below 0, leaves nothing"
        );
        assert_eq!((-8 >> &count).eval()?.to_vec()?, [-8, -4, -1, -1, -1, -1]);
        assert_eq!((8 >> &count).eval()?.to_vec()?, [8, 4, 0, 0, 0, 0]);
        let mut z = array(&[1i32, 2, 4]);
        z <<= 2;
        z |= 1;
        assert_eq!(z.to_vec()?, [5, 9, 17]);
        Ok(())
    });
    on_every_device(|_| {
        assert_eq!((array(&[0x80u8, 0xff]) >> array(&[7u8, 8])).eval()?.to_vec()?, [1, 0]);
        assert_eq!((array(&[0x80u8, 0xff]) << array(&[1u8, 4])).eval()?.to_vec()?, [0, 0xf0]);
        assert_eq!((array(&[-2i64, 3]) >> array(&[63i64, 64])).eval()?.to_vec()?, [-1, 0]);
        assert_eq!((array(&[1i64, -1, -1]) << array(&[-1i64, i64::MIN, 63])).eval()?.to_vec()?, [0, 0, i64::MIN]);
        assert_eq!((array(&[-5i8, 5, 1]) >> array(&[-1i8, -128, 8])).eval()?.to_vec()?, [-1, 0, 0]);
        assert_eq!((array(&[1u64, 3]) << array(&[1u64 << 63, u64::MAX])).eval()?.to_vec()?, [0, 0]);
        assert_eq!((array(&[u64::MAX, 3]) >> array(&[1u64 << 63, 64])).eval()?.to_vec()?, [0, 0]);
        Ok(())
    });
}

#[test]
fn truth() {
    on_every_device(|_| {
        let (x, y) = (array(&[0.0f32, -0.0, NAN, 2.0]), array(&[1.0f32, 1.0, 0.0, NAN]));
        assert_eq!(x.logical_and(&y).eval()?.to_vec()?, [false, false, false, true]);
        assert_eq!(x.logical_or(&y).eval()?.to_vec()?, [true, true, true, true]);
        assert_eq!(x.logical_xor(&y).eval()?.to_vec()?, [true, true, true, false]);
        assert_eq!(x.logical_not().eval()?.to_vec()?, [true, true, false, false]);
        let z = array(&[NAN, INF, -INF, 1e-45, 3e38]);
        assert_eq!(z.is_nan().eval()?.to_vec()?, [true, false, false, false, false]);
        assert_eq!(z.is_inf().eval()?.to_vec()?, [false, true, true, false, false]);
        assert_eq!(z.is_finite().eval()?.to_vec()?, [false, false, false, true, true]);
        let (p, q) = (array(&[true, true, false, false]), array(&[true, false, true, false]));
        assert_eq!((&p & &q).eval()?.to_vec()?, [true, false, false, false]);
        assert_eq!((&p ^ &q).eval()?.to_vec()?, [false, true, true, false]);
        assert_eq!((!(&p | &q)).eval()?.to_vec()?, [false, false, false, true]);
        Ok(())
    });
}

#[test]
fn casts_saturate_wrap_and_round_once() {
    on_every_device(|_| {
        assert_eq!(
            array(&[NAN, 1e20, -1e20, -1.9, 2.9]).cast::<i32>().eval()?.to_vec()?,
            [0, i32::MAX, i32::MIN, -1, 2]
        );
        Ok(())
    });
    on_every_device(|_| {
        assert_eq!(array(&[f64::NAN, 1e20, -3.0, 255.9, 256.0]).cast::<u8>().eval()?.to_vec()?, [0, 255, 0, 255, 255]);
        let two63 = 9_223_372_036_854_775_808.0;
        let ends = array(&[two63, -two63, 2.0 * two63, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e10]);
        assert_eq!(
            ends.cast::<i64>().eval()?.to_vec()?,
            [i64::MAX, i64::MIN, i64::MAX, -1, i64::MAX, i64::MIN, 0, 10_000_000_000]
        );
        assert_eq!(ends.cast::<u64>().eval()?.to_vec()?, [1 << 63, 0, u64::MAX, 0, u64::MAX, 0, 0, 10_000_000_000]);
        assert_eq!(
            ends.cast::<i16>().eval()?.to_vec()?,
            [i16::MAX, i16::MIN, i16::MAX, -1, i16::MAX, i16::MIN, 0, i16::MAX]
        );
        assert_eq!(ends.cast::<i8>().eval()?.to_vec()?, [127, -128, 127, -1, 127, -128, 0, 127]);
        let halves = array(&[f16::INFINITY, f16::NEG_INFINITY, f16::NAN, f16::from_f32(-2.75), f16::from_f32(60000.0)]);
        assert_eq!(halves.cast::<i16>().eval()?.to_vec()?, [i16::MAX, i16::MIN, 0, -2, i16::MAX]);
        assert_eq!(halves.cast::<u8>().eval()?.to_vec()?, [255, 0, 0, 0, 255]);
        assert_eq!(halves.cast::<u64>().eval()?.to_vec()?, [u64::MAX, 0, 0, 0, 60000]);
        assert_eq!(array(&[300i32, -1]).cast::<u8>().eval()?.to_vec()?, [44, 255]);
        assert_eq!(array(&[u64::MAX, 1 << 63]).cast::<f32>().eval()?.to_vec()?, [1.8446744e19, 9.223372e18]);
        assert_eq!(array(&[f64::NAN, -0.0, 0.1]).cast::<bool>().eval()?.to_vec()?, [true, false, true]);
        // Numbers half way between two f16 numbers, and numbers so close to half way that rounding to f32 first would
        // lose the difference.
        let x = array(&[1.0 + 0.5 / 1024.0, 1.0 + 0.5 / 1024.0 + 1e-12, 65519.999, 65520.0]);
        assert_eq!(
            x.cast::<f16>().eval()?.to_vec()?,
            [1.0, 1.0 + 1.0 / 1024.0, 65504.0, f32::INFINITY].map(f16::from_f32)
        );
        assert_eq!(array(&[1.0 + 1.0 / 256.0 + 1e-12]).cast::<bf16>().eval()?.to_vec()?[0].to_bits(), 0x3f81);
        assert_eq!(array(&[Complex::new(2.5f32, 9.0)]).cast::<i16>().eval()?.to_vec()?, [2]);
        assert_eq!(array(&[3u16]).cast::<Complex<f64>>().eval()?.to_vec()?, [Complex::new(3.0, 0.0)]);
        Ok(())
    });
}

#[test]
fn half_floats_round_after_every_step() {
    on_every_device(|_| {
        let x = array(&[f16::from_f32(2048.0)]);
        // 2049 is not an f16 number, so the sum rounds to 2048 before 1 is subtracted. 2047 is an f16 number.
        assert_eq!((&x + f16::ONE - f16::ONE).eval()?.to_vec()?, [f16::from_f32(2047.0)]);
        assert_eq!((&x - &x).eval()?.dtype(), DType::F16);
        Ok(())
    });
}

#[test]
fn complex_numbers() {
    on_every_device(|_| {
        let z = array(&[Complex::new(3.0f64, -4.0), Complex::new(0.0, 1.0)]);
        assert_eq!(z.conj().eval()?.to_vec()?, [Complex::new(3.0, 4.0), Complex::new(0.0, -1.0)]);
        assert_eq!(z.abs().eval()?.to_vec()?, [5.0, 1.0]);
        assert_eq!(z.square().eval()?.to_vec()?, [Complex::new(-7.0, -24.0), Complex::new(-1.0, 0.0)]);
        assert_eq!((&z / &z).eval()?.to_vec()?, [Complex::new(1.0, 0.0); 2]);
        Ok(())
    });
}

#[test]
fn what_a_ufunc_is_not_defined_for_is_an_error() {
    let text = |e: Error| e.to_string();
    assert!(text((array(&[1.0f32]) & 1.0).eval().unwrap_err()).contains("bitand"));
    assert!(text(array(&[1i32]).sin().eval().unwrap_err()).contains("floats"));
    assert!(text((!array(&[1.0f64])).eval().unwrap_err()).contains("not"));
    assert!(text(array(&[true]).shl(true).eval().unwrap_err()).contains("shl"));
    assert!(text(array(&[Complex::new(1.0f32, 0.0)]).floor().eval().unwrap_err()).contains("floor"));
}

/// The exponents that are computed without `pow` give its special values, and otherwise its results to within its
/// bound.
#[test]
fn powers_of_a_value_are_those_of_an_array_of_it() {
    fn check<T: Element>(special: &[f64], exponents: &[f64], ulps: f64) -> Result<()> {
        let number = |x: &f64| T::from_wide(Wide::Float(*x));
        let x = Array::from_vec(special.iter().map(number).collect(), special.len())?;
        for exponent in exponents {
            let many = Array::full(special.len(), number(exponent))?;
            let (short, long) = (x.pow(number(exponent)).eval()?.to_vec()?, x.pow(&many).eval()?.to_vec()?);
            for ((x, a), b) in special.iter().zip(short).zip(long) {
                let [a, b] = [a, b].map(|x: T| x.to_wide().real());
                let near = a != 0.0 && b != 0.0 && (a - b).abs() <= ulps * b.abs();
                let same = near || a == b && a.signum() == b.signum() || a.is_nan() && b.is_nan();
                assert!(same, "{x} to the power of {exponent} as {}: {a}, not {b}", T::DTYPE);
            }
        }
        Ok(())
    }
    let special =
        [0.0, -0.0, 1.0, -1.0, 2.0, -2.5, 0.3, 7.0, 1e5, 1e-5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -3.0];
    on_every_device(|_| check::<f32>(&special, &[2.0, 3.0, 0.5, -1.0, 4.0], 8.0 * f64::from(f32::EPSILON)));
    on_every_device(|_| check::<f64>(&special, &[2.0, 3.0, 0.5, -1.0, 4.0], 3.0 * f64::EPSILON));
    on_every_device(|_| check::<f16>(&special, &[2.0, 3.0, 0.5, -1.0, 4.0], 0.002));
    let whole = [0.0, 1.0, 2.0, 3.0, 11.0, 15.0, 100.0];
    on_every_device(|_| check::<u8>(&whole, &[2.0, 3.0, 4.0], 0.0));
    on_every_device(|_| check::<i32>(&[0.0, -1.0, 2.0, -7.0, 46341.0, 1e9], &[2.0, 3.0, -1.0, 4.0], 0.0));
}
