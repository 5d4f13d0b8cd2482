//! Linear algebra: golden values of NumPy, properties of random matrices, layouts, stacks, empty and bad matrices.

use crate::common::{layouts, nearly, on_every_device, refused};
use polyarray::MatrixFault;
use polyarray::linalg::*;
use polyarray::prelude::*;
use polyarray::with_threads;
use proptest::prelude::*;

type C64 = Complex<f64>;

fn complex<const N: usize>(numbers: [(f64, f64); N]) -> Array<C64> {
    Array::from(numbers.map(|(re, im)| Complex::new(re, im)))
}

/// A regular matrix whose results NumPy computed.
fn regular() -> Array<f64> {
    Array::from([[4.0, -2.0, 1.0], [3.0, 6.0, -4.0], [2.0, 1.0, 8.0]])
}

fn rectangular() -> Array<f64> {
    Array::from([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 13.0]])
}

fn complex_matrix() -> Array<C64> {
    complex([(1.0, 2.0), (2.0, -1.0), (0.0, 0.5), (3.0, 0.0)]).reshape([2, 2]).unwrap()
}

/// Random numbers of mean 0, also as the parts of complex ones.
fn random<T: Field>(shape: &[usize], seed: u64) -> Array<T> {
    let mut generator = polyarray::random::Generator::new(seed);
    let re = generator.normal::<f64>(shape, 0.0, 1.0).unwrap();
    let im = generator.normal::<f64>(shape, 0.0, 1.0).unwrap();
    re.zip_elements(&im, |re, im| T::from_wide(polyarray::Wide::Complex(re, im))).unwrap()
}

fn adjoint<T: Field>(a: &Array<T>) -> Array<T> {
    let t = a.swapaxes(-1, -2).unwrap();
    if T::DTYPE.kind() == polyarray::Kind::Complex { t.conj().eval().unwrap() } else { t }
}

/// Asserts that two arrays have the same shape and elements to within `eps` times `steps`, relative to the largest one.
#[track_caller]
fn close<T: Field>(got: &Array<T>, want: &Array<T>, steps: f64) {
    assert_eq!(got.shape(), want.shape());
    if got.is_empty() {
        return;
    }
    let double = |x: &Array<T>| x.cast::<C64>().eval().unwrap();
    let (got, want) = (double(got), double(want));
    let eps = if T::Part::DTYPE == DType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let error = (&got - &want).abs().max().unwrap();
    let bound = steps * eps * want.abs().max().unwrap().max(1e-300);
    assert!(error <= bound, "{error:e} exceeds {bound:e}: {got:?}, not {want:?}");
}

#[track_caller]
fn is_identity<T: Field>(a: &Array<T>, steps: f64) {
    let n = a.shape()[a.ndim() - 1];
    close(a, &Array::eye(n).unwrap().broadcast_to(a.shape()).unwrap(), steps);
}

/// Checks every decomposition of matrices `[.., m, n]` by multiplying its factors.
fn reconstructs<T: Field>(a: &Array<T>) {
    let [.., m, n] = *a.shape() else { panic!("matrices are expected") };
    let (least, steps) = (m.min(n), 64.0 + 8.0 * (m + n) as f64);
    for factors in [Factors::Reduced, Factors::Complete] {
        let (q, r) = qr(a, factors).unwrap();
        close(&q.matmul(&r).unwrap(), a, steps);
        is_identity(&adjoint(&q).matmul(&q).unwrap(), steps);
        assert!(r.tril(-1).unwrap().equal(T::ZERO).all().unwrap(), "R is upper triangular");

        let Svd { u, s, vh } = svd(a, factors).unwrap();
        is_identity(&adjoint(&u).matmul(&u).unwrap(), steps);
        is_identity(&vh.matmul(&adjoint(&vh)).unwrap(), steps);
        let cut = |x: &Array<T>, axis: isize| x.array_split_first(axis, least);
        let product = (cut(&u, -1) * s.cast::<T>().eval().unwrap().expand_dims(-2).unwrap()).eval().unwrap();
        close(&product.matmul(&cut(&vh, -2)).unwrap(), a, steps);
        assert!(s.greater_equal(T::Part::ZERO).all().unwrap());
        assert!(s.diff(1, -1).unwrap().less_equal(T::Part::ZERO).all().unwrap(), "in descending order");
        close(&svdvals(a).unwrap(), &s, steps);
    }
    let x = pinv(a, None).unwrap();
    close(&a.matmul(&x).unwrap().matmul(a).unwrap(), a, 1e3 * steps);
    if m != n {
        return;
    }
    let (values, vectors) = eig(a).unwrap();
    let complex = a.cast::<T::Spectrum>().eval().unwrap();
    close(
        &complex.matmul(&vectors).unwrap(),
        &(&vectors * values.expand_dims(-2).unwrap()).eval().unwrap(),
        1e3 * steps,
    );
    if n > 0 {
        close(&norm(&vectors, 2, -2).unwrap(), &Array::ones(values.shape()).unwrap(), steps);
    }
    let sum = a.trace_axes(0, -2, -1).unwrap().cast::<T::Spectrum>().eval().unwrap();
    close(&values.sum_axis(-1).unwrap(), &sum, 1e3 * steps);

    let gram = adjoint(a).matmul(a).unwrap();
    let definite = (&gram + Array::eye(n).unwrap()).eval().unwrap();
    let (values, vectors) = eigh(&definite).unwrap();
    is_identity(&adjoint(&vectors).matmul(&vectors).unwrap(), steps);
    let scaled = (&vectors * values.cast::<T>().eval().unwrap().expand_dims(-2).unwrap()).eval().unwrap();
    close(&scaled.matmul(&adjoint(&vectors)).unwrap(), &definite, steps);
    close(&eigvalsh(&definite).unwrap(), &values, steps);
    let l = cholesky(&definite).unwrap();
    close(&l.matmul(&adjoint(&l)).unwrap(), &definite, steps);
    assert!(l.triu(1).unwrap().equal(T::ZERO).all().unwrap(), "L is lower triangular");
    is_identity(&definite.matmul(&inv(&definite).unwrap()).unwrap(), 100.0 * steps * (1.0 + n as f64));
}

