//! Tests layouts against a naive model: the list of the buffer positions of all indices, in C order.

use polyarray_core::{Dims, Error, Layout, SliceItem};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A shape, and the buffer position of each index in C order.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    shape: Vec<usize>,
    at: Vec<usize>,
}

/// An operation that derives a layout from another. Its arguments may be invalid.
#[derive(Clone, Debug)]
enum Step {
    Slice(Vec<Item>),
    Permute(Vec<isize>),
    Broadcast(Vec<usize>),
    Reshape(Vec<usize>),
    ExpandDims(isize),
    Squeeze,
    T,
}

/// The effect of a slice on one axis.
#[derive(Clone, Debug)]
enum Item {
    Index(isize),
    Range(isize, Option<isize>, isize),
    NewAxis,
}

impl Model {
    fn new(shape: Vec<usize>) -> Model {
        let n = shape.iter().product();
        Model { shape, at: (0..n).collect() }
    }

    /// Returns all indices of a shape, in C order.
    fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        shape.iter().fold(vec![vec![]], |all, &n| {
            all.iter().flat_map(|ix| (0..n).map(move |i| [&ix[..], &[i]].concat())).collect()
        })
    }

    fn get(&self, index: &[usize]) -> usize {
        self.at[index.iter().zip(&self.shape).fold(0, |n, (&i, &len)| n * len + i)]
    }

    /// Returns the model of another shape whose index `ix` is the index `f(ix)` of this model.
    fn of(&self, shape: Vec<usize>, f: impl Fn(&[usize]) -> Vec<usize>) -> Model {
        let at = Model::indices(&shape).iter().map(|ix| self.get(&f(ix))).collect();
        Model { shape, at }
    }

    /// Returns `None` if the slice must be an error.
    fn slice(&self, items: &[Item]) -> Option<Model> {
        // Collects for each axis of the source the axis of the result (none for a single index) and the selected
        // indices.
        let (mut shape, mut picks, mut axis) = (Vec::new(), Vec::new(), 0);
        for item in items {
            match *item {
                Item::NewAxis => shape.push(1),
                Item::Index(i) => {
                    let n = *self.shape.get(axis)? as isize;
                    let i = if i < 0 { i + n } else { i };
                    if !(0..n).contains(&i) {
                        return None;
                    }
                    picks.push((None, vec![i as usize]));
                    axis += 1;
                }
                Item::Range(start, end, step) => {
                    let n = *self.shape.get(axis)? as isize;
                    let bound = |i: isize| (if i < 0 { i + n } else { i }).clamp(0, n);
                    let (lo, hi) = (bound(start), bound(end.unwrap_or(n)));
                    if step == 0 {
                        return None;
                    }
                    let mut taken: Vec<usize> = (lo as usize..hi as usize).collect();
                    if step < 0 {
                        taken.reverse();
                    }
                    let taken: Vec<usize> = taken.into_iter().step_by(step.unsigned_abs()).collect();
                    picks.push((Some(shape.len()), taken.clone()));
                    shape.push(taken.len());
                    axis += 1;
                }
            }
        }
        for &n in &self.shape[axis..] {
            picks.push((Some(shape.len()), (0..n).collect()));
            shape.push(n);
        }
        Some(self.of(shape, |ix| picks.iter().map(|(axis, taken)| taken[axis.map_or(0, |a| ix[a])]).collect()))
    }

    fn permute(&self, axes: &[isize]) -> Option<Model> {
        let n = self.shape.len() as isize;
        let axes: Vec<usize> = axes
            .iter()
            .map(|&a| if a < 0 { a + n } else { a })
            .map(|a| usize::try_from(a).ok())
            .collect::<Option<_>>()?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if sorted != (0..n as usize).collect::<Vec<_>>() {
            return None;
        }
        let shape = axes.iter().map(|&a| self.shape[a]).collect();
        Some(self.of(shape, |ix| (0..axes.len()).map(|a| ix[axes.iter().position(|&x| x == a).unwrap()]).collect()))
    }

    fn broadcast_to(&self, to: &[usize]) -> Option<Model> {
        let extra = to.len().checked_sub(self.shape.len())?;
        if self.shape.iter().zip(&to[extra..]).any(|(&n, &want)| n != want && n != 1) {
            return None;
        }
        Some(self.of(to.to_vec(), |ix| {
            self.shape.iter().zip(&ix[extra..]).map(|(&n, &i)| if n == 1 { 0 } else { i }).collect()
        }))
    }

    fn expand_dims(&self, axis: isize) -> Option<Model> {
        let n = self.shape.len() as isize + 1;
        let axis = usize::try_from(if axis < 0 { axis + n } else { axis }).ok().filter(|&a| a < n as usize)?;
        let mut shape = self.shape.clone();
        shape.insert(axis, 1);
        Some(Model { shape, at: self.at.clone() })
    }

    fn squeeze(&self) -> Model {
        Model { shape: self.shape.iter().copied().filter(|&n| n != 1).collect(), at: self.at.clone() }
    }

    fn t(&self) -> Model {
        self.of(self.shape.iter().rev().copied().collect(), |ix| ix.iter().rev().copied().collect())
    }

    /// Returns whether strides can express these positions in this shape.
    fn is_strided(&self) -> bool {
        let Some(&first) = self.at.first() else { return true };
        let unit = |a: usize| (0..self.shape.len()).map(|i| usize::from(i == a)).collect::<Vec<_>>();
        let stride = |a: usize| if self.shape[a] > 1 { self.get(&unit(a)) as isize - first as isize } else { 0 };
        let strides: Vec<isize> = (0..self.shape.len()).map(stride).collect();
        let place =
            |ix: &Vec<usize>| first as isize + ix.iter().zip(&strides).map(|(&i, &s)| i as isize * s).sum::<isize>();
        Model::indices(&self.shape).iter().zip(&self.at).all(|(ix, &at)| place(ix) == at as isize)
    }

    fn is_run(&self) -> bool {
        self.at.windows(2).all(|w| w[1] == w[0] + 1)
    }
}

