//! Reductions, in the order that [`polyarray_core::order`] defines.
//!
//! [`source`](self::source) provides the elements. A [`Kind`] computes partial results of blocks. `along` and `across`
//! divide the work among threads and merge the partial results in the order of core's tree. [`emit`](self::emit) writes
//! the results.

mod across;
mod along;
mod best;
mod complex_products;
pub(crate) mod emit;
mod fold;
mod integers;
mod kind;
mod moments;
mod products;
pub(crate) mod source;
mod truths;

use crate::flat::Flat;
use crate::lanes::Isa;
use crate::tier::Tier;
use along::Lines;
use best::Best;
use complex_products::ComplexProducts;
use emit::Emit;
use fold::{Fold, Max, Min, Prod, Sum};
use integers::Integers;
use kind::Kernels;
use moments::Deviations;
use polyarray_core::op::{Operand, Reduce, Reduction};
use polyarray_core::order::{NARROW, Order};
use polyarray_core::{Buffer, Complex, DType, Instr, Kind, Program, Ref, Result, SmallReduce};
use products::Products;
use smallvec::SmallVec;
use source::Source;
use std::borrow::Cow;
use truths::Truths;

/// The reductions of a tier.
pub(crate) struct Table([[Option<Kernels>; DType::ALL.len()]; Reduction::ALL.len()]);

impl Table {
    /// Returns the reductions of tier `I`.
    pub(crate) const fn of<I: Isa>() -> Table {
        let mut table = [[None; DType::ALL.len()]; Reduction::ALL.len()];
        let mut k = 0;
        while k < Reduction::ALL.len() {
            let mut d = 0;
            while d < DType::ALL.len() {
                let (kind, dtype) = (Reduction::ALL[k], DType::ALL[d]);
                table[kind as usize][dtype as usize] = kernels::<I>(kind, dtype);
                d += 1;
            }
            k += 1;
        }
        Table(table)
    }

    fn get(&self, kind: Reduction, dtype: DType) -> Option<&Kernels> {
        self.0[kind as usize][dtype as usize].as_ref()
    }
}

/// Returns the kernels of a reduction of this dtype, if there are any.
const fn kernels<I: Isa>(kind: Reduction, dtype: DType) -> Option<Kernels> {
    macro_rules! sums {
        ($Float:ty, $Integer:ty, $Complex:ty) => {
            match dtype {
                DType::F32 => Kernels::of::<I, f32, $Float>(),
                DType::F64 => Kernels::of::<I, f64, $Float>(),
                // The low 64 bits are the same for signed and unsigned integers.
                DType::I64 | DType::U64 => Kernels::of::<I, i64, $Integer>().in_any_order(),
                DType::C32 => Kernels::of::<I, Complex<f32>, $Complex>(),
                DType::C64 => Kernels::of::<I, Complex<f64>, $Complex>(),
                _ => return None,
            }
        };
    }
    macro_rules! extrema {
        ($Kind:ident<$K:ident>, ends at $end:expr) => {
            match dtype {
                DType::F32 => Kernels::of::<I, f32, $Kind<$K>>(),
                DType::F64 => Kernels::of::<I, f64, $Kind<$K>>(),
                DType::I8 => Kernels::of::<I, i8, $Kind<$K>>().in_any_order(),
                DType::I16 => Kernels::of::<I, i16, $Kind<$K>>().in_any_order(),
                DType::I32 => Kernels::of::<I, i32, $Kind<$K>>().in_any_order(),
                DType::I64 => Kernels::of::<I, i64, $Kind<$K>>().in_any_order(),
                DType::U8 => Kernels::of::<I, u8, $Kind<$K>>().in_any_order(),
                // A bool is a byte of 0 or 1.
                DType::Bool => Kernels::of::<I, u8, $Kind<$K>>().ending_at($end),
                DType::U16 => Kernels::of::<I, u16, $Kind<$K>>().in_any_order(),
                DType::U32 => Kernels::of::<I, u32, $Kind<$K>>().in_any_order(),
                DType::U64 => Kernels::of::<I, u64, $Kind<$K>>().in_any_order(),
                DType::F16 | DType::BF16 | DType::C32 | DType::C64 => return None,
            }
        };
    }
    Some(match kind {
        // Sums of truth values and integers before they are converted to 64 bits: see `unconverted`.
        Reduction::Sum => match dtype {
            DType::Bool => Kernels::of::<I, u8, Truths>().in_any_order(),
            DType::I8 => Kernels::of::<I, i8, Integers>().in_any_order(),
            DType::I16 => Kernels::of::<I, i16, Integers>().in_any_order(),
            DType::I32 => Kernels::of::<I, i32, Integers>().in_any_order(),
            DType::U8 => Kernels::of::<I, u8, Integers>().in_any_order(),
            DType::U16 => Kernels::of::<I, u16, Integers>().in_any_order(),
            DType::U32 => Kernels::of::<I, u32, Integers>().in_any_order(),
            _ => sums!(Fold<Sum>, Fold<Sum>, Fold<Sum>),
        },
        Reduction::Prod => sums!(Products, Fold<Prod>, ComplexProducts),
        Reduction::Min => extrema!(Fold<Min>, ends at Some(0)),
        Reduction::Max => extrema!(Fold<Max>, ends at Some(1)),
        Reduction::ArgMin => extrema!(Best<Min>, ends at None),
        Reduction::ArgMax => extrema!(Best<Max>, ends at None),
        Reduction::Deviations => match dtype {
            DType::F32 => Kernels::of::<I, f32, Deviations>(),
            DType::F64 => Kernels::of::<I, f64, Deviations>(),
            _ => return None,
        },
    })
}

