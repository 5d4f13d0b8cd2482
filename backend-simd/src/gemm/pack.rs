//! Packing: panels of a few columns, stored row after row.

use super::Matrix;
use crate::lanes::Real;

/// Packs `[depth, columns]` into panels of `width` columns: panel p holds, for each row, columns `p * width ..`, those that are not there as zeros.
///
/// # Safety
/// - `from` is valid for reads of `[depth, columns]`, `to` for writes of `depth` times `columns` rounded up to `width`.
pub(crate) unsafe fn panels<T: Real>(from: Matrix<T>, depth: usize, columns: usize, width: usize, to: *mut T) {
    for (panel, first) in (0..columns).step_by(width).enumerate() {
        let valid = width.min(columns - first);
        let source = from.from(0, first);
        let to = to.wrapping_add(panel * width * depth);
        if valid < width {
            // SAFETY: the panel is inside `to`.
            unsafe { std::ptr::write_bytes(to, 0, width * depth) };
        }
        // SAFETY: rows below `depth`, columns below `columns`; the panel is inside `to`.
        unsafe {
            if source.column == 1 {
                for r in 0..depth {
                    std::ptr::copy_nonoverlapping(source.at.offset(r as isize * source.row), to.add(r * width), valid);
                }
            } else {
                transposed(source, depth, valid, width, to);
            }
        }
    }
}

/// One panel whose columns are the contiguous direction (or none is), in blocks of rows that stay in L1.
///
/// # Safety
/// - as [`panels`], for one panel.
unsafe fn transposed<T: Real>(from: Matrix<T>, depth: usize, valid: usize, width: usize, to: *mut T) {
    const ROWS: usize = 16;
    for first in (0..depth).step_by(ROWS) {
        let rows = ROWS.min(depth - first);
        for c in 0..valid {
            let column = from.at.wrapping_offset(c as isize * from.column + first as isize * from.row);
            for r in 0..rows {
                // SAFETY: the caller's.
                unsafe { *to.add((first + r) * width + c) = *column.offset(r as isize * from.row) };
            }
        }
    }
}