/// The first elements along an axis.
trait First {
    fn array_split_first(&self, axis: isize, len: usize) -> Self;
}

impl<T: Element> First for Array<T> {
    fn array_split_first(&self, axis: isize, len: usize) -> Self {
        self.split_at(&[len as isize], axis).unwrap().swap_remove(0)
    }
}

#[test]
fn results_are_those_of_numpy() {
    let a = regular();
    nearly(&solve(&a, &Array::from([12.0, -25.0, 32.0])).unwrap(), &[1.0, -2.0, 4.0]);
    nearly(&det(&a).unwrap(), &[263.0]);
    #[rustfmt::skip]
    nearly(&inv(&a).unwrap(), &[
        0.19771863117870722, 0.06463878326996197, 0.007604562737642592,
        -0.12167300380228137, 0.11406844106463877, 0.07224334600760458,
        -0.034220532319391636, -0.030418250950570346, 0.1140684410646388,
    ]);
    let (sign, log) = slogdet(&(-&a).eval().unwrap()).unwrap();
    nearly(&sign, &[-1.0]);
    nearly(&log, &[5.572154032177765]);
    let hermitian = Array::from([[4.0, 1.0, -2.0], [1.0, 5.0, 3.0], [-2.0, 3.0, 6.0]]);
    #[rustfmt::skip]
    nearly(&cholesky(&hermitian).unwrap(), &[
        2.0, 0.0, 0.0, 0.5, 2.179449471770337, 0.0, -1.0, 1.6059101370939322, 1.5559732104309985,
    ]);
    nearly(&eigvalsh(&hermitian).unwrap(), &[1.0, 5.267949192431122, 8.732050807568875]);
    let values = eigvals(&a).unwrap();
    nearly(&values.real().unwrap().sort(0).unwrap(), &[4.810030296148609, 4.810030296148609, 8.379939407702794]);
    nearly(&values.imag().unwrap().sort(0).unwrap(), &[-2.8719477168382688, 0.0, 2.8719477168382688]);
    let a = rectangular();
    nearly(&svdvals(&a).unwrap(), &[25.93460150516562, 1.5281778201249785, 0.24721917065433796]);
    let x = pinv(&a, None).unwrap();
    let row = [-0.16666666666666666, -1.0, 0.6666666666666674];
    close(&x.slice(s![0]).unwrap(), &Array::from(row), 100.0);
    let (_, r) = qr(&a, Factors::Reduced).unwrap();
    nearly(
        &r.diag(0).unwrap().abs().eval().unwrap().slice(s![..2]).unwrap(),
        &[10.344080432788603, 0.9472044455566255],
    );
}

