//! Reports of a measurement: lines for a terminal, JSON, and the tables of the documentation.

use super::judge::{Expected, Float, Format};
use super::reference::Op;
use crate::machine;
use polyarray::DType;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Write};

/// The largest error of a search, and its point.
#[derive(Clone, Debug, PartialEq)]
pub struct Worst {
    /// The error in ULP.
    pub error: f64,
    /// The number of the point; of equal errors, that of the first.
    index: usize,
    /// The operands, as numbers and as bits.
    x: (f64, u64),
    y: (f64, u64),
    got: f64,
    wanted: String,
}

impl Worst {
    /// The result of a search without points.
    pub(super) fn none() -> Worst {
        Worst { error: 0.0, index: usize::MAX, x: (0.0, 0), y: (0.0, 0), got: 0.0, wanted: String::new() }
    }

    pub(super) fn is_none(&self) -> bool {
        self.index == usize::MAX
    }

    pub(super) fn at<T: Float>(error: f64, index: usize, (x, y): (T, T), got: T, wanted: &Expected) -> Worst {
        Worst { error, index, x: (x.wide(), x.bits()), y: (y.wide(), y.bits()), got: got.wide(), wanted: wanted.show() }
    }

    /// Replaces `self` by `other` if its error is larger, or equal and at an earlier point.
    pub(super) fn join(&mut self, other: Worst) {
        if other.error > self.error || other.error == self.error && other.index < self.index {
            *self = other;
        }
    }
}

/// The result for one ufunc and dtype on one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the ufunc.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The name of the device, or of the tier of `simd`.
    pub device: String,
    /// The number of points that were compared.
    pub points: usize,
    /// The largest error in ULP. `None` if the device refuses, or if a result is wrong beyond measure: a zero of the
    /// wrong sign, or a number instead of NaN.
    pub max_ulp: Option<f64>,
    /// The largest allowed error in ULP.
    pub bound: f64,
    /// The operands at the largest error, if it is not zero: `x`, and `y` for two operands, each with its bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The result at that point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
    /// The expected result at that point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The reason why the device refuses the ufunc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Whether the row passes.
    pub ok: bool,
}

/// The slack on bounds, relative to the bound: larger than the errors of the reference in ULP.
const SLACK: f64 = 1e-6;

impl Row {
    pub(super) fn new(op: Op, dtype: DType, device: &str) -> Row {
        Row {
            op: op.info().name.into(),
            dtype: dtype.name().into(),
            device: device.into(),
            points: 0,
            max_ulp: None,
            bound: op.bound(dtype),
            at: None,
            got: None,
            expected: None,
            refused: None,
            ok: false,
        }
    }

    pub(super) fn refused(self, why: String, is_failure: bool) -> Row {
        Row { refused: Some(why), ok: !is_failure, ..self }
    }

    pub(super) fn measured(self, points: usize, worst: Worst) -> Row {
        let ok = worst.error <= self.bound * (1.0 + SLACK);
        let row = Row { points, max_ulp: Some(worst.error).filter(|e| e.is_finite()), ok, ..self };
        if worst.error == 0.0 {
            return row;
        }
        let digits = Format::of(row.dtype.parse().expect("the name of a dtype")).precision as usize;
        let number = |(x, bits): (f64, u64)| {
            format!(
                "{} (0x{bits:0width$x})",
                short(x, digits),
                width = if digits == 53 {
                    16
                } else if digits == 24 {
                    8
                } else {
                    4
                }
            )
        };
        let binary =
            super::reference::Op::all().iter().any(|op| op.info().name == row.op && matches!(op, Op::Binary(_)));
        let at = if binary { format!("{}, {}", number(worst.x), number(worst.y)) } else { number(worst.x) };
        Row { at: Some(at), got: Some(short(worst.got, digits)), expected: Some(worst.wanted), ..row }
    }

    /// Returns the error as text: `0.51`, `mismatch`, `refused`.
    pub fn error(&self) -> String {
        match (self.max_ulp, &self.refused) {
            (_, Some(_)) => "refused".into(),
            (None, None) => "mismatch".into(),
            (Some(0.0), _) => "0".into(),
            // Rounded up, so that the actual error does not exceed the shown one.
            (Some(e), _) if e < 1e4 => format!("{:.3}", (e * 1e3).ceil() / 1e3),
            (Some(e), _) => format!("{e:.1e}"),
        }
    }
}

/// Formats a number with as few digits as identify it within its dtype.
fn short(x: f64, precision: usize) -> String {
    let text = match precision {
        53 => format!("{x:?}"),
        _ => format!("{:?}", x as f32),
    };
    text.trim_end_matches(".0").into()
}

