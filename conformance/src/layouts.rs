//! Memory layouts of operands and outputs.

use crate::values::poison;
use polyarray_core::{Array, Device, Element, Result, SliceItem, s};

/// The memory in which operands are placed before the operation.
#[derive(Clone)]
pub(crate) enum Place {
    /// Host memory.
    Host,
    /// The device's own memory.
    On(Device),
}

/// All elements of an axis but the first and the last.
const INNER: SliceItem = SliceItem::Range { start: 1, end: Some(-1), step: 1 };

/// The layout of the elements of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lay {
    /// C order in a buffer of exactly this size.
    Contiguous,
    /// C order in a longer buffer, starting at this element.
    Offset(usize),
    /// Every n-th element along the last axis; in reverse if n is negative.
    Step(isize),
    /// Every n-th row along the first axis; in reverse if n is negative.
    StepFirst(isize),
    /// The middle of a larger array.
    Window,
    /// Fortran order.
    Transposed,
    /// The first axis is the innermost.
    Rotated,
    /// One element, broadcast to the whole shape.
    Scalar,
    /// One row, broadcast along all other axes.
    Row,
    /// One column, broadcast along all other axes.
    Column,
}

impl Lay {
    /// The layouts that every kernel is tested with.
    pub const ALL: [Lay; 15] = [
        Lay::Contiguous,
        Lay::Offset(1),
        Lay::Offset(2),
        Lay::Offset(3),
        Lay::Step(2),
        Lay::Step(3),
        Lay::Step(-1),
        Lay::Step(-2),
        Lay::StepFirst(-1),
        Lay::Window,
        Lay::Transposed,
        Lay::Rotated,
        Lay::Scalar,
        Lay::Row,
        Lay::Column,
    ];

    /// Returns the shape of the stored elements, before they are broadcast to `shape`.
    pub fn core_shape(self, shape: &[usize]) -> Vec<usize> {
        let mut core = shape.to_vec();
        match self {
            Lay::Scalar => core.clear(),
            Lay::Row => drop(core.drain(..core.len().saturating_sub(1))),
            Lay::Column => core.iter_mut().skip(1).for_each(|n| *n = 1),
            _ => {}
        }
        core
    }

    /// Returns the number of stored elements of an operand of `shape`.
    pub fn len(self, shape: &[usize]) -> usize {
        self.core_shape(shape).iter().product()
    }

    /// Returns the shape of the buffer that holds the operand.
    fn base_shape(self, core: &[usize]) -> Vec<usize> {
        let n: usize = core.iter().product();
        let mut base = core.to_vec();
        let stepped = |len: &mut usize, step: isize| *len = (*len - 1) * step.unsigned_abs() + 3;
        match self {
            Lay::Contiguous => {}
            Lay::Offset(k) => base = vec![k + n + 70],
            Lay::Scalar | Lay::Row | Lay::Column => base = vec![n + 4],
            Lay::Step(s) => {
                if let Some(last) = base.last_mut() {
                    stepped(last, s);
                }
            }
            Lay::StepFirst(s) => {
                if let Some(first) = base.first_mut() {
                    stepped(first, s);
                }
            }
            Lay::Window => base.iter_mut().for_each(|n| *n += 2),
            Lay::Transposed => base.reverse(),
            Lay::Rotated => base.rotate_left(usize::from(!core.is_empty())),
        }
        base
    }

    /// Returns the operand as a view of a buffer of [`base_shape`](Self::base_shape), before broadcasting.
    fn view<T: Element>(self, base: &Array<T>, core: &[usize]) -> Result<Array<T>> {
        let n: usize = core.iter().product();
        let along = |axis: usize, step: isize| -> Vec<SliceItem> {
            let whole = |_| SliceItem::from(..);
            let mut items: Vec<SliceItem> = (0..core.len()).map(whole).collect();
            if let Some(item) = items.get_mut(axis) {
                // One element of margin at each end.
                *item = INNER.step(step);
            }
            items
        };
        match self {
            Lay::Contiguous => Ok(base.clone()),
            Lay::Offset(k) => base.slice(s![k..k + n])?.reshape(core),
            Lay::Scalar | Lay::Row | Lay::Column => base.slice(s![2..n + 2])?.reshape(core),
            Lay::Step(s) => base.slice(along(core.len().saturating_sub(1), s)),
            Lay::StepFirst(s) => base.slice(along(0, s)),
            Lay::Window => base.slice(core.iter().map(|_| INNER).collect::<Vec<_>>()),
            Lay::Transposed => Ok(base.t()),
            Lay::Rotated => {
                let last = core.len() as isize - 1;
                base.permute(&(0..core.len() as isize).map(|a| if a == 0 { last } else { a - 1 }).collect::<Vec<_>>())
            }
        }
    }

