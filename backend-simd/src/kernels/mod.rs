//! Kernels: one instruction of a program on contiguous strips.
//!
//! Operations that IEEE or wrapping arithmetic defines exactly are plain loops, which the compiler vectorises for the
//! tier. The elementary functions are written with vectors in [`math`](crate::math). To add a ufunc, add it to
//! [`unary`] or [`binary`]: the compiler reports the matches that lack it.

mod divide;
mod exact;

use crate::lanes::{Body, Isa, Real};
use crate::math::{
    self, Arccos, Arccosh, Arcsin, Arcsinh, Arctan, Arctan2, Arctanh, Cbrt, Ceil, ComplexDiv, ComplexExp,
    ComplexFunction, ComplexFunction2, ComplexLog, ComplexReciprocal, ComplexSqrt, Cos, Cosh, Erf, Exp, Exp2, Expm1,
    Floor, FloorDiv, Function, Function2, Hypot, Log, Log1p, Log2, Log10, Pow, Rem, Round, Sigmoid, Sin, Sinh, Tan,
    Tanh, Trunc,
};
use divide::{ByValue, Divided, OfQuotient};
use exact::*;
use polyarray_core::{Binary, Complex, DType, Kind, Unary, bf16, f16};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The arguments of a kernel: up to three operands, which are strips or single values (as the form of the kernel
/// defines), and the output.
#[derive(Clone, Copy)]
pub(crate) struct Args {
    pub a: *const u8,
    pub b: *const u8,
    pub c: *const u8,
    pub out: *mut u8,
    pub n: usize,
}

/// A kernel: computes one instruction on strips.
///
/// # Safety
/// - `n` is at least 1;
/// - each operand is aligned and valid for reads of `n` elements of its dtype (of one, if the form says it is a
///   single value), `out` is aligned and valid for writes of `n`;
/// - `out` is an operand or does not overlap any;
/// - the CPU has the features of the tier for which the kernel was compiled.
pub(crate) type Kernel = unsafe fn(&Args);

/// The kernels of a binary instruction: for two strips; for a strip and a single value; for a single value and a
/// strip. The last two are missing for some ufuncs and dtypes. Callers then expand single values to strips.
pub(crate) type Forms = [Option<Kernel>; 3];

/// The number of dtypes.
const DTYPES: usize = DType::ALL.len();

/// The elementwise kernels of a tier. Half floats have only casts: programs are lowered to compute in f32.
pub(crate) struct Table {
    unary: [[Option<Kernel>; DTYPES]; Unary::ALL.len()],
    binary: [[Option<Forms>; DTYPES]; Binary::ALL.len()],
    select: [Kernel; DTYPES],
    product: [[Option<[Kernel; 8]>; DTYPES]; Tail::ALL.len()],
    cast: [[Option<Kernel>; DTYPES]; DTYPES],
}

impl Table {
    /// Returns the kernels of tier `I`.
    pub(crate) const fn of<I: Isa>() -> Table {
        let mut table = Table {
            unary: [[None; DTYPES]; Unary::ALL.len()],
            binary: [[None; DTYPES]; Binary::ALL.len()],
            select: [select::<I>(DType::Bool); DTYPES],
            product: [[None; DTYPES]; Tail::ALL.len()],
            cast: [[None; DTYPES]; DTYPES],
        };
        let mut d = 0;
        while d < DTYPES {
            let dtype = DType::ALL[d];
            let mut i = 0;
            while i < Unary::ALL.len() {
                table.unary[Unary::ALL[i] as usize][dtype as usize] = unary::<I>(Unary::ALL[i], dtype);
                i += 1;
            }
            let mut i = 0;
            while i < Binary::ALL.len() {
                table.binary[Binary::ALL[i] as usize][dtype as usize] = binary::<I>(Binary::ALL[i], dtype);
                i += 1;
            }
            let mut i = 0;
            while i < Tail::ALL.len() {
                table.product[Tail::ALL[i] as usize][dtype as usize] = product::<I>(Tail::ALL[i], dtype);
                i += 1;
            }
            let mut i = 0;
            while i < DTYPES {
                table.cast[dtype as usize][DType::ALL[i] as usize] = cast::<I>(dtype, DType::ALL[i]);
                i += 1;
            }
            table.select[dtype as usize] = select::<I>(dtype);
            d += 1;
        }
        table
    }

    /// Returns the kernel of a unary ufunc for operands of `dtype`, if there is one.
    #[inline(always)]
    pub(crate) fn unary(&self, op: Unary, dtype: DType) -> Option<Kernel> {
        self.unary[op as usize][dtype as usize]
    }

    /// Returns the kernels of a binary ufunc for operands of `dtype`, if there are any.
    #[inline(always)]
    pub(crate) fn binary(&self, op: Binary, dtype: DType) -> Option<&Forms> {
        self.binary[op as usize][dtype as usize].as_ref()
    }

    /// Returns the kernel of `out = if a { b } else { c }`, with strips for all operands.
    pub(crate) fn select(&self, dtype: DType) -> Kernel {
        self.select[dtype as usize]
    }

    /// Returns the kernel of a product with a tail, if there is one. `mask` has a bit for each operand that is a single
    /// value. If all are, the kernel must be called for one element.
    pub(crate) fn product(&self, tail: Tail, mask: usize, dtype: DType) -> Option<Kernel> {
        self.product[tail as usize][dtype as usize].as_ref().map(|kernels| kernels[mask])
    }

    /// Returns the kernel of a cast, if there is one. Other casts go through a third dtype ([`cast_by_way_of`]).
    pub(crate) fn cast(&self, from: DType, to: DType) -> Option<Kernel> {
        self.cast[from as usize][to as usize]
    }
}

/// `F` on a strip.
struct Each<T, F>(PhantomData<(T, F)>);

impl<T: Copy, F: Exact1<T>> Body for Each<T, F> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let (src, dst) = (args.a.cast::<T>(), args.out.cast::<F::Out>());
        for i in 0..args.n {
            // SAFETY: `i < n`: the caller of the kernel guarantees n elements and places (the contract of `Kernel`).
            unsafe { *dst.add(i) = F::f(*src.add(i)) };
        }
    }
}

