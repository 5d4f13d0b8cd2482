//! Sequences of slicing, reshaping, transposing, masking and assigning, compared with a model: the elements in C order
//! as a `Vec`, and arithmetic on indices.

use polyarray::SliceItem;
use polyarray::prelude::*;
use proptest::prelude::*;

/// The elements of an array in C order.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    shape: Vec<usize>,
    data: Vec<i32>,
}

impl Model {
    /// Returns the index of each axis of the element with this number in C order.
    fn index(&self, mut number: usize) -> Vec<usize> {
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
enum Step {
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
    /// Keeps a clone alive, which must not change.
    Share,
}

fn step() -> impl Strategy<Value = Step> {
    let ranges = || {
        let one = (0usize..4, 0usize..8, prop_oneof![Just(1isize), Just(-1), Just(2), Just(-2), Just(3)]);
        proptest::collection::vec(one, 4)
    };
    prop_oneof![
        ranges().prop_map(Step::Slice),
        (0usize..4, 0usize..7).prop_map(|(axis, i)| Step::Index(axis, i)),
        Just(Step::Transpose),
        (0usize..4, 0usize..4).prop_map(|(from, to)| Step::MoveAxis(from, to)),
        (0usize..5).prop_map(Step::NewAxis),
        Just(Step::Flatten),
        (1usize..5).prop_map(Step::Split),
        (2i32..5).prop_map(Step::Mask),
        (ranges(), any::<i8>()).prop_map(|(r, v)| Step::Fill(r, v.into())),
        (ranges(), any::<i8>()).prop_map(|(r, v)| Step::AssignReversed(r, v.into())),
        (2i32..5, any::<i8>()).prop_map(|(m, v)| Step::AssignWhere(m, v.into())),
        any::<i8>().prop_map(|v| Step::AddInPlace(v.into())),
        Just(Step::Share),
    ]
}

fn items(ranges: &[(usize, usize, isize)], ndim: usize) -> Vec<SliceItem> {
    ranges.iter().take(ndim).map(|&(from, to, step)| SliceItem::from(from..to).step(step)).collect()
}

/// Applies a step to both, and keeps clones of the array in `shared`.
fn apply(step: &Step, array: &mut Array<i32>, model: &mut Model, shared: &mut Vec<(Array<i32>, Model)>) -> Result<()> {
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
        Step::Share => shared.push((array.clone(), model.clone())),
        // A step that the shape does not allow.
        Step::Index(..) | Step::MoveAxis(..) | Step::NewAxis(_) | Step::Split(_) => {}
    }
    Ok(())
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sequences_of_views_and_writes(
        shape in proptest::collection::vec(1usize..7, 0..4),
        steps in proptest::collection::vec(step(), 1..12),
    ) {
        let data: Vec<i32> = (0..shape.iter().product::<usize>() as i32).collect();
        let mut array = Array::from_vec(data.clone(), &shape[..]).unwrap();
        let (mut model, mut shared) = (Model { shape, data }, Vec::new());
        for step in &steps {
            apply(step, &mut array, &mut model, &mut shared).unwrap();
            prop_assert_eq!(array.shape(), &model.shape[..], "after {:?}", step);
            prop_assert_eq!(array.to_vec().unwrap(), &model.data[..], "after {:?}", step);
        }
        // Every element can be read alone, and no clone has changed.
        for number in 0..model.data.len() {
            prop_assert_eq!(array.get(model.index(number)).unwrap(), model.data[number]);
        }
        for (array, model) in shared {
            prop_assert_eq!((array.shape(), array.to_vec().unwrap()), (&model.shape[..], model.data));
        }
    }
}
