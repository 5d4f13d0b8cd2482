//! Reductions, scans and sorts. Integers, extrema, indices and sorted elements must be exact. Sums of floats must keep
//! the bound of [`polyarray_core::order`].

use super::expressions::{Term, largest, magnitude};
use super::model::{Model, Want, cast, compare, compare_bits, order, rounding, widened, working_eps};
use super::{Outcome, Slot, World, done};
use crate::values::FloatSpec;
use polyarray_core::{Array, Axes, DType, Element, IntoExpr, Kind, Side, Wide, axis};
use std::cmp::Ordering;

/// Returns the sum of `x`, with an error far below an eps of f64 (Neumaier's summation), and the sum of the magnitudes.
fn sums(x: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut sum, mut rest, mut magnitudes) = (0.0f64, 0.0f64, 0.0f64);
    for x in x {
        let next = sum + x;
        rest += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
        magnitudes += x.abs();
    }
    (if rest.is_finite() { sum + rest } else { sum }, magnitudes)
}

/// Returns the error bound of a sum of `n` terms, in eps of the sum of magnitudes: `64 + log2 n`, and 4 to spare.
fn depth(n: usize) -> f64 {
    64.0 + (n.max(1) as f64).log2() + 4.0
}

/// Returns the condition on a sum of real numbers as `dtype`, divided by a count.
fn real_sum(line: impl Iterator<Item = f64> + Clone, n: usize, dtype: DType, divided_by: f64) -> Want {
    let (sum, magnitudes) = sums(line.clone());
    if line.clone().any(f64::is_nan)
        || line.clone().any(|x| x == f64::INFINITY) && line.clone().any(|x| x == f64::NEG_INFINITY)
    {
        return Want::Near(f64::NAN, 0.0);
    }
    // Partial sums in f32 may overflow.
    let room = if working_eps(dtype) == f64::EPSILON { f64::MAX } else { f64::from(f32::MAX) };
    if magnitudes > room / 2.0 || magnitudes / divided_by > largest(dtype) / 2.0 {
        return Want::Any;
    }
    let value = sum / divided_by;
    let tiny = FloatSpec::of(dtype).min_subnormal();
    Want::Near(value, depth(n) * working_eps(dtype) * magnitudes / divided_by + rounding(dtype, value) + tiny)
}

/// Returns the condition on the integers of a line combined by `f`, in 64 bits.
fn integers(dtype: DType, line: &[Wide], start: i128, f: fn(i128, i128) -> i128) -> Want {
    let total = line.iter().fold(start, |total, x| match x {
        // Wrapping at 128 bits does not change the 64 bits that are kept.
        Wide::Int(x) => f(total, *x),
        other => unreachable!("{other:?} is no integer"),
    });
    Want::Bits(dtype.sum(), cast(dtype.sum(), Wide::Int(total)))
}

fn sum_of(dtype: DType, line: &[Wide]) -> Want {
    let n = line.len();
    match dtype.kind() {
        Kind::Bool | Kind::Int | Kind::Uint => integers(dtype, line, 0, i128::wrapping_add),
        Kind::Float => real_sum(line.iter().map(|x| x.real()), n, dtype, 1.0),
        Kind::Complex => {
            let part = |im: bool| {
                let of = move |x: &Wide| match *x {
                    Wide::Complex(a, b) => [a, b][usize::from(im)],
                    other => unreachable!("{other:?} is not complex"),
                };
                real_sum(line.iter().map(of), n, dtype.real(), 1.0)
            };
            match (part(false), part(true)) {
                (Want::Near(re, a), Want::Near(im, b)) if !re.is_nan() && !im.is_nan() => {
                    Want::NearComplex(re, im, a.max(b))
                }
                _ => Want::Any,
            }
        }
    }
}

fn product_of(dtype: DType, line: &[Wide]) -> Want {
    match dtype.kind() {
        Kind::Bool | Kind::Int | Kind::Uint => integers(dtype, line, 1, i128::wrapping_mul),
        Kind::Complex => Want::Any,
        Kind::Float => {
            let numbers: Vec<f64> = line.iter().map(|x| x.real()).collect();
            if numbers.iter().any(|x| x.is_nan()) {
                return Want::Near(f64::NAN, 0.0);
            }
            let room = if working_eps(dtype) == f64::EPSILON { 900.0 } else { 100.0 };
            let orders: f64 = numbers.iter().filter(|x| **x != 0.0).map(|x| x.abs().log2().abs()).sum();
            let value: f64 = numbers.iter().product();
            if orders >= room || value.abs() > largest(dtype) / 2.0 {
                return Want::Any;
            }
            Want::Near(value, (line.len() + 1) as f64 * working_eps(dtype) * value.abs() + rounding(dtype, value))
        }
    }
}

