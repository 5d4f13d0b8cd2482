//! Small arrays take the fast path (`Backend::run_small`). It must give the same bits as the general path, which
//! recording a trace forces.

use polyarray_core::{
    Array, Binary, DType, Device, Element, Expr, Fused, Gives, IntoExpr, Kind, Unary, Wide, fuse, trace, with_device,
    with_dtype,
};

/// Evaluates an expression on both paths, into a new and into an existing array, and compares the bits. It uses
/// `simd` and, if all devices agree to the bit, also `auto`, which may choose another device for the general path.
fn both_ways<U: Element>(what: &str, exact: bool, expr: impl Fn() -> Expr<U>) {
    let devices = [Device::simd().expect("the crate polyarray-simd is linked"), Device::auto()];
    for device in devices.into_iter().take(if exact { 2 } else { 1 }) {
        with_device(&device, || {
            let (long, _) = trace::record(|| expr().eval());
            let Ok(long) = long else {
                assert!(expr().eval().is_err(), "{what} on {}", device.name());
                return;
            };
            let short = expr().eval().expect("the general path computed it without an error");
            let mut given = Array::<U>::zeros(long.shape()).expect("memory for the array");
            expr()
                .eval_into(&mut given.view_mut().expect("no other array shares the buffer"))
                .expect("the general path computed it without an error");
            for got in [&short, &given] {
                assert_eq!(bytes(got), bytes(&long), "{what} {:?} on {}", long.shape(), device.name());
            }
        });
    }
}

/// Returns the elements as text, with one form for all NaNs.
fn bytes<U: Element>(x: &Array<U>) -> Vec<String> {
    x.to_vec().expect("the array is in host memory").iter().map(|x| format!("{x:?}")).collect()
}

fn values<T: Element>(n: usize, step: i128) -> Array<T> {
    let one = |i: usize| match (i as i128 * step) % 11 - 5 {
        v if i % 7 == 3 => T::from_wide(Wide::Float(v as f64 / 3.0)),
        5 => T::from_wide(Wide::Float(f64::NAN)),
        v => T::from_wide(Wide::Int(v)),
    };
    Array::from_vec((0..n).map(one).collect(), [n]).expect("the vector has as many elements as the shape")
}

fn cases<T: Element>() {
    for n in [1, 2, 33, 1000] {
        let (x, y) = (values::<T>(n, 3), values::<T>(n, 7));
        let value = y.get([n / 2]).expect("the index is inside the array");
        for &op in Unary::ALL.iter().filter(|op| op.info().kinds.contains(T::DTYPE)) {
            let name = format!("{} of {}", op.info().name, T::DTYPE);
            let exact = op.info().ulp_cpu == 0.0 && T::DTYPE.kind() != Kind::Complex;
            match op.info().gives {
                Gives::Same => both_ways::<T>(&name, exact, || (&x).into_expr().unary(op)),
                Gives::Truth => both_ways::<bool>(&name, exact, || (&x).into_expr().unary(op)),
                Gives::Magnitude => both_ways::<T::Real>(&name, exact, || (&x).into_expr().unary(op)),
            }
        }
        for &op in Binary::ALL.iter().filter(|op| op.info().kinds.contains(T::DTYPE)) {
            let name = format!("{} of {}", op.info().name, T::DTYPE);
            let exact = op.info().ulp_cpu == 0.0 && T::DTYPE.kind() != Kind::Complex;
            if op.info().gives == Gives::Truth {
                both_ways::<bool>(&name, exact, || (&x).into_expr().binary(op, &y));
                both_ways::<bool>(&name, exact, || (&x).into_expr().binary(op, value));
                both_ways::<bool>(&name, exact, || value.into_expr().binary(op, &x));
            } else {
                both_ways::<T>(&name, exact, || (&x).into_expr().binary(op, &y));
                both_ways::<T>(&name, exact, || (&x).into_expr().binary(op, value));
                both_ways::<T>(&name, exact, || value.into_expr().binary(op, &x));
            }
        }
    }
}

#[test]
fn every_ufunc_and_dtype_gives_the_same_either_way() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => cases::<T>());
    }
}

