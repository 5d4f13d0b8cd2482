//! Operations that move elements, by indices, masks or positions, and random numbers: the part of the cases whose
//! operands are more than arrays of one layout.

use super::cases::Along;
use crate::problem::Random;
use polyarray::random::Generator;
use polyarray::{Array, Combine, DynArray, Element, Pad, Result, Wide, with_dtype};

/// An operation that moves elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// As many elements as there are, at random indices along an axis.
    Take,
    /// The elements at about half of the indices of an axis, which a mask selects.
    Compress,
    /// About half of all elements, which a mask selects.
    Mask,
    /// 3 where a mask selects an element, in a copy.
    AssignWhere,
    /// The elements of an array of the same shape added to those at random indices along an axis, in a copy.
    ScatterAdd,
    /// Two arrays, one after the other along an axis.
    Concatenate,
    /// An element with the value 3 before and after each axis.
    Pad,
    /// Each element moved by one along an axis.
    Roll,
    /// The reverse order along an axis, as a copy.
    Flip,
    /// Each element twice along an axis.
    Repeat,
}

/// An operation that draws random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Draw {
    /// Uniform in 0 .. 1.
    Uniform,
    /// Normal, with mean 0 and standard deviation 1.
    Normal,
    /// Exponential, with mean 1.
    Exponential,
    /// Gamma, with shape 2.
    Gamma,
    /// Integers below 100.
    Integers,
    /// Poisson, with mean 10.
    Poisson,
    /// Binomial, 100 trials with probability 0.3.
    Binomial,
    /// A permutation of the integers below the number of elements.
    Permutation,
}

impl Move {
    /// Every operation of this kind.
    pub const ALL: [Move; 10] = [
        Move::Take,
        Move::Compress,
        Move::Mask,
        Move::AssignWhere,
        Move::ScatterAdd,
        Move::Concatenate,
        Move::Pad,
        Move::Roll,
        Move::Flip,
        Move::Repeat,
    ];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Move::Take => "take",
            Move::Compress => "compress",
            Move::Mask => "mask",
            Move::AssignWhere => "assign_where",
            Move::ScatterAdd => "scatter_add",
            Move::Concatenate => "concatenate",
            Move::Pad => "pad",
            Move::Roll => "roll",
            Move::Flip => "flip",
            Move::Repeat => "repeat",
        }
    }

    /// Returns whether the operation works along one axis.
    pub fn has_axis(self) -> bool {
        !matches!(self, Move::Mask | Move::AssignWhere | Move::Pad)
    }
}

impl Draw {
    /// Every operation of this kind.
    pub const ALL: [Draw; 8] = [
        Draw::Uniform,
        Draw::Normal,
        Draw::Exponential,
        Draw::Gamma,
        Draw::Integers,
        Draw::Poisson,
        Draw::Binomial,
        Draw::Permutation,
    ];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Draw::Uniform => "random_uniform",
            Draw::Normal => "random_normal",
            Draw::Exponential => "random_exponential",
            Draw::Gamma => "random_gamma",
            Draw::Integers => "random_integers",
            Draw::Poisson => "random_poisson",
            Draw::Binomial => "random_binomial",
            Draw::Permutation => "random_permutation",
        }
    }

    /// Draws `n` numbers of dtype `T`.
    ///
    /// # Errors
    /// For a dtype that the distribution does not have.
    pub fn run<T: Element>(self, n: usize) -> Result<DynArray> {
        let mut random = Generator::new(1);
        let whole = |x: Array<i64>| {
            // Counts have one dtype, and are measured for it alone.
            if T::DTYPE == polyarray::DType::I64 { Ok(x.erase()) } else { Err(undefined(T::DTYPE)) }
        };
        match self {
            Draw::Uniform => Ok(random.uniform::<T>([n], 0.0, 1.0)?.erase()),
            Draw::Normal => Ok(random.normal::<T>([n], 0.0, 1.0)?.erase()),
            Draw::Exponential => Ok(random.exponential::<T>([n], 1.0)?.erase()),
            Draw::Gamma => Ok(random.gamma::<T>([n], 2.0, 1.0)?.erase()),
            Draw::Integers => {
                let bound = |x: i128| T::from_wide(Wide::Int(x));
                Ok(random.integers([n], bound(0)..bound(100))?.erase())
            }
            Draw::Poisson => whole(random.poisson([n], 10.0)?),
            Draw::Binomial => whole(random.binomial([n], 100, 0.3)?),
            Draw::Permutation => whole(random.permutation(n)?),
        }
    }
}

fn undefined(dtype: polyarray::DType) -> polyarray::Error {
    polyarray::Error::DTypeUndefined { op: "random", dtype, defined: "i64".into() }
}

/// The indices and masks of a case.
pub struct Places {
    /// As many random indices of the axis as it has.
    at: Array<i64>,
    /// Which indices of the axis are kept.
    kept: Array<bool>,
    /// Which elements are selected.
    mask: Array<bool>,
}

impl Places {
    /// Makes the indices and masks for an array of `shape` and an operation along `axis`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(shape: &[usize], axis: usize) -> Result<Places> {
        let mut random = Random::new(5);
        let n = shape[axis];
        Ok(Places {
            at: Array::from_fn([n], |_| random.uniform((0.0, n as f64)) as i64)?,
            kept: Array::from_fn([n], |_| random.uniform((0.0, 1.0)) < 0.5)?,
            mask: Array::from_fn(shape, |_| random.uniform((0.0, 1.0)) < 0.5)?,
        })
    }
}

/// Moves elements of `x`, and of `y` if the operation has two operands.
///
/// # Errors
/// Those of the operation.
pub fn run(what: Move, along: Along, x: &DynArray, y: &DynArray, places: &Places) -> Result<DynArray> {
    let axis = along.axis(x.ndim()).unwrap_or(0);
    with_dtype!(x.dtype(), T => {
        let (x, y) = (x.typed::<T>()?, y.typed::<T>()?);
        let three = <T as Element>::from_wide(Wide::Int(3));
        let moved = match what {
            Move::Take => x.take(&places.at, axis)?,
            Move::Compress => x.compress(&places.kept, axis)?,
            Move::Mask => x.mask(&places.mask)?,
            Move::AssignWhere => {
                let mut copy = x.clone();
                copy.assign_where(&places.mask, three)?;
                copy
            }
            Move::ScatterAdd => {
                let mut copy = x.clone();
                copy.scatter(Combine::Add, &places.at, &y, axis)?;
                copy
            }
            Move::Concatenate => Array::concatenate(&[&x, &y], axis)?,
            Move::Pad => x.pad(&[(1, 1)], Pad::Constant(three))?,
            Move::Roll => x.roll(1, axis)?,
            Move::Flip => x.flip(axis)?.flatten()?,
            Move::Repeat => x.repeat(2, axis)?,
        };
        Ok(moved.erase())
    })
}
