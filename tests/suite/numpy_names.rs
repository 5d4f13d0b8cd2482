//! docs/from-numpy.md names every function of NumPy's main namespace, and the forms that it gives are right.

use crate::common::{count, nearly, on_every_device};
use polyarray::Dims;
use polyarray::prelude::*;
use std::collections::BTreeSet;
use std::f64::consts::PI;

const DOCS: &str = include_str!("../../docs/from-numpy.md");
/// The functions in `numpy.__all__` of NumPy 2.4: names that are neither modules, types nor constants.
const NAMES: &str = include_str!("../data/numpy_names.txt");

#[test]
fn the_page_names_every_function_of_numpy() {
    let code = DOCS.split('`').skip(1).step_by(2);
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = code.flat_map(|code| code.split(|c| !is_name(c))).collect();
    let missing: Vec<_> = NAMES.split_whitespace().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "docs/from-numpy.md does not contain {missing:?}");
    assert!(NAMES.split_whitespace().count() > 350);
}

/// Every row has a form, or says that there is none and why.
#[test]
fn rows_have_three_columns() {
    let cells = |line: &str| line.replace("\\|", "").matches('|').count() - 1;
    let mut columns = 0;
    for line in DOCS.lines() {
        columns = match line.starts_with('|') {
            true if columns == 0 => cells(line),
            true => columns,
            false => 0,
        };
        assert!(columns == 0 || cells(line) == columns, "{line}");
        let no = line.starts_with('|') && line.contains("| no |");
        assert!(!no || line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim().len() > 10, "{line}");
    }
}

#[test]
fn the_longer_forms_of_creation() {
    on_every_device(|_| {
        assert_eq!(Array::<i32>::ones([2, 3])?.tril(0)?, Array::from([[1, 0, 0], [1, 1, 0]]));
        let x = Array::from([1.0, 2.0, 3.0]);
        let vander = x.expand_dims(-1)?.pow(&Array::arange(2.0, -1.0, -1.0)?).eval()?;
        nearly(&vander, &[1.0, 1.0, 1.0, 4.0, 2.0, 1.0, 9.0, 3.0, 1.0]);
        nearly(&Array::linspace(0.0, 2.0, 3)?.mul(10f64.ln()).exp().eval()?, &[1.0, 10.0, 100.0]);
        nearly(&Array::linspace(1f64.ln(), 8f64.ln(), 4)?.exp().eval()?, &[1.0, 2.0, 4.0, 8.0]);
        assert_eq!(Array::from([[1, 2]]).ravel()?.diag(0)?, Array::from([[1, 0], [0, 2]]));
        assert!(x.is_finite().all()?);
        let n = Array::<f64>::arange(0.0, 5.0, 1.0)?;
        nearly(&(0.5 - (&n * (2.0 * PI / 4.0)).cos() * 0.5).eval()?, &[0.0, 0.5, 1.0, 0.5, 0.0]);
        Ok(())
    });
}

#[test]
fn the_longer_forms_of_functions() {
    on_every_device(|_| {
        let x = Array::from([1.0, 2.0, 4.0, 8.0]);
        let infinity = Array::from([f64::INFINITY]);
        let spacing = (x.nextafter(&infinity)? - &x).eval()?;
        assert_eq!(spacing, (&x * f64::EPSILON).eval()?);
        assert_eq!(Array::from([7u32, 8]).map_elements(|n| n.count_ones() as u8)?, Array::from([3, 1]));
        assert_eq!(infinity.equal(f64::INFINITY).eval()?, Array::from([true]));
        let z = Array::from([Complex::new(1.0, 0.0), Complex::new(1.0, 2.0)]);
        assert_eq!(z.imag()?.equal(0.0).eval()?, Array::from([true, false]));
        let gradient = ((x.slice(s![2..])? - x.slice(s![..-2])?) / 2.0).eval()?;
        assert_eq!(gradient, Array::from([1.5, 3.0]));
        let turns = Array::from([0.0, 3.0, 6.0, 9.0, 12.0]);
        let angles = (&turns - (&turns / (2.0 * PI)).round() * (2.0 * PI)).eval()?;
        let jumps = (angles.diff(1, 0)? / (2.0 * PI)).round().eval()?.cumsum(0)?;
        nearly(&(angles.slice(s![1..])? - jumps * (2.0 * PI)).eval()?, &[3.0, 6.0, 9.0, 12.0]);
        assert!(x.array_equal(&x.broadcast_to(x.shape())?)?);
        let values = Array::from([1.0, f64::NAN, 2.0]);
        assert_eq!(select(values.is_nan(), 0.0, &values).eval()?.cumsum(0)?, Array::from([1.0, 1.0, 3.0]));
        Ok(())
    });
}

