//! Powers, Kronecker products and chains of products.

use crate::stack::{Matrices, shapes};
use crate::{Field, inv};
use polyarray_core::{Array, Dims, Error, Number, Result};

/// Square matrices `[.., n, n]` raised to an integer power, by repeated squaring. The power 0 gives identity matrices,
/// negative ones are those of the inverses.
///
/// # Errors
/// [`Error::Shapes`] for other shapes; for negative powers the errors of [`inv`]; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::matrix_power;
/// let a = Array::from([[1.0, 1.0], [1.0, 0.0]]);
/// assert_eq!(matrix_power(&a, 10)?, Array::from([[89.0, 55.0], [55.0, 34.0]]));
/// assert_eq!(matrix_power(&a, -1)?, Array::from([[0.0, 1.0], [1.0, -1.0]]));
/// # Ok::<(), Error>(())
/// ```
pub fn matrix_power<T: Field>(a: &Array<T>, power: i64) -> Result<Array<T>> {
    let n = Matrices::square("matrix_power", a)?.rows;
    if power == 0 {
        return Array::eye(n)?.beside(a)?.broadcast_to(a.shape())?.to_contiguous();
    }
    let mut square = if power < 0 { inv(a)? } else { a.clone() };
    let (mut left, mut product) = (power.unsigned_abs(), None);
    loop {
        if left % 2 == 1 {
            product = Some(match product {
                Some(product) => square.matmul(&product)?,
                None => square.clone(),
            });
        }
        left /= 2;
        match product {
            Some(product) if left == 0 => return Ok(product),
            _ => square = square.matmul(&square)?,
        }
    }
}

/// The Kronecker product: of matrices `[m, n]` and `[p, q]` the matrix `[m p, n q]` of the blocks `a[i, j] b`. Also of
/// arrays with other numbers of axes; to the smaller number, axes of length 1 are prepended.
///
/// # Errors
/// [`Error::Shapes`] for more than 8 axes; [`Error::TooLarge`], [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::kron;
/// let a = Array::from([[1, 10]]);
/// assert_eq!(kron(&a, &Array::from([[1, 2], [3, 4]]))?, Array::from([[1, 2, 10, 20], [3, 4, 30, 40]]));
/// # Ok::<(), Error>(())
/// ```
pub fn kron<T: Number>(a: &Array<T>, b: &Array<T>) -> Result<Array<T>> {
    let axes = a.ndim().max(b.ndim());
    // Axis i of each operand becomes an axis of its own: 2 i for a, and 2 i + 1 for b.
    let spread = |x: &Array<T>, position: usize| {
        let lens = std::iter::repeat_n(1, axes - x.ndim()).chain(x.shape().iter().copied());
        x.reshape(lens.flat_map(|n| if position == 0 { [n, 1] } else { [1, n] }).collect::<Dims>())
    };
    let product = (spread(a, 0)? * spread(b, 1)?).eval()?;
    let shape: Dims = product.shape().chunks(2).map(|pair| pair[0] * pair[1]).collect();
    product.reshape(shape)
}

/// The product of two or more matrices, in the order of multiplications that needs the fewest steps. The first and the
/// last operand may be vectors, which count as a row and as a column and whose axis the result lacks.
///
/// The order is found in a time proportional to the third power of the number of matrices (Cormen et al., "Introduction
/// to Algorithms", matrix-chain multiplication).
///
/// # Errors
/// [`Error::Argument`] for less than two operands; [`Error::Shapes`] for shapes that do not match, or another number of
/// axes; [`Error::OutOfMemory`].
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// # use polyarray_linalg::multi_dot;
/// let (a, x) = (Array::<f64>::ones([100, 100])?, Array::<f64>::ones([100])?);
/// assert_eq!(multi_dot(&[&a, &a, &x])?.to_vec()?, [10_000.0; 100]); // as a (a x)
/// # Ok::<(), Error>(())
/// ```
pub fn multi_dot<T: Number>(operands: &[&Array<T>]) -> Result<Array<T>> {
    const NAME: &str = "multi_dot";
    let count = operands.len();
    if count < 2 {
        let why = "a product has at least two operands".into();
        return Err(Error::Argument { op: NAME, name: "operands", value: count.to_string(), why });
    }
    // The operands as matrices of lens[i] rows and lens[i + 1] columns.
    let mut lens = Vec::with_capacity(count + 1);
    for (i, x) in operands.iter().enumerate() {
        let [rows, columns] = match (x.shape(), i) {
            (&[m, n], _) => [m, n],
            (&[n], 0) => [1, n],
            (&[n], _) if i == count - 1 => [n, 1],
            _ => return Err(shapes(NAME, x, "operands are matrices; the first and the last may be vectors".into())),
        };
        if let Some(&before) = lens.last()
            && before != rows
        {
            let (left, right) = (operands[i - 1].shape().into(), x.shape().into());
            let why = format!("operand {} has {before} columns, operand {i} has {rows} rows", i - 1);
            return Err(Error::Shapes { op: NAME, left, right, why });
        }
        if i == 0 {
            lens.push(rows);
        }
        lens.push(columns);
    }
    multiply(operands, &splits(&lens), count, 0..count)
}

/// Returns, for each range of operands, `first * count + last`, the number of its operands that are multiplied first
/// with each other, so that the number of multiplications is the least.
fn splits(lens: &[usize]) -> Vec<usize> {
    let count = lens.len() - 1;
    let (mut work, mut splits) = (vec![0u128; count * count], vec![0; count * count]);
    for length in 2..=count {
        for first in 0..=count - length {
            let last = first + length - 1;
            let cost = |middle: usize| {
                let product = [first, middle, last + 1].iter().fold(1u128, |n, &i| n.saturating_mul(lens[i] as u128));
                let parts = work[first * count + middle - 1].saturating_add(work[middle * count + last]);
                parts.saturating_add(product)
            };
            let (least, middle) = (first + 1..=last).map(|m| (cost(m), m)).min().expect("at least one way to split");
            (work[first * count + last], splits[first * count + last]) = (least, middle);
        }
    }
    splits
}

/// Multiplies a range of operands.
fn multiply<T: Number>(
    operands: &[&Array<T>],
    splits: &[usize],
    count: usize,
    range: std::ops::Range<usize>,
) -> Result<Array<T>> {
    if range.len() == 1 {
        return Ok(operands[range.start].clone());
    }
    let middle = splits[range.start * count + range.end - 1];
    let left = multiply(operands, splits, count, range.start..middle)?;
    left.matmul(&multiply(operands, splits, count, middle..range.end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the order of multiplications with parentheses.
    fn order(splits: &[usize], count: usize, range: std::ops::Range<usize>) -> String {
        if range.len() == 1 {
            return range.start.to_string();
        }
        let middle = splits[range.start * count + range.end - 1];
        format!("({}{})", order(splits, count, range.start..middle), order(splits, count, middle..range.end))
    }

    #[test]
    fn the_cheapest_order_is_found() {
        // The example of Cormen et al.
        let splits = splits(&[30, 35, 15, 5, 10, 20, 25]);
        assert_eq!(order(&splits, 6, 0..6), "((0(12))((34)5))");
        assert_eq!(order(&super::splits(&[10, 10, 1]), 2, 0..2), "(01)");
        assert_eq!(order(&super::splits(&[10, 10, 10, 1]), 3, 0..3), "(0(12))");
        assert_eq!(order(&super::splits(&[1, 10, 10, 10]), 3, 0..3), "((01)2)");
        let huge = [usize::MAX; 6];
        assert_eq!(order(&super::splits(&huge), 5, 0..5).len(), 5 + 8, "costs saturate");
    }
}
