//! Distances of bytes (i8 and u8), from products of the vectors and the sums of their squares. The identity
//! |x - y|^2 = |x|^2 + |y|^2 - 2 x.y is exact in integers, so nothing cancels, unlike in floats.
//!
//! Sums are in 32 bits, which hold those of up to [`SHORT`] coordinates; the sums of longer vectors are added up in 64
//! bits.

use crate::distance::{Epilogue, matrix};
use crate::gemm::{
    Blocks, Byte, Engines, Finish, Integer, Kernel, Matrix, Product, Tile, Written, product, with_bytes,
};
use crate::lanes::{Isa, Work};
use crate::map::STREAM_BYTES;
use crate::scratch::{Scratch, filled, room};
use crate::threads::{Shared, split};
use crate::tier::Tier;
use polyarray_core::op::{Distance, Measure};
use polyarray_core::{Buffer, Result};
use std::ops::Range;

/// The most coordinates for which all sums fit into 32 bits: products of u8, and the squares of differences of either
/// dtype, are at most 255^2.
const SHORT: usize = 1 << 16;
const _: () = assert!(255 * 255 * SHORT as u64 <= u32::MAX as u64);
/// The columns of a tile of every kernel of products of bytes.
const COLUMNS: usize = 32;
/// The most elements of such a tile.
const TILE: usize = 32 * COLUMNS;
/// The rows and columns of distances of long vectors that are added up at once.
const BLOCK: usize = 256;

/// A byte whose distances are computed.
pub(crate) trait Coordinate: Byte + Integer {
    /// The sum of some products, which is less than 2^32, and which is exact in an f64.
    fn exact(sum: u32) -> f64;
    /// The same, rounded to an f32.
    fn rounded(sum: u32) -> f32;
    fn square(self) -> u32;
}

macro_rules! coordinates {
    ($($T:ident in $Sum:ident;)*) => { $(
        impl Coordinate for $T {
            #[inline(always)]
            fn exact(sum: u32) -> f64 {
                f64::from(sum as $Sum)
            }
            #[inline(always)]
            fn rounded(sum: u32) -> f32 {
                sum as $Sum as f32
            }
            #[inline(always)]
            fn square(self) -> u32 {
                let x = i32::from(self);
                (x * x) as u32
            }
        }
    )* };
}
coordinates! {
    i8 in i32;
    u8 in u32;
}

/// Runs distances that `estimate` accepted. `tier` is the tier of the token `isa`.
pub(crate) fn run<I: Isa, T: Coordinate>(
    isa: I,
    tier: &'static Tier,
    engines: Engines,
    op: &Distance,
    threads: usize,
    output: &Buffer,
) -> Result<()>
where
    T::Sum: Integer<Wide = T::Wide>,
{
    let (x, y) = (matrix::<T>(&op.x), matrix::<T>(&op.y));
    let c = Shared(output.host_ptr().expect("core allocates the output in host memory").as_ptr().cast::<f32>());
    let epilogue = Epilogue::new(tier, op);
    with_bytes(isa, engines, [op.n, op.m, op.d.min(SHORT)], |products| {
        let b = Matrix { row: y.column, column: y.row, ..y };
        let p = Product { m: op.n, n: op.m, k: op.d, a: x, b, c, ldc: op.m, add: false, beside: 1 };
        // SAFETY: X is [n, d] and Y [m, d] inside their buffers, the output is [n, m] in C order, and the operands do
        // not overlap the output (invariants of `Distance`).
        unsafe {
            if op.d > SHORT {
                return long(products, p, op.metric, threads, &epilogue);
            }
            let (x, y) = (Lengths::new(isa, x, op.n, op.d, threads)?, Lengths::new(isa, y, op.m, op.d, threads)?);
            let stream = epilogue.is_empty() && op.n * op.m * size_of::<f32>() >= STREAM_BYTES;
            let kernel = Distances { isa, products, metric: op.metric, x, y, stream };
            let then = |done: Written<f32>| epilogue.apply(done);
            let finish: Finish<f32> = &then;
            product(&kernel, p, threads, (!epilogue.is_empty()).then_some(finish))
        }
    })
}

