//! A backend around the backend under test: provides outputs with sentinels around the elements and inspects what was
//! written.

use crate::report::FailureKind;
use polyarray_core::op::{Mode, Op, Operand};
use polyarray_core::{
    Backend, Buffer, Cost, DType, DeviceInfo, Layout, MemoryId, Result, RunContext, Unsupported, memory, walk,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

/// The name under which the guarded backend is registered.
pub(crate) const NAME: &str = "under-test";
/// The number of sentinel elements after the output.
const GUARD: usize = 80;
/// The bytes that fill an output before the first run and before the second.
const FILLS: [u8; 2] = [0xa5, 0x5a];
/// The shift of the output in the second run, in elements, if the operation has an output offset.
const SHIFT: usize = 3;

/// A defect that does not show in a result.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub kind: FailureKind,
    pub index: usize,
    pub got: String,
    pub expected: String,
}

impl Finding {
    fn new(kind: FailureKind, index: usize, got: impl Into<String>, expected: impl Into<String>) -> Finding {
        Finding { kind, index, got: got.into(), expected: expected.into() }
    }
}

/// The state shared by the suite and the guarded backend.
pub(crate) struct Guard {
    inner: Arc<dyn Backend>,
    info: DeviceInfo,
    /// The only thread whose operations are accepted. Operations of other threads, under `auto`, are refused.
    thread: ThreadId,
    open: AtomicBool,
    /// Whether runs are guarded. If not, operations go directly to the backend.
    guarding: AtomicBool,
    /// The number of threads of each run; 0 keeps the estimated number.
    threads: AtomicUsize,
    findings: Mutex<Vec<Finding>>,
}

impl Guard {
    pub fn new(inner: Arc<dyn Backend>) -> Arc<Guard> {
        let info = DeviceInfo { name: NAME.into(), ..inner.info().clone() };
        let (thread, findings) = (std::thread::current().id(), Mutex::new(Vec::new()));
        Arc::new(Guard { inner, info, thread, open: true.into(), guarding: true.into(), threads: 0.into(), findings })
    }

    /// Refuses all further operations.
    pub fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub fn set_guarding(&self, on: bool) {
        self.guarding.store(on, Ordering::Relaxed);
    }

    pub fn set_threads(&self, threads: usize) {
        self.threads.store(threads, Ordering::Relaxed);
    }