#[test]
fn complex_results_are_those_of_numpy() {
    let a = complex_matrix();
    close(&det(&a).unwrap(), &complex([(2.5, 5.0)]).reshape(()).unwrap(), 8.0);
    let x = solve(&a, &complex([(0.0, 1.0), (2.0, 0.0)])).unwrap();
    close(&x, &complex([(0.48, 1.04), (0.84, -0.08)]), 8.0);
    let (sign, log) = slogdet(&a).unwrap();
    close(&sign, &complex([(0.4472135954999579, 0.8944271909999159)]).reshape(()).unwrap(), 8.0);
    nearly(&log, &[1.7210096880912054]);
    nearly(&svdvals(&a).unwrap(), &[4.178542445890361, 1.3378277272850159]);
    nearly(&eigvals(&a).unwrap().real().unwrap().sort(0).unwrap(), &[1.1005462800260664, 2.8994537199739336]);
    let hermitian = complex([(2.0, 0.0), (1.0, -1.0), (1.0, 1.0), (3.0, 0.0)]).reshape([2, 2]).unwrap();
    nearly(&eigvalsh(&hermitian).unwrap(), &[1.0, 4.0]);
    let half = std::f64::consts::FRAC_1_SQRT_2;
    let l = complex([(2f64.sqrt(), 0.0), (0.0, 0.0), (half, half), (2f64.sqrt(), 0.0)]).reshape([2, 2]).unwrap();
    close(&cholesky(&hermitian).unwrap(), &l, 8.0);
}

#[test]
fn least_squares_are_those_of_numpy() {
    let a = Array::from([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]);
    let y = Array::from([-1.0, 0.2, 0.9, 2.1]);
    let line = lstsq(&a, &y, None).unwrap();
    nearly(&line.solution, &[1.0, -0.95]);
    nearly(&line.residuals, &[0.05]);
    nearly(&line.singular_values, &[4.100030448168239, 1.0907567666961073]);
    assert_eq!(line.rank, 2);
    let several = lstsq(&a, &Array::stack(&[&y, &(&y * 2.0).eval().unwrap()], 1).unwrap(), None).unwrap();
    nearly(&several.solution, &[1.0, 2.0, -0.95, -1.9]);
    nearly(&several.residuals, &[0.05, 0.2]);
    // Of the solutions of x + y = 2 that of least norm.
    let least = lstsq(&Array::<f64>::ones([3, 2]).unwrap(), &Array::full([3], 2.0).unwrap(), None).unwrap();
    nearly(&least.solution, &[1.0, 1.0]);
    assert_eq!((least.rank, least.residuals.len()), (1, 0));
    let none = lstsq(&Array::<f64>::zeros([3, 0]).unwrap(), &Array::ones([3, 2]).unwrap(), None).unwrap();
    assert_eq!((none.solution.shape(), none.rank), (&[0, 2][..], 0));
    nearly(&none.residuals, &[3.0, 3.0]);
    let none = lstsq(&Array::<f64>::zeros([0, 3]).unwrap(), &Array::zeros([0, 2]).unwrap(), None).unwrap();
    nearly(&none.solution, &[0.0; 6]);
    assert_eq!((none.residuals.len(), none.singular_values.len()), (0, 0));
}

#[test]
fn norms_are_those_of_numpy() {
    on_every_device(|_| {
        let v = Array::from([3.0, -4.0, 0.0, 12.0]);
        for (order, expected) in [
            (0.0, 3.0),
            (0.5, 51.78460969082653),
            (1.0, 19.0),
            (2.0, 13.0),
            (3.0, 12.207054953820636),
            (-1.0, 0.0),
            (-2.0, 0.0),
            (f64::INFINITY, 12.0),
            (f64::NEG_INFINITY, 0.0),
        ] {
            nearly(&norm(&v, order, 0)?, &[expected]);
        }
        let a = rectangular();
        for (order, expected) in [
            (Order::P(1.0), 25.0),
            (Order::P(-1.0), 15.0),
            (Order::P(2.0), 25.934601505165627),
            (Order::P(-2.0), 0.24721917065433802),
            (Order::P(f64::INFINITY), 43.0),
            (Order::P(f64::NEG_INFINITY), 10.0),
            (Order::Frobenius, 25.98076211353316),
            (Order::Nuclear, 27.70999849594494),
        ] {
            nearly(&norm(&a, order, [0, 1])?, &[expected]);
            // Rows and columns are those along the first and the second axis, wherever these are.
            let stack = Array::stack(&[&a, &a, &(&a * 2.0).eval()?], 1)?;
            let norms = norm(&stack, order, axis([0, -1]).keepdims())?;
            assert_eq!(norms.shape(), [1, 3, 1]);
            nearly(&norms, &[expected, expected, 2.0 * expected]);
            nearly(&norm(&stack.t(), order, [2, 0])?, &[expected, expected, 2.0 * expected]);
        }
        let z = complex([(3.0, 4.0), (0.0, -5.0)]);
        nearly(&norm(&z, 1, 0)?, &[10.0]);
        nearly(&norm(&z, 2, -1)?, &[50f64.sqrt()]);
        nearly(&norm(&z, f64::INFINITY, axis(0).keepdims())?, &[5.0]);
        for (order, expected) in [
            (Order::P(1.0), 4.596958174904943),
            (Order::P(-1.0), 1.7452471482889738),
            (Order::P(2.0), 2.2654014672180978),
            (Order::P(-2.0), 0.4414228623361824),
            (Order::P(f64::INFINITY), 4.003802281368822),
            (Order::P(f64::NEG_INFINITY), 1.2509505703422055),
            (Order::Frobenius, 3.716478651072783),
        ] {
            nearly(&cond(&regular(), order)?, &[expected]);
            let zero = Array::<f64>::zeros([2, 2])?;
            nearly(&cond(&zero, order)?, &[f64::INFINITY]);
        }
        Ok(())
    });
}

