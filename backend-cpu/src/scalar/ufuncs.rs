//! The meaning of every ufunc for every dtype: one match per family of dtypes. The match of the floats, which have
//! nearly all ufuncs, is exhaustive, so that the compiler reports every new row of the table that is missing here. Most
//! of the others end in [`undefined`]; the conformance suite would reach it if a ufunc were missing.

use super::functions;
use bytemuck::checked;
use polyarray_core::op::Reduction;
use polyarray_core::{Binary, Complex, DType, Element, Unary, bf16, complex, f16};

/// Ufuncs over strips. `out` has room for one result per element of `x`. Programs are verified, so no ufunc is called
/// that the dtype does not define.
pub trait Ufuncs: Element {
    /// Computes `op(x)`.
    fn unary(op: Unary, x: &[Self], out: &mut [u128]);
    /// Computes `op(x, y)`.
    fn binary(op: Binary, x: &[Self], y: &[Self], out: &mut [u128]);
    /// Computes `x * y + z`, rounded once.
    fn fused(_x: &[Self], _y: &[Self], _z: &[Self], _out: &mut [u128]) {
        undefined("mul_add", Self::DTYPE)
    }
    /// Returns the initial value of a reduction.
    fn identity(kind: Reduction) -> Self;
    /// Returns the function that combines two values in a reduction.
    fn combine(kind: Reduction) -> fn(Self, Self) -> Self;
}

/// Panics: a verified program has no such instruction.
fn undefined(op: &str, dtype: DType) -> ! {
    unreachable!("{op} is not defined for {dtype}: the verifier refuses such programs")
}

/// Writes `f` of each element to the front of `out`.
pub fn each<T: Element, U: Element>(x: &[T], out: &mut [u128], f: impl Fn(T) -> U) {
    for (out, &x) in checked::cast_slice_mut(out).iter_mut().zip(x) {
        *out = f(x);
    }
}

fn each2<T: Element, U: Element>(x: &[T], y: &[T], out: &mut [u128], f: impl Fn(T, T) -> U) {
    for ((out, &x), &y) in checked::cast_slice_mut(out).iter_mut().zip(x).zip(y) {
        *out = f(x, y);
    }
}

/// Writes `x` where `condition` is true, else `y`.
pub fn select<T: Element>(condition: &[bool], x: &[T], y: &[T], out: &mut [u128]) {
    for (((out, &c), &x), &y) in checked::cast_slice_mut(out).iter_mut().zip(condition).zip(x).zip(y) {
        *out = if c { x } else { y };
    }
}

/// Fills a strip with `value`.
pub fn filled<T: Element>(strip: &mut [u128], value: T) {
    let len = strip.len();
    checked::cast_slice_mut::<u128, T>(strip)[..len].fill(value);
}

/// Returns whether `x` is NaN: only NaN cannot be compared with itself.
fn is_nan<T: PartialOrd>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

/// Returns the smaller value: NaN if either is NaN, and `b` if they are equal (also for zeros of different signs).
fn minimum<T: Element + PartialOrd>(a: T, b: T) -> T {
    if a < b || is_nan(a) { a } else { b }
}

/// Returns the larger value: NaN if either is NaN, and `b` if they are equal.
fn maximum<T: Element + PartialOrd>(a: T, b: T) -> T {
    if a > b || is_nan(a) { a } else { b }
}

impl Ufuncs for bool {
    fn unary(op: Unary, x: &[bool], out: &mut [u128]) {
        match op {
            Unary::LogicalNot | Unary::Not => each(x, out, |x| !x),
            other => undefined(other.info().name, DType::Bool),
        }
    }

    fn binary(op: Binary, x: &[bool], y: &[bool], out: &mut [u128]) {
        match op {
            Binary::Equal => each2(x, y, out, |x, y| x == y),
            Binary::NotEqual | Binary::LogicalXor | Binary::BitXor => each2(x, y, out, |x, y| x != y),
            Binary::LogicalAnd | Binary::BitAnd | Binary::Minimum | Binary::Fmin => each2(x, y, out, |x, y| x & y),
            Binary::LogicalOr | Binary::BitOr | Binary::Maximum | Binary::Fmax => each2(x, y, out, |x, y| x | y),
            Binary::Less => each2(x, y, out, |x, y| !x & y),
            Binary::LessEqual => each2(x, y, out, |x, y| !x | y),
            Binary::Greater => each2(x, y, out, |x, y| x & !y),
            Binary::GreaterEqual => each2(x, y, out, |x, y| x | !y),
            other => undefined(other.info().name, DType::Bool),
        }
    }

