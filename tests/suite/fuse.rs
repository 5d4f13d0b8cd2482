//! Compiled functions (`fuse`) against the same expressions: values on every device, layouts, parameters, donation,
//! reductions, threads, and every error.

use crate::common::{count, on_every_device, refused, required_devices};
use polyarray::prelude::*;
use polyarray::{Wide, select, with_dtype, with_threads};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

/// Returns the shape and the elements as text, with one form for all NaNs.
fn text<T: Element>(x: Result<Array<T>>) -> Result<String> {
    let x = x?;
    Ok(format!("{:?} {:?}", x.shape(), x.to_vec()?.iter().map(|x| format!("{x:?}")).collect::<Vec<_>>()))
}

fn of<T: Element>(x: &Array<T>) -> Expr<T> {
    x.into_expr()
}

/// Small numbers that every dtype holds; for floats also fractions and a NaN.
fn values<T: Element>(shape: impl Into<polyarray::Dims>, step: usize) -> Array<T> {
    let one = |ix: &[usize]| match (ix.iter().fold(0, |n, i| n * 31 + i) * step) % 11 {
        10 => T::from_wide(Wide::Float(f64::NAN)),
        n if n % 4 == 3 => T::from_wide(Wide::Float(n as f64 / 3.0)),
        n => T::from_wide(Wide::Int(n as i128 - 4)),
    };
    Array::from_fn(shape, one).expect("memory for the array")
}

/// Asserts that two results are equal, or that both are refused by the device.
fn same<T: Element>(what: &str, fused: Result<Array<T>>, expression: Result<Array<T>>) {
    match (text(fused), text(expression)) {
        (Err(Error::Refused { .. } | Error::Storage { .. }), Err(Error::Refused { .. } | Error::Storage { .. })) => {}
        (fused, expression) => assert_eq!(
            fused.unwrap_or_else(|e| panic!("{what}: {e}")),
            expression.unwrap_or_else(|e| panic!("{what}, the expression: {e}")),
            "{what}"
        ),
    }
}

fn numbers<T: Element>() {
    fn body<T: Element>(x: Expr<T>, y: Expr<T>) -> Expr<T> {
        (&x * &y + &x).square() - y
    }
    fn compare<T: Element>(x: Expr<T>, y: Expr<T>, m: Expr<bool>) -> Expr<bool> {
        m.logical_and((x + &y).not_equal(y))
    }
    let f = fuse(body::<T>).expect("the closure is an expression");
    let g = fuse(compare::<T>).expect("the closure is an expression");
    let a = T::from_wide(Wide::Int(3));
    let devices = required_devices().into_iter().chain([Device::auto()]);
    for device in devices {
        with_device(&device, || {
            for shape in [vec![], vec![1], vec![7], vec![1000], vec![30, 30], vec![9000], vec![0], vec![3, 0]] {
                let what = format!("{} {shape:?} on {device}", T::DTYPE);
                let (x, y, m) = (values::<T>(&shape, 3), values::<T>(&shape, 7), values::<bool>(&shape, 5));
                let expr = |x: &Array<T>, y: &Array<T>| body(of(x), of(y)).eval();
                for _ in 0..2 {
                    same(&what, f.eval((&x, &y)), expr(&x, &y));
                    same(&what, f.eval((&x, &x)), expr(&x, &x));
                    same(&what, f.eval((&x, a)), body(of(&x), a.into_expr()).eval());
                    same(&what, f.eval((a, &y)), body(a.into_expr(), of(&y)).eval());
                    same(&what, g.eval((&x, &y, &m)), compare(of(&x), of(&y), of(&m)).eval());
                    same(&what, g.eval((&x, a, &m)), compare(of(&x), a.into_expr(), of(&m)).eval());
                    let whole = compare(of(&x), of(&y), true.into_expr());
                    same(&what, g.eval((&x, &y, true)), whole.eval());
                }
                let (t, first) = (y.t(), values::<T>([1], 2));
                same(&what, f.eval((&x, &first)), expr(&x, &first));
                if shape.len() == 2 {
                    same(&what, f.eval((&t, &y.t())), expr(&t, &y.t()));
                    let rows = values::<T>([shape[0], 1], 5);
                    same(&what, f.eval((&rows, &x)), expr(&rows, &x));
                    same(&what, f.eval((&x, rows)), expr(&x, &values::<T>([shape[0], 1], 5)));
                }
            }
        });
    }
}

