//! The closures that can be traced, and the arguments of calls.

use super::super::node::{Node, Placeholder};
use super::super::{Expr, IntoExpr, RawArray};
use crate::array::Array;
use crate::{Element, Result, Scalar};
use smallvec::SmallVec;
use std::sync::Arc;

/// A closure that [`fuse`](crate::fuse()) traces: it takes one to seven [`Expr`]s and returns one. `A` is the tuple of
/// the element types of its parameters.
#[diagnostic::on_unimplemented(
    message = "`fuse` cannot trace `{Self}`",
    label = "not a closure of one to seven expressions that returns an expression",
    note = "write the types of the parameters: `fuse(|x: Expr<f32>, y: Expr<f32>| x + y)`",
    note = "the closure returns an `Expr`, or a `Result` of one; reductions are methods of the function: `f.sum(..)`"
)]
pub trait Fusible<A> {
    /// The element type of the result.
    type Element: Element;

    #[doc(hidden)]
    fn trace(self, parameters: &mut Parameters) -> Result<Expr<Self::Element>>;
}

/// The type that a closure traced by [`fuse`](crate::fuse()) returns: an expression, or a `Result` of one.
pub trait Traced {
    /// The element type of the expression.
    type Element: Element;

    #[doc(hidden)]
    fn traced(self) -> Result<Expr<Self::Element>>;
}

impl<T: Element> Traced for Expr<T> {
    type Element = T;

    fn traced(self) -> Result<Expr<T>> {
        Ok(self)
    }
}

impl<T: Element> Traced for Result<Expr<T>> {
    type Element = T;

    fn traced(self) -> Result<Expr<T>> {
        self
    }
}

/// The placeholders that a closure has received, in order.
#[doc(hidden)]
#[derive(Default)]
pub struct Parameters(pub(super) SmallVec<[Arc<Placeholder>; 4]>);

impl Parameters {
    fn next<T: Element>(&mut self) -> Expr<T> {
        let placeholder = Arc::new(Placeholder { dtype: T::DTYPE, shape: None });
        let expr = Expr::placeholder(&placeholder);
        self.0.push(placeholder);
        expr
    }
}

/// An argument as the fast path reads it.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Peek<'a>(pub(super) Peeked<'a>);

#[derive(Clone, Copy)]
pub(super) enum Peeked<'a> {
    Array(&'a RawArray),
    /// An array whose buffer may become that of the result.
    Owned(&'a RawArray),
    Value(Scalar),
    /// An expression, which must be converted.
    Other,
}

impl<'a> Peek<'a> {
    pub(in super::super) const OTHER: Peek<'static> = Peek(Peeked::Other);

    #[inline]
    pub(in super::super) fn value(value: Scalar) -> Peek<'static> {
        Peek(Peeked::Value(value))
    }

    #[inline]
    pub(in super::super) fn borrowed(array: &'a RawArray) -> Peek<'a> {
        Peek(Peeked::Array(array))
    }

    #[inline]
    pub(in super::super) fn owned(array: &'a RawArray) -> Peek<'a> {
        Peek(Peeked::Owned(array))
    }
}

/// Arguments after their conversion.
#[doc(hidden)]
pub struct Given(pub(super) SmallVec<[Node; 4]>);

/// The arguments of a call of a [`Fused`](crate::Fused) function whose parameters have the element types `A`: a tuple
/// of as many operands, or one operand. An operand is anything that [`IntoExpr`] accepts: an array (borrowed, or by
/// value if the result may take its memory), a single value, or an expression.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not arguments for parameters of the types `{A}`",
    label = "expected one array, value or expression for each parameter, in a tuple",
    note = "the element types must be those of the parameters; `x.cast::<..>()` converts an array"
)]
pub trait Arguments<A>: Sized {
    #[doc(hidden)]
    fn peek<R>(&self, f: impl FnOnce(&[Peek<'_>]) -> R) -> R;

    #[doc(hidden)]
    fn give(self) -> Given;
}

/// Implements [`Fusible`] for closures of some number of parameters, and [`Arguments`] for tuples of this length.
macro_rules! count {
    ($($A:ident $X:ident $i:tt),+) => {
        impl<F, R, $($A: Element),+> Fusible<($($A,)+)> for F
        where
            F: FnOnce($(Expr<$A>),+) -> R,
            R: Traced,
        {
            type Element = R::Element;

            fn trace(self, parameters: &mut Parameters) -> Result<Expr<R::Element>> {
                self($(parameters.next::<$A>()),+).traced()
            }
        }

        impl<$($A: Element, $X: IntoExpr<$A>),+> Arguments<($($A,)+)> for ($($X,)+) {
            #[inline]
            fn peek<Out>(&self, f: impl FnOnce(&[Peek<'_>]) -> Out) -> Out {
                f(&[$(self.$i.peek()),+])
            }

            fn give(self) -> Given {
                let mut nodes = SmallVec::new();
                $(nodes.push(self.$i.into_expr().node);)+
                Given(nodes)
            }
        }
    };
}
count!(A X 0);
count!(A X 0, B Y 1);
count!(A X 0, B Y 1, C Z 2);
count!(A X 0, B Y 1, C Z 2, D U 3);
count!(A X 0, B Y 1, C Z 2, D U 3, E V 4);
count!(A X 0, B Y 1, C Z 2, D U 3, E V 4, G W 5);
count!(A X 0, B Y 1, C Z 2, D U 3, E V 4, G W 5, H Q 6);

/// Implements [`Arguments`] for the only argument of a function, without a tuple.
macro_rules! single {
    ($($ty:ty),*) => { $(
        impl<T: Element> Arguments<(T,)> for $ty {
            #[inline]
            fn peek<Out>(&self, f: impl FnOnce(&[Peek<'_>]) -> Out) -> Out {
                f(&[IntoExpr::<T>::peek(self)])
            }

            fn give(self) -> Given {
                Given(SmallVec::from_iter([IntoExpr::<T>::into_expr(self).node]))
            }
        }
    )* };
}
single!(Array<T>, &Array<T>, Expr<T>, &Expr<T>, T);
