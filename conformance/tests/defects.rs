//! Tests with broken backends: the suite must find each defect, with the matching kind of failure.

extern crate polyarray_cpu as _;

use polyarray_conformance::{FailureKind, Filter, Report, check, check_backend, support};
use polyarray_core::op::{Give, Op, Reduction};
use polyarray_core::{
    Backend, Binary, Buffer, Cost, DType, Device, DeviceInfo, Instr, Memory, MemoryId, Result, RunContext, Unary,
    Unsupported, memory,
};
use std::sync::Arc;

/// The defect of a backend.
#[derive(Clone, Copy, Debug)]
enum Defect {
    /// One element after the end of the output is written.
    PastTheEnd,
    /// The gaps of a strided output are written.
    Gaps,
    /// The last element of maps longer than 16 is not written.
    LastUnwritten,
    /// exp is 3 ULP off for results above 3.
    ExpOff,
    /// minimum gives 1 in place of NaN.
    MinimumLosesNan,
    /// A true bool is stored as 2.
    BoolOfTwo,
    /// Sums of f32 differ by one ULP from those in the fixed order.
    SumReordered,
    /// An operand of more than 8 elements is read one element too far.
    ReadsTooFar,
    /// Results of odd lengths are rounded differently.
    DependsOnLength,
    /// Results of more than one thread are rounded differently.
    DependsOnThreads,
    /// The previous contents of the output are added to the result.
    ReadsOutput,
    /// Matrix products omit their last term.
    MatmulLosesTerm,
    /// Distances have the error of the expanded square.
    DistanceCancels,
    /// Equal elements are in reverse order.
    SortUnstable,
    /// The largest element of a sort is changed.
    SortLosesLast,
    /// A histogram lacks an element on the last edge.
    CountsHalfOpen,
    /// A gather changes its last element.
    GatherOff,
    /// A scatter changes an element that no index refers to.
    ScatterElsewhere,
    /// Accepted operations return an error.
    Fails,
    /// Accepted operations panic.
    Panics,
    /// Every operation is refused.
    RefusesAll,
}

struct Broken {
    info: DeviceInfo,
    defect: Defect,
}

fn scalar() -> Arc<dyn Backend> {
    Device::scalar().backend().expect("scalar has a backend").clone()
}

fn read(buffer: &Buffer, at: usize, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    // SAFETY: the suite or core has filled the output before the run, and nothing else writes it during the run
    // (condition 3 of `Backend::run`).
    unsafe { host().download(buffer, at, &mut out) }.expect("host memory");
    out
}

fn host() -> Arc<dyn Memory> {
    memory(MemoryId::HOST)
}

/// Overwrites a part of the output, as a defective backend does.
fn write(bytes: &[u8], output: &Buffer, at: usize) {
    // SAFETY: the output belongs to the call that writes it (condition 3 of `Backend::run`). The suite checks its
    // contents before an array shows them.
    unsafe { host().upload(bytes, output, at) }.expect("host memory");
}

/// Runs an operation of the suite, or one derived from it, on `scalar`.
fn run_scalar(op: &Op, cx: &RunContext) -> Result<()> {
    // SAFETY: `op` is an operation of the suite, which satisfies the conditions of `Backend::run`, or accesses some of
    // its elements, or reads one element further inside an operand's buffer.
    unsafe { scalar().run(op, cx) }
}

/// Replaces element `i` of an f32 output that starts at `offset` by `f` of it.
fn alter_f32(output: &Buffer, offset: usize, i: usize, f: impl Fn(f32) -> f32) {
    let at = 4 * (offset + i);
    let old = f32::from_ne_bytes(read(output, at, 4).try_into().expect("4 bytes"));
    write(&f(old).to_ne_bytes(), output, at);
}

