//! Pairs of vectors as one vector. Loops over long arrays use them: two independent chains of instructions hide each
//! other's latency.

use super::{Bits, Body, Exponents, Float, Isa, Lanes, Mask, Numbers, Real, Work};
use std::marker::PhantomData;

/// A tier whose vectors are pairs of the vectors of `I`.
#[derive(Clone, Copy)]
pub(crate) struct Twice<I>(pub I);

#[derive(Clone, Copy)]
pub(crate) struct Pair<V>(V, V);

struct Bridge<I, W>(Twice<I>, W);

impl<I: Isa, W: Work> Work for Bridge<I, W> {
    type Out = W::Out;
    #[inline(always)]
    fn run<J: Isa>(self, _: J) -> W::Out {
        self.1.run(self.0)
    }
}

/// The body `B` on pairs of the vectors of `I`.
struct OfTwice<I, B>(PhantomData<(I, B)>);

impl<I: Isa, B: Body> Body for OfTwice<I, B> {
    type Args = B::Args;
    #[inline(always)]
    unsafe fn run<J: Isa>(_: J, args: &B::Args) {
        // SAFETY: `Twice::kernel`, the only user, runs this on tier `I`. The caller guarantees the conditions of `B`.
        unsafe { B::run(Twice::<I>::assume(), args) };
    }
}

impl<I: Isa> Isa for Twice<I> {
    type F32 = Pair<I::F32>;
    type F64 = Pair<I::F64>;
    const FUSED: bool = I::FUSED;
    const SPLITS_SUBNORMALS: bool = I::SPLITS_SUBNORMALS;
    const REGISTERS: usize = I::REGISTERS / 2;

    type Chains = Self;
    #[inline(always)]
    fn chains(self) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn assume() -> Self {
        // SAFETY: the caller guarantees the features of the tier, which are those of `I`.
        Twice(unsafe { I::assume() })
    }
    #[inline(always)]
    fn widen(self, x: Self::F32) -> (Self::F64, Self::F64) {
        let ((a, b), (c, d)) = (self.0.widen(x.0), self.0.widen(x.1));
        (Pair(a, b), Pair(c, d))
    }
    #[inline(always)]
    fn narrow(self, low: Self::F64, high: Self::F64) -> Self::F32 {
        Pair(self.0.narrow(low.0, low.1), self.0.narrow(high.0, high.1))
    }
    #[inline(always)]
    unsafe fn kernel<B: Body>(args: &B::Args) {
        // SAFETY: the caller guarantees the features of the tier, which are those of `I`, and the conditions of `B`.
        unsafe { I::kernel::<OfTwice<I, B>>(args) };
    }
    #[inline(always)]
    fn enter<W: Work>(self, work: W) -> W::Out {
        self.0.enter(Bridge(self, work))
    }
}

impl<V: Lanes> Lanes for Pair<V> {
    type Isa = Twice<V::Isa>;
    type Elem = V::Elem;
    const N: usize = 2 * V::N;

