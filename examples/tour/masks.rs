//! Choices and masks of 10 million numbers.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(10_000_000);
    let x = random::Generator::new(2).normal::<f64>([n], 0.0, 1.0)?;

    let naive = tour.time("positive part, by a loop of Rust", || x.map_elements(|x| if x > 0.0 { x } else { 0.0 }))?;
    let chosen = tour.time("positive part, by a choice", || select(x.greater(0.0), &x, 0.0).eval())?;
    let clipped = tour.time("positive part, by a maximum", || x.maximum(0.0).eval())?;
    assert!(chosen == naive && clipped == naive);

    // Truth values are bytes; an expression of them needs no array.
    let naive = tour.time("count between two bounds, by three masks", || {
        let (above, below) = (x.greater(-1.0).eval()?, x.less(1.0).eval()?);
        let both = (&above & &below).eval()?;
        both.count_nonzero()
    })?;
    let count = tour.time("count between two bounds", || (x.greater(-1.0) & x.less(1.0)).count_nonzero())?;
    assert_eq!(count, naive);
    // The share of a normal distribution within one deviation.
    assert!((count as f64 / n as f64 - 0.6827).abs() < 0.5 / (n as f64).sqrt() * 5.0);

    let picked = tour.time("the elements above 1", || x.mask(&x.greater(1.0).eval()?))?;
    assert_eq!(picked.len(), x.greater(1.0).count_nonzero()?);
    let naive = tour.time("mean of the elements above 1, picked", || x.mask(&x.greater(1.0).eval()?)?.mean())?;
    let mean = tour.time("mean of the elements above 1, chosen", || {
        Ok(select(x.greater(1.0), &x, 0.0).sum()? / x.greater(1.0).count_nonzero()? as f64)
    })?;
    assert!((mean - naive).abs() < 1e-12 && mean > 1.0);

    // Writes where a mask is true.
    let limited = tour.time_with(
        "elements beyond 3 replaced in place",
        || Ok(((&x).into_expr().eval()?, x.abs().greater(3.0).eval()?)),
        |(mut x, outliers)| {
            x.assign_where(&outliers, 0.0)?;
            Ok(x)
        },
    )?;
    assert!(limited.abs().max()? <= 3.0);
    let at = tour.time("indices of the elements beyond 4", || x.abs().greater(4.0).eval()?.nonzero())?;
    assert!(x.take(&at[0], 0)?.abs().greater(4.0).all()?);

    // Several conditions are nested choices.
    let bands = tour.time("three bands", || select(x.less(-1.0), -1i8, select(x.greater(1.0), 1i8, 0i8)).eval())?;
    assert_eq!(bands.equal(0).count_nonzero()?, (x.greater_equal(-1.0) & x.less_equal(1.0)).count_nonzero()?);
    Ok(())
}
