//! The exactly defined instructions, on one element, and the functions of complex numbers that have no vector code. A
//! bool is a byte of 0 or 1.

use polyarray_core::{Complex, Unary, bf16, complex, f16, f32_rounded_to_odd};
use std::marker::PhantomData;

/// A function of one element.
pub(crate) trait Exact1<T> {
    type Out: Copy;
    fn f(x: T) -> Self::Out;
}

/// A function of two elements.
pub(crate) trait Exact2<T> {
    type Out: Copy;
    fn f(x: T, y: T) -> Self::Out;
}

macro_rules! names {
    ($($Name:ident)*) => { $( pub(crate) struct $Name; )* };
}
names! {
    Neg Abs Sign Square Sqrt Reciprocal IsNan IsInf IsFinite LogicalNot Not Conj Flip Truth
    Add Sub Mul Div IntFloorDiv IntRem IntPow ComplexPow Minimum Maximum Fmin Fmax Copysign
    Equal NotEqual Less LessEqual Greater GreaterEqual
    LogicalAnd LogicalOr LogicalXor BitAnd BitOr BitXor Shl Shr
}

macro_rules! exact1 {
    ($T:ty: $($Name:ident |$x:ident| -> $Out:ty $body:block)*) => { $(
        impl Exact1<$T> for $Name {
            type Out = $Out;
            #[inline(always)]
            fn f($x: $T) -> $Out $body
        }
    )* };
}

macro_rules! exact2 {
    ($T:ty: $($Name:ident |$x:ident, $y:ident| -> $Out:ty $body:block)*) => { $(
        impl Exact2<$T> for $Name {
            type Out = $Out;
            #[inline(always)]
            fn f($x: $T, $y: $T) -> $Out $body
        }
    )* };
}

/// Functions of every type that has an order and a zero.
macro_rules! comparable {
    ($($T:ty, $zero:expr;)*) => { $(
        exact1! { $T:
            LogicalNot |x| -> u8 { u8::from(x == $zero) }
            Truth |x| -> u8 { u8::from(x != $zero) }
        }
        exact2! { $T:
            Equal |x, y| -> u8 { u8::from(x == y) }
            NotEqual |x, y| -> u8 { u8::from(x != y) }
            Less |x, y| -> u8 { u8::from(x < y) }
            LessEqual |x, y| -> u8 { u8::from(x <= y) }
            Greater |x, y| -> u8 { u8::from(x > y) }
            GreaterEqual |x, y| -> u8 { u8::from(x >= y) }
            LogicalAnd |x, y| -> u8 { u8::from(x != $zero) & u8::from(y != $zero) }
            LogicalOr |x, y| -> u8 { u8::from(x != $zero) | u8::from(y != $zero) }
            LogicalXor |x, y| -> u8 { u8::from(x != $zero) ^ u8::from(y != $zero) }
        }
    )* };
}
comparable! { i8, 0; i16, 0; i32, 0; i64, 0; u8, 0; u16, 0; u32, 0; u64, 0; f32, 0.0; f64, 0.0; }

/// The truncated quotient of integers of at most 16 bits by one that is not 0, wrapped, through f32, whose division is
/// a vector instruction. It is exact: a quotient that is no integer differs from the next one by at least 2^-16 of
/// itself, and f32 rounds to within 2^-24.
macro_rules! quotient_of_16 {
    ($T:ty) => {
        |x: $T, y: $T| {
            // SAFETY: y is not 0, so the quotient is finite and at most 2^16.
            unsafe { (f32::from(x) / f32::from(y)).to_int_unchecked::<i32>() as $T }
        }
    };
}

/// As `quotient_of_16`, of integers of 32 bits through f64, which rounds to within 2^-53.
macro_rules! quotient_of_32 {
    ($T:ty) => {
        |x: $T, y: $T| {
            // SAFETY: y is not 0, so the quotient is finite and at most 2^32.
            unsafe { (f64::from(x) / f64::from(y)).to_int_unchecked::<i64>() as $T }
        }
    };
}

