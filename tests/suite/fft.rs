//! Fourier transforms: golden values of NumPy, the sum of the definition, inverses, layouts, lengths, axes, bad input.

use crate::common::{layouts, nearly, refused};
use polyarray::fft::{
    self, Norm, Over, fft, fft2, fftfreq, fftn, fftshift, hfft, ifft, ifft2, ifftn, ifftshift, ihfft, irfft, irfft2,
    irfftn, over, rfft, rfft2, rfftfreq, rfftn,
};
use polyarray::prelude::{Array, Complex, DType, Element, Error, NewAxis, axis, s, with_device};
use polyarray::with_threads;
use proptest::prelude::*;

type C64 = Complex<f64>;

fn complex<const N: usize>(numbers: [(f64, f64); N]) -> Array<C64> {
    Array::from(numbers.map(|(re, im)| Complex::new(re, im)))
}

/// Random complex numbers.
fn random(shape: &[usize], seed: u64) -> Array<C64> {
    let mut generator = polyarray::random::Generator::new(seed);
    let re = generator.normal::<f64>(shape, 0.0, 1.0).unwrap();
    let im = generator.normal::<f64>(shape, 0.0, 1.0).unwrap();
    re.zip_elements(&im, Complex::new).unwrap()
}

/// Asserts that complex arrays are equal to within a few eps of the largest element.
#[track_caller]
fn close(got: &Array<C64>, want: &Array<C64>) {
    assert_eq!(got.shape(), want.shape());
    if got.is_empty() {
        return;
    }
    let error = (got - want).abs().max().unwrap();
    let size = want.abs().max().unwrap().max(1.0);
    assert!(error <= 1e-13 * size, "{error:e}: {got:?}, not {want:?}");
}

/// The transform of a line by its definition.
fn by_definition(x: &[C64]) -> Vec<C64> {
    let n = x.len();
    let angle = |jk: usize| -2.0 * std::f64::consts::PI * (jk % n) as f64 / n as f64;
    (0..n).map(|k| (0..n).map(|j| x[j] * Complex::from_polar(1.0, angle(j * k))).sum()).collect()
}

#[test]
fn lines_of_every_length_are_the_sums_of_the_definition() {
    for n in (1..=40).chain([47, 61, 64, 97, 101, 127, 128, 211, 360, 509, 1009]) {
        let x = random(&[n], n as u64);
        let expected = Array::from_vec(by_definition(&x.to_vec().unwrap()), n).unwrap();
        close(&fft(&x, 0).unwrap(), &expected);
        let narrow = fft(&x.cast::<Complex<f32>>().eval().unwrap(), 0).unwrap();
        let error = (narrow.cast::<C64>() - &expected).abs().max().unwrap();
        assert!(error <= 2e-6 * expected.norm().unwrap(), "{n}: {error:e}");

        let real = x.real().unwrap();
        let spectrum = by_definition(&real.cast::<C64>().eval().unwrap().to_vec().unwrap());
        let half = Array::from_vec(spectrum[..n / 2 + 1].to_vec(), n / 2 + 1).unwrap();
        close(&fft(&real, 0).unwrap(), &Array::from_vec(spectrum, n).unwrap());
        close(&rfft(&real, 0).unwrap(), &half);
        let back = irfft(&half, over(0).n(n)).unwrap();
        close(&back.cast().eval().unwrap(), &real.cast().eval().unwrap());
        let narrow = real.cast::<f32>().eval().unwrap();
        let back = irfft(&rfft(&narrow, 0).unwrap(), over(0).n(n)).unwrap();
        assert!(back.allclose(&narrow, 0.0, 1e-5).unwrap(), "{n}");
    }
}

