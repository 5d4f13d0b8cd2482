//! The tier of AVX-512 F, DQ, BW and VL, which every server and desktop CPU with AVX-512 has.

use super::twice::Twice;
use super::{Bits, Body, Exponents, Float, Isa, Lanes, Mask, Numbers, Work};
use polyarray_core::f16;
use std::arch::x86_64::*;

/// The number of half floats that are converted at once.
const HALVES: usize = 16;

/// The token of the tier. It exists only on a CPU with the features: [`Avx512::new`] found them, or the caller of
/// [`Isa::assume`] guarantees them.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// Returns the token if the CPU has AVX-512 F, DQ, BW and VL, and FMA.
    pub(crate) fn new() -> Option<Avx512> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma");
        has.then_some(Avx512(()))
    }
}

impl Isa for Avx512 {
    type F32 = F32;
    type F64 = F64;
    const FUSED: bool = true;
    const SPLITS_SUBNORMALS: bool = true;
    const REGISTERS: usize = 32;

    type Chains = Twice<Twice<Avx512>>;
    #[inline(always)]
    fn chains(self) -> Self::Chains {
        Twice(Twice(self))
    }

    #[inline(always)]
    unsafe fn assume() -> Self {
        Avx512(())
    }
    #[inline(always)]
    fn widen(self, x: F32) -> (F64, F64) {
        // SAFETY: the token exists only on a CPU with AVX-512.
        unsafe {
            (F64(_mm512_cvtps_pd(_mm512_castps512_ps256(x.0))), F64(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0))))
        }
    }
    #[inline(always)]
    fn narrow(self, low: F64, high: F64) -> F32 {
        // SAFETY: the token exists only on a CPU with AVX-512.
        F32(unsafe { _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.0)), _mm512_cvtpd_ps(high.0)) })
    }

    #[inline(always)]
    unsafe fn widen_halves(self, from: *const f16, to: *mut f32, n: usize) {
        let (from, whole) = (from.cast::<i16>(), n / HALVES * HALVES);
        // SAFETY: the token exists only on a CPU with AVX-512. Whole vectors lie within the n elements, for which the
        // caller guarantees both pointers; the mask selects the elements from `whole` on.
        unsafe {
            for i in (0..whole).step_by(HALVES) {
                _mm512_storeu_ps(to.add(i), _mm512_cvtph_ps(_mm256_loadu_si256(from.add(i).cast())));
            }
            if whole < n {
                let mask = (1u16 << (n - whole)) - 1;
                let x = _mm256_maskz_loadu_epi16(mask, from.add(whole));
                _mm512_mask_storeu_ps(to.add(whole), mask, _mm512_cvtph_ps(x));
            }
        }
    }
    #[inline(always)]
    unsafe fn narrow_to_halves(self, from: *const f32, to: *mut f16, n: usize) {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        let (to, whole) = (to.cast::<i16>(), n / HALVES * HALVES);
        // SAFETY: as in `widen_halves`.
        unsafe {
            for i in (0..whole).step_by(HALVES) {
                _mm256_storeu_si256(to.add(i).cast(), _mm512_cvtps_ph::<NEAREST>(_mm512_loadu_ps(from.add(i))));
            }
            if whole < n {
                let mask = (1u16 << (n - whole)) - 1;
                let x = _mm512_maskz_loadu_ps(mask, from.add(whole));
                _mm256_mask_storeu_epi16(to.add(whole), mask, _mm512_cvtps_ph::<NEAREST>(x));
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
    unsafe fn kernel<B: Body>(args: &B::Args) {
        // SAFETY: the caller guarantees the conditions of `B`. The function is called only on a CPU with the features.
        unsafe { B::run(Avx512(()), args) };
    }

    #[inline]
    fn enter<W: Work>(self, work: W) -> W::Out {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn inner<W: Work>(isa: Avx512, work: W) -> W::Out {
            work.run(isa)
        }
        // SAFETY: the token exists only on a CPU with the features.
        unsafe { inner(self, work) }
    }

    unsafe fn stream(self, src: *const u8, dst: *mut u8, bytes: usize) {
        /// # Safety
        /// - `count` vectors can be read at `src` and written at `dst`, and they do not overlap.
        /// - `dst` is aligned to a vector.
        /// - The CPU has AVX-512 F.
        #[target_feature(enable = "avx512f")]
        unsafe fn vectors(src: *const u8, dst: *mut u8, count: usize) {
            for i in 0..count {
                // SAFETY: i < count, both ranges hold `count` vectors, and `dst` is aligned to a vector, which the
                // caller guarantees.
                unsafe {
                    _mm512_stream_si512(dst.cast::<__m512i>().add(i), _mm512_loadu_si512(src.cast::<__m512i>().add(i)))
                };
            }
        }
        // Nontemporal stores need alignment. The bytes before and after the aligned part are copied normally.
        let head = dst.align_offset(64).min(bytes);
        let count = (bytes - head) / 64;
        let tail = head + count * 64;
        // SAFETY: the three parts make up the `bytes` bytes for which the caller guarantees `src` and `dst`. The middle
        // part of `dst` is aligned. The token proves AVX-512 F.
        unsafe {
            // Short pieces are often aligned. A copy of nothing is a call, too.
            if head > 0 {
                std::ptr::copy_nonoverlapping(src, dst, head);
            }
            vectors(src.add(head), dst.add(head), count);
            if tail < bytes {
                std::ptr::copy_nonoverlapping(src.add(tail), dst.add(tail), bytes - tail);
            }
        }
    }

    fn fence(self) {
        // SAFETY: every x86-64 CPU has SSE.
        unsafe { _mm_sfence() };
    }
}

macro_rules! mask {
    ($($mask:ident $inner:ident),*) => { $(
        #[derive(Clone, Copy)]
        pub(crate) struct $mask($inner);
        impl Mask for $mask {
            #[inline(always)]
            fn and(self, o: Self) -> Self { $mask(self.0 & o.0) }
            #[inline(always)]
            fn or(self, o: Self) -> Self { $mask(self.0 | o.0) }
            #[inline(always)]
            fn not(self) -> Self { $mask(!self.0) }
            #[inline(always)]
            fn any(self) -> bool { self.0 != 0 }
            #[inline(always)]
            fn all(self) -> bool { self.0 == $inner::MAX }
        }
    )* };
}
mask!(Mask16 __mmask16, Mask8 __mmask8);

/// `table[index mod N]`.
mod lookup {
    use super::*;
    /// # Safety
    /// - The CPU has AVX-512 (F and DQ).
    /// - `N` is a power of two.
    #[inline(always)]
    pub(super) unsafe fn f32<const N: usize>(table: &[f32; N], index: __m512i) -> __m512 {
        let p = table.as_ptr();
        // SAFETY: the caller guarantees AVX-512 F and DQ. The loads of each case lie within its N entries, and the
        // masked index of the gather is below N, a power of two.
        unsafe {
            let pair =
                |at: usize| _mm512_permutex2var_ps(_mm512_loadu_ps(p.add(at)), index, _mm512_loadu_ps(p.add(at + 16)));
            match N {
                8 => _mm512_permutexvar_ps(index, _mm512_broadcast_f32x8(_mm256_loadu_ps(p))),
                16 => _mm512_permutexvar_ps(index, _mm512_loadu_ps(p)),
                32 => pair(0),
                64 => _mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_slli_epi32::<26>(index)), pair(0), pair(32)),
                _ => _mm512_i32gather_ps::<4>(_mm512_and_si512(index, _mm512_set1_epi32(N as i32 - 1)), p.cast()),
            }
        }
    }
    /// # Safety
    /// - The CPU has AVX-512 (F and DQ).
    /// - `N` is a power of two.
    #[inline(always)]
    pub(super) unsafe fn f64<const N: usize>(table: &[f64; N], index: __m512i) -> __m512d {
        let p = table.as_ptr();
        // SAFETY: the caller guarantees AVX-512 F and DQ. The loads of each case lie within its N entries, and the
        // masked index of the gather is below N, a power of two.
        unsafe {
            let pair =
                |at: usize| _mm512_permutex2var_pd(_mm512_loadu_pd(p.add(at)), index, _mm512_loadu_pd(p.add(at + 8)));
            match N {
                8 => _mm512_permutexvar_pd(index, _mm512_loadu_pd(p)),
                16 => pair(0),
                32 => _mm512_mask_blend_pd(_mm512_movepi64_mask(_mm512_slli_epi64::<59>(index)), pair(0), pair(16)),
                _ => _mm512_i64gather_pd::<8>(_mm512_and_si512(index, _mm512_set1_epi64(N as i64 - 1)), p.cast()),
            }
        }
    }
}

