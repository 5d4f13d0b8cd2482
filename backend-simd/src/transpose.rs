//! Copies between layouts whose contiguous axes differ, in tiles that fit the caches and the TLB.

use crate::strided::{Geometry, copy_strided};
use crate::threads::{Shared, split};
use polyarray_core::Result;
use polyarray_core::walk::walk_many;
use smallvec::SmallVec;

/// Rows and columns of a tile.
const TILE: usize = 64;

/// The axis along which the input is contiguous, if that is not the output's.
fn input_axis(g: &Geometry) -> Option<usize> {
    let inner = g.lens.len() - 1;
    let contiguous_out = g.strides[1][inner] == 1 && g.strides[0][inner] != 1;
    (0..inner).find(|&a| contiguous_out && g.strides[0][a] == 1 && g.lens[a] >= 8 && g.lens[inner] >= 8)
}

/// Whether this copy (operand, output) is one that tiles make faster.
pub(crate) fn applies(g: &Geometry) -> bool {
    g.bases.len() == 2 && g.lens.len() >= 2 && input_axis(g).is_some()
}

/// Copies operand 0 to the output.
pub(crate) fn run(g: &Geometry, threads: usize) -> Result<()> {
    let inner = g.lens.len() - 1;
    let across = input_axis(g).unwrap_or_else(|| unreachable!("`applies` was asked first"));
    let others: SmallVec<[usize; 8]> = (0..inner).filter(|&a| a != across).collect();
    let lens: SmallVec<[usize; 8]> = others.iter().map(|&a| g.lens[a]).collect();
    let strides: SmallVec<[SmallVec<[isize; 8]>; 2]> = (0..2).map(|o| others.iter().map(|&a| g.strides[o][a]).collect()).collect();
    let (rows, columns, size) = (g.lens[across], g.lens[inner], g.sizes[0]);
    let tiles = rows.div_ceil(TILE);
    let planes: usize = lens.iter().product();
    let shared = Shared((g as *const Geometry).cast_mut());
    split(threads, planes * tiles, 1, |range| {
        // SAFETY: the geometry outlives the split and is only read.
        let g = unsafe { &*shared.get() };
        for part in range {
            let (plane, tile) = (part / tiles, part % tiles);
            walk_many(&lens, &[&strides[0], &strides[1]], &[0, 0], plane..plane + 1, |at| {
                let row_range = tile * TILE..rows.min((tile + 1) * TILE);
                for column in (0..columns).step_by(TILE) {
                    let width = TILE.min(columns - column);
                    for row in row_range.clone() {
                        let address = |o: usize| {
                            let element = at[o] + row as isize * g.strides[o][across] + column as isize * g.strides[o][inner];
                            g.bases[o].wrapping_offset(element * size as isize)
                        };
                        // SAFETY: rows and columns of the index space (invariants of `Map`); tiles are disjoint.
                        unsafe { copy_strided(address(0), g.strides[0][inner], address(1), 1, width, size) };
                    }
                }
            });
        }
        Ok(())
    })
}
