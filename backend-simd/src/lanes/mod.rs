//! Vectors of floats, one type per tier: what kernels are written over.
//!
//! A tier is a token ([`Isa`]) that exists only where the CPU has its features. Vectors are made from a token, so a vector, too, proves them:
//! that is why their arithmetic is safe to call. To become the tier's instructions, code must be inlined into [`Isa::enter`].

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
#[cfg(test)]
mod tests;
pub(crate) mod twice;

/// One truth value per lane.
pub(crate) trait Mask: Copy {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn not(self) -> Self;
    fn any(self) -> bool;
    fn all(self) -> bool;
}

/// A vector of `N` elements. Unaligned loads and stores.
pub(crate) trait Lanes: Copy {
    type Isa: Isa;
    type Elem: Copy;
    const N: usize;

    fn splat(isa: Self::Isa, x: Self::Elem) -> Self;

    /// # Safety
    /// `from` is valid for reads of `N` elements.
    unsafe fn load(isa: Self::Isa, from: *const Self::Elem) -> Self;

    /// # Safety
    /// `to` is valid for writes of `N` elements.
    unsafe fn store(self, to: *mut Self::Elem);

    /// The first `count` (at most `N`) elements from there, and zeros.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` elements.
    unsafe fn load_first(isa: Self::Isa, from: *const Self::Elem, count: usize) -> Self;

    /// # Safety
    /// `to` is valid for writes of `count` elements, at most `N`.
    unsafe fn store_first(self, to: *mut Self::Elem, count: usize);

    /// Elements of both in turn: those of the first halves, and those of the second halves.
    fn zip(self, o: Self) -> (Self, Self);
}

/// Transposes a square of `N` vectors of `N` elements: each round deals rows i and i + N/2 out in turn, as a perfect shuffle of the indices.
#[inline(always)]
pub(crate) fn transpose<V: Lanes, const N: usize>(rows: &mut [V; N]) {
    const { assert!(N.is_power_of_two()) }
    assert!(N == V::N);
    for _ in 0..N.trailing_zeros() {
        let before = *rows;
        for i in 0..N / 2 {
            (rows[2 * i], rows[2 * i + 1]) = before[i].zip(before[i + N / 2]);
        }
    }
}

