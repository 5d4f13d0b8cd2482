//! Powers with a constant exponent that a few simple steps give, with the special values of [`Binary::Pow`].

use super::node::{Leaf, Node};
use crate::program::{Instr, Ref};
use crate::ufunc::{Binary, Unary};
use crate::{Kind, Scalar, Wide};

/// Returns `x` to the power of `exponent` if a few steps give it: for the exponents 2 and 3, and for floats 1/2 and -1.
pub(super) fn short(x: &Node, exponent: &Scalar) -> Option<Node> {
    let dtype = exponent.dtype();
    // Two values are left to the evaluation. An error has no dtype.
    if matches!(x, Node::Leaf(Leaf::Value(_))) || x.dtype() != Some(dtype) || dtype.kind() == Kind::Complex {
        return None;
    }
    let (float, value) = (dtype.kind() == Kind::Float, exponent.to_wide().real());
    let number = |value: f64| Node::Leaf(Leaf::Value(Scalar::from_wide(dtype, Wide::Float(value))));
    let x = || x.clone();
    if value == 2.0 {
        return Some(x().unary(Unary::Square));
    }
    // The square of a half float would be rounded to its few digits.
    if value == 3.0 && (!float || dtype.size() > 2) {
        return Some(x().unary(Unary::Square).binary(Binary::Mul, x()));
    }
    if value == -1.0 && float {
        return Some(x().unary(Unary::Reciprocal));
    }
    if value == 0.5 && float {
        // The root of -0 is -0, and that of -infinity NaN; the powers are 0 and infinity.
        let root = x().binary(Binary::Add, number(0.0)).unary(Unary::Sqrt);
        let least = x().binary(Binary::Equal, number(f64::NEG_INFINITY));
        let step = Instr::Select(Ref::Value(0), Ref::Value(1), Ref::Value(2));
        return Some(Node::step(step, [least, number(f64::INFINITY), root]));
    }
    None
}