/// Integers, signed and unsigned. Wrapping operations give the same bits for both, and are used for both through the
/// signed type.
macro_rules! integers {
    ($($T:ty, negative $negative:expr, abs $abs:expr, quotient $quotient:expr, shifted out $gone:expr;)*) => { $(
        exact1! { $T:
            Neg |x| -> $T { x.wrapping_neg() }
            Abs |x| -> $T { ($abs)(x) }
            Sign |x| -> $T { if ($negative)(x) { (0 as $T).wrapping_sub(1) } else { <$T>::from(x != 0) } }
            Square |x| -> $T { x.wrapping_mul(x) }
            Not |x| -> $T { !x }
        }
        exact2! { $T:
            Add |x, y| -> $T { x.wrapping_add(y) }
            Sub |x, y| -> $T { x.wrapping_sub(y) }
            Mul |x, y| -> $T { x.wrapping_mul(y) }
            Div |x, y| -> $T {
                let quotient = ($quotient)(x, if y == 0 { 1 } else { y });
                if y == 0 { 0 } else { quotient }
            }
            IntFloorDiv |x, y| -> $T {
                let quotient = ($quotient)(x, if y == 0 { 1 } else { y });
                let rest = x.wrapping_sub(quotient.wrapping_mul(y));
                let below = rest != 0 && ($negative)(x) != ($negative)(y);
                if y == 0 { 0 } else { quotient.wrapping_sub(<$T>::from(below)) }
            }
            IntRem |x, y| -> $T {
                let quotient = ($quotient)(x, if y == 0 { 1 } else { y });
                if y == 0 { 0 } else { x.wrapping_sub(quotient.wrapping_mul(y)) }
            }
            IntPow |x, y| -> $T {
                if ($negative)(y) {
                    // The truncated fraction: 0, except for the bases 1 and -1.
                    let odd = if y & 1 == 0 { 1 } else { x };
                    return if ($abs)(x) == 1 { odd } else { 0 };
                }
                let (mut power, mut square, mut rest): ($T, $T, $T) = (1, x, y);
                while rest != 0 {
                    power = if rest & 1 == 1 { power.wrapping_mul(square) } else { power };
                    square = square.wrapping_mul(square);
                    rest >>= 1;
                }
                power
            }
            Minimum |x, y| -> $T { if x < y { x } else { y } }
            Maximum |x, y| -> $T { if x > y { x } else { y } }
            BitAnd |x, y| -> $T { x & y }
            BitOr |x, y| -> $T { x | y }
            BitXor |x, y| -> $T { x ^ y }
            Shl |x, y| -> $T { if within(y as u64, <$T>::BITS) { x.wrapping_shl(y as u32) } else { 0 } }
            Shr |x, y| -> $T { if within(y as u64, <$T>::BITS) { x.wrapping_shr(y as u32) } else { ($gone)(x) } }
        }
    )* };
}
integers! {
    i8, negative |x: i8| x < 0, abs i8::wrapping_abs, quotient quotient_of_16!(i8), shifted out |x: i8| x >> 7;
    i16, negative |x: i16| x < 0, abs i16::wrapping_abs, quotient quotient_of_16!(i16), shifted out |x: i16| x >> 15;
    i32, negative |x: i32| x < 0, abs i32::wrapping_abs, quotient quotient_of_32!(i32), shifted out |x: i32| x >> 31;
    i64, negative |x: i64| x < 0, abs i64::wrapping_abs, quotient i64::wrapping_div, shifted out |x: i64| x >> 63;
    u8, negative |_: u8| false, abs |x: u8| x, quotient quotient_of_16!(u8), shifted out |_: u8| 0;
    u16, negative |_: u16| false, abs |x: u16| x, quotient quotient_of_16!(u16), shifted out |_: u16| 0;
    u32, negative |_: u32| false, abs |x: u32| x, quotient quotient_of_32!(u32), shifted out |_: u32| 0;
    u64, negative |_: u64| false, abs |x: u64| x, quotient u64::wrapping_div, shifted out |_: u64| 0;
}

