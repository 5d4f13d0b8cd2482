//! Kernels: one instruction of a program on contiguous strips.
//!
//! What IEEE or wrapping arithmetic defines exactly is a plain loop, which the compiler turns into the tier's vectors; the elementary functions
//! are written over vectors in [`math`](crate::math). To add a ufunc, follow the compiler through [`unary`] and [`binary`].

mod exact;

use crate::lanes::{Isa, Real, Work};
use crate::math::{self, Cos, Exp, Function, Function2, Log, Pow, Sin, Tanh};
use exact::*;
use polyarray_core::{Binary, DType, Unary};
use std::marker::PhantomData;

/// What a kernel works on: up to three strips (or single values, where its form says so) and where the result goes.
#[derive(Clone, Copy)]
pub(crate) struct Args {
    pub a: *const u8,
    pub b: *const u8,
    pub c: *const u8,
    pub out: *mut u8,
    pub n: usize,
}

/// One instruction on strips.
///
/// # Safety
/// - each operand is aligned and valid for reads of `n` elements of its dtype (of one, where the form says it is a single value), `out` for writes of `n`;
/// - `out` is an operand or does not overlap any.
pub(crate) type Kernel<I> = unsafe fn(I, &Args);

/// Kernels of a binary instruction: both strips; the second a single value; the first a single value.
pub(crate) type Forms<I> = [Kernel<I>; 3];

struct Each<'a, T, F>(&'a Args, PhantomData<(T, F)>);

impl<T: Copy, F: Exact1<T>> Work for Each<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let (src, dst) = (self.0.a.cast::<T>(), self.0.out.cast::<F::Out>());
        for i in 0..self.0.n {
            // SAFETY: the contract of `Kernel`, kept by whoever called it.
            unsafe { *dst.add(i) = F::f(*src.add(i)) };
        }
    }
}

unsafe fn each<I: Isa, T: Copy, F: Exact1<T>>(isa: I, args: &Args) {
    isa.enter(Each::<T, F>(args, PhantomData));
}

struct Zip<'a, T, F, const FORM: usize>(&'a Args, PhantomData<(T, F)>);

impl<T: Copy, F: Exact2<T>, const FORM: usize> Work for Zip<'_, T, F, FORM> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let (a, b, dst) = (self.0.a.cast::<T>(), self.0.b.cast::<T>(), self.0.out.cast::<F::Out>());
        // SAFETY: the contract of `Kernel`, kept by whoever called it; n is at least 1.
        unsafe {
            let (x, y) = (*a, *b);
            for i in 0..self.0.n {
                *dst.add(i) = F::f(if FORM == 2 { x } else { *a.add(i) }, if FORM == 1 { y } else { *b.add(i) });
            }
        }
    }
}

unsafe fn zip<I: Isa, T: Copy, F: Exact2<T>, const FORM: usize>(isa: I, args: &Args) {
    isa.enter(Zip::<T, F, FORM>(args, PhantomData));
}

fn forms<I: Isa, T: Copy, F: Exact2<T>>() -> Forms<I> {
    [zip::<I, T, F, 0>, zip::<I, T, F, 1>, zip::<I, T, F, 2>]
}

struct Smooth<'a, T, F>(&'a Args, PhantomData<(T, F)>);

impl<T: Real, F: Function<T>> Work for Smooth<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: the contract of `Kernel`, kept by whoever called it.
        unsafe { math::apply::<T, F, I>(isa, self.0.a.cast(), self.0.out.cast(), self.0.n) };
    }
}

unsafe fn smooth<I: Isa, T: Real, F: Function<T>>(isa: I, args: &Args) {
    isa.enter(Smooth::<T, F>(args, PhantomData));
}

struct Power<'a, T, const FORM: usize>(&'a Args, PhantomData<T>);

impl<T: Real, const FORM: usize> Work for Power<'_, T, FORM>
where
    Pow: Function2<T>,
{
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        // SAFETY: the contract of `Kernel`, kept by whoever called it.
        unsafe { math::apply2::<T, Pow, I, FORM>(isa, self.0.a.cast(), self.0.b.cast(), self.0.out.cast(), self.0.n) };
    }
}

