//! Direct kernels of distances that are no products: each vector has a coordinate of several points of Y, and the
//! running values of the pairs stay in registers.
//!
//! Y is packed into panels of as many points as a vector has lanes. A group of panels that fits into the second-level
//! cache is used for all rows of X, some of which share each vector that is loaded.

#![expect(clippy::needless_range_loop, reason = "the bounds are constants, and the arrays are registers")]

use crate::gemm::{Finish, Matrix, Panels, SEGMENT, SLACK, Written, caches};
use crate::lanes::{Bits, Body, Float, Isa, Lanes, Mask, Numbers, Real};
use crate::math::{Function, Function2, Log, Pow, all, poly};
use crate::scratch::Scratch;
use crate::threads::{Shared, split};
use polyarray_core::Result;
use polyarray_core::op::{Measure, SHARES, SMALL_SHARE};
use std::marker::PhantomData;
use std::ops::Range;

/// Some rows of X, a panel of Y, and where their distances go: that of row r to point j of the panel is at
/// `out + r * out_row + j`.
pub(crate) struct Args<T> {
    rows: usize,
    depth: usize,
    /// Coordinate k of row r is at `x + r * x_row + k * x_step`.
    x: *const T,
    x_row: isize,
    x_step: isize,
    /// The panel: row k has coordinate k of all points.
    y: *const T,
    out: *mut T,
    out_row: usize,
    /// The points of the panel that exist.
    last: usize,
    /// The order of Minkowski distances.
    power: T,
    weights: *const T,
    /// Scratch for a vector for each coordinate.
    room: *mut T,
}

/// A kernel, compiled for a tier.
///
/// # Safety
/// - the rows of X, the panel and the weights are valid for reads, `room` for writes of a panel, and `last` elements of
///   each row of `out` for writes; `last` is at most the number of lanes;
/// - the CPU has the features of the tier.
pub(crate) type Kernel<T> = unsafe fn(&Args<T>);

/// What the two additional operands of a term are.
#[derive(PartialEq)]
enum Extra {
    Nothing,
    /// The weight of the coordinate.
    Weight,
    /// The largest difference of the pair, and the order.
    Largest,
}

/// A metric that is a function of running values, to which each pair of coordinates contributes a term.
trait Terms<T: Real>: Send + Sync + 'static {
    const EXTRA: Extra = Extra::Nothing;
    /// The running values of a pair, which start as zeros.
    type State<V: Copy>: Copy;
    fn start<V: Copy>(zero: V) -> Self::State<V>;
    /// Adds the term of the coordinates x and y.
    fn step<I: Isa>(
        isa: I,
        state: Self::State<T::V<I>>,
        x: T::V<I>,
        y: T::V<I>,
        extra: [T::V<I>; 2],
    ) -> Self::State<T::V<I>>;
    /// Joins the values of two segments of the coordinates.
    fn join<I: Isa>(isa: I, a: Self::State<T::V<I>>, b: Self::State<T::V<I>>) -> Self::State<T::V<I>>;
    /// Returns the distance of vectors of d coordinates.
    fn finish<I: Isa>(isa: I, state: Self::State<T::V<I>>, d: f64, extra: [T::V<I>; 2]) -> T::V<I>;
}

/// Returns the larger one of two numbers that are not negative; NaN if either is NaN.
#[inline(always)]
fn larger<V: Float>(a: V, b: V) -> V {
    // `max` returns its second operand if either is NaN.
    V::select(a.unordered(a), a, a.max(b))
}

struct Chebyshev;
struct Minkowski;
struct Canberra;
struct BrayCurtis;
struct Hamming;
struct Jaccard;
struct JensenShannon;
struct SEuclidean;

/// Implements [`Terms`] for a metric with one running value, which is a sum.
macro_rules! sum {
    () => {
        type State<V: Copy> = V;
        #[inline(always)]
        fn start<V: Copy>(zero: V) -> V {
            zero
        }
        #[inline(always)]
        fn join<I: Isa>(_: I, a: T::V<I>, b: T::V<I>) -> T::V<I> {
            a.add(b)
        }
    };
    (two) => {
        type State<V: Copy> = [V; 2];
        #[inline(always)]
        fn start<V: Copy>(zero: V) -> [V; 2] {
            [zero; 2]
        }
        #[inline(always)]
        fn join<I: Isa>(_: I, [a, c]: [T::V<I>; 2], [b, d]: [T::V<I>; 2]) -> [T::V<I>; 2] {
            [a.add(b), c.add(d)]
        }
    };
}