#[test]
fn results_are_those_of_numpy() {
    let x = Array::from([1.0, 2.0, -1.0, 3.0, 0.5]);
    #[rustfmt::skip]
    close(&fft(&x, -1).unwrap(), &complex([
        (5.5, 0.0), (0.15450849718747373, 0.9245562347271623), (-0.4045084971874737, -4.685903943619324),
        (-0.4045084971874737, 4.685903943619324), (0.15450849718747373, -0.9245562347271623),
    ]));
    let cut = rfft(&x, over(0).n(4).norm(Norm::Ortho)).unwrap();
    close(&cut, &complex([(2.5, 0.0), (1.0, 0.5), (-2.5, 0.0)]));
    let padded = rfft(&x, over(0).n(7).norm(Norm::Forward)).unwrap();
    #[rustfmt::skip]
    close(&padded, &complex([
        (0.7857142857142857, 0.0), (-0.09769864285495507, -0.23906348579259012),
        (0.5197344723564796, -0.06130869390159007), (-0.31489297235866737, -0.5838455344511007),
    ]));
    // The imaginary part of the first element is ignored, and for an even length that of the last one.
    let y = complex([(1.0, 5.0), (2.0, -1.0), (3.0, 2.0)]);
    nearly(&irfft(&y, 0).unwrap(), &[2.0, 0.0, 0.0, -1.0]);
    #[rustfmt::skip]
    nearly(&irfft(&y, over(0).n(5)).unwrap(), &[
        2.2, -0.6134123930658961, 0.9195661117030911, -1.072352516203133, -0.43380120243406195,
    ]);
    let line = complex([(1.0, 0.0), (2.0, -1.0), (3.0, 0.0)]);
    #[rustfmt::skip]
    nearly(&hfft(&line, over(0).n(5)).unwrap(), &[
        11.0, -4.520147021340202, -1.5575365158350514, 0.7936044933348412, -0.7159209561595878,
    ]);
    #[rustfmt::skip]
    close(&ihfft(&x, 0).unwrap(), &complex([
        (1.1, 0.0), (0.030901699437494747, -0.18491124694543248), (-0.08090169943749476, 0.9371807887238648),
    ]));
    nearly(&fftfreq::<f64>(5, 0.1).unwrap(), &[0.0, 2.0, 4.0, -4.0, -2.0]);
    nearly(&fftfreq::<f32>(6, 1.0).unwrap(), &[0.0, 1.0 / 6.0, 2.0 / 6.0, -0.5, -2.0 / 6.0, -1.0 / 6.0]);
    nearly(&rfftfreq::<f64>(6, 0.5).unwrap(), &[0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]);
    assert_eq!(fftfreq::<f64>(1, 3.0).unwrap(), Array::from([0.0]));
}

#[test]
fn results_of_several_axes_are_those_of_numpy() {
    let z =
        complex([(1.0, 1.0), (2.0, 0.0), (3.0, -1.0), (0.0, 0.0), (0.0, 1.0), (-1.0, 0.0)]).reshape([2, 3]).unwrap();
    #[rustfmt::skip]
    let expected = complex([
        (5.0, 1.0), (0.7320508075688772, 1.0), (-2.7320508075688767, 1.0),
        (7.0, -1.0), (-2.0, 3.7320508075688767), (-2.0, 0.2679491924311228),
    ]).reshape([2, 3]).unwrap();
    close(&fftn(&z, Over::all()).unwrap(), &expected);
    close(&fftn(&z, [1, 0]).unwrap(), &expected);
    close(&fft2(&z).unwrap(), &expected);
    close(&ifft2(&expected).unwrap(), &z);
    let padded = ifft(&z, over(0).n(3)).unwrap();
    let column = complex([(2.0 / 3.0, 1.0 / 3.0), (0.37799153207185376, -1.0 / 6.0), (0.9553418012614794, -1.0 / 6.0)]);
    close(&padded.slice(s![.., 1]).unwrap(), &column);
    let half = 3f64.sqrt() / 2.0;
    #[rustfmt::skip]
    let resized = complex([
        (3.0, 2.0), (-1.0, 0.0), (3.0 + half, 0.5), (-1.0 - half, 1.5), (3.0 - half, 0.5), (-1.0 + half, 1.5),
    ]).reshape([3, 2]).unwrap();
    close(&fftn(&z, Over::all().lens(&[3, 2])).unwrap(), &resized);
    close(&fftn(&z, over([0, 1]).lens(&[3, 2])).unwrap(), &resized);
    // Fewer lengths than axes are those of the last axes.
    let stack = Array::stack(&[&z, &z], 0).unwrap();
    close(&fftn(&stack, Over::all().lens(&[3, 2])).unwrap(), &resized.broadcast_to([2, 3, 2]).unwrap());
    let x = Array::<f64>::arange(0.0, 12.0, 1.0).unwrap().reshape([3, 4]).unwrap();
    let up = 8.0 * 3f64.sqrt();
    #[rustfmt::skip]
    let spectrum = complex([
        (66.0, 0.0), (-6.0, 6.0), (-6.0, 0.0),
        (-24.0, up), (0.0, 0.0), (0.0, 0.0), (-24.0, -up), (0.0, 0.0), (0.0, 0.0),
    ]).reshape([3, 3]).unwrap();
    close(&rfftn(&x, Over::all()).unwrap(), &spectrum);
    close(&rfft2(&x).unwrap(), &spectrum);
    nearly(&irfft2(&spectrum).unwrap(), &x.to_vec().unwrap());
    nearly(&irfftn(&spectrum, over([0, 1]).lens(&[3, 4])).unwrap(), &x.to_vec().unwrap());
    // No axes: the elements as complex numbers.
    close(&fftn(&x, Over::from(&[0i32; 0][..])).unwrap(), &x.cast().eval().unwrap());
    close(&ifftn(&x.slice(s![0, 0]).unwrap(), Over::all()).unwrap(), &complex([(0.0, 0.0)]).reshape(()).unwrap());
}

