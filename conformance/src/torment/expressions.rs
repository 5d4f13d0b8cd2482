//! Expressions: random trees of exact ufuncs. Their leaves are arrays by reference, arrays by value, or slices by value
//! whose base arrays have been dropped.

use super::model::{
    Model, Want, binary, binary_ops, broadcast, cast, compare, compare_bits, mul_add, order, unary, unary_ops,
};
use super::{MOST, Outcome, Slot, World, done};
use crate::values::FloatSpec;
use polyarray_core::{Binary, DType, Device, Element, Expr, IntoExpr, Kind, Unary, Wide, select, trace};
use std::cmp::Ordering;

/// An expression and its model.
pub(super) struct Term<T: Element> {
    pub expr: Expr<T>,
    pub model: Model,
}

/// A ufunc and its function of f64.
type Function = (Unary, fn(f64) -> f64);

/// The functions of floats whose error is bounded in ULP.
const FUNCTIONS: [Function; 9] = [
    (Unary::Exp, f64::exp),
    (Unary::Log, f64::ln),
    (Unary::Sin, f64::sin),
    (Unary::Cos, f64::cos),
    (Unary::Tanh, f64::tanh),
    (Unary::Arctan, f64::atan),
    (Unary::Cbrt, f64::cbrt),
    (Unary::Expm1, f64::exp_m1),
    (Unary::Log1p, f64::ln_1p),
];

impl World {
    /// Returns an array in some form, or a number, that broadcasts with `shape`.
    fn leaf<T: Element>(&mut self, shape: Option<&[usize]>) -> Outcome<Term<T>> {
        let fits =
            |of: &[usize]| shape.is_none_or(|s| broadcast(s, of).is_some_and(|s| s.iter().product::<usize>() <= MOST));
        for _ in 0..3 {
            let mut slot: Slot<T> = self.take();
            let cut = self.rng.chance(1, 3);
            if cut {
                // The base array is dropped here, unless another view of it is in the pool.
                slot = self.slice_of(&slot)?;
            }
            if !fits(&slot.model.shape) {
                self.push(slot.array, slot.model);
                continue;
            }
            let how = self.rng.below(4);
            self.note(format!(
                "  operand {} {:?} {:?}{} {}",
                T::DTYPE,
                slot.model.shape,
                slot.array.strides(),
                if cut { ", a slice" } else { "" },
                ["by reference", "as a copy", "by value", "by value"][how]
            ));
            let expr = match how {
                0 => (&slot.array).into_expr(),
                1 => slot.array.clone().into_expr(),
                _ => return Ok(Term { expr: slot.array.into_expr(), model: slot.model }),
            };
            self.push(slot.array, slot.model.clone());
            return Ok(Term { expr, model: slot.model });
        }
        if self.rng.chance(1, 2) {
            let value: T = self.small();
            return Ok(Term {
                expr: value.into_expr(),
                model: Model { dtype: T::DTYPE, shape: Vec::new(), data: vec![value.to_wide()] },
            });
        }
        let mut own: Vec<usize> = shape.map_or_else(Vec::new, <[usize]>::to_vec);
        for n in &mut own {
            if self.rng.chance(1, 5) {
                *n = 1;
            }
        }
        let skip = self.rng.below(own.len() + 1);
        let slot: Slot<T> = self.fresh(&own[skip..]);
        Ok(Term { expr: slot.array.into_expr(), model: slot.model })
    }

