//! What every ufunc means for every dtype: one exhaustive match for each family of dtypes, so that the compiler leads whoever adds a row to the table.

use bytemuck::checked;
use polyarray_core::op::Reduction;
use polyarray_core::{Binary, Complex, DType, Element, Unary, bf16, f16};

/// Ufuncs over strips. `out` has room for a result for each element of `x`; a ufunc that is not defined for the dtype never gets here.
pub trait Ufuncs: Element {
    /// `op(x)`.
    fn unary(op: Unary, x: &[Self], out: &mut [u128]);
    /// `op(x, y)`.
    fn binary(op: Binary, x: &[Self], y: &[Self], out: &mut [u128]);
    /// `x * y + z`, rounded once.
    fn fused(_x: &[Self], _y: &[Self], _z: &[Self], _out: &mut [u128]) {
        undefined("mul_add", Self::DTYPE)
    }
    /// Where a reduction starts.
    fn identity(kind: Reduction) -> Self;
    /// How a reduction combines two.
    fn combine(kind: Reduction) -> fn(Self, Self) -> Self;
}

/// A verified program has no such instruction.
fn undefined(op: &str, dtype: DType) -> ! {
    unreachable!("{op} is not defined for {dtype}: the verifier lets no such program pass")
}

/// `f` of each element, to the front of `out`.
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

/// `x` where `condition`, else `y`.
pub fn select<T: Element>(condition: &[bool], x: &[T], y: &[T], out: &mut [u128]) {
    for (((out, &c), &x), &y) in checked::cast_slice_mut(out).iter_mut().zip(condition).zip(x).zip(y) {
        *out = if c { x } else { y };
    }
}

/// `value` in every element of a strip.
pub fn filled<T: Element>(strip: &mut [u128], value: T) {
    let len = strip.len();
    checked::cast_slice_mut::<u128, T>(strip)[..len].fill(value);
}

/// Only NaN cannot be compared with itself.
fn is_nan<T: PartialOrd>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

/// The smaller; NaN if either is; `b` if they are equal (so of zeros of both signs, too).
fn minimum<T: Element + PartialOrd>(a: T, b: T) -> T {
    if a < b || is_nan(a) { a } else { b }
}

/// The larger; NaN if either is; `b` if they are equal.
fn maximum<T: Element + PartialOrd>(a: T, b: T) -> T {
    if a > b || is_nan(a) { a } else { b }
}

impl Ufuncs for bool {
    fn unary(op: Unary, x: &[bool], out: &mut [u128]) {
        match op {
            Unary::LogicalNot => each(x, out, |x| !x),
            Unary::Neg | Unary::Abs | Unary::Square | Unary::Sqrt | Unary::Exp | Unary::Log | Unary::Sin | Unary::Cos | Unary::Tanh => {
                undefined(op.info().name, DType::Bool)
            }
        }
    }

