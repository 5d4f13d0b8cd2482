//! The tables of a comparison, as text for a terminal and as input of the HTML page.

use crate::cases::Case;
use crate::json::Row;
use std::collections::HashMap;

/// The greatest number of columns of text that a line of output has.
pub const WIDTH: usize = 100;

/// The word that a table shows instead of a time. A cell without time and mark shows `-`: the device refuses the case.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The name of the case.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The size.
    pub shape: Vec<usize>,
    /// The column.
    pub device: String,
    /// The word in the cell.
    pub word: &'static str,
}

/// The table of one case and dtype.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The name of the case.
    pub op: String,
    /// The name of the dtype.
    pub dtype: String,
    /// The devices and other libraries, in order. Those without any row or mark are left out.
    pub columns: Vec<String>,
    /// One line for each size, in ascending order of the number of elements.
    pub lines: Vec<Line>,
}

/// The line of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The size.
    pub shape: Vec<usize>,
    /// Seconds or a word, for each column.
    pub cells: Vec<Cell>,
    /// The column with the least time. `auto` is excluded, because it runs one of the other devices.
    pub winner: Option<usize>,
    /// The winner's rate, such as `12.3 GB/s`.
    pub rate: String,
    /// The device that `auto` chose.
    pub chose: Option<String>,
}

/// The content of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    /// A time in seconds.
    Seconds(f64),
    /// A word instead of a time.
    Word(&'static str),
}

