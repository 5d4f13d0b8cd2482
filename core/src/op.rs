//! Operations: the canonicalised work items of backends, together with their operands.
//!
//! Core validates and canonicalises an operation once. A backend may rely on every invariant stated here and treats a
//! violation as `unreachable!`.

mod sorting;

pub use sorting::{Bins, Count, Give, Search, Side, Sort};

use crate::layout::Strides;
use crate::{Buffer, DType, Dims, Program, Scalar};
use smallvec::SmallVec;

/// The parameters of a program, in the program's order.
pub type Params = SmallVec<[Scalar; 4]>;

/// An array to read: elements of `buffer` from `offset` on. Each operation defines the axes that the strides belong to.
#[derive(Clone, Debug)]
pub struct Operand {
    /// The buffer that holds the elements.
    pub buffer: Buffer,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The position in the buffer of the element at index zero.
    pub offset: usize,
    /// The distance in elements between neighbouring indices of each axis; may be 0 or negative.
    pub strides: Strides,
}

impl Operand {
    /// Returns the first and one past the last position of the elements at all indices of axes of these (nonzero)
    /// lengths.
    pub fn span(&self, lens: &[usize]) -> (usize, usize) {
        crate::Layout::from_parts(lens.into(), self.strides.clone(), self.offset).span()
    }
}

/// The position of the results in the output buffer of the [`RunContext`](crate::RunContext). Strides are never 0 along
/// an axis of more than one element.
#[derive(Clone, Debug)]
pub struct Output {
    /// The dtype of the results.
    pub dtype: DType,
    /// The position in the buffer of the element at index zero.
    pub offset: usize,
    /// The distance in elements between neighbouring indices of each axis.
    pub strides: Strides,
}

/// An elementwise computation: one output element for each index, computed from the inputs' elements at the same index.
///
/// Invariants:
/// 1. `shape` has at least one axis, no axis of 0, no axis of 1 (except for the shape `[1]`), and no two neighbouring
///    axes that could be merged for all operands;
/// 2. axes are sorted from the largest output stride to the smallest, and output strides are positive;
/// 3. inputs are in the program's order, and their strides are per axis of `shape`; `params` are in the program's
///    order, too;
/// 4. an input in the output's buffer has the dtype, the offset and the strides of the output, so that each element is
///    read before it is overwritten.
///
/// A program without inputs fills the output.
#[derive(Clone, Debug)]
pub struct Map {
    /// The program to apply.
    pub program: Program,
    /// The parameters of the program.
    pub params: Params,
    /// The index space.
    pub shape: Dims,
    /// The operands of the program.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The position of the results.
    pub output: Output,
}

/// The function by which a reduction combines two partial results. Each is associative and commutative except for
/// rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// `a + b`, starting in floats from -0, so that the sum of elements that are all -0 is -0.
    Sum,
    /// `a * b`, starting from 1.
    Prod,
    /// [`Binary::Minimum`](crate::Binary::Minimum): propagates NaN.
    Min,
    /// [`Binary::Maximum`](crate::Binary::Maximum): propagates NaN.
    Max,
    /// The index of the first NaN, or without NaN of the first of the smallest elements (zeros of both signs are
    /// equal).
    ArgMin,
    /// The index of the first NaN, or without NaN of the first of the largest elements (zeros of both signs are equal).
    ArgMax,
    /// The sum of the squared deviations from the mean: see [`order`](crate::order#deviations).
    Deviations,
}

impl Reduction {
    /// Every reduction.
    pub const ALL: [Reduction; 7] = [
        Reduction::Sum,
        Reduction::Prod,
        Reduction::Min,
        Reduction::Max,
        Reduction::ArgMin,
        Reduction::ArgMax,
        Reduction::Deviations,
    ];

    /// NumPy's name of the reduction.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Prod => "prod",
            Reduction::Min => "min",
            Reduction::Max => "max",
            Reduction::ArgMin => "argmin",
            Reduction::ArgMax => "argmax",
            Reduction::Deviations => "var",
        }
    }

    /// Whether the result is an index instead of a value.
    pub fn gives_index(self) -> bool {
        matches!(self, Reduction::ArgMin | Reduction::ArgMax)
    }
}

