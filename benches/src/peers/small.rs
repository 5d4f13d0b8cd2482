//! Work other than matrix products, by `ndarray` and `faer`, as users of these libraries write it. Both run it on one
//! thread. A case that a library has no function for is not measured.

use super::Work;
use super::rust::Everywhere;
use crate::cases::{Case, Kernel, Number};
use faer::{ColMut, ColRef, MatRef};
use ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewMut1, Axis, Zip, s};
use polyarray::{Binary, Unary, Wide};
use std::hint::black_box;

/// A computation that replaces `out`.
struct Onto<O, F> {
    out: O,
    compute: F,
    values: fn(&O) -> Vec<f64>,
}

impl<O, F: FnMut(&mut O)> Work for Onto<O, F> {
    fn run(&mut self) {
        (self.compute)(&mut self.out);
        black_box(&mut self.out);
    }

    fn values(&self) -> Vec<f64> {
        (self.values)(&self.out)
    }
}

fn real<T: Number>(x: &T) -> f64 {
    x.to_wide().real()
}

/// Writes into a given array, which is NaN before the first run.
fn given<'a, T: Number + 'a>(len: usize, compute: impl FnMut(&mut Vec<T>) + 'a) -> Option<Box<dyn Work + 'a>> {
    let values = |out: &Vec<T>| out.iter().map(real).collect();
    Some(Box::new(Onto { out: vec![T::from_wide(Wide::Float(f64::NAN)); len], compute, values }))
}

/// Returns a number.
fn number<'a, T: Number + 'a>(mut compute: impl FnMut() -> T + 'a) -> Option<Box<dyn Work + 'a>> {
    let values = |out: &T| vec![real(out)];
    Some(Box::new(Onto { out: T::default(), compute: move |out: &mut T| *out = compute(), values }))
}

/// Returns an index or a truth value.
fn index<'a>(mut compute: impl FnMut() -> usize + 'a) -> Option<Box<dyn Work + 'a>> {
    let values = |out: &usize| vec![*out as f64];
    Some(Box::new(Onto { out: 0, compute: move |out: &mut usize| *out = compute(), values }))
}

/// Returns a new value, such as an array or a view, whose elements `values` lists in C order.
fn new<'a, O: 'a>(
    mut compute: impl FnMut() -> O + 'a,
    values: fn(&Option<O>) -> Vec<f64>,
) -> Option<Box<dyn Work + 'a>> {
    Some(Box::new(Onto { out: None, compute: move |out: &mut Option<O>| *out = Some(compute()), values }))
}

/// Returns the case with these lengths, bound to `ndarray`. (The dtype is that of the operands, so the function is not
/// generic over the problem.)
pub(super) fn by_ndarray<'a, T: Everywhere>(
    case: &Case,
    lens: &[usize],
    (x, y): (&'a [T], &'a [T]),
) -> Option<Box<dyn Work + 'a>> {
    let matrix = || ArrayView2::from_shape((lens[0], lens[1]), x).expect("a matrix of these lengths");
    let of = |n: i8| T::from(n).expect("floats represent small integers");
    let (one, two, three, seven) = (of(1), of(2), of(3), of(7));
    let (x, y) = (ArrayView1::from(x), ArrayView1::from(y));
    let n = x.len();
    match (&case.kernel, case.name) {
        (Kernel::Binary(Binary::Add), _) => given(n, move |out| {
            Zip::from(ArrayViewMut1::from(out.as_mut_slice())).and(black_box(x)).and(y).for_each(|o, &x, &y| *o = x + y)
        }),
        (Kernel::Binary(Binary::Mul), _) => given(n, move |out| {
            Zip::from(ArrayViewMut1::from(out.as_mut_slice())).and(black_box(x)).and(y).for_each(|o, &x, &y| *o = x * y)
        }),
        (Kernel::Unary(Unary::Exp), _) => given(n, move |out| {
            Zip::from(ArrayViewMut1::from(out.as_mut_slice())).and(black_box(x)).for_each(|o, &x| *o = x.exp());
        }),
        (Kernel::Map(_), "square_affine") | (Kernel::Compiled(_), "square_affine_compiled") => given(n, move |out| {
            Zip::from(ArrayViewMut1::from(out.as_mut_slice())).and(black_box(x)).for_each(|o, &x| {
                let affine = x * two + one;
                *o = affine * affine;
            });
        }),
        (Kernel::Map(_), "poly") | (Kernel::Compiled(_), "poly_compiled") => given(n, move |out| {
            Zip::from(ArrayViewMut1::from(out.as_mut_slice()))
                .and(black_box(x))
                .for_each(|o, &x| *o = x * x * two - x * three + one);
        }),
        (Kernel::Sum, _) => number(move || black_box(x).sum()),
        (Kernel::Mean, _) => {
            // As `ArrayBase::mean`, whose bounds these types do not state.
            let length = T::from(n).expect("floats represent lengths");
            number(move || black_box(x).sum() / length)
        }
        (Kernel::Min, _) => {
            number(move || black_box(x).fold(T::infinity(), |least, &x| if x < least { x } else { least }))
        }
        (Kernel::ArgMax, _) => index(move || {
            let greater = |best: (usize, T), (i, &x): (usize, &T)| if x > best.1 { (i, x) } else { best };
            black_box(x).iter().enumerate().fold((0, T::neg_infinity()), greater).0
        }),
        (Kernel::Any, _) => index(move || usize::from(black_box(x).iter().any(|&x| x != of(0)))),
        (Kernel::CumSum, _) => new(
            move || {
                let mut out = black_box(x).to_owned();
                out.accumulate_axis_inplace(Axis(0), |&before, x| *x += before);
                out
            },
            |out: &Option<Array1<T>>| out.iter().flatten().map(real).collect(),
        ),
        (Kernel::Matvec, _) => {
            let a = matrix();
            new(move || black_box(a).dot(&y), |out: &Option<Array1<T>>| out.iter().flatten().map(real).collect())
        }
        (Kernel::Get, _) => number(move || black_box(x)[n / 2]),
        (Kernel::Set, _) => given(n, move |out| ArrayViewMut1::from(black_box(out).as_mut_slice())[n / 2] = seven),
        (Kernel::Slice, _) => new(
            move || black_box(x).slice_move(s![1..]),
            |out: &Option<ArrayView1<'a, T>>| out.iter().flatten().map(real).collect(),
        ),
        (Kernel::TransposedView, _) => {
            let a = matrix();
            new(
                move || black_box(a).reversed_axes(),
                |out: &Option<ArrayView2<'a, T>>| out.iter().flatten().map(real).collect(),
            )
        }
        (Kernel::Reshape, _) => new(
            move || black_box(x).into_shape_with_order((1, n)).expect("the same number of elements"),
            |out: &Option<ArrayView2<'a, T>>| out.iter().flatten().map(real).collect(),
        ),
        _ => None,
    }
}

