//! One case at one dtype and size: its inputs, and its execution on a device.

use crate::cases::{Case, Form, Kernel, Number};
use polyarray::{
    Array, DType, Device, Dims, Element, Fused, IntoExpr, Kind, Matmul, MemoryId, Result, Wide, distance, fuse, s,
};

/// Reproducible random numbers: SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014).
pub struct Random(u64);

impl Random {
    /// Starts the sequence of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns the next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns the next number, at least `lo` and less than `hi`.
    pub fn uniform(&mut self, (lo, hi): (f64, f64)) -> f64 {
        lo + (hi - lo) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A case at one dtype and size, with its inputs in host memory.
pub struct Problem<T: Number> {
    /// The row of the registry.
    pub case: &'static Case,
    /// The size.
    pub shape: Vec<usize>,
    /// The inputs, in C order.
    pub inputs: Vec<Array<T>>,
}

impl<T: Number> Problem<T> {
    /// Draws the inputs from the case's domains. Integers are rounded; they are drawn from a domain 100 times as wide
    /// if its upper end is at most 2. Packed bits are random.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(case: &'static Case, shape: &[usize], seed: u64) -> Result<Problem<T>> {
        let mut random = Random::new(seed);
        let inputs = case
            .input_shapes(shape)
            .into_iter()
            .zip(&case.domains)
            .map(|(shape, &domain)| drawn(&mut random, &shape, domain));
        Ok(Problem { case, shape: shape.to_vec(), inputs: inputs.collect::<Result<_>>()? })
    }

    /// Returns the same case on other inputs, whose shapes follow from `shape`.
    pub(crate) fn with_inputs(&self, shape: Vec<usize>, inputs: Vec<Array<T>>) -> Problem<T> {
        Problem { case: self.case, shape, inputs }
    }

    /// Returns the problem bound to `device`, with inputs and output in its memory. Devices of host memory share these
    /// inputs.
    ///
    /// # Errors
    /// If the device's memory cannot hold them.
    pub fn on(&self, device: &Device) -> Result<Runner<T>> {
        let inputs = self.inputs.iter().map(|x| x.to_device(device)).collect::<Result<_>>()?;
        let mut runner = Runner {
            case: self.case,
            shape: self.shape.clone(),
            inputs,
            output: Output::None,
            compiled: match &self.case.kernel {
                Kernel::Compiled(closure) => Some(fuse(T::closure(closure))?),
                _ => None,
            },
            value: T::from_wide(Wide::Int(7)),
            queued: device.memory() != MemoryId::HOST,
            device: device.clone(),
        };
        runner.forget()?;
        Ok(runner)
    }

    /// Returns the elements of an input.
    pub fn slice(&self, input: usize) -> &[T] {
        self.inputs[input].as_slice().expect("inputs lie in host memory in C order")
    }
}

fn drawn<T: Number>(random: &mut Random, shape: &[usize], (lo, hi): (f64, f64)) -> Result<Array<T>> {
    let whole = T::DTYPE.kind() == Kind::Int;
    let wider = if whole && hi <= 2.0 { 100.0 } else { 1.0 };
    let mut one = || {
        if T::DTYPE == DType::U64 {
            return T::from_wide(Wide::Int(i128::from(random.bits())));
        }
        let x = random.uniform((lo * wider, hi * wider));
        T::from_wide(if whole { Wide::Int(x.round() as i128) } else { Wide::Float(x) })
    };
    let len: usize = shape.iter().product();
    let data: Vec<T> = (0..len).map(|_| one()).collect();
    // Copies instead of adopting the vector, so that the elements lie in a block of the library: aligned, and on huge
    // pages where available.
    Array::from_slice(&data, Dims::from(shape))
}

enum Output<T: Number> {
    None,
    /// An output that exists before a run and is written into.
    Given(Array<T>),
    /// As `Given`, of truth values.
    GivenTruths(Array<bool>),
    Array(Array<T>),
    Distances(Array<T::Distance>),
    Totals(Array<T::Sum>),
    Total(T::Sum),
    Indices(Array<i64>),
    /// A single value, converted to f64: an index, a minimum, a deviation or a median.
    One(f64),
}

/// A problem bound to a device.
pub struct Runner<T: Number> {
    case: &'static Case,
    shape: Vec<usize>,
    inputs: Vec<Array<T>>,
    output: Output<T>,
    /// The function of [`Kernel::Compiled`].
    compiled: Option<Fused<(T,), T>>,
    /// The value that [`Kernel::Set`] writes.
    value: T,
    device: Device,
    /// Whether the device has its own memory, and may still be working when an operation returns.
    queued: bool,
}

impl<T: Number> Runner<T> {
    /// Discards the last result. An output that is written into is filled with values that no result has, so that
    /// verification detects a device that writes nothing.
    ///
    /// # Errors
    /// Out of memory.
    pub fn forget(&mut self) -> Result<()> {
        self.output = Output::None;
        let shape = self.case.output_shape(&self.shape);
        let len: usize = shape.iter().product();
        let shape = Dims::from(&shape[..]);
        match self.case.kernel {
            // Truth values have no value that no result has: a device that writes nothing is detected where a result is
            // false.
            Kernel::Unary(_) | Kernel::Binary(_) if self.case.gives_truth() => {
                self.output = Output::GivenTruths(Array::from_slice(&vec![true; len], shape)?.to_device(&self.device)?);
            }
            Kernel::Unary(_)
            | Kernel::Binary(_)
            | Kernel::Composed(_)
            | Kernel::Map(_)
            | Kernel::Compiled(_)
            | Kernel::Matmul(_)
            | Kernel::Set => {
                let poison = T::from_wide(if T::DTYPE.kind() == Kind::Int {
                    Wide::Int(-0x5a5a_5a5a)
                } else {
                    Wide::Float(f64::NAN)
                });
                self.output = Output::Given(Array::from_slice(&vec![poison; len], shape)?.to_device(&self.device)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Computes the result once, and waits for it if the device has a queue. The caller puts the device in force
    /// ([`polyarray::with_device`]), outside the timed part.
    ///
    /// # Errors
    /// Those of the operation.
    #[inline]
    pub fn run(&mut self) -> Result<()> {
        let x = &self.inputs;
        match (&self.case.kernel, &mut self.output) {
            (Kernel::Map(formula), Output::Given(out)) => T::pick(formula)(x).eval_into(&mut out.view_mut()?)?,
            (Kernel::Compiled(_), Output::Given(out)) => {
                let function = self.compiled.as_ref().expect("the closure was compiled with the problem");
                function.eval_into(&x[0], &mut out.view_mut()?)?;
            }
            (&Kernel::Unary(op), Output::Given(out)) => {
                (&x[0]).into_expr().unary::<T>(op).eval_into(&mut out.view_mut()?)?;
            }
            (&Kernel::Binary(op), Output::Given(out)) => {
                (&x[0]).into_expr().binary::<T>(op, &x[1]).eval_into(&mut out.view_mut()?)?;
            }
            (&Kernel::Composed(op), Output::Given(out)) => {
                let other = (op.operands() == 2).then(|| (&x[1]).into_expr());
                (&x[0]).into_expr().composed(op, other).eval_into(&mut out.view_mut()?)?;
            }
            (&Kernel::Unary(op), Output::GivenTruths(out)) => {
                (&x[0]).into_expr().unary::<bool>(op).eval_into(&mut out.view_mut()?)?;
            }
            (&Kernel::Binary(op), Output::GivenTruths(out)) => {
                (&x[0]).into_expr().binary::<bool>(op, &x[1]).eval_into(&mut out.view_mut()?)?;
            }
            (Kernel::Matmul(form), Output::Given(out)) => {
                let product = match form {
                    Form::Plain => Matmul::new(&x[0], &x[1]),
                    Form::Transposed => Matmul::new(&x[0].t(), &x[1].t()),
                    Form::BiasRelu => Matmul::new(&x[0], &x[1]).bias(&x[2]).map(|e| e.maximum(T::default())),
                };
                product.run_into(&mut out.view_mut()?)?;
            }
            (Kernel::Set, Output::Given(out)) => {
                let middle = out.len() / 2;
                out.set([middle], self.value)?;
            }
            _ => self.make()?,
        }
        if self.queued {
            self.device.synchronize()?;
        }
        Ok(())
    }

    /// Computes a result that is a number, a new array or a view.
    #[inline]
    fn make(&mut self) -> Result<()> {
        let x = &self.inputs;
        // Frees the last result before the next one is made, so that its block is reused.
        self.output = Output::None;
        self.output = match &self.case.kernel {
            Kernel::Unary(_)
            | Kernel::Binary(_)
            | Kernel::Composed(_)
            | Kernel::Map(_)
            | Kernel::Compiled(_)
            | Kernel::Matmul(_)
            | Kernel::Set => {
                unreachable!("`forget` allocated the output")
            }
            Kernel::Fresh(formula) => Output::Array(T::pick(formula)(x).eval()?),
            Kernel::Sum => Output::Total(x[0].sum()?),
            Kernel::SumAxis(axis) => Output::Totals(x[0].sum_axis(*axis)?),
            Kernel::Min => Output::One(x[0].min()?.to_wide().real()),
            Kernel::Mean => Output::One(x[0].mean()?.to_wide().real()),
            Kernel::Any => Output::One(f64::from(u8::from(x[0].any()?))),
            Kernel::Std => Output::One(x[0].std(0)?.to_wide().real()),
            Kernel::ArgMax => Output::One(x[0].argmax()? as f64),
            Kernel::CumSum => Output::Totals(x[0].cumsum(0)?),
            Kernel::Transpose => Output::Array(x[0].t().to_contiguous()?),
            Kernel::Sort => Output::Array(x[0].sort(0)?),
            Kernel::Argsort => Output::Indices(x[0].argsort(0)?),
            Kernel::Median => Output::One(x[0].median()?.to_wide().real()),
            Kernel::Matvec => Output::Array(x[0].matmul(&x[1])?),
            Kernel::Distance(metric) => Output::Distances(distance::cdist(&x[0], &x[1], *metric)?),
            Kernel::Nearest(metric, k) => {
                Output::Distances(T::nearest(&x[0], &x[1], *k.min(&x[1].shape()[0]), *metric)?)
            }
            Kernel::Get => Output::One(x[0].get([x[0].len() / 2])?.to_wide().real()),
            Kernel::Slice => Output::Array(x[0].slice(s![1..])?),
            Kernel::TransposedView => Output::Array(x[0].t()),
            Kernel::Reshape => Output::Array(x[0].reshape([1, x[0].len()])?),
        };
        Ok(())
    }

    /// Returns the last result in C order. (Integers are small enough to be exact in f64.)
    ///
    /// # Errors
    /// Those of the device.
    pub fn values(&self) -> Result<Vec<f64>> {
        match &self.output {
            Output::None => Ok(Vec::new()),
            Output::Given(a) | Output::Array(a) => floats(a),
            Output::GivenTruths(a) => floats(a),
            Output::Distances(a) => floats(a),
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
        for case in crate::cases::CASES.iter() {
            let shape = (case.sizes.of)(4);
            let (a, b) = (Problem::<f32>::new(case, &shape, 1).unwrap(), Problem::<f32>::new(case, &shape, 1).unwrap());
            let constant = case.domains.iter().all(|(lo, hi)| lo == hi);
            for (input, &(lo, hi)) in case.domains.iter().enumerate() {
                assert_eq!(a.slice(input), b.slice(input));
                assert!(a.slice(input).iter().all(|&x| (lo..=hi).contains(&f64::from(x))), "{}", case.name);
            }
            let other = Problem::<f32>::new(case, &shape, 2).unwrap();
            assert!(constant || a.slice(0) != other.slice(0), "{}", case.name);
        }
        // The first outputs for seed 0, as published with the algorithm.
        let mut random = Random::new(0);
        assert_eq!([random.bits(), random.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}