/// A reduction: for each index of `outer`, `kind` combines all elements that `before` computes over `inner`, then
/// `after` is applied.
///
/// Invariants:
/// 1. `outer` and `inner` have at least one axis each, no axis of 0, axes of 1 only as `[1]`, and no mergeable
///    neighbours; `outer` is sorted from the largest output stride to the smallest, `inner` from the largest stride of
///    the first input to the smallest; for reductions that give an index, `inner` instead keeps the user's order and
///    direction of axes, so that the number of an element in C order over `inner` is the index to return;
/// 2. strides of inputs are for the axes of `outer` followed by those of `inner`; strides of the output are for
///    `outer`, and positive;
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64 (deviations: f32 or f64); for
///    minima, maxima and their indices it is the dtype of the elements (f32 for f16 and bf16; not complex);
/// 4. `after` has one input, of dtype i64 for reductions that give an index, else of the dtype of accumulation; its
///    result has the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// [`order`](crate::order) fixes the order in which elements are combined, so that the bits of a sum depend neither on
/// the CPU device nor on its number of threads.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// The function that combines two partial results.
    pub kind: Reduction,
    /// The program that computes the elements from the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// The axes that remain.
    pub outer: Dims,
    /// The axes that are reduced.
    pub inner: Dims,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The order in which elements are combined.
    pub order: crate::order::Order,
    /// The program that is applied to each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// The position of the results.
    pub output: Output,
}

/// The function by which a scan combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Running {
    /// `a + b`.
    Sum,
    /// `a * b`.
    Prod,
}

impl Running {
    /// Every scan.
    pub const ALL: [Running; 2] = [Running::Sum, Running::Prod];

    /// NumPy's name of the scan.
    pub fn name(self) -> &'static str {
        match self {
            Running::Sum => "cumsum",
            Running::Prod => "cumprod",
        }
    }
}

/// A scan: for each index of `outer` and each `i` below `len`, `kind` combines the elements 0 to i (inclusive) that
/// `before` computes along the scanned axis, then `after` is applied.
///
/// Invariants:
/// 1. `outer` has at least one axis, no axis of 0, axes of 1 only as `[1]`, no mergeable neighbours, and is sorted from
///    the largest output stride to the smallest; `len` is at least 1;
/// 2. strides of inputs and of the output are for the axes of `outer` followed by the scanned axis; the output's
///    strides are positive, and 1 along the scanned axis or along the last axis of `outer` (unless `outer` is `[1]`);
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64;
/// 4. `after` has one input of that dtype, and its result has the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// [`order`](crate::order#scans) fixes the order in which elements are combined.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The function that combines two elements.
    pub kind: Running,
    /// The program that computes the elements from the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// The other axes.
    pub outer: Dims,
    /// The length of the scanned axis.
    pub len: usize,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// The program that is applied to each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// The position of the results.
    pub output: Output,
}

impl Scan {
    /// Returns the lengths of all axes, the scanned axis last.
    pub fn shape(&self) -> Dims {
        self.outer.iter().copied().chain([self.len]).collect()
    }
}

/// A batch of matrix products: `after(A @ B, extras..)` for each index of `batch`. A is `[.., m, k]`, B is
/// `[.., k, n]`, and the result is `[.., m, n]` in C order from the start of its buffer.
///
/// Invariants:
/// 1. m, n, k and all lengths of `batch` are at least 1;
/// 2. strides of `a` are for `batch`, m, k; those of `b` for `batch`, k, n; those of `extras` for `batch`, m, n;
/// 3. `after` reads the product as its first input and `extras` as the others; the product's dtype is `dtype`, or the
///    dtype of accumulation of `dtype` ([`Element::Product`](crate::Element::Product));
/// 4. no operand lies in the output's buffer;
/// 5. if `add` is set, the output's buffer holds initialised elements, and `after` is the identity.
#[derive(Clone, Debug)]
pub struct Matmul {
    /// The dtype of A and B.
    pub dtype: DType,
    /// The precision that may be traded for speed.
    pub precision: Precision,
    /// The batch axes after broadcasting; may be empty.
    pub batch: Dims,
    /// The number of rows of A.
    pub m: usize,
    /// The number of columns of B.
    pub n: usize,
    /// The number of columns of A and of rows of B.
    pub k: usize,
    /// The left matrix.
    pub a: Operand,
    /// The right matrix.
    pub b: Operand,
    /// The program that is applied to each element of the product.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// Operands of `after` besides the product.
    pub extras: SmallVec<[Operand; 2]>,
    /// Whether the product is added to the contents of the output's buffer.
    pub add: bool,
}

