//! Strides: an array is a buffer, and a shape and strides by which it is walked.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(4_000_000).isqrt();
    let a = Array::<f64>::arange(0.0, (n * n) as f64, 1.0)?.reshape([n, n])?;
    let total = (n * n * (n * n - 1) / 2) as f64;

    let naive = tour.time("sum, element by element", || {
        let mut sum = 0.0;
        for i in 0..n {
            for j in 0..n {
                sum += a.get([i, j])?;
            }
        }
        Ok(sum)
    })?;
    let sum = tour.time("sum", || a.sum())?;
    assert_eq!((naive, sum), (total, total));

    // Both read the buffer in its order, whatever the axis is.
    let columns = tour.time("sum of each column", || a.sum_axis(0))?;
    let rows = tour.time("sum of each row", || a.sum_axis(1))?;
    assert_eq!((columns.sum()?, rows.sum()?), (total, total));

    // A transpose has the strides in the other order, and moves no element.
    assert_eq!((a.strides(), a.t().strides()), (&[n as isize, 1][..], &[1, n as isize][..]));
    let view = tour.time("transpose as a view", || Ok(a.t()))?;
    let copy = tour.time("transpose as a copy", || a.t().to_contiguous())?;
    assert!(view.shares_memory(&a) && !copy.shares_memory(&a));
    assert_eq!((copy.get([1, 0])?, view.get([1, 0])?), (1.0, 1.0));

    // A diagonal has the sum of both strides, a reversed axis a negative one.
    let trace = tour.time("sum of the diagonal", || a.diagonal(0, 1)?.sum())?;
    assert_eq!(trace, (n * (n - 1) / 2 * (n + 1)) as f64);
    assert_eq!(a.slice(s![..;-1, ..])?.get([0, 0])?, (n * (n - 1)) as f64);

    // The windows of 3 by 3 elements overlap in the buffer: a view of nine times as many elements.
    let windows = a.windows([3, 3])?;
    assert_eq!(windows.shape(), [n - 2, n - 2, 3, 3]);
    let blurred = tour.time("mean of each window of 3 by 3", || windows.mean_axis([2, 3]))?;
    assert!(blurred.allclose(a.slice(s![1..-1, 1..-1])?, 1e-12, 0.0)?);
    Ok(())
}
