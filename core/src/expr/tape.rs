//! A program of any length with its operands, and its evaluation.

mod bind;
mod rows;
mod split;

pub(crate) use bind::Bound;

use crate::device::Device;
use crate::fast::SMALL;
use crate::layout::Layout;
use crate::memory::transfer::{alloc_elements, can_store};
use crate::op::{Map, Op, Operand, Output, Params};
use crate::plan::{self, execute};
use crate::program::{Instr, MAX_INPUTS, MAX_INSTRS, Ref};
use crate::trace::{self, Plan};
use crate::{Buffer, DType, Dims, MemoryId, Program, Result, Scalar, canon};
use smallvec::SmallVec;
use std::borrow::Cow;

/// An array whose element type is not part of its Rust type.
#[derive(Clone, Debug)]
pub(crate) struct RawArray {
    pub buffer: Buffer,
    pub dtype: DType,
    pub layout: Layout,
}

/// A reference-counted array. Unlike that of the standard library, this count has no weak references, so exclusive
/// access is found with one load.
pub(crate) type SharedArray = triomphe::Arc<RawArray>;

impl RawArray {
    /// Returns the first element of an array that the fast path can read: its elements lie in host memory contiguously,
    /// in C order, and take between 1 and [`SMALL`] bytes.
    #[inline]
    pub fn small_start(&self) -> Option<*const u8> {
        let (size, len, offset) = (self.dtype.size(), self.layout.len(), self.layout.offset());
        let small = (1..=SMALL).contains(&len.saturating_mul(size)) && self.layout.is_c_contiguous();
        // The elements of a layout lie inside its buffer. The comparison keeps a violation from becoming a wild
        // pointer.
        let inside = small && (offset + len) * size <= self.buffer.bytes();
        let start = self.buffer.host_ptr().filter(|_| inside)?;
        Some(start.as_ptr().wrapping_add(offset * size))
    }

    /// Returns whether both refer to the same elements.
    pub fn same(&self, other: &RawArray) -> bool {
        self.buffer.same(&other.buffer) && self.dtype == other.dtype && self.layout == other.layout
    }
}

/// A program of any length over any number of arrays.
///
/// Invariants:
/// 1. every `Ref` refers to an operand, a parameter or an earlier step;
/// 2. `dtypes[i]` is the dtype of step `i`;
/// 3. `shape` is what all operands' shapes broadcast to.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    /// The dtypes of the first inputs, if those are placeholders. Such a tape is never evaluated: it is converted to a
    /// program (an epilogue), or operands are [bound](Tape::bind) to its placeholders first.
    leads: SmallVec<[DType; MAX_INPUTS]>,
    operands: SmallVec<[SharedArray; 4]>,
    params: Params,
    instrs: SmallVec<[Instr; 8]>,
    dtypes: SmallVec<[DType; 8]>,
    result: Ref,
    shape: Dims,
}

impl Default for Tape {
    fn default() -> Tape {
        Tape {
            leads: SmallVec::new(),
            operands: SmallVec::new(),
            params: Params::new(),
            instrs: SmallVec::new(),
            dtypes: SmallVec::new(),
            result: Ref::Input(0),
            shape: Dims::new(),
        }
    }
}

impl Tape {
    pub fn array(array: impl Into<SharedArray>) -> Tape {
        let array = array.into();
        let shape = array.layout.shape().clone();
        Tape { operands: SmallVec::from_iter([array]), shape, ..Tape::default() }
    }

    /// Makes a tape that fills an array of `shape` with `value`.
    pub fn filled(value: Scalar, shape: Dims) -> Result<Tape> {
        shape.check(value.dtype())?;
        Ok(Tape { params: SmallVec::from_slice(&[value]), result: Ref::Param(0), shape, ..Tape::default() })
    }

    /// Declares the first inputs to be placeholders of these dtypes. Must be called before operands are added.
    pub fn lead_with(&mut self, dtypes: impl Iterator<Item = DType>) {
        self.leads = dtypes.collect();
    }

    pub fn add_operand(&mut self, array: SharedArray) -> Ref {
        self.operands.push(array);
        self.input(self.operands.len() - 1)
    }

