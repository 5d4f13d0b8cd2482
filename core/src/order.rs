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
//! The error of a sum of n numbers is at most `(ROWS + log2(n)) * eps * sum(|x|)`: pairwise summation with blocks
//! (N. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993).

use crate::DType;

/// How a reduction walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Along runs of the innermost reduced axis, with a fixed number of lanes.
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

/// Combines leaves 0..n, given one after another, as the tree that splits n leaves at the largest power of two below n.
///
/// The tree for `n` leaves is therefore that of its full halves, quarters .. wherever those start at a multiple of their size: threads can build them apart.
pub struct Tree<T> {
    /// Partial results and the level of each: it covers `2^level` leaves. Levels descend.
    stack: Vec<(T, u32)>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Tree { stack: Vec::new() }
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
