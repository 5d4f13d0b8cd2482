//! Products of floats: mantissas are multiplied, exponents are added, and both are assembled at the end.
//!
//! The mantissas of normal numbers are in [1, 2). A lane of a block has at most [`ROWS`](polyarray_core::order::ROWS)
//! of them, so that their product is below 2^64 and needs no intermediate checks. Blocks with zeros, subnormal numbers,
//! infinities or NaN are recognized by their exponents. A slower kernel, which handles such numbers, reads them again.

use super::fold::{Prod, halves};
use super::kind::{Kept, Kind, State, lanes_of};
use super::moments::{Packed, RowsAt};
use crate::lanes::{Bits, Exponents, Float, Isa, Lanes, Mask, Numbers, Real, Work};
use polyarray_core::order::{Multiply, Product, SHORT};
use polyarray_core::{Element, Wide};
use std::ops::Range;

impl<T: Multiply + Send + Sync> State for Product<T> {
    type Gives = T;
    fn give(self) -> T {
        T::value(self)
    }
}

/// A float whose exponent is stored separately.
pub(super) trait Apart: Real + Multiply + Send + Sync {
    /// The exponent bias.
    const BIAS: i64;
    /// The exponent of the power of two by which subnormal numbers are multiplied.
    const RAISE: i64;
    const SMALLEST_NORMAL: Self;
    /// Returns the float with the bits of an integer.
    fn of_int(x: i64) -> Self;
    /// Returns the bits as an integer.
    fn to_int(self) -> i64;
    /// Returns the magnitudes, other than 0, of parts that [`Multiply::plainly`] multiplies.
    fn moderate() -> Range<Self>;
}

macro_rules! apart {
    ($($T:ident $bits:ident $int:ident $bias:literal $raise:literal;)*) => { $(
        impl Apart for $T {
            const BIAS: i64 = $bias;
            const RAISE: i64 = $raise;
            const SMALLEST_NORMAL: $T = $T::MIN_POSITIVE;
            #[inline(always)]
            fn of_int(x: i64) -> $T {
                $T::from_bits(x as $bits)
            }
            #[inline(always)]
            fn to_int(self) -> i64 {
                self.to_bits() as $int as i64
            }
            #[inline(always)]
            fn moderate() -> Range<$T> {
                let quarter = $bias / 4;
                $T::from_bits(($bias - quarter) << ($T::MANTISSA_DIGITS - 1))
                    ..$T::from_bits(($bias + quarter) << ($T::MANTISSA_DIGITS - 1))
            }
        }
    )* };
}
apart! {
    f32 u32 i32 127 24;
    f64 u64 i64 1023 54;
}

/// The number of vectors that are processed at once. Their mantissas and exponents stay in registers.
const AT_ONCE: usize = 4;

/// Multiplies the elements of rows, column by column. For each column the results are a mantissa in [1, 2) (or zero,
/// infinite, NaN), and the sum of the biased exponents of the rows and of the product of the mantissas. Exponents are
/// integers in the bits of floats.
struct Columns<'a, T, R> {
    rows: R,
    n: usize,
    mantissas: &'a mut [T],
    exponents: &'a mut [T],
}

/// The constants of [`Columns`] in vectors.
struct Constants<V> {
    one: V,
    /// Its bits mask the exponent.
    infinity: V,
    zero: V,
}

impl<T: Apart, R: RowsAt<T>> Columns<'_, T, R> {
    /// Processes `V` vectors of columns from `first` on. Returns whether the results may be wrong, which is possible
    /// only if not `CAREFUL`.
    ///
    /// # Safety
    /// - These columns exist in every row and in the results.
    #[inline(always)]
    unsafe fn some<I: Isa, const V: usize, const CAREFUL: bool>(&mut self, isa: I, first: usize) -> bool {
        let c = |x: f64| T::V::<I>::splat(isa, T::from_f64(x));
        let k = Constants { one: c(1.0), infinity: c(f64::INFINITY), zero: c(0.0) };
        let (mut m, mut e) = ([k.one; V], [k.zero; V]);
        let (mut least, mut most) = (k.one, k.one);
        let width = <T::V<I> as Lanes>::N;
        for row in 0..self.rows.count() {
            for v in 0..V {
                // SAFETY: the columns exist in every row, which the caller guarantees, and row is less than the count.
                let x = unsafe { T::V::<I>::load(isa, self.rows.at(row).add(first + v * width)) };
                if CAREFUL {
                    let (mantissa, exponent) = carefully::<T, I>(isa, &k, x);
                    (m[v], e[v]) = (m[v].mul(mantissa), e[v].int_add(exponent));
                } else {
                    let power = x.bit_and(k.infinity);
                    (least, most) = (least.min(power), most.max(power));
                    m[v] = m[v].mul(x.bit_xor(power).bit_or(k.one));
                    e[v] = e[v].int_add(power.shr_mantissa());
                }
            }
        }
        for v in 0..V {
            let (mantissa, exponent) = if CAREFUL {
                carefully::<T, I>(isa, &k, m[v])
            } else {
                let power = m[v].bit_and(k.infinity);
                (m[v].bit_xor(power).bit_or(k.one), power.shr_mantissa())
            };
            let at = first + v * width;
            // SAFETY: the columns exist in the results, which the caller guarantees.
            unsafe {
                mantissa.store(self.mantissas.as_mut_ptr().add(at));
                e[v].int_add(exponent).store(self.exponents.as_mut_ptr().add(at));
            }
        }
        !CAREFUL && least.eq(k.zero).or(most.eq(k.infinity)).any()
    }

    /// Processes `V` vectors of columns from `first` on, a second time with `CAREFUL` if necessary.
    ///
    /// # Safety
    /// - As [`some`](Self::some).
    #[inline(always)]
    unsafe fn vectors<I: Isa, const V: usize>(&mut self, isa: I, first: usize) {
        // SAFETY: the columns exist in every row and in the results, which the caller guarantees.
        unsafe {
            if self.some::<I, V, false>(isa, first) {
                self.some::<I, V, true>(isa, first);
            }
        }
    }
}

