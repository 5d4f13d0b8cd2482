//! Permutations and samples of rows.

use super::{Generator, elements, invalid};
use crate::array::{Array, reserve};
use crate::layout::resolve_axis;
use crate::op::Distribution;
use crate::{Dims, Element, Error, Result};
use elements::ElementStream;
use std::collections::HashMap;

/// The number of steps of a shuffle whose random bits are computed at once.
const STEPS: usize = 1 << 16;
/// The words of a step.
const WORDS: u64 = 2;
/// The largest difference from 1 of the sum of weights: the square root of the precision, as in NumPy.
const SUM_TOLERANCE: f64 = 1.5e-8;

/// Whether a row can be chosen more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replacement {
    /// Rows are chosen independently of each other.
    With,
    /// Each row is chosen at most once.
    Without,
}

impl Generator {
    /// Makes a random permutation of the integers 0 to `n - 1`. All permutations are equally probable (as far as 64
    /// bits of the key allow).
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let order = Generator::new(7).permutation(5)?;
    /// assert_eq!(order.sort(0)?.to_vec()?, [0, 1, 2, 3, 4]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn permutation(&mut self, n: usize) -> Result<Array<i64>> {
        let mut numbers = reserve::<i64>(&n.into())?;
        numbers.extend(0..n as i64);
        self.exchange(n, n, |i, j| numbers.swap(i, j))?;
        Array::from_vec(numbers, n)
    }

    /// Shuffles the rows of `x` (its parts along axis 0) in place. All orders are equally probable. If the call fails,
    /// the array has the same rows, in some order.
    ///
    /// # Errors
    /// [`Error::Axis`] for an array without axes, [`Error::NotWritable`] for a broadcast view, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::Generator;
    /// let mut x = Array::from_vec(vec![1, 10, 2, 20, 3, 30], [3, 2])?;
    /// Generator::new(7).shuffle(&mut x)?;
    /// assert!((0..3).all(|i| x.get([i, 1]).unwrap() == 10 * x.get([i, 0]).unwrap()));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn shuffle<T: Element>(&mut self, x: &mut Array<T>) -> Result<()> {
        resolve_axis("shuffle", 0, x.ndim())?;
        let (rows, len) = (x.shape()[0], x.len());
        let mut view = x.view_mut()?;
        if len == 0 {
            self.advance(rows, WORDS);
            return Ok(());
        }
        let row = len / rows;
        if let Some(elements) = view.as_mut_slice() {
            return self.exchange(rows, rows, |i, j| swap_rows(elements, row, i, j));
        }
        let mut after = self.clone();
        let order = after.permutation(rows)?.to_vec()?;
        let shuffled = rows_at(&view.to_owned()?, order, Dims::from(view.shape()))?;
        view.assign(shuffled)?;
        *self = after;
        Ok(())
    }

    /// Chooses rows of `x` (its parts along axis 0), all equally probable. The result has the shape `shape`, followed
    /// by that of a row. Without replacement, the order of the rows is random, too.
    ///
    /// # Errors
    /// [`Error::Axis`] for an array without axes, [`Error::Empty`] for one without rows, [`Error::Argument`] for more
    /// rows than there are without replacement, [`Error::TooLarge`], [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::{Generator, Replacement};
    /// let mut rng = Generator::new(7);
    /// let x = Array::arange(10, 20, 1)?;
    /// assert_eq!(rng.choice(&x, [2, 3], Replacement::With)?.shape(), [2, 3]);
    /// assert_eq!(rng.choice(&x, 10, Replacement::Without)?.sort(0)?.to_vec()?, x.to_vec()?);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn choice<T: Element>(
        &mut self,
        x: &Array<T>,
        shape: impl Into<Dims>,
        replacement: Replacement,
    ) -> Result<Array<T>> {
        let chosen = Chosen::new("choice", x, shape.into(), replacement)?;
        let mut after = self.clone();
        let indices = match replacement {
            Replacement::With if chosen.count == 0 => Vec::new(),
            Replacement::With => after.integers(chosen.count, 0..chosen.rows as i64)?.to_vec()?,
            Replacement::Without => after.distinct(chosen.rows, chosen.count)?,
        };
        let result = rows_at(x, indices, chosen.shape)?;
        *self = after;
        Ok(result)
    }

    /// As [`choice`](Self::choice), where row i has the probability `weights[i]`. Without replacement, each further row
    /// is chosen among the remaining ones, with probabilities in the ratio of their weights.
    ///
    /// # Errors
    /// [`Error::Shapes`] unless `weights` has one element for each row; [`Error::Argument`] for a weight that is
    /// negative or not finite, for a sum of weights that differs from 1 by more than 1.5e-8, and for more rows than
    /// there are positive weights without replacement; and as [`choice`](Self::choice).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// use polyarray_core::random::{Generator, Replacement};
    /// let x = Array::from_vec(vec![1, 2, 3], 3)?;
    /// let weights = Array::from_vec(vec![0.25, 0.0, 0.75], 3)?;
    /// let y = Generator::new(7).choice_weighted(&x, &weights, 100, Replacement::With)?.to_vec()?;
    /// assert!(y.contains(&1) && !y.contains(&2) && y.contains(&3));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn choice_weighted<T: Element>(
        &mut self,
        x: &Array<T>,
        weights: &Array<f64>,
        shape: impl Into<Dims>,
        replacement: Replacement,
    ) -> Result<Array<T>> {
        const OP: &str = "choice_weighted";
        let chosen = Chosen::new(OP, x, shape.into(), replacement)?;
        if weights.shape() != [chosen.rows] {
            let why = format!("there must be one weight for each of the {} rows", chosen.rows);
            return Err(Error::Shapes { op: OP, left: x.shape().into(), right: weights.shape().into(), why });
        }
        let weights = weights.to_vec()?;
        if let Some(wrong) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return invalid(OP, "weights", wrong, "a weight must be a finite number that is not negative");
        }
        let sum: f64 = weights.iter().sum();
        if !weights.is_empty() && (sum - 1.0).abs() > SUM_TOLERANCE {
            let why = "their sum must be 1; divide the weights by their sum";
            return invalid(OP, "weights", format!("numbers with the sum {sum}"), why);
        }
        let mut after = self.clone();
        let indices = match replacement {
            Replacement::With => after.with_weights(weights, chosen.count)?,
            Replacement::Without => after.distinct_with_weights(&weights, chosen.count)?,
        };
        let result = rows_at(x, indices, chosen.shape)?;
        *self = after;
        Ok(result)
    }

    /// Shuffles the first `count` of `n` places: for each i below `count`, calls `swap` with i and a place from i to
    /// n - 1 (R. Durstenfeld, "Algorithm 235: Random permutation", CACM 7, 1964). The first `count` places then hold a
    /// random sample of the contents.
    fn exchange(&mut self, n: usize, count: usize, mut swap: impl FnMut(usize, usize)) -> Result<()> {
        let (start, key) = (self.position, self.key_words());
        for first in (0..count).step_by(STEPS) {
            let steps = STEPS.min(count - first);
            let bits = match self.draw::<u64>(Dims::from(steps), Distribution::Integers { low: 0, count: 0 }) {
                Ok(bits) => bits,
                Err(e) => {
                    self.position = start;
                    return Err(e);
                }
            };
            let bits = bits.as_slice().expect("new arrays of host memory are contiguous");
            for (i, &bits) in (first..).zip(bits) {
                let left = (n - i) as u64;
                let at = start.wrapping_add(i as u64 * WORDS);
                let j = super::philox::scaled(bits, left).unwrap_or_else(|| ElementStream::new(key, at).below(left));
                swap(i, i + j as usize);
            }
        }
        Ok(())
    }

    /// Returns `count` different numbers below `n`, in random order.
    fn distinct(&mut self, n: usize, count: usize) -> Result<Vec<i64>> {
        let mut chosen = reserve::<i64>(&count.into())?;
        if count >= n / 16 {
            let mut places = reserve::<i64>(&n.into())?;
            places.extend(0..n as i64);
            self.exchange(n, count, |i, j| {
                places.swap(i, j);
                chosen.push(places[i]);
            })?;
            return Ok(chosen);
        }
        // Holds only the places whose contents have changed.
        let mut places = HashMap::<usize, i64>::new();
        places.try_reserve(count).map_err(|e| Error::OutOfMemory {
            memory: "the host".into(),
            bytes: count.saturating_mul(32),
            why: e.to_string(),
        })?;
        self.exchange(n, count, |i, j| {
            // Place i is not accessed again.
            let here = places.remove(&i).unwrap_or(i as i64);
            chosen.push(if i == j { here } else { places.insert(j, here).unwrap_or(j as i64) });
        })?;
        Ok(chosen)
    }

    /// Returns `count` numbers, where number i has the probability `weights[i]`.
    fn with_weights(&mut self, weights: Vec<f64>, count: usize) -> Result<Vec<i64>> {
        let u = self.random::<f64>(count)?.to_vec()?;
        let last = weights.iter().rposition(|&w| w > 0.0);
        let mut sums = weights;
        let mut sum = 0.0;
        for x in &mut sums {
            sum += *x;
            *x = sum;
        }
        let mut indices = reserve::<i64>(&count.into())?;
        if let Some(last) = last {
            indices.extend(u.iter().map(|u| sums.partition_point(|&x| x <= u * sum).min(last) as i64));
        }
        Ok(indices)
    }

    /// Returns `count` different numbers, in the order in which they are chosen according to their weights. If each
    /// number has an exponential waiting time with a rate equal to its weight, this is the order of the waiting times
    /// (P. S. Efraimidis and P. G. Spirakis, "Weighted random sampling with a reservoir", Inf. Process. Lett. 97,
    /// 2006).
    fn distinct_with_weights(&mut self, weights: &[f64], count: usize) -> Result<Vec<i64>> {
        let positive = weights.iter().filter(|&&w| w > 0.0).count();
        if count > positive {
            let why = format!("only {positive} weights are positive, and no row is chosen twice");
            return invalid("choice_weighted", "shape", format!("{count} rows"), why);
        }
        let times = self.exponential::<f64>(weights.len(), 1.0)?.to_vec()?;
        // Logarithms of waiting times, because the times of tiny weights overflow.
        let mut events = crate::sort::reserve(positive)?;
        let all = times.iter().zip(weights).zip(0i64..);
        events.extend(all.filter(|((_, w), _)| **w > 0.0).map(|((time, w), i)| (libm::log(*time) - libm::log(*w), i)));
        let order = |a: &(f64, i64), b: &(f64, i64)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
        if (1..positive).contains(&count) {
            events.select_nth_unstable_by(count, order);
        }
        events.truncate(count);
        events.sort_unstable_by(order);
        let mut indices = reserve::<i64>(&count.into())?;
        indices.extend(events.iter().map(|&(_, i)| i));
        Ok(indices)
    }
}

