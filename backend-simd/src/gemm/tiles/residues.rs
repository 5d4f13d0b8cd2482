//! Products of floats as products of integers modulo pairwise coprime numbers below 257, with residues in i8: the
//! Ozaki scheme II.
//!
//! K. Ozaki, Y. Uchino, T. Imamura, "Ozaki scheme II: a GEMM-oriented emulation of floating-point matrix
//! multiplication using an integer modular technique", arXiv 2504.08009, 2025.
//!
//! Rows of A and columns of B are scaled by powers of two and rounded to integers. These have so few bits that the
//! sums of their products stay below the product of the moduli. The residues are multiplied exactly, one modulus (a
//! plane) after another. Let `r_s` be the product modulo `p_s`, and `t_s` the inverse modulo `p_s` of the product of
//! the other moduli. Then C divided by the product of all moduli is the fraction of `sum r_s t_s / p_s`.
//!
//! The error comes from rounding to integers. It is relative to the largest number of a row, not to each number. One
//! more plane, with the magnitudes of the numbers, gives a lower bound of `|A||B|` for each element. If an element of
//! a tile may have a larger error than the dtype's own `eps |A||B|`, the tile falls back to the vector kernel. So do
//! tiles with infinities, NaN or extreme scales.

use super::super::{
    Direct, Kernel, Matrix, Product, Tile,
    blocks::{Blocks, caches, even},
    product,
};
use super::bytes::{Block, store};
use super::{Engine, SIDE, STEP, load};
use crate::lanes::{Isa, Real, Work};
use crate::threads::Shared;
use polyarray_core::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The moduli, which are pairwise coprime.
const MODULI: [u32; 18] = [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193, 191, 181];

/// The elements of the depth in a step.
const DEPTH: usize = 64;
/// The steps that are multiplied at once: this many steps of a panel of A and one of B fit the first-level cache.
const CHUNK: usize = 8;
/// The longest panels. Putting a product together takes as long as multiplying about 300 more elements of depth.
const LONGEST: usize = 2048;
/// The rows of a block of A: one plane of the block fits the second-level cache.
const ROWS: usize = 256;
/// The largest magnitude of the exponents of rows and columns. Beyond it, scaling might over- or underflow, and tiles
/// fall back to the vector kernel.
const EXTREME: i32 = 480;

/// The kernel of floats as residues.
pub(crate) struct Residues<E: Engine, T: Real> {
    engine: E,
    spare: Direct<E::Isa, T>,
    /// The number of moduli, which are the first of [`MODULI`].
    moduli: usize,
    /// The bits of an integer, without its sign.
    bits: i32,
    /// `t_s / p_s` in three parts: two of 22 bits, with which sums of integers times these are exact up to 2^30, and
    /// the rest.
    fractions: [[f64; 3]; MODULI.len()],
    /// The product of the moduli over 2^(2 * bits), in two parts.
    unit: [f64; 2],
    /// The tiles that were begun, and those among them that fell back to the vector kernel (`refused`).
    begun: AtomicUsize,
    refused: AtomicUsize,
    /// Whether so many tiles fell back that all further ones do.
    hopeless: AtomicBool,
}

/// Returns the bits that the integers may have so that this many moduli can represent the sums of their products.
fn bits(moduli: usize, depth: usize) -> i32 {
    let room: f64 = MODULI[..moduli].iter().map(|&p| f64::from(p).log2()).sum();
    // One bit less for the sign of sums, and 0.01 less because the fraction is rounded before it is compared with a
    // half.
    let bits = (room - 1.0 - 0.01 - (depth as f64).log2()) / 2.0;
    (bits as i32).min(62)
}

