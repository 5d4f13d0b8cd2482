//! Work on arrays that are larger than the memory: an expression, a matrix product, distances or sorted lines are
//! computed block by block, and a block is some rows: indices of the first axis.
//!
//! The operands are usually [mapped files](crate::io::map_npy), of which only the pages of a block are in memory. The
//! result is written into a given output, such as [a file that is written through a map](crate::io::create_npy), or is
//! reduced.
//!
//! ```
//! # extern crate polyarray_cpu as _;
//! # use polyarray_core::*;
//! # let path = |name: &str| std::env::temp_dir().join(format!("stream_{name}_{}.npy", std::process::id()));
//! # let (from, to) = (path("from"), path("to"));
//! # io::write_npy(&from, &Array::from_fn([1000, 100], |ix| ix[0] as f32)?)?;
//! let x = io::map_npy::<f32>(&from)?;
//! let mut roots = io::create_npy::<f32>(&to, x.shape())?;
//! with_memory_limit(64 << 10, || {
//!     let rows = |done, of| println!("{done} of {of} rows");
//!     stream::of((&x * 2.0 + 1.0).sqrt()).progress(rows).eval_into(&mut roots.view_mut()?)
//! })?;
//! assert_eq!(roots.array().get([4, 0])?, 3.0);
//! let largest = stream::of(&roots.array()).max()?;
//! assert_eq!(largest, 1999f32.sqrt());
//! # drop(roots);
//! # std::fs::remove_file(&from).and(std::fs::remove_file(&to)).ok();
//! # Ok::<(), Error>(())
//! ```
//!
//! # Memory
//! A block has as many rows as fit into the limit: that of [`with_memory_limit`](crate::with_memory_limit), else
//! [`Config::memory_limit`](crate::Config), else 64 MiB. A row takes the bytes of one row of each operand that has
//! rows, and of one row of what is computed from it, if it is stored. The limit does not include operands that every
//! block reads as a whole (the right matrix of a product, operands that broadcast along the first axis), and results
//! that are returned. If one row exceeds a limit that was set, the work fails with [`Error::Setting`], which names the
//! number of bytes; without a limit, blocks have one row.
//!
//! Before a block is read, the operating system is advised (`madvise`) of the pages of mapped operands that this block
//! and the next one read, and the length of each file is compared with that of its map. After it, the pages of maps
//! that are shared with the file are released.
//!
//! # Order of summation
//! On devices of the host, a sum (or mean) in blocks has the same bits as the sum of the whole, if all operands have
//! the shape of the expression and lie in C order, or are single values, and if
//! - all axes are reduced, and 4096 elements fit into the limit, or
//! - only the first axis is reduced, and 4096 rows fit into it, or
//! - the first axis is not reduced.
//!
//! The tree of partial sums that [`order`] defines contains the tree of each group of 2^k of its blocks of elements,
//! and the blocks here are such groups. In other cases, the sum of each block has this order, and the sums of the
//! blocks are combined by a tree: the bits may differ, but not the bound of the error. Minima, maxima, counts, truth
//! values and sums of integers never depend on the blocks.
//!
//! Products of floats are combined from the rounded products of the blocks, so they over- and underflow if one of these
//! does. Variances and standard deviations that reduce the first axis are computed in f64, and combined from the means
//! and the squared deviations of the blocks as in [`order::Moments`]; deviations of f64 must not overflow when squared.

mod inputs;
mod reductions;

use crate::array::{Array, Axes, ViewMut};
use crate::device::Device;
use crate::distance::{Metric, cdist as distances};
use crate::expr::{IntoExpr, RawArray, Tape};
use crate::layout::resolve_axis;
#[cfg(doc)]
use crate::order;
use crate::program::{MAX_INPUTS, MAX_INSTRS};
use crate::reduce::{self, Blocks, Request};
use crate::{DType, Dims, Element, Error, Result, config};
use inputs::Inputs;
use std::ops::Range;

/// The size of a block in bytes without a limit. A block of this size takes milliseconds at the bandwidth of a memory,
/// and its preparation microseconds, so a larger one would only take more memory.
const BLOCK: u64 = 64 << 20;

/// A computation whose result has the dtype of `T`, to be run in blocks of rows. Made by [`of`], [`matmul`], [`cdist`]
/// and [`sort`].
#[must_use = "a stream computes nothing until it is evaluated: call `eval_into` or a reduction"]
pub struct Stream<'p, T: Element> {
    source: Result<Source<'p, T>>,
    progress: Box<dyn FnMut(usize, usize) + 'p>,
}

