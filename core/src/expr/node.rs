//! The graph of an expression: steps on operands. A subexpression that is used several times is shared.

use super::powers;
use super::tape::{SharedArray, Tape};
use crate::layout::Dims;
use crate::program::{Instr, MAX_INPUTS, Ref};
use crate::ufunc::{Binary, Unary};
use crate::{DType, Error, Result, Scalar};
use smallvec::SmallVec;
use std::sync::Arc;

#[derive(Clone)]
pub(super) enum Leaf {
    Array(SharedArray),
    /// A single value for all elements.
    Value(Scalar),
    /// An operand that has no elements yet.
    Placeholder(Arc<Placeholder>),
}

/// An operand that has no elements yet, compared by address: the product of a [`Matmul`](crate::Matmul) inside its
/// epilogue, or an argument of a closure that [`fuse`](crate::fuse()) traces.
pub(crate) struct Placeholder {
    pub dtype: DType,
    /// `None` for an argument of a traced closure, for which arrays of any shape are given later.
    pub shape: Option<Dims>,
}

impl Placeholder {
    /// Returns the error of an operation that needs the elements, or the missing shape.
    pub fn error(&self) -> Error {
        if self.shape.is_some() { Error::NotComputed { op: "matmul" } } else { Error::NotCalled { op: "fuse" } }
    }
}

/// The largest number of steps of an expression that is a tape rather than a graph. Appending compares a step with all
/// others, and a clone copies them.
pub(super) const SHORT: usize = 8;

/// The content of an expression. Loops over small arrays consist of short expressions, which need no graph: a single
/// ufunc of leaves is stored inline, and a few steps are a tape to which further steps are appended.
#[derive(Clone)]
pub(super) enum Node {
    Leaf(Leaf),
    /// A ufunc of an array or a placeholder.
    Unary(Unary, Leaf),
    /// A ufunc of two leaves, at least one of which is an array or a placeholder.
    Binary(Binary, Leaf, Leaf),
    /// At most [`SHORT`] steps on arrays and values. A clone copies them.
    Short(Box<Tape>),
    /// All other expressions.
    Step(Arc<Step>),
    /// The first error that occurred.
    Failed(Box<Error>),
}

#[derive(Clone)]
pub(super) enum Arg {
    Leaf(Leaf),
    Step(Arc<Step>),
}

/// One instruction of the graph.
///
/// Invariants:
/// 1. `instr` reads its i-th operand, `args[i]`, as `Ref::Value(i)`;
/// 2. `dtype` is the dtype that `instr` gives for the dtypes of `args`, `shape` is what their shapes broadcast to, and
///    the size in bytes of an array of both does not overflow;
/// 3. `open` is true if the step depends on a placeholder without a shape. Then `shape` is that of the other operands.
pub(super) struct Step {
    pub instr: Instr,
    pub args: SmallVec<[Arg; 2]>,
    pub dtype: DType,
    pub shape: Dims,
    pub open: bool,
}

impl Leaf {
    pub fn dtype(&self) -> DType {
        match self {
            Leaf::Array(a) => a.dtype,
            Leaf::Value(v) => v.dtype(),
            Leaf::Placeholder(p) => p.dtype,
        }
    }

    /// Returns the shape; `None` for a value, which has no axes, and for a placeholder whose shape is not known.
    pub fn shape(&self) -> Option<&Dims> {
        match self {
            Leaf::Array(a) => Some(a.layout.shape()),
            Leaf::Value(_) => None,
            Leaf::Placeholder(p) => p.shape.as_ref(),
        }
    }

    /// Returns whether this is a placeholder without a shape.
    fn is_open(&self) -> bool {
        matches!(self, Leaf::Placeholder(p) if p.shape.is_none())
    }
}

/// Fails if operands do not broadcast, or if an array of `dtype` with the resulting shape has too many bytes: every
/// step must have a size, also one of whose value only a part is kept.
fn check_size(leaves: &[&Leaf], dtype: DType) -> Result<()> {
    let mut shapes = leaves.iter().filter_map(|leaf| leaf.shape());
    let Some(first) = shapes.next() else { return Ok(()) };
    match shapes.next().filter(|second| *second != first) {
        Some(second) => first.broadcast(second)?.check(dtype)?,
        None => first.check(dtype)?,
    };
    Ok(())
}

impl Leaf {
    /// Adds the operand or value to a tape.
    fn add_to(self, tape: &mut Tape) -> Result<Ref> {
        match self {
            Leaf::Array(array) => tape.merge_operand(array),
            Leaf::Value(value) => Ok(tape.merge_param(value)),
            Leaf::Placeholder(_) => unreachable!("tapes have no placeholders"),
        }
    }
}

impl Arg {
    pub fn dtype(&self) -> DType {
        match self {
            Arg::Leaf(leaf) => leaf.dtype(),
            Arg::Step(step) => step.dtype,
        }
    }

    fn shape(&self) -> Option<&Dims> {
        match self {
            Arg::Leaf(leaf) => leaf.shape(),
            Arg::Step(step) => Some(&step.shape),
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Arg::Leaf(leaf) => leaf.is_open(),
            Arg::Step(step) => step.open,
        }
    }
}

