//! The tier that every CPU has. It uses the vectors of the crate `wide`, which compile to the instruction set that the
//! build enables (SSE2, NEON, WASM SIMD).

use super::{Bits, Body, Exponents, Float, Isa, Lanes, Mask, Numbers, Work};
use polyarray_core::Element;
use wide::{f32x8, f64x4, i32x8, i64x4, u32x8, u64x4};

/// The token of the portable tier.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Isa for Portable {
    type F32 = F32;
    type F64 = F64;
    const FUSED: bool = false;
    const SPLITS_SUBNORMALS: bool = false;
    // The CPU has 16 registers of half the width.
    const REGISTERS: usize = 8;

    // On x86-64 only CPUs without AVX2 use this tier, and a vector is two vectors of such a CPU. With four at once, the
    // elementary functions would be a quarter of the crate's code (1.5 of 6.3 MB). With one, they take 1.17 times as
    // long (1.02 to 1.39; exp, log, sin, tanh and pow of 100,000 elements on an Intel Xeon, 2026-11-30).
    #[cfg(target_arch = "x86_64")]
    type Chains = Portable;
    #[cfg(not(target_arch = "x86_64"))]
    type Chains = super::twice::Twice<super::twice::Twice<Portable>>;

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn chains(self) -> Portable {
        self
    }
    #[cfg(not(target_arch = "x86_64"))]
    #[inline(always)]
    fn chains(self) -> Self::Chains {
        super::twice::Twice(super::twice::Twice(self))
    }

    #[inline(always)]
    unsafe fn assume() -> Self {
        Portable
    }
    #[inline(always)]
    fn widen(self, x: F32) -> (F64, F64) {
        let x = x.0.to_array();
        let half = |at: usize| F64(f64x4::new(std::array::from_fn(|i| f64::from(x[at + i]))));
        (half(0), half(4))
    }
    #[inline(always)]
    fn narrow(self, low: F64, high: F64) -> F32 {
        let (low, high) = (low.0.to_array(), high.0.to_array());
        F32(f32x8::new(std::array::from_fn(|i| if i < 4 { low[i] as f32 } else { high[i - 4] as f32 })))
    }

    unsafe fn kernel<B: Body>(args: &B::Args) {
        // SAFETY: the caller guarantees the conditions of `B`.
        unsafe { B::run(Portable, args) };
    }

    fn enter<W: Work>(self, work: W) -> W::Out {
        work.run(self)
    }
}

