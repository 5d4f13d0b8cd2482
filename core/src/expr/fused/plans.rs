//! The fast path of compiled functions: programs that a backend has prepared, and the choice of that backend.
//!
//! A function caches both, for each selection of arguments that are single values, each device and, under `auto`, each
//! size class. The lists only grow, so that a call reads them without a lock.

use super::super::direct::Target;
use super::super::tape::{Bound, Tape};
use super::arguments::{Peek, Peeked};
use crate::device::{self, Slot};
use crate::expr::{RawArray, SharedArray};
use crate::fast::{self, SMALL};
use crate::layout::{Dims, Layout};
use crate::program::{MAX_INPUTS, MAX_INSTRS, Ref};
use crate::small::{Prepared, PreparedWork};
use crate::{Buffer, DType, MemoryId, Program, Result, config};
use smallvec::SmallVec;
use std::ptr;
use std::sync::{Arc, OnceLock};

/// The largest number of parameters of a prepared program.
const MAX_PARAMS: usize = 16;
/// The number of size classes: powers of two of the number of elements.
const CLASSES: usize = SMALL.ilog2() as usize + 1;
/// The largest number of plans of a size class. Calls that would need more take the regular path.
const MAX_PLANS: usize = 64;

/// The origin of an input or of a parameter of a prepared program.
#[derive(Clone, Copy)]
enum Source {
    Argument(usize),
    Captured(usize),
}

/// A prepared program, and where its operands and parameters come from.
struct Plan {
    program: Box<dyn Prepared>,
    inputs: SmallVec<[(Source, DType); 4]>,
    /// The arguments that follow the constants as parameters.
    values: SmallVec<[(usize, DType); 4]>,
}

/// The key of a plan.
#[derive(Clone, Copy, PartialEq)]
struct Key {
    /// The address of the current device, which the entry keeps alive; 0 for `auto`.
    slot: usize,
    /// A bit for each argument that is a single value.
    values: u32,
    /// The limit of threads and the number of registered backends, on which choices of `auto` depend.
    among: [usize; 2],
}

/// A plan in a list.
struct Entry {
    key: Key,
    /// Keeps the address in the key from being used again.
    _slot: Option<Arc<Slot>>,
    /// `None` if no device prepares the program.
    plan: Option<Plan>,
    next: OnceLock<Box<Entry>>,
}

/// The traced program of a function, with the plans that were made for it.
pub(super) struct Body {
    pub tape: Tape,
    /// A bit for each placeholder that a step reads.
    reads: u32,
    /// The size in bytes of the widest value.
    widest: usize,
    /// Whether the program is short enough to be prepared.
    is_short: bool,
    plans: [OnceLock<Box<Entry>>; CLASSES],
}

impl Body {
    pub fn new(tape: Tape) -> Body {
        let mut reads = 0;
        let count = tape.lead_count();
        tape.for_each_input(|i| reads |= if i < count { 1 << i } else { 0 });
        let widest = tape.dtypes().iter().map(|d| d.size()).max().unwrap_or(0);
        let is_short = (1..=MAX_INSTRS).contains(&tape.instrs().len())
            && tape.params().len() + count <= MAX_PARAMS
            && tape.operands().len() + count <= MAX_INPUTS;
        Body { tape, reads, widest, is_short, plans: [const { OnceLock::new() }; CLASSES] }
    }

    /// Returns whether a step reads argument `i`, or whether it is the result.
    pub fn reads(&self, i: usize) -> bool {
        self.reads >> i & 1 == 1
    }

    /// Evaluates a call into the elements of `layout` in `out`. Returns `false`, with nothing written, if this is left
    /// to the regular path, which also finds all errors.
    ///
    /// # Safety
    /// The caller may write the elements of `layout` in `out`: nothing else accesses them during the call, except as
    /// operands.
    pub unsafe fn write(&self, args: &[Peek], out: &Buffer, layout: &Layout) -> bool {
        if out.memory() != MemoryId::HOST || !layout.is_c_contiguous() {
            return false;
        }
        let (dtype, offset, shape) = (self.tape.dtype(), layout.offset(), layout.shape());
        let inside = (offset + shape.size()) * dtype.size() <= out.bytes();
        let Some(start) = out.host_ptr().filter(|_| inside) else { return false };
        let target = Target { dtype, shape, place: Some((out, offset)) };
        // SAFETY: the elements of the layout lie inside the buffer, which was checked, and belong to the caller.
        // Buffers are aligned for the dtype of their array.
        unsafe { self.run(args, target, || Some(start.as_ptr().wrapping_add(offset * dtype.size()))) }
    }