/// `F` on two operands: strips (`FORM` 0), or the second (1) or the first (2) a single value.
struct Zip<T, F, const FORM: usize>(PhantomData<(T, F)>);

impl<T: Copy, F: Exact2<T>, const FORM: usize> Body for Zip<T, F, FORM> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let (a, b, dst) = (args.a.cast::<T>(), args.b.cast::<T>(), args.out.cast::<F::Out>());
        // SAFETY: `i < n`, and n is at least 1: the caller of the kernel guarantees n elements or, by form, one (the
        // contract of `Kernel`).
        unsafe {
            let (x, y) = (*a, *b);
            for i in 0..args.n {
                *dst.add(i) = F::f(if FORM == 2 { x } else { *a.add(i) }, if FORM == 1 { y } else { *b.add(i) });
            }
        }
    }
}

const fn forms<I: Isa, T: Copy, F: Exact2<T>>() -> Forms {
    [Some(I::kernel::<Zip<T, F, 0>>), Some(I::kernel::<Zip<T, F, 1>>), Some(I::kernel::<Zip<T, F, 2>>)]
}

/// Returns the forms without a kernel for a single first value, which is rare.
const fn values<I: Isa, T: Copy, F: Exact2<T>>() -> Forms {
    [Some(I::kernel::<Zip<T, F, 0>>), Some(I::kernel::<Zip<T, F, 1>>), None]
}

/// Returns the forms without kernels for single values.
const fn strips<I: Isa, T: Copy, F: Exact2<T>>() -> Forms {
    [Some(I::kernel::<Zip<T, F, 0>>), None, None]
}

/// Returns the forms of a quotient of integers, or of a function of it.
const fn quotients<I: Isa, T: Divided, F: Exact2<T> + OfQuotient<T>>() -> Forms {
    [Some(I::kernel::<Zip<T, F, 0>>), Some(I::kernel::<ByValue<T, F>>), None]
}

/// A body that works on the parts of complex numbers, which are twice as many as the numbers.
struct Parts<B>(PhantomData<B>);

impl<B: Body<Args = Args>> Body for Parts<B> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the contract of `Kernel`, which the caller guarantees; n complex numbers are 2n parts.
        unsafe { B::run(isa, &Args { n: 2 * args.n, ..*args }) };
    }
}

/// The conversion of f16 to f32. `out` is not the operand.
struct WidenHalves;

impl Body for WidenHalves {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n elements and places, which do not overlap (the contract of
        // `Kernel`).
        unsafe { isa.widen_halves(args.a.cast(), args.out.cast(), args.n) };
    }
}

/// The conversion of f32 to f16. `out` is not the operand.
struct NarrowToHalves;

impl Body for NarrowToHalves {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: as in `WidenHalves`.
        unsafe { isa.narrow_to_halves(args.a.cast(), args.out.cast(), args.n) };
    }
}

/// A complex function of one operand.
struct Complex1<T, F>(PhantomData<(T, F)>);

