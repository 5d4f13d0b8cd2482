//! Reductions, in the order that [`polyarray_core::order`] fixes.

use crate::exec::{Access, Exec, Produced, Strips};
use crate::lanes::{Float, Isa, Lanes, Real, Work};
use crate::strided::{Geometry, accesses, base, copy_strided};
use crate::threads::{Shared, split};
use polyarray_core::op::{Reduce, Reduction};
use polyarray_core::order::{Order, ROWS, Tree, lanes};
use polyarray_core::walk::walk_many;
use polyarray_core::{Buffer, DType, Element, Result};
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::sync::Mutex;

/// How two partial results of a type become one, and where lanes start.
trait Combine<T: Copy>: Send + Sync + 'static {
    const IDENTITY: T;
    fn combine(left: T, right: T) -> T;
    /// Combines a strip into lanes: element i into `acc[i % lanes]`, lanes being 256 bytes.
    ///
    /// # Safety
    /// - `acc` is valid for reads and writes of 256 bytes, `src` for reads of `n` elements.
    unsafe fn fold<I: Isa>(isa: I, acc: *mut T, src: *const T, n: usize);
}

struct Sum;
struct Prod;
struct Min;
struct Max;

/// The same combination over vectors.
trait CombineVectors<T: Real>: Combine<T> {
    fn vectors<V: Float>(left: V, right: V) -> V;
}

macro_rules! floats {
    ($($Name:ident, $T:ident, $identity:expr, |$a:ident, $b:ident| $scalar:expr, |$x:ident, $y:ident| $vector:expr;)*) => { $(
        impl Combine<$T> for $Name {
            const IDENTITY: $T = $identity;
            #[inline(always)]
            fn combine($a: $T, $b: $T) -> $T { $scalar }
            unsafe fn fold<I: Isa>(isa: I, acc: *mut $T, src: *const $T, n: usize) {
                isa.enter(FoldVectors::<$T, $Name>(acc, src, n, PhantomData));
            }
        }
        impl CombineVectors<$T> for $Name {
            #[inline(always)]
            fn vectors<V: Float>($x: V, $y: V) -> V { $vector }
        }
    )* };
}
macro_rules! float_type {
    ($T:ident) => {
        floats! {
            Sum, $T, -0.0, |a, b| a + b, |x, y| x.add(y);
            Prod, $T, 1.0, |a, b| a * b, |x, y| x.mul(y);
            Min, $T, $T::INFINITY, |a, b| if a < b || a.is_nan() { a } else { b }, |x, y| V::select(x.unordered(x), x, x.min(y));
            Max, $T, $T::NEG_INFINITY, |a, b| if a > b || a.is_nan() { a } else { b }, |x, y| V::select(x.unordered(x), x, x.max(y));
        }
    };
}
float_type!(f32);
float_type!(f64);

macro_rules! integers {
    ($($Name:ident, $T:ident, $identity:expr, |$a:ident, $b:ident| $combine:expr;)*) => { $(
        impl Combine<$T> for $Name {
            const IDENTITY: $T = $identity;
            #[inline(always)]
            fn combine($a: $T, $b: $T) -> $T { $combine }
            unsafe fn fold<I: Isa>(isa: I, acc: *mut $T, src: *const $T, n: usize) {
                isa.enter(FoldPlain::<$T, $Name>(acc, src, n, PhantomData));
            }
        }
    )* };
}
integers! {
    Sum, i64, 0, |a, b| a.wrapping_add(b);
    Prod, i64, 1, |a, b| a.wrapping_mul(b);
    Min, i64, i64::MAX, |a, b| a.min(b);
    Max, i64, i64::MIN, |a, b| a.max(b);
    Min, i32, i32::MAX, |a, b| a.min(b);
    Max, i32, i32::MIN, |a, b| a.max(b);
    Min, u8, 1, |a, b| a.min(b);
    Max, u8, 0, |a, b| a.max(b);
}

struct FoldVectors<T, K>(*mut T, *const T, usize, PhantomData<K>);