/// The rows to choose.
struct Chosen {
    /// The number of rows to choose among.
    rows: usize,
    /// The number of rows to choose.
    count: usize,
    /// The shape of the result.
    shape: Dims,
}

impl Chosen {
    fn new<T: Element>(op: &'static str, x: &Array<T>, shape: Dims, replacement: Replacement) -> Result<Chosen> {
        resolve_axis(op, 0, x.ndim())?;
        shape.check(T::DTYPE)?;
        let (rows, count) = (x.shape()[0], shape.size());
        let shape: Dims = shape.iter().chain(&x.shape()[1..]).copied().collect();
        shape.check(T::DTYPE)?;
        if rows == 0 && count > 0 {
            return Err(Error::Empty { op, shape: x.shape().into() });
        }
        if replacement == Replacement::Without && count > rows {
            let why = format!("there are {rows} rows, and no row is chosen twice");
            return invalid(op, "shape", format!("{count} rows"), why);
        }
        Ok(Chosen { rows, count, shape })
    }
}

/// Swaps two rows of `len` elements.
fn swap_rows<T>(elements: &mut [T], len: usize, i: usize, j: usize) {
    match (len, i == j) {
        (_, true) => {}
        (1, _) => elements.swap(i, j),
        _ => {
            let (before, after) = elements.split_at_mut(i.max(j) * len);
            before[i.min(j) * len..][..len].swap_with_slice(&mut after[..len]);
        }
    }
}

/// Returns the rows of `x` with these indices as an array of shape `shape`.
fn rows_at<T: Element>(x: &Array<T>, indices: Vec<i64>, shape: Dims) -> Result<Array<T>> {
    let count = indices.len();
    x.take(&Array::from_vec(indices, count)?, 0)?.reshape(shape)
}
