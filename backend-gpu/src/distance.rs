//! Distances between all pairs of two sets of vectors, from direct differences.

use crate::device::Gpu;
use crate::memory::{View, handle};
use crate::tile::{self, Geometry, Inner, spread};
use polyarray_core::op::{Distance, Measure};
use polyarray_core::{Buffer, Result};

/// Returns whether there is a kernel for the metric.
pub(crate) fn has_kernel(metric: Measure) -> bool {
    matches!(
        metric,
        Measure::Euclidean | Measure::SquaredEuclidean | Measure::Cityblock | Measure::Cosine | Measure::Dot
    )
}

/// Returns the index space (n, m, d in the places of m, n, k) and the strides.
pub(crate) fn geometry(op: &Distance) -> Geometry {
    let strides = vec![
        spread(&op.x.strides, &[Some(0), None, Some(1)]),
        spread(&op.y.strides, &[None, Some(0), Some(1)]),
        vec![op.m as isize, 1, 0],
    ];
    Geometry { lens: vec![op.n, op.m, op.d], strides, cut_k: false }
}

pub(crate) fn run(gpu: &Gpu, op: &Distance, out: &Buffer) -> Result<()> {
    let geometry = geometry(op);
    let buffers =
        [(&op.x.buffer, op.dtype, op.x.offset), (&op.y.buffer, op.dtype, op.y.offset), (out, op.after.output(), 0)];

    let views = buffers
        .into_iter()
        .zip(&geometry.strides)
        .map(|((buffer, dtype, offset), strides)| View {
            handle: handle(buffer),
            dtype,
            offset,
            strides: strides.clone(),
        })
        .collect();
    tile::run(
        gpu,
        &tile::Spec {
            inner: Inner::Distance(op.metric),
            geometry,
            views,
            after: op.after.clone(),
            after_params: op.after_params.clone(),
        },
    )
}
