//! Reads and writes at indices, over axes, layouts of all operands, and indices that repeat or count from the end.
//!
//! Elements are moved, or combined in the order of the indices, so that all results must have the same bits.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{Rng, random, specials};
use polyarray_core::op::Combine;
use polyarray_core::{Array, DType, Element, Result, s, with_dtype};

/// An operation at indices along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexing {
    Take,
    TakeAlong,
    /// A scatter at indices that all lines share.
    Scatter(Combine),
    /// A scatter at indices of each line.
    ScatterAlong(Combine),
}

impl Indexing {
    pub const ALL: [Indexing; 10] = [
        Indexing::Take,
        Indexing::TakeAlong,
        Indexing::Scatter(Combine::Set),
        Indexing::Scatter(Combine::Add),
        Indexing::Scatter(Combine::Min),
        Indexing::Scatter(Combine::Max),
        Indexing::ScatterAlong(Combine::Set),
        Indexing::ScatterAlong(Combine::Add),
        Indexing::ScatterAlong(Combine::Min),
        Indexing::ScatterAlong(Combine::Max),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Indexing::Take => "take",
            Indexing::TakeAlong => "take_along_axis",
            Indexing::Scatter(how) | Indexing::ScatterAlong(how) => how.name(),
        }
    }

    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Indexing::Take | Indexing::TakeAlong => true,
            Indexing::Scatter(how) | Indexing::ScatterAlong(how) => how.kinds().contains(dtype),
        }
    }

    /// Returns whether every line has indices of its own.
    fn is_aligned(self) -> bool {
        matches!(self, Indexing::TakeAlong | Indexing::ScatterAlong(_))
    }

    /// Returns the shape of the values: that of `shape` with the indices instead of `axis`.
    fn value_shape(self, shape: &[usize], indices: &[usize], axis: usize) -> Vec<usize> {
        let index = if self.is_aligned() { &indices[axis..=axis] } else { indices };
        [&shape[..axis], index, &shape[axis + 1..]].concat()
    }

    /// Applies the operation to `x`, whose buffer is copied if it is shared, and writes `values`.
    pub fn apply<T: Element>(
        self,
        mut x: Array<T>,
        indices: &Array<i64>,
        values: &Array<T>,
        axis: usize,
    ) -> Result<Values> {
        let axis = axis as isize;
        match self {
            Indexing::Take => return Values::of(&x.take(indices, axis)?),
            Indexing::TakeAlong => return Values::of(&x.take_along_axis(indices, axis)?),
            Indexing::Scatter(how) => x.scatter(how, indices, values, axis)?,
            Indexing::ScatterAlong(how) => x.scatter_along_axis(how, indices, values, axis)?,
        }
        Values::of(&x)
    }
}

pub(crate) fn run(suite: &mut Suite) {
    for indexing in Indexing::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| indexing.accepts(d)) {
            if suite.wants(indexing.name(), dtype) {
                with_dtype!(dtype, T => cases::<T>(suite, indexing));
            }
        }
    }
}

/// Returns `n` indices of an axis of length `len`: some repeat, and some are negative.
pub(crate) fn some_indices(rng: &mut Rng, n: usize, len: usize) -> Vec<i64> {
    (0..n).map(|_| rng.below(2 * len) as i64 - len as i64).collect()
}

fn cases<T: Element>(suite: &mut Suite, indexing: Indexing) {
    let lengths: &[usize] =
        if suite.full() { &[1, 2, 7, 8, 9, 64, 257, 1000, 20_011] } else { &[1, 2, 9, 64, 257, 3000] };
    for &n in lengths {
        for count in [1, n / 2 + 1, 2 * n] {
            case::<T>(suite, indexing, &[n], &[count], 0, [Lay::Contiguous; 3]);
        }
    }
    let mut shapes = vec![vec![3, 5], vec![40, 9], vec![5, 70], vec![2, 3, 20], vec![1, 6], vec![6, 1]];
    if suite.full() {
        shapes.extend([vec![1200, 3], vec![3, 1200], vec![2, 3, 4, 5], vec![300, 40]]);
    }
    for shape in &shapes {
        for axis in 0..shape.len() {
            for lays in [
                [Lay::Contiguous, Lay::Contiguous, Lay::Contiguous],
                [Lay::Transposed, Lay::Step(-1), Lay::Transposed],
                [Lay::Step(2), Lay::Step(2), Lay::Row],
                [Lay::StepFirst(-1), Lay::Transposed, Lay::Column],
                [Lay::Window, Lay::Window, Lay::Scalar],
                [Lay::Rotated, Lay::Row, Lay::Step(-2)],
                [Lay::Step(-2), Lay::Column, Lay::Window],
            ] {
                let n = shape[axis];
                let indices = if indexing.is_aligned() {
                    let mut aligned = shape.clone();
                    aligned[axis] = n + 2;
                    aligned
                } else if axis == 0 && shape.len() == 2 {
                    vec![2, n]
                } else {
                    vec![n + 2]
                };
                case::<T>(suite, indexing, shape, &indices, axis, lays);
            }
        }
    }
}

/// Runs a case. `lays` are the layouts of the array, the indices and the values.
fn case<T: Element>(
    suite: &mut Suite,
    indexing: Indexing,
    shape: &[usize],
    indices: &[usize],
    axis: usize,
    lays: [Lay; 3],
) {
    let values = indexing.value_shape(shape, indices, axis);
    let rng = &mut suite.rng;
    let mut data = |n: usize| -> Vec<T> {
        let (mut data, special) = (random(rng, (-2.5, 2.5), n), specials::<T>(true));
        data.iter_mut().step_by(5).for_each(|x| *x = *rng.pick(&special));
        data
    };
    let (own, new) = (data(lays[0].len(shape)), data(lays[2].len(&values)));
    let at = some_indices(rng, lays[1].len(indices), shape[axis]);
    let apply = |place: &Place| {
        let x = lays[0].build(&own, shape, place)?;
        let at = lays[1].build(&at, indices, &Place::Host)?;
        indexing.apply(x, &at, &lays[2].build(&new, &values, place)?, axis)
    };
    let case = Case {
        op: indexing.name().into(),
        dtype: T::DTYPE,
        detail: format!("{indexing:?} {shape:?} at {indices:?} along {axis}, {lays:?}"),
    };
    suite.case(case, apply, || on_scalar(|| Ok(Expected::new(apply(&Place::Host)?, Tolerance::Bits))));
}

/// Runs an operation on the first elements of `data`, at as many indices as `axis` is long. They are made of the
/// numbers `at`.
pub(crate) fn long<T: Element>(
    indexing: Indexing,
    data: &[T],
    at: &[i64],
    shape: [usize; 2],
    axis: usize,
) -> Result<Values> {
    let (n, len) = (shape[0] * shape[1], shape[axis]);
    let lens = if indexing.is_aligned() { shape.to_vec() } else { vec![len] };
    let index = at[..lens.iter().product()].iter().map(|&i| i.rem_euclid(len as i64)).collect();
    let x = Array::from_slice(&data[..n], shape)?;
    let values = x.slice(s![..;-1])?;
    indexing.apply(x, &Array::from_vec(index, lens)?, &values, axis)
}