#[test]
fn every_dtype_gives_the_values_of_the_expression() {
    for dtype in polyarray::DType::ALL.into_iter().filter(|&d| d != DType::Bool) {
        with_dtype!(dtype, T => numbers::<T>());
    }
    let f = fuse(|x: Expr<bool>, y: Expr<bool>| (x & !y.clone()) ^ y).unwrap();
    on_every_device(|_| {
        let (x, y) = (values::<bool>([1000], 3), values::<bool>([1000], 7));
        same("bools", f.eval((&x, &y)), ((&x & !&y) ^ &y).eval());
        same("bools", f.eval((&x, true)), ((&x & false) ^ true).eval());
        Ok(())
    });
}

#[test]
fn mixed_dtypes_and_every_number_of_parameters() {
    let f1 = fuse(|a: Expr<f32>| a.sqrt()).unwrap();
    let f2 = fuse(|a: Expr<f32>, b: Expr<i32>| a + b.cast::<f32>()).unwrap();
    let f3 = fuse(|a: Expr<bool>, b: Expr<f32>, c: Expr<f32>| select(a, b, c)).unwrap();
    let f4 =
        fuse(|a: Expr<i16>, b: Expr<u8>, c: Expr<f32>, d: Expr<f32>| a.cast::<f32>().mul_add(b.cast::<f32>(), c) + d)
            .unwrap();
    let f5 = fuse(|a: Expr<f32>, b: Expr<f32>, c: Expr<f32>, d: Expr<f32>, e: Expr<f32>| a + b * c - d * e).unwrap();
    let f6 = fuse(|a: Expr<f32>, b: Expr<f32>, c: Expr<f32>, d: Expr<f32>, e: Expr<f32>, g: Expr<f32>| {
        (a + b) * (c + d) * (e + g)
    })
    .unwrap();
    let f7 =
        fuse(|a: Expr<f32>, b: Expr<f32>, c: Expr<f32>, d: Expr<f32>, e: Expr<f32>, g: Expr<f32>, h: Expr<bool>| {
            select(h, a + b + c, d + e + g)
        })
        .unwrap();
    on_every_device(|_| {
        let v = |step| values::<f32>([40], step);
        let [a, b, c, d, e, g] = [1, 2, 3, 4, 5, 6].map(v);
        let (m, i, s, u) =
            (values::<bool>([40], 3), values::<i32>([40], 7), values::<i16>([40], 5), values::<u8>([40], 3));
        same("1", f1.eval(&a), a.sqrt().eval());
        same("1 in a tuple", f1.eval((&a,)), a.sqrt().eval());
        same("1 value", f1.eval(4.0), 4f32.into_expr().sqrt().eval());
        same("2", f2.eval((&a, &i)), (&a + i.cast::<f32>()).eval());
        same("2, a value", f2.eval((&a, 5)), (&a + 5.0).eval());
        same("3", f3.eval((&m, &b, 0.0)), select(&m, &b, 0.0).eval());
        let four = s.cast::<f32>().mul_add(u.cast::<f32>(), &c) + &d;
        same("4", f4.eval((&s, &u, &c, &d)), four.eval());
        same("5", f5.eval((&a, &b, 2.0, &d, &e)), (&a + &b * 2.0 - &d * &e).eval());
        same("6", f6.eval((&a, &b, &c, &d, &e, &g)), ((&a + &b) * (&c + &d) * (&e + &g)).eval());
        same("7", f7.eval((&a, &b, &c, &d, &e, &g, &m)), select(&m, &a + &b + &c, &d + &e + &g).eval());
        same("7 values", f7.eval((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, &m)), select(&m, 6.0, 15.0).eval());
        Ok(())
    });
}

#[test]
fn parameters_change_without_another_trace() {
    let traced = Cell::new(0);
    let f = fuse(|x: Expr<f64>, a: Expr<f64>, b: Expr<f64>| {
        traced.set(traced.get() + 1);
        (x * a.clone() + &b) * (a - b)
    })
    .unwrap();
    on_every_device(|_| {
        let x = values::<f64>([50], 3);
        let mut out = Array::zeros([50])?;
        for k in 0..20 {
            let (a, b) = (f64::from(k), f64::from(k * k) - 7.0);
            f.eval_into((&x, a, b), &mut out.view_mut()?)?;
            same("parameters", Ok(out.clone()), ((&x * a + b) * (a - b)).eval());
            same("one of them an array", f.eval((&x, a, &x)), ((&x * a + &x) * (a - &x)).eval());
        }
        Ok(())
    });
    assert_eq!(traced.get(), 1);
}

