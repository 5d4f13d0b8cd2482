//! Fast path for expressions: passes one ufunc on small contiguous arrays in host memory directly to a backend, without
//! building a tape, a program or an operation.
//!
//! It leaves everything else unchanged to the normal path, which also detects all errors.

use super::RawArray;
use super::node::{Leaf, Node};
use crate::backend::{Step, Strip};
use crate::layout::Layout;
use crate::short::{self, Key, Work};
use crate::{Buffer, DType, Dims, MemoryId, Result, bytes};
use std::sync::Arc;

/// The maximum size in bytes of an operand or result. Up to this size one thread is always best, and the cost of
/// planning is noticeable.
const SMALL: usize = 64 << 10;

/// A ufunc with operands that a [`Strip`] can express.
struct Request<'a> {
    step: Step,
    dtype: DType,
    x: &'a [u8],
    y: &'a [u8],
    len: usize,
}

/// Returns the bytes of a leaf: of a value, or of a C-contiguous array of `shape` in host memory.
fn bytes_of<'a>(leaf: &'a Leaf, shape: &Dims, len: usize) -> Option<&'a [u8]> {
    match leaf {
        Leaf::Value(value) => Some(value.bytes()),
        Leaf::Product(_) => None,
        Leaf::Array(a) => {
            let plain = a.buffer.memory() == MemoryId::HOST && a.layout.shape() == shape && a.layout.is_c_contiguous();
            plain.then(|| &bytes::host_bytes(&a.buffer)[a.layout.offset() * a.dtype.size()..][..len * a.dtype.size()])
        }
    }
}

/// Returns the request for `node` over elements of `shape` with results of dtype `to`, if the fast path supports it.
#[inline]
fn request<'a>(node: &'a Node, shape: &Dims, to: DType) -> Option<Request<'a>> {
    let (step, info, x, y) = match node {
        Node::Unary(op, x) => (Step::Unary(*op), op.info(), x, None),
        Node::Binary(op, x, y) => (Step::Binary(*op), op.info(), x, Some(y)),
        Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => return None,
    };
    let dtype = x.dtype();
    let len = shape.size();
    let fits = len > 0 && len * dtype.size().max(to.size()) <= SMALL;
    if !fits || !info.kinds.contains(dtype) || info.gives.dtype(dtype) != to || y.is_some_and(|y| y.dtype() != dtype) {
        return None;
    }
    let y = match y {
        Some(y) => bytes_of(y, shape, len)?,
        None => &[],
    };
    Some(Request { step, dtype, x: bytes_of(x, shape, len)?, y, len })
}

/// Runs the request on a backend, with the results in `out` from element `offset` on. Returns whether a backend
/// accepted it.
fn run(request: &Request, to: DType, out: &mut Buffer, offset: usize, node: &Node) -> Result<bool> {
    let Request { step, dtype, x, y, len } = *request;
    short::run(
        || Key::new(Work::Step(step), dtype, [len, 0, 0]),
        |backend| {
            let out = bytes::room(out, offset * to.size(), len * to.size());
            // SAFETY: `request` checked that the ufunc is defined for `dtype` and that the operands have `len` elements
            // (or one) inside their buffers. Elements of arrays and values are aligned. `out` has room for `len`
            // results.
            out.is_some_and(|out| unsafe { backend.run_strip(Strip { step, dtype, x, y, out }) })
        },
        || node.tape()?.fresh_op(),
    )
}

/// Writes the value of `node`, of dtype `to`, to the elements of `layout` in `out`. Returns `false` if the fast path
/// does not support it.
pub(super) fn write(node: &Node, to: DType, out: &mut Buffer, layout: &Layout) -> Result<bool> {
    if out.memory() != MemoryId::HOST || !layout.is_c_contiguous() || !short::is_open() {
        return Ok(false);
    }
    let Some(request) = request(node, layout.shape(), to) else { return Ok(false) };
    run(&request, to, out, layout.offset(), node)
}

/// Returns the value of `node`, of dtype `to`, in a new array. Returns `None` if the fast path does not support it, or
/// if the normal path may reuse the buffer of an operand.
pub(super) fn eval(node: &mut Node, to: DType) -> Result<Option<RawArray>> {
    let donated = |leaf: &mut Leaf| match leaf {
        Leaf::Array(a) => Arc::get_mut(a).is_some_and(|a| a.dtype == to && a.buffer.is_exclusive()),
        Leaf::Value(_) | Leaf::Product(_) => false,
    };
    let given_away = match node {
        Node::Unary(_, x) => donated(x),
        Node::Binary(_, x, y) => donated(x) || donated(y),
        Node::Leaf(_) | Node::Step(_) | Node::Failed(_) => return Ok(None),
    };
    if given_away || !short::is_open() {
        return Ok(None);
    }
    let (Node::Unary(_, Leaf::Array(a)) | Node::Binary(_, Leaf::Array(a), _) | Node::Binary(_, _, Leaf::Array(a))) =
        &*node
    else {
        return Ok(None);
    };
    let shape = a.layout.shape();
    let Some(request) = request(node, shape, to) else { return Ok(None) };
    let mut buffer = Buffer::elements(to, request.len)?;
    let done = run(&request, to, &mut buffer, 0, node)?;
    Ok(done.then(|| RawArray { buffer, dtype: to, layout: Layout::contiguous(shape.clone()) }))
}
