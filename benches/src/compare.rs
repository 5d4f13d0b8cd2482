//! The command `compare`: runs each case at each size on each device, verifies the results, and prints tables.

use crate::cases::{Case, Number};
use crate::json::Row;
use crate::machine::Machine;
use crate::measure::{Clock, fastest};
use crate::peers::{self, Blas};
use crate::plan::{Block, blocks};
use crate::problem::Problem;
use crate::summary::summary;
use crate::table::{Mark, Section, render, render_group, sections, show_seconds, show_shape, wrapped};
use crate::verify::Expected;
use crate::with_number;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use polyarray::{Array, DType, Device, Error, MemoryId, config, trace, with_device, with_threads};
use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The seed of all inputs.
const SEED: u64 = 20_240_229;

/// The extent of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// Every standard case, at small sizes.
    Quick,
    /// One or two cases for each kind of work, from small sizes to large ones, and the group of small work: ends within
    /// a minute.
    #[default]
    Overview,
    /// Every standard case at all sizes: takes several minutes.
    Full,
}

/// The selection of measurements. An empty list selects everything that the effort covers.
#[derive(Default)]
pub struct Options {
    /// The sizes, the time limits, and the cases if none is named.
    pub effort: Effort,
    /// The names of cases, and of groups of cases: `small` and `ufuncs`.
    pub ops: Vec<String>,
    /// The dtypes; f32 and f64 if empty.
    pub dtypes: Vec<DType>,
    /// The sizes, as [`Case::shapes`] reads them; the sizes of each case's row if empty.
    pub sizes: Vec<Vec<usize>>,
    /// The names of devices, and of Rust libraries that this build measures.
    pub devices: Vec<String>,
    /// The largest number of threads.
    pub threads: Option<usize>,
    /// The rows of other programs or of another comparison, to be shown as further columns.
    pub with: Vec<Row>,
    /// A BLAS library to measure.
    pub blas: Option<Blas>,
}

/// The results of a comparison.
pub struct Outcome {
    /// The machine.
    pub machine: Machine,
    /// The measurements of this run whose results are right.
    pub rows: Vec<Row>,
    /// The tables, including rows given by [`Options::with`].
    pub sections: Vec<Section>,
    /// Results that disagree with `scalar`, and unexpected errors. A comparison with any of them has failed.
    pub failures: Vec<String>,
    /// The measurements that are missing from the tables, and the reasons.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Returns the exit code of the program: 1 if anything failed, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.failures.is_empty())
    }
}

/// The reason why there is no result.
#[derive(Debug)]
pub enum Stop {
    /// The arguments are invalid or cannot be satisfied on this machine.
    Asked(String),
    /// The output could not be written.
    Output(io::Error),
}

impl From<String> for Stop {
    fn from(why: String) -> Stop {
        Stop::Asked(why)
    }
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Stop {
        Stop::Output(e)
    }
}

/// The time limits of a comparison.
struct Pace {
    /// The limit for all measurements of devices together. Once it is reached, each measurement times a single run.
    total: Duration,
    /// The limit for one measurement.
    most: Duration,
    /// The limit in seconds for one run. If the estimate exceeds it, the device is not measured, and the table shows
    /// `slow`.
    patience: f64,
    /// The number of multiply-adds that `scalar` does to verify one result.
    verify: f64,
    /// The time after which no further size is measured. The output lists the sizes that are missing.
    end: Duration,
}

const QUICK: Pace = Pace {
    total: Duration::from_secs(30),
    most: Duration::from_millis(40),
    patience: 0.6,
    verify: 2e7,
    end: Duration::MAX,
};
const OVERVIEW: Pace = Pace {
    total: Duration::from_secs(24),
    most: Duration::from_millis(30),
    patience: 0.5,
    verify: 2e7,
    end: Duration::from_secs(45),
};
const FULL: Pace = Pace {
    total: Duration::from_secs(240),
    most: Duration::from_millis(250),
    patience: 15.0,
    verify: 5e8,
    end: Duration::MAX,
};

