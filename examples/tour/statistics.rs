//! Moments, quantiles, histograms and correlations of a million numbers.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(1_000_000);
    let mut rng = random::Generator::new(8);
    let x = rng.normal::<f64>([n], 100.0, 15.0)?;
    // Five deviations of a mean.
    let near = 5.0 / (n as f64).sqrt();

    let naive = tour.time("mean and deviation, by a loop of Rust", || {
        let (mut sum, mut squares) = (0.0, 0.0);
        for x in x.iter()? {
            sum += x;
            squares += x * x;
        }
        let mean = sum / n as f64;
        Ok((mean, (squares / n as f64 - mean * mean).sqrt()))
    })?;
    let (mean, deviation) = tour.time("mean and deviation", || Ok((x.mean()?, x.std(0)?)))?;
    assert!((mean - naive.0).abs() < 1e-9 && (deviation - naive.1).abs() < 1e-6);
    assert!((mean - 100.0).abs() < 15.0 * near && (deviation - 15.0).abs() < 15.0 * near);

    // The third and fourth moments are means of an expression.
    let (skew, kurtosis) = tour.time("skewness and kurtosis", || {
        let z = (&x - mean) / deviation;
        Ok((z.clone().pow(3.0).mean()?, z.square().square().mean()?))
    })?;
    assert!(skew.abs() < 4.0 * near && (kurtosis - 3.0).abs() < 12.0 * near);

    let naive = tour.time("quartiles, of a sorted copy", || {
        let sorted = x.sort(0)?;
        let at = |q: f64| -> Result<f64> {
            let position = q * (n - 1) as f64;
            let (low, high) = (sorted.get([position as usize])?, sorted.get([(position as usize + 1).min(n - 1)])?);
            Ok(low + (high - low) * position.fract())
        };
        Ok(Array::from([0.25, 0.5, 0.75].map(at).into_iter().collect::<Result<Vec<f64>>>()?))
    })?;
    let quartiles = tour.time("quartiles", || x.quantiles(&[0.25, 0.5, 0.75]))?;
    assert!(quartiles.allclose(&naive, 1e-12, 0.0)?);
    let median = tour.time("median", || x.median())?;
    assert!((median - quartiles.get([1])?).abs() < 1e-12);

    let (counts, edges) = tour.time("histogram of 50 bins", || x.histogram(50, None))?;
    assert!(counts.sum()? == n as i64 && edges.len() == 51 && edges.get([0])? == x.min()?);
    let codes = tour.time("bin of each element", || x.digitize(&edges, Side::Left))?;
    assert_eq!(codes.len(), n);

    // Missing numbers are NaN, and the functions with `nan` skip them.
    let gaps = select(x.greater(130.0), f64::NAN, &x).eval()?;
    let without = tour.time("mean without the missing numbers", || gaps.nanmean())?;
    assert!(gaps.mean()?.is_nan() && without < mean);

    // Four variables, of which two depend on another one.
    let noise = rng.normal::<f64>([3, n], 0.0, 1.0)?;
    let z = ((&x - mean) / deviation).eval()?;
    let one = (&z + noise.slice(s![0])?).eval()?;
    let other = (noise.slice(s![1])? - &z).eval()?;
    let variables = Array::stack(&[&z, &one, &other, &noise.slice(s![2])?], 0)?;
    let correlations = tour.time("correlations of four variables", || variables.corrcoef())?;
    let expected = [[1.0, 0.5f64.sqrt()], [0.5f64.sqrt(), 1.0]];
    assert!(correlations.slice(s![..2, ..2])?.allclose(Array::from(expected), 0.0, 2.0 * near)?);
    assert!(correlations.get([0, 3])?.abs() < near && correlations.get([1, 2])? < 0.0);
    let covariances = tour.time("covariances of four variables", || variables.cov(1))?;
    assert!((covariances.get([1, 1])? - 2.0).abs() < 4.0 * near);
    Ok(())
}
