//! The tier of AVX2 with FMA.

use super::portable::Portable;
use super::twice::Twice;
use super::{Bits, Body, Exponents, Float, Isa, Lanes, Mask, Numbers, Work};
use polyarray_core::f16;
use std::arch::x86_64::*;

/// The number of half floats that are converted at once.
const HALVES: usize = 8;

/// The token of the tier. It exists only on a CPU with the features: [`Avx2::new`] found them, or the caller of
/// [`Isa::assume`] guarantees them.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Returns the token if the CPU has AVX2 and FMA.
    pub(crate) fn new() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

impl Isa for Avx2 {
    type F32 = F32;
    type F64 = F64;
    const FUSED: bool = true;
    const SPLITS_SUBNORMALS: bool = false;
    const REGISTERS: usize = 16;

    type Chains = Twice<Twice<Avx2>>;
    #[inline(always)]
    fn chains(self) -> Self::Chains {
        Twice(Twice(self))
    }

    #[inline(always)]
    unsafe fn assume() -> Self {
        Avx2(())
    }
    #[inline(always)]
    fn widen(self, x: F32) -> (F64, F64) {
        // SAFETY: the token exists only on a CPU with AVX2.
        unsafe {
            (F64(_mm256_cvtps_pd(_mm256_castps256_ps128(x.0))), F64(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0))))
        }
    }
    #[inline(always)]
    fn narrow(self, low: F64, high: F64) -> F32 {
        // SAFETY: the token exists only on a CPU with AVX2.
        F32(unsafe { _mm256_set_m128(_mm256_cvtpd_ps(high.0), _mm256_cvtpd_ps(low.0)) })
    }

    unsafe fn widen_halves(self, from: *const f16, to: *mut f32, n: usize) {
        /// # Safety
        /// - `from` is valid for reads and `to` for writes of `n` elements. The CPU has AVX2 and F16C.
        #[target_feature(enable = "avx2,f16c")]
        unsafe fn vectors(from: *const f16, to: *mut f32, n: usize) {
            for i in (0..n / HALVES * HALVES).step_by(HALVES) {
                // SAFETY: the vector lies within the n elements, which the caller guarantees.
                unsafe { _mm256_storeu_ps(to.add(i), _mm256_cvtph_ps(_mm_loadu_si128(from.add(i).cast()))) };
            }
        }
        let whole = if is_x86_feature_detected!("f16c") { n / HALVES * HALVES } else { 0 };
        // SAFETY: the caller guarantees n elements of each; the token proves AVX2, and F16C was detected if any vectors
        // are converted.
        unsafe {
            if whole > 0 {
                vectors(from, to, whole);
            }
            Portable.widen_halves(from.add(whole), to.add(whole), n - whole);
        }
    }

    unsafe fn narrow_to_halves(self, from: *const f32, to: *mut f16, n: usize) {
        /// # Safety
        /// - `from` is valid for reads and `to` for writes of `n` elements. The CPU has AVX2 and F16C.
        #[target_feature(enable = "avx2,f16c")]
        unsafe fn vectors(from: *const f32, to: *mut f16, n: usize) {
            for i in (0..n / HALVES * HALVES).step_by(HALVES) {
                // SAFETY: the vector lies within the n elements, which the caller guarantees.
                unsafe {
                    let x = _mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(_mm256_loadu_ps(from.add(i)));
                    _mm_storeu_si128(to.add(i).cast(), x);
                }
            }
        }
        let whole = if is_x86_feature_detected!("f16c") { n / HALVES * HALVES } else { 0 };
        // SAFETY: as in `widen_halves`.
        unsafe {
            if whole > 0 {
                vectors(from, to, whole);
            }
            Portable.narrow_to_halves(from.add(whole), to.add(whole), n - whole);
        }
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn kernel<B: Body>(args: &B::Args) {
        // SAFETY: the caller guarantees the conditions of `B`. The function is called only on a CPU with AVX2 and FMA.
        unsafe { B::run(Avx2(()), args) };
    }

    #[inline]
    fn enter<W: Work>(self, work: W) -> W::Out {
        #[target_feature(enable = "avx2,fma")]
        fn inner<W: Work>(isa: Avx2, work: W) -> W::Out {
            work.run(isa)
        }
        // SAFETY: the token exists only on a CPU with AVX2 and FMA.
        unsafe { inner(self, work) }
    }

    unsafe fn stream(self, src: *const u8, dst: *mut u8, bytes: usize) {
        /// # Safety
        /// - `count` vectors can be read at `src` and written at `dst`, and they do not overlap.
        /// - `dst` is aligned to a vector.
        /// - The CPU has AVX2 and FMA.
        #[target_feature(enable = "avx2,fma")]
        unsafe fn vectors(src: *const u8, dst: *mut u8, count: usize) {
            for i in 0..count {
                // SAFETY: i < count, both ranges hold `count` vectors, and `dst` is aligned to a vector, which the
                // caller guarantees.
                unsafe {
                    _mm256_stream_si256(dst.cast::<__m256i>().add(i), _mm256_loadu_si256(src.cast::<__m256i>().add(i)))
                };
            }
        }
        // Nontemporal stores need alignment. The bytes before and after the aligned part are copied normally.
        let head = dst.align_offset(32).min(bytes);
        let count = (bytes - head) / 32;
        let tail = head + count * 32;
        // SAFETY: the three parts make up the `bytes` bytes for which the caller guarantees `src` and `dst`. The middle
        // part of `dst` is aligned. The token proves AVX2 and FMA.
        unsafe {
            std::ptr::copy_nonoverlapping(src, dst, head);
            vectors(src.add(head), dst.add(head), count);
            std::ptr::copy_nonoverlapping(src.add(tail), dst.add(tail), bytes - tail);
        }
    }

    fn fence(self) {
        // SAFETY: every x86-64 CPU has SSE.
        unsafe { _mm_sfence() };
    }
}

