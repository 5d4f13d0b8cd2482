//! `polyarray-bench`: compares the devices of this machine.

use clap::{Args, Parser, Subcommand};
use polyarray::DType;
use polyarray_bench::accuracy::{self, Effort, Outcome, Place};
use polyarray_bench::compare::{self, Options, Stop};
use polyarray_bench::peers::Blas;
use polyarray_bench::{devices, html, json};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Run every case at every size on every device, verify the results, and show which device is fastest (the
    /// default)
    Compare(Box<Compare>),
    /// Measure the largest error, in ULP, of every float ufunc on every tier of simd, and compare it with the ufunc's
    /// bound
    Accuracy(Accuracy),
    /// List the available devices, and the absent ones with how to get them
    Devices,
}

#[derive(Args)]
struct Compare {
    /// Use small sizes and short measurements: takes about a minute
    #[arg(long)]
    quick: bool,
    /// Cases, by name
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
    let cli = Cli::parse();
    let done = match cli.command {
        Some(Command::Devices) => {
            devices::devices(&mut io::stdout().lock()).map(|()| ExitCode::SUCCESS).map_err(Stop::Output)
        }
        Some(Command::Compare(args)) => run(&args),
        Some(Command::Accuracy(args)) => measure_accuracy(&args),
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
        threads: args.threads.map(usize::from),
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

fn run(args: &Compare) -> Result<ExitCode, Stop> {
    if let Some(threads) = args.threads {
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
    let (json_file, html_file) = (create(&args.json)?, create(&args.html)?);
    let options = Options {
        quick: args.quick,
        ops: args.ops.clone(),
        dtypes: args.dtypes.clone(),
        sizes: args.sizes.clone(),
        devices: args.devices.clone(),
        threads: args.threads.map(usize::from),
        with,
        blas: args.blas_peer.as_deref().map(Blas::open).transpose()?,
    };
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
        assert!(cli.command.is_none() && cli.compare.quick);
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
        for bad in ["accuracy --quick --full", "--threads 0", "--sizes 0", "--dtypes float", "--nothing"] {
            assert!(Cli::try_parse_from(format!("polyarray-bench {bad}").split(' ')).is_err(), "{bad}");
        }
    }
}
