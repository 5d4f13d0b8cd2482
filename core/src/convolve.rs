//! Convolutions and cross-correlations of lines: as sums of shifted lines, which are computed in blocks that stay in a
//! cache, or with many weights as products of windows, which are views, and the weights.

use crate::array::Array;
use crate::expr::{Expr, SharedArray, select};
use crate::layout::Layout;
use crate::program::MAX_INPUTS;
use crate::reduce::{float, is_half};
use crate::sort::reserve;
use crate::{Complex, DType, Element, Error, Kind, MemoryId, Result, config, fast, s};
use std::ops::Range;

/// The part of a convolution or correlation of lines of n and m elements that is computed: NumPy's modes of the same
/// names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Overlap {
    /// All n + m - 1 positions where the lines overlap.
    Full,
    /// The max(n, m) positions in the middle of them.
    Same,
    /// The max(n, m) - min(n, m) + 1 positions where the shorter line lies inside the longer one.
    Valid,
}

impl Overlap {
    /// Returns the positions, of those of the full result, for a line of `n` elements and one of `m` elements, at most
    /// as many. `first` is the position at which [`Overlap::Same`] begins.
    fn positions(self, n: usize, m: usize, first: usize) -> Range<usize> {
        match self {
            Overlap::Full => 0..n + m - 1,
            Overlap::Same => first..first + n,
            Overlap::Valid => m - 1..n,
        }
    }
}

/// Returns `len` elements of a line, from element `first` on: a view.
fn strip<T: Element>(line: &Array<T>, first: usize, len: usize) -> Array<T> {
    let (layout, step) = (line.layout(), line.strides()[0]);
    let offset = (layout.offset() as isize + first as isize * step) as usize;
    line.with_layout(Layout::from_parts(len.into(), [step].as_slice().into(), offset))
}

/// Returns `rows` windows of `len` elements of a line, from element `first` on: a view `[rows, len]`.
fn windows<T: Element>(line: &Array<T>, first: usize, rows: usize, len: usize) -> Array<T> {
    let (step, offset) = (line.strides()[0], strip(line, first, len).layout().offset());
    line.with_layout(Layout::from_parts([rows, len].into(), [step, step].as_slice().into(), offset))
}

/// The largest number of weights for which shifted lines of the host are always added, one after another.
const FEW: usize = 8;
/// The number of bytes of a block of such sums, for each thread: a part of a second-level cache.
const BLOCK: usize = 256 << 10;
/// The largest number of products, and of weights, for which core computes sums itself: evaluating expressions would
/// take longer.
const DIRECT: usize = 1 << 14;
const DIRECT_WEIGHTS: usize = 64;

/// Returns the sums of the products of `weights` and of each of `rows` windows of `line`, from element `first` on. With
/// `inside`, only elements count for which it is true.
fn sums<T: Element>(
    line: &Array<T>,
    inside: Option<&Array<bool>>,
    first: usize,
    rows: usize,
    weights: &Array<T>,
) -> Result<Array<T>> {
    let len = weights.len();
    // Products of small integers widen each element, so that shifted lines are faster, if they are not short.
    let small = matches!(T::DTYPE.kind(), Kind::Int | Kind::Uint) && T::DTYPE.size() <= 4;
    let by_products = len > FEW && !(small && rows >= len);
    if !by_products && line.raw().buffer.memory() == MemoryId::HOST {
        return sums_of_shifted(line, inside, first, rows, &weights.to_vec()?);
    }
    let these = windows(line, first, rows, len);
    let Some(inside) = inside else { return these.matmul(weights) };
    // -0 is the neutral element of a sum of floats.
    let terms = select(windows(inside, first, rows, len), these * weights, float::<T>(-0.0));
    // Sums of integers wrap, so that the low bits of a sum in 64 bits are the sum.
    terms.sum_axis(1)?.cast().eval()
}

/// As [`sums`], for a line in host memory. For each element of the result, products are added one
/// after another.
fn sums_of_shifted<T: Element>(
    line: &Array<T>,
    inside: Option<&Array<bool>>,
    first: usize,
    rows: usize,
    weights: &[T],
) -> Result<Array<T>> {
    // Of the inputs of a program, one is the sum of the products so far. A product has one input, or two.
    let at_once = if inside.is_some() { (MAX_INPUTS - 1) / 2 } else { MAX_INPUTS - 1 };
    let sum = |before: Option<Expr<T>>, of: Range<usize>, block: &Range<usize>| {
        let product = |j: usize| {
            let start = first + block.start + j;
            let product = strip(line, start, block.len()) * weights[j];
            match inside {
                // -0 is the neutral element of a sum of floats.
                Some(inside) => select(strip(inside, start, block.len()), product, float::<T>(-0.0)),
                None => product,
            }
        };
        before.into_iter().chain(of.map(product)).reduce(|sum, product| sum + product).expect("there are weights")
    };
    if weights.len() <= at_once {
        return sum(None, 0..weights.len(), &(0..rows)).eval();
    }
    let mut out = Array::zeros(rows)?;
    let step = (BLOCK / size_of::<T>()).saturating_mul(config::threads());
    for start in (0..rows).step_by(step) {
        let block = start..rows.min(start + step);
        let mut sums = out.slice_mut(s![block.clone()])?;
        for j in (0..weights.len()).step_by(at_once) {
            let before = (j > 0).then(|| Expr::of_raw(SharedArray::new(sums.raw())));
            sum(before, j..weights.len().min(j + at_once), &block).eval_into(&mut sums)?;
        }
    }
    Ok(out)
}