/// Checks the selection and the environment without measuring anything, so that a caller can create its output files
/// afterwards.
///
/// # Errors
/// As [`compare`].
pub fn check(options: &Options) -> Result<(), Stop> {
    // Any operation reports an invalid setting of the environment.
    with_device(&Device::scalar(), || Array::<f32>::ones([1])?.sum()).map_err(|e| e.to_string())?;
    blocks(options)?;
    columns(&options.devices)?;
    Ok(())
}

/// Runs the comparison. Writes the header at once, each table when it is complete, and the summary at the end.
///
/// # Errors
/// [`Stop`]. Wrong results are not errors here; [`Outcome::failures`] lists them.
pub fn compare(options: &Options, out: &mut dyn Write) -> Result<Outcome, Stop> {
    let start = Instant::now();
    let threads = options.threads.unwrap_or_else(|| config().threads);
    let (blocks, mut notes) = blocks(options)?;
    let (devices, mut peers) = columns(&options.devices)?;
    peers.extend(options.blas.iter().map(|b| b.name().to_string()));
    let machine = Machine::measure(threads, &devices[..]);
    write!(out, "{machine}")?;
    if options.devices.is_empty() {
        for (name, why) in Device::absent() {
            writeln!(out, "{}", wrapped(&format!("  {name:8} not measured: {why}"), "           "))?;
        }
    }
    writeln!(out)?;
    let count: usize = blocks.iter().flat_map(|b| &b.jobs).map(|j| j.shapes.len() * devices.len()).sum();
    let pace = match options.effort {
        Effort::Quick => &QUICK,
        Effort::Overview => &OVERVIEW,
        Effort::Full => &FULL,
    };
    let own = devices.iter().map(|d| d.name().to_string()).chain(peers.iter().cloned());
    let mut session = Session {
        pace,
        start,
        blas: options.blas.as_ref(),
        columns: own.collect(),
        devices,
        peers,
        threads,
        clock: Clock::new(pace.total, pace.most, count),
        bar: progress(count),
        rows: Vec::new(),
        marks: Vec::new(),
        failures: Vec::new(),
        notes: Vec::new(),
        late: Vec::new(),
        last: HashMap::new(),
    };
    let others = session.merge(&options.with, &blocks);
    let mut tables = Vec::new();
    for block in &blocks {
        let of_block = session.block(block, &others);
        session.bar.suspend(|| match block.title {
            Some(title) => write!(out, "{}", render_group(title, &of_block, &session.columns)),
            None => of_block.iter().try_for_each(|section| writeln!(out, "{}", render(section))),
        })?;
        if block.title.is_some() {
            writeln!(out)?;
        }
        tables.extend(of_block);
    }
    session.bar.finish_and_clear();
    if session.rows.is_empty() && session.failures.is_empty() && session.late.is_empty() {
        let of_columns = session.columns.join(", ");
        return Err(Stop::Asked(format!("none of {of_columns} supports a selected case at a selected dtype and size")));
    }
    let legend = "* fastest (auto is excluded, because it runs one of the others); - refused by the device, or absent \
                  from the library; every result was compared with scalar";
    writeln!(out, "{}", wrapped(legend, "  "))?;
    let Session { rows, failures, notes: more, late, .. } = session;
    notes.extend(more);
    if !late.is_empty() {
        notes.push(format!(
            "not measured, because {} s were over: {}; add `--full` to measure them",
            pace.end.as_secs(),
            late.join(", ")
        ));
    }
    notes.iter().try_for_each(|note| writeln!(out, "{}", wrapped(note, "  ")))?;
    write!(out, "{}", summary(&machine, &rows))?;
    Ok(Outcome { machine, rows, sections: tables, failures, notes })
}

