//! The order in which reductions combine elements. It is the same for every CPU device and any number of threads.
//!
//! With [`Order::Lanes`], a run (the innermost reduced axis, for one index of the other reduced axes) is split into
//! blocks of [`lanes`]` * `[`ROWS`] elements; the last block may be shorter. In a block every lane starts from the
//! [identity](#identities), and element `i` of the block goes to lane `i % lanes`: `acc[l] = op(acc[l], x)`. Then the
//! lanes are combined: for `h` from `lanes / 2` down to 1 by halves, `acc[l] = op(acc[l], acc[l + h])` for all `l < h`,
//! including lanes that received no element. `acc[0]` is the result of the block. The blocks of a run are the leaves of
//! a [`Tree`]. The results of the runs (in C order of the other reduced axes) are the leaves of another tree.
//!
//! With [`Order::Rows`], the reduced elements of each output, in C order of all reduced axes, are split into blocks of
//! [`ROWS`]. In a block the accumulator starts from the identity and combines one element after another:
//! `acc = op(acc, x)`. The blocks are the leaves of one [`Tree`]. Runs do not matter: this is the order above with one
//! lane and one run.
//!
//! A tree combines as `left = op(left, right)`. Thus `op` and the order of its operands are the same everywhere: the
//! earlier operand is on the left.
//!
//! # Sums of floats
//! With [`Order::Lanes`], a block of at most [`SHORT`] elements is summed without lanes: from the identity, one element
//! after another. A longer block whose result is not finite is summed a second time in this way, and the second result
//! is used. Without this rule, a lane that collects numbers of one sign could overflow, and the sum would be infinite
//! or NaN where the sequential sum is finite. One limit remains: if a partial sum of a block, or of several blocks,
//! exceeds the largest number, the sum may be infinite or NaN although the exact sum is in range.
//!
//! # Products
//! Products of floats and complex numbers are computed as [`Product`]s from the first element on. Mantissas are
//! multiplied in the order above, and exponents are added as integers. The result is assembled at the end and rounded
//! once. Blocks of at most [`SHORT`] elements are multiplied without lanes, one element after another. The effect is
//! that of an unbounded exponent: a product is finite and not zero wherever the exact product is, and overflow and
//! underflow do not depend on the order. A zero among finite factors gives a zero, with the sign of the exact product.
//! An infinity among factors other than zero gives an infinity. Both together, or a NaN, give NaN.
//!
//! The parts of a complex number share an exponent. Each element and the result of each step is scaled by a power of
//! two, so that the larger part is in [2, 4). The smaller part is rounded where this scaling makes it underflow.
//!
//! # Identities
//! Sum -0 (integers 0, complex -0 - 0i), product 1 (complex 1 + 0i), minimum +infinity (integers `MAX`, bool true),
//! maximum -infinity (`MIN`, false).
//!
//! `op` is addition, multiplication (both wrap in integers; complex: `re = a.re * b.re - a.im * b.im`,
//! `im = a.re * b.im + a.im * b.re`, without fused multiply-add), and for minima and maxima
//! `if a < b || a.is_nan() { a } else { b }` and `if a > b || a.is_nan() { a } else { b }`. The identity is combined
//! like an element, so a product of complex numbers with infinite parts may be NaN from the first step on.
//!
//! Indices of minima and maxima do not depend on an order: the result is the index of the first of the best elements.
//!
//! # Deviations
//! The sum of squared deviations from the mean uses the blocks and trees above, with [`Moments`] as their results. The
//! elements of a block of `count` elements are summed in the order of the block (with [`Order::Lanes`] always with
//! lanes, however short the block is; with [`Order::Rows`] one after another), and `near = sum / count`. Then
//! `d = x - near` of each element and its square `d * d` are summed in the same order, to `D` and `Q`;
//! `rest = D / count`, and `squares = Q - D * rest`, or 0 if that is negative. The mean of the block is `near + rest`,
//! and the sum of its squared deviations is `squares`: this is the corrected two-pass algorithm. [`Moments::combine`]
//! combines blocks (T. Chan, G. Golub and R. LeVeque, "Algorithms for computing the sample variance", The American
//! Statistician 37, 1983). Means are stored in two parts, so the difference of two means is exact to an eps of itself
//! and of the spread, however far from zero the means lie. The result therefore has a relative error of a few hundred
//! eps at most, and the data are read from memory only once. The deviations of equal numbers are exactly 0.
//!
//! # Scans
//! A running sum or product along an axis is split into blocks of [`SCAN_BLOCK`] elements; the last block may be
//! shorter. Inside a block, elements are combined one after another, from the first: `p[0] = x[0]`,
//! `p[i] = op(p[i - 1], x[i])`. The results of whole blocks are combined likewise: the offset of the second block is
//! the last `p` of the first block, and the offset of each further block is `op(offset, p[last])` of the block before.
//! A result is `p[i]` in the first block and `op(offset, p[i])` in the other blocks. Several blocks can thus be scanned
//! at once, by threads and by instructions that would otherwise wait for each other. The error of a sum is at most
//! `(SCAN_BLOCK + n / SCAN_BLOCK) * eps * sum(|x|)`.
//!
//! Running products of floats and complex numbers use [`Product`]s, too: offsets and `p` are [`Product`]s, and each
//! result is `op(offset, p[i])`, rounded. Running sums of floats and complex numbers follow this scheme up to the first
//! result of a line that is infinite or NaN. From that result on, blocks no longer apply: each result is `op(y, x)`,
//! where `y` is the result before it. Infinities and NaNs are therefore at the same positions as in a sequential sum.
//!
//! # Errors
//! The error of a sum of n numbers is at most `(ROWS + log2(n)) * eps * sum(|x|)`: pairwise summation with blocks (N.
//! Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14, 1993).

