//! Medians and quantiles.

use super::methods::{Position, Quantile};
use super::{Lines, host_elements};
use crate::array::{Array, Axes};
use crate::expr::{Expr, RawArray, select};
use crate::op::Give;
use crate::reduce::{float, is_half};
use crate::sort::{Request, along, reserve};
use crate::{Dims, Element, Error, Kind, Result, s};

impl<T: Element> Lines<T> {
    /// Returns the quantiles of each line, an array for each of the positions.
    fn quantiles(&self, of: &Array<T>, positions: &[Position]) -> Result<Vec<Array<T::Mean>>> {
        let first = positions.iter().map(|p| p.low).min().unwrap_or(0);
        let end = positions.iter().map(|p| p.high + 1).max().unwrap_or(0);
        let last = self.array.ndim() - 1;
        let ranked = Array::<T>::from_raw(along(
            self.array.raw(),
            last,
            Request { give: Give::Values, descending: false, take: first..end },
        )?)?;
        let at = |rank: usize| -> Result<Expr<T::Mean>> {
            let mut layout = ranked.layout().clone();
            layout.cut(last, rank - first, 1, 1);
            layout.remove_axis(last);
            Ok(Array::<T>::from_raw(RawArray { layout, ..ranked.raw().clone() })?.cast())
        };
        // The quantile of a line with a NaN is NaN. The maximum of the line is NaN exactly in this case.
        let largest = match T::DTYPE.kind() {
            Kind::Float => Some(of.max_axis(self.reduced.clone())?),
            Kind::Bool | Kind::Int | Kind::Uint | Kind::Complex => None,
        };
        let quantile = |p: &Position| {
            let low = at(p.low)?;
            let value = if p.high == p.low { low } else { interpolated(low, at(p.high)?, p.weight) };
            let value = match &largest {
                Some(largest) => {
                    let largest: Expr<T::Mean> = largest.cast();
                    select(largest.clone().not_equal(&largest), largest, value)
                }
                None => value,
            };
            value.eval()?.reshape(self.shown.clone())
        };
        positions.iter().map(quantile).collect()
    }

    /// Returns the quantile of the numbers of each line of floats.
    fn quantile_of_numbers(&self, of: &Array<T>, q: f64, method: Quantile) -> Result<Array<T::Mean>> {
        let last = self.array.ndim() - 1;
        let take = Request { give: Give::Values, descending: false, take: 0..self.n };
        // In C order: the lines one after another, each with its numbers before its NaNs.
        let sorted = Array::<T>::from_raw(along(self.array.raw(), last, take)?)?;
        let counts = sorted.is_nan().logical_not().count_nonzero_axis(last)?.to_vec()?;
        let sorted = host_elements(&sorted)?;
        let (mut low, mut high, mut weights) = (reserve(counts.len())?, reserve(counts.len())?, reserve(counts.len())?);
        for (line, &count) in sorted.chunks_exact(self.n).zip(&counts) {
            // A line without numbers has NaN at its start.
            let p = method.position(q, (count as usize).max(1));
            low.push(line[p.low]);
            high.push(line[p.high]);
            weights.push(p.weight);
        }
        let array = |x: Vec<T>| Array::from_vec(x, counts.len());
        let value = interpolated_each(array(low)?.cast::<T::Mean>(), array(high)?.cast(), &weights)?;
        value.eval()?.reshape(self.shown.clone())?.beside(of)
    }
}

/// Returns `(low + high) / 2` without overflow.
fn halfway<F: Element>(low: &Expr<F>, high: &Expr<F>) -> Expr<F> {
    let (half, sum) = (float::<F>(0.5), low + high);
    // If the sum is not finite, whether or not the terms are, the sum times zero is NaN, which is not equal to zero.
    select((&sum * float::<F>(0.0)).not_equal(float::<F>(0.0)), low * half + high * half, sum * half)
}

/// Returns `near`, the interpolation from the nearer end; or the weighted sum `outer` of both ends if their difference
/// overflows; or the sum of both ends if one is infinite: the infinite end, or NaN for infinities of opposite sign.
fn checked<F: Element>(low: &Expr<F>, high: &Expr<F>, near: Expr<F>, outer: Expr<F>) -> Expr<F> {
    let between = select((high - low).is_inf(), outer, near);
    select(low.clone().is_finite().logical_and(high.clone().is_finite()), between, low + high)
}