/// The headline above the rows.
pub const HEADER: &str = "ufunc       dtype device       points     max ULP  bound       at";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.ok { "ok" } else { "FAIL" };
        write!(
            f,
            "{:11} {:5} {:8} {:>12} {:>10} {:>6} {verdict:4}",
            self.op,
            self.dtype,
            self.device,
            grouped(self.points),
            self.error(),
            self.bound
        )?;
        if let Some(why) = &self.refused {
            return write!(f, "  {why}");
        }
        if let Some(at) = &self.at {
            write!(f, "  {at}")?;
        }
        match (self.ok, &self.got, &self.expected) {
            (false, Some(got), Some(expected)) => write!(f, ": {got} for {expected}"),
            _ => Ok(()),
        }
    }
}

/// Groups digits by threes: `1,234,567`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).expect("digits"));
    groups.collect::<Vec<_>>().join(",")
}

/// The machine on which rows were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    cpu: String,
    os: String,
}

impl Place {
    /// Describes this machine.
    pub fn here() -> Place {
        Place { cpu: machine::cpu(), os: machine::os() }
    }
}

/// The first line of a file of rows.
#[derive(Serialize, Deserialize)]
struct Head {
    machine: Place,
}

/// Reads the output of [`json`].
///
/// # Errors
/// The number of the first invalid line, and the reason.
pub fn read(text: &str) -> Result<(Place, Vec<Row>), String> {
    let (head, rows) = text.split_once('\n').unwrap_or((text, ""));
    let head: Head = serde_json::from_str(head).map_err(|e| format!("line 1: {e}"))?;
    let row = |(i, line): (usize, &str)| serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 2));
    Ok((head.machine, rows.lines().enumerate().map(row).collect::<Result<_, _>>()?))
}

/// Writes the machine and the rows, one JSON object per line.
///
/// # Errors
/// Those of the file.
pub fn json(out: &mut dyn Write, place: &Place, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(&Head { machine: place.clone() })?)?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", serde_json::to_string(row)?))
}

/// Writes the tables of the documentation: first functions with their errors, then exact ufuncs with the number of
/// points.
///
/// # Errors
/// Those of the output.
pub fn markdown(out: &mut dyn Write, place: &Place, rows: &[Row]) -> io::Result<()> {
    let unique = |name: fn(&Row) -> &str, rows: &[&Row]| {
        let mut names: Vec<String> = Vec::new();
        rows.iter().for_each(|r| {
            if !names.iter().any(|n| n == name(r)) {
                names.push(name(r).into())
            }
        });
        names
    };
    let rows: Vec<&Row> = rows.iter().collect();
    let devices = unique(|r| &r.device, &rows);
    // A ufunc is exact if its bound is 0. The bound of a half float is 0 exactly if that of f64 is.
    let (close, exact): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|r| r.bound > 0.0);
    writeln!(out, "Measured on {}, {}.\n", place.cpu, place.os)?;
    let mut rules = |head: &str, n: usize| writeln!(out, "| {head} |\n|{}", "---|".repeat(n));
    if !close.is_empty() {
        rules(&format!("ufunc | dtype | bound | {} | points | largest at", devices.join(" | ")), 5 + devices.len())?;
        for line in close.chunk_by(|a, b| (&a.op, &a.dtype) == (&b.op, &b.dtype)) {
            let cell = |d: &String| line.iter().find(|r| r.device == *d).map_or("-".into(), |r| mark(r));
            let cells: Vec<String> = devices.iter().map(cell).collect();
            let worst = line.iter().max_by(|a, b| rank(a).total_cmp(&rank(b))).expect("a chunk has a row");
            let (op, dtype, bound) = (&worst.op, &worst.dtype, worst.bound);
            let at = worst.at.as_deref().unwrap_or("");
            let points = grouped(line.iter().map(|r| r.points).max().unwrap_or(0));
            writeln!(out, "| {op} | {dtype} | {bound} | {} | {points} | {at} |", cells.join(" | "))?;
        }
        writeln!(out)?;
    }
    if !exact.is_empty() {
        let dtypes = unique(|r| &r.dtype, &exact);
        writeln!(out, "| exact ufunc | {} |\n|{}", dtypes.join(" | "), "---|".repeat(1 + dtypes.len()))?;
        for line in exact.chunk_by(|a, b| a.op == b.op) {
            let cell = |d: &String| {
                let of: Vec<&&Row> = line.iter().filter(|r| r.dtype == *d).collect();
                let bad: Vec<String> = of
                    .iter()
                    .filter(|r| r.max_ulp != Some(0.0))
                    .map(|r| format!("{}: {}", r.device, mark(r)))
                    .collect();
                if bad.is_empty() {
                    of.first().map_or("-".into(), |r| format!("0 in {}", grouped(r.points)))
                } else {
                    bad.join(", ")
                }
            };
            writeln!(out, "| {} | {} |", line[0].op, dtypes.iter().map(cell).collect::<Vec<_>>().join(" | "))?;
        }
    }
    Ok(())
}

