//! A comparison as one self-contained HTML page, with a chart and a table for each case and dtype.

use crate::cases::Case;
use crate::machine::Machine;
use crate::table::{Cell, Section, show_seconds, show_shape};
use std::fmt::Write;

/// Colours that are distinct on white, also for colour-blind readers (the set of M. Okabe and K. Ito, without yellow).
const COLOURS: [&str; 7] = ["#000000", "#0072b2", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#e69f00"];
/// The dashes of lines: solid for the first seven, dashed from then on.
const DASHES: [&str; 3] = ["", "6 3", "2 2"];

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}\
pre{background:#f5f5f5;padding:1em;overflow-x:auto}section{margin:2.5em 0}h2{margin-bottom:.2em}p{margin:.3em 0}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin-top:.6em}\
th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}\
th:first-child,td:first-child{text-align:left}.best{font-weight:bold;background:#e8f3e8}\
svg text{font:12px system-ui,sans-serif;fill:#222}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns the page.
pub fn page(machine: &Machine, sections: &[Section]) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>polyarray: devices compared</title><style>{STYLE}</style></head><body>\n"
    );
    let _ = writeln!(out, "<h1>polyarray: devices compared</h1>\n<pre>{}</pre>", escape(&machine.to_string()));
    out.push_str(
        "<p>The least time of repeated runs after a warm-up; every result was compared with <code>scalar</code>. The \
         fastest is marked; <code>auto</code> is excluded, because it runs one of the other devices.</p>\n",
    );
    for s in sections {
        let doc = Case::named(&s.op).map_or("", |c| c.doc);
        let _ = writeln!(out, "<section><h2>{} {}</h2><p>{}</p>", escape(&s.op), escape(&s.dtype), escape(doc));
        out.push_str(&chart(s));
        out.push_str(&table(s));
        out.push_str("</section>\n");
    }
    out.push_str("</body></html>\n");
    out
}

fn table(section: &Section) -> String {
    let heads: String = section.heads().iter().map(|h| format!("<th>{}</th>", escape(h))).collect();
    let mut out = format!("<table><tr><th>size</th>{heads}</tr>\n");
    for line in &section.lines {
        let cell = |(i, text): (usize, &String)| {
            format!("<td{}>{}</td>", if line.winner == Some(i) { " class=\"best\"" } else { "" }, escape(text))
        };
        let cells: String = section.texts(line).iter().enumerate().map(cell).collect();
        let _ = writeln!(out, "<tr><td>{}</td>{cells}</tr>", show_shape(&line.shape));
    }
    out.push_str("</table>\n");
    out
}

/// A logarithmic scale that spans whole decades. `at` maps values to 0..=1.
struct Decades {
    lo: i32,
    hi: i32,
}

impl Decades {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Decades {
        let lo = values.clone().fold(f64::INFINITY, f64::min).log10().floor() as i32;
        let hi = values.fold(0.0, f64::max).log10().ceil() as i32;
        Decades { lo, hi: hi.max(lo + 1) }
    }

