//! The cases of a sweep, made from the tables of ufuncs, reductions, dtypes and layouts: a new row is swept without
//! being listed here.

use super::layout::{self, Layout};
use super::moves::{self, Draw, Move, Places};
use polyarray::{
    Array, Axes, Binary, Composed, DType, DynArray, DynExpr, Kind, Reducer, Result, Scalar, SliceItem, Unary, Wide,
    with_dtype,
};
use std::fmt;

/// The second operand of an elementwise operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Other {
    /// An array of the same layout.
    Same,
    /// A value.
    Value,
    /// An array with the last axis alone.
    Row,
    /// An array with the first axis alone; the others have length 1.
    Column,
    /// An array with the second of at least three axes alone; the others have length 1.
    Middle,
}

/// The axis that an operation works along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Along {
    /// All axes.
    All,
    /// The first axis.
    First,
    /// The second of at least three axes.
    Middle,
    /// The last axis.
    Last,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// A copy in C order.
    Copy,
    /// A cast to another dtype.
    Cast(DType),
    /// A ufunc of one operand.
    Unary(Unary),
    /// A ufunc of two operands.
    Binary(Binary, Other),
    /// A composed ufunc. If it has one operand, the second one is not used.
    Composed(Composed, Other),
    /// The first operand where it is not 3, else the second: a comparison and `select`.
    Select(Other),
    /// A reduction.
    Reduce(Reducer, Along),
    /// Running sums.
    Cumsum(Along),
    /// Running products.
    Cumprod(Along),
    /// A sort.
    Sort(Along),
    /// The indices that sort.
    Argsort(Along),
    /// The median.
    Median(Along),
    /// Indexing, joining and cutting.
    Move(Move, Along),
    /// Random numbers.
    Draw(Draw),
}

/// Every reduction. The compiler reports a new one in [`reducer_name`]; it belongs here, too.
const REDUCERS: [Reducer; 13] = [
    Reducer::Sum,
    Reducer::Prod,
    Reducer::Min,
    Reducer::Max,
    Reducer::Mean,
    Reducer::Var(0),
    Reducer::Std(0),
    Reducer::Norm,
    Reducer::Any,
    Reducer::All,
    Reducer::CountNonzero,
    Reducer::ArgMin,
    Reducer::ArgMax,
];

fn reducer_name(by: Reducer) -> &'static str {
    match by {
        Reducer::Sum => "sum",
        Reducer::Prod => "prod",
        Reducer::Min => "min",
        Reducer::Max => "max",
        Reducer::Mean => "mean",
        Reducer::Var(_) => "var",
        Reducer::Std(_) => "std",
        Reducer::Norm => "norm",
        Reducer::Any => "any",
        Reducer::All => "all",
        Reducer::CountNonzero => "count_nonzero",
        Reducer::ArgMin => "argmin",
        Reducer::ArgMax => "argmax",
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Other::Same => "",
            Other::Value => "_value",
            Other::Row => "_row",
            Other::Column => "_col",
            Other::Middle => "_mid",
        })
    }
}

impl fmt::Display for Along {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Along::All => "",
            Along::First => "_first",
            Along::Middle => "_middle",
            Along::Last => "_last",
        })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Work::Copy => write!(f, "copy"),
            Work::Cast(to) => write!(f, "cast_{to}"),
            Work::Unary(op) => write!(f, "{}", op.info().name),
            Work::Binary(op, other) => write!(f, "{}{other}", op.info().name),
            Work::Composed(op, other) => write!(f, "{}{other}", op.info().name),
            Work::Select(other) => write!(f, "where{other}"),
            Work::Reduce(by, along) => write!(f, "{}{along}", reducer_name(*by)),
            Work::Cumsum(along) => write!(f, "cumsum{along}"),
            Work::Cumprod(along) => write!(f, "cumprod{along}"),
            Work::Sort(along) => write!(f, "sort{along}"),
            Work::Argsort(along) => write!(f, "argsort{along}"),
            Work::Median(along) => write!(f, "median{along}"),
            Work::Move(what, along) => write!(f, "{}{along}", what.name()),
            Work::Draw(draw) => write!(f, "{}", draw.name()),
        }
    }
}

