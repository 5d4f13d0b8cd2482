//! Fast path: reductions of small host arrays, without a plan.

use super::{Finish, Of, Request, accumulator, cast, divisor, floating, lower, result_layout, undamaged};
use crate::array::Axes;
use crate::expr::{Expr, RawArray, SharedArray, Tape};
use crate::fast::{self, COPIED, Key, Quick, SMALL};
use crate::layout::{Layout, MAX_NDIM, Strides};
use crate::op::Reduction;
use crate::order::Order;
use crate::program::{Instr, Ref};
use crate::small::{Small, SmallMap, SmallReduce};
use crate::walk::{dense, gather};
use crate::{Buffer, DType, Dims, Element, Kind, Scalar, Unary, bytes, canon};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Identifies reductions in the keys of cached choices.
const REDUCE: u64 = 2 << 48;

/// Returns the reduction of all elements of an expression. Returns `None` if it is left to the regular path, which also
/// finds all errors.
pub(super) fn total<T: Element>(x: &Expr<T>, request: &Request) -> Quick<Option<Scalar>> {
    const AXES: [usize; MAX_NDIM] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let all = |shape: &Dims| Some(SmallVec::from_slice(&AXES[..shape.len()]));
    with_numbers(x, request, all, |numbers| {
        // Zero is a valid element of every dtype.
        let mut result = [0u128; 1];
        let result: &mut [u8] = bytemuck::cast_slice_mut(&mut result);
        // SAFETY: 16 bytes with their alignment have room for a result of any dtype, of which there is one if all axes
        // are reduced, and nothing else accesses them.
        let done = unsafe { reduce(numbers, request, result.as_mut_ptr()) }?;
        Ok(done.then(|| Scalar::from_bytes(request.to, &result[..request.to.size()])))
    })
}

/// Returns the reduction over some axes, as [`total`] over all.
pub(super) fn over<T: Element>(x: &Expr<T>, request: &Request, axes: &Axes) -> Quick<Option<RawArray>> {
    // The axes are checked first, because the regular path would compute the numbers again.
    let Ok(shape) = x.shape() else { return Ok(None) };
    let Ok(reduced) = axes.resolve(request.name, shape.len()) else { return Ok(None) };
    if request.kind.gives_index() && reduced.len() != 1 {
        return Ok(None);
    }
    let given = |found: &Dims| (*found == shape).then(|| reduced.clone());
    with_numbers(x, request, given, |numbers| {
        let mut buffer = Buffer::elements(request.to, numbers.matrix.outputs)?;
        let bytes = numbers.matrix.outputs * request.to.size();
        let Some(results) = bytes::room(&mut buffer, 0, bytes) else { return Ok(None) };
        // SAFETY: `results` has room for all results in a new buffer.
        let done = unsafe { reduce(numbers, request, results.as_mut_ptr().cast()) }?;
        let shown = axes.shown(&shape, &reduced);
        let layout = match &numbers.kept {
            Some(kept) => result_layout(shown, shape.len(), &reduced, kept),
            None => Layout::contiguous(shown),
        };
        Ok(done.then_some(RawArray { buffer, dtype: request.to, layout }))
    })
}

/// The numbers that are combined.
struct Numbers<'a> {
    /// The array that holds them, or those from which they were converted.
    array: Cow<'a, SharedArray>,
    /// The axes of this array that are reduced.
    reduced: SmallVec<[usize; 4]>,
    /// The dtype of accumulation.
    dtype: DType,
    /// The first number, in this dtype. They are valid and contiguous.
    start: *const u8,
    /// How they lie there.
    matrix: Matrix,
    /// The strides of the result along the axes that are not reduced, unless it lies in C order.
    kept: Option<Strides>,
    /// The buffer of `start` if the numbers were copied to bring them into this form.
    _copied: Option<Buffer>,
}

/// Calls `f` with the numbers that are combined, if the fast path reduces them over the axes that `reduced` returns for
/// the array that holds them.
fn with_numbers<T: Element, R>(
    x: &Expr<T>,
    request: &Request,
    reduced: impl FnOnce(&Dims) -> Option<SmallVec<[usize; 4]>>,
    f: impl FnOnce(&Numbers) -> Quick<Option<R>>,
) -> Quick<Option<R>> {
    let through = match request.of {
        Of::Elements | Of::Squares => T::DTYPE,
        Of::Truth => DType::Bool,
        Of::Deviations => floating(T::DTYPE),
    };
    let acc = accumulator(request.kind, through, request.to);
    let total = if request.kind.gives_index() { DType::I64 } else { acc };
    let squares = request.of == Of::Squares;
    let finishes = request.finish == Finish::Total || matches!(total, DType::F32 | DType::F64);
    // Complex numbers have no order, and their deviations and squares are real.
    let ordered = !matches!(request.kind, Reduction::Sum | Reduction::Prod);
    let refused = through.kind() == Kind::Complex && (ordered || squares) || squares && T::DTYPE != acc;
    if total != request.to || !finishes || refused || !fast::is_open() {
        return Ok(None);
    }
    let squared;
    let value = if squares {
        squared = x.clone().then_unary::<T>(Unary::Square);
        squared.small_value()?
    } else {
        x.small_value()?
    };
    let Some(array) = value else { return Ok(None) };
    let Some(reduced) = reduced(array.layout.shape()) else { return Ok(None) };
    let numbers = match array.small_start().zip(Matrix::of(request.kind, array.layout.shape(), &reduced)) {
        Some((start, matrix)) => {
            Some(Numbers { array, reduced, dtype: T::DTYPE, start, matrix, kept: None, _copied: None })
        }
        None => arranged(array, reduced, request.kind, acc)?,
    };
    let Some(numbers) = numbers else { return Ok(None) };
    // Sums take truth values and integers as they are.
    let narrow = matches!(through.kind(), Kind::Bool | Kind::Int | Kind::Uint) && through.size() <= 4;
    let of =
        if request.kind == Reduction::Sum && matches!(acc, DType::I64 | DType::U64) && narrow { through } else { acc };
    if [through, of] == [T::DTYPE; 2] { f(&numbers) } else { converted(numbers, through, of, f) }
}

