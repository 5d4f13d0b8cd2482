//! Products of floats as integers modulo pairwise coprime numbers below 257, of i8 each: the Ozaki scheme II.
//!
//! K. Ozaki, Y. Uchino, T. Imamura, "Ozaki scheme II: a GEMM-oriented emulation of floating-point matrix multiplication using an integer modular technique", arXiv 2504.08009, 2025.
//! Rows of A and columns of B are scaled by powers of two to integers of so many bits that their products, added up, stay below the product of the moduli. Residues are multiplied exactly,
//! a modulus (a plane) after the other. With `r_s` the product modulo `p_s`, and `t_s` the inverse of the other moduli's product, C over the product of all moduli is the fraction of `sum r_s t_s / p_s`.
//!
//! What is lost is lost when the integers are rounded: relative to the largest of a row, not to each number. One more plane, of the magnitudes of numbers, bounds `|A||B|` from below, element by
//! element; a tile of which an element may be further off than the dtype's own `eps |A||B|` is multiplied as the others are not: by vectors. So are tiles of infinities, NaN and extreme scales.

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

/// Pairwise coprime.
const MODULI: [u32; 18] = [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193, 191, 181];

/// Elements of the depth in a step.
const DEPTH: usize = 64;
/// Steps that are multiplied at once: panels of A and B of so many are in the first cache.
const CHUNK: usize = 8;
/// The longest panels: putting a product together takes as long as multiplying some 300 more.
const LONGEST: usize = 2048;
/// Rows of a block of A: of which those of one plane are in the second cache.
const ROWS: usize = 256;
/// Exponents of rows and columns beyond this are left to others: scaling might over- or underflow.
const EXTREME: i32 = 480;

/// The kernel of floats as residues.
pub(crate) struct Residues<E: Engine, T: Real> {
    engine: E,
    spare: Direct<E::Isa, T>,
    /// How many moduli, the first ones, and bits of a number without its sign.
    moduli: usize,
    bits: i32,
    /// `t_s / p_s`, in three parts: two of 22 bits, which 2^30 of make exact sums, and the rest.
    fractions: [[f64; 3]; MODULI.len()],
    /// The product of the moduli over 2^(2 bits), in two parts.
    unit: [f64; 2],
    /// Tiles that were begun, and those of them that others had to multiply.
    begun: AtomicUsize,
    refused: AtomicUsize,
    /// Whether those are so many that no more are tried.
    hopeless: AtomicBool,
}

/// The bits that numbers may have whose products are put together from so many moduli.
fn bits(moduli: usize, depth: usize) -> i32 {
    let room: f64 = MODULI[..moduli].iter().map(|&p| f64::from(p).log2()).sum();
    // Twice the largest sum; and a little less, for the fraction is rounded before it is known on which side of a half it lies.
    let bits = (room - 1.0 - 0.01 - (depth as f64).log2()) / 2.0;
    (bits as i32).min(62)
}

impl<E: Engine, T: Real> Residues<E, T> {
    /// For a product of these matrices, `[m, n, k]`; `None` where their numbers are too far apart, or too small in number to tell.
    ///
    /// # Safety
    /// - `a` and `b` are valid for reads of `[m, k]` and `[k, n]`.
    pub(crate) unsafe fn new(engine: E, a: Matrix<T>, b: Matrix<T>, [m, n, k]: [usize; 3]) -> Option<Residues<E, T>> {
        let kc = even(k, LONGEST, DEPTH);
        // SAFETY: the caller's; columns of B are rows of its transpose.
        let (a, b) = unsafe { (Spread::of(a, m, k)?, Spread::of(b.transposed(), n, k)?) };
        // The error is to be expected at 2^-bits (norm of a row + norm of a column), |A||B| at k times the means.
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

    /// How many moduli it takes.
    pub(crate) fn moduli(&self) -> usize {
        self.moduli
    }

    /// Tiles that were begun, and of them those that others multiplied.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 2] {
        [&self.begun, &self.refused].map(|n| n.load(Ordering::Relaxed))
    }

