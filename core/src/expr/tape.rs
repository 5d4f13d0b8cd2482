//! A program that grows, with its operands: what an expression holds.

use crate::choose::{alloc_elements, execute, plan};
use crate::device::Device;
use crate::layout::Layout;
use crate::op::{Map, Op, Operand, Output, Params};
use crate::program::{Instr, MAX_INPUTS, MAX_INSTRS, Ref};
use crate::trace::{self, Plan};
use crate::{Buffer, DType, Dims, MemoryId, Program, Result, Scalar, canon};
use smallvec::SmallVec;
use std::borrow::Cow;

/// An array without its type.
#[derive(Clone, Debug)]
pub(crate) struct RawArray {
    pub buffer: Buffer,
    pub dtype: DType,
    pub layout: Layout,
}

impl RawArray {
    /// Whether both name the same elements.
    fn same(&self, other: &RawArray) -> bool {
        self.buffer.same(&other.buffer) && self.dtype == other.dtype && self.layout == other.layout
    }
}

/// A program of any length over any number of arrays.
///
/// Invariants: 1. every `Ref` names an operand, a parameter or an earlier step; 2. `dtypes[i]` is what step `i` gives;
/// 3. `shape` is what all operands' shapes broadcast to.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    operands: SmallVec<[RawArray; 2]>,
    params: Params,
    instrs: SmallVec<[Instr; 4]>,
    dtypes: SmallVec<[DType; 4]>,
    result: Ref,
    shape: Dims,
}

/// How far back equal steps are looked for when two tapes meet.
const LOOK_BACK: usize = 64;

impl Tape {
    pub fn array(array: RawArray) -> Tape {
        let shape = array.layout.shape().clone();
        Tape { operands: SmallVec::from_iter([array]), params: Params::new(), instrs: SmallVec::new(), dtypes: SmallVec::new(), result: Ref::Input(0), shape }
    }

    pub fn constant(value: Scalar) -> Tape {
        Tape {
            operands: SmallVec::new(),
            params: SmallVec::from_slice(&[value]),
            instrs: SmallVec::new(),
            dtypes: SmallVec::new(),
            result: Ref::Param(0),
            shape: Dims::new(),
        }
    }

    /// `value` in every element of `shape`.
    pub fn filled(value: Scalar, shape: Dims) -> Result<Tape> {
        shape.check(value.dtype())?;
        Ok(Tape { shape, ..Tape::constant(value) })
    }

    pub fn shape(&self) -> &Dims {
        &self.shape
    }

    pub fn result(&self) -> Ref {
        self.result
    }

    fn dtype_of(&self, r: Ref) -> DType {
        match r {
            Ref::Input(i) => self.operands[i as usize].dtype,
            Ref::Param(i) => self.params[i as usize].dtype(),
            Ref::Value(i) => self.dtypes[i as usize],
        }
    }

    /// The dtype of the result.
    pub fn dtype(&self) -> DType {
        self.dtype_of(self.result)
    }

    /// Adds a step, or finds an equal recent one, and makes it the result.
    pub fn push(&mut self, instr: Instr) -> Result<()> {
        let recent = self.instrs.len().saturating_sub(LOOK_BACK);
        let at = match self.instrs[recent..].iter().position(|i| *i == instr) {
            Some(i) => recent + i,
            None => {
                self.dtypes.push(instr.typed(|r| self.dtype_of(r))?);
                self.instrs.push(instr);
                self.instrs.len() - 1
            }
        };
        self.result = Ref::Value(at as u32);
        Ok(())
    }

