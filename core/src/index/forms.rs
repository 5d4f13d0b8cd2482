//! Reads at indices and with masks of expressions, which are evaluated first, and of arrays whose dtype is a value.

use super::Index;
use crate::{Array, DynArray, Element, Expr, Result, with_dtype};

/// Defines methods of expressions and of arrays with a dynamic dtype that call those of arrays.
macro_rules! forms {
    ($($name:ident $(<$I:ident>)? ($($arg:ident: $of:ty),*);)*) => {
        impl<T: Element> Expr<T> { $(
            #[doc = concat!("Evaluates the expression and reads the result: [`Array::", stringify!($name), "`].")]
            ///
            /// # Errors
            #[doc = concat!("As [`eval`](Self::eval) and [`Array::", stringify!($name), "`].")]
            pub fn $name $(<$I: Index>)? (self, $($arg: $of),*) -> Result<Array<T>> {
                self.eval()?.$name($($arg),*)
            }
        )* }

        impl DynArray { $(
            #[doc = concat!("See [`Array::", stringify!($name), "`].")]
            ///
            /// # Errors
            #[doc = concat!("As [`Array::", stringify!($name), "`].")]
            pub fn $name $(<$I: Index>)? (&self, $($arg: $of),*) -> Result<DynArray> {
                with_dtype!(self.dtype(), T => self.typed::<T>()?.$name($($arg),*).map(Array::erase))
            }
        )* }
    };
}

forms! {
    take<I>(indices: &Array<I>, axis: isize);
    take_along_axis<I>(indices: &Array<I>, axis: isize);
    take_at<I>(indices: &[&Array<I>]);
    compress(mask: &Array<bool>, axis: isize);
    mask(mask: &Array<bool>);
}