#[test]
fn norms_of_extreme_numbers_neither_overflow_nor_vanish() {
    for scale in [1e300, 1e-300] {
        let a = (Array::<f64>::eye(3).unwrap() * scale).eval().unwrap();
        nearly(&(svdvals(&a).unwrap() / scale).eval().unwrap(), &[1.0; 3]);
        nearly(&(eigvalsh(&a).unwrap() / scale).eval().unwrap(), &[1.0; 3]);
        nearly(&(eigvals(&a).unwrap().real().unwrap() / scale).eval().unwrap(), &[1.0; 3]);
        nearly(&(norm(&a, Order::Nuclear, [0, 1]).unwrap() / scale).eval().unwrap(), &[3.0]);
        nearly(&pinv(&a, None).unwrap().diag(0).unwrap().mul(scale).eval().unwrap(), &[1.0; 3]);
        nearly(&slogdet(&a).unwrap().1, &[3.0 * f64::ln(scale)]);
    }
    // R of subnormal numbers is rounded to a multiple of the smallest one, an eighth of this one.
    for (scale, near) in [(3e38f32, 1e-6), (1e-44, 0.1)] {
        let a = Array::from([[scale], [scale * 0.5]]);
        let (q, r) = qr(&a, Factors::Reduced).unwrap();
        let [a, q, r] = [a, q, r].map(|x| x.cast::<f64>().eval().unwrap());
        let apart = (q.matmul(&r).unwrap() - &a).abs().max().unwrap();
        assert!(apart <= near * f64::from(scale), "{scale}: {apart}");
    }
    // The reciprocal of a subnormal pivot is infinite: an error in place of NaN.
    let small = Array::from([[1.0f32, 0.0], [0.0, 1e-39]]);
    refused(solve(&small, &Array::from([1.0, 0.0])), |e| matches!(e, Error::Matrix { .. }), &["pivot 1", "subnormal"]);
    let a = Array::from([[1e-200, 0.0], [0.0, 1e200]]);
    nearly(&det(&a).unwrap(), &[1.0]);
    nearly(&det(&Array::from([[1e200, 0.0, 0.0], [0.0, 1e200, 0.0], [0.0, 0.0, 1e-250]])).unwrap(), &[1e150]);
}

#[test]
fn decompositions_reconstruct_random_matrices() {
    for (i, shape) in [[1, 1], [2, 2], [5, 5], [3, 7], [7, 3], [1, 6], [6, 1], [20, 20], [40, 17]].iter().enumerate() {
        reconstructs(&random::<f32>(shape, i as u64));
        reconstructs(&random::<f64>(shape, i as u64));
        reconstructs(&random::<Complex<f32>>(shape, i as u64));
        reconstructs(&random::<C64>(shape, i as u64));
    }
    // Large enough for blocked and parallel algorithms.
    reconstructs(&random::<f64>(&[130, 130], 3));
    reconstructs(&random::<f64>(&[2, 3, 4, 4], 4));
    reconstructs(&random::<C64>(&[3, 5, 2], 5));
}

#[test]
fn decompositions_reconstruct_matrices_of_low_rank() {
    reconstructs(&Array::<f64>::zeros([4, 4]).unwrap());
    reconstructs(&Array::<C64>::zeros([3, 5]).unwrap());
    reconstructs(&Array::<f64>::ones([6, 4]).unwrap());
    reconstructs(&Array::<f64>::eye(9).unwrap());
    let outer = random::<f64>(&[8, 2], 1).matmul(&random::<f64>(&[2, 8], 2)).unwrap();
    for factors in [Factors::Reduced, Factors::Complete] {
        let Svd { u, s, vh } = svd(&outer, factors).unwrap();
        close(&(&u * &s).eval().unwrap().matmul(&vh).unwrap(), &outer, 100.0);
    }
    assert_eq!(matrix_rank(&outer, None).unwrap().item().unwrap(), 2);
    assert_eq!(matrix_rank(&Array::<f64>::zeros([2, 3, 4]).unwrap(), None).unwrap(), Array::from([0i64, 0]));
    assert_eq!(matrix_rank(&Array::from([[1.0, 0.0], [0.0, 1e-3]]), Some(0.01)).unwrap().item().unwrap(), 1);
    nearly(&pinv(&Array::<f64>::zeros([2, 3]).unwrap(), None).unwrap(), &[0.0; 6]);
}

