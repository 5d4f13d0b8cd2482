//! Fast path for expressions: a few instructions on small contiguous host arrays go straight to a backend, without a
//! program, a plan or an operation. Everything else takes the regular path, which also finds all errors.

use super::node::{Leaf, Node};
use super::{RawArray, SharedArray};
use crate::fast::{self, COPIED, Key, Quick, SMALL};
use crate::layout::{Dims, Layout};
use crate::program::{Instr, MAX_INPUTS, Ref};
use crate::small::{Small, SmallMap};
use crate::walk::{dense, gather};
use crate::{Buffer, DType, MemoryId, Result, Scalar, canon};
use smallvec::SmallVec;
use std::slice;

/// A program with its operands, borrowed from a node.
struct Parts<'a> {
    operands: &'a [&'a SharedArray],
    params: &'a [Scalar],
    instrs: &'a [Instr],
    dtypes: &'a [DType],
    result: Ref,
}

impl Parts<'_> {
    /// Returns the dtype of the result.
    fn dtype(&self) -> DType {
        match self.result {
            Ref::Input(i) => self.operands[i as usize].dtype,
            Ref::Param(i) => self.params[i as usize].dtype(),
            Ref::Value(i) => self.dtypes[i as usize],
        }
    }
}

/// Calls `f` with the parts of a node. Returns `None` for a node without steps, for a graph, and for a ufunc that is
/// not defined for its operands.
#[inline(always)]
fn with_parts<R>(node: &Node, f: impl FnOnce(&Parts) -> R) -> Option<R> {
    let (leaves, info, y_dtype): ([Option<&Leaf>; 2], _, _) = match node {
        Node::Unary(op, x) => ([Some(x), None], op.info(), x.dtype()),
        Node::Binary(op, x, y) => ([Some(x), Some(y)], op.info(), y.dtype()),
        // A compiled function may have more steps than a program.
        Node::Short(tape) if tape.is_too_long() => return None,
        Node::Short(tape) => {
            let operands: SmallVec<[&SharedArray; 8]> = tape.operands().iter().collect();
            let (instrs, dtypes, result) = (tape.instrs(), tape.dtypes(), tape.result());
            return Some(f(&Parts { operands: &operands, params: tape.params(), instrs, dtypes, result }));
        }
        Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => return None,
    };
    let dtype = leaves[0].map_or(DType::F64, Leaf::dtype);
    if !info.kinds.contains(dtype) || y_dtype != dtype {
        return None;
    }
    let mut operands: SmallVec<[&SharedArray; 2]> = SmallVec::new();
    let mut param = None;
    let mut refs = [Ref::Param(0); 2];
    for (leaf, r) in leaves.into_iter().flatten().zip(&mut refs) {
        match leaf {
            Leaf::Array(array) => {
                *r = Ref::Input(operands.len() as u32);
                operands.push(array);
            }
            Leaf::Value(value) => param = Some(*value),
            Leaf::Placeholder(_) => return None,
        }
    }
    let instr = match node {
        Node::Unary(op, _) => Instr::Unary(*op, refs[0]),
        Node::Binary(op, ..) => Instr::Binary(*op, refs[0], refs[1]),
        Node::Leaf(_) | Node::Short(_) | Node::Step(_) | Node::Failed(_) => return None,
    };
    let (params, instrs, gives) = (param.as_slice(), slice::from_ref(&instr), info.gives.dtype(dtype));
    Some(f(&Parts { operands: &operands, params, instrs, dtypes: slice::from_ref(&gives), result: Ref::Value(0) }))
}

/// The output of a request.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub dtype: DType,
    pub shape: &'a Dims,
    /// The buffer and the offset of the first element, unless the output is not allocated yet.
    pub place: Option<(&'a Buffer, usize)>,
}

impl Target<'_> {
    /// Returns the first element of `a` if the fast path can read it as an operand: it is small, lies in host memory
    /// contiguously and has the shape of the target; if it lies in the target's buffer, it is the target itself.
    #[inline(always)]
    pub fn operand(self, a: &RawArray) -> Option<*const u8> {
        let same_shape = std::ptr::eq(a.layout.shape(), self.shape) || a.layout.shape() == self.shape;
        let apart = self
            .place
            .is_none_or(|(buffer, at)| !a.buffer.same(buffer) || at == a.layout.offset() && a.dtype == self.dtype);
        if same_shape && apart { a.small_start() } else { None }
    }
}

