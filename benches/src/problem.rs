//! One case at one dtype and size: its inputs, and running it on a device.

use crate::cases::{Case, Form, Kernel, Number};
use polyarray::{Array, Device, Dims, Element, Kind, Matmul, MemoryId, Result, Wide, distance};

/// Random numbers that are the same everywhere: SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number from `lo` to `hi`, without `hi`.
    pub fn uniform(&mut self, (lo, hi): (f64, f64)) -> f64 {
        lo + (hi - lo) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A case at one dtype and size, with its inputs in host memory.
pub struct Problem<T: Number> {
    /// The row of the registry.
    pub case: &'static Case,
    /// Its size.
    pub shape: Vec<usize>,
    /// Its inputs, in C order.
    pub inputs: Vec<Array<T>>,
}

impl<T: Number> Problem<T> {
    /// With inputs drawn from the case's domains; integers are drawn from a hundred times those of matrices, and rounded.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(case: &'static Case, shape: &[usize], seed: u64) -> Result<Problem<T>> {
        let mut random = Random::new(seed);
        let inputs = case
            .input_shapes(shape)
            .into_iter()
            .zip(case.domains)
            .map(|(shape, &domain)| drawn(&mut random, &shape, domain));
        Ok(Problem { case, shape: shape.to_vec(), inputs: inputs.collect::<Result<_>>()? })
    }

    /// The same case on other inputs, of which the shape follows from `shape`.
    pub(crate) fn with_inputs(&self, shape: Vec<usize>, inputs: Vec<Array<T>>) -> Problem<T> {
        Problem { case: self.case, shape, inputs }
    }

    /// Ready to run on `device`: inputs and output lie in its memory. Devices of host memory share these inputs.
    ///
    /// # Errors
    /// Where the device's memory cannot hold them.
    pub fn on(&self, device: &Device) -> Result<Runner<T>> {
        let inputs = self.inputs.iter().map(|x| x.to_device(device)).collect::<Result<_>>()?;
        let mut runner = Runner {
            case: self.case,
            shape: self.shape.clone(),
            inputs,
            output: Output::None,
            queued: device.memory() != MemoryId::HOST,
            device: device.clone(),
        };
        runner.forget()?;
        Ok(runner)
    }

    /// The elements of an input.
    pub fn slice(&self, input: usize) -> &[T] {
        self.inputs[input].as_slice().expect("inputs lie in host memory in C order")
    }
}

fn drawn<T: Number>(random: &mut Random, shape: &[usize], (lo, hi): (f64, f64)) -> Result<Array<T>> {
    let whole = T::DTYPE.kind() == Kind::Int;
    let wider = if whole && hi <= 2.0 { 100.0 } else { 1.0 };
    let mut one = || {
        let x = random.uniform((lo * wider, hi * wider));
        T::from_wide(if whole { Wide::Int(x.round() as i128) } else { Wide::Float(x) })
    };
    let len: usize = shape.iter().product();
    let data: Vec<T> = (0..len).map(|_| one()).collect();
    // Copied, not adopted, into a block of the library's own: aligned, and on huge pages where there are.
    Array::from_slice(&data, Dims::from(shape))
}

enum Output<T: Number> {
    None,
    /// An array that is there before, and written.
    Given(Array<T>),
    Array(Array<T>),
    Totals(Array<T::Sum>),
    Total(T::Sum),
    Indices(Array<i64>),
    /// One value of another type: an index, a deviation, a median.
    One(f64),
}

/// A problem bound to a device.
pub struct Runner<T: Number> {
    case: &'static Case,
    shape: Vec<usize>,
    inputs: Vec<Array<T>>,
    output: Output<T>,
    device: Device,
    /// Whether the device lives apart from the host, and may still be at it when an operation returns.
    queued: bool,
}

impl<T: Number> Runner<T> {
    /// Forgets the last result: an output that is written into is replaced by one that no result looks like, so that a
    /// device which writes nothing is found out.
    ///
    /// # Errors
    /// Out of memory.
    pub fn forget(&mut self) -> Result<()> {
        self.output = Output::None;
        if matches!(self.case.kernel, Kernel::Map(_) | Kernel::Matmul(_)) {
            let poison = T::from_wide(if T::DTYPE.kind() == Kind::Int {
                Wide::Int(-0x5a5a_5a5a)
            } else {
                Wide::Float(f64::NAN)
            });
            let shape = self.case.output_shape(&self.shape);
            let len: usize = shape.iter().product();
            self.output =
                Output::Given(Array::from_slice(&vec![poison; len], Dims::from(&shape[..]))?.to_device(&self.device)?);
        }
        Ok(())
    }