    fn binary(op: Binary, x: &[bool], y: &[bool], out: &mut [u128]) {
        match op {
            Binary::Equal => each2(x, y, out, |x, y| x == y),
            Binary::NotEqual => each2(x, y, out, |x, y| x != y),
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Pow | Binary::Minimum | Binary::Maximum => undefined(op.info().name, DType::Bool),
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => undefined(op.info().name, DType::Bool),
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

/// Integers: `$abs` and `$negative` are what differs between signed and unsigned ones.
macro_rules! integers {
    ($($T:ty, $abs:expr, $negative:expr;)*) => { $(
        impl Ufuncs for $T {
            fn unary(op: Unary, x: &[$T], out: &mut [u128]) {
                match op {
                    Unary::Neg => each(x, out, |x| x.wrapping_neg()),
                    Unary::Abs => each(x, out, $abs),
                    Unary::Square => each(x, out, |x| x.wrapping_mul(x)),
                    Unary::LogicalNot => each(x, out, |x| x == 0),
                    Unary::Sqrt | Unary::Exp | Unary::Log | Unary::Sin | Unary::Cos | Unary::Tanh => undefined(op.info().name, Self::DTYPE),
                }
            }

            fn binary(op: Binary, x: &[$T], y: &[$T], out: &mut [u128]) {
                /// By squaring. A negative exponent gives the fraction truncated: nothing, but for bases of one and minus one.
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
                match op {
                    Binary::Add => each2(x, y, out, <$T>::wrapping_add),
                    Binary::Sub => each2(x, y, out, <$T>::wrapping_sub),
                    Binary::Mul => each2(x, y, out, <$T>::wrapping_mul),
                    Binary::Div => each2(x, y, out, |x, y| if y == 0 { 0 } else { x.wrapping_div(y) }),
                    Binary::Pow => each2(x, y, out, pow),
                    Binary::Minimum => each2(x, y, out, minimum),
                    Binary::Maximum => each2(x, y, out, maximum),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::Less => each2(x, y, out, |x, y| x < y),
                    Binary::LessEqual => each2(x, y, out, |x, y| x <= y),
                    Binary::Greater => each2(x, y, out, |x, y| x > y),
                    Binary::GreaterEqual => each2(x, y, out, |x, y| x >= y),
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
    i8, i8::wrapping_abs, |y: i8| y < 0;
    i16, i16::wrapping_abs, |y: i16| y < 0;
    i32, i32::wrapping_abs, |y: i32| y < 0;
    i64, i64::wrapping_abs, |y: i64| y < 0;
    u8, |x: u8| x, |_: u8| false;
    u16, |x: u16| x, |_: u16| false;
    u32, |x: u32| x, |_: u32| false;
    u64, |x: u64| x, |_: u64| false;
}

/// Floats of type `$T`, computed in `$A`, to which `$up` and from which `$down` leads. Functions without an IEEE definition are computed
/// in f64 and rounded to `$A`, so that in narrower types they are exact but for that rounding.
macro_rules! floats {
    ($($T:ty, $A:ty, $up:expr, $down:expr;)*) => { $(
        impl Ufuncs for $T {
            fn unary(op: Unary, x: &[$T], out: &mut [u128]) {
                let wide = |f: fn(f64) -> f64| move |x: $T| $down(f(f64::from($up(x))) as $A);
                match op {
                    Unary::Neg => each(x, out, |x| $down(-$up(x))),
                    Unary::Abs => each(x, out, |x| $down($up(x).abs())),
                    Unary::Square => each(x, out, |x| $down($up(x) * $up(x))),
                    Unary::Sqrt => each(x, out, |x| $down($up(x).sqrt())),
                    Unary::Exp => each(x, out, wide(f64::exp)),
                    Unary::Log => each(x, out, wide(f64::ln)),
                    Unary::Sin => each(x, out, wide(f64::sin)),
                    Unary::Cos => each(x, out, wide(f64::cos)),
                    Unary::Tanh => each(x, out, wide(f64::tanh)),
                    Unary::LogicalNot => each(x, out, |x| $up(x) == 0.0),
                }
            }

            fn binary(op: Binary, x: &[$T], y: &[$T], out: &mut [u128]) {
                match op {
                    Binary::Add => each2(x, y, out, |x, y| $down($up(x) + $up(y))),
                    Binary::Sub => each2(x, y, out, |x, y| $down($up(x) - $up(y))),
                    Binary::Mul => each2(x, y, out, |x, y| $down($up(x) * $up(y))),
                    Binary::Div => each2(x, y, out, |x, y| $down($up(x) / $up(y))),
                    Binary::Pow => each2(x, y, out, |x, y| $down(f64::from($up(x)).powf(f64::from($up(y))) as $A)),
                    Binary::Minimum => each2(x, y, out, minimum),
                    Binary::Maximum => each2(x, y, out, maximum),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::Less => each2(x, y, out, |x, y| x < y),
                    Binary::LessEqual => each2(x, y, out, |x, y| x <= y),
                    Binary::Greater => each2(x, y, out, |x, y| x > y),
                    Binary::GreaterEqual => each2(x, y, out, |x, y| x >= y),
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

/// Complex numbers with parts of type `$F`; functions are computed in f64 and rounded.
macro_rules! complex {
    ($($F:ty),*) => { $(
        impl Ufuncs for Complex<$F> {
            fn unary(op: Unary, x: &[Self], out: &mut [u128]) {
                let wide = |f: fn(Complex<f64>) -> Complex<f64>| {
                    move |x: Self| {
                        let y = f(Complex::new(f64::from(x.re), f64::from(x.im)));
                        Complex::new(y.re as $F, y.im as $F)
                    }
                };
                match op {
                    Unary::Neg => each(x, out, |x| -x),
                    Unary::Abs => each(x, out, |x| x.re.hypot(x.im)),
                    Unary::Square => each(x, out, |x| x * x),
                    Unary::Sqrt => each(x, out, wide(Complex::sqrt)),
                    Unary::Exp => each(x, out, wide(Complex::exp)),
                    Unary::Log => each(x, out, wide(Complex::ln)),
                    Unary::LogicalNot => each(x, out, |x| x.re == 0.0 && x.im == 0.0),
                    Unary::Sin | Unary::Cos | Unary::Tanh => undefined(op.info().name, Self::DTYPE),
                }
            }

            fn binary(op: Binary, x: &[Self], y: &[Self], out: &mut [u128]) {
                /// R. Smith, "Algorithm 116: Complex division", CACM 5, 1962: the squares of the parts need not fit the type.
                fn div(x: Complex<$F>, y: Complex<$F>) -> Complex<$F> {
                    if y.re == 0.0 && y.im == 0.0 {
                        return Complex::new(x.re / y.re.abs(), x.im / y.re.abs());
                    }
                    if y.re.abs() >= y.im.abs() {
                        let ratio = y.im / y.re;
                        let scale = y.re + y.im * ratio;
                        Complex::new((x.re + x.im * ratio) / scale, (x.im - x.re * ratio) / scale)
                    } else {
                        let ratio = y.re / y.im;
                        let scale = y.re * ratio + y.im;
                        Complex::new((x.re * ratio + x.im) / scale, (x.im * ratio - x.re) / scale)
                    }
                }
                match op {
                    Binary::Add => each2(x, y, out, |x, y| x + y),
                    Binary::Sub => each2(x, y, out, |x, y| x - y),
                    Binary::Mul => each2(x, y, out, |x, y| x * y),
                    Binary::Div => each2(x, y, out, div),
                    Binary::Equal => each2(x, y, out, |x, y| x == y),
                    Binary::NotEqual => each2(x, y, out, |x, y| x != y),
                    Binary::Pow | Binary::Minimum | Binary::Maximum => undefined(op.info().name, Self::DTYPE),
                    Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => undefined(op.info().name, Self::DTYPE),
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
complex!(f32, f64);
