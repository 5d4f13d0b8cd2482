//! The command `accuracy`: the largest error, in ULP, of every ufunc of real floats on CPU devices, compared with the
//! bound in the table of ufuncs.
//!
//! ```text
//! points      where            reference, functions, big    what must come out, to 110 bits
//! targets     on which device  judge                        how far a result is from it
//! report      tables and JSON
//! ```

pub mod big;
pub mod functions;
pub mod judge;
pub mod points;
pub mod reference;
pub mod report;
pub mod targets;

use crate::compare::Stop;
use judge::{Expected, Float};
use points::{Amount, Points};
use polyarray::{Array, DType, Device, Error, IntoExpr, bf16, f16, with_device};
use reference::{Op, expected};
pub use report::{Place, Row, Worst};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of points evaluated at once. References and results of a block stay in the cache.
const BLOCK: usize = 1 << 14;

/// The number of points to measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// 200,000 points for each ufunc and dtype; all bit patterns for unary ufuncs of half floats: seconds.
    Quick,
    /// 10^7 bit patterns for unary ufuncs of f32, 10^6 random points for the others: minutes.
    #[default]
    Sampled,
    /// 10^7 points for all: half an hour.
    Full,
    /// As `Full`, and all 2^32 bit patterns for unary ufuncs of f32: hours.
    Exhaustive,
}

/// The selection of measurements.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The ufuncs, by name; all if empty.
    pub ops: Vec<String>,
    /// The dtypes; all real floats if empty.
    pub dtypes: Vec<DType>,
    /// The devices, by name; every tier of `simd` if empty.
    pub devices: Vec<String>,
    /// The number of points.
    pub effort: Effort,
    /// Overrides the number of random points or bit patterns.
    pub points: Option<usize>,
    /// The number of threads; all if `None`.
    pub threads: Option<usize>,
    /// Whether a ufunc that a device refuses is a failure.
    pub require_all: bool,
}

impl Options {
    fn amount(&self, op: Op, dtype: DType) -> Amount {
        let unary = matches!(op, Op::Unary(_));
        let half = matches!(dtype, DType::F16 | DType::BF16);
        let number = self.points.unwrap_or(match self.effort {
            Effort::Quick => 200_000,
            Effort::Sampled if unary && dtype == DType::F32 => 10_000_000,
            Effort::Sampled => 1_000_000,
            Effort::Full | Effort::Exhaustive => 10_000_000,
        });
        let hard = if self.effort == Effort::Quick || self.points.is_some() { number / 4 } else { usize::MAX };
        match (unary, dtype) {
            (true, DType::F32) if self.effort == Effort::Exhaustive => {
                Amount { hard: 0, patterns: usize::MAX, random: 0 }
            }
            (true, DType::F32) => Amount { hard, patterns: number, random: number / 8 },
            (true, _) if half => Amount { hard: 0, patterns: usize::MAX, random: 0 },
            _ => Amount { hard, patterns: 0, random: number },
        }
    }

    fn ops(&self) -> Result<Vec<Op>, Stop> {
        let all = Op::all();
        let unknown = self.ops.iter().find(|name| all.iter().all(|op| op.info().name != name.as_str()));
        if let Some(name) = unknown {
            let names: Vec<_> = all.iter().map(|op| op.info().name).collect();
            return Err(Stop::Asked(format!(
                "unknown ufunc of real floats {name:?}; the ufuncs are {}",
                names.join(" ")
            )));
        }
        Ok(all
            .into_iter()
            .filter(|op| self.ops.is_empty() || self.ops.iter().any(|name| name == op.info().name))
            .collect())
    }

    fn dtypes(&self) -> Result<Vec<DType>, Stop> {
        const FLOATS: [DType; 4] = [DType::F32, DType::F64, DType::F16, DType::BF16];
        match self.dtypes.iter().find(|d| !FLOATS.contains(d)) {
            Some(other) => Err(Stop::Asked(format!("accuracy is measured for f32, f64, f16 and bf16, not {other}"))),
            None => Ok(FLOATS.into_iter().filter(|d| self.dtypes.is_empty() || self.dtypes.contains(d)).collect()),
        }
    }
}

/// The results of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One row for each ufunc, dtype and device.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Returns the failed rows: those beyond their bound, and refusals if [`Options::require_all`] is set.
    pub fn failures(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.ok)
    }

    /// Returns 1 if a row failed, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.failures().next().is_some())
    }
}

/// Runs the measurement. Writes a line to `out` for each row when it is complete.
///
/// # Errors
/// [`Stop::Asked`] for unknown ufuncs, dtypes or devices, and if a device fails; [`Stop::Output`] if writing to `out`
/// fails.
pub fn accuracy(options: &Options, out: &mut dyn Write) -> Result<Outcome, Stop> {
    let (ops, dtypes) = (options.ops()?, options.dtypes()?);
    let devices = targets::targets(&options.devices)?;
    let mut outcome = Outcome::default();
    writeln!(out, "{}", report::HEADER)?;
    for &op in &ops {
        for &dtype in &dtypes {
            let rows = match dtype {
                DType::F16 => measure::<f16>(op, options, &devices),
                DType::BF16 => measure::<bf16>(op, options, &devices),
                DType::F32 => measure::<f32>(op, options, &devices),
                _ => measure::<f64>(op, options, &devices),
            };
            for row in rows.map_err(|e| Stop::Asked(format!("{} {dtype}: {e}", op.info().name)))? {
                writeln!(out, "{row}")?;
                outcome.rows.push(row);
            }
            out.flush()?;
        }
    }
    Ok(outcome)
}

