//! Products of matrices. Sums of floats and complex numbers are accumulated with more precision than the dtype has.

use super::strips::{STRIP, Strips, Words, words};
use crate::strided::{Source, Target};
use bytemuck::checked;
use polyarray_core::op::{Matmul, Operand};
use polyarray_core::{Buffer, Complex, DType, Element, Result, bf16, f16};
use smallvec::SmallVec;

/// A dtype whose products can be accumulated and returned as `U`.
trait Dot<U: Element>: Element {
    /// A running sum of products.
    type Total: Copy + Default;
    /// Returns a sum that starts from `before`.
    fn start(before: U) -> Self::Total;
    /// Adds `a * b`.
    fn add(sum: &mut Self::Total, a: Self, b: Self);
    /// Returns the sum rounded to `U`.
    fn total(sum: Self::Total) -> U;
}

macro_rules! dot {
    ($($T:ty => $U:ty, $Sum:ty, $start:expr, $add:expr, $total:expr;)*) => { $(
        impl Dot<$U> for $T {
            type Total = $Sum;
            fn start(before: $U) -> $Sum {
                let start: fn($U) -> $Sum = $start;
                start(before)
            }
            fn add(sum: &mut $Sum, a: $T, b: $T) {
                let add: fn(&mut $Sum, $T, $T) = $add;
                add(sum, a, b);
            }
            fn total(sum: $Sum) -> $U {
                let total: fn($Sum) -> $U = $total;
                total(sum)
            }
        }
    )* };
}

macro_rules! dot_integers {
    ($($T:ty => $U:ty),*) => { dot! { $(
        $T => $U, $U, |x| x, |s, a, b| *s = s.wrapping_add(<$U>::from(a).wrapping_mul(<$U>::from(b))), |s| s;
    )* } };
}

dot_integers!(
    i8 => i8, i16 => i16, i32 => i32, i64 => i64, u8 => u8, u16 => u16, u32 => u32, u64 => u64, i8 => i32, u8 => u32
);
dot! {
    f16 => f16, f64, f64::from, |s, a, b| *s += f64::from(a) * f64::from(b), f16::from_f64;
    bf16 => bf16, f64, f64::from, |s, a, b| *s += f64::from(a) * f64::from(b), bf16::from_f64;
    f16 => f32, f64, f64::from, |s, a, b| *s += f64::from(a) * f64::from(b), |s| s as f32;
    bf16 => f32, f64, f64::from, |s, a, b| *s += f64::from(a) * f64::from(b), |s| s as f32;
    f32 => f32, f64, f64::from, |s, a, b| *s += f64::from(a) * f64::from(b), |s| s as f32;
    f64 => f64, Compensated, Compensated::of, Compensated::add, Compensated::total;
    Complex<f32> => Complex<f32>, Complex<f64>, wide, |s, a, b| *s += wide(a) * wide(b),
        |s| Complex::new(s.re as f32, s.im as f32);
    Complex<f64> => Complex<f64>, [Compensated; 2], |x| [Compensated::of(x.re), Compensated::of(x.im)], add_complex,
        |[re, im]| Complex::new(re.total(), im.total());
}

fn wide(x: Complex<f32>) -> Complex<f64> {
    Complex::new(f64::from(x.re), f64::from(x.im))
}

fn add_complex([re, im]: &mut [Compensated; 2], a: Complex<f64>, b: Complex<f64>) {
    re.add(a.re, b.re);
    re.add(-a.im, b.im);
    im.add(a.re, b.im);
    im.add(a.im, b.re);
}

/// A dot product accumulated as if in twice the precision.
///
/// T. Ogita, S. Rump, S. Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26, 2005: algorithm Dot2.
#[derive(Clone, Copy, Default)]
struct Compensated {
    sum: f64,
    /// The sum of the rounding errors of the products and of `sum`.
    lost: f64,
}

impl Compensated {
    fn of(x: f64) -> Compensated {
        Compensated { sum: x, lost: 0.0 }
    }

    fn add(&mut self, a: f64, b: f64) {
        let product = a * b;
        let product_lost = a.mul_add(b, -product);
        let sum = self.sum + product;
        let from_product = sum - self.sum;
        let sum_lost = (self.sum - (sum - from_product)) + (product - from_product);
        self.sum = sum;
        self.lost += product_lost + sum_lost;
    }