impl<T: Real, F: ComplexFunction<T>> Body for Complex1<T, F> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n complex numbers, which are 2n parts (the contract of
        // `Kernel`).
        unsafe { math::apply_complex::<T, F, I>(isa, args.a.cast(), args.out.cast(), args.n) };
    }
}

/// The magnitude of complex numbers.
struct Magnitudes<T>(PhantomData<T>);

impl<T: Real> Body for Magnitudes<T> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n complex numbers and n places for results (the contract of
        // `Kernel`). These have another dtype, so they do not overlap.
        unsafe { math::apply_complex_abs::<T, I>(isa, args.a.cast(), args.out.cast(), args.n) };
    }
}

/// A complex function of two operands, with the forms of [`Zip`].
struct Complex2<T, F, const FORM: usize>(PhantomData<(T, F)>);

impl<T: Real, F: ComplexFunction2<T>, const FORM: usize> Body for Complex2<T, F, FORM> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n complex numbers or, by form, one, which are 2n or two parts;
        // n is at least 1 (the contract of `Kernel`).
        unsafe { math::apply_complex2::<T, F, I, FORM>(isa, args.a.cast(), args.b.cast(), args.out.cast(), args.n) };
    }
}

const fn complex_forms<I: Isa, T: Real, F: ComplexFunction2<T>>() -> Forms {
    [Some(I::kernel::<Complex2<T, F, 0>>), Some(I::kernel::<Complex2<T, F, 1>>), Some(I::kernel::<Complex2<T, F, 2>>)]
}

/// An elementary function of one operand.
struct Smooth<T, F>(PhantomData<(T, F)>);

impl<T: Real, F: Function<T>> Body for Smooth<T, F> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n elements and places (the contract of `Kernel`).
        unsafe { math::apply::<T, F, I>(isa, args.a.cast(), args.out.cast(), args.n) };
    }
}

/// An elementary function of two operands, with the forms of [`Zip`].
struct Smooth2<T, F, const FORM: usize>(PhantomData<(T, F)>);

impl<T: Real, F: Function2<T>, const FORM: usize> Body for Smooth2<T, F, FORM> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args) {
        // SAFETY: the caller of the kernel guarantees n elements or, by form, one; n is at least 1 (the contract of
        // `Kernel`).
        unsafe { math::apply2::<T, F, I, FORM>(isa, args.a.cast(), args.b.cast(), args.out.cast(), args.n) };
    }
}

/// An elementary function of two operands, of which one is a single value: the second in form 1, the first in form 2.
/// Calls the kernel of two strips with copies of the value, because these functions are long to compile.
struct Spread<T, F, const FORM: usize>(PhantomData<(T, F)>);

/// The number of copies of a single value.
const COPIES: usize = 256;

impl<T: Real, F: Function2<T>, const FORM: usize> Body for Spread<T, F, FORM> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let mut copies = [MaybeUninit::<T>::uninit(); COPIES];
        let one = if FORM == 1 { args.b } else { args.a };
        // SAFETY: the caller of the kernel guarantees a single value, n elements of the other operand and n places (the
        // contract of `Kernel`), and the tier's features. As many copies are written as are read.
        unsafe {
            copies[..COPIES.min(args.n)].fill(MaybeUninit::new(*one.cast::<T>()));
            for done in (0..args.n).step_by(COPIES) {
                let (n, bytes) = (COPIES.min(args.n - done), done * size_of::<T>());
                let copies = copies.as_ptr().cast::<u8>();
                let (a, b) = if FORM == 1 { (args.a.add(bytes), copies) } else { (copies, args.b.add(bytes)) };
                I::kernel::<Smooth2<T, F, 0>>(&Args { a, b, c: a, out: args.out.add(bytes), n });
            }
        }
    }
}

/// Returns the forms of an elementary function whose single values are copied.
const fn smooth_forms<I: Isa, T: Real, F: Function2<T>>() -> Forms {
    [Some(I::kernel::<Smooth2<T, F, 0>>), Some(I::kernel::<Spread<T, F, 1>>), Some(I::kernel::<Spread<T, F, 2>>)]
}

/// An unsigned integer with the bits of an element.
trait Bits: Copy {
    /// Returns `yes` if `truth` is 1, `no` if it is 0. It selects bits, because the compiler turns a choice between
    /// values in memory into a choice of addresses, and then gathers.
    fn choose(truth: u8, yes: Self, no: Self) -> Self;
}

macro_rules! bits {
    ($($T:ty)*) => { $(
        impl Bits for $T {
            #[inline(always)]
            fn choose(truth: u8, yes: $T, no: $T) -> $T {
                let mask = <$T>::from(truth).wrapping_neg();
                (yes & mask) | (no & !mask)
            }
        }
    )* };
}
bits!(u8 u16 u32 u64);