use crate::{Complex, DType};
use smallvec::SmallVec;

/// The way in which a reduction traverses its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Along runs of the innermost reduced axis, with a fixed number of lanes. This order is also used if a few outputs
    /// lie next to each other in rows without gaps: the lanes of all these outputs together fill vectors.
    Lanes,
    /// Across rows of outputs, one reduced index at a time.
    Rows,
}

/// The most outputs for which a reduction over the rows of a gapless `[rows, outputs]` matrix uses [`Order::Lanes`].
/// Its vectors then hold elements of several outputs.
pub const NARROW: usize = 16;

/// The number of elements that each lane (or each output, across rows) combines in sequence in one block.
pub const ROWS: usize = 64;

/// The largest number of elements of a block of floats that is summed or multiplied without lanes.
pub const SHORT: usize = 8;

/// Returns the number of lanes of a block, for elements of the accumulated `dtype`. Together they have 256 bytes, the
/// size of four AVX-512 registers.
pub const fn lanes(dtype: DType) -> usize {
    256 / dtype.size()
}

/// The number of elements of a block of a scan. Their total size is not a multiple of a page, so that blocks that are
/// scanned at once lie in different sets of a cache.
pub const SCAN_BLOCK: usize = 1040;

/// The mean of some elements, in two parts, and the sum of their squared deviations from it: see
/// [the module](self#deviations).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<T> {
    /// The number of elements.
    pub count: u64,
    /// A number near the mean of the elements.
    pub near: T,
    /// The mean of the elements minus `near`.
    pub rest: T,
    /// The sum of the squared differences between the elements and their mean.
    pub squares: T,
}

