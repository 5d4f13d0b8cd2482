//! Element types: the closed list of dtypes, the trait that maps each to a Rust type, and [`Scalar`], a single value of
//! any dtype.

use bytemuck::{CheckedBitPattern, NoUninit};
use half::{bf16, f16};
use num_complex::Complex;
use std::fmt::{self, Debug, Display};

/// The kind of number of a dtype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Truth values.
    Bool,
    /// Signed integers, two's complement, wrapping.
    Int,
    /// Unsigned integers, wrapping.
    Uint,
    /// IEEE floats (and bfloat16).
    Float,
    /// Pairs of floats.
    Complex,
}

/// A value of any dtype in a wide representation, used by casts.
///
/// It holds every integer and float dtype exactly, so a cast through `Wide` rounds once (except from 64-bit integers to
/// `bf16`, which go through `f64`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wide {
    /// An integer or a truth value.
    Int(i128),
    /// A real float.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
}

impl Wide {
    /// Converts to a real float. Drops the imaginary part.
    pub fn real(self) -> f64 {
        match self {
            Wide::Int(i) => i as f64,
            Wide::Float(x) | Wide::Complex(x, _) => x,
        }
    }

    /// Returns whether the value is nonzero (NaN is true, as in NumPy).
    pub fn truth(self) -> bool {
        match self {
            Wide::Int(i) => i != 0,
            Wide::Float(x) => x != 0.0,
            Wide::Complex(re, im) => re != 0.0 || im != 0.0,
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that can be the element of an array.
///
/// The list is closed: see [`DType`]. [`Number`](crate::Number), [`Real`](crate::Real) and [`Float`](crate::Float) are
/// the bounds for generic code that needs arithmetic.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element of an array",
    label = "expected the Rust type of a dtype",
    note = "the dtypes are bool i8 i16 i32 i64 u8 u16 u32 u64 f16 bf16 f32 f64 Complex<f32> Complex<f64>",
    note = "a `usize` is stored as u64 or i64; in generic code, add the bound `Element`, or `Number`, `Real`, `Float` \
            for arithmetic"
)]
pub trait Element:
    sealed::Sealed + NoUninit + CheckedBitPattern + Default + PartialEq + Debug + Display + Send + Sync + 'static
{
    /// The dtype of this type.
    const DTYPE: DType;
    /// The type of sums and products: 64-bit for integers and bool, the type itself for floats and complex.
    type Sum: Element;
    /// The type of means: `f64` for integers and bool, else the type itself.
    type Mean: Element;
    /// The type of magnitudes: the float type of a complex type, else the type itself.
    type Real: Element;
    /// The type in which a matrix product may be accumulated: `i32` and `u32` for 8-bit integers, `f32` for half
    /// floats, else the type itself.
    type Product: Element;
    /// The type of distances between vectors of this type: `f32` for 8-bit integers and for unsigned integers, which
    /// may be words of packed bits, else the type itself.
    type Distance: Element;
    /// Converts to the wide representation.
    fn to_wide(self) -> Wide;
    /// Casts from the wide representation: integers wrap, floats become integers by saturating truncation (NaN gives
    /// 0), every nonzero value is `true`, imaginary parts are dropped.
    fn from_wide(wide: Wide) -> Self;
}

/// Returns the largest number of the dtype below `x`, which is a number of the dtype.
pub(crate) fn below(dtype: DType, x: f64) -> f64 {
    // Half floats have 16 bits, which are ordered as those of wider floats are.
    let half = |bits: u16| match bits {
        0 | 0x8000 => 0x8001,
        bits if bits < 0x8000 => bits - 1,
        bits => bits + 1,
    };
    match dtype {
        DType::F16 => f16::from_bits(half(f16::from_f64(x).to_bits())).to_f64(),
        DType::BF16 => bf16::from_bits(half(bf16::from_f64(x).to_bits())).to_f64(),
        DType::F32 => f64::from((x as f32).next_down()),
        _ => x.next_down(),
    }
}

/// Evaluates `$body` with `$T` as the Rust type of `$dtype`.
#[macro_export]
macro_rules! with_dtype {
    (@arms $dtype:expr, $T:ident, $body:expr, $($variant:ident $ty:ty),*) => {
        match $dtype { $( $crate::DType::$variant => { #[allow(dead_code)] type $T = $ty; $body } )* }
    };
    ($dtype:expr, $T:ident => $body:expr) => {
        $crate::with_dtype!(@arms $dtype, $T, $body, Bool bool, I8 i8, I16 i16, I32 i32, I64 i64,
            U8 u8, U16 u16, U32 u32, U64 u64, F16 $crate::f16, BF16 $crate::bf16, F32 f32, F64 f64,
            C32 $crate::Complex<f32>, C64 $crate::Complex<f64>)
    };
}

macro_rules! dtypes {
    ($(
        $variant:ident $ty:ty, $name:literal, $kind:ident, $doc:literal,
        sum $sum:ty, mean $mean:ty, real $real:ty, product $product:ty,
        distance $distance:ty, $to:expr, $from:expr;
    )*) => {
        /// The dtype of an array's elements, as a run-time value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DType { $( #[doc = $doc] $variant, )* }

        impl DType {
            /// All dtypes, in the order of declaration.
            pub const ALL: [DType; 15] = [ $( DType::$variant ),* ];
            /// Returns the name, as in `--dtypes`: `f32`, `i64`, `bool`, `c64` ..
            pub fn name(self) -> &'static str { match self { $( DType::$variant => $name, )* } }
            /// Returns the kind of number.
            pub fn kind(self) -> Kind { match self { $( DType::$variant => Kind::$kind, )* } }
            /// Returns the size in bytes of one element in host memory.
            pub const fn size(self) -> usize { match self { $( DType::$variant => size_of::<$ty>(), )* } }
            /// Returns the dtype of sums and products ([`Element::Sum`]).
            pub fn sum(self) -> DType { match self { $( DType::$variant => <$sum as Element>::DTYPE, )* } }
            /// Returns the dtype of means ([`Element::Mean`]).
            pub fn mean(self) -> DType { match self { $( DType::$variant => <$mean as Element>::DTYPE, )* } }
            /// Returns the dtype of magnitudes ([`Element::Real`]).
            pub fn real(self) -> DType { match self { $( DType::$variant => <$real as Element>::DTYPE, )* } }
            /// Returns the dtype of distances ([`Element::Distance`]).
            pub fn distance(self) -> DType { match self { $( DType::$variant => <$distance as Element>::DTYPE, )* } }
        }

        $(
            impl sealed::Sealed for $ty {}
            impl Element for $ty {
                const DTYPE: DType = DType::$variant;
                type Sum = $sum;
                type Mean = $mean;
                type Real = $real;
                type Product = $product;
                type Distance = $distance;
                #[inline] fn to_wide(self) -> Wide { let f: fn($ty) -> Wide = $to; f(self) }
                #[inline] fn from_wide(wide: Wide) -> Self { let f: fn(Wide) -> $ty = $from; f(wide) }
            }
        )*
    };
}

macro_rules! int_from {
    ($ty:ty) => {
        |w| match w {
            Wide::Int(i) => i as $ty,
            Wide::Float(x) | Wide::Complex(x, _) => x as $ty,
        }
    };
}

macro_rules! float_from {
    ($ty:ty) => {
        |w| match w {
            Wide::Int(i) => i as $ty,
            Wide::Float(x) | Wide::Complex(x, _) => x as $ty,
        }
    };
}

/// Rounds `x` to f32 by rounding to odd: returns `x` if it is exact, else that one of its two neighbours whose last bit
/// is odd. Rounding the result to the nearest half float gives the same value as rounding `x` directly (S. Boldo and G.
/// Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Trans.
/// Comput. 57, 2008). The crate `half`'s own conversions from f64 drop bits that decide ties.
#[inline]
pub fn f32_rounded_to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) == x || x.is_nan() {
        return nearest;
    }
    let beyond = f64::from(nearest).abs() > x.abs();
    f32::from_bits((nearest.to_bits() - u32::from(beyond)) | 1)
}

dtypes! {
    Bool bool, "bool", Bool, "Truth values, one byte in host memory.",
        sum i64, mean f64, real bool, product bool, distance bool, |x| Wide::Int(i128::from(x)), Wide::truth;
    I8 i8, "i8", Int, "8-bit signed integers.",
        sum i64, mean f64, real i8, product i32, distance f32, |x| Wide::Int(i128::from(x)), int_from!(i8);
    I16 i16, "i16", Int, "16-bit signed integers.",
        sum i64, mean f64, real i16, product i16, distance i16, |x| Wide::Int(i128::from(x)), int_from!(i16);
    I32 i32, "i32", Int, "32-bit signed integers.",
        sum i64, mean f64, real i32, product i32, distance i32, |x| Wide::Int(i128::from(x)), int_from!(i32);
    I64 i64, "i64", Int, "64-bit signed integers.",
        sum i64, mean f64, real i64, product i64, distance i64, |x| Wide::Int(i128::from(x)), int_from!(i64);
    U8 u8, "u8", Uint, "8-bit unsigned integers.",
        sum u64, mean f64, real u8, product u32, distance f32, |x| Wide::Int(i128::from(x)), int_from!(u8);
    U16 u16, "u16", Uint, "16-bit unsigned integers.",
        sum u64, mean f64, real u16, product u16, distance f32, |x| Wide::Int(i128::from(x)), int_from!(u16);
    U32 u32, "u32", Uint, "32-bit unsigned integers.",
        sum u64, mean f64, real u32, product u32, distance f32, |x| Wide::Int(i128::from(x)), int_from!(u32);
    U64 u64, "u64", Uint, "64-bit unsigned integers.",
        sum u64, mean f64, real u64, product u64, distance f32, |x| Wide::Int(i128::from(x)), int_from!(u64);
    F16 f16, "f16", Float, "IEEE half precision, computed in f32.",
        sum f16, mean f16, real f16, product f32, distance f16,
        |x| Wide::Float(f64::from(x)), |w| f16::from_f32(f32_rounded_to_odd(w.real()));
    BF16 bf16, "bf16", Float, "bfloat16, computed in f32.",
        sum bf16, mean bf16, real bf16, product f32, distance bf16,
        |x| Wide::Float(f64::from(x)), |w| bf16::from_f32(f32_rounded_to_odd(w.real()));
    F32 f32, "f32", Float, "IEEE single precision.",
        sum f32, mean f32, real f32, product f32, distance f32, |x| Wide::Float(f64::from(x)), float_from!(f32);
    F64 f64, "f64", Float, "IEEE double precision.",
        sum f64, mean f64, real f64, product f64, distance f64, Wide::Float, float_from!(f64);
    C32 Complex<f32>, "c32", Complex, "Complex numbers of two f32.",
        sum Complex<f32>, mean Complex<f32>, real f32, product Complex<f32>, distance Complex<f32>,
        |x| Wide::Complex(f64::from(x.re), f64::from(x.im)),
        |w| match w {
            Wide::Complex(re, im) => Complex::new(re as f32, im as f32),
            w => Complex::new(f32::from_wide(w), 0.0),
        };
    C64 Complex<f64>, "c64", Complex, "Complex numbers of two f64.",
        sum Complex<f64>, mean Complex<f64>, real f64, product Complex<f64>, distance Complex<f64>,
        |x| Wide::Complex(x.re, x.im),
        |w| match w {
            Wide::Complex(re, im) => Complex::new(re, im),
            w => Complex::new(w.real(), 0.0),
        };
}

impl Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for DType {
    type Err = String;
    fn from_str(name: &str) -> Result<DType, String> {
        DType::ALL.into_iter().find(|d| d.name() == name).ok_or_else(|| {
            let known: Vec<_> = DType::ALL.iter().map(|d| d.name()).collect();
            format!("unknown dtype {name:?}; the dtypes are {}", known.join(" "))
        })
    }
}

/// A single value of any dtype: a parameter of a program.
///
/// Invariants:
/// 1. the first `dtype.size()` bytes are a valid element of `dtype`;
/// 2. the other bytes are zero, so equal values have equal bytes;
/// 3. the bytes are aligned for every dtype (by the field order and the alignment given here).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, align(16))]
pub struct Scalar {
    bytes: [u8; 16],
    dtype: DType,
}

impl Scalar {
    /// Makes a scalar of the value `x`.
    #[inline]
    pub fn new<T: Element>(x: T) -> Scalar {
        let mut bytes = [0; 16];
        bytes[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&x));
        Scalar { dtype: T::DTYPE, bytes }
    }

    /// Makes a scalar of the bytes of an element.
    ///
    /// # Panics
    /// If `bytes` are not as many as an element has, are not aligned for it, or are not a valid element.
    pub(crate) fn from_bytes(dtype: DType, bytes: &[u8]) -> Scalar {
        with_dtype!(dtype, T => Scalar::new(*bytemuck::checked::from_bytes::<T>(bytes)))
    }

    /// Casts `wide` to a scalar of dtype `dtype`.
    pub fn from_wide(dtype: DType, wide: Wide) -> Scalar {
        with_dtype!(dtype, T => Scalar::new(T::from_wide(wide)))
    }

    /// Returns the dtype.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Returns the bytes, in the form of an element in host memory.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.dtype.size()]
    }

