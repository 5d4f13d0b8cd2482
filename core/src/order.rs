//! The order in which reductions combine elements, the same for every CPU device and any number of threads.
//!
//! With [`Order::Lanes`] (the innermost axis is reduced), a run of the innermost axis is cut into blocks of [`lanes`]` * `[`ROWS`] elements. In a block,
//! element `i` goes to lane `i % lanes`; each lane combines its elements in order, starting from the [`identity`](crate::Reduction); then the upper half of the lanes is
//! combined into the lower half until one is left. Blocks are combined by [`tree`], runs (the indices of the other reduced axes) again by a tree.
//!
//! With [`Order::Rows`] (the innermost axis stays), the runs of reduced indices of each output are cut into blocks of [`ROWS`]; a block combines in order, blocks by a tree.
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
