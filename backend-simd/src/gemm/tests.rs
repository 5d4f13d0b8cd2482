//! Compares products on every tier with plain loops, for integers that floats represent exactly.

use super::*;
use crate::lanes::{Isa, Real};
use crate::tier::{NAMES, Token};
use std::sync::Mutex;

/// Returns small integers that vary with the indices.
fn value(i: usize, j: usize, seed: usize) -> f64 {
    ((i * 31 + j * 17 + seed * 7) % 13) as f64 - 6.0
}

/// The layout of a matrix in a buffer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
    /// Every second element of rows that are further apart.
    Apart,
    /// Rows from the last to the first.
    Backwards,
    /// Rows that begin on pages.
    Pages,
    /// Columns that begin on pages.
    PagesOfColumns,
}

/// Returns a matrix of this layout and its buffer, with NaN where there is no element.
fn matrix<T: Real>(rows: usize, columns: usize, lie: Lie, seed: usize) -> (Vec<T>, Matrix<T>) {
    let (start, row, column) = match lie {
        Lie::Rows => (0, columns as isize, 1),
        Lie::Columns => (0, 1, rows as isize),
        Lie::Apart => (3, 2 * columns as isize + 5, 2),
        Lie::Backwards => ((rows - 1) * columns, -(columns as isize), 1),
        Lie::Pages => (0, columns.next_multiple_of(1024) as isize, 1),
        Lie::PagesOfColumns => (0, 1, rows.next_multiple_of(1024) as isize),
    };
    let last = start as isize + (rows as isize - 1) * row.max(0) + (columns as isize - 1) * column;
    let mut buffer = vec![T::from_f64(f64::NAN); last as usize + 1];
    for i in 0..rows {
        for j in 0..columns {
            buffer[(start as isize + i as isize * row + j as isize * column) as usize] = T::from_f64(value(i, j, seed));
        }
    }
    let at = buffer.as_ptr().wrapping_add(start);
    (buffer, Matrix { at, row, column })
}

fn exact(m: usize, n: usize, k: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for p in 0..k {
            let x = value(i, p, 1);
            for j in 0..n {
                c[i * n + j] += x * value(p, j, 2);
            }
        }
    }
    c
}

/// Computes a product by the packed loops or by the bare kernel. Checks every element, that the packed loops finish
/// each exactly once, and that nothing beside C changes.
fn check<I: Isa, T: Real>(isa: I, [m, n, k]: [usize; 3], lies: [Lie; 2], threads: usize, add: bool, packed: bool) {
    let kernel = Direct::<I, T>::new(isa);
    let ((_a, a), (_b, b)) = (matrix::<T>(m, k, lies[0], 1), matrix::<T>(k, n, lies[1], 2));
    let ldc = n + 3;
    let start = 100.0;
    let mut c = vec![T::from_f64(start); m * ldc];
    let p = Product { m, n, k, a, b, c: Shared(c.as_mut_ptr()), ldc, add, beside: 1 };
    let finished = Mutex::new(vec![0; m * n]);
    let finish = |mut done: Written<T>| {
        let column = done.column;
        for (row, piece) in done.pieces() {
            for (j, x) in piece.iter_mut().enumerate() {
                *x = x.plus(T::ONE);
                finished.lock().unwrap()[row * n + column + j] += 1;
            }
        }
        Ok(())
    };
    // SAFETY: the matrices have these shapes and strides, and C has m rows of `ldc` elements.
    unsafe { if packed { product(&kernel, p, threads, Some(&finish)).unwrap() } else { kernel.bare(p).unwrap() } };
    let what = format!(
        "{m}x{n}x{k} {lies:?} of {} bytes, {threads} threads, add {add}, packed {packed}, {} registers",
        size_of::<T>(),
        I::REGISTERS
    );
    let before = if add { start } else { 0.0 } + f64::from(u8::from(packed));
    for (i, row) in c.chunks(ldc).enumerate() {
        for (j, x) in row.iter().enumerate() {
            let wanted = if j < n { exact_cache(m, n, k)[i * n + j] + before } else { start };
            assert_eq!(x.to_f64(), wanted, "{what}: ({i}, {j})");
        }
    }
    assert!(!packed || finished.into_inner().unwrap().iter().all(|&times| times == 1), "{what}");
}