/// Masks of the first `count` lanes, loaded from a constant of ones followed by zeros.
mod first {
    use super::*;
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f32(count: usize) -> __m256i {
        const ONES_AND_ZEROS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: the caller guarantees AVX2. The offset is at most 8, so the 8 lanes lie within the 16.
        unsafe { _mm256_loadu_si256(ONES_AND_ZEROS.as_ptr().add(8 - count.min(8)).cast()) }
    }
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f64(count: usize) -> __m256i {
        const ONES_AND_ZEROS: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];
        // SAFETY: the caller guarantees AVX2. The offset is at most 4, so the 4 lanes lie within the 8.
        unsafe { _mm256_loadu_si256(ONES_AND_ZEROS.as_ptr().add(4 - count.min(4)).cast()) }
    }
}

/// Copies of the sign bit in every bit of a lane.
mod sign_fill {
    use super::*;
    #[inline(always)]
    pub(super) fn f32(x: __m256) -> __m256 {
        // SAFETY: `x` comes from a vector of this tier, which exists only on a CPU with AVX2.
        unsafe { _mm256_castsi256_ps(_mm256_srai_epi32::<31>(_mm256_castps_si256(x))) }
    }
    #[inline(always)]
    pub(super) fn f64(x: __m256d) -> __m256d {
        // SAFETY: `x` comes from a vector of this tier, which exists only on a CPU with AVX2.
        unsafe { _mm256_castsi256_pd(_mm256_cmpgt_epi64(_mm256_setzero_si256(), _mm256_castpd_si256(x))) }
    }
}

/// Arithmetic right shifts.
mod sar {
    use super::*;
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f32(x: __m256i, k: u32) -> __m256i {
        // SAFETY: the caller guarantees AVX2.
        unsafe { _mm256_sra_epi32(x, _mm_cvtsi32_si128(k as i32)) }
    }
    /// AVX2 has no such instruction for 64 bits. The bits of negative numbers are inverted before and after a logical
    /// shift.
    ///
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f64(x: __m256i, k: u32) -> __m256i {
        // SAFETY: the caller guarantees AVX2.
        unsafe {
            let fill = _mm256_cmpgt_epi64(_mm256_setzero_si256(), x);
            let shifted = _mm256_srl_epi64(_mm256_xor_si256(x, fill), _mm_cvtsi32_si128(k as i32));
            _mm256_xor_si256(shifted, fill)
        }
    }
}