    /// Returns the positions of the elements in the buffer, in C order, and the shape of the buffer.
    fn positions(self, shape: &[usize]) -> Result<(Vec<i64>, Vec<usize>)> {
        let core = self.core_shape(shape);
        let base = self.base_shape(&core);
        let count: usize = base.iter().product();
        let numbers = Array::from_vec((0..count as i64).collect(), &base[..])?;
        Ok((self.view(&numbers, &core)?.to_vec()?, base))
    }

    /// Builds an operand of `shape` from its elements ([`len`](Self::len) of them), surrounded by poison.
    pub fn build<T: Element>(self, data: &[T], shape: &[usize], place: &Place) -> Result<Array<T>> {
        let base = self.base_of(data, shape, poison())?;
        let base = match place {
            Place::Host => base,
            Place::On(device) => base.to_device(device)?,
        };
        self.of_base(&base, shape)
    }

    /// Returns the buffer of such an operand, with `around` in all other positions.
    pub fn base_of<T: Element>(self, data: &[T], shape: &[usize], around: T) -> Result<Array<T>> {
        let (positions, base_shape) = self.positions(shape)?;
        assert_eq!(positions.len(), data.len(), "elements for {self:?} of {shape:?}");
        let mut base = vec![around; base_shape.iter().product()];
        positions.iter().zip(data).for_each(|(&at, &x)| base[at as usize] = x);
        Array::from_vec(base, &base_shape[..])
    }

    pub fn of_base<T: Element>(self, base: &Array<T>, shape: &[usize]) -> Result<Array<T>> {
        self.view(base, &self.core_shape(shape))?.broadcast_to(shape)
    }
}

/// The slice of an array that an expression is evaluated into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Every other element of the last axis, starting at index 1.
    Strided,
    /// The last axis in reverse, with a margin.
    Reversed,
    /// All axes in reverse, with a margin of one element at each end.
    Rows,
}

impl Target {
    pub const VIEWS: [Target; 3] = [Target::Strided, Target::Reversed, Target::Rows];

    /// Returns the array that contains the slice. All its elements are 7, and elements outside the slice must stay 7.
    pub fn base<T: Element>(self, shape: &[usize]) -> Result<Array<T>> {
        let mut base = shape.to_vec();
        let last = base.len() - 1;
        match self {
            Target::Strided => base[last] = 2 * base[last] + 1,
            Target::Reversed => base[last] += 3,
            Target::Rows => base.iter_mut().for_each(|n| *n += 2),
        }
        let seven = T::from_wide(polyarray_core::Wide::Int(7));
        Array::from_vec(vec![seven; base.iter().product()], &base[..])
    }

    pub fn items(self, shape: &[usize]) -> Vec<SliceItem> {
        let n = shape[shape.len() - 1];
        let rows = |_: &usize| INNER.step(-1);
        let lead = || shape[1..].iter().map(|_| SliceItem::from(..));
        match self {
            Target::Strided => lead().chain([SliceItem::from(1..2 * n).step(2)]).collect(),
            Target::Reversed => lead().chain([SliceItem::from(2..n + 2).step(-1)]).collect(),
            Target::Rows => shape.iter().map(rows).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_shows_the_data_it_was_built_from() {
        for shape in [&[7][..], &[3, 5], &[1, 1], &[2, 3, 4]] {
            for lay in Lay::ALL {
                let data: Vec<i32> = (0..lay.len(shape) as i32).collect();
                let a = lay.build(&data, shape, &Place::Host).unwrap();
                assert_eq!(a.shape(), shape, "{lay:?}");
                let core = Array::from_vec(data, &lay.core_shape(shape)[..]).unwrap();
                assert_eq!(
                    a.to_vec().unwrap(),
                    core.broadcast_to(shape).unwrap().to_vec().unwrap(),
                    "{lay:?} of {shape:?}"
                );
            }
        }
        let strided = |lay: Lay| lay.build(&[0f32; 15], &[3, 5], &Place::Host).unwrap().strides().to_vec();
        assert_eq!(strided(Lay::Step(2)), [11, 2]);
        assert_eq!(strided(Lay::Step(-1)), [7, -1]);
        assert_eq!(strided(Lay::StepFirst(-1)), [-5, 1]);
        assert_eq!(strided(Lay::Transposed), [1, 3]);
        assert_eq!(strided(Lay::Window), [7, 1]);
    }
}