/// The lengths of vectors: for each, the sum of the squares of its coordinates, and the reciprocal of the length, which
/// is NaN for zeros. Zeros are appended up to a multiple of [`COLUMNS`].
struct Lengths {
    squares: Vec<u32>,
    reciprocals: Vec<f64>,
}

impl Lengths {
    /// # Safety
    /// - the matrix `[rows, columns]` is valid for reads.
    unsafe fn new<I: Isa, T: Coordinate>(
        isa: I,
        matrix: Matrix<T>,
        rows: usize,
        columns: usize,
        threads: usize,
    ) -> Result<Lengths> {
        let padded = rows.next_multiple_of(COLUMNS);
        let (mut squares, mut reciprocals) = (room(padded)?, room(padded)?);
        squares.resize(padded, 0);
        let to = Shared(squares.as_mut_ptr());
        let threads = if rows.saturating_mul(columns) < 1 << 20 { 1 } else { threads };
        split(threads, rows, 1, |rows| {
            // SAFETY: each thread writes its own rows of the vector, whose elements exist.
            let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(rows.start), rows.len()) };
            // The rows are inside the matrix, for which the caller guarantees valid reads.
            isa.enter(Squares { matrix, rows, columns, to });
            Ok(())
        })?;
        reciprocals.extend(squares.iter().map(|&square| match square {
            0 => f64::NAN,
            square => 1.0 / f64::from(square).sqrt(),
        }));
        Ok(Lengths { squares, reciprocals })
    }
}

/// Computes the sums of the squares of rows, which are valid for reads of so many columns.
struct Squares<'a, T> {
    matrix: Matrix<T>,
    rows: Range<usize>,
    columns: usize,
    to: &'a mut [u32],
}

impl<T: Coordinate> Work for Squares<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let Squares { matrix, rows, columns, to } = self;
        for (to, i) in to.iter_mut().zip(rows) {
            let row = matrix.from(i, 0);
            *to = if row.column == 1 {
                // SAFETY: the row is valid for reads and contiguous.
                let row = unsafe { std::slice::from_raw_parts(row.at, columns) };
                row.iter().fold(0u32, |sum, x| sum.wrapping_add(x.square()))
            } else {
                // SAFETY: `j < columns`, for which the row is valid for reads.
                (0..columns).fold(0u32, |sum, j| sum.wrapping_add(unsafe { *row.from(0, j).at }.square()))
            };
        }
    }
}

/// The kernel of distances: that of products, whose tiles it converts to distances. Parts of the depth before the last
/// one leave their sums in C, in the bits of its elements.
struct Distances<'a, I, T: Byte> {
    isa: I,
    products: &'a dyn Kernel<Element = T, Sum = T::Sum>,
    metric: Measure,
    x: Lengths,
    y: Lengths,
    /// Whether C is written past the caches.
    stream: bool,
}

impl<I: Isa, T: Coordinate> Kernel for Distances<'_, I, T> {
    type Element = T;
    type Sum = f32;

    fn rows(&self) -> usize {
        self.products.rows()
    }

    fn columns(&self) -> usize {
        self.products.columns()
    }

    fn panel_bytes(&self, depth: usize) -> [usize; 2] {
        self.products.panel_bytes(depth)
    }

    fn blocks(&self, shape: [usize; 3], threads: usize) -> Blocks {
        self.products.blocks(shape, threads)
    }

    unsafe fn pack_a(&self, from: Matrix<T>, rows: usize, depth: usize, to: *mut u8) {
        // SAFETY: the contract of `Kernel::pack_a`, which the caller guarantees.
        unsafe { self.products.pack_a(from, rows, depth, to) }
    }

    unsafe fn pack_b(&self, from: Matrix<T>, depth: usize, columns: usize, to: *mut u8) {
        // SAFETY: the contract of `Kernel::pack_b`, which the caller guarantees.
        unsafe { self.products.pack_b(from, depth, columns, to) }
    }

    fn within(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.products.within(work)?;
        if self.stream {
            self.isa.fence();
        }
        Ok(())
    }

    unsafe fn tile(&self, t: Tile<T, f32>) -> Result<()> {
        assert!(self.columns() == COLUMNS && self.rows() * COLUMNS <= TILE);
        let mut sums = Sums([0; TILE]);
        let Tile { depth, a, b, c, ldc, at, add, last, rows, columns, plane, room } = t;
        // SAFETY: the contract of `Kernel::tile`, which the caller guarantees; all elements of a tile fit into `sums`,
        // also those beyond the valid rows and columns, which are zeros in the panels. Numbers of 32 bits can be
        // written there as `T::Sum`.
        unsafe {
            let c = sums.0.as_mut_ptr().cast();
            let (rows, columns) = (self.rows(), COLUMNS);
            self.products.tile(Tile {
                depth,
                a,
                b,
                c,
                ldc: COLUMNS,
                at,
                add: false,
                last,
                rows,
                columns,
                plane,
                room,
            })?;
        }
        self.isa.enter(Convert { kernel: self, sums: &mut sums.0, c, ldc, at, add, last, rows, columns });
        Ok(())
    }
}

