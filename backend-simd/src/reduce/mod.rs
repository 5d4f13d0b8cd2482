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
use polyarray_core::{Buffer, Complex, DType, Element, Result, SmallReduce};
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

/// Work that is generic over the kind of reduction.
trait Visit {
    type Out;
    fn visit<T: Element, K: Kind<T>>(self) -> Self::Out;
}

/// Calls `visit` with the kind and the element type of a reduction that [`has_kernel`] accepts.
fn dispatch<V: Visit>(kind: Reduction, dtype: DType, visit: V) -> V::Out {
    macro_rules! sums {
        ($Float:ty, $Integer:ty, $Complex:ty) => {
            match dtype {
                DType::F32 => visit.visit::<f32, $Float>(),
                DType::F64 => visit.visit::<f64, $Float>(),
                // The low 64 bits are the same for signed and unsigned integers.
                DType::I64 | DType::U64 => visit.visit::<i64, $Integer>(),
                DType::C32 => visit.visit::<Complex<f32>, $Complex>(),
                DType::C64 => visit.visit::<Complex<f64>, $Complex>(),
                other => unreachable!("`estimate` rejects {other}"),
            }
        };
    }
    macro_rules! extrema {
        ($Kind:ident<$K:ident>) => {
            match dtype {
                DType::F32 => visit.visit::<f32, $Kind<$K>>(),
                DType::F64 => visit.visit::<f64, $Kind<$K>>(),
                DType::I8 => visit.visit::<i8, $Kind<$K>>(),
                DType::I16 => visit.visit::<i16, $Kind<$K>>(),
                DType::I32 => visit.visit::<i32, $Kind<$K>>(),
                DType::I64 => visit.visit::<i64, $Kind<$K>>(),
                // A bool is a byte of 0 or 1.
                DType::U8 | DType::Bool => visit.visit::<u8, $Kind<$K>>(),
                DType::U16 => visit.visit::<u16, $Kind<$K>>(),
                DType::U32 => visit.visit::<u32, $Kind<$K>>(),
                DType::U64 => visit.visit::<u64, $Kind<$K>>(),
                other => unreachable!("`estimate` rejects {other}"),
            }
        };
    }
    match kind {
        Reduction::Sum => sums!(Fold<Sum>, Fold<Sum>, Fold<Sum>),
        Reduction::Prod => sums!(Products, Fold<Prod>, ComplexProducts),
        Reduction::Min => extrema!(Fold<Min>),
        Reduction::Max => extrema!(Fold<Max>),
        Reduction::ArgMin => extrema!(Best<Min>),
        Reduction::ArgMax => extrema!(Best<Max>),
        Reduction::Deviations if dtype == DType::F32 => visit.visit::<f32, Deviations>(),
        Reduction::Deviations => visit.visit::<f64, Deviations>(),
    }
}

/// Runs a reduction that [`has_kernel`] accepts.
pub(crate) fn run<I: Isa>(isa: I, op: &Reduce, threads: usize, output: &Buffer) -> Result<()> {
    struct Run<'a, I>(I, &'a Reduce, usize, &'a Buffer);
    impl<I: Isa> Visit for Run<'_, I> {
        type Out = Result<()>;
        fn visit<T: Element, K: Kind<T>>(self) -> Result<()> {
            run_with(&Kernels::of::<T, K>(self.0), self.1, self.2, self.3)
        }
    }
    dispatch(op.kind, op.before.output(), Run(isa, op, threads, output))
}

/// Reduces the elements of `work`. Returns `false`, with nothing written, if there is no kernel for it.
///
/// # Safety
/// - `work` keeps the invariants of [`SmallReduce`].
pub(crate) unsafe fn small<I: Isa>(isa: I, work: &SmallReduce) -> bool {
    struct Line<'a, I>(I, &'a SmallReduce);
    impl<I: Isa> Visit for Line<'_, I> {
        type Out = ();
        fn visit<T: Element, K: Kind<T>>(self) {
            let Line(isa, work) = self;
            let (kernels, mut run) = (Kernels::of::<T, K>(isa), kind::Run::new());
            for start in (0..work.len).step_by(kernels.block()) {
                let n = kernels.block().min(work.len - start);
                // SAFETY: `values` has elements `start..start + n` of the type of the kind (invariants of
                // `SmallReduce`, which the caller of `small` guarantees).
                unsafe { (kernels.push)(isa, &mut run, work.values.add(start * size_of::<T>()), n, start) };
            }
            let result = kernels.end(run).give();
            // SAFETY: `out` has room for one result and is aligned (invariants of `SmallReduce`).
            unsafe { work.out.cast::<<K::State as State>::Gives>().write(result) };
        }
    }
    let found = has_kernel(work.kind, work.dtype);
    if found {
        dispatch(work.kind, work.dtype, Line(isa, work));
    }
    found
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