/// Programs of several steps, with temporaries, products that are fused with sums, values of other dtypes, and operands
/// that occur more than once.
#[test]
fn several_steps_give_the_same_either_way() {
    for n in [1, 7, 33, 1000, 2500, 8000] {
        let [x, y, z] = [3, 7, 5].map(|step| values::<f64>(n, step));
        let i = values::<i32>(n, 9);
        let m = x.greater(0.5).eval().expect("memory for the array");
        both_ways("affine, squared", true, || (&x * 2.0 + 1.0).square());
        both_ways("product plus product", true, || &x * &y + &y * &z);
        both_ways("product minus value", true, || (&x * &y - 3.0) * (1.5 - &z * 0.5));
        both_ways("a product that two steps read", true, || {
            let p = &x * &y;
            (&p + 1.0) * (&p - &z)
        });
        both_ways("a factor that a step after its product reads", true, || {
            let t = &x - 1.0;
            &t * &y + (-t.square()).abs()
        });
        both_ways("five steps", true, || ((&x * 2.0 + &y).sqrt() * 0.5 - 1.0).abs());
        both_ways("nested", true, || (&x + &y) * (&y + &z) - (&x + &z) * (&z - &y));
        both_ways("one operand many times", true, || (&x + &x) * &x - &x / &x);
        both_ways("comparison", true, || (&x + &y).less(&z * 2.0));
        both_ways("casts", true, || (i.cast::<f64>() * 0.5 + &x).cast::<f32>().cast::<i32>() + &i);
        both_ways("select", true, || polyarray_core::select(&m, &x * 2.0, &y - 1.0).maximum(&z));
        both_ways("select of values", true, || polyarray_core::select(x.less(&y), 1.0, &z) + 1.0);
        both_ways("mul_add", true, || x.mul_add(&y, &z) * 2.0);
        both_ways("nine steps", true, || {
            let mut e = &x + 1.0;
            for k in 0..8 {
                e = (e * &y - f64::from(k)).abs();
            }
            e
        });
        let h = values::<polyarray_core::f16>(n, 3);
        both_ways("half floats", true, || (&h + &h) * &h);
    }
}

/// Makes a random program of up to eight steps, in which steps read any earlier value: every order of products, sums
/// and other readers occurs.
fn random_program<T: Element>(seed: u64, inputs: [impl IntoExpr<T>; 3]) -> Expr<T> {
    let mut state = seed;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut pool: Vec<Expr<T>> = inputs.into_iter().map(IntoExpr::into_expr).collect();
    for _ in 0..2 + next(6) {
        let (x, y) = (pool[next(pool.len())].clone(), pool[next(pool.len())].clone());
        pool.push(match next(8) {
            0 | 1 => x.mul(y),
            2 => x.add(y),
            3 => x.sub(y),
            4 => x.square(),
            5 => x.not_equal(y.clone()).cast::<T>().add(y),
            6 => x.mul(T::from_wide(Wide::Int(3))).add(y),
            _ => x.cast::<f64>().cast::<T>(),
        });
    }
    let last = pool.pop().expect("the pool has values");
    let other = pool.pop().expect("the pool has values");
    last.add(other)
}

/// Calls a compiled function with arrays and single values, on both paths, into a new array, an existing one and the
/// memory of an argument, and compares the bits with those of the expression.
fn compiled<T: Element>(
    what: &str,
    exact: bool,
    f: &Fused<(T, T, T), T>,
    [x, y, z]: &[Array<T>; 3],
    expr: &dyn Fn([Expr<T>; 3]) -> Expr<T>,
) {
    let value = y.get([y.len() / 2]).expect("the index is inside the array");
    let own = |x: &Array<T>| Array::from_vec(x.to_vec().expect("host"), x.shape()).expect("as many as the shape holds");
    let devices = [Device::simd().expect("the crate polyarray-simd is linked"), Device::auto()];
    for device in devices.into_iter().take(if exact { 2 } else { 1 }) {
        with_device(&device, || {
            let mut given = Array::<T>::zeros(x.shape()).expect("memory for the array");
            macro_rules! same {
                ($(($a:expr, $b:expr, $c:expr);)*) => { $(
                    let what = format!("{what} {:?} on {}: {}", x.shape(), device.name(), stringify!($a, $b, $c));
                    let expected = expr([$a.into_expr(), $b.into_expr(), $c.into_expr()]).eval().expect("defined");
                    let (long, _) = trace::record(|| f.eval(($a, $b, $c)).expect("the expression was evaluated"));
                    assert_eq!(bytes(&long), bytes(&expected), "{what}, the general path");
                    let short = f.eval(($a, $b, $c)).expect("the general path computed it");
                    assert_eq!(bytes(&short), bytes(&expected), "{what}");
                    if short.shape() == given.shape() {
                        let mut view = given.view_mut().expect("no other array shares the buffer");
                        f.eval_into(($a, $b, $c), &mut view).expect("the general path computed it");
                        assert_eq!(bytes(&given), bytes(&expected), "{what}, into an array");
                    }
                )* };
            }
            same! {
                (x, y, z);
                (x, value, z);
                (value, value, z);
                (value, y, value);
                (x, x, x);
                (own(x), y, z);
                (x, own(y), value);
            }
        });
    }
}