/// The computation of a stream.
enum Source<'p, T: Element> {
    /// The elements of an expression.
    Expr(Box<Tape>),
    /// An array of this shape whose rows a function computes from the same rows of an array.
    Rows { of: RawArray, shape: Dims, make: Make<'p, T> },
}

type Make<'p, T> = Box<dyn Fn(RawArray) -> Result<Array<T>> + 'p>;

/// Streams an expression, or an array.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let x = Array::from([[1.0, 2.0], [3.0, 4.0]]);
/// assert_eq!(stream::of(&x * 10.0).sum_axis(1)?, Array::from([30.0, 70.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn of<T: Element>(x: impl IntoExpr<T>) -> Stream<'static, T> {
    Stream::new(x.into_expr().tape().map(Source::Expr))
}

/// Streams the matrix product `[m, k] @ [k, n] -> [m, n]`, in blocks of rows of `a`. See [`Array::matmul`].
///
/// # Errors
/// The stream fails with [`Error::Shapes`] unless both have two axes and the inner lengths are equal, and as
/// [`Array::matmul`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let (a, b) = (Array::<f32>::ones([100, 20])?, Array::<f32>::ones([20, 3])?);
/// let mut out = Array::<f32>::zeros([100, 3])?;
/// stream::matmul(&a, &b).eval_into(&mut out.view_mut()?)?;
/// assert_eq!(out, Array::full([100, 3], 20.0)?);
/// # Ok::<(), Error>(())
/// ```
pub fn matmul<T: Element>(a: &Array<T>, b: &Array<T>) -> Stream<'static, T> {
    let why = "a product in blocks is of two matrices with the same inner length";
    let shape = rows_by(a, b, 0, T::DTYPE, "stream::matmul", why);
    let b = b.clone();
    Stream::rows(a, shape, move |rows| rows.matmul(&b))
}

/// Streams the distances between all rows of `x` `[n, d]` and all rows of `y` `[m, d]`, as `[n, m]`, in blocks of rows
/// of `x`. See [`distance::cdist`](crate::distance::cdist).
///
/// # Errors
/// The stream fails with [`Error::Shapes`] unless both have two axes and the same number of columns, and as
/// [`distance::cdist`](crate::distance::cdist).
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let (x, y) = (Array::from([[0.0], [5.0], [9.0]]), Array::from([[1.0], [8.0]]));
/// let nearest = stream::cdist(&x, &y, Metric::Euclidean).min_axis(1)?;
/// assert_eq!(nearest, Array::from([1.0, 3.0, 1.0]));
/// # Ok::<(), Error>(())
/// ```
pub fn cdist<'p, T: Element>(x: &Array<T>, y: &Array<T>, metric: Metric<'p>) -> Stream<'p, T::Distance> {
    let why = "both need two axes, [points, coordinates], and the same number of coordinates";
    let shape = rows_by(x, y, 1, T::Distance::DTYPE, "stream::cdist", why);
    let y = y.clone();
    Stream::rows(x, shape, move |rows| distances(rows, &y, metric))
}

/// Streams the array with the elements sorted along `axis`, which is not the first one: each line lies in a block. See
/// [`Array::sort`].
///
/// # Errors
/// The stream fails with [`Error::Axis`], with [`Error::Argument`] for the first axis, and as [`Array::sort`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let mut x = Array::from([[2, 1], [4, 3]]);
/// let sorted = stream::sort(&x.clone(), 1);
/// sorted.eval_into(&mut x.view_mut()?)?;
/// assert_eq!(x, Array::from([[1, 2], [3, 4]]));
/// # Ok::<(), Error>(())
/// ```
pub fn sort<T: Element>(x: &Array<T>, axis: isize) -> Stream<'static, T> {
    let shape = resolve_axis("stream::sort", axis, x.ndim()).and_then(|resolved| {
        let why = "lines along the first axis go through all blocks; only lines along other axes can be sorted";
        let first = || Error::Argument { op: "stream::sort", name: "axis", value: axis.to_string(), why: why.into() };
        if resolved == 0 { Err(first()) } else { Ok(x.layout().shape().clone()) }
    });
    Stream::rows(x, shape, move |rows| rows.sort(axis))
}

