//! Operations along lines: differences, integrals, convolutions and running extrema, with results known from NumPy 2.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::prelude::*;
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

fn array<T: Element>(data: &[T]) -> Array<T> {
    Array::from_slice(data, [data.len()]).unwrap()
}

#[test]
fn differences_along_any_axis() {
    on_every_device(|_| {
        for x in layouts(&Array::from_vec(vec![1.0, 2.0, 4.0, 0.0, -1.0, 3.0], [2, 3])?)? {
            assert_eq!(x.diff(1, 0)?.to_vec()?, [-1.0, -3.0, -1.0]);
            assert_eq!(x.diff(1, -1)?.to_vec()?, [1.0, 2.0, -1.0, 4.0]);
            assert_eq!(x.diff(2, 1)?.to_vec()?, [1.0, 5.0]);
            assert_eq!((x.diff(3, 1)?.shape(), x.diff(usize::MAX, 0)?.shape()), (&[2, 0][..], &[0, 3][..]));
            assert_eq!(x.diff(0, 0)?.to_vec()?, x.to_vec()?);
            assert_eq!(x.ediff1d()?.to_vec()?, [1.0, 2.0, -4.0, -1.0, 4.0]);
        }
        assert_eq!(array(&[1u8, 0]).diff(1, 0)?.to_vec()?, [255]);
        assert_eq!(array(&[true, true, false]).diff(1, 0)?.to_vec()?, [false, true]);
        assert_eq!(array(&[true, true, false]).diff(2, 0)?.to_vec()?, [true]);
        assert_eq!((array::<f64>(&[]).ediff1d()?.len(), Array::full((), 1.0)?.ediff1d()?.len()), (0, 0));
        Ok(())
    });
    refused(array(&[1]).diff(1, 1), |e| matches!(e, Error::Axis { .. }), &["diff"]);
}

#[test]
fn integrals() {
    on_every_device(|_| {
        for y in layouts(&Array::from_vec(vec![1.0, 2.0, 4.0, 0.0, -1.0, 3.0], [2, 3])?)? {
            assert_eq!(y.trapezoid(0.5, 1)?.to_vec()?, [2.25, 0.25]);
            assert_eq!(y.trapezoid(1.0, 0)?.to_vec()?, [0.5, 0.5, 3.5]);
            assert_eq!(y.trapezoid_at(&array(&[0.0, 1.0, 4.0]), 1)?.to_vec()?, [10.5, 2.5]);
            let x = Array::from_vec(vec![0.0, 1.0, 4.0, 1.0, 2.0, 2.0], [2, 3])?;
            assert_eq!(y.trapezoid_at(&x, -1)?.to_vec()?, [10.5, -0.5]);
        }
        assert_eq!(array(&[1i32, 2]).trapezoid(1.0, 0)?.item()?, 1.5);
        // The distance is not rounded to a half float, which would be infinite.
        let small = array(&[f16::from_f32(0.0009765625); 2]);
        assert_eq!(small.trapezoid(1e5, 0)?.item()?, f16::from_f32(97.65625));
        assert_eq!(array(&[60000.0, 60000.0].map(f16::from_f64)).trapezoid(0.5, 0)?.item()?.to_f64(), 30000.0);
        let z = array(&[Complex::new(1.0f64, 2.0), Complex::new(3.0, 0.0)]);
        assert_eq!(z.trapezoid(1.0, 0)?.item()?, Complex::new(2.0, 1.0));
        assert_eq!(array(&[5.0f64]).trapezoid(1.0, 0)?.item()?, 0.0);
        assert_eq!(Array::<f64>::zeros([0, 2])?.trapezoid(1.0, 0)?.to_vec()?, [0.0, 0.0]);
        assert_eq!(Array::<f64>::zeros([0, 2])?.trapezoid_at(&array(&[]), 0)?.to_vec()?, [0.0, 0.0]);
        Ok(())
    });
    let y = Array::<f64>::ones([2, 3]).unwrap();
    refused(y.trapezoid_at(&array(&[1.0; 2]), 1), |e| matches!(e, Error::Shapes { .. }), &["[2, 3]", "[2]"]);
    refused(y.trapezoid(1.0, 2), |e| matches!(e, Error::Axis { .. }), &["trapezoid"]);
}

