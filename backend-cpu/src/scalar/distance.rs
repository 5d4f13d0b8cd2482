//! Distances by definition: sums over differences of coordinates (over products for cosine), accumulated in f64.

use super::matmul::Scratch;
use super::strips::{STRIP, Strips};
use crate::strided::{Source, Target};
use polyarray_core::op::{Distance, Metric};
use polyarray_core::{Buffer, DType, Element, Error, Result, Wide, bf16, f16};

/// Runs a distance operation and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for one vector.
pub fn run(op: &Distance, out: &Buffer) -> Result<()> {
    match op.dtype {
        DType::F16 => typed::<f16>(op, out),
        DType::BF16 => typed::<bf16>(op, out),
        DType::F32 => typed::<f32>(op, out),
        DType::F64 => typed::<f64>(op, out),
        other => unreachable!("core refuses distances of {other}"),
    }
}

fn typed<T: Element>(op: &Distance, out: &Buffer) -> Result<()> {
    let (x, y) = (Source::new(&op.x), Source::new(&op.y));
    let target = Target::whole(out, op.after.output());
    let mut after = Strips::new(&op.after, &op.after_params, op.m)?;
    let mut strip = Scratch::new(op.d)?;
    let mut row = Vec::new();
    row.try_reserve_exact(op.d).map_err(|e| Error::OutOfMemory {
        memory: "the host".into(),
        bytes: op.d * 8,
        why: e.to_string(),
    })?;
    for i in 0..op.n {
        row.clear();
        for_each_strip::<T>(&x, i, [op.n, op.d], &mut strip, |_, values| row.extend(values));
        for start in (0..op.m).step_by(after.len()) {
            let count = after.len().min(op.m - start);
            for j in 0..count {
                let mut sums = Sums::default();
                for_each_strip::<T>(&y, start + j, [op.m, op.d], &mut strip, |at, values| {
                    values.zip(&row[at..]).for_each(|(y, &x)| sums.add(op.metric, x, y))
                });
                after.input::<T>(0)[j] = T::from_wide(Wide::Float(sums.distance(op.metric)));
            }
            after.run(count);
            target.scatter(&[op.n * op.m], i * op.m + start..i * op.m + start + count, after.result_bytes());
        }
    }
    Ok(())
}

/// Calls `f` with the start column and the elements of each strip of row `i` of a matrix.
fn for_each_strip<T: Element>(
    source: &Source,
    i: usize,
    [rows, columns]: [usize; 2],
    strip: &mut Scratch,
    mut f: impl FnMut(usize, &mut dyn Iterator<Item = f64>),
) {
    for start in (0..columns).step_by(STRIP) {
        let count = STRIP.min(columns - start);
        source.gather(&[rows, columns], i * columns + start..i * columns + start + count, strip.bytes());
        f(start, &mut strip.elements::<T>()[..count].iter().map(|x| x.to_wide().real()));
    }
}

/// Returns the distance between two vectors as `scalar` defines it.
#[cfg(feature = "blas")]
pub fn direct<T: Element>(metric: Metric, x: &[T], y: &[T]) -> f64 {
    let mut sums = Sums::default();
    x.iter().zip(y).for_each(|(x, y)| sums.add(metric, x.to_wide().real(), y.to_wide().real()));
    sums.distance(metric)
}

/// The sums of a metric over the coordinates of two vectors.
#[derive(Default)]
struct Sums {
    xx: f64,
    yy: f64,
    /// The main sum of the metric: products for cosine, squared or absolute differences for the others.
    main: f64,
}

impl Sums {
    fn add(&mut self, metric: Metric, x: f64, y: f64) {
        match metric {
            Metric::Euclidean | Metric::SqEuclidean => self.main += (x - y) * (x - y),
            Metric::Cityblock => self.main += (x - y).abs(),
            Metric::Cosine => {
                self.main += x * y;
                self.xx += x * x;
                self.yy += y * y;
            }
        }
    }

    fn distance(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Euclidean => self.main.sqrt(),
            Metric::SqEuclidean | Metric::Cityblock => self.main,
            Metric::Cosine => 1.0 - self.main / (self.xx.sqrt() * self.yy.sqrt()),
        }
    }
}