/// Measures one ufunc and dtype on every device.
fn measure<T: Float>(op: Op, options: &Options, devices: &[Device]) -> polyarray::Result<Vec<Row>> {
    let points = Points::<T>::new(op, options.amount(op, T::DTYPE));
    let asked: Vec<_> = devices.iter().map(|device| evaluate(op, device, &points.of(0..1))).collect();
    let refused = |r: &polyarray::Result<Vec<T>>| match r {
        Err(e @ (Error::Refused { .. } | Error::Storage { .. })) => Some(e.to_string()),
        _ => None,
    };
    let able: Vec<&Device> = devices.iter().zip(&asked).filter(|(_, r)| refused(r).is_none()).map(|(d, _)| d).collect();
    let mut worst = if able.is_empty() { Vec::new() } else { search(op, &points, &able, options.threads)? }.into_iter();
    let row = |(device, asked): (&Device, &polyarray::Result<Vec<T>>)| {
        let row = Row::new(op, T::DTYPE, device.name());
        match refused(asked) {
            Some(why) => row.refused(why, options.require_all),
            None => {
                row.measured(points.len(), worst.next().expect("one result for each device that accepts the ufunc"))
            }
        }
    };
    Ok(devices.iter().zip(&asked).map(row).collect())
}

/// Finds the largest error of all points, on each device. Threads share the blocks; the result does not depend on how.
fn search<T: Float>(
    op: Op,
    points: &Points<T>,
    devices: &[&Device],
    threads: Option<usize>,
) -> polyarray::Result<Vec<Worst>> {
    let blocks = points.len().div_ceil(BLOCK);
    let threads =
        threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, blocks);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Ok(vec![Worst::none(); devices.len()])));
    let work = || {
        let mut mine = vec![Worst::none(); devices.len()];
        let failed = loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            if block >= blocks {
                break None;
            }
            let range = block * BLOCK..points.len().min((block + 1) * BLOCK);
            if let Err(e) = judge_block(op, &points.of(range.clone()), range.start, devices, &mut mine) {
                next.store(blocks, Ordering::Relaxed);
                break Some(e);
            }
        };
        let mut all = found.lock().unwrap_or_else(|e| e.into_inner());
        match (failed, all.as_mut()) {
            (Some(e), _) => *all = Err(e),
            (None, Ok(all)) => all.iter_mut().zip(mine).for_each(|(all, mine)| all.join(mine)),
            (None, Err(_)) => {}
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    found.into_inner().unwrap_or_else(|e| e.into_inner())
}

/// Joins the largest errors of a block to those found before. Tiers often give the same bits: those are judged once.
fn judge_block<T: Float>(
    op: Op,
    at: &(Vec<T>, Vec<T>),
    first: usize,
    devices: &[&Device],
    worst: &mut [Worst],
) -> polyarray::Result<()> {
    let wanted: Vec<_> = at.0.iter().zip(&at.1).map(|(&x, &y)| expected(op, x, y)).collect();
    let mut judged: Vec<(Vec<T>, Worst)> = Vec::with_capacity(devices.len());
    for (device, worst) in devices.iter().zip(worst) {
        let got = evaluate(op, device, at)?;
        let same = |(other, _): &&(Vec<T>, Worst)| got.iter().zip(other).all(|(a, b)| a.bits() == b.bits());
        let found = match judged.iter().find(same) {
            Some((_, found)) => found.clone(),
            None => worst_of(at, &got, &wanted, first),
        };
        worst.join(found.clone());
        judged.push((got, found));
    }
    Ok(())
}

/// Returns the largest error of the results `got`, and its position.
fn worst_of<T: Float>(at: &(Vec<T>, Vec<T>), got: &[T], wanted: &[Expected], first: usize) -> Worst {
    let mut worst = Worst::none();
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = wanted.error(got.wide());
        if error > worst.error || worst.is_none() {
            worst = Worst::at(error, first + i, (at.0[i], at.1[i]), *got, wanted);
        }
    }
    worst
}

/// Evaluates the ufunc at all points on a device.
fn evaluate<T: Float>(op: Op, device: &Device, (x, y): &(Vec<T>, Vec<T>)) -> polyarray::Result<Vec<T>> {
    let array = |v: &Vec<T>| Array::from_slice(v, [v.len()]);
    with_device(device, || {
        let x = array(x)?.into_expr();
        match op {
            Op::Unary(op) => x.unary::<T>(op),
            Op::Binary(op) => x.binary::<T>(op, array(y)?),
        }
        .eval()?
        .to_vec()
    })
}
