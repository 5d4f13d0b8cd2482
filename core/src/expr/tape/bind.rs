//! Gives the placeholders of a tape operands.

use super::{SharedArray, Tape};
use crate::program::Ref;
use crate::{DType, Error, Result, Scalar};
use smallvec::SmallVec;

/// An operand for a placeholder.
pub(crate) enum Bound {
    Array(SharedArray),
    /// A single value, which becomes a parameter.
    Value(Scalar),
}

impl Bound {
    fn dtype(&self) -> DType {
        match self {
            Bound::Array(array) => array.dtype,
            Bound::Value(value) => value.dtype(),
        }
    }
}

impl Tape {
    /// Returns the number of placeholders.
    pub fn lead_count(&self) -> usize {
        self.leads.len()
    }

    /// Calls `f` for each input that a step reads or that is the result, in order, possibly several times.
    pub fn for_each_input(&self, mut f: impl FnMut(usize)) {
        let of_steps = self.instrs.iter().flat_map(|instr| instr.operands());
        for r in of_steps.chain([self.result]) {
            if let Ref::Input(i) = r {
                f(i as usize);
            }
        }
    }

    /// Returns the tape with operands in place of its placeholders. Operands that no step reads are dropped; the others
    /// are in the order in which steps read them, as in an expression.
    ///
    /// # Errors
    /// [`Error::Broadcast`] and [`Error::TooLarge`] for the shapes; [`Error::DTypeMismatch`].
    pub fn bind(&self, given: SmallVec<[Bound; 4]>) -> Result<Box<Tape>> {
        let mut bound = Box::new(Tape { params: self.params.clone(), ..Tape::default() });
        let mut given: SmallVec<[Option<Bound>; 4]> = given.into_iter().map(Some).collect();
        let mut places: SmallVec<[Option<Ref>; 8]> = SmallVec::from_elem(None, self.leads.len() + self.operands.len());
        let mut failed = None;
        self.for_each_input(|i| {
            if places[i].is_some() || failed.is_some() {
                return;
            }
            let place = match given.get_mut(i).map(|bound| bound.take().expect("each operand has one place")) {
                Some(operand) if operand.dtype() != self.leads[i] => {
                    Err(Error::DTypeMismatch { op: "fuse", left: self.leads[i], right: operand.dtype() })
                }
                Some(Bound::Array(array)) => bound.merge_operand(array),
                Some(Bound::Value(value)) => Ok(bound.add_param(value)),
                None => bound.merge_operand(self.operands[i - self.leads.len()].clone()),
            };
            match place {
                Ok(place) => places[i] = Some(place),
                Err(error) => failed = Some(error),
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let renamed = |r: Ref| match r {
            Ref::Input(i) => places[i as usize].expect("every input that is read has a place"),
            Ref::Param(_) | Ref::Value(_) => r,
        };
        bound.instrs = self.instrs.iter().map(|instr| instr.map_refs(renamed)).collect();
        bound.dtypes = SmallVec::from_slice(&self.dtypes);
        bound.result = renamed(self.result);
        let widest = bound.dtypes.iter().copied().chain([bound.dtype()]).max_by_key(|d| d.size());
        bound.shape.check(widest.expect("the result has a dtype"))?;
        Ok(bound)
    }
}
