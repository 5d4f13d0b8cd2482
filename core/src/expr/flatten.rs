//! Converts the graph of an expression to a program with one instruction per step. Equal steps, operands and constants
//! are merged.

use super::node::{Arg, Leaf, Node, Placeholder, Step};
use super::tape::{SharedArray, Tape};
use crate::program::{Instr, Ref};
use crate::{Result, Scalar};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The replacement of placeholders when their expression is flattened.
#[derive(Clone, Copy)]
pub(crate) enum Lead<'a> {
    /// The first inputs of the program, in this order.
    Inputs(&'a [Arc<Placeholder>]),
    /// The given array, which holds the computed product of an epilogue.
    Computed(&'a Arc<Placeholder>, &'a SharedArray),
}

/// Converts `node` to a program with its operands. A placeholder other than those of `lead` is an error, because it has
/// no elements.
pub(super) fn flatten(node: &Node, lead: Option<Lead>) -> Result<Box<Tape>> {
    if let (Node::Short(tape), None | Some(Lead::Computed(..))) = (node, lead) {
        return Ok(tape.clone());
    }
    let mut flat = Flat {
        tape: Box::default(),
        lead,
        steps: Index::default(),
        operands: Index::default(),
        params: Index::default(),
        instrs: Index::default(),
    };
    if let Some(Lead::Inputs(leads)) = lead {
        flat.tape.lead_with(leads.iter().map(|p| p.dtype));
    }
    let result = match node {
        Node::Failed(error) => return Err((**error).clone()),
        Node::Leaf(leaf) => flat.leaf(leaf)?,
        Node::Unary(op, x) => {
            let x = flat.leaf(x)?;
            flat.push(Instr::Unary(*op, x))?
        }
        Node::Binary(op, x, y) => {
            let (x, y) = (flat.leaf(x)?, flat.leaf(y)?);
            flat.push(Instr::Binary(*op, x, y))?
        }
        Node::Short(tape) => flat.tape.append(tape)?,
        Node::Step(step) => flat.walk(step)?,
    };
    flat.tape.finish(result, node.shape_and_open()?.0);
    Ok(flat.tape)
}

struct Flat<'a> {
    tape: Box<Tape>,
    lead: Option<Lead<'a>>,
    /// The instruction of each step on the tape, by the step's address.
    steps: Index<*const Step, Ref>,
    operands: Index<View, Ref>,
    params: Index<Scalar, Ref>,
    instrs: Index<Instr, Ref>,
}

impl Flat<'_> {
    /// Adds `root` and all steps that it depends on, in post-order and without recursion.
    fn walk(&mut self, root: &Arc<Step>) -> Result<Ref> {
        let mut stack: SmallVec<[(&Arc<Step>, usize); 16]> = SmallVec::new();
        stack.push((root, 0));
        while let Some((step, next)) = stack.last_mut() {
            let step = *step;
            if let Some(arg) = step.args.get(*next) {
                *next += 1;
                if let Arg::Step(inner) = arg
                    && self.steps.get(&Arc::as_ptr(inner)).is_none()
                {
                    stack.push((inner, 0));
                }
                continue;
            }
            let mut refs: SmallVec<[Ref; 3]> = SmallVec::new();
            for arg in &step.args {
                refs.push(match arg {
                    Arg::Leaf(leaf) => self.leaf(leaf)?,
                    Arg::Step(inner) => self.steps.get(&Arc::as_ptr(inner)).expect("operands come before a step"),
                });
            }
            let instr = step.instr.map_refs(|r| match r {
                Ref::Value(i) => refs[i as usize],
                Ref::Input(_) | Ref::Param(_) => unreachable!("a step's operands are its arguments"),
            });
            let result = self.push(instr)?;
            self.steps.insert(Arc::as_ptr(step), result);
            stack.pop();
        }
        Ok(self.steps.get(&Arc::as_ptr(root)).expect("the walk ends with the root"))
    }

    fn leaf(&mut self, leaf: &Leaf) -> Result<Ref> {
        match leaf {
            Leaf::Value(value) => Ok(self.params.get(value).unwrap_or_else(|| {
                let at = self.tape.add_param(*value);
                self.params.insert(*value, at);
                at
            })),
            Leaf::Array(array) => Ok(self.operand(array)),
            Leaf::Placeholder(placeholder) => match self.lead {
                Some(Lead::Inputs(leads)) => {
                    let at = leads.iter().position(|lead| Arc::ptr_eq(lead, placeholder));
                    at.map(|at| Ref::Input(at as u32)).ok_or_else(|| placeholder.error())
                }
                Some(Lead::Computed(lead, array)) if Arc::ptr_eq(lead, placeholder) => Ok(self.operand(array)),
                _ => Err(placeholder.error()),
            },
        }
    }

    fn operand(&mut self, array: &SharedArray) -> Ref {
        let view = View(array.clone());
        self.operands.get(&view).unwrap_or_else(|| {
            let at = self.tape.add_operand(array.clone());
            self.operands.insert(view, at);
            at
        })
    }

    fn push(&mut self, instr: Instr) -> Result<Ref> {
        if let Some(known) = self.instrs.get(&instr) {
            return Ok(known);
        }
        let at = self.tape.add_instr(instr)?;
        self.instrs.insert(instr, at);
        Ok(at)
    }
}

/// An operand as a key. Equal keys denote the same elements of the same buffer.
struct View(SharedArray);

impl PartialEq for View {
    fn eq(&self, other: &View) -> bool {
        SharedArray::ptr_eq(&self.0, &other.0) || self.0.same(&other.0)
    }
}

impl Eq for View {}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.buffer.id(), self.0.layout.offset(), self.0.dtype).hash(state);
    }
}

/// A map that is a linearly searched list while it is short, since most expressions have few steps.
struct Index<K, V> {
    few: SmallVec<[(K, V); 8]>,
    many: HashMap<K, V, BuildHasherDefault<DefaultHasher>>,
}

/// The maximum number of entries of the list.
const FEW: usize = 24;

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Index { few: SmallVec::new(), many: HashMap::default() }
    }
}

impl<K: Hash + Eq, V: Copy> Index<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        if self.many.is_empty() {
            self.few.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
        } else {
            self.many.get(key).copied()
        }
    }

    fn insert(&mut self, key: K, value: V) {
        if self.many.is_empty() && self.few.len() < FEW {
            return self.few.push((key, value));
        }
        self.many.extend(self.few.drain(..));
        self.many.insert(key, value);
    }
}