impl<E: Engine, T: Real> Residues<E, T> {
    /// Chooses the moduli for a product `[m, n, k]` of these matrices. Returns `None` if a sampled number is not
    /// finite, or if magnitudes differ too much for all moduli together.
    ///
    /// # Safety
    /// - `a` and `b` are valid for reads of `[m, k]` and `[k, n]`.
    pub(crate) unsafe fn new(engine: E, a: Matrix<T>, b: Matrix<T>, [m, n, k]: [usize; 3]) -> Option<Residues<E, T>> {
        let kc = even(k, LONGEST, DEPTH);
        // SAFETY: the caller guarantees that a and b are valid for these shapes; the columns of B are the rows of its
        // transpose.
        let (a, b) = unsafe { (Spread::of(a, m, k)?, Spread::of(b.transposed(), n, k)?) };
        // The expected error is 2^-bits (norm of a row + norm of a column); |A||B| is k times the means.
        let lost = (a.norm + b.norm) / ((k.min(kc) as f64).sqrt() * a.mean * b.mean);
        let needed = f64::from(T::DIGITS) + (lost.log2() + MARGIN).max(-1.0);
        (1..=MODULI.len())
            .find(|&moduli| f64::from(bits(moduli, kc)) >= needed)
            .map(|moduli| Residues::with(engine, moduli, kc))
    }

    pub(super) fn with(engine: E, moduli: usize, depth: usize) -> Residues<E, T> {
        let bits = bits(moduli, depth);
        let of = |s: usize| {
            let p = u64::from(MODULI[s]);
            let others = MODULI[..moduli]
                .iter()
                .enumerate()
                .filter(|&(o, _)| o != s)
                .fold(1, |all, (_, &o)| all * u64::from(o) % p);
            let inverse = (1..p).find(|t| t * others % p == 1).expect("the moduli are coprime");
            // Long division, 22 binary places at a time.
            let (first, rest) = ((inverse << 22) / p, (inverse << 22) % p);
            let (second, rest) = ((rest << 22) / p, (rest << 22) % p);
            [first as f64 * 2f64.powi(-22), second as f64 * 2f64.powi(-44), rest as f64 / p as f64 * 2f64.powi(-44)]
        };
        let mut fractions = [[0.0; 3]; MODULI.len()];
        fractions.iter_mut().enumerate().take(moduli).for_each(|(s, f)| *f = of(s));
        let mut unit = [2f64.powi(-2 * bits), 0.0];
        for &p in &MODULI[..moduli] {
            let p = f64::from(p);
            let high = unit[0] * p;
            unit = [high, unit[0].mul_add(p, -high) + unit[1] * p];
        }
        let spare = Direct::new(engine.isa());
        Residues {
            engine,
            spare,
            moduli,
            bits,
            fractions,
            unit,
            begun: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            hopeless: AtomicBool::new(false),
        }
    }

    pub(crate) fn moduli(&self) -> usize {
        self.moduli
    }

    /// Returns the number of tiles that were begun, and of those that fell back to the vector kernel.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 2] {
        [&self.begun, &self.refused].map(|n| n.load(Ordering::Relaxed))
    }

    /// Returns the bytes of a panel without its header. The last plane has the magnitudes.
    fn data(&self, depth: usize) -> usize {
        (self.moduli + 1) * depth.div_ceil(DEPTH) * STEP
    }

    /// Counts a tile that falls back to the vector kernel. If at least 16 tiles and more than a quarter of those
    /// begun have, all further tiles do.
    fn refuse(&self) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if refused >= 16 && refused * 4 > self.begun.load(Ordering::Relaxed) {
            self.hopeless.store(true, Ordering::Relaxed);
        }
    }

    fn pack(&self, from: Matrix<T>, vectors: usize, depth: usize, to: *mut u8, of_b: bool) {
        if self.hopeless.load(Ordering::Relaxed) {
            return;
        }
        let panel = self.data(depth) + HEADER;
        self.engine.isa().enter(Pack { from, vectors, depth, to, of_b, panel, moduli: self.moduli, bits: self.bits });
    }
}

/// The bits in reserve beyond the expected loss.
const MARGIN: f64 = 0.5;

/// Statistics of a sample of a matrix's rows, each scaled so that its largest number is 1.
struct Spread {
    /// The largest root mean square of a row.
    norm: f64,
    /// The smallest mean magnitude of a row, as the plane of magnitudes represents it.
    mean: f64,
}

