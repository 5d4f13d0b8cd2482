//! Verification: compares results with those of the same case on `scalar`.
//!
//! `scalar` computes all of a small case. For products and distances of large matrices, where that would take too long,
//! it computes some whole rows and some whole columns of the result, so that the check meets every block of a device's
//! loops in both directions. For products without epilogue, R. Freivalds' method ("Probabilistic machines can use less
//! running time", IFIP 1977) additionally checks every row of the result: `C v = A (B v)` for a vector v of random
//! signs, in f64. Unchecked elements therefore remain only in very large distance matrices and in large products with
//! an epilogue.
//!
//! Errors are relative to the size of what was summed, because rounding errors are:
//!
//! | case | relative to |
//! |---|---|
//! | elementwise | the result, or the case's floor where the result is smaller |
//! | sorts, indices, medians, minima, deviations | the result (`argmax`: at least 1) |
//! | sums, running sums, means | the sum of magnitudes (divided by the length, for means) |
//! | products | the sum of the terms' magnitudes |
//! | matrix-vector products | the row's norm times the vector's (at least the sum of the terms' magnitudes) |
//! | Euclidean distances | `(x.x + y.y) / distance`, at most the sum of the norms, at least the distance |
//! | Manhattan distances | the distance |
//! | cosine distances | 1 |
//!
//! The scale of Euclidean distances is that of the expanded square, from which `blas` starts and which other libraries
//! compute. The conformance suite checks the bound that devices document, which is tighter.

use crate::cases::{Case, Form, Kernel, Number};
use crate::problem::{Problem, Random};
use polyarray::{Array, Device, Dims, Metric, Result, Wide, with_device};
use std::time::Instant;

/// The result according to `scalar`.
pub struct Expected {
    /// The indices of `values` in the result; `None` if `values` are the whole result.
    at: Option<Vec<usize>>,
    values: Vec<f64>,
    scale: Scale,
    rows: Option<Rows>,
    /// The number of elements of the whole result.
    len: usize,
    /// The seconds that `scalar` would take for the whole result, estimated from this computation.
    pub scalar_seconds: f64,
}

/// The values that errors are relative to.
enum Scale {
    /// The magnitude of the value, but at least this number.
    AtLeast(f64),
    /// One number for each value.
    Each(Vec<f64>),
}

/// The sums of the rows of a product, with random signs (Freivalds' method).
struct Rows {
    signs: Vec<f64>,
    sums: Vec<f64>,
    scale: Vec<f64>,
}

