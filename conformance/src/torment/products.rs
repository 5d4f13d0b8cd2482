//! Matrix products with epilogues, contractions, distances. Integers must be exact. Floats must keep the documented
//! bound.

use super::expressions::{largest, magnitude};
use super::model::{Model, Want, binary, broadcast, cast, compare, for_each_index, rounding, widened, working_eps};
use super::{Outcome, Slot, World, done};
use crate::values::FloatSpec;
use polyarray_core::{Array, Binary, DType, Element, Error, Kind, Matmul, Metric, Wide, distance, einsum};

/// The batch axes of two matrices: none in three of seven entries, otherwise axes that broadcast.
const BATCHES: [(&[usize], &[usize]); 7] =
    [(&[], &[]), (&[], &[]), (&[], &[]), (&[2], &[]), (&[], &[3]), (&[1], &[2]), (&[2, 1], &[3])];

/// A sum of products and the sum of their magnitudes, in the widest number types.
#[derive(Clone, Copy, Default)]
struct Total {
    int: i128,
    re: f64,
    im: f64,
    magnitudes: f64,
    terms: usize,
    /// Whether a product is NaN. The sum is NaN in any order if a product is, or if products are infinite with both
    /// signs.
    nan: bool,
    infinite: [bool; 2],
}

impl Total {
    fn add(&mut self, factors: &[Wide]) {
        self.terms += 1;
        let mut product = factors[0];
        let mut size = magnitude(product);
        for &factor in &factors[1..] {
            size *= magnitude(factor);
            product = match (product, factor) {
                (Wide::Int(x), Wide::Int(y)) => Wide::Int(x.wrapping_mul(y)),
                (Wide::Float(x), Wide::Float(y)) => Wide::Float(x * y),
                (Wide::Complex(a, b), Wide::Complex(c, d)) => Wide::Complex(a * c - b * d, a * d + b * c),
                _ => unreachable!("factors have one dtype"),
            };
        }
        match product {
            Wide::Int(x) => self.int = self.int.wrapping_add(x),
            Wide::Float(x) => {
                self.re += x;
                self.nan |= x.is_nan();
                // A product of finite numbers that overflows may stay finite where it is fused with an addition.
                self.infinite[usize::from(x < 0.0)] |=
                    x.is_infinite() && factors.iter().any(|f| f.real().is_infinite());
            }
            Wide::Complex(x, y) => (self.re, self.im) = (self.re + x, self.im + y),
        }
        self.magnitudes += size;
    }

    /// Returns the condition on a result of `dtype`, if each term may have an error of `roundings` eps.
    fn want(self, dtype: DType, roundings: f64) -> Want {
        if matches!(dtype.kind(), Kind::Int | Kind::Uint) {
            return Want::Bits(dtype, cast(dtype, Wide::Int(self.int)));
        }
        let room = if working_eps(dtype) == f64::EPSILON { f64::MAX } else { f64::from(f32::MAX) };
        if dtype.kind() == Kind::Float && (self.nan || self.infinite == [true; 2]) {
            return Want::Near(f64::NAN, 0.0);
        }
        // Kernels that split numbers to use other instructions need room at both ends of the exponent range.
        if !self.magnitudes.is_finite() || self.magnitudes > room / 1e6 || self.magnitudes > largest(dtype) / 4.0 {
            return Want::Any;
        }
        let working = FloatSpec::of(if working_eps(dtype) == f64::EPSILON { DType::F64 } else { DType::F32 });
        let terms = self.terms as f64 + 2.0;
        let by = roundings * terms * (working.eps() * self.magnitudes + working.min_normal());
        if dtype.kind() == Kind::Complex {
            return Want::NearComplex(self.re, self.im, 4.0 * by);
        }
        Want::Near(self.re, by + rounding(dtype, self.re))
    }
}