/// Returns [`exact`], computed once per shape.
fn exact_cache(m: usize, n: usize, k: usize) -> std::sync::Arc<Vec<f64>> {
    type Known = Vec<([usize; 3], std::sync::Arc<Vec<f64>>)>;
    thread_local! {
        static LAST: std::cell::RefCell<Known> = const { std::cell::RefCell::new(Vec::new()) };
    }
    LAST.with_borrow_mut(|last| {
        if last.first().is_none_or(|(shape, _)| *shape != [m, n, k]) {
            *last = vec![([m, n, k], std::sync::Arc::new(exact(m, n, k)))];
        }
        last[0].1.clone()
    })
}

fn on_every_tier(shape: [usize; 3], lies: [Lie; 2], threads: usize, add: bool, packed: bool) {
    for name in NAMES {
        match Token::best(Some(name)).unwrap() {
            Token::Portable(isa) => (
                check::<_, f32>(isa, shape, lies, threads, add, packed),
                check::<_, f64>(isa, shape, lies, threads, add, packed),
            ),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(isa) => (
                check::<_, f32>(isa, shape, lies, threads, add, packed),
                check::<_, f64>(isa, shape, lies, threads, add, packed),
            ),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(isa) => (
                check::<_, f32>(isa, shape, lies, threads, add, packed),
                check::<_, f64>(isa, shape, lies, threads, add, packed),
            ),
        };
    }
}

const LIES: [Lie; 6] = [Lie::Rows, Lie::Columns, Lie::Apart, Lie::Backwards, Lie::Pages, Lie::PagesOfColumns];

#[test]
fn ragged_shapes_in_every_layout() {
    for shape in [[1, 1, 1], [2, 3, 5], [7, 33, 9], [14, 32, 17], [15, 31, 16], [13, 65, 40], [57, 19, 33], [100, 7, 3]]
    {
        for a in LIES {
            for b in LIES {
                on_every_tier(shape, [a, b], 1, false, true);
                on_every_tier(shape, [a, b], 1, true, false);
            }
        }
    }
}

#[test]
fn blocks_follow_each_other() {
    // More than one block along each axis on any machine: kc is at most 1024, and mc and nc follow from it.
    for (shape, lies) in [
        ([150, 70, 2100], [Lie::Columns, Lie::Columns]),
        ([70, 600, 1100], [Lie::Rows, Lie::Rows]),
        ([600, 60, 40], [Lie::Apart, Lie::Columns]),
        ([40, 70, 1500], [Lie::Pages, Lie::PagesOfColumns]),
    ] {
        on_every_tier(shape, lies, 1, false, true);
        on_every_tier(shape, lies, 1, true, true);
    }
}

#[test]
fn threads_share_a_product_by_rows_and_columns() {
    for threads in [2, 3, 4, 7] {
        for shape in [[200, 40, 70], [40, 300, 50], [90, 90, 90]] {
            on_every_tier(shape, [Lie::Rows, Lie::Columns], threads, false, true);
        }
    }
}

#[test]
fn cuts_balance_what_the_largest_part_takes() {
    assert_eq!(grid([14, 32], [4096, 32], 2), [2, 1]);
    assert_eq!(grid([14, 32], [32, 4096], 2), [1, 2]);
    assert_eq!(grid([14, 32], [4096, 4096], 16), [4, 4]);
    assert_eq!(grid([14, 32], [10, 10], 1), [1, 1]);
}

