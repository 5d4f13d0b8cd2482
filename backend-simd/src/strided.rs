//! Strided operands in host memory: their addresses, and copies of their elements.

use crate::exec::Access;
use polyarray_core::op::Operand;
use polyarray_core::{Buffer, DType};
use smallvec::SmallVec;

/// The addresses and strides of operands, from which a thread computes the addresses of its part.
pub(crate) struct Geometry {
    /// The lengths of the axes.
    pub lens: SmallVec<[usize; 8]>,
    /// The address of the first element of each operand, and then of the output if it was pushed. In the same order,
    /// `sizes` has the bytes per element and `strides` the strides in elements.
    pub bases: SmallVec<[*mut u8; 8]>,
    pub sizes: SmallVec<[usize; 8]>,
    pub strides: SmallVec<[SmallVec<[isize; 4]>; 8]>,
}

// SAFETY: all threads read through the operands' pointers; through the output's each thread writes only its own part.
unsafe impl Sync for Geometry {}

/// Returns the address of an operand's first element (index zero).
pub(crate) fn base(buffer: &Buffer, dtype: DType, offset: usize) -> *mut u8 {
    let start = buffer.host_ptr().expect("core moves operands to host memory").as_ptr();
    debug_assert!(offset * dtype.size() <= buffer.bytes());
    start.wrapping_add(offset * dtype.size())
}

impl Geometry {
    pub(crate) fn new(lens: &[usize], inputs: &[Operand]) -> Geometry {
        Geometry {
            lens: lens.into(),
            bases: inputs.iter().map(|o| base(&o.buffer, o.dtype, o.offset)).collect(),
            sizes: inputs.iter().map(|o| o.dtype.size()).collect(),
            strides: inputs.iter().map(|o| o.strides.as_slice().into()).collect(),
        }
    }

    pub(crate) fn push(&mut self, base: *mut u8, size: usize, strides: &[isize]) {
        self.bases.push(base);
        self.sizes.push(size);
        self.strides.push(strides.into());
    }
}

/// Returns how operands with these innermost strides are read.
pub(crate) fn accesses(inner_strides: impl Iterator<Item = isize>) -> SmallVec<[Access; 8]> {
    let access = |s: isize| match s {
        1 => Access::Contiguous,
        0 => Access::Single,
        _ => Access::Gathered,
    };
    inner_strides.map(access).collect()
}
