//! Random numbers: blocks of the generator in vectors, and plain loops that convert them.
//!
//! The samplers of [`elements`](polyarray_core::random::elements) are compiled for each tier, so that their bits are
//! those of `scalar`. The few words that a sampler rejects are found afterwards, and their elements are computed one
//! by one.

use crate::lanes::{Body, Isa};
use crate::strided::base;
use crate::threads::{Shared, split};
use half::slice::HalfFloatSliceExt;
use polyarray_core::op::{Distribution, Random};
use polyarray_core::random::elements::{
    Bernoulli, Beta, Binomial, Broad, ElementStream, Exponential, Gamma, Middle, Narrow, Normal, Poisson, Sampler,
    Uniform, Word, block, element_block,
};
use polyarray_core::{Buffer, DType, Element, Result, Wide, bf16, f16, with_dtype};
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// The number of blocks that are computed at once: 1 KiB.
const BLOCKS: usize = 64;
/// The bytes of a block.
const BLOCK: usize = 16;
/// The largest number of elements of [`BLOCKS`] blocks.
const ELEMENTS: usize = BLOCKS * BLOCK / 4;
/// The number of elements among which rejected words are searched at once.
const GROUP: usize = 16;
/// The smallest number of elements for a thread.
const UNIT: usize = 1 << 12;

/// Runs the operation and writes its result to `out`.
///
/// # Errors
/// None: it allocates no memory.
pub(crate) fn run(table: &Table, op: &Random, threads: usize, out: &Buffer) -> Result<()> {
    let cx = Context { op, threads, out };
    let (dtype, floats) = (op.dtype, &table.floats);
    match op.distribution {
        Distribution::Uniform { low, high } if dtype == DType::F64 => {
            cx.sampled(floats.uniform64, Uniform::<f64>::new(dtype, low, high))
        }
        Distribution::Uniform { low, high } => cx.rounded(floats.uniform32, Uniform::<f32>::new(dtype, low, high)),
        Distribution::Normal { mean, std } if dtype == DType::F64 => {
            cx.sampled(floats.normal64, Normal::<f64>::new(mean, std))
        }
        Distribution::Normal { mean, std } => cx.rounded(floats.normal32, Normal::<f32>::new(mean, std)),
        Distribution::Exponential { scale } if dtype == DType::F64 => {
            cx.sampled(floats.exponential64, Exponential::<f64>::new(scale))
        }
        Distribution::Exponential { scale } => cx.rounded(floats.exponential32, Exponential::<f32>::new(scale)),
        Distribution::Integers { low, count } => match op.distribution.words(dtype) {
            1 => cx.integers(&table.narrow, Narrow::new(low, count)),
            _ if (1..=1 << 32).contains(&count) => cx.integers(&table.middle, Middle::new(low, count)),
            _ => cx.integers(&table.broad, Broad::new(low, count)),
        },
        Distribution::Bernoulli { p } => cx.sampled(table.bernoulli, Bernoulli::new(p)),
        Distribution::Gamma { alpha, scale } => {
            let gamma = Gamma::new(alpha, scale);
            let fast = |blocks: &Blocks, values: &mut [f64; BLOCKS], rejected: &mut [u64; BLOCKS]| {
                // SAFETY: the pointers are those of references. The CPU has the features of the tier whose table has
                // the kernel.
                unsafe { (table.gammas)(&(gamma, &raw const *blocks, &raw mut *values, &raw mut *rejected)) };
            };
            cx.streamed(table.first_blocks, fast, Wide::Float, |stream| gamma.draw(stream))
        }
        Distribution::Beta { a, b } => {
            let beta = Beta::new(a, b);
            cx.streamed(table.first_blocks, each_drawn, Wide::Float, |stream| beta.draw(stream))
        }
        Distribution::Poisson { mean } => {
            let poisson = Poisson::new(mean);
            cx.streamed(table.first_blocks, each_drawn, whole, |stream| poisson.draw(stream))
        }
        Distribution::Binomial { n, p } => {
            let binomial = Binomial::new(n, p);
            cx.streamed(table.first_blocks, each_drawn, whole, |stream| binomial.draw(stream))
        }
    }
}

/// A running operation.
struct Context<'a> {
    op: &'a Random,
    threads: usize,
    out: &'a Buffer,
}

