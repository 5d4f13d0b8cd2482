//! The rows of the registry.

use super::{Case, Closure, Form, Formula, Group, Kernel, Number, Sizes, Ulps};
use polyarray::{Array, Binary, Composed, DType, Expr, Metric, UfuncInfo, Unary, Wide, select};

/// The dtypes of cases that only floats support.
pub const FLOATS: &[DType] = &[DType::F32, DType::F64];
/// The dtypes of cases that integers support, too.
pub const NUMBERS: &[DType] = &[DType::F32, DType::F64, DType::I32, DType::I64];

static ELEMENTS: Sizes = Sizes {
    quick: &[&[1000], &[100_000], &[1_000_000]],
    overview: &[&[1000], &[100_000], &[4_000_000]],
    full: &[&[1], &[1000], &[100_000], &[1_000_000], &[10_000_000]],
    of: |n| vec![n],
    axes: "N",
};
/// As [`ELEMENTS`], for cases whose reference results take long.
static ORDERED: Sizes = Sizes {
    quick: ELEMENTS.quick,
    overview: &[&[1000], &[100_000], &[1_000_000]],
    full: ELEMENTS.full,
    of: ELEMENTS.of,
    axes: "N",
};
static MATRIX: Sizes = Sizes {
    quick: &[&[100, 100], &[1000, 1000]],
    overview: &[&[30, 30], &[300, 300], &[2000, 2000]],
    full: &[&[100, 100], &[1000, 1000], &[5000, 5000]],
    of: |n| vec![n, n],
    axes: "ROWSxCOLUMNS",
};
static PRODUCT: Sizes = Sizes {
    quick: &[&[64, 64, 64], &[256, 256, 256], &[512, 512, 512]],
    overview: &[&[64, 64, 64], &[256, 256, 256], &[1024, 1024, 1024]],
    full: &[&[16, 16, 16], &[64, 64, 64], &[256, 256, 256], &[1024, 1024, 1024], &[2048, 2048, 2048]],
    of: |n| vec![n, n, n],
    axes: "MxKxN",
};
static PRODUCTS: Sizes = Sizes {
    quick: &[&[16, 64, 64, 64]],
    overview: &[&[64, 32, 32, 32], &[16, 256, 256, 256]],
    full: &[&[64, 32, 32, 32], &[16, 64, 64, 64], &[16, 256, 256, 256]],
    of: |n| vec![16, n, n, n],
    axes: "BATCHxMxKxN",
};
/// Queries, points, and the words of 64 bits of each.
static CODES: Sizes = Sizes {
    quick: &[&[100, 1000, 4]],
    overview: &[&[100, 1000, 4], &[500, 10_000, 4]],
    full: &[&[100, 1000, 4], &[2000, 100_000, 4]],
    of: |n| vec![n, n, 4],
    axes: "QUERIESxPOINTSxWORDS",
};
static POINTS: Sizes = Sizes {
    quick: &[&[100, 100, 50], &[400, 400, 50]],
    overview: &[&[100, 100, 50], &[1000, 1000, 50]],
    full: &[&[100, 100, 50], &[500, 500, 50], &[2000, 2000, 50], &[5000, 5000, 50]],
    of: |n| vec![n, n, 50],
    axes: "NxMxD",
};

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

/// The cases of the comparison without options: one or two for each kind of work.
pub const OVERVIEW: &[&str] =
    &["add", "exp", "poly", "sum", "std", "cumsum", "transpose_copy", "sort", "matmul", "matvec", "cdist_euclidean"];

