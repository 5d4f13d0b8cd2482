//! Compares engines with plain loops, and the kernels built on them with exact products.

use super::parts::{EXACT, FAST, FULL, Parts, SINGLE};
use super::plain::Plain;
use super::{Engine, Reach, SIDE, STEP, bytes::Bytes, residues::Residues};
use crate::gemm::tests::check_kernel;
use crate::gemm::{Direct, Kernel, Matrix, Product, product};
use crate::lanes::Real;
use crate::threads::Shared;
use polyarray_core::{bf16, f16};

/// Runs `$body` with `$engine` as each engine of this machine in turn, the plain one first.
macro_rules! with_engines {
    ($engine:ident => $body:expr) => {{
        {
            let $engine = Plain;
            $body
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(isa) = crate::lanes::avx512::Avx512::new() {
            if let Some($engine) = super::dots::Dots::new(isa) {
                $body
            }
            if let Some($engine) = super::amx::Amx::new(isa) {
                $body
            }
        }
    }};
}

/// Pseudorandom numbers, uniform in 0 .. 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a normally distributed number (Box and Muller).
    fn normal(&mut self) -> f64 {
        (-2.0 * self.next().max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
    }
}

#[test]
fn engines_multiply_what_plain_loops_do() {
    let mut random = Random(88_172_645_463_325_252);
    let mut bytes = |len: usize| (0..len).map(|_| (random.next() * 256.0) as u8).collect::<Vec<u8>>();
    let (a, b) = (bytes(3 * STEP), bytes(3 * STEP));
    // Small integers as bf16: sums are exact in any order.
    let numbers = |bytes: &[u8]| {
        bytes.chunks(2).flat_map(|x| bf16::from_f32(f32::from(x[0] as i8)).to_le_bytes()).collect::<Vec<u8>>()
    };
    let (x, y) = (numbers(&bytes(9 * STEP)), numbers(&bytes(9 * STEP)));
    let product = |add: bool, engine: &dyn Fn(*mut i32)| {
        let mut c = vec![if add { 7 } else { i32::MIN }; SIDE * SIDE];
        engine(c.as_mut_ptr());
        c
    };
    with_engines!(engine => engine.within(&mut || {
        for steps in [1, 3] {
            for (signed, add) in [(true, false), (true, true), (false, false), (false, true)] {
                // SAFETY: the panels have three steps of one part; C is 32 by 32.
                let [got, wanted] = unsafe {[
                    product(add, &|c| engine.bytes(signed, steps, a.as_ptr(), b.as_ptr(), c, add)),
                    product(add, &|c| Plain.bytes(signed, steps, a.as_ptr(), b.as_ptr(), c, add)),
                ]};
                assert_eq!(got, wanted, "bytes, signed {signed}, {steps} steps, add {add}");
            }
            for reach in [SINGLE, FAST, EXACT, FULL] {
                let (mut got, mut wanted) = (vec![f32::NAN; SIDE * SIDE], vec![f32::NAN; SIDE * SIDE]);
                // SAFETY: the panels have three steps of at most three parts; C is 32 by 32.
                unsafe {
                    engine.bf16(reach, steps, x.as_ptr(), y.as_ptr(), got.as_mut_ptr());
                    Plain.bf16(reach, steps, x.as_ptr(), y.as_ptr(), wanted.as_mut_ptr());
                }
                assert_eq!(got, wanted, "bf16 {reach:?}, {steps} steps");
            }
        }
        Ok(())
    }).unwrap());
}

#[test]
fn kernels_multiply_every_block() {
    with_engines!(engine => {
        for shape in [[1, 1, 1], [7, 39, 5], [40, 70, 33], [65, 33, 700]] {
            check_kernel(
                &Bytes::<_, i8>::new(engine),
                shape,
                |x, y| (x * 19 + y) as i8,
                |s: Option<i32>, a: i8, b: i8| s.unwrap_or(0) + i32::from(a) * i32::from(b),
            );
            check_kernel(
                &Bytes::<_, u8>::new(engine),
                shape,
                |x, y| (x * 19 + y) as u8,
                |s: Option<u32>, a: u8, b: u8| s.unwrap_or(0).wrapping_add(u32::from(a) * u32::from(b)),
            );
            let scale = if shape[2] < 100 { 64 } else { 8 };
            let float = |s: Option<f32>, a: f32, b: f32| s.unwrap_or(0.0) + a * b;
            check_kernel(&Parts::<_, f32, 3>::new(engine, FULL), shape, |x, y| (x * scale + y) as f32, float);
            check_kernel(&Parts::<_, f32, 2>::new(engine, FAST), shape, |x, _| x as f32, float);
            check_kernel(
                &Parts::<_, f16, 2>::new(engine, EXACT),
                shape,
                |x, y| f16::from_f32((x * scale + y) as f32),
                |s, a, b| float(s, a.to_f32(), b.to_f32()),
            );
            check_kernel(
                &Parts::<_, bf16, 1>::new(engine, SINGLE),
                shape,
                |x, _| bf16::from_f32(x as f32),
                |s, a, b| float(s, a.to_f32(), b.to_f32()),
            );
            for moduli in [6, 11, 18] {
                check_kernel(
                    &Residues::<_, f64>::with(engine, moduli, shape[2]),
                    shape,
                    |x, y| (x * 64 + y) as f64,
                    |s, a, b| s.unwrap_or(0.0) + a * b,
                );
            }
        }
    });
}

/// Computes a product of matrices in rows by a kernel.
fn multiply<K: Kernel<Sum: Copy>>(
    kernel: &K,
    [m, n, k]: [usize; 3],
    a: &[K::Element],
    b: &[K::Element],
    zero: K::Sum,
) -> Vec<K::Sum>
where
    K::Sum: Send + Sync,
{
    let mut c = vec![zero; m * n];
    let matrix = |x: &[K::Element], columns: usize| Matrix { at: x.as_ptr(), row: columns as isize, column: 1 };
    let p =
        Product { m, n, k, a: matrix(a, k), b: matrix(b, n), c: Shared(c.as_mut_ptr()), ldc: n, add: false, beside: 1 };
    // SAFETY: the matrices have these shapes.
    unsafe { product(kernel, p, 1, None).unwrap() };
    c
}

/// Adds to a sum with about twice the precision of f64 (Knuth's two-sum).
fn add(sum: &mut [f64; 2], x: f64) {
    let total = sum[0] + x;
    let there = total - sum[0];
    sum[1] += (sum[0] - (total - there)) + (x - there);
    sum[0] = total;
}

/// Returns the largest error of an element of a product, relative to `|A||B|`.
fn error<T: Real>(c: &[T], [m, n, k]: [usize; 3], a: &[T], b: &[T]) -> f64 {
    let mut worst = 0.0f64;
    for i in 0..m {
        for j in 0..n {
            let (mut sum, mut size) = ([0.0; 2], 0.0);
            for p in 0..k {
                let (x, y) = (a[i * k + p].to_f64(), b[p * n + j].to_f64());
                add(&mut sum, x * y);
                add(&mut sum, x.mul_add(y, -(x * y)));
                size += (x * y).abs();
            }
            let off = ((sum[0] - c[i * n + j].to_f64()) + sum[1]).abs();
            if off > 0.0 {
                worst = worst.max(off / size);
            }
        }
    }
    worst
}

/// Returns the matrices for the tests of accuracy: a name, and A and B in rows.
fn matrices<T: Real>([m, n, k]: [usize; 3]) -> Vec<(&'static str, Vec<T>, Vec<T>)> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut pair = |name: &'static str, make: &mut dyn FnMut(&mut Random, [usize; 2], bool) -> f64| {
        let mut of = |rows: usize, columns: usize, b: bool| {
            (0..rows * columns)
                .map(|x| T::from_f64(make(&mut random, [x / columns, x % columns], b)))
                .collect::<Vec<T>>()
        };
        (name, of(m, k, false), of(k, n, true))
    };
    let sign = |r: &mut Random| if r.next() < 0.5 { -1.0 } else { 1.0 };
    let decades = |i: usize| 10f64.powi((i * 7 % 13) as i32 - 6);
    vec![
        pair("uniform", &mut |r, _, _| r.next()),
        pair("normal", &mut |r, _, _| r.normal()),
        pair("log-normal over 10^2", &mut |r, _, _| (1.5 * r.normal()).exp() * sign(r)),
        pair("log-normal over 10^8", &mut |r, _, _| (6.0 * r.normal()).exp() * sign(r)),
        pair("ill-scaled rows of A and columns of B", &mut |r, [i, j], b| r.normal() * decades(if b { j } else { i })),
        pair("ill-scaled columns of A and rows of B", &mut |r, [i, j], b| {
            r.normal() * if b { 1.0 / decades(i) } else { decades(j) }
        }),
        // Every second term cancels the previous one except for the last bits.
        pair("cancelling", &mut |r, [i, j], b| match (b, if b { i } else { j } % 2) {
            (false, _) => 1.0 + r.next() * 1e-3,
            (true, 0) => 1.0 + (j as f64) * 1e-4,
            (true, _) => -1.0 - (j as f64) * 1e-4,
        }),
    ]
}

/// Computes a product in f32 as BLAS libraries do: in blocks of 256 terms, each added up in order, without rounding
/// the products.
fn in_blocks([m, n, k]: [usize; 3], a: &[f32], b: &[f32]) -> Vec<f32> {
    let block = |i: usize, j: usize, start: usize| {
        (start..k.min(start + 256)).fold(0.0f32, |sum, p| a[i * k + p].mul_add(b[p * n + j], sum))
    };
    (0..m * n).map(|at| (0..k).step_by(256).map(|start| block(at / n, at % n, start)).sum()).collect()
}

#[test]
fn f32_parts_are_as_exact_as_f32() {
    for shape in [[33, 40, 1024], [16, 32, 4000]] {
        for (name, a, b) in matrices::<f32>(shape) {
            let of_sums = error(&in_blocks(shape, &a, &b), shape, &a, &b);
            with_engines!(engine => {
                let full = error(&multiply(&Parts::<_, f32, 3>::new(engine, FULL), shape, &a, &b, 0.0), shape, &a, &b);
                // If one or two terms dominate a sum, chance decides which method rounds its last bit better: over
                // these elements the largest errors differ by up to a fifth in either direction.
                let chance = if name.contains("10^8") { 1.2 } else { 1.0 };
                assert!(full <= chance * of_sums, "{name} {shape:?}: error {full:e}, but f32 has {of_sums:e}");
                let fast = error(&multiply(&Parts::<_, f32, 2>::new(engine, FAST), shape, &a, &b, 0.0), shape, &a, &b);
                assert!(fast <= 2f64.powi(-15), "{name} {shape:?}: {fast:e}");
            });
        }
    }
}

#[test]
fn residues_are_as_exact_as_floats() {
    fn of<T: Real>(shape: [usize; 3], refused: &[&str]) {
        let [m, n, k] = shape;
        let matrix = |x: &[T], columns: usize| Matrix { at: x.as_ptr(), row: columns as isize, column: 1 };
        for (name, a, b) in matrices::<T>(shape) {
            with_engines!(engine => {
                let of_direct = error(
                    &multiply(&Direct::<_, T>::new(engine.isa()), shape, &a, &b, T::from_f64(0.0)),
                    shape,
                    &a,
                    &b,
                );
                // SAFETY: the matrices have these shapes.
                let kernel = unsafe { Residues::new(engine, matrix(&a, k), matrix(&b, n), [m, n, k]) };
                assert_eq!(
                    kernel.is_none(),
                    refused.contains(&name),
                    "{name}: {:?} moduli",
                    kernel.map(|kernel| kernel.moduli())
                );
                if let Some(kernel) = kernel {
                    let got = error(&multiply(&kernel, shape, &a, &b, T::from_f64(0.0)), shape, &a, &b);
                    let [begun, refused] = kernel.counts();
                    // Tiles that fall back are added up in other blocks than the whole product, so their largest
                    // error is that of another sum of the same terms.
                    let bound = of_direct * if refused > 0 { 2.0 } else { 1.0 };
                    let what = format!(
                        "{name} {shape:?}, {} digits, {} moduli, {refused} of {begun} refused",
                        T::DIGITS,
                        kernel.moduli()
                    );
                    assert!(got <= bound, "{what}: error {got:e}, but the vector kernel has {of_direct:e}");
                }
            });
        }
    }
    for shape in [[40, 33, 1024], [33, 32, 2500]] {
        of::<f64>(shape, &["log-normal over 10^8", "ill-scaled columns of A and rows of B"]);
        of::<f32>(shape, &["log-normal over 10^8"]);
    }
}

#[test]
fn what_integers_cannot_hold_is_multiplied_by_vectors() {
    let shape = [70, 80, 300];
    let [m, n, k] = shape;
    let isa = crate::lanes::portable::Portable;
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut normal = |len: usize, scale: f64| (0..len).map(|_| random.normal() * scale).collect::<Vec<f64>>();
    // The identity times B is B exactly, small numbers included.
    let b = normal(n * k, 1.0);
    let eye: Vec<f64> = (0..k * k).map(|x| if x / k == x % k { 1.0 } else { 0.0 }).collect();
    with_engines!(engine => {
        let kernel = Residues::<_, f64>::with(engine, 15, k);
        assert_eq!(multiply(&kernel, [k, n, k], &eye, &b, 0.0), b);
        assert!(kernel.counts()[1] > 0);
    });
    // Products of integers must be exact, even if large integers meet only zeros. Reconstruction from residues is
    // accurate only relative to the largest number.
    let large = |at: usize| (1.0 + (at % 5) as f64) * 2f64.powi(26);
    let whole_a: Vec<f64> = (0..m * k).map(|at| [large(at), 0.0, (at % 7) as f64][at % k * 3 / k]).collect();
    let whole_b: Vec<f64> = (0..k * n).map(|at| [0.0, large(at), (at % 5) as f64][at / n * 3 / k]).collect();
    let wanted = multiply(&Direct::<_, f64>::new(isa), shape, &whole_a, &whole_b, 0.0);
    with_engines!(engine => {
        let kernel = Residues::<_, f64>::with(engine, 15, k);
        assert_eq!(multiply(&kernel, shape, &whole_a, &whole_b, 0.0), wanted);
        assert!(kernel.counts()[1] > 0);
    });
    // One row has a number that is not finite, or is extreme: the tiles of that row must equal those of the vector
    // kernel, and the others must stay accurate.
    for special in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -1e305, f64::MIN_POSITIVE, 5e-324] {
        let mut a = normal(m * k, 1.0);
        let row = normal(k, if special.abs() < 1.0 { 1e-300 } else { 1.0 });
        a[3 * k..4 * k].copy_from_slice(&row);
        a[3 * k] = special;
        let wanted = multiply(&Direct::<_, f64>::new(isa), shape, &a, &b, 0.0);
        with_engines!(engine => {
            let got = multiply(&Residues::<_, f64>::with(engine, 16, k), shape, &a, &b, 0.0);
            for (at, (x, y)) in got.iter().zip(&wanted).enumerate() {
                let near = (x - y).abs() <= if at / n == 3 { y.abs() * 1e-10 } else { 1e-12 };
                assert!(x == y || x.is_nan() && y.is_nan() || near, "{special}: {x} instead of {y}, at {at}");
            }
        });
    }
}

