//! Products with few rows or columns, of integers and complex numbers. The tiles of their kernels would be almost
//! empty, so that each element of the large matrix is multiplied where it lies.

use super::{Finish, Integer, Matrix, Product, SEGMENT, Widen, Written};
use crate::lanes::{Isa, Work};
use crate::scratch::Scratch;
use crate::threads::split;
use polyarray_core::{Complex, Result};
use std::marker::PhantomData;

/// The most columns of a product that is computed in this way.
const COLUMNS: usize = 4;
/// The most rows.
const ROWS: usize = 2;
/// The number of results that are computed at once; their sums stay in the first-level cache.
const STRIP: usize = 256;
/// The least number of results for a thread.
const UNIT: usize = 8;
/// The number of columns of the large matrix that are multiplied before those of the next strip: bounds the memory.
const DEPTH: usize = 1 << 14;
/// The number of sums of a dot product of complex numbers that do not wait for each other.
const SUMS: usize = 32;
/// With fewer columns, a matrix whose rows and columns are both contiguous (windows that overlap) is read by columns.
const SHORT: usize = 128;

/// A number whose products are added up in type `Wide`, and stored as `C`.
pub(crate) trait Summand<C>: Copy + Send + Sync + 'static {
    type Wide: Copy + Send + Sync;
    const ZERO: Self::Wide;
    fn widen(self) -> Self::Wide;
    /// Returns `sum + a * b`.
    fn plus_product(sum: Self::Wide, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn plus(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn store(sum: Self::Wide) -> C;
    fn load(stored: C) -> Self::Wide;
    /// Returns the sum of the products of `a` and `x`, which are equally long.
    fn dot(a: &[Self], x: &[Self::Wide]) -> Self::Wide;
}

impl<T: Integer, C: Integer<Wide = T::Wide>> Summand<C> for T {
    type Wide = T::Wide;
    const ZERO: T::Wide = <T as Widen>::ZERO;
    #[inline(always)]
    fn widen(self) -> T::Wide {
        Widen::widen(self)
    }
    #[inline(always)]
    fn plus_product(sum: T::Wide, a: T::Wide, b: T::Wide) -> T::Wide {
        super::integer::Wide::plus_product(sum, a, b)
    }
    #[inline(always)]
    fn plus(a: T::Wide, b: T::Wide) -> T::Wide {
        super::integer::Wide::plus(a, b)
    }
    #[inline(always)]
    fn store(sum: T::Wide) -> C {
        C::narrow(sum)
    }
    #[inline(always)]
    fn load(stored: C) -> T::Wide {
        stored.widen()
    }
    #[inline(always)]
    fn dot(a: &[T], x: &[T::Wide]) -> T::Wide {
        // Sums of integers have any order, so the compiler uses vectors.
        a.iter()
            .zip(x)
            .fold(<T as Widen>::ZERO, |sum, (a, &x)| <T as Summand<C>>::plus_product(sum, Widen::widen(*a), x))
    }
}

macro_rules! complex {
    ($($F:ident)*) => { $(
        impl Summand<Complex<$F>> for Complex<$F> {
            type Wide = Complex<$F>;
            const ZERO: Complex<$F> = Complex::new(0.0, 0.0);
            #[inline(always)]
            fn widen(self) -> Complex<$F> {
                self
            }
            #[inline(always)]
            fn plus_product(sum: Complex<$F>, a: Complex<$F>, b: Complex<$F>) -> Complex<$F> {
                Complex::new(sum.re + (a.re * b.re - a.im * b.im), sum.im + (a.re * b.im + a.im * b.re))
            }
            #[inline(always)]
            fn plus(a: Complex<$F>, b: Complex<$F>) -> Complex<$F> {
                a + b
            }
            #[inline(always)]
            fn store(sum: Complex<$F>) -> Complex<$F> {
                sum
            }
            #[inline(always)]
            fn load(stored: Complex<$F>) -> Complex<$F> {
                stored
            }
            #[inline(always)]
            fn dot(a: &[Complex<$F>], x: &[Complex<$F>]) -> Complex<$F> {
                let mut sums = [Complex::new(0.0, 0.0); SUMS];
                let (a_parts, x_parts) = (a.chunks_exact(SUMS), x.chunks_exact(SUMS));
                let rest = a_parts.remainder().iter().zip(x_parts.remainder());
                for (a, x) in a_parts.zip(x_parts) {
                    for i in 0..SUMS {
                        sums[i] = Self::plus_product(sums[i], a[i], x[i]);
                    }
                }
                sums.iter_mut().zip(rest).for_each(|(sum, (&a, &x))| *sum = Self::plus_product(*sum, a, x));
                let mut half = SUMS / 2;
                while half > 0 {
                    for i in 0..half {
                        sums[i] += sums[i + half];
                    }
                    half /= 2;
                }
                sums[0]
            }
        }
    )* };
}
complex!(f32 f64);

/// Returns whether [`run`] is faster than tiles.
pub(super) fn is_slim<T, C>(p: &Product<T, C>) -> bool {
    p.n <= COLUMNS || p.m <= ROWS
}

/// Computes a product as [`product`](super::product) does.
///
/// # Safety
/// - as [`product`](super::product).
pub(super) unsafe fn run<I: Isa, T: Summand<C>, C: Copy + Send + Sync>(
    isa: I,
    p: Product<T, C>,
    threads: usize,
    finish: Option<Finish<C>>,
) -> Result<()> {
    for first in (0..p.k).step_by(DEPTH) {
        let k = DEPTH.min(p.k - first);
        let part = Product { k, a: p.a.from(0, first), b: p.b.from(first, 0), add: p.add || first > 0, ..p };
        // SAFETY: a part of the product's depth, for which the caller guarantees the same.
        unsafe { some_depth(isa, part, threads, finish.filter(|_| first + k == p.k))? };
    }
    Ok(())
}

/// As [`run`], for at most [`DEPTH`] columns of A.
///
/// # Safety
/// - as [`product`](super::product).
unsafe fn some_depth<I: Isa, T: Summand<C>, C: Copy + Send + Sync>(
    isa: I,
    p: Product<T, C>,
    threads: usize,
    finish: Option<Finish<C>>,
) -> Result<()> {
    // A product with few rows is the transpose of one with few columns.
    let turned = p.n > COLUMNS;
    let (matrix, rows) = if turned { (p.b.transposed(), p.n) } else { (p.a, p.m) };
    let (vectors, count) = if turned { (p.a.transposed(), p.m) } else { (p.b, p.n) };
    let [row, column] = if turned { [1, p.ldc] } else { [p.ldc, 1] };
    let (a, k) = (matrix, p.k);
    // The vectors one after another, widened.
    let mut widened = Scratch::new(count * k * size_of::<T::Wide>())?;
    let x = widened.ptr().cast::<T::Wide>();
    for (j, i) in (0..count).flat_map(|j| (0..k).map(move |i| (j, i))) {
        // SAFETY: the element is inside its matrix (the caller guarantees it), and the scratch has room for all.
        unsafe { x.add(j * k + i).write((*vectors.from(i, j).at).widen()) };
    }
    // SAFETY: all `count * k` elements have been written, and nothing writes them meanwhile.
    let x = unsafe { std::slice::from_raw_parts(x.cast_const(), count * k) };
    split(threads, rows, (rows / threads).clamp(UNIT, STRIP), |range| {
        for first in range.clone().step_by(STRIP) {
            let n = STRIP.min(range.end - first);
            for (j, x) in x.chunks_exact(k).enumerate() {
                let mut sums = [T::ZERO; STRIP];
                let part = a.from(first, 0);
                isa.enter(Part::<T, C> { a: part, x, sums: &mut sums[..n], stored: PhantomData });
                for (i, &sum) in sums[..n].iter().enumerate() {
                    // SAFETY: this is an element of C (the caller guarantees them), which no other thread accesses,
                    // because threads have disjoint ranges of rows of the large matrix.
                    unsafe {
                        let to = p.c.get().add((first + i) * row + j * column);
                        *to = T::store(if p.add { T::plus(T::load(*to), sum) } else { sum });
                    }
                }
            }
            let Some(finish) = finish else { continue };
            let (corner, shape) = if turned { ([0, first], [count, n]) } else { ([first, 0], [n, count]) };
            // SAFETY: these elements of C have just been written, and no other thread accesses them.
            finish(unsafe { Written::new(corner, p.c.get().add(first * row), p.ldc, shape) })?;
        }
        Ok(())
    })
}

/// The products of some rows of a matrix and a vector.
///
/// Invariant: the matrix is valid for reads of `[sums.len(), x.len()]`, and there are at most [`STRIP`] sums.
struct Part<'a, T: Summand<C>, C> {
    a: Matrix<T>,
    x: &'a [T::Wide],
    sums: &'a mut [T::Wide],
    stored: PhantomData<C>,
}

