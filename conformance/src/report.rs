//! The results of the suite.

use polyarray_core::DType;
use std::collections::BTreeMap;
use std::fmt;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// A result differs from the oracle's by more than the tolerance.
    Value,
    /// A byte outside the output's elements was written.
    Overrun,
    /// An element of the output was not written.
    Unwritten,
    /// The same operation gave different results for different positions of the output.
    Unstable,
    /// The bits of an element depend on its offset, on the length or on the number of threads.
    Inconsistent,
    /// Bytes are no value of the dtype (a bool that is neither 0 nor 1).
    Invalid,
    /// An operation that the estimate accepted returned an error.
    Error,
    /// A panic.
    Panic,
    /// An operation breaks an invariant of [`op`](polyarray_core::op): a bug of core, not of the backend.
    Operation,
}

/// A case that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The ufunc or operation.
    pub op: String,
    /// The dtype of the operands.
    pub dtype: DType,
    /// The shapes and layouts as text.
    pub case: String,
    /// The index of the element (in C order of the result) or of the position in the guarded output, in elements.
    pub index: usize,
    /// The actual result.
    pub got: String,
    /// The expected result.
    pub expected: String,
    /// The accepted deviation; empty if there is none.
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

/// The number of failures kept for each operation and dtype; further ones are only counted.
const KEPT: usize = 4;

/// The results of the suite for one device.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The name of the device.
    pub device: String,
    /// The number of cases that passed.
    pub passed: usize,
    /// The number of cases that the device refused, with the first reason, for each operation and dtype.
    pub refused: BTreeMap<(String, DType), (usize, String)>,
    /// The first failures of each operation and dtype.
    pub failures: Vec<Failure>,
    /// The number of all failures, for each operation and dtype.
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

    /// Returns the number of failures.
    pub fn failed_cases(&self) -> usize {
        self.failed.values().sum()
    }

    /// Returns the number of cases that the device refused.
    pub fn refused_cases(&self) -> usize {
        self.refused.values().map(|(n, _)| n).sum()
    }

    /// Returns whether a case passed and none failed.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty() && self.passed > 0
    }

    /// Asserts that no case failed and that at least one passed.
    ///
    /// # Panics
    /// If a case failed, with all failures as the message. Also if no case passed, since nothing was checked then.
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