/// The pointer to each operand, and its dtype.
struct Operands {
    pointers: [*const u8; MAX_INPUTS],
    dtypes: [DType; MAX_INPUTS],
    count: usize,
    /// The copies of operands that `pointers` refers to.
    copies: SmallVec<[Buffer; 2]>,
}

impl Operands {
    fn new() -> Operands {
        let (pointers, dtypes) = ([std::ptr::null(); MAX_INPUTS], [DType::F64; MAX_INPUTS]);
        Operands { pointers, dtypes, count: 0, copies: SmallVec::new() }
    }

    fn push(&mut self, pointer: *const u8, dtype: DType) {
        (self.pointers[self.count], self.dtypes[self.count]) = (pointer, dtype);
        self.count += 1;
    }

    /// Adds the operands of `parts`. Returns whether the fast path can evaluate `parts` into `target` from where they
    /// lie: see [`Target::operand`].
    #[inline(always)]
    fn direct(&mut self, parts: &Parts, target: Target) -> bool {
        let len = target.shape.size();
        let widest = parts.dtypes.iter().map(|d| d.size()).max().unwrap_or(0);
        let fits = len.saturating_mul(widest) <= SMALL && parts.operands.len() <= MAX_INPUTS;
        fits && parts.dtype() == target.dtype
            && parts.operands.iter().all(|a| match target.operand(a) {
                Some(pointer) => {
                    self.push(pointer, a.dtype);
                    true
                }
                None => false,
            })
    }
}

/// Returns the layout of a new result of `parts`, and each operand's layout, broadcast to its shape. Returns `None` if
/// this is left to the regular path: for operands that are not small or not in host memory, and for shapes that do not
/// broadcast.
fn layouts(parts: &Parts) -> Option<(Layout, SmallVec<[Layout; 3]>)> {
    let (first, others) = parts.operands.split_first()?;
    let mut shape = first.layout.shape().clone();
    for other in others {
        if *other.layout.shape() != shape {
            shape = shape.broadcast(other.layout.shape()).ok()?;
        }
    }
    let widest = parts.dtypes.iter().chain(parts.operands.iter().map(|a| &a.dtype)).map(|d| d.size()).max()?;
    let small = (1..=SMALL).contains(&shape.checked_len()?.checked_mul(widest)?);
    if !small || parts.operands.len() > MAX_INPUTS || parts.operands.iter().any(|a| a.buffer.host_ptr().is_none()) {
        return None;
    }
    let each: SmallVec<[Layout; 3]> =
        parts.operands.iter().map(|a| a.layout.broadcast_to(&shape).ok()).collect::<Option<_>>()?;
    Some((canon::fresh_layout(&shape, &each), each))
}

/// Replaces `found` by the operands in the order of `to`, the layout of the output: copies of those that have another
/// order, and of those that overlap the output in its buffer, if there is one. Returns whether the fast path can read
/// them.
///
/// # Errors
/// Out of memory.
fn gather_all(
    parts: &Parts,
    each: &[Layout],
    to: &Layout,
    place: Option<&Buffer>,
    found: &mut Operands,
) -> Quick<bool> {
    let (lens, output, places) = canon::map(to, each);
    if !dense(&lens, &output.1) {
        return Ok(false);
    }
    let len = lens.size();
    found.count = 0;
    for (i, (a, (offset, strides))) in parts.operands.iter().zip(places).enumerate() {
        let size = a.dtype.size();
        let Some(start) = a.buffer.host_ptr().filter(|_| each[i].span().1 * size <= a.buffer.bytes()) else {
            return Ok(false);
        };
        let first = start.as_ptr().wrapping_add(offset * size);
        let pointer = if dense(&lens, &strides) && place.is_none_or(|out| !a.buffer.same(out)) {
            first
        } else if len * size > COPIED {
            return Ok(false);
        } else {
            let copy = Buffer::elements(a.dtype, len)?;
            let Some(room) = copy.host_ptr() else { return Ok(false) };
            // SAFETY: the positions are those of elements of the array, which lie inside its buffer (checked above) and
            // have been written (invariants of arrays). The copy is new and has room for all of them.
            unsafe { gather(&lens, &strides, 0..len, first, room.as_ptr(), size) };
            found.copies.push(copy);
            room.as_ptr()
        };
        found.push(pointer, a.dtype);
    }
    Ok(true)
}

