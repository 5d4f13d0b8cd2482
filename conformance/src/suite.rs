//! The state of a run (device under test, filter, report), and the code that runs and judges a case.

use crate::compare::{Expected, Values, first_difference};
use crate::guard::{Guard, Guarded};
use crate::layouts::Place;
use crate::report::{Failure, FailureKind, Report};
use crate::values::Rng;
use crate::{Filter, consistency, elementwise, indexing, products, programs, random, reductions, scans, sorting};
use polyarray_core::{Backend, DType, Device, Error, MemoryId, Result, register, with_device};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A run of the suite on one backend.
pub(crate) struct Suite {
    pub filter: Filter,
    /// Whether the device has a memory of its own. If so, GPU tolerances hold, and it may flush subnormals.
    pub gpu: bool,
    /// The name of the backend under test.
    pub name: String,
    /// The guarded backend, registered as the device that the cases run on.
    pub device: Device,
    pub guard: Arc<Guard>,
    pub report: Report,
    pub rng: Rng,
    cases: usize,
}

pub(crate) struct Case {
    pub op: String,
    pub dtype: DType,
    pub detail: String,
}

impl Suite {
    pub fn new(backend: Arc<dyn Backend>, filter: &Filter) -> Suite {
        let (name, gpu) = (backend.info().name.clone(), backend.memory() != MemoryId::HOST);
        let guard = Guard::new(backend);
        // Registration replaces the guard of an earlier suite, which has the same name. Existing `Device` values keep
        // their backend.
        let device = register(Guarded(guard.clone()));
        let report = Report { device: name.clone(), ..Report::default() };
        Suite { filter: filter.clone(), gpu, name, device, guard, report, rng: Rng::new(filter.seed), cases: 0 }
    }

    pub fn run(mut self) -> Report {
        elementwise::run(&mut self);
        programs::run(&mut self);
        reductions::run(&mut self);
        scans::run(&mut self);
        products::run(&mut self);
        sorting::run(&mut self);
        random::run(&mut self);
        indexing::run(&mut self);
        consistency::run(&mut self);
        self.guard.close();
        self.report
    }

    pub fn full(&self) -> bool {
        self.filter.full
    }

    pub fn wants(&self, op: &str, dtype: DType) -> bool {
        self.filter.wants(op, dtype)
    }

    pub fn refused(&self, op: &str, dtype: DType) -> bool {
        self.report.refused.contains_key(&(op.to_string(), dtype))
    }

    /// Returns whether the device refused `op` for `dtype`, or a case of it failed.
    pub fn troubled(&self, op: &str, dtype: DType) -> bool {
        self.refused(op, dtype) || self.report.failed.contains_key(&(op.to_string(), dtype))
    }

    /// Chooses the memory of the operands. On a GPU, every second case uses views of arrays in its memory, with poison.
    fn place(&mut self) -> Place {
        self.cases += 1;
        if self.gpu && self.cases.is_multiple_of(2) { Place::On(self.device.clone()) } else { Place::Host }
    }

    /// Runs a case on the device and compares the result with the expected one.
    pub fn case(
        &mut self,
        case: Case,
        run: impl Fn(&Place) -> Result<Values>,
        expected: impl FnOnce() -> Result<Expected>,
    ) {
        let mut expected = Some(expected);
        self.judge(&case, &run, &mut || expected.take().expect("called once")());
    }

    /// Implements [`case`](Self::case). It is compiled once, not for each of the many kinds of case.
    fn judge(
        &mut self,
        case: &Case,
        run: &dyn Fn(&Place) -> Result<Values>,
        expected: &mut dyn FnMut() -> Result<Expected>,
    ) {
        let place = self.place();
        let device = self.device.clone();
        let Some(got) = self.attempt(case, || with_device(&device, || run(&place))) else { return };
        let Some(expected) = self.attempt(case, expected) else { return };
        match first_difference(&got, &expected, self.gpu) {
            None => self.report.passed += 1,
            Some(d) => {
                let failure = self.failure(case, FailureKind::Value, d.index, d.got, d.expected);
                self.report.fail(Failure { tolerance: d.tolerance, ..failure });
            }
        }
    }

    /// Returns the result of `f`. If `f` fails, panics, is refused or leaves findings, reports this and returns `None`.
    pub fn attempt<R>(&mut self, case: &Case, f: impl FnOnce() -> Result<R>) -> Option<R> {
        let (mut f, mut result) = (Some(f), None);
        let clean = self.succeeds(case, &mut || {
            result = Some(f.take().expect("called once")()?);
            Ok(())
        });
        result.filter(|_| clean)
    }

    /// Runs `f` once. Returns whether it succeeds without findings; otherwise reports what happened.
    fn succeeds(&mut self, case: &Case, f: &mut dyn FnMut() -> Result<()>) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(f));
        let findings = self.guard.take_findings();
        let clean = findings.is_empty();
        for found in findings {
            let failure = self.failure(case, found.kind, found.index, found.got, found.expected);
            self.report.fail(failure);
        }
        match outcome {
            Ok(Ok(())) => return clean,
            Ok(Err(e)) if self.is_refusal(&e) => self.report.refuse(&case.op, case.dtype, reason(e)),
            Ok(Err(e)) => {
                let failure = self.failure(case, FailureKind::Error, 0, e.to_string(), "a result".into());
                self.report.fail(failure);
            }
            Err(panic) => {
                let message =
                    panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
                let failure = self.failure(case, FailureKind::Panic, 0, message.unwrap_or_default(), "a result".into());
                self.report.fail(failure);
            }
        }
        false
    }

    /// Returns whether `e` is a refusal, which is no failure. `scalar`, the last fallback, must not refuse.
    fn is_refusal(&self, e: &Error) -> bool {
        matches!(e, Error::Refused { .. } | Error::Storage { .. }) && self.name != "scalar"
    }

    pub fn failure(&self, case: &Case, kind: FailureKind, index: usize, got: String, expected: String) -> Failure {
        Failure {
            kind,
            op: case.op.clone(),
            dtype: case.dtype,
            case: case.detail.clone(),
            index,
            got,
            expected,
            tolerance: String::new(),
        }
    }
}

pub(crate) fn on_scalar<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    with_device(&Device::scalar(), f)
}

fn reason(e: Error) -> String {
    match e {
        Error::Refused { reasons, .. } => reasons.into_iter().map(|(_, why)| why).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}