#[test]
fn the_longer_forms_of_indexing_and_shapes() {
    on_every_device(|_| {
        let x = count([3, 3]);
        let (rows, columns) = (Array::from([2, 0]), Array::from([0, 1]));
        assert_eq!(x.take_at(&[&rows.newaxis(1)?, &columns])?, Array::from([[6.0, 7.0], [0.0, 1.0]]));
        let mut y = x.clone();
        let i = Array::<i64>::arange(0, 3, 1)?;
        y.put_at(&[&i, &i], -1.0)?;
        assert_eq!(y.diag(0)?, Array::from([-1.0; 3]));
        let at = Array::from([1, 5]).unravel_index(x.shape())?;
        y.put_at(&at.iter().collect::<Vec<_>>(), 9.0)?;
        assert_eq!((y.get([0, 1])?, y.get([1, 2])?, y.get([2, 0])?), (9.0, 9.0, 6.0));
        let lower = Array::<bool>::ones([3, 3])?.tril(-1)?.nonzero()?;
        assert_eq!((&lower[0], &lower[1]), (&Array::from([1, 2, 2]), &Array::from([0, 0, 1])));
        let (a, b) = (Array::from([1, 2]), Array::from([3, 4]));
        assert_eq!(Array::stack(&[&a, &b], 1)?, Array::from([[1, 3], [2, 4]]));
        assert_eq!(*Dims::from([3, 1]).broadcast(&Dims::from([4]))?, [3, 4]);
        let padded = Array::from([0, 0, 5, 0, 6, 0]);
        let found = padded.nonzero()?[0].clone();
        assert_eq!(padded.slice(s![found.get([0])?..found.get([-1])? + 1])?, Array::from([5, 0, 6]));
        // Sorted by `a`, and where that is equal by `b`.
        let (a, b) = (Array::from([1, 0, 1, 0]), Array::from([3, 2, 1, 0]));
        let by_b = b.argsort(0)?;
        let order = by_b.take(&a.take(&by_b, 0)?.argsort(0)?, 0)?;
        assert_eq!(order, Array::from([3i64, 1, 2, 0]));
        Ok(())
    });
}

#[test]
fn the_longer_forms_of_algebra() {
    on_every_device(|_| {
        let z = Array::from([[Complex::new(0.0, 1.0), Complex::new(2.0, 0.0)]]);
        let product = z.ravel()?.conj().eval()?.dot(&z.ravel()?)?;
        assert_eq!(product.item()?, Complex::new(5.0, 0.0));
        let (a, x) = (count([2, 2]), Array::from([1.0f32, 10.0]));
        assert_eq!(a.matmul(&x.expand_dims(-1)?)?.squeeze_axis(-1)?, Array::from([10.0, 32.0]));
        let x = Array::from([0.0, 2.0]);
        let value = [3.0, 2.0, 1.0].iter().fold(&x * 0.0, |y, &c| y * &x + c).eval()?;
        assert_eq!(value, Array::from([1.0, 17.0]));
        let product = Array::from([1.0, 1.0]).convolve(&Array::from([1.0, -1.0]), Overlap::Full)?;
        assert_eq!(product, Array::from([1.0, 0.0, -1.0]));
        Ok(())
    });
}
