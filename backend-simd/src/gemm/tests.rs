//! Products on every tier, of integers that floats hold exactly, against plain loops.

use super::*;
use crate::lanes::{Isa, Real};
use crate::tier::{NAMES, Tier};
use std::sync::Mutex;

/// Small integers, different everywhere.
fn value(i: usize, j: usize, seed: usize) -> f64 {
    ((i * 31 + j * 17 + seed * 7) % 13) as f64 - 6.0
}

/// How the elements of a matrix lie in a buffer.
#[derive(Clone, Copy, Debug)]
enum Lie {
    Rows,
    Columns,
    /// Every second element of rows that are further apart.
    Apart,
    /// Rows from the last to the first.
    Backwards,
}

/// A matrix that lies so, and the buffer it is in: NaN where no element is.
fn matrix<T: Real>(rows: usize, columns: usize, lie: Lie, seed: usize) -> (Vec<T>, Matrix<T>) {
    let (start, row, column) = match lie {
        Lie::Rows => (0, columns as isize, 1),
        Lie::Columns => (0, 1, rows as isize),
        Lie::Apart => (3, 2 * columns as isize + 5, 2),
        Lie::Backwards => ((rows - 1) * columns, -(columns as isize), 1),
    };
    let mut buffer = vec![T::from_f64(f64::NAN); rows * (2 * columns + 5) + 8];
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

/// A product by the packed loops, or without them: every element once finished, nothing beside C touched.
fn check<I: Isa, T: Real>(isa: I, [m, n, k]: [usize; 3], lies: [Lie; 2], threads: usize, add: bool, packed: bool) {
    let kernel = Direct::<I, T>::new(isa);
    let ((_a, a), (_b, b)) = (matrix::<T>(m, k, lies[0], 1), matrix::<T>(k, n, lies[1], 2));
    let ldc = n + 3;
    let start = 100.0;
    let mut c = vec![T::from_f64(start); m * ldc];
    let p = Product { m, n, k, a, b, c: Shared(c.as_mut_ptr()), ldc, add };
    let finished = Mutex::new(vec![0; m * n]);
    let finish = |row: usize, column: usize, piece: &mut [T]| {
        for (j, x) in piece.iter_mut().enumerate() {
            *x = x.plus(T::ONE);
            finished.lock().unwrap()[row * n + column + j] += 1;
        }
        Ok(())
    };
    // SAFETY: the matrices have these shapes and strides, C has m rows of `ldc` elements.
    unsafe { if packed { product(&kernel, p, threads, Some(&finish)).unwrap() } else { kernel.bare(p).unwrap() } };
    let what = format!("{m}x{n}x{k} {lies:?} of {} bytes, {threads} threads, add {add}, packed {packed}, {} registers", size_of::<T>(), I::REGISTERS);
    let before = if add { start } else { 0.0 } + f64::from(u8::from(packed));
    for (i, row) in c.chunks(ldc).enumerate() {
        for (j, x) in row.iter().enumerate() {
            let wanted = if j < n { exact_cache(m, n, k)[i * n + j] + before } else { start };
            assert_eq!(x.to_f64(), wanted, "{what}: ({i}, {j})");
        }
    }
    assert!(!packed || finished.into_inner().unwrap().iter().all(|&times| times == 1), "{what}");
}

/// [`exact`], computed once for a shape.
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
        match Tier::best(Some(name)).unwrap() {
            Tier::Portable(isa) => (check::<_, f32>(isa, shape, lies, threads, add, packed), check::<_, f64>(isa, shape, lies, threads, add, packed)),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx2(isa) => (check::<_, f32>(isa, shape, lies, threads, add, packed), check::<_, f64>(isa, shape, lies, threads, add, packed)),
            #[cfg(target_arch = "x86_64")]
            Tier::Avx512(isa) => (check::<_, f32>(isa, shape, lies, threads, add, packed), check::<_, f64>(isa, shape, lies, threads, add, packed)),
        };
    }
}

const LIES: [Lie; 4] = [Lie::Rows, Lie::Columns, Lie::Apart, Lie::Backwards];

#[test]
fn ragged_shapes_in_every_layout() {
    for shape in [[1, 1, 1], [2, 3, 5], [7, 33, 9], [14, 32, 17], [15, 31, 16], [13, 65, 40], [57, 19, 33], [100, 7, 3]] {
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
    // More than a block along each axis, on any machine: kc is at most 1024, mc and nc follow from it.
    for (shape, lies) in
        [([150, 70, 2100], [Lie::Columns, Lie::Columns]), ([70, 600, 1100], [Lie::Rows, Lie::Rows]), ([600, 60, 40], [Lie::Apart, Lie::Columns])]
    {
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
    assert_eq!(grid([14, 32], [4096, 32, 4096], 2), [2, 1]);
    assert_eq!(grid([14, 32], [32, 4096, 4096], 2), [1, 2]);
    assert_eq!(grid([14, 32], [4096, 4096, 4096], 16), [4, 4]);
    assert_eq!(grid([14, 32], [10, 10, 10], 1), [1, 1]);
}