impl Spread {
    /// Samples up to 16 rows, and up to 256 elements of each. Returns `None` if a sampled number is not finite.
    ///
    /// # Safety
    /// - `from` is valid for reads of `[rows, k]`.
    unsafe fn of<T: Real>(from: Matrix<T>, rows: usize, k: usize) -> Option<Spread> {
        const ROWS: usize = 16;
        const ELEMENTS: usize = 256;
        let mut spread = Spread { norm: 0.0, mean: 1.0 };
        for row in (0..rows).step_by(rows.div_ceil(ROWS)) {
            // SAFETY: `row < rows` and `p < k`, so this is an element of the matrix.
            let numbers = (0..k)
                .step_by(k.div_ceil(ELEMENTS))
                .map(|p| unsafe { *from.from(row, p).at }.to_f64().abs())
                .filter(|x| *x != 0.0);
            let count = numbers.clone().count() as f64;
            if count == 0.0 {
                continue;
            }
            let largest = numbers.clone().fold(0.0, f64::max);
            let typical = (numbers.clone().map(f64::log2).sum::<f64>() / count).exp2();
            if !(largest.is_finite() && typical > 0.0) {
                return None;
            }
            let squares: f64 = numbers.clone().map(|x| (x / largest) * (x / largest)).sum();
            let magnitudes: f64 = numbers.map(|x| (x / typical * MAGNITUDES).floor().min(127.0)).sum();
            spread.norm = spread.norm.max((squares / count).sqrt());
            spread.mean = spread.mean.min(magnitudes / count / MAGNITUDES * (typical / largest));
        }
        Some(spread)
    }
}

/// The value of a typical number (of its row or column) in the plane of magnitudes, where numbers are rounded down to
/// integers from 0 to 127.
const MAGNITUDES: f64 = 8.0;

/// The bytes after a panel's planes that hold its [`Scales`].
const HEADER: usize = size_of::<Scales>().next_multiple_of(64);

/// Properties of the vectors (rows of A, columns of B) of a panel. Each vector is divided by 2^exponent, so that its
/// largest number is at least a half and less than 1.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Scales {
    /// 2^exponent.
    scale: [f64; SIDE],
    /// The root of the sum of the squares of the scaled numbers.
    norm: [f64; SIDE],
    /// The rounding step: numbers are off by at most half of it. It is zero if all numbers are exact.
    step: [f64; SIDE],
    /// The scaled number that a 1 in the plane of magnitudes stands for.
    magnitude: [f64; SIDE],
    /// 1 if all numbers are finite and no exponent is extreme, otherwise 0.
    fit: u32,
}

impl<E: Engine, T: Real> Kernel for Residues<E, T> {
    type Element = T;
    type Sum = T;

    fn rows(&self) -> usize {
        SIDE
    }

    fn columns(&self) -> usize {
        SIDE
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        [self.data(depth) + HEADER; 2]
    }

    /// A block of A is at most 256 rows by 2048, and a block of B takes up to half of this thread's share of the
    /// last-level cache. Together with the scratch memory of tiles, this is up to 22 MiB plus that half share.
    fn blocks(&self, [m, n, k]: [usize; 3], threads: usize) -> Blocks {
        let kc = even(k, LONGEST, DEPTH);
        let [_, panel] = self.panel_bytes(kc);
        Blocks { kc, mc: even(m, ROWS, SIDE), nc: even(n, caches().last / 2 / threads.max(1) / panel * SIDE, SIDE) }
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        self.pack(from, rows, depth, to, false);
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        self.pack(from.transposed(), columns, depth, to, true);
    }

    fn planes(&self, depth: usize) -> usize {
        (self.moduli + 1) * depth.div_ceil(DEPTH * CHUNK)
    }