    /// Returns the value as a `T`.
    ///
    /// # Panics
    /// If `T` is not the type of the scalar's dtype.
    #[inline]
    #[track_caller]
    pub fn get<T: Element>(&self) -> T {
        assert_eq!(self.dtype, T::DTYPE, "the requested type is not that of the scalar");
        bytemuck::checked::pod_read_unaligned(self.bytes())
    }

    /// Converts to the wide representation.
    pub fn to_wide(&self) -> Wide {
        with_dtype!(self.dtype, T => self.get::<T>().to_wide())
    }
}

impl Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_dtype!(self.dtype, T => write!(f, "{:?}{}", self.get::<T>(), self.dtype))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_follow_the_rules() {
        let cast = |x: f64, to| Scalar::from_wide(to, Wide::Float(x));
        assert_eq!(cast(-1.9, DType::I32).get::<i32>(), -1);
        assert_eq!(cast(f64::NAN, DType::I32).get::<i32>(), 0);
        assert_eq!(cast(1e30, DType::I16).get::<i16>(), i16::MAX);
        assert!(cast(f64::NAN, DType::Bool).get::<bool>());
        assert_eq!(u8::from_wide(Wide::Int(-1)), 255);
        assert_eq!(f32::from_wide(Wide::Int(i128::from(i64::MAX))), i64::MAX as f32);
        assert_eq!(Complex::<f32>::from_wide(Wide::Int(2)), Complex::new(2.0, 0.0));
    }

    #[test]
    fn half_floats_are_rounded_once() {
        // 1.5 units in the last place, and slightly more and less.
        for (x, bits) in [
            (1.0 + 1.5 / 1024.0, 0x3c02u16),
            (1.0 + 1.5 / 1024.0 + 1e-12, 0x3c02),
            (1.0 + 1.5 / 1024.0 - 1e-12, 0x3c01),
            (1.0 + 0.5 / 1024.0 + 1e-12, 0x3c01),
        ] {
            assert_eq!(f16::from_wide(Wide::Float(x)).to_bits(), bits, "{x:e}");
        }
        assert_eq!(bf16::from_wide(Wide::Float(1.0 + 1.0 / 256.0 + 1e-12)).to_bits(), 0x3f81);
        assert_eq!(bf16::from_wide(Wide::Float(1.0 + 1.0 / 256.0)).to_bits(), 0x3f80);
        assert_eq!(bf16::from_wide(Wide::Float(1e300)), bf16::INFINITY);
        assert_eq!(f16::from_wide(Wide::Float(-65519.99)), f16::MIN);
        assert_eq!(f16::from_wide(Wide::Float(65520.0)), f16::INFINITY);
        assert_eq!(f16::from_wide(Wide::Float(1e-300)).to_bits(), 0);
        assert_eq!(f16::from_wide(Wide::Float(2f64.powi(-25))).to_bits(), 0);
        assert_eq!(f16::from_wide(Wide::Float(2f64.powi(-25) * 1.0001)).to_bits(), 1);
        assert!(f16::from_wide(Wide::Float(f64::NAN)).is_nan());
    }

    #[test]
    fn names_round_trip_and_sizes_fit_a_scalar() {
        for d in DType::ALL {
            assert_eq!(d.name().parse::<DType>().unwrap(), d);
            assert!(d.size() <= 16);
        }
        let aligned = Scalar::new(1.0f64);
        assert_eq!(aligned.bytes().as_ptr() as usize % 16, 0);
        assert!("float".parse::<DType>().unwrap_err().contains("f32"));
    }
}
