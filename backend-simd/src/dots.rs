//! Products of few rows and few columns over a large depth, along which both lie contiguous: the dot products of blocks
//! that stay in the cache. Packing them into panels would take longer.

use crate::gemm::{Finish, Product, Written};
use crate::lanes::{Isa, Real};
use crate::matvec::MatVec;
use crate::scratch::filled;
use crate::threads::{Shared, split};
use polyarray_core::Result;

/// The most rows, and the most columns.
const FEW: usize = 8;
/// The depth of a block. Its rows and columns fit into most second-level caches: at most 512 KiB of f64.
const BLOCK: usize = 4096;

/// Returns whether [`run`] computes this product, and is faster than other methods.
pub(crate) fn suits<T>(p: &Product<T, T>) -> bool {
    p.m.max(p.n) <= FEW && p.k >= BLOCK / 2 && p.a.column == 1 && p.b.row == 1 && !p.add
}

/// Computes a product that [`suits`]. The result does not depend on the number of threads.
///
/// # Safety
/// - as [`product`](crate::gemm::product).
pub(crate) unsafe fn run<I: Isa, T: Real>(
    isa: I,
    p: Product<T, T>,
    threads: usize,
    finish: Option<Finish<T>>,
) -> Result<()> {
    let (zero, size) = (T::from_f64(0.0), p.m * p.n);
    let blocks = p.k.div_ceil(BLOCK);
    let mut parts: Vec<T> = filled(blocks * size, zero)?;
    let to = Shared(parts.as_mut_ptr());
    split(threads, blocks, 4, |range| {
        for block in range {
            let (first, k) = (block * BLOCK, BLOCK.min(p.k - block * BLOCK));
            for j in 0..p.n {
                // SAFETY: each block has `size` elements of `parts`, and threads have disjoint ranges of blocks.
                let y = unsafe { std::slice::from_raw_parts_mut(to.get().add(block * size + j * p.m), p.m) };
                // The rows of A and the column of B have `k` contiguous elements there (`suits`).
                isa.enter(MatVec { matrix: p.a.from(0, first), x: p.b.from(first, j).at, k, y });
            }
        }
        Ok(())
    })?;
    for (i, j) in (0..p.m).flat_map(|i| (0..p.n).map(move |j| (i, j))) {
        let sum = parts.chunks_exact(size).fold(zero, |sum, part| sum.plus(part[j * p.m + i]));
        // SAFETY: this is an element of C, which the caller guarantees and no other thread accesses.
        unsafe { *p.c.get().add(i * p.ldc + j) = sum };
    }
    let Some(finish) = finish else { return Ok(()) };
    // SAFETY: all of C, which has just been written and which no other thread accesses.
    finish(unsafe { Written::new([0, 0], p.c.get(), p.ldc, [p.m, p.n]) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::Matrix;
    use crate::tier::{NAMES, Token};

    #[test]
    fn blocks_of_dot_products_add_up() {
        fn check<I: Isa>(isa: I) {
            for [m, n, k] in [[1, 8, 2048], [4, 4, 4097], [8, 3, 20_001], [3, 2, 40_000]] {
                let number = |i: usize, j: usize| ((i * 31 + j * 7) % 11) as f64 - 5.0;
                let lines = |count: usize, seed: usize| -> Vec<f64> {
                    (0..count * (k + 3)).map(|x| number(x / (k + 3) + seed, x % (k + 3))).collect()
                };
                let (a, b) = (lines(m, 0), lines(n, 5));
                let row = (k + 3) as isize;
                let wanted = |i: usize, j: usize| (0..k).map(|q| number(i, q) * number(j + 5, q)).sum::<f64>() + 0.5;
                for threads in [1, 2, 5] {
                    let mut c = vec![f64::NAN; m * (n + 1)];
                    let p = Product {
                        m,
                        n,
                        k,
                        a: Matrix { at: a.as_ptr(), row, column: 1 },
                        b: Matrix { at: b.as_ptr(), row: 1, column: row },
                        c: Shared(c.as_mut_ptr()),
                        ldc: n + 1,
                        add: false,
                        beside: 1,
                    };
                    assert!(suits(&p));
                    let finish = |mut done: Written<f64>| {
                        done.pieces().for_each(|(_, row)| row.iter_mut().for_each(|x| *x += 0.5));
                        Ok(())
                    };
                    // SAFETY: the matrices have these shapes and strides.
                    unsafe { run(isa, p, threads, Some(&finish)).unwrap() };
                    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                        assert_eq!(c[i * (n + 1) + j], wanted(i, j), "({i}, {j}) of {m}x{n}x{k}, {threads} threads");
                    }
                }
            }
        }
        for name in NAMES {
            match Token::best(Some(name)).unwrap() {
                Token::Portable(isa) => check(isa),
                #[cfg(target_arch = "x86_64")]
                Token::Avx2(isa) => check(isa),
                #[cfg(target_arch = "x86_64")]
                Token::Avx512(isa) => check(isa),
            }
        }
    }
}