/// Returns the shape and the sums of products of `a [.., m, k] @ b [.., k, n]`.
fn product_of(a: &Model, b: &Model) -> (Vec<usize>, Vec<Total>) {
    let (i, j) = (a.shape.len() - 2, b.shape.len() - 2);
    let (m, k, n) = (a.shape[i], a.shape[i + 1], b.shape[j + 1]);
    let batch = broadcast(&a.shape[..i], &b.shape[..j]).expect("batch axes are chosen so that they broadcast");
    let whole = |x: &Model, r, c| x.broadcast_to(&batch.iter().copied().chain([r, c]).collect::<Vec<_>>()).data;
    let (a, b) = (whole(a, m, k), whole(b, k, n));
    let count: usize = batch.iter().product();
    let mut totals = vec![Total::default(); count * m * n];
    for page in 0..count {
        for row in 0..m {
            for inner in 0..k {
                let x = a[(page * m + row) * k + inner];
                for column in 0..n {
                    totals[(page * m + row) * n + column].add(&[x, b[(page * k + inner) * n + column]]);
                }
            }
        }
    }
    (batch.into_iter().chain([m, n]).collect(), totals)
}

impl World {
    fn length(&mut self) -> usize {
        match self.rng.below(40) {
            0 => 0,
            1..8 => 1,
            8..24 => 2 + self.rng.below(7),
            24..37 => 9 + self.rng.below(28),
            _ => 40 + self.rng.below(110),
        }
    }

    pub(super) fn product<T: Element>(&mut self) -> Outcome {
        if T::DTYPE.kind() == Kind::Bool {
            let slot: Slot<T> = self.fresh(&[2, 2]);
            return Self::expect_undefined("matmul", slot.array.matmul(&slot.array));
        }
        let (m, mut k, n) = (self.length(), self.length(), self.length());
        while m * k * n > 400_000 {
            k /= 2;
        }
        let pages = if m * k * n > 20_000 { BATCHES[0] } else { *self.rng.pick(&BATCHES) };
        let shape = |batch: &[usize], r, c| batch.iter().copied().chain([r, c]).collect::<Vec<usize>>();
        let (a, b) = (self.factor::<T>(&shape(pages.0, m, k))?, self.factor::<T>(&shape(pages.1, k, n))?);
        let how = self.rng.below(9);
        self.note(format!(
            "product {} {:?} {:?} @ {:?} {:?} in way {how}",
            T::DTYPE,
            a.model.shape,
            a.array.strides(),
            b.model.shape,
            b.array.strides()
        ));
        let (shape, totals) = product_of(&a.model, &b.model);
        match how {
            0..3 => {
                let result = done("matmul", a.array.matmul(&b.array))?;
                self.near("matmul", result, &shape, &totals, 1.0)
            }
            3 => {
                let result = done("wide", Matmul::wide(&a.array, &b.array).run())?;
                self.near("a wide matmul", result, &shape, &totals, 1.0)
            }
            4 | 5 => self.followed(Matmul::new(&a.array, &b.array), &shape, &totals),
            _ => self.write_into_view(Matmul::new(&a.array, &b.array), &shape, &totals, how == 6),
        }
    }

    /// Returns a new operand of a product, in a random layout.
    fn factor<T: Element>(&mut self, shape: &[usize]) -> Outcome<Slot<T>> {
        let data: Vec<T> = self.numbers(shape.iter().product());
        self.laid_out(widened(shape, &data))
    }

    fn near<U: Element>(
        &mut self,
        what: &str,
        got: Array<U>,
        shape: &[usize],
        totals: &[Total],
        roundings: f64,
    ) -> Outcome {
        let want: Vec<Want> = totals.iter().map(|t| t.want(U::DTYPE, roundings)).collect();
        self.played.checks += 1;
        let model = compare(what, &got, shape, &want)?;
        self.push(got, model);
        Ok(())
    }