impl Expected {
    /// Computes the result on `scalar` in about `limit` multiply-adds: all of it if that suffices, else some rows and
    /// columns.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn new<T: Number>(problem: &Problem<T>, limit: f64) -> Result<Expected> {
        let as_plain = untransposed(problem)?;
        let problem = as_plain.as_ref().unwrap_or(problem);
        let work = problem.shape.iter().map(|&n| n as f64).product::<f64>();
        let grid = Grid::of(problem);
        let mut expected = match grid {
            Some(grid) if work > limit => parts(problem, &grid, limit, work)?,
            _ => {
                let (values, scalar_seconds) = on_scalar(problem)?;
                let scale = match problem.case.kernel {
                    Kernel::Matmul(_) => Scale::Each(on_scalar(&of_magnitudes(problem)?)?.0),
                    _ => Scale::AtLeast(problem.case.floor),
                };
                Expected { at: None, len: values.len(), values, scale, rows: None, scalar_seconds }
            }
        };
        if let Some(scale) = expected.scale_of(problem) {
            expected.scale = Scale::Each(scale);
        }
        Ok(expected)
    }

    /// Returns the largest error of a result: 0 if it is equal, infinite if NaNs differ or the number of elements does.
    pub fn error(&self, got: &[f64]) -> f64 {
        if got.len() != self.len {
            return f64::INFINITY;
        }
        let mut worst = 0.0f64;
        for (i, &want) in self.values.iter().enumerate() {
            let got = got[self.at.as_ref().map_or(i, |at| at[i])];
            let scale = match &self.scale {
                Scale::AtLeast(floor) => want.abs().max(*floor),
                Scale::Each(each) => each[i],
            };
            worst = worst.max(relative(got, want, scale));
        }
        if let Some(rows) = &self.rows {
            for (row, (&want, &scale)) in got.chunks_exact(rows.signs.len()).zip(rows.sums.iter().zip(&rows.scale)) {
                let sum: f64 = row.iter().zip(&rows.signs).map(|(x, s)| x * s).sum();
                worst = worst.max(relative(sum, want, scale));
            }
        }
        worst
    }

    /// Returns the scale of each value, for cases whose scale follows from the inputs.
    fn scale_of<T: Number>(&self, problem: &Problem<T>) -> Option<Vec<f64>> {
        let magnitudes = |axis: usize| {
            let (rows, columns) = (problem.shape[0], problem.shape[1]);
            let mut sums = vec![0.0; [columns, rows][axis]];
            problem
                .slice(0)
                .iter()
                .enumerate()
                .for_each(|(i, x)| sums[[i % columns, i / columns][axis]] += real(*x).abs());
            sums
        };
        match problem.case.kernel {
            Kernel::Sum => Some(vec![problem.slice(0).iter().map(|x| real(*x).abs()).sum()]),
            Kernel::Mean => {
                let x = problem.slice(0);
                Some(vec![x.iter().map(|x| real(*x).abs()).sum::<f64>() / x.len() as f64])
            }
            Kernel::SumAxis(axis) => Some(magnitudes(axis)),
            Kernel::CumSum => {
                let running = problem.slice(0).iter().scan(0.0, |sum, x| {
                    *sum += real(*x).abs();
                    Some(*sum)
                });
                Some(running.collect())
            }
            Kernel::Matvec => {
                let grid = Grid { batch: 1, m: problem.shape[0], n: 1 };
                Some(self.each(&grid, &norms(problem, 0, &grid), &norms(problem, 1, &grid), |_, x, y| x * y))
            }
            Kernel::Distance(_) => {
                let grid = Grid::of(problem).expect("products and distances have a grid");
                let (x, y) = (norms(problem, 0, &grid), norms(problem, 1, &grid));
                let euclidean = |want: f64, x: f64, y: f64| want.max(((x * x + y * y) / want).min(x + y));
                Some(match problem.case.kernel {
                    Kernel::Distance(Metric::Euclidean) => self.each(&grid, &x, &y, euclidean),
                    Kernel::Distance(Metric::Dot) => self.each(&grid, &x, &y, |_, x, y| x * y),
                    Kernel::Distance(Metric::Cosine | Metric::Correlation) => vec![1.0; self.values.len()],
                    _ => self.values.clone(),
                })
            }
            Kernel::Unary(_) | Kernel::Binary(_) | Kernel::Composed(_) => None,
            Kernel::Map(_) | Kernel::Compiled(_) | Kernel::Fresh(_) | Kernel::Transpose => None,
            Kernel::Sort | Kernel::Argsort | Kernel::Median | Kernel::Any => None,
            Kernel::Get | Kernel::Set | Kernel::Slice | Kernel::TransposedView | Kernel::Reshape => None,
            // `new` and `parts` compute the scale of products together with their values.
            Kernel::Matmul(_) | Kernel::Min | Kernel::Std | Kernel::ArgMax => None,
            // Exact.
            Kernel::Nearest(..) => None,
        }
    }

    /// Returns `f(value, norm of its row, norm of its column)` for each value.
    fn each(&self, grid: &Grid, x: &[f64], y: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        let one = |(i, &want): (usize, &f64)| {
            let at = self.at.as_ref().map_or(i, |at| at[i]);
            let (row, column) = (at / grid.n, at % grid.n);
            f(want, x[row], y[row / grid.m * grid.n + column])
        };
        self.values.iter().enumerate().map(one).collect()
    }
}