    /// Builds a tree of at most `depth` nested steps.
    pub(super) fn term<T: Element>(&mut self, depth: usize, shape: Option<&[usize]>) -> Outcome<Term<T>> {
        if depth == 0 {
            return self.leaf(shape);
        }
        let x: Term<T> = self.term(depth - 1, shape)?;
        let kind = T::DTYPE.kind();
        // The other operands must also broadcast with the operands of the steps above.
        let fit = |with: &Model, shape: Option<&[usize]>| match shape {
            Some(s) => broadcast(s, &with.shape).expect("operands are chosen so that they broadcast"),
            None => with.shape.clone(),
        };
        let within = fit(&x.model, shape);
        let beside = self.rng.below(depth);
        match self.rng.below(100) {
            0..25 => {
                let op = *self.rng.pick(unary_ops(kind));
                self.note(format!("  {}", op.info().name));
                Ok(Term { expr: x.expr.unary(op), model: x.model.map(T::DTYPE, &|x| unary(T::DTYPE, op, x)) })
            }
            25..65 => {
                let op = *self.rng.pick(binary_ops(kind));
                let y = if self.rng.chance(1, 8) {
                    Term { expr: x.expr.clone(), model: x.model.clone() }
                } else {
                    self.term(beside, Some(&within))?
                };
                self.note(format!("  {}", op.info().name));
                let (x, y) = if self.rng.chance(1, 3) { (y, x) } else { (x, y) };
                Ok(Term {
                    expr: x.expr.binary(op, y.expr),
                    model: x.model.zip(&y.model, &|x, y| binary(T::DTYPE, op, x, y)),
                })
            }
            65..75 => self.selected(x, beside, &within),
            75..83 if kind == Kind::Float => {
                let y: Term<T> = self.term(beside, Some(&within))?;
                let z: Term<T> = self.term(0, Some(&fit(&y.model, Some(&within))))?;
                self.note("  mul_add".into());
                let model = fused(&x.model, &y.model, &z.model);
                Ok(Term { expr: x.expr.mul_add(y.expr, z.expr), model })
            }
            83..88 if matches!(kind, Kind::Float | Kind::Int | Kind::Uint) => {
                let (low, high): (T, T) = (self.small(), self.small());
                self.note(format!("  clip to {low:?} ..= {high:?}"));
                let (least, most) = (low.to_wide(), high.to_wide());
                let clipped = |x| binary(T::DTYPE, Binary::Minimum, binary(T::DTYPE, Binary::Maximum, x, least), most);
                Ok(Term { expr: x.expr.clip(low, high), model: x.model.map(T::DTYPE, &clipped) })
            }
            _ => Ok(match self.rng.below(6) {
                0 => self.through::<T, bool>(x),
                1 => self.through::<T, u8>(x),
                2 => self.through::<T, i32>(x),
                3 => self.through::<T, i64>(x),
                4 => self.through::<T, f32>(x),
                _ => self.through::<T, f64>(x),
            }),
        }
    }

    /// Casts to `U` and back.
    fn through<T: Element, U: Element>(&mut self, x: Term<T>) -> Term<T> {
        self.note(format!("  cast to {} and back", U::DTYPE));
        Term { expr: x.expr.cast::<U>().cast(), model: x.model.map(T::DTYPE, &|x| cast(T::DTYPE, cast(U::DTYPE, x))) }
    }

    /// Selects between two terms by a comparison of them.
    fn selected<T: Element>(&mut self, x: Term<T>, depth: usize, within: &[usize]) -> Outcome<Term<T>> {
        let y: Term<T> = self.term(depth, Some(within))?;
        let real = matches!(T::DTYPE.kind(), Kind::Float | Kind::Int | Kind::Uint);
        let op =
            if real { *self.rng.pick(&[Binary::Less, Binary::GreaterEqual, Binary::Equal]) } else { Binary::NotEqual };
        self.note(format!("  select by {}", op.info().name));
        let condition: Expr<bool> = x.expr.clone().binary(op, y.expr.clone());
        let model = x.model.zip(&y.model, &|x, y| if holds(op, x, y) { x } else { y });
        Ok(Term { expr: select(condition, x.expr, y.expr), model })
    }

