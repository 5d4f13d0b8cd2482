//! Ufuncs that are composed of others.

use crate::common::on_every_device;
use polyarray::prelude::*;
use polyarray::{Composed, DType, DynArray, DynExpr, Scalar, Wide, bf16, f16, fuse};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const LN_2: f64 = std::f64::consts::LN_2;

fn apply<T: Element>(op: Composed, x: &Array<T>, y: &Array<T>) -> Expr<T> {
    x.into_expr().composed(op, (op.operands() == 2).then(|| y.into_expr()))
}

/// Returns `n` numbers of the function's domain, spread evenly, in another order for each `step`.
fn points(op: Composed, n: usize, step: usize) -> Vec<f32> {
    let (low, high) = op.info().domain;
    (0..n).map(|i| (low + (high - low) * (i * step % n) as f64 / n as f64) as f32).collect()
}

/// f32 is compared with the same function of the same numbers in f64, whose own error is negligible.
#[test]
fn errors_are_within_the_bounds() -> Result<()> {
    const N: usize = 10_007;
    for &op in Composed::ALL {
        let (x, y) = (points(op, N, 3571), points(op, N, 2341));
        let wide = |v: &[f32]| Array::from_vec(v.iter().map(|&v| f64::from(v)).collect(), [N]);
        let exact = with_device(&Device::scalar(), || apply(op, &wide(&x)?, &wide(&y)?).eval())?.to_vec()?;
        let (x, y) = (Array::from_vec(x, [N])?, Array::from_vec(y, [N])?);
        on_every_device(|device| {
            let on_gpu = device.memory() != polyarray::MemoryId::HOST;
            let bound = if on_gpu { op.info().ulp_gpu } else { op.info().ulp_cpu };
            let got = apply(op, &x, &y).eval()?.to_vec()?;
            for (i, (got, exact)) in got.iter().zip(&exact).enumerate() {
                let ulp =
                    f64::from(f32::EPSILON) * 2f64.powf(exact.abs().log2().floor()).max(f64::from(f32::MIN_POSITIVE));
                let error = (f64::from(*got) - exact).abs() / ulp;
                // Half an ULP is lost when the exact value is rounded.
                let (x, y, name) = (x.get([i])?, y.get([i])?, op.info().name);
                assert!(error <= bound + 0.5, "{name} of {x} and {y} on {device}: {got}, not {exact} ({error} ULP)");
            }
            Ok(())
        });
    }
    Ok(())
}

