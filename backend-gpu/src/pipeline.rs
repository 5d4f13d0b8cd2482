//! Compiled kernels, cached by their structure.

use crate::device::{Gpu, lock};
use crate::kernel::Source;
use polyarray_core::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// The largest number of cached kernels.
const LIMIT: usize = 256;

/// The key of a kernel. Shapes, strides and parameters are not part of it, because they are data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Map(crate::map::Structure),
    Reduce(crate::reduce::Structure),
    Tile(crate::tile::Structure),
}

impl Key {
    fn source(&self) -> Source {
        match self {
            Key::Map(s) => s.source(),
            Key::Reduce(s) => s.source(),
            Key::Tile(s) => s.source(),
        }
    }
}

/// A compiled kernel.
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
    /// The number of parameter words that the kernel reads, with the leading zero.
    pub words: usize,
}

/// Kernels by structure, and the time of their last use.
#[derive(Default)]
pub(crate) struct Cache {
    kernels: HashMap<Key, (Arc<Pipeline>, u64)>,
    clock: u64,
}

impl Cache {
    fn get(&mut self, key: &Key) -> Option<Arc<Pipeline>> {
        self.clock += 1;
        let (pipeline, used) = self.kernels.get_mut(key)?;
        *used = self.clock;
        Some(pipeline.clone())
    }

    fn put(&mut self, key: Key, pipeline: Arc<Pipeline>) {
        self.clock += 1;
        if self.kernels.len() >= LIMIT {
            let oldest = self.kernels.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.kernels.remove(&key));
        }
        self.kernels.insert(key, (pipeline, self.clock));
    }
}

/// Returns the kernel of this structure, compiled if it is not cached.
///
/// # Errors
/// The driver's error.
pub(crate) fn get(gpu: &Gpu, key: Key) -> Result<Arc<Pipeline>> {
    if let Some(pipeline) = lock(&gpu.pipelines).get(&key) {
        return Ok(pipeline);
    }
    let pipeline = Arc::new(compile(gpu, &key.source())?);
    lock(&gpu.pipelines).put(key, pipeline.clone());
    Ok(pipeline)
}

fn compile(gpu: &Gpu, source: &Source) -> Result<Pipeline> {
    gpu.check()?;
    let made = gpu.caught(|| {
        let device = &gpu.device;
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(source.text.as_str().into()) };
        // SAFETY: without run-time checks, a kernel must not leave its bindings and must terminate. The generated
        // kernels compare every index with the number of elements before they load or store. Positions follow from
        // offsets and strides, and `View::bind` binds the range between their extremes over that number of elements.
        // Loops run to bounds that do not change inside them. `integer.wgsl` guards integer division by zero.
        let module = unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) };
        let entry = |binding: u32, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let storage = source.read_only.iter().map(|&read_only| wgpu::BufferBindingType::Storage { read_only });
        let entries: Vec<_> = std::iter::once(wgpu::BufferBindingType::Uniform)
            .chain(storage)
            .zip(0..)
            .map(|(ty, i)| entry(i, ty))
            .collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { pipeline, layout, words: source.words }
    });
    gpu.alive()?;
    made.map_err(|e| gpu.error(format!("a kernel was refused: {e}\n{}", source.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_forgets_what_was_used_longest_ago() {
        let Some(gpu) = crate::tests::gpu() else { return };
        let key = |n: usize| Key::Map(crate::map::Structure::fill_of_rank(n));
        let some = get(&gpu, key(1)).unwrap();
        let mut cache = Cache::default();
        for n in 1..=LIMIT {
            cache.put(key(n), some.clone());
        }
        assert!(cache.get(&key(1)).is_some(), "now used last");
        cache.put(key(LIMIT + 1), some);
        assert_eq!(cache.kernels.len(), LIMIT);
        assert!(cache.get(&key(2)).is_none() && cache.get(&key(1)).is_some());
    }
}