impl<T: Real, K: CombineVectors<T>> Work for FoldVectors<T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let FoldVectors(acc, src, n, _) = self;
        let (count, width) = (256 / size_of::<T>(), <T::V<I> as Lanes>::N);
        let vectors = count / width;
        let rows = n / count;
        // SAFETY: `acc` holds `count` elements, `src` n of them (contract of `fold`); there are at most 8 vectors of at least 32 bytes in 256.
        unsafe {
            let mut sums: [T::V<I>; 8] = std::array::from_fn(|v| T::V::<I>::load(isa, acc.add(v % vectors * width)));
            for row in 0..rows {
                for (v, sum) in sums.iter_mut().enumerate().take(vectors) {
                    *sum = K::vectors(*sum, T::V::<I>::load(isa, src.add(row * count + v * width)));
                }
            }
            for (v, sum) in sums.iter().enumerate().take(vectors) {
                sum.store(acc.add(v * width));
            }
            for i in rows * count..n {
                let lane = acc.add(i - rows * count);
                *lane = K::combine(*lane, *src.add(i));
            }
        }
    }
}

struct FoldPlain<T, K>(*mut T, *const T, usize, PhantomData<K>);

impl<T: Copy, K: Combine<T>> Work for FoldPlain<T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let FoldPlain(acc, src, n, _) = self;
        let count = 256 / size_of::<T>();
        for start in (0..n).step_by(count) {
            for lane in 0..count.min(n - start) {
                // SAFETY: `acc` holds `count` elements, `src` n of them (contract of `fold`).
                unsafe { *acc.add(lane) = K::combine(*acc.add(lane), *src.add(start + lane)) };
            }
        }
    }
}

/// `acc[i] = combine(acc[i], src[i])`.
struct Rowwise<'a, T, K>(&'a mut [T], *const T, PhantomData<K>);

impl<T: Copy, K: Combine<T>> Work for Rowwise<'_, T, K> {
    type Out = ();
    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (i, a) in self.0.iter_mut().enumerate() {
            // SAFETY: `src` has as many elements as `acc` (see its only caller).
            *a = K::combine(*a, unsafe { *self.1.add(i) });
        }
    }
}

/// Runs a reduction that [`has_kernel`] accepts.
pub(crate) fn run<I: Isa>(isa: I, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    macro_rules! by_type {
        ($K:ident) => {
            match op.before.output() {
                DType::F32 => typed::<I, f32, $K>(isa, op, threads, output),
                DType::F64 => typed::<I, f64, $K>(isa, op, threads, output),
                DType::I64 => typed::<I, i64, $K>(isa, op, threads, output),
                other => unreachable!("estimate refused {other}"),
            }
        };
        ($K:ident, too) => {
            match op.before.output() {
                DType::I32 => typed::<I, i32, $K>(isa, op, threads, output),
                DType::Bool => typed::<I, u8, $K>(isa, op, threads, output),
                _ => by_type!($K),
            }
        };
    }
    match op.kind {
        Reduction::Sum => by_type!(Sum),
        Reduction::Prod => by_type!(Prod),
        Reduction::Min => by_type!(Min, too),
        Reduction::Max => by_type!(Max, too),
    }
}

/// Whether [`run`] combines this way.
pub(crate) fn has_kernel(kind: Reduction, dtype: DType) -> bool {
    match dtype {
        DType::F32 | DType::F64 | DType::I64 => true,
        DType::I32 | DType::Bool => matches!(kind, Reduction::Min | Reduction::Max),
        _ => false,
    }
}

