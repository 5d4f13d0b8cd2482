//! Matrix products and distances.

use crate::compare::{Expected, Tolerance, Values};
use crate::layouts::{Lay, Place};
use crate::suite::{Case, Suite, on_scalar};
use crate::values::{FloatSpec, Rng, moderate, widened};
use polyarray_core::{
    Array, Bound, DType, Element, Kind, Matmul, Metric, Result, Vectors, Wide, bf16, distance, f16, with_dtype,
};

pub(crate) fn run(suite: &mut Suite) {
    for dtype in DType::ALL.into_iter().filter(|d| d.kind() != Kind::Bool) {
        if suite.wants("matmul", dtype) {
            with_dtype!(dtype, T => matmul_cases::<T>(suite));
        }
        if suite.wants("matmul_wide", dtype) {
            match dtype {
                DType::I8 => wide_cases::<i8>(suite),
                DType::U8 => wide_cases::<u8>(suite),
                DType::F16 => wide_cases::<f16>(suite),
                DType::BF16 => wide_cases::<bf16>(suite),
                // The other dtypes accumulate in their own dtype.
                _ => {}
            }
        }
    }
    for metric in Metric::ALL.into_iter().chain(Metric::PACKED) {
        for dtype in DType::ALL.into_iter().filter(|d| metric.info().coordinates.accept(*d)) {
            if suite.wants(&distance_name(metric), dtype) {
                match dtype.kind() {
                    Kind::Float => with_dtype!(dtype, T => distance_cases::<T>(suite, metric)),
                    _ => with_dtype!(dtype, T => integer_distance_cases::<T>(suite, metric)),
                }
            }
        }
    }
}

pub(crate) fn distance_name(metric: Metric) -> String {
    format!("cdist {}", metric.name())
}

/// A matrix product: shapes with batch axes, layouts, and an optional epilogue.
struct Product {
    a: Vec<usize>,
    b: Vec<usize>,
    lays: [Lay; 2],
    /// The layout of a bias that is added, followed by a ReLU.
    epilogue: Option<Lay>,
}

fn matmul_cases<T: Element>(suite: &mut Suite) {
    let common = matches!(T::DTYPE, DType::F32 | DType::F64);
    let mut sizes = vec![
        (1, 1, 1),
        (1, 7, 1),
        (3, 2, 5),
        (7, 8, 9),
        (8, 8, 8),
        (16, 17, 3),
        (17, 33, 31),
        (33, 16, 17),
        (1, 33, 20),
        (20, 33, 1),
        (4, 1, 6),
    ];
    if common || suite.full() {
        sizes.extend([(64, 64, 64), (65, 31, 66), (2, 100, 129)]);
    }
    if suite.full() {
        sizes.extend([(100, 65, 33), (129, 64, 65), (31, 129, 100), (65, 7, 257), (3, 300, 3)]);
    }
    if suite.full() && common {
        sizes.extend([(257, 256, 255), (130, 513, 70), (1, 1000, 300), (300, 1000, 1)]);
    }
    for (m, k, n) in sizes {
        product(
            suite,
            "matmul",
            Matmul::<T>::new,
            &Product { a: vec![m, k], b: vec![k, n], lays: [Lay::Contiguous; 2], epilogue: None },
        );
    }
    let lays = [
        Lay::Contiguous,
        Lay::Transposed,
        Lay::Step(2),
        Lay::Step(-1),
        Lay::StepFirst(-1),
        Lay::Window,
        Lay::Offset(1),
        Lay::Row,
        Lay::Column,
        Lay::Scalar,
    ];
    for a in lays {
        for b in lays {
            product(
                suite,
                "matmul",
                Matmul::<T>::new,
                &Product { a: vec![6, 19], b: vec![19, 11], lays: [a, b], epilogue: None },
            );
        }
        product(
            suite,
            "matmul",
            Matmul::<T>::new,
            &Product { a: vec![34, 18], b: vec![18, 35], lays: [a, Lay::Transposed], epilogue: None },
        );
    }
    let batches: [(&[usize], &[usize]); 6] =
        [(&[3], &[3]), (&[3], &[1]), (&[], &[4]), (&[2, 1], &[3]), (&[2, 3], &[2, 3]), (&[1], &[1])];
    for (batch_a, batch_b) in batches {
        for lay in [Lay::Contiguous, Lay::Rotated, Lay::Transposed, Lay::Step(-1), Lay::Row] {
            let with = |batch: &[usize], r, c| batch.iter().copied().chain([r, c]).collect();
            product(
                suite,
                "matmul",
                Matmul::<T>::new,
                &Product { a: with(batch_a, 5, 9), b: with(batch_b, 9, 7), lays: [lay, lay], epilogue: None },
            );
        }
    }
    if T::DTYPE.kind() != Kind::Complex {
        for bias in [Lay::Contiguous, Lay::Row, Lay::Column, Lay::Scalar, Lay::Transposed] {
            product(
                suite,
                "matmul",
                Matmul::<T>::new,
                &Product { a: vec![9, 33], b: vec![33, 18], lays: [Lay::Contiguous; 2], epilogue: Some(bias) },
            );
            product(
                suite,
                "matmul",
                Matmul::<T>::new,
                &Product { a: vec![2, 5, 6], b: vec![6, 4], lays: [Lay::Contiguous; 2], epilogue: Some(bias) },
            );
        }
    }
}