#[test]
fn outputs_of_any_layout_and_shape() {
    let f = fuse(|x: Expr<f32>, y: Expr<f32>| x * 10.0 + y).unwrap();
    on_every_device(|_| {
        let (x, y) = (count([2, 3]), count([3]));
        let expected = [0.0, 11.0, 22.0, 30.0, 41.0, 52.0];
        let mut out = Array::zeros([2, 3])?;
        f.eval_into((&x, &y), &mut out.view_mut()?)?;
        assert_eq!(out.to_vec()?, expected);
        // Every other column of a larger array, a Fortran-ordered one, and one to which the result broadcasts.
        let mut wide = Array::full([2, 6], 9.0)?;
        f.eval_into((&x, &y), &mut wide.slice_mut(s![.., ..;2])?)?;
        assert_eq!(wide.to_vec()?, [0.0, 9.0, 11.0, 9.0, 22.0, 9.0, 30.0, 9.0, 41.0, 9.0, 52.0, 9.0]);
        let mut fortran = Array::zeros([3, 2])?.t();
        f.eval_into((&x, &y), &mut fortran.view_mut()?)?;
        assert_eq!(fortran.to_vec()?, expected);
        let mut tall = Array::zeros([2, 3])?;
        f.eval_into((&y, &y), &mut tall.view_mut()?)?;
        assert_eq!(tall.to_vec()?, [0.0, 11.0, 22.0, 0.0, 11.0, 22.0]);
        f.eval_into((0.5, 1.0), &mut tall.view_mut()?)?;
        assert_eq!(tall.to_vec()?, [6.0; 6]);
        let mut none = Array::<f32>::zeros([0, 3])?;
        f.eval_into((&y, &y), &mut none.view_mut()?)?;
        // Views with offsets, reversed and broadcast operands.
        let (rows, backwards) = (count([4, 3]).slice(s![1..3])?, y.slice(s![..;-1])?);
        same("an offset", f.eval((&rows, &y)), (&rows * 10.0 + &y).eval());
        same("reversed", f.eval((&y, &backwards)), (&y * 10.0 + &backwards).eval());
        let whole = y.broadcast_to([2, 3])?;
        same("broadcast", f.eval((&whole, &x)), (&whole * 10.0 + &x).eval());
        let first = rows.slice(s![0])?;
        same("a contiguous row", f.eval((&first, &first)), (&first * 10.0 + &first).eval());
        Ok(())
    });
}

#[test]
fn a_result_has_the_layout_of_the_expression() {
    // The operands disagree on the order of axes, so the first one that a step reads decides.
    let f = fuse(|x: Expr<f32>, y: Expr<f32>| y - x).unwrap();
    for n in [3, 300] {
        let (x, y) = (count([n, n]), count([n, n]).t());
        assert_eq!(f.eval((&x, &y)).unwrap().strides(), (&y - &x).eval().unwrap().strides());
        assert_eq!(f.eval((&y, &x)).unwrap().strides(), (&x - &y).eval().unwrap().strides());
        assert_eq!(f.eval((&y, &y)).unwrap().strides(), y.strides());
    }
}

#[test]
fn arguments_by_value_give_their_memory() {
    let f = fuse(|x: Expr<f64>, y: Expr<f64>| x * 2.0 + y).unwrap();
    on_every_device(|device| {
        for n in [1, 5, 1000, 100_000] {
            let (mut x, y) = (Array::<f64>::ones([n])?, Array::<f64>::full([n], 0.5)?);
            let place = x.as_slice().expect("contiguous").as_ptr();
            for _ in 0..3 {
                x = f.eval((x, &y))?;
            }
            assert_eq!(x.as_slice().expect("contiguous").as_ptr(), place, "{n} on {device}");
            assert_eq!(x.to_vec()?, vec![11.5; n]);
            // A second owner, a broadcast donor and an argument in both places keep their elements.
            let kept = x.clone();
            let made = f.eval((x, 1.0))?;
            assert_eq!((made.get([0])?, kept.get([n - 1])?), (24.0, 11.5));
            let both = f.eval((kept.clone(), kept))?;
            assert_eq!(both.to_vec()?, vec![34.5; n]);
            let grown = f.eval((Array::<f64>::ones([1])?, &y))?;
            assert_eq!(grown.to_vec()?, vec![2.5; n]);
        }
        let view = Array::<f64>::full([40], 3.0)?.slice(s![10..20])?;
        assert_eq!(f.eval((view, 1.0))?.to_vec()?, [7.0; 10]);
        Ok(())
    });
    // An argument that no step reads is not the result's memory, whatever its shape is.
    let g = fuse(|x: Expr<f64>, _: Expr<f64>| x + 1.0).unwrap();
    assert_eq!(g.eval((1.0, Array::<f64>::ones([5]).unwrap())).unwrap().shape(), [0usize; 0]);
    let made = g.eval((Array::<f64>::ones([2]).unwrap(), Array::<f64>::ones([5]).unwrap())).unwrap();
    assert_eq!(made.to_vec().unwrap(), [2.0; 2]);
}

