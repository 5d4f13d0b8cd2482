//! The backend: what it supports, cost estimates, and execution.

use crate::device::Gpu;
use crate::memory::GpuMemory;
use crate::{distance, map, matmul, reduce, render};
use polyarray_core::op::Reduction;
use polyarray_core::{Backend, Cost, DType, DeviceInfo, MemoryId, Op, Profile, Result, RunContext, Unsupported};
use std::sync::Arc;

/// The device `gpu`: an adapter that wgpu found.
pub struct GpuBackend {
    pub(crate) gpu: Arc<Gpu>,
    memory: Arc<GpuMemory>,
    info: DeviceInfo,
    profile: Profile,
}

impl GpuBackend {
    pub(crate) fn new(gpu: Arc<Gpu>) -> GpuBackend {
        let memory = polyarray_core::register_memory(|id| Arc::new(GpuMemory::new(id, gpu.clone())));
        let adapter = &gpu.info;
        let driver = [adapter.driver.as_str(), adapter.driver_info.as_str()]
            .into_iter()
            .filter(|s| !s.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let info = DeviceInfo {
            name: gpu.name.clone(),
            description: format!(
                "{} ({:?}{}{driver})",
                adapter.name,
                adapter.backend,
                if driver.is_empty() { "" } else { ", " }
            ),
            hardware: adapter.device_type != wgpu::DeviceType::Cpu,
        };
        let speed = &gpu.limits.speed;
        let profile = Profile::new(speed.start_up, speed.bandwidth, speed.rate);
        GpuBackend { gpu, memory, info, profile }
    }

    /// Returns the reason why `op` cannot run on this device, if it cannot.
    ///
    /// Under `auto` this is called for every large operation of the host, so refusals of common cases (such as f64)
    /// allocate nothing.
    fn refuse(&self, op: &Op) -> Result<(), Unsupported> {
        if let Some(why) = self.gpu.faults.lost() {
            return Err(Unsupported::new(why.to_string()));
        }
        if let Some(why) = lacking_kernel(op) {
            return Err(Unsupported::new(why));
        }
        let mut lacking = render::lacking(op.output().dtype);
        op.programs().iter().for_each(|p| lacking = lacking.or_else(|| p.all_dtypes().find_map(render::lacking)));
        op.for_each_input(|operand, _| lacking = lacking.or_else(|| render::lacking(operand.dtype)));
        if let Op::Distance(o) = op
            && !distance::has_kernel(o.metric)
        {
            let name = o.metric.name();
            return Err(Unsupported::new(format!("{name} distances are not supported on GPUs; use a host device")));
        }
        if let Some(why) = lacking {
            return Err(Unsupported::new(why));
        }
        if let Some(name) = op.programs().into_iter().find_map(render::missing) {
            return Err(Unsupported::new(format!("{name} is not supported on GPUs yet; use a host device")));
        }
        let limits = &self.gpu.limits;
        let (mut largest, mut operands) = (op.output().len(), 1);
        op.for_each_input(|operand, lens| {
            let (lo, hi) = operand.span(lens);
            largest = largest.max(hi - lo);
            operands += 1;
        });
        if largest as u64 > limits.buffer / 4 {
            return Err(Unsupported::new(format!(
                "an operand spans {largest} elements, but a buffer holds at most {}",
                limits.buffer / 4
            )));
        }
        if operands > limits.buffers {
            return Err(Unsupported::new(format!(
                "the operation has {operands} operands, but a kernel can bind at most {}",
                limits.buffers
            )));
        }
        let room = limits.room();
        match op {
            Op::Matmul(o) if o.add => Err(Unsupported::new(
                "a product cannot be added to an existing output on GPUs; compute the product and add it afterwards",
            )),
            Op::Matmul(o) if !matmul::can_be_cut(o, limits) => Err(Unsupported::new(format!(
                "the product [{}, {}, {}] with an epilogue does not fit one launch (bindings of {room} elements, {} s) \
                 unless it is cut along k; compute the product first and apply the epilogue afterwards",
                o.m, o.k, o.n, limits.longest
            ))),
            Op::Distance(o) if distance::geometry(o).pieces(limits).is_none() => Err(Unsupported::new(format!(
                "vectors of {} coordinates (strides {:?} and {:?}) do not fit one launch (a binding of {room} \
                 elements, {} s); use a host device, or try to_contiguous()",
                o.d, o.x.strides, o.y.strides, limits.longest
            ))),
            _ => Ok(()),
        }
    }
}

/// The reason for refusing work that kernels could do, as a constant.
macro_rules! later {
    ($what:literal) => {
        concat!($what, " are not supported on GPUs yet; use a host device")
    };
}

/// Returns the reason why no kernel runs an operation of this kind on any dtype that a GPU has, if there is none.
fn lacking_kernel(op: &Op) -> Option<&'static str> {
    Some(match op {
        Op::Sort(_) | Op::Search(_) | Op::Count(_) => {
            later!("sorting, searching and counting")
        }
        Op::Nearest(_) => "GPUs select neighbours from blocks of distances",
        Op::Random(_) => later!("random numbers"),
        Op::Gather(_) | Op::Scatter(_) => {
            later!("reads and writes at indices")
        }
        Op::Scan(_) => later!("running sums and products (scans)"),
        Op::Reduce(o) if !reduce::has_kernel(o.kind) => {
            later!("argmin, argmax and variances in one pass")
        }
        Op::Reduce(o)
            if matches!(o.kind, Reduction::Sum | Reduction::Prod)
                && matches!(o.before.output(), DType::I64 | DType::U64) =>
        {
            "sums and products of integers are accumulated in 64-bit integers (i64 or u64), which WGSL does not have; \
             cast to f32 first"
        }
        Op::Map(_) | Op::Reduce(_) | Op::Matmul(_) | Op::Distance(_) => return None,
    })
}

// SAFETY: kernels write every element of the output's view and bind only the ranges of the views. Queued work keeps the
// driver's buffers alive.
unsafe impl Backend for GpuBackend {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn memory(&self) -> MemoryId {
        self.memory.id()
    }

    fn estimate(&self, op: &Op, _threads: usize) -> Result<Cost, Unsupported> {
        self.refuse(op)?;
        Ok(self.profile.cost(op, 1))
    }

    fn profile(&self) -> Option<&Profile> {
        Some(&self.profile)
    }

    /// Returns infinity for a lost device, so that `auto` does not even request an estimate.
    fn start_up(&self) -> f64 {
        if self.gpu.faults.lost().is_some() { f64::INFINITY } else { self.profile.start_up }
    }

    unsafe fn run(&self, op: &Op, cx: &RunContext) -> Result<()> {
        match op {
            Op::Map(o) => map::run(&self.gpu, o, cx.output()),
            Op::Reduce(o) => reduce::run(&self.gpu, o, cx.output()),
            Op::Scan(_) => unreachable!("estimate refuses scans"),
            Op::Matmul(o) => matmul::run(&self.gpu, o, cx.output()),
            Op::Distance(o) => distance::run(&self.gpu, o, cx.output()),
            Op::Nearest(_)
            | Op::Sort(_)
            | Op::Search(_)
            | Op::Count(_)
            | Op::Random(_)
            | Op::Gather(_)
            | Op::Scatter(_) => {
                unreachable!("estimate refuses them")
            }
        }
    }

    fn synchronize(&self) -> Result<()> {
        self.gpu.synchronize()
    }
}