    /// Bytes of a panel without its header; the last plane is of magnitudes.
    fn data(&self, depth: usize) -> usize {
        (self.moduli + 1) * depth.div_ceil(DEPTH) * STEP
    }

    /// Counts a tile that others must multiply. When they are many, the rest is better left to them too.
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

/// Bits more than are expected to be lost.
const MARGIN: f64 = 0.5;

/// What some rows show of a matrix, each scaled so that its largest number is 1.
struct Spread {
    /// The largest root of the mean of squares.
    norm: f64,
    /// The smallest mean of magnitudes, as the plane of magnitudes has them.
    mean: f64,
}

impl Spread {
    /// # Safety
    /// - `from` is valid for reads of `[rows, k]`.
    unsafe fn of<T: Real>(from: Matrix<T>, rows: usize, k: usize) -> Option<Spread> {
        const ROWS: usize = 16;
        const ELEMENTS: usize = 256;
        let mut spread = Spread { norm: 0.0, mean: 1.0 };
        for row in (0..rows).step_by(rows.div_ceil(ROWS)) {
            // SAFETY: elements of the matrix.
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

/// What a typical number (of its row, or column) is in the plane of magnitudes: so much less counts as nothing, what is more than 127 as that.
const MAGNITUDES: f64 = 8.0;

/// Bytes behind a panel's planes that hold its [`Scales`].
const HEADER: usize = size_of::<Scales>().next_multiple_of(64);

/// Of the vectors (rows of A, columns of B) of a panel, each over 2^exponent, which makes its largest number at most 1 and more than a half.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Scales {
    /// 2^exponent.
    scale: [f64; SIDE],
    /// The root of the sum of squares.
    norm: [f64; SIDE],
    /// By how much a number may be off: half of it at most, and zero where all are exact.
    step: [f64; SIDE],
    /// What one of the plane of magnitudes stands for.
    magnitude: [f64; SIDE],
    /// 1 if all numbers are finite, and no exponent is extreme.
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

    /// A block of A is 256 rows by 2048 at most, one of B takes up to a half of this thread's share of the last cache: together, with what tiles need, up to 22 MiB and that.
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
        // SAFETY: the contract of `Kernel::tile`: panels of this depth, with their headers; room for all planes; matrices and C are valid where the tile lies.
        unsafe {
            let [of_a, of_b] = [a, b].map(|panel| &*panel.add(header).cast::<Scales>());
            // Once hopeless, always so: a tile whose first planes were left out is not put together.
            let fit = !self.hopeless.load(Ordering::Relaxed) && of_a.fit == 1 && of_b.fit == 1;
            if fit {
                let [a, b] = [a, b].map(|panel| panel.add((modulus * steps + chunk * CHUNK) * STEP));
                self.engine.int8(CHUNK.min(steps - chunk * CHUNK), a, b, products.add(modulus).cast(), chunk > 0);
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

/// What putting a product together may be off by, for its unit: some 2^-82, and rows and columns scaled so that their norms are at least a half.
const JOINED: f64 = 1.0 / (1u128 << 76) as f64;

/// Whether every element of a tile is expected to be within `eps |A||B|`. Numbers are off by up to half a step, evenly; over a row and a column that makes an error of normal distribution, of which
/// 0.29 times the steps times the norms is the standard deviation: beyond 3.4 of those is one in 1500. Were all of them off the same way, it would be `sqrt(k) / 2` times that.
struct Bounded<'a> {
    of_a: &'a Scales,
    of_b: &'a Scales,
    magnitudes: &'a Block<i32>,
    eps: f64,
    /// What an element is off by where all numbers are exact, over the norms of its row and column.
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
            for c in 0..SIDE {
                let whole = (sums[0][c] + sums[1][c]).round_ties_even();
                // Exact: a multiple of 2^-44 below 1. What is rounded are the last places of what is added to it.
                let fraction = (sums[0][c] - whole) + sums[1][c];
                let rest = sums[2][c].mul_add(kernel.unit[0], fraction * kernel.unit[1]);
                let x = fraction.mul_add(kernel.unit[0], rest);
                row[c] = T::from_f64(x * of_a.scale[r] * of_b.scale[c]);
            }
            // SAFETY: a row of the tile, whose numbers are there if `add`.
            let to = unsafe { std::slice::from_raw_parts_mut(t.c.add(r * t.ldc), t.columns) };
            for (to, x) in to.iter_mut().zip(&row) {
                *to = if t.add { to.plus(*x) } else { *x };
            }
        }
    }
}

/// Rows of A or columns of B as panels of residues.
struct Pack<T> {
    from: Matrix<T>,
    vectors: usize,
    depth: usize,
    to: *mut u8,
    of_b: bool,
    /// Bytes of a panel.
    panel: usize,
    moduli: usize,
    bits: i32,
}

impl<T: Real> Work for Pack<T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (number, first) in (0..self.vectors).step_by(SIDE).enumerate() {
            // SAFETY: the contract of `Kernel::pack_a` and `pack_b`: vectors that are there, and a panel.
            unsafe { self.panel(first, SIDE.min(self.vectors - first), self.to.wrapping_add(number * self.panel)) };
        }
    }
}

impl<T: Real> Pack<T> {
    /// # Safety
    /// - `first` and so many more are there; `to` is valid for writes of a panel.
    #[inline(always)]
    unsafe fn panel(&self, first: usize, there: usize, to: *mut u8) {
        let steps = self.depth.div_ceil(DEPTH);
        let mut block = [[0.0f64; DEPTH]; SIDE];
        let fetch = |step: usize, block: &mut [[f64; DEPTH]; SIDE]| {
            let k = step * DEPTH;
            // SAFETY: what is there of the matrix.
            unsafe { load(self.from.from(first, k), there, DEPTH.min(self.depth - k), 0.0, T::to_f64, block) };
        };
        // Exponents: the largest of a vector, and the sum of those that are not of zeros.
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
        // SAFETY: the panel's header, aligned as panels are.
        let header = unsafe { to.add((self.moduli + 1) * steps * STEP).cast::<Scales>() };
        if !fit {
            // SAFETY: as above.
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
                // SAFETY: a step of the panel.
                unsafe { store(&residues(&block, p), to.add((s * steps + step) * STEP), self.of_b) };
            }
            // SAFETY: as above.
            unsafe { store(&magnitudes, to.add((self.moduli * steps + step) * STEP), self.of_b) };
        }
        scales.norm = scales.norm.map(f64::sqrt);
        scales.step = inexact.map(|inexact| if inexact { power(-self.bits) } else { 0.0 });
        // SAFETY: as above.
        unsafe { header.write(scales) };
    }
}

/// The exponent of a number that is not zero; that of subnormal numbers is too small or not, but never more than -1023.
#[inline(always)]
fn exponent(x: f64) -> i64 {
    (x.to_bits() >> 52 & 0x7ff) as i64 - 1023
}

/// 2^e, for an `e` that is no extreme one.
#[inline(always)]
fn power(e: i32) -> f64 {
    f64::from_bits(((e + 1023) as u64) << 52)
}

/// A small integer's byte.
#[inline(always)]
fn small(x: f64) -> u8 {
    // SAFETY: callers pass finite numbers between -256 and 256.
    unsafe { x.to_int_unchecked::<i32>() as u8 }
}

/// Residues of integers up to 2^62 modulo `p`, as i8.
#[inline(always)]
fn residues(block: &[[f64; DEPTH]; SIDE], p: u32) -> [[u8; DEPTH]; SIDE] {
    const HALF: f64 = (1u64 << 31) as f64;
    // 2^31 modulo p, the nearest to zero.
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
