//! Sums, products, minima and maxima: the combination of two elements, over blocks, rows and narrow rows.

use super::kind::{Kept, Kind, State, Values, as_rows, lanes_of};
use crate::lanes::{Float, Isa, Lanes, Mask, Real, Work};
use polyarray_core::order::SHORT;
use polyarray_core::{Complex, Element};
use std::marker::PhantomData;

pub(super) struct Sum;
pub(super) struct Prod;
pub(super) struct Min;
pub(super) struct Max;

/// The combination of two partial results of a type, and the initial value of lanes.
pub(super) trait Combine<T: Copy>: Send + Sync + 'static {
    /// The identity: combining with it changes nothing.
    const IDENTITY: T;
    /// Whether short blocks, and blocks whose result is not finite, are combined in sequence, without lanes.
    const SEQUENCE: bool = false;
    /// Whether elements may be combined in any order, and repeatedly.
    const REPEATS: bool = false;
    fn combine(left: T, right: T) -> T;
    /// Returns whether a result is finite, if that determines its order; otherwise true.
    #[inline(always)]
    fn is_finite(_: T) -> bool {
        true
    }

    /// Computes the result of a block of `n` elements. Called inside [`Isa::enter`].
    ///
    /// # Safety
    /// - `src` is valid for reads of `n` elements.
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize) -> T;

    /// Computes `acc[i] = combine(acc[i], row[i])` for one row after another. Called inside [`Isa::enter`].
    ///
    /// # Safety
    /// - `acc` is valid for reads and writes of `n` elements, and each row for reads of `n` elements. Rows do not
    ///   overlap `acc`.
    unsafe fn rows<I: Isa>(isa: I, acc: *mut T, rows: &[*const T], n: usize);
}

/// The same combination of vectors.
trait CombineVectors<T: Real>: Combine<T> {
    /// The vector form of `combine`.
    fn vectors<V: Float>(left: V, right: V) -> V;
    /// A faster form of `vectors`, valid where neither operand is NaN. If `WATCH`, NaNs are detected separately.
    fn ordered<V: Float>(left: V, right: V) -> V;
    const WATCH: bool;
}

/// Combines the lanes by halves and returns the result.
#[inline(always)]
pub(super) fn halve<T: Copy, K: Combine<T>, const L: usize>(acc: &mut [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        for l in 0..half {
            acc[l] = K::combine(acc[l], acc[l + half]);
        }
        half /= 2;
    }
    acc[0]
}

/// Combines `n` elements, `step` apart, in sequence.
///
/// # Safety
/// - The `n` elements from `src` on, `step` apart, are valid for reads.
#[inline(always)]
unsafe fn sequence<T: Copy, K: Combine<T>>(src: *const T, n: usize, step: usize) -> T {
    // SAFETY: i < n, so the caller guarantees that the element is readable.
    (0..n).fold(K::IDENTITY, |sum, i| K::combine(sum, unsafe { *src.add(i * step) }))
}

/// Computes [`sequence`] of `N` contiguous elements for each of `count` outputs, which start `step` apart.
///
/// # Safety
/// - These elements are valid for reads, and `out` for writes of `count` results.
#[inline(always)]
unsafe fn sequences<T: Copy, K: Combine<T>, const N: usize>(src: *const T, step: isize, count: usize, out: *mut T) {
    for i in 0..count {
        // SAFETY: i < count, so the caller guarantees the elements and room for the result.
        unsafe { out.add(i).write(sequence::<T, K>(src.wrapping_offset(i as isize * step), N, 1)) };
    }
}

