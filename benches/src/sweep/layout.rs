//! Layouts of arrays, and names from which another program can build the same arrays.

use polyarray::{DynArray, Result, SliceItem};
use std::collections::HashSet;
use std::fmt;

/// A part of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// `:`
    All,
    /// `::2`
    EverySecond,
    /// `::-1`
    Reversed,
    /// `:-1`
    AllButLast,
    /// `1:`
    AllButFirst,
}

impl Part {
    /// Returns the part in the notation of Python, and as an item of a slice.
    fn item(self) -> (&'static str, SliceItem) {
        let range = |start, end, step| SliceItem::Range { start, end, step };
        match self {
            Part::All => (":", range(0, None, 1)),
            Part::EverySecond => ("::2", range(0, None, 2)),
            Part::Reversed => ("::-1", range(0, None, -1)),
            Part::AllButLast => (":-1", range(0, Some(-1), 1)),
            Part::AllButFirst => ("1:", range(1, None, 1)),
        }
    }

    /// Returns the number of elements of the axis of which the part has `n`.
    fn whole(self, n: usize) -> usize {
        match self {
            Part::All | Part::Reversed => n,
            Part::EverySecond => 2 * n,
            Part::AllButLast | Part::AllButFirst => n + 1,
        }
    }
}

/// A view of an array in C order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// All of it.
    Whole,
    /// Its axes in another order.
    Permuted(Vec<usize>),
    /// A part of each axis.
    Sliced(Vec<Part>),
}

/// The layout of an array: the shape of an array in C order, and a view of it.
///
/// Its name is, for example, `1000x1000`, `1000x1000.T`, `100x100x100.p201` (the axes 2, 0, 1) or
/// `1000x1001[:,:-1]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    base: Vec<usize>,
    view: View,
}

impl Layout {
    /// Returns the shape of the view.
    pub fn shape(&self) -> Vec<usize> {
        match &self.view {
            View::Whole => self.base.clone(),
            View::Permuted(axes) => axes.iter().map(|&a| self.base[a]).collect(),
            View::Sliced(parts) => self
                .base
                .iter()
                .zip(parts)
                .map(|(&n, part)| match part {
                    Part::EverySecond => n / 2,
                    Part::AllButLast | Part::AllButFirst => n - 1,
                    Part::All | Part::Reversed => n,
                })
                .collect(),
        }
    }

    /// Returns whether this is the layout of an array with one axis in C order.
    pub fn is_plain(&self) -> bool {
        self.base.len() == 1 && self.view == View::Whole
    }

    /// Returns the number of elements of the array that the view shows.
    pub fn base_len(&self) -> usize {
        self.base.iter().product()
    }

