//! Times and memory of programs.

use polyarray::prelude::*;
use polyarray::trim;
use std::hint::black_box;
use std::time::Instant;

/// The figures of a program.
struct Row {
    theme: &'static str,
    program: &'static str,
    /// The least time of several runs.
    seconds: f64,
    /// The memory in bytes that the process took in addition while it ran, if the system tells.
    peak: Option<u64>,
}

/// Runs programs, measures and prints them.
pub struct Tour {
    theme: &'static str,
    rows: Vec<Row>,
    /// Sizes are divided by this number.
    divisor: usize,
}

impl Tour {
    /// Makes a tour whose sizes are divided by `divisor`.
    pub fn new(divisor: usize) -> Tour {
        Tour { theme: "", rows: Vec::new(), divisor }
    }

    /// Starts a theme.
    pub fn begin(&mut self, theme: &'static str) {
        self.theme = theme;
    }

    /// Returns a number of elements for this tour.
    pub fn size(&self, elements: usize) -> usize {
        (elements / self.divisor).max(100)
    }

    /// Runs a program, prints its figures, and returns its result.
    pub fn time<R>(&mut self, program: &'static str, mut run: impl FnMut() -> Result<R>) -> Result<R> {
        self.time_with(program, || Ok(()), |()| run())
    }

    /// As [`time`](Self::time), for a program that consumes what `prepare` makes, which is not measured.
    pub fn time_with<P, R>(
        &mut self,
        program: &'static str,
        mut prepare: impl FnMut() -> Result<P>,
        mut run: impl FnMut(P) -> Result<R>,
    ) -> Result<R> {
        let prepared = prepare()?;
        // Memory that polyarray keeps for reuse would hide what the program takes.
        trim();
        let before = reset_peak();
        let mut result = run(prepared)?;
        let peak = before.and_then(|before| Some(status("VmHWM:")?.saturating_sub(before)));
        let mut seconds = f64::INFINITY;
        for _ in 0..3 {
            let prepared = prepare()?;
            let start = Instant::now();
            result = black_box(run(prepared)?);
            seconds = seconds.min(start.elapsed().as_secs_f64());
        }
        let memory = peak.map_or("-".into(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        println!("  {program:<48} {:>10.3} ms {memory:>10}", seconds * 1e3);
        self.rows.push(Row { theme: self.theme, program, seconds, peak });
        Ok(result)
    }

    /// Returns the figures: an object a line, as those of `numpy_tour.py`.
    pub fn json(&self) -> String {
        let line = |row: &Row| {
            let Row { theme, program, seconds, peak } = row;
            format!("{}\n", serde_json::json!({ "theme": theme, "program": program, "seconds": seconds, "peak": peak }))
        };
        self.rows.iter().map(line).collect()
    }
}

/// Returns a figure in bytes of Linux's account of this process.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse::<u64>();
    Some(kilobytes.ok()? << 10)
}

/// Resets the largest memory of this process to the present one, and returns it.
fn reset_peak() -> Option<u64> {
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    status("VmRSS:")
}
