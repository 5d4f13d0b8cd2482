//! Parses subscripts: the index of each axis of each operand, the length of each index, and the indices of the result.

use crate::layout::AxisGroup;
use crate::{Dims, MAX_NDIM};
use smallvec::SmallVec;

/// The number of an index: the letters in ASCII order, then the axes that ellipses stand for, outermost first.
pub(super) type Label = u8;

/// Indices, in the order of axes.
pub(super) type Labels = SmallVec<[Label; 8]>;

/// A set of indices: bit `l` stands for index `l`.
pub(super) type Set = u128;

/// The number of letters.
const LETTERS: u8 = 52;

/// The number of possible indices.
const LABELS: usize = LETTERS as usize + MAX_NDIM;

fn label(letter: char) -> Label {
    letter as u8 - if letter.is_ascii_uppercase() { b'A' } else { b'a' - LETTERS / 2 }
}

/// Returns the letter of an index; `None` for an axis of an ellipsis.
fn letter(label: Label) -> Option<char> {
    match label {
        0..26 => Some((b'A' + label) as char),
        26..LETTERS => Some((b'a' + label - 26) as char),
        _ => None,
    }
}

/// Formats an index for error messages.
fn named(label: Label) -> String {
    letter(label).map_or_else(|| format!("axis {} of '...'", label - LETTERS), |c| format!("index '{c}'"))
}

/// Formats indices as in subscripts.
pub(super) fn written(labels: &[Label]) -> String {
    let mut out = String::new();
    let mut ellipsis = false;
    for &l in labels {
        match letter(l) {
            Some(c) => out.push(c),
            None if !ellipsis => out.push_str("..."),
            None => {}
        }
        ellipsis = letter(l).is_none();
    }
    out
}

pub(super) fn set(labels: &[Label]) -> Set {
    labels.iter().fold(0, |s, &l| s | 1 << l)
}

pub(super) fn members(mut labels: Set) -> impl Iterator<Item = Label> {
    std::iter::from_fn(move || {
        let next = (labels != 0).then(|| labels.trailing_zeros() as Label);
        labels &= labels.wrapping_sub(1);
        next
    })
}

pub(super) struct Operand {
    /// The indices of the operand, each once. An index along which this operand has length 1 and another operand is
    /// longer is omitted: a broadcast operand does not depend on the index.
    pub labels: Labels,
    /// The axes of each of these indices. Several axes form a diagonal.
    pub axes: SmallVec<[AxisGroup; 4]>,
}

/// Parsed subscripts that match their operands.
///
/// Invariants:
/// 1. every label of `output` belongs to some operand, and none occurs twice;
/// 2. all lengths along one index are equal, since [`Operand::labels`] omits broadcast indices;
/// 3. `output` has at most [`MAX_NDIM`] labels.
pub(super) struct Parsed {
    pub operands: Vec<Operand>,
    pub output: Labels,
    sizes: [usize; LABELS],
}

impl Parsed {
    pub fn size(&self, label: Label) -> usize {
        self.sizes[label as usize]
    }

    pub fn shape(&self, labels: &[Label]) -> Dims {
        labels.iter().map(|&l| self.size(l)).collect()
    }

    /// Returns the number of elements of an array with these indices, saturating.
    pub fn elements(&self, labels: Set) -> u128 {
        members(labels).fold(1, |n, l| n.saturating_mul(self.size(l) as u128))
    }