/// The sums of a tile, aligned to a vector.
#[repr(C, align(64))]
struct Sums([u32; TILE]);

/// Converts the sums of a tile to distances in C. The other fields are those of [`Tile`].
struct Convert<'a, 'k, I, T: Byte> {
    kernel: &'a Distances<'k, I, T>,
    sums: &'a mut [u32; TILE],
    c: *mut f32,
    ldc: usize,
    at: [usize; 2],
    add: bool,
    last: bool,
    rows: usize,
    columns: usize,
}

impl<I: Isa, T: Coordinate> Work for Convert<'_, '_, I, T> {
    type Out = ();
    #[inline(always)]
    fn run<J: Isa>(self, isa: J) {
        let Convert { kernel, sums, c, ldc, at, add, last, rows, columns } = self;
        let to_columns: &[u32; COLUMNS] = kernel.y.squares[at[1]..].first_chunk().expect("padded to whole tiles");
        let reciprocals: &[f64; COLUMNS] = kernel.y.reciprocals[at[1]..].first_chunk().expect("padded to whole tiles");
        for (r, sums) in sums.as_chunks_mut::<COLUMNS>().0.iter_mut().enumerate().take(rows) {
            let (to, row) = (c.wrapping_add(r * ldc), at[0] + r);
            if add {
                for (j, sum) in sums.iter_mut().enumerate().take(columns) {
                    // SAFETY: `j < columns`: an element of C that is valid for reads (the contract of `Kernel::tile`).
                    *sum = sum.wrapping_add(unsafe { *to.add(j).cast::<u32>() });
                }
            }
            let mut bits = *sums;
            if last {
                let distances = match kernel.metric {
                    Measure::Dot => sums.map(T::rounded),
                    Measure::Cosine => {
                        let x = (kernel.x.squares[row], kernel.x.reciprocals[row]);
                        cosines::<T>(sums, x, to_columns, reciprocals)
                    }
                    metric => {
                        let x = kernel.x.squares[row];
                        let squared = |j: usize| x.wrapping_add(to_columns[j]).wrapping_sub(sums[j].wrapping_mul(2));
                        let squares: [f32; COLUMNS] = std::array::from_fn(|j| squared(j) as f32);
                        if metric == Measure::Euclidean { squares.map(f32::sqrt) } else { squares }
                    }
                };
                bits = distances.map(f32::to_bits);
            }
            let from = bits.as_ptr().cast::<u8>();
            // SAFETY: `columns` elements of a row of C, which are valid for writes (the contract of `Kernel::tile`).
            unsafe {
                match (kernel.stream && !add && last, columns) {
                    (true, _) => isa.stream(from, to.cast(), columns * size_of::<f32>()),
                    (false, COLUMNS) => to.cast::<[u32; COLUMNS]>().write_unaligned(bits),
                    (false, _) => std::ptr::copy_nonoverlapping(from, to.cast(), columns * size_of::<f32>()),
                }
            }
        }
    }
}

/// A cosine distance below this is computed again by the formula of [`exact_cosine`]: the vectors may be parallel.
const PARALLEL: f64 = 1e-10;