/// Returns the index of the minimum or maximum: the first NaN, otherwise the first of the best elements.
fn index_of(line: &[Wide], best: Ordering) -> usize {
    if let Some(nan) = line.iter().position(|x| x.real().is_nan()) {
        return nan;
    }
    let mut at = 0;
    for i in 1..line.len() {
        if order(line[i], line[at]) == best {
            at = i;
        }
    }
    at
}

/// Returns the condition on the extremum. For a zero, both signs are accepted.
fn extremum(dtype: DType, line: &[Wide], best: Ordering) -> Want {
    match line[index_of(line, best)] {
        Wide::Float(0.0) => Want::Near(0.0, 0.0),
        x => Want::Bits(dtype, x),
    }
}

/// Returns the condition on the mean of the squared deviations, or on its root.
fn spread_of(dtype: DType, line: &[Wide], root: bool) -> Want {
    let dtype = dtype.mean();
    let numbers: Vec<f64> = line.iter().map(|x| x.real()).collect();
    let n = numbers.len() as f64;
    let far =
        largest(if working_eps(dtype) == f64::EPSILON { DType::F64 } else { DType::F32 }).sqrt() / 1e3 / n.max(1.0);
    let apart = numbers.iter().map(|x| x.abs()).filter(|x| *x != 0.0).fold(f64::INFINITY, f64::min);
    if numbers.is_empty() || numbers.iter().any(|x| !x.is_finite()) {
        return if numbers.iter().any(|x| x.is_nan()) || numbers.is_empty() {
            Want::Near(f64::NAN, 0.0)
        } else {
            Want::Any
        };
    }
    // Squares that overflow or underflow are not tested here.
    if numbers.iter().any(|x| x.abs() > far) || apart < 1e-15 {
        return Want::Any;
    }
    let mean = sums(numbers.iter().copied()).0 / n;
    let variance = sums(numbers.iter().map(|x| (x - mean) * (x - mean))).0 / n;
    let value = if root { variance.sqrt() } else { variance };
    if value > largest(dtype) / 2.0 {
        return Want::Any;
    }
    // The documented error is a few hundred eps. `own` is the error of the mean here, which is exact to an eps of f64.
    let own = (mean.abs() * f64::EPSILON).powi(2) * 4.0;
    let own = if root { own.sqrt() } else { own };
    Want::Near(value, 1000.0 * working_eps(dtype) * value + rounding(dtype, value) + own)
}

impl World {
    pub(super) fn reduction<T: Element>(&mut self) -> Outcome {
        let slot: Slot<T> = if self.rng.chance(1, 3) { self.take() } else { self.borrow() };
        self.note(format!("reduce {} {:?} {:?}", T::DTYPE, slot.model.shape, slot.array.strides()));
        let expr = if self.rng.chance(1, 2) { (&slot.array).into_expr() } else { slot.array.into_expr() };
        self.reduced(Term { expr, model: slot.model })
    }

