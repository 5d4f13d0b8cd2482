//! The report of a sweep: three comparisons, the worst cases of each, and the operations with the most of them.

use super::Measured;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// A comparison of every case.
struct Measure {
    /// The name of the reference.
    name: &'static str,
    /// The factor beyond which a case counts as slow.
    limit: f64,
    /// Returns the time that the case is compared with.
    other: fn(&Measured) -> Option<f64>,
}

/// Slower than `scalar` or than the other library by more than the noise of a run; below a third of the rate on
/// contiguous data.
const MEASURES: [Measure; 3] = [
    Measure { name: "scalar", limit: 1.05, other: |m| Some(m.scalar) },
    Measure { name: "the other library", limit: 1.05, other: |m| m.peer },
    Measure { name: "itself, contiguous", limit: 3.0, other: |m| Some(m.plain) },
];

/// Returns whether a case is slow by any measure.
pub(super) fn suspect(m: &Measured) -> bool {
    MEASURES.iter().any(|measure| (measure.other)(m).is_some_and(|other| m.ours > measure.limit * other))
}

/// The measurements of a sweep.
pub struct Report {
    measured: Vec<Measured>,
    fail_above: Option<f64>,
}

impl Report {
    pub(super) fn new(measured: Vec<Measured>, fail_above: Option<f64>) -> Report {
        Report { measured, fail_above }
    }

    /// Returns the measurements.
    pub fn measured(&self) -> &[Measured] {
        &self.measured
    }

    /// Returns the number of cases that are slower than `scalar` or than the other library by more than the factor that
    /// the options state. The rate on contiguous data does not count: not every operation can reach it.
    pub fn failures(&self) -> usize {
        let Some(factor) = self.fail_above else { return 0 };
        let slow = |m: &Measured, other: Option<f64>| other.is_some_and(|other| m.ours > factor * other);
        self.measured.iter().filter(|m| slow(m, Some(m.scalar)) || slow(m, m.peer)).count()
    }

    pub(super) fn write(&self, out: &mut dyn Write, worst: usize) -> io::Result<()> {
        writeln!(out, "{} cases; ratio: time of the other / our time", self.measured.len())?;
        writeln!(out, "{:<22} {:>8} {:>10} {:>8} {:>8}", "compared with", "cases", "geo. mean", "slower", "least")?;
        for measure in &MEASURES {
            let ratios = self.ratios(measure);
            if ratios.is_empty() {
                continue;
            }
            let mean = (ratios.iter().map(|(r, _)| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
            let slow = ratios.iter().filter(|(r, _)| *r < 1.0 / measure.limit).count();
            let (name, cases, least) = (measure.name, ratios.len(), ratios[0].0);
            writeln!(out, "{name:<22} {cases:>8} {mean:>10.2} {slow:>8} {least:>8.3}")?;
        }
        for measure in &MEASURES {
            self.write_worst(out, measure, worst)?;
        }
        Ok(())
    }

    /// Returns the ratio of each case that has one, in ascending order.
    fn ratios(&self, measure: &Measure) -> Vec<(f64, &Measured)> {
        let ratio = |m| Some(((measure.other)(m)? / m.ours, m));
        let mut ratios: Vec<(f64, &Measured)> = self.measured.iter().filter_map(ratio).collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        ratios
    }

    fn write_worst(&self, out: &mut dyn Write, measure: &Measure, worst: usize) -> io::Result<()> {
        let mut slow = self.ratios(measure);
        slow.retain(|(r, _)| *r < 1.0 / measure.limit);
        if slow.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nMore than {:.2} times as slow as {}, the worst first", measure.limit, measure.name)?;
        for (ratio, m) in slow.iter().take(worst) {
            let other = (measure.other)(m).expect("the case has a ratio");
            let (op, dtype, layout) = (m.case.work.to_string(), m.case.dtype.to_string(), m.case.layout.to_string());
            let (ours, other) = (m.ours * 1e6, other * 1e6);
            writeln!(
                out,
                "{ratio:>7.3} {op:<20} {dtype:<5} {layout:<24} ours {ours:>10.2} us, other {other:>10.2} us"
            )?;
        }
        let mut by_op = BTreeMap::<String, (usize, f64)>::new();
        for (ratio, m) in &slow {
            let (count, least) = by_op.entry(m.case.work.to_string()).or_insert((0, f64::INFINITY));
            (*count, *least) = (*count + 1, least.min(*ratio));
        }
        let mut by_op: Vec<(String, (usize, f64))> = by_op.into_iter().collect();
        by_op.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
        let words = by_op.iter().take(2 * worst).map(|(op, (count, least))| format!("{op} {count} ({least:.2})"));
        let text = format!("by operation (least ratio): {}", words.collect::<Vec<_>>().join(", "));
        writeln!(out, "{}", crate::table::wrapped(&text, "  "))
    }
}