unsafe fn power<I: Isa, T: Real, const FORM: usize>(isa: I, args: &Args)
where
    Pow: Function2<T>,
{
    isa.enter(Power::<T, FORM>(args, PhantomData));
}

/// `out = if a { b } else { c }`, all strips.
pub(crate) fn select<I: Isa>(dtype: DType) -> Option<Kernel<I>> {
    unsafe fn run<I: Isa, T: Copy>(isa: I, args: &Args) {
        struct Select<'a, T>(&'a Args, PhantomData<T>);
        impl<T: Copy> Work for Select<'_, T> {
            type Out = ();
            #[inline(always)]
            fn run<I: Isa>(self, _: I) {
                let (c, x, y, dst) = (self.0.a, self.0.b.cast::<T>(), self.0.c.cast::<T>(), self.0.out.cast::<T>());
                for i in 0..self.0.n {
                    // SAFETY: the contract of `Kernel`, kept by whoever called it.
                    unsafe {
                        let (x, y) = (*x.add(i), *y.add(i));
                        *dst.add(i) = if *c.add(i) != 0 { x } else { y };
                    }
                }
            }
        }
        isa.enter(Select::<T>(args, PhantomData));
    }
    supported(dtype).then_some(match dtype.size() {
        1 => run::<I, u8>,
        4 => run::<I, u32>,
        _ => run::<I, u64>,
    })
}

/// `out = a * b + c`, all strips, rounded once.
pub(crate) fn mul_add<I: Isa>(dtype: DType) -> Option<Kernel<I>> {
    macro_rules! fused {
        ($T:ident) => {{
            unsafe fn run<I: Isa>(isa: I, args: &Args) {
                struct Fused<'a>(&'a Args);
                impl Work for Fused<'_> {
                    type Out = ();
                    #[inline(always)]
                    fn run<I: Isa>(self, _: I) {
                        let (a, b, c, dst) = (self.0.a.cast::<$T>(), self.0.b.cast::<$T>(), self.0.c.cast::<$T>(), self.0.out.cast::<$T>());
                        for i in 0..self.0.n {
                            // SAFETY: the contract of `Kernel`, kept by whoever called it.
                            unsafe { *dst.add(i) = (*a.add(i)).mul_add(*b.add(i), *c.add(i)) };
                        }
                    }
                }
                isa.enter(Fused(args));
            }
            run::<I>
        }};
    }
    match dtype {
        DType::F32 => Some(fused!(f32)),
        DType::F64 => Some(fused!(f64)),
        _ => None,
    }
}

/// `n` copies of one value.
pub(crate) fn fill<I: Isa>(dtype: DType) -> Kernel<I> {
    match dtype.size() {
        1 => each_fill::<I, u8>,
        2 => each_fill::<I, u16>,
        4 => each_fill::<I, u32>,
        8 => each_fill::<I, u64>,
        _ => each_fill::<I, u128>,
    }
}

unsafe fn each_fill<I: Isa, T: Copy>(_: I, args: &Args) {
    // SAFETY: the contract of `Kernel`: `a` is a single value, `out` a strip. Alignment of 16-byte elements is 8: the copies are unaligned ones.
    unsafe {
        let x = args.a.cast::<T>().read_unaligned();
        for i in 0..args.n {
            args.out.cast::<T>().add(i).write_unaligned(x);
        }
    }
}

/// The dtypes that this device computes with.
pub(crate) fn supported(dtype: DType) -> bool {
    matches!(dtype, DType::Bool | DType::I32 | DType::I64 | DType::F32 | DType::F64)
}

