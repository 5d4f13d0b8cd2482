//! Elementwise operations: accuracy and special values of every function, integers, casts, layouts, updates in place.

use crate::common::{Random, View, gpu, put, ulps};
use polyarray_core::*;

/// A function of two values.
type Of2<T, U> = fn(T, T) -> U;

const SPECIAL: [f32; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -2.0,
    3.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    88.722_83,
    88.722_84,
    -103.9,
    1e-30,
    16_777_216.0,
    16_777_215.0,
    -7.0,
    2.5,
];

struct Case {
    op: Unary,
    exact: fn(f64) -> f64,
    /// The ranges of the arguments. `None` stands for every bit pattern.
    ranges: &'static [Option<(f32, f32)>],
}

const CASES: [Case; 9] = [
    Case { op: Unary::Exp, exact: f64::exp, ranges: &[Some((-1.0, 1.0)), Some((-87.0, 88.7)), None] },
    Case { op: Unary::Log, exact: f64::ln, ranges: &[Some((0.5, 2.0)), Some((0.99, 1.01)), Some((1e-6, 1e6)), None] },
    Case { op: Unary::Sin, exact: f64::sin, ranges: &[Some((-0.8, 0.8)), Some((-100.0, 100.0)), Some((-1e6, 1e6))] },
    Case { op: Unary::Cos, exact: f64::cos, ranges: &[Some((-0.8, 0.8)), Some((-100.0, 100.0)), Some((-1e6, 1e6))] },
    Case { op: Unary::Tanh, exact: f64::tanh, ranges: &[Some((-1.0, 1.0)), Some((-10.0, 10.0)), None] },
    Case { op: Unary::Sqrt, exact: f64::sqrt, ranges: &[Some((0.0, 1e6)), None] },
    Case { op: Unary::Abs, exact: f64::abs, ranges: &[None] },
    Case { op: Unary::Neg, exact: |x| -x, ranges: &[None] },
    Case { op: Unary::Round, exact: f64::round_ties_even, ranges: &[Some((-5.0, 5.0)), Some((-1e7, 1e7)), None] },
];

fn is_subnormal(x: f64) -> bool {
    x != 0.0 && x.abs() < f64::from(f32::MIN_POSITIVE)
}

fn apply(op: Unary, x: &Array<f32>) -> Vec<f32> {
    x.into_expr().unary::<f32>(op).eval().unwrap().to_vec().unwrap()
}

#[test]
fn functions_keep_to_the_table() {
    let Some(device) = gpu() else { return };
    let mut random = Random(1);
    for case in &CASES {
        for range in case.ranges {
            let mut x: Vec<f32> = match range {
                Some((lo, hi)) => random.floats(1 << 16, *lo, *hi),
                None => (0..1 << 16).map(|_| f32::from_bits(random.bits() as u32)).collect(),
            };
            x.extend(SPECIAL);
            let got = apply(case.op, &put(&device, &x, x.len()));
            let mut worst = (0.0, 0.0f32, 0.0f32);
            for (&x, &y) in x.iter().zip(&got) {
                let exact = (case.exact)(f64::from(x));
                // A GPU may flush subnormal arguments and results to zero.
                let flushed = is_subnormal(exact) && (y == 0.0 || ulps(y, exact) <= case.op.info().ulp_gpu)
                    || is_subnormal(f64::from(x))
                        && ulps(y, (case.exact)(0.0f64.copysign(f64::from(x)))) <= case.op.info().ulp_gpu;
                let error = if flushed { 0.0 } else { ulps(y, exact) };
                if error > worst.0 {
                    worst = (error, x, y);
                }
            }
            eprintln!("{:6} {range:?}: {:.2} ULP at {:e}", case.op.info().name, worst.0, worst.1);
            assert!(
                worst.0 <= case.op.info().ulp_gpu,
                "{} on {range:?}: {} ULP at {:e}: {:e}",
                case.op.info().name,
                worst.0,
                worst.1,
                worst.2
            );
        }
    }
}