fn relative(got: f64, want: f64, scale: f64) -> f64 {
    if got == want || (got.is_nan() && want.is_nan()) {
        return 0.0;
    }
    let error = (got - want).abs() / scale;
    if error.is_nan() { f64::INFINITY } else { error }
}

fn real<T: Number>(x: T) -> f64 {
    x.to_wide().real()
}

/// Converts a product of transposed views to a product of matrices in C order. Returns `None` for other cases.
fn untransposed<T: Number>(problem: &Problem<T>) -> Result<Option<Problem<T>>> {
    if !matches!(problem.case.kernel, Kernel::Matmul(Form::Transposed)) {
        return Ok(None);
    }
    let inputs =
        with_device(&Device::scalar(), || problem.inputs.iter().map(|x| x.t().to_contiguous()).collect::<Result<_>>())?;
    Ok(Some(Problem {
        case: Case::named("matmul").expect("the registry contains matmul"),
        shape: problem.shape.clone(),
        inputs,
    }))
}

/// Returns the same problem with the magnitudes of all inputs.
fn of_magnitudes<T: Number>(problem: &Problem<T>) -> Result<Problem<T>> {
    let magnitude = |x: &T| if real(*x) < 0.0 { T::from_wide(Wide::Float(-real(*x))) } else { *x };
    let one = |(i, x): (usize, &Array<T>)| {
        Array::from_vec(problem.slice(i).iter().map(magnitude).collect(), Dims::from(x.shape()))
    };
    Ok(problem.with_inputs(problem.shape.clone(), problem.inputs.iter().enumerate().map(one).collect::<Result<_>>()?))
}

fn on_scalar<T: Number>(problem: &Problem<T>) -> Result<(Vec<f64>, f64)> {
    let scalar = Device::scalar();
    let mut runner = problem.on(&scalar)?;
    let start = Instant::now();
    with_device(&scalar, || runner.run())?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((runner.values()?, seconds))
}

/// The shape `[batch, m, n]` of a result whose elements each depend on one row of one input and one row or column of
/// the other.
struct Grid {
    batch: usize,
    m: usize,
    n: usize,
}

impl Grid {
    fn of<T: Number>(problem: &Problem<T>) -> Option<Grid> {
        match (&problem.case.kernel, &problem.shape[..]) {
            (Kernel::Matmul(_), [batch @ .., m, _, n]) => Some(Grid { batch: batch.iter().product(), m: *m, n: *n }),
            (Kernel::Distance(_), [n, m, _]) => Some(Grid { batch: 1, m: *n, n: *m }),
            (Kernel::Nearest(_, k), [n, m, _]) => Some(Grid { batch: 1, m: *n, n: *k.min(m) }),
            _ => None,
        }
    }
}

/// Returns the axis of an input that becomes an axis of the result, and the axis that is summed over.
fn axes<T: Number>(problem: &Problem<T>, input: usize) -> (usize, usize) {
    let last = problem.inputs[input].ndim() - 1;
    match (&problem.case.kernel, input) {
        (Kernel::Matmul(_), 1) => (last, last - 1),
        (Kernel::Matvec, 1) => (last, last),
        _ => (last - 1, last),
    }
}

/// Returns the Euclidean norms of an input's rows (of its columns for the right operand of a product), batch after
/// batch.
fn norms<T: Number>(problem: &Problem<T>, input: usize, grid: &Grid) -> Vec<f64> {
    let shape = problem.inputs[input].shape();
    let (_, summed) = axes(problem, input);
    let (inner, len): (usize, usize) = (shape[summed + 1..].iter().product(), shape[summed]);
    let mut squares = vec![0.0; grid.batch * [grid.m, grid.n][input]];
    for (i, x) in problem.slice(input).iter().enumerate() {
        let (outer, at) = (i / (inner * len), i % inner);
        squares[outer * inner + at] += real(*x).powi(2);
    }
    squares.iter().map(|s| s.sqrt()).collect()
}