fn typed<I: Isa, T: Element, K: Combine<T>>(isa: I, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    let geometry = Geometry::new(&op.outer.iter().chain(op.inner.iter()).copied().collect::<SmallVec<[usize; 8]>>(), &op.inputs);
    let stepped = match op.order {
        Order::Lanes => op.outer.len() + op.inner.len() - 1,
        Order::Rows => op.outer.len() - 1,
    };
    let access = accesses(op.inputs.iter().map(|i| i.strides[stepped]));
    let exec = Exec::new(isa, &op.before, &op.params, &access, false).unwrap_or_else(|| unreachable!("estimate refused this program"));
    let reducer = Reducer::<I, T, K> { isa, exec, geometry, outer: op.outer.len(), stepped, combine: PhantomData };
    let mut totals = vec![K::IDENTITY; op.outer.size()];
    match op.order {
        Order::Rows => reducer.rows(threads, &mut totals)?,
        Order::Lanes if totals.len() >= threads => reducer.runs(threads, &mut totals)?,
        Order::Lanes => {
            for (number, total) in totals.iter_mut().enumerate() {
                *total = reducer.one_run_on_threads(threads, number)?;
            }
        }
    }
    finish(isa, op, &totals, output)
}

/// Applies `after` to the totals and writes them.
fn finish<I: Isa, T: Element>(isa: I, op: &Reduce, totals: &[T], output: &Buffer) -> Result<()> {
    let exec = Exec::new(isa, &op.after, &op.after_params, &[Access::Contiguous], false).unwrap_or_else(|| unreachable!("estimate refused this program"));
    let mut strips = exec.strips()?;
    let size = op.output.dtype.size();
    let to = base(output, op.output.dtype, op.output.offset);
    let strides: [&[isize]; 1] = [&op.output.strides];
    for (chunk_number, chunk) in totals.chunks(exec.strip).enumerate() {
        // SAFETY: the chunk is an operand of that length; the output's indices are inside its buffer (invariants of `Reduce`).
        unsafe {
            let produced = exec.run(&mut strips, &[chunk.as_ptr().cast()], chunk.len(), std::ptr::null_mut(), |_, _| {});
            let (from, step) = match produced {
                Produced::Strip(from) => (from, size),
                Produced::Single(from) => (from, 0),
                Produced::Written => unreachable!("not made to write directly"),
            };
            let (first, mut i) = (chunk_number * exec.strip, 0);
            walk_many(&op.outer, &strides, &[0], first..first + chunk.len(), |at| {
                copy_strided(from.add(i * step), 0, to.offset(at[0] * size as isize), 1, 1, size);
                i += 1;
            });
        }
    }
    Ok(())
}

struct Reducer<I, T, K> {
    isa: I,
    exec: Exec<I>,
    geometry: Geometry,
    /// How many of the geometry's axes are outer ones.
    outer: usize,
    /// The axis that strips go along.
    stepped: usize,
    combine: PhantomData<fn() -> (T, K)>,
}

// SAFETY: the geometry's pointers are only read.
unsafe impl<I: Isa, T, K> Sync for Reducer<I, T, K> {}

fn combine_into<T: Copy, K: Combine<T>>(left: &mut T, right: T) {
    *left = K::combine(*left, right);
}

impl<I: Isa, T: Element, K: Combine<T>> Reducer<I, T, K> {
    fn inputs(&self) -> usize {
        self.geometry.bases.len()
    }

    fn strides(&self) -> SmallVec<[&[isize]; 8]> {
        self.geometry.strides.iter().map(|s| &s[..]).collect()
    }

    /// The address of operand `o`, `offset` elements from its index zero and `i` steps along the strips' axis.
    fn address(&self, o: usize, offset: isize, i: usize) -> *const u8 {
        let g = &self.geometry;
        g.bases[o].wrapping_offset((offset + i as isize * g.strides[o][self.stepped]) * g.sizes[o] as isize)
    }

    /// What `before` gives for `n` elements from the `i`-th along the strips' axis.
    fn strip(&self, strips: &mut Strips, offsets: &[isize], i: usize, n: usize, single: &mut Vec<T>) -> *const T {
        let at: SmallVec<[*const u8; 8]> = (0..self.inputs()).map(|o| self.address(o, offsets[o], i)).collect();
        let g = &self.geometry;
        // SAFETY: indices inside the operands (invariants of `Reduce`); nothing is written directly.
        let produced = unsafe {
            self.exec.run(strips, &at, n, std::ptr::null_mut(), |o, to| {
                copy_strided(self.address(o, offsets[o], i), g.strides[o][self.stepped], to, 1, n, g.sizes[o])
            })
        };
        match produced {
            Produced::Strip(from) => from.cast(),
            Produced::Single(from) => {
                single.clear();
                // SAFETY: one value of the accumulated type.
                single.resize(n, unsafe { *from.cast::<T>() });
                single.as_ptr()
            }
            Produced::Written => unreachable!("not made to write directly"),
        }
    }