#[test]
fn sine_and_cosine_hold_up_to_the_largest_float() {
    let Some(device) = gpu() else { return };
    let mut random = Random(2);
    let mut x: Vec<f32> =
        (0..1 << 16).map(|_| f32::from_bits(random.bits() as u32)).filter(|x| x.is_finite()).collect();
    // Neighbours of multiples of pi / 2, where the remainder is tiny, and the float closest to such a multiple (J.-M.
    // Muller, "Elementary Functions").
    x.extend((1..2000).map(|i| (f64::from(i) * std::f64::consts::FRAC_PI_2) as f32));
    x.extend([16_367_173.0 * 2f32.powi(72), f32::MAX, -f32::MAX, 1e10, 1e22]);
    let a = put(&device, &x, x.len());
    let (sin, cos) = (apply(Unary::Sin, &a), apply(Unary::Cos, &a));
    for (i, &x) in x.iter().enumerate() {
        // The functions of f64 reduce the argument with all the bits that it needs (libm), and every f32 is an f64.
        let (s, c) = f64::from(x).sin_cos();
        let flushed = is_subnormal(f64::from(x));
        assert!(flushed || ulps(sin[i], s) <= 4.0, "sin({x:e}) = {:e}, not {s:e}", sin[i]);
        assert!(ulps(cos[i], c) <= 4.0, "cos({x:e}) = {:e}, not {c:e}", cos[i]);
    }
}

#[test]
fn powers_keep_to_the_table_and_to_the_rules_of_c() {
    let Some(device) = gpu() else { return };
    let mut random = Random(3);
    let mut pairs: Vec<(f32, f32)> = Vec::new();
    for _ in 0..1 << 15 {
        pairs.push((random.float(1e-3, 30.0), random.float(-20.0, 20.0)));
        // Bases close to one with large exponents are the hardest cases.
        let x = random.float(0.999, 1.001);
        pairs.push((x, random.float(-8e4, 8e4)));
        pairs.push((f32::from_bits(random.bits() as u32), f32::from_bits(random.bits() as u32)));
        pairs.push((-random.float(0.1, 9.0), random.float(-30.0, 30.0).round()));
    }
    for x in SPECIAL {
        pairs.extend(SPECIAL.map(|y| (x, y)));
    }
    let (x, y): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    let got = put(&device, &x, x.len()).pow(put(&device, &y, y.len())).eval().unwrap().to_vec().unwrap();
    let mut worst: f64 = 0.0;
    for i in 0..x.len() {
        let exact = f64::from(x[i]).powf(f64::from(y[i]));
        if is_subnormal(f64::from(x[i]))
            || is_subnormal(f64::from(y[i]))
            || is_subnormal(exact) && got[i].abs() <= f32::MIN_POSITIVE
        {
            continue;
        }
        let error = ulps(got[i], exact);
        assert!(
            error <= Binary::Pow.info().ulp_gpu,
            "{:e}^{:e} = {:e}, not {exact:e} ({error} ULP)",
            x[i],
            y[i],
            got[i]
        );
        worst = worst.max(error);
    }
    eprintln!("pow: {worst:.2} ULP");
}

#[test]
fn arithmetic_is_that_of_ieee_and_steps_are_not_merged() {
    let Some(device) = gpu() else { return };
    let mut random = Random(4);
    let (a, b) = (random.floats(10_000, -1e3, 1e3), random.floats(10_000, -1e3, 1e3));
    let (x, y) = (put(&device, &a, a.len()), put(&device, &b, b.len()));
    let check = |name: &str, e: Expr<f32>, f: &dyn Fn(f32, f32) -> f32| {
        let got = e.eval().unwrap().to_vec().unwrap();
        for i in 0..a.len() {
            assert_eq!(got[i].to_bits(), f(a[i], b[i]).to_bits(), "{name} of {:e} and {:e}", a[i], b[i]);
        }
    };
    check("add", &x + &y, &|a, b| a + b);
    check("sub", &x - &y, &|a, b| a - b);
    check("mul", &x * &y, &|a, b| a * b);
    check("square", x.square(), &|a, _| a * a);
    check("a * b + a", &x * &y + &x, &|a, b| a * b + a);
    check("(a + b) - a", (&x + &y) - &x, &|a, b| (a + b) - a);
    check("(1 + b) - 1", (&y * 1e-6 + 1.0) - 1.0, &|_, b| (b * 1e-6 + 1.0) - 1.0);
    check("minimum", x.minimum(&y), &|a, b| a.min(b));
    let quotient = (&x / &y).eval().unwrap().to_vec().unwrap();
    assert!((0..a.len()).all(|i| ulps(quotient[i], f64::from(a[i]) / f64::from(b[i])) <= Binary::Div.info().ulp_gpu));
}