/// The second value is the sum of the differences: it is NaN if and only if one of them is.
impl<T: Real> Terms<T> for Chebyshev {
    type State<V: Copy> = [V; 2];
    #[inline(always)]
    fn start<V: Copy>(zero: V) -> [V; 2] {
        [zero; 2]
    }
    #[inline(always)]
    fn step<I: Isa>(_: I, [most, sum]: [T::V<I>; 2], x: T::V<I>, y: T::V<I>, _: [T::V<I>; 2]) -> [T::V<I>; 2] {
        let apart = x.sub(y).abs();
        // `max` returns its second operand if either is NaN.
        [apart.max(most), sum.add(apart)]
    }
    #[inline(always)]
    fn join<I: Isa>(_: I, [a, c]: [T::V<I>; 2], [b, d]: [T::V<I>; 2]) -> [T::V<I>; 2] {
        [a.max(b), c.add(d)]
    }
    #[inline(always)]
    fn finish<I: Isa>(_: I, [most, sum]: [T::V<I>; 2], _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        T::V::<I>::select(sum.unordered(sum), sum, most)
    }
}

/// The differences are divided by the largest one, so that no power overflows.
impl<T: Real> Terms<T> for Minkowski
where
    Pow: Function2<T>,
{
    const EXTRA: Extra = Extra::Largest;
    sum!();
    #[inline(always)]
    fn step<I: Isa>(isa: I, sum: T::V<I>, x: T::V<I>, y: T::V<I>, [most, power]: [T::V<I>; 2]) -> T::V<I> {
        sum.add(Pow::vector(isa, x.sub(y).abs().div(most), power))
    }
    #[inline(always)]
    fn finish<I: Isa>(isa: I, sum: T::V<I>, _: f64, [most, power]: [T::V<I>; 2]) -> T::V<I> {
        let (zero, one, infinity) = (all::<T, I>(isa, 0.0), all::<T, I>(isa, 1.0), all::<T, I>(isa, f64::INFINITY));
        let distance = Pow::vector(isa, sum, one.div(power)).mul(most);
        T::V::<I>::select(zero.lt(most).and(most.lt(infinity)), distance, most)
    }
}

impl<T: Real> Terms<T> for Canberra {
    sum!();
    #[inline(always)]
    fn step<I: Isa>(isa: I, sum: T::V<I>, x: T::V<I>, y: T::V<I>, _: [T::V<I>; 2]) -> T::V<I> {
        let (zero, half) = (all::<T, I>(isa, 0.0), all::<T, I>(isa, 0.5));
        let share =
            |x: T::V<I>, y: T::V<I>, both: T::V<I>| T::V::<I>::select(both.eq(zero), zero, x.sub(y).abs().div(both));
        let both = x.abs().add(y.abs());
        let too_large = both.eq(all::<T, I>(isa, f64::INFINITY));
        let term = share(x, y, both);
        if !too_large.any() {
            return sum.add(term);
        }
        let (x, y) = (x.mul(half), y.mul(half));
        sum.add(T::V::<I>::select(too_large, share(x, y, x.abs().add(y.abs())), term))
    }
    #[inline(always)]
    fn finish<I: Isa>(_: I, sum: T::V<I>, _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        sum
    }
}

impl<T: Real> Terms<T> for BrayCurtis {
    sum!(two);
    #[inline(always)]
    fn step<I: Isa>(_: I, sums: [T::V<I>; 2], x: T::V<I>, y: T::V<I>, _: [T::V<I>; 2]) -> [T::V<I>; 2] {
        [sums[0].add(x.sub(y).abs()), sums[1].add(x.add(y).abs())]
    }
    #[inline(always)]
    fn finish<I: Isa>(_: I, [apart, together]: [T::V<I>; 2], _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        apart.div(together)
    }
}

impl<T: Real> Terms<T> for Hamming {
    sum!();
    #[inline(always)]
    fn step<I: Isa>(isa: I, count: T::V<I>, x: T::V<I>, y: T::V<I>, _: [T::V<I>; 2]) -> T::V<I> {
        count.add(T::V::<I>::select(x.eq(y), all::<T, I>(isa, 0.0), all::<T, I>(isa, 1.0)))
    }
    #[inline(always)]
    fn finish<I: Isa>(isa: I, count: T::V<I>, d: f64, _: [T::V<I>; 2]) -> T::V<I> {
        count.div(all::<T, I>(isa, d))
    }
}