/// Returns the length and the output offset of a contiguous f32 map of one instruction for which `is` returns true.
fn contiguous_map(op: &Op, is: impl Fn(Instr) -> bool) -> Option<(usize, usize)> {
    match op {
        Op::Map(o)
            if o.output.dtype == DType::F32
                && o.shape.len() == 1
                && o.output.strides[0] == 1
                && o.program.instrs().len() == 1
                && is(o.program.instrs()[0]) =>
        {
            Some((o.shape[0], o.output.offset))
        }
        _ => None,
    }
}

impl Broken {
    fn spoil(&self, op: &Op, cx: &RunContext) {
        let every = |is: fn(Instr) -> bool, f: &dyn Fn(f32) -> f32| {
            if let Some((n, offset)) = contiguous_map(op, is) {
                (0..n).for_each(|i| alter_f32(cx.output(), offset, i, f));
            }
        };
        let ulps = |x: f32, n: u32| if x.is_finite() { f32::from_bits(x.to_bits() + n) } else { x };
        match self.defect {
            Defect::PastTheEnd => {
                if let Some((n, offset)) = contiguous_map(op, |_| true) {
                    write(&[0; 4], cx.output(), 4 * (offset + n));
                }
            }
            Defect::Gaps => {
                if let Op::Map(o) = op
                    && o.output.strides.last() == Some(&2)
                {
                    let size = o.output.dtype.size();
                    write(&vec![0; size], cx.output(), (o.output.offset + 1) * size);
                }
            }
            Defect::ExpOff => {
                every(|i| matches!(i, Instr::Unary(Unary::Exp, _)), &|x| if x > 3.0 { ulps(x, 3) } else { x })
            }
            Defect::MinimumLosesNan => {
                every(|i| matches!(i, Instr::Binary(Binary::Minimum, ..)), &|x| if x.is_nan() { 1.0 } else { x })
            }
            Defect::BoolOfTwo => {
                if let Op::Map(o) = op
                    && o.output.dtype == DType::Bool
                    && read(cx.output(), o.output.offset, 1) == [1]
                {
                    write(&[2], cx.output(), o.output.offset);
                }
            }
            Defect::SumReordered => {
                if let Op::Reduce(o) = op
                    && (o.kind, o.output.dtype, o.inner.size() > 100) == (Reduction::Sum, DType::F32, true)
                {
                    alter_f32(cx.output(), o.output.offset, 0, |x| ulps(x, 1));
                }
            }
            Defect::DependsOnLength => {
                if let Some((n, offset)) = contiguous_map(op, |i| matches!(i, Instr::Binary(Binary::Pow, ..)))
                    && n % 2 == 1
                {
                    alter_f32(cx.output(), offset, n - 1, |x| if x > 1.0 { ulps(x, 1) } else { x });
                }
            }
            Defect::DependsOnThreads if cx.threads > 1 => {
                every(|i| matches!(i, Instr::Binary(Binary::Mul, ..)), &|x| ulps(x, 1))
            }
            Defect::MatmulLosesTerm => {
                if let Op::Matmul(o) = op
                    && (o.dtype, o.k > 4) == (DType::F32, true)
                {
                    let mut shorter = o.clone();
                    shorter.k -= 1;
                    run_scalar(&Op::Matmul(shorter), cx).expect("scalar runs everything");
                }
            }
            Defect::SortUnstable => {
                if let Op::Sort(o) = op
                    && (o.give, o.n > 4, o.take.len() == o.n) == (Give::Indices, true, true)
                {
                    let mut reversed = o.clone();
                    reversed.input.offset =
                        (o.input.offset as isize + (o.n as isize - 1) * o.input.strides[o.lines.len()]) as usize;
                    reversed.input.strides[o.lines.len()] *= -1;
                    run_scalar(&Op::Sort(reversed), cx).expect("scalar runs everything");
                    for i in 0..o.n * o.lines.size() {
                        let index = i64::from_ne_bytes(read(cx.output(), 8 * i, 8).try_into().expect("8 bytes"));
                        write(&(o.n as i64 - 1 - index).to_ne_bytes(), cx.output(), 8 * i);
                    }
                }
            }
            Defect::SortLosesLast => {
                if let Op::Sort(o) = op
                    && (o.give, o.dtype, o.n > 70) == (Give::Values, DType::F32, true)
                {
                    alter_f32(cx.output(), 0, o.take.len() - 1, |x| x + 1.0);
                }
            }
            Defect::CountsHalfOpen => {
                if let Op::Count(o) = op
                    && o.dtype == DType::F32
                {
                    let at = 8 * (o.bins - 1);
                    let last = i64::from_ne_bytes(read(cx.output(), at, 8).try_into().expect("8 bytes"));
                    write(&(last - 1).to_ne_bytes(), cx.output(), at);
                }
            }
            Defect::GatherOff => {
                if let Op::Gather(o) = op
                    && o.dtype == DType::F32
                {
                    alter_f32(cx.output(), 0, o.shape.size() - 1, |x| x + 1.0);
                }
            }
            Defect::ScatterElsewhere => {
                if let Op::Scatter(o) = op
                    && o.dtype == DType::F32
                    && *o.shape == [1]
                {
                    let out = op.output();
                    alter_f32(cx.output(), out.offset, out.lens.size() - 1, |x| x + 1.0);
                }
            }
            Defect::DistanceCancels => {
                if let Op::Distance(o) = op
                    && o.dtype == DType::F32
                {
                    // The error that the rounding of |x|^2 would leave in |x|^2 - 2 x.y + |y|^2.
                    (0..o.n * o.m).for_each(|i| alter_f32(cx.output(), 0, i, |x| (x * x + 1e-4).sqrt()));
                }
            }
            _ => {}
        }
    }