impl Along {
    /// Returns the axis of an array with `ndim` axes, if it has such an axis; `None` for all axes.
    pub fn axis(self, ndim: usize) -> Option<isize> {
        match self {
            Along::All => None,
            Along::First => Some(0),
            Along::Middle => Some(1),
            Along::Last => Some(ndim as isize - 1),
        }
    }

    /// Returns whether the operation differs from those along other axes for arrays with `ndim` axes.
    fn suits(self, ndim: usize) -> bool {
        match self {
            Along::All => true,
            Along::First | Along::Last => ndim >= 2,
            Along::Middle => ndim >= 3,
        }
    }
}

impl Other {
    fn suits(self, ndim: usize) -> bool {
        match self {
            Other::Same | Other::Value => true,
            Other::Row | Other::Column => ndim >= 2,
            Other::Middle => ndim >= 3,
        }
    }
}

impl Work {
    /// Returns every operation.
    pub fn all() -> Vec<Work> {
        let others = [Other::Same, Other::Value, Other::Row, Other::Column, Other::Middle];
        let along = [Along::All, Along::First, Along::Middle, Along::Last];
        let lines = [Along::First, Along::Middle, Along::Last];
        let mut out = vec![Work::Copy];
        out.extend(DType::ALL.map(Work::Cast));
        out.extend(Unary::ALL.iter().map(|&op| Work::Unary(op)));
        out.extend(Binary::ALL.iter().flat_map(|&op| others.map(|other| Work::Binary(op, other))));
        out.extend(Composed::ALL.iter().flat_map(|&op| {
            let others = if op.operands() == 2 { &others[..] } else { &[Other::Same] };
            others.iter().map(move |&other| Work::Composed(op, other)).collect::<Vec<_>>()
        }));
        out.extend(others.map(Work::Select));
        out.extend(REDUCERS.iter().flat_map(|&by| along.map(|along| Work::Reduce(by, along))));
        for line in lines {
            out.extend([Work::Cumsum, Work::Cumprod, Work::Sort, Work::Argsort, Work::Median].map(|work| work(line)));
            out.extend(Move::ALL.iter().filter(|what| what.has_axis()).map(|&what| Work::Move(what, line)));
        }
        out.extend(Move::ALL.iter().filter(|what| !what.has_axis()).map(|&what| Work::Move(what, Along::All)));
        out.extend(Draw::ALL.map(Work::Draw));
        out.push(Work::Median(Along::All));
        out
    }

    /// Returns whether the operation is a different one for arrays of `layout` than every other operation.
    fn suits(self, layout: &Layout) -> bool {
        let ndim = layout.shape().len();
        match self {
            // Random numbers have no operand.
            Work::Draw(_) => layout.is_plain(),
            Work::Copy | Work::Cast(_) | Work::Unary(_) => true,
            Work::Binary(_, other) | Work::Composed(_, other) | Work::Select(other) => other.suits(ndim),
            // A line of one axis is its first and its last axis.
            Work::Cumsum(along)
            | Work::Cumprod(along)
            | Work::Sort(along)
            | Work::Argsort(along)
            | Work::Move(_, along) => along.suits(ndim) || ndim == 1 && along == Along::Last,
            Work::Reduce(_, along) | Work::Median(along) => along.suits(ndim),
        }
    }

    /// Returns the operation on contiguous data that this one is compared with: without axis or broadcast.
    pub fn plain(self) -> Work {
        match self {
            Work::Binary(op, _) => Work::Binary(op, Other::Same),
            Work::Composed(op, _) => Work::Composed(op, Other::Same),
            Work::Select(_) => Work::Select(Other::Same),
            Work::Reduce(by, _) => Work::Reduce(by, Along::All),
            Work::Cumsum(_) => Work::Cumsum(Along::Last),
            Work::Cumprod(_) => Work::Cumprod(Along::Last),
            Work::Sort(_) => Work::Sort(Along::Last),
            Work::Argsort(_) => Work::Argsort(Along::Last),
            Work::Median(_) => Work::Median(Along::All),
            Work::Move(what, _) if what.has_axis() => Work::Move(what, Along::Last),
            Work::Copy | Work::Cast(_) | Work::Unary(_) | Work::Move(..) | Work::Draw(_) => self,
        }
    }

    /// Returns whether the operands must be 1 or more.
    fn starts_at_one(self) -> bool {
        matches!(self, Work::Unary(op) if op.info().domain.0 >= 1.0)
    }
}