    fn identity(kind: Reduction) -> bool {
        match kind {
            Reduction::Min => true,
            Reduction::Max => false,
            _ => undefined(kind.name(), DType::Bool),
        }
    }

    fn combine(kind: Reduction) -> fn(bool, bool) -> bool {
        match kind {
            Reduction::Min => minimum,
            Reduction::Max => maximum,
            _ => undefined(kind.name(), DType::Bool),
        }
    }
}

/// Implements [`Ufuncs`] for integers. Signed and unsigned ones differ in `$abs`, `$negative` (whether a value is
/// negative) and `$sign_bits` (what remains after all bits are shifted out to the right).
macro_rules! integers {
    ($($T:ty, $abs:expr, $negative:expr, $sign_bits:expr;)*) => { $(
        impl Ufuncs for $T {
            fn unary(op: Unary, x: &[$T], out: &mut [u128]) {
                match op {
                    Unary::Neg => each(x, out, |x| x.wrapping_neg()),
                    Unary::Abs => each(x, out, $abs),
                    Unary::Sign => each(x, out, |x: $T| if ($negative)(x) {
                        (0 as $T).wrapping_sub(1)
                    } else {
                        <$T>::from(x != 0)
                    }),
                    Unary::Square => each(x, out, |x| x.wrapping_mul(x)),
                    Unary::LogicalNot => each(x, out, |x| x == 0),
                    Unary::Not => each(x, out, |x: $T| !x),
                    other => undefined(other.info().name, Self::DTYPE),
                }
            }

            fn binary(op: Binary, x: &[$T], y: &[$T], out: &mut [u128]) {
                /// Computes the power by squaring. A negative exponent gives the truncated fraction: 0, except for the
                /// bases 1 and -1.
                fn pow(x: $T, y: $T) -> $T {
                    if ($negative)(y) {
                        return match ($abs)(x) {
                            1 if y & 1 == 0 => 1,
                            1 => x,
                            _ => 0,
                        };
                    }
                    let (mut power, mut square, mut rest): ($T, $T, $T) = (1, x, y);
                    while rest != 0 {
                        if rest & 1 == 1 {
                            power = power.wrapping_mul(square);
                        }
                        square = square.wrapping_mul(square);
                        rest >>= 1;
                    }
                    power
                }
                /// Converts a shift count to the type that `checked_shl` and `checked_shr` take. A count that does not
                /// fit becomes `u32::MAX`, which is out of range.
                fn count(y: $T) -> u32 {
                    u32::try_from(y).unwrap_or(u32::MAX)
                }
                fn floor_div(x: $T, y: $T) -> $T {
                    if y == 0 {
                        return 0;
                    }
                    let below = x.wrapping_rem(y) != 0 && ($negative)(x) != ($negative)(y);
                    x.wrapping_div(y).wrapping_sub(<$T>::from(below))
                }
                match op {
                    Binary::Add => each2(x, y, out, <$T>::wrapping_add),
                    Binary::Sub => each2(x, y, out, <$T>::wrapping_sub),
                    Binary::Mul => each2(x, y, out, <$T>::wrapping_mul),
                    Binary::Div => each2(x, y, out, |x, y| if y == 0 { 0 } else { x.wrapping_div(y) }),
                    Binary::FloorDiv => each2(x, y, out, floor_div),
                    Binary::Rem => each2(x, y, out, |x, y| if y == 0 { 0 } else { x.wrapping_rem(y) }),
                    Binary::Pow => each2(x, y, out, pow),
                    Binary::Minimum | Binary::Fmin => each2(x, y, out, minimum),
                    Binary::Maximum | Binary::Fmax => each2(x, y, out, maximum),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::Less => each2(x, y, out, |x, y| x < y),
                    Binary::LessEqual => each2(x, y, out, |x, y| x <= y),
                    Binary::Greater => each2(x, y, out, |x, y| x > y),
                    Binary::GreaterEqual => each2(x, y, out, |x, y| x >= y),
                    Binary::LogicalAnd => each2(x, y, out, |x, y| x != 0 && y != 0),
                    Binary::LogicalOr => each2(x, y, out, |x, y| x != 0 || y != 0),
                    Binary::LogicalXor => each2(x, y, out, |x, y| (x != 0) != (y != 0)),
                    Binary::BitAnd => each2(x, y, out, |x, y| x & y),
                    Binary::BitOr => each2(x, y, out, |x, y| x | y),
                    Binary::BitXor => each2(x, y, out, |x, y| x ^ y),
                    Binary::Shl => each2(x, y, out, |x: $T, y| x.checked_shl(count(y)).unwrap_or(0)),
                    Binary::Shr =>
                        each2(x, y, out, |x: $T, y| x.checked_shr(count(y)).unwrap_or_else(|| ($sign_bits)(x))),
                    Binary::Arctan2 | Binary::Hypot | Binary::Copysign => undefined(op.info().name, Self::DTYPE),
                }
            }

            fn identity(kind: Reduction) -> $T {
                match kind {
                    Reduction::Sum => 0,
                    Reduction::Prod => 1,
                    Reduction::Min => <$T>::MAX,
                    Reduction::Max => <$T>::MIN,
                    _ => undefined(kind.name(), Self::DTYPE),
                }
            }

            fn combine(kind: Reduction) -> fn($T, $T) -> $T {
                match kind {
                    Reduction::Sum => <$T>::wrapping_add,
                    Reduction::Prod => <$T>::wrapping_mul,
                    Reduction::Min => minimum,
                    Reduction::Max => maximum,
                    _ => undefined(kind.name(), Self::DTYPE),
                }
            }
        }
    )* };
}

