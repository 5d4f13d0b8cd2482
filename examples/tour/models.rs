//! A linear regression, by the method of conjugate gradients, and principal components, by power iteration.

use super::Tour;
use polyarray::prelude::*;

/// Solves `a x = b` for a symmetric, positive definite matrix.
fn solve(a: &Array<f64>, b: &Array<f64>) -> Result<Array<f64>> {
    let mut x = b.zeros_like()?;
    let (mut rest, mut direction) = (b.clone(), b.clone());
    let mut size = rest.dot(&rest)?.item()?;
    for _ in 0..4 * b.len() {
        let image = a.matmul(&direction)?;
        let step = size / direction.dot(&image)?.item()?;
        x += &direction * step;
        rest -= &image * step;
        let next = rest.dot(&rest)?.item()?;
        if next <= 1e-24 * b.dot(b)?.item()? {
            break;
        }
        direction = (&rest + &direction * (next / size)).eval()?;
        size = next;
    }
    Ok(x)
}

/// Returns the largest eigenvalue of a symmetric matrix, and its vector.
fn principal(a: &Array<f64>, steps: usize) -> Result<(f64, Array<f64>)> {
    let mut v = Array::<f64>::ones([a.shape()[0]])?;
    for _ in 0..steps {
        let image = a.matmul(&v)?;
        v = (&image / image.norm()?).eval()?;
    }
    Ok((v.dot(&a.matmul(&v)?)?.item()?, v))
}

fn regression(tour: &mut Tour, rng: &mut random::Generator) -> Result<()> {
    let (n, d) = (tour.size(200_000), 8);
    let x = rng.normal::<f64>([n, d], 0.0, 1.0)?;
    let weights = Array::<f64>::linspace(-2.0, 2.0, d)?;
    let y = (x.matmul(&weights)? + rng.normal::<f64>([n], 0.0, 0.5)?).eval()?;

    // Each step of a gradient descent passes over all rows.
    let descended = tour.time("weights, by 50 steps of gradient descent", || {
        let mut w = Array::<f64>::zeros([d])?;
        for _ in 0..50 {
            let error = (x.matmul(&w)? - &y).eval()?;
            w -= x.t().matmul(&error)? * (0.5 / n as f64);
        }
        Ok(w)
    })?;
    // The normal equations are as small as the weights.
    let fitted = tour.time("weights, by the normal equations", || solve(&x.t().matmul(&x)?, &x.t().matmul(&y)?))?;
    assert!(fitted.allclose(&descended, 1e-3, 1e-3)? && fitted.allclose(&weights, 0.0, 4.0 / (n as f64).sqrt())?);

    let fit = tour.time("share of the variance that is explained", || {
        Ok(1.0 - (&y - x.matmul(&fitted)?).square().mean()? / y.var(0)?)
    })?;
    assert!(fit > 0.9 && fit < 1.0);
    Ok(())
}

fn components(tour: &mut Tour, rng: &mut random::Generator) -> Result<()> {
    let (n, d) = (tour.size(100_000), 20);
    // Two directions with much variance, and noise in all.
    let factors = rng.normal::<f64>([n, 2], 0.0, 1.0)?;
    let angles = Array::<f64>::linspace(0.0, 6.0, d)?;
    let loads = Array::stack(&[&(angles.cos() * 3.0).eval()?, &angles.sin().eval()?], 0)?;
    let x = (factors.matmul(&loads)? + rng.normal::<f64>([n, d], 0.0, 0.1)? + 7.0).eval()?;

    let centred = (&x - x.mean_axis(0)?).eval()?;
    let naive =
        tour.time("covariances of columns, by products", || (centred.t().matmul(&centred)? / (n - 1) as f64).eval())?;
    let covariances = tour.time("covariances of columns", || x.t().cov(1))?;
    assert!(covariances.allclose(&naive, 1e-9, 1e-9)?);

    let (values, axes) = tour.time("two principal components", || {
        let (first, v) = principal(&covariances, 60)?;
        // Without the first component, the second one is the largest.
        let rest = (&covariances - v.outer(&v)? * first).eval()?;
        let (second, w) = principal(&rest, 60)?;
        Ok(([first, second], Array::stack(&[&v, &w], 0)?))
    })?;
    let image = axes.matmul(&covariances)?;
    let scaled = (&axes * Array::from(values).expand_dims(1)?).eval()?;
    assert!(image.allclose(&scaled, 1e-6, 1e-6)? && values[0] > values[1]);
    let explained = (values[0] + values[1]) / covariances.trace()?;
    assert!(explained > 0.95, "{explained}");

    let reduced = tour.time("rows in two dimensions", || centred.matmul(&axes.t()))?;
    assert!((reduced.var_axis(0, 1)? / Array::from(values) - 1.0).abs().max()? < 1e-6);
    // Distances survive the projection: the rest is noise.
    let back = reduced.matmul(&axes)?;
    assert!((&centred - &back).square().mean()?.sqrt() < 0.11);
    Ok(())
}

pub fn run(tour: &mut Tour) -> Result<()> {
    let mut rng = random::Generator::new(9);
    regression(tour, &mut rng)?;
    components(tour, &mut rng)
}