/// [`Combine::block`] in plain loops over `L` lanes, which the compiler vectorizes.
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
#[inline(always)]
unsafe fn plain_block<T: Copy, K: Combine<T>, const L: usize>(src: *const T, n: usize) -> T {
    let mut acc = [K::IDENTITY; L];
    let whole = n / L * L;
    // SAFETY: all indices are below n.
    unsafe {
        for start in (0..whole).step_by(L) {
            for (l, a) in acc.iter_mut().enumerate() {
                *a = K::combine(*a, *src.add(start + l));
            }
        }
        for i in whole..n {
            acc[i - whole] = K::combine(acc[i - whole], *src.add(i));
        }
    }
    halve::<T, K, L>(&mut acc)
}

/// [`Combine::block`] with the lanes in `V` vectors.
///
/// # Safety
/// - `src` is valid for reads of `n` elements.
/// - `V` vectors have `L` elements.
#[inline(always)]
unsafe fn vector_block<T: Real, K: CombineVectors<T>, I: Isa, const L: usize, const V: usize>(
    isa: I,
    src: *const T,
    n: usize,
) -> T {
    let width = <T::V<I> as Lanes>::N;
    let start = T::V::<I>::splat(isa, K::IDENTITY);
    let mut sums = [start; V];
    let mut odd = start.unordered(start);
    let whole = n / L * L;
    let mut acc = [K::IDENTITY; L];
    // SAFETY: all indices are below n, and `acc` has the `L` elements of `V` vectors, which the caller guarantees.
    unsafe {
        for start in (0..whole).step_by(L) {
            let mut x = sums;
            for v in 0..V {
                x[v] = T::V::<I>::load(isa, src.add(start + v * width));
                sums[v] = K::ordered(sums[v], x[v]);
            }
            if K::WATCH {
                for v in 0..V / 2 {
                    odd = odd.or(x[2 * v].unordered(x[2 * v + 1]));
                }
            }
        }
        for (v, sum) in sums.iter().enumerate() {
            sum.store(acc.as_mut_ptr().add(v * width));
        }
        for i in whole..n {
            acc[i - whole] = K::combine(acc[i - whole], *src.add(i));
        }
    }
    let result = halve::<T, K, L>(&mut acc);
    if K::WATCH && odd.any() { T::from_f64(f64::NAN) } else { result }
}

/// Combines `n` elements, at least `W`, in chunks of `W`. The last chunk may overlap the one before.
///
/// # Safety
/// - `src` is valid for reads of `n` elements, and `n` is at least `W`, which is a power of two.
#[inline(always)]
unsafe fn overlapping<T: Copy, K: Combine<T>, const W: usize>(src: *const T, n: usize) -> T {
    // SAFETY: each chunk ends at `n` or before, because n is at least W, which the caller guarantees.
    let chunk = |at: usize| unsafe { src.add(at).cast::<[T; W]>().read_unaligned() };
    let mut acc = chunk(0);
    let mut add = |at: usize| acc.iter_mut().zip(chunk(at)).for_each(|(a, x)| *a = K::combine(*a, x));
    (W..n - W + 1).step_by(W).for_each(&mut add);
    add(n - W);
    halve::<T, K, W>(&mut acc)
}

/// The number of rows that are combined before the accumulators are written back.
const AT_ONCE: usize = 8;

/// [`Combine::rows`] in plain loops.
///
/// # Safety
/// - The conditions of [`Combine::rows`].
#[inline(always)]
unsafe fn plain_rows<T: Copy, K: Combine<T>>(acc: *mut T, rows: &[*const T], n: usize) {
    #[inline(always)]
    fn four<T: Copy, K: Combine<T>>(acc: &mut [T], [a, b, c, d]: [&[T]; 4]) {
        for (i, x) in acc.iter_mut().enumerate() {
            *x = K::combine(K::combine(K::combine(K::combine(*x, a[i]), b[i]), c[i]), d[i]);
        }
    }
    #[inline(always)]
    fn one<T: Copy, K: Combine<T>>(acc: &mut [T], a: &[T]) {
        for (x, a) in acc.iter_mut().zip(a) {
            *x = K::combine(*x, *a);
        }
    }
    // SAFETY: `acc` and each row are valid for `n` elements and do not overlap, which the caller guarantees.
    unsafe {
        let acc = std::slice::from_raw_parts_mut(acc, n);
        let mut rest = rows;
        while let Some((&[a, b, c, d], others)) = rest.split_first_chunk() {
            let row = |row| std::slice::from_raw_parts(row, n);
            four::<T, K>(acc, [row(a), row(b), row(c), row(d)]);
            rest = others;
        }
        for row in rest {
            one::<T, K>(acc, std::slice::from_raw_parts(*row, n));
        }
    }
}

