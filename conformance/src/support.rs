//! Support of every operation and dtype by every device, determined without running an operation.

use crate::elementwise::{How, Kernel, Work};
use crate::indexing::Indexing;
use crate::layouts::{Lay, Place};
use crate::products::distance_name;
use crate::random::Draw;
use crate::reductions::Fold;
use crate::sorting::Sorting;
use polyarray_core::op::Running;
use polyarray_core::random::Generator;
use polyarray_core::{
    Array, Backend, Cost, DType, Device, DeviceInfo, Element, Error, IntoExpr, Kind, MemoryId, Metric, Op, Result,
    RunContext, Unsupported, distance, memory, register, with_device, with_dtype,
};
use std::fmt;
use std::sync::{Arc, Mutex};

/// The answers of the devices for one operation and dtype.
#[derive(Clone, Debug)]
pub struct Support {
    /// The ufunc or operation.
    pub op: String,
    /// The dtype of its operands.
    pub dtype: DType,
    /// For each device, whether it supports the operation, or the reason why not.
    pub answers: Vec<(String, Result<(), Unsupported>)>,
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:18} {:5}", self.op, self.dtype)?;
        self.answers.iter().try_for_each(|(device, answer)| {
            write!(f, " {:>width$}", if answer.is_ok() { "yes" } else { "-" }, width = device.len().max(6))
        })
    }
}

/// A backend that forwards an estimate to all devices, records their answers, and refuses the operation.
struct Probe {
    info: DeviceInfo,
    devices: Vec<Device>,
    answers: Arc<Mutex<Option<Answers>>>,
}

type Answers = Vec<(String, Result<(), Unsupported>)>;

// SAFETY: `memory` always returns the host, and `estimate` refuses every operation, so `run` is never called.
unsafe impl Backend for Probe {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        MemoryId::HOST
    }

    fn estimate(&self, op: &Op, threads: usize) -> Result<Cost, Unsupported> {
        let ask = |device: &Device| {
            let backend = device.backend().ok_or_else(|| Unsupported::new("`auto` has no backend of its own"))?;
            let there = memory(backend.memory());
            let mut stored = Ok(());
            op.for_each_input(|operand, _| {
                if there.info().stored_size(operand.dtype).is_none() {
                    stored =
                        Err(Unsupported::new(format!("{} cannot be stored in the device's memory", operand.dtype)));
                }
            });
            stored.and_then(|()| backend.estimate(op, threads).map(|_| ()))
        };
        let mut answers = self.answers.lock().unwrap_or_else(|e| e.into_inner());
        // Only the first estimate is recorded: it is for the whole operation. Later ones are for its parts.
        answers.get_or_insert_with(|| self.devices.iter().map(|d| (d.name().to_string(), ask(d))).collect());
        Err(Unsupported::new("the probe backend refuses every operation"))
    }

    unsafe fn run(&self, op: &Op, _: &RunContext) -> Result<()> {
        unreachable!("{} was refused", op.describe())
    }
}

