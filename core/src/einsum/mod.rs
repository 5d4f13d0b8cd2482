//! Einstein's summation convention: products of any number of arrays, summed over the indices that are not in the
//! output.
//!
//! [`parse`] assigns an index to each axis. [`plan`] determines the order in which pairs of operands are contracted.
//! This module maps each step to existing operations: sums, elementwise products of broadcast views, and batched matrix
//! products over axes that views merge if strides allow it.

mod parse;
mod path;
mod plan;
mod products;

pub use path::{EinsumPath, EinsumStep, einsum_path};
pub use products::Contraction;

use crate::array::Array;
use crate::matmul::Matmul;
use crate::{DType, Dims, Element, Error, Kind, MAX_NDIM, Result};
use parse::{Label, Labels, Parsed};
use plan::{Plan, Step};
use smallvec::SmallVec;

/// Computes the product of the operands, summed over all indices that are not in the output:
/// `einsum("ij,jk->ik", &[&a, &b])` is the matrix product.
///
/// As in NumPy: each axis is named by a letter (`a-z`, `A-Z`), terms are separated by commas, spaces are ignored.
///
/// * The output's indices follow `->`. Without it, they are the letters that occur once, in ASCII order.
/// * A letter that occurs twice in a term is a diagonal, along axes of equal length.
/// * A letter in several terms is the same index. Axes of length 1 broadcast.
/// * `...` stands for the unnamed axes, aligned at the last, which broadcast. Without `->`, they come first in the
///   output.
///
/// One operand without summed indices gives a view (a transpose, a diagonal). More than two are contracted in pairs,
/// with the fewest multiply-adds for up to 8 operands, in a greedy order for more; [`einsum_path`] shows the order.
/// Each step is a sum, an elementwise product or a batched matrix product, whose operands are copied only if strides do
/// not allow merging several axes into one.
///
/// Integers wrap. Floats are as accurate as the sums and matrix products of the steps, which depend on the lengths of
/// the axes.
///
/// # Errors
/// [`Error::Einsum`] for subscripts that are invalid or do not match the operands' shapes, [`Error::DTypeUndefined`]
/// for bool, [`Error::Refused`] if the current device cannot do it, out of memory.
///
/// ```
/// # use polyarray_core::*;
/// let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?;
/// assert_eq!(einsum("ji", &[&a])?.to_vec()?, [1.0, 3.0, 2.0, 4.0]);
/// assert_eq!(einsum("ii->i", &[&a])?.to_vec()?, [1.0, 4.0]);
/// let e = einsum("ij,jk->ik", &[&a, &a.reshape([1, 4])?.t()]).unwrap_err();
/// assert!(e.to_string().ends_with("index 'j' is 2 in operand 0 and 4 in operand 1"));
/// # Ok::<(), Error>(())
/// ```
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # let a = Array::from_vec(vec![1.0, 2.0, 3.0, 4.0], [2, 2])?;
/// let v = Array::from_vec(vec![1.0, -1.0], [2])?;
/// assert_eq!(einsum("ij,j->i", &[&a, &v])?.to_vec()?, [-1.0, -1.0]);
/// assert_eq!(einsum("ii", &[&a])?.item()?, 5.0);
/// assert_eq!(einsum("i,ij,j", &[&v, &a, &v])?.item()?, 0.0);
/// assert_eq!(einsum("...i->...", &[&a])?.to_vec()?, [3.0, 7.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn einsum<T: Element>(subscripts: &str, operands: &[&Array<T>]) -> Result<Array<T>> {
    numeric("einsum", T::DTYPE)?;
    let shapes: SmallVec<[&[usize]; 4]> = operands.iter().map(|a| a.shape()).collect();
    let (parsed, plan) = planned(subscripts, &shapes, T::DTYPE)?;
    let own =
        operands.iter().zip(&parsed.operands).map(|(a, o)| Some(a.with_layout(a.layout().step_together(&o.axes))));
    let mut values: Vec<Option<Array<T>>> = own.collect();
    let take = |v: usize, values: &mut Vec<Option<Array<T>>>| Value {
        array: values[v].take().expect("a plan uses each value once"),
        labels: plan.values[v].clone(),
    };
    for step in &plan.steps {
        let result = match step {
            Step::Sum { of, labels } => take(*of, &mut values).sum_to(labels)?,
            Step::Contract { pair, labels } => contract(take(pair.0, &mut values), take(pair.1, &mut values), labels)?,
        };
        values.push(Some(result));
    }
    take(values.len() - 1, &mut values).permuted(&parsed.output)
}