/// Evaluates `parts` into `out`. Returns whether a backend did so; otherwise nothing has been written.
///
/// # Safety
/// - `operands` are those of `parts` for a target of `len` elements;
/// - `out` is valid for writes of `len` elements of the result's dtype and aligned; nothing else accesses it during the
///   call.
unsafe fn run(parts: &Parts, operands: &Operands, len: usize, out: *mut u8, node: &Node) -> Quick<bool> {
    let &Parts { params, instrs, dtypes, result, .. } = parts;
    let (inputs, pointers) = (&operands.dtypes[..operands.count], &operands.pointers[..operands.count]);
    let work = Small::Map(SmallMap { inputs, operands: pointers, params, instrs, dtypes, result, len, out });
    // One number holds the size class and the dtypes of the operands.
    let key = || {
        let operands = inputs.iter().fold(u64::from(len.ilog2()), |n, &d| n << 5 | d as u64);
        Key::new(instrs.iter().map(Instr::code).chain([operands]))
    };
    // SAFETY: `Operands::direct` or `gather_all` checked that operands are contiguous, have `len` elements inside their
    // buffers (at least one), and overlap the output only if they are the output. Buffers are aligned for the dtype of
    // their array. The instructions were checked when the node was built. The caller guarantees the output.
    unsafe { fast::run(&work, key, || node.tape()?.fresh_op()) }
}

/// Writes the value of `node`, of dtype `to`, where `layout` specifies in `out`. Returns `false` if this is left to the
/// regular path.
///
/// # Safety
/// The caller may write the elements of `layout` in `out`: nothing else accesses them during the call, except
/// as operands of `node`.
pub(super) unsafe fn write(node: &Node, to: DType, out: &Buffer, layout: &Layout) -> Quick<bool> {
    if out.memory() != MemoryId::HOST || !layout.is_c_contiguous() || !fast::is_open() {
        return Ok(false);
    }
    let (offset, shape) = (layout.offset(), layout.shape());
    let len = shape.size();
    let Some(start) = out.host_ptr().filter(|_| len > 0 && (offset + len) * to.size() <= out.bytes()) else {
        return Ok(false);
    };
    let target = Target { dtype: to, shape, place: Some((out, offset)) };
    let done = with_parts(node, |parts| {
        let mut operands = Operands::new();
        if !operands.direct(parts, target) {
            if parts.dtype() != to || !fast::may_run() {
                return Ok(false);
            }
            let fresh = layouts(parts).filter(|(fresh, _)| fresh.shape() == shape);
            let Some((_, each)) = fresh else { return Ok(false) };
            if !gather_all(parts, &each, layout, Some(out), &mut operands)? {
                return Ok(false);
            }
        }
        // SAFETY: the operands are those of `parts`. The output lies inside its buffer, which was checked above, is
        // aligned because the buffer is that of an array, and belongs to the caller.
        unsafe { run(parts, &operands, len, start.as_ptr().wrapping_add(offset * to.size()), node) }
    });
    done.unwrap_or(Ok(false))
}