/// Queries `devices` for their support of every operation and dtype.
///
/// # Errors
/// If an operation fails before the probe refuses it, which is a bug of this suite.
pub fn support(devices: &[Device]) -> Result<Vec<Support>> {
    let answers = Arc::new(Mutex::new(None));
    let info = DeviceInfo {
        name: "probe".into(),
        description: "queries the other devices for their support".into(),
        hardware: false,
    };
    let probe = register(Probe { info, devices: devices.to_vec(), answers: answers.clone() });
    let mut table = Vec::new();
    for kernel in Kernel::all() {
        for dtype in DType::ALL.into_iter().filter(|&d| kernel.accepts(d)) {
            ask(
                &mut table,
                &probe,
                &answers,
                &kernel.name(),
                dtype,
                || with_dtype!(dtype, T => one_kernel::<T>(kernel)),
            )?;
        }
    }
    for fold in Fold::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| fold.accepts(d)) {
            ask(
                &mut table,
                &probe,
                &answers,
                fold.name(),
                dtype,
                || with_dtype!(dtype, T => fold.apply(&matrix::<T>()?.into_expr(), None).map(|_| ())),
            )?;
        }
    }
    for running in Running::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| crate::scans::accepts(running, d)) {
            let run =
                || with_dtype!(dtype, T => crate::scans::apply(running, &matrix::<T>()?.into_expr(), 0).map(|_| ()));
            ask(&mut table, &probe, &answers, running.name(), dtype, run)?;
        }
    }
    for dtype in DType::ALL.into_iter().filter(|d| d.kind() != Kind::Bool) {
        ask(
            &mut table,
            &probe,
            &answers,
            "matmul",
            dtype,
            || with_dtype!(dtype, T => matrix::<T>()?.matmul(&matrix::<T>()?).map(|_| ())),
        )?;
    }
    // The first estimate of these metrics is for an operation that changes the vectors.
    let composed = [Metric::Correlation, Metric::JensenShannon, Metric::Haversine];
    for metric in Metric::ALL.into_iter().chain(Metric::PACKED).filter(|metric| !composed.contains(metric)) {
        for dtype in DType::ALL.into_iter().filter(|d| metric.info().coordinates.accept(*d)) {
            let run = || with_dtype!(dtype, T => distance::cdist(&matrix::<T>()?, &matrix::<T>()?, metric).map(|_| ()));
            ask(&mut table, &probe, &answers, &distance_name(metric), dtype, run)?;
        }
    }
    // The first estimate of the other sorting operations is for a minimum or a cast, not for a sort or a count.
    for sorting in [Sorting::Sort, Sorting::Argsort, Sorting::SearchLeft, Sorting::Histogram] {
        let first = |d: &DType| sorting.accepts(*d) && (sorting != Sorting::Histogram || d.kind() == Kind::Float);
        for dtype in DType::ALL.into_iter().filter(first) {
            ask(
                &mut table,
                &probe,
                &answers,
                sorting.name(),
                dtype,
                || with_dtype!(dtype, T => sorting.apply(&matrix::<T>()?.ravel()?, 0).map(|_| ())),
            )?;
        }
    }
    let mut draws: Vec<Draw> = Draw::ALL.into();
    draws.dedup_by_key(|draw| draw.name());
    for draw in draws {
        for dtype in DType::ALL.into_iter().filter(|&d| draw.accepts(d)) {
            let run = || with_dtype!(dtype, T => draw.apply::<T>(&mut Generator::new(0), 9).map(|_| ()));
            ask(&mut table, &probe, &answers, draw.name(), dtype, run)?;
        }
    }
    let aligned = |i: &Indexing| matches!(i, Indexing::ScatterAlong(_));
    for indexing in Indexing::ALL.into_iter().filter(|i| !aligned(i)) {
        for dtype in DType::ALL.into_iter().filter(|&d| indexing.accepts(d)) {
            let run = || {
                with_dtype!(dtype, T => {
                    let indices = Array::from_vec(vec![0i64; 9], [3, 3])?;
                    let values = Array::from_vec(vec![T::default()], ())?;
                    indexing.apply(matrix::<T>()?, &indices, &values, 0).map(|_| ())
                })
            };
            ask(&mut table, &probe, &answers, indexing.name(), dtype, run)?;
        }
    }
    Ok(table)
}

fn ask(
    table: &mut Vec<Support>,
    probe: &Device,
    answers: &Mutex<Option<Answers>>,
    op: &str,
    dtype: DType,
    run: impl FnOnce() -> Result<()>,
) -> Result<()> {
    match with_device(probe, run) {
        Err(Error::Refused { .. }) => {}
        Err(e) => return Err(e),
        Ok(()) => unreachable!("the probe refuses everything"),
    }
    let answers = answers
        .lock()
        .unwrap_or_else(|e| e.into_inner())
        .take()
        .expect("the probe records the answers before it refuses");
    table.push(Support { op: op.into(), dtype, answers });
    Ok(())
}

fn matrix<T: Element>() -> Result<Array<T>> {
    Array::from_vec(vec![T::default(); 9], [3, 3])
}

fn one_kernel<T: Element>(kernel: Kernel) -> Result<()> {
    let arity = kernel.arity();
    // The operands are separate arrays, so that none is merged with another.
    let data = vec![vec![T::default(); 9]; arity];
    Work {
        kernel,
        shape: vec![3, 3],
        lays: vec![Lay::Contiguous; arity],
        data,
        condition: vec![true; 9],
        how: How::Eval,
    }
    .apply(&Place::Host)
    .map(|_| ())
}
