//! Rates that a device measures when it is first used: those of products, in which libraries differ most. OpenBLAS
//! 0.3.21, for example, has no kernels for Intel's CPUs with AMX, and reaches a fifth of what they can do.

use crate::op::{Matmul, Op, Operand, Params, Precision};
use crate::{Buffer, Class, DType, Dims, Number, Profile, Program, Result, RunContext, Strides, trace};
use smallvec::SmallVec;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The shapes `[m, k, n]` that are measured.
const SHAPES: [(Class, [usize; 3]); 2] = [(Class::Product, [192, 192, 192]), (Class::MatVec, [1, 384, 384])];
/// The least time of this many runs counts. The first one loads code and wakes what sleeps.
const RUNS: usize = 5;
/// No run begins after this time: unoptimised builds of a program take long for each.
const BUDGET: Duration = Duration::from_millis(2);

impl Profile {
    /// Returns this profile with measured instead of assumed rates of floating-point products of one thread, which are
    /// measured at the first call. `run` runs a product on the device, whose memory must be the host's. If it fails,
    /// the assumed rates stay. Nothing waits for a measurement, because a child process of a fork would wait for a
    /// thread that it does not have.
    pub fn measured_once<'a>(
        &self,
        measured: &'a OnceLock<Profile>,
        run: impl Fn(&Op, &RunContext) -> Result<()>,
    ) -> &'a Profile {
        if measured.get().is_none() {
            let profile = self.clone().with_measured_products(run);
            // If another thread was faster, its measurement is used.
            let _ = measured.set(profile);
        }
        measured.get().expect("a profile was stored")
    }

    /// Measures the rates. Complex products are assumed to differ by the same factor as real ones.
    fn with_measured_products(mut self, run: impl Fn(&Op, &RunContext) -> Result<()>) -> Profile {
        for (class, shape) in SHAPES {
            // A recording of its own, which is dropped: what is measured is no part of the program's work.
            let (seconds, _) = trace::record(|| [seconds::<f32>(shape, &run), seconds::<f64>(shape, &run)]);
            let dtypes = [(DType::F32, DType::C32), (DType::F64, DType::C64)];
            for (seconds, (real, complex)) in seconds.into_iter().zip(dtypes) {
                let Ok(seconds) = seconds else { continue };
                let [m, k, n] = shape;
                let loss = if class == Class::Product { 1.0 + self.half_size / m.min(k).min(n) as f64 } else { 1.0 };
                let rate = (m * k * n) as f64 * loss / (seconds - self.start_up).max(1e-9);
                let factor = rate / self.rate(class, real);
                let scaled = self.rate(class, complex) * factor;
                self = self.with_rate(&[class], &[real], rate).with_rate(&[class], &[complex], scaled);
            }
        }
        self
    }
}

/// Returns the least time of a product of matrices of ones.
fn seconds<T: Number>([m, k, n]: [usize; 3], run: impl Fn(&Op, &RunContext) -> Result<()>) -> Result<f64> {
    let ones = |rows: usize, columns: usize| Operand {
        buffer: Buffer::adopt(vec![T::ONE; rows * columns]),
        dtype: T::DTYPE,
        offset: 0,
        strides: Strides::from_slice(&[columns as isize, 1]),
    };
    let op = Op::from(Matmul {
        dtype: T::DTYPE,
        precision: Precision::Full,
        batch: Dims::new(),
        m,
        n,
        k,
        a: ones(m, k),
        b: ones(k, n),
        after: Program::identity(T::DTYPE),
        after_params: Params::new(),
        extras: SmallVec::new(),
        add: false,
    });
    let outputs = [Buffer::elements(T::DTYPE, m * n)?];
    let context = RunContext { threads: 1, outputs: &outputs };
    let (begin, mut least) = (Instant::now(), f64::INFINITY);
    for _ in 0..RUNS {
        let start = Instant::now();
        run(&op, &context)?;
        least = least.min(start.elapsed().as_secs_f64());
        if begin.elapsed() > BUDGET {
            break;
        }
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn rates_of_a_slow_device_are_measured_and_those_of_a_broken_one_stay() {
        let assumed = Profile::new(0.0, 1e10, 4e12).with_rate(&[Class::Product], &[DType::C32], 1e12);
        let slow = assumed.clone().with_measured_products(|_, _| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(())
        });
        let most = 192f64.powi(3) / 1e-3;
        let rate = slow.rate(Class::Product, DType::F32);
        assert!(rate > most / 100.0 && rate <= most, "{rate}");
        let complex = slow.rate(Class::Product, DType::C32);
        assert!((complex / rate - 0.25).abs() < 1e-12, "{complex}");
        assert_eq!(slow.rate(Class::Product, DType::F16), 4e12);
        let broken = assumed
            .clone()
            .with_measured_products(|op, _| Err(Error::Absent { name: "test".into(), why: op.describe() }));
        for class in Class::ALL {
            for dtype in DType::ALL {
                assert_eq!(broken.rate(class, dtype), assumed.rate(class, dtype));
            }
        }
    }
}