#[test]
fn comparisons_minima_and_maxima_know_nan_and_signed_zero() {
    let Some(device) = gpu() else { return };
    let (x, y): (Vec<f32>, Vec<f32>) = SPECIAL.iter().flat_map(|&x| SPECIAL.iter().map(move |&y| (x, y))).unzip();
    let (a, b) = (put(&device, &x, x.len()), put(&device, &y, y.len()));
    let truths: [(Expr<bool>, Of2<f32, bool>); 6] = [
        (a.equal(&b), |x, y| x == y),
        (a.not_equal(&b), |x, y| x != y),
        (a.less(&b), |x, y| x < y),
        (a.less_equal(&b), |x, y| x <= y),
        (a.greater(&b), |x, y| x > y),
        (a.greater_equal(&b), |x, y| x >= y),
    ];
    for (n, (e, f)) in truths.into_iter().enumerate() {
        let got = e.eval().unwrap().to_vec().unwrap();
        for i in 0..x.len() {
            assert_eq!(got[i], f(x[i], y[i]), "comparison {n} of {} and {}", x[i], y[i]);
        }
    }
    let expected = |smaller: bool, x: f32, y: f32| {
        if x.is_nan() || y.is_nan() {
            f32::NAN
        } else if (x < y) == smaller && x != y {
            x
        } else {
            y
        }
    };
    for (smaller, e) in [(true, a.minimum(&b)), (false, a.maximum(&b))] {
        let got = e.eval().unwrap().to_vec().unwrap();
        for i in 0..x.len() {
            let want = expected(smaller, x[i], y[i]);
            assert!(
                got[i].to_bits() == want.to_bits() || got[i].is_nan() && want.is_nan(),
                "{} {} -> {}",
                x[i],
                y[i],
                got[i]
            );
        }
    }
    let not = a.logical_not().eval().unwrap().to_vec().unwrap();
    assert!(x.iter().zip(&not).all(|(&x, &n)| n == (x == 0.0)), "NaN is true, both zeros are false");
    let chosen = select(a.less(&b), &a, &b).eval().unwrap().to_vec().unwrap();
    assert!(
        (0..x.len()).all(|i| chosen[i].to_bits() == if x[i] < y[i] { x[i] } else { y[i] }.to_bits()),
        "select copies bits"
    );
}

#[test]
fn integers_wrap_and_division_by_zero_gives_zero() {
    let Some(device) = gpu() else { return };
    let mut random = Random(5);
    let mut pairs: Vec<(i32, i32)> = (0..4000)
        .map(|_| (random.bits() as i32 >> (random.bits() % 31), random.bits() as i32 >> (random.bits() % 31)))
        .collect();
    let edges = [0, 1, -1, 2, -2, 7, 31, 32, i32::MAX, i32::MIN];
    edges.iter().for_each(|&x| pairs.extend(edges.map(|y| (x, y))));
    let (x, y): (Vec<i32>, Vec<i32>) = pairs.into_iter().unzip();
    let pow = |x: i32, y: i32| match (x, y) {
        (x, 0..) => x.wrapping_pow(y as u32),
        (1, _) => 1,
        (-1, _) => 1 - 2 * (y & 1),
        _ => 0,
    };
    let (a, b) = (put(&device, &x, x.len()), put(&device, &y, y.len()));
    let signed: [(Expr<i32>, Of2<i32, i32>); 11] = [
        (&a + &b, |x, y| x.wrapping_add(y)),
        (&a - &b, |x, y| x.wrapping_sub(y)),
        (&a * &b, |x, y| x.wrapping_mul(y)),
        (&a / &b, |x, y| if y == 0 { 0 } else { x.wrapping_div(y) }),
        (a.pow(&b), pow),
        (a.minimum(&b), |x, y| x.min(y)),
        (a.maximum(&b), |x, y| x.max(y)),
        (-&a, |x, _| x.wrapping_neg()),
        (a.abs(), |x, _| x.wrapping_abs()),
        (a.square(), |x, _| x.wrapping_mul(x)),
        (select(a.less(&b), &a, &b), |x, y| x.min(y)),
    ];
    for (n, (e, f)) in signed.into_iter().enumerate() {
        let got = e.eval().unwrap().to_vec().unwrap();
        (0..x.len()).for_each(|i| assert_eq!(got[i], f(x[i], y[i]), "case {n}: {} {}", x[i], y[i]));
    }
    let (x, y): (Vec<u32>, Vec<u32>) = (x.iter().map(|&x| x as u32).collect(), y.iter().map(|&y| y as u32).collect());
    let (a, b) = (put(&device, &x, x.len()), put(&device, &y, y.len()));
    let unsigned: [(Expr<u32>, Of2<u32, u32>); 5] = [
        (&a / &b, |x, y| x.checked_div(y).unwrap_or(0)),
        (a.pow(&b), |x, y| x.wrapping_pow(y)),
        (-&a, |x, _| x.wrapping_neg()),
        (a.maximum(&b), |x, y| x.max(y)),
        (select(a.greater_equal(&b), &b, &a), |x, y| x.min(y)),
    ];
    for (n, (e, f)) in unsigned.into_iter().enumerate() {
        let got = e.eval().unwrap().to_vec().unwrap();
        (0..x.len()).for_each(|i| assert_eq!(got[i], f(x[i], y[i]), "unsigned case {n}: {} {}", x[i], y[i]));
    }
}