const LONG: [f64; 7] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
const SHORT: [f64; 4] = [0.5, -1.0, 2.0, 4.0];

#[test]
fn convolutions_are_those_of_numpy() {
    use Overlap::*;
    on_every_device(|_| {
        for (a, b) in layouts(&array(&LONG))?.iter().zip(layouts(&array(&SHORT))?.iter().rev()) {
            let b3 = &b.slice(s![..3])?;
            let full = [0.5, 0.0, 1.5, 7.0, 12.5, 18.0, 23.5, 25.0, 38.0, 28.0];
            for (x, y) in [(a, b), (b, a)] {
                assert_eq!(x.convolve(y, Full)?.to_vec()?, full);
                assert_eq!(x.convolve(y, Same)?.to_vec()?, full[1..8]);
                assert_eq!(x.convolve(y, Valid)?.to_vec()?, full[3..7]);
            }
            let full = [0.5, 0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 5.0, 14.0];
            assert_eq!(a.convolve(b3, Full)?.to_vec()?, full);
            assert_eq!(a.convolve(b3, Same)?.to_vec()?, full[1..8]);
            let full = [4.0, 10.0, 15.0, 20.5, 26.0, 31.5, 37.0, 10.5, -4.0, 3.5];
            assert_eq!(a.correlate(b, Full)?.to_vec()?, full);
            assert_eq!(a.correlate(b, Same)?.to_vec()?, full[1..8]);
            assert_eq!(a.correlate(b, Valid)?.to_vec()?, full[3..7]);
            let full = [3.5, -4.0, 10.5, 37.0, 31.5, 26.0, 20.5, 15.0, 10.0, 4.0];
            assert_eq!(b.correlate(a, Full)?.to_vec()?, full);
            assert_eq!(b.correlate(a, Same)?.to_vec()?, full[2..9]);
            assert_eq!(b.correlate(a, Valid)?.to_vec()?, full[3..7]);
            let full = [3.5, -4.0, 10.5, 9.0, 7.5, 6.0, 4.5, 3.0, 2.0];
            assert_eq!(b3.correlate(a, Full)?.to_vec()?, full);
            assert_eq!(b3.correlate(a, Same)?.to_vec()?, full[1..8]);
        }
        let f32s = array(&LONG.map(|x| x as f32)).convolve(&array(&SHORT.map(|x| x as f32)), Full)?;
        assert_eq!(f32s.to_vec()?[..3], [0.5, 0.0, 1.5]);
        Ok(())
    });
}

