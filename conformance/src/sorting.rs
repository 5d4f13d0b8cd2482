//! Sorts, order statistics, searches and counts, over distributions of elements, lengths of lines, axes and layouts.
//!
//! Core fixes every bit of these results for all methods, so that all results must have the same bits.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{Rng, random, specials};
use polyarray_core::{Array, DType, Element, Kind, Quantile, Result, Side, Wide, with_dtype};

/// An operation along an axis, or on all elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sorting {
    Sort,
    Argsort,
    /// The values of the largest few elements.
    Top,
    /// The indices of the largest elements, a ninth of all.
    TopIndices,
    Median,
    Quantile,
    Nearest,
    Unique,
    /// A search of the elements among every other one of them, sorted.
    SearchLeft,
    SearchRight,
    Histogram,
    /// A count of elements that are neither negative nor large.
    Bincount,
}

impl Sorting {
    pub const ALL: [Sorting; 12] = [
        Sorting::Sort,
        Sorting::Argsort,
        Sorting::Top,
        Sorting::TopIndices,
        Sorting::Median,
        Sorting::Quantile,
        Sorting::Nearest,
        Sorting::Unique,
        Sorting::SearchLeft,
        Sorting::SearchRight,
        Sorting::Histogram,
        Sorting::Bincount,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Sorting::Sort => "sort",
            Sorting::Argsort => "argsort",
            Sorting::Top | Sorting::TopIndices => "topk",
            Sorting::Median => "median",
            Sorting::Quantile | Sorting::Nearest => "quantile",
            Sorting::Unique => "unique",
            Sorting::SearchLeft | Sorting::SearchRight => "searchsorted",
            Sorting::Histogram => "histogram",
            Sorting::Bincount => "bincount",
        }
    }

    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Sorting::Bincount => matches!(dtype.kind(), Kind::Bool | Kind::Int | Kind::Uint),
            _ => dtype.kind() != Kind::Complex,
        }
    }

    /// Returns whether the operation runs along an axis, rather than on all elements.
    fn has_axis(self) -> bool {
        !matches!(
            self,
            Sorting::Unique | Sorting::SearchLeft | Sorting::SearchRight | Sorting::Histogram | Sorting::Bincount
        )
    }

    pub fn apply<T: Element>(self, x: &Array<T>, axis: isize) -> Result<Values> {
        let n = x.shape()[axis as usize];
        match self {
            Sorting::Sort => Values::of(&x.sort(axis)?),
            Sorting::Argsort => Values::of(&x.argsort(axis)?),
            Sorting::Top => Values::of(&x.topk(n.min(5), axis)?.0),
            Sorting::TopIndices => Values::of(&x.topk(n.div_ceil(9), axis)?.1),
            Sorting::Median => Values::of(&x.median_axis(axis)?),
            Sorting::Quantile => Values::of(&x.quantile_axis(0.9, axis)?),
            Sorting::Nearest => Values::of(&x.quantile_axis_with(0.3, axis, Quantile::Nearest)?),
            Sorting::Unique => Values::of(&x.unique()?),
            Sorting::SearchLeft | Sorting::SearchRight => {
                let side = if self == Sorting::SearchLeft { Side::Left } else { Side::Right };
                // The searched array has every other element, so that some values are absent, and a step of -2.
                let data = x.to_vec()?;
                let mut sorted: Vec<T> = data.iter().copied().step_by(2).collect();
                sorted.sort_by(|a, b| order(*a, *b));
                Values::of(&Lay::Step(-2).build(&sorted, &[sorted.len()], &Place::Host)?.searchsorted(x, side)?)
            }
            Sorting::Histogram => Values::of(&x.histogram(13, Some((-2.0, 2.0)))?.0),
            Sorting::Bincount => Values::of(&x.bincount(3)?),
        }
    }
}

/// Compares two elements; NaN is the largest.
fn order<T: Element>(a: T, b: T) -> std::cmp::Ordering {
    let key = |x: T| match x.to_wide() {
        Wide::Int(i) => (false, i, 0.0),
        Wide::Float(x) | Wide::Complex(x, _) => (x.is_nan(), 0, if x.is_nan() { 0.0 } else { x }),
    };
    key(a).partial_cmp(&key(b)).expect("no NaN is compared")
}

/// The distribution of the elements.
#[derive(Clone, Copy, Debug)]
enum Spread {
    Random,
    Ascending,
    Descending,
    Equal,
    /// Three elements, repeated.
    Few,
    /// NaNs, infinities, zeros of both signs, the smallest and the largest numbers.
    Special,
    /// Ascending, then descending.
    Pipe,
    /// Random in the lowest bits only, which keys that are packed with an index may lack.
    Close,
}

const SPREADS: [Spread; 8] = [
    Spread::Random,
    Spread::Ascending,
    Spread::Descending,
    Spread::Equal,
    Spread::Few,
    Spread::Special,
    Spread::Pipe,
    Spread::Close,
];