    /// Returns the findings since the last call.
    pub fn take_findings(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.findings.lock().unwrap_or_else(|e| e.into_inner()))
    }

    fn found(&self, finding: Finding) {
        self.findings.lock().unwrap_or_else(|e| e.into_inner()).push(finding);
    }

    fn run_guarded(&self, op: &Op, cx: &RunContext) -> Result<()> {
        if let Some(broken) = broken_invariant(op, cx.output()) {
            self.found(Finding::new(
                FailureKind::Operation,
                0,
                broken,
                "an operation that keeps the invariants of `polyarray_core::op`",
            ));
        }
        let mut in_place = false;
        op.for_each_input(|operand, _| in_place |= operand.buffer.same(cx.output()));
        in_place |= op.outputs().iter().any(|o| o.mode != Mode::Write);
        let first = self.attempt(op, cx, 0, FILLS[0], in_place)?;
        if !in_place {
            let second = self.attempt(op, cx, SHIFT, FILLS[1], in_place)?;
            self.compare(&first, &second);
        }
        self.deliver(&first, cx.output())
    }

    /// Runs the operation into a new buffer filled with `fill` (and with the elements of `cx.output()` if `in_place`),
    /// `shift` elements further on if the operation has an output offset.
    fn attempt(&self, op: &Op, cx: &RunContext, shift: usize, fill: u8, in_place: bool) -> Result<Written> {
        let memory = memory(self.inner.memory());
        let mut op = op.clone();
        let shifted = op.output_mut().map_or(0, |output| {
            output.offset += shift;
            shift
        });
        let layout = output_layout(&op);
        let dtype = op.output().dtype;
        let size = memory.info().stored_size(dtype).unwrap_or(dtype.size());
        let mut bytes = vec![fill; (layout.span().1 + GUARD) * size];
        if in_place {
            // SAFETY: an operand lies in the output with the same layout (invariant 4 of `Map`; the shift is 0), or the
            // operation changes the output, so its elements are written and nothing else writes them (conditions 2 and
            // 3 of `Backend::run`, guaranteed by the caller).
            for_each_run(&layout, |at, n| unsafe {
                memory.download(cx.output(), at * size, &mut bytes[at * size..(at + n) * size])
            })?;
        }
        let ours = memory.alloc(bytes.len())?;
        // SAFETY: the buffer was just allocated, so nothing else accesses it; no array is ever made of it.
        unsafe { memory.upload(&bytes, &ours, 0) }?;
        op.for_each_input_mut(|operand| {
            if operand.buffer.same(cx.output()) {
                operand.buffer = ours.clone();
            }
        });
        // SAFETY: the caller guarantees the conditions of `Backend::run` for `op`, except for its output. `ours` lies
        // in the same memory, is used by nothing else, has room for the shifted layout, and holds the operands that lay
        // in `cx.output()`.
        unsafe { self.inner.run(&op, &RunContext { threads: cx.threads, outputs: std::slice::from_ref(&ours) }) }?;
        self.inner.synchronize()?;
        // SAFETY: the upload above has written the whole buffer, and nothing else accesses it.
        unsafe { memory.download(&ours, 0, &mut bytes) }?;
        let written = Written { layout, dtype, size, shifted, bytes };
        self.inspect(&written, fill)?;
        Ok(written)
    }

    /// Reports overwritten sentinels, and bools that are neither 0 nor 1.
    fn inspect(&self, written: &Written, fill: u8) -> Result<()> {
        let (size, bytes) = (written.size, &written.bytes);
        let mut is_output = vec![false; bytes.len() / size];
        for_each_run(&written.layout, |at, n| {
            is_output[at..at + n].fill(true);
            Ok(())
        })?;
        let end = written.layout.span().1;
        let overrun = (0..is_output.len())
            .filter(|&i| !is_output[i])
            .find(|&i| bytes[i * size..(i + 1) * size].iter().any(|&b| b != fill));
        if let Some(i) = overrun {
            let place = if i >= end {
                format!("element {} after the end", i - end)
            } else {
                format!("element {i}, which is not an element of the output,")
            };
            self.found(Finding::new(FailureKind::Overrun, i, format!("{place} was written"), "untouched sentinels"));
        }
        if written.dtype == DType::Bool {
            let invalid = |i: &usize| {
                is_output[*i] && (bytes[i * size] > 1 || bytes[i * size + 1..(i + 1) * size].iter().any(|&b| b != 0))
            };
            let element = |i: usize| bytes[i * size] != fill;
            if let Some(i) = (0..is_output.len()).find(|i| invalid(i) && element(*i)) {
                self.found(Finding::new(
                    FailureKind::Invalid,
                    i,
                    format!("{:?}", &bytes[i * size..(i + 1) * size]),
                    "0 or 1",
                ));
            }
        }
        Ok(())
    }

    /// Compares two runs with different fills. An element that kept both fills was not written. Any other difference
    /// depends on the position or the previous contents of the output.
    fn compare(&self, first: &Written, second: &Written) {
        let pairs = first.elements().into_iter().zip(second.elements()).enumerate();
        let (mut unwritten, mut unstable) = (None, None);
        for (i, (a, b)) in pairs {
            if a.iter().all(|&x| x == FILLS[0]) && b.iter().all(|&x| x == FILLS[1]) {
                unwritten = unwritten.or(Some(i));
            } else if a != b && !(is_nan(first.dtype, a) && is_nan(first.dtype, b)) {
                unstable = unstable.or(Some((i, format!("{a:02x?}"), format!("{b:02x?}"))));
            }
        }
        if let Some(i) = unwritten {
            self.found(Finding::new(
                FailureKind::Unwritten,
                i,
                "the previous contents of the output",
                "a written element",
            ));
        }
        if let (Some((i, a, b)), None) = (unstable, unwritten) {
            let moved = format!("{b}, the result with the output moved by {} elements", second.shifted);
            self.found(Finding::new(FailureKind::Unstable, i, a, moved));
        }
    }

    /// Copies the elements, and nothing between them, to `output`.
    fn deliver(&self, written: &Written, output: &Buffer) -> Result<()> {
        let memory = memory(self.inner.memory());
        let size = written.size;
        for_each_run(&written.layout, |at, n| {
            let mut part = written.bytes[at * size..(at + n) * size].to_vec();
            if written.dtype == DType::Bool {
                // A bool that is neither 0 nor 1 has been reported. An array must not hold it.
                part.chunks_exact_mut(size).for_each(|b| {
                    b[0] = u8::from(b[0] != 0);
                    b[1..].fill(0);
                });
            }
            // SAFETY: nothing else accesses the output (condition 3 of `Backend::run`, guaranteed by the caller). Bools
            // were made valid above, and any bits are an element of another dtype.
            unsafe { memory.upload(&part, output, at * size) }
        })
    }
}