/// Asserts that `f` gives the same result for the elements of `a` in every layout.
#[track_caller]
fn in_every_layout<T: Field, U: Field>(a: &Array<T>, f: impl Fn(&Array<T>) -> Result<Array<U>>) {
    let expected = f(a).unwrap();
    for x in layouts(a).unwrap() {
        let got = f(&x).unwrap();
        close(&got, &expected, 64.0);
        assert_eq!(&x, a, "the operand is unchanged");
    }
}

#[test]
fn views_of_every_layout_give_the_same_results() {
    let a = random::<f64>(&[2, 4, 4], 9);
    let (b, z) = (random::<f64>(&[2, 4, 3], 10), random::<C64>(&[4, 3], 11));
    in_every_layout(&a, inv);
    in_every_layout(&a, det);
    in_every_layout(&a, |a| solve(a, &b));
    in_every_layout(&b, |b| solve(&a, b));
    in_every_layout(&b, |b| Ok(qr(b, Factors::Complete)?.0));
    in_every_layout(&b, svdvals);
    in_every_layout(&z, svdvals);
    in_every_layout(&z, |z| pinv(z, None));
    in_every_layout(&z, |z| Ok(qr(z, Factors::Reduced)?.1));
    in_every_layout(&z, |z| norm(z, Order::Nuclear, [0, 1]));
    let definite = (a.matmul(&a.swapaxes(1, 2).unwrap()).unwrap() + Array::eye(4).unwrap()).eval().unwrap();
    in_every_layout(&definite, cholesky);
    in_every_layout(&definite, eigvalsh);
    // Repeated elements.
    let row = Array::from([1.0, 2.0, 4.0]).broadcast_to([3, 3]).unwrap();
    assert_eq!(matrix_rank(&row, None).unwrap().item().unwrap(), 1);
    assert_eq!(matrix_rank(&row.t(), None).unwrap().item().unwrap(), 1);
    let one = Array::from([2.0]).broadcast_to([3, 3]).unwrap();
    nearly(&svdvals(&one).unwrap(), &[6.0, 0.0, 0.0]);
    let stack = regular().broadcast_to([2, 3, 3, 3]).unwrap();
    nearly(&det(&stack).unwrap(), &[263.0; 6]);
    // One row or column, with any stride.
    nearly(&svdvals(&random_row().slice(s![.., ..;-2]).unwrap()).unwrap(), &[35f64.sqrt()]);
    nearly(&svdvals(&random_row().slice(s![.., ..;-2]).unwrap().t()).unwrap(), &[35f64.sqrt()]);
}

fn random_row() -> Array<f64> {
    Array::from([[1.0, 2.0, 3.0, 4.0, 5.0]])
}

#[test]
fn leading_axes_broadcast() {
    let (a, b) = (random::<f64>(&[3, 1, 4, 4], 1), random::<f64>(&[2, 4, 5], 2));
    let x = solve(&a, &b).unwrap();
    assert_eq!(x.shape(), [3, 2, 4, 5]);
    close(&a.matmul(&x).unwrap(), &b.broadcast_to([3, 2, 4, 5]).unwrap(), 1e4);
    // One vector for each of several matrices, and one matrix for several right-hand sides.
    let vector = random::<f64>(&[4], 3);
    let x = solve(&a, &vector).unwrap();
    assert_eq!(x.shape(), [3, 1, 4]);
    close(&solve(&a.slice(s![1, 0]).unwrap(), &vector).unwrap(), &x.slice(s![1, 0]).unwrap(), 64.0);
    let one = a.slice(s![0, 0]).unwrap();
    close(&one.matmul(&solve(&one, &b).unwrap()).unwrap(), &b, 1e4);
    refused(
        solve(&a, &random::<f64>(&[2, 2, 4, 1], 1)),
        |e| matches!(e, Error::Broadcast { .. }),
        &["[3, 1]", "[2, 2]"],
    );
}