macro_rules! avx512 {
    ($V:ident, $raw:ident, $elem:ident, $mask:ident, $n:literal, $mantissa:literal,
     $set1:ident $loadu:ident $storeu:ident $add:ident $sub:ident $mul:ident $div:ident $fmadd:ident $fnmadd:ident
     $round:ident $min:ident $max:ident
     $cmp:ident $blend:ident $and:ident $or:ident $xor:ident $cast_to:ident $cast_from:ident $sll:ident $srl:ident
     $scalef:ident
     $andnot:ident $sqrt:ident $sign:ident $int_add:ident $int_sub:ident $sllk:ident $srlk:ident $srak:ident
     $from_int:ident $gather:ident $min_index:ident $set1_int:ident $getmant:ident $getexp:ident $fixup:ident
     $mask_bits:ident $maskz_loadu:ident $mask_storeu:ident $permutex2var:ident $first_halves:expr, $second_halves:expr)
     => {
        #[derive(Clone, Copy)]
        pub(crate) struct $V($raw);

        impl Lanes for $V {
            type Isa = Avx512;
            type Elem = $elem;
            const N: usize = $n;

            #[inline(always)]
            fn splat(_: Avx512, x: $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX-512.
                $V(unsafe { $set1(x) })
            }
            #[inline(always)]
            unsafe fn load(_: Avx512, from: *const $elem) -> Self {
                // SAFETY: the token exists only on a CPU with AVX-512. The caller guarantees N readable elements at
                // `from`.
                $V(unsafe { $loadu(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: a vector exists only on a CPU with AVX-512. The caller guarantees N writable elements at
                // `to`.
                unsafe { $storeu(to, self.0) }
            }
            #[inline(always)]
            unsafe fn load_first(_: Avx512, from: *const $elem, count: usize) -> Self {
                // SAFETY: the token exists only on a CPU with AVX-512. The load accesses only the `count` elements in
                // the mask, which the caller guarantees to be readable.
                $V(unsafe { $maskz_loadu(((1u32 << count) - 1) as $mask_bits, from) })
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $elem, count: usize) {
                // SAFETY: a vector exists only on a CPU with AVX-512. The store accesses only the `count` elements in
                // the mask, which the caller guarantees to be writable.
                unsafe { $mask_storeu(to, ((1u32 << count) - 1) as $mask_bits, self.0) }
            }
            #[inline(always)]
            fn zip(self, o: Self) -> (Self, Self) {
                // SAFETY: a vector exists only on a CPU with AVX-512. The index arrays have the size of a vector.
                unsafe {
                    let index = |indices: [_; $n]| _mm512_loadu_si512((&raw const indices).cast());
                    (
                        $V($permutex2var(self.0, index($first_halves), o.0)),
                        $V($permutex2var(self.0, index($second_halves), o.0))
                    )
                }
            }
        }

        impl Bits for $V {
            type Mask = $mask;
            avx512!(@binary $V bit_and $and, bit_or $or, bit_xor $xor);
            #[inline(always)]
            fn sign_mask(self) -> $mask {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $mask(unsafe { $sign($cast_to(self.0)) })
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $blend(mask.0, no.0, yes.0) })
            }
            avx512!(@integer $V $cast_to $cast_from int_add $int_add, int_sub $int_sub);
            avx512!(@shift $V $cast_to $cast_from shl $sllk, shr $srlk, sar $srak);
            #[inline(always)]
            fn lookup<const N: usize>(self, table: &[$elem; N]) -> Self {
                const { assert!(N.is_power_of_two() && N >= 8) }
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { lookup::$elem(table, $cast_to(self.0)) })
            }
            #[inline(always)]
            fn gather(self, table: &[$elem]) -> Self {
                assert!(!table.is_empty() && table.len() < 1 << 31);
                // SAFETY: a vector exists only on a CPU with AVX-512. The index is clamped to the last entry; the table
                // is not empty.
                $V(unsafe {
                    $gather::<{ size_of::<$elem>() as i32 }>(
                        $min_index($cast_to(self.0), $set1_int((table.len() - 1) as _)),
                        table.as_ptr().cast()
                    )
                })
            }
        }

        impl Numbers for $V {
            avx512!(@binary $V add $add, sub $sub, mul $mul, min $min, max $max);
            avx512!(@compare $V $mask $cmp lt _CMP_LT_OQ, eq _CMP_EQ_OQ);
        }

        impl Float for $V {
            avx512!(@binary $V div $div);
            avx512!(@compare $V $mask $cmp unordered _CMP_UNORD_Q);
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $fmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $fnmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                self.bit_xor($V(unsafe { $set1(-0.0) }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $andnot($set1(-0.0), self.0) })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                self.abs().bit_or(sign.bit_and($V(unsafe { $set1(-0.0) })))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $sqrt(self.0) })
            }
            avx512!(@round $V $round
                round _MM_FROUND_TO_NEAREST_INT, floor _MM_FROUND_TO_NEG_INF, trunc _MM_FROUND_TO_ZERO);
            #[inline(always)]
            fn int_to_float(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $from_int($cast_to(self.0)) })
            }
        }

        impl Exponents for $V {
            #[inline(always)]
            fn split(self, _: Avx512) -> (Self, Self) {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                unsafe {
                    let m = $getmant::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_SRC>(self.0);
                    ($V(m), $V($sub($getexp(self.0), $getexp(m))))
                }
            }
            #[inline(always)]
            fn log_or_special(self, _: Avx512, y: Self) -> Self {
                // The constant has four bits per class of `self`, lowest first. Quiet and signalling NaN give that NaN,
                // zero gives minus infinity, one gives y, minus infinity gives NaN, infinity gives itself, negative
                // numbers give NaN, and positive ones give y.
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $fixup::<0>(y.0, self.0, $set1_int(0x0353_0422)) })
            }
            #[inline(always)]
            fn scale(self, _: Avx512, n: Self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $scalef(self.0, n.0) })
            }
            #[inline(always)]
            fn shl_mantissa(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $cast_from($sll::<$mantissa>($cast_to(self.0))) })
            }
            #[inline(always)]
            fn shr_mantissa(self) -> Self {
                // SAFETY: a vector exists only on a CPU with AVX-512.
                $V(unsafe { $cast_from($srl::<$mantissa>($cast_to(self.0))) })
            }
        }
    };
    (@binary $V:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX-512.
            $V(unsafe { $intrinsic(self.0, o.0) })
        }
    )* };
    (@round $V:ident $round:ident $($name:ident $how:ident),*) => { $(
        #[inline(always)]
        fn $name(self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX-512.
            $V(unsafe { $round::<{ $how | _MM_FROUND_NO_EXC }>(self.0) })
        }
    )* };
    (@integer $V:ident $cast_to:ident $cast_from:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX-512.
            $V(unsafe { $cast_from($intrinsic($cast_to(self.0), $cast_to(o.0))) })
        }
    )* };
    (@shift $V:ident $cast_to:ident $cast_from:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, k: u32) -> Self {
            // SAFETY: a vector exists only on a CPU with AVX-512.
            $V(unsafe { $cast_from($intrinsic($cast_to(self.0), _mm_cvtsi32_si128(k as i32))) })
        }
    )* };
    (@compare $V:ident $mask:ident $cmp:ident $($name:ident $how:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> $mask {
            // SAFETY: a vector exists only on a CPU with AVX-512.
            $mask(unsafe { $cmp::<$how>(self.0, o.0) })
        }
    )* };
}
avx512!(F32, __m512, f32, Mask16, 16, 23,
    _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps
    _mm512_fmadd_ps _mm512_fnmadd_ps
    _mm512_roundscale_ps _mm512_min_ps _mm512_max_ps _mm512_cmp_ps_mask _mm512_mask_blend_ps _mm512_and_ps _mm512_or_ps
    _mm512_xor_ps
    _mm512_castps_si512 _mm512_castsi512_ps _mm512_slli_epi32 _mm512_srli_epi32 _mm512_scalef_ps
    _mm512_andnot_ps _mm512_sqrt_ps _mm512_movepi32_mask _mm512_add_epi32 _mm512_sub_epi32 _mm512_sll_epi32
    _mm512_srl_epi32 _mm512_sra_epi32 _mm512_cvtepi32_ps _mm512_i32gather_ps _mm512_min_epu32 _mm512_set1_epi32
    _mm512_getmant_ps _mm512_getexp_ps _mm512_fixupimm_ps
    __mmask16 _mm512_maskz_loadu_ps _mm512_mask_storeu_ps _mm512_permutex2var_ps
    [0i32, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23], [8i32, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
    30, 15, 31]);
avx512!(F64, __m512d, f64, Mask8, 8, 52,
    _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd
    _mm512_fmadd_pd _mm512_fnmadd_pd
    _mm512_roundscale_pd _mm512_min_pd _mm512_max_pd _mm512_cmp_pd_mask _mm512_mask_blend_pd _mm512_and_pd _mm512_or_pd
    _mm512_xor_pd
    _mm512_castpd_si512 _mm512_castsi512_pd _mm512_slli_epi64 _mm512_srli_epi64 _mm512_scalef_pd
    _mm512_andnot_pd _mm512_sqrt_pd _mm512_movepi64_mask _mm512_add_epi64 _mm512_sub_epi64 _mm512_sll_epi64
    _mm512_srl_epi64 _mm512_sra_epi64 _mm512_cvtepi64_pd _mm512_i64gather_pd _mm512_min_epu64 _mm512_set1_epi64
    _mm512_getmant_pd _mm512_getexp_pd _mm512_fixupimm_pd
    __mmask8 _mm512_maskz_loadu_pd _mm512_mask_storeu_pd _mm512_permutex2var_pd [0i64, 8, 1, 9, 2, 10, 3, 11], [4i64,
    12, 5, 13, 6, 14, 7, 15]);