    /// Returns the reference to operand `i`.
    fn input(&self, i: usize) -> Ref {
        Ref::Input((self.leads.len() + i) as u32)
    }

    pub fn add_param(&mut self, value: Scalar) -> Ref {
        self.params.push(value);
        Ref::Param(self.params.len() as u32 - 1)
    }

    pub fn add_instr(&mut self, instr: Instr) -> Result<Ref> {
        self.dtypes.push(instr.typed(|r| self.dtype_of(r))?);
        self.instrs.push(instr);
        Ok(Ref::Value(self.instrs.len() as u32 - 1))
    }

    /// Sets the result, and the shape that all operands broadcast to.
    pub fn finish(&mut self, result: Ref, shape: Dims) {
        (self.result, self.shape) = (result, shape);
    }

    /// Makes `instr` the result: adds it as a step, unless it equals the last step.
    pub fn push(&mut self, instr: Instr) -> Result<()> {
        self.result = match self.instrs.last() {
            Some(last) if *last == instr => Ref::Value(self.instrs.len() as u32 - 1),
            _ => self.add_instr(instr)?,
        };
        self.shape.check(self.dtype())?;
        Ok(())
    }

    /// Adds an array that broadcasts with the tape's shape. Returns the references of the current result and the array.
    pub fn join(&mut self, array: RawArray) -> Result<(Ref, Ref)> {
        self.shape = self.shape.broadcast(array.layout.shape())?;
        self.shape.check(self.dtype())?;
        let mine = self.result;
        Ok((mine, self.add_operand(SharedArray::new(array))))
    }
}

/// Building a short tape, whose equal operands, parameters and instructions are found by comparison with all others.
impl Tape {
    /// Adds an operand, which must broadcast with the others, or finds it.
    pub fn merge_operand(&mut self, array: SharedArray) -> Result<Ref> {
        let known = self.operands.iter().position(|o| SharedArray::ptr_eq(o, &array) || o.same(&array));
        if let Some(i) = known {
            return Ok(self.input(i));
        }
        if self.operands.is_empty() {
            self.shape = array.layout.shape().clone();
        } else if self.shape != *array.layout.shape() {
            self.shape = self.shape.broadcast(array.layout.shape())?;
        }
        Ok(self.add_operand(array))
    }

    /// Adds a parameter, or finds it.
    pub fn merge_param(&mut self, value: Scalar) -> Ref {
        let known = self.params.iter().position(|p| *p == value);
        known.map_or_else(|| self.add_param(value), |i| Ref::Param(i as u32))
    }

    /// Adds an instruction, or finds it.
    pub fn merge_instr(&mut self, instr: Instr) -> Result<Ref> {
        let known = self.instrs.iter().position(|i| *i == instr);
        known.map_or_else(|| self.add_instr(instr), |i| Ok(Ref::Value(i as u32)))
    }

    /// Adds the operands, parameters and instructions of another tape, and returns its result.
    pub fn append(&mut self, other: &Tape) -> Result<Ref> {
        let mut inputs: SmallVec<[Ref; 8]> = SmallVec::new();
        for operand in &other.operands {
            inputs.push(self.merge_operand(operand.clone())?);
        }
        let params: SmallVec<[Ref; 8]> = other.params.iter().map(|p| self.merge_param(*p)).collect();
        let mut values: SmallVec<[Ref; 8]> = SmallVec::new();
        let renamed = |r: Ref, values: &[Ref]| match r {
            Ref::Input(i) => inputs[i as usize],
            Ref::Param(i) => params[i as usize],
            Ref::Value(i) => values[i as usize],
        };
        for instr in &other.instrs {
            let instr = instr.map_refs(|r| renamed(r, &values));
            values.push(self.merge_instr(instr)?);
        }
        Ok(renamed(other.result, &values))
    }

    /// Makes a value the result.
    pub fn set_result(&mut self, result: Ref) -> Result<()> {
        self.result = result;
        self.shape.check(self.dtype())?;
        Ok(())
    }
}

impl Tape {
    pub fn shape(&self) -> &Dims {
        &self.shape
    }

    pub fn result(&self) -> Ref {
        self.result
    }

