//! `programs`: short computations as users write them, of several operations each, compared with `scalar` and with the
//! same computation in another library.
//!
//! To add a program, add a row to [`PROGRAMS`], and its NumPy form to `peers/numpy_programs.py`.

use crate::compare::Stop;
use crate::measure::fastest;
use crate::problem::Random;
use polyarray::prelude::*;
use polyarray::{distance, with_threads};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::Duration;

/// Computes a program on inputs that were made before.
type Run = Box<dyn Fn() -> Result<Outcome>>;

/// A computation.
pub struct Program {
    /// Its name, also in the output of `numpy_programs.py`.
    pub name: &'static str,
    /// The description, with shapes and dtypes.
    pub doc: &'static str,
    /// Makes the inputs, and returns the function that computes the program on them.
    prepare: fn() -> Result<Run>,
    /// The largest difference from the result of `scalar`, relative to the largest element.
    tolerance: f64,
}

/// A result, of one of the dtypes that programs have.
enum Outcome {
    F32(Array<f32>),
    F64(Array<f64>),
    U32(Array<u32>),
}

impl Outcome {
    fn values(&self) -> Result<Vec<f64>> {
        match self {
            Outcome::F32(x) => x.cast::<f64>().eval()?.to_vec(),
            Outcome::F64(x) => x.to_vec(),
            Outcome::U32(x) => x.cast::<f64>().eval()?.to_vec(),
        }
    }
}

/// Every program.
pub const PROGRAMS: &[Program] = &[
    Program { name: "tanh", doc: "tanh of [100000] f32", prepare: tanh, tolerance: 1e-6 },
    Program { name: "transpose", doc: "[5000, 5000] f64 transposed into C order", prepare: transpose, tolerance: 0.0 },
    Program {
        name: "rgb_image",
        doc: "a u8 image [1080, 1920, 3] as f32, / 255, minus the means of channels",
        prepare: rgb_image,
        tolerance: 1e-6,
    },
    Program {
        name: "softmax",
        doc: "softmax over the last axis of [100000, 10] f32",
        prepare: softmax,
        tolerance: 1e-6,
    },
    Program {
        name: "standardize",
        doc: "columns of [100000, 20] f64, minus mean, / standard deviation",
        prepare: standardize,
        tolerance: 1e-12,
    },
    Program { name: "wide_u8", doc: "product of [1000, 1000] u8 in u32", prepare: wide_u8, tolerance: 0.0 },
    Program {
        name: "kmeans_step",
        doc: "nearest of 10 centres for [1797, 64] f64, and their new centres",
        prepare: kmeans_step,
        tolerance: 1e-12,
    },
];

fn uniform(lens: &[usize], low: f64, high: f64) -> Result<Array<f64>> {
    let mut random = Random::new(1);
    Array::from_fn(lens, |_| random.uniform((low, high)))
}

fn bytes(lens: &[usize]) -> Result<Array<u8>> {
    uniform(lens, 0.0, 256.0)?.cast::<u8>().eval()
}

fn tanh() -> Result<Run> {
    let x = uniform(&[100_000], -4.0, 4.0)?.cast::<f32>().eval()?;
    Ok(Box::new(move || Ok(Outcome::F32(x.tanh().eval()?))))
}

fn transpose() -> Result<Run> {
    let x = uniform(&[5000, 5000], -1.0, 1.0)?;
    Ok(Box::new(move || Ok(Outcome::F64(x.t().to_contiguous()?))))
}

fn rgb_image() -> Result<Run> {
    let image = bytes(&[1080, 1920, 3])?;
    let means = Array::from_vec(vec![0.485f32, 0.456, 0.406], [3])?;
    Ok(Box::new(move || Ok(Outcome::F32((image.cast::<f32>() / 255.0 - &means).eval()?))))
}

fn softmax() -> Result<Run> {
    let x = uniform(&[100_000, 10], -5.0, 5.0)?.cast::<f32>().eval()?;
    Ok(Box::new(move || {
        let shifted = (&x - &x.max_axis(axis(-1).keepdims())?).exp().eval()?;
        Ok(Outcome::F32((&shifted / &shifted.sum_axis(axis(-1).keepdims())?).eval()?))
    }))
}

fn standardize() -> Result<Run> {
    let x = uniform(&[100_000, 20], -5.0, 5.0)?;
    Ok(Box::new(move || Ok(Outcome::F64(((&x - &x.mean_axis(0)?) / &x.std_axis(0, 0)?).eval()?))))
}

fn wide_u8() -> Result<Run> {
    let (a, b) = (bytes(&[1000, 1000])?, bytes(&[1000, 1000])?);
    Ok(Box::new(move || Ok(Outcome::U32(Matmul::wide(&a, &b).run()?))))
}

