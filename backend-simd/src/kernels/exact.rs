//! What each exactly defined instruction does to one element. A bool is a byte of 0 or 1.

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

macro_rules! exact1 {
    ($($Name:ident { $($T:ty => |$x:ident| -> $Out:ty $body:block)* })*) => { $(
        pub(crate) struct $Name;
        $( impl Exact1<$T> for $Name {
            type Out = $Out;
            #[inline(always)]
            fn f($x: $T) -> $Out $body
        } )*
    )* };
}

macro_rules! exact2 {
    ($($Name:ident { $($T:ty => |$x:ident, $y:ident| -> $Out:ty $body:block)* })*) => { $(
        pub(crate) struct $Name;
        $( impl Exact2<$T> for $Name {
            type Out = $Out;
            #[inline(always)]
            fn f($x: $T, $y: $T) -> $Out $body
        } )*
    )* };
}

exact1! {
    Neg { f32 => |x| -> f32 { -x } f64 => |x| -> f64 { -x } i32 => |x| -> i32 { x.wrapping_neg() } i64 => |x| -> i64 { x.wrapping_neg() } }
    Abs { f32 => |x| -> f32 { x.abs() } f64 => |x| -> f64 { x.abs() } i32 => |x| -> i32 { x.wrapping_abs() } i64 => |x| -> i64 { x.wrapping_abs() } }
    Square { f32 => |x| -> f32 { x * x } f64 => |x| -> f64 { x * x } i32 => |x| -> i32 { x.wrapping_mul(x) } i64 => |x| -> i64 { x.wrapping_mul(x) } }
    Sqrt { f32 => |x| -> f32 { x.sqrt() } f64 => |x| -> f64 { x.sqrt() } }
    LogicalNot {
        u8 => |x| -> u8 { u8::from(x == 0) } f32 => |x| -> u8 { u8::from(x == 0.0) } f64 => |x| -> u8 { u8::from(x == 0.0) }
        i32 => |x| -> u8 { u8::from(x == 0) } i64 => |x| -> u8 { u8::from(x == 0) }
    }
    Truth {
        u8 => |x| -> u8 { x } f32 => |x| -> u8 { u8::from(x != 0.0) } f64 => |x| -> u8 { u8::from(x != 0.0) }
        i32 => |x| -> u8 { u8::from(x != 0) } i64 => |x| -> u8 { u8::from(x != 0) }
    }
}

exact2! {
    Add { f32 => |x, y| -> f32 { x + y } f64 => |x, y| -> f64 { x + y } i32 => |x, y| -> i32 { x.wrapping_add(y) } i64 => |x, y| -> i64 { x.wrapping_add(y) } }
    Sub { f32 => |x, y| -> f32 { x - y } f64 => |x, y| -> f64 { x - y } i32 => |x, y| -> i32 { x.wrapping_sub(y) } i64 => |x, y| -> i64 { x.wrapping_sub(y) } }
    Mul { f32 => |x, y| -> f32 { x * y } f64 => |x, y| -> f64 { x * y } i32 => |x, y| -> i32 { x.wrapping_mul(y) } i64 => |x, y| -> i64 { x.wrapping_mul(y) } }
    Div {
        f32 => |x, y| -> f32 { x / y } f64 => |x, y| -> f64 { x / y }
        i32 => |x, y| -> i32 { if y == 0 { 0 } else { x.wrapping_div(y) } } i64 => |x, y| -> i64 { if y == 0 { 0 } else { x.wrapping_div(y) } }
    }
    Minimum {
        f32 => |x, y| -> f32 { if x < y || x.is_nan() { x } else { y } } f64 => |x, y| -> f64 { if x < y || x.is_nan() { x } else { y } }
        i32 => |x, y| -> i32 { x.min(y) } i64 => |x, y| -> i64 { x.min(y) }
    }
    Maximum {
        f32 => |x, y| -> f32 { if x > y || x.is_nan() { x } else { y } } f64 => |x, y| -> f64 { if x > y || x.is_nan() { x } else { y } }
        i32 => |x, y| -> i32 { x.max(y) } i64 => |x, y| -> i64 { x.max(y) }
    }
    IntPow { i32 => |x, y| -> i32 { int_pow(i64::from(x), i64::from(y)) as i32 } i64 => |x, y| -> i64 { int_pow(x, y) } }
}

/// Wrapping power. A negative exponent truncates: 1 and -1 have inverses, everything else gives 0. The low bits do not depend on the width.
fn int_pow(x: i64, y: i64) -> i64 {
    if y < 0 {
        return match x {
            1 => 1,
            -1 => 1 - 2 * (y & 1),
            _ => 0,
        };
    }
    let (mut base, mut left, mut result) = (x, y, 1i64);
    while left > 0 {
        if left & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        left >>= 1;
    }
    result
}

macro_rules! comparisons {
    ($($Name:ident $op:tt for $($T:ty),*;)*) => { $(
        pub(crate) struct $Name;
        $( impl Exact2<$T> for $Name {
            type Out = u8;
            #[inline(always)]
            fn f(x: $T, y: $T) -> u8 { u8::from(x $op y) }
        } )*
    )* };
}
comparisons! {
    Equal == for u8, i32, i64, f32, f64;
    NotEqual != for u8, i32, i64, f32, f64;
    Less < for i32, i64, f32, f64;
    LessEqual <= for i32, i64, f32, f64;
    Greater > for i32, i64, f32, f64;
    GreaterEqual >= for i32, i64, f32, f64;
}

/// The cast to `U`: Rust's `as`, which has this library's rules.
pub(crate) struct To<U>(PhantomData<U>);

macro_rules! to {
    ($($From:ty => $($U:ty),*;)*) => { $( $(
        impl Exact1<$From> for To<$U> {
            type Out = $U;
            #[inline(always)]
            fn f(x: $From) -> $U { x as $U }
        }
    )* )* };
}
to! {
    u8 => i32, i64, f32, f64;
    i32 => i32, i64, f32, f64;
    i64 => i32, i64, f32, f64;
    f32 => i32, i64, f32, f64;
    f64 => i32, i64, f32, f64;
}
