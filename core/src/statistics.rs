//! Order statistics and counting: medians, quantiles, distinct elements, binary search, histograms.

use crate::array::{Array, Axes};
use crate::bytes;
use crate::canon;
use crate::device::Device;
use crate::expr::{Expr, IntoExpr, RawArray, select};
use crate::layout::Layout;
use crate::op::{Bins, Count, Give, Op, Operand, Search, Side};
use crate::plan::execute;
use crate::sort::{Request, along, ordered, reserve};
use crate::{DType, Dims, Element, Error, Kind, Result, Wide};
use smallvec::SmallVec;

/// The value of a quantile that falls between two elements; NumPy's methods of the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Quantile {
    /// Linear interpolation between the two elements.
    #[default]
    Linear,
    /// The nearer element; in a tie, the element of even rank.
    Nearest,
}

/// An array whose reduced axes have been merged into one axis, the last.
struct Lines<T: Element> {
    array: Array<T>,
    /// The number of elements of a line.
    n: usize,
    /// The shape of the result, with or without axes of length 1 for the reduced axes.
    shown: Dims,
    reduced: Axes,
}

impl<T: Element> Lines<T> {
    fn new(op: &'static str, array: &Array<T>, axes: Option<&Axes>) -> Result<Lines<T>> {
        ordered(op, T::DTYPE)?;
        let (shape, strides) = (array.shape(), array.strides());
        let reduced: SmallVec<[usize; 4]> = match axes {
            Some(axes) => axes.resolve(op, shape.len())?,
            None => (0..shape.len()).collect(),
        };
        let keep = axes.is_some_and(|a| a.keep);
        let kept: SmallVec<[usize; 4]> = (0..shape.len()).filter(|a| !reduced.contains(a)).collect();
        let shown = if keep {
            (0..shape.len()).map(|a| if reduced.contains(&a) { 1 } else { shape[a] }).collect()
        } else {
            kept.iter().map(|&a| shape[a]).collect()
        };
        let lines: Dims = kept.iter().map(|&a| shape[a]).collect();
        let n = reduced.iter().map(|&a| shape[a]).product();
        let whole: Dims = lines.iter().copied().chain([n]).collect();
        let reduced_axes = Axes { axes: reduced.iter().map(|&a| a as isize).collect(), keep: false };
        // The order in which reduced axes are traversed does not affect order statistics. If the axes can be merged in
        // any order, nothing is copied.
        let inner = Layout::from_parts(
            reduced.iter().map(|&a| shape[a]).collect(),
            reduced.iter().map(|&a| strides[a]).collect(),
            array.layout().offset(),
        );
        let merged = (n > 0).then(|| canon::map::<Layout>(&inner, &[])).filter(|(lens, ..)| lens.len() == 1);
        let array = match merged {
            Some((_, (offset, step), _)) => {
                let strides = kept.iter().map(|&a| strides[a]).chain([step[0]]).collect();
                Array::from_raw(RawArray { layout: Layout::from_parts(whole, strides, offset), ..array.raw().clone() })?
            }
            None => {
                let order: SmallVec<[isize; 4]> = kept.iter().chain(&reduced).map(|&a| a as isize).collect();
                array.permute(&order)?.reshape(whole)?
            }
        };
        Ok(Lines { array, n, shown, reduced: reduced_axes })
    }

