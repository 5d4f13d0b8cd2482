//! `polyarray-bench`: compares the devices of this machine.

use clap::{Args, Parser, Subcommand};
use polyarray::DType;
use polyarray_bench::accuracy::{self, Effort, Outcome, Place};
use polyarray_bench::compare::{self, Options, Stop};
use polyarray_bench::peers::Blas;
use polyarray_bench::{devices, html, json, programs, sweep};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Compares the devices of this machine: which device is fastest for each operation and size.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Subcommand)]
enum Command {
    /// Run cases of every kind of work on every device, verify the results, and show which device is fastest (the
    /// default)
    Compare(Box<Compare>),
    /// Measure the largest error, in ULP, of every float ufunc on every tier of simd, and compare it with the ufunc's
    /// bound
    Accuracy(Accuracy),
    /// Run every operation on every dtype and layout, and list the slowest cases: those that are slower than on
    /// `scalar`, than in another library (--with), or than a third of the rate on contiguous data
    Sweep(Sweep),
    /// Measure short computations as users write them, of several operations each
    Programs(Programs),
    /// List the available devices, and the absent ones with how to get them
    Devices,
}

#[derive(Args)]
struct Compare {
    /// Measure every case at small sizes: takes about a minute
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Measure every case at all sizes: takes several minutes (default: one or two cases for each kind of work, and
    /// small work, within a minute)
    #[arg(long)]
    full: bool,
    /// Cases, by name; the group small (small work, on one thread); the group ufuncs (every ufunc)
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    ops: Vec<String>,
    /// Dtypes (default: f32,f64; some cases take i32,i64 too)
    #[arg(long, value_delimiter = ',', value_name = "D,..")]
    dtypes: Vec<DType>,
    /// Sizes: N elements, NxN matrices, N points; or a shape such as 512x256x128
    #[arg(long, value_delimiter = ',', value_name = "N,..", value_parser = compare::parse_size)]
    sizes: Vec<Vec<usize>>,
    /// Devices by name, including auto; with the feature peers, also other libraries
    #[arg(long, value_delimiter = ',', value_name = "D,..")]
    devices: Vec<String>,
    /// The maximum number of threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Write the measurements to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write an HTML page with charts to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show the measurements of this file (of --json, or of numpy_peers.py) as further columns
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Measure this CBLAS library, called directly, as a further column
    #[arg(long, value_name = "PATH")]
    blas_peer: Option<PathBuf>,
}

#[derive(Args)]
struct Accuracy {
    /// Use 200,000 points for each ufunc and dtype: takes seconds
    #[arg(long, conflicts_with_all = ["full", "exhaustive"])]
    quick: bool,
    /// Use 10^7 points for each ufunc and dtype (default: 10^7 for unary ufuncs of f32, 10^6 for the others): takes
    /// half an hour
    #[arg(long)]
    full: bool,
    /// As --full, but with all 2^32 operands for unary ufuncs of f32: takes hours
    #[arg(long)]
    exhaustive: bool,
    /// Ufuncs, by name
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    ops: Vec<String>,
    /// Dtypes (default: f32,f64,f16,bf16)
    #[arg(long, value_delimiter = ',', value_name = "D,..")]
    dtypes: Vec<DType>,
    /// Devices of the CPU, by name, or tiers of simd (default: simd, which stands for every tier that this CPU has)
    #[arg(long, value_delimiter = ',', value_name = "D,..")]
    devices: Vec<String>,
    /// The number of points for each ufunc and dtype
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    points: Option<u32>,
    /// The maximum number of threads
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Fail if a device refuses a ufunc
    #[arg(long)]
    require_all: bool,
    /// Read rows from these files (written by --json) instead of measuring, to make tables from several runs
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "FILE,..",
        conflicts_with_all = ["quick", "full", "exhaustive", "ops", "dtypes", "devices", "points", "threads"]
    )]
    read: Vec<PathBuf>,
    /// Write the rows to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables of docs/accuracy.md to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

