//! Parts of tapes: the same steps on rows of the operands.

use super::{RawArray, SharedArray, Tape};
use crate::Dims;
use crate::layout::{Layout, Strides};
use std::ops::Range;

impl Tape {
    /// Returns the tape for the indices `rows` of the first axis. Operands that do not have this axis, or repeat along
    /// it, stay as they are. The tape must have an axis and no placeholders, and `rows` lie within the axis.
    pub fn rows(&self, rows: &Range<usize>) -> Tape {
        let mut part = self.clone();
        part.shape.axes_mut()[0] = rows.len();
        for operand in &mut part.operands {
            if self.has_rows(operand) {
                *operand = SharedArray::new(operand.rows(rows));
            }
        }
        part
    }

    /// Whether [`rows`](Self::rows) takes a part of an operand.
    pub fn has_rows(&self, operand: &RawArray) -> bool {
        let shape = operand.layout.shape();
        shape.len() == self.shape.len() && shape[0] == self.shape[0]
    }

    /// Returns the tape for all elements as one axis, if each operand has the shape of the tape and lies in C order, or
    /// has one element.
    pub fn flattened(&self) -> Option<Tape> {
        let len = self.shape.size();
        let mut flat = self.clone();
        flat.shape = Dims::from(len);
        for operand in &mut flat.operands {
            let layout = &operand.layout;
            let n = match layout.len() {
                1 => 1,
                _ if *layout.shape() == self.shape && layout.is_c_contiguous() => len,
                _ => return None,
            };
            let layout = Layout::from_parts(Dims::from(n), Strides::from_slice(&[1]), layout.offset());
            *operand = SharedArray::new(RawArray { layout, buffer: operand.buffer.clone(), dtype: operand.dtype });
        }
        Some(flat)
    }
}

impl RawArray {
    /// Returns the view of the indices `rows` of the first axis, within which they lie.
    pub fn rows(&self, rows: &Range<usize>) -> RawArray {
        let mut layout = self.layout.clone();
        layout.cut(0, rows.start, 1, rows.len());
        RawArray { layout, buffer: self.buffer.clone(), dtype: self.dtype }
    }
}
