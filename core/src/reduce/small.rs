//! Fast path: reductions of small contiguous host arrays, without a plan.

use super::{Finish, Of, Request, accumulator, cast, divisor, floating, lower, undamaged};
use crate::array::Axes;
use crate::expr::{Expr, RawArray, Tape};
use crate::fast::{self, Key, SMALL};
use crate::layout::Layout;
use crate::op::Reduction;
use crate::order::Order;
use crate::program::{Instr, Ref};
use crate::small::{Small, SmallMap, SmallReduce};
use crate::{Buffer, DType, Element, Kind, Result, Scalar, Unary, bytes, canon};
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Identifies reductions in the keys of cached choices.
const REDUCE: u64 = 2 << 48;

/// Returns the reduction of all elements of an expression. Returns `None` if it is left to the regular path, which also
/// finds all errors.
pub(super) fn total<T: Element>(x: &Expr<T>, request: &Request) -> Result<Option<Scalar>> {
    with_numbers(x, request, |numbers| {
        let layout = &numbers.array.layout;
        // Of every dtype zero is a valid element.
        let mut result = [0u128; 1];
        let result: &mut [u8] = bytemuck::cast_slice_mut(&mut result);
        let (matrix, axes) = (Matrix::whole(layout.len()), || (0..layout.shape().len()).collect());
        // SAFETY: 16 bytes with their alignment have room for a result of any dtype, and nothing else accesses them.
        let done = unsafe { reduce(numbers, request, &matrix, axes, result.as_mut_ptr()) }?;
        Ok(done.then(|| Scalar::from_bytes(request.to, &result[..request.to.size()])))
    })
}

/// Returns the reduction over some axes, as [`total`] over all.
pub(super) fn over<T: Element>(x: &Expr<T>, request: &Request, axes: &Axes) -> Result<Option<RawArray>> {
    // The axes are checked first, because the regular path would compute the numbers again.
    let Ok(shape) = x.shape() else { return Ok(None) };
    let Ok(reduced) = axes.resolve(request.name, shape.len()) else { return Ok(None) };
    let several = request.kind.gives_index() && reduced.len() != 1;
    let Some(matrix) = Matrix::of(&shape, &reduced).filter(|_| !several) else { return Ok(None) };
    with_numbers(x, request, |numbers| {
        // What is read relies on this, not on the shape that the expression states.
        if numbers.array.layout.len() != matrix.outputs * matrix.len {
            return Ok(None);
        }
        let mut buffer = Buffer::elements(request.to, matrix.outputs)?;
        let bytes = matrix.outputs * request.to.size();
        let Some(results) = bytes::room(&mut buffer, 0, bytes) else { return Ok(None) };
        // SAFETY: `results` has room for all results in a new buffer.
        let done = unsafe { reduce(numbers, request, &matrix, || reduced.clone(), results.as_mut_ptr().cast()) }?;
        let shown = || axes.shown(&shape, &reduced);
        Ok(done.then(|| RawArray { buffer, dtype: request.to, layout: Layout::contiguous(shown()) }))
    })
}

/// The numbers that are combined.
struct Numbers {
    /// The array that holds them, or those from which they were converted.
    array: Arc<RawArray>,
    /// The dtype of accumulation.
    dtype: DType,
    /// The first number, in this dtype.
    start: *const u8,
}

/// Calls `f` with the numbers that are combined, if the fast path reduces them.
fn with_numbers<T: Element, R>(
    x: &Expr<T>,
    request: &Request,
    f: impl FnOnce(&Numbers) -> Result<Option<R>>,
) -> Result<Option<R>> {
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
    let value = if squares { x.clone().then_unary::<T>(Unary::Square).small_value() } else { x.small_value() };
    let Some(array) = value? else { return Ok(None) };
    let Some(start) = array.small_start() else { return Ok(None) };
    let numbers = Numbers { array, dtype: T::DTYPE, start };
    if [through, acc] == [T::DTYPE; 2] { f(&numbers) } else { converted(numbers, through, acc, f) }
}

/// Calls `f` with the numbers converted to `through` and then to `acc`, if the fast path converts them.
#[inline(never)]
fn converted<R>(
    numbers: Numbers,
    through: DType,
    acc: DType,
    f: impl FnOnce(&Numbers) -> Result<Option<R>>,
) -> Result<Option<R>> {
    let Numbers { array, dtype, start } = numbers;
    let len = array.layout.len();
    if len.saturating_mul(acc.size()) > SMALL {
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
    let (inputs, operands) = (&[dtype], &[start]);
    let (instrs, dtypes, params) = (&instrs[..], &dtypes[..], &[]);
    let work = Small::Map(SmallMap { inputs, operands, params, instrs, dtypes, result, len, out });
    let op = || {
        let mut tape = Tape::array(array.clone());
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
    f(&Numbers { array, dtype: acc, start: out })
}

/// Elements in C order as a matrix of which the rows or the columns are reduced.
struct Matrix {
    outputs: usize,
    /// The number of elements of each output.
    len: usize,
    /// Whether the columns are reduced, across the rows.
    across: bool,
}

impl Matrix {
    /// Returns the matrix of one row.
    fn whole(len: usize) -> Matrix {
        Matrix { outputs: 1, len, across: false }
    }

    /// Returns the matrix for a reduction of an array of `shape` over the axes `reduced`: its first axes or its last
    /// ones, not counting axes of length 1. Returns `None` for other axes and if each output has one element or none.
    fn of(shape: &[usize], reduced: &[usize]) -> Option<Matrix> {
        // The other lengths of an empty array may have a product that overflows.
        if shape.contains(&0) {
            return None;
        }
        let (mut outputs, mut len, mut changes) = (1, 1, SmallVec::<[bool; 2]>::new());
        for (axis, &n) in shape.iter().enumerate().filter(|&(_, &n)| n != 1) {
            let is_reduced = reduced.contains(&axis);
            *(if is_reduced { &mut len } else { &mut outputs }) *= n;
            if changes.last() != Some(&is_reduced) {
                changes.push(is_reduced);
            }
        }
        let fits = changes.len() <= 2 && len > 1;
        fits.then_some(Matrix { outputs, len, across: changes[..] == [true, false] })
    }
}

/// Reduces `numbers`, which are the elements of `matrix`. Returns `false` if the fast path does not do it; `out` may be
/// written even so.
///
/// # Safety
/// `out` is aligned and valid for writes of all outputs, and nothing else accesses them.
unsafe fn reduce(
    numbers: &Numbers,
    request: &Request,
    matrix: &Matrix,
    axes: impl Fn() -> SmallVec<[usize; 4]>,
    out: *mut u8,
) -> Result<bool> {
    let &Matrix { outputs, len, across } = matrix;
    let (kind, &Numbers { dtype, start: values, .. }) = (request.kind, numbers);
    let order = if across { canon::order_of_columns(kind, outputs) } else { Order::Lanes };
    let work = Small::Reduce(SmallReduce { kind, dtype, values, outputs, len, across, order, out });
    let op = || {
        let mut tape = Tape::array(numbers.array.clone());
        cast(&mut tape, dtype)?;
        lower(&tape, request, &axes())
    };
    let size = |n: usize| u64::from(n.ilog2());
    let key = || Key::new([REDUCE | kind as u64 | u64::from(across) << 8, dtype as u64, size(len), size(outputs)]);
    // SAFETY: the `outputs * len` numbers are contiguous and valid: those of an array (`small_start`), or converted
    // ones. The caller guarantees room for the results.
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