/// A case: an operation on a dtype and a layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The operation.
    pub work: Work,
    /// The dtype of the operands.
    pub dtype: DType,
    /// The layout of the operand.
    pub layout: Layout,
    /// The nominal number of elements, which identifies the size.
    pub size: usize,
}

impl Case {
    /// Returns the case that has the same operation and size on contiguous data.
    pub fn plain(&self) -> Case {
        let layout = layout::all(self.size).swap_remove(0);
        Case { work: self.work.plain(), layout, ..self.clone() }
    }
}

/// Returns all cases of these sizes. Omits operations that are not defined for a dtype.
pub fn all(sizes: &[usize]) -> Result<Vec<Case>> {
    let mut out = Vec::new();
    for dtype in DType::ALL {
        let mut pools = Pools::new(64);
        let defined: Vec<Work> =
            Work::all().into_iter().filter(|&work| work != Work::Cast(dtype) && pools.defined(work, dtype)).collect();
        for &size in sizes {
            for layout in layout::all(size) {
                let suits = defined.iter().filter(|work| work.suits(&layout));
                out.extend(suits.map(|&work| Case { work, dtype, layout: layout.clone(), size }));
            }
        }
    }
    Ok(out)
}

/// Operands: for each dtype, arrays of random numbers, of which layouts are views.
///
/// Floats lie in 0.1 .. 0.9, or in 1.1 .. 1.9 for ufuncs that are defined from 1; integers in 1 ..= 120 for 8 bits and
/// in 1 ..= 30,000 otherwise.
pub struct Pools {
    len: usize,
    of: Vec<(DType, [DynArray; 3])>,
}

/// The operands of a case, ready to run.
pub struct Ready {
    work: Work,
    x: DynArray,
    y: Option<DynArray>,
    value: Scalar,
    places: Option<Places>,
}

impl Pools {
    /// Makes pools of `len` elements when they are first used.
    pub fn new(len: usize) -> Pools {
        Pools { len, of: Vec::new() }
    }

    fn get(&mut self, dtype: DType) -> Result<&[DynArray; 3]> {
        if let Some(at) = self.of.iter().position(|(d, _)| *d == dtype) {
            return Ok(&self.of[at].1);
        }
        // Only one dtype at a time, because a pool of 10^7 complex numbers is large.
        self.of.clear();
        let len = self.len;
        let pool = |seed: u64, least: f64| -> Result<DynArray> {
            let mut random = crate::problem::Random::new(seed);
            with_dtype!(dtype, T => {
                let most = if dtype.size() == 1 { 120.0 } else { 30_000.0 };
                let one = |u: f64| match dtype.kind() {
                    Kind::Bool => Wide::Int(i128::from(u < 0.5)),
                    Kind::Int | Kind::Uint => Wide::Int((1.0 + u * most) as i128),
                    Kind::Float => Wide::Float(least + 0.8 * u),
                    Kind::Complex => Wide::Complex(least + 0.8 * u, 0.9 - 0.8 * u),
                };
                let mut next = || <T as polyarray::Element>::from_wide(one(random.uniform((0.0, 1.0))));
                let data = (0..len).map(|_| next()).collect();
                Ok(Array::<T>::from_vec(data, [len])?.erase())
            })
        };
        self.of.push((dtype, [pool(1, 0.1)?, pool(2, 0.1)?, pool(3, 1.1)?]));
        Ok(&self.of[0].1)
    }

    /// Returns the operands of a case.
    ///
    /// # Errors
    /// Out of memory; if the pools are too small.
    pub fn ready(&mut self, case: &Case) -> Result<Ready> {
        let [low, other, high] = self.get(case.dtype)?;
        let x = case.layout.of(if case.work.starts_at_one() { high } else { low })?;
        let y = case.layout.of(other)?;
        Ready::new(case.work, x, y)
    }

    /// Returns whether the operation is defined for a dtype: it has a result on a small array.
    fn defined(&mut self, work: Work, dtype: DType) -> bool {
        let layout = layout::all(8).into_iter().find(|layout| layout.shape() == [2, 2, 2]).expect("a cube of 8");
        let case = Case { work, dtype, layout, size: 8 };
        polyarray::with_device(&polyarray::Device::scalar(), || self.ready(&case)?.run()).is_ok()
    }
}

