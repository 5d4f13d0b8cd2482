//! The registry: a table of every case that is measured.
//!
//! The program, the criterion benches and the tests read this table. The cases of ufuncs come from the table of ufuncs;
//! to add another case, add a row to `cases/rows.rs`. [`crate::problem`] executes the kernels.

mod rows;

pub use rows::{FLOATS, NUMBERS, OVERVIEW, SMALL};

use polyarray::{Array, Binary, Composed, DType, Element, Expr, Gives, Metric, Result, Unary, distance};
use std::sync::LazyLock;

/// Every case: the standard ones, those of small work, and one for each ufunc of real numbers that is not among them.
pub static CASES: LazyLock<Vec<Case>> = LazyLock::new(rows::all);

/// An element type of cases.
pub trait Number: Element {
    /// The distance from 1 to the next float. 1 for integers; unused there, because their tolerance is 0.
    const EPS: f64;
    /// Returns the function of `formula` for this type.
    fn pick(_: &Formula) -> fn(&[Array<Self>]) -> Expr<Self> {
        unreachable!("no case with a formula supports {}", Self::DTYPE)
    }
    /// Returns the closure of `closure` for this type.
    fn closure(_: &Closure) -> fn(Expr<Self>) -> Expr<Self> {
        unreachable!("no case with a compiled function supports {}", Self::DTYPE)
    }
    /// Returns the distances of the `k` nearest of the rows of `points` for each row of `queries`.
    ///
    /// # Errors
    /// Those of the operation.
    fn nearest(
        _queries: &Array<Self>,
        _points: &Array<Self>,
        _k: usize,
        _metric: Metric,
    ) -> Result<Array<Self::Distance>> {
        unreachable!("no case of nearest neighbours supports {}", Self::DTYPE)
    }
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
    fn closure(closure: &Closure) -> fn(Expr<f32>) -> Expr<f32> {
        closure.f32
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
    fn closure(closure: &Closure) -> fn(Expr<f64>) -> Expr<f64> {
        closure.f64
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
    fn closure(closure: &Closure) -> fn(Expr<i32>) -> Expr<i32> {
        closure.i32
    }
}

impl Number for i64 {
    const EPS: f64 = 1.0;
    fn pick(formula: &Formula) -> fn(&[Array<i64>]) -> Expr<i64> {
        formula.i64
    }
    fn closure(closure: &Closure) -> fn(Expr<i64>) -> Expr<i64> {
        closure.i64
    }
}

/// Bytes, of which only distances are measured.
impl Number for i8 {
    const EPS: f64 = 1.0;
}

/// Words of packed bits, of which only distances are measured.
impl Number for u64 {
    const EPS: f64 = 1.0;
    fn nearest(queries: &Array<u64>, points: &Array<u64>, k: usize, metric: Metric) -> Result<Array<f32>> {
        Ok(distance::nearest(queries, points, k, metric)?.distances)
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
            polyarray::DType::I8 => {
                type $T = i8;
                $body
            }
            polyarray::DType::U64 => {
                type $T = u64;
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

/// An elementwise computation of one operand that `fuse` compiles, for each type.
pub struct Closure {
    f32: fn(Expr<f32>) -> Expr<f32>,
    f64: fn(Expr<f64>) -> Expr<f64>,
    i32: fn(Expr<i32>) -> Expr<i32>,
    i64: fn(Expr<i64>) -> Expr<i64>,
}

/// The operation of a case. Its shapes are described by [`Sizes`].
pub enum Kernel {
    /// A ufunc of one operand, written into an existing output.
    Unary(Unary),
    /// A ufunc of two operands, written into an existing output.
    Binary(Binary),
    /// A composed ufunc of one or two operands.
    Composed(Composed),
    /// An elementwise expression, written into an existing output.
    Map(Formula),
    /// A compiled function, written into an existing output.
    Compiled(Closure),
    /// An elementwise operation, written into a new array.
    Fresh(Formula),
    /// The sum of all elements.
    Sum,
    /// The sums along one axis of a matrix.
    SumAxis(usize),
    /// The minimum of all elements.
    Min,
    /// The mean of all elements.
    Mean,
    /// Whether any element is nonzero.
    Any,
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
    Distance(Metric<'static>),
    /// For each row of the first matrix, so many nearest rows of the second.
    Nearest(Metric<'static>, usize),
    /// The element in the middle.
    Get,
    /// Writes the element in the middle of an existing output.
    Set,
    /// A view of every element but the first.
    Slice,
    /// A view of a matrix with its axes reversed.
    TransposedView,
    /// A view with another shape: one row.
    Reshape,
}

/// The use of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Measured by `compare --quick` and `compare --full`.
    Standard,
    /// Measured only on small arrays: see [`SMALL`].
    Small,
    /// A ufunc that is measured if it is selected by its name, or by `--ops ufuncs`.
    Ufunc,
    /// Measured if it is selected by its name.
    Named,
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
    /// Shapes of the comparison without options: from small ones to ones that exceed common caches, all verified within
    /// a minute.
    pub overview: &'static [&'static [usize]],
    /// Shapes under `--full`.
    pub full: &'static [&'static [usize]],
    /// Returns the shape that stands for one number N.
    pub of: fn(usize) -> Vec<usize>,
    /// The names of a shape's lengths, for messages.
    pub axes: &'static str,
}

impl Sizes {
    /// The forms in which `--sizes` can give a size, for messages.
    pub fn forms(&self) -> String {
        if self.axes == "N" { "N".into() } else { format!("N or {}", self.axes) }
    }

    /// The number of lengths in a shape.
    pub fn ndim(&self) -> usize {
        self.full[0].len()
    }
}

/// One row of the registry.
pub struct Case {
    /// The use of the case.
    pub group: Group,
    /// The name of the case, as users give it.
    pub name: &'static str,
    /// A one-line description.
    pub doc: &'static str,
    /// The supported dtypes.
    pub dtypes: Vec<DType>,
    /// For each input, the interval from which its elements are drawn uniformly.
    pub domains: Vec<(f64, f64)>,
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

/// The weight in the table of ufuncs above which a ufunc is a function rather than arithmetic: the square root is
/// arithmetic, the exponential is a function.
const FUNCTION: f64 = 12.0;

impl Case {
    /// Returns the case called `name`.
    ///
    /// # Errors
    /// If there is none; the message lists the names.
    pub fn named(name: &str) -> std::result::Result<&'static Case, String> {
        CASES.iter().find(|c| c.name == name).ok_or_else(|| {
            let known = CASES.iter().filter(|c| c.group != Group::Ufunc).map(|c| c.name).collect::<Vec<_>>().join(" ");
            format!("unknown case {name:?}; the cases are {known}, every ufunc, and the groups small and ufuncs")
        })
    }

    /// Returns the kind of work, as the summary of a comparison names it.
    pub fn kind(&self) -> &'static str {
        let function = |weight: f64| if weight > FUNCTION { "functions" } else { "arithmetic" };
        match self.kernel {
            Kernel::Unary(op) => function(op.info().weight),
            Kernel::Binary(op) => function(op.info().weight),
            Kernel::Composed(op) => function(op.info().weight),
            Kernel::Map(_) | Kernel::Compiled(_) => "expressions",
            Kernel::Fresh(_) => "arithmetic",
            Kernel::Sum | Kernel::SumAxis(_) | Kernel::Min | Kernel::Mean => "reductions",
            Kernel::Any | Kernel::Std | Kernel::ArgMax => "reductions",
            Kernel::CumSum => "running sums",
            Kernel::Transpose => "copies",
            Kernel::Sort | Kernel::Argsort | Kernel::Median => "sorts",
            Kernel::Matmul(_) => "matrix products",
            Kernel::Matvec => "matrix times vector",
            Kernel::Distance(_) | Kernel::Nearest(..) => "distances",
            Kernel::Get | Kernel::Set => "single elements",
            Kernel::Slice | Kernel::TransposedView | Kernel::Reshape => "views",
        }
    }

    /// Whether the case only makes a view or accesses one element, so that no device runs an operation.
    pub fn is_access(&self) -> bool {
        let views = matches!(self.kernel, Kernel::Slice | Kernel::TransposedView | Kernel::Reshape);
        views || matches!(self.kernel, Kernel::Get | Kernel::Set)
    }

    /// Whether the result is an array of truth values.
    pub fn gives_truth(&self) -> bool {
        let gives = match self.kernel {
            Kernel::Unary(op) => op.info().gives,
            Kernel::Binary(op) => op.info().gives,
            _ => return false,
        };
        gives == Gives::Truth
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
            (Kernel::Distance(_) | Kernel::Nearest(..), [n, m, d]) => vec![vec![*n, *d], vec![*m, *d]],
            (Kernel::Unary(_) | Kernel::Binary(_) | Kernel::Composed(_), _)
            | (Kernel::Map(_) | Kernel::Compiled(_) | Kernel::Fresh(_), _)
            | (Kernel::Sum | Kernel::SumAxis(_) | Kernel::Transpose | Kernel::Mean | Kernel::Any, _)
            | (Kernel::Min | Kernel::Std | Kernel::ArgMax | Kernel::CumSum, _)
            | (Kernel::Sort | Kernel::Argsort | Kernel::Median, _)
            | (Kernel::Get | Kernel::Set | Kernel::Slice | Kernel::TransposedView | Kernel::Reshape, _) => {
                vec![shape.to_vec(); self.domains.len()]
            }
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
            (Kernel::Sum | Kernel::Median | Kernel::Min | Kernel::Std | Kernel::ArgMax, _)
            | (Kernel::Mean | Kernel::Any | Kernel::Get, _) => Vec::new(),
            (Kernel::SumAxis(axis), [rows, columns]) => vec![[*columns, *rows][*axis]],
            (Kernel::Transpose | Kernel::TransposedView, [rows, columns]) => vec![*columns, *rows],
            (Kernel::Slice, [n]) => vec![n - 1],
            (Kernel::Reshape, [n]) => vec![1, *n],
            (Kernel::Matmul(_), [batch @ .., m, _, n]) => [batch, &[*m, *n]].concat(),
            (Kernel::Matvec, [m, _]) => vec![*m],
            (Kernel::Distance(_), [n, m, _]) => vec![*n, *m],
            (Kernel::Nearest(_, k), [n, m, _]) => vec![*n, *k.min(m)],
            _ => shape.to_vec(),
        }
    }

    /// Returns the number of bytes moved if each input is read once and the output is written once; 0 for views, and
    /// the bytes of one element for accesses to one.
    pub fn bytes(&self, dtype: DType, shape: &[usize]) -> f64 {
        let elements = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
        match self.kernel {
            Kernel::Get | Kernel::Set => return dtype.size() as f64,
            Kernel::Slice | Kernel::TransposedView | Kernel::Reshape => return 0.0,
            _ => {}
        }
        let out = match self.kernel {
            Kernel::Sum | Kernel::SumAxis(_) | Kernel::CumSum => dtype.sum(),
            Kernel::Argsort | Kernel::ArgMax => DType::I64,
            Kernel::Median | Kernel::Mean => dtype.mean(),
            Kernel::Any => DType::Bool,
            _ if self.gives_truth() => DType::Bool,
            Kernel::Distance(_) | Kernel::Nearest(..) => dtype.distance(),
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
        matches!(self.kernel, Kernel::Matmul(_) | Kernel::Distance(_) | Kernel::Nearest(..))
    }

    /// Returns the largest allowed error relative to `scalar` ([`crate::verify`] defines what errors are relative to),
    /// on a device of host memory or elsewhere.
    ///
    /// A sum of k products is allowed `2 sqrt(k)` epsilon more. This is several times the rounding error of terms of
    /// either sign, but a fraction of the error that products in a narrower type would cause.
    pub fn tolerance<T: Number>(&self, shape: &[usize], on_host: bool) -> f64 {
        if T::DTYPE.kind() != polyarray::Kind::Float {
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
    pub fn shapes(&self, sizes: &[Vec<usize>]) -> std::result::Result<Vec<Vec<usize>>, String> {
        let fit = |s: &Vec<usize>| match s[..] {
            [n] => Some((self.sizes.of)(n)),
            _ => (s.len() == self.sizes.ndim()).then(|| s.clone()),
        };
        let shapes: Vec<_> = sizes.iter().filter_map(fit).collect();
        if shapes.is_empty() {
            Err(format!("none of the given --sizes fits {}: give {}", self.name, self.sizes.forms()))
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
    const FIXED: [&str; 37] = [
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
        "cdist_chebyshev",
        "cdist_canberra",
        "cdist_braycurtis",
        "cdist_correlation",
        "add_fresh",
    ];

    #[test]
    fn names_are_the_fixed_ones_each_once() {
        let names: HashSet<_> = CASES.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), CASES.len());
        let standard = CASES.iter().filter(|c| c.group == Group::Standard).map(|c| c.name);
        assert_eq!(standard.collect::<HashSet<_>>(), HashSet::from(FIXED));
        let why = Case::named("ad").err().unwrap();
        assert!(why.contains("add mul") && why.contains("small") && !why.contains('\n'), "{why}");
    }

    #[test]
    fn every_ufunc_of_real_numbers_is_a_case() {
        let unary = Unary::ALL.iter().map(|op| op.info());
        let composed = Composed::ALL.iter().map(|op| op.info());
        for info in unary.chain(Binary::ALL.iter().map(|op| op.info())).chain(composed) {
            let dtypes: Vec<DType> = NUMBERS.iter().copied().filter(|&d| info.kinds.contains(d)).collect();
            match Case::named(info.name) {
                Ok(case) => {
                    let of_table = matches!(case.kernel, Kernel::Unary(_) | Kernel::Binary(_) | Kernel::Composed(_));
                    assert!(of_table, "{}", info.name);
                    assert_eq!(case.dtypes, dtypes, "{}", info.name);
                    assert!(!dtypes.is_empty());
                }
                Err(_) => assert!(dtypes.is_empty(), "{} supports {dtypes:?} and is no case", info.name),
            }
        }
        assert!(Case::named("tan").is_ok() && Case::named("shl").is_ok() && Case::named("conj").is_err());
    }

    #[test]
    fn groups_name_cases_and_fit_their_shapes() {
        for &(name, shapes) in SMALL {
            let case = Case::named(name).unwrap();
            assert!(shapes.iter().all(|s| s.len() == case.sizes.ndim()), "{name}");
        }
        assert!(OVERVIEW.iter().all(|name| Case::named(name).unwrap().group == Group::Standard));
        for small in CASES.iter().filter(|c| c.group == Group::Small) {
            assert!(SMALL.iter().any(|(name, _)| *name == small.name), "{} is not in the group", small.name);
        }
    }

    #[test]
    fn rows_are_complete() {
        for case in CASES.iter() {
            assert!(!case.doc.is_empty() && !case.dtypes.is_empty() && !case.sizes.quick.is_empty());
            for shape in case.sizes.quick.iter().chain(case.sizes.overview).chain(case.sizes.full) {
                assert_eq!(shape.len(), case.sizes.ndim(), "{}", case.name);
                let view = case.is_access() && !["get", "set"].contains(&case.name);
                assert_eq!(case.bytes(DType::F32, shape) > 0.0, !view, "{}", case.name);
                assert_eq!(
                    case.flops(shape) > 0.0,
                    !case.is_access() && !["transpose_copy", "sort", "argsort", "median"].contains(&case.name),
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