impl Context<'_> {
    /// Returns the output, whose elements are `T`s or have their size.
    fn output<T>(&self) -> Shared<T> {
        assert_eq!(size_of::<T>(), self.op.dtype.size());
        Shared(base(self.out, self.op.dtype, 0).cast::<T>())
    }

    /// Runs a kernel on parts of the output.
    fn sampled<S: Sampler, T>(&self, kernel: Kernel<S, T>, sampler: S) -> Result<()> {
        let out = self.output::<T>();
        split(self.threads, self.op.len, UNIT, |range| {
            let (key, position) = (self.op.key, self.op.at(range.start));
            // SAFETY: the output has room for `op.len` elements, and threads have disjoint ranges of them. The CPU has
            // the features of the tier whose table has the kernel.
            unsafe {
                let out = out.get().add(range.start);
                kernel(&Job { sampler, key, position, out, len: range.len() });
            }
            Ok(())
        })
    }

    /// As [`sampled`](Self::sampled) for a sampler of f32, whose results are rounded to the dtype.
    fn rounded<S: Sampler<Out = f32>>(&self, kernel: Kernel<S, f32>, sampler: S) -> Result<()> {
        match self.op.dtype {
            DType::F32 => self.sampled(kernel, sampler),
            DType::F16 => self.converted(kernel, sampler, |from, to: &mut [f16]| to.convert_from_f32_slice(from)),
            DType::BF16 => self.converted(kernel, sampler, |from, to: &mut [bf16]| to.convert_from_f32_slice(from)),
            dtype => unreachable!("core draws no {dtype} from a sampler of floats"),
        }
    }

    /// Runs a kernel on a strip at a time, and converts the strips.
    fn converted<S: Sampler, T: Copy + Default>(
        &self,
        kernel: Kernel<S, f32>,
        sampler: S,
        convert: impl Fn(&[f32], &mut [T]) + Sync,
    ) -> Result<()> {
        let out = self.output::<T>();
        split(self.threads, self.op.len, UNIT, |range| {
            let (mut wide, mut narrow) = ([0f32; ELEMENTS], [T::default(); ELEMENTS]);
            for first in range.clone().step_by(ELEMENTS) {
                let len = ELEMENTS.min(range.end - first);
                let (key, position) = (self.op.key, self.op.at(first));
                // SAFETY: the strip has room for `len` elements. The CPU has the features of the tier whose table has
                // the kernel.
                unsafe { kernel(&Job { sampler, key, position, out: wide.as_mut_ptr(), len }) };
                convert(&wide[..len], &mut narrow[..len]);
                // SAFETY: the output has room for `op.len` elements, of which threads have disjoint ranges, and
                // `first + len` is at most the end of this one.
                unsafe { std::ptr::copy_nonoverlapping(narrow.as_ptr(), out.get().add(first), len) };
            }
            Ok(())
        })
    }

    /// Draws integers in two's complement, of which an element takes the low bits.
    fn integers<S: Sampler<Out = u64>>(&self, kernels: &Integers<S>, sampler: S) -> Result<()> {
        match self.op.dtype.size() {
            1 => self.sampled(kernels.u8, sampler),
            2 => self.sampled(kernels.u16, sampler),
            4 => self.sampled(kernels.u32, sampler),
            _ => self.sampled(kernels.u64, sampler),
        }
    }

    /// Writes elements that are computed from their streams. `fast` computes the values that the first blocks of the
    /// streams determine, and states with 1 instead of 0 which blocks are rejected; `draw` computes those elements.
    fn streamed<V: Copy + Default>(
        &self,
        first_blocks: FirstBlocks,
        fast: impl Fn(&Blocks, &mut [V; BLOCKS], &mut [u64; BLOCKS]) + Sync,
        wide: fn(V) -> Wide,
        draw: impl Fn(&mut ElementStream) -> V + Sync,
    ) -> Result<()> {
        let (key, step) = (self.op.key, self.op.distribution.words(self.op.dtype));
        let out = Shared(base(self.out, self.op.dtype, 0));
        split(self.threads, self.op.len, UNIT / 16, |range| {
            let (mut blocks, mut values, mut rejected) = ([[0; 2]; BLOCKS], [V::default(); BLOCKS], [0; BLOCKS]);
            for first in range.clone().step_by(BLOCKS) {
                let len = BLOCKS.min(range.end - first);
                let elements = Elements { key, first: self.op.at(first), step };
                // SAFETY: the CPU has the features of the tier whose table has the function.
                unsafe { first_blocks(&(elements, &raw mut blocks)) };
                fast(&blocks, &mut values, &mut rejected);
                for (i, value) in values[..len].iter_mut().enumerate().filter(|(i, _)| rejected[*i] != 0) {
                    *value = draw(&mut ElementStream::begun(key, self.op.at(first + i), blocks[i]));
                }
                with_dtype!(self.op.dtype, T => for (i, value) in (first..).zip(&values[..len]) {
                    // SAFETY: the output has room for `op.len` elements of this dtype, of which threads have disjoint
                    // ranges.
                    unsafe { out.get().cast::<T>().add(i).write(T::from_wide(wide(*value))) };
                });
            }
            Ok(())
        })
    }
}