#[test]
fn convolutions_of_other_numbers() {
    use Overlap::*;
    on_every_device(|_| {
        let c = Complex::new;
        let (x, y) = (array(&[c(1.0, 1.0), c(2.0, 0.0)]), array(&[c(0.0, 1.0), c(3.0, 0.0), c(1.0, -1.0)]));
        assert_eq!(x.convolve(&y, Full)?.to_vec()?, [c(-1.0, 1.0), c(3.0, 5.0), c(8.0, 0.0), c(2.0, -2.0)]);
        assert_eq!(x.correlate(&y, Full)?.to_vec()?, [c(0.0, 2.0), c(5.0, 5.0), c(7.0, -1.0), c(0.0, -2.0)]);
        assert_eq!(y.correlate(&x, Same)?.to_vec()?, [c(0.0, 2.0), c(7.0, 1.0), c(5.0, -5.0)]);
        // Elements that do not exist are not zeros.
        let full = array(&[1.0, 2.0, 3.0]).convolve(&array(&[INF, 1.0, NAN]), Full)?.to_vec()?;
        assert!(full[0] == INF && full[1] == INF && full[2..].iter().all(|x| x.is_nan()), "{full:?}");
        assert_eq!(array(&[-0.0f64]).convolve(&array(&[1.0, 0.0]), Full)?.get([1])?.to_bits(), (-0.0f64).to_bits());
        assert_eq!(array(&[200u8, 100]).convolve(&array(&[2, 1]), Full)?.to_vec()?, [144, 144, 100]);
        assert_eq!(array(&[3]).convolve(&array(&[4]), Same)?.to_vec()?, [12]);
        let halves = array(&[60000.0, -60000.0].map(f16::from_f64));
        assert_eq!(halves.convolve(&array(&[2.0, 2.0].map(f16::from_f64)), Valid)?.item()?.to_f64(), 0.0);
        Ok(())
    });
    let (x, empty) = (array(&[1.0, 2.0]), array::<f64>(&[]));
    refused(x.convolve(&empty, Full), |e| matches!(e, Error::Empty { .. }), &["convolve"]);
    refused(empty.correlate(&x, Valid), |e| matches!(e, Error::Empty { .. }), &["correlate"]);
    refused(x.convolve(&x.expand_dims(0).unwrap(), Full), |e| matches!(e, Error::Shapes { .. }), &["[2]", "[1, 2]"]);
    refused(array(&[true]).convolve(&array(&[true]), Full), |e| matches!(e, Error::DTypeUndefined { .. }), &["bool"]);
    // Views repeat one element, so that their lengths may be those of no memory.
    let endless = Array::full([1], 1u8).unwrap().broadcast_to([isize::MAX as usize]).unwrap();
    assert!(endless.convolve(&endless, Full).is_err() && endless.correlate(&endless, Same).is_err());
}

/// Lines of every length, on each device and by core itself: with few weights the sums are those of one product after
/// another, bit by bit. With more, the order depends on the device, so the numbers are integers, whose sums are exact.
#[test]
fn convolutions_of_every_length_have_the_bits_of_a_loop() {
    fn check<T: Element>(n: usize, m: usize, of: impl Fn(usize) -> T, add: impl Fn(T, T, T) -> T, zero: T) {
        let (x, y): (Vec<T>, Vec<T>) = ((0..n).map(&of).collect(), (0..m).map(|j| of(3 * j + 1)).collect());
        let at = |i: usize| {
            // The weights in reverse order, as the shorter line passes over the longer one.
            let js = (0..m).rev().filter(|&j| j <= i && i - j < n);
            js.fold(zero, |sum, j| add(sum, x[i - j], y[j]))
        };
        let want: Vec<T> = (0..n + m - 1).map(at).collect();
        let (x, y) = (array(&x), array(&y));
        let same = |got: Array<T>, want: &[T]| {
            assert_eq!(got.to_vec().unwrap(), want, "{} {n} {m}", T::DTYPE);
        };
        same(x.convolve(&y, Overlap::Full).unwrap(), &want);
        same(x.convolve(&y, Overlap::Valid).unwrap(), &want[m - 1..n]);
        if n > m {
            same(y.convolve(&x, Overlap::Full).unwrap(), &want);
        }
        for x in layouts(&x).unwrap() {
            same(x.convolve(&y, Overlap::Full).unwrap(), &want);
        }
    }
    let lengths =
        [(1, 1), (7, 7), (40, 9), (300, 64), (5000, 5), (5000, 6), (5000, 8), (5000, 9), (70_000, 31), (9000, 130)];
    for device in [Device::auto(), Device::scalar()].into_iter().chain(Device::named("simd").ok()) {
        with_device(&device, || {
            for (n, m) in lengths {
                let wave = |i: usize| {
                    let x = (i as f64 * 0.7).sin() * 3.0;
                    if m > 8 { (x * 9.0).round() } else { x }
                };
                check::<f64>(n, m, wave, |sum, x, y| sum + x * y, -0.0);
                check::<f32>(n, m, |i| wave(i) as f32, |sum, x, y| sum + x * y, -0.0);
                check::<u8>(n, m, |i| (i * 37) as u8, |sum, x, y| sum.wrapping_add(x.wrapping_mul(y)), 0);
                check::<i64>(n, m, |i| (i as i64) << 40, |sum, x, y| sum.wrapping_add(x.wrapping_mul(y)), 0);
                let complex = |i: usize| Complex::new(wave(i), wave(i + 5));
                check(n, m, complex, |sum, x, y| sum + x * y, Complex::new(-0.0, -0.0));
            }
        });
    }
}