    fn at(&self, value: f64) -> f64 {
        (value.log10() - f64::from(self.lo)) / f64::from(self.hi - self.lo)
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 12.0;
const LEGEND: f64 = 150.0;

/// Draws seconds against size, both logarithmic, with a line for each column. Returns an empty string if there are no
/// times.
fn chart(section: &Section) -> String {
    let size = |shape: &[usize]| shape.iter().map(|&n| n as f64).product::<f64>();
    let points = |column: usize| {
        section
            .lines
            .iter()
            .filter_map(move |l| if let Cell::Seconds(s) = l.cells[column] { Some((size(&l.shape), s)) } else { None })
    };
    let all: Vec<(f64, f64)> = (0..section.columns.len()).flat_map(points).collect();
    if all.is_empty() {
        return String::new();
    }
    let (across, up) = (Decades::around(all.iter().map(|p| p.0)), Decades::around(all.iter().map(|p| p.1)));
    let x = |size: f64| LEFT + across.at(size) * (WIDTH - LEFT - LEGEND);
    let y = |seconds: f64| HEIGHT - BOTTOM - up.at(seconds) * (HEIGHT - BOTTOM - TOP);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"seconds by size\">\n"
    );
    let (x0, x1, y0, y1) = (LEFT, WIDTH - LEGEND, HEIGHT - BOTTOM, TOP);
    for decade in across.lo..=across.hi {
        let at = x(10f64.powi(decade));
        let _ = writeln!(out, "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{y0:.1}\" y2=\"{y1:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">1e{decade}</text>", y0 + 16.0);
    }
    for decade in up.lo..=up.hi {
        let at = y(10f64.powi(decade));
        let _ = writeln!(out, "<line x1=\"{x0:.1}\" x2=\"{x1:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            x0 - 6.0,
            at + 4.0,
            decade_seconds(decade)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">size (product of the lengths)</text>",
        (x0 + x1) / 2.0,
        HEIGHT - 6.0
    );
    for (column, name) in section.columns.iter().enumerate() {
        let colour = COLOURS[column % COLOURS.len()];
        let dash = DASHES[(column / COLOURS.len()).min(DASHES.len() - 1)];
        let stroke = format!("stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"{dash}\"");
        let path: Vec<String> = points(column).map(|(size, s)| format!("{:.1},{:.1}", x(size), y(s))).collect();
        let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" {stroke}/>", path.join(" "));
        for (size, s) in points(column) {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\" fill=\"{colour}\"><title>{} {}</title></circle>",
                x(size),
                y(s),
                escape(name),
                show_seconds(s)
            );
        }
        let row = TOP + 10.0 + 17.0 * column as f64;
        let _ = writeln!(
            out,
            "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{row:.1}\" y2=\"{row:.1}\" {stroke}/>",
            x1 + 12.0,
            x1 + 36.0
        );
        let _ = writeln!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", x1 + 42.0, row + 4.0, escape(name));
    }
    out.push_str("</svg>\n");
    out
}

/// Formats `10^decade` seconds, for example `100 us` for -4.
fn decade_seconds(decade: i32) -> String {
    let (unit, base) = [("s", 0), ("ms", -3), ("us", -6), ("ns", -9)]
        .into_iter()
        .find(|&(_, base)| decade >= base)
        .unwrap_or(("ns", -9));
    format!("{} {unit}", 10f64.powi(decade - base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::sections;
    use crate::table::tests::{columns, row};

    #[test]
    fn a_page_stands_alone_and_draws_every_column() {
        let mut rows = vec![
            row("add", &[1000], "simd", 1e-7),
            row("add", &[100_000], "simd", 1e-5),
            row("add", &[1000], "<i>", 3e-6),
        ];
        rows[0].op = "add".into();
        let names: Vec<String> = columns().into_iter().chain(["<i>".to_string()]).collect();
        let page = page(&crate::machine::tests::sample(), &sections(&rows, &[], &names));
        assert!(!page.contains("<i>") && page.contains("&lt;i&gt;"));
        for outside in ["http:", "https:", "src=", "href=", "<script", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<polyline").count(), 2);
        assert_eq!(page.matches("<circle").count(), 3);
        assert_eq!(page.matches("class=\"best\"").count(), 2);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn decades_hold_their_values() {
        let d = Decades::around([1000.0, 1000.0].into_iter());
        assert_eq!((d.lo, d.hi, d.at(1000.0)), (3, 4, 0.0));
        let d = Decades::around([2e-7, 3e-3].into_iter());
        assert_eq!((d.lo, d.hi), (-7, -2));
        assert_eq!([-10, -9, -7, -4, 0, 2].map(decade_seconds), ["0.1 ns", "1 ns", "100 ns", "100 us", "1 s", "100 s"]);
    }
}