    /// One block of a run: lanes, then their tree.
    fn block(&self, strips: &mut Strips, offsets: &[isize], start: usize, end: usize, single: &mut Vec<T>) -> T {
        let count = lanes(T::DTYPE);
        let mut acc = [K::IDENTITY; 256];
        let most = if self.exec.is_unbounded() { usize::MAX } else { (self.exec.strip / count * count).max(count) };
        let mut i = start;
        while i < end {
            let n = most.min(end - i);
            let src = self.strip(strips, offsets, i, n, single);
            // SAFETY: `acc` has at least `count` elements, which are 256 bytes; the strip has n.
            unsafe { K::fold(self.isa, acc.as_mut_ptr(), src, n) };
            i += n;
        }
        let mut half = count / 2;
        while half > 0 {
            for l in 0..half {
                acc[l] = K::combine(acc[l], acc[l + half]);
            }
            half /= 2;
        }
        acc[0]
    }

    /// Blocks `blocks` of a run of `len` elements, as one subtree.
    fn blocks(&self, strips: &mut Strips, offsets: &[isize], len: usize, blocks: std::ops::Range<usize>, single: &mut Vec<T>) -> T {
        let size = lanes(T::DTYPE) * ROWS;
        let mut tree = Tree::new();
        for b in blocks {
            tree.push(self.block(strips, offsets, b * size, len.min((b + 1) * size), single), combine_into::<T, K>);
        }
        tree.finish(combine_into::<T, K>).unwrap_or(K::IDENTITY)
    }

    /// The total of one output: a tree over its runs.
    fn total(&self, strips: &mut Strips, offsets: &[isize], single: &mut Vec<T>) -> T {
        let (lens, strides) = (&self.geometry.lens, self.strides());
        let len = lens[self.stepped];
        let runs = &lens[self.outer..self.stepped];
        let inner: SmallVec<[&[isize]; 8]> = strides.iter().map(|s| &s[self.outer..]).collect();
        let mut tree = Tree::new();
        walk_many(runs, &inner, offsets, 0..runs.iter().product(), |at| {
            let blocks = len.div_ceil(lanes(T::DTYPE) * ROWS);
            tree.push(self.blocks(strips, at, len, 0..blocks, single), combine_into::<T, K>);
        });
        tree.finish(combine_into::<T, K>).unwrap_or(K::IDENTITY)
    }

    /// Every output on one thread, the outputs split between threads.
    fn runs(&self, threads: usize, totals: &mut [T]) -> Result<()> {
        let out = Shared(totals.as_mut_ptr());
        split(threads, totals.len(), 1, |range| {
            let (mut strips, mut single, mut number) = (self.exec.strips()?, Vec::new(), range.start);
            walk_many(&self.geometry.lens[..self.outer], &self.strides(), &vec![0; self.inputs()], range, |at| {
                let total = self.total(&mut strips, at, &mut single);
                // SAFETY: threads have disjoint ranges of the totals.
                unsafe { *out.get().add(number) = total };
                number += 1;
            });
            Ok(())
        })
    }