#[derive(Args)]
struct Sweep {
    /// Operations, by name, with or without their operand or axis (add stands for add_row too)
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    ops: Vec<String>,
    /// Dtypes (default: all)
    #[arg(long, value_delimiter = ',', value_name = "D,..")]
    dtypes: Vec<DType>,
    /// Numbers of elements (default: 1000,10000,1000000)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "N,..",
        value_parser = clap::value_parser!(u32).range(8..=100_000_000)
    )]
    sizes: Vec<u32>,
    /// The device to compare with scalar
    #[arg(long, value_name = "D", default_value = "auto")]
    device: String,
    /// The number of threads (default: all)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Measure this many cases, drawn at random (default: all, which takes hours)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// The seed of the draw
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write the cases as JSON, one object per line, and measure nothing: input of numpy_peers.py --sweep
    #[arg(long, conflicts_with_all = ["with", "json", "fail_above"])]
    list: bool,
    /// Compare with the measurements of this file, written by numpy_peers.py --sweep
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Write the measurements to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The number of cases in each list of the worst ones
    #[arg(long, value_name = "N", default_value_t = 20)]
    worst: usize,
    /// Fail if a case takes this many times as long as on scalar, or as in the other library
    #[arg(long, value_name = "F")]
    fail_above: Option<f64>,
}

#[derive(Args)]
struct Programs {
    /// The largest number of threads (default: all); each program is measured with one thread, too
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// The milliseconds of repeated runs of each measurement
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    budget: u32,
    /// Compare with the measurements of this file, written by numpy_peers.py --programs
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Write the measurements to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The environment variables that other libraries read their number of threads from.
const THREAD_VARIABLES: [&str; 6] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "MATMUL_NUM_THREADS",
];

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // The texts of --help and --version.
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => return fail(&one_line(&e.to_string())),
    };
    let done = match cli.command {
        Some(Command::Devices) => {
            devices::devices(&mut io::stdout().lock()).map(|()| ExitCode::SUCCESS).map_err(Stop::Output)
        }
        Some(Command::Compare(args)) => run(&args),
        Some(Command::Accuracy(args)) => measure_accuracy(&args),
        Some(Command::Sweep(args)) => run_sweep(&args),
        Some(Command::Programs(args)) => run_programs(&args),
        None => run(&cli.compare),
    };
    match done {
        Ok(code) => code,
        // The reader of the output closed the pipe: not an error.
        Err(Stop::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Output(e)) => fail(&format!("cannot write the output: {e}")),
        Err(Stop::Asked(why)) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(2)
}

/// Returns the first paragraph of a message of the argument parser as one line. The paragraphs below it repeat the
/// usage.
fn one_line(message: &str) -> String {
    let paragraph = message.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let line = paragraph.collect::<Vec<_>>().join(" ");
    format!("{}; --help lists the options", line.strip_prefix("error: ").unwrap_or(&line))
}

/// Checks that no two of these files are the same: an output would replace an input, or another output.
fn distinct(files: &[(&str, &Option<PathBuf>)]) -> Result<(), Stop> {
    let given: Vec<(&str, PathBuf)> = files
        .iter()
        .filter_map(|(option, path)| path.as_ref().map(|p| (*option, fs::canonicalize(p).unwrap_or(p.clone()))))
        .collect();
    for (i, (option, path)) in given.iter().enumerate() {
        if let Some((other, _)) = given[..i].iter().find(|(_, p)| p == path) {
            let path = path.display();
            return Err(Stop::Asked(format!("{other} and {option} name the same file, {path}; give two files")));
        }
    }
    Ok(())
}

/// Checks a number of threads against the machine.
fn threads(requested: Option<u16>) -> Result<Option<usize>, Stop> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = (8 * cores).max(64);
    match requested.map(usize::from) {
        Some(n) if n > most => {
            Err(Stop::Asked(format!("--threads {n} is too large: this machine has {cores} cores; give at most {most}")))
        }
        requested => Ok(requested),
    }
}

fn unusable(path: &Path, e: io::Error) -> Stop {
    Stop::Asked(format!("{}: {e}", path.display()))
}

/// Creates the file at `path`, if one is given. Called before the measurement, so that an unwritable path fails at
/// once.
fn create(path: &Option<PathBuf>) -> Result<Option<BufWriter<File>>, Stop> {
    path.as_ref().map(|p| File::create(p).map(BufWriter::new).map_err(|e| unusable(p, e))).transpose()
}