impl Matmul {
    /// Returns the dtype of the product before `after` is applied.
    pub fn product(&self) -> DType {
        self.after.inputs()[0]
    }
}

/// The required precision of a matrix product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As exact as accumulation in the dtype itself: the error of every element of an f32 or f64 product
    /// `[m, k] @ [k, n]` is at most the same element of `k * eps * |A||B|`, and mostly at most that of
    /// `sqrt(k) * eps * |A||B|`. `|A||B|` is the product of the matrices of absolute values; `eps` is 2^-24 for f32 and
    /// 2^-53 for f64. Overflow and underflow add their own errors.
    #[default]
    Full,
    /// For f32 an error of at most `(2^-15 + k * 2^-24) |A||B|` where this is faster: on CPUs with matrix engines it
    /// needs half the tile products. Other dtypes and devices behave as `Full`.
    Fast,
}

/// A measure of the distance between two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `sqrt(sum((x - y)^2))`
    Euclidean,
    /// `sum((x - y)^2)`
    SqEuclidean,
    /// `sum(|x - y|)`
    Cityblock,
    /// `1 - x.y / (|x| |y|)`; NaN if a vector is zero.
    Cosine,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 4] = [Metric::Euclidean, Metric::SqEuclidean, Metric::Cityblock, Metric::Cosine];

    /// SciPy's name of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Euclidean => "euclidean",
            Metric::SqEuclidean => "sqeuclidean",
            Metric::Cityblock => "cityblock",
            Metric::Cosine => "cosine",
        }
    }
}

/// All pairwise distances: `after(distance(x[i], y[j]))` as `[n, m]` in C order from the start of its buffer. X is
/// `[n, d]`, Y is `[m, d]`.
///
/// Invariants: 1. n, m and d are at least 1; 2. `dtype` is a real float; 3. `after` has one input, of dtype `dtype`; 4.
/// no operand lies in the output's buffer.
#[derive(Clone, Debug)]
pub struct Distance {
    /// The metric.
    pub metric: Metric,
    /// The dtype of X, Y and the distances.
    pub dtype: DType,
    /// The number of rows of X.
    pub n: usize,
    /// The number of rows of Y.
    pub m: usize,
    /// The number of columns of X and Y.
    pub d: usize,
    /// The operand X; its strides are for n, d.
    pub x: Operand,
    /// The operand Y; its strides are for m, d.
    pub y: Operand,
    /// The program that is applied to each distance.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
}

/// An operation that a backend executes.
#[derive(Clone, Debug)]
pub enum Op {
    /// An elementwise computation.
    Map(Map),
    /// A reduction over some axes.
    Reduce(Reduce),
    /// A scan along an axis.
    Scan(Scan),
    /// Matrix products.
    Matmul(Matmul),
    /// Distances between all pairs of two sets of vectors.
    Distance(Distance),
    /// A sort of lines.
    Sort(Sort),
    /// A search for values in a sorted line.
    Search(Search),
    /// Counts of elements in bins.
    Count(Count),
}