/// Returns `low + (high - low) * t` for t in (0, 1), computed from the nearer end, as in NumPy. For t = 0.5 the result
/// is `(low + high) / 2` without overflow. If an end is infinite, the result is the sum of both ends: the infinite end,
/// or NaN for infinities of opposite sign. Narrow floats are computed in f32.
fn interpolated<F: Element>(low: Expr<F>, high: Expr<F>, t: f64) -> Expr<F> {
    if is_half(F::DTYPE) {
        return interpolated::<f32>(low.cast(), high.cast(), t).cast();
    }
    if t == 0.5 {
        return halfway(&low, &high);
    }
    let (value, apart) = (float::<F>, &high - &low);
    let near = if t < 0.5 { &low + apart * value(t) } else { &high - apart * value(1.0 - t) };
    checked(&low, &high, near, &low * value(1.0 - t) + &high * value(t))
}

/// As [`interpolated`], with a weight from 0 to less than 1 for each element of arrays with one axis.
fn interpolated_each<F: Element>(low: Expr<F>, high: Expr<F>, weights: &[f64]) -> Result<Expr<F>> {
    if is_half(F::DTYPE) {
        return Ok(interpolated_each::<f32>(low.cast(), high.cast(), weights)?.cast());
    }
    let array = |f: fn(f64) -> f64| {
        let mut values = reserve(weights.len())?;
        values.extend(weights.iter().map(|&w| float::<F>(f(w))));
        Array::from_vec(values, weights.len())
    };
    let (t, rest, apart) = (array(|w| w)?, array(|w| 1.0 - w)?, &high - &low);
    let near = select(t.less(float::<F>(0.5)), &low + &apart * &t, &high - &apart * &rest);
    let between = checked(&low, &high, near, &low * rest + &high * &t);
    let inside = select(t.equal(float::<F>(0.5)), halfway(&low, &high), between);
    Ok(select(t.equal(float::<F>(0.0)), low, inside))
}