fn planned(subscripts: &str, shapes: &[&[usize]], dtype: DType) -> Result<(Parsed, Plan)> {
    let plan = || {
        let parsed = Parsed::new(subscripts, shapes)?;
        parsed.shape(&parsed.output).check(dtype).map_err(|e| e.to_string())?;
        let plan = Plan::new(&parsed)?;
        Ok((parsed, plan))
    };
    plan().map_err(|why| Error::Einsum {
        subscripts: subscripts.into(),
        shapes: shapes.iter().map(|&s| s.into()).collect(),
        why,
    })
}

/// Returns an error for bool, which has no products.
fn numeric(op: &'static str, dtype: DType) -> Result<()> {
    if dtype.kind() == Kind::Bool {
        return Err(Error::DTypeUndefined { op, dtype, defined: "integers, floats, complex".into() });
    }
    Ok(())
}

/// An array with an index for each axis.
///
/// Invariant: `labels` has one label for each axis, and no label twice.
struct Value<T: Element> {
    array: Array<T>,
    labels: Labels,
}

impl<T: Element> Value<T> {
    fn axis(&self, label: Label) -> Option<usize> {
        self.labels.iter().position(|&l| l == label)
    }

    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// Returns the lengths along those of `labels` that this value has.
    fn lens<'a>(&'a self, labels: &'a [Label]) -> impl Iterator<Item = usize> + 'a {
        labels.iter().filter_map(|&l| self.axis(l)).map(|a| self.array.shape()[a])
    }

    /// Returns a view with the axes in the order of `labels`, which include all of this value's.
    fn permuted(&self, labels: &[Label]) -> Result<Array<T>> {
        let axes: SmallVec<[isize; 8]> = labels.iter().filter_map(|&l| self.axis(l)).map(|a| a as isize).collect();
        self.array.permute(&axes)
    }

    /// Sums over the indices that are not among `labels`.
    fn sum_to(self, labels: &[Label]) -> Result<Array<T>> {
        let axes: SmallVec<[usize; 8]> =
            (0..self.labels.len()).filter(|&a| !labels.contains(&self.labels[a])).collect();
        same_dtype(self.array.sum_axis(&axes[..])?)
    }

    /// Returns a view with one axis for each of `labels`, in order. Indices that this value does not have become axes
    /// of length 1.
    fn aligned(self, labels: &[Label]) -> Result<Array<T>> {
        let mut view = self.permuted(labels)?;
        for (axis, _) in labels.iter().enumerate().filter(|(_, l)| !self.has(**l)) {
            view = view.expand_dims(axis as isize)?;
        }
        Ok(view)
    }

    /// Sorts `labels`, indices of this value, by descending stride: the only order in which a view can merge their
    /// axes.
    fn by_stride(&self, labels: &[Label]) -> Labels {
        let mut sorted = Labels::from_slice(labels);
        sorted.sort_by_key(|&l| std::cmp::Reverse(self.axis(l).map_or(0, |a| self.array.strides()[a].unsigned_abs())));
        sorted
    }

    /// Returns whether a view can merge the axes of `labels`, in this order, into one.
    fn merges(&self, labels: &[Label]) -> bool {
        let axes =
            labels.iter().filter_map(|&l| self.axis(l)).map(|a| (self.array.shape()[a], self.array.strides()[a]));
        let axes: SmallVec<[(usize, isize); 8]> = axes.filter(|(n, _)| *n != 1).collect();
        self.array.is_empty() || axes.windows(2).all(|w| w[0].1 == w[1].1 * w[1].0 as isize)
    }