    fn run_map_of_more(&self, op: &Op, cx: &RunContext) -> Option<Result<()>> {
        let Op::Map(o) = op else { return None };
        match self.defect {
            Defect::LastUnwritten if o.shape.len() == 1 && o.shape[0] > 16 => {
                let mut shorter = o.clone();
                shorter.shape = (o.shape[0] - 1).into();
                Some(run_scalar(&Op::Map(shorter), cx))
            }
            Defect::ReadsTooFar
                if o.shape.len() == 1 && o.shape[0] > 8 && o.inputs.len() == 2 && o.inputs[0].strides[0] == 1 =>
            {
                let mut further = o.clone();
                let end = (o.inputs[0].offset + o.shape[0] + 1) * o.inputs[0].dtype.size();
                if end <= o.inputs[0].buffer.bytes() {
                    further.inputs[0].offset += 1;
                }
                Some(run_scalar(&Op::Map(further), cx))
            }
            _ => None,
        }
    }
}

// SAFETY: `memory` always returns the host. Elements that a defect leaves unwritten or makes invalid lie in buffers
// that the suite guards, and are replaced before an array shows them.
unsafe impl Backend for Broken {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if matches!(self.defect, Defect::RefusesAll) {
            Err(Unsupported::new("the broken backend refuses every operation"))
        } else {
            scalar().estimate(op, threads)
        }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match self.defect {
            Defect::Fails => {
                return Err(polyarray_core::Error::Device {
                    device: "broken".into(),
                    why: "the broken backend always fails".into(),
                });
            }
            Defect::Panics => panic!("this backend panics"),
            _ => {}
        }
        let before = match (self.defect, contiguous_map(op, |i| matches!(i, Instr::Binary(Binary::Add, ..)))) {
            (Defect::ReadsOutput, Some((n, offset))) => Some((offset, n, read(cx.output(), 4 * offset, 4 * n))),
            _ => None,
        };
        self.run_map_of_more(op, cx).unwrap_or_else(|| run_scalar(op, cx))?;
        self.spoil(op, cx);
        if let Some((offset, n, old)) = before {
            for i in 0..n {
                let old = f32::from_ne_bytes(old[4 * i..4 * i + 4].try_into().expect("4 bytes"));
                alter_f32(cx.output(), offset, i, |x| x + old * 1e15);
            }
        }
        Ok(())
    }
}

