//! The summary of a comparison: the fastest device for each kind of work, crossovers, what `auto` chose, and how far
//! the rates are from the ceilings of the machine.

use crate::cases::Case;
use crate::json::Row;
use crate::machine::Machine;
use crate::table::{grid, show_shape, wrapped};
use polyarray::Device;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Two times that differ by less than this factor are regarded as equal: repeated runs differ by as much.
const SAME: f64 = 1.05;
/// The number of bytes from which a case is compared with the ceilings of memory. Smaller data stays in common caches.
const LARGE: f64 = 24e6;
/// The number of the worst choices of `auto` that are listed.
const WORST: usize = 3;

/// The measurements of one case and dtype at one size.
struct Size<'a> {
    shape: &'a [usize],
    /// The rows of devices, without `auto` and other libraries; at least one.
    devices: Vec<&'a Row>,
    auto: Option<&'a Row>,
}

impl<'a> Size<'a> {
    fn best(&self) -> &'a Row {
        self.devices.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("a size has a row of a device")
    }

    fn row(&self, device: &str) -> Option<&'a Row> {
        self.devices.iter().copied().find(|r| r.device == device)
    }

    /// Returns whether the work takes place on a device: views and accesses to elements do not.
    fn runs(&self) -> bool {
        Case::named(&self.devices[0].op).is_ok_and(|case| !case.is_access())
    }
}

/// The measurements of one case and dtype, in ascending order of the number of elements.
struct Series<'a> {
    case: &'static Case,
    dtype: &'a str,
    sizes: Vec<Size<'a>>,
}

/// Sorts the rows of devices by case and dtype. Of two rows of the same device and size, the first counts.
fn series<'a>(rows: &'a [Row], devices: &[String]) -> Vec<Series<'a>> {
    let mut all: Vec<Series<'a>> = Vec::new();
    for row in rows.iter().filter(|r| devices.contains(&r.device)) {
        let Ok(case) = Case::named(&row.op) else { continue };
        let at = all.iter().position(|s| s.case.name == case.name && s.dtype == row.dtype).unwrap_or_else(|| {
            all.push(Series { case, dtype: &row.dtype, sizes: Vec::new() });
            all.len() - 1
        });
        let sizes = &mut all[at].sizes;
        let at = sizes.iter().position(|s| s.shape == row.shape).unwrap_or_else(|| {
            sizes.push(Size { shape: &row.shape, devices: Vec::new(), auto: None });
            sizes.len() - 1
        });
        if row.device == Device::auto().name() {
            sizes[at].auto.get_or_insert(row);
        } else if sizes[at].row(&row.device).is_none() {
            sizes[at].devices.push(row);
        }
    }
    for s in &mut all {
        s.sizes.retain(|size| !size.devices.is_empty());
        s.sizes.sort_by_key(|size| size.shape.iter().product::<usize>());
    }
    all.retain(|s| !s.sizes.is_empty());
    all
}

/// Returns the summary of a comparison on this machine, or an empty text if fewer than two devices were measured. Rows
/// of other libraries are not part of it.
pub fn summary(machine: &Machine, rows: &[Row]) -> String {
    let devices: Vec<String> = machine.devices.iter().map(|d| d.name.clone()).collect();
    let all = series(rows, &devices);
    let compared = all.iter().flat_map(|s| &s.sizes).any(|s| s.devices.len() > 1);
    if !compared {
        return String::new();
    }
    let mut out = String::from("\nSummary\n=======\n\n");
    out.push_str(&fastest(&all));
    out.push('\n');
    out.push_str(&crossovers(&all));
    out.push_str(&choices(&all));
    out.push_str(&ceilings(machine, &all));
    out
}