    /// Tests a bias and an optional epilogue: a computation that must be exact for integers, `max(x, 0)`, which keeps
    /// the bound, for floats.
    fn followed<T: Element>(&mut self, product: Matmul<T>, shape: &[usize], totals: &[Total]) -> Outcome {
        let columns = shape[shape.len() - 1];
        let of = if self.rng.chance(1, 2) { vec![columns] } else { shape.to_vec() };
        let bias: Slot<T> = self.factor(&of)?;
        let added = bias.model.broadcast_to(shape);
        let product = product.bias(&bias.array);
        let twice = self.rng.chance(1, 2);
        self.note(format!("  with a bias {:?}, mapped: {twice}", bias.model.shape));
        if matches!(T::DTYPE.kind(), Kind::Int | Kind::Uint) {
            let factor: T = self.small();
            let product = if twice { product.map(move |e| &e * factor + e.maximum(factor)) } else { product };
            let data = integers_followed(T::DTYPE, totals, &added.data, twice.then(|| factor.to_wide()));
            let result = done("matmul with an epilogue", product.run())?;
            return self.keep(
                "matmul with an epilogue",
                result,
                &Model { dtype: T::DTYPE, shape: shape.to_vec(), data },
            );
        }
        let relu = twice && T::DTYPE.kind() == Kind::Float;
        let product = if relu { product.map(|e| e.maximum(T::default())) } else { product };
        let want = floats_followed(T::DTYPE, totals, &added.data, relu);
        let result = done("matmul with an epilogue", product.run())?;
        self.played.checks += 1;
        let model = compare("matmul with an epilogue", &result, shape, &want)?;
        self.push(result, model);
        Ok(())
    }

    /// Tests a product that is written into a view of a larger array, or added to it. The rest of the array must not
    /// change.
    fn write_into_view<T: Element>(
        &mut self,
        product: Matmul<T>,
        shape: &[usize],
        totals: &[Total],
        add: bool,
    ) -> Outcome {
        let outer: Vec<usize> = shape.iter().map(|n| n * 2 + 1).collect();
        let mut target: Slot<T> = self.fresh(&outer);
        // The view slices each axis, forwards or in reverse, with or without a step.
        let mut cut;
        loop {
            cut = self.cut(&outer);
            if cut.shape.len() == shape.len()
                && cut.items.len() == shape.len()
                && cut.shape.iter().zip(shape).all(|(c, n)| c >= n)
            {
                break;
            }
        }
        let part: Vec<polyarray_core::SliceItem> =
            shape.iter().map(|&n| polyarray_core::SliceItem::from(0..n)).collect();
        let old = cut.of(&target.model);
        self.note(format!("  into a view, added: {add}"));
        {
            let mut view = done("slice_mut", target.array.slice_mut(&cut.items))?;
            let mut view = done("slice_mut of a view", view.slice_mut(&part))?;
            done("run_into, add_into", if add { product.add_into(&mut view) } else { product.run_into(&mut view) })?;
        }
        let whole = done("slice", target.array.slice(&cut.items))?;
        let got = done("slice", whole.slice(&part))?;
        let mut before = Vec::new();
        for_each_index(shape, &mut |index| before.push(old.at(index)));
        let want = into_view(T::DTYPE, totals, add.then_some(&before[..]));
        self.played.checks += 1;
        let written = compare("a matmul into a view", &got, shape, &want)?;
        let mut inside = old;
        for_each_index(shape, &mut |index| inside.set(index, written.at(index)));
        cut.write(&mut target.model, &inside);
        self.settle("an array that holds the view a matmul was written to", target)
    }