/// Checks packed products of another kernel: `make` makes an element of two small integers, `exact` multiplies two
/// elements and adds the product to a sum.
pub(super) fn check_kernel<K: Kernel<Sum: PartialEq + std::fmt::Debug + Send + Sync>>(
    kernel: &K,
    [m, n, k]: [usize; 3],
    make: impl Fn(i64, i64) -> K::Element,
    exact: impl Fn(Option<K::Sum>, K::Element, K::Element) -> K::Sum,
) {
    let small = |i: usize, j: usize, seed: usize| make(value(i, j, seed) as i64, value(i, j, seed + 3) as i64);
    for columns_first in [false, true] {
        let lay = |rows: usize, columns: usize, seed: usize| -> (Vec<K::Element>, [isize; 2]) {
            let at = |x: usize| if columns_first { (x % rows, x / rows) } else { (x / columns, x % columns) };
            let buffer = (0..rows * columns).map(|x| small(at(x).0, at(x).1, seed)).collect();
            (buffer, if columns_first { [1, rows as isize] } else { [columns as isize, 1] })
        };
        let ((a, [a_row, a_column]), (b, [b_row, b_column])) = (lay(m, k, 1), lay(k, n, 2));
        let zero = exact(None, make(0, 0), make(0, 0));
        let mut c = vec![zero; m * n];
        let p = Product {
            m,
            n,
            k,
            a: Matrix { at: a.as_ptr(), row: a_row, column: a_column },
            b: Matrix { at: b.as_ptr(), row: b_row, column: b_column },
            c: Shared(c.as_mut_ptr()),
            ldc: n,
            add: false,
            beside: 1,
        };
        // SAFETY: the matrices have these shapes and strides.
        unsafe { product(kernel, p, 2, None).unwrap() };
        for i in 0..m {
            for j in 0..n {
                let sum = (0..k).fold(None, |sum, p| Some(exact(sum, small(i, p, 1), small(p, j, 2))));
                assert_eq!(Some(c[i * n + j]), sum, "({i}, {j}) of {m}x{n}x{k}, columns first {columns_first}");
            }
        }
    }
}

#[test]
fn other_kernels_multiply_every_block() {
    use polyarray_core::{Complex, bf16, f16};
    fn all<I: Isa>(isa: I) {
        for shape in [
            [1, 1, 1],
            [7, 19, 5],
            [40, 70, 33],
            [9, 35, 2500],
            [530, 1, 70],
            [1, 270, 1100],
            [259, 3, 9],
            [2, 300, 37],
        ] {
            let complex = |sum: Option<Complex<f64>>, a, b| sum.unwrap_or_default() + a * b;
            check_kernel(&Interleaved::<I, f64>::new(isa), shape, |re, im| Complex::new(re as f64, im as f64), complex);
            let complex = |sum: Option<Complex<f32>>, a, b| sum.unwrap_or_default() + a * b;
            check_kernel(&Interleaved::<I, f32>::new(isa), shape, |re, im| Complex::new(re as f32, im as f32), complex);
            check_kernel(
                &Integers::<I, i8>::new(isa),
                shape,
                |x, y| (x * 37 + y) as i8,
                |s, a, b| s.unwrap_or(0).wrapping_add(a.wrapping_mul(b)),
            );
            check_kernel(
                &Integers::<I, u16>::new(isa),
                shape,
                |x, y| (x * 9999 + y) as u16,
                |s, a, b| s.unwrap_or(0).wrapping_add(a.wrapping_mul(b)),
            );
            check_kernel(
                &Integers::<I, u64>::new(isa),
                shape,
                |x, y| (x << 60 | y) as u64,
                |s, a, b| s.unwrap_or(0).wrapping_add(a.wrapping_mul(b)),
            );
            let wide = |s: Option<f32>, a: f16, b: f16| s.unwrap_or(0.0) + a.to_f32() * b.to_f32();
            check_kernel(&Halves::<I, f16>::new(isa), shape, |x, _| f16::from_f32(x as f32), wide);
            let wide = |s: Option<f32>, a: bf16, b: bf16| s.unwrap_or(0.0) + a.to_f32() * b.to_f32();
            check_kernel(&Halves::<I, bf16>::new(isa), shape, |x, _| bf16::from_f32(x as f32), wide);
        }
    }
    for name in NAMES {
        match Token::best(Some(name)).unwrap() {
            Token::Portable(isa) => all(isa),
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(isa) => all(isa),
            #[cfg(target_arch = "x86_64")]
            Token::Avx512(isa) => all(isa),
        }
    }
}
