//! Operations: what a backend is asked to do, with its operands, canonicalised.
//!
//! Core validates and canonicalises once; a backend may rely on every invariant stated here and meets a violation with `unreachable!`.

mod sorting;

pub use sorting::{Bins, Count, Give, Search, Side, Sort};

use crate::layout::Strides;
use crate::{Buffer, DType, Dims, Program, Scalar};
use smallvec::SmallVec;

/// Parameters of a program, in its order.
pub type Params = SmallVec<[Scalar; 4]>;

/// An array to read: elements of `buffer` from `offset` on. The operation says which axes the strides are for.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Where the elements lie.
    pub buffer: Buffer,
    /// Their dtype.
    pub dtype: DType,
    /// The element that index zero is.
    pub offset: usize,
    /// Elements from one index to the next, per axis; may be 0 or negative.
    pub strides: Strides,
}

impl Operand {
    /// The first and one past the last element touched over axes of these (nonzero) lengths.
    pub fn span(&self, lens: &[usize]) -> (usize, usize) {
        crate::Layout::from_parts(lens.into(), self.strides.clone(), self.offset).span()
    }
}

/// Where results go, inside the buffer that [`RunContext`](crate::RunContext) holds. Strides are never 0 along an axis of more than one.
#[derive(Clone, Debug)]
pub struct Output {
    /// Their dtype.
    pub dtype: DType,
    /// The element that index zero is.
    pub offset: usize,
    /// Elements from one index to the next, per axis.
    pub strides: Strides,
}

/// One element of output for each index, from the inputs' elements at the same index.
///
/// Invariants:
/// 1. `shape` has at least one axis, no axis of 0, no axis of 1 (but for the shape `[1]`), and no two neighbours that all operands could merge;
/// 2. axes go from the largest output stride to the smallest, and output strides are positive;
/// 3. inputs are in the program's order, with strides per axis of `shape`; likewise `params`;
/// 4. an input that lies in the output's buffer has its dtype, offset and strides: each element is read before it is overwritten.
///
/// A program without inputs fills the output.
#[derive(Clone, Debug)]
pub struct Map {
    /// What is computed.
    pub program: Program,
    /// Its parameters.
    pub params: Params,
    /// The index space.
    pub shape: Dims,
    /// Its operands.
    pub inputs: SmallVec<[Operand; 2]>,
    /// Where it goes.
    pub output: Output,
}

/// How a reduction combines two partial results. Each is associative and commutative but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// `a + b`, from -0 (in floats; the sum of nothing but -0 is -0).
    Sum,
    /// `a * b`, from 1.
    Prod,
    /// [`Binary::Minimum`](crate::Binary::Minimum): NaN wins.
    Min,
    /// [`Binary::Maximum`](crate::Binary::Maximum): NaN wins.
    Max,
    /// The index of the minimum: the first of equals (zeros of both signs are equal); NaN wins, the first of them.
    ArgMin,
    /// The index of the maximum, likewise.
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

    /// NumPy's name.
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

    /// Whether its result is an index rather than a value.
    pub fn gives_index(self) -> bool {
        matches!(self, Reduction::ArgMin | Reduction::ArgMax)
    }
}

/// For each index of `outer`, all elements of `inner` that `before` gives, combined by `kind`, then `after`.
///
/// Invariants:
/// 1. `outer` and `inner` have at least one axis each, no axis of 0, axes of 1 only as `[1]`, and no mergeable neighbours;
///    both go from the largest stride to the smallest (of the output, and of the first input);
///    for an index, `inner` is in the user's order of axes and not turned round: the number of an element in C order over it is the index that the user means;
/// 2. strides of inputs are for the axes of `outer` followed by those of `inner`; the output's are for `outer`, and positive;
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64 (deviations: f32 or f64), or for minima, maxima and their indices that of the
///    elements (f16 and bf16 as f32; not complex);
/// 4. `after` has one input, i64 for an index and else of that dtype, and gives the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// The order in which elements are combined is fixed by [`order`](crate::order), so that the bits of a sum do not depend on the device (of the CPU) or its threads.
#[derive(Clone, Debug)]
pub struct Reduce {
    /// How two are combined.
    pub kind: Reduction,
    /// What is read: a program over the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// Axes that stay.
    pub outer: Dims,
    /// Axes that go.
    pub inner: Dims,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// In which order.
    pub order: crate::order::Order,
    /// What is done with each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// Where results go.
    pub output: Output,
}