    /// Returns the corrected sum. Infinities and NaN are not corrected, because their `lost` is NaN.
    fn total(self) -> f64 {
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

/// Runs a matrix product and writes the result to `out`.
pub fn run(op: &Matmul, out: &Buffer) -> Result<()> {
    match (op.dtype, op.product()) {
        (DType::I8, DType::I8) => typed::<i8, i8>(op, out),
        (DType::I8, _) => typed::<i8, i32>(op, out),
        (DType::I16, _) => typed::<i16, i16>(op, out),
        (DType::I32, _) => typed::<i32, i32>(op, out),
        (DType::I64, _) => typed::<i64, i64>(op, out),
        (DType::U8, DType::U8) => typed::<u8, u8>(op, out),
        (DType::U8, _) => typed::<u8, u32>(op, out),
        (DType::U16, _) => typed::<u16, u16>(op, out),
        (DType::U32, _) => typed::<u32, u32>(op, out),
        (DType::U64, _) => typed::<u64, u64>(op, out),
        (DType::F16, DType::F16) => typed::<f16, f16>(op, out),
        (DType::F16, _) => typed::<f16, f32>(op, out),
        (DType::BF16, DType::BF16) => typed::<bf16, bf16>(op, out),
        (DType::BF16, _) => typed::<bf16, f32>(op, out),
        (DType::F32, _) => typed::<f32, f32>(op, out),
        (DType::F64, _) => typed::<f64, f64>(op, out),
        (DType::C32, _) => typed::<Complex<f32>, Complex<f32>>(op, out),
        (DType::C64, _) => typed::<Complex<f64>, Complex<f64>>(op, out),
        (DType::Bool, _) => unreachable!("core refuses products of bool"),
    }
}

/// Computes one strip of a row of the result at a time. For every row of B, adds the product of an element of A and a
/// strip of that row.
fn typed<T: Dot<U>, U: Element>(op: &Matmul, out: &Buffer) -> Result<()> {
    let axes = |r: usize, c: usize| op.batch.iter().copied().chain([r, c]).collect::<SmallVec<[usize; 4]>>();
    let (a_lens, b_lens, c_lens) = (axes(op.m, op.k), axes(op.k, op.n), axes(op.m, op.n));
    let (a, b) = (Source::new(&op.a), Source::new(&op.b));
    let extras: SmallVec<[Source; 2]> = op.extras.iter().map(Source::new).collect();
    let target = Target::whole(out, op.after.output());
    let total = op.batch.size() * op.m * op.n;
    let before = Operand { buffer: out.clone(), dtype: U::DTYPE, offset: 0, strides: SmallVec::from_slice(&[1]) };
    let before = Source::new(&before);
    let mut after = Strips::new(&op.after, &op.after_params, op.n)?;
    let mut sums = SmallVec::<[T::Total; 16]>::from_elem(T::Total::default(), after.len());
    let (mut a_strip, mut b_strip, mut c_strip) = (Scratch::new(op.k)?, Scratch::new(op.n)?, Scratch::new(op.n)?);
    for row in 0..op.batch.size() * op.m {
        let batch = row / op.m;
        for start in (0..op.n).step_by(after.len()) {
            let columns = start..op.n.min(start + after.len());
            let range = row * op.n + columns.start..row * op.n + columns.end;
            sums.fill(T::Total::default());
            if op.add {
                before.gather(&[total], range.clone(), c_strip.bytes());
                sums.iter_mut().zip(c_strip.elements::<U>()).for_each(|(sum, &x)| *sum = T::start(x));
            }
            for k in 0..op.k {
                if k % STRIP == 0 {
                    a.gather(&a_lens, row * op.k + k..row * op.k + op.k.min(k + STRIP), a_strip.bytes());
                }
                let b_row = (batch * op.k + k) * op.n;
                b.gather(&b_lens, b_row + columns.start..b_row + columns.end, b_strip.bytes());
                let x = a_strip.elements::<T>()[k % STRIP];
                sums.iter_mut().zip(b_strip.elements::<T>()).for_each(|(sum, &y)| T::add(sum, x, y));
            }
            after.input::<U>(0).iter_mut().zip(&sums).for_each(|(to, &sum)| *to = T::total(sum));
            extras.iter().enumerate().for_each(|(i, e)| e.gather(&c_lens, range.clone(), after.input_bytes(i + 1)));
            after.run(columns.len());
            target.scatter(&[total], range, after.result_bytes());
        }
    }
    Ok(())
}

/// Scratch for a strip of elements of any dtype.
pub struct Scratch(Words);

impl Scratch {
    /// Allocates scratch for `total` elements, but at most [`STRIP`].
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](polyarray_core::Error::OutOfMemory).
    pub fn new(total: usize) -> Result<Scratch> {
        words(total.min(STRIP)).map(Scratch)
    }

    /// Returns the bytes, to be filled from the front.
    pub fn bytes(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    /// Returns the contents as elements, from the front.
    pub fn elements<T: Element>(&self) -> &[T] {
        &checked::cast_slice(&self.0)[..self.0.len()]
    }
}
