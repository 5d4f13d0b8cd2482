//! Random numbers, one element after the other, as core defines them.

use super::sort::Line;
use super::strips::STRIP;
use crate::strided::Target;
use polyarray_core::op::{Distribution, Random};
use polyarray_core::random::elements::{
    Bernoulli, Beta, Binomial, Broad, ElementStream, Exponential, Gamma, Middle, Narrow, Normal, Poisson, Sampler,
    Uniform,
};
use polyarray_core::{Buffer, DType, Element, Result, Wide, with_dtype};

/// Runs the operation and writes the result to `out`.
///
/// # Errors
/// Fails if there is no memory for a strip.
pub fn run(op: &Random, out: &Buffer) -> Result<()> {
    let (dtype, wide) = (op.dtype, op.dtype == DType::F64);
    match op.distribution {
        Distribution::Uniform { low, high } if wide => {
            sampled(op, out, Uniform::<f64>::new(dtype, low, high), Wide::Float)
        }
        Distribution::Uniform { low, high } => sampled(op, out, Uniform::<f32>::new(dtype, low, high), float),
        Distribution::Normal { mean, std } if wide => sampled(op, out, Normal::<f64>::new(mean, std), Wide::Float),
        Distribution::Normal { mean, std } => sampled(op, out, Normal::<f32>::new(mean, std), float),
        Distribution::Exponential { scale } if wide => sampled(op, out, Exponential::<f64>::new(scale), Wide::Float),
        Distribution::Exponential { scale } => sampled(op, out, Exponential::<f32>::new(scale), float),
        Distribution::Integers { low, count } => match op.distribution.words(dtype) {
            1 => sampled(op, out, Narrow::new(low, count), integer),
            _ if (1..=1 << 32).contains(&count) => sampled(op, out, Middle::new(low, count), integer),
            _ => sampled(op, out, Broad::new(low, count), integer),
        },
        Distribution::Bernoulli { p } => sampled(op, out, Bernoulli::new(p), |x| Wide::Int(x.into())),
        Distribution::Gamma { alpha, scale } => {
            let gamma = Gamma::new(alpha, scale);
            streamed(op, out, |stream| Wide::Float(gamma.draw(stream)))
        }
        Distribution::Beta { a, b } => {
            let beta = Beta::new(a, b);
            streamed(op, out, |stream| Wide::Float(beta.draw(stream)))
        }
        Distribution::Poisson { mean } => {
            let poisson = Poisson::new(mean);
            streamed(op, out, |stream| Wide::Int(poisson.draw(stream).into()))
        }
        Distribution::Binomial { n, p } => {
            let binomial = Binomial::new(n, p);
            streamed(op, out, |stream| Wide::Int(binomial.draw(stream).into()))
        }
    }
}

fn float(x: f32) -> Wide {
    Wide::Float(x.into())
}

/// Widens two's complement, from which casts to the dtype take the low bits.
fn integer(x: u64) -> Wide {
    Wide::Int(x.into())
}

/// Writes elements that take a fixed number of words.
fn sampled<S: Sampler>(op: &Random, out: &Buffer, sampler: S, wide: impl Fn(S::Out) -> Wide) -> Result<()> {
    each(op, out, &|position| wide(sampler.at(op.key, position)))
}

/// Writes elements that are computed from their streams.
fn streamed(op: &Random, out: &Buffer, draw: impl Fn(&mut ElementStream) -> Wide) -> Result<()> {
    each(op, out, &|position| draw(&mut ElementStream::new(op.key, position)))
}

/// Writes the value of `element` at the position of each element.
fn each(op: &Random, out: &Buffer, element: &dyn Fn(u64) -> Wide) -> Result<()> {
    with_dtype!(op.dtype, T => typed::<T>(op, out, element))
}

fn typed<T: Element>(op: &Random, out: &Buffer, element: &dyn Fn(u64) -> Wide) -> Result<()> {
    let target = Target::whole(out, op.dtype);
    let mut strip = Line::new(op.dtype, STRIP)?;
    for start in (0..op.len).step_by(STRIP) {
        let range = start..op.len.min(start + STRIP);
        for (i, x) in range.clone().zip(strip.elements::<T>()) {
            *x = T::from_wide(element(op.at(i)));
        }
        target.scatter(&[op.len], range, strip.bytes());
    }
    Ok(())
}