/// Returns whether a shift count is below the width. A negative count has been converted to a large one.
#[inline(always)]
fn within(count: u64, bits: u32) -> bool {
    count < u64::from(bits)
}

// Negates a truth value in a byte.
exact1! { u8: Flip |x| -> u8 { x ^ 1 } }

macro_rules! floats {
    ($($T:ty),*) => { $(
        exact1! { $T:
            Neg |x| -> $T { -x }
            Abs |x| -> $T { x.abs() }
            Sign |x| -> $T { if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x + 0.0 } }
            Square |x| -> $T { x * x }
            Sqrt |x| -> $T { x.sqrt() }
            Reciprocal |x| -> $T { 1.0 / x }
            IsNan |x| -> u8 { u8::from(x.is_nan()) }
            IsInf |x| -> u8 { u8::from(x.abs() == <$T>::INFINITY) }
            IsFinite |x| -> u8 { u8::from(x.abs() < <$T>::INFINITY) }
        }
        exact2! { $T:
            Add |x, y| -> $T { x + y }
            Sub |x, y| -> $T { x - y }
            Mul |x, y| -> $T { x * y }
            Div |x, y| -> $T { x / y }
            Minimum |x, y| -> $T { if x < y || x.is_nan() { x } else { y } }
            Maximum |x, y| -> $T { if x > y || x.is_nan() { x } else { y } }
            Fmin |x, y| -> $T { if x < y || y.is_nan() { x } else { y } }
            Fmax |x, y| -> $T { if x > y || y.is_nan() { x } else { y } }
            Copysign |x, y| -> $T { x.copysign(y) }
        }
    )* };
}
floats!(f32, f64);

/// Complex numbers. Sums and differences of strips are computed on the parts; those here have a single value.
macro_rules! complex {
    ($($F:ty),*) => { $(
        exact1! { Complex<$F>:
            Square |x| -> Complex<$F> { x * x }
            Conj |x| -> Complex<$F> { x.conj() }
            IsNan |x| -> u8 { u8::from(x.re.is_nan()) | u8::from(x.im.is_nan()) }
            IsInf |x| -> u8 { u8::from(x.re.is_infinite()) | u8::from(x.im.is_infinite()) }
            IsFinite |x| -> u8 { u8::from(x.re.is_finite()) & u8::from(x.im.is_finite()) }
            LogicalNot |x| -> u8 { u8::from(x.re == 0.0) & u8::from(x.im == 0.0) }
            Truth |x| -> u8 { u8::from(x.re != 0.0) | u8::from(x.im != 0.0) }
        }
        exact2! { Complex<$F>:
            Add |x, y| -> Complex<$F> { x + y }
            Sub |x, y| -> Complex<$F> { x - y }
            Mul |x, y| -> Complex<$F> { x * y }
            Equal |x, y| -> u8 { u8::from(x.re == y.re) & u8::from(x.im == y.im) }
            NotEqual |x, y| -> u8 { u8::from(x.re != y.re) | u8::from(x.im != y.im) }
            Less |x, y| -> u8 { u8::from(complex::less(x, y)) }
            LessEqual |x, y| -> u8 { u8::from(complex::less_equal(x, y)) }
            Greater |x, y| -> u8 { u8::from(complex::less(y, x)) }
            GreaterEqual |x, y| -> u8 { u8::from(complex::less_equal(y, x)) }
            Minimum |x, y| -> Complex<$F> { complex::minimum(x, y) }
            Maximum |x, y| -> Complex<$F> { complex::maximum(x, y) }
            Fmin |x, y| -> Complex<$F> { complex::fmin(x, y) }
            Fmax |x, y| -> Complex<$F> { complex::fmax(x, y) }
            LogicalAnd |x, y| -> u8 { <Truth as Exact1<Complex<$F>>>::f(x) & <Truth as Exact1<Complex<$F>>>::f(y) }
            LogicalOr |x, y| -> u8 { <Truth as Exact1<Complex<$F>>>::f(x) | <Truth as Exact1<Complex<$F>>>::f(y) }
            LogicalXor |x, y| -> u8 { <Truth as Exact1<Complex<$F>>>::f(x) ^ <Truth as Exact1<Complex<$F>>>::f(y) }
        }
    )* };
}
complex!(f32, f64);