/// [`Combine::rows`] in vectors.
///
/// # Safety
/// - The conditions of [`Combine::rows`].
#[inline(always)]
unsafe fn vector_rows<T: Real, K: CombineVectors<T>, I: Isa>(isa: I, acc: *mut T, rows: &[*const T], n: usize) {
    let mut rest = rows;
    // SAFETY: the conditions of `vector_rows_of` are those of this function.
    unsafe {
        // Short rows are combined one at a time, so that close rows are read in the order of memory.
        if n * size_of::<T>() > CLOSE {
            while let Some((some, others)) = rest.split_first_chunk() {
                vector_rows_of::<T, K, I, 8>(isa, acc, some, n);
                rest = others;
            }
            while let Some((some, others)) = rest.split_first_chunk() {
                vector_rows_of::<T, K, I, 3>(isa, acc, some, n);
                rest = others;
            }
        }
        while let Some((some, others)) = rest.split_first_chunk() {
            vector_rows_of::<T, K, I, 1>(isa, acc, some, n);
            rest = others;
        }
    }
}

/// Rows of at most this number of bytes are combined one at a time.
const CLOSE: usize = 4 << 10;

/// [`Combine::rows`] for `R` rows at once.
///
/// # Safety
/// - The conditions of [`Combine::rows`].
#[inline(always)]
unsafe fn vector_rows_of<T: Real, K: CombineVectors<T>, I: Isa, const R: usize>(
    isa: I,
    acc: *mut T,
    rows: &[*const T; R],
    n: usize,
) {
    let width = <T::V<I> as Lanes>::N;
    let whole = n / width * width;
    // SAFETY: all indices are below n.
    unsafe {
        for i in (0..whole).step_by(width) {
            let mut a = T::V::<I>::load(isa, acc.add(i));
            for row in rows {
                a = K::vectors(a, T::V::<I>::load(isa, row.add(i)));
            }
            a.store(acc.add(i));
        }
        for i in whole..n {
            let mut a = *acc.add(i);
            for row in rows {
                a = K::combine(a, *row.add(i));
            }
            *acc.add(i) = a;
        }
    }
}