/// Returns the devices and Rust libraries of these names, each once; all of both if `names` is empty.
fn columns(names: &[String]) -> Result<(Vec<Device>, Vec<String>), String> {
    let known = peers::names();
    if names.is_empty() {
        return Ok((
            Device::all().into_iter().chain([Device::auto()]).collect(),
            known.iter().map(|n| n.to_string()).collect(),
        ));
    }
    let (mut found, mut peers): (Vec<Device>, Vec<String>) = Default::default();
    for name in names {
        if known.contains(&&name[..]) {
            if !peers.contains(name) {
                peers.push(name.clone());
            }
            continue;
        }
        let device = Device::named(name).map_err(|e| e.to_string())?;
        if !found.contains(&device) {
            found.push(device);
        }
    }
    Ok((found, peers))
}

/// Returns a progress bar; a hidden one if the stream of errors is no terminal.
pub(crate) fn progress(count: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("the template is valid"));
    bar
}

struct Session<'a> {
    pace: &'static Pace,
    start: Instant,
    blas: Option<&'a Blas>,
    columns: Vec<String>,
    devices: Vec<Device>,
    peers: Vec<String>,
    threads: usize,
    clock: Clock,
    bar: ProgressBar,
    rows: Vec<Row>,
    marks: Vec<Mark>,
    failures: Vec<String>,
    notes: Vec<String>,
    /// The sizes that were not measured, because the time was over.
    late: Vec<String>,
    /// The work and the seconds of each column at the last size of this case and dtype.
    last: HashMap<String, (f64, f64)>,
}

/// The measurement of one column at one size.
struct Measured {
    seconds: f64,
    threads: usize,
    error: f64,
    chose: Option<String>,
}

