//! Compiled functions: expressions that are traced once, on placeholders, and evaluated with other operands on every
//! call.

mod arguments;
mod plans;
mod reductions;

pub use arguments::{Arguments, Fusible, Peek, Traced};

use super::Expr;
use super::direct;
use super::flatten::{self, Lead};
use super::node::{Leaf, Node};
use super::tape::{Bound, RawArray, SharedArray, Tape};
use crate::array::{Array, ViewMut};
use crate::device::{Device, with_device};
use crate::program::{Instr, Ref};
use crate::trace::Plan;
use crate::{Element, Result};
use arguments::{Given, Parameters, Peeked};
use plans::Body;
use smallvec::SmallVec;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Traces a closure once and returns the function that it computes, for calls with arrays of any shape.
///
/// The closure takes one to seven expressions, of any dtypes, and returns one. It runs once, here: it describes the
/// computation and cannot read the shape or the elements of its arguments. Arrays and values that it captures are
/// constants of the function, which broadcast with its arguments. A change of a captured array after this call does not
/// change the function (copy on write).
///
/// Programs of any length are accepted: one that a device cannot run at once is split, as for expressions.
///
/// # Errors
/// The first error in the expression that the closure returns, or the error that the closure returns;
/// [`Error::NotCalled`](crate::Error::NotCalled) if the closure evaluates or reduces its arguments or reads their
/// shape, or returns an expression that contains an argument of another closure.
///
/// ```
/// # use polyarray_core::*;
/// let f = fuse(|x: Expr<f32>, y: Expr<f32>| (x * 2.0 + y).sqrt())?;
/// assert_eq!(
///     f.to_string(),
///     "fuse(x0: f32, x1: f32) -> f32\n  v0: f32 = mul(x0, 2.0f32)\n  v1: f32 = add(v0, x1)\n  v2: f32 = sqrt(v1)"
/// );
/// // An error at once, not at the first call: the bitwise operators are not defined for floats.
/// assert!(fuse(|x: Expr<f32>| x.bitand(1.0)).is_err());
/// # Ok::<(), Error>(())
/// ```
pub fn fuse<A, F: Fusible<A>>(f: F) -> Result<Fused<A, F::Element>> {
    let mut parameters = Parameters::default();
    let result = f.trace(&mut parameters)?;
    let tape = flatten::flatten(&result.node, Some(Lead::Inputs(&parameters.0)))?;
    Ok(Fused { body: Arc::new(Body::new(*tape)), types: PhantomData })
}

/// A compiled function of one to seven operands, made by [`fuse`](crate::fuse()). `A` is the tuple of the element types
/// of its parameters, `T` the element type of its result.
///
/// An argument is an array, a single value or an expression of the parameter's type. A single value is a parameter of
/// the program: calls with other values trace and compile nothing again. Arguments, and captured arrays, broadcast; a
/// parameter that the program does not read is ignored. An array that is passed by value and has no other owner may
/// give its memory to the result, so `x = f.eval((x, &y))?` updates `x` in place.
///
/// The results have the bits of the same expression. The first call with small contiguous arrays on a device prepares
/// the program there; the function caches the prepared program, and later calls take less time than building and
/// evaluating the expression. Clones share this cache. Threads may call one function at the same time.
///
/// ```
/// # extern crate polyarray_cpu as _;
/// # use polyarray_core::*;
/// let f = fuse(|x: Expr<f64>, a: Expr<f64>| (x * a + 1.0).square())?;
/// let x = Array::from_vec(vec![1.0, 2.0, 3.0], [3])?;
/// let mut out = Array::zeros([3])?;
/// for a in [0.5, 2.0] {
///     f.eval_into((&x, a), &mut out.view_mut()?)?; // Allocates nothing.
/// }
/// assert_eq!(out.to_vec()?, [9.0, 25.0, 49.0]);
/// assert_eq!(f.sum((&x, 2.0))?, 83.0); // A reduction at its end.
/// let y = (f.call((&x, 2.0)) / &x).eval()?; // A part of another expression.
/// # assert_eq!(y.get([0])?, 9.0);
/// # Ok::<(), Error>(())
/// ```
///
/// The types and the number of arguments are checked by the compiler:
///
/// ```compile_fail
/// # use polyarray_core::*;
/// let f = fuse(|x: Expr<f64>, y: Expr<f64>| x + y).unwrap();
/// let x = Array::<f32>::zeros([3]).unwrap();
/// f.eval((&x, &x)); // f32 instead of f64
/// ```
///
/// ```compile_fail
/// # use polyarray_core::*;
/// let f = fuse(|x: Expr<f64>, y: Expr<f64>| x + y).unwrap();
/// let x = Array::<f64>::zeros([3]).unwrap();
/// f.eval((&x, &x, &x)); // three arguments instead of two
/// ```
pub struct Fused<A, T: Element> {
    body: Arc<Body>,
    types: PhantomData<fn(A) -> T>,
}