    fn room(&self) -> usize {
        (self.moduli + 1) * size_of::<Block<i32>>()
    }

    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.engine.within(work)
    }

    unsafe fn tile(&self, t: Tile<T, T>) -> Result<()> {
        let (a, b) = (t.a.panel(), t.b.panel());
        let steps = t.depth.div_ceil(DEPTH);
        let chunks = steps.div_ceil(CHUNK);
        let (modulus, chunk) = (t.plane / chunks, t.plane % chunks);
        let header = self.data(t.depth);
        let products = t.room.cast::<Block<i32>>();
        // SAFETY: the contract of `Kernel::tile`: the panels have this depth and their headers; `room` has space for
        // all planes; the matrices and C are valid for this tile.
        unsafe {
            let [of_a, of_b] = [a, b].map(|panel| &*panel.add(header).cast::<Scales>());
            // `hopeless` is never reset, so that a tile whose first planes were skipped is not put together.
            let fit = !self.hopeless.load(Ordering::Relaxed) && of_a.fit == 1 && of_b.fit == 1;
            if fit {
                let [a, b] = [a, b].map(|panel| panel.add((modulus * steps + chunk * CHUNK) * STEP));
                self.engine.bytes(
                    true,
                    CHUNK.min(steps - chunk * CHUNK),
                    a,
                    b,
                    products.add(modulus).cast(),
                    chunk > 0,
                );
            }
            if t.plane + 1 < self.planes(t.depth) {
                return Ok(());
            }
            let tiles = std::slice::from_raw_parts(products, self.moduli + 1);
            self.begun.fetch_add(1, Ordering::Relaxed);
            if fit
                && self.engine.isa().enter(Bounded {
                    of_a,
                    of_b,
                    magnitudes: &tiles[self.moduli],
                    eps: 2f64.powi(-T::DIGITS),
                    joined: self.unit[0] * JOINED,
                })
            {
                self.engine.isa().enter(Join { kernel: self, of_a, of_b, tiles, tile: &t });
                return Ok(());
            }
            self.refuse();
            let p = Product {
                m: t.rows,
                n: t.columns,
                k: t.depth,
                a: t.a.matrix,
                b: t.b.matrix,
                c: Shared(t.c),
                ldc: t.ldc,
                add: t.add,
                beside: 1,
            };
            product(&self.spare, p, 1, None)
        }
    }
}

/// A bound of the error of putting a product together, relative to its unit and to the norms of its row and column.
/// The error itself is about 2^-82, and the scaled norms are at least a half.
const JOINED: f64 = 1.0 / (1u128 << 76) as f64;

/// Elements that are smaller than this, relative to their unit, may be zero: the error of putting them together is
/// about 2^-82. A sum of products that cancel must be zero, as it is without residues.
const NEAR_ZERO: f64 = 1.0 / (1u128 << 70) as f64;

/// Checks that every element of a tile is expected to be within `eps |A||B|`. Numbers are off by up to half a step,
/// evenly distributed. Over a row and a column, this makes a normally distributed error whose standard deviation is
/// 0.29 times the steps times the norms. The check allows for the steps times the norms, which is 3.4 standard
/// deviations: one error in 1500 is larger. If all numbers were off in the same direction, the error would be
/// `sqrt(k) / 2` times the steps times the norms.
struct Bounded<'a> {
    of_a: &'a Scales,
    of_b: &'a Scales,
    magnitudes: &'a Block<i32>,
    eps: f64,
    /// The error of an element whose numbers are all exact, divided by the norms of its row and column.
    joined: f64,
}

impl Work for Bounded<'_> {
    type Out = bool;
    #[inline(always)]
    fn run<I: Isa>(self, _: I) -> bool {
        let mut fit = true;
        for (r, row) in self.magnitudes.0.as_chunks::<SIDE>().0.iter().enumerate() {
            let (step, norm, magnitude) = (self.of_a.step[r], self.of_a.norm[r], self.of_a.magnitude[r] * self.eps);
            for (c, &sum) in row.iter().enumerate() {
                let off = step * self.of_b.norm[c] + self.of_b.step[c] * norm + self.joined * norm * self.of_b.norm[c];
                fit &= off <= f64::from(sum) * self.of_b.magnitude[c] * magnitude;
            }
        }
        fit
    }
}

/// Puts a tile of C together from the products of residues.
struct Join<'a, E: Engine, T: Real> {
    kernel: &'a Residues<E, T>,
    of_a: &'a Scales,
    of_b: &'a Scales,
    tiles: &'a [Block<i32>],
    tile: &'a Tile<T, T>,
}

