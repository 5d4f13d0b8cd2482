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

/// Copies `n` elements of `size` bytes from elements `from_step` apart to elements `to_step` apart.
///
/// # Safety
/// - `from` is valid for reads and `to` for writes of those elements; they do not overlap, or are the same.
pub(crate) unsafe fn copy_strided(
    from: *const u8,
    from_step: isize,
    to: *mut u8,
    to_step: isize,
    n: usize,
    size: usize,
) {
    /// # Safety
    /// - as for `copy_strided`, with elements of the size of `T`.
    unsafe fn copy<T: Copy>(from: *const T, from_step: isize, to: *mut T, to_step: isize, n: usize) {
        for i in 0..n as isize {
            // SAFETY: the caller guarantees that `n` elements at these steps are valid. Unaligned, because complex
            // numbers are aligned to their parts only.
            unsafe { to.offset(i * to_step).write_unaligned(from.offset(i * from_step).read_unaligned()) };
        }
    }
    // SAFETY: the caller guarantees valid elements of `size` bytes; `T` has that size.
    unsafe {
        match size {
            _ if from_step == 1 && to_step == 1 => std::ptr::copy(from, to, n * size),
            1 => copy::<u8>(from, from_step, to, to_step, n),
            2 => copy::<u16>(from.cast(), from_step, to.cast(), to_step, n),
            4 => copy::<u32>(from.cast(), from_step, to.cast(), to_step, n),
            8 => copy::<u64>(from.cast(), from_step, to.cast(), to_step, n),
            _ => copy::<u128>(from.cast(), from_step, to.cast(), to_step, n),
        }
    }
}