fn random_programs<T: Element>() {
    // Bools have no arithmetic but sums and products, which are logical.
    for seed in 0..if T::DTYPE == DType::Bool { 0 } else { 400u64 } {
        let n = [1, 9, 40, 2100][seed as usize % 4];
        let inputs = [3, 7, 5].map(|step| values::<T>(n, step));
        let exact = T::DTYPE.kind() != Kind::Complex;
        both_ways(&format!("program {seed} of {}", T::DTYPE), exact, || random_program(seed, inputs.each_ref()));
        let f =
            fuse(|x: Expr<T>, y: Expr<T>, z: Expr<T>| random_program(seed, [x, y, z])).expect("the steps are defined");
        compiled(&format!("program {seed} of {}", T::DTYPE), exact, &f, &inputs, &|all| random_program(seed, all));
        with_device(&Device::simd().expect("linked"), || {
            // The sum of an expression, and an update with one, against the value of the general path.
            let (value, _) =
                trace::record(|| random_program(seed, inputs.each_ref()).eval().expect("memory for the array"));
            let (sum, _) = trace::record(|| value.sum().expect("a sum"));
            let program = || random_program(seed, inputs.each_ref());
            assert_eq!(format!("{:?}", program().sum().expect("a sum")), format!("{sum:?}"));
            assert_eq!(
                format!("{:?}", f.sum((&inputs[0], &inputs[1], &inputs[2])).expect("a sum")),
                format!("{sum:?}")
            );
            let mut updated =
                Array::from_vec(inputs[1].to_vec().expect("host"), [n]).expect("as many as the shape holds");
            updated += program();
            let (expected, _) = trace::record(|| (&inputs[1] + &value).eval().expect("memory for the array"));
            assert_eq!(bytes(&updated), bytes(&expected), "update {seed} of {}", T::DTYPE);
        });
    }
}

#[test]
fn random_programs_give_the_same_either_way() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => random_programs::<T>());
    }
}

/// More kinds of work than there are places for choices still run on the device that each needs.
#[test]
fn many_kinds_of_work_alternate() {
    let x = values::<f32>(40, 3);
    let kinds: Vec<Unary> = Unary::ALL.iter().copied().filter(|op| op.info().gives == Gives::Same).collect();
    let kinds = || kinds.iter().filter(|op| op.info().kinds.contains(DType::F32));
    let expected: Vec<_> = kinds().map(|&op| bytes(&x.clone().into_expr().unary::<f32>(op).eval().unwrap())).collect();
    for _ in 0..3 {
        for n in [40, 700, 3] {
            let y = values::<f32>(n, 3);
            for (&op, expected) in kinds().zip(&expected) {
                let got = bytes(&(&y).into_expr().unary::<f32>(op).eval().unwrap());
                assert!(n != 40 || got == *expected, "{}", op.info().name);
                assert_eq!(got.len(), n);
                assert!(y.sum().is_ok() && (&y + &y).eval().is_ok());
            }
        }
    }
}

