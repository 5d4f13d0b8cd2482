//! Ways for an operand to lie in memory.

use crate::values::poison;
use polyarray_core::{Array, Device, Element, Result, SliceItem, s};

/// Where operands are put before they are used.
#[derive(Clone)]
pub(crate) enum Place {
    /// In host memory.
    Host,
    /// In a device's own memory.
    On(Device),
}

/// All but the first and the last.
const INNER: SliceItem = SliceItem::Range { start: 1, end: Some(-1), step: 1 };

/// How the elements of an operand lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lay {
    /// C order, nothing around.
    Contiguous,
    /// C order, from this element of a longer buffer on.
    Offset(usize),
    /// Every so many elements along the last axis; negative: backwards.
    Step(isize),
    /// Every so many rows along the first axis; negative: backwards.
    StepFirst(isize),
    /// The middle of a larger array.
    Window,
    /// Fortran order.
    Transposed,
    /// The first axis innermost.
    Rotated,
    /// One element for all.
    Scalar,
    /// One row for all.
    Row,
    /// One column for all.
    Column,
}

impl Lay {
    /// Layouts every kernel is tried with.
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

    /// The shape of the elements themselves, before they are broadcast to `shape`.
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

    /// How many elements an operand of `shape` has that lies like this.
    pub fn len(self, shape: &[usize]) -> usize {
        self.core_shape(shape).iter().product()
    }

    /// The shape of the buffer behind it.
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

    /// The part of a buffer of [`base_shape`](Self::base_shape) that is the operand, before broadcasting.
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

    /// The positions of the elements in the buffer, in C order, and the buffer's shape.
    fn positions(self, shape: &[usize]) -> Result<(Vec<i64>, Vec<usize>)> {
        let core = self.core_shape(shape);
        let base = self.base_shape(&core);
        let count: usize = base.iter().product();
        let numbers = Array::from_vec((0..count as i64).collect(), &base[..])?;
        Ok((self.view(&numbers, &core)?.to_vec()?, base))
    }

    /// An operand of `shape` with these elements ([`len`](Self::len) of them), poison around them.
    pub fn build<T: Element>(self, data: &[T], shape: &[usize], place: &Place) -> Result<Array<T>> {
        let base = self.base_of(data, shape, poison())?;
        let base = match place {
            Place::Host => base,
            Place::On(device) => base.to_device(device)?,
        };
        self.of_base(&base, shape)
    }

    /// The buffer behind such an operand, `around` where no element lies.
    pub fn base_of<T: Element>(self, data: &[T], shape: &[usize], around: T) -> Result<Array<T>> {
        let (positions, base_shape) = self.positions(shape)?;
        assert_eq!(positions.len(), data.len(), "elements for {self:?} of {shape:?}");
        let mut base = vec![around; base_shape.iter().product()];
        positions.iter().zip(data).for_each(|(&at, &x)| base[at as usize] = x);
        Array::from_vec(base, &base_shape[..])
    }

    /// The operand in its buffer.
    pub fn of_base<T: Element>(self, base: &Array<T>, shape: &[usize]) -> Result<Array<T>> {
        self.view(base, &self.core_shape(shape))?.broadcast_to(shape)
    }
}

/// The slice by which an array is written in part, for evaluation into it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Every other element of the last axis, from the second on.
    Strided,
    /// The last axis backwards, with a margin.
    Reversed,
    /// Rows backwards, in the middle of wider ones.
    Rows,
}

impl Target {
    pub const VIEWS: [Target; 3] = [Target::Strided, Target::Reversed, Target::Rows];

    /// The array to write a part of; all of it holds 7, and what is not written must go on holding it.
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

    /// The part that is written.
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