macro_rules! floats {
    ($T:ident, $lanes:literal; $(
        $Name:ident, $identity:expr, |$a:ident, $b:ident| $scalar:expr, |$x:ident, $y:ident| $ordered:expr,
        $vector:expr, watch $watch:literal, sequence $sequence:literal;
    )*) => { $(
        impl Combine<$T> for $Name {
            const IDENTITY: $T = $identity;
            const SEQUENCE: bool = $sequence;
            #[inline(always)]
            fn is_finite(x: $T) -> bool { x.is_finite() }
            #[inline(always)]
            fn combine($a: $T, $b: $T) -> $T { $scalar }
            #[inline(always)]
            unsafe fn block<I: Isa>(isa: I, src: *const $T, n: usize) -> $T {
                // SAFETY: `src` is valid for reads of `n` elements, which the caller guarantees. A vector has 32 or 64
                // bytes, and the lanes have 256, so 8 or 4 vectors hold them.
                unsafe {
                    if $lanes / <<$T as Real>::V<I> as Lanes>::N == 4 {
                        vector_block::<$T, $Name, I, $lanes, 4>(isa, src, n)
                    } else {
                        vector_block::<$T, $Name, I, $lanes, 8>(isa, src, n)
                    }
                }
            }
            #[inline(always)]
            unsafe fn rows<I: Isa>(isa: I, acc: *mut $T, rows: &[*const $T], n: usize) {
                // SAFETY: `acc` and each row are valid for `n` elements and do not overlap, which the caller
                // guarantees.
                unsafe { vector_rows::<$T, $Name, I>(isa, acc, rows, n) }
            }
        }
        impl CombineVectors<$T> for $Name {
            #[inline(always)]
            fn ordered<V: Float>($x: V, $y: V) -> V { $ordered }
            #[inline(always)]
            fn vectors<V: Float>($x: V, $y: V) -> V { $vector }
            const WATCH: bool = $watch;
        }
    )* };
}
macro_rules! float_type {
    ($T:ident, $lanes:literal) => {
        floats! { $T, $lanes;
            Sum, -0.0, |a, b| a + b, |x, y| x.add(y), x.add(y), watch false, sequence true;
            Prod, 1.0, |a, b| a * b, |x, y| x.mul(y), x.mul(y), watch false, sequence false;
            Min, $T::INFINITY, |a, b| if a < b || a.is_nan() { a } else { b }, |x, y| x.min(y),
                V::select(x.unordered(x), x, x.min(y)), watch true, sequence false;
            Max, $T::NEG_INFINITY, |a, b| if a > b || a.is_nan() { a } else { b }, |x, y| x.max(y),
                V::select(x.unordered(x), x, x.max(y)), watch true, sequence false;
        }
    };
}
float_type!(f32, 64);
float_type!(f64, 32);

macro_rules! plain {
    ($($Name:ident, $T:ty, $lanes:literal, $identity:expr, repeats $repeats:literal,
        |$a:ident, $b:ident| $combine:expr;)*) => { $(
        impl Combine<$T> for $Name {
            const IDENTITY: $T = $identity;
            const REPEATS: bool = $repeats;
            #[inline(always)]
            fn combine($a: $T, $b: $T) -> $T { $combine }
            #[inline(always)]
            unsafe fn block<I: Isa>(_: I, src: *const $T, n: usize) -> $T {
                // SAFETY: `src` is valid for reads of `n` elements, which the caller guarantees.
                unsafe { plain_block::<$T, $Name, $lanes>(src, n) }
            }
            #[inline(always)]
            unsafe fn rows<I: Isa>(_: I, acc: *mut $T, rows: &[*const $T], n: usize) {
                // SAFETY: `acc` and each row are valid for `n` elements and do not overlap, which the caller
                // guarantees.
                unsafe { plain_rows::<$T, $Name>(acc, rows, n) }
            }
        }
    )* };
}
macro_rules! extrema {
    ($($T:ident $lanes:literal),*) => { plain! { $(
        Min, $T, $lanes, $T::MAX, repeats true, |a, b| a.min(b);
        Max, $T, $lanes, $T::MIN, repeats true, |a, b| a.max(b);
    )* } };
}
extrema!(u8 256, i8 256, u16 128, i16 128, u32 64, i32 64, u64 32, i64 32);
plain! {
    Sum, i64, 32, 0, repeats false, |a, b| a.wrapping_add(b);
    Prod, i64, 32, 1, repeats false, |a, b| a.wrapping_mul(b);
}