#[test]
fn an_output_that_shares_memory_with_an_argument_is_copied_first() {
    let f = fuse(|x: Expr<f64>, y: Expr<f64>| x * 2.0 + y).unwrap();
    on_every_device(|_| {
        let mut out = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [4])?;
        let (whole, part) = (out.clone(), out.slice(s![..;-1])?);
        f.eval_into((&whole, &part), &mut out.view_mut()?)?;
        assert_eq!(out.to_vec()?, [6.0, 7.0, 8.0, 9.0]);
        assert_eq!((whole.to_vec()?, part.to_vec()?), (vec![1.0, 2.0, 3.0, 4.0], vec![4.0, 3.0, 2.0, 1.0]));
        // A captured array stays what it was, even if it becomes an output.
        let mut a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [4])?;
        let g = fuse(|x: Expr<f64>| x + &a)?;
        for _ in 0..2 {
            g.eval_into(&whole, &mut a.view_mut()?)?;
            assert_eq!(a.to_vec()?, [2.0, 4.0, 6.0, 8.0]);
        }
        Ok(())
    });
}

#[test]
fn reductions_at_the_end() {
    fn body(x: Expr<f64>, y: Expr<f64>) -> Expr<f64> {
        (x - y).square() * 0.5
    }
    let f = fuse(body).unwrap();
    on_every_device(|_| {
        for shape in [[4, 5], [300, 300]] {
            let (x, y) = (Array::<f64>::from_fn(shape, |ix| (ix[0] * 7 + ix[1] * 3) as f64 % 11.0)?, 2.5);
            let e = || body(of(&x), y.into_expr());
            macro_rules! same {
                ($($name:ident $axis:ident($($arg:expr),*);)*) => { $(
                    assert_eq!(f.$name((&x, y) $(, $arg)*)?, e().$name($($arg),*)?, stringify!($name));
                    let (fused, expr) = (f.$axis((&x, y), 0 $(, $arg)*)?, e().$axis(0 $(, $arg)*)?);
                    assert_eq!((fused.shape(), fused.to_vec()?), (expr.shape(), expr.to_vec()?), stringify!($axis));
                    let both = polyarray::axis([0, -1]).keepdims();
                    if !stringify!($name).starts_with("arg") {
                        assert_eq!(f.$axis((&x, y), both $(, $arg)*)?.shape(), [1, 1], stringify!($axis));
                    }
                )* };
            }
            same! {
                sum sum_axis();
                prod prod_axis();
                min min_axis();
                max max_axis();
                mean mean_axis();
                var var_axis(1);
                std std_axis(0);
                norm norm_axis();
                argmin argmin_axis();
                argmax argmax_axis();
                any any_axis();
                all all_axis();
                count_nonzero count_nonzero_axis();
            }
            assert_eq!(f.call((&x, y)).cumsum(0)?.to_vec()?, e().cumsum(0)?.to_vec()?);
            assert_eq!(f.sum((3.0, 1.0))?, 2.0, "single values");
            assert_eq!(f.sum((&x * 2.0, &x))?, (&x * 2.0 - &x).square().mul(0.5).sum()?);
        }
        let none = Array::<f64>::zeros([0])?;
        assert_eq!((f.sum((&none, 1.0))?, f.min((&none, 1.0)).is_err()), (0.0, true));
        Ok(())
    });
    let h = fuse(|x: Expr<i8>| x * 3).unwrap();
    assert_eq!(h.sum(Array::from_vec(vec![50i8, 50], [2]).unwrap()).unwrap(), -212, "i8 wraps, then i64 sums");
}

#[test]
fn functions_compose() {
    let scale = fuse(|x: Expr<f64>, by: Expr<f64>| x * by + 1.0).unwrap();
    let g = fuse(|x: Expr<f64>, y: Expr<f64>| scale.call((x, 3.0)) - scale.call((&y, y.clone().sqrt()))).unwrap();
    on_every_device(|_| {
        let (x, y) = (count([20]).cast::<f64>().eval()?, count([20]).cast::<f64>().eval()?);
        let expected = ((&x * 3.0 + 1.0) - (&y * y.sqrt() + 1.0)).eval();
        same("a function inside of another", g.eval((&x, &y)), expected);
        same("in an expression", (scale.call((&x, 2.0)) / 4.0).eval(), ((&x * 2.0 + 1.0) / 4.0).eval());
        same("an expression as argument", scale.eval((&x + &y, x.sqrt())), ((&x + &y) * x.sqrt() + 1.0).eval());
        let mut out = Array::zeros([20])?;
        scale.eval_into((&(&x + &y), 2.0), &mut out.view_mut()?)?;
        same("into a view", Ok(out), ((&x + &y) * 2.0 + 1.0).eval());
        same("a call of a call", scale.call((scale.call((&x, 2.0)), &y)).eval(), ((&x * 2.0 + 1.0) * &y + 1.0).eval());
        Ok(())
    });
    // A fuse inside of the closure of another one, which does not depend on it.
    let nested = fuse(|x: Expr<f64>| {
        let half = fuse(|y: Expr<f64>| y / 2.0)?;
        Ok(half.call(x) + 1.0)
    })
    .unwrap();
    assert_eq!(nested.eval(4.0).unwrap().item().unwrap(), 3.0);
    let matrix = count([2, 2]);
    let product = fuse(|x: Expr<f32>| x + Matmul::new(&matrix, &matrix).map(|p| p * 2.0)).unwrap();
    assert_eq!(product.eval(1.0).unwrap().to_vec().unwrap(), [5.0, 7.0, 13.0, 23.0]);
    let epilogue = fuse(|p: Expr<f32>, by: Expr<f32>| (p * by).maximum(5.0)).unwrap();
    let done = Matmul::new(&matrix, &matrix).map(move |p| epilogue.call((p, 2.0))).run().unwrap();
    assert_eq!(done.to_vec().unwrap(), [5.0, 6.0, 12.0, 22.0]);
}