impl Step {
    /// Makes the step `instr` of `args`. Checks dtypes and shapes.
    pub fn new(instr: Instr, args: SmallVec<[Arg; 2]>) -> Result<Arc<Step>> {
        let dtype = instr.typed(|r| match r {
            Ref::Value(i) => args[i as usize].dtype(),
            Ref::Input(_) | Ref::Param(_) => unreachable!("a step's operands are its arguments"),
        })?;
        let mut shapes = args.iter().filter_map(Arg::shape);
        let mut shape = shapes.next().cloned().unwrap_or_default();
        for other in shapes.filter(|other| **other != shape).collect::<SmallVec<[&Dims; 2]>>() {
            shape = shape.broadcast(other)?;
        }
        shape.check(dtype)?;
        let open = args.iter().any(Arg::is_open);
        Ok(Arc::new(Step { instr, args, dtype, shape, open }))
    }
}

/// Drops the graph iteratively: a chain of steps may be too long for recursion on the stack.
impl Drop for Step {
    fn drop(&mut self) {
        let mut rest: SmallVec<[Arc<Step>; 8]> = SmallVec::new();
        let take = |step: &mut Step, rest: &mut SmallVec<[Arc<Step>; 8]>| {
            for arg in step.args.drain(..) {
                if let Arg::Step(step) = arg {
                    rest.push(step);
                }
            }
        };
        take(self, &mut rest);
        while let Some(step) = rest.pop() {
            if let Some(mut step) = Arc::into_inner(step) {
                take(&mut step, &mut rest);
            }
        }
    }
}

/// Returns the reference of a step to its i-th operand.
fn arg(i: u32) -> Ref {
    Ref::Value(i)
}

impl Node {
    /// Converts the node to an operand of another step.
    fn into_arg(self) -> Result<Arg> {
        match self {
            Node::Leaf(leaf) => Ok(Arg::Leaf(leaf)),
            Node::Step(step) => Ok(Arg::Step(step)),
            Node::Failed(error) => Err(*error),
            Node::Short(tape) => tape.to_steps(),
            Node::Unary(op, x) => {
                Step::new(Instr::Unary(op, arg(0)), SmallVec::from_iter([Arg::Leaf(x)])).map(Arg::Step)
            }
            Node::Binary(op, x, y) => {
                Step::new(Instr::Binary(op, arg(0), arg(1)), SmallVec::from_iter([Arg::Leaf(x), Arg::Leaf(y)]))
                    .map(Arg::Step)
            }
        }
    }

    /// Makes the step `instr`, which reads `nodes[i]` as `Ref::Value(i)`.
    pub fn step<const N: usize>(instr: Instr, nodes: [Node; N]) -> Node {
        let made = if Node::is_short(&nodes) {
            Node::append(instr, nodes).map(Node::Short)
        } else {
            let args: Result<SmallVec<[Arg; 2]>> = nodes.into_iter().map(Node::into_arg).collect();
            args.and_then(|args| Step::new(instr, args)).map(Node::Step)
        };
        made.unwrap_or_else(|error| Node::Failed(Box::new(error)))
    }

    /// Whether a step on these nodes can be stored as a tape.
    fn is_short(nodes: &[Node]) -> bool {
        let (mut steps, mut operands) = (1, 0);
        for node in nodes {
            let leaves: [Option<&Leaf>; 2] = match node {
                Node::Leaf(x) => [Some(x), None],
                Node::Unary(_, x) => [Some(x), None],
                Node::Binary(_, x, y) => [Some(x), Some(y)],
                Node::Short(tape) => {
                    steps += tape.instrs().len();
                    operands += tape.operands().len();
                    continue;
                }
                Node::Step(_) | Node::Failed(_) => return false,
            };
            if leaves.iter().flatten().any(|leaf| matches!(leaf, Leaf::Placeholder(_))) {
                return false;
            }
            steps += usize::from(!matches!(node, Node::Leaf(_)));
            operands += leaves.iter().flatten().filter(|leaf| matches!(leaf, Leaf::Array(_))).count();
        }
        steps <= SHORT && operands <= MAX_INPUTS
    }

    /// Appends a step to the first of `nodes`, or to a new tape, and the other nodes before it.
    fn append<const N: usize>(instr: Instr, nodes: [Node; N]) -> Result<Box<Tape>> {
        let mut tape = Box::<Tape>::default();
        let mut refs = [Ref::Input(0); N];
        for (i, node) in nodes.into_iter().enumerate() {
            refs[i] = match node {
                // The tape has no operands yet, so that their order does not change.
                Node::Short(first) if i == 0 => {
                    tape = first;
                    tape.result()
                }
                Node::Short(other) => tape.append(&other)?,
                Node::Leaf(leaf) => leaf.add_to(&mut tape)?,
                Node::Unary(op, x) => {
                    check_size(&[&x], op.info().gives.dtype(x.dtype()))?;
                    let x = x.add_to(&mut tape)?;
                    tape.merge_instr(Instr::Unary(op, x))?
                }
                Node::Binary(op, x, y) => {
                    check_size(&[&x, &y], op.info().gives.dtype(x.dtype()))?;
                    let (x, y) = (x.add_to(&mut tape)?, y.add_to(&mut tape)?);
                    tape.merge_instr(Instr::Binary(op, x, y))?
                }
                Node::Step(_) | Node::Failed(_) => unreachable!("`is_short` is false for these"),
            };
        }
        let result = tape.merge_instr(instr.map_refs(|r| match r {
            Ref::Value(i) => refs[i as usize],
            Ref::Input(_) | Ref::Param(_) => unreachable!("a step's operands are its arguments"),
        }))?;
        tape.set_result(result)?;
        Ok(tape)
    }