impl Session<'_> {
    /// Returns the rows of `with` whose case, dtype and size this run measures. A column whose name is already in use
    /// is renamed to `with:NAME`.
    fn merge(&mut self, with: &[Row], blocks: &[Block]) -> Vec<Row> {
        let measured = |r: &&Row| {
            let mut jobs = blocks.iter().flat_map(|b| &b.jobs);
            jobs.any(|j| j.case.name == r.op && j.dtype.name() == r.dtype && j.shapes.contains(&r.shape))
        };
        let own = self.columns.clone();
        let named = |r: &Row| Row {
            device: if own.contains(&r.device) { format!("with:{}", r.device) } else { r.device.clone() },
            ..r.clone()
        };
        let rows: Vec<Row> = with.iter().filter(measured).map(named).collect();
        for row in &rows {
            if !self.columns.contains(&row.device) {
                self.columns.push(row.device.clone());
            }
        }
        if rows.len() < with.len() {
            self.notes.push(format!(
                "{} rows of --with are not shown, because this run does not measure their cases, dtypes or sizes",
                with.len() - rows.len()
            ));
        }
        rows
    }

    /// Measures a block, and returns its tables, which include the rows of `others` at the same sizes.
    fn block(&mut self, block: &Block, others: &[Row]) -> Vec<Section> {
        let (first_row, first_mark) = (self.rows.len(), self.marks.len());
        let threads = block.threads.unwrap_or(self.threads);
        for job in &block.jobs {
            self.last.clear();
            for shape in &job.shapes {
                if self.start.elapsed() > self.pace.end {
                    self.late.push(format!("{} {} {}", job.case.name, job.dtype, show_shape(shape)));
                    continue;
                }
                with_threads(threads, || with_number!(job.dtype, T => self.size::<T>(job.case, shape, threads)));
            }
        }
        let here = |r: &&Row| {
            let mut jobs = block.jobs.iter();
            jobs.any(|j| j.case.name == r.op && j.dtype.name() == r.dtype && j.shapes.contains(&r.shape))
        };
        let rows: Vec<Row> = self.rows[first_row..].iter().chain(others.iter().filter(here)).cloned().collect();
        sections(&rows, &self.marks[first_mark..], &self.columns)
    }

    /// Measures one size in every column.
    fn size<T: Number>(&mut self, case: &'static Case, shape: &[usize], threads: usize) {
        let what = format!("{} {} {}", case.name, T::DTYPE, show_shape(shape));
        self.bar.set_message(what.clone());
        let prepared = Problem::<T>::new(case, shape, SEED).and_then(|problem| {
            let expected = Expected::new(&problem, self.pace.verify)?;
            Ok((problem, expected))
        });
        let (problem, expected) = match prepared {
            Ok(prepared) => prepared,
            Err(e) => return self.failures.push(format!("{what}: scalar cannot compute the reference result: {e}")),
        };
        for device in self.devices.clone() {
            let budget = self.clock.budget();
            let guess = if device == Device::scalar() { Some(expected.scalar_seconds) } else { None };
            self.column(&problem, device.name(), device.memory() == MemoryId::HOST, guess, || {
                let measured = catch_unwind(AssertUnwindSafe(|| on_device(&problem, &expected, &device, budget)));
                measured
                    .unwrap_or_else(|panic| {
                        Err(Error::Device {
                            device: device.name().into(),
                            why: format!("panicked: {}", panic_text(&*panic)),
                        })
                    })
                    .map(Some)
            });
            self.bar.inc(1);
        }
        for peer in self.peers.clone() {
            let (blas, most) = (self.blas, self.pace.most);
            self.column(&problem, &peer, false, None, || Ok(by_peer(&problem, &expected, &peer, blas, threads, most)));
        }
    }

    /// Measures one column unless the estimate is too slow, and stores the result.
    fn column<T: Number>(
        &mut self,
        problem: &Problem<T>,
        name: &str,
        on_host: bool,
        guess: Option<f64>,
        measure: impl FnOnce() -> polyarray::Result<Option<Measured>>,
    ) {
        let (case, shape) = (problem.case, &problem.shape[..]);
        let what = format!("{} {} {} on {name}", case.name, T::DTYPE, show_shape(shape));
        let mark = |word| Mark {
            op: case.name.into(),
            dtype: T::DTYPE.name().into(),
            shape: shape.into(),
            device: name.into(),
            word,
        };
        let work = case.flops(shape).max(case.bytes(T::DTYPE, shape)).max(1.0);
        let guess = guess.or_else(|| self.last.get(name).map(|&(before, seconds)| seconds * work / before));
        if let Some(seconds) = guess.filter(|&s| s > self.pace.patience) {
            self.marks.push(mark("slow"));
            return self.notes.push(format!(
                "slow: {what} was not run, because it would take about {} (the limit is {} s)",
                show_seconds(seconds),
                self.pace.patience
            ));
        }
        match measure() {
            Ok(Some(m)) => {
                self.last.insert(name.into(), (work, m.seconds));
                let tolerance = case.tolerance::<T>(shape, on_host);
                if m.error > tolerance {
                    self.marks.push(mark("WRONG"));
                    return self
                        .failures
                        .push(format!("{what} disagrees with scalar: error {:.3e}, allowed {tolerance:.3e}", m.error));
                }
                self.rows.push(row::<T>(case, shape, name, m));
            }
            Ok(None) => {}
            Err(Error::Refused { .. } | Error::Storage { .. }) => {}
            Err(e @ Error::OutOfMemory { .. }) if !on_host => self.notes.push(format!("{what}: {e}")),
            Err(e) => {
                self.marks.push(mark("error"));
                self.failures.push(format!("{what} failed: {e}"));
            }
        }
    }
}

