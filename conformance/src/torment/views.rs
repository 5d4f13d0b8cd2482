//! Views. The library computes them on strides; the model repeats the index arithmetic on indices.

use super::model::{Model, for_each_index};
use super::{MOST, Outcome, Slot, World, done};
use polyarray_core::{Array, Element, SliceItem};

/// A slice of a shape: its items, its shape, and the positions of its elements.
pub(super) struct Cut {
    pub items: Vec<SliceItem>,
    pub shape: Vec<usize>,
    /// The selected indices of each axis of the array.
    taken: Vec<Vec<usize>>,
    /// The axis of the array for each axis of the slice; `None` for a new axis.
    from: Vec<Option<usize>>,
}

impl Cut {
    /// Returns the index in the array of the slice's element at `index`.
    pub fn source(&self, index: &[usize]) -> Vec<usize> {
        let mut out: Vec<usize> = self.taken.iter().map(|t| t.first().copied().unwrap_or(0)).collect();
        for (from, &i) in self.from.iter().zip(index) {
            if let Some(axis) = *from {
                out[axis] = self.taken[axis][i];
            }
        }
        out
    }

    pub fn of(&self, model: &Model) -> Model {
        model.gather(self.shape.clone(), &mut |index| self.source(index))
    }

    /// Writes the elements of `part` to the positions of the slice.
    pub fn write(&self, model: &mut Model, part: &Model) {
        for_each_index(&self.shape, &mut |index| model.set(&self.source(index), part.at(index)));
    }
}

impl World {
    /// Returns a random slice of an array of this shape: indices, ranges in both directions with steps, new axes.
    pub(super) fn cut(&mut self, shape: &[usize]) -> Cut {
        let mut cut = Cut { items: Vec::new(), shape: Vec::new(), taken: Vec::new(), from: Vec::new() };
        for (axis, &n) in shape.iter().enumerate() {
            if shape.len() < 5 && self.rng.chance(1, 12) {
                cut.items.push(SliceItem::NewAxis);
                cut.shape.push(1);
                cut.from.push(None);
            }
            let from_end = |i: usize, rng: &mut crate::values::Rng| {
                if i < n && rng.chance(1, 3) { i as isize - n as isize } else { i as isize }
            };
            if n > 0 && self.rng.chance(1, 6) {
                let i = self.rng.below(n);
                cut.items.push(SliceItem::Index(from_end(i, &mut self.rng)));
                cut.taken.push(vec![i]);
                continue;
            }
            let (mut lo, mut hi) = (0, n);
            if self.rng.chance(2, 3) {
                lo = self.rng.below(n / 2 + 1);
                hi = n - self.rng.below((n - lo) / 2 + 1);
            }
            let step = *self.rng.pick(&[1, 1, 1, -1, 2, -2, 3, -5]);
            let end = if hi == n && self.rng.chance(1, 2) { None } else { Some(from_end(hi, &mut self.rng)) };
            cut.items.push(SliceItem::Range { start: from_end(lo, &mut self.rng), end, step });
            let mut taken: Vec<usize> = if step > 0 { (lo..hi).collect() } else { (lo..hi).rev().collect() };
            taken = taken.into_iter().step_by(step.unsigned_abs()).collect();
            cut.shape.push(taken.len());
            cut.from.push(Some(axis));
            cut.taken.push(taken);
        }
        cut
    }

    pub(super) fn slice_of<T: Element>(&mut self, slot: &Slot<T>) -> Outcome<Slot<T>> {
        let cut = self.cut(&slot.model.shape);
        let array = done("slice", slot.array.slice(&cut.items))?;
        Ok(Slot { array, model: cut.of(&slot.model) })
    }

    /// Tests a view of one of the arrays. The array itself may have been removed from the pool.
    pub(super) fn view<T: Element>(&mut self) -> Outcome {
        let slot: Slot<T> = if self.rng.chance(2, 5) { self.take() } else { self.borrow() };
        let how = self.rng.below(14);
        self.note(format!("view {} {:?} {:?} in way {how}", T::DTYPE, slot.model.shape, slot.array.strides()));
        let Slot { array, model } = &slot;
        let (shape, ndim) = (&model.shape, model.shape.len());
        let made = match how {
            0..5 => self.slice_of(&slot)?,
            5 => {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                Slot { array: array.t(), model: model.gather(reversed, &mut |i| i.iter().rev().copied().collect()) }
            }
            6 => self.permuted(&slot)?,
            7 => self.reshaped(&slot)?,
            8 => self.stretched(&slot)?,
            9 if ndim < 5 => {
                let at = self.rng.below(ndim + 1);
                let mut longer = shape.clone();
                longer.insert(at, 1);
                Slot { array: done("expand_dims", array.expand_dims(at as isize))?, model: model.reshaped(longer) }
            }
            10 => {
                let shape = shape.iter().copied().filter(|&n| n != 1).collect();
                Slot { array: done("squeeze", array.squeeze())?, model: model.reshaped(shape) }
            }
            11 if ndim >= 2 => self.diagonal(&slot)?,
            12 => {
                let array = if self.rng.chance(1, 2) { array.to_contiguous() } else { array.to_f_order() };
                Slot { array: done("to_contiguous, to_f_order", array)?, model: model.clone() }
            }
            _ => {
                let mut array = array.clone();
                done("compact", array.compact())?;
                Slot { array, model: model.clone() }
            }
        };
        // The base array may be dropped before its view.
        drop(slot);
        self.keep("view", made.array, &made.model)
    }