impl Op {
    /// Describes the operation for messages and traces: `map add f32 [1000, 1000]`.
    pub fn describe(&self) -> String {
        match self {
            Op::Map(o) => format!("map {} {} {:?}", o.program.describe(), o.output.dtype, o.shape),
            Op::Reduce(o) => {
                format!("{} {} over {:?} for each of {:?}", o.kind.name(), o.before.output(), o.inner, o.outer)
            }
            Op::Scan(o) => format!("{} {} along {} for each of {:?}", o.kind.name(), o.before.output(), o.len, o.outer),
            Op::Matmul(o) => {
                let into =
                    if o.product() == o.dtype { String::new() } else { format!(" accumulated in {}", o.product()) };
                let fast = if o.precision == Precision::Fast { ", fast" } else { "" };
                format!(
                    "matmul {}{into} {:?}x[{}, {}, {}]{}{}{fast}",
                    o.dtype,
                    o.batch,
                    o.m,
                    o.k,
                    o.n,
                    tail(&o.after),
                    if o.add { ", accumulating" } else { "" }
                )
            }
            Op::Distance(o) => {
                format!("{} distances {} [{}, {}, {}]{}", o.metric.name(), o.dtype, o.n, o.m, o.d, tail(&o.after))
            }
            Op::Sort(o) => {
                let what = if o.give == Give::Values { "sort" } else { "argsort" };
                let part = if o.take.len() == o.n { String::new() } else { format!(" ranks {:?}", o.take) };
                format!(
                    "{what} {} {:?}x[{}]{part}{}",
                    o.dtype,
                    o.lines,
                    o.n,
                    if o.descending { " descending" } else { "" }
                )
            }
            Op::Search(o) => format!("search {} {:?} in [{}]", o.dtype, o.shape, o.n),
            Op::Count(o) => format!("count {} {:?} into {} bins", o.dtype, o.shape, o.bins),
        }
    }

    /// Returns the dtype of the result.
    pub fn output_dtype(&self) -> DType {
        match self {
            Op::Map(o) => o.output.dtype,
            Op::Reduce(o) => o.output.dtype,
            Op::Scan(o) => o.output.dtype,
            Op::Matmul(o) => o.after.output(),
            Op::Distance(o) => o.after.output(),
            Op::Sort(o) => o.output(),
            Op::Search(_) | Op::Count(_) => DType::I64,
        }
    }

    /// Returns the number of elements of the result.
    pub fn output_len(&self) -> usize {
        match self {
            Op::Map(o) => o.shape.size(),
            Op::Reduce(o) => o.outer.size(),
            Op::Scan(o) => o.outer.size() * o.len,
            Op::Matmul(o) => o.batch.size() * o.m * o.n,
            Op::Distance(o) => o.n * o.m,
            Op::Sort(o) => o.lines.size() * o.take.len(),
            Op::Search(o) => o.shape.size(),
            Op::Count(o) => o.bins,
        }
    }

    /// Calls `f` with each operand that is read and the lengths of the axes of its strides.
    pub fn for_each_input(&self, mut f: impl FnMut(&Operand, &[usize])) {
        let matrix =
            |batch: &Dims, r: usize, c: usize| batch.iter().copied().chain([r, c]).collect::<SmallVec<[usize; 8]>>();
        match self {
            Op::Map(o) => o.inputs.iter().for_each(|i| f(i, &o.shape)),
            Op::Reduce(o) => {
                let lens: SmallVec<[usize; 8]> = o.outer.iter().chain(o.inner.iter()).copied().collect();
                o.inputs.iter().for_each(|i| f(i, &lens));
            }
            Op::Scan(o) => {
                let lens = o.shape();
                o.inputs.iter().for_each(|i| f(i, &lens));
            }
            Op::Matmul(o) => {
                f(&o.a, &matrix(&o.batch, o.m, o.k));
                f(&o.b, &matrix(&o.batch, o.k, o.n));
                o.extras.iter().for_each(|e| f(e, &matrix(&o.batch, o.m, o.n)));
            }
            Op::Distance(o) => {
                f(&o.x, &[o.n, o.d]);
                f(&o.y, &[o.m, o.d]);
            }
            Op::Sort(o) => f(&o.input, &o.lines.iter().copied().chain([o.n]).collect::<SmallVec<[usize; 8]>>()),
            Op::Search(o) => {
                f(&o.sorted, &[o.n]);
                f(&o.values, &o.shape);
            }
            Op::Count(o) => {
                f(&o.input, &o.shape);
                if let Bins::Edges(edges) = &o.by {
                    f(edges, &[o.bins + 1]);
                }
            }
        }
    }