    pub fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Input(i) => {
                let i = i as usize;
                self.leads.get(i).copied().unwrap_or_else(|| self.operands[i - self.leads.len()].dtype)
            }
            Ref::Param(i) => self.params[i as usize].dtype(),
            Ref::Value(i) => self.dtypes[i as usize],
        }
    }

    pub fn dtype(&self) -> DType {
        self.dtype_of(self.result)
    }

    /// Evaluates the tape. The result lies in the memory of the operands, and in the buffer of an operand if that has
    /// no other owner and fits (donation).
    pub fn eval(&mut self, device: &Device) -> Result<RawArray> {
        let dtype = self.dtype();
        if self.shape.contains(&0) {
            let home = self
                .operands
                .first()
                .map(|o| o.buffer.memory())
                .filter(|&m| can_store(m, dtype))
                .unwrap_or(MemoryId::HOST);
            return Ok(RawArray {
                buffer: alloc_elements(dtype, 0, home)?,
                dtype,
                layout: Layout::contiguous(self.shape.clone()),
            });
        }
        self.fit(device)?;
        let layout = canon::fresh_layout(&self.shape, &self.input_layouts()?);
        let Some((buffer, layout)) = self.donor(dtype, &layout) else {
            let op = self.map_op(&layout, &self.input_layouts()?)?;
            return Ok(RawArray { buffer: execute(op, device, None)?, dtype, layout });
        };
        if self.instrs.is_empty() {
            // The result is the only operand, and nothing else holds it.
            return Ok(RawArray { buffer, dtype, layout });
        }
        let op = self.map_op(&layout, &self.input_layouts()?)?;
        Ok(RawArray { buffer: execute(op, device, Some(buffer))?, dtype, layout })
    }

    /// Returns the operation that [`eval`](Self::eval) would run. The tape must be within the limits of a program and
    /// have elements.
    pub fn fresh_op(&self) -> Result<Op> {
        let inputs = self.input_layouts()?;
        self.map_op(&canon::fresh_layout(&self.shape, &inputs), &inputs)
    }

    /// Evaluates the tape into a new buffer. The tape keeps its operands, so none of them is donated.
    pub fn eval_fresh(&self, device: &Device) -> Result<RawArray> {
        if self.is_too_long() || self.shape.contains(&0) {
            return self.clone().eval(device);
        }
        let inputs = self.input_layouts()?;
        let layout = canon::fresh_layout(&self.shape, &inputs);
        let op = self.map_op(&layout, &inputs)?;
        Ok(RawArray { buffer: execute(op, device, None)?, dtype: self.dtype(), layout })
    }

    /// Evaluates the tape into `out`, to whose shape this shape must broadcast. Operands that lie in `out`'s buffer and
    /// are not `out` itself are copied first.
    pub fn eval_into(&self, out: &RawArray, device: &Device) -> Result<()> {
        debug_assert_eq!(self.dtype(), out.dtype, "the type of the expression is that of the view");
        let shape = out.layout.shape();
        if shape.contains(&0) {
            return if self.shape == *shape {
                Ok(())
            } else {
                Layout::contiguous(self.shape.clone()).broadcast_to(shape).map(|_| ())
            };
        }
        let overlaps =
            |o: &SharedArray| o.buffer.same(&out.buffer) && !(o.layout == out.layout && o.dtype == out.dtype);
        if self.shape == *shape && !self.is_too_long() && !self.operands.iter().any(overlaps) {
            return self.write(out, device);
        }
        let mut own = self.clone();
        if own.shape != *shape {
            Layout::contiguous(own.shape.clone()).broadcast_to(shape)?;
            own.shape = shape.clone();
        }
        for operand in own.operands.iter_mut().filter(|o| overlaps(o)) {
            *operand = SharedArray::new(copy_of(operand, device)?);
        }
        own.fit(device)?;
        own.write(out, device)
    }

    fn write(&self, out: &RawArray, device: &Device) -> Result<()> {
        let inputs = self.input_layouts()?;
        let op = self.map_op(&out.layout, &inputs)?;
        execute(op, device, Some(out.buffer.clone())).map(|_| ())
    }

    pub fn explain(&mut self, device: &Device) -> Result<Plan> {
        if self.shape.contains(&0) {
            return Ok(Plan {
                op: "no operation: the result has no elements".into(),
                chosen: "none".into(),
                steps: Vec::new(),
                candidates: Vec::new(),
            });
        }
        self.fit(device)?;
        plan::explain(self.fresh_op()?, device)
    }

    /// Returns the layouts of the operands, broadcast to the shape of the tape.
    pub fn input_layouts(&self) -> Result<SmallVec<[Cow<'_, Layout>; 4]>> {
        let mut layouts = SmallVec::new();
        for o in &self.operands {
            layouts.push(if *o.layout.shape() == self.shape {
                Cow::Borrowed(&o.layout)
            } else {
                Cow::Owned(o.layout.broadcast_to(&self.shape)?)
            });
        }
        Ok(layouts)
    }

    /// Returns the program. The tape must be within the limits of a program.
    pub fn program(&self) -> Result<Program> {
        let inputs: SmallVec<[DType; 8]> =
            self.leads.iter().copied().chain(self.operands.iter().map(|o| o.dtype)).collect();
        let params: SmallVec<[DType; 8]> = self.params.iter().map(Scalar::dtype).collect();
        Program::from_checked(&inputs, &params, &self.instrs, &self.dtypes, self.result)
    }

    pub fn instrs(&self) -> &[Instr] {
        &self.instrs
    }

    pub fn dtypes(&self) -> &[DType] {
        &self.dtypes
    }

    pub fn operands_mut(&mut self) -> &mut [SharedArray] {
        &mut self.operands
    }

    pub fn operands(&self) -> &[SharedArray] {
        &self.operands
    }

    pub fn params(&self) -> &Params {
        &self.params
    }

    fn map_op(&self, output: &Layout, inputs: &[Cow<'_, Layout>]) -> Result<Op> {
        let (shape, (offset, strides), spaces) = canon::map(output, inputs);
        let inputs = self
            .operands
            .iter()
            .zip(spaces)
            .map(|(o, (offset, strides))| Operand { buffer: o.buffer.clone(), dtype: o.dtype, offset, strides })
            .collect();
        let output = Output { dtype: self.dtype(), offset, strides };
        Ok(Op::from(Map { program: self.program()?, params: Params::from_slice(&self.params), shape, inputs, output }))
    }

    /// Returns buffer and layout of an operand that only this tape holds and that the result can replace element by
    /// element, as required for operands in the output's buffer. `layout` is the layout of a new result; the operand
    /// may have another offset. An operand that wastes more than half of its buffer is not used.
    fn donor(&mut self, dtype: DType, layout: &Layout) -> Option<(Buffer, Layout)> {
        let shape = &self.shape;
        let result_is_operand = self.instrs.is_empty();
        self.operands.iter_mut().find_map(|operand| {
            let o = SharedArray::get_mut(operand)?;
            let fits = o.dtype == dtype
                && o.layout.shape() == shape
                && (o.layout.strides() == layout.strides() || result_is_operand && !o.layout.may_overlap())
                && o.buffer.bytes() / 2 <= shape.size() * dtype.size()
                && o.buffer.is_exclusive();
            fits.then(|| (o.buffer.clone(), o.layout.clone()))
        })
    }

    /// Returns whether the tape exceeds the limits of a program.
    pub fn is_too_long(&self) -> bool {
        self.instrs.len() > MAX_INSTRS || self.operands.len() + self.leads.len() > MAX_INPUTS
    }
}

fn copy_of(array: &RawArray, device: &Device) -> Result<RawArray> {
    trace::copied(array.layout.len() * array.dtype.size(), "an operand overlaps the output");
    Tape::array(array.clone()).eval_to(Layout::contiguous(array.layout.shape().clone()), device)
}

impl Tape {
    /// Evaluates the tape into a new buffer with the given layout.
    pub fn eval_to(&mut self, layout: Layout, device: &Device) -> Result<RawArray> {
        let dtype = self.dtype();
        if self.shape.contains(&0) {
            return self.eval(device);
        }
        self.fit(device)?;
        let inputs = self.input_layouts()?;
        let op = self.map_op(&layout, &inputs)?;
        Ok(RawArray { buffer: execute(op, device, None)?, dtype, layout })
    }
}
