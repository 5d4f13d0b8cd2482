//! k-means, and the forward pass of a network with one hidden layer.

use super::Tour;
use polyarray::prelude::*;

const CLUSTERS: usize = 5;

/// Moves the centres to the means of the points that are nearest to them.
fn moved(points: &Array<f64>, labels: &Array<i64>, centres: &Array<f64>) -> Result<Array<f64>> {
    let mut sums = centres.zeros_like()?;
    sums.scatter_add(labels, points, 0)?;
    let counts = labels.bincount(CLUSTERS)?.cast::<f64>().maximum(1.0);
    (sums / counts.eval()?.expand_dims(1)?).eval()
}

fn k_means(tour: &mut Tour, rng: &mut random::Generator) -> Result<()> {
    let (n, d) = (tour.size(100_000), 8);
    // Point i lies around centre i mod 5.
    let truth = (Array::<i64>::arange(0, n as i64, 1)? % CLUSTERS as i64).eval()?;
    let around = rng.uniform::<f64>([CLUSTERS, d], -50.0, 50.0)?;
    let points = (around.take(&truth, 0)? + rng.normal::<f64>([n, d], 0.0, 1.0)?).eval()?;
    let start = points.slice(s![..CLUSTERS])?.to_contiguous()?;

    let naive = tour.time("nearest centres, by an array of 3 axes", || {
        let differences = (points.expand_dims(1)? - start.expand_dims(0)?).eval()?;
        differences.square().eval()?.sum_axis(2)?.argmin_axis(1)
    })?;
    let nearest = |centres: &Array<f64>| distance::cdist(&points, centres, Metric::Euclidean)?.argmin_axis(1);
    let labels = tour.time("nearest centres, by distances", || nearest(&start))?;
    assert!(labels == naive);

    let naive = tour.time("new centres, by masks", || {
        let of = |k: i64| points.compress(&labels.equal(k).eval()?, 0)?.mean_axis(0);
        let centres = (0..CLUSTERS as i64).map(of).collect::<Result<Vec<_>>>()?;
        Array::stack(&centres.iter().collect::<Vec<_>>(), 0)
    })?;
    let centres = tour.time("new centres, by one scatter", || moved(&points, &labels, &start))?;
    assert!(centres.allclose(&naive, 1e-9, 1e-9)?);

    let (centres, labels) = tour.time("ten rounds of k-means", || {
        let mut centres = start.clone();
        for _ in 0..10 {
            centres = moved(&points, &nearest(&centres)?, &centres)?;
        }
        let labels = nearest(&centres)?;
        Ok((centres, labels))
    })?;
    assert!(labels == truth, "the clusters are far apart");
    assert!((&centres - &around).abs().max()? < 10.0 / ((n / CLUSTERS) as f64).sqrt());
    Ok(())
}

fn network(tour: &mut Tour, rng: &mut random::Generator) -> Result<()> {
    let n = tour.size(20_000);
    let images = rng.uniform::<f32>([n, 784], 0.0, 1.0)?;
    let (w1, b1) = (rng.normal::<f32>([784, 128], 0.0, 0.05)?, rng.normal::<f32>([128], 0.0, 0.1)?);
    let (w2, b2) = (rng.normal::<f32>([128, 10], 0.0, 0.1)?, rng.normal::<f32>([10], 0.0, 0.1)?);

    let naive = tour.time("forward pass, a result of each step", || {
        let product = images.matmul(&w1)?;
        let sum = (&product + &b1).eval()?;
        let hidden = sum.maximum(0.0).eval()?;
        let product = hidden.matmul(&w2)?;
        let logits = (&product + &b2).eval()?;
        let shifted = (&logits - logits.max_axis(axis(1).keepdims())?).eval()?;
        let powers = shifted.exp().eval()?;
        (&powers / powers.sum_axis(axis(1).keepdims())?).eval()
    })?;
    // Bias and activation are computed as the product is written.
    let shares = tour.time("forward pass, with epilogues", || {
        let hidden = Matmul::new(&images, &w1).bias(&b1).map(|x| x.maximum(0.0)).run()?;
        Matmul::new(&hidden, &w2).bias(&b2).run()?.softmax(1)
    })?;
    assert!(shares.allclose(&naive, 1e-3, 1e-5)? && shares.sum_axis(1)?.allclose(1.0, 1e-5, 0.0)?);

    let classes = tour.time("classes", || shares.argmax_axis(1))?;
    assert!(classes.min()? >= 0 && classes.max()? < 10);
    // The mean negative logarithm of the share of the right class, if the answers are right.
    let loss = tour.time("cross-entropy", || {
        let right = shares.take_along_axis(&classes.expand_dims(1)?, 1)?;
        right.log().mean().map(|x| -x)
    })?;
    assert!(loss > 0.0 && loss < 10f32.ln());
    Ok(())
}

pub fn run(tour: &mut Tour) -> Result<()> {
    let mut rng = random::Generator::new(10);
    k_means(tour, &mut rng)?;
    network(tour, &mut rng)
}