#[test]
fn casts_truncate_saturate_and_round_to_nearest() {
    let Some(device) = gpu() else { return };
    let mut random = Random(6);
    let mut x: Vec<f32> = (0..20_000).map(|_| f32::from_bits(random.bits() as u32)).collect();
    x.extend(random.floats(20_000, -5e9, 5e9));
    x.extend(SPECIAL);
    x.extend([2_147_483_520.0, 2_147_483_648.0, -2_147_483_648.0, 4_294_967_040.0, 4_294_967_296.0, -0.9, 0.9]);
    let a = put(&device, &x, x.len());
    let (i, u, b) =
        (a.cast::<i32>().eval().unwrap(), a.cast::<u32>().eval().unwrap(), a.cast::<bool>().eval().unwrap());
    let (is, us, bs) = (i.to_vec().unwrap(), u.to_vec().unwrap(), b.to_vec().unwrap());
    for (n, &x) in x.iter().enumerate() {
        assert_eq!((is[n], us[n], bs[n]), (x as i32, x as u32, x != 0.0), "from {x:e}");
    }
    let ints: Vec<i32> = (0..40_000)
        .map(|_| random.bits() as i32)
        .chain([i32::MIN, i32::MAX, 16_777_217, 16_777_219, -16_777_217])
        .collect();
    let a = put(&device, &ints, ints.len());
    let (f, u, b) =
        (a.cast::<f32>().eval().unwrap(), a.cast::<u32>().eval().unwrap(), a.cast::<bool>().eval().unwrap());
    let (fs, us, bs) = (f.to_vec().unwrap(), u.to_vec().unwrap(), b.to_vec().unwrap());
    let back = u.cast::<f32>().eval().unwrap().to_vec().unwrap();
    let truth = b.cast::<f32>().eval().unwrap().to_vec().unwrap();
    for (n, &x) in ints.iter().enumerate() {
        assert_eq!((fs[n], us[n], bs[n]), (x as f32, x as u32, x != 0), "from {x}");
        assert_eq!((back[n], truth[n]), (x as u32 as f32, f32::from(x != 0)));
    }
}

#[test]
fn any_layout_can_be_read_and_written() {
    let Some(device) = gpu() else { return };
    let n = 6 * 5 * 4;
    let data: Vec<f32> = (0..n).map(|i| i as f32).collect();
    let host = Array::from_slice(&data, [6, 5, 4]).unwrap();
    let there = put(&device, &data, [6, 5, 4]);
    let views: [View; 6] = [
        |a| a.clone(),
        |a| a.t(),
        |a| a.permute(&[1, 2, 0]).unwrap(),
        |a| a.slice(s![..;-2, 1..4, ..;-1]).unwrap(),
        |a| a.slice(s![3, .., 2]).unwrap(),
        |a| a.slice(s![0..1, .., ..]).unwrap().broadcast_to([3, 5, 4]).unwrap(),
    ];
    for (i, view) in views.iter().enumerate() {
        let (h, d) = (view(&host).to_vec().unwrap(), view(&there));
        let got = (&d * 2.0 + &d).eval().unwrap();
        assert_eq!(got.to_vec().unwrap(), h.iter().map(|x| x * 2.0 + x).collect::<Vec<_>>(), "view {i}");
        let copy = d.to_contiguous().unwrap().flatten().unwrap();
        assert_eq!(copy.to_vec().unwrap(), h, "copy of view {i}");
    }
    let row = put(&device, &[10.0f32, 20.0, 30.0, 40.0], [4]);
    let sum = (&there + &row).eval().unwrap().to_vec().unwrap();
    assert!((0..n).all(|i| sum[i] == data[i] + [10.0, 20.0, 30.0, 40.0][i % 4]));
    // Sixteen axes of length two, permuted: the largest number of axes.
    let many: Vec<f32> = (0..1 << 16).map(|i| i as f32).collect();
    let order: Vec<isize> = (0..16).map(|a| (a * 7 + 3) % 16).collect();
    let (h, d) = (Array::from_slice(&many, [2; 16]).unwrap(), put(&device, &many, [2; 16]));
    let negated = (-&d.permute(&order).unwrap()).eval().unwrap().to_contiguous().unwrap();
    let expected: Vec<f32> = h.permute(&order).unwrap().to_vec().unwrap().iter().map(|x| -x).collect();
    assert_eq!(negated.to_vec().unwrap(), expected);
}

