//! Runs a random workload on one device for some time and checks it against a plain model, for builds that check memory
//! accesses or arithmetic.

// Linking the crate registers the devices.
extern crate polyarray as _;

use clap::Parser;
use polyarray_conformance::torment::{Game, Played};
use polyarray_core::{Device, Result, with_device};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs random sequences of array operations (games) and compares every result with a plain model.
///
/// A game depends only on --seed, its number and --steps. POLYARRAY_DEVICE, POLYARRAY_SIMD and POLYARRAY_THREADS have
/// their usual effect.
#[derive(Parser)]
#[command(name = "polyarray-torment")]
struct Args {
    /// Run games for N seconds; the last game runs to its end
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// The seed of the random numbers
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Run only game number G
    #[arg(long, value_name = "G")]
    game: Option<u64>,
    /// The number of steps of a game
    #[arg(long, value_name = "N", default_value_t = 1000)]
    steps: usize,
    /// The device (default: POLYARRAY_DEVICE, otherwise auto)
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Print each step before it runs
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let device = args.device.as_ref().map_or_else(Device::current, |name| Device::named(name))?;
    println!("seed {} on {device}: {}", args.seed, device.info().description);
    // A panic is a fault, which is reported with the steps that led to it.
    std::panic::set_hook(Box::new(|_| {}));
    let start = Instant::now();
    let mut total = Played::default();
    let first = args.game.unwrap_or(0);
    let mut games = 0;
    for number in first.. {
        // Printed before the game runs: under a sanitizer, a fault ends the process.
        println!("game {number}");
        match with_device(&device, || Game { seed: args.seed, number, steps: args.steps, trace: args.trace }.play()) {
            Ok(Played { steps, checks }) => {
                total = Played { steps: total.steps + steps, checks: total.checks + checks }
            }
            Err(fault) => {
                println!("{fault}");
                return Ok(ExitCode::FAILURE);
            }
        }
        games += 1;
        if args.game.is_some() || start.elapsed() >= Duration::from_secs(args.seconds) {
            break;
        }
    }
    println!(
        "{games} games, {} steps, {} checks in {:.0} s: no fault",
        total.steps,
        total.checks,
        start.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}