impl Bits for [u64; 2] {
    #[inline(always)]
    fn choose(truth: u8, yes: [u64; 2], no: [u64; 2]) -> [u64; 2] {
        [u64::choose(truth, yes[0], no[0]), u64::choose(truth, yes[1], no[1])]
    }
}

/// `out = if a { b } else { c }`, for elements of the size of `T`, with strips for all operands.
struct Select<T>(PhantomData<T>);

impl<T: Bits> Body for Select<T> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let (c, x, y, dst) = (args.a, args.b.cast::<T>(), args.c.cast::<T>(), args.out.cast::<T>());
        for i in 0..args.n {
            // SAFETY: `i < n`: the caller of the kernel guarantees n elements and places (the contract of `Kernel`).
            unsafe { *dst.add(i) = T::choose(*c.add(i), *x.add(i), *y.add(i)) };
        }
    }
}

/// Returns the kernel of [`Select`] for elements of `dtype`.
const fn select<I: Isa>(dtype: DType) -> Kernel {
    match dtype.size() {
        1 => I::kernel::<Select<u8>>,
        2 => I::kernel::<Select<u16>>,
        4 => I::kernel::<Select<u32>>,
        8 => I::kernel::<Select<u64>>,
        _ => I::kernel::<Select<[u64; 2]>>,
    }
}

/// How a product is combined with a third operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tail {
    /// `a * b + c`, rounded twice.
    Plus,
    /// `a * b - c`, rounded twice.
    Minus,
    /// `c - a * b`, rounded twice.
    From,
    /// `a * b + c`, rounded once.
    Fused,
}

impl Tail {
    const ALL: [Tail; 4] = [Tail::Plus, Tail::Minus, Tail::From, Tail::Fused];
}

/// Products with the [`Tail`] of number `TAIL`. The bits of `MASK` say which operands are single values.
struct Products<T, const TAIL: usize, const MASK: usize>(PhantomData<T>);

impl<T: Real, const TAIL: usize, const MASK: usize> Body for Products<T, TAIL, MASK> {
    type Args = Args;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, args: &Args) {
        let [a, b, c] = [args.a, args.b, args.c].map(|p| p.cast::<T>());
        let dst = args.out.cast::<T>();
        // SAFETY: `i < n`, and n is at least 1: the caller of the kernel guarantees n elements or, by mask, one (the
        // contract of `Kernel`).
        unsafe {
            let (x, y, z) = (*a, *b, *c);
            for i in 0..args.n {
                let x = if MASK & 1 == 0 { *a.add(i) } else { x };
                let y = if MASK & 2 == 0 { *b.add(i) } else { y };
                let z = if MASK & 4 == 0 { *c.add(i) } else { z };
                *dst.add(i) = match TAIL {
                    0 => x.times(y).plus(z),
                    1 => x.times(y).minus(z),
                    2 => z.minus(x.times(y)),
                    _ => x.fused(y, z),
                };
            }
        }
    }
}

/// Returns the kernels of a product with a tail. The number of a kernel has a bit for each operand that is a single
/// value.
const fn product<I: Isa>(tail: Tail, dtype: DType) -> Option<[Kernel; 8]> {
    macro_rules! masks {
        ($T:ty, $TAIL:literal) => {
            [
                I::kernel::<Products<$T, $TAIL, 0>>,
                I::kernel::<Products<$T, $TAIL, 1>>,
                I::kernel::<Products<$T, $TAIL, 2>>,
                I::kernel::<Products<$T, $TAIL, 3>>,
                I::kernel::<Products<$T, $TAIL, 4>>,
                I::kernel::<Products<$T, $TAIL, 5>>,
                I::kernel::<Products<$T, $TAIL, 6>>,
                // A step whose operands are all single values computes one element.
                I::kernel::<Products<$T, $TAIL, 0>>,
            ]
        };
    }
    macro_rules! tails {
        ($T:ty) => {
            match tail {
                Tail::Plus => masks!($T, 0),
                Tail::Minus => masks!($T, 1),
                Tail::From => masks!($T, 2),
                Tail::Fused => masks!($T, 3),
            }
        };
    }
    match dtype {
        DType::F32 => Some(tails!(f32)),
        DType::F64 => Some(tails!(f64)),
        _ => None,
    }
}

/// Returns the kernel that writes `n` copies of a single value.
pub(crate) const fn fill(dtype: DType) -> Kernel {
    match dtype.size() {
        1 => each_fill::<u8>,
        2 => each_fill::<u16>,
        4 => each_fill::<u32>,
        8 => each_fill::<u64>,
        _ => each_fill::<u128>,
    }
}