/// Counts, for each kind of work, at how many sizes each device was the fastest.
fn fastest(all: &[Series]) -> String {
    let mut counts: BTreeMap<&str, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for s in all {
        for size in s.sizes.iter().filter(|s| s.runs() && s.devices.len() > 1) {
            let kind = s.case.kind();
            if !order.contains(&kind) {
                order.push(kind);
            }
            let (sizes, wins) = counts.entry(kind).or_default();
            *sizes += 1;
            *wins.entry(&size.best().device).or_default() += 1;
        }
    }
    let mut table = vec![["fastest device", "sizes", "was the fastest at"].map(String::from).to_vec()];
    for kind in order {
        let (sizes, wins) = &counts[kind];
        let mut wins: Vec<_> = wins.iter().collect();
        wins.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), **name));
        let wins: Vec<String> = wins.iter().map(|(name, n)| format!("{name} {n}")).collect();
        table.push(vec![format!("  {kind}"), sizes.to_string(), wins.join(", ")]);
    }
    grid(&table)
}

/// Names the fastest device over the sizes of each case. A device replaces that of the previous size only if it is
/// faster by more than the noise.
fn crossovers(all: &[Series]) -> String {
    // The cases and dtypes that have the same device at every size, by device.
    let mut constant: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for s in all {
        let mut runs: Vec<(&str, &[usize])> = Vec::new();
        for size in s.sizes.iter().filter(|s| s.runs() && s.devices.len() > 1) {
            let best = size.best();
            let before = runs.last().and_then(|(name, _)| size.row(name));
            if runs.is_empty() || before.is_none_or(|row| row.seconds > SAME * best.seconds) {
                runs.push((&best.device, size.shape));
            }
        }
        let name = format!("{} {}", s.case.name, s.dtype);
        match runs[..] {
            [] => {}
            [(device, _)] => constant.entry(device).or_default().push(name),
            _ => {
                let from = |(device, shape): &(&str, &[usize])| format!("{device} from {}", show_shape(shape));
                lines.push(format!("  {name}: {}", runs.iter().map(from).collect::<Vec<_>>().join(", ")));
            }
        }
    }
    let mut out = String::new();
    if lines.is_empty() {
        out.push_str("crossovers: none; each case has one fastest device at all measured sizes\n");
    } else {
        out.push_str("crossovers (the size from which a device is the fastest)\n");
        lines.iter().for_each(|line| out.push_str(&format!("{}\n", wrapped(line, "    "))));
    }
    for (device, names) in constant {
        let line = format!("  {device} at every size: {}", names.join(", "));
        let _ = writeln!(out, "{}", wrapped(&line, "    "));
    }
    out.push('\n');
    out
}

