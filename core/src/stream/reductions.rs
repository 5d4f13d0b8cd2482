//! The reductions of streams.

use super::Stream;
use crate::array::{Array, Axes};
use crate::op::Reduction;
use crate::reduce::{ALL, ANY, COUNT, Spread, mean_of, spread_of, total};
use crate::{Element, Result};

/// Defines two methods for each reduction: over all elements, and over some axes.
macro_rules! reductions {
    ($(
        $(#[$attr:meta])*
        $name:ident, $name_axis:ident ($($arg:ident: $ty:ty)?) -> $to:ty = $request:expr;
    )*) => {
        /// Reductions. Each is the method of [`Array`] of the same name, with its dtypes, NaN rules and errors. The
        /// [module](super) describes the order in which elements are combined. Further errors are those of
        /// [`eval_into`](Stream::eval_into).
        impl<T: Element> Stream<'_, T> { $(
            $(#[$attr])*
            ///
            /// # Errors
            /// Those of the method of [`Array`] and of [`eval_into`](Stream::eval_into).
            pub fn $name(self $(, $arg: $ty)?) -> Result<$to> {
                self.reduce::<$to>(&$request, None)?.item()
            }

            #[doc = concat!("As [`", stringify!($name), "`](Self::", stringify!($name), "), over some axes.")]
            ///
            /// # Errors
            /// Those of the method of [`Array`] and of [`eval_into`](Stream::eval_into).
            pub fn $name_axis(self, axes: impl Into<Axes> $(, $arg: $ty)?) -> Result<Array<$to>> {
                self.reduce(&$request, Some(axes.into()))
            }
        )* }
    };
}

reductions! {
    /// The sum. See [`Array::sum`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::linspace(0.0f32, 1.0, 100_000)?;
    /// let sum = with_memory_limit(1 << 16, || stream::of(&x * &x).sum())?;
    /// assert_eq!(sum, (&x * &x).sum()?);
    /// # Ok::<(), Error>(())
    /// ```
    sum, sum_axis() -> T::Sum = total::<T::Sum>("sum", Reduction::Sum);
    /// The product. See [`Array::prod`].
    prod, prod_axis() -> T::Sum = total::<T::Sum>("prod", Reduction::Prod);
    /// The minimum. See [`Array::min`].
    min, min_axis() -> T = total::<T>("min", Reduction::Min);
    /// The maximum. See [`Array::max`].
    max, max_axis() -> T = total::<T>("max", Reduction::Max);
    /// The arithmetic mean. See [`Array::mean`].
    mean, mean_axis() -> T::Mean = mean_of::<T>();
    /// The variance. See [`Array::var`]; complex numbers are supported only if the first axis is not reduced.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let x = Array::from([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]);
    /// assert_eq!(stream::of(&x).var_axis(0, 1)?, Array::from([1.0, 100.0]));
    /// # Ok::<(), Error>(())
    /// ```
    var, var_axis(ddof: usize) -> Spread<T> = spread_of::<T>(false, ddof);
    /// The standard deviation: the square root of the variance. See [`var`](Self::var).
    std, std_axis(ddof: usize) -> Spread<T> = spread_of::<T>(true, ddof);
    /// Whether any element is nonzero. See [`Array::any`].
    any, any_axis() -> bool = ANY;
    /// Whether every element is nonzero. See [`Array::all`].
    all, all_axis() -> bool = ALL;
}

impl<T: Element> Stream<'_, T> {
    /// The number of nonzero elements. See [`Array::count_nonzero`].
    ///
    /// # Errors
    /// Those of the method of [`Array`] and of [`eval_into`](Stream::eval_into).
    pub fn count_nonzero(self) -> Result<usize> {
        self.reduce::<i64>(&COUNT, None)?.item().map(|n| n as usize)
    }

    /// As [`count_nonzero`](Self::count_nonzero), over some axes.
    ///
    /// # Errors
    /// Those of the method of [`Array`] and of [`eval_into`](Stream::eval_into).
    pub fn count_nonzero_axis(self, axes: impl Into<Axes>) -> Result<Array<i64>> {
        self.reduce(&COUNT, Some(axes.into()))
    }
}