fn report(defect: Defect, filter: Filter) -> Report {
    let info = DeviceInfo { name: "broken".into(), description: format!("{defect:?}"), hardware: true };
    check_backend(Arc::new(Broken { info, defect }), &filter)
}

/// Asserts that the suite reports the defect as a failure of this kind and operation.
fn found(defect: Defect, filter: Filter, kind: FailureKind, op: &str) {
    let report = report(defect, filter);
    assert!(
        report.failures.iter().any(|f| f.kind == kind && f.op == op),
        "{defect:?} was not found as {kind:?} of {op}: {report}"
    );
}

fn f32s(op: &str) -> Filter {
    Filter::quick().op(op).dtype(DType::F32)
}

#[test]
fn writes_out_of_range_are_found() {
    found(Defect::PastTheEnd, f32s("add"), FailureKind::Overrun, "add");
    found(Defect::Gaps, f32s("add"), FailureKind::Overrun, "add");
}

#[test]
fn what_is_not_written_is_found() {
    found(Defect::LastUnwritten, f32s("sub"), FailureKind::Unwritten, "sub");
}

#[test]
fn reads_out_of_range_are_found() {
    found(Defect::ReadsTooFar, f32s("mul"), FailureKind::Value, "mul");
    found(Defect::ReadsOutput, f32s("add"), FailureKind::Unstable, "add");
}

#[test]
fn wrong_values_are_found() {
    found(Defect::ExpOff, f32s("exp"), FailureKind::Value, "exp");
    found(Defect::MinimumLosesNan, f32s("minimum"), FailureKind::Value, "minimum");
    found(Defect::SumReordered, f32s("sum"), FailureKind::Value, "sum");
    found(Defect::MatmulLosesTerm, f32s("matmul"), FailureKind::Value, "matmul");
    found(Defect::DistanceCancels, f32s("cdist euclidean"), FailureKind::Value, "cdist euclidean");
    found(Defect::SortUnstable, f32s("argsort"), FailureKind::Value, "argsort");
    found(Defect::SortLosesLast, f32s("sort"), FailureKind::Value, "sort");
    found(Defect::CountsHalfOpen, f32s("histogram"), FailureKind::Value, "histogram");
    found(Defect::GatherOff, f32s("take"), FailureKind::Value, "take");
    found(Defect::ScatterElsewhere, f32s("scatter"), FailureKind::Value, "scatter");
    found(Defect::BoolOfTwo, f32s("less"), FailureKind::Invalid, "less");
}

#[test]
fn results_that_depend_on_what_must_not_matter_are_found() {
    // One more ULP is within the tolerance of pow: only the comparison of different lengths reveals it.
    found(Defect::DependsOnLength, f32s("pow"), FailureKind::Inconsistent, "pow");
    found(Defect::DependsOnThreads, f32s("mul"), FailureKind::Inconsistent, "mul");
}

#[test]
fn errors_and_panics_of_what_was_accepted_are_found() {
    found(Defect::Fails, f32s("neg"), FailureKind::Error, "neg");
    found(Defect::Panics, f32s("neg"), FailureKind::Panic, "neg");
}

#[test]
fn refusals_are_counted_and_are_no_pass() {
    let report = report(Defect::RefusesAll, f32s("sqrt"));
    assert!(report.failures.is_empty() && report.passed == 0 && report.refused_cases() > 0, "{report}");
    assert!(report.to_string().contains("the broken backend refuses every operation"));
    assert!(!report.is_ok());
}

#[test]
fn scalar_passes_and_takes_everything() {
    let report = check(&Device::scalar(), &Filter::quick());
    println!("{report}");
    report.assert_ok();
    assert_eq!(report.refused_cases(), 0);
    for row in support(&[Device::scalar()]).unwrap() {
        assert!(row.answers.iter().all(|(_, answer)| answer.is_ok()), "{row}");
    }
}
