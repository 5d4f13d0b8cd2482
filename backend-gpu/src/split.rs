//! Splitting an index space into pieces whose operands fit the largest binding.

use polyarray_core::Result;

/// Returns the bytes moved for each element of an operand with these strides. Neighbouring invocations go along the
/// last axis.
pub(crate) fn traffic(strides: &[isize]) -> f64 {
    match strides.last().map_or(0, |s| s.unsigned_abs()) {
        0 => 0.0,
        1 => 4.0,
        // Each element moves a whole sector of memory.
        _ => 32.0,
    }
}

/// Checks whether a piece that takes `seconds` keeps to `limit`. If not, the piece is halved along the first of `axes`
/// that has more than one index; without such an axis it counts as fitting.
pub(crate) fn in_time(piece: &[usize], axes: impl IntoIterator<Item = usize>, seconds: f64, limit: f64) -> Cut {
    let first = || axes.into_iter().find(|&a| piece[a] > 1);
    if seconds <= limit { Cut::Fits } else { first().map_or(Cut::Fits, Cut::Halve) }
}

/// The result of a check whether a piece can be launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The piece fits as it is.
    Fits,
    /// The piece must be halved along this axis.
    Halve(usize),
    /// The piece never fits: one element of it is too much.
    Never,
}

/// Returns the number of elements from the first to the last one that an operand with these strides touches in a piece.
pub(crate) fn reach(piece: &[usize], strides: &[isize]) -> usize {
    piece.iter().zip(strides).fold(1usize, |sum, (&n, &s)| sum.saturating_add((n - 1).saturating_mul(s.unsigned_abs())))
}

/// Checks whether an operand's part of a piece, with `per` elements for each position, fits into `room` elements. If
/// not, the piece is halved along the axis that extends the part most.
pub(crate) fn check(piece: &[usize], strides: &[isize], per: usize, room: usize) -> Cut {
    if reach(piece, strides).saturating_mul(per) <= room {
        return Cut::Fits;
    }
    let stretch = |axis: usize| (piece[axis] - 1).saturating_mul(strides[axis].unsigned_abs());
    match (0..piece.len()).max_by_key(|&a| stretch(a)) {
        Some(axis) if stretch(axis) > 0 => Cut::Halve(axis),
        _ => Cut::Never,
    }
}

/// Returns the lengths of the pieces of an index space, halved until `check` returns [`Cut::Fits`]. Returns `None` if
/// it returns [`Cut::Never`].
pub(crate) fn pieces(lens: &[usize], check: impl Fn(&[usize]) -> Cut) -> Option<Vec<usize>> {
    let mut piece = lens.to_vec();
    loop {
        match check(&piece) {
            Cut::Fits => return Some(piece),
            Cut::Halve(axis) => piece[axis] = piece[axis].div_ceil(2),
            Cut::Never => return None,
        }
    }
}

/// Calls `f` with the start and the lengths of each piece of the space.
pub(crate) fn for_each(
    lens: &[usize],
    piece: &[usize],
    mut f: impl FnMut(&[usize], &[usize]) -> Result<()>,
) -> Result<()> {
    let mut start = vec![0; lens.len()];
    loop {
        let here: Vec<usize> = (0..lens.len()).map(|a| piece[a].min(lens[a] - start[a])).collect();
        f(&start, &here)?;
        let mut axis = lens.len();
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            start[axis] += piece[axis];
            if start[axis] < lens[axis] {
                break;
            }
            start[axis] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_space_once_and_fit() {
        let (lens, strides) = ([7usize, 5, 3], [15isize, -3, 1]);
        for room in [1, 2, 10, 40, 104, 105, 200] {
            let piece = pieces(&lens, |p| check(p, &strides, 1, room)).unwrap();
            assert!(reach(&piece, &strides) <= room);
            let mut seen = vec![0; 105];
            for_each(&lens, &piece, |start, here| {
                for i in 0..here[0] {
                    for j in 0..here[1] {
                        for k in 0..here[2] {
                            seen[(start[0] + i) * 15 + (start[1] + j) * 3 + start[2] + k] += 1;
                        }
                    }
                }
                Ok(())
            })
            .unwrap();
            assert!(seen.iter().all(|&n| n == 1), "room {room}, pieces {piece:?}");
        }
        assert_eq!(pieces(&lens, |p| check(p, &strides, 2, 1)), None);
        assert_eq!(check(&[4, 4], &[0, 0], 1, 1), Cut::Fits, "a broadcast operand never grows");
    }
}
