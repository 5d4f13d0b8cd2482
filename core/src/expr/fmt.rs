//! The text form of expressions: the formula, with `x0`, `x1`, .. for the arrays in it.

use super::Expr;
use super::flatten::{Lead, flatten};
use super::node::{Arg, Leaf, Node, Placeholder, Step};
use super::tape::Tape;
use crate::program::{Instr, Ref};
use crate::ufunc::Binary;
use crate::{Element, Result, Scalar, with_dtype};
use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::Arc;

/// Expressions of more steps are described by their number, not written as a formula.
const WRITTEN: usize = 32;

/// Writes the formula, with `x0`, `x1`, .. for the arrays and `t0`, `t1`, .. for values that are used several times; of
/// an expression with an error, the error; of one with more than 32 steps, their number.
///
/// ```
/// # use polyarray_core::*;
/// let x = Array::from([1.0, 2.0]);
/// assert_eq!((&x * 2.0 + 1.0).sqrt().to_string(), "sqrt((x0 * 2) + 1)");
/// let d = &x - 0.5;
/// assert_eq!((&d * &d).to_string(), "t0 * t0 where t0 = x0 - 0.5");
/// # Ok::<(), Error>(())
/// ```
impl<T: Element> fmt::Display for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match listing(&self.node) {
            Ok(tape) => formula(&tape, f),
            Err(e) => write!(f, "error: {e}"),
        }
    }
}

/// As [`Display`](fmt::Display), with the dtype and the shape of the value, and those of the arrays.
impl<T: Element> fmt::Debug for Expr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&self.node, f)
    }
}

pub(super) fn debug(node: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let tape = match listing(node) {
        Ok(tape) => tape,
        Err(e) => return write!(f, "Expr(error: {e})"),
    };
    write!(f, "Expr<{}>({:?}, ", tape.dtype(), tape.shape())?;
    formula(&tape, f)?;
    let leads = tape.lead_count();
    for i in 0..leads {
        write!(f, ", x{i}: argument of {}", tape.dtype_of(Ref::Input(i as u32)))?;
    }
    for (i, array) in tape.operands().iter().enumerate().take(WRITTEN) {
        write!(f, ", x{}: {}{:?}", leads + i, array.dtype, array.layout.shape())?;
    }
    f.write_str(")")
}

/// Returns the steps of an expression, whose placeholders become the first inputs.
fn listing(node: &Node) -> Result<Box<Tape>> {
    let placeholders = placeholders(node);
    flatten(node, (!placeholders.is_empty()).then_some(Lead::Inputs(&placeholders)))
}

/// Returns the distinct placeholders of an expression.
fn placeholders(node: &Node) -> Vec<Arc<Placeholder>> {
    let mut found: Vec<Arc<Placeholder>> = Vec::new();
    let mut add = |leaf: &Leaf| match leaf {
        Leaf::Placeholder(p) if !found.iter().any(|known| Arc::ptr_eq(known, p)) => found.push(p.clone()),
        Leaf::Placeholder(_) | Leaf::Array(_) | Leaf::Value(_) => {}
    };
    match node {
        Node::Leaf(x) | Node::Unary(_, x) => add(x),
        Node::Binary(_, x, y) => [x, y].into_iter().for_each(add),
        Node::Step(root) => {
            let (mut seen, mut rest): (HashSet<*const Step>, Vec<&Arc<Step>>) = (HashSet::new(), vec![root]);
            while let Some(step) = rest.pop() {
                if !seen.insert(Arc::as_ptr(step)) {
                    continue;
                }
                for arg in &step.args {
                    match arg {
                        Arg::Leaf(leaf) => add(leaf),
                        Arg::Step(inner) => rest.push(inner),
                    }
                }
            }
        }
        Node::Short(_) | Node::Failed(_) => {}
    }
    found
}

fn formula(tape: &Tape, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let instrs = tape.instrs();
    if instrs.len() > WRITTEN {
        let arrays = tape.lead_count() + tape.operands().len();
        return write!(f, "{} steps on {arrays} array{}", instrs.len(), if arrays == 1 { "" } else { "s" });
    }
    let mut uses = [0; WRITTEN];
    for r in instrs.iter().flat_map(Instr::operands) {
        if let Ref::Value(i) = r {
            uses[i as usize] += 1;
        }
    }
    let named: Vec<usize> = (0..instrs.len()).filter(|&i| uses[i] > 1).collect();
    let text = Text { tape, named: &named };
    text.whole(tape.result(), f)?;
    for (n, &i) in named.iter().enumerate() {
        write!(f, "{} t{n} = ", if n == 0 { " where" } else { "," })?;
        text.step(&instrs[i], f)?;
    }
    Ok(())
}

struct Text<'a> {
    tape: &'a Tape,
    /// The steps that have names.
    named: &'a [usize],
}

impl Text<'_> {
    /// Writes a value without parentheses around it.
    fn whole(&self, r: Ref, f: &mut dyn Write) -> fmt::Result {
        match r {
            Ref::Input(i) => write!(f, "x{i}"),
            Ref::Param(i) => scalar(&self.tape.params()[i as usize], f),
            Ref::Value(i) => match self.named.iter().position(|&n| n == i as usize) {
                Some(name) => write!(f, "t{name}"),
                None => self.step(&self.tape.instrs()[i as usize], f),
            },
        }
    }

    /// Writes a value as an operand of an infix operator.
    fn operand(&self, r: Ref, f: &mut dyn Write) -> fmt::Result {
        let unnamed = |i: u32| !self.named.contains(&(i as usize));
        let infix = matches!(r, Ref::Value(i) if unnamed(i)
            && matches!(self.tape.instrs()[i as usize], Instr::Binary(op, ..) if symbol(op).is_some()));
        if !infix {
            return self.whole(r, f);
        }
        f.write_str("(")?;
        self.whole(r, f)?;
        f.write_str(")")
    }

    fn step(&self, instr: &Instr, f: &mut dyn Write) -> fmt::Result {
        if let Instr::Binary(op, x, y) = *instr
            && let Some(symbol) = symbol(op)
        {
            self.operand(x, f)?;
            write!(f, " {symbol} ")?;
            return self.operand(y, f);
        }
        match instr {
            Instr::Cast(to, _) => write!(f, "{to}(")?,
            other => write!(f, "{}(", other.name())?,
        }
        for (i, r) in instr.operands().into_iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            self.whole(r, f)?;
        }
        f.write_str(")")
    }
}

fn scalar(value: &Scalar, f: &mut dyn Write) -> fmt::Result {
    with_dtype!(value.dtype(), T => write!(f, "{}", value.get::<T>()))
}

/// Returns the operator of a ufunc that has one.
fn symbol(op: Binary) -> Option<&'static str> {
    Some(match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::BitAnd => "&",
        Binary::BitOr => "|",
        Binary::BitXor => "^",
        Binary::Shl => "<<",
        Binary::Shr => ">>",
        Binary::Equal => "==",
        Binary::NotEqual => "!=",
        Binary::Less => "<",
        Binary::LessEqual => "<=",
        Binary::Greater => ">",
        Binary::GreaterEqual => ">=",
        _ => return None,
    })
}