integers! {
    i8, i8::wrapping_abs, |y: i8| y < 0, |x: i8| x >> (i8::BITS - 1);
    i16, i16::wrapping_abs, |y: i16| y < 0, |x: i16| x >> (i16::BITS - 1);
    i32, i32::wrapping_abs, |y: i32| y < 0, |x: i32| x >> (i32::BITS - 1);
    i64, i64::wrapping_abs, |y: i64| y < 0, |x: i64| x >> (i64::BITS - 1);
    u8, |x: u8| x, |_: u8| false, |_: u8| 0;
    u16, |x: u16| x, |_: u16| false, |_: u16| 0;
    u32, |x: u32| x, |_: u32| false, |_: u32| 0;
    u64, |x: u64| x, |_: u64| false, |_: u64| 0;
}

/// Returns `x / y` rounded down, for type `$A`. The result is exact below `2 / EPSILON`; from there on quotients have
/// no fraction and are rounded. The floor is too large only if the quotient was rounded up to a whole number; the sign
/// of the exact remainder shows this. A zero has the quotient's sign. Where y is zero the result is `x / y`; elsewhere
/// it is NaN if x is infinite.
macro_rules! floor_div {
    ($x:expr, $y:expr, $A:ty) => {{
        let (x, y): ($A, $A) = ($x, $y);
        let quotient = x / y;
        let floor = quotient.floor();
        // The remainder is x itself if the quotient was rounded to zero or y is infinite.
        let left = if quotient == 0.0 { x } else { (-floor).mul_add(y, x) };
        let below = if y.is_sign_negative() { left > 0.0 } else { left < 0.0 };
        let whole = quotient == floor && quotient.abs() < 2.0 / <$A>::EPSILON;
        if x.is_infinite() && y != 0.0 {
            <$A>::NAN
        } else if below && whole {
            floor - 1.0
        } else {
            floor
        }
    }};
}