    /// Takes over the steps of `other`; returns what the results of both are called here.
    // By box: tapes are large, and taking one out to pass it would copy it.
    pub fn append(&mut self, mut other: Box<Tape>) -> Result<(Ref, Ref)> {
        self.shape = self.shape.broadcast(&other.shape)?;
        self.shape.check(self.dtype())?;
        let mine = self.result;
        let operands: SmallVec<[u32; 8]> = std::mem::take(&mut other.operands).into_iter().map(|o| self.operand(o)).collect();
        let first_param = self.params.len() as u32;
        self.params.extend_from_slice(&other.params);
        let mut values: SmallVec<[Ref; 8]> = SmallVec::new();
        let rename = |r: Ref, values: &[Ref]| match r {
            Ref::Input(i) => Ref::Input(operands[i as usize]),
            Ref::Param(i) => Ref::Param(first_param + i),
            Ref::Value(i) => values[i as usize],
        };
        for instr in std::mem::take(&mut other.instrs) {
            self.push(instr.map_refs(|r| rename(r, &values)))?;
            values.push(self.result);
        }
        let theirs = rename(other.result, &values);
        self.result = theirs;
        Ok((mine, theirs))
    }

    fn operand(&mut self, array: RawArray) -> u32 {
        let recent = self.operands.len().saturating_sub(LOOK_BACK);
        let known = self.operands[recent..].iter().position(|o| o.same(&array)).map(|i| recent + i);
        known.unwrap_or_else(|| {
            self.operands.push(array);
            self.operands.len() - 1
        }) as u32
    }

    /// Does the work; the result lives where the operands do, or where an operand lay that nobody else needs.
    pub fn eval(&mut self, device: &Device) -> Result<RawArray> {
        let dtype = self.dtype();
        if self.shape.contains(&0) {
            let home = self.operands.first().map_or(MemoryId::HOST, |o| o.buffer.memory());
            return Ok(RawArray { buffer: alloc_elements(dtype, 0, home)?, dtype, layout: Layout::contiguous(self.shape.clone()) });
        }
        self.fit(device)?;
        let layout = canon::fresh_layout(&self.shape, &self.input_layouts()?);
        let donor = self.donor(dtype, &layout).map(|i| self.operands[i].buffer.clone());
        if let Some(buffer) = donor.clone().filter(|_| self.instrs.is_empty()) {
            // Nothing to compute, and nobody else has the only operand.
            return Ok(RawArray { buffer, dtype, layout: self.operands[0].layout.clone() });
        }
        let mut op = self.map_op(&layout, &self.input_layouts()?)?;
        Ok(RawArray { buffer: execute(&mut op, device, donor)?, dtype, layout })
    }

    /// The operation that [`eval`](Self::eval) would run. The tape must be within limits and have elements.
    pub fn fresh_op(&self) -> Result<Op> {
        let inputs = self.input_layouts()?;
        self.map_op(&canon::fresh_layout(&self.shape, &inputs), &inputs)
    }

    /// Does the work into a new buffer. The tape keeps its operands, so none of them can be donated.
    pub fn eval_fresh(&self, device: &Device) -> Result<RawArray> {
        if self.is_too_long() || self.shape.contains(&0) {
            return self.clone().eval(device);
        }
        let inputs = self.input_layouts()?;
        let layout = canon::fresh_layout(&self.shape, &inputs);
        let mut op = self.map_op(&layout, &inputs)?;
        Ok(RawArray { buffer: execute(&mut op, device, None)?, dtype: self.dtype(), layout })
    }

    /// Does the work and writes it to `out`, which this shape must broadcast to. Operands that lie in `out`'s buffer must be `out` itself, unless
    /// they are copied first: they are.
    pub fn eval_into(&self, out: &RawArray, device: &Device) -> Result<()> {
        debug_assert_eq!(self.dtype(), out.dtype, "the type of the expression is that of the view");
        let shape = out.layout.shape();
        if shape.contains(&0) {
            return if self.shape == *shape { Ok(()) } else { Layout::contiguous(self.shape.clone()).broadcast_to(shape).map(|_| ()) };
        }
        let overlaps = |o: &RawArray| o.buffer.same(&out.buffer) && !(o.layout == out.layout && o.dtype == out.dtype);
        if self.shape == *shape && !self.is_too_long() && !self.operands.iter().any(overlaps) {
            return self.write(out, device);
        }
        let mut own = self.clone();
        if own.shape != *shape {
            Layout::contiguous(own.shape.clone()).broadcast_to(shape)?;
            own.shape = shape.clone();
        }
        for operand in own.operands.iter_mut().filter(|o| overlaps(o)) {
            *operand = copy_of(operand, device)?;
        }
        own.fit(device)?;
        own.write(out, device)
    }

