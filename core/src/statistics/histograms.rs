//! Histograms: counts of elements, and sums of weights, in bins.

use super::{compare, host_elements, is_nan, operand};
use crate::array::Array;
use crate::canon;
use crate::device::Device;
use crate::expr::{Expr, RawArray, select};
use crate::layout::Layout;
use crate::op::{Bins, Count, Op, Operand, Side};
use crate::plan::execute;
use crate::reduce::float;
use crate::sort::{ordered, reserve};
use crate::{DType, Dims, Element, Error, Kind, Result, Wide, s};

impl<T: Element> Array<T> {
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
        let edges = self.bin_edges("histogram", bins, range)?;
        if self.is_empty() {
            return Ok((Array::zeros(bins)?, edges));
        }
        let values = self.as_floats()?;
        Ok((counted(values.raw(), bins, Bins::Edges(operand(edges.raw())))?, edges))
    }

    /// The edges of the bins of a [`histogram`](Self::histogram), `[bins + 1]`.
    ///
    /// # Errors
    /// As [`histogram`](Self::histogram).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1.0f64, 2.0, 1.0, 4.0], [4])?;
    /// let edges = x.histogram_bin_edges(3, None)?;
    /// assert_eq!(edges.to_vec()?, [1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.histogram_edges(&edges)?.to_vec()?, [2, 1, 1]);
    /// assert_eq!(x.histogram_density(&edges)?.to_vec()?, [0.5, 0.25, 0.25]);
    /// let weights = Array::from_vec(vec![0.5f64, 1.0, 0.25, 2.0], [4])?;
    /// assert_eq!(x.histogram_weighted(&edges, &weights)?.to_vec()?, [0.75, 1.0, 2.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn histogram_bin_edges(&self, bins: usize, range: Option<(f64, f64)>) -> Result<Array<T::Mean>> {
        self.bin_edges("histogram_bin_edges", bins, range)
    }

    fn bin_edges(&self, op: &'static str, bins: usize, range: Option<(f64, f64)>) -> Result<Array<T::Mean>> {
        ordered(op, T::DTYPE)?;
        let argument = |name, value: String, why: &str| Err(Error::Argument { op, name, value, why: why.into() });
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
            Some((lo, hi)) => edges::<T::Mean, f64>(op, lo, hi, bins)?,
            None if self.is_empty() => edges::<T::Mean, f64>(op, 0.0, 1.0, bins)?,
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
                edges::<T::Mean, T::Mean>(op, lo, hi, bins)?
            }
        };
        Array::from_vec(edges, bins + 1)?.beside(self)
    }

    /// Returns the elements in the dtype of edges. Floats are not copied.
    fn as_floats(&self) -> Result<Array<T::Mean>> {
        if T::DTYPE == T::Mean::DTYPE { Array::from_raw(self.raw().clone()) } else { self.cast().eval() }
    }

    /// The number of elements in each bin between given `edges`, of any widths: bin i holds the elements from edge i to
    /// less than edge i + 1; the last bin includes its upper edge. NaN and elements outside are not counted. Edges are
    /// f64 for integers and bool, else they have the array's dtype.
    ///
    /// # Errors
    /// [`Error::Argument`] if `edges` is not an array with one axis of at least two numbers that do not descend;
    /// [`Error::DTypeUndefined`] for complex numbers; [`Error::OutOfMemory`].
    pub fn histogram_edges(&self, edges: &Array<T::Mean>) -> Result<Array<i64>> {
        let (found, bins) = self.bins_of("histogram_edges", edges)?;
        if self.is_empty() {
            return Array::zeros(bins);
        }
        counted(found.eval()?.raw(), bins + 2, Bins::Integers)?.slice(s![1..bins + 1])
    }

    /// The sum of the `weights` of the elements in each bin, as [`histogram_edges`](Self::histogram_edges) counts them.
    /// The sums are computed in f64. Weights have the shape of the array; results have their dtype, or f64 for integers
    /// and bool.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the shapes differ, and as [`histogram_edges`](Self::histogram_edges).
    pub fn histogram_weighted<W: Element>(&self, edges: &Array<T::Mean>, weights: &Array<W>) -> Result<Array<W::Mean>> {
        let (found, bins) = self.bins_of("histogram_weighted", edges)?;
        let sums = sums("histogram_weighted", &found.eval()?, weights, bins + 2)?;
        sums.slice(s![1..bins + 1])?.beside(self)
    }

    /// The density in each bin between given `edges`: the counts of [`histogram_edges`](Self::histogram_edges) divided
    /// by the widths of the bins and the number of counted elements, so that the integral is 1. NaN if there are none.
    ///
    /// # Errors
    /// As [`histogram_edges`](Self::histogram_edges).
    pub fn histogram_density(&self, edges: &Array<T::Mean>) -> Result<Array<T::Mean>> {
        let counts = self.histogram_edges(edges)?;
        let widths = edges.cast::<f64>().eval()?.diff(1, 0)?;
        let total = counts.sum()? as f64;
        (counts.cast::<f64>() / widths / total).cast().eval()
    }

    /// The number of pairs of an element of this array and the element of `other` at the same index, in each of the
    /// cells between `edges` of this array and `other_edges`, as [`histogram_edges`](Self::histogram_edges) counts
    /// elements: `[k, l]` for k and l bins.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the shapes differ, and as [`histogram_edges`](Self::histogram_edges).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![0.5, 1.5, 1.0], [3])?, Array::from_vec(vec![0.5, 0.5, 9.0], [3])?);
    /// let edges = Array::from_vec(vec![0.0, 1.0, 2.0], [3])?;
    /// assert_eq!(x.histogram2d(&y, &edges, &edges)?.to_vec()?, [1, 0, 1, 0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn histogram2d(
        &self,
        other: &Array<T>,
        edges: &Array<T::Mean>,
        other_edges: &Array<T::Mean>,
    ) -> Result<Array<i64>> {
        const OP: &str = "histogram2d";
        same_shape(OP, self, other)?;
        let ((row, rows), (column, columns)) = (self.bins_of(OP, edges)?, other.bins_of(OP, other_edges)?);
        let cells = Dims::from([rows + 2, columns + 2]);
        cells.check(DType::I64)?;
        if self.is_empty() {
            return Array::zeros([rows, columns]);
        }
        let cell = (row * (columns as i64 + 2) + column).eval()?;
        let counts = counted(cell.raw(), cells.size(), Bins::Integers)?.reshape(cells)?;
        counts.slice(s![1..rows + 1, 1..columns + 1])
    }

    /// Returns for each element the number of the bin that holds it, counted from 1, and the number of bins. Elements
    /// below all bins have number 0; elements above, and NaN, the number of bins plus 1.
    fn bins_of(&self, op: &'static str, edges: &Array<T::Mean>) -> Result<(Expr<i64>, usize)> {
        ordered(op, T::DTYPE)?;
        let here = host_elements(edges)?;
        let &[.., last] = &*here else { return bad_edges(op, edges, "there are none") };
        if edges.ndim() != 1 || here.len() < 2 {
            return bad_edges(op, edges, "edges are an array with one axis of at least two numbers");
        }
        if is_nan(last) || !here.is_sorted_by(|&a, &b| compare(a, b).is_le()) {
            return bad_edges(op, edges, "edges must not descend, and must not be NaN");
        }
        let values = self.as_floats()?;
        let found = edges.searchsorted(&values, Side::Right)?;
        let bins = here.len() - 1;
        // The last bin includes its upper edge.
        Ok((select(values.equal(last), bins as i64, found), bins))
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
        if self.is_empty() {
            self.largest_bin("bincount")?;
            return Array::zeros(min_len);
        }
        let bins = self.largest_bin("bincount")?.saturating_add(1).max(min_len);
        counted(self.raw(), bins, Bins::Integers)
    }

    /// The sum of the `weights` of the elements equal to v, for each v from 0 to the largest element, as
    /// [`bincount`](Self::bincount) counts them. The sums are computed in f64. Weights have the shape of the array;
    /// results have their dtype, or f64 for integers and bool.
    ///
    /// # Errors
    /// [`Error::Shapes`] if the shapes differ, [`Error::DTypeUndefined`] for complex weights, and as
    /// [`bincount`](Self::bincount).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![1u8, 3, 1], [3])?;
    /// let weights = Array::from_vec(vec![0.5, 1.0, 0.25], [3])?;
    /// assert_eq!(x.bincount_weighted(&weights, 0)?.to_vec()?, [0.0, 0.75, 0.0, 1.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn bincount_weighted<W: Element>(&self, weights: &Array<W>, min_len: usize) -> Result<Array<W::Mean>> {
        const OP: &str = "bincount_weighted";
        let largest = self.largest_bin(OP)?;
        let bins = if self.is_empty() { min_len } else { largest.saturating_add(1).max(min_len) };
        sums(OP, self, weights, bins)?.beside(self)
    }

    /// Returns the largest element, or 0 if there are no elements. Fails for dtypes other than integers and bool, and
    /// for negative elements. An element beyond `usize` becomes `usize::MAX`.
    fn largest_bin(&self, op: &'static str) -> Result<usize> {
        if matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex) {
            return Err(Error::DTypeUndefined { op, dtype: T::DTYPE, defined: "bool, integers".into() });
        }
        if self.is_empty() {
            return Ok(0);
        }
        let least = if T::DTYPE.kind() == Kind::Int { whole(self.min()?) } else { 0 };
        if least < 0 {
            return Err(Error::Argument {
                op,
                name: "an element",
                value: least.to_string(),
                why: "elements must not be negative".into(),
            });
        }
        Ok(usize::try_from(whole(self.max()?)).unwrap_or(usize::MAX))
    }
}