    /// Tests a reduction of an expression over some axes, or of all its elements.
    pub(super) fn reduced<T: Element>(&mut self, x: Term<T>) -> Outcome {
        let (ndim, real) = (x.model.shape.len(), T::DTYPE.kind() != Kind::Complex);
        let what = self.rng.below(12);
        let one = matches!(what, 4 | 5);
        let mut axes: Vec<usize> = (0..ndim).filter(|_| self.rng.chance(1, 2)).collect();
        if one {
            axes.truncate(1);
        }
        if (one && axes.is_empty()) || self.rng.chance(1, 4) {
            return self.reduced_wholly(&x, what);
        }
        let keep = self.rng.chance(1, 3);
        let asked: Vec<isize> =
            axes.iter().map(|&a| if self.rng.chance(1, 3) { a as isize - ndim as isize } else { a as isize }).collect();
        self.note(format!("  reduction {what} over {axes:?}{}", if keep { ", kept" } else { "" }));
        let given = || -> Axes { if keep { axis(&asked[..]).keepdims() } else { axis(&asked[..]) } };
        let shape: Vec<usize> = (0..ndim)
            .filter_map(|a| match axes.contains(&a) {
                false => Some(x.model.shape[a]),
                true => keep.then_some(1),
            })
            .collect();
        let lines = x.model.lines(&axes);
        let empty = lines.first().is_none_or(Vec::is_empty);
        if empty && (2..6).contains(&what) && real {
            return Ok(());
        }
        let want = || lines.iter().map(|line| wanted(what, T::DTYPE, line)).collect::<Vec<Want>>();
        let e = &x.expr;
        match what {
            0 => self.agree("sum_axis", e.sum_axis(given()), &shape, &want()),
            1 => self.agree("prod_axis", e.prod_axis(given()), &shape, &want()),
            2..6 if !real => Self::expect_undefined("min_axis", e.min_axis(given())),
            2 => self.agree("min_axis", e.min_axis(given()), &shape, &want()),
            3 => self.agree("max_axis", e.max_axis(given()), &shape, &want()),
            4 => self.agree("argmin_axis", e.argmin_axis(given()), &shape, &want()),
            5 => self.agree("argmax_axis", e.argmax_axis(given()), &shape, &want()),
            6 => self.agree("any_axis", e.any_axis(given()), &shape, &want()),
            7 => self.agree("all_axis", e.all_axis(given()), &shape, &want()),
            8 => self.agree("count_nonzero_axis", e.count_nonzero_axis(given()), &shape, &want()),
            9 if real => self.agree("mean_axis", e.mean_axis(given()), &shape, &want()),
            10 if real => self.agree("var_axis", e.var_axis(given(), 0), &shape, &want()),
            11 if real => self.agree("std_axis", e.std_axis(given(), 0), &shape, &want()),
            _ => {
                let want: Vec<Want> = lines.iter().map(|line| norm_of(T::DTYPE, line)).collect();
                self.agree("norm_axis", e.norm_axis(given()), &shape, &want)
            }
        }
    }

    /// Tests a reduction of all elements.
    fn reduced_wholly<T: Element>(&mut self, x: &Term<T>, what: usize) -> Outcome {
        self.note(format!("  reduction {what} over everything"));
        let (e, all) = (&x.expr, &x.model.data[..]);
        let real = T::DTYPE.kind() != Kind::Complex;
        if (2..6).contains(&what) && (all.is_empty() || !real) {
            return match e.min() {
                Err(_) => Ok(()),
                Ok(x) => Err(format!(
                    "the minimum of {} must be an error, but is {x:?}",
                    if real { "nothing" } else { "complex numbers" }
                )),
            };
        }
        let want = if what == 11 || what > 8 && !real { norm_of(T::DTYPE, all) } else { wanted(what, T::DTYPE, all) };
        match what {
            0 => self.agree_one("sum", e.sum(), want),
            1 => self.agree_one("prod", e.prod(), want),
            2 => self.agree_one("min", e.min(), want),
            3 => self.agree_one("max", e.max(), want),
            4 => self.agree_one("argmin", e.argmin().map(|i| i as i64), want),
            5 => self.agree_one("argmax", e.argmax().map(|i| i as i64), want),
            6 => self.agree_one("any", e.any(), want),
            7 => self.agree_one("all", e.all(), want),
            8 => self.agree_one("count_nonzero", e.count_nonzero().map(|n| n as i64), want),
            9 if real => self.agree_one("mean", e.mean(), want),
            10 if real => self.agree_one("var", e.var(0), want),
            _ => self.agree_one("norm", e.norm(), want),
        }
    }

    fn agree<U: Element>(
        &mut self,
        what: &str,
        got: polyarray_core::Result<Array<U>>,
        shape: &[usize],
        want: &[Want],
    ) -> Outcome {
        let got = done(what, got)?;
        self.played.checks += 1;
        let model = compare(what, &got, shape, want)?;
        self.push(got, model);
        Ok(())
    }

    fn agree_one<U: Element>(&mut self, what: &str, got: polyarray_core::Result<U>, want: Want) -> Outcome {
        let value = done(what, got)?;
        let one = done(what, Array::full(&[][..], value))?;
        self.played.checks += 1;
        compare(what, &one, &[], &[want]).map(drop)
    }