#[test]
fn each_axis_is_transformed_along_its_lines() {
    let x = random(&[3, 4, 5], 1);
    for along in [0, 1, 2, -1, -3] {
        let y = fft(&x, along).unwrap();
        let (lines, results) = (x.moveaxis(along, -1).unwrap(), y.moveaxis(along, -1).unwrap());
        for (line, result) in lines.rows().unwrap().zip(results.rows().unwrap()) {
            let expected = Array::from_vec(by_definition(&line.to_vec().unwrap()), line.len()).unwrap();
            close(&result, &expected);
        }
        close(&ifft(&y, along).unwrap(), &x);
    }
    let y = fftn(&x, [0, 2]).unwrap();
    close(&y, &fft(&fft(&x, 2).unwrap(), 0).unwrap());
    close(&ifftn(&y, [2, 0]).unwrap(), &x);
    assert_eq!(rfftn(&x.real().unwrap(), [2, 1]).unwrap().shape(), [3, 3, 5]);
}

#[test]
fn views_of_every_layout_give_the_same_results() {
    let x = random(&[2, 3, 4], 2);
    let (along, over_all) = (fft(&x, 1).unwrap(), fftn(&x, Over::all()).unwrap());
    for view in layouts(&x).unwrap() {
        close(&fft(&view, 1).unwrap(), &along);
        close(&fftn(&view, Over::all()).unwrap(), &over_all);
        assert_eq!(view, x, "the operand is unchanged");
    }
    let real = x.real().unwrap();
    let (half, back) = (rfft(&real, 0).unwrap(), irfft(&x, over(1).n(3)).unwrap());
    for view in layouts(&real).unwrap() {
        close(&rfft(&view, 0).unwrap(), &half);
        assert_eq!(view, real);
    }
    for view in layouts(&x).unwrap() {
        assert!(irfft(&view, over(1).n(3)).unwrap().allclose(&back, 0.0, 1e-13).unwrap());
        assert_eq!(view, x);
    }
    // Repeated lines, and a repeated element.
    let line = Array::from([1.0, 2.0, 4.0]);
    let lines = fft(&line.broadcast_to([5, 3]).unwrap(), 1).unwrap();
    close(&lines, &fft(&line, 0).unwrap().broadcast_to([5, 3]).unwrap());
    let flat = rfft(&Array::from([2.0]).broadcast_to([6]).unwrap(), 0).unwrap();
    close(&flat, &complex([(12.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]));
    // Axes of length 1.
    let column = line.slice(s![.., NewAxis]).unwrap();
    close(&fft(&column, 1).unwrap(), &column.cast().eval().unwrap());
}

#[test]
fn many_lines_do_not_depend_on_the_number_of_threads() {
    let x = random(&[70, 30, 32], 3);
    for along in [0, 1, 2] {
        let alone = with_threads(1, || fft(&x, along)).unwrap();
        for threads in [2, 3, 5] {
            assert_eq!(with_threads(threads, || fft(&x, along)).unwrap(), alone, "the same bits");
        }
    }
    let real = x.real().unwrap();
    let alone = with_threads(1, || rfftn(&real, Over::all())).unwrap();
    assert_eq!(with_threads(3, || rfftn(&real, Over::all())).unwrap(), alone);
    let back = with_threads(4, || irfftn(&alone, Over::all())).unwrap();
    assert!(back.allclose(&real, 0.0, 1e-12).unwrap());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| rfftn(&real, Over::all()).unwrap())).collect();
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), alone));
    });
}

