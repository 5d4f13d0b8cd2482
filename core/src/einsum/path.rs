//! A description of how an einsum would be computed.

use super::parse::{Labels, set};
use super::plan::{Plan, Step};
use super::{Parsed, planned};
use crate::{DType, Dims, Result};
use std::fmt;

/// The order in which [`einsum`](crate::einsum) contracts its operands. Made by [`einsum_path`]; `Display` formats it.
#[derive(Clone, Debug)]
pub struct EinsumPath {
    subscripts: String,
    shapes: Vec<Dims>,
    steps: Vec<EinsumStep>,
}

/// One step of an [`EinsumPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EinsumStep {
    /// The numbers of its operands: one value for a sum, else two. The operands of the einsum are values 0, 1 ..; the
    /// results of the steps follow.
    pub values: Vec<usize>,
    /// The subscripts of the step: `ij,jk->ik`.
    pub subscripts: String,
    /// The operation of the step: `matmul [2, 3, 4]` (m, k, n), `5 x matmul [2, 3, 4]`, `multiply`, `sum`.
    pub operation: String,
    /// The number of products of two elements, including their addition to a sum if there is one; 0 for a sum.
    pub multiply_adds: u128,
    /// The number of elements of the result.
    pub elements: u128,
}

impl EinsumPath {
    /// Returns the steps, in order. There are none if the result is a view of the only operand.
    pub fn steps(&self) -> &[EinsumStep] {
        &self.steps
    }

    /// Returns the multiply-adds of all steps.
    pub fn multiply_adds(&self) -> u128 {
        self.steps.iter().fold(0, |n, s| n.saturating_add(s.multiply_adds))
    }

    /// Returns the number of elements of the largest intermediate result; 0 if there is none. The result of the last
    /// step is not an intermediate one.
    pub fn largest_intermediate(&self) -> u128 {
        let intermediate = self.steps.len().saturating_sub(1);
        self.steps[..intermediate].iter().map(|s| s.elements).max().unwrap_or(0)
    }
}

impl fmt::Display for EinsumPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cost, largest) = (self.multiply_adds(), self.largest_intermediate());
        writeln!(
            f,
            "{} of {:?}: {cost} multiply-adds, largest intermediate {largest} elements",
            self.subscripts, self.shapes
        )?;
        let width = self.steps.iter().map(|s| s.subscripts.len()).max().unwrap_or(0);
        for (i, s) in self.steps.iter().enumerate() {
            let from = s.values.iter().map(|v| format!("#{v}")).collect::<Vec<_>>().join(", ");
            let to = self.shapes.len() + i;
            writeln!(
                f,
                "  #{to} = {:width$}  of {from}: {}, {} multiply-adds, {} elements",
                s.subscripts, s.operation, s.multiply_adds, s.elements
            )?;
        }
        Ok(())
    }
}

/// Returns how [`einsum`](crate::einsum) would contract operands of these shapes. Computes nothing.
///
/// # Errors
/// [`Error::Einsum`](crate::Error::Einsum), as [`einsum`](crate::einsum).
///
/// ```
/// # use polyarray_core::*;
/// let path = einsum_path("ij,jk,kl->il", &[[10, 100], [100, 5], [5, 50]])?;
/// assert_eq!((path.multiply_adds(), path.largest_intermediate()), (7500, 50));
/// assert_eq!(path.steps()[0].subscripts, "ij,jk->ik");
/// println!("{path}");
/// # Ok::<(), Error>(())
/// ```
pub fn einsum_path<S: AsRef<[usize]>>(subscripts: &str, shapes: &[S]) -> Result<EinsumPath> {
    let shapes: Vec<&[usize]> = shapes.iter().map(AsRef::as_ref).collect();
    let (parsed, plan) = planned(subscripts, &shapes, DType::Bool)?;
    let steps = (0..plan.steps.len()).map(|i| described(i, &plan, &parsed)).collect();
    Ok(EinsumPath { subscripts: subscripts.into(), shapes: shapes.into_iter().map(Dims::from).collect(), steps })
}

fn described(step: usize, plan: &Plan, parsed: &Parsed) -> EinsumStep {
    let subscripts = plan.describe(step);
    let elements = |labels: &[u8]| parsed.elements(set(labels));
    match &plan.steps[step] {
        Step::Sum { of, labels } => EinsumStep {
            values: vec![*of],
            subscripts,
            operation: "sum".into(),
            multiply_adds: 0,
            elements: elements(labels),
        },
        Step::Contract { pair, labels } => {
            let (a, b) = (&plan.values[pair.0], &plan.values[pair.1]);
            let part = |of: &Labels, in_other: bool, kept: bool, other: &Labels| {
                let chosen: Labels = of
                    .iter()
                    .copied()
                    .filter(|l| other.contains(l) == in_other && labels.contains(l) == kept)
                    .collect();
                elements(&chosen)
            };
            let summed = a.iter().any(|l| !labels.contains(l));
            let (batch, m, k, n) =
                (part(a, true, true, b), part(a, false, true, b), part(a, true, false, b), part(b, false, true, a));
            let operation = match (summed, batch) {
                (false, _) => "multiply".to_string(),
                (true, 1) => format!("matmul [{m}, {k}, {n}]"),
                (true, batch) => format!("{batch} x matmul [{m}, {k}, {n}]"),
            };
            let multiply_adds = parsed.elements(set(a) | set(b));
            EinsumStep {
                values: vec![pair.0, pair.1],
                subscripts,
                operation,
                multiply_adds,
                elements: elements(labels),
            }
        }
    }
}