/// The largest size in bytes of an array that is copied to bring its elements into the form of a matrix. The regular
/// path reads larger ones where they lie.
const ARRANGED: usize = 16 << 10;

/// Brings the elements of an array into the form of a matrix, in the order in which the regular path combines them.
/// Returns `None` if the fast path does not do it.
#[inline(never)]
fn arranged(
    array: Cow<'_, SharedArray>,
    reduced: SmallVec<[usize; 4]>,
    kind: Reduction,
    acc: DType,
) -> Quick<Option<Numbers<'_>>> {
    let (size, len, dtype) = (array.dtype.size(), array.layout.len(), array.dtype);
    let inside = array.layout.span().1 * size <= array.buffer.bytes();
    let bytes = len.saturating_mul(size);
    let small = (1..=SMALL).contains(&bytes) && inside && fast::may_run();
    let Some(start) = array.buffer.host_ptr().filter(|_| small) else { return Ok(None) };
    let canon::ReduceSpace { kept, outer, inner, mut inputs, order, .. } =
        canon::reduce(&[&array.layout], &reduced, kind);
    // Each run along the last axis is combined separately, which only matters for floats.
    if inner.len() > 1 && !kind.gives_index() && matches!(acc.kind(), Kind::Float | Kind::Complex) {
        return Ok(None);
    }
    let (offset, strides) = inputs.remove(0);
    let across = order == Order::Rows;
    let (of_outer, of_inner) = strides.split_at(outer.len());
    let join = |first: &[isize], second: &[isize]| [first, second].concat();
    let (lens, strides) = match across {
        true => ([&inner[..], &outer[..]].concat(), join(of_inner, of_outer)),
        false => ([&outer[..], &inner[..]].concat(), join(of_outer, of_inner)),
    };
    let matrix = Matrix { outputs: outer.size(), len: inner.size(), across, order };
    let start = start.as_ptr().wrapping_add(offset * size).cast_const();
    let copied = match dense(&lens, &strides) {
        true => None,
        false if bytes > ARRANGED => return Ok(None),
        false => Some(Buffer::elements(dtype, len)?),
    };
    let at = match &copied {
        None => start,
        Some(buffer) => {
            let Some(room) = buffer.host_ptr() else { return Ok(None) };
            // SAFETY: the positions are those of elements of the array, which lie inside its buffer (checked above) and
            // have been written (invariants of arrays). The buffer is new and has room for all of them.
            unsafe { gather(&lens, &strides, 0..len, start, room.as_ptr(), size) };
            room.as_ptr().cast_const()
        }
    };
    Ok(Some(Numbers { array, reduced, dtype, start: at, matrix, kept: Some(kept), _copied: copied }))
}

/// Calls `f` with the numbers converted to `through` and then to `acc`, if the fast path converts them.
#[inline(never)]
fn converted<R>(
    numbers: Numbers,
    through: DType,
    acc: DType,
    f: impl FnOnce(&Numbers) -> Quick<Option<R>>,
) -> Quick<Option<R>> {
    let Numbers { array, dtype, start, .. } = &numbers;
    let (dtype, len) = (*dtype, array.layout.len());
    if len.saturating_mul(acc.size()) > COPIED {
        return Ok(None);
    }
    let (mut few, mut many) = ([MaybeUninit::<u128>::uninit(); 128], Vec::<u128>::new());
    let mut out = few.as_mut_ptr().cast::<u8>();
    if len * acc.size() > size_of_val(&few) {
        if many.try_reserve_exact((len * acc.size()).div_ceil(size_of::<u128>())).is_err() {
            return Ok(None);
        }
        out = many.as_mut_ptr().cast();
    }
    let mut instrs = SmallVec::<[Instr; 2]>::new();
    let (mut dtypes, mut result) = (SmallVec::<[DType; 2]>::new(), Ref::Input(0));
    for (from, to) in [(dtype, through), (through, acc)] {
        if from != to {
            instrs.push(Instr::Cast(to, result));
            dtypes.push(to);
            result = Ref::Value(instrs.len() as u32 - 1);
        }
    }
    let (inputs, operands) = (&[dtype], &[*start]);
    let (instrs, dtypes, params) = (&instrs[..], &dtypes[..], &[]);
    let work = Small::Map(SmallMap { inputs, operands, params, instrs, dtypes, result, len, out });
    let op = || {
        let mut tape = Tape::array(array.clone().into_owned());
        cast(&mut tape, through)?;
        cast(&mut tape, acc)?;
        tape.fresh_op()
    };
    let key = || Key::new(instrs.iter().map(Instr::code).chain([dtype as u64, u64::from(len.ilog2())]));
    // SAFETY: the array is contiguous and its elements lie inside its buffer and are valid (`small_start`). There is
    // room for the results, aligned for every dtype, which nothing else accesses.
    if !unsafe { fast::run(&work, key, op) }? {
        return Ok(None);
    }
    f(&Numbers { dtype: acc, start: out, ..numbers })
}

