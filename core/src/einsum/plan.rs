//! Plans the order in which operands are contracted.

use super::parse::{Label, Labels, Parsed, Set, members, set, written};
use crate::MAX_NDIM;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The largest number of operands for which an exhaustive search finds the best order.
const SEARCHED: usize = 8;

/// The numbers of two values.
type Pair = (usize, usize);

/// One step of a plan. The operands are values 0, 1 ..; the result of each step is the next value.
#[derive(Debug)]
pub(super) enum Step {
    /// Sums over the indices of a value that are not among `labels`.
    Sum { of: usize, labels: Labels },
    /// Multiplies two values and sums over the indices that are not among `labels`. The summed indices are indices of
    /// both values.
    Contract { pair: Pair, labels: Labels },
}

/// The steps from the operands to the result.
///
/// Invariants:
/// 1. every value except the last is used by one step;
/// 2. the last value has the indices of the output, in any order if it is an operand;
/// 3. no value has more than [`MAX_NDIM`] indices.
#[derive(Debug)]
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub values: Vec<Labels>,
}

impl Plan {
    /// Plans the contractions: with the fewest multiply-adds for up to [`SEARCHED`] operands, by a greedy search for
    /// more.
    pub fn new(parsed: &Parsed) -> Result<Plan, String> {
        let mut plan = Plan { steps: Vec::new(), values: parsed.operands.iter().map(|o| o.labels.clone()).collect() };
        let shared = shared(parsed);
        let live: Vec<usize> = (0..plan.values.len()).map(|i| plan.summed_alone(i, shared)).collect();
        let sets: Vec<Set> = live.iter().map(|&i| set(&plan.values[i])).collect();
        let output = set(&parsed.output);
        let pairs = if sets.len() <= SEARCHED { best(&sets, output, parsed) } else { greedy(&sets, output, parsed) };
        let pairs = pairs.ok_or_else(|| {
            format!("every order of contraction has an intermediate result of more than {MAX_NDIM} axes")
        })?;
        // The searches number their inputs 0, 1 .. and then their own results. `numbers` maps these to values of the
        // plan.
        let mut numbers = live;
        let mut used = vec![false; numbers.len() + pairs.len()];
        for (i, &(a, b)) in pairs.iter().enumerate() {
            let pair = (numbers[a], numbers[b]);
            (used[a], used[b]) = (true, true);
            let later = numbers
                .iter()
                .zip(&used)
                .filter(|(_, used)| !**used)
                .fold(output, |s, (&v, _)| s | set(&plan.values[v]));
            let labels = if i + 1 == pairs.len() { parsed.output.clone() } else { plan.kept(pair, later) };
            numbers.push(plan.push(Step::Contract { pair, labels: labels.clone() }, labels));
        }
        Ok(plan)
    }

    fn push(&mut self, step: Step, labels: Labels) -> usize {
        self.steps.push(step);
        self.values.push(labels);
        self.values.len() - 1
    }

    /// Sums operand `i` over the indices that neither another operand nor the output has (those not among `shared`).
    /// Returns the number of the resulting value.
    fn summed_alone(&mut self, i: usize, shared: Set) -> usize {
        let labels: Labels = self.values[i].iter().copied().filter(|l| shared >> l & 1 == 1).collect();
        if labels.len() == self.values[i].len() {
            return i;
        }
        self.push(Step::Sum { of: i, labels: labels.clone() }, labels)
    }

    /// Returns the indices of the product of `pair` that are among `later`, in the order of a matrix product: of both,
    /// of the left, of the right.
    fn kept(&self, pair: Pair, later: Set) -> Labels {
        let (a, b) = (&self.values[pair.0], &self.values[pair.1]);
        let keep = |l: &&Label| later >> **l & 1 == 1;
        let both = a.iter().filter(|l| b.contains(l));
        both.chain(a.iter().filter(|l| !b.contains(l)))
            .chain(b.iter().filter(|l| !a.contains(l)))
            .filter(keep)
            .copied()
            .collect()
    }

    pub fn describe(&self, step: usize) -> String {
        let of = |v: usize| written(&self.values[v]);
        match &self.steps[step] {
            Step::Sum { of: v, labels } => format!("{}->{}", of(*v), written(labels)),
            Step::Contract { pair, labels } => format!("{},{}->{}", of(pair.0), of(pair.1), written(labels)),
        }
    }
}