/// Formats seconds with three significant figures, such as `1.20 us`.
pub fn show_seconds(s: f64) -> String {
    let (value, unit) = match s {
        s if s < 0.9995e-6 => (s * 1e9, "ns"),
        s if s < 0.9995e-3 => (s * 1e6, "us"),
        s if s < 0.9995 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{} {unit}", three_figures(value))
}

fn three_figures(x: f64) -> String {
    let decimals = if x < 9.995 { 2 } else { usize::from(x < 99.95) };
    format!("{x:.decimals$}")
}

/// Formats a size as `--sizes` accepts it: `100x100x50`.
pub fn show_shape(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

fn show_rate(row: &Row) -> String {
    if row.gbps == 0.0 {
        return "-".into();
    }
    let compute = Case::named(&row.op).is_ok_and(Case::is_compute);
    if compute { format!("{} GFLOP/s", three_figures(row.gflops)) } else { format!("{} GB/s", three_figures(row.gbps)) }
}

/// Makes tables from rows and marks, in order of appearance. `columns` gives the order of columns.
pub fn sections(rows: &[Row], marks: &[Mark], columns: &[String]) -> Vec<Section> {
    let mut keys: Vec<(&str, &str)> = Vec::new();
    for key in rows.iter().map(|r| (&r.op[..], &r.dtype[..])).chain(marks.iter().map(|m| (&m.op[..], &m.dtype[..]))) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys.into_iter().map(|key| section(key, rows, marks, columns)).collect()
}

fn section((op, dtype): (&str, &str), rows: &[Row], marks: &[Mark], columns: &[String]) -> Section {
    let rows: Vec<&Row> = rows.iter().filter(|r| (&r.op[..], &r.dtype[..]) == (op, dtype)).collect();
    let marks: Vec<&Mark> = marks.iter().filter(|m| (&m.op[..], &m.dtype[..]) == (op, dtype)).collect();
    let present = |c: &&String| rows.iter().any(|r| r.device == **c) || marks.iter().any(|m| m.device == **c);
    let columns: Vec<String> = columns.iter().filter(present).cloned().collect();
    let mut shapes: Vec<&[usize]> = Vec::new();
    for shape in rows.iter().map(|r| &r.shape[..]).chain(marks.iter().map(|m| &m.shape[..])) {
        if !shapes.contains(&shape) {
            shapes.push(shape);
        }
    }
    let by_cell: HashMap<(&[usize], &str), &Row> = rows.iter().map(|r| ((&r.shape[..], &r.device[..]), *r)).collect();
    let line = |shape: &[usize]| {
        let row = |c: &String| by_cell.get(&(shape, &c[..])).copied();
        let word = |c: &String| marks.iter().find(|m| m.shape == shape && m.device == *c).map_or("-", |m| m.word);
        let competing =
            columns.iter().enumerate().filter(|(_, c)| *c != "auto").filter_map(|(i, c)| Some((i, row(c)?)));
        let winner = competing.min_by(|a, b| a.1.seconds.total_cmp(&b.1.seconds));
        Line {
            shape: shape.to_vec(),
            cells: columns
                .iter()
                .map(|c| row(c).map_or_else(|| Cell::Word(word(c)), |r| Cell::Seconds(r.seconds)))
                .collect(),
            winner: winner.map(|(i, _)| i),
            rate: winner.map(|(_, r)| show_rate(r)).unwrap_or_default(),
            chose: row(&"auto".to_string()).and_then(|r| r.chose.clone()),
        }
    };
    let mut lines: Vec<Line> = shapes.into_iter().map(line).collect();
    lines.sort_by_key(|l| l.shape.iter().product::<usize>());
    Section { op: op.into(), dtype: dtype.into(), columns, lines }
}

impl Section {
    /// Returns the heads of the columns: the devices, the choice of `auto`, and the winner's rate.
    pub fn heads(&self) -> Vec<String> {
        let chose = self.columns.iter().any(|c| c == "auto").then(|| "auto chose".to_string());
        self.columns.iter().cloned().chain(chose).chain(["best rate".to_string()]).collect()
    }

    /// Returns the texts of a line, in the order of [`heads`](Self::heads).
    pub fn texts(&self, line: &Line) -> Vec<String> {
        let cell = |(i, c): (usize, &Cell)| match c {
            Cell::Seconds(s) => format!("{}{}", if line.winner == Some(i) { "*" } else { "" }, show_seconds(*s)),
            Cell::Word(word) => (*word).to_string(),
        };
        let chose = self.columns.iter().any(|c| c == "auto").then(|| line.chose.clone().unwrap_or_else(|| "-".into()));
        line.cells.iter().enumerate().map(cell).chain(chose).chain([line.rate.clone()]).collect()
    }
}

/// Formats a section as text of at most [`WIDTH`] columns. Each line ends with a newline.
pub fn render(section: &Section) -> String {
    let mut table = vec![[vec![format!("{} {}", section.op, section.dtype)], section.heads()].concat()];
    table
        .extend(section.lines.iter().map(|l| [vec![format!("  {}", show_shape(&l.shape))], section.texts(l)].concat()));
    grid(&table)
}

/// Formats several sections of one dtype as one table of nanoseconds. `order` gives the order of columns.
pub fn render_group(title: &str, group: &[Section], order: &[String]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let columns: Vec<&String> = order.iter().filter(|c| group.iter().any(|s| s.columns.contains(c))).collect();
    let auto = columns.iter().any(|c| *c == "auto");
    let chose = auto.then(|| "auto chose".to_string());
    let head = vec![format!("{title} {}, ns", first.dtype)];
    let mut table = vec![head.into_iter().chain(columns.iter().map(|c| c.to_string())).chain(chose).collect()];
    for section in group {
        for line in &section.lines {
            let cell = |name: &&String| {
                let Some(at) = section.columns.iter().position(|c| c == *name) else { return "-".to_string() };
                match line.cells[at] {
                    Cell::Seconds(s) => {
                        format!("{}{}", if line.winner == Some(at) { "*" } else { "" }, nanoseconds(s))
                    }
                    Cell::Word(word) => word.to_string(),
                }
            };
            let chose = auto.then(|| line.chose.clone().unwrap_or_else(|| "-".into()));
            let label = vec![format!("  {} {}", section.op, show_shape(&line.shape))];
            table.push(label.into_iter().chain(columns.iter().map(cell)).chain(chose).collect());
        }
    }
    grid(&table)
}

/// Formats seconds as nanoseconds: with one decimal below 100, else as an integer.
fn nanoseconds(seconds: f64) -> String {
    let ns = seconds * 1e9;
    if ns < 99.95 { format!("{ns:.1}") } else { format!("{ns:.0}") }
}

/// Aligns the cells of a table whose first row is its head. Columns that do not fit into [`WIDTH`] continue below,
/// with the first column repeated.
pub(crate) fn grid(table: &[Vec<String>]) -> String {
    let widths: Vec<usize> =
        (0..table[0].len()).map(|c| table.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    let mut next = 1;
    loop {
        let (first, mut used) = (next, widths[0]);
        while next < widths.len() && (next == first || used + 2 + widths[next] <= WIDTH) {
            used += 2 + widths[next];
            next += 1;
        }
        for row in table {
            let mut line = format!("{:<1$}", row[0], widths[0]);
            (first..next).for_each(|c| line.push_str(&format!("  {:>1$}", row[c], widths[c])));
            out.push_str(line.trim_end());
            out.push('\n');
        }
        if next >= widths.len() {
            return out;
        }
        out.push('\n');
    }
}

/// Breaks text into lines of at most [`WIDTH`] columns; `indent` begins every line but the first.
pub(crate) fn wrapped(text: &str, indent: &str) -> String {
    textwrap::fill(text, textwrap::Options::new(WIDTH).subsequent_indent(indent))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(op: &str, shape: &[usize], device: &str, seconds: f64) -> Row {
        Row {
            op: op.into(),
            dtype: "f32".into(),
            shape: shape.into(),
            device: device.into(),
            threads: 2,
            seconds,
            gbps: 12.0 * shape.iter().product::<usize>() as f64 / seconds / 1e9,
            gflops: 2.0 * shape.iter().product::<usize>() as f64 / seconds / 1e9,
            max_error: 0.0,
            checked: true,
            chose: (device == "auto").then(|| "simd".into()),
        }
    }

    pub(crate) fn columns() -> Vec<String> {
        ["scalar", "simd", "blas", "gpu", "auto", "numpy"].map(String::from).into()
    }

    #[test]
    fn a_table_of_fixed_rows() {
        let mut rows = vec![
            row("add", &[1000000], "scalar", 2.5e-3),
            row("add", &[1000000], "simd", 0.4e-3),
            row("add", &[1000000], "auto", 0.39e-3),
            row("add", &[1000000], "numpy", 0.51e-3),
            row("add", &[1000], "scalar", 1.234e-6),
            row("add", &[1000], "simd", 99.96e-9),
            row("add", &[1000], "auto", 0.2e-6),
        ];
        let marks = vec![Mark {
            op: "add".into(),
            dtype: "f32".into(),
            shape: vec![1000],
            device: "gpu".into(),
            word: "WRONG",
        }];
        let tables = sections(&rows, &marks, &columns());
        assert_eq!(tables.len(), 1);
        let text = "\
add f32     scalar     simd    gpu    auto   numpy  auto chose  best rate
  1000     1.23 us  *100 ns  WRONG  200 ns       -        simd   120 GB/s
  1000000  2.50 ms  *400 us      -  390 us  510 us        simd  30.0 GB/s
";
        assert_eq!(render(&tables[0]), text);
        rows.extend([row("matmul", &[64, 64, 64], "simd", 1e-5), row("matmul", &[64, 64, 64], "numpy", 0.5e-5)]);
        let text = "\
matmul f32     simd     numpy    best rate
  64x64x64  10.0 us  *5.00 us  105 GFLOP/s
";
        assert_eq!(render(&sections(&rows, &[], &columns())[1]), text);
    }

    #[test]
    fn wide_tables_continue_below() {
        let names: Vec<String> = (0..12).map(|i| format!("library{i:02}")).collect();
        let rows: Vec<Row> = names.iter().map(|name| row("add", &[1000], name, 2e-7)).collect();
        let tables = sections(&rows, &[], &names);
        for text in [render(&tables[0]), render_group("small work", &tables, &names)] {
            assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
            assert!(names.iter().all(|name| text.matches(&name[..]).count() >= 1), "{text}");
            assert_eq!(text.split("\n\n").count(), 2, "{text}");
        }
        let group = render_group("small work", &tables, &names);
        assert!(group.starts_with("small work f32, ns") && group.contains("  add 1000") && group.contains("*200"));
        assert!(wrapped(&"word ".repeat(50), "  ").lines().all(|l| l.len() <= WIDTH));
    }

    #[test]
    fn seconds_have_three_figures_and_a_unit() {
        let shown =
            [1.5e-9, 12.34e-9, 999.4e-9, 999.6e-9, 1e-6, 12.3e-6, 0.9994e-3, 0.9996e-3, 0.25, 0.9999, 61.0, 1234.0]
                .map(show_seconds);
        assert_eq!(
            shown,
            [
                "1.50 ns", "12.3 ns", "999 ns", "1.00 us", "1.00 us", "12.3 us", "999 us", "1.00 ms", "250 ms",
                "1.00 s", "61.0 s", "1234 s"
            ]
        );
    }
}
