//! Writes in place, through views, and of single elements. Arrays that share the buffer must not change.

use super::expressions::Term;
use super::model::{Model, Want, binary, broadcast};
use super::{Outcome, Slot, World, done};
use polyarray_core::{Array, Binary, Element, Error, Kind, Scalar};

impl World {
    pub(super) fn write<T: Element>(&mut self) -> Outcome {
        let mut slot: Slot<T> = self.take();
        if self.rng.chance(1, 2) {
            self.push(slot.array.clone(), slot.model.clone());
        }
        let how = self.rng.below(10);
        self.note(format!("write {} {:?} {:?} in way {how}", T::DTYPE, slot.model.shape, slot.array.strides()));
        if slot.model.shape.iter().zip(slot.array.strides()).any(|(&n, &stride)| n > 1 && stride == 0) {
            return self.write_refused(slot);
        }
        match how {
            0 | 1 => self.write_one(&mut slot)?,
            2 => {
                let cut = self.cut(&slot.model.shape);
                let value: T = self.small();
                done("fill", slot.array.slice_mut(&cut.items).and_then(|mut view| view.fill(value)))?;
                let count = cut.shape.iter().product();
                cut.write(
                    &mut slot.model,
                    &Model { dtype: T::DTYPE, shape: cut.shape.clone(), data: vec![value.to_wide(); count] },
                );
            }
            3..6 => self.write_expression(&mut slot, how == 5)?,
            6 => {
                let value: T = self.small();
                let mut view = done("view_mut", slot.array.view_mut())?;
                if let Some(elements) = view.as_mut_slice() {
                    elements.iter_mut().for_each(|x| *x = value);
                    slot.model.data.fill(value.to_wide());
                }
                let copy = done("to_owned", view.to_owned())?;
                self.keep("to_owned", copy, &slot.model)?;
            }
            _ if T::DTYPE.kind() == Kind::Bool => self.write_one(&mut slot)?,
            _ => self.update(&mut slot)?,
        }
        self.settle("a written array", slot)
    }

    /// Checks that a broadcast view cannot be written, and that it stays unchanged.
    fn write_refused<T: Element>(&mut self, mut slot: Slot<T>) -> Outcome {
        match slot.array.view_mut().map(drop) {
            Err(Error::NotWritable { .. }) => {}
            Err(e) => {
                return Err(format!("writing a broadcast view: expected the error NotWritable, got: {e}"));
            }
            Ok(()) if slot.model.data.is_empty() => {}
            Ok(()) => {
                return Err("writing a broadcast view: expected the error NotWritable, got a writable view".into());
            }
        }
        self.settle("a broadcast view after a refused write", slot)
    }

    fn write_one<T: Element>(&mut self, slot: &mut Slot<T>) -> Outcome {
        if slot.model.data.is_empty() {
            return Ok(());
        }
        let index: Vec<usize> = slot.model.shape.iter().map(|&n| self.rng.below(n)).collect();
        let value: T = self.numbers(1)[0];
        done("set", slot.array.set(&index, value))?;
        slot.model.set(&index, value.to_wide());
        let got = done("get", slot.array.get(&index))?;
        let same = Want::Bits(T::DTYPE, value.to_wide()).allows(Scalar::new(got));
        if same { Ok(()) } else { Err(format!("get {index:?} after set: {got:?}, not {value:?}")) }
    }

    /// Evaluates an expression into a slice. The operands of the expression may share the buffer.
    fn write_expression<T: Element>(&mut self, slot: &mut Slot<T>, into: bool) -> Outcome {
        let cut = self.cut(&slot.model.shape);
        let depth = self.rng.below(3);
        let Term { expr, model } = self.term::<T>(depth, Some(&cut.shape))?;
        if broadcast(&model.shape, &cut.shape).as_ref() != Some(&cut.shape) {
            // The expression has more axes, or longer ones: an error that must not change the array.
            let refused = slot.array.slice_mut(&cut.items).and_then(|mut view| view.assign(expr));
            return match refused {
                Err(Error::BroadcastTo { .. } | Error::Broadcast { .. } | Error::Shapes { .. }) => Ok(()),
                Err(e) => Err(format!(
                    "assigning {:?} to {:?}: expected an error about shapes, got: {e}",
                    model.shape, cut.shape
                )),
                Ok(()) => Err(format!(
                    "assigning {:?} to {:?}: expected an error about shapes, got a result",
                    model.shape, cut.shape
                )),
            };
        }
        let mut view = done("slice_mut", slot.array.slice_mut(&cut.items))?;
        if into {
            done("eval_into", expr.eval_into(&mut view))?;
        } else {
            done("assign", view.assign(expr))?;
        }
        cut.write(&mut slot.model, &model.broadcast_to(&cut.shape));
        Ok(())
    }

    /// Tests `+=`, `-=` or `*=` with an expression that may contain this array.
    fn update<T: Element>(&mut self, slot: &mut Slot<T>) -> Outcome {
        let shape = slot.model.shape.clone();
        let depth = self.rng.below(2);
        let mut right: Term<T> = self.term(depth, Some(&shape))?;
        if broadcast(&right.model.shape, &shape).as_ref() != Some(&shape) {
            let value: T = self.small();
            right = Term {
                expr: polyarray_core::IntoExpr::into_expr(value),
                model: Model { dtype: T::DTYPE, shape: Vec::new(), data: vec![value.to_wide()] },
            };
        }
        let op = *self.rng.pick(&[Binary::Add, Binary::Sub, Binary::Mul]);
        self.note(format!("  {} in place", op.info().name));
        let array: &mut Array<T> = &mut slot.array;
        match op {
            Binary::Add => *array += right.expr,
            Binary::Sub => *array -= right.expr,
            _ => *array *= right.expr,
        }
        slot.model = slot.model.zip(&right.model, &|x, y| binary(T::DTYPE, op, x, y));
        Ok(())
    }
}
