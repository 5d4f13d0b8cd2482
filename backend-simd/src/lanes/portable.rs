//! The tier that every CPU has: `wide`'s vectors, which use what the build was told to use (SSE2, NEON, WASM SIMD).

use super::{Float, Isa, Lanes, Mask, Work};
use polyarray_core::Element;
use wide::{f32x8, f64x4};

/// The token of the portable tier.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Isa for Portable {
    type F32 = F32;
    type F64 = F64;
    // Sixteen of half the width.
    const REGISTERS: usize = 8;

    fn enter<W: Work>(self, work: W) -> W::Out {
        work.run(self)
    }
}

macro_rules! portable {
    ($V:ident, $wide:ident, $elem:ident, $n:literal, $mantissa:literal) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $V($wide);

        impl Lanes for $V {
            type Isa = Portable;
            type Elem = $elem;
            const N: usize = $n;

            #[inline(always)]
            fn splat(_: Portable, x: $elem) -> Self {
                $V($wide::splat(x))
            }
            #[inline(always)]
            unsafe fn load(_: Portable, from: *const $elem) -> Self {
                // SAFETY: the caller's.
                $V($wide::new(unsafe { from.cast::<[$elem; $n]>().read_unaligned() }))
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: the caller's.
                unsafe { to.cast::<[$elem; $n]>().write_unaligned(self.0.to_array()) }
            }
        }

        impl Mask for $V {
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                $V(self.0 | other.0)
            }
            #[inline(always)]
            fn any(self) -> bool {
                self.0.to_array().iter().any(|x| x.to_bits() != 0)
            }
        }

        impl Float for $V {
            type Mask = $V;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                $V(self.0 + o.0)
            }
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                $V(self.0 - o.0)
            }
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                $V(self.0 * o.0)
            }
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                $V(self.0 / o.0)
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                $V(self.0 * b.0 + c.0)
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                $V(c.0 - self.0 * b.0)
            }
            #[inline(always)]
            fn neg(self) -> Self {
                $V(-self.0)
            }
            #[inline(always)]
            fn product_error(self, b: Self, product: Self) -> Self {
                // Without a fused instruction: Dekker's product of Veltkamp's halves (T. Dekker, Numer. Math. 18, 1971).
                let split = |x: $wide| {
                    let c = x * $wide::splat((1u64 << (($mantissa + 2) / 2)) as $elem + 1.0);
                    let high = c - (c - x);
                    (high, x - high)
                };
                let ((ah, al), (bh, bl)) = (split(self.0), split(b.0));
                $V(((ah * bh - product.0) + ah * bl + al * bh) + al * bl)
            }
            #[inline(always)]
            fn round(self) -> Self {
                // Adding and taking away 1.5 * 2^mantissa rounds to an integer; larger numbers are integers already.
                let magic = $wide::splat((1u64 << $mantissa) as $elem * 1.5);
                let limit = $wide::splat((1u64 << ($mantissa - 1)) as $elem);
                let rounded = (self.0 + magic) - magic;
                $V(self.0.abs().simd_lt(limit).bitselect(rounded, self.0))
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                $V(self.0.simd_lt(o.0).bitselect(self.0, o.0))
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                $V(o.0.simd_lt(self.0).bitselect(self.0, o.0))
            }
            #[inline(always)]
            fn lt(self, o: Self) -> Self {
                $V(self.0.simd_lt(o.0))
            }
            #[inline(always)]
            fn eq(self, o: Self) -> Self {
                $V(self.0.simd_eq(o.0))
            }
            #[inline(always)]
            fn unordered(self, o: Self) -> Self {
                $V(self.0.is_nan() | o.0.is_nan())
            }
            #[inline(always)]
            fn select(mask: Self, yes: Self, no: Self) -> Self {
                $V(mask.0.bitselect(yes.0, no.0))
            }
            #[inline(always)]
            fn bit_and(self, o: Self) -> Self {
                $V(self.0 & o.0)
            }
            #[inline(always)]
            fn bit_or(self, o: Self) -> Self {
                $V(self.0 | o.0)
            }
            #[inline(always)]
            fn bit_xor(self, o: Self) -> Self {
                $V(self.0 ^ o.0)
            }
            #[inline(always)]
            fn shl_mantissa(self) -> Self {
                $V($wide::new(self.0.to_array().map(|x| $elem::from_bits(x.to_bits() << $mantissa))))
            }
            #[inline(always)]
            fn shr_mantissa(self) -> Self {
                $V($wide::new(self.0.to_array().map(|x| $elem::from_bits(x.to_bits() >> $mantissa))))
            }
        }

        const _: () = assert!(size_of::<$V>() == $n * size_of::<$elem>() && <$elem as Element>::DTYPE.size() == size_of::<$elem>());
    };
}
portable!(F32, f32x8, f32, 8, 23);
portable!(F64, f64x4, f64, 4, 52);
