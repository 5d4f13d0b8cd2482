//! Reductions over the first axis, and perhaps others, of elements that come block by block.

use super::{Finish, Of, Request, accumulator, cast, divisor, kept, reduce};
use crate::array::{Array, Axes};
use crate::device::Device;
use crate::expr::{Expr, RawArray, Tape};
use crate::op::Reduction;
use crate::order::Tree;
use crate::program::Instr;
use crate::ufunc::Binary;
use crate::{DType, Error, Kind, Result};

/// A reduction of blocks of rows. Each block is reduced by itself, and a tree combines the results, as it does those of
/// the blocks in [`order`](crate::order).
pub(crate) struct Blocks<'a> {
    request: &'a Request,
    axes: Option<&'a Axes>,
    /// The number of axes of a block.
    ndim: usize,
    /// The number of elements that each result combines, so far.
    count: usize,
    tree: Tree<Part>,
}

/// The reduction of some blocks.
enum Part {
    /// The total in the dtype of accumulation.
    Total(RawArray),
    /// For variances and standard deviations.
    Moments(Moments),
}

/// The means and the sums of squared deviations, as [`order::Moments`](crate::order::Moments), in f64.
struct Moments {
    count: usize,
    near: Array<f64>,
    rest: Array<f64>,
    squares: Array<f64>,
}

impl<'a> Blocks<'a> {
    /// Prepares a reduction over `axes` (`None`: all axes) of blocks of `ndim` axes. The request is one for a sum, a
    /// product, a minimum, a maximum, a mean, a count, truth values or deviations.
    pub fn new(request: &'a Request, axes: Option<&'a Axes>, ndim: usize) -> Blocks<'a> {
        Blocks { request, axes, ndim, count: 0, tree: Tree::new() }
    }

    /// Adds the next block, which has elements.
    pub fn push(&mut self, block: Box<Tape>) -> Result<()> {
        let reduced =
            self.axes.map_or_else(|| Ok((0..self.ndim).collect()), |a| a.resolve(self.request.name, self.ndim))?;
        let count: usize = reduced.iter().map(|&axis| block.shape()[axis]).product();
        let part = match self.request.of {
            Of::Deviations => Part::Moments(Moments::of(*block, &kept(self.axes, self.ndim), count, self.request)?),
            _ => Part::Total(self.total(block)?),
        };
        self.count += count;
        let (mut failed, kind) = (None, self.request.kind);
        self.tree.push(part, |left, right| {
            failed = failed.take().or(left.combine(right, kind).err());
        });
        failed.map_or(Ok(()), Err)
    }

    fn total(&self, mut block: Box<Tape>) -> Result<RawArray> {
        if self.request.of == Of::Truth {
            cast(&mut block, DType::Bool)?;
        }
        let to = accumulator(self.request.kind, block.dtype(), self.request.to);
        let request = Request { of: Of::Elements, finish: Finish::Total, to, ..*self.request };
        reduce(block, &request, self.axes)
    }

    /// Returns the result. There must have been a block.
    pub fn finish(mut self) -> Result<RawArray> {
        let (mut failed, kind) = (None, self.request.kind);
        let part = std::mem::take(&mut self.tree).finish(|left, right| {
            failed = failed.take().or(left.combine(right, kind).err());
        });
        let total = match (failed, part.expect("a block")) {
            (Some(error), _) => return Err(error),
            (None, Part::Total(total)) => total,
            (None, Part::Moments(moments)) => moments.squares.into_raw(),
        };
        let mut tape = Tape::array(total);
        if let Finish::Mean(less) | Finish::RootMean(less) = self.request.finish {
            let (on, by) = (tape.result(), tape.add_param(divisor(tape.dtype(), self.count, less)));
            tape.push(Instr::Binary(Binary::Div, on, by))?;
        }
        if let Finish::RootMean(_) = self.request.finish {
            super::then(&mut tape, crate::ufunc::Unary::Sqrt)?;
        }
        cast(&mut tape, self.request.to)?;
        let result = tape.eval(&Device::current()?)?;
        match self.request.of {
            // Moments keep reduced axes.
            Of::Deviations => self.shown(result),
            _ => Ok(result),
        }
    }

    /// Removes the reduced axes unless the request keeps them.
    fn shown(&self, result: RawArray) -> Result<RawArray> {
        let mut axes = kept(self.axes, self.ndim).resolve(self.request.name, self.ndim)?;
        if self.axes.is_some_and(|axes| axes.keep) {
            return Ok(result);
        }
        axes.sort_unstable();
        let mut layout = result.layout;
        for &axis in axes.iter().rev() {
            layout.remove_axis(axis);
        }
        Ok(RawArray { layout, ..result })
    }
}

impl Part {
    /// Combines with the reduction of the blocks that follow.
    fn combine(&mut self, right: Part, kind: Reduction) -> Result<()> {
        match (self, right) {
            (Part::Total(left), Part::Total(right)) => {
                let op = match kind {
                    Reduction::Sum => Binary::Add,
                    Reduction::Prod => Binary::Mul,
                    Reduction::Min => Binary::Minimum,
                    Reduction::Max => Binary::Maximum,
                    Reduction::ArgMin | Reduction::ArgMax | Reduction::Deviations => {
                        unreachable!("such a reduction has no total")
                    }
                };
                let mut tape = Tape::array(left.clone());
                let (x, y) = tape.join(right)?;
                tape.push(Instr::Binary(op, x, y))?;
                *left = tape.eval(&Device::current()?)?;
                Ok(())
            }
            (Part::Moments(left), Part::Moments(right)) => left.combine(&right),
            _ => unreachable!("the parts of one reduction are of one kind"),
        }
    }
}

impl Moments {
    /// Returns the moments of the elements of a block over `axes`, which are kept.
    fn of(mut block: Tape, axes: &Axes, count: usize, request: &Request) -> Result<Moments> {
        let dtype = block.dtype();
        if dtype.kind() == Kind::Complex {
            let defined = "bool, integers, floats, in blocks".into();
            return Err(Error::DTypeUndefined { op: request.name, dtype, defined });
        }
        cast(&mut block, DType::F64)?;
        let x = Expr::<f64>::of_tape(Box::new(block));
        let near = x.mean_axis(axes.clone())?;
        let apart = x - &near;
        let sum = apart.sum_axis(axes.clone())?;
        let rest = (&sum / count as f64).eval()?;
        let squares = (apart.square().sum_axis(axes.clone())? - sum * &rest).maximum(0.0).eval()?;
        Ok(Moments { count, near, rest, squares })
    }

    /// The formulas of [`order::Moments::combine`](crate::order::Moments::combine).
    fn combine(&mut self, right: &Moments) -> Result<()> {
        let share = right.count as f64 / (self.count + right.count) as f64;
        let weight = self.count as f64 * share;
        let apart = ((&right.near - &self.near) + (&right.rest - &self.rest)).eval()?;
        self.rest = (&self.rest + &apart * share).eval()?;
        self.squares = (&self.squares + (&right.squares + &apart * &apart * weight)).eval()?;
        self.count += right.count;
        Ok(())
    }
}