/// Implements [`Ufuncs`] for floats of type `$T`, computed in `$A`. `$up` converts to `$A` and `$down` converts back.
/// Functions without an IEEE definition are computed in f64 and rounded to `$A`, so in narrower types that rounding is
/// their only error.
macro_rules! floats {
    ($($T:ty, $A:ty, $up:expr, $down:expr;)*) => { $(
        impl Ufuncs for $T {
            fn unary(op: Unary, x: &[$T], out: &mut [u128]) {
                let wide = |f: fn(f64) -> f64| move |x: $T| $down(f(f64::from($up(x))) as $A);
                match op {
                    Unary::Neg => each(x, out, |x| $down(-$up(x))),
                    Unary::Abs => each(x, out, |x| $down($up(x).abs())),
                    // NaN remains NaN, and zeros lose their sign.
                    Unary::Sign => each(x, out, |x|
                        $down(if $up(x).is_nan() { $up(x) } else if $up(x) == 0.0 { 0.0 } else { $up(x).signum() })),
                    Unary::Square => each(x, out, |x| $down($up(x) * $up(x))),
                    Unary::Sqrt => each(x, out, |x| $down($up(x).sqrt())),
                    Unary::Cbrt => each(x, out, wide(f64::cbrt)),
                    Unary::Reciprocal => each(x, out, |x| $down(1.0 / $up(x))),
                    Unary::Exp => each(x, out, wide(f64::exp)),
                    Unary::Exp2 => each(x, out, wide(f64::exp2)),
                    Unary::Expm1 => each(x, out, wide(f64::exp_m1)),
                    Unary::Log => each(x, out, wide(f64::ln)),
                    Unary::Log2 => each(x, out, wide(f64::log2)),
                    Unary::Log10 => each(x, out, wide(f64::log10)),
                    Unary::Log1p => each(x, out, wide(f64::ln_1p)),
                    Unary::Sin => each(x, out, wide(f64::sin)),
                    Unary::Cos => each(x, out, wide(f64::cos)),
                    Unary::Tan => each(x, out, wide(f64::tan)),
                    Unary::Arcsin => each(x, out, wide(f64::asin)),
                    Unary::Arccos => each(x, out, wide(f64::acos)),
                    Unary::Arctan => each(x, out, wide(f64::atan)),
                    Unary::Sinh => each(x, out, wide(f64::sinh)),
                    Unary::Cosh => each(x, out, wide(f64::cosh)),
                    // The standard library's `tanh` of f64 has an error of more than one ULP in places.
                    Unary::Tanh if Self::DTYPE == DType::F64 => each(x, out, wide(functions::tanh)),
                    Unary::Tanh => each(x, out, wide(f64::tanh)),
                    // The standard library's formulas for the inverse hyperbolic functions lose digits where the
                    // argument is small.
                    Unary::Arcsinh => each(x, out, wide(libm::asinh)),
                    // `libm::acosh` returns numbers for large negative arguments.
                    Unary::Arccosh => each(x, out, wide(|x| if x < 1.0 { f64::NAN } else { libm::acosh(x) })),
                    Unary::Arctanh => each(x, out, wide(libm::atanh)),
                    Unary::Erf => each(x, out, wide(libm::erf)),
                    Unary::Sigmoid => each(x, out, wide(functions::sigmoid)),
                    Unary::Floor => each(x, out, |x| $down($up(x).floor())),
                    Unary::Ceil => each(x, out, |x| $down($up(x).ceil())),
                    Unary::Trunc => each(x, out, |x| $down($up(x).trunc())),
                    Unary::Round => each(x, out, |x| $down($up(x).round_ties_even())),
                    Unary::IsNan => each(x, out, |x| $up(x).is_nan()),
                    Unary::IsInf => each(x, out, |x| $up(x).is_infinite()),
                    Unary::IsFinite => each(x, out, |x| $up(x).is_finite()),
                    Unary::LogicalNot => each(x, out, |x| $up(x) == 0.0),
                    Unary::Conj | Unary::Not => undefined(op.info().name, Self::DTYPE),
                }
            }

            fn binary(op: Binary, x: &[$T], y: &[$T], out: &mut [u128]) {
                match op {
                    Binary::Add => each2(x, y, out, |x, y| $down($up(x) + $up(y))),
                    Binary::Sub => each2(x, y, out, |x, y| $down($up(x) - $up(y))),
                    Binary::Mul => each2(x, y, out, |x, y| $down($up(x) * $up(y))),
                    Binary::Div => each2(x, y, out, |x, y| $down($up(x) / $up(y))),
                    Binary::FloorDiv => each2(x, y, out, |x, y| $down(floor_div!($up(x), $up(y), $A))),
                    Binary::Rem => each2(x, y, out, |x, y| $down($up(x) % $up(y))),
                    Binary::Pow => each2(x, y, out, |x, y| $down(f64::from($up(x)).powf(f64::from($up(y))) as $A)),
                    Binary::Arctan2 => each2(x, y, out, |x, y| $down(f64::from($up(x)).atan2(f64::from($up(y))) as $A)),
                    Binary::Hypot => each2(x, y, out, |x, y| $down(f64::from($up(x)).hypot(f64::from($up(y))) as $A)),
                    Binary::Minimum => each2(x, y, out, minimum),
                    Binary::Maximum => each2(x, y, out, maximum),
                    Binary::Fmin => each2(x, y, out, |x, y| if x < y || is_nan(y) { x } else { y }),
                    Binary::Fmax => each2(x, y, out, |x, y| if x > y || is_nan(y) { x } else { y }),
                    Binary::Copysign => each2(x, y, out, |x, y| $down($up(x).copysign($up(y)))),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::Less => each2(x, y, out, |x, y| x < y),
                    Binary::LessEqual => each2(x, y, out, |x, y| x <= y),
                    Binary::Greater => each2(x, y, out, |x, y| x > y),
                    Binary::GreaterEqual => each2(x, y, out, |x, y| x >= y),
                    Binary::LogicalAnd => each2(x, y, out, |x, y| $up(x) != 0.0 && $up(y) != 0.0),
                    Binary::LogicalOr => each2(x, y, out, |x, y| $up(x) != 0.0 || $up(y) != 0.0),
                    Binary::LogicalXor => each2(x, y, out, |x, y| ($up(x) != 0.0) != ($up(y) != 0.0)),
                    Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr =>
                        undefined(op.info().name, Self::DTYPE),
                }
            }

            fn fused(x: &[$T], y: &[$T], z: &[$T], out: &mut [u128]) {
                for (((out, &x), &y), &z) in checked::cast_slice_mut::<u128, $T>(out).iter_mut().zip(x).zip(y).zip(z) {
                    *out = $down($up(x).mul_add($up(y), $up(z)));
                }
            }

            fn identity(kind: Reduction) -> $T {
                $down(match kind {
                    Reduction::Sum => -0.0,
                    Reduction::Prod => 1.0,
                    Reduction::Min => <$A>::INFINITY,
                    Reduction::Max => <$A>::NEG_INFINITY,
                    _ => undefined(kind.name(), Self::DTYPE),
                })
            }

            fn combine(kind: Reduction) -> fn($T, $T) -> $T {
                match kind {
                    Reduction::Sum => |a, b| $down($up(a) + $up(b)),
                    Reduction::Prod => |a, b| $down($up(a) * $up(b)),
                    Reduction::Min => minimum,
                    Reduction::Max => maximum,
                    _ => undefined(kind.name(), Self::DTYPE),
                }
            }
        }
    )* };
}