    /// Evaluates a call into a new array. Returns `None` if this is left to the regular path.
    pub fn fresh(&self, args: &[Peek]) -> Option<RawArray> {
        let shape = self.shape(args)?;
        let dtype = self.tape.dtype();
        let mut made = None;
        let allocate = || {
            let buffer = Buffer::elements(dtype, shape.size()).ok()?;
            let start = buffer.host_ptr()?.as_ptr();
            made = Some(buffer);
            Some(start)
        };
        // SAFETY: the buffer is new and has as many elements as the shape.
        let done = unsafe { self.run(args, Target { dtype, shape, place: None }, allocate) };
        let buffer = made.filter(|_| done)?;
        Some(RawArray { buffer, dtype, layout: Layout::contiguous(shape.clone()) })
    }

    /// Returns the shape of the first array that a step reads.
    fn shape<'a>(&'a self, args: &'a [Peek]) -> Option<&'a Dims> {
        let given = args.iter().enumerate().find_map(|(i, arg)| match &arg.0 {
            Peeked::Array(raw) | Peeked::Owned(raw) if self.reads(i) => Some(raw.layout.shape()),
            _ => None,
        });
        given.or_else(|| self.tape.operands().first().map(|raw| raw.layout.shape()))
    }

    /// Runs a call on the fast path. `out`, which returns the first element of the output, is called once it is certain
    /// that a backend is called. Returns whether the output was written.
    ///
    /// # Safety
    /// What `out` returns is aligned, and valid for writes of as many elements of the target's dtype as its shape has.
    /// Nothing else accesses it during the call, except as operands if it is the target's place.
    #[inline(always)]
    unsafe fn run(&self, args: &[Peek], target: Target, out: impl FnOnce() -> Option<*mut u8>) -> bool {
        let len = target.shape.size();
        if !self.is_short || len == 0 || len.saturating_mul(self.widest) > SMALL || !fast::is_open() {
            return false;
        }
        let mut values = 0;
        for (i, arg) in args.iter().enumerate() {
            match arg.0 {
                Peeked::Array(_) | Peeked::Owned(_) => {}
                Peeked::Value(_) => values |= 1 << i,
                Peeked::Other => return false,
            }
        }
        device::with_current(|slot| {
            let Some(plan) = self.plan(slot, values, &target, args) else { return false };
            let mut operands = [ptr::null(); MAX_INPUTS];
            for (operand, &(source, dtype)) in operands.iter_mut().zip(&plan.inputs) {
                let array = match source {
                    Source::Captured(i) => &*self.tape.operands()[i],
                    Source::Argument(i) => match args[i].0 {
                        Peeked::Array(array) | Peeked::Owned(array) => array,
                        Peeked::Value(_) | Peeked::Other => return false,
                    },
                };
                match target.operand(array).filter(|_| array.dtype == dtype) {
                    Some(start) => *operand = start,
                    None => return false,
                }
            }
            let (mut params, constants) = ([ptr::null(); MAX_PARAMS], self.tape.params());
            for (param, constant) in params.iter_mut().zip(constants) {
                *param = constant.bytes().as_ptr();
            }
            for (param, &(i, dtype)) in params[constants.len()..].iter_mut().zip(&plan.values) {
                match &args[i].0 {
                    Peeked::Value(value) if value.dtype() == dtype => *param = value.bytes().as_ptr(),
                    _ => return false,
                }
            }
            let Some(out) = out() else { return false };
            let work = PreparedWork {
                operands: &operands[..plan.inputs.len()],
                params: &params[..constants.len() + plan.values.len()],
                len,
                out,
            };
            // SAFETY: the operands are contiguous and have `len` valid elements of the dtypes of the program's inputs,
            // and they overlap the target only if they are the target (`Target::operand`). Parameters have the dtypes
            // of the program's parameters. The plan was made for this selection of values. The caller guarantees the
            // output.
            unsafe { plan.program.run(&work) }
        })
    }

