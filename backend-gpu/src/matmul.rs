//! Matrix products: tiled kernels, and reductions for thin products.

use crate::device::{Gpu, Limits};
use crate::memory::{View, handle};
use crate::reduce;
use crate::tile::{self, Geometry, Inner, spread};
use polyarray_core::op::{Matmul, Operand, Params, Reduction};
use polyarray_core::{Binary, Buffer, Dims, Instr, Program, Ref, Result};
use std::sync::Arc;

/// The largest number of rows or columns of a thin result. Its sums are better distributed over lanes than over tiles.
const THIN: usize = 4;

/// Returns the index space and the strides of a product.
pub(crate) fn geometry(op: &Matmul) -> Geometry {
    let nb = op.batch.len();
    let lens: Vec<usize> = op.batch.iter().copied().chain([op.m, op.n, op.k]).collect();
    let axes = |tail: [Option<usize>; 3]| (0..nb).map(Some).chain(tail).collect::<Vec<_>>();
    let result: Dims = lens[..nb + 2].iter().copied().collect();
    let at_result = axes([Some(nb), Some(nb + 1), None]);
    let mut strides = vec![
        spread(&op.a.strides, &axes([Some(nb), None, Some(nb + 1)])),
        spread(&op.b.strides, &axes([None, Some(nb + 1), Some(nb)])),
        spread(&result.c_strides(), &at_result),
    ];
    strides.extend(op.extras.iter().map(|e| spread(&e.strides, &at_result)));
    Geometry { lens, strides, cut_k: op.after.is_identity() }
}

/// Returns whether the product runs as a reduction. The program after a reduction reads no other operands, so extras
/// exclude it.
fn is_thin(op: &Matmul) -> bool {
    op.m.min(op.n) <= THIN && op.extras.is_empty()
}

/// Returns whether the product can be launched in pieces.
pub(crate) fn can_be_cut(op: &Matmul, limits: &Limits) -> bool {
    is_thin(op) || geometry(op).pieces(limits).is_some()
}

pub(crate) fn run(gpu: &Arc<Gpu>, op: &Matmul, out: &Buffer) -> Result<()> {
    let geometry = geometry(op);
    let view = |operand: &'_ Operand, i: usize| (operand.dtype, operand.offset, geometry.strides[i].clone());
    let mut views = Vec::new();
    for (i, operand) in [&op.a, &op.b].into_iter().enumerate() {
        let (dtype, offset, strides) = view(operand, i);
        views.push(View { handle: handle(&operand.buffer), dtype, offset, strides });
    }
    views.push(View { handle: handle(out), dtype: op.after.output(), offset: 0, strides: geometry.strides[2].clone() });
    if is_thin(op) {
        return thin(gpu, op, views, geometry);
    }
    for (i, operand) in op.extras.iter().enumerate() {
        let (dtype, offset, strides) = view(operand, i + 3);
        views.push(View { handle: handle(&operand.buffer), dtype, offset, strides });
    }
    tile::run(
        gpu,
        &tile::Spec {
            inner: Inner::Product,
            geometry,
            views,
            after: op.after.clone(),
            after_params: op.after_params.clone(),
        },
    )
}

/// Computes each element of the result as a sum of products over k.
fn thin<'a>(gpu: &Arc<Gpu>, op: &Matmul, mut views: Vec<View<'a>>, geometry: Geometry) -> Result<()> {
    let before =
        Program::new(&[op.dtype; 2], &[], &[Instr::Binary(Binary::Mul, Ref::Input(0), Ref::Input(1))], Ref::Value(0))?;
    let nb = op.batch.len();
    let mut output: View<'a> = views.pop().expect("the output is last");
    output.strides.truncate(nb + 2);
    // The larger operand determines the direction of the lanes.
    let (large, outer) = if op.n <= op.m { (&views[0], nb) } else { (&views[1], nb + 1) };
    let across = geometry.lens[outer] > 1 && large.strides[nb + 2].unsigned_abs() > large.strides[outer].unsigned_abs();
    reduce::run_spec(
        gpu,
        reduce::Spec {
            kind: Reduction::Sum,
            before,
            params: Params::new(),
            outer: geometry.lens[..nb + 2].to_vec(),
            inner: vec![op.k],
            inputs: views,
            across,
            after: op.after.clone(),
            after_params: op.after_params.clone(),
            output,
        },
    )
}