/// Returns the cosine distances of a vector to several others from the products, and the square and the reciprocal of
/// each length.
#[inline(always)]
fn cosines<T: Coordinate>(
    products: &[u32; COLUMNS],
    (square, reciprocal): (u32, f64),
    squares: &[u32; COLUMNS],
    reciprocals: &[f64; COLUMNS],
) -> [f32; COLUMNS] {
    let apart: [f64; COLUMNS] = std::array::from_fn(|j| 1.0 - T::exact(products[j]) * (reciprocal * reciprocals[j]));
    let mut distances = apart.map(|apart| apart.clamp(0.0, 2.0) as f32);
    // Without branches, so that the compiler uses vectors.
    if apart.iter().fold(false, |any, &apart| any | (apart < PARALLEL)) {
        for j in (0..COLUMNS).filter(|&j| apart[j] < PARALLEL) {
            distances[j] = exact_cosine(T::exact(products[j]), f64::from(square), f64::from(squares[j]));
        }
    }
    distances
}

/// Returns the cosine distance of two vectors from their product and the squares of their lengths. The root of a square
/// is exact, so it is 0 for equal vectors; it is NaN if a vector is zero.
fn exact_cosine(product: f64, x: f64, y: f64) -> f32 {
    (1.0 - product / (x * y).sqrt()).clamp(0.0, 2.0) as f32
}

/// Computes distances of vectors with more than [`SHORT`] coordinates, a block of C at a time. Sums are exact in f64.
///
/// # Safety
/// - as [`product`].
unsafe fn long<T: Coordinate>(
    products: &dyn Kernel<Element = T, Sum = T::Sum>,
    p: Product<T, f32>,
    metric: Measure,
    threads: usize,
    epilogue: &Epilogue,
) -> Result<()> {
    let mut part = Scratch::new(BLOCK * BLOCK * size_of::<u32>())?;
    let mut sums = filled(BLOCK * BLOCK, 0.0)?;
    let blocks = |total: usize, most: usize| (0..total).step_by(most).map(move |i| i..total.min(i + most));
    for rows in blocks(p.m, BLOCK) {
        for columns in blocks(p.n, BLOCK) {
            let (a, b) = (p.a.from(rows.start, 0), p.b.from(0, columns.start));
            let [m, n] = [rows.len(), columns.len()];
            let sums = &mut sums[..m * n];
            sums.fill(0.0);
            let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
            for depth in blocks(p.k, SHORT) {
                let (a, b) = (a.from(0, depth.start), b.from(depth.start, 0));
                let c = Shared(part.ptr().cast());
                let product_of = Product { m, n, k: depth.len(), a, b, c, ldc: n, add: false, beside: 1 };
                // SAFETY: parts of A and B, for which the caller guarantees valid reads; the scratch has room for the
                // block.
                unsafe { product(products, product_of, threads, None)? };
                // SAFETY: the product has written `m * n` elements of 32 bits.
                let part = unsafe { std::slice::from_raw_parts(part.ptr().cast::<u32>(), m * n) };
                sums.iter_mut().zip(part).for_each(|(sum, &part)| *sum += T::exact(part));
                for (vectors, squares) in [(a, &mut x[..m]), (b.transposed(), &mut y[..n])] {
                    for (i, square) in squares.iter_mut().enumerate() {
                        // SAFETY: elements of A or B, for which the caller guarantees valid reads.
                        let of = |k: usize| unsafe { *vectors.from(i, k).at }.square();
                        *square += f64::from((0..depth.len()).map(of).sum::<u32>());
                    }
                }
            }
            let c = p.c.get().wrapping_add(rows.start * p.ldc + columns.start);
            // SAFETY: the block is inside C, and no other thread accesses it.
            let mut done = unsafe { Written::new([rows.start, columns.start], c, p.ldc, [m, n]) };
            for ((row, piece), sums) in done.pieces().zip(sums.chunks_exact(n)) {
                let x = x[row - rows.start];
                for ((to, &sum), &y) in piece.iter_mut().zip(sums).zip(&y) {
                    let squared = (x + y - 2.0 * sum) as f32;
                    *to = match metric {
                        Measure::Dot => sum as f32,
                        Measure::Cosine => exact_cosine(sum, x, y),
                        Measure::SquaredEuclidean => squared,
                        _ => squared.sqrt(),
                    };
                }
            }
            epilogue.apply(done)?;
        }
    }
    Ok(())
}