/// Returns whether [`run`] supports this reduction of this dtype.
pub(crate) fn has_kernel(tier: &Tier, kind: Reduction, dtype: DType) -> bool {
    tier.reductions.get(kind, dtype).is_some()
}

/// Reduces the elements of `work`. Returns `false`, with nothing written, if it is left to [`run`].
///
/// # Safety
/// - `work` keeps the invariants of [`SmallReduce`].
pub(crate) unsafe fn small(tier: &'static Tier, work: &SmallReduce) -> bool {
    let Some(kernels) = tier.reductions.get(work.kind, work.dtype) else { return false };
    // SAFETY: the caller guarantees the invariants, and the kernels are for this dtype.
    unsafe {
        if work.across {
            return across::small(kernels, work);
        }
        along::small(kernels, work);
    }
    true
}

/// Lines of at least this many elements that lie without gaps are reduced in place, not copied together.
const COPIED: usize = 64;

/// Runs a reduction that [`has_kernel`] accepts.
pub(crate) fn run(tier: &'static Tier, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    let before = unconverted(op.kind, &op.before);
    let kernels = tier
        .reductions
        .get(op.kind, before.output())
        .unwrap_or_else(|| unreachable!("`estimate` rejects reductions that have no kernel"));
    let lens: SmallVec<[usize; 8]> = op.outer.iter().chain(op.inner.iter()).copied().collect();
    let (last_outer, last) = (op.outer.len() - 1, lens.len() - 1);
    let emit = Emit::new(tier, &op.after, &op.after_params, &op.outer, &op.output, output);
    let source = |stepped| Source::new(tier, &before, &op.params, &lens, &op.inputs, stepped);
    let width = op.outer[last_outer];
    let rows_without_gaps = |i: &Operand| i.strides[last_outer] == 1 && i.strides[last] == width as isize;
    match op.order {
        Order::Rows => across::rows(kernels, &source(last_outer), op.outer.len(), threads, &emit),
        Order::Lanes
            if (2..=NARROW).contains(&width) && !op.kind.gives_index() && op.inputs.iter().all(rows_without_gaps) =>
        {
            across::narrow(kernels, &source(last_outer), op.outer.len(), threads, &emit)
        }
        Order::Lanes => {
            let source = source(last);
            let is_nearer_than_runs = |i: &Operand| {
                op.inner.len() > 1 && i.strides[last_outer].unsigned_abs() < i.strides[last - 1].unsigned_abs()
            };
            if width > 1
                && lens[last] <= kernels.block()
                && source.is_direct()
                && !op.kind.gives_index()
                && !kernels.may_be_decided()
                && op.inputs.iter().all(is_nearer_than_runs)
            {
                return across::lines(kernels, &source, op.outer.len(), threads, &emit);
            }
            let in_place = source.is_direct() && op.outer.len() == 1 && op.inner.len() == 1;
            let alone = op.outer.iter().chain(op.inner.iter()).product::<usize>() == lens[last];
            let (g, outer) = (&source.geometry, op.outer.len());
            let long_in_place = source.is_direct() && lens[last] >= COPIED;
            let flat = (lens[last] <= kernels.block() && !in_place && !long_in_place && !alone)
                .then(|| Flat::for_lines(tier, &before, &op.params, g, op.inputs.len()))
                .flatten();
            match flat {
                Some(flat) => Lines { kernels, flat: &flat, g, outer }.run(threads, &emit),
                None => along::run(kernels, &source, outer, threads, &emit),
            }
        }
    }
}

/// Returns the program before a sum without a final conversion of truth values or integers to 64 bits, if there is one:
/// narrow elements have kernels of their own.
fn unconverted(kind: Reduction, before: &Program) -> Cow<'_, Program> {
    if let Some((&Instr::Cast(DType::I64 | DType::U64, narrow), rest)) = before.instrs().split_last()
        && kind == Reduction::Sum
        && matches!(before.dtype_of(narrow).kind(), Kind::Bool | Kind::Int | Kind::Uint)
        && before.dtype_of(narrow).size() <= 4
        && before.result() == Ref::Value(rest.len() as u32)
        && let Ok(program) = Program::new(before.inputs(), before.params(), rest, narrow)
    {
        return Cow::Owned(program);
    }
    Cow::Borrowed(before)
}