/// The kernel for values of the size of `T`.
///
/// # Safety
/// - the contract of [`Kernel`], for a single value of the size of `T` in `a`; alignment of `T` is not required.
unsafe fn each_fill<T: Copy>(args: &Args) {
    // SAFETY: `a` is a single value and `out` a strip of n elements (the contract of `Kernel`). The copies are
    // unaligned, because 16-byte elements have alignment 8.
    unsafe {
        let x = args.a.cast::<T>().read_unaligned();
        for i in 0..args.n {
            args.out.cast::<T>().add(i).write_unaligned(x);
        }
    }
}

/// Returns the kernel of a unary ufunc for operands of `dtype`, if there is one.
const fn unary<I: Isa>(op: Unary, dtype: DType) -> Option<Kernel> {
    // `$S` is the signed type of the same width.
    macro_rules! int {
        ($T:ty, $S:ty) => {
            match op {
                Unary::Neg => Some(I::kernel::<Each<$S, Neg>>),
                Unary::Abs => Some(I::kernel::<Each<$T, Abs>>),
                Unary::Sign => Some(I::kernel::<Each<$T, Sign>>),
                Unary::Square => Some(I::kernel::<Each<$S, Square>>),
                Unary::LogicalNot => Some(I::kernel::<Each<$S, LogicalNot>>),
                Unary::Not => Some(I::kernel::<Each<$S, Not>>),
                _ => None,
            }
        };
    }
    // All ufuncs are listed, so that the compiler reports a new one here.
    macro_rules! float {
        ($T:ty) => {
            match op {
                Unary::Neg => Some(I::kernel::<Each<$T, Neg>>),
                Unary::Abs => Some(I::kernel::<Each<$T, Abs>>),
                Unary::Sign => Some(I::kernel::<Each<$T, Sign>>),
                Unary::Square => Some(I::kernel::<Each<$T, Square>>),
                Unary::Sqrt => Some(I::kernel::<Each<$T, Sqrt>>),
                Unary::Reciprocal => Some(I::kernel::<Each<$T, Reciprocal>>),
                Unary::Floor => Some(I::kernel::<Smooth<$T, Floor>>),
                Unary::Ceil => Some(I::kernel::<Smooth<$T, Ceil>>),
                Unary::Trunc => Some(I::kernel::<Smooth<$T, Trunc>>),
                Unary::Round => Some(I::kernel::<Smooth<$T, Round>>),
                Unary::IsNan => Some(I::kernel::<Each<$T, IsNan>>),
                Unary::IsInf => Some(I::kernel::<Each<$T, IsInf>>),
                Unary::IsFinite => Some(I::kernel::<Each<$T, IsFinite>>),
                Unary::LogicalNot => Some(I::kernel::<Each<$T, LogicalNot>>),
                Unary::Exp => Some(I::kernel::<Smooth<$T, Exp>>),
                Unary::Log => Some(I::kernel::<Smooth<$T, Log>>),
                Unary::Sin => Some(I::kernel::<Smooth<$T, Sin>>),
                Unary::Cos => Some(I::kernel::<Smooth<$T, Cos>>),
                Unary::Tan => Some(I::kernel::<Smooth<$T, Tan>>),
                Unary::Arcsin => Some(I::kernel::<Smooth<$T, Arcsin>>),
                Unary::Arccos => Some(I::kernel::<Smooth<$T, Arccos>>),
                Unary::Arctan => Some(I::kernel::<Smooth<$T, Arctan>>),
                Unary::Tanh => Some(I::kernel::<Smooth<$T, Tanh>>),
                Unary::Cbrt => Some(I::kernel::<Smooth<$T, Cbrt>>),
                Unary::Erf => Some(I::kernel::<Smooth<$T, Erf>>),
                Unary::Arcsinh => Some(I::kernel::<Smooth<$T, Arcsinh>>),
                Unary::Arccosh => Some(I::kernel::<Smooth<$T, Arccosh>>),
                Unary::Arctanh => Some(I::kernel::<Smooth<$T, Arctanh>>),
                Unary::Exp2 => Some(I::kernel::<Smooth<$T, Exp2>>),
                Unary::Expm1 => Some(I::kernel::<Smooth<$T, Expm1>>),
                Unary::Log2 => Some(I::kernel::<Smooth<$T, Log2>>),
                Unary::Log10 => Some(I::kernel::<Smooth<$T, Log10>>),
                Unary::Log1p => Some(I::kernel::<Smooth<$T, Log1p>>),
                Unary::Sinh => Some(I::kernel::<Smooth<$T, Sinh>>),
                Unary::Cosh => Some(I::kernel::<Smooth<$T, Cosh>>),
                Unary::Sigmoid => Some(I::kernel::<Smooth<$T, Sigmoid>>),
                Unary::Conj | Unary::Not => None,
            }
        };
    }
    macro_rules! complex {
        // The functions that are computed one number at a time.
        (@each $F:ty, $($U:ident)*) => {
            match op {
                $( Unary::$U => Some(I::kernel::<Each<Complex<$F>, OfComplex<{ Unary::$U as usize }>>>), )*
                _ => None,
            }
        };
        ($F:ty) => {
            match op {
                Unary::Neg => Some(I::kernel::<Parts<Each<$F, Neg>>>),
                Unary::Abs => Some(I::kernel::<Magnitudes<$F>>),
                Unary::Sqrt => Some(I::kernel::<Complex1<$F, ComplexSqrt>>),
                Unary::Exp => Some(I::kernel::<Complex1<$F, ComplexExp>>),
                Unary::Log => Some(I::kernel::<Complex1<$F, ComplexLog>>),
                Unary::Conj => Some(I::kernel::<Each<Complex<$F>, Conj>>),
                Unary::Square => Some(I::kernel::<Each<Complex<$F>, Square>>),
                Unary::IsNan => Some(I::kernel::<Each<Complex<$F>, IsNan>>),
                Unary::IsInf => Some(I::kernel::<Each<Complex<$F>, IsInf>>),
                Unary::IsFinite => Some(I::kernel::<Each<Complex<$F>, IsFinite>>),
                Unary::LogicalNot => Some(I::kernel::<Each<Complex<$F>, LogicalNot>>),
                Unary::Reciprocal => Some(I::kernel::<Complex1<$F, ComplexReciprocal>>),
                Unary::Round => Some(I::kernel::<Parts<Smooth<$F, Round>>>),
                _ => complex!(@each $F, Sign Exp2 Expm1 Log2 Log10 Log1p Sin Cos Tan Arcsin Arccos Arctan Sinh Cosh Tanh
                    Arcsinh Arccosh Arctanh),
            }
        };
    }
    match dtype {
        DType::Bool if matches!(op, Unary::LogicalNot | Unary::Not) => Some(I::kernel::<Each<u8, Flip>>),
        DType::Bool => None,
        DType::I8 => int!(i8, i8),
        DType::I16 => int!(i16, i16),
        DType::I32 => int!(i32, i32),
        DType::I64 => int!(i64, i64),
        DType::U8 => int!(u8, i8),
        DType::U16 => int!(u16, i16),
        DType::U32 => int!(u32, i32),
        DType::U64 => int!(u64, i64),
        DType::F16 | DType::BF16 => None,
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
        DType::C32 => complex!(f32),
        DType::C64 => complex!(f64),
    }
}