exact2! { Complex<f32>:
    ComplexPow |x, y| -> Complex<f32> { narrow(complex::pow(wide(x), wide(y))) }
}
exact2! { Complex<f64>:
    ComplexPow |x, y| -> Complex<f64> { complex::pow(x, y) }
}

/// The function of the ufunc with number `OP` in [`Unary::ALL`], one number at a time: see [`complex::function`].
pub(crate) struct OfComplex<const OP: usize>;

impl<const OP: usize> OfComplex<OP> {
    const FUNCTION: fn(Complex<f64>) -> Complex<f64> =
        complex::function(Unary::ALL[OP]).expect("the ufunc is a function of complex numbers");
}

impl<const OP: usize> Exact1<Complex<f64>> for OfComplex<OP> {
    type Out = Complex<f64>;
    #[inline(always)]
    fn f(x: Complex<f64>) -> Complex<f64> {
        Self::FUNCTION(x)
    }
}

impl<const OP: usize> Exact1<Complex<f32>> for OfComplex<OP> {
    type Out = Complex<f32>;
    #[inline(always)]
    fn f(x: Complex<f32>) -> Complex<f32> {
        narrow(Self::FUNCTION(wide(x)))
    }
}

fn wide(x: Complex<f32>) -> Complex<f64> {
    Complex::new(f64::from(x.re), f64::from(x.im))
}

fn narrow(x: Complex<f64>) -> Complex<f32> {
    Complex::new(x.re as f32, x.im as f32)
}

/// The cast to `U`, by this library's rules, which are those of Rust's `as`.
pub(crate) struct To<U>(PhantomData<U>);

macro_rules! to {
    ($($From:ty),* => $U:tt) => { $( to!(@one $From => $U); )* };
    (@one $From:ty => [$($U:ty),*]) => { $(
        impl Exact1<$From> for To<$U> {
            type Out = $U;
            #[inline(always)]
            fn f(x: $From) -> $U { x as $U }
        }
    )* };
}
to!(i8, i16, i32, i64, u8, u16, u32, u64 => [i8, i16, i32, i64, u8, u16, u32, u64, f32, f64]);
to!(f32, f64 => [f32, f64]);

/// Casts of floats to integers of up to 32 bits. They give what `as` gives, which the compiler does not translate to
/// vectors: the number is brought into the range of the integer in `$F`, which has its bounds, and converted to `$Int`.
macro_rules! to_narrow {
    ($($From:ty, in $F:ty, by $Int:ty => [$($U:ty),*];)*) => { $( to_narrow!(@each $From, $F, $Int, $($U)*); )* };
    (@each $From:ty, $F:ty, $Int:ty, $($U:ty)*) => { $(
        impl Exact1<$From> for To<$U> {
            type Out = $U;
            #[inline(always)]
            fn f(x: $From) -> $U {
                const LEAST: $F = <$U>::MIN as $F;
                const MOST: $F = <$U>::MAX as $F;
                let wide = <$F>::from(x);
                let above = if wide > LEAST { wide } else { LEAST };
                let within = if above < MOST { above } else { MOST };
                // SAFETY: the number is within the bounds of `$U`, which `$F` represents exactly and `$Int` contains.
                let int = unsafe { within.to_int_unchecked::<$Int>() } as $U;
                if x.is_nan() { 0 } else { int }
            }
        }
    )* };
}
to_narrow! {
    f32, in f32, by i32 => [i8, i16, u8, u16];
    f32, in f64, by i32 => [i32];
    f32, in f64, by i64 => [u32];
    f64, in f64, by i32 => [i8, i16, u8, u16, i32];
    f64, in f64, by i64 => [u32];
}

