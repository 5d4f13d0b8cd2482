//! Steps of slicing, reshaping, transposing, indexing, masking and assigning, and a model that they are compared with:
//! the elements in C order as a `Vec`, and arithmetic on indices.

use polyarray::SliceItem;
use polyarray::prelude::*;

/// The elements of an array in C order.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub shape: Vec<usize>,
    pub data: Vec<i32>,
}

impl Model {
    /// Returns the index of each axis of the element with this number in C order.
    pub fn index(&self, mut number: usize) -> Vec<usize> {
        let mut index = vec![0; self.shape.len()];
        for axis in (0..self.shape.len()).rev() {
            index[axis] = number % self.shape[axis];
            number /= self.shape[axis];
        }
        index
    }

    fn number(&self, index: &[usize]) -> usize {
        index.iter().zip(&self.shape).fold(0, |number, (i, n)| number * n + i)
    }

    /// Returns the elements of `shape` that lie where `from` says for each index.
    fn view(&self, shape: Vec<usize>, from: impl Fn(&[usize]) -> Vec<usize>) -> Model {
        let len = shape.iter().product();
        let mut view = Model { shape, data: vec![0; len] };
        view.data = (0..len).map(|i| self.data[self.number(&from(&view.index(i)))]).collect();
        view
    }

    /// Returns the elements with an axis reversed.
    fn flipped(&self, axis: usize) -> Model {
        let n = self.shape[axis];
        self.view(self.shape.clone(), |index| [&index[..axis], &[n - 1 - index[axis]], &index[axis + 1..]].concat())
    }

    /// Returns, for each axis, the indices that a range with a step selects.
    fn picked(&self, ranges: &[(usize, usize, isize)]) -> Vec<Vec<usize>> {
        let pick = |(&(from, to, step), &n): (&(usize, usize, isize), &usize)| {
            let (from, to) = (from.min(n), to.min(n));
            let every: Vec<usize> = (from..to).collect();
            let by = step.unsigned_abs();
            if step > 0 {
                every.into_iter().step_by(by).collect()
            } else {
                every.into_iter().rev().step_by(by).collect()
            }
        };
        ranges.iter().zip(&self.shape).map(pick).collect()
    }
}

/// A step of a sequence. Axes and lengths are taken modulo the available ones.
#[derive(Clone, Debug)]
pub enum Step {
    Slice(Vec<(usize, usize, isize)>),
    Index(usize, usize),
    Transpose,
    MoveAxis(usize, usize),
    NewAxis(usize),
    Flatten,
    /// Splits the first axis into two, the second of which has this length if it divides the axis.
    Split(usize),
    /// Keeps the elements that are not multiples of the number, as one axis.
    Mask(i32),
    Fill(Vec<(usize, usize, isize)>, i32),
    /// Assigns the part, reversed along each axis, plus a number.
    AssignReversed(Vec<(usize, usize, isize)>, i32),
    /// Assigns a number to all multiples of another one.
    AssignWhere(i32, i32),
    AddInPlace(i32),
    /// Takes the elements at indices along an axis.
    Take(usize, Vec<i64>),
    /// Takes the elements at pairs of indices of the first two axes.
    TakeAt(Vec<(i64, i64)>),
    /// Keeps the indices of an axis, except each n-th one.
    Compress(usize, usize),
    Roll(usize, isize),
    Flip(usize),
    /// Joins the array and its reversal along an axis.
    Concatenate(usize),
    /// Combines consecutive numbers from the last one on with the elements at indices along an axis.
    Scatter(Combine, usize, Vec<i64>, i32),
    /// As `Scatter`, for pairs of indices of the first two axes.
    ScatterAt(Combine, Vec<(i64, i64)>, i32),
    /// Keeps a clone alive, which must not change.
    Share,
}

fn items(ranges: &[(usize, usize, isize)], ndim: usize) -> Vec<SliceItem> {
    ranges.iter().take(ndim).map(|&(from, to, step)| SliceItem::from(from..to).step(step)).collect()
}