#[test]
fn empty_matrices_give_what_numpy_gives() {
    let none = Array::<f64>::zeros([0, 0]).unwrap();
    assert_eq!(det(&none).unwrap().item().unwrap(), 1.0);
    assert_eq!(det(&Array::<f64>::zeros([2, 0, 0]).unwrap()).unwrap(), Array::from([1.0, 1.0]));
    let (sign, log) = slogdet(&none).unwrap();
    assert_eq!((sign.item().unwrap(), log.item().unwrap()), (1.0, 0.0));
    for x in [inv(&none), cholesky(&none), pinv(&none, None), matrix_power(&none, 3), matrix_power(&none, 0)] {
        assert_eq!(x.unwrap().shape(), [0, 0]);
    }
    assert_eq!(solve(&none, &Array::zeros([0]).unwrap()).unwrap().shape(), [0]);
    assert_eq!(solve(&regular(), &Array::zeros([3, 0]).unwrap()).unwrap().shape(), [3, 0]);
    assert_eq!(inv(&Array::<f64>::zeros([0, 3, 3]).unwrap()).unwrap().shape(), [0, 3, 3]);
    assert_eq!(eigh(&none).unwrap().1.shape(), [0, 0]);
    assert_eq!(eigvals(&none).unwrap().shape(), [0]);
    let wide = Array::<f64>::zeros([2, 0, 3]).unwrap();
    let Svd { u, s, vh } = svd(&wide, Factors::Complete).unwrap();
    assert_eq!((u.shape(), s.shape()), (&[2, 0, 0][..], &[2, 0][..]));
    assert_eq!(vh, Array::eye(3).unwrap().broadcast_to([2, 3, 3]).unwrap());
    assert_eq!(svd(&wide, Factors::Reduced).unwrap().vh.shape(), [2, 0, 3]);
    assert_eq!(pinv(&wide, None).unwrap().shape(), [2, 3, 0]);
    assert_eq!(matrix_rank(&wide, None).unwrap(), Array::from([0i64, 0]));
    let (q, r) = qr(&wide.swapaxes(1, 2).unwrap(), Factors::Complete).unwrap();
    assert_eq!((q, r.shape()), (Array::eye(3).unwrap().broadcast_to([2, 3, 3]).unwrap(), &[2, 3, 0][..]));
    let (q, r) = qr(&wide, Factors::Reduced).unwrap();
    assert_eq!((q.shape(), r.shape()), (&[2, 0, 0][..], &[2, 0, 3][..]));
    for order in [Order::P(1.0), Order::P(2.0), Order::P(f64::INFINITY), Order::Frobenius, Order::Nuclear] {
        assert_eq!(norm(&none, order, [0, 1]).unwrap().item().unwrap(), 0.0);
    }
    assert!(matches!(cond(&none, 2), Err(Error::Empty { .. })));
    assert!(matches!(norm(&none, -1, [0, 1]), Err(Error::Empty { .. })));
}

/// Returns whether an error is this fault of the matrix at this index of a stack.
fn is(fault: MatrixFault, at: &'static [usize]) -> impl Fn(&Error) -> bool + Copy {
    move |e| {
        let Error::Matrix { fault: found, index, .. } = e else { return false };
        *found == fault && index[..] == *at
    }
}

#[test]
fn matrices_without_a_result_are_errors_with_their_position() {
    let singular = |pivot| is(MatrixFault::Singular { pivot }, &[]);
    let ones = Array::<f64>::ones([2, 2]).unwrap();
    refused(inv(&ones), singular(1), &["inv", "[2, 2]", "singular", "pivot 1"]);
    refused(solve(&ones, &Array::from([1.0, 2.0])), singular(1), &["solve"]);
    refused(matrix_power(&Array::<f64>::zeros([3, 3]).unwrap(), -2), singular(0), &["inv"]);
    assert_eq!(det(&ones).unwrap().item().unwrap(), 0.0);
    let (sign, log) = slogdet(&ones).unwrap();
    assert_eq!((sign.item().unwrap(), log.item().unwrap()), (0.0, f64::NEG_INFINITY));
    let mut stack = Array::<f64>::eye(2).unwrap().broadcast_to([2, 3, 2, 2]).unwrap().flatten().unwrap();
    stack = stack.reshape([2, 3, 2, 2]).unwrap();
    stack.set([1, 2, 1, 1], -1.0).unwrap();
    refused(
        cholesky(&stack),
        is(MatrixFault::NotPositiveDefinite { order: 2 }, &[1, 2]),
        &["at index [1, 2] of the stack", "order 2"],
    );
    stack.set([1, 0, 0, 1], f64::NAN).unwrap();
    let not_finite = is(MatrixFault::NotFinite { row: 0, column: 1 }, &[1, 0]);
    refused(inv(&stack), not_finite, &["[1, 0]", "row 0 and column 1"]);
    refused(det(&stack), not_finite, &["det"]);
    refused(svdvals(&stack), not_finite, &["svdvals"]);
    refused(eig(&stack), not_finite, &["eig"]);
    refused(qr(&stack, Factors::Reduced), not_finite, &["qr"]);
    refused(cond(&stack, 1), not_finite, &["cond"]);
    // Only the lower triangle is read.
    assert!(eigvalsh(&stack).is_ok());
    let infinite = Array::from([[1.0, 0.0], [f64::INFINITY, 1.0]]);
    let not_finite = is(MatrixFault::NotFinite { row: 1, column: 0 }, &[]);
    refused(eigvalsh(&infinite), not_finite, &["eigvalsh"]);
    refused(cholesky(&infinite), not_finite, &["cholesky"]);
    refused(lstsq(&infinite, &ones, None), not_finite, &["lstsq"]);
    // A NaN in a right-hand side stays in its column.
    let x = solve(&regular(), &Array::from([[1.0, 0.0], [f64::NAN, 0.0], [0.0, 0.0]])).unwrap();
    assert!(x.slice(s![.., 0]).unwrap().is_nan().all().unwrap());
    nearly(&x.slice(s![.., 1]).unwrap(), &[0.0; 3]);
}