#[test]
fn what_parts_cannot_hold_is_multiplied_by_vectors() {
    fn of<T: super::parts::Splits, const PARTS: usize>(reach: Reach, specials: &[f32], narrow: fn(f32) -> T) {
        let shape = [70, 40, 90];
        let [m, n, k] = shape;
        let abs = |x: &[T]| x.iter().map(|x| x.widen().abs()).collect::<Vec<f32>>();
        let isa = crate::lanes::portable::Portable;
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut normal =
            |len: usize, scale: f32| (0..len).map(|_| random.normal() as f32 * scale).collect::<Vec<f32>>();
        for &special in specials {
            let mut a = normal(m * k, 1.0);
            // For a small special number, the whole row is small, so that it affects the result.
            let row = if special.abs() < 1.0 { normal(k, special) } else { normal(k, 1.0) };
            a[3 * k..4 * k].copy_from_slice(&row);
            a[3 * k + 5] = special;
            let b = normal(n * k, if special == f32::MIN_POSITIVE { 1.0 } else { special.abs().clamp(1e-10, 1.0) });
            let (a, b): (Vec<T>, Vec<T>) = (a.into_iter().map(narrow).collect(), b.into_iter().map(narrow).collect());
            let wanted = multiply(&T::spare(isa), shape, &a, &b, 0.0);
            let sizes = multiply(&Direct::<_, f32>::new(isa), shape, &abs(&a), &abs(&b), 0.0);
            with_engines!(engine => {
                let got = multiply(&Parts::<_, T, PARTS>::new(engine, reach), shape, &a, &b, 0.0);
                for (at, (x, y)) in got.iter().zip(&wanted).enumerate() {
                    // Tiers add up in different orders; two parts are accurate to 2^-15.
                    let near = (x - y).abs() <= sizes[at] * if PARTS == 2 { 3e-5 } else { 1e-6 };
                    assert!(
                        x == y || x.is_nan() && y.is_nan() || near,
                        "{special:e}: {x:e} instead of {y:e}, at {at}"
                    );
                }
            });
        }
    }
    let specials = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, -3e38, f32::MIN_POSITIVE, 1e-40, 1e-25];
    of::<f32, 3>(FULL, &specials, |x| x);
    of::<f32, 2>(FAST, &specials[..3], |x| x);
    of::<bf16, 1>(SINGLE, &specials, bf16::from_f32);
    of::<f16, 2>(EXACT, &specials[..3], f16::from_f32);
}