/// Returns the shape of a result with a row for each row of `a`, and a column for each index of axis `1 - inner` of
/// `b`, whose axis `inner` is as long as the rows of `a`.
fn rows_by<T: Element>(
    a: &Array<T>,
    b: &Array<T>,
    inner: usize,
    result: DType,
    op: &'static str,
    why: &str,
) -> Result<Dims> {
    match (a.shape(), b.shape()) {
        (&[rows, columns], other @ &[_, _]) if other[inner] == columns => {
            let shape = Dims::from([rows, other[1 - inner]]);
            shape.check(result)?;
            Ok(shape)
        }
        _ => Err(Error::Shapes { op, left: a.shape().into(), right: b.shape().into(), why: why.into() }),
    }
}

impl<'p, T: Element> Stream<'p, T> {
    fn new(source: Result<Source<'p, T>>) -> Stream<'p, T> {
        Stream { source, progress: Box::new(|_, _| {}) }
    }

    fn rows<S: Element>(
        of: &Array<S>,
        shape: Result<Dims>,
        make: impl Fn(&Array<S>) -> Result<Array<T>> + 'p,
    ) -> Stream<'p, T> {
        let make = Box::new(move |rows| make(&Array::from_raw(rows)?));
        Stream::new(shape.map(|shape| Source::Rows { of: of.raw().clone(), shape, make }))
    }
}

impl<'p, T: Element> Stream<'p, T> {
    /// Calls `f` after each block with the number of rows that are done and the number of all rows.
    pub fn progress<'q>(self, f: impl FnMut(usize, usize) + 'q) -> Stream<'q, T>
    where
        'p: 'q,
    {
        Stream { source: self.source, progress: Box::new(f) }
    }

    /// Computes all elements and writes them into a view of the same shape.
    ///
    /// # Errors
    /// The error of the expression; [`Error::BroadcastTo`] for a view of another shape; [`Error::Setting`] if a row
    /// does not fit into the limit; [`Error::File`] if a mapped file has been truncated; those of each operation. After
    /// an error, the view contains the blocks that were done.
    pub fn eval_into(mut self, out: &mut ViewMut<'_, T>) -> Result<()> {
        let source = self.source?;
        let shape = source.shape();
        if shape[..] != *out.shape() {
            let why = "a stream writes an output of its own shape".into();
            return Err(Error::BroadcastTo { from: shape.clone(), to: out.shape().into(), why });
        }
        let device = Device::current()?;
        if shape.contains(&0) {
            return Ok(());
        }
        if shape.is_empty() {
            return source.whole()?.eval_into(&out.raw(), &device);
        }
        let row = shape[1..].iter().product::<usize>() * T::DTYPE.size();
        // The result of the rows is itself a row of the output.
        let stored = if let Source::Expr(_) = source { source.made() } else { 0 };
        let count = source.rows_of_block(row.saturating_add(stored))?;
        source.for_each_block(count, &mut self.progress, |rows, block| {
            let to = out.raw().rows(rows);
            block.eval_into(&to, &device)?;
            Inputs::new([&to]).release(&(0..rows.len()));
            Ok(())
        })
    }

    /// Reduces over `axes` (`None`: all axes).
    fn reduce<U: Element>(mut self, request: &Request, axes: Option<Axes>) -> Result<Array<U>> {
        let mut source = self.source?;
        let (ndim, rows) = (source.shape().len(), source.shape().first().copied());
        let reduced = axes.as_ref().map(|axes| axes.resolve(request.name, ndim)).transpose()?;
        let Some(rows) = rows.filter(|_| !source.shape().contains(&0)) else {
            return Array::from_raw(reduce::run(source.whole()?, request, axes.as_ref())?);
        };
        // Reduced over all of its axes, an expression is one line.
        let (axes, shown) = match (axes, &reduced) {
            (Some(axes), Some(reduced)) if reduced.len() == ndim => (None, Some(axes.shown(source.shape(), reduced))),
            (axes, _) => (axes, None),
        };
        if let (Some(axes), Some(reduced)) = (&axes, reduced.filter(|reduced| !reduced.contains(&0))) {
            let shape = axes.shown(source.shape(), &reduced);
            let row = shape[1..].iter().product::<usize>() * U::DTYPE.size();
            let mut result = Array::<U>::zeros(shape)?;
            let count = source.rows_of_block(row.saturating_add(source.made()))?;
            source.for_each_block(count, &mut self.progress, |rows, block| {
                let part = Array::<U>::from_raw(reduce::run(block, request, Some(axes))?)?;
                result.slice_mut([rows.clone().into()])?.assign(part)
            })?;
            return Ok(result);
        }
        if let (None, Source::Expr(tape)) = (&axes, &source)
            && let Some(flat) = tape.flattened()
        {
            source = Source::Expr(Box::new(flat));
        }
        let mut blocks = Blocks::new(request, axes.as_ref(), source.shape().len());
        // A power of two, so that blocks are groups of the order of summation.
        let count = 1 << source.rows_of_block(source.made())?.ilog2();
        let each = source.shape()[0] / rows;
        let mut progress = |done: usize, _: usize| (self.progress)(done / each, rows);
        source.for_each_block(count, &mut progress, |_, block| blocks.push(block))?;
        let result = Array::from_raw(blocks.finish()?)?;
        match shown {
            Some(shown) => result.reshape(shown),
            None => Ok(result),
        }
    }
}