/// Returns `count` (at least 2) numbers of `0..n`, spread evenly and including both ends; all of them if `n` is not
/// larger.
fn spread(n: usize, count: usize) -> Vec<usize> {
    let count = count.clamp(2, n.max(2)).min(n);
    (0..count).map(|i| if count == 1 { 0 } else { i * (n - 1) / (count - 1) }).collect()
}

/// Copies the entries at `indices` along one axis of an array in C order.
fn gather<T: Number>(array: &Array<T>, axis: usize, indices: &[usize]) -> Result<Array<T>> {
    let (data, shape) = (array.as_slice().expect("inputs lie in host memory in C order"), array.shape());
    let (inner, len): (usize, usize) = (shape[axis + 1..].iter().product(), shape[axis]);
    let mut out = Vec::new();
    for block in data.chunks_exact(inner * len) {
        indices.iter().for_each(|&i| out.extend_from_slice(&block[i * inner..(i + 1) * inner]));
    }
    let mut shape = shape.to_vec();
    shape[axis] = indices.len();
    Array::from_slice(&out, Dims::from(shape))
}

/// Computes some rows and some columns of the result, but only rows of nearest neighbours, which are selected from all
/// columns. Each part takes half of `limit`.
fn parts<T: Number>(problem: &Problem<T>, grid: &Grid, limit: f64, work: f64) -> Result<Expected> {
    let (mut at, mut values, mut scale, mut seconds, mut done) = (Vec::new(), Vec::new(), Vec::new(), 0.0, 0.0);
    let sides = if matches!(problem.case.kernel, Kernel::Nearest(..)) { 1 } else { 2 };
    for (input, len) in [(0, grid.m), (1, grid.n)].into_iter().take(sides) {
        let chosen = spread(len, (limit / 2.0 / (work / len as f64)) as usize);
        let mut inputs = problem.inputs.clone();
        inputs[input] = gather(&inputs[input], axes(problem, input).0, &chosen)?;
        let mut shape = problem.shape.clone();
        if input == 1 && matches!(problem.case.kernel, Kernel::Matmul(Form::BiasRelu)) {
            inputs[2] = gather(&inputs[2], 0, &chosen)?;
        }
        let axis = match (&problem.case.kernel, input) {
            (Kernel::Distance(_) | Kernel::Nearest(..), i) => i,
            (_, 0) => shape.len() - 3,
            _ => shape.len() - 1,
        };
        shape[axis] = chosen.len();
        done += shape.iter().map(|&n| n as f64).product::<f64>();
        let part = problem.with_inputs(shape, inputs);
        if let Kernel::Matmul(_) = problem.case.kernel {
            scale.extend(on_scalar(&of_magnitudes(&part)?)?.0);
        }
        let (part, took) = on_scalar(&part)?;
        seconds += took;
        values.extend(part);
        for batch in 0..grid.batch {
            let whole = |row: usize, column: usize| (batch * grid.m + row) * grid.n + column;
            match input {
                0 => chosen.iter().for_each(|&i| at.extend((0..grid.n).map(|j| whole(i, j)))),
                _ => (0..grid.m).for_each(|i| at.extend(chosen.iter().map(|&j| whole(i, j)))),
            }
        }
    }
    let rows = matches!(problem.case.kernel, Kernel::Matmul(Form::Plain)).then(|| row_sums(problem, grid));
    let scalar_seconds = seconds * work / done;
    let scale = if scale.is_empty() { Scale::AtLeast(0.0) } else { Scale::Each(scale) };
    Ok(Expected { at: Some(at), values, scale, rows, len: grid.batch * grid.m * grid.n, scalar_seconds })
}

