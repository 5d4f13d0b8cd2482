//! Rounding to integers. All results are exact.

use super::Function;
use crate::lanes::{Float, Isa, Real};

pub(crate) struct Floor;
pub(crate) struct Ceil;
pub(crate) struct Trunc;
pub(crate) struct Round;

macro_rules! function {
    ($($Name:ident |$x:ident| $value:expr;)*) => { $(
        impl<T: Real> Function<T> for $Name {
            #[inline(always)]
            fn vector<I: Isa>(_: I, $x: T::V<I>) -> T::V<I> {
                $value
            }
        }
    )* };
}
function! {
    Floor |x| x.floor();
    Ceil |x| x.neg().floor().neg();
    Trunc |x| x.trunc();
    Round |x| x.round();
}