    /// Parses `subscripts` for operands of these shapes. Returns a message if they are invalid or do not match.
    pub fn new(subscripts: &str, shapes: &[&[usize]]) -> Result<Parsed, String> {
        let (terms, output) = split(subscripts)?;
        if terms.len() != shapes.len() {
            return Err(format!(
                "the subscripts have {} terms for {} operands; write one term for each operand",
                terms.len(),
                shapes.len()
            ));
        }
        let labels = label_axes(&terms, shapes)?;
        let mut sizes = Sizes { of: [None; LABELS] };
        for (operand, (labels, shape)) in labels.iter().zip(shapes).enumerate() {
            sizes.add(operand, labels, shape)?;
        }
        let output = output_labels(output, &labels)?;
        let sizes = sizes.of.map(|known| known.map_or(1, |(_, size)| size));
        let operands = labels.iter().zip(shapes).map(|(labels, shape)| grouped(labels, shape, &sizes)).collect();
        Ok(Parsed { operands, output, sizes })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Index(Label),
    Ellipsis,
}

type Term = SmallVec<[Part; 8]>;

/// Splits subscripts into the terms of the operands and the term of the output, if any.
fn split(subscripts: &str) -> Result<(Vec<Term>, Option<Term>), String> {
    let (mut terms, mut term, mut arrow) = (Vec::new(), Term::new(), false);
    let mut chars = subscripts.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ' ' => {}
            'a'..='z' | 'A'..='Z' => term.push(Part::Index(label(c))),
            ',' if arrow => return Err(format!("',' at {at}: only one output is allowed after '->'")),
            ',' => terms.push(std::mem::take(&mut term)),
            '.' => {
                let whole = (0..2).all(|_| chars.next_if(|&(_, c)| c == '.').is_some());
                if !whole {
                    return Err(format!("'.' at {at} is not part of '...'"));
                }
                if term.contains(&Part::Ellipsis) {
                    return Err(format!("'...' at {at}: a term may contain '...' only once"));
                }
                term.push(Part::Ellipsis);
            }
            '-' if chars.next_if(|&(_, c)| c == '>').is_some() => {
                if arrow {
                    return Err(format!("'->' at {at}: only one '->' is allowed"));
                }
                arrow = true;
                terms.push(std::mem::take(&mut term));
            }
            other => {
                return Err(format!(
                    "{other:?} at {at} is not allowed; subscripts consist of letters, ',', '...', '->' and spaces"
                ));
            }
        }
    }
    if arrow {
        return Ok((terms, Some(term)));
    }
    terms.push(term);
    Ok((terms, None))
}

/// Assigns an index to each axis of each operand. The axes of ellipses are aligned at the last.
fn label_axes(terms: &[Term], shapes: &[&[usize]]) -> Result<Vec<Labels>, String> {
    let mut hidden = Vec::new();
    for (operand, (term, shape)) in terms.iter().zip(shapes).enumerate() {
        let (ndim, ellipsis) = (shape.len(), term.contains(&Part::Ellipsis));
        let letters = term.len() - usize::from(ellipsis);
        if ndim > MAX_NDIM {
            return Err(format!("operand {operand} has {ndim} axes; the maximum is {MAX_NDIM}"));
        }
        if ndim < letters || (ndim > letters && !ellipsis) {
            let least = if ellipsis { "at least " } else { "" };
            return Err(format!(
                "operand {operand} of shape {shape:?} has {ndim} axes, but its term has {least}{letters} indices"
            ));
        }
        hidden.push(ndim - letters);
    }
    let most = hidden.iter().copied().max().unwrap_or(0);
    let expand = |(term, hidden): (&Term, usize)| {
        let mut labels = Labels::new();
        for part in term {
            match *part {
                Part::Index(l) => labels.push(l),
                Part::Ellipsis => labels.extend((most - hidden..most).map(|i| LETTERS + i as Label)),
            }
        }
        labels
    };
    Ok(terms.iter().zip(hidden).map(expand).collect())
}

/// For each index, the operand that determined its length, and the length.
struct Sizes {
    of: [Option<(usize, usize)>; LABELS],
}

impl Sizes {
    /// Adds the lengths of an operand. All axes of one index have the same length within an operand; between operands,
    /// length 1 is broadcast.
    fn add(&mut self, operand: usize, labels: &[Label], shape: &[usize]) -> Result<(), String> {
        for (axis, (&l, &len)) in labels.iter().zip(shape).enumerate() {
            if let Some(first) = labels[..axis].iter().position(|&e| e == l).filter(|&first| shape[first] != len) {
                return Err(format!(
                    "{} is {} and {len} in operand {operand}: the axes of a diagonal must have equal lengths",
                    named(l),
                    shape[first]
                ));
            }
            let known = &mut self.of[l as usize];
            match *known {
                Some((_, size)) if size == len || len == 1 => {}
                None | Some((_, 1)) => *known = Some((operand, len)),
                Some((other, size)) => {
                    return Err(format!("{} is {size} in operand {other} and {len} in operand {operand}", named(l)));
                }
            }
        }
        Ok(())
    }
}

