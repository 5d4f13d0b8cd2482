//! Updating an array from its own elements.

use super::Array;
use crate::device::Device;
use crate::expr::{self, Expr, IntoExpr, RawArray, SharedArray, Tape};
use crate::layout::Layout;
use crate::memory::transfer::alloc_elements;
use crate::{Buffer, Dims, Element, MemoryId, Result, canon};
use smallvec::SmallVec;

impl<T: Element> Array<T> {
    /// Replaces the elements by the value of `f` of them: `d.update(|d| (d * 2.0 + 1.0).square())`.
    ///
    /// If nothing else holds the buffer, the expression is evaluated in one pass over it, without a second one. Other
    /// arrays never change: a shared buffer is replaced by a new one, also if `f` keeps a clone of its operand. The
    /// value broadcasts to the shape of the array.
    ///
    /// # Errors
    /// [`Error::BroadcastTo`](crate::Error::BroadcastTo) if the value has another shape, and the errors of the
    /// expression; the array is then unchanged. After an error that a device reports while it writes into the array,
    /// its elements are unspecified.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let mut d = Array::from([1.0, 2.0]);
    /// d.update(|d| (d * 2.0 + 1.0).square())?;
    /// assert_eq!(d, Array::from([9.0, 25.0]));
    /// assert!(d.update(|d| d + Array::from([1.0, 2.0, 3.0])).is_err());
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias("mapv_inplace", "map_inplace"))]
    pub fn update(&mut self, f: impl FnOnce(Expr<T>) -> Expr<T>) -> Result<()> {
        let mut tape = f((&*self).into_expr()).tape()?;
        if self.is_exclusive_beside(&mut tape) {
            // SAFETY: this array and operands of the tape are the only owners of the buffer.
            return unsafe { expr::write_tape(tape, &self.raw) };
        }
        let layout = canon::fresh_layout(self.raw.layout.shape(), std::slice::from_ref(&self.raw.layout));
        let buffer = alloc_elements(T::DTYPE, self.len(), self.raw.buffer.memory())?;
        let fresh = RawArray { buffer, dtype: T::DTYPE, layout };
        tape.eval_into(&fresh, &Device::current()?)?;
        *self = Array::from_raw(fresh)?;
        Ok(())
    }

    /// Returns whether the elements may be written in place although operands of `tape` show them: nothing else holds
    /// the buffer, and each index denotes another element.
    fn is_exclusive_beside(&mut self, tape: &mut Tape) -> bool {
        if self.raw.layout.may_overlap() {
            return false;
        }
        let shown: SmallVec<[usize; 1]> =
            (0..tape.operands().len()).filter(|&i| SharedArray::ptr_eq(&tape.operands()[i], &self.raw)).collect();
        // The operands release the array during the check. No other reference to it can be made meanwhile.
        let nothing = SharedArray::new(RawArray {
            buffer: Buffer::promised(MemoryId::HOST),
            dtype: T::DTYPE,
            layout: Layout::contiguous(Dims::from(0)),
        });
        for &i in &shown {
            tape.operands_mut()[i] = nothing.clone();
        }
        let exclusive = self.exclusive().is_some();
        for &i in &shown {
            tape.operands_mut()[i] = self.raw.clone();
        }
        exclusive
    }
}