/// How a scan combines: the reductions whose partial results are of use one by one.
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

    /// NumPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Running::Sum => "cumsum",
            Running::Prod => "cumprod",
        }
    }
}

/// For each index of `outer` and each `i` below `len`: elements 0 to i (inclusive) of the scanned axis that `before` gives, combined by `kind`, then `after`.
///
/// Invariants:
/// 1. `outer` has at least one axis, no axis of 0, axes of 1 only as `[1]`, no mergeable neighbours, and goes from the largest output stride to the smallest; `len` is at least 1;
/// 2. strides of inputs and of the output are for the axes of `outer` followed by the scanned axis; the output's are positive, and 1 along the scanned axis or the last of `outer`
///    (but where that is `[1]`);
/// 3. `before.output()` is the dtype of accumulation: i64, u64, f32, f64, c32, c64;
/// 4. `after` has one input of that dtype, and gives the output's dtype;
/// 5. no input lies in the output's buffer.
///
/// The order in which elements are combined is fixed by [`order`](crate::order#scans).
#[derive(Clone, Debug)]
pub struct Scan {
    /// How two are combined.
    pub kind: Running,
    /// What is read: a program over the inputs.
    pub before: Program,
    /// Parameters of `before`.
    pub params: Params,
    /// The other axes.
    pub outer: Dims,
    /// The length of the scanned axis.
    pub len: usize,
    /// Operands of `before`.
    pub inputs: SmallVec<[Operand; 2]>,
    /// What is done with each result.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// Where results go.
    pub output: Output,
}

impl Scan {
    /// Lengths of all axes, the scanned one last.
    pub fn shape(&self) -> Dims {
        self.outer.iter().copied().chain([self.len]).collect()
    }
}

/// `after(A @ B, extras..)` for each index of `batch`: A is `[.., m, k]`, B `[.., k, n]`, the result `[.., m, n]` in C order from the start of its buffer.
///
/// Invariants:
/// 1. m, n, k and all of `batch` are at least 1;
/// 2. strides of `a` are for `batch`, m, k; of `b` for `batch`, k, n; of `extras` for `batch`, m, n;
/// 3. `after` reads the product as its first input and `extras` as the others; the product's dtype is `dtype`, or what that is added up in ([`Element::Product`](crate::Element::Product));
/// 4. no operand lies in the output's buffer;
/// 5. if `add`, the output's buffer holds numbers, and `after` leaves the product as it is.
#[derive(Clone, Debug)]
pub struct Matmul {
    /// Dtype of A and B.
    pub dtype: DType,
    /// What may be given up for speed.
    pub precision: Precision,
    /// Batch axes, after broadcasting; may be none.
    pub batch: Dims,
    /// Rows of A.
    pub m: usize,
    /// Columns of B.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// The left matrix.
    pub a: Operand,
    /// The right matrix.
    pub b: Operand,
    /// What is done with each element of the product.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// Operands of `after` besides the product.
    pub extras: SmallVec<[Operand; 2]>,
    /// Whether the product is added to what the output's buffer holds.
    pub add: bool,
}

impl Matmul {
    /// Dtype of the product, before what follows it.
    pub fn product(&self) -> DType {
        self.after.inputs()[0]
    }
}

/// How exact a product of matrices is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As exact as adding up in the dtype itself: every element of an f32 or f64 product `[m, k] @ [k, n]` is within `k * eps * |A||B|` (of whole matrices, element by element), and
    /// mostly within `sqrt(k) * eps * |A||B|`, `eps` being the dtype's 2^-24 or 2^-53. What over- or underflows is off by that besides.
    #[default]
    Full,
    /// f32 within `(2^-15 + k * 2^-24) |A||B|`, where that is faster (half the tile products on CPUs with matrix engines). Other dtypes and devices: as `Full`.
    Fast,
}

