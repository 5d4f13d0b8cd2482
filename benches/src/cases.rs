//! The registry: a table of every case that is measured.
//!
//! The program, the criterion benches and the tests read this table. To add a case, add a row. [`crate::problem`]
//! executes the kernels.

use polyarray::{Array, Binary, DType, Element, Expr, Metric, Unary, Wide, select};

/// An element type of cases.
pub trait Number: Element {
    /// The distance from 1 to the next float. 1 for integers; unused there, because their tolerance is 0.
    const EPS: f64;
    /// Returns the function of `formula` for this type.
    fn pick(formula: &Formula) -> fn(&[Array<Self>]) -> Expr<Self>;
    /// Returns the slice itself if this type is `f32`.
    fn as_f32(_: &[Self]) -> Option<&[f32]> {
        None
    }
    /// Returns the slice itself if this type is `f64`.
    fn as_f64(_: &[Self]) -> Option<&[f64]> {
        None
    }
}

impl Number for f32 {
    const EPS: f64 = f32::EPSILON as f64;
    fn pick(formula: &Formula) -> fn(&[Array<f32>]) -> Expr<f32> {
        formula.f32
    }
    fn as_f32(x: &[f32]) -> Option<&[f32]> {
        Some(x)
    }
}

impl Number for f64 {
    const EPS: f64 = f64::EPSILON;
    fn pick(formula: &Formula) -> fn(&[Array<f64>]) -> Expr<f64> {
        formula.f64
    }
    fn as_f64(x: &[f64]) -> Option<&[f64]> {
        Some(x)
    }
}

impl Number for i32 {
    const EPS: f64 = 1.0;
    fn pick(formula: &Formula) -> fn(&[Array<i32>]) -> Expr<i32> {
        formula.i32
    }
}

impl Number for i64 {
    const EPS: f64 = 1.0;
    fn pick(formula: &Formula) -> fn(&[Array<i64>]) -> Expr<i64> {
        formula.i64
    }
}

/// Runs `$body` with the type alias `$T` for the Rust type of `$dtype`, which must be a dtype of some case.
#[macro_export]
macro_rules! with_number {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            polyarray::DType::F32 => {
                type $T = f32;
                $body
            }
            polyarray::DType::F64 => {
                type $T = f64;
                $body
            }
            polyarray::DType::I32 => {
                type $T = i32;
                $body
            }
            polyarray::DType::I64 => {
                type $T = i64;
                $body
            }
            other => {
                unreachable!("no case supports dtype {other}; the field `dtypes` of a case lists the supported ones")
            }
        }
    };
}

/// An elementwise computation, for each type.
pub struct Formula {
    f32: fn(&[Array<f32>]) -> Expr<f32>,
    f64: fn(&[Array<f64>]) -> Expr<f64>,
    i32: fn(&[Array<i32>]) -> Expr<i32>,
    i64: fn(&[Array<i64>]) -> Expr<i64>,
}

/// Makes a [`Formula`] from an expression over the inputs `$x` of type `$T`.
macro_rules! formula {
    ($T:ident, $x:ident => $body:expr) => {{
        fn build<$T: Number>($x: &[Array<$T>]) -> Expr<$T> {
            $body
        }
        Formula { f32: build::<f32>, f64: build::<f64>, i32: build::<i32>, i64: build::<i64> }
    }};
}

/// Returns the constant `x` as a value of type `T`.
fn number<T: Number>(x: i128) -> T {
    T::from_wide(Wide::Int(x))
}

/// The operation of a case. Its shapes are described by [`Sizes`].
pub enum Kernel {
    /// An elementwise operation, written into an existing output.
    Map(Formula),
    /// An elementwise operation, written into a new array.
    Fresh(Formula),
    /// The sum of all elements.
    Sum,
    /// The sums along one axis of a matrix.
    SumAxis(usize),
    /// The minimum of all elements.
    Min,
    /// The standard deviation of all elements.
    Std,
    /// The index of the maximum.
    ArgMax,
    /// The running sum.
    CumSum,
    /// The transpose of a matrix, copied into C order.
    Transpose,
    /// All elements in ascending order.
    Sort,
    /// The indices that sort the elements.
    Argsort,
    /// The median of all elements.
    Median,
    /// `[m, k] @ [k, n]`, with any number of leading batch axes, written into an existing output.
    Matmul(Form),
    /// `[m, k] @ [k]`.
    Matvec,
    /// The distances between all pairs of rows of two matrices.
    Distance(Metric),
}