/// An array that is updated in place, and one whose memory the result takes, have the same bits as a new result.
#[test]
fn operands_in_the_output_are_read_before_they_are_written() {
    with_device(&Device::simd().expect("linked"), || {
        for n in [1, 5, 8, 9, 100, 3000] {
            let [x, y] = [3, 7].map(|step| values::<f64>(n, step));
            let fresh = |e: Expr<f64>| bytes(&e.eval().expect("memory for the array"));
            let own = || Array::from_vec(x.to_vec().expect("host"), [n]).expect("as many as the shape holds");
            let mut z = own();
            z += &y;
            assert_eq!(bytes(&z), fresh(&x + &y), "{n}");
            z = own();
            z *= 3.0;
            assert_eq!(bytes(&z), fresh(&x * 3.0), "{n}");
            let given = own();
            let there = given.as_slice().expect("contiguous").as_ptr();
            let result = ((given * 2.0 + &y) * &y - 1.0).eval().expect("memory for the array");
            assert_eq!(result.as_slice().expect("contiguous").as_ptr(), there, "the operand is donated");
            assert_eq!(bytes(&result), fresh((&x * 2.0 + &y) * &y - 1.0), "{n}");
            let given = own();
            let twice = (&given * &given + given * 2.0).eval().expect("memory for the array");
            assert_eq!(bytes(&twice), fresh(&x * &x + &x * 2.0), "{n}");
        }
        // A view that begins inside its buffer, donated and updated.
        let whole = values::<f64>(100, 3);
        let view = whole.slice([polyarray_core::SliceItem::from(30isize..)]).expect("inside");
        let expected = bytes(&(&view * 2.0 + 1.0).eval().expect("memory for the array"));
        drop(whole);
        assert_eq!(bytes(&(view * 2.0 + 1.0).eval().expect("memory for the array")), expected);
    });
}

fn totals<T: Element>(real: bool) {
    for n in [1, 2, 3, 7, 8, 9, 16, 33, 64, 65, 1000, 1001, 5000] {
        for step in [1, 3, 7] {
            let x = values::<T>(n, step);
            let devices = [Device::simd().expect("linked"), Device::auto()];
            for device in &devices {
                with_device(device, || {
                    macro_rules! same {
                        ($($e:expr),* $(,)?) => { $(
                            let (long, _) = trace::record(|| format!("{:?}", $e));
                            assert_eq!(format!("{:?}", $e), long, "{} of {n} {}", stringify!($e), T::DTYPE);
                        )* };
                    }
                    same!(x.sum(), x.prod(), x.mean(), x.any(), x.all(), x.count_nonzero(), x.square().sum());
                    same!(x.var(0), x.std(0), x.std(1), x.norm());
                    if real {
                        same!(x.min(), x.max(), x.argmin(), x.argmax());
                    }
                });
            }
        }
    }
}

#[test]
fn reductions_of_small_arrays_give_the_same_either_way() {
    for dtype in DType::ALL {
        with_dtype!(dtype, T => totals::<T>(dtype.kind() != Kind::Complex));
    }
    // Contiguous arrays of several axes and views are one run; others take the general path.
    with_device(&Device::simd().expect("linked"), || {
        let x = Array::from_vec((0..24).map(f64::from).collect(), [2, 3, 4]).expect("as many as the shape holds");
        assert_eq!((x.sum().unwrap(), x.argmax().unwrap(), x.mean().unwrap()), (276.0, 23, 11.5));
        let view = x.slice([polyarray_core::SliceItem::from(1isize)]).expect("inside");
        assert_eq!((view.sum().unwrap(), view.argmin().unwrap(), view.t().argmax().unwrap()), (210.0, 0, 11));
        assert!(Array::<f64>::zeros([0]).unwrap().min().is_err());
        assert_eq!(Array::<f64>::zeros([0]).unwrap().sum().unwrap(), 0.0);
    });
}

/// Reductions over some axes of arrays of `shape`, on both paths. Of the elements, `special` are infinite or NaN.
fn over_axes<T: Element>(shape: &[usize], special: bool) {
    let one = |i: usize| match i * 7919 % 101 {
        3 if special => Wide::Float(f64::NAN),
        50 if special => Wide::Float(f64::INFINITY),
        v if i.is_multiple_of(3) => Wide::Int(v as i128 - 50),
        v => Wide::Float(v as f64 / 7.0 - 6.0),
    };
    let all = shape.iter().product();
    let x = Array::from_vec((0..all).map(|i| T::from_wide(one(i))).collect(), shape).expect("as many as fit");
    let mut sets: Vec<Vec<isize>> = vec![vec![]];
    for axis in 0..shape.len() as isize {
        let longer: Vec<Vec<isize>> = sets.iter().map(|s| [&[axis], &s[..]].concat()).collect();
        sets.extend(longer);
    }
    for axes in &sets {
        for keep in [false, true] {
            let over = || {
                let axes = polyarray_core::axis(&axes[..]);
                if keep { axes.keepdims() } else { axes }
            };
            macro_rules! same {
                ($($e:expr),* $(,)?) => { $(
                    let text = || $e.map(|a| (a.shape().to_vec(), bytes(&a))).map_err(|e| e.to_string());
                    let (long, _) = trace::record(text);
                    assert_eq!(text(), long, "{} over {axes:?} of {shape:?} {}", stringify!($e), T::DTYPE);
                )* };
            }
            same!(x.sum_axis(over()), x.prod_axis(over()), x.mean_axis(over()), x.any_axis(over()), x.all_axis(over()));
            same!(x.count_nonzero_axis(over()), x.min_axis(over()), x.max_axis(over()));
            same!(x.argmin_axis(over()), x.argmax_axis(over()), x.square().sum_axis(over()));
            same!(x.var_axis(over(), 0), x.std_axis(over(), 1), x.norm_axis(over()));
        }
    }
}