/// The group of cases for small work, measured on one thread: names of cases, with their shapes. Elementwise cases and
/// products of matrices write into an existing output, reductions return a number, and the others a new array or a
/// view.
pub const SMALL: &[(&str, &[&[usize]])] = &[
    ("add", ONE_AND_1000),
    ("exp", ONE_AND_1000),
    ("square_affine", ONE_AND_1000),
    ("poly", ONE_AND_1000),
    ("square_affine_compiled", ONE_AND_1000),
    ("poly_compiled", ONE_AND_1000),
    ("sum", ONE_AND_1000),
    ("min", ONE_AND_1000),
    ("mean", ONE_AND_1000),
    ("argmax", ONE_AND_1000),
    ("any", ONE_AND_1000),
    ("cumsum", &[&[16]]),
    ("sort", &[&[16]]),
    ("argsort", &[&[16]]),
    ("matmul", &[&[4, 4, 4], &[16, 16, 16]]),
    ("matvec", &[&[16, 16]]),
    ("get", ONE_AND_1000),
    ("set", ONE_AND_1000),
    ("slice", &[&[1000]]),
    ("t", &[&[20, 50]]),
    ("reshape", &[&[1000]]),
];

const ONE_AND_1000: &[&[usize]] = &[&[1], &[1000]];

/// The name of a ufunc, the domains of its operands, and its floor.
type Typical = (&'static str, &'static [(f64, f64)], f64);

/// The domains of ufuncs that differ from those in the table of ufuncs, and the floors of their errors (see
/// [`Case::floor`]): typical arguments instead of the whole range that tests cover.
const TYPICAL: &[Typical] = &[
    ("add", &[WHOLE, WHOLE], 0.0),
    ("mul", &[WHOLE, WHOLE], 0.0),
    ("sqrt", &[(0.0, 100.0)], 0.0),
    ("exp", &[(-10.0, 10.0)], 0.0),
    ("log", &[(1e-3, 100.0)], 1.0),
    ("sin", &[(-10.0, 10.0)], 1.0),
    ("cos", &[(-10.0, 10.0)], 1.0),
    ("tanh", &[(-4.0, 4.0)], 0.0),
    ("pow", &[(0.1, 10.0), (-3.0, 3.0)], 0.0),
];

/// The ufuncs among the standard cases, in the order of tables.
const STANDARD_UFUNCS: &[&str] = &["add", "mul", "sqrt", "exp", "log", "sin", "cos", "tanh", "pow"];

/// Returns every case: the ufuncs of the standard cases, the other standard cases, small work, the other ufuncs.
pub(super) fn all() -> Vec<Case> {
    let (mut standard, others): (Vec<Case>, Vec<Case>) = ufuncs().partition(|c| c.group == Group::Standard);
    standard.sort_by_key(|c| STANDARD_UFUNCS.iter().position(|name| *name == c.name));
    standard.into_iter().chain(standard_rows()).chain(small_rows()).chain(others).collect()
}

/// Returns a case for each row of the tables of ufuncs that is defined for a dtype of cases.
fn ufuncs() -> impl Iterator<Item = Case> {
    let unary = Unary::ALL.iter().map(|&op| ufunc(op.info(), 1, Kernel::Unary(op)));
    let binary = Binary::ALL.iter().map(|&op| ufunc(op.info(), 2, Kernel::Binary(op)));
    let composed = Composed::ALL.iter().map(|&op| ufunc(op.info(), op.operands(), Kernel::Composed(op)));
    unary.chain(binary).chain(composed).flatten()
}

fn ufunc(info: &'static UfuncInfo, operands: usize, kernel: Kernel) -> Option<Case> {
    let dtypes = NUMBERS.iter().copied().filter(|&d| info.kinds.contains(d)).collect::<Vec<_>>();
    let typical = TYPICAL.iter().find(|(name, ..)| *name == info.name);
    let standard = STANDARD_UFUNCS.contains(&info.name);
    (!dtypes.is_empty()).then(|| Case {
        group: if standard { Group::Standard } else { Group::Ufunc },
        name: info.name,
        doc: info.doc,
        dtypes,
        domains: typical.map_or_else(|| vec![info.domain; operands], |(_, domains, _)| domains.to_vec()),
        kernel,
        flops: 1.0,
        ulps: within(info),
        floor: typical.map_or(0.0, |&(.., floor)| floor),
        sizes: &ELEMENTS,
    })
}