impl<E: Engine, T: Real> Work for Join<'_, E, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Join { kernel, of_a, of_b, tiles, tile: t } = self;
        for r in 0..t.rows {
            let mut sums = [[0.0f64; SIDE]; 3];
            for (tile, fractions) in tiles.iter().zip(&kernel.fractions).take(kernel.moduli) {
                let row = &tile.0.as_chunks::<SIDE>().0[r];
                for c in 0..SIDE {
                    let x = f64::from(row[c]);
                    for (sums, fraction) in sums.iter_mut().zip(fractions) {
                        sums[c] = x.mul_add(*fraction, sums[c]);
                    }
                }
            }
            let mut row = [T::from_f64(0.0); SIDE];
            let (mut near_zero, mut some) = ([false; SIDE], false);
            for c in 0..SIDE {
                let whole = (sums[0][c] + sums[1][c]).round_ties_even();
                // Exact, because it is a multiple of 2^-44 below 1. Rounding affects only the last places of the
                // terms that are added to it.
                let fraction = (sums[0][c] - whole) + sums[1][c];
                let rest = sums[2][c].mul_add(kernel.unit[0], fraction * kernel.unit[1]);
                let x = fraction.mul_add(kernel.unit[0], rest);
                near_zero[c] = x.abs() < NEAR_ZERO * kernel.unit[0];
                some |= near_zero[c];
                row[c] = T::from_f64(x * of_a.scale[r] * of_b.scale[c]);
            }
            if some {
                (0..SIDE).filter(|&c| near_zero[c] && self.is_zero(r, c)).for_each(|c| row[c] = T::from_f64(0.0));
            }
            // SAFETY: a row of the tile in C, of `columns` elements, which hold values if `add`.
            let to = unsafe { std::slice::from_raw_parts_mut(t.c.add(r * t.ldc), t.columns) };
            for (to, x) in to.iter_mut().zip(&row) {
                *to = if t.add { to.plus(*x) } else { *x };
            }
        }
    }
}

impl<E: Engine, T: Real> Join<'_, E, T> {
    /// Returns whether the element in row `r` and column `c` is exactly zero: all its residues are.
    fn is_zero(&self, r: usize, c: usize) -> bool {
        let residues = self.tiles.iter().map(|tile| tile.0.as_chunks::<SIDE>().0[r][c]);
        residues.zip(MODULI).take(self.kernel.moduli).all(|(x, p)| i64::from(x) % i64::from(p) == 0)
    }
}

/// Packs rows of A or columns of B into panels of residues.
struct Pack<T> {
    from: Matrix<T>,
    vectors: usize,
    depth: usize,
    to: *mut u8,
    of_b: bool,
    /// The bytes of a panel.
    panel: usize,
    moduli: usize,
    bits: i32,
}

impl<T: Real> Work for Pack<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (number, first) in (0..self.vectors).step_by(SIDE).enumerate() {
            // SAFETY: the contract of `Kernel::pack_a` and `pack_b`: the vectors exist, and there is room for the
            // panel.
            unsafe { self.panel(first, SIDE.min(self.vectors - first), self.to.wrapping_add(number * self.panel)) };
        }
    }
}

