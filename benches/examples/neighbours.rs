//! Measures searches for nearest neighbours, of normally distributed points, on all threads (or `POLYARRAY_THREADS`).
//! `benches/peers/neighbours.py` measures the same searches in other libraries.

use polyarray::prelude::*;
use std::time::Instant;

fn points(n: usize, d: usize, seed: u64) -> Result<Array<f64>> {
    random::Generator::new(seed).normal([n, d], 0.0, 1.0)
}

fn least(name: &str, runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    run()?;
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{name}: {:.2} ms", best * 1e3);
    Ok(())
}

fn main() -> Result<()> {
    for (n, m, d, k) in [(2000, 20_000, 128, 10), (100, 1_000_000, 96, 10), (1797, 10, 64, 1), (1_000_000, 8, 16, 1)] {
        let (x, y) = (points(n, d, 1)?, points(m, d, 2)?);
        let (short_x, short_y) = (x.cast::<f32>().eval()?, y.cast::<f32>().eval()?);
        let name = |dtype: &str| format!("{k} nearest, {n} x {m} x {d} {dtype}");
        let metric = Metric::Euclidean;
        least(&name("f32"), 7, || distance::nearest(&short_x, &short_y, k, metric).map(drop))?;
        least(&name("f64"), 5, || distance::nearest(&x, &y, k, metric).map(drop))?;
    }
    Ok(())
}