#[test]
fn running_extrema() {
    on_every_device(|_| {
        for x in layouts(&Array::from_vec(vec![3.0, 1.0, 4.0, -0.0, NAN, 9.0], [2, 3])?)? {
            nearly(&x.cummax(1)?, &[3.0, 3.0, 4.0, 0.0, NAN, NAN]);
            nearly(&x.cummin(0)?, &[3.0, 1.0, 4.0, 0.0, NAN, 4.0]);
        }
        assert_eq!(array(&[0i8, 5, -128, 127]).cummax(0)?.to_vec()?, [0, 5, 5, 127]);
        assert_eq!(array(&[u64::MAX, 1, 2]).cummin(0)?.to_vec()?, [u64::MAX, 1, 1]);
        assert_eq!(array(&[0u64, u64::MAX, 1]).cummax(0)?.to_vec()?, [0, u64::MAX, u64::MAX]);
        assert_eq!(array(&[false, true, false]).cummax(0)?.to_vec()?, [false, true, true]);
        assert_eq!(array(&[1.5, 1.0].map(bf16::from_f64)).cummin(0)?.to_vec()?, [1.5, 1.0].map(bf16::from_f64));
        assert_eq!(array(&[-INF, -1.0]).cummax(0)?.to_vec()?, [-INF, -1.0]);
        assert_eq!((array(&[1, 3, 2]) * 2).cummax(0)?.to_vec()?, [2, 6, 6]);
        assert_eq!(Array::<f32>::zeros([0, 2])?.cummax(0)?.shape(), [0, 2]);
        Ok(())
    });
    let z = array(&[Complex::new(1.0, 0.0), Complex::new(0.0, 0.0)]);
    refused(z.cummax(0), |e| matches!(e, Error::DTypeUndefined { .. }), &["cummax", "c64"]);
    refused(array(&[1]).cummin(1), |e| matches!(e, Error::Axis { .. }), &["cummin"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn convolutions_and_extrema_agree_with_loops(
        a in prop::collection::vec(-99..99i64, 1..70),
        b in prop::collection::vec(-99..99i64, 1..70),
    ) {
        let (n, m) = (a.len(), b.len());
        let at = |i: usize| (0..m).filter(|&j| j <= i && i - j < n).map(|j| a[i - j] * b[j]).sum::<i64>();
        let want: Vec<i64> = (0..n + m - 1).map(at).collect();
        let running = |f: fn(i64, i64) -> i64| -> Vec<i64> {
            (1..=n).map(|end| a[..end].iter().copied().reduce(f).expect("at least one element")).collect()
        };
        let (x, y) = (array(&a), array(&b));
        on_every_device(|_| {
            assert_eq!(x.convolve(&y, Overlap::Full)?.to_vec()?, want);
            let long = n.max(m);
            assert_eq!(x.convolve(&y, Overlap::Valid)?.to_vec()?, want[n.min(m) - 1..long]);
            assert_eq!(x.convolve(&y, Overlap::Same)?.len(), long);
            let reversed = y.slice(s![..;-1])?;
            assert_eq!(x.correlate(&reversed, Overlap::Full)?.to_vec()?, want);
            assert_eq!((x.cummin(0)?.to_vec()?, x.cummax(0)?.to_vec()?), (running(i64::min), running(i64::max)));
            Ok(())
        });
    }
}
