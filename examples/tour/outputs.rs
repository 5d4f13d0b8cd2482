//! Fresh results, given outputs, and work in place: `sqrt(2 x + y)` of 10 million numbers.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(10_000_000);
    let (x, y) = (Array::<f64>::linspace(0.0, 1.0, n)?, Array::<f64>::linspace(1.0, 3.0, n)?);

    // Each step makes an array, and passes over memory.
    let naive = tour.time("a result of each step", || {
        let doubled = (&x * 2.0).eval()?;
        let sum = (&doubled + &y).eval()?;
        sum.sqrt().eval()
    })?;
    let fresh = tour.time("a fresh result", || (&x * 2.0 + &y).sqrt().eval())?;
    assert!(fresh == naive);

    let mut out = Array::<f64>::zeros([n])?;
    tour.time("into a given output", || (&x * 2.0 + &y).sqrt().eval_into(&mut out.view_mut()?))?;
    assert!(out == naive);

    // An operand that is passed by value and has no other owner becomes the result.
    let donated =
        tour.time_with("into an operand given by value", || (&x).into_expr().eval(), |z| (z * 2.0 + &y).sqrt().eval())?;
    assert!(donated == naive);
    let updated = tour.time_with(
        "in place",
        || (&x).into_expr().eval(),
        |mut z| {
            z.update(|z| (z * 2.0 + &y).sqrt())?;
            Ok(z)
        },
    )?;
    assert!(updated == naive);

    // A function that is traced once, and called with an output, allocates nothing.
    let f = fuse(|x: Expr<f64>, y: Expr<f64>| (x * 2.0 + y).sqrt())?;
    tour.time("a compiled function, into a given output", || f.eval_into((&x, &y), &mut out.view_mut()?))?;
    assert!(out == naive);

    // A reduction of an expression makes no array at all.
    let sum = tour.time("the sum of the expression", || (&x * 2.0 + &y).sqrt().sum())?;
    assert_eq!(sum, naive.sum()?);
    Ok(())
}