/// A float type of [`Moments`].
pub trait Deviate: crate::Element {
    /// Returns `near` of a block whose elements sum to `sum`.
    fn near(sum: Self, count: usize) -> Self;
    /// Returns the moments of a block, from the sums of `d = x - near` and of `d * d`.
    fn moments(count: usize, near: Self, sum: Self, squares: Self) -> Moments<Self>;
    /// Returns the two weights for combining `left` elements with `right` elements: that of the difference of the means
    /// in the mean, and that of its square in the squares.
    fn weights(left: u64, right: u64) -> (Self, Self);
    /// [`Moments::combine`] with precomputed weights.
    fn merge(left: &mut Moments<Self>, right: Moments<Self>, weights: (Self, Self));
}

macro_rules! deviate {
    ($($T:ty),*) => { $(
        impl Deviate for $T {
            #[inline(always)]
            fn near(sum: $T, count: usize) -> $T {
                sum / count as $T
            }
            #[inline(always)]
            fn moments(count: usize, near: $T, sum: $T, squares: $T) -> Moments<$T> {
                let rest = sum / count as $T;
                let squares = squares - sum * rest;
                Moments { count: count as u64, near, rest, squares: if squares < 0.0 { 0.0 } else { squares } }
            }
            #[inline(always)]
            fn weights(left: u64, right: u64) -> ($T, $T) {
                let share = right as f64 / (left + right) as f64;
                (share as $T, (left as f64 * share) as $T)
            }
            #[inline(always)]
            fn merge(left: &mut Moments<$T>, right: Moments<$T>, (share, weight): ($T, $T)) {
                let apart = (right.near - left.near) + (right.rest - left.rest);
                left.rest += apart * share;
                left.squares += right.squares + apart * apart * weight;
                left.count += right.count;
            }
        }
    )* };
}
deviate!(f32, f64);

impl<T: Deviate> Moments<T> {
    /// Combines with the moments of further elements. With `share = right.count / (left.count + right.count)` and
    /// `weight = left.count * share` (computed in f64), and
    /// `apart = (right.near - left.near) + (right.rest - left.rest)`, adds `apart * share` to `rest` and
    /// `right.squares + apart * apart * weight` to `squares`.
    pub fn combine(&mut self, right: Moments<T>) {
        T::merge(self, right, T::weights(self.count, right.count));
    }
}

/// A product with a separate exponent, `mantissa * 2^exponent`: see [the module](self#products).
///
/// Invariant: the magnitude of a real mantissa is in [1, 2), or the mantissa is zero, infinite or NaN. Of a complex
/// mantissa, the larger part is in [2, 4), or both parts are moderate (see [`Multiply::times`]), or both are smaller
/// because the number was computed from subnormal numbers, or a part is infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product<T> {
    /// The product of the factors without their exponents.
    pub mantissa: T,
    /// The sum of the exponents; meaningless if the mantissa is zero, infinite or NaN.
    pub exponent: i64,
}

/// A number type of [`Product`]s.
pub trait Multiply: crate::Element {
    /// Converts a number to a product.
    fn factor(self) -> Product<Self>;
    /// Multiplies two products.
    fn join(left: Product<Self>, right: Product<Self>) -> Product<Self>;
    /// Multiplies a product by a number: the same number as `join(left, x.factor())`. The mantissa is not scaled while
    /// the parts of complex numbers are moderate, so that neither scaling them nor their products can over- or
    /// underflow: scaling would be exact, and takes most of the time.
    #[inline(always)]
    fn times(left: Product<Self>, x: Self) -> Product<Self> {
        Self::join(left, x.factor())
    }
    /// Multiplies two numbers without separate exponents. Returns the product, and whether it has the bits of one with
    /// separate exponents: neither it nor a step of its computation is so small that it loses digits, or infinite.
    fn plainly(left: Self, x: Self) -> (Self, bool);
    /// Converts a product to a number, with a single rounding. The result is infinite or zero if the product is out of
    /// range.
    fn value(product: Product<Self>) -> Self;
}