/// Applies a step to both, and keeps clones of the array in `shared`.
pub fn apply(
    step: &Step,
    array: &mut Array<i32>,
    model: &mut Model,
    shared: &mut Vec<(Array<i32>, Model)>,
) -> Result<()> {
    let ndim = model.shape.len();
    match step {
        Step::Slice(ranges) => {
            *array = array.slice(items(ranges, ndim))?;
            let picked = model.picked(ranges);
            let shape = picked.iter().map(Vec::len).collect();
            *model = model.view(shape, |index| index.iter().zip(&picked).map(|(&i, p)| p[i]).collect());
        }
        Step::Index(axis, i) if ndim > 0 && model.shape[axis % ndim] > 0 => {
            let axis = axis % ndim;
            let i = i % model.shape[axis];
            let mut items = vec![SliceItem::from(..); axis];
            items.push(SliceItem::from(i));
            *array = array.slice(items)?;
            let mut shape = model.shape.clone();
            shape.remove(axis);
            *model = model.view(shape, |index| [&index[..axis], &[i], &index[axis..]].concat());
        }
        Step::Transpose => {
            *array = array.t();
            let shape = model.shape.iter().rev().copied().collect();
            *model = model.view(shape, |index| index.iter().rev().copied().collect());
        }
        Step::MoveAxis(from, to) if ndim > 0 => {
            let (from, to) = (from % ndim, to % ndim);
            *array = array.moveaxis(from as isize, to as isize)?;
            let mut order: Vec<usize> = (0..ndim).collect();
            let moved = order.remove(from);
            order.insert(to, moved);
            let shape = order.iter().map(|&axis| model.shape[axis]).collect();
            *model = model.view(shape, |index| {
                let mut source = vec![0; ndim];
                order.iter().zip(index).for_each(|(&axis, &i)| source[axis] = i);
                source
            });
        }
        Step::NewAxis(axis) if ndim < 4 => {
            let axis = axis % (ndim + 1);
            *array = array.expand_dims(axis as isize)?;
            model.shape.insert(axis, 1);
        }
        Step::Flatten => {
            *array = array.ravel()?;
            model.shape = vec![model.data.len()];
        }
        Step::Split(len) if (1..4).contains(&ndim) && model.shape[0].is_multiple_of(*len) => {
            let shape: Vec<usize> = [model.shape[0] / len, *len].into_iter().chain(model.shape[1..].to_vec()).collect();
            *array = array.reshape(&shape[..])?;
            model.shape = shape;
        }
        Step::Mask(by) => {
            *array = array.mask(&(&*array % *by).not_equal(0).eval()?)?;
            model.data.retain(|x| x % by != 0);
            model.shape = vec![model.data.len()];
        }
        Step::Fill(ranges, value) => {
            array.slice_mut(items(ranges, ndim))?.fill(*value)?;
            assign(model, ranges, |_, _| *value);
        }
        Step::AssignReversed(ranges, plus) => {
            let part = array.slice(items(ranges, ndim))?;
            let turned = part.slice(vec![SliceItem::from(..).step(-1); ndim])?;
            let before = model.clone();
            array.slice_mut(items(ranges, ndim))?.assign(&turned + *plus)?;
            assign(model, ranges, |picked, index| {
                let from: Vec<usize> = index.iter().zip(picked).map(|(&i, p)| p[p.len() - 1 - i]).collect();
                before.data[before.number(&from)].wrapping_add(*plus)
            });
        }
        Step::AssignWhere(by, value) => {
            let mask = (&*array % *by).equal(0).eval()?;
            array.assign_where(&mask, *value)?;
            model.data.iter_mut().filter(|x| **x % by == 0).for_each(|x| *x = *value);
        }
        Step::AddInPlace(value) => {
            *array += *value;
            model.data.iter_mut().for_each(|x| *x = x.wrapping_add(*value));
        }
        Step::Take(axis, indices) if ndim > 0 && model.shape[axis % ndim] > 0 && model.data.len() < MOST => {
            let axis = axis % ndim;
            let (ix, at) = in_range(indices, model.shape[axis]);
            *array = array.take(&ix, axis as isize)?;
            let mut shape = model.shape.clone();
            shape[axis] = at.len();
            *model = model.view(shape, |index| [&index[..axis], &[at[index[axis]]], &index[axis + 1..]].concat());
        }
        Step::TakeAt(pairs) if ndim > 1 && !model.shape[..2].contains(&0) && model.data.len() < MOST => {
            let ((i, rows), (j, columns)) = in_range_pairs(pairs, model);
            *array = array.take_at(&[&i, &j])?;
            let shape = [&[rows.len()], &model.shape[2..]].concat();
            *model = model.view(shape, |index| [&[rows[index[0]], columns[index[0]]], &index[1..]].concat());
        }
        Step::Compress(axis, every) if ndim > 0 => {
            let axis = axis % ndim;
            let kept: Vec<usize> = (0..model.shape[axis]).filter(|i| !i.is_multiple_of(*every)).collect();
            let mask: Vec<bool> = (0..model.shape[axis]).map(|i| !i.is_multiple_of(*every)).collect();
            *array = array.compress(&Array::from(mask), axis as isize)?;
            let mut shape = model.shape.clone();
            shape[axis] = kept.len();
            *model = model.view(shape, |index| [&index[..axis], &[kept[index[axis]]], &index[axis + 1..]].concat());
        }
        Step::Roll(axis, shift) if ndim > 0 => {
            let axis = axis % ndim;
            *array = array.roll(*shift, axis as isize)?;
            let n = model.shape[axis] as isize;
            let from = |i: usize| (i as isize - shift).rem_euclid(n.max(1)) as usize;
            let shape = model.shape.clone();
            *model = model.view(shape, |index| [&index[..axis], &[from(index[axis])], &index[axis + 1..]].concat());
        }
        Step::Flip(axis) if ndim > 0 => {
            let axis = axis % ndim;
            *array = array.flip(axis)?;
            *model = model.flipped(axis);
        }
        Step::Concatenate(axis) if ndim > 0 && model.data.len() < MOST => {
            let axis = axis % ndim;
            *array = Array::concatenate(&[&*array, &array.flip(axis)?], axis as isize)?;
            let (n, mut shape) = (model.shape[axis], model.shape.clone());
            shape[axis] *= 2;
            *model = model.view(shape, |index| {
                let i = if index[axis] < n { index[axis] } else { 2 * n - 1 - index[axis] };
                [&index[..axis], &[i], &index[axis + 1..]].concat()
            });
        }
        Step::Scatter(how, axis, indices, from) if ndim > 0 && model.shape[axis % ndim] > 0 => {
            let axis = axis % ndim;
            let (ix, at) = in_range(indices, model.shape[axis]);
            let mut shape = vec![1; ndim];
            shape[axis] = at.len();
            let values = numbers(*from, at.len());
            array.scatter(*how, &ix, &Array::from_vec(values.clone(), &shape[..])?, axis as isize)?;
            for number in 0..model.data.len() {
                let here = model.index(number)[axis];
                let met = at.iter().zip(&values).filter(|(at, _)| **at == here);
                met.for_each(|(_, value)| combine(*how, &mut model.data[number], *value));
            }
        }
        Step::ScatterAt(how, pairs, from) if ndim > 1 && !model.shape[..2].contains(&0) => {
            let ((i, rows), (j, columns)) = in_range_pairs(pairs, model);
            let mut shape = vec![1; ndim - 1];
            shape[0] = rows.len();
            let values = numbers(*from, rows.len());
            array.scatter_at(*how, &[&i, &j], &Array::from_vec(values.clone(), &shape[..])?)?;
            for number in 0..model.data.len() {
                let index = model.index(number);
                let met = rows.iter().zip(&columns).zip(&values).filter(|((r, c), _)| index[..2] == [**r, **c]);
                met.for_each(|(_, value)| combine(*how, &mut model.data[number], *value));
            }
        }
        Step::Share => shared.push((array.clone(), model.clone())),
        // A step that the shape does not allow.
        Step::Index(..) | Step::MoveAxis(..) | Step::NewAxis(_) | Step::Split(_) => {}
        Step::Take(..) | Step::TakeAt(_) | Step::Compress(..) | Step::Roll(..) | Step::Flip(_) => {}
        Step::Concatenate(_) | Step::Scatter(..) | Step::ScatterAt(..) => {}
    }
    Ok(())
}

