//! Products of complex numbers: vectors multiply them without separate exponents, and numbers whose products would be
//! out of range are multiplied again, with exponents.

use super::kind::{Kept, Kind, lanes_of};
use super::products::{Apart, in_sequence, one};
use crate::lanes::{Bits, Float, Isa, Lanes, Mask, Numbers, Work};
use crate::math::{load_pairs, store_pairs};
use polyarray_core::Complex;
use polyarray_core::order::{Multiply, Product, SHORT};

/// The reduction of complex numbers to products.
pub(super) struct ComplexProducts;

/// The most columns that are multiplied at once: two of the widest vectors.
const COLUMNS: usize = 32;

/// The magnitudes of the numbers that products met, as far as they decide whether separate exponents are needed.
#[derive(Clone, Copy)]
struct Met<V> {
    /// The smallest that is not zero.
    least: V,
    /// The largest.
    most: V,
}

/// Multiplies the elements of rows of at most two vectors of complex numbers, column by column, and writes a product
/// for each column. `row` returns the address of a row of `width` elements.
///
/// The vectors have no separate exponents. If that would change bits ([`Multiply::plainly`]), the columns are
/// multiplied again, with exponents.
///
/// # Safety
/// - All rows are valid for reads, and `out` for writes of `width` products.
#[inline(always)]
unsafe fn columns<T: Apart, I: Isa>(
    isa: I,
    rows: usize,
    width: usize,
    row: impl Fn(usize) -> *const Complex<T>,
    out: *mut Product<Complex<T>>,
) where
    Complex<T>: Multiply,
{
    let lanes = <T::V<I> as Lanes>::N;
    let start = one::<Complex<T>>();
    let c = |x: T| T::V::<I>::splat(isa, x);
    let (zero, huge) = (c(T::of_int(0)), T::V::<I>::splat(isa, T::from_f64(f64::INFINITY)));
    let mut acc = [(c(start.mantissa.re), c(start.mantissa.im)); 2];
    let mut met = [Met { least: c(T::ONE), most: c(T::ONE) }; 2];
    let counts = [width.min(lanes), width.saturating_sub(lanes)];
    for r in 0..rows {
        for v in 0..2 {
            if counts[v] == 0 {
                continue;
            }
            // SAFETY: the columns of this vector exist in each row, which the caller guarantees.
            let x = unsafe { load_pairs::<T, I>(isa, row(r).add(v * lanes).cast(), counts[v]) };
            let a = acc[v];
            acc[v] = (a.0.mul(x.0).sub(a.1.mul(x.1)), a.0.mul(x.1).add(a.1.mul(x.0)));
            for part in [x.0, x.1, acc[v].0, acc[v].1] {
                let magnitude = part.abs();
                met[v].most = met[v].most.max(magnitude);
                met[v].least = met[v].least.min(Bits::select(magnitude.eq(zero), huge, magnitude));
            }
        }
    }
    let range = T::moderate();
    let (low, high) = (c(range.start), c(range.end));
    let mut parts = [[T::ONE; 2]; COLUMNS];
    for v in 0..2 {
        // A NaN among the factors makes both parts of the product NaN, and then none of them compares.
        let plain = met[v].most.lt(high).and(met[v].least.lt(low).not()).and(acc[v].0.unordered(acc[v].1).not());
        if !plain.all() {
            for i in 0..width {
                // SAFETY: the column exists in each row and in the results, which the caller guarantees.
                unsafe { out.add(i).write((0..rows).fold(start, |p, r| Multiply::times(p, *row(r).add(i)))) };
            }
            return;
        }
        // SAFETY: the array has room for two of the widest vectors of complex numbers.
        unsafe { store_pairs::<T, I>(acc[v], parts.as_mut_ptr().add(v * lanes).cast(), lanes) };
    }
    for (i, &[re, im]) in parts[..width].iter().enumerate() {
        let mantissa = Complex { re, im };
        // SAFETY: i < width, and the caller guarantees room for the results.
        unsafe { out.add(i).write(Product { mantissa, exponent: start.exponent }) };
    }
}