fn kmeans_step() -> Result<Run> {
    let (count, centres) = (1797, 10);
    let x = uniform(&[count, 64], 0.0, 16.0)?;
    let start = x.slice(s![..centres, ..])?.to_contiguous()?;
    let label = Array::<i64>::arange(0, centres as i64, 1)?;
    Ok(Box::new(move || {
        let nearest = distance::cdist(&x, &start, Metric::SquaredEuclidean)?.argmin_axis(1)?;
        let chosen = nearest.equal(&label.slice(s![.., NewAxis])?).cast::<f64>().eval()?;
        Ok(Outcome::F64((&chosen.matmul(&x)? / &chosen.sum_axis(axis(1).keepdims())?).eval()?))
    }))
}

/// A measurement. The names of the fields are part of the interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the program.
    pub program: String,
    /// The device or library.
    pub device: String,
    /// The number of threads.
    pub threads: usize,
    /// The least seconds of repeated runs.
    pub seconds: f64,
}

/// Reads rows that this program or another one wrote.
///
/// # Errors
/// The number of the first line that is not a row, with the reason.
pub fn read(text: &str) -> std::result::Result<Vec<Row>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let row = |(number, line)| match serde_json::from_str::<Row>(line) {
        Ok(row) if row.seconds.is_finite() && row.seconds > 0.0 => Ok(row),
        Ok(_) => Err(format!("line {}: `seconds` is not positive", number + 1)),
        Err(e) => Err(format!("line {}: {e}", number + 1)),
    };
    lines.map(row).collect()
}

/// Measures every program on `auto` with one thread and with `threads`, verifies the results, and writes a table with
/// the times of `with` beside ours. Returns our rows.
///
/// # Errors
/// [`Stop::Asked`] if a result differs from that of `scalar`; [`Stop::Output`].
pub fn run(threads: usize, budget: Duration, with: &[Row], out: &mut dyn Write) -> std::result::Result<Vec<Row>, Stop> {
    let mut rows = Vec::new();
    writeln!(out, "{:<14} {:>7} {:>11} {:>11} {:>7}", "program", "threads", "ours, us", "other, us", "ratio")?;
    let counts = if threads > 1 { vec![1, threads] } else { vec![1] };
    for program in PROGRAMS {
        let failed = |e: Error| Stop::Asked(format!("{}: {e}", program.name));
        let ready = (program.prepare)().map_err(failed)?;
        verify(program, &*ready).map_err(failed)?.map_err(Stop::Asked)?;
        for &threads in &counts {
            let seconds = with_threads(threads, || fastest(budget, || ready().map(drop))).map_err(failed)?;
            let other = with.iter().find(|row| row.program == program.name && row.threads == threads);
            let (name, ours) = (program.name, seconds * 1e6);
            write!(out, "{name:<14} {threads:>7} {ours:>11.1}")?;
            match other {
                Some(row) => writeln!(out, " {:>11.1} {:>7.2}", row.seconds * 1e6, row.seconds / seconds)?,
                None => writeln!(out)?,
            }
            rows.push(Row { program: name.into(), device: "auto".into(), threads, seconds });
        }
    }
    Ok(rows)
}

/// Compares the result with that of `scalar`.
fn verify(program: &Program, ready: &dyn Fn() -> Result<Outcome>) -> Result<std::result::Result<(), String>> {
    let (ours, wanted) = (ready()?.values()?, with_device(&Device::scalar(), ready)?.values()?);
    let largest = wanted.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= program.tolerance * largest;
    Ok(match ours.len() == wanted.len() && ours.iter().zip(&wanted).all(close) {
        true => Ok(()),
        false => Err(format!("{}: the result differs from that of scalar", program.name)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_round_trip_and_bad_lines_are_named() {
        let row = Row { program: "tanh".into(), device: "numpy".into(), threads: 1, seconds: 1e-6 };
        assert_eq!(read(&serde_json::to_string(&row).unwrap()).unwrap(), std::slice::from_ref(&row));
        assert!(read("\n{}").unwrap_err().starts_with("line 2: "));
        let never = serde_json::to_string(&Row { seconds: 0.0, ..row }).unwrap();
        assert!(read(&never).unwrap_err().contains("not positive"));
    }

    #[test]
    fn a_wrong_result_is_detected() {
        let program = &PROGRAMS[0];
        let calls = std::cell::Cell::new(0.0f32);
        let drifting = || {
            calls.set(calls.get() + 1.0);
            Ok(Outcome::F32(Array::full([2], calls.get())?))
        };
        assert!(verify(program, &drifting).unwrap().unwrap_err().contains("tanh"));
    }
}
