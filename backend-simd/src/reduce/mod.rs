//! Reductions, in the order that [`polyarray_core::order`] defines.
//!
//! [`source`](self::source) provides the elements. A [`Kind`] computes partial results of blocks. `along` and `across`
//! divide the work among threads and merge the partial results in the order of core's tree. [`emit`](self::emit) writes
//! the results.

mod across;
mod along;
mod best;
pub(crate) mod emit;
mod fold;
mod kind;
mod moments;
mod products;
pub(crate) mod source;

use crate::lanes::Isa;
use best::Best;
use emit::Emit;
use fold::{Fold, Max, Min, Prod, Sum};
use kind::{Kernels, Kind, State};
use moments::Deviations;
use polyarray_core::op::{Operand, Reduce, Reduction};
use polyarray_core::order::Order;
use polyarray_core::{Buffer, Complex, DType, Element, Result};
use products::{ComplexProducts, Products};
use smallvec::SmallVec;
use source::Source;

/// Returns whether [`run`] supports this reduction of this dtype.
pub(crate) fn has_kernel(kind: Reduction, dtype: DType) -> bool {
    match kind {
        Reduction::Sum | Reduction::Prod => {
            matches!(dtype, DType::I64 | DType::U64 | DType::F32 | DType::F64 | DType::C32 | DType::C64)
        }
        Reduction::Min | Reduction::Max | Reduction::ArgMin | Reduction::ArgMax => {
            !matches!(dtype, DType::F16 | DType::BF16 | DType::C32 | DType::C64)
        }
        Reduction::Deviations => matches!(dtype, DType::F32 | DType::F64),
    }
}

/// Runs a reduction that [`has_kernel`] accepts.
pub(crate) fn run<I: Isa>(isa: I, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    macro_rules! sums {
        ($Float:ty, $Integer:ty, $Complex:ty) => {
            match op.before.output() {
                DType::F32 => typed::<I, f32, $Float>(isa, op, threads, output),
                DType::F64 => typed::<I, f64, $Float>(isa, op, threads, output),
                // The low 64 bits are the same for signed and unsigned integers.
                DType::I64 | DType::U64 => typed::<I, i64, $Integer>(isa, op, threads, output),
                DType::C32 => typed::<I, Complex<f32>, $Complex>(isa, op, threads, output),
                DType::C64 => typed::<I, Complex<f64>, $Complex>(isa, op, threads, output),
                other => unreachable!("internal error: no kernel for {other}, so estimate should have rejected it"),
            }
        };
    }
    macro_rules! extrema {
        ($Kind:ident<$K:ident>) => {
            match op.before.output() {
                DType::F32 => typed::<I, f32, $Kind<$K>>(isa, op, threads, output),
                DType::F64 => typed::<I, f64, $Kind<$K>>(isa, op, threads, output),
                DType::I8 => typed::<I, i8, $Kind<$K>>(isa, op, threads, output),
                DType::I16 => typed::<I, i16, $Kind<$K>>(isa, op, threads, output),
                DType::I32 => typed::<I, i32, $Kind<$K>>(isa, op, threads, output),
                DType::I64 => typed::<I, i64, $Kind<$K>>(isa, op, threads, output),
                // A bool is a byte of 0 or 1.
                DType::U8 | DType::Bool => typed::<I, u8, $Kind<$K>>(isa, op, threads, output),
                DType::U16 => typed::<I, u16, $Kind<$K>>(isa, op, threads, output),
                DType::U32 => typed::<I, u32, $Kind<$K>>(isa, op, threads, output),
                DType::U64 => typed::<I, u64, $Kind<$K>>(isa, op, threads, output),
                other => unreachable!("internal error: no kernel for {other}, so estimate should have rejected it"),
            }
        };
    }
    match op.kind {
        Reduction::Sum => sums!(Fold<Sum>, Fold<Sum>, Fold<Sum>),
        Reduction::Prod => sums!(Products, Fold<Prod>, ComplexProducts),
        Reduction::Min => extrema!(Fold<Min>),
        Reduction::Max => extrema!(Fold<Max>),
        Reduction::ArgMin => extrema!(Best<Min>),
        Reduction::ArgMax => extrema!(Best<Max>),
        Reduction::Deviations if op.before.output() == DType::F32 => {
            typed::<I, f32, Deviations>(isa, op, threads, output)
        }
        Reduction::Deviations => typed::<I, f64, Deviations>(isa, op, threads, output),
    }
}

fn typed<I: Isa, T: Element, K: Kind<T>>(isa: I, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    run_with(&Kernels::of::<T, K>(isa), op, threads, output)
}

fn run_with<I: Isa, S: State>(kernels: &Kernels<I, S>, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    let isa = kernels.isa;
    let lens: SmallVec<[usize; 8]> = op.outer.iter().chain(op.inner.iter()).copied().collect();
    let (last_outer, last) = (op.outer.len() - 1, lens.len() - 1);
    let emit = Emit::new(isa, &op.after, &op.after_params, &op.outer, &op.output, output);
    let source = |stepped| Source::new(isa, &op.before, &op.params, &lens, &op.inputs, stepped);
    let width = op.outer[last_outer];
    let rows_without_gaps = |i: &Operand| i.strides[last_outer] == 1 && i.strides[last] == width as isize;
    match op.order {
        Order::Rows => across::rows(kernels, &source(last_outer), op.outer.len(), threads, &emit),
        Order::Lanes
            if width > 1 && width <= NARROW && !op.kind.gives_index() && op.inputs.iter().all(rows_without_gaps) =>
        {
            across::narrow(kernels, &source(last_outer), op.outer.len(), threads, &emit)
        }
        Order::Lanes => along::run(kernels, &source(last), op.outer.len(), threads, &emit),
    }
}

/// The largest number of adjacent outputs whose lanes are processed together.
const NARROW: usize = 16;