/// Finds the order with the fewest multiply-adds and, among those, the fewest elements in all intermediate results, by
/// dynamic programming over subsets (R. N. C. Pfeifer, J. Haegeman, F. Verstraete, "Faster identification of optimal
/// contraction sequences for tensor networks", Phys. Rev. E 90, 033315, 2014). Returns `None` if every order has a
/// result of more than [`MAX_NDIM`] axes.
fn best(sets: &[Set], output: Set, parsed: &Parsed) -> Option<Vec<Pair>> {
    #[derive(Clone, Copy)]
    struct Found {
        cost: u128,
        elements: u128,
        /// One of the two subsets that the last contraction combines; 0 for a single operand.
        left: usize,
    }
    let n = sets.len();
    let everything = (1usize << n) - 1;
    let union = |subset: usize| (0..n).filter(|i| subset >> i & 1 == 1).fold(0, |s, i| s | sets[i]);
    let labels: Vec<Set> = (0..=everything).map(|s| union(s) & (output | union(everything & !s))).collect();
    let mut found: Vec<Option<Found>> = vec![None; everything + 1];
    for subset in 1..=everything {
        if subset.is_power_of_two() {
            found[subset] = Some(Found { cost: 0, elements: 0, left: 0 });
            continue;
        }
        if labels[subset].count_ones() as usize > MAX_NDIM {
            continue;
        }
        let own = parsed.elements(labels[subset]);
        let mut left = (subset - 1) & subset;
        while left > 0 {
            let right = subset & !left;
            // Of the two ways to write a split, consider the one whose left part has the first operand.
            if left & subset & subset.wrapping_neg() != 0
                && let (Some(a), Some(b)) = (found[left], found[right])
            {
                let cost = parsed.elements(labels[left] | labels[right]).saturating_add(a.cost).saturating_add(b.cost);
                let elements = own.saturating_add(a.elements).saturating_add(b.elements);
                if found[subset].is_none_or(|f| (cost, elements) < (f.cost, f.elements)) {
                    found[subset] = Some(Found { cost, elements, left });
                }
            }
            left = (left - 1) & subset;
        }
    }
    found[everything]?;
    /// Appends the pairs that compute `subset` to `pairs`. Returns the number of its value.
    fn emit(subset: usize, n: usize, left: &impl Fn(usize) -> usize, pairs: &mut Vec<Pair>) -> usize {
        if subset.is_power_of_two() {
            return subset.trailing_zeros() as usize;
        }
        let part = left(subset);
        let a = emit(part, n, left, pairs);
        let b = emit(subset & !part, n, left, pairs);
        pairs.push((a, b));
        n + pairs.len() - 1
    }
    let mut pairs = Vec::new();
    emit(everything, n, &|s| found[s].map_or(0, |f| f.left), &mut pairs);
    Some(pairs)
}

/// Returns the indices that the output or several operands have.
fn shared(parsed: &Parsed) -> Set {
    let mut seen = set(&parsed.output);
    let mut shared = seen;
    for operand in &parsed.operands {
        let own = set(&operand.labels);
        shared |= seen & own;
        seen |= own;
    }
    shared
}

/// Contracts in each step the pair whose result is smallest relative to its operands (by difference in elements); pairs
/// without a common index come last. This is the greedy search of opt_einsum (D. G. A. Smith, J. Gray, "opt_einsum - A
/// Python package for optimizing contraction order for einsum-like expressions", J. Open Source Softw. 3(26), 753,
/// 2018).
///
/// The queue has one entry for each value: its best pair with an earlier value. The score of a pair never changes:
/// other steps may reduce the number of values that have one of its indices, but only the pair's own step can take the
/// index from all other values. Since a value only loses partners among earlier values, an entry whose partner is gone
/// is a lower bound on the remaining ones, and is recomputed when it comes first. This needs about n^2 estimates of
/// pairs for n operands.
fn greedy(sets: &[Set], output: Set, parsed: &Parsed) -> Option<Vec<Pair>> {
    let mut search = Search { parsed, values: Vec::new(), owners: [0; Set::BITS as usize], queue: BinaryHeap::new() };
    members(output).for_each(|l| search.owners[l as usize] += 1);
    sets.iter().for_each(|&labels| search.add(labels));
    // The score of a pair depends on which values have its indices, so all values are added first.
    (1..sets.len()).for_each(|value| search.enqueue(value));
    let mut pairs = Vec::new();
    while pairs.len() + 1 < sets.len() {
        let Reverse(Entry { pair: (b, a), .. }) = search.queue.pop()?;
        match (search.values[a].live, search.values[b].live) {
            (true, true) => {
                let result = search.result(a, b);
                search.remove(a);
                search.remove(b);
                pairs.push((a, b));
                search.add(result);
                search.enqueue(search.values.len() - 1);
            }
            (false, true) => search.enqueue(b),
            (_, false) => {}
        }
    }
    Some(pairs)
}