macro_rules! multiply {
    ($($T:ident $bits:ident $mantissa:literal $bias:literal $raise:literal;)*) => { $(
        impl Multiply for $T {
            #[inline(always)]
            fn factor(self) -> Product<$T> {
                const EXPONENT: $bits = $T::INFINITY.to_bits();
                let field = |x: $T| ((x.to_bits() & EXPONENT) >> $mantissa) as i64;
                let one = |x: $T| $T::from_bits(x.to_bits() & !EXPONENT | (1.0 as $T).to_bits());
                let at = field(self);
                if at != 0 && at <= 2 * $bias {
                    Product { mantissa: one(self), exponent: at - $bias }
                } else if at == 0 && self != 0.0 {
                    let raised = self * (1u64 << $raise) as $T;
                    Product { mantissa: one(raised), exponent: field(raised) - $bias - $raise }
                } else {
                    Product { mantissa: self, exponent: 0 }
                }
            }

            #[inline(always)]
            fn join(left: Product<$T>, right: Product<$T>) -> Product<$T> {
                let mantissa = left.mantissa * right.mantissa;
                let large = mantissa.abs() >= 2.0 && mantissa.is_finite();
                Product {
                    mantissa: if large { mantissa * 0.5 } else { mantissa },
                    exponent: left.exponent + right.exponent + i64::from(large),
                }
            }

            #[inline(always)]
            fn plainly(left: $T, x: $T) -> ($T, bool) {
                let product = left * x;
                // The smallest normal number is excluded, because a smaller number may have been rounded up to it.
                (product, (product.abs() > $T::MIN_POSITIVE) & (product.abs() <= $T::MAX))
            }

            #[inline(always)]
            fn value(product: Product<$T>) -> $T {
                let power = |e: i64| $T::from_bits((($bias + e) as $bits) << $mantissa);
                let e = product.exponent.clamp(-3 * $bias, 3 * $bias);
                // The first multiplication is exact in both branches, so the value is rounded only once.
                if e > $bias {
                    product.mantissa * power($bias) * power((e - $bias).min($bias))
                } else if e < 1 - $bias {
                    product.mantissa * power(1 - $bias) * power((e + $bias - 1).max(1 - $bias))
                } else {
                    product.mantissa * power(e)
                }
            }
        }

        impl Multiply for Complex<$T> {
            #[inline(always)]
            fn factor(self) -> Product<Complex<$T>> {
                shared::<$T>(self, 0)
            }

            #[inline(always)]
            fn join(left: Product<Self>, right: Product<Self>) -> Product<Self> {
                // Moderate mantissas are scaled first: products of parts may then underflow only if the smaller part
                // of the result does.
                let [left, right] = [left, right].map(|x| shared::<$T>(x.mantissa, x.exponent));
                let (a, b) = (left.mantissa, right.mantissa);
                let product = Complex::new(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re);
                shared::<$T>(product, left.exponent + right.exponent)
            }

            #[inline(always)]
            fn times(left: Product<Self>, x: Self) -> Product<Self> {
                match Self::plainly(left.mantissa, x) {
                    (mantissa, true) => Product { mantissa, exponent: left.exponent },
                    _ => Self::join(left, x.factor()),
                }
            }

            #[inline(always)]
            fn plainly(a: Self, x: Self) -> (Self, bool) {
                let product = Complex::new(a.re * x.re - a.im * x.im, a.re * x.im + a.im * x.re);
                let is_moderate = |z: &Self| $T::is_moderate(z.re) & $T::is_moderate(z.im);
                (product, [a, x, product].iter().fold(true, |all, z| all & is_moderate(z)))
            }

            #[inline(always)]
            fn value(product: Product<Self>) -> Self {
                let part = |x: $T| {
                    let Product { mantissa, exponent } = x.factor();
                    $T::value(Product { mantissa, exponent: exponent + product.exponent })
                };
                Complex::new(part(product.mantissa.re), part(product.mantissa.im))
            }
        }

        impl Shared for $T {
            #[inline(always)]
            fn is_moderate(x: $T) -> bool {
                let (magnitude, quarter) = (x.to_bits() << 1, $bias as $bits / 4);
                let bits = |exponent: $bits| exponent << ($mantissa + 1);
                (magnitude == 0) | (magnitude.wrapping_sub(bits($bias - quarter)) < bits(2 * quarter))
            }

            #[inline(always)]
            fn shared(z: Complex<$T>) -> (Complex<$T>, i64) {
                // The bits of magnitudes, as integers, have the same order as the magnitudes.
                let largest = (z.re.to_bits() << 1).max(z.im.to_bits() << 1) >> 1;
                let at = ((largest >> $mantissa) as i64).max(1);
                let (by, exponent) = if at > 2 * $bias {
                    (1.0, 0)
                } else {
                    ($T::from_bits(((2 * $bias + 1 - at) as $bits) << $mantissa), at - $bias - 1)
                };
                (Complex::new(z.re * by, z.im * by), exponent)
            }
        }
    )* };
}
multiply! {
    f32 u32 23 127 24;
    f64 u64 52 1023 54;
}