impl<T: Real> Pack<T> {
    /// Packs one panel.
    ///
    /// # Safety
    /// - the matrix has `there` vectors from `first` on; `to` is aligned to 64 bytes and valid for writes of a panel.
    #[inline(always)]
    unsafe fn panel(&self, first: usize, there: usize, to: *mut u8) {
        let steps = self.depth.div_ceil(DEPTH);
        let mut block = [[0.0f64; DEPTH]; SIDE];
        let fetch = |step: usize, block: &mut [[f64; DEPTH]; SIDE]| {
            let k = step * DEPTH;
            // SAFETY: the vectors and depths are limited to those of the matrix.
            unsafe { load(self.from.from(first, k), there, DEPTH.min(self.depth - k), 0.0, T::to_f64, block) };
        };
        // The largest magnitude of each vector; the sum and the number of the exponents of its nonzero numbers.
        let (mut largest, mut sum, mut count) = ([0.0f64; SIDE], [0i64; SIDE], [0i64; SIDE]);
        let mut finite = true;
        for step in 0..steps {
            fetch(step, &mut block);
            for (v, row) in block.iter().enumerate() {
                let (mut most, mut exponents, mut there) = (0.0f64, 0, 0);
                for x in row {
                    most = most.max(x.abs());
                    finite &= x.is_finite();
                    let nonzero = *x != 0.0;
                    exponents += if nonzero { exponent(*x) } else { 0 };
                    there += i64::from(nonzero);
                }
                largest[v] = largest[v].max(most);
                sum[v] += exponents;
                count[v] += there;
            }
        }
        let exponents = largest.map(|x| if x == 0.0 { 0 } else { exponent(x) as i32 + 1 });
        let fit = finite && exponents.iter().all(|e| e.abs() <= EXTREME);
        let mut scales = Scales {
            scale: exponents.map(power),
            norm: [0.0; SIDE],
            step: [0.0; SIDE],
            magnitude: [1.0; SIDE],
            fit: fit.into(),
        };
        // SAFETY: the header is inside the panel.
        let header = unsafe { to.add((self.moduli + 1) * steps * STEP).cast::<Scales>() };
        if !fit {
            // SAFETY: the header is inside the panel; panels are aligned to 64 bytes.
            return unsafe { header.write(scales) };
        }
        for v in 0..SIDE {
            scales.magnitude[v] = power(((sum[v] / count[v].max(1)) as i32 - exponents[v]).max(-900)) / MAGNITUDES;
        }
        let mut inexact = [false; SIDE];
        for step in 0..steps {
            fetch(step, &mut block);
            let mut magnitudes = [[0u8; DEPTH]; SIDE];
            for (v, row) in block.iter_mut().enumerate() {
                let (down, up, one) = (power(-exponents[v]), power(self.bits), 1.0 / scales.magnitude[v]);
                let (mut squares, mut exact) = (0.0, true);
                for (x, magnitude) in row.iter_mut().zip(&mut magnitudes[v]) {
                    let scaled = *x * down;
                    squares += scaled * scaled;
                    *magnitude = small((scaled.abs() * one).min(127.0));
                    let rounded = (scaled * up).round_ties_even();
                    exact &= (rounded == scaled * up) & ((*x != 0.0) == (scaled != 0.0));
                    *x = rounded;
                }
                scales.norm[v] += squares;
                inexact[v] |= !exact;
            }
            for (s, &p) in MODULI[..self.moduli].iter().enumerate() {
                // SAFETY: plane `s`, step `step` of the panel.
                unsafe { store(&residues(&block, p), to.add((s * steps + step) * STEP), self.of_b) };
            }
            // SAFETY: the last plane, step `step` of the panel.
            unsafe { store(&magnitudes, to.add((self.moduli * steps + step) * STEP), self.of_b) };
        }
        scales.norm = scales.norm.map(f64::sqrt);
        scales.step = inexact.map(|inexact| if inexact { power(-self.bits) } else { 0.0 });
        // SAFETY: the header is inside the panel; panels are aligned to 64 bytes.
        unsafe { header.write(scales) };
    }
}

/// Returns the exponent of a nonzero number. For subnormal numbers it returns -1023, which may be larger than the
/// exponent.
#[inline(always)]
fn exponent(x: f64) -> i64 {
    (x.to_bits() >> 52 & 0x7ff) as i64 - 1023
}

/// Returns 2^e, for `e` from -1022 to 1023.
#[inline(always)]
fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// Returns the low byte of a small integer.
#[inline(always)]
fn small(x: f64) -> u8 {
    // SAFETY: callers pass finite numbers between -256 and 256.
    unsafe { x.to_int_unchecked::<i32>() as u8 }
}

/// Returns the residues modulo `p` of integers of magnitude up to 2^62, as i8.
#[inline(always)]
fn residues(block: &[[f64; DEPTH]; SIDE], p: u32) -> [[u8; DEPTH]; SIDE] {
    const HALF: f64 = (1u64 << 31) as f64;
    // 2^31 modulo p, the representative nearest to zero.
    let of_half = (1i64 << 31) % i64::from(p);
    let of_half = (if of_half > i64::from(p) / 2 { of_half - i64::from(p) } else { of_half }) as f64;
    let (p, over_p) = (f64::from(p), 1.0 / f64::from(p));
    let mut bytes = [[0; DEPTH]; SIDE];
    for (row, bytes) in block.iter().zip(&mut bytes) {
        for (x, byte) in row.iter().zip(bytes) {
            let high = (x * (1.0 / HALF)).round_ties_even();
            let low = high.mul_add(-HALF, *x);
            let y = high.mul_add(of_half, low);
            // 128 modulo 256 becomes -128.
            *byte = small((y * over_p).round_ties_even().mul_add(-p, y));
        }
    }
    bytes
}
