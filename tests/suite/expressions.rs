//! Random expressions over random views, against loops that do not use strides. All numbers are small integers, so
//! every device must be exact.

use crate::common::on_every_device;
use polyarray::prelude::*;
use polyarray::{MemoryId, SliceItem};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The reference for an array: its shape and its elements in C order.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    shape: Vec<usize>,
    data: Vec<i32>,
}

impl Plain {
    fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        shape.iter().fold(vec![vec![]], |all, &n| {
            all.iter().flat_map(|ix| (0..n).map(move |i| [&ix[..], &[i]].concat())).collect()
        })
    }

    fn get(&self, index: &[usize]) -> i32 {
        self.data[index.iter().zip(&self.shape).fold(0, |n, (&i, &len)| n * len + i)]
    }

    fn of(shape: Vec<usize>, f: impl Fn(&[usize]) -> i32) -> Plain {
        Plain { data: Plain::indices(&shape).iter().map(|ix| f(ix)).collect(), shape }
    }

    /// Returns the element at an index of a shape that this one broadcasts to.
    fn at(&self, index: &[usize]) -> i32 {
        let own: Vec<usize> = index[index.len() - self.shape.len()..]
            .iter()
            .zip(&self.shape)
            .map(|(&i, &n)| if n == 1 { 0 } else { i })
            .collect();
        self.get(&own)
    }

    fn with(&self, other: &Plain, f: impl Fn(i32, i32) -> i32) -> Plain {
        let ndim = self.shape.len().max(other.shape.len());
        let len = |p: &Plain, i: usize| if i + p.shape.len() < ndim { 1 } else { p.shape[i + p.shape.len() - ndim] };
        let shape = (0..ndim).map(|i| if len(self, i) == 1 { len(other, i) } else { len(self, i) }).collect();
        Plain::of(shape, |ix| f(self.at(ix), other.at(ix)))
    }

    fn map(&self, f: impl Fn(i32) -> i32) -> Plain {
        Plain { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    fn sum_axis(&self, axis: usize) -> Plain {
        let mut shape = self.shape.clone();
        let n = shape.remove(axis);
        Plain::of(shape, |ix| (0..n).map(|i| self.get(&[&ix[..axis], &[i], &ix[axis..]].concat())).sum())
    }
}

/// A view of shape `[2, 3, 4]`, or of one that broadcasts to it. Its base is more than twice as long along each axis.
#[derive(Clone, Debug)]
struct View {
    /// The start and the step along each axis.
    cuts: [(usize, isize); 3],
    /// The axis of the base for each axis of the view.
    order: [usize; 3],
    /// The axes that are cut to length 1, and therefore broadcast.
    thin: [bool; 3],
    /// Whether the first axis is dropped, if its length is 1.
    drop: bool,
}

const SHAPE: [usize; 3] = [2, 3, 4];

impl View {
    /// Builds the view and the reference for it.
    fn build(&self, seed: i32) -> Result<(Array<f32>, Plain)> {
        let mut base_shape = [0; 3];
        (0..3).for_each(|a| base_shape[self.order[a]] = 2 * SHAPE[a] + 1);
        let value = |n: usize| (n as i32 * 7 + seed) % 11 - 5;
        let base = Array::from_vec((0..base_shape.iter().product()).map(|n| value(n) as f32).collect(), base_shape)?;
        let axes: Vec<isize> = self.order.iter().map(|&a| a as isize).collect();
        let len = |a: usize| if self.thin[a] { 1 } else { SHAPE[a] };
        let items: Vec<SliceItem> = (0..3)
            .map(|a| {
                let (start, step) = self.cuts[a];
                SliceItem::Range {
                    start: start as isize,
                    end: Some((start + (len(a) - 1) * step.unsigned_abs() + 1) as isize),
                    step,
                }
            })
            .collect();
        let position = |ix: &[usize]| {
            let mut at = [0; 3];
            for a in 0..3 {
                let (start, step) = self.cuts[a];
                let i = if step < 0 { len(a) - 1 - ix[a] } else { ix[a] };
                at[self.order[a]] = start + i * step.unsigned_abs();
            }
            at.iter().zip(&base_shape).fold(0, |n, (&i, &len)| n * len + i)
        };
        let mut plain = Plain::of((0..3).map(len).collect(), |ix| value(position(ix)));
        let mut view = base.permute(&axes)?.slice(items)?;
        if self.drop && self.thin[0] {
            view = view.slice(s![0])?;
            plain.shape.remove(0);
        }
        Ok((view, plain))
    }
}

fn view() -> impl Strategy<Value = View> {
    let cut = (0usize..2, prop_oneof![Just(1isize), Just(-1), Just(2), Just(-2)]);
    let order = Just([0, 1, 2]).prop_shuffle();
    (proptest::array::uniform3(cut), order, proptest::array::uniform3(proptest::bool::weighted(0.2)), any::<bool>())
        .prop_map(|(cuts, order, thin, drop)| View { cuts, order, thin, drop })
}

/// A step of an expression, applied to values of earlier steps.
#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
    Min(usize, usize),
    Max(usize, usize),
    Neg(usize),
    Abs(usize),
    Plus(usize, i32),
    Select(usize, usize, usize),
    Cast(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let i = 0usize..64;
    prop_oneof![
        (i.clone(), i.clone()).prop_map(|(a, b)| Step::Add(a, b)),
        (i.clone(), i.clone()).prop_map(|(a, b)| Step::Sub(a, b)),
        (i.clone(), i.clone()).prop_map(|(a, b)| Step::Mul(a, b)),
        (i.clone(), i.clone()).prop_map(|(a, b)| Step::Min(a, b)),
        (i.clone(), i.clone()).prop_map(|(a, b)| Step::Max(a, b)),
        i.clone().prop_map(Step::Neg),
        i.clone().prop_map(Step::Abs),
        (i.clone(), -9i32..9).prop_map(|(a, c)| Step::Plus(a, c)),
        (i.clone(), i.clone(), i.clone()).prop_map(|(a, b, c)| Step::Select(a, b, c)),
        i.prop_map(Step::Cast),
    ]
}

/// The bound below which f32 holds all integers of a test exactly. A product that may exceed it is replaced by a
/// maximum.
const LIMIT: i32 = 1 << 20;

fn extend(values: &mut Vec<(Expr<f32>, Plain)>, step: &Step) {
    let n = values.len();
    let pick = |i: usize| values[i % n].clone();
    let both = |a: usize, b: usize| (pick(a), pick(b));
    let next = match *step {
        Step::Mul(a, b) => {
            let ((x, p), (y, q)) = both(a, b);
            let product = p.map(|v| v.clamp(-1 << 14, 1 << 14)).with(&q, |a, b| a.saturating_mul(b));
            let exact = p.with(&q, |a, b| a.saturating_mul(b));
            if exact == product && exact.data.iter().all(|v| v.abs() < LIMIT) {
                (x * y, exact)
            } else {
                (x.maximum(y), p.with(&q, i32::max))
            }
        }
        Step::Add(a, b) => (pick(a).0 + pick(b).0, pick(a).1.with(&pick(b).1, |a, b| a + b)),
        Step::Sub(a, b) => (pick(a).0 - pick(b).0, pick(a).1.with(&pick(b).1, |a, b| a - b)),
        Step::Min(a, b) => (pick(a).0.minimum(pick(b).0), pick(a).1.with(&pick(b).1, i32::min)),
        Step::Max(a, b) => (pick(a).0.maximum(pick(b).0), pick(a).1.with(&pick(b).1, i32::max)),
        Step::Neg(a) => (-pick(a).0, pick(a).1.map(|v| -v)),
        Step::Abs(a) => (pick(a).0.abs(), pick(a).1.map(i32::abs)),
        Step::Plus(a, c) => (pick(a).0 + c as f32, pick(a).1.map(|v| v + c)),
        Step::Select(a, b, c) => {
            let ((x, p), (y, q), (z, r)) = (pick(a), pick(b), pick(c));
            let chosen = p.with(&q, |a, b| i32::from(a < b));
            let either = chosen
                .with(&q, |c, b| if c == 1 { b } else { i32::MIN })
                .with(&r, |b, c| if b == i32::MIN { c } else { b });
            (select(x.less(y.clone()), y, z), either)
        }
        Step::Cast(a) => (pick(a).0.cast::<i32>().cast::<f32>(), pick(a).1.clone()),
    };
    // Drops values beyond the bound, because sums of sums double with every step.
    if next.1.data.iter().all(|v| v.abs() < LIMIT) {
        values.push(next);
    }
}

/// A GPU compiles a pipeline for every new program, so it runs only one in this many of the random programs.
const GPU_SHARE: usize = 25;

/// Returns whether `device` runs the `n`th case.
fn has_turn(device: &Device, n: usize) -> bool {
    device.memory() == MemoryId::HOST || n.is_multiple_of(GPU_SHARE)
}

static CASES: AtomicUsize = AtomicUsize::new(0);

fn floats(plain: &Plain) -> Vec<f32> {
    plain.data.iter().map(|&v| v as f32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn expressions_over_views_are_what_loops_make_of_them(
        views in proptest::collection::vec(view(), 1..5),
        steps in proptest::collection::vec(step(), 1..14),
        target in any::<bool>(),
    ) {
        let n = CASES.fetch_add(1, Ordering::Relaxed);
        on_every_device(|device| {
            if !has_turn(device, n) {
                return Ok(());
            }
            let mut values = Vec::new();
            for (seed, v) in views.iter().enumerate() {
                let (array, plain) = v.build(seed as i32 * 3)?;
                assert_eq!(array.to_vec()?, floats(&plain), "{v:?}");
                values.push((array.into_expr(), plain));
            }
            steps.iter().for_each(|s| extend(&mut values, s));
            let (expr, plain) = values.pop().expect("at least one operand");
            assert_eq!(expr.shape()?[..], plain.shape[..]);
            // If the device does not support the expression, its refusal ends the test for this device here.
            let got = expr.clone().eval()?;
            assert_eq!(got.to_vec()?, floats(&plain), "{device}: {steps:?} of {views:?}");
            if target {
                let place: Vec<SliceItem> = plain
                    .shape
                    .iter()
                    .map(|&n| SliceItem::Range { start: 1, end: Some(1 + 2 * n as isize), step: -2 })
                    .collect();
                let mut out = Array::<f32>::full(plain.shape.iter().map(|&n| 2 * n + 2).collect::<Vec<_>>(), 77.0)?;
                expr.eval_into(&mut out.slice_mut(&place)?)?;
                assert_eq!(out.slice(&place)?.to_vec()?, floats(&plain), "{device}: into a view");
                let untouched = out.to_vec()?.iter().filter(|v| **v == 77.0).count();
                assert!(untouched >= out.len() - plain.data.len(), "{device}: gaps were written");
            }
            for axis in 0..plain.shape.len() {
                assert_eq!(
                    expr.sum_axis(axis)?.to_vec()?,
                    floats(&plain.sum_axis(axis)),
                    "{device}: sum over axis {axis}"
                );
            }
            assert_eq!(expr.max()?, floats(&plain).into_iter().fold(f32::NEG_INFINITY, f32::max));
            Ok(())
        });
    }

    #[test]
    fn products_of_views_are_what_loops_make_of_them(a in view(), b in view()) {
        let n = CASES.fetch_add(1, Ordering::Relaxed);
        on_every_device(|device| {
            if !has_turn(device, n) {
                return Ok(());
            }
            let (a, p) = a.build(1)?;
            let (b, q) = b.build(2)?;
            let (a, b) = (a.broadcast_to(SHAPE)?, b.broadcast_to(SHAPE)?.permute(&[0, 2, 1])?);
            let product = a.matmul(&b)?;
            let wanted = Plain::of(
                vec![2, 3, 3],
                |ix| (0..4).map(|k| p.at(&[ix[0], ix[1], k]) * q.at(&[ix[0], ix[2], k])).sum(),
            );
            assert_eq!(product.to_vec()?, floats(&wanted), "{device}");
            let (x, y) = (a.slice(s![0])?, b.slice(s![1])?.t());
            let between = distance::cdist(&x, &y, Metric::Cityblock)?;
            let wanted = Plain::of(
                vec![3, 3],
                |ix| (0..4).map(|k| (p.at(&[0, ix[0], k]) - q.at(&[1, ix[1], k])).abs()).sum(),
            );
            assert_eq!(between.to_vec()?, floats(&wanted), "{device}");
            Ok(())
        });
    }
}