#[test]
fn wrong_shapes_and_arguments_are_errors() {
    let shapes = |e: &Error| matches!(e, Error::Shapes { .. });
    let (wide, vector) = (Array::<f64>::ones([2, 3]).unwrap(), Array::<f64>::ones([3]).unwrap());
    refused(inv(&wide), shapes, &["inv", "[2, 3]", "square"]);
    refused(det(&wide), shapes, &["square"]);
    refused(cholesky(&wide), shapes, &["square"]);
    refused(eigvals(&wide), shapes, &["square"]);
    refused(matrix_power(&wide, 2), shapes, &["square"]);
    refused(cond(&wide, 1), shapes, &["square"]);
    refused(svdvals(&vector), shapes, &["two axes"]);
    refused(qr(&vector, Factors::Reduced), shapes, &["two axes"]);
    refused(solve(&regular(), &wide), shapes, &["3 rows", "2"]);
    refused(solve(&regular(), &Array::from_vec(vec![1.0], ()).unwrap()), shapes, &["at least one axis"]);
    refused(lstsq(&wide, &vector, None), shapes, &["vector [2]"]);
    refused(lstsq(&vector, &vector, None), shapes, &["two axes"]);
    let argument = |e: &Error| matches!(e, Error::Argument { .. });
    refused(pinv(&wide, Some(-1.0)), argument, &["rtol", "-1"]);
    refused(matrix_rank(&wide, Some(f64::NAN)), argument, &["rtol", "NaN"]);
    refused(norm(&wide, Order::Frobenius, 0), argument, &["Frobenius"]);
    refused(norm(&wide, 3, [0, 1]), argument, &["3"]);
    refused(norm(&wide, f64::NAN, 0), argument, &["NaN"]);
    refused(norm(&Array::<f64>::ones([2, 2, 2]).unwrap(), 2, [0, 1, 2]), argument, &["axes"]);
    refused(norm(&wide, 2, 2), |e| matches!(e, Error::Axis { .. }), &["axis 2"]);
    refused(norm(&wide, 2, [0, -2]), |e| matches!(e, Error::RepeatedAxis { .. }), &["axis 0"]);
    refused(multi_dot(&[&wide]), argument, &["at least two"]);
    refused(multi_dot(&[&wide, &wide]), shapes, &["3 columns", "2 rows"]);
    refused(multi_dot(&[&wide, &vector, &wide]), shapes, &["may be vectors"]);
    refused(kron(&Array::<f64>::ones([1; 9]).unwrap(), &vector), shapes, &["18 axes"]);
    // A result that cannot be stored is an error, and not an abort.
    let huge = Array::<f64>::zeros([1, 1]).unwrap().broadcast_to([1 << 29, 1 << 29]).unwrap();
    assert!(matches!(inv(&huge), Err(Error::OutOfMemory { .. } | Error::TooLarge { .. })));
    let none = Array::<f64>::zeros([1, 0, 0]).unwrap().broadcast_to([1 << 50, 0, 0]).unwrap();
    assert_eq!(inv(&none).unwrap().shape(), none.shape());
    assert!(matches!(det(&none), Err(Error::OutOfMemory { .. } | Error::TooLarge { .. })));
}