impl Ready {
    fn new(work: Work, x: DynArray, y: DynArray) -> Result<Ready> {
        let index = |keep: usize| -> Vec<SliceItem> {
            let whole = SliceItem::Range { start: 0, end: None, step: 1 };
            let one = SliceItem::Range { start: 0, end: Some(1), step: 1 };
            (0..y.ndim()).map(|axis| if axis == keep { whole } else { one }).collect()
        };
        let other = match work {
            Work::Binary(_, other) | Work::Composed(_, other) | Work::Select(other) => Some(other),
            Work::Move(..) => Some(Other::Same),
            _ => None,
        };
        let places = match work {
            Work::Move(_, along) => Some(Places::new(x.shape(), along.axis(x.ndim()).unwrap_or(0) as usize)?),
            _ => None,
        };
        let part = |keep: usize| y.slice(index(keep)).expect("each range lies within its axis");
        let last = y.ndim().saturating_sub(1);
        let y = match other {
            None | Some(Other::Value) => None,
            Some(Other::Same) => Some(y.clone()),
            // A row has one axis, as a user's array of weights has; a column keeps its axes.
            Some(Other::Row) => Some(part(last).reshape([y.shape()[last]]).expect("the same number of elements")),
            Some(Other::Column) => Some(part(0)),
            Some(Other::Middle) => Some(part(1)),
        };
        let value = with_dtype!(x.dtype(), T => Scalar::new(<T as polyarray::Element>::from_wide(Wide::Int(3))));
        Ok(Ready { work, x, y, value, places })
    }

    /// Runs the operation on the current device, into a new array.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn run(&self) -> Result<DynArray> {
        let x = &self.x;
        let axis = |along: Along| along.axis(x.ndim());
        match self.work {
            Work::Copy => with_dtype!(x.dtype(), T => Ok(x.typed::<T>()?.flatten()?.erase())),
            Work::Cast(to) => x.cast(to).eval(),
            Work::Unary(op) => x.unary(op).eval(),
            Work::Binary(op, _) => match &self.y {
                Some(y) => x.binary(op, y).eval(),
                None => x.binary(op, self.value).eval(),
            },
            Work::Composed(op, _) => {
                let other = self.y.as_ref().map_or(DynExpr::from(self.value), DynExpr::from);
                x.composed(op, (op.operands() == 2).then_some(other)).eval()
            }
            Work::Select(_) => match &self.y {
                Some(y) => x.binary(Binary::NotEqual, self.value).select(x, y).eval(),
                None => x.binary(Binary::NotEqual, self.value).select(x, self.value).eval(),
            },
            Work::Reduce(by, along) => x.reduce(by, axis(along).map(Axes::from)),
            Work::Cumsum(along) => x.cumsum(axis(along).unwrap_or(0)),
            Work::Cumprod(along) => x.cumprod(axis(along).unwrap_or(0)),
            Work::Sort(along) => x.sort(axis(along).unwrap_or(0)),
            Work::Argsort(along) => x.argsort(axis(along).unwrap_or(0)),
            Work::Median(along) => with_dtype!(x.dtype(), T => {
                let x = x.typed::<T>()?;
                match axis(along) {
                    Some(axis) => Ok(x.median_axis(axis)?.erase()),
                    None => Ok(Array::from_vec(vec![x.median()?], [])?.erase()),
                }
            }),
            Work::Move(what, along) => match (&self.y, &self.places) {
                (Some(y), Some(places)) => moves::run(what, along, x, y, places),
                _ => unreachable!("`new` makes the operands of moves"),
            },
            Work::Draw(draw) => with_dtype!(x.dtype(), T => draw.run::<T>(x.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_tables_is_swept() {
        let cases = all(&[1000]).unwrap();
        let has = |work: Work| cases.iter().any(|case| case.work == work);
        for work in Work::all() {
            assert!(has(work), "{work} has no case");
        }
        let names: std::collections::HashSet<String> =
            cases.iter().map(|case| format!("{} {} {}", case.work, case.dtype, case.layout)).collect();
        assert_eq!(names.len(), cases.len(), "two cases have one name");
        assert!(cases.len() > 20_000, "{} cases", cases.len());
    }
}
