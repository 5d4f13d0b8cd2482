//! Reductions of the results of compiled functions: the methods of expressions, with the arguments of the call.

use super::{Arguments, Fused};
use crate::array::{Array, Axes};
use crate::{Element, Result};

type Spread<T> = <<T as Element>::Mean as Element>::Real;

macro_rules! reductions {
    ($( $name:ident $axis:ident ($($arg:ident: $ty:ty),*) -> $item:ty, $items:ty; )*) => {
        /// # Reductions
        ///
        /// Each of these methods reduces the result of a call, over all elements to one value, or over some axes to an
        /// array. Of large arrays nothing is materialised.
        impl<A, T: Element> Fused<A, T> { $(
            #[doc = concat!("As [`Expr::", stringify!($name), "`](crate::Expr::", stringify!($name), "), of the result \
                of a call.\n\n# Errors\nAs there, and as [`eval`](Self::eval).")]
            pub fn $name(&self, args: impl Arguments<A> $(, $arg: $ty)*) -> Result<$item> {
                self.lazy(args)?.$name($($arg),*)
            }

            #[doc = concat!("As [`Expr::", stringify!($axis), "`](crate::Expr::", stringify!($axis), "), of the result \
                of a call.\n\n# Errors\nAs there, and as [`eval`](Self::eval).")]
            pub fn $axis(
                &self,
                args: impl Arguments<A>,
                axes: impl Into<Axes>
                $(, $arg: $ty)*
            ) -> Result<Array<$items>> {
                self.lazy(args)?.$axis(axes $(, $arg)*)
            }
        )* }
    };
}
reductions! {
    sum sum_axis() -> T::Sum, T::Sum;
    prod prod_axis() -> T::Sum, T::Sum;
    min min_axis() -> T, T;
    max max_axis() -> T, T;
    mean mean_axis() -> T::Mean, T::Mean;
    var var_axis(ddof: usize) -> Spread<T>, Spread<T>;
    std std_axis(ddof: usize) -> Spread<T>, Spread<T>;
    norm norm_axis() -> Spread<T>, Spread<T>;
    argmin argmin_axis() -> usize, i64;
    argmax argmax_axis() -> usize, i64;
    any any_axis() -> bool, bool;
    all all_axis() -> bool, bool;
    count_nonzero count_nonzero_axis() -> usize, i64;
}