impl<T: Summand<C>, C> Work for Part<'_, T, C> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Part { a, x, sums, .. } = self;
        if a.row == 1 && (a.column != 1 || x.len() < SHORT) {
            return by_columns::<T, C>(a, x, sums);
        }
        for (r, sum) in sums.iter_mut().enumerate() {
            let a = a.from(r, 0);
            // SAFETY: the row has `x.len()` elements (the invariant), which are contiguous in the first case.
            *sum = unsafe {
                if a.column == 1 {
                    T::dot(std::slice::from_raw_parts(a.at, x.len()), x)
                } else {
                    // The sum of each segment by itself, as in `by_columns`.
                    x.chunks(SEGMENT).enumerate().fold(T::ZERO, |total, (s, x)| {
                        let a = a.from(0, s * SEGMENT);
                        let product = |sum, (i, &x)| T::plus_product(sum, (*a.from(0, i).at).widen(), x);
                        T::plus(total, x.iter().enumerate().fold(T::ZERO, product))
                    })
                }
            };
        }
    }
}

/// Adds the multiples of columns, which are contiguous, four at a time; those of each segment of columns by themselves.
#[inline(always)]
fn by_columns<T: Summand<C>, C>(a: Matrix<T>, x: &[T::Wide], totals: &mut [T::Wide]) {
    let n = totals.len();
    totals.fill(T::ZERO);
    for (s, x) in x.chunks(SEGMENT).enumerate() {
        let mut sums = [T::ZERO; STRIP];
        let sums = &mut sums[..n];
        // SAFETY: the matrix has `n` rows and a column for each element of x (the invariant of `Part`).
        let column = |j: usize| unsafe { std::slice::from_raw_parts(a.from(0, s * SEGMENT + j).at, n) };
        let whole = x.len() / 4 * 4;
        for j in (0..whole).step_by(4) {
            let (columns, x): ([&[T]; 4], [T::Wide; 4]) =
                (std::array::from_fn(|c| column(j + c)), std::array::from_fn(|c| x[j + c]));
            for (i, sum) in sums.iter_mut().enumerate() {
                for c in 0..4 {
                    *sum = T::plus_product(*sum, columns[c][i].widen(), x[c]);
                }
            }
        }
        for (j, &x) in x.iter().enumerate().skip(whole) {
            sums.iter_mut().zip(column(j)).for_each(|(sum, a)| *sum = T::plus_product(*sum, a.widen(), x));
        }
        totals.iter_mut().zip(sums).for_each(|(total, sum)| *total = T::plus(*total, *sum));
    }
}
