//! Reads and writes at indices. Elements are moved as words of their size. Core verified every index, so no loop checks
//! one; a negative index is made positive without a branch.

use crate::strided::base;
use crate::threads::{Shared, split};
use polyarray_core::op::{Combine, Gather, Operand, Scatter};
use polyarray_core::walk::{for_blocks, last_two};
use polyarray_core::{Buffer, Complex, DType, Dims, Result, bf16, f16};
use std::ops::Range;

/// The number of elements that are worth another thread.
const UNIT: usize = 1 << 14;

/// Returns the position from the front of an axis of length `len`, for an index from `-len` to `len - 1`.
#[inline(always)]
fn from_front(index: i64, len: usize) -> isize {
    let index = index as isize;
    index + (len as isize & (index >> (isize::BITS - 1)))
}

/// Runs a gather and writes its result to `out`.
///
/// # Errors
/// None: it allocates no memory.
///
/// # Safety
/// - `op` keeps its invariants; its operands lie in host memory inside their buffers; `out` has room for the result,
///   and nothing else accesses it during the call.
pub(crate) unsafe fn gather(op: &Gather, threads: usize, out: &Buffer) -> Result<()> {
    // SAFETY: the caller guarantees the conditions; the words have the size of the elements.
    unsafe {
        match op.dtype.size() {
            1 => gathered::<u8>(op, threads, out),
            2 => gathered::<u16>(op, threads, out),
            4 => gathered::<u32>(op, threads, out),
            8 => gathered::<u64>(op, threads, out),
            _ => gathered::<u128>(op, threads, out),
        }
    }
}

/// # Safety
/// - As for [`gather`], with elements of the size of `W`.
unsafe fn gathered<W: Copy>(op: &Gather, threads: usize, out: &Buffer) -> Result<()> {
    let first = |o: &Operand| Shared(base(&o.buffer, o.dtype, o.offset));
    let (input, indices, to) = (first(&op.input), first(&op.indices), Shared(base(out, op.dtype, 0).cast::<W>()));
    let axes = op.shape.len();
    let (strides, step) = (&op.input.strides[..axes], op.input.strides[axes]);
    let (moves, index_moves) = (last_two(strides), last_two(&op.indices.strides));
    split(threads, op.shape.size(), UNIT, |range: Range<usize>| {
        let start = range.start;
        for_blocks(&op.shape, [strides, &op.indices.strides], range, |[at, index_at], part, done| {
            let block = Reads {
                from: input.get().cast::<W>().cast_const().wrapping_offset(at),
                moves,
                index: indices.get().cast::<i64>().cast_const().wrapping_offset(index_at),
                index_moves,
                to: to.get().wrapping_add(start + done),
                step,
                len: op.len,
            };
            // SAFETY: the positions are those of indices of `shape`, for which the caller guarantees the operands and
            // the indices. Threads write disjoint ranges of the output.
            unsafe { block.run(part) };
        });
        Ok(())
    })
}

/// A part of a gather: rows of elements.
struct Reads<W> {
    /// The element of the first index at position 0 of the gathered axis.
    from: *const W,
    /// Its moves from row to row and from column to column.
    moves: [isize; 2],
    /// The first index, and its moves.
    index: *const i64,
    index_moves: [isize; 2],
    /// The results, without gaps.
    to: *mut W,
    /// The stride and the length of the gathered axis.
    step: isize,
    len: usize,
}

impl<W: Copy> Reads<W> {
    /// Gathers `rows` rows of `columns` elements.
    ///
    /// # Safety
    /// - Every index is valid for reads and lies in `-len..len`; the element at every index is valid for reads, and the
    ///   results are valid for writes.
    #[inline(always)]
    unsafe fn run(&self, [rows, columns]: [usize; 2]) {
        let Reads { step, len, .. } = *self;
        let ([down, along], [index_down, index_along]) = (self.moves, self.index_moves);
        for row in 0..rows as isize {
            let from = self.from.wrapping_offset(row * down);
            let index = self.index.wrapping_offset(row * index_down);
            let to = self.to.wrapping_add(row as usize * columns);
            // SAFETY: the caller guarantees that the indices are valid and lie in range, so that `from` is moved to
            // elements of the operand, and that there is room for the results. Unaligned, because complex numbers are
            // aligned to their parts only.
            unsafe {
                match (index_along, along) {
                    (0, 1) if columns > 8 => {
                        let from = from.wrapping_offset(from_front(index.read(), len) * step);
                        std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast(), columns * size_of::<W>());
                    }
                    (0, _) => {
                        let from = from.wrapping_offset(from_front(index.read(), len) * step);
                        for i in 0..columns {
                            to.add(i).write_unaligned(from.wrapping_offset(i as isize * along).read_unaligned());
                        }
                    }
                    (1, 0) => {
                        for i in 0..columns {
                            let at = from_front(index.add(i).read(), len) * step;
                            to.add(i).write_unaligned(from.wrapping_offset(at).read_unaligned());
                        }
                    }
                    _ => {
                        for i in 0..columns as isize {
                            let at = from_front(index.wrapping_offset(i * index_along).read(), len) * step;
                            let from = from.wrapping_offset(i * along + at);
                            to.offset(i).write_unaligned(from.read_unaligned());
                        }
                    }
                }
            }
        }
    }
}