/// Fails for a quantile that is not from 0 to 1.
fn check(op: &'static str, q: f64) -> Result<()> {
    if (0.0..=1.0).contains(&q) {
        Ok(())
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
    #[doc(alias = "percentile")]
    pub fn quantile(&self, q: f64) -> Result<T::Mean> {
        self.quantile_with(q, Quantile::Linear)
    }

    /// The [`quantile`](Self::quantile) by another method: see [`Quantile`].
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
        Ok(self.quantiles_of(op, &[q], method, axes)?.swap_remove(0))
    }

    /// Returns an array for each quantile.
    fn quantiles_of(
        &self,
        op: &'static str,
        qs: &[f64],
        method: Quantile,
        axes: Option<&Axes>,
    ) -> Result<Vec<Array<T::Mean>>> {
        let lines = Lines::new(op, self, axes)?;
        qs.iter().try_for_each(|&q| check(op, q))?;
        if lines.n == 0 || lines.shown.contains(&0) {
            return qs.iter().map(|_| Array::full(lines.shown.clone(), float(f64::NAN))).collect();
        }
        let positions: Vec<Position> = qs.iter().map(|&q| method.position(q, lines.n)).collect();
        lines.quantiles(self, &positions)
    }

    /// Several [`quantiles`](Self::quantile) of all elements, from one sort of the ranks that they need: an array `[k]`
    /// for k values of `qs`.
    ///
    /// # Errors
    /// As [`quantile`](Self::quantile).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![4.0f64, 1.0, 2.0, 3.0], [4])?;
    /// assert_eq!(x.quantiles(&[0.0, 0.25, 1.0])?.to_vec()?, [1.0, 1.75, 4.0]);
    /// assert_eq!(x.quantiles_axis_with(&[0.25, 0.5], 0, Quantile::Lower)?.to_vec()?, [1.0, 2.0]);
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "percentile")]
    pub fn quantiles(&self, qs: &[f64]) -> Result<Array<T::Mean>> {
        stacked(self, &self.quantiles_of("quantiles", qs, Quantile::Linear, None)?, &[])
    }

    /// Several quantiles over some axes. They are the first axis of the result, before the axes of a
    /// [`quantile_axis`](Self::quantile_axis).
    ///
    /// # Errors
    /// As [`quantile_axis`](Self::quantile_axis).
    pub fn quantiles_axis(&self, qs: &[f64], axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.quantiles_axis_with(qs, axes, Quantile::Linear)
    }

    /// Several quantiles over some axes by another method, as [`quantiles_axis`](Self::quantiles_axis).
    ///
    /// # Errors
    /// As [`quantile_axis`](Self::quantile_axis).
    pub fn quantiles_axis_with(&self, qs: &[f64], axes: impl Into<Axes>, method: Quantile) -> Result<Array<T::Mean>> {
        let axes = axes.into();
        let shown = axes.shown(self.shape(), &axes.resolve("quantiles", self.ndim())?);
        stacked(self, &self.quantiles_of("quantiles", qs, method, Some(&axes))?, &shown)
    }

    /// The [`median`](Self::median) of the elements that are not NaN; NaN if there are none.
    ///
    /// # Errors
    /// As [`median`](Self::median).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from_vec(vec![3.0, f64::NAN, 1.0, f64::NAN, f64::NAN, 7.0], [2, 3])?;
    /// assert_eq!(x.nanmedian()?, 3.0);
    /// assert_eq!(x.nanmedian_axis(1)?.to_vec()?, [2.0, 7.0]);
    /// assert_eq!(x.nanquantile_axis(0.25, 1)?.to_vec()?, [1.5, 7.0]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn nanmedian(&self) -> Result<T::Mean> {
        self.nanquantile_of("nanmedian", 0.5, Quantile::Linear, None)?.item()
    }

    /// The [`nanmedian`](Self::nanmedian) over some axes.
    ///
    /// # Errors
    /// As [`median_axis`](Self::median_axis).
    pub fn nanmedian_axis(&self, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.nanquantile_of("nanmedian", 0.5, Quantile::Linear, Some(&axes.into()))
    }

    /// The [`quantile`](Self::quantile) of the elements that are not NaN; NaN if there are none. If there are NaNs, the
    /// elements are sorted completely.
    ///
    /// # Errors
    /// As [`quantile`](Self::quantile).
    #[doc(alias = "nanpercentile")]
    pub fn nanquantile(&self, q: f64) -> Result<T::Mean> {
        self.nanquantile_with(q, Quantile::Linear)
    }

    /// The [`nanquantile`](Self::nanquantile) by another method.
    ///
    /// # Errors
    /// As [`quantile`](Self::quantile).
    pub fn nanquantile_with(&self, q: f64, method: Quantile) -> Result<T::Mean> {
        self.nanquantile_of("nanquantile", q, method, None)?.item()
    }

    /// The [`nanquantile`](Self::nanquantile) over some axes.
    ///
    /// # Errors
    /// As [`quantile_axis`](Self::quantile_axis).
    pub fn nanquantile_axis(&self, q: f64, axes: impl Into<Axes>) -> Result<Array<T::Mean>> {
        self.nanquantile_axis_with(q, axes, Quantile::Linear)
    }

    /// The [`nanquantile`](Self::nanquantile) over some axes, by another method.
    ///
    /// # Errors
    /// As [`quantile_axis`](Self::quantile_axis).
    pub fn nanquantile_axis_with(&self, q: f64, axes: impl Into<Axes>, method: Quantile) -> Result<Array<T::Mean>> {
        self.nanquantile_of("nanquantile", q, method, Some(&axes.into()))
    }

    fn nanquantile_of(
        &self,
        op: &'static str,
        q: f64,
        method: Quantile,
        axes: Option<&Axes>,
    ) -> Result<Array<T::Mean>> {
        if T::DTYPE.kind() != Kind::Float || !self.is_nan().any()? {
            return self.quantile_of(op, q, method, axes);
        }
        // There is a NaN, so no axis has length 0.
        check(op, q)?;
        Lines::new(op, self, axes)?.quantile_of_numbers(self, q, method)
    }
}

/// Returns the arrays, all of shape `shown`, as one array with a new first axis.
fn stacked<T: Element, F: Element>(of: &Array<T>, parts: &[Array<F>], shown: &[usize]) -> Result<Array<F>> {
    let shape: Dims = std::iter::once(parts.len()).chain(shown.iter().copied()).collect();
    let mut out = Array::zeros(shape)?;
    for (i, part) in parts.iter().enumerate() {
        out.slice_mut(s![i])?.assign(part)?;
    }
    out.beside(of)
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
