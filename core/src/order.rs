//! The order in which reductions combine elements, the same for every CPU device and any number of threads.
//!
//! With [`Order::Lanes`], a run (the innermost reduced axis, for one index of the other reduced axes) is cut into blocks of [`lanes`]` * `[`ROWS`] elements; the last
//! may be shorter. In a block every lane starts from the [identity](#identities), and element `i` of the block goes to lane `i % lanes`: `acc[l] = op(acc[l], x)`. Then, for `h`
//! from `lanes / 2` down to 1 by halves, `acc[l] = op(acc[l], acc[l + h])` for all `l < h`, lanes that were given nothing included; `acc[0]` is the block's result. The blocks of a run are
//! the leaves of a [`Tree`], and the results of the runs (in C order of the other reduced axes) those of another.
//!
//! With [`Order::Rows`], the reduced indices of each output, in C order of all the reduced axes, are cut into blocks of [`ROWS`]. In a block the accumulator starts from the identity and
//! takes one element after another: `acc = op(acc, x)`. The blocks are the leaves of one [`Tree`] (runs do not matter: it is the order above with one lane and one run).
//!
//! A tree combines as `left = op(left, right)`. `op` and its operands' order are thus the same everywhere: what came earlier is on the left.
//!
//! # Identities
//! Sum -0 (integers 0, complex -0 - 0i), product 1 (complex 1 + 0i), minimum +infinity (integers `MAX`, bool true), maximum -infinity (`MIN`, false).
//! `op` is addition, multiplication (both wrap in integers; complex: `re = a.re * b.re - a.im * b.im`, `im = a.re * b.im + a.im * b.re`, nothing fused), and for minima and maxima
//! `if a < b || a.is_nan() { a } else { b }` and `if a > b || a.is_nan() { a } else { b }`. The identity is combined like any element, so a product of
//! complex numbers with infinite parts may be NaN from the start.
//!
//! Indices of minima and maxima do not depend on an order: the first of the best wins.
//!
//! # Deviations
//! The sum of squared deviations from the mean takes the blocks and trees above, with [`Moments`] for their results. A block of `count` elements is summed in its order (lanes, or one
//! after another), `near = sum / count`; then `d = x - near` of each element and its square `d * d` are summed in the same order, to `D` and `Q`; `rest = D / count`, and
//! `squares = Q - D * rest`, 0 if that is negative. The mean of the block is `near + rest`, its squared deviations add up to `squares`: the corrected two-pass algorithm. Blocks are combined
//! as [`Moments::combine`] says (T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983). Because means are kept in two
//! parts, the difference of two of them is exact to an eps of itself and of the spread, however far from zero they lie: the result has an error of a few hundred eps at most,
//! relative to itself, and data are read once. The deviations of equal numbers are exactly 0.
//!
//! # Scans
//! A running sum or product along an axis is cut into blocks of [`SCAN_BLOCK`] elements; the last may be shorter. Inside a block elements are combined one after another, from the first:
//! `p[0] = x[0]`, `p[i] = op(p[i - 1], x[i])`. The results of whole blocks are combined likewise: the offset of the second block is the first block's last `p`, that of each
//! further one `op(offset, p[last])` of the block before. An element is `op(offset, p[i])`, in the first block `p[i]`. So several blocks can be scanned at once, by
//! instructions that would otherwise wait for each other and by threads, and the error of a sum is at most `(SCAN_BLOCK + n / SCAN_BLOCK) * eps * sum(|x|)`.
//!
//! # Errors
//! The error of a sum of n numbers is at most `(ROWS + log2(n)) * eps * sum(|x|)`: pairwise summation with blocks
//! (N. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993).

use crate::DType;
use smallvec::SmallVec;

/// How a reduction walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Along runs of the innermost reduced axis, with a fixed number of lanes. Also where a few outputs lie side by side in rows without gaps: their lanes make vectors together.
    Lanes,
    /// Across rows of outputs, one reduced index at a time.
    Rows,
}

/// Elements that each lane (or each output, across rows) combines in sequence before a block ends.
pub const ROWS: usize = 64;

/// Lanes of a block of elements of the accumulated `dtype`: 256 bytes of them, four AVX-512 registers.
pub const fn lanes(dtype: DType) -> usize {
    256 / dtype.size()
}

/// Elements of a block of a scan. Not a multiple of a page, so that blocks that are scanned at once lie in different sets of a cache.
pub const SCAN_BLOCK: usize = 1040;

/// The mean of some elements, in two parts, and the sum of their squared deviations from it: see [the module](self#deviations).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<T> {
    /// How many elements.
    pub count: u64,
    /// A number near their mean.
    pub near: T,
    /// Their mean less `near`.
    pub rest: T,
    /// The sum of the squares of what they differ from their mean by.
    pub squares: T,
}