#[test]
fn long_programs_and_many_captured_arrays() {
    let x = count([500]).cast::<f64>().eval().unwrap();
    let chain = |x: Expr<f64>, steps: usize| (0..steps).fold(x, |e, i| (e + i as f64).sqrt());
    let captured: Vec<Array<f64>> = (0..12).map(|i| values::<f64>([500], i + 1)).collect();
    let sum = |x: Expr<f64>| captured.iter().fold(x, |e, a| e * 0.5 + a);
    for steps in [1, 4, 5, 32, 33, 200] {
        let f = fuse(|x: Expr<f64>| chain(x, steps)).unwrap();
        for device in required_devices() {
            let mut out = Array::zeros([500]).unwrap();
            with_device(&device, || {
                same(&format!("{steps} on {device}"), f.eval(&x), chain(of(&x), steps).eval());
                same(&format!("{steps} on {device}"), f.call(&x).eval(), chain(of(&x), steps).eval());
                let into = f.eval_into(&x, &mut out.view_mut().unwrap()).map(|()| out);
                same("into", into, chain(of(&x), steps).eval());
                match (f.sum(&x), chain(of(&x), steps).sum()) {
                    (Ok(got), Ok(want)) => assert_eq!(got, want, "the sum of {steps} on {device}"),
                    (got, want) => assert!(got.is_err() && want.is_err(), "the sum of {steps} on {device}"),
                }
            });
        }
    }
    let f = fuse(sum).unwrap();
    on_every_device(|_| {
        same("12 captured arrays", f.eval(&x), sum(of(&x)).eval());
        same("12 captured arrays, called", (f.call(&x) * 2.0).eval(), (sum(of(&x)) * 2.0).eval());
        assert_eq!(format!("{}", f.sum(&x)?), format!("{}", sum(of(&x)).sum()?));
        Ok(())
    });
    // A graph whose steps are read many times.
    let double = |x: Expr<f64>| (0..40).fold(x, |e, _| (&e + &e) * 0.5);
    let g = fuse(double).unwrap();
    assert_eq!(g.call(&x).eval().unwrap().to_vec().unwrap(), x.to_vec().unwrap());
    assert_eq!(g.call(&x + 0.0).eval().unwrap().to_vec().unwrap(), x.to_vec().unwrap());
}

