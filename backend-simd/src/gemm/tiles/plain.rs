//! The engines' arithmetic in plain loops: the reference for the others, and the engine of tests on CPUs without any.

use super::{Engine, Reach, SIDE, STEP};
use crate::lanes::portable::Portable;

#[derive(Clone, Copy)]
pub(crate) struct Plain;

/// Returns the offset of byte `k` (of 64) of row or column `v`, in a step of A or of B.
fn place(k: usize, v: usize, of_b: bool) -> usize {
    v / 16 * 1024 + if of_b { k / 4 * 64 + v % 16 * 4 + k % 4 } else { v % 16 * 64 + k }
}

impl Engine for Plain {
    type Isa = Portable;

    fn isa(self) -> Portable {
        Portable
    }

    unsafe fn bf16(self, reach: Reach, steps: usize, a: *const u8, b: *const u8, c: *mut f32) {
        let parts = reach.len();
        // SAFETY: the caller guarantees panels of `steps` steps with `parts` parts.
        let (a, b) = unsafe {
            (std::slice::from_raw_parts(a, steps * parts * STEP), std::slice::from_raw_parts(b, steps * parts * STEP))
        };
        // SAFETY: the caller guarantees that `c` has 32 rows of 32 elements.
        let c = unsafe { std::slice::from_raw_parts_mut(c, SIDE * SIDE) };
        let number =
            |panel: &[u8], at: usize| f32::from_bits(u32::from(u16::from_le_bytes([panel[at], panel[at + 1]])) << 16);
        for (at, to) in c.iter_mut().enumerate() {
            let (row, column) = (at / SIDE, at % SIDE);
            *to = 0.0;
            for step in 0..steps {
                for (i, &reach) in reach.iter().enumerate() {
                    for j in 0..reach {
                        // The first and the second elements of pairs are added up separately.
                        let mut sums = [0.0f32; 2];
                        for k in (0..64).step_by(2) {
                            let x = number(a, (step * parts + i) * STEP + place(k, row, false));
                            let y = number(b, (step * parts + j) * STEP + place(k, column, true));
                            sums[k / 2 % 2] = x.mul_add(y, sums[k / 2 % 2]);
                        }
                        *to += sums[0] + sums[1];
                    }
                }
            }
        }
    }

    unsafe fn bytes(self, signed: bool, steps: usize, a: *const u8, b: *const u8, c: *mut i32, add: bool) {
        // SAFETY: the caller guarantees panels of `steps` steps.
        let (a, b) =
            unsafe { (std::slice::from_raw_parts(a, steps * STEP), std::slice::from_raw_parts(b, steps * STEP)) };
        for at in 0..SIDE * SIDE {
            let product = |step: usize, k: usize| {
                let number = |byte: u8| if signed { i32::from(byte as i8) } else { i32::from(byte) };
                number(a[step * STEP + place(k, at / SIDE, false)]) * number(b[step * STEP + place(k, at % SIDE, true)])
            };
            let sum = (0..steps)
                .flat_map(|step| (0..64).map(move |k| (step, k)))
                .fold(0i32, |sum, (step, k)| sum.wrapping_add(product(step, k)));
            // SAFETY: the caller guarantees 32 rows of 32 elements, which hold values if `add`.
            unsafe { *c.add(at) = if add { (*c.add(at)).wrapping_add(sum) } else { sum } };
        }
    }
}