/// A vector of floats. `+ - * / mul_add` round as IEEE says; the portable tier's `mul_add` may round twice.
pub(crate) trait Float: Lanes {
    type Mask: Mask;

    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    fn div(self, o: Self) -> Self;
    /// `self * b + c`
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c - self * b`
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// The rounding error of `product`, which is `self * b` rounded: exact.
    #[inline(always)]
    fn product_error(self, b: Self, product: Self) -> Self {
        self.neg_mul_add(b, product).neg()
    }
    /// Sign flipped.
    fn neg(self) -> Self;
    /// Sign cleared.
    fn abs(self) -> Self;
    /// The magnitude of self with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    fn sqrt(self) -> Self;
    /// To the nearest integer, ties to even; a result of zero keeps the sign.
    fn round(self) -> Self;
    fn floor(self) -> Self;
    fn trunc(self) -> Self;
    /// `if self < o { self } else { o }`
    fn min(self, o: Self) -> Self;
    /// `if self > o { self } else { o }`
    fn max(self, o: Self) -> Self;
    fn lt(self, o: Self) -> Self::Mask;
    fn eq(self, o: Self) -> Self::Mask;
    /// Where either is NaN.
    fn unordered(self, o: Self) -> Self::Mask;
    /// Where the sign bit is set.
    fn sign_mask(self) -> Self::Mask;
    /// Whether it is set anywhere.
    #[inline(always)]
    fn any_sign(self) -> bool {
        self.sign_mask().any()
    }
    /// `yes` where the mask is set, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    fn bit_and(self, o: Self) -> Self;
    fn bit_or(self, o: Self) -> Self;
    fn bit_xor(self, o: Self) -> Self;
    /// The sum of the bits as integers, wrapping.
    fn int_add(self, o: Self) -> Self;
    /// The difference of the bits as integers, wrapping.
    fn int_sub(self, o: Self) -> Self;
    /// Bits shifted left; `k` is below their number, as in [`Float::shr`] and [`Float::sar`].
    fn shl(self, k: u32) -> Self;
    /// Bits shifted right, zeros coming in.
    fn shr(self, k: u32) -> Self;
    /// Bits shifted right, copies of the sign coming in.
    fn sar(self, k: u32) -> Self;
    /// The bits as a signed integer below 2^22 (f64: 2^51) in magnitude, as a float.
    fn int_to_float(self) -> Self;
    /// `table[bits mod N]` for N a power of two. Tables of 8 to 64 (f64: 8 to 32) are held in registers where the tier can.
    fn lookup<const N: usize>(self, table: &[Self::Elem; N]) -> Self;
    /// `table[bits]`, the last entry where that is beyond the end. The table is not empty and has less than 2^31 entries.
    fn gather(self, table: &[Self::Elem]) -> Self;
    /// m and e with `self = m * 2^e`, m in [3/4, 3/2), for positive normal numbers, and for subnormal ones where [`Isa::SPLITS_SUBNORMALS`].
    #[inline(always)]
    fn split(self, isa: Self::Isa) -> (Self, Self)
    where
        Self::Elem: Real,
    {
        let from_start = self.int_sub(Self::splat(isa, Self::Elem::from_f64(0.75)));
        // The bits of minus infinity are those above the mantissa.
        let m = self.int_sub(from_start.bit_and(Self::splat(isa, Self::Elem::from_f64(f64::NEG_INFINITY))));
        (m, from_start.sar(if size_of::<Self::Elem>() == 4 { 23 } else { 52 }).int_to_float())
    }
    /// What a logarithm is: `y` where self is positive and finite, minus infinity for zeros, NaN below, and self where it is infinite or NaN.
    #[inline(always)]
    fn log_or_special(self, isa: Self::Isa, y: Self) -> Self
    where
        Self::Elem: Real,
    {
        let c = |x: f64| Self::splat(isa, Self::Elem::from_f64(x));
        let y = Self::select(self.eq(c(0.0)), c(f64::NEG_INFINITY), y);
        let y = Self::select(self.lt(c(0.0)), c(f64::NAN), y);
        Self::select(self.lt(c(f64::INFINITY)), y, self)
    }
    /// Bits shifted left by the width of the mantissa.
    fn shl_mantissa(self) -> Self;
    /// `self * 2^floor(n)` with at most one rounding, from normal to subnormal; self in [1/4, 4], NaN where it is.
    #[inline(always)]
    fn scale(self, isa: Self::Isa, n: Self) -> Self
    where
        Self::Elem: Real,
    {
        let c = |x: f64| Self::splat(isa, Self::Elem::from_f64(x));
        // The low bits of k + magic hold k + bias; shifted, they are the exponent of 2^k.
        let magic =
            c(if size_of::<Self::Elem>() == 4 { 12_582_912.0 + 127.0 } else { 6_755_399_441_055_744.0 + 1023.0 });
        // In two steps, because 2^n may be out of range where the result is not.
        let limit = if size_of::<Self::Elem>() == 4 { 252.0 } else { 2044.0 };
        let n = n.floor().min(c(limit)).max(c(-limit));
        let half = n.mul(c(0.5)).floor();
        self.mul(half.add(magic).shl_mantissa()).mul(n.sub(half).add(magic).shl_mantissa())
    }
    /// Bits shifted right, logically, by the width of the mantissa.
    fn shr_mantissa(self) -> Self;
}

/// A tier: a set of CPU features that this CPU has.
pub(crate) trait Isa: Copy + Send + Sync + 'static {
    type F32: Float<Isa = Self, Elem = f32>;
    type F64: Float<Isa = Self, Elem = f64>;
    /// Whether [`Float::split`] takes subnormal numbers.
    const SPLITS_SUBNORMALS: bool;
    /// Vectors that kernels can hold in registers.
    const REGISTERS: usize;
    /// Whether `mul_add` and `neg_mul_add` round once.
    const FUSED: bool;

    /// The first and the second half of the lanes: exact.
    fn widen(self, x: Self::F32) -> (Self::F64, Self::F64);
    /// The reverse of [`Isa::widen`], rounded to nearest.
    fn narrow(self, low: Self::F64, high: Self::F64) -> Self::F32;

    /// Runs `work` compiled for the tier.
    fn enter<W: Work>(self, work: W) -> W::Out;

    /// Copies past the caches where the tier can: for results too large to be read again soon. [`Isa::fence`] ends a series of such copies.
    ///
    /// # Safety
    /// - `src` is valid for reads and `dst` for writes of `bytes` bytes, and they do not overlap.
    unsafe fn stream(self, src: *const u8, dst: *mut u8, bytes: usize) {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(src, dst, bytes) };
    }

    /// Asks for the cache line at `at`, which may be anywhere.
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: every x86-64 CPU has SSE, and a prefetch never faults.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast())
        };
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Makes streamed copies visible to other threads before anything that follows.
    fn fence(self) {}
}

/// Something to do on any tier. Implementations are `#[inline(always)]`, and so is everything they call that handles vectors.
pub(crate) trait Work {
    type Out;
    fn run<I: Isa>(self, isa: I) -> Self::Out;
}

/// A float type and its vectors.
pub(crate) trait Real: Copy + polyarray_core::Element + PartialOrd {
    type V<I: Isa>: Float<Isa = I, Elem = Self>;
    const NEG_ZERO: Self;
    const ONE: Self;
    /// Bits of a number without sign and exponent.
    const DIGITS: i32;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    /// The square root.
    fn root(self) -> Self;
    fn times(self, o: Self) -> Self;
    fn plus(self, o: Self) -> Self;
    fn minus(self, o: Self) -> Self;
    /// `self * b + c`, rounded once.
    fn fused(self, b: Self, c: Self) -> Self;
}

macro_rules! real {
    ($ty:ident, $vector:ident) => {
        impl Real for $ty {
            type V<I: Isa> = I::$vector;
            const NEG_ZERO: Self = -0.0;
            const ONE: Self = 1.0;
            const DIGITS: i32 = $ty::MANTISSA_DIGITS as i32;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $ty
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn root(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn times(self, o: Self) -> Self {
                self * o
            }
            #[inline(always)]
            fn plus(self, o: Self) -> Self {
                self + o
            }
            #[inline(always)]
            fn minus(self, o: Self) -> Self {
                self - o
            }
            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);