/// Runs a scatter on the elements of `out`. Each thread has a range of an axis along which different indices are
/// different elements, so that the values of an element are combined in order.
///
/// # Errors
/// None: it allocates no memory.
///
/// # Safety
/// - `op` keeps its invariants; its operands lie in host memory inside their buffers; the elements of the output lie
///   inside `out`, and nothing else accesses them during the call.
pub(crate) unsafe fn scatter(op: &Scatter, threads: usize, out: &Buffer) -> Result<()> {
    // SAFETY: the caller guarantees the conditions; the words have the size of the elements.
    unsafe {
        match (op.how, op.dtype.size()) {
            (Combine::Set, 1) => scattered::<u8>(op, threads, out, |_, new| new),
            (Combine::Set, 2) => scattered::<u16>(op, threads, out, |_, new| new),
            (Combine::Set, 4) => scattered::<u32>(op, threads, out, |_, new| new),
            (Combine::Set, 8) => scattered::<u64>(op, threads, out, |_, new| new),
            (Combine::Set, _) => scattered::<u128>(op, threads, out, |_, new| new),
            _ => combined(op, threads, out),
        }
    }
}

/// Dispatches a scatter that combines values with elements.
///
/// # Safety
/// - As for [`scatter`].
unsafe fn combined(op: &Scatter, threads: usize, out: &Buffer) -> Result<()> {
    /// Runs the scatter of elements of `$T` with functions for addition, minimum and maximum.
    macro_rules! of {
        ($T:ty, $add:expr, $min:expr, $max:expr) => {
            match op.how {
                Combine::Add => scattered::<$T>(op, threads, out, $add),
                Combine::Min => scattered::<$T>(op, threads, out, $min),
                Combine::Max => scattered::<$T>(op, threads, out, $max),
                Combine::Set => unreachable!("values that replace elements are moved as words"),
            }
        };
    }
    macro_rules! integer {
        ($T:ty) => {
            of!($T, |a, b| a.wrapping_add(b), |a, b| a.min(b), |a, b| a.max(b))
        };
    }
    /// Floats: NaN wins, and of equal numbers the value remains.
    macro_rules! float {
        ($T:ty, $add:expr) => {
            of!($T, $add, |a, b| if a < b || a.is_nan() { a } else { b }, |a, b| if a > b || a.is_nan() {
                a
            } else {
                b
            })
        };
    }
    macro_rules! complex {
        ($T:ty) => {
            match op.how {
                Combine::Add => scattered::<Complex<$T>>(op, threads, out, |a, b| a + b),
                _ => unreachable!("core refuses to order complex numbers"),
            }
        };
    }
    // SAFETY: the caller guarantees the conditions, and the types are those of the dtypes.
    unsafe {
        match op.dtype {
            // The smaller of two truth values is true if both are, the larger one if one is.
            DType::Bool => {
                of!(u8, |_, _| unreachable!("core refuses to add truth values"), |a, b| a & b, |a, b| a | b)
            }
            DType::I8 => integer!(i8),
            DType::I16 => integer!(i16),
            DType::I32 => integer!(i32),
            DType::I64 => integer!(i64),
            DType::U8 => integer!(u8),
            DType::U16 => integer!(u16),
            DType::U32 => integer!(u32),
            DType::U64 => integer!(u64),
            DType::F16 => float!(f16, |a, b| f16::from_f32(a.to_f32() + b.to_f32())),
            DType::BF16 => float!(bf16, |a, b| bf16::from_f32(a.to_f32() + b.to_f32())),
            DType::F32 => float!(f32, |a, b| a + b),
            DType::F64 => float!(f64, |a, b| a + b),
            DType::C32 => complex!(f32),
            DType::C64 => complex!(f64),
        }
    }
}

