//! `sweep`: every operation on every dtype and layout, compared with `scalar`, with another library, and with itself on
//! contiguous data. It finds the cases that are slow, which benchmarks of chosen cases do not.

mod cases;
mod layout;
mod moves;
mod report;

pub use cases::{Along, Case, Other, Pools, Ready, Work};
pub use layout::{Layout, Part, View};
pub use moves::{Draw, Move};
pub use report::Report;

use crate::compare::Stop;
use crate::measure::fastest;
use crate::problem::Random;
use polyarray::{DType, Device, with_device, with_threads};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// The default sizes of a sweep.
pub const SIZES: [usize; 3] = [1000, 10_000, 1_000_000];

/// The options of a sweep.
pub struct Options {
    /// Operations by the beginning of their name; empty for all.
    pub ops: Vec<String>,
    /// Dtypes; empty for all.
    pub dtypes: Vec<DType>,
    /// Numbers of elements.
    pub sizes: Vec<usize>,
    /// The device that is compared with `scalar`.
    pub device: String,
    /// The number of threads.
    pub threads: usize,
    /// The number of cases to draw; `None` for all.
    pub sample: Option<usize>,
    /// The seed of the draw.
    pub seed: u64,
    /// Rows of another library.
    pub with: Vec<Row>,
    /// The number of cases in each list of the worst ones.
    pub worst: usize,
    /// The factor beyond which a case that is slower than `scalar` or the other library fails.
    pub fail_above: Option<f64>,
}

/// A measurement. The names of the fields are part of the interface: another program reads the cases, and writes its
/// own times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the operation.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The name of the layout.
    pub layout: String,
    /// The nominal number of elements.
    pub size: usize,
    /// The device or library.
    pub device: String,
    /// The number of threads.
    pub threads: usize,
    /// The least seconds of repeated runs; `None` in a list of cases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// The identity of a case: the names of operation, dtype and layout, and the size.
type Key = (String, String, String, usize);

impl Row {
    fn of(case: &Case, device: &str, threads: usize, seconds: Option<f64>) -> Row {
        Row {
            op: case.work.to_string(),
            dtype: case.dtype.to_string(),
            layout: case.layout.to_string(),
            size: case.size,
            device: device.into(),
            threads,
            seconds,
        }
    }

    fn key(&self) -> Key {
        (self.op.clone(), self.dtype.clone(), self.layout.clone(), self.size)
    }
}

/// The times of a case, in seconds.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The case.
    pub case: Case,
    /// On the device.
    pub ours: f64,
    /// On `scalar`.
    pub scalar: f64,
    /// Of the other library.
    pub peer: Option<f64>,
    /// On the device, the same number of elements in contiguous memory, without axis or broadcast.
    pub plain: f64,
}

/// Reads the rows that this or another program wrote. Rows without a time are cases.
///
/// # Errors
/// The number of the first line that is not a row, with the reason.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let row: Row = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", number + 1))?;
            match row.seconds {
                Some(s) if !(s.is_finite() && s > 0.0) => {
                    Err(format!("line {}: `seconds` is not positive", number + 1))
                }
                _ => Ok(row),
            }
        })
        .collect()
}

/// Returns the cases that the options select, in the order of their dtypes.
///
/// # Errors
/// [`Stop::Asked`] if there is none.
pub fn select(options: &Options) -> Result<Vec<Case>, Stop> {
    let mut all = cases::all(&options.sizes).map_err(|e| Stop::Asked(e.to_string()))?;
    if let Some(op) = options.ops.iter().find(|op| !all.iter().any(|case| has_name(case, op))) {
        return Err(Stop::Asked(format!("no case has the operation {op}; `sweep --list` shows the cases")));
    }
    let named = |case: &Case| options.ops.is_empty() || options.ops.iter().any(|op| has_name(case, op));
    all.retain(|case| named(case) && (options.dtypes.is_empty() || options.dtypes.contains(&case.dtype)));
    if all.is_empty() {
        return Err(Stop::Asked(
            "no case has one of these operations and dtypes; `sweep --list` shows the cases".into(),
        ));
    }
    if let Some(sample) = options.sample {
        // By name, so that the draw changes little if cases are added.
        let mut drawn: Vec<(u64, usize)> = all.iter().enumerate().map(|(i, c)| (rank(c, options.seed), i)).collect();
        drawn.sort_unstable();
        drawn.truncate(sample);
        let mut kept: Vec<usize> = drawn.into_iter().map(|(_, i)| i).collect();
        kept.sort_unstable();
        all = kept.into_iter().map(|i| all[i].clone()).collect();
    }
    Ok(all)
}

