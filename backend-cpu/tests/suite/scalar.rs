//! The device `scalar` through the public interface: ufuncs, programs, products and distances. `order.rs` tests the
//! reductions.

use crate::common::Random;
use polyarray_core::distance::cdist;
use polyarray_core::{
    Array, Complex, Device, Element, Expr, IntoExpr, Metric, Result, bf16, f16, s, select, with_device,
};
use polyarray_cpu as _;

fn scalar<R>(f: impl FnOnce() -> Result<R>) -> R {
    with_device(&Device::scalar(), f).unwrap()
}

fn array<T: Element>(values: &[T]) -> Array<T> {
    Array::from_slice(values, [values.len()]).unwrap()
}

fn values<T: Element>(expr: Expr<T>) -> Vec<T> {
    scalar(|| expr.eval()?.to_vec())
}

/// Returns `op` of pairs of values.
fn on_pairs<T: Element, U: Element>(pairs: &[(T, T)], op: impl FnOnce(Expr<T>, Expr<T>) -> Expr<U>) -> Vec<U> {
    let (x, y): (Vec<T>, Vec<T>) = pairs.iter().copied().unzip();
    values(op(array(&x).into_expr(), array(&y).into_expr()))
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn integers_wrap_and_divide_by_zero_to_zero() {
    let pairs = [(i32::MIN, -1), (7, 0), (-7, 2), (7, -2), (i32::MAX, 1)];
    assert_eq!(on_pairs(&pairs, Expr::div), [i32::MIN, 0, -3, -3, i32::MAX]);
    assert_eq!(on_pairs(&pairs, Expr::add), [i32::MAX, 7, -5, 5, i32::MIN]);
    assert_eq!(on_pairs(&pairs, Expr::mul), [i32::MIN, 0, -14, -14, i32::MAX]);
    assert_eq!(on_pairs(&[(3u8, 5u8), (200, 0)], Expr::sub), [254, 200]);
    assert_eq!(on_pairs(&[(3u8, 0u8), (200, 7)], Expr::div), [0, 28]);
    assert_eq!(values(array(&[i8::MIN, -1, 5]).abs()), [i8::MIN, 1, 5]);
    assert_eq!(values(array(&[i8::MIN, -1, 5]).neg()), [i8::MIN, 1, -5]);
    assert_eq!(values(array(&[1u16, 0]).neg()), [65535, 0]);
    assert_eq!(values(array(&[300i16, -4]).square()), [24464, 16]);
    assert_eq!(values(array(&[0i64, -4]).logical_not()), [true, false]);
}

#[test]
fn integer_powers_wrap_and_truncate() {
    let pairs = [(2, 10), (3, 40), (-2, 3), (0, 0), (5, -1), (1, -7), (-1, -3), (-1, -4), (0, -2), (i32::MIN, -1)];
    assert_eq!(on_pairs(&pairs, Expr::pow), [1024, 3i32.wrapping_pow(40), -8, 1, 0, 1, -1, 1, 0, 0]);
    assert_eq!(
        on_pairs(&[(3u64, 5_000_000_000u64), (2, 63), (2, 64), (0, 0)], Expr::pow),
        [pow_mod_2_64(3, 5_000_000_000), 1 << 63, 0, 1]
    );
    assert_eq!(on_pairs(&[(-1i8, i8::MIN), (-1, i8::MAX)], Expr::pow), [1, -1]);
}

/// Computes the power by another method than the device: in 128 bits, from the most significant bit of the exponent
/// down.
fn pow_mod_2_64(base: u64, exponent: u64) -> u64 {
    (0..64).rev().fold(1, |p: u64, bit| {
        let square = (u128::from(p) * u128::from(p)) as u64;
        if exponent >> bit & 1 == 1 { (u128::from(square) * u128::from(base)) as u64 } else { square }
    })
}

#[test]
fn minimum_and_maximum_are_nan_if_either_is_and_the_second_if_equal() {
    let nan = f32::NAN;
    let pairs = [(1.0, 2.0), (2.0, 1.0), (nan, 1.0), (1.0, nan), (0.0, -0.0), (-0.0, 0.0), (f32::INFINITY, nan)];
    let min = on_pairs(&pairs, Expr::minimum);
    let max = on_pairs(&pairs, Expr::maximum);
    assert_eq!((min[0], min[1], max[0], max[1]), (1.0, 1.0, 2.0, 2.0));
    assert!([2, 3, 6].iter().all(|&i| min[i].is_nan() && max[i].is_nan()));
    for m in [min, max] {
        assert_eq!(bits(&m[4..6]), bits(&[-0.0, 0.0]));
    }
    assert_eq!(on_pairs(&[(-5i8, 3i8), (3, -5)], Expr::minimum), [-5, -5]);
    assert_eq!(on_pairs(&[(5u64, u64::MAX), (3, 3)], Expr::maximum), [u64::MAX, 3]);
}

#[test]
fn comparisons_follow_ieee() {
    let pairs = [(1.0, 2.0), (2.0, 2.0), (f64::NAN, 2.0), (f64::NAN, f64::NAN), (0.0, -0.0)];
    assert_eq!(on_pairs(&pairs, Expr::less), [true, false, false, false, false]);
    assert_eq!(on_pairs(&pairs, Expr::less_equal), [true, true, false, false, true]);
    assert_eq!(on_pairs(&pairs, Expr::greater), [false; 5]);
    assert_eq!(on_pairs(&pairs, Expr::greater_equal), [false, true, false, false, true]);
    assert_eq!(on_pairs(&pairs, Expr::equal), [false, true, false, false, true]);
    assert_eq!(on_pairs(&pairs, Expr::not_equal), [true, false, true, true, false]);
    assert_eq!(on_pairs(&[(true, false), (true, true)], Expr::equal), [false, true]);
    assert_eq!(on_pairs(&[(true, false), (true, true)], Expr::not_equal), [true, false]);
    assert_eq!(values(array(&[0.0, -0.0, f64::NAN, 1.0]).logical_not()), [true, true, false, false]);
    assert_eq!(values(array(&[true, false]).logical_not()), [false, true]);
}

#[test]
fn functions_of_f32_are_those_of_f64_rounded_once() {
    let mut random = Random::new(1);
    let x: Vec<f32> = (0..700)
        .map(|_| random.wild() as f32)
        .chain([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-42, f32::MAX])
        .collect();
    type Case = (fn(&Array<f32>) -> Expr<f32>, fn(f64) -> f64);
    let cases: [Case; 6] = [
        (Array::exp, f64::exp),
        (Array::log, f64::ln),
        (Array::sin, f64::sin),
        (Array::cos, f64::cos),
        (Array::tanh, f64::tanh),
        // The square root of an f32 has the same bits, whether computed in f32 or f64.
        (Array::sqrt, f64::sqrt),
    ];
    for (ours, exact) in cases {
        let expected: Vec<f32> = x.iter().map(|&x| exact(f64::from(x)) as f32).collect();
        for (got, want) in values(ours(&array(&x))).iter().zip(&expected) {
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{got} is not {want}");
        }
    }
    let powers = on_pairs(&[(2.0f32, 0.5), (f32::NAN, 0.0), (0.0, -1.0), (-8.0, 1.0 / 3.0)], Expr::pow);
    assert_eq!(powers[..3], [std::f32::consts::SQRT_2, 1.0, f32::INFINITY]);
    assert!(powers[3].is_nan());
    let outside = values(array(&[0.5, -1.5, -8192.0, -1e300, f64::NEG_INFINITY]).arccosh());
    assert!(outside.iter().all(|x| x.is_nan()), "{outside:?}");
}

#[test]
fn narrow_floats_are_rounded_after_each_instruction() {
    let h = f16::from_f32;
    let x = array(&[h(2048.0), h(1.0)]);
    // In f16, 2048 + 1 is a tie and rounds to 2048 (even). Without that rounding the sum would be 2050.
    assert_eq!(values(&x + h(1.0) + h(1.0)), [h(2048.0), h(3.0)]);
    assert_eq!(values(x.square()), [f16::INFINITY, h(1.0)]);
    let b = bf16::from_f32;
    let y = array(&[b(256.0), b(-0.0)]);
    assert_eq!(values(&y + b(1.0) + b(1.0)), [b(256.0), b(2.0)]);
    assert_eq!(values(y.neg()).iter().map(|x| x.to_bits()).collect::<Vec<_>>(), [b(-256.0).to_bits(), 0]);
    // `mul_add` rounds once; a product and a sum round twice: (1 + 2^-10)^2 - 1 - 2^-9 = 2^-20.
    let z = h(1.0 + 1.0 / 1024.0);
    let minus = h(-1.0 - 1.0 / 512.0);
    let z_array = array(&[z]);
    assert_eq!(values(z_array.mul_add(z, minus)), [f16::from_f64(2f64.powi(-20))]);
    assert_eq!(values(&z_array * z + minus), [h(0.0)]);
}

#[test]
fn mul_add_rounds_once() {
    let (x, y) = (1.0 + f32::EPSILON, 1.0 - f32::EPSILON);
    assert_eq!(values(array(&[x]).mul_add(y, -1.0)), [-f32::EPSILON * f32::EPSILON]);
    assert_eq!(values(&array(&[x]) * y - 1.0), [0.0]);
    let (x, y) = (1.0 + f64::EPSILON, 1.0 - f64::EPSILON);
    assert_eq!(values(array(&[x]).mul_add(y, -1.0)), [-f64::EPSILON * f64::EPSILON]);
}

#[test]
fn complex_numbers() {
    let c = Complex::<f64>::new;
    let x = array(&[c(3.0, 4.0), c(0.0, 0.0), c(-1.0, 0.0)]);
    assert_eq!(values(x.abs()), [5.0, 0.0, 1.0]);
    assert_eq!(values(x.square()), [c(-7.0, 24.0), c(0.0, 0.0), c(1.0, 0.0)]);
    assert_eq!(values(x.sqrt())[2], c(0.0, 1.0));
    assert_eq!(values(x.logical_not()), [false, true, false]);
    assert_eq!(values(x.equal(&x)), [true; 3]);
    assert_eq!(values(&x / c(0.0, 2.0))[0], c(2.0, -1.5));
    assert!((values(x.log())[2] - c(0.0, std::f64::consts::PI)).norm() < 1e-15);
    assert!((values(x.log().exp())[0] - c(3.0, 4.0)).norm() < 1e-14);
    // The squares of the large and of the small parts exceed the range of f32.
    let big = array(&[Complex::<f32>::new(1e30, 1e30), Complex::<f32>::new(1e-30, -1e-30)]);
    assert_eq!(values(&big / &big), [Complex::new(1.0, 0.0); 2]);
    assert_eq!(values(big.abs())[0], 1e30f32.hypot(1e30));
    let by_zero = values(&array(&[c(1.0, -1.0)]) / c(0.0, 0.0))[0];
    assert_eq!(by_zero, c(f64::INFINITY, f64::NEG_INFINITY));
}

#[test]
fn casts_and_selects() {
    let x = array(&[-1.9f64, f64::NAN, 1e30, 300.0]);
    assert_eq!(values(x.cast::<u8>()), [0, 0, 255, 255]);
    assert_eq!(values(x.cast::<i64>()), [-1, 0, i64::MAX, 300]);
    assert_eq!(values(x.cast::<bool>()), [true; 4]);
    assert_eq!(values(array(&[-1i32, 256]).cast::<u8>()), [255, 0]);
    assert_eq!(values(array(&[Complex::<f32>::new(2.5, 9.0)]).cast::<i16>()), [2]);
    let condition = x.less(0.0);
    assert_eq!(values(select(condition, array(&[1i8, 2, 3, 4]), 9)), [1, 9, 9, 9]);
}

#[test]
fn programs_run_alike_whatever_the_strips_and_strides() {
    for n in [1usize, 2, 255, 256, 257, 700] {
        let x = scalar(|| Array::from_fn([3, n], |ix| (ix[0] * n + ix[1]) as f64));
        let row = scalar(|| Array::from_fn([n], |ix| ix[0] as f64 * 0.5));
        let expected = |i: usize, j: usize| ((i * n + j) as f64 * 2.0 + j as f64 * 0.5).sqrt();
        let plain = scalar(|| (&x * 2.0 + &row).sqrt().eval());
        let backwards = scalar(|| (&x.slice(s![..;-1, ..;-1])? * 2.0 + &row.slice(s![..;-1])?).sqrt().eval());
        let transposed = scalar(|| (&x.t() * 2.0 + &row.expand_dims(1)?).sqrt().eval());
        for i in 0..3 {
            for j in 0..n {
                assert_eq!(plain.get([i, j]).unwrap(), expected(i, j));
                assert_eq!(backwards.get([2 - i, n - 1 - j]).unwrap(), expected(i, j));
                assert_eq!(transposed.get([j, i]).unwrap(), expected(i, j));
            }
        }
    }
}

#[test]
fn results_go_where_they_are_put_and_nowhere_else() {
    scalar(|| {
        let mut x = Array::from_fn([4, 600], |ix| (ix[0] * 600 + ix[1]) as i32)?;
        let before = x.to_vec()?;
        let ten = Array::full([2, 300], 10)?;
        x.slice_mut(s![1..3, ..;-2])?.assign(&ten * 3)?;
        for (at, (&now, &was)) in x.to_vec()?.iter().zip(&before).enumerate() {
            let inside = (1..3).contains(&(at / 600)) && at % 600 % 2 == 1;
            assert_eq!(now, if inside { 30 } else { was }, "element {at}");
        }
        // The output is also an input, in one strip and in several.
        let copy = x.to_vec()?;
        x *= &(&x.flatten()?.reshape([4, 600])? + 1);
        assert_eq!(x.to_vec()?, copy.iter().map(|&v| v * (v + 1)).collect::<Vec<_>>());
        x += 1;
        assert_eq!(x.get([3, 599])?, 2399 * 2400 + 1);
        Ok(())
    });
}

#[test]
fn seven_inputs_and_sixty_four_steps() {
    let arrays: Vec<Array<f64>> = (0..7).map(|i| array(&vec![f64::from(i); 300])).collect();
    let mut sum = (&arrays[0]).into_expr();
    for (i, a) in arrays.iter().cycle().take(52).enumerate() {
        sum = sum + a;
        if i % 8 == 7 {
            sum = sum.square().sqrt();
        }
    }
    let expected: f64 = (0..52).map(|i| f64::from(i % 7)).sum();
    assert_eq!(values(sum), vec![expected; 300]);
}

/// Computes `[m, k] @ [k, n]` in C order, by definition.
fn naive(a: &[f64], b: &[f64], [m, k, n]: [usize; 3]) -> Vec<f64> {
    (0..m * n).map(|c| (0..k).map(|p| a[c / n * k + p] * b[p * n + c % n]).sum()).collect()
}

#[test]
fn products_of_matrices() {
    let mut random = Random::new(2);
    for [m, k, n] in [[1, 1, 1], [2, 3, 4], [5, 300, 2], [3, 2, 700], [17, 19, 23]] {
        let a: Vec<f64> = (0..m * k).map(|_| random.uniform()).collect();
        let b: Vec<f64> = (0..k * n).map(|_| random.uniform()).collect();
        let expected = naive(&a, &b, [m, k, n]);
        let (x, y) = (Array::from_slice(&a, [m, k]).unwrap(), Array::from_slice(&b, [k, n]).unwrap());
        let close = |got: Vec<f64>, eps: f64| got.iter().zip(&expected).all(|(g, e)| (g - e).abs() <= k as f64 * eps);
        assert!(close(scalar(|| x.matmul(&y)?.to_vec()), f64::EPSILON));
        assert!(close(scalar(|| x.t().to_contiguous()?.t().matmul(&y.to_f_order()?)?.to_vec()), f64::EPSILON));
        let backwards = scalar(|| x.slice(s![.., ..;-1])?.matmul(&y.slice(s![..;-1])?)?.to_vec());
        assert!(close(backwards, f64::EPSILON));
        let single =
            scalar(|| x.cast::<f32>().eval()?.matmul(&y.cast::<f32>().eval()?)?.cast::<f64>().eval()?.to_vec());
        assert!(close(single, 4.0 * f64::from(f32::EPSILON)));
        let half = scalar(|| x.cast::<f16>().eval()?.matmul(&y.cast::<f16>().eval()?)?.cast::<f64>().eval()?.to_vec());
        assert!(close(half, 4.0 / 1024.0));
    }
}

#[test]
fn sums_of_products_lose_nothing_that_counts() {
    // In plain f64, 1e16 + 1 - 1e16 loses the 1.
    let a = scalar(|| Array::from_vec(vec![1e16, 1.0, -1e16], [1, 3]));
    let ones = scalar(|| Array::full([3, 1], 1.0));
    assert_eq!(scalar(|| a.matmul(&ones)?.item()), 1.0);
    let c = scalar(|| a.cast::<Complex<f64>>().eval()?.matmul(&ones.cast::<Complex<f64>>().eval()?)?.item());
    assert_eq!(c, Complex::new(1.0, 0.0));
    let f = scalar(|| Array::from_vec(vec![1e8f32, 1.0, -1e8], [1, 3])?.matmul(&Array::full([3, 1], 1.0f32)?)?.item());
    assert_eq!(f, 1.0);
    let infinite = scalar(|| Array::from_vec(vec![f64::INFINITY, 1.0, 2.0], [1, 3])?.matmul(&ones)?.item());
    assert_eq!(infinite, f64::INFINITY);
}

#[test]
fn batches_broadcast_and_other_dtypes_multiply() {
    scalar(|| {
        let a = Array::from_fn([4, 1, 2, 3], |ix| (ix[0] * 6 + ix[2] * 3 + ix[3]) as i64)?;
        let b = Array::from_fn([5, 3, 2], |ix| (ix[0] * 6 + ix[1] * 2 + ix[2]) as i64)?;
        let c = a.matmul(&b)?;
        assert_eq!(c.shape(), [4, 5, 2, 2]);
        for ix in [[0, 0, 0, 0], [3, 4, 1, 1], [2, 1, 0, 1]] {
            let expected: i64 =
                (0..3).map(|k| a.get([ix[0], 0, ix[2], k]).unwrap() * b.get([ix[1], k, ix[3]]).unwrap()).sum();
            assert_eq!(c.get(ix)?, expected);
        }
        let wraps = Array::from_vec(vec![100u8, 100], [1, 2])?;
        assert_eq!(wraps.matmul(&wraps.t())?.item()?, (20000u32 % 256) as u8);
        let i = Complex::new(0.0f32, 1.0);
        let z = Array::from_vec(vec![i, Complex::new(1.0, 1.0)], [1, 2])?;
        assert_eq!(z.matmul(&z.t())?.item()?, i * i + Complex::new(1.0, 1.0) * Complex::new(1.0, 1.0));
        Ok(())
    });
}

#[test]
fn what_follows_a_product_is_done_in_the_same_pass() {
    scalar(|| {
        let a = Array::from_fn([3, 2], |ix| ix[0] as f32 - ix[1] as f32)?;
        let b = Array::from_fn([2, 400], |ix| ix[0] as f32 + ix[1] as f32)?;
        let bias = Array::from_fn([400], |ix| ix[0] as f32)?;
        let fused = polyarray_core::Matmul::new(&a, &b).bias(&bias).map(|e| e.maximum(0.0)).run()?;
        let apart = (&a.matmul(&b)? + &bias).maximum(0.0).eval()?;
        assert_eq!(fused.to_vec()?, apart.to_vec()?);
        assert!(fused.to_vec()?.contains(&0.0) && fused.get([2, 399])? > 0.0);
        Ok(())
    });
}

#[test]
fn distances_by_definition() {
    let mut random = Random::new(3);
    let (n, m, d) = (4, 300, 270);
    let x: Vec<f64> = (0..n * d).map(|_| random.uniform()).collect();
    let y: Vec<f64> = (0..m * d).map(|_| random.uniform()).collect();
    let expected = |metric: Metric, i: usize, j: usize| {
        let pairs = || x[i * d..][..d].iter().zip(&y[j * d..][..d]);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let squared: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
        match metric {
            Metric::Euclidean => squared.sqrt(),
            Metric::SquaredEuclidean => squared,
            Metric::Cityblock => pairs().map(|(a, b)| (a - b).abs()).sum(),
            Metric::Cosine => {
                let (a, b) = (&x[i * d..][..d], &y[j * d..][..d]);
                1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
            }
            other => unreachable!("{other:?} is not among the metrics below"),
        }
    };
    let (xs, ys) = (Array::from_slice(&x, [n, d]).unwrap(), Array::from_slice(&y, [m, d]).unwrap());
    for metric in [Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cityblock, Metric::Cosine] {
        let double = scalar(|| cdist(&xs, &ys, metric));
        let strided = scalar(|| cdist(&xs.to_f_order()?, &ys.slice(s![..;-1])?, metric));
        let single = scalar(|| cdist(&xs.cast::<f32>().eval()?, &ys.cast::<f32>().eval()?, metric));
        let half = scalar(|| cdist(&xs.cast::<f16>().eval()?, &ys.cast::<f16>().eval()?, metric));
        for (i, j) in [(0, 0), (3, 299), (2, 256), (1, 255)] {
            let want = expected(metric, i, j);
            assert!((double.get([i, j]).unwrap() - want).abs() <= 1e-13 * want, "{metric:?}");
            assert_eq!(strided.get([i, m - 1 - j]).unwrap(), double.get([i, j]).unwrap());
            assert!((f64::from(single.get([i, j]).unwrap()) - want).abs() <= 1e-6 * want);
            assert!((f64::from(half.get([i, j]).unwrap()) - want).abs() <= 4e-3 * want);
        }
    }
}

#[test]
fn a_vector_of_zeros_has_no_direction() {
    let x = scalar(|| Array::from_vec(vec![0.0f32, 0.0, 1.0, 2.0], [2, 2]));
    let d = scalar(|| cdist(&x, &x, Metric::Cosine)?.to_vec());
    assert!(d[..3].iter().all(|d| d.is_nan()));
    assert!(d[3].abs() < 1e-7);
}

#[test]
fn duplicates_far_from_the_origin_keep_their_distance() {
    let far = 1e6f32;
    let x = scalar(|| Array::from_vec(vec![far, far, far + 0.5, far, far, far], [3, 2]));
    assert_eq!(scalar(|| cdist(&x, &x, Metric::Euclidean)?.to_vec()), [0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0, 0.5, 0.0]);
}