/// The layout of a matrix product's operands, and its epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Operands in C order, no epilogue.
    Plain,
    /// Transposed views as operands: the inputs are `[k, m]` and `[n, k]`.
    Transposed,
    /// Operands in C order. The epilogue adds a third input of n elements to each row, and replaces negative results by
    /// 0.
    BiasRelu,
}

/// The allowed difference from the results of `scalar`: the part of [`Case::tolerance`] that does not depend on the
/// shape, in units of the dtype's epsilon.
#[derive(Clone, Copy, Debug)]
pub struct Ulps {
    /// On devices of host memory. 0 means bit-identical results.
    pub host: f64,
    /// On other devices (GPUs may contract a multiplication and an addition) and in other libraries.
    pub other: f64,
}

/// The sizes at which a case is measured.
pub struct Sizes {
    /// Shapes under `--quick`: few enough to verify everything on two cores and a software GPU within a minute.
    pub quick: &'static [&'static [usize]],
    /// Shapes without `--quick`.
    pub full: &'static [&'static [usize]],
    /// Returns the shape that stands for one number N.
    pub of: fn(usize) -> Vec<usize>,
    /// The names of a shape's lengths, for messages.
    pub axes: &'static str,
}

impl Sizes {
    /// The number of lengths in a shape.
    pub fn ndim(&self) -> usize {
        self.full[0].len()
    }
}

static ELEMENTS: Sizes = Sizes {
    quick: &[&[1000], &[100_000], &[1_000_000]],
    full: &[&[1], &[1000], &[100_000], &[1_000_000], &[10_000_000]],
    of: |n| vec![n],
    axes: "N",
};
static MATRIX: Sizes = Sizes {
    quick: &[&[100, 100], &[1000, 1000]],
    full: &[&[100, 100], &[1000, 1000], &[5000, 5000]],
    of: |n| vec![n, n],
    axes: "ROWSxCOLUMNS",
};
static PRODUCT: Sizes = Sizes {
    quick: &[&[64, 64, 64], &[256, 256, 256], &[512, 512, 512]],
    full: &[&[16, 16, 16], &[64, 64, 64], &[256, 256, 256], &[1024, 1024, 1024], &[2048, 2048, 2048]],
    of: |n| vec![n, n, n],
    axes: "MxKxN",
};
static PRODUCTS: Sizes = Sizes {
    quick: &[&[16, 64, 64, 64]],
    full: &[&[64, 32, 32, 32], &[16, 64, 64, 64], &[16, 256, 256, 256]],
    of: |n| vec![16, n, n, n],
    axes: "BATCHxMxKxN",
};
static POINTS: Sizes = Sizes {
    quick: &[&[100, 100, 50], &[400, 400, 50]],
    full: &[&[100, 100, 50], &[500, 500, 50], &[2000, 2000, 50], &[5000, 5000, 50]],
    of: |n| vec![n, n, 50],
    axes: "NxMxD",
};

/// The dtypes of cases that only floats support.
pub const FLOATS: &[DType] = &[DType::F32, DType::F64];
/// The dtypes of cases that integers support, too.
pub const NUMBERS: &[DType] = &[DType::F32, DType::F64, DType::I32, DType::I64];

/// One row of the registry.
pub struct Case {
    /// The name of the case, as users give it.
    pub name: &'static str,
    /// A one-line description.
    pub doc: &'static str,
    /// The supported dtypes.
    pub dtypes: &'static [DType],
    /// For each input, the interval from which its elements are drawn uniformly.
    pub domains: &'static [(f64, f64)],
    /// The operation.
    pub kernel: Kernel,
    /// The number of operations for each element (elementwise cases), or for each product or difference (the others).
    pub flops: f64,
    /// The allowed difference from the results of `scalar`.
    pub ulps: Ulps,
    /// The least value that elementwise errors are relative to: about the size of the terms that may cancel. Errors of
    /// larger results are relative to the result.
    pub floor: f64,
    /// The sizes at which the case is measured.
    pub sizes: &'static Sizes,
}