impl Spread {
    fn data<T: Element>(self, rng: &mut Rng, n: usize) -> Vec<T> {
        let mut x: Vec<T> = random(rng, (-2.5, 2.5), n);
        match self {
            Spread::Random => {}
            Spread::Ascending => x.sort_by(|a, b| order(*a, *b)),
            Spread::Descending => x.sort_by(|a, b| order(*b, *a)),
            Spread::Pipe => {
                x.sort_by(|a, b| order(*a, *b));
                x[n / 2..].reverse();
            }
            Spread::Equal => x.fill(random(rng, (-2.5, 2.5), 1)[0]),
            Spread::Few => {
                let some: Vec<T> = random(rng, (-2.5, 2.5), 3);
                x.iter_mut().for_each(|x| *x = some[(rng.next() % 3) as usize]);
            }
            Spread::Special => {
                let some = specials::<T>(true);
                x.iter_mut().for_each(|x| *x = some[(rng.next() % some.len() as u64) as usize]);
            }
            Spread::Close => {
                let near = |low: u64| match T::DTYPE.kind() {
                    Kind::Float => Wide::Float(1.0 + low as f64 * f64::EPSILON),
                    _ => Wide::Int(i128::from(i64::MAX >> 1) + i128::from(low)),
                };
                x.iter_mut().for_each(|x| *x = T::from_wide(near(rng.next() % 64)));
                // One distant element: relative to the smallest of the others, all bits of the keys would fit.
                x[n / 2] = T::from_wide(if T::DTYPE.kind() == Kind::Float { Wide::Float(-1.0) } else { Wide::Int(0) });
            }
        }
        x
    }
}

pub(crate) fn run(suite: &mut Suite) {
    for sorting in Sorting::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| sorting.accepts(d)) {
            if suite.wants(sorting.name(), dtype) {
                with_dtype!(dtype, T => cases::<T>(suite, sorting));
            }
        }
    }
}

fn cases<T: Element>(suite: &mut Suite, sorting: Sorting) {
    let full = suite.full();
    let short: Vec<usize> =
        if full { (1..=130).collect() } else { vec![1, 2, 7, 8, 9, 16, 17, 33, 64, 65, 127, 128, 129] };
    for n in short {
        // All distributions of every length would take long and reveal little.
        for i in 0..if full || n == 65 { 8 } else { 1 } {
            case::<T>(suite, sorting, &[n], Lay::Contiguous, 0, SPREADS[(n + i) % 8]);
        }
    }
    // Lengths at which the sorts partition, sample, count, and split the work among threads.
    let long: &[usize] = if full { &[255, 257, 300, 1000, 2049, 5000, 20_011, 70_001] } else { &[300, 2500] };
    for &n in long {
        SPREADS.into_iter().for_each(|spread| case::<T>(suite, sorting, &[n], Lay::Contiguous, 0, spread));
    }
    if matches!(T::DTYPE, DType::F32 | DType::F64 | DType::I64 | DType::U16) && !full {
        [Spread::Random, Spread::Few, Spread::Close]
            .into_iter()
            .for_each(|spread| case::<T>(suite, sorting, &[20_011], Lay::Contiguous, 0, spread));
    }
    let shapes: &[&[usize]] =
        if full { &[&[5, 37], &[37, 5], &[2, 3, 70], &[1, 6], &[6, 1]] } else { &[&[5, 37], &[2, 3, 20], &[6, 1]] };
    for shape in shapes {
        let axes = if sorting.has_axis() { shape.len() } else { 1 };
        for axis in 0..axes as isize {
            for lay in [
                Lay::Contiguous,
                Lay::Transposed,
                Lay::Step(2),
                Lay::Step(-1),
                Lay::StepFirst(-1),
                Lay::Window,
                Lay::Rotated,
                Lay::Row,
                Lay::Column,
                Lay::Scalar,
            ] {
                let spread = if full || lay == Lay::Step(-1) { Spread::Special } else { Spread::Random };
                case::<T>(suite, sorting, shape, lay, axis, spread);
            }
        }
    }
}

fn case<T: Element>(suite: &mut Suite, sorting: Sorting, shape: &[usize], lay: Lay, axis: isize, spread: Spread) {
    let mut data: Vec<T> = spread.data(&mut suite.rng, lay.len(shape));
    if sorting == Sorting::Bincount {
        let low = |x: &T| if let Wide::Int(i) = x.to_wide() { T::from_wide(Wide::Int(i & 0x7f)) } else { *x };
        data = data.iter().map(low).collect();
    }
    let case = Case {
        op: sorting.name().into(),
        dtype: T::DTYPE,
        detail: format!("{sorting:?} {shape:?} {lay:?} axis {axis} {spread:?}"),
    };
    let apply = |place: &Place| sorting.apply(&lay.build(&data, shape, place)?, axis);
    suite.case(case, apply, || on_scalar(|| Ok(Expected::new(apply(&Place::Host)?, Tolerance::Bits))));
}