#[test]
fn programs_without_steps_or_arguments() {
    let identity = fuse(|x: Expr<f32>| x).unwrap();
    let constant = fuse(|_: Expr<f32>| 2.5f32.into_expr()).unwrap();
    let a = count([3]);
    let other = fuse(|_: Expr<f32>| (&a).into_expr()).unwrap();
    let second = fuse(|_: Expr<f32>, y: Expr<i64>| y).unwrap();
    on_every_device(|_| {
        let x = count([2, 2]);
        assert_eq!(identity.eval(&x)?.to_vec()?, x.to_vec()?);
        assert_eq!(identity.eval(7.0)?.item()?, 7.0);
        assert_eq!((identity.call(&x) + 1.0).eval()?.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
        let mut out = Array::zeros([2, 2])?;
        identity.eval_into(&x, &mut out.view_mut()?)?;
        assert_eq!((out.to_vec()?, identity.sum(&x)?), (x.to_vec()?, 6.0));
        assert_eq!((constant.eval(&x)?.shape(), constant.eval(&x)?.item()?), (&[][..], 2.5));
        constant.eval_into(&x, &mut out.view_mut()?)?;
        assert_eq!(out.to_vec()?, [2.5; 4]);
        assert_eq!(other.eval(&x)?.to_vec()?, [0.0, 1.0, 2.0]);
        assert_eq!(other.sum(&x)?, 3.0);
        assert_eq!(second.eval((&x, 3))?.item()?, 3, "an argument that no step reads may have any shape");
        Ok(())
    });
}

#[test]
fn it_prints_its_program() {
    let a = count([2, 1]);
    let f = fuse(|x: Expr<f32>, n: Expr<i32>| (x * 2.0 + n.cast::<f32>()).maximum(&a)).unwrap();
    let expected = "fuse(x0: f32, x1: i32) -> f32\n  a0: f32 = array of shape [2, 1]\n  v0: f32 = mul(x0, 2.0f32)\n  \
                    v1: f32 = cast::<f32>(x1)\n  v2: f32 = add(v0, v1)\n  v3: f32 = maximum(v2, a0)";
    assert_eq!(f.to_string(), expected);
    assert_eq!(format!("{f:?}"), expected);
    assert_eq!(fuse(|x: Expr<u8>| x).unwrap().to_string(), "fuse(x0: u8) -> u8\n  x0");
    // Equal steps and constants are computed once.
    let g = fuse(|x: Expr<f32>| (&x * 2.0).sqrt() + (&x * 2.0).sqrt()).unwrap();
    assert_eq!(g.to_string().lines().count(), 4, "{g}");
}

/// The traits that threads need.
fn is_shared<F: Send + Sync + Clone + 'static>(_: &F) {}

#[test]
fn threads_share_one_function() {
    for _ in 0..20 {
        let f = fuse(|x: Expr<f64>, a: Expr<f64>| (x * a + 1.0).square()).unwrap();
        is_shared(&f);
        let (devices, barrier) = (required_devices(), Barrier::new(8));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (f, devices, barrier) = (f.clone(), &devices, &barrier);
                scope.spawn(move || {
                    let x = values::<f64>([1 + thread * 30], 3);
                    let device = devices.get(thread).cloned().unwrap_or(Device::auto());
                    barrier.wait();
                    for k in 0..30 {
                        let a = f64::from(k);
                        let run = || same("a thread", f.eval((&x, a)), (&x * a + 1.0).square().eval());
                        if k % 3 == 0 { run() } else { with_device(&device, run) }
                    }
                });
            }
        });
    }
}

#[test]
fn many_limits_and_devices_keep_their_plans_apart() {
    let f = fuse(|x: Expr<f32>| x * 2.0 + 1.0).unwrap();
    let x = count([10]);
    let expected = (&x * 2.0 + 1.0).eval().unwrap().to_vec().unwrap();
    // More kinds of calls than a function remembers.
    for threads in (1..200).chain(1..5) {
        assert_eq!(with_threads(threads, || f.eval(&x)).unwrap().to_vec().unwrap(), expected);
    }
    for device in required_devices().iter().chain([&Device::auto()]) {
        match f.eval_on(device, &x) {
            Ok(y) => assert_eq!(y.to_vec().unwrap(), expected, "{device}"),
            Err(e) => assert!(matches!(e, Error::Refused { .. }), "{device}: {e}"),
        }
    }
    let (done, trace) = trace::record(|| f.eval_on(&Device::scalar(), &x));
    assert_eq!(done.unwrap().to_vec().unwrap(), expected);
    assert!(trace.events.iter().any(|e| e.device == "scalar"), "{trace}");
    assert!(f.explain(&x).unwrap().candidates.iter().any(|c| c.device == "scalar"));
}

