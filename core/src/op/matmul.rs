//! Batches of matrix products.

use super::{Epilogue, Mode, Op, Operand, Operation, OutSpec, Params, Splits, then};
use crate::{Class, DType, Dims, Layout, Program};
use smallvec::{SmallVec, smallvec};

/// A batch of matrix products: `after(A @ B, extras..)` for each index of `batch`. A is `[.., m, k]`, B is
/// `[.., k, n]`, and the result is `[.., m, n]` in C order from the start of its buffer.
///
/// Invariants:
/// 1. m, n, k and all lengths of `batch` are at least 1;
/// 2. strides of `a` are for `batch`, m, k; those of `b` for `batch`, k, n; those of `extras` for `batch`, m, n;
/// 3. `after` reads the product as its first input and `extras` as the others; the product's dtype is `dtype`, or the
///    dtype of accumulation of `dtype` ([`Element::Product`](crate::Element::Product));
/// 4. no operand lies in the output's buffer;
/// 5. if `add` is set, the output's buffer holds initialised elements, and `after` is the identity.
#[derive(Clone, Debug)]
pub struct Matmul {
    /// The dtype of A and B.
    pub dtype: DType,
    /// The precision that may be traded for speed.
    pub precision: Precision,
    /// The batch axes after broadcasting; may be empty.
    pub batch: Dims,
    /// The number of rows of A.
    pub m: usize,
    /// The number of columns of B.
    pub n: usize,
    /// The number of columns of A and of rows of B.
    pub k: usize,
    /// The left matrix.
    pub a: Operand,
    /// The right matrix.
    pub b: Operand,
    /// The program that is applied to each element of the product.
    pub after: Program,
    /// Parameters of `after`.
    pub after_params: Params,
    /// Operands of `after` besides the product.
    pub extras: SmallVec<[Operand; 2]>,
    /// Whether the product is added to the contents of the output's buffer.
    pub add: bool,
}

impl Matmul {
    /// Returns the dtype of the product before `after` is applied.
    pub fn product(&self) -> DType {
        self.after.inputs()[0]
    }

    /// Returns the lengths of `batch`, followed by those of the axes of a matrix.
    fn lens(&self, rows: usize, columns: usize) -> Dims {
        self.batch.iter().copied().chain([rows, columns]).collect()
    }
}

/// The required precision of a matrix product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// As exact as accumulation in the dtype itself: the error of every element of an f32 or f64 product
    /// `[m, k] @ [k, n]` is at most the same element of `k * eps * |A||B|`, and mostly at most that of
    /// `sqrt(k) * eps * |A||B|`. `|A||B|` is the product of the matrices of absolute values; `eps` is 2^-24 for f32 and
    /// 2^-53 for f64. Overflow and underflow add their own errors.
    #[default]
    Full,
    /// For f32 an error of at most `(2^-15 + k * 2^-24) |A||B|` where this is faster: on CPUs with matrix engines it
    /// needs half the tile products. Other dtypes and devices behave as `Full`.
    Fast,
}

impl Operation for Matmul {
    fn describe(&self) -> String {
        let dtype = self.dtype;
        let into = if self.product() == dtype { String::new() } else { format!(" accumulated in {}", self.product()) };
        let fast = if self.precision == Precision::Fast { ", fast" } else { "" };
        let add = if self.add { ", accumulating" } else { "" };
        let (batch, m, k, n) = (&self.batch, self.m, self.k, self.n);
        format!("matmul {dtype}{into} {batch:?}x[{m}, {k}, {n}]{}{add}{fast}", then(&self.after))
    }

    fn for_each_input(&self, f: &mut dyn FnMut(&Operand, &[usize])) {
        f(&self.a, &self.lens(self.m, self.k));
        f(&self.b, &self.lens(self.k, self.n));
        self.extras.iter().for_each(|e| f(e, &self.lens(self.m, self.n)));
    }

    fn for_each_input_mut(&mut self, f: &mut dyn FnMut(&mut Operand)) {
        [&mut self.a, &mut self.b].into_iter().chain(self.extras.iter_mut()).for_each(f);
    }

    fn outputs(&self) -> SmallVec<[OutSpec; 1]> {
        let mode = if self.add { Mode::Add } else { Mode::Write };
        smallvec![OutSpec { mode, ..OutSpec::packed(self.after.output(), self.lens(self.m, self.n)) }]
    }

    fn programs(&self) -> SmallVec<[&Program; 2]> {
        smallvec![&self.after]
    }

    fn work(&self) -> f64 {
        (self.batch.size() * self.m * self.n) as f64 * (self.k as f64 + self.after.weight())
    }

    fn class(&self) -> (Class, DType) {
        (if self.m == 1 || self.n == 1 { Class::MatVec } else { Class::Product }, self.dtype)
    }

    fn splits(&self) -> Splits {
        if self.after.is_identity() { Splits::Never } else { Splits::IfCheaper }
    }

    fn split(&self) -> (Op, Epilogue) {
        let mut plain = self.clone();
        let epilogue = Epilogue {
            program: std::mem::replace(&mut plain.after, Program::identity(self.product())),
            params: std::mem::take(&mut plain.after_params),
            extras: std::mem::take(&mut plain.extras),
            output: Layout::contiguous(self.lens(self.m, self.n)),
        };
        (Op::from(plain), epilogue)
    }
}