    /// Returns the plan for the current device `slot`, `None` for `auto`. Makes it on the first call.
    #[inline(always)]
    fn plan(&self, slot: Option<&Arc<Slot>>, values: u32, target: &Target, args: &[Peek]) -> Option<&Plan> {
        let among = if slot.is_some() { [0; 2] } else { [config::threads(), device::generation()] };
        let key = Key { slot: slot.map_or(0, |slot| Arc::as_ptr(slot).addr()), values, among };
        let mut cell = &self.plans[target.shape.size().ilog2() as usize];
        let mut position = 0;
        while let Some(entry) = cell.get() {
            if entry.key == key {
                return entry.plan.as_ref();
            }
            (cell, position) = (&entry.next, position + 1);
        }
        if position < MAX_PLANS { self.remember(cell, key, slot, target, args) } else { None }
    }

    /// Makes the plan for `key` and appends it to a list, of which `cell` is the end. Nothing is cached if the choice
    /// of a device fails (the regular path finds the error), or if this call cannot use a plan: the device that is
    /// chosen for its operands may not be the one for others of this size.
    #[cold]
    fn remember<'a>(
        &'a self,
        mut cell: &'a OnceLock<Box<Entry>>,
        key: Key,
        slot: Option<&Arc<Slot>>,
        target: &Target,
        args: &[Peek],
    ) -> Option<&'a Plan> {
        let given = args.iter().enumerate().filter_map(|(i, arg)| match arg.0 {
            Peeked::Array(array) | Peeked::Owned(array) if self.reads(i) => Some(array),
            _ => None,
        });
        let captured = self.tape.operands().iter().map(|array| &**array);
        if given.chain(captured).any(|array| target.operand(array).is_none()) {
            return None;
        }
        let plan = self.prepare(key.values, args).ok()?;
        let mut entry = Box::new(Entry { key, _slot: slot.cloned(), plan, next: OnceLock::new() });
        loop {
            match cell.set(entry) {
                Ok(()) => return cell.get()?.plan.as_ref(),
                // Another thread has appended an entry meanwhile.
                Err(mine) => {
                    let there = cell.get()?;
                    if there.key == key {
                        return there.plan.as_ref();
                    }
                    (cell, entry) = (&there.next, mine);
                }
            }
        }
    }

    fn prepare(&self, values: u32, args: &[Peek]) -> Result<Option<Plan>> {
        let (tape, count) = (&self.tape, self.tape.lead_count());
        let mut places = SmallVec::<[Ref; 8]>::from_elem(Ref::Input(0), count + tape.operands().len());
        let mut params: SmallVec<[DType; 8]> = tape.params().iter().map(|p| p.dtype()).collect();
        let (mut inputs, mut parameters) = (SmallVec::<[(Source, DType); 4]>::new(), SmallVec::new());
        for (i, place) in places.iter_mut().enumerate() {
            let dtype = tape.dtype_of(Ref::Input(i as u32));
            let source = if i < count { Source::Argument(i) } else { Source::Captured(i - count) };
            if i < count && !self.reads(i) {
                continue;
            }
            if values >> i & 1 == 1 && i < count {
                *place = Ref::Param(params.len() as u32);
                params.push(dtype);
                parameters.push((i, dtype));
            } else {
                *place = Ref::Input(inputs.len() as u32);
                inputs.push((source, dtype));
            }
        }
        let renamed = |r: Ref| match r {
            Ref::Input(i) => places[i as usize],
            Ref::Param(_) | Ref::Value(_) => r,
        };
        let instrs: SmallVec<[_; 8]> = tape.instrs().iter().map(|instr| instr.map_refs(renamed)).collect();
        let dtypes: SmallVec<[DType; 4]> = inputs.iter().map(|i| i.1).collect();
        let program = Program::from_checked(&dtypes, &params, &instrs, tape.dtypes(), renamed(tape.result()))?;
        let op = || {
            let bound = args.iter().map(|arg| match arg.0 {
                Peeked::Array(array) | Peeked::Owned(array) => Bound::Array(SharedArray::new(array.clone())),
                Peeked::Value(value) => Bound::Value(value),
                Peeked::Other => unreachable!("expressions take the regular path"),
            });
            tape.bind(bound.collect())?.fresh_op()
        };
        let prepared = fast::prepare(&program, op)?;
        Ok(prepared.map(|program| Plan { program, inputs, values: parameters }))
    }
}