/// Tests products whose results have the dtype of the accumulator.
fn wide_cases<T: Element>(suite: &mut Suite) {
    // Small products, and products large enough for matrix engines, which multiply whole tiles.
    for (m, k, n) in [(1, 1, 1), (3, 2, 5), (7, 33, 9), (33, 16, 17), (64, 64, 64), (70, 131, 65), (96, 300, 100)] {
        for lays in [[Lay::Contiguous; 2], [Lay::Transposed; 2], [Lay::Step(2), Lay::Step(-1)]] {
            product(
                suite,
                "matmul_wide",
                Matmul::<T>::wide,
                &Product { a: vec![m, k], b: vec![k, n], lays, epilogue: None },
            );
        }
    }
    for bias in [Lay::Contiguous, Lay::Row] {
        product(
            suite,
            "matmul_wide",
            Matmul::<T>::wide,
            &Product { a: vec![66, 70], b: vec![70, 80], lays: [Lay::Contiguous; 2], epilogue: Some(bias) },
        );
        product(
            suite,
            "matmul_wide",
            Matmul::<T>::wide,
            &Product { a: vec![2, 5, 6], b: vec![6, 4], lays: [Lay::Contiguous; 2], epilogue: Some(bias) },
        );
    }
}

impl Product {
    /// Returns the shape of the result.
    fn shape(&self) -> Vec<usize> {
        let (batch_a, batch_b) = (&self.a[..self.a.len() - 2], &self.b[..self.b.len() - 2]);
        let ndim = batch_a.len().max(batch_b.len());
        let at = |s: &[usize], i: usize| if i + s.len() < ndim { 1 } else { s[i + s.len() - ndim] };
        let batch = (0..ndim).map(|i| at(batch_a, i).max(at(batch_b, i)));
        batch.chain([self.a[self.a.len() - 2], self.b[self.b.len() - 1]]).collect()
    }

    fn apply<T: Element, U: Element>(
        &self,
        a: &[T],
        b: &[T],
        bias: &[U],
        multiply: Multiply<T, U>,
        place: &Place,
    ) -> Result<Values> {
        let product = multiply(&self.lays[0].build(a, &self.a, place)?, &self.lays[1].build(b, &self.b, place)?);
        let Some(lay) = self.epilogue else { return Values::of(&product.run()?) };
        let bias = lay.build(bias, &self.shape(), place)?;
        let zero = U::from_wide(Wide::Int(0));
        Values::of(&product.bias(&bias).map(move |e| e.maximum(zero)).run()?)
    }

