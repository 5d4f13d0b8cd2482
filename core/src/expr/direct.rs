//! The short way for expressions: one step on small contiguous arrays of the host goes straight to a backend, without a tape, a program or an operation.
//!
//! What it cannot do it leaves, untouched, to the long way, which also finds all errors.

use super::RawArray;
use super::node::{Leaf, Node};
use crate::backend::{Step, Strip};
use crate::layout::Layout;
use crate::short::{self, Key, Work};
use crate::{Buffer, DType, Dims, MemoryId, Result, bytes};
use std::sync::Arc;

/// Bytes of an operand up to which one thread is always right, and preparations would be felt.
const SMALL: usize = 64 << 10;

/// A step with its operands, seen to be one that a strip can express.
struct Request<'a> {
    step: Step,
    dtype: DType,
    x: &'a [u8],
    y: &'a [u8],
    len: usize,
}

/// The bytes of a leaf: a value's, or those of an array of that shape without gaps in host memory.
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

/// The request for `node` over elements of `shape` that gives `to`, if it is a step that this way is for.
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

/// Whether a backend did what is asked, into the elements of `out` from `offset` on.
fn run(request: &Request, to: DType, out: &mut Buffer, offset: usize, node: &Node) -> Result<bool> {
    let Request { step, dtype, x, y, len } = *request;
    short::run(
        || Key::new(Work::Step(step), dtype, [len, 0, 0]),
        |backend| {
            let out = bytes::room(out, offset * to.size(), len * to.size());
            // SAFETY: `request` found the ufunc defined for `dtype`, operands of `len` elements (or one) inside their buffers, aligned as arrays' elements are; `out` has `len` results.
            out.is_some_and(|out| unsafe { backend.run_strip(Strip { step, dtype, x, y, out }) })
        },
        || node.tape()?.fresh_op(),
    )
}

/// Writes the value of `node`, of dtype `to`, where `layout` says in `out`; `false` if it is left to the long way.
pub(super) fn write(node: &Node, to: DType, out: &mut Buffer, layout: &Layout) -> Result<bool> {
    if out.memory() != MemoryId::HOST || !layout.is_c_contiguous() || !short::is_open() {
        return Ok(false);
    }
    let Some(request) = request(node, layout.shape(), to) else { return Ok(false) };
    run(&request, to, out, layout.offset(), node)
}

/// The value of `node`, of dtype `to`, in a new array; `None` if it is left to the long way, as it is where an operand could be donated.
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