/// A float that [`Moments`] are made of.
pub trait Deviate: crate::Element {
    /// What `near` is for a block whose elements sum up to `sum`.
    fn near(sum: Self, count: usize) -> Self;
    /// The moments of a block, from the sums of `d = x - near` and of `d * d`.
    fn moments(count: usize, near: Self, sum: Self, squares: Self) -> Moments<Self>;
    /// What the elements on the left and on the right are weighted with when they are combined: shares of the mean, and of the squares.
    fn weights(left: u64, right: u64) -> (Self, Self);
    /// [`Moments::combine`], given the weights.
    fn merge(left: &mut Moments<Self>, right: Moments<Self>, weights: (Self, Self));
}

macro_rules! deviate {
    ($($T:ty),*) => { $(
        impl Deviate for $T {
            #[inline(always)]
            fn near(sum: $T, count: usize) -> $T {
                sum / count as $T
            }
            #[inline(always)]
            fn moments(count: usize, near: $T, sum: $T, squares: $T) -> Moments<$T> {
                let rest = sum / count as $T;
                let squares = squares - sum * rest;
                Moments { count: count as u64, near, rest, squares: if squares < 0.0 { 0.0 } else { squares } }
            }
            #[inline(always)]
            fn weights(left: u64, right: u64) -> ($T, $T) {
                let share = right as f64 / (left + right) as f64;
                (share as $T, (left as f64 * share) as $T)
            }
            #[inline(always)]
            fn merge(left: &mut Moments<$T>, right: Moments<$T>, (share, weight): ($T, $T)) {
                let apart = (right.near - left.near) + (right.rest - left.rest);
                left.rest += apart * share;
                left.squares += right.squares + apart * apart * weight;
                left.count += right.count;
            }
        }
    )* };
}
deviate!(f32, f64);

impl<T: Deviate> Moments<T> {
    /// Those of the elements of both: with `share = right.count / (left.count + right.count)` and `weight = left.count * share` (computed in f64), and `apart = (right.near - left.near) +
    /// (right.rest - left.rest)`, the right ones add `apart * share` to `rest` and `right.squares + apart * apart * weight` to `squares`.
    pub fn combine(&mut self, right: Moments<T>) {
        T::merge(self, right, T::weights(self.count, right.count));
    }
}

/// Combines leaves 0..n, given one after another, as the tree that splits n leaves at the largest power of two below n.
///
/// The tree for `n` leaves is therefore that of its full halves, quarters .. wherever those start at a multiple of their size: threads can build them apart.
pub struct Tree<T> {
    /// Partial results and the level of each: it covers `2^level` leaves. Levels descend.
    stack: SmallVec<[(T, u32); 12]>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Tree { stack: SmallVec::new() }
    }
}

impl<T> Tree<T> {
    /// Without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf. `combine(a, b)` puts b, which comes later, into a.
    pub fn push(&mut self, leaf: T, combine: impl FnMut(&mut T, T)) {
        self.push_level(leaf, 0, combine);
    }

    /// Adds the result of the next `2^level` leaves; the leaves so far must be a multiple of that many.
    pub fn push_level(&mut self, mut result: T, mut level: u32, mut combine: impl FnMut(&mut T, T)) {
        while self.stack.last().is_some_and(|(_, l)| *l == level) {
            let (mut left, _) = self.stack.pop().expect("looked at just now");
            combine(&mut left, result);
            (result, level) = (left, level + 1);
        }
        self.stack.push((result, level));
    }

    /// The result, if there were leaves.
    pub fn finish(mut self, mut combine: impl FnMut(&mut T, T)) -> Option<T> {
        let (mut result, _) = self.stack.pop()?;
        while let Some((mut left, _)) = self.stack.pop() {
            combine(&mut left, result);
            result = left;
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, to hold the streaming form against.
    fn recursive(leaves: &[String]) -> String {
        if leaves.len() == 1 {
            return leaves[0].clone();
        }
        let half = leaves.len().next_power_of_two() / 2;
        format!("({}{})", recursive(&leaves[..half]), recursive(&leaves[half..]))
    }

    #[test]
    fn streaming_builds_the_tree_of_the_definition() {
        let join = |a: &mut String, b: String| *a = format!("({a}{b})");
        for n in 1..70usize {
            let leaves: Vec<String> = (0..n).map(|i| format!("{i},")).collect();
            let mut tree = Tree::new();
            leaves.iter().for_each(|l| tree.push(l.clone(), join));
            assert_eq!(tree.finish(join).unwrap(), recursive(&leaves));
            // In chunks of 8 leaves, as threads do it.
            let mut tree = Tree::new();
            for chunk in leaves.chunks(8) {
                let level = if chunk.len() == 8 { 3 } else { 0 };
                if level == 3 { tree.push_level(recursive(chunk), 3, join) } else { chunk.iter().for_each(|l| tree.push(l.clone(), join)) }
            }
            assert_eq!(tree.finish(join).unwrap(), recursive(&leaves));
        }
        assert!(Tree::<String>::new().finish(join).is_none());
    }
}