impl<A, T: Element> Fused<A, T> {
    /// Evaluates the function on the current device into a new array, or into the memory of an argument that was passed
    /// by value. The shape is what the shapes of the arguments broadcast to.
    ///
    /// # Errors
    /// [`Error::Broadcast`](crate::Error::Broadcast) if the shapes are incompatible; the error of an argument that is
    /// an expression; [`Error::Refused`](crate::Error::Refused) if the current device does not support the program; out
    /// of memory.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let f = fuse(|x: Expr<f32>, y: Expr<f32>| (x * 2.0 + y).sqrt())?;
    /// let (x, y) = (Array::from_vec(vec![1.5f32, 6.5], [2])?, Array::from_vec(vec![1.0f32, 3.0], [2, 1])?);
    /// assert_eq!(f.eval((&x, &x.square()))?.shape(), [2]);
    /// assert_eq!(f.eval((&x, &y))?.to_vec()?, [2.0, 14f32.sqrt(), 6f32.sqrt(), 4.0]);
    /// assert_eq!(f.eval((&x, 1.0))?.to_vec()?, [2.0, 14f32.sqrt()]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval(&self, args: impl Arguments<A>) -> Result<Array<T>> {
        // Arguments that were passed by value may be donated, which requires that nothing else refers to them.
        let owned = args.peek(|args| args.iter().any(|arg| matches!(arg.0, Peeked::Owned(_))));
        if !owned && let Some(done) = args.peek(|args| self.body.fresh(args)) {
            return Array::from_raw(done);
        }
        let Given(mut nodes) = args.give();
        if owned && let Some(done) = self.donated(&mut nodes) {
            return Array::from_raw(done);
        }
        Array::from_raw(self.tape(nodes)?.eval(&Device::current()?)?)
    }

    /// Evaluates the function on `device`: as [`eval`](Self::eval) inside of
    /// [`with_device`](crate::with_device). The result lies in the memory of the arguments.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let f = fuse(|x: Expr<f32>| x.exp())?;
    /// let y = f.eval_on(&Device::scalar(), &Array::zeros([3])?)?;
    /// assert_eq!(y.to_vec()?, [1.0; 3]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval_on(&self, device: &Device, args: impl Arguments<A>) -> Result<Array<T>> {
        with_device(device, || self.eval(args))
    }

    /// Evaluates the function into a view of the same shape (or one that the shape of the result broadcasts to). No
    /// buffer is allocated for the result.
    ///
    /// # Errors
    /// As [`eval`](Self::eval), and [`Error::BroadcastTo`](crate::Error::BroadcastTo) if the shape of the view does not
    /// fit.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let f = fuse(|x: Expr<f32>, y: Expr<f32>| x - y)?;
    /// let (x, mut out) = (Array::<f32>::ones([3])?, Array::<f32>::zeros([2, 3])?);
    /// f.eval_into((&x, 0.5), &mut out.slice_mut(s![1])?)?;
    /// assert_eq!(out.to_vec()?, [0.0, 0.0, 0.0, 0.5, 0.5, 0.5]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eval_into(&self, args: impl Arguments<A>, out: &mut ViewMut<'_, T>) -> Result<()> {
        let (buffer, layout) = out.parts_mut();
        // SAFETY: the view owns its elements exclusively while it lives.
        if args.peek(|args| unsafe { self.body.write(args, buffer, layout) }) {
            return Ok(());
        }
        let out = RawArray { buffer: buffer.clone(), dtype: T::DTYPE, layout: layout.clone() };
        self.tape(args.give().0)?.eval_into(&out, &Device::current()?)
    }

    /// Returns the expression that the function computes from these arguments, for use in other expressions, in other
    /// closures for [`fuse`](crate::fuse()), and for reductions and scans that are not methods here.
    ///
    /// The expression stores an error of shapes, as other expressions do.
    ///
    /// ```
    /// # extern crate polyarray_cpu as _;
    /// # use polyarray_core::*;
    /// let scale = fuse(|x: Expr<f64>, by: Expr<f64>| x * by)?;
    /// let g = fuse(|x: Expr<f64>| scale.call((x, 3.0)) + 1.0)?;
    /// assert_eq!(g.eval(2.0)?.item()?, 7.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn call(&self, args: impl Arguments<A>) -> Expr<T> {
        Expr::from_node(self.node(args.give().0))
    }

    /// Returns the plan of [`eval`](Self::eval) with the estimates of all candidate devices.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    pub fn explain(&self, args: impl Arguments<A>) -> Result<Plan> {
        self.tape(args.give().0)?.explain(&Device::current()?)
    }

    /// Returns the call as an expression that is about to be reduced: its value, if the fast path can compute it.
    fn lazy(&self, args: impl Arguments<A>) -> Result<Expr<T>> {
        let value = args.peek(|args| self.body.fresh(args));
        let node = match value {
            Some(value) => Node::Leaf(Leaf::Array(SharedArray::new(value))),
            None => Node::Short(self.tape(args.give().0)?),
        };
        Ok(Expr::from_node(node))
    }

    /// Evaluates a call on the fast path into the memory of an argument that nothing else holds.
    fn donated(&self, nodes: &mut [Node]) -> Option<RawArray> {
        let mut donors = nodes.iter_mut().enumerate().filter(|(i, _)| self.body.reads(*i));
        let donor = donors.find_map(|(_, node)| match node {
            Node::Leaf(Leaf::Array(array)) => direct::donated(array, T::DTYPE),
            _ => None,
        });
        let peeks: SmallVec<[Peek; 4]> = nodes
            .iter()
            .map(|node| match node {
                Node::Leaf(Leaf::Array(array)) => Peek::owned(array),
                Node::Leaf(Leaf::Value(value)) => Peek::value(*value),
                _ => Peek::OTHER,
            })
            .collect();
        let Some((buffer, layout)) = donor else { return self.body.fresh(&peeks) };
        // SAFETY: `donated` found that only the argument holds the buffer, so nothing else accesses it.
        let done = unsafe { self.body.write(&peeks, &buffer, &layout) };
        done.then_some(RawArray { buffer, dtype: T::DTYPE, layout })
    }

    /// Returns the program with these operands.
    fn tape(&self, nodes: SmallVec<[Node; 4]>) -> Result<Box<Tape>> {
        if are_operands(&nodes) { self.body.tape.bind(operands(nodes)) } else { self.replay(&nodes).into_tape() }
    }

    /// Returns the expression with these operands.
    fn node(&self, nodes: SmallVec<[Node; 4]>) -> Node {
        let is_short = (1..=super::node::SHORT).contains(&self.body.tape.instrs().len());
        if !is_short || !are_operands(&nodes) {
            return self.replay(&nodes);
        }
        let tape = self.body.tape.bind(operands(nodes));
        tape.map_or_else(|error| Node::Failed(Box::new(error)), Node::Short)
    }

    /// Builds the expression again, with these operands.
    fn replay(&self, nodes: &[Node]) -> Node {
        // The errors of arguments that no step reads count, too.
        if let Some(error) = nodes.iter().find_map(|node| node.shape_and_open().err()) {
            return Node::Failed(Box::new(error));
        }
        let tape = &self.body.tape;
        let mut values: Vec<Node> = Vec::with_capacity(tape.instrs().len());
        let value = |r: Ref, values: &[Node]| match r {
            Ref::Input(i) => match nodes.get(i as usize) {
                Some(node) => node.clone(),
                None => Node::Leaf(Leaf::Array(tape.operands()[i as usize - nodes.len()].clone())),
            },
            Ref::Param(i) => Node::Leaf(Leaf::Value(tape.params()[i as usize])),
            Ref::Value(i) => values[i as usize].clone(),
        };
        for instr in tape.instrs() {
            let mut position = 0..;
            let own = instr.map_refs(|_| Ref::Value(position.next().expect("the range has no end")));
            let node = match *instr.operands() {
                [x] => Node::step(own, [value(x, &values)]),
                [x, y] => Node::step(own, [value(x, &values), value(y, &values)]),
                [x, y, z] => Node::step(own, [value(x, &values), value(y, &values), value(z, &values)]),
                _ => unreachable!("an instruction has one to three operands"),
            };
            values.push(node);
        }
        value(tape.result(), &values)
    }
}