/// The tolerance of a case whose results are bit-identical on every CPU device. Elsewhere results differ by at most
/// `other`, for example because a fused multiply-add rounds once instead of twice.
const fn exact(other: f64) -> Ulps {
    Ulps { host: 0.0, other }
}

/// The tolerance between two devices, each of which is within the ULP bound that the table of ufuncs gives for `op`.
const fn unary(op: Unary) -> Ulps {
    Ulps { host: 2.0 * op.info().ulp_cpu, other: op.info().ulp_cpu + op.info().ulp_gpu }
}

/// As [`unary`].
const fn binary(op: Binary) -> Ulps {
    Ulps { host: 2.0 * op.info().ulp_cpu, other: op.info().ulp_cpu + op.info().ulp_gpu }
}

/// Returns a row for an elementwise case.
#[allow(clippy::too_many_arguments, reason = "the columns of the table")]
const fn map(
    name: &'static str,
    doc: &'static str,
    dtypes: &'static [DType],
    domains: &'static [(f64, f64)],
    flops: f64,
    ulps: Ulps,
    floor: f64,
    formula: Formula,
) -> Case {
    Case { name, doc, dtypes, domains, kernel: Kernel::Map(formula), flops, ulps, floor, sizes: &ELEMENTS }
}

/// The domain of matrix and vector elements: both signs, so that the terms of a product partly cancel.
const SIGNED: (f64, f64) = (-1.0, 1.0);
/// A domain for cases that integers support: its elements round to many different integers.
const WHOLE: (f64, f64) = (-100.0, 100.0);
/// The domain of cases that order elements: few of a million elements are equal, in any dtype.
const SPREAD: (f64, f64) = (-1e6, 1e6);
/// The error bound of a sum: blocks of 64 elements one after another, then a tree, which has 32 levels for 2^32
/// elements. See `polyarray::order`.
const SUMMED: Ulps = exact(64.0 + 32.0);
/// The constant part of the tolerance of sums of products. [`Case::tolerance`] adds a part for the length of the sum.
const PRODUCTS_SUMMED: Ulps = Ulps { host: 16.0, other: 16.0 };

