//! The JSON form of a comparison: one object per line, the machine first.

use crate::machine::Machine;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// One measurement. The field names are part of the interface, because other programs read and write them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the case.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The size: the number of elements; `[m, k, n]` of a product; `[n, m, d]` of distances.
    pub shape: Vec<usize>,
    /// The name of the device or of the other library.
    pub device: String,
    /// The number of threads used.
    pub threads: usize,
    /// The least seconds of repeated runs after a warm-up.
    pub seconds: f64,
    /// 10^9 bytes per second, if each input is read once and the output written once.
    pub gbps: f64,
    /// 10^9 arithmetic operations per second.
    pub gflops: f64,
    /// The largest error against the result of `scalar`, relative as [`crate::verify`] defines.
    pub max_error: f64,
    /// Whether the result was compared. Rows with a wrong result are not written.
    pub checked: bool,
    /// The device that `auto` chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chose: Option<String>,
}

/// Writes a comparison.
///
/// # Errors
/// Those of the file.
pub fn write(out: &mut dyn Write, machine: &Machine, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "{}", serde_json::json!({ "machine": machine }))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", serde_json::to_string(row)?))
}

/// Reads the rows of a comparison that this or another program wrote. Skips lines that describe a machine.
///
/// # Errors
/// The number of the first line that is not a row, with the reason. Rows whose result was not checked are rejected too,
/// because their time is meaningless.
pub fn read(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let at = |why: String| format!("line {}: {why}", number + 1);
        let value: serde_json::Value = serde_json::from_str(line).map_err(|e| at(e.to_string()))?;
        if value.get("machine").is_some() {
            continue;
        }
        let row: Row = serde_json::from_value(value).map_err(|e| at(e.to_string()))?;
        let sound = row.seconds.is_finite() && row.seconds > 0.0;
        if !row.checked || !sound {
            return Err(at(format!(
                "{} {} {:?} on {}: the result was not checked, or `seconds` is not positive; measure it again",
                row.op, row.dtype, row.shape, row.device
            )));
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row with every mandatory field.
    const LINE: &str = concat!(
        r#"{"op":"add","dtype":"f32","shape":[100000],"device":"simd","threads":2,"seconds":1e-5,"#,
        r#""gbps":120.0,"gflops":10.0,"max_error":0.0,"checked":true}"#
    );

    #[test]
    fn rows_round_trip_with_exactly_these_fields() {
        let rows = read(LINE).unwrap();
        let compact = |s: &str| serde_json::from_str::<serde_json::Value>(s).unwrap();
        assert_eq!(compact(&serde_json::to_string(&rows[0]).unwrap()), compact(LINE));
        let auto = Row { device: "auto".into(), chose: Some("simd".into()), ..rows[0].clone() };
        let text = serde_json::to_string(&auto).unwrap();
        assert!(text.ends_with(r#""checked":true,"chose":"simd"}"#), "{text}");
        assert_eq!(read(&text).unwrap(), [auto]);
    }

    #[test]
    fn a_file_has_the_machine_first_and_reads_back() {
        let machine = crate::machine::tests::sample();
        let (mut file, rows) = (Vec::new(), read(LINE).unwrap());
        write(&mut file, &machine, &rows).unwrap();
        let text = String::from_utf8(file).unwrap();
        assert!(text.starts_with(r#"{"machine":{"#), "{text}");
        assert_eq!(read(&text).unwrap(), rows);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(serde_json::from_value::<Machine>(first["machine"].clone()).unwrap(), machine);
    }

    #[test]
    fn bad_lines_are_named() {
        let error = |line: &str| read(&format!("{{\"machine\":{{}}}}\n\n{line}")).unwrap_err();
        assert!(error("{").starts_with("line 3: "));
        assert!(error(r#"{"op":"add"}"#).contains("missing field"));
        assert!(error(&LINE.replace("true", "false")).contains("not checked"));
        assert!(error(&LINE.replace("1e-5", "0")).contains("not positive"));
    }
}