/// A number of which core itself computes sums of products.
trait Ring: Element {
    /// The neutral element of sums.
    const ZERO: Self;
    /// Returns `self + x * y`, which wraps in integers and is rounded twice in floats.
    fn plus_product(self, x: Self, y: Self) -> Self;
}

macro_rules! rings {
    ($zero:expr, |$sum:ident, $x:ident, $y:ident| $body:expr; $($T:ty),*) => { $(
        impl Ring for $T {
            const ZERO: $T = $zero;
            #[inline(always)]
            fn plus_product(self, $x: $T, $y: $T) -> $T {
                let $sum = self;
                $body
            }
        }
    )* };
}
rings!(-0.0, |sum, x, y| sum + x * y; f32, f64);
rings!(Complex::new(-0.0, -0.0), |sum, x, y| sum + x * y; Complex<f32>, Complex<f64>);
rings!(0, |sum, x, y| sum.wrapping_add(x.wrapping_mul(y)); i8, i16, i32, i64, u8, u16, u32, u64);

/// Returns the given positions, as [`positions`], if core computes them itself: there are few weights and products, and
/// the line lies in host memory.
fn direct<T: Element>(line: &Array<T>, weights: &Array<T>, range: &Range<usize>) -> Result<Option<Array<T>>> {
    let m = weights.len();
    let few =
        m <= DIRECT_WEIGHTS && range.len().saturating_mul(m) <= DIRECT && line.raw().buffer.memory() == MemoryId::HOST;
    if !few || !fast::is_open_to_core()? {
        return Ok(None);
    }
    macro_rules! by_dtype {
        ($($DType:ident $U:ty;)*) => {
            match T::DTYPE {
                $( DType::$DType => {
                    let [line, weights] = [line, weights].map(|x| Array::<$U>::from_shared(x.clone().into_shared()));
                    direct_sums(&line?, &weights?, range)?.into_shared()
                } )*
                DType::Bool | DType::F16 | DType::BF16 => return Ok(None),
            }
        };
    }
    let sums = by_dtype! {
        F32 f32; F64 f64; C32 Complex<f32>; C64 Complex<f64>; I8 i8; I16 i16; I32 i32; I64 i64; U8 u8; U16 u16;
        U32 u32; U64 u64;
    };
    Array::from_shared(sums).map(Some)
}

/// As [`direct`], for a type of numbers.
fn direct_sums<T: Ring>(line: &Array<T>, weights: &Array<T>, range: &Range<usize>) -> Result<Array<T>> {
    let (line, weights) = (line.to_contiguous()?, weights.to_vec()?);
    let line = line.as_slice().expect("contiguous elements in host memory");
    let mut sums = reserve(range.len())?;
    sums.resize(range.len(), T::ZERO);
    for (j, &weight) in weights.iter().enumerate() {
        // The position at which the first element meets this weight.
        let ahead = weights.len() - 1 - j;
        let (from, to) = (range.start.max(ahead), range.end.min(line.len() + ahead));
        if from < to {
            let sums = &mut sums[from - range.start..to - range.start];
            for (sum, &x) in sums.iter_mut().zip(&line[from - ahead..to - ahead]) {
                *sum = sum.plus_product(x, weight);
            }
        }
    }
    Array::from_vec(sums, range.len())
}

