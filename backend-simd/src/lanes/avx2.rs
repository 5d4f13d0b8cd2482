//! AVX2 with FMA.

use super::{Float, Isa, Lanes, Mask, Work};
use std::arch::x86_64::*;

/// The token of the tier: exists only where [`Avx2::new`] found the features.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The token, if the CPU has AVX2 and FMA.
    pub(crate) fn new() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

impl Isa for Avx2 {
    type F32 = F32;
    type F64 = F64;
    const REGISTERS: usize = 16;

    #[inline]
    fn enter<W: Work>(self, work: W) -> W::Out {
        #[target_feature(enable = "avx2,fma")]
        fn inner<W: Work>(isa: Avx2, work: W) -> W::Out {
            work.run(isa)
        }
        // SAFETY: the token exists, so `new` found the features.
        unsafe { inner(self, work) }
    }

    unsafe fn stream(self, src: *const u8, dst: *mut u8, bytes: usize) {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn vectors(src: *const u8, dst: *mut u8, count: usize) {
            for i in 0..count {
                // SAFETY: `count` vectors lie in both ranges, and `dst` is aligned to a vector.
                unsafe { _mm256_stream_si256(dst.cast::<__m256i>().add(i), _mm256_loadu_si256(src.cast::<__m256i>().add(i))) };
            }
        }
        // Streaming stores need alignment: what lies before and after the aligned part is copied plainly.
        let head = dst.align_offset(32).min(bytes);
        let count = (bytes - head) / 32;
        let tail = head + count * 32;
        // SAFETY: the three parts make up the caller's range; the token proves the feature.
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

macro_rules! avx2 {
    ($V:ident, $raw:ident, $elem:ident, $n:literal, $mantissa:literal,
     $set1:ident $loadu:ident $storeu:ident $add:ident $sub:ident $mul:ident $div:ident $fmadd:ident $fnmadd:ident $round:ident $min:ident $max:ident
     $cmp:ident $blendv:ident $and:ident $or:ident $xor:ident $movemask:ident $cast_to:ident $cast_from:ident $sll:ident $srl:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $V($raw);

        impl Lanes for $V {
            type Isa = Avx2;
            type Elem = $elem;
            const N: usize = $n;

            #[inline(always)]
            fn splat(_: Avx2, x: $elem) -> Self {
                // SAFETY: the token proves AVX2.
                $V(unsafe { $set1(x) })
            }
            #[inline(always)]
            unsafe fn load(_: Avx2, from: *const $elem) -> Self {
                // SAFETY: the token proves AVX2; the pointer is the caller's.
                $V(unsafe { $loadu(from) })
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: a vector proves AVX2; the pointer is the caller's.
                unsafe { $storeu(to, self.0) }
            }
        }

        impl Mask for $V {
            #[inline(always)]
            fn or(self, o: Self) -> Self {
                self.bit_or(o)
            }
            #[inline(always)]
            fn any(self) -> bool {
                // SAFETY: a vector proves AVX2.
                unsafe { $movemask(self.0) != 0 }
            }
        }

        impl Float for $V {
            type Mask = $V;
            avx2!(@binary $V add $add, sub $sub, mul $mul, div $div, min $min, max $max, bit_and $and, bit_or $or, bit_xor $xor);
            avx2!(@compare $V $cmp lt _CMP_LT_OQ, eq _CMP_EQ_OQ, unordered _CMP_UNORD_Q);
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector proves FMA.
                $V(unsafe { $fmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: a vector proves FMA.
                $V(unsafe { $fnmadd(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: a vector proves AVX2.
                self.bit_xor($V(unsafe { $set1(-0.0) }))
            }
            #[inline(always)]
            fn round(self) -> Self {
                // SAFETY: a vector proves AVX2.
                $V(unsafe { $round::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
            }
            #[inline(always)]
            fn select(mask: Self, yes: Self, no: Self) -> Self {
                // SAFETY: a vector proves AVX2.
                $V(unsafe { $blendv(no.0, yes.0, mask.0) })
            }
            #[inline(always)]
            fn shl_mantissa(self) -> Self {
                // SAFETY: a vector proves AVX2.
                $V(unsafe { $cast_from($sll::<$mantissa>($cast_to(self.0))) })
            }
            #[inline(always)]
            fn shr_mantissa(self) -> Self {
                // SAFETY: a vector proves AVX2.
                $V(unsafe { $cast_from($srl::<$mantissa>($cast_to(self.0))) })
            }
        }
    };
    (@binary $V:ident $($name:ident $intrinsic:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector proves AVX2.
            $V(unsafe { $intrinsic(self.0, o.0) })
        }
    )* };
    (@compare $V:ident $cmp:ident $($name:ident $how:ident),*) => { $(
        #[inline(always)]
        fn $name(self, o: Self) -> Self {
            // SAFETY: a vector proves AVX2.
            $V(unsafe { $cmp::<$how>(self.0, o.0) })
        }
    )* };
}
avx2!(F32, __m256, f32, 8, 23,
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps _mm256_fmadd_ps _mm256_fnmadd_ps
    _mm256_round_ps _mm256_min_ps _mm256_max_ps _mm256_cmp_ps _mm256_blendv_ps _mm256_and_ps _mm256_or_ps _mm256_xor_ps _mm256_movemask_ps
    _mm256_castps_si256 _mm256_castsi256_ps _mm256_slli_epi32 _mm256_srli_epi32);
avx2!(F64, __m256d, f64, 4, 52,
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd _mm256_fmadd_pd _mm256_fnmadd_pd
    _mm256_round_pd _mm256_min_pd _mm256_max_pd _mm256_cmp_pd _mm256_blendv_pd _mm256_and_pd _mm256_or_pd _mm256_xor_pd _mm256_movemask_pd
    _mm256_castpd_si256 _mm256_castsi256_pd _mm256_slli_epi64 _mm256_srli_epi64);