/// # Safety
/// - As for [`scatter`]; `W` is the type of the elements, or has their size if `f` returns one of its arguments.
unsafe fn scattered<W: Copy>(
    op: &Scatter,
    threads: usize,
    out: &Buffer,
    f: impl Fn(W, W) -> W + Copy + Sync,
) -> Result<()> {
    let first = |o: &Operand| Shared(base(&o.buffer, o.dtype, o.offset));
    let (values, indices) = (first(&op.values), first(&op.indices));
    let to = Shared(base(out, op.dtype, op.output.offset));
    let axes = op.shape.len();
    let (strides, step) = (&op.output.strides[..axes], op.step());
    let [moves, index_moves, value_moves] = [strides, &op.indices.strides, &op.values.strides].map(last_two);
    // Different indices along an axis are different elements unless only the index moves along it.
    let apart = (0..axes).filter(|&a| strides[a] != 0).max_by_key(|&a| op.shape[a]);
    let run = |part: Range<usize>| {
        let (mut lens, mut skipped) = (op.shape.clone(), [0; 3]);
        if let Some(axis) = apart {
            let each = [strides[axis], op.indices.strides[axis], op.values.strides[axis]];
            skipped = each.map(|s| part.start as isize * s);
            lens = lens.iter().enumerate().map(|(a, &n)| if a == axis { part.len() } else { n }).collect::<Dims>();
        }
        let all = [strides, &op.indices.strides, &op.values.strides];
        for_blocks(&lens, all, 0..lens.size(), |at, rows_columns, _| {
            let [to_at, index_at, value_at] = std::array::from_fn(|o| at[o] + skipped[o]);
            let block = Writes {
                to: to.get().cast::<W>().wrapping_offset(to_at),
                moves,
                index: indices.get().cast::<i64>().cast_const().wrapping_offset(index_at),
                index_moves,
                value: values.get().cast::<W>().cast_const().wrapping_offset(value_at),
                value_moves,
                step,
                len: op.len,
            };
            // SAFETY: the positions are those of indices of `shape`, for which the caller guarantees the operands, the
            // indices and the output. Threads have different indices along an axis that keeps their elements apart.
            unsafe { block.run(rows_columns, f) };
        });
        Ok(())
    };
    match apart {
        Some(axis) => {
            let n = op.shape[axis];
            split(threads, n, UNIT.div_ceil(op.shape.size() / n), run)
        }
        None => run(0..0),
    }
}

/// A part of a scatter: rows of elements.
struct Writes<W> {
    /// The element of the first index at position 0 of the scattered axis.
    to: *mut W,
    /// Its moves from row to row and from column to column.
    moves: [isize; 2],
    /// The first index, and its moves.
    index: *const i64,
    index_moves: [isize; 2],
    /// The first value, and its moves.
    value: *const W,
    value_moves: [isize; 2],
    /// The stride and the length of the scattered axis.
    step: isize,
    len: usize,
}

impl<W: Copy> Writes<W> {
    /// Combines `rows` rows of `columns` values with elements, in order.
    ///
    /// # Safety
    /// - Every index and value is valid for reads; every index lies in `-len..len`; the element at every index is valid
    ///   for reads and writes.
    #[inline(always)]
    unsafe fn run(&self, [rows, columns]: [usize; 2], f: impl Fn(W, W) -> W + Copy) {
        let Writes { step, len, .. } = *self;
        let ([down, along], [index_down, index_along]) = (self.moves, self.index_moves);
        let [value_down, value_along] = self.value_moves;
        for row in 0..rows as isize {
            let to = self.to.wrapping_offset(row * down);
            let index = self.index.wrapping_offset(row * index_down);
            let value = self.value.wrapping_offset(row * value_down);
            // SAFETY: the caller guarantees the elements at these positions. Unaligned, because complex numbers are
            // aligned to their parts only.
            let combine = |to: *mut W, value: *const W| unsafe {
                to.write_unaligned(f(to.read_unaligned(), value.read_unaligned()));
            };
            // SAFETY: the caller guarantees that the index is valid for reads.
            let position = |i: isize| unsafe { from_front(index.wrapping_offset(i).read(), len) * step };
            let columns = columns as isize;
            match (index_along, along, value_along) {
                (0, 1, 1) => {
                    let to = to.wrapping_offset(position(0));
                    (0..columns).for_each(|i| combine(to.wrapping_offset(i), value.wrapping_offset(i)));
                }
                (0, ..) => {
                    let to = to.wrapping_offset(position(0));
                    (0..columns)
                        .for_each(|i| combine(to.wrapping_offset(i * along), value.wrapping_offset(i * value_along)));
                }
                (1, 0, 1) => {
                    (0..columns).for_each(|i| combine(to.wrapping_offset(position(i)), value.wrapping_offset(i)));
                }
                _ => (0..columns).for_each(|i| {
                    let to = to.wrapping_offset(i * along + position(i * index_along));
                    combine(to, value.wrapping_offset(i * value_along));
                }),
            }
        }
    }
}