/// `min(index, last)`, unsigned.
mod clamp {
    use super::*;
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f32(index: __m256i, last: usize) -> __m256i {
        // SAFETY: the caller guarantees AVX2.
        unsafe { _mm256_min_epu32(index, _mm256_set1_epi32(last as i32)) }
    }
    /// # Safety
    /// - The CPU has AVX2.
    #[inline(always)]
    pub(super) unsafe fn f64(index: __m256i, last: usize) -> __m256i {
        // AVX2 has no unsigned comparison. With the highest bit cleared, the signed one gives an index within the
        // table.
        // SAFETY: the caller guarantees AVX2.
        unsafe {
            let (index, last) =
                (_mm256_and_si256(index, _mm256_set1_epi64x(i64::MAX)), _mm256_set1_epi64x(last as i64));
            _mm256_blendv_epi8(index, last, _mm256_cmpgt_epi64(index, last))
        }
    }
}

/// `table[index]`.
mod gather {
    use super::*;
    /// # Safety
    /// - The CPU has AVX2.
    /// - Every lane of `index` is less than the length of `table`.
    #[inline(always)]
    pub(super) unsafe fn f32(table: &[f32], index: __m256i) -> __m256 {
        // SAFETY: the caller guarantees AVX2 and indices within the table.
        unsafe { _mm256_i32gather_ps::<4>(table.as_ptr(), index) }
    }
    /// # Safety
    /// - The CPU has AVX2.
    /// - Every lane of `index` is less than the length of `table`.
    #[inline(always)]
    pub(super) unsafe fn f64(table: &[f64], index: __m256i) -> __m256d {
        // SAFETY: the caller guarantees AVX2 and indices within the table.
        unsafe { _mm256_i64gather_pd::<8>(table.as_ptr(), index) }
    }
}

/// `table[index mod N]`.
mod lookup {
    use super::*;
    /// # Safety
    /// - The CPU has AVX2.
    /// - `N` is a power of two.
    #[inline(always)]
    pub(super) unsafe fn f32<const N: usize>(table: &[f32; N], index: __m256i) -> __m256 {
        // SAFETY: the caller guarantees AVX2. The parts of 8 lie within tables of 8 and 16, and the masked index of the
        // gather is below N, a power of two.
        unsafe {
            let part = |at: usize| _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(at)), index);
            match N {
                8 => part(0),
                16 => _mm256_blendv_ps(part(0), part(8), _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index))),
                _ => gather::f32(table, _mm256_and_si256(index, _mm256_set1_epi32(N as i32 - 1))),
            }
        }
    }
    /// # Safety
    /// - The CPU has AVX2.
    /// - `N` is a power of two.
    #[inline(always)]
    pub(super) unsafe fn f64<const N: usize>(table: &[f64; N], index: __m256i) -> __m256d {
        // SAFETY: the caller guarantees AVX2. The masked index is below N, a power of two.
        unsafe { gather::f64(table, _mm256_and_si256(index, _mm256_set1_epi64x(N as i64 - 1))) }
    }
}