/// The tolerance between two devices, each of which is within the ULP bound of this row of the table of ufuncs.
fn within(info: &UfuncInfo) -> Ulps {
    Ulps { host: 2.0 * info.ulp_cpu, other: info.ulp_cpu + info.ulp_gpu }
}

/// The tolerance of a case whose results are bit-identical on every CPU device. Elsewhere results differ by at most
/// `other`, for example because a fused multiply-add rounds once instead of twice.
const fn exact(other: f64) -> Ulps {
    Ulps { host: 0.0, other }
}

/// Returns a row for an elementwise expression.
#[allow(clippy::too_many_arguments, reason = "the columns of the table")]
fn map(
    name: &'static str,
    doc: &'static str,
    dtypes: &'static [DType],
    domains: &[(f64, f64)],
    flops: f64,
    ulps: Ulps,
    floor: f64,
    formula: Formula,
) -> Case {
    Case {
        group: Group::Standard,
        name,
        doc,
        dtypes: dtypes.to_vec(),
        domains: domains.to_vec(),
        kernel: Kernel::Map(formula),
        flops,
        ulps,
        floor,
        sizes: &ELEMENTS,
    }
}

/// Returns a row for a case that is measured only on small arrays, and whose results are exact unless `ulps` allow a
/// difference.
fn small(name: &'static str, doc: &'static str, kernel: Kernel, flops: f64, ulps: Ulps) -> Case {
    Case {
        group: Group::Small,
        name,
        doc,
        dtypes: NUMBERS.to_vec(),
        domains: vec![WHOLE],
        kernel,
        flops,
        ulps,
        floor: 0.0,
        sizes: &ELEMENTS,
    }
}

/// Makes a [`Closure`] from an expression over the operand `$x` of type `$T`.
macro_rules! closure {
    ($T:ident, $x:ident => $body:expr) => {{
        fn build<$T: Number>($x: Expr<$T>) -> Expr<$T> {
            $body
        }
        Closure { f32: build::<f32>, f64: build::<f64>, i32: build::<i32>, i64: build::<i64> }
    }};
}

/// Returns a row for a compiled function.
fn compiled(name: &'static str, doc: &'static str, flops: f64, floor: f64, closure: Closure) -> Case {
    Case { domains: vec![(-2.0, 2.0)], floor, ..small(name, doc, Kernel::Compiled(closure), flops, exact(16.0)) }
}