    /// One output on many threads: full subtrees of its blocks (or of its runs, if there are several) are built apart.
    fn one_run_on_threads(&self, threads: usize, number: usize) -> Result<T> {
        let (lens, strides) = (&self.geometry.lens, self.strides());
        let mut offsets: SmallVec<[isize; 8]> = SmallVec::new();
        walk_many(&lens[..self.outer], &strides, &vec![0; self.inputs()], number..number + 1, |at| offsets = at.into());
        let len = lens[self.stepped];
        let runs = &lens[self.outer..self.stepped];
        let run_count: usize = runs.iter().product();
        let block_count = len.div_ceil(lanes(T::DTYPE) * ROWS);
        let leaves = if run_count > 1 { run_count } else { block_count };
        // A power of two, so that a chunk is a subtree; several for each thread.
        let level = (leaves / (threads * 4)).max(1).ilog2();
        let chunk = 1usize << level;
        let partial = Mutex::new(vec![K::IDENTITY; leaves.div_ceil(chunk)]);
        split(threads, leaves, chunk, |range| {
            let (mut strips, mut single) = (self.exec.strips()?, Vec::new());
            let inner: SmallVec<[&[isize]; 8]> = strides.iter().map(|s| &s[self.outer..]).collect();
            for start in range.clone().step_by(chunk) {
                let end = (start + chunk).min(range.end);
                let result = if run_count > 1 {
                    let mut tree = Tree::new();
                    walk_many(runs, &inner, &offsets, start..end, |at| {
                        tree.push(self.blocks(&mut strips, at, len, 0..block_count, &mut single), combine_into::<T, K>)
                    });
                    tree.finish(combine_into::<T, K>).unwrap_or(K::IDENTITY)
                } else {
                    self.blocks(&mut strips, &offsets, len, start..end, &mut single)
                };
                partial.lock().unwrap_or_else(|p| p.into_inner())[start / chunk] = result;
            }
            Ok(())
        })?;
        let mut tree = Tree::new();
        for (i, p) in partial.into_inner().unwrap_or_else(|p| p.into_inner()).into_iter().enumerate() {
            // The last chunk may be a smaller subtree; nothing follows it, so its level does not matter.
            let full = (i + 1) * chunk <= leaves;
            tree.push_level(p, if full { level } else { 0 }, combine_into::<T, K>);
        }
        Ok(tree.finish(combine_into::<T, K>).unwrap_or(K::IDENTITY))
    }

    /// Outputs along the innermost outer axis at once: strips of them walk the reduced indices.
    fn rows(&self, threads: usize, totals: &mut [T]) -> Result<()> {
        let (lens, strides) = (&self.geometry.lens, self.strides());
        let width = lens[self.stepped];
        let strip = self.exec.strip.min(width);
        let per_row = width.div_ceil(strip);
        let lines: usize = lens[..self.stepped].iter().product();
        let inner_lens = &lens[self.outer..];
        let inner: SmallVec<[&[isize]; 8]> = strides.iter().map(|s| &s[self.outer..]).collect();
        let reduced: usize = inner_lens.iter().product();
        let out = Shared(totals.as_mut_ptr());
        split(threads, lines * per_row, 1, |range| {
            let (mut strips, mut single) = (self.exec.strips()?, Vec::new());
            for part in range {
                let (line, first) = (part / per_row, part % per_row * strip);
                let n = strip.min(width - first);
                let mut start: SmallVec<[isize; 8]> = SmallVec::new();
                walk_many(&lens[..self.stepped], &strides, &vec![0; self.inputs()], line..line + 1, |at| start = at.into());
                let mut tree: Tree<Vec<T>> = Tree::new();
                let combine = |left: &mut Vec<T>, right: Vec<T>| self.isa.enter(Rowwise::<T, K>(left, right.as_ptr(), PhantomData));
                for block in (0..reduced).step_by(ROWS) {
                    let mut acc = vec![K::IDENTITY; n];
                    walk_many(inner_lens, &inner, &start, block..reduced.min(block + ROWS), |at| {
                        let src = self.strip(&mut strips, at, first, n, &mut single);
                        self.isa.enter(Rowwise::<T, K>(&mut acc, src, PhantomData));
                    });
                    tree.push(acc, combine);
                }
                let result = tree.finish(combine).unwrap_or_default();
                // SAFETY: threads have disjoint parts of the totals, `n` of which belong to this one.
                unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), out.get().add(line * width + first), n) };
            }
            Ok(())
        })
    }
}