/// Casts of floats to integers of 64 bits, as `to_narrow`. Their largest numbers are no floats, so a float from `$TOP`
/// on gives `MAX`.
macro_rules! to_long {
    ($($From:ty => $U:ty, below $TOP:literal;)*) => { $(
        impl Exact1<$From> for To<$U> {
            type Out = $U;
            #[inline(always)]
            fn f(x: $From) -> $U {
                const LEAST: $From = <$U>::MIN as $From;
                let above = if x > LEAST { x } else { LEAST };
                let within = if above < $TOP { above } else { 0.0 };
                // SAFETY: the number is at least `MIN`, which is a float, and less than the float after `MAX`.
                let int = unsafe { within.to_int_unchecked::<$U>() };
                let bounded = if x >= $TOP { <$U>::MAX } else { int };
                if x.is_nan() { 0 } else { bounded }
            }
        }
    )* };
}
to_long! {
    f32 => i64, below 9_223_372_036_854_775_808.0;
    f64 => i64, below 9_223_372_036_854_775_808.0;
    f32 => u64, below 18_446_744_073_709_551_616.0;
    f64 => u64, below 18_446_744_073_709_551_616.0;
}

/// Casts into half floats from all types but f32: through f64, and an f32 rounded to odd.
macro_rules! to_half {
    ($($From:ty),*) => { $(
        impl Exact1<$From> for To<f16> {
            type Out = f16;
            #[inline(always)]
            fn f(x: $From) -> f16 { f16::from_f32(f32_rounded_to_odd(x as f64)) }
        }
        impl Exact1<$From> for To<bf16> {
            type Out = bf16;
            #[inline(always)]
            fn f(x: $From) -> bf16 { <To<bf16> as Exact1<f32>>::f(f32_rounded_to_odd(x as f64)) }
        }
    )* };
}
to_half!(i8, i16, i32, i64, u8, u16, u32, u64, f64);

impl Exact1<f32> for To<f16> {
    type Out = f16;
    #[inline(always)]
    fn f(x: f32) -> f16 {
        f16::from_f32(x)
    }
}

impl Exact1<bf16> for To<f32> {
    type Out = f32;
    #[inline(always)]
    fn f(x: bf16) -> f32 {
        f32::from_bits(u32::from(x.to_bits()) << 16)
    }
}

impl Exact1<f32> for To<bf16> {
    type Out = bf16;
    /// Adds half an ULP of bf16 to the bits, less 1 if the kept part is even, so that ties go to even. NaNs stay
    /// quiet NaNs.
    #[inline(always)]
    fn f(x: f32) -> bf16 {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        bf16::from_bits(if x.is_nan() { bits >> 16 | 0x40 } else { rounded } as u16)
    }
}

/// Casts between complex numbers and their real parts, and between complex dtypes.
macro_rules! to_complex {
    ($F:ty, $Other:ty) => {
        impl Exact1<Complex<$F>> for To<$F> {
            type Out = $F;
            #[inline(always)]
            fn f(x: Complex<$F>) -> $F {
                x.re
            }
        }
        impl Exact1<$F> for To<Complex<$F>> {
            type Out = Complex<$F>;
            #[inline(always)]
            fn f(x: $F) -> Complex<$F> {
                Complex::new(x, 0.0)
            }
        }
        impl Exact1<Complex<$F>> for To<Complex<$Other>> {
            type Out = Complex<$Other>;
            #[inline(always)]
            fn f(x: Complex<$F>) -> Complex<$Other> {
                Complex::new(x.re as $Other, x.im as $Other)
            }
        }
    };
}
to_complex!(f32, f64);
to_complex!(f64, f32);