fn mark(row: &Row) -> String {
    if row.ok { row.error() } else { format!("**{}**", row.error()) }
}

/// Returns a key that orders rows: refusals, then errors by size, then mismatches.
fn rank(row: &Row) -> f64 {
    if row.refused.is_some() { -1.0 } else { row.max_ulp.unwrap_or(f64::INFINITY) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyarray::{Binary, Unary};

    fn worst(error: f64) -> Worst {
        Worst::at(error, 3, (1.5f32, 0.1f32), 2.0f32, &Expected::known(f32::FORMAT, 2.5))
    }

    fn row(op: Op, dtype: DType, device: &str) -> Row {
        Row::new(op, dtype, device)
    }

    #[test]
    fn a_row_is_judged_by_its_bound() {
        let exp = || row(Op::Unary(Unary::Exp), DType::F32, "avx2");
        let good = exp().measured(1_234_567, worst(0.5004));
        assert_eq!((good.ok, good.max_ulp, good.bound), (true, Some(0.5004), 1.0));
        let shown = good.to_string();
        assert!(
            shown.contains("1,234,567") && shown.contains("0.501") && shown.ends_with("ok    1.5 (0x3fc00000)"),
            "{shown}"
        );
        let bad = exp().measured(5, worst(1.01));
        assert!(!bad.ok && bad.to_string().contains("FAIL  1.5 (0x3fc00000): 2 for 2.5e0"), "{bad}");
        let mismatch = row(Op::Binary(Binary::Pow), DType::F32, "x").measured(5, worst(f64::INFINITY));
        assert!(
            !mismatch.ok
                && mismatch.to_string().contains("mismatch")
                && mismatch.to_string().contains("1.5 (0x3fc00000), 0.1 (0x3dcccccd)"),
            "{mismatch}"
        );
        assert!(exp().refused("no".into(), false).ok && !exp().refused("no".into(), true).ok);
        assert!(row(Op::Unary(Unary::Sqrt), DType::F32, "x").measured(5, worst(0.0)).ok);
        assert!(
            !row(Op::Unary(Unary::Sqrt), DType::F32, "x").measured(5, worst(1e-9)).ok,
            "a bound of 0 allows no slack"
        );
    }

    #[test]
    fn the_worse_and_the_earlier_wins() {
        let mut one = Worst { index: 7, ..worst(0.5) };
        one.join(Worst { index: 2, ..worst(0.5) });
        assert_eq!(one.index, 2);
        one.join(worst(0.25));
        assert_eq!(one.error, 0.5);
        one.join(Worst::none());
        assert_eq!(one.error, 0.5);
        let mut none = Worst::none();
        none.join(Worst { index: 4, ..worst(0.0) });
        assert!(!none.is_none());
    }

    #[test]
    fn json_reads_back_and_tables_have_a_line_for_each_function() {
        let exp = |device: &str| row(Op::Unary(Unary::Exp), DType::F32, device);
        let rows = [
            exp("avx2").measured(9, worst(0.51)),
            exp("scalar").measured(9, worst(1.5)),
            row(Op::Unary(Unary::Log), DType::F32, "avx2").refused("it has no log of f32".into(), false),
            row(Op::Unary(Unary::Floor), DType::F32, "avx2").measured(1000, worst(0.0)),
            row(Op::Unary(Unary::Floor), DType::F64, "avx2").measured(9, worst(1.0)),
        ];
        let mut text = Vec::new();
        let place = Place { cpu: "Z80".into(), os: "CP/M".into() };
        json(&mut text, &place, &rows).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with(r#"{"machine":{"cpu":"#));
        assert_eq!(read(&text).unwrap(), (place.clone(), rows.to_vec()));
        assert!(
            read(&text.replace("avx2", "avx2\"")).unwrap_err().starts_with("line 2: ")
                && read("").unwrap_err().starts_with("line 1: ")
        );
        let mut page = Vec::new();
        markdown(&mut page, &place, &rows).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(page.starts_with("Measured on Z80, CP/M.\n"), "{page}");
        assert!(
            page.contains(
                "| ufunc | dtype | bound | avx2 | scalar | points | largest at |\n|---|---|---|---|---|---|---|\n"
            ),
            "{page}"
        );
        assert!(
            page.contains(
                "| exp | f32 | 1 | 0.510 | **1.500** | 9 | 1.5 (0x3fc00000) |\n| log | f32 | 1 | refused | - | 0 |  |\n"
            ),
            "{page}"
        );
        assert!(
            page.contains("| exact ufunc | f32 | f64 |\n|---|---|---|\n| floor | 0 in 1,000 | avx2: **1.000** |\n"),
            "{page}"
        );
    }
}