/// Values of NumPy and of scipy.special.log_expit.
#[test]
fn special_values_are_those_of_numpy() -> Result<()> {
    let two: [(Composed, &[[f64; 3]]); 4] = [
        (
            Composed::Remainder,
            &[
                [5.5, 2.0, 1.5],
                [-5.5, 2.0, 0.5],
                [5.5, -2.0, -0.5],
                [-5.5, -2.0, -1.5],
                [4.0, -2.0, -0.0],
                [-4.0, 2.0, 0.0],
                [-1.0, INF, INF],
                [1.0, INF, 1.0],
                [1.0, -INF, -INF],
                [INF, 2.0, NAN],
                [1.0, 0.0, NAN],
                [-0.0, 3.0, 0.0],
                [0.0, -3.0, -0.0],
                [NAN, 1.0, NAN],
            ],
        ),
        (
            Composed::Logaddexp,
            &[
                [0.0, 0.0, LN_2],
                [1.0, 2.0, 2.313261687518223],
                [-INF, -INF, -INF],
                [INF, INF, INF],
                [INF, -INF, INF],
                [-INF, 3.0, 3.0],
                [1000.0, 1000.0, 1000.6931471805599],
                [-1000.0, -1001.0, -999.6867383124818],
                [NAN, 1.0, NAN],
                [1.0, NAN, NAN],
            ],
        ),
        (
            Composed::Logaddexp2,
            &[
                [0.0, 0.0, 1.0],
                [1.0, 2.0, 2.584962500721156],
                [-INF, -INF, -INF],
                [INF, INF, INF],
                [5000.0, 5000.0, 5001.0],
                [NAN, 1.0, NAN],
            ],
        ),
        (
            Composed::Heaviside,
            &[
                [-1.5, 0.5, 0.0],
                [0.0, 0.5, 0.5],
                [-0.0, 0.25, 0.25],
                [2.0, 0.5, 1.0],
                [NAN, 0.5, NAN],
                [0.0, NAN, NAN],
                [INF, 0.5, 1.0],
                [-INF, NAN, 0.0],
            ],
        ),
    ];
    let one: [(Composed, &[[f64; 2]]); 5] = [
        (
            Composed::Softplus,
            &[[-1000.0, 0.0], [-1.0, 0.31326168751822286], [0.0, LN_2], [1000.0, 1000.0], [INF, INF], [NAN, NAN]],
        ),
        (
            Composed::LogSigmoid,
            &[
                [-1000.0, -1000.0],
                [-1.0, -1.3132616875182228],
                [40.0, -4.248354255291589e-18],
                [-INF, -INF],
                [NAN, NAN],
            ],
        ),
        (
            Composed::Sinc,
            &[
                [0.0, 1.0],
                [0.5, std::f64::consts::FRAC_2_PI],
                [-1.5, -0.2122065907891938],
                [2.25, 0.10003514623967844],
                [1e-20, 1.0],
                [3.0, 0.0],
                [1e300, 0.0],
                [INF, NAN],
                [NAN, NAN],
            ],
        ),
        (Composed::Deg2rad, &[[180.0, std::f64::consts::PI], [-90.0, -std::f64::consts::FRAC_PI_2], [INF, INF]]),
        (Composed::Rad2deg, &[[std::f64::consts::PI, 180.0], [-0.0, -0.0], [NAN, NAN]]),
    ];
    on_every_device(|device| {
        let check = |op: Composed, args: &[f64], want: f64| -> Result<()> {
            let arrays: Vec<_> = args.iter().map(|&v| Array::from_vec(vec![v], [1])).collect::<Result<_>>()?;
            let got = apply(op, &arrays[0], arrays.last().expect("an operand")).eval()?.item()?;
            let same = got == want && got.is_sign_negative() == want.is_sign_negative()
                || got.is_nan() && want.is_nan()
                || want != 0.0 && (got - want).abs() <= 4.0 * f64::EPSILON * want.abs()
                // At the zeros of sinc: the error is absolute.
                || op == Composed::Sinc && (got - want).abs() < f64::EPSILON;
            assert!(same, "{} of {args:?} on {device}: {got:?}, not {want:?}", op.info().name);
            Ok(())
        };
        for (op, rows) in two {
            rows.iter().try_for_each(|&[x, y, want]| check(op, &[x, y], want))?;
        }
        for (op, rows) in one {
            rows.iter().try_for_each(|&[x, want]| check(op, &[x], want))?;
        }
        Ok(())
    });
    Ok(())
}

#[test]
fn remainders_of_integers_have_the_sign_of_the_divisor() -> Result<()> {
    on_every_device(|device| {
        let x: Vec<i32> = (-40..40).chain([i32::MIN, i32::MIN, i32::MAX]).collect();
        let y: Vec<i32> = (0..80).map(|i| i * 7 % 23 - 11).chain([-1, 3, -10]).collect();
        let floored = |(&x, &y): (&i32, &i32)| {
            let (x, y) = (i64::from(x), i64::from(y));
            if y == 0 { 0 } else { (x - y * (x as f64 / y as f64).floor() as i64) as i32 }
        };
        let want: Vec<i32> = x.iter().zip(&y).map(floored).collect();
        let n = x.len();
        let (a, b) = (Array::from_vec(x, [n])?, Array::from_vec(y, [n])?);
        assert_eq!(a.remainder(&b).eval()?.to_vec()?, want, "{device}");
        Ok(())
    });
    let x = Array::from_vec(vec![7u8, 255, 3, 9], [4])?;
    assert_eq!(x.remainder(&Array::from_vec(vec![4u8, 16, 0, 200], [4])?).eval()?.to_vec()?, [3, 15, 0, 9]);
    Ok(())
}