/// Returns whether all arguments are arrays or single values.
pub(super) fn are_operands(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Leaf(Leaf::Array(_) | Leaf::Value(_))))
}

/// Returns arguments that are arrays or single values as operands of a program.
pub(super) fn operands(nodes: SmallVec<[Node; 4]>) -> SmallVec<[Bound; 4]> {
    let operand = |node: Node| match node {
        Node::Leaf(Leaf::Array(array)) => Bound::Array(array),
        Node::Leaf(Leaf::Value(value)) => Bound::Value(value),
        _ => unreachable!("all arguments are arrays or values"),
    };
    nodes.into_iter().map(operand).collect()
}

impl<A, T: Element> Clone for Fused<A, T> {
    fn clone(&self) -> Fused<A, T> {
        Fused { body: self.body.clone(), types: PhantomData }
    }
}

/// The program: one line for each step. `x0` is the first argument, `a0` the first captured array, `v0` the result of
/// the first step. The last line is the result.
impl<A, T: Element> fmt::Display for Fused<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tape = &self.body.tape;
        let count = tape.lead_count();
        let name = |r: Ref| match r {
            Ref::Input(i) if (i as usize) < count => format!("x{i}"),
            Ref::Input(i) => format!("a{}", i as usize - count),
            Ref::Param(i) => format!("{:?}", tape.params()[i as usize]),
            Ref::Value(i) => format!("v{i}"),
        };
        let typed = |r: Ref| format!("{}: {}", name(r), tape.dtype_of(r));
        let parameters: Vec<String> = (0..count).map(|i| typed(Ref::Input(i as u32))).collect();
        write!(f, "fuse({}) -> {}", parameters.join(", "), T::DTYPE)?;
        for (i, array) in tape.operands().iter().enumerate() {
            write!(f, "\n  {} = array of shape {:?}", typed(Ref::Input((count + i) as u32)), array.layout.shape())?;
        }
        for (i, instr) in tape.instrs().iter().enumerate() {
            let operands: Vec<String> = instr.operands().into_iter().map(name).collect();
            let called = match instr {
                Instr::Cast(to, _) => format!("cast::<{to}>"),
                other => other.name().to_string(),
            };
            write!(f, "\n  {} = {called}({})", typed(Ref::Value(i as u32)), operands.join(", "))?;
        }
        let last = tape.instrs().len().checked_sub(1).map(|i| Ref::Value(i as u32));
        if last == Some(tape.result()) { Ok(()) } else { write!(f, "\n  {}", name(tape.result())) }
    }
}

impl<A, T: Element> fmt::Debug for Fused<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
