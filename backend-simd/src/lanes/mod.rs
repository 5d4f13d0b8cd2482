//! Float vectors, one type per tier. The kernels are generic over these types.
//!
//! A tier is a token ([`Isa`]) that exists only on a CPU with the tier's features: detection returns it, or the caller
//! of an unsafe function ([`enter`]) guarantees the features. A vector can only be made with a token, so a vector
//! proves the features too. Its arithmetic is therefore safe to call. Code compiles to the tier's instructions only
//! where it is inlined into [`Isa::enter`].

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod portable;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod twice;

use half::slice::HalfFloatSliceExt;
use polyarray_core::f16;

/// One boolean per lane.
pub(crate) trait Mask: Copy {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn not(self) -> Self;
    fn any(self) -> bool;
    fn all(self) -> bool;
}

/// A vector of `N` elements. Loads and stores are unaligned.
pub(crate) trait Lanes: Copy {
    type Isa: Isa;
    type Elem: Copy;
    const N: usize;

    fn splat(isa: Self::Isa, x: Self::Elem) -> Self;

    /// # Safety
    /// - `from` is valid for reads of `N` elements.
    unsafe fn load(isa: Self::Isa, from: *const Self::Elem) -> Self;

    /// # Safety
    /// - `to` is valid for writes of `N` elements.
    unsafe fn store(self, to: *mut Self::Elem);

    /// Loads the first `count` elements at `from` and fills the other lanes with zeros.
    ///
    /// # Safety
    /// - `count` is at most `N`, and `from` is valid for reads of `count` elements.
    unsafe fn load_first(isa: Self::Isa, from: *const Self::Elem, count: usize) -> Self;

    /// Stores the first `count` lanes.
    ///
    /// # Safety
    /// - `count` is at most `N`, and `to` is valid for writes of `count` elements.
    unsafe fn store_first(self, to: *mut Self::Elem, count: usize);

    /// Interleaves two vectors. Returns the interleaved first halves and the interleaved second halves.
    fn zip(self, o: Self) -> (Self, Self);
}

/// Transposes a square of `N` vectors of `N` elements. Each round interleaves the rows i and i + N/2, which is a
/// perfect shuffle of the indices.
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

/// A vector of bits: lanes are chosen by masks, combined, and shifted and added as integers.
pub(crate) trait Bits: Lanes {
    type Mask: Mask;
    /// The mask of the lanes whose sign bit is set.
    fn sign_mask(self) -> Self::Mask;
    /// Returns whether the sign bit of any lane is set.
    #[inline(always)]
    fn any_sign(self) -> bool {
        self.sign_mask().any()
    }
    /// Returns `yes` where the mask is set and `no` elsewhere.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    fn bit_and(self, o: Self) -> Self;
    fn bit_or(self, o: Self) -> Self;
    fn bit_xor(self, o: Self) -> Self;
    /// Adds the bits as integers, with wraparound.
    fn int_add(self, o: Self) -> Self;
    /// Subtracts the bits as integers, with wraparound.
    fn int_sub(self, o: Self) -> Self;
    /// Shifts the bits left. `k` is less than the number of bits, also for [`Bits::shr`] and [`Bits::sar`].
    fn shl(self, k: u32) -> Self;
    /// Shifts the bits right and fills with zeros.
    fn shr(self, k: u32) -> Self;
    /// Shifts the bits right and fills with the sign bit.
    fn sar(self, k: u32) -> Self;
    /// Returns `table[bits mod N]`; N is a power of two. Tables of 8 to 64 entries (f64: 8 to 32) stay in registers
    /// where the tier supports it.
    fn lookup<const N: usize>(self, table: &[Self::Elem; N]) -> Self;
    /// Returns `table[bits]`, or the last entry where the index is out of bounds; AVX2 ignores the highest bit of a
    /// 64-bit index. The table is not empty and has less than 2^31 entries.
    fn gather(self, table: &[Self::Elem]) -> Self;
}

/// A vector of numbers: arithmetic and comparisons. `+ - *` round according to IEEE 754.
pub(crate) trait Numbers: Bits {
    fn add(self, o: Self) -> Self;
    fn sub(self, o: Self) -> Self;
    fn mul(self, o: Self) -> Self;
    /// Returns `if self < o { self } else { o }`.
    fn min(self, o: Self) -> Self;
    /// Returns `if self > o { self } else { o }`.
    fn max(self, o: Self) -> Self;
    fn lt(self, o: Self) -> Self::Mask;
    fn eq(self, o: Self) -> Self::Mask;
}