fn items(list: &[Item]) -> Vec<SliceItem> {
    let item = |i: &Item| match *i {
        Item::Index(i) => SliceItem::Index(i),
        Item::Range(start, end, step) => SliceItem::Range { start, end, step },
        Item::NewAxis => SliceItem::NewAxis,
    };
    list.iter().map(item).collect()
}

/// Asserts that the layout has the positions of the model, and that its queries agree with the model.
fn assert_same(layout: &Layout, model: &Model) {
    assert_eq!(layout.shape()[..], model.shape[..]);
    assert_eq!(layout.len(), model.at.len());
    assert_eq!(layout.is_empty(), model.at.is_empty());
    for (ix, &at) in Model::indices(&model.shape).iter().zip(&model.at) {
        assert_eq!(layout.locate(ix).unwrap(), at, "{ix:?} of {layout:?}");
    }
    assert_eq!(layout.is_c_contiguous(), model.is_run(), "C order: {layout:?}");
    assert_eq!(layout.is_f_contiguous(), model.t().is_run(), "Fortran order: {layout:?}");
    let (lo, hi) = layout.span();
    assert_eq!(
        (lo, hi),
        model
            .at
            .iter()
            .min()
            .zip(model.at.iter().max())
            .map_or((layout.offset(), layout.offset()), |(&lo, &hi)| (lo, hi + 1))
    );
    if !model.at.is_empty() {
        let mut sorted = model.at.clone();
        sorted.sort_unstable();
        let repeats = sorted.windows(2).any(|w| w[0] == w[1]);
        assert_eq!(layout.is_broadcast(), repeats, "{layout:?}");
    }
    let beyond: Vec<usize> = model.shape.clone();
    if !beyond.is_empty() {
        assert!(matches!(layout.locate(&beyond), Err(Error::Index { .. })));
    }
    assert!(matches!(layout.locate(&[&beyond[..], &[0]].concat()), Err(Error::IndexCount { .. })));
}

/// Applies one step to both. Returns `None` if both reject it.
fn apply(layout: &Layout, model: &Model, step: &Step) -> Option<(Layout, Model)> {
    let (made, wanted) = match step {
        Step::Slice(list) => (layout.slice(&items(list)).ok(), model.slice(list)),
        Step::Permute(axes) => (layout.permute(axes).ok(), model.permute(axes)),
        Step::Broadcast(to) => (layout.broadcast_to(&Dims::from(&to[..])).ok(), model.broadcast_to(to)),
        Step::Reshape(to) => {
            if to.iter().product::<usize>() != model.at.len() {
                return None;
            }
            let reshaped = Model { shape: to.clone(), at: model.at.clone() };
            let possible = reshaped.is_strided();
            (layout.reshape(&Dims::from(&to[..])), Some(reshaped).filter(|_| possible))
        }
        Step::ExpandDims(axis) => (layout.expand_dims(*axis).ok(), model.expand_dims(*axis)),
        Step::Squeeze => (Some(layout.squeeze()), Some(model.squeeze())),
        Step::T => (Some(layout.t()), Some(model.t())),
    };
    assert_eq!(made.is_some(), wanted.is_some(), "{step:?} of {layout:?}: {made:?}, the model says {wanted:?}");
    made.zip(wanted)
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        1 => (-4isize..4).prop_map(Item::Index),
        5 => (
            -2isize..3,
            proptest::option::weighted(0.4, -1isize..5),
            prop_oneof![Just(1isize), Just(-1), Just(2), Just(-2), Just(3), Just(0)],
        )
            .prop_map(|(start, end, step)| Item::Range(start, end, step)),
        1 => Just(Item::NewAxis),
        4 => Just(Item::Range(0, None, 1)),
    ]
}

