//! The standard cases of the registry under criterion, at the sizes of `--quick`:
//! `cargo bench -p polyarray-bench -- matmul`. Benches are named `CASE/DEVICE/DTYPE/SIZE`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use polyarray::{DType, Device, with_device};
use polyarray_bench::cases::{CASES, Case, Group, Number};
use polyarray_bench::problem::Problem;
use polyarray_bench::table::show_shape;
use polyarray_bench::with_number;
use std::time::Duration;

/// Returns whether the device supports the case, according to a run at a small size. Wrong results are reported by
/// `compare`, not here.
fn takes<T: Number>(case: &'static Case, device: &Device) -> bool {
    let problem = Problem::<T>::new(case, &(case.sizes.of)(4), 1).expect("small inputs");
    let ran = problem.on(device).and_then(|mut runner| with_device(device, || runner.run()));
    match ran {
        Ok(()) => true,
        Err(polyarray::Error::Refused { .. } | polyarray::Error::Storage { .. }) => false,
        Err(e) => panic!("{} {} on {device}: {e}", case.name, T::DTYPE),
    }
}

fn one<T: Number>(criterion: &mut Criterion, case: &'static Case, device: &Device) {
    let mut group = criterion.benchmark_group(format!("{}/{device}", case.name));
    for &shape in case.sizes.quick {
        group.throughput(if case.is_compute() {
            Throughput::Elements(case.flops(shape) as u64)
        } else {
            Throughput::Bytes(case.bytes(T::DTYPE, shape) as u64)
        });
        group.bench_function(BenchmarkId::new(T::DTYPE.name(), show_shape(shape)), |bencher| {
            // Inside the closure, so that inputs are made only for benches that the filter selects.
            let problem = Problem::<T>::new(case, shape, 1).expect("inputs fit into memory");
            let mut runner = problem.on(device).expect("the device supports the case");
            with_device(device, || bencher.iter(|| runner.run().expect("the device supports the case")));
        });
    }
    group.finish();
}

fn registry(criterion: &mut Criterion) {
    for case in CASES.iter().filter(|c| c.group == Group::Standard) {
        for device in Device::all().into_iter().chain([Device::auto()]) {
            for dtype in [DType::F32, DType::F64] {
                with_number!(dtype, T => if takes::<T>(case, &device) { one::<T>(criterion, case, &device) });
            }
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .without_plots();
    targets = registry
}
criterion_main!(benches);