    /// Does the work once, and waits for it where the device has a queue. The device must be in force ([`polyarray::with_device`]): it is set outside what is timed.
    ///
    /// # Errors
    /// Those of the operation.
    #[inline]
    pub fn run(&mut self) -> Result<()> {
        let x = &self.inputs;
        if let (Kernel::Map(formula), Output::Given(out)) = (&self.case.kernel, &mut self.output) {
            T::pick(formula)(x).eval_into(&mut out.view_mut()?)?;
        } else if let (Kernel::Matmul(form), Output::Given(out)) = (&self.case.kernel, &mut self.output) {
            let product = match form {
                Form::Plain => Matmul::new(&x[0], &x[1]),
                Form::Transposed => Matmul::new(&x[0].t(), &x[1].t()),
                Form::BiasRelu => Matmul::new(&x[0], &x[1]).bias(&x[2]).map(|e| e.maximum(T::default())),
            };
            product.run_into(&mut out.view_mut()?)?;
        } else {
            // The last result goes before the next is made, so that its block can be used again.
            self.output = Output::None;
            self.output = match &self.case.kernel {
                Kernel::Map(_) | Kernel::Matmul(_) => unreachable!("`forget` gave it an output"),
                Kernel::Fresh(formula) => Output::Array(T::pick(formula)(x).eval()?),
                Kernel::Sum => Output::Total(x[0].sum()?),
                Kernel::SumAxis(axis) => Output::Totals(x[0].sum_axis(*axis)?),
                Kernel::Min => Output::One(x[0].min()?.to_wide().real()),
                Kernel::Std => Output::One(x[0].std(0)?.to_wide().real()),
                Kernel::ArgMax => Output::One(x[0].argmax()? as f64),
                Kernel::CumSum => Output::Totals(x[0].cumsum(0)?),
                Kernel::Transpose => Output::Array(x[0].t().to_contiguous()?),
                Kernel::Sort => Output::Array(x[0].sort(0)?),
                Kernel::Argsort => Output::Indices(x[0].argsort(0)?),
                Kernel::Median => Output::One(x[0].median()?.to_wide().real()),
                Kernel::Matvec => Output::Array(x[0].matmul(&x[1])?),
                Kernel::Distance(metric) => Output::Array(distance::cdist(&x[0], &x[1], *metric)?),
            };
        }
        if self.queued {
            self.device.synchronize()?;
        }
        Ok(())
    }

    /// The last result in C order. (Integers are small enough to be exact in f64.)
    ///
    /// # Errors
    /// What the device reports.
    pub fn values(&self) -> Result<Vec<f64>> {
        match &self.output {
            Output::None => Ok(Vec::new()),
            Output::Given(a) | Output::Array(a) => floats(a),
            Output::Totals(a) => floats(a),
            Output::Total(x) => Ok(vec![x.to_wide().real()]),
            Output::Indices(a) => floats(a),
            Output::One(x) => Ok(vec![*x]),
        }
    }
}

fn floats<T: Element>(a: &Array<T>) -> Result<Vec<f64>> {
    Ok(a.to_vec()?.into_iter().map(|x| x.to_wide().real()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_the_same_every_time_and_inside_their_domain() {
        for case in crate::cases::CASES {
            let shape = (case.sizes.of)(4);
            let (a, b) = (Problem::<f32>::new(case, &shape, 1).unwrap(), Problem::<f32>::new(case, &shape, 1).unwrap());
            for (input, &(lo, hi)) in case.domains.iter().enumerate() {
                assert_eq!(a.slice(input), b.slice(input));
                assert!(a.slice(input).iter().all(|&x| (lo..=hi).contains(&f64::from(x))), "{}", case.name);
            }
            assert_ne!(a.slice(0), Problem::<f32>::new(case, &shape, 2).unwrap().slice(0), "{}", case.name);
        }
        // The first outputs for seed 0, as published with the algorithm.
        let mut random = Random::new(0);
        assert_eq!([random.bits(), random.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}