#[test]
fn arrays_without_lines_have_empty_transforms() {
    let none = Array::<f64>::zeros([0, 3]).unwrap();
    assert_eq!(fft(&none, 1).unwrap().shape(), [0, 3]);
    assert_eq!(rfft(&none, 1).unwrap().shape(), [0, 2]);
    assert_eq!(irfft(&none, over(1).n(5)).unwrap().shape(), [0, 5]);
    // Lines without elements can be padded.
    close(&fft(&none, over(0).n(2)).unwrap(), &Array::zeros([2, 3]).unwrap());
    nearly(&irfft(&none, over(0).n(1)).unwrap(), &[0.0; 3]);
}

#[test]
fn bad_arguments_are_errors() {
    let x = Array::<f64>::ones([2, 3]).unwrap();
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    refused(fft(&x, 2), |e| matches!(e, Error::Axis { .. }), &["fft", "axis 2"]);
    refused(rfft(&x, -3), |e| matches!(e, Error::Axis { .. }), &["rfft", "axis -3"]);
    refused(fft(&Array::from_vec(vec![1.0], ()).unwrap(), -1), |e| matches!(e, Error::Axis { .. }), &["axis -1"]);
    refused(fft2(&Array::from([1.0])), |e| matches!(e, Error::Axis { .. }), &["axis -2"]);
    refused(fftn(&x, [0, -2]), |e| matches!(e, Error::RepeatedAxis { .. }), &["axis 0"]);
    refused(fft(&x, [0, 1]), |e| matches!(e, Error::OneAxis { .. }), &["2 were given"]);
    refused(ifft(&x, over(0).n(0)), argument, &["n = 0", "axis 0"]);
    refused(fft(&Array::<f64>::zeros([2, 0]).unwrap(), 1), argument, &["n = 0", "axis 1"]);
    refused(irfft(&x.slice(s![.., ..1]).unwrap(), 1), argument, &["n = 0"]);
    refused(irfft(&Array::<f64>::zeros([0]).unwrap(), 0), argument, &["n = 0"]);
    refused(fftn(&x, over([0, 1]).lens(&[2])), argument, &["[2]", "2 axes"]);
    refused(fftn(&x, Over::all().lens(&[2, 2, 2])), argument, &["2 axes"]);
    refused(fft(&x, over(0).lens(&[2, 2])), argument, &["1 axes"]);
    refused(rfftn(&x, Over::from(&[0i32; 0][..])), argument, &["at least one axis"]);
    refused(irfftn(&Array::from_vec(vec![1.0], ()).unwrap(), Over::all()), argument, &["at least one axis"]);
    refused(fftfreq::<f64>(0, 1.0), argument, &["n = 0"]);
    refused(rfftfreq::<f64>(4, 0.0), argument, &["d = 0"]);
    refused(fftfreq::<f64>(4, f64::NAN), argument, &["NaN"]);
    refused(fftshift(&x, [0, 0]), |e| matches!(e, Error::RepeatedAxis { .. }), &["fftshift"]);
    for n in [usize::MAX, isize::MAX as usize, 1 << 58, 1 << 45] {
        let too_large = |e: &Error| matches!(e, Error::TooLarge { .. } | Error::OutOfMemory { .. });
        refused(fft(&x, over(0).n(n)), too_large, &[]);
        refused(rfft(&x, over(1).n(n)), too_large, &[]);
        refused(irfft(&x, over(1).n(n)), too_large, &[]);
        refused(fftfreq::<f64>(n, 1.0), too_large, &[]);
    }
}

#[test]
fn shifts_are_rolls() {
    let x = Array::from([[0, 1, 2], [3, 4, 5]]);
    assert_eq!(fftshift(&x, [0, 1]).unwrap(), Array::from([[5, 3, 4], [2, 0, 1]]));
    assert_eq!(fftshift(&x, -1).unwrap(), Array::from([[2, 0, 1], [5, 3, 4]]));
    assert_eq!(ifftshift(&x, 1).unwrap(), Array::from([[1, 2, 0], [4, 5, 3]]));
    assert_eq!(fftshift(&Array::<bool>::zeros([0, 2]).unwrap(), [0, 1]).unwrap().shape(), [0, 2]);
    for n in 1..8 {
        let x = Array::<i64>::arange(0, n, 1).unwrap();
        assert_eq!(ifftshift(&fftshift(&x, 0).unwrap(), axis(0)).unwrap(), x);
        let sorted = fftshift(&fftfreq::<f64>(n as usize, 1.0).unwrap(), 0).unwrap();
        assert!(sorted.diff(1, 0).unwrap().greater(0.0).all().unwrap());
    }
}