/// Every case.
pub static CASES: &[Case] = &[
    map("add", "x + y", NUMBERS, &[WHOLE, WHOLE], 1.0, binary(Binary::Add), 0.0, formula!(T, x => &x[0] + &x[1])),
    map("mul", "x * y", NUMBERS, &[WHOLE, WHOLE], 1.0, binary(Binary::Mul), 0.0, formula!(T, x => &x[0] * &x[1])),
    map("sqrt", "sqrt(x)", FLOATS, &[(0.0, 100.0)], 1.0, unary(Unary::Sqrt), 0.0, formula!(T, x => x[0].sqrt())),
    map("exp", "exp(x)", FLOATS, &[(-10.0, 10.0)], 1.0, unary(Unary::Exp), 0.0, formula!(T, x => x[0].exp())),
    map("log", "log(x)", FLOATS, &[(1e-3, 100.0)], 1.0, unary(Unary::Log), 1.0, formula!(T, x => x[0].log())),
    map("sin", "sin(x)", FLOATS, &[(-10.0, 10.0)], 1.0, unary(Unary::Sin), 1.0, formula!(T, x => x[0].sin())),
    map("cos", "cos(x)", FLOATS, &[(-10.0, 10.0)], 1.0, unary(Unary::Cos), 1.0, formula!(T, x => x[0].cos())),
    map("tanh", "tanh(x)", FLOATS, &[(-4.0, 4.0)], 1.0, unary(Unary::Tanh), 0.0, formula!(T, x => x[0].tanh())),
    map(
        "pow",
        "x ** y",
        FLOATS,
        &[(0.1, 10.0), (-3.0, 3.0)],
        1.0,
        binary(Binary::Pow),
        0.0,
        formula!(T, x => x[0].pow(&x[1])),
    ),
    map(
        "where",
        "x where x > 2, else y",
        NUMBERS,
        &[WHOLE, WHOLE],
        1.0,
        exact(0.0),
        0.0,
        formula!(T, x => select(x[0].greater(number::<T>(2)), &x[0], &x[1])),
    ),
    map(
        "poly",
        "2 x^2 - 3 x + 1, fused",
        NUMBERS,
        &[(-2.0, 2.0)],
        5.0,
        exact(16.0),
        4.0,
        formula!(T, x => x[0].square() * number::<T>(2) + &x[0] * number::<T>(-3) + number::<T>(1)),
    ),
    map(
        "exp_plus_sin",
        "exp(x) + sin(x), fused",
        FLOATS,
        &[(-10.0, 10.0)],
        3.0,
        Ulps { host: 6.0, other: 12.0 },
        1.0,
        formula!(T, x => x[0].exp() + x[0].sin()),
    ),
    map(
        "square_affine",
        "(2 x + 1)^2, fused",
        NUMBERS,
        &[(-2.0, 2.0)],
        3.0,
        exact(16.0),
        1.0,
        formula!(T, x => (&x[0] * number::<T>(2) + number::<T>(1)).square()),
    ),
    Case {
        name: "add_fresh",
        doc: "x + y into a new array",
        dtypes: NUMBERS,
        domains: &[WHOLE, WHOLE],
        kernel: Kernel::Fresh(formula!(T, x => &x[0] + &x[1])),
        flops: 1.0,
        ulps: binary(Binary::Add),
        floor: 0.0,
        sizes: &ELEMENTS,
    },
    Case {
        name: "sum",
        doc: "the sum of all elements",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::Sum,
        flops: 1.0,
        ulps: SUMMED,
        floor: 0.0,
        sizes: &ELEMENTS,
    },
    Case {
        name: "sum_axis0",
        doc: "the sums of a matrix's columns",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::SumAxis(0),
        flops: 1.0,
        ulps: SUMMED,
        floor: 0.0,
        sizes: &MATRIX,
    },
    Case {
        name: "sum_axis1",
        doc: "the sums of a matrix's rows",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::SumAxis(1),
        flops: 1.0,
        ulps: SUMMED,
        floor: 0.0,
        sizes: &MATRIX,
    },
    Case {
        name: "min",
        doc: "the minimum of all elements",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::Min,
        flops: 1.0,
        ulps: exact(0.0),
        floor: 0.0,
        sizes: &ELEMENTS,
    },
    Case {
        name: "argmax",
        doc: "the index of the maximum",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::ArgMax,
        flops: 1.0,
        ulps: exact(0.0),
        floor: 1.0,
        sizes: &ELEMENTS,
    },
    Case {
        name: "std",
        doc: "the standard deviation of a matrix's elements",
        dtypes: FLOATS,
        domains: &[WHOLE],
        kernel: Kernel::Std,
        flops: 4.0,
        // Twice the bound of a sum, and the same again for the mean.
        ulps: exact(4.0 * (64.0 + 32.0)),
        floor: 0.0,
        sizes: &MATRIX,
    },
    Case {
        name: "cumsum",
        doc: "the running sum",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::CumSum,
        flops: 1.0,
        // 1040 elements in a block, and as many results of blocks: see `polyarray::order`.
        ulps: exact(2.0 * 1040.0),
        floor: 0.0,
        sizes: &ELEMENTS,
    },
    Case {
        name: "transpose_copy",
        doc: "a matrix's transpose, copied into C order",
        dtypes: NUMBERS,
        domains: &[WHOLE],
        kernel: Kernel::Transpose,
        flops: 0.0,
        ulps: exact(0.0),
        floor: 0.0,
        sizes: &MATRIX,
    },
    ordering("sort", "all elements in ascending order", NUMBERS, Kernel::Sort),
    ordering("argsort", "the indices that sort the elements, equal elements by index", NUMBERS, Kernel::Argsort),
    ordering("median", "the median of all elements", NUMBERS, Kernel::Median),
    Case {
        name: "matmul",
        doc: "a product of matrices, [m, k] @ [k, n]",
        dtypes: NUMBERS,
        domains: &[SIGNED, SIGNED],
        kernel: Kernel::Matmul(Form::Plain),
        flops: 2.0,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &PRODUCT,
    },
    Case {
        name: "matmul_transposed",
        doc: "a product of transposed views, [k, m].T @ [n, k].T",
        dtypes: NUMBERS,
        domains: &[SIGNED, SIGNED],
        kernel: Kernel::Matmul(Form::Transposed),
        flops: 2.0,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &PRODUCT,
    },
    Case {
        name: "matmul_bias_relu",
        doc: "max(0, a product of matrices + a row), [m, k] @ [k, n] + [n]",
        dtypes: NUMBERS,
        domains: &[SIGNED, SIGNED, SIGNED],
        kernel: Kernel::Matmul(Form::BiasRelu),
        flops: 2.0,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &PRODUCT,
    },
    Case {
        name: "matmul_batched",
        doc: "products of matrices, [batch, m, k] @ [batch, k, n]",
        dtypes: NUMBERS,
        domains: &[SIGNED, SIGNED],
        kernel: Kernel::Matmul(Form::Plain),
        flops: 2.0,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &PRODUCTS,
    },
    Case {
        name: "matvec",
        doc: "a matrix times a vector, [m, k] @ [k]",
        dtypes: NUMBERS,
        domains: &[SIGNED, SIGNED],
        kernel: Kernel::Matvec,
        flops: 2.0,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &MATRIX,
    },
    distances(
        "cdist_euclidean",
        "Euclidean distances between two sets of points, [n, d] and [m, d]",
        Metric::Euclidean,
        3.0,
    ),
    distances(
        "cdist_cityblock",
        "Manhattan distances between two sets of points, [n, d] and [m, d]",
        Metric::Cityblock,
        3.0,
    ),
    distances("cdist_cosine", "cosine distances between two sets of points, [n, d] and [m, d]", Metric::Cosine, 2.0),
];