fn row<T: Number>(case: &Case, shape: &[usize], device: &str, m: Measured) -> Row {
    Row {
        op: case.name.into(),
        dtype: T::DTYPE.name().into(),
        shape: shape.into(),
        device: device.into(),
        threads: m.threads,
        seconds: m.seconds,
        gbps: case.bytes(T::DTYPE, shape) / m.seconds / 1e9,
        gflops: case.flops(shape) / m.seconds / 1e9,
        max_error: m.error,
        checked: true,
        chose: m.chose,
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

/// Runs a device once to warm it up, with a trace that shows devices and threads. Then times it, and compares the last
/// timed result.
fn on_device<T: Number>(
    problem: &Problem<T>,
    expected: &Expected,
    device: &Device,
    budget: Duration,
) -> polyarray::Result<Measured> {
    let mut runner = problem.on(device)?;
    let (ran, trace) = with_device(device, || trace::record(|| runner.run()));
    ran?;
    runner.forget()?;
    let seconds = with_device(device, || fastest(budget, || runner.run()))?;
    let error = expected.error(&runner.values()?);
    let mut ran_on: Vec<&str> = Vec::new();
    trace.events.iter().for_each(|e| {
        if !ran_on.contains(&&e.device[..]) {
            ran_on.push(&e.device)
        }
    });
    let threads = |e: &trace::Event| {
        let candidates = &e.plan.as_ref()?.candidates;
        candidates.iter().find(|c| c.device == e.device)?.estimate.as_ref().ok().map(|&(.., threads)| threads)
    };
    let threads = trace.events.iter().filter_map(threads).max().unwrap_or(1);
    // Views and accesses to one element run on no device.
    let chose =
        (*device == Device::auto()).then(|| if ran_on.is_empty() { "none".to_string() } else { ran_on.join("+") });
    Ok(Measured { seconds, threads, error, chose })
}

/// Measures another library in the same way; `None` if it does not support the problem.
fn by_peer<T: Number>(
    problem: &Problem<T>,
    expected: &Expected,
    name: &str,
    blas: Option<&Blas>,
    threads: usize,
    budget: Duration,
) -> Option<Measured> {
    let mut work = peers::work(name, blas, problem, threads)?;
    work.run();
    let seconds = fastest(budget, || {
        work.run();
        Ok::<(), std::convert::Infallible>(())
    });
    let seconds = seconds.unwrap_or_else(|never| match never {});
    // ndarray runs `add`, `mul` and `sum` on one thread. For products, every library gets the same number of threads.
    let threads = if problem.case.is_compute() { threads } else { 1 };
    Some(Measured { seconds, threads, error: expected.error(&work.values()), chose: None })
}

/// Parses a value of `--sizes`: `1000` or `512x256x128`.
///
/// # Errors
/// If `text` is neither, or a size without elements, or too large.
pub fn parse_size(text: &str) -> Result<Vec<usize>, String> {
    let lens: Result<Vec<usize>, _> = text.split('x').map(|n| n.trim().replace('_', "").parse::<usize>()).collect();
    let lens = lens
        .map_err(|_| format!("{text:?} is not a size; give a number such as 1000, or a shape such as 512x256x128"))?;
    let total =
        lens.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).filter(|&n| n > 0 && n <= isize::MAX as usize / 64);
    total.map(|_| lens).ok_or_else(|| format!("{text:?} has no elements, or more than isize::MAX / 64"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::CASES;
    use crate::table::tests::row;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("1000").unwrap(), [1000]);
        assert_eq!(parse_size("5x6x7").unwrap(), [5, 6, 7]);
        assert_eq!(parse_size("10_000").unwrap(), [10000]);
        for bad in ["", "x", "0", "4x0", "-1", "1e6", "99999999999x99999999999"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    fn options(ops: &[&str], sizes: &[usize]) -> Options {
        Options {
            effort: Effort::Quick,
            ops: ops.iter().map(|s| s.to_string()).collect(),
            dtypes: vec![DType::F32],
            sizes: sizes.iter().map(|&n| vec![n]).collect(),
            ..Options::default()
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let why = |options: Options| match compare(&options, &mut io::sink()) {
            Err(Stop::Asked(why)) => why,
            _ => panic!("these options should have been rejected"),
        };
        assert!(why(options(&["nothing"], &[])).contains("nothing"));
        assert!(why(Options { devices: vec!["toaster".into()], ..options(&["add"], &[10]) }).contains("toaster"));
        assert!(why(Options { dtypes: vec![DType::Bool], ..options(&["add"], &[10]) }).contains("bool"));
        assert!(why(Options { dtypes: vec![DType::I32], ..options(&["exp"], &[10]) }).contains("i32"));
        assert!(why(options(&["matmul"], &[100_000_000])).contains("six times as much memory"));
        assert!(why(options(&["small"], &[10])).contains("sizes of its own"));
        if Device::named("blas").is_ok() {
            let none = Options { devices: vec!["blas".into()], ..options(&["add"], &[10]) };
            assert!(why(none).contains("none of blas supports a selected case"));
        }
        let two = |ops: &[&str]| Options { sizes: vec![vec![10], vec![2, 3]], ..options(ops, &[]) };
        assert!(why(two(&["add"])).contains("2x3 fits none of the selected cases"));
    }

    #[test]
    fn a_name_that_is_given_twice_is_one_column() {
        let mut names: Vec<String> = ["auto", "scalar", "auto", "scalar"].map(String::from).into();
        let known = peers::names();
        for _ in 0..2 {
            names.extend(known.iter().map(|n| n.to_string()));
        }
        let (devices, peers) = columns(&names).unwrap();
        assert_eq!(devices.iter().map(|d| d.name()).collect::<Vec<_>>(), ["auto", "scalar"]);
        assert_eq!(peers, known);
    }

    #[test]
    fn rows_of_others_are_merged_by_case_dtype_and_size() {
        let with = vec![
            row("add", &[100], "numpy", 1e-3),
            row("add", &[100], "scalar", 1e-9),
            row("add", &[77], "numpy", 1e-3),
            row("sin", &[100], "numpy", 1e-3),
        ];
        let options = Options { devices: vec!["scalar".into()], with, ..options(&["add"], &[100]) };
        let mut text = Vec::new();
        let outcome = compare(&options, &mut text).unwrap();
        assert_eq!(outcome.failures, [""; 0]);
        assert_eq!(outcome.sections[0].columns, ["scalar", "numpy", "with:scalar"]);
        assert_eq!(outcome.sections[0].lines[0].winner, Some(2));
        assert_eq!(outcome.rows.len(), 1, "only what was measured here is written");
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("*1.00 ns") && text.contains("2 rows of --with are not shown"), "{text}");
    }

    #[test]
    fn the_group_of_small_work_is_one_table_on_one_thread() {
        let options = Options { devices: vec!["scalar".into(), "auto".into()], ..options(&["small"], &[]) };
        let mut text = Vec::new();
        let outcome = compare(&options, &mut text).unwrap();
        assert_eq!(outcome.failures, [""; 0]);
        assert!(outcome.rows.iter().all(|r| r.threads == 1));
        for (name, shapes) in crate::cases::SMALL {
            let found = outcome.rows.iter().filter(|r| r.op == *name).count();
            assert_eq!(found, 2 * shapes.len(), "{name}");
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("small work f32") && text.contains("\n  matmul 16x16x16"), "{text}");
    }

    #[test]
    fn every_case_runs_and_agrees_on_every_device() {
        for dtype in [DType::F32, DType::F64, DType::I32] {
            let all = CASES.iter().filter(|c| c.dtypes.contains(&dtype)).map(|c| c.name).collect::<Vec<_>>();
            assert!(all.len() > 50, "every ufunc is a case");
            let outcome = compare(&Options { dtypes: vec![dtype], ..options(&all, &[37]) }, &mut io::sink()).unwrap();
            assert_eq!(outcome.failures, [""; 0]);
            for case in all {
                for device in ["scalar", "auto"] {
                    assert!(
                        outcome.rows.iter().any(|r| r.op == case && r.device == device && r.checked),
                        "{case} {dtype} on {device}"
                    );
                }
                assert!(outcome.rows.iter().all(|r| (r.device == "auto") == r.chose.is_some()));
            }
        }
    }
}