/// The first blocks of the streams of some elements.
type Blocks = [[u64; 2]; BLOCKS];

/// Rejects all blocks, for distributions whose elements are computed one by one.
fn each_drawn<V>(_: &Blocks, _: &mut [V; BLOCKS], rejected: &mut [u64; BLOCKS]) {
    rejected.fill(1);
}

/// Widens a count.
fn whole(count: i64) -> Wide {
    Wide::Int(count.into())
}

/// The elements that a kernel computes.
struct Job<S, T> {
    sampler: S,
    key: [u32; 2],
    /// The position in the stream of the first element.
    position: u64,
    out: *mut T,
    len: usize,
}

/// Computes the elements of a job.
///
/// # Safety
/// - `out` is aligned and valid for writes of `len` elements;
/// - the CPU has the features of the tier for which the kernel was compiled.
type Kernel<S, T> = unsafe fn(&Job<S, T>);

/// Consecutive elements whose numbers come from their own streams.
struct Elements {
    key: [u32; 2],
    /// The position of the first element.
    first: u64,
    /// The distance of positions.
    step: u64,
}

/// Computes the first blocks of the streams of [`BLOCKS`] elements.
///
/// # Safety
/// - The blocks are valid for writes.
/// - The CPU has the features of the tier for which the function was compiled.
type FirstBlocks = unsafe fn(&(Elements, *mut Blocks));

struct Begun;

impl Body for Begun {
    type Args = (Elements, *mut Blocks);
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, (elements, blocks): &Self::Args) {
        let Elements { key, first, step } = *elements;
        // SAFETY: the caller guarantees writable blocks, which are not read.
        let blocks = unsafe { &mut **blocks };
        for (i, block) in (0..).zip(blocks) {
            *block = element_block(key, first.wrapping_add(step.wrapping_mul(i)));
        }
    }
}

/// The values of a gamma distribution for first blocks, and whether the blocks are rejected.
type GammaJob = (Gamma, *const Blocks, *mut [f64; BLOCKS], *mut [u64; BLOCKS]);

struct Gammas;

impl Body for Gammas {
    type Args = GammaJob;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, &(gamma, blocks, values, rejected): &GammaJob) {
        // SAFETY: the caller guarantees valid pointers; nothing else accesses the values and the flags.
        let (blocks, values, rejected) = unsafe { (&*blocks, &mut *values, &mut *rejected) };
        for ((block, value), rejected) in blocks.iter().zip(values).zip(rejected) {
            (*value, *rejected) = gamma.fast(*block);
        }
    }
}

/// The kernels of a tier.
pub(crate) struct Table {
    floats: Floats,
    narrow: Integers<Narrow>,
    middle: Integers<Middle>,
    broad: Integers<Broad>,
    bernoulli: Kernel<Bernoulli, bool>,
    first_blocks: FirstBlocks,
    gammas: unsafe fn(&GammaJob),
}

struct Floats {
    uniform32: Kernel<Uniform<f32>, f32>,
    uniform64: Kernel<Uniform<f64>, f64>,
    normal32: Kernel<Normal<f32>, f32>,
    normal64: Kernel<Normal<f64>, f64>,
    exponential32: Kernel<Exponential<f32>, f32>,
    exponential64: Kernel<Exponential<f64>, f64>,
}

/// The kernels of a sampler of integers, for each size of elements.
struct Integers<S> {
    u8: Kernel<S, u8>,
    u16: Kernel<S, u16>,
    u32: Kernel<S, u32>,
    u64: Kernel<S, u64>,
}

impl Table {
    /// Returns the kernels of tier `I`.
    pub(crate) const fn of<I: Isa>() -> Table {
        const fn integers<I: Isa, S: Sampler<Out = u64>>() -> Integers<S> {
            Integers {
                u8: I::kernel::<Drawn<S, u8>>,
                u16: I::kernel::<Drawn<S, u16>>,
                u32: I::kernel::<Drawn<S, u32>>,
                u64: I::kernel::<Drawn<S, u64>>,
            }
        }
        Table {
            floats: Floats {
                uniform32: I::kernel::<Drawn<Uniform<f32>, f32>>,
                uniform64: I::kernel::<Drawn<Uniform<f64>, f64>>,
                normal32: I::kernel::<Drawn<Normal<f32>, f32>>,
                normal64: I::kernel::<Drawn<Normal<f64>, f64>>,
                exponential32: I::kernel::<Drawn<Exponential<f32>, f32>>,
                exponential64: I::kernel::<Drawn<Exponential<f64>, f64>>,
            },
            narrow: integers::<I, Narrow>(),
            middle: integers::<I, Middle>(),
            broad: integers::<I, Broad>(),
            bernoulli: I::kernel::<Drawn<Bernoulli, bool>>,
            first_blocks: I::kernel::<Begun>,
            gammas: I::kernel::<Gammas>,
        }
    }
}