fn measure_accuracy(args: &Accuracy) -> Result<ExitCode, Stop> {
    // Reads the input before the output files are created, because an output file may be one of the inputs.
    let read = if args.read.is_empty() { None } else { Some(read_accuracy(&args.read)?) };
    distinct(&[("--json", &args.json), ("--markdown", &args.markdown)])?;
    let (json_file, page) = (create(&args.json)?, create(&args.markdown)?);
    let options = accuracy::Options {
        ops: args.ops.clone(),
        dtypes: args.dtypes.clone(),
        devices: args.devices.clone(),
        effort: match args {
            Accuracy { exhaustive: true, .. } => Effort::Exhaustive,
            Accuracy { full: true, .. } => Effort::Full,
            Accuracy { quick: true, .. } => Effort::Quick,
            _ => Effort::Sampled,
        },
        points: args.points.map(|n| n as usize),
        threads: threads(args.threads)?,
        require_all: args.require_all,
    };
    let (place, outcome) = match read {
        Some(read) => read,
        None => (Place::here(), accuracy::accuracy(&options, &mut io::stdout().lock())?),
    };
    if let Some(mut file) = json_file {
        accuracy::report::json(&mut file, &place, &outcome.rows)?;
        file.flush()?;
    }
    if let Some(mut file) = page {
        accuracy::report::markdown(&mut file, &place, &outcome.rows)?;
        file.flush()?;
    }
    for row in outcome.failures() {
        eprintln!("FAILED: {} {} on {}: error {}, bound {} ULP", row.op, row.dtype, row.device, row.error(), row.bound);
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

/// Reads and prints the rows of several files. Returns them together with the machine that all of them were measured
/// on.
fn read_accuracy(files: &[PathBuf]) -> Result<(Place, Outcome), Stop> {
    let (mut place, mut rows) = (None, Vec::new());
    for path in files {
        let text = fs::read_to_string(path).map_err(|e| unusable(path, e))?;
        let (measured_on, more) =
            accuracy::report::read(&text).map_err(|e| Stop::Asked(format!("{}: {e}", path.display())))?;
        let first = place.get_or_insert_with(|| measured_on.clone());
        if *first != measured_on {
            return Err(Stop::Asked(format!(
                "{}: its rows were measured on {measured_on:?}, those of earlier files on {first:?}; give --read files \
                 from one machine",
                path.display()
            )));
        }
        rows.extend(more);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", accuracy::report::HEADER)?;
    rows.iter().try_for_each(|row| writeln!(out, "{row}"))?;
    Ok((place.expect("--read has at least one file"), Outcome { rows }))
}

fn run_sweep(args: &Sweep) -> Result<ExitCode, Stop> {
    distinct(&[("--with", &args.with), ("--json", &args.json)])?;
    if let Some(factor) = args.fail_above.filter(|f| !(f.is_finite() && *f >= 1.0)) {
        return Err(Stop::Asked(format!("--fail-above {factor} is not a factor of at least 1")));
    }
    let with = match &args.with {
        Some(path) => sweep::read(&fs::read_to_string(path).map_err(|e| unusable(path, e))?)
            .map_err(|e| format!("{}: {e}", path.display()))?,
        None => Vec::new(),
    };
    let mut sizes: Vec<usize> = args.sizes.iter().map(|&n| n as usize).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let options = sweep::Options {
        ops: args.ops.clone(),
        dtypes: args.dtypes.clone(),
        sizes: if sizes.is_empty() { sweep::SIZES.to_vec() } else { sizes },
        device: args.device.clone(),
        threads: threads(args.threads)?.unwrap_or(polyarray::config().threads),
        sample: args.sample.map(|n| n as usize),
        seed: args.seed,
        with,
        worst: args.worst,
        fail_above: args.fail_above,
    };
    let mut out = io::stdout().lock();
    if args.list {
        return sweep::list(&options, &mut out).map(|()| ExitCode::SUCCESS);
    }
    sweep::check(&options)?;
    let json_file = create(&args.json)?;
    let (report, rows) = sweep::sweep(&options, &mut out)?;
    if let Some(mut file) = json_file {
        sweep::write(&mut file, &rows)?;
        file.flush()?;
    }
    let failures = report.failures();
    if failures > 0 {
        eprintln!("FAILED: {failures} cases are beyond the limit of --fail-above");
    }
    Ok(ExitCode::from(u8::from(failures > 0)))
}

fn run_programs(args: &Programs) -> Result<ExitCode, Stop> {
    distinct(&[("--with", &args.with), ("--json", &args.json)])?;
    let with = match &args.with {
        Some(path) => programs::read(&fs::read_to_string(path).map_err(|e| unusable(path, e))?)
            .map_err(|e| format!("{}: {e}", path.display()))?,
        None => Vec::new(),
    };
    let threads = threads(args.threads)?.unwrap_or(polyarray::config().threads);
    let json_file = create(&args.json)?;
    let budget = Duration::from_millis(args.budget.into());
    let rows = programs::run(threads, budget, &with, &mut io::stdout().lock())?;
    if let Some(mut file) = json_file {
        rows.iter().try_for_each(|row| writeln!(file, "{}", serde_json::to_string(row).map_err(io::Error::from)?))?;
        file.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run(args: &Compare) -> Result<ExitCode, Stop> {
    let threads = threads(args.threads)?;
    distinct(&[("--with", &args.with), ("--json", &args.json), ("--html", &args.html)])?;
    if let Some(threads) = threads {
        for name in THREAD_VARIABLES {
            // SAFETY: no other thread accesses the environment: threads are started and libraries loaded only further
            // below.
            unsafe { std::env::set_var(name, threads.to_string()) };
        }
    }
    let with = match &args.with {
        Some(path) => json::read(&fs::read_to_string(path).map_err(|e| unusable(path, e))?)
            .map_err(|e| format!("{}: {e}", path.display()))?,
        None => Vec::new(),
    };
    let options = Options {
        effort: match args {
            Compare { quick: true, .. } => compare::Effort::Quick,
            Compare { full: true, .. } => compare::Effort::Full,
            _ => compare::Effort::Overview,
        },
        ops: args.ops.clone(),
        dtypes: args.dtypes.clone(),
        sizes: args.sizes.clone(),
        devices: args.devices.clone(),
        threads,
        with,
        blas: args.blas_peer.as_deref().map(Blas::open).transpose()?,
    };
    compare::check(&options)?;
    let (json_file, html_file) = (create(&args.json)?, create(&args.html)?);
    let outcome = compare::compare(&options, &mut io::stdout().lock())?;
    if let Some(mut file) = json_file {
        json::write(&mut file, &outcome.machine, &outcome.rows)?;
        file.flush()?;
    }
    if let Some(mut file) = html_file {
        file.write_all(html::page(&outcome.machine, &outcome.sections).as_bytes())?;
        file.flush()?;
    }
    for failure in &outcome.failures {
        eprintln!("FAILED: {failure}");
    }
    Ok(ExitCode::from(outcome.exit_code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_as_documented() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(
            "polyarray-bench --quick --ops add,exp --dtypes f32 --sizes 10,2x3x4 --threads 1".split(' '),
        )
        .unwrap();
        assert!(cli.command.is_none() && cli.compare.quick && !cli.compare.full);
        assert_eq!(
            (cli.compare.ops, cli.compare.sizes),
            (vec!["add".to_string(), "exp".to_string()], vec![vec![10], vec![2, 3, 4]])
        );
        assert!(matches!(Cli::try_parse_from(["polyarray-bench", "devices"]).unwrap().command, Some(Command::Devices)));
        assert!(matches!(
            Cli::try_parse_from(["polyarray-bench", "compare", "--blas-peer", "x"]).unwrap().command,
            Some(Command::Compare(_))
        ));
        let accuracy =
            Cli::try_parse_from(["polyarray-bench", "accuracy", "--exhaustive", "--ops", "exp,log", "--require-all"])
                .unwrap()
                .command;
        assert!(
            matches!(accuracy, Some(Command::Accuracy(a)) if a.exhaustive && a.require_all && a.ops == ["exp", "log"])
        );
        for bad in
            ["accuracy --quick --full", "--quick --full", "--threads 0", "--sizes 0", "--dtypes float", "--nothing"]
        {
            assert!(Cli::try_parse_from(format!("polyarray-bench {bad}").split(' ')).is_err(), "{bad}");
        }
    }
}