#[test]
fn updates_in_place_read_before_they_write() {
    let Some(device) = gpu() else { return };
    let data: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    let mut x = put(&device, &data, [10, 100]);
    with_device(&device, || {
        x += 1.0;
        x *= &x.clone();
        let mut part = x.slice_mut(s![1..3, ..;2]).unwrap();
        part.fill(-1.0).unwrap();
        let before = put(&device, &[5.0f32], [1]);
        x.slice_mut(s![0, ..]).unwrap().assign(&before).unwrap();
        let mut y = x.clone();
        y -= &x;
        assert!(y.to_vec().unwrap().iter().all(|&v| v == 0.0), "copied on write, then in place");
    });
    let got = x.to_vec().unwrap();
    for (i, &g) in got.iter().enumerate() {
        let (row, column) = (i / 100, i % 100);
        let want = match (row, column % 2) {
            (0, _) => 5.0,
            (1 | 2, 0) => -1.0,
            _ => (data[i] + 1.0) * (data[i] + 1.0),
        };
        assert_eq!(g, want, "at {row}, {column}");
    }
    // A donated operand becomes the result.
    let y = put(&device, &data, [1000]);
    let z = (y * 2.0 + 1.0).eval().unwrap();
    assert_eq!(z.to_vec().unwrap()[999], 1999.0);
}

#[test]
fn seven_inputs_64_steps_and_parameters_of_any_value() {
    let Some(device) = gpu() else { return };
    let arrays: Vec<Array<f32>> = (0..7).map(|i| put(&device, &vec![(i + 1) as f32; 300], [300])).collect();
    let sum = arrays[1..].iter().fold(&arrays[0] * 1.0, |e, a| e + a);
    assert_eq!(sum.eval().unwrap().to_vec().unwrap(), vec![28.0; 300]);
    let eight = put(&device, &[8.0f32; 300], [300]);
    let more = arrays.iter().fold(&eight * 1.0, |e, a| e + a);
    assert_eq!(more.eval().unwrap().to_vec().unwrap(), vec![36.0; 300]);
    let long = (0..150).fold(&arrays[0] * 1.0, |e, i| if i % 2 == 0 { e + 3.0 } else { e - 2.0 });
    assert_eq!(long.eval().unwrap().to_vec().unwrap(), vec![1.0 + 75.0; 300]);
    for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, -0.0, 1e-40] {
        let chosen = select(put(&device, &[true, false], [2]), value, 2.0f32).eval().unwrap().to_vec().unwrap();
        assert!(
            chosen[0].to_bits() == value.to_bits() || chosen[0].is_nan() && value.is_nan(),
            "{value} came back as {}",
            chosen[0]
        );
        assert_eq!(chosen[1], 2.0);
    }
    let full = with_device(&device, || Array::full([3, 2], i32::MIN)).unwrap();
    assert_eq!(full.to_vec().unwrap(), [i32::MIN; 6]);
}

#[test]
fn truth_values_are_words_there_and_bytes_here() {
    let Some(device) = gpu() else { return };
    let data: Vec<bool> = (0..999).map(|i| i % 3 == 0 || i % 7 == 0).collect();
    let a = put(&device, &data, [999]);
    assert_eq!(a.to_vec().unwrap(), data);
    assert_eq!(a.slice(s![5..100]).unwrap().to_vec().unwrap(), data[5..100]);
    let flipped = a.logical_not().eval().unwrap();
    assert!(flipped.to_vec().unwrap().iter().zip(&data).all(|(a, b)| a != b));
    let same = a.equal(&flipped).eval().unwrap();
    assert!(same.to_vec().unwrap().iter().all(|&b| !b));
    assert!(a.max().unwrap() && !a.min().unwrap());
}