/// Multiplies two products, without scaling them first if that gives the same bits.
#[inline(always)]
fn join<T: Multiply>(left: Product<T>, right: Product<T>) -> Product<T> {
    match T::plainly(left.mantissa, right.mantissa) {
        (mantissa, true) => Product { mantissa, exponent: left.exponent + right.exponent },
        _ => T::join(left, right),
    }
}

/// Computes the products of `n` elements in `acc.len()` lanes: element i goes to lane `i % acc.len()`.
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
#[inline(always)]
unsafe fn in_lanes<T: Apart, I: Isa>(isa: I, src: *const Complex<T>, n: usize, acc: &mut [Product<Complex<T>>])
where
    Complex<T>: Multiply,
{
    let (lanes, most) = (acc.len(), 2 * <T::V<I> as Lanes>::N);
    let whole = n / lanes;
    for first in (0..lanes).step_by(most) {
        let width = most.min(lanes - first);
        // SAFETY: the rows of `lanes` elements lie within the n elements, which the caller guarantees; `acc` has as
        // many products.
        unsafe { columns(isa, whole, width, |row| src.add(row * lanes + first), acc.as_mut_ptr().add(first)) };
    }
    for (l, lane) in acc[..n - whole * lanes].iter_mut().enumerate() {
        // SAFETY: `whole * lanes + l < n`, and the caller guarantees n elements.
        *lane = Multiply::times(*lane, unsafe { *src.add(whole * lanes + l) });
    }
}

/// The product of a block whose lanes each start at 1.
struct ComplexBlock<T>(*const Complex<T>, usize);

impl<T: Apart> Work for ComplexBlock<T>
where
    Complex<T>: Multiply,
{
    type Out = Product<Complex<T>>;
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Product<Complex<T>> {
        let ComplexBlock(src, n) = self;
        let mut acc = [one::<Complex<T>>(); 256 / size_of::<Complex<f32>>()];
        let mut half = lanes_of::<Complex<T>>();
        // SAFETY: n elements are readable by the contract of `Kind::block`.
        unsafe { in_lanes(isa, src, n, &mut acc[..half]) };
        while half > 1 {
            half /= 2;
            for l in 0..half {
                acc[l] = join(acc[l], acc[l + half]);
            }
        }
        acc[0]
    }
}

/// The products of the columns of some rows.
struct ComplexRows<'a, T> {
    rows: &'a [*const Complex<T>],
    n: usize,
    out: *mut Product<Complex<T>>,
}

impl<T: Apart> Work for ComplexRows<'_, T>
where
    Complex<T>: Multiply,
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let most = 2 * <T::V<I> as Lanes>::N;
        for first in (0..self.n).step_by(most) {
            let width = most.min(self.n - first);
            // SAFETY: each row has n elements and `out` has room for n results, by the contract of `Kind::rows`.
            unsafe {
                columns(isa, self.rows.len(), width, |row| self.rows[row].add(first), self.out.add(first));
            }
        }
    }
}

/// The products of narrow rows.
struct ComplexNarrow<T> {
    src: *const Complex<T>,
    n: usize,
    width: usize,
    out: *mut Product<Complex<T>>,
}

impl<T: Apart> Work for ComplexNarrow<T>
where
    Complex<T>: Multiply,
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let ComplexNarrow { src, n, width, out } = self;
        let mut half = lanes_of::<Complex<T>>();
        let mut acc = vec![one::<Complex<T>>(); half * width];
        // SAFETY: n elements are readable by the contract of `Kind::narrow`.
        unsafe { in_lanes(isa, src, n, &mut acc) };
        while half > 1 {
            half /= 2;
            for i in 0..half * width {
                acc[i] = join(acc[i], acc[i + half * width]);
            }
        }
        // SAFETY: `acc` has at least `width` elements, and `out` has room for `width` results, by the contract of
        // `Kind::narrow`.
        unsafe { std::ptr::copy_nonoverlapping(acc.as_ptr(), out, width) };
    }
}