    pub(super) fn scan<T: Element>(&mut self) -> Outcome {
        let slot: Slot<T> = self.borrow();
        let ndim = slot.model.shape.len();
        if ndim == 0 {
            return Ok(());
        }
        let along = self.rng.below(ndim);
        let product = self.rng.chance(1, 3);
        self.note(format!(
            "scan {} {:?} {:?} along {along}, products: {product}",
            T::DTYPE,
            slot.model.shape,
            slot.array.strides()
        ));
        let lines = slot.model.lines(&[along]);
        // The result has the shape of the array. Its elements are compared in the order of lines, as a permuted view.
        let result = if product { slot.array.cumprod(along as isize) } else { slot.array.cumsum(along as isize) };
        let result = done("cumsum, cumprod", result)?;
        if result.shape() != slot.model.shape {
            return Err(format!("a scan of {:?} has shape {:?}", slot.model.shape, result.shape()));
        }
        let order: Vec<isize> = (0..ndim).filter(|&a| a != along).chain([along]).map(|a| a as isize).collect();
        let view = done("permute", result.permute(&order))?;
        let want: Vec<Want> = lines.iter().flat_map(|line| scanned(T::DTYPE, line, product)).collect();
        let shape: Vec<usize> = order.iter().map(|&a| slot.model.shape[a as usize]).collect();
        self.played.checks += 1;
        compare("cumsum, cumprod", &view, &shape, &want)?;
        let data = done("to_vec", result.to_vec())?;
        self.push(result, widened(&slot.model.shape, &data));
        Ok(())
    }

    pub(super) fn sorting<T: Element>(&mut self) -> Outcome {
        let slot: Slot<T> = self.borrow();
        let ndim = slot.model.shape.len();
        let how = self.rng.below(6);
        self.note(format!("sort {} {:?} {:?} in way {how}", T::DTYPE, slot.model.shape, slot.array.strides()));
        if T::DTYPE.kind() == Kind::Complex {
            return Self::expect_undefined("unique", slot.array.unique());
        }
        if ndim == 0 || how == 5 {
            return self.distinct(&slot);
        }
        let along = self.rng.below(ndim);
        let lines = slot.model.lines(&[along]);
        let n = slot.model.shape[along];
        match how {
            0 | 1 => {
                let model = slot.model.with_lines(
                    T::DTYPE,
                    along,
                    n,
                    &lines.iter().map(|line| sorted(line)).collect::<Vec<_>>(),
                );
                let result = done("sort", slot.array.sort(along as isize))?;
                self.keep("sort", result, &model)
            }
            2 => {
                let model = slot.model.with_lines(
                    DType::I64,
                    along,
                    n,
                    &lines.iter().map(|line| ranked(line, false, n)).collect::<Vec<_>>(),
                );
                let result = done("argsort", slot.array.argsort(along as isize - ndim as isize))?;
                self.keep("argsort", result, &model)
            }
            3 => {
                let k = self.rng.below(n + 1);
                let places: Vec<Vec<Wide>> = lines.iter().map(|line| ranked(line, true, k)).collect();
                let values: Vec<Vec<Wide>> =
                    lines.iter().zip(&places).map(|(l, p)| p.iter().map(|i| l[i.real() as usize]).collect()).collect();
                let (best, indices) = done("topk", slot.array.topk(k, along as isize))?;
                self.keep("topk's indices", indices, &slot.model.with_lines(DType::I64, along, k, &places))?;
                self.keep("topk", best, &slot.model.with_lines(T::DTYPE, along, k, &values))
            }
            _ => {
                let sorted = lines.first().map_or_else(Vec::new, |line| sorted(line));
                let values: Slot<T> = self.borrow();
                let elements: Vec<T> = sorted.iter().map(|&x| T::from_wide(x)).collect();
                let haystack = done("from_slice", Array::from_slice(&elements, elements.len()))?;
                let (side, at_most) = *self.rng.pick(&[(Side::Left, Ordering::Less), (Side::Right, Ordering::Equal)]);
                let model = values
                    .model
                    .map(DType::I64, &|v| Wide::Int(sorted.partition_point(|&x| order(x, v) <= at_most) as i128));
                let found = done("searchsorted", haystack.searchsorted(&values.array, side))?;
                self.keep("searchsorted", found, &model)
            }
        }
    }

    fn distinct<T: Element>(&mut self, slot: &Slot<T>) -> Outcome {
        let (values, counts) = runs(&slot.model.data);
        let (got, times) = done("unique_counts", slot.array.unique_counts())?;
        let shape = vec![values.len()];
        self.played.checks += 1;
        compare_bits(
            "the counts of unique elements",
            &times,
            &Model { dtype: DType::I64, shape: shape.clone(), data: counts },
        )?;
        self.keep("unique elements", got, &Model { dtype: T::DTYPE, shape, data: values })
    }
}

