//! `4 x^3 - 3 x^2 + 2 x - 1` of 10 million numbers.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(10_000_000);
    let x = Array::<f64>::linspace(-1.0, 1.0, n)?;

    let naive = tour.time("powers, a result of each step", || {
        let (cube, square) = (x.pow(3.0).eval()?, x.pow(2.0).eval()?);
        let (third, second, first) = ((&cube * 4.0).eval()?, (&square * 3.0).eval()?, (&x * 2.0).eval()?);
        let difference = (&third - &second).eval()?;
        let sum = (&difference + &first).eval()?;
        (&sum - 1.0).eval()
    })?;
    let powers = tour.time("powers, in one pass", || (x.pow(3.0) * 4.0 - x.pow(2.0) * 3.0 + &x * 2.0 - 1.0).eval())?;
    let horner = tour.time("Horner's rule, in one pass", || (((&x * 4.0 - 3.0) * &x + 2.0) * &x - 1.0).eval())?;
    let fused = tour.time("Horner's rule, with fused multiply-adds", || {
        (&x * 4.0 - 3.0).mul_add(&x, 2.0).mul_add(&x, -1.0).eval()
    })?;
    assert!(powers == naive);
    assert!(horner.allclose(&naive, 1e-12, 1e-12)? && fused.allclose(&naive, 1e-12, 1e-12)?);
    assert_eq!((horner.get([0])?, horner.get([n - 1])?), (-10.0, 2.0));

    // Coefficients that are known at run time: a fold over them builds the expression.
    let coefficients = [4.0, -3.0, 2.0, -1.0];
    let folded = tour.time("coefficients of a list, in one pass", || {
        let [first, rest @ ..] = &coefficients;
        let start = Array::full((), *first)?.into_expr();
        rest.iter().fold(start, |value, &c| value * &x + c).eval()
    })?;
    assert!(folded == horner);

    let narrow = x.cast::<f32>().eval()?;
    let halved =
        tour.time("Horner's rule, in f32", || (((&narrow * 4.0 - 3.0) * &narrow + 2.0) * &narrow - 1.0).eval())?;
    assert!(halved.cast::<f64>().allclose(&naive, 1e-4, 1e-5)?);
    // The integral from -1 to 1, by the trapezoidal rule.
    let integral = tour.time("integral of the result", || horner.trapezoid(2.0 / (n - 1) as f64, 0)?.item())?;
    assert!((integral + 4.0).abs() < 1e-2);
    Ok(())
}