/// The type of the parts of a complex number.
trait Shared: Sized {
    /// Returns whether `x` is zero, or its exponent within a quarter of the range: products of two such numbers, and
    /// differences of these, are exact multiples of a normal number's last place.
    fn is_moderate(x: Self) -> bool;
    /// Divides a number by the power of two that brings the larger of its parts into [2, 4). Returns the quotient and
    /// the exponent of that power. Subnormal numbers are divided by the smallest of these powers, numbers with an
    /// infinite or NaN part by 1.
    fn shared(z: Complex<Self>) -> (Complex<Self>, i64);
}

#[inline(always)]
fn shared<T: Shared>(z: Complex<T>, exponent: i64) -> Product<Complex<T>> {
    let (mantissa, by) = T::shared(z);
    Product { mantissa, exponent: exponent + by }
}

/// Combines leaves 0..n, given one after another, as a tree that splits n leaves at the largest power of two below n.
///
/// The tree for `n` leaves therefore contains the trees of all groups of 2^k leaves that start at a multiple of 2^k, so
/// threads can compute these groups separately.
pub struct Tree<T> {
    /// Partial results and their levels: a result of level `level` covers `2^level` leaves. Levels descend.
    stack: SmallVec<[(T, u32); 12]>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Tree { stack: SmallVec::new() }
    }
}

impl<T> Tree<T> {
    /// Creates a tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf. `combine(a, b)` merges b, the later operand, into a.
    pub fn push(&mut self, leaf: T, combine: impl FnMut(&mut T, T)) {
        self.push_level(leaf, 0, combine);
    }

    /// Adds the result of the next `2^level` leaves. The number of leaves so far must be a multiple of `2^level`.
    pub fn push_level(&mut self, mut result: T, mut level: u32, mut combine: impl FnMut(&mut T, T)) {
        while self.stack.last().is_some_and(|(_, l)| *l == level) {
            let (mut left, _) = self.stack.pop().expect("`last` returned an entry");
            combine(&mut left, result);
            (result, level) = (left, level + 1);
        }
        self.stack.push((result, level));
    }