fn small_rows() -> Vec<Case> {
    let access = |name, doc, kernel| small(name, doc, kernel, 0.0, exact(0.0));
    vec![
        small("mean", "the mean of all elements", Kernel::Mean, 1.0, SUMMED),
        // Zeros, so that the search passes all elements.
        Case {
            domains: vec![(0.0, 0.0)],
            ..small("any", "whether any element is nonzero, if none is", Kernel::Any, 1.0, exact(0.0))
        },
        compiled(
            "square_affine_compiled",
            "(2 x + 1)^2, a compiled function",
            3.0,
            1.0,
            closure!(T, x => (x * number::<T>(2) + number::<T>(1)).square()),
        ),
        compiled(
            "poly_compiled",
            "2 x^2 - 3 x + 1, a compiled function",
            5.0,
            4.0,
            closure!(T, x => x.clone().square() * number::<T>(2) + x * number::<T>(-3) + number::<T>(1)),
        ),
        access("get", "the element in the middle", Kernel::Get),
        access("set", "writes the element in the middle", Kernel::Set),
        access("slice", "a view of every element but the first", Kernel::Slice),
        Case { sizes: &MATRIX, ..access("t", "a view of a matrix's transpose", Kernel::TransposedView) },
        access("reshape", "a view with two axes", Kernel::Reshape),
    ]
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

/// Returns the standard cases that are not ufuncs.
fn standard_rows() -> Vec<Case> {
    vec![
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
            group: Group::Standard,
            name: "add_fresh",
            doc: "x + y into a new array",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE, WHOLE],
            kernel: Kernel::Fresh(formula!(T, x => &x[0] + &x[1])),
            flops: 1.0,
            ulps: within(Binary::Add.info()),
            floor: 0.0,
            sizes: &ELEMENTS,
        },
        Case {
            group: Group::Standard,
            name: "sum",
            doc: "the sum of all elements",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::Sum,
            flops: 1.0,
            ulps: SUMMED,
            floor: 0.0,
            sizes: &ELEMENTS,
        },
        Case {
            group: Group::Standard,
            name: "sum_axis0",
            doc: "the sums of a matrix's columns",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::SumAxis(0),
            flops: 1.0,
            ulps: SUMMED,
            floor: 0.0,
            sizes: &MATRIX,
        },
        Case {
            group: Group::Standard,
            name: "sum_axis1",
            doc: "the sums of a matrix's rows",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::SumAxis(1),
            flops: 1.0,
            ulps: SUMMED,
            floor: 0.0,
            sizes: &MATRIX,
        },
        Case {
            group: Group::Standard,
            name: "min",
            doc: "the minimum of all elements",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::Min,
            flops: 1.0,
            ulps: exact(0.0),
            floor: 0.0,
            sizes: &ELEMENTS,
        },
        Case {
            group: Group::Standard,
            name: "argmax",
            doc: "the index of the maximum",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::ArgMax,
            flops: 1.0,
            ulps: exact(0.0),
            floor: 1.0,
            sizes: &ELEMENTS,
        },
        Case {
            group: Group::Standard,
            name: "std",
            doc: "the standard deviation of a matrix's elements",
            dtypes: FLOATS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::Std,
            flops: 4.0,
            // Twice the bound of a sum, and the same again for the mean.
            ulps: exact(4.0 * (64.0 + 32.0)),
            floor: 0.0,
            sizes: &MATRIX,
        },
        Case {
            group: Group::Standard,
            name: "cumsum",
            doc: "the running sum",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
            kernel: Kernel::CumSum,
            flops: 1.0,
            // 1040 elements in a block, and as many results of blocks: see `polyarray::order`.
            ulps: exact(2.0 * 1040.0),
            floor: 0.0,
            sizes: &ELEMENTS,
        },
        Case {
            group: Group::Standard,
            name: "transpose_copy",
            doc: "a matrix's transpose, copied into C order",
            dtypes: NUMBERS.to_vec(),
            domains: vec![WHOLE],
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
            group: Group::Standard,
            name: "matmul",
            doc: "a product of matrices, [m, k] @ [k, n]",
            dtypes: NUMBERS.to_vec(),
            domains: vec![SIGNED, SIGNED],
            kernel: Kernel::Matmul(Form::Plain),
            flops: 2.0,
            ulps: PRODUCTS_SUMMED,
            floor: 0.0,
            sizes: &PRODUCT,
        },
        Case {
            group: Group::Standard,
            name: "matmul_transposed",
            doc: "a product of transposed views, [k, m].T @ [n, k].T",
            dtypes: NUMBERS.to_vec(),
            domains: vec![SIGNED, SIGNED],
            kernel: Kernel::Matmul(Form::Transposed),
            flops: 2.0,
            ulps: PRODUCTS_SUMMED,
            floor: 0.0,
            sizes: &PRODUCT,
        },
        Case {
            group: Group::Standard,
            name: "matmul_bias_relu",
            doc: "max(0, a product of matrices + a row), [m, k] @ [k, n] + [n]",
            dtypes: NUMBERS.to_vec(),
            domains: vec![SIGNED, SIGNED, SIGNED],
            kernel: Kernel::Matmul(Form::BiasRelu),
            flops: 2.0,
            ulps: PRODUCTS_SUMMED,
            floor: 0.0,
            sizes: &PRODUCT,
        },
        Case {
            group: Group::Standard,
            name: "matmul_batched",
            doc: "products of matrices, [batch, m, k] @ [batch, k, n]",
            dtypes: NUMBERS.to_vec(),
            domains: vec![SIGNED, SIGNED],
            kernel: Kernel::Matmul(Form::Plain),
            flops: 2.0,
            ulps: PRODUCTS_SUMMED,
            floor: 0.0,
            sizes: &PRODUCTS,
        },
        Case {
            group: Group::Standard,
            name: "matvec",
            doc: "a matrix times a vector, [m, k] @ [k]",
            dtypes: NUMBERS.to_vec(),
            domains: vec![SIGNED, SIGNED],
            kernel: Kernel::Matvec,
            flops: 2.0,
            ulps: PRODUCTS_SUMMED,
            floor: 0.0,
            sizes: &MATRIX,
        },
        Case {
            dtypes: vec![DType::F32, DType::F64, DType::I8],
            ..distances(
                "cdist_euclidean",
                "Euclidean distances between two sets of points, [n, d] and [m, d]",
                Metric::Euclidean,
                3.0,
            )
        },
        distances(
            "cdist_cityblock",
            "Manhattan distances between two sets of points, [n, d] and [m, d]",
            Metric::Cityblock,
            3.0,
        ),
        distances(
            "cdist_cosine",
            "cosine distances between two sets of points, [n, d] and [m, d]",
            Metric::Cosine,
            2.0,
        ),
        distances(
            "cdist_chebyshev",
            "largest differences between two sets of points, [n, d] and [m, d]",
            Metric::Chebyshev,
            3.0,
        ),
        distances(
            "cdist_canberra",
            "Canberra distances between two sets of points, [n, d] and [m, d]",
            Metric::Canberra,
            6.0,
        ),
        distances(
            "cdist_braycurtis",
            "Bray-Curtis distances between two sets of points, [n, d] and [m, d]",
            Metric::BrayCurtis,
            6.0,
        ),
        distances(
            "cdist_correlation",
            "correlation distances between two sets of points, [n, d] and [m, d]",
            Metric::Correlation,
            2.0,
        ),
        Case {
            group: Group::Named,
            dtypes: vec![DType::F32, DType::F64, DType::I8],
            ..distances("cdist_dot", "inner products of two sets of vectors, [n, d] and [m, d]", Metric::Dot, 2.0)
        },
        Case {
            group: Group::Named,
            dtypes: vec![DType::U64],
            kernel: Kernel::Nearest(Metric::BitHamming, 10),
            sizes: &CODES,
            ..distances(
                "hamming10",
                "the 10 nearest of a set of codes of packed bits, [n, words] and [m, words]",
                Metric::BitHamming,
                3.0,
            )
        },
    ]
}

/// Returns a row for a case that orders elements. It counts no arithmetic, and its results are bit-identical
/// everywhere.
fn ordering(name: &'static str, doc: &'static str, dtypes: &'static [DType], kernel: Kernel) -> Case {
    Case {
        group: Group::Standard,
        name,
        doc,
        dtypes: dtypes.to_vec(),
        domains: vec![SPREAD],
        kernel,
        flops: 0.0,
        ulps: exact(0.0),
        floor: 0.0,
        sizes: &ORDERED,
    }
}

fn distances(name: &'static str, doc: &'static str, metric: Metric<'static>, flops: f64) -> Case {
    Case {
        group: Group::Standard,
        name,
        doc,
        dtypes: FLOATS.to_vec(),
        domains: vec![SIGNED, SIGNED],
        kernel: Kernel::Distance(metric),
        flops,
        ulps: PRODUCTS_SUMMED,
        floor: 0.0,
        sizes: &POINTS,
    }
}