impl<T: Apart> Kind<Complex<T>> for ComplexProducts
where
    Complex<T>: Multiply + Send + Sync,
{
    type State = Product<Complex<T>>;
    const ROW_BYTES: usize = 4 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(isa: I, src: *const Complex<T>, n: usize, _: usize, _: Option<Self::State>) -> Self::State {
        // SAFETY: n elements are readable, which the caller guarantees.
        if n <= SHORT { unsafe { in_sequence(src, n, 1) } } else { isa.enter(ComplexBlock(src, n)) }
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(
        isa: I,
        _: &mut Kept,
        rows: &[*const Complex<T>],
        n: usize,
        _: usize,
        out: *mut Self::State,
    ) {
        ComplexRows { rows, n, out }.run(isa);
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(
        isa: I,
        _: &mut Kept,
        src: *const Complex<T>,
        n: usize,
        width: usize,
        out: *mut Self::State,
    ) {
        if n <= SHORT * width {
            // SAFETY: n elements are readable and `out` has room for `width` results, which the caller guarantees.
            return (0..width).for_each(|j| unsafe { out.add(j).write(in_sequence(src.add(j), n / width, width)) });
        }
        isa.enter(ComplexNarrow { src, n, width, out });
    }

    #[inline(always)]
    fn merge(left: &mut Self::State, right: Self::State) {
        *left = join(*left, right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::tests::on_every_tier;

    /// The products of columns of `rows` rows of numbers from `values`, for every width, compared bit by bit with the
    /// products of single numbers.
    struct Check<'a, T>(&'a [Complex<T>], usize);

    impl<T: Apart> Work for Check<'_, T>
    where
        Complex<T>: Multiply + PartialEq + std::fmt::Debug,
    {
        type Out = ();
        fn run<I: Isa>(self, isa: I) {
            let Check(values, rows) = self;
            let most = 2 * <T::V<I> as Lanes>::N;
            for width in 1..=most {
                assert!(values.len() >= rows * width);
                // One more place, which stays as it is.
                let mut out = vec![Product { mantissa: values[0], exponent: 77 }; width + 1];
                // SAFETY: there are `rows` rows of `width` values and as many results.
                unsafe { columns(isa, rows, width, |row| values.as_ptr().add(row * width), out.as_mut_ptr()) };
                assert_eq!(out[width].exponent, 77);
                for (i, product) in out[..width].iter().enumerate() {
                    let column = (0..rows).map(|row| values[row * width + i]);
                    let want = Multiply::value(column.clone().fold(one(), |p, x| Multiply::join(p, x.factor())));
                    let got = Multiply::value(*product);
                    let same = |a: T, b: T| a.to_int() == b.to_int() || a.to_f64().is_nan() && b.to_f64().is_nan();
                    assert!(
                        same(got.re, want.re) && same(got.im, want.im),
                        "column {i} of {width}: {got:?}, not {want:?}; {:?}",
                        column.collect::<Vec<_>>()
                    );
                }
            }
        }
    }

    macro_rules! check {
        ($T:ident) => {
            let mut state = 5u64;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let quarter = ($T::MAX_EXP - 1) / 4;
            let power = |e: i32| (2.0 as $T).powi(e);
            let plain = [1.0, -1.0, 0.75, 1.25, -0.5, 2.0, 0.0, -0.0];
            // Numbers at both ends of the range without exponents, and outside of it.
            let ends = [power(quarter), power(-quarter), power(quarter - 1) * 1.75, power(-quarter - 1) * 1.5];
            let far = [$T::MAX, $T::MIN_POSITIVE, $T::MIN_POSITIVE / 8.0, $T::INFINITY, -$T::INFINITY, $T::NAN, -0.0];
            // With one odd number among `rare`, some columns have none and others a few.
            for (odd, rare) in [(&[][..], 1), (&ends[..], 40), (&far[..3], 40), (&far[..], 60), (&far[..], 3)] {
                for rows in [0, 1, 2, 9, 64] {
                    let mut part = || {
                        let some = if odd.is_empty() || below(rare) > 0 { &plain[..] } else { odd };
                        some[below(some.len() as u64) as usize]
                    };
                    let values: Vec<Complex<$T>> =
                        (0..32 * rows.max(1)).map(|_| Complex::new(part(), part())).collect();
                    on_every_tier(|| Check(&values, rows));
                }
            }
        };
    }

    #[test]
    fn columns_have_the_products_of_single_numbers() {
        check!(f32);
        check!(f64);
    }
}