    #[inline]
    pub fn unary(self, op: Unary) -> Node {
        match self {
            Node::Leaf(x @ (Leaf::Array(_) | Leaf::Placeholder(_))) => Node::Unary(op, x),
            node => Node::step(Instr::Unary(op, arg(0)), [node]),
        }
    }

    #[inline]
    pub fn binary(self, op: Binary, other: Node) -> Node {
        if op == Binary::Pow
            && let Node::Leaf(Leaf::Value(exponent)) = &other
            && let Some(power) = powers::short(&self, exponent)
        {
            return power;
        }
        match (self, other) {
            (Node::Leaf(Leaf::Value(x)), Node::Leaf(Leaf::Value(y))) => {
                Node::step(Instr::Binary(op, arg(0), arg(1)), [Node::Leaf(Leaf::Value(x)), Node::Leaf(Leaf::Value(y))])
            }
            (Node::Leaf(x), Node::Leaf(y)) => Node::Binary(op, x, y),
            (x, y) => Node::step(Instr::Binary(op, arg(0), arg(1)), [x, y]),
        }
    }

    /// Returns the shape of the value.
    pub fn shape(&self) -> Result<Dims> {
        match self.shape_and_open()? {
            (shape, false) => Ok(shape),
            (_, true) => Err(Error::NotCalled { op: "fuse" }),
        }
    }

    /// Returns what the shapes of all operands broadcast to, and whether there are placeholders without a shape, which
    /// do not count.
    pub fn shape_and_open(&self) -> Result<(Dims, bool)> {
        match self {
            Node::Leaf(leaf) => Ok((leaf.shape().cloned().unwrap_or_default(), leaf.is_open())),
            Node::Short(tape) => Ok((tape.shape().clone(), false)),
            Node::Step(step) => Ok((step.shape.clone(), step.open)),
            Node::Failed(error) => Err((**error).clone()),
            single @ (Node::Unary(..) | Node::Binary(..)) => match single.clone().into_arg()? {
                Arg::Step(step) => Ok((step.shape.clone(), step.open)),
                Arg::Leaf(_) => unreachable!("a ufunc is a step"),
            },
        }
    }

    /// Returns the dtype of the result; `None` for an error.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Node::Leaf(leaf) => Some(leaf.dtype()),
            Node::Unary(op, x) => Some(op.info().gives.dtype(x.dtype())),
            Node::Binary(op, x, _) => Some(op.info().gives.dtype(x.dtype())),
            Node::Short(tape) => Some(tape.dtype()),
            Node::Step(step) => Some(step.dtype),
            Node::Failed(_) => None,
        }
    }

    pub fn tape(&self) -> Result<Box<Tape>> {
        match self {
            Node::Unary(op, x @ Leaf::Array(_)) => Node::append(Instr::Unary(*op, arg(0)), [Node::Leaf(x.clone())]),
            Node::Binary(op, x @ (Leaf::Array(_) | Leaf::Value(_)), y @ (Leaf::Array(_) | Leaf::Value(_))) => {
                Node::append(Instr::Binary(*op, arg(0), arg(1)), [x, y].map(|leaf| Node::Leaf(leaf.clone())))
            }
            _ => super::flatten::flatten(self, None),
        }
    }

    /// Converts the node to a tape, which holds its operands alone if the node did.
    pub fn into_tape(self) -> Result<Box<Tape>> {
        if let Node::Short(tape) = self { Ok(tape) } else { self.tape() }
    }
}

impl Tape {
    /// Converts the tape to a graph.
    fn to_steps(&self) -> Result<Arg> {
        let mut values: SmallVec<[Arg; SHORT]> = SmallVec::new();
        let arg_of = |r: Ref, values: &[Arg]| match r {
            Ref::Input(i) => Arg::Leaf(Leaf::Array(self.operands()[i as usize].clone())),
            Ref::Param(i) => Arg::Leaf(Leaf::Value(self.params()[i as usize])),
            Ref::Value(i) => values[i as usize].clone(),
        };
        for instr in self.instrs() {
            let args = instr.operands().into_iter().map(|r| arg_of(r, &values)).collect();
            let mut position = 0..;
            let instr = instr.map_refs(|_| arg(position.next().expect("the range has no end")));
            values.push(Arg::Step(Step::new(instr, args)?));
        }
        Ok(arg_of(self.result(), &values))
    }
}