/// As [`by_ndarray`], for `faer`.
pub(super) fn by_faer<'a, T: Everywhere>(
    case: &Case,
    lens: &[usize],
    (x, y): (&'a [T], &'a [T]),
) -> Option<Box<dyn Work + 'a>> {
    let matrix = || MatRef::from_row_major_slice(x, lens[0], lens[1]);
    let (x, y) = (ColRef::from_slice(x), ColRef::from_slice(y));
    let n = x.nrows();
    let of = |n: i8| T::from(n).expect("floats represent small integers");
    let (one, two, three) = (of(1), of(2), of(3));
    match case.kernel {
        Kernel::Unary(Unary::Exp) => given(n, move |out| {
            let out = ColMut::from_slice_mut(out);
            faer::zip!(out, black_box(x)).for_each(|faer::unzip!(out, x)| *out = x.exp());
        }),
        Kernel::Map(_) | Kernel::Compiled(_) if case.name.starts_with("square_affine") => given(n, move |out| {
            let out = ColMut::from_slice_mut(out);
            faer::zip!(out, black_box(x)).for_each(|faer::unzip!(out, x)| {
                let affine = *x * two + one;
                *out = affine * affine;
            });
        }),
        Kernel::Map(_) | Kernel::Compiled(_) if case.name.starts_with("poly") => given(n, move |out| {
            let out = ColMut::from_slice_mut(out);
            faer::zip!(out, black_box(x)).for_each(|faer::unzip!(out, x)| *out = *x * *x * two - *x * three + one);
        }),
        Kernel::Binary(Binary::Add) => given(n, move |out| {
            let out = ColMut::from_slice_mut(out);
            faer::zip!(out, black_box(x), y).for_each(|faer::unzip!(out, x, y)| *out = *x + *y);
        }),
        Kernel::Sum => number(move || black_box(x).sum()),
        Kernel::Matvec => {
            let a = matrix();
            new(
                move || {
                    let mut out = faer::Col::zeros(a.nrows());
                    let (a, par) = (black_box(a), faer::Par::Seq);
                    faer::linalg::matmul::matmul(out.as_mat_mut(), faer::Accum::Replace, a, y.as_mat(), T::one(), par);
                    out
                },
                |out: &Option<faer::Col<T>>| out.iter().flat_map(|out| out.iter().map(real)).collect(),
            )
        }
        Kernel::Get => number(move || black_box(x)[n / 2]),
        Kernel::Set => given(n, move |out| {
            ColMut::from_slice_mut(black_box(out))[n / 2] = T::from(7i8).expect("floats represent small integers");
        }),
        Kernel::Slice => new(
            move || black_box(x).subrows(1, n - 1),
            |out: &Option<ColRef<'a, T>>| out.iter().flat_map(|out| out.iter().map(real)).collect(),
        ),
        Kernel::TransposedView => {
            let a = matrix();
            new(
                move || black_box(a).transpose(),
                |out: &Option<MatRef<'a, T>>| {
                    out.iter().flat_map(|out| (0..out.nrows()).flat_map(|i| out.row(i).iter().map(real))).collect()
                },
            )
        }
        _ => None,
    }
}