fn same<T>(x: T) -> T {
    x
}

floats! {
    f16, f32, f16::to_f32, f16::from_f32;
    bf16, f32, bf16::to_f32, bf16::from_f32;
    f32, f32, same, same;
    f64, f64, same, same;
}

/// Returns whether a complex number is not zero.
fn truth<F: PartialEq + Default>(x: Complex<F>) -> bool {
    x.re != F::default() || x.im != F::default()
}

/// Divides complex numbers of type `$F` as in R. Smith, "Algorithm 116: Complex division", CACM 5, 1962: the squares of
/// the parts may exceed the range of the type. Operands whose sums would exceed it, and operands so small that digits
/// would be lost, are multiplied by a power of two first; the quotient is scaled back at the end.
macro_rules! quotient {
    ($F:ty, $x:expr, $y:expr, large $large:expr, little $little:expr, by $up:expr) => {{
        let (x, y): (Complex<$F>, Complex<$F>) = ($x, $y);
        let quotient = |x: Complex<$F>, y: Complex<$F>| {
            if y.re.abs() >= y.im.abs() {
                let ratio = y.im / y.re;
                let scale = y.re + y.im * ratio;
                Complex::new((x.re + x.im * ratio) / scale, (x.im - x.re * ratio) / scale)
            } else {
                let ratio = y.re / y.im;
                let scale = y.re * ratio + y.im;
                Complex::new((x.re * ratio + x.im) / scale, (x.im * ratio - x.re) / scale)
            }
        };
        let scale = |z: Complex<$F>| {
            let most = if z.re.abs() < z.im.abs() { z.im.abs() } else { z.re.abs() };
            if most > $large {
                0.0625
            } else if most < $little {
                $up
            } else {
                1.0
            }
        };
        if y.re == 0.0 && y.im == 0.0 {
            Complex::new(x.re / y.re.abs(), x.im / y.re.abs())
        } else {
            let (by_x, by_y) = (scale(x), scale(y));
            let (x, y) = (Complex::new(x.re * by_x, x.im * by_x), Complex::new(y.re * by_y, y.im * by_y));
            let (quotient, back) = (quotient(x, y), by_y / by_x);
            Complex::new(quotient.re * back, quotient.im * back)
        }
    }};
}