/// Returns the kernels of a binary ufunc for operands of `dtype`, if there are any.
const fn binary<I: Isa>(op: Binary, dtype: DType) -> Option<Forms> {
    // `$often` returns the forms of the most common ufuncs; `$S` is the signed type of the same width.
    macro_rules! int {
        ($T:ty, $S:ty, $often:ident) => {
            match op {
                Binary::Add => $often::<I, $S, Add>(),
                Binary::Sub => $often::<I, $S, Sub>(),
                Binary::Mul => $often::<I, $S, Mul>(),
                Binary::Div => quotients::<I, $T, Div>(),
                Binary::FloorDiv => quotients::<I, $T, IntFloorDiv>(),
                Binary::Rem => quotients::<I, $T, IntRem>(),
                Binary::Pow => strips::<I, $T, IntPow>(),
                Binary::Minimum | Binary::Fmin => $often::<I, $T, Minimum>(),
                Binary::Maximum | Binary::Fmax => $often::<I, $T, Maximum>(),
                Binary::Equal => $often::<I, $S, Equal>(),
                Binary::NotEqual => $often::<I, $S, NotEqual>(),
                Binary::Less => $often::<I, $T, Less>(),
                Binary::LessEqual => $often::<I, $T, LessEqual>(),
                Binary::Greater => $often::<I, $T, Greater>(),
                Binary::GreaterEqual => $often::<I, $T, GreaterEqual>(),
                Binary::LogicalAnd => values::<I, $S, LogicalAnd>(),
                Binary::LogicalOr => values::<I, $S, LogicalOr>(),
                Binary::LogicalXor => values::<I, $S, LogicalXor>(),
                Binary::BitAnd => values::<I, $S, BitAnd>(),
                Binary::BitOr => values::<I, $S, BitOr>(),
                Binary::BitXor => values::<I, $S, BitXor>(),
                Binary::Shl => values::<I, $S, Shl>(),
                Binary::Shr => values::<I, $T, Shr>(),
                Binary::Arctan2 | Binary::Hypot | Binary::Copysign => return None,
            }
        };
    }
    macro_rules! float {
        ($T:ty) => {
            match op {
                Binary::Add => forms::<I, $T, Add>(),
                Binary::Sub => forms::<I, $T, Sub>(),
                Binary::Mul => forms::<I, $T, Mul>(),
                Binary::Div => forms::<I, $T, Div>(),
                Binary::Pow => [
                    Some(I::kernel::<Smooth2<$T, Pow, 0>>),
                    Some(I::kernel::<Spread<$T, Pow, 1>>),
                    // The logarithm of a single base is computed once.
                    Some(I::kernel::<Smooth2<$T, Pow, 2>>),
                ],
                Binary::Minimum => forms::<I, $T, Minimum>(),
                Binary::Maximum => forms::<I, $T, Maximum>(),
                Binary::Fmin => strips::<I, $T, Fmin>(),
                Binary::Fmax => strips::<I, $T, Fmax>(),
                Binary::Copysign => strips::<I, $T, Copysign>(),
                Binary::Equal => forms::<I, $T, Equal>(),
                Binary::NotEqual => forms::<I, $T, NotEqual>(),
                Binary::Less => forms::<I, $T, Less>(),
                Binary::LessEqual => forms::<I, $T, LessEqual>(),
                Binary::Greater => forms::<I, $T, Greater>(),
                Binary::GreaterEqual => forms::<I, $T, GreaterEqual>(),
                Binary::LogicalAnd => strips::<I, $T, LogicalAnd>(),
                Binary::LogicalOr => strips::<I, $T, LogicalOr>(),
                Binary::LogicalXor => strips::<I, $T, LogicalXor>(),
                Binary::Arctan2 => smooth_forms::<I, $T, Arctan2>(),
                Binary::Hypot => smooth_forms::<I, $T, Hypot>(),
                Binary::FloorDiv => smooth_forms::<I, $T, FloorDiv>(),
                Binary::Rem => smooth_forms::<I, $T, Rem>(),
                Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => return None,
            }
        };
    }
    macro_rules! complex {
        ($F:ty) => {
            match op {
                Binary::Add => {
                    [Some(I::kernel::<Parts<Zip<$F, Add, 0>>>), Some(I::kernel::<Zip<Complex<$F>, Add, 1>>), None]
                }
                Binary::Sub => {
                    [Some(I::kernel::<Parts<Zip<$F, Sub, 0>>>), Some(I::kernel::<Zip<Complex<$F>, Sub, 1>>), None]
                }
                Binary::Mul => values::<I, Complex<$F>, Mul>(),
                Binary::Div => complex_forms::<I, $F, ComplexDiv>(),
                Binary::Pow => strips::<I, Complex<$F>, ComplexPow>(),
                Binary::Minimum => strips::<I, Complex<$F>, Minimum>(),
                Binary::Maximum => strips::<I, Complex<$F>, Maximum>(),
                Binary::Fmin => strips::<I, Complex<$F>, Fmin>(),
                Binary::Fmax => strips::<I, Complex<$F>, Fmax>(),
                Binary::Less => strips::<I, Complex<$F>, Less>(),
                Binary::LessEqual => strips::<I, Complex<$F>, LessEqual>(),
                Binary::Greater => strips::<I, Complex<$F>, Greater>(),
                Binary::GreaterEqual => strips::<I, Complex<$F>, GreaterEqual>(),
                Binary::Equal => strips::<I, Complex<$F>, Equal>(),
                Binary::NotEqual => strips::<I, Complex<$F>, NotEqual>(),
                Binary::LogicalAnd => strips::<I, Complex<$F>, LogicalAnd>(),
                Binary::LogicalOr => strips::<I, Complex<$F>, LogicalOr>(),
                Binary::LogicalXor => strips::<I, Complex<$F>, LogicalXor>(),
                _ => return None,
            }
        };
    }
    Some(match dtype {
        DType::Bool => match op {
            Binary::Equal => strips::<I, u8, Equal>(),
            Binary::NotEqual | Binary::LogicalXor | Binary::BitXor => strips::<I, u8, BitXor>(),
            Binary::LogicalAnd | Binary::BitAnd | Binary::Minimum | Binary::Fmin => strips::<I, u8, BitAnd>(),
            Binary::LogicalOr | Binary::BitOr | Binary::Maximum | Binary::Fmax => strips::<I, u8, BitOr>(),
            Binary::Less => strips::<I, u8, Less>(),
            Binary::LessEqual => strips::<I, u8, LessEqual>(),
            Binary::Greater => strips::<I, u8, Greater>(),
            Binary::GreaterEqual => strips::<I, u8, GreaterEqual>(),
            _ => return None,
        },
        DType::I8 => int!(i8, i8, values),
        DType::I16 => int!(i16, i16, values),
        DType::I32 => int!(i32, i32, forms),
        DType::I64 => int!(i64, i64, forms),
        DType::U8 => int!(u8, i8, values),
        DType::U16 => int!(u16, i16, values),
        DType::U32 => int!(u32, i32, forms),
        DType::U64 => int!(u64, i64, forms),
        DType::F16 | DType::BF16 => return None,
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
        DType::C32 => complex!(f32),
        DType::C64 => complex!(f64),
    })
}