/// Returns a row for a case that orders elements. It counts no arithmetic, and its results are bit-identical
/// everywhere.
const fn ordering(name: &'static str, doc: &'static str, dtypes: &'static [DType], kernel: Kernel) -> Case {
    Case { name, doc, dtypes, domains: &[SPREAD], kernel, flops: 0.0, ulps: exact(0.0), floor: 0.0, sizes: &ELEMENTS }
}

const fn distances(name: &'static str, doc: &'static str, metric: Metric, flops: f64) -> Case {
    Case {
        name,
        doc,
        dtypes: FLOATS,
        domains: &[SIGNED, SIGNED],
        kernel: Kernel::Distance(metric),
        flops,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &POINTS,
    }
}

impl Case {
    /// Returns the case called `name`.
    ///
    /// # Errors
    /// If there is none; the message lists the names.
    pub fn named(name: &str) -> Result<&'static Case, String> {
        let known = || CASES.iter().map(|c| c.name).collect::<Vec<_>>().join(" ");
        CASES.iter().find(|c| c.name == name).ok_or_else(|| format!("unknown case {name:?}; the cases are {}", known()))
    }

    /// Returns the shapes of the inputs.
    pub fn input_shapes(&self, shape: &[usize]) -> Vec<Vec<usize>> {
        match (&self.kernel, shape) {
            (Kernel::Matmul(Form::Transposed), [batch @ .., m, k, n]) => {
                vec![[batch, &[*k, *m]].concat(), [batch, &[*n, *k]].concat()]
            }
            (Kernel::Matmul(Form::Plain), [batch @ .., m, k, n]) => {
                vec![[batch, &[*m, *k]].concat(), [batch, &[*k, *n]].concat()]
            }
            (Kernel::Matmul(Form::BiasRelu), [batch @ .., m, k, n]) => {
                vec![[batch, &[*m, *k]].concat(), [batch, &[*k, *n]].concat(), vec![*n]]
            }
            (Kernel::Matvec, [m, k]) => vec![vec![*m, *k], vec![*k]],
            (Kernel::Distance(_), [n, m, d]) => vec![vec![*n, *d], vec![*m, *d]],
            (Kernel::Map(_) | Kernel::Fresh(_) | Kernel::Sum | Kernel::SumAxis(_) | Kernel::Transpose, _)
            | (Kernel::Min | Kernel::Std | Kernel::ArgMax | Kernel::CumSum, _)
            | (Kernel::Sort | Kernel::Argsort | Kernel::Median, _) => vec![shape.to_vec(); self.domains.len()],
            _ => unreachable!(
                "a shape of {} lengths does not fit {}; `Case::shapes` should have rejected it",
                shape.len(),
                self.name
            ),
        }
    }

    /// Returns the shape of the result.
    pub fn output_shape(&self, shape: &[usize]) -> Vec<usize> {
        match (&self.kernel, shape) {
            (Kernel::Sum | Kernel::Median | Kernel::Min | Kernel::Std | Kernel::ArgMax, _) => Vec::new(),
            (Kernel::SumAxis(axis), [rows, columns]) => vec![[*columns, *rows][*axis]],
            (Kernel::Transpose, [rows, columns]) => vec![*columns, *rows],
            (Kernel::Matmul(_), [batch @ .., m, _, n]) => [batch, &[*m, *n]].concat(),
            (Kernel::Matvec, [m, _]) => vec![*m],
            (Kernel::Distance(_), [n, m, _]) => vec![*n, *m],
            _ => shape.to_vec(),
        }
    }

    /// Returns the number of bytes moved if each input is read once and the output is written once.
    pub fn bytes(&self, dtype: DType, shape: &[usize]) -> f64 {
        let elements = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
        let out = match self.kernel {
            Kernel::Sum | Kernel::SumAxis(_) | Kernel::CumSum => dtype.sum(),
            Kernel::Argsort | Kernel::ArgMax => DType::I64,
            Kernel::Median => dtype.mean(),
            _ => dtype,
        };
        let read: f64 = self.input_shapes(shape).iter().map(|s| elements(s)).sum();
        read * dtype.size() as f64 + elements(&self.output_shape(shape)) * out.size() as f64
    }

    /// Returns the number of arithmetic operations that GFLOP/s are computed from. A function of one element counts as
    /// one.
    pub fn flops(&self, shape: &[usize]) -> f64 {
        self.flops * shape.iter().map(|&n| n as f64).product::<f64>()
    }

    /// Whether arithmetic rather than memory limits the case. Its rate is then shown in GFLOP/s.
    pub fn is_compute(&self) -> bool {
        matches!(self.kernel, Kernel::Matmul(_) | Kernel::Distance(_))
    }

    /// Returns the largest allowed error relative to `scalar` ([`crate::verify`] defines what errors are relative to),
    /// on a device of host memory or elsewhere.
    ///
    /// A sum of k products is allowed `2 sqrt(k)` epsilon more. This is several times the rounding error of terms of
    /// either sign, but a fraction of the error that products in a narrower type would cause.
    pub fn tolerance<T: Number>(&self, shape: &[usize], on_host: bool) -> f64 {
        if T::DTYPE.kind() == polyarray::Kind::Int {
            return 0.0;
        }
        let terms = match (&self.kernel, shape) {
            (Kernel::Matmul(_), [.., k, _]) | (Kernel::Matvec | Kernel::Distance(_), [.., k]) => *k as f64,
            _ => 0.0,
        };
        let ulps = if on_host { self.ulps.host } else { self.ulps.other };
        (ulps + 2.0 * terms.sqrt()) * T::EPS
    }

    /// Returns the shapes that `--sizes` stands for in this case. A single number is expanded by [`Sizes::of`]; a shape
    /// is used if it has the right number of lengths.
    ///
    /// # Errors
    /// If none fits.
    pub fn shapes(&self, sizes: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, String> {
        let fit = |s: &Vec<usize>| match s[..] {
            [n] => Some((self.sizes.of)(n)),
            _ => (s.len() == self.sizes.ndim()).then(|| s.clone()),
        };
        let shapes: Vec<_> = sizes.iter().filter_map(fit).collect();
        if shapes.is_empty() {
            Err(format!("none of the given --sizes fits {}: give N or {}", self.name, self.sizes.axes))
        } else {
            Ok(shapes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The names that are part of the interface, except those whose operations the library lacks so far.
    const FIXED: [&str; 33] = [
        "add",
        "mul",
        "sqrt",
        "exp",
        "log",
        "sin",
        "cos",
        "tanh",
        "pow",
        "where",
        "poly",
        "exp_plus_sin",
        "square_affine",
        "sum",
        "sum_axis0",
        "sum_axis1",
        "min",
        "argmax",
        "std",
        "cumsum",
        "transpose_copy",
        "sort",
        "argsort",
        "median",
        "matmul",
        "matmul_transposed",
        "matmul_bias_relu",
        "matmul_batched",
        "matvec",
        "cdist_euclidean",
        "cdist_cityblock",
        "cdist_cosine",
        "add_fresh",
    ];

    #[test]
    fn names_are_the_fixed_ones_each_once() {
        let names: HashSet<_> = CASES.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), CASES.len());
        assert_eq!(names, HashSet::from(FIXED));
        assert!(Case::named("ad").err().unwrap().contains("add mul"));
    }

    #[test]
    fn rows_are_complete() {
        for case in CASES {
            assert!(!case.doc.is_empty() && !case.dtypes.is_empty() && !case.sizes.quick.is_empty());
            for shape in case.sizes.quick.iter().chain(case.sizes.full) {
                assert_eq!(shape.len(), case.sizes.ndim(), "{}", case.name);
                assert!(case.bytes(DType::F32, shape) > 0.0);
                assert_eq!(
                    case.flops(shape) > 0.0,
                    !["transpose_copy", "sort", "argsort", "median"].contains(&case.name),
                    "{}",
                    case.name
                );
                assert_eq!(case.input_shapes(shape).len(), case.domains.len());
            }
        }
    }

    #[test]
    fn bytes_and_flops_are_counted_as_documented() {
        let count = |name: &str, shape: &[usize]| {
            let case = Case::named(name).unwrap();
            (case.bytes(DType::F64, shape), case.flops(shape))
        };
        assert_eq!(count("add", &[10]), (240.0, 10.0));
        assert_eq!(count("poly", &[10]), (160.0, 50.0));
        assert_eq!(count("sum", &[10]), (88.0, 10.0));
        assert_eq!(count("sum_axis1", &[2, 5]), (96.0, 10.0));
        assert_eq!(count("median", &[10]), (88.0, 0.0));
        assert_eq!(count("argsort", &[10]), (160.0, 0.0));
        assert_eq!(count("argmax", &[10]), (88.0, 10.0));
        assert_eq!(count("cumsum", &[10]), (160.0, 10.0));
        assert_eq!(count("matmul", &[2, 3, 5]), (8.0 * (6 + 15 + 10) as f64, 60.0));
        assert_eq!(count("matmul_batched", &[7, 2, 3, 5]), (7.0 * 8.0 * (6 + 15 + 10) as f64, 420.0));
        assert_eq!(count("cdist_cosine", &[2, 3, 5]), (8.0 * (10 + 15 + 6) as f64, 60.0));
    }

    #[test]
    fn sizes_become_shapes() {
        let matmul = Case::named("matmul").unwrap();
        assert_eq!(matmul.shapes(&[vec![8], vec![2, 3, 4], vec![5, 6]]).unwrap(), [vec![8, 8, 8], vec![2, 3, 4]]);
        assert!(matmul.shapes(&[vec![5, 6]]).unwrap_err().contains("MxKxN"));
        assert_eq!(Case::named("cdist_euclidean").unwrap().shapes(&[vec![9]]).unwrap(), [vec![9, 9, 50]]);
    }
}
