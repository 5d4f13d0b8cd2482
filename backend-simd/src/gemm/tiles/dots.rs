//! The dot products of AVX-512: of pairs of bf16 (BF16), and of four bytes (VNNI).

#![expect(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use super::{Engine, Reach, SIDE, STEP};
use crate::lanes::avx512::Avx512;
use std::arch::x86_64::*;

/// The token of the engine. It exists only if [`Dots::new`] found the features.
#[derive(Clone, Copy)]
pub(crate) struct Dots(Avx512);

impl Dots {
    /// Returns the token if the CPU has both features.
    pub(crate) fn new(isa: Avx512) -> Option<Dots> {
        (is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni")).then_some(Dots(isa))
    }
}

/// The rows of C that are in registers at once, each as two vectors.
const ROWS: usize = 8;

impl Engine for Dots {
    type Isa = Avx512;

    fn isa(self) -> Avx512 {
        self.0
    }

    unsafe fn bf16(self, reach: Reach, steps: usize, a: *const u8, b: *const u8, c: *mut f32) {
        // SAFETY: the token proves the features; the caller guarantees the contract of `Engine::bf16`.
        unsafe {
            match reach {
                [1] => bf16(1, |_| 1, steps, a, b, c),
                _ => bf16(reach.len(), |i| reach[i], steps, a, b, c),
            }
        }
    }

    unsafe fn bytes(self, signed: bool, steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool) {
        // SAFETY: the token proves the features; the caller guarantees the contract of `Engine::bytes`.
        unsafe {
            match signed {
                true => bytes::<true>(steps, a, b, c, add),
                false => bytes::<false>(steps, a, b, c, add),
            }
        }
    }
}

/// Implements [`Engine::bf16`].
///
/// # Safety
/// - as [`Engine::bf16`];
/// - the CPU has AVX-512 F and BF16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn bf16(parts: usize, reach: impl Fn(usize) -> usize, steps: usize, a: *const u8, b: *const u8, c: *mut f32) {
    for first in (0..SIDE).step_by(ROWS) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for step in 0..steps {
            for i in 0..parts {
                let a = a.wrapping_add((step * parts + i) * STEP + first * 64);
                for j in 0..reach(i) {
                    let b = b.wrapping_add((step * parts + j) * STEP);
                    // Each step is added up separately, as in AMX, so that sums over many steps are rounded less
                    // often.
                    let mut of_step = [[_mm512_setzero_ps(); 2]; ROWS];
                    for q in 0..16 {
                        // SAFETY: the addresses are inside a step of the panels, which the caller guarantees to have
                        // `steps` steps.
                        unsafe {
                            let y = [b, b.wrapping_add(1024)].map(|b| _mm512_loadu_si512(b.add(q * 64).cast()));
                            for r in 0..ROWS {
                                let x = _mm512_set1_epi32(a.add(r * 64 + q * 4).cast::<i32>().read());
                                for v in 0..2 {
                                    of_step[r][v] = _mm512_dpbf16_ps(of_step[r][v], pairs(x), pairs(y[v]));
                                }
                            }
                        }
                    }
                    for r in 0..ROWS {
                        for v in 0..2 {
                            sums[r][v] = _mm512_add_ps(sums[r][v], of_step[r][v]);
                        }
                    }
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..2 {
                // SAFETY: 16 elements of a row of C, which the caller guarantees to be 32 by 32.
                unsafe { _mm512_storeu_ps(c.add((first + r) * SIDE + v * 16), sums[r][v]) };
            }
        }
    }
}

/// Returns the same bits as pairs of bf16.
#[inline(always)]
fn pairs(x: __m512i) -> __m512bh {
    // SAFETY: both types have 64 bytes, and all bit patterns are valid.
    unsafe { std::mem::transmute(x) }
}

/// Implements [`Engine::bytes`]. VNNI multiplies unsigned bytes by signed ones. Of signed bytes, 128 is added to those
/// of A, and 128 times the sum of the column of B is subtracted. Of unsigned ones, 128 is subtracted from those of A,
/// and the same product is added.
///
/// # Safety
/// - as [`Engine::bytes`];
/// - the CPU has AVX-512 F and VNNI.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn bytes<const SIGNED: bool>(steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool) {
    let (offset, ones) = (_mm512_set1_epi8(-128), _mm512_set1_epi8(1));
    for first in (0..SIDE).step_by(ROWS) {
        let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
        let mut columns = [_mm512_setzero_si512(); 2];
        for step in 0..steps {
            let (a, b) = (a.wrapping_add(step * STEP + first * 64), b.wrapping_add(step * STEP));
            for q in 0..16 {
                // SAFETY: the addresses are inside a step of the panels, which the caller guarantees to have `steps`
                // steps.
                unsafe {
                    let y = [b, b.wrapping_add(1024)].map(|b| _mm512_loadu_si512(b.add(q * 64).cast()));
                    for v in 0..2 {
                        columns[v] = match SIGNED {
                            true => _mm512_dpbusd_epi32(columns[v], ones, y[v]),
                            false => _mm512_dpbusd_epi32(columns[v], y[v], ones),
                        };
                    }
                    for r in 0..ROWS {
                        let x = _mm512_xor_si512(_mm512_set1_epi32(a.add(r * 64 + q * 4).cast::<i32>().read()), offset);
                        for v in 0..2 {
                            sums[r][v] = match SIGNED {
                                true => _mm512_dpbusd_epi32(sums[r][v], x, y[v]),
                                false => _mm512_dpbusd_epi32(sums[r][v], y[v], x),
                            };
                        }
                    }
                }
            }
        }
        for r in 0..ROWS {
            for v in 0..2 {
                // SAFETY: 16 elements of a row of C, which the caller guarantees to be 32 by 32, and to hold values
                // if `add`.
                unsafe {
                    let to = c.add((first + r) * SIDE + v * 16);
                    let more = _mm512_slli_epi32::<7>(columns[v]);
                    let sum = match SIGNED {
                        true => _mm512_sub_epi32(sums[r][v], more),
                        false => _mm512_add_epi32(sums[r][v], more),
                    };
                    _mm512_storeu_si512(
                        to.cast(),
                        if add { _mm512_add_epi32(sum, _mm512_loadu_si512(to.cast())) } else { sum },
                    );
                }
            }
        }
    }
}
