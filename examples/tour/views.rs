//! Views, copies and writes: a view costs nothing, and no write to one array changes another.

use super::Tour;
use polyarray::prelude::*;

pub fn run(tour: &mut Tour) -> Result<()> {
    let n = tour.size(10_000_000);
    let x = Array::<f64>::arange(0.0, n as f64, 1.0)?;

    let copy = tour.time("every second element as a copy", || x.slice(s![..;2])?.to_contiguous())?;
    let view = tour.time("every second element as a view", || x.slice(s![..;2]))?;
    assert!(view.shares_memory(&x) && !copy.shares_memory(&x) && view == copy);
    let sum = tour.time("sum of the view", || view.sum())?;
    assert_eq!(sum, (n.div_ceil(2) * (n.div_ceil(2) - 1)) as f64);

    // A clone shares the buffer. The first write to one of both copies it.
    let clone = tour.time("clone", || Ok(x.clone()))?;
    assert!(clone.shares_memory(&x));
    let written = tour.time("write of one element to a clone", || {
        let mut y = x.clone();
        y.set([0], -1.0)?;
        Ok(y)
    })?;
    assert_eq!((x.get([0])?, written.get([0])?), (0.0, -1.0));

    // An owned view does not write through. A borrowed one does, and copies nothing: y is the only owner of its buffer.
    let mut y = (&x).into_expr().eval()?;
    tour.time("write of every second element, borrowed", || y.slice_mut(s![..;2])?.fill(0.0))?;
    assert_eq!(y.count_nonzero()?, n / 2);

    // A small view keeps its whole buffer alive, unless it is made compact.
    let few = tour.time("ten elements, made compact", || {
        let mut few = x.slice(s![..10])?;
        few.compact()?;
        Ok(few)
    })?;
    assert!(!few.shares_memory(&x) && few.sum()? == 45.0);

    // A reshape is a view where the strides allow it, and a copy elsewhere.
    let square = x.slice(s![..100])?.reshape([10, 10])?;
    assert!(square.shares_memory(&x) && !square.t().reshape([100])?.shares_memory(&x));
    Ok(())
}