    /// Builds an expression and evaluates it in one of several ways.
    pub(super) fn expression<T: Element>(&mut self) -> Outcome {
        self.note(format!("expression {}", T::DTYPE));
        let depth = self.rng.below(5);
        let x: Term<T> = self.term(depth, None)?;
        match self.rng.below(12) {
            0..6 => {
                let result = done("eval", x.expr.eval())?;
                self.keep("eval", result, &x.model)
            }
            6 => {
                self.note("  eval_on, then eval".into());
                let device = done("current", Device::current())?;
                let first = done("eval_on", x.expr.eval_on(&device))?;
                self.keep("eval_on", first, &x.model)?;
                let again = done("eval", x.expr.eval())?;
                self.keep("eval after eval_on", again, &x.model)
            }
            7 => {
                self.note("  explained and traced".into());
                done("explain", x.expr.explain())?;
                let (result, _) = trace::record(|| x.expr.eval());
                self.keep("eval under a trace", done("eval", result)?, &x.model)
            }
            8 => match *self.rng.pick(&[
                DType::Bool,
                DType::U8,
                DType::I16,
                DType::I64,
                DType::F16,
                DType::BF16,
                DType::F32,
                DType::F64,
            ]) {
                DType::Bool => self.cast::<T, bool>(x),
                DType::U8 => self.cast::<T, u8>(x),
                DType::I16 => self.cast::<T, i16>(x),
                DType::I64 => self.cast::<T, i64>(x),
                DType::F16 => self.cast::<T, polyarray_core::f16>(x),
                DType::BF16 => self.cast::<T, polyarray_core::bf16>(x),
                DType::F32 => self.cast::<T, f32>(x),
                _ => self.cast::<T, f64>(x),
            },
            9 | 10 if T::DTYPE.kind() == Kind::Float => self.function(x),
            _ => self.reduced(x),
        }
    }

    fn cast<T: Element, U: Element>(&mut self, x: Term<T>) -> Outcome {
        self.note(format!("  cast to {}", U::DTYPE));
        let result = done("cast", x.expr.cast::<U>().eval())?;
        self.keep("cast", result, &x.model.map(U::DTYPE, &|x| cast(U::DTYPE, x)))
    }

    /// Applies a function with a bound in ULP as the last step and compares the result with the f64 function.
    fn function<T: Element>(&mut self, x: Term<T>) -> Outcome {
        let (op, f) = *self.rng.pick(&FUNCTIONS);
        self.note(format!("  {}", op.info().name));
        let bound = match T::DTYPE {
            DType::F32 | DType::F64 => op.info().ulp_cpu,
            _ => 1.0,
        };
        // The standard library's f64 functions may have an error of one ULP.
        let bound = if T::DTYPE == DType::F64 { bound + 1.0 } else { bound };
        let want: Vec<Want> = x.model.data.iter().map(|x| Want::Ulp(f(x.real()), bound)).collect();
        let result = done("eval", x.expr.unary::<T>(op).eval())?;
        self.played.checks += 1;
        let model = compare(op.info().name, &result, &x.model.shape, &want)?;
        self.push(result, model);
        Ok(())
    }

    /// Checks a written array, adds it to the pool with its actual bits, and checks all arrays of the dtype.
    pub(super) fn settle<T: Element>(&mut self, what: &str, slot: Slot<T>) -> Outcome {
        self.played.checks += 1;
        let model = compare_bits(what, &slot.array, &slot.model)?;
        self.push(slot.array, model);
        self.verify::<T>()
    }
}

/// Returns whether a comparison of two numbers of one dtype holds.
fn holds(op: Binary, x: Wide, y: Wide) -> bool {
    match op {
        Binary::Equal => x == y,
        Binary::NotEqual => x != y,
        _ if x.real().is_nan() || y.real().is_nan() => false,
        Binary::Less => order(x, y) == Ordering::Less,
        _ => order(x, y) != Ordering::Less,
    }
}

/// Computes `x * y + z` of three models, which broadcast.
fn fused(x: &Model, y: &Model, z: &Model) -> Model {
    let shape = broadcast(&x.shape, &y.shape)
        .and_then(|s| broadcast(&s, &z.shape))
        .expect("operands are chosen so that they broadcast");
    let [a, b, c] = [x, y, z].map(|m| m.broadcast_to(&shape).data);
    let data = a.iter().zip(&b).zip(&c).map(|((&a, &b), &c)| mul_add(x.dtype, a, b, c)).collect();
    Model { dtype: x.dtype, shape, data }
}

/// Returns the largest finite number of a float dtype.
pub(super) fn largest(dtype: DType) -> f64 {
    FloatSpec::of(dtype).max()
}

/// Returns the magnitude of a number (the modulus of a complex one).
pub(super) fn magnitude(x: Wide) -> f64 {
    match x {
        Wide::Int(i) => i.unsigned_abs() as f64,
        Wide::Float(x) => x.abs(),
        Wide::Complex(re, im) => re.hypot(im),
    }
}