/// A step whose arguments have a fair chance to be valid for `shape`.
fn step(shape: Vec<usize>) -> impl Strategy<Value = Step> {
    let (ndim, n) = (shape.len(), shape.iter().product::<usize>());
    let axes: Vec<isize> = (0..ndim as isize).collect();
    let permutation = Just(axes).prop_shuffle().prop_flat_map(move |axes| {
        proptest::collection::vec(any::<bool>(), axes.len())
            .prop_map(move |back| axes.iter().zip(back).map(|(&a, b)| if b { a - ndim as isize } else { a }).collect())
    });
    let stretched = shape.clone();
    let broadcast = (proptest::collection::vec(0usize..4, ndim), proptest::collection::vec(1usize..3, 0..3)).prop_map(
        move |(to, front)| {
            let fitted = stretched.iter().zip(to).map(|(&n, want)| if n == 1 { want } else { n });
            front.into_iter().chain(fitted).collect()
        },
    );
    let factors: Vec<Vec<usize>> = (1..=n.max(1))
        .filter(|a| n.is_multiple_of(*a))
        .flat_map(|a| {
            let rest = n / a;
            (1..=rest.max(1)).filter(move |b| rest.is_multiple_of(*b)).map(move |b| vec![a, b, rest / b])
        })
        .chain([vec![n], vec![1, n, 1]])
        .collect();
    prop_oneof![
        4 => proptest::collection::vec(item(), 0..=ndim + 1).prop_map(Step::Slice),
        2 => permutation.prop_map(Step::Permute),
        1 => proptest::collection::vec(-4isize..4, 0..4).prop_map(Step::Permute),
        2 => broadcast.prop_map(Step::Broadcast),
        1 => proptest::collection::vec(0usize..4, 0..4).prop_map(Step::Broadcast),
        3 => proptest::sample::select(factors).prop_map(Step::Reshape),
        1 => (-6isize..6).prop_map(Step::ExpandDims),
        1 => Just(Step::Squeeze),
        1 => Just(Step::T),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Applies up to six steps in sequence. Each step is drawn to fit the layout that the previous steps left.
    #[test]
    fn every_way_to_make_a_layout_means_what_the_model_says(
        shape in proptest::collection::vec(0usize..5, 0..4),
        seeds in proptest::collection::vec(any::<u64>(), 6),
    ) {
        let (mut layout, mut model) = (Layout::contiguous(Dims::from(&shape[..])), Model::new(shape));
        assert_same(&layout, &model);
        for seed in seeds {
            let rng = proptest::test_runner::TestRng::from_seed(
                proptest::test_runner::RngAlgorithm::ChaCha,
                &seed_bytes(seed),
            );
            let mut runner = proptest::test_runner::TestRunner::new_with_rng(ProptestConfig::default(), rng);
            let drawn = step(model.shape.clone()).new_tree(&mut runner).unwrap().current();
            if let Some(next) = apply(&layout, &model, &drawn) {
                (layout, model) = next;
                assert_same(&layout, &model);
            }
            if model.at.len() > 200 || model.shape.len() > 6 {
                break;
            }
        }
    }

    /// Compares the broadcast of two shapes with the rule written out, in both orders.
    #[test]
    fn shapes_broadcast_by_the_rule(
        a in proptest::collection::vec(0usize..4, 0..4),
        b in proptest::collection::vec(0usize..4, 0..4),
    ) {
        let ndim = a.len().max(b.len());
        let padded = |s: &[usize]| [vec![1; ndim - s.len()], s.to_vec()].concat();
        let pairs: Vec<(usize, usize)> = padded(&a).into_iter().zip(padded(&b)).collect();
        let wanted: Option<Vec<usize>> = pairs
            .iter()
            .map(|&(l, r)| match (l, r) {
                (l, r) if l == r => Some(l),
                (1, r) => Some(r),
                (l, 1) => Some(l),
                _ => None,
            })
            .collect();
        let (left, right) = (Dims::from(&a[..]), Dims::from(&b[..]));
        prop_assert_eq!(left.broadcast(&right).ok().map(|d| d.to_vec()), wanted.clone());
        prop_assert_eq!(right.broadcast(&left).ok().map(|d| d.to_vec()), wanted.clone());
        if wanted.is_none() {
            let Err(Error::Broadcast { axis, l, r, .. }) = left.broadcast(&right) else {
                panic!("an error that names the axis")
            };
            prop_assert_eq!(pairs[axis], (l, r));
        }
    }
}

fn seed_bytes(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

#[test]
fn contiguity_ignores_axes_of_one() {
    let odd = Layout::from_parts(Dims::from([3, 1, 4]), [4, 999, 1].as_slice().into(), 0);
    assert!(odd.is_c_contiguous() && !odd.is_f_contiguous());
    let one = Layout::from_parts(Dims::from([1, 1]), [7, -3].as_slice().into(), 5);
    assert!(one.is_c_contiguous() && one.is_f_contiguous());
}