    fn write(&self, out: &RawArray, device: &Device) -> Result<()> {
        let inputs = self.input_layouts()?;
        let mut op = self.map_op(&out.layout, &inputs)?;
        execute(&mut op, device, Some(out.buffer.clone())).map(|_| ())
    }

    pub fn explain(&mut self, device: &Device) -> Result<Plan> {
        if self.shape.contains(&0) {
            return Ok(Plan { op: "nothing: there are no elements".into(), chosen: "none".into(), candidates: Vec::new() });
        }
        self.fit(device)?;
        plan(&self.fresh_op()?, device)
    }

    /// The operands' layouts over the whole shape.
    pub fn input_layouts(&self) -> Result<SmallVec<[Cow<'_, Layout>; 4]>> {
        let mut layouts = SmallVec::new();
        for o in &self.operands {
            layouts.push(if *o.layout.shape() == self.shape { Cow::Borrowed(&o.layout) } else { Cow::Owned(o.layout.broadcast_to(&self.shape)?) });
        }
        Ok(layouts)
    }

    /// The program, its parameters, and its operands in order. The tape must be within limits.
    pub fn program(&self) -> Result<Program> {
        let inputs: SmallVec<[DType; 8]> = self.operands.iter().map(|o| o.dtype).collect();
        let params: SmallVec<[DType; 8]> = self.params.iter().map(Scalar::dtype).collect();
        Program::from_checked(&inputs, &params, &self.instrs, &self.dtypes, self.result)
    }

