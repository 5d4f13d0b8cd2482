//! Sums `sqrt(2 x + 1)` over a file that may be larger than the memory. Writes the file through a map, reads it once
//! without computing anything, for comparison, and sums its mapped elements in blocks of at most 256 MiB. Prints the
//! times and the resident memory of the process.
//!
//! `cargo run --release --example streaming [MiB]`

use indicatif::ProgressBar;
use polyarray::prelude::*;
use polyarray::with_memory_limit;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The limit for the blocks of the sum in bytes.
const LIMIT: u64 = 256 << 20;
/// The length of a row: 256 KiB of f32.
const ROW: usize = 64 << 10;

/// A file that is removed when this value is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Sums over a file of `mib` MiB. Returns the mean of the terms.
pub fn run(mib: usize) -> Result<f32> {
    let rows = 4 * mib;
    let path = std::env::temp_dir().join(format!("polyarray-streaming-{}.npy", std::process::id()));
    let file = Temporary(path);

    // Every row of the file is this one.
    let row = Array::linspace(0.0f32, 1.5, ROW)?;
    let bar = ProgressBar::new(rows as u64).with_message("writing");
    let show = |done: usize, _: usize| bar.set_position(done as u64);
    let start = Instant::now();
    let mut out = io::create_npy::<f32>(&file.0, [rows, ROW])?;
    stream::of(&row.broadcast_to([rows, ROW])?).progress(show).eval_into(&mut out.view_mut()?)?;
    drop(out);
    report("writing through a map", mib, start);

    let start = Instant::now();
    read(&file.0).map_err(|e| Error::File { path: file.0.clone(), why: e.to_string() })?;
    report("reading alone", mib, start);

    bar.reset();
    let mut resident = Resident::default();
    let start = Instant::now();
    let x = io::map_npy::<f32>(&file.0)?;
    let sum = with_memory_limit(LIMIT, || {
        let show = |done: usize, _: usize| {
            bar.set_position(done as u64);
            resident.update();
        };
        stream::of((&x * 2.0 + 1.0).sqrt()).progress(show).sum()
    })?;
    report("sum of sqrt(2 x + 1)", mib, start);
    bar.finish_and_clear();
    if let Resident { anonymous: Some(anonymous), file: Some(file) } = resident {
        println!("resident memory at the ends of blocks: up to {anonymous} MiB anonymous, {file} MiB of files");
    }
    Ok(sum / x.len() as f32)
}

/// Reads a file from its start to its end.
fn read(path: &Path) -> std::io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0u8; 1 << 20]);
    while file.read(&mut buffer)? > 0 {
        std::hint::black_box(&buffer);
    }
    Ok(())
}

fn report(what: &str, mib: usize, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let gigabytes = (mib << 20) as f64 / 1e9;
    println!("{what}: {seconds:.3} s, {:.2} GB/s", gigabytes / seconds);
}

/// The largest resident memory in MiB that was seen, if the system states it: memory of the process itself, and pages
/// of files.
#[derive(Default)]
struct Resident {
    anonymous: Option<u64>,
    file: Option<u64>,
}

impl Resident {
    fn update(&mut self) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mebibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|n| n >> 10)
        };
        self.anonymous = self.anonymous.max(mebibytes("RssAnon:"));
        self.file = self.file.max(mebibytes("RssFile:"));
    }
}

#[allow(dead_code, reason = "the tests include this file for the function above")]
fn main() -> Result<()> {
    let mib = match std::env::args().nth(1) {
        None => 64,
        Some(n) => n.parse().unwrap_or_else(|_| panic!("the size must be a number of MiB, not {n:?}")),
    };
    println!("a file of {mib} MiB");
    println!("the mean of the terms is {}", run(mib)?);
    Ok(())
}