macro_rules! complex_sums {
    ($($T:ident $lanes:literal),*) => { $(
        impl Combine<Complex<$T>> for Sum {
            const IDENTITY: Complex<$T> = Complex::new(-0.0, -0.0);
            const SEQUENCE: bool = true;
            #[inline(always)]
            fn is_finite(x: Complex<$T>) -> bool {
                x.re.is_finite() && x.im.is_finite()
            }
            #[inline(always)]
            fn combine(a: Complex<$T>, b: Complex<$T>) -> Complex<$T> {
                Complex::new(a.re + b.re, a.im + b.im)
            }
            #[inline(always)]
            unsafe fn block<I: Isa>(_: I, src: *const Complex<$T>, n: usize) -> Complex<$T> {
                // SAFETY: `src` is valid for reads of `n` elements, which the caller guarantees.
                unsafe { plain_block::<Complex<$T>, Sum, $lanes>(src, n) }
            }
            #[inline(always)]
            unsafe fn rows<I: Isa>(isa: I, acc: *mut Complex<$T>, rows: &[*const Complex<$T>], n: usize) {
                // The two parts of complex numbers are added separately, like twice as many floats.
                for rows in rows.chunks(AT_ONCE) {
                    let mut parts = [std::ptr::null::<$T>(); AT_ONCE];
                    parts.iter_mut().zip(rows).for_each(|(part, row)| *part = row.cast());
                    // SAFETY: `acc` and each row are valid for `n` complex numbers, so for `2 n` parts, and do not
                    // overlap, which the caller guarantees.
                    unsafe { vector_rows::<$T, Sum, I>(isa, acc.cast(), &parts[..rows.len()], 2 * n) };
                }
            }
        }
    )* };
}
complex_sums!(f32 32, f64 16);

/// The reduction that combines elements by `K`.
pub(super) struct Fold<K>(PhantomData<K>);

impl<T: Element + State, K: Combine<T>> Kind<T> for Fold<K> {
    type State = T;
    const ROW_BYTES: usize = 64 << 10;

    #[inline(always)]
    unsafe fn block<I: Isa>(isa: I, src: *const T, n: usize, _: usize, _: Option<T>) -> T {
        isa.enter(Block::<T, K>(Values { src, n }, PhantomData))
    }

    #[inline(always)]
    unsafe fn short<I: Isa>(isa: I, src: *const T, step: isize, n: usize, count: usize, out: *mut T) {
        Short::<T, K> { src, step, n, count, out, kind: PhantomData }.run(isa);
    }

    #[inline(always)]
    unsafe fn rows<I: Isa>(isa: I, _: &mut Kept, rows: &[*const T], n: usize, _: usize, out: *mut T) {
        // SAFETY: `out` and each row are valid for `n` elements and do not overlap, which the caller guarantees.
        unsafe { fold_rows::<T, K, I>(isa, out, rows, n, true) };
    }

    #[inline(always)]
    unsafe fn narrow<I: Isa>(_: I, kept: &mut Kept, src: *const T, n: usize, width: usize, out: *mut T) {
        let (fold, size): (FoldBytes, usize) = (fold_bytes::<T, K, I>, size_of::<T>());
        let acc = kept.elements::<T>(lanes_of::<T>() * width);
        // SAFETY: the caller guarantees `n` elements at `src` and room for `width` results at `out`. `acc` has a row
        // for each lane. The elements of column j are `width` apart, and `width` divides n.
        unsafe {
            if K::SEQUENCE && n <= SHORT * width {
                return as_rows(src.cast(), size, n, width, &mut |rows, width| fold(out.cast(), rows, width, true));
            }
            narrow(fold, size, acc.as_mut_ptr().cast(), src.cast(), n, width);
            for (j, &result) in acc[..width].iter().enumerate() {
                let finite = !K::SEQUENCE || K::is_finite(result);
                out.add(j).write(if finite { result } else { sequence::<T, K>(src.add(j), n / width, width) });
            }
        }
    }

    #[inline(always)]
    fn merge(left: &mut T, right: T) {
        *left = K::combine(*left, right);
    }
}

/// [`Combine::block`], or the sequence for short blocks and for results that are not finite.
pub(super) struct Block<T, K>(pub Values<T>, pub PhantomData<K>);