#[test]
fn reductions_of_small_arrays_over_axes_give_the_same_either_way() {
    let matrices = [[1, 1], [1, 5], [5, 1], [2, 3], [3, 2], [7, 16], [65, 16], [9, 17], [66, 17], [300, 3], [3, 300]];
    let others: [&[usize]; 8] =
        [&[0, 3], &[3, 0], &[2, 0, 1], &[2, 3, 4], &[4, 1, 6], &[1, 9, 20], &[130, 2, 1], &[3, 2, 2, 5]];
    for device in [Device::simd().expect("linked"), Device::auto()] {
        with_device(&device, || {
            for dtype in DType::ALL {
                for shape in matrices.iter().map(|s| &s[..]).chain(others) {
                    with_dtype!(dtype, T => over_axes::<T>(shape, false));
                    with_dtype!(dtype, T => over_axes::<T>(shape, true));
                }
            }
            // Rows longer than a block, whose results are joined as a tree.
            over_axes::<f64>(&[2, 2050], false);
            over_axes::<f32>(&[3, 4200], false);
            over_axes::<u8>(&[3, 20_000], false);
            over_axes::<f32>(&[4200, 3], false);
        });
    }
}

#[test]
fn other_expressions_take_the_general_path() {
    with_device(&Device::simd().expect("the crate polyarray-simd is linked"), || {
        let x = Array::from_vec((0..12).map(f64::from).collect(), [3, 4]).unwrap();
        let transposed = x.t();
        assert_eq!((&transposed + &transposed).eval().unwrap().get([1, 2]).unwrap(), 18.0);
        let row = x.slice([polyarray_core::SliceItem::from(1isize)]).unwrap();
        assert_eq!((&x * &row).eval().unwrap().get([2, 3]).unwrap(), 77.0);
        assert_eq!((&row + 1.0).eval().unwrap().to_vec().unwrap(), [5.0, 6.0, 7.0, 8.0]);
        assert!((&x + &values::<f64>(5, 1)).eval().is_err());
        assert_eq!((&Array::<f64>::zeros([0]).unwrap() + 1.0).eval().unwrap().len(), 0);
        // Donation: the result reuses the memory of an operand that nothing else refers to.
        let own = Array::from_vec(vec![1.0f64; 40], [40]).unwrap();
        let place = own.as_slice().unwrap().as_ptr();
        let sum = (own + 1.0).eval().unwrap();
        assert_eq!(sum.as_slice().unwrap().as_ptr(), place);
        assert_eq!(sum.to_vec().unwrap(), [2.0; 40]);
    });
}

#[test]
fn an_array_is_not_changed_through_its_clones() {
    let a = Array::from_vec(vec![1i32, 2, 3], [3]).unwrap();
    let mut b = a.clone();
    b += 1;
    b.set([0], 9).unwrap();
    assert_eq!((a.to_vec().unwrap(), b.to_vec().unwrap()), (vec![1, 2, 3], vec![9, 3, 4]));
    let view = a.slice([polyarray_core::SliceItem::from(0isize)]).unwrap();
    let mut c = a.clone();
    drop(a);
    c.view_mut().unwrap().fill(7).unwrap();
    assert_eq!(view.item().unwrap(), 1);
}

