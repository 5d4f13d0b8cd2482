//! Operators and ufunc methods of arrays and expressions.

use super::{Expr, IntoExpr};
use crate::array::Array;
use crate::ufunc::{Binary, Unary};
use crate::{Complex, Element, Error, bf16, f16};

/// Defines the methods of [`Expr`] and [`Array`] for the rows of the ufunc table.
macro_rules! ufunc_methods {
    (@gives Same $T:ident) => { $T };
    (@gives Truth $T:ident) => { bool };
    (@gives Magnitude $T:ident) => { <$T as crate::Element>::Real };
    (
        unary { $( $U:ident $u:ident $ug:ident $udoc:expr, [$($ualias:literal)*] )* }
        binary { $( $B:ident $b:ident $bg:ident $bdoc:expr, [$($balias:literal)*] )* }
    ) => {
        #[allow(
            clippy::should_implement_trait,
            reason = "the operators are implemented as well; the methods bear the same names, as in NumPy"
        )]
        impl<T: crate::Element> crate::Expr<T> {
            $( #[doc = $udoc]
            $(#[doc(alias = $ualias)])*
            pub fn $u(self) -> crate::Expr<crate::expr::ufunc_methods!(@gives $ug T)> { self.then_unary(Unary::$U) } )*
            $( #[doc = $bdoc]
            $(#[doc(alias = $balias)])*
            pub fn $b(self, other: impl crate::IntoExpr<T>) -> crate::Expr<crate::expr::ufunc_methods!(@gives $bg T)> {
                self.join_binary(Binary::$B, other.into_expr())
            } )*
        }

        impl<T: crate::Element> crate::Array<T> {
            $( #[doc = $udoc]
            $(#[doc(alias = $ualias)])*
            pub fn $u(&self) -> crate::Expr<crate::expr::ufunc_methods!(@gives $ug T)> {
                crate::IntoExpr::into_expr(self).$u()
            } )*
            $( #[doc = $bdoc]
            $(#[doc(alias = $balias)])*
            pub fn $b(&self, other: impl crate::IntoExpr<T>) -> crate::Expr<crate::expr::ufunc_methods!(@gives $bg T)> {
                crate::IntoExpr::into_expr(self).$b(other)
            } )*
        }
    };
}
pub(crate) use ufunc_methods;

/// Implements `left op right` for every pair of array, expression and value that contains an array or expression.
macro_rules! operator {
    ($Trait:ident $method:ident $Op:ident: $($scalar:ty),*) => {
        operator!(@left $Trait $method $Op, Array<T>);
        operator!(@left $Trait $method $Op, &Array<T>);
        operator!(@left $Trait $method $Op, Expr<T>);
        operator!(@left $Trait $method $Op, &Expr<T>);
        $(
            operator!(@value $Trait $method $Op $scalar, Array<$scalar>);
            operator!(@value $Trait $method $Op $scalar, &Array<$scalar>);
            operator!(@value $Trait $method $Op $scalar, Expr<$scalar>);
            operator!(@value $Trait $method $Op $scalar, &Expr<$scalar>);
        )*
    };
    (@left $Trait:ident $method:ident $Op:ident, $left:ty) => {
        impl<T: Element, R: IntoExpr<T>> std::ops::$Trait<R> for $left {
            type Output = Expr<T>;
            fn $method(self, right: R) -> Expr<T> {
                self.into_expr().join_binary(Binary::$Op, right.into_expr())
            }
        }
    };
    (@value $Trait:ident $method:ident $Op:ident $scalar:ty, $right:ty) => {
        impl std::ops::$Trait<$right> for $scalar {
            type Output = Expr<$scalar>;
            fn $method(self, right: $right) -> Expr<$scalar> {
                self.into_expr().join_binary(Binary::$Op, right.into_expr())
            }
        }
    };
}

macro_rules! operators {
    ($($Trait:ident $method:ident $Op:ident;)*) => {
        $( operator!(
            $Trait $method $Op: i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, Complex<f32>, Complex<f64>
        ); )*
    };
}
operators! {
    Add add Add;
    Sub sub Sub;
    Mul mul Mul;
    Div div Div;
    Rem rem Rem;
}

/// Implements the bitwise operators, which floats do not have.
macro_rules! bit_operators {
    ($($Trait:ident $method:ident $Op:ident: $($scalar:ty),*;)*) => {
        $( operator!($Trait $method $Op: $($scalar),*); )*
    };
}
bit_operators! {
    BitAnd bitand BitAnd: bool, i8, i16, i32, i64, u8, u16, u32, u64;
    BitOr bitor BitOr: bool, i8, i16, i32, i64, u8, u16, u32, u64;
    BitXor bitxor BitXor: bool, i8, i16, i32, i64, u8, u16, u32, u64;
    Shl shl Shl: i8, i16, i32, i64, u8, u16, u32, u64;
    Shr shr Shr: i8, i16, i32, i64, u8, u16, u32, u64;
}

macro_rules! prefix {
    ($Trait:ident $method:ident: $($ty:ty),*) => { $(
        impl<T: Element> std::ops::$Trait for $ty {
            type Output = Expr<T>;
            fn $method(self) -> Expr<T> { self.into_expr().then_unary(Unary::$Trait) }
        }
    )* };
}
prefix!(Neg neg: Array<T>, &Array<T>, Expr<T>, &Expr<T>);
prefix!(Not not: Array<T>, &Array<T>, Expr<T>, &Expr<T>);

macro_rules! in_place {
    ($($Trait:ident $method:ident $Op:ident;)*) => { $(
        /// Operates in place. Copies the array first if its buffer is shared (copy on write).
        ///
        /// # Panics
        /// If the shapes are incompatible, the device refuses the operation, or memory is exhausted, because the
        /// operator cannot return an error. `x.view_mut()?.assign(..)` of an expression does the same and returns
        /// errors.
        impl<T: Element, R: IntoExpr<T>> std::ops::$Trait<R> for Array<T> {
            #[track_caller]
            fn $method(&mut self, right: R) {
                let done = self.update_by(right.into_expr(), Binary::$Op);
                if let Err(e) = done {
                    refused(stringify!($method), &e);
                }
            }
        }
    )* };
}

/// Panics with the error of an operator.
#[cold]
#[track_caller]
fn refused(op: &str, why: &Error) -> ! {
    panic!("{op}: {why} (an expression written by x.view_mut()?.assign(..)? returns this as an error)");
}
in_place! {
    AddAssign add_assign Add;
    SubAssign sub_assign Sub;
    MulAssign mul_assign Mul;
    DivAssign div_assign Div;
    RemAssign rem_assign Rem;
    BitAndAssign bitand_assign BitAnd;
    BitOrAssign bitor_assign BitOr;
    BitXorAssign bitxor_assign BitXor;
    ShlAssign shl_assign Shl;
    ShrAssign shr_assign Shr;
}