impl<T: Copy, K: Combine<T>> Work for Block<T, K> {
    type Out = T;
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> T {
        let Values { src, n } = self.0;
        // SAFETY: `src` is valid for reads of `n` elements, by the contract of `Kind::block`.
        unsafe {
            if K::SEQUENCE && n <= SHORT {
                return sequence::<T, K>(src, n, 1);
            }
            let result = K::block(isa, src, n);
            if K::SEQUENCE && !K::is_finite(result) { sequence::<T, K>(src, n, 1) } else { result }
        }
    }
}

/// Outputs of one block each.
struct Short<T, K> {
    src: *const T,
    step: isize,
    n: usize,
    count: usize,
    out: *mut T,
    kind: PhantomData<K>,
}

impl<T: Copy, K: Combine<T>> Work for Short<T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Short { src, step, n, count, out, .. } = self;
        if K::SEQUENCE {
            // SAFETY: the blocks are readable and `out` has room for `count` results, by the contract of `Kind::short`.
            unsafe {
                match n {
                    1 => return sequences::<T, K, 1>(src, step, count, out),
                    2 => return sequences::<T, K, 2>(src, step, count, out),
                    3 => return sequences::<T, K, 3>(src, step, count, out),
                    4 => return sequences::<T, K, 4>(src, step, count, out),
                    5 => return sequences::<T, K, 5>(src, step, count, out),
                    6 => return sequences::<T, K, 6>(src, step, count, out),
                    7 => return sequences::<T, K, 7>(src, step, count, out),
                    8 => return sequences::<T, K, 8>(src, step, count, out),
                    _ => const { assert!(SHORT == 8) },
                }
            }
        }
        let lanes = lanes_of::<T>();
        // Lanes from here on hold the identity, so halving starts at these lanes.
        let used = n.next_power_of_two();
        let mut acc = [K::IDENTITY; 256];
        for i in 0..count {
            let src = src.wrapping_offset(i as isize * step);
            // SAFETY: the blocks are readable and `out` has room for `count` results, by the contract of `Kind::short`.
            unsafe {
                if n >= lanes {
                    // Out of line: the code of a block is long.
                    out.add(i).write(isa.enter(Block::<T, K>(Values { src, n }, PhantomData)));
                    continue;
                }
                if K::REPEATS && n >= 8 {
                    let result = if n >= 64 { overlapping::<T, K, 64>(src, n) } else { overlapping::<T, K, 8>(src, n) };
                    out.add(i).write(result);
                    continue;
                }
                for (l, a) in acc[..used].iter_mut().enumerate() {
                    *a = if l < n { K::combine(K::IDENTITY, *src.add(l)) } else { K::IDENTITY };
                }
                let mut half = used / 2;
                while half > 0 {
                    for l in 0..half {
                        acc[l] = K::combine(acc[l], acc[l + half]);
                    }
                    half /= 2;
                }
                let again = K::SEQUENCE && !K::is_finite(acc[0]);
                out.add(i).write(if again { sequence::<T, K>(src, n, 1) } else { acc[0] });
            }
        }
    }
}

struct Rows<'a, T, K> {
    acc: *mut T,
    rows: &'a [*const T],
    n: usize,
    fresh: bool,
    kind: PhantomData<K>,
}

impl<T: Copy, K: Combine<T>> Work for Rows<'_, T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: `acc` and each row are valid for `n` elements and do not overlap, by the contract of `fold_rows`.
        unsafe {
            if self.fresh {
                (0..self.n).for_each(|i| self.acc.add(i).write(K::IDENTITY));
            }
            K::rows(isa, self.acc, self.rows, self.n);
        }
    }
}

/// [`Combine::rows`], which starts from the identity if `fresh`.
///
/// # Safety
/// - The conditions of [`Combine::rows`].
pub(super) unsafe fn fold_rows<T: Copy, K: Combine<T>, I: Isa>(
    isa: I,
    acc: *mut T,
    rows: &[*const T],
    n: usize,
    fresh: bool,
) {
    isa.enter(Rows::<T, K> { acc, rows, n, fresh, kind: PhantomData });
}