/// The number of elements from which on no step makes an array larger.
const MOST: usize = 2000;

/// Indices in the range of an axis: counted from its front or its end, and from its front.
type InRange = (Array<i64>, Vec<usize>);

/// Returns the indices in the range of an axis of length `n`.
fn in_range(indices: &[i64], n: usize) -> InRange {
    let n = n as i64;
    let either: Vec<i64> = indices.iter().map(|i| i.rem_euclid(2 * n) - n).collect();
    let at = either.iter().map(|i| i.rem_euclid(n) as usize).collect();
    (Array::from(either), at)
}

/// As [`in_range`], for pairs of indices of the first two axes.
fn in_range_pairs(pairs: &[(i64, i64)], model: &Model) -> (InRange, InRange) {
    let (rows, columns): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    (in_range(&rows, model.shape[0]), in_range(&columns, model.shape[1]))
}

/// Returns `n` consecutive numbers.
fn numbers(from: i32, n: usize) -> Vec<i32> {
    (0..n).map(|i| from.wrapping_add(i as i32)).collect()
}

fn combine(how: Combine, element: &mut i32, value: i32) {
    *element = match how {
        Combine::Set => value,
        Combine::Add => element.wrapping_add(value),
        Combine::Min => (*element).min(value),
        Combine::Max => (*element).max(value),
    };
}

/// Writes a value to each element of a part, given its index in the part and the indices that each axis selects.
fn assign(model: &mut Model, ranges: &[(usize, usize, isize)], value: impl Fn(&[Vec<usize>], &[usize]) -> i32) {
    let picked = model.picked(ranges);
    let part = Model { shape: picked.iter().map(Vec::len).collect(), data: Vec::new() };
    for i in 0..part.shape.iter().product() {
        let index = part.index(i);
        let at: Vec<usize> = index.iter().zip(&picked).map(|(&i, p)| p[i]).collect();
        let at = model.number(&at);
        model.data[at] = value(&picked, &index);
    }
}