/// A way to measure how far two vectors are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `sqrt(sum((x - y)^2))`
    Euclidean,
    /// `sum((x - y)^2)`
    SqEuclidean,
    /// `sum(|x - y|)`
    Cityblock,
    /// `1 - x.y / (|x| |y|)`; NaN where a vector is zero.
    Cosine,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 4] = [Metric::Euclidean, Metric::SqEuclidean, Metric::Cityblock, Metric::Cosine];

    /// SciPy's name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Euclidean => "euclidean",
            Metric::SqEuclidean => "sqeuclidean",
            Metric::Cityblock => "cityblock",
            Metric::Cosine => "cosine",
        }
    }
}

/// `after(distance(x[i], y[j]))` as `[n, m]` in C order from the start of its buffer; X is `[n, d]`, Y `[m, d]`.
///
/// Invariants: 1. n, m and d are at least 1; 2. `dtype` is a real float; 3. `after` has one input, of `dtype`; 4. no operand lies in the output's buffer.
#[derive(Clone, Debug)]
pub struct Distance {
    /// How distance is measured.
    pub metric: Metric,
    /// Dtype of X, Y and the distances.
    pub dtype: DType,
    /// Rows of X.
    pub n: usize,
    /// Rows of Y.
    pub m: usize,
    /// Columns of both.
    pub d: usize,
    /// The first set of vectors; strides are for n, d.
    pub x: Operand,
    /// The second; strides are for m, d.
    pub y: Operand,
    /// What is done with each distance.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
}

/// A piece of work for a backend.
#[derive(Clone, Debug)]
pub enum Op {
    /// Elementwise.
    Map(Map),
    /// Over some axes.
    Reduce(Reduce),
    /// Along an axis.
    Scan(Scan),
    /// Products of matrices.
    Matmul(Matmul),
    /// Between all pairs of two sets of vectors.
    Distance(Distance),
    /// Of lines.
    Sort(Sort),
    /// In what is sorted.
    Search(Search),
    /// Into bins.
    Count(Count),
}

impl Op {
    /// For messages and traces: `map add f32 [1000, 1000]`.
    pub fn describe(&self) -> String {
        match self {
            Op::Map(o) => format!("map {} {} {:?}", o.program.describe(), o.output.dtype, o.shape),
            Op::Reduce(o) => {
                format!("{} {} over {:?} for each of {:?}", o.kind.name(), o.before.output(), o.inner, o.outer)
            }
            Op::Scan(o) => format!("{} {} along {} for each of {:?}", o.kind.name(), o.before.output(), o.len, o.outer),
            Op::Matmul(o) => {
                let into = if o.product() == o.dtype { String::new() } else { format!(" into {}", o.product()) };
                let fast = if o.precision == Precision::Fast { ", fast" } else { "" };
                format!(
                    "matmul {}{into} {:?}x[{}, {}, {}]{}{}{fast}",
                    o.dtype,
                    o.batch,
                    o.m,
                    o.k,
                    o.n,
                    tail(&o.after),
                    if o.add { ", added" } else { "" }
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

    /// Dtype of the result.
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

    /// The number of elements of the result.
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

    /// Calls `f` with each operand read and the lengths of the axes its strides are for.
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

    /// Calls `f` with each operand read, to be replaced.
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

    /// What is done with each element of the result; a map has nothing apart from its program, and what orders or counts has none.
    pub fn after(&self) -> Option<&Program> {
        match self {
            Op::Map(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => None,
            Op::Reduce(o) => Some(&o.after),
            Op::Scan(o) => Some(&o.after),
            Op::Matmul(o) => Some(&o.after),
            Op::Distance(o) => Some(&o.after),
        }
    }

    /// Every program that is part of it.
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

    /// Bytes read and written if every element of an operand is read once from memory and the result written once.
    pub fn bytes(&self) -> f64 {
        let mut bytes = self.output_len() as f64 * self.output_dtype().size() as f64;
        self.for_each_input(|operand, lens| {
            let touched: f64 =
                lens.iter().zip(&operand.strides).map(|(&n, &s)| if s == 0 { 1.0 } else { n as f64 }).product();
            bytes += touched * operand.dtype.size() as f64;
        });
        bytes
    }

    /// About how many simple instructions on one element it takes (a multiply-add is one).
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
