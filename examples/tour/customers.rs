//! A million customers: a score of three columns, segments by its quantiles, and figures of each segment.

use super::Tour;
use polyarray::prelude::*;

/// The customers, a column each.
struct Customers {
    age: Array<u8>,
    visits: Array<i64>,
    spent: Array<f64>,
}

fn customers(n: usize) -> Result<Customers> {
    let mut rng = random::Generator::new(4);
    Ok(Customers {
        age: rng.integers([n], 18..=90)?,
        visits: rng.poisson([n], 6.0)?,
        spent: rng.exponential([n], 120.0)?,
    })
}

/// `(x - mean) / deviation`, as an expression.
fn standard(x: Expr<f64>) -> Result<Expr<f64>> {
    let (mean, deviation) = (x.mean()?, x.std(0)?);
    Ok((x - mean) / deviation)
}

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(1_000_000);
    let Customers { age, visits, spent } = customers(n)?;

    let naive = tour.time("score, a result of each step", || {
        let each = |x: Expr<f64>| -> Result<Array<f64>> {
            let x = x.eval()?;
            let centred = (&x - x.mean()?).eval()?;
            (&centred / x.std(0)?).eval()
        };
        let (spent, visits) = (each(spent.log1p())?, each(visits.cast())?);
        let near_forty = each((age.cast::<f64>() - 40.0).abs())?;
        let (part, rest) = ((&spent * 0.5).eval()?, (&visits * 0.3).eval()?);
        let both = (&part + &rest).eval()?;
        (&both - (&near_forty * 0.2).eval()?).eval()
    })?;
    let score = tour.time("score, in one pass", || {
        let near_forty = standard((age.cast::<f64>() - 40.0).abs())?;
        (standard(spent.log1p())? * 0.5 + standard(visits.cast())? * 0.3 - near_forty * 0.2).eval()
    })?;
    assert!(score.allclose(&naive, 1e-12, 1e-12)? && score.mean()?.abs() < 1e-12);

    // Fifths by the quantiles of the score.
    let bounds = tour.time("bounds of the fifths", || score.quantiles(&[0.2, 0.4, 0.6, 0.8]))?;
    let segment = tour.time("segment of each customer", || bounds.searchsorted(&score, Side::Right))?;
    let sizes = tour.time("sizes of the segments", || segment.bincount(5))?;
    assert!(sizes.sum()? == n as i64 && (&sizes - n as i64 / 5).abs().max()? <= 1);

    let naive = tour.time("spending of each segment, by masks", || {
        let of = |k: i64| spent.mask(&segment.equal(k).eval()?)?.mean();
        Ok(Array::from((0..5).map(of).collect::<Result<Vec<f64>>>()?))
    })?;
    let means = tour.time("spending of each segment, by one count", || {
        (segment.bincount_weighted(&spent, 5)? / sizes.cast::<f64>()).eval()
    })?;
    assert!(means.allclose(&naive, 1e-9, 0.0)? && means.diff(1, 0)?.greater(0.0).all()?);

    let (best, order) = tour.time("ten best customers", || score.topk(10, 0))?;
    assert!(best.get([0])? == score.max()? && score.take(&order, 0)? == best);

    let chosen = tour.time("customers of a campaign", || {
        let loyal = visits.greater_equal(8) & spent.greater(200.0);
        (loyal & age.less(60)).eval()?.nonzero()
    })?;
    assert!(visits.take(&chosen[0], 0)?.min()? >= 8 && age.take(&chosen[0], 0)?.max()? < 60);
    Ok(())
}