/// Returns the condition on reduction `what` of a line, which must not be empty for extrema.
fn wanted(what: usize, dtype: DType, line: &[Wide]) -> Want {
    match what {
        0 => sum_of(dtype, line),
        1 => product_of(dtype, line),
        2 => extremum(dtype, line, Ordering::Less),
        3 => extremum(dtype, line, Ordering::Greater),
        4 => Want::int(index_of(line, Ordering::Less)),
        5 => Want::int(index_of(line, Ordering::Greater)),
        6 => Want::truth(line.iter().any(|x| x.truth())),
        7 => Want::truth(line.iter().all(|x| x.truth())),
        8 => Want::int(line.iter().filter(|x| x.truth()).count()),
        9 => mean_of(dtype, line),
        10 => spread_of(dtype, line, false),
        _ => spread_of(dtype, line, true),
    }
}

/// Sorts in ascending order, -0 before +0.
fn sorted(line: &[Wide]) -> Vec<Wide> {
    let negative = |x: Wide| x.real().is_sign_negative();
    let mut line = line.to_vec();
    line.sort_by(|&x, &y| order(x, y).then_with(|| negative(y).cmp(&negative(x))));
    line
}

/// Returns the indices of the first `k` elements of the sorted line. Equal elements keep their order.
fn ranked(line: &[Wide], descending: bool, k: usize) -> Vec<Wide> {
    let mut at: Vec<usize> = (0..line.len()).collect();
    at.sort_by(|&i, &j| if descending { order(line[j], line[i]) } else { order(line[i], line[j]) });
    at.into_iter().take(k).map(|i| Wide::Int(i as i128)).collect()
}

/// Returns the distinct elements in order, and the count of each.
fn runs(data: &[Wide]) -> (Vec<Wide>, Vec<Wide>) {
    let (mut values, mut counts): (Vec<Wide>, Vec<i128>) = (Vec::new(), Vec::new());
    for x in sorted(data) {
        match values.last() {
            Some(&last) if order(last, x) == Ordering::Equal => *counts.last_mut().expect("one for each value") += 1,
            _ => {
                values.push(x);
                counts.push(1);
            }
        }
    }
    (values, counts.into_iter().map(Wide::Int).collect())
}

fn mean_of(dtype: DType, line: &[Wide]) -> Want {
    if line.is_empty() {
        return Want::Near(f64::NAN, 0.0);
    }
    match real_sum(line.iter().map(|x| x.real()), line.len(), dtype.mean(), line.len() as f64) {
        Want::Near(mean, by) => Want::Near(mean, by + 2.0 * working_eps(dtype.mean()) * mean.abs()),
        other => other,
    }
}

fn norm_of(dtype: DType, line: &[Wide]) -> Want {
    let dtype = dtype.mean().real();
    let magnitudes: Vec<f64> = line.iter().map(|&x| magnitude(x)).collect();
    if magnitudes.iter().any(|x| !x.is_finite()) {
        return Want::Any;
    }
    let most = magnitudes.iter().copied().fold(0.0, f64::max);
    let value = if most == 0.0 { 0.0 } else { most * sums(magnitudes.iter().map(|x| (x / most).powi(2))).0.sqrt() };
    if value > largest(dtype) / 2.0 || value != 0.0 && value < 1e3 * FloatSpec::of(dtype).min_normal() {
        return Want::Any;
    }
    Want::Near(value, depth(line.len()) * working_eps(dtype) * value + rounding(dtype, value))
}

/// Returns the conditions on a scan of a line. Of a long line only about 40 elements are checked, as each is a sum of
/// its own here.
fn scanned(dtype: DType, line: &[Wide], product: bool) -> Vec<Want> {
    let step = line.len() / 40 + 1;
    let of = |n: usize| match n.is_multiple_of(step) || n == line.len() {
        true if product => product_of(dtype, &line[..n]),
        true => running(dtype, &line[..n]),
        false => Want::Any,
    };
    (1..=line.len()).map(of).collect()
}

/// Returns the condition on a running sum. Its order of additions differs from that of a sum, and so does its bound.
fn running(dtype: DType, line: &[Wide]) -> Want {
    let (terms, eps) = (line.len() as f64 + 2.0, working_eps(dtype));
    match sum_of(dtype, line) {
        Want::Near(value, _) if !value.is_nan() => {
            let (_, magnitudes) = sums(line.iter().map(|x| x.real()));
            Want::Near(value, terms * eps * magnitudes + rounding(dtype, value) + FloatSpec::of(dtype).min_subnormal())
        }
        Want::NearComplex(re, im, _) => {
            Want::NearComplex(re, im, terms * eps * line.iter().map(|&x| magnitude(x)).sum::<f64>())
        }
        other => other,
    }
}
