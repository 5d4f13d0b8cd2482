//! Running means of a million numbers, over windows of 100.

use super::Tour;
use polyarray::prelude::*;

const WINDOW: usize = 100;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(1_000_000).max(2 * WINDOW);
    let steps = random::Generator::new(3).normal::<f64>([n], 0.0, 1.0)?;
    let x = tour.time("a random walk", || steps.cumsum(0))?;

    let naive = tour.time("mean of each window, by a loop of Rust", || {
        let all = x.to_vec()?;
        let means = all.windows(WINDOW).map(|window| window.iter().sum::<f64>() / WINDOW as f64);
        Array::from_vec(means.collect(), [n - WINDOW + 1])
    })?;
    // A view of n times 100 elements, which is never made.
    let viewed = tour.time("mean of each window, by a view of windows", || x.windows_along(WINDOW, 0)?.mean_axis(1))?;
    // One addition and one subtraction for each element, whatever the length of the window is.
    let summed = tour.time("mean of each window, by running sums", || {
        let zero = Array::zeros([1])?;
        let sums = Array::concatenate(&[&zero, &x.cumsum(0)?], 0)?;
        let (from, to) = (sums.slice(s![..(n + 1 - WINDOW)])?, sums.slice(s![WINDOW..])?);
        ((&to - &from) / WINDOW as f64).eval()
    })?;
    let weights = Array::full([WINDOW], 1.0 / WINDOW as f64)?;
    let convolved = tour.time("mean of each window, by a convolution", || x.convolve(&weights, Overlap::Valid))?;
    for means in [&viewed, &summed, &convolved] {
        assert!(means.allclose(&naive, 1e-9, 1e-7)?, "{means}");
    }

    // The largest value so far, and the deepest fall from it.
    let fall = tour.time("deepest fall from the highest value so far", || (x.cummax(0)? - &x).max())?;
    assert!(fall > 0.0);
    let by_steps = x.diff(1, 0)?;
    assert!(by_steps.allclose(steps.slice(s![1..])?, 0.0, 1e-9)?);
    Ok(())
}
