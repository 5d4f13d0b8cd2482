//! What the suite found.

use polyarray_core::DType;
use std::collections::BTreeMap;
use std::fmt;

/// What went wrong in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// A result that differs from the oracle's by more than the tolerance.
    Value,
    /// A byte outside the output's elements that was written.
    Overrun,
    /// An element of the output that was not written.
    Unwritten,
    /// The same operation gave different results for outputs that lie differently.
    Unstable,
    /// The bits of an element depend on its offset, on the length or on the number of threads.
    Inconsistent,
    /// Bytes that are no value of the dtype (a bool that is neither 0 nor 1).
    Invalid,
    /// An error from a run of what the estimate accepted.
    Error,
    /// A panic.
    Panic,
    /// An operation that breaks an invariant of [`op`](polyarray_core::op): a bug of core, not of the backend.
    Operation,
}

/// One case that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The ufunc or operation.
    pub op: String,
    /// The dtype of its operands.
    pub dtype: DType,
    /// Shapes and layouts, in words.
    pub case: String,
    /// Which element (in C order of the result), or which byte.
    pub index: usize,
    /// What was found.
    pub got: String,
    /// What should have been.
    pub expected: String,
    /// How far it could have been off.
    pub tolerance: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: {} {} {}: at {}: got {}, expected {}",
            self.kind, self.op, self.dtype, self.case, self.index, self.got, self.expected
        )?;
        if self.tolerance.is_empty() { Ok(()) } else { write!(f, " (tolerance: {})", self.tolerance) }
    }
}

/// Failures of one op and dtype that are kept; the rest is counted.
const KEPT: usize = 4;

/// What a run of the suite found about one device.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The device.
    pub device: String,
    /// Cases that passed.
    pub passed: usize,
    /// Cases that the device refused, with the first reason of each op and dtype.
    pub refused: BTreeMap<(String, DType), (usize, String)>,
    /// Cases that failed: the first few of each op and dtype.
    pub failures: Vec<Failure>,
    /// How many failed in all, for each op and dtype.
    pub failed: BTreeMap<(String, DType), usize>,
}

impl Report {
    pub(crate) fn refuse(&mut self, op: &str, dtype: DType, reason: String) {
        self.refused.entry((op.into(), dtype)).or_insert((0, reason)).0 += 1;
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        let count = self.failed.entry((failure.op.clone(), failure.dtype)).or_insert(0);
        *count += 1;
        if *count <= KEPT {
            self.failures.push(failure);
        }
    }

    /// Cases that failed.
    pub fn failed_cases(&self) -> usize {
        self.failed.values().sum()
    }

    /// Cases that the device refused.
    pub fn refused_cases(&self) -> usize {
        self.refused.values().map(|(n, _)| n).sum()
    }

    /// Whether something ran and nothing failed.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty() && self.passed > 0
    }

    /// # Panics
    /// With the failures, if there are any; also if no case passed, for then nothing was checked.
    pub fn assert_ok(&self) {
        assert!(self.failures.is_empty(), "{self}");
        assert!(self.passed > 0, "no case ran: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} cases passed, {} refused, {} failed",
            self.device,
            self.passed,
            self.refused_cases(),
            self.failed_cases()
        )?;
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((op, dtype), (_, why)) in &self.refused {
            reasons.entry(why).or_default().push(format!("{op} {dtype}"));
        }
        for (why, what) in reasons {
            let shown = what.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
            let more = if what.len() > 6 { format!(" and {} more", what.len() - 6) } else { String::new() };
            writeln!(f, "  refused {shown}{more}: {why}")?;
        }
        for failure in &self.failures {
            writeln!(f, "  {failure}")?;
        }
        for ((op, dtype), count) in self.failed.iter().filter(|(_, n)| **n > KEPT) {
            writeln!(f, "  .. and {} more of {op} {dtype}", count - KEPT)?;
        }
        Ok(())
    }
}