/// Returns the value of `node`, of dtype `to`, in a new array or in the buffer of an operand that only `node` holds.
/// Returns `None` if this is left to the regular path.
///
/// With `in_order`, operands that do not lie in the order of the result are left to the regular path, too: a reduction
/// of the value then combines elements in the same order as one of the expression.
pub(super) fn eval(node: &mut Node, to: DType, in_order: bool) -> Quick<Option<SharedArray>> {
    if !fast::is_open() {
        return Ok(None);
    }
    if let Some((buffer, layout)) = donor(node, to) {
        // SAFETY: `donor` found that only `node` holds the buffer, so nothing else accesses it.
        let done = unsafe { write(node, to, &buffer, &layout) }?;
        return Ok(done.then(|| SharedArray::new(RawArray { buffer, dtype: to, layout })));
    }
    let shape = match &*node {
        Node::Unary(_, Leaf::Array(a)) | Node::Binary(_, Leaf::Array(a), _) | Node::Binary(_, _, Leaf::Array(a)) => {
            a.layout.shape()
        }
        Node::Short(tape) => tape.shape(),
        Node::Unary(..) | Node::Binary(..) | Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => return Ok(None),
    };
    let done = with_parts(node, |parts| {
        let mut operands = Operands::new();
        let layout = if operands.direct(parts, Target { dtype: to, shape, place: None }) {
            Layout::contiguous(shape.clone())
        } else if parts.dtype() != to || in_order || !fast::may_run() {
            return Ok(None);
        } else {
            let Some((layout, each)) = layouts(parts) else { return Ok(None) };
            if !gather_all(parts, &each, &layout, None, &mut operands)? {
                return Ok(None);
            }
            layout
        };
        let len = layout.len();
        let buffer = Buffer::elements(to, len)?;
        let Some(out) = buffer.host_ptr() else { return Ok(None) };
        // SAFETY: the operands are those of `parts`. The buffer is new and has `len` elements.
        let done = unsafe { run(parts, &operands, len, out.as_ptr(), node) }?;
        Ok(done.then(|| SharedArray::new(RawArray { buffer, dtype: to, layout })))
    });
    done.unwrap_or(Ok(None))
}

/// Returns a copy of `array` in host memory with the layout `to`, which has no gaps. Returns `None` if this is left to
/// the regular path.
///
/// # Errors
/// Out of memory.
pub(crate) fn copy(array: &RawArray, to: &Layout) -> Result<Option<RawArray>> {
    let (size, len) = (array.dtype.size(), array.layout.len());
    let inside = array.layout.span().1 * size <= array.buffer.bytes();
    let small = (1..=COPIED).contains(&len.saturating_mul(size)) && inside && fast::is_open_to_core()?;
    let Some(start) = array.buffer.host_ptr().filter(|_| small) else { return Ok(None) };
    let (lens, output, places) = canon::map(to, &[&array.layout]);
    let (offset, strides) = &places[0];
    if !dense(&lens, &output.1) || output.0 != 0 {
        return Ok(None);
    }
    let buffer = Buffer::elements(array.dtype, len)?;
    let Some(room) = buffer.host_ptr() else { return Ok(None) };
    // SAFETY: the positions are those of elements of the array, which lie inside its buffer (checked above) and have
    // been written (invariants of arrays). The buffer is new and has room for all of them.
    unsafe { gather(&lens, strides, 0..len, start.as_ptr().wrapping_add(offset * size), room.as_ptr(), size) };
    Ok(Some(RawArray { buffer, dtype: array.dtype, layout: to.clone() }))
}

/// Returns the buffer and the layout of a contiguous array that nothing else holds, if a result of dtype `to` can
/// replace it.
pub(super) fn donated(a: &mut SharedArray, to: DType) -> Option<(Buffer, Layout)> {
    let a = SharedArray::get_mut(a).filter(|a| a.dtype == to && a.layout.is_c_contiguous())?;
    let fits = a.buffer.bytes() / 2 <= a.layout.len() * to.size() && a.buffer.is_exclusive();
    fits.then(|| (a.buffer.clone(), a.layout.clone()))
}

/// Returns the buffer and the layout of a contiguous operand that only `node` holds and that the result can replace.
fn donor(node: &mut Node, to: DType) -> Option<(Buffer, Layout)> {
    let take = |a: &mut SharedArray| donated(a, to);
    let of_leaf = |leaf: &mut Leaf| match leaf {
        Leaf::Array(a) => take(a),
        Leaf::Value(_) | Leaf::Placeholder(_) => None,
    };
    match node {
        Node::Unary(_, x) => of_leaf(x),
        Node::Binary(_, x, y) => of_leaf(x).or_else(|| of_leaf(y)),
        Node::Short(tape) => tape.operands_mut().iter_mut().find_map(take),
        Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => None,
    }
}