impl<T: Real> Terms<T> for Jaccard {
    sum!(two);
    #[inline(always)]
    fn step<I: Isa>(isa: I, counts: [T::V<I>; 2], x: T::V<I>, y: T::V<I>, _: [T::V<I>; 2]) -> [T::V<I>; 2] {
        let (zero, one) = (all::<T, I>(isa, 0.0), all::<T, I>(isa, 1.0));
        let (x, y) = (x.eq(zero), y.eq(zero));
        let (neither, same) = (x.and(y), x.and(y).or(x.or(y).not()));
        [counts[0].add(T::V::<I>::select(same, zero, one)), counts[1].add(T::V::<I>::select(neither, zero, one))]
    }
    #[inline(always)]
    fn finish<I: Isa>(isa: I, [differ, any]: [T::V<I>; 2], _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        let zero = all::<T, I>(isa, 0.0);
        T::V::<I>::select(any.eq(zero), zero, differ.div(any))
    }
}

/// See [`Measure::distance`] for the two formulas of a term.
impl<T: Real> Terms<T> for JensenShannon
where
    Log: Function<T>,
{
    sum!();
    #[inline(always)]
    fn step<I: Isa>(isa: I, sum: T::V<I>, p: T::V<I>, q: T::V<I>, _: [T::V<I>; 2]) -> T::V<I> {
        let c = |x: f64| all::<T, I>(isa, x);
        let zero = c(0.0);
        let both = p.add(q);
        let (mean, t) = (both.mul(c(0.5)), p.sub(q).div(both));
        let square = t.mul(t);
        let is_small = t.abs().lt(c(SMALL_SHARE)).and(zero.lt(both));
        let nothing = p.eq(zero).and(q.eq(zero));
        let mut term = mean.mul(square).mul(poly::<T, I, 15>(isa, square, SHARES));
        if !is_small.or(nothing).all() {
            let part = |p: T::V<I>| {
                // Without the mean, which may round to 0.
                T::V::<I>::select(p.eq(zero), zero, p.mul(Log::vector(isa, p.div(both).mul(c(2.0)))))
            };
            term = T::V::<I>::select(is_small, term, part(p).add(part(q)));
            term = T::V::<I>::select(p.lt(zero).or(q.lt(zero)), c(f64::INFINITY), term);
        }
        sum.add(T::V::<I>::select(nothing, zero, term))
    }
    #[inline(always)]
    fn finish<I: Isa>(isa: I, sum: T::V<I>, _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        sum.mul(all::<T, I>(isa, 0.5)).sqrt()
    }
}

impl<T: Real> Terms<T> for SEuclidean {
    const EXTRA: Extra = Extra::Weight;
    sum!();
    #[inline(always)]
    fn step<I: Isa>(_: I, sum: T::V<I>, x: T::V<I>, y: T::V<I>, [weight, _]: [T::V<I>; 2]) -> T::V<I> {
        let apart = x.sub(y).mul(weight);
        apart.mul_add(apart, sum)
    }
    #[inline(always)]
    fn finish<I: Isa>(_: I, sum: T::V<I>, _: f64, _: [T::V<I>; 2]) -> T::V<I> {
        sum.sqrt()
    }
}

/// The kernel of a metric with terms. It computes `ROWS` rows at once.
struct Direct<T, M, const ROWS: usize>(PhantomData<(T, M)>);

impl<T: Real, M: Terms<T>, const ROWS: usize> Body for Direct<T, M, ROWS> {
    type Args = Args<T>;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args<T>) {
        let mut row = 0;
        // SAFETY: the groups are rows of the arguments, whose contract the caller guarantees.
        unsafe {
            while row + ROWS <= args.rows {
                group::<I, T, M, ROWS>(isa, args, row);
                row += ROWS;
            }
            while row < args.rows {
                group::<I, T, M, 1>(isa, args, row);
                row += 1;
            }
        }
    }
}