    /// Computes `|A| |B| + |bias|`. A ReLU does not increase these numbers or an error.
    fn magnitudes<T: Element, U: Element>(&self, a: &[T], b: &[T], bias: &[U]) -> Result<Vec<f64>> {
        fn moduli<T: Element>(data: &[T]) -> Vec<f64> {
            let modulus = |x: &T| match x.to_wide() {
                Wide::Complex(re, im) => re.hypot(im),
                wide => wide.real().abs(),
            };
            data.iter().map(modulus).collect()
        }
        Ok(self.apply(&moduli(a), &moduli(b), &moduli(bias), Matmul::new, &Place::Host)?.magnitudes())
    }
}

/// A function that multiplies matrices of `T`, with a result of `U`.
type Multiply<T, U> = fn(&Array<T>, &Array<T>) -> Matmul<T, U>;

fn product<T: Element, U: Element>(suite: &mut Suite, op: &str, multiply: Multiply<T, U>, product: &Product) {
    let mut data = |n| moderate::<T>(&mut suite.rng, (-1.0, 1.0), n);
    let (a, b) = (data(product.lays[0].len(&product.a)), data(product.lays[1].len(&product.b)));
    let bias = moderate::<U>(&mut suite.rng, (-1.0, 1.0), product.epilogue.map_or(0, |lay| lay.len(&product.shape())));
    let k = product.a[product.a.len() - 1] as f64;
    let expected = || {
        on_scalar(|| {
            // For floats narrower than f64, the oracle computes in f64, so that its own error is negligible.
            let values = match T::DTYPE {
                DType::F32 | DType::F16 | DType::BF16 => {
                    product.apply(&widened(&a), &widened(&b), &widened(&bias), Matmul::new, &Place::Host)?
                }
                _ => product.apply(&a, &b, &bias, multiply, &Place::Host)?,
            };
            if !matches!(T::DTYPE.kind(), Kind::Float | Kind::Complex) {
                return Ok(Expected::new(values, Tolerance::Bits));
            }
            // A complex product consists of four real ones: twice the steps, each relative to the moduli.
            let steps = if T::DTYPE.kind() == Kind::Complex { 2.0 * k + 2.0 } else { k }
                + if product.epilogue.is_some() { 1.0 } else { 0.0 };
            let spec = FloatSpec::of(U::DTYPE);
            let of = |m: f64| (steps * spec.eps() * m).max(spec.min_normal());
            let tolerance = Tolerance::Absolute(product.magnitudes(&a, &b, &bias)?.into_iter().map(of).collect());
            Ok(Expected::new(values, tolerance))
        })
    };
    let Product { a: of_a, b: of_b, lays, epilogue } = product;
    let detail =
        format!("{of_a:?} @ {of_b:?} {lays:?}{}", epilogue.map_or(String::new(), |lay| format!(" + {lay:?}, relu")));
    suite.case(
        Case { op: op.into(), dtype: T::DTYPE, detail },
        |place| product.apply(&a, &b, &bias, multiply, place),
        expected,
    );
}

/// The distribution of the points of a distance case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cloud {
    /// Around the origin.
    Even,
    /// Far from the origin and all close together.
    FarAndNear,
    /// Every other point of Y is a point of X.
    Duplicates,
}

fn distance_cases<T: Element>(suite: &mut Suite, metric: Metric<'static>) {
    let mut sizes =
        vec![(1, 1, 1), (2, 3, 1), (7, 5, 3), (16, 17, 8), (33, 31, 16), (5, 65, 33), (40, 9, 64), (3, 4, 130)];
    if suite.full() {
        sizes.extend([(64, 64, 64), (65, 66, 31), (100, 129, 17), (130, 70, 257), (1, 500, 10), (257, 1, 2)]);
    }
    let columns = |d: usize| if metric.info().vectors == Vectors::Angles { 2 } else { d };
    for (n, m, d) in sizes {
        let d = columns(d);
        for cloud in [Cloud::Even, Cloud::FarAndNear, Cloud::Duplicates] {
            distances::<T>(suite, metric, (n, m, d), [Lay::Contiguous; 2], cloud);
        }
    }
    for lay in STRIDED {
        for cloud in [Cloud::Even, Cloud::FarAndNear] {
            distances::<T>(suite, metric, (19, 21, columns(11)), [lay, Lay::Contiguous], cloud);
            distances::<T>(suite, metric, (19, 21, columns(11)), [Lay::Contiguous, lay], cloud);
        }
        distances::<T>(suite, metric, (9, 12, columns(37)), [lay, lay], Cloud::Even);
    }
}

