//! Functions of one or two operands that are traced once: the bodies of composed ufuncs.

use super::Expr;
use super::flatten::{self, Lead};
use super::fused::{are_operands, operands};
use super::node::{Node, Placeholder};
use super::tape::Tape;
use crate::{DType, Element, Result};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// A traced function.
pub(crate) struct Template(Box<Tape>);

impl Template {
    /// Traces `body`, a function of `count` (one or two) operands of `dtype`. One operand is passed as both arguments.
    ///
    /// # Errors
    /// The error of the expression that `body` returns.
    pub fn new<T: Element>(
        dtype: DType,
        count: usize,
        body: impl FnOnce(Expr<T>, Expr<T>) -> Expr<T>,
    ) -> Result<Template> {
        let leads: SmallVec<[Arc<Placeholder>; 2]> =
            (0..count).map(|_| Arc::new(Placeholder { dtype, shape: None })).collect();
        let result = body(Expr::placeholder(&leads[0]), Expr::placeholder(&leads[count - 1]));
        Ok(Template(flatten::flatten(&result.node, Some(Lead::Inputs(&leads)))?))
    }

    /// Returns the function of these operands, of the traced dtype. Returns `None` if one of them is neither an array
    /// nor a single value. A function of one operand ignores `y`.
    pub fn call<T: Element>(&self, x: &Expr<T>, y: &Expr<T>) -> Option<Expr<T>> {
        let mut nodes: SmallVec<[Node; 4]> = smallvec![x.node.clone()];
        if self.0.lead_count() > 1 {
            nodes.push(y.node.clone());
        }
        if !are_operands(&nodes) {
            return None;
        }
        let bound = self.0.bind(operands(nodes));
        Some(Expr::from_node(bound.map_or_else(|error| Node::Failed(Box::new(error)), Node::Short)))
    }
}