    pub(super) fn contraction<T: Element>(&mut self) -> Outcome {
        const SUBSCRIPTS: [&str; 16] = [
            "ij,jk->ik",
            "ij->ji",
            "ii->i",
            "ii",
            "ij,ij->",
            "bij,bjk->bik",
            "i,j->ij",
            "ij->j",
            "ij,j->i",
            "ij,kj->ik",
            "ijk,k->ji",
            "i,ij,j",
            "ab,bc,cd->ad",
            "abc,abd->cd",
            "ij,ik->ijk",
            "ijj->i",
        ];
        let subscripts = *self.rng.pick(&SUBSCRIPTS);
        let (terms, output) = subscripts.split_once("->").unwrap_or((subscripts, ""));
        let mut labels: Vec<char> = terms.chars().filter(|c| *c != ',').collect();
        labels.sort_unstable();
        labels.dedup();
        let lengths: Vec<usize> =
            labels.iter().map(|_| if self.rng.chance(1, 20) { 0 } else { 1 + self.rng.below(7) }).collect();
        let length = |c: char| lengths[labels.iter().position(|l| *l == c).expect("every label is listed")];
        let mut operands: Vec<Slot<T>> = Vec::new();
        for term in terms.split(',') {
            let shape: Vec<usize> = term.chars().map(length).collect();
            operands.push(self.factor(&shape)?);
        }
        self.note(format!(
            "einsum {} {subscripts} of {:?}",
            T::DTYPE,
            operands.iter().map(|o| o.model.shape.clone()).collect::<Vec<_>>()
        ));
        let arrays: Vec<&Array<T>> = operands.iter().map(|o| &o.array).collect();
        let result = einsum(subscripts, &arrays);
        if T::DTYPE.kind() == Kind::Bool {
            return Self::expect_undefined("einsum", result);
        }
        let shape: Vec<usize> = output.chars().map(length).collect();
        let mut totals = vec![Total::default(); shape.iter().product()];
        let value =
            |c: char, index: &[usize]| index[labels.iter().position(|l| *l == c).expect("every label is listed")];
        for_each_index(&lengths, &mut |index| {
            let factors: Vec<Wide> = terms
                .split(',')
                .zip(&operands)
                .map(|(term, o)| o.model.at(&term.chars().map(|c| value(c, index)).collect::<Vec<_>>()))
                .collect();
            let at = output.chars().fold(0, |at, c| at * length(c) + value(c, index));
            totals[at].add(&factors);
        });
        let result = done("einsum", result)?;
        let want = contracted(T::DTYPE, &totals, &operands.iter().map(|o| &o.model).collect::<Vec<_>>());
        self.played.checks += 1;
        let model = compare("einsum", &result, &shape, &want)?;
        self.push(result, model);
        Ok(())
    }

    pub(super) fn distance<T: Element>(&mut self) -> Outcome {
        let (n, m, d) = (self.rng.below(20), self.rng.below(20), self.rng.below(24));
        let metric = *self.rng.pick(&[Metric::Euclidean, Metric::SquaredEuclidean, Metric::Cityblock]);
        let few = |world: &mut World, rows| {
            let data: Vec<T> = (0..rows * d).map(|_| world.small()).collect();
            world.laid_out::<T>(widened(&[rows, d], &data))
        };
        let (x, y) = (few(self, n)?, few(self, m)?);
        self.note(format!(
            "cdist {} {} [{n}, {d}] {:?}, [{m}, {d}] {:?}",
            T::DTYPE,
            metric.name(),
            x.array.strides(),
            y.array.strides()
        ));
        let result = distance::cdist(&x.array, &y.array, metric);
        if !metric.info().coordinates.accept(T::DTYPE) {
            return match result {
                Err(Error::DTypeUndefined { .. }) => Ok(()),
                other => Err(format!("cdist of {}: {:?}", T::DTYPE, other.map(|a| a.shape().to_vec()))),
            };
        }
        // The only operation here that a device other than `scalar` may lack, for half floats.
        if matches!((&result, T::DTYPE), (Err(Error::Refused { .. }), DType::F16 | DType::BF16)) {
            return Ok(());
        }
        let result = done("cdist", result)?;
        let want = distances(&x.model, &y.model, metric, T::Distance::DTYPE);
        self.played.checks += 1;
        let model = compare("cdist", &result, &[n, m], &want)?;
        self.push(result, model);
        Ok(())
    }
}