/// Returns the indices of the result: those of `term`, or without it the axes of ellipses and then, in ASCII order, the
/// letters that occur once.
fn output_labels(term: Option<Term>, operands: &[Labels]) -> Result<Labels, String> {
    let all = operands.iter().fold(0, |s, labels| s | set(labels));
    let hidden = (LETTERS..LABELS as Label).filter(|&l| all >> l & 1 == 1);
    let occurs = |l: Label| operands.iter().flatten().filter(|&&o| o == l).count();
    let Some(term) = term else {
        let output: Labels = hidden.chain((0..LETTERS).filter(|&l| occurs(l) == 1)).collect();
        return at_most_max_ndim(output);
    };
    let mut output = Labels::new();
    for part in &term {
        match *part {
            Part::Ellipsis => output.extend(hidden.clone()),
            Part::Index(l) if occurs(l) == 0 => {
                return Err(format!("output {} does not occur in any operand", named(l)));
            }
            Part::Index(l) if output.contains(&l) => {
                return Err(format!("output {} occurs more than once", named(l)));
            }
            Part::Index(l) => output.push(l),
        }
    }
    match hidden.count() {
        0 => at_most_max_ndim(output),
        _ if term.contains(&Part::Ellipsis) => at_most_max_ndim(output),
        n => Err(format!("the output needs '...', because '...' in the operands stands for {n} axes")),
    }
}

fn at_most_max_ndim(output: Labels) -> Result<Labels, String> {
    if output.len() <= MAX_NDIM {
        Ok(output)
    } else {
        Err(format!("the result would have {} axes; the maximum is {MAX_NDIM}", output.len()))
    }
}

/// Groups the axes of an operand by index, without broadcast axes.
fn grouped(labels: &[Label], shape: &[usize], sizes: &[usize; LABELS]) -> Operand {
    let mut out = Operand { labels: Labels::new(), axes: SmallVec::new() };
    for (axis, (&l, &len)) in labels.iter().zip(shape).enumerate() {
        if len != sizes[l as usize] {
            continue;
        }
        match out.labels.iter().position(|&o| o == l) {
            Some(at) => out.axes[at].push(axis),
            None => {
                out.labels.push(l);
                out.axes.push(AxisGroup::from_slice(&[axis]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(subscripts: &str, shapes: &[&[usize]]) -> Parsed {
        Parsed::new(subscripts, shapes).unwrap()
    }

    #[test]
    fn letters_are_numbered_in_the_order_of_ascii() {
        let all: String = ('A'..='Z').chain('a'..='z').collect();
        let labels: Vec<Label> = all.chars().map(label).collect();
        assert_eq!(labels, (0..LETTERS).collect::<Vec<_>>());
        assert_eq!(written(&labels), all);
        assert_eq!(written(&[26, LETTERS, LETTERS + 1, 27]), "a...b");
    }

    #[test]
    fn outputs_that_are_not_given() {
        let output = |s: &str, shapes: &[&[usize]]| written(&parsed(s, shapes).output);
        assert_eq!(output("ba", &[&[2, 3]]), "ab");
        assert_eq!(output("ij,jk", &[&[2, 3], &[3, 4]]), "ik");
        assert_eq!(output("ij,jh", &[&[2, 3], &[3, 4]]), "hi");
        assert_eq!(output("ii", &[&[2, 2]]), "");
        assert_eq!(output("aB", &[&[2, 3]]), "Ba");
        assert_eq!(output("k...j,jk", &[&[2, 5, 3], &[3, 2]]), "...");
        assert_eq!(output(" i j , j -> i ", &[&[2, 3], &[3]]), "i");
        assert_eq!(output("", &[&[]]), "");
    }

    #[test]
    fn ellipses_are_aligned_at_the_last_axis() {
        let p = parsed("...i,...", &[&[4, 1, 5, 2], &[3, 5]]);
        assert_eq!(p.shape(&p.output)[..], [4, 3, 5, 2]);
        assert_eq!(p.operands[0].labels.len(), 3, "the axis that stretches is left out");
        assert_eq!(p.operands[1].labels[..], [LETTERS + 1, LETTERS + 2]);
        assert_eq!(p.elements(set(&p.output)), 120);
    }

    #[test]
    fn equal_indices_of_an_operand_are_a_diagonal() {
        let p = parsed("iji->ji", &[&[2, 3, 2]]);
        assert_eq!(written(&p.operands[0].labels), "ij");
        assert_eq!(p.operands[0].axes[..], [AxisGroup::from_slice(&[0, 2]), AxisGroup::from_slice(&[1])]);
    }

    #[test]
    fn lengths_of_one_stretch_to_any_other() {
        let p = parsed("i,i,i->i", &[&[1], &[3], &[1]]);
        assert_eq!(p.operands.iter().map(|o| o.labels.len()).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(parsed("i,i->i", &[&[1], &[0]]).shape(&[label('i')])[..], [0]);
        assert_eq!(parsed("i,i->i", &[&[1], &[1]]).operands[0].labels.len(), 1);
    }
}