macro_rules! portable {
    ($V:ident, $wide:ident, $elem:ident, $uints:ident, $ints:ident, $uint:ident, $n:literal, $mantissa:literal) => {
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
                // SAFETY: `from` is valid for reads of N elements, which the caller guarantees.
                $V($wide::new(unsafe { from.cast::<[$elem; $n]>().read_unaligned() }))
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $elem) {
                // SAFETY: `to` is valid for writes of N elements, which the caller guarantees.
                unsafe { to.cast::<[$elem; $n]>().write_unaligned(self.0.to_array()) }
            }
            #[inline(always)]
            unsafe fn load_first(_: Portable, from: *const $elem, count: usize) -> Self {
                // SAFETY: i < count, and `from` is valid for reads of `count` elements, which the caller guarantees.
                $V($wide::new(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 })))
            }
            #[inline(always)]
            unsafe fn store_first(self, to: *mut $elem, count: usize) {
                for (i, x) in self.0.to_array().into_iter().enumerate().take(count) {
                    // SAFETY: i < count, and `to` is valid for writes of `count` elements, which the caller guarantees.
                    unsafe { *to.add(i) = x };
                }
            }
            #[inline(always)]
            fn zip(self, o: Self) -> (Self, Self) {
                let both = [self.0.to_array(), o.0.to_array()];
                let half = |from: usize| $V($wide::new(std::array::from_fn(|i| both[i % 2][from + i / 2])));
                (half(0), half($n / 2))
            }
        }

        impl $V {
            /// Returns the bits of the lanes as integers.
            #[inline(always)]
            fn bits(self) -> $uints {
                // SAFETY: both are arrays of lanes of the same size, and every bit pattern is an integer.
                unsafe { std::mem::transmute::<$wide, $uints>(self.0) }
            }
            /// Returns the lanes with these bits.
            #[inline(always)]
            fn of_bits(bits: $uints) -> Self {
                // SAFETY: both are arrays of lanes of the same size, and every bit pattern is a float.
                $V(unsafe { std::mem::transmute::<$uints, $wide>(bits) })
            }
        }

        impl Mask for $V {
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                $V(self.0 & other.0)
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                $V(self.0 | other.0)
            }
            #[inline(always)]
            fn not(self) -> Self {
                $V(self.0 ^ $wide::splat($elem::from_bits($uint::MAX)))
            }
            #[inline(always)]
            fn any(self) -> bool {
                self.0.any()
            }
            #[inline(always)]
            fn all(self) -> bool {
                self.0.all()
            }
        }

        impl Bits for $V {
            type Mask = $V;
            #[inline(always)]
            fn sign_mask(self) -> Self {
                self.sar($uint::BITS - 1)
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
            fn int_add(self, o: Self) -> Self {
                Self::of_bits(self.bits() + o.bits())
            }
            #[inline(always)]
            fn int_sub(self, o: Self) -> Self {
                Self::of_bits(self.bits() - o.bits())
            }
            #[inline(always)]
            fn shl(self, k: u32) -> Self {
                Self::of_bits(self.bits() << k)
            }
            #[inline(always)]
            fn shr(self, k: u32) -> Self {
                Self::of_bits(self.bits() >> k)
            }
            #[inline(always)]
            fn sar(self, k: u32) -> Self {
                // SAFETY: both are arrays of integers of the same size.
                let signed = unsafe { std::mem::transmute::<$uints, $ints>(self.bits()) };
                // SAFETY: as above.
                Self::of_bits(unsafe { std::mem::transmute::<$ints, $uints>(signed >> k) })
            }
            #[inline(always)]
            fn lookup<const N: usize>(self, table: &[$elem; N]) -> Self {
                const { assert!(N.is_power_of_two()) }
                $V($wide::new(self.0.to_array().map(|x| table[x.to_bits() as usize & (N - 1)])))
            }
            #[inline(always)]
            fn gather(self, table: &[$elem]) -> Self {
                let last = table.len() as $uint - 1;
                $V($wide::new(self.0.to_array().map(|x| table[x.to_bits().min(last) as usize])))
            }
        }

        impl Numbers for $V {
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
        }

        impl Float for $V {
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
                // Without a fused instruction: Dekker's product, with Veltkamp's split of the operands (T. Dekker,
                // Numer. Math. 18, 1971).
                let split = |x: $wide| {
                    let c = x * $wide::splat((1u64 << (($mantissa + 2) / 2)) as $elem + 1.0);
                    let high = c - (c - x);
                    (high, x - high)
                };
                let ((ah, al), (bh, bl)) = (split(self.0), split(b.0));
                $V(((ah * bh - product.0) + ah * bl + al * bh) + al * bl)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $V(self.0.abs())
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                $V(self.0.abs() | (sign.0 & $wide::splat(-0.0)))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $V(self.0.sqrt())
            }
            #[inline(always)]
            fn round(self) -> Self {
                // Adding and subtracting 2^mantissa rounds a magnitude to an integer. Magnitudes of 2^mantissa or more
                // are integers already.
                let (magic, magnitude) = ($wide::splat((1u64 << $mantissa) as $elem), self.0.abs());
                let rounded = ((magnitude + magic) - magic) | (self.0 & $wide::splat(-0.0));
                $V(magnitude.simd_lt(magic).bitselect(rounded, self.0))
            }
            #[inline(always)]
            fn floor(self) -> Self {
                let near = self.round();
                // Lanes without subtraction keep the sign of zero.
                $V(self.0.simd_lt(near.0).bitselect(near.0 - $wide::splat(1.0), near.0))
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                self.abs().floor().copysign(self)
            }
            #[inline(always)]
            fn unordered(self, o: Self) -> Self {
                $V(self.0.is_nan() | o.0.is_nan())
            }
            #[inline(always)]
            fn int_to_float(self) -> Self {
                // Adding an integer to the bits of 1.5 * 2^mantissa adds it to the value, because the last bit has the
                // weight 1.
                let magic = $V($wide::splat((1u64 << $mantissa) as $elem * 1.5));
                self.int_add(magic).sub(magic)
            }
        }

        impl Exponents for $V {
            #[inline(always)]
            fn shl_mantissa(self) -> Self {
                self.shl($mantissa)
            }
            #[inline(always)]
            fn shr_mantissa(self) -> Self {
                self.shr($mantissa)
            }
        }

        const _: () = assert!(
            size_of::<$V>() == $n * size_of::<$elem>() && <$elem as Element>::DTYPE.size() == size_of::<$elem>()
        );
    };
}
portable!(F32, f32x8, f32, u32x8, i32x8, u32, 8, 23);
portable!(F64, f64x4, f64, u64x4, i64x4, u64, 4, 52);