#[test]
fn powers_and_products_are_those_of_numpy() {
    on_every_device(|_| {
        let a = Array::from([[1.0f32, 1.0], [1.0, 0.0]]);
        assert_eq!(matrix_power(&a, 7)?, Array::from([[21.0, 13.0], [13.0, 8.0]]));
        assert_eq!(matrix_power(&a, 1)?, a);
        assert_eq!(matrix_power(&a, 0)?, Array::eye(2)?);
        nearly(&matrix_power(&a, -3)?, &[-1.0, 2.0, 2.0, -3.0]);
        let stack = a.broadcast_to([3, 2, 2])?;
        assert_eq!(matrix_power(&stack, 2)?, Array::from([[2.0, 1.0], [1.0, 1.0]]).broadcast_to([3, 2, 2])?);
        assert_eq!(matrix_power(&stack, 0)?.shape(), [3, 2, 2]);
        let (row, column) = (Array::from([[1.0f32, 2.0]]), Array::from([[1.0f32], [3.0]]));
        assert_eq!(kron(&row, &column)?, Array::from([[1.0, 2.0], [3.0, 6.0]]));
        let square = Array::from([[0.0f32, 1.0], [2.0, 3.0]]);
        let blocks = Array::from([[0.0, 0.0, 1.0, 10.0], [2.0, 20.0, 3.0, 30.0]]);
        assert_eq!(kron(&square, &Array::from([1.0, 10.0]))?, blocks);
        assert_eq!(kron(&Array::<f32>::ones([2, 0])?, &square)?.shape(), [4, 0]);
        let v = Array::from([1.0f32, 2.0]);
        let chain = multi_dot(&[&v, &square, &square, &v])?;
        assert_eq!(chain.item()?, v.dot(&square.dot(&square.dot(&v)?)?)?.item()?);
        assert_eq!(multi_dot(&[&row, &square, &column])?, row.dot(&square)?.dot(&column)?);
        Ok(())
    });
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let a = random::<f64>(&[200, 200], 5);
    let b = random::<f64>(&[200, 3], 6);
    let x = with_threads(1, || solve(&a, &b)).unwrap();
    close(&with_threads(4, || solve(&a, &b)).unwrap(), &x, 1e6);
    let s = with_threads(1, || svdvals(&a)).unwrap();
    close(&with_threads(4, || svdvals(&a)).unwrap(), &s, 1e3);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| solve(&a, &b).unwrap())).collect();
        threads.into_iter().for_each(|thread| close(&thread.join().unwrap(), &x, 1e6));
    });
}

#[test]
fn every_device_may_be_selected() {
    // The decompositions run on the host; a device without f64 does not refuse them.
    for device in crate::common::required_devices() {
        with_device(&device, || {
            nearly(&det(&regular().t()).unwrap(), &[263.0]);
            assert_eq!(matrix_rank(&rectangular(), None).unwrap().item().unwrap(), 3);
        });
        let inverses = with_device(&device, || [pinv(&regular(), None), inv(&regular())].map(Result::unwrap));
        close(&inverses[0], &inverses[1], 64.0);
        let Ok(there) = regular().cast::<f32>().eval().unwrap().to_device(&device) else { continue };
        let inverse = inv(&there).unwrap();
        assert_eq!(inverse.device(), there.device());
        assert_eq!(eigvals(&there).unwrap().len(), 3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]

    #[test]
    fn solutions_satisfy_their_equations(n in 1usize..12, k in 0usize..4, seed in any::<u64>()) {
        let (a, b) = (random::<f64>(&[n, n], seed), random::<f64>(&[n, k], seed ^ 1));
        let x = solve(&a, &b).unwrap();
        // The backward error is small, whatever the condition of the matrix.
        let residual = (a.matmul(&x).unwrap() - &b).norm().unwrap();
        let size = a.norm().unwrap() * x.norm().unwrap();
        prop_assert!(residual <= 1e-13 * size, "{residual:e}, {size:e}");
    }

    #[test]
    fn determinants_multiply(n in 1usize..7, seed in any::<u64>()) {
        let (a, b) = (random::<C64>(&[n, n], seed), random::<C64>(&[n, n], seed ^ 1));
        let product = det(&a.matmul(&b).unwrap()).unwrap().item().unwrap();
        let expected = det(&a).unwrap().item().unwrap() * det(&b).unwrap().item().unwrap();
        let largest = |x: &Array<C64>| svdvals(x).unwrap().max().unwrap().powi(n as i32);
        let size = largest(&a) * largest(&b);
        prop_assert!((product - expected).norm() <= 1e-12 * size, "{product}, {expected}");
        let (sign, log) = slogdet(&a).unwrap();
        let again = sign.item().unwrap() * log.item().unwrap().exp();
        let first = det(&a).unwrap().item().unwrap();
        prop_assert!((again - first).norm() <= 1e-12 * first.norm());
    }

    #[test]
    fn least_squares_are_orthogonal_to_the_columns(m in 1usize..10, n in 1usize..6, seed in any::<u64>()) {
        let (a, b) = (random::<f64>(&[m, n], seed), random::<f64>(&[m], seed ^ 1));
        let found = lstsq(&a, &b, None).unwrap();
        let residual = (a.matmul(&found.solution).unwrap() - &b).eval().unwrap();
        let size = svdvals(&a).unwrap().max().unwrap() * (1.0 + found.solution.norm().unwrap()) * 10.0;
        prop_assert!(a.t().matmul(&residual).unwrap().norm().unwrap() <= 1e-12 * size * size);
        prop_assert_eq!(found.rank, m.min(n));
        if m > n {
            let squares = residual.norm().unwrap().powi(2);
            prop_assert!((found.residuals.item().unwrap() - squares).abs() <= 1e-12 * squares.max(1.0));
        } else {
            prop_assert_eq!(found.residuals.len(), 0);
        }
    }
}