/// Returns the mantissa of any number and its biased exponent, which is less than 1 for subnormal numbers. Zeros,
/// infinities and NaN are their own mantissas.
#[inline(always)]
fn carefully<T: Apart, I: Isa>(isa: I, k: &Constants<T::V<I>>, x: T::V<I>) -> (T::V<I>, T::V<I>) {
    let little = x.abs().lt(T::V::<I>::splat(isa, T::SMALLEST_NORMAL));
    let x = Bits::select(little, x.mul(T::V::<I>::splat(isa, T::from_f64((1u64 << T::RAISE) as f64))), x);
    let power = x.bit_and(k.infinity);
    let special = power.eq(k.zero).or(power.eq(k.infinity));
    let less = Bits::select(little, T::V::<I>::splat(isa, T::of_int(T::RAISE)), k.zero);
    (Bits::select(special, x, x.bit_xor(power).bit_or(k.one)), power.shr_mantissa().int_sub(less))
}

impl<T: Apart, R: RowsAt<T>> Work for Columns<'_, T, R> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        let (n, width) = (self.n, <T::V<I> as Lanes>::N);
        assert!(self.mantissas.len() >= n && self.exponents.len() >= n);
        let mut done = 0;
        // SAFETY: the columns are below n. The results have n elements, as asserted, and the rows have n elements,
        // which the creator of `rows` guarantees.
        unsafe {
            while n - done >= AT_ONCE * width {
                self.vectors::<I, AT_ONCE>(isa, done);
                done += AT_ONCE * width;
            }
            while n - done >= width {
                self.vectors::<I, 1>(isa, done);
                done += width;
            }
            if done < n && n >= width {
                // The last vector overlaps columns that are already done. They get the same results again.
                self.vectors::<I, 1>(isa, n - width);
                return;
            }
            for i in done..n {
                let product = (0..self.rows.count())
                    .map(|row| (*self.rows.at(row).add(i)).factor())
                    .fold(T::ONE.factor(), T::join);
                self.mantissas[i] = product.mantissa;
                self.exponents[i] = T::of_int(product.exponent + (self.rows.count() as i64 + 1) * T::BIAS);
            }
        }
    }
}

/// Returns the results of [`Columns`] for one column of `rows` rows as a product.
#[inline(always)]
fn joined<T: Apart>(mantissa: T, exponent: T, rows: usize) -> Product<T> {
    Product { mantissa, exponent: exponent.to_int() - (rows as i64 + 1) * T::BIAS }
}

/// The reduction to products.
pub(super) struct Products;

/// The number of lanes of a block of f32, which is the largest of all float types.
const MOST_LANES: usize = 64;

/// The product of a block in lanes.
struct Block<T>(*const T, usize);

impl<T: Apart> Work for Block<T> {
    type Out = Product<T>;
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Product<T> {
        let Block(src, n) = self;
        let lanes = lanes_of::<T>();
        let whole = n / lanes;
        let (mut mantissas, mut exponents) = ([T::ONE; MOST_LANES], [T::of_int(T::BIAS); MOST_LANES]);
        let mut exponent = 0;
        if whole > 0 {
            let rows = Packed { first: src, width: lanes, count: whole };
            Columns { rows, n: lanes, mantissas: &mut mantissas, exponents: &mut exponents }.run(isa);
            exponent =
                exponents[..lanes].iter().map(|e| e.to_int()).sum::<i64>() - (lanes * (whole + 1)) as i64 * T::BIAS;
        }
        for i in whole * lanes..n {
            // SAFETY: i < n, and n elements are readable by the contracts of `block` and `short`.
            let factor = unsafe { (*src.add(i)).factor() };
            let lane = &mut mantissas[i - whole * lanes];
            let product = T::join(Product { mantissa: *lane, exponent: 0 }, factor);
            *lane = product.mantissa;
            exponent += product.exponent;
        }
        // Unused lanes are ones. Mantissas below 2 have a product below 2^64.
        let used = if whole > 0 { lanes } else { n.next_power_of_two() };
        let mut half = used / 2;
        while half > 0 {
            for l in 0..half {
                mantissas[l] = mantissas[l].times(mantissas[l + half]);
            }
            half /= 2;
        }
        let Product { mantissa, exponent: more } = mantissas[0].factor();
        Product { mantissa, exponent: exponent + more }
    }
}