struct Written {
    layout: Layout,
    dtype: DType,
    /// The number of bytes in which an element is stored.
    size: usize,
    /// The number of elements by which the output was moved.
    shifted: usize,
    bytes: Vec<u8>,
}

impl Written {
    fn elements(&self) -> Vec<&[u8]> {
        let mut out = Vec::with_capacity(self.layout.len());
        let strides = self.layout.strides();
        walk::walk(self.layout.shape(), [strides], [self.layout.offset() as isize], 0..self.layout.len(), |[at]| {
            out.push(&self.bytes[at as usize * self.size..(at as usize + 1) * self.size]);
        });
        out
    }
}

/// Calls `f` with the start and the length of each run of adjacent elements.
fn for_each_run(layout: &Layout, mut f: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
    let mut run: Option<(usize, usize)> = None;
    let mut done = Ok(());
    walk::walk(layout.shape(), [layout.strides()], [layout.offset() as isize], 0..layout.len(), |[at]| {
        let at = at as usize;
        run = Some(match run {
            Some((start, n)) if at == start + n => (start, n + 1),
            Some((start, n)) => {
                if done.is_ok() {
                    done = f(start, n);
                }
                (at, 1)
            }
            None => (at, 1),
        });
    });
    done?;
    run.map_or(Ok(()), |(start, n)| f(start, n))
}

fn is_nan(dtype: DType, bytes: &[u8]) -> bool {
    use polyarray_core::{Element, Wide, with_dtype};
    if bytes.len() != dtype.size() || dtype == DType::Bool {
        return false;
    }
    match with_dtype!(dtype, T => bytemuck::checked::pod_read_unaligned::<T>(bytes).to_wide()) {
        Wide::Int(_) => false,
        Wide::Float(x) => x.is_nan(),
        Wide::Complex(re, im) => re.is_nan() || im.is_nan(),
    }
}

/// Returns the layout of the operation's results in its output.
fn output_layout(op: &Op) -> Layout {
    let output = op.output();
    Layout::from_parts(output.lens, output.strides, output.offset)
}