/// Adds a bias to integers. If there is a factor, then computes `x * factor + max(x, factor)` of each sum `x`.
fn integers_followed(dtype: DType, totals: &[Total], added: &[Wide], factor: Option<Wide>) -> Vec<Wide> {
    let step = |op, x, y| binary(dtype, op, x, y);
    let of = |(total, &c): (&Total, &Wide)| {
        let x = step(Binary::Add, cast(dtype, Wide::Int(total.int)), c);
        factor.map_or(x, |f| step(Binary::Add, step(Binary::Mul, x, f), step(Binary::Maximum, x, f)))
    };
    totals.iter().zip(added).map(of).collect()
}

/// Returns the conditions on floats with a bias added, followed by `max(x, 0)` if `relu` is true.
fn floats_followed(dtype: DType, totals: &[Total], added: &[Wide], relu: bool) -> Vec<Want> {
    let of = |(alone, &c): (&Total, &Wide)| {
        let mut total = *alone;
        total.add(&[c]);
        match total.want(dtype, 2.0) {
            Want::Near(x, by) => {
                let x = if relu && !x.is_nan() { x.max(0.0) } else { x };
                // Some code paths round the product to a half float before the bias is added.
                Want::Near(x, by + rounding(dtype, alone.re) + rounding(dtype, magnitude(c)))
            }
            other => other,
        }
    };
    totals.iter().zip(added).map(of).collect()
}

/// Returns the conditions on products that are written, or added to the elements `before`.
fn into_view(dtype: DType, totals: &[Total], before: Option<&[Wide]>) -> Vec<Want> {
    let integers = matches!(dtype.kind(), Kind::Int | Kind::Uint);
    let Some(before) = before else { return totals.iter().map(|t| t.want(dtype, 1.0)).collect() };
    let of = |(alone, &before): (&Total, &Wide)| {
        if integers {
            return Want::Bits(dtype, binary(dtype, Binary::Add, before, cast(dtype, Wide::Int(alone.int))));
        }
        let mut total = *alone;
        total.add(&[before]);
        match total.want(dtype, 2.0) {
            Want::Near(x, by) => Want::Near(x, by + rounding(dtype, alone.re)),
            other => other,
        }
    };
    totals.iter().zip(before).map(of).collect()
}

/// Returns the conditions on the distances between all rows of `x` and of `y`.
fn distances(x: &Model, y: &Model, metric: Metric, dtype: DType) -> Vec<Want> {
    let (n, m, d) = (x.shape[0], y.shape[0], x.shape[1]);
    let mut want = Vec::new();
    for_each_index(&[n, m], &mut |index| {
        let apart = (0..d).map(|k| (x.at(&[index[0], k]).real() - y.at(&[index[1], k]).real()).abs());
        let exact: f64 = match metric {
            Metric::Cityblock => apart.sum(),
            _ => apart.map(|x| x * x).sum(),
        };
        let exact = if metric == Metric::Euclidean { exact.sqrt() } else { exact };
        want.push(Want::Near(exact, (d as f64 + 3.0) * working_eps(dtype) * exact + rounding(dtype, exact)));
    });
    want
}

/// Returns the conditions on a contraction. With one operand, nothing is multiplied. With more, half floats may be
/// rounded in intermediate steps. With more than two, the library chooses the order of the products: a partial product
/// may overflow, and zero times infinity may give NaN or not.
fn contracted(dtype: DType, totals: &[Total], operands: &[&Model]) -> Vec<Want> {
    let most = |o: &&Model| {
        o.data.iter().map(|&x| magnitude(x)).fold(1.0, |a, b| if b.is_nan() { f64::INFINITY } else { a.max(b) })
    };
    let partial: f64 = operands.iter().map(most).product();
    let of = |t: &Total| match t.want(dtype, 4.0) {
        exact @ Want::Bits(..) => exact,
        _ if operands.len() > 2 && partial * (t.terms as f64 + 1.0) >= largest(dtype.real()) / 4.0 => Want::Any,
        Want::Near(x, by) if operands.len() > 1 => {
            Want::Near(x, by + 4.0 * (t.terms as f64 + 1.0) * rounding(dtype, t.magnitudes))
        }
        other => other,
    };
    totals.iter().map(of).collect()
}