/// Returns whether `op` is the name of the case's operation, with or without its operand or axis.
fn has_name(case: &Case, op: &str) -> bool {
    let name = case.work.to_string();
    name == op || name.strip_prefix(op).is_some_and(|rest| rest.starts_with('_'))
}

/// Returns a number that is random for each case and seed.
fn rank(case: &Case, seed: u64) -> u64 {
    let name = format!("{} {} {} {}", case.work, case.dtype, case.layout, case.size);
    name.bytes().fold(seed, |hash, byte| Random::new(hash ^ u64::from(byte)).bits())
}

/// Writes the cases, one JSON object per line, for another program to measure.
///
/// # Errors
/// As [`select`]; [`Stop::Output`].
pub fn list(options: &Options, out: &mut dyn Write) -> Result<(), Stop> {
    let rows: Vec<Row> = select(options)?.iter().map(|case| Row::of(case, "", options.threads, None)).collect();
    Ok(write(out, &rows)?)
}

/// Writes rows, one JSON object per line.
///
/// # Errors
/// Those of the output.
pub fn write(out: &mut dyn Write, rows: &[Row]) -> io::Result<()> {
    rows.iter().try_for_each(|row| writeln!(out, "{}", serde_json::to_string(row)?))
}

/// Checks options before anything is measured or an output file is created.
///
/// # Errors
/// As [`sweep`], except for its output.
pub fn check(options: &Options) -> Result<(), Stop> {
    Sweeper::new(options, &select(options)?).map(|_| ())
}

/// Measures the cases and writes the report. Returns it with a row for each case and device.
///
/// # Errors
/// [`Stop::Asked`] for options that this machine cannot satisfy; [`Stop::Output`].
pub fn sweep(options: &Options, out: &mut dyn Write) -> Result<(Report, Vec<Row>), Stop> {
    let selected = select(options)?;
    let bar = crate::compare::progress(selected.len());
    let mut sweeper = Sweeper::new(options, &selected)?;
    let mut measured = Vec::with_capacity(selected.len());
    for case in &selected {
        measured.push(sweeper.measure(case)?);
        bar.inc(1);
    }
    // A case that seems slow is measured again, with more time: on a shared machine, one of thousands always is.
    let suspects: Vec<usize> = (0..measured.len()).filter(|&i| report::suspect(&measured[i])).collect();
    bar.set_length((selected.len() + suspects.len()) as u64);
    for i in suspects {
        sweeper.confirm(&mut measured[i])?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rows = measured.iter().flat_map(|m| {
        [(&options.device[..], m.ours), ("scalar", m.scalar)]
            .map(|(device, seconds)| Row::of(&m.case, device, options.threads, Some(seconds)))
    });
    let rows = rows.collect();
    let report = Report::new(measured, options.fail_above);
    report.write(out, options.worst)?;
    Ok((report, rows))
}

/// Measures cases.
struct Sweeper<'a> {
    options: &'a Options,
    device: Device,
    pools: Pools,
    peer: HashMap<Key, f64>,
    /// The times of cases on contiguous data.
    plain: Vec<(Case, f64)>,
}