/// Describes an invariant of [`polyarray_core::op`] that the operation breaks, if there is one.
fn broken_invariant(op: &Op, output: &Buffer) -> Option<String> {
    let memory = memory(output.memory());
    let stored = |dtype: DType| memory.info().stored_size(dtype).unwrap_or(dtype.size());
    let mut broken = None;
    op.for_each_input(|operand: &Operand, lens| {
        let (_, hi) = operand.span(lens);
        let starts_before = lowest(operand, lens) < 0;
        if starts_before || hi * stored(operand.dtype) > operand.buffer.bytes() {
            broken = Some(format!(
                "an operand (up to element {hi}) that is not inside its buffer of {} bytes",
                operand.buffer.bytes()
            ));
        }
        if operand.strides.len() != lens.len() {
            broken = Some(format!("{} strides for {} axes", operand.strides.len(), lens.len()));
        }
        if operand.buffer.memory() != output.memory() {
            broken = Some("an operand in a memory other than the output's".into());
        }
    });
    let space = |name: &str, lens: &[usize], strides: &[isize]| {
        let degenerate = lens.is_empty() || lens.contains(&0) || lens.len() > 1 && lens.contains(&1);
        let unordered = strides.windows(2).any(|w| w[0] < w[1]) || lens != [1] && strides.iter().any(|&s| s <= 0);
        (degenerate || unordered).then(|| format!("{name} {lens:?} with output strides {strides:?}"))
    };
    let shape = match op {
        Op::Map(o) => space("shape", &o.shape, &o.output.strides),
        Op::Reduce(o) => space("outer", &o.outer, &o.output.strides),
        Op::Scan(o) => space("outer", &o.outer, &o.output.strides[..o.outer.len()]).or_else(|| {
            let side_by_side = o.output.strides.iter().rev().take(2).any(|&s| s == 1);
            (o.len == 0 || !side_by_side)
                .then(|| format!("{} along {} with output strides {:?}", o.kind.name(), o.len, o.output.strides))
        }),
        Op::Matmul(o) => (o.m * o.n * o.k * o.batch.size() == 0).then(|| "a matmul with an axis of length 0".into()),
        Op::Distance(o) => (o.n * o.m * o.d == 0).then(|| "distances with an axis of length 0".into()),
        Op::Nearest(o) => (o.n * o.d == 0 || o.k == 0 || o.k > o.m).then(|| format!("{} of {} neighbours", o.k, o.m)),
        Op::Sort(o) => (o.lines.contains(&0) || o.take.is_empty() || o.take.end > o.n)
            .then(|| format!("ranks {:?} of lines of length {}", o.take, o.n)),
        Op::Search(o) => (o.n * o.shape.size() == 0).then(|| "a search with an axis of length 0".into()),
        Op::Count(o) => (o.bins * o.shape.size() == 0).then(|| "a count without elements or bins".into()),
        Op::Random(o) => (o.len == 0).then(|| "random numbers without elements".into()),
        Op::Gather(o) => (o.len * o.shape.size() == 0).then(|| "a gather with an axis of length 0".into()),
        Op::Scatter(o) => (o.len * o.shape.size() == 0 || o.output.strides.iter().rev().skip(1).any(|&s| s < 0))
            .then(|| format!("a scatter of {:?} along {} with output strides {:?}", o.shape, o.len, o.output.strides)),
    };
    let end = output_layout(op).span().1 * stored(op.output().dtype);
    let short =
        (end > output.bytes()).then(|| format!("an output of {} bytes where {end} are required", output.bytes()));
    broken.or(shape).or(short)
}

fn lowest(operand: &Operand, lens: &[usize]) -> isize {
    operand.offset as isize
        + lens.iter().zip(&operand.strides).map(|(&n, &s)| (n as isize - 1) * s.min(0)).sum::<isize>()
}

pub(crate) struct Guarded(pub Arc<Guard>);

// SAFETY: every operation runs on the inner backend, in its memory. Elements that it leaves unwritten or makes invalid
// are replaced by valid ones before delivery; without guarding, its own guarantees hold.
unsafe impl Backend for Guarded {
    fn info(&self) -> &DeviceInfo {
        &self.0.info
    }

    fn memory(&self) -> MemoryId {
        self.0.inner.memory()
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        if !self.0.open.load(Ordering::Relaxed) || std::thread::current().id() != self.0.thread {
            return Err(Unsupported::new("this device accepts operations of the conformance suite only"));
        }
        let cost = self.0.inner.estimate(op, threads)?;
        let forced = self.0.threads.load(Ordering::Relaxed);
        Ok(if forced > 0 { Cost { threads: forced, ..cost } } else { cost })
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        if self.0.guarding.load(Ordering::Relaxed) {
            return self.0.run_guarded(op, cx);
        }
        // SAFETY: the caller guarantees the conditions of `Backend::run`; the inner backend has accepted `op` and has
        // the same memory.
        unsafe { self.0.inner.run(op, cx) }
    }

    fn synchronize(&self) -> Result<()> {
        self.0.inner.synchronize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyarray_core::Dims;

    #[test]
    fn runs_are_the_stretches_of_neighbours() {
        let runs = |lens: [usize; 2], strides: [isize; 2], offset| {
            let mut out = Vec::new();
            for_each_run(&Layout::from_parts(Dims::from(lens), strides.as_slice().into(), offset), |at, n| {
                out.push((at, n));
                Ok(())
            })
            .unwrap();
            out
        };
        assert_eq!(runs([2, 3], [3, 1], 1), [(1, 6)]);
        assert_eq!(runs([2, 3], [5, 1], 0), [(0, 3), (5, 3)]);
        assert_eq!(runs([1, 3], [9, 2], 4), [(4, 1), (6, 1), (8, 1)]);
    }
}