    /// Returns the quantile of each line. `rank` is the position of the quantile, from 0 to n - 1.
    fn quantile(&self, of: &Array<T>, rank: f64, method: Quantile) -> Result<Array<T::Mean>> {
        if self.n == 0 || self.shown.contains(&0) {
            return Array::full(self.shown.clone(), T::Mean::from_wide(Wide::Float(f64::NAN)));
        }
        let low = rank.floor() as usize;
        let between = rank - low as f64;
        let take = match method {
            Quantile::Nearest => {
                let near = rank.round_ties_even() as usize;
                near..near + 1
            }
            Quantile::Linear => low..low + if between > 0.0 { 2 } else { 1 },
        };
        let (last, two) = (self.array.ndim() - 1, take.len() == 2);
        let ranked = Array::<T>::from_raw(along(
            self.array.raw(),
            last,
            Request { give: Give::Values, descending: false, take },
        )?)?;
        let at = |i: usize| -> Result<Expr<T::Mean>> {
            let mut layout = ranked.layout().clone();
            layout.cut(last, i, 1, 1);
            layout.remove_axis(last);
            Ok(Array::<T>::from_raw(RawArray { layout, ..ranked.raw().clone() })?.cast())
        };
        let value = if two { interpolated(at(0)?, at(1)?, between) } else { at(0)? };
        // The quantile of a line with a NaN is NaN. The maximum of the line is NaN exactly in this case.
        let value = match T::DTYPE.kind() {
            Kind::Float => {
                let largest: Expr<T::Mean> = of.max_axis(self.reduced.clone())?.cast();
                select(largest.clone().not_equal(&largest), largest, value)
            }
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Complex => value,
        };
        value.eval()?.reshape(self.shown.clone())
    }
}

/// Returns `low + (high - low) * t` for t in (0, 1), computed from the nearer end, as in NumPy. For t = 0.5 the result
/// is `(low + high) / 2` without overflow. If an end is infinite, the result is the sum of both ends: the infinite end,
/// or NaN for infinities of opposite sign. Narrow floats are computed in f32.
fn interpolated<F: Element>(low: Expr<F>, high: Expr<F>, t: f64) -> Expr<F> {
    if matches!(F::DTYPE, DType::F16 | DType::BF16) {
        return interpolated::<f32>(low.cast(), high.cast(), t).cast();
    }
    let value = |x: f64| F::from_wide(Wide::Float(x)).into_expr();
    let (half, sum) = (value(0.5), low.clone() + &high);
    if t == 0.5 {
        // If the sum is not finite, whether or not the terms are, the sum times zero is NaN, which is not equal to
        // zero.
        return select((&sum * value(0.0)).not_equal(value(0.0)), &low * &half + &high * &half, sum * half);
    }
    let apart = &high - &low;
    let near = if t < 0.5 { &low + &apart * value(t) } else { &high - &apart * value(1.0 - t) };
    // The difference of two finite numbers may be infinite.
    let between = select(apart.is_inf(), &low * value(1.0 - t) + &high * value(t), near);
    select(low.is_finite().logical_and(high.is_finite()), between, sum)
}

/// Returns the position of quantile `q` among `n` sorted elements.
fn rank_of(op: &'static str, q: f64, n: usize) -> Result<f64> {
    if (0.0..=1.0).contains(&q) {
        Ok(q * n.saturating_sub(1) as f64)
    } else {
        Err(Error::Argument { op, name: "q", value: q.to_string(), why: "a quantile must be from 0 to 1".into() })
    }
}