/// A vector of floats. `/` and `mul_add` round according to IEEE 754, except that the portable tier's `mul_add` may
/// round twice.
pub(crate) trait Float: Numbers {
    fn div(self, o: Self) -> Self;
    /// Computes `self * b + c`.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Computes `c - self * b`.
    fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// Returns the exact rounding error of `product`, which is `self * b` rounded.
    #[inline(always)]
    fn product_error(self, b: Self, product: Self) -> Self {
        self.neg_mul_add(b, product).neg()
    }
    /// Flips the sign.
    fn neg(self) -> Self;
    /// Clears the sign.
    fn abs(self) -> Self;
    /// Returns the magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    fn sqrt(self) -> Self;
    /// Rounds to the nearest integer, ties to even. A result of zero keeps the sign.
    fn round(self) -> Self;
    fn floor(self) -> Self;
    fn trunc(self) -> Self;
    /// The mask of the lanes where either operand is NaN.
    fn unordered(self, o: Self) -> Self::Mask;
    /// Converts the bits, a signed integer below 2^22 (f64: 2^51) in magnitude, to a float.
    fn int_to_float(self) -> Self;
}

/// A vector of floats whose exponents can be read and changed. A tier may have instructions for these operations.
pub(crate) trait Exponents: Float {
    /// Returns m in [3/4, 3/2) and e with `self = m * 2^e`. Valid for positive normal numbers, and for subnormal ones
    /// if [`Isa::SPLITS_SUBNORMALS`].
    #[inline(always)]
    fn split(self, isa: Self::Isa) -> (Self, Self)
    where
        Self::Elem: Real,
    {
        let from_start = self.int_sub(Self::splat(isa, Self::Elem::from_f64(0.75)));
        // In minus infinity exactly the bits above the mantissa are set.
        let m = self.int_sub(from_start.bit_and(Self::splat(isa, Self::Elem::from_f64(f64::NEG_INFINITY))));
        (m, from_start.sar(if size_of::<Self::Elem>() == 4 { 23 } else { 52 }).int_to_float())
    }
    /// Applies the special cases of a logarithm. Returns `y` where `self` is positive and finite, minus infinity where
    /// it is zero, NaN where it is negative, and `self` where it is positive infinity or NaN.
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
    /// Shifts the bits left by the width of the mantissa.
    fn shl_mantissa(self) -> Self;
    /// Computes `self * 2^floor(n)` with at most one rounding, which occurs where the result is subnormal. `self` is in
    /// [1/4, 4] or NaN; NaN stays NaN.
    #[inline(always)]
    fn scale(self, isa: Self::Isa, n: Self) -> Self
    where
        Self::Elem: Real,
    {
        let c = |x: f64| Self::splat(isa, Self::Elem::from_f64(x));
        // The low bits of k + magic hold k + bias. Shifted left by the width of the mantissa, they are 2^k.
        let magic =
            c(if size_of::<Self::Elem>() == 4 { 12_582_912.0 + 127.0 } else { 6_755_399_441_055_744.0 + 1023.0 });
        // Scales in two steps, because 2^n may be out of range where the result is not.
        let limit = if size_of::<Self::Elem>() == 4 { 252.0 } else { 2044.0 };
        let n = n.floor().min(c(limit)).max(c(-limit));
        let half = n.mul(c(0.5)).floor();
        self.mul(half.add(magic).shl_mantissa()).mul(n.sub(half).add(magic).shl_mantissa())
    }
    /// Shifts the bits right by the width of the mantissa and fills with zeros.
    fn shr_mantissa(self) -> Self;
}