/// BLAS has no elementwise operations, and GPUs have no f64.
#[test]
fn a_device_that_refuses_the_program_is_an_error() {
    let f = fuse(|x: Expr<f64>, a: Expr<f64>| (x * a + 1.0).sqrt()).unwrap();
    let is = |e: &Error| matches!(e, Error::Refused { .. });
    // A size of the fast path, one of the regular path, and an operand that is not contiguous.
    let large = count([300, 100]).cast::<f64>().eval().unwrap();
    let operands = [count([10]).cast::<f64>().eval().unwrap(), large.t(), large];
    for device in required_devices().iter().filter(|d| d.name() == "blas" || d.name().starts_with("gpu")) {
        for x in &operands {
            let expected = (x * 2.0 + 1.0).sqrt().eval().unwrap();
            let mut out = Array::full(x.shape(), 7.0).unwrap();
            // Again after a call that another device has run, and whose choice is cached.
            for _ in 0..2 {
                refused(f.eval_on(device, (x, 2.0)), is, &[device.name()]);
                refused(with_device(device, || f.eval((x, 2.0))), is, &[device.name()]);
                refused(with_device(device, || f.eval_into((x, 2.0), &mut out.view_mut()?)), is, &[device.name()]);
                refused(with_device(device, || f.sum((x, 2.0))), is, &[device.name()]);
                refused(with_device(device, || f.call((x, 2.0)).eval()), is, &[device.name()]);
                assert!(out.iter().unwrap().all(|x| x == 7.0), "{device}: something was written");
                assert!(f.explain((x, 2.0)).unwrap().chosen != device.name());
                assert_eq!(f.eval((x, 2.0)).unwrap(), expected, "auto runs it on another device");
                assert_eq!(f.eval_on(&Device::scalar(), (x, 2.0)).unwrap(), expected);
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let f = fuse(|x: Expr<f32>, y: Expr<f32>| x * 2.0 + y).unwrap();
    let (x, y) = (count([3]), count([4]));
    on_every_device(|_| {
        let both = |e: Error| {
            let message = e.to_string();
            assert!(matches!(e, Error::Broadcast { .. }), "{e:?}");
            assert!(message.contains("[3]") && message.contains("[4]"), "{message}");
        };
        both(f.eval((&x, &y)).unwrap_err());
        both(f.eval((x.clone(), y.clone())).unwrap_err());
        both(f.call((&x, &y)).eval().unwrap_err());
        both(f.sum((&x, &y)).unwrap_err());
        both(f.mean_axis((&x, &y), 0).unwrap_err());
        both(f.explain((&x, &y)).unwrap_err());
        let mut out = Array::full([3], 7.0)?;
        both(f.eval_into((&x, &y), &mut out.view_mut()?).unwrap_err());
        let error = f.eval_into((&y, &y), &mut out.view_mut()?).unwrap_err();
        assert!(matches!(error, Error::BroadcastTo { .. }), "{error:?}");
        assert!(f.eval_into((&count([2, 3]), &x), &mut out.view_mut()?).is_err(), "a view with fewer axes");
        assert_eq!(out.to_vec()?, [7.0; 3], "nothing was written");
        assert!(matches!(f.sum_axis((&x, &x), 1), Err(Error::Axis { .. })));
        // The error of an expression that is an argument, even if no step reads it.
        let bad = || &x + &y;
        assert!(matches!(f.eval((bad(), &x)), Err(Error::Broadcast { .. })));
        assert!(matches!(f.eval((&x, &bad())), Err(Error::Broadcast { .. })));
        let first = fuse(|x: Expr<f32>, _: Expr<f32>| x)?;
        assert!(matches!(first.eval((&x, bad())), Err(Error::Broadcast { .. })));
        Ok(())
    });
    // A result whose size overflows.
    let huge = Array::<f32>::zeros([1]).unwrap().broadcast_to([1 << 60]).unwrap();
    let wide = fuse(|x: Expr<f32>| x.cast::<f64>()).unwrap();
    assert!(matches!(wide.eval(&huge), Err(Error::TooLarge { .. })));
    let column = Array::<f32>::zeros([1, 1]).unwrap().broadcast_to([1 << 40, 1]).unwrap();
    let row = Array::<f32>::zeros([1]).unwrap().broadcast_to([1 << 40]).unwrap();
    assert!(matches!(f.eval((&column, &row)), Err(Error::TooLarge { .. })));
}

#[test]
fn captured_arrays_must_fit_each_other_and_the_arguments() {
    let (a, b) = (count([3]), count([4]));
    assert!(matches!(fuse(|x: Expr<f32>| x + (&a * &b)), Err(Error::Broadcast { .. })));
    assert!(matches!(fuse(|x: Expr<f32>| (&x + &a) * (x + &b)), Err(Error::Broadcast { .. })));
    let f = fuse(|x: Expr<f32>| x + &a).unwrap();
    assert_eq!(f.eval(1.0).unwrap().to_vec().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(f.eval(count([2, 1])).unwrap().shape(), [2, 3]);
    assert!(matches!(f.eval(&b), Err(Error::Broadcast { .. })));
}

/// Asserts that an error says that arguments have no elements, and what to do.
#[track_caller]
fn not_called<T>(result: Result<T>) {
    let error = result.err().expect("an argument of a closure has no elements");
    let message = error.to_string();
    assert!(matches!(error, Error::NotCalled { .. }), "{error:?}");
    assert!(message.contains("f.eval(..)") && message.contains("f.sum(..)"), "{message}");
}

#[test]
fn a_closure_cannot_evaluate_its_arguments() {
    not_called(fuse(|x: Expr<f32>| Ok(x.eval()?.into_expr())));
    not_called(fuse(|x: Expr<f32>| Ok((x + 1.0).eval()?.into_expr())));
    not_called(fuse(|x: Expr<f32>| Ok((x * 2.0 + 1.0).sqrt().eval()?.into_expr())));
    not_called(fuse(|x: Expr<f32>| Ok(x.eval_on(&Device::scalar())?.into_expr())));
    not_called(fuse(|x: Expr<f32>| {
        let sum = x.sum()?;
        Ok(x / sum)
    }));
    not_called(fuse(|x: Expr<f32>| Ok(x.max_axis(0)?.into_expr())));
    not_called(fuse(|x: Expr<f32>| Ok(x.cumsum(0)?.into_expr())));
    not_called(fuse(|x: Expr<f32>| Ok(x.std(0)?.into_expr())));
    not_called(fuse(|x: Expr<f32>| x.explain().map(|_| x)));
    let mut out = Array::<f32>::zeros([3]).unwrap();
    not_called(fuse(|x: Expr<f32>| {
        x.eval_into(&mut out.view_mut()?)?;
        out.view_mut()?.assign(&x + 1.0)?;
        Ok(x)
    }));
    assert_eq!(out.to_vec().unwrap(), [0.0; 3]);
    // Their shape is not known, nor that of what depends on them.
    let a = count([3]);
    not_called(fuse(|x: Expr<f32>| x.shape().map(|_| x)));
    not_called(fuse(|x: Expr<f32>| x.clone().sqrt().shape().map(|_| x)));
    not_called(fuse(|x: Expr<f32>| (&x + &a).shape().map(|_| x)));
    not_called(fuse(|x: Expr<f32>| ((&x + &a) * &a).sqrt().shape().map(|_| x)));
    // The shape of what does not depend on them is known.
    assert!(fuse(|x: Expr<f32>| (&a * 2.0).shape().map(|_| x)).is_ok());
    // The epilogue of a product must have a known shape.
    let m = count([3, 3]);
    not_called(fuse(|x: Expr<f32>| Ok(x.clone() + Matmul::new(&m, &m).map(|p| p + x).run()?)));
}

#[test]
fn arguments_mean_nothing_outside_of_their_closure() {
    let kept = RefCell::new(Vec::new());
    let f = fuse(|x: Expr<f32>| {
        kept.borrow_mut().push(x.clone());
        kept.borrow_mut().push(&x * 2.0);
        x + 1.0
    })
    .unwrap();
    assert_eq!(f.eval(1.0).unwrap().item().unwrap(), 2.0);
    for e in kept.take() {
        not_called(e.clone().eval());
        not_called(e.sum());
        not_called((&e + 1.0).eval());
        not_called(f.eval(&e));
        not_called(f.sum(&e));
        not_called(fuse(|x: Expr<f32>| x + &e));
        not_called(fuse(|_: Expr<f32>| e.clone()));
        // An argument of the outer closure in an inner one.
        not_called(fuse(|x: Expr<f32>| {
            let inner = fuse(|y: Expr<f32>| y + &x)?;
            Ok(inner.call(x))
        }));
    }
    // A call inside of the closure cannot be evaluated either.
    not_called(fuse(|x: Expr<f32>| Ok(f.eval(&x)?.into_expr())));
    not_called(fuse(|x: Expr<f32>| f.sum(&x).map(|s| x * s)));
}

#[test]
fn errors_of_the_closure_are_those_of_fuse() {
    assert!(matches!(fuse(|x: Expr<f32>| x.bitand(1.0)), Err(Error::DTypeUndefined { .. })));
    assert!(matches!(fuse(|x: Expr<Complex<f32>>| x.floor()), Err(Error::DTypeUndefined { .. })));
    let own = || -> Result<Expr<f32>> { Err(Error::Program("on purpose".into())) };
    assert!(matches!(fuse(|_: Expr<f32>| own()), Err(Error::Program(_))));
    let file = fuse(|x: Expr<f32>| Ok(x + io::read_npy::<f32>("does/not/exist.npy")?));
    assert!(matches!(file, Err(Error::File { .. })));
}

#[test]
fn a_panic_in_a_closure_breaks_nothing() {
    let f = fuse(|x: Expr<f32>| x + 1.0).unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        fuse(|x: Expr<f32>| {
            let _inner = fuse(|y: Expr<f32>| y * 2.0).unwrap().call(&x);
            let panics = true;
            if panics {
                panic!("on purpose");
            }
            x
        })
    }));
    assert!(unwound.is_err());
    assert_eq!(f.eval(count([3])).unwrap().to_vec().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(fuse(|x: Expr<f32>| x * 2.0).unwrap().eval(2.0).unwrap().item().unwrap(), 4.0);
    let unwound = catch_unwind(AssertUnwindSafe(|| with_device(&Device::scalar(), || f.eval(panicking()).map(drop))));
    assert!(unwound.is_err());
}

fn panicking() -> f32 {
    panic!("on purpose")
}