    fn permuted<T: Element>(&mut self, slot: &Slot<T>) -> Outcome<Slot<T>> {
        let ndim = slot.model.shape.len();
        let mut axes: Vec<usize> = (0..ndim).collect();
        (1..ndim).for_each(|i| axes.swap(i, self.rng.below(i + 1)));
        let shape = axes.iter().map(|&a| slot.model.shape[a]).collect();
        let model = slot.model.gather(shape, &mut |index| {
            (0..ndim).map(|a| index[axes.iter().position(|&x| x == a).expect("each axis once")]).collect()
        });
        let asked: Vec<isize> =
            axes.iter().map(|&a| if self.rng.chance(1, 4) { a as isize - ndim as isize } else { a as isize }).collect();
        Ok(Slot { array: done("permute", slot.array.permute(&asked))?, model })
    }

    fn reshaped<T: Element>(&mut self, slot: &Slot<T>) -> Outcome<Slot<T>> {
        let mut left = slot.model.data.len();
        let mut shape = Vec::new();
        if self.rng.chance(1, 4) {
            let flat = if self.rng.chance(1, 2) { slot.array.ravel() } else { slot.array.flatten() };
            return Ok(Slot { array: done("ravel, flatten", flat)?, model: slot.model.reshaped(vec![left]) });
        }
        for factor in [2, 3, 5, 1, 7] {
            if left > 0 && left.is_multiple_of(factor) && self.rng.chance(1, 2) {
                shape.push(factor);
                left /= factor;
            }
        }
        shape.insert(self.rng.below(shape.len() + 1), left);
        Ok(Slot { array: done("reshape", slot.array.reshape(&shape[..]))?, model: slot.model.reshaped(shape) })
    }

    /// Broadcasts: stretches axes of length 1, and may add an axis in front.
    fn stretched<T: Element>(&mut self, slot: &Slot<T>) -> Outcome<Slot<T>> {
        let mut shape = slot.model.shape.clone();
        for n in &mut shape {
            if *n == 1 && self.rng.chance(2, 3) {
                *n = self.rng.below(5);
            }
        }
        if shape.len() < 4 && self.rng.chance(1, 2) {
            shape.insert(0, 1 + self.rng.below(4));
        }
        if shape.iter().product::<usize>() > MOST {
            shape = slot.model.shape.clone();
        }
        Ok(Slot {
            array: done("broadcast_to", slot.array.broadcast_to(&shape[..]))?,
            model: slot.model.broadcast_to(&shape),
        })
    }

    fn diagonal<T: Element>(&mut self, slot: &Slot<T>) -> Outcome<Slot<T>> {
        let shape = &slot.model.shape;
        let a = self.rng.below(shape.len());
        let b = (a + 1 + self.rng.below(shape.len() - 1)) % shape.len();
        let offset = self.rng.below(shape[a] + shape[b] + 1) as isize - shape[a] as isize;
        let (down, right) = ((-offset).max(0) as usize, offset.max(0) as usize);
        let n = shape[a].saturating_sub(down).min(shape[b].saturating_sub(right));
        let kept: Vec<usize> = (0..shape.len()).filter(|&x| x != a && x != b).collect();
        let of: Vec<usize> = kept.iter().map(|&x| shape[x]).chain([n]).collect();
        let model = slot.model.gather(of, &mut |index| {
            let mut source = vec![0; shape.len()];
            kept.iter().zip(index).for_each(|(&x, &i)| source[x] = i);
            let along = index[index.len() - 1];
            (source[a], source[b]) = (along + down, along + right);
            source
        });
        Ok(Slot { array: done("diagonal_at", slot.array.diagonal_at(offset, a as isize, b as isize))?, model })
    }

    /// Copies a contiguous array into a view of a new array: transposed, reversed, strided, or surrounded by elements
    /// that must not be touched.
    pub(super) fn relaid<T: Element>(&mut self, whole: &Array<T>) -> Outcome<Array<T>> {
        let shape = whole.shape().to_vec();
        if shape.is_empty() {
            return Ok(whole.clone());
        }
        let last = shape.len() - 1;
        let room: Vec<(usize, usize, isize)> = (0..shape.len())
            .map(|axis| {
                (
                    self.rng.below(3),
                    self.rng.below(3),
                    *self.rng.pick(if axis == last { &[1, 1, 2, -1, 3] } else { &[1, 1, 1, -1, 2] }),
                )
            })
            .collect();
        let transposed = shape.len() == 2 && self.rng.chance(1, 3);
        let wide = |axis: usize| room[axis].0 + shape[axis] * room[axis].2.unsigned_abs() + room[axis].1;
        let lengths: Vec<usize> = (0..shape.len()).map(wide).collect();
        let mut big = self
            .fresh::<T>(&if transposed { lengths.iter().rev().copied().collect::<Vec<_>>() } else { lengths.clone() })
            .array;
        let items: Vec<SliceItem> = (0..shape.len())
            .map(|axis| {
                let (front, back, step) = room[axis];
                SliceItem::Range { start: front as isize, end: Some((lengths[axis] - back) as isize), step }
            })
            .collect();
        let items: Vec<SliceItem> = if transposed { items.into_iter().rev().collect() } else { items };
        let value = if transposed { whole.t() } else { whole.clone() };
        done("slice_mut", big.slice_mut(&items)).and_then(|mut part| done("assign", part.assign(&value)))?;
        let view = done("slice", big.slice(&items))?;
        Ok(if transposed { view.t() } else { view })
    }
}