/// Returns the given positions of the full result for a line of n elements and m weights, at most n: at position i the
/// sum of `line[i + j - (m - 1)] * weights[j]` over all j for which the element exists.
fn positions<T: Element>(line: &Array<T>, weights: &Array<T>, range: Range<usize>) -> Result<Array<T>> {
    if let Some(done) = direct(line, weights, &range)? {
        return Ok(done);
    }
    let (n, m) = (line.len(), weights.len());
    let edge = m - 1;
    let middle = range.start.max(edge)..range.end.min(n);
    let whole = |r: &Range<usize>| sums(line, None, r.start - edge, r.len(), weights);
    if middle == range {
        return whole(&range);
    }
    let mut out = Array::zeros(range.len())?;
    out.slice_mut(s![middle.start - range.start..middle.end - range.start])?.assign(whole(&middle)?)?;
    // At each end, the windows reach into as many absent elements as there are present ones.
    for (part, present, at) in
        [(range.start..range.end.min(edge), 0..edge, edge), (range.start.max(n)..range.end, n - edge..n, 0)]
    {
        if part.is_empty() {
            continue;
        }
        let place = s![part.start - range.start..part.end - range.start];
        let near = line.slice(s![present.clone()])?;
        let first = if at > 0 { part.start } else { part.start - n };
        // Of the elements near this end alone, the same positions begin at 0, or after all of them.
        let here = if at > 0 { part.clone() } else { first + edge..first + edge + part.len() };
        if let Some(sums) = direct(&near, weights, &here)? {
            out.slice_mut(place)?.assign(sums)?;
            continue;
        }
        let (mut padded, mut inside) = (Array::zeros(2 * edge)?, Array::zeros(2 * edge)?);
        padded.slice_mut(s![at..at + edge])?.assign(near)?;
        inside.slice_mut(s![at..at + edge])?.fill(true)?;
        let sums = sums(&padded, Some(&inside), first, part.len(), weights)?;
        out.slice_mut(place)?.assign(sums)?;
    }
    out.beside(line)
}

impl<T: Element> Array<T> {
    /// The convolution of this line of n elements with another one of m elements: `sum(x[j] * y[i - j])` over j, for
    /// the positions i that `overlap` selects. Computed by direct sums, in time n m: term after term, or as by
    /// [`matmul`](Self::matmul) if the shorter line has more than 8 elements, so that the order of the terms depends on
    /// the lengths, the dtype and the device. The error is at most that of a product. Integers wrap; half floats are
    /// computed in f32 and rounded once.
    ///
    /// # Errors
    /// [`Error::Shapes`] if an operand does not have exactly one axis, [`Error::Empty`] if it has no elements,
    /// [`Error::DTypeUndefined`] for bool, [`Error::OutOfMemory`].
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![1, 2, 3], [3])?, Array::from_vec(vec![1, 10], [2])?);
    /// assert_eq!(x.convolve(&y, Overlap::Full)?.to_vec()?, [1, 12, 23, 30]);
    /// assert_eq!(x.convolve(&y, Overlap::Same)?.to_vec()?, [1, 12, 23]);
    /// assert_eq!(x.convolve(&y, Overlap::Valid)?.to_vec()?, [12, 23]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn convolve(&self, other: &Array<T>, overlap: Overlap) -> Result<Array<T>> {
        lines("convolve", self, other)?;
        if is_half(T::DTYPE) {
            let (x, y) = (self.cast::<f32>().eval()?, other.cast::<f32>().eval()?);
            return x.convolve(&y, overlap)?.cast().eval();
        }
        let (long, short) = if self.len() < other.len() { (other, self) } else { (self, other) };
        let range = overlap.positions(long.len(), short.len(), (short.len() - 1) / 2);
        positions(long, &short.slice(s![..;-1])?, range)
    }

    /// The cross-correlation of this line with another one: `sum(x[i + j] * conj(y[j]))` over j, for the shifts i that
    /// `overlap` selects, in ascending order. NumPy's default is [`Overlap::Valid`]. Otherwise as
    /// [`convolve`](Self::convolve).
    ///
    /// # Errors
    /// As [`convolve`](Self::convolve).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let (x, y) = (Array::from_vec(vec![1, 2, 3], [3])?, Array::from_vec(vec![1, 10], [2])?);
    /// assert_eq!(x.correlate(&y, Overlap::Valid)?.to_vec()?, [21, 32]);
    /// assert_eq!(x.correlate(&y, Overlap::Full)?.to_vec()?, [10, 21, 32, 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn correlate(&self, other: &Array<T>, overlap: Overlap) -> Result<Array<T>> {
        lines("correlate", self, other)?;
        if is_half(T::DTYPE) {
            let (x, y) = (self.cast::<f32>().eval()?, other.cast::<f32>().eval()?);
            return x.correlate(&y, overlap)?.cast().eval();
        }
        let weights = if T::DTYPE.kind() == Kind::Complex { other.conj().eval()? } else { other.clone() };
        let (n, m) = (self.len(), other.len());
        if n >= m {
            return positions(self, &weights, overlap.positions(n, m, (m - 1) / 2));
        }
        // The same sums, as windows of the longer line.
        let (long, short) = (weights.slice(s![..;-1])?, self.slice(s![..;-1])?);
        positions(&long, &short, overlap.positions(m, n, n / 2))
    }
}

/// Fails unless both operands are lines with elements.
fn lines<T: Element>(op: &'static str, x: &Array<T>, y: &Array<T>) -> Result<()> {
    if x.ndim() != 1 || y.ndim() != 1 {
        let why = "both operands must have exactly one axis".into();
        return Err(Error::Shapes { op, left: x.shape().into(), right: y.shape().into(), why });
    }
    match [x, y].into_iter().find(|operand| operand.is_empty()) {
        Some(empty) => Err(Error::Empty { op, shape: empty.shape().into() }),
        None => Ok(()),
    }
}