impl<T: Element> Source<'_, T> {
    /// Returns the shape of the result.
    fn shape(&self) -> &Dims {
        match self {
            Source::Expr(tape) => tape.shape(),
            Source::Rows { shape, .. } => shape,
        }
    }

    /// Returns the rows of the result as operands of a tape.
    fn block(&self, rows: &Range<usize>) -> Result<Box<Tape>> {
        match self {
            Source::Expr(tape) => Ok(Box::new(tape.rows(rows))),
            Source::Rows { of, make, .. } => Ok(Box::new(Tape::array(make(of.rows(rows))?.into_shared()))),
        }
    }

    /// As [`block`](Self::block), for all elements.
    fn whole(&self) -> Result<Box<Tape>> {
        match self {
            Source::Expr(tape) => Ok(tape.clone()),
            Source::Rows { shape, .. } => self.block(&(0..shape[0])),
        }
    }

    /// Returns the arrays of which a block reads the same rows.
    fn inputs(&self) -> Inputs<'_> {
        match self {
            Source::Expr(tape) => Inputs::new(tape.operands().iter().map(|o| &**o).filter(|o| tape.has_rows(o))),
            Source::Rows { of, .. } => Inputs::new([of]),
        }
    }

    /// Returns the bytes of a row of what is stored before it is reduced: temporaries of expressions that are too long
    /// for one program, and products, distances and sorted lines.
    fn made(&self) -> usize {
        let row = self.shape()[1..].iter().product::<usize>();
        match self {
            Source::Expr(tape) => {
                let temporaries = tape.instrs().len() / (MAX_INSTRS + 1) + tape.operands().len() / (MAX_INPUTS + 1);
                row.saturating_mul(temporaries * T::DTYPE.size())
            }
            Source::Rows { .. } => row * T::DTYPE.size(),
        }
    }

    /// Returns the number of rows of a block, at least one, if each row of the result has `bytes` bytes.
    fn rows_of_block(&self, bytes: usize) -> Result<usize> {
        let row = self.inputs().row_bytes().saturating_add(bytes) as u64;
        let limit = config::memory_limit();
        if let Some(limit) = limit.filter(|&limit| limit < row) {
            let why = format!("one row of the streamed arrays takes {row} bytes; the limit must be at least as large");
            return Err(Error::Setting { name: config::MEMORY_LIMIT, value: limit.to_string(), why });
        }
        let rows = limit.unwrap_or(BLOCK) / row.max(1);
        Ok(usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, self.shape()[0]))
    }

    /// Calls `work` with each block of `count` rows, of which the last may have fewer.
    fn for_each_block(
        &self,
        count: usize,
        progress: &mut dyn FnMut(usize, usize),
        mut work: impl FnMut(&Range<usize>, Box<Tape>) -> Result<()>,
    ) -> Result<()> {
        let (all, inputs) = (self.shape()[0], self.inputs());
        let block_from = |start: usize| start..start.saturating_add(count).min(all);
        let mut run = |rows: &Range<usize>| {
            inputs.check()?;
            inputs.will_need(&block_from(rows.end));
            work(rows, self.block(rows)?)?;
            inputs.release(rows);
            progress(rows.end, all);
            Ok(())
        };
        inputs.set_sequential(true);
        inputs.will_need(&block_from(0));
        let done = (0..all).step_by(count).try_for_each(|start| run(&block_from(start)));
        inputs.set_sequential(false);
        done
    }
}