    /// The operands.
    pub fn operands(&self) -> &[RawArray] {
        &self.operands
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    fn map_op(&self, output: &Layout, inputs: &[Cow<'_, Layout>]) -> Result<Op> {
        let (shape, (offset, strides), spaces) = canon::map(output, inputs);
        let inputs =
            self.operands.iter().zip(spaces).map(|(o, (offset, strides))| Operand { buffer: o.buffer.clone(), dtype: o.dtype, offset, strides }).collect();
        let output = Output { dtype: self.dtype(), offset, strides };
        Ok(Op::Map(Map { program: self.program()?, params: Params::from_slice(&self.params), shape, inputs, output }))
    }

    /// An operand that only this tape holds and that could hold the result.
    fn donor(&mut self, dtype: DType, layout: &Layout) -> Option<usize> {
        let shape = &self.shape;
        self.operands.iter_mut().position(|o| {
            o.dtype == dtype
                && o.layout.shape() == shape
                && o.layout.strides() == layout.strides()
                && o.buffer.bytes() <= 2 * shape.size() * dtype.size()
                && o.buffer.is_exclusive()
        })
    }

    /// Whether one program cannot hold it.
    fn is_too_long(&self) -> bool {
        self.instrs.len() > MAX_INSTRS || self.operands.len() > MAX_INPUTS
    }

    /// Evaluates parts of the tape into temporaries if it is too long for one program or reads too many arrays.
    pub fn fit(&mut self, device: &Device) -> Result<()> {
        if self.is_too_long() {
            *self = std::mem::replace(self, Tape::constant(Scalar::new(false))).split(device)?;
        }
        Ok(())
    }

    fn split(mut self, device: &Device) -> Result<Tape> {
        // For each step: the steps and operands that it needs and that have not been evaluated.
        let mut needs: Vec<Needs> = Vec::with_capacity(self.instrs.len());
        let instrs = self.instrs.clone();
        let mut renamed: Vec<Ref> = (0..instrs.len() as u32).map(Ref::Value).collect();
        for (at, instr) in instrs.iter().enumerate() {
            loop {
                let rename = |r: Ref| if let Ref::Value(i) = r { renamed[i as usize] } else { r };
                let instr = instr.map_refs(rename);
                let mut all = Needs { steps: SmallVec::from_slice(&[at as u32]), inputs: SmallVec::new() };
                instr.operands().iter().for_each(|&r| all.add(r, &needs));
                if all.fits() {
                    self.instrs[at] = instr;
                    needs.push(all);
                    break;
                }
                let size = |r: &Ref| if let Ref::Value(i) = r { needs[*i as usize].steps.len() + needs[*i as usize].inputs.len() } else { 0 };
                let largest = instr.operands().into_iter().max_by_key(size).expect("a step that reads nothing fits");
                let Ref::Value(value) = largest else { unreachable!("three inputs fit") };
                let part = self.part(largest, &needs[value as usize])?.eval(device)?;
                trace::copied(part.buffer.bytes(), "a long expression was split");
                self.operands.push(part);
                renamed[value as usize] = Ref::Input(self.operands.len() as u32 - 1);
                for r in renamed.iter_mut().filter(|r| **r == largest) {
                    *r = Ref::Input(self.operands.len() as u32 - 1);
                }
            }
        }
        let result = if let Ref::Value(i) = self.result { renamed[i as usize] } else { self.result };
        let needed = if let Ref::Value(i) = result { needs[i as usize].clone() } else { Needs::default() };
        let mut whole = self.part(result, &needed)?;
        whole.shape = self.shape;
        Ok(whole)
    }

    /// The tape that computes one value of this one.
    fn part(&self, value: Ref, needs: &Needs) -> Result<Tape> {
        let mut shape = Dims::new();
        let mut part = Tape::constant(Scalar::new(false));
        part.params = self.params.clone();
        for &i in &needs.inputs {
            shape = shape.broadcast(self.operands[i as usize].layout.shape())?;
            part.operands.push(self.operands[i as usize].clone());
        }
        let rename = |r: Ref| match r {
            Ref::Input(i) => Ref::Input(needs.inputs.iter().position(|&x| x == i).expect("an input it needs") as u32),
            Ref::Value(i) => Ref::Value(needs.steps.iter().position(|&x| x == i).expect("a step it needs") as u32),
            Ref::Param(i) => Ref::Param(i),
        };
        for &i in &needs.steps {
            part.instrs.push(self.instrs[i as usize].map_refs(rename));
            part.dtypes.push(self.dtypes[i as usize]);
        }
        if let Ref::Input(i) = value {
            part.operands = SmallVec::from_iter([self.operands[i as usize].clone()]);
            part.result = Ref::Input(0);
        } else {
            part.result = rename(value);
        }
        part.shape = shape;
        Ok(part)
    }
}

/// The steps (in order) and operands that a value is computed from.
#[derive(Clone, Default)]
struct Needs {
    steps: SmallVec<[u32; 8]>,
    inputs: SmallVec<[u32; 8]>,
}

impl Needs {
    fn add(&mut self, r: Ref, known: &[Needs]) {
        let insert = |list: &mut SmallVec<[u32; 8]>, x: u32| {
            if let Err(at) = list.binary_search(&x) {
                list.insert(at, x);
            }
        };
        match r {
            Ref::Param(_) => {}
            Ref::Input(i) => insert(&mut self.inputs, i),
            Ref::Value(v) => {
                known[v as usize].steps.iter().for_each(|&s| insert(&mut self.steps, s));
                known[v as usize].inputs.iter().for_each(|&i| insert(&mut self.inputs, i));
            }
        }
    }

    fn fits(&self) -> bool {
        self.steps.len() <= MAX_INSTRS && self.inputs.len() <= MAX_INPUTS
    }
}

/// A copy of an operand in a buffer of its own.
fn copy_of(array: &RawArray, device: &Device) -> Result<RawArray> {
    trace::copied(array.layout.len() * array.dtype.size(), "an operand overlaps the output");
    Tape::array(array.clone()).eval_to(Layout::contiguous(array.layout.shape().clone()), device)
}

impl Tape {
    /// Does the work into a new buffer with the given layout.
    pub fn eval_to(&mut self, layout: Layout, device: &Device) -> Result<RawArray> {
        let dtype = self.dtype();
        if self.shape.contains(&0) {
            return self.eval(device);
        }
        self.fit(device)?;
        let inputs = self.input_layouts()?;
        let mut op = self.map_op(&layout, &inputs)?;
        Ok(RawArray { buffer: execute(&mut op, device, None)?, dtype, layout })
    }
}