/// Returns an integer or a truth value as a number.
fn whole<T: Element>(x: T) -> i128 {
    match x.to_wide() {
        Wide::Int(i) => i,
        Wide::Float(_) | Wide::Complex(..) => unreachable!("only integers and bool are numbers of bins"),
    }
}

/// Fails if the shapes differ.
fn same_shape<T: Element, U: Element>(op: &'static str, x: &Array<T>, y: &Array<U>) -> Result<()> {
    if x.shape() == y.shape() {
        return Ok(());
    }
    let why = "both must have the same shape".into();
    Err(Error::Shapes { op, left: x.shape().into(), right: y.shape().into(), why })
}

fn bad_edges<T: Element, R>(op: &'static str, edges: &Array<T>, why: &str) -> Result<R> {
    let value = format!("an array of shape {:?}", edges.shape());
    Err(Error::Argument { op, name: "edges", value, why: why.into() })
}

/// Returns the sum of the weights of the elements of each bin. Elements are integers from 0 to less than `bins`.
fn sums<T: Element, W: Element>(
    op: &'static str,
    found: &Array<T>,
    weights: &Array<W>,
    bins: usize,
) -> Result<Array<W::Mean>> {
    same_shape(op, found, weights)?;
    if W::DTYPE.kind() == Kind::Complex {
        return Err(Error::DTypeUndefined { op, dtype: W::DTYPE, defined: "weights that are real".into() });
    }
    Dims::from(bins).check(DType::F64)?;
    let mut sums: Vec<f64> = reserve(bins)?;
    sums.resize(bins, 0.0);
    for (&bin, &weight) in host_elements(found)?.iter().zip(&*host_elements(weights)?) {
        sums[whole(bin) as usize] += weight.to_wide().real();
    }
    let mut out = reserve(bins)?;
    out.extend(sums.iter().map(|&sum| float::<W::Mean>(sum)));
    Array::from_vec(out, bins)
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

/// Returns `bins + 1` numbers from `lo` to `hi`, with each step of the computation rounded to `C`: the same bits as
/// NumPy's `linspace`. (A sum, product or quotient of two narrow floats that is rounded to f64 and then to the narrow
/// type equals the result of a single rounding.)
fn edges<F: Element, C: Element>(op: &'static str, lo: f64, hi: f64, bins: usize) -> Result<Vec<F>> {
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
    Err(Error::Argument { op, name: "bins", value: bins.to_string(), why })
}