/// Implements [`Ufuncs`] for complex numbers with parts of type `$F`. Functions are computed in f64 and rounded.
macro_rules! complex {
    ($($F:ty, large $large:expr, little $little:expr, by $up:expr;)*) => { $(
        impl Ufuncs for Complex<$F> {
            fn unary(op: Unary, x: &[Self], out: &mut [u128]) {
                let wide = |x: Self| Complex::new(f64::from(x.re), f64::from(x.im));
                let narrow = |x: Complex<f64>| Complex::new(x.re as $F, x.im as $F);
                match op {
                    Unary::Neg => each(x, out, |x| -x),
                    Unary::Conj => each(x, out, |x| x.conj()),
                    Unary::Abs => each(x, out, |x| x.re.hypot(x.im)),
                    Unary::Square => each(x, out, |x| x * x),
                    Unary::Reciprocal => each(x, out, |x| {
                        quotient!($F, Complex::new(1.0, 0.0), x, large $large, little $little, by $up)
                    }),
                    Unary::Round => each(x, out, |x| Complex::new(x.re.round_ties_even(), x.im.round_ties_even())),
                    Unary::IsNan => each(x, out, |x| x.re.is_nan() || x.im.is_nan()),
                    Unary::IsInf => each(x, out, |x| x.re.is_infinite() || x.im.is_infinite()),
                    Unary::IsFinite => each(x, out, |x| x.re.is_finite() && x.im.is_finite()),
                    Unary::LogicalNot => each(x, out, |x| !truth(x)),
                    other => match complex::function(other) {
                        Some(f) => each(x, out, |x| narrow(f(wide(x)))),
                        None => undefined(other.info().name, Self::DTYPE),
                    },
                }
            }

            fn binary(op: Binary, x: &[Self], y: &[Self], out: &mut [u128]) {
                let wide = |x: Self| Complex::new(f64::from(x.re), f64::from(x.im));
                let narrow = |x: Complex<f64>| Complex::new(x.re as $F, x.im as $F);
                match op {
                    Binary::Add => each2(x, y, out, |x, y| x + y),
                    Binary::Sub => each2(x, y, out, |x, y| x - y),
                    Binary::Mul => each2(x, y, out, |x, y| x * y),
                    Binary::Div => each2(x, y, out, |x, y| {
                        quotient!($F, x, y, large $large, little $little, by $up)
                    }),
                    Binary::Pow => each2(x, y, out, |x, y| narrow(complex::pow(wide(x), wide(y)))),
                    Binary::Minimum => each2(x, y, out, complex::minimum),
                    Binary::Maximum => each2(x, y, out, complex::maximum),
                    Binary::Fmin => each2(x, y, out, complex::fmin),
                    Binary::Fmax => each2(x, y, out, complex::fmax),
                    Binary::Less => each2(x, y, out, complex::less),
                    Binary::LessEqual => each2(x, y, out, complex::less_equal),
                    Binary::Greater => each2(x, y, out, |x, y| complex::less(y, x)),
                    Binary::GreaterEqual => each2(x, y, out, |x, y| complex::less_equal(y, x)),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::LogicalAnd => each2(x, y, out, |x, y| truth(x) && truth(y)),
                    Binary::LogicalOr => each2(x, y, out, |x, y| truth(x) || truth(y)),
                    Binary::LogicalXor => each2(x, y, out, |x, y| truth(x) != truth(y)),
                    other => undefined(other.info().name, Self::DTYPE),
                }
            }

            fn identity(kind: Reduction) -> Self {
                match kind {
                    Reduction::Sum => Complex::new(-0.0, -0.0),
                    Reduction::Prod => Complex::new(1.0, 0.0),
                    _ => undefined(kind.name(), Self::DTYPE),
                }
            }

            fn combine(kind: Reduction) -> fn(Self, Self) -> Self {
                match kind {
                    Reduction::Sum => |a, b| a + b,
                    Reduction::Prod => |a, b| a * b,
                    _ => undefined(kind.name(), Self::DTYPE),
                }
            }
        }
    )* };
}
complex! {
    f32, large 2f32.powi(125), little 2f32.powi(-70), by 2f32.powi(60);
    f64, large 2f64.powi(1021), little 2f64.powi(-900), by 2f64.powi(200);
}