/// Computes the distances of `ROWS` rows from number `first` on.
///
/// # Safety
/// - as [`Kernel`]; the rows exist.
#[inline(always)]
unsafe fn group<I: Isa, T: Real, M: Terms<T>, const ROWS: usize>(isa: I, args: &Args<T>, first: usize) {
    let &Args { depth, x_row, x_step, y, out, out_row, last, .. } = args;
    let (lanes, zero) = (<T::V<I> as Lanes>::N, all::<T, I>(isa, 0.0));
    let x = args.x.wrapping_offset(first as isize * x_row);
    // SAFETY: coordinates below `depth` of `ROWS` rows, of the panel and of the weights, and the results of these rows,
    // for which the caller guarantees valid accesses.
    unsafe {
        let left = |r: usize, k: usize| T::V::<I>::splat(isa, *x.offset(r as isize * x_row + k as isize * x_step));
        let right = |k: usize| T::V::<I>::load(isa, y.add(k * lanes));
        let mut extra = [[zero; 2]; ROWS];
        if M::EXTRA == Extra::Largest {
            let mut most = [zero; ROWS];
            for k in 0..depth {
                let y = right(k);
                for r in 0..ROWS {
                    most[r] = larger(most[r], left(r, k).sub(y).abs());
                }
            }
            extra = most.map(|most| [most, T::V::<I>::splat(isa, args.power)]);
        }
        let mut total = [M::start(zero); ROWS];
        for start in (0..depth).step_by(SEGMENT) {
            let mut part = [M::start(zero); ROWS];
            for k in start..depth.min(start + SEGMENT) {
                let y = right(k);
                for r in 0..ROWS {
                    if M::EXTRA == Extra::Weight {
                        extra[r][0] = T::V::<I>::splat(isa, *args.weights.add(k));
                    }
                    part[r] = M::step(isa, part[r], left(r, k), y, extra[r]);
                }
            }
            for r in 0..ROWS {
                total[r] = M::join(isa, total[r], part[r]);
            }
        }
        for r in 0..ROWS {
            let distance = M::finish(isa, total[r], depth as f64, extra[r]);
            distance.store_first(out.add((first + r) * out_row), last);
        }
    }
}

/// The kernel of Mahalanobis distances: the differences of a row from the points of the panel times the weights, times
/// the differences.
struct Mahalanobis<T>(PhantomData<T>);

impl<T: Real> Body for Mahalanobis<T> {
    type Args = Args<T>;
    #[inline(always)]
    unsafe fn run<I: Isa>(isa: I, args: &Args<T>) {
        let &Args { rows, depth, x, x_row, x_step, y, out, out_row, last, room, .. } = args;
        let (lanes, zero) = (<T::V<I> as Lanes>::N, all::<T, I>(isa, 0.0));
        // SAFETY: coordinates below `depth` of the rows, of the panel and of the scratch, weights of `[depth, depth]`,
        // and the results, for which the caller guarantees valid accesses.
        unsafe {
            for r in 0..rows {
                for k in 0..depth {
                    let x = T::V::<I>::splat(isa, *x.offset(r as isize * x_row + k as isize * x_step));
                    x.sub(T::V::<I>::load(isa, y.add(k * lanes))).store(room.add(k * lanes));
                }
                let (mut total, mut part, mut i) = (zero, zero, 0);
                while i < depth {
                    let count = if depth - i >= 4 { 4 } else { 1 };
                    let sums = match count {
                        4 => weighted::<I, T, 4>(isa, args, i),
                        _ => [weighted::<I, T, 1>(isa, args, i)[0], zero, zero, zero],
                    };
                    for s in 0..count {
                        part = sums[s].mul_add(T::V::<I>::load(isa, room.add((i + s) * lanes)), part);
                    }
                    i += count;
                    if i % SEGMENT < count {
                        (total, part) = (total.add(part), zero);
                    }
                }
                total.add(part).sqrt().store_first(out.add(r * out_row), last);
            }
        }
    }
}

/// Returns the products of `ROWS` rows of the weights, from number `first` on, and the differences in the scratch.
///
/// # Safety
/// - as [`Kernel`]; the rows exist, and the scratch has been written.
#[inline(always)]
unsafe fn weighted<I: Isa, T: Real, const ROWS: usize>(isa: I, args: &Args<T>, first: usize) -> [T::V<I>; ROWS] {
    let zero = all::<T, I>(isa, 0.0);
    let mut total = [zero; ROWS];
    for start in (0..args.depth).step_by(SEGMENT) {
        let mut part = [zero; ROWS];
        for k in start..args.depth.min(start + SEGMENT) {
            // SAFETY: a vector of the scratch and weights of existing rows, for which the caller guarantees valid
            // reads.
            unsafe {
                let apart = T::V::<I>::load(isa, args.room.add(k * <T::V<I> as Lanes>::N));
                for r in 0..ROWS {
                    let weight = T::V::<I>::splat(isa, *args.weights.add((first + r) * args.depth + k));
                    part[r] = weight.mul_add(apart, part[r]);
                }
            }
        }
        for r in 0..ROWS {
            total[r] = total[r].add(part[r]);
        }
    }
    total
}