    /// Returns a view of the first elements of `pool`, which has one axis.
    ///
    /// # Errors
    /// If the pool is shorter than [`base_len`](Layout::base_len).
    pub fn of(&self, pool: &DynArray) -> Result<DynArray> {
        let len = self.base_len() as isize;
        let base = pool.slice([SliceItem::Range { start: 0, end: Some(len), step: 1 }])?.reshape(&self.base[..])?;
        match &self.view {
            View::Whole => Ok(base),
            View::Permuted(axes) => base.permute(&axes.iter().map(|&a| a as isize).collect::<Vec<_>>()),
            View::Sliced(parts) => base.slice(parts.iter().map(|part| part.item().1).collect::<Vec<_>>()),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |words: Vec<String>, by: &str| words.join(by);
        write!(f, "{}", joined(self.base.iter().map(usize::to_string).collect(), "x"))?;
        match &self.view {
            View::Whole => Ok(()),
            View::Permuted(axes) if axes[..] == [1, 0] => write!(f, ".T"),
            View::Permuted(axes) => write!(f, ".p{}", joined(axes.iter().map(usize::to_string).collect(), "")),
            View::Sliced(parts) => {
                write!(f, "[{}]", joined(parts.iter().map(|part| part.item().0.to_string()).collect(), ","))
            }
        }
    }
}

/// Lengths of the short axes.
const SHORT: [usize; 10] = [1, 2, 3, 5, 7, 10, 16, 20, 31, 33];

/// Returns the layouts of about `n` elements, the contiguous one of one axis first.
pub fn all(n: usize) -> Vec<Layout> {
    use Part::{All, AllButFirst, AllButLast, EverySecond, Reversed};
    let root = |k: u32| (n as f64).powf(1.0 / f64::from(k)).round() as usize;
    let (square, cube, four) = (root(2), root(3), root(4));
    let mut out = Vec::new();
    let whole = |base: &[usize]| Layout { base: base.to_vec(), view: View::Whole };
    let permuted = |base: &[usize], axes: &[usize]| Layout { base: base.to_vec(), view: View::Permuted(axes.to_vec()) };
    let sliced = |shape: &[usize], parts: &[Part]| Layout {
        base: shape.iter().zip(parts).map(|(&n, part)| part.whole(n)).collect(),
        view: View::Sliced(parts.to_vec()),
    };
    out.push(whole(&[n]));
    out.extend([AllButFirst, EverySecond, Reversed].map(|part| sliced(&[n], &[part])));
    out.extend([whole(&[square, square]), permuted(&[square, square], &[1, 0])]);
    let parts = [[All, EverySecond], [EverySecond, All], [Reversed, Reversed], [All, AllButLast], [AllButFirst; 2]];
    out.extend(parts.map(|parts| sliced(&[square, square], &parts)));
    for short in SHORT {
        let long = n / short;
        let side = ((long as f64).sqrt().round() as usize).max(1);
        out.extend([whole(&[long, short]), whole(&[short, long]), whole(&[side, short, side])]);
        out.extend([whole(&[4, long / 4, short]), permuted(&[long, short], &[1, 0])]);
    }
    out.push(whole(&[cube; 3]));
    let orders = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    out.extend(orders.map(|axes| permuted(&[cube; 3], &axes)));
    let parts = [[All, All, AllButLast], [All, AllButLast, All], [All, All, EverySecond], [All, Reversed, All]];
    out.extend(parts.map(|parts| sliced(&[cube; 3], &parts)));
    out.push(whole(&[four; 4]));
    // Of images, NHWC to NCHW and back; pairs of axes; all axes.
    let orders = [[0, 3, 1, 2], [0, 2, 3, 1], [0, 2, 1, 3], [2, 3, 0, 1], [3, 2, 1, 0]];
    out.extend(orders.map(|axes| permuted(&[four; 4], &axes)));
    // An image of three channels, its planes, and back.
    let side = ((n / 3) as f64).sqrt() as usize;
    out.extend([permuted(&[side, side, 3], &[2, 0, 1]), permuted(&[3, side, side], &[1, 2, 0])]);
    let mut seen = HashSet::new();
    out.retain(|layout| layout.base_len() > 0 && seen.insert(layout.clone()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyarray::{DType, Scalar};

    #[test]
    fn views_have_the_shapes_that_their_layouts_state_and_distinct_names() {
        for n in [1000, 10_000] {
            let pool = DynArray::full([4 * n], Scalar::new(1u8)).unwrap();
            let layouts = all(n);
            let names: HashSet<String> = layouts.iter().map(Layout::to_string).collect();
            assert_eq!(names.len(), layouts.len());
            for layout in &layouts {
                let view = layout.of(&pool).unwrap();
                assert_eq!(view.shape(), layout.shape(), "{layout}");
                assert!(view.len() > n / 2 && view.len() < 2 * n && view.dtype() == DType::U8, "{layout}");
            }
        }
    }

    #[test]
    fn names_say_how_to_build_an_array() {
        let names: Vec<String> = all(1_000_000).iter().map(Layout::to_string).collect();
        for name in ["1000000", "1000001[1:]", "1000x1000.T", "1000x2000[:,::2]", "333333x3", "100x100x100.p201"] {
            assert!(names.iter().any(|n| n == name), "{name} is missing in {names:?}");
        }
    }
}