/// A type in which results of a sampler are stored.
trait Stored<X> {
    fn stored(x: X) -> Self;
}

macro_rules! stored {
    ($($from:ident as $to:ident)*) => { $(
        impl Stored<$from> for $to {
            #[inline(always)]
            fn stored(x: $from) -> $to {
                x as $to
            }
        }
    )* };
}
stored!(f32 as f32 f64 as f64 bool as bool u64 as u8 u64 as u16 u64 as u32 u64 as u64);

/// Elements of a sampler, stored as `T`.
struct Drawn<S, T>(PhantomData<(S, T)>);

impl<S: Sampler, T: Stored<S::Out>> Body for Drawn<S, T> {
    type Args = Job<S, T>;
    #[inline(always)]
    unsafe fn run<I: Isa>(_: I, job: &Job<S, T>) {
        // SAFETY: the caller guarantees `len` writable elements, which are not read.
        let out = unsafe { std::slice::from_raw_parts_mut(job.out.cast::<MaybeUninit<T>>(), job.len) };
        let (key, word) = (job.key, 4 * S::Word::WORDS as usize);
        // The first block holds the words at the position, unless that is the start of a block.
        let mut blocks = [[0u8; BLOCK]; BLOCKS + 1];
        let (mut number, mut position) = (job.position / 4, job.position);
        let start = match 4 * (position % 4) as usize {
            0 => BLOCK,
            start => {
                fill(key, number, &mut blocks[..1]);
                number = number.wrapping_add(1);
                start
            }
        };
        for out in out.chunks_mut(BLOCKS * BLOCK / word) {
            let end = start + out.len() * word;
            let filled = (end - 1) / BLOCK;
            fill(key, number, &mut blocks[1..=filled]);
            convert(&job.sampler, key, position, &blocks.as_flattened()[start..end], out);
            blocks[0] = blocks[BLOCKS];
            number = number.wrapping_add(BLOCKS as u64);
            position = position.wrapping_add(out.len() as u64 * S::Word::WORDS);
        }
    }
}

/// Writes consecutive blocks of the stream.
#[inline(always)]
fn fill(key: [u32; 2], first: u64, blocks: &mut [[u8; BLOCK]]) {
    for (i, to) in (0..).zip(blocks) {
        let [low, high] = block(key, first.wrapping_add(i));
        to[..8].copy_from_slice(&low.to_le_bytes());
        to[8..].copy_from_slice(&high.to_le_bytes());
    }
}

/// Writes the elements of the words in `bytes`, the first of which is at `position`. There are at most [`ELEMENTS`].
#[inline(always)]
fn convert<S: Sampler, T: Stored<S::Out>>(
    sampler: &S,
    key: [u32; 2],
    position: u64,
    bytes: &[u8],
    out: &mut [MaybeUninit<T>],
) {
    if !S::REJECTS {
        for (to, word) in out.iter_mut().zip(S::Word::all(bytes)) {
            to.write(T::stored(sampler.fast(word).0));
        }
        return;
    }
    let none = S::Word::default();
    let mut rejected = [none; ELEMENTS];
    let rejected = &mut rejected[..out.len()];
    for ((to, word), rejected) in out.iter_mut().zip(S::Word::all(bytes)).zip(&mut *rejected) {
        let (value, is_rejected) = sampler.fast(word);
        to.write(T::stored(value));
        *rejected = is_rejected;
    }
    if rejected.iter().fold(none, |all, &one| all | one) == none {
        return;
    }
    for (first, group) in (0..).step_by(GROUP).zip(rejected.chunks(GROUP)) {
        if group.iter().fold(none, |all, &one| all | one) == none {
            continue;
        }
        for (i, _) in (first..).zip(group).filter(|(_, one)| **one != none) {
            let word = S::Word::all(&bytes[4 * S::Word::WORDS as usize * i..]).next();
            let word = word.expect("each element has a word");
            let position = position.wrapping_add(i as u64 * S::Word::WORDS);
            out[i].write(T::stored(sampler.slow(word, &mut ElementStream::new(key, position))));
        }
    }
}