macro_rules! avx2 {
    ($V:ident, $raw:ident, $elem:ident, $n:literal, $mantissa:literal,
     $set1:ident $loadu:ident $storeu:ident $add:ident $sub:ident $mul:ident $div:ident $fmadd:ident $fnmadd:ident
     $round:ident $min:ident $max:ident
     $cmp:ident $blendv:ident $and:ident $or:ident $xor:ident $movemask:ident $cast_to:ident $cast_from:ident $sll:ident
     $srl:ident
     $andnot:ident $sqrt:ident $int_add:ident $int_sub:ident $sllk:ident $srlk:ident
     $maskload:ident $maskstore:ident $unpacklo:ident $unpackhi:ident $permute2:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $V($raw);

        impl Lanes for $V {
            type Isa = Avx2;
            type Elem = $elem;
            const N: usize = $n;

            #[inline(always)]
            fn splat(_: Avx2, x: $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX2.
                $V(unsafe { $set1(x) })
            }
            #[inline(always)]
            unsafe fn load(_: Avx2, from: *const $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX2. The caller guarantees N readable elements at
                // `from`.
                $V(unsafe { $loadu(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: a vector exists only on a CPU with AVX2. The caller guarantees N writable elements at `to`.
                unsafe { $storeu(to, self.0) }
            }
            #[inline(always)]
            unsafe fn load_first(_: Avx2, from: *const $elem, count: usize) -> Self {
                // SAFETY: the token exists only on a CPU with AVX2. The load accesses only the `count` elements in the
                // mask, which the caller guarantees to be readable.
                $V(unsafe { $maskload(from, first::$elem(count)) })
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $elem, count: usize) {
                // SAFETY: a vector exists only on a CPU with AVX2. The store accesses only the `count` elements in the
                // mask, which the caller guarantees to be writable.
                unsafe { $maskstore(to, first::$elem(count), self.0) }
            }
            #[inline(always)]
            fn zip(self, o: Self) -> (Self, Self) {
                // SAFETY: a vector exists only on a CPU with AVX2.
                unsafe {
                    let (low, high) = ($unpacklo(self.0, o.0), $unpackhi(self.0, o.0));
                    ($V($permute2::<0x20>(low, high)), $V($permute2::<0x31>(low, high)))
                }
            }
        }

        impl Mask for $V {
            #[inline(always)]
            fn and(self, o: Self) -> Self {
                self.bit_and(o)
            }
            #[inline(always)]
            fn or(self, o: Self) -> Self {
                self.bit_or(o)
            }
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                self.bit_xor($V(unsafe { $cast_from(_mm256_set1_epi64x(-1)) }))
            }
            #[inline(always)]
            fn any(self) -> bool {
                // SAFETY: a vector exists only on a CPU with AVX2.
                unsafe { $movemask(self.0) != 0 }
            }
            #[inline(always)]
            fn all(self) -> bool {
                // SAFETY: a vector exists only on a CPU with AVX2.
                unsafe { $movemask(self.0) == (1 << $n) - 1 }
            }
        }

        impl Bits for $V {
            type Mask = $V;
            avx2!(@binary $V bit_and $and, bit_or $or, bit_xor $xor);
            #[inline(always)]
            fn sign_mask(self) -> Self {
                $V(sign_fill::$elem(self.0))
            }
            #[inline(always)]
            fn select(mask: Self, yes: Self, no: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $blendv(no.0, yes.0, mask.0) })
            }
            avx2!(@integer $V $cast_to $cast_from int_add $int_add, int_sub $int_sub);
            avx2!(@shift $V $cast_to $cast_from shl $sllk, shr $srlk);
            #[inline(always)]
            fn sar(self, k: u32) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $cast_from(sar::$elem($cast_to(self.0), k)) })
            }
            #[inline(always)]
            fn lookup<const N: usize>(self, table: &[$elem; N]) -> Self {
                const { assert!(N.is_power_of_two() && N >= 8) }
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { lookup::$elem(table, $cast_to(self.0)) })
            }
            #[inline(always)]
            fn gather(self, table: &[$elem]) -> Self {
                assert!(!table.is_empty() && table.len() < 1 << 31);
                // SAFETY: a vector exists only on a CPU with AVX2. The index is clamped to the last entry; the table is
                // not empty.
                $V(unsafe { gather::$elem(table, clamp::$elem($cast_to(self.0), table.len() - 1)) })
            }
        }

        impl Numbers for $V {
            avx2!(@binary $V add $add, sub $sub, mul $mul, min $min, max $max);
            avx2!(@compare $V $cmp lt _CMP_LT_OQ, eq _CMP_EQ_OQ);
        }

        impl Float for $V {
            avx2!(@binary $V div $div);
            avx2!(@compare $V $cmp unordered _CMP_UNORD_Q);
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with FMA.
                $V(unsafe { $fmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with FMA.
                $V(unsafe { $fnmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                self.bit_xor($V(unsafe { $set1(-0.0) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $andnot($set1(-0.0), self.0) })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                self.abs().bit_or(sign.bit_and($V(unsafe { $set1(-0.0) })))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $sqrt(self.0) })
            }
            avx2!(@round $V $round
                round _MM_FROUND_TO_NEAREST_INT, floor _MM_FROUND_TO_NEG_INF, trunc _MM_FROUND_TO_ZERO);
            #[inline(always)]
            fn int_to_float(self) -> Self {
                // Adding an integer to the bits of 1.5 * 2^mantissa adds it to the value, because the last bit has the
                // weight 1.
                // SAFETY: a vector exists only on a CPU with AVX2.
                let magic = $V(unsafe { $set1((1u64 << $mantissa) as $elem * 1.5) });
                self.int_add(magic).sub(magic)
            }
        }

        impl Exponents for $V {
            #[inline(always)]
            fn shl_mantissa(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $cast_from($sll::<$mantissa>($cast_to(self.0))) })
            }
            #[inline(always)]
            fn shr_mantissa(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX2.
                $V(unsafe { $cast_from($srl::<$mantissa>($cast_to(self.0))) })
            }
        }
    };
    (@binary $V:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX2.
            $V(unsafe { $intrinsic(self.0, o.0) })
        }
    )* };
    (@round $V:ident $round:ident $($name:ident $how:ident),*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX2.
            $V(unsafe { $round::<{ $how | _MM_FROUND_NO_EXC }>(self.0) })
        }
    )* };
    (@integer $V:ident $cast_to:ident $cast_from:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX2.
            $V(unsafe { $cast_from($intrinsic($cast_to(self.0), $cast_to(o.0))) })
        }
    )* };
    (@shift $V:ident $cast_to:ident $cast_from:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, k: u32) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX2.
            $V(unsafe { $cast_from($intrinsic($cast_to(self.0), _mm_cvtsi32_si128(k as i32))) })
        }
    )* };
    (@compare $V:ident $cmp:ident $($name:ident $how:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX2.
            $V(unsafe { $cmp::<$how>(self.0, o.0) })
        }
    )* };
}
avx2!(F32, __m256, f32, 8, 23,
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps
    _mm256_fmadd_ps _mm256_fnmadd_ps
    _mm256_round_ps _mm256_min_ps _mm256_max_ps _mm256_cmp_ps _mm256_blendv_ps _mm256_and_ps _mm256_or_ps _mm256_xor_ps
    _mm256_movemask_ps
    _mm256_castps_si256 _mm256_castsi256_ps _mm256_slli_epi32 _mm256_srli_epi32
    _mm256_andnot_ps _mm256_sqrt_ps _mm256_add_epi32 _mm256_sub_epi32 _mm256_sll_epi32 _mm256_srl_epi32
    _mm256_maskload_ps _mm256_maskstore_ps _mm256_unpacklo_ps _mm256_unpackhi_ps _mm256_permute2f128_ps);
avx2!(F64, __m256d, f64, 4, 52,
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd
    _mm256_fmadd_pd _mm256_fnmadd_pd
    _mm256_round_pd _mm256_min_pd _mm256_max_pd _mm256_cmp_pd _mm256_blendv_pd _mm256_and_pd _mm256_or_pd _mm256_xor_pd
    _mm256_movemask_pd
    _mm256_castpd_si256 _mm256_castsi256_pd _mm256_slli_epi64 _mm256_srli_epi64
    _mm256_andnot_pd _mm256_sqrt_pd _mm256_add_epi64 _mm256_sub_epi64 _mm256_sll_epi64 _mm256_srl_epi64
    _mm256_maskload_pd _mm256_maskstore_pd _mm256_unpacklo_pd _mm256_unpackhi_pd _mm256_permute2f128_pd);