/// Returns 1 as a product.
pub(super) fn one<T: Element + Multiply>() -> Product<T> {
    T::from_wide(Wide::Int(1)).factor()
}

/// Computes the product of `n` elements that are `step` apart, in sequence.
///
/// # Safety
/// - The elements are valid for reads.
pub(super) unsafe fn in_sequence<T: Element + Multiply>(src: *const T, n: usize, step: usize) -> Product<T> {
    // SAFETY: i < n, and the caller guarantees that the elements are readable.
    (0..n).fold(one(), |product, i| T::times(product, unsafe { *src.add(i * step) }))
}

/// Outputs of one block each.
struct Short<T> {
    src: *const T,
    step: isize,
    n: usize,
    count: usize,
    out: *mut Product<T>,
}

impl<T: Apart> Work for Short<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for i in 0..self.count {
            let src = self.src.wrapping_offset(i as isize * self.step);
            // SAFETY: the blocks are readable and `out` has room for `count` results, by the contract of `Kind::short`.
            unsafe {
                self.out.add(i).write(if self.n <= SHORT {
                    in_sequence(src, self.n, 1)
                } else {
                    isa.enter(Block(src, self.n))
                })
            };
        }
    }
}

impl<T: Apart> Kind<T> for Products
where
    Prod: super::fold::Combine<T>,
{
    type State = Product<T>;
    // 64 rows of this size stay in the second-level cache until they are read again.
    const ROW_BYTES: usize = 4 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize, _: usize, _: Option<Product<T>>) -> Product<T> {
        // SAFETY: n elements are readable, which the caller guarantees.
        if n <= SHORT { unsafe { in_sequence(src, n, 1) } } else { isa.enter(Block(src, n)) }
    }

    #[inline(always)]
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut Product<T>) {
        Short { src, step, n, count, out }.run(isa);
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(isa: I, kept: &mut Kept, rows: &[*const T], n: usize, _: usize, out: *mut Product<T>) {
        let (mantissas, exponents) = kept.elements::<T>(2 * n).split_at_mut(n);
        Columns { rows, n, mantissas: &mut *mantissas, exponents: &mut *exponents }.run(isa);
        for i in 0..n {
            // SAFETY: `out` has room for n results, which the caller guarantees.
            unsafe { out.add(i).write(joined(mantissas[i], exponents[i], rows.len())) };
        }
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(isa: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut Product<T>) {
        if n <= SHORT * width {
            // SAFETY: n elements are readable and `out` has room for `width` results, which the caller guarantees.
            return (0..width).for_each(|j| unsafe { out.add(j).write(in_sequence(src.add(j), n / width, width)) });
        }
        let lanes = lanes_of::<T>();
        let all = lanes * width;
        let (mantissas, exponents) = kept.elements::<T>(2 * all).split_at_mut(all);
        let whole = n / all;
        let mut totals = [0i64; super::NARROW];
        if whole > 0 {
            isa.enter(Columns { rows: Packed { first: src, width: all, count: whole }, n: all, mantissas, exponents });
            for row in exponents.chunks_exact(width) {
                totals.iter_mut().zip(row).for_each(|(total, e)| *total += e.to_int() - (whole as i64 + 1) * T::BIAS);
            }
        } else {
            mantissas.fill(T::ONE);
        }
        for i in whole * all..n {
            // SAFETY: i < n, and n elements are readable, which the caller guarantees.
            let factor = unsafe { (*src.add(i)).factor() };
            let lane = &mut mantissas[i - whole * all];
            let product = T::join(Product { mantissa: *lane, exponent: 0 }, factor);
            *lane = product.mantissa;
            totals[i % width] += product.exponent;
        }
        // SAFETY: `mantissas` has a row for each lane, and `out` has room for `width` results, which the caller
        // guarantees. Mantissas below 2 have a product below 2^64.
        unsafe {
            halves::<T, Prod, I>(isa, mantissas.as_mut_ptr(), width);
            for j in 0..width {
                let Product { mantissa, exponent } = mantissas[j].factor();
                out.add(j).write(Product { mantissa, exponent: exponent + totals[j] });
            }
        }
    }

    #[inline(always)]
    fn merge(left: &mut Product<T>, right: Product<T>) {
        *left = T::join(*left, right);
    }
}