/// Compares the times under `auto` with those of the fastest device.
fn choices(all: &[Series]) -> String {
    let mut ratios: Vec<(f64, String)> = Vec::new();
    let (mut sizes, mut right) = (0, 0);
    for s in all {
        for size in s.sizes.iter().filter(|s| s.runs() && s.devices.len() > 1) {
            let Some(auto) = size.auto else { continue };
            let (best, chose) = (size.best(), auto.chose.as_deref().unwrap_or("none"));
            sizes += 1;
            // A choice is right if the chosen device is as fast as the fastest one, as far as can be measured.
            right += usize::from(size.row(chose).is_some_and(|row| row.seconds <= SAME * best.seconds));
            let what = format!("{} {} {}", s.case.name, s.dtype, show_shape(size.shape));
            let ratio = auto.seconds / best.seconds;
            ratios.push((ratio, format!("{what}: {chose}, {ratio:.2} times the time of {}", best.device)));
        }
    }
    if ratios.is_empty() {
        return String::new();
    }
    let mean = (ratios.iter().map(|(r, _)| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let mut out = format!(
        "auto chose the fastest device (or one within 5 % of it) at {right} of {sizes} sizes; its time was on average\n\
         {mean:.2} times that of the fastest device (geometric mean, including the cost of the choice)\n"
    );
    ratios.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, line) in ratios.iter().take(WORST).filter(|(ratio, _)| *ratio > SAME) {
        let _ = writeln!(out, "{}", wrapped(&format!("  {line}"), "    "));
    }
    out.push('\n');
    out
}

/// Compares the best rates with the ceilings that the same run measured.
fn ceilings(machine: &Machine, all: &[Series]) -> String {
    let threads = machine.threads;
    let (fma, triad, read) = (machine.fma_gflops.all, machine.triad_gbps.all, machine.read_gbps.all);
    let mut table =
        vec![[format!("best rates on {threads} threads"), "rate".into(), "ceiling".into(), "reached".into()].to_vec()];
    for s in all {
        let hosts = |r: &&&Row| machine.devices.iter().any(|d| d.name == r.device && d.hardware) && r.device != "gpu";
        // The largest size only: that of the products with the most arithmetic, and data that exceeds caches.
        let Some(size) = s.sizes.last().filter(|s| s.runs()) else { continue };
        let Some(best) = size.devices.iter().filter(hosts).min_by(|a, b| a.seconds.total_cmp(&b.seconds)) else {
            continue;
        };
        let large = best.gbps * best.seconds * 1e9 >= LARGE;
        let (rate, ceiling, unit, what) = match s.case.kind() {
            // The vectors of f64 have half as many lanes.
            "matrix products" if s.dtype == "f64" => (best.gflops, fma / 2.0, "GFLOP/s", "multiply-adds"),
            "matrix products" if s.dtype == "f32" => (best.gflops, fma, "GFLOP/s", "multiply-adds"),
            "reductions" | "matrix times vector" if large => (best.gbps, read, "GB/s", "reading"),
            "arithmetic" | "copies" | "expressions" if large => (best.gbps, triad, "GB/s", "triad"),
            _ => continue,
        };
        table.push(vec![
            format!("  {} {} {} on {}", s.case.name, s.dtype, show_shape(size.shape), best.device),
            format!("{rate:.1} {unit}"),
            format!("{what} {ceiling:.1}"),
            format!("{:.0} %", 100.0 * rate / ceiling),
        ]);
    }
    if table.len() == 1 {
        return String::new();
    }
    let mut out = grid(&table);
    let over = "More than 100 % is possible: the ceilings use plain stores and vector instructions, while devices may \
                bypass the cache when they store, use matrix instructions, or find data in a large cache.";
    let _ = writeln!(out, "{}", wrapped(over, ""));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::DeviceLine;
    use crate::machine::tests::sample;
    use crate::table::WIDTH;
    use crate::table::tests::row;

    fn machine() -> Machine {
        let device = |name: &str| DeviceLine { name: name.into(), description: "x".into(), hardware: true };
        Machine { devices: ["scalar", "simd", "auto"].map(device).into(), ..sample() }
    }

    #[test]
    fn a_summary_of_fixed_rows() {
        let mut rows = vec![
            row("add", &[1], "scalar", 50e-9),
            row("add", &[1], "simd", 51e-9),
            row("add", &[1], "auto", 60e-9),
            row("add", &[4_000_000], "scalar", 4e-3),
            row("add", &[4_000_000], "simd", 1e-3),
            row("add", &[4_000_000], "auto", 1.001e-3),
            row("exp", &[1000], "scalar", 2e-6),
            row("exp", &[1000], "simd", 1e-6),
            row("exp", &[1000], "auto", 2e-6),
            // A library that is no device.
            row("exp", &[1000], "numpy", 1e-9),
        ];
        rows[8].chose = Some("scalar".into());
        let text = summary(&machine(), &rows);
        let expected = "
Summary
=======

fastest device  sizes  was the fastest at
  arithmetic        2    scalar 1, simd 1
  functions         1              simd 1

crossovers (the size from which a device is the fastest)
  add f32: scalar from 1, simd from 4000000
  simd at every size: exp f32

auto chose the fastest device (or one within 5 % of it) at 2 of 3 sizes; its time was on average
1.34 times that of the fastest device (geometric mean, including the cost of the choice)
  exp f32 1000: scalar, 2.00 times the time of simd
  add f32 1: simd, 1.20 times the time of scalar

best rates on 2 threads         rate    ceiling  reached
  add f32 4000000 on simd  48.0 GB/s  triad 2.5   1920 %
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn a_single_device_has_no_summary() {
        assert_eq!(summary(&machine(), &[row("add", &[1], "simd", 1e-9), row("add", &[1], "numpy", 2e-9)]), "");
    }
}