struct Known {
    labels: Set,
    elements: f64,
    live: bool,
}

/// The best pair of a value with an earlier one. The smallest entry is contracted first.
#[derive(PartialEq)]
struct Entry {
    disjoint: bool,
    growth: f64,
    /// The numbers of the later and the earlier value.
    pair: Pair,
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        let growth = self.growth.total_cmp(&other.growth);
        self.disjoint.cmp(&other.disjoint).then(growth).then(self.pair.cmp(&other.pair))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Search<'a> {
    parsed: &'a Parsed,
    values: Vec<Known>,
    /// The number of live values that have each index. The output counts as one.
    owners: [u32; Set::BITS as usize],
    queue: BinaryHeap<Reverse<Entry>>,
}

impl Search<'_> {
    fn add(&mut self, labels: Set) {
        members(labels).for_each(|l| self.owners[l as usize] += 1);
        self.values.push(Known { labels, elements: self.parsed.elements(labels) as f64, live: true });
    }

    fn remove(&mut self, value: usize) {
        self.values[value].live = false;
        members(self.values[value].labels).for_each(|l| self.owners[l as usize] -= 1);
    }

    /// Returns the indices of the product of two live values: those that another value or the output also has.
    fn result(&self, a: usize, b: usize) -> Set {
        let (a, b) = (self.values[a].labels, self.values[b].labels);
        let own = |l: Label| (a >> l & 1) as u32 + (b >> l & 1) as u32;
        members(a | b).filter(|&l| self.owners[l as usize] > own(l)).fold(0, |s, l| s | 1 << l)
    }

    /// Adds the best pair of `value` with an earlier live value to the queue, unless all results exceed [`MAX_NDIM`]
    /// axes.
    fn enqueue(&mut self, value: usize) {
        let mut best: Option<Entry> = None;
        for other in (0..value).filter(|&other| self.values[other].live) {
            let result = self.result(other, value);
            if result.count_ones() as usize > MAX_NDIM {
                continue;
            }
            let (a, b) = (&self.values[other], &self.values[value]);
            let growth = self.parsed.elements(result) as f64 - a.elements - b.elements;
            let entry = Entry { disjoint: a.labels & b.labels == 0, growth, pair: (value, other) };
            if best.as_ref().is_none_or(|b| entry < *b) {
                best = Some(entry);
            }
        }
        self.queue.extend(best.map(Reverse));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(subscripts: &str, shapes: &[&[usize]]) -> Vec<String> {
        let parsed = Parsed::new(subscripts, shapes).unwrap();
        let plan = Plan::new(&parsed).unwrap();
        (0..plan.steps.len()).map(|i| plan.describe(i)).collect()
    }

    /// Returns the multiply-adds of a sequence of pairs.
    fn cost(pairs: &[Pair], sets: &[Set], output: Set, parsed: &Parsed) -> u128 {
        let mut values: Vec<Option<Set>> = sets.iter().copied().map(Some).collect();
        let mut total = 0;
        for &(a, b) in pairs {
            let (a, b) = (values[a].take().expect("used once"), values[b].take().expect("used once"));
            let later = values.iter().flatten().fold(output, |s, v| s | v);
            total += parsed.elements(a | b);
            values.push(Some((a | b) & later));
        }
        assert_eq!(values.iter().flatten().collect::<Vec<_>>(), [&output], "one value is left");
        total
    }

    /// Returns the lowest cost of all orders, by exhaustive search.
    fn least(values: &[Set], output: Set, parsed: &Parsed) -> u128 {
        if values.len() == 1 {
            return 0;
        }
        let mut best = u128::MAX;
        for j in 1..values.len() {
            for i in 0..j {
                let mut rest: Vec<Set> =
                    values.iter().enumerate().filter(|(k, _)| *k != i && *k != j).map(|(_, &v)| v).collect();
                let later = rest.iter().fold(output, |s, v| s | v);
                rest.push((values[i] | values[j]) & later);
                best = best.min(parsed.elements(values[i] | values[j]) + least(&rest, output, parsed));
            }
        }
        best
    }

    #[test]
    fn a_chain_of_matrices_is_contracted_in_the_cheap_order() {
        // Contracting both ends first makes no large matrix. Starting at the end with the short axis keeps results
        // small.
        let ends = ["ab,bc->ac", "cd,de->ce", "ac,ce->ae"];
        assert_eq!(steps("ab,bc,cd,de->ae", &[&[10, 1000], &[1000, 2], &[2, 1000], &[1000, 3]]), ends);
        let from_the_left = ["ab,bc->ac", "ac,cd->ad", "ad,de->ae"];
        assert_eq!(steps("ab,bc,cd,de->ae", &[&[2, 50], &[50, 50], &[50, 50], &[50, 50]]), from_the_left);
        let from_the_right = ["cd,de->ce", "bc,ce->be", "ab,be->ae"];
        assert_eq!(steps("ab,bc,cd,de->ae", &[&[50, 50], &[50, 50], &[50, 50], &[50, 2]]), from_the_right);
    }

    #[test]
    fn sums_come_before_products() {
        assert_eq!(steps("ij,kl->", &[&[2, 3], &[4, 5]]), ["ij->", "kl->", ",->"]);
        assert_eq!(steps("ij,jk->", &[&[2, 3], &[3, 5]]), ["ij->j", "jk->j", "j,j->"]);
        assert_eq!(steps("ij->i", &[&[2, 3]]), ["ij->i"]);
        assert!(steps("ij->ji", &[&[2, 3]]).is_empty());
        assert_eq!(
            steps("ij,ij->", &[&[2, 1], &[2, 3]]),
            ["ij->i", "i,i->"],
            "an operand that stretches does not have the index"
        );
    }

    #[test]
    fn the_searched_order_is_the_best_of_all() {
        let shapes: [&[usize]; 5] = [&[2, 7, 3], &[3, 5], &[5, 7, 4], &[4, 6], &[6, 2, 9]];
        for output in ["g", "ag", "gc", "fgb"] {
            let parsed = Parsed::new(&format!("abc,cd,dbe,ef,fag->{output}"), &shapes).unwrap();
            let sets: Vec<Set> = parsed.operands.iter().map(|o| set(&o.labels)).collect();
            let output = set(&parsed.output);
            let least = least(&sets, output, &parsed);
            assert_eq!(cost(&best(&sets, output, &parsed).unwrap(), &sets, output, &parsed), least);
            assert!(cost(&greedy(&sets, output, &parsed).unwrap(), &sets, output, &parsed) >= least);
        }
    }

    /// The greedy order, found by comparing all remaining pairs in each step.
    fn greedy_by_trying_all(sets: &[Set], output: Set, parsed: &Parsed) -> Option<Vec<Pair>> {
        let mut live: Vec<(usize, Set)> = sets.iter().copied().enumerate().collect();
        let mut pairs = Vec::new();
        while live.len() > 1 {
            let mut least: Option<((bool, f64), usize, usize, Set)> = None;
            for j in 1..live.len() {
                for i in 0..j {
                    let (a, b) = (live[i].1, live[j].1);
                    let later =
                        live.iter().enumerate().filter(|(k, _)| *k != i && *k != j).fold(output, |s, (_, v)| s | v.1);
                    let result = (a | b) & later;
                    let [r, a_size, b_size] = [result, a, b].map(|s| parsed.elements(s) as f64);
                    let score = (a & b == 0, r - a_size - b_size);
                    if result.count_ones() as usize <= MAX_NDIM && least.is_none_or(|(s, ..)| score < s) {
                        least = Some((score, i, j, result));
                    }
                }
            }
            let (_, i, j, result) = least?;
            let (b, a) = (live.remove(j).0, live.remove(i).0);
            pairs.push((a, b));
            live.push((sets.len() + pairs.len() - 1, result));
        }
        Some(pairs)
    }

    #[test]
    fn the_greedy_order_is_that_of_trying_all_pairs() {
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for round in 0..60 {
            let (operands, letters) = (2 + random(14), 3 + random(12));
            let sizes: Vec<usize> = (0..letters).map(|_| 1 + random(5)).collect();
            let (mut terms, mut shapes) = (Vec::new(), Vec::new());
            for _ in 0..operands {
                let mut term: Vec<usize> = (0..1 + random(4)).map(|_| random(letters)).collect();
                term.sort_unstable();
                term.dedup();
                terms.push(term.iter().map(|&l| (b'a' + l as u8) as char).collect::<String>());
                shapes.push(term.iter().map(|&l| sizes[l]).collect::<Vec<usize>>());
            }
            let output: String = if round % 2 == 0 { String::new() } else { terms[0].clone() };
            let parsed = Parsed::new(
                &format!("{}->{output}", terms.join(",")),
                &shapes.iter().map(|s| &s[..]).collect::<Vec<_>>(),
            )
            .unwrap();
            // Indices of only one operand are summed first.
            let shared = shared(&parsed);
            let sets: Vec<Set> = parsed.operands.iter().map(|o| set(&o.labels) & shared).collect();
            let output = set(&parsed.output);
            assert_eq!(
                greedy(&sets, output, &parsed),
                greedy_by_trying_all(&sets, output, &parsed),
                "{terms:?} {shapes:?}"
            );
        }
    }

    #[test]
    fn hundreds_of_operands_are_planned_at_once() {
        let begun = std::time::Instant::now();
        // A chain that uses each letter several times, operands that share one index, and operands without indices.
        let letter = |i: usize| (b'a' + (i % 26) as u8) as char;
        let chain: Vec<String> = (0..400).map(|i| format!("{}{}", letter(i), letter(i + 1))).collect();
        for terms in [chain, vec!["a".into(); 1000], vec![String::new(); 1000]] {
            let shapes: Vec<Vec<usize>> = terms.iter().map(|t| vec![3; t.len()]).collect();
            let parsed =
                Parsed::new(&format!("{}->", terms.join(",")), &shapes.iter().map(|s| &s[..]).collect::<Vec<_>>())
                    .unwrap();
            assert_eq!(Plan::new(&parsed).unwrap().steps.len(), terms.len() - 1);
        }
        // Comparing all pairs in each step took 12 seconds for the chain. The limit allows for a busy machine.
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    }

    #[test]
    fn many_operands_are_contracted_neighbour_by_neighbour() {
        let letters: Vec<char> = ('a'..='z').collect();
        let terms: Vec<String> = letters.windows(2).map(|w| w.iter().collect()).collect();
        let shapes = vec![&[4usize, 4][..]; terms.len()];
        let parsed = Parsed::new(&format!("{}->az", terms.join(",")), &shapes).unwrap();
        let plan = Plan::new(&parsed).unwrap();
        assert_eq!(plan.steps.len(), 24);
        assert!(plan.values.iter().all(|v| v.len() == 2), "no pair without a common index is taken");
    }

    #[test]
    fn intermediate_results_have_no_more_axes_than_an_array_can() {
        // The first two operands together have 18 indices, which the others sum out.
        let parsed =
            Parsed::new("abcdefghi,jklmnopqr,abcdefghi,jklmnopqr->", &[&[2; 9], &[2; 9], &[2; 9], &[2; 9]]).unwrap();
        assert!(Plan::new(&parsed).unwrap().values.iter().all(|v| v.len() <= MAX_NDIM));
        // The product of any two has ten indices of the output and ten that the third has.
        let parsed = Parsed::new(
            "abcdepqrstuvwxy,fghijpqrstABCDE,klmnouvwxyABCDE->abcdefghijklmno",
            &[&[1; 15], &[1; 15], &[1; 15]],
        )
        .unwrap();
        assert!(Plan::new(&parsed).unwrap_err().contains("more than 16 axes"));
    }
}