    /// Calls `f` with mutable access to each operand that is read, so that `f` can replace it.
    pub fn for_each_input_mut(&mut self, mut f: impl FnMut(&mut Operand)) {
        match self {
            Op::Map(o) => o.inputs.iter_mut().for_each(f),
            Op::Reduce(o) => o.inputs.iter_mut().for_each(f),
            Op::Scan(o) => o.inputs.iter_mut().for_each(f),
            Op::Matmul(o) => [&mut o.a, &mut o.b].into_iter().chain(o.extras.iter_mut()).for_each(f),
            Op::Distance(o) => [&mut o.x, &mut o.y].into_iter().for_each(f),
            Op::Sort(o) => f(&mut o.input),
            Op::Search(o) => [&mut o.sorted, &mut o.values].into_iter().for_each(f),
            Op::Count(o) => {
                f(&mut o.input);
                if let Bins::Edges(edges) = &mut o.by {
                    f(edges);
                }
            }
        }
    }

    /// Returns the program that is applied to each element of the result. A map has only its main program; sorts,
    /// searches and counts have none.
    pub fn after(&self) -> Option<&Program> {
        match self {
            Op::Map(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => None,
            Op::Reduce(o) => Some(&o.after),
            Op::Scan(o) => Some(&o.after),
            Op::Matmul(o) => Some(&o.after),
            Op::Distance(o) => Some(&o.after),
        }
    }

    /// Returns all programs of the operation.
    pub fn programs(&self) -> SmallVec<[&Program; 2]> {
        match self {
            Op::Map(o) => SmallVec::from_slice(&[&o.program]),
            Op::Reduce(o) => SmallVec::from_slice(&[&o.before, &o.after]),
            Op::Scan(o) => SmallVec::from_slice(&[&o.before, &o.after]),
            Op::Matmul(o) => SmallVec::from_slice(&[&o.after]),
            Op::Distance(o) => SmallVec::from_slice(&[&o.after]),
            Op::Sort(_) | Op::Search(_) | Op::Count(_) => SmallVec::new(),
        }
    }

    /// Returns the number of bytes read and written if each operand element is read once from memory and each result is
    /// written once.
    pub fn bytes(&self) -> f64 {
        let mut bytes = self.output_len() as f64 * self.output_dtype().size() as f64;
        self.for_each_input(|operand, lens| {
            let touched: f64 =
                lens.iter().zip(&operand.strides).map(|(&n, &s)| if s == 0 { 1.0 } else { n as f64 }).product();
            bytes += touched * operand.dtype.size() as f64;
        });
        bytes
    }

    /// Estimates the number of simple instructions on single elements (a multiply-add counts as one).
    pub fn work(&self) -> f64 {
        match self {
            Op::Map(o) => o.shape.size() as f64 * o.program.weight().max(1.0),
            Op::Reduce(o) => {
                let each = if o.kind == Reduction::Deviations { 5.0 } else { 1.0 };
                (o.outer.size() * o.inner.size()) as f64 * (each + o.before.weight())
            }
            Op::Scan(o) => self.output_len() as f64 * (4.0 + o.before.weight() + o.after.weight()),
            Op::Matmul(o) => self.output_len() as f64 * (o.k as f64 + o.after.weight()),
            Op::Distance(o) => self.output_len() as f64 * (o.d as f64 * 2.0 + o.after.weight() + 6.0),
            Op::Sort(o) => o.work(),
            Op::Search(o) => o.shape.size() as f64 * (o.n.max(2) as f64).log2(),
            Op::Count(o) => 2.0 * o.shape.size() as f64,
        }
    }
}

fn tail(after: &Program) -> String {
    if after.is_identity() { String::new() } else { format!(" then {}", after.describe()) }
}
