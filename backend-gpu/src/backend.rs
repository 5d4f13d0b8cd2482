//! The backend: what it takes, what that costs, and running it.

use crate::device::Gpu;
use crate::memory::GpuMemory;
use crate::{distance, map, matmul, reduce, render};
use polyarray_core::op::Reduction;
use polyarray_core::{Backend, Cost, DType, DeviceInfo, MemoryId, Op, Result, RunContext, Unsupported};
use std::sync::Arc;

/// What an adapter is assumed to do where nothing has been measured.
struct Figures {
    /// Seconds for one launch to come through.
    start_up: f64,
    /// Bytes a second.
    bandwidth: f64,
    /// Simple instructions on one element (a multiply-add is one) a second.
    rate: f64,
}

/// Taken low, from cards some years old; software is what lavapipe does on two cores.
fn figures(kind: wgpu::DeviceType) -> Figures {
    match kind {
        wgpu::DeviceType::DiscreteGpu => Figures { start_up: 20e-6, bandwidth: 300e9, rate: 2.5e12 },
        wgpu::DeviceType::Cpu => Figures { start_up: 80e-6, bandwidth: 4e9, rate: 1.5e9 },
        _ => Figures { start_up: 30e-6, bandwidth: 40e9, rate: 0.4e12 },
    }
}

/// The device `gpu`: an adapter that wgpu found.
pub struct GpuBackend {
    pub(crate) gpu: Arc<Gpu>,
    memory: Arc<GpuMemory>,
    info: DeviceInfo,
}

impl GpuBackend {
    pub(crate) fn new(gpu: Arc<Gpu>) -> GpuBackend {
        let memory = polyarray_core::register_memory(|id| Arc::new(GpuMemory::new(id, gpu.clone())));
        let adapter = &gpu.info;
        let driver = [adapter.driver.as_str(), adapter.driver_info.as_str()].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
        let info = DeviceInfo {
            name: gpu.name.clone(),
            description: format!("{} ({:?}{}{driver})", adapter.name, adapter.backend, if driver.is_empty() { "" } else { ", " }),
            hardware: adapter.device_type != wgpu::DeviceType::Cpu,
        };
        GpuBackend { gpu, memory, info }
    }

    /// Why `op` cannot be run here, if it cannot.
    fn refuse(&self, op: &Op) -> Result<(), Unsupported> {
        if matches!(op, Op::Sort(_) | Op::Search(_) | Op::Count(_)) {
            return Err(Unsupported::new("sorting, searching and counting are not done on GPUs yet"));
        }
        if let Op::Scan(o) = op {
            return Err(Unsupported::new(format!("it has no {} yet", o.kind.name())));
        }
        if let Op::Reduce(o) = op {
            if !reduce::has_kernel(o.kind) {
                return Err(Unsupported::new(format!("it has no {} in one pass yet", o.kind.name())));
            }
            let acc = o.before.output();
            if matches!(o.kind, Reduction::Sum | Reduction::Prod) && matches!(acc, DType::I64 | DType::U64) {
                let what = if o.kind == Reduction::Sum { "sums" } else { "products" };
                return Err(Unsupported::new(format!("{what} of integers are made in {acc}, and WGSL has no 64-bit integers; cast to f32 first")));
            }
        }
        let mut dtypes = vec![op.output_dtype()];
        op.programs().iter().for_each(|p| dtypes.extend(p.all_dtypes()));
        op.for_each_input(|operand, _| dtypes.push(operand.dtype));
        match op {
            Op::Matmul(o) => dtypes.push(o.dtype),
            Op::Distance(o) => dtypes.push(o.dtype),
            Op::Map(_) | Op::Reduce(_) | Op::Scan(_) | Op::Sort(_) | Op::Search(_) | Op::Count(_) => {}
        }
        if let Some(dtype) = dtypes.into_iter().find(|&d| !render::is_supported(d)) {
            return Err(Unsupported::new(format!("{dtype} is not supported on GPUs yet (f32, i32, u32 and bool are)")));
        }
        if let Some(name) = op.programs().into_iter().find_map(render::missing) {
            return Err(Unsupported::new(format!("{name} is not written in WGSL yet")));
        }
        let limits = &self.gpu.limits;
        let (mut largest, mut operands) = (op.output_len(), 1);
        op.for_each_input(|operand, lens| {
            let (lo, hi) = operand.span(lens);
            largest = largest.max(hi - lo);
            operands += 1;
        });
        if largest as u64 > limits.buffer / 4 {
            return Err(Unsupported::new(format!("an operand spans {largest} elements, one buffer holds {}", limits.buffer / 4)));
        }
        if operands > limits.buffers {
            return Err(Unsupported::new(format!("it has {operands} operands, a kernel can bind {}", limits.buffers)));
        }
        let room = limits.room();
        match op {
            Op::Matmul(o) if o.add => Err(Unsupported::new("it adds to no numbers that are there; add the product afterwards")),
            Op::Matmul(o) if !matmul::can_be_cut(o, limits) => Err(Unsupported::new(format!(
                "[{}, {}, {}] with more to do after it does not fit bindings of {room} elements unless cut along k; do the product first",
                o.m, o.k, o.n
            ))),
            Op::Distance(o) if distance::geometry(o).pieces(limits).is_none() => Err(Unsupported::new(format!(
                "a vector of {} coordinates (strides {:?} and {:?}) does not fit a binding of {room} elements; to_contiguous() may help",
                o.d, o.x.strides, o.y.strides
            ))),
            _ => Ok(()),
        }
    }
}

// SAFETY: kernels write every element of the output's view and bind no more than the views' ranges; queued work holds the driver's buffers.
unsafe impl Backend for GpuBackend {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.memory.id()
    }

    fn estimate(&self, op: &Op, _threads: usize) -> Result<Cost, Unsupported> {
        self.refuse(op)?;
        let Figures { start_up, bandwidth, rate } = figures(self.gpu.info.device_type);
        Ok(Cost::model(start_up, op.bytes() / bandwidth, op.work() / rate, 1, 0.0))
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match op {
            Op::Map(o) => map::run(&self.gpu, o, cx.output),
            Op::Reduce(o) => reduce::run(&self.gpu, o, cx.output),
            Op::Scan(_) => unreachable!("estimate refuses scans"),
            Op::Matmul(o) => matmul::run(&self.gpu, o, cx.output),
            Op::Distance(o) => distance::run(&self.gpu, o, cx.output),
            Op::Sort(_) | Op::Search(_) | Op::Count(_) => unreachable!("estimate refuses them"),
        }
    }

    fn synchronize(&self) -> Result<()> {
        self.gpu.synchronize()
    }
}
