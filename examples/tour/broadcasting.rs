//! Broadcasting: operands of different shapes, without copies of the smaller one.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(200_000);
    let x = random::Generator::new(1).normal::<f64>([n, 20], 5.0, 2.0)?;

    let naive = tour.time("standardised columns, with tiled rows", || {
        let (mean, std) = (x.mean_axis(0)?.expand_dims(0)?, x.std_axis(0, 0)?.expand_dims(0)?);
        let (mean, std) = (mean.tile(&[n, 1])?, std.tile(&[n, 1])?);
        let centred = (&x - &mean).eval()?;
        (&centred / &std).eval()
    })?;
    let columns = tour.time("standardised columns", || ((&x - x.mean_axis(0)?) / x.std_axis(0, 0)?).eval())?;
    assert!(columns == naive && columns.mean_axis(0)?.abs().max()? < 1e-12);
    // Rows need the axis that the reduction removes.
    let rows = tour.time("rows with the sum 1", || (&x / x.sum_axis(axis(1).keepdims())?).eval())?;
    assert!(rows.sum_axis(1)?.allclose(1.0, 1e-12, 0.0)?);

    // A table of all pairs: a column and a row.
    let side = tour.size(4_000_000).isqrt();
    let points = Array::<f64>::linspace(0.0, 1.0, side)?;
    let column = points.slice(s![.., NewAxis])?;
    let table = tour.time("table of the distances of all pairs", || (&column - &points).abs().eval())?;
    assert_eq!((table.shape(), table.get([side - 1, 0])?), (&[side, side][..], 1.0));

    // Distances in 8 dimensions: the table of differences has three axes, and a reduction does not make it.
    let some = tour.size(60_000).isqrt();
    let (a, b) = (x.slice(s![..some, NewAxis, ..8])?, x.slice(s![NewAxis, ..some, ..8])?);
    let naive = tour.time("squared distances, by an array of 3 axes", || {
        let differences = (&a - &b).eval()?;
        differences.square().eval()?.sum_axis(2)
    })?;
    let reduced = tour.time("squared distances, by a reduction", || (&a - &b).square().sum_axis(2))?;
    let points = x.slice(s![..some, ..8])?;
    let by_metric = tour.time("distances, by their metric", || distance::cdist(&points, &points, Metric::Euclidean))?;
    assert!(reduced.allclose(&naive, 1e-12, 0.0)? && by_metric.square().allclose(&naive, 1e-9, 1e-9)?);

    // Shapes that do not match are errors of the evaluation, with the lengths.
    let e = (&x + Array::<f64>::zeros([3])?).eval().unwrap_err();
    assert!(e.to_string().contains("axis 1 is 20 against 3"), "{e}");
    Ok(())
}