/// The layouts of vectors, besides C order.
const STRIDED: [Lay; 8] = [
    Lay::Transposed,
    Lay::Step(2),
    Lay::Step(-1),
    Lay::StepFirst(-1),
    Lay::Window,
    Lay::Offset(3),
    Lay::Row,
    Lay::Column,
];

/// Tests distances of bytes or of packed bits.
fn integer_distance_cases<T: Element>(suite: &mut Suite, metric: Metric<'static>) {
    let mut sizes =
        vec![(1, 1, 1), (2, 3, 1), (7, 5, 3), (16, 17, 8), (33, 31, 16), (5, 65, 33), (40, 19, 64), (70, 66, 130)];
    // More than one block of the depth.
    sizes.push((35, 40, 1100));
    if suite.full() {
        sizes.extend([(64, 64, 64), (65, 66, 31), (100, 129, 17), (130, 70, 257), (1, 500, 10), (257, 1, 2)]);
    }
    for size in sizes {
        integer_distances::<T>(suite, metric, size, [Lay::Contiguous; 2]);
    }
    for lay in STRIDED {
        for lays in [[lay, Lay::Contiguous], [Lay::Contiguous, lay], [lay, lay]] {
            integer_distances::<T>(suite, metric, (19, 21, 37), lays);
        }
    }
}

/// Tests distances of integers with any bits, among them rows of zeros and of the smallest and largest numbers, and
/// equal rows. Sums are exact, so results differ by roundings at the end alone.
fn integer_distances<T: Element>(
    suite: &mut Suite,
    metric: Metric<'static>,
    (n, m, d): (usize, usize, usize),
    lays: [Lay; 2],
) {
    let shapes = [[n, d], [m, d]];
    let mut rows = |side: usize| -> Vec<T> {
        let bits = 8 * T::DTYPE.size() as u32;
        let smallest = if T::DTYPE.kind() == Kind::Int { -(1i128 << (bits - 1)) } else { 0 };
        let largest = smallest + (1i128 << bits) - 1;
        let one = |i: usize| match (i / d + side) % 7 {
            1 => 0,
            2 => smallest,
            3 => largest,
            _ => i128::from(suite.rng.next()),
        };
        (0..lays[side].len(&shapes[side])).map(one).map(|x| T::from_wide(Wide::Int(x))).collect()
    };
    let (x, mut y) = (rows(0), rows(1));
    y.chunks_exact_mut(d).zip(x.chunks_exact(d)).step_by(5).for_each(|(y, x)| y.copy_from_slice(x));
    let apply = |place: &Place| {
        let (x, y): (Array<T>, Array<T>) =
            (lays[0].build(&x, &shapes[0], place)?, lays[1].build(&y, &shapes[1], place)?);
        Values::of(&distance::cdist(&x, &y, metric)?)
    };
    let expected = || {
        on_scalar(|| {
            let tolerance = match metric {
                // One unit in the last place: both results are rounded.
                Metric::Euclidean | Metric::BitJaccard => Tolerance::Relative(f64::from(f32::EPSILON)),
                Metric::Cosine => Tolerance::Absolute(vec![f64::from(f32::EPSILON); n * m]),
                _ => Tolerance::Bits,
            };
            Ok(Expected::new(apply(&Place::Host)?, tolerance))
        })
    };
    let detail = format!("[{n}, {d}] to [{m}, {d}] {lays:?}");
    suite.case(Case { op: distance_name(metric), dtype: T::DTYPE, detail }, apply, expected);
}