impl<'a> Sweeper<'a> {
    fn new(options: &'a Options, cases: &[Case]) -> Result<Sweeper<'a>, Stop> {
        let device = Device::named(&options.device).map_err(|e| Stop::Asked(e.to_string()))?;
        let longest = cases.iter().map(|case| case.layout.base_len().max(case.size)).max().unwrap_or(0);
        let peer = options.with.iter().filter(|row| row.threads == options.threads);
        let peer: HashMap<Key, f64> = peer.filter_map(|row| row.seconds.map(|s| (row.key(), s))).collect();
        let known = |case: &Case| peer.contains_key(&Row::of(case, "", 0, None).key());
        if !options.with.is_empty() && !cases.iter().any(known) {
            return Err(Stop::Asked(format!(
                "--with has no time of any of these cases on {} threads; measure it with the same options",
                options.threads
            )));
        }
        if options.with.iter().any(|row| row.device != options.with[0].device) {
            return Err(Stop::Asked("--with has rows of several devices; give a file with those of one".into()));
        }
        Ok(Sweeper { options, device, pools: Pools::new(longest), peer, plain: Vec::new() })
    }

    fn measure(&mut self, case: &Case) -> Result<Measured, Stop> {
        let [ours, scalar] = self.times(case, 1)?;
        let peer = self.peer.get(&Row::of(case, "", 0, None).key()).copied();
        let plain = case.plain();
        let seconds = match self.plain.iter().find(|(known, _)| *known == plain) {
            Some((_, seconds)) => *seconds,
            None => {
                let seconds = if plain == *case { ours } else { self.time(&plain, &self.device.clone(), 10)? };
                // Cases are in the order of their dtypes, so only those of one dtype are needed.
                self.plain.retain(|(known, _)| known.dtype == case.dtype);
                self.plain.push((plain.clone(), seconds));
                seconds
            }
        };
        let elements = |case: &Case| case.layout.shape().iter().product::<usize>() as f64;
        let plain = seconds * elements(case) / elements(&plain);
        Ok(Measured { case: case.clone(), ours, scalar, peer, plain })
    }

    /// Measures a case again with ten times the time, on both devices in turns.
    fn confirm(&mut self, measured: &mut Measured) -> Result<(), Stop> {
        for _ in 0..3 {
            let [ours, scalar] = self.times(&measured.case, 3)?;
            measured.ours = measured.ours.min(ours);
            measured.scalar = measured.scalar.min(scalar);
        }
        Ok(())
    }

    fn times(&mut self, case: &Case, effort: u32) -> Result<[f64; 2], Stop> {
        let device = self.device.clone();
        Ok([self.time(case, &device, effort)?, self.time(case, &Device::scalar(), effort)?])
    }

    fn time(&mut self, case: &Case, device: &Device, effort: u32) -> Result<f64, Stop> {
        // Long enough for several runs of most cases on one thread.
        let budget = Duration::from_nanos(150_000 + 3 * case.size as u64) * effort;
        let mut run = || -> polyarray::Result<f64> {
            let ready = self.pools.ready(case)?;
            with_device(device, || {
                with_threads(self.options.threads, || {
                    ready.run()?;
                    fastest(budget, || ready.run().map(drop))
                })
            })
        };
        run().map_err(|e| Stop::Asked(format!("{} {} {}: {e}", case.work, case.dtype, case.layout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            ops: vec!["add".into(), "sum".into()],
            dtypes: vec![DType::F32, DType::I16],
            sizes: vec![1000],
            device: "auto".into(),
            threads: 1,
            sample: Some(40),
            seed: 7,
            with: Vec::new(),
            worst: 5,
            fail_above: None,
        }
    }

    #[test]
    fn a_sample_is_measured_and_reported() {
        let mut text = Vec::new();
        let (report, rows) = sweep(&options(), &mut text).unwrap();
        assert_eq!((report.measured().len(), rows.len()), (40, 80));
        assert!(report.measured().iter().all(|m| m.ours > 0.0 && m.scalar > 0.0 && m.plain > 0.0 && m.peer.is_none()));
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("scalar") && text.contains("contiguous"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= crate::table::WIDTH, "{line}");
        }
        assert_eq!(report.failures(), 0, "there is no limit");
    }

    #[test]
    fn rows_of_another_library_are_joined_and_limits_fail() {
        let mut listed = Vec::new();
        list(&options(), &mut listed).unwrap();
        let mut with = read(std::str::from_utf8(&listed).unwrap()).unwrap();
        assert_eq!(with.len(), 40);
        with.iter_mut().for_each(|row| row.seconds = Some(1e-12));
        let options = Options { with, fail_above: Some(4.0), ..options() };
        let (report, _) = sweep(&options, &mut Vec::new()).unwrap();
        assert!(report.measured().iter().all(|m| m.peer == Some(1e-12)));
        assert_eq!(report.failures(), 40, "nothing takes a picosecond");
    }

    #[test]
    fn what_cannot_be_swept_is_an_error() {
        let none = Options { ops: vec!["frobnicate".into()], ..options() };
        assert!(matches!(select(&none), Err(Stop::Asked(why)) if why.contains("frobnicate")));
        let some = Options { ops: vec!["add".into(), "frobnicate".into()], ..options() };
        assert!(select(&some).is_err());
        let other = r#"{"op":"add","dtype":"f32","layout":"7x9","size":1000,"device":"x","threads":1,"seconds":1}"#;
        let with = Options { with: read(other).unwrap(), ..options() };
        assert!(matches!(sweep(&with, &mut Vec::new()), Err(Stop::Asked(why)) if why.contains("--with")));
        let absent = Options { device: "tpu".into(), ..options() };
        assert!(matches!(sweep(&absent, &mut Vec::new()), Err(Stop::Asked(why)) if why.contains("tpu")));
        assert!(read("{}").unwrap_err().starts_with("line 1: "));
        assert!(
            read(r#"{"op":"a","dtype":"f32","layout":"1","size":1,"device":"x","threads":1,"seconds":-1}"#).is_err()
        );
    }
}