/// Computes `A (B v)` for a vector v of random signs, in f64.
fn row_sums<T: Number>(problem: &Problem<T>, grid: &Grid) -> Rows {
    let k = problem.shape[problem.shape.len() - 2];
    let mut random = Random::new(0x0dd_516);
    let signs: Vec<f64> = (0..grid.n).map(|_| if random.bits() & 1 == 0 { 1.0 } else { -1.0 }).collect();
    let dot = |row: &[T], v: &[f64]| row.iter().zip(v).map(|(x, v)| real(*x) * v).sum::<f64>();
    let (left, right) = (norms(problem, 0, grid), norms(problem, 1, grid));
    let (mut sums, mut scale) = (Vec::new(), Vec::new());
    for batch in 0..grid.batch {
        let (a, b) = (
            &problem.slice(0)[batch * grid.m * k..][..grid.m * k],
            &problem.slice(1)[batch * k * grid.n..][..k * grid.n],
        );
        let v: Vec<f64> = b.chunks_exact(grid.n).map(|row| dot(row, &signs)).collect();
        sums.extend(a.chunks_exact(k).map(|row| dot(row, &v)));
        // With random signs, errors partly cancel: they grow as the square root of the number of columns.
        let columns = right[batch * grid.n..][..grid.n].iter().map(|n| n * n).sum::<f64>().sqrt();
        scale.extend(left[batch * grid.m..][..grid.m].iter().map(|n| n * columns));
    }
    Rows { signs, sums, scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{CASES, Case};

    fn expected(name: &str, shape: &[usize], limit: f64) -> (Expected, Vec<f64>) {
        let problem = Problem::<f32>::new(Case::named(name).unwrap(), shape, 7).unwrap();
        (Expected::new(&problem, limit).unwrap(), on_scalar(&problem).unwrap().0)
    }

    #[test]
    fn scalar_agrees_with_itself_in_parts_and_as_a_whole() {
        for case in CASES.iter().filter(|c| c.dtypes.contains(&polyarray::DType::F32)) {
            let shape = (case.sizes.of)(13);
            for limit in [f64::INFINITY, 300.0] {
                let (expected, result) = expected(case.name, &shape, limit);
                let error = expected.error(&result);
                assert!(error <= case.tolerance::<f32>(&shape, true), "{} {limit}: {error}", case.name);
            }
        }
    }

    #[test]
    fn one_wrong_element_is_found_wherever_it_is() {
        for (name, shape, limit) in [
            ("exp", &[50][..], 1e9),
            ("sum_axis1", &[5, 7], 1e9),
            ("matmul_batched", &[3, 9, 5, 11], 30.0),
            ("matvec", &[9, 5], 1e9),
        ] {
            let (expected, result) = expected(name, shape, limit);
            let tolerance = Case::named(name).unwrap().tolerance::<f32>(shape, false);
            for i in 0..result.len() {
                for wrong in [result[i] * 1.01 + 0.01, f64::NAN, f64::INFINITY] {
                    let mut result = result.clone();
                    result[i] = wrong;
                    assert!(expected.error(&result) > tolerance, "{name}[{i}] = {wrong}");
                }
            }
            assert_eq!(expected.error(&result[1..]), f64::INFINITY);
        }
    }

    #[test]
    fn distances_in_parts_cover_rows_and_columns() {
        let (expected, result) = expected("cdist_euclidean", &[20, 30, 4], 200.0);
        for at in [0, 7, 29, 30 * 19, 30 * 20 - 1, 30 * 9] {
            let mut wrong = result.clone();
            wrong[at] *= 1.001;
            assert!(expected.error(&wrong) > 1e-4, "{at}");
        }
        assert!(expected.values.len() < result.len());
        assert!(expected.scalar_seconds > 0.0);
    }

    #[test]
    fn spreads_include_both_ends() {
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(5, 100), [0, 1, 2, 3, 4]);
        assert_eq!(spread(1, 7), [0]);
        assert_eq!(spread(9, 0), [0, 8]);
    }
}