/// Elements in C order as a matrix of which the rows or the columns are reduced.
struct Matrix {
    outputs: usize,
    /// The number of elements of each output.
    len: usize,
    /// Whether the columns are reduced, across the rows.
    across: bool,
    /// The order in which elements are combined.
    order: Order,
}

impl Matrix {
    /// Returns the matrix for a reduction of an array of `shape` over the axes `reduced`: its first axes or its last
    /// ones, not counting axes of length 1. Returns `None` for other axes, and if there is no element.
    fn of(kind: Reduction, shape: &[usize], reduced: &[usize]) -> Option<Matrix> {
        // The other lengths of an empty array may have a product that overflows.
        if shape.contains(&0) {
            return None;
        }
        if reduced.len() == shape.len() {
            return Some(Matrix { outputs: 1, len: shape.iter().product(), across: false, order: Order::Lanes });
        }
        let (mut outputs, mut len, mut changes) = (1, 1, SmallVec::<[bool; 2]>::new());
        for (axis, &n) in shape.iter().enumerate().filter(|&(_, &n)| n != 1) {
            let is_reduced = reduced.contains(&axis);
            *(if is_reduced { &mut len } else { &mut outputs }) *= n;
            if changes.last() != Some(&is_reduced) {
                changes.push(is_reduced);
            }
        }
        let across = changes[..] == [true, false];
        let order = if across { canon::order_of_columns(kind, outputs) } else { Order::Lanes };
        (changes.len() <= 2).then_some(Matrix { outputs, len, across, order })
    }
}

/// Reduces `numbers`. Returns `false` if the fast path does not do it; `out` may be written even so.
///
/// # Safety
/// `out` is aligned and valid for writes of all outputs, and nothing else accesses them.
unsafe fn reduce(numbers: &Numbers, request: &Request, out: *mut u8) -> Quick<bool> {
    let Matrix { outputs, len, across, order } = numbers.matrix;
    let (kind, &Numbers { dtype, start: values, .. }) = (request.kind, numbers);
    let work = Small::Reduce(SmallReduce { kind, dtype, values, outputs, len, across, order, out });
    let op = || {
        let mut tape = Tape::array(numbers.array.clone().into_owned());
        cast(&mut tape, dtype)?;
        lower(&tape, request, &numbers.reduced).map(|(op, _)| op)
    };
    let size = |n: usize| u64::from(n.ilog2());
    let key = || Key::new([REDUCE | kind as u64 | u64::from(across) << 8, dtype as u64, size(len), size(outputs)]);
    // SAFETY: the `outputs * len` numbers are contiguous and valid: those of an array (`small_start`), copied ones
    // (`arranged`), or converted ones. The caller guarantees room for the results.
    if !unsafe { fast::run(&work, key, op) }? {
        return Ok(false);
    }
    // SAFETY: `out` holds the results, as many as there are outputs, which the backend has written.
    Ok(unsafe {
        match request.to {
            DType::F32 => finish::<f32>(request, len, std::slice::from_raw_parts_mut(out.cast(), outputs), f32::sqrt),
            DType::F64 => finish::<f64>(request, len, std::slice::from_raw_parts_mut(out.cast(), outputs), f64::sqrt),
            _ => true,
        }
    })
}

/// Computes the results from the totals of `len` elements each. Returns whether they are exact enough: see
/// [`undamaged`].
fn finish<F: Element + std::ops::DivAssign + Into<f64>>(
    request: &Request,
    len: usize,
    totals: &mut [F],
    sqrt: fn(F) -> F,
) -> bool {
    if let Finish::Mean(less) | Finish::RootMean(less) = request.finish {
        let by = divisor(F::DTYPE, len, less).get::<F>();
        totals.iter_mut().for_each(|x| *x /= by);
    }
    let root = matches!(request.finish, Finish::RootMean(_) | Finish::Root);
    if root {
        totals.iter_mut().for_each(|x| *x = sqrt(*x));
    }
    let squares = root || request.kind == Reduction::Deviations;
    !squares || {
        let range = undamaged(F::DTYPE, root, totals.len() * len);
        totals.iter().all(|&x| range.contains(&x.into()))
    }
}