impl<T: Element> Array<T> {
    /// The median of all elements: the middle element, or the mean of the two middle elements; NaN if an element is NaN
    /// or if there are no elements. Integers and bool give f64.
    ///
    /// The elements are not fully sorted; the median is found by selection: see [`op::Sort`](crate::op::Sort).
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for complex numbers, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![7i32, 1, 4, 2], [2, 2])?;
    /// assert_eq!(x.median()?, 3.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn median(&self) -> Result<T::Mean> {
        self.quantile_of("median", 0.5, Quantile::Linear, None)?.item()
    }

    /// The [`median`](Self::median) over some axes.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and as [`median`](Self::median).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0f64, 9.0, 1.0, 4.0, 2.0, 2.0], [2, 3])?;
    /// assert_eq!(x.median_axis(1)?.to_vec()?, [3.0, 2.0]);
    /// assert_eq!(x.median_axis(axis([0, 1]).keepdims())?.shape(), [1, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn median_axis(&self, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.quantile_of("median", 0.5, Quantile::Linear, Some(&axes.into()))
    }

    /// The quantile `q` of all n elements, with `q` from 0 (the minimum) to 1 (the maximum): the value at rank
    /// `q (n - 1)` of the sorted elements, by linear interpolation between two ranks (definition 7 of Hyndman and Fan,
    /// "Sample quantiles in statistical packages", 1996; NumPy's default). NaN if an element is NaN, if there are no
    /// elements, or if the interpolation is between infinities of opposite sign. Integers and bool give f64. Ranks are
    /// computed in f64 for every dtype.
    ///
    /// # Errors
    /// [`Error::Argument`] for a `q` that is NaN or outside 0 to 1, [`Error::DTypeUndefined`] for complex numbers,
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![4.0f64, 1.0, 2.0, 3.0], [4])?;
    /// assert_eq!(x.quantile(0.25)?, 1.75);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn quantile(&self, q: f64) -> Result<T::Mean> {
        self.quantile_with(q, Quantile::Linear)
    }

    /// The [`quantile`](Self::quantile) by another method.
    ///
    /// # Errors
    /// As [`quantile`](Self::quantile).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![4i32, 1, 2, 3], [4])?;
    /// assert_eq!(x.quantile_with(0.25, Quantile::Nearest)?, 2.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn quantile_with(&self, q: f64, method: Quantile) -> Result<T::Mean> {
        self.quantile_of("quantile", q, method, None)?.item()
    }

    /// The [`quantile`](Self::quantile) over some axes.
    ///
    /// # Errors
    /// [`Error::Axis`] and [`Error::RepeatedAxis`], and as [`quantile`](Self::quantile).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0f64, 9.0, 1.0, 4.0], [2, 2])?;
    /// assert_eq!(x.quantile_axis(0.5, 0)?.to_vec()?, [2.0, 6.5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn quantile_axis(&self, q: f64, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.quantile_axis_with(q, axes, Quantile::Linear)
    }

    /// The [`quantile`](Self::quantile) over some axes, by another method.
    ///
    /// # Errors
    /// As [`quantile_axis`](Self::quantile_axis).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0f64, 9.0, 1.0, 4.0], [2, 2])?;
    /// assert_eq!(x.quantile_axis_with(0.9, 1, Quantile::Nearest)?.to_vec()?, [9.0, 4.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn quantile_axis_with(&self, q: f64, axes: impl Into<Axes>, method: Quantile) -> Result<Array<T::Mean>> {
        self.quantile_of("quantile", q, method, Some(&axes.into()))
    }

    fn quantile_of(&self, op: &'static str, q: f64, method: Quantile, axes: Option<&Axes>) -> Result<Array<T::Mean>> {
        let lines = Lines::new(op, self, axes)?;
        lines.quantile(self, rank_of(op, q, lines.n)?, method)
    }

    /// The distinct elements in ascending order. Both zeros count as one element (-0 if there is one). All NaNs count
    /// as one element, which is the last.
    ///
    /// # Errors
    /// [`Error::DTypeUndefined`] for complex numbers, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 3, 2], [2, 2])?;
    /// assert_eq!(x.unique()?.to_vec()?, [1, 2, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unique(&self) -> Result<Array<T>> {
        Ok(self.runs("unique")?.0)
    }

    /// The [`unique`](Self::unique) elements and the number of occurrences of each.
    ///
    /// # Errors
    /// As [`unique`](Self::unique).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3, 1, 3, 2], [4])?;
    /// let (values, counts) = x.unique_counts()?;
    /// assert_eq!(values.to_vec()?, [1, 2, 3]);
    /// assert_eq!(counts.to_vec()?, [1, 1, 2]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn unique_counts(&self) -> Result<(Array<T>, Array<i64>)> {
        let (values, starts) = self.runs("unique_counts")?;
        let ends = starts.iter().skip(1).copied().chain([self.len()]);
        let counts: Vec<i64> = starts.iter().zip(ends).map(|(start, end)| (end - start) as i64).collect();
        let shape = counts.len();
        Ok((values, Array::from_vec(counts, shape)?.beside(self)?))
    }

    /// Returns the first element of each run of equal elements of the sorted array, and the start of each run.
    fn runs(&self, op: &'static str) -> Result<(Array<T>, Vec<usize>)> {
        let lines = Lines::new(op, self, None)?;
        if lines.n == 0 {
            return Ok((Array::from_vec(Vec::new(), 0)?.beside(self)?, Vec::new()));
        }
        let sorted = Array::<T>::from_raw(along(
            lines.array.raw(),
            0,
            Request { give: Give::Values, descending: false, take: 0..lines.n },
        )?)?
        .on_host()?;
        let sorted = bytes::elements::<T>(&sorted.raw().buffer, 0, lines.n);
        #[expect(clippy::eq_op, reason = "a value that is not equal to itself is NaN")]
        let nan = |x: &T| x != x;
        let starts_run = |&i: &usize| i == 0 || sorted[i] != sorted[i - 1] && !(nan(&sorted[i]) && nan(&sorted[i - 1]));
        // Counts the runs first, because there may be few: this avoids reserving space for all elements.
        let mut starts = reserve((0..lines.n).filter(starts_run).count())?;
        starts.extend((0..lines.n).filter(starts_run));
        let mut values = reserve(starts.len())?;
        values.extend(starts.iter().map(|&i| sorted[i]));
        Ok((Array::from_vec(values, starts.len())?.beside(self)?, starts))
    }

    /// The positions at which the values would be inserted into this array so that it stays sorted. This array has one
    /// axis and ascends. The result is the number of elements less than the value ([`Side::Left`]), or less than or
    /// equal to it ([`Side::Right`]), in the shape of `values` and with dtype i64. NaN is larger than every number. If
    /// this array does not ascend, the results are arbitrary.
    ///
    /// # Errors
    /// [`Error::Shapes`] if this array does not have exactly one axis, [`Error::DTypeUndefined`] for complex numbers,
    /// [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let sorted = Array::from_vec(vec![1.0, 2.0, 2.0, 5.0], [4])?;
    /// let values = Array::from_vec(vec![2.0, 9.0], [2])?;
    /// assert_eq!(sorted.searchsorted(&values, Side::Left)?.to_vec()?, [1, 4]);
    /// assert_eq!(sorted.searchsorted(&values, Side::Right)?.to_vec()?, [3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn searchsorted(&self, values: &Array<T>, side: Side) -> Result<Array<i64>> {
        ordered("searchsorted", T::DTYPE)?;
        if self.ndim() != 1 {
            let why = "the searched array must have exactly one axis".into();
            return Err(Error::Shapes {
                op: "searchsorted",
                left: self.shape().into(),
                right: values.shape().into(),
                why,
            });
        }
        if self.is_empty() || values.is_empty() {
            return Array::zeros(values.shape());
        }
        let shape = Dims::from(values.shape());
        shape.check(DType::I64)?;
        let op = Op::from(Search {
            dtype: T::DTYPE,
            n: self.len(),
            sorted: operand(self.raw()),
            shape: shape.clone(),
            values: operand(values.raw()),
            side,
        });
        Array::from_raw(RawArray {
            buffer: execute(op, &Device::current()?, None)?,
            dtype: DType::I64,
            layout: Layout::contiguous(shape),
        })
    }

    /// The number of elements in each of `bins` bins of equal width, and the `bins + 1` edges of the bins. Bin i holds
    /// the elements from edge i to less than edge i + 1; the last bin includes its upper edge. This is NumPy's
    /// `histogram`.
    ///
    /// The edges are evenly spaced over `range`, or from the smallest to the largest element. Without a range and
    /// without elements, they are spaced from 0 to 1. If all elements are equal, the interval is extended by 0.5 on
    /// both sides. With a range, elements outside and NaN are not counted. Edges are f64 for integers and bool, else
    /// they have the array's dtype; elements are compared with the edges in that dtype.
    ///
    /// # Errors
    /// [`Error::Argument`] for 0 bins, for a range that does not ascend or is not finite (the range of the elements is
    /// not finite if an element is NaN or infinite), and for more bins than there are numbers of the dtype in the
    /// range; [`Error::DTypeUndefined`] for complex numbers; [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0f64, 2.0, 1.0, 4.0], [4])?;
    /// let (counts, edges) = x.histogram(3, None)?;
    /// assert_eq!(counts.to_vec()?, [2, 1, 1]);
    /// assert_eq!(edges.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn histogram(&self, bins: usize, range: Option<(f64, f64)>) -> Result<(Array<i64>, Array<T::Mean>)> {
        ordered("histogram", T::DTYPE)?;
        let argument =
            |name, value: String, why: &str| Err(Error::Argument { op: "histogram", name, value, why: why.into() });
        if bins == 0 {
            return argument("bins", bins.to_string(), "there must be at least one bin");
        }
        if let Some((lo, hi)) = range
            && !(lo.is_finite() && hi.is_finite() && lo < hi)
        {
            return argument(
                "range",
                format!("({lo}, {hi})"),
                "both ends must be finite, and the first less than the second",
            );
        }
        let edges = match range {
            // Computes the edges in f64, the type of the range, then rounds them.
            Some((lo, hi)) => edges::<T::Mean, f64>(lo, hi, bins)?,
            None if self.is_empty() => edges::<T::Mean, f64>(0.0, 1.0, bins)?,
            None => {
                let (lo, hi) = (self.min()?.to_wide().real(), self.max()?.to_wide().real());
                if !(lo.is_finite() && hi.is_finite()) {
                    return argument(
                        "range",
                        format!("({lo}, {hi})"),
                        "the range of the elements is not finite; pass a finite range",
                    );
                }
                let half = |x: f64| T::Mean::from_wide(Wide::Float(x)).to_wide().real();
                let (lo, hi) = if lo == hi { (half(lo - 0.5), half(hi + 0.5)) } else { (lo, hi) };
                edges::<T::Mean, T::Mean>(lo, hi, bins)?
            }
        };
        let edges = Array::from_vec(edges, bins + 1)?.beside(self)?;
        if self.is_empty() {
            return Ok((Array::zeros(bins)?, edges));
        }
        // Floats are counted in place, without a copy.
        let values: Array<T::Mean> =
            if T::DTYPE == T::Mean::DTYPE { Array::from_raw(self.raw().clone())? } else { self.cast().eval()? };
        Ok((counted(values.raw(), bins, Bins::Edges(operand(edges.raw())))?, edges))
    }

    /// The number of occurrences of each number from 0 to the largest element: `counts[v]` is the number of elements
    /// equal to v. There are at least `min_len` counts. This is NumPy's `bincount`. Supports integers and bool, and
    /// arrays of any shape; counts are i64.
    ///
    /// # Errors
    /// [`Error::Argument`] for a negative element, [`Error::DTypeUndefined`] for other dtypes, [`Error::TooLarge`] and
    /// [`Error::OutOfMemory`] if the largest element requires more counts than fit into memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1u8, 3, 1], [3])?;
    /// assert_eq!(x.bincount(0)?.to_vec()?, [0, 2, 0, 1]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bincount(&self, min_len: usize) -> Result<Array<i64>> {
        if matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex) {
            return Err(Error::DTypeUndefined { op: "bincount", dtype: T::DTYPE, defined: "bool, integers".into() });
        }
        if self.is_empty() {
            return Array::zeros(min_len);
        }
        let whole = |x: T| match x.to_wide() {
            Wide::Int(i) => i,
            Wide::Float(_) | Wide::Complex(..) => unreachable!("bincount accepts only integers and bool"),
        };
        let least = if T::DTYPE.kind() == Kind::Int { whole(self.min()?) } else { 0 };
        let largest = whole(self.max()?);
        if least < 0 {
            return Err(Error::Argument {
                op: "bincount",
                name: "an element",
                value: least.to_string(),
                why: "elements must not be negative".into(),
            });
        }
        let bins = usize::try_from(largest).ok().and_then(|n| n.checked_add(1)).unwrap_or(usize::MAX).max(min_len);
        counted(self.raw(), bins, Bins::Integers)
    }
}

