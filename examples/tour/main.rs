//! A tour of polyarray: the programs of NumPy's tutorials, a file for each theme. Each program is printed with its time
//! and the memory that it took, beside its naive form, and every answer is asserted.
//!
//! `cargo run --release --example tour` runs all themes, `.. --example tour -- masks sales` those two, and
//! `--json FILE` also writes the figures to a file. `benches/peers/numpy_tour.py` has the same programs in NumPy.

mod broadcasting;
mod chunks;
mod clusters;
mod customers;
mod dtypes;
mod masks;
mod measure;
mod models;
mod outputs;
mod polynomial;
pub mod readme;
mod running;
mod sales;
mod statistics;
mod strides;
mod views;

pub use measure::Tour;

use polyarray::prelude::*;

/// A file of programs: what it is about, and the function that runs them.
type Theme = (&'static str, &'static str, fn(&mut Tour) -> Result<()>);

/// Every theme, in the order of a course.
pub const THEMES: [Theme; 15] = [
    ("strides", "an array is a buffer and a way to walk it", strides::run),
    ("views", "views, copies and writes", views::run),
    ("outputs", "fresh results, given outputs, and work in place", outputs::run),
    ("dtypes", "dtypes and memory", dtypes::run),
    ("broadcasting", "operands of different shapes", broadcasting::run),
    ("masks", "choices and masks", masks::run),
    ("running", "running means", running::run),
    ("polynomial", "a polynomial of 10 million numbers", polynomial::run),
    ("customers", "scores and segments of a million customers", customers::run),
    ("sales", "a cube of sales, by every axis", sales::run),
    ("chunks", "10 million numbers from a file, in chunks", chunks::run),
    ("statistics", "moments, quantiles, histograms and correlations", statistics::run),
    ("models", "a regression, and principal components", models::run),
    ("clusters", "k-means, and the forward pass of a network", clusters::run),
    ("readme", "every line of the README's table", readme::run),
];

#[allow(dead_code, reason = "the tests include this file for the themes")]
fn main() -> Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let json = args.iter().position(|arg| arg == "--json").map(|at| {
        let words: Vec<String> = args.drain(at..args.len().min(at + 2)).collect();
        words.get(1).expect("--json needs the name of a file").clone()
    });
    if let Some(unknown) = args.iter().find(|arg| THEMES.iter().all(|(name, ..)| name != *arg)) {
        let names = THEMES.map(|(name, ..)| name).join(" ");
        panic!("there is no theme {unknown:?}; the themes are {names}");
    }
    let mut tour = Tour::new(1);
    for &(name, about, run) in THEMES.iter().filter(|(name, ..)| args.is_empty() || args.iter().any(|arg| arg == name))
    {
        println!("\n{name}: {about}");
        tour.begin(name);
        run(&mut tour)?;
    }
    if let Some(file) = json {
        std::fs::write(&file, tour.json()).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
    Ok(())
}
