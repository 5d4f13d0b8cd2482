//! Copies between layouts whose contiguous axes differ, in tiles that fit the caches and the TLB.

use crate::scratch::Scratch;
use crate::strided::Geometry;
use crate::threads::split;
use crate::tier::{Stream, Tier};
use polyarray_core::Result;
use polyarray_core::walk::walk_many;
use smallvec::SmallVec;
use std::ops::Range;

/// The bytes that a tile reads from each run of the input. This size and [`WIDTH_BYTES`] measured best for f32 and
/// f64 of 5000 x 5000 on Zen 4.
const HEIGHT_BYTES: usize = 256;
/// The bytes that a tile writes to each row of the output.
const WIDTH_BYTES: usize = 512;
/// The runs of the input that are read by turns: fewer than a processor has entries for translated addresses (2048 in
/// the second-level TLB of Sapphire Rapids, 3072 in that of Zen 4).
const RUNS: usize = 512;

/// Returns the axis along which the input is contiguous, if the output is contiguous along another one.
fn input_axis(g: &Geometry) -> Option<usize> {
    let inner = g.lens.len() - 1;
    let contiguous_out = g.strides[1][inner] == 1 && g.strides[0][inner] != 1;
    (0..inner).find(|&a| contiguous_out && g.strides[0][a] == 1 && g.lens[a] >= 8 && g.lens[inner] >= 8)
}

/// Returns whether tiles make this copy (operand 0 to the output) faster.
pub(crate) fn applies(g: &Geometry) -> bool {
    g.bases.len() == 2 && g.lens.len() >= 2 && input_axis(g).is_some()
}

/// Copies operand 0 to the output, tile by tile through a block that stays in L1, so that both sides are accessed in
/// runs of a few whole cache lines.
pub(crate) fn run(tier: &'static Tier, g: &Geometry, threads: usize, stream: bool) -> Result<()> {
    match g.sizes[0] {
        1 => tiles::<u8>(tier, g, threads, stream),
        2 => tiles::<u16>(tier, g, threads, stream),
        4 => tiles::<u32>(tier, g, threads, stream),
        8 => tiles::<u64>(tier, g, threads, stream),
        _ => tiles::<[u64; 2]>(tier, g, threads, stream),
    }
}

fn tiles<T: Copy>(tier: &'static Tier, g: &Geometry, threads: usize, stream: bool) -> Result<()> {
    let inner = g.lens.len() - 1;
    let across = input_axis(g).unwrap_or_else(|| unreachable!("`run` requires `applies` to be true"));
    let others: SmallVec<[usize; 8]> = (0..inner).filter(|&a| a != across).collect();
    let lens: SmallVec<[usize; 8]> = others.iter().map(|&a| g.lens[a]).collect();
    let strides: SmallVec<[SmallVec<[isize; 8]>; 2]> =
        (0..2).map(|o| others.iter().map(|&a| g.strides[o][a]).collect()).collect();
    let (rows, columns, size) = (g.lens[across], g.lens[inner], size_of::<T>());
    // The size of a tile: whole cache lines on both sides.
    let (height, width) = ((HEIGHT_BYTES / size).max(8), (WIDTH_BYTES / size).max(8));
    let bands = rows.div_ceil(height);
    let planes: usize = lens.iter().product();
    split(threads, planes * bands, 1, |range| {
        let mut block = Scratch::new(height * width * size)?;
        for plane in range.start / bands..range.end.div_ceil(bands) {
            let of_plane = |part: usize| part.saturating_sub(plane * bands).min(bands);
            let bands = of_plane(range.start)..of_plane(range.end);
            walk_many(&lens, &[&strides[0], &strides[1]], &[0, 0], plane..plane + 1, |at| {
                for (band, column) in in_groups(bands.clone(), columns, width) {
                    let first = band * height;
                    let address = |o: usize| {
                        let element =
                            at[o] + first as isize * g.strides[o][across] + column as isize * g.strides[o][inner];
                        g.bases[o].wrapping_offset(element * size as isize)
                    };
                    let tile = Tile {
                        from: address(0).cast_const().cast::<T>(),
                        from_step: g.strides[0][inner],
                        to: address(1).cast::<T>(),
                        to_step: g.strides[1][across],
                        rows: height.min(rows - first),
                        columns: width.min(columns - column),
                    };
                    // SAFETY: the rows and columns are inside the index space (invariants of `Map`), the tiles are
                    // disjoint, and the block has room for a tile.
                    unsafe { tile.copy(block.ptr().cast(), stream.then_some(tier.stream)) };
                }
            });
        }
        (tier.fence)();
        Ok(())
    })
}

/// Returns the tiles of a range of bands of rows, by band and first column, in an order in which only [`RUNS`] runs of
/// the input are read before the next band continues them: each run lies on a page of its own.
fn in_groups(bands: Range<usize>, columns: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(RUNS).flat_map(move |group| {
        let group = group..columns.min(group + RUNS);
        bands.clone().flat_map(move |band| group.clone().step_by(width).map(move |column| (band, column)))
    })
}

/// A tile of the output. Its rows are `to_step` elements apart; each of its columns is a run of the input, and the
/// runs are `from_step` elements apart.
struct Tile<T> {
    from: *const T,
    from_step: isize,
    to: *mut T,
    to_step: isize,
    rows: usize,
    columns: usize,
}

impl<T: Copy> Tile<T> {
    /// Copies the tile through `block`. With `stream`, it writes past the caches by it.
    ///
    /// # Safety
    /// - the tile's elements are valid for reads in the input and for writes in the output, `block` is aligned and
    ///   valid for reads and writes of `rows * columns` elements; none of them overlap;
    /// - the CPU has the features of the tier of `stream`.
    unsafe fn copy(&self, block: *mut T, stream: Option<Stream>) {
        for column in 0..self.columns {
            // SAFETY: the elements are inside the tile, which the caller guarantees to be valid. Unaligned, because
            // complex numbers are aligned to their parts only.
            unsafe {
                let from = self.from.offset(column as isize * self.from_step);
                for row in 0..self.rows {
                    *block.add(row * self.columns + column) = from.add(row).read_unaligned();
                }
            }
        }
        let bytes = self.columns * size_of::<T>();
        for row in 0..self.rows {
            // SAFETY: the row is inside the tile and the block, which the caller guarantees to be valid and disjoint.
            unsafe {
                let (from, to) = (
                    block.add(row * self.columns).cast::<u8>(),
                    self.to.offset(row as isize * self.to_step).cast::<u8>(),
                );
                match stream {
                    Some(stream) => stream(from, to, bytes),
                    None => std::ptr::copy_nonoverlapping(from, to, bytes),
                }
            }
        }
    }
}