/// Runs a count. The array has at least one element.
fn counted(array: &RawArray, bins: usize, by: Bins) -> Result<Array<i64>> {
    Dims::from(bins).check(DType::I64)?;
    let (shape, (offset, strides), _) = canon::map::<Layout>(&array.layout, &[]);
    let input = Operand { buffer: array.buffer.clone(), dtype: array.dtype, offset, strides };
    let op = Op::from(Count { dtype: array.dtype, shape, input, bins, by });
    let buffer = execute(op, &Device::current()?, None)?;
    Array::from_raw(RawArray { buffer, dtype: DType::I64, layout: Layout::contiguous(bins.into()) })
}

fn operand(array: &RawArray) -> Operand {
    canon::operand(&array.buffer, array.dtype, &array.layout)
}

/// Returns `bins + 1` numbers from `lo` to `hi`, with each step of the computation rounded to `C`: the same bits as
/// NumPy's `linspace`. (A sum, product or quotient of two narrow floats that is rounded to f64 and then to the narrow
/// type equals the result of a single rounding.)
fn edges<F: Element, C: Element>(lo: f64, hi: f64, bins: usize) -> Result<Vec<F>> {
    let rounded = |x: f64| C::from_wide(Wide::Float(x)).to_wide().real();
    let count = Dims::from(bins.saturating_add(1));
    count.check(F::DTYPE)?;
    let mut out = reserve(count.size())?;
    let (apart, parts) = (rounded(hi - lo), rounded(bins as f64));
    let step = rounded(apart / parts);
    // If the ends have opposite signs, their distance may exceed the largest number.
    let wide = apart.is_infinite();
    let at = |i: usize| {
        let i = rounded(i as f64);
        if wide {
            return rounded(lo * (1.0 - i / parts) + hi * (i / parts));
        }
        // If the step underflows to 0, computes the product in two steps that do not.
        let along = if step == 0.0 { rounded(rounded(i / parts) * apart) } else { rounded(i * step) };
        rounded(along + lo)
    };
    out.extend((0..bins).chain([bins]).map(|i| F::from_wide(Wide::Float(if i == bins { hi } else { at(i) }))));
    let real = |x: &F| x.to_wide().real();
    if real(&out[0]).is_finite()
        && real(&out[bins]).is_finite()
        && out.windows(2).all(|two| real(&two[0]) < real(&two[1]))
    {
        return Ok(out);
    }
    let why = format!(
        "{} has too few distinct numbers in the range ({lo}, {hi}) for this many bins; use fewer bins or a wider range",
        F::DTYPE
    );
    Err(Error::Argument { op: "histogram", name: "bins", value: bins.to_string(), why })
}

impl<T: Element> Expr<T> {
    /// Evaluates the expression and returns the median of the result: [`Array::median`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::median`].
    pub fn median(self) -> Result<T::Mean> {
        self.eval()?.median()
    }

    /// Evaluates the expression and returns the medians of the result: [`Array::median_axis`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::median_axis`].
    pub fn median_axis(self, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.eval()?.median_axis(axes)
    }

    /// Evaluates the expression and returns a quantile of the result: [`Array::quantile`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::quantile`].
    pub fn quantile(self, q: f64) -> Result<T::Mean> {
        self.eval()?.quantile(q)
    }

    /// Evaluates the expression and returns the quantiles of the result: [`Array::quantile_axis`].
    ///
    /// # Errors
    /// As [`eval`](Self::eval) and [`Array::quantile_axis`].
    pub fn quantile_axis(self, q: f64, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.eval()?.quantile_axis(q, axes)
    }
}