/// A tier: a set of features of the CPU at hand.
pub(crate) trait Isa: Copy + Send + Sync + 'static {
    type F32: Exponents<Isa = Self, Elem = f32>;
    type F64: Exponents<Isa = Self, Elem = f64>;
    /// Whether [`Exponents::split`] accepts subnormal numbers.
    const SPLITS_SUBNORMALS: bool;
    /// The number of vectors that a kernel can hold in registers.
    const REGISTERS: usize;
    /// Whether `mul_add` and `neg_mul_add` round once.
    const FUSED: bool;

    /// The vectors that elementary functions compute at once. The independent chains of instructions of several vectors
    /// hide each other's latency.
    type Chains: Isa;
    fn chains(self) -> Self::Chains;

    /// Returns the token without detecting the features.
    ///
    /// # Safety
    /// - The CPU has the features of the tier.
    unsafe fn assume() -> Self;

    /// Converts the first and the second half of the lanes to f64, exactly.
    fn widen(self, x: Self::F32) -> (Self::F64, Self::F64);
    /// The inverse of [`Isa::widen`]. Rounds to nearest.
    fn narrow(self, low: Self::F64, high: Self::F64) -> Self::F32;

    /// Converts half floats to f32, exactly.
    ///
    /// # Safety
    /// - `from` is valid for reads and `to` for writes of `n` elements, and they do not overlap.
    unsafe fn widen_halves(self, from: *const f16, to: *mut f32, n: usize) {
        // SAFETY: the caller guarantees n elements of each, which do not overlap.
        let (from, to) = unsafe { (std::slice::from_raw_parts(from, n), std::slice::from_raw_parts_mut(to, n)) };
        from.convert_to_f32_slice(to);
    }

    /// The inverse of [`Isa::widen_halves`]. Rounds to nearest, ties to even.
    ///
    /// # Safety
    /// - As [`Isa::widen_halves`].
    unsafe fn narrow_to_halves(self, from: *const f32, to: *mut f16, n: usize) {
        // SAFETY: the caller guarantees n elements of each, which do not overlap.
        let (from, to) = unsafe { (std::slice::from_raw_parts(from, n), std::slice::from_raw_parts_mut(to, n)) };
        to.convert_from_f32_slice(from);
    }

    /// Runs `B`, compiled for the tier. A pointer to this function is a kernel that needs no token.
    ///
    /// # Safety
    /// - The CPU has the features of the tier.
    /// - The conditions of [`Body::run`].
    unsafe fn kernel<B: Body>(args: &B::Args);

    /// Runs `work`, compiled for the tier.
    fn enter<W: Work>(self, work: W) -> W::Out;

    /// Copies with nontemporal stores, which bypass the caches, if the tier has them. For results too large to be
    /// cached until they are read. Call [`Isa::fence`] after a series of such copies.
    ///
    /// # Safety
    /// - `src` is valid for reads and `dst` for writes of `bytes` bytes, and they do not overlap.
    unsafe fn stream(self, src: *const u8, dst: *mut u8, bytes: usize) {
        // SAFETY: `src` and `dst` are valid for `bytes` bytes and do not overlap, which the caller guarantees.
        unsafe { std::ptr::copy_nonoverlapping(src, dst, bytes) };
    }

    /// Prefetches the cache line at `at`. Any address is allowed.
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

    /// Orders earlier streamed copies before all later stores, so that other threads see them.
    fn fence(self) {}
}

/// Work that runs on any tier. Implementations are `#[inline(always)]`, and so is every function with vectors that they
/// call.
pub(crate) trait Work {
    type Out;
    fn run<I: Isa>(self, isa: I) -> Self::Out;
}

/// Work that runs on any tier, without a result and without captured values. Implementations are `#[inline(always)]`,
/// and so is every function with vectors that they call.
pub(crate) trait Body {
    type Args;
    /// Runs the work.
    ///
    /// # Safety
    /// - The conditions of the work on its arguments.
    unsafe fn run<I: Isa>(isa: I, args: &Self::Args);
}

/// Runs `work` on tier `I`, without a token.
///
/// # Safety
/// - The CPU has the features of the tier.
#[inline(always)]
pub(crate) unsafe fn enter<I: Isa, W: Work>(work: W) -> W::Out {
    // SAFETY: the caller guarantees the features.
    unsafe { I::assume() }.enter(work)
}

/// A float type and its vectors.
pub(crate) trait Real: Copy + polyarray_core::Element + PartialOrd {
    type V<I: Isa>: Exponents<Isa = I, Elem = Self>;
    const NEG_ZERO: Self;
    const ONE: Self;
    /// The number of significant bits, which includes the implicit one.
    const DIGITS: i32;
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    /// Returns the square root.
    fn root(self) -> Self;
    fn times(self, o: Self) -> Self;
    fn plus(self, o: Self) -> Self;
    fn minus(self, o: Self) -> Self;
    /// Computes `self * b + c`, rounded once.
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