/// Compares the bits of scans and sorts of a line on both paths, on `simd` and on `auto`.
fn lines<T: Element>(n: usize) {
    let x = values::<T>(n, 5);
    let compare = |name: &str, run: &dyn Fn() -> polyarray_core::Result<Vec<String>>| {
        for device in [Device::simd().expect("linked"), Device::auto()] {
            with_device(&device, || {
                let short = run().map_err(|e| e.to_string());
                let long = trace::record(run).0.map_err(|e| e.to_string());
                assert_eq!(short, long, "{name} of {n} {} on {}", T::DTYPE, device.name());
            });
        }
    };
    for axis in [0, -1, 1, -2] {
        compare("cumsum", &|| Ok(bytes(&x.cumsum(axis)?)));
        compare("cumprod", &|| Ok(bytes(&x.cumprod(axis)?)));
        compare("sort", &|| Ok(bytes(&x.sort(axis)?)));
        compare("argsort", &|| Ok(bytes(&x.argsort(axis)?)));
    }
    compare("cumsum of an expression", &|| Ok(bytes(&(&x + &x).cumsum(0)?)));
    let part = x.slice(polyarray_core::s![1..;2]).expect("at least one element");
    compare("cumsum of a view", &|| Ok(bytes(&part.cumsum(0)?)));
    compare("sort of a view", &|| Ok(bytes(&part.sort(0)?)));
    let column = x.expand_dims(1).expect("two axes");
    compare("cumsum along an axis of one", &|| Ok(bytes(&column.cumsum(1)?)));
    compare("sort of a column", &|| Ok(bytes(&column.sort(0)?)));
}

#[test]
fn scans_and_sorts_of_small_lines_give_the_same_either_way() {
    for dtype in DType::ALL {
        // Around the sizes of blocks and groups of blocks of a scan, and of the networks of a sort.
        for n in [1, 2, 3, 8, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 1024, 1025, 2049, 4100] {
            with_dtype!(dtype, T => lines::<T>(n));
        }
    }
}

#[test]
fn small_products_with_vectors_have_the_shapes_and_values_of_matrices() {
    let counted = |shape: &[usize]| {
        let shape = polyarray_core::Dims::from(shape);
        Array::<f64>::from_fn(shape, |i| i.iter().fold(1.0, |x, &i| x * 3.0 + i as f64)).expect("memory")
    };
    for device in [Device::simd().expect("linked"), Device::auto()] {
        with_device(&device, || {
            for (m, k) in [(1, 1), (1, 5), (5, 1), (4, 4), (16, 16), (3, 70)] {
                let (a, x, y) = (counted(&[m, k]), counted(&[k]), counted(&[m]));
                let (column, row) = (x.expand_dims(1).expect("a column"), y.expand_dims(0).expect("a row"));
                let check = |short: Array<f64>, shape: &[usize], long: Array<f64>| {
                    assert_eq!(short.shape(), shape);
                    assert_eq!(short.to_vec().expect("host"), long.to_vec().expect("host"), "[{m}, {k}]");
                };
                check(a.matmul(&x).expect("fits"), &[m], a.matmul(&column).expect("fits"));
                check(y.matmul(&a).expect("fits"), &[k], row.matmul(&a).expect("fits"));
                check(
                    a.t().matmul(&y).expect("fits"),
                    &[k],
                    a.t().matmul(&y.expand_dims(1).expect("two")).expect("fits"),
                );
                let dot = x.dot(&x).expect("fits");
                check(dot, &[], x.expand_dims(0).expect("a row").matmul(&column).expect("fits"));
                let (long, _) = trace::record(|| a.matmul(&x));
                check(a.matmul(&x).expect("fits"), &[m], long.expect("fits"));
                let every_other = counted(&[2 * k]).slice(polyarray_core::s![..;2]).expect("inside");
                check(
                    a.matmul(&every_other).expect("fits"),
                    &[m],
                    a.matmul(&every_other.to_contiguous().expect("memory")).expect("fits"),
                );
                let reversed = x.slice(polyarray_core::s![..;-1]).expect("inside");
                check(
                    a.matmul(&reversed).expect("fits"),
                    &[m],
                    a.matmul(&reversed.to_contiguous().expect("memory")).expect("fits"),
                );
            }
            let (a, x) = (counted(&[3, 4]), counted(&[5]));
            assert!(a.matmul(&x).unwrap_err().to_string().contains("[3, 4]"));
            assert!(x.matmul(&a).is_err() && x.dot(&counted(&[4])).is_err());
            // A `Matmul` takes matrices only, whatever their size.
            let y = counted(&[4]);
            assert!(polyarray_core::Matmul::new(&a, &y).run().is_err());
            let mut out = Array::<f64>::zeros([3, 1]).expect("memory");
            assert!(polyarray_core::Matmul::new(&a, &y).run_into(&mut out.view_mut().expect("unique")).is_err());
        });
    }
}
