//! Iteration over the indices of strided operands.

use smallvec::SmallVec;
use std::ops::Range;

/// Calls `f` once for each index of axes of lengths `lens` whose number in C order lies in `range`. `f` receives the
/// position of every operand in elements. `starts` are the positions at index zero. `strides[o]` are the strides of
/// operand `o` for these axes; further strides are ignored.
pub fn walk<const N: usize>(
    lens: &[usize],
    strides: [&[isize]; N],
    starts: [isize; N],
    range: Range<usize>,
    mut f: impl FnMut([isize; N]),
) {
    walk_many(lens, &strides, &starts, range, |at| f(std::array::from_fn(|i| at[i])));
}

/// [`walk`] for a number of operands that is only known at run time.
pub fn walk_many(
    lens: &[usize],
    strides: &[&[isize]],
    starts: &[isize],
    range: Range<usize>,
    mut f: impl FnMut(&[isize]),
) {
    walk_each(lens, strides, starts, range, &mut f);
}

/// The implementation of [`walk_many`]. `f` is a trait object, so it is compiled only once.
fn walk_each(lens: &[usize], strides: &[&[isize]], starts: &[isize], range: Range<usize>, f: &mut dyn FnMut(&[isize])) {
    if range.is_empty() {
        return;
    }
    if lens.is_empty() {
        return f(starts);
    }
    let mut at: SmallVec<[isize; 8]> = starts.into();
    let mut index: SmallVec<[usize; 8]> = SmallVec::from_elem(0, lens.len());
    let mut rest = range.start;
    for axis in (0..lens.len()).rev() {
        index[axis] = rest % lens[axis];
        rest /= lens[axis];
        for (a, s) in at.iter_mut().zip(strides) {
            *a += index[axis] as isize * s[axis];
        }
    }
    for step in range.clone() {
        f(&at);
        if step + 1 == range.end {
            return;
        }
        for axis in (0..lens.len()).rev() {
            index[axis] += 1;
            let wrapped = index[axis] == lens[axis];
            for (a, s) in at.iter_mut().zip(strides) {
                *a += if wrapped { -(index[axis] as isize - 1) * s[axis] } else { s[axis] };
            }
            if !wrapped {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// Returns whether operands with these strides have their elements in C order without gaps. Strides of axes of length 1
/// do not matter.
pub fn dense(lens: &[usize], strides: &[isize]) -> bool {
    let mut step = 1;
    lens.iter().zip(strides).rev().all(|(&len, &stride)| {
        let fits = len == 1 || stride == step;
        step *= len as isize;
        fits
    })
}

/// Copies the elements numbered `range` in C order, of an operand of these strides, to consecutive elements of `to`.
///
/// # Safety
/// - `from` is the address of the operand's element at index zero; every element of `range` is valid for reads, and has
///   `size` bytes;
/// - `to` is valid for writes of as many elements as `range` has; it does not overlap the operand.
pub unsafe fn gather(
    lens: &[usize],
    strides: &[isize],
    range: Range<usize>,
    from: *const u8,
    to: *mut u8,
    size: usize,
) {
    let steps = last_two(strides);
    for_blocks(lens, [strides], range, |[position], part, done| {
        // SAFETY: the positions are those of elements of `range`, which the caller guarantees, as it does the room in
        // `to`.
        unsafe {
            let from = from.wrapping_offset(position * size as isize);
            copy_block(from, steps, to.add(done * size), [part[1] as isize, 1], part, size);
        }
    });
}

/// Copies consecutive elements of `from`, or its first one if `single`, to the elements numbered `range` in C order of
/// an operand of these strides.
///
/// # Safety
/// - `from` is valid for reads of as many elements as `range` has, or of one; each has `size` bytes;
/// - `to` is the address of the operand's element at index zero; every element of `range` is valid for writes; they do
///   not overlap `from`.
pub unsafe fn scatter(
    lens: &[usize],
    strides: &[isize],
    range: Range<usize>,
    (from, single): (*const u8, bool),
    to: *mut u8,
    size: usize,
) {
    let (steps, along) = (last_two(strides), isize::from(!single));
    for_blocks(lens, [strides], range, |[position], part, done| {
        // SAFETY: as in `gather`.
        unsafe {
            let to = to.wrapping_offset(position * size as isize);
            let from = from.wrapping_offset(done as isize * along * size as isize);
            copy_block(from, [part[1] as isize * along, along], to, steps, part, size);
        }
    });
}

/// Copies the elements at all indices of axes of lengths `lens` between two operands of these strides.
///
/// # Safety
/// - `from` and `to` are the addresses of the operands' elements at index zero, which have `size` bytes; all elements
///   of `from` are valid for reads, and those of `to` for writes; the operands do not overlap.
pub(crate) unsafe fn copy(lens: &[usize], strides: [&[isize]; 2], from: *const u8, to: *mut u8, size: usize) {
    let [from_steps, to_steps] = strides.map(|s| last_two(&s[..lens.len()]));
    for_blocks(lens, strides, 0..lens.iter().product(), |positions, part, _| {
        let [from_at, to_at] = positions.map(|p| p * size as isize);
        // SAFETY: the positions are those of elements, which the caller guarantees.
        unsafe {
            copy_block(from.wrapping_offset(from_at), from_steps, to.wrapping_offset(to_at), to_steps, part, size);
        }
    });
}

/// Returns the strides of the last two axes; 0 for one that does not exist.
pub fn last_two(strides: &[isize]) -> [isize; 2] {
    [2, 1].map(|back| strides.len().checked_sub(back).map_or(0, |axis| strides[axis]))
}

/// Calls `f(positions, [rows, columns], done)` for each part of the elements numbered `range` in C order: `rows` rows
/// of the innermost axis, and of each the same `columns`. `positions` are those of the part's first element in each
/// operand, in elements and relative to the element at index zero; `strides[o]` are the strides of operand `o`. `done`
/// is the number of elements before the part. There is at least one axis.
pub fn for_blocks<const N: usize>(
    lens: &[usize],
    strides: [&[isize]; N],
    range: Range<usize>,
    mut f: impl FnMut([isize; N], [usize; 2], usize),
) {
    let (&inner, outer) = lens.split_last().expect("at least one axis");
    let (&middle, outer) = outer.split_last().unwrap_or((&1, &[]));
    let axes = outer.len();
    let steps = strides.map(|s| last_two(&s[..lens.len()]));
    let (mut column, mut row) = (range.start % inner, range.start / inner % middle);
    // The index of the outer axes, and their share of the positions.
    let mut index: SmallVec<[usize; 8]> = SmallVec::from_elem(0, axes);
    let (mut rest, mut base) = (range.start / inner / middle, [0; N]);
    let moved = |base: &mut [isize; N], axis: usize, by: isize| {
        base.iter_mut().zip(strides).for_each(|(base, s)| *base += by * s[axis]);
    };
    for axis in (0..axes).rev() {
        index[axis] = rest % outer[axis];
        rest /= outer[axis];
        moved(&mut base, axis, index[axis] as isize);
    }
    let mut at = range.start;
    while at < range.end {
        let left = range.end - at;
        let whole = column == 0 && left >= inner;
        let part = if whole { [(middle - row).min(left / inner), inner] } else { [1, (inner - column).min(left)] };
        let first = std::array::from_fn(|o| base[o] + row as isize * steps[o][0] + column as isize * steps[o][1]);
        f(first, part, at - range.start);
        at += part[0] * part[1];
        column += part[1];
        if column == inner {
            (column, row) = (0, row + part[0]);
        }
        if row < middle {
            continue;
        }
        row = 0;
        for axis in (0..axes).rev() {
            index[axis] += 1;
            moved(&mut base, axis, 1);
            if index[axis] < outer[axis] {
                break;
            }
            moved(&mut base, axis, -(outer[axis] as isize));
            index[axis] = 0;
        }
    }
}

/// Copies `rows` times `columns` elements of `size` bytes between positions whose strides along rows and columns are
/// `from_strides` and `to_strides`, in elements.
///
/// # Safety
/// - `from` is valid for reads and `to` for writes of those elements; they do not overlap, or are the same.
unsafe fn copy_block(
    from: *const u8,
    from_strides: [isize; 2],
    to: *mut u8,
    to_strides: [isize; 2],
    part: [usize; 2],
    size: usize,
) {
    /// Copies rows of `N` elements.
    ///
    /// # Safety
    /// - as for `copy_block`, with elements of the size of `T` and `N` columns.
    unsafe fn narrow<T: Copy, const N: usize>(
        mut from: *const T,
        [down, along]: [isize; 2],
        mut to: *mut T,
        [to_down, to_along]: [isize; 2],
        rows: usize,
    ) {
        for _ in 0..rows {
            for i in 0..N as isize {
                // SAFETY: the caller guarantees that the elements are valid. Unaligned, because complex numbers are
                // aligned to their parts only.
                unsafe {
                    to.wrapping_offset(i * to_along).write_unaligned(from.wrapping_offset(i * along).read_unaligned())
                };
            }
            (from, to) = (from.wrapping_offset(down), to.wrapping_offset(to_down));
        }
    }
    /// # Safety
    /// - as for `copy_block`, with elements of the size of `T`.
    unsafe fn copy<T: Copy>(from: *const u8, f: [isize; 2], to: *mut u8, t: [isize; 2], [rows, columns]: [usize; 2]) {
        let (from, to) = (from.cast::<T>(), to.cast::<T>());
        // SAFETY: the caller guarantees elements of the size of `T` at all positions, as for `copy_block`.
        unsafe {
            match columns {
                1 => narrow::<T, 1>(from, f, to, t, rows),
                2 => narrow::<T, 2>(from, f, to, t, rows),
                3 => narrow::<T, 3>(from, f, to, t, rows),
                4 => narrow::<T, 4>(from, f, to, t, rows),
                5 => narrow::<T, 5>(from, f, to, t, rows),
                6 => narrow::<T, 6>(from, f, to, t, rows),
                7 => narrow::<T, 7>(from, f, to, t, rows),
                8 => narrow::<T, 8>(from, f, to, t, rows),
                _ => {
                    for row in 0..rows as isize {
                        let (from, to) = (from.wrapping_offset(row * f[0]), to.wrapping_offset(row * t[0]));
                        copy_strided(from.cast(), f[1], to.cast(), t[1], columns, size_of::<T>());
                    }
                }
            }
        }
    }
    // SAFETY: the caller guarantees valid elements of `size` bytes; `T` has that size.
    unsafe {
        match size {
            1 => copy::<u8>(from, from_strides, to, to_strides, part),
            2 => copy::<u16>(from, from_strides, to, to_strides, part),
            4 => copy::<u32>(from, from_strides, to, to_strides, part),
            8 => copy::<u64>(from, from_strides, to, to_strides, part),
            _ => copy::<u128>(from, from_strides, to, to_strides, part),
        }
    }
}

/// Copies `n` elements of `size` bytes from elements `from_step` apart to elements `to_step` apart.
///
/// # Safety
/// - `from` is valid for reads and `to` for writes of those elements; they do not overlap, or are the same.
pub unsafe fn copy_strided(from: *const u8, from_step: isize, to: *mut u8, to_step: isize, n: usize, size: usize) {
    /// # Safety
    /// - as for `copy_strided`, with elements of the size of `T`.
    unsafe fn copy<T: Copy>(from: *const T, from_step: isize, to: *mut T, to_step: isize, n: usize) {
        // SAFETY: the caller guarantees that `n` elements at these steps are valid. Unaligned, because complex numbers
        // are aligned to their parts only.
        unsafe {
            if from_step == 0 && to_step == 1 {
                let value = from.read_unaligned();
                return (0..n).for_each(|i| to.add(i).write_unaligned(value));
            }
            for i in 0..n as isize {
                to.offset(i * to_step).write_unaligned(from.offset(i * from_step).read_unaligned());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_walk_is_what_the_whole_gives_there() {
        let (lens, strides) = ([3, 4, 2], [[10isize, -2, 1], [0, 7, 3]]);
        let mut all = Vec::new();
        walk(&lens, [&strides[0], &strides[1]], [100, 5], 0..24, |at| all.push(at));
        let expected: Vec<[isize; 2]> = (0..24)
            .map(|i: isize| [i / 8, i / 2 % 4, i % 2])
            .map(|ix| [0, 1].map(|o: usize| [100, 5][o] + (0..3).map(|a| ix[a] * strides[o][a]).sum::<isize>()))
            .collect();
        assert_eq!(all, expected);
        for (lo, hi) in [(0, 0), (5, 17), (23, 24), (7, 8)] {
            let mut part = Vec::new();
            walk(&lens, [&strides[0], &strides[1]], [100, 5], lo..hi, |at| part.push(at));
            assert_eq!(part, all[lo..hi]);
        }
        let mut once = 0;
        walk(&[], [], [], 0..1, |[]| once += 1);
        assert_eq!(once, 1, "no axes: one index");
    }
}