/// [`fold_rows`] for elements whose type the caller does not know.
pub(super) type FoldBytes = unsafe fn(acc: *mut u8, rows: &[*const u8], n: usize, fresh: bool);

/// [`fold_rows`], as [`FoldBytes`].
///
/// # Safety
/// - The conditions of [`Combine::rows`], for elements of type `T`.
/// - The CPU has the features of the tier.
pub(super) unsafe fn fold_bytes<T: Copy, K: Combine<T>, I: Isa>(
    acc: *mut u8,
    rows: &[*const u8],
    n: usize,
    fresh: bool,
) {
    // SAFETY: the caller guarantees the rows and the features. Slices of pointers have the same layout for all pointee
    // types.
    unsafe {
        let rows = std::slice::from_raw_parts(rows.as_ptr().cast(), rows.len());
        fold_rows::<T, K, I>(I::assume(), acc.cast(), rows, n, fresh);
    }
}

/// Computes the results of the columns of a narrow block and leaves them in the first row of `acc`.
///
/// # Safety
/// - `acc` is valid for reads and writes of a row of `width` elements of `size` bytes for each lane, and `src` for
///   reads of `n` elements. They do not overlap.
/// - `fold` is for elements of this size, and the CPU has the features of its tier.
pub(super) unsafe fn narrow(fold: FoldBytes, size: usize, acc: *mut u8, src: *const u8, n: usize, width: usize) {
    let lanes = 256 / size;
    let all = lanes * width;
    // SAFETY: `acc` has `width` elements for each lane, and `src` has `n` elements, which the caller guarantees. Both
    // halves lie within the rows of `acc`, and they do not overlap.
    unsafe {
        fold(acc, &[], all, true);
        as_rows(src, size, n, all, &mut |rows, n| fold(acc, rows, n, false));
        let mut half = lanes / 2;
        while half > 0 {
            fold(acc, &[acc.add(half * width * size).cast_const()], half * width, false);
            half /= 2;
        }
    }
}

/// Combines the rows of lanes by halves, down to the first row.
///
/// # Safety
/// - `acc` is valid for reads and writes of `width` elements for each lane.
pub(super) unsafe fn halves<T: Copy, K: Combine<T>, I: Isa>(isa: I, acc: *mut T, width: usize) {
    let mut half = lanes_of::<T>() / 2;
    while half > 0 {
        // SAFETY: both halves lie within the rows of `acc`, which the caller guarantees, and they do not overlap.
        unsafe { fold_rows::<T, K, I>(isa, acc, &[acc.add(half * width).cast_const()], half * width, false) };
        half /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! check {
        ($($T:ident),*) => { $(
            for n in 8..200usize {
                // The extremum is once at each place, the first and the last among them, and there are no others.
                for at in 0..n {
                    let low: Vec<$T> = (0..n).map(|i| if i == at { $T::MIN } else { 2 + (i % 7) as $T }).collect();
                    let high: Vec<$T> = low.iter().map(|x| !x).collect();
                    // SAFETY: both have n elements, and n is at least the width of a chunk.
                    let results = unsafe { [
                        (overlapping::<$T, Min, 8>(low.as_ptr(), n), overlapping::<$T, Max, 8>(high.as_ptr(), n)),
                        if n >= 64 {
                            (overlapping::<$T, Min, 64>(low.as_ptr(), n), overlapping::<$T, Max, 64>(high.as_ptr(), n))
                        } else {
                            ($T::MIN, $T::MAX)
                        },
                    ] };
                    assert_eq!(results, [($T::MIN, $T::MAX); 2], "{at} of {n} {}", stringify!($T));
                }
            }
        )* };
    }

    #[test]
    fn chunks_of_which_the_last_overlaps_contain_every_element() {
        check!(u8, i8, u16, i16, u32, i32, u64, i64);
    }
}
