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