/// Returns the kernel of a metric; `None` if it has none here.
pub(crate) fn kernel<I: Isa, T: Real>(metric: Measure) -> Option<Kernel<T>>
where
    Pow: Function2<T>,
    Log: Function<T>,
{
    Some(match metric {
        Measure::Chebyshev => I::kernel::<Direct<T, Chebyshev, 4>>,
        Measure::Minkowski => I::kernel::<Direct<T, Minkowski, 1>>,
        Measure::Canberra => I::kernel::<Direct<T, Canberra, 4>>,
        Measure::BrayCurtis => I::kernel::<Direct<T, BrayCurtis, 4>>,
        Measure::Hamming => I::kernel::<Direct<T, Hamming, 4>>,
        Measure::Jaccard => I::kernel::<Direct<T, Jaccard, 4>>,
        Measure::JensenShannon => I::kernel::<Direct<T, JensenShannon, 1>>,
        Measure::SEuclidean => I::kernel::<Direct<T, SEuclidean, 4>>,
        Measure::Mahalanobis => I::kernel::<Mahalanobis<T>>,
        Measure::Euclidean | Measure::SquaredEuclidean | Measure::Cosine | Measure::Dot | Measure::Cityblock => {
            return None;
        }
        Measure::BitHamming | Measure::BitJaccard => return None,
    })
}

/// The operands of distances: X `[n, d]`, Y `[m, d]` and the output `[n, m]` in C order.
pub(crate) struct Pairs<'a, T> {
    pub n: usize,
    pub m: usize,
    pub d: usize,
    pub x: Matrix<T>,
    pub y: Matrix<T>,
    pub out: Shared<T>,
    pub power: T,
    pub weights: &'a [T],
    /// Whether the kernel needs scratch.
    pub has_room: bool,
}

/// Distances of at most this many coordinates are computed on one thread.
const ALONE: usize = 1 << 15;
/// The rows of X that are used for all panels of a group, one after another.
const ROWS: usize = 64;

/// Computes distances on at most `threads` threads, and calls `finish` with each block while it is in the cache.
///
/// # Safety
/// - `x` and `y` are valid for reads, `out` for writes of their shapes, and `out` overlaps neither; there are as many
///   weights as the kernel reads.
pub(crate) unsafe fn run<I: Isa, T: Real>(
    isa: I,
    kernel: Kernel<T>,
    p: &Pairs<T>,
    threads: usize,
    finish: Finish<T>,
) -> Result<()> {
    let width = <T::V<I> as Lanes>::N;
    let bytes = |columns: usize| p.d.saturating_mul(columns).saturating_mul(size_of::<T>());
    let most = (caches().second / 2 / bytes(width)).max(1) * width;
    let part = |rows: Range<usize>, columns: Range<usize>| -> Result<()> {
        let mut panels = Scratch::new(bytes(most.min(columns.len().next_multiple_of(width))).saturating_add(SLACK))?;
        let mut room = Scratch::new(if p.has_room { bytes(width) } else { 0 })?;
        for first in columns.clone().step_by(most) {
            let count = most.min(columns.end - first);
            let to = panels.ptr().cast::<T>();
            // The block of Y is a part of the matrix, and the scratch has room for its panels.
            isa.enter(Panels { from: p.y.from(first, 0).transposed(), depth: p.d, columns: count, width, to });
            for top in rows.clone().step_by(ROWS) {
                let height = ROWS.min(rows.end - top);
                let out = p.out.get().wrapping_add(top * p.m + first);
                let x = p.x.from(top, 0);
                for j in (0..count).step_by(width) {
                    // SAFETY: the rows are inside X, and the panel has been packed; its results are inside the output,
                    // where no other thread writes. The token proves the features.
                    unsafe {
                        kernel(&Args {
                            rows: height,
                            depth: p.d,
                            x: x.at,
                            x_row: x.row,
                            x_step: x.column,
                            y: to.add(j * p.d),
                            out: out.add(j),
                            out_row: p.m,
                            last: width.min(count - j),
                            power: p.power,
                            weights: p.weights.as_ptr(),
                            room: room.ptr().cast(),
                        });
                    }
                }
                // SAFETY: the block has been written, and no other thread accesses it.
                finish(unsafe { Written::new([top, first], out, p.m, [height, count]) })?;
            }
        }
        Ok(())
    };
    let threads = if p.n.saturating_mul(p.m).saturating_mul(p.d) <= ALONE { 1 } else { threads };
    if p.n >= 4 * threads {
        split(threads, p.n, 4, |rows| part(rows, 0..p.m))
    } else {
        split(threads, p.m, width, |columns| part(0..p.n, columns))
    }
}