#[test]
fn half_floats_are_rounded_once() -> Result<()> {
    fn check<T: Element>() -> Result<()> {
        let values: Vec<T> = (0..200).map(|i| T::from_wide(Wide::Float(f64::from(i) * 0.11 - 11.0))).collect();
        let x = Array::from_vec(values, [200])?;
        for &op in Composed::ALL.iter().filter(|op| op.info().kinds.contains(T::DTYPE)) {
            let wide: Array<f32> = x.cast::<f32>().eval()?;
            let y = (&wide + 0.5f32).eval()?;
            let want: Array<T> = apply(op, &wide, &y).cast().eval()?;
            let got = apply(op, &x, &y.cast().eval()?).eval()?;
            let text = |a: &Array<T>| -> Result<String> { Ok(format!("{:?}", a.to_vec()?)) };
            // The second operand is rounded too, if there is one.
            if op.operands() == 1 {
                assert_eq!(text(&got)?, text(&want)?, "{} of {}", op.info().name, T::DTYPE);
            }
            assert_eq!(got.shape(), [200]);
        }
        Ok(())
    }
    check::<f16>()?;
    check::<bf16>()
}

#[test]
fn they_are_expressions_like_others() -> Result<()> {
    let x = Array::from_vec(vec![-1.0f64, 0.0, 2.0], [3, 1])?;
    let y = Array::from_vec(vec![0.5f64, 1.0], [2])?;
    let z = (x.logaddexp(&y) * 2.0).eval()?;
    assert_eq!(z.shape(), [3, 2]);
    let want = 2.0 * (2f64.exp() + 1f64.exp()).ln();
    assert!((z.get([2, 1])? - want).abs() < 1e-14);
    assert_eq!((&x + 1.0).softplus().sum()?, (&x + 1.0).eval()?.softplus().eval()?.sum()?);
    assert_eq!(x.remainder(0.75).eval()?.to_vec()?, [0.5, 0.0, 0.5]);
    let f = fuse(|x: Expr<f64>, y: Expr<f64>| x.heaviside(y))?;
    assert_eq!(f.call((&x, &x)).eval()?.to_vec()?, [0.0, 0.0, 1.0]);

    let dynamic: DynExpr = DynArray::from(x.clone()).composed(Composed::Sinc, None);
    assert_eq!(dynamic.eval()?.get([1, 0])?, Scalar::new(1.0f64));
    let two = DynArray::from(x.clone()).composed(Composed::Remainder, Some(DynArray::from(y.clone()).into()));
    assert_eq!(two.eval()?.typed::<f64>()?.to_vec()?, x.remainder(&y).eval()?.to_vec()?);
    Ok(())
}

#[test]
fn what_is_not_defined_is_an_error_with_the_functions_name() -> Result<()> {
    let text = |e: Error| e.to_string();
    let x = Array::from_vec(vec![1i32, 2], [2])?;
    let error = text(x.softplus().eval().expect_err("integers have no softplus"));
    assert!(error.contains("softplus") && error.contains("i32"), "{error}");
    let truths = Array::from_vec(vec![true], [1])?;
    let error = text(truths.remainder(true).eval().expect_err("bool has no remainder"));
    assert!(error.contains("remainder") && error.contains("bool"), "{error}");
    let expr = x.into_expr();
    let error = text(expr.clone().composed(Composed::Remainder, None).eval().expect_err("one operand of two"));
    assert!(error.contains("remainder has two operands"), "{error}");
    let error = text(expr.clone().composed(Composed::Sinc, Some(expr)).eval().expect_err("two operands of one"));
    assert!(error.contains("sinc has one operand"), "{error}");
    // The first error of an operand is kept.
    let three = Array::from_vec(vec![1i32, 2, 3], [3])?;
    let error = (Array::<i32>::ones([2])? + &three).softplus().eval().expect_err("two shapes");
    assert!(matches!(error, Error::Broadcast { .. }), "{error}");
    let (a, b) = (DynArray::zeros(DType::F32, [2])?, DynArray::zeros(DType::F64, [2])?);
    let error = text(a.composed(Composed::Logaddexp, Some(b.into())).eval().expect_err("two dtypes"));
    assert!(error.contains("f32") && error.contains("f64"), "{error}");
    Ok(())
}