/// Returns `n` coordinates of points that a metric is defined for.
fn points<T: Element>(rng: &mut Rng, n: usize, cloud: Cloud, vectors: Vectors) -> Vec<T> {
    let spec = FloatSpec::of(T::DTYPE);
    let data: Vec<T> = match cloud {
        Cloud::Even | Cloud::Duplicates => moderate(rng, (-2.0, 2.0), n),
        // All coordinates are a few ULP apart: `|x - y|^2` is lost in `|x|^2 - 2 x.y + |y|^2`.
        Cloud::FarAndNear => {
            (0..n).map(|_| T::from_wide(Wide::Float(8.0 * (1.0 + (rng.next() % 9) as f64 * spec.eps())))).collect()
        }
    };
    let change = |x: f64| match vectors {
        Vectors::Real => x,
        Vectors::Discrete => x.round(),
        Vectors::Weights => x.abs(),
        // Latitudes are at most pi / 2.
        Vectors::Angles => x / 8.0,
    };
    data.into_iter().map(|x| T::from_wide(Wide::Float(change(x.to_wide().real())))).collect()
}

fn distances<T: Element>(
    suite: &mut Suite,
    metric: Metric<'static>,
    (n, m, d): (usize, usize, usize),
    lays: [Lay; 2],
    cloud: Cloud,
) {
    let vectors = metric.info().vectors;
    let x: Vec<T> = points(&mut suite.rng, lays[0].len(&[n, d]), cloud, vectors);
    let mut y: Vec<T> = points(&mut suite.rng, lays[1].len(&[m, d]), cloud, vectors);
    if cloud == Cloud::Duplicates {
        let rows = y.chunks_exact_mut(d).zip(x.chunks_exact(d)).step_by(2);
        rows.for_each(|(y, x)| y.copy_from_slice(x));
    }
    fn apply<T: Element>(
        metric: Metric,
        data: [&[T]; 2],
        shapes: [[usize; 2]; 2],
        lays: [Lay; 2],
        place: &Place,
    ) -> Result<Values> {
        let x: Array<T> = lays[0].build(data[0], &shapes[0], place)?;
        let y: Array<T> = lays[1].build(data[1], &shapes[1], place)?;
        Values::of(&distance::cdist(&x, &y, metric)?)
    }
    let shapes = [[n, d], [m, d]];
    let gpu = suite.gpu;
    let expected = || {
        on_scalar(|| {
            let exact = |x: &[T], y: &[T]| match T::DTYPE {
                DType::F64 => apply(metric, [x, y], shapes, lays, &Place::Host),
                _ => apply(metric, [&widened(x)[..], &widened(y)], shapes, lays, &Place::Host),
            };
            let values = exact(&x, &y)?;
            let magnitudes = |data: &[T]| -> Vec<T> {
                data.iter().map(|x| T::from_wide(Wide::Float(x.to_wide().real().abs()))).collect()
            };
            let terms = match metric.info().bound {
                Bound::Terms => exact(&magnitudes(&x), &magnitudes(&y))?.magnitudes(),
                Bound::Relative => values.magnitudes(),
                Bound::Absolute => vec![1.0; n * m],
            };
            // GPUs add all terms one after another.
            let count = if gpu { (d as f64 + 3.0).max(8.0 * (d as f64).sqrt()) } else { 8.0 * (d as f64).sqrt() };
            // In f64, the oracle's own error is as large as the device's. Metrics that are composed of other operations
            // round each step to half floats.
            let oracle = match T::DTYPE {
                DType::F64 => 2.0,
                DType::F16 | DType::BF16 => 4.0,
                _ => 1.0,
            };
            let bound = oracle * count * FloatSpec::of(T::DTYPE).eps();
            Ok(Expected::new(values, Tolerance::Absolute(terms.into_iter().map(|term| bound * term).collect())))
        })
    };
    let case = Case {
        op: distance_name(metric),
        dtype: T::DTYPE,
        detail: format!("[{n}, {d}] to [{m}, {d}] {lays:?} {cloud:?}"),
    };
    suite.case(case, |place| apply(metric, [&x, &y], shapes, lays, place), expected);
}
