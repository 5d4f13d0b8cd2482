//! Prints which device supports which operation and dtype, or runs the conformance suite.

// Linking the crate registers the devices.
extern crate polyarray as _;

use clap::Parser;
use polyarray_conformance::{Filter, Support, check, support};
use polyarray_core::{DType, Device, Result};
use std::process::ExitCode;

/// Prints which device supports which operation and dtype; with --check, runs the conformance suite.
#[derive(Parser)]
#[command(name = "polyarray-conformance")]
struct Args {
    /// Run the suite instead of printing the table. The exit code is 0 if all devices passed.
    #[arg(long)]
    check: bool,
    /// Run only this device (may be repeated; default: all available devices).
    #[arg(long)]
    device: Vec<String>,
    /// Run only operations whose name contains this text.
    #[arg(long)]
    op: Option<String>,
    /// Run only operands of this dtype.
    #[arg(long)]
    dtype: Option<DType>,
    /// Run all sizes and combinations (default: a subset).
    #[arg(long)]
    full: bool,
    /// The seed of the random numbers.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let devices = if args.device.is_empty() {
        Device::all()
    } else {
        args.device.iter().map(|name| Device::named(name)).collect::<Result<_>>()?
    };
    for device in &devices {
        println!("{device:8} {}", device.info().description);
    }
    for (name, why) in Device::absent() {
        println!("{name:8} {why}");
    }
    println!();
    if args.check { Ok(check_all(args, &devices)) } else { print_table(args, &devices).map(|()| true) }
}

fn check_all(args: &Args, devices: &[Device]) -> bool {
    let filter = Filter { op: args.op.clone(), dtype: args.dtype, full: args.full, seed: args.seed };
    let mut ok = true;
    for device in devices {
        let report = check(device, &filter);
        println!("{report}");
        ok &= report.failures.is_empty();
    }
    ok
}

fn print_table(args: &Args, devices: &[Device]) -> Result<()> {
    let wanted = |row: &Support| {
        args.op.as_ref().is_none_or(|part| row.op.contains(part.as_str())) && args.dtype.is_none_or(|d| d == row.dtype)
    };
    print!("{:18} {:5}", "operation", "dtype");
    devices.iter().for_each(|d| print!(" {:>width$}", d.name(), width = d.name().len().max(6)));
    println!();
    support(devices)?.iter().filter(|row| wanted(row)).for_each(|row| println!("{row}"));
    Ok(())
}