#[test]
fn every_device_may_be_selected() {
    let x = Array::from([1.0f32, 2.0, 3.0, 4.0]);
    let expected = fft(&x, 0).unwrap();
    for device in crate::common::required_devices() {
        let y =
            with_device(&device, || fft(&x.cast::<f64>().eval_on(&polyarray::Device::scalar()).unwrap(), 0)).unwrap();
        assert_eq!(y.dtype(), DType::C64);
        let Ok(there) = x.to_device(&device) else { continue };
        assert_eq!(fft(&there, 0).unwrap(), expected);
        assert_eq!(irfft(&rfft(&there, 0).unwrap(), 0).unwrap(), x);
    }
}

#[test]
fn a_prime_length_is_as_accurate_as_a_power_of_two() {
    for n in [65_536, 65_537, 100_003] {
        let x = random(&[n], 7);
        let y = fft(&x, 0).unwrap();
        let error = (ifft(&y, 0).unwrap() - &x).norm().unwrap() / x.norm().unwrap();
        assert!(error < 4e-15, "{n}: {error:e}");
    }
}

fn sum_of_squares<T: Element>(x: &Array<T>) -> f64 {
    x.norm().map(|n| n.to_wide().real().powi(2)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn inverses_restore_the_operand(
        shape in prop::collection::vec(1usize..9, 1..4),
        seed in any::<u64>(),
        norm in prop::sample::select(vec![Norm::Backward, Norm::Ortho, Norm::Forward]),
    ) {
        let x = random(&shape, seed);
        let over = Over::all().norm(norm);
        let y = fft::fftn(&x, over.clone()).unwrap();
        close(&ifftn(&y, over.clone()).unwrap(), &x);
        close(&fftn(&ifftn(&x, over.clone()).unwrap(), over.clone()).unwrap(), &x);
        // Parseval: the 2-norm changes by the normalisation only.
        let factor = match norm {
            Norm::Backward => x.len() as f64,
            Norm::Ortho => 1.0,
            Norm::Forward => 1.0 / x.len() as f64,
        };
        let (before, after) = (sum_of_squares(&x), sum_of_squares(&y));
        prop_assert!((after - before * factor).abs() <= 1e-12 * after);
        // The spectrum of real numbers is the first half of the complex one.
        let real = x.real().unwrap();
        let half = rfftn(&real, over.clone()).unwrap();
        let whole = fftn(&real, over.clone()).unwrap();
        let last = shape[shape.len() - 1];
        close(&half, &whole.split_at(&[last as isize / 2 + 1], -1).unwrap()[0]);
        let back = irfftn(&half, over.clone().lens(&shape)).unwrap();
        close(&back.cast().eval().unwrap(), &real.cast().eval().unwrap());
        let line = fft::over(-1).norm(norm);
        let spectrum = hfft(&half, line.clone().n(last)).unwrap();
        let restored = ihfft(&spectrum, line).unwrap();
        // The first element of a Hermitian line is real, and the middle one of an even length.
        let mut expected = half.moveaxis(-1, 0).unwrap().to_contiguous().unwrap();
        let middle = last / 2;
        for at in [0, middle].into_iter().take(if last % 2 == 0 { 2 } else { 1 }) {
            let reals = expected.slice(s![at]).unwrap().real().unwrap();
            expected.slice_mut(s![at]).unwrap().assign(reals.cast()).unwrap();
        }
        let expected = expected.moveaxis(0, -1).unwrap();
        close(&restored, &expected);
    }

    #[test]
    fn transforms_are_linear(n in 1usize..200, seed in any::<u64>(), re in -3.0f64..3.0, im in -3.0f64..3.0) {
        let (x, y, a) = (random(&[n], seed), random(&[n], seed ^ 1), Complex::new(re, im));
        let left = fft(&(&x * a + &y).eval().unwrap(), 0).unwrap();
        let right = (fft(&x, 0).unwrap() * a + fft(&y, 0).unwrap()).eval().unwrap();
        close(&left, &right);
    }
}