    /// Returns the result, or `None` if there were no leaves.
    pub fn finish(mut self, mut combine: impl FnMut(&mut T, T)) -> Option<T> {
        let (mut result, _) = self.stack.pop()?;
        while let Some((mut left, _)) = self.stack.pop() {
            combine(&mut left, result);
            result = left;
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_keep_their_exponents_and_round_once() {
        fn product<T: Multiply>(of: &[T]) -> T {
            T::value(of.iter().map(|x| x.factor()).reduce(T::join).expect("a factor"))
        }
        assert_eq!(product(&[1e30f32, 1e30, 1e-30, 1e-30]), 1.0);
        assert_eq!(
            product(&[f64::MAX, f64::MAX, 0.25, f64::MIN_POSITIVE, f64::MIN_POSITIVE]),
            4.0 - 4.0 * f64::EPSILON
        );
        assert_eq!([product(&[f32::MAX, 2.0]), product(&[f32::MAX, -2.0])], [f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(product(&[f64::from_bits(1), 0.5, -2.0]), -f64::from_bits(1));
        assert_eq!(
            product(&[f32::from_bits(3), 0.5, f32::MAX]),
            (f64::from(f32::from_bits(3)) * 0.5 * f64::from(f32::MAX)) as f32
        );
        // One rounding: half of the smallest number rounds to zero, a little more than half rounds up.
        assert_eq!(
            [product(&[f64::from_bits(1), 0.5]), product(&[f64::from_bits(1), 0.5f64.next_up()])],
            [0.0, f64::from_bits(1)]
        );
        assert_eq!(product(&[1.5f64 + f64::EPSILON, f64::MIN_POSITIVE, f64::EPSILON]), f64::from_bits(2));
        for (x, want) in [
            ([0.0, f64::MAX, -3.0], -0.0),
            ([-0.0, 2.0, -3.0], 0.0),
            ([f64::NEG_INFINITY, 1e-300, 1e-300], f64::NEG_INFINITY),
        ] {
            assert_eq!(product(&x).to_bits(), want.to_bits(), "{x:?}");
        }
        assert!(product(&[f64::INFINITY, 1.0, 0.0]).is_nan() && product(&[0.0f32, f32::NAN]).is_nan());
        // Every exponent is converted to a number and back.
        for e in -1074..1024 {
            let x = Product { mantissa: 1.0f64, exponent: e };
            assert_eq!(f64::value(x).factor(), x);
        }
        for e in -149..128 {
            let x = Product { mantissa: -1.0f32, exponent: e };
            assert_eq!(f32::value(x).factor(), x);
        }
        let far = product(
            &[(0.0, 1e200f64), (0.0, 1e200), (1e-200, 0.0), (-1e-200, 0.0)].map(|(re, im)| Complex::new(re, im)),
        );
        assert!((far.re - 1.0).abs() < 1e-15 && far.im == 0.0, "{far}");
        let little = f32::from_bits(1);
        assert_eq!(
            product(&[Complex::new(3.0 * little, 4.0 * little), Complex::new(0.0, 2.0)]),
            Complex::new(-8.0 * little, 6.0 * little)
        );
        assert!(product(&[Complex::new(f64::INFINITY, 0.0), Complex::new(1.0, 0.0)]).im.is_nan());
    }

    /// The recursive definition, with which the test compares the streaming form.
    fn recursive(leaves: &[String]) -> String {
        if leaves.len() == 1 {
            return leaves[0].clone();
        }
        let half = leaves.len().next_power_of_two() / 2;
        format!("({}{})", recursive(&leaves[..half]), recursive(&leaves[half..]))
    }

    #[test]
    fn streaming_builds_the_tree_of_the_definition() {
        let join = |a: &mut String, b: String| *a = format!("({a}{b})");
        for n in 1..70usize {
            let leaves: Vec<String> = (0..n).map(|i| format!("{i},")).collect();
            let mut tree = Tree::new();
            leaves.iter().for_each(|l| tree.push(l.clone(), join));
            assert_eq!(tree.finish(join).unwrap(), recursive(&leaves));
            // Adds chunks of 8 leaves, as threads do.
            let mut tree = Tree::new();
            for chunk in leaves.chunks(8) {
                let level = if chunk.len() == 8 { 3 } else { 0 };
                if level == 3 {
                    tree.push_level(recursive(chunk), 3, join)
                } else {
                    chunk.iter().for_each(|l| tree.push(l.clone(), join))
                }
            }
            assert_eq!(tree.finish(join).unwrap(), recursive(&leaves));
        }
        assert!(Tree::<String>::new().finish(join).is_none());
    }
}
