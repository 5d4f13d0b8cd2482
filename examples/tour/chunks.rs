//! Ten million numbers from a file: the mean and the deviation, with all of them in memory, and in chunks.

use super::Tour;
use polyarray::prelude::*;
use std::path::Path;

/// The number of elements, their mean, and the sum of the squares of their deviations from it.
#[derive(Clone, Copy)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(x: &Array<f64>) -> Result<Moments> {
        let n = x.len() as f64;
        Ok(Moments { n, mean: x.mean()?, squares: x.var(0)? * n })
    }

    /// Joins the moments of two sets (T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for
    /// computing sample variances", 1979).
    fn join(self, other: Moments) -> Moments {
        let (n, apart) = (self.n + other.n, other.mean - self.mean);
        Moments {
            n,
            mean: self.mean + apart * other.n / n,
            squares: self.squares + other.squares + apart * apart * self.n * other.n / n,
        }
    }

    fn deviation(self) -> f64 {
        (self.squares / self.n).sqrt()
    }
}

/// Runs the programs on the file.
fn measured(tour: &mut Tour, path: &Path, n: usize) -> Result<()> {
    let chunk = n.div_ceil(10);
    let chunks = || (0..n).step_by(chunk).map(|start| start..n.min(start + chunk));

    let whole = tour.time("the whole file at once", || Moments::of(&io::read_npy(path)?))?;
    let parts = tour.time("ten chunks, one after the other", || {
        chunks().try_fold(Moments { n: 0.0, mean: 0.0, squares: 0.0 }, |sum, rows| -> Result<Moments> {
            Ok(sum.join(Moments::of(&io::read_npy_rows(path, rows)?)?))
        })
    })?;
    assert!((whole.mean - parts.mean).abs() < 1e-12 && (whole.deviation() / parts.deviation() - 1.0).abs() < 1e-12);
    assert!((whole.mean - 10.0).abs() < 0.2 && (whole.deviation() - 2.0).abs() < 0.2);

    // A histogram of all chunks is the sum of theirs.
    let all = tour
        .time("histogram of the whole file", || Ok(io::read_npy::<f64>(path)?.histogram(20, Some((0.0, 20.0)))?.0))?;
    let summed = tour.time("histogram in chunks", || {
        chunks().try_fold(Array::<i64>::zeros([20])?, |sum, rows| {
            (sum + io::read_npy_rows::<f64>(path, rows)?.histogram(20, Some((0.0, 20.0)))?.0).eval()
        })
    })?;
    assert!(all == summed);

    // Elements are changed in chunks, too: each is written where it was read.
    let mut kept = Array::<f32>::zeros([n])?;
    tour.time("converted to f32 in chunks", || {
        for rows in chunks() {
            let target = s![rows.clone()];
            kept.slice_mut(target)?.assign((io::read_npy_rows::<f64>(path, rows)?.into_expr() - 10.0).cast::<f32>())?;
        }
        Ok(())
    })?;
    assert!((f64::from(kept.mean()?) - (whole.mean - 10.0)).abs() < 1e-4);
    Ok(())
}

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(10_000_000);
    let path = std::env::temp_dir().join(format!("polyarray-tour-chunks-{}.npy", std::process::id()));
    io::write_npy(&path, &random::Generator::new(6).normal::<f64>([n], 10.0, 2.0)?)?;
    let result = measured(tour, &path, n);
    std::fs::remove_file(&path).expect("the file was written");
    result
}