/// Returns the kernel of a cast, if there is one.
const fn cast<I: Isa>(from: DType, to: DType) -> Option<Kernel> {
    macro_rules! real {
        ($From:ty) => {
            match to {
                DType::Bool => Some(I::kernel::<Each<$From, Truth>>),
                DType::I8 => Some(I::kernel::<Each<$From, To<i8>>>),
                DType::I16 => Some(I::kernel::<Each<$From, To<i16>>>),
                DType::I32 => Some(I::kernel::<Each<$From, To<i32>>>),
                DType::I64 => Some(I::kernel::<Each<$From, To<i64>>>),
                DType::U8 => Some(I::kernel::<Each<$From, To<u8>>>),
                DType::U16 => Some(I::kernel::<Each<$From, To<u16>>>),
                DType::U32 => Some(I::kernel::<Each<$From, To<u32>>>),
                DType::U64 => Some(I::kernel::<Each<$From, To<u64>>>),
                DType::F32 => Some(I::kernel::<Each<$From, To<f32>>>),
                DType::F64 => Some(I::kernel::<Each<$From, To<f64>>>),
                DType::F16 => Some(I::kernel::<Each<$From, To<f16>>>),
                DType::BF16 => Some(I::kernel::<Each<$From, To<bf16>>>),
                DType::C32 | DType::C64 => None,
            }
        };
    }
    match (from, to) {
        (DType::F16, DType::F32) => Some(I::kernel::<WidenHalves>),
        (DType::F32, DType::F16) => Some(I::kernel::<NarrowToHalves>),
        (DType::BF16, DType::F32) => Some(I::kernel::<Each<bf16, To<f32>>>),
        (DType::F32, DType::C32) => Some(I::kernel::<Each<f32, To<Complex<f32>>>>),
        (DType::F64, DType::C64) => Some(I::kernel::<Each<f64, To<Complex<f64>>>>),
        (DType::C32, DType::F32) => Some(I::kernel::<Each<Complex<f32>, To<f32>>>),
        (DType::C64, DType::F64) => Some(I::kernel::<Each<Complex<f64>, To<f64>>>),
        (DType::C32, DType::C64) => Some(I::kernel::<Each<Complex<f32>, To<Complex<f64>>>>),
        (DType::C64, DType::C32) => Some(I::kernel::<Each<Complex<f64>, To<Complex<f32>>>>),
        (DType::C32, DType::Bool) => Some(I::kernel::<Each<Complex<f32>, Truth>>),
        (DType::C64, DType::Bool) => Some(I::kernel::<Each<Complex<f64>, Truth>>),
        (DType::Bool | DType::U8, _) => real!(u8),
        (DType::I8, _) => real!(i8),
        (DType::I16, _) => real!(i16),
        (DType::I32, _) => real!(i32),
        (DType::I64, _) => real!(i64),
        (DType::U16, _) => real!(u16),
        (DType::U32, _) => real!(u32),
        (DType::U64, _) => real!(u64),
        (DType::F32, _) => real!(f32),
        (DType::F64, _) => real!(f64),
        (DType::F16 | DType::BF16 | DType::C32 | DType::C64, _) => None,
    }
}

/// Returns the dtype that a cast without a kernel goes through. Half floats go through f32, which represents them
/// exactly. Casts between real and complex numbers go through the dtype of the complex number's parts.
pub(crate) fn cast_by_way_of(from: DType, to: DType) -> Option<DType> {
    let half = |d| matches!(d, DType::F16 | DType::BF16);
    match (from, to) {
        (from, _) if half(from) && to != DType::F32 => Some(DType::F32),
        (from, to)
            if from.kind() == Kind::Complex && to.kind() != Kind::Complex && to != DType::Bool && to != from.real() =>
        {
            Some(from.real())
        }
        (from, to) if to.kind() == Kind::Complex && from.kind() != Kind::Complex && from != to.real() => {
            Some(to.real())
        }
        _ => None,
    }
}