    #[inline(always)]
    fn splat(isa: Self::Isa, x: V::Elem) -> Self {
        let x = V::splat(isa.0, x);
        Pair(x, x)
    }
    #[inline(always)]
    unsafe fn load(isa: Self::Isa, from: *const V::Elem) -> Self {
        // SAFETY: `from` is valid for reads of 2 `V::N` elements, which the caller guarantees.
        unsafe { Pair(V::load(isa.0, from), V::load(isa.0, from.add(V::N))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut V::Elem) {
        // SAFETY: `to` is valid for writes of 2 `V::N` elements, which the caller guarantees.
        unsafe {
            self.0.store(to);
            self.1.store(to.add(V::N));
        }
    }
    #[inline(always)]
    unsafe fn load_first(isa: Self::Isa, from: *const V::Elem, count: usize) -> Self {
        // SAFETY: `from` is valid for reads of `count` elements, which the caller guarantees. The first vector reads
        // the first `V::N` of them, and the second reads the rest, if any.
        unsafe {
            Pair(
                V::load_first(isa.0, from, count.min(V::N)),
                V::load_first(isa.0, from.wrapping_add(V::N), count.saturating_sub(V::N)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut V::Elem, count: usize) {
        // SAFETY: `to` is valid for writes of `count` elements, which the caller guarantees. The first vector writes
        // the first `V::N` of them, and the second writes the rest, if any.
        unsafe {
            self.0.store_first(to, count.min(V::N));
            self.1.store_first(to.wrapping_add(V::N), count.saturating_sub(V::N));
        }
    }
    #[inline(always)]
    fn zip(self, o: Self) -> (Self, Self) {
        let (a, b) = self.0.zip(o.0);
        let (c, d) = self.1.zip(o.1);
        (Pair(a, b), Pair(c, d))
    }
}

impl<M: Mask> Mask for Pair<M> {
    #[inline(always)]
    fn and(self, o: Self) -> Self {
        Pair(self.0.and(o.0), self.1.and(o.1))
    }
    #[inline(always)]
    fn or(self, o: Self) -> Self {
        Pair(self.0.or(o.0), self.1.or(o.1))
    }
    #[inline(always)]
    fn not(self) -> Self {
        Pair(self.0.not(), self.1.not())
    }
    #[inline(always)]
    fn any(self) -> bool {
        self.0.or(self.1).any()
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0.and(self.1).all()
    }
}

macro_rules! both {
    ($($name:ident($($arg:ident),*) -> $out:ty;)*) => { $(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> $out {
            Pair(self.0.$name($($arg.0),*), self.1.$name($($arg.1),*))
        }
    )* };
}

impl<V: Bits> Bits for Pair<V> {
    type Mask = Pair<V::Mask>;
    both! {
        bit_and(o) -> Self;
        bit_or(o) -> Self;
        bit_xor(o) -> Self;
        int_add(o) -> Self;
        int_sub(o) -> Self;
        sign_mask() -> Self::Mask;
    }
    #[inline(always)]
    fn any_sign(self) -> bool {
        self.0.bit_or(self.1).any_sign()
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        Pair(V::select(mask.0, yes.0, no.0), V::select(mask.1, yes.1, no.1))
    }
    #[inline(always)]
    fn shl(self, k: u32) -> Self {
        Pair(self.0.shl(k), self.1.shl(k))
    }
    #[inline(always)]
    fn shr(self, k: u32) -> Self {
        Pair(self.0.shr(k), self.1.shr(k))
    }
    #[inline(always)]
    fn sar(self, k: u32) -> Self {
        Pair(self.0.sar(k), self.1.sar(k))
    }
    #[inline(always)]
    fn lookup<const N: usize>(self, table: &[V::Elem; N]) -> Self {
        Pair(self.0.lookup(table), self.1.lookup(table))
    }
    #[inline(always)]
    fn gather(self, table: &[V::Elem]) -> Self {
        Pair(self.0.gather(table), self.1.gather(table))
    }
}

impl<V: Numbers> Numbers for Pair<V> {
    both! {
        add(o) -> Self;
        sub(o) -> Self;
        mul(o) -> Self;
        min(o) -> Self;
        max(o) -> Self;
        lt(o) -> Self::Mask;
        eq(o) -> Self::Mask;
    }
}

impl<V: Float> Float for Pair<V> {
    both! {
        div(o) -> Self;
        mul_add(b, c) -> Self;
        neg_mul_add(b, c) -> Self;
        product_error(b, product) -> Self;
        neg() -> Self;
        abs() -> Self;
        copysign(sign) -> Self;
        sqrt() -> Self;
        round() -> Self;
        floor() -> Self;
        trunc() -> Self;
        int_to_float() -> Self;
        unordered(o) -> Self::Mask;
    }
}

impl<V: Exponents> Exponents for Pair<V> {
    both! {
        shl_mantissa() -> Self;
        shr_mantissa() -> Self;
    }
    #[inline(always)]
    fn split(self, isa: Self::Isa) -> (Self, Self)
    where
        V::Elem: Real,
    {
        let ((a, b), (c, d)) = (self.0.split(isa.0), self.1.split(isa.0));
        (Pair(a, c), Pair(b, d))
    }
    #[inline(always)]
    fn log_or_special(self, isa: Self::Isa, y: Self) -> Self
    where
        V::Elem: Real,
    {
        Pair(self.0.log_or_special(isa.0, y.0), self.1.log_or_special(isa.0, y.1))
    }
    #[inline(always)]
    fn scale(self, isa: Self::Isa, n: Self) -> Self
    where
        V::Elem: Real,
    {
        Pair(self.0.scale(isa.0, n.0), self.1.scale(isa.0, n.1))
    }
}