/// The kernel of a unary ufunc for operands of `dtype`, if there is one.
pub(crate) fn unary<I: Isa>(op: Unary, dtype: DType) -> Option<Kernel<I>> {
    macro_rules! int {
        ($T:ty) => {
            match op {
                Unary::Neg => Some(each::<I, $T, Neg>),
                Unary::Abs => Some(each::<I, $T, Abs>),
                Unary::Square => Some(each::<I, $T, Square>),
                Unary::LogicalNot => Some(each::<I, $T, LogicalNot>),
                Unary::Sqrt | Unary::Exp | Unary::Log | Unary::Sin | Unary::Cos | Unary::Tanh => None,
            }
        };
    }
    macro_rules! float {
        ($T:ty) => {
            match op {
                Unary::Neg => Some(each::<I, $T, Neg>),
                Unary::Abs => Some(each::<I, $T, Abs>),
                Unary::Square => Some(each::<I, $T, Square>),
                Unary::LogicalNot => Some(each::<I, $T, LogicalNot>),
                Unary::Sqrt => Some(each::<I, $T, Sqrt>),
                Unary::Exp => Some(smooth::<I, $T, Exp>),
                Unary::Log => Some(smooth::<I, $T, Log>),
                Unary::Sin => Some(smooth::<I, $T, Sin>),
                Unary::Cos => Some(smooth::<I, $T, Cos>),
                Unary::Tanh => Some(smooth::<I, $T, Tanh>),
            }
        };
    }
    match dtype {
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
        DType::I32 => int!(i32),
        DType::I64 => int!(i64),
        DType::Bool if op == Unary::LogicalNot => Some(each::<I, u8, LogicalNot>),
        _ => None,
    }
}

/// The kernels of a binary ufunc for operands of `dtype`, if there are any.
pub(crate) fn binary<I: Isa>(op: Binary, dtype: DType) -> Option<Forms<I>> {
    macro_rules! real {
        ($T:ty, $pow:expr) => {
            Some(match op {
                Binary::Add => forms::<I, $T, Add>(),
                Binary::Sub => forms::<I, $T, Sub>(),
                Binary::Mul => forms::<I, $T, Mul>(),
                Binary::Div => forms::<I, $T, Div>(),
                Binary::Pow => $pow,
                Binary::Minimum => forms::<I, $T, Minimum>(),
                Binary::Maximum => forms::<I, $T, Maximum>(),
                Binary::Equal => forms::<I, $T, Equal>(),
                Binary::NotEqual => forms::<I, $T, NotEqual>(),
                Binary::Less => forms::<I, $T, Less>(),
                Binary::LessEqual => forms::<I, $T, LessEqual>(),
                Binary::Greater => forms::<I, $T, Greater>(),
                Binary::GreaterEqual => forms::<I, $T, GreaterEqual>(),
            })
        };
    }
    match (dtype, op) {
        (DType::F32, _) => real!(f32, [power::<I, f32, 0>, power::<I, f32, 1>, power::<I, f32, 2>]),
        (DType::F64, _) => real!(f64, [power::<I, f64, 0>, power::<I, f64, 1>, power::<I, f64, 2>]),
        (DType::I32, _) => real!(i32, forms::<I, i32, IntPow>()),
        (DType::I64, _) => real!(i64, forms::<I, i64, IntPow>()),
        (DType::Bool, Binary::Equal) => Some(forms::<I, u8, Equal>()),
        (DType::Bool, Binary::NotEqual) => Some(forms::<I, u8, NotEqual>()),
        _ => None,
    }
}

/// The kernel of a cast, if there is one.
pub(crate) fn cast<I: Isa>(from: DType, to: DType) -> Option<Kernel<I>> {
    macro_rules! to {
        ($From:ty) => {
            match to {
                DType::Bool => Some(each::<I, $From, Truth>),
                DType::I32 => Some(each::<I, $From, To<i32>>),
                DType::I64 => Some(each::<I, $From, To<i64>>),
                DType::F32 => Some(each::<I, $From, To<f32>>),
                DType::F64 => Some(each::<I, $From, To<f64>>),
                _ => None,
            }
        };
    }
    match from {
        DType::Bool => to!(u8),
        DType::I32 => to!(i32),
        DType::I64 => to!(i64),
        DType::F32 => to!(f32),
        DType::F64 => to!(f64),
        _ => None,
    }
}