    /// Returns the order in which to merge the axes of `labels` into one, and whether a view can do it: the given
    /// order, or that of strides if only this can be a view.
    fn group(&self, labels: &[Label]) -> (Labels, bool) {
        if self.merges(labels) {
            return (labels.into(), true);
        }
        let sorted = self.by_stride(labels);
        if self.merges(&sorted) { (sorted, true) } else { (labels.into(), false) }
    }

    /// Returns the matrices `[batch.., rows, columns]`, whose last two axes each merge several indices: a view if
    /// strides allow it, else a copy.
    fn matrices(self, batch: &[Label], rows: &[Label], columns: &[Label]) -> Result<Array<T>> {
        let order: Labels = [batch, rows, columns].concat().into();
        let shape: Dims = self.lens(batch).chain([self.lens(rows).product(), self.lens(columns).product()]).collect();
        self.permuted(&order)?.reshape(shape)
    }
}

/// Casts a sum to the dtype of the summed elements.
fn same_dtype<T: Element>(sum: Array<T::Sum>) -> Result<Array<T>> {
    if T::DTYPE == <T::Sum as Element>::DTYPE { Array::from_raw(sum.into_raw()) } else { sum.cast().eval() }
}

/// Computes the product of two values, summed over the indices that are not among `labels`, with axes in the order of
/// `labels`. Indices of only one value are among `labels`; lengths along a common index are equal.
fn contract<T: Element>(a: Value<T>, b: Value<T>, labels: &[Label]) -> Result<Array<T>> {
    let summed: Labels = a.labels.iter().copied().filter(|l| !labels.contains(l)).collect();
    let batch: Labels = labels.iter().copied().filter(|&l| a.has(l) && b.has(l)).collect();
    if summed.is_empty() {
        return (a.aligned(labels)? * b.aligned(labels)?).eval();
    }
    if batch.len() + 2 > MAX_NDIM {
        // A batched matrix product would exceed `MAX_NDIM` axes. Each operand has one summed axis besides the batch
        // axes, so the elementwise product does not.
        let all: Labels = [labels, &summed].concat().into();
        let axes: SmallVec<[usize; 2]> = (labels.len()..all.len()).collect();
        return same_dtype((a.aligned(&all)? * b.aligned(&all)?).sum_axis(&axes[..])?);
    }
    // The columns of the right matrix become the last axis of the result. Swap the operands if that is an axis of the
    // left, so that the product has the requested order.
    let swap = labels.last().is_some_and(|&l| a.has(l) && !b.has(l));
    let (a, b) = if swap { (b, a) } else { (a, b) };
    let free = |v: &Value<T>| {
        v.group(&labels.iter().copied().filter(|&l| v.has(l) && !batch.contains(&l)).collect::<Labels>())
    };
    let ((rows, rows_merge), (columns, columns_merge)) = (free(&a), free(&b));
    // The number of elements copied if the summed indices have this order. The best is the stride order of one operand.
    let copied = |order: &Labels| {
        let (keeps_a, keeps_b) = (rows_merge && a.merges(order), columns_merge && b.merges(order));
        (if keeps_a { 0 } else { a.array.len() }) + (if keeps_b { 0 } else { b.array.len() })
    };
    let (one, other) = (a.by_stride(&summed), b.by_stride(&summed));
    let summed = if copied(&other) < copied(&one) { other } else { one };
    let order: Labels = [&batch[..], &rows, &columns].concat().into();
    let shape: Dims = a.lens(&batch).chain(a.lens(&rows)).chain(b.lens(&columns)).collect();
    let product = Matmul::new(&a.matrices(&batch, &rows, &summed)?, &b.matrices(&batch, &summed, &columns)?).run()?;
    Value { array: product.reshape(shape)?, labels: order }.permuted(labels)
}
